/* test_arch_ref.c: the CPU reference on a tiny checkpoint of each architecture against what another
 * framework's own model class says. */
#include "checkpoints.h"
#include "ref.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static uint32_t best_of(const float *logits, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t id = 1; id < n; id++) {
        if (logits[id] > logits[best]) best = id;
    }
    return best;
}

static void check_prompt(const checkpoint *c, const solo_model *model, const solo_vectors_prompt *p) {
    const uint32_t n_vocab = model->hp.n_vocab;
    float *logits = solo_alloc(n_vocab * sizeof *logits);
    solo_error err = {0};
    solo_ref *ref;
    if (!solo_ref_open(&ref, model, model->hp.n_ctx_train, &err)) fail_msg("%s: %s", c->name, err.text);
    for (uint32_t i = 0; i < p->n_ids; i++) solo_ref_step(ref, p->ids[i], i, logits);
    checkpoint_expect_logits(c, p, logits, n_vocab);
    for (uint32_t i = 0; i < p->n_greedy; i++) {
        uint32_t id = best_of(logits, n_vocab);
        if (!checkpoint_expect_greedy(c, p, i, id)) break;
        solo_ref_step(ref, id, p->n_ids + i, logits);
    }
    solo_ref_close(ref);
    free(logits);
}

static void every_architecture(void **state) {
    (void)state;
    for (uint32_t i = 0; i < n_checkpoint; i++) {
        solo_model *model = NULL;
        solo_vectors *vectors = NULL;
        uint8_t *bytes = NULL;
        solo_error err = {0};
        if (!checkpoint_open(&checkpoints[i], &model, &bytes, &vectors, &err)) fail_msg("%s", err.text);
        assert_true(vectors->n_prompt >= 2);
        for (uint32_t k = 0; k < vectors->n_prompt; k++)
            check_prompt(&checkpoints[i], model, &vectors->prompts[k]);
        solo_vectors_close(vectors);
        solo_model_close(model);
        free(bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_architecture)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
