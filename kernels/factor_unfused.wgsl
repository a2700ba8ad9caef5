// factor_unfused: one dispatch a primitive operation, 21 a layer and more: what a framework without fusion
// does. Order comes from the dispatch boundary. Each entry runs one step of a fused stage on the
// stage's own tiles; values that a fused stage keeps in workgroup memory pass through the T_* words
// behind the messages. The arithmetic is the stages' own functions, hence the same bits.
@compute @workgroup_size(WG)
fn op_embed(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  embed_residual(wg.x, lane);
}

@compute @workgroup_size(WG)
fn op_square_sum(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  load_rows(place_x() + X_RES + row0, n, lane);
  put_ss(place_x() + X_SS, row0, n, lane);
  put_means(place_x(), row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_gain(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  load_rows(place_x() + X_RES + row0, n, lane);
  gain_rows(select(gain_attn(place.layer), gain_ffn(place.layer), place.part == 1u), row0, n, lane);
  put_y(place_x() + X_Y, place_x() + X_SCALE, row0, n, QD, lane);
}

// rows[0..n) of qkv, from row0 on: finished, and stored.
fn store_qkv(row0: u32, n: u32, lane: u32) {
  workgroupBarrier(); // rows written by their teams before other lanes finish them
  for (var r = lane; r < n; r += WG) {
    msg[T_RAW + row0 + r] = bitcast<u32>(finish_qkv(place.layer, row0 + r, rows[r]));
  }
}

@compute @workgroup_size(WG)
fn op_q(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_Q - row0);
  qkv_take(place.layer, lane);
  rows_qkv(0u, place.layer, row0, 0u, n, lane);
  store_qkv(row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_k(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_K - row0);
  qkv_take(place.layer, lane);
  rows_qkv(1u, place.layer, row0, 0u, n, lane);
  store_qkv(ROWS_Q + row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_v(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_K - row0);
  qkv_take(place.layer, lane);
  rows_qkv(2u, place.layer, row0, 0u, n, lane);
  store_qkv(ROWS_Q + ROWS_K + row0, n, lane);
}

// The heads of a tile of q or k, from row0 of qkv on, normed.
fn norm_stored(row0: u32, n: u32, lane: u32) {
  load_rows(T_RAW + row0, n, lane);
  norm_finished(place.layer, row0, n, lane);
  workgroupBarrier(); // ys written before other lanes store them
  for (var r = lane; r < n; r += WG) { msg[T_RAW + row0 + r] = bitcast<u32>(ys[r]); }
}

@compute @workgroup_size(WG)
fn op_norm_q(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  norm_stored(row0, min(QKV_TILE, ROWS_Q - row0), lane);
}

@compute @workgroup_size(WG)
fn op_norm_k(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  norm_stored(ROWS_Q + row0, min(QKV_TILE, ROWS_K - row0), lane);
}

// The pair of rows 2i, 2i + 1 of a tile, as the dispatch before left them.
fn raw_pair(at: u32, i: u32) -> vec2<f32> {
  return vec2<f32>(bitcast<f32>(msg[at + 2u * i]), bitcast<f32>(msg[at + 2u * i + 1u]));
}

@compute @workgroup_size(WG)
fn op_rope_q(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  for (var i = lane; i < min(QKV_TILE, ROWS_Q - row0) / 2u; i += WG) {
    let row = row0 + 2u * i;
    put_q(place.layer, row, turned(row, raw_pair(T_RAW + row0, i), turn_of(place.layer, row)));
  }
}

@compute @workgroup_size(WG)
fn op_rope_k(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  for (var i = lane; i < min(QKV_TILE, ROWS_K - row0) / 2u; i += WG) {
    let row = ROWS_Q + row0 + 2u * i;
    let v = turned(row, raw_pair(T_RAW + ROWS_Q + row0, i), turn_of(place.layer, row));
    msg[T_RAW + row] = bitcast<u32>(v.x);
    msg[T_RAW + row + 1u] = bitcast<u32>(v.y);
  }
}

@compute @workgroup_size(WG)
fn op_kv_store(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_K - row0);
  for (var first = row0; first < 2u * ROWS_K; first += ROWS_K) { // of k, then of v
    for (var i = lane; i < n / 2u; i += WG) {
      append_pair(place.layer, first + 2u * i, 2u * i, raw_pair(T_RAW + ROWS_Q + first, i));
    }
    append_spans(place.layer, ROWS_Q + first, n, lane);
    workgroupBarrier(); // spans of k read before v takes their place
  }
}

// Scores, softmax and mix: unfused_attend_*.wgsl. Between them a block of a tile of attend stands in
// these words: scores, then their exponentials, then what the block before is worth.
fn block_at(tile: u32, block: u32) -> u32 {
  return T_SCORES + (tile * ATT_MAX_BLOCK + block) * (ATT_HEADS * ATT_BLOCK + ATT_HEADS);
}

@compute @workgroup_size(WG)
fn op_combine(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  stage_combine(place.layer, wg.x, lane);
}

@compute @workgroup_size(WG)
fn op_out(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * OUT_TILE;
  let n = min(OUT_TILE, D - row0);
  out_take(place.layer, lane);
  rows_out(0u, place.layer, row0, 0u, n, lane);
  store_rows(T_RAW + row0, n, lane);
}

// part 0: what out gave, part 1: what down gave, as it is normed before it is added.
fn place_p() -> u32 { return at_layer(place.layer) + select(L_P_OUT, L_P_DOWN, place.part == 1u); }

@compute @workgroup_size(WG)
fn op_put(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  load_rows(T_RAW + row0, n, lane);
  put_projection(place_p(), row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_norm(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  take_projection(place_p(), lane);
  let gain = select(gain_post_attn(place.layer), gain_post_ffn(place.layer), place.part == 1u);
  norm_projection(place_p(), gain, row0, n, lane);
  store_rows(T_RAW + row0, n, lane);
}

// part 0: X of the layer + out = X1; part 1: X1 + down = X of the next layer.
@compute @workgroup_size(WG)
fn op_add(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  load_sum(row0, n, lane);
  let to = select(at_layer(place.layer) + L_X1, at_layer(place.layer + 1u) + L_X, place.part == 1u);
  put_residual(to, row0, n, lane);
}

// rows[0..n) of gate, or with `behind` = N_FF of up: finished, and stored.
fn store_gate_up(behind: u32, row0: u32, n: u32, lane: u32) {
  workgroupBarrier(); // rows written by their teams before other lanes finish them
  for (var r = lane; r < n; r += WG) {
    let row = behind + row0 + r;
    msg[T_RAW + row] = bitcast<u32>(finish_gate_up(place.layer, row, rows[r]));
  }
}

@compute @workgroup_size(WG)
fn op_gate(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * GATE_UP_TILE;
  let n = min(GATE_UP_TILE, N_FF - row0);
  gate_up_take(place.layer, lane);
  rows_gate_up(0u, place.layer, row0, 0u, n, lane);
  store_gate_up(0u, row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_up(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * GATE_UP_TILE;
  let n = min(GATE_UP_TILE, N_FF - row0);
  gate_up_take(place.layer, lane);
  rows_gate_up(FFN_PARTS - 1u, place.layer, row0, 0u, n, lane);
  store_gate_up(N_FF, row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_glu(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * GATE_UP_TILE;
  let n = min(GATE_UP_TILE, N_FF - row0);
  for (var r = lane; r < n; r += WG) {
    ys[r] = glu(bitcast<f32>(msg[T_RAW + row0 + r]), bitcast<f32>(msg[T_RAW + N_FF + row0 + r]));
  }
  workgroupBarrier(); // ys written before whole quantisation groups are read
  put_ys(at_layer(place.layer) + L_H, at_layer(place.layer) + L_H_SCALE, row0, n, QF, lane);
}

@compute @workgroup_size(WG)
fn op_down(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * DOWN_TILE;
  let n = min(DOWN_TILE, D - row0);
  down_take(place.layer, lane);
  rows_down(0u, place.layer, row0, 0u, n, lane);
  store_rows(T_RAW + row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_logits(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  prime_logits(N_LAYER, wg.x, lane);
  logits_take(lane);
  stage_logits(wg.x, lane);
}

@compute @workgroup_size(WG)
fn op_sample(@builtin(local_invocation_index) lane: u32) {
  stage_sample(lane);
}
