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

// rows[at + k] = the sum over the team of component k, where lo <= at + k < hi. The first steps of the butterflies
// go on with half of the sums in each half of the team, so that four need six shuffles, not twenty. Every sum
// is of the same pairs as in team_sum.
fn keep_sums(v: vec4<f32>, team: u32, at: u32, lo: u32, hi: u32, lane: u32) {
  if (team < 4u) {
    for (var k = 0u; k < 4u; k++) {
      let sum = team_sum(v[k], team, lane);
      if (lane % team == 0u && at + k >= lo && at + k < hi) { rows[at + k] = sum; }
    }
    return;
  }
  let high = (lane & (team / 2u)) != 0u;
  let odd = (lane & (team / 4u)) != 0u;
  let a = select(v.xy, v.zw, high) + pair_across(select(v.zw, v.xy, high), team / 2u);
  let b = select(a.x, a.y, odd) + subgroupShuffleXor(select(a.y, a.x, odd), team / 4u);
  let sum = team_sum(b, team / 4u, lane);
  let k = lane % team / (team / 4u); // 0, 1 in the lower half, 2, 3 in the upper
  if (lane % (team / 4u) == 0u && at + k >= lo && at + k < hi) { rows[at + k] = sum; }
}

fn pair_across(v: vec2<f32>, step: u32) -> vec2<f32> {
  return vec2<f32>(subgroupShuffleXor(v.x, step), subgroupShuffleXor(v.y, step));
}

// The value of the lane `step` away, which is in the same team.
fn across(v: f32, step: u32, lane: u32) -> f32 { return subgroupShuffleXor(v, step); }

// Whether this lane goes a way that depends on its subgroup: those may part.
fn apart(c: bool) -> bool { return c; }

fn team_max(x: f32, team: u32, lane: u32) -> f32 {
  var v = x;
  if (team > 16u) { v = max(v, subgroupShuffleXor(v, 16u)); }
  if (team > 8u) { v = max(v, subgroupShuffleXor(v, 8u)); }
  if (team > 4u) { v = max(v, subgroupShuffleXor(v, 4u)); }
  if (team > 2u) { v = max(v, subgroupShuffleXor(v, 2u)); }
  if (team > 1u) { v = max(v, subgroupShuffleXor(v, 1u)); }
  return v;
}
