/* attend.c: writes out the registers of attend.h. */
#include "attend.h"

typedef struct shape {
    uint32_t team;         /* lanes a position */
    uint32_t vecs, words;  /* of a row that a lane holds: vec4, and single words behind them, the last its scale */
    uint32_t kv_vecs;      /* vec4 of a row */
    uint32_t a_word;       /* numbers a word */
    uint32_t dims, groups; /* numbers of a row that a lane holds; positions of a team of max_team lanes */
    uint32_t n;            /* of those numbers, the ones that a row has; the others are zeros */
    uint32_t max_team;
} shape;

static shape shape_of(const solo_geometry *g) {
    const solo_kv_type type = g->desc.kv_type;
    shape s = {.team = g->att_team, .vecs = g->att_vecs, .words = g->att_words, .kv_vecs = g->kv_vecs,
               .dims = g->att_dims, .n = g->att_dims, .max_team = g->desc.max_team};
    s.a_word = type == SOLO_KV_INT8 ? 4 : type == SOLO_KV_F16 ? 2 : 1;
    if (g->kv_span) s.n = g->kv_span;
    s.groups = s.max_team / s.team;
    return s;
}

/* The word of a row r that number a stands in. */
static const char *word_of(const shape *s, uint32_t a, char out[16]) {
    uint32_t word = a / s->a_word;
    if (word < 4 * s->vecs) snprintf(out, 16, "r.v%u.%c", word / 4, "xyzw"[word % 4]);
    else snprintf(out, 16, "r.x%u", word - 4 * s->vecs);
    return out;
}

/* Which number of a row a lane's number a is; HEAD_DIM or more: none. */
static void add_number(solo_text *out, const shape *s) {
    solo_text_add(out, "fn att_number(slot: u32, a: u32) -> u32 {\n");
    if (s->words) {
        solo_text_add(out, "  return select(HEAD_DIM, slot * KV_SPAN + a, a < KV_SPAN);\n}\n");
        return;
    }
    uint32_t of_vec = 4 * s->a_word;
    solo_text_add(out, "  return (slot + a / %uu * %uu) * %uu + a %% %uu;\n}\n", of_vec, s->team, of_vec, of_vec);
}

/* What a lane holds of a row of K or V. */
static void add_registers(solo_text *out, const shape *s) {
    solo_text_add(out, "struct AttRow {");
    for (uint32_t j = 0; j < s->vecs; j++) solo_text_add(out, " v%u: vec4<u32>,", j);
    for (uint32_t j = 0; j < s->words; j++) solo_text_add(out, " x%u: u32,", j);
    solo_text_add(out, " }\n");
    for (uint32_t a = 0; a < s->dims; a++) solo_text_add(out, "var<private> att_o%u: f32;\n", a);
}

/* att_part_v: what lane `slot` of a team has of a row; or, of a slice, neighbouring numbers, part `slot` of them. (In a
 * row of spans they are the same.) */
static void add_part(solo_text *out, const shape *s, const char *name, const char *array, bool slices) {
    solo_text_add(out, "fn att_part_%s(row: u32, slot: u32, slice: bool) -> AttRow {\n", name);
    if (s->words || !slices) {
        solo_text_add(out, "  return att_row_%s(row, slot);\n}\n", name);
        return;
    }
    solo_text_add(out, "  let at = row + slot * select(1u, %uu, slice);\n  let step = select(%uu, 1u, slice);\n"
                       "  var r = AttRow();\n", s->vecs, s->team);
    for (uint32_t j = 0; j < s->vecs; j++)
        solo_text_add(out, "  r.v%u = %s[at + %uu * step];\n", j, array, j);
    solo_text_add(out, "  return r;\n}\n");
}

/* att_row_k: the row that begins at vec4 `row` of an array; neighbouring lanes ask for neighbouring words. */
static void add_row(solo_text *out, const shape *s, const char *name, const char *array) {
    solo_text_add(out, "fn att_row_%s(row: u32, lane: u32) -> AttRow {\n  let slot = lane %% %uu;\n"
                       "  let at = row + slot;\n  var r = AttRow();\n", name, s->team);
    for (uint32_t j = 0; j < s->vecs; j++) {
        uint32_t first = j * s->team;
        solo_text_add(out, "  ");
        if (first + s->team > s->kv_vecs) solo_text_add(out, "if (slot + %uu < %uu) ", first, s->kv_vecs);
        solo_text_add(out, "{ r.v%u = %s[at + %uu]; }\n", j, array, first);
    }
    for (uint32_t j = 0; j < s->words; j++)
        solo_text_add(out, "  r.x%u = %s[row + %uu][slot];\n", j, array, s->vecs * s->team + j);
    solo_text_add(out, "  return r;\n}\n");
}

/* att_begin, and att_rescale: what is summed up so far is worth alpha. (Through fma: see common.wgsl.) */
static void add_begin(solo_text *out, const shape *s) {
    solo_text_add(out, "fn att_begin() {\n  att_m = NEVER;\n  att_l = 0.0;\n");
    for (uint32_t a = 0; a < s->dims; a++) solo_text_add(out, "  att_o%u = 0.0;\n", a);
    solo_text_add(out, "}\nfn att_rescale(alpha: f32) {\n  att_l = fma(att_l, alpha, 0.0);\n");
    for (uint32_t a = 0; a < s->n; a++) solo_text_add(out, "  att_o%u = fma(att_o%u, alpha, 0.0);\n", a, a);
    solo_text_add(out, "}\n");
}

/* Four of q where a lane's numbers a .. a + 3 of K stand. */
static void add_q(solo_text *out, const shape *s, uint32_t a) {
    uint32_t word = a / s->a_word;
    if (s->words)
        solo_text_add(out, "  let q%u = att_q[slot * %uu + %uu];\n", a / 4, s->n / 4, a / 4);
    else
        solo_text_add(out, "  let q%u = att_q[(slot + %uu) * %uu + %uu];\n", a / 4, word / 4 * s->team, s->a_word,
                      a / 4 % s->a_word);
}

static void add_score(solo_text *out, const shape *s) {
    char word[16];
    solo_text_add(out, "fn att_score(r: AttRow, attended: bool, lane: u32) -> f32 {\n  let slot = lane %% %uu;\n"
                       "  var s = 0.0;\n", s->team);
    for (uint32_t a = 0; a < s->n; a++) {
        if (a % 4 == 0) add_q(out, s, a);
        solo_text_add(out, "  s = fma(kv_value(%s, %uu), q%u.%c, s);\n", word_of(s, a, word), a % s->a_word,
                      a / 4, "xyzw"[a % 4]);
    }
    if (s->words) solo_text_add(out, "  s *= bitcast<f32>(r.x%u);\n", s->words - 1);
    solo_text_add(out, "  return select(NEVER, score_of(team_sum(s, %uu, lane)), attended);\n}\n", s->team);
}

static void add_mix(solo_text *out, const shape *s) {
    char word[16];
    solo_text_add(out, "fn att_mix(r: AttRow, worth: f32) {\n  att_l = fma(worth, 1.0, att_l);\n  let scaled = worth");
    if (s->words) solo_text_add(out, " * bitcast<f32>(r.x%u)", s->words - 1);
    solo_text_add(out, ";\n");
    for (uint32_t a = 0; a < s->n; a++)
        solo_text_add(out, "  att_o%u = fma(scaled, kv_value(%s, %uu), att_o%u);\n", a,
                      word_of(s, a, word), a % s->a_word, a);
    solo_text_add(out, "}\n");
}

/* att_fold adds outputs up over a team's positions: at each step the half of the lanes with a bit set goes on
 * with the upper half of the numbers. att_keep_all hands on those that this lane ends with. */
static void add_fold(solo_text *out, const shape *s) {
    uint32_t n = s->dims;
    solo_text_add(out, "fn att_fold(lane: u32) -> u32 {\n  var first = 0u;\n");
    for (uint32_t step = s->max_team / 2; step >= s->team; step /= 2) {
        n /= 2;
        solo_text_add(out, "  att_l += across(att_l, %uu, lane);\n", step);
        solo_text_add(out, "  let upper%u = (lane & %uu) != 0u;\n  first += select(0u, %uu, upper%u);\n", step, step, n,
                      step);
        for (uint32_t a = 0; a < n; a++)
            solo_text_add(out, "  att_o%u = select(att_o%u, att_o%u, upper%u) + across(select(att_o%u, att_o%u, "
                               "upper%u), %uu, lane);\n", a, a, a + n, step, a + n, a, step, step);
    }
    solo_text_add(out, "  return first;\n}\nfn att_keep_all(first: u32, lane: u32) {\n");
    for (uint32_t a = 0; a < n; a++) solo_text_add(out, "  att_keep(first + %uu, att_o%u, lane);\n", a, a);
    solo_text_add(out, "}\n");
}

/* For slices, where each lane has a position of its own: att_fold_team goes on where att_fold ended, and
 * att_keep_slice hands on. */
static void add_fold_team(solo_text *out, const shape *s) {
    uint32_t n = s->dims / s->groups;
    solo_text_add(out, "fn att_fold_team(lane: u32) {\n");
    for (uint32_t step = s->team / 2; step > 0; step /= 2) {
        solo_text_add(out, "  att_l += across(att_l, %uu, lane);\n", step);
        for (uint32_t a = 0; a < n; a++) solo_text_add(out, "  att_o%u += across(att_o%u, %uu, lane);\n", a, a, step);
    }
    solo_text_add(out, "}\nfn att_keep_slice(first: u32, lane: u32) {\n");
    for (uint32_t a = 0; a < n; a++) solo_text_add(out, "  att_keep_part(first + %uu, att_o%u, lane);\n", a, a);
    solo_text_add(out, "}\n");
}

void solo_attend_add(solo_text *out, const solo_geometry *geometry) {
    shape s = shape_of(geometry);
    solo_text_add(out, "\n// ---- attention's registers, written by attend.c\n");
    add_number(out, &s);
    add_registers(out, &s);
    add_row(out, &s, "k", "kv_k");
    add_row(out, &s, "v", "kv_v");
    add_row(out, &s, "late", "att_late");
    add_begin(out, &s);
    add_score(out, &s);
    add_mix(out, &s);
    add_fold(out, &s);
    add_part(out, &s, "v", "kv_v", geometry->att_whole > 0);
    add_part(out, &s, "late", "att_late", geometry->att_whole > 0);
    if (geometry->att_whole) add_fold_team(out, &s);
}
