/* ops.h: what a token is made of: stages, the primitive operations that they fuse, and which models do
 * them. Factorings are rows over these (stage.h). */
#ifndef SOLO_OPS_H
#define SOLO_OPS_H

#include "model.h"

/* name, text, once a LAYER or a TOKEN */
#define SOLO_STAGE_LIST(X)            \
    X(EMBED,     "embed",     TOKEN)  \
    X(QKV,       "qkv",       LAYER)  \
    X(ATTEND,    "attend",    LAYER)  \
    X(COMBINE,   "combine",   LAYER)  \
    X(OUT,       "out",       LAYER)  \
    X(NORM_OUT,  "norm_out",  LAYER)  \
    X(GATE_UP,   "gate_up",   LAYER)  \
    X(DOWN,      "down",      LAYER)  \
    X(NORM_DOWN, "norm_down", LAYER)  \
    X(LOGITS,    "logits",    TOKEN)  \
    X(SAMPLE,    "sample",    TOKEN)

typedef enum solo_stage {
#define X(name, text, scope) SOLO_STAGE_##name,
    SOLO_STAGE_LIST(X)
#undef X
    SOLO_STAGE_COUNT
} solo_stage;

typedef enum solo_scope {
    SOLO_SCOPE_TOKEN,
    SOLO_SCOPE_LAYER,
    SOLO_SCOPE_CHUNK, /* of layers: a factor row only, no stage */
} solo_scope;

/* How many workgroups a dispatch has: one a tile of something. */
typedef enum solo_grid {
    SOLO_GRID_ONE, SOLO_GRID_EMBED, SOLO_GRID_Q, SOLO_GRID_K, SOLO_GRID_QKV, SOLO_GRID_ATTEND,
    SOLO_GRID_HEADS, /* attention's units of heads, as many as make whole quantisation groups */
    SOLO_GRID_COMBINE, SOLO_GRID_OUT, SOLO_GRID_GATE_UP, SOLO_GRID_DOWN, SOLO_GRID_LOGITS,
    SOLO_GRID_WG, /* the plan's n_wg */
    SOLO_GRID_COUNT
} solo_grid;

/* What a model must have for an operation to be done. */
typedef enum solo_need {
    SOLO_NEED_ALL,
    SOLO_NEED_HEAD_NORM,
    SOLO_NEED_UP,
    SOLO_NEED_POST_NORM, /* projections are normed before they are added to the residual */
    SOLO_NEED_NO_POST_NORM,
} solo_need;
bool solo_has(const solo_hparams *hp, solo_need need);

/* The primitive operations in order: name, entry point in factor_unfused.wgsl or unfused_attend_*.wgsl,
 * stage, grid, Place.part, what is added to Place.layer, which models do it. */
#define SOLO_OP_LIST(X)                                                         \
    X(EMBED,           op_embed,      EMBED,     EMBED,   0, 0, ALL)            \
    X(EMBED_SQUARE,    op_square_sum, EMBED,     EMBED,   0, 0, ALL)            \
    X(EMBED_GAIN,      op_gain,       EMBED,     EMBED,   0, 0, ALL)            \
    X(Q,               op_q,          QKV,       Q,       0, 0, ALL)            \
    X(K,               op_k,          QKV,       K,       0, 0, ALL)            \
    X(V,               op_v,          QKV,       K,       0, 0, ALL)            \
    X(NORM_Q,          op_norm_q,     QKV,       Q,       0, 0, HEAD_NORM)      \
    X(NORM_K,          op_norm_k,     QKV,       K,       0, 0, HEAD_NORM)      \
    X(ROPE_Q,          op_rope_q,     QKV,       Q,       0, 0, ALL)            \
    X(ROPE_K,          op_rope_k,     QKV,       K,       0, 0, ALL)            \
    X(KV_STORE,        op_kv_store,   QKV,       K,       0, 0, ALL)            \
    X(SCORES,          op_scores,     ATTEND,    ATTEND,  0, 0, ALL)            \
    X(SOFTMAX,         op_softmax,    ATTEND,    ATTEND,  0, 0, ALL)            \
    X(MIX,             op_mix,        ATTEND,    ATTEND,  0, 0, ALL)            \
    X(COMBINE,         op_combine,    COMBINE,   COMBINE, 0, 0, ALL)            \
    X(OUT,             op_out,        OUT,       OUT,     0, 0, ALL)            \
    X(OUT_PUT,         op_put,        OUT,       EMBED,   0, 0, POST_NORM)      \
    X(OUT_ADD,         op_add,        OUT,       EMBED,   0, 0, NO_POST_NORM)   \
    X(OUT_SQUARE,      op_square_sum, OUT,       EMBED,   1, 0, NO_POST_NORM)   \
    X(OUT_GAIN,        op_gain,       OUT,       EMBED,   1, 0, NO_POST_NORM)   \
    X(NORM_OUT,        op_norm,       NORM_OUT,  EMBED,   0, 0, POST_NORM)      \
    X(NORM_OUT_ADD,    op_add,        NORM_OUT,  EMBED,   0, 0, POST_NORM)      \
    X(NORM_OUT_SQUARE, op_square_sum, NORM_OUT,  EMBED,   1, 0, POST_NORM)      \
    X(NORM_OUT_GAIN,   op_gain,       NORM_OUT,  EMBED,   1, 0, POST_NORM)      \
    X(GATE,            op_gate,       GATE_UP,   GATE_UP, 0, 0, ALL)            \
    X(UP,              op_up,         GATE_UP,   GATE_UP, 0, 0, UP)             \
    X(GLU,             op_glu,        GATE_UP,   GATE_UP, 0, 0, ALL)            \
    X(DOWN,            op_down,       DOWN,      DOWN,    0, 0, ALL)            \
    X(DOWN_PUT,        op_put,        DOWN,      EMBED,   1, 0, POST_NORM)      \
    X(DOWN_ADD,        op_add,        DOWN,      EMBED,   1, 0, NO_POST_NORM)   \
    X(DOWN_SQUARE,     op_square_sum, DOWN,      EMBED,   0, 1, NO_POST_NORM)   \
    X(DOWN_GAIN,       op_gain,       DOWN,      EMBED,   0, 1, NO_POST_NORM)   \
    X(NORM_DOWN,       op_norm,       NORM_DOWN, EMBED,   1, 0, POST_NORM)      \
    X(NORM_DOWN_ADD,   op_add,        NORM_DOWN, EMBED,   1, 0, POST_NORM)      \
    X(NORM_DOWN_SQUARE, op_square_sum, NORM_DOWN, EMBED,   0, 1, POST_NORM)     \
    X(NORM_DOWN_GAIN,  op_gain,       NORM_DOWN, EMBED,   0, 1, POST_NORM)      \
    X(LOGITS,          op_logits,     LOGITS,    LOGITS,  0, 0, ALL)            \
    X(SAMPLE,          op_sample,     SAMPLE,    ONE,     0, 0, ALL)

typedef enum solo_op {
#define X(name, entry, stage, grid, part, layer_add, need) SOLO_OP_##name,
    SOLO_OP_LIST(X)
#undef X
    SOLO_OP_COUNT
} solo_op;

#endif
