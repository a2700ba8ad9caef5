/* test_gpu_session.c: a session's context on a tiny model against the CPU reference: what sync keeps
 * of the KV cache, rows by prefill and by decode beside each other, a text scored one decode step a
 * position, tokens submitted ahead of the read. By stages: a driver on the CPU takes a minute to
 * compile a whole token, and test_gpu_factoring.c holds the other factorings against this one. Bursts,
 * which a session hands out one by one, are held against stages here. */
#include "gpu.h"

#include "ref.h"

#define N_CTX 96u
#define N_VOCAB 333u
#define F32_NMSE 1e-9  /* prefill and decode add in other orders than the reference; 1e-13 was seen */
#define INT8_NMSE 2e-3 /* 8-bit activations and f16 KV; 2e-4 was seen */

static const tiny_desc tiny = {
    .n_layer = 3, .n_embd = 544, .n_head = 8, .n_head_kv = 4, .n_ff = 544, .n_ctx = N_CTX,
    .n_vocab = N_VOCAB, .seed = 11,
    .use_alt = true, .alt_v = SOLO_TYPE_Q8_0, .alt_down = SOLO_TYPE_Q4_0};

static uint32_t text[N_CTX]; /* [N_CTX] */

/* Compiling is most of what these tests take, so they share a plan for each kind of activations. */
static gpu_bed    bed;
static solo_plan *exact, *fast;

static int open_all(void **state) {
    if (gpu_open(state)) return 1;
    gpu_ids(77, N_VOCAB, text, N_CTX);
    bed = gpu_bed_open(&tiny, 0);
    exact = gpu_plan_open(&bed, (solo_plan_desc){.factoring = "stages", .activations = SOLO_ACTIVATIONS_F32});
    fast = gpu_plan_open(&bed, (solo_plan_desc){.factoring = "stages"});
    return 0;
}

static int close_all(void **state) {
    solo_plan_close(exact);
    solo_plan_close(fast);
    gpu_bed_close(&bed);
    return gpu_close(state);
}

/* The reference's logits after each id: [n][N_VOCAB]. */
static float *wanted_logits(const solo_model *model, const uint32_t *ids, uint32_t n) {
    solo_ref *ref;
    float *out = solo_alloc((size_t)n * N_VOCAB * sizeof *out);
    GPU_OK(solo_ref_open(&ref, model, n, &gpu_err));
    for (uint32_t pos = 0; pos < n; pos++)
        solo_ref_step(ref, ids[pos], pos, out + (size_t)pos * N_VOCAB);
    solo_ref_close(ref);
    return out;
}

static uint32_t best_of(const float *logits) {
    uint32_t best = 0;
    for (uint32_t id = 1; id < N_VOCAB; id++) {
        if (logits[id] > logits[best]) best = id;
    }
    return best;
}

/* Puts the session at ids[0..n) and compares the logits; how many positions it kept. */
static uint32_t check_at(solo_session *session, const solo_model *model, const uint32_t *ids,
                         uint32_t n) {
    float found[N_VOCAB], *wanted = wanted_logits(model, ids, n);
    GPU_OK(solo_session_sync(session, ids, n, &gpu_err));
    uint32_t n_reused = solo_session_get_info(session).n_reused;
    GPU_OK(solo_session_logits(session, found, &gpu_err));
    double off = gpu_nmse(found, wanted + (size_t)(n - 1) * N_VOCAB, N_VOCAB);
    free(wanted);
    if (!(off <= F32_NMSE))
        fail_msg("after %u ids, %u of them kept: logits are off by %g", n, n_reused, off);
    return n_reused;
}

static void sync_keeps_what_is_equal(void **state) {
    (void)state;
    uint32_t ids[N_CTX], id;
    float logits[N_VOCAB];
    const solo_geometry *g = &exact->geometry; /* the last tiles are short, or the run is blind */
    if (solo_device_info_of(gpu_device)->is_software) {
        assert_true(g->desc.hp->n_embd % g->role[SOLO_ROLE_DOWN].tile != 0);
        assert_true(g->desc.hp->n_ff % g->role[SOLO_ROLE_GATE_UP].tile != 0);
        assert_true(g->desc.hp->n_vocab % g->role[SOLO_ROLE_LOGITS].tile != 0);
    }
    solo_session *session = gpu_session_open(exact, (solo_sampling){0}, 4);
    memcpy(ids, text, sizeof ids);
    assert_int_equal(check_at(session, bed.model, ids, 70), 0); /* two batches of prefill */
    assert_int_equal(check_at(session, bed.model, ids, 70), 69);
    for (uint32_t i = 40; i < 60; i++) ids[i] = (ids[i] + 1) % N_VOCAB;
    assert_int_equal(check_at(session, bed.model, ids, 60), 40);
    GPU_OK(solo_session_sync(session, text, 30, &gpu_err)); /* the last id's row is not there */
    assert_int_equal(check_at(session, bed.model, text, 33), 29);
    assert_int_equal(check_at(session, bed.model, ids, 1), 0); /* the last id always goes through a step */
    assert_int_equal(check_at(session, bed.model, text, 41), 1);
    ids[40] = text[40];
    /* Tokens of its own: their rows come from decode, the last one's is not there yet. */
    GPU_OK(solo_session_sync(session, ids, 41, &gpu_err));
    for (uint32_t i = 41; i < 47; i++) {
        GPU_OK(solo_session_logits(session, logits, &gpu_err));
        GPU_OK(solo_session_next(session, &id, &gpu_err));
        assert_int_equal(id, best_of(logits));
        ids[i] = id;
    }
    assert_int_equal(check_at(session, bed.model, ids, 50), 46);
    /* Back to before them while steps are in flight. */
    GPU_OK(solo_session_next(session, &id, &gpu_err));
    assert_int_equal(check_at(session, bed.model, ids, 43), 42);
    assert_int_equal(check_at(session, bed.model, ids, N_CTX), 43);
    GPU_OK(solo_session_next(session, &id, &gpu_err));
    assert_false(solo_session_next(session, &id, &gpu_err));
    assert_int_equal(gpu_err.status, SOLO_CONTEXT_FULL);
    solo_session_close(session);
}

/* One id more each time: after the first no prefill, one step's dispatches for each position. */
static void score(solo_plan *plan, double most) {
    float found[N_VOCAB];
    uint32_t n = 80;
    double worst = 0;
    const solo_plan_info info = solo_plan_get_info(plan);
    float *wanted = wanted_logits(bed.model, text, n);
    solo_session *session = gpu_session_open(plan, (solo_sampling){0}, 0);
    for (uint32_t i = 1; i <= n; i++) {
        uint64_t n_before = solo_device_n_dispatch(gpu_device);
        GPU_OK(solo_session_sync(session, text, i, &gpu_err));
        assert_int_equal(solo_session_get_info(session).n_reused, i - 1);
        GPU_OK(solo_session_logits(session, found, &gpu_err));
        assert_int_equal(solo_device_n_dispatch(gpu_device) - n_before, info.n_dispatch);
        double off = gpu_nmse(found, wanted + (size_t)(i - 1) * N_VOCAB, N_VOCAB);
        if (!(off <= most)) fail_msg("%s: logits after %u ids are off by %g", info.activations, i, off);
        if (off > worst) worst = off;
    }
    print_message("%s: %u positions, logits off by at most %.2g (nmse)\n", info.activations, n, worst);
    solo_session_close(session);
    free(wanted);
}

static void a_text_is_scored_step_by_step_f32(void **state) {
    (void)state;
    score(exact, F32_NMSE);
}

static void a_text_is_scored_step_by_step_int8(void **state) {
    (void)state;
    score(fast, INT8_NMSE);
}

static void steps_ahead_change_nothing(void **state) {
    (void)state;
    static const uint32_t ahead[] = {1, 3, 8, 32};
    uint32_t wanted[40], id;
    const solo_sampling sampling = {.temperature = 1, .top_k = 50, .repeat_penalty = 1.1f, .seed = 5};
    for (uint32_t k = 0; k < SOLO_COUNT(ahead); k++) {
        solo_session *session = gpu_session_open(fast, sampling, ahead[k]);
        GPU_OK(solo_session_sync(session, text, 9, &gpu_err));
        for (uint32_t i = 0; i < SOLO_COUNT(wanted); i++) {
            GPU_OK(solo_session_next(session, &id, &gpu_err));
            if (k == 0) wanted[i] = id;
            if (id != wanted[i])
                fail_msg("%u ahead: token %u: wanted %u, found %u", ahead[k], i, wanted[i], id);
        }
        assert_false(solo_session_get_info(session).fell_back);
        solo_session_close(session);
    }
    uint32_t n_other = 0; /* a model that repeats one token would show nothing */
    for (uint32_t i = 1; i < SOLO_COUNT(wanted); i++) n_other += wanted[i] != wanted[i - 1];
    assert_true(n_other > 20);
}

/* ---- bursts ---------------------------------------------------------------------------------- */

static const solo_sampling lively = {.temperature = 1, .top_k = 50, .repeat_penalty = 1.2f, .seed = 5};

/* The same calls on a session by stages and on one by bursts of four. */
typedef struct pair {
    solo_session *stages, *burst;
    uint32_t ids[N_CTX + 1], n; /* the context of both */
} pair;

static void pair_sync(pair *p, uint32_t n, uint32_t n_reused) {
    GPU_OK(solo_session_sync(p->stages, p->ids, n, &gpu_err));
    GPU_OK(solo_session_sync(p->burst, p->ids, n, &gpu_err));
    assert_int_equal(solo_session_get_info(p->stages).n_reused, n_reused);
    assert_int_equal(solo_session_get_info(p->burst).n_reused, n_reused);
    p->n = n;
}

static void pair_next(pair *p, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t wanted, found;
        GPU_OK(solo_session_next(p->stages, &wanted, &gpu_err));
        GPU_OK(solo_session_next(p->burst, &found, &gpu_err));
        if (found != wanted) fail_msg("id at %u: wanted %u, found %u", p->n, wanted, found);
        p->ids[p->n++] = wanted;
        assert_int_equal(solo_session_get_info(p->burst).n_past, p->n);
    }
}

static void pair_logits(pair *p) {
    float wanted[N_VOCAB], found[N_VOCAB];
    GPU_OK(solo_session_logits(p->stages, wanted, &gpu_err));
    GPU_OK(solo_session_logits(p->burst, found, &gpu_err));
    assert_memory_equal(found, wanted, sizeof wanted);
}

static void expect_bursts(const solo_session *s) {
    solo_session_info info = solo_session_get_info(s);
    assert_string_equal(info.factoring, "burst:4");
    assert_string_equal(info.note, "");
    assert_true(info.n_step > 0);
    assert_int_equal(info.n_step, 4 * info.n_step_dispatch);
}

static void talk(solo_plan *stages, solo_plan *burst, uint32_t n_in_flight) {
    pair p = {.stages = gpu_session_open(stages, lively, n_in_flight),
              .burst = gpu_session_open(burst, lively, n_in_flight)};
    memcpy(p.ids, text, sizeof text);
    pair_sync(&p, 10, 0);
    pair_next(&p, 6); /* as if the sixth ended the answer, the second of its burst */
    memcpy(p.ids + p.n, text, 5 * sizeof *text);
    pair_sync(&p, p.n + 5, p.n - 1); /* the row of the last is not there yet, later ones do not count */
    pair_next(&p, 7);
    pair_logits(&p);
    pair_next(&p, 2);
    pair_sync(&p, 20, 19); /* back */
    pair_next(&p, 3);
    solo_sampling greedy = {.repeat_penalty = 1.3f};
    GPU_OK(solo_session_set_sampling(p.stages, &greedy, &gpu_err));
    GPU_OK(solo_session_set_sampling(p.burst, &greedy, &gpu_err));
    pair_next(&p, N_CTX + 1 - p.n); /* to the end, which is within a burst */
    uint32_t id;
    assert_false(solo_session_next(p.burst, &id, &gpu_err));
    assert_int_equal(gpu_err.status, SOLO_CONTEXT_FULL);
    pair_sync(&p, N_CTX - 1, N_CTX - 2);
    pair_next(&p, 2);
    expect_bursts(p.burst);
    solo_session_close(p.stages);
    solo_session_close(p.burst);
}

static void bursts_are_handed_out_one_by_one(void **state) {
    (void)state;
    if (gpu_compiles_slowly()) return;
    gpu_bed small = gpu_bed_open(&gpu_tiny, 0);
    assert_true(small.model->hp.n_vocab == N_VOCAB && small.model->hp.n_ctx_train == N_CTX);
    solo_plan *stages = gpu_plan_open(&small, (solo_plan_desc){.factoring = "stages"});
    solo_plan *burst = gpu_plan_open(&small, (solo_plan_desc){.factoring = "burst:4",
                                                            .assignment = SOLO_ASSIGNMENT_TICKET,
                                                            .n_workgroup = 3});
    assert_string_equal(solo_plan_get_info(burst).note, ""); /* the self-test passed */
    assert_int_equal(solo_plan_get_info(burst).n_dispatch, 1);
    assert_int_equal(solo_plan_get_info(burst).n_token, 4);
    talk(stages, burst, 4);
    talk(stages, burst, 1);
    talk(stages, burst, 16);
    solo_plan_close(stages);
    solo_plan_close(burst);
    gpu_bed_close(&small);
}

/* ---- weights ------------------------------------------------------------------------------ */

typedef struct host {
    const uint8_t *bytes;
    uint64_t n, end, total;
    uint64_t most; /* bytes of one read */
} host;

static bool host_read(void *user, uint64_t off, uint64_t n, void *into) {
    host *h = user;
    if (off < h->end || off + n > h->n) return false; /* a stream: forwards only */
    h->end = off + n;
    h->total += n;
    if (n > h->most) h->most = n;
    memcpy(into, h->bytes + off, (size_t)n);
    return true;
}

static void expect_same_bytes(const char *what, solo_buffer wanted, solo_buffer found) {
    assert_int_equal(wanted.n_bytes, found.n_bytes);
    uint32_t *a = gpu_read_all(wanted), *b = gpu_read_all(found);
    for (uint64_t i = 0; i < wanted.n_bytes / 4; i++) {
        if (a[i] != b[i]) fail_msg("%s, word %llu: wanted %08x, found %08x", what, (unsigned long long)i, a[i], b[i]);
    }
    free(a), free(b);
}

/* A model that the host reads, as a stream, gives the weights that the same bytes in memory give: all that a plan
 * sees of a model's tensors. */
static void stream_is_as_memory(const tiny_desc *desc) {
    gpu_bed wanted = gpu_bed_open(desc, 0), read = {0};
    uint8_t *bytes;
    host h = {0};
    assert_true(tiny_gguf(desc, &bytes, &h.n));
    h.bytes = bytes;
    GPU_OK(solo_model_open(&read.model, &(solo_model_desc){.read = host_read, .read_user = &h,
                                                           .n_bytes = h.n}, &gpu_err));
    gpu_weights_open(&read, 0);
    assert_true(h.total <= h.n && h.total + (1 << 16) > h.n && h.most <= 4 << 20);
    const solo_weights *w = wanted.weights, *r = read.weights;
    assert_int_equal(w->n_payload, r->n_payload);
    for (uint32_t i = 0; i < w->n_payload; i++) expect_same_bytes("payload", w->payload[i], r->payload[i]);
    expect_same_bytes("scales", w->scales, r->scales);
    const uint32_t n_place = wanted.model->hp.n_layer * SOLO_MATRIX_PER_LAYER + 3;
    assert_memory_equal(w->vector, r->vector, sizeof w->vector);
    assert_memory_equal(w->place, r->place, n_place * sizeof *w->place);
    gpu_bed_close(&read);
    gpu_bed_close(&wanted);
    free(bytes);
}

static void weights_from_a_stream(void **state) {
    (void)state;
    tiny_desc desc = {.n_layer = 2, .n_embd = 544, .n_head = 8, .n_head_kv = 4, .n_ff = 544,
                      .n_ctx = N_CTX, .n_vocab = N_VOCAB, .type_embd = SOLO_TYPE_F32, .seed = 12};
    desc.phi3 = true; /* fused tensors, rows that change places */
    stream_is_as_memory(&desc);
    desc.phi3 = false;
    desc.arch = "gpt2"; /* fused biases, and products that are folded into them */
    desc.n_head_kv = 8;
    desc.head_dim = 68;
    stream_is_as_memory(&desc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_from_a_stream),
        cmocka_unit_test(sync_keeps_what_is_equal),
        cmocka_unit_test(a_text_is_scored_step_by_step_f32),
        cmocka_unit_test(a_text_is_scored_step_by_step_int8),
        cmocka_unit_test(steps_ahead_change_nothing),
        cmocka_unit_test(bursts_are_handed_out_one_by_one),
    };
    cmocka_set_test_filter(getenv("SOLO_TEST_FILTER")); /* NULL: all */
    return cmocka_run_group_tests(tests, open_all, close_all);
}
