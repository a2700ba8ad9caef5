/* test_sweep.c: the parts of `solo sweep` that need no device: specs multiplied out and refused field by field,
 * keys, results read back after a cut, what is refused as a time or as an output, and the fit. */
#include "cli/sweep.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char error[SWEEP_TEXT_BYTES];

/* ---- specs ---------------------------------------------------------------------------------- */

#define HEAD "{\"schema\": \"solo-sweep-spec-1\", \"name\": \"x\", \"title\": \"t\", \"question\": \"q\", "

static const char good[] =
    HEAD "\"set\": {\"model\": \"toy:32x1x2\", \"type\": \"f16\"},"
    "\"axes\": {\"workgroup_size\": [64, 32], \"factoring\": [\"single\", \"stages\"]},"
    "\"rows\": [{\"factoring\": \"chunk:2\"}, {\"factoring\": \"single\", \"workgroup_size\": 64}],"
    "\"grids\": [{\"set\": {\"factoring\": \"single\"}, \"axes\": {\"hand_off\": [\"tag\", \"none\"]}}],"
    "\"measure\": {\"tokens\": 8, \"shares\": true},"
    "\"quick\": {\"set\": {\"type\": \"q8_0\"}, \"axes\": {\"workgroup_size\": [32]}, \"grids\": [],"
    " \"measure\": {\"samples\": 2}}}";

static const char *text_of(const sweep_spec *s, uint32_t row, const char *key) {
    return json_string_value(json_object_get(s->row[row], key));
}

static void rows_come_in_order(void **state) {
    (void)state;
    sweep_spec s;
    char key[SWEEP_TEXT_BYTES];
    assert_true(sweep_spec_parse(good, "x.json", false, &s, error));
    assert_int_equal(s.n_row, 7); /* the product's four, two grids' rows, chunk:2; the other row is one of the four */
    const char *wanted[] = {"single", "single", "stages", "stages", "chunk:2", "single", "single"};
    const int size[] = {64, 32, 64, 32, 0, 0, 0};
    for (uint32_t i = 0; i < s.n_row; i++) {
        assert_string_equal(text_of(&s, i, "factoring"), wanted[i]);
        assert_string_equal(text_of(&s, i, "type"), "f16");
        assert_int_equal(json_integer_value(json_object_get(s.row[i], "workgroup_size")), size[i]);
    }
    assert_int_equal(s.n_token, 8);
    assert_int_equal(s.n_sample, 7);
    assert_true(s.shares);
    sweep_row_key(&s, s.row[1], key);
    assert_string_equal(key, "x: model=toy:32x1x2 type=f16 factoring=single workgroup_size=32 tokens=8 samples=7");
    for (uint32_t i = 0; i < s.n_row; i++) /* no two alike */
        for (uint32_t k = 0; k < i; k++) {
            char other[SWEEP_TEXT_BYTES];
            sweep_row_key(&s, s.row[i], key), sweep_row_key(&s, s.row[k], other);
            assert_string_not_equal(key, other);
        }
    sweep_spec_free(&s);
}

static void quick_takes_the_place_of_parts(void **state) {
    (void)state;
    sweep_spec s;
    assert_true(sweep_spec_parse(good, "x.json", true, &s, error));
    assert_int_equal(s.n_row, 4); /* two of the product, both rows: the second's size is 64 */
    for (uint32_t i = 0; i < s.n_row; i++) assert_string_equal(text_of(&s, i, "type"), "q8_0");
    assert_int_equal(s.n_sample, 2);
    assert_int_equal(s.n_token, 8);
    sweep_spec_free(&s);
}

static void settings_become_descs(void **state) {
    (void)state;
    json_error_t at;
    json_t *o = json_loads("{\"model\": \"toy:32x1x2\", \"layers\": 3, \"vocab\": 400, \"factoring\": \"layer\","
                           "\"hand_off\": \"plain\", \"submit\": \"await\", \"reduction\": \"scratch\", \"queue\": 0,"
                           "\"assignment\": \"ticket\", \"activations\": \"f32\", \"kv\": \"f16\", \"in_flight\": 2,"
                           "\"tokens_submit\": 4, \"tile_rows\": 16, \"k_split\": 8, \"rows_team\": 2}", 0, &at);
    sweep_setup s = sweep_setup_of(o);
    assert_int_equal(s.synth.n_layer, 3);
    assert_int_equal(s.synth.n_vocab, 400);
    assert_int_equal(s.plan.hand_off, SOLO_HAND_OFF_PLAIN);
    assert_int_equal(s.plan.submit, SOLO_SUBMIT_AWAIT);
    assert_int_equal(s.plan.queue, SOLO_QUEUE_NONE);
    assert_int_equal(s.plan.assignment, SOLO_ASSIGNMENT_TICKET);
    assert_int_equal(s.plan.activations, SOLO_ACTIVATIONS_F32);
    assert_int_equal(s.plan.kv_type, SOLO_KV_F16);
    assert_true(s.plan.no_subgroups);
    assert_int_equal(s.session.n_in_flight, 2);
    assert_int_equal(s.session.n_token_submit, 4);
    assert_int_equal(s.plan.tile_rows + s.plan.k_split + s.plan.rows_team, 26);
    assert_int_equal(s.n_pos, 16);
    json_decref(o);
}

static void wrong_specs_name_the_field(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"{", "line 1"},
        {"[]", "x.json: spec: wanted an object, found []"},
        {"{\"schema\": \"solo-sweep-spec-2\"}", "schema: wanted \"solo-sweep-spec-1\", found \"solo-sweep-spec-2\""},
        {"{\"schema\": \"solo-sweep-spec-1\", \"name\": \"a b\", \"title\": \"t\", \"question\": \"q\"}",
         "name: wanted letters"},
        {HEAD "\"axis\": {}}", "found 'axis'"},
        {HEAD "\"axes\": {}}", "wanted a row"},
        {HEAD "\"set\": {\"colour\": 3}, \"rows\": []}", "set: wanted a setting of docs/sweep.md, found 'colour'"},
        {HEAD "\"axes\": {\"workgroup_size\": [64, 0]}}",
         "axes.workgroup_size[1]: wanted a whole number from 1 to 65536, found 0"},
        {HEAD "\"axes\": {\"workgroup_size\": 64}}", "axes.workgroup_size: wanted a list of values, found 64"},
        {HEAD "\"axes\": {\"workgroup_size\": []}}", "axes.workgroup_size: wanted a list"},
        {HEAD "\"rows\": [{\"factoring\": \"solo\"}]}", "rows[0].factoring: factoring: wanted one of"},
        {HEAD "\"rows\": [{\"model\": \"phi-4\"}]}", "rows[0].model: wanted one of phi-3-mini"},
        {HEAD "\"rows\": [{\"factoring\": \"single\"}]}", "wanted a model and a factoring"},
        {HEAD "\"rows\": [{\"hand_off\": \"hope\"}]}", "rows[0].hand_off: wanted one of counter+tag, tag"},
        {HEAD "\"rows\": [{\"queue_across\": 1}]}", "wanted true or false, found 1"},
        {HEAD "\"rows\": {}}", "rows: wanted a list"},
        {HEAD "\"grids\": [{\"axis\": {}}]}", "grids[0]: wanted set, axes, found 'axis'"},
        {HEAD "\"measure\": {\"tokens\": 0}, \"rows\": []}",
         "measure.tokens: wanted a whole number from 1 to 4096, found 0"},
        {HEAD "\"measure\": {\"token\": 1}, \"rows\": []}", "found 'token'"},
        {HEAD "\"quick\": {\"axes\": {\"queue\": [65]}}}", "quick.axes.queue[0]: wanted"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        sweep_spec s;
        /* quick's own fields are read only when quick is asked for */
        if (sweep_spec_parse(wrong[i][0], "x.json", true, &s, error)) fail_msg("taken: %s", wrong[i][0]);
        if (!strstr(error, wrong[i][1])) fail_msg("wanted '%s' in '%s'", wrong[i][1], error);
        if (!strstr(error, "x.json: ")) fail_msg("no file in '%s'", error);
    }
}

/* ---- results -------------------------------------------------------------------------------- */

static void write_text(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void results_are_read_back(void **state) {
    (void)state;
    static const char head[] = "{\"schema\":\"solo-sweep-1\",\"what\":\"head\",\"device\":{\"name\":\"a\"}}\n";
    char path[] = "/tmp/solo-test-sweep-XXXXXX", text[400];
    int fd = mkstemp(path);
    long n_bytes;
    assert_true(fd >= 0);
    close(fd);
    snprintf(text, sizeof text, "%s{\"what\":\"row\",\"key\":\"1\"}\n{\"what\":\"row\",\"key\":\"2", head);
    write_text(path, text);
    json_t *lines = sweep_file_read(path, &n_bytes, error);
    assert_non_null(lines);
    assert_int_equal(json_array_size(lines), 2); /* the line that was cut is not there */
    assert_int_equal(n_bytes, strlen(head) + strlen("{\"what\":\"row\",\"key\":\"1\"}\n"));
    json_t *other = json_deep_copy(json_array_get(lines, 0));
    assert_false(sweep_head_fits(path, json_array_get(lines, 0), other, error)); /* much is missing from both */
    assert_non_null(strstr(error, "solo: wanted nothing, found nothing"));
    json_decref(other), json_decref(lines);
    snprintf(text, sizeof text, "%s{\"what\":\"row\"\n", head);
    write_text(path, text);
    assert_null(sweep_file_read(path, NULL, error));
    assert_non_null(strstr(error, ":2: wanted a row"));
    write_text(path, "{\"schema\":\"solo-sweep-9\",\"what\":\"head\"}\n");
    assert_null(sweep_file_read(path, NULL, error));
    assert_non_null(strstr(error, "schema: wanted \"solo-sweep-1\""));
    unlink(path);
}

static json_t *head_of(const char *device, const char *commit) {
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:{s:s, s:s, s:s}}", "schema", SWEEP_SCHEMA, "what", "head",
                     "solo", "0", "commit", commit, "where", "native", "webgpu", "w", "quick", 0, "device", "name",
                     device, "driver", "d", "backend", "b");
}

static void another_runs_result_is_not_gone_on_with(void **state) {
    (void)state;
    json_t *a = head_of("one", "c"), *b = head_of("two", "c"), *c = head_of("one", "d");
    assert_true(sweep_head_fits("f", a, a, error));
    assert_false(sweep_head_fits("f", a, b, error));
    assert_non_null(strstr(error, "device.name: wanted \"two\", found \"one\""));
    assert_false(sweep_head_fits("f", a, c, error));
    assert_non_null(strstr(error, "commit: wanted \"d\", found \"c\""));
    json_decref(a), json_decref(b), json_decref(c);
}

/* ---- rules ---------------------------------------------------------------------------------- */

static void expect_refused(const solo_device_info *d, const double *sample, uint32_t n, double warm_s, double bytes,
                           double rate, const char *why) {
    const char *found = measure_refusal(d, sample, n, warm_s, bytes, rate);
    if (!why && found) fail_msg("refused: %s", found);
    if (why && (!found || !strstr(found, why))) fail_msg("wanted '%s', found '%s'", why, found ? found : "nothing");
}

static void what_breaks_the_protocol_is_refused(void **state) {
    (void)state;
    const solo_device_info gpu = {.name = "G", .backend = "Vulkan"}, nameless = {.backend = "Vulkan"};
    const solo_device_info software = {.name = "S", .backend = "Vulkan", .is_software = true};
    const double even[] = {100, 101, 99, 100, 100, 100}, rising[] = {60, 61, 80, 90, 100, 101};
    expect_refused(&gpu, even, 6, 1, 1e9, 1.1e11, NULL);
    expect_refused(&nameless, even, 6, 1, 1e9, 1.1e11, "no name");
    expect_refused(&gpu, even, 6, 0.1, 1e9, 1.1e11, "cold clocks");
    expect_refused(&gpu, rising, 6, 1, 1e9, 1.1e11, "cold clocks");
    expect_refused(&gpu, even, 6, 1, 1e9, 0.9e11, "above");
    expect_refused(&gpu, even, 6, 1, 1e9, 0, "not measured");
    expect_refused(&software, rising, 6, 0, 1e9, 0.9e11, NULL);
}

static void expect_other(solo_plan_desc d, const char *reduction, const solo_plan_info *p, const char *why) {
    char reason[600] = "";
    if (!d.factoring) d.factoring = "single";
    bool same = measure_is_as_asked(&d, reduction, p, reason);
    if (same != !why) fail_msg("wanted '%s', found '%s'", why ? why : "as asked", reason);
    if (why && !strstr(reason, why)) fail_msg("wanted '%s' in '%s'", why, reason);
}

static void what_ran_otherwise_is_seen(void **state) {
    (void)state;
    solo_plan_info p = {.factoring = "single", .assignment = "ticket", .hand_off = "counter+tag", .reduce = "lane",
                        .workgroup_size = 256, .n_workgroup = 16, .n_stage = 2};
    p.stage[0] = (solo_stage_info){.name = "embed", .team = 1, .weight_bytes = 1};
    p.stage[1] = (solo_stage_info){.name = "qkv", .team = 8, .weight_bytes = 1};
    expect_other((solo_plan_desc){0}, NULL, &p, NULL);
    expect_other((solo_plan_desc){.workgroup_size = 256, .n_workgroup = 16, .k_split = 8}, "scratch", &p, NULL);
    expect_other((solo_plan_desc){.workgroup_size = 512}, NULL, &p, "workgroup_size: wanted 512, the device ran 256");
    expect_other((solo_plan_desc){.n_workgroup = 17}, NULL, &p, "n_workgroup: wanted 17");
    expect_other((solo_plan_desc){.assignment = SOLO_ASSIGNMENT_STATIC}, NULL, &p, "assignment: wanted static");
    expect_other((solo_plan_desc){.hand_off = SOLO_HAND_OFF_TAG}, NULL, &p, "hand_off: wanted tag");
    expect_other((solo_plan_desc){.k_split = 4}, NULL, &p, "k_split: wanted 4, the device ran 8");
    expect_other((solo_plan_desc){0}, "subgroup", &p, "reduction: wanted subgroup");
    expect_other((solo_plan_desc){.factoring = "layer"}, NULL, &p, "factoring: wanted layer");
    p.hand_off = p.assignment = "-"; /* dispatch boundaries: workgroups are only how stages are cut */
    expect_other((solo_plan_desc){.n_workgroup = 17}, NULL, &p, NULL);
}

static void wrong_outputs_are_seen(void **state) {
    (void)state;
    enum { N = 64 };
    float reference[N], logits[N];
    measure_error e;
    double tolerance;
    for (uint32_t i = 0; i < N; i++) reference[i] = logits[i] = sinf((float)i);
    assert_null(measure_check_logits(logits, reference, N, false, false, &e, &tolerance));
    logits[7] += 0.01f; /* 0.014 deviations: more than f32 may have, less than int8 */
    assert_string_equal(measure_check_logits(logits, reference, N, false, false, &e, &tolerance),
                        "logits differ from the reference");
    assert_true(e.max > 0.013 && e.max < 0.015);
    assert_null(measure_check_logits(logits, reference, N, true, true, &e, &tolerance));
    logits[7] = NAN;
    assert_non_null(strstr(measure_check_logits(logits, reference, N, true, true, &e, &tolerance), "NaN"));
    for (uint32_t i = 0; i < N; i++) logits[i] = 0;
    assert_non_null(strstr(measure_check_logits(logits, reference, N, true, true, &e, &tolerance), "zero"));
    for (uint32_t i = 0; i < N; i++) logits[i] = -reference[i];
    assert_non_null(measure_check_logits(logits, reference, N, true, true, &e, &tolerance));
}

/* ---- the fit -------------------------------------------------------------------------------- */

static void costs_are_found_again(void **state) {
    (void)state;
    /* 228 stages, floor 0.46 ms; 1.8 us a dispatch, 0.8 a hand-off, 1.5 a stage */
    const double n_dispatch[] = {500, 228, 163, 34, 4, 1}, n_hand_off[] = {0, 0, 0, 160, 190, 193};
    sweep_point p[6];
    for (uint32_t i = 0; i < 6; i++)
        p[i] = (sweep_point){.label = "", .floor_ms = 0.46, .n_dispatch = n_dispatch[i], .n_hand_off = n_hand_off[i],
                             .n_stage = 194,
                             .ms = 0.46 + 1.8e-3 * n_dispatch[i] + 0.8e-3 * n_hand_off[i] + 1.5e-3 * 194};
    sweep_fit f = sweep_fit_points(p, 6);
    assert_true(fabs(f.dispatch_us - 1.8) < 1e-6 && fabs(f.hand_off_us - 0.8) < 1e-6 && fabs(f.stage_us - 1.5) < 1e-6);
    assert_true(f.worst < 1e-9);
    /* no cost is below 0: what is faster than its dispatches says is an error that is told */
    for (uint32_t i = 0; i < 6; i++) p[i].ms = 0.5 - 1e-4 * n_dispatch[i];
    f = sweep_fit_points(p, 6);
    assert_true(f.dispatch_us >= 0 && f.hand_off_us >= 0 && f.stage_us >= 0 && f.worst > 0.01);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_in_order),
        cmocka_unit_test(quick_takes_the_place_of_parts),
        cmocka_unit_test(settings_become_descs),
        cmocka_unit_test(wrong_specs_name_the_field),
        cmocka_unit_test(results_are_read_back),
        cmocka_unit_test(another_runs_result_is_not_gone_on_with),
        cmocka_unit_test(what_breaks_the_protocol_is_refused),
        cmocka_unit_test(what_ran_otherwise_is_seen),
        cmocka_unit_test(wrong_outputs_are_seen),
        cmocka_unit_test(costs_are_found_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
