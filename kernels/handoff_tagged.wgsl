// handoff_tagged: values cross inside a dispatch. WGSL promises nothing across workgroups but the
// value of one atomic word, so every word carries its own readiness: 0 in memory means not written.
// (Stored is word ^ NOT_READY, so that a fresh or cleared buffer is all "not written".)
//
// Two halves, by parity: put also clears its slot's twin, which nobody reads in this dispatch, so
// the next dispatch starts clean without a clear of its own. Every slot is put in every dispatch.
//
// await_stage spins on an arrival counter. That only saves polling: it is not promised to order
// anything, and take still checks each word. Every spin is bounded; giving up sets STATE_ABORT,
// which ends all other spins, and the host repeats the token with dispatch boundaries.
@group(0) @binding(2) var<storage, read_write> msg: array<atomic<u32>>; // [2][MSG_WORDS]

fn aborted() -> bool { return atomicLoad(&state[STATE_ABORT]) != 0u; }

// Whether a spin should end although it saw nothing: sets the abort word on the last poll.
fn give_up(n: u32) -> bool {
  if (n == SPIN_LIMIT - 1u) { atomicStore(&state[STATE_ABORT], 1u); }
  return (n & 127u) == 127u && aborted();
}

// peek asks for a word without waiting for it; settle, given what peek saw, waits until it is there.
// Between the two other work goes on. take does both at once.
fn peek(at: u32) -> u32 { return atomicLoad(&msg[args.parity * MSG_WORDS + at]); }

fn peek4_at(at: vec4<u32>) -> vec4<u32> {
  return vec4<u32>(peek(at.x), peek(at.y), peek(at.z), peek(at.w));
}

fn settle(at: u32, word: u32) -> u32 {
  var w = word;
  for (var n = 0u; n < SPIN_LIMIT; n++) {
    if (w != 0u || give_up(n)) { break; }
    w = peek(at);
  }
  return w ^ NOT_READY;
}

fn settle4_at(at: vec4<u32>, words: vec4<u32>) -> vec4<u32> {
  var w = words;
  for (var n = 0u; n < SPIN_LIMIT; n++) {
    if (all(w != vec4<u32>()) || give_up(n)) { break; }
    w = peek4_at(at);
  }
  return w ^ vec4<u32>(NOT_READY);
}

fn take(at: u32) -> u32 { return settle(at, peek(at)); }
fn take4_at(at: vec4<u32>) -> vec4<u32> { return settle4_at(at, peek4_at(at)); }

fn put(at: u32, word: u32) {
  atomicStore(&msg[args.parity * MSG_WORDS + at], word ^ NOT_READY);
  atomicStore(&msg[(1u - args.parity) * MSG_WORDS + at], 0u);
}

fn counter_at(parity: u32, layer: u32, stage: u32) -> u32 {
  return STATE_ARRIVE + (parity * N_COUNTER + layer * N_STAGE + stage) * ARRIVE_LINE;
}

// One tile of a stage is done. Called after the tile's last barrier.
fn arrive(layer: u32, stage: u32, tile: u32, lane: u32) {
  if (lane != 0u) { return; }
  if (tile == 0u) { atomicStore(&state[counter_at(1u - args.parity, layer, stage)], 0u); }
  atomicAdd(&state[counter_at(args.parity, layer, stage)], 1u);
}

fn await_stage(layer: u32, stage: u32, n_tile: u32, lane: u32) {
  if (lane == 0u) {
    let i = counter_at(args.parity, layer, stage);
    for (var n = 0u; n < SPIN_LIMIT; n++) {
      if (atomicLoad(&state[i]) >= n_tile || give_up(n)) { break; }
    }
  }
  workgroupBarrier(); // lane 0 saw the counter before the others load words
}
