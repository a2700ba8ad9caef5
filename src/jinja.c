/* jinja.c: runs a template's nodes: expressions to values, statements to text. Names are looked up
 * from the innermost frame outward: a for loop's body and a macro have frames of their own. */
#include "jinja_internal.h"

#include <math.h>

static bool evaluate(jinja *j, const jinja_node *node, jinja_value *out);

typedef enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED } flow;
static flow run(jinja *j, const jinja_node *node);

/* ---- names -------------------------------------------------------------------------------- */

static bool same(solo_str a, solo_str b) { return a.n == b.n && memcmp(a.at, b.at, a.n) == 0; }

static void assign(jinja *j, jinja_frame *frame, solo_str name, jinja_value value) {
    for (uint32_t i = 0; i < frame->n; i++) {
        if (same(frame->var[i].name, name)) {
            frame->var[i].value = value;
            return;
        }
    }
    if (frame->n == frame->cap) {
        uint32_t cap = frame->cap ? 2 * frame->cap : 4;
        struct jinja_var *var = jinja_alloc(j, cap * sizeof *var);
        if (frame->n > 0) memcpy(var, frame->var, frame->n * sizeof *var);
        frame->var = var;
        frame->cap = cap;
    }
    frame->var[frame->n].name = name;
    frame->var[frame->n++].value = value;
}

static jinja_value look_up(const jinja *j, solo_str name) {
    jinja_value value;
    for (const jinja_frame *f = j->frame; f; f = f->outer) {
        for (uint32_t i = 0; i < f->n; i++) {
            if (same(f->var[i].name, name)) return f->var[i].value;
        }
    }
    return jinja_find_function(j, name, &value) ? value : jinja_undefined(name);
}

/* ---- members ------------------------------------------------------------------------------ */

static jinja_value loop_member(const jinja_loop *loop, solo_str name) {
    int64_t at = loop->at, n = loop->list->n;
    if (jinja_is(name, "index")) return jinja_int(at + 1);
    if (jinja_is(name, "index0")) return jinja_int(at);
    if (jinja_is(name, "revindex")) return jinja_int(n - at);
    if (jinja_is(name, "revindex0")) return jinja_int(n - at - 1);
    if (jinja_is(name, "first")) return jinja_bool(at == 0);
    if (jinja_is(name, "last")) return jinja_bool(at == n - 1);
    if (jinja_is(name, "length")) return jinja_int(n);
    if (jinja_is(name, "depth")) return jinja_int(loop->depth);
    if (jinja_is(name, "depth0")) return jinja_int(loop->depth - 1);
    if (jinja_is(name, "previtem") && at > 0) return loop->list->at[at - 1];
    if (jinja_is(name, "nextitem") && at < n - 1) return loop->list->at[at + 1];
    return jinja_undefined(name);
}

bool jinja_attribute(jinja *j, const jinja_value *of, solo_str name, jinja_value *out) {
    *out = jinja_undefined(name);
    if (of->kind == JINJA_UNDEFINED) {
        return jinja_fail(j, "wanted a value before .%.*s, found nothing called \"%.*s\"", (int)name.n, name.at,
                          of->as.s.n > 100 ? 100 : (int)of->as.s.n, of->as.s.at);
    }
    if (of->kind == JINJA_DICT) jinja_get(j, of->as.dict, name, out);
    if (of->kind == JINJA_LOOP) *out = loop_member(of->as.loop, name);
    return true;
}

/* Where the character with this index starts; the text's end past its last. */
static size_t char_at(solo_str s, int64_t index) {
    size_t at = 0;
    uint32_t code;
    for (; index > 0 && at < s.n; index--) at += solo_utf8_decode(s.at + at, s.n - at, &code);
    return at;
}

static bool index_of(jinja *j, const jinja_value *of, const jinja_value *key, jinja_value *out) {
    *out = jinja_undefined((solo_str){"", 0});
    if (key->kind == JINJA_STR) {
        *out = jinja_undefined(key->as.s);
        if (of->kind != JINJA_LIST && of->kind != JINJA_STR) return jinja_attribute(j, of, key->as.s, out);
        return true;
    }
    if (of->kind == JINJA_UNDEFINED) return jinja_attribute(j, of, SOLO_STR("[...]"), out);
    if (key->kind != JINJA_INT) return true;
    if (of->kind == JINJA_LIST) {
        int64_t n = of->as.list->n, at = key->as.i < 0 ? key->as.i + n : key->as.i;
        if (at >= 0 && at < n) *out = of->as.list->at[at];
    } else if (of->kind == JINJA_STR) {
        if (!jinja_step(j, of->as.s.n)) return false;
        int64_t n = (int64_t)jinja_count_chars(of->as.s), at = key->as.i < 0 ? key->as.i + n : key->as.i;
        if (at < 0 || at >= n) return true;
        size_t from = char_at(of->as.s, at);
        *out = jinja_borrow((solo_str){of->as.s.at + from, char_at(of->as.s, at + 1) - from});
    }
    return true;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

/* Python's rules for [start:stop:step]. */
static bool slice(jinja *j, const jinja_value *of, const jinja_value part[3], jinja_value *out) {
    jinja_list *list;
    bool is_str = of->kind == JINJA_STR;
    for (int i = 0; i < 3; i++) {
        if (part[i].kind != JINJA_INT && part[i].kind != JINJA_NONE) {
            return jinja_fail(j, "wanted whole numbers in [:], found %s", jinja_kind_name(&part[i]));
        }
    }
    if (!is_str && of->kind != JINJA_LIST) {
        return jinja_fail(j, "wanted a list or a text before [:], found %s", jinja_kind_name(of));
    }
    if (!jinja_items(j, of, &list)) return false;
    int64_t n = list->n, step = part[2].kind == JINJA_INT ? part[2].as.i : 1;
    if (step == 0) return jinja_fail(j, "wanted a step other than 0 in [::]");
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n;
    int64_t at = step < 0 ? high : low, stop = step < 0 ? low : high;
    if (part[0].kind == JINJA_INT) at = clamp(part[0].as.i < 0 ? part[0].as.i + n : part[0].as.i, low, high);
    if (part[1].kind == JINJA_INT) stop = clamp(part[1].as.i < 0 ? part[1].as.i + n : part[1].as.i, low, high);
    jinja_value taken = jinja_new_list(j);
    for (step = clamp(step, -n - 1, n + 1); step > 0 ? at < stop : at > stop; at += step) {
        jinja_push(j, taken.as.list, list->at[at]);
    }
    *out = taken;
    if (!is_str) return jinja_step(j, 8 * (size_t)taken.as.list->n);
    char *text = jinja_alloc(j, of->as.s.n + 1);
    size_t n_text = 0;
    for (uint32_t i = 0; i < taken.as.list->n; i++) {
        solo_str c = taken.as.list->at[i].as.s;
        memcpy(text + n_text, c.at, c.n);
        n_text += c.n;
    }
    *out = jinja_borrow((solo_str){text, n_text});
    return jinja_step(j, of->as.s.n);
}

/* ---- operators ---------------------------------------------------------------------------- */

static bool contains(jinja *j, const jinja_value *item, const jinja_value *in, bool *out) {
    *out = false;
    if (in->kind == JINJA_STR) {
        if (item->kind != JINJA_STR) {
            return jinja_fail(j, "wanted a text before `in` a text, found %s", jinja_kind_name(item));
        }
        solo_str s = item->as.s, t = in->as.s;
        for (size_t i = 0; !*out && s.n <= t.n && i <= t.n - s.n; i++) *out = memcmp(t.at + i, s.at, s.n) == 0;
        return jinja_step(j, t.n);
    }
    jinja_list *list;
    if (!jinja_items(j, in, &list)) return false;
    for (uint32_t i = 0; !*out && i < list->n; i++) *out = jinja_equal(j, &list->at[i], item);
    return true;
}

static bool join_texts(jinja *j, solo_str a, solo_str b, jinja_value *out) {
    if (a.n + b.n > JINJA_MAX_OUT) {
        return jinja_fail(j, "wanted a text of at most %zu bytes, found more", JINJA_MAX_OUT);
    }
    char *both = jinja_alloc(j, a.n + b.n + 1);
    if (a.n > 0) memcpy(both, a.at, a.n);
    if (b.n > 0) memcpy(both + a.n, b.at, b.n);
    *out = jinja_borrow((solo_str){both, a.n + b.n});
    return jinja_step(j, a.n + b.n);
}

static bool refuse_operands(jinja *j, solo_str op, const jinja_value *a, const jinja_value *b) {
    const jinja_value *missing = a->kind == JINJA_UNDEFINED ? a : b;
    if (missing->kind == JINJA_UNDEFINED) {
        return jinja_fail(j, "wanted values around %.*s, found nothing called \"%.*s\"", (int)op.n, op.at,
                          missing->as.s.n > 100 ? 100 : (int)missing->as.s.n, missing->as.s.at);
    }
    return jinja_fail(j, "wanted two numbers, or for + two texts or two lists, around %.*s, found %s and %s", (int)op.n,
                      op.at, jinja_kind_name(a), jinja_kind_name(b));
}

static double as_float(const jinja_value *v) {
    return v->kind == JINJA_FLOAT ? v->as.f : v->kind == JINJA_BOOL ? (double)v->as.b : (double)v->as.i;
}
static bool is_number(const jinja_value *v) {
    return v->kind == JINJA_INT || v->kind == JINJA_FLOAT || v->kind == JINJA_BOOL;
}

static bool whole_arithmetic(jinja *j, solo_str op, int64_t a, int64_t b, jinja_value *out) {
    const int64_t limit = (int64_t)1 << 62; /* far from where 64 bits overflow, were numbers multiplied */
    if (a > limit || a < -limit || b > limit || b < -limit) {
        return jinja_fail(j, "wanted whole numbers below 2^62, found more");
    }
    int64_t quotient = 0, rest = 0;
    if (jinja_is(op, "//") || jinja_is(op, "%")) {
        if (b == 0) return jinja_fail(j, "wanted a divisor other than 0");
        quotient = a / b;
        rest = a % b;
        if (rest != 0 && (rest < 0) != (b < 0)) {
            quotient--;
            rest += b;
        }
    }
    double product = (double)a * (double)b;
    if (jinja_is(op, "*") && fabs(product) > 4e18) return jinja_fail(j, "wanted a product below 2^62, found more");
    *out = jinja_int(jinja_is(op, "+") ? a + b : jinja_is(op, "-") ? a - b : jinja_is(op, "*") ? a * b
                     : jinja_is(op, "%") ? rest : quotient);
    return true;
}

static bool arithmetic(jinja *j, solo_str op, const jinja_value *a, const jinja_value *b, jinja_value *out) {
    bool plus = jinja_is(op, "+"), divides = jinja_is(op, "/") || jinja_is(op, "//") || jinja_is(op, "%");
    if (plus && a->kind == JINJA_STR && b->kind == JINJA_STR) return join_texts(j, a->as.s, b->as.s, out);
    if (plus && a->kind == JINJA_LIST && b->kind == JINJA_LIST) {
        *out = jinja_new_list(j);
        for (uint32_t i = 0; i < a->as.list->n; i++) jinja_push(j, out->as.list, a->as.list->at[i]);
        for (uint32_t i = 0; i < b->as.list->n; i++) jinja_push(j, out->as.list, b->as.list->at[i]);
        return jinja_step(j, 16 * (size_t)out->as.list->n);
    }
    if (jinja_is(op, "*") && a->kind == JINJA_STR && b->kind == JINJA_INT) {
        int64_t times = b->as.i < 0 ? 0 : b->as.i;
        if (times > 0 && a->as.s.n > (1u << 24) / (uint64_t)times) {
            return jinja_fail(j, "wanted a text of at most 2^24 bytes from *");
        }
        char *text = jinja_alloc(j, a->as.s.n * (size_t)times + 1);
        for (int64_t i = 0; i < times; i++) memcpy(text + (size_t)i * a->as.s.n, a->as.s.at, a->as.s.n);
        *out = jinja_borrow((solo_str){text, a->as.s.n * (size_t)times});
        return jinja_step(j, out->as.s.n);
    }
    if (!is_number(a) || !is_number(b)) return refuse_operands(j, op, a, b);
    bool whole = a->kind != JINJA_FLOAT && b->kind != JINJA_FLOAT;
    if (whole && !jinja_is(op, "/") && !jinja_is(op, "**")) {
        int64_t x = a->kind == JINJA_BOOL ? a->as.b : a->as.i, y = b->kind == JINJA_BOOL ? b->as.b : b->as.i;
        return whole_arithmetic(j, op, x, y, out);
    }
    double x = as_float(a), y = as_float(b), value = 0;
    if (divides && !(y < 0) && !(y > 0)) return jinja_fail(j, "wanted a divisor other than 0");
    if (plus) value = x + y;
    else if (jinja_is(op, "-")) value = x - y;
    else if (jinja_is(op, "*")) value = x * y;
    else if (jinja_is(op, "**")) value = pow(x, y);
    else if (jinja_is(op, "/")) value = x / y;
    else value = jinja_is(op, "//") ? floor(x / y) : x - y * floor(x / y);
    *out = (jinja_value){.kind = JINJA_FLOAT, .as.f = value};
    if (whole && jinja_is(op, "**") && y >= 0 && fabs(value) < 9e15) *out = jinja_int((int64_t)value);
    return true;
}

static bool binary(jinja *j, const jinja_node *node, jinja_value *out) {
    jinja_value a, b;
    solo_str op = node->name;
    bool answer = false;
    if (!evaluate(j, node->a, &a) || !evaluate(j, node->b, &b)) return false;
    if (jinja_is(op, "~")) {
        a = jinja_text_of(j, &a);
        b = jinja_text_of(j, &b);
        return join_texts(j, a.as.s, b.as.s, out);
    }
    if (jinja_is(op, "==") || jinja_is(op, "!=")) {
        answer = jinja_equal(j, &a, &b) == jinja_is(op, "==");
    } else if (jinja_is(op, "in")) {
        if (!contains(j, &a, &b, &answer)) return false;
    } else if (jinja_is(op, "<") || jinja_is(op, ">=")) {
        if (!jinja_less(j, &a, &b, &answer)) return false;
        answer = answer == jinja_is(op, "<");
    } else if (jinja_is(op, ">") || jinja_is(op, "<=")) {
        if (!jinja_less(j, &b, &a, &answer)) return false;
        answer = answer == jinja_is(op, ">");
    } else {
        return arithmetic(j, op, &a, &b, out);
    }
    *out = jinja_bool(answer);
    return true;
}

/* ---- calls -------------------------------------------------------------------------------- */

static bool read_args(jinja *j, const jinja_node *node, jinja_args *args) {
    *args = (jinja_args){0};
    for (uint32_t i = 0; i < node->n_item; i++) {
        bool named = node->names[i].n > 0;
        if (!named && args->n != args->n_positional) return jinja_fail(j, "wanted named arguments last");
        if (!evaluate(j, node->item[i], &args->at[args->n])) return false;
        args->name[args->n++] = node->names[i];
        if (!named) args->n_positional++;
    }
    return true;
}

/* Runs a body into text of its own. */
static bool capture(jinja *j, const jinja_node *body, jinja_value *out) {
    solo_text text = {0}, *outer = j->out;
    solo_text_add_n(&text, "", 0);
    j->out = &text;
    bool ok = run(j, body) != FLOW_FAILED;
    j->out = outer;
    if (ok) *out = jinja_str(j, text.at, text.n);
    free(text.at);
    return ok;
}

bool jinja_call_macro(jinja *j, const jinja_node *macro, const jinja_args *args, jinja_value *out) {
    jinja_frame *caller = j->frame, own = {.outer = &j->global};
    if (args->n_positional > macro->n_item) {
        return jinja_fail(j, "wanted at most %u arguments of %.*s, found %u", macro->n_item, (int)macro->name.n,
                          macro->name.at, args->n_positional);
    }
    j->frame = &own;
    bool ok = true;
    for (uint32_t i = 0; ok && i < macro->n_item; i++) {
        jinja_value value = jinja_undefined(macro->names[i]);
        bool given = i < args->n_positional;
        if (given) value = args->at[i];
        for (uint32_t k = args->n_positional; k < args->n; k++) {
            if (!same(args->name[k], macro->names[i])) continue;
            value = args->at[k];
            given = true;
        }
        if (!given && macro->item[i]) ok = evaluate(j, macro->item[i], &value);
        assign(j, &own, macro->names[i], value);
    }
    ok = ok && capture(j, macro->c, out);
    j->frame = caller;
    return ok;
}

static bool call(jinja *j, const jinja_node *node, jinja_value *out) {
    jinja_value callee, of;
    jinja_args args;
    bool found = false;
    if (node->a->kind == NODE_ATTR) {
        if (!evaluate(j, node->a->a, &of) || !read_args(j, node, &args)) return false;
        if (!jinja_method(j, &of, node->a->name, &args, &found, out)) return false;
        if (found) return true;
        if (!jinja_attribute(j, &of, node->a->name, &callee)) return false;
        if (callee.kind == JINJA_UNDEFINED) {
            return jinja_fail(j, "wanted a method that Solo has, found .%.*s() of %s", (int)node->a->name.n,
                              node->a->name.at, jinja_kind_name(&of));
        }
    } else if (!evaluate(j, node->a, &callee) || !read_args(j, node, &args)) {
        return false;
    }
    if (callee.kind == JINJA_MACRO) return jinja_call_macro(j, callee.as.macro, &args, out);
    if (callee.kind == JINJA_FUNCTION) return jinja_call_function(j, callee.as.function, &args, out);
    if (callee.kind == JINJA_UNDEFINED) {
        solo_str name = callee.as.s;
        return jinja_fail(j, "wanted a function that Solo has, found %.*s()", name.n > 100 ? 100 : (int)name.n,
                          name.at);
    }
    return jinja_fail(j, "wanted a function to call, found %s", jinja_kind_name(&callee));
}

/* ---- expressions -------------------------------------------------------------------------- */

static bool evaluate_dict(jinja *j, const jinja_node *node, jinja_value *out) {
    *out = jinja_new_dict(j);
    for (uint32_t i = 0; i < node->n_item; i += 2) {
        jinja_value key, value;
        if (!evaluate(j, node->item[i], &key) || !evaluate(j, node->item[i + 1], &value)) return false;
        jinja_put(j, out->as.dict, key, value);
    }
    return true;
}

static bool evaluate_list(jinja *j, const jinja_node *node, jinja_value *out) {
    *out = jinja_new_list(j);
    out->as.list->is_tuple = node->is_tuple;
    for (uint32_t i = 0; i < node->n_item; i++) {
        jinja_value value;
        if (!evaluate(j, node->item[i], &value)) return false;
        jinja_push(j, out->as.list, value);
    }
    return true;
}

static bool evaluate_slice(jinja *j, const jinja_node *node, const jinja_value *of, jinja_value *out) {
    const jinja_node *from[3] = {node->b, node->c, node->d};
    jinja_value part[3] = {{.kind = JINJA_NONE}, {.kind = JINJA_NONE}, {.kind = JINJA_NONE}};
    for (int i = 0; i < 3; i++) {
        if (from[i] && !evaluate(j, from[i], &part[i])) return false;
    }
    return slice(j, of, part, out);
}

static bool evaluate_logic(jinja *j, const jinja_node *node, jinja_value *out) {
    if (!evaluate(j, node->a, out)) return false;
    if (node->kind == NODE_NOT) return *out = jinja_bool(!jinja_truth(out)), true;
    if (node->kind == NODE_CHOICE) {
        if (jinja_truth(out)) return evaluate(j, node->b, out);
        *out = jinja_undefined((solo_str){"", 0});
        return node->c ? evaluate(j, node->c, out) : true;
    }
    return jinja_truth(out) == (node->kind == NODE_OR) ? true : evaluate(j, node->b, out);
}

static bool negate(jinja *j, jinja_value *v) {
    if (v->kind == JINJA_INT) v->as.i = -v->as.i;
    else if (v->kind == JINJA_FLOAT) v->as.f = -v->as.f;
    else return jinja_fail(j, "wanted a number after -, found %s", jinja_kind_name(v));
    return true;
}

/* What an expression makes of the value of its first part. */
static bool apply(jinja *j, const jinja_node *node, jinja_value *out) {
    jinja_value a, key;
    jinja_args args;
    bool answer;
    if (!evaluate(j, node->a, &a)) return false;
    switch (node->kind) {
    case NODE_ATTR: return jinja_attribute(j, &a, node->name, out);
    case NODE_ITEM: return evaluate(j, node->b, &key) && index_of(j, &a, &key, out);
    case NODE_SLICE: return evaluate_slice(j, node, &a, out);
    case NODE_FILTER: return read_args(j, node, &args) && jinja_filter(j, node->name, &a, &args, out);
    case NODE_NEGATE: *out = a; return negate(j, out);
    default:
        if (!read_args(j, node, &args) || !jinja_test(j, node->name, &a, &args, &answer)) return false;
        *out = jinja_bool(answer != node->negated);
        return true;
    }
}

static bool evaluate(jinja *j, const jinja_node *node, jinja_value *out) {
    j->line = node->line;
    if (!jinja_step(j, 0)) return false;
    if (++j->depth > JINJA_MAX_DEPTH) return jinja_fail(j, "wanted at most %u levels of nesting", JINJA_MAX_DEPTH);
    bool ok = false;
    switch (node->kind) {
    case NODE_LITERAL: *out = node->value; ok = true; break;
    case NODE_NAME: *out = look_up(j, node->name); ok = true; break;
    case NODE_LIST: ok = evaluate_list(j, node, out); break;
    case NODE_DICT: ok = evaluate_dict(j, node, out); break;
    case NODE_CALL: ok = call(j, node, out); break;
    case NODE_BINARY: ok = binary(j, node, out); break;
    case NODE_AND: case NODE_OR: case NODE_NOT: case NODE_CHOICE: ok = evaluate_logic(j, node, out); break;
    default: ok = apply(j, node, out); break;
    }
    j->depth--;
    return ok;
}

/* ---- statements --------------------------------------------------------------------------- */

static bool unpack(jinja *j, const jinja_node *node, jinja_frame *frame, const jinja_value *value) {
    if (node->n_item == 1) {
        assign(j, frame, node->item[0]->name, *value);
        return true;
    }
    if (value->kind != JINJA_LIST || value->as.list->n != node->n_item) {
        return jinja_fail(j, "wanted %u values for %u names, found %s", node->n_item, node->n_item,
                          jinja_kind_name(value));
    }
    for (uint32_t i = 0; i < node->n_item; i++) assign(j, frame, node->item[i]->name, value->as.list->at[i]);
    return true;
}

static bool set(jinja *j, const jinja_node *node, const jinja_value *value) {
    const jinja_node *target = node->n_item > 0 ? node->item[0] : NULL;
    if (!target || target->kind == NODE_NAME) return unpack(j, node, j->frame, value);
    jinja_value of = look_up(j, target->a->name);
    if (of.kind != JINJA_DICT || !of.as.dict->is_namespace || node->n_item > 1) {
        return jinja_fail(j, "wanted a namespace to set .%.*s of, found %s", (int)target->name.n, target->name.at,
                          jinja_kind_name(&of));
    }
    jinja_put(j, of.as.dict, jinja_borrow(target->name), *value);
    return true;
}

/* The items that pass the condition: loop.length counts these. */
static bool filter_items(jinja *j, const jinja_node *node, jinja_list *all, jinja_list **out) {
    *out = all;
    if (!node->b) return true;
    *out = jinja_new_list(j).as.list;
    for (uint32_t i = 0; i < all->n; i++) {
        jinja_frame own = {.outer = j->frame}, *outer = j->frame;
        jinja_value passes;
        j->frame = &own;
        bool ok = unpack(j, node, &own, &all->at[i]) && evaluate(j, node->b, &passes);
        j->frame = outer;
        if (!ok) return false;
        if (jinja_truth(&passes)) jinja_push(j, *out, all->at[i]);
    }
    return true;
}

static flow run_for(jinja *j, const jinja_node *node) {
    jinja_value over;
    jinja_list *all, *items;
    if (!evaluate(j, node->a, &over) || !jinja_items(j, &over, &all) || !filter_items(j, node, all, &items)) {
        return FLOW_FAILED;
    }
    if (items->n == 0) return node->d ? run(j, node->d) : FLOW_ON;
    jinja_loop *loop = jinja_alloc(j, sizeof *loop);
    *loop = (jinja_loop){.list = items, .depth = ++j->n_loop};
    flow how = FLOW_ON;
    for (; loop->at < loop->list->n && (how == FLOW_ON || how == FLOW_CONTINUE); loop->at++) {
        jinja_frame own = {.outer = j->frame};
        assign(j, &own, SOLO_STR("loop"), (jinja_value){.kind = JINJA_LOOP, .as.loop = loop});
        j->frame = &own;
        how = jinja_step(j, 0) && unpack(j, node, &own, &items->at[loop->at]) ? run(j, node->c) : FLOW_FAILED;
        j->frame = own.outer;
    }
    j->n_loop--;
    return how == FLOW_FAILED ? how : FLOW_ON;
}

static bool run_capture(jinja *j, const jinja_node *node) {
    jinja_value value;
    if (!capture(j, node->c, &value)) return false;
    if (node->a) {
        /* Filters hang on each other; the innermost takes the text in place of a value of its own. */
        jinja_node *chain = node->a, literal = {.kind = NODE_LITERAL, .value = value};
        while (chain->a) chain = chain->a;
        chain->a = &literal;
        bool ok = evaluate(j, node->a, &value);
        chain->a = NULL;
        if (!ok) return false;
    }
    if (node->n_item > 0) return set(j, node, &value);
    jinja_add_text(j, j->out, &value);
    return true;
}

static flow run_body(jinja *j, const jinja_node *body) {
    for (uint32_t i = 0; i < body->n_item; i++) {
        flow how = run(j, body->item[i]);
        if (how != FLOW_ON) return how;
    }
    return FLOW_ON;
}

static flow run_node(jinja *j, const jinja_node *node) {
    jinja_value value;
    switch (node->kind) {
    case NODE_TEXT:
        solo_text_add_n(j->out, node->name.at, node->name.n);
        return jinja_step(j, node->name.n) ? FLOW_ON : FLOW_FAILED;
    case NODE_OUTPUT:
        if (!evaluate(j, node->a, &value)) return FLOW_FAILED;
        jinja_add_text(j, j->out, &value);
        return jinja_step(j, value.kind == JINJA_STR ? value.as.s.n : 0) ? FLOW_ON : FLOW_FAILED;
    case NODE_BODY: return run_body(j, node);
    case NODE_IF:
        if (!evaluate(j, node->a, &value)) return FLOW_FAILED;
        if (jinja_truth(&value)) return run(j, node->b);
        return node->c ? run(j, node->c) : FLOW_ON;
    case NODE_FOR: return run_for(j, node);
    case NODE_SET: return evaluate(j, node->a, &value) && set(j, node, &value) ? FLOW_ON : FLOW_FAILED;
    case NODE_MACRO:
        assign(j, j->frame, node->name, (jinja_value){.kind = JINJA_MACRO, .as.macro = node});
        return FLOW_ON;
    case NODE_CAPTURE: return run_capture(j, node) ? FLOW_ON : FLOW_FAILED;
    case NODE_BREAK: return FLOW_BREAK;
    case NODE_CONTINUE: return FLOW_CONTINUE;
    default: SOLO_ASSERT(false); return FLOW_FAILED; /* an expression is no statement */
    }
}

static flow run(jinja *j, const jinja_node *node) {
    j->line = node->line;
    if (!jinja_step(j, 0)) return FLOW_FAILED;
    if (++j->depth > JINJA_MAX_DEPTH) {
        jinja_fail(j, "wanted at most %u levels of nesting", JINJA_MAX_DEPTH);
        return FLOW_FAILED;
    }
    flow how = run_node(j, node);
    j->depth--;
    return how;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static bool set_variable(jinja *j, const solo_jinja_var *var) {
    jinja_value value;
    if (!jinja_parse_json(j, var->json, var->name ? var->name : "variables", &value)) return false;
    if (var->name) {
        assign(j, &j->global, (solo_str){var->name, strlen(var->name)}, value);
        return true;
    }
    if (value.kind != JINJA_DICT) {
        return solo_fail(j->err, SOLO_ARGUMENT, "variables: wanted a JSON object, found %s", jinja_kind_name(&value));
    }
    for (uint32_t i = 0; i < value.as.dict->n; i++) {
        const jinja_pair *pair = &value.as.dict->at[i];
        assign(j, &j->global, pair->key.as.s, pair->value);
    }
    return true;
}

static bool render(jinja *j, const solo_jinja_desc *desc) {
    jinja_node *root;
    for (uint32_t i = 0; i < desc->n_var; i++) {
        if (!set_variable(j, &desc->var[i])) return false;
    }
    return jinja_parse(j, &root) && run(j, root) != FLOW_FAILED;
}

bool solo_jinja_render(const solo_jinja_desc *desc, solo_text *out, solo_error *err) {
    jinja j = {.desc = desc, .err = err, .out = out};
    j.frame = &j.global;
    solo_text_add_n(out, "", 0);
    bool ok = render(&j, desc);
    while (j.chunk) {
        jinja_chunk *before = j.chunk->before;
        free(j.chunk);
        j.chunk = before;
    }
    return ok;
}
