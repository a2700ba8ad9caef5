// finish: a finished row of a matrix before anything reads it: the norm of the stage's input, which was
// left to it, and the bias where the model has one. v is the sum of products, s is x_scale().
fn finish_qkv(layer: u32, row: u32, v: f32, s: Scale) -> f32 {
  return normed(v, s, sum_qkv(layer) + row, HAS_BIAS_QKV, bias_qkv(layer) + row);
}

// row: of gate; behind gate, of up.
fn finish_gate_up(layer: u32, row: u32, v: f32, s: Scale) -> f32 {
  return normed(v, s, sum_gate_up(layer) + row, HAS_BIAS_GATE_UP, bias_gate_up(layer) + row);
}

fn finish_logits(row: u32, v: f32, s: Scale) -> f32 {
  return normed(v, s, sum_logits(0u) + row, HAS_BIAS_LOGITS, bias_logits(0u) + row);
}

// rows[0..n) += the vector at `bias`, where there is one: by the lanes that then add the residual to them.
fn add_bias(there: bool, bias: u32, n: u32, lane: u32) {
  if (!there) { return; }
  for (var r = lane; r < n; r += WG) { rows[r] += vector_at(bias + r); }
}
