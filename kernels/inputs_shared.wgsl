// inputs_shared: four lanes of a subgroup make a group of inputs int8, a chunk each.
fn keep_chunk(c: u32, w: vec4<u32>, lane: u32) {
  let largest = team_max(largest_of(w), 4u, lane);
  let sum = keep_int8(c, w, inverse_of(largest));
  var all = 0.0;
  if (X_SUMS) { all = team_sum(sum, 4u, lane); }
  if (c % 4u == 0u) { keep_scale(c / 4u, largest, all); }
}

fn take_y(at: u32, n_all: u32, group0: u32, n: u32, at_ss: u32, n_ss: u32, lane: u32) {
  for (var c = lane; c < 4u * n; c += WG) {
    let slots = at + 4u * group0 + c + vec4<u32>(0u, 1u, 2u, 3u) * (n_all / 8u);
    keep_chunk(c, settle4(slots, peek4(slots)), lane);
  }
  take_ss(at_ss, n_ss, lane);
}
