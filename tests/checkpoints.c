/* checkpoints.c: see checkpoints.h. Shapes and seed are those of tools/checkpoint_vectors.py. */
#include "checkpoints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* What Llama 3's scaling makes of 8 frequencies for a context of 64: as transformers computes them. */
static const float llama3_factors[] = {1.0f, 1.29397595f, 7.6673851f, 8.0f, 8.0f, 8.0f, 8.0f, 8.0f};

#define F32 TINY_TYPE_F32
#define EXACT .seed = 77, .type_qk = F32, .type_v = F32, .type_out = F32, .type_gate = F32, \
              .type_up = F32, .type_down = F32, .type_embd = F32, .type_output = F32

const checkpoint checkpoints[] = {
    {"llama3", {EXACT, .rope_freqs = llama3_factors}, true},
    {"mistral", {EXACT, .attn_window = 7}, true},
    {"biases", {EXACT, .biases = true}, false},
    {"yarn", {EXACT, .arch = "qwen2", .rope_scale = 2.0f, .yarn_ctx = 32, .yarn_fast = 1.6f, .yarn_slow = 0.08f}, true},
    {"phi3", {EXACT, .arch = "phi3", .n_ctx_orig = 2, .attn_factor = 1.25f}, true},
    {"qwen2", {EXACT, .arch = "qwen2"}, true}, /* biases has its own */
    {"qwen3", {EXACT, .arch = "qwen3", .head_dim = 24}, false},
    {"gpt2", {EXACT, .arch = "gpt2"}, false},
    {"gemma2", {EXACT, .arch = "gemma2", .n_layer = 3, .tied = true, .attn_window = 7}, false},
    {"gemma3", {EXACT, .arch = "gemma3", .n_layer = 3, .head_dim = 24, .tied = true, .attn_window = 7,
                .global_every = 2, .rope_base = 1e6f, .rope_scale = 8.0f}, false},
};
const uint32_t n_checkpoint = SOLO_COUNT(checkpoints);

bool checkpoint_open(const checkpoint *c, solo_model **model, uint8_t **bytes, solo_vectors **vectors,
                     solo_error *err) {
    char path[512];
    const char *source = getenv("SOLO_SOURCE");
    uint64_t n;
    snprintf(path, sizeof path, "%s/tests/vectors/arch_%s.txt", source && source[0] ? source : ".", c->name);
    if (!tiny_gguf(&c->model, bytes, &n))
        return solo_fail(err, SOLO_ARGUMENT, "%s: no such tiny model", c->name);
    return solo_model_open(model, &(solo_model_desc){.bytes = *bytes, .n_bytes = n, .label = c->name}, err) &&
           solo_vectors_open(vectors, path, err);
}

void checkpoint_expect_logits(const checkpoint *c, const solo_vectors_prompt *p, const float *logits,
                              uint32_t n_vocab) {
    uint32_t id;
    double off = solo_vectors_logits_off(p, logits, &id);
    double stats = solo_vectors_stats_off(p, logits, n_vocab);
    if (getenv("SOLO_TEST_PRINT"))
        print_message("%s, %s: logits off by %.2g, mean and rms by %.2g\n", c->name, p->name, off, stats);
    if (!(off <= CHECKPOINT_LOGIT_OFF)) fail_msg("%s, %s: logit of id %u is off by %g", c->name, p->name, id, off);
    if (!(stats <= CHECKPOINT_LOGIT_OFF)) fail_msg("%s, %s: mean or rms is off by %g", c->name, p->name, stats);
}

bool checkpoint_expect_greedy(const checkpoint *c, const solo_vectors_prompt *p, uint32_t i, uint32_t id) {
    assert_true(i < p->n_greedy);
    if (id == p->greedy[i]) return true;
    if (p->margins[i] > CHECKPOINT_MARGIN)
        fail_msg("%s, %s: greedy id %u: wanted %u (margin %.4f), found %u", c->name, p->name, i, p->greedy[i],
                 p->margins[i], id);
    return false;
}
