// residual: the messages of an X block: the residual itself, its partial sums of squares, and the
// residual times the next norm's gain, which is what the next matrices read. 1/rms is left to the
// consumer: it multiplies finished rows, so nobody waits for a reduction before multiplying.
// (norm_*.wgsl.)

// What a stage takes of its input: n_y words at y, n_scale at scale, n_ss sums at ss; groups from group0 on of
// a vector whose scales span q numbers.
struct Run {
  y: u32, n_y: u32,
  scale: u32, n_scale: u32,
  ss: u32, n_ss: u32,
  group0: u32, q: u32,
}

// Where word i behind the numbers stands: scales, then sums. i is kept within them.
fn behind_at(r: Run, i: u32) -> u32 {
  let k = min(i, r.n_scale + r.n_ss - 1u);
  return select(r.ss + k - r.n_scale, r.scale + k, k < r.n_scale);
}

fn keep_behind(r: Run, i: u32, w: u32) {
  if (i < r.n_scale) { keep_scale(r, i, bitcast<f32>(w)); }
  else if (i < r.n_scale + r.n_ss) { ss[i - r.n_scale] = bitcast<f32>(w); }
}

fn peek4(at: vec4<u32>) -> vec4<u32> { return vec4<u32>(peek(at.x), peek(at.y), peek(at.z), peek(at.w)); }

fn keep4(r: Run, i: vec4<u32>, w: vec4<u32>) {
  if (i.x < r.n_y) { keep_y(i.x, w.x); }
  if (i.y < r.n_y) { keep_y(i.y, w.y); }
  if (i.z < r.n_y) { keep_y(i.z, w.z); }
  if (i.w < r.n_y) { keep_y(i.w, w.w); }
}

// A lane asks for up to nine words before it waits for the first, and waits for four at a time; neighbouring
// lanes ask for neighbouring words. One wait for each word makes a text too long for the instruction cache:
// then a token of eight layers takes twice as long (bench/results/h200-2026-11-24-text).
fn take_run(r: Run, lane: u32) {
  const STEPS = vec4<u32>(0u, WG, 2u * WG, 3u * WG);
  let n_behind = r.n_scale + r.n_ss;
  var behind = 0u;
  if (n_behind > 0u) { behind = peek(behind_at(r, lane)); }
  for (var first = lane; first < r.n_y; first += 8u * WG) {
    let i = first + STEPS;
    let j = i + 4u * WG;
    let at_i = r.y + min(i, vec4<u32>(r.n_y - 1u));
    let at_j = r.y + min(j, vec4<u32>(r.n_y - 1u));
    let word_i = peek4(at_i);
    var word_j = vec4<u32>();
    if (r.n_y > 4u * WG) { word_j = peek4(at_j); }
    keep4(r, i, settle4(at_i, word_i));
    if (r.n_y > 4u * WG) { keep4(r, j, settle4(at_j, word_j)); }
  }
  if (n_behind > 0u) { keep_behind(r, lane, settle(behind_at(r, lane), behind)); }
  for (var i = lane + WG; i < n_behind; i += WG) { keep_behind(r, i, take(behind_at(r, i))); }
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
  else { take_y(at + X_Y, at + X_SCALE, at + X_SS, N_SUM, g0, n, QD, lane); }
  workgroupBarrier(); // words written before they are added up, and before x_load
  add_sums(lane);
  if (X_SUMS) { finish_y(n, lane); }
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
  workgroupBarrier(); // ys written before put_y reads whole quantisation groups
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
  ask_gains(gain, row0, n, lane);
  keep_asked_gains(gain, row0, n, lane);
}

// Its two halves, between which a stage's words are asked for and awaited: a store right behind its load would
// hold them up by a miss of the cache.
var<private> gain_asked: f32; // of the lane's row
fn ask_gains(gain: u32, row0: u32, n: u32, lane: u32) {
  if (lane < n) { gain_asked = gain_at(gain, row0 + lane); }
  else { gain_asked = 0.0; }
}

fn keep_asked_gains(gain: u32, row0: u32, n: u32, lane: u32) {
  if (lane < n) { gains[lane] = gain_asked; }
  for (var round = 1u; round < TAIL_ROUNDS; round++) {
    let r = lane + round * WG;
    if (r < n) { gains[r] = gain_at(gain, row0 + r); }
  }
}

// The gains of a tile of out or of down (KEEPS_OWN: they are alike) beside a stage's words, where no keep_tail brings
// them: ask_own_gains, the stage's take, keep_own_gains.
fn ask_own_gains(gain: u32, tile: u32, lane: u32) {
  if (KEEPS_OWN) { ask_gains(gain, tile * OUT_TILE, min(OUT_TILE, D - tile * OUT_TILE), lane); }
}

fn keep_own_gains(gain: u32, tile: u32, lane: u32) {
  if (KEEPS_OWN) { keep_asked_gains(gain, tile * OUT_TILE, min(OUT_TILE, D - tile * OUT_TILE), lane); }
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
  workgroupBarrier(); // sums written before publish_x reads its quantisation groups
}
