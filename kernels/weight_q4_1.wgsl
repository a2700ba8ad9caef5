// weight_q4_1: w = d * q + m, q an unsigned nibble. Two f16 a group, d and m, in one word.
struct Group_q4_1 {
  w: vec4<u32>,
  d: f32,
  m: f32,
}

// As loaded.
struct Raw_q4_1 {
  w: vec4<u32>,
  s: u32,
}

fn near_q4_1(m: Matrix, row: u32, groups: u32, g: u32) -> Near {
  return Near(m.w_at + row * groups + g, m.s_at + row * groups + g);
}

fn raw_q4_1(n: Near, row: u32, groups: u32, g: u32) -> Raw_q4_1 {
  return Raw_q4_1(payload(n.w + row * groups + g), scale_word(n.s + row * groups + g));
}

fn group_q4_1(r: Raw_q4_1, odd: bool) -> Group_q4_1 {
  let s = unpack2x16float(r.s);
  return Group_q4_1(r.w, s.x, s.y);
}

fn load_q4_1(m: Matrix, row: u32, groups: u32, g: u32) -> Group_q4_1 {
  return group_q4_1(raw_q4_1(near_q4_1(m, row, groups, g), 0u, groups, 0u), false);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_q4_1(p: Group_q4_1, j: u32) -> vec4<f32> {
  let nibbles = (p.w[j >> 1u] >> ((j & 1u) * 4u)) & 0x0f0f0f0fu;
  return fma(vec4<f32>(unpack4xU8(nibbles)), vec4<f32>(p.d), vec4<f32>(p.m));
}

const SUM_INT8_Q4_1 = 1.0;
fn mac_int8_q4_1(p: Group_q4_1, x: XInt8, one: bool, acc: f32) -> f32 {
  let lo = p.w & vec4<u32>(0x0f0f0f0fu);
  let hi = (p.w >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu);
  return fma(p.d, scaled(octet_dots(lo, hi, x), x, one), fma(p.m, x.sum, acc));
}
