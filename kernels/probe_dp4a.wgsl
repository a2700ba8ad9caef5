// probe_dp4a: chains of dot4I8Packed, eight a lane, ROUNDS long; what each adds is needed by the next.
@group(0) @binding(0) var<uniform> unused: vec4<u32>;
@group(0) @binding(3) var<storage, read_write> sink: array<atomic<u32>>;

@compute @workgroup_size(WG)
fn probe_dp4a(@builtin(global_invocation_id) id: vec3<u32>) {
  var a = vec4<u32>(id.x, id.x + 1u, id.x + 2u, id.x + 3u);
  var b = a * 3u;
  for (var i = 0u; i < ROUNDS; i++) {
    a = a + bitcast<vec4<u32>>(vec4<i32>(dot4I8Packed(a.x, b.y), dot4I8Packed(a.y, b.z), dot4I8Packed(a.z, b.w),
                                         dot4I8Packed(a.w, b.x)));
    b = b + bitcast<vec4<u32>>(vec4<i32>(dot4I8Packed(b.x, a.x), dot4I8Packed(b.y, a.y), dot4I8Packed(b.z, a.z),
                                         dot4I8Packed(b.w, a.w)));
  }
  let all = a ^ b;
  if ((all.x ^ all.y ^ all.z ^ all.w) == 0x9e3779b9u) { atomicAdd(&sink[0], 1u); } // so that nothing is dropped
}
