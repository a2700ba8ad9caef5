/* jinja_value.c: the values of a template: memory, lists and dicts, truth and order, and how they
 * are written: as Python prints them, and as JSON; and JSON read. */
#include "jinja_internal.h"

#include <inttypes.h>
#include <math.h>

/* ---- memory and bounds -------------------------------------------------------------------- */

void *jinja_alloc(jinja *j, size_t n) {
    n = (n + 15) & ~(size_t)15;
    if (!j->chunk || j->chunk->cap - j->chunk->n < n) {
        size_t cap = n > 16384 ? n : 16384;
        jinja_chunk *chunk = solo_zalloc(1, sizeof *chunk + 16 + cap);
        *chunk = (jinja_chunk){j->chunk, 0, cap};
        j->chunk = chunk;
        j->n_bytes += cap;
    }
    char *at = (char *)j->chunk + ((sizeof *j->chunk + 15) & ~(size_t)15) + j->chunk->n;
    j->chunk->n += n;
    return at;
}

bool jinja_fail(jinja *j, const char *fmt, ...) {
    char text[700];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return solo_fail(j->err, SOLO_UNSUPPORTED, "%.200s: line %u: %s", j->desc->label, j->line, text);
}

bool jinja_step(jinja *j, size_t n) {
    j->n_step += 1 + n / 16;
    if (j->n_step > JINJA_MAX_STEP) return jinja_fail(j, "wanted at most %u steps, found more", JINJA_MAX_STEP);
    if (j->n_bytes > JINJA_MAX_BYTES) {
        return jinja_fail(j, "wanted at most %u bytes of values, found more", JINJA_MAX_BYTES);
    }
    if (j->out && j->out->n > JINJA_MAX_OUT) {
        return jinja_fail(j, "wanted at most %zu bytes of text, found more", JINJA_MAX_OUT);
    }
    return true;
}

/* ---- making ------------------------------------------------------------------------------- */

jinja_value jinja_str(jinja *j, const char *at, size_t n) {
    char *copy = jinja_alloc(j, n + 1);
    if (n > 0) memcpy(copy, at, n);
    return jinja_borrow((solo_str){copy, n});
}

jinja_value jinja_bool(bool b) { return (jinja_value){.kind = JINJA_BOOL, .as.b = b}; }
jinja_value jinja_int(int64_t i) { return (jinja_value){.kind = JINJA_INT, .as.i = i}; }
jinja_value jinja_borrow(solo_str s) { return (jinja_value){.kind = JINJA_STR, .as.s = s}; }
jinja_value jinja_undefined(solo_str name) { return (jinja_value){.kind = JINJA_UNDEFINED, .as.s = name}; }

jinja_value jinja_new_list(jinja *j) {
    return (jinja_value){.kind = JINJA_LIST, .as.list = jinja_alloc(j, sizeof(jinja_list))};
}

jinja_value jinja_new_dict(jinja *j) {
    return (jinja_value){.kind = JINJA_DICT, .as.dict = jinja_alloc(j, sizeof(jinja_dict))};
}

void jinja_push(jinja *j, jinja_list *list, jinja_value value) {
    if (list->n == list->cap) {
        uint32_t cap = list->cap ? 2 * list->cap : 8;
        jinja_value *at = jinja_alloc(j, cap * sizeof *at);
        if (list->n > 0) memcpy(at, list->at, list->n * sizeof *at);
        list->at = at;
        list->cap = cap;
    }
    list->at[list->n++] = value;
}

static jinja_pair *find(jinja *j, const jinja_dict *dict, const jinja_value *key) {
    j->n_step += dict->n / 16;
    for (uint32_t i = 0; i < dict->n; i++) {
        if (jinja_equal(j, &dict->at[i].key, key)) return &dict->at[i];
    }
    return NULL;
}

void jinja_put(jinja *j, jinja_dict *dict, jinja_value key, jinja_value value) {
    jinja_pair *pair = find(j, dict, &key);
    if (pair) {
        pair->value = value;
        return;
    }
    if (dict->n == dict->cap) {
        uint32_t cap = dict->cap ? 2 * dict->cap : 8;
        jinja_pair *at = jinja_alloc(j, cap * sizeof *at);
        if (dict->n > 0) memcpy(at, dict->at, dict->n * sizeof *at);
        dict->at = at;
        dict->cap = cap;
    }
    dict->at[dict->n++] = (jinja_pair){key, value};
}

bool jinja_get(jinja *j, const jinja_dict *dict, solo_str key, jinja_value *out) {
    jinja_value name = jinja_borrow(key);
    const jinja_pair *pair = find(j, dict, &name);
    if (pair) *out = pair->value;
    return pair != NULL;
}

/* ---- asking ------------------------------------------------------------------------------- */

bool jinja_is(solo_str s, const char *text) { return s.n == strlen(text) && memcmp(s.at, text, s.n) == 0; }

bool jinja_truth(const jinja_value *v) {
    switch (v->kind) {
    case JINJA_UNDEFINED: case JINJA_NONE: return false;
    case JINJA_BOOL: return v->as.b;
    case JINJA_INT: return v->as.i != 0;
    case JINJA_FLOAT: return v->as.f < 0 || v->as.f > 0;
    case JINJA_STR: return v->as.s.n > 0;
    case JINJA_LIST: return v->as.list->n > 0;
    case JINJA_DICT: return v->as.dict->is_namespace || v->as.dict->n > 0;
    default: return true;
    }
}

static bool number_of(const jinja_value *v, double *out) {
    if (v->kind == JINJA_BOOL) *out = v->as.b;
    else if (v->kind == JINJA_INT) *out = (double)v->as.i;
    else if (v->kind == JINJA_FLOAT) *out = v->as.f;
    else return false;
    return true;
}

static bool same_float(double x, double y) { return !(x < y) && !(x > y) && !isnan(x) && !isnan(y); }

bool jinja_equal(jinja *j, const jinja_value *a, const jinja_value *b) {
    double x, y;
    j->n_step++;
    if (a->kind == JINJA_INT && b->kind == JINJA_INT) return a->as.i == b->as.i;
    if (number_of(a, &x) && number_of(b, &y)) return same_float(x, y);
    if (a->kind != b->kind || j->n_step > JINJA_MAX_STEP) return false;
    if (a->kind == JINJA_STR) {
        solo_str s = a->as.s, t = b->as.s;
        return s.n == t.n && (s.n == 0 || memcmp(s.at, t.at, s.n) == 0);
    }
    if (a->kind == JINJA_LIST) {
        if (a->as.list->n != b->as.list->n) return false;
        for (uint32_t i = 0; i < a->as.list->n; i++) {
            if (!jinja_equal(j, &a->as.list->at[i], &b->as.list->at[i])) return false;
        }
        return true;
    }
    if (a->kind == JINJA_DICT) {
        if (a->as.dict->n != b->as.dict->n) return false;
        for (uint32_t i = 0; i < a->as.dict->n; i++) {
            const jinja_pair *other = find(j, b->as.dict, &a->as.dict->at[i].key);
            if (!other || !jinja_equal(j, &a->as.dict->at[i].value, &other->value)) return false;
        }
        return true;
    }
    return a->kind == JINJA_UNDEFINED || a->kind == JINJA_NONE;
}

const char *jinja_kind_name(const jinja_value *v) {
    static const char *const names[] = {"undefined", "none", "a boolean", "an integer", "a float", "a text", "a list",
                                        "a mapping", "a loop", "a macro", "a function"};
    return names[v->kind];
}

bool jinja_less(jinja *j, const jinja_value *a, const jinja_value *b, bool *less) {
    double x, y;
    if (number_of(a, &x) && number_of(b, &y)) {
        *less = a->kind == JINJA_INT && b->kind == JINJA_INT ? a->as.i < b->as.i : x < y;
        return true;
    }
    if (a->kind == JINJA_STR && b->kind == JINJA_STR) { /* UTF-8 sorts as its characters do */
        solo_str s = a->as.s, t = b->as.s;
        int order = memcmp(s.at, t.at, s.n < t.n ? s.n : t.n);
        *less = order < 0 || (order == 0 && s.n < t.n);
        return true;
    }
    return jinja_fail(j, "wanted two numbers or two texts to compare, found %s and %s", jinja_kind_name(a),
                      jinja_kind_name(b));
}

size_t jinja_count_chars(solo_str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; n++) {
        uint32_t code;
        i += solo_utf8_decode(s.at + i, s.n - i, &code);
    }
    return n;
}

/* Python's str.strip(): White_Space and the four separators U+001C to U+001F. */
static bool is_stripped(uint32_t code, solo_str chars) {
    if (!chars.at) return (code >= 0x1C && code <= 0x1F) || solo_unicode_is_space(code);
    for (size_t i = 0; i < chars.n;) {
        uint32_t other;
        i += solo_utf8_decode(chars.at + i, chars.n - i, &other);
        if (other == code) return true;
    }
    return false;
}

solo_str jinja_strip(solo_str s, solo_str chars, bool left, bool right) {
    uint32_t code;
    while (left && s.n > 0) {
        size_t length = solo_utf8_decode(s.at, s.n, &code);
        if (!is_stripped(code, chars)) break;
        s = (solo_str){s.at + length, s.n - length};
    }
    while (right && s.n > 0) {
        size_t length = solo_utf8_last(s.at, s.n);
        solo_utf8_decode(s.at + s.n - length, length, &code);
        if (!is_stripped(code, chars)) break;
        s.n -= length;
    }
    return s;
}

bool jinja_items(jinja *j, const jinja_value *v, jinja_list **out) {
    if (v->kind == JINJA_LIST) {
        *out = v->as.list;
        return true;
    }
    *out = jinja_new_list(j).as.list;
    if (v->kind == JINJA_STR) {
        if (!jinja_step(j, v->as.s.n)) return false;
        for (size_t i = 0; i < v->as.s.n;) {
            uint32_t code;
            size_t length = solo_utf8_decode(v->as.s.at + i, v->as.s.n - i, &code);
            jinja_push(j, *out, jinja_borrow((solo_str){v->as.s.at + i, length}));
            i += length;
        }
    } else if (v->kind == JINJA_DICT && !v->as.dict->is_namespace) {
        for (uint32_t i = 0; i < v->as.dict->n; i++) jinja_push(j, *out, v->as.dict->at[i].key);
    } else if (v->kind != JINJA_UNDEFINED) {
        return jinja_fail(j, "wanted something with items, found %s", jinja_kind_name(v));
    }
    return true;
}

/* ---- printing ----------------------------------------------------------------------------- */

/* As Python's repr(): the fewest digits that read back the same. */
static void add_float(solo_text *out, double f) {
    char text[40];
    if (isnan(f) || isinf(f)) {
        solo_text_add(out, "%s", isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
        return;
    }
    int n_digit = 1;
    do snprintf(text, sizeof text, "%.*e", n_digit - 1, f);
    while (!same_float(strtod(text, NULL), f) && n_digit++ < 17);
    int exponent = atoi(strchr(text, 'e') + 1);
    if (exponent < -4 || exponent >= 16) {
        char *e = strchr(text, 'e');
        *e = 0;
        solo_text_add(out, "%se%c%02d", text, exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    int decimals = n_digit - 1 - exponent;
    solo_text_add(out, "%.*f", decimals > 1 ? decimals : 1, f);
}

static bool is_printable(uint32_t code) {
    if (code == ' ') return true;
    const char *category = &SOLO_UNICODE_CATEGORIES[2 * solo_unicode_category(code)];
    return category[0] != 'C' && category[0] != 'Z';
}

static void add_repr(solo_text *out, solo_str s) {
    bool has_single = s.n > 0 && memchr(s.at, '\'', s.n), has_double = s.n > 0 && memchr(s.at, '"', s.n);
    char quote = has_single && !has_double ? '"' : '\'';
    solo_text_add_n(out, &quote, 1);
    for (size_t i = 0, length; i < s.n; i += length) {
        uint32_t code;
        length = solo_utf8_decode(s.at + i, s.n - i, &code);
        if (code == (uint8_t)quote || code == '\\') solo_text_add(out, "\\%c", (int)code);
        else if (code == '\n') solo_text_add(out, "\\n");
        else if (code == '\r') solo_text_add(out, "\\r");
        else if (code == '\t') solo_text_add(out, "\\t");
        else if (code == SOLO_UNICODE_INVALID || is_printable(code)) solo_text_add_n(out, s.at + i, length);
        else if (code < 0x100) solo_text_add(out, "\\x%02x", code);
        else if (code < 0x10000) solo_text_add(out, "\\u%04x", code);
        else solo_text_add(out, "\\U%08x", code);
    }
    solo_text_add_n(out, &quote, 1);
}

static void add_value(jinja *j, solo_text *out, const jinja_value *v, bool quoted, uint32_t depth) {
    if (depth > 64 || out->n > JINJA_MAX_OUT) return; /* the next step fails */
    switch (v->kind) {
    case JINJA_UNDEFINED: break;
    case JINJA_NONE: solo_text_add(out, "None"); break;
    case JINJA_BOOL: solo_text_add(out, v->as.b ? "True" : "False"); break;
    case JINJA_INT: solo_text_add(out, "%" PRId64, v->as.i); break;
    case JINJA_FLOAT: add_float(out, v->as.f); break;
    case JINJA_STR:
        if (quoted) add_repr(out, v->as.s);
        else solo_text_add_n(out, v->as.s.at, v->as.s.n);
        break;
    case JINJA_LIST:
        solo_text_add(out, v->as.list->is_tuple ? "(" : "[");
        for (uint32_t i = 0; i < v->as.list->n; i++) {
            if (i > 0) solo_text_add(out, ", ");
            add_value(j, out, &v->as.list->at[i], true, depth + 1);
        }
        if (v->as.list->is_tuple) solo_text_add(out, v->as.list->n == 1 ? ",)" : ")");
        else solo_text_add(out, "]");
        break;
    case JINJA_DICT:
        solo_text_add(out, "{");
        for (uint32_t i = 0; i < v->as.dict->n; i++) {
            if (i > 0) solo_text_add(out, ", ");
            add_value(j, out, &v->as.dict->at[i].key, true, depth + 1);
            solo_text_add(out, ": ");
            add_value(j, out, &v->as.dict->at[i].value, true, depth + 1);
        }
        solo_text_add(out, "}");
        break;
    default: solo_text_add(out, "<%s>", jinja_kind_name(v)); break;
    }
}

void jinja_add_text(jinja *j, solo_text *out, const jinja_value *v) { add_value(j, out, v, false, 0); }

jinja_value jinja_text_of(jinja *j, const jinja_value *v) {
    if (v->kind == JINJA_STR) return *v;
    solo_text text = {0};
    solo_text_add_n(&text, "", 0);
    jinja_add_text(j, &text, v);
    jinja_value s = jinja_str(j, text.at, text.n);
    free(text.at);
    return s;
}

void solo_json_add_str(solo_text *out, solo_str s, bool only_ascii) {
    static const char shorts[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    solo_text_add(out, "\"");
    for (size_t i = 0, length; i < s.n; i += length) {
        uint32_t code;
        length = solo_utf8_decode(s.at + i, s.n - i, &code);
        const char *known = code > 0 && code < 0x80 ? strchr(shorts, (int)code) : NULL;
        /* strchr may land on a letter of the second column: an escaped one always stands first */
        bool is_short = known && (known - shorts) % 2 == 0;
        if (is_short) solo_text_add(out, "\\%c", known[1]);
        else if (code < 0x20 || (only_ascii && code >= 0x80 && code < 0x10000)) solo_text_add(out, "\\u%04x", code);
        else if (only_ascii && code >= 0x10000 && code != SOLO_UNICODE_INVALID)
            solo_text_add(out, "\\u%04x\\u%04x", 0xD7C0 + (code >> 10), 0xDC00 + (code & 0x3FF));
        else solo_text_add_n(out, s.at + i, length);
    }
    solo_text_add(out, "\"");
}

static void add_line(solo_text *out, const jinja_json_style *style, uint32_t depth) {
    if (style->indent < 0) return;
    solo_text_add(out, "\n");
    for (int64_t i = 0; i < style->indent * depth; i++) solo_text_add_n(out, " ", 1);
}

static int compare_keys(const void *a, const void *b) {
    solo_str s = ((const jinja_pair *)a)->key.as.s, t = ((const jinja_pair *)b)->key.as.s;
    int order = memcmp(s.at, t.at, s.n < t.n ? s.n : t.n);
    return order ? order : (s.n > t.n) - (s.n < t.n);
}

static bool add_dict_json(jinja *j, solo_text *out, const jinja_dict *dict, const jinja_json_style *style,
                          uint32_t depth) {
    jinja_pair *pair = jinja_alloc(j, (dict->n + 1) * sizeof *pair);
    for (uint32_t i = 0; i < dict->n; i++) {
        pair[i] = dict->at[i];
        if (pair[i].key.kind != JINJA_STR) {
            return jinja_fail(j, "tojson: wanted keys that are text, found %s", jinja_kind_name(&pair[i].key));
        }
    }
    if (style->sorted) qsort(pair, dict->n, sizeof *pair, compare_keys);
    solo_text_add(out, "{");
    for (uint32_t i = 0; i < dict->n; i++) {
        if (i > 0) solo_text_add_n(out, style->item.at, style->item.n);
        add_line(out, style, depth + 1);
        solo_json_add_str(out, pair[i].key.as.s, style->only_ascii);
        solo_text_add_n(out, style->key.at, style->key.n);
        if (!jinja_add_json(j, out, &pair[i].value, style, depth + 1)) return false;
    }
    if (dict->n > 0) add_line(out, style, depth);
    solo_text_add(out, "}");
    return true;
}

bool jinja_add_json(jinja *j, solo_text *out, const jinja_value *v, const jinja_json_style *style,
                    uint32_t depth) {
    if (!jinja_step(j, out->n / 1024)) return false;
    if (depth > 64 || out->n > JINJA_MAX_OUT) {
        return jinja_fail(j, "tojson: wanted at most 64 levels, 16 MiB; found more");
    }
    switch (v->kind) {
    case JINJA_NONE: solo_text_add(out, "null"); return true;
    case JINJA_BOOL: solo_text_add(out, v->as.b ? "true" : "false"); return true;
    case JINJA_INT: solo_text_add(out, "%" PRId64, v->as.i); return true;
    case JINJA_FLOAT: add_float(out, v->as.f); return true;
    case JINJA_STR: solo_json_add_str(out, v->as.s, style->only_ascii); return true;
    case JINJA_DICT: return add_dict_json(j, out, v->as.dict, style, depth);
    case JINJA_LIST:
        solo_text_add(out, "[");
        for (uint32_t i = 0; i < v->as.list->n; i++) {
            if (i > 0) solo_text_add_n(out, style->item.at, style->item.n);
            add_line(out, style, depth + 1);
            if (!jinja_add_json(j, out, &v->as.list->at[i], style, depth + 1)) return false;
        }
        if (v->as.list->n > 0) add_line(out, style, depth);
        solo_text_add(out, "]");
        return true;
    default: return jinja_fail(j, "tojson: wanted a value, found %s", jinja_kind_name(v));
    }
}

/* ---- JSON read ---------------------------------------------------------------------------- */

typedef struct json {
    jinja      *j;
    const char *name, *at, *end;
} json;

static bool json_fail(const json *p, const char *wanted) {
    size_t n = (size_t)(p->end - p->at);
    return solo_fail(p->j->err, SOLO_ARGUMENT, "%s: wanted JSON: %s, found \"%.*s\"", p->name, wanted,
                     n > 40 ? 40 : (int)n, p->at);
}

static void json_space(json *p) {
    while (p->at < p->end && strchr(" \t\r\n", *p->at) && *p->at) p->at++;
}

static bool json_take(json *p, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0) return false;
    p->at += n;
    return true;
}

static bool json_hex(json *p, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, p->at++) {
        char c = p->at < p->end ? *p->at : 0, lower = (char)(c | 0x20);
        if (c >= '0' && c <= '9') *code = *code << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f') *code = *code << 4 | (uint32_t)(lower - 'a' + 10);
        else return json_fail(p, "four digits after \\u");
    }
    return true;
}

static bool json_str(json *p, jinja_value *out) {
    static const char escapes[] = "\"\"\\\\//n\nr\rt\tb\bf\f";
    const char *from = p->at;
    while (p->at < p->end && *p->at != '"') p->at += *p->at == '\\' && p->at + 1 < p->end ? 2 : 1;
    char *to = jinja_alloc(p->j, (size_t)(p->at - from) + 8), *start = to;
    p->at = from;
    while (p->at < p->end && *p->at != '"') {
        if (*p->at != '\\') {
            *to++ = *p->at++;
            continue;
        }
        if (++p->at == p->end) break;
        char c = *p->at++;
        const char *known = NULL;
        for (size_t i = 0; i + 1 < sizeof escapes; i += 2) {
            if (escapes[i] == c) known = &escapes[i + 1];
        }
        if (known) {
            *to++ = *known;
        } else if (c == 'u') {
            uint32_t code, low;
            if (!json_hex(p, &code)) return false;
            if (code >= 0xD800 && code < 0xDC00 && json_take(p, "\\u")) {
                if (!json_hex(p, &low)) return false;
                bool pair = low >= 0xDC00 && low < 0xE000;
                code = pair ? 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
            }
            if (code >= 0xD800 && code < 0xE000) code = 0xFFFD;
            to += solo_utf8_encode(code, to);
        } else {
            p->at--;
            return json_fail(p, "an escape");
        }
    }
    if (!json_take(p, "\"")) return json_fail(p, "a closing \"");
    *out = jinja_borrow((solo_str){start, (size_t)(to - start)});
    return true;
}

static bool json_number(json *p, jinja_value *out) {
    char text[64];
    size_t n = 0;
    bool is_float = false;
    while (p->at < p->end && n < sizeof text - 1 && *p->at && strchr("+-0123456789.eE", *p->at)) {
        if (strchr(".eE", *p->at)) is_float = true;
        text[n++] = *p->at++;
    }
    text[n] = 0;
    char *end = text;
    if (is_float) *out = (jinja_value){.kind = JINJA_FLOAT, .as.f = strtod(text, &end)};
    else *out = jinja_int(strtoll(text, &end, 10));
    return (n > 0 && !*end) || json_fail(p, "a value");
}

static bool json_value(json *p, uint32_t depth, jinja_value *out);

static bool json_members(json *p, uint32_t depth, bool is_dict, jinja_value *out) {
    *out = is_dict ? jinja_new_dict(p->j) : jinja_new_list(p->j);
    const char *close = is_dict ? "}" : "]";
    json_space(p);
    if (json_take(p, close)) return true;
    do {
        jinja_value key, value;
        json_space(p);
        if (is_dict) {
            if (!json_take(p, "\"")) return json_fail(p, "a key in \"\"");
            if (!json_str(p, &key)) return false;
            json_space(p);
            if (!json_take(p, ":")) return json_fail(p, ":");
        }
        if (!json_value(p, depth + 1, &value)) return false;
        if (is_dict) jinja_put(p->j, out->as.dict, key, value);
        else jinja_push(p->j, out->as.list, value);
        json_space(p);
    } while (json_take(p, ","));
    return json_take(p, close) || json_fail(p, is_dict ? ", or }" : ", or ]");
}

static bool json_value(json *p, uint32_t depth, jinja_value *out) {
    if (depth > 64) return json_fail(p, "at most 64 levels");
    if (!jinja_step(p->j, 0)) return false;
    json_space(p);
    *out = (jinja_value){.kind = JINJA_NONE};
    if (json_take(p, "null")) return true;
    if (json_take(p, "true")) return *out = jinja_bool(true), true;
    if (json_take(p, "false")) return *out = jinja_bool(false), true;
    if (json_take(p, "\"")) return json_str(p, out);
    if (json_take(p, "[")) return json_members(p, depth, false, out);
    if (json_take(p, "{")) return json_members(p, depth, true, out);
    return json_number(p, out);
}

bool jinja_parse_json(jinja *j, solo_str text, const char *name, jinja_value *out) {
    json p = {j, name, text.at, text.at + text.n};
    if (!json_value(&p, 0, out)) return false;
    json_space(&p);
    return p.at == p.end || json_fail(&p, "the end");
}
