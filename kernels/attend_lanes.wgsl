// attend_lanes: ATT_TEAM lanes hold a position's rows of K and V in registers, ATT_DIMS numbers of each, and a
// block is one position a team: scores meet in workgroup memory, outputs stay in registers until the split's
// end. The next block's rows are requested while this one is worked on. What names registers is written by
// attend.c. One head a tile: heads that share a kv head meet its rows in the device's cache.
var<workgroup> att_q: array<vec4<f32>, ATT_TEAM * ATT_DIMS / 4u>; // behind HEAD_DIM: zeros
var<workgroup> att_late: array<u32, 2u * N_BLOCK * KV_ROW>; // [N_BLOCK][2][KV_ROW]: k and v rows of this dispatch
var<workgroup> att_s: array<f32, 2u * ATT_BLOCK>;           // scores of a block, by turns
var<workgroup> att_o: array<f32, WG / MAX_TEAM * HEAD_DIM>; // [WG / MAX_TEAM][HEAD_DIM]

const ATTEND_REFILLS = true; // stage_attend requests weights of the stages behind it: refill_out
const ATT_ROUNDS = (ATT_BLOCK + MAX_TEAM - 1u) / MAX_TEAM;

var<private> att_m: f32; // running maximum, of all lanes alike
var<private> att_l: f32; // running sum, of all lanes alike

// q, and this dispatch's rows of the span, to workgroup memory.
fn att_take(layer: u32, tile: u32, span: Span, lane: u32) {
  let first = max(span.lo, args.pos);
  let n = HEAD_DIM + (max(first, span.hi) - first) * 2u * KV_ROW;
  for (var round = 0u; round < (HEAD_DIM + 2u * N_BLOCK * KV_ROW + WG - 1u) / WG; round++) {
    let i = lane + round * WG;
    if (i >= n) { continue; }
    let w = i - HEAD_DIM;
    var at = at_layer(layer) + L_Q + att_first_head(tile) * HEAD_DIM + i;
    if (i >= HEAD_DIM) {
      let p = first + w / (2u * KV_ROW);
      at = att_late_at(layer, att_kv_head(tile), p, w / KV_ROW % 2u, w % KV_ROW);
    }
    let word = take(at);
    if (i < HEAD_DIM) { att_q[i / 4u][i % 4u] = bitcast<f32>(word); } else { att_late[w] = word; }
  }
}

fn att_late_vec(row: u32, v: u32) -> vec4<u32> {
  var words = vec4<u32>();
  for (var c = 0u; c < 4u; c++) {
    if (v * 4u + c < KV_ROW) { words[c] = att_late[row * KV_ROW + v * 4u + c]; }
  }
  return words;
}

// The running softmax takes in the block whose scores stand at att_s[at ..]; returns what the past is worth.
// Every team of MAX_TEAM lanes does the same.
fn att_softmax(at: u32, lane: u32) -> f32 {
  var m = att_m;
  for (var k = 0u; k < ATT_ROUNDS; k++) {
    let i = lane % MAX_TEAM + k * MAX_TEAM;
    if (i < ATT_BLOCK) { m = max(m, att_s[at + i]); }
  }
  m = team_max(m, MAX_TEAM, lane);
  let alpha = exp(att_m - m);
  var sum = 0.0;
  for (var k = 0u; k < ATT_ROUNDS; k++) {
    let i = lane % MAX_TEAM + k * MAX_TEAM;
    if (i < ATT_BLOCK) { sum += exp(att_s[at + i] - m); }
  }
  att_m = m;
  att_l = fma(att_l, alpha, team_sum(sum, MAX_TEAM, lane));
  return alpha;
}

// This subgroup's sum of the number of a row that a lane's number a is.
fn att_keep(a: u32, sum: f32, lane: u32) {
  let d = att_number(lane % ATT_TEAM, a);
  if (d < HEAD_DIM) { att_o[lane / MAX_TEAM * HEAD_DIM + d] = sum; }
}

// What att_keep_all and att_fold come to where a subgroup had no position.
fn att_keep_none(lane: u32) {
  for (var k = 0u; k < (HEAD_DIM + MAX_TEAM - 1u) / MAX_TEAM; k++) {
    let d = lane % MAX_TEAM + k * MAX_TEAM;
    if (d < HEAD_DIM) { att_o[lane / MAX_TEAM * HEAD_DIM + d] = 0.0; }
  }
}

// at_work: whether this subgroup had a position.
fn att_finish(layer: u32, tile: u32, at_work: bool, lane: u32) {
  if (at_work) { att_keep_all(att_fold(lane), lane); }
  else { att_keep_none(lane); }
  workgroupBarrier(); // every subgroup's sums written before they are added up
  let head = att_first_head(tile);
  let at = at_layer(layer) + L_ATT + (head * N_SPLIT + tile % N_SPLIT) * HEAD_DIM;
  for (var round = 0u; round < (HEAD_DIM + WG - 1u) / WG; round++) {
    let d = lane + round * WG;
    if (d >= HEAD_DIM) { continue; }
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
  refill_out(layer, tile, lane); // on their way until attention is put together
  att_begin();
  // Short contexts leave subgroups without a position; those with one should have the multiprocessor for themselves.
  let at_work = apart(span.lo + lane / MAX_TEAM * (MAX_TEAM / ATT_TEAM) < span.hi);
  var turn = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    let p = p0 + lane / ATT_TEAM;
    var s = NEVER;
    if (at_work) {
      att_load_late(p, span, lane);
      s = att_score(p < span.hi, lane);
      att_hold();
      att_load(layer, att_kv_head(tile), p + ATT_BLOCK, span.hi, lane);
    }
    if (lane % ATT_TEAM == 0u) { att_s[turn + lane / ATT_TEAM] = s; }
    workgroupBarrier(); // scores written before all read them; those of two blocks ago are used up
    if (at_work) {
      let alpha = att_softmax(turn, lane);
      att_mix(exp(s - att_m), alpha);
    }
    turn = ATT_BLOCK - turn;
  }
  att_finish(layer, tile, at_work, lane);
  if (lane == 0u) { att_put_ml(layer, att_first_head(tile), tile % N_SPLIT, att_m, att_l); }
}
