// walk: stages that hand values to each other inside a dispatch of many workgroups (handoff_tagged.wgsl:
// safe by the specification; only liveness goes beyond it, and every wait is bounded). Two ways to
// share the tiles out:
//   static: workgroup r takes tiles r, r + N_WG, ... of each stage. All N_WG must be resident.
//   ticket: a workgroup draws the next task from a counter, tasks in topological order. A task only
//           waits for tasks drawn before it, so it ends for any N_WG on any scheduler that lets a
//           started workgroup run.
// A stage whose input an earlier dispatch of the same token put finds its counter full already.
//
// The stages that put X1 and X: norm_out and norm_down where a model has them.
const X1_STAGE = select(STAGE_OUT, STAGE_NORM_OUT, POST_NORM);
const X_STAGE = select(STAGE_DOWN, STAGE_NORM_DOWN, POST_NORM);
const TILES_X1 = select(TILES_OUT, TILES_NORM, POST_NORM);
const TILES_X = select(TILES_DOWN, TILES_NORM, POST_NORM);

// Where words are checked, some stages wait for no counter: attend and combine, whose words come from few workgroups,
// and qkv, whose words are there by then: at the end of a layer's round a compiler copies the queue's registers, which
// waits for the weights. Where words are not there yet, all lanes looking for them cost more than a counter does (for
// qkv behind no such wait 12 % of a token, for out 1 to 2 %: bench/results/h200-2026-11-28-order).
fn await_words(layer: u32, stage: u32, n_tile: u32, lane: u32) {
  if (CHECKED) { workgroupBarrier(); } // the stage before is done with workgroup memory
  else { await_stage(layer, stage, n_tile, lane); }
}

fn run_embed(t: u32, lane: u32) {
  stage_embed(t, lane);
  arrive_late(0u, STAGE_EMBED, t, lane);
}

// fresh: this workgroup has not yet taken this stage's input. Weights are requested before the wait: by
// prime_*, or, with CROSS, by the stages before.
fn run_qkv(l: u32, t: u32, fresh: bool, lane: u32) {
  if (!CROSS) { prime_qkv(l, t, lane); }
  if (fresh) {
    if (l == 0u) { await_words(0u, STAGE_EMBED, TILES_EMBED, lane); }
    else { await_words(l - 1u, X_STAGE, TILES_X, lane); }
    qkv_turns(l, t, lane);
    qkv_take(l, lane);
  } else {
    workgroupBarrier(); // the tile before is done with its rows
    qkv_turns(l, t, lane);
  }
  stage_qkv(l, t, lane);
  arrive_late(l, STAGE_QKV, t, lane);
}

fn run_attend(l: u32, t: u32, fresh: bool, lane: u32) {
  attend_early(l, t, lane);
  if (CHECKED || fresh) { await_words(l, STAGE_QKV, TILES_QKV, lane); }
  stage_attend(l, t, lane);
  arrive_late(l, STAGE_ATTEND, t, lane);
}

fn run_combine(l: u32, t: u32, lane: u32) {
  // In turn: parts may be of this workgroup's other subgroups, which do not run until this one stands at a barrier.
  if (SUBGROUPS_IN_TURN || !CHECKED) { await_words(l, STAGE_ATTEND, TILES_ATTEND, lane); }
  stage_combine(l, t, lane);
  arrive(l, STAGE_COMBINE, t, lane);
}

fn run_out(l: u32, t: u32, fresh: bool, lane: u32) {
  if (!CROSS) { prime_out(l, t, lane); }
  if (fresh) {
    await_stage(l, STAGE_COMBINE, TILES_COMBINE, lane);
    ask_own_gains(gain_ffn(l), t, lane);
    out_take(l, lane);
    keep_own_gains(gain_ffn(l), t, lane);
  } else { workgroupBarrier(); } // as above
  stage_out(l, t, lane);
  arrive_late(l, STAGE_OUT, t, lane);
}

fn run_norm_out(l: u32, t: u32, fresh: bool, lane: u32) {
  if (fresh) {
    await_stage(l, STAGE_OUT, TILES_OUT, lane);
    norm_out_take(l, lane);
  } else { workgroupBarrier(); } // as above
  stage_norm_out(l, t, lane);
  arrive(l, STAGE_NORM_OUT, t, lane);
}

fn run_gate_up(l: u32, t: u32, fresh: bool, lane: u32) {
  if (!CROSS) { prime_gate_up(l, t, lane); }
  if (fresh) {
    await_stage(l, X1_STAGE, TILES_X1, lane);
    gate_up_take(l, lane);
  } else { workgroupBarrier(); } // as above
  stage_gate_up(l, t, lane);
  arrive_late(l, STAGE_GATE_UP, t, lane);
}

fn run_down(l: u32, t: u32, fresh: bool, lane: u32) {
  if (!CROSS) { prime_down(l, t, lane); }
  if (fresh) {
    await_stage(l, STAGE_GATE_UP, TILES_GATE_UP, lane);
    ask_own_gains(gain_attn(l + 1u), t, lane);
    down_take(l, lane);
    keep_own_gains(gain_attn(l + 1u), t, lane);
  } else { workgroupBarrier(); } // as above
  stage_down(l, t, lane);
  arrive_late(l, STAGE_DOWN, t, lane);
}

fn run_norm_down(l: u32, t: u32, fresh: bool, lane: u32) {
  if (fresh) {
    await_stage(l, STAGE_DOWN, TILES_DOWN, lane);
    norm_down_take(l, lane);
  } else { workgroupBarrier(); } // as above
  stage_norm_down(l, t, lane);
  arrive(l, STAGE_NORM_DOWN, t, lane);
}

fn run_logits(t: u32, fresh: bool, lane: u32) {
  prime_logits(N_LAYER, t, lane);
  if (fresh) {
    await_stage(N_LAYER - 1u, X_STAGE, TILES_X, lane);
    logits_take(lane);
  }
  stage_logits(t, lane);
  arrive(0u, STAGE_LOGITS, t, lane);
}

fn run_sample(lane: u32) {
  await_stage(0u, STAGE_LOGITS, TILES_LOGITS, lane);
  stage_sample(lane);
  arrive(0u, STAGE_SAMPLE, 0u, lane);
}

// ---- static

fn walk_embed(r: u32, lane: u32) {
  for (var t = r; t < TILES_EMBED; t += N_WG) { run_embed(t, lane); }
}

// Before the first layer that a dispatch walks.
fn walk_begin(l: u32, r: u32, lane: u32) {
  if (CROSS) { prime_qkv(l, r, lane); }
}

// One layer. (ONCE: no workgroup has more than one tile of any stage of a layer.)
fn walk_layer(l: u32, r: u32, lane: u32) {
  if (ONCE) { walk_layer_once(l, r, lane); }
  else { walk_layer_in_turns(l, r, lane); }
}

fn walk_layer_in_turns(l: u32, r: u32, lane: u32) {
  for (var t = r; t < TILES_QKV; t += N_WG) { run_qkv(l, t, t == r, lane); }
  for (var t = r; t < TILES_ATTEND; t += N_WG) { run_attend(l, t, t == r, lane); }
  for (var t = r; t < TILES_COMBINE; t += N_WG) { run_combine(l, t, lane); }
  for (var t = r; t < TILES_OUT; t += N_WG) { run_out(l, t, t == r, lane); }
  for (var t = r; t < TILES_NORM; t += N_WG) { run_norm_out(l, t, t == r, lane); }
  for (var t = r; t < TILES_GATE_UP; t += N_WG) { run_gate_up(l, t, t == r, lane); }
  for (var t = r; t < TILES_DOWN; t += N_WG) { run_down(l, t, t == r, lane); }
  for (var t = r; t < TILES_NORM; t += N_WG) { run_norm_down(l, t, t == r, lane); }
}

// The same with one tile a stage at most. Not in loops: there a compiler has to keep a stage's registers for
// a next round that never comes (12 % of a token: bench/results/h200-2026-11-24-text).
fn walk_layer_once(l: u32, r: u32, lane: u32) {
  if (has(TILES_QKV, r)) { run_qkv(l, r, true, lane); } else { ahead_qkv(l, r, lane); }
  if (has(TILES_ATTEND, r)) { run_attend(l, r, true, lane); }
  if (has(TILES_COMBINE, r)) { run_combine(l, r, lane); }
  if (!ATTEND_REFILLS || !has(TILES_ATTEND, r)) { refill_out(l, r, lane); }
  if (has(TILES_OUT, r)) { run_out(l, r, true, lane); } else { ahead_out(l, r, lane); }
  if (has(TILES_NORM, r)) { run_norm_out(l, r, true, lane); }
  if (has(TILES_GATE_UP, r)) { run_gate_up(l, r, true, lane); } else { ahead_gate_up(l, r, lane); }
  if (has(TILES_DOWN, r)) { run_down(l, r, true, lane); } else { ahead_down(l, r, lane); }
  if (has(TILES_NORM, r)) { run_norm_down(l, r, true, lane); }
}

// Whether workgroup r has a tile; known to a compiler where all have.
fn has(n_tile: u32, r: u32) -> bool { return n_tile == N_WG || r < n_tile; }

fn walk_logits(r: u32, lane: u32) {
  for (var t = r; t < TILES_LOGITS; t += N_WG) { run_logits(t, t == r, lane); }
}

// ---- ticket: a token's tasks are numbered through

const TASKS_LAYER = TILES_QKV + TILES_ATTEND + TILES_COMBINE + TILES_OUT + TILES_GATE_UP + TILES_DOWN +
                    2u * TILES_NORM;
const TASK_LOGITS = TILES_EMBED + N_LAYER * TASKS_LAYER;
const N_TASK = TASK_LOGITS + TILES_LOGITS + 1u;
const NOTHING = 0xffffffffu; // no stage's input was taken yet

fn first_task(layer: u32) -> u32 { return TILES_EMBED + layer * TASKS_LAYER; }

// Runs task `task`; the last stage whose input this workgroup took is in `have`.
fn run_task(task: u32, have: u32, lane: u32) -> u32 {
  if (task < TILES_EMBED) {
    run_embed(task, lane);
    return have;
  }
  if (task >= TASK_LOGITS) {
    let key = N_LAYER * N_STAGE + STAGE_LOGITS;
    if (task < TASK_LOGITS + TILES_LOGITS) { run_logits(task - TASK_LOGITS, have != key, lane); }
    else { run_sample(lane); }
    return key;
  }
  let l = (task - TILES_EMBED) / TASKS_LAYER;
  var t = (task - TILES_EMBED) % TASKS_LAYER;
  let key = l * N_STAGE;
  if (t < TILES_QKV) {
    run_qkv(l, t, have != key + STAGE_QKV, lane);
    return key + STAGE_QKV;
  }
  t -= TILES_QKV;
  if (t < TILES_ATTEND) {
    run_attend(l, t, have != key + STAGE_ATTEND, lane);
    return key + STAGE_ATTEND;
  }
  t -= TILES_ATTEND;
  if (t < TILES_COMBINE) {
    run_combine(l, t, lane);
    return key + STAGE_COMBINE;
  }
  t -= TILES_COMBINE;
  if (t < TILES_OUT) {
    run_out(l, t, have != key + STAGE_OUT, lane);
    return key + STAGE_OUT;
  }
  t -= TILES_OUT;
  if (t < TILES_NORM) {
    run_norm_out(l, t, have != key + STAGE_NORM_OUT, lane);
    return key + STAGE_NORM_OUT;
  }
  t -= TILES_NORM;
  if (t < TILES_GATE_UP) {
    run_gate_up(l, t, have != key + STAGE_GATE_UP, lane);
    return key + STAGE_GATE_UP;
  }
  t -= TILES_GATE_UP;
  if (t < TILES_DOWN) {
    run_down(l, t, have != key + STAGE_DOWN, lane);
    return key + STAGE_DOWN;
  }
  run_norm_down(l, t - TILES_DOWN, have != key + STAGE_NORM_DOWN, lane);
  return key + STAGE_NORM_DOWN;
}

// Tasks first .. end of a token, which one dispatch does; it begins at the layer.
fn walk_tasks(first: u32, end: u32, layer: u32, lane: u32) {
  var have = NOTHING;
  for (var n = 0u; n < N_TASK + 1u; n++) {
    let task = first + draw_ticket(layer, lane);
    if (task >= end) { break; }
    have = run_task(task, have, lane);
  }
}
