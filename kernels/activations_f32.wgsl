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

// Groups group0 .. group0 + n of the vector of n_all numbers at `at`, and n_ss partial sums at at_ss. A barrier, then
// x_load. A lane asks for four words before it waits for them.
fn take_y(at: u32, n_all: u32, group0: u32, n: u32, at_ss: u32, n_ss: u32, lane: u32) {
  for (var first = lane; first < n * 32u; first += 4u * WG) {
    let i = first + vec4<u32>(0u, WG, 2u * WG, 3u * WG);
    let slots = at + group0 * 32u + min(i, vec4<u32>(n * 32u - 1u));
    let w = settle4(slots, peek4(slots));
    keep_y(i.x, w.x);
    if (i.y < n * 32u) { keep_y(i.y, w.y); }
    if (i.z < n * 32u) { keep_y(i.z, w.z); }
    if (i.w < n * 32u) { keep_y(i.w, w.w); }
  }
  take_ss(at_ss, n_ss, lane);
}

fn keep_y(i: u32, w: u32) { xv[((i >> 2u) & 7u) * XG + (i >> 5u)][i & 3u] = bitcast<f32>(w); }
// Word lane + step of a whole vector, step a multiple of 32.
fn keep_y_step(lane: u32, step: u32, w: u32) {
  xv[((lane >> 2u) & 7u) * XG + (lane >> 5u) + step / 32u][lane & 3u] = bitcast<f32>(w);
}

// ys[0..n) are elements row0.. of the vector of n_all numbers at `at`.
fn put_y(at: u32, n_all: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { put(at + row0 + r, word_of_f32(ys[r])); }
}

fn put_h(layer: u32, row0: u32, n: u32, lane: u32) { put_y(at_layer(layer) + L_H, N_FF, row0, n, lane); }

fn take_h(at: u32, group0: u32, n: u32, lane: u32) { take_y(at, N_FF, group0, n, 0u, 0u, lane); }
