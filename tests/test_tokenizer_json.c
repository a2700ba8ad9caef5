/* test_tokenizer_json.c: what a tokenizer.json may say, in small ones: its options, refusals, hostile
 * bytes; the patterns that cut words; normalisation form C against the Unicode Consortium's own test. */
#include "pretokenize.h"
#include "tokenizer.h"
#include "unicode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* ---- small tokenizers --------------------------------------------------------------------- */

/* "Ġ" is a space in the byte-level alphabet. The merges make "ab" and " a", not "abc". */
#define VOCAB "{\"a\": 0, \"b\": 1, \"c\": 2, \"\xC4\xA0\": 3, \"ab\": 4, \"abc\": 5, \"\xC4\xA0" "a\": 6}"
#define MERGES "[\"a b\", [\"\xC4\xA0\", \"a\"]]"
#define MODEL(more) "\"model\": {\"type\": \"BPE\", " more "\"vocab\": " VOCAB ", \"merges\": " MERGES "}"
#define LEVEL "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}"
#define ADDED(more) "{\"id\": 7, \"content\": \"<x>\", " more "\"special\": true}"

/* U+2581 for spaces; no byte tokens, an unknown token instead. */
#define MARK "\xE2\x96\x81"
#define SPM_MODEL                                                                                  \
    "\"model\": {\"type\": \"BPE\", \"unk_token\": \"u\", \"vocab\": {\"u\": 0, \"a\": 1, \"" MARK "\": 2, \"" MARK \
    "a\": 3}, \"merges\": [\"" MARK " a\"]}"
#define SPACES \
    "\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"" MARK "\"}"
#define METASPACE(more) \
    "\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"" MARK "\", " more "\"split\": false}"

static solo_tokenizer *open_json(const char *json) {
    solo_tokenizer *tok;
    solo_error err = {0};
    if (!solo_tokenizer_open_json(&tok, json, strlen(json), "t.json", &err)) fail_msg("%s", err.text);
    return tok;
}

static void expect_ids(const char *json, const char *text, const char *want) {
    solo_tokenizer *tok = open_json(json);
    solo_error err = {0};
    uint32_t *ids, n;
    solo_text found = {0};
    assert_true(solo_tokenizer_encode(tok, text, strlen(text), true, true, &ids, &n, &err));
    solo_text_add_n(&found, "", 0);
    for (uint32_t i = 0; i < n; i++) solo_text_add(&found, i ? " %u" : "%u", ids[i]);
    if (strcmp(found.at, want) != 0) fail_msg("\"%s\": wanted %s, found %s, by %s", text, want, found.at, json);
    free(found.at);
    free(ids);
    solo_tokenizer_close(tok);
}

static void options_of_byte_level(void **state) {
    (void)state;
    expect_ids("{" MODEL("") ", \"pre_tokenizer\": " LEVEL "}", "abc a", "4 2 6");
    expect_ids("{" MODEL("\"ignore_merges\": true, ") ", \"pre_tokenizer\": " LEVEL "}", "abc abc", "5 3 4 2");
    expect_ids("{" MODEL("\"ignore_merges\": true, ") ", \"pre_tokenizer\": " LEVEL "}", "abcabc", "4 2 4 2");
    expect_ids("{" MODEL("") ", \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", "
               "\"pattern\": {\"Regex\": \"b\"}, \"behavior\": \"Isolated\", \"invert\": false}, {\"type\": "
                   "\"ByteLevel\", "
               "\"add_prefix_space\": false, \"use_regex\": false}]}}", "abab", "0 1 0 1");
    expect_ids("{" MODEL("") ", \"pre_tokenizer\": " LEVEL ", \"added_tokens\": [" ADDED("") "]}", "a <x> a",
               "0 3 7 6");
    expect_ids("{" MODEL("") ", \"pre_tokenizer\": " LEVEL ", \"added_tokens\": [" ADDED("\"lstrip\": true, ") "]}",
               "a <x> a", "0 7 6");
    expect_ids("{" MODEL("") ", \"pre_tokenizer\": " LEVEL ", \"added_tokens\": [" ADDED("\"rstrip\": true, ") "]}",
               "a <x> a", "0 3 7 0");
    expect_ids("{" MODEL("") ", \"pre_tokenizer\": " LEVEL ", \"added_tokens\": [" ADDED("") "], "
               "\"post_processor\": {\"type\": "
               "\"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<x>\", \"type_id\": 0}}]}}", "a",
                   "7 0");
    solo_tokenizer *tok = open_json("{" MODEL("") ", \"pre_tokenizer\": " LEVEL "}");
    assert_string_equal(solo_tokenizer_kind(tok), "gpt2/gpt2");
    assert_int_equal(solo_tokenizer_n_vocab(tok), 7);
    solo_tokenizer_close(tok);
}

static void options_of_spaces(void **state) {
    (void)state;
    expect_ids("{" SPM_MODEL ", " SPACES "}", "a a", "1 3");
    expect_ids("{" SPM_MODEL ", \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": "
               "\"Prepend\", \"prepend\": "
               "\"\xE2\x96\x81\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": "
                   "\"\xE2\x96\x81\"}]}}", " a", "2 3");
    expect_ids("{" SPM_MODEL ", " METASPACE("\"prepend_scheme\": \"always\", ") "}", " aq", "3 0");
    expect_ids("{" SPM_MODEL ", " METASPACE("\"prepend_scheme\": \"never\", ") "}", "aqq", "1 0");
    const char *added = "\"added_tokens\": [{\"id\": 4, \"content\": \"<x>\", \"special\": true}]";
    char json[2000];
    snprintf(json, sizeof json, "{" SPM_MODEL ", " METASPACE("\"prepend_scheme\": \"first\", ") ", %s}", added);
    expect_ids(json, "a<x>a", "3 4 1");
    snprintf(json, sizeof json, "{" SPM_MODEL ", " METASPACE("\"prepend_scheme\": \"always\", ") ", %s}", added);
    expect_ids(json, "a<x>a", "3 4 3");
}

static void files_beside_it(void **state) {
    (void)state;
    solo_tokenizer *tok = open_json("{" MODEL("") ", \"pre_tokenizer\": " LEVEL ", \"added_tokens\": [" ADDED("") "]}");
    solo_error err = {0};
    static const char config[] = "{\"bos_token\": {\"content\": \"<x>\"}, \"eos_token\": \"abc\", "
        "\"add_bos_token\": true}";
    assert_int_equal(solo_tokenizer_bos(tok), -1);
    assert_true(solo_tokenizer_set_config(tok, config, sizeof config - 1, "c.json", &err));
    assert_int_equal(solo_tokenizer_bos(tok), 7);
    assert_int_equal(solo_tokenizer_eos(tok), 5);
    assert_true(solo_tokenizer_add_bos(tok) && solo_tokenizer_is_end(tok, 5) && !solo_tokenizer_is_end(tok, 4));
    assert_true(solo_tokenizer_add_end(tok, 4, &err) && solo_tokenizer_is_end(tok, 4));
    assert_false(solo_tokenizer_add_end(tok, 8, &err));
    assert_true(solo_tokenizer_set_config(tok, "{\"bos_token\": null, \"add_bos_token\": false}", 43, "c.json", &err));
    assert_false(solo_tokenizer_add_bos(tok));
    assert_false(solo_tokenizer_set_config(tok, "{\"bos_token\": \"no\"}", 19, "c.json", &err));
    assert_non_null(strstr(err.text, "c.json: bos_token: wanted a token of the tokenizer, found \"no\""));
    assert_false(solo_tokenizer_set_config(tok, "[", 1, "c.json", &err));
    solo_tokenizer_close(tok);
}

static void refusals_say_why(void **state) {
    (void)state;
    static const struct { const char *json, *wanted; } rows[] = {
        {"", "wanted JSON"}, {"[]", "model: wanted an object"},
        {"{\"model\": {\"type\": \"Unigram\"}}", "model.type: wanted \"BPE\", found \"Unigram\""},
        {"{\"model\": {\"type\": \"WordPiece\"}}", "found \"WordPiece\""},
        {"{" MODEL("\"dropout\": 0.1, ") "}", "model.dropout: wanted null"},
        {"{" MODEL("\"end_of_word_suffix\": \"</w>\", ") "}", "model.end_of_word_suffix"},
        {"{" MODEL("") "}", "found neither"},
        {"{" MODEL("") ", \"normalizer\": {\"type\": \"Lowercase\"}}", "normalizer: wanted NFC"},
        {"{" MODEL("") ", \"pre_tokenizer\": {\"type\": \"Whitespace\"}}", "pre_tokenizer: wanted ByteLevel, Split"},
        {"{" MODEL("") ", \"pre_tokenizer\": {\"type\": \"ByteLevel\"}}", "add_prefix_space: wanted false"},
        {"{" MODEL("") ", " SPACES ", \"pre_tokenizer\": " LEVEL "}", "found both"},
        {"{" MODEL("") ", \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"a(?<b)\"}, "
         "\"behavior\": \"Isolated\"}}", "found neither"},
        {"{" MODEL("") ", \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"a\"}, "
         "\"behavior\": \"Removed\"}}", "behavior: wanted \"Isolated\""},
        {"{" MODEL("") ", \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", "
         "\"pattern\": {\"Regex\": "
         "\"a(?<b)\"}, \"behavior\": \"Isolated\"}, " LEVEL "]}}",
             "t.json: pre_tokenizer: at byte 2 of the pattern: wanted (?:"},
        {"{" SPM_MODEL ", \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"_\"}}",
         "replacement: wanted U+2581"},
        {"{" SPM_MODEL ", \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"\xE2\x96\x81\"}}",
         "split: wanted false"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 9999999}, \"merges\": []}, \"pre_tokenizer\": "
         "" LEVEL "}", "model.vocab: wanted an id"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": -1}, \"merges\": []}, \"pre_tokenizer\": " LEVEL "}",
         "model.vocab: wanted an id"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {}, \"merges\": []}, \"pre_tokenizer\": " LEVEL "}",
         "1 to 2^24 tokens"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a\"]}, \"pre_tokenizer\": "
         "" LEVEL "}", "model.merges: wanted two parts"},
        {"{" MODEL("") ", \"pre_tokenizer\": " LEVEL ", \"added_tokens\": [{\"id\": 7}]}", "content that is text"},
        {"{" MODEL("") ", \"pre_tokenizer\": " LEVEL ", \"added_tokens\": [" ADDED("\"single_word\": true, ") "]}",
         "single_word false"},
        {"{" MODEL("") ", \"pre_tokenizer\": " LEVEL ", \"added_tokens\": [{\"id\": 9, \"content\": \"a\"}]}",
         "each text once"},
        {"{\"model\": {\"type\": \"BPE\", \"byte_fallback\": true, \"vocab\": {\"<0x00>\": 0}, \"merges\": []}, "
         "" SPACES "}", "all 256 bytes"},
        {"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}, " SPACES "}", "model.unk_token"},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        solo_tokenizer *tok;
        solo_error err = {0};
        bool ok = solo_tokenizer_open_json(&tok, rows[i].json, strlen(rows[i].json), "t.json", &err);
        if (ok) fail_msg("not refused: %s", rows[i].json);
        if (!strstr(err.text, rows[i].wanted)) fail_msg("%s: wanted \"%s\", found \"%s\"", rows[i].json,
                                                        rows[i].wanted, err.text);
        assert_null(tok);
    }
}

/* Every prefix fails; bytes changed open or fail, and what opens encodes. */
static void hostile_bytes(void **state) {
    (void)state;
    static const char json[] = "{" MODEL("\"ignore_merges\": true, ") ", \"pre_tokenizer\": " LEVEL ", "
        "\"added_tokens\": [" ADDED("\"lstrip\": true, ") "]}";
    uint32_t seed = 5, n_open = 0;
    for (size_t n = 0; n + 1 < sizeof json; n++) {
        solo_tokenizer *tok;
        char *copy = solo_alloc(n + 1); /* exact, so that a sanitizer sees a read past it */
        memcpy(copy, json, n);
        if (n + 2 < sizeof json) assert_false(solo_tokenizer_open_json(&tok, copy, n, "t.json", NULL));
        free(copy);
    }
    for (uint32_t i = 0; i < 4000; i++) {
        solo_tokenizer *tok;
        char copy[sizeof json];
        memcpy(copy, json, sizeof json);
        for (uint32_t k = 0; k <= i % 3; k++) {
            seed = seed * 1664525u + 1013904223u;
            copy[(seed >> 8) % (sizeof json - 1)] = json[(seed >> 4) % (sizeof json - 1)];
        }
        if (!solo_tokenizer_open_json(&tok, copy, sizeof json - 1, "t.json", NULL)) continue;
        uint32_t *ids, n;
        assert_true(solo_tokenizer_encode(tok, "abc <x> abab \xFF", 14, true, true, &ids, &n, NULL));
        for (uint32_t k = 0; k < n; k++) assert_true(ids[k] < solo_tokenizer_n_vocab(tok));
        free(ids);
        solo_tokenizer_close(tok);
        n_open++;
    }
    assert_true(n_open > 50);
}

/* ---- patterns ----------------------------------------------------------------------------- */

static void patterns_match(void **state) {
    (void)state;
    static const struct { const char *pattern, *text; size_t want; } rows[] = { /* 99: none */
        {"a", "ab", 1}, {"a", "b", 99}, {"a|ab", "ab", 1}, {"(?:a|ab)c", "abc", 3}, {"a?b", "b", 1}, {"a*", "b", 0},
        {"a+", "aab", 2},
        {"a{2}", "aaa", 2}, {"a{2,}", "aaaa", 4}, {"a{1,3}", "aaaa", 3}, {"a{2,3}b", "ab", 99},
        {"[a-c]+", "abcd", 3}, {"[^a-c]+", "xyza", 3},
        {"[]a]+", "]a", 2}, {"[a-]+", "a-b", 2}, {"\\s+(?!\\S)", "  x", 1}, {"\\s+(?!\\S)", "  ", 2},
        {"a(?=b)", "ab", 1}, {"a(?=b)", "ac", 99},
        {"\\p{L}+", "a\xC3\xA9\xE4\xB8\xAD" "1", 6}, {"\\p{Lu}\\p{Ll}+", "Ab", 2}, {"\\P{L}+", "12a", 2},
        {"\\d+", "12\xD9\xA1" "a", 4}, {"\\S+", "ab c", 2},
        {"(?i:'ll)x", "'Llx", 4}, {"(?i:s)", "\xC5\xBF", 2}, {"(?i:k)", "\xE2\x84\xAA", 3}, {"(?i:a)a", "AA", 99},
        {"\\r\\n\\t\\.\\|", "\r\n\t.|", 5},
        {"[\\p{L}\\s]+", "a b1", 3}, {"a++a", "aaa", 99}, {"a+a", "aaa", 3}, {"[^\\r\\n]?+b", "bb", 2},
        {"\xE4\xB8\x80", "\xE4\xB8\x80", 3},
        {"[\xE4\xB8\x80-\xE9\xBE\xA5]+", "\xE4\xB8\xAD\xE6\x96\x87x", 6}, {"[^a]*b", "\xE2\x82xb", 4},
        {"\\s*[\\r\\n]+", "  \n  \n x", 6},
        {"(a|b)?c", "bc", 2}, {"(a|b)?c", "c", 1}, {"", "a", 0}, {"a|", "b", 0},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        solo_pattern *p;
        solo_error err = {0};
        if (!solo_pattern_open(&p, (solo_str){rows[i].pattern, strlen(rows[i].pattern)}, "p",
                               &err)) fail_msg("%s: %s", rows[i].pattern, err.text);
        size_t found = solo_pattern_match(p, rows[i].text, strlen(rows[i].text));
        if (found != (rows[i].want == 99 ? SOLO_PATTERN_NONE : rows[i].want)) fail_msg("%s on %s: found %zu",
                rows[i].pattern, rows[i].text, found);
        solo_pattern_close(p);
    }
}

/* Words of each published rule, as Hugging Face's tokenizers cut them. */
static void rules_cut(void **state) {
    (void)state;
    static const struct { const char *name, *text, *want; } rows[] = {
        {"gpt2", "I'm 12345 x!\n\n  y", "I|'m| 12345| x|!|\n\n | y"},
        {"smollm", "a 12\n\n  y", "a| |1|2|\n\n | y"},
        {"starcoder", "ab1", "ab|1"},
        {"phi-2", "ab1", "ab|1"},
        {"llama-bpe", "I'M 12345 x!\n\n  y", "I|'M| |123|45| x|!\n\n| | y"},
        {"qwen2", "I'M 12345", "I|'M| |1|2|3|4|5"},
        {"tekken", "HTTPServer it's 12/\n", "HTTPServer| it|'s| |1|2|/\n"},
        {"gpt-4o", "HTTPServer IT'S 1234/\n", "HTTPServer| IT'S| |123|4|/\n"},
        {"deepseek-v3", "1234 \xE4\xB8\xAD\xE6\x96\x87-ab +++", "123|4| |\xE4\xB8\xAD\xE6\x96\x87|-ab| +++"},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        const solo_pretokenizer_row *row = solo_pretokenizer_find((solo_str){rows[i].name, strlen(rows[i].name)});
        solo_pretokenizer rule = {0};
        solo_text found = {0};
        solo_cut cut = {0};
        assert_non_null(row);
        for (uint32_t k = 0; row->text[k]; k++) {
            assert_true(solo_pretokenizer_add(&rule, (solo_str){row->text[k], strlen(row->text[k])}, "p", NULL));
        }
        for (size_t n; (n = solo_pretokenize(&rule, rows[i].text, strlen(rows[i].text), &cut)) > 0;) {
            if (found.n > 0) solo_text_add(&found, "|");
            solo_text_add_n(&found, rows[i].text + cut.at - n, n);
        }
        if (strcmp(found.at, rows[i].want) != 0) {
            fail_msg("%s: wanted %s, found %s", rows[i].name, rows[i].want, found.at);
        }
        free(found.at);
        solo_pretokenizer_free(&rule);
    }
    assert_null(solo_pretokenizer_find(SOLO_STR("no such")));
}

static void patterns_refused(void **state) {
    (void)state;
    static const char *const rows[] = {"(a", "a)", "[a", "[b-a]", "a{2,1}", "a{", "a{9999}", "*a", "a**", "a+?",
     "(a)*", "(a)+", "(?<=a)b", "(?<n>a)", "^a",
                                       "a$", ".", "\\w", "\\b", "\\", "\\p{X}", "\\p{Latin}", "[\\S]", "[[:alpha:]]",
                                           "(?i:[a-z])", "(?i:\xC3\xA9)", "\xFF"};
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        solo_pattern *p;
        solo_error err = {0};
        if (solo_pattern_open(&p, (solo_str){rows[i], strlen(rows[i])}, "p", &err)) fail_msg("not refused: %s",
                rows[i]);
        assert_non_null(strstr(err.text, "p: at byte "));
    }
    char deep[201];
    solo_pattern *p;
    memset(deep, '(', 200);
    assert_false(solo_pattern_open(&p, (solo_str){deep, 200}, "p", NULL));
    /* One that tries every way to divide a run: it finds nothing in time rather than anything ever. */
    assert_true(solo_pattern_open(&p, SOLO_STR("a*a*a*a*a*a*a*a*a*a*a*a*b"), "p", NULL));
    char text[3000];
    memset(text, 'a', sizeof text);
    double start = solo_seconds();
    assert_true(solo_pattern_match(p, text, sizeof text) == SOLO_PATTERN_NONE);
    assert_true(solo_seconds() - start < 5);
    solo_pattern_close(p);
}

/* ---- normalisation form C ----------------------------------------------------------------- */

static void add_codes(const char *field, solo_text *out) {
    for (char *end; *field && *field != ';'; field = *end == ' ' ? end + 1 : end) {
        char bytes[4];
        solo_text_add_n(out, bytes, solo_utf8_encode((uint32_t)strtoul(field, &end, 16), bytes));
    }
}

/* Columns 1 to 3 become column 2, 4 and 5 become column 4. */
static void normalization_test(void **state) {
    (void)state;
    static const char path[] = "/usr/share/unicode/NormalizationTest.txt.bz2";
    char command[300];
    snprintf(command, sizeof command,
             "python3 -c \"import bz2, sys; sys.stdout.write(bz2.open('%s', 'rt').read())\"", path);
    FILE *packed = fopen(path, "r"), *f = packed ? popen(command, "r") : NULL;
    if (!f) {
        printf("UNRUN: %s is missing (package unicode-data)\n", path);
        skip();
    }
    fclose(packed);
    char line[2000];
    uint32_t n = 0;
    while (fgets(line, sizeof line, f)) {
        solo_text column[5] = {{0}};
        if (line[0] == '#' || line[0] == '@' || line[0] == '\n') continue;
        const char *at = line;
        for (int i = 0; i < 5; i++) {
            add_codes(at, &column[i]);
            at = strchr(at, ';') + 1;
        }
        for (int i = 0; i < 5; i++) {
            const solo_text *want = i < 3 ? &column[1] : &column[3];
            solo_text found = {0};
            solo_unicode_add_nfc(&found, column[i].at, column[i].n);
            if (found.n != want->n || memcmp(found.at, want->at, found.n) != 0) fail_msg("column %d of %s", i + 1,
                    line);
            free(found.at);
        }
        for (int i = 0; i < 5; i++) free(column[i].at);
        n++;
    }
    assert_int_equal(pclose(f), 0);
    assert_true(n > 15000);
}

static void normalizing_odd_texts(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"e\xCC\x81", "\xC3\xA9"}, {"\xCC\x81" "e", "\xCC\x81" "e"}, {"e\xFF\xCC\x81", "e\xFF\xCC\x81"},
        {"\xE2\x82", "\xE2\x82"}, {"plain", "plain"},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        solo_text out = {0};
        solo_unicode_add_nfc(&out, rows[i][0], strlen(rows[i][0]));
        assert_string_equal(out.at, rows[i][1]);
        free(out.at);
    }
    solo_text many = {0}, out = {0};
    solo_text_add(&many, "a");
    for (int i = 0; i < 200000; i++) solo_text_add_n(&many, i % 2 ? "\xCC\xA3" : "\xCC\x81", 2);
    double start = solo_seconds();
    solo_unicode_add_nfc(&out, many.at, many.n);
    assert_true(solo_seconds() - start < 5); /* sorting all marks of one letter would take minutes */
    free(many.at);
    free(out.at);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_byte_level),
        cmocka_unit_test(options_of_spaces),
        cmocka_unit_test(files_beside_it),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(hostile_bytes),
        cmocka_unit_test(patterns_match),
        cmocka_unit_test(rules_cut),
        cmocka_unit_test(patterns_refused),
        cmocka_unit_test(normalization_test),
        cmocka_unit_test(normalizing_odd_texts),
    };
    cmocka_set_test_filter(getenv("SOLO_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
