/* test_gpu_experiment.c: what only experiments ask of a plan: forms of the hand-off, how dispatches reach the queue,
 * dispatches left out. On an adapter that keeps memory in order the unsafe forms happen to be right; the control,
 * which waits for nothing, must not be. One model, one plan; programs are put in its place. */
#include "gpu.h"

#define N_TOKEN 8u

static gpu_bed bed;
static solo_plan *plan; /* of stages */
static uint32_t wanted[N_TOKEN];

static void generate(solo_session *s, uint32_t out[N_TOKEN]) {
    static const uint32_t prompt[3] = {5, 77, 200};
    GPU_OK(solo_session_sync(s, prompt, 3, &gpu_err));
    for (uint32_t i = 0; i < N_TOKEN; i++) GPU_OK(solo_session_next(s, &out[i], &gpu_err));
}

static bool same_tokens(solo_session *s) {
    uint32_t found[N_TOKEN];
    generate(s, found);
    return memcmp(found, wanted, sizeof wanted) == 0;
}

static int open_all(void **state) {
    if (gpu_open(state)) return 1;
    bed = gpu_bed_open(&gpu_tiny, 0);
    plan = gpu_plan_open(&bed, (solo_plan_desc){.factoring = "stages"});
    solo_session *s = gpu_session_open(plan, (solo_sampling){0}, 1);
    generate(s, wanted);
    assert_true(same_tokens(s));
    solo_session_close(s);
    return 0;
}

static int close_all(void **state) {
    solo_plan_close(plan);
    gpu_bed_close(&bed);
    return gpu_close(state);
}

/* Tokens by the factoring layer with that form. */
static bool right_by(solo_hand_off form, solo_assignment assignment) {
    solo_factoring f;
    solo_program own = plan->main, p = {0};
    plan->desc.hand_off = form;
    GPU_OK(solo_factoring_find("layer", assignment, &f, &gpu_err));
    GPU_OK(solo_program_open(plan, &f, &p, &gpu_err));
    plan->main = p, plan->n_tagged = 0;
    solo_device_clear(gpu_device, plan->state, 0, (uint64_t)plan->geometry.state_ids * 4);
    solo_device_clear(gpu_device, plan->msg, 0, plan->msg.n_bytes);
    GPU_OK(solo_device_submit(gpu_device, &gpu_err));
    solo_session *s = gpu_session_open(plan, (solo_sampling){0}, 1);
    bool same = same_tokens(s);
    assert_false(solo_session_get_info(s).fell_back);
    solo_session_close(s);
    plan->main = own, plan->desc.hand_off = SOLO_HAND_OFF_COUNTER_TAG;
    solo_program_close(&p);
    return same;
}

static void forms_of_the_hand_off(void **state) {
    (void)state;
    if (gpu_compiles_slowly()) return;
    assert_true(right_by(SOLO_HAND_OFF_TAG, SOLO_ASSIGNMENT_TICKET));
    assert_true(right_by(SOLO_HAND_OFF_COUNTER, SOLO_ASSIGNMENT_TICKET));
    assert_true(right_by(SOLO_HAND_OFF_PLAIN, SOLO_ASSIGNMENT_TICKET));
    assert_false(right_by(SOLO_HAND_OFF_NONE, SOLO_ASSIGNMENT_STATIC));
}

static void expect_refused(solo_plan_desc desc, const char *why) {
    solo_plan *none;
    solo_error err = {0};
    desc.weights = bed.weights;
    assert_false(solo_plan_open(&none, &desc, &err));
    assert_int_equal(err.status, SOLO_ARGUMENT);
    if (!strstr(err.text, why)) fail_msg("wanted '%s' in '%s'", why, err.text);
}

static void unsafe_forms_are_asked_for_twice(void **state) {
    (void)state;
    expect_refused((solo_plan_desc){.factoring = "single", .hand_off = SOLO_HAND_OFF_COUNTER},
                   "hand_off: counter rests");
    expect_refused((solo_plan_desc){.factoring = "single", .hand_off = SOLO_HAND_OFF_PLAIN}, "hand_off: plain rests");
    expect_refused((solo_plan_desc){.factoring = "burst:2", .hand_off = SOLO_HAND_OFF_COUNTER, .experiment = true},
                   "of a burst");
    expect_refused((solo_plan_desc){.tile_rows = 257}, "tile_rows");
    expect_refused((solo_plan_desc){.rows_team = 3}, "rows_team");
    expect_refused((solo_plan_desc){.k_split = 3}, "k_split");
}

/* The same tokens, however dispatches reach the queue; submits are counted. */
static void submits(void **state) {
    (void)state;
    const uint32_t n = solo_plan_get_info(plan).n_dispatch;
    const struct { solo_submit submit; uint32_t a_token, n_token_submit; } forms[] = {
        {SOLO_SUBMIT_PASS, 1, 1}, {SOLO_SUBMIT_DISPATCH, n, 1}, {SOLO_SUBMIT_AWAIT, n, 1}, {SOLO_SUBMIT_TOKEN, 1, 4}};
    for (uint32_t i = 0; i < SOLO_COUNT(forms); i++) {
        plan->desc.submit = forms[i].submit;
        solo_session *s;
        GPU_OK(solo_session_open(&s, &(solo_session_desc){.plan = plan, .n_in_flight = 1,
                                                          .n_token_submit = forms[i].n_token_submit}, &gpu_err));
        assert_true(same_tokens(s));
        solo_session_info info = solo_session_get_info(s);
        assert_int_equal(info.n_step, N_TOKEN);
        assert_int_equal(info.n_step_dispatch, N_TOKEN * n);
        assert_int_equal(info.n_step_submit * forms[i].n_token_submit, N_TOKEN * forms[i].a_token);
        solo_session_close(s);
    }
    plan->desc.submit = SOLO_SUBMIT_TOKEN;
    solo_session *none;
    solo_error err = {0};
    assert_false(solo_session_open(&none, &(solo_session_desc){.plan = plan, .n_token_submit = 65}, &err));
    assert_non_null(strstr(err.text, "n_token_submit: wanted at most 64, found 65"));
}

static void dispatches_left_out(void **state) {
    (void)state;
    const uint32_t n = solo_plan_get_info(plan).n_dispatch, n_layer = bed.model->hp.n_layer;
    assert_string_equal(solo_plan_entry(plan, 0), "dispatch_embed");
    assert_string_equal(solo_plan_entry(plan, 1), "dispatch_qkv");
    assert_string_equal(solo_plan_entry(plan, n - 1), "dispatch_sample");
    assert_null(solo_plan_entry(plan, n));
    solo_session *s = gpu_session_open(plan, (solo_sampling){0}, 1);
    GPU_OK(solo_plan_leave_out(plan, "dispatch_down", &gpu_err));
    assert_false(same_tokens(s));
    assert_int_equal(solo_session_get_info(s).n_step_dispatch, N_TOKEN * (n - n_layer));
    GPU_OK(solo_plan_leave_out(plan, NULL, &gpu_err));
    assert_true(same_tokens(s));
    solo_session_close(s);
    solo_error err = {0};
    assert_false(solo_plan_leave_out(plan, "dispatch_up", &err));
    assert_non_null(strstr(err.text, "stages has no such dispatch"));
    assert_null(plan->left_out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_the_hand_off),
        cmocka_unit_test(unsafe_forms_are_asked_for_twice),
        cmocka_unit_test(submits),
        cmocka_unit_test(dispatches_left_out),
    };
    cmocka_set_test_filter(getenv("SOLO_TEST_FILTER"));
    return cmocka_run_group_tests(tests, open_all, close_all);
}
