// stage attend: attention of ATT_HEADS heads that share one kv head, over one part of the context. One tile
// = (unit of heads, split); split s of N_SPLIT covers a contiguous part of the positions up to the token's.
// takes: q, and k and v of the positions of this dispatch, of the layer; earlier rows are plain loads,
// ordered by the dispatches that wrote them.   puts: for each head and split the unnormalised output, the
// largest score and the sum of exponentials, for combine; or, of a short context, elements of A.
//
// The positions go by in blocks of ATT_BLOCK: scores, running softmax, mix. Each of the three is a
// function of its own, so that the unfused form (unfused_attend_*.wgsl) can run them apart with the same
// bits. There are two ways to do a block: attend_lanes.wgsl keeps rows and outputs in registers, a few lanes a
// position; attend_serial.wgsl keeps them in workgroup memory and asks nothing of the device. Each has
//   attend_early(layer, tile, lane)  what does not wait for this token; called by itself before a wait, and
//   stage_attend(layer, tile, lane).
const NEVER = -3.0e38; // stands for minus infinity, which WGSL does not promise
const KV_HEADS = N_HEAD / N_HEAD_KV; // heads that share a kv head

struct Span { // positions lo .. hi of a split
  lo: u32,
  hi: u32,
  whole: bool, // all that the token attends to: attend_whole.wgsl
}

fn att_span(layer: u32, split: u32, lane: u32) -> Span {
  let n = uniform_pos(lane) + 1u;
  let first = first_attended(layer, n);
  if (ATT_WHOLE > 0u && n - first <= ATT_WHOLE) { return Span(first, n, true); }
  let per = (n - first + N_SPLIT - 1u) / N_SPLIT;
  return Span(min(n, first + split * per), min(n, first + split * per + per), false);
}

// Whether combine has nothing to do.
fn is_whole(layer: u32, lane: u32) -> bool { return ATT_WHOLE > 0u && att_span(layer, 0u, lane).whole; }

fn att_first_head(tile: u32) -> u32 { return tile / N_SPLIT * ATT_HEADS; }
fn att_kv_head(tile: u32) -> u32 { return att_first_head(tile) / KV_HEADS; }

fn att_part_at(layer: u32, head: u32, split: u32) -> u32 {
  return at_layer(layer) + L_ATT + (head * N_SPLIT + split) * HEAD_DIM;
}

fn att_ml_at(layer: u32, head: u32, split: u32) -> u32 {
  return at_layer(layer) + L_ATT_ML + (head * N_SPLIT + split) * 2u;
}

fn att_put_ml(layer: u32, head: u32, split: u32, m: f32, l: f32) {
  let at = att_ml_at(layer, head, split);
  put(at, word_of_f32(m));
  put(at + 1u, word_of_f32(l));
}

// Word w of the k row (which: 0) or v row (1) that the token at position p, of this dispatch, put.
fn att_late_at(layer: u32, kv_head: u32, p: u32, which: u32, w: u32) -> u32 {
  return back_to(p) + at_layer(layer) + select(L_K, L_V, which == 1u) + kv_head * KV_ROW + w;
}
