// attend_lanes: ATT_TEAM lanes hold a position's row of K or V in registers, ATT_DIMS numbers of it, and a block is
// one position a team. All scores of a part of the split, ATT_PART_BLOCKS blocks, are made first, which asks for
// nothing but rows of K, so that each subgroup goes at its own pace; then, behind one barrier, their maximum; then rows
// of V are mixed. Outputs stay in registers until the split's end. What names registers is written by attend.c. One
// head a tile: heads that share a kv head meet its rows in the device's cache. Of a short context each workgroup of a
// head has all scores, and a slice of V's numbers in place of rows, a lane a position: attend_whole.wgsl.
var<workgroup> att_q: array<vec4<f32>, ATT_TEAM * ATT_DIMS / 4u>; // behind HEAD_DIM: zeros
var<workgroup> att_late: array<vec4<u32>, 2u * N_BLOCK * KV_VECS>; // [N_BLOCK][2][KV_VECS]: rows of this dispatch
var<workgroup> att_s: array<f32, ATT_SCORES>;                     // of a part
var<workgroup> att_largest: array<f32, WG / MAX_TEAM>; // a subgroup's largest score of the part
var<workgroup> att_sums: array<f32, WG / MAX_TEAM>;    // what a subgroup's positions are worth
var<workgroup> att_o: array<f32, WG / MAX_TEAM * HEAD_DIM>; // [WG / MAX_TEAM][HEAD_DIM]

const ATTEND_REFILLS = true; // stage_attend requests weights of the stages behind it: refill_out
const ATT_PART = ATT_PART_BLOCKS * ATT_BLOCK;
// Of a part's blocks behind the first, ATT_ROWS at a time (att_r0, ...), so many times.
const ATT_STEPS = (ATT_PART_BLOCKS + ATT_ROWS - 2u) / ATT_ROWS;

var<private> att_k: AttRow; // of a part's first block, requested before the wait
var<private> att_v: AttRow;
var<private> att_r0: AttRow; // of K, then of V, of the blocks behind it, ATT_ROWS at a time
var<private> att_r1: AttRow;
var<private> att_r2: AttRow;
var<private> att_tail_k: u32; // att_tail: of the first block
var<private> att_tail_v: u32;
var<private> att_tail_0: u32; // of the next
var<private> att_tail_r: u32; // of those behind it
var<private> att_m: f32; // running maximum, of all lanes alike
var<private> att_l: f32; // sum of what a lane's positions are worth

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
    if (i < HEAD_DIM) { att_q[i / 4u][i % 4u] = bitcast<f32>(word); }
    else { att_late[w / KV_ROW * KV_VECS + w % KV_ROW / 4u][w % KV_ROW % 4u] = word; }
  }
}

// Where the row of position p stands in the cache; of one that no earlier dispatch wrote, another's.
fn att_at(layer: u32, kv_head: u32, p: u32) -> u32 {
  return kv_row_at(layer, kv_head, min(p, max(args.pos, 1u) - 1u));
}

// And in att_late that of K (which: 0) or V of one that this dispatch made.
fn att_in_late(which: u32, p: u32, span: Span) -> u32 {
  return (2u * (p - max(span.lo, args.pos)) + which) * KV_VECS;
}

// A lane's part of the row of K or V of position p in the cache.
fn att_row(which: u32, layer: u32, kv_head: u32, p: u32, lane: u32) -> AttRow {
  let at = att_at(layer, kv_head, p);
  if (which == 0u) { return att_row_k(at, lane); }
  return att_row_v(at, lane);
}

// Of the first block: which position's V a lane mixes, and of what lane of a team it has the part.
fn att_mixed(p0: u32, span: Span, lane: u32) -> u32 { return p0 + select(lane / ATT_TEAM, lane, span.whole); }
fn att_mixed_slot(tile: u32, span: Span, lane: u32) -> u32 {
  return select(lane % ATT_TEAM, min(tile % N_SPLIT, ATT_TEAM - 1u), span.whole);
}

fn att_row_mixed(layer: u32, tile: u32, p: u32, span: Span, lane: u32) -> AttRow {
  return att_part_v(att_at(layer, att_kv_head(tile), p), att_mixed_slot(tile, span, lane), span.whole);
}

// r, or the row that this dispatch made of position p, of K (which: 0) or V.
fn att_newest(r: AttRow, which: u32, p: u32, span: Span, lane: u32) -> AttRow {
  if (p < args.pos || p >= span.hi) { return r; }
  return att_row_late(att_in_late(which, p, span), lane);
}

// The same of a row of att_row_mixed's.
fn att_newest_mixed(r: AttRow, tile: u32, p: u32, span: Span, lane: u32) -> AttRow {
  if (p < args.pos || p >= span.hi) { return r; }
  return att_part_late(att_in_late(1u, p, span), att_mixed_slot(tile, span, lane), span.whole);
}

// Whether the part at p0 has more blocks than one.
fn att_goes_on(p0: u32, hi: u32) -> bool { return p0 + ATT_BLOCK < hi; }

// Rows asked for under a condition end with a word of the weights, and zeros stand where the condition is false, so
// that a compiler need not keep what stood there. To some compilers a load from the cache, which may be written to, is
// a branch, and they join the last one's with the condition's: what was asked for before it is copied behind the
// branch, and so awaited. A load from what is only read is none. What is never true "uses" the word.
fn att_tail(lane: u32) -> u32 { return ws[lane & 31u].x; }
fn att_use(word: u32, lane: u32) {
  if ((word == args.seed_low) & (args.pos + lane >= N_CTX + WG)) { att_s[0] = NEVER; }
}

fn att_use_all(lane: u32) { att_use(att_tail_k ^ att_tail_v ^ att_tail_0 ^ att_tail_r, lane); }

// Requests the rows of the ATT_ROWS blocks from position p on.
fn att_ask_all(which: u32, layer: u32, kv_head: u32, p: u32, lane: u32) {
  att_r0 = att_row(which, layer, kv_head, p, lane);
  att_r1 = att_row(which, layer, kv_head, p + ATT_BLOCK, lane);
  att_r2 = att_row(which, layer, kv_head, p + 2u * ATT_BLOCK, lane);
}

// Those of the first block, where there is any, and of the others, where there are more.
fn att_ask(which: u32, layer: u32, kv_head: u32, p: u32, any: bool, more: bool, lane: u32) {
  if (any) {
    att_r0 = att_row(which, layer, kv_head, p, lane);
    att_tail_0 = att_tail(lane);
  } else {
    att_r0 = AttRow();
    att_tail_0 = 0u;
  }
  if (more) {
    att_r1 = att_row(which, layer, kv_head, p + ATT_BLOCK, lane);
    att_r2 = att_row(which, layer, kv_head, p + 2u * ATT_BLOCK, lane);
    att_tail_r = att_tail(lane);
  } else {
    att_r1 = AttRow();
    att_r2 = AttRow();
    att_tail_r = 0u;
  }
}

// Of rows just asked for from position p on, those that this dispatch made.
fn att_renew(which: u32, p: u32, span: Span, lane: u32) {
  att_r0 = att_newest(att_r0, which, p, span, lane);
  att_r1 = att_newest(att_r1, which, p + ATT_BLOCK, span, lane);
  att_r2 = att_newest(att_r2, which, p + 2u * ATT_BLOCK, span, lane);
}

// What of a part at p0 is requested before q is there: of its first block both rows, of the next ones those of K.
fn att_request(layer: u32, tile: u32, p0: u32, span: Span, lane: u32) {
  let kv_head = att_kv_head(tile);
  let p = p0 + lane / ATT_TEAM;
  if (p < min(span.hi, args.pos)) { // one branch with both outcomes holds the loads where they stand: see stream.h
    att_k = att_row(0u, layer, kv_head, p, lane);
    att_tail_k = att_tail(lane);
  } else {
    att_k = AttRow();
    att_tail_k = 0u;
  }
  let mixed = att_mixed(p0, span, lane);
  if (mixed < min(span.hi, args.pos)) {
    att_v = att_row_mixed(layer, tile, mixed, span, lane);
    att_tail_v = att_tail(lane);
  } else {
    att_v = AttRow();
    att_tail_v = 0u;
  }
  let hi = min(span.hi, p0 + ATT_PART);
  att_ask(0u, layer, kv_head, p + ATT_BLOCK, att_goes_on(p0, hi), att_goes_on(p0 + ATT_BLOCK, hi), lane);
}

// Scores of blocks 1, 2, ... of the part at p0 that ends before hi; their maximum, or m.
fn att_score_rows(layer: u32, tile: u32, p0: u32, hi: u32, span: Span, m: f32, lane: u32) -> f32 {
  var largest = m;
  for (var k = 0u; k < ATT_STEPS; k++) {
    let b = 1u + k * ATT_ROWS;
    let i = b * ATT_BLOCK + lane / ATT_TEAM;
    let p = p0 + i;
    if (p0 + (b + ATT_ROWS) * ATT_BLOCK > args.pos) { att_renew(0u, p, span, lane); }
    let s0 = att_score(att_r0, p < hi, lane);
    var s1 = NEVER;
    var s2 = NEVER;
    if (att_goes_on(p0 + b * ATT_BLOCK, hi)) {
      s1 = att_score(att_r1, p + ATT_BLOCK < hi, lane);
      s2 = att_score(att_r2, p + 2u * ATT_BLOCK < hi, lane);
    }
    if (lane % ATT_TEAM == 0u) {
      att_s[i] = s0;
      att_s[i + ATT_BLOCK] = s1;
      att_s[i + 2u * ATT_BLOCK] = s2;
    }
    largest = max(max(largest, s0), max(s1, s2));
    if (p0 + (b + ATT_ROWS) * ATT_BLOCK >= hi) { break; }
    att_ask_all(0u, layer, att_kv_head(tile), p + ATT_ROWS * ATT_BLOCK, lane);
  }
  return largest;
}

// Mixes the V rows of the same blocks.
fn att_mix_rows(layer: u32, tile: u32, p0: u32, hi: u32, span: Span, lane: u32) {
  for (var k = 0u; k < ATT_STEPS; k++) {
    let b = 1u + k * ATT_ROWS;
    let i = b * ATT_BLOCK + lane / ATT_TEAM;
    let p = p0 + i;
    if (p0 + (b + ATT_ROWS) * ATT_BLOCK > args.pos) { att_renew(1u, p, span, lane); }
    att_mix(att_r0, exp(att_s[i] - att_m));
    att_mix(att_r1, exp(att_s[i + ATT_BLOCK] - att_m));
    att_mix(att_r2, exp(att_s[i + 2u * ATT_BLOCK] - att_m));
    if (p0 + (b + ATT_ROWS) * ATT_BLOCK >= hi) { break; }
    att_ask_all(1u, layer, att_kv_head(tile), p + ATT_ROWS * ATT_BLOCK, lane);
  }
}

// The running maximum takes in a team's; returns what the past is worth.
fn att_raise(largest: f32, lane: u32) -> f32 {
  let m = team_max(largest, MAX_TEAM, lane);
  if (lane % MAX_TEAM == 0u) { att_largest[lane / MAX_TEAM] = m; }
  workgroupBarrier(); // maxima and scores written before they are read
  var all = att_m;
  for (var i = 0u; i < WG / MAX_TEAM; i++) { all = max(all, att_largest[i]); }
  let alpha = exp(att_m - all);
  att_m = all;
  return alpha;
}

// Whether this subgroup, `team` lanes a position, has one of lo .. hi. Short contexts leave some without; those with
// one should have the multiprocessor for themselves.
fn att_at_work(lo: u32, hi: u32, team: u32, lane: u32) -> bool {
  return apart(lo + lane / MAX_TEAM * (MAX_TEAM / team) < hi);
}

// Whether this subgroup mixes any of lo .. hi.
fn att_mixes(lo: u32, hi: u32, span: Span, lane: u32) -> bool {
  return att_at_work(lo, hi, select(ATT_TEAM, 1u, span.whole), lane);
}

// Positions p0 .. of the span, as many as a part has.
fn att_part(layer: u32, tile: u32, p0: u32, span: Span, lane: u32) {
  let hi = min(span.hi, p0 + ATT_PART);
  let p = p0 + lane / ATT_TEAM;
  let at_work = att_at_work(p0, hi, ATT_TEAM, lane);
  var s = NEVER;
  var largest = NEVER;
  if (at_work) {
    s = att_score(att_newest(att_k, 0u, p, span, lane), p < hi, lane);
    largest = s;
    if (span.whole && lane % ATT_TEAM == 0u) { att_s[lane / ATT_TEAM] = s; }
    if (att_goes_on(p0, hi)) { largest = att_score_rows(layer, tile, p0, hi, span, s, lane); }
  }
  let goes_on = !span.whole && att_goes_on(p0, hi);
  att_ask(1u, layer, att_kv_head(tile), p + ATT_BLOCK, goes_on, goes_on, lane);
  let alpha = att_raise(largest, lane);
  if (p0 != span.lo) { att_rescale(alpha); }
  if (att_mixes(p0, hi, span, lane)) {
    let mixed = att_mixed(p0, span, lane);
    if (span.whole) { s = select(NEVER, att_s[lane], mixed < hi); }
    att_mix(att_newest_mixed(att_v, tile, mixed, span, lane), exp(s - att_m));
    att_use(att_tail_0 ^ att_tail_r, lane);
    if (goes_on) { att_mix_rows(layer, tile, p0, hi, span, lane); }
  }
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
fn att_finish(layer: u32, tile: u32, at_work: bool, whole: bool, lane: u32) {
  if (at_work) {
    let first = att_fold(lane);
    if (whole) {
      att_fold_team(lane);
      att_keep_slice(first, lane);
    } else { att_keep_all(first, lane); }
  } else { att_keep_none(lane); }
  if (lane % MAX_TEAM == 0u) { att_sums[lane / MAX_TEAM] = att_l; }
  workgroupBarrier(); // every subgroup's sums written before they are added up
  if (whole) { whole_publish(layer, tile, lane); }
  else { att_publish(layer, tile, lane); }
}

// What combine puts together.
fn att_publish(layer: u32, tile: u32, lane: u32) {
  let head = att_first_head(tile);
  let at = att_part_at(layer, head, tile % N_SPLIT);
  for (var round = 0u; round < (HEAD_DIM + WG) / WG; round++) {
    let d = lane + round * WG;
    if (d > HEAD_DIM) { continue; }
    if (d == HEAD_DIM) {
      var l = att_sums[0];
      for (var i = 1u; i < WG / MAX_TEAM; i++) { l += att_sums[i]; }
      att_put_ml(layer, head, tile % N_SPLIT, att_m, l);
      continue;
    }
    var o = att_o[d];
    for (var i = 1u; i < WG / MAX_TEAM; i++) { o += att_o[i * HEAD_DIM + d]; }
    put(at + d, word_of_f32(o));
  }
}

fn attend_early(layer: u32, tile: u32, lane: u32) {
  let span = att_span(layer, tile % N_SPLIT, lane);
  att_request(layer, tile, span.lo, span, lane);
}

fn stage_attend(layer: u32, tile: u32, lane: u32) {
  let span = att_span(layer, tile % N_SPLIT, lane);
  att_take(layer, tile, span, lane);
  workgroupBarrier(); // q and late rows written before they are read
  att_use_all(lane); // or the first score would wait for what is requested next, too
  refill_out(layer, tile, lane); // on their way until attention is put together
  att_begin();
  if (ATT_ONE_PART) { // no loop: see walk_layer_once
    if (span.lo < span.hi) { att_part(layer, tile, span.lo, span, lane); }
  } else {
    for (var p0 = span.lo; p0 < span.hi; p0 += ATT_PART) {
      if (p0 != span.lo) {
        att_request(layer, tile, p0, span, lane);
        workgroupBarrier(); // the part before is done with its scores
        att_use_all(lane);
      }
      att_part(layer, tile, p0, span, lane);
    }
  }
  att_finish(layer, tile, att_mixes(span.lo, span.hi, span, lane), span.whole, lane);
}
