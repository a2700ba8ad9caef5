/* ref.h: the model in plain C and f32, one function a stage: the oracle of the tests and the "cpu"
 * device. Nothing here is fast or clever. Weights are dequantised row by row from the file's bytes
 * (never through the GPU's forms, so that an error there cannot hide here). Heads' rows stay in the
 * file's order. */
#ifndef SOLO_REF_H
#define SOLO_REF_H

#include "model.h"

typedef struct solo_ref solo_ref;

bool solo_ref_open(solo_ref **out, const solo_model *model, uint32_t n_ctx, solo_error *err);
void solo_ref_close(solo_ref *ref);

/* How the cache holds K and V: they are rounded so before attention or the trace sees them. Before the first step;
 * F32 until then. INT8: head_dim is a multiple of 16. */
void solo_ref_set_kv(solo_ref *ref, solo_kv_type type);

/* One token at position pos through all layers; the KV cache's rows up to pos must be set.
 * logits [n_vocab] may be NULL (a prompt token whose logits nobody wants). */
void solo_ref_step(solo_ref *ref, uint32_t id, uint32_t pos, float *logits);

/* The stages, in the order of solo_ref_step. All arrays are f32, shapes as written. */
void solo_ref_embed(const solo_model *m, uint32_t id, uint32_t pos, float *x /* [n_embd] */);
void solo_ref_norm(const float *x, const float *gain, uint32_t n, float eps, float *y);
void solo_ref_layer_norm(const float *x, const float *gain, const float *bias, uint32_t n, float eps, float *y);
void solo_ref_matvec(const solo_tensor *w, const float *x, float *y); /* y[rows] = w[rows][cols] x */
void solo_ref_add(float *y, const float *bias, uint32_t n); /* bias may be NULL */
void solo_ref_rope(float *heads /* [n_head][head_dim] */, uint32_t n_head, uint32_t head_dim,
                   uint32_t rope_dim, solo_rope_pairs pairs, const float *cos_sin /* [rope_dim/2][2] */);
void solo_ref_attend(const float *q /* [n_head][head_dim] */,
                     const float *k, const float *v /* both [n_pos][n_head_kv][head_dim] */,
                     uint32_t n_pos, uint32_t n_head, uint32_t n_head_kv, uint32_t head_dim,
                     float scale, float cap /* of scores; 0: none */, float *out /* [n_head][head_dim] */);
/* Rounds a head's row of K or V. Numbers that share a scale of INT8 are neighbours on the GPU, which keeps the pairs
 * that RoPE turns side by side: `turned`, of K, says that the row has them as `pairs` says. */
void solo_ref_round_kv(solo_kv_type type, float *row /* [head_dim] */, uint32_t head_dim, uint32_t rope_dim,
                       solo_rope_pairs pairs, bool turned);
/* act(gate) * up; up may be NULL: act(gate) */
void solo_ref_glu(solo_act act, const float *gate, const float *up, uint32_t n, float *h);

/* What the last step left, for comparing stage by stage: borrowed pointers. */
typedef struct solo_ref_trace {
    const float *x;      /* [n_layer + 1][n_embd] residual entering layer l; the last: leaving */
    const float *qkv;    /* [n_layer][(n_head + 2 n_head_kv) * head_dim] after RoPE, K and V as cached */
    const float *att;    /* [n_layer][n_head * head_dim] */
    const float *x1;     /* [n_layer][n_embd] residual after attention */
    const float *h;      /* [n_layer][n_ff] */
} solo_ref_trace;
solo_ref_trace solo_ref_get_trace(const solo_ref *ref);

#endif
