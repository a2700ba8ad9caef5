/* test_gpu_tune.c: auto picks something that works: its plan is open, was timed, and writes the same
 * tokens as the factoring opened by name. */
#include "gpu.h"

static void write_tokens(solo_plan *plan, uint32_t *ids, uint32_t n) {
    uint32_t prompt[5];
    gpu_ids(5, plan->weights->model->hp.n_vocab, prompt, 5);
    solo_session *s = gpu_session_open(plan, (solo_sampling){0}, 1);
    GPU_OK(solo_session_sync(s, prompt, 5, &gpu_err));
    for (uint32_t i = 0; i < n; i++) GPU_OK(solo_session_next(s, &ids[i], &gpu_err));
    solo_session_close(s);
}

static void expect_its_own_tokens(const gpu_bed *bed, const solo_tune_result *r, solo_plan *plan) {
    uint32_t found[12], wanted[12];
    const solo_tune_choice *choice = &r->row[r->best].choice;
    assert_string_equal(solo_plan_get_info(plan).factoring, choice->factoring);
    assert_string_equal(solo_plan_get_info(plan).note, "");
    write_tokens(plan, found, 12);
    solo_plan *named = gpu_plan_open(
        bed, (solo_plan_desc){.factoring = choice->factoring, .workgroup_size = choice->workgroup_size});
    write_tokens(named, wanted, 12);
    assert_memory_equal(found, wanted, sizeof wanted);
    solo_plan_close(named);
}

static void expect_sane(const solo_tune_result *r) {
    assert_in_range(r->n_row, 1, SOLO_TUNE_MAX_ROW);
    assert_true(r->best < r->n_row);
    assert_true(r->weight_bytes > 0);
    for (uint32_t i = 0; i < r->n_row; i++) {
        const solo_tune_row *row = &r->row[i];
        assert_true(row->measured_ms == 0 || row->measured_ms >= r->row[r->best].measured_ms);
        assert_true(row->predicted_ms > 0);
        assert_true(row->measured_ms > 0 || row->note[0]); /* nothing is left out without a word */
        printf("  %-10s predicted %.3f ms, measured %.3f ms  %s\n", row->choice.factoring,
               row->predicted_ms, row->measured_ms, row->note);
    }
}

static void auto_picks_what_works(void **state) {
    (void)state;
    gpu_bed bed = gpu_bed_open(&gpu_tiny, 0);
    solo_tune_result r;
    solo_plan *plan;
    solo_tune_desc desc = {.plan.weights = bed.weights, .seconds = 0.1};
    double began = solo_seconds();
    GPU_OK(solo_tune(&desc, &r, &plan, &gpu_err));
    assert_true(solo_seconds() - began < 60);
    expect_sane(&r);
    assert_true(r.row[r.best].measured_ms > 0);
    expect_its_own_tokens(&bed, &r, plan);
    solo_plan_close(plan);
    gpu_bed_close(&bed);
}

/* With all: what hands off inside a dispatch is timed too, and counted by its plan. */
static void all_times_single_too(void **state) {
    (void)state;
    if (gpu_compiles_slowly()) return; /* the other adapter shows it */
    gpu_bed bed = gpu_bed_open(&gpu_tiny, 0);
    solo_tune_result r;
    solo_tune_desc desc = {.plan.weights = bed.weights, .seconds = 0.1, .all = true, .n_candidate = 16};
    GPU_OK(solo_tune(&desc, &r, NULL, &gpu_err));
    expect_sane(&r);
    uint32_t n_single = 0;
    for (uint32_t i = 0; i < r.n_row; i++) {
        if (strcmp(r.row[i].choice.factoring, "single")) continue;
        n_single++;
        assert_int_equal(r.row[i].n_dispatch, 1);
        assert_true(r.row[i].n_hand_off > 5 * bed.model->hp.n_layer);
        assert_true(r.row[i].measured_ms > 0);
    }
    assert_true(n_single > 0);
    gpu_bed_close(&bed);
}

/* Whatever the prediction says, one factoring by dispatch boundaries alone is timed. */
static void one_by_boundaries_is_timed(void **state) {
    (void)state;
    gpu_bed bed = gpu_bed_open(&gpu_tiny, 0);
    solo_tune_result r;
    solo_tune_desc desc = {.plan.weights = bed.weights, .seconds = 0.1, .all = true, .n_candidate = 1};
    GPU_OK(solo_tune(&desc, &r, NULL, &gpu_err));
    expect_sane(&r);
    assert_int_equal(r.row[r.best].n_hand_off, 0);
    gpu_bed_close(&bed);
}

/* A choice that was remembered opens as itself; one of another program's does not. */
static void remembered_choices(void **state) {
    (void)state;
    gpu_bed bed = gpu_bed_open(&gpu_tiny, 0);
    solo_plan_desc desc = {.weights = bed.weights};
    solo_plan *plan;
    solo_error err = {0};
    GPU_OK(solo_tune_open(&desc, &(solo_tune_choice){"stages", 64}, &plan, &gpu_err));
    assert_string_equal(solo_plan_get_info(plan).factoring, "stages");
    assert_int_equal(solo_plan_get_info(plan).workgroup_size, 64);
    solo_plan_close(plan);
    assert_false(solo_tune_open(&desc, &(solo_tune_choice){"no such", 0}, &plan, &err));
    assert_null(plan);
    gpu_bed_close(&bed);
}

/* Everything that a choice depends on changes the key; what it does not, does not. */
static void keys(void **state) {
    (void)state;
    gpu_bed bed = gpu_bed_open(&gpu_tiny, 0), other = gpu_bed_open(&gpu_other_roles, 0);
    const solo_plan_desc base = {.weights = bed.weights, .n_ctx = 60};
    solo_plan_desc varied[] = {base, base, base, base, base, base};
    varied[0].weights = other.weights;
    varied[1].activations = SOLO_ACTIVATIONS_F32;
    varied[2].n_ctx = 3000;
    varied[3].n_workgroup = 7;
    varied[4].workgroup_size = 64;
    varied[5].no_subgroups = true;
    char key[SOLO_TUNE_KEY_BYTES], found[SOLO_TUNE_KEY_BYTES];
    solo_tune_key(&base, key);
    assert_non_null(strstr(key, solo_device_info_of(gpu_device)->name));
    assert_non_null(strstr(key, solo_device_info_of(gpu_device)->driver));
    assert_non_null(strstr(key, SOLO_VERSION));
    for (uint32_t i = 0; i < SOLO_COUNT(varied); i++) {
        solo_tune_key(&varied[i], found);
        if (!strcmp(key, found)) fail_msg("variation %u: wanted another key than %s", i, key);
    }
    solo_plan_desc same = base;
    same.n_ctx = 61, same.factoring = "unfused", same.no_self_test = true;
    solo_tune_key(&same, found);
    assert_string_equal(key, found);
    gpu_bed_close(&other);
    gpu_bed_close(&bed);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_picks_what_works),
        cmocka_unit_test(all_times_single_too),
        cmocka_unit_test(one_by_boundaries_is_timed),
        cmocka_unit_test(remembered_choices),
        cmocka_unit_test(keys),
    };
    return cmocka_run_group_tests(tests, gpu_open, gpu_close);
}
