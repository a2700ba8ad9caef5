// handoff_plain: values cross at a dispatch boundary (or, in single_wg, at a storageBarrier), which
// the specification orders. take and put are plain loads and stores,
// and a peek is already settled.
@group(0) @binding(2) var<storage, read_write> msg: array<u32>; // [MSG_WORDS]

fn take(at: u32) -> u32 { return msg[at]; }
fn peek(at: u32) -> u32 { return msg[at]; }
fn settle(at: u32, word: u32) -> u32 { return word; }
fn is_missing(least: u32) -> bool { return false; }
fn as_put4(words: vec4<u32>) -> vec4<u32> { return words; }
fn settle4(at: vec4<u32>, words: vec4<u32>) -> vec4<u32> { return words; }
fn slot_of(at: u32) -> u32 { return at; }
fn load_word(slot: u32) -> u32 { return msg[slot]; }
fn put(at: u32, word: u32) { msg[at] = word; }
fn arrive_early(layer: u32, stage: u32, tile: u32, lane: u32) {}
