// stage sample: draws the next id and stores it as the id behind the token's. One tile.
// takes: the tiles' best (greedy), or all logits.   puts: an id, as a word and, for the next
// dispatch, in state.
//
// The rule is sampler.h's. top_k and top_p are thresholds on the logit, found by radix selection
// over the order-preserving key of the penalised logit: eight bits a round, counts (top_k) or
// masses in fixed point (top_p) in a histogram, so the result depends on no order of additions.
// The draw is Gumbel-max over what is kept, noise by a counter-based hash.
var<workgroup> hist_count: array<atomic<u32>, 256>;
var<workgroup> hist_low: array<atomic<u32>, 256>;  // mass: low 12 bits of 24 of each probability
var<workgroup> hist_high: array<atomic<u32>, 256>; // and high 12 bits: both sums fit 32 bits
var<workgroup> chosen: array<u32, 2>;              // the bucket, and what is still wanted (bits of an f32)

// n, as a bound that no compiler knows: loops over buckets and ids written out were two thirds of a token's code, and
// then half. (A sum with args.greedy was no secret: who draws has just found it to be 0.)
fn rolled(n: u32) -> u32 { return min(n, n + args.pos); }

// Order of keys = order of floats; both zeros have one key, being equal.
fn key_of(v: f32) -> u32 {
  let b = select(bitcast<u32>(v), 0u, v == 0.0);
  return b ^ select(0x80000000u, 0xffffffffu, (b >> 31u) == 1u);
}

// A lane's ids are lane, lane + WG, ...; four at a time, so that their words are under way together. Behind the last
// id: the last one's logit.
const FOUR = vec4<u32>(0u, WG, 2u * WG, 3u * WG);
fn logits_at(ids: vec4<u32>) -> vec4<f32> {
  let at = M_LOGITS + min(ids, vec4<u32>(N_VOCAB - 1u));
  return bitcast<vec4<f32>>(settle4(at, peek4(at)));
}

// Component k: selected, since a vector with an index stands in memory for some compilers.
fn one_of(v: vec4<f32>, k: u32) -> f32 {
  let pair = select(v.xy, v.zw, k >= 2u);
  return select(pair.x, pair.y, (k & 1u) == 1u);
}

fn probability_bits(logit: f32, largest: f32) -> u32 {
  return u32(round(exp((logit - largest) * args.inv_temperature) * 16777215.0));
}

fn hist_clear(lane: u32) {
  for (var i = lane; i < rolled(256u); i += WG) {
    atomicStore(&hist_count[i], 0u);
    atomicStore(&hist_low[i], 0u);
    atomicStore(&hist_high[i], 0u);
  }
  workgroupBarrier(); // cleared before the round counts
}

// One round: everything whose key matches prefix above shift + 8 and is at least `floor` is counted by its next 8 bits.
struct Round { prefix: u32, shift: u32, floor_key: u32, largest: f32 }

fn hist_count_id(r: Round, id: u32, raw: f32) {
  if (id >= N_VOCAB) { return; }
  let logit = penalised(id, raw);
  let key = key_of(logit);
  if (key < r.floor_key) { return; }
  if (r.shift < 24u && (key >> ((r.shift + 8u) & 31u)) != (r.prefix >> ((r.shift + 8u) & 31u))) { return; }
  let bucket = (key >> r.shift) & 255u;
  let q = probability_bits(logit, r.largest);
  atomicAdd(&hist_count[bucket], 1u);
  atomicAdd(&hist_low[bucket], q & 4095u);
  atomicAdd(&hist_high[bucket], q >> 12u);
}

fn hist_fill(r: Round, lane: u32) {
  for (var first = lane; first < rolled(N_VOCAB); first += 4u * WG) {
    let raw = logits_at(first + FOUR);
    for (var k = 0u; k < rolled(4u); k++) { hist_count_id(r, first + k * WG, one_of(raw, k)); }
  }
  workgroupBarrier(); // counted before lane 0 looks
}

fn bucket_mass(i: u32) -> f32 {
  return fma(f32(atomicLoad(&hist_high[i])), 4096.0, f32(atomicLoad(&hist_low[i])));
}

// Of the buckets, from the largest keys down, the one in which what is wanted is reached, and how much of it is left to
// the bucket. (Counts are whole numbers below 2^24, exact in f32.)
fn choose_bucket(by_mass: bool, first: bool, wanted: f32) {
  var left = wanted;
  if (by_mass && first) { // a share, until the total is known
    var total = 0.0;
    for (var i = 0u; i < rolled(256u); i++) { total += bucket_mass(255u - i); }
    left = total * wanted;
  }
  var last = 0u; // the smallest occupied bucket: rounding may leave a crumb of mass wanted
  for (var i = 0u; i < rolled(256u); i++) {
    let bucket = 255u - i;
    let n = atomicLoad(&hist_count[bucket]);
    if (n == 0u) { continue; }
    last = bucket;
    var worth = f32(n);
    if (by_mass) { worth = bucket_mass(bucket); }
    if (worth >= left) { break; }
    left -= worth;
  }
  chosen[0] = last;
  chosen[1] = bitcast<u32>(left);
}

// The key of the top_k-th largest logit; or, by mass, that at which the mass of the larger keys and itself reaches
// top_p of the mass from floor_key on. One function for both, since a compiler writes it out where it is called.
fn select_key(by_mass: bool, floor_key: u32, largest: f32, lane: u32) -> u32 {
  var prefix = 0u;
  var wanted = select(f32(args.top_k), args.top_p, by_mass);
  for (var round_ = 0u; round_ < rolled(4u); round_++) {
    let shift = 24u - 8u * round_;
    hist_clear(lane);
    hist_fill(Round(prefix, shift, floor_key, largest), lane);
    if (lane == 0u) { choose_bucket(by_mass, round_ == 0u, wanted); }
    workgroupBarrier(); // chosen written before all lanes read it
    prefix |= chosen[0] << shift;
    wanted = bitcast<f32>(chosen[1]);
    workgroupBarrier(); // read before the next round overwrites it
  }
  return prefix;
}

// pcg4d (Jarzynski and Olano, 2020), its first word.
fn hash(pos: u32, id: u32) -> u32 {
  var v = vec4<u32>(args.seed_low, args.seed_high, pos, id) * 1664525u + 1013904223u;
  v.x += v.y * v.w;
  v.y += v.z * v.x;
  v.z += v.x * v.y;
  v.w += v.y * v.z;
  v = v ^ (v >> vec4<u32>(16u));
  v.x += v.y * v.w;
  return v.x;
}

// -log(-log(u)). Winners have u near 1, where log's error of 2^-21 (all that WGSL promises) is as large
// as the logarithm: there it is a series in w = 1 - u, which is exact.
fn gumbel(id: u32) -> f32 {
  let k = hash(token_pos() + 1u, id) >> 9u;
  let u = (f32(k) + 0.5) / 8388608.0;
  let w = (f32(8388607u - k) + 0.5) / 8388608.0;
  let series = w * fma(w, fma(w, fma(w, fma(w, 0.2, 0.25), 1.0 / 3.0), 0.5), 1.0);
  return -log(select(-log(u), series, w < 0.0625));
}

fn best_of_tiles(lane: u32) {
  var value = NEVER;
  var id = 0u;
  for (var t = lane; t < TILES_LOGITS; t += WG) {
    let v = bitcast<f32>(take(M_TOP + 2u * t));
    let i = take(M_TOP + 2u * t + 1u);
    if (v > value || (v == value && i < id)) {
      value = v;
      id = i;
    }
  }
  best_reduce(value, id, lane);
}

struct Drawn { value: f32, id: u32 }

fn draw_id(best: Drawn, id: u32, raw: f32, floor_key: u32, largest: f32) -> Drawn {
  if (id >= N_VOCAB) { return best; }
  let logit = penalised(id, raw);
  if (key_of(logit) < floor_key) { return best; }
  // less the largest, so that no temperature, however low, takes a kept logit out of f32's range
  let v = fma(logit - largest, args.inv_temperature, gumbel(id));
  if (v > best.value) { return Drawn(v, id); }
  return best;
}

fn draw(lane: u32) {
  let largest = best_value[0];
  workgroupBarrier(); // the largest read before best_reduce overwrites it
  var floor_key = 0u;
  for (var which = 0u; which < rolled(2u); which++) { // top_k, then top_p: a loop, so that there is one call
    let by_mass = which == 1u;
    let is_asked = select(args.top_k > 0u && args.top_k < N_VOCAB, args.top_p < 1.0, by_mass);
    if (is_asked) { floor_key = max(floor_key, select_key(by_mass, floor_key, largest, lane)); }
  }
  if (args.ln_min_p > -1.0e30) {
    floor_key = max(floor_key, key_of(fma(args.ln_min_p, 1.0 / args.inv_temperature, largest)));
  }
  var best = Drawn(NEVER, 0u);
  for (var first = lane; first < rolled(N_VOCAB); first += 4u * WG) {
    let raw = logits_at(first + FOUR);
    for (var k = 0u; k < rolled(4u); k++) { best = draw_id(best, first + k * WG, one_of(raw, k), floor_key, largest); }
  }
  best_reduce(best.value, best.id, lane);
}

fn stage_sample(lane: u32) {
  best_of_tiles(lane);
  if (args.greedy == 0u) {
    take_window(lane);
    draw(lane);
  }
  if (lane == 0u) {
    put(M_ID, best_id[0]);
    if (in_context()) { atomicStore(&state[STATE_IDS + token_pos() + 1u], best_id[0]); }
  }
  workgroupBarrier(); // best read before anything else uses it
}
