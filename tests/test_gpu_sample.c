/* test_gpu_sample.c: what an adapter draws against sampler.c, the rule's reference: on a model's
 * own logits through a session, and on made-up logits (ties, spikes, huge and tiny numbers) by the
 * sample stage alone. The reference sums and compares in double, the kernel in f32 and in counts:
 * where the two differ by a hair a draw may differ too. Such draws are counted and bounded, not
 * ignored. That all factorings draw alike is test_gpu_factoring.c's. */
#include "gpu.h"

#include "sampler.h"

static gpu_bed    bed;
static solo_plan *plan;
static uint32_t   n_vocab;

static int open_all(void **state) {
    if (gpu_open(state)) return 1;
    bed = gpu_bed_open(&gpu_tiny, 0);
    plan = gpu_plan_open(&bed, (solo_plan_desc){.factoring = "stages"});
    n_vocab = bed.model->hp.n_vocab;
    return 0;
}

static int close_all(void **state) {
    solo_plan_close(plan);
    gpu_bed_close(&bed);
    return gpu_close(state);
}

/* Draws that agree; the others are allowed to be one in a hundred. */
typedef struct tally {
    uint32_t n, n_off, n_not_largest;
} tally;

static void count(tally *t, const char *what, const solo_sampling *s, uint32_t wanted,
                  uint32_t found, uint32_t largest) {
    t->n++;
    t->n_not_largest += wanted != largest;
    if (wanted == found) return;
    t->n_off++;
    printf("%s: temperature %g, top_k %u, top_p %g, min_p %g, penalty %g, seed %llu: wanted %u, "
           "found %u\n",
           what, (double)s->temperature, s->top_k, (double)s->top_p, (double)s->min_p,
           (double)s->repeat_penalty, (unsigned long long)s->seed, wanted, found);
}

static void expect_agreement(const tally *t, uint32_t n_least) {
    printf("%u draws, %u of them not the largest logit, %u off\n", t->n, t->n_not_largest,
           t->n_off);
    assert_true(t->n >= n_least);
    assert_true(t->n_off * 100 <= t->n);
    assert_true(t->n_not_largest * 4 >= t->n); /* else greedy would pass too */
}

/* ---- through a session ---------------------------------------------------------------------- */

static const solo_sampling samplings[] = {
    {.temperature = 0},
    {.temperature = 0, .repeat_penalty = 1.7f},
    {.temperature = 0, .repeat_penalty = 0.4f, .repeat_last_n = 5},
    {.temperature = 1},
    {.temperature = 0.4f},
    {.temperature = 3},
    {.temperature = 1, .top_k = 1},
    {.temperature = 1, .top_k = 20},
    {.temperature = 1, .top_k = 332},
    {.temperature = 1, .top_p = 0.5f},
    {.temperature = 0.7f, .top_p = 0.95f},
    {.temperature = 1, .min_p = 0.2f},
    {.temperature = 1, .min_p = 1},
    {.temperature = 1, .repeat_penalty = 1.3f},
    {.temperature = 1.2f, .repeat_penalty = 0.6f, .repeat_last_n = 256},
    {.temperature = 0.8f,
     .top_k = 40,
     .top_p = 0.9f,
     .min_p = 0.05f,
     .repeat_penalty = 1.2f,
     .repeat_last_n = 8},
    {.temperature = 2, .top_k = 200, .top_p = 0.8f, .min_p = 0.01f, .repeat_penalty = 1.5f},
};

/* Ids that repeat, so that the penalty meets some of them several times. */
static void repeating_ids(uint64_t seed, uint32_t *ids, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) ids[i] = (uint32_t)(tiny_random_bits(seed, i) % 24 * 13);
}

static void draws_equal_the_rule(void **state) {
    (void)state;
    static const uint32_t lengths[] = {1, 7, 40, 90};
    solo_session *s = gpu_session_open(plan, (solo_sampling){0}, 1);
    float *logits = solo_zalloc(n_vocab, sizeof *logits);
    tally t = {0};
    for (uint32_t l = 0; l < SOLO_COUNT(lengths); l++) {
        uint32_t ids[96], n = lengths[l];
        repeating_ids(l, ids, n);
        GPU_OK(solo_session_sync(s, ids, n, &gpu_err));
        GPU_OK(solo_session_logits(s, logits, &gpu_err));
        uint32_t largest = solo_sampler_draw(&samplings[0], logits, n_vocab, ids, n, n);
        for (uint32_t i = 0; i < SOLO_COUNT(samplings) * 5; i++) {
            solo_sampling p = samplings[i / 5];
            p.seed = tiny_random_bits(99, i * SOLO_COUNT(lengths) + l);
            uint32_t found;
            GPU_OK(solo_session_set_sampling(s, &p, &gpu_err));
            GPU_OK(solo_session_sync(s, ids, n, &gpu_err));
            GPU_OK(solo_session_next(s, &found, &gpu_err));
            count(&t, "session", &p, solo_sampler_draw(&p, logits, n_vocab, ids, n, n), found,
                  largest);
        }
    }
    expect_agreement(&t, 300);
    free(logits);
    solo_session_close(s);
}

static void generate(solo_session *s, uint64_t seed, uint32_t *out, uint32_t n) {
    uint32_t start[3] = {1, 2, 3};
    solo_sampling p = {.temperature = 1.5f, .top_p = 0.95f, .seed = seed};
    GPU_OK(solo_session_set_sampling(s, &p, &gpu_err));
    GPU_OK(solo_session_sync(s, start, 3, &gpu_err));
    for (uint32_t i = 0; i < n; i++) GPU_OK(solo_session_next(s, &out[i], &gpu_err));
}

static void seeds_replay(void **state) {
    (void)state;
    uint32_t a[20], b[20], c[20], d[20];
    solo_session *s = gpu_session_open(plan, (solo_sampling){0}, 4);
    generate(s, 5, a, 20);
    generate(s, 6, b, 20);
    generate(s, 5 + (1ull << 32), c, 20); /* the upper half counts too */
    generate(s, 5, d, 20);
    assert_memory_equal(a, d, sizeof a);
    assert_memory_not_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    assert_memory_not_equal(b, c, sizeof a);
    solo_session_close(s);
    s = gpu_session_open(plan, (solo_sampling){0}, 1); /* not a matter of steps in flight */
    generate(s, 5, d, 20);
    assert_memory_equal(a, d, sizeof a);
    solo_session_close(s);
}

/* ---- the stage alone, on made-up logits ----------------------------------------------------- */

static uint32_t draw_from(const float *logits, const solo_sampling *s, uint32_t pos) {
    const solo_geometry *g = &plan->geometry;
    const solo_role_geometry *r = &g->role[SOLO_ROLE_LOGITS];
    uint32_t top[2 * 64], id;
    assert_true(r->n_tile <= 64);
    for (uint32_t t = 0; t < r->n_tile; t++) { /* as stage_logits leaves them */
        uint32_t best = t * r->tile;
        for (uint32_t i = best; i < (t + 1) * r->tile && i < n_vocab; i++) {
            if (logits[i] > logits[best]) best = i;
        }
        memcpy(&top[2 * t], &logits[best], 4);
        top[2 * t + 1] = best;
    }
    solo_device_write(gpu_device, plan->msg, (uint64_t)g->m_logits * 4, logits,
                      (uint64_t)n_vocab * 4);
    solo_device_write(gpu_device, plan->msg, (uint64_t)g->m_top * 4, top, (uint64_t)r->n_tile * 8);
    solo_program whole = plan->main;
    plan->main.dispatch += whole.n_dispatch - 1;
    plan->main.n_dispatch = 1;
    solo_plan_encode_step(plan, (solo_args){
        .pos = pos - 1, .greedy = s->temperature == 0,
        .inv_temperature = s->temperature > 0 ? 1 / fmaxf(s->temperature, 1e-30f) : 1,
        .top_k = s->top_k, .top_p = s->top_p > 0 ? s->top_p : 1,
        .ln_min_p = s->min_p > 0 ? logf(s->min_p) : -1e30f, .repeat_penalty = 1, .repeat_last_n = 1,
        .seed_low = (uint32_t)s->seed, .seed_high = (uint32_t)(s->seed >> 32)});
    plan->main = whole;
    GPU_OK(solo_device_read(gpu_device, plan->state, ((uint64_t)g->state_ids + pos) * 4, &id, 4,
                            &gpu_err));
    return id;
}

typedef float made_up(uint32_t id);

static float all_equal(uint32_t id) { return (void)id, 2.5f; }
static float few_levels(uint32_t id) { return (float)(tiny_random_bits(1, id) % 5) - 2; }
static float below_zero(uint32_t id) { return -50 + 3 * tiny_random(2, id); }
static float wide(uint32_t id) { return 4 * tiny_random(3, id) + 4 * tiny_random(4, id); }
static float huge(uint32_t id) { return 1e30f * tiny_random(5, id); }
static float one_spike(uint32_t id) { return id == 200 ? 30 : tiny_random(6, id); }
static float hair_apart(uint32_t id) { return 1 + 1e-6f * tiny_random(7, id); }
static float signs_of_zero(uint32_t id) { return id % 3 ? -0.0f : 0.0f; }

static const struct {
    const char *name;
    made_up    *at;
} made[] = {{"all equal", all_equal},
            {"few levels", few_levels},
            {"below zero", below_zero},
            {"wide", wide},
            {"huge", huge},
            {"one spike", one_spike},
            {"a hair apart", hair_apart},
            {"signs of zero", signs_of_zero}};

static void made_up_logits(void **state) {
    (void)state;
    static const solo_sampling kinds[] = {{.temperature = 0},
                                          {.temperature = 1},
                                          {.temperature = 0.3f},
                                          {.temperature = 1, .top_k = 3},
                                          {.temperature = 1, .top_k = 100, .top_p = 0.7f},
                                          {.temperature = 1, .top_p = 0.01f},
                                          {.temperature = 1, .top_p = 0.9f},
                                          {.temperature = 1, .min_p = 0.5f},
                                          {.temperature = 5, .top_k = 50, .min_p = 0.9f}};
    float *logits = solo_zalloc(n_vocab, sizeof *logits);
    tally t = {0};
    for (uint32_t m = 0; m < SOLO_COUNT(made); m++) {
        for (uint32_t id = 0; id < n_vocab; id++) logits[id] = made[m].at(id);
        uint32_t largest = solo_sampler_draw(&kinds[0], logits, n_vocab, NULL, 0, 1);
        for (uint32_t i = 0; i < SOLO_COUNT(kinds) * 6; i++) {
            solo_sampling s = kinds[i / 6];
            s.seed = tiny_random_bits(m, i);
            uint32_t pos = 1 + i, wanted = solo_sampler_draw(&s, logits, n_vocab, NULL, 0, pos);
            count(&t, made[m].name, &s, wanted, draw_from(logits, &s, pos), largest);
        }
    }
    expect_agreement(&t, 400);
    free(logits);
}

static void lowest_temperatures_are_greedy(void **state) {
    (void)state;
    static const float temperatures[] = {1e-3f, 1e-10f, 1e-30f, 1e-38f, 1e-45f};
    solo_session *s = gpu_session_open(plan, (solo_sampling){0}, 1);
    uint32_t ids[9], wanted, found;
    gpu_ids(3, n_vocab, ids, 9);
    GPU_OK(solo_session_sync(s, ids, 9, &gpu_err));
    GPU_OK(solo_session_next(s, &wanted, &gpu_err));
    for (uint32_t i = 0; i < SOLO_COUNT(temperatures); i++) {
        solo_sampling p = {.temperature = temperatures[i], .top_p = i % 2 ? 0.9f : 0, .seed = i};
        GPU_OK(solo_session_set_sampling(s, &p, &gpu_err));
        GPU_OK(solo_session_sync(s, ids, 9, &gpu_err));
        GPU_OK(solo_session_next(s, &found, &gpu_err));
        assert_int_equal(found, wanted);
    }
    solo_session_close(s);
    float *logits = solo_zalloc(n_vocab, sizeof *logits);
    for (uint32_t m = 0; m < SOLO_COUNT(made); m++) {
        for (uint32_t id = 0; id < n_vocab; id++) logits[id] = made[m].at(id);
        uint32_t largest = solo_sampler_draw(&(solo_sampling){0}, logits, n_vocab, NULL, 0, 3);
        solo_sampling cold = {.temperature = 1e-38f, .seed = m};
        float drawn =
            logits[draw_from(logits, &cold, 3)]; /* one of the largest: equals stay a draw */
        assert_true(drawn >= logits[largest]);
    }
    free(logits);
}

static void windows_too_long_are_refused(void **state) {
    (void)state;
    solo_session *s;
    solo_session_desc desc = {.plan = plan,
                              .sampling = {.repeat_penalty = 1.1f, .repeat_last_n = 257}};
    assert_false(solo_session_open(&s, &desc, &gpu_err));
    assert_int_equal(gpu_err.status, SOLO_ARGUMENT);
    assert_string_equal(gpu_err.text, "repeat_last_n: wanted at most 256, found 257");
    desc.sampling.repeat_last_n = 256;
    GPU_OK(solo_session_open(&s, &desc, &gpu_err));
    desc.sampling.repeat_last_n = UINT32_MAX;
    assert_false(solo_session_set_sampling(s, &desc.sampling, &gpu_err));
    assert_int_equal(gpu_err.status, SOLO_ARGUMENT);
    desc.sampling = (solo_sampling){.temperature = -1};
    assert_false(solo_session_set_sampling(s, &desc.sampling, &gpu_err));
    assert_non_null(strstr(gpu_err.text, "temperature"));
    solo_session_close(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_equal_the_rule),
        cmocka_unit_test(seeds_replay),
        cmocka_unit_test(made_up_logits),
        cmocka_unit_test(lowest_temperatures_are_greedy),
        cmocka_unit_test(windows_too_long_are_refused),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
