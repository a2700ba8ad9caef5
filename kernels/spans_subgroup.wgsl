// spans_subgroup: publishing what neighbours share a scale for, a span by MAX_TEAM lanes of a subgroup,
// straight from the finished rows, with no barrier in between. The plan picks this file only where a span
// is no longer than such a team. The same words as spans_serial: a maximum has no order, and squares are
// added in the same tree.
//
// Spans are done in rounds of one a team; teams without a span in a round stay out of it together. How many
// rounds is a constant: a loop without one costs a count-down of its own on some compilers.
const SPAN_TEAMS = WG / MAX_TEAM;
const X_ROUNDS = (max(max(OUT_TILE, DOWN_TILE), EMBED_TILE) + QD * SPAN_TEAMS - 1u) / (QD * SPAN_TEAMS);
const H_ROUNDS = (GATE_UP_TILE + QF * SPAN_TEAMS - 1u) / (QF * SPAN_TEAMS);
const A_ROUNDS = (COMBINE_TILE + QA * SPAN_TEAMS - 1u) / (QA * SPAN_TEAMS);

// Element row + e of a residual, first + e of its tile: itself, its square's part of the span's sum, and its product
// with the gain.
fn put_x(at: u32, row: u32, first: u32, e: u32, x: f32, gain: f32, lane: u32) {
  let inside = e < QD;
  let v = select(0.0, x, inside);
  let sum = team_sum(fma(v, v, 0.0), MAX_TEAM, lane); // not a product, which might be fused with a sum
  put_span_sum(at + X_Y, at + X_SCALE, at + X_SS, row, e, QD, v * gain, sum, true);
  put_mean(at, row / QD, e, v, lane);
  if (KEEPS_OWN && inside) { own[first + e] = v; }
  if (inside) { put(at + X_RES + row + e, word_of_f32(v)); } // last: nobody but its owner waits for it
}

fn publish_x(at: u32, gain: u32, row0: u32, n: u32, lane: u32) {
  let e = lane % MAX_TEAM;
  for (var round = 0u; round < X_ROUNDS; round++) {
    let first = (lane / MAX_TEAM + round * SPAN_TEAMS) * QD;
    if (first >= n) { continue; }
    let r = first + min(e, QD - 1u);
    put_x(at, row0 + first, first, e, rows[r], gain_at(gain, row0 + r), lane);
  }
}

// The same of the projection's rows plus the residual that keep_tail kept.
fn publish_sum(at: u32, bias: u32, gain: u32, row0: u32, n: u32, lane: u32) {
  let e = lane % MAX_TEAM;
  for (var round = 0u; round < X_ROUNDS; round++) {
    let first = (lane / MAX_TEAM + round * SPAN_TEAMS) * QD;
    if (first >= n) { continue; }
    let r = first + min(e, QD - 1u);
    let x = own[r] + biased(rows[r], bias + row0 + r);
    put_x(at, row0 + first, first, e, x, gains[r], lane);
  }
}

fn publish_h(layer: u32, row0: u32, n: u32, lane: u32) {
  let e = lane % MAX_TEAM;
  for (var round = 0u; round < H_ROUNDS; round++) {
    let first = (lane / MAX_TEAM + round * SPAN_TEAMS) * QF;
    if (first >= n) { continue; }
    let y = select(0.0, glu_of_rows(layer, row0, first + min(e, QF - 1u)), e < QF);
    put_span(at_layer(layer) + L_H, at_layer(layer) + L_H_SCALE, row0 + first, e, QF, y);
  }
}

fn publish_a(layer: u32, row0: u32, n: u32, lane: u32) {
  let e = lane % MAX_TEAM;
  for (var round = 0u; round < A_ROUNDS; round++) {
    let first = (lane / MAX_TEAM + round * SPAN_TEAMS) * QA;
    if (first >= n) { continue; }
    let y = select(0.0, combined(layer, row0 + first + min(e, QA - 1u)), e < QA);
    put_span(at_layer(layer) + L_A, at_layer(layer) + L_A_SCALE, row0 + first, e, QA, y);
  }
}

// The same of a slice of a head that one workgroup has (attend_whole.wgsl): n elements from row0 on.
fn publish_slice(layer: u32, row0: u32, n: u32, lane: u32) {
  let e = lane % MAX_TEAM;
  for (var round = 0u; round < (ATT_SLICE + QA * SPAN_TEAMS - 1u) / (QA * SPAN_TEAMS); round++) {
    let first = (lane / MAX_TEAM + round * SPAN_TEAMS) * QA;
    if (first >= n) { continue; }
    let y = select(0.0, slice_number(first + min(e, QA - 1u)), e < QA);
    put_span(at_layer(layer) + L_A, at_layer(layer) + L_A_SCALE, row0 + first, e, QA, y);
  }
}

// ys[0..n) are elements row0.. of the vector at `at`.
fn put_ys(at: u32, at_scale: u32, row0: u32, n: u32, q: u32, lane: u32) {
  let e = lane % MAX_TEAM;
  for (var first = lane / MAX_TEAM * q; first < n; first += WG / MAX_TEAM * q) {
    let y = select(0.0, ys[first + min(e, q - 1u)], e < q);
    put_span(at, at_scale, row0 + first, e, q, y);
  }
}
