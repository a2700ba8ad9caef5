/* take.c: writes out the waits of take.h. */
#include "take.h"

#define MAX_WORDS 12u /* a lane's; more are a loop, take_run's */

/* A vector as it stands in the messages: numbers, then scales, then sums. */
typedef struct vector {
    const char *name, *q;
    const char *rest; /* of take_y's arguments, for vectors that are taken by its loop */
    uint32_t n_y, n_scale, n_sum;
} vector;

static vector vector_of(const solo_geometry *g, const char *name, const char *q, uint32_t n, uint32_t span,
                        uint32_t n_sum, const char *rest) {
    bool f32 = g->desc.activations == SOLO_ACTIVATIONS_F32;
    return (vector){name, q, rest, f32 ? n : n / 4, f32 ? 0 : n / span, n_sum};
}

/* "if (lane < 128u) { ... } else ": word k of a lane, where it is one of from .. from + n of the run. */
static void add_part(solo_text *out, uint32_t k, uint32_t wg, uint32_t from, uint32_t n, const char *keep) {
    uint32_t lo = k * wg, hi = lo + wg;
    if (from >= hi || from + n <= lo || n == 0) return;
    if (from + n < hi) solo_text_add(out, "if (lane < %uu) ", from + n - lo);
    solo_text_add(out, "{ %s }", keep);
    if (from + n < hi) solo_text_add(out, " else ");
}

static void add_keep(solo_text *out, const vector *v, uint32_t k, uint32_t wg, bool tagged) {
    char y[100], scale[100], sum[100];
    const char *as_put = tagged ? " ^ NOT_READY" : "";
    uint32_t first = k * wg; /* i of a part: lane + first - the part's start, in wrapping arithmetic */
    snprintf(y, sizeof y, "keep_y_step(lane, %uu, w%u%s);", first, k, as_put);
    snprintf(scale, sizeof scale, "keep_scale_whole(lane + %uu - %uu, %s, bitcast<f32>(w%u%s));", first, v->n_y, v->q,
             k, as_put);
    snprintf(sum, sizeof sum, "ss[lane + %uu - %uu] = bitcast<f32>(w%u%s);", first, v->n_y + v->n_scale, k, as_put);
    solo_text_add(out, "  ");
    add_part(out, k, wg, 0, v->n_y, y);
    add_part(out, k, wg, v->n_y, v->n_scale, scale);
    add_part(out, k, wg, v->n_y + v->n_scale, v->n_sum, sum);
    if ((k + 1) * wg > v->n_y + v->n_scale + v->n_sum) solo_text_add(out, "{ }");
    solo_text_add(out, "\n");
}

/* "w0 = load_word(slot); w1 = load_word(slot + 384u); " */
static void add_ask(solo_text *out, uint32_t n_word, uint32_t n, uint32_t wg, const char *indent, const char *var) {
    for (uint32_t k = 0; k < n_word; k++) {
        solo_text_add(out, "%s%sw%u = load_word(", indent, var, k);
        if ((k + 1) * wg > n) solo_text_add(out, "first + min(lane + %uu, %uu));\n", k * wg, n - 1);
        else solo_text_add(out, "slot + %uu);\n", k * wg);
    }
}

static void add_take(solo_text *out, const solo_geometry *g, const vector *v, bool tagged) {
    uint32_t n = v->n_y + v->n_scale + v->n_sum, n_word = (n + g->wg - 1) / g->wg;
    solo_text_add(out, "fn take_whole_%s(at: u32, lane: u32) {\n", v->name);
    if (n_word > MAX_WORDS || g->wg % 32 != 0) {
        solo_text_add(out, "  take_y(at, at + %uu, at + %uu, %uu, 0u, %s, lane);\n}\n", v->n_y, v->n_y + v->n_scale,
                      v->n_sum, v->rest);
        return;
    }
    solo_text_add(out, "  let first = slot_of(at);\n  let slot = first + lane;\n");
    add_ask(out, n_word, n, g->wg, "  ", "var ");
    if (tagged) {
        solo_text_add(out, "  if (is_missing(");
        for (uint32_t k = 0; k + 1 < n_word; k++) solo_text_add(out, "min(w%u, ", k);
        solo_text_add(out, "w%u", n_word - 1);
        for (uint32_t k = 0; k + 1 < n_word; k++) solo_text_add(out, ")");
        solo_text_add(out, ")) {\n    for (var n = 0u; n < SPIN_LIMIT; n++) {\n");
        add_ask(out, n_word, n, g->wg, "      ", "");
        solo_text_add(out, "      if (");
        for (uint32_t k = 0; k < n_word; k++) solo_text_add(out, "%sw%u != 0u", k ? " && " : "", k);
        solo_text_add(out, ") { break; }\n      if (give_up(n)) { break; }\n    }\n");
        solo_text_add(out, "  }\n");
    }
    for (uint32_t k = 0; k < n_word; k++) add_keep(out, v, k, g->wg, tagged);
    solo_text_add(out, "}\n");
}

void solo_take_add(solo_text *out, const solo_geometry *g, bool tagged) {
    const solo_hparams *hp = g->desc.hp;
    const vector vectors[] = {
        vector_of(g, "x", "QD", hp->n_embd, g->qd, g->n_sum, "D / 32u, QD"),
        vector_of(g, "a", "QA", g->rows_q, g->qa, 0, "OUT_GROUPS, QA"),
        vector_of(g, "h", "QF", hp->n_ff, g->qf, 0, "DOWN_GROUPS, QF"),
    };
    solo_text_add(out, "\n// ---- whole inputs, written by take.c\n");
    for (uint32_t i = 0; i < SOLO_COUNT(vectors); i++) add_take(out, g, &vectors[i], tagged);
}
