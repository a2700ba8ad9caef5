/* checkpoint.c: see checkpoint.h. Every array is held against its file's end before anyone reads it. */
#include "checkpoint.h"

#include "bytes.h"

#define MAX_HEADER (256u << 20)
#define MAX_SHARD 4096u

/* ---- arrays ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    solo_type type;
    uint32_t n_bytes;
    bool is_packed;
} kinds[] = { /* as safetensors and MLC spell them */
    {"F32", SOLO_TYPE_F32, 4, false},      {"float32", SOLO_TYPE_F32, 4, false},
    {"F16", SOLO_TYPE_F16, 2, false},      {"float16", SOLO_TYPE_F16, 2, false},
    {"BF16", SOLO_TYPE_BF16, 2, false},    {"bfloat16", SOLO_TYPE_BF16, 2, false},
    {"uint32", SOLO_TYPE_F32, 4, true},
};

static uint64_t integer_at(const json_t *array, size_t i) {
    json_int_t v = json_integer_value(json_array_get(array, i));
    return v < 0 ? 0 : (uint64_t)v;
}

/* Adds an array of n_bytes at off, once its shape and kind agree with that. Arrays of other kinds or of more than
 * two dimensions are left out: whoever needs one does not find it. */
static bool add_array(solo_checkpoint *c, const solo_source *s, const char *name, const char *kind,
                      const json_t *shape, uint64_t off, uint64_t n_bytes, solo_error *err) {
    uint32_t k = 0;
    while (k < SOLO_COUNT(kinds) && strcmp(kind, kinds[k].name) != 0) k++;
    const size_t n_dim = json_array_size(shape);
    if (k == SOLO_COUNT(kinds) || n_dim < 1 || n_dim > 2) return true;
    uint64_t cols = integer_at(shape, n_dim - 1), rows = n_dim == 2 ? integer_at(shape, 0) : 0, wanted;
    if (!solo_mul_u64(cols, n_dim == 2 ? rows : 1, &wanted) || !solo_mul_u64(wanted, kinds[k].n_bytes, &wanted) ||
        wanted != n_bytes || !wanted || off > s->n_bytes || n_bytes > s->n_bytes - off)
        return solo_fail(err, SOLO_FILE_FORMAT,
                         "%s: '%.100s': wanted %llu x %llu of %s within %llu bytes, found %llu bytes at %llu", s->name,
                         name, (unsigned long long)rows, (unsigned long long)cols, kind,
                         (unsigned long long)s->n_bytes, (unsigned long long)n_bytes, (unsigned long long)off);
    if (c->n_array == c->cap_array) {
        c->cap_array = c->cap_array ? 2 * c->cap_array : 256;
        c->array = solo_realloc(c->array, c->cap_array * sizeof *c->array);
    }
    c->array[c->n_array++] = (solo_array){
        .name = solo_strndup(name, strlen(name)), .type = kinds[k].type, .is_packed = kinds[k].is_packed,
        .cols = kinds[k].is_packed ? cols * 8 : cols, .rows = rows, .source = s, .off = off, .n_bytes = n_bytes};
    return true;
}

/* n_bytes: 0, or what the folder says it has. */
static solo_source *add_shard(solo_checkpoint *c, const char *name, uint64_t n_bytes, solo_error *err) {
    if (strchr(name, '/') || strchr(name, '\\')) {
        solo_fail(err, SOLO_FILE_FORMAT, "%s: wanted a shard beside it, found '%.100s'", c->folder->name, name);
        return NULL;
    }
    solo_source *s = solo_folder_open(c->folder, name, n_bytes, true, err);
    if (s) c->source[c->n_source++] = s;
    return s;
}

/* ---- safetensors -------------------------------------------------------------------------- */

/* u64 n, n bytes of JSON {name: {dtype, shape, data_offsets}}, data that the offsets count from. */
static bool read_safetensors(solo_checkpoint *c, const char *name, solo_error *err) {
    solo_source *s = add_shard(c, name, 0, err);
    if (!s || !solo_source_need(s, s->n_bytes < 8 ? s->n_bytes : 8, err)) return false;
    uint64_t n = s->n_bytes >= 8 ? load_u64(s->at) : 0;
    if (n < 2 || n > MAX_HEADER || n > s->n_bytes - 8)
        return solo_fail(err, SOLO_FILE_FORMAT, "%s: wanted a safetensors header in its %llu bytes, found one of %llu",
                         s->name, (unsigned long long)s->n_bytes, (unsigned long long)n);
    if (!solo_source_need(s, 8 + n, err)) return false;
    json_t *root = solo_json_object(s, 8, n, err), *each;
    const char *key;
    bool ok = root != NULL;
    if (ok) json_object_foreach(root, key, each) {
        if (!ok || !strcmp(key, "__metadata__")) continue;
        const json_t *offsets = json_object_get(each, "data_offsets");
        const char *kind = json_string_value(json_object_get(each, "dtype"));
        uint64_t first = integer_at(offsets, 0), end = integer_at(offsets, 1);
        if (!kind || json_array_size(offsets) != 2 || end < first || first > s->n_bytes)
            ok = solo_fail(err, SOLO_FILE_FORMAT, "%s: '%.100s': wanted dtype and data_offsets, found something else",
                           s->name, key);
        else ok = add_array(c, s, key, kind, json_object_get(each, "shape"), 8 + n + first, end - first, err);
    }
    json_decref(root);
    return ok;
}

/* {"weight_map": {array: shard}}: the shards' own headers say the rest. */
static bool read_index(solo_checkpoint *c, json_t *root, solo_error *err) {
    json_t *map = json_object_get(root, "weight_map"), *each, *seen = json_object();
    const char *key;
    bool ok = json_object_size(map) > 0 ||
              solo_fail(err, SOLO_FILE_FORMAT, "%s/model.safetensors.index.json: wanted a weight_map, found none",
                        c->folder->name);
    json_object_foreach(map, key, each) {
        const char *name = json_string_value(each);
        if (!ok || (name && json_object_get(seen, name))) continue;
        if (!name || c->n_source == MAX_SHARD)
            ok = solo_fail(err, SOLO_FILE_FORMAT, "%s/model.safetensors.index.json: weight_map: wanted names of up to "
                           "%u files, found others", c->folder->name, MAX_SHARD);
        else ok = json_object_set_new(seen, name, json_true()) == 0 && read_safetensors(c, name, err);
    }
    json_decref(seen);
    return ok;
}

/* ---- MLC ---------------------------------------------------------------------------------- */

/* {"records": [{"dataPath", "records": [{"name", "shape", "dtype", "format", "byteOffset", "nbytes"}]}]}. With the
 * format f32-to-bf16 the bytes of a float32 are a bf16's. */
static bool read_cache(solo_checkpoint *c, json_t *root, solo_error *err) {
    size_t i, k;
    json_t *shard, *each;
    json_array_foreach(json_object_get(root, "records"), i, shard) {
        const char *path = json_string_value(json_object_get(shard, "dataPath"));
        if (!path || c->n_source == MAX_SHARD)
            return solo_fail(err, SOLO_FILE_FORMAT, "%s: record %zu: wanted a dataPath of up to %u, found none",
                             c->folder->name, i, MAX_SHARD);
        const json_int_t n_bytes = json_integer_value(json_object_get(shard, "nbytes"));
        solo_source *s = add_shard(c, path, n_bytes > 0 ? (uint64_t)n_bytes : 0, err);
        if (!s) return false;
        json_array_foreach(json_object_get(shard, "records"), k, each) {
            const char *name = json_string_value(json_object_get(each, "name"));
            const char *kind = json_string_value(json_object_get(each, "dtype"));
            const char *format = json_string_value(json_object_get(each, "format"));
            json_int_t off = json_integer_value(json_object_get(each, "byteOffset"));
            json_int_t n = json_integer_value(json_object_get(each, "nbytes"));
            if (!name || !kind || off < 0 || n <= 0)
                return solo_fail(err, SOLO_FILE_FORMAT, "%s: record %zu: wanted name, dtype, byteOffset and nbytes, "
                                 "found others", s->name, k);
            if (format && !strcmp(format, "f32-to-bf16") && !strcmp(kind, "float32")) kind = "bfloat16";
            if (!add_array(c, s, name, kind, json_object_get(each, "shape"), (uint64_t)off, (uint64_t)n, err))
                return false;
        }
    }
    return true;
}

/* ---- opening ------------------------------------------------------------------------------ */

static bool read_arrays(solo_checkpoint *c, solo_error *err) {
    static const char *const caches[] = {"tensor-cache.json", "ndarray-cache.json"};
    solo_error none = {0};
    for (uint32_t i = 0; i < SOLO_COUNT(caches); i++) {
        json_t *root = solo_folder_json(c->folder, caches[i], false, &none);
        if (none.text[0]) return solo_fail(err, none.status, "%s", none.text);
        if (!root) continue;
        c->is_mlc = true;
        bool ok = read_cache(c, root, err);
        json_decref(root);
        return ok;
    }
    json_t *index = solo_folder_json(c->folder, "model.safetensors.index.json", false, &none);
    if (none.text[0]) return solo_fail(err, none.status, "%s", none.text);
    bool ok = index ? read_index(c, index, err) : read_safetensors(c, "model.safetensors", err);
    json_decref(index);
    return ok;
}

bool solo_checkpoint_open(solo_checkpoint **out, const solo_folder *folder, solo_error *err) {
    solo_checkpoint *c = solo_zalloc(1, sizeof *c);
    *out = NULL;
    c->folder = folder;
    c->source = solo_zalloc(MAX_SHARD, sizeof *c->source);
    if (!read_arrays(c, err)) {
        solo_checkpoint_close(c);
        return false;
    }
    c->folder = NULL;
    *out = c;
    return true;
}

void solo_checkpoint_close(solo_checkpoint *c) {
    if (!c) return;
    for (uint32_t i = 0; i < c->n_source; i++) solo_source_close(c->source[i]);
    for (uint32_t i = 0; i < c->n_array; i++) free(c->array[i].name);
    free(c->source), free(c->array);
    free(c);
}

const solo_array *solo_checkpoint_find(const solo_checkpoint *c, const char *name) {
    for (uint32_t i = 0; i < c->n_array; i++)
        if (!strcmp(c->array[i].name, name)) return &c->array[i];
    return NULL;
}
