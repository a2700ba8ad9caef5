// span_f32: elements row .. row + q of an f32 vector by a subgroup, lane e with y of element e.
fn put_span(at: u32, at_scale: u32, row: u32, e: u32, q: u32, y: f32) {
  if (e < q) { put(at + row + e, word_of_f32(y)); }
}
