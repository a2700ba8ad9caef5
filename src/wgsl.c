/* wgsl.c: the prelude and the joining. What the kernels compute is in kernels/, not here. */
#include "wgsl.h"

#include "attend.h"
#include "stream.h"
#include "take.h"

#include <ctype.h>

/* ---- kernel files ------------------------------------------------------------------------- */

#ifdef SOLO_WGSL_OVERRIDE
/* Builds made for the mutation tests read kernels from a folder instead of the embedded copies. */
static char *file_override(const char *name) {
    const char *dir = getenv("SOLO_WGSL_DIR");
    if (!dir) return NULL;
    char path[1000];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    solo_text text = {0};
    char buffer[4096];
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;) solo_text_add_n(&text, buffer, n);
    fclose(f);
    return text.at;
}
#endif

char *solo_wgsl_file(const char *name) {
#ifdef SOLO_WGSL_OVERRIDE
    char *text = file_override(name);
    if (text) return text;
#endif
    for (uint32_t i = 0; i < solo_n_kernel_file; i++) {
        if (!strcmp(solo_kernel_files[i].name, name))
            return solo_strndup(solo_kernel_files[i].text, solo_kernel_files[i].n_text);
    }
    solo_bug(name, 0, "a kernel file is missing from the build");
}

static void add_file(solo_text *out, const char *name) {
    char *text = solo_wgsl_file(name);
    solo_text_add(out, "\n// ---- %s\n", name);
    solo_text_add_n(out, text, strlen(text));
    free(text);
}

typedef struct word_pair {
    const char *word, *value;
} word_pair;

/* The file with every $word$ replaced; $WORD$ gives the value in capitals. */
static void add_template(solo_text *out, const char *name, const word_pair *pairs,
                         uint32_t n_pair) {
    char *text = solo_wgsl_file(name);
    solo_text_add(out, "\n// ---- %s\n", name);
    for (const char *at = text; *at;) {
        const char *mark = strchr(at, '$'), *end = mark ? strchr(mark + 1, '$') : NULL;
        if (!end) {
            solo_text_add_n(out, at, strlen(at));
            break;
        }
        solo_text_add_n(out, at, (size_t)(mark - at));
        size_t n = (size_t)(end - mark - 1);
        bool found = false, upper = isupper((unsigned char)mark[1]);
        for (uint32_t i = 0; i < n_pair && !found; i++) {
            bool same = strlen(pairs[i].word) == n;
            for (size_t k = 0; same && k < n; k++)
                same = tolower((unsigned char)mark[1 + k]) == pairs[i].word[k];
            if (!same) continue;
            found = true;
            for (const char *c = pairs[i].value; *c; c++)
                solo_text_add(out, "%c", upper ? toupper((unsigned char)*c) : *c);
        }
        SOLO_ASSERT(found);
        at = end + 1;
    }
    free(text);
}

/* ---- prelude ------------------------------------------------------------------------------ */

static void add_u32(solo_text *out, const char *name, uint32_t v) {
    solo_text_add(out, "const %s = %uu;\n", name, v);
}
static void add_f32(solo_text *out, const char *name, float v) {
    solo_text_add(out, "const %s = f32(%.9e);\n", name, (double)v);
}

static const char *const role_names[] = {"qkv", "out", "gate_up", "down", "logits"};

static void add_shape(solo_text *out, const solo_geometry *g) {
    const solo_hparams *hp = g->desc.hp;
    add_u32(out, "N_LAYER", hp->n_layer);
    add_u32(out, "D", hp->n_embd);
    add_u32(out, "N_HEAD", hp->n_head);
    add_u32(out, "N_HEAD_KV", hp->n_head_kv);
    add_u32(out, "HEAD_DIM", hp->head_dim);
    add_u32(out, "ROPE_DIM", hp->rope_dim);
    add_u32(out, "N_FF", hp->n_ff);
    add_u32(out, "N_VOCAB", hp->n_vocab);
    add_u32(out, "N_CTX", g->desc.n_ctx);
    add_u32(out, "ROWS_Q", g->rows_q);
    add_u32(out, "ROWS_K", g->rows_k);
    add_u32(out, "KV_ROW", g->kv_row);
    add_u32(out, "KV_VECS", g->kv_vecs);
    add_u32(out, "WINDOW", hp->attn_window < g->desc.n_ctx ? hp->attn_window : 0);
    add_u32(out, "GLOBAL_EVERY", hp->global_every);
    add_u32(out, "N_ROPE", hp->n_rope);
    add_f32(out, "EMBD_SCALE", hp->embd_scale);
    add_f32(out, "SCORE_CAP", hp->score_cap);
    add_f32(out, "LOGIT_CAP", hp->logit_cap);
    solo_text_add(out, "const POST_NORM = %s;\n", hp->has_post_norm ? "true" : "false");
    add_f32(out, "NORM_EPS", hp->norm_eps);
    solo_text_add(out, "const LAYER_NORM = %s;\n", hp->norm == SOLO_NORM_LAYER ? "true" : "false");
    add_f32(out, "ATTN_SCALE", hp->attn_scale);
}

static void add_geometry(solo_text *out, const solo_geometry *g, uint32_t spin_limit) {
    add_u32(out, "WG", g->wg);
    add_u32(out, "N_WG", g->n_wg);
    solo_text_add(out, "const ONCE = %s;\n", solo_geometry_is_walked_once(g) ? "true" : "false");
    add_u32(out, "SPIN_LIMIT", spin_limit);
    add_u32(out, "QD", g->qd);
    add_u32(out, "QA", g->qa);
    add_u32(out, "QF", g->qf);
    add_u32(out, "XG", g->xg);
    add_u32(out, "BIG", g->big);
    add_u32(out, "MAX_ROWS", g->max_rows);
    add_u32(out, "TAIL_ROWS", g->tail_rows);
    add_u32(out, "N_SS", g->n_ss);
    add_u32(out, "N_SUM", g->n_sum);
    add_u32(out, "FFN_PARTS", g->ffn_parts);
    add_u32(out, "MAX_WINDOW", SOLO_MAX_WINDOW);
    add_u32(out, "N_SPLIT", g->n_split);
    add_u32(out, "ATT_BLOCK", g->att_block);
    add_u32(out, "ATT_TEAM", g->att_team);
    add_u32(out, "ATT_PART_BLOCKS", g->att_part_blocks);
    add_u32(out, "ATT_ROWS", SOLO_ATT_ROWS);
    add_u32(out, "ATT_SCORES", g->att_scores);
    add_u32(out, "ATT_WHOLE", g->att_whole);
    add_u32(out, "ATT_SLICE", g->att_slice);
    solo_text_add(out, "const ATT_ONE_PART = %s;\n", g->att_part_blocks >= g->att_max_block ? "true" : "false");
    add_u32(out, "ATT_DIMS", g->att_dims);
    add_u32(out, "ATT_PARTS", g->att_parts);
    add_u32(out, "MAX_TEAM", g->desc.max_team);
    add_u32(out, "ATT_STRIDE", g->desc.hp->head_dim + 1);
    add_u32(out, "ATT_HEADS", g->att_heads);
    add_u32(out, "ATT_MAX_BLOCK", g->att_max_block);
    add_u32(out, "EMBED_TILE", g->embed_tile);
    add_u32(out, "TILES_EMBED", g->tiles_embed);
    add_u32(out, "TILES_NORM", g->desc.hp->has_post_norm ? g->tiles_embed : 0);
    add_u32(out, "TILES_Q", g->tiles_q);
    add_u32(out, "TILES_K", g->tiles_k);
    add_u32(out, "TILES_ATTEND", g->tiles_attend);
    add_u32(out, "COMBINE_TILE", g->combine_tile);
    add_u32(out, "TILES_COMBINE", g->tiles_combine);
    add_u32(out, "SLICE_HEADS", g->slice_heads);
    for (uint32_t i = 0; i < SOLO_ROLE_COUNT; i++) {
        const solo_role_geometry *r = &g->role[i];
        char name[16];
        for (size_t k = 0; k < sizeof name; k++)
            name[k] = (char)toupper((
                unsigned char)role_names[i][k < strlen(role_names[i]) ? k : strlen(role_names[i])]);
        solo_text_add(out,
                      "const TILES_%s = %uu;\nconst %s_TILE = %uu;\nconst %s_TEAM = %uu;\nconst "
                      "%s_R = %uu;\n",
                      name, r->n_tile, name, r->tile, name, r->team, name, r->rows_team);
        solo_text_add(out,
                      "const %s_PASSES = %uu;\nconst %s_TEAM_ROWS = %uu;\nconst %s_GROUPS = "
                      "%uu;\nconst %s_CHUNKS = %uu;\nconst %s_CHUNK_GROUPS = %uu;\n",
                      name, r->n_pass, name, r->team_rows, name, r->groups, name, r->n_chunk, name,
                      r->chunk_groups);
        uint32_t span = i == SOLO_ROLE_OUT ? g->qa : i == SOLO_ROLE_DOWN ? g->qf : g->qd;
        solo_text_add(out, "const %s_ONE = %s;\n", name, span % 32 == 0 ? "true" : "false");
    }
    for (uint32_t i = 0; i < SOLO_STAGE_COUNT; i++) {
        solo_text_add(out, "const STAGE_");
        for (const char *c = solo_stage_name(i); *c; c++)
            solo_text_add(out, "%c", toupper((unsigned char)*c));
        solo_text_add(out, " = %uu;\n", i);
    }
    add_u32(out, "N_STAGE", SOLO_STAGE_COUNT);
    add_u32(out, "N_COUNTER", g->n_counter);
}

static void add_messages(solo_text *out, const solo_geometry *g) {
    solo_text_add(out,
                  "// a token's messages, in words: [N_LAYER][LAYER_WORDS], X, logits, each tile's "
                  "best, the id drawn; a burst has N_BLOCK such blocks\n");
    add_u32(out, "X_RES", 0);
    add_u32(out, "X_Y", g->x_y);
    add_u32(out, "X_SCALE", g->x_scale);
    add_u32(out, "X_SS", g->x_ss);
    add_u32(out, "L_X", 0);
    add_u32(out, "L_Q", g->l_q);
    add_u32(out, "L_K", g->l_k);
    add_u32(out, "L_V", g->l_v);
    add_u32(out, "L_ATT", g->l_att);
    add_u32(out, "L_ATT_ML", g->l_att_ml);
    add_u32(out, "L_A", g->l_a);
    add_u32(out, "L_A_SCALE", g->l_a_scale);
    add_u32(out, "L_X1", g->l_x1);
    add_u32(out, "L_H", g->l_h);
    add_u32(out, "L_H_SCALE", g->l_h_scale);
    add_u32(out, "L_P_OUT", g->l_p_out);
    add_u32(out, "L_P_DOWN", g->l_p_down);
    add_u32(out, "LAYER_WORDS", g->layer_words);
    add_u32(out, "M_LOGITS", g->m_logits);
    add_u32(out, "M_TOP", g->m_top);
    add_u32(out, "M_ID", g->m_id);
    add_u32(out, "MSG_WORDS", g->msg_words);
    add_u32(out, "N_BLOCK", g->n_block);
    add_u32(out, "T_RAW", g->t_raw);
    add_u32(out, "T_SCORES", g->t_scores);
}

static void add_payload(solo_text *out, const solo_weights *w) {
    for (uint32_t i = 0; i < w->n_payload; i++)
        solo_text_add(out, "@group(0) @binding(%u) var<storage, read> wq%u: array<vec4<u32>>;\n",
                      SOLO_PAYLOAD_SLOT + i, i);
    solo_text_add(out, "fn payload(i: u32) -> vec4<u32> {\n");
    for (uint32_t i = 0; i + 1 < w->n_payload; i++)
        solo_text_add(out, "  if (i < %uu) { return wq%u[i - %uu]; }\n", (i + 1) * w->span, i,
                      i * w->span);
    solo_text_add(out, "  return wq%u[i - %uu];\n}\n", w->n_payload - 1,
                  (w->n_payload - 1) * w->span);
}

/* gain_attn(layer): where a layer's vector stands in the scales; HAS_GAIN_ATTN: whether there is one. */
static void add_vectors(solo_text *out, const solo_weights *w) {
    static const struct { const char *name, *function; } vectors[] = {
#define X(name, function) {#name, #function},
        SOLO_VECTOR_LIST(X)
#undef X
    };
    for (uint32_t v = 0; v < SOLO_VECTOR_COUNT; v++)
        solo_text_add(out, "const HAS_%s = %s;\nfn %s(layer: u32) -> u32 { return %uu + layer * %uu; }\n",
                      vectors[v].name, w->vector[v].n ? "true" : "false", vectors[v].function,
                      w->vector[v].at, w->vector[v].n);
}

/* ---- matrices ----------------------------------------------------------------------------- */

static const solo_role matrix_role[] = {
    [SOLO_MATRIX_Q] = SOLO_ROLE_QKV,         [SOLO_MATRIX_K] = SOLO_ROLE_QKV,
    [SOLO_MATRIX_V] = SOLO_ROLE_QKV,         [SOLO_MATRIX_OUT] = SOLO_ROLE_OUT,
    [SOLO_MATRIX_GATE] = SOLO_ROLE_GATE_UP,  [SOLO_MATRIX_UP] = SOLO_ROLE_GATE_UP,
    [SOLO_MATRIX_DOWN] = SOLO_ROLE_DOWN,     [SOLO_MATRIX_EMBD] = SOLO_ROLE_COUNT,
    [SOLO_MATRIX_OUTPUT] = SOLO_ROLE_LOGITS, [SOLO_MATRIX_POSITIONS] = SOLO_ROLE_COUNT,
};
static const char *const matrix_names[] = {"q",  "k",    "v",    "out",   "gate",
                                           "up", "down", "embd", "output", "positions"};

static bool has_matrix(const solo_weights *w, solo_matrix matrix) {
    return solo_weights_place(w, 0, matrix)->n_row > 0;
}

/* Bit f: form f is used by the matrix in some layer. 0: there is no such matrix. */
static uint32_t forms_of(const solo_weights *w, solo_matrix matrix) {
    uint32_t mask = 0, n = matrix < SOLO_MATRIX_PER_LAYER ? w->model->hp.n_layer : 1;
    for (uint32_t l = 0; l < n && has_matrix(w, matrix); l++)
        mask |= 1u << solo_weights_place(w, l, matrix)->form;
    return mask;
}

/* matrix_q(layer): where layer's q stands. Layers of equal size stand at equal distances, which is
 * two constants; mixed ones are looked up in the directory behind the gains. */
static void add_matrix_place(solo_text *out, const solo_weights *w, solo_matrix matrix) {
    const char *name = matrix_names[matrix];
    const solo_matrix_place *a = solo_weights_place(w, 0, matrix);
    uint32_t n = matrix < SOLO_MATRIX_PER_LAYER ? w->model->hp.n_layer : 1;
    uint32_t dw = 0, ds = 0;
    bool even = true;
    for (uint32_t l = 1; l < n; l++) {
        const solo_matrix_place *p = solo_weights_place(w, l, matrix);
        if (l == 1) dw = p->w_at - a->w_at, ds = p->s_at - a->s_at;
        if (p->w_at != a->w_at + l * dw || p->s_at != a->s_at + l * ds || p->form != a->form)
            even = false;
    }
    if (even) {
        solo_text_add(out,
                      "fn matrix_%s(layer: u32) -> Matrix { return Matrix(%uu + layer * %uu, %uu + "
                      "layer * %uu); }\n",
                      name, a->w_at, dw, a->s_at, ds);
        return;
    }
    uint32_t at = w->dir_at + 3 * (uint32_t)matrix;
    solo_text_add(out,
                  "fn matrix_%s(layer: u32) -> Matrix {\n  let at = %uu + layer * %uu;\n  return "
                  "Matrix(scale_word(at), scale_word(at + 1u));\n}\n",
                  name, at, 3u * SOLO_MATRIX_PER_LAYER);
    solo_text_add(out, "fn form_%s(layer: u32) -> u32 { return scale_word(%uu + layer * %uu); }\n", name,
                  at + 2, 3u * SOLO_MATRIX_PER_LAYER);
}

static bool is_mixed(uint32_t forms) { return (forms & (forms - 1)) != 0; }

/* "form = ..." of the matrix in the layer: a constant unless its layers are mixed. */
static void add_form_of(solo_text *out, const solo_weights *w, solo_matrix matrix,
                        const char *set) {
    if (is_mixed(forms_of(w, matrix)))
        solo_text_add(out, "  %sform_%s(layer);\n", set, matrix_names[matrix]);
    else
        solo_text_add(out, "  %s%uu;\n", set, (uint32_t)solo_weights_place(w, 0, matrix)->form);
}

/* rows_qkv(which, ...): rows of one of the role's matrices, by the rows function of the layer's
 * form. One call for all of them, so that their code is there once. */
static void add_rows_of(solo_text *out, const solo_weights *w, solo_role role) {
    uint32_t forms = 0, k = 0, last = 0;
    for (uint32_t m = 0; m < SOLO_MATRIX_COUNT; m++) {
        if (matrix_role[m] == role && has_matrix(w, m)) forms |= forms_of(w, m), last = m;
    }
    solo_text_add(out,
                  "fn rows_%s(which: u32, layer: u32, row0: u32, out0: u32, n: u32, lane: u32) {\n",
                  role_names[role]);
    solo_text_add(out, "  var m = matrix_%s(layer);\n  var n_row = %uu;\n", matrix_names[last],
                  solo_weights_place(w, 0, last)->n_row);
    if (is_mixed(forms)) add_form_of(out, w, last, "var form = ");
    for (uint32_t m = 0; m < last; m++) {
        if (matrix_role[m] != role || !has_matrix(w, m)) continue;
        solo_text_add(out, "  if (which == %uu) {\n    m = matrix_%s(layer);\n    n_row = %uu;\n",
                      k++, matrix_names[m], solo_weights_place(w, 0, m)->n_row);
        if (is_mixed(forms)) add_form_of(out, w, m, "  form = ");
        solo_text_add(out, "  }\n");
    }
    for (uint32_t f = 0; f < SOLO_FORM_COUNT; f++) {
        if (!(forms & (1u << f))) continue;
        if (is_mixed(forms)) solo_text_add(out, "  if (form == %uu)", f);
        solo_text_add(out, "  { %s_rows_%s(m, n_row, layer, row0, out0, n, lane); }\n",
                      role_names[role], solo_form_get_info(f)->name);
    }
    solo_text_add(out, "}\n");
}

/* embd_weight(row, col): one number of the matrix. */
static void add_weight_of(solo_text *out, const solo_weights *w, solo_matrix matrix) {
    const char *name = matrix_names[matrix];
    const char *form = solo_form_get_info(solo_weights_place(w, 0, matrix)->form)->name;
    solo_text_add(out, "fn %s_weight(row: u32, col: u32) -> f32 {\n", name);
    if (has_matrix(w, matrix))
        solo_text_add(out,
                      "  let g = col / 32u;\n"
                      "  return quad_%s(load_%s(matrix_%s(0u), row, D / 32u, g), (col %% 32u) / 4u)[col %% 4u];\n",
                      form, form, name);
    else
        solo_text_add(out, "  return 0.0;\n");
    solo_text_add(out, "}\n");
}

static uint32_t all_forms(const solo_weights *w) {
    uint32_t forms = 0;
    for (uint32_t m = 0; m < SOLO_MATRIX_COUNT; m++) forms |= forms_of(w, m);
    return forms;
}

/* Whether products need the sums of their inputs: int8 ones of weights with minima. */
static void add_sums_wanted(solo_text *out, const solo_wgsl_desc *desc) {
    uint32_t forms = all_forms(desc->weights);
    uint32_t minima = 1u << SOLO_FORM_Q4_1 | 1u << SOLO_FORM_Q4_K | 1u << SOLO_FORM_Q5_K;
    bool int8 = desc->geometry->desc.activations == SOLO_ACTIVATIONS_INT8;
    solo_text_add(out, "const X_SUMS = %s;\n", int8 && (forms & minima) ? "true" : "false");
}

static void add_weights(solo_text *out, const solo_wgsl_desc *desc) {
    const solo_weights *w = desc->weights;
    uint32_t forms = all_forms(w);
    for (uint32_t f = 0; f < SOLO_FORM_COUNT; f++) {
        char file[64];
        snprintf(file, sizeof file, "weight_%s.wgsl", solo_form_get_info(f)->name);
        if (forms & (1u << f)) add_file(out, file);
    }
    for (uint32_t m = 0; m < SOLO_MATRIX_COUNT; m++)
        if (has_matrix(w, m)) add_matrix_place(out, w, m);
    add_weight_of(out, w, SOLO_MATRIX_EMBD);
    add_weight_of(out, w, SOLO_MATRIX_POSITIONS);
    solo_text_add(out, "const HAS_POSITIONS = %s;\n", has_matrix(w, SOLO_MATRIX_POSITIONS) ? "true" : "false");
}

static void add_rows(solo_text *out, const solo_wgsl_desc *desc) {
    const solo_weights *w = desc->weights;
    const char *act = desc->geometry->desc.activations == SOLO_ACTIVATIONS_F32 ? "f32" : "int8";
    uint32_t forms = all_forms(w), role_forms[SOLO_ROLE_COUNT] = {0};
    for (uint32_t f = 0; f < SOLO_FORM_COUNT; f++) {
        const word_pair pair = {"form", solo_form_get_info(f)->name};
        if ((forms & (1u << f)) && act[0] == 'f')
            add_template(out, "template_mac_f32.wgsl", &pair, 1);
    }
    for (uint32_t m = 0; m < SOLO_MATRIX_COUNT; m++) {
        if (matrix_role[m] != SOLO_ROLE_COUNT) role_forms[matrix_role[m]] |= forms_of(w, m);
    }
    for (uint32_t r = 0; r < SOLO_ROLE_COUNT; r++) {
        for (uint32_t f = 0; f < SOLO_FORM_COUNT; f++) {
            if (!(role_forms[r] & (1u << f))) continue;
            const word_pair pairs[] = {
                {"role", role_names[r]}, {"form", solo_form_get_info(f)->name}, {"act", act}};
            add_template(out, "template_rows.wgsl", pairs, SOLO_COUNT(pairs));
        }
    }
    solo_stream stream;
    solo_stream_make(w, desc->geometry, desc->factoring->assignment == SOLO_ASSIGNMENT_STATIC, &stream);
    solo_stream_add(out, &stream);
    for (uint32_t r = 0; r < SOLO_ROLE_COUNT; r++) {
        const word_pair pair = {"role", role_names[r]};
        add_rows_of(out, w, r);
        if (!stream.role[r].on) add_template(out, "template_rolled.wgsl", &pair, 1);
    }
}

/* ---- modules ------------------------------------------------------------------------------ */

static void add_prelude(solo_text *out, const solo_wgsl_desc *desc) {
    const char *name = desc->factoring ? desc->factoring->name : "prefill";
    solo_text_add(out, "diagnostic(off, subgroup_uniformity);\n");
    if (desc->subgroups) solo_text_add(out, "enable subgroups;\n");
    solo_text_add(out, "// %s, joined by Solo " SOLO_VERSION "\n", name);
    add_shape(out, desc->geometry);
    add_geometry(out, desc->geometry, desc->spin_limit);
    solo_text_add(out, "const SUBGROUPS_IN_TURN = %s;\n", desc->in_turn ? "true" : "false");
    add_messages(out, desc->geometry);
    const solo_factoring *f = desc->factoring;
    bool whole = f && f->tagged && f->n_row == 1 && !f->n_chunk_layer && f->assignment == SOLO_ASSIGNMENT_STATIC;
    solo_text_add(out, "const WHOLE_STATIC = %s; // a token is one dispatch, workgroup r has tile r\n",
                  whole ? "true" : "false");
    if (desc->factoring && desc->factoring->n_chunk_layer)
        add_u32(out, "CHUNK_LAYERS", desc->factoring->n_chunk_layer);
    if (desc->factoring && desc->factoring->n_token > 1)
        add_u32(out, "BURST_TOKENS", desc->factoring->n_token);
    add_payload(out, desc->weights);
    add_vectors(out, desc->weights);
}

static void add_prefill(solo_text *out, const solo_weights *w) {
    static const struct {
        const char *name;
        solo_matrix matrix;
    } uses[] = {
        {"q", SOLO_MATRIX_Q},       {"k", SOLO_MATRIX_K},       {"v", SOLO_MATRIX_V},
        {"out", SOLO_MATRIX_OUT},   {"gate", SOLO_MATRIX_GATE}, {"up", SOLO_MATRIX_UP},
        {"down", SOLO_MATRIX_DOWN},
    };
    add_file(out, "prefill.wgsl");
    for (uint32_t i = 0; i < SOLO_COUNT(uses); i++) {
        uint32_t forms = forms_of(w, uses[i].matrix);
        if (!forms) continue;
        solo_text_add(
            out, "fn weight_%s(layer: u32, row: u32, groups: u32, g: u32, j: u32) -> vec4<f32> {\n",
            uses[i].name);
        solo_text_add(out, "  let m = matrix_%s(layer);\n", uses[i].name);
        for (uint32_t f = 0; f < SOLO_FORM_COUNT; f++) {
            if (!(forms & (1u << f))) continue;
            const char *form = solo_form_get_info(f)->name;
            if (is_mixed(forms))
                solo_text_add(out, "  if (form_%s(layer) == %uu) ", uses[i].name, f);
            solo_text_add(
                out, "  { return quad_%s(load_%s(m, row, groups, g), j); }\n",
                form, form);
        }
        if (is_mixed(forms)) solo_text_add(out, "  return vec4<f32>();\n");
        solo_text_add(out, "}\n");
        const word_pair pair = {"matrix", uses[i].name};
        add_template(out, "template_prefill_matmul.wgsl", &pair, 1);
    }
}

/* Whether scores, softmax and mix are dispatches of their own. */
static bool cuts_attend(const solo_factoring *f) {
    for (uint32_t i = 0; i < f->n_row; i++)
        if (f->row[i].last == SOLO_OP_SCORES) return true;
    return false;
}

char *solo_wgsl_join(const solo_wgsl_desc *desc) {
    solo_text out = {0};
    const solo_geometry_desc *g = &desc->geometry->desc;
    add_prelude(&out, desc);
    add_file(&out, "common.wgsl");
    const bool kv_int8 = g->kv_type == SOLO_KV_INT8;
    add_file(&out, kv_int8 ? "kv_int8.wgsl" : g->kv_type == SOLO_KV_F16 ? "kv_f16.wgsl" : "kv_f32.wgsl");
    if (!kv_int8) add_file(&out, "kv_unscaled.wgsl");
    add_file(&out, g->hp->act == SOLO_ACT_SILU ? "act_silu.wgsl" : "act_gelu.wgsl");
    add_weights(&out, desc);
    if (!desc->factoring) {
        add_prefill(&out, desc->weights);
        add_file(&out, kv_int8 ? "prefill_append_int8.wgsl" : "prefill_append_unscaled.wgsl");
        return out.at;
    }
    add_file(&out, desc->factoring->n_token > 1 ? "token_burst.wgsl" : "token_one.wgsl");
    if (desc->factoring->tagged) {
        static const char *const by[] = {"handoff_by_counter_tag.wgsl", "handoff_by_tag.wgsl",
                                         "handoff_by_counter.wgsl", "handoff_by_plain.wgsl",
                                         "handoff_by_nothing.wgsl"};
        bool checked = desc->hand_off == SOLO_HAND_OFF_COUNTER_TAG || desc->hand_off == SOLO_HAND_OFF_TAG;
        add_file(&out, by[desc->hand_off]);
        if (checked) add_file(&out, "handoff_checked.wgsl");
        add_file(&out, "handoff_tagged.wgsl");
    } else {
        add_file(&out, "handoff_plain.wgsl");
    }
    add_file(&out, desc->subgroups ? "reduce_subgroup.wgsl" : "reduce_scratch.wgsl");
    add_file(&out, g->activations == SOLO_ACTIVATIONS_F32 ? "activations_f32.wgsl"
                                                          : "activations_int8.wgsl");
    add_sums_wanted(&out, desc);
    add_file(&out, "residual.wgsl");
    solo_take_add(&out, desc->geometry, desc->factoring->tagged);
    add_file(&out, g->hp->norm == SOLO_NORM_RMS ? "norm_rms.wgsl" : "norm_layer.wgsl");
    add_file(&out, "finish.wgsl");
    add_file(&out, g->hp->has_head_norm ? "heads_norm.wgsl" : "heads_plain.wgsl");
    const solo_geometry *all = desc->geometry;
    bool spans = desc->subgroups && g->max_team >= all->qd && g->max_team >= all->qf &&
                 g->max_team >= all->qa;
    add_file(&out, spans ? "spans_subgroup.wgsl" : "spans_serial.wgsl");
    if (spans) add_file(&out, g->activations == SOLO_ACTIVATIONS_F32 ? "span_f32.wgsl" : "span_int8.wgsl");
    add_rows(&out, desc);
    for (uint32_t i = 0; i < SOLO_STAGE_COUNT; i++) {
        char file[64];
        snprintf(file, sizeof file, "stage_%s.wgsl", solo_stage_name(i));
        add_file(&out, file);
    }
    add_file(&out, kv_int8 ? "append_int8.wgsl" : "append_unscaled.wgsl");
    add_file(&out, g->attend_lanes ? "attend_lanes.wgsl" : "attend_serial.wgsl");
    if (g->attend_lanes) solo_attend_add(&out, desc->geometry);
    add_file(&out, all->att_whole ? "attend_whole.wgsl" : "attend_split.wgsl");
    if (desc->factoring->shared) add_file(&out, desc->factoring->shared);
    if (cuts_attend(desc->factoring))
        add_file(&out, g->attend_lanes ? "unfused_attend_lanes.wgsl" : "unfused_attend_serial.wgsl");
    add_file(&out, desc->factoring->kernel);
    return out.at;
}
