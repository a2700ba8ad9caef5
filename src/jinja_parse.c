/* jinja_parse.c: a template's text to nodes. Text between tags is trimmed as Jinja does with
 * trim_blocks and lstrip_blocks: the line feed after a block tag goes, and the blanks before one on
 * its line. */
#include "jinja_internal.h"

typedef enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STR, TOKEN_INT, TOKEN_FLOAT, TOKEN_OP } token_kind;

typedef struct token {
    token_kind  kind;
    solo_str    text;  /* NAME, OP */
    jinja_value value; /* STR, INT, FLOAT */
} token;

typedef struct parser {
    jinja   *j;
    solo_str src;
    size_t   at;
    uint32_t line, depth, nesting; /* depth: of the parser; nesting: of brackets in this tag */
    bool     in_block;   /* the tag is {% %}, not {{ }} */
    bool     line_start; /* text from here begins a line */
    bool     in_loop;
    token    tok;
} parser;

static bool fail(parser *p, const char *wanted) {
    p->j->line = p->line;
    if (p->tok.kind == TOKEN_STR) return jinja_fail(p->j, "wanted %s, found a text", wanted);
    if (p->tok.kind == TOKEN_END) return jinja_fail(p->j, "wanted %s, found the end of the tag", wanted);
    return jinja_fail(p->j, "wanted %s, found \"%.*s\"", wanted, p->tok.text.n > 40 ? 40 : (int)p->tok.text.n,
                      p->tok.text.at);
}

static bool enter(parser *p) {
    if (++p->depth <= JINJA_MAX_DEPTH / 2) return true;
    return fail(p, "less nesting");
}

static jinja_node *new_node(parser *p, jinja_node_kind kind) {
    jinja_node *node = jinja_alloc(p->j, sizeof *node);
    node->kind = kind;
    node->line = p->line;
    return node;
}

static void add_item(parser *p, jinja_node *node, jinja_node *item, solo_str name) {
    if ((node->n_item & (node->n_item - 1)) == 0) { /* full at each power of two */
        uint32_t cap = node->n_item ? 2 * node->n_item : 1;
        jinja_node **items = jinja_alloc(p->j, cap * sizeof(jinja_node *));
        solo_str *names = jinja_alloc(p->j, cap * sizeof *names);
        if (node->n_item > 0) {
            memcpy(items, node->item, node->n_item * sizeof *items);
            memcpy(names, node->names, node->n_item * sizeof *names);
        }
        node->item = items;
        node->names = names;
    }
    node->item[node->n_item] = item;
    node->names[node->n_item++] = name;
}

/* ---- tokens ------------------------------------------------------------------------------- */

static bool starts(const parser *p, const char *with) {
    size_t n = strlen(with);
    return p->src.n - p->at >= n && memcmp(p->src.at + p->at, with, n) == 0;
}

static char peek(const parser *p) { return p->at < p->src.n ? p->src.at[p->at] : 0; }
static bool is_letter(char c) { return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || (uint8_t)c >= 0x80; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static void skip_space(parser *p) {
    while (p->at < p->src.n && strchr(" \t\n\r\f\v", p->src.at[p->at]) && p->src.at[p->at]) {
        if (p->src.at[p->at++] == '\n') p->line++;
    }
}

static bool is_tag_end(const parser *p) {
    const char *end = p->in_block ? "%}" : "}}";
    if (p->nesting > 0) return false;
    if (starts(p, end)) return true;
    bool sign = peek(p) == '-' || (p->in_block && peek(p) == '+');
    return sign && p->src.n - p->at >= 3 && memcmp(p->src.at + p->at + 1, end, 2) == 0;
}

static bool read_hex(parser *p, uint32_t n, uint32_t *code) {
    *code = 0;
    for (uint32_t i = 0; i < n; i++, p->at++) {
        char c = peek(p), lower = (char)(c | 0x20);
        if (is_digit(c)) *code = *code << 4 | (uint32_t)(c - '0');
        else if (lower >= 'a' && lower <= 'f') *code = *code << 4 | (uint32_t)(lower - 'a' + 10);
        else return fail(p, "hexadecimal digits");
    }
    return true;
}

/* Python's escapes; an unknown one stands for itself, backslash included. */
static bool read_str(parser *p) {
    static const char escapes[] = "n\nr\rt\t\\\\\'\'\"\"a\ab\bf\fv\v0\0";
    char quote = p->src.at[p->at++];
    size_t from = p->at;
    while (p->at < p->src.n && p->src.at[p->at] != quote) p->at += peek(p) == '\\' && p->at + 1 < p->src.n ? 2 : 1;
    if (p->at >= p->src.n) return fail(p, "the end of a text");
    char *start = jinja_alloc(p->j, p->at - from + 8), *to = start;
    for (p->at = from; p->src.at[p->at] != quote;) {
        char c = p->src.at[p->at++];
        if (c == '\n') p->line++;
        if (c != '\\') {
            *to++ = c;
            continue;
        }
        c = p->src.at[p->at++];
        bool known = false;
        for (size_t i = 0; i + 1 < sizeof escapes && !known; i += 2) {
            known = escapes[i] == c;
            if (known) *to++ = escapes[i + 1];
        }
        uint32_t code, n_hex = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
        if (n_hex > 0) {
            if (!read_hex(p, n_hex, &code)) return false;
            to += solo_utf8_encode(code < 0xD800 || (code >= 0xE000 && code < 0x110000) ? code : 0xFFFD, to);
        } else if (c == '\n') {
            p->line++; /* a continued line */
        } else if (!known) {
            *to++ = '\\';
            *to++ = c;
        }
    }
    p->at++;
    p->tok.kind = TOKEN_STR;
    p->tok.value = jinja_borrow((solo_str){start, (size_t)(to - start)});
    return true;
}

static void read_number(parser *p) {
    char text[64];
    size_t n = 0;
    bool is_float = false;
    for (;; p->at++) {
        char c = peek(p), after = p->at + 1 < p->src.n ? p->src.at[p->at + 1] : 0;
        bool point = c == '.' && !is_float && is_digit(after);
        bool exponent = (c | 0x20) == 'e' && (is_digit(after) || after == '-' || after == '+');
        bool sign = (c == '-' || c == '+') && n > 0 && (text[n - 1] | 0x20) == 'e';
        if (!is_digit(c) && !point && !exponent && !sign && c != '_') break;
        if (point || exponent) is_float = true;
        if (c != '_' && n < sizeof text - 1) text[n++] = c;
    }
    text[n] = 0;
    p->tok.kind = is_float ? TOKEN_FLOAT : TOKEN_INT;
    if (is_float) p->tok.value = (jinja_value){.kind = JINJA_FLOAT, .as.f = strtod(text, NULL)};
    else p->tok.value = jinja_int(strtoll(text, NULL, 10));
}

static bool advance(parser *p) {
    static const char *const pairs[] = {"==", "!=", "<=", ">=", "//", "**"};
    skip_space(p);
    size_t from = p->at;
    p->tok = (token){TOKEN_END, {p->src.at + p->at, 0}, {0}};
    if (is_tag_end(p)) return true;
    if (p->at == p->src.n) return fail(p, p->in_block ? "%}" : "}}");
    char c = peek(p);
    if (c == '"' || c == '\'') return read_str(p);
    if (is_digit(c)) {
        read_number(p);
    } else if (is_letter(c)) {
        p->tok.kind = TOKEN_NAME;
        while (is_letter(peek(p)) || is_digit(peek(p))) p->at++;
    } else {
        p->tok.kind = TOKEN_OP;
        p->at++;
        for (size_t i = 0; i < SOLO_COUNT(pairs); i++) {
            if (c == pairs[i][0] && peek(p) == pairs[i][1]) {
                p->at++;
                break;
            }
        }
        if (c == '(' || c == '[' || c == '{') p->nesting++;
        if ((c == ')' || c == ']' || c == '}') && p->nesting > 0) p->nesting--;
    }
    p->tok.text = (solo_str){p->src.at + from, p->at - from};
    return true;
}

static bool is_op(const parser *p, const char *text) { return p->tok.kind == TOKEN_OP && jinja_is(p->tok.text, text); }
static bool is_name(const parser *p, const char *text) {
    return p->tok.kind == TOKEN_NAME && jinja_is(p->tok.text, text);
}
static bool is_end(const parser *p) { return p->tok.kind == TOKEN_END; }

static bool expect_op(parser *p, const char *text) { return is_op(p, text) ? advance(p) : fail(p, text); }

static bool expect_name(parser *p, solo_str *out) {
    if (p->tok.kind != TOKEN_NAME) return fail(p, "a name");
    *out = p->tok.text;
    return advance(p);
}

/* The end of the tag, and what of the text after it goes. */
static bool close_tag(parser *p) {
    if (!is_end(p)) return fail(p, p->in_block ? "%}" : "}}");
    char sign = peek(p);
    if (sign == '-' || sign == '+') p->at++;
    p->at += 2;
    p->line_start = false;
    if (sign == '-') {
        size_t from = p->at;
        skip_space(p);
        p->line_start = p->at > from && p->src.at[p->at - 1] == '\n';
    } else if (p->in_block && sign != '+' && peek(p) == '\n') {
        p->at++;
        p->line++;
        p->line_start = true;
    }
    return true;
}

/* ---- expressions -------------------------------------------------------------------------- */

static bool parse_expression(parser *p, jinja_node **out);
static bool parse_unary(parser *p, bool with_filter, jinja_node **out);

/* Arguments after an opening parenthesis, into node's items. */
static bool parse_args(parser *p, jinja_node *node) {
    while (!is_op(p, ")")) {
        solo_str name = {0};
        jinja_node *value;
        if (p->tok.kind == TOKEN_NAME) {
            parser ahead = *p;
            if (!advance(&ahead)) return false;
            if (is_op(&ahead, "=")) {
                name = p->tok.text;
                if (!advance(&ahead)) return false;
                *p = ahead;
            }
        }
        if (is_op(p, "*") || is_op(p, "**")) return fail(p, "plain arguments");
        if (!parse_expression(p, &value)) return false;
        if (node->n_item == JINJA_MAX_ARG) return fail(p, "at most 8 arguments");
        add_item(p, node, value, name);
        if (!is_op(p, ",")) break;
        if (!advance(p)) return false;
    }
    return expect_op(p, ")");
}

static bool parse_list(parser *p, const char *close, jinja_node *list) {
    while (!is_op(p, close)) {
        jinja_node *value;
        if (!parse_expression(p, &value)) return false;
        add_item(p, list, value, (solo_str){0});
        if (!is_op(p, ",")) break;
        if (!advance(p)) return false;
    }
    return expect_op(p, close);
}

static bool parse_dict(parser *p, jinja_node *dict) {
    while (!is_op(p, "}")) {
        jinja_node *key, *value;
        if (!parse_expression(p, &key) || !expect_op(p, ":") || !parse_expression(p, &value)) return false;
        add_item(p, dict, key, (solo_str){0});
        add_item(p, dict, value, (solo_str){0});
        if (!is_op(p, ",")) break;
        if (!advance(p)) return false;
    }
    return expect_op(p, "}");
}

/* (a) is a; (a, b) and () are lists. */
static bool parse_parentheses(parser *p, jinja_node **out) {
    jinja_node *list = new_node(p, NODE_LIST), *first;
    *out = list;
    if (is_op(p, ")")) return advance(p);
    if (!parse_expression(p, &first)) return false;
    if (is_op(p, ")")) {
        *out = first;
        return advance(p);
    }
    add_item(p, list, first, (solo_str){0});
    list->is_tuple = true;
    return expect_op(p, ",") && parse_list(p, ")", list);
}

static bool parse_literal(parser *p, jinja_node **out) {
    jinja_node *node = *out = new_node(p, NODE_LITERAL);
    node->value = p->tok.value;
    bool is_str = p->tok.kind == TOKEN_STR;
    if (!advance(p)) return false;
    while (is_str && p->tok.kind == TOKEN_STR) { /* "a" "b" */
        solo_str a = node->value.as.s, b = p->tok.value.as.s;
        char *both = jinja_alloc(p->j, a.n + b.n + 1);
        memcpy(both, a.at, a.n);
        memcpy(both + a.n, b.at, b.n);
        node->value = jinja_borrow((solo_str){both, a.n + b.n});
        if (!advance(p)) return false;
    }
    return true;
}

static bool parse_primary(parser *p, jinja_node **out) {
    static const struct { const char *name; jinja_value value; } constants[] = {
        {"true", {JINJA_BOOL, {.b = true}}}, {"True", {JINJA_BOOL, {.b = true}}}, {"false", {JINJA_BOOL, {.b = false}}},
        {"False", {JINJA_BOOL, {.b = false}}}, {"none", {JINJA_NONE, {0}}}, {"None", {JINJA_NONE, {0}}},
    };
    if (p->tok.kind == TOKEN_STR || p->tok.kind == TOKEN_INT || p->tok.kind == TOKEN_FLOAT) {
        return parse_literal(p, out);
    }
    if (p->tok.kind == TOKEN_NAME) {
        jinja_node *node = *out = new_node(p, NODE_NAME);
        node->name = p->tok.text;
        for (uint32_t i = 0; i < SOLO_COUNT(constants); i++) {
            if (!jinja_is(node->name, constants[i].name)) continue;
            node->kind = NODE_LITERAL;
            node->value = constants[i].value;
        }
        return advance(p);
    }
    if (is_op(p, "(")) return advance(p) && parse_parentheses(p, out);
    if (is_op(p, "[")) return *out = new_node(p, NODE_LIST), advance(p) && parse_list(p, "]", *out);
    if (is_op(p, "{")) return *out = new_node(p, NODE_DICT), advance(p) && parse_dict(p, *out);
    return fail(p, "a value");
}

/* [x], [a:b:c]; the bracket was read. */
static bool parse_subscript(parser *p, jinja_node **out) {
    jinja_node *node = new_node(p, NODE_ITEM), *part[3] = {NULL, NULL, NULL};
    uint32_t n = 0;
    node->a = *out;
    for (; n < 3; n++) {
        if (!is_op(p, ":") && !is_op(p, "]") && !parse_expression(p, &part[n])) return false;
        if (!is_op(p, ":") || n == 2) break;
        node->kind = NODE_SLICE;
        if (!advance(p)) return false;
    }
    node->b = part[0];
    node->c = part[1];
    node->d = part[2];
    if (node->kind == NODE_ITEM && !node->b) return fail(p, "an index");
    *out = node;
    return expect_op(p, "]");
}

static bool parse_postfix(parser *p, jinja_node **out) {
    for (;;) {
        jinja_node *node;
        if (is_op(p, ".")) {
            node = new_node(p, NODE_ATTR);
            node->a = *out;
            if (!advance(p)) return false;
            if (p->tok.kind == TOKEN_INT) { /* list.0 */
                node->kind = NODE_ITEM;
                if (!parse_literal(p, &node->b)) return false;
            } else if (!expect_name(p, &node->name)) {
                return false;
            }
            *out = node;
        } else if (is_op(p, "[")) {
            if (!advance(p) || !parse_subscript(p, out)) return false;
        } else if (is_op(p, "(")) {
            node = new_node(p, NODE_CALL);
            node->a = *out;
            if (!advance(p) || !parse_args(p, node)) return false;
            *out = node;
        } else {
            return true;
        }
    }
}

/* Whether a test's one argument stands here without parentheses. */
static bool starts_argument(const parser *p) {
    if (p->tok.kind == TOKEN_NAME) {
        static const char *const operators[] = {"else", "or", "and", "is", "if", "in", "not"};
        for (uint32_t i = 0; i < SOLO_COUNT(operators); i++) {
            if (is_name(p, operators[i])) return false;
        }
        return true;
    }
    return p->tok.kind == TOKEN_STR || p->tok.kind == TOKEN_INT || p->tok.kind == TOKEN_FLOAT || is_op(p, "[") ||
           is_op(p, "{");
}

static bool parse_test(parser *p, jinja_node **out) {
    jinja_node *node = new_node(p, NODE_TEST), *arg;
    node->a = *out;
    *out = node;
    if (is_name(p, "not")) {
        node->negated = true;
        if (!advance(p)) return false;
    }
    if (p->tok.kind == TOKEN_OP && !is_op(p, "(")) { /* is == 3 */
        node->name = p->tok.text;
        if (!advance(p)) return false;
    } else if (!expect_name(p, &node->name)) {
        return false;
    }
    if (is_op(p, "(")) return advance(p) && parse_args(p, node);
    if (!starts_argument(p)) return true;
    if (!parse_primary(p, &arg) || !parse_postfix(p, &arg)) return false;
    add_item(p, node, arg, (solo_str){0});
    return true;
}

/* A filter's name and arguments, after the bar. */
static bool parse_filter(parser *p, jinja_node **out) {
    jinja_node *node = new_node(p, NODE_FILTER);
    node->a = *out;
    *out = node;
    if (!expect_name(p, &node->name)) return false;
    return is_op(p, "(") ? advance(p) && parse_args(p, node) : true;
}

static bool parse_filters(parser *p, jinja_node **out) {
    for (;;) {
        if (is_op(p, "|")) {
            if (!advance(p) || !parse_filter(p, out)) return false;
        } else if (is_name(p, "is")) {
            if (!advance(p) || !parse_test(p, out)) return false;
        } else if (is_op(p, "(") || is_op(p, ".") || is_op(p, "[")) {
            if (!parse_postfix(p, out)) return false;
        } else {
            return true;
        }
    }
}

static bool parse_unary(parser *p, bool with_filter, jinja_node **out) {
    bool minus = is_op(p, "-");
    if (minus || is_op(p, "+")) {
        jinja_node *node = new_node(p, NODE_NEGATE), *inner;
        if (!enter(p) || !advance(p) || !parse_unary(p, false, &inner)) return false;
        p->depth--;
        node->a = inner;
        *out = minus ? node : inner;
    } else if (!parse_primary(p, out) || !parse_postfix(p, out)) {
        return false;
    }
    return !with_filter || parse_filters(p, out);
}

static jinja_node *binary(parser *p, jinja_node_kind kind, solo_str name, jinja_node *a, jinja_node *b) {
    jinja_node *node = new_node(p, kind);
    node->name = name;
    node->a = a;
    node->b = b;
    return node;
}

/* From loose to tight. */
static const char *const levels[][5] = {{"+", "-"}, {"~"}, {"*", "/", "//", "%"}, {"**"}};

static bool parse_binary(parser *p, uint32_t level, jinja_node **out) {
    if (level == SOLO_COUNT(levels)) return parse_unary(p, true, out);
    if (!parse_binary(p, level + 1, out)) return false;
    for (;;) {
        bool found = false;
        for (uint32_t i = 0; i < 5 && levels[level][i]; i++) found = found || is_op(p, levels[level][i]);
        if (!found) return true;
        solo_str name = p->tok.text;
        jinja_node *right;
        if (!advance(p) || !parse_binary(p, level + 1, &right)) return false;
        *out = binary(p, NODE_BINARY, name, *out, right);
    }
}

/* a < b < c is a < b and b < c. */
static bool parse_comparison(parser *p, jinja_node **out) {
    static const char *const names[] = {"==", "!=", "<", "<=", ">", ">="};
    jinja_node *left, *all = NULL;
    if (!parse_binary(p, 0, &left)) return false;
    for (;;) {
        bool found = is_name(p, "in"), negated = false;
        for (uint32_t i = 0; i < SOLO_COUNT(names); i++) found = found || is_op(p, names[i]);
        if (is_name(p, "not")) {
            parser ahead = *p;
            if (!advance(&ahead)) return false;
            found = negated = is_name(&ahead, "in");
            if (found) *p = ahead;
        }
        if (!found) break;
        solo_str name = p->tok.text;
        jinja_node *right;
        if (!advance(p) || !parse_binary(p, 0, &right)) return false;
        jinja_node *one = binary(p, NODE_BINARY, name, left, right);
        if (negated) one = binary(p, NODE_NOT, name, one, NULL);
        all = all ? binary(p, NODE_AND, name, all, one) : one;
        left = right;
    }
    *out = all ? all : left;
    return true;
}

static bool parse_not(parser *p, jinja_node **out) {
    if (!is_name(p, "not")) return parse_comparison(p, out);
    jinja_node *inner;
    if (!enter(p) || !advance(p) || !parse_not(p, &inner)) return false;
    p->depth--;
    *out = binary(p, NODE_NOT, (solo_str){0}, inner, NULL);
    return true;
}

static bool parse_logic(parser *p, bool is_or, jinja_node **out) {
    if (is_or ? !parse_logic(p, false, out) : !parse_not(p, out)) return false;
    while (is_name(p, is_or ? "or" : "and")) {
        jinja_node *right;
        if (!advance(p) || !(is_or ? parse_logic(p, false, &right) : parse_not(p, &right))) return false;
        *out = binary(p, is_or ? NODE_OR : NODE_AND, (solo_str){0}, *out, right);
    }
    return true;
}

static bool parse_expression(parser *p, jinja_node **out) {
    if (!enter(p) || !parse_logic(p, true, out)) return false;
    while (is_name(p, "if")) {
        jinja_node *node = new_node(p, NODE_CHOICE);
        node->b = *out;
        if (!advance(p) || !parse_logic(p, true, &node->a)) return false;
        if (is_name(p, "else") && (!advance(p) || !parse_expression(p, &node->c))) return false;
        *out = node;
    }
    p->depth--;
    return true;
}

/* a, b: a list without parentheses, as after `in` or `=`. */
static bool parse_expressions(parser *p, jinja_node **out) {
    if (!parse_expression(p, out)) return false;
    if (!is_op(p, ",")) return true;
    jinja_node *list = new_node(p, NODE_LIST);
    list->is_tuple = true;
    add_item(p, list, *out, (solo_str){0});
    while (is_op(p, ",")) {
        jinja_node *value;
        if (!advance(p)) return false;
        if (is_end(p)) break;
        if (!parse_expression(p, &value)) return false;
        add_item(p, list, value, (solo_str){0});
    }
    *out = list;
    return true;
}

/* ---- statements --------------------------------------------------------------------------- */

/* Reads up to a block tag with one of these names, whose name is then the token read last. */
static bool parse_body(parser *p, const char *const *ends, jinja_node **out);

static bool finish(parser *p, const char *end) { /* {% end %} */
    return is_name(p, end) ? advance(p) && close_tag(p) : fail(p, end);
}

static bool parse_if(parser *p, jinja_node **out) {
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    static const char *const last[] = {"endif", NULL};
    jinja_node *node = *out = new_node(p, NODE_IF);
    if (!enter(p) || !parse_expression(p, &node->a) || !close_tag(p) || !parse_body(p, ends, &node->b)) return false;
    if (is_name(p, "elif")) {
        if (!advance(p) || !parse_if(p, &node->c)) return false;
        p->depth--;
        return true;
    }
    if (is_name(p, "else") && (!advance(p) || !close_tag(p) || !parse_body(p, last, &node->c))) return false;
    p->depth--;
    return finish(p, "endif");
}

/* Names to assign to: a, or a, b; also a.b for set. */
static bool parse_targets(parser *p, bool attributes, jinja_node *node) {
    bool parenthesised = is_op(p, "(");
    if (parenthesised && !advance(p)) return false;
    do {
        jinja_node *target = new_node(p, NODE_NAME), *member;
        if (node->n_item > 0 && !advance(p)) return false; /* the comma */
        if (!expect_name(p, &target->name)) return false;
        if (attributes && is_op(p, ".")) {
            member = new_node(p, NODE_ATTR);
            member->a = target;
            if (!advance(p) || !expect_name(p, &member->name)) return false;
            target = member;
        }
        add_item(p, node, target, (solo_str){0});
    } while (is_op(p, ","));
    return !parenthesised || expect_op(p, ")");
}

static bool parse_for(parser *p, jinja_node **out) {
    static const char *const ends[] = {"else", "endfor", NULL};
    static const char *const last[] = {"endfor", NULL};
    jinja_node *node = *out = new_node(p, NODE_FOR);
    bool in_loop = p->in_loop;
    if (!enter(p) || !parse_targets(p, false, node)) return false;
    if (!is_name(p, "in")) return fail(p, "in");
    /* The condition's `if` is not a choice of the list. */
    if (!advance(p) || !parse_logic(p, true, &node->a)) return false;
    if (is_name(p, "if") && (!advance(p) || !parse_expression(p, &node->b))) return false;
    p->in_loop = true;
    if (!close_tag(p) || !parse_body(p, ends, &node->c)) return false;
    p->in_loop = in_loop;
    if (is_name(p, "else") && (!advance(p) || !close_tag(p) || !parse_body(p, last, &node->d))) return false;
    p->depth--;
    return finish(p, "endfor");
}

/* {% set x = ... %}, {% set x %}...{% endset %} */
static bool parse_set(parser *p, jinja_node **out) {
    static const char *const ends[] = {"endset", NULL};
    jinja_node *node = *out = new_node(p, NODE_SET);
    if (!parse_targets(p, true, node)) return false;
    if (is_op(p, "=")) return advance(p) && parse_expressions(p, &node->a) && close_tag(p);
    node->kind = NODE_CAPTURE;
    if (is_op(p, "|") && (!advance(p) || !parse_filter(p, &node->a) || !parse_filters(p, &node->a))) return false;
    return enter(p) && close_tag(p) && parse_body(p, ends, &node->c) && (p->depth--, true) && finish(p, "endset");
}

static bool parse_filter_block(parser *p, jinja_node **out) {
    static const char *const ends[] = {"endfilter", NULL};
    jinja_node *node = *out = new_node(p, NODE_CAPTURE);
    return parse_filter(p, &node->a) && parse_filters(p, &node->a) && enter(p) && close_tag(p) &&
           parse_body(p, ends, &node->c) && (p->depth--, true) && finish(p, "endfilter");
}

static bool parse_macro(parser *p, jinja_node **out) {
    static const char *const ends[] = {"endmacro", NULL};
    jinja_node *node = *out = new_node(p, NODE_MACRO);
    if (!expect_name(p, &node->name) || !expect_op(p, "(")) return false;
    while (!is_op(p, ")")) {
        solo_str name;
        jinja_node *value = NULL;
        if (!expect_name(p, &name)) return false;
        if (is_op(p, "=") && (!advance(p) || !parse_expression(p, &value))) return false;
        add_item(p, node, value, name);
        if (!is_op(p, ",")) break;
        if (!advance(p)) return false;
    }
    bool in_loop = p->in_loop;
    p->in_loop = false;
    if (!expect_op(p, ")") || !enter(p) || !close_tag(p) || !parse_body(p, ends, &node->c)) return false;
    p->in_loop = in_loop;
    p->depth--;
    return finish(p, "endmacro");
}

static bool parse_raw(parser *p, jinja_node **out) {
    jinja_node *node = *out = new_node(p, NODE_TEXT);
    if (!close_tag(p)) return false;
    size_t from = p->at;
    for (; p->at < p->src.n; p->at++) {
        if (p->src.at[p->at] == '\n') p->line++;
        if (!starts(p, "{%")) continue;
        parser ahead = *p;
        ahead.at += 2;
        char sign = peek(&ahead);
        if (sign == '-' || sign == '+') ahead.at++;
        if (!advance(&ahead)) return false;
        if (!is_name(&ahead, "endraw")) continue;
        node->name = (solo_str){p->src.at + from, p->at - from};
        if (sign == '-') node->name = jinja_strip(node->name, (solo_str){0}, false, true);
        *p = ahead;
        return finish(p, "endraw");
    }
    return fail(p, "endraw");
}

static bool parse_statement(parser *p, jinja_node **out) {
    static const char *const generation[] = {"endgeneration", NULL};
    if (p->tok.kind != TOKEN_NAME) return fail(p, "a statement");
    parser here = *p;
    if (!advance(p)) return false;
    if (is_name(&here, "if")) return parse_if(p, out);
    if (is_name(&here, "for")) return parse_for(p, out);
    if (is_name(&here, "set")) return parse_set(p, out);
    if (is_name(&here, "macro")) return parse_macro(p, out);
    if (is_name(&here, "filter")) return parse_filter_block(p, out);
    if (is_name(&here, "raw")) return parse_raw(p, out);
    if (is_name(&here, "generation")) { /* only marks what an assistant wrote */
        return enter(p) && close_tag(p) && parse_body(p, generation, out) && (p->depth--, true) &&
               finish(p, "endgeneration");
    }
    bool is_break = is_name(&here, "break");
    if ((is_break || is_name(&here, "continue")) && p->in_loop) {
        *out = new_node(p, is_break ? NODE_BREAK : NODE_CONTINUE);
        return close_tag(p);
    }
    p->tok = here.tok;
    return fail(p, "if, for, set, macro, filter, raw, generation, or in a loop break or continue");
}

/* Text up to the next tag, less what that tag takes away; comments vanish. False at the end. */
static bool read_text(parser *p, jinja_node *body) {
    size_t from = p->at;
    while (p->at < p->src.n && !starts(p, "{{") && !starts(p, "{%") && !starts(p, "{#")) p->at++;
    solo_str text = {p->src.at + from, p->at - from};
    char sign = p->at + 2 < p->src.n ? p->src.at[p->at + 2] : 0;
    jinja_node *node = new_node(p, NODE_TEXT);
    for (size_t i = 0; i < text.n; i++) p->line += text.at[i] == '\n';
    if (p->at < p->src.n && sign == '-') {
        text = jinja_strip(text, (solo_str){0}, false, true);
    } else if (p->at < p->src.n && sign != '+' && !starts(p, "{{")) {
        size_t start = text.n;
        while (start > 0 && text.at[start - 1] != '\n') start--;
        solo_str rest = {text.at + start, text.n - start};
        if ((start > 0 || p->line_start) && jinja_strip(rest, (solo_str){0}, true, false).n == 0) text.n = start;
    }
    node->name = text;
    if (text.n > 0) add_item(p, body, node, (solo_str){0});
    return p->at < p->src.n;
}

static bool skip_comment(parser *p) {
    while (p->at < p->src.n && !starts(p, "#}")) p->line += p->src.at[p->at++] == '\n';
    if (p->at == p->src.n) {
        p->tok = (token){0};
        return fail(p, "#}");
    }
    char sign = p->src.at[p->at - 1];
    p->at += 2;
    p->line_start = false;
    if (sign == '-') {
        size_t from = p->at;
        skip_space(p);
        p->line_start = p->at > from && p->src.at[p->at - 1] == '\n';
    } else if (sign != '+' && peek(p) == '\n') {
        p->at++;
        p->line++;
        p->line_start = true;
    }
    return true;
}

static bool parse_body(parser *p, const char *const *ends, jinja_node **out) {
    jinja_node *body = *out = new_node(p, NODE_BODY);
    while (read_text(p, body)) {
        jinja_node *node;
        if (starts(p, "{#")) {
            p->at += 2;
            if (!skip_comment(p)) return false;
            continue;
        }
        p->in_block = starts(p, "{%");
        p->nesting = 0;
        p->at += 2;
        if (peek(p) == '-' || (p->in_block && peek(p) == '+')) p->at++;
        if (!advance(p)) return false;
        if (!p->in_block) {
            node = new_node(p, NODE_OUTPUT);
            if (!parse_expressions(p, &node->a) || !close_tag(p)) return false;
        } else {
            for (uint32_t i = 0; ends && ends[i]; i++) {
                if (is_name(p, ends[i])) return true;
            }
            if (!parse_statement(p, &node)) return false;
        }
        add_item(p, body, node, (solo_str){0});
    }
    if (!ends) return true;
    p->tok = (token){0};
    return fail(p, ends[0]);
}

bool jinja_parse(jinja *j, jinja_node **out) {
    solo_str text = j->desc->text;
    char *src = jinja_alloc(j, text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) { /* every kind of line end is "\n" */
        bool is_return = text.at[i] == '\r';
        if (is_return && i + 1 < text.n && text.at[i + 1] == '\n') i++;
        src[n++] = is_return ? '\n' : text.at[i];
    }
    if (n > 0 && src[n - 1] == '\n') n--; /* and one at the very end goes */
    parser p = {.j = j, .src = {src, n}, .line = 1, .line_start = true};
    return parse_body(&p, NULL, out);
}
