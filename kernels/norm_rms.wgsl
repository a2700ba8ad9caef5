// norm_rms: what the norm leaves to a finished row is one factor, 1/rms of the stage's input.
alias Scale = f32;

// After take_x and a barrier.
fn x_scale() -> Scale { return inv_rms(); }

// A finished row, and its bias where `biased`, which is a const at every call.
fn normed(v: f32, s: Scale, biased: bool, bias: u32) -> f32 {
  if (biased) { return fma(v, s, vector_at(bias)); }
  return v * s;
}
