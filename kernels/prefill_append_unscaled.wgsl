// prefill_append_unscaled: K and V of token t of the batch into the cache.
fn pf_append(t: u32, lane: u32) {
  for (var i = lane; i < ROWS_K / 4u; i += PF_WG) {
    let k = pf_kv4(0u, t, i);
    let v = pf_kv4(1u, t, i);
    let row = kv_row_at(place.layer, 4u * i / HEAD_DIM, args.pos + t);
    for (var e = 0u; e < 4u; e += KV_PER_WORD) {
      let w = (4u * i % HEAD_DIM + e) / KV_PER_WORD;
      let even = e & 2u;
      kv_k[row + w / 4u][w % 4u] = kv_word(k[even], k[even + 1u], e & 1u);
      kv_v[row + w / 4u][w % 4u] = kv_word(v[even], v[even + 1u], e & 1u);
    }
  }
}
