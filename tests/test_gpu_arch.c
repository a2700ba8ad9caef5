/* test_gpu_arch.c: each architecture on an adapter, with f32 activations, on the tiny checkpoints whose
 * logits another framework gave: prompts by batches, then greedy ids one by one. Factorings against each
 * other are test_gpu_factoring.c's. */
#include "gpu.h"

#include "checkpoints.h"

static void check_prompt(const checkpoint *c, solo_plan *plan, const solo_vectors_prompt *p, uint32_t n_vocab) {
    float *logits = solo_alloc(n_vocab * sizeof *logits);
    solo_session *session = gpu_session_open(plan, (solo_sampling){0}, 0);
    GPU_OK(solo_session_sync(session, p->ids, p->n_ids, &gpu_err));
    GPU_OK(solo_session_logits(session, logits, &gpu_err));
    checkpoint_expect_logits(c, p, logits, n_vocab);
    for (uint32_t i = 0; i < p->n_greedy; i++) {
        uint32_t id;
        GPU_OK(solo_session_next(session, &id, &gpu_err));
        if (!checkpoint_expect_greedy(c, p, i, id)) break;
    }
    solo_session_close(session);
    free(logits);
}

static void every_architecture(void **state) {
    (void)state;
    const char *filter = getenv("SOLO_TEST_ARCH"); /* one of them */
    for (uint32_t i = 0; i < n_checkpoint; i++) {
        const checkpoint *c = &checkpoints[i];
        gpu_bed bed = {0};
        solo_vectors *vectors = NULL;
        if (filter ? strcmp(filter, c->name) != 0 : c->host_only) continue;
        GPU_OK(checkpoint_open(c, &bed.model, &bed.bytes, &vectors, &gpu_err));
        gpu_weights_open(&bed, 0);
        solo_plan *plan = gpu_plan_open(
            &bed, (solo_plan_desc){.factoring = "stages", .activations = SOLO_ACTIVATIONS_F32});
        for (uint32_t k = 0; k < vectors->n_prompt; k++)
            check_prompt(c, plan, &vectors->prompts[k], bed.model->hp.n_vocab);
        solo_plan_close(plan);
        solo_vectors_close(vectors);
        gpu_bed_close(&bed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_architecture)};
    return cmocka_run_group_tests(tests, gpu_open, gpu_close);
}
