// span_int8: elements row .. row + q of an int8 vector by a team of a subgroup, lane e with y of element
// e; lanes from q on only take part. Called in uniform control flow.
fn put_span(at: u32, at_scale: u32, row: u32, e: u32, q: u32, y: f32) {
  let largest = team_max(abs(y), MAX_TEAM, e);
  var word = (quantise4(vec4<f32>(y, 0.0, 0.0, 0.0), largest) & 255u) << (8u * (e & 3u));
  word |= subgroupShuffleXor(word, 1u);
  word |= subgroupShuffleXor(word, 2u);
  if ((e & 3u) == 0u && e < q) { put(at + (row + e) / 4u, word); }
  if (e == 0u) { put(at_scale + row / q, word_of_f32(largest / 127.0)); }
}
