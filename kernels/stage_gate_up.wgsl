// stage gate_up: h = activate(W_gate . x1) * (W_up . x1), or without up. One tile = GATE_UP_TILE rows of
// each.
// takes: X1 of the layer.   puts: its rows of H.
fn gate_up_take_chunk(layer: u32, chunk: u32, lane: u32) {
  take_x(at_layer(layer) + L_X1, chunk, GATE_UP_CHUNK_GROUPS, lane);
}

fn gate_up_take(layer: u32, lane: u32) {
  if (GATE_UP_CHUNKS == 1u) { gate_up_take_chunk(layer, 0u, lane); }
}

// rows[0..n) of gate, rows[GATE_UP_TILE..) of up.
fn gate_up_rows(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * GATE_UP_TILE;
  let n = min(GATE_UP_TILE, N_FF - row0);
  for (var which = 0u; which < FFN_PARTS; which++) {
    rows_gate_up(which, layer, row0, which * GATE_UP_TILE, n, lane);
  }
}

fn glu(gate: f32, up: f32) -> f32 {
  if (FFN_PARTS == 1u) { return activate(gate); }
  return activate(gate) * up;
}

// Row r of the h of the tile that begins at row0, from the finished rows of both.
fn glu_of_rows(layer: u32, row0: u32, r: u32) -> f32 {
  let gate = finish_gate_up(layer, row0 + r, rows[r]);
  if (FFN_PARTS == 1u) { return glu(gate, 0.0); }
  return glu(gate, finish_gate_up(layer, N_FF + row0 + r, rows[GATE_UP_TILE + r]));
}

fn stage_gate_up(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * GATE_UP_TILE;
  let n = min(GATE_UP_TILE, N_FF - row0);
  multiply_gate_up(layer, tile, lane);
  ahead_gate_up(layer, tile, lane);
  workgroupBarrier(); // rows written by their teams before the epilogue reads them
  arrive_early(layer, STAGE_GATE_UP, tile, lane);
  publish_h(layer, row0, n, lane);
}
