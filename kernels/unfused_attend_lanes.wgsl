// unfused_attend_lanes: scores, softmax and mix of attend_lanes.wgsl as operations of their own. Where a block's
// weights stand, behind them stands what the parts before are worth (1 but in a part's first block). The maximum
// stands where combine finds it.
//
// Of a context that is attended to whole, split s of a head has block s of the scores, split 0 its softmax, and each
// mixes its slice of V. The scores are as many as lanes: where a lane's stands.
fn whole_score_at(tile: u32, lane: u32) -> u32 {
  return block_at(tile / N_SPLIT * N_SPLIT + lane / ATT_BLOCK, 0u) + lane % ATT_BLOCK;
}

// Scores of the block at p0 to `at`.
fn store_scores(tile: u32, span: Span, p0: u32, at: u32, lane: u32) {
  let p = p0 + lane / ATT_TEAM;
  let r = att_row(0u, place.layer, att_kv_head(tile), p, lane);
  let s = att_score(att_newest(r, 0u, p, span, lane), p < span.hi, lane);
  if (lane % ATT_TEAM == 0u) { msg[at + lane / ATT_TEAM] = bitcast<u32>(s); }
}

fn op_softmax_whole(tile: u32, lane: u32) {
  let at = whole_score_at(tile, lane);
  let s = bitcast<f32>(msg[at]);
  att_begin();
  _ = att_raise(s, lane);
  msg[at] = bitcast<u32>(exp(s - att_m));
}

fn op_mix_whole(tile: u32, span: Span, lane: u32) {
  let p = span.lo + lane;
  att_begin();
  if (att_mixes(span.lo, span.hi, span, lane)) {
    let worth = bitcast<f32>(msg[whole_score_at(tile, lane)]);
    let r = att_row_mixed(place.layer, tile, p, span, lane);
    att_mix(att_newest_mixed(r, tile, p, span, lane), select(0.0, worth, p < span.hi));
  }
  att_finish(place.layer, tile, att_mixes(span.lo, span.hi, span, lane), true, lane);
}

@compute @workgroup_size(WG)
fn op_scores(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let span = att_span(place.layer, wg.x % N_SPLIT, lane);
  att_take(place.layer, wg.x, span, lane);
  workgroupBarrier(); // q and late rows written before they are read
  if (span.whole) {
    let split = wg.x % N_SPLIT;
    if (!whole_is_idle(wg.x)) { store_scores(wg.x, span, span.lo + split * ATT_BLOCK, block_at(wg.x, 0u), lane); }
    return;
  }
  var block = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    store_scores(wg.x, span, p0, block_at(wg.x, block), lane);
    block++;
  }
}

@compute @workgroup_size(WG)
fn op_softmax(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let span = att_span(place.layer, wg.x % N_SPLIT, lane);
  if (span.whole) {
    if (wg.x % N_SPLIT == 0u) { op_softmax_whole(wg.x, lane); }
    return;
  }
  att_begin();
  var first = 0u; // block of the part
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_PART) {
    let n = (min(span.hi - p0, ATT_PART) + ATT_BLOCK - 1u) / ATT_BLOCK;
    var largest = NEVER;
    for (var b = 0u; b < n; b++) {
      let at = block_at(wg.x, first + b);
      for (var i = lane; i < ATT_BLOCK; i += WG) { largest = max(largest, bitcast<f32>(msg[at + i])); }
    }
    let alpha = att_raise(largest, lane);
    for (var b = 0u; b < n; b++) {
      let at = block_at(wg.x, first + b);
      for (var i = lane; i < ATT_BLOCK; i += WG) { msg[at + i] = bitcast<u32>(exp(bitcast<f32>(msg[at + i]) - att_m)); }
      if (lane == 0u) { msg[at + ATT_BLOCK] = bitcast<u32>(select(1.0, alpha, b == 0u)); }
    }
    workgroupBarrier(); // maxima read before the next part's take their place
    first += n;
  }
  if (lane == 0u) { put(att_ml_at(place.layer, att_first_head(wg.x), wg.x % N_SPLIT), word_of_f32(att_m)); }
}

@compute @workgroup_size(WG)
fn op_mix(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let span = att_span(place.layer, wg.x % N_SPLIT, lane);
  att_take(place.layer, wg.x, span, lane);
  workgroupBarrier(); // late rows written before they are read
  if (span.whole) {
    op_mix_whole(wg.x, span, lane);
    return;
  }
  att_begin();
  var block = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    let at = block_at(wg.x, block);
    let p = p0 + lane / ATT_TEAM;
    let r = att_row(1u, place.layer, att_kv_head(wg.x), p, lane);
    att_rescale(bitcast<f32>(msg[at + ATT_BLOCK]));
    att_mix(att_newest(r, 1u, p, span, lane), bitcast<f32>(msg[at + lane / ATT_TEAM]));
    block++;
  }
  att_m = bitcast<f32>(take(att_ml_at(place.layer, att_first_head(wg.x), wg.x % N_SPLIT)));
  att_finish(place.layer, wg.x, true, false, lane);
}
