// spans_subgroup: publishing what neighbours share a scale for, a span by MAX_TEAM lanes of a subgroup,
// with no barrier in between. The plan picks this file only where a span is no longer than such a team.
// The same words as spans_serial: a maximum has no order, and squares are added in the same tree.
fn publish_x(at: u32, gain: u32, row0: u32, n: u32, lane: u32) {
  let e = lane % MAX_TEAM;
  for (var first0 = 0u; first0 < n; first0 += WG / MAX_TEAM * QD) {
    let first = first0 + lane / MAX_TEAM * QD;
    var x = 0.0;
    var y = 0.0;
    if (e < QD && first < n) {
      x = rows[first + e];
      y = x * gain_at(gain, row0 + first + e);
      put(at + X_RES + row0 + first + e, word_of_f32(x));
    }
    let ss = team_sum(fma(x, x, 0.0), MAX_TEAM, lane); // not a product, which might be fused with a sum
    if (e == 0u && first < n) { put(at + X_SS + (row0 + first) / QD, word_of_f32(ss)); }
    put_mean(at, (row0 + first) / QD, first < n, e, x, lane);
    put_span(at + X_Y, at + X_SCALE, row0 + first, select(MAX_TEAM, e, first < n), QD, y);
  }
  workgroupBarrier(); // rows read before the next tile writes them
}

// ys[0..n) are elements row0.. of the vector at `at`.
fn put_ys(at: u32, at_scale: u32, row0: u32, n: u32, q: u32, lane: u32) {
  let e = lane % MAX_TEAM;
  for (var first0 = 0u; first0 < n; first0 += WG / MAX_TEAM * q) {
    let first = first0 + lane / MAX_TEAM * q;
    var y = 0.0;
    if (e < q && first < n) { y = ys[first + e]; }
    put_span(at, at_scale, row0 + first, select(MAX_TEAM, e, first < n), q, y);
  }
}
