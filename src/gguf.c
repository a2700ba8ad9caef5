/* gguf.c: reads the head of GGUF 2 and 3, from any source, alone or split in parts. Owns the sources
 * and the tables of keys and tensors; what a key means is left to model.c.
 *
 * The bytes are not trusted: each read is checked against what is left, each count against the
 * smallest size its items can have (so no count can ask for much more memory than the file is
 * long), and each tensor's span against the file and against the other tensors. */
#include "gguf.h"

#include <math.h>

enum {
    MIN_KEY_BYTES = 8 + 4 + 1,             /* length, kind, a one-byte value */
    MIN_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8,  /* length, n_dim, one dim, type, offset */
    MAX_KEY_BYTES = 65535,                 /* the format's own limit */
    MAX_NAME_BYTES = 255,                  /* the format says 64; some writers went past it */
    MAX_ALIGNMENT = 1 << 16,
    MAX_PARTS = 65535,                     /* split.count is a u16 */
    FIRST_HEAD_BYTES = 1 << 20,            /* read at once of a source that is not at hand */
};

typedef struct part {
    solo_source   *source;
    const char    *path; /* the source's name */
    uint32_t       version;
    uint64_t       alignment;
    solo_gguf_value *value;     /* [n_value] in the file's order */
    uint64_t        *value_by_key; /* [n_value] indices, keys rising */
    uint64_t       n_value, n_tensor;
} part;

struct solo_gguf {
    part        *part;   /* [n_part] */
    uint32_t     n_part;
    solo_tensor *tensor; /* [n_tensor] all parts', in order */
    solo_tensor **tensor_by_name; /* [n_tensor] names rising */
    uint64_t     n_tensor;
    uint8_t    **loaded; /* [n_loaded] bytes of tensors that were asked for */
    uint32_t     n_loaded;
};

/* Walks the bytes at hand. Where the file goes on behind them and more are needed, a read fails
 * without a message and leaves how many: read_part gets them and starts again. */
typedef struct reader {
    const part    *part;
    const uint8_t *at, *end; /* end: of what is at hand */
    uint64_t       wanted;   /* bytes from the file's start; 0: no more */
    solo_error    *err;
} reader;

/* ---- reading with a bound ----------------------------------------------------------------- */

static uint64_t left(const reader *r) { /* in the file */
    return r->part->source->n_bytes - (uint64_t)(r->at - r->part->source->at);
}

static bool at_hand(reader *r, uint64_t n) { /* n <= left(r) */
    if (n <= (uint64_t)(r->end - r->at)) return true;
    r->wanted = (uint64_t)(r->at - r->part->source->at) + n;
    return false;
}

static uint64_t load_le(const uint8_t *at, uint32_t n_bytes) {
    uint64_t v = 0;
    for (uint32_t i = 0; i < n_bytes; i++) v |= (uint64_t)at[i] << 8 * i;
    return v;
}

/* what, for messages: "key 3 of 12", "tensor 'blk.0.attn_q.weight'". */
static bool read_int(reader *r, uint32_t n_bytes, const char *what, const char *field,
                     uint64_t *out) {
    *out = 0;
    if (left(r) < n_bytes)
        return solo_fail(r->err, SOLO_FILE_FORMAT,
                         "%s: %s: the file ends in its %s: wanted %u bytes, found %u",
                         r->part->path, what, field, n_bytes, (uint32_t)left(r));
    if (!at_hand(r, n_bytes)) return false;
    *out = load_le(r->at, n_bytes);
    r->at += n_bytes;
    return true;
}

static bool read_str(reader *r, const char *what, const char *field, uint64_t max, solo_str *out) {
    uint64_t n;
    if (!read_int(r, 8, what, field, &n)) return false;
    if (n > left(r))
        return solo_fail(
            r->err, SOLO_FILE_FORMAT,
            "%s: %s: its %s runs past the end of the file: wanted %llu bytes, found %llu",
            r->part->path, what, field, (unsigned long long)n, (unsigned long long)left(r));
    if (n > max)
        return solo_fail(r->err, SOLO_FILE_FORMAT,
                         "%s: %s: its %s: wanted at most %llu bytes, found %llu", r->part->path,
                         what, field, (unsigned long long)max, (unsigned long long)n);
    if (!at_hand(r, n)) return false;
    *out = (solo_str){(const char *)r->at, (size_t)n};
    r->at += n;
    return true;
}

static int str_cmp(solo_str a, solo_str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.at, b.at, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

/* ---- keys --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t    n_bytes; /* 0: varies */
} kinds[] = {
    [SOLO_GGUF_U8] = {"u8", 1},         [SOLO_GGUF_I8] = {"i8", 1},
    [SOLO_GGUF_U16] = {"u16", 2},       [SOLO_GGUF_I16] = {"i16", 2},
    [SOLO_GGUF_U32] = {"u32", 4},       [SOLO_GGUF_I32] = {"i32", 4},
    [SOLO_GGUF_F32] = {"f32", 4},       [SOLO_GGUF_BOOL] = {"bool", 1},
    [SOLO_GGUF_STRING] = {"string", 0}, [SOLO_GGUF_ARRAY] = {"array", 0},
    [SOLO_GGUF_U64] = {"u64", 8},       [SOLO_GGUF_I64] = {"i64", 8},
    [SOLO_GGUF_F64] = {"f64", 8},
};

static bool read_kind(reader *r, const char *what, const char *field, solo_gguf_kind *out) {
    uint64_t n;
    if (!read_int(r, 4, what, field, &n)) return false;
    if (n >= SOLO_COUNT(kinds))
        return solo_fail(r->err, SOLO_FILE_FORMAT, "%s: %s: its %s: wanted 0..%u, found %llu",
                         r->part->path, what, field, SOLO_COUNT(kinds) - 1, (unsigned long long)n);
    *out = (solo_gguf_kind)n;
    return true;
}

static bool read_array(reader *r, const char *what, solo_gguf_value *v) {
    if (!read_kind(r, what, "array's kind", &v->item_kind)) return false;
    if (v->item_kind == SOLO_GGUF_ARRAY)
        return solo_fail(r->err, SOLO_UNSUPPORTED,
                         "%s: %s: wanted an array of numbers or strings, found an array of arrays",
                         r->part->path, what);
    if (!read_int(r, 8, what, "array's length", &v->n_item)) return false;
    uint32_t item = v->item_kind == SOLO_GGUF_STRING ? 8 : kinds[v->item_kind].n_bytes;
    if (v->n_item > left(r) / item)
        return solo_fail(r->err, SOLO_FILE_FORMAT,
                         "%s: %s: an array of %llu %s runs past the end of the file: wanted at "
                         "least %u bytes an item, found %llu bytes in all",
                         r->part->path, what, (unsigned long long)v->n_item,
                         kinds[v->item_kind].name, item, (unsigned long long)left(r));
    v->at = r->at;
    if (v->item_kind == SOLO_GGUF_STRING) {
        solo_str ignored;
        for (uint64_t i = 0; i < v->n_item; i++)
            if (!read_str(r, what, "array's string", UINT64_MAX, &ignored)) return false;
    } else {
        if (!at_hand(r, v->n_item * item)) return false;
        r->at += v->n_item * item;
    }
    return true;
}

static bool read_value(reader *r, uint64_t i, uint64_t n_value, solo_gguf_value *v) {
    char what[120];
    snprintf(what, sizeof what, "key %llu of %llu", (unsigned long long)i + 1,
             (unsigned long long)n_value);
    if (!read_str(r, what, "name", MAX_KEY_BYTES, &v->key)) return false;
    snprintf(what, sizeof what, "key '%.*s'", v->key.n < 80 ? (int)v->key.n : 80, v->key.at);
    if (!read_kind(r, what, "kind", &v->kind)) return false;
    v->at = r->at;
    if (v->kind == SOLO_GGUF_ARRAY) {
        if (!read_array(r, what, v)) return false;
    } else if (v->kind == SOLO_GGUF_STRING) {
        solo_str s;
        if (!read_str(r, what, "value", UINT64_MAX, &s)) return false;
        v->at = (const uint8_t *)s.at;
    } else {
        uint64_t ignored;
        if (!read_int(r, kinds[v->kind].n_bytes, what, "value", &ignored)) return false;
    }
    v->n_bytes = (uint64_t)(r->at - v->at);
    return true;
}

typedef struct named { /* for sorting */
    solo_str name;
    uint64_t i;
} named;

static int named_cmp(const void *a, const void *b) {
    return str_cmp(((const named *)a)->name, ((const named *)b)->name);
}

/* Sorts and returns the index of a name that occurs twice, or n. */
static uint64_t sort_names(named *names, uint64_t n) {
    qsort(names, (size_t)n, sizeof *names, named_cmp);
    for (uint64_t i = 1; i < n; i++)
        if (str_cmp(names[i - 1].name, names[i].name) == 0) return i;
    return n;
}

static bool index_values(part *p, solo_error *err) {
    named *names = solo_zalloc((size_t)p->n_value, sizeof *names);
    for (uint64_t i = 0; i < p->n_value; i++) names[i] = (named){p->value[i].key, i};
    uint64_t twice = sort_names(names, p->n_value);
    bool ok = twice == p->n_value;
    if (!ok) {
        solo_str key = names[twice].name;
        solo_fail(err, SOLO_FILE_FORMAT, "%s: key '%.*s': wanted once, found twice", p->path,
                  key.n < 80 ? (int)key.n : 80, key.at);
    } else {
        p->value_by_key = solo_zalloc((size_t)p->n_value, sizeof *p->value_by_key);
        for (uint64_t i = 0; i < p->n_value; i++) p->value_by_key[i] = names[i].i;
    }
    free(names);
    return ok;
}

static const solo_gguf_value *part_find(const part *p, const char *key) {
    const solo_str wanted = {key, strlen(key)};
    uint64_t low = 0, high = p->n_value;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        const solo_gguf_value *v = &p->value[p->value_by_key[mid]];
        int order = str_cmp(v->key, wanted);
        if (order == 0) return v;
        if (order < 0) low = mid + 1;
        else high = mid;
    }
    return NULL;
}

/* ---- typed values ------------------------------------------------------------------------- */

static bool absent(const part *p, const char *key, bool required, const char *wanted,
                   solo_error *err) {
    if (!required) return true;
    return solo_fail(err, SOLO_FILE_FORMAT, "%s: key '%s': wanted %s, found no such key", p->path,
                     key, wanted);
}

static bool wrong_kind(const part *p, const solo_gguf_value *v, const char *key, const char *wanted,
                       solo_error *err) {
    bool array = v->kind == SOLO_GGUF_ARRAY;
    return solo_fail(err, SOLO_FILE_FORMAT, "%s: key '%s': wanted %s, found %s%s", p->path, key,
                     wanted, array ? "an array of " : "",
                     kinds[array ? v->item_kind : v->kind].name);
}

/* An integer's sign and magnitude; false where the kind is no integer. */
static bool value_int(const solo_gguf_value *v, bool *negative, uint64_t *magnitude) {
    uint32_t n = kinds[v->kind].n_bytes;
    switch (v->kind) {
    case SOLO_GGUF_U8: case SOLO_GGUF_U16: case SOLO_GGUF_U32: case SOLO_GGUF_U64:
        *negative = false;
        *magnitude = load_le(v->at, n);
        return true;
    case SOLO_GGUF_I8: case SOLO_GGUF_I16: case SOLO_GGUF_I32: case SOLO_GGUF_I64: {
        uint64_t bits = load_le(v->at, n), top = (uint64_t)1 << (8 * n - 1);
        *negative = bits & top;
        *magnitude = *negative ? (top << 1) - bits : bits; /* top << 1 is 0 for 64 bits: -bits */
        return true;
    }
    default: return false;
    }
}

static bool part_get_u32(const part *p, const char *key, bool required, uint32_t *out,
                         solo_error *err) {
    static const char wanted[] = "an integer in 0..4294967295";
    const solo_gguf_value *v = part_find(p, key);
    if (!v) return absent(p, key, required, wanted, err);
    bool negative;
    uint64_t n;
    if (!value_int(v, &negative, &n)) return wrong_kind(p, v, key, wanted, err);
    if (negative || n > UINT32_MAX)
        return solo_fail(err, SOLO_FILE_FORMAT, "%s: key '%s': wanted %s, found %s%llu", p->path,
                         key, wanted, negative ? "-" : "", (unsigned long long)n);
    *out = (uint32_t)n;
    return true;
}

bool solo_gguf_get_u32(const solo_gguf *g, const char *key, bool required, uint32_t *out,
                       solo_error *err) {
    return part_get_u32(g->part, key, required, out, err);
}

bool solo_gguf_get_f32(const solo_gguf *g, const char *key, bool required, float *out,
                       solo_error *err) {
    static const char wanted[] = "a finite f32";
    const solo_gguf_value *v = solo_gguf_find(g, key);
    if (!v) return absent(g->part, key, required, wanted, err);
    double x;
    if (v->kind == SOLO_GGUF_F32) {
        uint32_t bits = (uint32_t)load_le(v->at, 4);
        float f;
        memcpy(&f, &bits, sizeof f);
        x = (double)f;
    } else if (v->kind == SOLO_GGUF_F64) {
        uint64_t bits = load_le(v->at, 8);
        memcpy(&x, &bits, sizeof x);
    } else {
        return wrong_kind(g->part, v, key, wanted, err);
    }
    if (!isfinite(x) || fabs(x) > 3.4028234663852886e38)
        return solo_fail(err, SOLO_FILE_FORMAT, "%s: key '%s': wanted %s, found %g", g->part->path,
                         key, wanted, x);
    *out = (float)x;
    return true;
}

bool solo_gguf_get_bool(const solo_gguf *g, const char *key, bool required, bool *out,
                        solo_error *err) {
    static const char wanted[] = "a bool, 0 or 1";
    const solo_gguf_value *v = solo_gguf_find(g, key);
    if (!v) return absent(g->part, key, required, wanted, err);
    if (v->kind != SOLO_GGUF_BOOL) return wrong_kind(g->part, v, key, wanted, err);
    if (*v->at > 1)
        return solo_fail(err, SOLO_FILE_FORMAT, "%s: key '%s': wanted %s, found %u", g->part->path,
                         key, wanted, *v->at);
    *out = *v->at;
    return true;
}

bool solo_gguf_get_str(const solo_gguf *g, const char *key, bool required, solo_str *out,
                       solo_error *err) {
    const solo_gguf_value *v = solo_gguf_find(g, key);
    if (!v) return absent(g->part, key, required, "a string", err);
    if (v->kind != SOLO_GGUF_STRING) return wrong_kind(g->part, v, key, "a string", err);
    *out = (solo_str){(const char *)v->at, (size_t)v->n_bytes};
    return true;
}

/* The array under key, or NULL: absent (then *ok says whether that is fine) or of a wrong kind. */
static const solo_gguf_value *find_array(const solo_gguf *g, const char *key, bool required,
                                         solo_gguf_kind kind, solo_gguf_kind or_kind,
                                         const char *wanted, bool *ok, solo_error *err) {
    const solo_gguf_value *v = solo_gguf_find(g, key);
    *ok = true;
    if (!v) {
        *ok = absent(g->part, key, required, wanted, err);
        return NULL;
    }
    if (v->kind == SOLO_GGUF_ARRAY && (v->item_kind == kind || v->item_kind == or_kind)) return v;
    *ok = wrong_kind(g->part, v, key, wanted, err);
    return NULL;
}

bool solo_gguf_get_strs(const solo_gguf *g, const char *key, bool required, solo_str **out,
                        uint64_t *n, solo_error *err) {
    bool ok;
    const solo_gguf_value *v = find_array(g, key, required, SOLO_GGUF_STRING, SOLO_GGUF_STRING,
                                          "an array of strings", &ok, err);
    if (!v) return ok;
    solo_str *strs = solo_zalloc((size_t)v->n_item, sizeof *strs);
    const uint8_t *at = v->at; /* lengths were checked when the file opened */
    for (uint64_t i = 0; i < v->n_item; i++) {
        strs[i] = (solo_str){(const char *)at + 8, (size_t)load_le(at, 8)};
        at += 8 + strs[i].n;
    }
    *out = strs;
    *n = v->n_item;
    return true;
}

bool solo_gguf_get_f32s(const solo_gguf *g, const char *key, bool required, float **out,
                        uint64_t *n, solo_error *err) {
    bool ok;
    const solo_gguf_value *v = find_array(g, key, required, SOLO_GGUF_F32, SOLO_GGUF_F32,
                                          "an array of f32", &ok, err);
    if (!v) return ok;
    *out = solo_zalloc((size_t)v->n_item, sizeof **out);
    *n = v->n_item;
    for (uint64_t i = 0; i < v->n_item; i++) {
        uint32_t bits = (uint32_t)load_le(v->at + 4 * i, 4);
        memcpy(*out + i, &bits, 4);
    }
    return true;
}

bool solo_gguf_get_i32s(const solo_gguf *g, const char *key, bool required, int32_t **out,
                        uint64_t *n, solo_error *err) {
    bool ok;
    const solo_gguf_value *v = find_array(g, key, required, SOLO_GGUF_I32, SOLO_GGUF_U32,
                                          "an array of i32 or u32", &ok, err);
    if (!v) return ok;
    int32_t *items = solo_zalloc((size_t)v->n_item, sizeof *items);
    for (uint64_t i = 0; i < v->n_item; i++) {
        uint32_t bits = (uint32_t)load_le(v->at + 4 * i, 4);
        if (v->item_kind == SOLO_GGUF_U32 && bits > INT32_MAX) {
            free(items);
            return solo_fail(err, SOLO_FILE_FORMAT,
                             "%s: key '%s': item %llu: wanted at most %d, found %u", g->part->path,
                             key, (unsigned long long)i, INT32_MAX, bits);
        }
        memcpy(items + i, &bits, 4);
    }
    *out = items;
    *n = v->n_item;
    return true;
}

/* ---- tensors ------------------------------------------------------------------------------ */

/* Checks the shape against the type and sets n_bytes. */
static bool tensor_size(const part *p, const char *what, uint32_t type, solo_tensor *t,
                        solo_error *err) {
    const solo_type_info *info = solo_type_get_info(type);
    if (!info)
        return solo_fail(
            err, SOLO_UNSUPPORTED,
            "%s: %s: its type: wanted a type number that Solo knows (0..39 with gaps), found %u",
            p->path, what, type);
    t->type = (solo_type)type;
    if (t->dim[0] % info->n_block)
        return solo_fail(err, SOLO_FILE_FORMAT,
                         "%s: %s: its row length: wanted a multiple of %u for %s, found %llu",
                         p->path, what, info->n_block, info->name, (unsigned long long)t->dim[0]);
    uint64_t n = t->dim[0];
    for (uint32_t i = 1; i < t->n_dim; i++)
        if (!solo_mul_u64(n, t->dim[i], &n)) n = UINT64_MAX;
    if (n > (uint64_t)INT64_MAX || !solo_mul_u64(n / info->n_block, info->block_bytes, &t->n_bytes))
        return solo_fail(
            err, SOLO_FILE_FORMAT,
            "%s: %s: its dims: wanted a size below 2^63, found %llu x %llu x %llu x %llu", p->path,
            what, (unsigned long long)t->dim[0], (unsigned long long)t->dim[1],
            (unsigned long long)t->dim[2], (unsigned long long)t->dim[3]);
    return true;
}

/* One directory entry; *offset counts from the start of the data. */
static bool read_tensor(reader *r, uint64_t i, uint64_t n_tensor, solo_tensor *t,
                        uint64_t *offset) {
    char what[120];
    const part *p = r->part;
    snprintf(what, sizeof what, "tensor %llu of %llu", (unsigned long long)i + 1,
             (unsigned long long)n_tensor);
    solo_str name;
    uint64_t n, type;
    if (!read_str(r, what, "name", MAX_NAME_BYTES, &name)) return false;
    if (!name.n || memchr(name.at, 0, name.n))
        return solo_fail(r->err, SOLO_FILE_FORMAT, "%s: %s: its name: wanted text, found %s",
                         p->path, what, name.n ? "a zero byte" : "no characters");
    snprintf(what, sizeof what, "tensor '%.*s'", name.n < 80 ? (int)name.n : 80, name.at);
    if (!read_int(r, 4, what, "number of dims", &n)) return false;
    if (n < 1 || n > 4)
        return solo_fail(r->err, SOLO_FILE_FORMAT,
                         "%s: %s: its number of dims: wanted 1..4, found %llu", p->path, what,
                         (unsigned long long)n);
    t->n_dim = (uint32_t)n;
    for (uint32_t d = 0; d < 4; d++) {
        t->dim[d] = 1;
        if (d < t->n_dim && !read_int(r, 8, what, "dims", &t->dim[d])) return false;
        if (!t->dim[d])
            return solo_fail(r->err, SOLO_FILE_FORMAT,
                             "%s: %s: its dim %u: wanted at least 1, found 0", p->path, what, d);
    }
    if (!read_int(r, 4, what, "type", &type)) return false;
    if (!read_int(r, 8, what, "offset", offset)) return false;
    if (!tensor_size(p, what, (uint32_t)type, t, r->err)) return false;
    if (*offset % p->alignment)
        return solo_fail(r->err, SOLO_FILE_FORMAT,
                         "%s: %s: its offset: wanted a multiple of %llu, found %llu", p->path, what,
                         (unsigned long long)p->alignment, (unsigned long long)*offset);
    t->name = solo_strndup(name.at, name.n);
    return true;
}

static int offset_cmp(const void *a, const void *b) {
    const solo_tensor *x = *(const solo_tensor *const *)a, *y = *(const solo_tensor *const *)b;
    return (x->off > y->off) - (x->off < y->off);
}

static bool check_overlap(const part *p, solo_tensor *tensor, uint64_t n, solo_error *err) {
    solo_tensor **by_offset = solo_zalloc((size_t)n, sizeof *by_offset);
    for (uint64_t i = 0; i < n; i++) by_offset[i] = &tensor[i];
    qsort(by_offset, (size_t)n, sizeof *by_offset, offset_cmp);
    bool ok = true;
    for (uint64_t i = 1; i < n && ok; i++) {
        const solo_tensor *a = by_offset[i - 1], *b = by_offset[i];
        if (a->n_bytes > b->off - a->off)
            ok = solo_fail(err, SOLO_FILE_FORMAT,
                           "%s: tensor '%.80s': wanted %llu bytes of its own, found tensor '%.80s' "
                           "at its byte %llu",
                           p->path, a->name, (unsigned long long)a->n_bytes, b->name,
                           (unsigned long long)(b->off - a->off));
    }
    free(by_offset);
    return ok;
}

/* Appends the part's tensors to the directory, with their data found and checked. On failure the
 * entries named so far are left for close to free. */
static bool read_tensors(solo_gguf *g, part *p, reader *r) {
    const uint64_t first = g->n_tensor, n = p->n_tensor;
    if (!n) return true;
    g->tensor = solo_realloc(g->tensor, (size_t)(first + n) * sizeof *g->tensor);
    solo_tensor *tensor = g->tensor + first;
    memset(tensor, 0, (size_t)n * sizeof *tensor);
    uint64_t *offset = solo_zalloc((size_t)n, sizeof *offset);
    bool ok = true;
    for (uint64_t i = 0; i < n && ok; i++) {
        ok = read_tensor(r, i, n, &tensor[i], &offset[i]);
        if (tensor[i].name) g->n_tensor++;
    }
    const solo_source *source = p->source;
    const uint64_t head = (uint64_t)(r->at - source->at);
    const uint64_t start = (head + p->alignment - 1) / p->alignment * p->alignment;
    for (uint64_t i = 0; i < n && ok; i++) {
        uint64_t end;
        if (!solo_add_u64(offset[i], tensor[i].n_bytes, &end) || !solo_add_u64(start, end, &end) ||
            end > source->n_bytes)
            ok = solo_fail(r->err, SOLO_FILE_FORMAT,
                           "%s: tensor '%.80s': its data runs past the end of the file: wanted "
                           "%llu bytes at %llu + %llu, found a file of %llu bytes",
                           p->path, tensor[i].name, (unsigned long long)tensor[i].n_bytes,
                           (unsigned long long)start, (unsigned long long)offset[i],
                           (unsigned long long)source->n_bytes);
        tensor[i].source = source;
        tensor[i].off = start + offset[i];
        if (ok && end <= source->n_at) tensor[i].data = source->at + tensor[i].off;
    }
    free(offset);
    return ok && check_overlap(p, tensor, n, r->err);
}

static bool index_tensors(solo_gguf *g, solo_error *err) {
    named *names = solo_zalloc((size_t)g->n_tensor, sizeof *names);
    for (uint64_t i = 0; i < g->n_tensor; i++)
        names[i] = (named){{g->tensor[i].name, strlen(g->tensor[i].name)}, i};
    uint64_t twice = sort_names(names, g->n_tensor);
    bool ok = twice == g->n_tensor;
    if (!ok) {
        solo_fail(err, SOLO_FILE_FORMAT, "%s: tensor '%.80s': wanted once, found twice",
                  g->part->path, names[twice].name.at);
    } else {
        g->tensor_by_name = solo_zalloc((size_t)g->n_tensor, sizeof *g->tensor_by_name);
        for (uint64_t i = 0; i < g->n_tensor; i++) g->tensor_by_name[i] = &g->tensor[names[i].i];
    }
    free(names);
    return ok;
}

/* ---- one part ----------------------------------------------------------------------------- */

static bool read_version(reader *r, part *p) {
    const uint64_t n = left(r) < 4 ? left(r) : 4;
    if (!at_hand(r, n)) return false;
    if (n < 4 || memcmp(r->at, "GGUF", 4) != 0) {
        char found[48] = "";
        for (uint32_t i = 0; i < n; i++)
            snprintf(found + 3 * i, sizeof found - 3 * i, " %02x", r->at[i]);
        return solo_fail(
            r->err, SOLO_FILE_FORMAT,
            "%s: not a GGUF file: its first bytes: wanted 47 47 55 46 (\"GGUF\"), found%s", p->path,
            *found ? found : " none");
    }
    r->at += 4;
    uint64_t version;
    if (!read_int(r, 4, "the header", "version", &version)) return false;
    p->version = (uint32_t)version;
    if (version == 2 || version == 3) return true;
    if (version == 1)
        return solo_fail(
            r->err, SOLO_UNSUPPORTED,
            "%s: its version: wanted GGUF 2 or 3, found 1, a form of 2023; convert the model anew",
            p->path);
    if (version && !(version & 0xffff))
        return solo_fail(r->err, SOLO_UNSUPPORTED,
                         "%s: its byte order: wanted little-endian, found a big-endian GGUF file "
                         "(version word %08x)",
                         p->path, p->version);
    return solo_fail(r->err, SOLO_UNSUPPORTED, "%s: its version: wanted GGUF 2 or 3, found %u",
                     p->path, p->version);
}

static bool read_count(reader *r, const char *field, uint32_t min_bytes, uint64_t *out) {
    if (!read_int(r, 8, "the header", field, out)) return false;
    if (*out <= left(r) / min_bytes) return true;
    return solo_fail(r->err, SOLO_FILE_FORMAT,
                     "%s: the header: its %s: wanted at most %llu (%u bytes each in the rest of "
                     "the file), found %llu",
                     r->part->path, field, (unsigned long long)(left(r) / min_bytes), min_bytes,
                     (unsigned long long)*out);
}

static bool read_head(solo_gguf *g, part *p, reader *r) {
    uint64_t n_value;
    solo_error *err = r->err;
    if (!read_version(r, p)) return false;
    if (!read_count(r, "number of tensors", MIN_TENSOR_BYTES, &p->n_tensor)) return false;
    if (!read_count(r, "number of keys", MIN_KEY_BYTES, &n_value)) return false;
    p->value = solo_zalloc((size_t)n_value, sizeof *p->value);
    for (; p->n_value < n_value; p->n_value++)
        if (!read_value(r, p->n_value, n_value, &p->value[p->n_value])) return false;
    if (!index_values(p, err)) return false;
    uint32_t alignment = 32;
    if (!part_get_u32(p, "general.alignment", false, &alignment, err)) return false;
    if (alignment < 8 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)))
        return solo_fail(err, SOLO_FILE_FORMAT,
                         "%s: key 'general.alignment': wanted a power of two in 8..%d, found %u",
                         p->path, MAX_ALIGNMENT, alignment);
    p->alignment = alignment;
    return read_tensors(g, p, r);
}

static void free_names(solo_gguf *g, uint64_t from) {
    for (uint64_t i = from; i < g->n_tensor; i++) {
        union { const char *in; void *out; } name = {.in = g->tensor[i].name};
        free(name.out);
    }
    g->n_tensor = from;
}

static void free_values(part *p) {
    free(p->value);
    free(p->value_by_key);
    p->value = NULL;
    p->value_by_key = NULL;
    p->n_value = 0;
}

/* Reads all of p's head and appends its tensors to g. A source that is not at hand is read as far as
 * the head turns out to go: in doubling steps, since only parsing tells. */
static bool read_part(solo_gguf *g, part *p, solo_error *err) {
    const uint64_t first = g->n_tensor, n = p->source->n_bytes;
    for (uint64_t wanted = FIRST_HEAD_BYTES;;) {
        if (wanted < 2 * p->source->n_at) wanted = 2 * p->source->n_at;
        if (!solo_source_need(p->source, wanted < n ? wanted : n, err)) return false;
        const uint8_t *at = p->source->at;
        reader r = {.part = p, .at = at, .end = at + p->source->n_at, .err = err};
        if (read_head(g, p, &r)) return true;
        if (!r.wanted) return false;
        wanted = r.wanted;
        free_names(g, first);
        free_values(p);
    }
}

/* ---- split files -------------------------------------------------------------------------- */

/* "prefix-00001-of-00003.gguf": where the two numbers' tail begins, or NULL. */
static const char *split_tail(const char *path) {
    static const char shape[] = "-ddddd-of-ddddd.gguf";
    size_t n = strlen(path), n_tail = sizeof shape - 1;
    if (n < n_tail) return NULL;
    const char *tail = path + n - n_tail;
    for (size_t i = 0; i < n_tail; i++)
        if (shape[i] == 'd' ? tail[i] < '0' || tail[i] > '9' : tail[i] != shape[i]) return NULL;
    return tail;
}

static char *split_path(const char *path, uint32_t i, uint32_t n_part) {
    const char *tail = split_tail(path);
    solo_text text = {0};
    solo_text_add(&text, "%.*s-%05u-of-%05u.gguf", (int)(tail - path), path, i + 1, n_part);
    return text.at;
}

/* The part's own idea of its place against the place it was found in. */
static bool check_place(const part *p, uint32_t i, uint32_t n_part, solo_error *err) {
    uint32_t no = 0, count = 0;
    if (!part_get_u32(p, "split.no", true, &no, err)) return false;
    if (!part_get_u32(p, "split.count", true, &count, err)) return false;
    if (count != n_part)
        return solo_fail(err, SOLO_FILE_FORMAT,
                         "%s: key 'split.count': wanted %u as in the first part, found %u", p->path,
                         n_part, count);
    if (no != i)
        return solo_fail(err, SOLO_FILE_FORMAT,
                         "%s: key 'split.no': wanted %u for part %u of %u, found %u", p->path, i,
                         i + 1, n_part, no);
    return true;
}

/* Reads the first part's split keys: how many parts, and whether this is the first. */
static bool split_count(const part *p, uint32_t *n_part, solo_error *err) {
    uint32_t no = 0, count = 0;
    if (!part_get_u32(p, "split.count", false, &count, err)) return false;
    if (!part_get_u32(p, "split.no", false, &no, err)) return false;
    *n_part = 1;
    if (count <= 1 && no == 0) return true;
    if (count > MAX_PARTS || no >= count)
        return solo_fail(
            err, SOLO_FILE_FORMAT,
            "%s: keys 'split.no' and 'split.count': wanted no < count <= %d, found no %u, count %u",
            p->path, MAX_PARTS, no, count);
    if (no != 0)
        return solo_fail(err, SOLO_ARGUMENT,
                         "%s: wanted the first part of a split model, found part %u of %u: open "
                         "*-00001-of-%05u.gguf",
                         p->path, no + 1, count, count);
    if (!p->source->is_file)
        return solo_fail(err, SOLO_UNSUPPORTED,
                         "%s: key 'split.count': wanted 1 for a model in memory, found %u", p->path,
                         count);
    const char *tail = split_tail(p->path);
    if (!tail || strtoul(tail + 1, NULL, 10) != 1 || strtoul(tail + 10, NULL, 10) != count)
        return solo_fail(
            err, SOLO_FILE_FORMAT,
            "%s: the name of the first of %u parts: wanted *-00001-of-%05u.gguf, found another",
            p->path, count, count);
    *n_part = count;
    return true;
}

static bool read_split(solo_gguf *g, uint32_t n_part, solo_error *err) {
    uint32_t n_tensor = 0;
    if (!check_place(&g->part[0], 0, n_part, err)) return false;
    if (!part_get_u32(&g->part[0], "split.tensors.count", true, &n_tensor, err)) return false;
    g->part = solo_realloc(g->part, n_part * sizeof *g->part);
    for (uint32_t i = 1; i < n_part; i++) {
        part *p = &g->part[i];
        memset(p, 0, sizeof *p);
        g->n_part = i + 1;
        char *path = split_path(g->part[0].path, i, n_part);
        bool ok = solo_source_open_file(&p->source, path, err);
        free(path);
        if (!ok) {
            solo_error why = err ? *err : (solo_error){0};
            return solo_fail(err, why.status, "part %u of %u: %.900s", i + 1, n_part, why.text);
        }
        p->path = p->source->name;
        if (!read_part(g, p, err) || !check_place(p, i, n_part, err)) return false;
    }
    if (g->n_tensor == n_tensor) return true;
    return solo_fail(err, SOLO_FILE_FORMAT,
                     "%s: key 'split.tensors.count': wanted the number of tensors in all %u parts, "
                     "%llu, found %u",
                     g->part->path, n_part, (unsigned long long)g->n_tensor, n_tensor);
}

/* ---- open and close ----------------------------------------------------------------------- */

bool solo_gguf_open_source(solo_gguf **out, solo_source *source, solo_error *err) {
    *out = NULL;
    solo_gguf *g = solo_zalloc(1, sizeof *g);
    g->part = solo_zalloc(1, sizeof *g->part);
    g->n_part = 1;
    g->part->source = source;
    g->part->path = source->name;
    uint32_t n_part;
    bool ok = read_part(g, g->part, err) && split_count(g->part, &n_part, err) &&
              (n_part == 1 || read_split(g, n_part, err)) && index_tensors(g, err);
    if (!ok) {
        solo_gguf_close(g);
        return false;
    }
    *out = g;
    return true;
}

bool solo_gguf_open(solo_gguf **out, const char *path, solo_error *err) {
    solo_source *source;
    *out = NULL;
    return solo_source_open_file(&source, path, err) && solo_gguf_open_source(out, source, err);
}

bool solo_gguf_open_memory(solo_gguf **out, const uint8_t *at, uint64_t n, const char *label,
                           solo_error *err) {
    solo_source *source;
    *out = NULL;
    return solo_source_open_memory(&source, at, n, label, err) &&
           solo_gguf_open_source(out, source, err);
}

void solo_gguf_close(solo_gguf *g) {
    if (!g) return;
    for (uint32_t i = 0; i < g->n_part; i++) {
        solo_source_close(g->part[i].source);
        free_values(&g->part[i]);
    }
    free_names(g, 0);
    free(g->tensor_by_name);
    for (uint32_t i = 0; i < g->n_loaded; i++) free(g->loaded[i]);
    free(g->loaded);
    free(g->tensor);
    free(g->part);
    free(g);
}

bool solo_gguf_load(solo_gguf *g, const solo_tensor *tensor, solo_error *err) {
    if (tensor->data) return true;
    SOLO_ASSERT(tensor >= g->tensor && tensor < g->tensor + g->n_tensor);
    uint8_t *bytes = solo_alloc((size_t)tensor->n_bytes);
    if (!solo_source_read(tensor->source, tensor->off, tensor->n_bytes, bytes, err)) {
        free(bytes);
        return false;
    }
    g->loaded = solo_realloc(g->loaded, (g->n_loaded + 1) * sizeof *g->loaded);
    g->loaded[g->n_loaded++] = bytes;
    g->tensor[tensor - g->tensor].data = bytes;
    return true;
}

const char *solo_gguf_path(const solo_gguf *g) { return g->part->path; }
uint32_t solo_gguf_version(const solo_gguf *g) { return g->part->version; }
uint64_t solo_gguf_n_tensor(const solo_gguf *g) { return g->n_tensor; }

const solo_tensor *solo_gguf_tensor_at(const solo_gguf *g, uint64_t i) {
    SOLO_ASSERT(i < g->n_tensor);
    return &g->tensor[i];
}

const solo_tensor *solo_gguf_tensor(const solo_gguf *g, const char *name) {
    uint64_t low = 0, high = g->n_tensor;
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        int order = strcmp(g->tensor_by_name[mid]->name, name);
        if (order == 0) return g->tensor_by_name[mid];
        if (order < 0) low = mid + 1;
        else high = mid;
    }
    return NULL;
}

const solo_gguf_value *solo_gguf_find(const solo_gguf *g, const char *key) {
    return part_find(g->part, key);
}
