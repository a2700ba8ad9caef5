// factor_single_wg: the whole token in one dispatch of one workgroup: every tile of every stage in
// turn, on one core. The honest baseline of the one-dispatch idea. storageBarrier orders the puts of
// a stage before the takes of the next, which the specification promises within a workgroup.
@compute @workgroup_size(WG)
fn dispatch_single_wg(@builtin(local_invocation_index) lane: u32) {
  for (var t = 0u; t < TILES_EMBED; t++) { stage_embed(t, lane); }
  for (var l = 0u; l < N_LAYER; l++) {
    storageBarrier(); // X put before qkv takes it
    qkv_take(l, lane);
    for (var t = 0u; t < TILES_QKV; t++) {
      prime_qkv(l, t, lane);
      workgroupBarrier(); // the tile before is done with its rows
      qkv_turns(l, t, lane);
      stage_qkv(l, t, lane);
    }
    storageBarrier(); // q, k, v put before attend takes them
    for (var t = 0u; t < TILES_ATTEND; t++) {
      attend_early(l, t, lane);
      stage_attend(l, t, lane);
    }
    storageBarrier(); // splits put before combine takes them
    for (var t = 0u; t < TILES_COMBINE; t++) { stage_combine(l, t, lane); }
    storageBarrier(); // A put before out takes it
    out_take(l, lane);
    for (var t = 0u; t < TILES_OUT; t++) {
      prime_out(l, t, lane);
      workgroupBarrier(); // the tile before is done with its rows
      stage_out(l, t, lane);
    }
    if (POST_NORM) {
      storageBarrier(); // the projection put before norm_out takes it
      norm_out_take(l, lane);
      for (var t = 0u; t < TILES_NORM; t++) {
        workgroupBarrier(); // the tile before is done with its rows
        stage_norm_out(l, t, lane);
      }
    }
    storageBarrier(); // X1 put before gate_up takes it
    gate_up_take(l, lane);
    for (var t = 0u; t < TILES_GATE_UP; t++) {
      prime_gate_up(l, t, lane);
      workgroupBarrier(); // the tile before is done with its rows
      stage_gate_up(l, t, lane);
    }
    storageBarrier(); // H put before down takes it
    down_take(l, lane);
    for (var t = 0u; t < TILES_DOWN; t++) {
      prime_down(l, t, lane);
      workgroupBarrier(); // the tile before is done with its rows
      stage_down(l, t, lane);
    }
    if (POST_NORM) {
      storageBarrier(); // the projection put before norm_down takes it
      norm_down_take(l, lane);
      for (var t = 0u; t < TILES_NORM; t++) {
        workgroupBarrier(); // the tile before is done with its rows
        stage_norm_down(l, t, lane);
      }
    }
  }
  storageBarrier(); // the last X put before logits takes it
  logits_take(lane);
  for (var t = 0u; t < TILES_LOGITS; t++) {
    prime_logits(N_LAYER, t, lane);
    stage_logits(t, lane);
  }
  storageBarrier(); // logits put before sample takes them
  stage_sample(lane);
}
