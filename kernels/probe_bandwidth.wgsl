// probe_bandwidth: reads a buffer once, sixteen bytes a lane, eight loads in flight: the rate that
// nothing which must read the same bytes can pass. The sum is kept so that no load can be dropped.
@group(0) @binding(0) var<uniform> unused: vec4<u32>;
@group(0) @binding(3) var<storage, read_write> sink: array<atomic<u32>>;
@group(0) @binding(8) var<storage, read> source: array<vec4<u32>>;

@compute @workgroup_size(256)
fn probe_bandwidth(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) n_wg: vec3<u32>,
                   @builtin(local_invocation_index) lane: u32) {
  var sum = vec4<u32>();
  let n = arrayLength(&source) / (n_wg.x * 2048u);
  for (var i = 0u; i < n; i++) {
    let at = (i * n_wg.x + wg.x) * 2048u + lane;
    let a = source[at];
    let b = source[at + 256u];
    let c = source[at + 512u];
    let d = source[at + 768u];
    let e = source[at + 1024u];
    let f = source[at + 1280u];
    let g = source[at + 1536u];
    let h = source[at + 1792u];
    sum ^= (a ^ b ^ c ^ d) ^ (e ^ f ^ g ^ h);
  }
  if ((sum.x ^ sum.y ^ sum.z ^ sum.w) == 0x9e3779b9u) { atomicAdd(&sink[0], 1u); }
}
