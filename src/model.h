/* model.h: a GGUF understood: hyper-parameters and tensors by role. Architectures are rows of data
 * in model.c (which keys, which tensors, which row order), not branches elsewhere. */
#ifndef SOLO_MODEL_H
#define SOLO_MODEL_H

#include "gguf.h"
#include "tokenizer.h"

/* How the two numbers that RoPE turns together lie in a head's rows in the file. The GPU always
 * holds them as neighbours: weights.c permutes the rows of q and k where the file is HALVES. */
typedef enum solo_rope_pairs { SOLO_ROPE_NEIGHBOURS, SOLO_ROPE_HALVES } solo_rope_pairs;

typedef enum solo_norm { SOLO_NORM_RMS, SOLO_NORM_LAYER } solo_norm; /* LAYER: less the mean, plus a bias */
typedef enum solo_act { SOLO_ACT_SILU, SOLO_ACT_GELU } solo_act;     /* GELU: by tanh */

typedef struct solo_hparams {
    uint32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx_train;
    float    norm_eps;
    float    rope_base;
    float    rope_scale;  /* angles are divided by it (linear scaling); 1: none */
    uint32_t rope_dim;    /* dimensions of a head that turn; the rest pass */
    solo_rope_pairs rope_pairs;
    float    attn_scale;  /* on q.k; 1/sqrt(head_dim) unless the file says otherwise */
    float    rope_attn_factor; /* on cos and sin; 1 unless the file says otherwise */
    float    yarn_mix;    /* 0: no YaRN; else how much of what its ramp says is left unscaled, 1 of it all */
    float    yarn_fast, yarn_slow; /* turns within n_ctx_orig: so many or more are not scaled, so few or less are */
    uint32_t n_ctx_orig;  /* contexts up to it take the short factors, longer ones the long; YaRN's ramp is of it */
    uint32_t attn_window; /* a token attends to so many positions at most, its own among them; 0: all */
    uint32_t global_every; /* each such layer has no window, and RoPE's first table; 0: all are alike */
    uint32_t n_rope;      /* tables of RoPE: 2 where layers with a window have one of their own */
    float    rope_base_local; /* of that one */
    float    embd_scale;  /* on the embedding; 1 unless the architecture has one */
    float    score_cap, logit_cap; /* numbers pass through cap * tanh(x / cap); 0: they do not */
    bool     has_head_norm; /* each head of q and k is normed before RoPE */
    bool     has_post_norm; /* what out and down give is normed before it is added to the residual */
    solo_norm norm;
    solo_act act;
    bool     ungated;     /* the activation alone makes h: no matrix up */
} solo_hparams;

typedef struct solo_layer {
    const solo_tensor *attn_norm, *attn_norm_bias; /* [n_embd]; biases here and below: NULL for none */
    const solo_tensor *q, *k, *v;          /* [rows][n_embd]; fused in the file: views of its rows */
    const solo_tensor *q_bias, *k_bias, *v_bias; /* [rows] */
    const solo_tensor *q_norm, *k_norm;    /* [head_dim], of each head; NULL: none */
    const solo_tensor *out, *out_bias;     /* [n_embd][n_head * head_dim] */
    const solo_tensor *post_attn_norm, *post_ffn_norm; /* [n_embd] of what is added; NULL: none */
    const solo_tensor *ffn_norm, *ffn_norm_bias; /* [n_embd] */
    const solo_tensor *gate, *up;          /* [n_ff][n_embd]; ungated: up is NULL */
    const solo_tensor *gate_bias, *up_bias; /* [n_ff] */
    const solo_tensor *down, *down_bias;   /* [n_embd][n_ff] */
} solo_layer;

struct solo_model {
    solo_gguf   *gguf;
    bool         is_import; /* put together from a folder; the embedding may have more rows than there are tokens */
    const char  *arch; /* static string */
    char        *name;
    solo_hparams hp;
    solo_layer  *layer; /* [n_layer] */
    const solo_tensor *embd;        /* [n_vocab][n_embd] */
    const solo_tensor *output;      /* the same pointer as embd where tied */
    const solo_tensor *output_norm, *output_norm_bias; /* [n_embd] */
    const solo_tensor *positions;   /* [n_ctx_train][n_embd] added to the embedding, or NULL */
    /* [rope_dim / 2] f32: frequencies are divided by it; or NULL. Either the first for all contexts,
     * or the others by the context's length. */
    const solo_tensor *rope_factors, *rope_factors_long, *rope_factors_short;
    solo_tensor *view; /* [n_view] rows of fused tensors; what q, k, v, gate and up may point to */
    uint32_t n_view;
    solo_tokenizer *tokenizer;
    char        *chat_template; /* Jinja; NULL: none */
    const char  *chat_family;   /* static: "chatml", ..., "custom", "none" */
    const char  *file_type;
};

/* Sees that all tensors are at hand: of what is read in pieces, a copy of it all. */
bool solo_model_load(const solo_model *model, solo_error *err);

/* cos and sin of each pair at each position of a context: out [n_rope][n_ctx][rope_dim / 2][2], computed
 * in double. */
void solo_model_rope_table(const solo_model *model, uint32_t n_ctx, float *out);

/* Whether a layer attends to all positions although others do not, and turns by the first table. */
static inline bool solo_is_global(const solo_hparams *hp, uint32_t layer) {
    return hp->global_every && (layer + 1) % hp->global_every == 0;
}

/* The first position that a token at pos attends to in a layer. */
static inline uint32_t solo_first_attended(const solo_hparams *hp, uint32_t layer, uint32_t pos) {
    if (!hp->attn_window || pos < hp->attn_window || solo_is_global(hp, layer)) return 0;
    return pos - hp->attn_window + 1;
}

/* A fused tensor's data came to hand (solo_gguf_load): so did its views'. */
void solo_model_find_views(const solo_model *model, const solo_tensor *tensor);

/* n numbers of a small f32/f16/bf16 tensor (norm gains, biases) as f32. */
void solo_tensor_f32(const solo_tensor *tensor, float *out);

#endif
