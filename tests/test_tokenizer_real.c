/* test_tokenizer_real.c: real vocabularies (SOLO_TOKENIZERS, made by tools/tokenizer_gguf.py from what
 * tools/setup.sh test fetches) give the ids of their reference implementations: from a GGUF and, where
 * the family publishes one, from its tokenizer.json. Vectors: tools/tokenizer_real_vectors.py. */
#include "tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static char *read_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *at = solo_alloc(*n + 1);
    assert_int_equal(fread(at, 1, *n, f), *n);
    at[*n] = 0;
    fclose(f);
    return at;
}

static char *read_vectors(const char *name) {
    const char *root = getenv("SOLO_SOURCE");
    char path[600];
    size_t n;
    snprintf(path, sizeof path, "%s/tests/vectors/real/%s.txt", root ? root : ".", name);
    char *text = read_file(path, &n);
    if (!text) fail_msg("%s is missing", path);
    return text;
}

/* NULL, having said so: the vocabulary is not on this machine. */
static solo_tokenizer *open_real(const char *name, bool json) {
    const char *gguf_folder = getenv("SOLO_TOKENIZERS"), *root = getenv("SOLO_SOURCE");
    char path[600];
    size_t n;
    solo_error err = {0};
    solo_tokenizer *tok = NULL;
    solo_gguf *gguf = NULL;
    snprintf(path, sizeof path, "%s/%s.%s", gguf_folder ? gguf_folder : ".", name, json ? "json" : "gguf");
    if (json && strcmp(name, "phi3") != 0) {
        snprintf(path, sizeof path, "%s/.deps/tokenizers/%s.json", root ? root : ".", name);
    }
    char *bytes = read_file(path, &n);
    if (!bytes) {
        printf("UNRUN: %s is missing (tools/setup.sh test fetches what it is made from)\n", path);
        return NULL;
    }
    double start = solo_seconds();
    if (json) {
        if (!solo_tokenizer_open_json(&tok, bytes, n, name, &err)) fail_msg("%s: %s", path, err.text);
    } else {
        if (!solo_gguf_open(&gguf, path, &err)) fail_msg("%s", err.text);
        if (!solo_tokenizer_open(&tok, gguf, &err)) fail_msg("%s: %s", path, err.text);
        solo_gguf_close(gguf);
    }
    print_message("%s: %s, %u tokens, %.0f ms\n", path, solo_tokenizer_kind(tok), solo_tokenizer_n_vocab(tok),
                  1000 * (solo_seconds() - start));
    free(bytes);
    return tok;
}

static size_t unescape(const char *line, char *out) {
    size_t n = 0;
    if (strcmp(line, "-") == 0) return 0;
    for (const char *at = line; *at;) {
        if (*at == '\\') {
            char hex[3] = {at[2], at[3], 0};
            out[n++] = (char)strtoul(hex, NULL, 16);
            at += 4;
        } else {
            out[n++] = *at++;
        }
    }
    return n;
}

/* ids as the vectors write them: in full or as count and hash. */
static void show(const uint32_t *ids, uint32_t n, bool hashed, solo_text *out) {
    uint32_t h = 2166136261u;
    for (uint32_t i = 0; i < 4 * n; i++) h = (h ^ (ids[i / 4] >> 8 * (i % 4) & 0xFF)) * 16777619u;
    if (hashed) solo_text_add(out, "#%u:%08x", n, h);
    for (uint32_t i = 0; !hashed && i < n; i++) solo_text_add(out, i ? ",%u" : "%u", ids[i]);
    if (!hashed && n == 0) solo_text_add(out, "-");
}

static uint32_t expect(const solo_tokenizer *tok, const char *text, size_t n, bool special, const char *want,
                       const char *name, int line) {
    solo_error err = {0};
    solo_text found = {0};
    uint32_t *ids, n_ids, n_bad = 0;
    assert_true(solo_tokenizer_encode(tok, text, n, false, special, &ids, &n_ids, &err));
    show(ids, n_ids, want[0] == '#', &found);
    if (strcmp(found.at, want) != 0) {
        print_error("%s, line %d%s: \"%.*s\":\n  wanted %s\n  found  %s\n", name, line, special ? ", special" : "",
                    (int)n, text, want, found.at);
        n_bad = 1;
    }
    free(ids);
    free(found.at);
    return n_bad;
}

static char *next_line(char **at) {
    char *line = *at, *end = strchr(line, '\n');
    *end = 0;
    *at = end + 1;
    return line;
}

/* Texts with U+2581 itself, which SentencePiece cannot tell from a space: a tokenizer.json that lists
 * runs of it as added tokens can, so Gemma's two references differ there. */
static bool has_mark(const char *text, size_t n) {
    for (size_t i = 0; i + 3 <= n; i++) {
        if (memcmp(text + i, "\xE2\x96\x81", 3) == 0) return true;
    }
    return false;
}

static bool run_vectors(const char *name, bool json, const char *kind) {
    solo_tokenizer *tok = open_real(name, json);
    if (!tok) return false;
    char *texts = read_vectors("texts"), *vectors = read_vectors(name), *text_at = texts, *vector_at = vectors;
    uint32_t n_bad = 0;
    int line = 0;
    assert_string_equal(solo_tokenizer_kind(tok), kind);
    if (!json && strcmp(name, "llama3") == 0) assert_true(solo_tokenizer_add_bos(tok)); /* the file does not say */
    if (strcmp(name, "qwen2") == 0) assert_false(solo_tokenizer_add_bos(tok));
    while (*text_at) {
        char *text = next_line(&text_at), *plain = next_line(&vector_at), *special = strchr(plain, ' ');
        *special++ = 0;
        size_t n = unescape(text, text);
        line++;
        if (!json && strcmp(name, "gemma2") == 0 && has_mark(text, n)) continue;
        n_bad += expect(tok, text, n, false, plain, name, line);
        n_bad += expect(tok, text, n, true, *special == '=' ? plain : special, name, line);
    }
    assert_true(line > 250);
    assert_int_equal(*vector_at, 0);
    if (n_bad > 0) fail_msg("%s: %u of %d texts differ", name, n_bad, 2 * line);
    free(texts);
    free(vectors);
    solo_tokenizer_close(tok);
    return true;
}

static const struct {
    const char *name, *kind;
    bool has_json;
} families[] = {
    {"llama3", "gpt2/llama-bpe", true}, {"qwen2", "gpt2/qwen2", true}, {"gpt2", "gpt2/gpt2", false},
    {"tekken", "gpt2/tekken", false},   {"llama2", "llama", true},     {"phi3", "llama", true},
    {"mistral_v3", "llama", false},     {"gemma2", "llama", true},
};

static void run_family(const char *name) {
    bool ran = true;
    for (uint32_t i = 0; i < SOLO_COUNT(families); i++) {
        if (strcmp(families[i].name, name) != 0) continue;
        ran = run_vectors(name, false, families[i].kind) && ran;
        if (families[i].has_json) ran = run_vectors(name, true, families[i].kind) && ran;
    }
    if (!ran) skip();
}

#define FAMILY(name) \
    static void name(void **state) { (void)state; run_family(#name); }
FAMILY(llama3) FAMILY(qwen2) FAMILY(gpt2) FAMILY(tekken) FAMILY(llama2) FAMILY(phi3) FAMILY(mistral_v3) FAMILY(gemma2)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama3), cmocka_unit_test(qwen2), cmocka_unit_test(gpt2),       cmocka_unit_test(tekken),
        cmocka_unit_test(llama2), cmocka_unit_test(phi3),  cmocka_unit_test(mistral_v3), cmocka_unit_test(gemma2),
    };
    cmocka_set_test_filter(getenv("SOLO_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
