/* gguf.h: the GGUF container, versions 2 and 3: metadata and a tensor directory, fully checked while
 * it opens. What the keys mean is model.c's business.
 *
 * A split file (…-00001-of-000NN.gguf, split.count) is opened by its first part; the others are
 * mapped beside it and their tensors appended. Everything is borrowed from the solo_gguf. */
#ifndef SOLO_GGUF_H
#define SOLO_GGUF_H

#include "base.h"
#include "quant.h"
#include "source.h"

typedef struct solo_gguf solo_gguf;

typedef enum solo_gguf_kind { /* numbers are the file format's */
    SOLO_GGUF_U8, SOLO_GGUF_I8, SOLO_GGUF_U16, SOLO_GGUF_I16, SOLO_GGUF_U32, SOLO_GGUF_I32,
    SOLO_GGUF_F32, SOLO_GGUF_BOOL, SOLO_GGUF_STRING, SOLO_GGUF_ARRAY, SOLO_GGUF_U64,
    SOLO_GGUF_I64, SOLO_GGUF_F64,
} solo_gguf_kind;

typedef struct solo_gguf_value {
    solo_str       key;
    solo_gguf_kind kind;
    solo_gguf_kind item_kind; /* of an array */
    uint64_t       n_item;    /* of an array */
    const uint8_t *at;        /* the scalar's bytes; an array's first item; a string's bytes */
    uint64_t       n_bytes;   /* from at to the value's end */
} solo_gguf_value;

typedef struct solo_tensor {
    const char    *name; /* NUL-terminated copy */
    solo_type      type;
    uint32_t       n_dim;
    uint64_t       dim[4]; /* as in the file: dim[0] is the row length (innermost) */
    uint64_t       n_bytes;
    const solo_source *source;
    uint64_t       off;  /* of its bytes in the source */
    const uint8_t *data; /* the same where they are at hand, else NULL: read source, or load it */
} solo_tensor;

bool solo_gguf_open(solo_gguf **out, const char *path, solo_error *err);
/* The same checks on bytes in memory (borrowed for the object's life); label names it in errors. */
bool solo_gguf_open_memory(solo_gguf **out, const uint8_t *at, uint64_t n, const char *label,
                           solo_error *err);
/* The same for any source, which becomes the object's, on failure too. Of one that is only read the
 * head stays in memory, nothing else. */
bool solo_gguf_open_source(solo_gguf **out, solo_source *source, solo_error *err);
/* Sees that a small tensor's data is at hand. */
bool solo_gguf_load(solo_gguf *gguf, const solo_tensor *tensor, solo_error *err);
void solo_gguf_close(solo_gguf *gguf);

const char *solo_gguf_path(const solo_gguf *gguf);
uint32_t solo_gguf_version(const solo_gguf *gguf);
uint64_t solo_gguf_n_tensor(const solo_gguf *gguf);
const solo_tensor *solo_gguf_tensor_at(const solo_gguf *gguf, uint64_t i);
const solo_tensor *solo_gguf_tensor(const solo_gguf *gguf, const char *name);  /* NULL: absent */
const solo_gguf_value *solo_gguf_find(const solo_gguf *gguf, const char *key); /* NULL: absent */

/* Typed getters. Absent: *out keeps its value (set the default first) and true, unless required.
 * Present with a wrong kind or out of range: false with key, wanted and found. Any unsigned or
 * signed integer kind is accepted where the value fits. */
bool solo_gguf_get_u32(const solo_gguf *g, const char *key, bool required, uint32_t *out,
                       solo_error *err);
bool solo_gguf_get_f32(const solo_gguf *g, const char *key, bool required, float *out,
                       solo_error *err);
bool solo_gguf_get_bool(const solo_gguf *g, const char *key, bool required, bool *out,
                        solo_error *err);
bool solo_gguf_get_str(const solo_gguf *g, const char *key, bool required, solo_str *out,
                       solo_error *err);
/* An array of strings: spans into the file, malloc'd array. Fails when it is not one. */
bool solo_gguf_get_strs(const solo_gguf *g, const char *key, bool required, solo_str **out,
                        uint64_t *n, solo_error *err);
/* Arrays of f32 / i32-or-u32 items: a malloc'd copy (the file does not align them). */
bool solo_gguf_get_f32s(const solo_gguf *g, const char *key, bool required, float **out,
                        uint64_t *n, solo_error *err);
bool solo_gguf_get_i32s(const solo_gguf *g, const char *key, bool required, int32_t **out,
                        uint64_t *n, solo_error *err);

#endif
