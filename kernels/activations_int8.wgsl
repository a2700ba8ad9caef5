// activations_int8: the fast path. Inputs of a matrix cross as bf16, two to a word, and are made int8 by each who takes
// them, a group of 32 at a time: with one scale a group its products are added as integers, and a producer, which may
// own a part of a group, need not know the group's largest number.
// A vector of n numbers is n / 8 chunks; word j of a chunk, its numbers 2j and 2j + 1, stands at j * n / 8 + chunk, so
// that a lane that takes a chunk asks for words beside its neighbours'. Who makes a group int8 is inputs_*.wgsl:
//   take_y(at, n_all, group0, n, at_ss, n_ss, lane): groups group0 .. group0 + n of the vector of n_all numbers at `at`,
//   and n_ss partial sums at at_ss. A barrier, then x_load.
// In workgroup memory: two planes [2][XG] of vec4<u32> (words 0-3 and 4-7 of a group: four int8 each), and its scale.
var<workgroup> xq: array<vec4<u32>, 2u * XG>;
var<workgroup> xs: array<f32, XG>;

alias X = XInt8;

fn x_load(g: u32) -> X { return X(xq[g], xq[XG + g], xs[g], xsum[g]); }

// Where the word of number r, which is even, stands in a vector of n numbers.
fn pair_at(n: u32, r: u32) -> u32 { return (r & 7u) / 2u * (n / 8u) + r / 8u; }

// Two numbers rounded to bf16.
fn pair_word(a: f32, b: f32) -> u32 {
  let w = ((bitcast<u32>(a) + 0x8000u) >> 16u) | ((bitcast<u32>(b) + 0x8000u) & 0xffff0000u);
  return select(w, w + 1u, w == NOT_READY);
}

// A chunk's numbers: the even ones, the odd ones.
fn evens(w: vec4<u32>) -> vec4<f32> { return bitcast<vec4<f32>>(w << vec4<u32>(16u)); }
fn odds(w: vec4<u32>) -> vec4<f32> { return bitcast<vec4<f32>>(w & vec4<u32>(0xffff0000u)); }

fn largest_of(w: vec4<u32>) -> f32 {
  let m = max(abs(evens(w)), abs(odds(w)));
  return max(max(m.x, m.y), max(m.z, m.w));
}

// What a group's numbers are multiplied by to be int8. Below 1e-30 they are nothing.
fn inverse_of(largest: f32) -> f32 { return select(0.0, 127.0 / largest, largest > 1.0e-30); }

// A chunk as int8, number by number. A sum with 3 * 2^22 leaves the nearest integer in a float's lowest bits.
fn int8_of(w: vec4<u32>, inverse: f32) -> vec2<u32> {
  const LAST_BITS = vec4<f32>(12582912.0);
  let even = bitcast<vec4<u32>>(fma(evens(w), vec4<f32>(inverse), LAST_BITS)) & vec4<u32>(255u);
  let odd = bitcast<vec4<u32>>(fma(odds(w), vec4<f32>(inverse), LAST_BITS)) & vec4<u32>(255u);
  let pairs = even | (odd << vec4<u32>(8u));
  return pairs.xz | (pairs.yw << vec2<u32>(16u));
}

// Keeps a quarter of a group, chunk c counted from the group that stands first in workgroup memory; returns the sum
// of its int8.
fn keep_int8(c: u32, w: vec4<u32>, inverse: f32) -> f32 {
  let q = int8_of(w, inverse);
  let at = (c & 3u) / 2u * XG + c / 4u;
  xq[at][(c & 1u) * 2u] = q.x;
  xq[at][(c & 1u) * 2u + 1u] = q.y;
  if (!X_SUMS) { return 0.0; }
  return f32(dot4I8Packed(q.x, 0x01010101u) + dot4I8Packed(q.y, 0x01010101u));
}

// The group's scale, and what its inputs add up to, given the sum of its int8.
fn keep_scale(g: u32, largest: f32, sum: f32) {
  xs[g] = largest / 127.0;
  if (X_SUMS) { xsum[g] = sum * (largest / 127.0); }
}

// ys[0..n) are elements row0.. of the vector of n_all numbers at `at`; n and row0 are even.
fn put_y(at: u32, n_all: u32, row0: u32, n: u32, lane: u32) {
  for (var i = lane; i < n / 2u; i += WG) {
    put(at + pair_at(n_all, row0 + 2u * i), pair_word(ys[2u * i], ys[2u * i + 1u]));
  }
}
