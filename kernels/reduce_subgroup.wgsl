// reduce_subgroup: the sum over a team of `team` neighbouring lanes by butterflies, in every lane of
// it. The plan picks this file only where the subgroup is at least as wide as every team and lanes
// map to subgroups in order (both are probed). Same tree of additions as reduce_scratch.
fn team_sum(x: f32, team: u32, lane: u32) -> f32 {
  var v = x;
  if (team > 16u) { v += subgroupShuffleXor(v, 16u); }
  if (team > 8u) { v += subgroupShuffleXor(v, 8u); }
  if (team > 4u) { v += subgroupShuffleXor(v, 4u); }
  if (team > 2u) { v += subgroupShuffleXor(v, 2u); }
  if (team > 1u) { v += subgroupShuffleXor(v, 1u); }
  return v;
}

fn team_max(x: f32, team: u32, lane: u32) -> f32 {
  var v = x;
  if (team > 16u) { v = max(v, subgroupShuffleXor(v, 16u)); }
  if (team > 8u) { v = max(v, subgroupShuffleXor(v, 8u)); }
  if (team > 4u) { v = max(v, subgroupShuffleXor(v, 4u)); }
  if (team > 2u) { v = max(v, subgroupShuffleXor(v, 2u)); }
  if (team > 1u) { v = max(v, subgroupShuffleXor(v, 1u)); }
  return v;
}
