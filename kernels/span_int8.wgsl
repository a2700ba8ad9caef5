// span_int8: elements row .. row + q of a vector of n numbers, which cross as bf16, by a team of a subgroup, lane e
// with y of element e; lanes from q on only take part. Called in uniform control flow. Every word has a lane of its
// own: those of two elements their first, and where the vector has them the span's sum lane 1.
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

// Element row + e of H.
fn put_h_span(layer: u32, row: u32, e: u32, y: f32) {
  let at = at_layer(layer) + L_H;
  if (!H_INT8) {
    put_span(at, N_FF, row, e, QF, y);
    return;
  }
  let largest = team_max(abs(y), MAX_TEAM, e);
  var word = bytes_of(vec4<f32>(y), inverse_of(largest)).x << (8u * (e & 3u));
  word |= subgroupShuffleXor(word, 1u);
  word |= subgroupShuffleXor(word, 2u);
  var to = at + (row + e) / 4u;
  if (e == 1u) {
    to = at + N_FF / 4u + row / 32u;
    word = word_of_f32(largest / 127.0);
  }
  if (e < QF && ((e & 3u) == 0u || e == 1u)) { put(to, word); }
}
