// weight_f16: IEEE half floats, two to a word, no scales.
struct Group_f16 {
  a: vec4<u32>, // weights 0..7
  b: vec4<u32>,
  c: vec4<u32>,
  d: vec4<u32>, // weights 24..31
}

// As loaded is as used.
alias Raw_f16 = Group_f16;

fn near_f16(m: Matrix, row: u32, groups: u32, g: u32) -> Near {
  return Near(m.w_at + row * 4u * groups + g, 0u);
}

fn raw_f16(n: Near, row: u32, groups: u32, g: u32) -> Raw_f16 {
  let at = n.w + row * 4u * groups + g; // planes [row][4][groups]
  return Raw_f16(payload(at), payload(at + groups), payload(at + 2u * groups), payload(at + 3u * groups));
}

fn group_f16(r: Raw_f16, odd: bool) -> Group_f16 { return r; }

fn load_f16(m: Matrix, row: u32, groups: u32, g: u32) -> Group_f16 {
  return raw_f16(near_f16(m, row, groups, g), 0u, groups, 0u);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_f16(p: Group_f16, j: u32) -> vec4<f32> {
  let v = select(select(p.a, p.b, (j & 2u) != 0u), select(p.c, p.d, (j & 2u) != 0u), j >= 4u);
  let two = select(v.xy, v.zw, (j & 1u) == 1u);
  return vec4<f32>(unpack2x16float(two.x), unpack2x16float(two.y));
}

const SUM_INT8_F16 = 1.0;
fn mac_int8_f16(p: Group_f16, x: XInt8, one: bool, acc: f32) -> f32 {
  var s = acc;
  for (var j = 0u; j < 8u; j++) {
    let word = select(x.a[j & 3u], x.b[j & 3u], j >= 4u);
    let q = vec4<f32>(unpack4xI8(word)) * x.scale[j >> 1u];
    let w = quad_f16(p, j);
    s = fma(w.x, q.x, fma(w.y, q.y, fma(w.z, q.z, fma(w.w, q.w, s))));
  }
  return s;
}
