/* measure.c: see measure.h. */
#include "measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening and closing ------------------------------------------------------------------ */

void measure_close(measure_run *run) {
    solo_session_close(run->session);
    solo_plan_close(run->plan);
    run->session = NULL, run->plan = NULL;
}

void measure_fail(measure_run *run, const solo_error *err) {
    snprintf(run->error, sizeof run->error, "%.590s", err->text[0] ? err->text : solo_status_text(err->status));
    run->status = err->status;
    measure_close(run);
}

bool measure_open(measure_run *run, solo_weights *weights, uint32_t n_need) {
    solo_error err = {0};
    run->plan_desc.weights = weights;
    bool ok = solo_plan_open(&run->plan, &run->plan_desc, &err);
    run->session_desc.plan = run->plan;
    if (!ok || !solo_session_open(&run->session, &run->session_desc, &err)) {
        measure_fail(run, &err);
        return false;
    }
    run->info = solo_plan_get_info(run->plan);
    if (n_need <= run->info.n_ctx) return true;
    snprintf(err.text, sizeof err.text, "wanted room for %u positions, found a context of %u (--ctx)", n_need,
             run->info.n_ctx);
    measure_fail(run, &err);
    return false;
}

/* ---- samples ------------------------------------------------------------------------------ */

void measure_prompt(uint32_t *ids, uint32_t n, uint32_t n_vocab) {
    for (uint32_t i = 0; i < n; i++) ids[i] = (i * 7919u + 1000u) % n_vocab;
}

bool measure_sample(measure_run *run, const uint32_t *prompt, uint32_t n_pos, uint32_t n_token, uint32_t *ids,
                    double *tok_s) {
    solo_error err = {0};
    solo_session_info before = solo_session_get_info(run->session);
    bool ok = solo_session_sync(run->session, prompt, n_pos, &err);
    double t = cli_now();
    for (uint32_t i = 0; ok && i < n_token; i++) ok = solo_session_next(run->session, &ids[i], &err);
    *tok_s = n_token / (cli_now() - t);
    if (!ok) {
        measure_fail(run, &err);
        return false;
    }
    solo_session_info after = solo_session_get_info(run->session);
    run->n_step += after.n_step - before.n_step;
    run->n_step_dispatch += after.n_step_dispatch - before.n_step_dispatch;
    run->n_step_submit += after.n_step_submit - before.n_step_submit;
    snprintf(run->ran_as, sizeof run->ran_as, "%s", after.factoring);
    run->fell_back = after.fell_back || run->info.note[0];
    return true;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between the two samples around it, by line. */
static double quantile(const double *sorted, uint32_t n, double q) {
    double at = q * (n - 1);
    uint32_t i = (uint32_t)at;
    return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[n - 1];
}

measure_spread measure_spread_of(const double *sample, uint32_t n) {
    double sorted[MEASURE_MAX_SAMPLE];
    memcpy(sorted, sample, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare);
    return (measure_spread){quantile(sorted, n, 0.5), sorted[0], sorted[n - 1], quantile(sorted, n, 0.25),
                            quantile(sorted, n, 0.75)};
}

json_t *measure_samples_json(const double *sample, uint32_t n) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++) json_array_append_new(list, json_real(sample[i]));
    return list;
}

/* ---- rules -------------------------------------------------------------------------------- */

/* A window bounds the earlier positions. */
double measure_bytes(const solo_plan_info *info, uint32_t n_pos, uint32_t n_token) {
    double n = n_pos + n_token / 2.0, window = info->attn_window;
    double whole = info->attn_global_every ? 1.0 / info->attn_global_every : 0; /* of the layers */
    if (window > 0 && n > window - 1) n = whole * n + (1 - whole) * (window - 1);
    return (double)info->weight_bytes + (double)info->kv_bytes_per_pos * n;
}

bool measure_same_geometry(const solo_plan_info *a, const solo_plan_info *b) {
    if (strcmp(a->activations, b->activations) || strcmp(a->kv_type, b->kv_type) || strcmp(a->reduce, b->reduce) ||
        a->workgroup_size != b->workgroup_size || a->n_ctx != b->n_ctx || a->n_stage != b->n_stage)
        return false;
    for (uint32_t i = 0; i < a->n_stage; i++)
        if (a->stage[i].n_tile != b->stage[i].n_tile || a->stage[i].team != b->stage[i].team ||
            a->stage[i].tile_rows != b->stage[i].tile_rows)
            return false;
    return true;
}

bool measure_above_roofline(const solo_device_info *device, double bytes_s, double read_rate) {
    return read_rate > 0 && !device->is_software && bytes_s > read_rate;
}

/* Clocks that still rose: the last third of the samples by this much faster than the first. */
#define RISING 1.25

static bool still_rising(const double *sample, uint32_t n) {
    uint32_t third = n / 3;
    if (third == 0) return false;
    return measure_spread_of(sample + n - third, third).median > RISING * measure_spread_of(sample, third).median;
}

const char *measure_refusal(const solo_device_info *device, const double *sample, uint32_t n, double warm_s,
                            double bytes, double read_rate) {
    if (!device->name[0] || !device->backend[0]) return "the adapter has no name";
    if (device->is_software || device->is_reference) return NULL;
    if (warm_s < MEASURE_WARM_S) return "cold clocks: less than half a second of decoding before the first sample";
    if (still_rising(sample, n)) return "cold clocks: the last samples are over 25 % faster than the first";
    if (read_rate <= 0) return "the read bandwidth of this device was not measured";
    if (measure_above_roofline(device, bytes * measure_spread_of(sample, n).median, read_rate))
        return "above the read bandwidth measured on this device";
    return NULL;
}

/* ---- what ran ------------------------------------------------------------------------------ */

static bool differs(const char *what, const char *wanted, const char *found, char reason[600]) {
    snprintf(reason, 600, "not as asked: %s: wanted %s, the device ran %s", what, wanted, found);
    return false;
}

static bool differs_u32(const char *what, uint32_t wanted, uint32_t found, char reason[600]) {
    char a[16], b[16];
    snprintf(a, sizeof a, "%u", wanted), snprintf(b, sizeof b, "%u", found);
    return differs(what, a, b, reason);
}

bool measure_is_as_asked(const solo_plan_desc *d, const char *reduction, const solo_plan_info *p, char reason[600]) {
    const char *assignment = d->assignment == SOLO_ASSIGNMENT_STATIC   ? "static"
                             : d->assignment == SOLO_ASSIGNMENT_TICKET ? "ticket"
                                                                       : p->assignment;
    const char *hand_off = d->hand_off ? solo_hand_off_names()[d->hand_off] : p->hand_off;
    const bool tagged = strcmp(p->hand_off, "-") != 0;
    if (strncmp(p->factoring, d->factoring, strlen(d->factoring))) /* "chunk" may be "chunk:8" */
        return differs("factoring", d->factoring, p->factoring, reason);
    if (strcmp(p->assignment, assignment)) return differs("assignment", assignment, p->assignment, reason);
    if (strcmp(p->hand_off, hand_off)) return differs("hand_off", hand_off, p->hand_off, reason);
    if (d->workgroup_size && d->workgroup_size != p->workgroup_size)
        return differs_u32("workgroup_size", d->workgroup_size, p->workgroup_size, reason);
    if (tagged && d->n_workgroup && d->n_workgroup != p->n_workgroup)
        return differs_u32("n_workgroup", d->n_workgroup, p->n_workgroup, reason);
    if (reduction && (strcmp(reduction, "subgroup") == 0) != (strcmp(p->reduce, "subgroup") == 0))
        return differs("reduction", reduction, p->reduce, reason);
    for (uint32_t i = 0; d->k_split && i < p->n_stage; i++) {
        const solo_stage_info *s = &p->stage[i];
        if (s->weight_bytes && strcmp(s->name, "embed") && s->team != d->k_split)
            return differs_u32("k_split", d->k_split, s->team, reason);
    }
    return true;
}

/* ---- outputs ------------------------------------------------------------------------------ */

static double deviation(const float *x, uint32_t n) {
    double sum = 0, square = 0;
    for (uint32_t i = 0; i < n; i++) sum += (double)x[i];
    for (uint32_t i = 0; i < n; i++) square += ((double)x[i] - sum / n) * ((double)x[i] - sum / n);
    return sqrt(square / n);
}

const char *measure_check_logits(const float *logits, const float *reference, uint32_t n, bool int8, bool f16,
                                 measure_error *error, double *tolerance) {
    /* Of the largest error and of the root mean square. int8: some 1 % a matrix, added up over layers. */
    const double most = int8 ? 0.3 : f16 ? 0.05 : 2e-3, most_rms = int8 ? 0.08 : f16 ? 0.01 : 1e-3;
    double square = 0, scale = deviation(reference, n);
    *error = (measure_error){0};
    *tolerance = most;
    for (uint32_t i = 0; i < n; i++)
        if (!isfinite(logits[i])) return "NaN or infinite logits";
    if (deviation(logits, n) == 0) return logits[0] == 0 ? "all logits are zero" : "all logits are the same";
    for (uint32_t i = 0; i < n; i++) {
        double d = fabs((double)logits[i] - (double)reference[i]) / scale;
        if (d > error->max) error->max = d;
        square += d * d;
    }
    error->rms = sqrt(square / n);
    return error->max > most || error->rms > most_rms ? "logits differ from the reference" : NULL;
}
