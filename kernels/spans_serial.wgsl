// spans_serial: publishing what neighbours share a scale for, each span walked by one lane.
fn publish_x(at: u32, gain: u32, row0: u32, n: u32, lane: u32) {
  put_residual(at, row0, n, lane);
  put_ss(at, row0, n, lane);
  put_means(at, row0, n, lane);
  gain_rows(gain, row0, n, lane);
  put_y(at + X_Y, at + X_SCALE, row0, n, QD, lane);
  workgroupBarrier(); // rows and ys read before the next tile writes them
}

// ys[0..n) are elements row0.. of the vector at `at`.
fn put_ys(at: u32, at_scale: u32, row0: u32, n: u32, q: u32, lane: u32) { put_y(at, at_scale, row0, n, q, lane); }
