/* pretokenize.h: which rule cuts text into the words inside which byte pairs may merge. A rule is
 * one or more patterns (pattern.h): the first cuts the text into its matches and what lies between
 * them, the next cuts each of those, and so on. */
#ifndef SOLO_PRETOKENIZE_H
#define SOLO_PRETOKENIZE_H

#include "pattern.h"

#define SOLO_MAX_CUT 8u

typedef struct solo_pretokenizer { /* zero-initialise */
    solo_pattern *pattern[SOLO_MAX_CUT];
    uint32_t      n_pattern;
} solo_pretokenizer;

/* A published rule. */
typedef struct solo_pretokenizer_row {
    const char *name; /* tokenizer.ggml.pre */
    const char *kind; /* what the tokenizer is called */
    const char *text[SOLO_MAX_CUT];
    bool        takes_whole_words; /* a word that is a token is that token, merges or not */
    bool        normalizes;        /* the text is in form C first */
    bool        adds_bos;          /* what a GGUF that does not say means */
} solo_pretokenizer_row;

/* NULL: no such name. */
const solo_pretokenizer_row *solo_pretokenizer_find(solo_str name);
/* All names, as "a, b, c", for messages. */
void solo_pretokenizer_names(solo_text *out);
/* The row whose patterns these are, for its kind's name; NULL: none. */
const solo_pretokenizer_row *solo_pretokenizer_known(const solo_str *text, uint32_t n);

bool solo_pretokenizer_add(solo_pretokenizer *rule, solo_str text, const char *what, solo_error *err);
void solo_pretokenizer_free(solo_pretokenizer *rule);

typedef struct solo_cut { /* {0} before the first word */
    size_t at, end[SOLO_MAX_CUT];
} solo_cut;

/* The length of the next word of n bytes, at cut->at, which it then moves past it; 0 at the end.
 * Words follow each other without gaps. */
size_t solo_pretokenize(const solo_pretokenizer *rule, const char *text, size_t n, solo_cut *cut);

#endif
