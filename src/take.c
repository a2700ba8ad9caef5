/* take.c: writes out the waits of take.h. */
#include "take.h"

#define MAX_WORDS 24u /* a lane's; more are a loop, take_y's */

/* How numbers stand in words: one each; four each; or in chunks of eight, four words each (activations_int8.wgsl). */
typedef enum cross {
    CROSS_F32,
    CROSS_INT8,
    CROSS_BF16,
} cross;

/* A vector of n numbers as it stands in the messages, and n_behind words behind it: sums, or scales of INT8. */
typedef struct vector {
    const char *name, *loop; /* who takes it where there are too many words: a call, given `at` */
    cross    as;
    uint32_t n, n_behind;
} vector;

/* What a lane takes at once, of how many words, and how many there are. */
static uint32_t words_of_piece(const vector *v) { return v->as == CROSS_BF16 ? 4 : 1; }
static uint32_t pieces_of(const vector *v) {
    return v->as == CROSS_F32 ? v->n : v->as == CROSS_INT8 ? v->n / 4 : v->n / 8;
}

/* A word that each lane asks for: at `at` and the lane, where the lane is one of the first n. */
typedef struct word {
    uint32_t at, n;
} word;

typedef struct word_list {
    word at[MAX_WORDS];
    uint32_t n;
} word_list;

/* n neighbouring words from `at` on, shared out over lanes. */
static bool list_round(word_list *list, uint32_t at, uint32_t n, uint32_t wg) {
    if (list->n == MAX_WORDS) return false;
    list->at[list->n++] = (word){at, n < wg ? n : wg};
    return true;
}

/* Round by round, the words of a piece one after the other; then those behind. False: too many. */
static bool list_words(const vector *v, uint32_t wg, word_list *list) {
    const uint32_t n_piece = pieces_of(v);
    for (uint32_t from = 0; from < n_piece; from += wg)
        for (uint32_t j = 0; j < words_of_piece(v); j++)
            if (!list_round(list, j * n_piece + from, n_piece - from, wg)) return false;
    for (uint32_t from = 0; from < v->n_behind; from += wg)
        if (!list_round(list, words_of_piece(v) * n_piece + from, v->n_behind - from, wg)) return false;
    return true;
}

/* "w0 = load_word(slot); w1 = load_word(slot + 384u); " */
static void add_ask(solo_text *out, const word_list *list, uint32_t wg, const char *indent, const char *var) {
    for (uint32_t k = 0; k < list->n; k++) {
        const word *w = &list->at[k];
        solo_text_add(out, "%s%sw%u = load_word(", indent, var, k);
        if (w->n < wg) solo_text_add(out, "first + %uu + min(lane, %uu));\n", w->at, w->n - 1);
        else solo_text_add(out, "slot + %uu);\n", w->at);
    }
}

/* Waits in one loop until no word is missing. */
static void add_wait(solo_text *out, const word_list *list, uint32_t wg) {
    solo_text_add(out, "  if (is_missing(");
    for (uint32_t k = 0; k + 1 < list->n; k++) solo_text_add(out, "min(w%u, ", k);
    solo_text_add(out, "w%u", list->n - 1);
    for (uint32_t k = 0; k + 1 < list->n; k++) solo_text_add(out, ")");
    solo_text_add(out, ")) {\n    for (var n = 0u; n < SPIN_LIMIT; n++) {\n");
    add_ask(out, list, wg, "      ", "");
    solo_text_add(out, "      if (");
    for (uint32_t k = 0; k < list->n; k++) solo_text_add(out, "%sw%u != 0u", k ? " && " : "", k);
    solo_text_add(out, ") { break; }\n      if (give_up(n)) { break; }\n    }\n  }\n");
}

/* Every word to where it belongs. */
static void add_keep(solo_text *out, const vector *v, const word_list *list, uint32_t wg, bool tagged) {
    const char *as_put = tagged ? " ^ NOT_READY" : "", *as_put4 = tagged ? " ^ vec4<u32>(NOT_READY)" : "";
    uint32_t k = 0;
    for (uint32_t from = 0; from < pieces_of(v); from += wg, k += words_of_piece(v)) {
        solo_text_add(out, "  ");
        if (list->at[k].n < wg) solo_text_add(out, "if (lane < %uu) ", list->at[k].n);
        if (v->as == CROSS_F32)
            solo_text_add(out, "{ keep_y_step(lane, %uu, w%u%s); }\n", from, k, as_put);
        else if (v->as == CROSS_INT8)
            solo_text_add(out, "{ keep_int8_word(lane + %uu, w%u%s, lane); }\n", from, k, as_put);
        else
            solo_text_add(out, "{ keep_chunk(lane + %uu, vec4<u32>(w%u, w%u, w%u, w%u)%s, lane); }\n", from, k, k + 1,
                          k + 2, k + 3, as_put4);
    }
    for (uint32_t from = 0; from < v->n_behind; from += wg, k++) {
        solo_text_add(out, "  ");
        if (list->at[k].n < wg) solo_text_add(out, "if (lane < %uu) ", list->at[k].n);
        if (v->as == CROSS_INT8) solo_text_add(out, "{ keep_h_scale(lane + %uu, w%u%s); }\n", from, k, as_put);
        else solo_text_add(out, "{ ss[lane + %uu] = bitcast<f32>(w%u%s); }\n", from, k, as_put);
    }
}

static void add_take(solo_text *out, const solo_geometry *g, const vector *v, bool tagged, bool shared) {
    word_list list = {.n = 0};
    solo_text_add(out, "fn take_whole_%s(at: u32, lane: u32) {\n", v->name);
    if ((v->as != CROSS_F32 && !shared) || g->wg % 32 != 0 || !list_words(v, g->wg, &list)) {
        solo_text_add(out, "  %s;\n}\n", v->loop);
        return;
    }
    solo_text_add(out, "  let first = slot_of(at);\n  let slot = first + lane;\n");
    add_ask(out, &list, g->wg, "  ", "var ");
    if (tagged) add_wait(out, &list, g->wg);
    add_keep(out, v, &list, g->wg, tagged);
    solo_text_add(out, "}\n");
}

void solo_take_add(solo_text *out, const solo_geometry *g, bool tagged, bool shared) {
    const solo_hparams *hp = g->desc.hp;
    const cross as = g->desc.activations == SOLO_ACTIVATIONS_F32 ? CROSS_F32 : CROSS_BF16;
    const vector vectors[] = {
        {"x", "take_y(at, D, 0u, D / 32u, at + X_SS - X_Y, N_SUM, lane)", as, hp->n_embd, g->n_sum},
        {"a", "take_y(at, ROWS_Q, 0u, ROWS_Q / 32u, 0u, 0u, lane)", as, g->rows_q, 0},
        {"h", "take_h(at, 0u, N_FF / 32u, lane)", g->h_int8 ? CROSS_INT8 : as, hp->n_ff, g->h_int8 ? hp->n_ff / 32 : 0},
    };
    solo_text_add(out, "\n// ---- whole inputs, written by take.c\n");
    for (uint32_t i = 0; i < SOLO_COUNT(vectors); i++) add_take(out, g, &vectors[i], tagged, shared);
}
