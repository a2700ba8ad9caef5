/* unicode.c: UTF-8, look-ups in the generated tables, and normalisation form C. */
#include "unicode.h"

/* ---- UTF-8 -------------------------------------------------------------------------------- */

uint32_t solo_utf8_length(uint8_t first, uint8_t *second_min, uint8_t *second_max) {
    *second_min = 0x80;
    *second_max = 0xBF;
    if (first < 0x80) return 1;
    if (first < 0xC2) return 0; /* continuation bytes and overlong forms */
    if (first < 0xE0) return 2;
    if (first < 0xF0) {
        if (first == 0xE0) *second_min = 0xA0; /* overlong below */
        if (first == 0xED) *second_max = 0x9F; /* surrogates above */
        return 3;
    }
    if (first < 0xF5) {
        if (first == 0xF0) *second_min = 0x90;
        if (first == 0xF4) *second_max = 0x8F; /* past U+10FFFF */
        return 4;
    }
    return 0;
}

size_t solo_utf8_decode(const char *at, size_t n, uint32_t *code) {
    const uint8_t *b = (const uint8_t *)at;
    uint8_t lo, hi;
    uint32_t length = solo_utf8_length(b[0], &lo, &hi);
    *code = SOLO_UNICODE_INVALID;
    if (length == 0 || length > n) return 1;
    if (length == 1) {
        *code = b[0];
        return 1;
    }
    if (b[1] < lo || b[1] > hi) return 1;
    uint32_t c = ((uint32_t)b[0] & (0x7Fu >> length)) << 6 | ((uint32_t)b[1] & 0x3Fu);
    for (uint32_t i = 2; i < length; i++) {
        if ((b[i] & 0xC0) != 0x80) return 1;
        c = c << 6 | ((uint32_t)b[i] & 0x3Fu);
    }
    *code = c;
    return length;
}

/* Lead and following bytes differ, so the longest well-formed character that ends here is the one
 * that reading from the front finds. */
size_t solo_utf8_last(const char *at, size_t n) {
    for (size_t length = n < 4 ? n : 4; length > 1; length--) {
        uint32_t code;
        if (solo_utf8_decode(at + n - length, length, &code) == length) return length;
    }
    return 1;
}

size_t solo_utf8_encode(uint32_t code, char out[4]) {
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (n == 1) {
        out[0] = (char)code;
        return 1;
    }
    for (size_t i = n - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3F));
    out[0] = (char)(uint8_t)(0xF00u >> n | code);
    return n;
}

/* ---- look-ups ----------------------------------------------------------------------------- */

uint32_t solo_unicode_category(uint32_t code) {
    if (code > 0x10FFFF) return 0;
    uint32_t lo = 0, hi = solo_unicode_n_start; /* the last start that is not after code */
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (solo_unicode_start[mid] >> 5 <= code) lo = mid;
        else hi = mid;
    }
    return solo_unicode_start[lo] & 31;
}

bool solo_unicode_is_space(uint32_t code) {
    if (code < 0x80) return code == ' ' || (code >= 9 && code <= 13);
    char major = SOLO_UNICODE_CATEGORIES[2 * solo_unicode_category(code)];
    return major == 'Z' || code == 0x85;
}

solo_unicode_class solo_unicode_class_of(uint32_t code) {
    if (solo_unicode_is_space(code)) return SOLO_UNICODE_SPACE;
    char major = SOLO_UNICODE_CATEGORIES[2 * solo_unicode_category(code)];
    return major == 'L' ? SOLO_UNICODE_LETTER : major == 'N' ? SOLO_UNICODE_NUMBER : SOLO_UNICODE_OTHER;
}

/* ---- normalisation form C ----------------------------------------------------------------- */

enum { /* Hangul syllables are put together by arithmetic */
    HANGUL = 0xAC00, HANGUL_L = 0x1100, HANGUL_V = 0x1161, HANGUL_T = 0x11A7,
    N_L = 19, N_V = 21, N_T = 28, N_HANGUL = N_L * N_V * N_T
};

static uint32_t order_of(uint32_t code) {
    uint32_t lo = 0, hi = solo_unicode_n_mark;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (solo_unicode_marks[mid].code < code) lo = mid + 1;
        else hi = mid;
    }
    bool found = lo < solo_unicode_n_mark && solo_unicode_marks[lo].code == code;
    return found ? solo_unicode_marks[lo].order : 0;
}

typedef struct codes {
    uint32_t *at;
    size_t    n, cap;
} codes;

static void push(codes *c, uint32_t code) {
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 64;
        c->at = solo_realloc(c->at, c->cap * sizeof *c->at);
    }
    c->at[c->n++] = code;
}

static void push_parts(codes *c, uint32_t code) {
    if (code >= HANGUL && code < HANGUL + N_HANGUL) {
        uint32_t i = code - HANGUL;
        push(c, HANGUL_L + i / (N_V * N_T));
        push(c, HANGUL_V + i % (N_V * N_T) / N_T);
        if (i % N_T) push(c, HANGUL_T + i % N_T);
        return;
    }
    uint32_t lo = 0, hi = solo_unicode_n_decompose;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (solo_unicode_decompose[mid].code < code) lo = mid + 1;
        else hi = mid;
    }
    if (lo == solo_unicode_n_decompose || solo_unicode_decompose[lo].code != code) {
        push(c, code);
        return;
    }
    push_parts(c, solo_unicode_decompose[lo].first); /* two or three deep */
    if (solo_unicode_decompose[lo].second) push(c, solo_unicode_decompose[lo].second);
}

static uint32_t put_together(uint32_t a, uint32_t b) { /* 0: they stay two */
    if (a >= HANGUL_L && a < HANGUL_L + N_L && b >= HANGUL_V && b < HANGUL_V + N_V)
        return HANGUL + ((a - HANGUL_L) * N_V + (b - HANGUL_V)) * N_T;
    if (a >= HANGUL && a < HANGUL + N_HANGUL && (a - HANGUL) % N_T == 0 && b > HANGUL_T && b < HANGUL_T + N_T)
        return a + (b - HANGUL_T);
    uint32_t lo = 0, hi = solo_unicode_n_compose;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        const solo_unicode_pair *p = &solo_unicode_compose[mid];
        if (p->first < a || (p->first == a && p->second < b)) lo = mid + 1;
        else hi = mid;
    }
    bool found = lo < solo_unicode_n_compose && solo_unicode_compose[lo].first == a &&
                 solo_unicode_compose[lo].second == b;
    return found ? solo_unicode_compose[lo].code : 0;
}

/* Stable by order, within each run of marks; runs are short, and a hostile one is cut off: nobody
 * sorts a million accents on one letter. */
static void sort_marks(codes *c) {
    enum { MAX_RUN = 512 };
    for (size_t i = 1, run = 0; i < c->n; i++) {
        uint32_t code = c->at[i], order = order_of(code);
        if (order == 0) run = i;
        if (order == 0 || i - run > MAX_RUN) continue;
        size_t j = i;
        while (j > run && order_of(c->at[j - 1]) > order) {
            c->at[j] = c->at[j - 1];
            j--;
        }
        c->at[j] = code;
    }
}

/* A mark joins the last starter unless one of at least its order stands between them. */
static void compose(codes *c) {
    size_t n = 0, starter = SIZE_MAX;
    uint32_t before = 0; /* the order of the last that stayed behind the starter */
    for (size_t i = 0; i < c->n; i++) {
        uint32_t code = c->at[i], order = order_of(code);
        bool next_to = starter != SIZE_MAX && n == starter + 1;
        uint32_t both = 0;
        if (starter != SIZE_MAX && (next_to || before < order)) both = put_together(c->at[starter], code);
        if (both) {
            c->at[starter] = both;
            continue;
        }
        if (order == 0) starter = n;
        before = order;
        c->at[n++] = code;
    }
    c->n = n;
}

static void flush(codes *c, solo_text *out) {
    sort_marks(c);
    compose(c);
    for (size_t i = 0; i < c->n; i++) {
        char bytes[4];
        solo_text_add_n(out, bytes, solo_utf8_encode(c->at[i], bytes));
    }
    c->n = 0;
}

void solo_unicode_add_nfc(solo_text *out, const char *text, size_t n) {
    codes c = {0};
    for (size_t i = 0, length; i < n; i += length) {
        uint32_t code;
        length = solo_utf8_decode(text + i, n - i, &code);
        if (code == SOLO_UNICODE_INVALID) {
            flush(&c, out);
            solo_text_add_n(out, text + i, 1);
        } else {
            push_parts(&c, code);
        }
    }
    flush(&c, out);
    free(c.at);
}
