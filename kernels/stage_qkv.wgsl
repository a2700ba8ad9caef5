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

// cos and sin for the pair of rows that `row` is in; (1, 0) is not looked up: turn asks is_turned.
fn is_turned(row: u32) -> bool { return row < ROWS_Q + ROWS_K && row % HEAD_DIM < ROPE_DIM; }

fn turn_of(layer: u32, row: u32) -> vec2<f32> {
  return rope[rope_at(layer, min(token_pos(), N_CTX - 1u)) + min(row % HEAD_DIM, ROPE_DIM - 1u) / 2u];
}

// The pair (row, row + 1) after RoPE; v is not turned.
fn turned(row: u32, v: vec2<f32>, cs: vec2<f32>) -> vec2<f32> {
  if (!is_turned(row)) { return v; }
  return vec2<f32>(fma(v.x, cs.x, -v.y * cs.y), fma(v.y, cs.x, v.x * cs.y));
}

fn put_q(layer: u32, row: u32, v: vec2<f32>) {
  put(at_layer(layer) + L_Q + row, word_of_f32(v.x));
  put(at_layer(layer) + L_Q + row + 1u, word_of_f32(v.y));
}

// Word w of a head's row: of k, or counted on, of v. To the others as a word of a message, to later tokens in the
// cache. append_*.wgsl makes the words:
//   append_pair(layer, row, r, v)         rows (row, row + 1) of k, then of v, which are rows r, r + 1 of the tile;
//   append_spans(layer, row0, n, lane)    behind all pairs of a tile, n rows of qkv from row0 on.
fn append_word(layer: u32, head: u32, w: u32, word: u32) {
  put(at_layer(layer) + L_K + head * KV_ROW + w, word);
  if (!in_context()) { return; }
  let at = kv_row_at(layer, head % N_HEAD_KV, token_pos()) + w / 4u;
  if (head < N_HEAD_KV) { kv_k[at][w % 4u] = word; }
  else { kv_v[at][w % 4u] = word; }
}

// cos and sin of the tile's pairs, kept as gains are: in one block with the loads of qkv_take.
var<workgroup> turns: array<vec2<f32>, QKV_TILE / 2u>;

fn qkv_turns(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * QKV_TILE;
  for (var round = 0u; round < QKV_ROUNDS; round++) {
    let i = lane + round * WG;
    if (i < min(QKV_TILE, ROWS_QKV - row0) / 2u) { turns[i] = turn_of(layer, row0 + 2u * i); }
  }
}

const QKV_ROUNDS = (QKV_TILE / 2u + WG - 1u) / WG;

fn stage_qkv(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * QKV_TILE;
  let n = min(QKV_TILE, ROWS_QKV - row0);
  multiply_qkv(layer, tile, lane);
  ahead_qkv(layer, tile, lane);
  workgroupBarrier(); // rows written by their teams before the epilogue reads them
  norm_heads(layer, row0, n, lane);
  for (var round = 0u; round < QKV_ROUNDS; round++) {
    let i = lane + round * WG;
    if (i >= n / 2u) { continue; }
    let row = row0 + 2u * i;
    let v = turned(row, vec2<f32>(head_row(layer, row0, 2u * i), head_row(layer, row0, 2u * i + 1u)), turns[i]);
    if (row < ROWS_Q) { put_q(layer, row, v); }
    else { append_pair(layer, row - ROWS_Q, 2u * i, v); }
  }
  append_spans(layer, row0, n, lane);
}
