// handoff_by_tag: each word is checked, and nothing is counted. Safe; every lane polls its own words.
const COUNTS = false;        // stages count arrivals, and wait for them
const COUNTS_ATTEND = false; // attend too
@group(0) @binding(2) var<storage, read_write> msg: array<atomic<u32>>; // [2][N_BLOCK][MSG_WORDS]

fn load_word(i: u32) -> u32 { return atomicLoad(&msg[i]); }
fn store_word(i: u32, w: u32) { atomicStore(&msg[i], w); }

// Waits until the words are there.
fn settle(at: u32, word: u32) -> u32 {
  var w = word;
  for (var n = 0u; n < SPIN_LIMIT; n++) {
    if (w != 0u || give_up(n)) { break; }
    w = peek(at);
  }
  return w ^ NOT_READY;
}

fn settle4(at: vec4<u32>, words: vec4<u32>) -> vec4<u32> {
  var w = words;
  for (var n = 0u; n < SPIN_LIMIT; n++) {
    if (all(w != vec4<u32>()) || give_up(n)) { break; }
    w = peek4(at);
  }
  return w ^ vec4<u32>(NOT_READY);
}

fn before_arrival() {}
