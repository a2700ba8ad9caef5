// span_f32: elements row .. row + q of an f32 vector by a subgroup, lane e with y of element e.
fn put_span_sum(at: u32, at_scale: u32, at_sum: u32, row: u32, e: u32, q: u32, y: f32, sum: f32, has_sum: bool) {
  if (e < q) { put(at + row + e, word_of_f32(y)); }
  if (has_sum && e == 0u) { put(at_sum + row / q, word_of_f32(sum)); }
}

fn put_span(at: u32, at_scale: u32, row: u32, e: u32, q: u32, y: f32) {
  put_span_sum(at, at_scale, 0u, row, e, q, y, 0.0, false);
}
