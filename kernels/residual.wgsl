// residual: the messages of an X block: the residual itself, its partial sums of squares, and the
// residual times the next norm's gain, which is what the next matrices read. 1/rms is left to the
// consumer: it multiplies finished rows, so nobody waits for a reduction before multiplying.
var<private> x_inv: f32; // 1 / rms of the vector that take_x brought in

// The order of additions depends on MAX_TEAM alone; every lane gets the sum.
fn add_sums(n: u32, lane: u32) {
  var s = 0.0;
  for (var i = lane % MAX_TEAM; i < n; i += MAX_TEAM) { s += ss[i]; }
  x_inv = inverseSqrt(fma(team_sum(s, MAX_TEAM, lane), 1.0 / f32(D), NORM_EPS));
}

// What a stage takes of its input: n_y words at y, n_scale at scale, n_ss sums at ss; groups from group0 on of
// a vector whose scales span q numbers.
struct Run {
  y: u32, n_y: u32,
  scale: u32, n_scale: u32,
  ss: u32, n_ss: u32,
  group0: u32, q: u32,
}

fn run_at(r: Run, i: vec4<u32>) -> vec4<u32> {
  let behind = select(r.ss + i - r.n_y - r.n_scale, r.scale + i - r.n_y, i < vec4<u32>(r.n_y + r.n_scale));
  return select(behind, r.y + i, i < vec4<u32>(r.n_y));
}

fn peek4(at: vec4<u32>) -> vec4<u32> { return vec4<u32>(peek(at.x), peek(at.y), peek(at.z), peek(at.w)); }

fn keep4(r: Run, i: vec4<u32>, at: vec4<u32>, peeked: vec4<u32>) {
  let end = r.n_y + r.n_scale + r.n_ss;
  if (i.x < end) { keep_word(r, i.x, settle(at.x, peeked.x)); }
  if (i.y < end) { keep_word(r, i.y, settle(at.y, peeked.y)); }
  if (i.z < end) { keep_word(r, i.z, settle(at.z, peeked.z)); }
  if (i.w < end) { keep_word(r, i.w, settle(at.w, peeked.w)); }
}

// A lane asks for up to eight words before it waits for the first; neighbouring lanes ask for neighbouring
// words.
fn take_run(r: Run, lane: u32) {
  const STEPS = vec4<u32>(0u, WG, 2u * WG, 3u * WG);
  let end = r.n_y + r.n_scale + r.n_ss;
  for (var first = lane; first < end; first += 8u * WG) {
    let i = first + STEPS;
    let j = i + 4u * WG;
    let at_i = run_at(r, min(i, vec4<u32>(end - 1u)));
    let at_j = run_at(r, min(j, vec4<u32>(end - 1u)));
    let word_i = peek4(at_i);
    var word_j = vec4<u32>();
    if (end > 4u * WG) { word_j = peek4(at_j); }
    keep4(r, i, at_i, word_i);
    if (end > 4u * WG) { keep4(r, j, at_j, word_j); }
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
  take_y(at + X_Y, at + X_SCALE, at + X_SS, N_SS, g0, n, QD, lane);
  workgroupBarrier(); // words written before they are added up, and before x_load
  add_sums(N_SS, lane);
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

// What a stage's tail needs besides the finished rows, asked for before the products are made: of one row,
// the first that this lane will publish (tail_row of spans_*.wgsl).
struct Tail {
  own: u32,  // the residual's word, as peeked
  gain: f32, // of the next norm
}

fn ask_tail(res: u32, gain: u32, row0: u32, n: u32, lane: u32) -> Tail {
  let r = min(tail_row(lane), n - 1u);
  return Tail(peek(res + row0 + r), gain_at(gain, row0 + r));
}

// rows[r] becomes the projection's row plus its residual.
fn add_residual(res: u32, row0: u32, n: u32, own: u32, lane: u32) {
  if (lane < n) { rows[lane] = bitcast<f32>(settle(res + row0 + lane, own)) + rows[lane]; }
  for (var r = lane + WG; r < n; r += WG) { rows[r] = bitcast<f32>(take(res + row0 + r)) + rows[r]; }
  workgroupBarrier(); // sums written before publish_x reads its quantisation groups
}
