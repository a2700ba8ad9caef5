// attend_lanes: ATT_TEAM lanes hold a position's rows of K and V in registers, as ATT_VECS vec4 of each, and a
// block is one position a team: scores meet in workgroup memory, outputs stay in registers until the split's
// end. The next block's rows are requested while this one is worked on. Needs subgroups of MAX_TEAM lanes;
// one head a tile, heads that share a kv head meet its rows in the device's cache.
const ATT_TEAMS = MAX_TEAM / ATT_TEAM; // positions of a subgroup's team
const VEC_DIMS = 4u * KV_PER_WORD;
const ATT_DIMS = ATT_VECS * VEC_DIMS;  // numbers of a row that a lane holds

var<workgroup> att_q: array<f32, ATT_TEAM * ATT_DIMS>;      // behind HEAD_DIM: zeros
var<workgroup> att_late: array<u32, 2u * N_BLOCK * KV_ROW>; // [N_BLOCK][2][KV_ROW]: k and v rows of this dispatch
var<workgroup> att_s: array<f32, 2u * ATT_BLOCK>;           // scores of a block, by turns
var<workgroup> att_o: array<f32, WG / MAX_TEAM * HEAD_DIM>; // [WG / MAX_TEAM][HEAD_DIM]

var<private> att_k: array<vec4<u32>, ATT_VECS>;
var<private> att_v: array<vec4<u32>, ATT_VECS>;
var<private> att_mine: array<f32, ATT_DIMS>; // this lane's part of the output
var<private> att_m: f32;                     // running maximum, of all lanes alike
var<private> att_l: f32;                     // running sum, of all lanes alike

// The number of a row that a lane's number a is.
fn att_dim(a: u32, lane: u32) -> u32 {
  return (lane % ATT_TEAM + a / VEC_DIMS * ATT_TEAM) * VEC_DIMS + a % VEC_DIMS;
}

// Rows of position p, if an earlier dispatch wrote them; neighbouring lanes ask for neighbouring vec4.
fn att_load(layer: u32, kv_head: u32, p: u32, hi: u32, lane: u32) {
  let at = kv_row_at(layer, kv_head, p);
  let early = p < min(hi, args.pos);
  for (var j = 0u; j < ATT_VECS; j++) {
    let v = lane % ATT_TEAM + j * ATT_TEAM;
    if (early && v < KV_VECS) { att_k[j] = kv_k[at + v]; } else { att_k[j] = vec4<u32>(); }
  }
  for (var j = 0u; j < ATT_VECS; j++) {
    let v = lane % ATT_TEAM + j * ATT_TEAM;
    if (early && v < KV_VECS) { att_v[j] = kv_v[at + v]; } else { att_v[j] = vec4<u32>(); }
  }
}

// q, and this dispatch's rows of the span, to workgroup memory.
fn att_take(layer: u32, tile: u32, span: Span, lane: u32) {
  let first = max(span.lo, args.pos);
  let n = HEAD_DIM + (max(first, span.hi) - first) * 2u * KV_ROW;
  for (var i = lane; i < n; i += WG) {
    let w = i - HEAD_DIM;
    var at = at_layer(layer) + L_Q + att_first_head(tile) * HEAD_DIM + i;
    if (i >= HEAD_DIM) {
      let p = first + w / (2u * KV_ROW);
      at = att_late_at(layer, att_kv_head(tile), p, w / KV_ROW % 2u, w % KV_ROW);
    }
    let word = take(at);
    if (i < HEAD_DIM) { att_q[i] = bitcast<f32>(word); } else { att_late[w] = word; }
  }
}

fn att_late_vec(row: u32, v: u32) -> vec4<u32> {
  var words = vec4<u32>();
  for (var c = 0u; c < 4u; c++) {
    if (v * 4u + c < KV_ROW) { words[c] = att_late[row * KV_ROW + v * 4u + c]; }
  }
  return words;
}

// Rows of position p, if this dispatch wrote them: behind att_take and a barrier.
fn att_load_late(p: u32, span: Span, lane: u32) {
  if (p < args.pos || p >= span.hi) { return; }
  let row = 2u * (p - max(span.lo, args.pos));
  for (var j = 0u; j < ATT_VECS; j++) {
    let v = lane % ATT_TEAM + j * ATT_TEAM;
    att_k[j] = att_late_vec(row, v);
    att_v[j] = att_late_vec(row + 1u, v);
  }
}

fn att_begin() {
  for (var a = 0u; a < ATT_DIMS; a++) { att_mine[a] = 0.0; }
  att_m = NEVER;
  att_l = 0.0;
}

fn att_score(attended: bool, lane: u32) -> f32 {
  var s = 0.0;
  for (var a = 0u; a < ATT_DIMS; a++) {
    let word = att_k[a / VEC_DIMS][a / KV_PER_WORD % 4u];
    s = fma(kv_value(word, a % KV_PER_WORD), att_q[att_dim(a, lane)], s);
  }
  return select(NEVER, score_of(team_sum(s, ATT_TEAM, lane)), attended);
}

// The running softmax takes in the block whose scores stand at att_s[at ..]; returns what the past is worth.
// Every team of MAX_TEAM lanes does the same.
fn att_softmax(at: u32, lane: u32) -> f32 {
  var m = att_m;
  for (var i = lane % MAX_TEAM; i < ATT_BLOCK; i += MAX_TEAM) { m = max(m, att_s[at + i]); }
  m = team_max(m, MAX_TEAM, lane);
  let alpha = exp(att_m - m);
  var sum = 0.0;
  for (var i = lane % MAX_TEAM; i < ATT_BLOCK; i += MAX_TEAM) { sum += exp(att_s[at + i] - m); }
  att_m = m;
  att_l = fma(att_l, alpha, team_sum(sum, MAX_TEAM, lane));
  return alpha;
}

fn att_mix(v: array<vec4<u32>, ATT_VECS>, worth: f32, alpha: f32) {
  for (var a = 0u; a < ATT_DIMS; a++) {
    let word = v[a / VEC_DIMS][a / KV_PER_WORD % 4u];
    att_mine[a] = fma(worth, kv_value(word, a % KV_PER_WORD), att_mine[a] * alpha);
  }
}

// One step of adding outputs up over a subgroup's positions: the half of the lanes with a bit set goes on
// with the upper half of the numbers. Returns where this lane's begin.
fn att_fold(step: u32, lane: u32) -> u32 {
  if (step < ATT_TEAM || step >= MAX_TEAM) { return 0u; }
  let half = ATT_DIMS * step / MAX_TEAM;
  let upper = (lane & step) != 0u;
  for (var a = 0u; a < half; a++) {
    let keep = select(att_mine[a], att_mine[a + half], upper);
    att_mine[a] = keep + across(select(att_mine[a + half], att_mine[a], upper), step, lane);
  }
  return select(0u, half, upper);
}

fn att_finish(layer: u32, tile: u32, lane: u32) {
  let a0 = att_fold(16u, lane) + att_fold(8u, lane) + att_fold(4u, lane);
  for (var a = 0u; a < ATT_DIMS / ATT_TEAMS; a++) {
    let d = att_dim(a0 + a, lane);
    if (d < HEAD_DIM) { att_o[lane / MAX_TEAM * HEAD_DIM + d] = att_mine[a]; }
  }
  workgroupBarrier(); // every subgroup's sums written before they are added up
  let head = att_first_head(tile);
  let at = at_layer(layer) + L_ATT + (head * N_SPLIT + tile % N_SPLIT) * HEAD_DIM;
  for (var d = lane; d < HEAD_DIM; d += WG) {
    var o = att_o[d];
    for (var i = 1u; i < WG / MAX_TEAM; i++) { o += att_o[i * HEAD_DIM + d]; }
    put(at + d, word_of_f32(o));
  }
}

fn attend_early(layer: u32, tile: u32, lane: u32) {
  let span = att_span(layer, tile % N_SPLIT, lane);
  att_load(layer, att_kv_head(tile), span.lo + lane / ATT_TEAM, span.hi, lane);
}

fn stage_attend(layer: u32, tile: u32, lane: u32) {
  let span = att_span(layer, tile % N_SPLIT, lane);
  att_take(layer, tile, span, lane);
  workgroupBarrier(); // q and late rows written before they are read
  att_begin();
  var turn = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    let p = p0 + lane / ATT_TEAM;
    att_load_late(p, span, lane);
    let s = att_score(p < span.hi, lane);
    let v = att_v;
    att_load(layer, att_kv_head(tile), p + ATT_BLOCK, span.hi, lane);
    if (lane % ATT_TEAM == 0u) { att_s[turn + lane / ATT_TEAM] = s; }
    workgroupBarrier(); // scores written before all read them; those of two blocks ago are used up
    let alpha = att_softmax(turn, lane);
    att_mix(v, exp(s - att_m), alpha);
    turn = ATT_BLOCK - turn;
  }
  att_finish(layer, tile, lane);
  if (lane == 0u) { att_put_ml(layer, att_first_head(tile), tile % N_SPLIT, att_m, att_l); }
}
