/* gguf_write.h: the head of a GGUF, version 3, put together in memory; data in memory beside it, or
 * streamed by the caller. Nothing is checked against what the keys mean: the tests write wrong
 * files with it too.
 *
 *   solo_gguf_writer w = {0};
 *   solo_gguf_put_str(&w, "general.architecture", "llama");
 *   solo_gguf_put_tensor(&w, "token_embd.weight", SOLO_TYPE_Q8_0, cols, rows, data);
 *   solo_gguf_write_memory(&w, &bytes, &n);
 *
 * For files that do not fit memory: solo_gguf_declare_tensor for each, solo_gguf_write_head, then
 * every tensor's bytes at its offset behind the head.
 */
#ifndef SOLO_GGUF_WRITE_H
#define SOLO_GGUF_WRITE_H

#include "gguf.h"

/* Zero-initialise. The fields are the header's and may be changed before the head is written. */
typedef struct solo_gguf_writer {
    uint32_t  version;   /* 0: 3 */
    uint32_t  alignment; /* 0: 32; as used, not as said: write general.alignment beside it */
    char      pad;       /* the byte between tensors */
    uint64_t  n_tensor, n_value;
    uint64_t  n_declared; /* bytes of the data that was declared so far, padding included */
    solo_text values, tensors, data;
} solo_gguf_writer;

void solo_gguf_put_raw(solo_gguf_writer *w, const char *key, uint32_t kind, const void *at,
                       size_t n);
void solo_gguf_put_u32(solo_gguf_writer *w, const char *key, uint32_t v);
void solo_gguf_put_f32(solo_gguf_writer *w, const char *key, float v);
void solo_gguf_put_bool(solo_gguf_writer *w, const char *key, bool v);
void solo_gguf_put_str(solo_gguf_writer *w, const char *key, const char *text);
void solo_gguf_put_i32s(solo_gguf_writer *w, const char *key, const int32_t *items, uint64_t n);
void solo_gguf_put_strs(solo_gguf_writer *w, const char *key, char *const *items, uint64_t n);

/* Directory entry alone, nothing checked. */
void solo_gguf_put_entry(solo_gguf_writer *w, const char *name, uint32_t n_dim,
                         const uint64_t *dim, uint32_t type, uint64_t offset);
/* Entry at the next aligned offset, which is returned; the caller writes the data, n_bytes of it.
 * rows 0: a vector, one dim. A writer's tensors are all declared or all put. */
uint64_t solo_gguf_declare_tensor(solo_gguf_writer *w, const char *name, solo_type type,
                                  uint64_t cols, uint64_t rows, uint64_t *n_bytes);
/* Entry and data. */
void solo_gguf_put_tensor(solo_gguf_writer *w, const char *name, solo_type type, uint64_t cols,
                          uint64_t rows, const uint8_t *data);
/* The same from f32, quantised. */
void solo_gguf_put_tensor_f32(solo_gguf_writer *w, const char *name, solo_type type, uint64_t cols,
                              uint64_t rows, const float *x);

/* All that stands before the data, padded where there is data; appended to out. */
void solo_gguf_write_head(const solo_gguf_writer *w, solo_text *out);
/* The whole file; *bytes is malloc'd, exactly as long as the file. Frees what the writer holds. */
void solo_gguf_write_memory(solo_gguf_writer *w, uint8_t **bytes, uint64_t *n);
void solo_gguf_writer_free(solo_gguf_writer *w);

#endif
