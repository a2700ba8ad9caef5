// weight_q6_k: w = d * q, q an int8. Two f32 a group: one for each 16 weights.
struct Group_q6_k {
  a: vec4<u32>, // weights 0..15
  b: vec4<u32>, // weights 16..31
  d: vec2<f32>,
}

// As loaded is as used.
alias Raw_q6_k = Group_q6_k;

fn near_q6_k(m: Matrix, row: u32, groups: u32, g: u32) -> Near {
  return Near(m.w_at + row * 2u * groups + g, (m.s_at >> 1u) + row * groups + g);
}

fn raw_q6_k(n: Near, row: u32, groups: u32, g: u32) -> Raw_q6_k {
  let at = n.w + row * 2u * groups + g; // planes [row][2][groups]
  return Raw_q6_k(payload(at), payload(at + groups), bitcast<vec2<f32>>(ws[n.s + row * groups + g]));
}

fn group_q6_k(r: Raw_q6_k, odd: bool) -> Group_q6_k { return r; }

fn load_q6_k(m: Matrix, row: u32, groups: u32, g: u32) -> Group_q6_k {
  return group_q6_k(raw_q6_k(near_q6_k(m, row, groups, g), 0u, groups, 0u), false);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_q6_k(p: Group_q6_k, j: u32) -> vec4<f32> {
  let word = select(p.a[j & 3u], p.b[j & 3u], j >= 4u);
  return vec4<f32>(unpack4xI8(word)) * select(p.d.x, p.d.y, j >= 4u);
}

const SUM_INT8_Q6_K = 1.0;
fn mac_int8_q6_k(p: Group_q6_k, x: XInt8, one: bool, acc: f32) -> f32 {
  let d0 = f32(dot4I8Packed(p.a.x, x.a.x) + dot4I8Packed(p.a.y, x.a.y));
  let d1 = f32(dot4I8Packed(p.a.z, x.a.z) + dot4I8Packed(p.a.w, x.a.w));
  let d2 = f32(dot4I8Packed(p.b.x, x.b.x) + dot4I8Packed(p.b.y, x.b.y));
  let d3 = f32(dot4I8Packed(p.b.z, x.b.z) + dot4I8Packed(p.b.w, x.b.w));
  let low = fma(d0, x.scale.x, d1 * x.scale.y);
  let high = fma(d2, x.scale.z, d3 * x.scale.w);
  return fma(p.d.x, low, fma(p.d.y, high, acc));
}
