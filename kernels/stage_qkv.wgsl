// stage qkv: q, k and v of the token, RoPE applied, K and V appended to the cache. One tile =
// QKV_TILE rows of one of the three matrices; the two numbers that RoPE turns together are
// neighbours (weights.c orders the rows so), hence always of one tile.
// takes: X of the layer.   puts: q as f32; k and v as the cache's words; the token's row of kv_k, kv_v.
fn qkv_take_chunk(layer: u32, chunk: u32, lane: u32) {
  take_x(at_layer(layer) + L_X, chunk, QKV_CHUNK_GROUPS, lane);
}

fn qkv_take(layer: u32, lane: u32) {
  if (QKV_CHUNKS == 1u) { qkv_take_chunk(layer, 0u, lane); }
}

// Element r of the tile after RoPE: v is raw * 1/rms of the pair (even, odd).
fn turned(row: u32, even: f32, odd: f32) -> f32 {
  let d = row % HEAD_DIM;
  let is_odd = (d & 1u) == 1u;
  if (d >= ROPE_DIM) { return select(even, odd, is_odd); }
  let cs = rope[min(token_pos(), N_CTX - 1u) * (ROPE_DIM / 2u) + d / 2u];
  let other = select(-odd * cs.y, even * cs.y, is_odd);
  return fma(select(even, odd, is_odd), cs.x, other);
}

fn kv_at(layer: u32, row: u32, pos: u32) -> u32 {
  let head = row / HEAD_DIM;
  return ((layer * N_HEAD_KV + head) * N_CTX + pos) * KV_ROW + (row % HEAD_DIM) / KV_PER_WORD;
}

// ys[0..n) are rows row0.. of q, k or v: the last of the stage's steps.
fn put_q(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { put(at_layer(layer) + L_Q + row0 + r, word_of_f32(ys[r])); }
}

fn put_kv_word(layer: u32, row0: u32, w: u32, at: u32) -> u32 {
  let r = w * KV_PER_WORD;
  let even = r & ~1u;
  let word = kv_word(ys[even], ys[even + 1u], r & 1u);
  put(at_layer(layer) + at + (row0 + r) / KV_PER_WORD, word);
  return word;
}

fn put_k(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var w = lane; w < n / KV_PER_WORD; w += WG) {
    let word = put_kv_word(layer, row0, w, L_K);
    if (in_context()) { kv_k[kv_at(layer, row0 + w * KV_PER_WORD, token_pos())] = word; }
  }
}

fn put_v(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var w = lane; w < n / KV_PER_WORD; w += WG) {
    let word = put_kv_word(layer, row0, w, L_V);
    if (in_context()) { kv_v[kv_at(layer, row0 + w * KV_PER_WORD, token_pos())] = word; }
  }
}

// rows to ys, times 1/rms; turn_rows with RoPE. (The unfused form, which has scaled already, passes 1.)
fn scale_rows(n: u32, inv: f32, lane: u32) {
  for (var r = lane; r < n; r += WG) { ys[r] = rows[r] * inv; }
}

fn turn_rows(row0: u32, n: u32, inv: f32, lane: u32) {
  for (var r = lane; r < n; r += WG) {
    let even = r & ~1u;
    ys[r] = turned(row0 + r, rows[even] * inv, rows[even + 1u] * inv);
  }
}

// A tile's place in the stage: which of q (0), k (1), v (2), and its rows there.
struct QkvTile {
  which: u32,
  row0: u32,
  n: u32,
}

fn qkv_tile(tile: u32) -> QkvTile {
  if (tile < TILES_Q) {
    let row0 = tile * QKV_TILE;
    return QkvTile(0u, row0, min(QKV_TILE, ROWS_Q - row0));
  }
  let which = 1u + (tile - TILES_Q) / TILES_K;
  let row0 = ((tile - TILES_Q) % TILES_K) * QKV_TILE;
  return QkvTile(which, row0, min(QKV_TILE, ROWS_K - row0));
}

fn stage_qkv(layer: u32, tile: u32, lane: u32) {
  let t = qkv_tile(tile);
  rows_qkv(t.which, layer, t.row0, 0u, t.n, lane);
  workgroupBarrier(); // rows written by their teams before the epilogue reads them
  if (t.which == 2u) { scale_rows(t.n, inv_rms(), lane); }
  else { turn_rows(t.row0, t.n, inv_rms(), lane); }
  workgroupBarrier(); // ys written before whole words are packed
  if (t.which == 0u) { put_q(layer, t.row0, t.n, lane); }
  else if (t.which == 1u) { put_k(layer, t.row0, t.n, lane); }
  else { put_v(layer, t.row0, t.n, lane); }
  workgroupBarrier(); // rows and ys read before the next tile writes them
}
