// attend_whole: short contexts. Where all positions attended to are no more than ATT_WHOLE (a lane each), every
// workgroup of a head makes all of its scores, which is cheap, and mixes an ATT_TEAM-th of V's numbers over all
// positions: a slice of the head's output is finished where it is made, and nobody has parts to combine, which is a
// hand-off less (bench/results/h200-2026-11-28-whole). Blocks and scores are those of attend_lanes.wgsl. Split s of a head has slice s of its numbers, whole spans of A; splits behind the last slice have nothing.
fn whole_is_idle(tile: u32) -> bool { return tile % N_SPLIT >= ATT_TEAM; }

// Slice `slot` of the row of V of position p in the cache, as att_row gives parts.
fn whole_row(layer: u32, kv_head: u32, p: u32, slot: u32) -> AttRow {
  return att_slice_v(kv_row_at(layer, kv_head, min(p, max(args.pos, 1u) - 1u)), slot);
}

// r, or that of the row that this dispatch made.
fn whole_newest(r: AttRow, p: u32, span: Span, slot: u32) -> AttRow {
  if (p < args.pos || p >= span.hi) { return r; }
  return att_slice_late((2u * (p - max(span.lo, args.pos)) + 1u) * KV_VECS, slot);
}

// What does not wait for q: rows of K as far as there are blocks, and the slice of V's row of the lane's own position.
fn whole_request(layer: u32, tile: u32, span: Span, lane: u32) {
  let kv_head = att_kv_head(tile);
  let hi = min(span.hi, args.pos);
  let p = span.lo + lane / ATT_TEAM;
  if (p < hi) { att_k = att_row(0u, layer, kv_head, p, lane); }
  else { att_k = att_nothing(); }
  if (span.lo + lane < hi && !whole_is_idle(tile)) { att_v = whole_row(layer, kv_head, span.lo + lane, tile % N_SPLIT); }
  else { att_v = att_nothing(); }
  if (p + ATT_BLOCK < hi) { att_r0 = att_row(0u, layer, kv_head, p + ATT_BLOCK, lane); }
  else { att_r0 = att_nothing(); }
  if (p + 2u * ATT_BLOCK < hi) {
    att_r1 = att_row(0u, layer, kv_head, p + 2u * ATT_BLOCK, lane);
    att_r2 = att_row(0u, layer, kv_head, p + 3u * ATT_BLOCK, lane);
  } else {
    att_r1 = att_nothing();
    att_r2 = att_nothing();
  }
}

// The score of a team's position p, kept; its row r of K.
fn whole_score(r: AttRow, p: u32, span: Span, lane: u32) -> f32 {
  let s = att_score(att_newest(r, 0u, p, span, lane), p < span.hi, lane);
  if (lane % ATT_TEAM == 0u) { att_s[p - span.lo] = s; }
  return s;
}

// Scores of all blocks that have a position of this subgroup; the largest.
fn whole_scores(span: Span, lane: u32) -> f32 {
  let p = span.lo + lane / ATT_TEAM;
  if (!att_at_work(span.lo, span.hi, lane)) { return NEVER; }
  var largest = whole_score(att_k, p, span, lane);
  if (att_at_work(span.lo + ATT_BLOCK, span.hi, lane)) {
    largest = max(largest, whole_score(att_r0, p + ATT_BLOCK, span, lane));
  }
  if (att_at_work(span.lo + 2u * ATT_BLOCK, span.hi, lane)) {
    largest = max(largest, whole_score(att_r1, p + 2u * ATT_BLOCK, span, lane));
    largest = max(largest, whole_score(att_r2, p + 3u * ATT_BLOCK, span, lane));
  }
  return largest;
}

// What the lane's position, of the whole span, adds to the slice.
fn whole_mix(r: AttRow, tile: u32, span: Span, worth: f32, lane: u32) {
  let p = span.lo + lane;
  att_mix(whole_newest(r, p, span, tile % N_SPLIT), select(0.0, worth, p < span.hi));
}

// Whether this subgroup mixes anything.
fn whole_mixes(span: Span, lane: u32) -> bool {
  return apart(span.lo + lane / MAX_TEAM * MAX_TEAM < span.hi);
}

// This subgroup's sum of number a of the slice.
fn att_keep_part(a: u32, sum: f32, lane: u32) {
  if (lane % ATT_TEAM == 0u) { att_o[lane / MAX_TEAM * HEAD_DIM + a] = sum; }
}

// The slice's numbers, which are those of A; and in the place of parts, which nobody takes, zeros: every slot is put
// once a token.
fn whole_publish(layer: u32, tile: u32, lane: u32) {
  let e = lane % MAX_TEAM;
  let row0 = att_first_head(tile) * HEAD_DIM + tile % N_SPLIT * ATT_SLICE;
  for (var round = 0u; round < (ATT_SLICE + QA * SPAN_TEAMS - 1u) / (QA * SPAN_TEAMS); round++) {
    let first = (lane / MAX_TEAM + round * SPAN_TEAMS) * QA;
    if (whole_is_idle(tile) || first >= ATT_SLICE) { continue; }
    let a = first + min(e, QA - 1u);
    var o = att_o[a];
    var l = att_sums[0];
    for (var i = 1u; i < WG / MAX_TEAM; i++) {
      o += att_o[i * HEAD_DIM + a];
      l += att_sums[i];
    }
    put_span(at_layer(layer) + L_A, at_layer(layer) + L_A_SCALE, row0 + first, e, QA, select(0.0, o / l, e < QA));
  }
  let part = att_first_head(tile) * N_SPLIT + tile % N_SPLIT;
  for (var d = lane; d < HEAD_DIM; d += WG) { put(at_layer(layer) + L_ATT + part * HEAD_DIM + d, word_of_f32(0.0)); }
  if (lane == 0u) { att_put_ml(layer, att_first_head(tile), tile % N_SPLIT, 0.0, 0.0); }
}

fn whole_finish(layer: u32, tile: u32, span: Span, lane: u32) {
  if (whole_mixes(span, lane)) {
    let first = att_fold(lane);
    att_fold_team(lane);
    att_keep_slice(first, lane);
  } else {
    for (var a = lane % MAX_TEAM; a < ATT_SLICE; a += MAX_TEAM) { att_o[lane / MAX_TEAM * HEAD_DIM + a] = 0.0; }
  }
  if (lane % MAX_TEAM == 0u) { att_sums[lane / MAX_TEAM] = att_l; }
  workgroupBarrier(); // every subgroup's sums written before they are added up
  whole_publish(layer, tile, lane);
}

fn attend_whole(layer: u32, tile: u32, span: Span, lane: u32) {
  _ = att_raise(whole_scores(span, lane), lane);
  if (whole_mixes(span, lane)) { whole_mix(att_v, tile, span, exp(att_s[lane] - att_m), lane); }
  whole_finish(layer, tile, span, lane);
}
