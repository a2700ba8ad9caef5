// kv_int8: the cache holds K and V rows as int8, four numbers a word. A span, a quarter of a head's row, shares
// a scale, an f32: the four lanes of attend_lanes.wgsl hold a span each, as KV_SPAN_WORDS words and one more, the
// scale. Words stand in the row so that each lane's loads lie beside its neighbours': as many whole vec4 of a span
// as there are, by turns with those of the others; then, of each word left over and of the scales, one a span in a
// vec4. The current row is rounded in the same way before anyone uses it.
const KV_PER_WORD = 4u;
const KV_SPAN = HEAD_DIM / 4u;
const KV_SPAN_WORDS = KV_SPAN / 4u;
const KV_SPAN_VECS = KV_SPAN_WORDS / 4u; // whole vec4 of a span

// Where word w of a span stands in the row; word KV_SPAN_WORDS is the scale.
fn kv_place(span: u32, w: u32) -> u32 {
  if (w < KV_SPAN_VECS * 4u) { return (w / 4u * 4u + span) * 4u + w % 4u; }
  return w * 4u + span;
}

// Number n of a word, to be multiplied by its span's scale: 2^23 + 128 + number as bits of an f32, less 2^23 + 128,
// which is cheaper than a conversion and as exact.
fn kv_value(word: u32, n: u32) -> f32 {
  return bitcast<f32>((((word ^ 0x80808080u) >> (8u * n)) & 255u) | 0x4b000000u) - 8388736.0;
}

// What kv_unscaled.wgsl says of the others.
const KV_SCALED = true;
const KV_NUM_VECS = KV_VECS - 1u;
const KV_NUM_WORDS = KV_ROW - 4u;
fn kv_first(w: u32) -> u32 {
  let v = w / 4u;
  if (v < KV_SPAN_VECS * 4u) { return v % 4u * KV_SPAN + (v / 4u * 4u + w % 4u) * 4u; }
  return w % 4u * KV_SPAN + v * 4u;
}
fn kv_word_at(d: u32) -> u32 { return kv_place(d / KV_SPAN, d % KV_SPAN / 4u); }
fn kv_scale_at(d: u32) -> u32 { return kv_place(d / KV_SPAN, KV_SPAN_WORDS); }
fn kv_scale_k(row: u32, d: u32) -> f32 { return bitcast<f32>(kv_k[row + KV_VECS - 1u][d / KV_SPAN]); }
fn kv_scale_v(row: u32, d: u32) -> f32 { return bitcast<f32>(kv_v[row + KV_VECS - 1u][d / KV_SPAN]); }
