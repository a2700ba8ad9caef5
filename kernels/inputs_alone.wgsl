// inputs_alone: a lane makes a whole group of inputs int8, for devices on which lanes share nothing.
fn keep_group(g: u32, slots: vec4<u32>) {
  let w0 = settle4(slots, peek4(slots));
  let w1 = settle4(slots + 1u, peek4(slots + 1u));
  let w2 = settle4(slots + 2u, peek4(slots + 2u));
  let w3 = settle4(slots + 3u, peek4(slots + 3u));
  let largest = max(max(largest_of(w0), largest_of(w1)), max(largest_of(w2), largest_of(w3)));
  let inverse = inverse_of(largest);
  let low = keep_int8(4u * g, w0, inverse) + keep_int8(4u * g + 1u, w1, inverse);
  let high = keep_int8(4u * g + 2u, w2, inverse) + keep_int8(4u * g + 3u, w3, inverse);
  keep_scale(g, largest, low + high);
}

fn take_y(at: u32, n_all: u32, group0: u32, n: u32, at_ss: u32, n_ss: u32, lane: u32) {
  for (var g = lane; g < n; g += WG) {
    keep_group(g, at + 4u * (group0 + g) + vec4<u32>(0u, 1u, 2u, 3u) * (n_all / 8u));
  }
  take_ss(at_ss, n_ss, lane);
}

fn take_h(at: u32, group0: u32, n: u32, lane: u32) {
  if (!H_INT8) {
    take_y(at, N_FF, group0, n, 0u, 0u, lane);
    return;
  }
  for (var g = lane; g < n; g += WG) {
    var sum = 0.0;
    for (var i = 0u; i < 8u; i++) {
      let w = take(at + 8u * (group0 + g) + i);
      keep_word(8u * g + i, w);
      sum += sum4(w);
    }
    xs[g] = bitcast<f32>(take(at + N_FF / 4u + group0 + g));
    if (X_SUMS) { xsum[g] = sum; }
  }
}
