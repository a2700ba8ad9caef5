// finish: a finished row of a matrix before anything reads it: the norm of the stage's input, which was
// left to it, and the bias where the model has one. v is the sum of products.
fn finish_qkv(layer: u32, row: u32, v: f32) -> f32 {
  return normed(v, sum_qkv(layer) + row, HAS_BIAS_QKV, bias_qkv(layer) + row);
}

// row: of gate; behind gate, of up.
fn finish_gate_up(layer: u32, row: u32, v: f32) -> f32 {
  return normed(v, sum_gate_up(layer) + row, HAS_BIAS_GATE_UP, bias_gate_up(layer) + row);
}

fn finish_logits(row: u32, v: f32) -> f32 {
  return capped(normed(v, sum_logits(0u) + row, HAS_BIAS_LOGITS, bias_logits(0u) + row), LOGIT_CAP);
}

// A row of out or down: both have a bias, of zeros where the file has none, or neither.
fn biased(v: f32, bias: u32) -> f32 {
  if (HAS_BIAS_OUT) { return v + vector_at(bias); }
  return v;
}
