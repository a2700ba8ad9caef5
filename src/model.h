/* model.h: a GGUF understood: hyper-parameters and tensors by role. Architectures are rows of data
 * in model.c (which keys, which tensors, which row order), not branches elsewhere. */
#ifndef SOLO_MODEL_H
#define SOLO_MODEL_H

#include "gguf.h"
#include "tokenizer.h"

/* How the two numbers that RoPE turns together lie in a head's rows in the file. The GPU always
 * holds them as neighbours: weights.c permutes the rows of q and k where the file is HALVES. */
typedef enum solo_rope_pairs { SOLO_ROPE_NEIGHBOURS, SOLO_ROPE_HALVES } solo_rope_pairs;

typedef struct solo_hparams {
    uint32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx_train;
    float    norm_eps;
    float    rope_base;
    float    rope_scale;  /* angles are divided by it (linear scaling); 1: none */
    uint32_t rope_dim;    /* dimensions of a head that turn; the rest pass */
    solo_rope_pairs rope_pairs;
    float    attn_scale;  /* on q.k; 1/sqrt(head_dim) unless the file says otherwise */
} solo_hparams;

typedef struct solo_layer {
    const solo_tensor *attn_norm;          /* [n_embd] */
    const solo_tensor *q, *k, *v;          /* [rows][n_embd] */
    const solo_tensor *out;                /* [n_embd][n_head * head_dim] */
    const solo_tensor *ffn_norm;           /* [n_embd] */
    const solo_tensor *gate, *up;          /* [n_ff][n_embd] */
    const solo_tensor *down;               /* [n_embd][n_ff] */
} solo_layer;

struct solo_model {
    solo_gguf   *gguf;
    const char  *arch; /* static string */
    char        *name;
    solo_hparams hp;
    solo_layer  *layer; /* [n_layer] */
    const solo_tensor *embd;        /* [n_vocab][n_embd] */
    const solo_tensor *output;      /* the same pointer as embd where tied */
    const solo_tensor *output_norm; /* [n_embd] */
    const solo_tensor *rope_factors; /* [rope_dim / 2] f32: frequencies are divided by it; or NULL */
    solo_tokenizer *tokenizer;
    const char  *chat_family; /* static: "chatml", ..., "unknown", "none" */
    const char  *file_type;
};

/* cos and sin of each pair at each position: out [n_pos][rope_dim / 2][2], computed in double. */
void solo_model_rope_table(const solo_model *model, uint32_t n_pos, float *out);

/* n numbers of a small f32/f16/bf16 tensor (norm gains, biases) as f32. */
void solo_tensor_f32(const solo_tensor *tensor, float *out);

#endif
