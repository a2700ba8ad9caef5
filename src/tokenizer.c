/* tokenizer.c: the tables of a GGUF's tokenizer, checked; special tokens in running text; ids back
 * to bytes. How a stretch of plain text becomes ids is left to tokenizer_bpe.c and tokenizer_spm.c.
 */
#include "tokenizer_internal.h"

#define KEY(name) "tokenizer.ggml." name

/* ---- small containers --------------------------------------------------------------------- */

void solo_ids_add(solo_ids *ids, uint32_t id) {
    if (ids->n == ids->cap) {
        ids->cap = ids->cap ? ids->cap * 2 : 64;
        ids->at = solo_realloc(ids->at, (size_t)ids->cap * sizeof *ids->at);
    }
    ids->at[ids->n++] = id;
}

uint32_t solo_hash_mask(uint32_t n) {
    uint32_t size = 16;
    while (size / 2 < n) size *= 2;
    return size - 1;
}

static int compare_rows(const void *a, const void *b) {
    const solo_matcher_row *x = a, *y = b;
    size_t n = x->text.n < y->text.n ? x->text.n : y->text.n;
    int order = memcmp(x->text.at, y->text.at, n);
    if (order != 0) return order;
    return (x->text.n > y->text.n) - (x->text.n < y->text.n);
}

void solo_matcher_sort(solo_matcher *m) {
    if (m->n > 0) qsort(m->row, m->n, sizeof *m->row, compare_rows);
    for (uint32_t i = 0; i < m->n; i++) m->starts[(uint8_t)m->row[i].text.at[0]] = true;
}

/* The first row of [lo, hi), which agree in their first depth bytes, whose byte there is at least
 * `byte`. A row that ends at depth sorts first. */
static uint32_t lower_row(const solo_matcher *m, uint32_t lo, uint32_t hi, size_t depth,
                          uint32_t byte) {
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        solo_str text = m->row[mid].text;
        if (text.n <= depth || (uint8_t)text.at[depth] < byte) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

const solo_matcher_row *solo_matcher_find(const solo_matcher *m, const uint8_t *type,
                                          uint32_t type_mask, const char *at, size_t n) {
    if (n == 0 || !m->starts[(uint8_t)at[0]]) return NULL;
    const solo_matcher_row *best = NULL;
    uint32_t lo = 0, hi = m->n;
    for (size_t depth = 0; depth < n; depth++) {
        uint32_t byte = (uint8_t)at[depth];
        lo = lower_row(m, lo, hi, depth, byte);
        hi = lower_row(m, lo, hi, depth, byte + 1);
        if (lo == hi) break;
        for (uint32_t i = lo; i < hi && m->row[i].text.n == depth + 1; i++) {
            if (1u << type[m->row[i].id] & type_mask) best = &m->row[i];
        }
    }
    return best;
}

/* ---- text to id --------------------------------------------------------------------------- */

static uint32_t hash_text(solo_str text) { /* FNV-1a */
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < text.n; i++) h = (h ^ (uint8_t)text.at[i]) * 16777619u;
    return h ^ h >> 15;
}

static bool same(solo_str a, solo_str b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

/* The slot that holds text's id, or the free one where it belongs. */
static uint32_t *slot_of(const solo_tokenizer *tok, solo_str text) {
    uint32_t i = hash_text(text) & tok->mask;
    while (tok->slot[i] != 0 && !same(tok->text[tok->slot[i] - 1], text)) i = (i + 1) & tok->mask;
    return &tok->slot[i];
}

int64_t solo_tokenizer_find(const solo_tokenizer *tok, solo_str text) {
    return (int64_t)*slot_of(tok, text) - 1;
}

/* ---- opening ------------------------------------------------------------------------------ */

static bool read_texts(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err) {
    solo_str *file = NULL;
    uint64_t n = 0, n_bytes = 0;
    if (!solo_gguf_get_strs(gguf, KEY("tokens"), true, &file, &n, err)) return false;
    if (n == 0 || n > 1u << 28) {
        free(file);
        return solo_fail(err, SOLO_FILE_FORMAT,
                         KEY("tokens") ": wanted 1 to 2^28 tokens, found %llu",
                         (unsigned long long)n);
    }
    for (uint64_t i = 0; i < n; i++) n_bytes += file[i].n; /* spans of one file: no overflow */
    tok->n_vocab = (uint32_t)n;
    tok->text = file;
    tok->text_pool = solo_alloc((size_t)n_bytes + 1);
    char *to = tok->text_pool;
    for (uint64_t i = 0; i < n; i++) {
        if (file[i].n > 0) memcpy(to, file[i].at, file[i].n);
        tok->text[i].at = to;
        to += file[i].n;
    }
    return true;
}

static bool read_types(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err) {
    int32_t *type = NULL;
    uint64_t n = 0;
    tok->type = solo_zalloc(tok->n_vocab, sizeof *tok->type);
    memset(tok->type, SOLO_TOKEN_NORMAL, tok->n_vocab);
    if (!solo_gguf_get_i32s(gguf, KEY("token_type"), false, &type, &n, err)) return false;
    if (!type) return true;
    bool ok = n == tok->n_vocab;
    if (!ok) {
        solo_fail(err, SOLO_FILE_FORMAT,
                  KEY("token_type") ": wanted %u items (one a token), found %llu",
                  tok->n_vocab, (unsigned long long)n);
    }
    for (uint32_t i = 0; ok && i < tok->n_vocab; i++) {
        ok = type[i] >= 0 && type[i] < SOLO_TOKEN_TYPE_COUNT;
        if (ok) tok->type[i] = (uint8_t)type[i];
        else solo_fail(err, SOLO_FILE_FORMAT, KEY("token_type") "[%u]: wanted 0 to %d, found %d", i,
                       SOLO_TOKEN_TYPE_COUNT - 1, (int)type[i]);
    }
    free(type);
    return ok;
}

bool solo_tokenizer_index(solo_tokenizer *tok, const char *where, solo_error *err) {
    tok->mask = solo_hash_mask(tok->n_vocab);
    tok->slot = solo_zalloc((size_t)tok->mask + 1, sizeof *tok->slot);
    for (uint32_t id = 0; id < tok->n_vocab; id++) {
        if (tok->text[id].n == 0) continue; /* can be decoded, never found */
        uint32_t *slot = slot_of(tok, tok->text[id]);
        if (*slot == 0) {
            *slot = id + 1;
        } else if (tok->type[*slot - 1] == SOLO_TOKEN_UNUSED) {
            *slot = id + 1;
        } else if (tok->type[id] != SOLO_TOKEN_UNUSED) {
            solo_str t = tok->text[id];
            return solo_fail(err, SOLO_FILE_FORMAT,
                             "%s: wanted each text once, found \"%.*s\" as %u and as %u", where,
                             t.n > 100 ? 100 : (int)t.n, t.at, *slot - 1, id);
        }
    }
    return true;
}

static bool read_id(const solo_tokenizer *tok, const solo_gguf *gguf, const char *key, int64_t *id,
                    solo_error *err) {
    uint32_t value = 0;
    *id = -1;
    if (!solo_gguf_find(gguf, key)) return true;
    if (!solo_gguf_get_u32(gguf, key, true, &value, err)) return false;
    if (value >= tok->n_vocab) {
        return solo_fail(err, SOLO_FILE_FORMAT, "%s: wanted an id below %u (the number of tokens), "
                         "found %u", key, tok->n_vocab, value);
    }
    *id = value;
    return true;
}

/* Names that end a text or a turn whichever key of the file says so, and types that they count
 * with: "</s>" is a plain HTML tag among the user-defined tokens of some vocabularies. */
static const struct {
    const char *text;
    bool        even_user_defined;
} end_names[] = {
    {"<|im_end|>", true},     {"<|eot_id|>", true},      {"<|eom_id|>", true},
    {"<|end|>", true},        {"<end_of_turn>", true},   {"<|endoftext|>", true},
    {"<|end_of_text|>", true}, {"</s>", false},
};

static bool read_ids(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err) {
    int64_t eot, eom;
    if (!read_id(tok, gguf, KEY("bos_token_id"), &tok->bos, err) ||
        !read_id(tok, gguf, KEY("eos_token_id"), &tok->eos, err) ||
        !read_id(tok, gguf, KEY("unknown_token_id"), &tok->unknown, err) ||
        !read_id(tok, gguf, KEY("eot_token_id"), &eot, err) ||
        !read_id(tok, gguf, KEY("eom_token_id"), &eom, err)) {
        return false;
    }
    tok->add_bos = tok->is_spm; /* what a file without the key means */
    if (!solo_gguf_get_bool(gguf, KEY("add_bos_token"), false, &tok->add_bos, err)) return false;
    if (tok->bos < 0) tok->add_bos = false;
    tok->is_end = solo_zalloc(tok->n_vocab, sizeof *tok->is_end);
    if (tok->eos >= 0) tok->is_end[tok->eos] = true;
    if (eot >= 0) tok->is_end[eot] = true;
    if (eom >= 0) tok->is_end[eom] = true;
    return true;
}

static void mark_ends(solo_tokenizer *tok) {
    for (uint32_t i = 0; i < SOLO_COUNT(end_names); i++) {
        const char *name = end_names[i].text;
        int64_t id = solo_tokenizer_find(tok, (solo_str){name, strlen(name)});
        if (id < 0) continue;
        if (tok->type[id] == SOLO_TOKEN_CONTROL ||
            (tok->type[id] == SOLO_TOKEN_USER_DEFINED && end_names[i].even_user_defined)) {
            tok->is_end[id] = true;
        }
    }
}

/* What is matched in the raw text. SentencePiece's user-defined tokens are not: they are found in
 * the escaped text (tokenizer_spm.c). */
static void fill_special(solo_tokenizer *tok) {
    uint32_t wanted = 1u << SOLO_TOKEN_CONTROL | 1u << SOLO_TOKEN_UNKNOWN;
    if (!tok->is_spm || tok->spm.by_merges) wanted |= 1u << SOLO_TOKEN_USER_DEFINED;
    uint32_t n = 0;
    for (uint32_t id = 0; id < tok->n_vocab; id++) n += (wanted >> tok->type[id] & 1u);
    tok->special.row = solo_zalloc((size_t)n + 1, sizeof *tok->special.row);
    for (uint32_t id = 0; id < tok->n_vocab; id++) {
        if (!(wanted >> tok->type[id] & 1u) || tok->text[id].n == 0) continue;
        tok->special.row[tok->special.n++] = (solo_matcher_row){tok->text[id], id};
    }
    solo_matcher_sort(&tok->special);
}

/* Bytes of SentencePiece text: visible spaces become spaces. */
static size_t unescape(solo_str text, char *to) {
    size_t n = 0, mark = sizeof SOLO_SPACE_MARK - 1;
    for (size_t i = 0; i < text.n;) {
        if (text.n - i >= mark && memcmp(text.at + i, SOLO_SPACE_MARK, mark) == 0) {
            to[n++] = ' ';
            i += mark;
        } else {
            to[n++] = text.at[i++];
        }
    }
    return n;
}

static void fill_bytes(solo_tokenizer *tok) {
    size_t total = 0;
    for (uint32_t id = 0; id < tok->n_vocab; id++) total += tok->text[id].n;
    tok->bytes_pool = solo_alloc(total + 1); /* no token stands for more bytes than spell it */
    tok->bytes = solo_zalloc(tok->n_vocab, sizeof *tok->bytes);
    char *to = tok->bytes_pool;
    for (uint32_t id = 0; id < tok->n_vocab; id++) {
        solo_str text = tok->text[id];
        solo_token_type type = (solo_token_type)tok->type[id];
        size_t n = text.n;
        uint8_t byte;
        if (type == SOLO_TOKEN_CONTROL || type == SOLO_TOKEN_UNKNOWN) {
            if (n > 0) memcpy(to, text.at, n);
        } else if (tok->is_spm && type == SOLO_TOKEN_BYTE && solo_spm_byte_of(text, &byte)) {
            *to = (char)byte;
            n = 1;
        } else if (tok->is_spm) {
            n = unescape(text, to);
        } else if (type == SOLO_TOKEN_USER_DEFINED || !solo_bpe_unmap(text, to, &n)) {
            n = text.n;
            if (n > 0) memcpy(to, text.at, n);
        }
        tok->bytes[id] = (solo_str){to, n};
        to += n;
    }
}

void solo_tokenizer_finish(solo_tokenizer *tok) {
    mark_ends(tok);
    fill_special(tok);
    fill_bytes(tok);
}

/* Phi-3: every special token but these three. */
static void fill_phi3_strips(solo_tokenizer *tok) {
    tok->strips = solo_zalloc(tok->n_vocab, 1);
    for (uint32_t i = 0; i < tok->special.n; i++) {
        solo_matcher_row row = tok->special.row[i];
        if (!same(row.text, SOLO_STR("<unk>")) && !same(row.text, SOLO_STR("<s>")) &&
            !same(row.text, SOLO_STR("<|endoftext|>"))) {
            tok->strips[row.id] = SOLO_STRIPS_RIGHT;
        }
    }
}

/* Phi-3's tokenizer lets every special token of its own swallow white space to its right. The GGUF
 * has no key for that: its name is all there is to go by, as in llama.cpp. */
static bool read_strips(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err) {
    solo_str name = {"", 0};
    if (!solo_gguf_get_str(gguf, "general.name", false, &name, err)) return false;
    for (size_t i = 0; tok->is_spm && i + 4 <= name.n; i++) {
        const char *s = name.at + i;
        if ((s[0] | 0x20) != 'p' || (s[1] | 0x20) != 'h' || (s[2] | 0x20) != 'i') continue;
        if (s[3] == '3' || (s[3] == '-' && i + 5 <= name.n && s[4] == '3')) {
            fill_phi3_strips(tok);
            break;
        }
    }
    return true;
}

static bool open_tables(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err) {
    solo_str model = {"", 0};
    if (!solo_gguf_get_str(gguf, KEY("model"), true, &model, err)) return false;
    tok->is_spm = same(model, SOLO_STR("llama"));
    if (!tok->is_spm && !same(model, SOLO_STR("gpt2"))) {
        return solo_fail(err, SOLO_UNSUPPORTED,
                         KEY("model") ": wanted \"gpt2\" or \"llama\", found \"%.*s\"",
                         model.n > 100 ? 100 : (int)model.n, model.at);
    }
    if (!read_texts(tok, gguf, err) || !read_types(tok, gguf, err) ||
        !solo_tokenizer_index(tok, KEY("tokens"), err) || !read_ids(tok, gguf, err)) {
        return false;
    }
    solo_tokenizer_finish(tok);
    if (!read_strips(tok, gguf, err)) return false;
    return tok->is_spm ? solo_spm_open(tok, gguf, err) : solo_bpe_open(tok, gguf, err);
}

bool solo_tokenizer_open(solo_tokenizer **out, const solo_gguf *gguf, solo_error *err) {
    solo_tokenizer *tok = solo_zalloc(1, sizeof *tok);
    *out = NULL;
    if (!open_tables(tok, gguf, err)) {
        solo_tokenizer_close(tok);
        return false;
    }
    *out = tok;
    return true;
}

void solo_tokenizer_close(solo_tokenizer *tok) {
    if (!tok) return;
    free(tok->text_pool);
    free(tok->bytes_pool);
    free(tok->text);
    free(tok->bytes);
    free(tok->type);
    free(tok->is_end);
    free(tok->strips);
    free(tok->slot);
    free(tok->special.row);
    solo_pretokenizer_free(&tok->bpe.rule);
    free(tok->bpe.pair);
    free(tok->bpe.merged);
    free(tok->bpe.slot);
    free(tok->spm.score);
    free(tok->spm.user.row);
    free(tok->spm.user_pool);
    free(tok);
}

/* ---- asking ------------------------------------------------------------------------------- */

const char *solo_tokenizer_kind(const solo_tokenizer *tok) { return tok->kind; }
uint32_t solo_tokenizer_n_vocab(const solo_tokenizer *tok) { return tok->n_vocab; }
int64_t solo_tokenizer_bos(const solo_tokenizer *tok) { return tok->bos; }
int64_t solo_tokenizer_eos(const solo_tokenizer *tok) { return tok->eos; }
bool solo_tokenizer_add_bos(const solo_tokenizer *tok) { return tok->add_bos; }

bool solo_tokenizer_is_end(const solo_tokenizer *tok, uint32_t id) {
    return id < tok->n_vocab && tok->is_end[id];
}

/* ---- encoding ----------------------------------------------------------------------------- */

static bool strips(const solo_tokenizer *tok, uint32_t id, uint32_t side) {
    return tok->strips && tok->strips[id] & side;
}

static size_t space_bytes(const char *at, size_t n) {
    size_t end = 0;
    while (end < n) {
        uint32_t code;
        size_t length = solo_utf8_decode(at + end, n - end, &code);
        if (solo_unicode_class_of(code) != SOLO_UNICODE_SPACE) break;
        end += length;
    }
    return end;
}

/* n less the white space that ends the text. */
static size_t without_last_spaces(const char *at, size_t n) {
    while (n > 0) {
        uint32_t code;
        size_t length = solo_utf8_last(at, n);
        solo_utf8_decode(at + n - length, length, &code);
        if (!solo_unicode_is_space(code)) break;
        n -= length;
    }
    return n;
}

static void encode_plain(solo_merger *merger, const char *text, size_t n, bool with_prefix,
                         solo_ids *out) {
    if (n == 0) return;
    if (merger->tok->is_spm) solo_spm_encode(merger, text, n, with_prefix, out);
    else solo_bpe_encode(merger, text, n, out);
}

bool solo_tokenizer_encode(const solo_tokenizer *tok, const char *text, size_t n_text, bool add_bos,
                           bool parse_special, uint32_t **ids, uint32_t *n_ids, solo_error *err) {
    *ids = NULL;
    *n_ids = 0;
    if (n_text > 1u << 28) { /* so that offsets of escaped text fit in 32 bits */
        return solo_fail(err, SOLO_ARGUMENT,
                         "text to tokenize: wanted at most 2^28 bytes, found %zu",
                         n_text);
    }
    uint32_t type_mask = 1u << SOLO_TOKEN_USER_DEFINED;
    if (parse_special) type_mask |= 1u << SOLO_TOKEN_CONTROL | 1u << SOLO_TOKEN_UNKNOWN;
    solo_ids out = {0};
    solo_merger merger = {.tok = tok};
    size_t from = 0, at = 0;
    bool with_prefix = true; /* at the start of the text or after a special token */
    while (at < n_text) {
        const solo_matcher_row *row =
            solo_matcher_find(&tok->special, tok->type, type_mask, text + at, n_text - at);
        if (!row) {
            at++;
            continue;
        }
        size_t n_plain = at - from;
        if (strips(tok, row->id, SOLO_STRIPS_LEFT)) n_plain = without_last_spaces(text + from, n_plain);
        encode_plain(&merger, text + from, n_plain, with_prefix, &out);
        solo_ids_add(&out, row->id);
        at += row->text.n;
        if (strips(tok, row->id, SOLO_STRIPS_RIGHT)) at += space_bytes(text + at, n_text - at);
        from = at;
        with_prefix = !tok->spm.prefix_first;
    }
    encode_plain(&merger, text + from, n_text - from, with_prefix, &out);
    solo_merger_free(&merger);
    bool has_bos = out.n > 0 && out.at[0] == tok->bos; /* the text itself began with it */
    if (add_bos && tok->add_bos && !has_bos) {
        solo_ids_add(&out, 0);
        memmove(out.at + 1, out.at, (size_t)(out.n - 1) * sizeof *out.at);
        out.at[0] = (uint32_t)tok->bos;
    }
    if (!out.at) out.at = solo_alloc(sizeof *out.at); /* none: still something to free */
    *ids = out.at;
    *n_ids = out.n;
    return true;
}

/* ---- decoding ----------------------------------------------------------------------------- */

const char *solo_tokenizer_bytes(const solo_tokenizer *tok, uint32_t id, bool show_special,
                                 size_t *n) {
    *n = 0;
    if (id >= tok->n_vocab) return "";
    bool special = tok->type[id] == SOLO_TOKEN_CONTROL || tok->type[id] == SOLO_TOKEN_UNKNOWN;
    if (special && !show_special) return "";
    *n = tok->bytes[id].n;
    return tok->bytes[id].at;
}

bool solo_tokenizer_decode(const solo_tokenizer *tok, const uint32_t *ids, uint32_t n_ids,
                           bool show_special, char **text, size_t *n_text, solo_error *err) {
    solo_text out = {0};
    bool drop_space = tok->is_spm && tok->spm.add_space_prefix; /* the one that encoding added */
    *text = NULL;
    *n_text = 0;
    for (uint32_t i = 0; i < n_ids; i++) {
        if (ids[i] >= tok->n_vocab) {
            free(out.at);
            return solo_fail(err, SOLO_ARGUMENT, "ids[%u]: wanted an id below %u, found %u", i,
                             tok->n_vocab, ids[i]);
        }
        size_t n;
        const char *at = solo_tokenizer_bytes(tok, ids[i], show_special, &n);
        if (n == 0) continue;
        if (drop_space && at[0] == ' ' && tok->type[ids[i]] != SOLO_TOKEN_BYTE) {
            at++;
            n--;
        }
        drop_space = false;
        if (n > 0) solo_text_add_n(&out, at, n);
    }
    *n_text = out.n;
    *text = out.at ? out.at : solo_strndup("", 0);
    return true;
}
