/* weights.h: a model's tensors in the GPU's forms, uploaded to one device.
 *
 * Two kinds of buffer. Payload: one index space of vec4<u32>, cut into as many buffers as the
 * device's binding limit demands (kernels see it through payload(i)). Scales: one buffer of u32, an
 * even number, with all scales and the vectors. Matrices stand row by row; a row of a form with p
 * payload vec4 a group is p planes of its groups: [row][p][group]; how its scales stand, quant.h says.
 * Rows of q and k are ordered so that the two numbers which RoPE turns together are neighbours,
 * whatever the file's order; so are their biases and gains. */
#ifndef SOLO_WEIGHTS_H
#define SOLO_WEIGHTS_H

#include "device.h"
#include "model.h"

/* name as in WGSL, the field of solo_layer it comes from */
#define SOLO_MATRIX_LIST(X)                                                                        \
    X(Q, q) X(K, k) X(V, v) X(OUT, out) X(GATE, gate) X(UP, up) X(DOWN, down)

typedef enum solo_matrix {
#define X(name, field) SOLO_MATRIX_##name,
    SOLO_MATRIX_LIST(X)
#undef X
        SOLO_MATRIX_PER_LAYER,
    SOLO_MATRIX_EMBD = SOLO_MATRIX_PER_LAYER,
    SOLO_MATRIX_OUTPUT,
    SOLO_MATRIX_POSITIONS,
    SOLO_MATRIX_COUNT
} solo_matrix;

/* Vectors in f32: the WGSL function that says where a layer's begins. Where a model has none: 0 words. */
#define SOLO_VECTOR_LIST(X)                                                                        \
    X(GAIN_ATTN, gain_attn) /* [n_layer + 1][n_embd], the last is output_norm */                   \
    X(GAIN_FFN, gain_ffn)   /* [n_layer][n_embd] */                                                \
    X(GAIN_POST_ATTN, gain_post_attn) /* [n_layer][n_embd] */                                      \
    X(GAIN_POST_FFN, gain_post_ffn) /* [n_layer][n_embd] */                                        \
    X(GAIN_HEAD, gain_head) /* [n_layer][2][head_dim] of q's heads, then of k's */                 \
    X(BIAS_QKV, bias_qkv)   /* [n_layer][rows of q, k and v] */                                    \
    X(BIAS_OUT, bias_out)   /* [n_layer][n_embd] */                                                \
    X(BIAS_GATE_UP, bias_gate_up) /* [n_layer][n_ff] of gate, then of up where there is one */     \
    X(BIAS_DOWN, bias_down) /* [n_layer][n_embd] */                                                \
    X(BIAS_LOGITS, bias_logits) /* [n_vocab] */                                                    \
    X(SUM_QKV, sum_qkv)     /* as the biases: each row's sum of weights times gains, which a */    \
    X(SUM_GATE_UP, sum_gate_up) /* LAYER norm multiplies by the mean. Its own bias times the */    \
    X(SUM_LOGITS, sum_logits) /* weights is then in the row's bias. */

typedef enum solo_vector {
#define X(name, function) SOLO_VECTOR_##name,
    SOLO_VECTOR_LIST(X)
#undef X
    SOLO_VECTOR_COUNT
} solo_vector;

typedef struct solo_vector_place {
    uint32_t at, n; /* words of the scales buffer; of a layer */
} solo_vector_place;

typedef struct solo_matrix_place {
    solo_form form;
    uint32_t w_at; /* vec4 index of the payload */
    uint32_t s_at; /* q4_0, q8_0: in halves; else in words of the scales buffer; of an even word */
    uint32_t n_row, n_group; /* 0 rows: the model has no such matrix */
    uint64_t n_bytes; /* payload and scales */
} solo_matrix_place;

#define SOLO_MAX_PAYLOAD 4u

struct solo_weights {
    const solo_model *model;
    solo_device *device;
    solo_buffer payload[SOLO_MAX_PAYLOAD];
    uint32_t n_payload;
    uint32_t span; /* vec4 in each payload buffer but the last */
    solo_buffer scales;
    solo_vector_place vector[SOLO_VECTOR_COUNT];
    uint32_t dir_at;          /* word offset of the directory: [n_layer][7][3] w_at, s_at, form */
    solo_matrix_place *place; /* [n_layer][SOLO_MATRIX_PER_LAYER], then embd, output, positions */
    uint64_t payload_words4, scale_words; /* totals */
};

const solo_matrix_place *solo_weights_place(const solo_weights *w, uint32_t layer,
                                            solo_matrix matrix);

#endif
