// weight_bf16: bfloat16, the upper half of an f32, two to a word, no scales.
struct Group_bf16 {
  a: vec4<u32>, // weights 0..7
  b: vec4<u32>,
  c: vec4<u32>,
  d: vec4<u32>, // weights 24..31
}

// As loaded is as used.
alias Raw_bf16 = Group_bf16;

fn near_bf16(m: Matrix, row: u32, groups: u32, g: u32) -> Near {
  return Near(m.w_at + row * 4u * groups + g, 0u);
}

fn raw_bf16(n: Near, row: u32, groups: u32, g: u32) -> Raw_bf16 {
  let at = n.w + row * 4u * groups + g; // planes [row][4][groups]
  return Raw_bf16(payload(at), payload(at + groups), payload(at + 2u * groups), payload(at + 3u * groups));
}

fn group_bf16(r: Raw_bf16, odd: bool) -> Group_bf16 { return r; }

fn load_bf16(m: Matrix, row: u32, groups: u32, g: u32) -> Group_bf16 {
  return raw_bf16(near_bf16(m, row, groups, g), 0u, groups, 0u);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_bf16(p: Group_bf16, j: u32) -> vec4<f32> {
  let v = select(select(p.a, p.b, (j & 2u) != 0u), select(p.c, p.d, (j & 2u) != 0u), j >= 4u);
  let two = select(v.xy, v.zw, (j & 1u) == 1u);
  return vec4<f32>(bitcast<f32>(two.x << 16u), bitcast<f32>(two.x & 0xffff0000u),
                   bitcast<f32>(two.y << 16u), bitcast<f32>(two.y & 0xffff0000u));
}

const SUM_INT8_BF16 = 1.0;
fn mac_int8_bf16(p: Group_bf16, x: XInt8, one: bool, acc: f32) -> f32 {
  var s = acc;
  for (var j = 0u; j < 8u; j++) {
    let word = select(x.a[j & 3u], x.b[j & 3u], j >= 4u);
    let q = vec4<f32>(unpack4xI8(word)) * x.scale[j >> 1u];
    let w = quad_bf16(p, j);
    s = fma(w.x, q.x, fma(w.y, q.y, fma(w.z, q.z, fma(w.w, q.w, s))));
  }
  return s;
}
