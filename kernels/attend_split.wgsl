// attend_split: where no context is attended to whole: what others name of attend_whole.wgsl, for branches that are
// never taken.
fn whole_is_idle(tile: u32) -> bool { return true; }
fn whole_row(layer: u32, kv_head: u32, p: u32, slot: u32) -> AttRow { return att_nothing(); }
fn whole_request(layer: u32, tile: u32, span: Span, lane: u32) {}
fn whole_mixes(span: Span, lane: u32) -> bool { return false; }
fn whole_mix(r: AttRow, tile: u32, span: Span, worth: f32, lane: u32) {}
fn whole_finish(layer: u32, tile: u32, span: Span, lane: u32) {}
fn attend_whole(layer: u32, tile: u32, span: Span, lane: u32) {}
