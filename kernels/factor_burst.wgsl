// factor_burst: BURST_TOKENS tokens in one dispatch of N_WG workgroups (walk.wgsl): the loop over tokens
// stays on the GPU. The id drawn, and the K and V rows, reach the next token as words (token_burst.wgsl).
//
// The token before has been sampled. As every counter, this one only saves polling.
fn await_token(token: u32, lane: u32) {
  await_counter(counter_at(args.parity, token, 0u, STAGE_SAMPLE), 1u, lane);
}

// Whether weights of the layer behind this one may be requested. Behind the last its own are, for nothing: a
// condition at every such load would cost more.
fn goes_on(l: u32) -> bool { return true; }

@compute @workgroup_size(WG)
fn dispatch_burst_static(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  for (var token = 0u; token < BURST_TOKENS; token++) {
    if (stopped(lane)) { return; } // by this dispatch, too: the rest would only wait in vain
    burst_token = token;
    walk_begin(0u, wg.x, lane);
    if (token > 0u && wg.x < TILES_EMBED) { await_token(token - 1u, lane); }
    walk_embed(wg.x, lane);
    for (var l = 0u; l < N_LAYER; l++) { walk_layer(l, wg.x, lane); }
    walk_logits(wg.x, lane);
    if (wg.x == 0u) { run_sample(lane); }
  }
}

@compute @workgroup_size(WG)
fn dispatch_burst_ticket(@builtin(local_invocation_index) lane: u32) {
  if (stopped(lane)) { return; }
  var have = NOTHING;
  var at = 0u;
  for (var n = 0u; n < BURST_TOKENS * N_TASK + 1u; n++) {
    let ticket = draw_ticket(0u, lane);
    let token = ticket / N_TASK;
    let task = ticket % N_TASK;
    if (token >= BURST_TOKENS) { break; }
    if (token != at) {
      if (stopped(lane)) { return; }
      have = NOTHING;
    }
    at = token;
    burst_token = token;
    if (token > 0u && task < TILES_EMBED) { await_token(token - 1u, lane); }
    have = run_task(task, have, lane);
  }
}
