/* ref.c: the model in plain C, one function a stage. It owns its KV cache and the trace of the last
 * step; weights stay in the file and are dequantised a piece of a row at a time, each time they are
 * read.
 *
 * Vectors between stages are f32, as on the GPU. Within a stage every sum (dot products, sum of
 * squares, softmax) is kept in double and rounded once, in a fixed order: an oracle should add no
 * error of its own to the one it measures. */
#include "ref.h"

#include "parallel.h"

#include <math.h>

#define PIECE 256u        /* weights dequantised at a time: a multiple of every type's block */
#define HEAD_DIM_MAX 1024u /* bounds attend's sums, which live on the stack */

struct solo_ref {
    const solo_model *model; /* borrowed */
    solo_kv_type kv_type;
    uint32_t n_ctx;
    uint32_t q_dim, kv_dim;
    float *cos_sin;     /* [n_rope][n_ctx][rope_dim / 2][2] */
    float *attn_norm;   /* [n_layer][n_embd] */
    float *ffn_norm;    /* [n_layer][n_embd] */
    float *output_norm; /* [n_embd] */
    float *k, *v;       /* [n_layer][n_ctx][n_head_kv][head_dim] */
    float *x;           /* [n_layer + 1][n_embd] these five: see solo_ref_trace */
    float *qkv;         /* [n_layer][q_dim + 2 kv_dim] */
    float *att;         /* [n_layer][q_dim] */
    float *x1;          /* [n_layer][n_embd] */
    float *h;           /* [n_layer][n_ff] */
    float *vector;      /* [the longest] the one that numbers() read last */
    float *normed;      /* [n_embd] */
    float *delta;       /* [n_embd] what a block adds to the residual */
    float *gate, *up;   /* [n_ff] */
};

/* ---- stages --------------------------------------------------------------------------------- */

static uint64_t row_bytes(const solo_tensor *w) {
    const solo_type_info *info = solo_type_get_info((uint32_t)w->type);
    SOLO_ASSERT(info && info->form != SOLO_FORM_NONE && w->dim[0] % info->n_block == 0);
    return w->dim[0] / info->n_block * info->block_bytes;
}

static void read_row(const solo_tensor *t, uint64_t row, float *x) {
    SOLO_ASSERT(row < t->dim[1]);
    solo_dequant(t->type, t->data + row * row_bytes(t), t->dim[0], x);
}

void solo_ref_embed(const solo_model *m, uint32_t id, uint32_t pos, float *x) {
    read_row(m->embd, id, x);
    for (uint32_t i = 0; m->hp.embd_scale != 1.0f && i < m->hp.n_embd; i++) x[i] *= m->hp.embd_scale;
    if (!m->positions) return;
    float *at = solo_alloc(m->hp.n_embd * sizeof *at);
    read_row(m->positions, pos, at);
    solo_ref_add(x, at, m->hp.n_embd);
    free(at);
}

void solo_ref_norm(const float *x, const float *gain, uint32_t n, float eps, float *y) {
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    double scale = 1 / sqrt(sum / n + (double)eps);
    for (uint32_t i = 0; i < n; i++) y[i] = (float)((double)x[i] * scale * (double)gain[i]);
}

void solo_ref_layer_norm(const float *x, const float *gain, const float *bias, uint32_t n, float eps, float *y) {
    double sum = 0, square = 0;
    for (uint32_t i = 0; i < n; i++) sum += (double)x[i];
    const double mean = sum / n;
    for (uint32_t i = 0; i < n; i++) square += ((double)x[i] - mean) * ((double)x[i] - mean);
    double scale = 1 / sqrt(square / n + (double)eps);
    for (uint32_t i = 0; i < n; i++)
        y[i] = (float)(((double)x[i] - mean) * scale * (double)gain[i] + (double)bias[i]);
}

/* Four sums, so that additions overlap; they are added in this order, whatever the compiler. */
static double dot(const float *a, const float *b, uint64_t n) {
    double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    uint64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        s0 += (double)a[i] * (double)b[i];
        s1 += (double)a[i + 1] * (double)b[i + 1];
        s2 += (double)a[i + 2] * (double)b[i + 2];
        s3 += (double)a[i + 3] * (double)b[i + 3];
    }
    for (; i < n; i++) s0 += (double)a[i] * (double)b[i];
    return (s0 + s1) + (s2 + s3);
}

typedef struct product {
    const solo_tensor *w;
    const float *x;
    float *y;
} product;

static void multiply_rows(void *user, uint32_t first, uint32_t end) {
    const product *p = user;
    const solo_type_info *info = solo_type_get_info((uint32_t)p->w->type);
    const uint64_t bytes = row_bytes(p->w), n_col = p->w->dim[0];
    float piece[PIECE];
    for (uint64_t row = first; row < end; row++) {
        const uint8_t *src = p->w->data + row * bytes;
        double sum = 0;
        for (uint64_t at = 0; at < n_col; at += PIECE) {
            uint64_t n = n_col - at < PIECE ? n_col - at : PIECE;
            solo_dequant(p->w->type, src + at / info->n_block * info->block_bytes, n, piece);
            sum += dot(piece, p->x + at, n);
        }
        p->y[row] = (float)sum;
    }
}

void solo_ref_matvec(const solo_tensor *w, const float *x, float *y) {
    product p = {w, x, y};
    solo_parallel(w->n_dim > 1 ? (uint32_t)w->dim[1] : 1, 1 + (1u << 17) / (uint32_t)w->dim[0], multiply_rows, &p);
}

void solo_ref_add(float *y, const float *bias, uint32_t n) {
    for (uint32_t i = 0; bias && i < n; i++) y[i] += bias[i];
}

void solo_ref_rope(float *heads, uint32_t n_head, uint32_t head_dim, uint32_t rope_dim,
                   solo_rope_pairs pairs, const float *cos_sin) {
    uint32_t n_pair = rope_dim / 2;
    for (uint32_t head = 0; head < n_head; head++) {
        float *row = heads + (size_t)head * head_dim;
        for (uint32_t i = 0; i < n_pair; i++) {
            float *a = pairs == SOLO_ROPE_NEIGHBOURS ? &row[2 * i] : &row[i];
            float *b = pairs == SOLO_ROPE_NEIGHBOURS ? &row[2 * i + 1] : &row[i + n_pair];
            float c = cos_sin[2 * i], s = cos_sin[2 * i + 1];
            float turned = *a * c - *b * s;
            *b = *a * s + *b * c;
            *a = turned;
        }
    }
}

static double capped(double x, float cap) { return cap > 0 ? (double)cap * tanh(x / (double)cap) : x; }

/* Query head h reads KV head h / (n_head / n_head_kv). The products q.k are computed twice, once
 * for their maximum and once for use: so a long context needs no buffer of scores. */
void solo_ref_attend(const float *q, const float *k, const float *v, uint32_t n_pos,
                     uint32_t n_head, uint32_t n_head_kv, uint32_t head_dim, float scale,
                     float cap, float *out) {
    SOLO_ASSERT(head_dim <= HEAD_DIM_MAX && n_head % n_head_kv == 0 && n_pos > 0);
    size_t kv_dim = (size_t)n_head_kv * head_dim;
    for (uint32_t head = 0; head < n_head; head++) {
        const float *qh = q + (size_t)head * head_dim;
        size_t kv_at = (size_t)(head / (n_head / n_head_kv)) * head_dim;
        double max = -INFINITY, total = 0;
        double sum[HEAD_DIM_MAX] = {0};
        for (uint32_t pos = 0; pos < n_pos; pos++) {
            double score = capped(dot(qh, k + pos * kv_dim + kv_at, head_dim) * (double)scale, cap);
            if (score > max) max = score;
        }
        for (uint32_t pos = 0; pos < n_pos; pos++) {
            double score = capped(dot(qh, k + pos * kv_dim + kv_at, head_dim) * (double)scale, cap);
            double weight = exp(score - max);
            const float *row = v + pos * kv_dim + kv_at;
            total += weight;
            for (uint32_t i = 0; i < head_dim; i++) sum[i] += weight * (double)row[i];
        }
        for (uint32_t i = 0; i < head_dim; i++) {
            out[(size_t)head * head_dim + i] = (float)(sum[i] / total);
        }
    }
}

/* Number d of a head's row, as the GPU orders it, in the file's order. */
static uint32_t dim_in_file(uint32_t d, uint32_t rope_dim, solo_rope_pairs pairs) {
    if (pairs == SOLO_ROPE_NEIGHBOURS || d >= rope_dim) return d;
    return d % 2 ? rope_dim / 2 + d / 2 : d / 2;
}

/* kv_int8.wgsl's arithmetic, in f32: which number a half rounds to depends on it. */
static void round_int8(float *row, const uint32_t *at, uint32_t n) {
    float largest = 0;
    for (uint32_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(row[at[i]]));
    const float inverse = largest > 0 ? 127.0f / largest : 0, scale = largest / 127.0f;
    for (uint32_t i = 0; i < n; i++) row[at[i]] = rintf(row[at[i]] * inverse) * scale;
}

void solo_ref_round_kv(solo_kv_type type, float *row, uint32_t head_dim, uint32_t rope_dim, solo_rope_pairs pairs,
                       bool turned) {
    uint32_t at[HEAD_DIM_MAX];
    for (uint32_t d = 0; d < head_dim; d++) {
        at[d] = turned ? dim_in_file(d, rope_dim, pairs) : d;
        if (type == SOLO_KV_F16) row[d] = solo_f16_to_f32(solo_f32_to_f16(row[d]));
    }
    for (uint32_t d = 0; type == SOLO_KV_INT8 && d < head_dim; d += head_dim / 4)
        round_int8(row, at + d, head_dim / 4);
}

static double activate(solo_act act, double x) {
    if (act == SOLO_ACT_SILU) return x / (1 + exp(-x));
    return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
}

void solo_ref_glu(solo_act act, const float *gate, const float *up, uint32_t n, float *h) {
    for (uint32_t i = 0; i < n; i++)
        h[i] = (float)(activate(act, (double)gate[i]) * (up ? (double)up[i] : 1));
}

/* ---- the model ------------------------------------------------------------------------------ */

/* n * size zeroed bytes that may be too many: n_ctx is the caller's. */
static bool make(float **out, uint64_t n_a, uint64_t n_b, uint64_t n_c, solo_error *err) {
    uint64_t n, n_bytes;
    if (!solo_mul_u64(n_a, n_b, &n) || !solo_mul_u64(n, n_c, &n) ||
        !solo_mul_u64(n, sizeof(float), &n_bytes) || n_bytes > SIZE_MAX ||
        !(*out = calloc((size_t)(n ? n : 1), sizeof(float))))
        return solo_fail(err, SOLO_MEMORY, "the CPU reference wanted %llu x %llu x %llu floats",
                         (unsigned long long)n_a, (unsigned long long)n_b,
                         (unsigned long long)n_c);
    return true;
}

static bool make_all(solo_ref *r, solo_error *err) {
    const solo_hparams *hp = &r->model->hp;
    uint32_t longest = hp->n_embd > hp->n_ff ? hp->n_embd : hp->n_ff;
    if (r->q_dim > longest) longest = r->q_dim;
    return make(&r->cos_sin, hp->n_rope, r->n_ctx, hp->rope_dim, err) &&
           make(&r->attn_norm, hp->n_layer, hp->n_embd, 1, err) &&
           make(&r->ffn_norm, hp->n_layer, hp->n_embd, 1, err) &&
           make(&r->output_norm, hp->n_embd, 1, 1, err) &&
           make(&r->k, hp->n_layer, r->n_ctx, r->kv_dim, err) &&
           make(&r->v, hp->n_layer, r->n_ctx, r->kv_dim, err) &&
           make(&r->x, (uint64_t)hp->n_layer + 1, hp->n_embd, 1, err) &&
           make(&r->qkv, hp->n_layer, (uint64_t)r->q_dim + r->kv_dim + r->kv_dim, 1, err) &&
           make(&r->att, hp->n_layer, r->q_dim, 1, err) &&
           make(&r->x1, hp->n_layer, hp->n_embd, 1, err) &&
           make(&r->h, hp->n_layer, hp->n_ff, 1, err) &&
           make(&r->normed, hp->n_embd, 1, 1, err) &&
           make(&r->delta, hp->n_embd, 1, 1, err) &&
           make(&r->vector, longest, 1, 1, err) &&
           make(&r->gate, hp->n_ff, 1, 1, err) && make(&r->up, hp->n_ff, 1, 1, err);
}

bool solo_ref_open(solo_ref **out, const solo_model *model, uint32_t n_ctx, solo_error *err) {
    const solo_hparams *hp = &model->hp;
    *out = NULL;
    if (n_ctx == 0)
        return solo_fail(err, SOLO_ARGUMENT, "n_ctx: wanted at least 1, found 0");
    if (hp->head_dim > HEAD_DIM_MAX)
        return solo_fail(err, SOLO_UNSUPPORTED, "head_dim: wanted at most %u, found %u",
                         HEAD_DIM_MAX, hp->head_dim);
    solo_ref *r = solo_zalloc(1, sizeof *r);
    r->model = model;
    r->n_ctx = n_ctx;
    r->q_dim = hp->n_head * hp->head_dim;
    r->kv_dim = hp->n_head_kv * hp->head_dim;
    if (!make_all(r, err)) {
        solo_ref_close(r);
        return false;
    }
    solo_model_rope_table(model, n_ctx, r->cos_sin);
    for (uint32_t layer = 0; layer < hp->n_layer; layer++) {
        size_t at = (size_t)layer * hp->n_embd;
        solo_tensor_f32(model->layer[layer].attn_norm, r->attn_norm + at);
        solo_tensor_f32(model->layer[layer].ffn_norm, r->ffn_norm + at);
    }
    solo_tensor_f32(model->output_norm, r->output_norm);
    *out = r;
    return true;
}

void solo_ref_set_kv(solo_ref *r, solo_kv_type type) {
    SOLO_ASSERT(type != SOLO_KV_INT8 || r->model->hp.head_dim % 16 == 0);
    r->kv_type = type;
}

void solo_ref_close(solo_ref *r) {
    if (!r) return;
    float *all[] = {r->cos_sin, r->attn_norm, r->ffn_norm, r->output_norm, r->k,
                    r->v,       r->x,         r->qkv,      r->att,         r->x1,
                    r->h,       r->normed,    r->delta,    r->gate,        r->up,
                    r->vector};
    for (uint32_t i = 0; i < SOLO_COUNT(all); i++) free(all[i]);
    free(r);
}

/* A vector as f32, until the next call; NULL where there is none. */
static const float *numbers(solo_ref *r, const solo_tensor *t) {
    if (t) solo_tensor_f32(t, r->vector);
    return t ? r->vector : NULL;
}

static void norm(solo_ref *r, const float *x, const float *gain, const solo_tensor *bias) {
    const solo_hparams *hp = &r->model->hp;
    if (hp->norm == SOLO_NORM_RMS) solo_ref_norm(x, gain, hp->n_embd, hp->norm_eps, r->normed);
    else solo_ref_layer_norm(x, gain, numbers(r, bias), hp->n_embd, hp->norm_eps, r->normed);
}

static void multiply(solo_ref *r, const solo_tensor *w, const solo_tensor *bias, const float *x, float *y) {
    solo_ref_matvec(w, x, y);
    solo_ref_add(y, numbers(r, bias), (uint32_t)w->dim[1]);
}

/* q or k, normed head by head where the model does, and turned. */
static void finish_heads(solo_ref *r, float *heads, uint32_t n_head, const solo_tensor *gain, uint32_t layer,
                         uint32_t pos) {
    const solo_hparams *hp = &r->model->hp;
    const size_t table = hp->n_rope > 1 && !solo_is_global(hp, layer) ? r->n_ctx : 0;
    const float *of_head = numbers(r, gain);
    for (uint32_t i = 0; of_head && i < n_head; i++)
        solo_ref_norm(heads + i * hp->head_dim, of_head, hp->head_dim, hp->norm_eps, heads + i * hp->head_dim);
    solo_ref_rope(heads, n_head, hp->head_dim, hp->rope_dim, hp->rope_pairs,
                  r->cos_sin + (table + pos) * (hp->rope_dim / 2) * 2);
}

static void attention(solo_ref *r, uint32_t layer, uint32_t pos) {
    const solo_hparams *hp = &r->model->hp;
    const solo_layer *w = &r->model->layer[layer];
    float *q = r->qkv + (size_t)layer * (r->q_dim + 2 * (size_t)r->kv_dim);
    float *k = q + r->q_dim, *v = k + r->kv_dim;
    float *k_cache = r->k + (size_t)layer * r->n_ctx * r->kv_dim;
    float *v_cache = r->v + (size_t)layer * r->n_ctx * r->kv_dim;
    multiply(r, w->q, w->q_bias, r->normed, q);
    multiply(r, w->k, w->k_bias, r->normed, k);
    multiply(r, w->v, w->v_bias, r->normed, v);
    finish_heads(r, q, hp->n_head, w->q_norm, layer, pos);
    finish_heads(r, k, hp->n_head_kv, w->k_norm, layer, pos);
    for (uint32_t at = 0; at < r->kv_dim; at += hp->head_dim) {
        solo_ref_round_kv(r->kv_type, k + at, hp->head_dim, hp->rope_dim, hp->rope_pairs, true);
        solo_ref_round_kv(r->kv_type, v + at, hp->head_dim, hp->rope_dim, hp->rope_pairs, false);
    }
    memcpy(k_cache + (size_t)pos * r->kv_dim, k, r->kv_dim * sizeof(float));
    memcpy(v_cache + (size_t)pos * r->kv_dim, v, r->kv_dim * sizeof(float));
    const uint32_t first = solo_first_attended(hp, layer, pos);
    solo_ref_attend(q, k_cache + (size_t)first * r->kv_dim, v_cache + (size_t)first * r->kv_dim,
                    pos + 1 - first, hp->n_head, hp->n_head_kv, hp->head_dim, hp->attn_scale,
                    hp->score_cap, r->att + (size_t)layer * r->q_dim);
}

/* to = x + the projection that delta holds, normed where the model does. */
static void add_delta(solo_ref *r, const float *x, const solo_tensor *gain, float *to) {
    const solo_hparams *hp = &r->model->hp;
    if (gain) solo_ref_norm(r->delta, numbers(r, gain), hp->n_embd, hp->norm_eps, r->delta);
    for (uint32_t i = 0; i < hp->n_embd; i++) to[i] = x[i] + r->delta[i];
}

static void step_layer(solo_ref *r, uint32_t layer, uint32_t pos) {
    const solo_hparams *hp = &r->model->hp;
    const solo_layer *w = &r->model->layer[layer];
    const float *x = r->x + (size_t)layer * hp->n_embd;
    float *x_out = r->x + ((size_t)layer + 1) * hp->n_embd;
    float *x1 = r->x1 + (size_t)layer * hp->n_embd;
    float *h = r->h + (size_t)layer * hp->n_ff;

    norm(r, x, r->attn_norm + (size_t)layer * hp->n_embd, w->attn_norm_bias);
    attention(r, layer, pos);
    multiply(r, w->out, w->out_bias, r->att + (size_t)layer * r->q_dim, r->delta);
    add_delta(r, x, w->post_attn_norm, x1);

    norm(r, x1, r->ffn_norm + (size_t)layer * hp->n_embd, w->ffn_norm_bias);
    multiply(r, w->gate, w->gate_bias, r->normed, r->gate);
    if (w->up) multiply(r, w->up, w->up_bias, r->normed, r->up);
    solo_ref_glu(hp->act, r->gate, w->up ? r->up : NULL, hp->n_ff, h);
    multiply(r, w->down, w->down_bias, h, r->delta);
    add_delta(r, x1, w->post_ffn_norm, x_out);
}

void solo_ref_step(solo_ref *r, uint32_t id, uint32_t pos, float *logits) {
    const solo_hparams *hp = &r->model->hp;
    SOLO_ASSERT(pos < r->n_ctx);
    solo_ref_embed(r->model, id, pos, r->x);
    for (uint32_t layer = 0; layer < hp->n_layer; layer++) step_layer(r, layer, pos);
    if (!logits) return;
    norm(r, r->x + (size_t)hp->n_layer * hp->n_embd, r->output_norm, r->model->output_norm_bias);
    solo_ref_matvec(r->model->output, r->normed, logits);
    for (uint32_t i = 0; i < hp->n_vocab; i++) logits[i] = (float)capped((double)logits[i], hp->logit_cap);
}

solo_ref_trace solo_ref_get_trace(const solo_ref *r) {
    return (solo_ref_trace){.x = r->x, .qkv = r->qkv, .att = r->att, .x1 = r->x1, .h = r->h};
}
