/* session.c: one text being written: which ids the KV cache holds, decode steps submitted ahead of
 * the one read, and the way back when an in-dispatch hand-off gave up. The step loop allocates
 * nothing and does not know which factoring runs.
 *
 * ids[0..n_id) is the context. Decode step p consumes the id at position p and stores the next one
 * at p + 1, on the GPU; its id and the abort word are copied to a slot of their own and read late.
 * One submit does one step, or, where steps are short, a few, or a burst of them; their ids are
 * handed out one by one. Only what was handed out is context: the rest is dropped like steps in
 * flight are.
 */
#include "session.h"

#include "ref.h"
#include "sampler.h"

#include <math.h>

#define MAX_IN_FLIGHT 32u
/* A submit and its read cost the GPU tens of microseconds of its own (bench/results/h200-2026-11-24-text):
 * where a token takes less than SHORT_TOKEN seconds, several go in one, and nobody sees them late. */
#define SHORT_TOKEN 0.003
#define TOKENS_A_SUBMIT 4u
#define SLOT_WORDS (1 + SOLO_MAX_BURST)

struct solo_session {
    solo_plan *plan;
    solo_sampling sampling;
    uint32_t *ids; /* [n_ctx + 1] */
    uint32_t n_id;
    uint32_t n_kv; /* leading positions whose KV rows hold the context's ids */
    uint32_t n_reused;
    bool fell_back;
    uint64_t n_step, n_step_dispatch, n_step_submit;
    /* ids read but not yet handed out, the rest of a burst: for positions n_id, n_id + 1, ... */
    uint32_t drawn[SOLO_MAX_BURST];
    uint32_t n_drawn, drawn_at;
    /* in flight: steps for the positions behind those; slot: [1 + SOLO_MAX_BURST] abort word, ids */
    solo_late_read slot[MAX_IN_FLIGHT];
    uint32_t slot_n_token[MAX_IN_FLIGHT];
    uint32_t n_ahead, n_token_submit, first, n_flight, n_token_flight;
    double read_at, token_seconds; /* when a submit was last read; a token's share of the time since */
    /* the CPU device */
    solo_ref *ref;
    float *logits;
};

/* What the sampler refuses, and what the kernel's window of ids does not hold. */
static bool check_sampling(const solo_plan *plan, const solo_sampling *s, solo_error *err) {
    if (!solo_sampling_check(s, err)) return false;
    if (solo_device_is_reference(plan->device) || s->repeat_last_n <= SOLO_MAX_WINDOW) return true;
    return solo_fail(err, SOLO_ARGUMENT, "repeat_last_n: wanted at most %u, found %u",
                     SOLO_MAX_WINDOW, s->repeat_last_n);
}

/* ---- open and close ----------------------------------------------------------------------- */

static bool open_slots(solo_session *s, solo_error *err) {
    for (uint32_t i = 0; i < s->n_ahead; i++) {
        if (!solo_device_buffer_open(s->plan->device, SOLO_BUFFER_READBACK, SLOT_WORDS * 4, "id",
                                     &s->slot[i].buffer, err))
            return false;
    }
    return true;
}

bool solo_session_open(solo_session **out, const solo_session_desc *desc, solo_error *err) {
    *out = NULL;
    if (!check_sampling(desc->plan, &desc->sampling, err)) return false;
    if (desc->plan->desc.no_prefill)
        return solo_fail(err, SOLO_ARGUMENT, "session: wanted a plan that reads prompts, found one with no_prefill");
    if (desc->n_in_flight > MAX_IN_FLIGHT)
        return solo_fail(err, SOLO_ARGUMENT, "n_in_flight: wanted at most %u, found %u",
                         MAX_IN_FLIGHT, desc->n_in_flight);
    if (desc->n_token_submit > SOLO_ARGS_RING)
        return solo_fail(err, SOLO_ARGUMENT, "n_token_submit: wanted at most %u, found %u", SOLO_ARGS_RING,
                         desc->n_token_submit);
    solo_session *s = solo_zalloc(1, sizeof *s);
    s->plan = desc->plan;
    s->sampling = desc->sampling;
    s->n_ahead = desc->n_in_flight ? desc->n_in_flight : 4;
    s->n_token_submit = desc->n_token_submit;
    s->ids = solo_zalloc((size_t)s->plan->desc.n_ctx + 1, sizeof *s->ids);
    const solo_model *m = s->plan->weights->model;
    bool ok;
    if (solo_device_is_reference(s->plan->device)) {
        s->logits = solo_alloc((size_t)m->hp.n_vocab * sizeof(float));
        ok = solo_ref_open(&s->ref, m, s->plan->desc.n_ctx, err);
        if (ok) solo_ref_set_kv(s->ref, s->plan->desc.kv_type);
    } else {
        ok = open_slots(s, err);
    }
    if (!ok) {
        solo_session_close(s);
        return false;
    }
    *out = s;
    return true;
}

void solo_session_close(solo_session *s) {
    if (!s) return;
    /* a read that was begun must end before its slot goes, on a lost device too */
    uint32_t words[SLOT_WORDS];
    for (; s->n_flight > 0; s->n_flight--, s->first = (s->first + 1) % s->n_ahead)
        solo_device_read_wait(s->plan->device, &s->slot[s->first], words, sizeof words, NULL);
    for (uint32_t i = 0; i < s->n_ahead; i++) solo_device_buffer_close(&s->slot[i].buffer);
    solo_ref_close(s->ref);
    free(s->logits);
    free(s->ids);
    free(s);
}

/* ---- decode steps ------------------------------------------------------------------------- */

static solo_args args_of(const solo_session *s, uint32_t pos) {
    const solo_sampling *p = &s->sampling;
    return (solo_args){
        .pos = pos,
        .greedy = p->temperature == 0,
        /* 1e-30: below it the quotient leaves f32, and only the largest logit is drawn anyway */
        .inv_temperature = p->temperature == 0 ? 1 : 1 / fmaxf(p->temperature, 1e-30f),
        .top_k = p->top_k,
        .top_p = p->top_p == 0 ? 1 : p->top_p,
        .ln_min_p = p->min_p == 0 ? -1e30f : logf(p->min_p),
        .repeat_penalty = p->repeat_penalty == 0 ? 1 : p->repeat_penalty,
        .repeat_last_n = p->repeat_last_n ? p->repeat_last_n : 64,
        .seed_low = (uint32_t)p->seed,
        .seed_high = (uint32_t)(p->seed >> 32),
    };
}

/* Tokens of a step: one, or a burst. */
static uint32_t n_token_of(const solo_session *s) {
    return solo_plan_program(s->plan)->factoring.n_token;
}

/* Tokens that the next submit does. */
static uint32_t n_token_submit(const solo_session *s) {
    uint32_t n = n_token_of(s);
    if (s->n_token_submit) return s->n_token_submit > n ? s->n_token_submit / n * n : n;
    bool is_short = s->n_ahead > 1 && s->token_seconds > 0 && s->token_seconds < SHORT_TOKEN;
    return is_short && n < TOKENS_A_SUBMIT ? TOKENS_A_SUBMIT / n * n : n;
}

/* Submits steps for n_token positions from pos on, with a late read of the ids drawn: those that the
 * context holds, since the last burst may run past its end. */
static bool submit_steps(solo_session *s, uint32_t pos, uint32_t n_token, solo_error *err) {
    solo_plan *plan = s->plan;
    solo_device *d = plan->device;
    uint32_t at = (s->first + s->n_flight) % s->n_ahead, left = plan->desc.n_ctx - pos;
    uint32_t n_kept = n_token < left ? n_token : left;
    uint64_t n_before = solo_device_n_dispatch(d), n_submit_before = plan->n_submit;
    for (uint32_t i = 0; i < n_kept; i += n_token_of(s)) {
        solo_plan_encode_step(plan, args_of(s, pos + i));
        s->n_step += n_token_of(s);
    }
    solo_device_copy(d, plan->state, 0, s->slot[at].buffer, 0, 4); /* STATE_ABORT */
    solo_device_copy(d, plan->state, ((uint64_t)plan->geometry.state_ids + pos + 1) * 4,
                     s->slot[at].buffer, 4, (uint64_t)n_kept * 4);
    if (!solo_device_submit(d, err)) return false;
    solo_device_read_begin(d, &s->slot[at]);
    s->slot_n_token[at] = n_kept;
    s->n_token_flight += n_kept;
    s->n_flight++;
    s->n_step_dispatch += solo_device_n_dispatch(d) - n_before;
    s->n_step_submit += plan->n_submit - n_submit_before + 1;
    return true;
}

/* Waits for the oldest submit; s->drawn becomes its ids, void if it gave up. */
static bool read_step(solo_session *s, bool *aborted, solo_error *err) {
    uint32_t words[SLOT_WORDS];
    solo_late_read *slot = &s->slot[s->first];
    uint32_t n = s->slot_n_token[s->first];
    s->n_drawn = s->drawn_at = 0; /* nothing, should the read fail */
    s->first = (s->first + 1) % s->n_ahead;
    s->n_flight--;
    s->n_token_flight -= n;
    if (!solo_device_read_wait(s->plan->device, slot, words, sizeof words, err)) return false;
    double now = solo_seconds();
    s->token_seconds = s->read_at > 0 ? (now - s->read_at) / n : 0;
    s->read_at = now;
    *aborted = words[0] != 0;
    s->n_drawn = n;
    memcpy(s->drawn, words + 1, s->n_drawn * sizeof *s->drawn);
    return true;
}

/* Reads and drops what is in flight; *aborted is set if any of it gave up. */
static bool drain(solo_session *s, bool *aborted, solo_error *err) {
    bool any = false, one;
    while (s->n_flight > 0) {
        if (!read_step(s, &one, err)) return false;
        any |= one;
    }
    s->n_drawn = s->drawn_at = 0;
    if (aborted) *aborted = any;
    return true;
}

/* A hand-off gave up: everything since is void. Clear up, step by dispatch boundaries from now on.
 */
static bool fall_back(solo_session *s, solo_error *err) {
    if (!drain(s, NULL, err)) return false;
    s->fell_back = true;
    if (s->plan->demoted)
        return solo_fail(err, SOLO_DEVICE_ERROR,
                         "a step by dispatch boundaries reported a hand-off timeout");
    return solo_plan_demote(s->plan, "a hand-off inside the dispatch timed out", err);
}

/* Before the context or the sampling changes: nothing in flight, no abort left unhandled. */
static bool settle(solo_session *s, solo_error *err) {
    bool aborted = false;
    if (!drain(s, &aborted, err)) return false;
    return !aborted || fall_back(s, err);
}

/* Submits until enough steps are ahead. Four bursts of four would be 16 tokens: no more tokens ahead
 * than there would be steps, but two submits, so that the GPU has one while the other is read. */
static bool submit_ahead(solo_session *s, solo_error *err) {
    for (;;) {
        uint32_t n_token = n_token_submit(s), most = (s->n_ahead + n_token - 1) / n_token;
        if (most == 1 && s->n_ahead > 1) most = 2;
        uint32_t pos = s->n_id - 1 + (s->n_drawn - s->drawn_at) + s->n_token_flight;
        if (s->n_flight >= most || pos >= s->plan->desc.n_ctx) return true;
        if (!submit_steps(s, pos, n_token, err)) return false;
    }
}

static bool next_on_gpu(solo_session *s, uint32_t *id, solo_error *err) {
    for (bool aborted; s->drawn_at == s->n_drawn;) {
        if (!submit_ahead(s, err) || !read_step(s, &aborted, err)) return false;
        if (aborted && !fall_back(s, err)) return false; /* and repeat the token */
    }
    *id = s->drawn[s->drawn_at++];
    return true;
}

static bool next_on_cpu(solo_session *s, uint32_t *id) {
    uint32_t pos = s->n_id - 1;
    solo_ref_step(s->ref, s->ids[pos], pos, s->logits);
    *id = solo_sampler_draw(&s->sampling, s->logits, s->plan->weights->model->hp.n_vocab, s->ids,
                            s->n_id, s->n_id);
    s->n_step++;
    return true;
}

bool solo_session_next(solo_session *s, uint32_t *id, solo_error *err) {
    uint32_t n_ctx = s->plan->desc.n_ctx;
    if (s->n_id == 0)
        return solo_fail(err, SOLO_ARGUMENT,
                         "session: wanted a context (solo_session_sync), found none");
    if (s->n_id > n_ctx)
        return solo_fail(err, SOLO_CONTEXT_FULL, "the context is full: n_ctx is %u", n_ctx);
    bool ok = s->ref ? next_on_cpu(s, id) : next_on_gpu(s, id, err);
    if (!ok) return false;
    s->n_kv = s->n_id;
    s->ids[s->n_id++] = *id;
    return true;
}

/* ---- context ------------------------------------------------------------------------------ */

static bool prefill(solo_session *s, uint32_t from, uint32_t to, solo_error *err) {
    if (s->ref) {
        for (uint32_t pos = from; pos < to; pos++) solo_ref_step(s->ref, s->ids[pos], pos, NULL);
        return true;
    }
    for (uint32_t pos = from; pos < to; pos += SOLO_PF_BATCH) {
        uint32_t n = to - pos < SOLO_PF_BATCH ? to - pos : SOLO_PF_BATCH;
        if (!solo_plan_prefill(s->plan, pos, n, err)) return false;
    }
    return solo_device_wait(s->plan->device, err);
}

bool solo_session_sync(solo_session *s, const uint32_t *ids, uint32_t n, solo_error *err) {
    uint32_t n_ctx = s->plan->desc.n_ctx, n_vocab = s->plan->weights->model->hp.n_vocab;
    if (n == 0) return solo_fail(err, SOLO_ARGUMENT, "context: wanted at least one id, found none");
    if (n > n_ctx)
        return solo_fail(err, SOLO_CONTEXT_FULL, "context: wanted at most n_ctx = %u ids, found %u",
                         n_ctx, n);
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] >= n_vocab)
            return solo_fail(err, SOLO_ARGUMENT,
                             "id %u of the context: wanted less than n_vocab = %u, found %u", i,
                             n_vocab, ids[i]);
    }
    if (!s->ref && !settle(s, err)) return false;
    uint32_t same = 0;
    while (same < n - 1 && same < s->n_kv && ids[same] == s->ids[same]) same++;
    memcpy(s->ids, ids, (size_t)n * sizeof *ids);
    s->n_id = n;
    s->n_kv = s->n_reused = same;
    if (!s->ref) solo_plan_write_ids(s->plan, 0, ids, n);
    if (!prefill(s, same, n - 1, err)) return false;
    s->n_kv = n - 1;
    return true;
}

bool solo_session_logits(solo_session *s, float *out, solo_error *err) {
    uint32_t n_vocab = s->plan->weights->model->hp.n_vocab;
    if (s->n_id == 0 || s->n_id > s->plan->desc.n_ctx)
        return solo_fail(err, SOLO_ARGUMENT, "logits: wanted a context of 1 to %u ids, found %u",
                         s->plan->desc.n_ctx, s->n_id);
    if (s->ref) {
        solo_ref_step(s->ref, s->ids[s->n_id - 1], s->n_id - 1, out);
        s->n_kv = s->n_id;
        return true;
    }
    if (!settle(s, err)) return false;
    for (;;) {
        bool aborted;
        if (!submit_steps(s, s->n_id - 1, n_token_of(s), err) || !read_step(s, &aborted, err)) return false;
        if (!aborted) break;
        if (!fall_back(s, err)) return false;
    }
    s->n_kv = s->n_id; /* the ids drawn are what solo_session_next hands out, if it comes next */
    return solo_plan_read_messages(s->plan, s->plan->geometry.m_logits, n_vocab,
                                   (uint32_t *)(void *)out, err);
}

bool solo_session_set_sampling(solo_session *s, const solo_sampling *sampling, solo_error *err) {
    if (!check_sampling(s->plan, sampling, err)) return false;
    if (!s->ref && !settle(s, err)) return false;
    s->sampling = *sampling;
    return true;
}

solo_session_info solo_session_get_info(const solo_session *s) {
    solo_session_info info = {
        .n_ctx = s->plan->desc.n_ctx,
        .n_past = s->n_id,
        .n_reused = s->n_reused,
        .fell_back = s->fell_back,
        .n_step = s->n_step,
        .n_step_dispatch = s->n_step_dispatch,
        .n_step_submit = s->n_step_submit,
    };
    info.factoring = s->ref ? "reference" : solo_plan_program(s->plan)->factoring.name;
    snprintf(info.note, sizeof info.note, "%s", s->plan->note);
    return info;
}

void solo_session_abort_for_test(solo_session *s) {
    static const uint32_t one = 1;
    solo_device_write(s->plan->device, s->plan->state, 0, &one, 4);
}
