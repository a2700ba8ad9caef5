// factor_roles: the ten kernel roles of zero-tvm, seven dispatches a layer and four around them (228 for
// 32 layers). Order comes from the dispatch boundary, within attention from a storageBarrier in the
// workgroup, both promised by the specification.
@compute @workgroup_size(WG)
fn role_embed(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  embed_residual(wg.x, lane);
}

@compute @workgroup_size(WG)
fn role_rms_norm(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  load_rows(at_layer(0u) + L_X + X_RES + row0, n, lane);
  publish_x(at_layer(0u) + L_X, gain_attn(0u), row0, n, lane);
}

@compute @workgroup_size(WG)
fn role_qkv(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  prime_qkv(place.layer, wg.x, lane);
  qkv_turns(place.layer, wg.x, lane);
  qkv_take(place.layer, lane);
  stage_qkv(place.layer, wg.x, lane);
}

// SLICE_HEADS units of heads: all splits of each, then their heads' elements of A, which are whole
// quantisation groups.
@compute @workgroup_size(WG)
fn role_attention(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let unit0 = wg.x * SLICE_HEADS;
  let units = min(SLICE_HEADS, N_HEAD / ATT_HEADS - unit0);
  for (var t = unit0 * N_SPLIT; t < (unit0 + units) * N_SPLIT; t++) {
    attend_early(place.layer, t, lane);
    stage_attend(place.layer, t, lane);
  }
  if (is_whole(place.layer, lane)) { return; }
  storageBarrier(); // this workgroup's splits put before it takes them
  let n = units * ATT_HEADS * HEAD_DIM;
  for (var r = 0u; r < n; r += COMBINE_TILE) {
    publish_a(place.layer, unit0 * ATT_HEADS * HEAD_DIM + r, min(COMBINE_TILE, n - r), lane);
  }
}

@compute @workgroup_size(WG)
fn role_out(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * OUT_TILE;
  let n = min(OUT_TILE, D - row0);
  prime_out(place.layer, wg.x, lane);
  out_take(place.layer, lane);
  if (POST_NORM) {
    stage_out(place.layer, wg.x, lane);
    return;
  }
  multiply_out(place.layer, wg.x, lane);
  store_rows(T_RAW + row0, n, lane);
}

// part 0: X of the layer + out = X1; part 1: X1 + down = X of the next layer.
@compute @workgroup_size(WG)
fn role_add_norm(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  load_sum(row0, n, lane);
  if (place.part == 0u) { publish_x(at_layer(place.layer) + L_X1, gain_ffn(place.layer), row0, n, lane); }
  else { publish_x(at_layer(place.layer + 1u) + L_X, gain_attn(place.layer + 1u), row0, n, lane); }
}

// add_norm of a model that norms what is added.
@compute @workgroup_size(WG)
fn role_norm_out(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  norm_out_take(place.layer, lane);
  stage_norm_out(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn role_norm_down(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  norm_down_take(place.layer, lane);
  stage_norm_down(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn role_gate_up(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  prime_gate_up(place.layer, wg.x, lane);
  gate_up_take(place.layer, lane);
  stage_gate_up(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn role_down(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * DOWN_TILE;
  let n = min(DOWN_TILE, D - row0);
  prime_down(place.layer, wg.x, lane);
  down_take(place.layer, lane);
  if (POST_NORM) {
    stage_down(place.layer, wg.x, lane);
    return;
  }
  multiply_down(place.layer, wg.x, lane);
  store_rows(T_RAW + row0, n, lane);
}

@compute @workgroup_size(WG)
fn role_lm_head(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  prime_logits(N_LAYER, wg.x, lane);
  logits_take(lane);
  stage_logits(wg.x, lane);
}

@compute @workgroup_size(WG)
fn role_sample(@builtin(local_invocation_index) lane: u32) {
  stage_sample(lane);
}
