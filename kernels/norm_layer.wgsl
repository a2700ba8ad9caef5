// norm_layer: LayerNorm, (x - mean) / sigma * gain + bias, in the same form as RMSNorm: the producer's words
// are x * gain, not centred, and its sums those of x beside those of x^2. With y = W (x * gain), finished
// rows are (y - mean * W gain) / sigma + W bias: the last two products are made once, when the weights
// are loaded, and a bias of the row's own is added to the second (weights.c). The difference loses as many
// bits as the mean is larger than sigma, which residuals of such models are not.
var<private> x_inv: f32; // 1 / sigma of the vector that take_x brought in
var<private> x_mean: f32;

// The order of additions depends on MAX_TEAM alone; every lane gets the sums.
fn add_sums(lane: u32) {
  var s = 0.0;
  var m = 0.0;
  for (var k = 0u; k < (N_SS + MAX_TEAM - 1u) / MAX_TEAM; k++) {
    let i = lane % MAX_TEAM + k * MAX_TEAM;
    if (i >= N_SS) { continue; }
    s += ss[i];
    m += ss[N_SS + i];
  }
  x_mean = team_sum(m, MAX_TEAM, lane) * (1.0 / f32(D));
  let variance = fma(-x_mean, x_mean, team_sum(s, MAX_TEAM, lane) * (1.0 / f32(D)));
  x_inv = inverseSqrt(max(variance, 0.0) + NORM_EPS);
}

// A finished row: `sum` is where its sum of weights times gains stands, `bias` where its bias does.
fn normed(v: f32, sum: u32, biased: bool, bias: u32) -> f32 {
  return fma(fma(-x_mean, vector_at(sum), v), x_inv, vector_at(bias));
}

// rows[0..n) are rows row0.. of the residual: their spans' sums, added in the tree of put_ss.
fn put_means(at: u32, row0: u32, n: u32, lane: u32) {
  for (var q = lane; q < n / QD; q += WG) {
    var v = array<f32, 32>();
    for (var i = 0u; i < QD; i++) { v[i] = rows[q * QD + i]; }
    for (var step = 16u; step > 0u; step /= 2u) {
      for (var i = 0u; i < step; i++) { v[i] += v[i + step]; }
    }
    put(at + X_SS + N_SS + row0 / QD + q, word_of_f32(v[0]));
  }
}

// The same of one span by a team, lane e with x of element e, 0 past the span.
fn put_mean(at: u32, span: u32, e: u32, x: f32, lane: u32) {
  let s = team_sum(x, MAX_TEAM, lane);
  if (e == 0u) { put(at + X_SS + N_SS + span, word_of_f32(s)); }
}
