// stage norm_out: where a model norms what attention adds to the residual: x1 = x + norm(W_out . a). One tile
// = EMBED_TILE rows. takes: the projection that out put, its own rows of X.   puts: its rows of X1.
//
// A projection to be normed stands as D words, then the partial sums of their squares.
fn put_projection(at: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) { put(at + row0 + r, word_of_f32(rows[r])); }
  put_ss(at + D, row0, n, lane);
}

// 1/rms of the whole projection, as x_inv.
fn take_projection(at: u32, lane: u32) {
  for (var i = lane; i < N_SS; i += WG) { ss[i] = bitcast<f32>(take(at + D + i)); }
  workgroupBarrier(); // sums written before they are added up
  add_sums(lane);
}

// rows[0..n) = rows row0.. of the projection, normed. Behind take_projection.
fn norm_projection(at: u32, gain: u32, row0: u32, n: u32, lane: u32) {
  for (var r = lane; r < n; r += WG) {
    rows[r] = bitcast<f32>(take(at + row0 + r)) * x_inv * gain_at(gain, row0 + r);
  }
  workgroupBarrier(); // rows normed before other lanes add them to the residual
}

fn norm_out_take(layer: u32, lane: u32) { take_projection(at_layer(layer) + L_P_OUT, lane); }

fn stage_norm_out(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  let res = at_layer(layer) + L_X + X_RES;
  let gain = gain_ffn(layer);
  keep_tail(res, gain, row0, n, lane);
  norm_projection(at_layer(layer) + L_P_OUT, gain_post_attn(layer), row0, n, lane);
  publish_sum(at_layer(layer) + L_X1, bias_out(layer), gain, row0, n, lane);
}
