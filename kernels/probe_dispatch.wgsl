// probe_dispatch: a dispatch that depends on the one before it: each workgroup adds 1 to its own word.
@group(0) @binding(0) var<uniform> unused: vec4<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<atomic<u32>>;

@compute @workgroup_size(WG)
fn probe_dispatch(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  if (lane == 0u) { atomicAdd(&state[wg.x], 1u); }
}
