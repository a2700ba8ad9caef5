/* jinja_internal.h: what the template engine's files share. jinja_value.c owns values and their
 * memory; jinja_parse.c turns text into nodes; jinja.c runs nodes; jinja_calls.c has the filters,
 * tests, methods and functions. All memory of a render is one arena, freed at its end. */
#ifndef SOLO_JINJA_INTERNAL_H
#define SOLO_JINJA_INTERNAL_H

#include "jinja.h"
#include "unicode.h"

typedef struct jinja jinja; /* one render */
typedef struct jinja_node jinja_node;
typedef struct jinja_list jinja_list;
typedef struct jinja_dict jinja_dict;
typedef struct jinja_loop jinja_loop;

/* ---- values ------------------------------------------------------------------------------- */

typedef enum jinja_kind {
    JINJA_UNDEFINED, JINJA_NONE, JINJA_BOOL, JINJA_INT, JINJA_FLOAT, JINJA_STR, JINJA_LIST, JINJA_DICT,
    JINJA_LOOP, JINJA_MACRO, JINJA_FUNCTION
} jinja_kind;

typedef struct jinja_value {
    jinja_kind kind;
    union {
        bool     b;
        int64_t  i;
        double   f;
        solo_str s; /* also an UNDEFINED's name, for messages */
        jinja_list *list;
        jinja_dict *dict;
        const jinja_loop *loop;
        const jinja_node *macro;
        uint32_t function; /* index into jinja_calls.c's table */
    } as;
} jinja_value;

struct jinja_list {
    jinja_value *at;
    uint32_t     n, cap;
    bool         is_tuple; /* prints with parentheses; else a list like others */
};

typedef struct jinja_pair {
    jinja_value key, value;
} jinja_pair;

struct jinja_dict { /* in order of insertion */
    jinja_pair *at;
    uint32_t    n, cap;
    bool        is_namespace;
};

struct jinja_loop {
    const jinja_list *list;
    uint32_t          at, depth;
};

#define JINJA_MAX_ARG 8u

typedef struct jinja_args {
    jinja_value at[JINJA_MAX_ARG]; /* positional first, then named */
    solo_str    name[JINJA_MAX_ARG]; /* n == 0: positional */
    uint32_t    n, n_positional;
} jinja_args;

/* ---- nodes -------------------------------------------------------------------------------- */

typedef enum jinja_node_kind {
    /* expressions */
    NODE_LITERAL, NODE_NAME, NODE_LIST, NODE_DICT, NODE_ATTR, NODE_ITEM, NODE_SLICE, NODE_CALL, NODE_FILTER,
    NODE_TEST, NODE_BINARY, NODE_AND, NODE_OR, NODE_NOT, NODE_NEGATE, NODE_CHOICE,
    /* statements */
    NODE_TEXT, NODE_OUTPUT, NODE_BODY, NODE_IF, NODE_FOR, NODE_SET, NODE_MACRO, NODE_CAPTURE, NODE_BREAK,
    NODE_CONTINUE
} jinja_node_kind;

struct jinja_node {
    jinja_node_kind kind;
    uint32_t     line;
    solo_str     name;   /* NAME, ATTR, FILTER, TEST, MACRO; TEXT: the text; BINARY: the operator */
    jinja_value  value;  /* LITERAL */
    /* ATTR, ITEM, SLICE, CALL, FILTER, TEST, NEGATE, NOT: of a. BINARY, AND, OR: a and b. CHOICE: b if a
     * else c. IF: a, then b, else c. FOR: item[] in a if b, body c, else d. SET: item[] = a. MACRO: body c.
     * CAPTURE: item[] = body c through filter a. SLICE: b, c, d. */
    jinja_node  *a, *b, *c, *d;
    jinja_node **item;   /* LIST, DICT (key, value, ...), BODY; arguments; targets; a macro's defaults */
    solo_str    *names;  /* of arguments, n == 0: positional; of a macro's parameters */
    uint32_t     n_item;
    bool         negated;  /* TEST */
    bool         is_tuple; /* LIST */
};

/* ---- a render ----------------------------------------------------------------------------- */

#define JINJA_MAX_STEP 20000000u
#define JINJA_MAX_BYTES (128u << 20)
#define JINJA_MAX_OUT ((size_t)16 << 20) /* of any one text */
#define JINJA_MAX_DEPTH 150u

typedef struct jinja_chunk {
    struct jinja_chunk *before;
    size_t              n, cap;
} jinja_chunk;

typedef struct jinja_frame {
    struct jinja_frame *outer;
    struct jinja_var { solo_str name; jinja_value value; } *var;
    uint32_t n, cap;
} jinja_frame;

struct jinja {
    const solo_jinja_desc *desc;
    solo_error  *err;
    jinja_chunk *chunk;
    size_t       n_bytes;
    uint64_t     n_step;
    uint32_t     depth, n_loop;
    uint32_t     line;  /* of the node that runs */
    jinja_frame *frame, global;
    solo_text   *out;
};

void *jinja_alloc(jinja *j, size_t n); /* zeroed; past the limit it still gives, and the next step fails */
bool  jinja_step(jinja *j, size_t n);  /* counts n bytes or items of work; false: too much */
bool  jinja_fail(jinja *j, const char *fmt, ...) SOLO_PRINTF(2, 3);

/* jinja_value.c */
jinja_value jinja_str(jinja *j, const char *at, size_t n); /* copied */
jinja_value jinja_bool(bool b);
jinja_value jinja_int(int64_t i);
jinja_value jinja_borrow(solo_str s);
jinja_value jinja_undefined(solo_str name);
jinja_value jinja_new_list(jinja *j);
jinja_value jinja_new_dict(jinja *j);
void jinja_push(jinja *j, jinja_list *list, jinja_value value);
void jinja_put(jinja *j, jinja_dict *dict, jinja_value key, jinja_value value);
bool jinja_get(jinja *j, const jinja_dict *dict, solo_str key, jinja_value *out); /* false: not there */
bool jinja_is(solo_str s, const char *text);
bool jinja_truth(const jinja_value *v);
bool jinja_equal(jinja *j, const jinja_value *a, const jinja_value *b);
bool jinja_less(jinja *j, const jinja_value *a, const jinja_value *b, bool *less);
const char *jinja_kind_name(const jinja_value *v);
void jinja_add_text(jinja *j, solo_text *out, const jinja_value *v); /* as {{ v }} prints it */
jinja_value jinja_text_of(jinja *j, const jinja_value *v); /* a STR */
bool jinja_parse_json(jinja *j, solo_str text, const char *name, jinja_value *out);
solo_str jinja_strip(solo_str s, solo_str chars, bool left, bool right); /* chars.at NULL: white space */
size_t jinja_count_chars(solo_str s);
/* The items that a for loop or a filter goes through: of a list, characters, keys; of undefined none. */
bool jinja_items(jinja *j, const jinja_value *v, jinja_list **out);

typedef struct jinja_json_style {
    int64_t  indent; /* -1: one line */
    solo_str item, key; /* separators */
    bool     only_ascii, sorted;
} jinja_json_style;

bool jinja_add_json(jinja *j, solo_text *out, const jinja_value *v, const jinja_json_style *style,
                    uint32_t depth);

/* jinja_parse.c */
bool jinja_parse(jinja *j, jinja_node **out);

/* jinja.c */
bool jinja_attribute(jinja *j, const jinja_value *of, solo_str name, jinja_value *out);
bool jinja_call_macro(jinja *j, const jinja_node *macro, const jinja_args *args, jinja_value *out);

/* jinja_calls.c. *found: there is such a name. */
bool jinja_filter(jinja *j, solo_str name, const jinja_value *in, const jinja_args *args, jinja_value *out);
bool jinja_test(jinja *j, solo_str name, const jinja_value *in, const jinja_args *args, bool *out);
bool jinja_method(jinja *j, const jinja_value *of, solo_str name, const jinja_args *args, bool *found,
                  jinja_value *out);
bool jinja_find_function(const jinja *j, solo_str name, jinja_value *out);
bool jinja_call_function(jinja *j, uint32_t function, const jinja_args *args, jinja_value *out);

#endif
