/* bench.c: `solo bench`: decode speed of factorings, side by side in one process. Protocol
 * (bench/PROTOCOL.md): one copy of the weights; every factoring's session open at once; clocks
 * warmed up; samples taken in turn, round by round, so that drift meets all alike; medians; greedy
 * tokens, end tokens written like others; each factoring's tokens must agree; a row above the
 * measured read bandwidth is refused. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_ROW = 16, MAX_SAMPLE = 64 };

typedef struct bench_row {
    char name[32];
    solo_plan *plan;
    solo_session *session;
    double sample[MAX_SAMPLE]; /* tok/s */
    uint32_t n_sample;
    uint32_t *ids; /* of the first sample */
    bool agrees;
} bench_row;

typedef struct bench {
    cli_engine engine;
    bench_row row[MAX_ROW];
    uint32_t n_row;
    double read_rate; /* bytes/s */
    uint32_t *prompt;
} bench;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *sample, uint32_t n) {
    double sorted[MAX_SAMPLE];
    memcpy(sorted, sample, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* A factoring's name, behind it :static or :ticket if that is wanted: "single", "chunk:4:ticket". */
static bool open_row(bench *b, const cli_options *options, const char *name, solo_error *err) {
    if (b->n_row == MAX_ROW)
        return cli_fail_text("--factorings: wanted at most %d names", MAX_ROW), false;
    bench_row *row = &b->row[b->n_row++];
    snprintf(row->name, sizeof row->name, "%s", name);
    solo_plan_desc desc = options->plan;
    desc.weights = b->engine.weights;
    char factoring[32];
    const char *form = strrchr(name, ':');
    if (form && !strcmp(form, ":static")) desc.assignment = SOLO_ASSIGNMENT_STATIC;
    else if (form && !strcmp(form, ":ticket")) desc.assignment = SOLO_ASSIGNMENT_TICKET;
    else form = NULL;
    snprintf(factoring, sizeof factoring, "%.*s", (int)(form ? (size_t)(form - name) : strlen(name)),
             name);
    desc.factoring = factoring;
    if (!solo_plan_open(&row->plan, &desc, err)) return cli_fail(err), false;
    if (!solo_session_open(&row->session, &(solo_session_desc){.plan = row->plan}, err))
        return cli_fail(err), false;
    return true;
}

static bool open_rows(bench *b, const cli_options *options) {
    char names[400];
    solo_error err = {0};
    snprintf(names, sizeof names, "%s",
             options->factorings ? options->factorings : "unfused,roles,stages,layer,chunk,single-wg,single,burst");
    for (char *rest = names, *name; (name = strtok_r(rest, ",", &rest));)
        if (!open_row(b, options, name, &err)) return false;
    return true;
}

/* One sample: n tokens after the prompt, whose KV rows stay from the sample before. */
static bool take_sample(bench *b, bench_row *row, uint32_t n_pos, uint32_t n, bool count,
                        solo_error *err) {
    uint32_t *ids = malloc(n * sizeof *ids);
    bool ok = ids && solo_session_sync(row->session, b->prompt, n_pos, err);
    double t = now();
    for (uint32_t i = 0; ok && i < n; i++) ok = solo_session_next(row->session, &ids[i], err);
    t = now() - t;
    if (ok && count) row->sample[row->n_sample++] = n / t;
    if (ok && !row->ids) {
        row->ids = ids;
        row->agrees = memcmp(ids, b->row[0].ids, n * sizeof *ids) == 0;
    } else {
        free(ids);
    }
    return ok;
}

static json_t *row_json(const bench *b, const bench_row *row, uint32_t n_pos, uint32_t n) {
    solo_plan_info plan = solo_plan_get_info(row->plan);
    solo_session_info session = solo_session_get_info(row->session);
    double tok_s = median(row->sample, row->n_sample);
    double bytes = (double)plan.weight_bytes + (double)plan.kv_bytes_per_pos * (n_pos + n / 2.0);
    json_t *samples = json_array();
    for (uint32_t i = 0; i < row->n_sample; i++)
        json_array_append_new(samples, json_real(row->sample[i]));
    bool above = b->read_rate > 0 && bytes * tok_s > b->read_rate;
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:f, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:b, "
        "s:b, s:s*, s:o}",
        "factoring", row->name, "ran_as", session.factoring, "assignment", plan.assignment,
        "activations", plan.activations, "kv", plan.kv_type, "reduce", plan.reduce, "workgroups",
        (int)plan.n_workgroup, "workgroup_size", (int)plan.workgroup_size, "dispatches_per_token",
        session.n_step ? (double)session.n_step_dispatch / (double)session.n_step : 0.0, "n_pos",
        (int)n_pos, "n_token", (int)n, "tok_s", tok_s, "ms_per_token", 1e3 / tok_s, "mb_per_token",
        bytes * 1e-6, "gb_s", bytes * tok_s * 1e-9, "of_read",
        b->read_rate > 0 ? bytes * tok_s / b->read_rate : 0.0, "fell_back",
        session.fell_back || plan.note[0], "tokens_agree", row->agrees, "refused",
        above ? "above the read bandwidth measured on this device" : NULL, "samples_tok_s",
        samples);
}

static void print_table(const bench *b, uint32_t n_pos) {
    printf("%-16s %10s %10s %10s %10s %10s %8s  %s\n", "factoring", "dispatches", "tok/s", "min",
           "max", "ms/token", "of read", "tokens");
    for (uint32_t i = 0; i < b->n_row; i++) {
        const bench_row *row = &b->row[i];
        solo_plan_info plan = solo_plan_get_info(row->plan);
        solo_session_info session = solo_session_get_info(row->session);
        double sorted[MAX_SAMPLE];
        memcpy(sorted, row->sample, row->n_sample * sizeof *sorted);
        qsort(sorted, row->n_sample, sizeof *sorted, compare);
        double tok_s = median(row->sample, row->n_sample);
        double bytes = (double)plan.weight_bytes + (double)plan.kv_bytes_per_pos * n_pos;
        printf("%-16s %10.4g %10.1f %10.1f %10.1f %10.3f %7.1f%%  %s%s\n", row->name,
               (double)session.n_step_dispatch / (double)session.n_step, tok_s, sorted[0],
               sorted[row->n_sample - 1], 1e3 / tok_s,
               b->read_rate > 0 ? 100 * bytes * tok_s / b->read_rate : 0.0,
               row->agrees ? "agree" : "DIFFER",
               session.fell_back || plan.note[0] ? " (fell back)" : "");
    }
}

static bool run_rounds(bench *b, const cli_options *options, uint32_t n_pos, uint32_t n,
                       solo_error *err) {
    for (uint32_t i = 0; i < b->n_row; i++)
        if (!take_sample(b, &b->row[i], n_pos, n, false, err)) return false;
    double began = now();
    while (now() - began < (b->engine.device_info.is_software ? 0 : 1.0)) /* warm clocks */
        if (!take_sample(b, &b->row[b->n_row - 1], n_pos, n, false, err)) return false;
    for (uint32_t s = 0; s < options->samples; s++)
        for (uint32_t i = 0; i < b->n_row; i++)
            if (!take_sample(b, &b->row[i], n_pos, n, true, err)) return false;
    return true;
}

static int print_result(const bench *b, const cli_options *options, uint32_t n_pos, uint32_t n) {
    if (!options->json) {
        printf("%s, %s, read bandwidth %.1f GB/s, %u positions, %u tokens a sample, %u samples\n",
               b->engine.device_info.name, b->engine.device_info.driver, b->read_rate * 1e-9, n_pos,
               n, options->samples);
        print_table(b, n_pos);
        return cli_finish_output();
    }
    solo_model_info model = solo_model_get_info(b->engine.model);
    json_t *rows = json_array();
    for (uint32_t i = 0; i < b->n_row; i++)
        json_array_append_new(rows, row_json(b, &b->row[i], n_pos, n));
    return cli_print_json(json_pack(
        "{s:i, s:s, s:s, s:s, s:s, s:s, s:b, s:[], s:s, s:s, s:I, s:f, s:o}", "schema", 1, "solo",
        SOLO_VERSION, "commit", options->commit ? options->commit : "unknown", "adapter",
        b->engine.device_info.name, "driver", b->engine.device_info.driver, "backend",
        b->engine.device_info.backend, "software_adapter", (int)b->engine.device_info.is_software,
        "toggles", "model", model.name, "file_type", model.file_type, "model_bytes",
        (json_int_t)model.n_bytes, "read_gb_s", b->read_rate * 1e-9, "rows", rows));
}

int cli_bench(const cli_options *options) {
    bench b = {0};
    solo_error err = {0};
    uint32_t n = options->has_n && options->n ? options->n : 64, n_pos = options->positions;
    int code = CLI_FAILED;
    if (!cli_engine_open_weights(&b.engine, options)) goto done;
    uint32_t n_vocab = solo_model_get_info(b.engine.model).n_vocab;
    b.prompt = malloc(n_pos * sizeof *b.prompt);
    for (uint32_t i = 0; b.prompt && i < n_pos; i++) b.prompt[i] = (i * 7919u + 1000u) % n_vocab;
    if (!b.engine.device_info.is_reference &&
        !solo_device_read_bandwidth(b.engine.device, &b.read_rate, &err)) {
        cli_fail(&err);
        goto done;
    }
    if (!open_rows(&b, options)) goto done;
    if (!run_rounds(&b, options, n_pos, n, &err)) {
        cli_fail(&err);
        goto done;
    }
    code = print_result(&b, options, n_pos, n);
    for (uint32_t i = 0; i < b.n_row; i++)
        if (!b.row[i].agrees)
            code = cli_fail_text("%s: its tokens differ from %s's", b.row[i].name, b.row[0].name);
done:
    for (uint32_t i = 0; i < b.n_row; i++) {
        solo_session_close(b.row[i].session);
        solo_plan_close(b.row[i].plan);
        free(b.row[i].ids);
    }
    free(b.prompt);
    cli_engine_close(&b.engine);
    return code;
}
