// stage combine: attention's splits put together and quantised, once, as the input of out. One tile =
// COMBINE_TILE elements of the heads side by side.
// takes: attend's parts of the heads in its slice.   puts: its elements of A.
//
// ys[0..n) = elements row0 .. . A lane asks for all words of its element's splits at once, then waits.
fn combine_rows(layer: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) {
    let head = (row0 + r) / HEAD_DIM;
    let at = at_layer(layer) + L_ATT + head * N_SPLIT * HEAD_DIM + (row0 + r) % HEAD_DIM;
    let at_ml = at_layer(layer) + L_ATT_ML + head * N_SPLIT * 2u;
    var o = array<u32, N_SPLIT>();
    var ml = array<u32, 2u * N_SPLIT>(); // maximum, sum of each split
    for (var s = 0u; s < N_SPLIT; s++) { o[s] = peek(at + s * HEAD_DIM); }
    for (var s = 0u; s < 2u * N_SPLIT; s++) { ml[s] = peek(at_ml + s); }
    var largest = NEVER;
    for (var s = 0u; s < N_SPLIT; s++) {
      ml[2u * s] = settle(at_ml + 2u * s, ml[2u * s]);
      largest = max(largest, bitcast<f32>(ml[2u * s]));
    }
    var sum = 0.0;
    var value = 0.0;
    for (var s = 0u; s < N_SPLIT; s++) {
      let worth = exp(bitcast<f32>(ml[2u * s]) - largest);
      sum = fma(bitcast<f32>(settle(at_ml + 2u * s + 1u, ml[2u * s + 1u])), worth, sum);
      value = fma(bitcast<f32>(settle(at + s * HEAD_DIM, o[s])), worth, value);
    }
    ys[r] = value / sum;
  }
}

// Elements row0 .. row0 + n; both are multiples of QA.
fn combine_slice(layer: u32, row0: u32, n: u32, lane: u32) {
  combine_rows(layer, row0, n, lane);
  workgroupBarrier(); // ys written before put_y reads whole quantisation groups
  put_ys(at_layer(layer) + L_A, at_layer(layer) + L_A_SCALE, row0, n, QA, lane);
  workgroupBarrier(); // ys read before the next tile writes them
}

fn stage_combine(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * COMBINE_TILE;
  combine_slice(layer, row0, min(COMBINE_TILE, ROWS_Q - row0), lane);
}
