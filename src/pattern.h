/* pattern.h: the regular expressions that tokenizers publish, compiled and matched. What they use is
 * here and nothing else: literals, classes with \s \S \p{...} \P{...} and ranges, groups with
 * alternatives, (?i:...), look-ahead, and ? * + {m,n} (a group only ?), greedy or possessive. */
#ifndef SOLO_PATTERN_H
#define SOLO_PATTERN_H

#include "base.h"

typedef struct solo_pattern solo_pattern;

/* Fails with UNSUPPORTED, naming the place, where the text needs something else. what: names the
 * pattern in the message. */
bool solo_pattern_open(solo_pattern **out, solo_str text, const char *what, solo_error *err);
void solo_pattern_close(solo_pattern *pattern);

#define SOLO_PATTERN_NONE SIZE_MAX

/* The length of the match at the start of n bytes, which may be 0; NONE. Takes the first alternative
 * that fits, as Perl's do. The end of the n bytes is the end of the text. */
size_t solo_pattern_match(const solo_pattern *pattern, const char *at, size_t n);

#endif
