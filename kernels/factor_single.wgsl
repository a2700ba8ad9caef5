// factor_single: the whole token in one dispatch of N_WG workgroups (walk.wgsl).
// Whether weights of the layer behind this one may be requested. Behind the last its own are, for nothing: a
// condition at every such load would cost more.
fn goes_on(l: u32) -> bool { return true; }

@compute @workgroup_size(WG)
fn dispatch_single_static(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  if (stopped(lane)) { return; }
  walk_begin(0u, wg.x, lane);
  walk_embed(wg.x, lane);
  for (var l = 0u; l < N_LAYER; l++) { walk_layer(l, wg.x, lane); }
  walk_logits(wg.x, lane);
  if (wg.x == 0u) { run_sample(lane); }
}

@compute @workgroup_size(WG)
fn dispatch_single_ticket(@builtin(local_invocation_index) lane: u32) {
  if (stopped(lane)) { return; }
  walk_tasks(0u, N_TASK, 0u, lane);
}
