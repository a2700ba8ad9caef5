/* plot.c: `solo plot`: a sweep's result as a curve, by gnuplot: tokens a second against dispatches a token, each
 * factoring at its best, with the costs that were fitted. */
#include "sweep.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { MAX_GROUP = 24, MAX_POINT = 64, NAME_BYTES = 200 };

/* Rows of one spec, model and numbers after as many positions: a curve. */
typedef struct group {
    char name[NAME_BYTES];
    sweep_point point[MAX_POINT];
    bool     fits[MAX_POINT]; /* what the model is about: many workgroups, one submit a token */
    uint32_t n;
    sweep_fit fit;
    bool     is_fitted;
} group;

typedef struct plot {
    group   *group; /* [MAX_GROUP] */
    uint32_t n_group, n_left_out;
    char     device[300], probe[200];
} plot;

static const char *text_at(const json_t *o, const char *key) {
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static double number_at(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static group *group_of(plot *p, const json_t *row) {
    char name[NAME_BYTES];
    const json_t *model = json_object_get(row, "model"), *plan = json_object_get(row, "plan");
    snprintf(name, sizeof name, "%.40s: %.40s, %" PRId64 " layers, %.10s, %.8s, after %" PRId64 " positions",
             text_at(row, "spec"), text_at(model, "name"), (int64_t)number_at(model, "n_layer"),
             text_at(model, "file_type"), text_at(plan, "activations"), (int64_t)number_at(row, "n_pos"));
    for (uint32_t i = 0; i < p->n_group; i++)
        if (!strcmp(p->group[i].name, name)) return &p->group[i];
    if (p->n_group == MAX_GROUP) return NULL;
    snprintf(p->group[p->n_group].name, NAME_BYTES, "%s", name);
    return &p->group[p->n_group++];
}

/* The best of each factoring stays. */
static void add_row(plot *p, const json_t *head, const json_t *row) {
    const json_t *plan = json_object_get(row, "plan"), *settings = json_object_get(row, "settings");
    if (strcmp(text_at(row, "status"), "ok")) return;
    group *g = group_of(p, row);
    double rate = number_at(json_object_get(head, "probe"), "read_bytes_s");
    sweep_point at = {.label = text_at(plan, "factoring"),
                      .ms = number_at(row, "ms_per_token"),
                      .floor_ms = rate > 0 ? 1e3 * number_at(row, "bytes_per_token") / rate : 0,
                      .n_dispatch = number_at(row, "dispatches_per_token"),
                      .n_hand_off = number_at(row, "hand_offs_per_token"),
                      .n_stage = number_at(plan, "n_stage")};
    uint32_t i = 0;
    while (g && i < g->n && strcmp(g->point[i].label, at.label)) i++;
    if (!g || i == MAX_POINT) {
        p->n_left_out++;
        return;
    }
    if (i < g->n && g->point[i].ms <= at.ms) return;
    if (i == g->n) g->n++;
    g->point[i] = at;
    g->fits[i] = strcmp(at.label, "single-wg") && number_at(plan, "n_workgroup") != 1 &&
                 !json_object_get(settings, "submit") && !json_object_get(settings, "in_flight");
}

/* Costs from the points that the model is about; three unknowns want as many. */
static void fit_group(group *g) {
    sweep_point point[MAX_POINT];
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n; i++)
        if (g->fits[i]) point[n++] = g->point[i];
    g->is_fitted = n >= 3;
    if (!g->is_fitted) return;
    g->fit = sweep_fit_points(point, n);
    for (uint32_t i = 0, k = 0; i < g->n; i++)
        if (g->fits[i]) g->point[i] = point[k++];
}

/* ---- output ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b) {
    double x = ((const sweep_point *)a)->n_dispatch, y = ((const sweep_point *)b)->n_dispatch;
    return (x > y) - (x < y);
}

/* Inside gnuplot's double quotes, no enhanced text. */
static void write_quoted(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', out);
        if ((unsigned char)*text >= ' ') fputc(*text, out);
    }
    fputc('"', out);
}

static void write_script(FILE *out, const plot *p, const char *path, bool svg) {
    fprintf(out, "set terminal %s size %s noenhanced font \"sans,%d\"\nset output ", svg ? "svg" : "pngcairo",
            svg ? "960,640" : "1200,800", svg ? 13 : 11);
    write_quoted(out, path);
    fputs("\nset title ", out);
    write_quoted(out, p->device);
    fputs("\nset logscale xy\nset grid\nset key below\nset xlabel \"dispatches a token\"\n"
          "set ylabel \"tokens a second\"\nset offsets graph 0.12, graph 0.2, graph 0.1, graph 0.05\nplot ", out);
    for (uint32_t i = 0; i < p->n_group; i++) {
        const group *g = &p->group[i];
        fprintf(out, "%s'-' using 1:2 with points pt 7 lc %" PRIu32 " title ", i ? ", " : "", i + 1);
        write_quoted(out, g->name);
        fprintf(out, ", '-' using 1:2:3 with labels offset 0.6,0.6 left tc lt %" PRIu32 " notitle", i + 1);
        if (g->is_fitted) fprintf(out, ", '-' using 1:2 with linespoints pt 6 dt 2 lc %" PRIu32 " notitle", i + 1);
    }
    fputc('\n', out);
    for (uint32_t i = 0; i < p->n_group; i++) {
        const group *g = &p->group[i];
        for (uint32_t pass = 0; pass < (g->is_fitted ? 3u : 2u); pass++) {
            for (uint32_t k = 0; k < g->n; k++) {
                const sweep_point *at = &g->point[k];
                if (pass == 2 && at->fitted_ms <= 0) continue;
                fprintf(out, "%.9g %.9g", at->n_dispatch, 1e3 / (pass == 2 ? at->fitted_ms : at->ms));
                if (pass == 1) fputc(' ', out), write_quoted(out, at->label);
                fputc('\n', out);
            }
            fputs("e\n", out);
        }
    }
}

static void tell_fit(const plot *p) {
    printf("%s\nprobe: %s\n", p->device, p->probe);
    for (uint32_t i = 0; i < p->n_group; i++) {
        const group *g = &p->group[i];
        printf("\n%s\n", g->name);
        if (g->is_fitted)
            printf("fitted: dispatch %.2f us, hand-off %.2f us, stage %.2f us; largest error %.0f %%\n",
                   g->fit.dispatch_us, g->fit.hand_off_us, g->fit.stage_us, 100 * g->fit.worst);
        for (uint32_t k = 0; k < g->n; k++) {
            const sweep_point *at = &g->point[k];
            printf("%-14s %10.4g dispatches %10.1f tok/s", at->label, at->n_dispatch, 1e3 / at->ms);
            if (at->fitted_ms > 0) printf("   fitted %10.1f (%+.0f %%)", 1e3 / at->fitted_ms,
                                          100 * (at->ms / at->fitted_ms - 1));
            putchar('\n');
        }
    }
    if (p->n_left_out) printf("%" PRIu32 " rows left out: wanted at most %d curves of %d points\n", p->n_left_out,
                              (int)MAX_GROUP, (int)MAX_POINT);
}

static bool draw(const plot *p, const char *path, bool svg) {
    FILE *out = popen("gnuplot", "w");
    if (!out) return cli_fail_text("gnuplot: could not be started"), false;
    write_script(out, p, path, svg);
    int status = pclose(out);
    if (status == 0) return true;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return cli_fail_text("wanted gnuplot to draw with, found none: install it (Debian: gnuplot-nox)"), false;
    return cli_fail_text("%s: gnuplot did not draw it (status %d)", path, status), false;
}

int cli_plot(const cli_options *options) {
    char error[SWEEP_TEXT_BYTES];
    const char *end = strrchr(options->out, '.');
    bool svg = end && !strcmp(end, ".svg");
    if (!svg && !(end && !strcmp(end, ".png")))
        return cli_fail_text("--output: wanted a name that ends in .svg or .png, found '%s'", options->out), CLI_USAGE;
    plot p = {.group = calloc(MAX_GROUP, sizeof *p.group)};
    json_t *lines = p.group ? sweep_file_read(options->in, NULL, error) : NULL;
    int code = CLI_FAILED;
    if (!lines) {
        cli_fail_text("%s", p.group ? error : "no memory for a plot");
        goto done;
    }
    const json_t *head = json_array_get(lines, 0), *device = json_object_get(head, "device");
    const json_t *probe = json_object_get(head, "probe");
    snprintf(p.device, sizeof p.device, "%.120s%s, %.60s, %.60s", text_at(device, "name"),
             json_is_true(json_object_get(device, "is_software")) ? " (software adapter)" : "", text_at(head, "webgpu"),
             text_at(head, "date"));
    snprintf(p.probe, sizeof p.probe, "read %.1f GB/s, dispatch %.2f us", 1e-9 * number_at(probe, "read_bytes_s"),
             number_at(probe, "dispatch_us"));
    for (size_t i = 1; i < json_array_size(lines); i++) add_row(&p, head, json_array_get(lines, i));
    for (uint32_t i = 0; i < p.n_group; i++) {
        fit_group(&p.group[i]);
        if (!p.group[i].is_fitted) continue;
        qsort(p.group[i].point, p.group[i].n, sizeof(sweep_point), compare);
    }
    if (p.n_group == 0) cli_fail_text("%s: wanted rows that are ok, found none", options->in);
    else {
        tell_fit(&p);
        if (draw(&p, options->out, svg)) code = cli_finish_output();
    }
done:
    json_decref(lines);
    free(p.group);
    return code;
}
