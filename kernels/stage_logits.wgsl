// stage logits: logits = W_output . x. One tile = LOGITS_TILE of the vocabulary.
// takes: X after the last layer.   puts: the raw logits, and of each tile the best after the
// repetition penalty: value, then id.
var<workgroup> window: array<u32, MAX_WINDOW>;             // the last ids of the context
var<workgroup> window_filter: array<atomic<u32>, 32>;      // bit id % 1024: perhaps in the window

fn logits_take_chunk(layer: u32, chunk: u32, lane: u32) {
  take_x(at_layer(N_LAYER) + L_X, chunk, LOGITS_CHUNK_GROUPS, lane);
}

fn logits_take(lane: u32) {
  if (LOGITS_CHUNKS == 1u) { logits_take_chunk(N_LAYER, 0u, lane); }
  take_window(lane);
}

fn n_window() -> u32 { return min(token_pos() + 1u, args.repeat_last_n); }

// The ids that the penalty looks at; of earlier dispatches, in a burst also of earlier tokens. Ends in a barrier.
fn take_window(lane: u32) {
  if (lane < 32u) { atomicStore(&window_filter[lane], 0u); }
  if (WG < 32u) {
    for (var i = lane + WG; i < 32u; i += WG) { atomicStore(&window_filter[i], 0u); }
  }
  workgroupBarrier(); // filter cleared before bits are set
  if (args.repeat_penalty != 1.0) {
    for (var i = lane; i < n_window(); i += WG) {
      let id = context_id(token_pos() - i);
      window[i] = id;
      atomicOr(&window_filter[(id >> 5u) & 31u], 1u << (id & 31u));
    }
  }
  workgroupBarrier(); // window and filter written before penalised reads them
}

fn penalised(id: u32, logit: f32) -> f32 {
  if (args.repeat_penalty == 1.0) { return logit; }
  if ((atomicLoad(&window_filter[(id >> 5u) & 31u]) & (1u << (id & 31u))) == 0u) { return logit; }
  for (var i = 0u; i < n_window(); i++) {
    if (window[i] == id) { return select(logit * args.repeat_penalty, logit / args.repeat_penalty, logit > 0.0); }
  }
  return logit;
}

fn logits_rows(layer: u32, tile: u32, lane: u32) {
  let row0 = tile * LOGITS_TILE;
  rows_logits(0u, layer, row0, 0u, min(LOGITS_TILE, N_VOCAB - row0), lane);
}

fn stage_logits(tile: u32, lane: u32) {
  let row0 = tile * LOGITS_TILE;
  let n = min(LOGITS_TILE, N_VOCAB - row0);
  multiply_logits(N_LAYER, tile, lane);
  workgroupBarrier(); // rows written by their teams before the epilogue reads them
  for (var r = lane; r < n; r += WG) {
    let logit = finish_logits(row0 + r, rows[r]);
    put(M_LOGITS + row0 + r, word_of_f32(logit));
    ys[r] = penalised(row0 + r, logit);
  }
  workgroupBarrier(); // ys written before lane 0 looks for the best
  best_of_ys(row0, n, lane);
  if (lane == 0u) {
    put(M_TOP + 2u * tile, word_of_f32(best_value[0]));
    put(M_TOP + 2u * tile + 1u, best_id[0]);
  }
  workgroupBarrier(); // rows, ys and best read before the next tile writes them
}

var<workgroup> best_value: array<f32, WG / MAX_TEAM>;
var<workgroup> best_id: array<u32, WG / MAX_TEAM>;

fn best_of_ys(row0: u32, n: u32, lane: u32) {
  var value = NEVER;
  var id = row0;
  for (var r = lane; r < n; r += WG) {
    if (ys[r] > value) {
      value = ys[r];
      id = row0 + r;
    }
  }
  best_reduce(value, id, lane);
}

// The largest value over all lanes, the smallest id among equals, into element 0. Ends in a barrier.
fn best_reduce(value: f32, id: u32, lane: u32) {
  let largest = team_max(value, MAX_TEAM, lane);
  let least = team_max(select(NEVER, -f32(id), value == largest), MAX_TEAM, lane); // ids are exact in f32
  if (lane % MAX_TEAM == 0u) {
    best_value[lane / MAX_TEAM] = largest;
    best_id[lane / MAX_TEAM] = u32(-least);
  }
  workgroupBarrier(); // every team's best written before they are compared
  if (lane == 0u) {
    var best = best_value[0];
    var least_id = best_id[0];
    // From 1 on, in words that keep a driver from writing the loop out: lavapipe took 20 s for that in sample.
    for (var i = lane + 1u; i < WG / MAX_TEAM; i++) {
      let other = best_value[i];
      let other_id = best_id[i];
      if (other > best || (other == best && other_id < least_id)) {
        best = other;
        least_id = other_id;
      }
    }
    best_value[0] = best;
    best_id[0] = least_id;
  }
  workgroupBarrier(); // the best written before others read it
}
