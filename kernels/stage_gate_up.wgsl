// stage gate_up: h = silu(W_gate . x1) * (W_up . x1). One tile = GATE_UP_TILE rows of each.
// takes: X1 of the layer.   puts: its rows of H.
fn gate_up_take_chunk(layer: u32, chunk: u32, lane: u32) {
  take_x(at_layer(layer) + L_X1, chunk, GATE_UP_CHUNK_GROUPS, lane);
}

fn gate_up_take(layer: u32, lane: u32) {
  if (GATE_UP_CHUNKS == 1u) { gate_up_take_chunk(layer, 0u, lane); }
}

fn glu(gate: f32, up: f32) -> f32 { return gate / (1.0 + exp(-gate)) * up; }

// ys[0..n) = the gated rows row0 ..: puts them as the input of down.
fn put_h(layer: u32, row0: u32, n: u32, lane: u32) {
  put_y(at_layer(layer) + L_H, at_layer(layer) + L_H_SCALE, row0, n, QF, lane);
}

fn stage_gate_up(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * GATE_UP_TILE;
  let n = min(GATE_UP_TILE, N_FF - row0);
  for (var which = 0u; which < 2u; which++) { // gate, up
    rows_gate_up(which, layer, row0, which * GATE_UP_TILE, n, lane);
  }
  workgroupBarrier(); // rows written by their teams before the epilogue reads them
  let inv = inv_rms();
  for (var r = lane; r < n; r += WG) { ys[r] = glu(rows[r] * inv, rows[GATE_UP_TILE + r] * inv); }
  workgroupBarrier(); // ys written before whole quantisation groups are read
  put_h(layer, row0, n, lane);
  workgroupBarrier(); // rows and ys read before the next tile writes them
}
