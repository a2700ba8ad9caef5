/* tokenizer_spm.c: SentencePiece's BPE: characters merge while their joint text is a piece, the
 * piece with the best score first. Spaces are escaped as U+2581; what is no piece falls back to
 * byte tokens. User-defined pieces are found in the escaped text and never merge. */
#include "tokenizer_internal.h"

#include <math.h>

#define KEY(name) "tokenizer.ggml." name

/* ---- opening ------------------------------------------------------------------------------ */

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool solo_spm_byte_of(solo_str text, uint8_t *byte) {
    if (text.n != 6 || memcmp(text.at, "<0x", 3) != 0 || text.at[5] != '>') return false;
    int high = hex_digit(text.at[3]), low = hex_digit(text.at[4]);
    if (high < 0 || low < 0) return false;
    *byte = (uint8_t)(high << 4 | low);
    return true;
}

static bool read_scores(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err) {
    uint64_t n = 0;
    if (!solo_gguf_get_f32s(gguf, KEY("scores"), true, &tok->spm.score, &n, err)) return false;
    if (n != tok->n_vocab) {
        return solo_fail(err, SOLO_FILE_FORMAT,
                         KEY("scores") ": wanted %u items (one a token), found %llu",
                         tok->n_vocab, (unsigned long long)n);
    }
    for (uint32_t i = 0; i < tok->n_vocab; i++) {
        if (isnan(tok->spm.score[i])) {
            return solo_fail(err, SOLO_FILE_FORMAT,
                             KEY("scores") "[%u]: wanted a number, found NaN", i);
        }
    }
    return true;
}

bool solo_spm_read_bytes(solo_tokenizer *tok, const char *where, const char *unknown_key, solo_error *err) {
    uint32_t n_found = 0;
    for (uint32_t i = 0; i < 256; i++) tok->spm.byte_id[i] = -1;
    for (uint32_t id = 0; id < tok->n_vocab; id++) {
        uint8_t byte;
        if (tok->type[id] != SOLO_TOKEN_BYTE) continue;
        if (!solo_spm_byte_of(tok->text[id], &byte)) {
            return solo_fail(err, SOLO_FILE_FORMAT,
                             "%s[%u]: wanted \"<0xNN>\" for a byte token, found \"%.*s\"", where, id,
                             tok->text[id].n > 100 ? 100 : (int)tok->text[id].n, tok->text[id].at);
        }
        if (tok->spm.byte_id[byte] < 0) n_found++;
        tok->spm.byte_id[byte] = id;
    }
    for (uint32_t byte = 0; tok->spm.by_merges && n_found > 0 && byte < 128; byte++) {
        /* A tokenizer.json may spell the token of an ASCII byte as the character: Gemma's tab. */
        char one = (char)byte;
        if (tok->spm.byte_id[byte] >= 0) continue;
        tok->spm.byte_id[byte] = solo_tokenizer_find(tok, (solo_str){&one, 1});
        if (tok->spm.byte_id[byte] >= 0) n_found++;
    }
    tok->spm.has_bytes = n_found == 256;
    if (n_found != 0 && n_found != 256) {
        return solo_fail(err, SOLO_FILE_FORMAT,
                         "%s: wanted byte tokens for all 256 bytes or for none, found %u", where, n_found);
    }
    if (n_found == 0 && tok->unknown < 0) {
        return solo_fail(err, SOLO_FILE_FORMAT,
                         "%s: wanted, as there are no byte tokens to fall back to; found none", unknown_key);
    }
    return true;
}

/* Spaces to U+2581; to has room for 3 bytes for each of text's. */
static size_t escape(const char *text, size_t n, char *to) {
    size_t n_to = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ' ') {
            memcpy(to + n_to, SOLO_SPACE_MARK, 3);
            n_to += 3;
        } else {
            to[n_to++] = text[i];
        }
    }
    return n_to;
}

static void fill_user(solo_tokenizer *tok) {
    solo_spm *spm = &tok->spm;
    uint32_t n = 0;
    size_t n_bytes = 0;
    for (uint32_t id = 0; id < tok->n_vocab; id++) {
        if (tok->type[id] == SOLO_TOKEN_UNUSED) spm->has_unused = true;
        if (tok->text[id].n > spm->max_bytes) spm->max_bytes = tok->text[id].n;
        if (tok->type[id] != SOLO_TOKEN_USER_DEFINED || tok->text[id].n == 0) continue;
        n++;
        n_bytes += tok->text[id].n;
    }
    spm->user.row = solo_zalloc((size_t)n + 1, sizeof *spm->user.row);
    spm->user_pool = solo_alloc(3 * n_bytes + 1);
    char *to = spm->user_pool;
    for (uint32_t id = 0; id < tok->n_vocab; id++) {
        if (tok->type[id] != SOLO_TOKEN_USER_DEFINED || tok->text[id].n == 0) continue;
        size_t n_to = escape(tok->text[id].at, tok->text[id].n, to);
        spm->user.row[spm->user.n++] = (solo_matcher_row){{to, n_to}, id};
        to += n_to;
    }
    solo_matcher_sort(&spm->user);
}

bool solo_spm_open(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err) {
    tok->kind = "llama";
    tok->spm.add_space_prefix = true; /* what a file without the key means */
    if (!solo_gguf_get_bool(gguf, KEY("add_space_prefix"), false, &tok->spm.add_space_prefix,
                            err) ||
        !read_scores(tok, gguf, err) ||
        !solo_spm_read_bytes(tok, KEY("tokens"), KEY("unknown_token_id"), err)) {
        return false;
    }
    fill_user(tok);
    return true;
}

/* ---- encoding ----------------------------------------------------------------------------- */

/* The piece that is this text, or -1: control, unknown and byte tokens are never spelt out. */
static int64_t find_piece(const solo_tokenizer *tok, const char *at, size_t n) {
    if (n > tok->spm.max_bytes) return -1;
    int64_t id = solo_tokenizer_find(tok, (solo_str){at, n});
    if (id < 0) return -1;
    uint32_t hidden = 1u << SOLO_TOKEN_CONTROL | 1u << SOLO_TOKEN_UNKNOWN | 1u << SOLO_TOKEN_BYTE;
    return hidden >> tok->type[id] & 1u ? -1 : id;
}

static bool by_rank(solo_merger *merger, const solo_symbol *left, const solo_symbol *right,
                    double *key, uint32_t *id) {
    return left->id >= 0 && right->id >= 0 && solo_bpe_merged(merger->tok, left, right, key, id);
}

static bool by_score(solo_merger *merger, const solo_symbol *left, const solo_symbol *right,
                     double *key, uint32_t *id) {
    const solo_tokenizer *tok = merger->tok;
    int64_t piece = find_piece(tok, merger->text + left->at, (size_t)left->n + right->n);
    if (piece < 0) return false;
    *key = (double)tok->spm.score[piece];
    *id = (uint32_t)piece;
    if (tok->type[piece] == SOLO_TOKEN_UNUSED) merger->split[piece] = left->n;
    return true;
}

static void add_unknown(const solo_tokenizer *tok, const char *at, size_t n, solo_ids *out) {
    if (tok->spm.has_bytes) {
        for (size_t i = 0; i < n; i++) {
            solo_ids_add(out, (uint32_t)tok->spm.byte_id[(uint8_t)at[i]]);
        }
    } else if (out->n == 0 || out->at[out->n - 1] != (uint32_t)tok->unknown) {
        solo_ids_add(out, (uint32_t)tok->unknown); /* one for a whole run of them */
    }
}

/* A piece that is unused helps merging but is not given out: its parts are. */
static void add_piece(const solo_merger *merger, const char *at, size_t n, int64_t id,
                      solo_ids *out) {
    const solo_tokenizer *tok = merger->tok;
    if (id < 0) {
        add_unknown(tok, at, n, out);
    } else if (tok->type[id] == SOLO_TOKEN_UNUSED && merger->split[id] > 0) {
        size_t left = merger->split[id]; /* less than n: recursion ends */
        add_piece(merger, at, left, find_piece(tok, at, left), out);
        add_piece(merger, at + left, n - left, find_piece(tok, at + left, n - left), out);
    } else {
        solo_ids_add(out, (uint32_t)id);
    }
}

void solo_spm_encode(solo_merger *merger, const char *text, size_t n, bool add_prefix,
                     solo_ids *out) {
    const solo_tokenizer *tok = merger->tok;
    char *escaped = solo_alloc(3 * n + 3);
    size_t n_escaped = 0;
    bool has_space = tok->spm.prefix_once &&
                     (text[0] == ' ' || (n >= 3 && memcmp(text, SOLO_SPACE_MARK, 3) == 0));
    if (add_prefix && tok->spm.add_space_prefix && !has_space) n_escaped = escape(" ", 1, escaped);
    n_escaped += escape(text, n, escaped + n_escaped);
    if (tok->spm.has_unused && !merger->split) {
        merger->split = solo_zalloc(tok->n_vocab, sizeof *merger->split);
    }
    merger->text = escaped;
    merger->n_symbol = 0;
    for (size_t i = 0; i < n_escaped;) {
        const solo_matcher_row *user =
            solo_matcher_find(&tok->spm.user, tok->type, 1u << SOLO_TOKEN_USER_DEFINED,
                              escaped + i, n_escaped - i);
        uint32_t code;
        size_t length = user ? user->text.n : solo_utf8_decode(escaped + i, n_escaped - i, &code);
        int64_t id = user ? (int64_t)user->id : find_piece(tok, escaped + i, length);
        solo_merger_add(merger, (uint32_t)i, (uint32_t)length, id, user != NULL);
        i += length;
    }
    solo_merger_run(merger, tok->spm.by_merges ? by_rank : by_score);
    for (uint32_t i = 0; i < merger->n_symbol; i++) {
        const solo_symbol *s = &merger->symbol[i];
        if (s->n > 0) add_piece(merger, escaped + s->at, s->n, s->id, out);
    }
    merger->text = NULL;
    free(escaped);
}
