// residual: the messages of an X block: the residual itself, its partial sums of squares, and the
// residual times the next norm's gain, which is what the next matrices read. 1/rms is left to the
// consumer: it multiplies finished rows, so nobody waits for a reduction before multiplying.
// 1 / rms of the vector whose partial sums take_x brought in. The order of additions is fixed by
// D alone, so every geometry and factoring gets the same bits.
fn inv_rms() -> f32 {
  let s = ((ss_part[0] + ss_part[1]) + (ss_part[2] + ss_part[3])) +
          ((ss_part[4] + ss_part[5]) + (ss_part[6] + ss_part[7]));
  return inverseSqrt(fma(s, 1.0 / f32(D), NORM_EPS));
}

fn put_sums(e: u32, n: u32, v: vec4<f32>) {
  for (var k = 0u; k < 4u; k++) {
    if (e + k < n) { ss[e + k] = v[k]; }
  }
}

// ss added up eight ways; the next barrier puts ss_part before inv_rms.
fn add_sums(n: u32, lane: u32) {
  if (lane < 8u && n > 0u) {
    var s = 0.0;
    for (var i = lane; i < n; i += 8u) { s += ss[i]; }
    ss_part[lane] = s;
  }
}

// x_load of a group; zeros behind the last of n groups.
fn x_load_within(g: u32, n: u32) -> X {
  if (g < n) { return x_load(g); }
  return X();
}

// A stage's input, groups of a chunk of it, ready for x_load: the X block at `at`.
fn take_x(at: u32, chunk: u32, chunk_groups: u32, lane: u32) {
  let g0 = chunk * chunk_groups;
  let n = min(chunk_groups, D / 32u - g0);
  take_y(at + X_Y, at + X_SCALE, at + X_SS, N_SUM, g0, n, QD, lane);
  workgroupBarrier(); // words written before they are added up, and before x_load
  add_means(lane);
  add_sums(N_SS, lane); // for inv_rms, behind the barrier that every product ends in
  if (X_SUMS) { finish_y(n, lane); }
}

// rows[0..n) are rows row0.. of the residual. Published are they, their squares' partial sums, and y =
// residual * gain as the next stage's input: by publish_x of spans_*.wgsl, or in the three parts that
// are the unfused operations.
fn put_residual(at: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { put(at + X_RES + row0 + r, word_of_f32(rows[r])); }
}

// The squares of a span are added as a tree over 32, as by the butterflies of spans_subgroup.
fn put_ss(at: u32, row0: u32, n: u32, lane: u32) {
  for (var q = lane; q < n / QD; q += WG) {
    var v = array<f32, 32>();
    for (var i = 0u; i < QD; i++) { v[i] = fma(rows[q * QD + i], rows[q * QD + i], 0.0); }
    for (var step = 16u; step > 0u; step /= 2u) {
      for (var i = 0u; i < step; i++) { v[i] += v[i + step]; }
    }
    put(at + X_SS + row0 / QD + q, word_of_f32(v[0]));
  }
}

fn gain_rows(gain: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { ys[r] = rows[r] * gain_at(gain, row0 + r); }
  workgroupBarrier(); // ys written before put_y reads whole quantisation groups
}
