/* sampler.c: the sampling rule of sampler.h, to the letter and in double. It owns the rule and the
 * generator; which draws are made when is the session's business.
 *
 * All filters are thresholds on a logit, so one sorted copy of the logits serves them all and ties
 * are kept by construction. A NaN logit counts as -inf. */
#include "sampler.h"

#include <math.h>

#define REPEAT_LAST_N 64u /* what repeat_last_n = 0 means */

bool solo_sampling_check(const solo_sampling *s, solo_error *err) {
    if (!(s->temperature >= 0 && isfinite(s->temperature)))
        return solo_fail(err, SOLO_ARGUMENT, "temperature: wanted 0 or a finite number above, "
                         "found %g", (double)s->temperature);
    if (!(s->top_p >= 0 && s->top_p <= 1))
        return solo_fail(err, SOLO_ARGUMENT, "top_p: wanted 0 to 1, found %g", (double)s->top_p);
    if (!(s->min_p >= 0 && s->min_p <= 1))
        return solo_fail(err, SOLO_ARGUMENT, "min_p: wanted 0 to 1, found %g", (double)s->min_p);
    if (!(s->repeat_penalty >= 0 && isfinite(s->repeat_penalty)))
        return solo_fail(err, SOLO_ARGUMENT, "repeat_penalty: wanted 0 or a finite number above, "
                         "found %g", (double)s->repeat_penalty);
    return true;
}

uint32_t solo_sampler_hash(uint64_t seed, uint32_t pos, uint32_t id) {
    uint32_t x = (uint32_t)seed, y = (uint32_t)(seed >> 32), z = pos, w = id;
    x = x * 1664525u + 1013904223u;
    y = y * 1664525u + 1013904223u;
    z = z * 1664525u + 1013904223u;
    w = w * 1664525u + 1013904223u;
    x += y * w;
    y += z * x;
    z += x * y;
    w += y * z;
    x ^= x >> 16;
    y ^= y >> 16;
    z ^= z >> 16;
    w ^= w >> 16;
    (void)z; /* pcg4d goes on to mix it into the three words that are not asked for */
    return x + y * w;
}

static double gumbel(uint64_t seed, uint32_t pos, uint32_t id) {
    double u = ((double)(solo_sampler_hash(seed, pos, id) >> 9) + 0.5) / 8388608;
    return -log(-log(u));
}

/* Rule 1, in f32 as a logit is. Each penalised value comes from the untouched logits, so that an
 * id that occurs twice is penalised once. */
static void penalise(const solo_sampling *s, const float *logits, uint32_t n_vocab,
                     const uint32_t *ids, uint32_t n_ids, float *out) {
    if (s->repeat_penalty == 0 || s->repeat_penalty == 1) return;
    uint32_t n_last = s->repeat_last_n ? s->repeat_last_n : REPEAT_LAST_N;
    for (uint32_t i = n_ids > n_last ? n_ids - n_last : 0; i < n_ids; i++) {
        uint32_t id = ids[i];
        if (id >= n_vocab || isnan(logits[id])) continue;
        out[id] = logits[id] > 0 ? logits[id] / s->repeat_penalty
                                 : logits[id] * s->repeat_penalty;
    }
}

static int falling(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* exp((l - max) / temperature), where max itself may be infinite */
static double weight(float l, float max, float temperature) {
    return l == max ? 1 : exp(((double)l - (double)max) / (double)temperature);
}

/* The smallest logit that top_k and top_p keep. sorted [n]: falling. */
static float lowest_kept(const solo_sampling *s, const float *sorted, uint32_t n) {
    uint32_t n_kept = n;
    if (s->top_k && s->top_k < n) {
        n_kept = s->top_k;
        while (n_kept < n && sorted[n_kept] == sorted[n_kept - 1]) n_kept++;
    }
    if (s->top_p == 0 || s->top_p == 1) return sorted[n_kept - 1];
    double total = 0, sum = 0;
    for (uint32_t i = 0; i < n_kept; i++) total += weight(sorted[i], sorted[0], s->temperature);
    for (uint32_t i = 0; i < n_kept; i++) {
        sum += weight(sorted[i], sorted[0], s->temperature);
        if (sum >= (double)s->top_p * total) return sorted[i];
    }
    return sorted[n_kept - 1];
}

/* Rules 3 and 4. sorted [n_vocab]: room for a sorted copy. */
static uint32_t draw(const solo_sampling *s, const float *l, uint32_t n_vocab, uint32_t pos,
                     float *sorted) {
    float max = l[0], lowest = -INFINITY;
    for (uint32_t id = 1; id < n_vocab; id++) {
        if (l[id] > max) max = l[id];
    }
    if ((s->top_k && s->top_k < n_vocab) || (s->top_p != 0 && s->top_p != 1)) {
        memcpy(sorted, l, n_vocab * sizeof *l);
        qsort(sorted, n_vocab, sizeof *l, falling);
        lowest = lowest_kept(s, sorted, n_vocab);
    }
    double t = (double)s->temperature;
    double min_x = s->min_p > 0 ? (double)max / t + log((double)s->min_p) : -INFINITY;
    uint32_t best = UINT32_MAX;
    double best_x = 0;
    for (uint32_t id = 0; id < n_vocab; id++) {
        double x = (double)l[id] / t;
        if (l[id] < lowest || x < min_x) continue;
        x += gumbel(s->seed, pos, id);
        if (best == UINT32_MAX || x > best_x) {
            best = id;
            best_x = x;
        }
    }
    SOLO_ASSERT(best != UINT32_MAX); /* the largest passes every filter */
    return best;
}

uint32_t solo_sampler_draw(const solo_sampling *s, const float *logits, uint32_t n_vocab,
                           const uint32_t *ids, uint32_t n_ids, uint32_t pos) {
    SOLO_ASSERT(n_vocab > 0 && solo_sampling_check(s, NULL));
    float *l = solo_alloc((size_t)n_vocab * 2 * sizeof *l); /* [2][n_vocab] */
    for (uint32_t id = 0; id < n_vocab; id++) l[id] = isnan(logits[id]) ? -INFINITY : logits[id];
    penalise(s, logits, n_vocab, ids, n_ids, l);
    uint32_t best = 0;
    if (s->temperature == 0) {
        for (uint32_t id = 1; id < n_vocab; id++) {
            if (l[id] > l[best]) best = id;
        }
    } else {
        best = draw(s, l, n_vocab, pos, l + n_vocab);
    }
    free(l);
    return best;
}
