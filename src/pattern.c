/* pattern.c: a small regular expression matcher that backtracks. A pattern becomes a graph of nodes:
 * a set of characters so many times, a fork, a look-ahead, the end. Repetition is only of sets, so
 * the matcher recurses as deep as the pattern is long, never as the text is. Time: the published
 * patterns give back at most one run of characters and then take it whole by a later alternative. */
#include "pattern.h"
#include "unicode.h"

enum { MAX_NODE = 512, MAX_RANGE = 4096, MAX_DEPTH = 32, MAX_TIMES = 1000 };

typedef enum node_kind { NODE_SET, NODE_FORK, NODE_AHEAD, NODE_JOIN, NODE_END } node_kind;

typedef struct node {
    node_kind kind;
    uint32_t  next;          /* what must follow; FORK: the first way */
    uint32_t  other;         /* FORK: the second way. AHEAD: the first node of what is looked for */
    bool      negated;       /* SET, AHEAD */
    bool      possessive, has_space;
    uint32_t  categories;    /* SET: bits by general category */
    uint32_t  first, n_range; /* SET: its rows of range[] */
    uint32_t  min, max;
} node;

struct solo_pattern {
    node     *node;
    uint32_t  n_node;
    uint32_t (*range)[2];
    uint32_t  n_range;
    uint32_t  start;
};

/* ---- compiling ---------------------------------------------------------------------------- */

typedef struct compiler {
    solo_pattern *p;
    solo_str      text;
    size_t        at;
    uint32_t      depth;
    bool          folds; /* inside (?i:...) */
    const char   *what;
    solo_error   *err;
} compiler;

static bool fail(const compiler *c, const char *wanted) {
    size_t left = c->text.n - c->at;
    return solo_fail(c->err, SOLO_UNSUPPORTED, "%s: at byte %zu of the pattern: wanted %s, found \"%.*s\"", c->what,
                     c->at, wanted, left > 40 ? 40 : (int)left, c->text.at + c->at);
}

static bool is_next(const compiler *c, const char *with) {
    size_t n = strlen(with);
    return c->text.n - c->at >= n && memcmp(c->text.at + c->at, with, n) == 0;
}

static bool take(compiler *c, const char *with) {
    if (!is_next(c, with)) return false;
    c->at += strlen(with);
    return true;
}

static bool add_node(compiler *c, node_kind kind, uint32_t *index) {
    if (c->p->n_node == MAX_NODE) return fail(c, "at most 512 parts");
    *index = c->p->n_node++;
    c->p->node[*index] = (node){.kind = kind, .min = 1, .max = 1, .first = c->p->n_range};
    return true;
}

static bool add_range(compiler *c, node *set, uint32_t first, uint32_t last) {
    if (c->p->n_range == MAX_RANGE) return fail(c, "at most 4096 ranges of characters");
    c->p->range[c->p->n_range][0] = first;
    c->p->range[c->p->n_range++][1] = last;
    set->n_range++;
    return true;
}

/* One character; where case does not count, its other spellings too: U+017F folds to s, U+212A to k. */
static bool add_char(compiler *c, node *set, uint32_t code) {
    if (!add_range(c, set, code, code)) return false;
    if (!c->folds) return true;
    uint32_t lower = code >= 'A' && code <= 'Z' ? code + 32 : code;
    if (lower < 'a' || lower > 'z') return code < 0x80 ? true : fail(c, "ASCII inside (?i:...)");
    if (!add_range(c, set, code ^ 32, code ^ 32)) return false;
    if (lower == 's') return add_range(c, set, 0x17F, 0x17F);
    return lower == 'k' ? add_range(c, set, 0x212A, 0x212A) : true;
}

/* {L} or {Lu}, after \p or \P: bits of general categories. */
static bool read_property(compiler *c, uint32_t *bits) {
    size_t from = c->at;
    *bits = 0;
    if (take(c, "{")) {
        size_t n = 0;
        while (c->at + n < c->text.n && c->text.at[c->at + n] != '}') n++;
        for (uint32_t i = 0; (n == 1 || n == 2) && i < SOLO_UNICODE_N_CATEGORY; i++) {
            if (memcmp(&SOLO_UNICODE_CATEGORIES[2 * i], c->text.at + c->at, n) == 0) *bits |= 1u << i;
        }
        c->at += n;
        if (*bits && take(c, "}")) return true;
    }
    c->at = from;
    return fail(c, "a general category, as {L} or {Nd}");
}

/* After a backslash; a class that is a complement is one by itself only. */
static bool read_escape(compiler *c, node *set, bool in_brackets, uint32_t *code) {
    static const char controls[] = "n\nr\rt\tf\fv\v0\0";
    *code = SOLO_UNICODE_INVALID;
    if (c->at == c->text.n) return fail(c, "a character after \\");
    char letter = c->text.at[c->at++];
    bool negated = letter == 'S' || letter == 'P' || letter == 'D';
    if (negated && in_brackets) {
        c->at--;
        return fail(c, "no complement inside [...]");
    }
    if (negated) set->negated = true;
    if (letter == 's' || letter == 'S') {
        set->has_space = true;
        return true;
    }
    if (letter == 'p' || letter == 'P') {
        uint32_t bits;
        if (!read_property(c, &bits)) return false;
        set->categories |= bits;
        return true;
    }
    if (letter == 'd' || letter == 'D') {
        for (uint32_t i = 0; i < SOLO_UNICODE_N_CATEGORY; i++) {
            if (memcmp(&SOLO_UNICODE_CATEGORIES[2 * i], "Nd", 2) == 0) set->categories |= 1u << i;
        }
        return true;
    }
    for (size_t i = 0; i + 1 < sizeof controls; i += 2) {
        if (controls[i] == letter) *code = (uint8_t)controls[i + 1];
    }
    if (*code == SOLO_UNICODE_INVALID) {
        bool is_word = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                       (letter >= '0' && letter <= '9') || (uint8_t)letter >= 0x80;
        c->at--;
        if (is_word) return fail(c, "\\s \\S \\d \\p \\n \\r \\t or punctuation after \\");
        c->at++;
        *code = (uint8_t)letter;
    }
    return true;
}

static bool read_code(compiler *c, uint32_t *code) {
    if (c->at == c->text.n) return fail(c, "a character");
    c->at += solo_utf8_decode(c->text.at + c->at, c->text.n - c->at, code);
    return *code != SOLO_UNICODE_INVALID || fail(c, "UTF-8");
}

static bool read_brackets(compiler *c, node *set) {
    set->negated = take(c, "^");
    for (bool first = true; first || !is_next(c, "]"); first = false) {
        uint32_t code, last;
        if (is_next(c, "[") || is_next(c, "&&")) return fail(c, "a plain [...]");
        if (take(c, "\\")) {
            if (!read_escape(c, set, true, &code)) return false;
            if (code == SOLO_UNICODE_INVALID) continue; /* a class */
        } else if (!read_code(c, &code)) {
            return false;
        }
        bool is_range = is_next(c, "-") && c->at + 1 < c->text.n && c->text.at[c->at + 1] != ']';
        if (!is_range) {
            if (!add_char(c, set, code)) return false;
            continue;
        }
        c->at++;
        bool escaped = take(c, "\\");
        if (escaped ? !read_escape(c, set, true, &last) : !read_code(c, &last)) return false;
        if (last == SOLO_UNICODE_INVALID || last < code) return fail(c, "a range that rises");
        bool letters = c->folds && (code < 0x80);
        if (letters) return fail(c, "no range inside (?i:...)");
        if (!add_range(c, set, code, last)) return false;
    }
    return take(c, "]") || fail(c, "]");
}

static bool read_number(compiler *c, uint32_t *n) {
    size_t from = c->at;
    *n = 0;
    while (c->at < c->text.n && c->text.at[c->at] >= '0' && c->text.at[c->at] <= '9' && *n <= MAX_TIMES) {
        *n = *n * 10 + (uint32_t)(c->text.at[c->at++] - '0');
    }
    return (c->at > from && *n <= MAX_TIMES) || fail(c, "a number up to 1000");
}

static bool read_times(compiler *c, uint32_t *min, uint32_t *max, bool *possessive) {
    *min = *max = 1;
    *possessive = false;
    if (take(c, "?")) {
        *min = 0;
    } else if (take(c, "*")) {
        *min = 0;
        *max = UINT32_MAX;
    } else if (take(c, "+")) {
        *max = UINT32_MAX;
    } else if (take(c, "{")) {
        if (!read_number(c, min)) return false;
        *max = *min;
        if (take(c, ",")) {
            *max = UINT32_MAX;
            if (!is_next(c, "}") && !read_number(c, max)) return false;
        }
        if (!take(c, "}") || *max < *min) return fail(c, "{m}, {m,} or {m,n}");
    } else {
        return true;
    }
    *possessive = take(c, "+");
    return !is_next(c, "?") || fail(c, "no lazy repetition");
}

/* Alternatives up to ) or the end; each goes on to `then`. */
static bool read_alternatives(compiler *c, uint32_t then, uint32_t *start);

/* A group with its repetition; ahead of it no more than its opening parenthesis was read. */
static bool read_group(compiler *c, uint32_t *start, uint32_t *tail) {
    bool folds = c->folds, looks = false, negated = false;
    uint32_t join, min, max, inner;
    bool possessive;
    if (take(c, "?i:")) {
        c->folds = true;
    } else if (take(c, "?=") || take(c, "?!")) {
        looks = true;
        negated = c->text.at[c->at - 1] == '!';
    } else if (!take(c, "?:") && is_next(c, "?")) {
        return fail(c, "(?:, (?i:, (?= or (?!");
    }
    if (!add_node(c, looks ? NODE_END : NODE_JOIN, &join)) return false;
    if (!read_alternatives(c, join, &inner)) return false;
    if (!take(c, ")")) return fail(c, ")");
    c->folds = folds;
    *start = inner;
    *tail = join;
    if (looks) {
        if (!add_node(c, NODE_AHEAD, start)) return false;
        c->p->node[*start].other = inner;
        c->p->node[*start].negated = negated;
        *tail = *start;
        return true;
    }
    if (!read_times(c, &min, &max, &possessive)) return false;
    if (max != 1 || possessive) return fail(c, "a group once or with ?");
    if (min == 0) {
        if (!add_node(c, NODE_FORK, start)) return false;
        c->p->node[*start].next = inner;
        c->p->node[*start].other = join;
    }
    return true;
}

static bool read_set(compiler *c, uint32_t *index) {
    uint32_t code;
    if (!add_node(c, NODE_SET, index)) return false;
    node *set = &c->p->node[*index];
    if (take(c, "[")) {
        if (!read_brackets(c, set)) return false;
    } else if (take(c, "\\")) {
        if (!read_escape(c, set, false, &code)) return false;
        if (code != SOLO_UNICODE_INVALID && !add_char(c, set, code)) return false;
    } else {
        if (strchr("*+?{^$.", c->text.at[c->at])) return fail(c, "a character or a class");
        if (!read_code(c, &code) || !add_char(c, set, code)) return false;
    }
    return read_times(c, &set->min, &set->max, &set->possessive);
}

static bool read_sequence(compiler *c, uint32_t then, uint32_t *start) {
    uint32_t last = UINT32_MAX;
    *start = then;
    while (c->at < c->text.n && !is_next(c, "|") && !is_next(c, ")")) {
        uint32_t head = then, tail = then;
        if (take(c, "(")) {
            if (!read_group(c, &head, &tail)) return false;
        } else {
            if (!read_set(c, &head)) return false;
            tail = head;
        }
        if (last == UINT32_MAX) *start = head;
        else c->p->node[last].next = head;
        last = tail;
    }
    if (last != UINT32_MAX) c->p->node[last].next = then;
    return true;
}

static bool read_alternatives(compiler *c, uint32_t then, uint32_t *start) {
    uint32_t fork = UINT32_MAX;
    if (c->depth == MAX_DEPTH) return fail(c, "at most 32 groups inside each other");
    c->depth++;
    for (bool more = true; more;) {
        uint32_t way;
        if (!read_sequence(c, then, &way)) return false;
        more = take(c, "|");
        uint32_t here = way;
        if (more) {
            if (!add_node(c, NODE_FORK, &here)) return false;
            c->p->node[here].next = way;
        }
        if (fork == UINT32_MAX) *start = here;
        else c->p->node[fork].other = here;
        fork = here;
    }
    c->depth--;
    return true;
}

bool solo_pattern_open(solo_pattern **out, solo_str text, const char *what, solo_error *err) {
    solo_pattern *p = solo_zalloc(1, sizeof *p);
    compiler c = {.p = p, .text = text, .what = what, .err = err};
    uint32_t end;
    *out = NULL;
    p->node = solo_zalloc(MAX_NODE, sizeof *p->node);
    p->range = solo_zalloc(MAX_RANGE, sizeof *p->range);
    bool ok = add_node(&c, NODE_END, &end) && read_alternatives(&c, end, &p->start);
    if (ok && c.at < text.n) ok = fail(&c, "the end");
    if (!ok) {
        solo_pattern_close(p);
        return false;
    }
    p->node = solo_realloc(p->node, p->n_node * sizeof *p->node);
    p->range = solo_realloc(p->range, (p->n_range + 1) * sizeof *p->range);
    *out = p;
    return true;
}

void solo_pattern_close(solo_pattern *pattern) {
    if (!pattern) return;
    free(pattern->node);
    free(pattern->range);
    free(pattern);
}

/* ---- matching ----------------------------------------------------------------------------- */

static bool holds(const solo_pattern *p, const node *set, uint32_t code) {
    bool in = false;
    for (uint32_t i = 0; !in && i < set->n_range; i++) {
        const uint32_t *range = p->range[set->first + i];
        in = code >= range[0] && code <= range[1];
    }
    if (!in && set->has_space) in = solo_unicode_is_space(code);
    if (!in && set->categories) in = set->categories >> solo_unicode_category(code) & 1u;
    return in != set->negated;
}

typedef struct matcher {
    const solo_pattern *p;
    const char         *text;
    size_t              n;
    uint64_t            n_left; /* steps: a hostile pattern finds nothing rather than no end */
} matcher;

static size_t run(matcher *m, uint32_t at_node, size_t at);

/* As many characters as there are; then fewer, until the rest fits. */
static size_t run_set(matcher *m, const node *set, size_t at) {
    size_t start = at;
    uint32_t times = 0;
    while (times < set->max && at < m->n) {
        uint32_t code;
        size_t length = solo_utf8_decode(m->text + at, m->n - at, &code);
        if (!holds(m->p, set, code)) break;
        at += length;
        times++;
    }
    for (;;) {
        if (times < set->min) return SOLO_PATTERN_NONE;
        size_t end = run(m, set->next, at);
        if (end != SOLO_PATTERN_NONE || set->possessive || times == set->min) return end;
        at -= solo_utf8_last(m->text + start, at - start);
        times--;
    }
}

static size_t run(matcher *m, uint32_t at_node, size_t at) {
    for (;;) {
        const node *x = &m->p->node[at_node];
        if (m->n_left == 0) return SOLO_PATTERN_NONE;
        m->n_left--;
        switch (x->kind) {
        case NODE_END: return at;
        case NODE_SET: return run_set(m, x, at);
        case NODE_FORK: {
            size_t end = run(m, x->next, at);
            if (end != SOLO_PATTERN_NONE) return end;
            at_node = x->other;
            break;
        }
        case NODE_AHEAD: {
            bool found = run(m, x->other, at) != SOLO_PATTERN_NONE;
            if (found == x->negated) return SOLO_PATTERN_NONE;
            at_node = x->next;
            break;
        }
        case NODE_JOIN: at_node = x->next; break;
        }
    }
}

size_t solo_pattern_match(const solo_pattern *pattern, const char *at, size_t n) {
    matcher m = {.p = pattern, .text = at, .n = n, .n_left = 100000 + 16 * (uint64_t)n};
    return run(&m, pattern->start, 0);
}
