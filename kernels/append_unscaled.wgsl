// append_unscaled: a pair of numbers of k or v is whole words, which go out at once.
fn append_pair(layer: u32, row: u32, r: u32, v: vec2<f32>) {
  for (var h = 0u; h < 2u; h += KV_PER_WORD) {
    append_word(layer, row / HEAD_DIM, (row % HEAD_DIM + h) / KV_PER_WORD, kv_word(v.x, v.y, h));
  }
}

fn append_spans(layer: u32, row0: u32, n: u32, lane: u32) {}
