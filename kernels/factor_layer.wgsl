// factor_layer: a layer a dispatch of N_WG workgroups (walk.wgsl); embed, logits and sample are dispatches
// of their own, one workgroup a tile, that speak the same words.
// Whether this dispatch walks the layer after this one as well.
fn goes_on(l: u32) -> bool { return false; }

@compute @workgroup_size(WG)
fn dispatch_embed(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  if (stopped(lane)) { return; }
  run_embed(wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_layer_static(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  if (stopped(lane)) { return; }
  walk_begin(place.layer, wg.x, lane);
  walk_layer(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn dispatch_layer_ticket(@builtin(local_invocation_index) lane: u32) {
  if (stopped(lane)) { return; }
  walk_tasks(first_task(place.layer), first_task(place.layer + 1u), place.layer, lane);
}

@compute @workgroup_size(WG)
fn dispatch_logits(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  if (stopped(lane)) { return; }
  run_logits(wg.x, true, lane);
}

@compute @workgroup_size(WG)
fn dispatch_sample(@builtin(local_invocation_index) lane: u32) {
  if (stopped(lane)) { return; }
  run_sample(lane);
}
