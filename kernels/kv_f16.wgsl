// kv_f16: the cache holds K and V rows as f16, two neighbouring dimensions a word. Core WGSL: no
// shader-f16 needed. The current row is rounded in the same way before anyone uses it.
const KV_PER_WORD = 2u;
fn kv_word(a: f32, b: f32, half: u32) -> u32 {
  let w = pack2x16float(vec2<f32>(a, b));
  return select(w, w + 1u, w == NOT_READY);
}
fn kv_value(word: u32, half: u32) -> f32 { return unpack2x16float(word)[half]; }
