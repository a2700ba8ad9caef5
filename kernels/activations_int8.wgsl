// activations_int8: the fast path. Inputs of a matrix cross as bf16, two to a word, and are made int8 by each who takes
// them, half a group of 32 at a time: with one scale for 16 their products are added as integers, and a producer, which
// may own a part of them, need not know their largest. (One scale for 32 was no faster, and cost small models three
// times as much: bench/results/h200-2026-11-28-long.)
// A vector of n numbers is n / 8 chunks; word j of a chunk, its numbers 2j and 2j + 1, stands at j * n / 8 + chunk, so
// that a lane that takes a chunk asks for words beside its neighbours'. Who makes them int8 is inputs_*.wgsl:
//   take_y(at, n_all, group0, n, at_ss, n_ss, lane)   groups group0 .. group0 + n of the vector of n_all numbers at
//                                                     `at`, and n_ss partial sums at at_ss; a barrier, then x_load;
//   take_h(at, group0, n, lane)                       the same of H.
// H, the longest, crosses as int8 where its producers own whole groups (H_INT8): four numbers a word, then a group's
// scale each.
// In workgroup memory: two planes [2][XG] of vec4<u32> (words 0-3 and 4-7 of a group: four int8 each); of each half its
// scale, and the sum of its int8.
var<workgroup> xq: array<vec4<u32>, 2u * XG>;
var<workgroup> xs: array<vec2<f32>, XG>;
var<workgroup> xsum: array<vec2<f32>, XG>;

alias X = XInt8;

fn x_load(g: u32) -> X {
  let scale = xs[g];
  var sum = 0.0;
  if (X_SUMS) { sum = fma(scale.x, xsum[g].x, scale.y * xsum[g].y); }
  return X(xq[g], xq[XG + g], scale, sum);
}

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

// What numbers are multiplied by to be int8, given the largest. Below 1e-30 they are nothing.
fn inverse_of(largest: f32) -> f32 { return select(0.0, 127.0 / largest, largest > 1.0e-30); }

// Numbers as int8, in bytes of their own. A sum with 3 * 2^22 leaves the nearest integer in a float's lowest bits.
fn bytes_of(v: vec4<f32>, inverse: f32) -> vec4<u32> {
  return bitcast<vec4<u32>>(fma(v, vec4<f32>(inverse), vec4<f32>(12582912.0))) & vec4<u32>(255u);
}

// A chunk as int8, number by number.
fn int8_of(w: vec4<u32>, inverse: f32) -> vec2<u32> {
  let even = bytes_of(evens(w), inverse);
  let odd = bytes_of(odds(w), inverse);
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
  return sum4(q.x) + sum4(q.y);
}

// The sum of four int8, where anyone asks for sums of inputs.
fn sum4(w: u32) -> f32 {
  if (!X_SUMS) { return 0.0; }
  return f32(dot4I8Packed(w, 0x01010101u));
}

// The scale of half h of the groups, counted from the first in workgroup memory, and the sum of its int8.
fn keep_scale(h: u32, largest: f32, sum: f32) {
  xs[h / 2u][h % 2u] = largest / 127.0;
  if (X_SUMS) { xsum[h / 2u][h % 2u] = sum; }
}

// Word i, counted from the group that stands first in workgroup memory, of a vector that crosses as int8.
fn keep_word(i: u32, w: u32) { xq[i % 8u / 4u * XG + i / 8u][i % 4u] = w; }

// ys[0..n) are elements row0.. of the vector of n_all numbers at `at`; n and row0 are even.
fn put_y(at: u32, n_all: u32, row0: u32, n: u32, lane: u32) {
  for (var i = lane; i < n / 2u; i += WG) {
    put(at + pair_at(n_all, row0 + 2u * i), pair_word(ys[2u * i], ys[2u * i + 1u]));
  }
}

// The same of H.
fn put_h(layer: u32, row0: u32, n: u32, lane: u32) {
  let at = at_layer(layer) + L_H;
  if (!H_INT8) {
    put_y(at, N_FF, row0, n, lane);
    return;
  }
  for (var r = lane * 4u; r < n; r += WG * 4u) {
    let first = r / 32u * 32u;
    var largest = 0.0;
    for (var i = 0u; i < 32u; i++) { largest = max(largest, abs(ys[first + i])); }
    let b = bytes_of(vec4<f32>(ys[r], ys[r + 1u], ys[r + 2u], ys[r + 3u]), inverse_of(largest));
    put(at + (row0 + r) / 4u, b.x | (b.y << 8u) | (b.z << 16u) | (b.w << 24u));
    if (r == first) { put(at + N_FF / 4u + (row0 + r) / 32u, word_of_f32(largest / 127.0)); }
  }
}
