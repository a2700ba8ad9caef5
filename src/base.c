/* base.c: errors, asserts, growing text, checked arithmetic, allocation, half floats, the clock.
 * Holds no state. */
#include "base.h"

#include "bytes.h"

#include <time.h>

const char *solo_status_text(solo_status status) {
    static const char *const text[] = {
#define X(name, text) text,
        SOLO_STATUS_LIST(X)
#undef X
    };
    return (size_t)status < sizeof text / sizeof *text ? text[status] : "unknown status";
}

bool solo_fail(solo_error *err, solo_status status, const char *fmt, ...) {
    if (!err) return false;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    if (n < 0) err->text[0] = '\0';
    err->status = status;
    /* Names quoted from a file may hold anything; a message is one line and moves no cursor. */
    for (char *c = err->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    return false;
}

_Noreturn void solo_bug(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: Solo found a bug of its own: %s\n", file, line, what);
    abort();
}

static void text_reserve(solo_text *text, size_t n_more) {
    SOLO_ASSERT(n_more < SIZE_MAX / 2 - text->n);
    size_t need = text->n + n_more + 1;
    if (need <= text->cap) return;
    size_t cap = text->cap < 256 ? 256 : text->cap;
    while (cap < need) cap *= 2;
    text->at = solo_realloc(text->at, cap);
    text->cap = cap;
}

void solo_text_add(solo_text *text, const char *fmt, ...) {
    SOLO_ASSERT(fmt);
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    SOLO_ASSERT(n >= 0);
    text_reserve(text, (size_t)n);
    vsnprintf(text->at + text->n, (size_t)n + 1, fmt, again);
    va_end(again);
    text->n += (size_t)n;
}

void solo_text_add_n(solo_text *text, const char *at, size_t n) {
    text_reserve(text, n);
    if (n) memcpy(text->at + text->n, at, n);
    text->n += n;
    text->at[text->n] = '\0';
}

bool solo_mul_u64(uint64_t a, uint64_t b, uint64_t *out) {
    if (a && b > UINT64_MAX / a) return false;
    *out = a * b;
    return true;
}

bool solo_add_u64(uint64_t a, uint64_t b, uint64_t *out) {
    if (b > UINT64_MAX - a) return false;
    *out = a + b;
    return true;
}

/* A request of 0 bytes gets 1, so that NULL always means failure. */
void *solo_alloc(size_t n_bytes) {
    void *at = malloc(n_bytes ? n_bytes : 1);
    SOLO_ASSERT(at);
    return at;
}

void *solo_zalloc(size_t n, size_t size) {
    void *at = calloc(n ? n : 1, size ? size : 1);
    SOLO_ASSERT(at);
    return at;
}

void *solo_realloc(void *at, size_t n_bytes) {
    void *moved = realloc(at, n_bytes ? n_bytes : 1);
    SOLO_ASSERT(moved);
    return moved;
}

char *solo_strndup(const char *at, size_t n) {
    SOLO_ASSERT(n < SIZE_MAX);
    char *copy = solo_alloc(n + 1);
    if (n) memcpy(copy, at, n);
    copy[n] = '\0';
    return copy;
}

float solo_f16_to_f32(uint16_t h) { return f32_of_half(h); }

uint16_t solo_f32_to_f16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, mag = bits & 0x7fffffff;
    if (mag > 0x7f800000) { /* NaN: what fits of its payload, never infinity's zero */
        uint32_t frac = mag >> 13 & 0x3ff;
        return (uint16_t)(sign | 0x7c00 | (frac ? frac : 0x200));
    }
    if (mag >= 0x477ff000) return (uint16_t)(sign | 0x7c00); /* 65520 and up round to infinity */
    uint32_t kept, lost, half;
    if (mag >= 0x38800000) { /* a normal half: a carry out of the fraction steps the exponent */
        kept = (mag - 0x38000000) >> 13;
        lost = mag & 0x1fff;
        half = 0x1000;
    } else {
        uint32_t shift = 126 - (mag >> 23); /* in units of 2^-24 */
        if (shift > 24) return (uint16_t)sign; /* below 2^-25: rounds to zero */
        uint32_t frac = (mag & 0x7fffff) | 0x800000;
        kept = frac >> shift;
        lost = frac & ((1u << shift) - 1);
        half = 1u << (shift - 1);
    }
    if (lost > half || (lost == half && (kept & 1))) kept++;
    return (uint16_t)(sign | kept);
}

double solo_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double solo_median(double *sample, uint32_t n) {
    qsort(sample, n, sizeof *sample, compare);
    return sample[n / 2];
}
