// finish: a finished row of a matrix before anything reads it: the norm of the stage's input, which was
// left to it, and the bias where the model has one. v is the sum of products, s is x_scale().
fn finish_qkv(layer: u32, row: u32, v: f32, s: Scale) -> f32 {
  return normed(v, s, HAS_BIAS_QKV, bias_qkv(layer) + row);
}
