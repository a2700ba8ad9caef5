/* probe.c: what a device can do, measured: the ceiling that benchmark rows are held against. */
#include "device.h"
#include "wgsl.h"

typedef struct probe {
    solo_buffer uniform, sink, source;
    solo_bindings bindings;
    solo_module module;
    solo_pipeline pipeline;
} probe;

static void probe_close(probe *p) {
    solo_device_pipeline_close(&p->pipeline);
    solo_device_module_close(&p->module);
    solo_device_bindings_close(&p->bindings);
    solo_device_buffer_close(&p->source);
    solo_device_buffer_close(&p->sink);
    solo_device_buffer_close(&p->uniform);
}

static bool probe_open(probe *p, solo_device *d, uint64_t n_bytes, solo_error *err) {
    char *wgsl = solo_wgsl_file("probe_bandwidth.wgsl");
    bool ok = solo_device_buffer_open(d, SOLO_BUFFER_UNIFORM, 16, "probe", &p->uniform, err) &&
              solo_device_buffer_open(d, SOLO_BUFFER_STORAGE, 16, "probe", &p->sink, err) &&
              solo_device_buffer_open(d, SOLO_BUFFER_STORAGE, n_bytes, "probe", &p->source, err);
    const solo_bind binds[] = {{0, SOLO_BIND_UNIFORM, p->uniform, 0, 16},
                               {3, SOLO_BIND_READ_WRITE, p->sink, 0, 0},
                               {8, SOLO_BIND_READ, p->source, 0, 0}};
    ok =
        ok && solo_device_bindings_open(d, binds, 3, "probe", &p->bindings, err) &&
        solo_device_module_open(d, wgsl, "probe_bandwidth.wgsl", &p->module, err) &&
        solo_device_pipeline_open(d, p->module, "probe_bandwidth", &p->bindings, &p->pipeline, err);
    free(wgsl);
    return ok;
}

static bool probe_pass(probe *p, solo_device *d, uint32_t n_wg, uint32_t n, solo_error *err) {
    uint32_t offset = 0;
    solo_device_pass_begin(d);
    for (uint32_t i = 0; i < n; i++)
        solo_device_pass_dispatch(d, p->pipeline, &p->bindings, &offset, 1, n_wg, 1);
    solo_device_pass_end(d);
    return solo_device_submit(d, err) && solo_device_wait(d, err);
}

bool solo_device_read_bandwidth(solo_device *d, double *bytes_per_second, solo_error *err) {
    const solo_device_info *info = solo_device_info_of(d);
    if (info->is_reference)
        return solo_fail(err, SOLO_ARGUMENT,
                         "read bandwidth: wanted a WebGPU adapter, found the CPU reference");
    uint32_t n_wg = info->is_software ? 4 : 1056; /* 8 to each of 132 multiprocessors */
    uint32_t n_pass = info->is_software ? 1 : 8;
    uint64_t piece = (uint64_t)n_wg * 2048 * 16, n_bytes = info->is_software ? 64u << 20 : 1u << 30;
    if (n_bytes > info->max_binding_bytes) n_bytes = info->max_binding_bytes;
    n_bytes = n_bytes / piece * piece;
    probe p = {0};
    bool ok = probe_open(&p, d, n_bytes, err);
    double best = 0, began = solo_seconds();
    /* a second warms the clocks up; the best pass is the ceiling */
    while (ok && solo_seconds() - began < (info->is_software ? 0.5 : 1.5)) {
        double t = solo_seconds();
        ok = probe_pass(&p, d, n_wg, n_pass, err);
        double rate = (double)n_bytes * n_pass / (solo_seconds() - t);
        if (rate > best) best = rate;
    }
    probe_close(&p);
    *bytes_per_second = best;
    return ok;
}
