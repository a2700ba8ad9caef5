// handoff_by_counter_tag: the form that ships. A counter is waited for first, because a wait on one word is
// cheaper than on thousands; then each word is checked, because the counter orders nothing. Safe.
const COUNTS = true;        // stages count arrivals, and wait for them
fn n_awaited(n_tile: u32) -> u32 { return n_tile - n_tile / 8u; } // the last are asked for while on their way
