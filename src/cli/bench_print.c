/* bench_print.c: what `solo bench` found, as a table or as one JSON object: medians and spread, bytes
 * against the measured read bandwidth, and all that a reader needs to run it again. */
#include "bench.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#ifndef SOLO_WEBGPU_BUILD
#define SOLO_WEBGPU_BUILD "unknown" /* CMakeLists.txt: the pinned package and version, or the library */
#endif

static measure_spread spread_of(const bench_series *s) { return measure_spread_of(s->sample, s->n_sample); }

static double bytes_a_token(const bench *b, const bench_row *row, uint32_t at) {
    return measure_bytes(&row->run.info, b->position[at], b->n_token);
}

static bool is_refused(const bench *b, double bytes_s) {
    return measure_above_roofline(&b->engine.device_info, bytes_s, b->read_rate);
}

static double dispatches(const bench_series *s) {
    return s->n_step ? (double)s->n_step_dispatch / (double)s->n_step : 0;
}

/* ---- JSON --------------------------------------------------------------------------------- */

static const char *const rules[] = {"first", "same", "leading", "none"};

static json_t *geometry_json(const bench_row *row) {
    const solo_plan_info *p = &row->run.info;
    return json_pack("{s:i, s:i, s:i, s:s, s:i, s:f, s:f}", "workgroup_size", (int)p->workgroup_size,
                     "workgroups", (int)p->n_workgroup, "workgroup_bytes", (int)p->workgroup_bytes,
                     "reduce", p->reduce, "hand_offs", (int)p->n_hand_off, "compile_seconds", p->compile_seconds,
                     "self_test_seconds", p->self_test_seconds);
}

static json_t *row_json(const bench *b, const bench_row *row, uint32_t at) {
    const bench_series *s = &row->series[at];
    if (s->n_sample == 0)
        return json_pack("{s:s, s:i, s:o}", "factoring", row->name, "n_pos", (int)b->position[at],
                         "error", cli_json_text(row->run.error, strlen(row->run.error)));
    measure_spread x = spread_of(s);
    double bytes = bytes_a_token(b, row, at);
    bool above = is_refused(b, bytes * x.median);
    json_t *samples = measure_samples_json(s->sample, s->n_sample);
    json_t *o = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:o, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "factoring",
        row->name, "ran_as", row->run.ran_as, "assignment", row->run.info.assignment, "activations",
        row->run.info.activations, "kv", row->run.info.kv_type, "geometry", geometry_json(row), "n_pos",
        (int)b->position[at], "n_token", (int)b->n_token, "dispatches_per_token", dispatches(s),
        "tok_s", x.median, "tok_s_min", x.min, "tok_s_max", x.max, "tok_s_q1", x.q1, "tok_s_q3",
        x.q3, "ms_per_token", 1e3 / x.median);
    json_t *rest = json_pack(
        "{s:f, s:f, s:f, s:b, s:b, s:b, s:i, s:s, s:s*, s:s*, s:o}", "mb_per_token", bytes * 1e-6, "gb_s",
        bytes * x.median * 1e-9, "of_read", b->read_rate > 0 ? bytes * x.median / b->read_rate : 0.0,
        "fell_back", (int)row->run.fell_back, "tokens_agree", s->n_leading == b->n_token, "tokens_ok",
        (int)s->agrees, "tokens_leading",
        (int)s->n_leading, "tokens_rule", rules[s->rule], "refused",
        above ? "above the read bandwidth measured on this device" : NULL, "error",
        row->run.error[0] ? row->run.error : NULL, "samples_tok_s", samples);
    json_object_update(o, rest);
    json_decref(rest);
    return o;
}

static int print_json(const bench *b, const cli_options *options) {
    const solo_device_info *d = &b->engine.device_info;
    solo_model_info m = solo_model_get_info(b->engine.model);
    json_t *rows = json_array();
    for (uint32_t at = 0; at < b->n_position; at++)
        for (uint32_t i = 0; i < b->n_row; i++)
            json_array_append_new(rows, row_json(b, &b->row[i], at));
    return cli_print_json(json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:[], s:o, s:s, s:I, s:I, s:f, s:i, s:i, s:o}",
        "schema", 2, "solo", SOLO_VERSION, "commit", options->commit ? options->commit : "unknown",
        "adapter", d->name, "driver", d->driver, "backend", d->backend, "software_adapter",
        (int)d->is_software, "webgpu", SOLO_WEBGPU_BUILD, "toggles", "model",
        cli_json_text(m.name, strlen(m.name)), "file_type", m.file_type, "model_bytes",
        (json_int_t)m.n_bytes, "n_param", (json_int_t)m.n_param, "read_gb_s", b->read_rate * 1e-9,
        "n_sample", (int)b->n_sample, "tolerance_leading_tokens", BENCH_LEADING, "rows", rows));
}

/* ---- the table ---------------------------------------------------------------------------- */

static void print_row(const bench *b, const bench_row *row, uint32_t at) {
    const bench_series *s = &row->series[at];
    char tokens[64] = "agree";
    if (s->n_sample == 0) {
        printf("%-28s %s\n", row->name, row->run.error);
        return;
    }
    measure_spread x = spread_of(s);
    double bytes = bytes_a_token(b, row, at);
    if (s->n_leading < b->n_token)
        snprintf(tokens, sizeof tokens, "%s%" PRIu32 " of %" PRIu32 " leading", s->agrees ? "" : "DIFFER, ",
                 s->n_leading, b->n_token);
    printf("%-28s %10.4g %10.1f %10.1f %10.1f %9.1f %9.3f %8.1f %7.1f%%  %s%s\n", row->name,
           dispatches(s), x.median, x.min, x.max, x.q3 - x.q1, 1e3 / x.median,
           bytes * x.median * 1e-9, b->read_rate > 0 ? 100 * bytes * x.median / b->read_rate : 0.0,
           tokens, row->run.fell_back ? " (fell back)" : "");
    if (is_refused(b, bytes * x.median))
        puts("  refused: above the read bandwidth measured on this device");
}

int bench_print(const bench *b, const cli_options *options) {
    if (options->json) return print_json(b, options);
    const solo_device_info *d = &b->engine.device_info;
    printf("%s%s, %s, %s, %s\nread bandwidth %.1f GB/s, %" PRIu32 " tokens a sample, %" PRIu32
           " samples\n",
           d->name, d->is_software ? " (software adapter)" : "", d->backend, d->driver,
           SOLO_WEBGPU_BUILD, b->read_rate * 1e-9, b->n_token, b->n_sample);
    for (uint32_t at = 0; at < b->n_position; at++) {
        printf("\nafter %" PRIu32 " positions\n%-28s %10s %10s %10s %10s %9s %9s %8s %8s  %s\n",
               b->position[at], "factoring", "dispatches", "tok/s", "min", "max", "quartiles",
               "ms/token", "GB/s", "of read", "tokens");
        for (uint32_t i = 0; i < b->n_row; i++) print_row(b, &b->row[i], at);
    }
    return cli_finish_output();
}
