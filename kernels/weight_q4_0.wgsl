// weight_q4_0: w = d * q, q a two's complement nibble. One f16 d a group, two to a word.
struct Group_q4_0 {
  w: vec4<u32>,
  d: f32,
}

// As loaded: a group's nibbles, and the word that its d is half of.
struct Raw_q4_0 {
  w: vec4<u32>,
  s: u32,
}

fn near_q4_0(m: Matrix, row: u32, groups: u32, g: u32) -> Near {
  return Near(m.w_at + row * groups + g, (m.s_at + scale_half_at(row, groups, g)) >> 1u);
}

// Where scales stand in quads, with g = 0 alone: stream.c loads planes and quads by themselves.
fn raw_q4_0(n: Near, row: u32, groups: u32, g: u32) -> Raw_q4_0 {
  return Raw_q4_0(payload(n.w + row * groups + g), scale_word(n.s + (scale_half_at(row, groups, g) >> 1u)));
}

fn group_q4_0(r: Raw_q4_0, odd: bool) -> Group_q4_0 {
  return Group_q4_0(r.w, unpack2x16float(r.s >> select(0u, 16u, odd)).x);
}

fn load_q4_0(m: Matrix, row: u32, groups: u32, g: u32) -> Group_q4_0 {
  return group_q4_0(raw_q4_0(near_q4_0(m, row, groups, g), 0u, groups, 0u), (scale_half_at(row, groups, g) & 1u) == 1u);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_q4_0(p: Group_q4_0, j: u32) -> vec4<f32> {
  let word = p.w[j >> 1u];
  let signed = select(word << 4u, word, (j & 1u) == 1u) & 0xf0f0f0f0u; // 16 q as int8
  return vec4<f32>(unpack4xI8(signed)) * (p.d * 0.0625);
}

// Products are of 16 q; the sixteenth is taken of a row's sum.
const SUM_INT8_Q4_0 = 0.0625;
fn mac_int8_q4_0(p: Group_q4_0, x: XInt8, one: bool, acc: f32) -> f32 {
  let lo = (p.w << vec4<u32>(4u)) & vec4<u32>(0xf0f0f0f0u);
  let hi = p.w & vec4<u32>(0xf0f0f0f0u);
  return fma(p.d, scaled(octet_dots(lo, hi, x), x, one), acc);
}
