// probe_resident: how many workgroups run at the same time. Each arrives, then waits until all of the
// dispatch have arrived, or until one of them has polled SPIN_LIMIT times. That one closes the count
// with what has arrived so far: all of those are still running, since none leaves before the close.
// Needs no forward progress: it is what is measured. In front: WG, PAD (words of workgroup memory that
// each holds on to), SPIN_LIMIT.
@group(0) @binding(0) var<uniform> unused: vec4<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<atomic<u32>>;
const ARRIVED = 0u;
const CLOSED = 1u; // 0: all met; else CLOSED_AT - the least count that a workgroup closed with
const KEPT = 2u;   // never written: keeps the workgroup memory from being dropped
const CLOSED_AT = 0x10000u;

var<workgroup> held: array<u32, PAD>;

fn meet(n_wg: u32) {
  if (atomicLoad(&state[CLOSED]) != 0u) { return; }
  atomicAdd(&state[ARRIVED], 1u);
  for (var n = 0u; n < SPIN_LIMIT; n++) {
    if (atomicLoad(&state[ARRIVED]) >= n_wg || atomicLoad(&state[CLOSED]) != 0u) { return; }
  }
  atomicMax(&state[CLOSED], CLOSED_AT - min(atomicLoad(&state[ARRIVED]), n_wg));
}

@compute @workgroup_size(WG)
fn probe_resident(@builtin(num_workgroups) n_wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  held[lane % PAD] = lane;
  if (lane == 0u) { meet(n_wg.x); }
  workgroupBarrier(); // held is written before it is read: the memory is in use during the wait
  if (held[(lane + 1u) % PAD] == 0xffffffffu) { atomicAdd(&state[KEPT], 1u); }
}
