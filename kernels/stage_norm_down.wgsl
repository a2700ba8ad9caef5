// stage norm_down: the same behind the feed-forward part: x = x1 + norm(W_down . h), which is X of the next
// layer (or of the end). One tile = EMBED_TILE rows. takes: the projection that down put, its own rows of
// X1.   puts: X.
fn norm_down_take(layer: u32, lane: u32) { take_projection(at_layer(layer) + L_P_DOWN, lane); }

fn stage_norm_down(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * EMBED_TILE;
  let n = min(EMBED_TILE, D - row0);
  let res = at_layer(layer) + L_X1 + X_RES;
  let gain = gain_attn(layer + 1u);
  keep_tail(res, gain, row0, n, lane);
  norm_projection(at_layer(layer) + L_P_DOWN, gain_post_ffn(layer), row0, n, lane);
  publish_sum(at_layer(layer + 1u) + L_X, bias_down(layer), gain, row0, n, lane);
}
