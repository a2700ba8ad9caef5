// probe_subgroup: do lanes map to subgroups in order, and is every subgroup at least TEAM wide?
// WGSL promises neither; reduce_subgroup.wgsl needs both. Counts the lanes that disagree.
@group(0) @binding(0) var<uniform> unused: vec4<u32>;
@group(0) @binding(3) var<storage, read_write> disagreeing: array<atomic<u32>>;

@compute @workgroup_size(WG)
fn probe_subgroup(@builtin(local_invocation_index) lane: u32, @builtin(subgroup_size) size: u32,
                  @builtin(subgroup_invocation_id) slot: u32) {
  let neighbour = subgroupShuffleXor(lane, TEAM / 2u);
  if (size < TEAM || slot != lane % size || neighbour != (lane ^ (TEAM / 2u))) {
    atomicAdd(&disagreeing[0], 1u);
  }
}
