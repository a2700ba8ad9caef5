/* record.c: see record.h. */
#include "record.h"

void record_free(record *r) {
    free(r->words), free(r->kv_k), free(r->kv_v);
    *r = (record){0};
}

solo_plan *plan_for_steps(const gpu_bed *bed, solo_plan_desc desc) {
    desc.no_prefill = true;
    return gpu_plan_open(bed, desc);
}

/* Sampling that passes through every part of stage_sample, replayable. */
static solo_args args_at(uint32_t pos) {
    return (solo_args){
        .pos = pos, .greedy = pos % 3 == 2, .inv_temperature = 1.25f, .top_k = 40, .top_p = 0.9f,
        .ln_min_p = -4, .repeat_penalty = 1.2f, .repeat_last_n = 16, .seed_low = 7, .seed_high = 9};
}

/* A tagged step leaves the other half of the messages, its counters and its ticket as "not
 * written" for the next. Nothing else would show it on an adapter that runs things in order: the
 * next dispatch's waits hide a stale word. */
static void expect_cleared(const solo_plan *plan) {
    const solo_geometry *g = &plan->geometry;
    uint32_t other = plan->n_tagged & 1, *msg = gpu_read_all(plan->msg),
             *state = gpu_read_all(plan->state);
    uint32_t n_half = g->n_block * g->msg_words;
    for (uint32_t i = 0; i < n_half; i++) {
        if (msg[other * n_half + i] != 0)
            fail_msg("message word %u of token %u is not cleared for the next step",
                     i % g->msg_words, i / g->msg_words);
    }
    const uint32_t *counters = state + SOLO_STATE_ARRIVE + other * g->n_counter * SOLO_ARRIVE_LINE;
    for (uint32_t i = 0; i < g->n_counter; i++) {
        if (counters[i * SOLO_ARRIVE_LINE] != 0) fail_msg("counter %u is not cleared", i);
    }
    free(msg), free(state);
}

/* A past: random numbers as K and V of positions before n. Both halves of a word of f16 are numbers below 2; a word of
 * int8 rows is a small float as well as four bytes, so that it does for scales, too. */
static void fill_past(solo_plan *plan, uint64_t seed, uint32_t n) {
    const solo_geometry *g = &plan->geometry;
    const uint32_t row = g->kv_vecs * 4, n_row = g->desc.hp->n_layer * g->desc.hp->n_head_kv;
    uint32_t *words = solo_zalloc((size_t)n * row, 4);
    for (uint32_t r = 0; r < 2 * n_row; r++) {
        for (uint32_t i = 0; i < n * row; i++) {
            const uint64_t at = (uint64_t)r * n * row + i;
            const uint32_t bits = (uint32_t)tiny_random_bits(seed, at);
            const float number = tiny_random(seed, at);
            if (i % row >= g->kv_row) continue; /* filled up with zeros */
            if (g->desc.kv_type == SOLO_KV_F32) memcpy(&words[i], &number, 4);
            else words[i] = g->desc.kv_type == SOLO_KV_F16 ? bits & 0xbfffbfffu : 0x3b000000u | bits >> 8;
        }
        solo_device_write(gpu_device, r < n_row ? plan->kv_k : plan->kv_v,
                          (uint64_t)(r % n_row) * g->desc.n_ctx * row * 4, words, (uint64_t)n * row * 4);
    }
    free(words);
}

/* The positions before the first step: prefilled, or, by a plan that cannot, random numbers. */
static void make_past(solo_plan *plan, const config *c) {
    if (plan->desc.no_prefill) {
        fill_past(plan, c->model.seed, c->n_prompt);
        return;
    }
    for (uint32_t pos = 0; pos < c->n_prompt; pos += SOLO_PF_BATCH) {
        uint32_t left = c->n_prompt - pos;
        GPU_OK(solo_plan_prefill(plan, pos, left < SOLO_PF_BATCH ? left : SOLO_PF_BATCH, &gpu_err));
    }
}

static record run(solo_plan *plan, const config *c) {
    const solo_geometry *g = &plan->geometry;
    uint32_t ids[128], n = c->n_prompt + 1;
    assert_true(n <= SOLO_COUNT(ids) && c->n_step <= MAX_STEP);
    gpu_ids(c->model.seed + 1, g->desc.hp->n_vocab, ids, n);
    solo_plan_write_ids(plan, 0, ids, n);
    make_past(plan, c);
    record r = {.n_words = g->msg_words, .n_kv = (uint32_t)(plan->kv_k.n_bytes / 4)};
    r.words = solo_zalloc((size_t)c->n_step * r.n_words, 4);
    r.kv_k = solo_zalloc(r.n_kv, 4);
    r.kv_v = solo_zalloc(r.n_kv, 4);
    uint32_t n_token = plan->main.factoring.n_token;
    assert_true(n_token <= g->n_block && (n_token == 1 || c->same_args));
    for (uint32_t i = 0; i < c->n_step; i += n_token) {
        uint32_t pos = c->n_prompt + i, n_here = c->n_step - i < n_token ? c->n_step - i : n_token,
                 abort_word;
        uint64_t id_off = ((uint64_t)g->state_ids + pos + 1) * 4;
        solo_args args = args_at(c->same_args ? c->n_prompt : pos);
        args.pos = pos;
        solo_plan_encode_step(plan, args);
        GPU_OK(solo_plan_read_messages(plan, 0, n_here * r.n_words, r.words + (size_t)i * r.n_words,
                                       &gpu_err));
        GPU_OK(solo_device_read(gpu_device, plan->state, id_off, &r.ids[i], n_here * 4, &gpu_err));
        GPU_OK(solo_device_read(gpu_device, plan->state, 0, &abort_word, 4, &gpu_err));
        assert_int_equal(abort_word, 0);
        if (plan->main.factoring.tagged) expect_cleared(plan);
    }
    GPU_OK(solo_device_read(gpu_device, plan->kv_k, 0, r.kv_k, plan->kv_k.n_bytes, &gpu_err));
    GPU_OK(solo_device_read(gpu_device, plan->kv_v, 0, r.kv_v, plan->kv_v.n_bytes, &gpu_err));
    return r;
}

/* ---- naming a word that differs ------------------------------------------------------------ */

static const char *region_in_x(const solo_geometry *g, uint32_t at, const char *const names[4]) {
    return at < g->x_y ? names[0] : at < g->x_scale ? names[1] : at < g->x_ss ? names[2] : names[3];
}

/* Which region of the messages word `at` is in. */
static const char *region_of(const solo_geometry *g, uint32_t at, uint32_t *layer) {
    static const char *const x[] = {"X", "X's y", "X's scales", "X's squares"};
    static const char *const x1[] = {"X1", "X1's y", "X1's scales", "X1's squares"};
    *layer = at / g->layer_words;
    uint32_t in = at % g->layer_words;
    if (at >= g->m_id) return "the id drawn";
    if (at >= g->m_top) return "a tile's best";
    if (at >= g->m_logits) return "logits";
    if (in < g->x_words) return region_in_x(g, in, x);
    if (in < g->l_k) return "q";
    if (in < g->l_v) return "k";
    if (in < g->l_att) return "v";
    if (in < g->l_att_ml) return "attention's output";
    if (in < g->l_a) return "attention's maxima and sums";
    if (in < g->l_x1) return in < g->l_a_scale ? "a" : "a's scales";
    if (in < g->l_h) return region_in_x(g, in - g->l_x1, x1);
    if (in >= g->l_p_out && g->p_words) return in < g->l_p_down ? "out's projection" : "down's projection";
    return in < g->l_h_scale ? "h" : "h's scales";
}

void expect_same(const config *c, const solo_geometry *g, const char *who, const record *a, const record *b) {
    assert_int_equal(a->n_words, b->n_words);
    assert_int_equal(a->n_kv, b->n_kv);
    for (uint32_t step = 0; step < c->n_step; step++) {
        for (uint32_t i = 0; i < a->n_words; i++) {
            uint32_t wanted = a->words[step * a->n_words + i],
                     found = b->words[step * a->n_words + i], layer;
            if (wanted == found) continue;
            const char *region = region_of(g, i, &layer);
            fail_msg("%s, %s: step %u, layer %u, %s (word %u): wanted %08x, found %08x", c->name,
                     who, step, layer, region, i, wanted, found);
        }
        if (a->ids[step] != b->ids[step])
            fail_msg("%s, %s: step %u: wanted id %u, found %u", c->name, who, step, a->ids[step],
                     b->ids[step]);
    }
    for (uint32_t i = 0; i < a->n_kv; i++) {
        if (a->kv_k[i] != b->kv_k[i] || a->kv_v[i] != b->kv_v[i])
            fail_msg("%s, %s: KV word %u: wanted k %08x v %08x, found k %08x v %08x", c->name, who,
                     i, a->kv_k[i], a->kv_v[i], b->kv_k[i], b->kv_v[i]);
    }
}

/* ---- programs ------------------------------------------------------------------------------- */

/* Everything that a run leaves, as it was when the plan opened. */
static void reset(solo_plan *plan) {
    solo_buffer buffers[] = {plan->msg, plan->state, plan->kv_k, plan->kv_v};
    for (uint32_t i = 0; i < SOLO_COUNT(buffers); i++)
        solo_device_clear(gpu_device, buffers[i], 0, buffers[i].n_bytes);
    GPU_OK(solo_device_submit(gpu_device, &gpu_err));
    plan->n_tagged = 0;
}

record run_program(solo_plan *plan, const solo_program *program, const config *c) {
    solo_program own = plan->main;
    reset(plan);
    plan->main = *program;
    record r = run(plan, c);
    plan->main = own;
    return r;
}

void check_program(solo_plan *plan, const solo_program *program, const config *c, const char *who,
                   const record *wanted) {
    record r = run_program(plan, program, c);
    expect_same(c, &plan->geometry, who, wanted, &r);
    record_free(&r);
}
