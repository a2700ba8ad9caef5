// prefill_append_int8: K and V of token t of the batch into the cache, a lane a span.
fn pf_append_word(which: u32, row: u32, w: u32, word: u32) {
  if (which == 0u) { kv_k[row + w / 4u][w % 4u] = word; }
  else { kv_v[row + w / 4u][w % 4u] = word; }
}

fn pf_append(t: u32, lane: u32) {
  for (var i = lane; i < 8u * N_HEAD_KV; i += PF_WG) {
    let which = i % 2u;
    let span = i / 2u % 4u;
    let head = i / 8u;
    let first = (head * HEAD_DIM + span * KV_SPAN) / 4u;
    var sizes = vec4<f32>();
    for (var w = 0u; w < KV_SPAN_WORDS; w++) { sizes = max(sizes, abs(pf_kv4(which, t, first + w))); }
    let largest = max(max(sizes.x, sizes.y), max(sizes.z, sizes.w));
    let row = kv_row_at(place.layer, head, args.pos + t);
    for (var w = 0u; w < KV_SPAN_WORDS; w++) {
      pf_append_word(which, row, kv_place(span, w), quantise4(pf_kv4(which, t, first + w), largest));
    }
    pf_append_word(which, row, kv_place(span, KV_SPAN_WORDS), word_of_f32(largest / 127.0));
  }
}
