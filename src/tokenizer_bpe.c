/* tokenizer_bpe.c: the engine that merges neighbours, best pair first, and byte-level BPE on it:
 * the alphabet that spells bytes as characters, the merges of a GGUF, words to ids. Cutting text
 * into words is pretokenize.c's. */
#include "tokenizer_internal.h"

#define KEY(name) "tokenizer.ggml." name

/* ---- merging ------------------------------------------------------------------------------ */

/* Symbols are a linked list in an array; candidates wait in a binary heap. A candidate whose
 * symbols have changed since is recognised by its length and dropped when it comes up, so n symbols
 * cost O(n log n). */

void solo_merger_add(solo_merger *merger, uint32_t at, uint32_t n, int64_t id, bool frozen) {
    if (merger->n_symbol == merger->cap_symbol) {
        merger->cap_symbol = merger->cap_symbol ? merger->cap_symbol * 2 : 64;
        merger->symbol =
            solo_realloc(merger->symbol, (size_t)merger->cap_symbol * sizeof *merger->symbol);
    }
    uint32_t i = merger->n_symbol++;
    merger->symbol[i] = (solo_symbol){
        .at = at, .n = n, .id = id, .frozen = frozen,
        .prev = i == 0 ? SOLO_SYMBOL_NONE : i - 1,
        .next = SOLO_SYMBOL_NONE,
    };
    if (i > 0) merger->symbol[i - 1].next = i;
}

static bool goes_before(const solo_merge *a, const solo_merge *b) {
    return a->key > b->key || (!(a->key < b->key) && a->left < b->left);
}

static void heap_push(solo_merger *merger, solo_merge merge) {
    if (merger->n_heap == merger->cap_heap) {
        merger->cap_heap = merger->cap_heap ? merger->cap_heap * 2 : 64;
        merger->heap = solo_realloc(merger->heap, (size_t)merger->cap_heap * sizeof *merger->heap);
    }
    uint32_t i = merger->n_heap++;
    while (i > 0 && goes_before(&merge, &merger->heap[(i - 1) / 2])) {
        merger->heap[i] = merger->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    merger->heap[i] = merge;
}

static solo_merge heap_pop(solo_merger *merger) {
    solo_merge top = merger->heap[0], moved = merger->heap[--merger->n_heap];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= merger->n_heap) break;
        if (child + 1 < merger->n_heap &&
            goes_before(&merger->heap[child + 1], &merger->heap[child])) {
            child++;
        }
        if (!goes_before(&merger->heap[child], &moved)) break;
        merger->heap[i] = merger->heap[child];
        i = child;
    }
    merger->heap[i] = moved;
    return top;
}

static void consider(solo_merger *merger, solo_merge_rule *rule, uint32_t left, uint32_t right) {
    if (left == SOLO_SYMBOL_NONE || right == SOLO_SYMBOL_NONE) return;
    const solo_symbol *a = &merger->symbol[left], *b = &merger->symbol[right];
    if (a->frozen || b->frozen) return;
    solo_merge merge = {.left = left, .right = right, .n = a->n + b->n};
    if (rule(merger, a, b, &merge.key, &merge.id)) heap_push(merger, merge);
}

void solo_merger_run(solo_merger *merger, solo_merge_rule *rule) {
    merger->n_heap = 0;
    for (uint32_t i = 1; i < merger->n_symbol; i++) consider(merger, rule, i - 1, i);
    while (merger->n_heap > 0) {
        solo_merge merge = heap_pop(merger);
        solo_symbol *left = &merger->symbol[merge.left], *right = &merger->symbol[merge.right];
        if (left->n == 0 || right->n == 0 || left->n + right->n != merge.n) continue;
        left->n = merge.n;
        left->id = merge.id;
        left->next = right->next;
        if (right->next != SOLO_SYMBOL_NONE) merger->symbol[right->next].prev = merge.left;
        right->n = 0;
        consider(merger, rule, left->prev, merge.left);
        consider(merger, rule, merge.left, left->next);
    }
}

void solo_merger_free(solo_merger *merger) {
    free(merger->symbol);
    free(merger->heap);
    free(merger->split);
    *merger = (solo_merger){0};
}

/* ---- the alphabet ------------------------------------------------------------------------- */

/* GPT-2 spells each byte as one printable character: 33-126, 161-172 and 174-255 as themselves, the
 * other 68 in order as U+0100 and up. */
static bool spells_itself(uint32_t byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

static void fill_alphabet(uint32_t code_of[256]) {
    uint32_t other = 0x100;
    for (uint32_t byte = 0; byte < 256; byte++) {
        code_of[byte] = spells_itself(byte) ? byte : other++;
    }
}

bool solo_bpe_unmap(solo_str text, char *out, size_t *n_out) {
    uint32_t code_of[256];
    uint8_t byte_of[0x100 + 68];
    bool known[0x100 + 68] = {false};
    fill_alphabet(code_of);
    for (uint32_t byte = 0; byte < 256; byte++) {
        byte_of[code_of[byte]] = (uint8_t)byte;
        known[code_of[byte]] = true;
    }
    size_t n = 0;
    for (size_t i = 0; i < text.n;) {
        uint32_t code;
        i += solo_utf8_decode(text.at + i, text.n - i, &code);
        if (code >= SOLO_COUNT(known) || !known[code]) return false;
        out[n++] = (char)byte_of[code];
    }
    *n_out = n;
    return true;
}

/* ---- opening ------------------------------------------------------------------------------ */

static bool read_pretokenizer(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err) {
    solo_str pre = SOLO_STR("default");
    if (!solo_gguf_get_str(gguf, KEY("pre"), false, &pre, err)) return false;
    const solo_pretokenizer_row *row = solo_pretokenizer_find(pre);
    if (!row) {
        solo_text names = {0};
        solo_pretokenizer_names(&names);
        solo_fail(err, SOLO_UNSUPPORTED, KEY("pre") ": wanted one of %s; found \"%.*s\"", names.at,
                  pre.n > 100 ? 100 : (int)pre.n, pre.at);
        free(names.at);
        return false;
    }
    tok->kind = row->kind;
    tok->bpe.takes_whole_words = row->takes_whole_words;
    tok->bpe.normalizes = row->normalizes;
    if (row->adds_bos && !solo_gguf_find(gguf, KEY("add_bos_token"))) tok->add_bos = tok->bos >= 0;
    for (uint32_t i = 0; i < SOLO_MAX_CUT && row->text[i]; i++) {
        solo_str text = {row->text[i], strlen(row->text[i])};
        if (!solo_pretokenizer_add(&tok->bpe.rule, text, KEY("pre"), err)) return false;
    }
    return true;
}

/* A byte as the alphabet spells it; returns the length. */
static size_t spell(const uint32_t code_of[256], uint8_t byte, char out[4]) {
    return solo_utf8_encode(code_of[byte], out);
}

void solo_bpe_fill_byte_ids(solo_tokenizer *tok) {
    uint32_t code_of[256];
    fill_alphabet(code_of);
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[4];
        size_t n = spell(code_of, (uint8_t)byte, text);
        tok->bpe.byte_id[byte] = solo_tokenizer_find(tok, (solo_str){text, n});
    }
}

static uint32_t hash_pair(uint64_t pair) { /* the finaliser of splitmix64 */
    pair = (pair ^ pair >> 30) * 0xBF58476D1CE4E5B9u;
    pair = (pair ^ pair >> 27) * 0x94D049BB133111EBu;
    return (uint32_t)(pair ^ pair >> 31);
}

static uint32_t *slot_of(const solo_bpe *bpe, uint64_t pair) {
    uint32_t i = hash_pair(pair) & bpe->mask;
    while (bpe->slot[i] != 0 && bpe->pair[bpe->slot[i] - 1] != pair) i = (i + 1) & bpe->mask;
    return &bpe->slot[i];
}

bool solo_bpe_split_merge(solo_str line, solo_str *left, solo_str *right) {
    const char *space = line.n < 3 ? NULL : memchr(line.at + 1, ' ', line.n - 2);
    if (!space) return false;
    *left = (solo_str){line.at, (size_t)(space - line.at)};
    *right = (solo_str){space + 1, line.n - left->n - 1};
    return true;
}

void solo_bpe_start_merges(solo_tokenizer *tok, uint32_t n) {
    tok->bpe.mask = solo_hash_mask(n);
    tok->bpe.slot = solo_zalloc((size_t)tok->bpe.mask + 1, sizeof *tok->bpe.slot);
    tok->bpe.pair = solo_zalloc((size_t)n + 1, sizeof *tok->bpe.pair);
    tok->bpe.merged = solo_zalloc((size_t)n + 1, sizeof *tok->bpe.merged);
}

void solo_bpe_add_merge(solo_tokenizer *tok, solo_str left, solo_str right) {
    solo_bpe *bpe = &tok->bpe;
    char *both = solo_alloc(left.n + right.n + 1);
    memcpy(both, left.at, left.n);
    memcpy(both + left.n, right.at, right.n);
    int64_t left_id = solo_tokenizer_find(tok, left), right_id = solo_tokenizer_find(tok, right);
    int64_t id = solo_tokenizer_find(tok, (solo_str){both, left.n + right.n});
    free(both);
    if (left_id < 0 || right_id < 0 || id < 0) return;
    uint64_t pair = (uint64_t)left_id << 32 | (uint64_t)right_id;
    uint32_t *slot = slot_of(bpe, pair);
    if (*slot != 0) return;
    bpe->pair[bpe->n_merge] = pair;
    bpe->merged[bpe->n_merge] = (uint32_t)id;
    *slot = ++bpe->n_merge;
}

static bool read_merges(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err) {
    solo_str *line = NULL, left, right;
    uint64_t n = 0;
    if (!solo_gguf_get_strs(gguf, KEY("merges"), true, &line, &n, err)) return false;
    bool ok = n <= 1u << 28;
    if (!ok) {
        solo_fail(err, SOLO_FILE_FORMAT, KEY("merges") ": wanted at most 2^28, found %llu",
                  (unsigned long long)n);
    } else {
        solo_bpe_start_merges(tok, (uint32_t)n);
    }
    for (uint64_t i = 0; ok && i < n; i++) {
        ok = solo_bpe_split_merge(line[i], &left, &right);
        if (ok) solo_bpe_add_merge(tok, left, right);
        else solo_fail(err, SOLO_FILE_FORMAT, KEY("merges") "[%llu]: wanted two parts with a space between, found "
                       "\"%.*s\"", (unsigned long long)i, line[i].n > 100 ? 100 : (int)line[i].n, line[i].at);
    }
    free(line);
    return ok;
}

bool solo_bpe_open(solo_tokenizer *tok, const solo_gguf *gguf, solo_error *err) {
    bool add_space_prefix = false;
    if (!solo_gguf_get_bool(gguf, KEY("add_space_prefix"), false, &add_space_prefix,
                            err)) return false;
    if (add_space_prefix) {
        return solo_fail(err, SOLO_UNSUPPORTED, KEY("add_space_prefix") ": wanted false with "
                         KEY("model") " \"gpt2\", found true");
    }
    if (!read_pretokenizer(tok, gguf, err)) return false;
    solo_bpe_fill_byte_ids(tok);
    return read_merges(tok, gguf, err);
}

/* ---- encoding ----------------------------------------------------------------------------- */

bool solo_bpe_merged(const solo_tokenizer *tok, const solo_symbol *left, const solo_symbol *right, double *key,
                     uint32_t *id) {
    const solo_bpe *bpe = &tok->bpe;
    uint32_t row = *slot_of(bpe, (uint64_t)left->id << 32 | (uint64_t)right->id);
    if (row == 0) return false;
    *key = -(double)row;
    *id = bpe->merged[row - 1];
    return true;
}

static bool by_rank(solo_merger *merger, const solo_symbol *left, const solo_symbol *right,
                    double *key, uint32_t *id) {
    return solo_bpe_merged(merger->tok, left, right, key, id);
}

/* The token that a whole word is, or -1. spelt has room for twice the word's bytes. */
static int64_t find_word(const solo_tokenizer *tok, const char *word, size_t n, const uint32_t code_of[256],
                         char *spelt) {
    size_t n_spelt = 0;
    for (size_t i = 0; i < n; i++) {
        char one[4];
        size_t n_one = spell(code_of, (uint8_t)word[i], one);
        memcpy(spelt + n_spelt, one, n_one);
        n_spelt += n_one;
    }
    int64_t id = solo_tokenizer_find(tok, (solo_str){spelt, n_spelt});
    return id >= 0 && tok->type[id] == SOLO_TOKEN_NORMAL ? id : -1;
}

static void encode_word(solo_merger *merger, const char *word, size_t n, solo_ids *out) {
    const solo_bpe *bpe = &merger->tok->bpe;
    merger->n_symbol = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t id = bpe->byte_id[(uint8_t)word[i]];
        /* A byte without a token vanishes before anything merges, as in Hugging Face's. */
        if (id >= 0) solo_merger_add(merger, (uint32_t)i, 1, id, false);
    }
    solo_merger_run(merger, by_rank);
    for (uint32_t i = 0; i < merger->n_symbol; i++) {
        if (merger->symbol[i].n > 0) solo_ids_add(out, (uint32_t)merger->symbol[i].id);
    }
}

void solo_bpe_encode(solo_merger *merger, const char *text, size_t n, solo_ids *out) {
    const solo_bpe *bpe = &merger->tok->bpe;
    uint32_t code_of[256];
    solo_text normal = {0};
    solo_cut cut = {0};
    if (bpe->normalizes) {
        solo_unicode_add_nfc(&normal, text, n);
        text = normal.at;
        n = normal.n;
    }
    fill_alphabet(code_of);
    char *spelt = bpe->takes_whole_words ? solo_alloc(2 * n + 1) : NULL;
    for (size_t n_word; (n_word = solo_pretokenize(&bpe->rule, text, n, &cut)) > 0;) {
        const char *word = text + cut.at - n_word;
        int64_t id = spelt ? find_word(merger->tok, word, n_word, code_of, spelt) : -1;
        if (id >= 0) solo_ids_add(out, (uint32_t)id);
        else encode_word(merger, word, n_word, out);
    }
    free(spelt);
    free(normal.at);
}
