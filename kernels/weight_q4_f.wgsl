// weight_q4_f: w = d * q, q a two's complement nibble. One f32 d a group.
struct Group_q4_f {
  w: vec4<u32>,
  d: f32,
}

// As loaded is as used.
alias Raw_q4_f = Group_q4_f;

fn near_q4_f(m: Matrix, row: u32, groups: u32, g: u32) -> Near {
  return Near(m.w_at + row * groups + g, m.s_at + row * groups + g);
}

fn raw_q4_f(n: Near, row: u32, groups: u32, g: u32) -> Raw_q4_f {
  return Raw_q4_f(payload(n.w + row * groups + g), bitcast<f32>(scale_word(n.s + row * groups + g)));
}

fn group_q4_f(r: Raw_q4_f, odd: bool) -> Group_q4_f { return r; }

fn load_q4_f(m: Matrix, row: u32, groups: u32, g: u32) -> Group_q4_f {
  return group_q4_f(raw_q4_f(near_q4_f(m, row, groups, g), 0u, groups, 0u), false);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_q4_f(p: Group_q4_f, j: u32) -> vec4<f32> {
  let word = p.w[j >> 1u];
  let signed = select(word << 4u, word, (j & 1u) == 1u) & 0xf0f0f0f0u; // 16 q as int8
  return vec4<f32>(unpack4xI8(signed)) * (p.d * 0.0625);
}

// Products are of 16 q; the sixteenth is taken of a row's sum.
const SUM_INT8_Q4_F = 0.0625;
fn mac_int8_q4_f(p: Group_q4_f, x: XInt8, one: bool, acc: f32) -> f32 {
  let lo = (p.w << vec4<u32>(4u)) & vec4<u32>(0xf0f0f0f0u);
  let hi = p.w & vec4<u32>(0xf0f0f0f0u);
  return fma(p.d, scaled(octet_dots(lo, hi, x), x, one), acc);
}
