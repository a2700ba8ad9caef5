/* pretokenize.c: the published rules that cut text into words, by the name that a GGUF gives them,
 * and the cutting. The patterns are those of each family's own tokenizer.json. It does not know
 * about tokens. */
#include "pretokenize.h"

/* ---- rules -------------------------------------------------------------------------------- */

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3(numbers)                                                                       \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" numbers                      \
    "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES
/* Words begin anew where a lower-case letter is followed by an upper-case one. */
#define CASED(endings, numbers)                                                               \
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+" endings \
    "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*" endings \
    "|" numbers "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES
#define ENDINGS "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"

/* Runs of CJK characters and kana, then words that may begin with one sign of punctuation. */
#define DEEPSEEK_CJK "[\xE4\xB8\x80-\xE9\xBE\xA5\xE3\x81\x80-\xE3\x82\x9F\xE3\x82\xA0-\xE3\x83\xBF]+"
#define DEEPSEEK_WORDS                                                                        \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+" \
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"

#define LLAMA3_ROW                                                                            \
    .kind = "gpt2/llama-bpe", .text = {LLAMA3("\\p{N}{1,3}")}, .takes_whole_words = true, .adds_bos = true

static const solo_pretokenizer_row rows[] = {
    {.name = "gpt2", .kind = "gpt2/gpt2", .text = {GPT2}},
    {.name = "gpt-2", .kind = "gpt2/gpt2", .text = {GPT2}},
    {.name = "default", .kind = "gpt2/default", .text = {GPT2}},
    {.name = "phi-2", .kind = "gpt2/gpt2", .text = {GPT2}},
    {.name = "smollm", .kind = "gpt2/smollm", .text = {"\\p{N}", GPT2}},
    {.name = "starcoder", .kind = "gpt2/smollm", .text = {"\\p{N}", GPT2}},
    {.name = "llama-bpe", LLAMA3_ROW},
    {.name = "llama3", LLAMA3_ROW},
    {.name = "llama-v3", LLAMA3_ROW},
    {.name = "qwen2", .kind = "gpt2/qwen2", .text = {LLAMA3("\\p{N}")}, .normalizes = true},
    {.name = "deepseek-r1-qwen", .kind = "gpt2/qwen2", .text = {LLAMA3("\\p{N}")}},
    {.name = "tekken", .kind = "gpt2/tekken", .text = {CASED("", "\\p{N}")}, .takes_whole_words = true,
     .adds_bos = true},
    {.name = "deepseek-v3", .kind = "gpt2/deepseek-v3", .text = {"\\p{N}{1,3}", DEEPSEEK_CJK, DEEPSEEK_WORDS}},
    {.name = "gpt-4o", .kind = "gpt2/gpt-4o", .text = {CASED(ENDINGS, "\\p{N}{1,3}")}},
};

static bool is_text(solo_str a, const char *b) {
    return a.n == strlen(b) && memcmp(a.at, b, a.n) == 0;
}

const solo_pretokenizer_row *solo_pretokenizer_find(solo_str name) {
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        if (is_text(name, rows[i].name)) return &rows[i];
    }
    return NULL;
}

void solo_pretokenizer_names(solo_text *out) {
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) solo_text_add(out, i ? ", %s" : "%s", rows[i].name);
}

const solo_pretokenizer_row *solo_pretokenizer_known(const solo_str *text, uint32_t n) {
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        uint32_t same = 0;
        while (same < n && rows[i].text[same] && is_text(text[same], rows[i].text[same])) same++;
        if (same == n && n < SOLO_MAX_CUT && !rows[i].text[n]) return &rows[i];
    }
    return NULL;
}

bool solo_pretokenizer_add(solo_pretokenizer *rule, solo_str text, const char *what, solo_error *err) {
    if (rule->n_pattern == SOLO_MAX_CUT) {
        return solo_fail(err, SOLO_UNSUPPORTED, "%s: wanted at most %u patterns, found more", what, SOLO_MAX_CUT);
    }
    if (!solo_pattern_open(&rule->pattern[rule->n_pattern], text, what, err)) return false;
    rule->n_pattern++;
    return true;
}

void solo_pretokenizer_free(solo_pretokenizer *rule) {
    for (uint32_t i = 0; i < rule->n_pattern; i++) solo_pattern_close(rule->pattern[i]);
    *rule = (solo_pretokenizer){0};
}

/* ---- cutting ------------------------------------------------------------------------------ */

/* The end of the piece that starts at `at`: a match, or what lies before the next one. */
static size_t piece_end(const solo_pattern *pattern, const char *text, size_t at, size_t end) {
    for (size_t gap = at; gap < end; gap++) {
        if (gap > at && ((uint8_t)text[gap] & 0xC0) == 0x80) continue; /* inside a character */
        size_t n = solo_pattern_match(pattern, text + gap, end - gap);
        if (n != SOLO_PATTERN_NONE && n > 0) return gap > at ? gap : at + n;
    }
    return end;
}

size_t solo_pretokenize(const solo_pretokenizer *rule, const char *text, size_t n, solo_cut *cut) {
    size_t at = cut->at, end = n;
    if (at == n) return 0;
    for (uint32_t i = 0; i < rule->n_pattern; i++) {
        if (cut->end[i] <= at) cut->end[i] = piece_end(rule->pattern[i], text, at, end);
        end = cut->end[i];
    }
    cut->at = end;
    return end - at;
}
