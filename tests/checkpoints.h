/* checkpoints.h: tiny models of every architecture whose logits an independent framework gave:
 * tests/vectors/arch_NAME.txt, written by tools/checkpoint_vectors.py from the same random numbers. */
#ifndef SOLO_TESTS_CHECKPOINTS_H
#define SOLO_TESTS_CHECKPOINTS_H

#include "tiny.h"
#include "vectors.h"

typedef struct checkpoint {
    const char *name;
    tiny_desc   model;
    bool        host_only; /* what is its own happens on the host alone */
} checkpoint;

extern const checkpoint checkpoints[];
extern const uint32_t   n_checkpoint;

#define CHECKPOINT_LOGIT_OFF 2e-3 /* how far a logit may be off; 2e-6 was seen */
#define CHECKPOINT_MARGIN 0.02    /* where the two best are closer than this, another id is no error */

/* Opens both; false with err filled. The bytes stay the model's until it closes. */
bool checkpoint_open(const checkpoint *c, solo_model **model, uint8_t **bytes, solo_vectors **vectors,
                     solo_error *err);

/* Fails the running cmocka test where logits after a prompt are too far off. */
void checkpoint_expect_logits(const checkpoint *c, const solo_vectors_prompt *p, const float *logits,
                              uint32_t n_vocab);

/* The same for the i-th greedy id; false: it is another one, which its margin allows, and the text
 * goes on elsewhere. */
bool checkpoint_expect_greedy(const checkpoint *c, const solo_vectors_prompt *p, uint32_t i, uint32_t id);

#endif
