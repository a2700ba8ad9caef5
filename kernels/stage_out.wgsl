// stage out: the residual after attention: x1 = x + W_out . a, the combined heads. One tile = OUT_TILE
// rows.   takes: A, its own rows of X.   puts: its rows of X1.
fn out_take_chunk(layer: u32, chunk: u32, lane: u32) {
  let g0 = chunk * OUT_CHUNK_GROUPS;
  let n = min(OUT_CHUNK_GROUPS, OUT_GROUPS - g0);
  if (OUT_CHUNKS == 1u) { take_whole_a(at_layer(layer) + L_A, lane); }
  else { take_y(at_layer(layer) + L_A, at_layer(layer) + L_A_SCALE, 0u, 0u, g0, n, QA, lane); }
  workgroupBarrier(); // words written before x_load
  if (X_SUMS) { finish_y(n, lane); }
}

fn out_take(layer: u32, lane: u32) {
  if (OUT_CHUNKS == 1u) { out_take_chunk(layer, 0u, lane); }
}

fn out_rows(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * OUT_TILE;
  rows_out(0u, layer, row0, 0u, min(OUT_TILE, D - row0), lane);
}

fn stage_out(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * OUT_TILE;
  let n = min(OUT_TILE, D - row0);
  if (!POST_NORM && !KEEPS_OWN) { keep_tail(at_layer(layer) + L_X + X_RES, gain_ffn(layer), row0, n, lane); }
  multiply_out(layer, tile, lane);
  ahead_out(layer, tile, lane);
  workgroupBarrier(); // rows written by their teams before other lanes read them
  arrive_early(layer, STAGE_OUT, tile, lane);
  if (POST_NORM) { put_projection(at_layer(layer) + L_P_OUT, row0, n, lane); } // norm_out goes on
  else { publish_sum(at_layer(layer) + L_X1, bias_out(layer), gain_ffn(layer), row0, n, lane); }
}
