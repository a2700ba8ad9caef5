// handoff_by_nothing: an experiment's control. Nothing is waited for, so that words are read before they are
// written; a check of outputs that lets it pass sees nothing.
// Arrivals are counted, and none awaited, by a bound that no compiler knows: so the text has the loops that others
// have, and should take no longer to compile.
const COUNTS = true;
const CHECKED = false;
fn n_awaited(n_tile: u32) -> u32 { return select(0u, n_tile, args.n_batch == 0xffffffffu); }
@group(0) @binding(2) var<storage, read_write> msg: array<atomic<u32>>; // [2][N_BLOCK][MSG_WORDS]

fn load_word(i: u32) -> u32 { return atomicLoad(&msg[i]); }
fn store_word(i: u32, w: u32) { atomicStore(&msg[i], w); }

fn is_missing(least: u32) -> bool { return false; }
fn settle(at: u32, word: u32) -> u32 { return word ^ NOT_READY; }
fn settle4(at: vec4<u32>, words: vec4<u32>) -> vec4<u32> { return as_put4(words); }

fn before_arrival() {}
