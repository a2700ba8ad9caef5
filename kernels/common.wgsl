// common: bindings, what changes per token and per dispatch, workgroup memory, word types.
//
// The stage contract. A stage is two functions, called by all lanes of a workgroup in uniform
// control flow:
//   x_take(layer, lane)        brings what all tiles of the stage share into workgroup memory;
//   stage_x(layer, tile, lane) does one tile and its own tail, and reads and writes only what its
//                              row of the stage table says.
// On return lanes may still read the tile's finished rows: whoever runs another tile has a barrier first,
// the one of a wait or of x_take, or one for its own sake. Nothing is
// assumed about which workgroup ran the stage before. Values pass between stages only by take and
// put (handoff_*.wgsl), words of one message buffer in which each slot is written once a token.
// Which token that is, is said by token_*.wgsl.
//
// Arithmetic that must agree bit for bit in every factoring uses fma() wherever a product meets a
// sum: a compiler may contract a*b+c in one entry point and not in another, but never fma.

struct Args { // per token; C: solo_args in plan.h
  pos: u32,        // of the (first) token that this step consumes; stages ask token_pos()
  parity: u32,     // which half of the tagged messages this dispatch writes
  n_batch: u32,    // prefill: tokens in this batch, at pos, pos + 1, ...
  greedy: u32,
  inv_temperature: f32,
  top_k: u32,
  top_p: f32,
  ln_min_p: f32,   // -1e30: off
  repeat_penalty: f32,
  repeat_last_n: u32,
  seed_low: u32,
  seed_high: u32,
}

struct Place { // per dispatch; C: solo_place in plan.h
  layer: u32,
  part: u32,
  unused_a: u32,
  unused_b: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
@group(0) @binding(1) var<uniform> place: Place;
// binding 2 is the message buffer, declared by handoff_*.wgsl, or prefill's activations
@group(0) @binding(3) var<storage, read_write> state: array<atomic<u32>>; // STATE_* below
// The cache: [n_layer][n_head_kv][n_ctx][KV_VECS], a row of one kv head padded to whole vec4.
@group(0) @binding(4) var<storage, read_write> kv_k: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> kv_v: array<vec4<u32>>;
@group(0) @binding(6) var<storage, read> rope: array<vec2<f32>>; // [n_ctx][ROPE_DIM / 2] cos, sin
@group(0) @binding(7) var<storage, read> ws: array<vec2<u32>>; // scales, gains: words, by scale_word
// bindings 8.. are the payload, declared by the prelude as wq0, wq1, ... behind payload()

// state: [0] abort, then counters [2][N_BLOCK][N_LAYER][N_STAGE + 1], each on a line of its own: a
// stage's arrivals, and the ticket of a dispatch that begins there; then ids [n_ctx + 1]: the token at
// each position
const STATE_ABORT = 0u;
const STATE_ARRIVE = 32u;
const ARRIVE_LINE = 32u; // words: counters that share a 128-byte line slow each other
const STATE_IDS = STATE_ARRIVE + 2u * N_COUNTER * ARRIVE_LINE;

fn scale_word(i: u32) -> u32 { return ws[i >> 1u][i & 1u]; }

// A matrix in the weights: payload in vec4<u32> of `payload`, scales in units that its form states, the first at an
// even word.
struct Matrix {
  w_at: u32,
  s_at: u32,
}

// Where a group stands, as an index into the payload and one into the scales (words; where a form has two words a
// group, pairs of them): groups near it, `row` rows and `g` groups on, are found by adding constants. (Where a word
// holds two scales: a lane's groups are all even or all odd, or it begins at an even one.)
struct Near {
  w: u32,
  s: u32,
}

// Scales of two bytes. Where a row's fill three quarters of it, the row is padded to whole runs of 128, in which those
// of groups g, g + 32, g + 64 and g + 96 are neighbours: a quad, which is all that a lane of a team needs for four
// groups. quant.c says the same; groups is a constant wherever this is called.
fn whole_runs(groups: u32) -> u32 { return (groups + 127u) / 128u * 128u; }
fn has_quads(groups: u32) -> bool { return groups * 4u >= whole_runs(groups) * 3u; }

// Where a group's scale stands, in halves behind the matrix's first.
fn scale_half_at(row: u32, groups: u32, g: u32) -> u32 {
  if (!has_quads(groups)) { return row * groups + g; }
  return row * whole_runs(groups) + g / 128u * 128u + g % 32u * 4u + g / 32u % 4u;
}

// The quad that begins g groups behind a lane's first, which is one of the first 32.
fn scale_quad(n: Near, row: u32, groups: u32, g: u32) -> vec2<u32> {
  return ws[(n.s >> 1u) + (scale_half_at(row, groups, g) >> 2u)];
}

// One group of 32 inputs of a matrix, as a lane holds it: activations_int8.wgsl says how.
struct XInt8 {
  a: vec4<u32>,     // elements 0..15, int8
  b: vec4<u32>,     // elements 16..31
  scale: vec4<f32>, // of elements 0..7, 8..15, 16..23, 24..31
  sum: f32,         // of all 32, scaled
  origin: f32,      // what as_biased adds to the octets' products too much, scaled
}

fn octet_sum(a: u32, b: u32) -> f32 {
  return f32(dot4I8Packed(a, 0x01010101u) + dot4I8Packed(b, 0x01010101u));
}

// The integer products of each octet's inputs and weights: its first four weights in lo, the others in hi.
fn octet_dots(lo: vec4<u32>, hi: vec4<u32>, x: XInt8) -> vec4<i32> {
  return vec4<i32>(dot4I8Packed(lo.x, x.a.x) + dot4I8Packed(hi.x, x.a.y),
                   dot4I8Packed(lo.y, x.a.z) + dot4I8Packed(hi.y, x.a.w),
                   dot4I8Packed(lo.z, x.b.x) + dot4I8Packed(hi.z, x.b.y),
                   dot4I8Packed(lo.w, x.b.z) + dot4I8Packed(hi.w, x.b.w));
}

// An octet's product, of less than 2^18, as 2^23 + 2^18 + d: its bits are one addition, which a compiler makes the
// third operand of the one that made d, where a conversion is an instruction more (1.9 % of a token:
// bench/results/h200-2026-11-28-whole). What is too much is taken off all octets at once: it costs a sum half a unit of
// an octet's product in rounding, where int8 inputs cost fifty.
const BIAS = 8650752.0f;
fn as_biased(d: i32) -> f32 { return bitcast<f32>(d + bitcast<i32>(BIAS)); }
fn origin_of(scale: vec4<f32>) -> f32 { return -BIAS * ((scale.x + scale.y) + (scale.z + scale.w)); }

// The octets' products by their scales; one: a const, whether a group's four scales are one (*_ONE of the prelude).
fn scaled(d: vec4<i32>, x: XInt8, one: bool) -> f32 {
  if (one) { return f32((d.x + d.y) + (d.z + d.w)) * x.scale.x; }
  return fma(as_biased(d.x), x.scale.x, fma(as_biased(d.y), x.scale.y,
         fma(as_biased(d.z), x.scale.z, fma(as_biased(d.w), x.scale.w, x.origin))));
}

// Four numbers as int8, of a span whose largest number has that size: its scale is largest / 127.
fn quantise4(v: vec4<f32>, largest: f32) -> u32 {
  let inverse = select(0.0, 127.0 / largest, largest > 0.0);
  return pack4xI8(vec4<i32>(clamp(round(v * inverse), vec4<f32>(-127.0), vec4<f32>(127.0))));
}

var<workgroup> rows: array<f32, MAX_ROWS>;   // a tile's finished rows
var<workgroup> ys: array<f32, MAX_ROWS>;     // the same, made ready to be published
var<workgroup> xsum: array<f32, XG>;         // sum of each group of 32 inputs
var<workgroup> ss: array<f32, N_SUM>;        // partial sums of an X block, as they arrived; squares first
var<workgroup> uniform_word: u32;            // one word broadcast to the workgroup

// The one pattern that never crosses: "not written yet". int8 words stay within +-127; a float
// that happens to equal it moves by one unit in its last place.
const NOT_READY = 0x80808080u;

fn word_of_f32(v: f32) -> u32 {
  let b = bitcast<u32>(v);
  return select(b, b + 1u, b == NOT_READY);
}

// Where a position's row of a kv head stands in the cache.
fn kv_row_at(layer: u32, kv_head: u32, pos: u32) -> u32 {
  return ((layer * N_HEAD_KV + kv_head) * N_CTX + pos) * KV_VECS;
}

// A row's last scale where the other half of its word is padding, zeros. Both are used: halves that are not a compiler
// cuts off and packs, right behind the load, which is waited for there (a tenth of a token:
// bench/results/h200-2026-11-28-whole).
fn scale_alone(word: u32) -> f32 {
  let both = unpack2x16float(word);
  return both.x + both.y;
}

fn vector_at(i: u32) -> f32 { return bitcast<f32>(scale_word(i)); }
fn gain_at(at: u32, i: u32) -> f32 { return vector_at(at + i); }

// Which row of messages: one block a layer, the last one holds only X.
fn at_layer(layer: u32) -> u32 { return layer * LAYER_WORDS; }

fn id_at(pos: u32) -> u32 { return min(atomicLoad(&state[STATE_IDS + pos]), N_VOCAB - 1u); }

// Whether a layer attends to all positions although others have a window.
fn is_global(layer: u32) -> bool { return GLOBAL_EVERY != 0u && (layer + 1u) % max(GLOBAL_EVERY, 1u) == 0u; }

// The first of the n positions 0 .. n - 1 that the token at n - 1 attends to in a layer. WINDOW 0: all of them.
fn first_attended(layer: u32, n: u32) -> u32 {
  if (WINDOW != 0u && n > WINDOW && !is_global(layer)) { return n - WINDOW; }
  return 0u;
}

// Where a position's cos and sin stand: layers with a window may have a table of their own.
fn rope_at(layer: u32, pos: u32) -> u32 {
  if (N_ROPE == 2u && !is_global(layer)) { return (N_CTX + pos) * (ROPE_DIM / 2u); }
  return pos * (ROPE_DIM / 2u);
}

// cap * tanh(x / cap), which a driver's tanh need not survive far out; cap 0: x.
fn capped(x: f32, cap: f32) -> f32 {
  if (cap == 0.0) { return x; }
  return cap * tanh(clamp(x / cap, -20.0, 20.0));
}

// What a product q . k counts in the softmax.
fn score_of(dot_qk: f32) -> f32 { return capped(dot_qk * ATTN_SCALE, SCORE_CAP); }
