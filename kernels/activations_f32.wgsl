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

// Groups group0 .. group0 + n of the vector at `at`, and its n_ss partial sums of squares at at_ss,
// in one loop, so that all loads of a lane's round are in flight together. A barrier, then finish_y.
fn take_y(at: u32, at_scale: u32, at_ss: u32, n_ss: u32, group0: u32, n: u32, q: u32, lane: u32) {
  let n_y = n * 8u;
  for (var i = lane; i < n_y + (n_ss + 3u) / 4u; i += WG) {
    let e = (i - n_y) * 4u; // of the sums, where it is past the words
    let four = vec4<u32>(0u, 1u, 2u, 3u);
    let from_ss = at_ss + min(e + four, vec4<u32>(n_ss - 1u));
    let w = bitcast<vec4<f32>>(take4_at(select(from_ss, at + (group0 * 8u + i) * 4u + four, i < n_y)));
    if (i < n_y) { xv[(i & 7u) * XG + (i >> 3u)] = w; }
    else { put_sums(e, n_ss, w); }
  }
}

fn finish_y(n: u32, lane: u32) {}

// ys[0..n) are elements row0.. of the vector at `at`.
fn put_y(at: u32, at_scale: u32, row0: u32, n: u32, q: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { put(at + row0 + r, word_of_f32(ys[r])); }
}
