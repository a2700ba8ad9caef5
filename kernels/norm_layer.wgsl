// norm_layer: LayerNorm, (x - mean) / sigma * gain + bias, in the same form as RMSNorm: the producer's words
// are x * gain, not centred, and its sums those of x beside those of x^2. With y = W (x * gain), finished
// rows are (y - mean * W gain) / sigma + W bias: the last two products are made once, when the weights
// are loaded, and a bias of the row's own is added to the second (weights.c). The difference loses as many
// bits as the mean is larger than sigma, which residuals of such models are not.
struct Scale {
  inv: f32, // 1 / sigma
  mean: f32,
}

var<workgroup> mean_part: array<f32, 8>; // the sums of x added up eight ways, as ss_part those of squares

// After take_y and a barrier, as add_sums.
fn add_means(lane: u32) {
  if (lane >= 8u && lane < 16u) {
    var s = 0.0;
    for (var i = lane - 8u; i < N_SS; i += 8u) { s += ss[N_SS + i]; }
    mean_part[lane - 8u] = s;
  }
}

// After take_x and a barrier.
fn x_scale() -> Scale {
  let s = ((ss_part[0] + ss_part[1]) + (ss_part[2] + ss_part[3])) +
          ((ss_part[4] + ss_part[5]) + (ss_part[6] + ss_part[7]));
  let m = ((mean_part[0] + mean_part[1]) + (mean_part[2] + mean_part[3])) +
          ((mean_part[4] + mean_part[5]) + (mean_part[6] + mean_part[7]));
  let mean = m * (1.0 / f32(D));
  let variance = max(fma(-mean, mean, s * (1.0 / f32(D))), 0.0);
  return Scale(inverseSqrt(variance + NORM_EPS), mean);
}

// A finished row: `sum` is where its sum of weights times gains stands, `bias` where its bias does.
fn normed(v: f32, s: Scale, sum: u32, biased: bool, bias: u32) -> f32 {
  return fma(fma(-s.mean, vector_at(sum), v), s.inv, vector_at(bias));
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

// The same of one span by a team, lane e with x of element e (0 past the span); there: it is a span.
fn put_mean(at: u32, span: u32, there: bool, e: u32, x: f32, lane: u32) {
  let s = team_sum(x, MAX_TEAM, lane);
  if (e == 0u && there) { put(at + X_SS + N_SS + span, word_of_f32(s)); }
}
