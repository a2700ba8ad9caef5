// inputs_alone: a lane makes half a group of inputs int8, for devices on which lanes share nothing.
fn keep_half(h: u32, slots: vec4<u32>) {
  let w0 = settle4(slots, peek4(slots));
  let w1 = settle4(slots + 1u, peek4(slots + 1u));
  let largest = max(largest_of(w0), largest_of(w1));
  let inverse = inverse_of(largest);
  keep_scale(h, largest, keep_int8(2u * h, w0, inverse) + keep_int8(2u * h + 1u, w1, inverse));
}

fn take_y(at: u32, n_all: u32, group0: u32, n: u32, at_ss: u32, n_ss: u32, lane: u32) {
  for (var h = lane; h < 2u * n; h += WG) {
    keep_half(h, at + 2u * (2u * group0 + h) + vec4<u32>(0u, 1u, 2u, 3u) * (n_all / 8u));
  }
  take_ss(at_ss, n_ss, lane);
}

fn take_h(at: u32, group0: u32, n: u32, lane: u32) {
  if (!H_INT8) {
    take_y(at, N_FF, group0, n, 0u, 0u, lane);
    return;
  }
  for (var h = lane; h < 2u * n; h += WG) {
    var sum = 0.0;
    for (var i = 4u * h; i < 4u * h + 4u; i++) {
      let w = take(at + 8u * group0 + i);
      keep_word(i, w);
      sum += sum4(w);
    }
    xs[h / 2u][h % 2u] = bitcast<f32>(take(at + N_FF / 4u + group0 + h / 2u));
    if (X_SUMS) { xsum[h / 2u][h % 2u] = sum; }
  }
}
