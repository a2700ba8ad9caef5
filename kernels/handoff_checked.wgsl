// handoff_checked: words that say themselves whether they are there; for handoff_by_counter_tag and _by_tag.
@group(0) @binding(2) var<storage, read_write> msg: array<atomic<u32>>; // [2][N_BLOCK][MSG_WORDS]

const CHECKED = true;
fn load_word(i: u32) -> u32 { return atomicLoad(&msg[i]); }
fn store_word(i: u32, w: u32) { atomicStore(&msg[i], w); }

// Whether of words of which this is the least one may not be there yet.
fn is_missing(least: u32) -> bool { return least == 0u; }

// Waits until the words are there. (The first look stands before the loop, in one block with its loads, so that a
// device can wait for these alone.)
fn settle(at: u32, word: u32) -> u32 {
  var w = word;
  if (is_missing(w)) {
    for (var n = 0u; n < SPIN_LIMIT; n++) {
      w = peek(at);
      if (w != 0u || give_up(n)) { break; }
    }
  }
  return w ^ NOT_READY;
}

fn settle4(at: vec4<u32>, words: vec4<u32>) -> vec4<u32> {
  var w = words;
  if (is_missing(min(min(w.x, w.y), min(w.z, w.w)))) {
    for (var n = 0u; n < SPIN_LIMIT; n++) {
      w = peek4(at);
      if (all(w != vec4<u32>()) || give_up(n)) { break; }
    }
  }
  return as_put4(w);
}

fn before_arrival() {}
