// stage combine: attention's splits put together and quantised, once, as the input of out. One tile =
// COMBINE_TILE elements of the heads side by side.
// takes: attend's parts of the heads in its slice.   puts: its elements of A.
//
// Where a split's words of element i of the heads side by side stand: output, maximum, sum, sum.
fn split_at(layer: u32, i: u32, split: u32) -> vec4<u32> {
  let part = i / HEAD_DIM * N_SPLIT + split;
  let ml = at_layer(layer) + L_ATT_ML + part * 2u;
  return vec4<u32>(at_layer(layer) + L_ATT + part * HEAD_DIM + i % HEAD_DIM, ml, ml + 1u, ml + 1u);
}

// Element i of the heads side by side. A lane asks for all words of its element's splits at once, then waits:
// they come from few workgroups, so no counter is waited for first.
fn combined(layer: u32, i: u32) -> f32 {
  var words = array<vec4<u32>, N_SPLIT>();
  var least = vec4<u32>(NOT_READY);
  for (var s = 0u; s < N_SPLIT; s++) {
    words[s] = peek4(split_at(layer, i, s));
    least = min(least, words[s]);
  }
  if (is_missing(min(min(least.x, least.y), least.z))) {
    for (var s = 0u; s < N_SPLIT; s++) { words[s] = settle4(split_at(layer, i, s), words[s]); }
  } else {
    for (var s = 0u; s < N_SPLIT; s++) { words[s] = as_put4(words[s]); }
  }
  var largest = NEVER;
  for (var s = 0u; s < N_SPLIT; s++) { largest = max(largest, bitcast<f32>(words[s].y)); }
  var sum = 0.0;
  var value = 0.0;
  for (var s = 0u; s < N_SPLIT; s++) {
    let worth = exp(bitcast<f32>(words[s].y) - largest);
    sum = fma(bitcast<f32>(words[s].z), worth, sum);
    value = fma(bitcast<f32>(words[s].x), worth, value);
  }
  return value / sum;
}

fn stage_combine(layer: u32, tile: u32, lane: u32) {
  if (is_whole(layer, lane)) { return; } // attend has put them
  let row0 = tile * COMBINE_TILE;
  publish_a(layer, row0, min(COMBINE_TILE, ROWS_Q - row0), lane);
}
