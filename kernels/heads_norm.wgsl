// heads_norm: each head of q and k is divided by its rms and multiplied by a gain before RoPE. A tile of
// qkv is whole heads, so that nothing crosses between workgroups.
var<workgroup> head_inv: array<f32, QKV_TILE / HEAD_DIM>; // 1/rms of the tile's heads

// head_inv from the finished rows of a tile. A team of MAX_TEAM lanes looks after a head. Ends in a barrier.
fn sum_heads(n: u32, lane: u32) {
  let slot = lane % MAX_TEAM;
  for (var first = 0u; first < n / HEAD_DIM; first += WG / MAX_TEAM) {
    let head = first + lane / MAX_TEAM;
    var sum = 0.0;
    if (head < n / HEAD_DIM) {
      let end = (head + 1u) * HEAD_DIM;
      for (var r = head * HEAD_DIM + slot; r < end; r += MAX_TEAM) { sum = fma(rows[r], rows[r], sum); }
    }
    sum = team_sum(sum, MAX_TEAM, lane);
    if (slot == 0u && head < n / HEAD_DIM) { head_inv[head] = inverseSqrt(fma(sum, 1.0 / f32(HEAD_DIM), NORM_EPS)); }
  }
  workgroupBarrier(); // 1/rms written before its head's rows are multiplied by it
}

// Row r of a tile that begins at row0, from finished rows; v has no norm.
fn normed_row(layer: u32, row0: u32, r: u32) -> f32 {
  let row = row0 + r;
  if (row >= ROWS_Q + ROWS_K) { return rows[r]; }
  let gain = gain_head(layer) + select(0u, HEAD_DIM, row >= ROWS_Q);
  return rows[r] * head_inv[r / HEAD_DIM] * gain_at(gain, row % HEAD_DIM);
}

fn norm_heads(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { rows[r] = finish_qkv(layer, row0 + r, rows[r]); }
  workgroupBarrier(); // rows finished before their squares are added up
  sum_heads(n, lane);
}

fn norm_finished(layer: u32, row0: u32, n: u32, lane: u32) {
  sum_heads(n, lane);
  for (var r = lane; r < n; r += WG) { ys[r] = normed_row(layer, row0, r); }
}

fn head_row(layer: u32, row0: u32, r: u32) -> f32 { return normed_row(layer, row0, r); }
