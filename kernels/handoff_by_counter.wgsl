// handoff_by_counter: an experiment. The counter is believed: words are atomic, but not checked. WGSL does not
// promise that who sees the counter full sees the words; a plan takes this only where it is asked to.
const COUNTS = true;        // stages count arrivals, and wait for them
const CHECKED = false;      // words say nothing: every stage counts
fn n_awaited(n_tile: u32) -> u32 { return n_tile; }
@group(0) @binding(2) var<storage, read_write> msg: array<atomic<u32>>; // [2][N_BLOCK][MSG_WORDS]

fn load_word(i: u32) -> u32 { return atomicLoad(&msg[i]); }
fn store_word(i: u32, w: u32) { atomicStore(&msg[i], w); }

fn is_missing(least: u32) -> bool { return false; }

// The words as they are behind the counter; what was peeked earlier does not count.
fn settle(at: u32, word: u32) -> u32 { return peek(at) ^ NOT_READY; }
fn settle4(at: vec4<u32>, words: vec4<u32>) -> vec4<u32> { return as_put4(peek4(at)); }

fn before_arrival() { storageBarrier(); } // all lanes' words written before lane 0 counts the tile
