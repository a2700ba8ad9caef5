// handoff_tagged: values cross inside a dispatch. WGSL promises nothing across workgroups but the
// value of one atomic word, so every word carries its own readiness: 0 in memory means not written.
// (Stored is word ^ NOT_READY, so that a fresh or cleared buffer is all "not written".)
//
// What a consumer relies on is a file of its own, handoff_by_*.wgsl: how a word is loaded and stored, what
// settle waits for, and whether stages count their arrivals. by_counter_tag is the form that ships.
//
// Two halves, by parity: put also clears its slot's twin, which nobody reads in this step, so the
// next one starts clean without a clear of its own. Every slot is put once a step, whether the step is
// one dispatch or several, which then have one parity.
//
// await_stage spins on an arrival counter. That only saves polling: it is not promised to order
// anything, and take still checks each word. Every spin is bounded; giving up sets STATE_ABORT,
// which ends all other spins, and the host repeats the token with dispatch boundaries.
fn aborted() -> bool { return atomicLoad(&state[STATE_ABORT]) != 0u; }

// Whether a spin should end although it saw nothing: sets the abort word on the last poll.
fn give_up(n: u32) -> bool {
  if (n == SPIN_LIMIT - 1u) { atomicStore(&state[STATE_ABORT], 1u); }
  return (n & 127u) == 127u && aborted();
}

// Word `at` of the token's block in a half.
fn half_at(parity: u32, at: u32) -> u32 { return (parity * N_BLOCK + token_block()) * MSG_WORDS + at; }

// peek asks for a word without waiting for it; settle, given what peek saw, waits until it is there.
// Between the two other work goes on. take does both at once.
fn peek(at: u32) -> u32 { return load_word(half_at(args.parity, at)); }
fn as_put4(words: vec4<u32>) -> vec4<u32> { return words ^ vec4<u32>(NOT_READY); } // of words that are there

fn take(at: u32) -> u32 { return settle(at, peek(at)); }

// For texts that ask for many words near each other (take.c): where a word stands in the buffer. load_word tells
// what stands there, 0 for not yet.
fn slot_of(at: u32) -> u32 { return half_at(args.parity, at); }

fn put(at: u32, word: u32) {
  store_word(half_at(args.parity, at), word ^ NOT_READY);
  store_word(half_at(1u - args.parity, at), 0u);
}

fn counter_at(parity: u32, block: u32, layer: u32, stage: u32) -> u32 {
  let i = ((parity * N_BLOCK + block) * N_LAYER + layer) * (N_STAGE + 1u) + stage;
  return STATE_ARRIVE + i * ARRIVE_LINE;
}

// A tile of a stage counts itself. By whom and when: where words are checked, matrix stages do so as soon as their
// rows are finished, by a lane that puts none of them, so that those who wait are on their way while the words
// are (arrive_early; 1.3 % of a token: bench/results/h200-2026-11-28-text). Otherwise lane 0 does, behind its own
// words; before_arrival orders all of them where words are not checked.
fn count_arrival(layer: u32, stage: u32, tile: u32) {
  if (tile == 0u) { atomicStore(&state[counter_at(1u - args.parity, token_block(), layer, stage)], 0u); }
  atomicAdd(&state[counter_at(args.parity, token_block(), layer, stage)], 1u);
}

fn arrive(layer: u32, stage: u32, tile: u32, lane: u32) {
  before_arrival();
  if (COUNTS && lane == 0u) { count_arrival(layer, stage, tile); }
}

fn arrive_early(layer: u32, stage: u32, tile: u32, lane: u32) {
  if (COUNTS && CHECKED && lane == WG - 1u) { count_arrival(layer, stage, tile); }
}

fn arrive_late(layer: u32, stage: u32, tile: u32, lane: u32) {
  if (!CHECKED) { arrive(layer, stage, tile, lane); }
}

fn arrived(i: u32, n_tile: u32) -> bool { return atomicLoad(&state[i]) >= n_tile; }

fn await_counter(i: u32, n_tile: u32, lane: u32) {
  if (COUNTS && lane == WG - 1u) {
    for (var n = 0u; n < SPIN_LIMIT; n++) {
      if (arrived(i, n_tile) || give_up(n)) { break; }
    }
  }
  workgroupBarrier(); // the last lane saw the counter before the others load words
}

fn await_stage(layer: u32, stage: u32, n_tile: u32, lane: u32) {
  await_counter(counter_at(args.parity, token_block(), layer, stage), n_awaited(n_tile), lane);
}

// The next number of the dispatch that begins at the layer; the same for all lanes.
fn draw_ticket(layer: u32, lane: u32) -> u32 {
  if (lane == 0u) {
    uniform_word = atomicAdd(&state[counter_at(args.parity, 0u, layer, N_STAGE)], 1u);
    if (uniform_word == 0u) { atomicStore(&state[counter_at(1u - args.parity, 0u, layer, N_STAGE)], 0u); }
  }
  return workgroupUniformLoad(&uniform_word);
}

// An earlier dispatch was aborted: this one must not touch what the host will repeat.
fn stopped(lane: u32) -> bool {
  if (lane == 0u) { uniform_word = atomicLoad(&state[STATE_ABORT]); }
  return workgroupUniformLoad(&uniform_word) != 0u;
}
