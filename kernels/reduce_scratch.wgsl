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
