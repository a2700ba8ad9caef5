// norm_rms: what the norm leaves to a finished row is one factor, 1/rms of the stage's input.
alias Scale = f32;

// After take_x and a barrier.
fn x_scale() -> Scale { return inv_rms(); }

// No mean is needed, hence none is put or added up.
fn add_means(lane: u32) {}
fn put_means(at: u32, row0: u32, n: u32, lane: u32) {}
fn put_mean(at: u32, span: u32, there: bool, e: u32, x: f32, lane: u32) {}

// A finished row, and its bias where `biased`, which is a const at every call.
fn normed(v: f32, s: Scale, sum: u32, biased: bool, bias: u32) -> f32 {
  if (biased) { return fma(v, s, vector_at(bias)); }
  return v * s;
}
