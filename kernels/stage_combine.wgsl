// stage combine: attention's splits put together and quantised, once, as the input of out. One tile =
// COMBINE_TILE elements of the heads side by side.
// takes: attend's parts of the heads in its slice.   puts: its elements of A.
//
// Element i of the heads side by side. A lane asks for all words of its element's splits at once, then waits:
// they come from few workgroups, so no counter is waited for first.
fn combined(layer: u32, i: u32) -> f32 {
  let head = i / HEAD_DIM;
  let at = at_layer(layer) + L_ATT + head * N_SPLIT * HEAD_DIM + i % HEAD_DIM;
  let at_ml = at_layer(layer) + L_ATT_ML + head * N_SPLIT * 2u;
  var o = array<u32, N_SPLIT>();
  var ml = array<u32, 2u * N_SPLIT>(); // maximum, sum of each split
  for (var s = 0u; s < N_SPLIT; s++) { o[s] = peek(at + s * HEAD_DIM); }
  for (var s = 0u; s < 2u * N_SPLIT; s++) { ml[s] = peek(at_ml + s); }
  var largest = NEVER;
  for (var s = 0u; s < N_SPLIT; s++) {
    ml[2u * s] = settle(at_ml + 2u * s, ml[2u * s]);
    largest = max(largest, bitcast<f32>(ml[2u * s]));
  }
  var sum = 0.0;
  var value = 0.0;
  for (var s = 0u; s < N_SPLIT; s++) {
    let worth = exp(bitcast<f32>(ml[2u * s]) - largest);
    sum = fma(bitcast<f32>(settle(at_ml + 2u * s + 1u, ml[2u * s + 1u])), worth, sum);
    value = fma(bitcast<f32>(settle(at + s * HEAD_DIM, o[s])), worth, value);
  }
  return value / sum;
}

fn stage_combine(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * COMBINE_TILE;
  publish_a(layer, row0, min(COMBINE_TILE, ROWS_Q - row0), lane);
}
