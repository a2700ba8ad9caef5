/* test_tokenizer.c: ids against the vectors that reference implementations gave (see
 * tools/tokenizer_vectors.py), bytes that are no text, hostile tables, streams of UTF-8. */
#include "model.h"
#include "unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- files -------------------------------------------------------------------------------- */

/* The folder that holds tests/: run from the root or by ctest, which sets SOLO_SOURCE. */
static const char *source_path(const char *rest, char out[600]) {
    const char *root = getenv("SOLO_SOURCE");
    snprintf(out, 600, "%s/%s", root ? root : ".", rest);
    return out;
}

static char *read_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    size_t cap = 1 << 20;
    char *at = solo_alloc(cap);
    *n = 0;
    for (size_t got; (got = fread(at + *n, 1, cap - *n - 1, f)) > 0;) {
        *n += got;
        if (cap - *n < 2) at = solo_realloc(at, cap *= 2);
    }
    fclose(f);
    at[*n] = 0;
    return at;
}

static solo_tokenizer *open_tokenizer(const char *path) {
    solo_error err = {0};
    solo_gguf *gguf = NULL;
    solo_tokenizer *tok = NULL;
    if (!solo_gguf_open(&gguf, path, &err)) fail_msg("%s", err.text);
    if (!solo_tokenizer_open(&tok, gguf, &err)) fail_msg("%s: %s", path, err.text);
    solo_gguf_close(gguf); /* the tokenizer keeps copies */
    return tok;
}

static solo_tokenizer *open_fixture(const char *name) {
    char rest[300], path[600];
    snprintf(rest, sizeof rest, "tests/data/tokenizer_%s.gguf", name);
    return open_tokenizer(source_path(rest, path));
}

/* NULL where the real model is not there: the test then skips. */
static solo_tokenizer *open_smollm2(void) {
    char path[600];
    const char *folder = getenv("SOLO_MODELS");
    const char *file = "SmolLM2-135M-Instruct.Q4_1.gguf";
    if (folder) snprintf(path, sizeof path, "%s/%s", folder, file);
    else source_path("models/SmolLM2-135M-Instruct.Q4_1.gguf", path);
    FILE *f = fopen(path, "rb");
    if (!f) {
        printf("UNRUN: %s is missing (tools/setup.sh test fetches it)\n", path);
        return NULL;
    }
    fclose(f);
    return open_tokenizer(path);
}

/* ---- vectors ------------------------------------------------------------------------------ */

static size_t unescape(char *text) {
    if (strcmp(text, "-") == 0) return 0;
    size_t n = 0;
    for (size_t i = 0; text[i];) {
        if (text[i] == '\\') {
            char hex[3] = {text[i + 2], text[i + 3], 0};
            text[n++] = (char)strtoul(hex, NULL, 16);
            i += 4;
        } else {
            text[n++] = text[i++];
        }
    }
    return n;
}

static uint32_t parse_ids(const char *text, uint32_t *ids, uint32_t max) {
    uint32_t n = 0;
    if (strcmp(text, "-") == 0) return 0;
    for (char *end; *text; text = *end ? end + 1 : end) {
        assert_true(n < max);
        ids[n++] = (uint32_t)strtoul(text, &end, 10);
    }
    return n;
}

static uint32_t hash_ids(const uint32_t *ids, uint32_t n) {
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < 4 * n; i++) h = (h ^ (ids[i / 4] >> 8 * (i % 4) & 0xFF)) * 16777619u;
    return h;
}

static void expect_ids(const solo_tokenizer *tok, const char *text, size_t n, bool special,
                       const uint32_t *want, uint32_t n_want, int line) {
    solo_error err = {0};
    uint32_t *ids, n_ids;
    assert_true(solo_tokenizer_encode(tok, text, n, false, special, &ids, &n_ids, &err));
    for (uint32_t i = 0; i < n_ids || i < n_want; i++) {
        if (i < n_ids && i < n_want && ids[i] == want[i]) continue;
        fail_msg("line %d, \"%.*s\": id %u of %u: wanted %lld of %u ids, found %lld", line, (int)n,
                 text, i, n_ids, i < n_want ? (long long)want[i] : -1, n_want,
                 i < n_ids ? (long long)ids[i] : -1);
    }
    free(ids);
}

static void expect_repeat(const solo_tokenizer *tok, const char *unit, size_t n_unit, char *rest,
                          int line) {
    unsigned times, count, hash;
    assert_int_equal(sscanf(rest, "%u %u %x", &times, &count, &hash), 3);
    char *text = solo_alloc(n_unit * times);
    for (unsigned i = 0; i < times; i++) memcpy(text + i * n_unit, unit, n_unit);
    solo_error err = {0};
    uint32_t *ids, n_ids;
    double start = solo_seconds();
    assert_true(solo_tokenizer_encode(tok, text, n_unit * times, false, false, &ids, &n_ids, &err));
    if (n_ids != count || hash_ids(ids, n_ids) != hash) fail_msg("line %d: other ids", line);
    assert_true(solo_seconds() - start < 5); /* sanitizers, a busy machine; quadratic: minutes */
    free(ids);
    free(text);
}

/* Our bytes through a stream are what the reference shows as text. */
static void expect_text(const solo_tokenizer *tok, const uint32_t *ids, uint32_t n_ids,
                        const char *want, size_t n_want, int line) {
    solo_error err = {0};
    char *text;
    size_t n;
    assert_true(solo_tokenizer_decode(tok, ids, n_ids, false, &text, &n, &err));
    char *shown = solo_alloc(3 * (n + 4) + 3);
    solo_utf8_stream stream = {0};
    size_t n_shown = solo_utf8_push(&stream, text, n, shown);
    n_shown += solo_utf8_push(&stream, NULL, 0, shown + n_shown);
    if (n_shown != n_want || memcmp(shown, want, n_want) != 0) {
        fail_msg("line %d: wanted \"%.*s\", found \"%.*s\"", line, (int)n_want, want, (int)n_shown,
                 shown);
    }
    free(shown);
    free(text);
}

static void run_vectors(const solo_tokenizer *tok, const char *name) {
    char rest[300], path[600];
    snprintf(rest, sizeof rest, "tests/vectors/tokenizer_%s.txt", name);
    size_t n_file;
    char *file = read_file(source_path(rest, path), &n_file);
    if (!file) fail_msg("%s is missing", path);
    int line = 0, n_case = 0;
    for (char *at = file, *next; *at; at = next) {
        next = strchr(at, '\n');
        *next++ = 0;
        line++;
        if (*at == '#') continue;
        char *first = strchr(at, ' ');
        *first++ = 0;
        char *second = strchr(first, ' ');
        *second++ = 0;
        uint32_t ids[2000];
        if (strcmp(at, "decode") == 0) {
            uint32_t n = parse_ids(first, ids, 2000);
            size_t n_text = unescape(second);
            expect_text(tok, ids, n, second, n_text, line);
        } else if (strcmp(at, "repeat") == 0) {
            expect_repeat(tok, first, unescape(first), second, line);
        } else {
            size_t n_text = unescape(first);
            expect_ids(tok, first, n_text, strcmp(at, "special") == 0, ids,
                       parse_ids(second, ids, 2000), line);
        }
        n_case++;
    }
    assert_true(n_case > 300); /* else the file was cut */
    free(file);
}

static void vectors_smollm2(void **state) {
    (void)state;
    solo_tokenizer *tok = open_smollm2();
    if (!tok) skip();
    assert_string_equal(solo_tokenizer_kind(tok), "gpt2/smollm");
    assert_int_equal(solo_tokenizer_n_vocab(tok), 49152);
    assert_int_equal(solo_tokenizer_bos(tok), 1);
    assert_int_equal(solo_tokenizer_eos(tok), 2);
    assert_false(solo_tokenizer_add_bos(tok));
    assert_true(solo_tokenizer_is_end(tok, 0)); /* <|endoftext|> */
    assert_false(solo_tokenizer_is_end(tok, 1));
    assert_true(solo_tokenizer_is_end(tok, 2)); /* <|im_end|> */
    assert_false(solo_tokenizer_is_end(tok, 49152));
    run_vectors(tok, "smollm2");
    solo_tokenizer_close(tok);
}

static void vectors_fixtures(void **state) {
    (void)state;
    static const char *const names[] = {"gpt2", "spm", "spm_unused", "spm_unknown"};
    for (uint32_t i = 0; i < SOLO_COUNT(names); i++) {
        solo_tokenizer *tok = open_fixture(names[i]);
        run_vectors(tok, names[i]);
        solo_tokenizer_close(tok);
    }
}

/* ---- bytes that are no text --------------------------------------------------------------- */

static uint32_t next_random(uint32_t *seed) { return *seed = *seed * 1664525u + 1013904223u; }

static void expect_round_trip(const solo_tokenizer *tok, const char *bytes, size_t n) {
    solo_error err = {0};
    uint32_t *ids, n_ids;
    char *text;
    size_t n_text;
    assert_true(solo_tokenizer_encode(tok, bytes, n, false, false, &ids, &n_ids, &err));
    assert_true(solo_tokenizer_decode(tok, ids, n_ids, true, &text, &n_text, &err));
    assert_int_equal(n_text, n);
    assert_memory_equal(text, bytes, n);
    free(ids);
    free(text);
}

static void random_bytes_round_trip(void **state) {
    (void)state;
    static const char *const names[] = {"gpt2", "spm"};
    static const char *const odd[] = {
        "\xED\xA0\x80", "a\xED\xB0\x80z", "\xC0\x80", "\xF5\x80\x80\x80", "\xF4\x90\x80\x80",
        "\xE2\x82", "\xF0\x9F\x98", "\xFF\xFE", "\x80", " \xE2", "\xE0\x80\xAF",
    };
    for (uint32_t k = 0; k < SOLO_COUNT(names); k++) {
        solo_tokenizer *tok = open_fixture(names[k]);
        for (uint32_t i = 0; i < SOLO_COUNT(odd); i++) {
            expect_round_trip(tok, odd[i], strlen(odd[i]));
        }
        uint32_t seed = 7;
        for (uint32_t i = 0; i < 300; i++) {
            char bytes[64];
            size_t n = next_random(&seed) >> 26;
            for (size_t j = 0; j < n; j++) bytes[j] = (char)(next_random(&seed) >> 24);
            /* U+2581 itself cannot be told from a space: SentencePiece's own limit. */
            expect_round_trip(tok, bytes, n);
        }
        solo_tokenizer_close(tok);
    }
}

/* SmolLM2's vocabulary lacks 21 bytes: those vanish, as in the references; all else survives. */
static void missing_bytes_vanish(void **state) {
    (void)state;
    solo_tokenizer *tok = open_smollm2();
    if (!tok) skip();
    static const uint8_t missing[] = {0x04, 0x06, 0x13, 0x14, 0x16, 0x1D, 0xC0,
                                      0xC1, 0xF1, 0xF2, 0xF5, 0xF6, 0xF7, 0xF8,
                                      0xF9, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF};
    for (uint32_t byte = 0; byte < 256; byte++) {
        char text[3] = {'a', (char)byte, 'b'};
        solo_error err = {0};
        uint32_t *ids, n_ids;
        char *back;
        size_t n;
        assert_true(solo_tokenizer_encode(tok, text, 3, false, false, &ids, &n_ids, &err));
        assert_true(solo_tokenizer_decode(tok, ids, n_ids, false, &back, &n, &err));
        if (memchr(missing, (int)byte, sizeof missing)) assert_string_equal(back, "ab");
        else assert_memory_equal(back, text, 3);
        free(ids);
        free(back);
    }
    solo_tokenizer_close(tok);
}

/* ---- special tokens ----------------------------------------------------------------------- */

static void bos_by_the_files_rule(void **state) {
    (void)state;
    solo_tokenizer *tok = open_fixture("spm");
    solo_error err = {0};
    uint32_t *ids, n;
    assert_true(solo_tokenizer_add_bos(tok));
    assert_true(solo_tokenizer_encode(tok, "", 0, true, false, &ids, &n, &err));
    assert_int_equal(n, 1);
    assert_int_equal(ids[0], 1);
    free(ids);
    assert_true(solo_tokenizer_encode(tok, "", 0, false, true, &ids, &n, &err));
    assert_int_equal(n, 0);
    free(ids);
    assert_true(solo_tokenizer_encode(tok, "<s>a", 4, true, true, &ids, &n, &err));
    assert_int_equal(ids[0], 1);
    assert_int_not_equal(ids[1], 1); /* not twice */
    free(ids);
    assert_true(solo_tokenizer_encode(tok, "<s>a", 4, true, false, &ids, &n, &err));
    assert_int_equal(ids[0], 1);
    assert_int_not_equal(ids[1], 1);
    assert_true(n > 3); /* spelt out */
    free(ids);
    /* Decoding drops the space that the prefix made, never one that a byte token stands for. */
    uint32_t space = (uint32_t)solo_tokenizer_find(tok, SOLO_STR("<0x20>"));
    char *text;
    size_t n_text;
    assert_true(solo_tokenizer_decode(tok, &space, 1, false, &text, &n_text, &err));
    assert_string_equal(text, " ");
    free(text);
    solo_tokenizer_close(tok);
}

static void special_tokens_shown_or_not(void **state) {
    (void)state;
    solo_tokenizer *tok = open_fixture("gpt2");
    solo_error err = {0};
    size_t n;
    int64_t control = solo_tokenizer_find(tok, SOLO_STR("<|im_end|>"));
    int64_t user = solo_tokenizer_find(tok, SOLO_STR("<tool>"));
    assert_true(control >= 0 && user >= 0);
    assert_int_equal(solo_tokenizer_find(tok, SOLO_STR("no such token")), -1);
    assert_int_equal(solo_tokenizer_find(tok, SOLO_STR("")), -1);
    solo_tokenizer_bytes(tok, (uint32_t)control, false, &n);
    assert_int_equal(n, 0);
    assert_memory_equal(solo_tokenizer_bytes(tok, (uint32_t)control, true, &n), "<|im_end|>", 10);
    assert_int_equal(n, 10);
    assert_memory_equal(solo_tokenizer_bytes(tok, (uint32_t)user, false, &n), "<tool>", 6);
    assert_true(solo_tokenizer_is_end(tok, (uint32_t)control));
    assert_false(solo_tokenizer_is_end(tok, (uint32_t)user));
    uint32_t bad = solo_tokenizer_n_vocab(tok);
    char *text;
    assert_false(solo_tokenizer_decode(tok, &bad, 1, true, &text, &n, &err));
    assert_int_equal(err.status, SOLO_ARGUMENT);
    solo_tokenizer_bytes(tok, bad, true, &n);
    assert_int_equal(n, 0);
    solo_tokenizer_close(tok);
}

/* ---- hostile tables ----------------------------------------------------------------------- */

typedef struct made_file { /* a GGUF of key-values only */
    solo_text bytes;
    uint32_t  n_key;
} made_file;

static void put(made_file *f, uint64_t value, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char byte = (char)(value >> 8 * i & 0xFF);
        solo_text_add_n(&f->bytes, &byte, 1);
    }
}

static void put_str(made_file *f, const char *text) {
    put(f, strlen(text), 8);
    solo_text_add_n(&f->bytes, text, strlen(text));
}

static void put_key(made_file *f, const char *name, solo_gguf_kind kind) {
    char key[100];
    snprintf(key, sizeof key, "tokenizer.ggml.%s", name);
    put_str(f, key);
    put(f, (uint64_t)kind, 4);
    f->n_key++;
}

static void put_text(made_file *f, const char *name, const char *text) {
    put_key(f, name, SOLO_GGUF_STRING);
    put_str(f, text);
}

static void put_u32(made_file *f, const char *name, uint32_t value) {
    put_key(f, name, SOLO_GGUF_U32);
    put(f, value, 4);
}

static void put_texts(made_file *f, const char *name, const char *const *texts, uint32_t n) {
    put_key(f, name, SOLO_GGUF_ARRAY);
    put(f, SOLO_GGUF_STRING, 4);
    put(f, n, 8);
    for (uint32_t i = 0; i < n; i++) put_str(f, texts[i]);
}

static void put_words(made_file *f, const char *name, solo_gguf_kind kind, const uint32_t *words,
                      uint32_t n) {
    put_key(f, name, SOLO_GGUF_ARRAY);
    put(f, (uint64_t)kind, 4);
    put(f, n, 8);
    for (uint32_t i = 0; i < n; i++) put(f, words[i], 4);
}

/* Opens the file's tokenizer; wanted: a part of the message, or NULL for success. Ends the file. */
static solo_tokenizer *try_open(made_file *f, solo_status status, const char *wanted) {
    made_file head = {0};
    solo_error err = {0};
    solo_gguf *gguf = NULL;
    solo_tokenizer *tok = NULL;
    solo_text_add_n(&head.bytes, "GGUF", 4);
    put(&head, 3, 4);
    put(&head, 0, 8);
    put(&head, f->n_key, 8);
    solo_text_add_n(&head.bytes, f->bytes.at, f->bytes.n);
    while (head.bytes.n % 32) put(&head, 0, 1);
    free(f->bytes.at);
    if (!solo_gguf_open_memory(&gguf, (const uint8_t *)head.bytes.at, head.bytes.n, "made", &err)) {
        fail_msg("%s", err.text);
    }
    bool ok = solo_tokenizer_open(&tok, gguf, &err);
    solo_gguf_close(gguf);
    free(head.bytes.at);
    if (wanted && ok) fail_msg("wanted a refusal with \"%s\"", wanted);
    if (!wanted && !ok) fail_msg("%s", err.text);
    if (wanted) {
        if (!strstr(err.text, wanted)) fail_msg("wanted \"%s\", found \"%s\"", wanted, err.text);
        assert_int_equal(err.status, status);
        assert_null(tok);
    }
    return tok;
}

static const char *const abc[] = {"a", "b", "ab", "<s>"};
static const uint32_t abc_types[] = {1, 1, 1, 3};

static made_file bpe_file(void) {
    static const char *const merges[] = {"a b"};
    made_file f = {0};
    put_text(&f, "model", "gpt2");
    put_texts(&f, "tokens", abc, 4);
    put_texts(&f, "merges", merges, 1);
    return f;
}

static made_file spm_file(const uint32_t *types) {
    static const uint32_t scores[] = {0, 0, 0, 0};
    made_file f = {0};
    put_text(&f, "model", "llama");
    put_texts(&f, "tokens", abc, 4);
    put_words(&f, "scores", SOLO_GGUF_F32, scores, 4);
    put_words(&f, "token_type", SOLO_GGUF_I32, types, 4);
    return f;
}

static void hostile_bpe_tables(void **state) {
    (void)state;
    made_file f = bpe_file();
    solo_tokenizer *tok = try_open(&f, SOLO_OK, NULL);
    expect_ids(tok, "abz", 3, false, (const uint32_t[]){2}, 1, 0); /* no token for z */
    solo_tokenizer_close(tok);
    f = bpe_file();
    put_text(&f, "pre", "no-such");
    try_open(&f, SOLO_UNSUPPORTED, "found \"no-such\"");
    f = bpe_file();
    put_u32(&f, "bos_token_id", 4);
    try_open(&f, SOLO_FILE_FORMAT, "bos_token_id: wanted an id below 4");
    f = bpe_file();
    put_u32(&f, "eot_token_id", UINT32_MAX);
    try_open(&f, SOLO_FILE_FORMAT, "eot_token_id");
    f = bpe_file();
    put_words(&f, "token_type", SOLO_GGUF_I32, abc_types, 3);
    try_open(&f, SOLO_FILE_FORMAT, "token_type: wanted 4 items");
    f = bpe_file();
    put_words(&f, "token_type", SOLO_GGUF_I32, (const uint32_t[]){1, 1, 7, 1}, 4);
    try_open(&f, SOLO_FILE_FORMAT, "token_type[2]: wanted 0 to 6, found 7");
    f = bpe_file();
    put_words(&f, "token_type", SOLO_GGUF_I32, (const uint32_t[]){1, UINT32_MAX, 1, 1}, 4);
    try_open(&f, SOLO_FILE_FORMAT, "token_type[1]: wanted 0 to 6, found -1");
    f = (made_file){0};
    put_text(&f, "model", "bert");
    try_open(&f, SOLO_UNSUPPORTED, "found \"bert\"");
    f = (made_file){0};
    put_text(&f, "model", "gpt2");
    try_open(&f, SOLO_FILE_FORMAT, "tokenizer.ggml.tokens");
    f = (made_file){0};
    put_text(&f, "model", "gpt2");
    put_texts(&f, "tokens", (const char *const[]){"a", "b", "a"}, 3);
    try_open(&f, SOLO_FILE_FORMAT, "found \"a\" as 0 and as 2");
    f = (made_file){0};
    put_text(&f, "model", "gpt2");
    put_texts(&f, "tokens", abc, 4);
    try_open(&f, SOLO_FILE_FORMAT, "tokenizer.ggml.merges");
    static const char *const bad_merges[] = {"ab", " a", "a ", "", "b"};
    for (uint32_t i = 0; i < SOLO_COUNT(bad_merges); i++) {
        f = (made_file){0};
        put_text(&f, "model", "gpt2");
        put_texts(&f, "tokens", abc, 4);
        put_texts(&f, "merges", &bad_merges[i], 1);
        try_open(&f, SOLO_FILE_FORMAT, "merges[0]: wanted two parts");
    }
}

static void merges_that_cannot_apply(void **state) {
    (void)state;
    static const char *const merges[] = {"b a", "x y", "a x", "a b", "a b", "b b"};
    made_file f = {0};
    put_text(&f, "model", "gpt2");
    put_texts(&f, "tokens", (const char *const[]){"a", "b", "ab", "", "ba"}, 5);
    put_texts(&f, "merges", merges, SOLO_COUNT(merges));
    solo_tokenizer *tok = try_open(&f, SOLO_OK, NULL);
    expect_ids(tok, "aba", 3, false, (const uint32_t[]){0, 4}, 2, 0); /* "b a" ranks first */
    expect_ids(tok, "abb", 3, false, (const uint32_t[]){2, 1}, 2, 0);
    expect_ids(tok, "bb", 2, false, (const uint32_t[]){1, 1}, 2, 0); /* no token "bb" */
    solo_tokenizer_close(tok);
    static const char *const twice[] = {"a b", "b c", "a b"};
    f = (made_file){0};
    put_text(&f, "model", "gpt2");
    put_texts(&f, "tokens", (const char *const[]){"a", "b", "c", "ab", "bc"}, 5);
    put_texts(&f, "merges", twice, 3);
    tok = try_open(&f, SOLO_OK, NULL);
    expect_ids(tok, "abc", 3, false, (const uint32_t[]){3, 2}, 2, 0); /* its first rank counts */
    solo_tokenizer_close(tok);
}

static void longest_user_defined_first(void **state) {
    (void)state;
    static const char *const merges[] = {"a b"};
    made_file f = {0};
    put_text(&f, "model", "gpt2");
    put_texts(&f, "tokens", (const char *const[]){"a", "b", "ab", "<x", "<xab", "\xC3\xA9"}, 6);
    put_words(&f, "token_type", SOLO_GGUF_I32, (const uint32_t[]){1, 1, 1, 4, 4, 4}, 6);
    put_texts(&f, "merges", merges, 1);
    solo_tokenizer *tok = try_open(&f, SOLO_OK, NULL);
    expect_ids(tok, "ab<xab<xb<xa", 12, false, (const uint32_t[]){2, 4, 3, 1, 3, 0}, 6, 0);
    size_t n; /* not in the alphabet that spells bytes, although it looks so */
    assert_memory_equal(solo_tokenizer_bytes(tok, 5, false, &n), "\xC3\xA9", 2);
    assert_int_equal(n, 2);
    solo_tokenizer_close(tok);
}

static void pieces_that_never_merge(void **state) {
    (void)state;
    for (uint32_t type = 1; type <= 4; type++) {
        made_file f = spm_file((const uint32_t[]){1, 1, type, 3}); /* "ab" of each type */
        put_u32(&f, "unknown_token_id", 3);
        put_key(&f, "add_space_prefix", SOLO_GGUF_BOOL);
        put(&f, 0, 1);
        solo_tokenizer *tok = try_open(&f, SOLO_OK, NULL);
        bool whole = type == 1 || type == 4; /* normal, user-defined */
        uint32_t want[2] = {whole ? 2 : 0, 1};
        expect_ids(tok, "ab", 2, false, want, whole ? 1 : 2, (int)type);
        solo_tokenizer_close(tok);
    }
    made_file f = spm_file((const uint32_t[]){4, 1, 1, 3}); /* "a" is user-defined: frozen */
    put_u32(&f, "unknown_token_id", 3);
    put_key(&f, "add_space_prefix", SOLO_GGUF_BOOL);
    put(&f, 0, 1);
    solo_tokenizer *tok = try_open(&f, SOLO_OK, NULL);
    expect_ids(tok, "ab", 2, false, (const uint32_t[]){0, 1}, 2, 0);
    solo_tokenizer_close(tok);
}

static void hostile_spm_tables(void **state) {
    (void)state;
    static const uint32_t nan_scores[] = {0, 0x7FC00000, 0, 0};
    made_file f = spm_file(abc_types);
    try_open(&f, SOLO_FILE_FORMAT, "unknown_token_id");
    f = spm_file(abc_types);
    put_u32(&f, "unknown_token_id", 3);
    solo_tokenizer *tok = try_open(&f, SOLO_OK, NULL);
    expect_ids(tok, "ab", 2, false, (const uint32_t[]){3, 2}, 2, 0); /* the prefix is unknown */
    solo_tokenizer_close(tok);
    f = spm_file((const uint32_t[]){1, 1, 1, 6});
    try_open(&f, SOLO_FILE_FORMAT, "tokens[3]: wanted \"<0xNN>\"");
    f = (made_file){0};
    put_text(&f, "model", "llama");
    put_texts(&f, "tokens", abc, 4);
    put_words(&f, "scores", SOLO_GGUF_F32, nan_scores, 3);
    try_open(&f, SOLO_FILE_FORMAT, "scores: wanted 4 items");
    f = (made_file){0};
    put_text(&f, "model", "llama");
    put_texts(&f, "tokens", abc, 4);
    put_words(&f, "scores", SOLO_GGUF_F32, nan_scores, 4);
    try_open(&f, SOLO_FILE_FORMAT, "scores[1]: wanted a number, found NaN");
    f = (made_file){0};
    put_text(&f, "model", "llama");
    put_texts(&f, "tokens", (const char *const[]){"a", "<0x41>"}, 2);
    put_words(&f, "scores", SOLO_GGUF_F32, nan_scores + 2, 2);
    put_words(&f, "token_type", SOLO_GGUF_I32, (const uint32_t[]){1, 6}, 2);
    try_open(&f, SOLO_FILE_FORMAT, "wanted byte tokens for all 256 bytes or for none, found 1");
}

/* Phi-3: its name makes special tokens swallow the white space that follows. */
static void phi3_strips_after_special(void **state) {
    (void)state;
    for (int phi = 0; phi < 2; phi++) {
        made_file f = spm_file(abc_types);
        put_u32(&f, "unknown_token_id", 0);
        put_str(&f, "general.name");
        put(&f, SOLO_GGUF_STRING, 4);
        put_str(&f, phi ? "Microsoft Phi-3 mini" : "Phil 3");
        f.n_key++;
        put_key(&f, "add_space_prefix", SOLO_GGUF_BOOL);
        put(&f, 0, 1);
        solo_tokenizer *tok = try_open(&f, SOLO_OK, NULL);
        /* <s> is one of the three that do not */
        expect_ids(tok, "<s>\nb", 5, true, (const uint32_t[]){3, 0, 1}, 3, phi);
        solo_tokenizer_close(tok);
    }
    static const char *const tokens[] = {"?", "b", "<|user|>"};
    for (int phi = 0; phi < 2; phi++) {
        made_file f = {0};
        put_text(&f, "model", "llama");
        put_texts(&f, "tokens", tokens, 3);
        put_words(&f, "scores", SOLO_GGUF_F32, (const uint32_t[]){0, 0, 0}, 3);
        put_words(&f, "token_type", SOLO_GGUF_I32, (const uint32_t[]){1, 1, 3}, 3);
        put_u32(&f, "unknown_token_id", 0);
        put_str(&f, "general.name");
        put(&f, SOLO_GGUF_STRING, 4);
        put_str(&f, phi ? "phi3" : "ph3");
        f.n_key++;
        put_key(&f, "add_space_prefix", SOLO_GGUF_BOOL);
        put(&f, 0, 1);
        solo_tokenizer *tok = try_open(&f, SOLO_OK, NULL);
        uint32_t want[] = {2, 0, 1};
        if (phi) want[1] = 1;
        expect_ids(tok, "<|user|>\n \tb", 12, true, want, phi ? 2 : 3, phi);
        solo_tokenizer_close(tok);
    }
}

/* ---- Unicode and streams ------------------------------------------------------------------ */

static void classes(void **state) {
    (void)state;
    static const struct {
        uint32_t code;
        solo_unicode_class class;
    } rows[] = {
        {'A', SOLO_UNICODE_LETTER}, {'z', SOLO_UNICODE_LETTER}, {'0', SOLO_UNICODE_NUMBER},
        {' ', SOLO_UNICODE_SPACE}, {0x1C, SOLO_UNICODE_OTHER}, {0x85, SOLO_UNICODE_SPACE},
        {0xA0, SOLO_UNICODE_SPACE}, {0xAA, SOLO_UNICODE_LETTER}, {0xB2, SOLO_UNICODE_NUMBER},
        {0x301, SOLO_UNICODE_OTHER}, {0x2028, SOLO_UNICODE_SPACE}, {0x200B, SOLO_UNICODE_OTHER},
        {0x3000, SOLO_UNICODE_SPACE}, {0x3007, SOLO_UNICODE_NUMBER}, {0x4E00, SOLO_UNICODE_LETTER},
        {0x9FFF, SOLO_UNICODE_LETTER}, {0xD7A3, SOLO_UNICODE_LETTER}, {0xD800, SOLO_UNICODE_OTHER},
        {0x1F600, SOLO_UNICODE_OTHER}, {0x20000, SOLO_UNICODE_LETTER},
        {0x10FFFF, SOLO_UNICODE_OTHER}, {SOLO_UNICODE_INVALID, SOLO_UNICODE_OTHER},
        {0, SOLO_UNICODE_OTHER}, {0x16EE, SOLO_UNICODE_NUMBER}, {0x5F, SOLO_UNICODE_OTHER},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        if (solo_unicode_class_of(rows[i].code) != rows[i].class) fail_msg("U+%04X", rows[i].code);
    }
}

static void decoding_takes_well_formed_only(void **state) {
    (void)state;
    static const char *const bad[] = {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
                                      "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
                                      "\xE2\x82", "\xE2\x82z", "\x80", "\xFF"};
    for (uint32_t i = 0; i < SOLO_COUNT(bad); i++) {
        uint32_t code;
        assert_int_equal(solo_utf8_decode(bad[i], strlen(bad[i]), &code), 1);
        assert_int_equal(code, SOLO_UNICODE_INVALID);
    }
    for (uint32_t want = 0; want < 0x110000; want += want < 0x3000 ? 1 : 0xFD) {
        uint8_t b[4] = {(uint8_t)want};
        size_t n = want < 0x80 ? 1 : want < 0x800 ? 2 : want < 0x10000 ? 3 : 4;
        for (size_t i = n - 1, rest = want; n > 1 && i > 0; i--, rest >>= 6) {
            b[i] = (uint8_t)(0x80 | (rest & 0x3F));
        }
        if (n > 1) b[0] = (uint8_t)(0xF00u >> n | want >> 6 * (n - 1));
        if (want >= 0xD800 && want <= 0xDFFF) continue;
        uint32_t code;
        assert_int_equal(solo_utf8_decode((const char *)b, n, &code), n);
        assert_int_equal(code, want);
    }
}

static size_t push_all(const char *bytes, size_t n, size_t cut1, size_t cut2, char *out) {
    solo_utf8_stream s = {0};
    size_t n_out = solo_utf8_push(&s, bytes, cut1, out), done = 0;
    n_out += solo_utf8_push(&s, bytes + cut1, cut2 - cut1, out + n_out);
    n_out += solo_utf8_push(&s, bytes + cut2, n - cut2, out + n_out);
    n_out += solo_utf8_push(&s, NULL, 0, out + n_out);
    while (done < n_out) { /* whatever came out is whole characters */
        uint32_t code;
        done += solo_utf8_decode(out + done, n_out - done, &code);
        assert_int_not_equal(code, SOLO_UNICODE_INVALID);
    }
    return n_out;
}

static void every_split_gives_the_same(void **state) {
    (void)state;
    static const char text[] = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\xF0\x9F\x8F\xBD"
                               "\xED\x95\x9Cz\xE2\x80\x8D!";
    static const char bad[] = "\xE2\x82" "a\xF0\x9F\x98\xC3\xA9\x80\xFF\xED\xA0\x80"
                              "\xF4\x90\xC0\xAF\xE0\x9F\xC3";
    const char *const texts[] = {text, bad};
    const size_t sizes[] = {sizeof text - 1, sizeof bad - 1};
    for (uint32_t t = 0; t < 2; t++) {
        char whole[200], parts[200];
        size_t n = sizes[t], n_whole = push_all(texts[t], n, 0, 0, whole);
        if (t == 0) {
            assert_int_equal(n_whole, n);
            assert_memory_equal(whole, text, n);
        }
        for (size_t i = 0; i <= n; i++) {
            for (size_t j = i; j <= n; j++) {
                assert_int_equal(push_all(texts[t], n, i, j, parts), n_whole);
                assert_memory_equal(parts, whole, n_whole);
            }
        }
        /* Nothing of a character comes out before its last byte, and then at once. */
        solo_utf8_stream s = {0};
        for (size_t i = 0; t == 0 && i < n;) {
            uint32_t code;
            size_t length = solo_utf8_decode(text + i, n - i, &code);
            for (size_t k = 0; k < length; k++) {
                size_t got = solo_utf8_push(&s, text + i + k, 1, parts);
                assert_int_equal(got, k + 1 == length ? length : 0);
            }
            i += length;
        }
    }
}

static void replacement_characters(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        uint32_t    n_bad, n_good; /* as Python's decode("utf-8", "replace") has it */
    } rows[] = {
        {"\xE2\x82", 1, 0}, {"\xE2\x82" "a", 1, 1}, {"\xF0\x9F\x98\xE2\x82", 2, 0},
        {"\xFF\xFF", 2, 0}, {"\x80\x80", 2, 0}, {"\xED\xA0\x80", 3, 0}, {"\xC0\xAF", 2, 0},
        {"\xF4\x90\x80\x80", 4, 0}, {"\xE0\x80", 2, 0}, {"\xF0\x9F\x98 ", 1, 1}, {"ok", 0, 2},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        char out[100];
        size_t n = strlen(rows[i].bytes);
        size_t n_out = push_all(rows[i].bytes, n, n / 2, n, out);
        if (n_out != 3 * rows[i].n_bad + rows[i].n_good) fail_msg("row %u: %zu bytes", i, n_out);
    }
}

/* The functions of solo.h on a model that has nothing but a tokenizer. */
static void through_a_model(void **state) {
    (void)state;
    struct solo_model model = {.tokenizer = open_fixture("spm"), .chat_template = (char[]){
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} "
        "{{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}{% if think is defined %}{{ tools[0] }}{% endif %}"}};
    solo_error err = {0};
    uint32_t *ids, n_ids;
    char *text;
    size_t n;
    assert_true(solo_tokenize(&model, "Hello w", 7, true, true, &ids, &n_ids, &err));
    assert_true(solo_detokenize(&model, ids, n_ids, false, &text, &n, &err));
    assert_string_equal(text, "Hello w"); /* the space that encoding added is gone */
    free(text);
    assert_true(solo_detokenize(&model, ids, n_ids, true, &text, &n, &err));
    assert_string_equal(text, "<s> Hello w");
    free(text);
    assert_memory_equal(solo_token_bytes(&model, ids[1], false, &n), " ", 1);
    free(ids);
    assert_true(solo_token_is_end(&model, 2));
    solo_message messages[] = {{"user", "hi"}, {"assistant", "yes"}};
    assert_true(solo_chat_render(&model, messages, 2, false, &text, &err));
    assert_string_equal(text, "<s>[INST] hi [/INST] yes </s>");
    free(text);
    solo_chat_desc desc = {.messages = "[]", .tools = "[7]", .variables = "{\"think\": true, \"eos_token\": \"E\"}"};
    assert_true(solo_chat_render_json(&model, &desc, &text, &err));
    assert_string_equal(text, "<s>7");
    free(text);
    messages[0].content = "\"quoted\" \\ {{ 1 }} \n\x01\xE2\x82"; /* text stays text, even where it is no UTF-8 */
    assert_true(solo_chat_render(&model, messages, 1, false, &text, &err));
    assert_string_equal(text, "<s>[INST] \"quoted\" \\ {{ 1 }} \n\x01\xE2\x82 [/INST]");
    free(text);
    desc.tools = "{";
    assert_false(solo_chat_render_json(&model, &desc, &text, &err));
    assert_non_null(strstr(err.text, "tools: wanted JSON"));
    model.chat_template = NULL;
    assert_false(solo_chat_render(&model, messages, 1, true, &text, &err));
    assert_null(text);
    assert_non_null(strstr(err.text, "the file has none"));
    solo_tokenizer_close(model.tokenizer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_smollm2),
        cmocka_unit_test(vectors_fixtures),
        cmocka_unit_test(random_bytes_round_trip),
        cmocka_unit_test(missing_bytes_vanish),
        cmocka_unit_test(bos_by_the_files_rule),
        cmocka_unit_test(special_tokens_shown_or_not),
        cmocka_unit_test(hostile_bpe_tables),
        cmocka_unit_test(merges_that_cannot_apply),
        cmocka_unit_test(longest_user_defined_first),
        cmocka_unit_test(pieces_that_never_merge),
        cmocka_unit_test(hostile_spm_tables),
        cmocka_unit_test(phi3_strips_after_special),
        cmocka_unit_test(classes),
        cmocka_unit_test(decoding_takes_well_formed_only),
        cmocka_unit_test(every_split_gives_the_same),
        cmocka_unit_test(replacement_characters),
        cmocka_unit_test(through_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
