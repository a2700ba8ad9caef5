// weight_f32: floats as they are, no scales.
struct Group_f32 {
  at: u32, // planes [row][8][groups]: vec4 j of the group is at + j * groups
  groups: u32,
}

fn load_f32(m: Matrix, row: u32, groups: u32, g: u32) -> Group_f32 {
  return Group_f32(m.w_at + row * 8u * groups + g, groups);
}

// Weights 4j .. 4j + 3 of the group.
fn quad_f32(p: Group_f32, j: u32) -> vec4<f32> { return bitcast<vec4<f32>>(payload(p.at + j * p.groups)); }

const SUM_INT8_F32 = 1.0;
fn mac_int8_f32(p: Group_f32, x: XInt8, one: bool, acc: f32) -> f32 {
  var s = acc;
  for (var j = 0u; j < 8u; j++) {
    let word = select(x.a[j & 3u], x.b[j & 3u], j >= 4u);
    let q = vec4<f32>(unpack4xI8(word)) * x.scale[j >> 1u];
    let w = quad_f32(p, j);
    s = fma(w.x, q.x, fma(w.y, q.y, fma(w.z, q.z, fma(w.w, q.w, s))));
  }
  return s;
}
