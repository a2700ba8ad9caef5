/* quant.h: weight types of files, and the forms in which the GPU holds them.
 *
 * A *type* is the file's (GGML's block formats). A *form* is Solo's on the GPU: a group is always
 * 32 weights of one row; its payload is 1, 2, 4 or 8 vec4<u32>, its scales stand in a stream of
 * their own. Converting a type to its form is exact: solo_form_dequant of the repacked row equals
 * solo_dequant of the file's row bit for bit (tests/test_quant.c).
 *
 * form   payload a group (little-endian words)                              scales a group
 * q4_0   4 words: word j: low nibble of byte b = w[8j+b], high = w[8j+4+b],  1 f16  d        w = d*q
 *        q = nibble as two's complement, -8..7
 * q4_1   the same, q unsigned 0..15                                          2 f16  d, m     w = d*q+m
 * q4_k   the same as q4_1                                                    2 f32  d, m     w = d*q+m
 * q8_0   8 words: word j = w[4j..4j+3] as int8                               1 f16  d        w = d*q
 * q6_k   the same as q8_0                                                    2 f32  d of w[0..15], of the rest
 * q5_k   the same as q4_1: the low four bits of q, 0..31                     2 f32  d, m     w = d*q+m
 *                                                                            u32: bit j of byte b: fifth of w[4j+b]
 * q4_f   the same as q4_0                                                    1 f32  d        w = d*q
 * q2_k   the same as q4_0                                                    2 f16  d, dm; 4 int8: s of w[0..15], of
 *                                                                            the rest; n likewise
 *                                                                            w = (d*s)*q + -(dm*n)
 * f16    16 words: word j = w[2j] (low half), w[2j+1]                        none
 * bf16   the same with bf16 halves                                           none
 * f32    32 words                                                            none
 *
 * Where a type goes is in SOLO_TYPE_LIST. Exact in f32, by the formats' bounds: a super-block's d times a
 * sub-block's scale of up to 8 bits (Q4_K, Q5_K, Q6_K, IQ4_XS) and Q5_1's halves as f32. Q3_K has no minima: dm
 * and n are 0, and adding -0 changes no number. IQ4_NL, IQ4_XS and MXFP4 are indices into a table of sixteen
 * small integers, and are looked up once, at load. What that costs, bytes of 32 weights in the file and on the GPU:
 *
 *   Q4_0 18 18   Q4_1 20 20   Q4_K 18 24     Q2_K 10.5 24    Q3_K 13.75 24   IQ4_NL 18 34   Q8_0 34 34
 *   Q5_0 22 34   Q5_1 24 28   Q5_K 22 28     Q6_K 26.25 40   IQ4_XS 17 40    MXFP4  17 40
 */
#ifndef SOLO_QUANT_H
#define SOLO_QUANT_H

#include "base.h"

#define SOLO_GROUP 32u /* weights in a group */

/* name, number in the file, weights a block, bytes a block, form or NONE where unsupported */
#define SOLO_TYPE_LIST(X)              \
    X(F32,     0,   1,   4, F32)       \
    X(F16,     1,   1,   2, F16)       \
    X(Q4_0,    2,  32,  18, Q4_0)      \
    X(Q4_1,    3,  32,  20, Q4_1)      \
    X(Q5_0,    6,  32,  22, Q8_0)      \
    X(Q5_1,    7,  32,  24, Q5_K)      \
    X(Q8_0,    8,  32,  34, Q8_0)      \
    X(Q8_1,    9,  32,  36, NONE)      \
    X(Q2_K,   10, 256,  84, Q2_K)      \
    X(Q3_K,   11, 256, 110, Q2_K)      \
    X(Q4_K,   12, 256, 144, Q4_K)      \
    X(Q5_K,   13, 256, 176, Q5_K)      \
    X(Q6_K,   14, 256, 210, Q6_K)      \
    X(Q8_K,   15, 256, 292, NONE)      \
    X(IQ4_NL, 20,  32,  18, Q8_0)      \
    X(IQ4_XS, 23, 256, 136, Q6_K)      \
    X(BF16,   30,   1,   2, BF16)      \
    X(MXFP4,  39,  32,  17, Q6_K)      \
    X(Q4_F,   63,  32,  20, Q4_F) /* not in files: Q4_0 with an f32 scale, MLC's q4f32_1 */

typedef enum solo_type {
#define X(name, number, n, bytes, form) SOLO_TYPE_##name = number,
    SOLO_TYPE_LIST(X)
#undef X
} solo_type;

/* name, WGSL/CLI name, payload words a group, scale bytes a group */
#define SOLO_FORM_LIST(X)       \
    X(Q4_0, "q4_0",  4, 2)      \
    X(Q4_1, "q4_1",  4, 4)      \
    X(Q4_K, "q4_k",  4, 8)      \
    X(Q8_0, "q8_0",  8, 2)      \
    X(Q6_K, "q6_k",  8, 8)      \
    X(Q5_K, "q5_k",  4, 12)     \
    X(Q2_K, "q2_k",  4, 8)      \
    X(Q4_F, "q4_f",  4, 4)      \
    X(F16,  "f16",  16, 0)      \
    X(BF16, "bf16", 16, 0)      \
    X(F32,  "f32",  32, 0)

typedef enum solo_form {
#define X(name, text, words, scale_bytes) SOLO_FORM_##name,
    SOLO_FORM_LIST(X)
#undef X
    SOLO_FORM_COUNT,
    SOLO_FORM_NONE = SOLO_FORM_COUNT
} solo_form;

typedef struct solo_type_info {
    const char *name;      /* "Q4_0" */
    uint32_t    n_block;   /* weights */
    uint32_t    block_bytes;
    solo_form   form;      /* NONE: known but not supported */
} solo_type_info;

typedef struct solo_form_info {
    const char *name;
    uint32_t    payload_words, scale_bytes; /* a group */
} solo_form_info;

const solo_type_info *solo_type_get_info(uint32_t number); /* NULL: unknown to Solo */
const solo_form_info *solo_form_get_info(solo_form form);

/* The type that users call `said` ("q4_0", "Q4_0"), of those that are taken. False, with err filled by `what`
 * was asked and what there is. */
bool solo_type_find(const char *what, const char *said, bool (*is_taken)(const solo_type_info *info, solo_type type),
                    solo_type *out, solo_error *err);

/* n weights (a multiple of the type's block) of a supported type to f32, as the format's
 * definition has it. src needs no alignment. */
void solo_dequant(solo_type type, const uint8_t *src, uint64_t n, float *dst);

/* One row of n weights to its form. n need not be a multiple of 32 for F32/F16/BF16: the last group
 * is padded with zeros. payload: [n_group][payload_words]; scales: [n_group][scale_bytes]. The caller
 * interleaves payload planes as the kernels want them. scales may be NULL where scale_bytes is 0. */
void solo_repack_row(solo_type type, const uint8_t *src, uint32_t n, uint32_t *payload,
                     uint8_t *scales);

/* How a row's scales stand on the device, counted in halves where a scale has two bytes, else in words. Two-byte
 * ones that fill three quarters of it are padded to whole runs of 128, in which those of groups g, g + 32, g + 64 and
 * g + 96 are neighbours: a quad, one load for a lane that has these groups (stream.h). common.wgsl says the same. */
#define SOLO_QUAD_LANES 32u
#define SOLO_QUAD_RUN (4 * SOLO_QUAD_LANES)
bool     solo_has_quads(solo_form form, uint32_t n_group);
uint32_t solo_row_scales(solo_form form, uint32_t n_group);
uint32_t solo_quad_at(uint32_t g); /* of group g in a row of quads */

/* The same weights back from the form, for tests and for the embedding row of the reference. */
void solo_form_dequant(solo_form form, const uint32_t *payload, const uint8_t *scales, uint32_t n,
                       float *dst);

/* n f32 to the blocks of any supported type, deterministic: each block alone, by its range or its largest value,
 * without a search for better scales. n: a multiple of the type's block. dst: n / n_block * block_bytes. */
void solo_quantize(solo_type type, const float *src, uint64_t n, uint8_t *dst);

/* For quant.c and quantize.c: what the indices of IQ4_NL and IQ4_XS, and of MXFP4, stand for. */
extern const int8_t solo_iq4_table[16], solo_mxfp4_table[16];
/* MXFP4's shared exponent as the factor on its table, whose entries are twice the values. */
float solo_mxfp4_scale(uint8_t e);

#endif
