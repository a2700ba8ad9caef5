// spans_serial: publishing, what a span of neighbours adds up to by one lane.
fn publish_x(at: u32, gain: u32, row0: u32, n: u32, lane: u32) {
  put_residual(at, row0, n, lane);
  if (KEEPS_OWN) {
    for (var r = lane; r < n; r += WG) { own[r] = rows[r]; }
  }
  put_ss(at + X_SS, row0, n, lane);
  put_means(at, row0, n, lane);
  gain_rows(gain, row0, n, lane);
  put_y(at + X_Y, D, row0, n, lane);
}

// The same of the projection's rows plus the residual that keep_tail kept.
fn publish_sum(at: u32, bias: u32, gain: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { rows[r] = own[r] + biased(rows[r], bias + row0 + r); }
  workgroupBarrier(); // sums written before publish_x reads whole spans
  publish_x(at, gain, row0, n, lane);
}

fn publish_h(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { ys[r] = glu_of_rows(layer, row0, r); }
  workgroupBarrier(); // ys written before pairs of them are read
  put_h(layer, row0, n, lane);
}

fn publish_a(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { ys[r] = combined(layer, row0 + r); }
  workgroupBarrier(); // ys written before pairs of them are read
  put_y(at_layer(layer) + L_A, ROWS_Q, row0, n, lane);
  workgroupBarrier(); // ys read before the next tile writes them
}
