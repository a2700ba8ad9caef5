/* test_gpu_prefill.c: the batched path for prompts against the CPU reference: the K and V rows that
 * it leaves, at lengths around its tiles of 32 and batches of 64 tokens, from any position on, for
 * every weight type; rows that are not its own stay; the decode step behind it goes on from them.
 * What a session keeps between contexts is test_gpu_session.c's. */
#include "gpu.h"

#include "ref.h"

#define N_CTX 160u
#define F32_NMSE 1e-10 /* rows and logits; 6e-13 was seen */
#define F16_NMSE 1e-6  /* with f16 KV; 2e-7 was seen */
#define INT8_NMSE 1e-4 /* with int8 KV: a number near a half of its step may round the other way */

typedef struct truth { /* the reference on one text */
    float *k, *v;      /* [n_layer][N_CTX][rows_k], the GPU's order of rows */
    float *logits;     /* [N_CTX][n_vocab] */
} truth;

static truth make_truth(const solo_model *m, solo_kv_type kv_type, const uint32_t *ids) {
    const solo_hparams *hp = &m->hp;
    uint32_t rows_q = hp->n_head * hp->head_dim, rows_k = hp->n_head_kv * hp->head_dim;
    size_t n = (size_t)hp->n_layer * N_CTX * rows_k;
    truth t = {solo_zalloc(n, 4), solo_zalloc(n, 4), solo_zalloc((size_t)N_CTX * hp->n_vocab, 4)};
    solo_ref *ref;
    GPU_OK(solo_ref_open(&ref, m, N_CTX, &gpu_err));
    solo_ref_set_kv(ref, kv_type);
    for (uint32_t pos = 0; pos < N_CTX; pos++) {
        solo_ref_step(ref, ids[pos], pos, t.logits + (size_t)pos * hp->n_vocab);
        for (uint32_t l = 0; l < hp->n_layer; l++) {
            const float *k =
                solo_ref_get_trace(ref).qkv + (size_t)l * (rows_q + 2 * rows_k) + rows_q;
            size_t at = ((size_t)l * N_CTX + pos) * rows_k;
            for (uint32_t r = 0; r < rows_k; r++) t.k[at + r] = k[gpu_row_in_file(hp, r)];
            memcpy(t.v + at, k + rows_k, rows_k * sizeof *k);
        }
    }
    solo_ref_close(ref);
    return t;
}

static void truth_free(truth *t) { free(t->k), free(t->v), free(t->logits); }

static double bound_of(const solo_plan *plan) {
    if (plan->desc.kv_type == SOLO_KV_INT8) return INT8_NMSE;
    return plan->desc.kv_type == SOLO_KV_F16 ? F16_NMSE : F32_NMSE;
}

/* Rows [from, to) of every layer and head are the reference's, all others hold the sentinel. */
static void expect_rows(const solo_plan *plan, solo_buffer cache, const char *what,
                        const float *wanted, uint32_t from, uint32_t to) {
    const solo_geometry *g = &plan->geometry;
    const solo_hparams *hp = g->desc.hp;
    uint32_t *words = gpu_read_all(cache);
    float row[512];
    for (uint32_t i = 0; i < hp->n_layer * hp->n_head_kv * N_CTX; i++) {
        uint32_t pos = i % N_CTX, head = i / N_CTX % hp->n_head_kv,
                 layer = i / N_CTX / hp->n_head_kv;
        const uint32_t *at = words + (size_t)i * g->kv_row;
        if (pos < from || pos >= to) {
            for (uint32_t w = 0; w < g->kv_row; w++) {
                if (at[w] != GPU_SENTINEL)
                    fail_msg("%s: row %u of head %u was written", what, pos, head);
            }
            continue;
        }
        for (uint32_t d = 0; d < hp->head_dim; d++) row[d] = gpu_kv_number(plan, at, d);
        double off =
            gpu_nmse(row, wanted + ((size_t)layer * N_CTX + pos) * g->rows_k + head * hp->head_dim,
                     hp->head_dim);
        if (!(off <= bound_of(plan)))
            fail_msg("%s: layer %u, position %u, head %u: off by %g", what, layer, pos, head, off);
    }
    free(words);
}

static void clear_rows(const solo_plan *plan) {
    gpu_fill(plan->kv_k, 0);
    gpu_fill(plan->kv_v, 0);
}

static void expect_logits(solo_session *s, const truth *t, uint32_t n_vocab, uint32_t n) {
    float *found = solo_zalloc(n_vocab, 4);
    GPU_OK(solo_session_logits(s, found, &gpu_err));
    double off = gpu_nmse(found, t->logits + (size_t)(n - 1) * n_vocab, n_vocab);
    if (getenv("SOLO_TEST_PRINT")) printf("%u ids: logits off by %.3g\n", n, off);
    if (!(off <= F32_NMSE)) fail_msg("after %u ids: logits off by %g", n, off);
    free(found);
}

/* Another text in the cache, so that nothing of the next is reused. */
static void forget(solo_session *s, uint32_t not_this) {
    uint32_t other = (not_this + 1) % 300;
    GPU_OK(solo_session_sync(s, &other, 1, &gpu_err));
}

static void lengths_around_tiles_and_batches(void **state) {
    (void)state;
    static const uint32_t lengths[] = {1, 2, 3, 32, 33, 34, 64, 65, 66, 130};
    tiny_desc d = gpu_tiny;
    d.n_ctx = N_CTX;
    gpu_bed bed = gpu_bed_open(&d, 0);
    uint32_t ids[N_CTX], n_vocab = bed.model->hp.n_vocab;
    gpu_ids(41, n_vocab, ids, N_CTX);
    truth t = make_truth(bed.model, SOLO_KV_F32, ids);
    solo_plan *plan = gpu_plan_open(
        &bed, (solo_plan_desc){.factoring = "stages", .activations = SOLO_ACTIVATIONS_F32});
    solo_session *s = gpu_session_open(plan, (solo_sampling){0}, 1);
    for (uint32_t i = 0; i < SOLO_COUNT(lengths); i++) {
        uint32_t n = lengths[i];
        forget(s, ids[0]);
        clear_rows(plan);
        GPU_OK(solo_session_sync(s, ids, n, &gpu_err)); /* the last id is left to a decode step */
        assert_int_equal(solo_session_get_info(s).n_reused, 0);
        expect_rows(plan, plan->kv_k, "K", t.k, 0, n - 1);
        expect_rows(plan, plan->kv_v, "V", t.v, 0, n - 1);
        expect_logits(s, &t, n_vocab, n);
        expect_rows(plan, plan->kv_k, "K after a step", t.k, 0, n);
    }
    /* from a position inside a tile: the rows before it are read, not written */
    forget(s, ids[0]);
    GPU_OK(solo_session_sync(s, ids, 38, &gpu_err));
    GPU_OK(solo_session_sync(s, ids, 141, &gpu_err));
    assert_int_equal(solo_session_get_info(s).n_reused, 37);
    expect_logits(s, &t, n_vocab, 141);
    /* to the last position there is */
    GPU_OK(solo_session_sync(s, ids, N_CTX, &gpu_err));
    expect_logits(s, &t, n_vocab, N_CTX);
    solo_session_close(s);
    solo_plan_close(plan);
    truth_free(&t);
    gpu_bed_close(&bed);
}

/* Prefill's products are f32 whatever the decode's activations are: its rows are exact. */
static void check_types(tiny_desc d, solo_kv_type kv_type, solo_rope_pairs pairs) {
    const uint32_t n = 39, from = 5;
    d.n_ctx = N_CTX;
    if (pairs == SOLO_ROPE_HALVES) d.rope_factors = false; /* the file has them for all pairs */
    gpu_bed bed = gpu_model_open(&d);
    bed.model->hp.rope_pairs = pairs;
    if (pairs == SOLO_ROPE_HALVES) bed.model->hp.rope_dim = bed.model->hp.head_dim / 2;
    gpu_weights_open(&bed, 0);
    uint32_t ids[N_CTX];
    gpu_ids(43, bed.model->hp.n_vocab, ids, N_CTX);
    truth t = make_truth(bed.model, kv_type, ids);
    solo_plan *plan =
        gpu_plan_open(&bed, (solo_plan_desc){.factoring = "stages", .kv_type = kv_type});
    clear_rows(plan);
    solo_plan_write_ids(plan, 0, ids, N_CTX);
    GPU_OK(solo_plan_prefill(plan, 0, from, &gpu_err));
    GPU_OK(solo_plan_prefill(plan, from, n - from, &gpu_err));
    expect_rows(plan, plan->kv_k, "K", t.k, 0, n);
    expect_rows(plan, plan->kv_v, "V", t.v, 0, n);
    solo_plan_close(plan);
    truth_free(&t);
    gpu_bed_close(&bed);
}

static void many_types(void **state) {
    (void)state;
    check_types(gpu_many_types, SOLO_KV_F32, SOLO_ROPE_NEIGHBOURS);
    const tiny_desc quads = {.n_ff = 97 * 32, .seed = 41, .type_down = SOLO_TYPE_Q4_0};
    check_types(quads, SOLO_KV_F32, SOLO_ROPE_NEIGHBOURS);
}

static void other_roles_halves_f16(void **state) {
    (void)state;
    check_types(gpu_other_roles, SOLO_KV_F16, SOLO_ROPE_HALVES);
}

static void k_quants(void **state) {
    (void)state;
    check_types(gpu_k_quants, SOLO_KV_F32, SOLO_ROPE_NEIGHBOURS);
}

static void mixed_layers(void **state) {
    (void)state;
    check_types(gpu_mixed, SOLO_KV_F16, SOLO_ROPE_NEIGHBOURS);
}

/* Batches of 5 and 34 with a window of 9: most tokens see only part of what is before them. */
static void phi3_in_a_window(void **state) {
    (void)state;
    tiny_desc d = {.phi3 = true, .n_layer = 3, .attn_window = 9, .seed = 28};
    check_types(d, SOLO_KV_F32, SOLO_ROPE_HALVES);
}

static void architectures(void **state) {
    (void)state;
    check_types(gpu_gpt2, SOLO_KV_F32, SOLO_ROPE_NEIGHBOURS);
    check_types(gpu_gemma2, SOLO_KV_F32, SOLO_ROPE_HALVES);
    check_types(gpu_gemma3, SOLO_KV_F32, SOLO_ROPE_HALVES);
    check_types(gpu_qwen2, SOLO_KV_F32, SOLO_ROPE_HALVES);
    check_types(gpu_qwen3, SOLO_KV_INT8, SOLO_ROPE_HALVES);
}

/* A refused context leaves the one that there is. */
static void contexts_out_of_range(void **state) {
    (void)state;
    gpu_bed bed = gpu_bed_open(&gpu_tiny, 0);
    uint32_t ids[97], id, again, n_vocab = bed.model->hp.n_vocab;
    gpu_ids(47, n_vocab, ids, 97);
    solo_plan *plan = gpu_plan_open(&bed, (solo_plan_desc){.factoring = "stages"});
    solo_session *s = gpu_session_open(plan, (solo_sampling){0}, 4);
    assert_false(solo_session_next(s, &id, &gpu_err));
    assert_int_equal(gpu_err.status, SOLO_ARGUMENT);
    assert_false(solo_session_sync(s, ids, 0, &gpu_err));
    assert_int_equal(gpu_err.status, SOLO_ARGUMENT);
    GPU_OK(solo_session_sync(s, ids, 40, &gpu_err));
    GPU_OK(solo_session_next(s, &id, &gpu_err));
    GPU_OK(solo_session_sync(s, ids, 40, &gpu_err));
    assert_false(solo_session_sync(s, ids, 97, &gpu_err));
    assert_int_equal(gpu_err.status, SOLO_CONTEXT_FULL);
    assert_string_equal(gpu_err.text, "context: wanted at most n_ctx = 96 ids, found 97");
    ids[50] = n_vocab;
    assert_false(solo_session_sync(s, ids, 60, &gpu_err));
    assert_int_equal(gpu_err.status, SOLO_ARGUMENT);
    assert_string_equal(gpu_err.text,
                        "id 50 of the context: wanted less than n_vocab = 333, found 333");
    GPU_OK(solo_session_next(s, &again, &gpu_err));
    assert_int_equal(again, id);
    assert_int_equal(solo_session_get_info(s).n_past, 41);
    solo_session_close(s);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lengths_around_tiles_and_batches),
        cmocka_unit_test(many_types),
        cmocka_unit_test(other_roles_halves_f16),
        cmocka_unit_test(k_quants),
        cmocka_unit_test(mixed_layers),
        cmocka_unit_test(phi3_in_a_window),
        cmocka_unit_test(architectures),
        cmocka_unit_test(contexts_out_of_range),
    };
    cmocka_set_test_filter(getenv("SOLO_TEST_FILTER")); /* NULL: all */
    return cmocka_run_group_tests(tests, gpu_open, gpu_close);
}
