// residual: the messages of an X block: the residual itself, its partial sums of squares, and the
// residual times the next norm's gain, which is what the next matrices read. 1/rms is left to the
// consumer: it multiplies finished rows, so nobody waits for a reduction before multiplying.
// (norm_*.wgsl.)

fn peek4(at: vec4<u32>) -> vec4<u32> { return vec4<u32>(peek(at.x), peek(at.y), peek(at.z), peek(at.w)); }

fn take_ss(at: u32, n: u32, lane: u32) {
  for (var i = lane; i < n; i += WG) { ss[i] = bitcast<f32>(take(at + i)); }
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
  if (chunk_groups == D / 32u) { take_whole_x(at + X_Y, lane); }
  else { take_y(at + X_Y, D, g0, n, at + X_SS, N_SUM, lane); }
  workgroupBarrier(); // words written before they are added up, and before x_load
  add_sums(lane);
}

// rows[0..n) are rows row0.. of the residual. Published are they, their squares' partial sums, and y =
// residual * gain as the next stage's input: by publish_x of spans_*.wgsl, or in the three parts that
// are the unfused operations.
fn put_residual(at: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { put(at + X_RES + row0 + r, word_of_f32(rows[r])); }
}

// Partial sums of squares, to `at` on. Those of a span are added as a tree over 32, as by the butterflies of
// spans_subgroup.
fn put_ss(at: u32, row0: u32, n: u32, lane: u32) {
  for (var q = lane; q < n / QD; q += WG) {
    var v = array<f32, 32>();
    for (var i = 0u; i < QD; i++) { v[i] = fma(rows[q * QD + i], rows[q * QD + i], 0.0); }
    for (var step = 16u; step > 0u; step /= 2u) {
      for (var i = 0u; i < step; i++) { v[i] += v[i + step]; }
    }
    put(at + row0 / QD + q, word_of_f32(v[0]));
  }
}

fn gain_rows(gain: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { ys[r] = rows[r] * gain_at(gain, row0 + r); }
  workgroupBarrier(); // ys written before put_y reads pairs of them
}

// What a stage's tail needs besides the finished rows: of each its residual, and the next norm's gain. Both stand in
// workgroup memory before the products are made: a load that is used behind them waits, on some devices, until all
// weights requested meanwhile are there (bench/results/h100-2026-11-28-text).
var<workgroup> own: array<f32, TAIL_ROWS>;
var<workgroup> gains: array<f32, TAIL_ROWS>;
const TAIL_ROUNDS = (TAIL_ROWS + WG - 1u) / WG;

// Whether the residual's rows never leave their workgroup: each puts a tile of every residual of a token, in one
// dispatch, and finds its own where it left it.
const KEEPS_OWN = WHOLE_STATIC && !POST_NORM && TILES_OUT <= N_WG && OUT_TILE == DOWN_TILE && OUT_TILE == EMBED_TILE;

fn keep_gains(gain: u32, row0: u32, n: u32, lane: u32) {
  for (var round = 0u; round < TAIL_ROUNDS; round++) {
    let r = lane + round * WG;
    if (r < n) { gains[r] = gain_at(gain, row0 + r); }
  }
}

// To be read behind the barrier that follows the products.
fn keep_tail(res: u32, gain: u32, row0: u32, n: u32, lane: u32) {
  keep_gains(gain, row0, n, lane);
  for (var r = lane; r < n; r += WG) { own[r] = bitcast<f32>(take(res + row0 + r)); }
}

// rows[r] becomes the projection's row, with its bias, plus its residual.
fn add_residual(res: u32, bias: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) {
    rows[r] = bitcast<f32>(take(res + row0 + r)) + biased(rows[r], bias + row0 + r);
  }
  workgroupBarrier(); // sums written before publish_x reads whole spans
}
