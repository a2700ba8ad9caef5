// weight_q2_k: w = d * q + m, q a two's complement nibble, with a d and an m for each 16 weights. Two words a group
// in the scales: halves D and M of the super-block; int8 factors on D for each 16 weights, then on M.
struct Group_q2_k {
  w: vec4<u32>,
  d: vec2<f32>,
  m: vec2<f32>,
}

// As loaded.
struct Raw_q2_k {
  w: vec4<u32>,
  s: vec2<u32>,
}

fn near_q2_k(m: Matrix, row: u32, groups: u32, g: u32) -> Near {
  return Near(m.w_at + row * groups + g, (m.s_at >> 1u) + row * groups + g);
}

fn raw_q2_k(n: Near, row: u32, groups: u32, g: u32) -> Raw_q2_k {
  return Raw_q2_k(payload(n.w + row * groups + g), ws[n.s + row * groups + g]);
}

fn group_q2_k(r: Raw_q2_k, odd: bool) -> Group_q2_k {
  let dm = unpack2x16float(r.s.x);
  let factor = vec4<f32>(unpack4xI8(r.s.y));
  return Group_q2_k(r.w, dm.x * factor.xy, -dm.y * factor.zw);
}

fn load_q2_k(m: Matrix, row: u32, groups: u32, g: u32) -> Group_q2_k {
  return group_q2_k(raw_q2_k(near_q2_k(m, row, groups, g), 0u, groups, 0u), false);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_q2_k(p: Group_q2_k, j: u32) -> vec4<f32> {
  let word = p.w[j >> 1u];
  let signed = select(word << 4u, word, (j & 1u) == 1u) & 0xf0f0f0f0u; // 16 q as int8
  let d = select(p.d.x, p.d.y, j >= 4u) * 0.0625;
  return fma(vec4<f32>(unpack4xI8(signed)), vec4<f32>(d), vec4<f32>(select(p.m.x, p.m.y, j >= 4u)));
}

const SUM_INT8_Q2_K = 1.0;
fn mac_int8_q2_k(p: Group_q2_k, x: XInt8, one: bool, acc: f32) -> f32 {
  let lo = (p.w << vec4<u32>(4u)) & vec4<u32>(0xf0f0f0f0u);
  let hi = p.w & vec4<u32>(0xf0f0f0f0u);
  let d = vec4<f32>(octet_dots(lo, hi, x));
  let first = fma(d.x, x.scale.x, d.y * x.scale.y);
  let second = fma(d.z, x.scale.z, d.w * x.scale.w);
  // Minima belong to 16 inputs, so the group's one sum does not serve.
  let sum_first = fma(octet_sum(x.a.x, x.a.y), x.scale.x, octet_sum(x.a.z, x.a.w) * x.scale.y);
  let sum_second = fma(octet_sum(x.b.x, x.b.y), x.scale.z, octet_sum(x.b.z, x.b.w) * x.scale.w);
  let minima = fma(p.m.x, sum_first, fma(p.m.y, sum_second, acc));
  return fma(p.d.x * 0.0625, first, fma(p.d.y * 0.0625, second, minima));
}
