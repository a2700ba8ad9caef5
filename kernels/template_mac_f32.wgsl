// mac_f32_$form$: acc + the dot product of a group of weights and a group of f32 inputs.
const SUM_F32_$FORM$ = 1.0;
fn mac_f32_$form$(p: Group_$form$, x: X, one: bool, acc: f32) -> f32 {
  var v = quad_$form$(p, 0u) * x.v0;
  v = fma(quad_$form$(p, 1u), x.v1, v);
  v = fma(quad_$form$(p, 2u), x.v2, v);
  v = fma(quad_$form$(p, 3u), x.v3, v);
  v = fma(quad_$form$(p, 4u), x.v4, v);
  v = fma(quad_$form$(p, 5u), x.v5, v);
  v = fma(quad_$form$(p, 6u), x.v6, v);
  v = fma(quad_$form$(p, 7u), x.v7, v);
  return acc + ((v.x + v.y) + (v.z + v.w));
}
