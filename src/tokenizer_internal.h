/* tokenizer_internal.h: what the tokenizer's files share. tokenizer.c owns the tables, the special
 * tokens and decoding; tokenizer_bpe.c the engine that merges pairs, and byte-level BPE by merge
 * rank; tokenizer_spm.c BPE by scores, as SentencePiece does it. */
#ifndef SOLO_TOKENIZER_INTERNAL_H
#define SOLO_TOKENIZER_INTERNAL_H

#include "tokenizer.h"
#include "pretokenize.h"
#include "unicode.h"

typedef enum solo_token_type { /* numbers are the file format's */
    SOLO_TOKEN_UNDEFINED,
    SOLO_TOKEN_NORMAL,
    SOLO_TOKEN_UNKNOWN,
    SOLO_TOKEN_CONTROL,
    SOLO_TOKEN_USER_DEFINED,
    SOLO_TOKEN_UNUSED,
    SOLO_TOKEN_BYTE,
    SOLO_TOKEN_TYPE_COUNT
} solo_token_type;

/* ---- small containers --------------------------------------------------------------------- */

typedef struct solo_ids { /* zero-initialise; free .at */
    uint32_t *at;
    uint32_t  n, cap;
} solo_ids;

void solo_ids_add(solo_ids *ids, uint32_t id);

/* Texts to match in running text, longest first. Rows are borrowed texts, sorted by bytes. */
typedef struct solo_matcher_row {
    solo_str text;
    uint32_t id;
} solo_matcher_row;

typedef struct solo_matcher {
    solo_matcher_row *row;
    uint32_t          n;
    bool              starts[256]; /* some text has this first byte */
} solo_matcher;

void solo_matcher_sort(solo_matcher *m); /* after rows were filled in */
/* The longest row that the n bytes begin with and whose token's type is among type_mask (bits
 * 1 << type); NULL: none. */
const solo_matcher_row *solo_matcher_find(const solo_matcher *m, const uint8_t *type,
                                          uint32_t type_mask, const char *at, size_t n);

/* ---- the tokenizer ------------------------------------------------------------------------ */

typedef struct solo_bpe {
    solo_pretokenizer rule;
    bool      takes_whole_words; /* a word that is a token is that token, merges or not */
    bool      normalizes;        /* text is in form C first */
    int64_t   byte_id[256]; /* token of one byte; -1: the vocabulary lacks it */
    uint64_t *pair;         /* [n_merge] left id << 32 | right id, in order of rank */
    uint32_t *merged;       /* [n_merge] the id that it becomes */
    uint32_t  n_merge;
    uint32_t *slot;         /* [mask + 1] rank + 1 by hash of pair; 0: free */
    uint32_t  mask;
} solo_bpe;

typedef struct solo_spm {
    float       *score;        /* [n_vocab] */
    int64_t      byte_id[256]; /* <0xNN>; all -1 where has_bytes is false */
    bool         has_bytes, has_unused, add_space_prefix;
    bool         by_merges;    /* pairs merge as bpe's table says, not by scores (tokenizer.json) */
    bool         prefix_first; /* the prefix is for the start of the text, not after special tokens */
    bool         prefix_once;  /* and not where a space is there already */
    solo_matcher user;         /* user-defined tokens, spaces escaped */
    char        *user_pool;
    size_t       max_bytes;    /* of a token's text */
} solo_spm;

struct solo_tokenizer {
    const char *kind;      /* static string */
    bool        is_spm;
    uint32_t    n_vocab;
    char       *text_pool, *bytes_pool;
    solo_str   *text;      /* [n_vocab] as the file spells it */
    solo_str   *bytes;     /* [n_vocab] what it stands for in text */
    uint8_t    *type;      /* [n_vocab] solo_token_type */
    bool       *is_end;    /* [n_vocab] */
    uint32_t   *slot;      /* [mask + 1] id + 1 by hash of text; 0: free */
    uint32_t    mask;
    solo_matcher special;
    uint8_t    *strips;    /* [n_vocab] SOLO_STRIPS_*: white space beside it vanishes; NULL: none does */
    int64_t     bos, eos, unknown;
    bool        add_bos;
    solo_bpe    bpe;
    solo_spm    spm;
};

#define SOLO_STRIPS_LEFT 1u
#define SOLO_STRIPS_RIGHT 2u
#define SOLO_SPACE_MARK "\xE2\x96\x81" /* U+2581, SentencePiece's visible space */

/* Once text[] and type[] are filled: finds each text, refuses one that is there twice. where names the
 * list in messages. */
bool solo_tokenizer_index(solo_tokenizer *tok, const char *where, solo_error *err);
/* Then: which tokens end a text by their names; what is matched in raw text; what ids stand for. */
void solo_tokenizer_finish(solo_tokenizer *tok);

/* Gives the smallest power of two that keeps a table of n entries at most half full, less one. */
uint32_t solo_hash_mask(uint32_t n);

/* ---- merging ------------------------------------------------------------------------------ */

typedef struct solo_symbol {
    uint32_t at, n;      /* bytes of the text; n == 0: merged into the one before */
    uint32_t prev, next; /* SOLO_SYMBOL_NONE at the ends */
    int64_t  id;         /* -1: no token */
    bool     frozen;     /* never merges */
} solo_symbol;

#define SOLO_SYMBOL_NONE UINT32_MAX

typedef struct solo_merge { /* a pair that could become one */
    double   key;           /* the largest goes first, the leftmost among equals */
    uint32_t left, right, n; /* n: bytes of both; tells a stale entry */
    uint32_t id;
} solo_merge;

typedef struct solo_merger { /* zero-initialise; reused from word to word */
    const solo_tokenizer *tok;
    const char  *text;     /* what symbols' at points into */
    solo_symbol *symbol;
    uint32_t     n_symbol, cap_symbol;
    solo_merge  *heap;
    uint32_t     n_heap, cap_heap;
    uint32_t    *split;    /* [n_vocab] of an unused token: bytes of its left part; or NULL */
} solo_merger;

/* Whether two neighbours may merge: fills key and id. */
typedef bool solo_merge_rule(solo_merger *merger, const solo_symbol *left, const solo_symbol *right,
                             double *key, uint32_t *id);

void solo_merger_add(solo_merger *merger, uint32_t at, uint32_t n, int64_t id, bool frozen);
void solo_merger_run(solo_merger *merger, solo_merge_rule *rule);
void solo_merger_free(solo_merger *merger);

/* ---- the two kinds ------------------------------------------------------------------------ */

/* Room for n merges; each is then added by the texts of its parts, in order. A merge with a part or
 * result that is no token cannot apply to ids and is left out; of equal ones the first counts. */
void solo_bpe_start_merges(solo_tokenizer *tok, uint32_t n);
void solo_bpe_add_merge(solo_tokenizer *tok, solo_str left, solo_str right);
/* "left right": the first space that is not the first byte divides them; false: there is none. */
bool solo_bpe_split_merge(solo_str line, solo_str *left, solo_str *right);
bool solo_bpe_merged(const solo_tokenizer *tok, const solo_symbol *left, const solo_symbol *right, double *key,
                     uint32_t *id);
void solo_bpe_fill_byte_ids(solo_tokenizer *tok);
bool solo_bpe_open(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err);
void solo_bpe_encode(solo_merger *merger, const char *text, size_t n, solo_ids *out);
/* Bytes that a token's text in the byte-level alphabet stands for, or false where it is not in that
 * alphabet. out has room for text.n bytes. */
bool solo_bpe_unmap(solo_str text, char *out, size_t *n_out);

/* Once types are filled: all 256 byte tokens, or none and an unknown token instead. where, unknown_key
 * name fields in messages. */
bool solo_spm_read_bytes(solo_tokenizer *tok, const char *where, const char *unknown_key, solo_error *err);
bool solo_spm_open(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err);
void solo_spm_encode(solo_merger *merger, const char *text, size_t n, bool add_prefix,
                     solo_ids *out);
bool solo_spm_byte_of(solo_str text, uint8_t *byte); /* "<0x0A>" */

#endif
