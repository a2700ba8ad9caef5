/* gguf_write.c: see gguf_write.h. Numbers go out byte by byte, little-endian on every machine. */
#include "gguf_write.h"

/* ---- values ------------------------------------------------------------------------------- */

static void add_le(solo_text *to, uint64_t v, uint32_t n_bytes) {
    char bytes[8];
    for (uint32_t i = 0; i < n_bytes; i++) bytes[i] = (char)(uint8_t)(v >> 8 * i);
    solo_text_add_n(to, bytes, n_bytes);
}

static void add_str(solo_text *to, const char *at) {
    add_le(to, strlen(at), 8);
    solo_text_add_n(to, at, strlen(at));
}

static void add_key(solo_gguf_writer *w, const char *key, uint32_t kind) {
    add_str(&w->values, key);
    add_le(&w->values, kind, 4);
    w->n_value++;
}

void solo_gguf_put_raw(solo_gguf_writer *w, const char *key, uint32_t kind, const void *at,
                       size_t n) {
    add_key(w, key, kind);
    solo_text_add_n(&w->values, at, n);
}

void solo_gguf_put_u32(solo_gguf_writer *w, const char *key, uint32_t v) {
    add_key(w, key, SOLO_GGUF_U32);
    add_le(&w->values, v, 4);
}

void solo_gguf_put_f32(solo_gguf_writer *w, const char *key, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    add_key(w, key, SOLO_GGUF_F32);
    add_le(&w->values, bits, 4);
}

void solo_gguf_put_bool(solo_gguf_writer *w, const char *key, bool v) {
    add_key(w, key, SOLO_GGUF_BOOL);
    add_le(&w->values, v, 1);
}

void solo_gguf_put_str(solo_gguf_writer *w, const char *key, const char *text) {
    add_key(w, key, SOLO_GGUF_STRING);
    add_str(&w->values, text);
}

void solo_gguf_put_i32s(solo_gguf_writer *w, const char *key, const int32_t *items, uint64_t n) {
    add_key(w, key, SOLO_GGUF_ARRAY);
    add_le(&w->values, SOLO_GGUF_I32, 4);
    add_le(&w->values, n, 8);
    for (uint64_t i = 0; i < n; i++) add_le(&w->values, (uint32_t)items[i], 4);
}

void solo_gguf_put_strs(solo_gguf_writer *w, const char *key, char *const *items, uint64_t n) {
    add_key(w, key, SOLO_GGUF_ARRAY);
    add_le(&w->values, SOLO_GGUF_STRING, 4);
    add_le(&w->values, n, 8);
    for (uint64_t i = 0; i < n; i++) add_str(&w->values, items[i]);
}

/* ---- tensors ------------------------------------------------------------------------------ */

static uint32_t alignment_of(const solo_gguf_writer *w) { return w->alignment ? w->alignment : 32; }

static void pad_to(const solo_gguf_writer *w, solo_text *text) {
    while (text->n % alignment_of(w)) solo_text_add_n(text, &w->pad, 1);
}

void solo_gguf_put_entry(solo_gguf_writer *w, const char *name, uint32_t n_dim,
                         const uint64_t *dim, uint32_t type, uint64_t offset) {
    add_str(&w->tensors, name);
    add_le(&w->tensors, n_dim, 4);
    for (uint32_t i = 0; i < n_dim; i++) add_le(&w->tensors, dim[i], 8);
    add_le(&w->tensors, type, 4);
    add_le(&w->tensors, offset, 8);
    w->n_tensor++;
}

uint64_t solo_gguf_declare_tensor(solo_gguf_writer *w, const char *name, solo_type type,
                                  uint64_t cols, uint64_t rows, uint64_t *n_bytes) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    SOLO_ASSERT(info && cols % info->n_block == 0);
    uint64_t unit = alignment_of(w), offset = (w->n_declared + unit - 1) / unit * unit;
    solo_gguf_put_entry(w, name, rows ? 2 : 1, (uint64_t[]){cols, rows}, (uint32_t)type, offset);
    *n_bytes = cols / info->n_block * info->block_bytes * (rows ? rows : 1);
    w->n_declared = offset + *n_bytes;
    return offset;
}

void solo_gguf_put_tensor(solo_gguf_writer *w, const char *name, solo_type type, uint64_t cols,
                          uint64_t rows, const uint8_t *data) {
    uint64_t n_bytes;
    pad_to(w, &w->data);
    w->n_declared = w->data.n;
    solo_gguf_declare_tensor(w, name, type, cols, rows, &n_bytes);
    solo_text_add_n(&w->data, (const char *)data, (size_t)n_bytes);
}

void solo_gguf_put_tensor_f32(solo_gguf_writer *w, const char *name, solo_type type, uint64_t cols,
                              uint64_t rows, const float *x) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    const uint64_t n = cols * (rows ? rows : 1);
    uint8_t *data = solo_alloc((size_t)(n / info->n_block * info->block_bytes));
    solo_quantize(type, x, n, data);
    solo_gguf_put_tensor(w, name, type, cols, rows, data);
    free(data);
}

/* ---- the file ----------------------------------------------------------------------------- */

void solo_gguf_write_head(const solo_gguf_writer *w, solo_text *out) {
    solo_text_add_n(out, "GGUF", 4);
    add_le(out, w->version ? w->version : 3, 4);
    add_le(out, w->n_tensor, 8);
    add_le(out, w->n_value, 8);
    solo_text_add_n(out, w->values.at, w->values.n);
    solo_text_add_n(out, w->tensors.at, w->tensors.n);
    if (w->data.n || w->n_declared) pad_to(w, out);
}

void solo_gguf_writer_free(solo_gguf_writer *w) {
    free(w->values.at);
    free(w->tensors.at);
    free(w->data.at);
    memset(w, 0, sizeof *w);
}

void solo_gguf_write_memory(solo_gguf_writer *w, uint8_t **bytes, uint64_t *n) {
    solo_text all = {0};
    solo_gguf_write_head(w, &all);
    solo_text_add_n(&all, w->data.at, w->data.n);
    /* Exactly as long as the file, so that a sanitizer sees a read one past its end. */
    *bytes = solo_alloc(all.n);
    memcpy(*bytes, all.at, all.n);
    *n = all.n;
    free(all.at);
    solo_gguf_writer_free(w);
}
