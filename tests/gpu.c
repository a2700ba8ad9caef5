/* gpu.c: see gpu.h. */
#include "gpu.h"

solo_device *gpu_device;
solo_error   gpu_err;

/* ---- shapes --------------------------------------------------------------------------------- */

const tiny_desc gpu_tiny = {.n_head = 8, .n_head_kv = 4, .n_ctx = 96, .n_vocab = 333, .seed = 1};

/* Seven types at once, vocabulary, rows and inputs that no tile divides, GQA 2. */
const tiny_desc gpu_many_types = {
    .n_embd = 96, .n_head = 4, .n_head_kv = 2, .head_dim = 24, .n_ff = 224, .n_vocab = 333,
    .seed = 21,
    .type_qk = SOLO_TYPE_Q4_0, .type_v = SOLO_TYPE_Q5_0, .type_out = SOLO_TYPE_F16,
    .type_gate = SOLO_TYPE_Q8_0, .type_up = SOLO_TYPE_BF16, .type_down = SOLO_TYPE_Q4_1,
    .type_embd = TINY_TYPE_F32, .type_output = SOLO_TYPE_Q4_1};

/* The same types in other roles, no GQA, heads of 8, frequencies with factors. */
const tiny_desc gpu_other_roles = {
    .n_embd = 160, .n_head = 8, .n_head_kv = 8, .head_dim = 8, .n_ff = 96, .n_vocab = 301,
    .seed = 22, .rope_factors = true,
    .type_qk = SOLO_TYPE_BF16, .type_v = SOLO_TYPE_Q8_0, .type_out = SOLO_TYPE_Q4_0,
    .type_gate = TINY_TYPE_F32, .type_up = SOLO_TYPE_Q4_1, .type_down = SOLO_TYPE_F16,
    .type_embd = SOLO_TYPE_Q4_0, .type_output = SOLO_TYPE_BF16};

/* K-quants, mixed across three layers as files mix them, tied, GQA 4, heads of 64. */
const tiny_desc gpu_k_quants = {
    .n_layer = 3, .n_embd = 256, .n_head = 4, .n_head_kv = 1, .head_dim = 64, .n_ff = 256,
    .seed = 23, .tied = true, .use_alt = true, .type_qk = SOLO_TYPE_Q4_K, .type_v = SOLO_TYPE_Q6_K,
    .alt_v = SOLO_TYPE_Q4_K, .type_out = SOLO_TYPE_Q6_K, .type_gate = SOLO_TYPE_Q4_K,
    .type_up = SOLO_TYPE_Q6_K, .type_down = SOLO_TYPE_Q4_K, .alt_down = SOLO_TYPE_Q6_K,
    .type_embd = SOLO_TYPE_Q6_K};

/* The types that those leave out, whose forms are five bits, or scales and minima of 16 weights; the others' go
 * by way of larger forms. */
const tiny_desc gpu_more_quants = {
    .n_layer = 2, .n_embd = 256, .n_head = 4, .n_head_kv = 2, .head_dim = 64, .n_ff = 256, .n_vocab = 311,
    .seed = 28, .use_alt = true, .type_qk = SOLO_TYPE_Q5_K, .type_v = SOLO_TYPE_Q2_K,
    .alt_v = SOLO_TYPE_IQ4_XS, .type_out = SOLO_TYPE_Q3_K, .type_gate = SOLO_TYPE_Q5_1,
    .type_up = SOLO_TYPE_IQ4_NL, .type_down = SOLO_TYPE_MXFP4, .alt_down = SOLO_TYPE_Q5_K,
    .type_embd = SOLO_TYPE_Q3_K, .type_output = SOLO_TYPE_Q2_K};

/* Forms of unlike sizes mixed across layers: the directory, scales in halves and in words. */
const tiny_desc gpu_mixed = {
    .n_layer = 4, .n_ff = 160, .seed = 24, .use_alt = true,
    .type_v = SOLO_TYPE_Q4_0, .alt_v = SOLO_TYPE_F16,
    .type_down = SOLO_TYPE_Q8_0, .alt_down = SOLO_TYPE_Q4_1, .type_embd = SOLO_TYPE_BF16,
    .type_output = TINY_TYPE_F32};

/* Biases on every matrix of a layer. */
const tiny_desc gpu_qwen2 = {.arch = "qwen2", .n_head = 8, .n_head_kv = 4, .n_ctx = 96, .n_vocab = 333,
                             .seed = 31, .type_v = SOLO_TYPE_Q8_0, .biases = true};

/* Norms of heads, whose length is not that of the embedding divided by their number. */
const tiny_desc gpu_qwen3 = {.arch = "qwen3", .n_head = 6, .n_head_kv = 3, .head_dim = 32, .n_ctx = 96,
                             .n_vocab = 333, .seed = 32, .type_qk = SOLO_TYPE_Q4_0};

/* Norms with a mean, biases everywhere, no up, no RoPE but positions, a tied output. */
const tiny_desc gpu_gpt2 = {.arch = "gpt2", .n_head = 4, .n_ctx = 96, .n_vocab = 333, .seed = 33, .tied = true,
                            .type_up = SOLO_TYPE_Q8_0};

/* Caps on scores and logits, norms behind projections, a window in every other layer. */
const tiny_desc gpu_gemma2 = {.arch = "gemma2", .n_layer = 3, .n_head = 8, .n_head_kv = 4, .n_ctx = 96, .n_vocab = 333,
                              .seed = 34, .tied = true, .attn_window = 5};

/* The same with norms of heads and two tables of RoPE in place of caps. */
const tiny_desc gpu_gemma3 = {.arch = "gemma3", .n_layer = 3, .n_head = 4, .n_head_kv = 4, .head_dim = 32, .n_ctx = 96,
                              .n_vocab = 333, .seed = 35, .tied = true, .attn_window = 3, .global_every = 2,
                              .rope_base = 300.0f, .type_qk = SOLO_TYPE_Q5_0};

/* ---- the device, models, plans -------------------------------------------------------------- */

void gpu_ok(bool ok, const char *file, int line) {
    if (!ok) {
        print_error("%s:%d: %s\n", file, line, gpu_err.text);
        fail();
    }
}

/* The adapter that ctest asked for must be the one found: another would be tested twice. */
static bool is_asked_for(const char *name) {
    const char *asked = getenv("SOLO_TEST_ADAPTER");
    if (!asked) return true;
    if (!strcmp(asked, "lavapipe")) return strstr(name, "llvmpipe") != NULL;
    if (!strcmp(asked, "swiftshader")) return strstr(name, "SwiftShader") != NULL;
    return true;
}

int gpu_open(void **state) {
    (void)state;
    if (!solo_device_open(&gpu_device, &(solo_device_desc){0}, &gpu_err)) {
        printf("UNRUN: %s\n", gpu_err.text);
        fflush(stdout);
        exit(77);
    }
    solo_device_info info = solo_device_get_info(gpu_device);
    printf("adapter: %s%s\n", info.name, info.is_software ? " (software)" : "");
    fflush(stdout);
    if (is_asked_for(info.name)) return 0;
    printf("wanted the adapter %s\n", getenv("SOLO_TEST_ADAPTER"));
    return 1;
}

int gpu_close(void **state) {
    (void)state;
    solo_device_close(gpu_device);
    return 0;
}

bool gpu_compiles_slowly(void) {
    return strstr(solo_device_info_of(gpu_device)->name, "llvmpipe") != NULL;
}

gpu_bed gpu_model_open(const tiny_desc *desc) {
    gpu_bed bed = {0};
    uint64_t n;
    assert_true(tiny_gguf(desc, &bed.bytes, &n));
    solo_model_desc file = {.bytes = bed.bytes, .n_bytes = n};
    GPU_OK(solo_model_open(&bed.model, &file, &gpu_err));
    return bed;
}

void gpu_weights_open(gpu_bed *bed, uint64_t max_binding_bytes) {
    solo_weights_desc desc = {
        .model = bed->model, .device = gpu_device, .max_binding_bytes = max_binding_bytes};
    GPU_OK(solo_weights_open(&bed->weights, &desc, &gpu_err));
}

gpu_bed gpu_bed_open(const tiny_desc *desc, uint64_t max_binding_bytes) {
    gpu_bed bed = gpu_model_open(desc);
    gpu_weights_open(&bed, max_binding_bytes);
    return bed;
}

void gpu_bed_close(gpu_bed *bed) {
    solo_weights_close(bed->weights);
    solo_model_close(bed->model);
    free(bed->bytes);
    *bed = (gpu_bed){0};
}

solo_plan *gpu_plan_open(const gpu_bed *bed, solo_plan_desc desc) {
    solo_plan *plan;
    desc.weights = bed->weights;
    GPU_OK(solo_plan_open(&plan, &desc, &gpu_err));
    return plan;
}

static bool all_in_chunks(const solo_geometry *g) {
    for (uint32_t i = 0; i < SOLO_ROLE_COUNT; i++) {
        if (g->role[i].n_chunk < 2) return false;
    }
    return true;
}

solo_plan_desc gpu_one_geometry(solo_plan_desc desc) {
    if (!desc.workgroup_size) desc.workgroup_size = 32;
    if (!desc.max_team) desc.max_team = 1;
    if (!desc.queue) desc.queue = SOLO_QUEUE_NONE;
    if (!desc.n_slice) desc.n_slice = 16;
    return desc;
}

solo_plan *gpu_plan_open_chunked(const gpu_bed *bed, solo_plan_desc desc) {
    desc = gpu_one_geometry(desc);
    solo_geometry g;
    solo_geometry_desc d = {
        .hp = &bed->model->hp, .activations = desc.activations, .kv_type = SOLO_KV_F32,
        .n_ctx = bed->model->hp.n_ctx_train, .workgroup_size = desc.workgroup_size,
        .n_workgroup = desc.n_slice, .max_team = desc.max_team, .max_workgroup_bytes = 32768};
    while (!solo_geometry_make(&d, &g, NULL) || !all_in_chunks(&g)) {
        d.max_workgroup_bytes -= 256;
        if (d.max_workgroup_bytes == 0) fail_msg("no limit makes every matrix chunked");
    }
    /* The tests own the device; the plan reads its limits once, while it opens. */
    solo_device_info *info = (solo_device_info *)(uintptr_t)solo_device_info_of(gpu_device);
    uint32_t granted = info->max_workgroup_bytes;
    info->max_workgroup_bytes = d.max_workgroup_bytes;
    solo_plan *plan = gpu_plan_open(bed, desc);
    info->max_workgroup_bytes = granted;
    assert_true(all_in_chunks(&plan->geometry));
    return plan;
}

solo_session *gpu_session_open(solo_plan *plan, solo_sampling sampling, uint32_t n_in_flight) {
    solo_session *session;
    solo_session_desc desc = {.plan = plan, .sampling = sampling, .n_in_flight = n_in_flight};
    GPU_OK(solo_session_open(&session, &desc, &gpu_err));
    return session;
}

/* ---- words and numbers ---------------------------------------------------------------------- */

void gpu_fill(solo_buffer buffer, uint64_t from_byte) {
    uint32_t *words = solo_alloc((size_t)buffer.n_bytes);
    for (uint64_t i = 0; i < buffer.n_bytes / 4; i++) words[i] = GPU_SENTINEL;
    solo_device_write(gpu_device, buffer, from_byte, words, buffer.n_bytes - from_byte);
    free(words);
}

uint32_t *gpu_read_all(solo_buffer buffer) {
    uint32_t *words = solo_alloc((size_t)buffer.n_bytes);
    GPU_OK(solo_device_read(gpu_device, buffer, 0, words, buffer.n_bytes, &gpu_err));
    return words;
}

float gpu_f32_of(uint32_t word) {
    float f;
    memcpy(&f, &word, 4);
    return f;
}

/* kv_int8.wgsl's rows, as its head describes them: a span's whole vec4 by turns with those of the three others, then
 * its further words and its scale, each in a vec4 of all four. */
static float int8_number(const solo_geometry *g, const uint32_t *words, uint32_t i) {
    const uint32_t *row = words + i / g->desc.hp->head_dim * g->kv_row;
    uint32_t span = i % g->desc.hp->head_dim / g->kv_span, d = i % g->kv_span, n_word = g->kv_span / 4, w = d / 4;
    uint32_t at = w < n_word / 4 * 4 ? (w / 4 * 4 + span) * 4 + w % 4 : w * 4 + span;
    return (float)(int8_t)(uint8_t)(row[at] >> 8 * (d % 4)) * gpu_f32_of(row[n_word * 4 + span]);
}

float gpu_kv_number(const solo_plan *plan, const uint32_t *words, uint32_t i) {
    if (plan->desc.kv_type == SOLO_KV_F32) return gpu_f32_of(words[i]);
    if (plan->desc.kv_type == SOLO_KV_INT8) return int8_number(&plan->geometry, words, i);
    return solo_f16_to_f32((uint16_t)(words[i / 2] >> 16 * (i % 2)));
}

uint32_t gpu_row_in_file(const solo_hparams *hp, uint32_t r) {
    uint32_t d = r % hp->head_dim, half = hp->rope_dim / 2;
    if (hp->rope_pairs == SOLO_ROPE_NEIGHBOURS || d >= hp->rope_dim) return r;
    return r - d + (d % 2 ? half + d / 2 : d / 2);
}

void gpu_ids(uint64_t seed, uint32_t n_vocab, uint32_t *ids, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) ids[i] = (uint32_t)(tiny_random_bits(seed, i) % n_vocab);
}

double gpu_nmse(const float *a, const float *b, size_t n) {
    double error = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        if (!isfinite(d)) return INFINITY;
        error += d * d;
        size += (double)b[i] * (double)b[i];
    }
    return size > 0 ? error / size : error;
}
