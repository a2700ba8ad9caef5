/* pretokenize.c: cuts text into the words inside which byte pairs may merge, and the UTF-8 and
 * Unicode look-ups that this needs. It does not know about tokens.
 *
 * gpt2 is the published pattern of GPT-2, tried from left to right at each place:
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * smollm first isolates every \p{N} character and then cuts each stretch between them with the same
 * pattern. The end of a stretch acts as the end of the text, so "a 1" is "a", " ", "1". */
#include "unicode.h"

#include <stdbool.h>
#include <string.h>

solo_unicode_class solo_unicode_class_of(uint32_t code) {
    uint32_t lo = 0, hi = solo_unicode_n_range;
    while (lo < hi) { /* the first range that ends at or after code */
        uint32_t mid = lo + (hi - lo) / 2;
        if (solo_unicode_ranges[mid].last < code) lo = mid + 1;
        else hi = mid;
    }
    bool inside = lo < solo_unicode_n_range && solo_unicode_ranges[lo].first <= code;
    return inside ? solo_unicode_ranges[lo].class : SOLO_UNICODE_OTHER;
}

uint32_t solo_utf8_length(uint8_t first, uint8_t *second_min, uint8_t *second_max) {
    *second_min = 0x80;
    *second_max = 0xBF;
    if (first < 0x80) return 1;
    if (first < 0xC2) return 0; /* continuation bytes and overlong forms */
    if (first < 0xE0) return 2;
    if (first < 0xF0) {
        if (first == 0xE0) *second_min = 0xA0; /* overlong below */
        if (first == 0xED) *second_max = 0x9F; /* surrogates above */
        return 3;
    }
    if (first < 0xF5) {
        if (first == 0xF0) *second_min = 0x90;
        if (first == 0xF4) *second_max = 0x8F; /* past U+10FFFF */
        return 4;
    }
    return 0;
}

size_t solo_utf8_decode(const char *at, size_t n, uint32_t *code) {
    const uint8_t *b = (const uint8_t *)at;
    uint8_t lo, hi;
    uint32_t length = solo_utf8_length(b[0], &lo, &hi);
    *code = SOLO_UNICODE_INVALID;
    if (length == 0 || length > n) return 1;
    if (length == 1) {
        *code = b[0];
        return 1;
    }
    if (b[1] < lo || b[1] > hi) return 1;
    uint32_t c = ((uint32_t)b[0] & (0x7Fu >> length)) << 6 | ((uint32_t)b[1] & 0x3Fu);
    for (uint32_t i = 2; i < length; i++) {
        if ((b[i] & 0xC0) != 0x80) return 1;
        c = c << 6 | ((uint32_t)b[i] & 0x3Fu);
    }
    *code = c;
    return length;
}

/* What stands at a place of a stretch; length 0 outside it, where every class test fails. */
typedef struct place {
    size_t             length; /* 0: the stretch ended */
    solo_unicode_class class;
} place;

static place look(solo_pretokenizer rule, const char *at, size_t n) {
    if (n == 0) return (place){0, SOLO_UNICODE_OTHER};
    uint32_t code;
    size_t length = solo_utf8_decode(at, n, &code);
    solo_unicode_class class = code < 0x80 && ((code | 0x20) >= 'a' && (code | 0x20) <= 'z')
                                   ? SOLO_UNICODE_LETTER
                                   : solo_unicode_class_of(code);
    if (rule == SOLO_PRETOKENIZER_SMOLLM && class == SOLO_UNICODE_NUMBER) length = 0;
    return (place){length, class};
}

/* 's|'t|'re|'ve|'m|'ll|'d, in lower case only as the pattern has it; 0: none of them. */
static size_t match_contraction(const char *at, size_t n) {
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    if (at[0] != '\'') return 0;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t length = strlen(endings[i]);
        if (length <= n && memcmp(at, endings[i], length) == 0) return length;
    }
    return 0;
}

static size_t match_spaces(solo_pretokenizer rule, const char *at, size_t n) {
    size_t end = 0, last = 0; /* last: where the run's last character starts */
    place p = look(rule, at, n);
    while (p.length > 0 && p.class == SOLO_UNICODE_SPACE) {
        last = end;
        end += p.length;
        p = look(rule, at + end, n - end);
    }
    /* \s+(?!\S) leaves the last one to what follows, unless that would leave nothing. */
    return p.length > 0 && last > 0 ? last : end;
}

size_t solo_pretokenize(solo_pretokenizer rule, const char *at, size_t n) {
    size_t end = match_contraction(at, n);
    if (end > 0) return end;
    place p = look(rule, at, n);
    if (p.length == 0) { /* smollm: a number character by itself */
        uint32_t code;
        return solo_utf8_decode(at, n, &code);
    }
    if (at[0] == ' ') {
        place after = look(rule, at + 1, n - 1);
        if (after.length > 0 && after.class != SOLO_UNICODE_SPACE) {
            end = 1;
            p = after;
        }
    }
    if (p.class == SOLO_UNICODE_SPACE) return match_spaces(rule, at, n);
    solo_unicode_class class = p.class;
    while (p.length > 0 && p.class == class) {
        end += p.length;
        p = look(rule, at + end, n - end);
    }
    return end;
}
