/* test_gpu_handoff.c: what a user sees when the hand-off inside a dispatch does not work out, or
 * the device goes: the same tokens, one note, an error that says so; never a hang. A software
 * adapter runs as many workgroups at once as it has threads, which makes it the adversary of the
 * static form.
 *
 * All plans share gpu_tiny's shape. Where shaders compile slowly the static form is left out: it is
 * a kernel of its own, and the other adapter shows the same. */
#include "gpu.h"

#define N_PROMPT 5u
#define N_TOKEN 24u

static gpu_bed bed;
static uint32_t prompt[N_PROMPT], wanted[N_TOKEN];

static const solo_sampling sampling = {
    .temperature = 1, .top_k = 100, .repeat_penalty = 1.1f, .seed = 17};

static void generate(solo_session *s, uint32_t *out, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) GPU_OK(solo_session_next(s, &out[i], &gpu_err));
}

static void expect_wanted(solo_session *s) {
    uint32_t found[N_TOKEN];
    GPU_OK(solo_session_sync(s, prompt, N_PROMPT, &gpu_err));
    generate(s, found, N_TOKEN);
    for (uint32_t i = 0; i < N_TOKEN; i++) {
        if (found[i] != wanted[i])
            fail_msg("token %u: wanted %u, found %u", i, wanted[i], found[i]);
    }
}

/* The tokens of an undisturbed run by dispatch boundaries. */
static int open_all(void **state) {
    if (gpu_open(state)) return 1;
    bed = gpu_bed_open(&gpu_tiny, 0);
    gpu_ids(31, bed.model->hp.n_vocab, prompt, N_PROMPT);
    solo_plan *plan = gpu_plan_open(&bed, (solo_plan_desc){.factoring = "stages"});
    solo_session *s = gpu_session_open(plan, sampling, 1);
    GPU_OK(solo_session_sync(s, prompt, N_PROMPT, &gpu_err));
    generate(s, wanted, N_TOKEN);
    solo_session_close(s);
    solo_plan_close(plan);
    return 0;
}

static int close_all(void **state) {
    gpu_bed_close(&bed);
    return gpu_close(state);
}

/* ---- giving up ------------------------------------------------------------------------------ */

/* More workgroups than threads, few polls. */
static const solo_plan_desc crowded = {.factoring = "single",
                                       .assignment = SOLO_ASSIGNMENT_STATIC,
                                       .n_workgroup = 8,
                                       .spin_limit = 20000};

static uint32_t dispatches_a_token(void) { return 6 * bed.model->hp.n_layer + 3; }

/* fell_back is of this session; a plan that was demoted before leaves only the note. */
static void expect_demoted(solo_session *s, bool fell_back, const char *why) {
    solo_session_info info = solo_session_get_info(s);
    char text[100];
    snprintf(text, sizeof text, "(%u a token) instead of the factoring ", dispatches_a_token());
    assert_int_equal(info.fell_back, fell_back);
    assert_string_equal(info.factoring, "stages");
    assert_non_null(strstr(info.note, why));
    assert_non_null(strstr(info.note, text));
}

static void all_at_once_times_out(void **state) {
    (void)state;
    if (gpu_compiles_slowly()) return;
    solo_plan_desc d = crowded;
    d.no_self_test = true;
    solo_plan *plan = gpu_plan_open(&bed, d);
    assert_false(plan->demoted);
    solo_session *s = gpu_session_open(plan, sampling, 4);
    expect_wanted(s);
    if (!solo_session_get_info(s).fell_back) {
        printf("UNRUN: this adapter runs %u workgroups at once\n", crowded.n_workgroup);
        solo_session_close(s);
        solo_plan_close(plan);
        skip();
    }
    expect_demoted(s, true, "timed out");
    solo_session_info before = solo_session_get_info(s);
    expect_wanted(s); /* nothing gives up twice */
    solo_session_info after = solo_session_get_info(s);
    assert_string_equal(before.note, after.note);
    assert_int_equal(after.n_step_dispatch - before.n_step_dispatch,
                     (after.n_step - before.n_step) * dispatches_a_token());
    solo_session_close(s);
    solo_plan_close(plan);
}

static void self_test_demotes(void **state) {
    (void)state;
    if (gpu_compiles_slowly()) return;
    solo_plan *plan;
    solo_plan_desc d = crowded;
    d.weights = bed.weights;
    GPU_OK(solo_plan_open(&plan, &d, &gpu_err));
    solo_plan_info info = solo_plan_get_info(plan);
    if (info.note[0] == 0) {
        printf("UNRUN: this adapter runs %u workgroups at once\n", crowded.n_workgroup);
        solo_plan_close(plan);
        skip();
    }
    assert_true(info.compile_seconds > 0 && info.self_test_seconds > 0);
    assert_non_null(strstr(info.note, "self-test"));
    assert_non_null(strstr(info.note, "timed out"));
    assert_string_equal(info.factoring, "stages");
    assert_int_equal(info.n_dispatch, dispatches_a_token());
    solo_session *s = gpu_session_open(plan, sampling, 4);
    expect_wanted(s);
    expect_demoted(s, false, "self-test");
    solo_session_close(s);
    solo_plan_close(plan);
}

/* ---- the ticket form ------------------------------------------------------------------------ */

/* What a software adapter gets unasked. Trusted by the self-test; then any count of workgroups ends
 * with the same tokens. */
static void ticket_takes_any_count(void **state) {
    (void)state;
    static const uint32_t counts[] = {3, 1, 8, 64};
    solo_plan *plan;
    solo_plan_desc d = {.weights = bed.weights, .factoring = "single", .n_workgroup = 3};
    if (!solo_device_info_of(gpu_device)->is_software) d.assignment = SOLO_ASSIGNMENT_TICKET;
    GPU_OK(solo_plan_open(&plan, &d, &gpu_err));
    solo_plan_info info = solo_plan_get_info(plan);
    assert_string_equal(info.note, "");
    assert_string_equal(info.factoring, "single");
    assert_string_equal(info.assignment, "ticket");
    assert_int_equal(info.n_dispatch, 1);
    for (uint32_t i = 0; i < SOLO_COUNT(counts); i++) {
        plan->main.dispatch[0].x = counts[i]; /* all that the count changes in this form */
        solo_session *s = gpu_session_open(plan, sampling, 4);
        expect_wanted(s);
        solo_session_info after = solo_session_get_info(s);
        assert_false(after.fell_back);
        assert_string_equal(after.note, "");
        assert_int_equal(after.n_step, after.n_step_dispatch);
        solo_session_close(s);
    }
    solo_plan_close(plan);
}

/* ---- an abort while steps are in flight ----------------------------------------------------- */

/* As if no hand-off had ever failed: also without the words that dispatch boundaries have left since, which a
 * consumer that goes on before all have arrived would take for its own. */
static void trust_again(solo_plan *plan) {
    plan->demoted = false;
    plan->note[0] = 0;
    solo_device_clear(plan->device, plan->state, 0, (uint64_t)plan->geometry.state_ids * 4);
    solo_device_clear(plan->device, plan->msg, 0, plan->msg.n_bytes);
    GPU_OK(solo_device_submit(plan->device, &gpu_err));
}

static void abort_after(solo_plan *plan, uint32_t n_before, uint32_t n_in_flight) {
    uint32_t found[N_TOKEN];
    solo_session *s = gpu_session_open(plan, sampling, n_in_flight);
    GPU_OK(solo_session_sync(s, prompt, N_PROMPT, &gpu_err));
    generate(s, found, n_before);
    assert_false(solo_session_get_info(s).fell_back);
    solo_session_abort_for_test(s);
    generate(s, found + n_before, N_TOKEN - n_before);
    assert_memory_equal(found, wanted, sizeof wanted);
    expect_demoted(s, true, "timed out");
    expect_wanted(s);
    solo_session_close(s);
    trust_again(plan);
}

static void lose_nothing(const char *factoring) {
    solo_plan *plan = gpu_plan_open(&bed, (solo_plan_desc){.factoring = factoring,
                                                           .assignment = SOLO_ASSIGNMENT_TICKET,
                                                           .n_workgroup = 3,
                                                           .no_self_test = true});
    abort_after(plan, 0, 4);
    abort_after(plan, 1, 1);
    abort_after(plan, 7, 8);
    abort_after(plan, 3, 16);

    /* seen by a sync: what is in flight is dropped, the next context is whole */
    uint32_t id;
    solo_session *s = gpu_session_open(plan, sampling, 4);
    GPU_OK(solo_session_sync(s, prompt, N_PROMPT, &gpu_err));
    generate(s, &id, 1);
    solo_session_abort_for_test(s);
    generate(s, &id, 1);
    expect_wanted(s);
    solo_session_close(s);
    trust_again(plan);

    /* seen by a request for logits */
    s = gpu_session_open(plan, sampling, 4);
    uint32_t n_vocab = bed.model->hp.n_vocab;
    float *before = solo_zalloc(n_vocab, 4), *after = solo_zalloc(n_vocab, 4);
    GPU_OK(solo_session_sync(s, prompt, N_PROMPT, &gpu_err));
    GPU_OK(solo_session_logits(s, before, &gpu_err));
    solo_session_abort_for_test(s);
    GPU_OK(solo_session_logits(s, after, &gpu_err));
    assert_memory_equal(before, after, n_vocab * 4);
    expect_demoted(s, true, "timed out");
    free(before), free(after);
    solo_session_close(s);
    solo_plan_close(plan);
}

static void aborts_lose_nothing(void **state) {
    (void)state;
    lose_nothing("single");
    if (gpu_compiles_slowly()) return;
    lose_nothing("layer"); /* chunk is the same walk */
    lose_nothing("burst:4");
}

/* ---- the device's end ----------------------------------------------------------------------- */

static void expect_lost(const char *call, bool ok) {
    if (ok) fail_msg("%s worked on a lost device", call);
    assert_true(gpu_err.status == SOLO_DEVICE_LOST || gpu_err.status == SOLO_DEVICE_ERROR);
    if (!strstr(gpu_err.text, "lost")) fail_msg("%s: %s", call, gpu_err.text);
    gpu_err = (solo_error){0};
}

static void lost_device_is_an_error(void **state) {
    (void)state;
    solo_device *kept = gpu_device;
    GPU_OK(solo_device_open(&gpu_device, &(solo_device_desc){0}, &gpu_err));
    gpu_bed own = gpu_bed_open(&gpu_tiny, 0);
    solo_plan *plan = gpu_plan_open(&own, (solo_plan_desc){.factoring = "stages"}), *none;
    solo_session *s = gpu_session_open(plan, sampling, 4);
    uint32_t ids[N_TOKEN];
    float *logits = solo_zalloc(own.model->hp.n_vocab, 4);
    GPU_OK(solo_session_sync(s, prompt, N_PROMPT, &gpu_err));
    generate(s, ids, 3);
    solo_device_destroy_for_test(gpu_device);
    bool ok = true; /* what was read before may still be handed out, no more than was in flight */
    for (uint32_t i = 0; i < 5 && ok; i++) ok = solo_session_next(s, &ids[3 + i], &gpu_err);
    expect_lost("next", ok);
    expect_lost("next again", solo_session_next(s, ids, &gpu_err));
    expect_lost("logits", solo_session_logits(s, logits, &gpu_err));
    ids[0]++;
    expect_lost("sync", solo_session_sync(s, ids, 3, &gpu_err));
    solo_plan_desc again = {.weights = own.weights, .factoring = "stages"};
    expect_lost("plan", solo_plan_open(&none, &again, &gpu_err));
    solo_session_close(s);
    solo_plan_close(plan);
    gpu_bed_close(&own);
    solo_device_close(gpu_device);
    free(logits);
    gpu_device = kept;
}

/* ---- limits --------------------------------------------------------------------------------- */

static void expect_refused(const gpu_bed *b, solo_plan_desc d, solo_status status,
                           const char *text) {
    solo_plan *plan;
    d.weights = b->weights;
    assert_false(solo_plan_open(&plan, &d, &gpu_err));
    assert_null(plan);
    assert_int_equal(gpu_err.status, status);
    if (!strstr(gpu_err.text, text)) fail_msg("wanted \"%s\" in: %s", text, gpu_err.text);
}

static void contexts_past_the_binding(void **state) {
    (void)state;
    tiny_desc d = gpu_tiny;
    d.n_ctx = 1u << 24;
    gpu_bed wide = gpu_bed_open(&d, 0);
    solo_plan_desc desc = {.factoring = "stages", .n_ctx = 1u << 24, .kv_type = SOLO_KV_F32};
    char limit[60];
    snprintf(limit, sizeof limit, "grants %llu: at most n_ctx ",
             (unsigned long long)solo_device_info_of(gpu_device)->max_binding_bytes);
    if (solo_device_info_of(gpu_device)->max_binding_bytes < 8ull
                                                                 << 30) { /* 512 bytes a position */
        expect_refused(&wide, desc, SOLO_DEVICE_LIMIT, "n_ctx 16777216 wants 8589934592 bytes");
        expect_refused(&wide, desc, SOLO_DEVICE_LIMIT, limit);
    }
    gpu_bed_close(&wide);
}

static void plans_out_of_range(void **state) {
    (void)state;
    expect_refused(&bed, (solo_plan_desc){.factoring = "fused"}, SOLO_ARGUMENT,
                   "wanted one of unfused, roles, stages, layer, chunk, single, single-wg, burst");
    expect_refused(&bed, (solo_plan_desc){.factoring = "burst:400"}, SOLO_ARGUMENT, "found \"burst:400\"");
    expect_refused(&bed, (solo_plan_desc){.n_ctx = 97}, SOLO_ARGUMENT, "n_ctx: wanted 2 to 96");
    expect_refused(&bed, (solo_plan_desc){.n_ctx = 1}, SOLO_ARGUMENT, "found 1");
    expect_refused(&bed, (solo_plan_desc){.max_team = 3}, SOLO_ARGUMENT, "max_team");
    expect_refused(&bed, (solo_plan_desc){.max_team = 64}, SOLO_ARGUMENT, "max_team");
    expect_refused(&bed, (solo_plan_desc){.workgroup_size = 48}, SOLO_ARGUMENT, "workgroup size");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_at_once_times_out),   cmocka_unit_test(self_test_demotes),
        cmocka_unit_test(ticket_takes_any_count),  cmocka_unit_test(aborts_lose_nothing),
        cmocka_unit_test(lost_device_is_an_error), cmocka_unit_test(contexts_past_the_binding),
        cmocka_unit_test(plans_out_of_range),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
