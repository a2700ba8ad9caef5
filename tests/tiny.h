/* tiny.h: whole small models with random weights as GGUF files in memory, the same for the same seed
 * everywhere. The writer is gguf_write.h's; a test may spoil what it holds.
 *
 *   uint8_t *bytes; uint64_t n;
 *   assert_true(tiny_gguf(&(tiny_desc){.type_v = SOLO_TYPE_Q8_0, .tied = true}, &bytes, &n));
 *   solo_model_open(&model, &(solo_model_desc){.bytes = bytes, .n_bytes = n}, &err) ... free(bytes)
 */
#ifndef SOLO_TESTS_TINY_H
#define SOLO_TESTS_TINY_H

#include "gguf_write.h"

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
    bool      rope_factors;    /* rope_freqs.weight, growing from 1 */
    const float *rope_freqs;   /* [rope_dim / 2] its numbers instead */
    bool      phi3;            /* fused tensors, pairs as halves: type_v is of q, k and v, type_up
                                  of gate and up. The numbers are the llama's of the same seed. */
    const char *arch;          /* ["llama", or "phi3"] an architecture whose numbers are its own: rows
                                  of q and k are drawn as the file has them */
    uint32_t  rope_dim;        /* [head_dim] */
    uint32_t  n_ctx_orig;      /* where not 0: rope_factors_long (those of rope_freqs) and _short */
    float     attn_factor;     /* where above 0 */
    float     rope_base, rope_scale; /* [10000, none] */
    uint32_t  yarn_ctx;        /* where not 0: rope_scale is YaRN's, for this original context */
    float     yarn_fast, yarn_slow;
    bool      biases;          /* of every matrix of a layer */
    uint32_t  attn_window;     /* where not 0 */
    uint32_t  global_every;    /* where not 0, of an architecture that has such layers */
    uint64_t  seed;
} tiny_desc;

/* Row lengths must be multiples of the types' blocks (256 for K-quants): false where not, or where
 * n_vocab < 300. Ids 0..255 are the bytes; then merges; then <|im_start|> and <|im_end|>, which is
 * eos; then fillers "<|t300|>". */
bool tiny_gguf(const tiny_desc *desc, uint8_t **bytes, uint64_t *n);

/* Puts everything of the model into a writer, for tests that then spoil it. */
bool tiny_model(solo_gguf_writer *w, const tiny_desc *desc);

/* Random numbers by count: number i of stream `seed`, uniform in -1..1. */
float    tiny_random(uint64_t seed, uint64_t i);
uint64_t tiny_random_bits(uint64_t seed, uint64_t i);

#endif
