// stage qkv: q, k and v of the token, heads normed (heads_*.wgsl), RoPE applied, K and V appended to the
// cache. The rows of the three matrices are counted through: q, then k, then v; one tile = QKV_TILE of
// them. The two numbers that RoPE turns together are neighbours (weights.c orders the rows so), hence
// always of one tile.
// takes: X of the layer.   puts: q as f32; k and v as the cache's words; the token's row of kv_k, kv_v.
const ROWS_QKV = ROWS_Q + 2u * ROWS_K;

fn qkv_take_chunk(layer: u32, chunk: u32, lane: u32) {
  take_x(at_layer(layer) + L_X, chunk, QKV_CHUNK_GROUPS, lane);
}

fn qkv_take(layer: u32, lane: u32) {
  if (QKV_CHUNKS == 1u) { qkv_take_chunk(layer, 0u, lane); }
}

// Row j of a tile, which stays within the tile and the matrices.
fn qkv_at(tile: u32, j: u32) -> u32 { return min(tile * QKV_TILE + min(j, QKV_TILE - 1u), ROWS_QKV - 1u); }

// rows[0..n) of a tile: the parts of it that are of q, of k, of v.
fn qkv_rows(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * QKV_TILE;
  let end = min(row0 + QKV_TILE, ROWS_QKV);
  for (var which = 0u; which < 3u; which++) {
    let first = select(ROWS_Q + (which - 1u) * ROWS_K, 0u, which == 0u);
    let lo = max(row0, first);
    let hi = min(end, first + select(ROWS_K, ROWS_Q, which == 0u));
    if (lo < hi) { rows_qkv(which, layer, lo - first, lo - row0, hi - lo, lane); }
  }
}

// Row `row` after RoPE, of the pair (even, odd) that it is in; v is not turned.
fn turned(row: u32, even: f32, odd: f32) -> f32 {
  let d = row % HEAD_DIM;
  let is_odd = (d & 1u) == 1u;
  if (d >= ROPE_DIM || row >= ROWS_Q + ROWS_K) { return select(even, odd, is_odd); }
  let cs = rope[min(token_pos(), N_CTX - 1u) * (ROPE_DIM / 2u) + d / 2u];
  let other = select(-odd * cs.y, even * cs.y, is_odd);
  return fma(select(even, odd, is_odd), cs.x, other);
}

fn kv_at(layer: u32, row: u32, pos: u32) -> u32 {
  let head = row / HEAD_DIM;
  return ((layer * N_HEAD_KV + head) * N_CTX + pos) * KV_ROW + (row % HEAD_DIM) / KV_PER_WORD;
}

// ys[0..n) are rows row0.. of the stage: the last of its steps.
fn put_q(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) {
    if (row0 + r < ROWS_Q) { put(at_layer(layer) + L_Q + row0 + r, word_of_f32(ys[r])); }
  }
}

// A word of k or v: to the others as a message, to later tokens in the cache.
fn put_kv(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var w = lane; w < n / KV_PER_WORD; w += WG) {
    let r = w * KV_PER_WORD;
    if (row0 + r < ROWS_Q) { continue; }
    let row = row0 + r - ROWS_Q; // of k, then of v: L_V stands behind L_K
    let even = r & ~1u;
    let word = kv_word(ys[even], ys[even + 1u], r & 1u);
    put(at_layer(layer) + L_K + row / KV_PER_WORD, word);
    if (!in_context()) { continue; }
    if (row < ROWS_K) { kv_k[kv_at(layer, row, token_pos())] = word; }
    else { kv_v[kv_at(layer, row - ROWS_K, token_pos())] = word; }
  }
}

// ys = rows finished, heads normed, and RoPE.
fn turn_rows(layer: u32, row0: u32, n: u32, s: Scale, lane: u32) {
  norm_heads(layer, row0, n, s, lane);
  for (var r = lane; r < n; r += WG) {
    let even = r & ~1u;
    ys[r] = turned(row0 + r, head_row(layer, row0, even, s), head_row(layer, row0, even + 1u, s));
  }
}

fn stage_qkv(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * QKV_TILE;
  let n = min(QKV_TILE, ROWS_QKV - row0);
  multiply_qkv(layer, tile, lane);
  workgroupBarrier(); // rows written by their teams before the epilogue reads them
  turn_rows(layer, row0, n, x_scale(), lane);
  workgroupBarrier(); // ys written before whole words are packed
  put_q(layer, row0, n, lane);
  put_kv(layer, row0, n, lane);
  workgroupBarrier(); // rows and ys read before the next tile writes them
}
