// kv_unscaled: rows of the cache whose words say all of their numbers, in the numbers' order.
const KV_SCALED = false;
const KV_NUM_VECS = KV_VECS; // vec4 of a row that hold numbers
const KV_NUM_WORDS = KV_ROW;
fn kv_first(w: u32) -> u32 { return w * KV_PER_WORD; }    // the first number of a row's word w
fn kv_word_at(d: u32) -> u32 { return d / KV_PER_WORD; } // the word of number d
fn kv_scale_at(d: u32) -> u32 { return 0u; }
fn kv_scale_k(row: u32, d: u32) -> f32 { return 1.0; }
fn kv_scale_v(row: u32, d: u32) -> f32 { return 1.0; }
