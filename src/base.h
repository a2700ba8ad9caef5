/* base.h: what every file uses: failing with a message, asserting, slices of strings, checked
 * arithmetic and little-endian reads. No state. */
#ifndef SOLO_BASE_H
#define SOLO_BASE_H

#include "solo.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct solo_str { /* not NUL-terminated */
    const char *at;
    size_t      n;
} solo_str;

#define SOLO_STR(lit) ((solo_str){(lit), sizeof(lit) - 1})
#define SOLO_COUNT(array) ((uint32_t)(sizeof(array) / sizeof((array)[0])))

#if defined(__GNUC__)
#define SOLO_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define SOLO_PRINTF(fmt, args)
#endif

/* Fills *err (where not NULL) and returns false, so that a failing path is one line. */
bool solo_fail(solo_error *err, solo_status status, const char *fmt, ...) SOLO_PRINTF(3, 4);

/* Our own bug: prints file:line and aborts, in release builds too. */
_Noreturn void solo_bug(const char *file, int line, const char *what);
#define SOLO_ASSERT(cond) ((cond) ? (void)0 : solo_bug(__FILE__, __LINE__, #cond))

/* Growing text, for generated WGSL and messages. Zero-initialise; free .at. */
typedef struct solo_text {
    char  *at; /* NUL-terminated once anything was added */
    size_t n, cap;
} solo_text;

void solo_text_add(solo_text *text, const char *fmt, ...) SOLO_PRINTF(2, 3);
void solo_text_add_n(solo_text *text, const char *at, size_t n);

bool solo_mul_u64(uint64_t a, uint64_t b, uint64_t *out); /* false on overflow */
bool solo_add_u64(uint64_t a, uint64_t b, uint64_t *out);

/* malloc, calloc and realloc that abort through solo_bug when memory ends: sizes passed here are
 * bounded by what a loader has already checked. */
void *solo_alloc(size_t n_bytes);
void *solo_zalloc(size_t n, size_t size);
void *solo_realloc(void *at, size_t n_bytes);
char *solo_strndup(const char *at, size_t n);

float    solo_f16_to_f32(uint16_t h);
uint16_t solo_f32_to_f16(float f); /* round to nearest even */

double solo_seconds(void); /* monotonic */
double solo_median(double *sample, uint32_t n); /* n > 0; sorts sample; of two middles the upper */

#endif
