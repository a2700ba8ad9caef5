// attend_split: where no context is attended to whole (attend_whole.wgsl): what attend_lanes.wgsl names of it.
fn att_is_idle(tile: u32) -> bool { return false; }
fn att_slice(layer: u32, kv_head: u32, p: u32, slot: u32) -> AttRow { return AttRow(); }
fn att_mix_slice(r: AttRow, tile: u32, span: Span, worth: f32, lane: u32) {}
fn att_mixes(span: Span, lane: u32) -> bool { return false; }
fn att_finish_whole(layer: u32, tile: u32, span: Span, lane: u32) {}
