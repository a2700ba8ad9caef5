// prefill: a batch of prompt tokens through the layers by matrix products, in f32 whatever the
// decode's activations are. It leaves K and V rows in the cache; the last prompt token goes through a
// decode step, which yields logits. Dispatch boundaries order everything.
//
// pf, in vec4<f32>, all [PF_BATCH] outermost: X and Y [D], QKV [ROWS_Q + 2 ROWS_K], ATT [ROWS_Q],
// GU [2 N_FF], H [N_FF].
@group(0) @binding(2) var<storage, read_write> pf: array<vec4<f32>>;

const PF_BATCH = 64u;
const PF_WG = 64u;
const PF_D = D / 4u;
const PF_QKV = (ROWS_Q + 2u * ROWS_K) / 4u;
const PF_ATT = ROWS_Q / 4u;
const PF_GU = N_FF / 2u;
const PF_H = N_FF / 4u;
const PF_X_AT = 0u;
const PF_Y_AT = PF_X_AT + PF_BATCH * PF_D;
const PF_QKV_AT = PF_Y_AT + PF_BATCH * PF_D;
const PF_ATT_AT = PF_QKV_AT + PF_BATCH * PF_QKV;
const PF_GU_AT = PF_ATT_AT + PF_BATCH * PF_ATT;
const PF_H_AT = PF_GU_AT + PF_BATCH * PF_GU;

// One workgroup a token.
@compute @workgroup_size(PF_WG)
fn prefill_embed(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let id = id_at(args.pos + wg.x);
  for (var i = lane; i < PF_D; i += PF_WG) {
    var x = vec4<f32>(embd_weight(id, 4u * i), embd_weight(id, 4u * i + 1u),
                      embd_weight(id, 4u * i + 2u), embd_weight(id, 4u * i + 3u));
    x *= EMBD_SCALE;
    if (HAS_POSITIONS) {
      let pos = args.pos + wg.x;
      x += vec4<f32>(positions_weight(pos, 4u * i), positions_weight(pos, 4u * i + 1u),
                     positions_weight(pos, 4u * i + 2u), positions_weight(pos, 4u * i + 3u));
    }
    pf[PF_X_AT + wg.x * PF_D + i] = x;
  }
}

var<workgroup> pf_sum: array<f32, PF_WG>;

fn pf_reduce(v: f32, lane: u32) -> f32 {
  pf_sum[lane] = v;
  workgroupBarrier(); // terms written before they are added up
  for (var step = PF_WG / 2u; step > 0u; step /= 2u) {
    if (lane < step) { pf_sum[lane] += pf_sum[lane + step]; }
    workgroupBarrier(); // this round written before the next reads it
  }
  let sum = pf_sum[0];
  workgroupBarrier(); // read before the next use overwrites it
  return sum;
}

// The mean that a LAYER norm takes off. (Its bias is in the biases of the rows behind it.)
fn pf_mean(t: u32, lane: u32) -> f32 {
  if (!LAYER_NORM) { return 0.0; }
  var s = 0.0;
  for (var i = lane; i < PF_D; i += PF_WG) { s += dot(pf[PF_X_AT + t * PF_D + i], vec4<f32>(1.0)); }
  return pf_reduce(s, lane) / f32(D);
}

// One workgroup a token; part 0: the attention's norm, 1: the feed-forward part's.
@compute @workgroup_size(PF_WG)
fn prefill_norm(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let mean = pf_mean(wg.x, lane);
  var s = 0.0;
  for (var i = lane; i < PF_D; i += PF_WG) {
    let x = pf[PF_X_AT + wg.x * PF_D + i] - mean;
    s += dot(x, x);
  }
  let inv = inverseSqrt(fma(pf_reduce(s, lane), 1.0 / f32(D), NORM_EPS));
  let gain = select(gain_attn(place.layer), gain_ffn(place.layer), place.part == 1u);
  for (var i = lane; i < PF_D; i += PF_WG) {
    let g = vec4<f32>(gain_at(gain, 4u * i), gain_at(gain, 4u * i + 1u),
                      gain_at(gain, 4u * i + 2u), gain_at(gain, 4u * i + 3u));
    pf[PF_Y_AT + wg.x * PF_D + i] = (pf[PF_X_AT + wg.x * PF_D + i] - mean) * inv * g;
  }
}

// One workgroup a token: the residual takes in the projection that Y holds, normed; part 0: attention's, 1: the
// feed-forward part's.
@compute @workgroup_size(PF_WG)
fn prefill_add_normed(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  var s = 0.0;
  for (var i = lane; i < PF_D; i += PF_WG) { s += dot(pf[PF_Y_AT + wg.x * PF_D + i], pf[PF_Y_AT + wg.x * PF_D + i]); }
  let inv = inverseSqrt(fma(pf_reduce(s, lane), 1.0 / f32(D), NORM_EPS));
  let gain = select(gain_post_attn(place.layer), gain_post_ffn(place.layer), place.part == 1u);
  for (var i = lane; i < PF_D; i += PF_WG) {
    pf[PF_X_AT + wg.x * PF_D + i] += pf[PF_Y_AT + wg.x * PF_D + i] * inv * pf_four(true, gain + 4u * i);
  }
}

// What each product reads (vec4 i of token t) and where its rows 4i .. 4i + 3 go.
fn pf_in_q(t: u32, i: u32) -> vec4<f32> { return pf[PF_Y_AT + t * PF_D + i]; }
fn pf_in_k(t: u32, i: u32) -> vec4<f32> { return pf[PF_Y_AT + t * PF_D + i]; }
fn pf_in_v(t: u32, i: u32) -> vec4<f32> { return pf[PF_Y_AT + t * PF_D + i]; }
fn pf_in_out(t: u32, i: u32) -> vec4<f32> { return pf[PF_ATT_AT + t * PF_ATT + i]; }
fn pf_in_gate(t: u32, i: u32) -> vec4<f32> { return pf[PF_Y_AT + t * PF_D + i]; }
fn pf_in_up(t: u32, i: u32) -> vec4<f32> { return pf[PF_Y_AT + t * PF_D + i]; }
fn pf_in_down(t: u32, i: u32) -> vec4<f32> { return pf[PF_H_AT + t * PF_H + i]; }

// Four of a vector from word `at` on; zeros where there is none.
fn pf_four(there: bool, at: u32) -> vec4<f32> {
  if (!there) { return vec4<f32>(); }
  return vec4<f32>(vector_at(at), vector_at(at + 1u), vector_at(at + 2u), vector_at(at + 3u));
}

fn pf_put_qkv(t: u32, i: u32, v: vec4<f32>) {
  pf[PF_QKV_AT + t * PF_QKV + i] = v + pf_four(HAS_BIAS_QKV, bias_qkv(place.layer) + 4u * i);
}

fn pf_out_q(t: u32, i: u32, v: vec4<f32>) { pf_put_qkv(t, i, v); }
fn pf_out_k(t: u32, i: u32, v: vec4<f32>) { pf_put_qkv(t, ROWS_Q / 4u + i, v); }
fn pf_out_v(t: u32, i: u32, v: vec4<f32>) { pf_put_qkv(t, (ROWS_Q + ROWS_K) / 4u + i, v); }
// A projection: added to the residual, or left in Y, which is used up, for prefill_add_normed.
fn pf_add(t: u32, i: u32, v: vec4<f32>) {
  if (POST_NORM) { pf[PF_Y_AT + t * PF_D + i] = v; }
  else { pf[PF_X_AT + t * PF_D + i] += v; }
}

fn pf_out_out(t: u32, i: u32, v: vec4<f32>) {
  pf_add(t, i, v + pf_four(HAS_BIAS_OUT, bias_out(place.layer) + 4u * i));
}
fn pf_out_gate(t: u32, i: u32, v: vec4<f32>) {
  pf[PF_GU_AT + t * PF_GU + i] = v + pf_four(HAS_BIAS_GATE_UP, bias_gate_up(place.layer) + 4u * i);
}
fn pf_out_up(t: u32, i: u32, v: vec4<f32>) {
  pf[PF_GU_AT + t * PF_GU + N_FF / 4u + i] = v + pf_four(HAS_BIAS_GATE_UP, bias_gate_up(place.layer) + N_FF + 4u * i);
}
fn pf_out_down(t: u32, i: u32, v: vec4<f32>) {
  pf_add(t, i, v + pf_four(HAS_BIAS_DOWN, bias_down(place.layer) + 4u * i));
}

const PF_GROUPS_q = D / 32u;
const PF_GROUPS_k = D / 32u;
const PF_GROUPS_v = D / 32u;
const PF_GROUPS_out = ROWS_Q / 32u;
const PF_GROUPS_gate = D / 32u;
const PF_GROUPS_up = D / 32u;
const PF_GROUPS_down = N_FF / 32u;
const PF_ROWS_q = ROWS_Q;
const PF_ROWS_k = ROWS_K;
const PF_ROWS_v = ROWS_K;
const PF_ROWS_out = D;
const PF_ROWS_gate = N_FF;
const PF_ROWS_up = N_FF;
const PF_ROWS_down = D;

// A 32 x 32 tile of a product takes 32 inputs at a time through these: [row or token][8], padded.
var<workgroup> pf_w: array<vec4<f32>, 32u * 9u>;
var<workgroup> pf_x: array<vec4<f32>, 32u * 9u>;

// Two neighbouring numbers of a head after RoPE.
fn pf_turned(pos: u32, d: u32, pair: vec2<f32>) -> vec2<f32> {
  if (d >= ROPE_DIM) { return pair; }
  let cs = rope[rope_at(place.layer, pos) + d / 2u];
  return vec2<f32>(pair.x * cs.x - pair.y * cs.y, pair.y * cs.x + pair.x * cs.y);
}

fn pf_turn4(pos: u32, row: u32, v: vec4<f32>) -> vec4<f32> {
  let d = row % HEAD_DIM;
  return vec4<f32>(pf_turned(pos, d, v.xy), pf_turned(pos, d + 2u, v.zw));
}

// The heads of q and of k of a token divided by their rms and multiplied by the gain, a lane a head.
fn pf_norm_heads(t: u32, lane: u32) {
  for (var head = lane; head < N_HEAD + N_HEAD_KV; head += PF_WG) {
    let at = PF_QKV_AT + t * PF_QKV + head * (HEAD_DIM / 4u);
    let gain = gain_head(place.layer) + select(0u, HEAD_DIM, head >= N_HEAD);
    var s = 0.0;
    for (var i = 0u; i < HEAD_DIM / 4u; i++) { s += dot(pf[at + i], pf[at + i]); }
    let inv = inverseSqrt(fma(s, 1.0 / f32(HEAD_DIM), NORM_EPS));
    for (var i = 0u; i < HEAD_DIM / 4u; i++) { pf[at + i] *= inv * pf_four(true, gain + 4u * i); }
  }
  storageBarrier(); // heads normed before other lanes turn them
}

// Four numbers from row 4i on of k, turned, or (which: 1) of v.
fn pf_kv4(which: u32, t: u32, i: u32) -> vec4<f32> {
  let at = PF_QKV_AT + t * PF_QKV + ROWS_Q / 4u + i;
  if (which == 1u) { return pf[at + ROWS_K / 4u]; }
  return pf_turn4(args.pos + t, 4u * i, pf[at]);
}

// One workgroup a token: RoPE on q in place, K and V into the cache by prefill_append_*.wgsl.
@compute @workgroup_size(PF_WG)
fn prefill_rope(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let t = wg.x;
  if (HAS_GAIN_HEAD) { pf_norm_heads(t, lane); }
  for (var i = lane; i < ROWS_Q / 4u; i += PF_WG) {
    let at = PF_QKV_AT + t * PF_QKV + i;
    pf[at] = pf_turn4(args.pos + t, 4u * i, pf[at]);
  }
  pf_append(t, lane);
}

var<workgroup> pf_q: array<f32, HEAD_DIM>;
var<workgroup> pf_p: array<f32, PF_WG>;
var<workgroup> pf_o: array<f32, HEAD_DIM>;

// One workgroup a (head, token): attention over the positions up to the token's own, by blocks of PF_WG.
@compute @workgroup_size(PF_WG)
fn prefill_attend(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let head = wg.x;
  let t = wg.y;
  let n = args.pos + t + 1u;
  let kv_at = kv_row_at(place.layer, head / (N_HEAD / N_HEAD_KV), 0u);
  for (var d = lane; d < HEAD_DIM; d += PF_WG) {
    pf_q[d] = pf[PF_QKV_AT + t * PF_QKV + (head * HEAD_DIM + d) / 4u][(head * HEAD_DIM + d) % 4u];
    pf_o[d] = 0.0;
  }
  workgroupBarrier(); // q written before scores read it
  var m = -3.0e38;
  var l = 0.0;
  for (var p0 = first_attended(place.layer, n); p0 < n; p0 += PF_WG) {
    var s = -3.0e38;
    if (p0 + lane < n) {
      s = 0.0;
      let row = kv_at + (p0 + lane) * KV_VECS;
      for (var d = 0u; d < HEAD_DIM; d += KV_PER_WORD) {
        let w = kv_word_at(d);
        let word = kv_k[row + w / 4u][w % 4u];
        let scale = kv_scale_k(row, d);
        for (var h = 0u; h < KV_PER_WORD; h++) { s = fma(pf_q[d + h], kv_value(word, h) * scale, s); }
      }
      s = score_of(s);
    }
    pf_p[lane] = s;
    workgroupBarrier(); // scores written before the maximum is sought
    var largest = m;
    for (var i = 0u; i < PF_WG; i++) { largest = max(largest, pf_p[i]); }
    let alpha = exp(m - largest);
    m = largest;
    workgroupBarrier(); // scores read before exponentials take their place
    pf_p[lane] = exp(s - m);
    workgroupBarrier(); // exponentials written before they are used
    let count = min(PF_WG, n - p0);
    var sum = 0.0;
    for (var i = 0u; i < PF_WG; i++) { sum += pf_p[i]; }
    l = fma(l, alpha, sum);
    for (var d = lane; d < HEAD_DIM; d += PF_WG) {
      var o = pf_o[d] * alpha;
      for (var i = 0u; i < count; i++) {
        let row = kv_at + (p0 + i) * KV_VECS;
        let w = kv_word_at(d);
        let word = kv_v[row + w / 4u][w % 4u];
        o = fma(pf_p[i], kv_value(word, d % KV_PER_WORD) * kv_scale_v(row, d), o);
      }
      pf_o[d] = o;
    }
    workgroupBarrier(); // exponentials used up before the next block's scores
  }
  for (var i = lane; i < HEAD_DIM / 4u; i += PF_WG) {
    pf[PF_ATT_AT + t * PF_ATT + head * (HEAD_DIM / 4u) + i] =
        vec4<f32>(pf_o[4u * i], pf_o[4u * i + 1u], pf_o[4u * i + 2u], pf_o[4u * i + 3u]) / l;
  }
}

// One workgroup a token.
@compute @workgroup_size(PF_WG)
fn prefill_glu(@builtin(workgroup_id) wg: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  for (var i = lane; i < PF_H; i += PF_WG) {
    let gate = pf[PF_GU_AT + wg.x * PF_GU + i];
    var up = vec4<f32>(1.0);
    if (FFN_PARTS == 2u) { up = pf[PF_GU_AT + wg.x * PF_GU + PF_H + i]; }
    pf[PF_H_AT + wg.x * PF_H + i] =
        vec4<f32>(activate(gate.x), activate(gate.y), activate(gate.z), activate(gate.w)) * up;
  }
}
