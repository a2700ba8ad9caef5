// unfused_attend_serial: scores, softmax and mix of attend_serial.wgsl as operations of their own.
@compute @workgroup_size(WG)
fn op_scores(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let kv_head = att_kv_head(wg.x);
  let span = att_span(place.layer, wg.x % N_SPLIT, lane);
  att_take_q(place.layer, wg.x, lane);
  var block = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    att_early_k(place.layer, kv_head, p0, span.hi, lane);
    att_late(place.layer, kv_head, p0, span.hi, 0u, lane);
    workgroupBarrier(); // q and K written before scores read them
    att_scores(p0, span.hi, lane);
    workgroupBarrier(); // scores written before they are stored; K used up
    for (var i = lane; i < ATT_HEADS * ATT_BLOCK; i += WG) { msg[block_at(wg.x, block) + i] = bitcast<u32>(att_s[i]); }
    block++;
  }
}

@compute @workgroup_size(WG)
fn op_softmax(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let span = att_span(place.layer, wg.x % N_SPLIT, lane);
  att_begin(lane);
  var block = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    let at = block_at(wg.x, block);
    for (var i = lane; i < ATT_HEADS * ATT_BLOCK; i += WG) { att_s[i] = bitcast<f32>(msg[at + i]); }
    workgroupBarrier(); // scores written before the maximum is sought
    att_softmax(min(ATT_BLOCK, span.hi - p0), lane);
    workgroupBarrier(); // exponentials and alpha written before they are stored
    for (var i = lane; i < ATT_HEADS * ATT_BLOCK; i += WG) { msg[at + i] = bitcast<u32>(att_s[i]); }
    if (lane < ATT_HEADS) { msg[at + ATT_HEADS * ATT_BLOCK + lane] = bitcast<u32>(att_alpha[lane]); }
    workgroupBarrier(); // stored before the next block takes their place
    block++;
  }
  workgroupBarrier(); // an empty split's zeros written before they are put
  att_put_all_ml(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn op_mix(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let kv_head = att_kv_head(wg.x);
  let span = att_span(place.layer, wg.x % N_SPLIT, lane);
  att_begin(lane);
  var block = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    let at = block_at(wg.x, block);
    for (var i = lane; i < ATT_HEADS * ATT_BLOCK; i += WG) { att_s[i] = bitcast<f32>(msg[at + i]); }
    if (lane < ATT_HEADS) { att_alpha[lane] = bitcast<f32>(msg[at + ATT_HEADS * ATT_BLOCK + lane]); }
    att_load_v(place.layer, kv_head, p0, span.hi, lane);
    workgroupBarrier(); // V, exponentials and alpha written before the mix reads them
    att_mix(p0, span.hi, lane);
    workgroupBarrier(); // used up before the next block takes their place
    block++;
  }
  workgroupBarrier(); // an empty split's zeros written before they are put
  att_put_o(place.layer, wg.x, lane);
}

