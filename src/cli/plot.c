/* plot.c: `solo plot`: a sweep's curves (sweep_curve.c) drawn by gnuplot, or as JSON. */
#include "sweep.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* ---- output ------------------------------------------------------------------------------- */

/* Inside gnuplot's double quotes, no enhanced text. */
static void write_quoted(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', out);
        if ((unsigned char)*text >= ' ') fputc(*text, out);
    }
    fputc('"', out);
}

/* Dispatches by decades; speeds by decades where they differ by more than one. */
static void write_ranges(FILE *out, const sweep_curves *p) {
    double x0 = 1e30, x1 = 0, y0 = 1e30, y1 = 0;
    for (uint32_t i = 0; i < p->n_curve; i++)
        for (uint32_t k = 0; k < p->curve[i].n; k++) {
            const sweep_point *at = &p->curve[i].point[k];
            x0 = fmin(x0, at->n_dispatch), x1 = fmax(x1, at->n_dispatch);
            y0 = fmin(y0, 1e3 / at->ms), y1 = fmax(y1, 1e3 / at->ms);
        }
    fprintf(out, "\nset logscale %s\nset xrange [%g:%g]\nset yrange [%g:%g]\n", y1 > 10 * y0 ? "xy" : "x", 0.6 * x0,
            3 * x1, y1 > 10 * y0 ? 0.7 * y0 : 0, y1 > 10 * y0 ? 2 * y1 : 1.2 * y1);
}

static void write_script(FILE *out, const sweep_curves *p, const char *path, bool svg) {
    fprintf(out, "set terminal %s size %s noenhanced font \"sans,%d\"\nset output ", svg ? "svg" : "pngcairo",
            svg ? "960,640" : "1200,800", svg ? 13 : 11);
    write_quoted(out, path);
    fputs("\nset title ", out);
    write_quoted(out, p->device);
    write_ranges(out, p);
    fputs("set grid\nset key below left\nset xlabel \"dispatches a token\"\nset ylabel \"tokens a second\"\n", out);
    fputs("plot ", out);
    for (uint32_t i = 0; i < p->n_curve; i++) {
        const sweep_curve *g = &p->curve[i];
        fprintf(out, "%s'-' using 1:2 with points pt 7 lc %" PRIu32 " title ", i ? ", " : "", i + 1);
        write_quoted(out, g->name);
        fprintf(out, ", '-' using 1:2:3 with labels rotate by 30 left offset 0.3,0.6 tc lt %" PRIu32 " notitle", i + 1);
        if (g->is_fitted) fprintf(out, ", '-' using 1:2 with linespoints pt 6 dt 2 lc %" PRIu32 " notitle", i + 1);
    }
    fputc('\n', out);
    for (uint32_t i = 0; i < p->n_curve; i++) {
        const sweep_curve *g = &p->curve[i];
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

static void tell_fit(const sweep_curves *p) {
    printf("%s\nprobe: %s\n", p->device, p->probe);
    for (uint32_t i = 0; i < p->n_curve; i++) {
        const sweep_curve *g = &p->curve[i];
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
                              (int)SWEEP_MAX_CURVE, (int)SWEEP_MAX_POINT);
}

static bool draw(const sweep_curves *p, const char *path, bool svg) {
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
    const char *end = options->out ? strrchr(options->out, '.') : NULL;
    bool svg = end && !strcmp(end, ".svg");
    if (!options->json && !svg && !(end && !strcmp(end, ".png")))
        return cli_fail_text("--output: wanted a name that ends in .svg or .png, found '%s'",
                             options->out ? options->out : ""), CLI_USAGE;
    json_t *lines = sweep_file_read(options->in, NULL, error);
    sweep_curves *p = lines ? sweep_curves_new(lines, options->spec) : NULL;
    int code = CLI_FAILED;
    if (!p) cli_fail_text("%s", lines ? "no memory for curves" : error);
    else if (p->n_curve == 0)
        cli_fail_text("%s: wanted rows%s%s that are ok, found none", options->in, options->spec ? " of " : "",
                      options->spec ? options->spec : "");
    else if (options->json) code = cli_print_json(sweep_curves_json(p));
    else {
        tell_fit(p);
        if (draw(p, options->out, svg)) code = cli_finish_output();
    }
    json_decref(lines);
    free(p);
    return code;
}
