/* sweep.c: `solo sweep`: the rows of specs, one after the other, each written to the result as it comes, so that
 * what was interrupted goes on. */
#include "sweep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef SOLO_WEBGPU_BUILD
#define SOLO_WEBGPU_BUILD "unknown" /* CMakeLists.txt: the pinned package and version, or the library */
#endif

typedef struct sweep {
    const cli_options *options;
    sweep_spec *spec; /* [n_spec] */
    uint32_t    n_spec, n_row, n_done, n_ok, n_error, n_refused, n_kept;
    double      began;
    sweep_bench bench;
    json_t     *lines; /* of the result so far */
    FILE       *out;
} sweep;

/* ---- specs -------------------------------------------------------------------------------- */

/* name: one that is built in, or a file. */
static bool read_spec(sweep *s, const char *name) {
    char error[SWEEP_TEXT_BYTES], *text = NULL;
    const char *builtin = NULL;
    for (uint32_t i = 0; i < sweep_n_builtin; i++)
        if (!strcmp(sweep_builtins[i].name, name)) builtin = sweep_builtins[i].text;
    if (!builtin && !strchr(name, '/') && !strstr(name, ".json"))
        return cli_fail_text("wanted a spec of `solo sweep --list` or a file, found '%s'", name), false;
    size_t n_text;
    if (!builtin && !cli_read_all(name, &text, &n_text)) return false;
    bool ok = sweep_spec_parse(builtin ? builtin : text, name, s->options->quick, &s->spec[s->n_spec], error);
    free(text);
    if (!ok) return cli_fail_text("%s", error), false;
    for (uint32_t i = 0; i < s->n_spec; i++)
        if (!strcmp(s->spec[i].name, s->spec[s->n_spec].name)) {
            sweep_spec_free(&s->spec[s->n_spec]);
            return cli_fail_text("%s: its name '%s' is another spec's of this sweep", name, s->spec[i].name), false;
        }
    s->n_row += s->spec[s->n_spec++].n_row;
    return true;
}

static bool read_specs(sweep *s) {
    const cli_options *o = s->options;
    bool all = o->list || (o->n_argument == 1 && !strcmp(o->arguments[0], "all"));
    s->spec = calloc((all ? sweep_n_builtin : o->n_argument) + 1, sizeof *s->spec);
    if (!s->spec) return cli_fail_text("no memory for specs"), false;
    for (uint32_t i = 0; all && i < sweep_n_builtin; i++)
        if (!read_spec(s, sweep_builtins[i].name)) return false;
    for (uint32_t i = 0; !all && i < o->n_argument; i++)
        if (!read_spec(s, o->arguments[i])) return false;
    return true;
}

static int list_specs(const sweep *s) {
    for (uint32_t i = 0; i < s->n_spec; i++) {
        const sweep_spec *p = &s->spec[i];
        printf("%-14s %3" PRIu32 " rows  %s\n%24s%s\n", p->name, p->n_row, p->title, "", p->question);
    }
    return cli_finish_output();
}

/* ---- the result --------------------------------------------------------------------------- */

static bool write_line(sweep *s, json_t *line) { /* takes line */
    bool ok = line && json_dumpf(line, s->out, JSON_REAL_PRECISION(9) | JSON_COMPACT) == 0 &&
              fputc('\n', s->out) != EOF && fflush(s->out) == 0;
    if (line) json_array_append_new(s->lines, line);
    return ok || (cli_fail_text("%s: wanted to write a row, found: %s", s->options->out, strerror(errno)), false);
}

static json_t *make_head(const sweep_bench *bench, const char *commit, bool quick) {
    char date[16];
    time_t now = time(NULL);
    struct tm day;
    gmtime_r(&now, &day);
    strftime(date, sizeof date, "%Y-%m-%d", &day);
    json_t *device = cli_device_json(&bench->info);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:n, s:[], s:b, s:o, s:o, s:o}", "schema", SWEEP_SCHEMA,
                     "what", "head", "solo", SOLO_VERSION, "commit", commit ? commit : "unknown", "where", "native",
                     "date", date, "webgpu", SOLO_WEBGPU_BUILD, "browser", "toggles", "quick", (int)quick, "device",
                     device, "probe", cli_probe_json(&bench->probe), "rates", cli_rates_json(&bench->rates));
}

/* A fresh result, or one that goes on. */
static bool open_result(sweep *s) {
    const char *path = s->options->out;
    char error[SWEEP_TEXT_BYTES];
    json_t *head = make_head(&s->bench, s->options->commit, s->options->quick);
    long n_bytes = 0;
    if (access(path, F_OK) == 0) {
        s->lines = sweep_file_read(path, &n_bytes, error);
        const json_t *first = json_array_get(s->lines, 0);
        if (!s->lines || (first && !sweep_head_fits(path, first, head, error))) {
            json_decref(head);
            return cli_fail_text("%s", error), false;
        }
        if (truncate(path, n_bytes) != 0) cli_note("%s: %s", path, strerror(errno));
    }
    if (!s->lines) s->lines = json_array();
    s->out = fopen(path, "a");
    if (!s->out) {
        json_decref(head);
        return cli_fail_text("%s: wanted to write it, found: %s", path, strerror(errno)), false;
    }
    if (json_array_size(s->lines) == 0) return write_line(s, head);
    json_decref(head);
    return true;
}

static bool is_there(const sweep *s, const char *key) {
    for (size_t i = 1; i < json_array_size(s->lines); i++) {
        const char *other = json_string_value(json_object_get(json_array_get(s->lines, i), "key"));
        if (other && !strcmp(other, key)) return true;
    }
    return false;
}

/* ---- progress ----------------------------------------------------------------------------- */

static void draw_bar(const sweep *s, const char *key) {
    enum { N_CELL = 24 };
    static const char cells[] = "########################";
    if (!isatty(STDERR_FILENO)) return;
    uint32_t measured = s->n_done - s->n_kept, full = s->n_done * N_CELL / s->n_row;
    char left[32] = "";
    double each = measured ? (cli_now() - s->began) / measured : 0;
    uint32_t seconds = (uint32_t)(each * (s->n_row - s->n_done));
    if (measured) snprintf(left, sizeof left, ", %" PRIu32 ":%02" PRIu32 " left", seconds / 60, seconds % 60);
    fprintf(stderr, "\r\033[K[%.*s%*s] %" PRIu32 " of %" PRIu32 "%s  %.60s", (int)full, cells, (int)(N_CELL - full), "",
            s->n_done, s->n_row, left, key);
}

static void clear_bar(void) {
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

static void tell_row(const sweep *s, const char *key, const json_t *row) {
    const char *status = json_string_value(json_object_get(row, "status"));
    clear_bar();
    printf("%3" PRIu32 "/%" PRIu32 " %s  ", s->n_done + 1, s->n_row, key);
    if (!strcmp(status, "ok"))
        printf("%.1f tok/s, %.4g dispatches a token\n", json_number_value(json_object_get(row, "tok_s")),
               json_number_value(json_object_get(row, "dispatches_per_token")));
    else printf("%s: %s\n", status, json_string_value(json_object_get(row, "reason")));
    fflush(stdout);
}

/* ---- the command -------------------------------------------------------------------------- */

static bool run_row(sweep *s, const sweep_spec *spec, json_t *settings) {
    char key[SWEEP_TEXT_BYTES];
    bool lost;
    sweep_row_key(spec, settings, key);
    if (is_there(s, key)) {
        s->n_done++, s->n_kept++;
        return true;
    }
    draw_bar(s, key);
    json_t *row = sweep_row(&s->bench, spec, settings, &lost);
    const char *status = json_string_value(json_object_get(row, "status"));
    if (!status) return cli_fail_text("%s: no memory for its row", key), false;
    *(!strcmp(status, "ok") ? &s->n_ok : !strcmp(status, "error") ? &s->n_error : &s->n_refused) += 1;
    tell_row(s, key, row);
    s->n_done++;
    if (!write_line(s, row)) return false;
    return !lost || (cli_fail_text("the device was lost; the same command goes on behind that row"), false);
}

static bool open_bench(sweep *s) {
    solo_error err = {0};
    sweep_bench *b = &s->bench;
    if (!solo_device_open(&b->device, &(solo_device_desc){.name = s->options->device}, &err))
        return cli_fail(&err), false;
    b->info = solo_device_get_info(b->device);
    if (b->info.is_reference)
        return cli_fail_text("--device: wanted an adapter to measure, found the CPU reference"), false;
    return (solo_device_probe(b->device, &(solo_probe_desc){0}, &b->probe, &err) &&
            solo_device_probe_rates(b->device, &b->rates, &err)) ||
           (cli_fail(&err), false);
}

/* OUT.jsonl: OUT.csv; else a further ending. */
static bool write_table(const sweep *s) {
    char path[1000], error[SWEEP_TEXT_BYTES];
    const char *end = strstr(s->options->out, ".jsonl");
    int n = end && !end[6] ? (int)(end - s->options->out) : (int)strlen(s->options->out);
    snprintf(path, sizeof path, "%.*s.csv", n, s->options->out);
    return sweep_write_csv(path, s->lines, error) || (cli_fail_text("%s", error), false);
}

int cli_sweep(const cli_options *options) {
    sweep s = {.options = options};
    int code = CLI_USAGE;
    if (!read_specs(&s)) goto done;
    code = CLI_FAILED;
    if (options->list) {
        code = list_specs(&s);
        goto done;
    }
    if (!open_bench(&s) || !open_result(&s)) goto done;
    s.began = cli_now();
    bool ok = true;
    for (uint32_t i = 0; ok && i < s.n_spec; i++)
        for (uint32_t k = 0; ok && k < s.spec[i].n_row; k++) ok = run_row(&s, &s.spec[i], s.spec[i].row[k]);
    if (write_table(&s) && ok) code = cli_finish_output();
    if (ok)
        cli_note("%s: %" PRIu32 " rows: %" PRIu32 " ok, %" PRIu32 " errors, %" PRIu32 " refused, %" PRIu32
                 " there before", options->out, s.n_row, s.n_ok, s.n_error, s.n_refused, s.n_kept);
done:
    if (s.out && fclose(s.out) != 0) code = cli_fail_text("%s: %s", options->out, strerror(errno));
    sweep_bench_close(&s.bench);
    for (uint32_t i = 0; i < s.n_spec; i++) sweep_spec_free(&s.spec[i]);
    free(s.spec);
    json_decref(s.lines);
    return code;
}
