// attend_split: where no context is attended to whole: what others name of attend_whole.wgsl, for branches that are
// never taken.
fn whole_is_idle(tile: u32) -> bool { return true; }
fn slice_number(a: u32) -> f32 { return 0.0; }
fn whole_publish(layer: u32, tile: u32, lane: u32) {}
fn att_fold_team(lane: u32) {}
fn att_keep_slice(first: u32, lane: u32) {}
