// append_int8: numbers of k and v that share a scale go out together. A tile of qkv is whole spans (stage.c), so
// that nothing crosses between workgroups.
fn append_pair(layer: u32, row: u32, r: u32, v: vec2<f32>) {
  ys[r] = v.x;
  ys[r + 1u] = v.y;
}

fn append_spans(layer: u32, row0: u32, n: u32, lane: u32) {
  const WORDS = KV_SPAN_WORDS + 1u; // a lane does a word of a span, the last one its scale
  workgroupBarrier(); // rows turned before whole spans of them are read
  for (var i = lane; i < n / KV_SPAN * WORDS; i += WG) {
    let r = i / WORDS * KV_SPAN;
    let w = i % WORDS;
    if (row0 + r < ROWS_Q) { continue; }
    var largest = 0.0;
    for (var e = 0u; e < KV_SPAN; e++) { largest = max(largest, abs(ys[r + e])); }
    var word = word_of_f32(largest / 127.0);
    if (w < KV_SPAN_WORDS) {
      let e = r + 4u * w;
      word = quantise4(vec4<f32>(ys[e], ys[e + 1u], ys[e + 2u], ys[e + 3u]), largest);
    }
    let row = row0 + r - ROWS_Q;
    append_word(layer, row / HEAD_DIM, kv_place(row % HEAD_DIM / KV_SPAN, w), word);
  }
}
