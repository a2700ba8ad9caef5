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

// The slice's numbers, which are those of A; and in the place of parts, which nobody takes, zeros: every slot is put
// once a token.
fn whole_publish(layer: u32, tile: u32, lane: u32) {
  let e = lane % MAX_TEAM;
  let row0 = att_first_head(tile) * HEAD_DIM + tile % N_SPLIT * ATT_SLICE;
  for (var round = 0u; round < (ATT_SLICE + QA * SPAN_TEAMS - 1u) / (QA * SPAN_TEAMS); round++) {
    let first = (lane / MAX_TEAM + round * SPAN_TEAMS) * QA;
    if (whole_is_idle(tile) || first >= ATT_SLICE) { continue; }
    let a = first + min(e, QA - 1u);
    var o = att_o[a];
    var l = att_sums[0];
    for (var i = 1u; i < WG / MAX_TEAM; i++) {
      o += att_o[i * HEAD_DIM + a];
      l += att_sums[i];
    }
    put_span(at_layer(layer) + L_A, at_layer(layer) + L_A_SCALE, row0 + first, e, QA, select(0.0, o / l, e < QA));
  }
  let part = att_first_head(tile) * N_SPLIT + tile % N_SPLIT;
  for (var d = lane; d < HEAD_DIM; d += WG) { put(at_layer(layer) + L_ATT + part * HEAD_DIM + d, word_of_f32(0.0)); }
  if (lane == 0u) { att_put_ml(layer, att_first_head(tile), tile % N_SPLIT, 0.0, 0.0); }
}
