// inputs_shared: two lanes of a subgroup make half a group of inputs int8, a chunk each; of one that is int8 already,
// four have a word each.
fn keep_chunk(c: u32, w: vec4<u32>, lane: u32) {
  let largest = team_max(largest_of(w), 2u, lane);
  let sum = keep_int8(c, w, inverse_of(largest));
  var all = 0.0;
  if (X_SUMS) { all = team_sum(sum, 2u, lane); }
  if (c % 2u == 0u) { keep_scale(c / 2u, largest, all); }
}

fn take_y(at: u32, n_all: u32, group0: u32, n: u32, at_ss: u32, n_ss: u32, lane: u32) {
  for (var c = lane; c < 4u * n; c += WG) {
    let slots = at + 4u * group0 + c + vec4<u32>(0u, 1u, 2u, 3u) * (n_all / 8u);
    keep_chunk(c, settle4(slots, peek4(slots)), lane);
  }
  take_ss(at_ss, n_ss, lane);
}

fn keep_int8_word(i: u32, w: u32, lane: u32) {
  keep_word(i, w);
  if (!X_SUMS) { return; }
  let sum = team_sum(sum4(w), 4u, lane);
  if (i % 4u == 0u) { xsum[i / 8u][i / 4u % 2u] = sum; }
}

// The one scale of a group of H.
fn keep_h_scale(g: u32, w: u32) { xs[g] = vec2<f32>(bitcast<f32>(w)); }

fn take_h(at: u32, group0: u32, n: u32, lane: u32) {
  if (!H_INT8) {
    take_y(at, N_FF, group0, n, 0u, 0u, lane);
    return;
  }
  for (var i = lane; i < 8u * n; i += WG) { keep_int8_word(i, take(at + 8u * group0 + i), lane); }
  for (var g = lane; g < n; g += WG) { keep_h_scale(g, take(at + N_FF / 4u + group0 + g)); }
}
