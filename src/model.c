/* model.c: what a GGUF's keys and tensors mean. An architecture is a row of data: its name, how
 * RoPE pairs numbers, and a table of tensors with their shapes in terms of the hyper-parameters. A
 * file that holds anything which would change the result and is in no table is refused by name. */
#include "model.h"

#include "import.h"
#include "source_file.h"

#include <math.h>

/* ---- architectures as data ---------------------------------------------------------------- */

typedef enum dim {
    DIM_NONE, DIM_EMBD, DIM_Q, DIM_KV, DIM_FF, DIM_VOCAB, DIM_ROPE, DIM_HEAD, DIM_CTX
} dim;
typedef enum tensor_use { USE_MATRIX, USE_VECTOR, USE_F32 } tensor_use; /* which types will do */

/* A run of a tensor's rows, and the pointer in solo_layer or solo_model that stands for it. Most
 * tensors are one part; a fused one has its parts' rows one behind the other. */
typedef struct tensor_part {
    size_t at;
    dim    rows; /* DIM_NONE: a vector of cols numbers */
} tensor_part;

#define MAX_PART 3u

typedef struct tensor_row {
    const char *name; /* of a layer: what follows "blk.N." */
    tensor_part part[MAX_PART];
    dim         cols; /* DIM_NONE: a vector that is cut into its parts */
    tensor_use  use;
    bool        optional;
} tensor_row;

typedef struct arch_row {
    const char       *name;
    solo_rope_pairs   rope_pairs;
    enum { ROPE_PLAIN, ROPE_LONG, ROPE_NONE } rope; /* LONG: rope.scaling.type may be "longrope" */
    solo_norm         norm;
    solo_act          act;
    uint32_t          global_every; /* unless the file says otherwise; 0: all layers are alike */
    float             rope_base_local; /* likewise, of layers with a window; 0: the others' */
    float             score_cap, logit_cap; /* likewise; 0: none */
    bool              scaled_embd;  /* the embedding is multiplied by the root of its length */
    uint32_t          wide_layers;  /* with so many layers scores are scaled by n_embd / n_head instead */
    const tensor_row *layer, *whole;
    uint32_t          n_layer_row, n_whole_row;
} arch_row;

#define LAYER(field) offsetof(solo_layer, field)
#define WHOLE(field) offsetof(struct solo_model, field)

#define ONE(field, rows) {{field, rows}}

/* name                       parts: where to, rows                     columns   use         optional */
#define ATTN_NORM                                                                                  \
    {"attn_norm.weight",      ONE(LAYER(attn_norm), DIM_NONE),          DIM_EMBD, USE_VECTOR, false}
#define ATTN_OUTPUT                                                                                \
    {"attn_output.weight",    ONE(LAYER(out), DIM_EMBD),                DIM_Q,    USE_MATRIX, false}
#define FFN_NORM                                                                                   \
    {"ffn_norm.weight",       ONE(LAYER(ffn_norm), DIM_NONE),           DIM_EMBD, USE_VECTOR, false}
#define FFN_DOWN                                                                                   \
    {"ffn_down.weight",       ONE(LAYER(down), DIM_EMBD),               DIM_FF,   USE_MATRIX, false}
#define TOKEN_EMBD                                                                                 \
    {"token_embd.weight",     ONE(WHOLE(embd), DIM_VOCAB),              DIM_EMBD, USE_MATRIX, false}
#define OUTPUT /* absent: tied */                                                                  \
    {"output.weight",         ONE(WHOLE(output), DIM_VOCAB),            DIM_EMBD, USE_MATRIX, true}
#define OUTPUT_NORM                                                                                \
    {"output_norm.weight",    ONE(WHOLE(output_norm), DIM_NONE),        DIM_EMBD, USE_VECTOR, false}

/* The two rows of most layers that are not fused: what makes q, k and v, and what makes gate and up. */
#define ATTN_Q_K_V                                                                                 \
    {"attn_q.weight",         ONE(LAYER(q), DIM_Q),                     DIM_EMBD, USE_MATRIX, false}, \
    {"attn_k.weight",         ONE(LAYER(k), DIM_KV),                    DIM_EMBD, USE_MATRIX, false}, \
    {"attn_v.weight",         ONE(LAYER(v), DIM_KV),                    DIM_EMBD, USE_MATRIX, false}
#define Q_K_V_BIASES(optional)                                                                     \
    {"attn_q.bias",           ONE(LAYER(q_bias), DIM_NONE),             DIM_Q,    USE_VECTOR, optional}, \
    {"attn_k.bias",           ONE(LAYER(k_bias), DIM_NONE),             DIM_KV,   USE_VECTOR, optional}, \
    {"attn_v.bias",           ONE(LAYER(v_bias), DIM_NONE),             DIM_KV,   USE_VECTOR, optional}
#define OUT_BIAS /* as the three above: where attention_bias says so */                            \
    {"attn_output.bias",      ONE(LAYER(out_bias), DIM_NONE),           DIM_EMBD, USE_VECTOR, true}
#define FFN_BIASES /* mlp_bias */                                                                  \
    {"ffn_gate.bias",         ONE(LAYER(gate_bias), DIM_NONE),          DIM_FF,   USE_VECTOR, true}, \
    {"ffn_up.bias",           ONE(LAYER(up_bias), DIM_NONE),            DIM_FF,   USE_VECTOR, true}, \
    {"ffn_down.bias",         ONE(LAYER(down_bias), DIM_NONE),          DIM_EMBD, USE_VECTOR, true}
#define FFN_GATE_UP                                                                                \
    {"ffn_gate.weight",       ONE(LAYER(gate), DIM_FF),                 DIM_EMBD, USE_MATRIX, false}, \
    {"ffn_up.weight",         ONE(LAYER(up), DIM_FF),                   DIM_EMBD, USE_MATRIX, false}
#define HEAD_NORMS                                                                                 \
    {"attn_q_norm.weight",    ONE(LAYER(q_norm), DIM_NONE),             DIM_HEAD, USE_VECTOR, false}, \
    {"attn_k_norm.weight",    ONE(LAYER(k_norm), DIM_NONE),             DIM_HEAD, USE_VECTOR, false}

static const tensor_row llama_layer[] = {
    ATTN_NORM, ATTN_Q_K_V, ATTN_OUTPUT, FFN_NORM, FFN_GATE_UP, FFN_DOWN, Q_K_V_BIASES(true), OUT_BIAS, FFN_BIASES,
};

static const tensor_row llama_whole[] = {
    TOKEN_EMBD, OUTPUT, OUTPUT_NORM,
    {"rope_freqs.weight",     ONE(WHOLE(rope_factors), DIM_NONE),       DIM_ROPE, USE_F32,    true},
};

static const tensor_row phi3_layer[] = {
    ATTN_NORM,
    {"attn_qkv.weight", {{LAYER(q), DIM_Q}, {LAYER(k), DIM_KV}, {LAYER(v), DIM_KV}},
                                                                        DIM_EMBD, USE_MATRIX, false},
    ATTN_OUTPUT,
    FFN_NORM,
    {"ffn_up.weight", {{LAYER(gate), DIM_FF}, {LAYER(up), DIM_FF}},     DIM_EMBD, USE_MATRIX, false},
    FFN_DOWN,
};

static const tensor_row phi3_whole[] = {
    TOKEN_EMBD, OUTPUT, OUTPUT_NORM,
    {"rope_factors_long.weight",  ONE(WHOLE(rope_factors_long), DIM_NONE),  DIM_ROPE, USE_F32, true},
    {"rope_factors_short.weight", ONE(WHOLE(rope_factors_short), DIM_NONE), DIM_ROPE, USE_F32, true},
};

static const tensor_row plain_whole[] = {TOKEN_EMBD, OUTPUT, OUTPUT_NORM};

static const tensor_row qwen2_layer[] = {
    ATTN_NORM, ATTN_Q_K_V, ATTN_OUTPUT, FFN_NORM, FFN_GATE_UP, FFN_DOWN, Q_K_V_BIASES(false), OUT_BIAS, FFN_BIASES,
};

static const tensor_row qwen3_layer[] = {
    ATTN_NORM, ATTN_Q_K_V, HEAD_NORMS, ATTN_OUTPUT, FFN_NORM, FFN_GATE_UP, FFN_DOWN, Q_K_V_BIASES(true), OUT_BIAS,
};

/* The first matrix of the feed-forward part is what the activation takes, which Solo calls gate. */
static const tensor_row gpt2_layer[] = {
    ATTN_NORM, ATTN_OUTPUT, FFN_NORM, FFN_DOWN,
    {"attn_norm.bias",        ONE(LAYER(attn_norm_bias), DIM_NONE),     DIM_EMBD, USE_VECTOR, false},
    {"attn_qkv.weight", {{LAYER(q), DIM_Q}, {LAYER(k), DIM_KV}, {LAYER(v), DIM_KV}},
                                                                        DIM_EMBD, USE_MATRIX, false},
    {"attn_qkv.bias", {{LAYER(q_bias), DIM_Q}, {LAYER(k_bias), DIM_KV}, {LAYER(v_bias), DIM_KV}},
                                                                        DIM_NONE, USE_VECTOR, false},
    {"attn_output.bias",      ONE(LAYER(out_bias), DIM_NONE),           DIM_EMBD, USE_VECTOR, false},
    {"ffn_norm.bias",         ONE(LAYER(ffn_norm_bias), DIM_NONE),      DIM_EMBD, USE_VECTOR, false},
    {"ffn_up.weight",         ONE(LAYER(gate), DIM_FF),                 DIM_EMBD, USE_MATRIX, false},
    {"ffn_up.bias",           ONE(LAYER(gate_bias), DIM_NONE),          DIM_FF,   USE_VECTOR, false},
    {"ffn_down.bias",         ONE(LAYER(down_bias), DIM_NONE),          DIM_EMBD, USE_VECTOR, false},
};

static const tensor_row gpt2_whole[] = {
    TOKEN_EMBD, OUTPUT, OUTPUT_NORM,
    {"position_embd.weight",  ONE(WHOLE(positions), DIM_CTX),           DIM_EMBD, USE_MATRIX, false},
    {"output_norm.bias",      ONE(WHOLE(output_norm_bias), DIM_NONE),   DIM_EMBD, USE_VECTOR, false},
};

#define POST_NORMS                                                                                 \
    {"post_attention_norm.weight", ONE(LAYER(post_attn_norm), DIM_NONE), DIM_EMBD, USE_VECTOR, false}, \
    {"post_ffw_norm.weight",  ONE(LAYER(post_ffn_norm), DIM_NONE),      DIM_EMBD, USE_VECTOR, false}

static const tensor_row gemma2_layer[] = {
    ATTN_NORM, ATTN_Q_K_V, ATTN_OUTPUT, FFN_NORM, FFN_GATE_UP, FFN_DOWN, POST_NORMS,
};

static const tensor_row gemma3_layer[] = {
    ATTN_NORM, ATTN_Q_K_V, HEAD_NORMS, ATTN_OUTPUT, FFN_NORM, FFN_GATE_UP, FFN_DOWN, POST_NORMS,
};

#define ROWS(of_layer, of_whole) \
    .layer = of_layer, .whole = of_whole, .n_layer_row = SOLO_COUNT(of_layer), .n_whole_row = SOLO_COUNT(of_whole)

/* What a row does not say is the plain case. Gemma's gains come with their 1 added. */
static const arch_row archs[] = {
    {.name = "llama", ROWS(llama_layer, llama_whole)},
    {.name = "phi3", .rope_pairs = SOLO_ROPE_HALVES, .rope = ROPE_LONG, ROWS(phi3_layer, phi3_whole)},
    {.name = "qwen2", .rope_pairs = SOLO_ROPE_HALVES, ROWS(qwen2_layer, plain_whole)},
    {.name = "qwen3", .rope_pairs = SOLO_ROPE_HALVES, ROWS(qwen3_layer, plain_whole)},
    {.name = "gpt2", .rope = ROPE_NONE, .norm = SOLO_NORM_LAYER, .act = SOLO_ACT_GELU,
     ROWS(gpt2_layer, gpt2_whole)},
    {.name = "gemma2", .rope_pairs = SOLO_ROPE_HALVES, .act = SOLO_ACT_GELU, .global_every = 2,
     .score_cap = 50.0f, .logit_cap = 30.0f, .scaled_embd = true, .wide_layers = 46,
     ROWS(gemma2_layer, plain_whole)},
    {.name = "gemma3", .rope_pairs = SOLO_ROPE_HALVES, .act = SOLO_ACT_GELU, .global_every = 6,
     .rope_base_local = 10000.0f, .scaled_embd = true, .wide_layers = 62, ROWS(gemma3_layer, plain_whole)},
};

/* ---- hyper-parameters --------------------------------------------------------------------- */

typedef struct context { /* of one open */
    struct solo_model *model;
    const arch_row    *arch;
    const solo_gguf   *gguf;
    const char        *path;
    solo_error        *err;
    char               key[96]; /* the last one made by key_of */
} context;

static const char *key_of(context *c, const char *suffix) {
    snprintf(c->key, sizeof c->key, "%s.%s", c->arch->name, suffix);
    return c->key;
}

static bool get_u32(context *c, const char *suffix, bool required, uint32_t *out) {
    return solo_gguf_get_u32(c->gguf, key_of(c, suffix), required, out, c->err);
}

static bool get_f32(context *c, const char *suffix, bool required, float *out) {
    return solo_gguf_get_f32(c->gguf, key_of(c, suffix), required, out, c->err);
}

static bool in_range(context *c, const char *suffix, uint32_t n, uint32_t min, uint32_t max) {
    if (n >= min && n <= max) return true;
    return solo_fail(c->err, SOLO_FILE_FORMAT, "%s: key '%s': wanted %u..%u, found %u", c->path,
                     key_of(c, suffix), min, max, n);
}

static bool multiple_of(context *c, const char *what, uint64_t n, uint32_t of) {
    if (n % of == 0) return true;
    return solo_fail(c->err, SOLO_UNSUPPORTED, "%s: %s: wanted a multiple of %u, found %llu",
                     c->path, what, of, (unsigned long long)n);
}

/* The required sizes, within bounds that keep every later product far from overflow. */
static bool read_sizes(context *c) {
    solo_hparams *hp = &c->model->hp;
    const struct { const char *suffix; uint32_t *out, max; } rows[] = {
        {"block_count", &hp->n_layer, 1024},
        {"embedding_length", &hp->n_embd, 1 << 16},
        {"attention.head_count", &hp->n_head, 1024},
        {"feed_forward_length", &hp->n_ff, 1 << 20},
        {"context_length", &hp->n_ctx_train, 1 << 27},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++)
        if (!get_u32(c, rows[i].suffix, true, rows[i].out) ||
            !in_range(c, rows[i].suffix, *rows[i].out, 1, rows[i].max))
            return false;

    uint32_t n_expert = 0;
    if (!get_u32(c, "expert_count", false, &n_expert)) return false;
    if (n_expert)
        return solo_fail(c->err, SOLO_UNSUPPORTED,
                         "%s: key '%s': wanted 0, found %u: Solo has no mixture of experts",
                         c->path, key_of(c, "expert_count"), n_expert);
    bool causal = true;
    if (!solo_gguf_get_bool(c->gguf, key_of(c, "attention.causal"), false, &causal, c->err))
        return false;
    if (!causal)
        return solo_fail(c->err, SOLO_UNSUPPORTED,
                         "%s: key '%s': wanted true, found false: not a model that writes text",
                         c->path, key_of(c, "attention.causal"));
    return true;
}

static bool read_heads(context *c) {
    solo_hparams *hp = &c->model->hp;
    hp->n_head_kv = hp->n_head;
    if (!get_u32(c, "attention.head_count_kv", false, &hp->n_head_kv) ||
        !in_range(c, "attention.head_count_kv", hp->n_head_kv, 1, hp->n_head))
        return false;
    if (hp->n_head % hp->n_head_kv)
        return solo_fail(c->err, SOLO_FILE_FORMAT,
                         "%s: key '%s': wanted a divisor of the %u heads, found %u", c->path,
                         key_of(c, "attention.head_count_kv"), hp->n_head, hp->n_head_kv);

    uint32_t key_length = 0, value_length = 0;
    if (!get_u32(c, "attention.key_length", false, &key_length)) return false;
    if (!get_u32(c, "attention.value_length", false, &value_length)) return false;
    if (!key_length && hp->n_embd % hp->n_head)
        return solo_fail(c->err, SOLO_FILE_FORMAT,
                         "%s: key '%s': wanted a divisor of embedding_length %u where "
                         "attention.key_length is absent, found %u",
                         c->path, key_of(c, "attention.head_count"), hp->n_embd, hp->n_head);
    hp->head_dim = key_length ? key_length : hp->n_embd / hp->n_head;
    if (!in_range(c, "attention.key_length", hp->head_dim, 2, 1024)) return false;
    if (value_length && value_length != hp->head_dim)
        return solo_fail(c->err, SOLO_UNSUPPORTED,
                         "%s: key '%s': wanted the key length, %u, found %u", c->path,
                         key_of(c, "attention.value_length"), hp->head_dim, value_length);
    const bool wide = c->arch->wide_layers && hp->n_layer == c->arch->wide_layers;
    hp->attn_scale = (float)(1.0 / sqrt(wide ? (double)hp->n_embd / hp->n_head : (double)hp->head_dim));

    return multiple_of(c, "the length of a head", hp->head_dim, 2) &&
           multiple_of(c, "embedding_length", hp->n_embd, SOLO_GROUP) &&
           multiple_of(c, "feed_forward_length", hp->n_ff, SOLO_GROUP) &&
           multiple_of(c, "head_count x the length of a head", (uint64_t)hp->n_head * hp->head_dim,
                       SOLO_GROUP);
}

static bool is_str(solo_str s, const char *text) {
    return s.n == strlen(text) && memcmp(s.at, text, s.n) == 0;
}

/* YaRN's own numbers, and its factor on cos and sin, which multiplies the file's. */
static bool read_yarn(context *c) {
    solo_hparams *hp = &c->model->hp;
    float more = 1.0f, log_multiplier = 0.0f;
    hp->yarn_mix = 1.0f, hp->yarn_fast = 32.0f, hp->yarn_slow = 1.0f;
    if (!get_f32(c, "rope.scaling.yarn_ext_factor", false, &hp->yarn_mix) ||
        !get_f32(c, "rope.scaling.yarn_beta_fast", false, &hp->yarn_fast) ||
        !get_f32(c, "rope.scaling.yarn_beta_slow", false, &hp->yarn_slow) ||
        !get_f32(c, "rope.scaling.yarn_attn_factor", false, &more) ||
        !get_f32(c, "rope.scaling.yarn_log_multiplier", false, &log_multiplier))
        return false;
    bool ok = hp->yarn_mix > 0.0f && hp->yarn_mix <= 1.0f && hp->yarn_slow > 0.0f && hp->yarn_fast > hp->yarn_slow &&
              !isinf(hp->yarn_fast) && more > 0.0f && !isinf(more) && log_multiplier == 0.0f && hp->n_rope == 1;
    if (!ok)
        return solo_fail(c->err, SOLO_UNSUPPORTED,
                         "%s: keys '%s...': wanted yarn_ext_factor above 0 to 1, yarn_beta_fast above yarn_beta_slow "
                         "above 0, yarn_attn_factor above 0, no yarn_log_multiplier, one table of RoPE, found others",
                         c->path, key_of(c, "rope.scaling.yarn"));
    hp->rope_attn_factor *= more * (float)(1 + 0.1 * log((double)hp->rope_scale));
    return true;
}

/* As the writers mean it: an absent type is linear, a factor of 0 or none is 1; scale_linear is the
 * older name of the factor. "longrope" scales as linear does; its own is in tensors. */
static bool read_rope_scaling(context *c) {
    solo_hparams *hp = &c->model->hp;
    solo_str type = SOLO_STR("linear");
    float scale = 0.0f;
    if (!solo_gguf_get_str(c->gguf, key_of(c, "rope.scaling.type"), false, &type, c->err))
        return false;
    const char *own = c->arch->rope == ROPE_LONG ? "longrope" : "yarn";
    const bool none = is_str(type, "none"), yarn = c->arch->rope != ROPE_LONG && is_str(type, "yarn");
    if (!none && !is_str(type, "linear") && !is_str(type, own))
        return solo_fail(c->err, SOLO_UNSUPPORTED,
                         "%s: key '%s': wanted \"none\", \"linear\" or \"%s\", found \"%.*s\"", c->path,
                         key_of(c, "rope.scaling.type"), own, type.n < 60 ? (int)type.n : 60, type.at);
    if (!get_f32(c, "rope.scale_linear", false, &scale)) return false;
    if (!get_f32(c, "rope.scaling.factor", false, &scale)) return false;
    if (scale < 0.0f)
        return solo_fail(c->err, SOLO_FILE_FORMAT,
                         "%s: key '%s': wanted a factor above 0, found %g", c->path,
                         key_of(c, "rope.scaling.factor"), (double)scale);
    hp->rope_scale = none || scale == 0.0f ? 1.0f : scale;

    hp->rope_attn_factor = 1.0f;
    if (!get_f32(c, "rope.scaling.attn_factor", false, &hp->rope_attn_factor)) return false;
    if (!(hp->rope_attn_factor > 0.0f) || isinf(hp->rope_attn_factor))
        return solo_fail(c->err, SOLO_FILE_FORMAT,
                         "%s: key '%s': wanted a finite factor above 0, found %g", c->path,
                         key_of(c, "rope.scaling.attn_factor"), (double)hp->rope_attn_factor);
    hp->n_ctx_orig = hp->n_ctx_train;
    return get_u32(c, "rope.scaling.original_context_length", false, &hp->n_ctx_orig) &&
           in_range(c, "rope.scaling.original_context_length", hp->n_ctx_orig, 1, 1 << 27) && (!yarn || read_yarn(c));
}

static bool read_rope(context *c) {
    solo_hparams *hp = &c->model->hp;
    hp->rope_pairs = c->arch->rope_pairs;
    hp->rope_base = 10000.0f;
    hp->rope_dim = hp->head_dim;
    hp->n_rope = c->arch->rope_base_local > 0.0f ? 2 : 1;
    hp->rope_base_local = c->arch->rope_base_local;
    if (c->arch->rope == ROPE_NONE) {
        hp->rope_dim = 0;
        hp->rope_scale = hp->rope_attn_factor = 1.0f;
        hp->n_ctx_orig = hp->n_ctx_train;
        return true;
    }
    if (!get_f32(c, "rope.freq_base", false, &hp->rope_base)) return false;
    if (!(hp->rope_base >= 1.0f))
        return solo_fail(c->err, SOLO_FILE_FORMAT, "%s: key '%s': wanted at least 1, found %g",
                         c->path, key_of(c, "rope.freq_base"), (double)hp->rope_base);
    if (hp->n_rope > 1 && !get_f32(c, "rope.freq_base_swa", false, &hp->rope_base_local)) return false;
    if (!get_u32(c, "rope.dimension_count", false, &hp->rope_dim) ||
        !in_range(c, "rope.dimension_count", hp->rope_dim, 2, hp->head_dim))
        return false;
    if (!multiple_of(c, key_of(c, "rope.dimension_count"), hp->rope_dim, 2)) return false;

    return read_rope_scaling(c);
}

static bool read_norm(context *c) {
    solo_hparams *hp = &c->model->hp;
    const char *key = c->arch->norm == SOLO_NORM_LAYER ? "attention.layer_norm_epsilon"
                                                       : "attention.layer_norm_rms_epsilon";
    hp->norm = c->arch->norm;
    hp->act = c->arch->act;
    if (!get_f32(c, key, true, &hp->norm_eps)) return false;
    if (hp->norm_eps > 0.0f && hp->norm_eps < 1.0f) return true;
    return solo_fail(c->err, SOLO_FILE_FORMAT, "%s: key '%s': wanted above 0 and below 1, found %g",
                     c->path, key_of(c, key), (double)hp->norm_eps);
}

static bool cap_in_range(context *c, const char *suffix, float cap) {
    if (cap >= 0.0f && !isinf(cap)) return true;
    return solo_fail(c->err, SOLO_FILE_FORMAT, "%s: key '%s': wanted a finite number, 0 or above, found %g",
                     c->path, key_of(c, suffix), (double)cap);
}

/* Windows, and what some architectures do to numbers on their way. */
static bool read_window_and_caps(context *c) {
    solo_hparams *hp = &c->model->hp;
    hp->score_cap = c->arch->score_cap;
    hp->logit_cap = c->arch->logit_cap;
    hp->embd_scale = c->arch->scaled_embd ? sqrtf((float)hp->n_embd) : 1.0f;
    if (!get_u32(c, "attention.sliding_window", false, &hp->attn_window)) return false;
    if (hp->attn_window) hp->global_every = c->arch->global_every;
    if (hp->global_every &&
        (!get_u32(c, "attention.sliding_window_pattern", false, &hp->global_every) ||
         !in_range(c, "attention.sliding_window_pattern", hp->global_every, 1, 1024)))
        return false;
    return get_f32(c, "attn_logit_softcapping", false, &hp->score_cap) &&
           cap_in_range(c, "attn_logit_softcapping", hp->score_cap) &&
           get_f32(c, "final_logit_softcapping", false, &hp->logit_cap) &&
           cap_in_range(c, "final_logit_softcapping", hp->logit_cap);
}

/* The vocabulary's size is the tokenizer's; the embedding's shape is then held against it. */
static bool read_vocab(context *c) {
    solo_hparams *hp = &c->model->hp;
    const uint32_t n_token = solo_tokenizer_n_vocab(c->model->tokenizer);
    hp->n_vocab = n_token;
    if (!get_u32(c, "vocab_size", false, &hp->n_vocab) ||
        !in_range(c, "vocab_size", hp->n_vocab, 1, 1 << 24))
        return false;
    if (hp->n_vocab == n_token || (c->model->is_import && hp->n_vocab > n_token)) return true; /* rows to spare */
    return solo_fail(c->err, SOLO_FILE_FORMAT,
                     "%s: key '%s': wanted the tokenizer's %u tokens, found %u", c->path,
                     key_of(c, "vocab_size"), n_token, hp->n_vocab);
}

/* ---- tensors ------------------------------------------------------------------------------ */

static uint64_t dim_size(const solo_hparams *hp, dim d) {
    switch (d) {
    case DIM_NONE: return 1;
    case DIM_EMBD: return hp->n_embd;
    case DIM_Q: return (uint64_t)hp->n_head * hp->head_dim;
    case DIM_KV: return (uint64_t)hp->n_head_kv * hp->head_dim;
    case DIM_FF: return hp->n_ff;
    case DIM_VOCAB: return hp->n_vocab;
    case DIM_ROPE: return hp->rope_dim / 2;
    case DIM_HEAD: return hp->head_dim;
    case DIM_CTX: return hp->n_ctx_train;
    }
    solo_bug(__FILE__, __LINE__, "no size for this dim");
}

static bool check_type(context *c, const tensor_row *row, const solo_tensor *t) {
    const solo_type_info *info = solo_type_get_info((uint32_t)t->type);
    const char *wanted = NULL;
    if (row->use == USE_F32) {
        if (t->type != SOLO_TYPE_F32) wanted = "F32";
    } else if (row->use == USE_VECTOR) {
        if (t->type != SOLO_TYPE_F32 && t->type != SOLO_TYPE_F16 && t->type != SOLO_TYPE_BF16)
            wanted = "F32, F16 or BF16";
    } else if (info->form == SOLO_FORM_NONE) {
        wanted = "one that Solo multiplies by";
    }
    if (!wanted) return true;
    return solo_fail(c->err, SOLO_UNSUPPORTED, "%s: tensor '%s': its type: wanted %s, found %s",
                     c->path, t->name, wanted, info->name);
}

static uint32_t n_part(const tensor_row *row) {
    uint32_t n = 1;
    while (n < MAX_PART && row->part[n].rows != DIM_NONE) n++;
    return n;
}

static uint64_t n_row(const solo_hparams *hp, const tensor_row *row) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < n_part(row); i++) n += dim_size(hp, row->part[i].rows);
    return n;
}

/* Finds the row's tensor, checks it and sets *out; an optional one that is absent leaves NULL. */
static bool find_tensor(context *c, const tensor_row *row, const char *name,
                        const solo_tensor **out) {
    uint64_t cols = dim_size(&c->model->hp, row->cols), rows = n_row(&c->model->hp, row);
    if (row->cols == DIM_NONE) cols = rows, rows = 1; /* a vector: its parts lie along it */
    const solo_tensor *t = solo_gguf_tensor(c->gguf, name);
    *out = NULL;
    if (!t && row->optional) return true;
    if (!t)
        return solo_fail(c->err, SOLO_FILE_FORMAT,
                         "%s: tensor '%s': wanted one of %llu x %llu, found no such tensor",
                         c->path, name, (unsigned long long)cols, (unsigned long long)rows);
    if (t->dim[0] != cols || t->dim[1] != rows || t->dim[2] != 1 || t->dim[3] != 1)
        return solo_fail(
            c->err, SOLO_FILE_FORMAT,
            "%s: tensor '%s': its shape: wanted %llu x %llu, found %llu x %llu x %llu x %llu",
            c->path, name, (unsigned long long)cols, (unsigned long long)rows,
            (unsigned long long)t->dim[0], (unsigned long long)t->dim[1],
            (unsigned long long)t->dim[2], (unsigned long long)t->dim[3]);
    *out = t;
    return check_type(c, row, t);
}

/* Points the fields at base to the tensor, or to views of its rows where it has parts. Blocks lie
 * within rows, so that rows of any type can be cut apart. */
static bool take_tensor(context *c, const tensor_row *row, const char *name, void *base) {
    struct solo_model *m = c->model;
    const solo_tensor *t;
    if (!find_tensor(c, row, name, &t)) return false;
    uint64_t from = 0;
    for (uint32_t i = 0; i < n_part(row); i++) {
        const solo_tensor **field = (const solo_tensor **)(void *)((char *)base + row->part[i].at);
        *field = t;
        if (n_part(row) == 1) break;
        solo_tensor *view = &m->view[m->n_view++];
        const uint32_t along = row->cols == DIM_NONE ? 0 : 1;
        const uint64_t rows = dim_size(&m->hp, row->part[i].rows), row_bytes = t->n_bytes / t->dim[along];
        *view = *t;
        view->dim[along] = rows;
        view->off = t->off + from * row_bytes;
        view->data = t->data ? t->data + from * row_bytes : NULL;
        view->n_bytes = rows * row_bytes;
        *field = view;
        from += rows;
    }
    return true;
}

static bool has_tensor(const context *c, const tensor_row *row, uint32_t layer) {
    const char *at = (const char *)&c->model->layer[layer] + row->part[0].at;
    return *(const solo_tensor *const *)(const void *)at != NULL;
}

/* What the first layer has, all have, since kernels are the same for every layer; and q, k and v alike. */
static bool check_optional(context *c) {
    const solo_layer *first = c->model->layer;
    for (uint32_t l = 1; l < c->model->hp.n_layer; l++)
        for (uint32_t i = 0; i < c->arch->n_layer_row; i++) {
            const tensor_row *row = &c->arch->layer[i];
            if (row->optional && has_tensor(c, row, l) != has_tensor(c, row, 0))
                return solo_fail(c->err, SOLO_UNSUPPORTED,
                                 "%s: tensor 'blk.N.%s': wanted it in all layers or in none, found it in layer %u %s",
                                 c->path, row->name, has_tensor(c, row, l) ? l : 0, has_tensor(c, row, l)
                                 ? "and not in layer 0" : "and not in all");
        }
    if (!first->q_bias == !first->k_bias && !first->k_bias == !first->v_bias) return true;
    return solo_fail(c->err, SOLO_UNSUPPORTED, "%s: tensors 'blk.N.attn_q.bias', attn_k, attn_v: wanted all or none, "
                     "found some", c->path);
}

static bool read_tensors(context *c) {
    struct solo_model *m = c->model;
    const arch_row *arch = c->arch;
    for (uint32_t i = 0; i < arch->n_whole_row; i++)
        if (!take_tensor(c, &arch->whole[i], arch->whole[i].name, m)) return false;
    m->layer = solo_zalloc(m->hp.n_layer, sizeof *m->layer);
    m->view = solo_zalloc((size_t)m->hp.n_layer * arch->n_layer_row * MAX_PART, sizeof *m->view);
    for (uint32_t l = 0; l < m->hp.n_layer; l++)
        for (uint32_t i = 0; i < arch->n_layer_row; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%u.%s", l, arch->layer[i].name);
            if (!take_tensor(c, &arch->layer[i], name, &m->layer[l])) return false;
        }
    if (!check_optional(c)) return false;
    if (!m->output) m->output = m->embd;
    m->hp.has_head_norm = m->layer[0].q_norm != NULL;
    m->hp.has_post_norm = m->layer[0].post_attn_norm != NULL;
    m->hp.ungated = m->layer[0].up == NULL;
    return true;
}

/* Where a tensor's name is "blk.N.rest" with N written plainly: rest, and N. */
static const char *layer_tensor(const char *name, uint32_t *layer) {
    if (strncmp(name, "blk.", 4) != 0) return NULL;
    const char *at = name + 4;
    uint32_t n = 0;
    for (; *at >= '0' && *at <= '9' && n < 100000; at++) n = 10 * n + (uint32_t)(*at - '0');
    *layer = n;
    return *at == '.' ? at + 1 : at;
}

/* A layer's tensor that no row takes would change the result: refused, not skipped. */
static bool refuse_unknown(context *c) {
    for (uint64_t i = 0; i < solo_gguf_n_tensor(c->gguf); i++) {
        const char *name = solo_gguf_tensor_at(c->gguf, i)->name;
        uint32_t layer, row = 0;
        const char *rest = layer_tensor(name, &layer);
        if (!rest) continue;
        while (row < c->arch->n_layer_row && strcmp(rest, c->arch->layer[row].name) != 0) row++;
        if (row < c->arch->n_layer_row && layer < c->model->hp.n_layer) continue;
        size_t n = strlen(rest);
        const char *why = n > 5 && strcmp(rest + n - 5, ".bias") == 0 ? " (a bias)" : "";
        if (row < c->arch->n_layer_row)
            return solo_fail(c->err, SOLO_UNSUPPORTED,
                             "%s: tensor '%.100s': wanted layers 0..%u, found layer %u", c->path,
                             name, c->model->hp.n_layer - 1, layer);
        return solo_fail(c->err, SOLO_UNSUPPORTED,
                         "%s: tensor '%.100s'%s: wanted only the tensors that Solo's %s layer has, "
                         "found one more, which would change the result",
                         c->path, name, why, c->arch->name);
    }
    return true;
}

static bool check_factors(context *c, const solo_tensor *t) {
    if (!t) return true;
    if (!solo_gguf_load(c->model->gguf, t, c->err)) return false;
    float *factor = solo_alloc(t->dim[0] * sizeof *factor);
    solo_tensor_f32(t, factor);
    bool ok = true;
    for (uint64_t i = 0; i < t->dim[0] && ok; i++)
        if (!(factor[i] > 0.0f) || isinf(factor[i]))
            ok = solo_fail(c->err, SOLO_FILE_FORMAT,
                           "%s: tensor '%s': item %llu: wanted a finite factor above 0, found %g",
                           c->path, t->name, (unsigned long long)i, (double)factor[i]);
    free(factor);
    return ok;
}

static bool check_rope_factors(context *c) {
    const struct solo_model *m = c->model;
    const solo_tensor *one = m->rope_factors_long ? m->rope_factors_long : m->rope_factors_short;
    if (one && !(m->rope_factors_long && m->rope_factors_short))
        return solo_fail(c->err, SOLO_FILE_FORMAT,
                         "%s: wanted both of the tensors 'rope_factors_long.weight' and "
                         "'rope_factors_short.weight' or neither, found only '%s'",
                         c->path, one->name);
    return check_factors(c, m->rope_factors) && check_factors(c, m->rope_factors_long) &&
           check_factors(c, m->rope_factors_short);
}

/* ---- the rest ----------------------------------------------------------------------------- */

static const arch_row *find_arch(solo_str name) {
    for (uint32_t i = 0; i < SOLO_COUNT(archs); i++)
        if (is_str(name, archs[i].name)) return &archs[i];
    return NULL;
}

static bool read_arch(context *c) {
    solo_str name;
    if (!solo_gguf_get_str(c->gguf, "general.architecture", true, &name, c->err)) return false;
    c->arch = find_arch(name);
    if (c->arch) {
        c->model->arch = c->arch->name;
        return true;
    }
    solo_text known = {0};
    for (uint32_t i = 0; i < SOLO_COUNT(archs); i++)
        solo_text_add(&known, "%s%s", i ? ", " : "", archs[i].name);
    solo_fail(c->err, SOLO_UNSUPPORTED,
              "%s: key 'general.architecture': wanted one of (%s), found \"%.*s\"", c->path,
              known.at, name.n < 60 ? (int)name.n : 60, name.at);
    free(known.at);
    return false;
}

static bool read_name(context *c) {
    const char *slash = strrchr(c->path, '/'), *base = slash ? slash + 1 : c->path;
    solo_str name = {0};
    if (!solo_gguf_get_str(c->gguf, "general.name", false, &name, c->err)) return false;
    if (!name.n) name = (solo_str){base, strlen(base)};
    c->model->name = solo_strndup(name.at, name.n);
    return true;
}

static bool read_chat_family(context *c) {
    solo_str text = {0};
    if (!solo_gguf_get_str(c->gguf, "tokenizer.chat_template", false, &text, c->err)) return false;
    c->model->chat_family = text.n ? solo_chat_family_of(text) : "none";
    if (text.n) c->model->chat_template = solo_strndup(text.at, text.n);
    return true;
}

/* The type that most of the tensors' bytes are in. */
static const char *main_type(const solo_gguf *gguf) {
    uint64_t n_bytes[64] = {0};
    uint32_t most = 0;
    for (uint64_t i = 0; i < solo_gguf_n_tensor(gguf); i++) {
        const solo_tensor *t = solo_gguf_tensor_at(gguf, i);
        SOLO_ASSERT((uint32_t)t->type < SOLO_COUNT(n_bytes));
        n_bytes[t->type] += t->n_bytes;
    }
    for (uint32_t i = 1; i < SOLO_COUNT(n_bytes); i++)
        if (n_bytes[i] > n_bytes[most]) most = i;
    return solo_type_get_info(most)->name;
}

/* The tokenizer's own message, with the file's name before it where it lacks it. */
static bool open_tokenizer(context *c) {
    solo_error why = {0};
    if (c->model->tokenizer) return true; /* the folder's own */
    if (solo_tokenizer_open(&c->model->tokenizer, c->gguf, &why)) return true;
    if (strncmp(why.text, c->path, strlen(c->path)) == 0)
        return solo_fail(c->err, why.status, "%s", why.text);
    return solo_fail(c->err, why.status, "%s: %s", c->path, why.text);
}

static bool open_source(const solo_model_desc *desc, struct solo_model *m, solo_source **out, solo_error *err) {
    int n = !!desc->path + !!desc->bytes + !!desc->read;
    if (n != 1 || (desc->open && !desc->read))
        return solo_fail(err, SOLO_ARGUMENT,
                         "solo_model_desc: wanted one of path, bytes and read, and open with read only, found %s",
                         n > 1 ? "more" : "none");
    m->is_import = desc->open || (desc->path && solo_file_is_folder(desc->path));
    if (desc->quant && !m->is_import)
        return solo_fail(err, SOLO_ARGUMENT,
                         "quant: wanted a model's folder, found a file; `solo convert` writes files of another type");
    if (m->is_import) {
        const char *label = desc->label ? desc->label : "(folder)";
        solo_folder folder = {desc->path ? desc->path : label, desc->open, desc->open_user, desc->read};
        return solo_import_open(out, &m->tokenizer, &(solo_import_desc){&folder, desc->quant}, err);
    }
    if (desc->path) return solo_source_open_file(out, desc->path, err);
    if (desc->bytes)
        return solo_source_open_memory(out, desc->bytes, desc->n_bytes, desc->label, err);
    return solo_source_open_reader(out, desc->read, desc->read_user, desc->n_bytes, desc->label, err);
}

bool solo_model_open(solo_model **out, const solo_model_desc *desc, solo_error *err) {
    *out = NULL;
    solo_source *source;
    struct solo_model *m = solo_zalloc(1, sizeof *m);
    context c = {.model = m, .err = err};
    bool ok = open_source(desc, m, &source, err) && solo_gguf_open_source(&m->gguf, source, err);
    if (ok) {
        c.gguf = m->gguf;
        c.path = solo_gguf_path(m->gguf);
        ok = read_arch(&c) && read_name(&c) && read_sizes(&c) && read_heads(&c) && read_rope(&c) &&
             read_norm(&c) && read_window_and_caps(&c) &&
             open_tokenizer(&c) && read_vocab(&c) &&
             read_tensors(&c) && refuse_unknown(&c) && check_rope_factors(&c) && read_chat_family(&c);
    }
    if (!ok) {
        solo_model_close(m);
        return false;
    }
    m->file_type = main_type(m->gguf);
    *out = m;
    return true;
}

bool solo_model_load(const solo_model *m, solo_error *err) {
    const uint64_t n = solo_gguf_n_tensor(m->gguf);
    for (uint64_t i = 0; i < n; i++) {
        const solo_tensor *t = solo_gguf_tensor_at(m->gguf, i);
        if (!solo_gguf_load(m->gguf, t, err)) return false;
        for (uint32_t k = 0; k < m->n_view; k++)
            if (m->view[k].off >= t->off && m->view[k].off < t->off + t->n_bytes && m->view[k].source == t->source)
                m->view[k].data = t->data + (m->view[k].off - t->off);
    }
    return true;
}

void solo_model_close(solo_model *m) {
    if (!m) return;
    solo_tokenizer_close(m->tokenizer);
    solo_gguf_close(m->gguf);
    free(m->layer);
    free(m->view);
    free(m->name);
    free(m->chat_template);
    free(m);
}

solo_model_info solo_model_get_info(const solo_model *m) {
    const solo_hparams *hp = &m->hp;
    solo_model_info info = {
        .name = m->name, .arch = m->arch, .tokenizer = solo_tokenizer_kind(m->tokenizer),
        .chat_family = m->chat_family, .file_type = m->file_type,
        .n_layer = hp->n_layer, .n_embd = hp->n_embd, .n_head = hp->n_head,
        .n_head_kv = hp->n_head_kv, .head_dim = hp->head_dim, .n_ff = hp->n_ff,
        .n_vocab = hp->n_vocab, .n_ctx_train = hp->n_ctx_train,
        .n_tensor = solo_gguf_n_tensor(m->gguf),
        .rope_base = hp->rope_base, .norm_eps = hp->norm_eps, .tied = m->output == m->embd,
        .attn_window = hp->attn_window, .attn_global_every = hp->global_every, .rope_dim = hp->rope_dim,
        .rope_factors = hp->yarn_mix > 0.0f ? "yarn" : m->rope_factors_long ? "by context"
                        : m->rope_factors ? "all" : "none",
        .rope_attn_factor = hp->rope_attn_factor, .n_ctx_orig = hp->n_ctx_orig,
        .bos = solo_tokenizer_bos(m->tokenizer), .eos = solo_tokenizer_eos(m->tokenizer),
    };
    for (uint64_t i = 0; i < info.n_tensor; i++) {
        const solo_tensor *t = solo_gguf_tensor_at(m->gguf, i);
        info.n_param += t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3];
        info.n_bytes += t->n_bytes;
    }
    return info;
}

void solo_model_find_views(const solo_model *m, const solo_tensor *t) {
    for (uint32_t i = 0; i < m->n_view; i++)
        if (m->view[i].name == t->name) m->view[i].data = t->data + (m->view[i].off - t->off);
}

void solo_tensor_f32(const solo_tensor *t, float *out) {
    SOLO_ASSERT(t->type == SOLO_TYPE_F32 || t->type == SOLO_TYPE_F16 || t->type == SOLO_TYPE_BF16);
    solo_dequant(t->type, t->data, t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3], out);
}
