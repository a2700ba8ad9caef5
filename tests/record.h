/* record.h: runs of a program on a plan's buffers, and whether two runs left the same bits: all message words,
 * the whole KV cache, the sampled ids. */
#ifndef SOLO_TESTS_RECORD_H
#define SOLO_TESTS_RECORD_H

#include "gpu.h"

#define MAX_STEP 8u

/* What a run left: per step all message words and the id drawn, then the whole KV cache. */
typedef struct record {
    uint32_t *words; /* [n_step][msg_words] */
    uint32_t  ids[MAX_STEP];
    uint32_t *kv_k, *kv_v;
    uint32_t  n_words, n_kv;
} record;

typedef struct config {
    const char    *name;
    tiny_desc      model;
    solo_plan_desc plan;     /* factoring and assignment are set by the test */
    uint32_t       n_prompt; /* positions before the first step, of random K and V */
    bool           reads_prompt; /* or of ids that are prefilled, where it is not one prefill that all runs share */
    uint32_t       n_step;
    uint64_t       max_binding;       /* payload split; 0: one buffer */
    bool           chunked;           /* less workgroup memory, so that inputs come in chunks */
    uint32_t       min_split, min_block, min_payload; /* else the run is blind */
    bool           all_forms;         /* roles; of single: several counts, static; single-wg */
    bool           same_args;         /* each step those of the first, as in a burst */
    bool           slow_too;          /* by dispatches on lavapipe as well; whole tokens there are
                                         test_gpu_handoff's and test_gpu_model's */
} config;

/* A plan that reads no prompts, whose kernels would be compiled for nothing. */
solo_plan *plan_for_steps(const gpu_bed *bed, solo_plan_desc desc);

/* Runs a program on the plan's buffers, from a past of n_prompt positions on. */
record run_program(solo_plan *plan, const solo_program *program, const config *c);
void   record_free(record *r);

/* Fails the running test, naming the first word that differs. */
void expect_same(const config *c, const solo_geometry *g, const char *who, const record *a, const record *b);
void check_program(solo_plan *plan, const solo_program *program, const config *c, const char *who,
                   const record *wanted);

#endif
