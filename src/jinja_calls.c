/* jinja_calls.c: the filters, tests, methods and functions that templates of conversations call, each
 * as Jinja or Python has it. Changing the case of letters is ASCII's. */
#include "jinja_internal.h"

#include <math.h>

/* An argument by place or name; NULL: not given. */
static const jinja_value *arg(const jinja_args *args, uint32_t place, const char *name) {
    for (uint32_t i = args->n_positional; i < args->n; i++) {
        if (jinja_is(args->name[i], name)) return &args->at[i];
    }
    return place < args->n_positional ? &args->at[place] : NULL;
}

static bool want_str(jinja *j, const char *what, const jinja_value *v, solo_str *out) {
    *out = (solo_str){"", 0};
    if (!v || v->kind != JINJA_STR) {
        return jinja_fail(j, "%s: wanted a text, found %s", what, v ? jinja_kind_name(v) : "nothing");
    }
    *out = v->as.s;
    return true;
}

static bool want_int(jinja *j, const char *what, const jinja_value *v, int64_t missing, int64_t *out) {
    *out = missing;
    if (!v) return true;
    if (v->kind != JINJA_INT) return jinja_fail(j, "%s: wanted a whole number, found %s", what, jinja_kind_name(v));
    *out = v->as.i;
    return true;
}

static bool give_text(jinja *j, solo_text *text, jinja_value *out) { /* takes it over */
    bool fits = text->n <= JINJA_MAX_OUT;
    if (fits) *out = jinja_str(j, text->at ? text->at : "", text->n);
    free(text->at);
    if (fits) return jinja_step(j, text->n);
    return jinja_fail(j, "wanted a text of at most %zu bytes, found more", JINJA_MAX_OUT);
}

/* ---- texts -------------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }
static char upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 32) : c; }

typedef enum casing { CASE_LOWER, CASE_UPPER, CASE_CAPITALIZE, CASE_TITLE } casing;

static jinja_value change_case(jinja *j, solo_str s, casing how) {
    jinja_value v = jinja_str(j, s.at, s.n);
    char *to = (char *)(uintptr_t)v.as.s.at; /* our copy */
    bool starts_word = true;
    for (size_t i = 0; i < s.n; i++) {
        bool up = how == CASE_UPPER || (how == CASE_CAPITALIZE && i == 0) || (how == CASE_TITLE && starts_word);
        to[i] = up ? upper(s.at[i]) : lower(s.at[i]);
        starts_word = strchr(" \t\n-([{<'\"", s.at[i]) != NULL;
    }
    return v;
}

static size_t find(solo_str s, size_t from, solo_str what) {
    for (size_t i = from; what.n <= s.n && i <= s.n - what.n; i++) {
        if (memcmp(s.at + i, what.at, what.n) == 0) return i;
    }
    return SIZE_MAX;
}

static bool replace(jinja *j, solo_str s, solo_str old, solo_str new, int64_t times, jinja_value *out) {
    solo_text text = {0};
    size_t from = 0;
    for (; times != 0 && old.n > 0; times--) {
        size_t at = find(s, from, old);
        if (at == SIZE_MAX || text.n > JINJA_MAX_OUT) break;
        solo_text_add_n(&text, s.at + from, at - from);
        solo_text_add_n(&text, new.at, new.n);
        from = at + old.n;
    }
    solo_text_add_n(&text, s.at + from, s.n - from);
    return jinja_step(j, s.n) ? give_text(j, &text, out) : (free(text.at), false);
}

static bool is_blank(char c) { return c && strchr(" \t\n\r\f\v", c) != NULL; }

/* Python's split(): by white space where sep is none; at most so many times. */
static bool split(jinja *j, solo_str s, const jinja_value *sep, int64_t times, bool from_right, jinja_value *out) {
    jinja_list *list = (*out = jinja_new_list(j)).as.list;
    size_t from = 0;
    if (!jinja_step(j, 4 * s.n)) return false;
    if (!sep || sep->kind == JINJA_NONE) {
        for (size_t i = 0; i < s.n; times--) {
            while (i < s.n && is_blank(s.at[i])) i++;
            size_t end = i;
            while (end < s.n && (times == 0 || !is_blank(s.at[end]))) end++;
            if (end > i) jinja_push(j, list, jinja_borrow((solo_str){s.at + i, end - i}));
            i = times == 0 ? s.n : end;
        }
        return true;
    }
    solo_str by;
    if (!want_str(j, "split", sep, &by)) return false;
    if (by.n == 0) return jinja_fail(j, "split: wanted a separator, found an empty text");
    if (from_right && times >= 0) { /* leave the first ones together */
        int64_t n = 0;
        for (size_t at = 0; (at = find(s, at, by)) != SIZE_MAX; at += by.n) n++;
        size_t end = 0;
        for (int64_t skip = n - times; skip > 0; skip--) end = find(s, end, by) + by.n;
        if (end > 0) {
            size_t next = find(s, end, by);
            size_t stop = next == SIZE_MAX ? s.n : next;
            jinja_push(j, list, jinja_borrow((solo_str){s.at, stop}));
            if (next == SIZE_MAX) return true;
            from = next + by.n;
        }
        times = -1;
    }
    for (size_t at; times != 0 && (at = find(s, from, by)) != SIZE_MAX; times--) {
        jinja_push(j, list, jinja_borrow((solo_str){s.at + from, at - from}));
        from = at + by.n;
    }
    jinja_push(j, list, jinja_borrow((solo_str){s.at + from, s.n - from}));
    return true;
}

static void split_lines(jinja *j, solo_str s, bool keep_ends, jinja_list *out) {
    for (size_t i = 0; i < s.n;) {
        size_t end = i;
        while (end < s.n && s.at[end] != '\n' && s.at[end] != '\r') end++;
        size_t next = end < s.n ? end + 1 : end;
        if (end + 1 < s.n && s.at[end] == '\r' && s.at[end + 1] == '\n') next++;
        jinja_push(j, out, jinja_borrow((solo_str){s.at + i, (keep_ends ? next : end) - i}));
        i = next;
    }
}

static bool join(jinja *j, const jinja_value *in, solo_str with, const jinja_value *attribute, jinja_value *out) {
    jinja_list *list;
    solo_text text = {0};
    if (!jinja_items(j, in, &list)) return false;
    for (uint32_t i = 0; i < list->n && text.n <= JINJA_MAX_OUT; i++) {
        jinja_value item = list->at[i];
        if (attribute && attribute->kind == JINJA_STR && !jinja_attribute(j, &list->at[i], attribute->as.s, &item)) {
            free(text.at);
            return false;
        }
        if (i > 0) solo_text_add_n(&text, with.at, with.n);
        jinja_add_text(j, &text, &item);
    }
    return give_text(j, &text, out);
}

static bool indent(jinja *j, solo_str s, const jinja_args *args, jinja_value *out) {
    int64_t width;
    const jinja_value *given = arg(args, 0, "width"), *first = arg(args, 1, "first"), *blank = arg(args, 2, "blank");
    if (!want_int(j, "indent", given, 4, &width)) return false;
    if (width < 0 || width > 1000) return jinja_fail(j, "indent: wanted a width up to 1000, found another");
    jinja_list *lines = jinja_new_list(j).as.list;
    solo_text text = {0};
    split_lines(j, s, true, lines);
    for (uint32_t i = 0; i < lines->n && text.n <= JINJA_MAX_OUT; i++) {
        solo_str line = lines->at[i].as.s;
        bool is_blank_line = line.n > 0 && (line.at[0] == '\n' || line.at[0] == '\r');
        bool moved = i == 0 ? first && jinja_truth(first) : !is_blank_line || (blank && jinja_truth(blank));
        for (int64_t k = 0; moved && k < width; k++) solo_text_add_n(&text, " ", 1);
        solo_text_add_n(&text, line.at, line.n);
    }
    return give_text(j, &text, out);
}

/* ---- filters ------------------------------------------------------------------------------ */

static bool to_json(jinja *j, const jinja_value *in, const jinja_args *args, jinja_value *out) {
    const jinja_value *ascii = arg(args, 0, "ensure_ascii"), *width = arg(args, 1, "indent"),
                      *separators = arg(args, 2, "separators"), *sorted = arg(args, 3, "sort_keys");
    jinja_json_style style = {.item = SOLO_STR(", "), .key = SOLO_STR(": ")};
    if (width && width->kind == JINJA_NONE) width = NULL;
    if (!want_int(j, "tojson", width, -1, &style.indent)) return false;
    if (style.indent > 64) return jinja_fail(j, "tojson: wanted an indent up to 64, found more");
    if (style.indent >= 0) style.item = SOLO_STR(",");
    if (separators && separators->kind == JINJA_LIST && separators->as.list->n == 2) {
        if (!want_str(j, "tojson", &separators->as.list->at[0], &style.item) ||
            !want_str(j, "tojson", &separators->as.list->at[1], &style.key)) return false;
    }
    style.only_ascii = ascii && jinja_truth(ascii);
    style.sorted = sorted && jinja_truth(sorted);
    solo_text text = {0};
    bool ok = jinja_add_json(j, &text, in, &style, 0);
    if (ok) return give_text(j, &text, out);
    free(text.at);
    return false;
}

static bool length(jinja *j, const jinja_value *in, jinja_value *out) {
    jinja_list *list;
    if (in->kind == JINJA_STR) {
        *out = jinja_int((int64_t)jinja_count_chars(in->as.s));
        return jinja_step(j, in->as.s.n);
    }
    if (!jinja_items(j, in, &list)) return false;
    *out = jinja_int(list->n);
    return true;
}

static jinja_value pairs_of(jinja *j, const jinja_dict *dict) {
    jinja_value all = jinja_new_list(j);
    for (uint32_t i = 0; i < dict->n; i++) {
        jinja_value pair = jinja_new_list(j);
        pair.as.list->is_tuple = true;
        jinja_push(j, pair.as.list, dict->at[i].key);
        jinja_push(j, pair.as.list, dict->at[i].value);
        jinja_push(j, all.as.list, pair);
    }
    return all;
}

/* Merge sort, stable, by the item or one of its attributes. */
static bool sort(jinja *j, jinja_list *list, const jinja_value *attribute, bool reverse) {
    jinja_value *a = list->at, *b = jinja_alloc(j, (list->n + 1) * sizeof *b);
    for (uint32_t width = 1; width < list->n; width *= 2) {
        for (uint32_t at = 0; at < list->n; at += 2 * width) {
            uint32_t mid = at + width < list->n ? at + width : list->n;
            uint32_t end = at + 2 * width < list->n ? at + 2 * width : list->n;
            for (uint32_t l = at, r = mid, to = at; to < end; to++) {
                bool right = l == mid;
                if (l < mid && r < end) {
                    jinja_value x = a[l], y = a[r];
                    if (attribute && (!jinja_attribute(j, &a[l], attribute->as.s, &x) ||
                                      !jinja_attribute(j, &a[r], attribute->as.s, &y))) return false;
                    if (!jinja_less(j, reverse ? &x : &y, reverse ? &y : &x, &right) || !jinja_step(j, 0)) return false;
                }
                b[to] = right ? a[r++] : a[l++];
            }
        }
        memcpy(a, b, list->n * sizeof *a);
    }
    return true;
}

static jinja_list *copy_list(jinja *j, const jinja_list *list) {
    jinja_list *copy = jinja_new_list(j).as.list;
    for (uint32_t i = 0; i < list->n; i++) jinja_push(j, copy, list->at[i]);
    return copy;
}

/* map(attribute=...), map('upper'); select('odd'), selectattr('role', 'equalto', 'user'), and reject. */
static bool pick(jinja *j, solo_str name, const jinja_list *list, const jinja_args *args, jinja_value *out) {
    bool maps = jinja_is(name, "map"), by_attribute = jinja_is(name, "selectattr") || jinja_is(name, "rejectattr");
    bool keeps = name.at[0] == 's';
    const jinja_value *attribute = maps ? arg(args, JINJA_MAX_ARG, "attribute") : NULL;
    if (by_attribute) attribute = arg(args, 0, "");
    const jinja_value *missing = arg(args, JINJA_MAX_ARG, "default");
    uint32_t skip = by_attribute ? 1 : 0;
    solo_str call = {0};
    if ((by_attribute || attribute) && (!attribute || attribute->kind != JINJA_STR)) {
        return jinja_fail(j, "%.*s: wanted an attribute's name", (int)name.n, name.at);
    }
    if (args->n_positional > skip && !want_str(j, "filter", &args->at[skip], &call)) return false;
    if (maps && !attribute && call.n == 0) return jinja_fail(j, "map: wanted attribute= or a filter's name");
    jinja_args rest = {0};
    for (uint32_t i = skip + 1; i < args->n_positional; i++) rest.at[rest.n++] = args->at[i];
    rest.n_positional = rest.n;
    *out = jinja_new_list(j);
    for (uint32_t i = 0; i < list->n; i++) {
        jinja_value item = list->at[i], mapped;
        bool passes;
        if (!jinja_step(j, 0)) return false;
        if (attribute && !jinja_attribute(j, &list->at[i], attribute->as.s, &item)) return false;
        if (maps) {
            mapped = item.kind == JINJA_UNDEFINED && missing ? *missing : item;
            if (!attribute && !jinja_filter(j, call, &item, &rest, &mapped)) return false;
            jinja_push(j, out->as.list, mapped);
            continue;
        }
        passes = jinja_truth(&item);
        if (call.n > 0 && !jinja_test(j, call, &item, &rest, &passes)) return false;
        if (passes == keeps) jinja_push(j, out->as.list, list->at[i]);
    }
    return true;
}

static bool list_filter(jinja *j, solo_str name, const jinja_value *in, const jinja_args *args, bool *found,
                        jinja_value *out) {
    static const char *const names[] = {"first", "last", "list", "unique", "reverse", "sort", "map", "select", "reject",
                                        "selectattr", "rejectattr", "min", "max", "sum"};
    jinja_list *list;
    for (uint32_t i = 0; i < SOLO_COUNT(names); i++) *found = *found || jinja_is(name, names[i]);
    if (!*found) return true;
    bool picks = jinja_is(name, "map") || jinja_is(name, "select") || jinja_is(name, "reject") ||
                 jinja_is(name, "selectattr") || jinja_is(name, "rejectattr");
    if (picks && !jinja_truth(in)) return *out = jinja_new_list(j), true; /* of none, too */
    if (!jinja_items(j, in, &list) || !jinja_step(j, 8 * (size_t)list->n)) return false;
    if (picks) return pick(j, name, list, args, out);
    *out = jinja_undefined((solo_str){"", 0});
    if (jinja_is(name, "first") || jinja_is(name, "last")) {
        if (list->n > 0) *out = list->at[jinja_is(name, "first") ? 0 : list->n - 1];
        return true;
    }
    if (jinja_is(name, "min") || jinja_is(name, "max")) {
        for (uint32_t i = 0; i < list->n; i++) {
            bool less = i == 0, smallest = jinja_is(name, "min");
            if (i > 0 && !jinja_less(j, smallest ? &list->at[i] : out, smallest ? out : &list->at[i], &less)) {
                return false;
            }
            if (less) *out = list->at[i];
        }
        return true;
    }
    if (jinja_is(name, "sum")) {
        *out = jinja_int(0);
        for (uint32_t i = 0; i < list->n; i++) {
            if (list->at[i].kind != JINJA_INT) {
                return jinja_fail(j, "sum: wanted whole numbers, found %s", jinja_kind_name(&list->at[i]));
            }
            out->as.i = (int64_t)((uint64_t)out->as.i + (uint64_t)list->at[i].as.i);
        }
        return true;
    }
    *out = jinja_new_list(j);
    if (jinja_is(name, "reverse")) {
        for (uint32_t i = list->n; i > 0; i--) jinja_push(j, out->as.list, list->at[i - 1]);
        if (in->kind == JINJA_STR) return join(j, out, (solo_str){"", 0}, NULL, out);
        return true;
    }
    if (jinja_is(name, "unique")) {
        for (uint32_t i = 0; i < list->n; i++) {
            bool seen = false;
            for (uint32_t k = 0; k < out->as.list->n && !seen; k++) {
                seen = jinja_equal(j, &out->as.list->at[k], &list->at[i]);
            }
            if (!seen) jinja_push(j, out->as.list, list->at[i]);
            if (!jinja_step(j, 0)) return false;
        }
        return true;
    }
    out->as.list = copy_list(j, list);
    if (!jinja_is(name, "sort")) return true;
    const jinja_value *reverse = arg(args, 0, "reverse"), *attribute = arg(args, 2, "attribute");
    if (attribute && attribute->kind != JINJA_STR) attribute = NULL;
    return sort(j, out->as.list, attribute, reverse && jinja_truth(reverse));
}

static bool to_number(jinja *j, solo_str name, const jinja_value *in, const jinja_args *args, jinja_value *out) {
    double f = 0;
    bool ok = in->kind == JINJA_FLOAT || in->kind == JINJA_INT || in->kind == JINJA_BOOL;
    const jinja_value *missing = arg(args, 0, "default");
    if (ok) f = in->kind == JINJA_FLOAT ? in->as.f : in->kind == JINJA_INT ? (double)in->as.i : in->as.b;
    if (in->kind == JINJA_STR && in->as.s.n > 0 && in->as.s.n < 64) {
        char text[64], *end;
        memcpy(text, in->as.s.at, in->as.s.n);
        text[in->as.s.n] = 0;
        f = strtod(text, &end);
        ok = end > text && !*end;
    }
    if (!ok && missing) return *out = *missing, true;
    if (!ok) f = 0;
    if (jinja_is(name, "int")) {
        if (in->kind == JINJA_INT) return *out = *in, true;
        if (isnan(f) || fabs(f) > 4e18) return jinja_fail(j, "int: wanted a number below 2^62, found another");
        *out = jinja_int((int64_t)f);
    } else {
        *out = (jinja_value){.kind = JINJA_FLOAT, .as.f = f};
    }
    return true;
}

static bool number_filter(jinja *j, solo_str name, const jinja_value *in, const jinja_args *args, bool *found,
                          jinja_value *out) {
    int64_t digits;
    *found = true;
    *out = *in;
    if (jinja_is(name, "int") || jinja_is(name, "float")) return to_number(j, name, in, args, out);
    if (jinja_is(name, "abs") && in->kind == JINJA_INT) return out->as.i = in->as.i < 0 ? -in->as.i : in->as.i, true;
    if (jinja_is(name, "abs") && in->kind == JINJA_FLOAT) return out->as.f = fabs(in->as.f), true;
    if (jinja_is(name, "round") && (in->kind == JINJA_INT || in->kind == JINJA_FLOAT)) {
        if (!want_int(j, "round", arg(args, 0, "precision"), 0, &digits)) return false;
        double unit = pow(10, (double)digits), f = in->kind == JINJA_INT ? (double)in->as.i : in->as.f;
        *out = (jinja_value){.kind = JINJA_FLOAT, .as.f = nearbyint(f * unit) / unit};
        return true;
    }
    *found = false;
    return true;
}

static bool text_filter(jinja *j, solo_str name, const jinja_value *in, const jinja_args *args, bool *found,
                        jinja_value *out) {
    jinja_value text = jinja_text_of(j, in);
    solo_str s = text.as.s, a, b;
    *found = true;
    *out = text;
    if (jinja_is(name, "string") || jinja_is(name, "safe")) return true;
    if (jinja_is(name, "trim")) {
        solo_str chars = {0};
        const jinja_value *given = arg(args, 0, "chars");
        if (given && given->kind != JINJA_NONE && !want_str(j, "trim", given, &chars)) return false;
        *out = jinja_borrow(jinja_strip(s, chars, true, true));
        return true;
    }
    if (jinja_is(name, "lower")) return *out = change_case(j, s, CASE_LOWER), true;
    if (jinja_is(name, "upper")) return *out = change_case(j, s, CASE_UPPER), true;
    if (jinja_is(name, "capitalize")) return *out = change_case(j, s, CASE_CAPITALIZE), true;
    if (jinja_is(name, "title")) return *out = change_case(j, s, CASE_TITLE), true;
    if (jinja_is(name, "indent")) return indent(j, s, args, out);
    if (jinja_is(name, "replace")) {
        int64_t times;
        if (!want_str(j, "replace", arg(args, 0, "old"), &a) || !want_str(j, "replace", arg(args, 1, "new"), &b) ||
            !want_int(j, "replace", arg(args, 2, "count"), -1, &times)) return false;
        return replace(j, s, a, b, times, out);
    }
    if (jinja_is(name, "escape") || jinja_is(name, "e")) {
        static const char *const from[] = {"&", "<", ">", "'", "\""};
        static const char *const to[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
        for (uint32_t i = 0; i < SOLO_COUNT(from); i++) {
            if (!replace(j, out->as.s, (solo_str){from[i], 1}, (solo_str){to[i], strlen(to[i])}, -1, out)) return false;
        }
        return true;
    }
    *found = false;
    return true;
}

bool jinja_filter(jinja *j, solo_str name, const jinja_value *in, const jinja_args *args, jinja_value *out) {
    bool found = false;
    if (jinja_is(name, "tojson")) return to_json(j, in, args, out);
    if (jinja_is(name, "length") || jinja_is(name, "count")) return length(j, in, out);
    if (jinja_is(name, "default") || jinja_is(name, "d")) {
        const jinja_value *value = arg(args, 0, "default_value"), *falsy = arg(args, 1, "boolean");
        bool takes = in->kind == JINJA_UNDEFINED || (falsy && jinja_truth(falsy) && !jinja_truth(in));
        *out = !takes ? *in : value ? *value : jinja_borrow((solo_str){"", 0});
        return true;
    }
    if (jinja_is(name, "join")) {
        const jinja_value *with = arg(args, 0, "d");
        solo_str by = {"", 0};
        if (with && !want_str(j, "join", with, &by)) return false;
        return join(j, in, by, arg(args, 1, "attribute"), out);
    }
    if (jinja_is(name, "items") || jinja_is(name, "dictsort")) {
        *out = jinja_new_list(j);
        if (in->kind == JINJA_UNDEFINED) return true;
        if (in->kind != JINJA_DICT) {
            return jinja_fail(j, "%.*s: wanted a mapping, found %s", (int)name.n, name.at, jinja_kind_name(in));
        }
        *out = pairs_of(j, in->as.dict);
        if (!jinja_is(name, "dictsort")) return true;
        for (uint32_t i = 1; i < out->as.list->n; i++) { /* by key, case aside as Jinja has it */
            for (uint32_t k = i; k > 0; k--) {
                jinja_value *a = &out->as.list->at[k - 1], *b = &out->as.list->at[k];
                jinja_value x = jinja_text_of(j, &a->as.list->at[0]), y = jinja_text_of(j, &b->as.list->at[0]);
                bool less;
                x = change_case(j, x.as.s, CASE_LOWER);
                y = change_case(j, y.as.s, CASE_LOWER);
                if (!jinja_less(j, &y, &x, &less) || !jinja_step(j, 64)) return false;
                if (!less) break;
                jinja_value held = *a;
                *a = *b;
                *b = held;
            }
        }
        return true;
    }
    if (!list_filter(j, name, in, args, &found, out)) return false;
    if (!found && !number_filter(j, name, in, args, &found, out)) return false;
    if (!found && !text_filter(j, name, in, args, &found, out)) return false;
    return found || jinja_fail(j, "wanted a filter that Solo has, found |%.*s", (int)name.n, name.at);
}

/* ---- tests -------------------------------------------------------------------------------- */

bool jinja_test(jinja *j, solo_str name, const jinja_value *in, const jinja_args *args, bool *out) {
    static const struct { const char *name; uint32_t kinds; } by_kind[] = {
        {"undefined", 1u << JINJA_UNDEFINED}, {"none", 1u << JINJA_NONE}, {"boolean", 1u << JINJA_BOOL},
        {"string", 1u << JINJA_STR}, {"mapping", 1u << JINJA_DICT}, {"integer", 1u << JINJA_INT},
        {"float", 1u << JINJA_FLOAT}, {"number", 1u << JINJA_INT | 1u << JINJA_FLOAT | 1u << JINJA_BOOL},
        {"iterable", 1u << JINJA_STR | 1u << JINJA_LIST | 1u << JINJA_DICT | 1u << JINJA_UNDEFINED},
        {"sequence", 1u << JINJA_STR | 1u << JINJA_LIST | 1u << JINJA_DICT | 1u << JINJA_UNDEFINED},
        {"callable", 1u << JINJA_MACRO | 1u << JINJA_FUNCTION},
    };
    static const struct { const char *name; const char *op; } compared[] = {
        {"equalto", "=="}, {"eq", "=="}, {"==", "=="}, {"ne", "!="}, {"!=", "!="}, {"sameas", "=="}, {"lt", "<"},
        {"lessthan", "<"}, {"<", "<"}, {"gt", ">"}, {"greaterthan", ">"}, {">", ">"},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(by_kind); i++) {
        if (jinja_is(name, by_kind[i].name)) return *out = by_kind[i].kinds >> in->kind & 1u, true;
    }
    if (jinja_is(name, "defined")) return *out = in->kind != JINJA_UNDEFINED, true;
    if (jinja_is(name, "true") || jinja_is(name, "false")) {
        *out = in->kind == JINJA_BOOL && in->as.b == jinja_is(name, "true");
        return true;
    }
    const jinja_value *other = arg(args, 0, "");
    for (uint32_t i = 0; other && i < SOLO_COUNT(compared); i++) {
        if (!jinja_is(name, compared[i].name)) continue;
        char op = compared[i].op[0];
        if (op == '<') return jinja_less(j, in, other, out);
        if (op == '>') return jinja_less(j, other, in, out);
        *out = jinja_equal(j, in, other) == (op == '=');
        return true;
    }
    if (jinja_is(name, "in") && other) {
        jinja_list *list;
        if (other->kind == JINJA_STR && in->kind == JINJA_STR) {
            return *out = find(other->as.s, 0, in->as.s) != SIZE_MAX, true;
        }
        if (!jinja_items(j, other, &list)) return false;
        *out = false;
        for (uint32_t i = 0; i < list->n && !*out; i++) *out = jinja_equal(j, in, &list->at[i]);
        return true;
    }
    bool even = jinja_is(name, "even"), odd = jinja_is(name, "odd"), divides = jinja_is(name, "divisibleby") && other;
    if (even || odd || divides) {
        int64_t by = divides && other->kind == JINJA_INT ? other->as.i : 2;
        if (in->kind != JINJA_INT || by == 0) {
            return jinja_fail(j, "%.*s: wanted whole numbers, found %s", (int)name.n, name.at, jinja_kind_name(in));
        }
        *out = (in->as.i % by == 0) != odd;
        return true;
    }
    if ((jinja_is(name, "lower") || jinja_is(name, "upper")) && in->kind == JINJA_STR) {
        bool wants_lower = jinja_is(name, "lower"), any = false, all = true;
        for (size_t i = 0; i < in->as.s.n; i++) {
            char c = in->as.s.at[i];
            any = any || lower(c) != upper(c);
            all = all && c == (wants_lower ? lower(c) : upper(c));
        }
        return *out = any && all, true;
    }
    return jinja_fail(j, "wanted a test that Solo has, found `is %.*s`", (int)name.n, name.at);
}

/* ---- methods ------------------------------------------------------------------------------ */

/* A prefix or suffix, or any of a list of them. */
static bool has_affix(jinja *j, solo_str s, const jinja_value *affix, bool at_start, bool *out) {
    if (affix && affix->kind == JINJA_LIST) {
        *out = false;
        for (uint32_t i = 0; i < affix->as.list->n && !*out; i++) {
            if (!has_affix(j, s, &affix->as.list->at[i], at_start, out)) return false;
        }
        return true;
    }
    solo_str a;
    if (!want_str(j, at_start ? "startswith" : "endswith", affix, &a)) return false;
    *out = a.n <= s.n && memcmp(at_start ? s.at : s.at + s.n - a.n, a.at, a.n) == 0;
    return true;
}

static bool strip_method(jinja *j, solo_str s, solo_str name, const jinja_args *args, jinja_value *out) {
    solo_str chars = {0};
    const jinja_value *given = arg(args, 0, "chars");
    if (given && given->kind != JINJA_NONE && !want_str(j, "strip", given, &chars)) return false;
    *out = jinja_borrow(jinja_strip(s, chars, name.at[0] != 'r', name.at[0] != 'l'));
    return true;
}

static bool affix_method(jinja *j, solo_str s, solo_str name, const jinja_args *args, jinja_value *out) {
    bool answer, at_start = jinja_is(name, "startswith") || jinja_is(name, "removeprefix");
    if (!has_affix(j, s, arg(args, 0, ""), at_start, &answer)) return false;
    *out = jinja_bool(answer);
    if (name.at[0] != 'r') return true;
    size_t n = answer && args->at[0].kind == JINJA_STR ? args->at[0].as.s.n : 0;
    *out = jinja_borrow(at_start ? (solo_str){s.at + n, s.n - n} : (solo_str){s.at, s.n - n});
    return true;
}

static bool find_method(jinja *j, solo_str s, solo_str name, const jinja_args *args, jinja_value *out) {
    solo_str what;
    if (!want_str(j, "find", arg(args, 0, "sub"), &what)) return false;
    int64_t n = 0;
    size_t at = find(s, 0, what), last = SIZE_MAX;
    if (jinja_is(name, "find")) {
        *out = jinja_int(at == SIZE_MAX ? -1 : (int64_t)jinja_count_chars((solo_str){s.at, at}));
        return jinja_step(j, s.n);
    }
    for (; at != SIZE_MAX; at = what.n > 0 ? find(s, at + (jinja_is(name, "count") ? what.n : 1), what) : SIZE_MAX) {
        n++;
        last = at;
    }
    int64_t place = last == SIZE_MAX ? -1 : (int64_t)jinja_count_chars((solo_str){s.at, last});
    *out = jinja_int(jinja_is(name, "count") ? n : place);
    return jinja_step(j, s.n);
}

static bool str_method(jinja *j, solo_str s, solo_str name, const jinja_args *args, bool *found, jinja_value *out) {
    int64_t times;
    solo_str a, b;
    *found = true;
    if (jinja_is(name, "strip") || jinja_is(name, "lstrip") || jinja_is(name, "rstrip")) {
        return strip_method(j, s, name, args, out);
    }
    if (jinja_is(name, "startswith") || jinja_is(name, "endswith") || jinja_is(name, "removeprefix") ||
        jinja_is(name, "removesuffix")) return affix_method(j, s, name, args, out);
    if (jinja_is(name, "split") || jinja_is(name, "rsplit")) {
        if (!want_int(j, "split", arg(args, 1, "maxsplit"), -1, &times)) return false;
        return split(j, s, arg(args, 0, "sep"), times, name.at[0] == 'r', out);
    }
    if (jinja_is(name, "splitlines")) {
        const jinja_value *keep = arg(args, 0, "keepends");
        *out = jinja_new_list(j);
        split_lines(j, s, keep && jinja_truth(keep), out->as.list);
        return jinja_step(j, s.n);
    }
    if (jinja_is(name, "replace")) {
        if (!want_str(j, "replace", arg(args, 0, "old"), &a) || !want_str(j, "replace", arg(args, 1, "new"), &b) ||
            !want_int(j, "replace", arg(args, 2, "count"), -1, &times)) return false;
        return replace(j, s, a, b, times, out);
    }
    if (jinja_is(name, "lower")) return *out = change_case(j, s, CASE_LOWER), true;
    if (jinja_is(name, "upper")) return *out = change_case(j, s, CASE_UPPER), true;
    if (jinja_is(name, "capitalize")) return *out = change_case(j, s, CASE_CAPITALIZE), true;
    if (jinja_is(name, "title")) return *out = change_case(j, s, CASE_TITLE), true;
    if (jinja_is(name, "join")) {
        return args->n > 0 ? join(j, &args->at[0], s, NULL, out) : jinja_fail(j, "join: wanted a list");
    }
    if (jinja_is(name, "find") || jinja_is(name, "rfind") || jinja_is(name, "count")) {
        return find_method(j, s, name, args, out);
    }
    if (jinja_is(name, "isdigit") || jinja_is(name, "isspace")) {
        bool digits = jinja_is(name, "isdigit"), all = s.n > 0;
        for (size_t i = 0; i < s.n; i++) all = all && (digits ? s.at[i] >= '0' && s.at[i] <= '9' : is_blank(s.at[i]));
        return *out = jinja_bool(all), true;
    }
    *found = false;
    return true;
}

static bool dict_method(jinja *j, const jinja_dict *dict, solo_str name, const jinja_args *args, bool *found,
                        jinja_value *out) {
    *found = true;
    if (jinja_is(name, "items")) return *out = pairs_of(j, dict), true;
    if (jinja_is(name, "keys") || jinja_is(name, "values")) {
        *out = jinja_new_list(j);
        for (uint32_t i = 0; i < dict->n; i++) {
            jinja_push(j, out->as.list, name.at[0] == 'k' ? dict->at[i].key : dict->at[i].value);
        }
        return true;
    }
    if (jinja_is(name, "get")) {
        solo_str key;
        const jinja_value *missing = arg(args, 1, "default");
        *out = missing ? *missing : (jinja_value){.kind = JINJA_NONE};
        if (!want_str(j, "get", arg(args, 0, "key"), &key)) return false;
        jinja_get(j, dict, key, out);
        return true;
    }
    *found = false;
    return true;
}

bool jinja_method(jinja *j, const jinja_value *of, solo_str name, const jinja_args *args, bool *found,
                  jinja_value *out) {
    if (of->kind == JINJA_STR) return str_method(j, of->as.s, name, args, found, out);
    if (of->kind == JINJA_DICT) return dict_method(j, of->as.dict, name, args, found, out);
    if (of->kind == JINJA_LOOP && jinja_is(name, "cycle") && args->n > 0) {
        *found = true;
        *out = args->at[of->as.loop->at % args->n];
    }
    if (of->kind == JINJA_LIST && (jinja_is(name, "count") || jinja_is(name, "index")) && args->n == 1) {
        int64_t n = 0, first = -1;
        for (uint32_t i = 0; i < of->as.list->n; i++) {
            if (!jinja_equal(j, &of->as.list->at[i], &args->at[0])) continue;
            if (n++ == 0) first = i;
        }
        *found = true;
        *out = jinja_int(jinja_is(name, "count") ? n : first);
        if (jinja_is(name, "index") && n == 0) return jinja_fail(j, "index: wanted an item of the list, found another");
    }
    return true;
}

/* ---- functions ---------------------------------------------------------------------------- */

static bool call_raise(jinja *j, const jinja_args *args, jinja_value *out) {
    jinja_value text = args->n > 0 ? jinja_text_of(j, &args->at[0]) : jinja_borrow((solo_str){"", 0});
    *out = text;
    return jinja_fail(j, "the template refuses: %.*s", text.as.s.n > 500 ? 500 : (int)text.as.s.n, text.as.s.at);
}

static bool call_namespace(jinja *j, const jinja_args *args, jinja_value *out) {
    *out = jinja_new_dict(j);
    if (args->n_positional == 1 && args->at[0].kind == JINJA_DICT) {
        for (uint32_t i = 0; i < args->at[0].as.dict->n; i++) {
            jinja_put(j, out->as.dict, args->at[0].as.dict->at[i].key, args->at[0].as.dict->at[i].value);
        }
    }
    for (uint32_t i = args->n_positional; i < args->n; i++) {
        jinja_put(j, out->as.dict, jinja_borrow(args->name[i]), args->at[i]);
    }
    return true;
}

static bool call_mutable_namespace(jinja *j, const jinja_args *args, jinja_value *out) {
    if (!call_namespace(j, args, out)) return false;
    out->as.dict->is_namespace = true;
    return true;
}

static bool call_range(jinja *j, const jinja_args *args, jinja_value *out) {
    int64_t part[3] = {0, 0, 1};
    for (uint32_t i = 0; i < args->n && i < 3; i++) {
        if (!want_int(j, "range", &args->at[i], 0, &part[i])) return false;
    }
    if (args->n == 1) {
        part[1] = part[0];
        part[0] = 0;
    }
    *out = jinja_new_list(j);
    bool wide = part[0] > INT32_MAX || part[0] < INT32_MIN || part[1] > INT32_MAX || part[1] < INT32_MIN;
    if (args->n == 0 || part[2] == 0 || wide || part[2] > INT32_MAX || part[2] < INT32_MIN) {
        return jinja_fail(j, "range: wanted numbers of 32 bits and a step other than 0");
    }
    for (int64_t i = part[0]; part[2] > 0 ? i < part[1] : i > part[1]; i += part[2]) {
        if (out->as.list->n == 100000) return jinja_fail(j, "range: wanted at most 100000 numbers, found more");
        jinja_push(j, out->as.list, jinja_int(i));
    }
    return true;
}

/* Days since 1970 to a date of the Gregorian calendar, by eras of 400 years that start in March. */
static void date_of(int64_t day, int64_t *year, int64_t *month, int64_t *of_month) {
    int64_t shifted = day + 719468, era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t in_era = shifted - era * 146097;
    int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    int64_t in_year = in_era - (365 * y + y / 4 - y / 100), m = (5 * in_year + 2) / 153;
    *of_month = in_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = y + era * 400 + (*month <= 2);
}

static bool call_strftime(jinja *j, const jinja_args *args, jinja_value *out) {
    static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July", "August",
                                         "September", "October", "November", "December"};
    static const char *const days[] = {"Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"};
    solo_str format;
    solo_text text = {0};
    if (!want_str(j, "strftime_now", arg(args, 0, "format"), &format)) return false;
    int64_t now = j->desc->now, day = now / 86400, second = now % 86400, year, month, of_month;
    date_of(day, &year, &month, &of_month);
    for (size_t i = 0; i < format.n; i++) {
        char c = format.at[i];
        if (c != '%' || i + 1 == format.n) {
            solo_text_add_n(&text, &c, 1);
            continue;
        }
        c = format.at[++i];
        if (c == 'd') solo_text_add(&text, "%02d", (int)of_month);
        else if (c == 'm') solo_text_add(&text, "%02d", (int)month);
        else if (c == 'Y') solo_text_add(&text, "%d", (int)year);
        else if (c == 'y') solo_text_add(&text, "%02d", (int)(year % 100));
        else if (c == 'B') solo_text_add(&text, "%s", months[month - 1]);
        else if (c == 'b') solo_text_add(&text, "%.3s", months[month - 1]);
        else if (c == 'A') solo_text_add(&text, "%s", days[day % 7]);
        else if (c == 'a') solo_text_add(&text, "%.3s", days[day % 7]);
        else if (c == 'H') solo_text_add(&text, "%02d", (int)(second / 3600));
        else if (c == 'M') solo_text_add(&text, "%02d", (int)(second / 60 % 60));
        else if (c == 'S') solo_text_add(&text, "%02d", (int)(second % 60));
        else {
            free(text.at);
            return jinja_fail(j, "strftime_now: wanted one of d m Y y B b A a H M S after %%, found %c", c);
        }
    }
    return give_text(j, &text, out);
}

static const struct {
    const char *name;
    bool (*call)(jinja *j, const jinja_args *args, jinja_value *out);
} functions[] = {
    {"raise_exception", call_raise}, {"namespace", call_mutable_namespace}, {"dict", call_namespace},
    {"range", call_range},           {"strftime_now", call_strftime},
};

bool jinja_find_function(const jinja *j, solo_str name, jinja_value *out) {
    for (uint32_t i = 0; i < SOLO_COUNT(functions); i++) {
        if (!jinja_is(name, functions[i].name)) continue;
        if (functions[i].call == call_strftime && j->desc->now <= 0) return false;
        *out = (jinja_value){.kind = JINJA_FUNCTION, .as.function = i};
        return true;
    }
    return false;
}

bool jinja_call_function(jinja *j, uint32_t function, const jinja_args *args, jinja_value *out) {
    return functions[function].call(j, args, out);
}
