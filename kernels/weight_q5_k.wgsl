// weight_q5_k: w = d * q + m, q of five bits: nibbles as q4_k's, and a word of fifth bits, of which bit j of byte b
// is that of weight 4j + b. Three words a group in the scales: d, m, the fifth bits.
struct Group_q5_k {
  w: vec4<u32>,
  d: f32,
  m: f32,
  h: u32,
}

// As loaded is as used.
alias Raw_q5_k = Group_q5_k;

fn near_q5_k(m: Matrix, row: u32, groups: u32, g: u32) -> Near {
  return Near(m.w_at + row * groups + g, m.s_at + 3u * (row * groups + g));
}

fn raw_q5_k(n: Near, row: u32, groups: u32, g: u32) -> Raw_q5_k {
  let at = n.s + 3u * (row * groups + g);
  return Raw_q5_k(payload(n.w + row * groups + g), bitcast<f32>(scale_word(at)), bitcast<f32>(scale_word(at + 1u)),
                  scale_word(at + 2u));
}

fn group_q5_k(r: Raw_q5_k, odd: bool) -> Group_q5_k { return r; }

fn load_q5_k(m: Matrix, row: u32, groups: u32, g: u32) -> Group_q5_k {
  return group_q5_k(raw_q5_k(near_q5_k(m, row, groups, g), 0u, groups, 0u), false);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_q5_k(p: Group_q5_k, j: u32) -> vec4<f32> {
  let nibbles = (p.w[j >> 1u] >> ((j & 1u) * 4u)) & 0x0f0f0f0fu;
  let fives = nibbles | (((p.h >> j) & 0x01010101u) << 4u);
  return fma(vec4<f32>(unpack4xU8(fives)), vec4<f32>(p.d), vec4<f32>(p.m));
}

const SUM_INT8_Q5_K = 1.0;
fn mac_int8_q5_k(p: Group_q5_k, x: XInt8, one: bool, acc: f32) -> f32 {
  let ones = vec4<u32>(0x01010101u);
  let even = (vec4<u32>(p.h) >> vec4<u32>(0u, 2u, 4u, 6u)) & ones;
  let odd = (vec4<u32>(p.h) >> vec4<u32>(1u, 3u, 5u, 7u)) & ones;
  let lo = (p.w & vec4<u32>(0x0f0f0f0fu)) | (even << vec4<u32>(4u));
  let hi = ((p.w >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu)) | (odd << vec4<u32>(4u));
  return fma(p.d, scaled(octet_dots(lo, hi, x), x, one), fma(p.m, x.sum, acc));
}
