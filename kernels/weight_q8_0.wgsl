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

fn near_q8_0(m: Matrix, row: u32, groups: u32, g: u32) -> Near {
  return Near(m.w_at + row * 2u * groups + g, (m.s_at + scale_half_at(row, groups, g)) >> 1u);
}

// Where scales stand in quads, with g = 0 alone: stream.c loads planes and quads by themselves.
fn raw_q8_0(n: Near, row: u32, groups: u32, g: u32) -> Raw_q8_0 {
  let at = n.w + row * 2u * groups + g; // planes [row][2][groups]
  return Raw_q8_0(payload(at), payload(at + groups), scale_word(n.s + (scale_half_at(row, groups, g) >> 1u)));
}

fn group_q8_0(r: Raw_q8_0, odd: bool) -> Group_q8_0 {
  return Group_q8_0(r.a, r.b, unpack2x16float(r.s >> select(0u, 16u, odd)).x);
}

fn load_q8_0(m: Matrix, row: u32, groups: u32, g: u32) -> Group_q8_0 {
  return group_q8_0(raw_q8_0(near_q8_0(m, row, groups, g), 0u, groups, 0u), (scale_half_at(row, groups, g) & 1u) == 1u);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_q8_0(p: Group_q8_0, j: u32) -> vec4<f32> {
  let word = select(p.a[j & 3u], p.b[j & 3u], j >= 4u);
  return vec4<f32>(unpack4xI8(word)) * p.d;
}

const SUM_INT8_Q8_0 = 1.0;
fn mac_int8_q8_0(p: Group_q8_0, x: XInt8, one: bool, acc: f32) -> f32 {
  let d = vec4<i32>(dot4I8Packed(p.a.x, x.a.x) + dot4I8Packed(p.a.y, x.a.y),
                    dot4I8Packed(p.a.z, x.a.z) + dot4I8Packed(p.a.w, x.a.w),
                    dot4I8Packed(p.b.x, x.b.x) + dot4I8Packed(p.b.y, x.b.y),
                    dot4I8Packed(p.b.z, x.b.z) + dot4I8Packed(p.b.w, x.b.w));
  return fma(p.d, scaled(d, x, one), acc);
}
