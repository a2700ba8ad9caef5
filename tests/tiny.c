/* tiny.c: see tiny.h. Weights are uniform with variance 1/n_in and gains lie around 1, so that
 * activations stay near 1 through any number of layers. */
#include "tiny.h"

#include <math.h>

/* ---- random weights ----------------------------------------------------------------------- */

uint64_t tiny_random_bits(uint64_t seed, uint64_t i) { /* splitmix64 of a mixed counter */
    uint64_t z = seed * 0xd1342543de82ef95u + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

float tiny_random(uint64_t seed, uint64_t i) { /* 24 bits: exact in f32 */
    return (float)(tiny_random_bits(seed, i) >> 40) / 8388608.0f - 1.0f;
}

/* mid + spread * uniform(-1..1). Each tensor draws from a stream named after it. */
static void fill_random(uint64_t seed, const char *name, uint64_t n, float mid, float spread,
                        float *x) {
    for (const char *c = name; *c; c++) seed = seed * 1099511628211u + (uint8_t)*c;
    for (uint64_t i = 0; i < n; i++) x[i] = mid + spread * tiny_random(seed, i);
}

static bool can_hold(solo_type type, uint32_t cols) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    return info && info->form != SOLO_FORM_NONE && cols % info->n_block == 0;
}

static bool add_random(solo_gguf_writer *w, uint64_t seed, const char *name, solo_type type,
                       uint32_t cols, uint32_t rows, float mid, float spread) {
    if (!can_hold(type, cols)) return false;
    const uint64_t n = (uint64_t)cols * (rows ? rows : 1);
    float *x = solo_alloc((size_t)n * sizeof *x);
    fill_random(seed, name, n, mid, spread, x);
    solo_gguf_put_tensor_f32(w, name, type, cols, rows, x);
    free(x);
    return true;
}

/* ---- the tokenizer ------------------------------------------------------------------------ */

/* Left and right of each merge; the merged text is the token 256 + i. "\xc4\xa0" stands for a space
 * in GPT-2's alphabet. */
static const char *const merges[][2] = {
    {"\xc4\xa0", "t"}, {"h", "e"}, {"\xc4\xa0t", "he"}, {"l", "l"}, {"ll", "o"}, {"he", "llo"},
    {"i", "n"}, {"a", "n"}, {"\xc4\xa0", "a"}, {"o", "n"}, {"e", "r"}, {"in", "g"},
};

static const char chatml[] =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% endif %}";

/* GPT-2's alphabet: a printing byte of Latin-1 is its own code point; the others are counted up
 * from U+0100. All are below U+0800: one or two bytes of UTF-8. */
static char *byte_text(uint32_t byte) {
    uint32_t point = byte, n_before = 0;
    for (uint32_t b = 0; b <= byte; b++) {
        bool prints = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
        if (!prints && b == byte) point = 256 + n_before;
        n_before += !prints;
    }
    char utf8[2] = {(char)(0xc0 | point >> 6), (char)(0x80 | (point & 63))};
    if (point < 0x80) utf8[0] = (char)point;
    return solo_strndup(utf8, point < 0x80 ? 1 : 2);
}

static char *joined(const char *a, const char *b, const char *c) {
    solo_text text = {0};
    solo_text_add(&text, "%s%s%s", a, b, c);
    return text.at;
}

static void add_tokenizer(solo_gguf_writer *w, uint32_t n_vocab) {
    enum { N_MERGE = sizeof merges / sizeof *merges, START = 256 + N_MERGE };
    char **token = solo_zalloc(n_vocab, sizeof *token), *merge[N_MERGE];
    int32_t *type = solo_zalloc(n_vocab, sizeof *type);
    for (uint32_t i = 0; i < n_vocab; i++) {
        type[i] = i == START || i == START + 1 ? 3 : 1; /* control, normal */
        if (i < 256) {
            token[i] = byte_text(i);
        } else if (i < START) {
            token[i] = joined(merges[i - 256][0], "", merges[i - 256][1]);
            merge[i - 256] = joined(merges[i - 256][0], " ", merges[i - 256][1]);
        } else {
            solo_text text = {0};
            if (i <= START + 1) solo_text_add(&text, i == START ? "<|im_start|>" : "<|im_end|>");
            else solo_text_add(&text, "<|t%u|>", i);
            token[i] = text.at;
        }
    }
    solo_gguf_put_str(w, "tokenizer.ggml.model", "gpt2");
    solo_gguf_put_str(w, "tokenizer.ggml.pre", "smollm");
    solo_gguf_put_strs(w, "tokenizer.ggml.tokens", token, n_vocab);
    solo_gguf_put_i32s(w, "tokenizer.ggml.token_type", type, n_vocab);
    solo_gguf_put_strs(w, "tokenizer.ggml.merges", merge, N_MERGE);
    solo_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", START);
    solo_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", START + 1);
    solo_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", false);
    solo_gguf_put_str(w, "tokenizer.chat_template", chatml);
    for (uint32_t i = 0; i < n_vocab; i++) free(token[i]);
    for (uint32_t i = 0; i < N_MERGE; i++) free(merge[i]);
    free(token);
    free(type);
}

/* ---- whole models ------------------------------------------------------------------------- */

static void set_default(uint32_t *field, uint32_t value) {
    if (!*field) *field = value;
}

static void set_type(solo_type *field, solo_type value) {
    if (!*field) *field = value;
    if (*field == TINY_TYPE_F32) *field = SOLO_TYPE_F32;
}

static const char *arch_of(const tiny_desc *d) { return d->arch ? d->arch : d->phi3 ? "phi3" : "llama"; }

/* Which architectures have a tensor. */
enum { LLAMA = 1, PHI3 = 2, QWEN2 = 4, QWEN3 = 8, GPT2 = 16, GEMMA2 = 32, GEMMA3 = 64, ALL = 127, BIASED = 128,
       GATED = ALL - GPT2, FUSED = PHI3 | GPT2, GEMMA = GEMMA2 | GEMMA3 };

static uint32_t arch_bit(const tiny_desc *d) {
    static const char *const names[] = {"llama", "phi3", "qwen2", "qwen3", "gpt2", "gemma2", "gemma3"};
    for (uint32_t i = 0; i < SOLO_COUNT(names); i++)
        if (!strcmp(arch_of(d), names[i])) return 1u << i;
    return 0;
}

static tiny_desc with_defaults(const tiny_desc *desc) {
    tiny_desc d = *desc;
    set_default(&d.n_layer, 2);
    set_default(&d.n_embd, 64);
    set_default(&d.n_head, 4);
    set_default(&d.n_head_kv, arch_bit(&d) == GPT2 ? d.n_head : 2);
    set_default(&d.head_dim, 16);
    set_default(&d.n_ff, 96);
    set_default(&d.n_vocab, 320);
    set_default(&d.n_ctx, 64);
    set_default(&d.rope_dim, d.head_dim);
    solo_type *const matrix[] = {&d.type_qk, &d.type_v, &d.type_out, &d.type_gate,
                                 &d.type_up, &d.type_down, &d.alt_v, &d.alt_down};
    for (uint32_t i = 0; i < SOLO_COUNT(matrix); i++) set_type(matrix[i], SOLO_TYPE_Q4_1);
    set_type(&d.type_embd, SOLO_TYPE_Q8_0);
    set_type(&d.type_output, SOLO_TYPE_Q8_0);
    return d;
}

static const char *key_of(const tiny_desc *d, const char *suffix, char key[64]) {
    snprintf(key, 64, "%s.%s", arch_of(d), suffix);
    return key;
}

static void put_u32(solo_gguf_writer *w, const tiny_desc *d, const char *suffix, uint32_t v) {
    char key[64];
    solo_gguf_put_u32(w, key_of(d, suffix, key), v);
}

static void put_f32(solo_gguf_writer *w, const tiny_desc *d, const char *suffix, float v) {
    char key[64];
    solo_gguf_put_f32(w, key_of(d, suffix, key), v);
}

static void add_hparams(solo_gguf_writer *w, const tiny_desc *d) {
    solo_gguf_put_str(w, "general.architecture", arch_of(d));
    solo_gguf_put_str(w, "general.name", "tiny");
    put_u32(w, d, "block_count", d->n_layer);
    put_u32(w, d, "context_length", d->n_ctx);
    put_u32(w, d, "embedding_length", d->n_embd);
    put_u32(w, d, "feed_forward_length", d->n_ff);
    put_u32(w, d, "attention.head_count", d->n_head);
    put_u32(w, d, "vocab_size", d->n_vocab);
    if (arch_bit(d) == GPT2) {
        put_f32(w, d, "attention.layer_norm_epsilon", 1e-5f);
        return;
    }
    put_u32(w, d, "attention.head_count_kv", d->n_head_kv);
    put_u32(w, d, "attention.key_length", d->head_dim);
    put_u32(w, d, "attention.value_length", d->head_dim);
    put_f32(w, d, "attention.layer_norm_rms_epsilon", 1e-5f);
    put_u32(w, d, "rope.dimension_count", d->rope_dim);
    put_f32(w, d, "rope.freq_base", d->rope_base > 0.0f ? d->rope_base : 10000.0f);
    if (d->rope_scale > 0.0f) put_f32(w, d, "rope.scaling.factor", d->rope_scale);
    if (d->n_ctx_orig) put_u32(w, d, "rope.scaling.original_context_length", d->n_ctx_orig);
    if (d->attn_factor > 0.0f) put_f32(w, d, "rope.scaling.attn_factor", d->attn_factor);
    if (d->yarn_ctx) {
        char key[64];
        solo_gguf_put_str(w, key_of(d, "rope.scaling.type", key), "yarn");
        put_u32(w, d, "rope.scaling.original_context_length", d->yarn_ctx);
        put_f32(w, d, "rope.scaling.yarn_beta_fast", d->yarn_fast);
        put_f32(w, d, "rope.scaling.yarn_beta_slow", d->yarn_slow);
    }
    if (d->global_every) put_u32(w, d, "attention.sliding_window_pattern", d->global_every);
    if (d->attn_window) put_u32(w, d, "attention.sliding_window", d->attn_window);
}

/* A tensor of a layer; fused ones stand in one, the rows of each behind the other's. */
typedef struct layer_row {
    const char *name;
    solo_type   type;
    uint32_t    cols, rows; /* rows 0: a vector */
    float       mid, spread;
    uint32_t    archs;      /* that have it */
    bool        turns;      /* by RoPE: in HALVES order in a phi3 file */
    const char *fused;      /* its tensor's name in a file of FUSED ones; NULL: its own */
} layer_row;

static void layer_name(char name[64], uint32_t layer, const char *role) {
    snprintf(name, 64, "blk.%u.%s", layer, role);
}

/* Numbers of a row's tensor as its llama file has them, then in the order of a phi3 file. */
static void fill_row(const tiny_desc *d, const layer_row *row, uint32_t layer, float *x) {
    char name[64];
    layer_name(name, layer, row->name);
    const uint64_t n = (uint64_t)row->cols * (row->rows ? row->rows : 1);
    fill_random(d->seed, name, n, row->mid, row->rows ? sqrtf(3.0f / (float)row->cols) : row->spread, x);
    if (!row->turns || !d->phi3) return;
    float *plain = solo_alloc((size_t)n * sizeof *plain);
    memcpy(plain, x, (size_t)n * sizeof *plain);
    for (uint32_t r = 0; r < row->rows; r++) {
        uint32_t at = r % d->head_dim, half = d->rope_dim / 2, from = at;
        if (at < half) from = 2 * at;
        else if (at < d->rope_dim) from = 2 * (at - half) + 1;
        memcpy(x + (size_t)r * row->cols, plain + (size_t)(r - at + from) * row->cols,
               row->cols * sizeof *x);
    }
    free(plain);
}

#define MATRIX(name, type, cols, rows, archs, turns, fused) \
    {name ".weight", type, cols, rows, 0, 0, archs, turns, fused}
#define GAIN(name, n, archs) {name ".weight", SOLO_TYPE_F32, n, 0, 1, 0.25f, archs, false, NULL}
#define BIAS(name, n, archs, fused) {name ".bias", SOLO_TYPE_F32, n, 0, 0, 0.5f, archs, false, fused}
#define NORM_BIAS(name, n) {name ".bias", SOLO_TYPE_F32, n, 0, 0, 0.25f, GPT2, false, NULL}

static uint64_t numbers_of(const layer_row *row) {
    return (uint64_t)row->cols * (row->rows ? row->rows : 1);
}

static bool add_layer(solo_gguf_writer *w, const tiny_desc *d, uint32_t layer) {
    const bool alt = d->use_alt && layer % 2, is_fused = arch_bit(d) & FUSED;
    const solo_type type_v = alt ? d->alt_v : d->type_v, type_qk = is_fused ? type_v : d->type_qk;
    const uint32_t n_q = d->n_head * d->head_dim, n_kv = d->n_head_kv * d->head_dim;
    const uint32_t bits = arch_bit(d) | (d->biases ? BIASED : 0u);
    const layer_row rows[] = {
        GAIN("attn_norm", d->n_embd, ALL),
        NORM_BIAS("attn_norm", d->n_embd),
        MATRIX("attn_q", type_qk, d->n_embd, n_q, ALL, true, "attn_qkv.weight"),
        MATRIX("attn_k", type_qk, d->n_embd, n_kv, ALL, true, "attn_qkv.weight"),
        MATRIX("attn_v", type_v, d->n_embd, n_kv, ALL, false, "attn_qkv.weight"),
        BIAS("attn_q", n_q, QWEN2 | GPT2 | BIASED, "attn_qkv.bias"),
        BIAS("attn_k", n_kv, QWEN2 | GPT2 | BIASED, "attn_qkv.bias"),
        BIAS("attn_v", n_kv, QWEN2 | GPT2 | BIASED, "attn_qkv.bias"),
        GAIN("attn_q_norm", d->head_dim, QWEN3 | GEMMA3),
        GAIN("attn_k_norm", d->head_dim, QWEN3 | GEMMA3),
        MATRIX("attn_output", d->type_out, n_q, d->n_embd, ALL, false, NULL),
        BIAS("attn_output", d->n_embd, GPT2 | BIASED, NULL),
        GAIN("post_attention_norm", d->n_embd, GEMMA),
        GAIN("ffn_norm", d->n_embd, ALL),
        NORM_BIAS("ffn_norm", d->n_embd),
        MATRIX("ffn_gate", is_fused ? d->type_up : d->type_gate, d->n_embd, d->n_ff, GATED, false,
               "ffn_up.weight"),
        MATRIX("ffn_up", d->type_up, d->n_embd, d->n_ff, ALL, false, "ffn_up.weight"),
        GAIN("post_ffw_norm", d->n_embd, GEMMA),
        BIAS("ffn_gate", d->n_ff, BIASED, NULL),
        BIAS("ffn_up", d->n_ff, GPT2 | BIASED, NULL),
        BIAS("ffn_down", d->n_embd, GPT2 | BIASED, NULL),
        MATRIX("ffn_down", alt ? d->alt_down : d->type_down, d->n_ff, d->n_embd, ALL, false, NULL),
    };
    for (uint32_t i = 0, end; i < SOLO_COUNT(rows); i = end) {
        const char *fused = is_fused ? rows[i].fused : NULL;
        uint64_t n = numbers_of(&rows[i]);
        end = i + 1;
        if (!(rows[i].archs & bits)) continue;
        for (; fused && end < SOLO_COUNT(rows) && rows[end].fused && !strcmp(rows[end].fused, fused); end++)
            n += numbers_of(&rows[end]);
        if (!can_hold(rows[i].type, rows[i].cols)) return false;
        float *x = solo_alloc((size_t)n * sizeof *x), *to = x;
        for (uint32_t k = i; k < end; to += numbers_of(&rows[k]), k++) fill_row(d, &rows[k], layer, to);
        char name[64];
        layer_name(name, layer, fused ? fused : rows[i].name);
        const uint32_t cols = rows[i].rows ? rows[i].cols : (uint32_t)n;
        solo_gguf_put_tensor_f32(w, name, rows[i].type, cols, rows[i].rows ? (uint32_t)n / cols : 0, x);
        free(x);
    }
    return true;
}

/* Growing from 1 to nearly `last`. */
static void add_factors(solo_gguf_writer *w, const tiny_desc *d, const char *name, float last) {
    const uint32_t n = d->rope_dim / 2;
    float *factor = solo_alloc(n * sizeof *factor);
    for (uint32_t i = 0; i < n; i++) factor[i] = 1.0f + (last - 1.0f) * (float)i / (float)n;
    solo_gguf_put_tensor_f32(w, name, SOLO_TYPE_F32, n, 0, factor);
    free(factor);
}

bool tiny_model(solo_gguf_writer *w, const tiny_desc *desc) {
    const tiny_desc d = with_defaults(desc);
    if (d.n_vocab < 300 || !arch_bit(&d)) return false;
    w->pad = 0x5a; /* would show up if it were read as data */
    add_hparams(w, &d);
    add_tokenizer(w, d.n_vocab);
    /* A tied embedding is an output matrix too: its scale is that of one. */
    const float narrow = sqrtf(3.0f / (float)d.n_embd), wide = sqrtf(3.0f);
    if (!add_random(w, d.seed, "token_embd.weight", d.type_embd, d.n_embd, d.n_vocab, 0.0f,
                    d.tied ? narrow : wide))
        return false;
    for (uint32_t l = 0; l < d.n_layer; l++)
        if (!add_layer(w, &d, l)) return false;
    if (!add_random(w, d.seed, "output_norm.weight", SOLO_TYPE_F32, d.n_embd, 0, 1.0f, 0.25f))
        return false;
    if (arch_bit(&d) == GPT2 &&
        (!add_random(w, d.seed, "position_embd.weight", d.type_embd, d.n_embd, d.n_ctx, 0.0f, 0.5f) ||
         !add_random(w, d.seed, "output_norm.bias", SOLO_TYPE_F32, d.n_embd, 0, 0.0f, 0.25f)))
        return false;
    if (d.rope_freqs)
        solo_gguf_put_tensor_f32(w, "rope_freqs.weight", SOLO_TYPE_F32, d.rope_dim / 2, 0, d.rope_freqs);
    if (d.rope_factors) add_factors(w, &d, "rope_freqs.weight", 8.0f);
    if (d.n_ctx_orig) add_factors(w, &d, "rope_factors_long.weight", 8.0f);
    if (d.n_ctx_orig) add_factors(w, &d, "rope_factors_short.weight", 1.5f);
    return d.tied ||
           add_random(w, d.seed, "output.weight", d.type_output, d.n_embd, d.n_vocab, 0.0f, narrow);
}

bool tiny_gguf(const tiny_desc *desc, uint8_t **bytes, uint64_t *n) {
    solo_gguf_writer w = {0};
    bool ok = tiny_model(&w, desc);
    solo_gguf_write_memory(&w, bytes, n);
    if (ok) return true;
    free(*bytes);
    *bytes = NULL;
    *n = 0;
    return false;
}
