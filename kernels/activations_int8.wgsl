// activations_int8: the fast path. Inputs of a matrix are int8, four to a word, with one f32 scale
// for every q neighbours (q a multiple of 8). The producer quantises: a consumer only loads.
// In workgroup memory: two planes [2][XG] of vec4<u32> (words 0-3 and 4-7 of a group), and a scale
// for each octet of the group.
var<workgroup> xq: array<vec4<u32>, 2u * XG>;
var<workgroup> xs: array<vec4<f32>, XG>;

alias X = XInt8;

fn x_load(g: u32) -> X {
  let scale = xs[g];
  return X(xq[g], xq[XG + g], scale, xsum[g], origin_of(scale));
}

// Groups group0 .. group0 + n of the vector at `at`, the scales that they need, and n_ss partial sums of
// squares at at_ss. A barrier, then finish_y.
fn take_y(at: u32, at_scale: u32, at_ss: u32, n_ss: u32, group0: u32, n: u32, q: u32, lane: u32) {
  let scale0 = group0 * 32u / q;
  let n_scale = (group0 * 32u + n * 32u + q - 1u) / q - scale0;
  take_run(Run(at + group0 * 8u, n * 8u, at_scale + scale0, n_scale, at_ss, n_ss, group0, q), lane);
}

// Word i of a run: four int8.
fn keep_y(i: u32, w: u32) { xq[((i >> 2u) & 1u) * XG + (i >> 3u)][i & 3u] = w; }

// Word lane + step of a whole vector, step a multiple of 32.
fn keep_y_step(lane: u32, step: u32, w: u32) {
  xq[((lane >> 2u) & 1u) * XG + (lane >> 3u) + step / 8u][lane & 3u] = w;
}

// Scale i of a whole vector, of q neighbours each.
fn keep_scale_whole(i: u32, q: u32, v: f32) {
  if (q % 32u == 0u) {
    for (var g = 0u; g < q / 32u; g++) { xs[i * (q / 32u) + g] = vec4<f32>(v); }
    return;
  }
  for (var k = 0u; k < q / 8u; k++) {
    let octet = i * (q / 8u) + k;
    xs[octet / 4u][octet % 4u] = v;
  }
}

// Scale i of a run, to the octets of the run's groups that it spans.
fn keep_scale(r: Run, i: u32, v: f32) {
  for (var o = 0u; o < r.q / 8u; o++) {
    let octet = (r.group0 * 32u / r.q + i) * (r.q / 8u) + o - r.group0 * 4u;
    if (octet < r.n_y / 2u) { xs[octet / 4u][octet % 4u] = v; }
  }
}

fn group_sum(g: u32, s: vec4<f32>) -> f32 {
  let a = xq[g];
  let b = xq[XG + g];
  return fma(octet_sum(a.x, a.y), s.x, fma(octet_sum(a.z, a.w), s.y,
         fma(octet_sum(b.x, b.y), s.z, octet_sum(b.z, b.w) * s.w)));
}

// After take_y and a barrier, where a form of weights has minima: each group's sum. Ends in a barrier.
fn finish_y(n: u32, lane: u32) {
  for (var g = lane; g < n; g += WG) { xsum[g] = group_sum(g, xs[g]); }
  workgroupBarrier(); // sums written before x_load
}

// ys[0..n) are elements row0.. of the vector at `at`; n and row0 are multiples of q.
fn put_y(at: u32, at_scale: u32, row0: u32, n: u32, q: u32, lane: u32) {
  for (var w = lane; w < n / 4u; w += WG) {
    let first = (w * 4u / q) * q;
    var largest = 0.0;
    for (var i = 0u; i < q; i++) { largest = max(largest, abs(ys[first + i])); }
    let r = w * 4u;
    put(at + (row0 + r) / 4u, quantise4(vec4<f32>(ys[r], ys[r + 1u], ys[r + 2u], ys[r + 3u]), largest));
    if (r == first) { put(at_scale + (row0 + r) / q, word_of_f32(largest / 127.0)); }
  }
}
