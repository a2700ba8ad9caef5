/* stream.c: writes out the queue of stream.h. */
#include "stream.h"

#include <ctype.h>

#define MAX_UNIT 64u /* longer stages are loops: a text of many hundred units compiles for seconds */
#define MAX_ROWS 16u /* of a pass: each has an accumulator */
#define PART_ROWS 4u /* of a strip: used up before those behind the queue are requested */
/* vec4 of the stages behind attention that stay requested across it, where registers are dear. A
 * starting value: no row says yet what is best. */
#define HELD_ACROSS_ATTENTION 6u

static const struct {
    const char *name, *capital, *matrix;
} names[] = {
    [SOLO_ROLE_QKV] = {"qkv", "QKV", "q"},
    [SOLO_ROLE_OUT] = {"out", "OUT", "out"},
    [SOLO_ROLE_GATE_UP] = {"gate_up", "GATE_UP", "gate"},
    [SOLO_ROLE_DOWN] = {"down", "DOWN", "down"},
    [SOLO_ROLE_LOGITS] = {"logits", "LOGITS", "output"},
};

/* What a Raw_<form> holds, planes first. Each field of each unit is a variable of its own, but the last of those whose
 * scales stand in quads: that is a vec2<u32> of each quad of each row. (As parts of a struct, by
 * pointer, they ran no faster and no slower: bench/results/h200-2026-11-24-phi3.) */
typedef struct field {
    const char *name, *type;
} field;

static const field fields[SOLO_FORM_COUNT][4] = {
    [SOLO_FORM_Q4_0] = {{"w", "vec4<u32>"}, {"s", "u32"}},
    [SOLO_FORM_Q4_1] = {{"w", "vec4<u32>"}, {"s", "u32"}},
    [SOLO_FORM_Q4_K] = {{"w", "vec4<u32>"}, {"d", "f32"}, {"m", "f32"}},
    [SOLO_FORM_Q8_0] = {{"a", "vec4<u32>"}, {"b", "vec4<u32>"}, {"s", "u32"}},
    [SOLO_FORM_Q6_K] = {{"a", "vec4<u32>"}, {"b", "vec4<u32>"}, {"d", "vec2<f32>"}},
    [SOLO_FORM_Q5_K] = {{"w", "vec4<u32>"}, {"d", "f32"}, {"m", "f32"}, {"h", "u32"}},
    [SOLO_FORM_Q4_F] = {{"w", "vec4<u32>"}, {"d", "f32"}},
    [SOLO_FORM_Q2_K] = {{"w", "vec4<u32>"}, {"s", "vec2<u32>"}},
    [SOLO_FORM_F16] = {{"a", "vec4<u32>"}, {"b", "vec4<u32>"}, {"c", "vec4<u32>"}, {"d", "vec4<u32>"}},
    [SOLO_FORM_BF16] = {{"a", "vec4<u32>"}, {"b", "vec4<u32>"}, {"c", "vec4<u32>"}, {"d", "vec4<u32>"}},
};
enum { MAX_FIELD = 4 };

/* ---- which stages have a queue ------------------------------------------------------------ */

static const struct {
    solo_role role;
    solo_matrix first, last; /* stand one behind the other in the weights */
} spans[] = {
    {SOLO_ROLE_QKV, SOLO_MATRIX_Q, SOLO_MATRIX_V},
    {SOLO_ROLE_OUT, SOLO_MATRIX_OUT, SOLO_MATRIX_OUT},
    {SOLO_ROLE_GATE_UP, SOLO_MATRIX_GATE, SOLO_MATRIX_UP},
    {SOLO_ROLE_DOWN, SOLO_MATRIX_DOWN, SOLO_MATRIX_DOWN},
    {SOLO_ROLE_LOGITS, SOLO_MATRIX_OUTPUT, SOLO_MATRIX_OUTPUT},
};

/* Whether the matrices first..last of every layer have one form and are one run of rows. */
static bool one_run(const solo_weights *w, solo_matrix first, solo_matrix last) {
    uint32_t n_layer = first < SOLO_MATRIX_PER_LAYER ? w->model->hp.n_layer : 1;
    solo_form form = solo_weights_place(w, 0, first)->form;
    const solo_form_info *info = solo_form_get_info(form);
    for (uint32_t l = 0; l < n_layer; l++) {
        const solo_matrix_place *p = solo_weights_place(w, l, first);
        uint32_t n_row = 0;
        for (uint32_t m = first; m <= (uint32_t)last; m++) {
            const solo_matrix_place *q = solo_weights_place(w, l, m);
            if (!q->n_row) continue;
            if (q->form != form || q->w_at != p->w_at + n_row * p->n_group * info->payload_words / 4 ||
                q->s_at != p->s_at + n_row * solo_row_scales(form, p->n_group))
                return false;
            n_row += q->n_row;
        }
    }
    return true;
}

/* Halves of a tile that are rows of two matrices, the second behind the first: gate and up. */
static uint32_t n_half(const solo_geometry *g, solo_role role) {
    return role == SOLO_ROLE_GATE_UP ? g->ffn_parts : 1;
}

/* Where a strip's scale stands: in which of a row's quads, and at which half of it. A lane's groups are its first one
 * (of the row's first SOLO_QUAD_LANES) and every team-th behind it. */
static uint32_t quad_of(const solo_role_geometry *g, uint32_t strip) {
    uint32_t at = strip * g->team;
    return at / SOLO_QUAD_RUN * (SOLO_QUAD_LANES / g->team) + at % SOLO_QUAD_LANES / g->team;
}

static uint32_t half_of(const solo_role_geometry *g, uint32_t strip) {
    return strip * g->team / SOLO_QUAD_LANES % 4;
}

/* Whether the other half of its word is of no group: see scale_alone. */
static bool is_alone(const solo_role_geometry *g, uint32_t strip) {
    uint32_t next = (strip * g->team / SOLO_QUAD_LANES + 1) * SOLO_QUAD_LANES;
    return half_of(g, strip) % 2 == 0 && next >= g->groups;
}

/* Which register of a role's quads a unit's scale is in. */
static uint32_t quad_index(const solo_stream_role *r, const solo_role_geometry *g, uint32_t index) {
    return quad_of(g, index / r->rows) * r->rows + index % r->rows;
}

static uint32_t count_quads(const solo_role_geometry *g, uint32_t strips) {
    uint32_t n = 0;
    for (uint32_t strip = 0; strip < strips; strip++)
        if (half_of(g, strip) == 0) n++;
    return n;
}

/* Rows of a role's run of matrices, of each half. */
static uint32_t n_row_of(const solo_geometry *g, solo_role role) {
    const solo_hparams *hp = g->desc.hp;
    switch (role) {
    case SOLO_ROLE_QKV: return g->rows_q + 2 * g->rows_k;
    case SOLO_ROLE_GATE_UP: return hp->n_ff;
    case SOLO_ROLE_LOGITS: return hp->n_vocab;
    default: return hp->n_embd;
    }
}

static void make_role(const solo_weights *w, const solo_geometry *g, uint32_t i, bool cross,
                      solo_stream_role *r) {
    const solo_role_geometry *role = &g->role[spans[i].role];
    solo_form form = solo_weights_place(w, 0, spans[i].first)->form;
    uint32_t teams = g->wg / role->team / n_half(g, spans[i].role);
    if (teams == 0) return;
    uint32_t rows = (role->tile + teams - 1) / teams;
    /* f32 groups are too wide to hold; halves of a scale's word are told apart by the group alone */
    bool quads = solo_has_quads(form, role->groups);
    bool odd_halves = solo_form_get_info(form)->scale_bytes == 2 && role->groups % 2 != 0 && !quads;
    bool even = g->wg / role->team % n_half(g, spans[i].role) == 0;
    r->on = g->desc.queue > 0 && even && form != SOLO_FORM_F32 && role->n_chunk == 1 && !odd_halves &&
            one_run(w, spans[i].first, spans[i].last);
    if (!r->on) return;
    r->form = form;
    r->planes = solo_form_get_info(form)->payload_words / 4;
    r->strips = (role->groups + role->team - 1) / role->team;
    r->quads = quads ? count_quads(role, r->strips) : 0;
    r->loop = spans[i].role == SOLO_ROLE_LOGITS || rows > MAX_ROWS || rows * r->strips > MAX_UNIT ||
              (!cross && rows * r->strips * r->planes > g->desc.queue);
    r->rows = rows;
    r->n_pass = 1;
    if (r->loop) {
        uint32_t most = g->desc.queue / (r->strips * r->planes);
        most = most < 1 ? 1 : most > MAX_ROWS ? MAX_ROWS : most;
        r->n_pass = (rows + most - 1) / most;
        r->rows = (rows + r->n_pass - 1) / r->n_pass;
    }
    r->n_unit = r->rows * r->strips;
    r->on = r->n_unit <= MAX_UNIT && r->rows * r->n_pass <= n_row_of(g, spans[i].role);
}

/* All roles, with a queue across them where `cross` and they allow it. */
static void make_roles(const solo_weights *weights, bool cross, solo_stream *s) {
    const solo_geometry *g = s->geometry;
    memset(s->role, 0, sizeof s->role);
    s->queue = g->desc.queue;
    s->cross = cross;
    s->layer_vec4 = 0;
    for (uint32_t i = 0; i < SOLO_ROLE_COUNT; i++) {
        solo_stream_role *r = &s->role[spans[i].role];
        make_role(weights, g, i, cross, r);
        if (spans[i].role == SOLO_ROLE_LOGITS) continue;
        s->cross = s->cross && r->on && !r->loop;
        r->first = s->layer_vec4;
        uint32_t at_once = (r->rows < PART_ROWS ? r->rows : PART_ROWS) * r->planes;
        if (r->on && !r->loop && s->queue < at_once) s->queue = at_once;
        if (r->on && !r->loop) s->layer_vec4 += r->n_unit * r->planes;
    }
    for (uint32_t i = 0; i < SOLO_ROLE_LOGITS; i++) { /* a stage never reaches its own next layer */
        const solo_stream_role *r = &s->role[i];
        if (r->n_unit * r->planes + s->queue > s->layer_vec4) s->cross = false;
    }
}

void solo_stream_make(const solo_weights *weights, const solo_geometry *geometry, bool cross_wanted,
                      solo_stream *s) {
    /* Walked once, stages without matrices too: only so walk.wgsl asks for what was held back, and skips. */
    bool cross = cross_wanted && geometry->desc.queue_across && geometry->desc.queue > 0 &&
                 solo_geometry_is_walked_once(geometry);
    memset(s, 0, sizeof *s);
    s->geometry = geometry;
    make_roles(weights, cross, s);
    if (cross && !s->cross) make_roles(weights, false, s); /* longer stages are loops again */
}

/* ---- the order ---------------------------------------------------------------------------- */

/* A unit of the order: of `layer` layers later. */
typedef struct unit {
    solo_role role;
    uint32_t index, layer;
} unit;

static uint32_t end_of(const solo_stream *s, unit u) { /* vec4 up to and with it */
    const solo_stream_role *r = &s->role[u.role];
    return u.layer * s->layer_vec4 + r->first + (u.index + 1) * r->planes;
}

static unit after(const solo_stream *s, unit u) {
    if (u.index + 1 < s->role[u.role].n_unit) return (unit){u.role, u.index + 1, u.layer};
    if (u.role == SOLO_ROLE_DOWN) return (unit){SOLO_ROLE_QKV, 0, u.layer + 1};
    return (unit){u.role + 1, 0, u.layer};
}

/* Kept back while attention runs: see refill_out. */
static bool is_held_back(const solo_stream *s, solo_role at, unit u) {
    uint32_t out = s->role[SOLO_ROLE_OUT].first;
    return at == SOLO_ROLE_QKV && u.role != SOLO_ROLE_QKV && u.layer == 0 &&
           end_of(s, u) > out + HELD_ACROSS_ATTENTION;
}

/* ---- text --------------------------------------------------------------------------------- */

/* Of a unit: with quads without its last one, the scale. */
static uint32_t n_field(const solo_stream_role *r) {
    uint32_t n = 0;
    while (n < MAX_FIELD && fields[r->form][n].name) n++;
    return r->quads ? n - 1 : n;
}

static void add_registers(solo_text *out, const solo_stream *s, solo_role role) {
    const solo_stream_role *r = &s->role[role];
    const solo_role_geometry *g = &s->geometry->role[role];
    const char *name = names[role].name;
    solo_text_add(out, "\n// %s: a team of %u lanes does %u rows in %u strips of groups\n", name,
                  g->team, r->rows * r->n_pass, r->strips);
    for (uint32_t i = 0; i < r->n_unit; i++) {
        for (uint32_t f = 0; f < n_field(r); f++)
            solo_text_add(out, "var<private> %s_%s%u: %s; ", name, fields[r->form][f].name, i, fields[r->form][f].type);
        solo_text_add(out, "\n");
    }
    for (uint32_t i = 0; i < r->quads * r->rows; i++)
        solo_text_add(out, "var<private> %s_quad%u: vec2<u32>;%s", name, i, (i + 1) % r->rows ? " " : "\n");
    uint32_t teams = s->geometry->wg / g->team / n_half(s->geometry, role), rows = r->rows * r->n_pass;
    uint32_t n_row = n_row_of(s->geometry, role);
    solo_text_add(out,
                  "fn %s_team(tile: u32, lane: u32) -> TeamRows {\n"
                  "  let start = tile * %uu;\n  let half = lane / %uu;\n"
                  "  let first = lane / %uu %% %uu * %uu;\n"
                  "  let row = min(start + min(first, %uu), %uu);\n",
                  name, g->tile, g->team * teams, g->team, teams, rows,
                  g->tile > rows ? g->tile - rows : 0, n_row - rows);
    solo_text_add(out,
                  "  return TeamRows(row + half * %uu, row - start + half * %uu, first + half * %uu,\n"
                  "                  min(min(first + %uu, %uu), %uu - start) + half * %uu);\n}\n",
                  n_row, g->tile, g->tile, rows, g->tile, n_row, g->tile);
}

/* "32u": of a strip's group, in groups behind the lane's first; no further than the row's last group. */
static void add_group(solo_text *out, const solo_stream *s, solo_role role, uint32_t strip) {
    const solo_role_geometry *g = &s->geometry->role[role];
    const char *name = names[role].name;
    if ((strip + 1) * g->team > g->groups)
        solo_text_add(out, "min(slot_%s + %uu, %uu) - min(slot_%s, %uu)", name, strip * g->team, g->groups - 1, name,
                      g->groups - 1);
    else
        solo_text_add(out, "%uu", strip * g->team);
}

/* Planes by themselves, and a row's quad with its first unit:
 * qkv_w7 = payload(near_qkv.w + 288u + 32u); qkv_quad3 = scale_quad(near_qkv, 3u, 96u, 0u); */
static void add_load_quads(solo_text *out, const solo_stream *s, solo_role role, uint32_t index, const char *near) {
    const solo_stream_role *r = &s->role[role];
    const solo_role_geometry *g = &s->geometry->role[role];
    const char *name = names[role].name;
    uint32_t strip = index / r->rows, row = index % r->rows;
    solo_text_add(out, "   ");
    for (uint32_t p = 0; p < r->planes; p++) {
        solo_text_add(out, " %s_%s%u = payload(%s_%s.w + %uu + ", name, fields[r->form][p].name, index, near, name,
                      (row * r->planes + p) * g->groups);
        add_group(out, s, role, strip);
        solo_text_add(out, ");");
    }
    if (half_of(g, strip) == 0)
        solo_text_add(out, " %s_quad%u = scale_quad(%s_%s, %uu, %uu, %uu);", name, quad_index(r, g, index), near,
                      name, row, g->groups, strip * g->team);
    solo_text_add(out, "\n");
}

/* { let raw = raw_q4_0(near_qkv, 3u, 64u, 32u); qkv_w7 = raw.w; qkv_s7 = raw.s; } */
static void add_load(solo_text *out, const solo_stream *s, solo_role role, uint32_t index,
                     const char *near) {
    const solo_stream_role *r = &s->role[role];
    const char *name = names[role].name;
    if (r->quads) {
        add_load_quads(out, s, role, index, near);
        return;
    }
    solo_text_add(out, "    { let raw = raw_%s(%s_%s, %uu, %uu, ", solo_form_get_info(r->form)->name, near, name,
                  index % r->rows, s->geometry->role[role].groups);
    add_group(out, s, role, index / r->rows);
    solo_text_add(out, ");");
    for (uint32_t f = 0; f < n_field(r); f++)
        solo_text_add(out, " %s_%s%u = raw.%s;", name, fields[r->form][f].name, index, fields[r->form][f].name);
    solo_text_add(out, " }\n");
}

static void add_zero(solo_text *out, const solo_stream *s, solo_role role, uint32_t index) {
    const solo_stream_role *r = &s->role[role];
    const solo_role_geometry *g = &s->geometry->role[role];
    uint32_t strip = index / r->rows;
    solo_text_add(out, "   ");
    for (uint32_t f = 0; f < n_field(r); f++)
        solo_text_add(out, " %s_%s%u = %s();", names[role].name, fields[r->form][f].name, index,
                      fields[r->form][f].type);
    if (r->quads && half_of(g, strip) == 0)
        solo_text_add(out, " %s_quad%u = vec2<u32>();", names[role].name, quad_index(r, g, index));
    solo_text_add(out, "\n");
}

/* "group_q4_0(Raw_q4_0(qkv_w7, qkv_s7), odd)"; with quads "Group_q4_0(qkv_w7, unpack2x16float(qkv_quad3.x).y)",
 * `quad` the name before the 3. */
static void add_group_of(solo_text *out, const solo_stream *s, solo_role role, uint32_t index, const char *quad) {
    const solo_stream_role *r = &s->role[role];
    const solo_role_geometry *g = &s->geometry->role[role];
    const char *form = solo_form_get_info(r->form)->name;
    uint32_t strip = index / r->rows;
    if (r->quads) solo_text_add(out, "Group_%s(", form);
    else solo_text_add(out, "group_%s(Raw_%s(", form, form);
    for (uint32_t f = 0; f < n_field(r); f++)
        solo_text_add(out, "%s%s_%s%u", f ? ", " : "", names[role].name, fields[r->form][f].name, index);
    if (r->quads && is_alone(g, strip))
        solo_text_add(out, ", scale_alone(%s%u.%c))", quad, quad_index(r, g, index),
                      "xxyy"[half_of(g, strip)]);
    else if (r->quads)
        solo_text_add(out, ", unpack2x16float(%s%u.%c).%c)", quad, quad_index(r, g, index),
                      "xxyy"[half_of(g, strip)], "xyxy"[half_of(g, strip)]);
    else solo_text_add(out, "), odd)");
}

/* What add_load names of a role, of this layer or the next. */
static void add_place(solo_text *out, const solo_stream *s, solo_role role, uint32_t layer) {
    const char *name = names[role].name;
    solo_text_add(out,
                  "  let m_%s = matrix_%s(%s);\n  let team_%s = %s_team(tile, lane);\n"
                  "  let slot_%s = lane %% %uu;\n"
                  "  let near_%s = near_%s(m_%s, team_%s.row, %uu, min(slot_%s, %uu));\n",
                  name, names[role].matrix, layer ? "min(layer + 1u, N_LAYER - 1u)" : "layer", name,
                  name, name, s->geometry->role[role].team, name, solo_form_get_info(s->role[role].form)->name, name,
                  name, s->geometry->role[role].groups, name, s->geometry->role[role].groups - 1);
}

/* Requests n units in anchored blocks, those of the next layer only where there is one. */
static void add_anchored(solo_text *out, const solo_stream *s, const unit *units, uint32_t n) {
    for (uint32_t layer = 0; layer < 2; layer++) {
        bool any = false;
        for (uint32_t i = 0; i < n; i++) any = any || units[i].layer == layer;
        if (!any) continue;
        solo_text_add(out, "  if (go%s) {\n", layer ? " && goes_on(layer)" : "");
        for (uint32_t i = 0; i < n; i++)
            if (units[i].layer == layer) add_load(out, s, units[i].role, units[i].index, "near");
        solo_text_add(out, "  } else {\n");
        for (uint32_t i = 0; i < n; i++)
            if (units[i].layer == layer) add_zero(out, s, units[i].role, units[i].index);
        solo_text_add(out, "  }\n");
    }
}

#define MAX_AHEAD 512u

/* The units of the order that come within reach as [from, to) of the role's units are used up. */
static uint32_t list_reached(const solo_stream *s, solo_role role, uint32_t from, uint32_t to,
                             unit *list) {
    const solo_stream_role *r = &s->role[role];
    uint32_t queue = s->queue, n = 0;
    uint32_t lo = r->first + from * r->planes + queue, hi = r->first + to * r->planes + queue;
    for (unit u = {role, 0, 0}; end_of(s, u) <= hi; u = after(s, u)) {
        bool own = u.role == role && u.layer == 0;
        if (end_of(s, u) <= lo || (!s->cross && !own)) {
            if (!s->cross && u.index + 1 == r->n_unit) break;
            continue;
        }
        SOLO_ASSERT(n < MAX_AHEAD && u.layer < 2);
        list[n++] = u;
        if (!s->cross && u.index + 1 == r->n_unit) break;
    }
    return n;
}

/* The places of all roles in a list, each once. */
static void add_places(solo_text *out, const solo_stream *s, const unit *units, uint32_t n) {
    uint32_t seen = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (seen & (1u << units[i].role)) continue;
        seen |= 1u << units[i].role;
        add_place(out, s, units[i].role, units[i].layer);
    }
}

static const char signature[] = "(layer: u32, tile: u32, lane: u32) {\n";
static const char go[] = "  let go = args.pos + lane < N_CTX + WG; // always, but only a lane knows\n";

/* fn prefix_role: requests the units of a list. */
static void add_request(solo_text *out, const solo_stream *s, const char *prefix, solo_role role,
                        const unit *units, uint32_t n) {
    solo_text_add(out, "fn %s_%s%s", prefix, names[role].name, signature);
    if (n > 0) {
        solo_text_add(out, "%s", go);
        add_places(out, s, units, n);
        add_anchored(out, s, units, n);
    }
    solo_text_add(out, "}\n");
}

/* What a strip's products need of the inputs. */
static void add_inputs(solo_text *out, const solo_stream *s, solo_role role, uint32_t strip) {
    const solo_role_geometry *g = &s->geometry->role[role];
    const char *name = names[role].name;
    solo_text_add(out, "  {\n    let g = slot_%s + %uu;\n", name, strip * g->team);
    if (!s->role[role].quads) solo_text_add(out, "    let odd = (g & 1u) == 1u;\n");
    if ((strip + 1) * g->team > g->groups)
        solo_text_add(out, "    let x = x_load_within(g, %uu);\n", g->groups);
    else solo_text_add(out, "    let x = x_load(g);\n");
}

/* The products of rows [from, to) of a strip, unit by unit. */
static void add_products(solo_text *out, const solo_stream *s, solo_role role, uint32_t strip,
                         uint32_t from, uint32_t to, const char *quad) {
    const solo_stream_role *r = &s->role[role];
    const char *form = solo_form_get_info(r->form)->name;
    const char *act = s->geometry->desc.activations == SOLO_ACTIVATIONS_F32 ? "f32" : "int8";
    for (uint32_t row = from; row < to; row++) {
        solo_text_add(out, "    a%u = mac_%s_%s(", row, act, form);
        add_group_of(out, s, role, strip * r->rows + row, quad);
        solo_text_add(out, ", x, %s_ONE, a%u);\n", names[role].capital, row);
    }
}

/* The accumulators' sums to rows[], four at a time; `skip`: rows of the passes before. */
static void add_sums(solo_text *out, const solo_stream *s, solo_role role, const char *skip) {
    const solo_stream_role *r = &s->role[role];
    const char *name = names[role].name;
    char sum[32];
    snprintf(sum, sizeof sum, "%s_%s", s->geometry->desc.activations == SOLO_ACTIVATIONS_F32 ? "F32" : "INT8",
             solo_form_get_info(r->form)->name);
    for (char *c = sum; *c; c++) *c = (char)toupper((unsigned char)*c);
    for (uint32_t row = 0; row < r->rows; row += 4) {
        solo_text_add(out, "  keep_sums(vec4<f32>(");
        for (uint32_t k = 0; k < 4; k++) {
            if (row + k < r->rows) solo_text_add(out, "a%u%s", row + k, k < 3 ? ", " : "");
            else solo_text_add(out, "0.0%s", k < 3 ? ", " : "");
        }
        solo_text_add(out, ") * SUM_%s, %uu, team_%s.at + %uu%s, team_%s.lo, team_%s.hi, lane);\n", sum,
                      s->geometry->role[role].team, name, row, skip, name, name);
    }
}

static void add_accumulators(solo_text *out, const solo_stream_role *r) {
    for (uint32_t row = 0; row < r->rows; row++) solo_text_add(out, "  var a%u = 0.0;\n", row);
}

/* own_<role>: near_<role> once the last of the units that were requested before the stage is there. Without it a driver
 * moves the stage's own later loads in front of its first wait, which is then, by the one scoreboard that they share,
 * for them too. That a 0 is added no compiler knows: no step is past the context. (Not &&, which may ask for the
 * position first, and then not wait.) */
static void add_own(solo_text *out, const solo_stream *s, solo_role role) {
    const char *name = names[role].name;
    const uint32_t last = s->queue / s->role[role].planes - 1;
    solo_text_add(out,
                  "  let held = select(0u, 1u, (%s_%s%u.x == args.seed_low) & (args.pos >= N_CTX));\n"
                  "  let own_%s = Near(near_%s.w + held, near_%s.s + held);\n",
                  name, fields[s->role[role].form][0].name, last, name, name, name);
}

/* Of what comes within reach as units are used up, the role's own stands between their products; the rest is ahead. */
static void add_multiply(solo_text *out, const solo_stream *s, solo_role role) {
    const solo_stream_role *r = &s->role[role];
    unit list[MAX_AHEAD];
    char quad[32];
    snprintf(quad, sizeof quad, "%s_quad", names[role].name);
    solo_text_add(out, "fn multiply_%s%s", names[role].name, signature);
    add_place(out, s, role, 0);
    if (r->n_unit * r->planes > s->queue) add_own(out, s, role);
    add_accumulators(out, r);
    for (uint32_t strip = 0; strip < r->strips; strip++) {
        add_inputs(out, s, role, strip);
        for (uint32_t row = 0; row < r->rows; row += PART_ROWS) {
            uint32_t end = row + PART_ROWS < r->rows ? row + PART_ROWS : r->rows;
            add_products(out, s, role, strip, row, end, quad);
            uint32_t n = list_reached(s, role, strip * r->rows + row, strip * r->rows + end, list);
            for (uint32_t i = 0; i < n; i++)
                if (list[i].role == role) add_load(out, s, role, list[i].index, "own");
        }
        solo_text_add(out, "  }\n");
    }
    add_sums(out, s, role, "");
    solo_text_add(out, "}\n");
}

/* Passes in a loop: as a unit is used up, the next pass's is requested in its place. (A quad is used up later than the
 * first of its units: a pass has copies, quad0, ...) */
static void add_loop(solo_text *out, const solo_stream *s, solo_role role) {
    const solo_stream_role *r = &s->role[role];
    const char *name = names[role].name;
    solo_text_add(out, "fn multiply_%s%s", name, signature);
    add_place(out, s, role, 0);
    solo_text_add(out,
                  "  for (var pass_ = 0u; pass_ < %uu; pass_++) {\n"
                  "  let done = pass_ * %uu;\n"
                  "  let next_%s = near_%s(m_%s, team_%s.row + done + %uu, %uu, min(slot_%s, %uu));\n",
                  r->n_pass, r->rows, name, solo_form_get_info(r->form)->name, name, name, r->rows,
                  s->geometry->role[role].groups, name, s->geometry->role[role].groups - 1);
    for (uint32_t i = 0; i < r->quads * r->rows; i++) solo_text_add(out, "  let quad%u = %s_quad%u;\n", i, name, i);
    add_accumulators(out, r);
    for (uint32_t strip = 0; strip < r->strips; strip++) {
        add_inputs(out, s, role, strip);
        add_products(out, s, role, strip, 0, r->rows, "quad");
        solo_text_add(out, "  }\n  if (pass_ + 1u < %uu) {\n", r->n_pass);
        for (uint32_t i = 0; i < r->rows; i++) add_load(out, s, role, strip * r->rows + i, "next");
        solo_text_add(out, "  } else {\n");
        for (uint32_t i = 0; i < r->rows; i++) add_zero(out, s, role, strip * r->rows + i);
        solo_text_add(out, "  }\n");
    }
    add_sums(out, s, role, " + done");
    solo_text_add(out, "  }\n}\n");
}

/* prime: what is requested before a stage's wait; with cross, before the first stage of all. */
static void add_prime(solo_text *out, const solo_stream *s, solo_role role) {
    const solo_stream_role *r = &s->role[role];
    unit list[MAX_AHEAD];
    uint32_t n = 0, queue = s->queue;
    if (r->loop) {
        for (; n < r->n_unit; n++) list[n] = (unit){role, n, 0};
    } else {
        for (unit u = {role, 0, 0}; end_of(s, u) <= r->first + queue; u = after(s, u)) {
            if (!s->cross && (u.role != role || u.layer > 0)) break;
            list[n++] = u;
        }
    }
    add_request(out, s, "prime", role, list, n);
}

/* ahead: what comes within reach as the stage is worked off, of the stages behind it, requested behind all of its
 * products (in between, each wait of the stage was for those loads too, and their anchored blocks cut it up), or in
 * their place by a workgroup without a tile; refill: what of it is held back across attention. Both empty unless
 * cross. */
static void add_cross(solo_text *out, const solo_stream *s, solo_role role) {
    const solo_stream_role *r = &s->role[role];
    unit list[MAX_AHEAD], ahead[MAX_AHEAD], refill[MAX_AHEAD];
    uint32_t n_ahead = 0, n_refill = 0;
    uint32_t n = s->cross && !r->loop ? list_reached(s, role, 0, r->n_unit, list) : 0;
    for (uint32_t i = 0; i < n; i++) {
        if (list[i].role == role) continue;
        if (is_held_back(s, role, list[i])) refill[n_refill++] = list[i];
        else ahead[n_ahead++] = list[i];
    }
    add_request(out, s, "ahead", role, ahead, n_ahead);
    if (role == SOLO_ROLE_QKV) add_request(out, s, "refill", SOLO_ROLE_OUT, refill, n_refill);
}

void solo_stream_add(solo_text *out, const solo_stream *s) {
    solo_text_add(out,
                  "\n// ---- the queue of weights, written by stream.c\nconst CROSS = %s;\n"
                  "// The rows of a team: the first in the matrices and in rows[] (the last team's stand further back, "
                  "so that\n// none is outside), and the part of rows[] that is its to write.\n"
                  "struct TeamRows { row: u32, at: u32, lo: u32, hi: u32 }\n",
                  s->cross ? "true" : "false");
    for (uint32_t role = 0; role < SOLO_ROLE_COUNT; role++) {
        const solo_stream_role *r = &s->role[role];
        add_cross(out, s, role);
        if (!r->on) continue;
        add_registers(out, s, role);
        add_prime(out, s, role);
        if (r->loop) add_loop(out, s, role);
        else add_multiply(out, s, role);
    }
}
