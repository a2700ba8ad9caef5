/* sweep_curve.c: a sweep's rows as curves: tokens a second against dispatches a token, each factoring at its best, with
 * the costs that were fitted. What `solo plot` and the page draw. */
#include "sweep.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char *text_at(const json_t *o, const char *key) {
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static double number_at(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

static sweep_curve *curve_of(sweep_curves *p, const json_t *row) {
    char name[SWEEP_NAME_BYTES];
    const json_t *model = json_object_get(row, "model"), *plan = json_object_get(row, "plan");
    snprintf(name, sizeof name, "%.40s: %.40s, %" PRId64 " layers, %.10s, %.8s, after %" PRId64 " positions",
             text_at(row, "spec"), text_at(model, "name"), (int64_t)number_at(model, "n_layer"),
             text_at(model, "file_type"), text_at(plan, "activations"), (int64_t)number_at(row, "n_pos"));
    for (uint32_t i = 0; i < p->n_curve; i++)
        if (!strcmp(p->curve[i].name, name)) return &p->curve[i];
    if (p->n_curve == SWEEP_MAX_CURVE) return NULL;
    snprintf(p->curve[p->n_curve].name, SWEEP_NAME_BYTES, "%s", name);
    return &p->curve[p->n_curve++];
}

/* The best of each factoring stays. */
static void add_row(sweep_curves *p, const json_t *head, const json_t *row) {
    const json_t *plan = json_object_get(row, "plan"), *settings = json_object_get(row, "settings");
    if (strcmp(text_at(row, "status"), "ok")) return;
    sweep_curve *g = curve_of(p, row);
    double rate = number_at(json_object_get(head, "probe"), "read_bytes_s");
    sweep_point at = {.label = text_at(plan, "factoring"),
                      .ms = number_at(row, "ms_per_token"),
                      .floor_ms = rate > 0 ? 1e3 * number_at(row, "bytes_per_token") / rate : 0,
                      .n_dispatch = number_at(row, "dispatches_per_token"),
                      .n_hand_off = number_at(row, "hand_offs_per_token"),
                      .n_stage = number_at(plan, "n_stage")};
    uint32_t i = 0;
    while (g && i < g->n && strcmp(g->point[i].label, at.label)) i++;
    if (!g || i == SWEEP_MAX_POINT) {
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
static void fit_curve(sweep_curve *g) {
    sweep_point point[SWEEP_MAX_POINT];
    uint32_t n = 0;
    for (uint32_t i = 0; i < g->n; i++)
        if (g->fits[i]) point[n++] = g->point[i];
    g->is_fitted = n >= 3;
    if (!g->is_fitted) return;
    g->fit = sweep_fit_points(point, n);
    for (uint32_t i = 0, k = 0; i < g->n; i++)
        if (g->fits[i]) g->point[i] = point[k++];
}

static int compare(const void *a, const void *b) {
    double x = ((const sweep_point *)a)->n_dispatch, y = ((const sweep_point *)b)->n_dispatch;
    return (x > y) - (x < y);
}

sweep_curves *sweep_curves_new(const json_t *lines, const char *spec) {
    sweep_curves *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    const json_t *head = json_array_get(lines, 0), *device = json_object_get(head, "device");
    const json_t *probe = json_object_get(head, "probe");
    snprintf(p->device, sizeof p->device, "%.120s%s, %.60s, %.60s", text_at(device, "name"),
             json_is_true(json_object_get(device, "is_software")) ? " (software adapter)" : "", text_at(head, "webgpu"),
             text_at(head, "date"));
    snprintf(p->probe, sizeof p->probe, "read %.1f GB/s, dispatch %.2f us", 1e-9 * number_at(probe, "read_bytes_s"),
             number_at(probe, "dispatch_us"));
    for (size_t i = 1; i < json_array_size(lines); i++) {
        const json_t *row = json_array_get(lines, i);
        if (!spec || !strcmp(text_at(row, "spec"), spec)) add_row(p, head, row);
    }
    for (uint32_t i = 0; i < p->n_curve; i++) {
        fit_curve(&p->curve[i]);
        if (p->curve[i].is_fitted) qsort(p->curve[i].point, p->curve[i].n, sizeof(sweep_point), compare);
    }
    return p;
}

static json_t *curve_json(const sweep_curve *g) {
    json_t *points = json_array();
    for (uint32_t i = 0; i < g->n; i++) {
        const sweep_point *at = &g->point[i];
        json_array_append_new(
            points, json_pack("{s:s, s:f, s:f, s:o}", "factoring", at->label, "dispatches", at->n_dispatch, "tok_s",
                              1e3 / at->ms, "fitted_tok_s",
                              at->fitted_ms > 0 ? json_real(1e3 / at->fitted_ms) : json_null()));
    }
    json_t *fit = g->is_fitted ? json_pack("{s:f, s:f, s:f, s:f}", "dispatch_us", g->fit.dispatch_us, "hand_off_us",
                                           g->fit.hand_off_us, "stage_us", g->fit.stage_us, "worst", g->fit.worst)
                               : json_null();
    return json_pack("{s:s, s:o, s:o}", "name", g->name, "points", points, "fit", fit);
}

json_t *sweep_curves_json(const sweep_curves *p) {
    json_t *curves = json_array();
    for (uint32_t i = 0; i < p->n_curve; i++) json_array_append_new(curves, curve_json(&p->curve[i]));
    return json_pack("{s:s, s:s, s:i, s:o}", "device", p->device, "probe", p->probe, "left_out", (int)p->n_left_out,
                     "curves", curves);
}
