// unfused_attend_lanes: scores, softmax and mix of attend_lanes.wgsl as operations of their own.
@compute @workgroup_size(WG)
fn op_scores(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let span = att_span(place.layer, wg.x % N_SPLIT, lane);
  att_take(place.layer, wg.x, span, lane);
  workgroupBarrier(); // q and late rows written before they are read
  var block = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    let p = p0 + lane / ATT_TEAM;
    att_load(place.layer, att_kv_head(wg.x), p, span.hi, lane);
    att_load_late(p, span, lane);
    let s = att_score(p < span.hi, lane);
    if (lane % ATT_TEAM == 0u) { msg[block_at(wg.x, block) + lane / ATT_TEAM] = bitcast<u32>(s); }
    block++;
  }
}

@compute @workgroup_size(WG)
fn op_softmax(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let span = att_span(place.layer, wg.x % N_SPLIT, lane);
  att_begin();
  var block = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    let at = block_at(wg.x, block);
    for (var i = lane; i < ATT_BLOCK; i += WG) { att_s[i] = bitcast<f32>(msg[at + i]); }
    workgroupBarrier(); // scores written before the maximum is sought
    let alpha = att_softmax(0u, lane);
    for (var i = lane; i < ATT_BLOCK; i += WG) { msg[at + i] = bitcast<u32>(exp(att_s[i] - att_m)); }
    if (lane == 0u) { msg[at + ATT_BLOCK] = bitcast<u32>(alpha); }
    workgroupBarrier(); // scores used up before the next block takes their place
    block++;
  }
  if (lane == 0u) { att_put_ml(place.layer, att_first_head(wg.x), wg.x % N_SPLIT, att_m, att_l); }
}

@compute @workgroup_size(WG)
fn op_mix(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let span = att_span(place.layer, wg.x % N_SPLIT, lane);
  att_take(place.layer, wg.x, span, lane);
  workgroupBarrier(); // late rows written before they are read
  att_begin();
  var block = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    let at = block_at(wg.x, block);
    let p = p0 + lane / ATT_TEAM;
    att_load(place.layer, att_kv_head(wg.x), p, span.hi, lane);
    att_load_late(p, span, lane);
    att_hold();
    att_mix(bitcast<f32>(msg[at + lane / ATT_TEAM]), bitcast<f32>(msg[at + ATT_BLOCK]));
    block++;
  }
  att_finish(place.layer, wg.x, true, lane);
}
