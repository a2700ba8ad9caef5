/* test_sampler.c: the sampling rule on made-up logits: each filter by itself and with the others,
 * ties, extremes, and the distribution that draws follow. Everything is seeded: a test that passes
 * once passes always. */
#include "sampler.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DRAWS 2000u

/* Which of n <= 32 ids come up in many draws, as a bit mask; each at its own position. */
static uint32_t seen(solo_sampling s, const float *logits, uint32_t n) {
    uint32_t mask = 0;
    for (uint32_t pos = 0; pos < DRAWS; pos++) {
        uint32_t id = solo_sampler_draw(&s, logits, n, NULL, 0, pos);
        assert_true(id < n);
        mask |= 1u << id;
    }
    return mask;
}

static uint32_t once(solo_sampling s, const float *logits, uint32_t n) {
    return solo_sampler_draw(&s, logits, n, NULL, 0, 5);
}

/* pcg4d as its paper prints it, all four words */
static void pcg4d(uint32_t v[4]) {
    for (int i = 0; i < 4; i++) v[i] = v[i] * 1664525u + 1013904223u;
    for (int round = 0; round < 2; round++) {
        v[0] += v[1] * v[3];
        v[1] += v[2] * v[0];
        v[2] += v[0] * v[1];
        v[3] += v[1] * v[2];
        if (round == 0) {
            for (int i = 0; i < 4; i++) v[i] ^= v[i] >> 16;
        }
    }
}

static void hash_is_pcg4d(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t v[4] = {i * 2654435761u, i * 40503u, i, i * i};
        uint32_t found = solo_sampler_hash((uint64_t)v[1] << 32 | v[0], v[2], v[3]);
        pcg4d(v);
        assert_int_equal(found, v[0]);
    }
}

static void greedy(void **state) {
    (void)state;
    float l[] = {1, 5, -2, 5, 4.999f};
    assert_int_equal(once((solo_sampling){0}, l, 5), 1); /* the smaller of equals */
    assert_int_equal(once((solo_sampling){.top_k = 3, .top_p = 0.1f, .min_p = 1}, l, 5), 1);
    float negative[] = {-9, -8, -7};
    assert_int_equal(once((solo_sampling){0}, negative, 3), 2);
    float one[] = {-INFINITY};
    assert_int_equal(once((solo_sampling){0}, one, 1), 0);
    float bad[] = {NAN, -INFINITY, -3e38f, NAN};
    assert_int_equal(once((solo_sampling){0}, bad, 4), 2);
    assert_int_equal(once((solo_sampling){.temperature = 1, .top_p = 0.9f}, bad, 4), 2);
}

static void top_k_keeps_ties(void **state) {
    (void)state;
    float l[] = {0, 1, 2, 1, 0, 0.5f};
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_k = 1}, l, 6), 0x04);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_k = 2}, l, 6), 0x0e);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_k = 3}, l, 6), 0x0e);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_k = 4}, l, 6), 0x2e);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_k = 5}, l, 6), 0x3f);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_k = 6}, l, 6), 0x3f);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_k = 1000}, l, 6), 0x3f);
    assert_int_equal(seen((solo_sampling){.temperature = 1}, l, 6), 0x3f);
}

static void top_p_shortest_prefix(void **state) {
    (void)state;
    /* probabilities 0.5, 0.25, 0.125, 0.0625, 0.0625 in a shuffled order */
    float p[] = {0.0625f, 0.5f, 0.125f, 0.0625f, 0.25f}, l[5];
    for (int i = 0; i < 5; i++) l[i] = logf(p[i]) + 3;
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_p = 1e-6f}, l, 5), 0x02);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_p = 0.49f}, l, 5), 0x02);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_p = 0.51f}, l, 5), 0x12);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_p = 0.74f}, l, 5), 0x12);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_p = 0.76f}, l, 5), 0x16);
    /* the fourth reaches 0.9375; its equal, the fifth, comes along */
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_p = 0.9f}, l, 5), 0x1f);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .top_p = 1}, l, 5), 0x1f);
    /* the temperature comes before: at 0.5 the probabilities are squared, the first has 0.744 */
    assert_int_equal(seen((solo_sampling){.temperature = 0.5f, .top_p = 0.74f}, l, 5), 0x02);
    assert_int_equal(seen((solo_sampling){.temperature = 0.5f, .top_p = 0.75f}, l, 5), 0x12);
}

static void top_p_counts_what_top_k_kept(void **state) {
    (void)state;
    float p[] = {0.4f, 0.2f, 0.1f, 0.3f}, l[4];
    for (int i = 0; i < 4; i++) l[i] = logf(p[i]);
    /* of two kept the first has 4/7 = 0.571, of four 0.4 */
    solo_sampling s = {.temperature = 1, .top_p = 0.5f};
    assert_int_equal(seen(s, l, 4), 0x09);
    s.top_k = 2;
    assert_int_equal(seen(s, l, 4), 0x01);
    s.top_p = 0.6f;
    assert_int_equal(seen(s, l, 4), 0x09);
}

static void min_p_threshold(void **state) {
    (void)state;
    float p[] = {0.1f, 0.4f, 0.19f, 0.21f, 0.4f}, l[5];
    for (int i = 0; i < 5; i++) l[i] = logf(p[i]) - 100;
    assert_int_equal(seen((solo_sampling){.temperature = 1, .min_p = 1}, l, 5), 0x12);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .min_p = 0.5f}, l, 5), 0x1a);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .min_p = 0.47f}, l, 5), 0x1e);
    assert_int_equal(seen((solo_sampling){.temperature = 1, .min_p = 0.1f}, l, 5), 0x1f);
    /* measured after the temperature: at 2 ratios are square roots, 0.19/0.4 counts as 0.689 */
    assert_int_equal(seen((solo_sampling){.temperature = 2, .min_p = 0.6f}, l, 5), 0x1e);
    assert_int_equal(seen((solo_sampling){.temperature = 2, .min_p = 0.7f}, l, 5), 0x1a);
}

static void filters_together(void **state) {
    (void)state;
    float p[] = {0.05f, 0.3f, 0.2f, 0.25f, 0.1f, 0.1f}, l[6];
    for (int i = 0; i < 6; i++) l[i] = logf(p[i]);
    solo_sampling s = {.temperature = 1, .top_k = 4, .top_p = 0.85f, .min_p = 0.2f};
    /* top_k 4 keeps 1 3 2 and the tie 4 5; of their 0.95, 0.85 is reached by 4, tie 5 */
    assert_int_equal(seen(s, l, 6), 0x3e);
    s.min_p = 0.5f; /* 0.15 and above */
    assert_int_equal(seen(s, l, 6), 0x0e);
    s.top_p = 0.5f; /* 0.3 + 0.25 of 0.95 */
    assert_int_equal(seen(s, l, 6), 0x0a);
    s.top_k = 1;
    assert_int_equal(seen(s, l, 6), 0x02);
}

static void extremes(void **state) {
    (void)state;
    float l[] = {1, 3, 2.9999998f, -1e30f, 3e38f, -3e38f, -INFINITY};
    solo_sampling cold = {.temperature = 1e-45f, .top_p = 0.9f, .min_p = 0.1f, .top_k = 3};
    assert_int_equal(seen(cold, l, 7), 0x10);
    assert_int_equal(seen((solo_sampling){.temperature = 1e-8f}, l, 4), 0x02);
    solo_sampling hot = {.temperature = 3e38f};
    assert_int_equal(seen(hot, l, 7), 0x3f); /* nearly alike, but never -inf */
    hot.top_p = 0.99f;
    hot.min_p = 1e-4f;
    assert_int_equal(seen(hot, l, 7), 0x3f);
    float low[] = {-INFINITY, -INFINITY, -INFINITY};
    solo_sampling all = {.temperature = 1, .top_k = 2, .top_p = 0.5f, .min_p = 0.5f};
    assert_int_equal(seen(all, low, 3), 0x01);
    float high[] = {0, INFINITY, 5, INFINITY};
    assert_int_equal(seen(all, high, 4), 0x02);
}

static void all_equal(void **state) {
    (void)state;
    float l[8] = {2, 2, 2, 2, 2, 2, 2, 2};
    solo_sampling s = {.temperature = 0.7f, .top_k = 1, .top_p = 0.01f, .min_p = 1};
    assert_int_equal(seen(s, l, 8), 0xff); /* every filter keeps equals */
    assert_int_equal(once((solo_sampling){0}, l, 8), 0);
}

static void penalty(void **state) {
    (void)state;
    float l[] = {4, 3, -1, -1.5f}, copy[4];
    memcpy(copy, l, sizeof l);
    uint32_t ids[] = {0, 0, 0};
    solo_sampling s = {.repeat_penalty = 1.3f};
    /* once only: 4 / 1.3 = 3.08 still wins, twice it would not */
    assert_int_equal(solo_sampler_draw(&s, l, 4, ids, 3, 3), 0);
    s.repeat_penalty = 1.4f;
    assert_int_equal(solo_sampler_draw(&s, l, 4, ids, 3, 3), 1);
    s.repeat_penalty = 1e38f;
    uint32_t most[] = {0, 1, 2};
    assert_int_equal(solo_sampler_draw(&s, l, 4, most, 3, 3), 0); /* 4e-38 is above -1.5 */
    float below[] = {-1, -2, -3};
    assert_int_equal(solo_sampler_draw(&s, below, 3, ids, 1, 1), 1); /* a negative one falls */
    s.repeat_penalty = 3e38f;
    uint32_t three[] = {2, 1, 0};
    assert_int_equal(solo_sampler_draw(&s, below, 3, three, 3, 3), 0); /* down to -inf, all */
    s.temperature = 1;
    assert_true(solo_sampler_draw(&s, below, 3, three, 3, 3) < 3);
    s = (solo_sampling){.repeat_penalty = 0.5f}; /* below 1: encourages */
    assert_int_equal(solo_sampler_draw(&s, l, 4, (uint32_t[]){1}, 1, 1), 1);
    assert_memory_equal(l, copy, sizeof l);
}

static void penalty_window(void **state) {
    (void)state;
    float l[] = {4, 3.9f, 3.8f};
    uint32_t ids[70] = {0};
    for (int i = 1; i < 70; i++) ids[i] = 2;
    solo_sampling s = {.repeat_penalty = 2, .repeat_last_n = 2};
    assert_int_equal(solo_sampler_draw(&s, l, 3, ids, 3, 3), 0); /* ids[1], ids[2]: not 0 */
    uint32_t oldest[] = {2, 0, 2}; /* the oldest of the last two counts */
    assert_int_equal(solo_sampler_draw(&s, l, 3, oldest, 3, 3), 1);
    s.repeat_last_n = 3;
    assert_int_equal(solo_sampler_draw(&s, l, 3, ids, 3, 3), 1);
    s.repeat_last_n = 1000;
    assert_int_equal(solo_sampler_draw(&s, l, 3, ids, 3, 3), 1);
    s.repeat_last_n = 0; /* 64 */
    assert_int_equal(solo_sampler_draw(&s, l, 3, ids, 64, 64), 1);
    assert_int_equal(solo_sampler_draw(&s, l, 3, ids, 65, 65), 0);
    assert_int_equal(solo_sampler_draw(&s, l, 3, ids, 70, 70), 0);
    uint32_t outside[] = {0, 3, UINT32_MAX}; /* ids that are none: ignored */
    assert_int_equal(solo_sampler_draw(&s, l, 3, outside, 3, 3), 1);
    assert_int_equal(solo_sampler_draw(&s, l, 3, NULL, 0, 0), 0);
}

static void penalty_comes_first(void **state) {
    (void)state;
    /* top_k looks at the penalised logits */
    float l[] = {4, 3, 2};
    uint32_t ids[] = {0};
    solo_sampling s = {.temperature = 1, .top_k = 2, .repeat_penalty = 4};
    for (uint32_t pos = 0; pos < DRAWS; pos++)
        assert_int_not_equal(solo_sampler_draw(&s, l, 3, ids, 1, pos), 0);
    s = (solo_sampling){.temperature = 1, .min_p = 1, .repeat_penalty = 4};
    for (uint32_t pos = 0; pos < DRAWS; pos++)
        assert_int_equal(solo_sampler_draw(&s, l, 3, ids, 1, pos), 1);
}

static void replay(void **state) {
    (void)state;
    float l[64];
    for (uint32_t i = 0; i < 64; i++) l[i] = (float)(solo_sampler_hash(9, 9, i) >> 24) / 100;
    solo_sampling s = {.temperature = 0.8f, .top_k = 40, .top_p = 0.95f, .seed = 42};
    uint32_t drawn[200], differ_seed = 0, differ_high = 0, differ_pos = 0;
    for (uint32_t pos = 0; pos < 200; pos++) {
        drawn[pos] = solo_sampler_draw(&s, l, 64, NULL, 0, pos);
    }
    for (uint32_t i = 200; i-- > 0;) { /* in another order, the same */
        assert_int_equal(solo_sampler_draw(&s, l, 64, NULL, 0, i), drawn[i]);
    }
    solo_sampling other = s, high = s;
    other.seed = 43;
    high.seed = 42 + (1ull << 32);
    for (uint32_t pos = 0; pos < 200; pos++) {
        differ_seed += solo_sampler_draw(&other, l, 64, NULL, 0, pos) != drawn[pos];
        differ_high += solo_sampler_draw(&high, l, 64, NULL, 0, pos) != drawn[pos];
        differ_pos += solo_sampler_draw(&s, l, 64, NULL, 0, pos + 200) != drawn[pos];
    }
    assert_true(differ_seed > 150 && differ_high > 150 && differ_pos > 150);
    /* a filter that does not exclude the drawn id does not change the draw */
    solo_sampling wide = s;
    wide.top_k = 0;
    wide.top_p = 0;
    uint32_t same = 0;
    for (uint32_t pos = 0; pos < 200; pos++) {
        uint32_t id = solo_sampler_draw(&wide, l, 64, NULL, 0, pos);
        same += id == drawn[pos];
    }
    assert_true(same > 150);
}

/* Chi-square of 20,000 draws against softmax; p: what each of n ids should get. */
static double chi_square(solo_sampling s, const float *l, uint32_t n, const double *p) {
    uint32_t count[32] = {0};
    double sum = 0;
    const uint32_t n_draw = 20000;
    for (uint32_t pos = 0; pos < n_draw; pos++) count[solo_sampler_draw(&s, l, n, NULL, 0, pos)]++;
    for (uint32_t id = 0; id < n; id++) {
        double wanted = p[id] * n_draw, off = count[id] - wanted;
        if (p[id] == 0) assert_int_equal(count[id], 0);
        else sum += off * off / wanted;
    }
    return sum;
}

static void distribution(void **state) {
    (void)state;
    enum { N = 16 };
    float l[N];
    double p[N], total = 0;
    for (int i = 0; i < N; i++) l[i] = (float)(i % 5) * 0.7f - (float)i * 0.1f;
    for (int i = 0; i < N; i++) total += p[i] = exp((double)l[i] / (double)0.8f);
    for (int i = 0; i < N; i++) p[i] /= total;
    /* 37.7 is the 0.1 % point at 15 degrees of freedom; 3.48 that of 0.1 % below: too even */
    for (uint64_t seed = 1; seed <= 3; seed++) {
        double off = chi_square((solo_sampling){.temperature = 0.8f, .seed = seed}, l, N, p);
        if (off > 37.7 || off < 3.48) fail_msg("seed %d: chi-square %g", (int)seed, off);
    }
    double flat[N];
    for (int i = 0; i < N; i++) flat[i] = 1.0 / N;
    assert_true(chi_square((solo_sampling){.temperature = 0.8f}, l, N, flat) > 1000);
}

static void distribution_of_the_kept(void **state) {
    (void)state;
    float l[] = {0, 1, 2, 3};
    double p[4] = {0}, total = exp(3) + exp(2);
    p[2] = exp(2) / total;
    p[3] = exp(3) / total;
    double off = chi_square((solo_sampling){.temperature = 1, .top_k = 2, .seed = 7}, l, 4, p);
    if (off > 10.8) fail_msg("chi-square %g", off); /* 0.1 % point at 1 degree */
}

static void refuse(solo_sampling s, const char *field, const char *found) {
    solo_error err = {0};
    assert_false(solo_sampling_check(&s, &err));
    assert_int_equal(err.status, SOLO_ARGUMENT);
    assert_ptr_equal(strstr(err.text, field), err.text);
    assert_non_null(strstr(err.text, "wanted"));
    if (!strstr(err.text, found)) fail_msg("\"%s\" does not say %s", err.text, found);
    assert_false(solo_sampling_check(&s, NULL));
}

static void ranges(void **state) {
    (void)state;
    solo_error err;
    refuse((solo_sampling){.temperature = -0.5f}, "temperature", "-0.5");
    refuse((solo_sampling){.temperature = INFINITY}, "temperature", "inf");
    refuse((solo_sampling){.temperature = NAN}, "temperature", "nan");
    refuse((solo_sampling){.top_p = 1.5f}, "top_p", "1.5");
    refuse((solo_sampling){.top_p = -0.25f}, "top_p", "-0.25");
    refuse((solo_sampling){.top_p = NAN}, "top_p", "nan");
    refuse((solo_sampling){.min_p = 2}, "min_p", "2");
    refuse((solo_sampling){.min_p = -1}, "min_p", "-1");
    refuse((solo_sampling){.min_p = NAN}, "min_p", "nan");
    refuse((solo_sampling){.repeat_penalty = -2}, "repeat_penalty", "-2");
    refuse((solo_sampling){.repeat_penalty = INFINITY}, "repeat_penalty", "inf");
    refuse((solo_sampling){.repeat_penalty = NAN}, "repeat_penalty", "nan");
    assert_true(solo_sampling_check(&(solo_sampling){0}, &err));
    assert_true(solo_sampling_check(
        &(solo_sampling){.temperature = 3e38f, .top_k = UINT32_MAX, .top_p = 1, .min_p = 1,
                         .repeat_penalty = 3e38f, .repeat_last_n = UINT32_MAX, .seed = UINT64_MAX},
        &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_is_pcg4d),         cmocka_unit_test(greedy),
        cmocka_unit_test(top_k_keeps_ties),      cmocka_unit_test(top_p_shortest_prefix),
        cmocka_unit_test(top_p_counts_what_top_k_kept),
        cmocka_unit_test(min_p_threshold),       cmocka_unit_test(filters_together),
        cmocka_unit_test(extremes),              cmocka_unit_test(all_equal),
        cmocka_unit_test(penalty),               cmocka_unit_test(penalty_window),
        cmocka_unit_test(penalty_comes_first),   cmocka_unit_test(replay),
        cmocka_unit_test(distribution),          cmocka_unit_test(distribution_of_the_kept),
        cmocka_unit_test(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
