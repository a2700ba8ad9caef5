/* gpu.h: what the tests on an adapter share: the one device of a program, tiny models uploaded to
 * it, plans, the CPU reference's answers, and how far two vectors are apart.
 *
 * gpu_open opens the device first; no adapter is UNRUN. The long programs run the tests that
 * SOLO_TEST_FILTER matches ("burst*"), all without it. */
#ifndef SOLO_TESTS_GPU_H
#define SOLO_TESTS_GPU_H

#include "session.h"
#include "tiny.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

extern solo_device *gpu_device;

int gpu_open(void **state); /* cmocka's group fixtures */
int gpu_close(void **state);

/* lavapipe's compiler takes time with the square of a kernel's size: a minute for a whole token.
 * Programs leave out there what another adapter shows. */
bool gpu_compiles_slowly(void);

/* Fails the running test with err's text where ok is false. */
#define GPU_OK(call) gpu_ok((call), __FILE__, __LINE__)
extern solo_error gpu_err;
void gpu_ok(bool ok, const char *file, int line);

/* A tiny model, uploaded. */
typedef struct gpu_bed {
    uint8_t      *bytes;
    solo_model   *model;
    solo_weights *weights;
} gpu_bed;

gpu_bed gpu_bed_open(const tiny_desc *desc, uint64_t max_binding_bytes);
/* In two halves, for tests that change hyper-parameters between. */
gpu_bed gpu_model_open(const tiny_desc *desc);
void    gpu_weights_open(gpu_bed *bed, uint64_t max_binding_bytes);
void    gpu_bed_close(gpu_bed *bed);

/* The shape that several programs use for whole tokens, so that a driver with a cache of shaders
 * compiles those once. 8 heads on 4 KV heads, a vocabulary that no tile divides. */
extern const tiny_desc gpu_qwen2, gpu_qwen3, gpu_gpt2, gpu_gemma2, gpu_gemma3;
extern const tiny_desc gpu_tiny;

/* Shapes that between them have every weight type in several roles; gpu.c says what each is for. */
extern const tiny_desc gpu_many_types, gpu_other_roles, gpu_k_quants, gpu_more_quants, gpu_mixed;

/* desc.weights is filled in. */
solo_plan    *gpu_plan_open(const gpu_bed *bed, solo_plan_desc desc);
/* What desc leaves open as on a software adapter: a GPU's own would have a tile a workgroup, a block a split. */
solo_plan_desc gpu_one_geometry(solo_plan_desc desc);
/* On a device that grants so little workgroup memory that every matrix's inputs come in chunks. */
solo_plan    *gpu_plan_open_chunked(const gpu_bed *bed, solo_plan_desc desc);
solo_session *gpu_session_open(solo_plan *plan, solo_sampling sampling, uint32_t n_in_flight);

/* Sentinels: words that no kernel writes. No id; as a float or as halves, no number of a model. */
#define GPU_SENTINEL 0xfeedbeefu
void      gpu_fill(solo_buffer buffer, uint64_t from_byte);
uint32_t *gpu_read_all(solo_buffer buffer); /* malloc'd */

float gpu_f32_of(uint32_t word);
/* Number i of words of the KV type. */
float gpu_kv_number(const solo_plan *plan, const uint32_t *words, uint32_t i);
/* The file's place of row r of q or k, which the GPU keeps with RoPE's pairs as neighbours. */
uint32_t gpu_row_in_file(const solo_hparams *hp, uint32_t r);

void gpu_ids(uint64_t seed, uint32_t n_vocab, uint32_t *ids, uint32_t n);

/* |a - b|^2 / |b|^2; NaN counts as infinite. */
double gpu_nmse(const float *a, const float *b, size_t n);

#endif
