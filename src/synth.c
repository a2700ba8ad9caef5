/* synth.c: models of a real one's shape with random weights, for measuring and testing where the
 * real file is not at hand. Blocks are drawn as they lie in the file: random quants under a scale
 * that gives the wanted variance, no f32 weights in between, so that gigabytes take seconds.
 *
 * Weights have variance 1/n_in and gains lie near 1, so activations stay near 1 through any number
 * of layers. Quants whose middle is not 0 (q4_0's -8..7) get a scale of random sign: a mean shared
 * by all weights would drown everything else after a few layers. */
#include "synth.h"

#include "gguf_write.h"

#include <ctype.h>
#include <math.h>

/* ---- presets as data ------------------------------------------------------------------------ */

typedef struct voice { /* tokens and template of a chat */
    const char *control[8]; /* the last ids; NULL-terminated */
    uint32_t    bos, eos;   /* of control */
    const char *chat_template; /* NULL: none */
} voice;

static const voice voice_phi3 = {
    {"<s>", "<|endoftext|>", "<|assistant|>", "<|end|>", "<|system|>", "<|user|>", NULL}, 0, 3,
    "{% for message in messages %}{% if message['role'] == 'system' %}{{'<|system|>\n' + "
    "message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + "
    "message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n'"
    " + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"};

static const voice voice_llama3 = {
    {"<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
     "<|eot_id|>", NULL}, 0, 4,
    "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = "
    "'<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim "
    "+ '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}"
    "{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant"
    "<|end_header_id|>\n\n' }}{% endif %}"};

static const voice voice_chatml = {
    {"<|endoftext|>", "<|im_start|>", "<|im_end|>", NULL}, 1, 2,
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"};

static const voice voice_gpt2 = {{"<|endoftext|>", NULL}, 0, 0, NULL};

static const voice voice_gemma = {
    {"<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", NULL}, 0, 3,
    "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'assistant' %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + "
    "message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}"
    "{{'<start_of_turn>model\n'}}{% endif %}"};

typedef struct preset {
    const char  *name, *usage; /* usage: with its argument */
    const char  *arch;
    const voice *voice;
    uint32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx, attn_window;
    float    rope_base;
    bool     tied;
} preset;

static const preset presets[] = {
    {"phi-3-mini", "phi-3-mini[:WINDOW]", "phi3", &voice_phi3,
     32, 3072, 32, 32, 96, 8192, 32064, 4096, 2047, 10000.0f, false},
    {"llama-3.2-1b", "llama-3.2-1b", "llama", &voice_llama3,
     16, 2048, 32, 8, 64, 8192, 128256, 131072, 0, 500000.0f, true},
    {"smollm2-135m", "smollm2-135m", "llama", &voice_chatml,
     30, 576, 9, 3, 64, 1536, 49152, 8192, 0, 100000.0f, true},
    {"toy", "toy:DxLxH", "llama", &voice_chatml, 0, 0, 0, 0, 0, 0, 1024, 2048, 0, 10000.0f, true},
    {"qwen2-0.5b", "qwen2-0.5b", "qwen2", &voice_chatml,
     24, 896, 14, 2, 64, 4864, 151936, 32768, 0, 1000000.0f, true},
    {"qwen3-0.6b", "qwen3-0.6b", "qwen3", &voice_chatml,
     28, 1024, 16, 8, 128, 3072, 151936, 40960, 0, 1000000.0f, true},
    {"gpt2-small", "gpt2-small", "gpt2", &voice_gpt2,
     12, 768, 12, 12, 64, 3072, 50257, 1024, 0, 0.0f, true},
    {"gemma-3-270m", "gemma-3-270m", "gemma3", &voice_gemma,
     18, 640, 4, 1, 256, 2048, 262144, 32768, 512, 1000000.0f, true},
};

const char *const *solo_synth_presets(void) {
    static const char *usages[SOLO_COUNT(presets) + 1];
    for (uint32_t i = 0; i < SOLO_COUNT(presets); i++) usages[i] = presets[i].usage;
    return usages;
}

/* A whole number at *at, which moves past it and past what must follow it ('\0': the end). */
static bool take_number(const char **at, char then, uint32_t max, uint32_t *out) {
    uint64_t n = 0;
    if (!isdigit((unsigned char)**at)) return false;
    for (; isdigit((unsigned char)**at) && n <= max; ++*at) n = 10 * n + (uint64_t)(**at - '0');
    if (n > max || **at != then) return false;
    if (then) ++*at;
    *out = (uint32_t)n;
    return true;
}

static bool read_toy(const char *said, const char *at, preset *p, solo_error *err) {
    if (!take_number(&at, 'x', 1 << 16, &p->n_embd) || !take_number(&at, 'x', 1024, &p->n_layer) ||
        !take_number(&at, '\0', 1024, &p->n_head) || !p->n_embd || !p->n_layer || !p->n_head)
        return solo_fail(err, SOLO_ARGUMENT,
                         "preset: wanted toy:DxLxH (width x layers x heads), found '%s'", said);
    if (p->n_embd % 32 || p->n_embd % p->n_head || p->n_embd / p->n_head % 4)
        return solo_fail(err, SOLO_ARGUMENT,
                         "preset '%s': wanted a width that is a multiple of 32 and of 4 times the "
                         "heads, found %u and %u heads",
                         said, p->n_embd, p->n_head);
    p->n_head_kv = p->n_head;
    p->head_dim = p->n_embd / p->n_head;
    p->n_ff = 4 * p->n_embd;
    return true;
}

static bool find_preset(const char *said, preset *out, solo_error *err) {
    const size_t n_name = strcspn(said, ":");
    const char *argument = said[n_name] ? said + n_name + 1 : NULL;
    for (uint32_t i = 0; i < SOLO_COUNT(presets); i++) {
        const preset *p = &presets[i];
        if (strlen(p->name) != n_name || memcmp(p->name, said, n_name) != 0) continue;
        *out = *p;
        if (strcmp(p->name, "toy") == 0) return read_toy(said, argument ? argument : "", out, err);
        if (!argument) return true;
        if (strchr(p->usage, ':') && take_number(&argument, '\0', 1 << 27, &out->attn_window))
            return true;
        return solo_fail(err, SOLO_ARGUMENT, "preset: wanted %s, found '%s'", p->usage, said);
    }
    solo_text known = {0};
    for (const char *const *usage = solo_synth_presets(); *usage; usage++)
        solo_text_add(&known, "%s%s", known.n ? ", " : "", *usage);
    solo_fail(err, SOLO_ARGUMENT, "preset: wanted one of %s, found '%.100s'", known.at, said);
    free(known.at);
    return false;
}

/* ---- random numbers ------------------------------------------------------------------------- */

typedef struct rng { uint64_t s[4]; } rng; /* xoshiro256++ */

static uint64_t rotate(uint64_t v, int by) { return v << by | v >> (64 - by); }

static inline uint64_t draw(rng *r) {
    const uint64_t out = rotate(r->s[0] + r->s[3], 23) + r->s[0], t = r->s[1] << 17;
    r->s[2] ^= r->s[0], r->s[3] ^= r->s[1], r->s[1] ^= r->s[2], r->s[0] ^= r->s[3];
    r->s[2] ^= t, r->s[3] = rotate(r->s[3], 45);
    return out;
}

/* A stream of its own for each tensor, named after it: shapes of others do not change it. */
static rng rng_of(uint64_t seed, const char *name) {
    rng r;
    for (; *name; name++) seed = (seed ^ (uint8_t)*name) * 1099511628211u;
    for (uint32_t i = 0; i < 4; i++) { /* splitmix64 */
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        r.s[i] = z ^ z >> 31;
    }
    return r;
}

static void store_le(uint8_t *to, uint64_t v, uint32_t n_bytes) {
    for (uint32_t i = 0; i < n_bytes; i++) to[i] = (uint8_t)(v >> 8 * i);
}

/* ---- blocks --------------------------------------------------------------------------------- */

/* How a type's block is drawn: d at scale_at, random bytes, and what else there is. */
typedef struct block_recipe {
    solo_type type;
    uint32_t  scale_at, random_at, n_random;
    double    variance;   /* of a weight where d is 1 */
    double    min;        /* d times it is the f16 at min_at; 0: none */
    uint32_t  min_at;
    uint32_t  fixed_at, n_fixed;
    uint8_t   fixed[16];
} block_recipe;

/* K-quants: sub-block scales of 32. Q4_K packs eight scales and eight minima of 6 bits into 12
 * bytes; Q6_K has sixteen int8, of alternating sign as its quants are -32..31. */
static const block_recipe recipes[] = {
    {SOLO_TYPE_Q4_0, 0, 2, 16, 21.25, 0, 0, 0, 0, {0}},
    {SOLO_TYPE_Q4_1, 0, 4, 16, 21.25, -7.5, 2, 0, 0, {0}},
    {SOLO_TYPE_Q5_0, 0, 2, 20, 85.25, 0, 0, 0, 0, {0}},
    {SOLO_TYPE_Q8_0, 0, 2, 32, 5461.25, 0, 0, 0, 0, {0}},
    {SOLO_TYPE_Q4_K, 0, 16, 128, 21.25 * 32 * 32, 7.5, 2, 4, 12,
     {160, 160, 160, 160, 160, 160, 160, 160, 0, 0, 0, 0}},
    {SOLO_TYPE_Q6_K, 208, 0, 192, 341.25 * 32 * 32, 0, 0, 192, 16,
     {32, 224, 32, 224, 32, 224, 32, 224, 32, 224, 32, 224, 32, 224, 32, 224}},
};

static const block_recipe *recipe_of(solo_type type) {
    for (uint32_t i = 0; i < SOLO_COUNT(recipes); i++)
        if (recipes[i].type == type) return &recipes[i];
    return NULL;
}

/* n whole blocks of weights with mean 0 and the deviation given. Sixteen scales, of either sign and
 * from 3/4 to 5/4 of their middle. */
static void fill_blocks(const block_recipe *recipe, double deviation, rng *r, uint64_t n,
                        uint8_t *to) {
    const uint32_t n_bytes = solo_type_get_info((uint32_t)recipe->type)->block_bytes;
    double square = 0;
    uint16_t scale[16], min[16];
    for (uint32_t i = 0; i < 8; i++) square += pow(0.75 + i / 14.0, 2) / 8;
    for (uint32_t i = 0; i < 16; i++) {
        double d = (0.75 + i % 8 / 14.0) * deviation / sqrt(square * recipe->variance);
        scale[i] = solo_f32_to_f16((float)(i < 8 ? d : -d));
        min[i] = solo_f32_to_f16((float)(recipe->min * (double)solo_f16_to_f32(scale[i])));
    }
    for (uint64_t block = 0; block < n; block++, to += n_bytes) {
        const uint32_t i = (uint32_t)(draw(r) >> 60);
        uint8_t *at = to + recipe->random_at;
        for (uint32_t k = 0; k + 8 <= recipe->n_random; k += 8) store_le(at + k, draw(r), 8);
        if (recipe->n_random % 8) store_le(at + recipe->n_random / 8 * 8, draw(r), 4);
        memcpy(to + recipe->fixed_at, recipe->fixed, recipe->n_fixed);
        store_le(to + recipe->scale_at, scale[i], 2);
        if (recipe->min_at) store_le(to + recipe->min_at, min[i], 2);
    }
}

/* Types without blocks: one of 4096 even steps between middle -+ sqrt(3) deviations. */
typedef struct steps { uint8_t at[4096][4]; } steps;

static void make_steps(solo_type type, double middle, double deviation, steps *out) {
    for (uint32_t i = 0; i < 4096; i++) {
        float x = (float)(middle + sqrt(3) * deviation * ((i + 0.5) / 2048 - 1));
        solo_quantize(type, &x, 1, out->at[i]);
    }
}

static void fill_steps(const steps *s, uint32_t n_bytes, rng *r, uint64_t n, uint8_t *to) {
    uint64_t bits = 0;
    for (uint64_t i = 0; i < n; i++, to += n_bytes, bits >>= 12) {
        if (i % 5 == 0) bits = draw(r);
        memcpy(to, s->at[bits & 4095], n_bytes);
    }
}

/* ---- the tokenizer -------------------------------------------------------------------------- */

/* Letter k of the words that fill the vocabulary: a space as GPT-2's alphabet spells it, or a..z. */
static void add_letter(solo_text *text, uint32_t k) {
    if (k == 0) solo_text_add_n(text, "\xc4\xa0", 2);
    else solo_text_add(text, "%c", (char)('a' + k - 1));
}

/* Word i: the 27 letters, then each word once more with each of a..z behind it. */
static void add_word(solo_text *text, uint32_t i) {
    if (i < 27) {
        add_letter(text, i);
        return;
    }
    add_word(text, (i - 27) / 26);
    add_letter(text, 1 + (i - 27) % 26);
}

/* GPT-2's alphabet: a printing byte of Latin-1 is its own code point; the others are counted up
 * from U+0100. All are below U+0800: one or two bytes of UTF-8. */
static void add_byte(solo_text *text, uint32_t byte, uint32_t *n_other) {
    bool prints = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    uint32_t point = prints ? byte : 256 + (*n_other)++;
    if (point >= 0x80) solo_text_add(text, "%c", (char)(0xc0 | point >> 6));
    solo_text_add(text, "%c", (char)(point < 0x80 ? point : 0x80 | (point & 63)));
}

/* The 256 bytes, words made by merges, the control tokens: byte-level BPE, so that any text comes
 * back as it was. */
static void add_tokenizer(solo_gguf_writer *w, const preset *p) {
    uint32_t n_control = 0, n_other = 0;
    while (p->voice->control[n_control]) n_control++;
    const uint32_t first = p->n_vocab - n_control, n_merge = first - 256;
    char **token = solo_zalloc(p->n_vocab, sizeof *token);
    char **merge = solo_zalloc(n_merge, sizeof *merge);
    int32_t *type = solo_zalloc(p->n_vocab, sizeof *type);
    for (uint32_t i = 0; i < p->n_vocab; i++) {
        solo_text text = {0};
        type[i] = i < first ? 1 : 3; /* normal, control */
        if (i < 256) add_byte(&text, i, &n_other);
        else if (i < first) add_word(&text, 27 + i - 256);
        else solo_text_add(&text, "%s", p->voice->control[i - first]);
        token[i] = text.at;
    }
    for (uint32_t i = 0; i < n_merge; i++) {
        solo_text text = {0};
        add_word(&text, i / 26);
        solo_text_add(&text, " ");
        add_letter(&text, 1 + i % 26);
        merge[i] = text.at;
    }
    solo_gguf_put_str(w, "tokenizer.ggml.model", "gpt2");
    solo_gguf_put_str(w, "tokenizer.ggml.pre", "smollm");
    solo_gguf_put_strs(w, "tokenizer.ggml.tokens", token, p->n_vocab);
    solo_gguf_put_i32s(w, "tokenizer.ggml.token_type", type, p->n_vocab);
    solo_gguf_put_strs(w, "tokenizer.ggml.merges", merge, n_merge);
    solo_gguf_put_u32(w, "tokenizer.ggml.bos_token_id", first + p->voice->bos);
    solo_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", first + p->voice->eos);
    solo_gguf_put_bool(w, "tokenizer.ggml.add_bos_token", false);
    if (p->voice->chat_template) solo_gguf_put_str(w, "tokenizer.chat_template", p->voice->chat_template);
    for (uint32_t i = 0; i < p->n_vocab; i++) free(token[i]);
    for (uint32_t i = 0; i < n_merge; i++) free(merge[i]);
    free(token), free(merge), free(type);
}

/* ---- the file ------------------------------------------------------------------------------- */

typedef struct tensor {
    char      name[64];
    solo_type type;
    double    middle, deviation;
    uint64_t  off, n_bytes; /* behind the head */
} tensor;

typedef struct synth {
    const solo_synth_desc *desc;
    preset    preset;
    solo_type type, output_type;
    solo_gguf_writer w;
    tensor   *tensor;
    uint32_t  n_tensor;
    solo_synth_sink *sink;
    void     *user;
    uint64_t  done, total;
    solo_error *err;
} synth;

#define MAX_LAYER 1024u
#define MIN_VOCAB 300u /* the bytes, the words of a letter, the control tokens */
#define PIECE_BYTES (4u << 20)

static bool is_arch(const synth *s, const char *name) { return strcmp(s->preset.arch, name) == 0; }

static void add_hparams(synth *s) {
    const preset *p = &s->preset;
    const bool gpt2 = is_arch(s, "gpt2"), long_heads = p->head_dim * p->n_head != p->n_embd;
    const struct { const char *suffix; uint32_t value; } counts[] = { /* 0: not said */
        {"block_count", p->n_layer}, {"context_length", p->n_ctx}, {"embedding_length", p->n_embd},
        {"feed_forward_length", p->n_ff}, {"attention.head_count", p->n_head},
        {"attention.head_count_kv", gpt2 ? 0 : p->n_head_kv},
        {"attention.key_length", long_heads ? p->head_dim : 0},
        {"attention.value_length", long_heads ? p->head_dim : 0},
        {"rope.dimension_count", gpt2 ? 0 : p->head_dim},
        {"vocab_size", p->n_vocab}, {"attention.sliding_window", p->attn_window}};
    char key[96];
    solo_gguf_put_str(&s->w, "general.architecture", p->arch);
    solo_text name = {0};
    solo_text_add(&name, "%s, random weights, seed %llu", s->desc->preset,
                  (unsigned long long)s->desc->seed);
    solo_gguf_put_str(&s->w, "general.name", name.at);
    free(name.at);
    for (uint32_t i = 0; i < SOLO_COUNT(counts); i++) {
        snprintf(key, sizeof key, "%s.%s", p->arch, counts[i].suffix);
        if (counts[i].value) solo_gguf_put_u32(&s->w, key, counts[i].value);
    }
    snprintf(key, sizeof key, "%s.attention.layer_norm_%sepsilon", p->arch, gpt2 ? "" : "rms_");
    solo_gguf_put_f32(&s->w, key, 1e-5f);
    if (gpt2) return;
    snprintf(key, sizeof key, "%s.rope.freq_base", p->arch);
    solo_gguf_put_f32(&s->w, key, p->rope_base);
}

/* rows 0: a gain, or a bias by its name. spread: the deviation is this over sqrt(cols). */
static bool add_tensor(synth *s, const char *name, solo_type type, uint32_t cols, uint32_t rows,
                       double spread) {
    const uint32_t n_block = solo_type_get_info((uint32_t)type)->n_block;
    if (cols % n_block)
        return solo_fail(s->err, SOLO_ARGUMENT,
                         "tensor '%s': type %s: wanted rows of a multiple of %u weights, found %u",
                         name, solo_type_get_info((uint32_t)type)->name, n_block, cols);
    tensor *t = &s->tensor[s->n_tensor++];
    snprintf(t->name, sizeof t->name, "%s", name);
    t->type = type;
    t->middle = rows || strstr(name, ".bias") ? 0 : 1;
    t->deviation = rows ? spread / sqrt(cols) : 0.05;
    t->off = solo_gguf_declare_tensor(&s->w, name, type, cols, rows, &t->n_bytes);
    s->total += t->n_bytes;
    return true;
}

/* Which architectures have a tensor. */
enum { LLAMA = 1, PHI3 = 2, QWEN2 = 4, QWEN3 = 8, GPT2 = 16, GEMMA3 = 32, ALL = 63 };

static uint32_t arch_bit(const synth *s) {
    static const char *const names[] = {"llama", "phi3", "qwen2", "qwen3", "gpt2", "gemma3"};
    for (uint32_t i = 0; i < SOLO_COUNT(names); i++)
        if (is_arch(s, names[i])) return 1u << i;
    solo_bug(__FILE__, __LINE__, "a preset of an architecture without tensors");
}

static bool add_layer(synth *s, uint32_t layer) {
    const preset *p = &s->preset;
    const uint32_t q = p->n_head * p->head_dim, kv = p->n_head_kv * p->head_dim, d = p->n_embd, ff = p->n_ff;
    const uint32_t apart = ALL - PHI3 - GPT2;
    const struct { const char *name; uint32_t cols, rows, archs; } rows[] = {
        {"attn_norm.weight", d, 0, ALL}, {"attn_norm.bias", d, 0, GPT2},
        {"attn_qkv.weight", d, q + 2 * kv, PHI3 | GPT2}, {"attn_qkv.bias", q + 2 * kv, 0, GPT2},
        {"attn_q.weight", d, q, apart}, {"attn_k.weight", d, kv, apart}, {"attn_v.weight", d, kv, apart},
        {"attn_q.bias", q, 0, QWEN2}, {"attn_k.bias", kv, 0, QWEN2}, {"attn_v.bias", kv, 0, QWEN2},
        {"attn_q_norm.weight", p->head_dim, 0, QWEN3 | GEMMA3},
        {"attn_k_norm.weight", p->head_dim, 0, QWEN3 | GEMMA3},
        {"attn_output.weight", q, d, ALL}, {"attn_output.bias", d, 0, GPT2},
        {"post_attention_norm.weight", d, 0, GEMMA3},
        {"ffn_norm.weight", d, 0, ALL}, {"ffn_norm.bias", d, 0, GPT2},
        {"ffn_gate.weight", d, ff, apart}, {"ffn_up.weight", d, ff, ALL - PHI3},
        {"ffn_up.weight", d, 2 * ff, PHI3}, {"ffn_up.bias", ff, 0, GPT2},
        {"ffn_down.weight", ff, d, ALL}, {"ffn_down.bias", d, 0, GPT2},
        {"post_ffw_norm.weight", d, 0, GEMMA3},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        char name[64];
        if (!(rows[i].archs & arch_bit(s))) continue;
        snprintf(name, sizeof name, "blk.%u.%s", layer, rows[i].name);
        if (!add_tensor(s, name, rows[i].rows ? s->type : SOLO_TYPE_F32, rows[i].cols,
                        rows[i].rows, 1))
            return false;
    }
    return true;
}

/* A tied embedding is the output matrix too: it has that one's type and scale. */
static bool add_tensors(synth *s) {
    const preset *p = &s->preset;
    s->tensor = solo_zalloc(5 + (size_t)p->n_layer * 16, sizeof *s->tensor);
    if (!add_tensor(s, "token_embd.weight", p->tied ? s->output_type : s->type, p->n_embd,
                    p->n_vocab, p->tied ? 1 : sqrt(p->n_embd)))
        return false;
    for (uint32_t l = 0; l < p->n_layer; l++)
        if (!add_layer(s, l)) return false;
    if (is_arch(s, "gpt2") &&
        (!add_tensor(s, "position_embd.weight", SOLO_TYPE_F16, p->n_embd, p->n_ctx, 1) ||
         !add_tensor(s, "output_norm.bias", SOLO_TYPE_F32, p->n_embd, 0, 1)))
        return false;
    return add_tensor(s, "output_norm.weight", SOLO_TYPE_F32, p->n_embd, 0, 1) &&
           (p->tied || add_tensor(s, "output.weight", s->output_type, p->n_embd, p->n_vocab, 1));
}

static bool put(synth *s, const void *data, size_t n) { return s->sink(s->user, data, n, s->err); }

static bool write_tensor(synth *s, const tensor *t, uint8_t *piece, steps *table) {
    const solo_type_info *info = solo_type_get_info((uint32_t)t->type);
    const block_recipe *recipe = recipe_of(t->type);
    const uint64_t most = PIECE_BYTES / info->block_bytes;
    rng r = rng_of(s->desc->seed, t->name);
    if (!recipe) make_steps(t->type, t->middle, t->deviation, table);
    for (uint64_t left = t->n_bytes / info->block_bytes, n; left > 0; left -= n) {
        n = left < most ? left : most;
        if (recipe) fill_blocks(recipe, t->deviation, &r, n, piece);
        else fill_steps(table, info->block_bytes, &r, n, piece);
        if (!put(s, piece, (size_t)n * info->block_bytes)) return false;
        s->done += n * info->block_bytes;
        if (s->desc->progress) s->desc->progress(s->desc->progress_user, s->done, s->total);
    }
    return true;
}

static bool write_bytes(synth *s) {
    static const uint8_t zeros[64];
    solo_text head = {0};
    solo_gguf_write_head(&s->w, &head);
    const tensor *last = &s->tensor[s->n_tensor - 1];
    const uint64_t n = head.n + last->off + last->n_bytes;
    bool ok = n <= SIZE_MAX || solo_fail(s->err, SOLO_MEMORY, "%s: has %llu bytes, more than this system can address",
                                         s->desc->preset, (unsigned long long)n);
    ok = ok && put(s, NULL, (size_t)n) && put(s, head.at, head.n);
    free(head.at);
    uint8_t *piece = solo_alloc(PIECE_BYTES);
    steps *table = solo_alloc(sizeof *table);
    uint64_t at = 0;
    for (uint32_t i = 0; ok && i < s->n_tensor; i++) {
        const tensor *t = &s->tensor[i];
        ok = put(s, zeros, (size_t)(t->off - at)) && write_tensor(s, t, piece, table);
        at = t->off + t->n_bytes;
    }
    free(piece), free(table);
    return ok;
}

static bool has_recipe(const solo_type_info *info, solo_type type) {
    return info->n_block == 1 || recipe_of(type);
}

bool solo_synth_emit(const solo_synth_desc *desc, solo_synth_sink *sink, void *user, uint64_t *n_bytes,
                     solo_error *err) {
    synth s = {.desc = desc, .err = err, .sink = sink, .user = user};
    SOLO_ASSERT(desc->preset);
    if (!find_preset(desc->preset, &s.preset, err) ||
        !solo_type_find("type", desc->type ? desc->type : "q4_0", has_recipe, &s.type, err) ||
        !solo_type_find("output type", desc->output_type ? desc->output_type : "q8_0", has_recipe,
                        &s.output_type, err))
        return false;
    if (desc->n_ctx) s.preset.n_ctx = desc->n_ctx;
    if (desc->n_layer) s.preset.n_layer = desc->n_layer;
    if (desc->n_vocab) s.preset.n_vocab = desc->n_vocab;
    if (s.preset.n_layer > MAX_LAYER || s.preset.n_vocab < MIN_VOCAB)
        return solo_fail(err, SOLO_ARGUMENT, "synth: wanted at most %u layers and %u tokens or more, found %u and %u",
                         MAX_LAYER, MIN_VOCAB, s.preset.n_layer, s.preset.n_vocab);
    add_hparams(&s);
    add_tokenizer(&s.w, &s.preset);
    bool ok = add_tensors(&s) && write_bytes(&s);
    if (n_bytes) *n_bytes = s.done;
    solo_gguf_writer_free(&s.w);
    free(s.tensor);
    return ok;
}
