/* probe.c: what a device can do, measured: read bandwidth, the ceiling that benchmark rows are held
 * against; how many workgroups run together; what a dispatch, a round trip and a hand-off inside a
 * dispatch cost. Host time of many repeats in one submit: WebGPU's own timestamps are coarser. */
#include "probe.h"

#include "wgsl.h"

#include <math.h>

/* One kernels/probe_*.wgsl, ready. */
typedef struct probe {
    solo_device *device;
    solo_buffer uniform, state, source; /* source: only what is read for bandwidth */
    solo_bindings bindings;
    solo_module module;
    solo_pipeline pipeline;
} probe;

static void probe_close(probe *p) {
    solo_device_pipeline_close(&p->pipeline);
    solo_device_module_close(&p->module);
    solo_device_bindings_close(&p->bindings);
    solo_device_buffer_close(&p->source);
    solo_device_buffer_close(&p->state);
    solo_device_buffer_close(&p->uniform);
}

/* name: the file without ".wgsl", and its entry point; consts are written in front of it.
 * source_bytes 0: it reads no source. */
static bool probe_open(probe *p, solo_device *d, const char *name, const char *consts,
                       uint64_t state_bytes, uint64_t source_bytes, solo_error *err) {
    char file[64];
    snprintf(file, sizeof file, "%s.wgsl", name);
    char *body = solo_wgsl_file(file);
    solo_text wgsl = {0};
    solo_text_add(&wgsl, "%s%s", consts, body);
    free(body);
    p->device = d;
    bool ok = solo_device_buffer_open(d, SOLO_BUFFER_UNIFORM, 16, name, &p->uniform, err) &&
              solo_device_buffer_open(d, SOLO_BUFFER_STORAGE, state_bytes, name, &p->state, err) &&
              (source_bytes == 0 || solo_device_buffer_open(d, SOLO_BUFFER_STORAGE, source_bytes,
                                                            name, &p->source, err));
    const solo_bind binds[] = {{0, SOLO_BIND_UNIFORM, p->uniform, 0, 16},
                               {3, SOLO_BIND_READ_WRITE, p->state, 0, 0},
                               {8, SOLO_BIND_READ, p->source, 0, 0}};
    ok = ok &&
         solo_device_bindings_open(d, binds, source_bytes ? 3 : 2, name, &p->bindings, err) &&
         solo_device_module_open(d, wgsl.at, file, &p->module, err) &&
         solo_device_pipeline_open(d, p->module, name, &p->bindings, &p->pipeline, err);
    free(wgsl.at);
    return ok;
}

static void probe_encode(probe *p, uint32_t n_wg, uint32_t n) {
    uint32_t offset = 0;
    solo_device_pass_begin(p->device);
    for (uint32_t i = 0; i < n; i++)
        solo_device_pass_dispatch(p->device, p->pipeline, &p->bindings, &offset, 1, n_wg, 1);
    solo_device_pass_end(p->device);
}

static bool probe_pass(probe *p, uint32_t n_wg, uint32_t n, solo_error *err) {
    probe_encode(p, n_wg, n);
    return solo_device_submit(p->device, err) && solo_device_wait(p->device, err);
}

/* ---- medians ------------------------------------------------------------------------------ */

enum { MAX_RUN = 51 };

/* Seconds that a pass of n dispatches takes, submit and wait included: the median of n_run. */
static bool time_pass(probe *p, uint32_t n_wg, uint32_t n, uint32_t n_run, double *seconds,
                      solo_error *err) {
    double sample[MAX_RUN];
    SOLO_ASSERT(n_run <= MAX_RUN);
    for (uint32_t i = 0; i < n_run; i++) {
        double t = solo_seconds();
        if (!probe_pass(p, n_wg, n, err)) return false;
        sample[i] = solo_seconds() - t;
    }
    *seconds = solo_median(sample, n_run);
    return true;
}

/* Microseconds each of many - few repeats; where noise makes the difference nothing, of them all. */
static double slope_us(double t_few, double t_many, uint32_t few, uint32_t many) {
    double d = t_many - t_few;
    return 1e6 * (d > 0 ? d / (many - few) : t_many / many);
}

static bool refuse_reference(const solo_device_info *info, const char *what, solo_error *err) {
    if (!info->is_reference) return true;
    return solo_fail(err, SOLO_ARGUMENT, "%s: wanted a WebGPU adapter, found the CPU reference",
                     what);
}

/* ---- read bandwidth ----------------------------------------------------------------------- */

bool solo_device_read_bandwidth(solo_device *d, double *bytes_per_second, solo_error *err) {
    const solo_device_info *info = solo_device_info_of(d);
    if (!refuse_reference(info, "read bandwidth", err)) return false;
    uint32_t n_wg = info->is_software ? 4 : 1056; /* 8 to each of 132 multiprocessors */
    uint32_t n_pass = info->is_software ? 1 : 8;
    uint64_t piece = (uint64_t)n_wg * 2048 * 16, n_bytes = info->is_software ? 64u << 20 : 1u << 30;
    if (n_bytes > info->max_binding_bytes) n_bytes = info->max_binding_bytes;
    n_bytes = n_bytes / piece * piece;
    probe p = {0};
    bool ok = probe_open(&p, d, "probe_bandwidth", "", 16, n_bytes, err);
    double best = 0, began = solo_seconds();
    /* a second warms the clocks up; the best pass is the ceiling */
    while (ok && solo_seconds() - began < (info->is_software ? 0.5 : 1.5)) {
        double t = solo_seconds();
        ok = probe_pass(&p, n_wg, n_pass, err);
        double rate = (double)n_bytes * n_pass / (solo_seconds() - t);
        if (rate > best) best = rate;
    }
    probe_close(&p);
    *bytes_per_second = best;
    return ok;
}

/* ---- dispatches and round trips ----------------------------------------------------------- */

static bool probe_dispatches(solo_device *d, solo_probe_result *out, solo_error *err) {
    bool software = solo_device_info_of(d)->is_software;
    uint32_t few = software ? 10 : 200, many = software ? 110 : 2200, n_wg = software ? 2 : 128;
    char consts[64];
    snprintf(consts, sizeof consts, "const WG = %uu;\n", out->workgroup_size);
    probe p = {0};
    bool ok = probe_open(&p, d, "probe_dispatch", consts, 1024, 0, err);
    double t_few = 0, t_many = 0, t_one = 0, began = solo_seconds();
    while (ok && solo_seconds() - began < (software ? 0.02 : 0.5)) /* warm clocks */
        ok = probe_pass(&p, n_wg, many, err);
    ok = ok && time_pass(&p, n_wg, few, software ? 5 : 15, &t_few, err) &&
         time_pass(&p, n_wg, many, software ? 5 : 15, &t_many, err) &&
         time_pass(&p, 1, 1, software ? 15 : MAX_RUN, &t_one, err);
    probe_close(&p);
    out->dispatch_us = slope_us(t_few, t_many, few, many);
    out->round_trip_us = 1e6 * t_one;
    return ok;
}

/* ---- residency ---------------------------------------------------------------------------- */

/* Polls before a workgroup stops waiting for others: about a millisecond on a GPU, which starts a
 * thousand in some 50 us; some ten on a software adapter, whose threads may wait for a core. */
#define RESIDENT_POLLS_GPU 5000u
#define RESIDENT_POLLS_SOFTWARE 1000000u
/* Asked about on a software adapter: it runs a workgroup a thread and clears each one's memory slowly. */
#define RESIDENT_MAX_SOFTWARE 32u
#define RESIDENT_CLOSED_AT 0x10000u /* CLOSED_AT in probe_resident.wgsl */

/* Of n workgroups, how many met. */
static bool meet(probe *p, uint32_t n, uint32_t *n_met, solo_error *err) {
    uint32_t state[2];
    solo_device_clear(p->device, p->state, 0, 16);
    if (!probe_pass(p, n, 1, err) ||
        !solo_device_read(p->device, p->state, 0, state, sizeof state, err))
        return false;
    *n_met = state[1] == 0 ? n : RESIDENT_CLOSED_AT - state[1];
    return true;
}

/* The most that met in three dispatches of n: other work may delay a workgroup, nothing adds one. */
static bool meet_best(probe *p, uint32_t n, uint32_t *n_met, solo_error *err) {
    uint32_t one;
    *n_met = 0;
    for (uint32_t i = 0; i < 3 && *n_met < n; i++) {
        if (!meet(p, n, &one, err)) return false;
        if (one > *n_met) *n_met = one;
    }
    return true;
}

/* A dispatch of as many as are asked about tells how many are there when the first gives up; that
 * many must then meet in a dispatch of their own, or the fewer that did, until it holds. */
bool solo_probe_resident(solo_device *d, uint32_t workgroup_size, uint32_t workgroup_bytes, uint32_t n,
                         uint32_t *n_resident, solo_error *err) {
    char consts[128];
    snprintf(consts, sizeof consts, "const WG = %uu;\nconst PAD = %uu;\nconst SPIN_LIMIT = %uu;\n",
             workgroup_size, workgroup_bytes / 4,
             solo_device_info_of(d)->is_software ? RESIDENT_POLLS_SOFTWARE : RESIDENT_POLLS_GPU);
    probe p = {0};
    uint32_t n_met = 0;
    bool ok = probe_open(&p, d, "probe_resident", consts, 16, 0, err);
    for (uint32_t i = 0; ok && i < 8; i++) {
        ok = meet_best(&p, n, &n_met, err);
        if (n_met == n) break;
        n = n_met;
    }
    probe_close(&p);
    *n_resident = n_met < n ? n_met : n;
    if (ok && *n_resident == 0)
        return solo_fail(err, SOLO_DEVICE_ERROR, "probe_resident: no workgroup arrived on %s",
                         solo_device_info_of(d)->name);
    return ok;
}

/* ---- hand-offs ---------------------------------------------------------------------------- */

#define HAND_OFF_ROUNDS 1024u
#define HAND_OFF_COUNTERS 32u /* COUNTERS in probe_hand_off.wgsl */

static uint64_t hand_off_words(uint32_t n_wg) {
    return HAND_OFF_COUNTERS + (uint64_t)HAND_OFF_ROUNDS * (32 + n_wg);
}

/* Seconds of a dispatch of `rounds` hand-offs; *met false where a wait gave up or a word was wrong. */
static bool time_hand_offs(probe *p, uint32_t n_wg, uint32_t rounds, uint32_t n_run,
                           double *seconds, bool *met, solo_error *err) {
    double sample[MAX_RUN];
    const uint32_t uniform[4] = {rounds};
    solo_device_write(p->device, p->uniform, 0, uniform, sizeof uniform);
    for (uint32_t i = 0; *met && i < n_run; i++) {
        uint32_t state[2];
        solo_device_clear(p->device, p->state, 0, 4 * hand_off_words(n_wg));
        if (!solo_device_submit(p->device, err) || !solo_device_wait(p->device, err)) return false;
        double t = solo_seconds();
        if (!probe_pass(p, n_wg, 1, err)) return false;
        sample[i] = solo_seconds() - t;
        if (!solo_device_read(p->device, p->state, 0, state, sizeof state, err)) return false;
        *met = state[0] == 0 && state[1] == 0;
    }
    if (*met) *seconds = solo_median(sample, n_run);
    return true;
}

static bool probe_hand_offs(solo_device *d, solo_probe_result *out, solo_error *err) {
    bool software = solo_device_info_of(d)->is_software;
    uint32_t few = software ? 8 : 100, many = software ? 72 : HAND_OFF_ROUNDS;
    uint32_t n_run = software ? 3 : 9, n_wg = 2;
    char consts[128];
    snprintf(consts, sizeof consts,
             "const WG = %uu;\nconst SPIN_LIMIT = %uu;\nconst MAX_ROUND = %uu;\n",
             out->workgroup_size, software ? 1000000u : 100000u, HAND_OFF_ROUNDS);
    if (out->n_resident < 2) return true;
    probe p = {0};
    bool ok = probe_open(&p, d, "probe_hand_off", consts, 4 * hand_off_words(out->n_resident), 0,
                         err);
    while (ok && n_wg <= out->n_resident) { /* 2, 4, 8, ... and all that are resident */
        double t_few = 0, t_many = 0;
        bool met = true;
        ok = time_hand_offs(&p, n_wg, few, n_run, &t_few, &met, err) &&
             time_hand_offs(&p, n_wg, many, n_run, &t_many, &met, err);
        if (!ok || !met) break;
        out->hand_off[out->n_hand_off++] =
            (solo_probe_hand_off){n_wg, slope_us(t_few, t_many, few, many)};
        if (n_wg == out->n_resident) break;
        n_wg = 2 * n_wg < out->n_resident ? 2 * n_wg : out->n_resident;
    }
    probe_close(&p);
    return ok;
}

/* ---- rates -------------------------------------------------------------------------------- */

/* Operations a second of a kernel that does `ops` a lane and round. */
static bool probe_ops(solo_device *d, const char *name, const char *front, double ops, double *rate, solo_error *err) {
    bool software = solo_device_info_of(d)->is_software;
    uint32_t wg = software ? 32 : 256, n_wg = software ? 4 : 2112, rounds = software ? 256 : 2048;
    char consts[160];
    snprintf(consts, sizeof consts, "%sconst WG = %uu;\nconst ROUNDS = %uu;\n", front, wg, rounds);
    probe p = {0};
    bool ok = probe_open(&p, d, name, consts, 16, 0, err);
    double began = solo_seconds();
    *rate = 0;
    while (ok && solo_seconds() - began < (software ? 0.05 : 0.3)) {
        double t = solo_seconds();
        ok = probe_pass(&p, n_wg, 1, err);
        double found = ops * rounds * wg * n_wg / (solo_seconds() - t);
        if (found > *rate) *rate = found;
    }
    probe_close(&p);
    return ok;
}

static bool probe_copy(solo_device *d, double *rate, solo_error *err) {
    const solo_device_info *info = solo_device_info_of(d);
    uint64_t n_bytes = info->is_software ? 16u << 20 : 256u << 20;
    uint32_t n_copy = info->is_software ? 1 : 8;
    solo_buffer a = {0}, b = {0};
    bool ok = solo_device_buffer_open(d, SOLO_BUFFER_STORAGE, n_bytes, "copy from", &a, err) &&
              solo_device_buffer_open(d, SOLO_BUFFER_STORAGE, n_bytes, "copy to", &b, err);
    double began = solo_seconds();
    *rate = 0;
    while (ok && solo_seconds() - began < (info->is_software ? 0.05 : 0.3)) {
        double t = solo_seconds();
        for (uint32_t i = 0; i < n_copy; i++) solo_device_copy(d, a, 0, b, 0, n_bytes);
        ok = solo_device_submit(d, err) && solo_device_wait(d, err);
        double found = (double)n_bytes * n_copy / (solo_seconds() - t);
        if (found > *rate) *rate = found;
    }
    solo_device_buffer_close(&a);
    solo_device_buffer_close(&b);
    return ok;
}

/* n submits of a dispatch each, then one wait. */
static bool time_submits(probe *p, uint32_t n, double *seconds, solo_error *err) {
    double t = solo_seconds();
    for (uint32_t i = 0; i < n; i++) {
        probe_encode(p, 1, 1);
        if (!solo_device_submit(p->device, err)) return false;
    }
    bool ok = solo_device_wait(p->device, err);
    *seconds = solo_seconds() - t;
    return ok;
}

static bool probe_submits(solo_device *d, double *us, solo_error *err) {
    bool software = solo_device_info_of(d)->is_software;
    uint32_t few = software ? 5 : 50, many = software ? 55 : 550;
    double t_few[9], t_many[9];
    probe p = {0};
    bool ok = probe_open(&p, d, "probe_dispatch", "const WG = 32u;\n", 1024, 0, err);
    for (uint32_t i = 0; ok && i < 9; i++)
        ok = time_submits(&p, few, &t_few[i], err) && time_submits(&p, many, &t_many[i], err);
    probe_close(&p);
    if (ok) *us = slope_us(solo_median(t_few, 9), solo_median(t_many, 9), few, many);
    return ok;
}

/* Weights of 4 bits that the payload's bindings hold, and the shapes that come of it. */
static void limits_of(const solo_device_info *info, solo_probe_rates *out) {
    uint64_t most = info->max_binding_bytes < info->max_buffer_bytes ? info->max_binding_bytes : info->max_buffer_bytes;
    uint32_t n = info->max_storage_buffers > 6 ? info->max_storage_buffers - 6 : 0;
    if (n > SOLO_MAX_PAYLOAD) n = SOLO_MAX_PAYLOAD;
    const double n_weight = 2.0 * (double)most * n, phi3_layer = 4.0 * 3072 * 3072 + 3.0 * 3072 * 8192;
    out->max_width = (uint32_t)(sqrt(n_weight / 16) / 32) * 32; /* 4 D^2 for attention, 12 D^2 behind it */
    out->max_layers = (uint32_t)(n_weight / phi3_layer);
}

bool solo_device_probe_rates(solo_device *d, solo_probe_rates *out, solo_error *err) {
    const solo_device_info *info = solo_device_info_of(d);
    *out = (solo_probe_rates){0};
    if (!refuse_reference(info, "probe", err)) return false;
    limits_of(info, out);
    return probe_submits(d, &out->submit_us, err) && probe_copy(d, &out->copy_bytes_s, err) &&
           probe_ops(d, "probe_dp4a", "", 8 * 8, &out->dp4a_ops_s, err) &&
           probe_ops(d, "probe_fma", "alias N = vec4<f32>;\n", 4 * 4 * 2, &out->f32_ops_s, err) &&
           (!solo_device_f16(d) ||
            probe_ops(d, "probe_fma", "enable f16;\nalias N = vec4<f16>;\n", 4 * 4 * 2, &out->f16_ops_s, err));
}

/* ---- all of it ---------------------------------------------------------------------------- */

bool solo_device_probe(solo_device *d, const solo_probe_desc *desc, solo_probe_result *out,
                       solo_error *err) {
    const solo_device_info *info = solo_device_info_of(d);
    *out = (solo_probe_result){.workgroup_size = desc->workgroup_size,
                               .workgroup_bytes = desc->workgroup_bytes};
    if (!refuse_reference(info, "probe", err)) return false;
    if (out->workgroup_size == 0) out->workgroup_size = info->is_software ? 32 : 256;
    if (out->workgroup_bytes == 0)
        out->workgroup_bytes = info->max_workgroup_bytes < 16384 ? info->max_workgroup_bytes : 16384;
    if (out->workgroup_size > info->max_workgroup_size)
        return solo_fail(err, SOLO_DEVICE_LIMIT,
                         "probe: wanted workgroups of %u lanes, %s grants at most %u",
                         out->workgroup_size, info->name, info->max_workgroup_size);
    if (out->workgroup_bytes < 4 || out->workgroup_bytes > info->max_workgroup_bytes)
        return solo_fail(err, SOLO_DEVICE_LIMIT,
                         "probe: wanted %u bytes of workgroup memory, %s grants 4 to %u",
                         out->workgroup_bytes, info->name, info->max_workgroup_bytes);
    out->workgroup_bytes = out->workgroup_bytes / 4 * 4;
    uint32_t n = info->is_software ? RESIDENT_MAX_SOFTWARE : SOLO_PROBE_MAX_WORKGROUP;
    return probe_dispatches(d, out, err) &&
           solo_probe_resident(d, out->workgroup_size, out->workgroup_bytes, n, &out->n_resident, err) &&
           probe_hand_offs(d, out, err) &&
           (desc->no_bandwidth || solo_device_read_bandwidth(d, &out->read_bytes_s, err));
}
