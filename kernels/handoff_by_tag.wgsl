// handoff_by_tag: each word is checked, and nothing is counted. Safe; every lane polls its own words.
const COUNTS = false;        // stages count arrivals, and wait for them
fn n_awaited(n_tile: u32) -> u32 { return n_tile; }
