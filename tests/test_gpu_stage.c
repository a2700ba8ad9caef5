/* test_gpu_stage.c: each stage on an adapter against the CPU reference, layer by layer: every
 * weight type in several roles, types mixed across layers, tails, GQA ratios, both orders of RoPE's
 * pairs, both activations and KV types, teams. The first stage in the order of the token whose
 * error passes its bound is named, so that a failure is bisected already. Sentinels stand around
 * and in whatever a step writes. The factoring is stages; test_gpu_factoring.c holds the others
 * against it. */
#include "gpu.h"

#include "ref.h"
#include "stream.h"

#define N_CTX 64u

/* Bounds on |found - wanted|^2 / |wanted|^2, all stages; errors of earlier layers are in those of
 * later ones. SOLO_TEST_PRINT=1 shows what was found. */
#define F32_NMSE 1e-10   /* 8e-13 was seen */
#define F16_KV_NMSE 1e-6 /* halves round by up to 2^-11 of a number: 2e-7 was seen */
#define INT8_NMSE 2e-3   /* activations round by 1/254 of their neighbours' largest: 7e-4 was seen \
                          */

typedef struct config {
    const char *name;
    tiny_desc model;
    solo_activations activations;
    solo_kv_type kv_type;
    uint32_t max_team, workgroup_size;
    uint32_t min_parts; /* of a block that attention mixes apart */
    solo_rope_pairs pairs;
    uint32_t rope_dim; /* 0: all of a head */
    float attn_scale;  /* 0: the model's */
    bool subgroups;    /* attention in registers, where the adapter's are of max_team lanes */
    bool chunked; /* the inputs of every matrix come in chunks */
    bool slow_too;     /* where shaders compile slowly as well */
    uint32_t queue;    /* of weights; 0: the adapter's own */
    uint32_t quads;    /* of a row of down, where it has a queue of passes in a loop or, by `loop`, of all units */
    bool loop;
} config;

/* ---- what a step left, as numbers ----------------------------------------------------------- */

typedef struct step_words {
    const solo_plan *plan;
    uint32_t *at; /* [msg_words] */
    uint32_t *kv_k, *kv_v;
} step_words;

static void take_f32(const step_words *w, uint32_t at, uint32_t n, float *out) {
    for (uint32_t i = 0; i < n; i++) out[i] = gpu_f32_of(w->at[at + i]);
}

/* n inputs of a matrix: f32, or int8 with a scale for `span` neighbours. */
static void take_inputs(const step_words *w, uint32_t at, uint32_t at_scale, uint32_t span,
                        uint32_t n, float *out) {
    if (w->plan->desc.activations == SOLO_ACTIVATIONS_F32) {
        take_f32(w, at, n, out);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        int8_t q = (int8_t)(uint8_t)(w->at[at + i / 4] >> 8 * (i % 4));
        out[i] = (float)q * gpu_f32_of(w->at[at_scale + i / span]);
    }
}

/* The splits of attention, put together: sum of exp(m_s - m) o_s over sum of exp(m_s - m) l_s. */
static void take_attention(const step_words *w, uint32_t layer_at, float *out) {
    const solo_geometry *g = &w->plan->geometry;
    const solo_hparams *hp = g->desc.hp;
    for (uint32_t head = 0; head < hp->n_head; head++) {
        const uint32_t *ml = w->at + layer_at + g->l_att_ml + head * g->n_split * 2;
        double m = -INFINITY, sum = 0;
        for (uint32_t s = 0; s < g->n_split; s++) m = fmax(m, (double)gpu_f32_of(ml[2 * s]));
        for (uint32_t s = 0; s < g->n_split; s++)
            sum += exp((double)gpu_f32_of(ml[2 * s]) - m) * (double)gpu_f32_of(ml[2 * s + 1]);
        for (uint32_t d = 0; d < hp->head_dim; d++) {
            double o = 0;
            for (uint32_t s = 0; s < g->n_split; s++) {
                uint32_t at = layer_at + g->l_att + (head * g->n_split + s) * hp->head_dim + d;
                o += exp((double)gpu_f32_of(ml[2 * s]) - m) * (double)gpu_f32_of(w->at[at]);
            }
            out[head * hp->head_dim + d] = (float)(o / sum);
        }
    }
}

/* ---- comparing ------------------------------------------------------------------------------ */

typedef struct comparison {
    const config *c;
    uint32_t pos;
    double bound, worst;
    char where[80]; /* the first that passes the bound; "": none */
    double found;
} comparison;

static void compare(comparison *cmp, uint32_t layer, const char *what, const float *found,
                    const float *wanted, uint32_t n) {
    double e = gpu_nmse(found, wanted, n);
    if (e > cmp->worst) cmp->worst = e;
    if (e <= cmp->bound || cmp->where[0]) return;
    snprintf(cmp->where, sizeof cmp->where, "layer %u, %s", layer, what);
    cmp->found = e;
}

/* X, its squares, and X times the gain, which is what the next matrices read. */
static void compare_x(comparison *cmp, const step_words *w, uint32_t layer, const char *what,
                      uint32_t at, const float *x, const solo_tensor *gain) {
    const solo_geometry *g = &w->plan->geometry;
    uint32_t d = g->desc.hp->n_embd;
    float *found = solo_zalloc(3 * (size_t)d, 4), *scaled = found + d, *part = found + 2 * d;
    take_f32(w, at, d, found);
    compare(cmp, layer, what, found, x, d);
    for (uint32_t i = 0; i < d; i++) part[i / g->qd] += x[i] * x[i];
    take_f32(w, at + g->x_ss, g->n_ss, found);
    compare(cmp, layer, "sums of squares", found, part, g->n_ss);
    if (g->n_sum > g->n_ss) {
        memset(part, 0, g->n_ss * sizeof *part);
        for (uint32_t i = 0; i < d; i++) part[i / g->qd] += x[i];
        take_f32(w, at + g->x_ss + g->n_ss, g->n_ss, found);
        compare(cmp, layer, "sums", found, part, g->n_ss);
    }
    solo_tensor_f32(gain, scaled);
    for (uint32_t i = 0; i < d; i++) scaled[i] *= x[i];
    take_inputs(w, at + g->x_y, at + g->x_scale, g->qd, d, found);
    compare(cmp, layer, "the residual times the gain", found, scaled, d);
    free(found);
}

static void compare_kv(comparison *cmp, const step_words *w, uint32_t layer, const char *what,
                       uint32_t at, const uint32_t *cache, const float *wanted, bool turned) {
    const solo_geometry *g = &w->plan->geometry;
    const solo_hparams *hp = g->desc.hp;
    float *found = solo_zalloc(3 * (size_t)g->rows_k, 4), *row = found + g->rows_k,
          *in = row + g->rows_k;
    for (uint32_t r = 0; r < g->rows_k; r++) {
        uint32_t head = r / hp->head_dim;
        found[r] = gpu_kv_number(w->plan, w->at + at, r);
        const uint32_t *line =
            cache + ((size_t)(layer * hp->n_head_kv + head) * N_CTX + cmp->pos) * g->kv_row;
        row[r] = gpu_kv_number(w->plan, line, r % hp->head_dim);
        in[r] = wanted[turned ? gpu_row_in_file(hp, r) : r];
    }
    compare(cmp, layer, what, found, in, g->rows_k);
    if (memcmp(found, row, g->rows_k * sizeof *row) && !cmp->where[0]) {
        snprintf(cmp->where, sizeof cmp->where, "layer %u, %s in the cache", layer, what);
        cmp->found = INFINITY;
    }
    free(found);
}

static void compare_layer(comparison *cmp, const step_words *w, const solo_model *m,
                          const solo_ref_trace *t, uint32_t l) {
    const solo_geometry *g = &w->plan->geometry;
    const solo_hparams *hp = &m->hp;
    uint32_t at = l * g->layer_words, n_qkv = g->rows_q + 2 * g->rows_k;
    uint32_t most = g->rows_q > hp->n_ff ? g->rows_q : hp->n_ff;
    float *found = solo_zalloc(2 * (size_t)most, 4), *wanted = found + most;
    const float *qkv = t->qkv + (size_t)l * n_qkv;
    compare_x(cmp, w, l, "X", at, t->x + (size_t)l * hp->n_embd, m->layer[l].attn_norm);
    take_f32(w, at + g->l_q, g->rows_q, found);
    for (uint32_t r = 0; r < g->rows_q; r++) wanted[r] = qkv[gpu_row_in_file(hp, r)];
    compare(cmp, l, "q", found, wanted, g->rows_q);
    compare_kv(cmp, w, l, "k", at + g->l_k, w->kv_k, qkv + g->rows_q, true);
    compare_kv(cmp, w, l, "v", at + g->l_v, w->kv_v, qkv + g->rows_q + g->rows_k, false);
    if (cmp->pos >= g->att_whole) {
        take_attention(w, at, found);
        compare(cmp, l, "attention", found, t->att + (size_t)l * g->rows_q, g->rows_q);
    }
    take_inputs(w, at + g->l_a, at + g->l_a_scale, g->qa, g->rows_q, found);
    compare(cmp, l, cmp->pos < g->att_whole ? "attention, whole" : "attention's splits combined", found,
            t->att + (size_t)l * g->rows_q, g->rows_q);
    compare_x(cmp, w, l, "X1", at + g->l_x1, t->x1 + (size_t)l * hp->n_embd, m->layer[l].ffn_norm);
    take_inputs(w, at + g->l_h, at + g->l_h_scale, g->qf, hp->n_ff, found);
    compare(cmp, l, "h", found, t->h + (size_t)l * hp->n_ff, hp->n_ff);
    free(found);
}

/* The best of each tile of logits, bit for bit what the logits say. */
static void expect_bests(const step_words *w) {
    const solo_geometry *g = &w->plan->geometry;
    const solo_role_geometry *r = &g->role[SOLO_ROLE_LOGITS];
    for (uint32_t t = 0; t < r->n_tile; t++) {
        uint32_t best = t * r->tile;
        for (uint32_t i = best; i < (t + 1) * r->tile && i < g->desc.hp->n_vocab; i++) {
            if (gpu_f32_of(w->at[g->m_logits + i]) > gpu_f32_of(w->at[g->m_logits + best]))
                best = i;
        }
        assert_int_equal(w->at[g->m_top + 2 * t + 1], best);
        assert_int_equal(w->at[g->m_top + 2 * t], w->at[g->m_logits + best]);
    }
}

static void compare_step(comparison *cmp, const step_words *w, const solo_model *m, solo_ref *ref,
                         const float *logits) {
    const solo_geometry *g = &w->plan->geometry;
    const solo_hparams *hp = &m->hp;
    solo_ref_trace t = solo_ref_get_trace(ref);
    for (uint32_t l = 0; l < hp->n_layer; l++) compare_layer(cmp, w, m, &t, l);
    compare_x(cmp, w, hp->n_layer, "X", hp->n_layer * g->layer_words,
              t.x + (size_t)hp->n_layer * hp->n_embd, m->output_norm);
    float *found = solo_zalloc(hp->n_vocab, 4);
    take_f32(w, g->m_logits, hp->n_vocab, found);
    compare(cmp, hp->n_layer, "logits", found, logits, hp->n_vocab);
    free(found);
    if (cmp->where[0])
        fail_msg("%s: position %u: first off at %s: error %.3g, allowed %.3g", cmp->c->name,
                 cmp->pos, cmp->where, cmp->found, cmp->bound);
    expect_bests(w);
}

/* ---- sentinels ------------------------------------------------------------------------------ */

/* Whether steps draw an id. A slow compiler takes a fifth of a plan's time for that: there it is test_gpu_sample's
 * and test_gpu_session's. */
static bool draws(void) { return !gpu_compiles_slowly(); }

/* Message words [0, msg_words) are all written, those from `first_free` on are not. */
static void expect_message_words(const solo_plan *plan, const uint32_t *words,
                                 uint32_t first_free) {
    uint32_t n = (uint32_t)(plan->msg.n_bytes / 4);
    const uint32_t n_written = draws() ? plan->geometry.msg_words : plan->geometry.m_id;
    assert_true(first_free < n);
    for (uint32_t i = 0; i < n; i++) {
        bool kept = words[i] == GPU_SENTINEL;
        if (i < n_written && kept) fail_msg("message word %u has no writer", i);
        if (i >= first_free && !kept) fail_msg("word %u behind the messages was written", i);
    }
}

/* Of each KV head only rows 0 .. pos hold anything. */
static void expect_kv_rows(const solo_plan *plan, const uint32_t *words, uint32_t pos) {
    const solo_geometry *g = &plan->geometry;
    uint64_t n = (uint64_t)g->desc.hp->n_layer * g->desc.hp->n_head_kv * N_CTX * g->kv_row;
    for (uint64_t i = 0; i < n; i++) {
        bool kept = words[i] == GPU_SENTINEL, past = i / g->kv_row % N_CTX > pos;
        if (kept != past)
            fail_msg("KV row %u of head %u: %s", (uint32_t)(i / g->kv_row % N_CTX),
                     (uint32_t)(i / g->kv_row / N_CTX), kept ? "not written" : "written too early");
    }
}

static void expect_state(const solo_plan *plan, uint32_t pos) {
    uint32_t *words = gpu_read_all(plan->state), at = plan->geometry.state_ids,
             n = plan->geometry.state_words;
    if (draws()) assert_true(words[at + pos + 1] < plan->geometry.desc.hp->n_vocab);
    for (uint32_t i = pos + 2; at + i < n; i++) assert_int_equal(words[at + i], GPU_SENTINEL);
    free(words);
}

/* ---- running -------------------------------------------------------------------------------- */

static double bound_of(const solo_plan *plan) {
    if (plan->desc.activations == SOLO_ACTIVATIONS_INT8) return INT8_NMSE;
    return plan->desc.kv_type == SOLO_KV_F16 ? F16_KV_NMSE : F32_NMSE;
}

static void check_step(const config *c, solo_plan *plan, solo_ref *ref, uint32_t id, uint32_t pos) {
    const solo_model *m = plan->weights->model;
    float *logits = solo_zalloc(m->hp.n_vocab, 4);
    solo_ref_step(ref, id, pos, logits);
    gpu_fill(plan->msg, 0);
    solo_plan_write_ids(plan, pos, &id, 1);
    solo_plan_encode_step(plan, (solo_args){.pos = pos,
                                            .greedy = 1,
                                            .inv_temperature = 1,
                                            .top_p = 1,
                                            .ln_min_p = -1e30f,
                                            .repeat_penalty = 1});
    GPU_OK(solo_device_submit(gpu_device, &gpu_err));
    step_words w = {plan, gpu_read_all(plan->msg), gpu_read_all(plan->kv_k),
                    gpu_read_all(plan->kv_v)};
    comparison cmp = {.c = c, .pos = pos, .bound = bound_of(plan)};
    compare_step(&cmp, &w, m, ref, logits);
    bool unfused = !strcmp(plan->main.factoring.name, "unfused");
    expect_message_words(plan, w.at,
                         plan->geometry.msg_words + (unfused ? plan->geometry.tmp_words : 0));
    expect_kv_rows(plan, w.kv_k, pos);
    expect_kv_rows(plan, w.kv_v, pos);
    expect_state(plan, pos);
    if (getenv("SOLO_TEST_PRINT"))
        printf("%s: position %u: %.3g of %.3g\n", c->name, pos, cmp.worst, cmp.bound);
    free(w.at), free(w.kv_k), free(w.kv_v), free(logits);
}

static void expect_quads(const config *c, const solo_plan *plan) {
    solo_stream stream;
    solo_stream_make(plan->weights, &plan->geometry, false, &stream);
    const solo_stream_role *down = &stream.role[SOLO_ROLE_DOWN];
    assert_true(down->on && down->loop == c->loop);
    assert_int_equal(down->quads, c->quads);
}

static void check_config(const config *c) {
    if (gpu_compiles_slowly() && !c->slow_too) return;
    tiny_desc model = c->model;
    model.n_ctx = N_CTX;
    gpu_bed bed = gpu_model_open(&model);
    solo_hparams *hp = &bed.model->hp;
    hp->rope_pairs = c->pairs;
    if (c->rope_dim) hp->rope_dim = c->rope_dim;
    if (c->attn_scale > 0) hp->attn_scale = c->attn_scale;
    gpu_weights_open(&bed, 0);
    solo_plan_desc d = {
        .factoring = "stages", .activations = c->activations, .kv_type = c->kv_type,
        .max_team = c->max_team, .workgroup_size = c->workgroup_size, .no_subgroups = !c->subgroups,
        .queue = c->queue, .no_prefill = true};
    solo_plan *plan = c->chunked ? gpu_plan_open_chunked(&bed, d) : gpu_plan_open(&bed, d);
    for (uint32_t i = 0; i < SOLO_ROLE_COUNT && c->chunked; i++) /* see wide */
        assert_true(plan->geometry.role[i].tile > 32 || !solo_device_info_of(gpu_device)->is_software);
    assert_true(plan->geometry.att_parts >= c->min_parts);
    if (c->quads) expect_quads(c, plan);
    if (!draws()) plan->main.n_dispatch--; /* sample is the last one */
    solo_ref *ref;
    GPU_OK(solo_ref_open(&ref, bed.model, N_CTX, &gpu_err));
    solo_ref_set_kv(ref, plan->desc.kv_type);
    gpu_fill(plan->kv_k, 0);
    gpu_fill(plan->kv_v, 0);
    gpu_fill(plan->state, (uint64_t)plan->geometry.state_ids * 4);
    uint32_t ids[N_CTX];
    gpu_ids(c->model.seed + 5, hp->n_vocab, ids, N_CTX);
    for (uint32_t pos = 0; pos < 6; pos++) check_step(c, plan, ref, ids[pos], pos);
    solo_ref_close(ref);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

/* ---- configurations ------------------------------------------------------------------------- */

static void many_types_f32(void **state) {
    (void)state;
    check_config(&(config){.name = "many types, f32",
                           .model = gpu_many_types,
                           .activations = SOLO_ACTIVATIONS_F32,
                           .slow_too = true});
}

static void many_types_int8(void **state) {
    (void)state;
    check_config(&(config){.name = "many types, int8", .model = gpu_many_types});
}

static void other_roles_f32(void **state) {
    (void)state;
    check_config(&(config){.name = "other roles, f32 with f16 KV",
                           .model = gpu_other_roles,
                           .activations = SOLO_ACTIVATIONS_F32,
                           .kv_type = SOLO_KV_F16, /* scores and mixing shared among lanes */
                           .max_team = 2,
                           .workgroup_size = 64,
                           .min_parts = 2});
}

static void other_roles_int8(void **state) {
    (void)state;
    check_config(&(config){.name = "other roles, int8 with f32 KV",
                           .model = gpu_other_roles,
                           .kv_type = SOLO_KV_F32,
                           .slow_too = true});
}

static void k_quants_f32(void **state) {
    (void)state;
    check_config(&(config){.name = "K-quants, f32",
                           .model = gpu_k_quants,
                           .activations = SOLO_ACTIVATIONS_F32,
                           .slow_too = true});
}

static void k_quants_int8_teams(void **state) {
    (void)state;
    check_config(&(config){.name = "K-quants, int8, teams of 8",
                           .model = gpu_k_quants,
                           .max_team = 8,
                           .workgroup_size = 64,
                           .subgroups = true,
                           .slow_too = true});
}

static void more_quants_f32(void **state) {
    (void)state;
    check_config(&(config){.name = "other quants, f32",
                           .model = gpu_more_quants,
                           .activations = SOLO_ACTIVATIONS_F32,
                           .slow_too = true});
}

static void more_quants_int8(void **state) {
    (void)state;
    check_config(&(config){.name = "other quants, int8", .model = gpu_more_quants, .slow_too = true});
}

static void mixed_f32_teams(void **state) {
    (void)state;
    check_config(&(config){.name = "mixed layers, f32, teams of 4",
                           .model = gpu_mixed,
                           .activations = SOLO_ACTIVATIONS_F32,
                           .max_team = 4});
}

static void mixed_int8(void **state) {
    (void)state;
    check_config(&(config){.name = "mixed layers, int8", .model = gpu_mixed, .slow_too = true});
}

/* Tiles of more rows than a software adapter's workgroup has lanes, in every stage. */
static const tiny_desc wide = {.n_embd = 640, .n_head = 8, .n_head_kv = 4, .head_dim = 80,
                               .n_ff = 736, .n_vocab = 1333, .seed = 26};

static void inputs_in_chunks(void **state) {
    (void)state;
    config c = {.name = "f32 in chunks", .model = wide, .activations = SOLO_ACTIVATIONS_F32};
    c.chunked = true;
    check_config(&c);
    c.name = "int8 in chunks";
    c.activations = SOLO_ACTIVATIONS_INT8;
    c.slow_too = true;
    check_config(&c);
}

/* Scales in quads, of rows whose groups end within a quad: in loops, where a row has two runs of them, and in a queue,
 * where a quad outlives a pass's units and where each unit has its registers. */
static void scales_in_quads(void **state) {
    (void)state;
    config c = {.name = "quads, in loops", .activations = SOLO_ACTIVATIONS_F32, .slow_too = true,
                .model = {.n_ff = 193 * 32, .seed = 39, .type_down = SOLO_TYPE_Q4_0}};
    check_config(&c);
    c.name = "quads, in passes";
    c.model.n_ff = 97 * 32;
    c.max_team = 32, c.workgroup_size = 64;
    c.queue = 9, c.quads = 1, c.loop = true;
    check_config(&c);
    c.name = "quads, unit by unit";
    c.model.type_down = SOLO_TYPE_Q8_0;
    c.queue = 64, c.loop = false;
    check_config(&c);
}

/* Llama's files keep pairs as neighbours; others keep halves and turn a part of a head only. */
static void rope_halves_in_part(void **state) {
    (void)state;
    tiny_desc d = {
        .n_embd = 64, .n_head = 8, .n_head_kv = 2, .head_dim = 20, .n_ff = 64, .seed = 25};
    check_config(&(config){.name = "RoPE in halves, 12 of 20",
                           .model = d,
                           .activations = SOLO_ACTIVATIONS_F32,
                           .pairs = SOLO_ROPE_HALVES,
                           .rope_dim = 12,
                           .attn_scale = 0.3f});
}

/* int8 rows whose spans are a whole vec4 and a word left over; tiles hold several spans, and a span's numbers are
 * pairs from both halves of a head. */
static void int8_kv(void **state) {
    (void)state;
    check_config(&(config){.name = "int8 KV, heads of 80",
                           .model = {.n_embd = 96, .n_head = 2, .n_head_kv = 1, .head_dim = 80, .seed = 36},
                           .activations = SOLO_ACTIVATIONS_F32,
                           .kv_type = SOLO_KV_INT8,
                           .pairs = SOLO_ROPE_HALVES,
                           .rope_dim = 48,
                           .max_team = 8, /* lavapipe's: one adapter by lanes, the other in memory */
                           .subgroups = true,
                           .slow_too = true});
}

/* Fused tensors, the long factors with theirs on cos and sin, and a window that positions 3 to 5
 * reach beyond, in one split and in several. */
static void phi3(void **state) {
    (void)state;
    tiny_desc d = {.phi3 = true, .head_dim = 24, .rope_dim = 16, .n_head = 4, .n_head_kv = 4,
                   .n_ctx_orig = N_CTX / 2, .attn_factor = 1.2f, .attn_window = 3, .seed = 27,
                   .type_v = SOLO_TYPE_Q8_0, .type_up = SOLO_TYPE_Q4_0};
    config c = {.name = "phi3, f32", .model = d, .activations = SOLO_ACTIVATIONS_F32,
                .pairs = SOLO_ROPE_HALVES};
    check_config(&c);
    c.name = "phi3, int8, splits";
    c.activations = SOLO_ACTIVATIONS_INT8;
    c.max_team = 2;
    c.slow_too = true;
    check_config(&c);
}

/* Both kinds of activations, one with lanes that share rows and heads. */
static void check_arch(const tiny_desc *model, solo_rope_pairs pairs, bool slow_too) {
    config c = {.name = model->arch, .model = *model, .activations = SOLO_ACTIVATIONS_F32,
                .pairs = pairs, .max_team = 2, .slow_too = slow_too};
    check_config(&c);
    c.activations = SOLO_ACTIVATIONS_INT8;
    c.max_team = 0;
    check_config(&c);
}

static void qwen2(void **state) {
    (void)state;
    check_arch(&gpu_qwen2, SOLO_ROPE_HALVES, true);
}

static void qwen3(void **state) {
    (void)state;
    check_arch(&gpu_qwen3, SOLO_ROPE_HALVES, true);
}

static void gpt2(void **state) {
    (void)state;
    check_arch(&gpu_gpt2, SOLO_ROPE_NEIGHBOURS, true);
}

static void gemma(void **state) {
    (void)state;
    check_arch(&gpu_gemma2, SOLO_ROPE_HALVES, false);
    check_arch(&gpu_gemma3, SOLO_ROPE_HALVES, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_types_f32),      cmocka_unit_test(many_types_int8),
        cmocka_unit_test(other_roles_f32),     cmocka_unit_test(other_roles_int8),
        cmocka_unit_test(k_quants_f32),        cmocka_unit_test(k_quants_int8_teams),
        cmocka_unit_test(more_quants_f32),     cmocka_unit_test(more_quants_int8),
        cmocka_unit_test(mixed_f32_teams),     cmocka_unit_test(mixed_int8),
        cmocka_unit_test(inputs_in_chunks),    cmocka_unit_test(rope_halves_in_part),
        cmocka_unit_test(phi3),                cmocka_unit_test(qwen2),
        cmocka_unit_test(qwen3),               cmocka_unit_test(gpt2),
        cmocka_unit_test(gemma),               cmocka_unit_test(int8_kv),
        cmocka_unit_test(scales_in_quads),
    };
    cmocka_set_test_filter(getenv("SOLO_TEST_FILTER")); /* a pattern: only these tests */
    return cmocka_run_group_tests(tests, gpu_open, gpu_close);
}
