// kv_f32: the cache holds K and V rows as f32, one dimension a word.
const KV_PER_WORD = 1u;
fn kv_word(a: f32, b: f32, half: u32) -> u32 { return word_of_f32(select(a, b, half == 1u)); }
fn kv_value(word: u32, half: u32) -> f32 { return bitcast<f32>(word); }
