// spans_serial: publishing what neighbours share a scale for, each span walked by one lane.
fn publish_x(at: u32, gain: u32, row0: u32, n: u32, lane: u32) {
  put_residual(at, row0, n, lane);
  if (KEEPS_OWN) {
    for (var r = lane; r < n; r += WG) { own[r] = rows[r]; }
  }
  put_ss(at + X_SS, row0, n, lane);
  put_means(at, row0, n, lane);
  gain_rows(gain, row0, n, lane);
  put_y(at + X_Y, at + X_SCALE, row0, n, QD, lane);
}

// The same of the projection's rows plus the residual that keep_tail kept.
fn publish_sum(at: u32, bias: u32, gain: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { rows[r] = own[r] + biased(rows[r], bias + row0 + r); }
  workgroupBarrier(); // sums written before publish_x reads its quantisation groups
  publish_x(at, gain, row0, n, lane);
}

fn publish_h(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { ys[r] = glu_of_rows(layer, row0, r); }
  workgroupBarrier(); // ys written before whole quantisation groups are read
  put_ys(at_layer(layer) + L_H, at_layer(layer) + L_H_SCALE, row0, n, QF, lane);
}

fn publish_a(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { ys[r] = combined(layer, row0 + r); }
  workgroupBarrier(); // ys written before whole quantisation groups are read
  put_ys(at_layer(layer) + L_A, at_layer(layer) + L_A_SCALE, row0, n, QA, lane);
  workgroupBarrier(); // ys read before the next tile writes them
}

// n elements of A from row0 on, a slice of a head that one workgroup has (attend_whole.wgsl).
fn publish_slice(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var a = lane; a < n; a += WG) { ys[a] = slice_number(a); }
  workgroupBarrier(); // ys written before whole quantisation groups are read
  put_ys(at_layer(layer) + L_A, at_layer(layer) + L_A_SCALE, row0, n, QA, lane);
}

// ys[0..n) are elements row0.. of the vector at `at`.
fn put_ys(at: u32, at_scale: u32, row0: u32, n: u32, q: u32, lane: u32) { put_y(at, at_scale, row0, n, q, lane); }
