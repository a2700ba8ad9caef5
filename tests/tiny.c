/* tiny.c: see tiny.h. Weights are uniform with variance 1/n_in and gains lie around 1, so that
 * activations stay near 1 through any number of layers. */
#include "tiny.h"

#include <math.h>

/* ---- the writer --------------------------------------------------------------------------- */

static void add_le(solo_text *to, uint64_t v, uint32_t n_bytes) {
    char bytes[8];
    for (uint32_t i = 0; i < n_bytes; i++) bytes[i] = (char)(uint8_t)(v >> 8 * i);
    solo_text_add_n(to, bytes, n_bytes);
}

static void add_str(solo_text *to, const char *at) {
    add_le(to, strlen(at), 8);
    solo_text_add_n(to, at, strlen(at));
}

static void add_key(tiny_writer *w, const char *key, uint32_t kind) {
    add_str(&w->values, key);
    add_le(&w->values, kind, 4);
    w->n_value++;
}

void tiny_value_raw(tiny_writer *w, const char *key, uint32_t kind, const void *at, size_t n) {
    add_key(w, key, kind);
    solo_text_add_n(&w->values, at, n);
}

void tiny_value_u32(tiny_writer *w, const char *key, uint32_t v) {
    add_key(w, key, SOLO_GGUF_U32);
    add_le(&w->values, v, 4);
}

void tiny_value_f32(tiny_writer *w, const char *key, float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    add_key(w, key, SOLO_GGUF_F32);
    add_le(&w->values, bits, 4);
}

void tiny_value_bool(tiny_writer *w, const char *key, bool v) {
    add_key(w, key, SOLO_GGUF_BOOL);
    add_le(&w->values, v, 1);
}

void tiny_value_str(tiny_writer *w, const char *key, const char *text) {
    add_key(w, key, SOLO_GGUF_STRING);
    add_str(&w->values, text);
}

void tiny_value_i32s(tiny_writer *w, const char *key, const int32_t *items, uint64_t n) {
    add_key(w, key, SOLO_GGUF_ARRAY);
    add_le(&w->values, SOLO_GGUF_I32, 4);
    add_le(&w->values, n, 8);
    for (uint64_t i = 0; i < n; i++) add_le(&w->values, (uint32_t)items[i], 4);
}

void tiny_value_strs(tiny_writer *w, const char *key, char *const *items, uint64_t n) {
    add_key(w, key, SOLO_GGUF_ARRAY);
    add_le(&w->values, SOLO_GGUF_STRING, 4);
    add_le(&w->values, n, 8);
    for (uint64_t i = 0; i < n; i++) add_str(&w->values, items[i]);
}

void tiny_tensor_raw(tiny_writer *w, const char *name, uint32_t n_dim, const uint64_t *dim,
                     uint32_t type, uint64_t offset) {
    add_str(&w->tensors, name);
    add_le(&w->tensors, n_dim, 4);
    for (uint32_t i = 0; i < n_dim; i++) add_le(&w->tensors, dim[i], 8);
    add_le(&w->tensors, type, 4);
    add_le(&w->tensors, offset, 8);
    w->n_tensor++;
}

/* Pads with a byte that would show up if it were read as data. */
static void pad(solo_text *text, uint32_t alignment) {
    while (text->n % alignment) solo_text_add_n(text, "\x5a", 1);
}

void tiny_tensor(tiny_writer *w, const char *name, solo_type type, uint64_t cols, uint64_t rows,
                 const uint8_t *data) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    SOLO_ASSERT(info && cols % info->n_block == 0);
    pad(&w->data, w->alignment ? w->alignment : 32);
    tiny_tensor_raw(w, name, rows ? 2 : 1, (uint64_t[]){cols, rows}, (uint32_t)type, w->data.n);
    solo_text_add_n(&w->data, (const char *)data,
                    (size_t)(cols / info->n_block * info->block_bytes * (rows ? rows : 1)));
}

void tiny_tensor_f32(tiny_writer *w, const char *name, solo_type type, uint64_t cols, uint64_t rows,
                     const float *x) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    const uint64_t n = cols * (rows ? rows : 1);
    uint8_t *data = solo_alloc((size_t)(n / info->n_block * info->block_bytes));
    solo_quantize(type, x, n, data);
    tiny_tensor(w, name, type, cols, rows, data);
    free(data);
}

void tiny_writer_finish(tiny_writer *w, uint8_t **bytes, uint64_t *n) {
    solo_text all = {0};
    solo_text_add_n(&all, "GGUF", 4);
    add_le(&all, w->version ? w->version : 3, 4);
    add_le(&all, w->n_tensor, 8);
    add_le(&all, w->n_value, 8);
    solo_text_add_n(&all, w->values.at, w->values.n);
    solo_text_add_n(&all, w->tensors.at, w->tensors.n);
    if (w->data.n) pad(&all, w->alignment ? w->alignment : 32);
    solo_text_add_n(&all, w->data.at, w->data.n);
    /* Exactly as long as the file, so that a sanitizer sees a read one past its end. */
    *bytes = solo_alloc(all.n);
    memcpy(*bytes, all.at, all.n);
    *n = all.n;
    free(all.at);
    free(w->values.at);
    free(w->tensors.at);
    free(w->data.at);
    memset(w, 0, sizeof *w);
}

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

/* mid + spread * uniform(-1..1), quantised. Each tensor draws from a stream named after it. */
static bool add_random(tiny_writer *w, uint64_t seed, const char *name, solo_type type,
                       uint32_t cols, uint32_t rows, float mid, float spread) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    if (!info || info->form == SOLO_FORM_NONE || cols % info->n_block) return false;
    const uint64_t n = (uint64_t)cols * (rows ? rows : 1);
    for (const char *c = name; *c; c++) seed = seed * 1099511628211u + (uint8_t)*c;
    float *x = solo_alloc((size_t)n * sizeof *x);
    for (uint64_t i = 0; i < n; i++) x[i] = mid + spread * tiny_random(seed, i);
    tiny_tensor_f32(w, name, type, cols, rows, x);
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

static void add_tokenizer(tiny_writer *w, uint32_t n_vocab) {
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
    tiny_value_str(w, "tokenizer.ggml.model", "gpt2");
    tiny_value_str(w, "tokenizer.ggml.pre", "smollm");
    tiny_value_strs(w, "tokenizer.ggml.tokens", token, n_vocab);
    tiny_value_i32s(w, "tokenizer.ggml.token_type", type, n_vocab);
    tiny_value_strs(w, "tokenizer.ggml.merges", merge, N_MERGE);
    tiny_value_u32(w, "tokenizer.ggml.bos_token_id", START);
    tiny_value_u32(w, "tokenizer.ggml.eos_token_id", START + 1);
    tiny_value_bool(w, "tokenizer.ggml.add_bos_token", false);
    tiny_value_str(w, "tokenizer.chat_template", chatml);
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

static tiny_desc with_defaults(const tiny_desc *desc) {
    tiny_desc d = *desc;
    set_default(&d.n_layer, 2);
    set_default(&d.n_embd, 64);
    set_default(&d.n_head, 4);
    set_default(&d.n_head_kv, 2);
    set_default(&d.head_dim, 16);
    set_default(&d.n_ff, 96);
    set_default(&d.n_vocab, 320);
    set_default(&d.n_ctx, 64);
    solo_type *const matrix[] = {&d.type_qk, &d.type_v, &d.type_out, &d.type_gate,
                                 &d.type_up, &d.type_down, &d.alt_v, &d.alt_down};
    for (uint32_t i = 0; i < SOLO_COUNT(matrix); i++) set_type(matrix[i], SOLO_TYPE_Q4_1);
    set_type(&d.type_embd, SOLO_TYPE_Q8_0);
    set_type(&d.type_output, SOLO_TYPE_Q8_0);
    return d;
}

static void add_hparams(tiny_writer *w, const tiny_desc *d) {
    tiny_value_str(w, "general.architecture", "llama");
    tiny_value_str(w, "general.name", "tiny");
    tiny_value_u32(w, "llama.block_count", d->n_layer);
    tiny_value_u32(w, "llama.context_length", d->n_ctx);
    tiny_value_u32(w, "llama.embedding_length", d->n_embd);
    tiny_value_u32(w, "llama.feed_forward_length", d->n_ff);
    tiny_value_u32(w, "llama.attention.head_count", d->n_head);
    tiny_value_u32(w, "llama.attention.head_count_kv", d->n_head_kv);
    tiny_value_u32(w, "llama.attention.key_length", d->head_dim);
    tiny_value_u32(w, "llama.attention.value_length", d->head_dim);
    tiny_value_f32(w, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    tiny_value_u32(w, "llama.rope.dimension_count", d->head_dim);
    tiny_value_f32(w, "llama.rope.freq_base", 10000.0f);
    tiny_value_u32(w, "llama.vocab_size", d->n_vocab);
}

static bool add_layer(tiny_writer *w, const tiny_desc *d, uint32_t layer) {
    const bool alt = d->use_alt && layer % 2;
    const uint32_t n_q = d->n_head * d->head_dim, n_kv = d->n_head_kv * d->head_dim;
    const struct { const char *name; solo_type type; uint32_t cols, rows; } rows[] = {
        {"attn_norm", SOLO_TYPE_F32, d->n_embd, 0},
        {"attn_q", d->type_qk, d->n_embd, n_q},
        {"attn_k", d->type_qk, d->n_embd, n_kv},
        {"attn_v", alt ? d->alt_v : d->type_v, d->n_embd, n_kv},
        {"attn_output", d->type_out, n_q, d->n_embd},
        {"ffn_norm", SOLO_TYPE_F32, d->n_embd, 0},
        {"ffn_gate", d->type_gate, d->n_embd, d->n_ff},
        {"ffn_up", d->type_up, d->n_embd, d->n_ff},
        {"ffn_down", alt ? d->alt_down : d->type_down, d->n_ff, d->n_embd},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%u.%s.weight", layer, rows[i].name);
        float mid = rows[i].rows ? 0.0f : 1.0f;
        float spread = rows[i].rows ? sqrtf(3.0f / (float)rows[i].cols) : 0.25f;
        if (!add_random(w, d->seed, name, rows[i].type, rows[i].cols, rows[i].rows, mid, spread))
            return false;
    }
    return true;
}

bool tiny_model(tiny_writer *w, const tiny_desc *desc) {
    const tiny_desc d = with_defaults(desc);
    if (d.n_vocab < 300) return false;
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
    if (d.rope_factors) {
        const uint32_t n = d.head_dim / 2;
        float *factor = solo_alloc(n * sizeof *factor);
        for (uint32_t i = 0; i < n; i++) factor[i] = 1.0f + 7.0f * (float)i / (float)n;
        tiny_tensor_f32(w, "rope_freqs.weight", SOLO_TYPE_F32, n, 0, factor);
        free(factor);
    }
    return d.tied ||
           add_random(w, d.seed, "output.weight", d.type_output, d.n_embd, d.n_vocab, 0.0f, narrow);
}

bool tiny_gguf(const tiny_desc *desc, uint8_t **bytes, uint64_t *n) {
    tiny_writer w = {0};
    bool ok = tiny_model(&w, desc);
    tiny_writer_finish(&w, bytes, n);
    if (ok) return true;
    free(*bytes);
    *bytes = NULL;
    *n = 0;
    return false;
}
