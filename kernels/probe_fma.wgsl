// probe_fma: chains of fma on vectors of four numbers, four a lane, ROUNDS long. N, vec4<f32> or vec4<f16>, is
// declared in front.
@group(0) @binding(0) var<uniform> unused: vec4<u32>;
@group(0) @binding(3) var<storage, read_write> sink: array<atomic<u32>>;

@compute @workgroup_size(WG)
fn probe_fma(@builtin(local_invocation_index) lane: u32) {
  let x = N(vec4<f32>(vec4<u32>(lane) & vec4<u32>(7u)) * 0.01 + vec4<f32>(0.5));
  var a = x;
  var b = x + x;
  var c = x * x;
  var d = x * b;
  for (var i = 0u; i < ROUNDS; i++) {
    a = fma(a, x, b);
    b = fma(b, x, c);
    c = fma(c, x, d);
    d = fma(d, x, x);
  }
  let all = vec4<f32>(a + b + c + d);
  if (all.x + all.y + all.z + all.w == 0.125) { atomicAdd(&sink[0], 1u); } // so that nothing is dropped
}
