/* unicode.h: the little of Unicode that tokenizers and chat templates ask for: a character's general
 * category, white space, where a UTF-8 character ends, and normalisation form C. The tables are
 * generated when Solo is built (tools/unicode_tables.py). */
#ifndef SOLO_UNICODE_H
#define SOLO_UNICODE_H

#include "base.h"

typedef enum solo_unicode_class {
    SOLO_UNICODE_OTHER, /* also what is not a character at all */
    SOLO_UNICODE_LETTER,
    SOLO_UNICODE_NUMBER,
    SOLO_UNICODE_SPACE,
} solo_unicode_class;

/* General categories in the order of the tables: two letters each. Cn, unassigned, is 0. */
#define SOLO_UNICODE_CATEGORIES \
    "CnLuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCo"
#define SOLO_UNICODE_N_CATEGORY 30u

typedef struct solo_unicode_mark {
    uint32_t code, order; /* canonical combining class */
} solo_unicode_mark;

typedef struct solo_unicode_pair { /* code is first and second put together */
    uint32_t code, first, second;  /* second 0: code is only another spelling of first */
} solo_unicode_pair;

extern const uint32_t solo_unicode_start[]; /* code << 5 | category, which holds until the next */
extern const uint32_t solo_unicode_n_start;
extern const solo_unicode_mark solo_unicode_marks[]; /* by code */
extern const uint32_t solo_unicode_n_mark;
extern const solo_unicode_pair solo_unicode_decompose[]; /* by code */
extern const uint32_t solo_unicode_n_decompose;
extern const solo_unicode_pair solo_unicode_compose[]; /* by first, then second */
extern const uint32_t solo_unicode_n_compose;

#define SOLO_UNICODE_INVALID UINT32_MAX

uint32_t solo_unicode_category(uint32_t code); /* 0 for what is no character */
bool solo_unicode_is_space(uint32_t code);     /* White_Space */
solo_unicode_class solo_unicode_class_of(uint32_t code);

/* The character at the start of n >= 1 bytes; returns its length. A byte that starts no
 * well-formed UTF-8 character is SOLO_UNICODE_INVALID with length 1. */
size_t solo_utf8_decode(const char *at, size_t n, uint32_t *code);

/* The length of the character that ends n >= 1 bytes, by the same rule. */
size_t solo_utf8_last(const char *at, size_t n);

/* Writes a character in UTF-8, returns its length. */
size_t solo_utf8_encode(uint32_t code, char out[4]);

/* How many bytes a well-formed character with this first byte has; 0: none starts so.
 * *second_min, *second_max: what its second byte may be (Unicode, table 3-7). */
uint32_t solo_utf8_length(uint8_t first, uint8_t *second_min, uint8_t *second_max);

/* Appends text in normalisation form C. Bytes that are no UTF-8 stay as they are. */
void solo_unicode_add_nfc(solo_text *out, const char *text, size_t n);

#endif
