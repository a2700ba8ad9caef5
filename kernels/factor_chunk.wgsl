// factor_chunk: CHUNK_LAYERS layers a dispatch of N_WG workgroups (walk.wgsl), embed in the first, logits
// and sample in the last. From one dispatch to the next of a token values cross as words too, which the
// boundary has settled; both are of one parity, so that each slot is still put once a token.
// Whether this dispatch walks the layer after this one as well.
fn goes_on(l: u32) -> bool { return l + 1u < min(place.layer + CHUNK_LAYERS, N_LAYER); }

@compute @workgroup_size(WG)
fn dispatch_chunk_static(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let end = min(place.layer + CHUNK_LAYERS, N_LAYER);
  if (stopped(lane)) { return; }
  walk_begin(place.layer, wg.x, lane);
  if (place.layer == 0u) { walk_embed(wg.x, lane); }
  for (var l = place.layer; l < end; l++) { walk_layer(l, wg.x, lane); }
  if (end == N_LAYER) {
    walk_logits(wg.x, lane);
    if (wg.x == 0u) { run_sample(lane); }
  }
}

@compute @workgroup_size(WG)
fn dispatch_chunk_ticket(@builtin(local_invocation_index) lane: u32) {
  let end = min(place.layer + CHUNK_LAYERS, N_LAYER);
  if (stopped(lane)) { return; }
  walk_tasks(select(first_task(place.layer), 0u, place.layer == 0u),
             select(first_task(end), N_TASK, end == N_LAYER), place.layer, lane);
}
