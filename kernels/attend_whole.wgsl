// attend_whole: short contexts. Where all positions attended to are no more than ATT_WHOLE (a lane each), every
// workgroup of a head makes all of its scores, which is cheap, and mixes an ATT_TEAM-th of V's numbers over all
// positions, a lane a position: a slice of the head's output is finished where it is made, and nobody has parts to
// combine, which is a hand-off less (bench/results/h200-2026-11-28-whole). All but the end is attend_lanes.wgsl's.
// Split s of a head has slice s of its numbers, whole spans of A; splits behind the last slice have nothing.
fn whole_is_idle(tile: u32) -> bool { return tile % N_SPLIT >= ATT_TEAM; }

// This subgroup's sum of number a of the slice.
fn att_keep_part(a: u32, sum: f32, lane: u32) {
  if (lane % ATT_TEAM == 0u) { att_o[lane / MAX_TEAM * HEAD_DIM + a] = sum; }
}

// Number a of the slice, from all subgroups' sums; for publish_slice.
fn slice_number(a: u32) -> f32 {
  var o = att_o[a];
  var l = att_sums[0];
  for (var i = 1u; i < WG / MAX_TEAM; i++) {
    o += att_o[i * HEAD_DIM + a];
    l += att_sums[i];
  }
  return o / l;
}

// The slice's numbers, which are those of A; and in the place of parts, which nobody takes, zeros: every slot is put
// once a token.
fn whole_publish(layer: u32, tile: u32, lane: u32) {
  let head = att_first_head(tile);
  let split = tile % N_SPLIT;
  publish_slice(layer, head * HEAD_DIM + split * ATT_SLICE, select(ATT_SLICE, 0u, whole_is_idle(tile)), lane);
  for (var d = lane; d < HEAD_DIM; d += WG) { put(att_part_at(layer, head, split) + d, word_of_f32(0.0)); }
  if (lane == 0u) { att_put_ml(layer, head, split, 0.0, 0.0); }
}
