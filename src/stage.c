/* stage.c: the tables of stage.h and the arithmetic of a geometry. */
#include "stage.h"

/* ---- stages and operations ---------------------------------------------------------------- */

static const struct { const char *name; solo_scope scope; } stages[] = {
#define X(name, text, scope) {text, SOLO_SCOPE_##scope},
    SOLO_STAGE_LIST(X)
#undef X
};

static const struct { solo_stage stage; solo_need need; } ops[] = {
#define X(name, entry, stage, grid, part, layer_add, need) {SOLO_STAGE_##stage, SOLO_NEED_##need},
    SOLO_OP_LIST(X)
#undef X
};

const char *solo_stage_name(solo_stage stage) { return stages[stage].name; }
solo_scope solo_stage_scope(solo_stage stage) { return stages[stage].scope; }
solo_stage solo_op_stage(solo_op op) { return ops[op].stage; }

bool solo_has(const solo_hparams *hp, solo_need need) {
    switch (need) {
        case SOLO_NEED_ALL: return true;
        case SOLO_NEED_HEAD_NORM: return hp->has_head_norm;
        case SOLO_NEED_UP: return !hp->ungated;
        case SOLO_NEED_POST_NORM: return hp->has_post_norm;
        case SOLO_NEED_NO_POST_NORM: return !hp->has_post_norm;
    }
    solo_bug(__FILE__, __LINE__, "no such need");
}

bool solo_op_is_done(const solo_hparams *hp, solo_op op) { return solo_has(hp, ops[op].need); }

bool solo_stage_is_done(const solo_hparams *hp, solo_stage stage) {
    for (uint32_t op = 0; op < SOLO_OP_COUNT; op++)
        if (ops[op].stage == stage && solo_op_is_done(hp, op)) return true;
    return false;
}

bool solo_row_ops(const solo_hparams *hp, const solo_factor_row *row, solo_op *first, solo_op *last) {
    *first = row->first, *last = row->last;
    while (*first < *last && !solo_op_is_done(hp, *first)) ++*first;
    while (*last > *first && !solo_op_is_done(hp, *last)) --*last;
    return solo_op_is_done(hp, *first);
}

/* ---- factorings --------------------------------------------------------------------------- */

#define SCOPE_OF(stage) SCOPE_##stage
#define SCOPE_EMBED SOLO_SCOPE_TOKEN
#define SCOPE_QKV SOLO_SCOPE_LAYER
#define SCOPE_ATTEND SOLO_SCOPE_LAYER
#define SCOPE_COMBINE SOLO_SCOPE_LAYER
#define SCOPE_OUT SOLO_SCOPE_LAYER
#define SCOPE_NORM_OUT SOLO_SCOPE_LAYER
#define SCOPE_GATE_UP SOLO_SCOPE_LAYER
#define SCOPE_DOWN SOLO_SCOPE_LAYER
#define SCOPE_NORM_DOWN SOLO_SCOPE_LAYER
#define SCOPE_LOGITS SOLO_SCOPE_TOKEN
#define SCOPE_SAMPLE SOLO_SCOPE_TOKEN

static const solo_factor_row unfused_rows[] = {
#define X(name, entry, stage, grid, part, layer_add, need)                                   \
    {#entry, SCOPE_OF(stage), SOLO_OP_##name, SOLO_OP_##name, SOLO_GRID_##grid, part,        \
     layer_add, SOLO_SYNC_NONE},
    SOLO_OP_LIST(X)
#undef X
};

#define TOKEN_ROW(entry, first, last, grid) \
    {entry, SOLO_SCOPE_TOKEN, SOLO_OP_##first, SOLO_OP_##last, SOLO_GRID_##grid, 0, 0, SOLO_SYNC_NONE}
#define LAYER_ROW(entry, first, last, grid) \
    {entry, SOLO_SCOPE_LAYER, SOLO_OP_##first, SOLO_OP_##last, SOLO_GRID_##grid, 0, 0, SOLO_SYNC_NONE}

static const solo_factor_row stages_rows[] = {
    /* runs once a  entry point         first op  last op     a workgroup for each tile of */
    TOKEN_ROW("dispatch_embed",   EMBED,   EMBED_GAIN, EMBED),
    LAYER_ROW("dispatch_qkv",     Q,       KV_STORE,   QKV),
    LAYER_ROW("dispatch_attend",  SCORES,  MIX,        ATTEND),
    LAYER_ROW("dispatch_combine", COMBINE, COMBINE,    COMBINE),
    LAYER_ROW("dispatch_out",     OUT,     OUT_GAIN,   OUT),
    LAYER_ROW("dispatch_norm_out", NORM_OUT, NORM_OUT_GAIN, EMBED),
    LAYER_ROW("dispatch_gate_up", GATE,    GLU,        GATE_UP),
    LAYER_ROW("dispatch_down",    DOWN,    DOWN_GAIN,  DOWN),
    LAYER_ROW("dispatch_norm_down", NORM_DOWN, NORM_DOWN_GAIN, EMBED),
    TOKEN_ROW("dispatch_logits",  LOGITS,  LOGITS,     LOGITS),
    TOKEN_ROW("dispatch_sample",  SAMPLE,  SAMPLE,     ONE),
};

/* zero-tvm's ten kernels a token: two of them, add_norm, stand for both residuals of a layer. */
static const solo_factor_row roles_rows[] = {
    TOKEN_ROW("role_embed",     EMBED,        EMBED,      EMBED),
    TOKEN_ROW("role_rms_norm",  EMBED_SQUARE, EMBED_GAIN, EMBED),
    LAYER_ROW("role_qkv",       Q,            KV_STORE,   QKV),
    {"role_attention", SOLO_SCOPE_LAYER, SOLO_OP_SCORES, SOLO_OP_COMBINE, SOLO_GRID_HEADS, 0, 0,
     SOLO_SYNC_STORAGE},
    LAYER_ROW("role_out",       OUT,          OUT_PUT,    OUT),
    LAYER_ROW("role_add_norm",  OUT_ADD,      OUT_GAIN,   EMBED),
    LAYER_ROW("role_norm_out",  NORM_OUT,     NORM_OUT_GAIN, EMBED),
    LAYER_ROW("role_gate_up",   GATE,         GLU,        GATE_UP),
    LAYER_ROW("role_down",      DOWN,         DOWN_PUT,   DOWN),
    {"role_add_norm", SOLO_SCOPE_LAYER, SOLO_OP_DOWN_ADD, SOLO_OP_DOWN_GAIN, SOLO_GRID_EMBED, 1, 0,
     SOLO_SYNC_NONE},
    LAYER_ROW("role_norm_down", NORM_DOWN,    NORM_DOWN_GAIN, EMBED),
    TOKEN_ROW("role_lm_head",   LOGITS,       LOGITS,     LOGITS),
    TOKEN_ROW("role_sample",    SAMPLE,       SAMPLE,     ONE),
};

static const solo_factor_row single_wg_rows[] = {
    {"dispatch_single_wg", SOLO_SCOPE_TOKEN, SOLO_OP_EMBED, SOLO_OP_SAMPLE, SOLO_GRID_ONE, 0, 0,
     SOLO_SYNC_STORAGE},
};

/* The in-dispatch ones, in the two forms of assignment. */
#define LAYER_ROWS(form)                                                                    \
    {                                                                                       \
        TOKEN_ROW("dispatch_embed", EMBED, EMBED_GAIN, EMBED),                              \
        {"dispatch_layer_" form, SOLO_SCOPE_LAYER, SOLO_OP_Q, SOLO_OP_NORM_DOWN_GAIN, SOLO_GRID_WG, \
         0, 0, SOLO_SYNC_WORDS},                                                            \
        TOKEN_ROW("dispatch_logits", LOGITS, LOGITS, LOGITS),                               \
        TOKEN_ROW("dispatch_sample", SAMPLE, SAMPLE, ONE),                                  \
    }
#define WHOLE_ROW(entry, scope)                                                              \
    {entry, SOLO_SCOPE_##scope, SOLO_OP_EMBED, SOLO_OP_SAMPLE, SOLO_GRID_WG, 0, 0, SOLO_SYNC_WORDS}

static const solo_factor_row layer_static_rows[] = LAYER_ROWS("static");
static const solo_factor_row layer_ticket_rows[] = LAYER_ROWS("ticket");
static const solo_factor_row chunk_static_rows[] = {WHOLE_ROW("dispatch_chunk_static", CHUNK)};
static const solo_factor_row chunk_ticket_rows[] = {WHOLE_ROW("dispatch_chunk_ticket", CHUNK)};
static const solo_factor_row single_static_rows[] = {WHOLE_ROW("dispatch_single_static", TOKEN)};
static const solo_factor_row single_ticket_rows[] = {WHOLE_ROW("dispatch_single_ticket", TOKEN)};
static const solo_factor_row burst_static_rows[] = {WHOLE_ROW("dispatch_burst_static", TOKEN)};
static const solo_factor_row burst_ticket_rows[] = {WHOLE_ROW("dispatch_burst_ticket", TOKEN)};

#define PLAIN(name, kernel, shared, rows) \
    {name, kernel, shared, rows, SOLO_COUNT(rows), false, SOLO_ASSIGNMENT_AUTO, 0, 1}
#define WORDS(name, kernel, rows, n_layer, n_token)                                         \
    {name, kernel, "walk.wgsl", rows##_static_rows, SOLO_COUNT(rows##_static_rows), true,   \
     SOLO_ASSIGNMENT_STATIC, n_layer, n_token},                                             \
    {name, kernel, "walk.wgsl", rows##_ticket_rows, SOLO_COUNT(rows##_ticket_rows), true,   \
     SOLO_ASSIGNMENT_TICKET, n_layer, n_token}

/* Most dispatches first. chunk and burst stand here with the number they have unasked. */
static const solo_factoring factorings[] = {
    PLAIN("unfused", "factor_unfused.wgsl", "raw_rows.wgsl", unfused_rows),
    PLAIN("roles", "factor_roles.wgsl", "raw_rows.wgsl", roles_rows),
    PLAIN("stages", "factor_stages.wgsl", NULL, stages_rows),
    WORDS("layer", "factor_layer.wgsl", layer, 0, 1),
    WORDS("chunk:8", "factor_chunk.wgsl", chunk, 8, 1),
    WORDS("single", "factor_single.wgsl", single, 0, 1),
    PLAIN("single-wg", "factor_single_wg.wgsl", NULL, single_wg_rows),
    WORDS("burst:4", "factor_burst.wgsl", burst, 0, 4),
};

const char *const *solo_factoring_names(void) {
    static const char *const names[] = {"unfused", "roles",  "stages",    "layer", "chunk",
                                        "single",  "single-wg", "burst", NULL};
    return names;
}

const solo_factoring *solo_factoring_at(uint32_t i) {
    return i < SOLO_COUNT(factorings) ? &factorings[i] : NULL;
}

/* The number behind the colon of "chunk:4", if the whole of it is one from min to max. */
static bool read_number(const char *text, uint32_t min, uint32_t max, uint32_t *out) {
    uint32_t n = 0;
    if (!*text) return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > max) return false;
        n = n * 10 + (uint32_t)(*text - '0');
    }
    *out = n;
    return n >= min && n <= max;
}

static bool fail_unknown(const char *name, solo_error *err) {
    char names[200] = "";
    for (const char *const *n = solo_factoring_names(); *n; n++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", names[0] ? ", " : "",
                 *n);
    return solo_fail(err, SOLO_ARGUMENT,
                     "factoring: wanted one of %s (or chunk:1 to chunk:%u layers a dispatch, burst:2 "
                     "to burst:%u tokens a dispatch), found \"%s\"",
                     names, SOLO_MAX_CHUNK, SOLO_MAX_BURST, name);
}

bool solo_factoring_find(const char *name, solo_assignment assignment, solo_factoring *out,
                         solo_error *err) {
    size_t n = strcspn(name, ":");
    for (uint32_t i = 0; i < SOLO_COUNT(factorings); i++) {
        const solo_factoring *f = &factorings[i];
        if (strcspn(f->name, ":") != n || strncmp(f->name, name, n)) continue;
        if (f->assignment == SOLO_ASSIGNMENT_STATIC && assignment == SOLO_ASSIGNMENT_TICKET)
            continue;
        *out = *f;
        if (!name[n]) return true;
        const char *number = name + n + 1;
        if (f->n_chunk_layer && read_number(number, 1, SOLO_MAX_CHUNK, &out->n_chunk_layer))
            return snprintf(out->name, sizeof out->name, "chunk:%u", out->n_chunk_layer) > 0;
        if (f->n_token > 1 && read_number(number, 2, SOLO_MAX_BURST, &out->n_token))
            return snprintf(out->name, sizeof out->name, "burst:%u", out->n_token) > 0;
        break;
    }
    return fail_unknown(name, err);
}

bool solo_factoring_check(const char *name, solo_error *err) {
    solo_factoring f;
    return solo_factoring_find(name, SOLO_ASSIGNMENT_AUTO, &f, err);
}

static void add_step(solo_factor_step *out, uint32_t *n, solo_factor_step step) {
    if (out) out[*n] = step;
    ++*n;
}

/* The chunks of a CHUNK row. */
static void add_chunks(const solo_factoring *f, const solo_factor_row *row, const solo_hparams *hp,
                       solo_factor_step *out, uint32_t *n) {
    const solo_factor_row layer = {.first = SOLO_OP_Q, .last = SOLO_OP_NORM_DOWN_GAIN};
    solo_op first, last;
    solo_row_ops(hp, &layer, &first, &last);
    for (uint32_t l = 0; l < hp->n_layer; l += f->n_chunk_layer) {
        solo_factor_step step = {row, l, l + f->n_chunk_layer - 1, first, last};
        if (l == 0) step.first = row->first;
        if (hp->n_layer - l <= f->n_chunk_layer) step.last = row->last, step.last_layer = 0;
        add_step(out, n, step);
    }
}

/* The rows from `from` to `to`, once each. */
static void add_rows(const solo_factoring *f, const solo_hparams *hp, uint32_t from, uint32_t to,
                     uint32_t layer, solo_factor_step *out, uint32_t *n) {
    for (uint32_t k = from; k < to; k++) {
        solo_op first, last;
        if (solo_row_ops(hp, &f->row[k], &first, &last))
            add_step(out, n, (solo_factor_step){&f->row[k], layer, layer, first, last});
    }
}

uint32_t solo_factoring_steps(const solo_factoring *f, const solo_hparams *hp, solo_factor_step *out) {
    uint32_t n = 0;
    for (uint32_t i = 0, end; i < f->n_row; i = end) {
        const solo_scope scope = f->row[i].scope;
        end = i + 1;
        if (scope == SOLO_SCOPE_CHUNK) add_chunks(f, &f->row[i], hp, out, &n);
        if (scope == SOLO_SCOPE_TOKEN) add_rows(f, hp, i, end, 0, out, &n);
        if (scope != SOLO_SCOPE_LAYER) continue;
        while (end < f->n_row && f->row[end].scope == SOLO_SCOPE_LAYER) end++;
        for (uint32_t layer = 0; layer < hp->n_layer; layer++) add_rows(f, hp, i, end, layer, out, &n);
    }
    return n;
}

/* ---- geometry ----------------------------------------------------------------------------- */

static uint32_t ceil_div(uint32_t a, uint32_t b) { return (a + b - 1) / b; }
static uint32_t round_up(uint32_t a, uint32_t unit) { return ceil_div(a, unit) * unit; }
static uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }
static uint32_t max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }

/* Neighbours that share a scale: by the model's shape alone, so that every device computes the same
 * numbers. About one slice of 128 (the fast form gives each of 128 workgroups one slice to own),
 * between 8, the least the kernels know, and 32, a weight group. */
static uint32_t quant_span(uint32_t n) {
    uint32_t span = 8;
    for (uint32_t q = 16; q <= 32; q += 8) {
        if (n % q == 0 && q <= n / 128) span = q;
    }
    return span;
}

/* How lanes share a tile's rows: the cheapest by counting, per pass and strip of the inputs, a unit
 * for each row's products and some for loading the inputs, and per row the steps of the reduction.
 */
static void choose_team(solo_role_geometry *role, const solo_geometry_desc *desc) {
    const uint32_t wg = desc->workgroup_size, max_team = desc->max_team;
    double best = 0;
    role->team = 0;
    /* Rows of several strips go to the widest team: whole lines of memory, fewer rows a lane. */
    uint32_t least = role->groups >= 2 * max_team ? max_team : 1, most = max_team;
    if (desc->k_split) least = most = desc->k_split;
    uint32_t least_r = desc->rows_team ? desc->rows_team : 1;
    uint32_t most_r = desc->rows_team ? desc->rows_team : max_team == 1 ? 1 : 4;
    for (uint32_t team = least; team <= most; team *= 2) {
        for (uint32_t r = least_r; r <= most_r; r *= 2) {
            uint32_t team_rows = ceil_div(role->tile, wg / team);
            uint32_t n_pass = ceil_div(team_rows, r);
            uint32_t strips = ceil_div(role->groups, team);
            double steps = 0;
            for (uint32_t t = team; t > 1; t /= 2) steps += 1;
            double cost = n_pass * (strips * (r + 0.75) + r * steps * 0.25 + 0.5);
            if (role->team && cost >= best) continue;
            best = cost;
            role->team = team, role->team_rows = team_rows;
            role->rows_team = r, role->n_pass = n_pass;
        }
    }
}

#define MAX_TILE 256u /* rows: bounds workgroup memory */

/* Rows a tile, so that every workgroup gets as many tiles as the others: one where that fits. */
static uint32_t tile_of(uint32_t rows, uint32_t unit, uint32_t n_workgroup) {
    uint32_t most = MAX_TILE / unit * unit, rounds = ceil_div(rows, most * n_workgroup);
    return min_u32(round_up(ceil_div(rows, rounds * n_workgroup), unit), most);
}

/* What a tile of qkv is a multiple of: heads that are normed, spans that share a scale, or pairs stay together. */
static uint32_t qkv_unit(const solo_geometry *g) {
    if (g->desc.hp->has_head_norm) return g->desc.hp->head_dim;
    return g->kv_span % 8 == 4 ? 2 * g->kv_span : max_u32(g->kv_span, 8);
}

/* The same of a layer's matrix, whose tiles may be asked for. */
static uint32_t layer_tile(const solo_geometry *g, uint32_t rows, uint32_t unit) {
    uint32_t asked = min_u32(g->desc.tile_rows, rows), most = MAX_TILE / unit * unit;
    return asked ? min_u32(round_up(asked, unit), most) : tile_of(rows, unit, g->desc.n_workgroup);
}

static void cut_roles(solo_geometry *g) {
    const solo_hparams *hp = g->desc.hp;
    uint32_t n_wg = g->desc.n_workgroup, q_dim = hp->n_head * hp->head_dim;
    g->role[SOLO_ROLE_QKV].tile = layer_tile(g, g->rows_q + 2 * g->rows_k, qkv_unit(g));
    g->role[SOLO_ROLE_OUT].tile = layer_tile(g, hp->n_embd, g->qd);
    g->role[SOLO_ROLE_GATE_UP].tile = layer_tile(g, hp->n_ff, g->qf);
    g->role[SOLO_ROLE_DOWN].tile = layer_tile(g, hp->n_embd, g->qd);
    g->role[SOLO_ROLE_LOGITS].tile = tile_of(hp->n_vocab, 8, n_wg);
    g->embed_tile = g->role[SOLO_ROLE_OUT].tile;
    g->combine_tile = tile_of(q_dim, g->qa, n_wg);
    g->tiles_combine = ceil_div(q_dim, g->combine_tile);
    g->tiles_q = ceil_div(g->rows_q, g->role[SOLO_ROLE_QKV].tile);
    g->tiles_k = ceil_div(g->rows_k, g->role[SOLO_ROLE_QKV].tile);
    g->role[SOLO_ROLE_QKV].n_tile =
        ceil_div(g->rows_q + 2 * g->rows_k, g->role[SOLO_ROLE_QKV].tile);
    g->role[SOLO_ROLE_OUT].n_tile = ceil_div(hp->n_embd, g->role[SOLO_ROLE_OUT].tile);
    g->role[SOLO_ROLE_GATE_UP].n_tile = ceil_div(hp->n_ff, g->role[SOLO_ROLE_GATE_UP].tile);
    g->role[SOLO_ROLE_DOWN].n_tile = ceil_div(hp->n_embd, g->role[SOLO_ROLE_DOWN].tile);
    g->role[SOLO_ROLE_LOGITS].n_tile = ceil_div(hp->n_vocab, g->role[SOLO_ROLE_LOGITS].tile);
    g->tiles_embed = ceil_div(hp->n_embd, g->embed_tile);
    const uint32_t groups[] = {hp->n_embd / 32, q_dim / 32, hp->n_embd / 32, hp->n_ff / 32,
                               hp->n_embd / 32};
    for (uint32_t i = 0; i < SOLO_ROLE_COUNT; i++) {
        g->role[i].groups = groups[i];
        choose_team(&g->role[i], &g->desc);
        g->max_rows = max_u32(g->max_rows, g->role[i].tile * (i == SOLO_ROLE_GATE_UP ? g->ffn_parts : 1));
    }
    g->max_rows = max_u32(g->max_rows, max_u32(g->embed_tile, g->combine_tile));
    g->tail_rows = max_u32(max_u32(g->role[SOLO_ROLE_OUT].tile, g->role[SOLO_ROLE_DOWN].tile), g->embed_tile);
}

/* A row of the cache, and a lane's part of it. int8 rows are kv_int8.wgsl's: a span to each of four lanes. Parts are
 * filled up to what the lanes of max_team can halve among them. */
static void lay_out_row(solo_geometry *g) {
    const uint32_t dim = g->desc.hp->head_dim, n_part = g->desc.max_team / g->att_team;
    if (g->desc.kv_type == SOLO_KV_INT8) {
        SOLO_ASSERT(dim % 16 == 0);
        const uint32_t words = dim / 16; /* of a span */
        g->kv_span = dim / 4;
        g->kv_row = 4 * (words + 1);
        g->att_vecs = words / 4, g->att_words = words % 4 + 1;
        g->att_dims = round_up(g->kv_span, n_part);
    } else {
        const uint32_t a_word = g->desc.kv_type == SOLO_KV_F16 ? 2 : 1;
        g->kv_row = dim / a_word;
        g->att_vecs = ceil_div(ceil_div(g->kv_row, 4), g->att_team);
        while (g->att_vecs * 4 * a_word % n_part != 0) g->att_vecs++;
        g->att_dims = g->att_vecs * 4 * a_word;
    }
    g->kv_vecs = ceil_div(g->kv_row, 4);
}

/* Bytes of workgroup memory that the hungriest entry point (a whole token) uses, given xg. Mirrors
 * the var<workgroup> declarations; tests/test_stage.c holds it against the text. */
static uint32_t scratch_bytes(const solo_geometry *g) {
    const solo_hparams *hp = g->desc.hp;
    bool f32 = g->desc.activations == SOLO_ACTIVATIONS_F32;
    uint32_t words = 2 * g->max_rows + 2 * g->tail_rows + g->role[SOLO_ROLE_QKV].tile + g->xg + g->n_sum + 1;
    words += f32 ? 32 * g->xg : 12 * g->xg;
    if (g->desc.attend_lanes)
        words += g->att_team * g->att_dims + 8 * g->n_block * g->kv_vecs + g->att_scores +
                 g->wg / g->desc.max_team * (hp->head_dim + 2);
    else
        words += g->big + g->att_heads * ((1 + g->att_parts) * hp->head_dim + g->att_block + 3);
    words += hp->has_head_norm ? g->role[SOLO_ROLE_QKV].tile / hp->head_dim : 0;
    words += SOLO_MAX_WINDOW + 32 + 2 * (g->wg / g->desc.max_team) + 3 * 256 + 2;
    words += g->wg; /* reduce_scratch */
    return words * 4;
}

/* That any layer attends to. */
static uint32_t n_attended(const solo_geometry *g) {
    const solo_hparams *hp = g->desc.hp;
    bool in_window = hp->attn_window && !hp->global_every;
    return in_window ? min_u32(g->desc.n_ctx, hp->attn_window) : g->desc.n_ctx;
}

static uint32_t positions_a_split(const solo_geometry *g) { return ceil_div(n_attended(g), g->n_split); }

#define MAX_ATT_PART 1024u /* positions of which scores stand in workgroup memory at once */

/* Which contexts are attended to whole: as many positions as there are lanes, where a head has a workgroup for each of
 * ATT_TEAM slices of its numbers, and a slice is whole spans of A that a team of a subgroup can put. */
static void cut_whole(solo_geometry *g) {
    const uint32_t head_dim = g->desc.hp->head_dim, most = max_u32(max_u32(g->qd, g->qa), g->qf);
    const uint32_t slice = g->kv_span ? g->kv_span : g->att_dims;
    if (g->desc.always_split || !g->desc.attend_lanes || g->desc.max_team < most || g->n_split < g->att_team ||
        slice * g->att_team != head_dim || slice % g->qa != 0)
        return;
    g->att_whole = g->wg;
    g->att_slice = slice;
}

/* Chunks of inputs and blocks of attention, cut until the workgroup's memory suffices. */
static bool fit_scratch(solo_geometry *g, solo_error *err) {
    const solo_hparams *hp = g->desc.hp;
    uint32_t most = 0;
    for (uint32_t i = 0; i < SOLO_ROLE_COUNT; i++) most = max_u32(most, g->role[i].groups);
    bool lanes = g->desc.attend_lanes;
    g->att_block = lanes ? g->wg / g->att_team : g->desc.max_team == 1 ? 32 : 64;
    uint32_t part = max_u32(min_u32(positions_a_split(g), MAX_ATT_PART), min_u32(n_attended(g), g->att_whole));
    g->att_part_blocks = ceil_div(part, g->att_block);
    g->att_scores = max_u32((g->att_part_blocks + SOLO_ATT_ROWS - 1) * g->att_block, g->att_whole);
    for (g->xg = most;;) {
        for (uint32_t i = 0; i < SOLO_ROLE_COUNT; i++) {
            g->role[i].chunk_groups = min_u32(g->xg, g->role[i].groups);
            g->role[i].n_chunk = ceil_div(g->role[i].groups, g->role[i].chunk_groups);
        }
        g->big = g->att_block * (hp->head_dim + 1);
        g->workgroup_bytes = scratch_bytes(g);
        if (g->workgroup_bytes <= g->desc.max_workgroup_bytes) return true;
        if (!lanes && g->att_block > 32) /* longer blocks are worth less than inputs in one chunk */
            g->att_block -= 16;
        else if (!lanes && g->att_block * (hp->head_dim + 1) > 48 * g->xg && g->att_block > 8)
            g->att_block /= 2;
        else if (g->xg > 8)
            g->xg = ceil_div(g->xg, 2);
        else
            break;
    }
    return solo_fail(err, SOLO_DEVICE_LIMIT,
                     "workgroup memory: wanted %u bytes for head_dim %u and %u vocabulary entries, "
                     "found maxComputeWorkgroupStorageSize %u",
                     g->workgroup_bytes, hp->head_dim, hp->n_vocab, g->desc.max_workgroup_bytes);
}

/* No gaps: the self-test compares every word, so every word must have a writer. */
static void lay_out_messages(solo_geometry *g) {
    const solo_hparams *hp = g->desc.hp;
    bool f32 = g->desc.activations == SOLO_ACTIVATIONS_F32;
    uint32_t d = hp->n_embd, at = d;
    g->x_y = at, at += f32 ? d : d / 4;
    g->x_scale = at, at += f32 ? 0 : d / g->qd;
    g->x_ss = at, at += g->n_sum;
    g->x_words = at;
    at = g->x_words; /* L_X is 0 */
    g->l_q = at, at += g->rows_q;
    g->l_k = at, at += hp->n_head_kv * g->kv_row;
    g->l_v = at, at += hp->n_head_kv * g->kv_row;
    g->l_att = at, at += hp->n_head * g->n_split * hp->head_dim;
    g->l_att_ml = at, at += hp->n_head * g->n_split * 2;
    g->l_a = at, at += f32 ? g->rows_q : g->rows_q / 4;
    g->l_a_scale = at, at += f32 ? 0 : g->rows_q / g->qa;
    g->l_x1 = at, at += g->x_words;
    g->l_h = at, at += f32 ? hp->n_ff : hp->n_ff / 4;
    g->l_h_scale = at, at += f32 ? 0 : hp->n_ff / g->qf;
    g->p_words = hp->has_post_norm ? d + g->n_ss : 0;
    g->l_p_out = at, at += g->p_words;
    g->l_p_down = at, at += g->p_words;
    g->layer_words = at;
    at = hp->n_layer * g->layer_words + g->x_words;
    g->m_logits = at, at += hp->n_vocab;
    g->m_top = at, at += 2 * g->role[SOLO_ROLE_LOGITS].n_tile;
    g->m_id = at++;
    g->msg_words = at;
    g->t_raw = at, at += max_u32(max_u32(g->rows_q + 2 * g->rows_k, 2 * hp->n_ff), d);
    g->t_scores = at;
    at += g->tiles_attend * g->att_max_block * (g->att_heads * g->att_block + g->att_heads);
    g->tmp_words = at - g->msg_words;
    g->n_counter = g->n_block * hp->n_layer * (SOLO_STAGE_COUNT + 1); /* and a ticket */
    g->state_ids = SOLO_STATE_ARRIVE + 2 * g->n_counter * SOLO_ARRIVE_LINE;
    g->state_words = g->state_ids + g->desc.n_ctx + 1;
}

static void count_grids(solo_geometry *g) {
    g->grid[SOLO_GRID_ONE] = 1;
    g->grid[SOLO_GRID_EMBED] = g->tiles_embed;
    g->grid[SOLO_GRID_Q] = g->tiles_q;
    g->grid[SOLO_GRID_K] = g->tiles_k;
    g->grid[SOLO_GRID_QKV] = g->role[SOLO_ROLE_QKV].n_tile;
    g->grid[SOLO_GRID_ATTEND] = g->tiles_attend;
    g->grid[SOLO_GRID_HEADS] = ceil_div(g->desc.hp->n_head / g->att_heads, g->slice_heads);
    g->grid[SOLO_GRID_COMBINE] = g->tiles_combine;
    g->grid[SOLO_GRID_OUT] = g->role[SOLO_ROLE_OUT].n_tile;
    g->grid[SOLO_GRID_GATE_UP] = g->role[SOLO_ROLE_GATE_UP].n_tile;
    g->grid[SOLO_GRID_DOWN] = g->role[SOLO_ROLE_DOWN].n_tile;
    g->grid[SOLO_GRID_LOGITS] = g->role[SOLO_ROLE_LOGITS].n_tile;
    g->grid[SOLO_GRID_WG] = g->n_wg;
}

bool solo_geometry_make(const solo_geometry_desc *desc, solo_geometry *g, solo_error *err) {
    const solo_hparams *hp = desc->hp;
    memset(g, 0, sizeof *g);
    g->desc = *desc;
    g->wg = desc->workgroup_size;
    g->n_wg = desc->n_workgroup;
    g->n_block = desc->n_block ? desc->n_block : 1;
    if (g->wg < 32 || g->wg % 32 != 0)
        return solo_fail(err, SOLO_ARGUMENT, "workgroup size: wanted a multiple of 32, found %u",
                         g->wg);
    if (hp->head_dim % 4 != 0)
        return solo_fail(err, SOLO_UNSUPPORTED, "head_dim: wanted a multiple of 4, found %u",
                         hp->head_dim);
    if (hp->has_head_norm && hp->head_dim > MAX_TILE)
        return solo_fail(err, SOLO_UNSUPPORTED,
                         "head_dim: wanted at most %u where q and k are normed, found %u", MAX_TILE,
                         hp->head_dim);
    g->rows_q = hp->n_head * hp->head_dim;
    g->rows_k = hp->n_head_kv * hp->head_dim;
    g->att_heads = desc->attend_lanes ? 1 : hp->n_head / hp->n_head_kv;
    if (g->att_heads > g->wg)
        return solo_fail(err, SOLO_UNSUPPORTED,
                         "heads that share a kv head: wanted at most %u, found %u", g->wg,
                         g->att_heads);
    g->att_team = min_u32(SOLO_ATT_TEAM, desc->max_team);
    for (g->att_parts = 1; desc->max_team > 1 && g->att_parts < 8 &&
                           2 * g->att_parts * g->att_heads * hp->head_dim <= g->wg;)
        g->att_parts *= 2;
    g->qd = quant_span(hp->n_embd);
    g->qa = quant_span(g->rows_q);
    g->qf = quant_span(hp->n_ff);
    while (++g->slice_heads * g->att_heads * hp->head_dim % g->qa != 0) {}
    g->n_ss = hp->n_embd / g->qd;
    g->n_sum = g->n_ss * (hp->norm == SOLO_NORM_LAYER ? 2 : 1);
    g->ffn_parts = hp->ungated ? 1 : 2;
    lay_out_row(g);
    /* 8: more splits cost the combine stage more than they save; unmeasured beyond */
    g->n_split =
        desc->max_team == 1 ? 1 : max_u32(1, min_u32(8, desc->n_workgroup / (hp->n_head / g->att_heads)));
    g->tiles_attend = hp->n_head / g->att_heads * g->n_split;
    cut_roles(g);
    cut_whole(g);
    if (!fit_scratch(g, err)) return false;
    g->att_max_block = ceil_div(positions_a_split(g), g->att_block);
    lay_out_messages(g);
    count_grids(g);
    return true;
}

bool solo_geometry_is_walked_once(const solo_geometry *g) {
    uint32_t most = max_u32(g->tiles_attend, g->tiles_combine);
    for (uint32_t i = 0; i < SOLO_ROLE_LOGITS; i++) most = max_u32(most, g->role[i].n_tile);
    if (g->desc.hp->has_post_norm) most = max_u32(most, g->tiles_embed);
    return most <= g->n_wg;
}
