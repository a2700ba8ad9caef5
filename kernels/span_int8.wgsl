// span_int8: elements row .. row + q of an int8 vector by a team of a subgroup, lane e with y of element
// e; lanes from q on only take part. Called in uniform control flow. Every word has a lane of its own: those of four
// elements their first, the scale lane 1, and where the vector has them the span's sum lane 2.
fn put_span_sum(at: u32, at_scale: u32, at_sum: u32, row: u32, e: u32, q: u32, y: f32, sum: f32, has_sum: bool) {
  let largest = team_max(abs(y), MAX_TEAM, e);
  var word = (quantise4(vec4<f32>(y, 0.0, 0.0, 0.0), largest) & 255u) << (8u * (e & 3u));
  word |= subgroupShuffleXor(word, 1u);
  word |= subgroupShuffleXor(word, 2u);
  var to = at + (row + e) / 4u;
  var mine = (e & 3u) == 0u && e < q;
  if (e == 1u) {
    to = at_scale + row / q;
    word = word_of_f32(largest / 127.0);
    mine = true;
  }
  if (has_sum && e == 2u) {
    to = at_sum + row / q;
    word = word_of_f32(sum);
    mine = true;
  }
  if (mine) { put(to, word); }
}

fn put_span(at: u32, at_scale: u32, row: u32, e: u32, q: u32, y: f32) {
  put_span_sum(at, at_scale, 0u, row, e, q, y, 0.0, false);
}
