// stage out: the residual after attention: x1 = x + W_out . (the splits, combined). One tile =
// OUT_TILE rows.   takes: attend's parts, its own rows of X.   puts: its rows of X1.
var<workgroup> att_ml: array<f32, (N_HEAD * N_SPLIT * 2u + 3u) / 4u * 4u>; // maximum, sum of each split
var<workgroup> att_weight: array<f32, N_HEAD * N_SPLIT>;

// What each split of each head is worth: exp(m - largest m) / sum.
fn out_take_weights(layer: u32, lane: u32) {
  const N = N_HEAD * N_SPLIT * 2u;
  let at = at_layer(layer) + L_ATT_ML;
  for (var i = lane; i < (N + 3u) / 4u; i += WG) {
    let e = min(4u * i + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(N - 1u));
    let v = bitcast<vec4<f32>>(take4_at(at + e));
    for (var k = 0u; k < 4u; k++) { att_ml[4u * i + k] = v[k]; }
  }
  workgroupBarrier(); // maxima and sums written before a head compares its splits
  for (var head = lane; head < N_HEAD; head += WG) {
    let first = head * N_SPLIT;
    var largest = NEVER;
    for (var s = 0u; s < N_SPLIT; s++) { largest = max(largest, att_ml[2u * (first + s)]); }
    var sum = 0.0;
    for (var s = 0u; s < N_SPLIT; s++) {
      sum = fma(att_ml[2u * (first + s) + 1u], exp(att_ml[2u * (first + s)] - largest), sum);
    }
    for (var s = 0u; s < N_SPLIT; s++) { att_weight[first + s] = exp(att_ml[2u * (first + s)] - largest) / sum; }
  }
}

// big[0 .. 32 n) = elements 32 g0 .. of the combined heads; all splits' words are asked for at once.
fn out_combine(layer: u32, g0: u32, n: u32, lane: u32) {
  for (var i = lane; i < n * 8u; i += WG) {
    let e = g0 * 32u + 4u * i;
    let head = e / HEAD_DIM;
    let at = at_layer(layer) + L_ATT + head * N_SPLIT * HEAD_DIM + e % HEAD_DIM;
    var words = array<vec4<u32>, N_SPLIT>();
    for (var s = 0u; s < N_SPLIT; s++) { words[s] = peek4(at + s * HEAD_DIM); }
    var o = vec4<f32>();
    for (var s = 0u; s < N_SPLIT; s++) {
      let part = bitcast<vec4<f32>>(settle4(at + s * HEAD_DIM, words[s]));
      o = fma(part, vec4<f32>(att_weight[head * N_SPLIT + s]), o);
    }
    big[4u * i] = o.x;
    big[4u * i + 1u] = o.y;
    big[4u * i + 2u] = o.z;
    big[4u * i + 3u] = o.w;
  }
}

fn out_take_chunk(layer: u32, chunk: u32, lane: u32) {
  let g0 = chunk * OUT_CHUNK_GROUPS;
  let n = min(OUT_CHUNK_GROUPS, OUT_GROUPS - g0);
  out_combine(layer, g0, n, lane);
  out_finish(n, lane);
}

// From big to the groups that the rows read.
fn out_finish(n: u32, lane: u32) {
  workgroupBarrier(); // big written before whole groups are read
  x_from_big(n, lane);
  workgroupBarrier(); // words written before finish_big adds them up
  finish_big(n, lane);
  workgroupBarrier(); // sums written before x_load
}

fn out_take(layer: u32, lane: u32) {
  out_take_weights(layer, lane);
  workgroupBarrier(); // weights written before the combination reads them
  if (OUT_CHUNKS == 1u) { out_take_chunk(layer, 0u, lane); }
}

// rows += the residual at `at`, of which this lane has peeked at word min(lane, n - 1) as `own`.
fn add_residual(at: u32, own: u32, n: u32, lane: u32) {
  if (lane < n) { rows[lane] = bitcast<f32>(settle(at + lane, own)) + rows[lane]; }
  for (var r = lane + WG; r < n; r += WG) { rows[r] = bitcast<f32>(take(at + r)) + rows[r]; }
  workgroupBarrier(); // sums written before publish_x reads its quantisation groups
}

fn out_at(tile: u32, j: u32) -> u32 { return min(tile * OUT_TILE + min(j, OUT_TILE - 1u), D - 1u); }

fn out_rows(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * OUT_TILE;
  rows_out(0u, layer, row0, 0u, min(OUT_TILE, D - row0), lane);
}

fn stage_out(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * OUT_TILE;
  let n = min(OUT_TILE, D - row0);
  let at = at_layer(layer) + L_X + X_RES + row0;
  let own = peek(at + min(lane, n - 1u));
  multiply_out(layer, tile, lane);
  workgroupBarrier(); // rows written by their teams before other lanes read them
  add_residual(at, own, n, lane);
  publish_x(at_layer(layer) + L_X1, gain_ffn(layer), row0, n, lane);
}
