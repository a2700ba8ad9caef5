// factor_unfused: one dispatch a primitive operation, 21 a layer and more: what a framework without fusion
// does. Order comes from the dispatch boundary. Each entry runs one step of a fused stage on the
// stage's own tiles; values that a fused stage keeps in workgroup memory pass through the T_* words
// behind the messages. The arithmetic is the stages' own functions, hence the same bits.
fn load_ys(at: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { ys[r] = bitcast<f32>(msg[at + r]); }
  workgroupBarrier(); // ys written before whole words are packed
}

fn store_ys(at: u32, n: u32, lane: u32) {
  workgroupBarrier(); // ys written before they are stored
  for (var r = lane; r < n; r += WG) { msg[at + r] = bitcast<u32>(ys[r]); }
}

@compute @workgroup_size(WG)
fn op_embed(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  embed_residual(wg.x, lane);
}

@compute @workgroup_size(WG)
fn op_square_sum(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  load_rows(place_x() + X_RES + row0, n, lane);
  put_ss(place_x(), row0, n, lane);
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
fn finish_rows_qkv(layer: u32, row0: u32, n: u32, lane: u32) {
  let s = x_scale();
  for (var r = lane; r < n; r += WG) { msg[T_RAW + row0 + r] = bitcast<u32>(finish_qkv(layer, row0 + r, rows[r], s)); }
}

// ys = rows after RoPE.
fn turn_finished(row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) {
    let even = r & ~1u;
    ys[r] = turned(row0 + r, rows[even], rows[even + 1u]);
  }
}

@compute @workgroup_size(WG)
fn op_q(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_Q - row0);
  qkv_take(place.layer, lane);
  rows_qkv(0u, place.layer, row0, 0u, n, lane);
  workgroupBarrier(); // sums of squares added up before x_scale, rows written before they are finished
  finish_rows_qkv(place.layer, row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_k(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_K - row0);
  qkv_take(place.layer, lane);
  rows_qkv(1u, place.layer, row0, 0u, n, lane);
  workgroupBarrier(); // sums of squares added up before x_scale, rows written before they are finished
  finish_rows_qkv(place.layer, ROWS_Q + row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_v(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_K - row0);
  qkv_take(place.layer, lane);
  rows_qkv(2u, place.layer, row0, 0u, n, lane);
  workgroupBarrier(); // sums of squares added up before x_scale, rows written before they are finished
  finish_rows_qkv(place.layer, ROWS_Q + ROWS_K + row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_norm_q(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_Q - row0);
  load_rows(T_RAW + row0, n, lane);
  norm_finished(place.layer, row0, n, lane);
  store_ys(T_RAW + row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_norm_k(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_K - row0);
  load_rows(T_RAW + ROWS_Q + row0, n, lane);
  norm_finished(place.layer, ROWS_Q + row0, n, lane);
  store_ys(T_RAW + ROWS_Q + row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_rope_q(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_Q - row0);
  load_rows(T_RAW + row0, n, lane);
  turn_finished(row0, n, lane);
  workgroupBarrier(); // ys written before they are put
  put_q(place.layer, row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_rope_k(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_K - row0);
  load_rows(T_RAW + ROWS_Q + row0, n, lane);
  turn_finished(ROWS_Q + row0, n, lane);
  store_ys(T_RAW + ROWS_Q + row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_kv_store(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * QKV_TILE;
  let n = min(QKV_TILE, ROWS_K - row0);
  load_ys(T_RAW + ROWS_Q + row0, n, lane);
  put_kv(place.layer, ROWS_Q + row0, n, lane);
  workgroupBarrier(); // ys packed before v takes their place
  load_ys(T_RAW + ROWS_Q + ROWS_K + row0, n, lane);
  put_kv(place.layer, ROWS_Q + ROWS_K + row0, n, lane);
}

// Words of block `block` of a tile of attend: att_s, then alpha.
fn block_at(tile: u32, block: u32) -> u32 {
  return T_SCORES + (tile * ATT_MAX_BLOCK + block) * (ATT_HEADS * ATT_BLOCK + ATT_HEADS);
}

@compute @workgroup_size(WG)
fn op_scores(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let kv_head = wg.x / N_SPLIT;
  let span = att_span(wg.x % N_SPLIT, lane);
  att_take_q(place.layer, kv_head, lane);
  var block = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    att_early_k(place.layer, kv_head, p0, span.hi, lane);
    att_late_k(place.layer, kv_head, p0, span.hi, lane);
    workgroupBarrier(); // q and K written before scores read them
    att_scores(p0, span.hi, lane);
    workgroupBarrier(); // scores written before they are stored; K used up
    for (var i = lane; i < ATT_HEADS * ATT_BLOCK; i += WG) { msg[block_at(wg.x, block) + i] = bitcast<u32>(att_s[i]); }
    block++;
  }
}

@compute @workgroup_size(WG)
fn op_softmax(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let span = att_span(wg.x % N_SPLIT, lane);
  att_begin(lane);
  var block = 0u;
  for (var p0 = span.lo; p0 < span.hi; p0 += ATT_BLOCK) {
    let at = block_at(wg.x, block);
    for (var i = lane; i < ATT_HEADS * ATT_BLOCK; i += WG) { att_s[i] = bitcast<f32>(msg[at + i]); }
    workgroupBarrier(); // scores written before the maximum is sought
    att_softmax(lane);
    workgroupBarrier(); // exponentials and alpha written before they are stored
    for (var i = lane; i < ATT_HEADS * ATT_BLOCK; i += WG) { msg[at + i] = bitcast<u32>(att_s[i]); }
    if (lane < ATT_HEADS) { msg[at + ATT_HEADS * ATT_BLOCK + lane] = bitcast<u32>(att_alpha[lane]); }
    workgroupBarrier(); // stored before the next block takes their place
    block++;
  }
  workgroupBarrier(); // an empty split's zeros written before they are put
  att_put_ml(place.layer, wg.x / N_SPLIT, wg.x % N_SPLIT, lane);
}

@compute @workgroup_size(WG)
fn op_mix(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let kv_head = wg.x / N_SPLIT;
  let span = att_span(wg.x % N_SPLIT, lane);
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
  att_put_o(place.layer, kv_head, wg.x % N_SPLIT, lane);
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
  store_rows(T_RAW + row0, n, 1.0, lane);
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
fn finish_rows_gate_up(behind: u32, row0: u32, n: u32, lane: u32) {
  let s = x_scale();
  for (var r = lane; r < n; r += WG) {
    let row = behind + row0 + r;
    msg[T_RAW + row] = bitcast<u32>(finish_gate_up(place.layer, row, rows[r], s));
  }
}

@compute @workgroup_size(WG)
fn op_gate(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * GATE_UP_TILE;
  let n = min(GATE_UP_TILE, N_FF - row0);
  gate_up_take(place.layer, lane);
  rows_gate_up(0u, place.layer, row0, 0u, n, lane);
  workgroupBarrier(); // sums of squares added up before x_scale, rows written before they are finished
  finish_rows_gate_up(0u, row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_up(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * GATE_UP_TILE;
  let n = min(GATE_UP_TILE, N_FF - row0);
  gate_up_take(place.layer, lane);
  rows_gate_up(FFN_PARTS - 1u, place.layer, row0, 0u, n, lane);
  workgroupBarrier(); // sums of squares added up before x_scale, rows written before they are finished
  finish_rows_gate_up(N_FF, row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_glu(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * GATE_UP_TILE;
  let n = min(GATE_UP_TILE, N_FF - row0);
  for (var r = lane; r < n; r += WG) {
    ys[r] = glu(bitcast<f32>(msg[T_RAW + row0 + r]), bitcast<f32>(msg[T_RAW + N_FF + row0 + r]));
  }
  workgroupBarrier(); // ys written before whole quantisation groups are read
  put_h(place.layer, row0, n, lane);
}

@compute @workgroup_size(WG)
fn op_down(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row0 = wg.x * DOWN_TILE;
  let n = min(DOWN_TILE, D - row0);
  down_take(place.layer, lane);
  rows_down(0u, place.layer, row0, 0u, n, lane);
  store_rows(T_RAW + row0, n, 1.0, lane);
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
