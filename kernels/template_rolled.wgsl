// $role$ without a queue: nothing is requested ahead, and rows are multiplied in loops.
fn prime_$role$(layer: u32, tile: u32, lane: u32) {}

fn multiply_$role$(layer: u32, tile: u32, lane: u32) { $role$_rows(layer, tile, lane); }
