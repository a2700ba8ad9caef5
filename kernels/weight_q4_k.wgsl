// weight_q4_k: w = d * q + m, q an unsigned nibble. Two f32 a group, d and m: the products of a super-block's
// scales are exact in f32 and not in f16.
struct Group_q4_k {
  w: vec4<u32>,
  d: f32,
  m: f32,
}

// As loaded is as used.
alias Raw_q4_k = Group_q4_k;

fn near_q4_k(m: Matrix, row: u32, groups: u32, g: u32) -> Near {
  return Near(m.w_at + row * groups + g, (m.s_at >> 1u) + row * groups + g);
}

fn raw_q4_k(n: Near, row: u32, groups: u32, g: u32) -> Raw_q4_k {
  let dm = bitcast<vec2<f32>>(ws[n.s + row * groups + g]);
  return Raw_q4_k(payload(n.w + row * groups + g), dm.x, dm.y);
}

fn group_q4_k(r: Raw_q4_k, odd: bool) -> Group_q4_k { return r; }

fn load_q4_k(m: Matrix, row: u32, groups: u32, g: u32) -> Group_q4_k {
  return group_q4_k(raw_q4_k(near_q4_k(m, row, groups, g), 0u, groups, 0u), false);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_q4_k(p: Group_q4_k, j: u32) -> vec4<f32> {
  let nibbles = (p.w[j >> 1u] >> ((j & 1u) * 4u)) & 0x0f0f0f0fu;
  return fma(vec4<f32>(unpack4xU8(nibbles)), vec4<f32>(p.d), vec4<f32>(p.m));
}

const SUM_INT8_Q4_K = 1.0;
fn mac_int8_q4_k(p: Group_q4_k, x: XInt8, one: bool, acc: f32) -> f32 {
  let lo = p.w & vec4<u32>(0x0f0f0f0fu);
  let hi = (p.w >> vec4<u32>(4u)) & vec4<u32>(0x0f0f0f0fu);
  return fma(p.d, scaled(octet_dots(lo, hi, x), x, one), fma(p.m, x.sum, acc));
}
