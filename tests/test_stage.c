/* test_stage.c: the tables of stage.h and what is derived from them, without a GPU: every factoring
 * runs each operation once and in order; a geometry's tiles, teams, chunks and message regions fit
 * the shape; the workgroup memory it promises is what the joined WGSL declares. */
#include "stage.h"
#include "tiny.h"
#include "wgsl.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- factorings ----------------------------------------------------------------------------- */

typedef struct op_at {
    solo_op  op;
    uint32_t layer;
} op_at;

/* All operations of a token in order: those before the layers, each layer's, those behind. */
static uint32_t list_ops(const solo_hparams *hp, op_at *out) {
    uint32_t n = 0, op = 0;
    while (op < SOLO_OP_COUNT) {
        uint32_t end = op;
        while (end < SOLO_OP_COUNT && solo_stage_scope(solo_op_stage(end)) == SOLO_SCOPE_LAYER)
            end++;
        for (uint32_t layer = 0; layer < hp->n_layer; layer++)
            for (uint32_t k = op; k < end; k++)
                if (solo_op_is_done(hp, k)) out[n++] = (op_at){k, layer};
        if (end == op) out[n++] = (op_at){op, 0}, end++;
        op = end;
    }
    return n;
}

static solo_factoring find(const char *name, solo_assignment assignment) {
    solo_factoring f;
    solo_error err;
    if (!solo_factoring_find(name, assignment, &f, &err)) fail_msg("%s", err.text);
    return f;
}

#define MAX_OP 4000u

static void expect_covers_of(const solo_factoring *f, const solo_hparams *hp) {
    static op_at wanted[MAX_OP];
    uint32_t n_wanted = list_ops(hp, wanted), at = 0;
    uint32_t n_step = solo_factoring_steps(f, hp, NULL);
    solo_factor_step *steps = solo_zalloc(n_step, sizeof *steps);
    assert_int_equal(solo_factoring_steps(f, hp, steps), n_step);
    for (uint32_t i = 0; i < n_step; i++) {
        const solo_factor_step *step = &steps[i];
        assert_true(at < n_wanted && step->first <= step->last);
        if (wanted[at].op != step->first || wanted[at].layer != step->layer)
            fail_msg("%s: step %u (%s, layer %u) begins with operation %d, wanted %d of layer %u",
                     f->name, i, step->row->entry, step->layer, step->first, wanted[at].op,
                     wanted[at].layer);
        while (at < n_wanted &&
               (wanted[at].op != step->last || wanted[at].layer != step->last_layer))
            at++;
        at++;
    }
    assert_int_equal(at, n_wanted);
    free(steps);
}

static void expect_covers(const solo_factoring *f, uint32_t n_layer) {
    expect_covers_of(f, &(solo_hparams){.n_layer = n_layer});
    expect_covers_of(f, &(solo_hparams){.n_layer = n_layer, .has_head_norm = true});
    expect_covers_of(f, &(solo_hparams){.n_layer = n_layer, .has_post_norm = true, .ungated = true});
}

static void factorings_cover_every_operation(void **state) {
    (void)state;
    static const uint32_t n_layers[] = {1, 2, 3, 8, 9, 32}; /* less than a chunk, whole, and a rest */
    for (uint32_t k = 0; k < SOLO_COUNT(n_layers); k++) {
        for (uint32_t i = 0; solo_factoring_at(i); i++)
            expect_covers(solo_factoring_at(i), n_layers[k]);
        for (uint32_t n = 1; n < 5; n++) {
            char name[16];
            snprintf(name, sizeof name, "chunk:%u", n);
            solo_factoring f = find(name, 0);
            expect_covers(&f, n_layers[k]);
        }
    }
}

/* Whether both files of attention's operations have the text. */
static bool attention_has(const char *head) {
    static const char *const names[] = {"unfused_attend_lanes.wgsl", "unfused_attend_serial.wgsl"};
    bool all = true;
    for (size_t i = 0; i < SOLO_COUNT(names); i++) {
        char *text = solo_wgsl_file(names[i]);
        all = all && strstr(text, head);
        free(text);
    }
    return all;
}

static void rows_fit_their_operations(void **state) {
    (void)state;
    for (uint32_t i = 0; solo_factoring_at(i); i++) {
        const solo_factoring *f = solo_factoring_at(i);
        char *text = solo_wgsl_file(f->kernel);
        bool words = false, form = f->assignment == SOLO_ASSIGNMENT_TICKET;
        assert_int_equal(f->tagged, f->assignment != SOLO_ASSIGNMENT_AUTO);
        if (f->shared) free(solo_wgsl_file(f->shared)); /* or it is a bug that ends the run */
        for (uint32_t k = 0; k < f->n_row; k++) {
            const solo_factor_row *row = &f->row[k];
            char head[80];
            snprintf(head, sizeof head, "\nfn %s(", row->entry);
            if (!strstr(text, head) && !(f->n_row == SOLO_OP_COUNT && attention_has(head)))
                fail_msg("%s has no entry point %s", f->kernel, row->entry);
            /* a dispatch of several stages says how they hand over */
            bool one = solo_op_stage(row->first) == solo_op_stage(row->last);
            assert_int_equal(one, row->sync == SOLO_SYNC_NONE);
            if (one) assert_int_equal(row->scope, solo_stage_scope(solo_op_stage(row->first)));
            words = words || row->sync == SOLO_SYNC_WORDS;
            assert_int_equal(row->scope == SOLO_SCOPE_CHUNK, f->n_chunk_layer > 0);
            if (row->sync == SOLO_SYNC_WORDS)
                assert_non_null(strstr(row->entry, form ? "_ticket" : "_static"));
        }
        assert_int_equal(words, f->tagged);
        free(text);
    }
}

static uint32_t n_dispatch(const char *name, solo_assignment assignment, uint32_t n_layer) {
    solo_factoring f = find(name, assignment);
    return solo_factoring_steps(&f, &(solo_hparams){.n_layer = n_layer}, NULL);
}

static void dispatches_a_token(void **state) {
    (void)state;
    for (uint32_t l = 1; l <= 32; l += 31) {
        assert_int_equal(n_dispatch("unfused", 0, l), 21 * l + 5);
        assert_int_equal(n_dispatch("roles", 0, l), 7 * l + 4);
        assert_int_equal(n_dispatch("stages", 0, l), 6 * l + 3);
        assert_int_equal(n_dispatch("single-wg", 0, l), 1);
        for (int i = SOLO_ASSIGNMENT_AUTO; i <= SOLO_ASSIGNMENT_TICKET; i++) {
            solo_assignment a = (solo_assignment)i;
            assert_int_equal(n_dispatch("layer", a, l), l + 3);
            assert_int_equal(n_dispatch("chunk", a, l), (l + 7) / 8);
            assert_int_equal(n_dispatch("chunk:3", a, l), (l + 2) / 3);
            assert_int_equal(n_dispatch("chunk:999", a, l), 1);
            assert_int_equal(n_dispatch("single", a, l), 1);
            assert_int_equal(n_dispatch("burst", a, l), 1);
        }
    }
    assert_int_equal(n_dispatch("roles", 0, 32), 228); /* zero-tvm's count for Phi-3-mini */
}

static void expect_unknown(const char *name) {
    solo_error err;
    char found[80];
    snprintf(found, sizeof found, "found \"%s\"", name);
    assert_false(solo_factoring_check(name, &err));
    assert_int_equal(err.status, SOLO_ARGUMENT);
    assert_non_null(strstr(err.text, "unfused, roles, stages, layer, chunk, single, single-wg, burst"));
    if (!strstr(err.text, found)) fail_msg("wanted %s in: %s", found, err.text);
}

static void names_find_factorings(void **state) {
    (void)state;
    static const char *const wrong[] = {"fused", "", "sin", "single:2", "chunk:", "chunk:0", "chunk:1000",
                                        "chunk:4x", "chunk:-1", "burst:1", "burst:257", "burst:99999999999",
                                        "stages:1", ":4", "layer:2"};
    for (const char *const *name = solo_factoring_names(); *name; name++)
        assert_memory_equal(find(*name, 0).name, *name, strlen(*name));
    for (uint32_t i = 0; i < SOLO_COUNT(wrong); i++) expect_unknown(wrong[i]);
    assert_string_equal(find("single", SOLO_ASSIGNMENT_AUTO).row[0].entry, "dispatch_single_static");
    assert_string_equal(find("single", SOLO_ASSIGNMENT_STATIC).row[0].entry, "dispatch_single_static");
    assert_string_equal(find("single", SOLO_ASSIGNMENT_TICKET).row[0].entry, "dispatch_single_ticket");
    assert_string_equal(find("chunk", 0).name, "chunk:8");
    assert_int_equal(find("chunk", 0).n_chunk_layer, 8);
    assert_string_equal(find("chunk:12", SOLO_ASSIGNMENT_TICKET).name, "chunk:12");
    assert_int_equal(find("chunk:12", SOLO_ASSIGNMENT_TICKET).n_chunk_layer, 12);
    assert_int_equal(find("burst", 0).n_token, 4);
    assert_int_equal(find("burst:256", 0).n_token, 256);
    assert_string_equal(find("burst:2", 0).name, "burst:2");
    assert_int_equal(find("chunk:2", 0).n_token, 1);
}

/* ---- geometry: invariants ------------------------------------------------------------------- */

static const struct shape {
    const char  *name;
    solo_hparams hp;
} shapes[] = {
#define SHAPE(layers, d, heads, heads_kv, dim, ff, vocab)                                     \
    {.n_layer = layers, .n_embd = d, .n_head = heads, .n_head_kv = heads_kv, .head_dim = dim, \
     .n_ff = ff, .n_vocab = vocab, .n_ctx_train = 131072, .rope_dim = dim}
    {"Phi-3-mini", SHAPE(32, 3072, 32, 32, 96, 8192, 32064)},
    {"Llama-3.2-1B", SHAPE(16, 2048, 32, 8, 64, 8192, 128256)},
    {"Llama-3.1-8B", SHAPE(32, 4096, 32, 8, 128, 14336, 128256)},
    {"SmolLM2-135M", SHAPE(30, 576, 9, 3, 64, 1536, 49152)},
    {"TinyLlama", SHAPE(22, 2048, 32, 4, 64, 5632, 32000)},
    {"narrow", SHAPE(2, 64, 4, 2, 16, 96, 333)},
    {"heads of 4", SHAPE(1, 96, 8, 1, 4, 224, 300)},
    {"heads of 12", SHAPE(3, 160, 8, 8, 12, 352, 1001)},
    {"Qwen3-0.6B", {.n_layer = 28, .n_embd = 1024, .n_head = 16, .n_head_kv = 8, .head_dim = 128, .n_ff = 3072,
                    .n_vocab = 151936, .rope_dim = 128, .has_head_norm = true}},
    {"GPT-2", {.n_layer = 12, .n_embd = 768, .n_head = 12, .n_head_kv = 12, .head_dim = 64, .n_ff = 3072,
               .n_vocab = 50257, .norm = SOLO_NORM_LAYER, .ungated = true}},
    {"Gemma-3-270M", {.n_layer = 18, .n_embd = 640, .n_head = 4, .n_head_kv = 1, .head_dim = 256, .n_ff = 2048,
                      .n_vocab = 262144, .rope_dim = 256, .attn_window = 512, .global_every = 6, .n_rope = 2,
                      .has_head_norm = true, .has_post_norm = true}},
    {"one head of 256", SHAPE(2, 32, 1, 1, 256, 32, 7)},
#undef SHAPE
};

typedef struct range {
    const char *name;
    uint32_t    at, n;
} range;

/* The ranges stand one behind the other from 0, and the last ends at `end`. */
static void expect_tiled(const char *what, const range *ranges, uint32_t n, uint32_t end) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (ranges[i].n == 0) continue;
        if (ranges[i].at != at)
            fail_msg("%s: %s begins at %u, wanted %u", what, ranges[i].name, ranges[i].at, at);
        at += ranges[i].n;
    }
    if (at != end) fail_msg("%s ends at %u, wanted %u", what, end, at);
}

static void expect_messages(const solo_geometry *g) {
    const solo_hparams *hp = g->desc.hp;
    bool f32 = g->desc.activations == SOLO_ACTIVATIONS_F32;
    uint32_t d = hp->n_embd, q = hp->n_head * hp->head_dim;
    static const uint32_t a_word[] = {[SOLO_KV_F16] = 2, [SOLO_KV_F32] = 1, [SOLO_KV_INT8] = 4};
    bool int8 = g->desc.kv_type == SOLO_KV_INT8;
    uint32_t kv = hp->n_head_kv * (hp->head_dim / a_word[g->desc.kv_type] + (int8 ? 4 : 0));
    const range x[] = {{"X", 0, d},
                       {"y", g->x_y, f32 ? d : d / 4},
                       {"scales", g->x_scale, f32 ? 0 : d / g->qd},
                       {"squares, sums", g->x_ss, d / g->qd * (hp->norm == SOLO_NORM_LAYER ? 2 : 1)}};
    expect_tiled("X", x, SOLO_COUNT(x), g->x_words);
    const range layer[] = {
        {"X", 0, g->x_words}, {"q", g->l_q, q}, {"k", g->l_k, kv}, {"v", g->l_v, kv},
        {"att", g->l_att, q * g->n_split}, {"att_ml", g->l_att_ml, hp->n_head * g->n_split * 2},
        {"a", g->l_a, f32 ? q : q / 4}, {"a scales", g->l_a_scale, f32 ? 0 : q / g->qa},
        {"X1", g->l_x1, g->x_words}, {"h", g->l_h, f32 ? hp->n_ff : hp->n_ff / 4},
        {"h scales", g->l_h_scale, f32 ? 0 : hp->n_ff / g->qf},
        {"projections", g->l_p_out, g->p_words}, {"down's", g->l_p_down, g->p_words}};
    expect_tiled("a layer", layer, SOLO_COUNT(layer), g->layer_words);
    uint32_t layers = hp->n_layer * g->layer_words;
    const range all[] = {{"layers", 0, layers}, {"the last X", layers, g->x_words},
                         {"logits", g->m_logits, hp->n_vocab},
                         {"bests", g->m_top, 2 * g->role[SOLO_ROLE_LOGITS].n_tile},
                         {"the id", g->m_id, 1}};
    expect_tiled("messages", all, SOLO_COUNT(all), g->msg_words);
    /* temporaries: behind the messages, apart from each other, none past the end */
    uint32_t raw =
        g->rows_q + 2 * g->rows_k > 2 * hp->n_ff ? g->rows_q + 2 * g->rows_k : 2 * hp->n_ff;
    assert_true(g->t_raw >= g->msg_words && g->t_scores >= g->t_raw + raw && g->t_scores >= g->t_raw + d);
    uint32_t block = g->att_heads * (g->att_block + 1);
    assert_true(g->t_scores + g->tiles_attend * g->att_max_block * block <=
                g->msg_words + g->tmp_words);
    /* state: the counters, then an id for each position and one more */
    assert_true(g->n_counter >= g->n_block * hp->n_layer * (SOLO_STAGE_COUNT + 1));
    assert_true(g->state_ids >= SOLO_STATE_ARRIVE + 2 * g->n_counter * SOLO_ARRIVE_LINE);
    assert_true(g->state_words >= g->state_ids + g->desc.n_ctx + 1);
}

static void expect_cut(uint32_t rows, uint32_t tile, uint32_t n_tile, uint32_t unit) {
    assert_true(tile > 0 && tile % unit == 0);
    assert_true((uint64_t)n_tile * tile >= rows && (uint64_t)(n_tile - 1) * tile < rows);
}

static void expect_roles(const solo_geometry *g) {
    const solo_hparams *hp = g->desc.hp;
    const uint32_t inputs[] = {hp->n_embd, g->rows_q, hp->n_embd, hp->n_ff, hp->n_embd};
    for (uint32_t i = 0; i < SOLO_ROLE_COUNT; i++) {
        const solo_role_geometry *r = &g->role[i];
        assert_int_equal(r->groups * SOLO_GROUP, inputs[i]);
        assert_true(r->team >= 1 && r->team <= g->desc.max_team && (r->team & (r->team - 1)) == 0);
        assert_true(g->wg % r->team == 0);
        assert_true((g->wg / r->team) * r->team_rows >= r->tile);
        assert_true(r->n_pass * r->rows_team >= r->team_rows);
        assert_true(r->chunk_groups <= g->xg && r->n_chunk * r->chunk_groups >= r->groups);
        assert_true((r->n_chunk - 1) * r->chunk_groups < r->groups);
        assert_true(g->max_rows >= r->tile * (i == SOLO_ROLE_GATE_UP && !hp->ungated ? 2 : 1));
    }
    assert_true(g->max_rows >= g->embed_tile);
    expect_cut(hp->n_embd, g->embed_tile, g->tiles_embed, g->qd);
    expect_cut(g->rows_q, g->combine_tile, g->tiles_combine, g->qa);
    assert_true(g->max_rows >= g->combine_tile);
    const uint32_t span = g->kv_span ? g->kv_span : 2; /* spans that share a scale, or pairs, stay together */
    const uint32_t whole = hp->has_head_norm ? hp->head_dim : span; /* or heads */
    expect_cut(g->rows_q, g->role[SOLO_ROLE_QKV].tile, g->tiles_q, whole);
    expect_cut(g->rows_k, g->role[SOLO_ROLE_QKV].tile, g->tiles_k, span);
    expect_cut(g->rows_q + 2 * g->rows_k, g->role[SOLO_ROLE_QKV].tile, g->role[SOLO_ROLE_QKV].n_tile, span);
    expect_cut(hp->n_embd, g->role[SOLO_ROLE_OUT].tile, g->role[SOLO_ROLE_OUT].n_tile, g->qd);
    expect_cut(hp->n_ff, g->role[SOLO_ROLE_GATE_UP].tile, g->role[SOLO_ROLE_GATE_UP].n_tile, g->qf);
    expect_cut(hp->n_embd, g->role[SOLO_ROLE_DOWN].tile, g->role[SOLO_ROLE_DOWN].n_tile, g->qd);
    expect_cut(hp->n_vocab, g->role[SOLO_ROLE_LOGITS].tile, g->role[SOLO_ROLE_LOGITS].n_tile, 1);
}

static void expect_sound(const solo_geometry *g) {
    const solo_hparams *hp = g->desc.hp;
    assert_true(g->qd >= 8 && g->qd <= 32 && g->qd % 8 == 0 && hp->n_embd % g->qd == 0);
    assert_true(g->qf >= 8 && g->qf <= 32 && g->qf % 8 == 0 && hp->n_ff % g->qf == 0);
    assert_true(g->qa >= 8 && g->qa <= 32 && g->qa % 8 == 0 && g->rows_q % g->qa == 0);
    assert_int_equal(g->n_ss, hp->n_embd / g->qd);
    assert_true(g->workgroup_bytes <= g->desc.max_workgroup_bytes);
    assert_true(g->big >= g->att_block * (hp->head_dim + 1));
    assert_int_equal(g->att_heads * hp->n_head_kv, hp->n_head);
    assert_int_equal(g->tiles_attend, hp->n_head_kv * g->n_split);
    assert_int_equal(g->slice_heads * g->att_heads * hp->head_dim % g->qa, 0);
    assert_true(g->slice_heads <= hp->n_head_kv);
    assert_true(g->grid[SOLO_GRID_HEADS] * g->slice_heads >= hp->n_head_kv);
    assert_true((uint64_t)g->att_max_block * g->att_block * g->n_split >= g->desc.n_ctx);
    /* the last position's split is the longest: (n_ctx + n_split - 1) / n_split positions */
    assert_true(g->att_max_block * g->att_block >= (g->desc.n_ctx + g->n_split - 1) / g->n_split);
    for (uint32_t i = 0; i < SOLO_GRID_COUNT; i++)
        assert_true(g->grid[i] >= 1 && g->grid[i] <= 65535);
    expect_roles(g);
    expect_messages(g);
}

typedef void each_geometry(const solo_geometry *g);

/* Every shape with every kind of device: a software adapter, GPUs, one of little memory. */
static uint32_t for_each_geometry(each_geometry *fn) {
    static const struct { uint32_t wg, n_wg, team, bytes; } devices[] = {
        {32, 16, 1, 32768}, {256, 128, 32, 49152}, {128, 132, 32, 32768}, {64, 40, 8, 16384},
    };
    uint32_t n = 0;
    for (uint32_t s = 0; s < SOLO_COUNT(shapes); s++) {
        for (uint32_t i = 0; i < SOLO_COUNT(devices); i++) {
            for (uint32_t k = 0; k < 5; k++) {
                if (k == 4 && shapes[s].hp.head_dim % 16 != 0) continue; /* plans refuse int8 KV there */
                solo_geometry_desc d = {
                    .hp = &shapes[s].hp, .n_ctx = k < 2 ? 4096 : 100,
                    .activations = k % 2 ? SOLO_ACTIVATIONS_F32 : SOLO_ACTIVATIONS_INT8,
                    .kv_type = k == 4 ? SOLO_KV_INT8 : k == 1 || k == 2 ? SOLO_KV_F32 : SOLO_KV_F16,
                    .workgroup_size = devices[i].wg, .n_workgroup = devices[i].n_wg,
                    .max_team = devices[i].team, .max_workgroup_bytes = devices[i].bytes,
                    .n_block = k};
                solo_geometry g;
                solo_error err;
                if (!solo_geometry_make(&d, &g, &err)) {
                    if (err.status != SOLO_DEVICE_LIMIT || devices[i].bytes > 16384)
                        fail_msg("%s: %s", shapes[s].name, err.text);
                    continue;
                }
                fn(&g);
                n++;
            }
        }
    }
    return n;
}

static void geometries_are_sound(void **state) {
    (void)state;
    assert_true(for_each_geometry(expect_sound) >= 3 * 4 * SOLO_COUNT(shapes));
}

static uint32_t n_in_chunks;
static void count_chunked(const solo_geometry *g) {
    n_in_chunks += g->role[SOLO_ROLE_DOWN].n_chunk > 1;
}

static void wide_inputs_come_in_chunks(void **state) {
    (void)state;
    n_in_chunks = 0;
    for_each_geometry(count_chunked);
    assert_true(n_in_chunks > 0);
}

/* Less and less memory: every geometry that is granted is sound, and the end is a refusal that
 * names both numbers. */
static void little_workgroup_memory(void **state) {
    (void)state;
    solo_geometry g;
    solo_error err;
    solo_geometry_desc d = {.hp = &shapes[0].hp,
                            .kv_type = SOLO_KV_F32,
                            .n_ctx = 512,
                            .workgroup_size = 32,
                            .n_workgroup = 16,
                            .max_team = 1,
                            .max_workgroup_bytes = 65536,
                            .activations = SOLO_ACTIVATIONS_F32};
    uint32_t least_block = 32, most_chunk = 1;
    for (; solo_geometry_make(&d, &g, &err); d.max_workgroup_bytes -= 512) {
        expect_sound(&g);
        if (g.att_block < least_block) least_block = g.att_block;
        if (g.role[SOLO_ROLE_DOWN].n_chunk > most_chunk)
            most_chunk = g.role[SOLO_ROLE_DOWN].n_chunk;
        assert_true(d.max_workgroup_bytes > 512);
    }
    assert_true(least_block < 32 && most_chunk > 2);
    assert_int_equal(err.status, SOLO_DEVICE_LIMIT);
    char found[80];
    snprintf(found, sizeof found, "maxComputeWorkgroupStorageSize %u", d.max_workgroup_bytes);
    assert_non_null(strstr(err.text, found));
    assert_non_null(strstr(err.text, "head_dim 96"));
}

static void expect_refused(solo_hparams hp, uint32_t wg, solo_status status, const char *text) {
    solo_geometry g;
    solo_error err = {0};
    solo_geometry_desc d = {.hp = &hp, .kv_type = SOLO_KV_F16, .n_ctx = 64, .workgroup_size = wg,
                            .n_workgroup = 16, .max_team = 1, .max_workgroup_bytes = 32768};
    assert_false(solo_geometry_make(&d, &g, &err));
    assert_int_equal(err.status, status);
    if (!strstr(err.text, text)) fail_msg("wanted \"%s\" in: %s", text, err.text);
}

static void impossible_shapes(void **state) {
    (void)state;
    solo_hparams hp = shapes[5].hp;
    hp.head_dim = 18;
    expect_refused(hp, 32, SOLO_UNSUPPORTED, "head_dim: wanted a multiple of 4, found 18");
    hp = shapes[5].hp;
    hp.n_head = 66, hp.n_head_kv = 2;
    expect_refused(hp, 32, SOLO_UNSUPPORTED, "wanted at most 32, found 33");
    expect_refused(shapes[5].hp, 16, SOLO_ARGUMENT, "found 16");
    expect_refused(shapes[5].hp, 48, SOLO_ARGUMENT, "found 48");
}

/* ---- workgroup memory against the text ------------------------------------------------------ */

/* The value of NAME in `const NAME = 12u;`. */
static uint32_t const_of(const char *wgsl, const char *name, size_t n) {
    char head[80];
    snprintf(head, sizeof head, "\nconst %.*s = ", (int)n, name);
    const char *at = strstr(wgsl, head);
    if (!at) fail_msg("no constant %.*s", (int)n, name);
    return (uint32_t)strtoul(at + strlen(head), NULL, 10);
}

static uint32_t product_of(const char *wgsl, const char **at);

/* Sums, products, quotients and brackets of constants and numbers: what array sizes are made of. */
static uint32_t sum_of(const char *wgsl, const char **at) {
    uint32_t v = product_of(wgsl, at);
    while (**at == '+') {
        ++*at;
        v += product_of(wgsl, at);
    }
    return v;
}

static uint32_t atom_of(const char *wgsl, const char **at) {
    uint32_t v;
    while (**at == ' ') ++*at;
    const char *from = *at;
    if (*from == '(') {
        ++*at;
        v = sum_of(wgsl, at);
        assert_int_equal(**at, ')');
        ++*at;
    } else {
        while (isalnum((unsigned char)**at) || **at == '_') ++*at;
        assert_true(*at > from);
        v = isdigit((unsigned char)*from) ? (uint32_t)strtoul(from, NULL, 10)
                                          : const_of(wgsl, from, (size_t)(*at - from));
    }
    while (**at == ' ') ++*at;
    return v;
}

static uint32_t product_of(const char *wgsl, const char **at) {
    uint32_t v = atom_of(wgsl, at);
    while (**at == '*' || **at == '/') {
        bool times = *(*at)++ == '*';
        uint32_t right = atom_of(wgsl, at);
        v = times ? v * right : v / right;
    }
    return v;
}

typedef struct shared_var {
    char     name[40];
    uint32_t bytes;
} shared_var;

/* Each `var<workgroup> name: type;` of a module. */
static uint32_t list_shared(const char *wgsl, shared_var *out, uint32_t n_max) {
    static const struct { const char *text; uint32_t bytes;
    } types[] = {{"array<f32, ", 4},        {"array<u32, ", 4},        {"array<atomic<u32>, ", 4},
                 {"array<vec2<f32>, ", 8},  {"array<vec4<f32>, ", 16}, {"array<vec4<u32>, ", 16},
                 {"u32", 0}};
    uint32_t n = 0;
    static const char mark[] = "\nvar<workgroup> ";
    for (const char *at = wgsl; (at = strstr(at, mark)); n++) {
        at += sizeof mark - 1;
        size_t n_name = strcspn(at, ":");
        assert_true(n < n_max && n_name < sizeof out[n].name);
        snprintf(out[n].name, sizeof out[n].name, "%.*s", (int)n_name, at);
        at += n_name + 2;
        uint32_t t = 0;
        while (t < SOLO_COUNT(types) && strncmp(at, types[t].text, strlen(types[t].text))) t++;
        if (t == SOLO_COUNT(types))
            fail_msg("%s: a type this test does not know: %.30s", out[n].name, at);
        at += strlen(types[t].text);
        out[n].bytes = types[t].bytes ? types[t].bytes * sum_of(wgsl, &at) : 4;
    }
    return n;
}

/* Whether the word occurs in text[0..n). */
static bool has_word(const char *text, size_t n, const char *word) {
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= n; i++) {
        if (memcmp(text + i, word, len)) continue;
        char before = i ? text[i - 1] : ' ', after = text[i + len];
        if (isalnum((unsigned char)before) || before == '_' || before == '.') continue;
        if (isalnum((unsigned char)after) || after == '_') continue;
        return true;
    }
    return false;
}

typedef struct function {
    char        name[60];
    const char *body;
    size_t      n;
    bool        reached;
} function;

/* Comments out, so that a word in one is not a use. Returns malloc'd text. */
static char *without_comments(const char *wgsl) {
    char *out = solo_strndup(wgsl, strlen(wgsl)), *to = out;
    for (const char *at = wgsl; *at;) {
        if (at[0] == '/' && at[1] == '/') at += strcspn(at, "\n");
        else *to++ = *at++;
    }
    *to = 0;
    return out;
}

#define MAX_FUNCTION 400u

static uint32_t list_functions(const char *wgsl, function *out) {
    uint32_t n = 0;
    for (const char *at = wgsl; (at = strstr(at, "\nfn ")); n++) {
        at += 4;
        assert_true(n < MAX_FUNCTION);
        snprintf(out[n].name, sizeof out[n].name, "%.*s", (int)strcspn(at, "("), at);
        out[n].body = strchr(at, '{');
        size_t depth = 0, i = 0;
        do depth += (out[n].body[i] == '{') - (size_t)(out[n].body[i] == '}'), i++;
        while (depth > 0);
        out[n].n = i;
        out[n].reached = false;
    }
    return n;
}

static void reach(function *fns, uint32_t n, function *from) {
    from->reached = true;
    for (uint32_t i = 0; i < n; i++) {
        if (!fns[i].reached && has_word(from->body, from->n, fns[i].name)) reach(fns, n, &fns[i]);
    }
}

/* Bytes of the shared variables that the entry point uses, statically; unused names the others. */
static uint32_t used_bytes(const char *commented, const char *entry, uint32_t *declared,
                           solo_text *unused) {
    static function fns[MAX_FUNCTION];
    shared_var vars[60];
    char *wgsl = without_comments(commented);
    uint32_t n_var = list_shared(wgsl, vars, SOLO_COUNT(vars)), n = list_functions(wgsl, fns),
             used = 0;
    bool found = false;
    for (uint32_t i = 0; i < n; i++) {
        if (!strcmp(fns[i].name, entry)) reach(fns, n, &fns[i]), found = true;
    }
    assert_true(found);
    *declared = 0;
    unused->n = 0;
    solo_text_add(unused, "%s", "");
    for (uint32_t v = 0; v < n_var; v++) {
        bool is_used = false;
        for (uint32_t i = 0; i < n; i++)
            is_used = is_used || (fns[i].reached && has_word(fns[i].body, fns[i].n, vars[v].name));
        *declared += vars[v].bytes;
        if (is_used) used += vars[v].bytes;
        else solo_text_add(unused, "%s ", vars[v].name);
    }
    free(wgsl);
    return used;
}

/* Weights as weights.c would lay them out, without a device: the joining needs only places. */
static solo_weights fake_weights(const solo_model *m) {
    const uint32_t n = m->hp.n_layer * SOLO_MATRIX_PER_LAYER;
    solo_weights w = {.model = m, .n_payload = 1, .span = 1};
    w.place = solo_zalloc(n + 3, sizeof *w.place);
    for (uint32_t i = 0; i < n + 3; i++) {
        const bool none = i < n ? m->hp.ungated && i % SOLO_MATRIX_PER_LAYER == SOLO_MATRIX_UP
                                : i == n + 2 && !m->positions;
        if (!none) w.place[i] = (solo_matrix_place){.form = SOLO_FORM_Q4_1, .n_row = 8};
    }
    return w;
}

static void expect_declared(const tiny_desc *tiny) {
    uint8_t *bytes;
    uint64_t n_bytes;
    solo_model *model;
    solo_error err;
    assert_true(tiny_gguf(tiny, &bytes, &n_bytes));
    assert_true(
        solo_model_open(&model, &(solo_model_desc){.bytes = bytes, .n_bytes = n_bytes}, &err));
    solo_weights w = fake_weights(model);
    for (uint32_t k = 0; k < 8; k++) {
        bool f32 = k & 1;
        solo_geometry g;
        solo_geometry_desc d = {.hp = &model->hp,
                                .activations = f32 ? SOLO_ACTIVATIONS_F32 : SOLO_ACTIVATIONS_INT8,
                                .kv_type = k % 4 == 3 && model->hp.head_dim % 16 == 0 ? SOLO_KV_INT8
                                           : k & 2                                   ? SOLO_KV_F32
                                                                                     : SOLO_KV_F16,
                                .attend_lanes = k & 4,
                                .n_ctx = 64,
                                .workgroup_size = k & 2 ? 64 : 32,
                                .n_workgroup = 16,
                                .max_team = k & 4 ? 8 : 1,
                                .max_workgroup_bytes = k & 2 ? 32768 : 10500};
        assert_true(solo_geometry_make(&d, &g, &err));
        for (uint32_t i = 0; solo_factoring_at(i); i++) {
            const solo_factoring *f = solo_factoring_at(i);
            char *wgsl = solo_wgsl_join(&(solo_wgsl_desc){
                .weights = &w, .geometry = &g, .factoring = f, .spin_limit = 1});
            solo_text unused = {0};
            uint32_t declared, most = 0;
            for (uint32_t r = 0; r < f->n_row; r++) {
                uint32_t used = used_bytes(wgsl, f->row[r].entry, &declared, &unused);
                if (used > most) most = used;
            }
            /* all that is declared is counted; one whole token uses it, but for what its
             * activations leave out */
            assert_int_equal(declared, g.workgroup_bytes);
            assert_true(most <= g.workgroup_bytes);
            if (f->n_row == 1 && f->tagged) assert_string_equal(unused.at, f32 ? "xsum " : "");
            free(unused.at);
            free(wgsl);
        }
    }
    free(w.place);
    solo_model_close(model);
    free(bytes);
}

static void memory_is_what_the_text_declares(void **state) {
    (void)state;
    expect_declared(&(tiny_desc){.n_head = 8, .n_embd = 320, .n_ff = 416});
    expect_declared(&(tiny_desc){.arch = "gpt2", .n_head = 8, .head_dim = 40, .n_embd = 320, .n_ff = 416});
    expect_declared(&(tiny_desc){.arch = "gemma3", .n_head = 8, .n_embd = 320, .n_ff = 416, .attn_window = 8});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factorings_cover_every_operation),
        cmocka_unit_test(rows_fit_their_operations),
        cmocka_unit_test(dispatches_a_token),
        cmocka_unit_test(names_find_factorings),
        cmocka_unit_test(geometries_are_sound),
        cmocka_unit_test(wide_inputs_come_in_chunks),
        cmocka_unit_test(little_workgroup_memory),
        cmocka_unit_test(impossible_shapes),
        cmocka_unit_test(memory_is_what_the_text_declares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
