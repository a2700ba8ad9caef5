// raw_rows: for factorings that cut a stage in two: rows that the fused stage keeps in workgroup memory
// pass from dispatch to dispatch through the T_* words behind the messages. Plain hand-off only.
fn load_rows(at: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { rows[r] = bitcast<f32>(msg[at + r]); }
  workgroupBarrier(); // rows written before other lanes read them
}

fn store_rows(at: u32, n: u32, lane: u32) {
  workgroupBarrier(); // rows written by their teams before other lanes store them
  for (var r = lane; r < n; r += WG) { msg[at + r] = bitcast<u32>(rows[r]); }
}

// Where the residual of this operation stands: part 0: X of the layer; part 1: X1.
fn place_x() -> u32 { return at_layer(place.layer) + select(L_X, L_X1, place.part == 1u); }

// The embedding's rows of a tile as the first residual.
fn embed_residual(tile: u32, lane: u32) {
  let row0 = tile * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  embed_rows(row0, n, lane);
  put_residual(at_layer(0u) + L_X, row0, n, lane);
}

// rows[0..n) = a projection's rows row0.. , as the dispatch before left them, plus their residual.
fn load_sum(row0: u32, n: u32, lane: u32) {
  load_rows(T_RAW + row0, n, lane);
  let bias = select(bias_out(place.layer), bias_down(place.layer), place.part == 1u);
  add_residual(place_x() + X_RES, bias, row0, n, lane);
}
