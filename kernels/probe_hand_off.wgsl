// probe_hand_off: a chain of grid-wide hand-offs in one dispatch, as factor_single does them: put a word
// and arrive; wait for the counter; take words that say themselves whether they are written (0: not);
// share them with the workgroup. In round m every word is m + 1, made from a neighbour's of the round
// before. Waits are bounded; giving up sets ABORT and ends all others. In front: WG, SPIN_LIMIT,
// MAX_ROUND.
@group(0) @binding(0) var<uniform> rounds: vec4<u32>; // x: rounds in this dispatch
@group(0) @binding(3) var<storage, read_write> state: array<atomic<u32>>;
const ABORT = 0u;
const WRONG = 1u;
const COUNTERS = 32u; // [MAX_ROUND], a 128-byte line each
const WORDS = COUNTERS + MAX_ROUND * 32u; // [MAX_ROUND][n_wg]

var<workgroup> taken: array<u32, WG>;
var<private> stopped: bool;

fn give_up(n: u32) -> bool {
  if (n == SPIN_LIMIT - 1u) { atomicStore(&state[ABORT], 1u); }
  if ((n & 127u) == 127u) { stopped = atomicLoad(&state[ABORT]) != 0u; }
  return stopped;
}

fn await_all(round: u32, n_wg: u32) {
  for (var n = 0u; n < SPIN_LIMIT; n++) {
    if (atomicLoad(&state[COUNTERS + round * 32u]) >= n_wg || give_up(n)) { break; }
  }
}

fn take(at: u32) -> u32 {
  var word = 0u;
  for (var n = 0u; n < SPIN_LIMIT; n++) {
    word = atomicLoad(&state[at]);
    if (word != 0u || give_up(n)) { break; }
  }
  return word;
}

@compute @workgroup_size(WG)
fn probe_hand_off(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) n_wg: vec3<u32>,
                  @builtin(local_invocation_index) lane: u32) {
  var value = 1u;
  for (var m = 0u; m < MAX_ROUND; m++) {
    if (m >= rounds.x) { break; }
    if (lane == 0u) {
      atomicStore(&state[WORDS + m * n_wg.x + wg.x], value);
      atomicAdd(&state[COUNTERS + m * 32u], 1u);
      await_all(m, n_wg.x);
    }
    workgroupBarrier(); // lane 0 saw the counter before the others load words
    taken[lane] = take(WORDS + m * n_wg.x + (wg.x + 1u + lane) % n_wg.x);
    workgroupBarrier(); // every lane's word is in taken before any lane reads it
    if (taken[(lane + 1u) % WG] != m + 1u) { atomicAdd(&state[WRONG], 1u); }
    value = taken[0] + 1u;
    workgroupBarrier(); // taken was read before the next round's words overwrite it
  }
}
