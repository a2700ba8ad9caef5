// attend_serial: a block's rows of K, then of V, in workgroup memory; lanes share scores and outputs out.
const ATT_OUT = ATT_HEADS * HEAD_DIM;

const ATTEND_REFILLS = false;
var<workgroup> big: array<f32, BIG>; // a block of K or V rows
var<workgroup> att_q: array<f32, ATT_HEADS * HEAD_DIM>;
var<workgroup> att_o: array<f32, ATT_PARTS * ATT_HEADS * HEAD_DIM>; // [ATT_PARTS][ATT_OUT]: every ATT_PARTS-th position
var<workgroup> att_s: array<f32, ATT_HEADS * ATT_BLOCK>; // scores, then their exponentials
var<workgroup> att_m: array<f32, ATT_HEADS>;     // running maximum
var<workgroup> att_l: array<f32, ATT_HEADS>;     // running sum
var<workgroup> att_alpha: array<f32, ATT_HEADS>; // what the block before is worth now

fn att_take_q(layer: u32, tile: u32, lane: u32) {
  for (var i = lane; i < ATT_HEADS * HEAD_DIM; i += WG) {
    att_q[i] = bitcast<f32>(take(at_layer(layer) + L_Q + att_first_head(tile) * HEAD_DIM + i));
  }
}

fn att_begin(lane: u32) {
  for (var i = lane; i < ATT_PARTS * ATT_OUT; i += WG) { att_o[i] = 0.0; }
  if (lane < ATT_HEADS) {
    att_m[lane] = NEVER;
    att_l[lane] = 0.0;
  }
}

// big[p][d] = rows p0 .. of the cache's k or v, those of earlier dispatches from the cache, this one's
// from its words. Rows are one word apart from a power of two, so that lanes that walk different rows meet
// different banks.
fn att_keep(p: u32, w: u32, word: u32, scale: f32) {
  for (var h = 0u; h < KV_PER_WORD; h++) { big[p * ATT_STRIDE + kv_first(w) + h] = kv_value(word, h) * scale; }
}

// vec4 of the cache's rows of a block.
fn att_n_early(p0: u32, hi: u32) -> u32 { return min(ATT_BLOCK, min(hi, args.pos) - min(p0, args.pos)) * KV_NUM_VECS; }

fn att_early_k(layer: u32, kv_head: u32, p0: u32, hi: u32, lane: u32) {
  for (var i = lane; i < att_n_early(p0, hi); i += WG) {
    let row = kv_row_at(layer, kv_head, p0 + i / KV_NUM_VECS);
    let words = kv_k[row + i % KV_NUM_VECS];
    for (var w = i % KV_NUM_VECS * 4u; w < min(i % KV_NUM_VECS * 4u + 4u, KV_NUM_WORDS); w++) {
      att_keep(i / KV_NUM_VECS, w, words[w % 4u], kv_scale_k(row, kv_first(w)));
    }
  }
}

// Rows of this dispatch; which: 0 for k, 1 for v.
fn att_late(layer: u32, kv_head: u32, p0: u32, hi: u32, which: u32, lane: u32) {
  let first = max(p0, args.pos);
  for (var i = lane; i < (max(first, min(hi, p0 + ATT_BLOCK)) - first) * KV_NUM_WORDS; i += WG) {
    let p = first + i / KV_NUM_WORDS;
    let w = i % KV_NUM_WORDS;
    var scale = 1.0;
    if (KV_SCALED) { scale = bitcast<f32>(take(att_late_at(layer, kv_head, p, which, kv_scale_at(kv_first(w))))); }
    att_keep(p - p0, w, take(att_late_at(layer, kv_head, p, which, w)), scale);
  }
}

fn att_load_v(layer: u32, kv_head: u32, p0: u32, hi: u32, lane: u32) {
  for (var i = lane; i < att_n_early(p0, hi); i += WG) {
    let row = kv_row_at(layer, kv_head, p0 + i / KV_NUM_VECS);
    let words = kv_v[row + i % KV_NUM_VECS];
    for (var w = i % KV_NUM_VECS * 4u; w < min(i % KV_NUM_VECS * 4u + 4u, KV_NUM_WORDS); w++) {
      att_keep(i / KV_NUM_VECS, w, words[w % 4u], kv_scale_v(row, kv_first(w)));
    }
  }
  att_late(layer, kv_head, p0, hi, 1u, lane);
}

// att_s[head][p] = q . k, from att_q and big: ATT_TEAM lanes share a product.
fn att_scores(p0: u32, hi: u32, lane: u32) {
  const N = ATT_HEADS * ATT_BLOCK;
  const PART = (HEAD_DIM + ATT_TEAM - 1u) / ATT_TEAM;
  let d0 = lane % ATT_TEAM * PART;
  for (var first = 0u; first < N; first += WG / ATT_TEAM) {
    let i = first + lane / ATT_TEAM;
    let head = i / ATT_BLOCK;
    let p = i % ATT_BLOCK;
    let attended = i < N && p0 + p < hi;
    var s = 0.0;
    if (attended) {
      for (var d = d0; d < min(d0 + PART, HEAD_DIM); d++) {
        s = fma(att_q[head * HEAD_DIM + d], big[p * ATT_STRIDE + d], s);
      }
    }
    s = team_sum(s, ATT_TEAM, lane);
    if (d0 == 0u && i < N) { att_s[i] = select(NEVER, score_of(s), attended); }
  }
}

// The running softmax takes in a block of n positions: new maximum, what the past is worth, exponentials. A team of
// MAX_TEAM lanes looks after a head.
fn att_softmax(n: u32, lane: u32) {
  let slot = lane % MAX_TEAM;
  for (var first = 0u; first < ATT_HEADS; first += WG / MAX_TEAM) {
    let head = first + lane / MAX_TEAM;
    var m = NEVER;
    if (head < ATT_HEADS) {
      for (var p = slot; p < n; p += MAX_TEAM) { m = max(m, att_s[head * ATT_BLOCK + p]); }
    }
    m = team_max(m, MAX_TEAM, lane);
    if (slot == 0u && head < ATT_HEADS) {
      m = max(m, att_m[head]);
      att_alpha[head] = exp(att_m[head] - m);
      att_m[head] = m;
    }
  }
  workgroupBarrier(); // maxima written before all lanes use them
  for (var i = lane; i < ATT_HEADS * ATT_BLOCK; i += WG) { att_s[i] = exp(att_s[i] - att_m[i / ATT_BLOCK]); }
  workgroupBarrier(); // exponentials written before they are added up
  for (var first = 0u; first < ATT_HEADS; first += WG / MAX_TEAM) {
    let head = first + lane / MAX_TEAM;
    var sum = 0.0;
    if (head < ATT_HEADS) {
      for (var p = slot; p < n; p += MAX_TEAM) { sum += att_s[head * ATT_BLOCK + p]; }
    }
    sum = team_sum(sum, MAX_TEAM, lane);
    if (slot == 0u && head < ATT_HEADS) { att_l[head] = fma(att_l[head], att_alpha[head], sum); }
  }
}

// att_o = att_o * alpha + exponentials . V, from att_s and big.
fn att_mix(p0: u32, hi: u32, lane: u32) {
  let n = min(ATT_BLOCK, hi - p0);
  for (var i = lane; i < ATT_PARTS * ATT_OUT; i += WG) {
    let head = i % ATT_OUT / HEAD_DIM;
    let d = i % HEAD_DIM;
    var o = att_o[i] * att_alpha[head];
    for (var p = i / ATT_OUT; p < n; p += ATT_PARTS) {
      o = fma(att_s[head * ATT_BLOCK + p], big[p * ATT_STRIDE + d], o);
    }
    att_o[i] = o;
  }
}

fn att_put_o(layer: u32, tile: u32, lane: u32) {
  for (var i = lane; i < ATT_OUT; i += WG) {
    let head = att_first_head(tile) + i / HEAD_DIM;
    var o = att_o[i];
    for (var part = 1u; part < ATT_PARTS; part++) { o += att_o[part * ATT_OUT + i]; }
    put(att_part_at(layer, head, tile % N_SPLIT) + i % HEAD_DIM, word_of_f32(o));
  }
}

fn att_put_all_ml(layer: u32, tile: u32, lane: u32) {
  if (lane < ATT_HEADS) {
    att_put_ml(layer, att_first_head(tile) + lane, tile % N_SPLIT, att_m[lane], att_l[lane]);
  }
}

fn attend_early(layer: u32, tile: u32, lane: u32) {
  let span = att_span(layer, tile % N_SPLIT, lane);
  if (span.lo < span.hi) { att_early_k(layer, att_kv_head(tile), span.lo, span.hi, lane); }
}

fn stage_attend(layer: u32, tile: u32, lane: u32) {
  let kv_head = att_kv_head(tile);
  let span = att_span(layer, tile % N_SPLIT, lane);
  att_take_q(layer, tile, lane);
  att_begin(lane);
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    if (p0 > span.lo) { att_early_k(layer, kv_head, p0, span.hi, lane); }
    att_late(layer, kv_head, p0, span.hi, 0u, lane);
    workgroupBarrier(); // q and the block of K written before scores read them
    att_scores(p0, span.hi, lane);
    workgroupBarrier(); // scores written, and K used up, before V takes its place
    att_load_v(layer, kv_head, p0, span.hi, lane);
    att_softmax(min(ATT_BLOCK, span.hi - p0), lane);
    workgroupBarrier(); // V, exponentials and alpha written before the mix reads them
    att_mix(p0, span.hi, lane);
    workgroupBarrier(); // V used up before the next block of K takes its place
  }
  workgroupBarrier(); // an empty split's zeros written before they are put
  att_put_o(layer, tile, lane);
  att_put_all_ml(layer, tile, lane);
  workgroupBarrier(); // att_* read before the next tile writes them
}
