// heads_plain: q and k go to RoPE as they are.
fn norm_heads(layer: u32, row0: u32, n: u32, lane: u32) {}

// The same of finished rows, to ys, where it is an operation of its own.
fn norm_finished(layer: u32, row0: u32, n: u32, lane: u32) {}

// Row r of a tile of qkv that begins at row0, ready for RoPE.
fn head_row(layer: u32, row0: u32, r: u32) -> f32 { return finish_qkv(layer, row0 + r, rows[r]); }
