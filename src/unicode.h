/* unicode.h: the little of Unicode that tokenizers ask for: is it a letter (L*), a number (N*),
 * white space (White_Space), and where does a UTF-8 character end. The table is generated when
 * Solo is built (tools/unicode_tables.py); the functions are in pretokenize.c. */
#ifndef SOLO_UNICODE_H
#define SOLO_UNICODE_H

#include <stddef.h>
#include <stdint.h>

typedef enum solo_unicode_class {
    SOLO_UNICODE_OTHER, /* also what is not a character at all */
    SOLO_UNICODE_LETTER,
    SOLO_UNICODE_NUMBER,
    SOLO_UNICODE_SPACE,
} solo_unicode_class;

typedef struct solo_unicode_range {
    uint32_t           first, last; /* inclusive */
    solo_unicode_class class;
} solo_unicode_range;

extern const solo_unicode_range solo_unicode_ranges[]; /* ascending, disjoint */
extern const uint32_t           solo_unicode_n_range;

#define SOLO_UNICODE_INVALID UINT32_MAX

solo_unicode_class solo_unicode_class_of(uint32_t code);

/* The character at the start of n >= 1 bytes; returns its length. A byte that starts no
 * well-formed UTF-8 character is SOLO_UNICODE_INVALID with length 1. */
size_t solo_utf8_decode(const char *at, size_t n, uint32_t *code);

/* How many bytes a well-formed character with this first byte has; 0: none starts so.
 * *second_min, *second_max: what its second byte may be (Unicode, table 3-7). */
uint32_t solo_utf8_length(uint8_t first, uint8_t *second_min, uint8_t *second_max);

/* Which rule cuts text into words. */
typedef enum solo_pretokenizer {
    SOLO_PRETOKENIZER_GPT2,
    SOLO_PRETOKENIZER_SMOLLM
} solo_pretokenizer;

/* The length of the first word of n >= 1 bytes; words follow each other without gaps. No rule looks
 * back, so the rest is cut by calling again. */
size_t solo_pretokenize(solo_pretokenizer rule, const char *at, size_t n);

#endif
