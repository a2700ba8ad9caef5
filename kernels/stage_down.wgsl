// stage down: the residual after the feed-forward part: x = x1 + W_down . h, which is X of the next
// layer (or of the end). One tile = DOWN_TILE rows.   takes: H, its own rows of X1.   puts: X.
fn down_take_chunk(layer: u32, chunk: u32, lane: u32) {
  let g0 = chunk * DOWN_CHUNK_GROUPS;
  let n = min(DOWN_CHUNK_GROUPS, DOWN_GROUPS - g0);
  if (DOWN_CHUNKS == 1u) { take_whole_h(at_layer(layer) + L_H, lane); }
  else { take_y(at_layer(layer) + L_H, at_layer(layer) + L_H_SCALE, 0u, 0u, g0, n, QF, lane); }
  workgroupBarrier(); // words written before x_load
  if (X_SUMS) { finish_y(n, lane); }
}

fn down_take(layer: u32, lane: u32) {
  if (DOWN_CHUNKS == 1u) { down_take_chunk(layer, 0u, lane); }
}

fn down_rows(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * DOWN_TILE;
  rows_down(0u, layer, row0, 0u, min(DOWN_TILE, D - row0), lane);
}

fn stage_down(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * DOWN_TILE;
  let n = min(DOWN_TILE, D - row0);
  if (!POST_NORM && !KEEPS_OWN) { keep_tail(at_layer(layer) + L_X1 + X_RES, gain_attn(layer + 1u), row0, n, lane); }
  multiply_down(layer, tile, lane);
  ahead_down(layer, tile, lane);
  workgroupBarrier(); // rows written by their teams before other lanes read them
  arrive_early(layer, STAGE_DOWN, tile, lane);
  if (POST_NORM) { put_projection(at_layer(layer) + L_P_DOWN, row0, n, lane); } // norm_down goes on
  else { publish_sum(at_layer(layer + 1u) + L_X, bias_down(layer), gain_attn(layer + 1u), row0, n, lane); }
}
