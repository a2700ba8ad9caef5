// activations_f32: the exact path. Inputs of a matrix are f32 words; a group of 32 is eight vec4.
// In workgroup memory: eight planes [8][XG], so that neighbouring lanes read neighbouring vec4.
var<workgroup> xv: array<vec4<f32>, 8u * XG>;

struct X {
  v0: vec4<f32>, v1: vec4<f32>, v2: vec4<f32>, v3: vec4<f32>,
  v4: vec4<f32>, v5: vec4<f32>, v6: vec4<f32>, v7: vec4<f32>,
}

fn x_load(g: u32) -> X {
  return X(xv[g], xv[XG + g], xv[2u * XG + g], xv[3u * XG + g],
           xv[4u * XG + g], xv[5u * XG + g], xv[6u * XG + g], xv[7u * XG + g]);
}

// Groups group0 .. group0 + n of the vector at `at`, and its n_ss partial sums of squares at at_ss. A barrier,
// then finish_y.
fn take_y(at: u32, at_scale: u32, at_ss: u32, n_ss: u32, group0: u32, n: u32, q: u32, lane: u32) {
  take_run(Run(at + group0 * 32u, n * 32u, at_scale, 0u, at_ss, n_ss, group0, q), lane);
}

fn keep_y(i: u32, w: u32) { xv[((i >> 2u) & 7u) * XG + (i >> 5u)][i & 3u] = bitcast<f32>(w); }
// Word lane + step of a whole vector, step a multiple of 32.
fn keep_y_step(lane: u32, step: u32, w: u32) {
  xv[((lane >> 2u) & 7u) * XG + (lane >> 5u) + step / 32u][lane & 3u] = bitcast<f32>(w);
}

fn keep_scale_whole(i: u32, q: u32, v: f32) {} // there are none
fn keep_scale(r: Run, i: u32, v: f32) {} // there are none

fn finish_y(n: u32, lane: u32) {}

// ys[0..n) are elements row0.. of the vector at `at`.
fn put_y(at: u32, at_scale: u32, row0: u32, n: u32, q: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { put(at + row0 + r, word_of_f32(ys[r])); }
}
