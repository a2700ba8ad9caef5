/* test_model.c: what a GGUF's keys and tensors mean: a tiny model is understood, and each way in
 * which a file can disagree with itself or go beyond Solo is refused by name. */
#include "model.h"
#include "tiny.h"

#include <math.h>
#include <setjmp.h>
#include <cmocka.h>

/* ---- helpers ------------------------------------------------------------------------------ */

static solo_model *open_tiny(const tiny_desc *desc, uint8_t **bytes) {
    uint64_t n;
    solo_model *model;
    solo_error err = {0};
    assert_true(tiny_gguf(desc, bytes, &n));
    if (!solo_model_open(
            &model, &(solo_model_desc){.bytes = *bytes, .n_bytes = n, .label = "tiny.gguf"}, &err))
        fail_msg("%s", err.text);
    return model;
}

static void assert_has(const solo_error *err, const char *part) {
    if (!strstr(err->text, part))
        fail_msg("wanted \"%s\" in the message, found: %s", part, err->text);
}

static void refused(solo_gguf_writer *w, solo_status status, const char *field, const char *wanted,
                    const char *found) {
    uint8_t *bytes;
    uint64_t n;
    solo_model *model;
    solo_error err = {0};
    solo_gguf_write_memory(w, &bytes, &n);
    if (solo_model_open(
            &model, &(solo_model_desc){.bytes = bytes, .n_bytes = n, .label = "label.gguf"}, &err))
        fail_msg("opened, wanted: %s %s", field, found);
    assert_null(model);
    assert_has(&err, "label.gguf: ");
    assert_has(&err, field);
    assert_has(&err, wanted);
    assert_has(&err, found);
    assert_int_equal(err.status, status);
    free(bytes);
}

static void put_u32(char *at, uint32_t v) {
    for (uint32_t i = 0; i < 4; i++) at[i] = (char)(uint8_t)(v >> 8 * i);
}

static uint64_t load_length(const char *at) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < 8; i++) n |= (uint64_t)(uint8_t)at[i] << 8 * i;
    return n;
}

/* The first byte after `name` in text, which holds names as length, bytes. */
static char *after(solo_text *text, const char *name) {
    const size_t n = strlen(name);
    for (size_t i = 8; i + n <= text->n; i++)
        if (memcmp(text->at + i, name, n) == 0 && load_length(text->at + i - 8) == n)
            return text->at + i + n;
    fail_msg("the tiny model has no %s", name);
    return NULL;
}

/* The tiny model with one u32 or f32 key's bits changed (and its kind kept). */
static solo_gguf_writer with_key(const char *key, uint32_t bits) {
    solo_gguf_writer w = {0};
    assert_true(tiny_model(&w, &(tiny_desc){0}));
    put_u32(after(&w.values, key) + 4, bits);
    return w;
}

/* The tiny model with a key or tensor renamed to one that nobody asks for, of the same length. */
static solo_gguf_writer without(const char *name) {
    solo_gguf_writer w = {0};
    assert_true(tiny_model(&w, &(tiny_desc){0}));
    bool key = strncmp(name, "llama.", 6) == 0 || strncmp(name, "general.", 8) == 0 ||
               strncmp(name, "tokenizer.", 10) == 0;
    memset(after(key ? &w.values : &w.tensors, name) - strlen(name), 'z', strlen(name));
    return w;
}

static solo_gguf_writer whole(const tiny_desc *desc) {
    solo_gguf_writer w = {0};
    assert_true(tiny_model(&w, desc));
    return w;
}

/* ---- what is right ------------------------------------------------------------------------ */

static void test_tiny_is_understood(void **state) {
    (void)state;
    uint8_t *bytes;
    solo_model *m = open_tiny(&(tiny_desc){0}, &bytes);
    solo_model_info info = solo_model_get_info(m);
    assert_string_equal(info.name, "tiny");
    assert_string_equal(info.arch, "llama");
    assert_string_equal(info.tokenizer, "gpt2/smollm");
    assert_string_equal(info.chat_family, "chatml");
    assert_string_equal(info.file_type,
                        "Q8_0"); /* the two vocabulary matrices outweigh the layers */
    assert_int_equal(info.n_layer, 2);
    assert_int_equal(info.n_embd, 64);
    assert_int_equal(info.n_head, 4);
    assert_int_equal(info.n_head_kv, 2);
    assert_int_equal(info.head_dim, 16);
    assert_int_equal(info.n_ff, 96);
    assert_int_equal(info.n_vocab, 320);
    assert_int_equal(info.n_ctx_train, 64);
    assert_int_equal(info.n_tensor, 2 * 9 + 3);
    assert_int_equal(info.n_param,
                     2 * (64 * 64 * 2 + 32 * 64 * 2 + 3 * 64 * 96 + 128) + 2 * 320 * 64 + 64);
    assert_true(info.rope_base == 10000.0f && info.norm_eps == 1e-5f && !info.tied);
    assert_int_equal(info.eos, info.bos + 1);
    assert_int_equal(m->hp.rope_pairs, SOLO_ROPE_NEIGHBOURS);
    assert_true(m->hp.attn_scale == 0.25f && m->hp.rope_scale == 1.0f && m->hp.rope_dim == 16);
    assert_string_equal(m->layer[1].down->name, "blk.1.ffn_down.weight");
    assert_string_equal(m->layer[0].k->name, "blk.0.attn_k.weight");
    assert_string_equal(m->output->name, "output.weight");
    assert_null(m->rope_factors);
    float gain[64], sum = 0.0f;
    solo_tensor_f32(m->output_norm, gain);
    for (uint32_t i = 0; i < 64; i++) sum += gain[i];
    assert_true(fabsf(sum / 64.0f - 1.0f) < 0.1f);
    solo_model_close(m);
    free(bytes);
    solo_model_close(NULL);
}

static void test_variants(void **state) {
    (void)state;
    uint8_t *bytes;
    solo_model *m = open_tiny(&(tiny_desc){.n_embd = 256,
                                           .n_ff = 512,
                                           .n_head = 16,
                                           .tied = true,
                                           .rope_factors = true,
                                           .type_qk = SOLO_TYPE_Q4_K,
                                           .type_v = SOLO_TYPE_Q6_K,
                                           .type_down = TINY_TYPE_F32,
                                           .use_alt = true,
                                           .alt_v = SOLO_TYPE_Q5_0,
                                           .alt_down = SOLO_TYPE_BF16},
                              &bytes);
    assert_ptr_equal(m->output, m->embd);
    assert_true(solo_model_get_info(m).tied);
    assert_non_null(m->rope_factors);
    assert_int_equal(m->layer[0].q->type, SOLO_TYPE_Q4_K);
    assert_int_equal(m->layer[0].v->type, SOLO_TYPE_Q6_K);
    assert_int_equal(m->layer[1].v->type, SOLO_TYPE_Q5_0);
    assert_int_equal(m->layer[0].down->type, SOLO_TYPE_F32);
    assert_int_equal(m->layer[1].down->type, SOLO_TYPE_BF16);
    assert_string_equal(solo_model_get_info(m).file_type, "F32");
    solo_model_close(m);
    free(bytes);

    uint64_t n;
    assert_false(tiny_gguf(&(tiny_desc){.type_qk = SOLO_TYPE_Q4_K}, &bytes, &n)); /* rows of 64 */
    assert_false(tiny_gguf(&(tiny_desc){.n_vocab = 299}, &bytes, &n));
}

static void test_phi3(void **state) {
    (void)state;
    uint8_t *bytes;
    solo_model *m = open_tiny(&(tiny_desc){.phi3 = true, .n_head = 4, .n_head_kv = 2, .rope_dim = 12,
                                           .attn_window = 7, .n_ctx_orig = 32, .attn_factor = 1.25f,
                                           .type_v = SOLO_TYPE_Q8_0, .type_up = SOLO_TYPE_Q4_0},
                              &bytes);
    solo_model_info info = solo_model_get_info(m);
    assert_string_equal(info.arch, "phi3");
    assert_string_equal(info.rope_factors, "by context");
    assert_int_equal(info.attn_window, 7);
    assert_int_equal(info.rope_dim, 12);
    assert_int_equal(info.n_ctx_orig, 32);
    assert_true(info.rope_attn_factor == 1.25f);
    assert_int_equal(m->hp.rope_pairs, SOLO_ROPE_HALVES);
    /* q, k and v are runs of rows of one tensor, gate and up of another */
    const solo_tensor *qkv = solo_gguf_tensor(m->gguf, "blk.1.attn_qkv.weight"),
                      *both = solo_gguf_tensor(m->gguf, "blk.1.ffn_up.weight");
    const solo_layer *l = &m->layer[1];
    const struct { const solo_tensor *view, *of; uint64_t rows, from; } rows[] = {
        {l->q, qkv, 64, 0}, {l->k, qkv, 32, 64}, {l->v, qkv, 32, 96},
        {l->gate, both, 96, 0}, {l->up, both, 96, 96}};
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        const uint64_t row_bytes = rows[i].of->n_bytes / rows[i].of->dim[1];
        assert_int_equal(rows[i].view->type, rows[i].of->type);
        assert_int_equal(rows[i].view->dim[0], 64);
        assert_int_equal(rows[i].view->dim[1], rows[i].rows);
        assert_int_equal(rows[i].view->n_bytes, rows[i].rows * row_bytes);
        assert_ptr_equal(rows[i].view->data, rows[i].of->data + rows[i].from * row_bytes);
    }
    assert_ptr_equal(l->out, solo_gguf_tensor(m->gguf, "blk.1.attn_output.weight"));
    for (uint32_t pos = 0; pos < 20; pos++)
        assert_int_equal(solo_first_attended(&m->hp, 0, pos), pos < 7 ? 0 : pos - 6);
    solo_model_close(m);
    free(bytes);
    m = open_tiny(&(tiny_desc){.phi3 = true}, &bytes);
    info = solo_model_get_info(m);
    assert_string_equal(info.rope_factors, "none");
    assert_true(info.attn_window == 0 && info.rope_attn_factor == 1.0f && info.n_ctx_orig == 64);
    assert_int_equal(solo_first_attended(&m->hp, 0, 1000), 0);
    solo_model_close(m);
    free(bytes);
}

/* The same seed gives the same bytes, another seed others. */
static void test_tiny_is_deterministic(void **state) {
    (void)state;
    uint8_t *a, *b, *c;
    uint64_t n, n_b, n_c;
    assert_true(tiny_gguf(&(tiny_desc){.seed = 1}, &a, &n) &&
                tiny_gguf(&(tiny_desc){.seed = 1}, &b, &n_b) &&
                tiny_gguf(&(tiny_desc){.seed = 2}, &c, &n_c));
    assert_true(n == n_b && n == n_c);
    assert_memory_equal(a, b, n);
    assert_true(memcmp(a, c, n) != 0);
    free(a);
    free(b);
    free(c);
}

static void test_defaults(void **state) {
    (void)state;
    static const char *const optional[] = {"llama.attention.key_length",
                                           "llama.attention.value_length",
                                           "llama.rope.dimension_count",
                                           "llama.rope.freq_base",
                                           "llama.vocab_size",
                                           "tokenizer.chat_template",
                                           "general.name"};
    for (uint32_t i = 0; i < SOLO_COUNT(optional); i++) {
        solo_gguf_writer w = without(optional[i]);
        uint8_t *bytes;
        uint64_t n;
        solo_model *m;
        solo_error err = {0};
        solo_gguf_write_memory(&w, &bytes, &n);
        if (!solo_model_open(
                &m, &(solo_model_desc){.bytes = bytes, .n_bytes = n, .label = "a/b.gguf"}, &err))
            fail_msg("without %s: %s", optional[i], err.text);
        assert_int_equal(m->hp.head_dim, 16);
        assert_int_equal(m->hp.rope_dim, 16);
        assert_int_equal(m->hp.n_vocab, 320);
        assert_true(m->hp.rope_base == 10000.0f);
        assert_string_equal(m->chat_family, i == 5 ? "none" : "chatml");
        assert_string_equal(m->name, i == 6 ? "b.gguf" : "tiny");
        solo_model_close(m);
        free(bytes);
    }
}

static void test_rope_table(void **state) {
    (void)state;
    enum { N_POS = 40, N_PAIR = 8 };
    static float table[N_POS][N_PAIR][2];
    for (uint32_t variant = 0; variant < 5; variant++) {
        solo_gguf_writer w = whole(&(tiny_desc){.rope_factors = variant == 1});
        if (variant == 2 || variant == 4) solo_gguf_put_f32(&w, "llama.rope.scaling.factor", 4.0f);
        if (variant == 4) solo_gguf_put_str(&w, "llama.rope.scaling.type", "none");
        if (variant == 3) solo_gguf_put_f32(&w, "llama.rope.scale_linear", 2.0f);
        if (variant == 3) solo_gguf_put_str(&w, "llama.rope.scaling.type", "linear");
        uint8_t *bytes;
        uint64_t n;
        solo_model *m;
        solo_gguf_write_memory(&w, &bytes, &n);
        assert_true(solo_model_open(&m, &(solo_model_desc){.bytes = bytes, .n_bytes = n}, NULL));
        solo_model_rope_table(m, N_POS, &table[0][0][0]);
        for (uint32_t pos = 0; pos < N_POS; pos++)
            for (uint32_t i = 0; i < N_PAIR; i++) {
                double scale = variant == 1   ? 1.0 + 7.0 * i / 8
                               : variant == 2 ? 4.0
                               : variant == 3 ? 2.0
                                              : 1.0;
                double angle = pos / (pow(10000.0, i / 8.0) * scale);
                assert_true(fabs((double)table[pos][i][0] - cos(angle)) < 1e-6);
                assert_true(fabs((double)table[pos][i][1] - sin(angle)) < 1e-6);
            }
        solo_model_close(m);
        free(bytes);
    }
}

/* Contexts up to the original one take the short factors, longer ones the long. */
static void test_rope_by_context(void **state) {
    (void)state;
    uint8_t *bytes;
    float table[33][8][2];
    solo_model *m = open_tiny(
        &(tiny_desc){.phi3 = true, .n_ctx_orig = 32, .attn_factor = 1.5f}, &bytes);
    for (uint32_t n_ctx = 32; n_ctx <= 33; n_ctx++) {
        solo_model_rope_table(m, n_ctx, &table[0][0][0]);
        for (uint32_t pos = 0; pos < n_ctx; pos++)
            for (uint32_t i = 0; i < 8; i++) {
                double factor = 1.0 + (n_ctx == 32 ? 0.5 : 7.0) * i / 8;
                double angle = pos / (pow(10000.0, i / 8.0) * factor);
                assert_true(fabs((double)table[pos][i][0] - 1.5 * cos(angle)) < 1e-6);
                assert_true(fabs((double)table[pos][i][1] - 1.5 * sin(angle)) < 1e-6);
            }
    }
    solo_model_close(m);
    free(bytes);
}

/* ---- what is refused ---------------------------------------------------------------------- */

static void test_argument(void **state) {
    (void)state;
    solo_model *m;
    solo_error err = {0};
    assert_false(solo_model_open(&m, &(solo_model_desc){0}, &err));
    assert_has(&err, "wanted one of path, bytes and read, and open with read only, found none");
    assert_int_equal(err.status, SOLO_ARGUMENT);
    assert_false(
        solo_model_open(&m, &(solo_model_desc){.path = "x", .bytes = (const uint8_t *)"x"}, &err));
    assert_has(&err, "found more");
    assert_false(solo_model_open(&m, &(solo_model_desc){.path = "/nonexistent/x.gguf"}, &err));
    assert_int_equal(err.status, SOLO_FILE_IO);
}

static void test_hparams_refused(void **state) {
    (void)state;
    static const struct {
        const char *key;
        uint32_t bits;
        solo_status status;
        const char *field, *wanted, *found;
    } rows[] = {
        {"llama.block_count", 0, SOLO_FILE_FORMAT, "key 'llama.block_count'", "wanted 1..1024",
         "found 0"},
        {"llama.block_count", 0xffffffff, SOLO_FILE_FORMAT, "key 'llama.block_count'",
         "wanted 1..1024", "found 4294967295"},
        {"llama.block_count", 3, SOLO_FILE_FORMAT, "tensor 'blk.2.attn_norm.weight'",
         "wanted one of 64 x 1", "found no such tensor"},
        {"llama.block_count", 1, SOLO_UNSUPPORTED, "tensor 'blk.1.attn_norm.weight'",
         "wanted layers 0..0", "found layer 1"},
        {"llama.embedding_length", 0x7fffffff, SOLO_FILE_FORMAT, "key 'llama.embedding_length'",
         "wanted 1..65536", "found 2147483647"},
        {"llama.embedding_length", 80, SOLO_UNSUPPORTED, "embedding_length",
         "wanted a multiple of 32", "found 80"},
        {"llama.embedding_length", 96, SOLO_FILE_FORMAT, "tensor 'token_embd.weight': its shape",
         "wanted 96 x 320", "found 64 x 320 x 1 x 1"},
        {"llama.feed_forward_length", 0, SOLO_FILE_FORMAT, "key 'llama.feed_forward_length'",
         "wanted 1..", "found 0"},
        {"llama.feed_forward_length", 100, SOLO_UNSUPPORTED, "feed_forward_length",
         "wanted a multiple of 32", "found 100"},
        {"llama.feed_forward_length", 128, SOLO_FILE_FORMAT,
         "tensor 'blk.0.ffn_gate.weight': its shape", "wanted 64 x 128", "found 64 x 96"},
        {"llama.attention.head_count", 5000, SOLO_FILE_FORMAT, "key 'llama.attention.head_count'",
         "wanted 1..1024", "found 5000"},
        {"llama.attention.head_count", 8, SOLO_FILE_FORMAT,
         "tensor 'blk.0.attn_q.weight': its shape", "wanted 64 x 128", "found 64 x 64"},
        {"llama.attention.head_count_kv", 3, SOLO_FILE_FORMAT,
         "key 'llama.attention.head_count_kv'", "wanted a divisor of the 4 heads", "found 3"},
        {"llama.attention.head_count_kv", 8, SOLO_FILE_FORMAT,
         "key 'llama.attention.head_count_kv'", "wanted 1..4", "found 8"},
        {"llama.attention.head_count_kv", 4, SOLO_FILE_FORMAT,
         "tensor 'blk.0.attn_k.weight': its shape", "wanted 64 x 64", "found 64 x 32"},
        {"llama.attention.value_length", 32, SOLO_UNSUPPORTED, "key 'llama.attention.value_length'",
         "wanted the key length, 16", "found 32"},
        {"llama.rope.dimension_count", 18, SOLO_FILE_FORMAT, "key 'llama.rope.dimension_count'",
         "wanted 2..16", "found 18"},
        {"llama.rope.dimension_count", 7, SOLO_UNSUPPORTED, "llama.rope.dimension_count",
         "wanted a multiple of 2", "found 7"},
        {"llama.rope.freq_base", 0, SOLO_FILE_FORMAT, "key 'llama.rope.freq_base'",
         "wanted at least 1", "found 0"},
        {"llama.attention.layer_norm_rms_epsilon", 0, SOLO_FILE_FORMAT, "rms_epsilon'",
         "wanted above 0", "found 0"},
        {"llama.context_length", 0, SOLO_FILE_FORMAT, "key 'llama.context_length'", "wanted 1..",
         "found 0"},
        {"llama.vocab_size", 321, SOLO_FILE_FORMAT, "key 'llama.vocab_size'",
         "wanted the tokenizer's 320 tokens", "found 321"},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        solo_gguf_writer w = with_key(rows[i].key, rows[i].bits);
        refused(&w, rows[i].status, rows[i].field, rows[i].wanted, rows[i].found);
    }
    static const char *const required[] = {
        "llama.block_count",          "llama.embedding_length",
        "llama.attention.head_count", "llama.feed_forward_length",
        "llama.context_length",       "llama.attention.layer_norm_rms_epsilon",
        "general.architecture"};
    for (uint32_t i = 0; i < SOLO_COUNT(required); i++) {
        solo_gguf_writer w = without(required[i]);
        refused(&w, SOLO_FILE_FORMAT, required[i], "wanted", "found no such key");
    }
}

static void test_beyond_solo(void **state) {
    (void)state;
    solo_gguf_writer w = {0};
    solo_gguf_put_str(&w, "general.architecture", "mamba");
    refused(&w, SOLO_UNSUPPORTED, "key 'general.architecture'", "wanted one of (llama",
            "found \"mamba\"");
    w = whole(&(tiny_desc){0});
    solo_gguf_put_u32(&w, "llama.expert_count", 8);
    refused(&w, SOLO_UNSUPPORTED, "key 'llama.expert_count'", "wanted 0", "found 8");
    w = whole(&(tiny_desc){0});
    solo_gguf_put_bool(&w, "llama.attention.causal", false);
    refused(&w, SOLO_UNSUPPORTED, "key 'llama.attention.causal'", "wanted true", "found false");
    w = whole(&(tiny_desc){0});
    solo_gguf_put_str(&w, "llama.rope.scaling.type", "dynamic");
    refused(&w, SOLO_UNSUPPORTED, "key 'llama.rope.scaling.type'", "wanted \"none\", \"linear\" or \"yarn\"",
            "found \"dynamic\"");
    static const struct {
        const char *key;
        float       value;
    } yarn[] = {{"yarn_ext_factor", 2.0f},  {"yarn_ext_factor", 0.0f},  {"yarn_beta_slow", 0.0f},
                {"yarn_beta_fast", 0.5f},   {"yarn_attn_factor", 0.0f}, {"yarn_log_multiplier", 0.1f}};
    for (uint32_t i = 0; i < SOLO_COUNT(yarn); i++) {
        char key[80];
        snprintf(key, sizeof key, "llama.rope.scaling.%s", yarn[i].key);
        w = whole(&(tiny_desc){.rope_scale = 4.0f});
        solo_gguf_put_str(&w, "llama.rope.scaling.type", "yarn");
        solo_gguf_put_f32(&w, key, yarn[i].value);
        refused(&w, SOLO_UNSUPPORTED, "keys 'llama.rope.scaling.yarn...'", "wanted yarn_ext_factor", "found others");
    }
    w = whole(&(tiny_desc){0});
    solo_gguf_put_f32(&w, "llama.rope.scaling.factor", -2.0f);
    refused(&w, SOLO_FILE_FORMAT, "key 'llama.rope.scaling.factor'", "wanted a factor above 0",
            "found -2");
}

static void test_tensors_refused(void **state) {
    (void)state;
    static const float zeros[64] = {0};
    static const char *const required[] = {"token_embd.weight",      "output_norm.weight",
                                           "blk.0.attn_norm.weight", "blk.1.attn_v.weight",
                                           "blk.1.ffn_up.weight",    "blk.0.attn_output.weight"};
    for (uint32_t i = 0; i < SOLO_COUNT(required); i++) {
        solo_gguf_writer w = without(required[i]);
        refused(&w, SOLO_FILE_FORMAT, required[i], "wanted one of ", "found no such tensor");
    }
    solo_gguf_writer w = whole(&(tiny_desc){0});
    solo_gguf_put_tensor_f32(&w, "blk.0.ffn_norm.bias", SOLO_TYPE_F32, 64, 0, zeros);
    refused(&w, SOLO_UNSUPPORTED, "tensor 'blk.0.ffn_norm.bias' (a bias)", "wanted only the tensors",
            "found one more");
    for (uint32_t layer = 0; layer < 2; layer++) {
        char name[40], found[40];
        snprintf(name, sizeof name, "blk.%u.attn_output.bias", layer);
        snprintf(found, sizeof found, "found it in layer %u", layer);
        w = whole(&(tiny_desc){0});
        solo_gguf_put_tensor_f32(&w, name, SOLO_TYPE_F32, 64, 0, zeros);
        refused(&w, SOLO_UNSUPPORTED, "tensor 'blk.N.attn_output.bias'", "wanted it in all layers or in none", found);
    }
    w = whole(&(tiny_desc){.n_layer = 1});
    solo_gguf_put_tensor_f32(&w, "blk.0.attn_q.bias", SOLO_TYPE_F32, 64, 0, zeros);
    refused(&w, SOLO_UNSUPPORTED, "'blk.N.attn_q.bias', attn_k, attn_v", "wanted all or none", "found some");
    w = whole(&(tiny_desc){0});
    solo_gguf_put_tensor_f32(&w, "blk.1.attn_q_norm.weight", SOLO_TYPE_F32, 64, 0, zeros);
    refused(&w, SOLO_UNSUPPORTED, "tensor 'blk.1.attn_q_norm.weight'", "wanted only the tensors",
            "found one more");
    w = whole(&(tiny_desc){0});
    solo_gguf_put_tensor_f32(&w, "rope_freqs.weight", SOLO_TYPE_F32, 8, 0, zeros);
    refused(&w, SOLO_FILE_FORMAT, "tensor 'rope_freqs.weight': item 0",
            "wanted a finite factor above 0", "found 0");
    w = whole(&(tiny_desc){0});
    solo_gguf_put_tensor_f32(&w, "rope_freqs.weight", SOLO_TYPE_F16, 8, 0, zeros);
    refused(&w, SOLO_UNSUPPORTED, "tensor 'rope_freqs.weight': its type", "wanted F32",
            "found F16");

    /* The type field lies after two dims (or one) in an entry. */
    w = whole(&(tiny_desc){0});
    put_u32(after(&w.tensors, "blk.0.attn_q.weight") + 4 + 16,
            23); /* IQ4_XS: rows of 64 do not fit */
    refused(&w, SOLO_FILE_FORMAT, "tensor 'blk.0.attn_q.weight': its row length",
            "multiple of 256 for IQ4_XS", "found 64");
    w = whole(&(tiny_desc){.type_qk = TINY_TYPE_F32});
    put_u32(after(&w.tensors, "blk.0.attn_q.weight") + 4 + 16, 9); /* Q8_1 is smaller than F32 */
    refused(&w, SOLO_UNSUPPORTED, "tensor 'blk.0.attn_q.weight': its type",
            "wanted one that Solo multiplies by", "found Q8_1");
    w = whole(&(tiny_desc){0});
    put_u32(after(&w.tensors, "blk.0.attn_norm.weight") + 4 + 8, SOLO_TYPE_Q8_0);
    refused(&w, SOLO_UNSUPPORTED, "tensor 'blk.0.attn_norm.weight': its type",
            "wanted F32, F16 or BF16", "found Q8_0");

    w = whole(&(tiny_desc){0});
    solo_gguf_put_tensor_f32(&w, "some.extra.weight", SOLO_TYPE_F32, 64, 0,
                    zeros); /* outside the layers: ignored */
    uint8_t *bytes;
    uint64_t n;
    solo_model *m;
    solo_gguf_write_memory(&w, &bytes, &n);
    assert_true(solo_model_open(&m, &(solo_model_desc){.bytes = bytes, .n_bytes = n}, NULL));
    solo_model_close(m);
    free(bytes);
}

/* A fused tensor's row count, in the directory: behind the number of dims and the row length. */
static solo_gguf_writer with_rows(const char *name, uint32_t rows) {
    solo_gguf_writer w = whole(&(tiny_desc){.phi3 = true});
    put_u32(after(&w.tensors, name) + 4 + 8, rows);
    return w;
}

static void test_phi3_refused(void **state) {
    (void)state;
    static const float ones[64] = {1, 1, 1, 1, 1, 1, 1, 1};
    const tiny_desc d = {.phi3 = true};
    solo_gguf_writer w = with_rows("blk.1.attn_qkv.weight", 64); /* q alone */
    refused(&w, SOLO_FILE_FORMAT, "tensor 'blk.1.attn_qkv.weight': its shape", "wanted 64 x 128",
            "found 64 x 64");
    w = with_rows("blk.0.ffn_up.weight", 96); /* up alone */
    refused(&w, SOLO_FILE_FORMAT, "tensor 'blk.0.ffn_up.weight': its shape", "wanted 64 x 192",
            "found 64 x 96");
    w = with_rows("blk.1.ffn_up.weight", 0xffffffff);
    refused(&w, SOLO_FILE_FORMAT, "tensor 'blk.1.ffn_up.weight'", "wanted", "found");
    w = whole(&d);
    memset(after(&w.tensors, "blk.0.attn_qkv.weight") - 21, 'z', 21);
    refused(&w, SOLO_FILE_FORMAT, "tensor 'blk.0.attn_qkv.weight'", "wanted one of 64 x 128",
            "found no such tensor");
    w = whole(&d);
    solo_gguf_put_tensor_f32(&w, "blk.0.attn_qkv.bias", SOLO_TYPE_F32, 64, 0, ones);
    refused(&w, SOLO_UNSUPPORTED, "tensor 'blk.0.attn_qkv.bias' (a bias)", "wanted only",
            "Solo's phi3 layer has");
    w = whole(&d);
    solo_gguf_put_tensor_f32(&w, "rope_factors_long.weight", SOLO_TYPE_F32, 8, 0, ones);
    refused(&w, SOLO_FILE_FORMAT, "'rope_factors_short.weight' or neither", "wanted both",
            "found only 'rope_factors_long.weight'");
    w = whole(&d);
    solo_gguf_put_tensor_f32(&w, "rope_factors_long.weight", SOLO_TYPE_F32, 8, 0, ones);
    solo_gguf_put_tensor_f32(&w, "rope_factors_short.weight", SOLO_TYPE_F32, 4, 0, ones);
    refused(&w, SOLO_FILE_FORMAT, "tensor 'rope_factors_short.weight': its shape", "wanted 8 x 1",
            "found 4 x 1");
    w = whole(&d);
    solo_gguf_put_tensor_f32(&w, "rope_factors_long.weight", SOLO_TYPE_F32, 8, 0, ones);
    solo_gguf_put_tensor_f32(&w, "rope_factors_short.weight", SOLO_TYPE_F32, 8, 0, ones + 1);
    refused(&w, SOLO_FILE_FORMAT, "tensor 'rope_factors_short.weight': item 7",
            "wanted a finite factor above 0", "found 0");
    w = whole(&d);
    solo_gguf_put_f32(&w, "phi3.rope.scaling.attn_factor", 0.0f);
    refused(&w, SOLO_FILE_FORMAT, "key 'phi3.rope.scaling.attn_factor'", "wanted a finite factor",
            "found 0");
    w = whole(&d);
    solo_gguf_put_u32(&w, "phi3.rope.scaling.original_context_length", 0);
    refused(&w, SOLO_FILE_FORMAT, "key 'phi3.rope.scaling.original_context_length'", "wanted 1..",
            "found 0");
    w = whole(&d);
    solo_gguf_put_str(&w, "phi3.rope.scaling.type", "yarn");
    refused(&w, SOLO_UNSUPPORTED, "key 'phi3.rope.scaling.type'",
            "wanted \"none\", \"linear\" or \"longrope\"", "found \"yarn\"");
    w = whole(&d);
    solo_gguf_put_f32(&w, "phi3.attention.sliding_window", 16.0f);
    refused(&w, SOLO_FILE_FORMAT, "key 'phi3.attention.sliding_window'", "wanted an", "found f32");
}

static void test_tokenizer_refused(void **state) {
    (void)state;
    solo_gguf_writer w = without("tokenizer.ggml.tokens"); /* said by gguf.c */
    refused(&w, SOLO_FILE_FORMAT, "key 'tokenizer.ggml.tokens'", "wanted an array of strings",
            "found no such key");
    w = with_key("tokenizer.ggml.eos_token_id", 320); /* said by tokenizer.c */
    refused(&w, SOLO_FILE_FORMAT, "tokenizer.ggml.eos_token_id", "wanted an id below 320",
            "found 320");
}

/* ---- hostile ------------------------------------------------------------------------------ */

/* Every prefix of the head and some of the data; each byte of the head wrong in two ways. */
static void hostile(const tiny_desc *desc) {
    uint8_t *bytes;
    uint64_t n, n_opened = 0;
    solo_model *m;
    solo_error err;
    assert_true(tiny_gguf(desc, &bytes, &n));
    uint64_t n_head = 0;
    while (memcmp(bytes + n_head, "\x5a\x5a", 2) != 0) n_head++; /* the padding before the data */
    for (uint64_t length = 0; length < n; length += length < n_head ? 7 : 997) {
        uint8_t *prefix = malloc(length ? (size_t)length : 1);
        memcpy(prefix, bytes, (size_t)length);
        err = (solo_error){0};
        assert_false(
            solo_model_open(&m, &(solo_model_desc){.bytes = prefix, .n_bytes = length}, &err));
        assert_true(err.status != SOLO_OK && err.text[0]);
        free(prefix);
    }
    for (uint64_t at = 0; at < n_head; at++) {
        const uint8_t right = bytes[at];
        for (uint32_t i = 0; i < 2; i++) {
            bytes[at] =
                (uint8_t)(i ? tiny_random_bits(3, at) : right ^ 1u << tiny_random_bits(4, at) % 8);
            err = (solo_error){0};
            if (solo_model_open(&m, &(solo_model_desc){.bytes = bytes, .n_bytes = n}, &err)) {
                solo_model_close(m);
                n_opened++;
            } else {
                assert_true(err.status != SOLO_OK && err.text[0]);
            }
        }
        bytes[at] = right;
    }
    print_message("%llu of %llu corrupt files opened\n", (unsigned long long)n_opened,
                  (unsigned long long)(2 * n_head));
    free(bytes);
}

static void test_hostile_models(void **state) {
    (void)state;
    hostile(&(tiny_desc){.n_vocab = 300, .n_layer = 1});
    hostile(&(tiny_desc){.n_vocab = 300, .n_layer = 1, .phi3 = true, .n_ctx_orig = 16,
                         .attn_factor = 1.1f, .attn_window = 5});
}

/* What each row of the table of architectures says, as far as no logits show it. */
static void test_architectures(void **state) {
    (void)state;
    uint8_t *bytes;
    solo_model *m = open_tiny(&(tiny_desc){.arch = "gemma3", .n_layer = 7, .attn_window = 5}, &bytes);
    const solo_hparams *hp = &m->hp;
    assert_true(hp->n_rope == 2 && hp->rope_base_local == 10000.0f && hp->embd_scale == 8.0f);
    assert_true(hp->has_head_norm && hp->has_post_norm && hp->act == SOLO_ACT_GELU && !hp->ungated);
    for (uint32_t l = 0; l < 7; l++) { /* of six layers the last is global */
        assert_int_equal(solo_is_global(hp, l), l == 5);
        assert_int_equal(solo_first_attended(hp, l, 20), l == 5 ? 0 : 16);
    }
    solo_model_close(m);
    free(bytes);
    m = open_tiny(&(tiny_desc){.arch = "gemma2", .attn_window = 5}, &bytes);
    assert_true(m->hp.score_cap == 50.0f && m->hp.logit_cap == 30.0f && m->hp.n_rope == 1);
    assert_true(!solo_is_global(&m->hp, 0) && solo_is_global(&m->hp, 1) && !m->hp.has_head_norm);
    solo_model_close(m);
    free(bytes);
    m = open_tiny(&(tiny_desc){.arch = "gpt2"}, &bytes);
    assert_true(m->hp.norm == SOLO_NORM_LAYER && m->hp.ungated && m->hp.rope_dim == 0 && m->positions);
    assert_null(m->layer[0].up);
    assert_int_equal(m->layer[0].k_bias->dim[0], 64);
    assert_ptr_equal(m->layer[0].k_bias->data,
                     solo_gguf_tensor(m->gguf, "blk.0.attn_qkv.bias")->data + 64 * sizeof(float));
    solo_model_close(m);
    free(bytes);
}

static void test_architectures_refused(void **state) {
    (void)state;
    solo_gguf_writer w = {0};
    assert_true(tiny_model(&w, &(tiny_desc){.arch = "gemma2", .attn_window = 5}));
    solo_gguf_put_f32(&w, "gemma2.attn_logit_softcapping", -1.0f);
    refused(&w, SOLO_FILE_FORMAT, "key 'gemma2.attn_logit_softcapping'", "wanted a finite number, 0 or above",
            "found -1");
    w = (solo_gguf_writer){0};
    assert_true(tiny_model(&w, &(tiny_desc){.arch = "gemma3", .attn_window = 5}));
    solo_gguf_put_u32(&w, "gemma3.attention.sliding_window_pattern", 0);
    refused(&w, SOLO_FILE_FORMAT, "key 'gemma3.attention.sliding_window_pattern'", "wanted 1..1024", "found 0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_is_understood),    cmocka_unit_test(test_variants),
        cmocka_unit_test(test_tiny_is_deterministic), cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_rope_table),            cmocka_unit_test(test_argument),
        cmocka_unit_test(test_phi3),                  cmocka_unit_test(test_rope_by_context),
        cmocka_unit_test(test_phi3_refused),
        cmocka_unit_test(test_hparams_refused),       cmocka_unit_test(test_beyond_solo),
        cmocka_unit_test(test_tensors_refused),       cmocka_unit_test(test_tokenizer_refused),
        cmocka_unit_test(test_architectures),         cmocka_unit_test(test_architectures_refused),
        cmocka_unit_test(test_hostile_models),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
