// stage embed: x = the embedding of the token. One tile = EMBED_TILE of its numbers.
// (It may be the sum of that and of the position's.) takes: its id.   puts: X of layer 0.
fn embed_rows(row0: u32, n: u32, lane: u32) {
  let id = context_id(token_pos());
  for (var r = lane; r < n; r += WG) { rows[r] = embd_weight(id, row0 + r) * EMBD_SCALE; }
  workgroupBarrier(); // rows written before publish_x reads its quantisation groups
  if (HAS_POSITIONS) { // behind a barrier, lest the product in embd_weight be fused with this sum
    let pos = min(token_pos(), N_CTX - 1u);
    for (var r = lane; r < n; r += WG) { rows[r] += positions_weight(pos, row0 + r); }
    workgroupBarrier(); // as above
  }
}

fn stage_embed(tile: u32, lane: u32) {
  let row0 = tile * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  embed_rows(row0, n, lane);
  publish_x(at_layer(0u), gain_attn(0u), row0, n, lane);
  workgroupBarrier(); // rows read before the next tile writes them
}
