// factor_stages: one dispatch a fused stage, one workgroup a tile: 6 a layer, embed, logits, sample.
// Order comes from the dispatch boundary, which the specification promises.
@compute @workgroup_size(WG)
fn dispatch_embed(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  stage_embed(wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_qkv(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  prime_qkv(place.layer, wg.x, lane);
  qkv_turns(place.layer, wg.x, lane);
  qkv_take(place.layer, lane);
  stage_qkv(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_attend(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  attend_early(place.layer, wg.x, lane);
  stage_attend(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_combine(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  stage_combine(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_out(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  prime_out(place.layer, wg.x, lane);
  out_take(place.layer, lane);
  stage_out(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_norm_out(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  norm_out_take(place.layer, lane);
  stage_norm_out(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_gate_up(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  prime_gate_up(place.layer, wg.x, lane);
  gate_up_take(place.layer, lane);
  stage_gate_up(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_down(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  prime_down(place.layer, wg.x, lane);
  down_take(place.layer, lane);
  stage_down(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_norm_down(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  norm_down_take(place.layer, lane);
  stage_norm_down(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_logits(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  prime_logits(N_LAYER, wg.x, lane);
  logits_take(lane);
  stage_logits(wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_sample(@builtin(local_invocation_index) lane: u32) {
  stage_sample(lane);
}
