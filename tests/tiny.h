/* tiny.h: GGUF files made in memory for tests: a writer that can also write wrong files, and whole
 * small llama models with random weights, the same for the same seed everywhere.
 *
 *   uint8_t *bytes; uint64_t n;
 *   assert_true(tiny_gguf(&(tiny_desc){.type_v = SOLO_TYPE_Q8_0, .tied = true}, &bytes, &n));
 *   solo_model_open(&model, &(solo_model_desc){.bytes = bytes, .n_bytes = n}, &err) ... free(bytes)
 */
#ifndef SOLO_TESTS_TINY_H
#define SOLO_TESTS_TINY_H

#include "gguf.h"

/* ---- the writer --------------------------------------------------------------------------- */

/* Zero-initialise. The fields are the header's and may be changed before tiny_writer_finish. */
typedef struct tiny_writer {
    uint32_t  version;   /* 0: 3 */
    uint32_t  alignment; /* 0: 32; as used, not as said: write general.alignment beside it */
    uint64_t  n_tensor, n_value;
    solo_text values, tensors, data;
} tiny_writer;

void tiny_value_raw(tiny_writer *w, const char *key, uint32_t kind, const void *at, size_t n);
void tiny_value_u32(tiny_writer *w, const char *key, uint32_t v);
void tiny_value_f32(tiny_writer *w, const char *key, float v);
void tiny_value_bool(tiny_writer *w, const char *key, bool v);
void tiny_value_str(tiny_writer *w, const char *key, const char *text);
void tiny_value_i32s(tiny_writer *w, const char *key, const int32_t *items, uint64_t n);
void tiny_value_strs(tiny_writer *w, const char *key, char *const *items, uint64_t n);

/* Directory entry alone, nothing checked. */
void tiny_tensor_raw(tiny_writer *w, const char *name, uint32_t n_dim, const uint64_t *dim,
                     uint32_t type, uint64_t offset);
/* Entry and data, at the next aligned offset. */
void tiny_tensor(tiny_writer *w, const char *name, solo_type type, uint64_t cols, uint64_t rows,
                 const uint8_t *data);
/* cols x rows numbers quantised; rows 0: a vector, one dim. */
void tiny_tensor_f32(tiny_writer *w, const char *name, solo_type type, uint64_t cols, uint64_t rows,
                     const float *x);

/* *bytes is malloc'd. Frees what the writer holds. */
void tiny_writer_finish(tiny_writer *w, uint8_t **bytes, uint64_t *n);

/* ---- whole models ------------------------------------------------------------------------- */

#define TINY_TYPE_F32 ((solo_type)255) /* F32's number is 0, which means default here */

typedef struct tiny_desc { /* zero: the default in brackets */
    uint32_t n_layer, n_embd, n_head, n_head_kv, head_dim; /* [2, 64, 4, 2, 16] */
    uint32_t n_ff, n_vocab, n_ctx;                         /* [96, 320, 64] n_vocab >= 300 */
    solo_type type_qk, type_v, type_out, type_gate, type_up, type_down; /* [Q4_1] */
    solo_type type_embd, type_output;                      /* [Q8_0] */
    solo_type alt_v, alt_down; /* of odd layers, where use_alt */
    bool      use_alt;
    bool      tied;            /* no output.weight */
    bool      rope_factors;
    uint64_t  seed;
} tiny_desc;

/* Row lengths must be multiples of the types' blocks (256 for K-quants): false where not, or where
 * n_vocab < 300. Ids 0..255 are the bytes; then merges; then <|im_start|> and <|im_end|>, which is
 * eos; then fillers "<|t300|>". */
bool tiny_gguf(const tiny_desc *desc, uint8_t **bytes, uint64_t *n);

/* Puts everything of the model into a writer, for tests that then spoil it. */
bool tiny_model(tiny_writer *w, const tiny_desc *desc);

/* Random numbers by count: number i of stream `seed`, uniform in -1..1. */
float    tiny_random(uint64_t seed, uint64_t i);
uint64_t tiny_random_bits(uint64_t seed, uint64_t i);

#endif
