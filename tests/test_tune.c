/* test_tune.c: the prediction behind `auto`, and the file that remembers its answers: what is stored
 * comes back, and no damaged file is more than a note. */
#include "cli/cli.h"
#include "tune.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- prediction ----------------------------------------------------------------------------- */

/* As measured on an H200, rounded. */
static const solo_probe_result gpu = {
    .read_bytes_s = 4e12,
    .dispatch_us = 1.8,
    .n_hand_off = 3,
    .hand_off = {{16, 0.6}, {128, 0.8}, {512, 1.6}},
};

static void near(double found, double wanted) {
    if (fabs(found - wanted) > 1e-9 * fabs(wanted)) fail_msg("wanted %g, found %g", wanted, found);
}

static void hand_offs_by_workgroups(void **state) {
    (void)state;
    near(solo_tune_hand_off_us(&gpu, 2), 0.6);
    near(solo_tune_hand_off_us(&gpu, 16), 0.6);
    near(solo_tune_hand_off_us(&gpu, 72), 0.7);
    near(solo_tune_hand_off_us(&gpu, 128), 0.8);
    near(solo_tune_hand_off_us(&gpu, 320), 1.2);
    near(solo_tune_hand_off_us(&gpu, 2000), 1.6);
    assert_true(isinf(solo_tune_hand_off_us(&(solo_probe_result){0}, 128)));
}

static void bytes_dispatches_and_hand_offs_add_up(void **state) {
    (void)state;
    near(solo_tune_predict_ms(&gpu, 2000000000, 0, 0, 128), 0.5);
    near(solo_tune_predict_ms(&gpu, 0, 163, 0, 128), 0.2934);
    near(solo_tune_predict_ms(&gpu, 2000000000, 1, 162, 128), 0.5 + 0.0018 + 0.1296);
    solo_probe_result none = gpu;
    none.n_hand_off = 0;
    assert_true(isinf(solo_tune_predict_ms(&none, 0, 1, 162, 128)));
    near(solo_tune_predict_ms(&none, 0, 163, 0, 128), 0.2934);
}

static void hand_offs_of_factorings(void **state) {
    (void)state;
    const solo_hparams hp = {.n_layer = 32};
    const solo_factoring *f;
    uint32_t n_tagged = 0, n_stage = 0;
    for (uint32_t i = 0; i < SOLO_STAGE_COUNT; i++)
        if (solo_stage_is_done(&hp, i)) n_stage += solo_stage_scope(i) == SOLO_SCOPE_LAYER ? 32 : 1;
    for (uint32_t i = 0; (f = solo_factoring_at(i)); i++) {
        uint32_t found = solo_tune_hand_offs(f, &hp);
        if (!f->tagged) assert_int_equal(found, 0);
        else n_tagged++, assert_in_range(found, 1, n_stage - 1);
        if (!strcmp(f->name, "single")) assert_int_equal(found, n_stage - 1);
    }
    assert_in_range(n_tagged, 2, 100); /* both forms of single, else the loop is blind */
}

static void order_and_best(void **state) {
    (void)state;
    solo_tune_row row[] = {{.n_dispatch = 0, .predicted_ms = INFINITY},
                           {.n_dispatch = 1, .predicted_ms = 3, .measured_ms = 5},
                           {.n_dispatch = 2, .predicted_ms = 2},
                           {.n_dispatch = 3, .predicted_ms = 3, .measured_ms = 4},
                           {.n_dispatch = 4, .predicted_ms = 1, .measured_ms = 6}};
    static const uint32_t wanted[] = {4, 2, 1, 3, 0};
    solo_tune_sort(row, 5);
    for (uint32_t i = 0; i < 5; i++) assert_int_equal(row[i].n_dispatch, wanted[i]);
    assert_int_equal(solo_tune_best(row, 5), 3);
    assert_int_equal(solo_tune_best(row + 4, 1), -1);
    assert_int_equal(solo_tune_best(row, 0), -1);
}

/* ---- the file ------------------------------------------------------------------------------- */

static char folder[64], path[200], note[400];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/solo-tune-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int drop_folder(void **state) {
    (void)state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static solo_tune_result sample(void) {
    solo_tune_result r = {.probe = gpu, .weight_bytes = 5000000000, .n_row = 2, .best = 1};
    r.row[0] = (solo_tune_row){
        .choice = {"single", 0}, .n_dispatch = 1, .n_hand_off = 162, .predicted_ms = INFINITY};
    snprintf(r.row[0].note, sizeof r.row[0].note, "not tried");
    r.row[1] = (solo_tune_row){.choice = {"stages", 256},
                               .n_dispatch = 163,
                               .predicted_ms = 0.5,
                               .measured_ms = 0.75};
    return r;
}

static void stored_comes_back(void **state) {
    (void)state;
    solo_tune_result a = sample(), b, other = sample();
    snprintf(path, sizeof path, "%s/a/b/tune.json", folder);
    assert_false(cli_tune_cache_find(path, "k", &b, note));
    assert_string_equal(note, ""); /* no file is no fault */
    assert_true(cli_tune_cache_store(path, "k", &a, note));
    other.best = 1, other.row[1].measured_ms = 9;
    assert_true(cli_tune_cache_store(path, "other", &other, note));
    assert_true(cli_tune_cache_find(path, "k", &b, note));
    assert_int_equal(b.best, 1);
    assert_int_equal(b.n_row, 2);
    assert_int_equal(b.weight_bytes, a.weight_bytes);
    assert_int_equal(b.probe.n_hand_off, 3);
    near(b.probe.hand_off[1].us, 0.8);
    assert_true(isinf(b.row[0].predicted_ms));
    assert_true(b.row[0].measured_ms == 0);
    assert_string_equal(b.row[0].note, "not tried");
    assert_string_equal(b.row[1].choice.factoring, "stages");
    assert_int_equal(b.row[1].choice.workgroup_size, 256);
    near(b.row[1].measured_ms, 0.75);
    assert_true(cli_tune_cache_find(path, "other", &b, note));
    near(b.row[1].measured_ms, 9);
    assert_false(cli_tune_cache_find(path, "K", &b, note));
    assert_string_equal(note, "");
}

static void write_file(const char *text, size_t n) {
    snprintf(path, sizeof path, "%s/hostile.json", folder);
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, n, out), n);
    fclose(out);
}

/* Every prefix of a good file, and the file with each byte changed: a result that holds, or none. */
static void damaged_files_are_notes(void **state) {
    (void)state;
    solo_tune_result good = sample(), r;
    json_t *root = json_pack("{s:i, s:{s:o}}", "schema", 1, "entries", "k", cli_tune_json(&good));
    char *text = json_dumps(root, 0), text_of_prefix[400];
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i += i % 7 + 1) {
        write_file(text, i);
        assert_false(cli_tune_cache_find(path, "k", &r, note));
        assert_true(note[0]);
        snprintf(text_of_prefix, sizeof text_of_prefix, "%s", note);
    }
    assert_non_null(strstr(text_of_prefix, path));
    for (size_t i = 0; i < n; i++) {
        char kept = text[i];
        text[i] = (char)(kept ^ 1);
        write_file(text, n);
        if (cli_tune_cache_find(path, "k", &r, note)) {
            assert_in_range(r.n_row, 1, SOLO_TUNE_MAX_ROW);
            assert_true(r.best < r.n_row && r.row[r.best].measured_ms > 0);
            assert_in_range(r.probe.n_hand_off, 0, SOLO_PROBE_MAX_HAND_OFF);
        }
        text[i] = kept;
    }
    write_file(text, n);
    assert_true(cli_tune_cache_find(path, "k", &r, note)); /* else the test above is blind */
    free(text);
    json_decref(root);
}

/* An entry whose fields are each of another kind or out of range. */
static void hostile_entries(void **state) {
    (void)state;
    static const char *const paths[][2] = {{NULL, "best"}, {NULL, "rows"}, {NULL, "probe"},
                                           {NULL, "weight_bytes"}, {"probe", "hand_off"},
                                           {"probe", "n_resident"}, {"probe", "dispatch_us"}};
    static const char *const values[] = {"-1", "1e400", "99999999999999999999", "\"x\"", "{}",
                                         "[[]]", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18]",
                                         "true"};
    solo_tune_result good = sample(), r;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            json_t *value = cli_tune_json(&good), *bad = json_loads(values[k], JSON_DECODE_ANY, NULL);
            json_t *at = paths[i][0] ? json_object_get(value, paths[i][0]) : value;
            if (bad && json_object_set_new(at, paths[i][1], bad) == 0 && cli_tune_parse(value, &r))
                fail_msg("%s = %s: wanted a refusal", paths[i][1], values[k]);
            json_decref(value);
        }
    }
    json_t *long_name = cli_tune_json(&good);
    json_object_set_new(json_array_get(json_object_get(long_name, "rows"), 0), "factoring",
                        json_string("a-name-longer-than-any-factoring-of-this-program"));
    assert_false(cli_tune_parse(long_name, &r));
    json_decref(long_name);
    json_t *unmeasured = cli_tune_json(&good);
    json_object_set_new(unmeasured, "best", json_integer(0));
    assert_false(cli_tune_parse(unmeasured, &r)); /* what was not measured was not picked */
    json_decref(unmeasured);
}

static void what_is_no_file(void **state) {
    (void)state;
    solo_tune_result good = sample(), r;
    assert_false(cli_tune_cache_find(folder, "k", &r, note));
    assert_true(note[0]);
    assert_false(cli_tune_cache_store(folder, "k", &good, note)); /* a folder stands in its place */
    assert_true(note[0]);
    assert_false(cli_tune_cache_store("/proc/nowhere/tune.json", "k", &good, note));
    assert_true(note[0]);
    write_file("{\"schema\": 2, \"entries\": {}}", 28);
    assert_false(cli_tune_cache_find(path, "k", &r, note));
    assert_non_null(strstr(note, "schema"));
    assert_true(cli_tune_cache_store(path, "k", &good, note)); /* a damaged file is replaced */
    assert_true(cli_tune_cache_find(path, "k", &r, note));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hand_offs_by_workgroups),
        cmocka_unit_test(bytes_dispatches_and_hand_offs_add_up),
        cmocka_unit_test(hand_offs_of_factorings),
        cmocka_unit_test(order_and_best),
        cmocka_unit_test(stored_comes_back),
        cmocka_unit_test(damaged_files_are_notes),
        cmocka_unit_test(hostile_entries),
        cmocka_unit_test(what_is_no_file),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
