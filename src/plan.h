/* plan.h: weights + factoring + geometry, made ready: every pipeline is compiled while the plan
 * opens, the dispatch list is fixed, and a step only walks it. */
#ifndef SOLO_PLAN_H
#define SOLO_PLAN_H

#include "stage.h"
#include "weights.h"
#include "wgsl.h"

/* Mirrors struct Args in kernels/common.wgsl. */
typedef struct solo_args {
    uint32_t pos, parity, n_batch, greedy;
    float inv_temperature;
    uint32_t top_k;
    float top_p, ln_min_p, repeat_penalty;
    uint32_t repeat_last_n, seed_low, seed_high;
} solo_args;
_Static_assert(sizeof(solo_args) == 48, "struct Args in common.wgsl");

/* Mirrors struct Place. */
typedef struct solo_place {
    uint32_t layer, part, unused[2];
} solo_place;
_Static_assert(sizeof(solo_place) == 16, "struct Place in common.wgsl");

typedef struct solo_dispatch {
    solo_pipeline pipeline;
    uint32_t place_off; /* bytes into the place buffer */
    uint32_t x, y;      /* workgroups; prefill: 0 in y stands for the batch's tokens */
} solo_dispatch;

/* One factoring, compiled. */
typedef struct solo_program {
    solo_factoring factoring;
    char *wgsl;
    solo_module module;
    solo_pipeline *pipeline; /* [factoring.n_row]; rows of one entry point share */
    solo_dispatch *dispatch; /* [n_dispatch], in order */
    uint32_t n_dispatch;
} solo_program;

#define SOLO_ARGS_RING 64u /* args slots: no submit has more steps, and each is written before its submit */
#define SOLO_PF_BATCH 64u  /* tokens a prefill batch; PF_BATCH in prefill.wgsl */

typedef struct solo_prefill {
    char *wgsl;
    solo_module module;
    solo_pipeline pipeline[16];
    solo_dispatch *dispatch; /* all layers, in order */
    uint32_t n_dispatch;
    solo_buffer pf;
    solo_bindings bindings;
} solo_prefill;

struct solo_plan {
    solo_weights *weights;
    solo_device *device;
    solo_plan_desc desc; /* defaults filled in */
    solo_geometry geometry;
    bool subgroups;
    solo_program main, fallback; /* fallback: stages, only where main hands off by words */
    bool demoted;                /* step by fallback from now on */
    char note[256];
    solo_buffer args, place, msg, state, kv_k, kv_v, rope;
    uint32_t args_stride, args_next;
    uint32_t place_stride;
    uint32_t n_tagged; /* tagged dispatches so far: parity alternates */
    double compile_seconds, self_test_seconds;
    uint64_t n_submit; /* within steps: where desc.submit is DISPATCH or AWAIT */
    const void *left_out; /* a pipeline whose dispatches are not encoded, or NULL */
    solo_bindings bindings;
    solo_prefill prefill;
    char *wgsl; /* all modules, for --print-wgsl */
};

/* Encodes one decode step of the program in use, of factoring.n_token tokens: writes args, walks the
 * dispatch list. The caller submits. args->parity is filled in here. */
void solo_plan_encode_step(solo_plan *plan, solo_args args);

/* Encodes and submits a batch of n <= SOLO_PF_BATCH prompt tokens at positions pos .. pos + n.
 * Their ids must be in state. */
bool solo_plan_prefill(solo_plan *plan, uint32_t pos, uint32_t n, solo_error *err);

/* After an abort: clears the hand-off's words and counters and steps by dispatch boundaries from
 * then on, for the reason given. */
bool solo_plan_demote(solo_plan *plan, const char *why, solo_error *err);

void solo_plan_write_ids(solo_plan *plan, uint32_t pos, const uint32_t *ids, uint32_t n);
const solo_program *solo_plan_program(const solo_plan *plan);

/* One factoring for an open plan's geometry and buffers. The plan opens its own; tests that hold one
 * factoring against another open more. On failure what was opened stays for close. */
bool solo_program_open(solo_plan *plan, const solo_factoring *f, solo_program *out, solo_error *err);
void solo_program_close(solo_program *program);
bool solo_pipelines_finish(solo_device *d, const solo_pipeline *pipeline, uint32_t n, solo_error *err);
void solo_pipelines_close(solo_pipeline *pipeline, uint32_t n); /* each once, whoever shares it */

uint32_t solo_plan_default_ctx(const solo_hparams *hp); /* where n_ctx is 0 */
uint64_t solo_plan_weight_bytes(const solo_weights *w); /* read a token, by every factoring */

/* Message words [factoring.n_token][msg_words] of the last step, as values; for tests and logits. */
bool solo_plan_read_messages(solo_plan *plan, uint32_t at, uint32_t n, uint32_t *out,
                             solo_error *err);

/* prefill.c */
bool solo_prefill_begin(solo_plan *plan, solo_error *err); /* its pipelines are to be finished, even if it failed */
bool solo_prefill_finish(solo_plan *plan, solo_error *err);
void solo_prefill_close(solo_prefill *prefill);

#endif
