/* test_ref.c: the CPU reference against formulas written out in double, stage by stage and as a
 * whole on a small made-up model. What the stages are compared with shares no code with ref.c. */
#include "ref.h"
#include "tiny.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint32_t rng_state;

static float rnd(void) { /* -1 to 1 */
    rng_state = rng_state * 1664525u + 1013904223u;
    return (float)(rng_state >> 8) / 8388608.0f - 1.0f;
}

static void rnd_fill(float *out, size_t n) {
    for (size_t i = 0; i < n; i++) out[i] = rnd();
}

#define NEAR(found, wanted, off) near_at((double)(found), (double)(wanted), (off), __LINE__)
static void near_at(double found, double wanted, double off, int line) {
    if (!(fabs(found - wanted) <= off))
        fail_msg("line %d: wanted %.9g within %.1g, found %.9g", line, wanted, off, found);
}

/* ---- stages --------------------------------------------------------------------------------- */

static void norm_by_hand(void **state) {
    (void)state;
    float x[] = {3, -4}, gain[] = {1, 10}, y[2];
    solo_ref_norm(x, gain, 2, 0, y); /* mean of squares 12.5 */
    NEAR(y[0], 3 / sqrt(12.5), 1e-7);
    NEAR(y[1], -40 / sqrt(12.5), 1e-6);
    solo_ref_norm(x, gain, 2, 3.5f, y); /* eps is added to the mean, under the root */
    NEAR(y[0], 0.75, 1e-7);
    NEAR(y[1], -10, 1e-6);
    float zero[] = {0, 0};
    solo_ref_norm(zero, gain, 2, 1e-5f, y);
    NEAR(y[0], 0, 0);
}

static void norm_takes_large_numbers(void **state) {
    (void)state;
    float x[] = {1e30f, 1e30f, -1e30f, 1e30f}, gain[] = {1, 1, 1, 1}, y[4];
    solo_ref_norm(x, gain, 4, 1e-5f, y); /* squares do not fit into f32 */
    NEAR(y[2], -1, 1e-6);
}

static void layer_norm_by_hand(void **state) {
    (void)state;
    float x[] = {1, 5}, gain[] = {2, 3}, bias[] = {0.5f, -1}, y[2];
    solo_ref_layer_norm(x, gain, bias, 2, 0, y); /* mean 3, sigma 2 */
    NEAR(y[0], -2 + 0.5, 1e-7);
    NEAR(y[1], 3 - 1, 1e-7);
    solo_ref_layer_norm(x, gain, bias, 2, 12, y); /* eps is added to the variance, under the root */
    NEAR(y[1], 1.5 - 1, 1e-7);
}

static void gelu_by_hand(void **state) {
    (void)state;
    float gate[] = {0, 1, -1, 100, -100, 2}, up[] = {5, 2, 2, 3, 7, -1}, h[6];
    solo_ref_glu(SOLO_ACT_GELU, gate, NULL, 6, h);
    NEAR(h[0], 0, 0);
    NEAR(h[1], 0.8411919906082768, 1e-7); /* by tanh, not by erf: 0.8413447 */
    NEAR(h[2], -0.15880800939172324, 1e-7);
    NEAR(h[3], 100, 0);
    NEAR(h[4], 0, 0);
    solo_ref_glu(SOLO_ACT_GELU, gate, up, 6, h);
    NEAR(h[1], 2 * 0.8411919906082768, 1e-6);
    NEAR(h[5], -1.954597694087775, 1e-6);
}

static void scores_are_capped(void **state) {
    (void)state;
    float q[] = {3}, k[] = {2, 4}, v[] = {1, 0}, out[1];
    solo_ref_attend(q, k, v, 2, 1, 1, 1, 1, 5, out); /* scores 6 and 12, of which 5 tanh(x / 5) is left */
    double a = exp(5 * tanh(1.2)), b = exp(5 * tanh(2.4));
    NEAR(out[0], a / (a + b), 1e-6);
}

static void glu_by_hand(void **state) {
    (void)state;
    float gate[] = {0, 1, -1, 1000, -1000, 2}, up[] = {5, 2, 2, 3, 7, -1}, h[6];
    solo_ref_glu(SOLO_ACT_SILU, gate, up, 6, h);
    NEAR(h[0], 0, 0);
    NEAR(h[1], 2 * 0.7310585786300049, 1e-6);
    NEAR(h[2], -2 * 0.2689414213699951, 1e-6);
    NEAR(h[3], 3000, 1e-3); /* exp(1000) overflows, and must not show */
    NEAR(h[4], 0, 1e-30);
    NEAR(h[5], -2 * 0.8807970779778823, 1e-6);
}

static void rope_neighbours(void **state) {
    (void)state;
    /* two heads of 6, of which 4 turn: by 90 degrees and by 60 */
    float heads[] = {1, 2, 3, 4, 5, 6, -1, 0, 0, 2, 7, 8};
    float cos_sin[] = {0, 1, 0.5f, 0.8660254f};
    solo_ref_rope(heads, 2, 6, 4, SOLO_ROPE_NEIGHBOURS, cos_sin);
    float wanted[] = {-2, 1, 1.5f - 3.4641016f, 2.5980762f + 2, 5, 6,
                      0, -1, -1.7320508f, 1, 7, 8};
    for (int i = 0; i < 12; i++) NEAR(heads[i], wanted[i], 1e-6);
}

static void rope_halves(void **state) {
    (void)state;
    float heads[] = {1, 2, 3, 4, 5, 6, -1, 0, 0, 2, 7, 8};
    float cos_sin[] = {0, 1, 0.5f, 0.8660254f};
    solo_ref_rope(heads, 2, 6, 4, SOLO_ROPE_HALVES, cos_sin); /* pairs (0, 2) and (1, 3) */
    float wanted[] = {-3, 1 - 3.4641016f, 1, 1.7320508f + 2, 5, 6,
                      0, -1.7320508f, -1, 1, 7, 8};
    for (int i = 0; i < 12; i++) NEAR(heads[i], wanted[i], 1e-6);
}

static void attend_maps_heads(void **state) {
    (void)state;
    /* 6 query heads on 2 KV heads, one position: each returns its KV head's v */
    float q[6 * 2] = {0}, k[2 * 2] = {0}, v[] = {10, 11, 20, 21}, out[6 * 2];
    solo_ref_attend(q, k, v, 1, 6, 2, 2, 1, 0, out);
    for (uint32_t head = 0; head < 6; head++) {
        NEAR(out[2 * head], head < 3 ? 10 : 20, 1e-6);
        NEAR(out[2 * head + 1], head < 3 ? 11 : 21, 1e-6);
    }
}

static void attend_by_hand(void **state) {
    (void)state;
    /* scores ln 1, ln 3 after scaling by 1/2: weights 1/4 and 3/4 */
    float q[] = {2}, k[] = {0, 1.0986123f}, v[] = {4, 8}, out[1];
    solo_ref_attend(q, k, v, 2, 1, 1, 1, 0.5f, 0, out);
    NEAR(out[0], 7, 1e-5);
    float huge_k[] = {0, 1e4f}; /* exp of the bare score overflows */
    solo_ref_attend(q, huge_k, v, 2, 1, 1, 1, 0.5f, 0, out);
    NEAR(out[0], 8, 1e-6);
    float low_k[] = {-1e4f, -1e4f};
    solo_ref_attend(q, low_k, v, 2, 1, 1, 1, 0.5f, 0, out);
    NEAR(out[0], 6, 1e-6);
}

static void attend_against_formula(void **state) {
    (void)state;
    enum { N_POS = 37, N_HEAD = 6, N_KV = 3, DIM = 10 };
    static float q[N_HEAD * DIM], k[N_POS * N_KV * DIM], v[N_POS * N_KV * DIM], out[N_HEAD * DIM];
    rng_state = 7;
    rnd_fill(q, N_HEAD * DIM);
    rnd_fill(k, N_POS * N_KV * DIM);
    rnd_fill(v, N_POS * N_KV * DIM);
    solo_ref_attend(q, k, v, N_POS, N_HEAD, N_KV, DIM, 2.5f, 0, out);
    for (int head = 0; head < N_HEAD; head++) {
        double weight[N_POS], total = 0;
        for (int pos = 0; pos < N_POS; pos++) {
            double score = 0;
            for (int i = 0; i < DIM; i++)
                score += (double)q[head * DIM + i] * (double)k[(pos * N_KV + head / 2) * DIM + i];
            weight[pos] = exp(2.5 * score);
            total += weight[pos];
        }
        for (int i = 0; i < DIM; i++) {
            double sum = 0;
            for (int pos = 0; pos < N_POS; pos++)
                sum += weight[pos] / total * (double)v[(pos * N_KV + head / 2) * DIM + i];
            NEAR(out[head * DIM + i], sum, 1e-6);
        }
    }
}

/* A head of 16 in spans of 4. K's pairs are halves, of which 12 numbers turn: on the GPU 0 6 1 7, 2 8 3 9, .... */
static void kv_rounds_by_spans(void **state) {
    (void)state;
    static const uint32_t turned[16] = {0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 12, 13, 14, 15};
    for (uint32_t k = 0; k < 2; k++) {
        float row[16], was[16];
        for (uint32_t d = 0; d < 16; d++) row[d] = was[d] = ((float)d + 1.3f) * (d % 3 ? 0.371f : -1.1f);
        solo_ref_round_kv(SOLO_KV_INT8, row, 16, 12, SOLO_ROPE_HALVES, k == 0);
        for (uint32_t i = 0; i < 16; i++) {
            uint32_t at[4], d = k == 0 ? turned[i] : i;
            double largest = 0;
            for (uint32_t j = 0; j < 4; j++) {
                at[j] = k == 0 ? turned[i / 4 * 4 + j] : i / 4 * 4 + j;
                largest = fmax(largest, fabs((double)was[at[j]]));
            }
            double step = largest / 127, steps = (double)was[d] / step;
            NEAR(row[d], rint(steps) * step, 1e-6 * largest);
        }
    }
    float zeros[16] = {0}, halves[16] = {[3] = 1.0f + 1.0f / 4096, [9] = 0.1f};
    solo_ref_round_kv(SOLO_KV_INT8, zeros, 16, 16, SOLO_ROPE_NEIGHBOURS, true);
    for (uint32_t d = 0; d < 16; d++) NEAR(zeros[d], 0, 0);
    solo_ref_round_kv(SOLO_KV_F16, halves, 16, 16, SOLO_ROPE_NEIGHBOURS, true);
    NEAR(halves[3], 1, 0);
    NEAR(halves[9], 0.0999755859375, 0);
    solo_ref_round_kv(SOLO_KV_F32, halves, 16, 16, SOLO_ROPE_NEIGHBOURS, true);
    NEAR(halves[9], 0.0999755859375, 0);
}

static void matvec_by_hand(void **state) {
    (void)state;
    float w[] = {1, 2, 3, 4, 5, 6}, x[] = {1, 10, 100}, y[3] = {0, 0, -7};
    solo_tensor t = {.type = SOLO_TYPE_F32, .n_dim = 2, .dim = {3, 2, 1, 1},
                     .data = (const uint8_t *)w, .n_bytes = sizeof w};
    solo_ref_matvec(&t, x, y);
    NEAR(y[0], 321, 0);
    NEAR(y[1], 654, 0);
    NEAR(y[2], -7, 0); /* nothing past the rows */
    t.n_dim = 1; /* one row, whatever the other dimensions say */
    y[1] = -7;
    solo_ref_matvec(&t, x, y);
    NEAR(y[0], 321, 0);
    NEAR(y[1], -7, 0);
}

static void matvec_of(solo_type type, uint32_t n_row, uint32_t n_col) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    uint64_t n = (uint64_t)n_row * n_col, n_bytes = n / info->n_block * info->block_bytes;
    float *w = solo_alloc(n * sizeof *w), *x = solo_alloc(n_col * sizeof *x);
    float *y = solo_alloc(n_row * sizeof *y);
    uint8_t *data = solo_alloc(n_bytes + 1);
    rng_state = n_col + (uint32_t)type;
    rnd_fill(w, n);
    rnd_fill(x, n_col);
    solo_quantize(type, w, n, data + 1); /* file data need not be aligned */
    solo_tensor t = {.type = type, .n_dim = 2, .dim = {n_col, n_row, 1, 1}, .data = data + 1,
                     .n_bytes = n_bytes};
    solo_ref_matvec(&t, x, y);
    solo_dequant(type, data + 1, n, w);
    for (uint32_t row = 0; row < n_row; row++) {
        double sum = 0;
        for (uint32_t i = 0; i < n_col; i++)
            sum += (double)w[(uint64_t)row * n_col + i] * (double)x[i];
        NEAR(y[row], sum, 1e-6 * (1 + fabs(sum)));
    }
    free(w);
    free(x);
    free(y);
    free(data);
}

static void matvec_of_each_type(void **state) {
    (void)state;
    static const solo_type types[] = {SOLO_TYPE_F32, SOLO_TYPE_F16, SOLO_TYPE_BF16,
                                      SOLO_TYPE_Q4_0, SOLO_TYPE_Q4_1, SOLO_TYPE_Q5_0,
                                      SOLO_TYPE_Q8_0, SOLO_TYPE_Q4_K, SOLO_TYPE_Q6_K};
    for (uint32_t i = 0; i < SOLO_COUNT(types); i++) {
        uint32_t n_block = solo_type_get_info((uint32_t)types[i])->n_block;
        matvec_of(types[i], 5, 768); /* three pieces */
        if (n_block <= 32) matvec_of(types[i], 4, 288); /* a short last piece */
        if (n_block == 1) matvec_of(types[i], 3, 261);  /* which is not a multiple of 4 */
    }
}

static void embed_is_a_row(void **state) {
    (void)state;
    enum { COLS = 64, ROWS = 5 };
    float w[COLS * ROWS], x[COLS + 1], all[COLS * ROWS];
    uint8_t data[COLS * ROWS / 32 * 34];
    rng_state = 3;
    rnd_fill(w, COLS * ROWS);
    solo_quantize(SOLO_TYPE_Q8_0, w, COLS * ROWS, data);
    solo_dequant(SOLO_TYPE_Q8_0, data, COLS * ROWS, all);
    solo_tensor t = {.type = SOLO_TYPE_Q8_0, .n_dim = 2, .dim = {COLS, ROWS, 1, 1}, .data = data,
                     .n_bytes = sizeof data};
    struct solo_model m = {.embd = &t};
    for (uint32_t id = 0; id < ROWS; id++) {
        x[COLS] = 99;
        solo_ref_embed(&m, id, 0, x);
        assert_memory_equal(x, all + id * COLS, COLS * sizeof *x);
        NEAR(x[COLS], 99, 0);
    }
}

/* ---- the whole step -------------------------------------------------------------------------
 * A model of two layers with 4 heads on 2 KV heads, heads of 6 of which 4 turn, evaluated by
 * formula over whole sequences without a cache, and by solo_ref_step token by token. */

enum { LAYER = 2, EMBD = 20, HEAD = 4, KV = 2, DIM = 6, TURN = 4, FF = 17, VOCAB = 11, POS = 5 };
enum { Q_DIM = HEAD * DIM, KV_DIM = KV * DIM, QKV = Q_DIM + 2 * KV_DIM };

typedef struct small_model {
    struct solo_model m;
    solo_layer  layer[LAYER];
    solo_tensor tensor[64];
    uint32_t    n_tensor;
    float       pool[1 << 14];
    size_t      n_pool;
} small_model;

static const solo_tensor *small_tensor(small_model *s, uint32_t n_col, uint32_t n_row) {
    solo_tensor *t = &s->tensor[s->n_tensor++];
    float *data = s->pool + s->n_pool;
    size_t n = (size_t)n_col * n_row;
    assert_true(s->n_pool + n <= SOLO_COUNT(s->pool));
    s->n_pool += n;
    rnd_fill(data, n);
    *t = (solo_tensor){.name = "made up", .type = SOLO_TYPE_F32, .n_dim = n_row > 1 ? 2 : 1,
                       .dim = {n_col, n_row, 1, 1}, .data = (const uint8_t *)data,
                       .n_bytes = n * sizeof(float)};
    return t;
}

/* What phi3 adds: a window, and longer frequencies for contexts of 5 and more. */
typedef struct variant {
    solo_rope_pairs pairs;
    bool     tied;
    uint32_t window;
    float    attn_factor;
    bool     factors;
} variant;

static small_model *small_open(variant v) {
    small_model *s = solo_zalloc(1, sizeof *s);
    rng_state = 11 + (uint32_t)v.pairs;
    s->m.layer = s->layer;
    s->m.hp = (solo_hparams){.n_layer = LAYER, .n_embd = EMBD, .n_head = HEAD, .n_head_kv = KV,
                             .head_dim = DIM, .n_ff = FF, .n_vocab = VOCAB, .n_ctx_train = 64,
                             .norm_eps = 1e-3f, .rope_base = 100, .rope_scale = 1,
                             .rope_dim = TURN, .rope_pairs = v.pairs, .attn_scale = 0.6f,
                             .rope_attn_factor = v.attn_factor, .attn_window = v.window,
                             .n_rope = 1, .embd_scale = 1.0f,
                             .n_ctx_orig = POS - 1};
    for (int layer = 0; layer < LAYER; layer++) {
        solo_layer *l = &s->layer[layer];
        l->attn_norm = small_tensor(s, EMBD, 1);
        l->q = small_tensor(s, EMBD, Q_DIM);
        l->k = small_tensor(s, EMBD, KV_DIM);
        l->v = small_tensor(s, EMBD, KV_DIM);
        l->out = small_tensor(s, Q_DIM, EMBD);
        l->ffn_norm = small_tensor(s, EMBD, 1);
        l->gate = small_tensor(s, EMBD, FF);
        l->up = small_tensor(s, EMBD, FF);
        l->down = small_tensor(s, FF, EMBD);
    }
    s->m.embd = small_tensor(s, EMBD, VOCAB);
    s->m.output = v.tied ? s->m.embd : small_tensor(s, EMBD, VOCAB);
    s->m.output_norm = small_tensor(s, EMBD, 1);
    if (v.factors) {
        s->m.rope_factors_short = small_tensor(s, TURN / 2, 1);
        s->m.rope_factors_long = small_tensor(s, TURN / 2, 1);
        for (size_t i = s->n_pool - TURN; i < s->n_pool; i++) s->pool[i] = 2 + s->pool[i];
    }
    return s;
}

static double at(const solo_tensor *t, uint32_t row, uint32_t col) {
    return (double)((const float *)(const void *)t->data)[row * t->dim[0] + col];
}

static void exact_norm(const double *x, const solo_tensor *gain, double *y) {
    double sum = 0;
    for (uint32_t i = 0; i < EMBD; i++) sum += x[i] * x[i];
    double root = sqrt(sum / EMBD + (double)1e-3f);
    for (uint32_t i = 0; i < EMBD; i++) y[i] = x[i] / root * at(gain, 0, i);
}

static void exact_matvec(const solo_tensor *w, const double *x, double *y) {
    for (uint32_t row = 0; row < w->dim[1]; row++) {
        y[row] = 0;
        for (uint32_t i = 0; i < w->dim[0]; i++) y[row] += at(w, row, i) * x[i];
    }
}

static void exact_rope(const small_model *s, double *heads, int n_head, int pos) {
    const solo_rope_pairs pairs = s->m.hp.rope_pairs;
    const double size = (double)s->m.hp.rope_attn_factor;
    for (int head = 0; head < n_head; head++) {
        double old[DIM];
        memcpy(old, heads + head * DIM, sizeof old);
        for (int i = 0; i < TURN / 2; i++) {
            int a = pairs == SOLO_ROPE_HALVES ? i : 2 * i;
            int b = pairs == SOLO_ROPE_HALVES ? i + TURN / 2 : 2 * i + 1;
            double angle = pos / pow(100, 2.0 * i / TURN);
            if (s->m.rope_factors_long) angle /= at(s->m.rope_factors_long, 0, (uint32_t)i);
            heads[head * DIM + a] = size * (old[a] * cos(angle) - old[b] * sin(angle));
            heads[head * DIM + b] = size * (old[b] * cos(angle) + old[a] * sin(angle));
        }
    }
}

typedef struct exact_trace { /* at the last position */
    double x[LAYER + 1][EMBD], qkv[LAYER][QKV], att[LAYER][Q_DIM], x1[LAYER][EMBD], h[LAYER][FF];
    double logits[VOCAB];
} exact_trace;

static void exact_attend(double (*qkv)[QKV], int first, int pos, double *att) {
    for (int head = 0; head < HEAD; head++) {
        double weight[POS], total = 0;
        int kv = head / (HEAD / KV);
        for (int p = first; p <= pos; p++) {
            double score = 0;
            for (int i = 0; i < DIM; i++)
                score += qkv[pos][head * DIM + i] * qkv[p][Q_DIM + kv * DIM + i];
            weight[p] = exp(score * (double)0.6f);
            total += weight[p];
        }
        for (int i = 0; i < DIM; i++) {
            att[head * DIM + i] = 0;
            for (int p = first; p <= pos; p++)
                att[head * DIM + i] += weight[p] / total * qkv[p][Q_DIM + KV_DIM + kv * DIM + i];
        }
    }
}

static void exact_run(const small_model *s, const uint32_t *ids, int n, exact_trace *t) {
    double x[POS][EMBD], qkv[POS][QKV], y[EMBD], delta[EMBD], gate[FF], up[FF];
    for (int pos = 0; pos < n; pos++) {
        for (uint32_t i = 0; i < EMBD; i++) x[pos][i] = at(s->m.embd, ids[pos], i);
    }
    for (int l = 0; l < LAYER; l++) {
        const solo_layer *w = &s->layer[l];
        memcpy(t->x[l], x[n - 1], sizeof t->x[l]);
        for (int pos = 0; pos < n; pos++) {
            exact_norm(x[pos], w->attn_norm, y);
            exact_matvec(w->q, y, qkv[pos]);
            exact_matvec(w->k, y, qkv[pos] + Q_DIM);
            exact_matvec(w->v, y, qkv[pos] + Q_DIM + KV_DIM);
            exact_rope(s, qkv[pos], HEAD + KV, pos);
        }
        for (int pos = 0; pos < n; pos++) {
            int window = (int)s->m.hp.attn_window, first = pos + 1 - window;
            exact_attend(qkv, window && first > 0 ? first : 0, pos, t->att[l]);
            exact_matvec(w->out, t->att[l], delta);
            for (int i = 0; i < EMBD; i++) t->x1[l][i] = x[pos][i] + delta[i];
            exact_norm(t->x1[l], w->ffn_norm, y);
            exact_matvec(w->gate, y, gate);
            exact_matvec(w->up, y, up);
            for (int i = 0; i < FF; i++) t->h[l][i] = gate[i] / (1 + exp(-gate[i])) * up[i];
            exact_matvec(w->down, t->h[l], delta);
            for (int i = 0; i < EMBD; i++) x[pos][i] = t->x1[l][i] + delta[i];
        }
        memcpy(t->qkv[l], qkv[n - 1], sizeof t->qkv[l]);
    }
    memcpy(t->x[LAYER], x[n - 1], sizeof t->x[LAYER]);
    exact_norm(x[n - 1], s->m.output_norm, y);
    exact_matvec(s->m.output, y, t->logits);
}

static void compare(const char *what, const float *found, const double *wanted, int n) {
    for (int i = 0; i < n; i++) {
        if (!(fabs((double)found[i] - wanted[i]) <= 1e-5 * (1 + fabs(wanted[i]))))
            fail_msg("%s[%d]: wanted %.9g, found %.9g", what, i, wanted[i], (double)found[i]);
    }
}

static void step_of(variant v) {
    static const uint32_t ids[POS] = {3, 10, 0, 3, 7};
    small_model *s = small_open(v);
    solo_ref *ref;
    solo_error err;
    float logits[VOCAB];
    exact_trace t;
    assert_true(solo_ref_open(&ref, &s->m, POS, &err));
    for (int pos = 0; pos < POS; pos++) {
        solo_ref_step(ref, ids[pos], (uint32_t)pos, pos == 2 ? NULL : logits);
        exact_run(s, ids, pos + 1, &t);
        solo_ref_trace found = solo_ref_get_trace(ref);
        compare("qkv", found.qkv, t.qkv[0], LAYER * QKV);
        compare("att", found.att, t.att[0], LAYER * Q_DIM);
        compare("x1", found.x1, t.x1[0], LAYER * EMBD);
        compare("h", found.h, t.h[0], LAYER * FF);
        compare("x", found.x, t.x[0], (LAYER + 1) * EMBD);
        if (pos != 2) compare("logits", logits, t.logits, VOCAB);
    }
    /* going back: a shorter context must not see what was once written behind it */
    static const uint32_t other[3] = {3, 10, 5};
    solo_ref_step(ref, 5, 2, logits);
    exact_run(s, other, 3, &t);
    compare("logits, going back", logits, t.logits, VOCAB);
    solo_ref_close(ref);
    free(s);
}

static void step_neighbours(void **state) {
    (void)state;
    step_of((variant){.pairs = SOLO_ROPE_NEIGHBOURS, .tied = true, .attn_factor = 1});
}

static void step_halves(void **state) {
    (void)state;
    step_of((variant){.pairs = SOLO_ROPE_HALVES, .attn_factor = 1});
}

static void step_in_a_window(void **state) {
    (void)state;
    for (uint32_t window = 1; window <= POS + 1; window++)
        step_of((variant){.pairs = SOLO_ROPE_HALVES, .attn_factor = 1, .window = window});
}

static void step_with_long_factors(void **state) {
    (void)state;
    step_of((variant){.pairs = SOLO_ROPE_HALVES, .attn_factor = 1.2f, .factors = true});
}

/* The logits of ids 0, 40, 80, ... as tools/exact_reference.py --ids --ctx has them for this file:
 * partly turning heads, short and long factors, a window, three layers. */
static void phi3_against_the_exact_reference(void **state) {
    (void)state;
    static const struct { uint32_t n_ctx; float logits[8]; } wanted[] = {
        {24, {-0.1196274f, 0.9629278f, 0.7886315f, 0.4864306f, -0.0442468f, -1.1727666f, -2.3904499f,
              0.8164211f}},
        {40, {-0.1639424f, 0.9419714f, 0.7966792f, 0.4613107f, -0.1637751f, -1.1835202f, -2.2276404f,
              0.9605202f}}};
    const tiny_desc desc = {.phi3 = true, .n_layer = 3, .head_dim = 24, .rope_dim = 16, .n_head = 4,
                            .n_head_kv = 2, .n_ctx_orig = 32, .attn_factor = 1.2f, .attn_window = 5,
                            .seed = 27, .type_v = SOLO_TYPE_Q8_0, .type_up = SOLO_TYPE_Q4_0};
    uint8_t *bytes;
    uint64_t n;
    solo_model *m;
    assert_true(tiny_gguf(&desc, &bytes, &n));
    assert_true(solo_model_open(&m, &(solo_model_desc){.bytes = bytes, .n_bytes = n}, NULL));
    for (uint32_t i = 0; i < SOLO_COUNT(wanted); i++) {
        solo_ref *ref;
        float logits[320];
        assert_true(solo_ref_open(&ref, m, wanted[i].n_ctx, NULL));
        for (uint32_t pos = 0; pos < 20; pos++)
            solo_ref_step(ref, (37 * pos * pos + 11 * pos + 5) % 320, pos, logits);
        for (uint32_t k = 0; k < 8; k++) NEAR(logits[40 * k], wanted[i].logits[k], 5e-6);
        solo_ref_close(ref);
    }
    solo_model_close(m);
    free(bytes);
}

static void open_refuses(void **state) {
    (void)state;
    small_model *s = small_open((variant){.pairs = SOLO_ROPE_HALVES, .tied = true});
    solo_ref *ref;
    solo_error err = {0};
    assert_false(solo_ref_open(&ref, &s->m, 0, &err));
    assert_int_equal(err.status, SOLO_ARGUMENT);
    assert_null(ref);
    s->m.hp.head_dim = 4096;
    assert_false(solo_ref_open(&ref, &s->m, 8, &err));
    assert_int_equal(err.status, SOLO_UNSUPPORTED);
    assert_non_null(strstr(err.text, "4096"));
    solo_ref_close(NULL);
    free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norm_by_hand),        cmocka_unit_test(norm_takes_large_numbers),
        cmocka_unit_test(layer_norm_by_hand), cmocka_unit_test(gelu_by_hand),
        cmocka_unit_test(scores_are_capped), cmocka_unit_test(glu_by_hand),         cmocka_unit_test(rope_neighbours),
        cmocka_unit_test(rope_halves),         cmocka_unit_test(attend_maps_heads),
        cmocka_unit_test(attend_by_hand),      cmocka_unit_test(attend_against_formula),
        cmocka_unit_test(kv_rounds_by_spans),
        cmocka_unit_test(matvec_by_hand),      cmocka_unit_test(matvec_of_each_type),
        cmocka_unit_test(embed_is_a_row),      cmocka_unit_test(step_neighbours),
        cmocka_unit_test(step_halves),         cmocka_unit_test(step_in_a_window),
        cmocka_unit_test(step_with_long_factors),
        cmocka_unit_test(phi3_against_the_exact_reference), cmocka_unit_test(open_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
