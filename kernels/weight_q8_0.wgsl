// weight_q8_0: w = d * q, q an int8. One f16 d a group, two to a word.
struct Group_q8_0 {
  a: vec4<u32>, // weights 0..15
  b: vec4<u32>, // weights 16..31
  d: f32,
}

// As loaded: a group's bytes, and the word that its d is half of.
struct Raw_q8_0 {
  a: vec4<u32>,
  b: vec4<u32>,
  s: u32,
}

fn raw_q8_0(m: Matrix, i: u32, row: u32, groups: u32, g: u32) -> Raw_q8_0 {
  let at = m.w_at + i + row * groups; // planes [row][2][groups]
  return Raw_q8_0(payload(at), payload(at + groups), ws[(m.s_at + i) >> 1u]);
}

fn group_q8_0(r: Raw_q8_0, odd: bool) -> Group_q8_0 {
  let d = unpack2x16float(r.s);
  return Group_q8_0(r.a, r.b, select(d.x, d.y, odd));
}

fn load_q8_0(m: Matrix, i: u32, row: u32, groups: u32, g: u32) -> Group_q8_0 {
  return group_q8_0(raw_q8_0(m, i, row, groups, g), ((m.s_at + i) & 1u) == 1u);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_q8_0(p: Group_q8_0, j: u32) -> vec4<f32> {
  let word = select(p.a[j & 3u], p.b[j & 3u], j >= 4u);
  return vec4<f32>(unpack4xI8(word)) * p.d;
}

fn mac_int8_q8_0(p: Group_q8_0, x: XInt8, acc: f32) -> f32 {
  let d0 = f32(dot4I8Packed(p.a.x, x.a.x) + dot4I8Packed(p.a.y, x.a.y));
  let d1 = f32(dot4I8Packed(p.a.z, x.a.z) + dot4I8Packed(p.a.w, x.a.w));
  let d2 = f32(dot4I8Packed(p.b.x, x.b.x) + dot4I8Packed(p.b.y, x.b.y));
  let d3 = f32(dot4I8Packed(p.b.z, x.b.z) + dot4I8Packed(p.b.w, x.b.w));
  let s = fma(d0, x.scale.x, fma(d1, x.scale.y, fma(d2, x.scale.z, d3 * x.scale.w)));
  return fma(p.d, s, acc);
}
