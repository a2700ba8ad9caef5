// reduce_scratch: the sum over a team of `team` neighbouring lanes through workgroup memory, in
// every lane of it. Needs uniform control flow. Same tree of additions as reduce_subgroup.
var<workgroup> reduce_words: array<f32, WG>;

fn team_sum(x: f32, team: u32, lane: u32) -> f32 {
  var v = x;
  for (var step = team / 2u; step > 0u; step /= 2u) {
    reduce_words[lane] = v;
    workgroupBarrier(); // every lane's term written before its partner reads it
    v += reduce_words[lane ^ step];
    workgroupBarrier(); // read before the next step overwrites it
  }
  return v;
}

// rows[at + k] = the sum over the team of component k, where lo <= at + k < hi.
fn keep_sums(v: vec4<f32>, team: u32, at: u32, lo: u32, hi: u32, lane: u32) {
  for (var k = 0u; k < 4u; k++) {
    let sum = team_sum(v[k], team, lane);
    if (lane % team == 0u && at + k >= lo && at + k < hi) { rows[at + k] = sum; }
  }
}

// The value of the lane `step` away, which is in the same team.
fn across(v: f32, step: u32, lane: u32) -> f32 {
  reduce_words[lane] = v;
  workgroupBarrier(); // every lane's value written before its partner reads it
  let other = reduce_words[lane ^ step];
  workgroupBarrier(); // read before the next step overwrites it
  return other;
}

// As in reduce_subgroup, but here all lanes meet in barriers: nobody goes a way of its own.
fn apart(c: bool) -> bool { return true; }

fn team_max(x: f32, team: u32, lane: u32) -> f32 {
  var v = x;
  for (var step = team / 2u; step > 0u; step /= 2u) {
    reduce_words[lane] = v;
    workgroupBarrier(); // every lane's term written before its partner reads it
    v = max(v, reduce_words[lane ^ step]);
    workgroupBarrier(); // read before the next step overwrites it
  }
  return v;
}
