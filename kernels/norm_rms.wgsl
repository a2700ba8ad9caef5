// norm_rms: what the norm leaves to a finished row is one factor.
var<private> x_inv: f32; // 1 / rms of the vector that take_x brought in

// The order of additions depends on MAX_TEAM alone; every lane gets the sum.
fn add_sums(lane: u32) {
  var s = 0.0;
  for (var k = 0u; k < (N_SS + MAX_TEAM - 1u) / MAX_TEAM; k++) {
    let i = lane % MAX_TEAM + k * MAX_TEAM;
    if (i < N_SS) { s += ss[i]; }
  }
  x_inv = inverseSqrt(fma(team_sum(s, MAX_TEAM, lane), 1.0 / f32(D), NORM_EPS));
}

// No mean is needed, hence none is put.
fn put_means(at: u32, row0: u32, n: u32, lane: u32) {}
fn put_mean(at: u32, span: u32, e: u32, x: f32, lane: u32) {}

// A finished row, and its bias where `biased`, which is a const at every call.
fn normed(v: f32, sum: u32, biased: bool, bias: u32) -> f32 {
  if (biased) { return fma(v, x_inv, vector_at(bias)); }
  return v * x_inv;
}
