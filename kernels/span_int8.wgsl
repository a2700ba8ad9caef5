// span_int8: elements row .. row + q of a vector of n numbers, which cross as bf16, by a team of a subgroup, lane e with y
// of element e; lanes from q on only take part. Called in uniform control flow. Every word has a lane of its own: those of
// two elements their first, and where the vector has them the span's sum lane 1.
fn put_span_sum(at: u32, n: u32, at_sum: u32, row: u32, e: u32, q: u32, y: f32, sum: f32, has_sum: bool) {
  let next = subgroupShuffleXor(y, 1u);
  var to = at + pair_at(n, row + e);
  var word = pair_word(y, next);
  var mine = (e & 1u) == 0u && e < q;
  if (has_sum && e == 1u) {
    to = at_sum + row / q;
    word = word_of_f32(sum);
    mine = true;
  }
  if (mine) { put(to, word); }
}

fn put_span(at: u32, n: u32, row: u32, e: u32, q: u32, y: f32) {
  put_span_sum(at, n, 0u, row, e, q, y, 0.0, false);
}
