/* device.c: WebGPU behind device.h: adapters, the device, its late errors, buffers, modules,
 * pipelines, one command encoder at a time, late reads. Knows nothing of models. */
#include "device.h"

#include <strings.h>
#include <webgpu.h>

/* The pinned pair is the standard header and Dawn's library, which differ in the tail of WGPULimits
 * and in feature numbers. A system Dawn brings its own header. */
#ifdef SOLO_DAWN_SYSTEM
#define FEATURE_SUBGROUPS WGPUFeatureName_Subgroups
#define FEATURE_F16 WGPUFeatureName_ShaderF16
#define N_LIMIT_TAIL 0
#else
#define FEATURE_SUBGROUPS ((WGPUFeatureName)17)
#define FEATURE_F16 ((WGPUFeatureName)10)
#define N_LIMIT_TAIL 4
#endif

typedef struct limits {
    WGPULimits std;
    uint32_t tail[N_LIMIT_TAIL + 1]; /* + 1: never an array of none */
} limits;

typedef struct toggles { /* Dawn's chained struct, sType 0x5000A */
    WGPUChainedStruct chain;
    size_t n_on;
    const char *const *on;
    size_t n_off;
    const char *const *off;
} toggles;

#define TOGGLES_STYPE ((WGPUSType)0x5000A)

struct solo_device {
    bool f16;
    bool is_reference;
    solo_device_info info;
    uint32_t uniform_align;
    WGPUInstance instance;
    WGPUAdapter adapter;
    WGPUDevice device;
    WGPUQueue queue;
    WGPUCommandEncoder encoder; /* open between the first append and submit */
    WGPUComputePassEncoder pass;
    uint64_t n_dispatch;
    solo_error late; /* first uncaptured or lost message; status OK: none */
    bool closing;
};

static WGPUStringView view(const char *s) { return (WGPUStringView){s, s ? strlen(s) : 0}; }

static void copy_view(char *out, size_t n_out, WGPUStringView s) {
    size_t n = s.length == WGPU_STRLEN ? (s.data ? strlen(s.data) : 0) : s.length;
    if (n >= n_out) n = n_out - 1;
    if (n > 0) memcpy(out, s.data, n);
    out[n] = 0;
    for (size_t i = 0; i < n; i++) {
        if (out[i] == '\n' || out[i] == '\r') out[i] = ' ';
    }
}

static bool wait_for(WGPUInstance instance, WGPUFuture future) {
    WGPUFutureWaitInfo info = {.future = future};
    return wgpuInstanceWaitAny(instance, 1, &info, UINT64_MAX) == WGPUWaitStatus_Success;
}

/* ---- late errors -------------------------------------------------------------------------- */

static void keep_late(solo_device *d, solo_status status, const char *what, WGPUStringView text) {
    if (d->late.status != SOLO_OK || d->closing) return;
    char line[900];
    copy_view(line, sizeof line, text);
    solo_fail(&d->late, status, "%s (%s): %s", what, d->info.name, line);
}

static void on_uncaptured(WGPUDevice const *device, WGPUErrorType type, WGPUStringView text,
                          void *user, void *unused) {
    (void)device, (void)unused;
    solo_status status = type == WGPUErrorType_OutOfMemory ? SOLO_MEMORY : SOLO_DEVICE_ERROR;
    keep_late(user, status, "the device reported an error", text);
}

static void on_lost(WGPUDevice const *device, WGPUDeviceLostReason reason, WGPUStringView text,
                    void *user, void *unused) {
    (void)device, (void)reason, (void)unused;
    keep_late(user, SOLO_DEVICE_LOST, "the device was lost", text);
}

bool solo_device_ok(solo_device *d, solo_error *err) {
    if (!d->is_reference) wgpuInstanceProcessEvents(d->instance);
    if (d->late.status == SOLO_OK) return true;
    if (err) *err = d->late;
    return false;
}

typedef struct scope_result {
    WGPUErrorType type;
    char text[700];
} scope_result;

static void on_scope(WGPUPopErrorScopeStatus status, WGPUErrorType type, WGPUStringView text,
                     void *user, void *unused) {
    (void)unused;
    scope_result *result = user;
    result->type = status == WGPUPopErrorScopeStatus_Success ? type : WGPUErrorType_Unknown;
    copy_view(result->text, sizeof result->text, text);
}

static void scopes_push(solo_device *d) {
    wgpuDevicePushErrorScope(d->device, WGPUErrorFilter_Internal);
    wgpuDevicePushErrorScope(d->device, WGPUErrorFilter_OutOfMemory);
    wgpuDevicePushErrorScope(d->device, WGPUErrorFilter_Validation);
}

/* Pops all three scopes; false with the first error's text, or with a kept late error's. */
static bool scopes_pop(solo_device *d, const char *what, const char *label, solo_error *err) {
    bool ok = true;
    scope_result results[3];
    WGPUFuture futures[3];
    for (int i = 0; i < 3; i++) { /* all asked for before the first is waited for: one round trip */
        results[i] = (scope_result){.type = WGPUErrorType_Unknown};
        WGPUPopErrorScopeCallbackInfo info = {
            .mode = WGPUCallbackMode_WaitAnyOnly, .callback = on_scope, .userdata1 = &results[i]};
        futures[i] = wgpuDevicePopErrorScope(d->device, info);
    }
    for (int i = 0; i < 3; i++) {
        wait_for(d->instance, futures[i]);
        const scope_result result = results[i];
        if (!ok || result.type == WGPUErrorType_NoError) continue;
        ok = false;
        if (d->late.status != SOLO_OK && err)
            *err = d->late;
        else
            solo_fail(err,
                      result.type == WGPUErrorType_OutOfMemory ? SOLO_MEMORY : SOLO_DEVICE_ERROR,
                      "%s %s on %s: %s", what, label, d->info.name, result.text);
    }
    return ok && solo_device_ok(d, err); /* a lost device refuses nothing that is made on it */
}

/* ---- adapters ----------------------------------------------------------------------------- */

static void on_adapter(WGPURequestAdapterStatus status, WGPUAdapter adapter, WGPUStringView text,
                       void *user, void *unused) {
    (void)text, (void)unused;
    *(WGPUAdapter *)user = status == WGPURequestAdapterStatus_Success ? adapter : NULL;
}

static WGPUInstance instance_open(void) {
    WGPUInstanceFeatureName timed = WGPUInstanceFeatureName_TimedWaitAny;
    WGPUInstanceDescriptor desc = {.requiredFeatureCount = 1, .requiredFeatures = &timed};
    return wgpuCreateInstance(&desc);
}

static const char *backend_name(WGPUBackendType type) {
    switch (type) {
        case WGPUBackendType_Vulkan: return "Vulkan";
        case WGPUBackendType_D3D12: return "D3D12";
        case WGPUBackendType_D3D11: return "D3D11";
        case WGPUBackendType_Metal: return "Metal";
        case WGPUBackendType_WebGPU: return "WebGPU";
        default: return "other";
    }
}

static limits adapter_limits(WGPUAdapter adapter) {
    limits l;
    memset(&l, 0, sizeof l);
    wgpuAdapterGetLimits(adapter, &l.std);
    for (int i = 0; i < N_LIMIT_TAIL; i++) l.tail[i] = WGPU_LIMIT_U32_UNDEFINED;
    l.std.nextInChain = NULL;
    return l;
}

static solo_device_info adapter_info(WGPUAdapter adapter) {
    solo_device_info out;
    memset(&out, 0, sizeof out);
    WGPUAdapterInfo info;
    memset(&info, 0, sizeof info);
    wgpuAdapterGetInfo(adapter, &info);
    copy_view(out.name, sizeof out.name, info.device);
    copy_view(out.driver, sizeof out.driver, info.description);
    if (!out.name[0]) copy_view(out.name, sizeof out.name, info.description);
    if (!out.name[0]) copy_view(out.name, sizeof out.name, info.vendor);
    snprintf(out.backend, sizeof out.backend, "%s", backend_name(info.backendType));
    out.is_software = info.adapterType == WGPUAdapterType_CPU;
    out.has_subgroups = wgpuAdapterHasFeature(adapter, FEATURE_SUBGROUPS);
    out.has_f16 = wgpuAdapterHasFeature(adapter, FEATURE_F16);
    out.subgroup_min = info.subgroupMinSize;
    out.subgroup_max = info.subgroupMaxSize;
    wgpuAdapterInfoFreeMembers(info);
    limits l = adapter_limits(adapter);
    out.max_workgroup_size = l.std.maxComputeInvocationsPerWorkgroup;
    if (l.std.maxComputeWorkgroupSizeX < out.max_workgroup_size)
        out.max_workgroup_size = l.std.maxComputeWorkgroupSizeX;
    out.max_workgroup_bytes = l.std.maxComputeWorkgroupStorageSize;
    out.max_storage_buffers = l.std.maxStorageBuffersPerShaderStage;
    out.max_buffer_bytes = l.std.maxBufferSize;
    out.max_binding_bytes = l.std.maxStorageBufferBindingSize;
    return out;
}

static bool is_null_backend(WGPUAdapter adapter) {
    WGPUAdapterInfo info;
    memset(&info, 0, sizeof info);
    wgpuAdapterGetInfo(adapter, &info);
    bool is_null = info.backendType == WGPUBackendType_Null;
    wgpuAdapterInfoFreeMembers(info);
    return is_null;
}

#define MAX_ADAPTER 4u

/* The adapters that three requests give, without repeats: the fast one first. */
static uint32_t adapters_find(WGPUInstance instance, WGPUAdapter *out, solo_device_info *infos) {
    static const struct {
        WGPUPowerPreference power;
        bool fallback;
    } asks[] = {
        {WGPUPowerPreference_HighPerformance, false},
        {WGPUPowerPreference_LowPower, false},
        {WGPUPowerPreference_Undefined, true},
    };
    uint32_t n = 0;
    for (uint32_t i = 0; i < SOLO_COUNT(asks) && n < MAX_ADAPTER; i++) {
        WGPUAdapter adapter = NULL;
        WGPURequestAdapterOptions options = {.featureLevel = WGPUFeatureLevel_Core,
                                             .powerPreference = asks[i].power,
                                             .forceFallbackAdapter = asks[i].fallback};
        WGPURequestAdapterCallbackInfo info = {
            .mode = WGPUCallbackMode_WaitAnyOnly, .callback = on_adapter, .userdata1 = &adapter};
        wait_for(instance, wgpuInstanceRequestAdapter(instance, &options, info));
        if (!adapter) continue;
        if (is_null_backend(adapter)) { /* Dawn's own stand-in, which computes nothing */
            wgpuAdapterRelease(adapter);
            continue;
        }
        infos[n] = adapter_info(adapter);
        bool seen = false;
        for (uint32_t j = 0; j < n; j++) {
            if (!strcmp(infos[j].name, infos[n].name) &&
                !strcmp(infos[j].backend, infos[n].backend))
                seen = true;
        }
        if (seen)
            wgpuAdapterRelease(adapter);
        else
            out[n++] = adapter;
    }
    return n;
}

static solo_device_info reference_info(void) {
    solo_device_info info = {.name = "cpu",
                             .backend = "cpu",
                             .driver = "the reference in C, f32",
                             .is_software = true,
                             .is_reference = true};
    return info;
}

uint32_t solo_device_list(solo_device_info *out, uint32_t n_max, solo_error *err) {
    WGPUInstance instance = instance_open();
    WGPUAdapter adapters[MAX_ADAPTER];
    solo_device_info infos[MAX_ADAPTER + 1];
    uint32_t n = 0;
    if (instance)
        n = adapters_find(instance, adapters, infos);
    else
        solo_fail(err, SOLO_DEVICE_NONE, "no WebGPU instance could be made");
    for (uint32_t i = 0; i < n; i++) wgpuAdapterRelease(adapters[i]);
    if (instance) wgpuInstanceRelease(instance);
    infos[n++] = reference_info();
    for (uint32_t i = 0; i < n && i < n_max; i++) out[i] = infos[i];
    return n;
}

static bool name_has(const char *name, const char *part) {
    size_t n = strlen(part);
    for (; *name; name++) {
        if (!strncasecmp(name, part, n)) return true;
    }
    return false;
}

/* Which adapter a user's word means; fails with the list of what there is. */
static bool adapter_choose(const char *word, const solo_device_info *infos, uint32_t n,
                           uint32_t *out, solo_error *err) {
    bool any = !word || !*word || !strcmp(word, "auto");
    for (uint32_t i = 0; i < n; i++) {
        char number[12];
        snprintf(number, sizeof number, "%u", i);
        if (any ? true : (!strcmp(word, number) || name_has(infos[i].name, word))) {
            *out = i;
            return true;
        }
    }
    if (any)
        return solo_fail(err, SOLO_DEVICE_NONE,
                         "no WebGPU adapter was found (is a Vulkan driver installed?); "
                         "\"cpu\" runs without one");
    solo_text list = {0};
    for (uint32_t i = 0; i < n; i++) solo_text_add(&list, "%u \"%s\", ", i, infos[i].name);
    solo_fail(err, SOLO_DEVICE_NONE, "device: wanted \"%s\", found %s\"cpu\"", word,
              list.at ? list.at : "");
    free(list.at);
    return false;
}

/* ---- the device --------------------------------------------------------------------------- */

static void on_device(WGPURequestDeviceStatus status, WGPUDevice device, WGPUStringView text,
                      void *user, void *user2) {
    *(WGPUDevice *)user = status == WGPURequestDeviceStatus_Success ? device : NULL;
    if (status != WGPURequestDeviceStatus_Success) copy_view(user2, 500, text);
}

static bool device_request(solo_device *d, const solo_device_desc *desc, solo_error *err) {
    limits want = adapter_limits(d->adapter);
    d->uniform_align = want.std.minUniformBufferOffsetAlignment;
    WGPUFeatureName features[2];
    size_t n_feature = 0;
    if (d->info.has_subgroups) features[n_feature++] = FEATURE_SUBGROUPS;
    if (d->info.has_f16 && desc->f16) features[n_feature++] = FEATURE_F16;
    d->f16 = d->info.has_f16 && desc->f16;
    const char *on[2], *off[1];
    toggles t = {.chain = {.sType = TOGGLES_STYPE}, .on = on, .off = off};
    if (desc->disable_robustness) on[t.n_on++] = "disable_robustness";
    if (desc->skip_validation) on[t.n_on++] = "skip_validation";
    WGPUDeviceDescriptor dd = {
        .nextInChain = t.n_on ? &t.chain : NULL,
        .requiredFeatureCount = n_feature,
        .requiredFeatures = features,
        .requiredLimits = &want.std,
        .deviceLostCallbackInfo = {.mode = WGPUCallbackMode_AllowSpontaneous,
                                   .callback = on_lost,
                                   .userdata1 = d},
        .uncapturedErrorCallbackInfo = {.callback = on_uncaptured, .userdata1 = d},
    };
    char text[500] = "";
    WGPURequestDeviceCallbackInfo info = {.mode = WGPUCallbackMode_WaitAnyOnly,
                                          .callback = on_device,
                                          .userdata1 = &d->device,
                                          .userdata2 = text};
    wait_for(d->instance, wgpuAdapterRequestDevice(d->adapter, &dd, info));
    if (!d->device)
        return solo_fail(err, SOLO_DEVICE_ERROR, "%s refused a device: %s", d->info.name, text);
    d->queue = wgpuDeviceGetQueue(d->device);
    return true;
}

bool solo_device_open(solo_device **out, const solo_device_desc *desc, solo_error *err) {
    *out = NULL;
    solo_device *d = solo_zalloc(1, sizeof *d);
    if (desc->name && !strcmp(desc->name, "cpu")) {
        d->is_reference = true;
        d->info = reference_info();
        *out = d;
        return true;
    }
    d->instance = instance_open();
    if (!d->instance) {
        free(d);
        return solo_fail(err, SOLO_DEVICE_NONE, "no WebGPU instance could be made");
    }
    WGPUAdapter adapters[MAX_ADAPTER];
    solo_device_info infos[MAX_ADAPTER];
    uint32_t n = adapters_find(d->instance, adapters, infos), chosen = 0;
    bool ok = adapter_choose(desc->name, infos, n, &chosen, err);
    for (uint32_t i = 0; i < n; i++) {
        if (ok && i == chosen) {
            d->adapter = adapters[i];
            d->info = infos[i];
        } else {
            wgpuAdapterRelease(adapters[i]);
        }
    }
    if (!ok || !device_request(d, desc, err)) {
        solo_device_close(d);
        return false;
    }
    *out = d;
    return true;
}

void solo_device_close(solo_device *d) {
    if (!d) return;
    d->closing = true;
    if (d->pass) wgpuComputePassEncoderRelease(d->pass);
    if (d->encoder) wgpuCommandEncoderRelease(d->encoder);
    if (d->queue) wgpuQueueRelease(d->queue);
    if (d->device) {
        wgpuDeviceDestroy(d->device);
        wgpuDeviceRelease(d->device);
    }
    if (d->adapter) wgpuAdapterRelease(d->adapter);
    if (d->instance) {
        wgpuInstanceProcessEvents(d->instance);
        wgpuInstanceRelease(d->instance);
    }
    free(d);
}

solo_device_info solo_device_get_info(const solo_device *d) { return d->info; }
const solo_device_info *solo_device_info_of(const solo_device *d) { return &d->info; }
uint64_t solo_device_n_dispatch(const solo_device *d) { return d->n_dispatch; }
bool solo_device_is_reference(const solo_device *d) { return d->is_reference; }
bool solo_device_f16(const solo_device *d) { return d->f16; }
uint32_t solo_device_uniform_align(const solo_device *d) { return d->uniform_align; }
void solo_device_destroy_for_test(solo_device *d) { wgpuDeviceDestroy(d->device); }

/* ---- buffers ------------------------------------------------------------------------------ */

bool solo_device_buffer_open(solo_device *d, solo_buffer_kind kind, uint64_t n_bytes,
                             const char *label, solo_buffer *out, solo_error *err) {
    static const WGPUBufferUsage usage_of[] = {
        [SOLO_BUFFER_STORAGE] = 0x80 | 0x04 | 0x08, /* Storage | CopySrc | CopyDst */
        [SOLO_BUFFER_UNIFORM] = 0x40 | 0x08,        /* Uniform | CopyDst */
        [SOLO_BUFFER_READBACK] = 0x01 | 0x08,       /* MapRead | CopyDst */
    };
    n_bytes = (n_bytes + 15) & ~(uint64_t)15;
    if (n_bytes == 0) n_bytes = 16;
    if (n_bytes > d->info.max_buffer_bytes)
        return solo_fail(err, SOLO_DEVICE_LIMIT,
                         "buffer %s: wanted %llu bytes, %s grants maxBufferSize %llu", label,
                         (unsigned long long)n_bytes, d->info.name,
                         (unsigned long long)d->info.max_buffer_bytes);
    if (kind == SOLO_BUFFER_STORAGE && n_bytes > d->info.max_binding_bytes)
        return solo_fail(err, SOLO_DEVICE_LIMIT,
                         "buffer %s: wanted %llu bytes, %s grants maxStorageBufferBindingSize %llu",
                         label, (unsigned long long)n_bytes, d->info.name,
                         (unsigned long long)d->info.max_binding_bytes);
    scopes_push(d);
    WGPUBufferDescriptor desc = {.label = view(label), .usage = usage_of[kind], .size = n_bytes};
    WGPUBuffer buffer = wgpuDeviceCreateBuffer(d->device, &desc);
    if (!scopes_pop(d, "buffer", label, err)) {
        if (buffer) wgpuBufferRelease(buffer);
        return false;
    }
    *out = (solo_buffer){buffer, n_bytes};
    return true;
}

void solo_device_buffer_close(solo_buffer *buffer) {
    if (!buffer->handle) return;
    wgpuBufferDestroy(buffer->handle);
    wgpuBufferRelease(buffer->handle);
    *buffer = (solo_buffer){0};
}

void solo_device_write(solo_device *d, solo_buffer buffer, uint64_t off, const void *data,
                       uint64_t n_bytes) {
    SOLO_ASSERT(off % 4 == 0 && n_bytes % 4 == 0 && off + n_bytes <= buffer.n_bytes);
    if (n_bytes) wgpuQueueWriteBuffer(d->queue, buffer.handle, off, data, (size_t)n_bytes);
}

static void on_map(WGPUMapAsyncStatus status, WGPUStringView text, void *user, void *unused) {
    (void)unused;
    solo_late_read *read = user;
    read->state = status == WGPUMapAsyncStatus_Success ? 1 : -1;
    if (read->state < 0) copy_view(read->text, sizeof read->text, text);
}

void solo_device_read_begin(solo_device *d, solo_late_read *read) {
    (void)d;
    read->state = 0;
    WGPUBufferMapCallbackInfo info = {
        .mode = WGPUCallbackMode_WaitAnyOnly, .callback = on_map, .userdata1 = read};
    read->future = wgpuBufferMapAsync(read->buffer.handle, WGPUMapMode_Read, 0,
                                      (size_t)read->buffer.n_bytes, info)
                       .id;
}

bool solo_device_read_wait(solo_device *d, solo_late_read *read, void *out, uint64_t n_bytes,
                           solo_error *err) {
    if (!wait_for(d->instance, (WGPUFuture){read->future}) || read->state != 1) {
        if (!solo_device_ok(d, err)) return false;
        return solo_fail(err, SOLO_DEVICE_ERROR, "a read from %s failed: %s", d->info.name,
                         read->text);
    }
    const void *at = wgpuBufferGetConstMappedRange(read->buffer.handle, 0, (size_t)n_bytes);
    if (at) memcpy(out, at, (size_t)n_bytes);
    wgpuBufferUnmap(read->buffer.handle);
    if (!at)
        return solo_fail(err, SOLO_DEVICE_ERROR, "a mapped read from %s gave nothing",
                         d->info.name);
    return solo_device_ok(d, err);
}

bool solo_device_read(solo_device *d, solo_buffer buffer, uint64_t off, void *out, uint64_t n_bytes,
                      solo_error *err) {
    SOLO_ASSERT(off % 4 == 0 && n_bytes % 4 == 0 && off + n_bytes <= buffer.n_bytes);
    solo_late_read read = {0};
    if (!solo_device_buffer_open(d, SOLO_BUFFER_READBACK, n_bytes, "readback", &read.buffer, err))
        return false;
    solo_device_copy(d, buffer, off, read.buffer, 0, n_bytes);
    bool ok = solo_device_submit(d, err);
    if (ok) {
        solo_device_read_begin(d, &read);
        ok = solo_device_read_wait(d, &read, out, n_bytes, err);
    }
    solo_device_buffer_close(&read.buffer);
    return ok;
}

/* ---- staging ------------------------------------------------------------------------------ */

#ifndef __wasm__
#define N_STRETCH 8u

struct solo_stager {
    solo_device *device;
    solo_late_read stretch[N_STRETCH]; /* mapped, or with `future` the promise that it will be */
    bool asked[N_STRETCH];             /* for that promise */
    uint32_t at;                       /* the stretch in hand */
};

solo_stager *solo_stager_open(solo_device *d) {
    solo_stager *s = solo_zalloc(1, sizeof *s);
    s->device = d;
    return s;
}

/* False: it could not be mapped again. */
static bool is_mapped(solo_stager *s, uint32_t i) {
    solo_late_read *one = &s->stretch[i];
    if (!s->asked[i]) return true;
    s->asked[i] = false;
    return wait_for(s->device->instance, (WGPUFuture){one->future}) && one->state == 1;
}

void solo_stager_close(solo_stager *s) {
    for (uint32_t i = 0; s && i < N_STRETCH; i++) {
        is_mapped(s, i); /* its callback writes to the stretch */
        solo_device_buffer_close(&s->stretch[i].buffer);
    }
    free(s);
}

static void open_stretch(solo_stager *s, solo_late_read *one, uint64_t n_bytes) {
    solo_device_buffer_close(&one->buffer);
    WGPUBufferDescriptor info = {.label = view("staging"),
                                 .usage = WGPUBufferUsage_MapWrite | WGPUBufferUsage_CopySrc,
                                 .size = n_bytes,
                                 .mappedAtCreation = true};
    one->buffer = (solo_buffer){wgpuDeviceCreateBuffer(s->device->device, &info), n_bytes};
}

void *solo_stager_room(solo_stager *s, uint64_t n_bytes, solo_error *err) {
    s->at = (s->at + 1) % N_STRETCH;
    solo_late_read *one = &s->stretch[s->at];
    n_bytes = (n_bytes + 3) / 4 * 4;
    bool ok = is_mapped(s, s->at);
    if (ok && one->buffer.n_bytes < n_bytes) open_stretch(s, one, n_bytes);
    void *at = ok && one->buffer.handle ? wgpuBufferGetMappedRange(one->buffer.handle, 0, (size_t)n_bytes) : NULL;
    if (at || !solo_device_ok(s->device, err)) return at;
    solo_fail(err, SOLO_MEMORY, "staging on %s: wanted %llu bytes of mapped memory, found none", s->device->info.name,
              (unsigned long long)n_bytes);
    return NULL;
}

void solo_stager_copy(solo_stager *s, uint64_t from, solo_buffer to, uint64_t off, uint64_t n_bytes) {
    solo_device_copy(s->device, s->stretch[s->at].buffer, from, to, off, n_bytes);
}

bool solo_stager_send(solo_stager *s, solo_error *err) {
    solo_late_read *one = &s->stretch[s->at];
    wgpuBufferUnmap(one->buffer.handle);
    if (!solo_device_submit(s->device, err)) return false;
    one->state = 0;
    WGPUBufferMapCallbackInfo info = {.mode = WGPUCallbackMode_WaitAnyOnly, .callback = on_map, .userdata1 = one};
    one->future = wgpuBufferMapAsync(one->buffer.handle, WGPUMapMode_Write, 0, (size_t)one->buffer.n_bytes, info).id;
    s->asked[s->at] = true;
    return true;
}
#else
#define UNSENT_BYTES (32u << 20) /* written but perhaps not yet taken: the queue's own memory */

struct solo_stager {
    solo_device *device;
    uint8_t *memory;
    uint64_t unsent;
};

solo_stager *solo_stager_open(solo_device *d) {
    solo_stager *s = solo_zalloc(1, sizeof *s);
    s->device = d;
    return s;
}

void solo_stager_close(solo_stager *s) {
    if (s) free(s->memory);
    free(s);
}

void *solo_stager_room(solo_stager *s, uint64_t n_bytes, solo_error *err) {
    (void)err;
    return s->memory = solo_realloc(s->memory, (size_t)n_bytes);
}

void solo_stager_copy(solo_stager *s, uint64_t from, solo_buffer to, uint64_t off, uint64_t n_bytes) {
    solo_device_write(s->device, to, off, s->memory + from, n_bytes);
    s->unsent += n_bytes;
}

bool solo_stager_send(solo_stager *s, solo_error *err) {
    if (!solo_device_submit(s->device, err)) return false;
    if (s->unsent < UNSENT_BYTES) return true;
    s->unsent = 0;
    return solo_device_wait(s->device, err);
}
#endif

/* ---- modules, pipelines, bindings --------------------------------------------------------- */

typedef struct compile_note {
    const char *wgsl, *label;
    char text[800];
    bool failed;
} compile_note;

static void on_compiled(WGPUCompilationInfoRequestStatus status, WGPUCompilationInfo const *info,
                        void *user, void *unused) {
    (void)status, (void)unused;
    compile_note *note = user;
    for (size_t i = 0; info && i < info->messageCount && !note->failed; i++) {
        const WGPUCompilationMessage *m = &info->messages[i];
        if (m->type != WGPUCompilationMessageType_Error) continue;
        note->failed = true;
        const char *line = note->wgsl;
        for (uint64_t k = 1; k < m->lineNum && line; k++) {
            line = strchr(line, '\n');
            if (line) line++;
        }
        char text[400];
        copy_view(text, sizeof text, m->message);
        int n_line = line ? (int)strcspn(line, "\n") : 0;
        snprintf(note->text, sizeof note->text, "%s:%llu: %s | %.*s", note->label,
                 (unsigned long long)m->lineNum, text, n_line > 200 ? 200 : n_line,
                 line ? line : "");
    }
}

bool solo_device_module_open(solo_device *d, const char *wgsl, const char *label, solo_module *out,
                             solo_error *err) {
    scopes_push(d);
    WGPUShaderSourceWGSL source = {.chain = {.sType = WGPUSType_ShaderSourceWGSL},
                                   .code = view(wgsl)};
    WGPUShaderModuleDescriptor desc = {.nextInChain = &source.chain, .label = view(label)};
    WGPUShaderModule module = wgpuDeviceCreateShaderModule(d->device, &desc);
    compile_note note = {.wgsl = wgsl, .label = label};
    WGPUCompilationInfoCallbackInfo info = {
        .mode = WGPUCallbackMode_WaitAnyOnly, .callback = on_compiled, .userdata1 = &note};
    wait_for(d->instance, wgpuShaderModuleGetCompilationInfo(module, info));
    bool ok = scopes_pop(d, "module", label, err);
    if (note.failed) ok = solo_fail(err, SOLO_DEVICE_ERROR, "%s", note.text);
    if (!ok) {
        wgpuShaderModuleRelease(module);
        return false;
    }
    out->handle = module;
    return true;
}

void solo_device_module_close(solo_module *module) {
    if (module->handle) wgpuShaderModuleRelease(module->handle);
    module->handle = NULL;
}

struct compiling {
    WGPUComputePipeline pipeline; /* NULL: pending, or failed */
    WGPUFuture future;
    bool pending;
    char entry[64], text[800];
};

static void on_pipeline(WGPUCreatePipelineAsyncStatus status, WGPUComputePipeline pipeline, WGPUStringView text,
                        void *user, void *unused) {
    (void)unused;
    struct compiling *c = user;
    if (status == WGPUCreatePipelineAsyncStatus_Success) c->pipeline = pipeline;
    else copy_view(c->text, sizeof c->text, text);
}

void solo_device_pipeline_begin(solo_device *d, solo_module module, const char *entry,
                                const solo_bindings *bindings, solo_pipeline *out) {
    struct compiling *c = solo_zalloc(1, sizeof *c);
    snprintf(c->entry, sizeof c->entry, "%s", entry);
    WGPUComputePipelineDescriptor desc = {
        .label = view(entry),
        .layout = bindings->pipeline_layout,
        .compute = {.module = module.handle, .entryPoint = view(entry)},
    };
    WGPUCreateComputePipelineAsyncCallbackInfo info = {
        .mode = WGPUCallbackMode_WaitAnyOnly, .callback = on_pipeline, .userdata1 = c};
    c->future = wgpuDeviceCreateComputePipelineAsync(d->device, &desc, info);
    c->pending = true;
    out->handle = c;
}

bool solo_device_pipeline_finish(solo_device *d, solo_pipeline pipeline, solo_error *err) {
    struct compiling *c = pipeline.handle;
    if (c->pending) wait_for(d->instance, c->future);
    c->pending = false;
    if (!solo_device_ok(d, err)) return false; /* a lost device refuses nothing that is made on it */
    if (c->pipeline) return true;
    return solo_fail(err, SOLO_DEVICE_ERROR, "pipeline %s on %s: %s", c->entry, d->info.name, c->text);
}

bool solo_device_pipeline_open(solo_device *d, solo_module module, const char *entry,
                               const solo_bindings *bindings, solo_pipeline *out, solo_error *err) {
    solo_device_pipeline_begin(d, module, entry, bindings, out);
    return solo_device_pipeline_finish(d, *out, err);
}

void solo_device_pipeline_close(solo_pipeline *pipeline) {
    struct compiling *c = pipeline->handle;
    SOLO_ASSERT(!c || !c->pending);
    if (c && c->pipeline) wgpuComputePipelineRelease(c->pipeline);
    free(c);
    pipeline->handle = NULL;
}

bool solo_device_bindings_open(solo_device *d, const solo_bind *binds, uint32_t n_bind,
                               const char *label, solo_bindings *out, solo_error *err) {
    WGPUBindGroupLayoutEntry layout[16];
    WGPUBindGroupEntry group[16];
    uint32_t n_storage = 0;
    SOLO_ASSERT(n_bind <= SOLO_COUNT(layout));
    memset(layout, 0, sizeof layout);
    memset(group, 0, sizeof group);
    for (uint32_t i = 0; i < n_bind; i++) {
        static const WGPUBufferBindingType type_of[] = {
            [SOLO_BIND_UNIFORM] = WGPUBufferBindingType_Uniform,
            [SOLO_BIND_READ] = WGPUBufferBindingType_ReadOnlyStorage,
            [SOLO_BIND_READ_WRITE] = WGPUBufferBindingType_Storage,
        };
        n_storage += binds[i].kind != SOLO_BIND_UNIFORM;
        layout[i].binding = group[i].binding = binds[i].slot;
        layout[i].visibility = 4; /* WGPUShaderStage_Compute */
        layout[i].buffer.type = type_of[binds[i].kind];
        layout[i].buffer.hasDynamicOffset = binds[i].kind == SOLO_BIND_UNIFORM;
        group[i].buffer = binds[i].buffer.handle;
        group[i].offset = binds[i].off;
        group[i].size =
            binds[i].n_bytes ? binds[i].n_bytes : binds[i].buffer.n_bytes - binds[i].off;
    }
    if (n_storage > d->info.max_storage_buffers)
        return solo_fail(err, SOLO_DEVICE_LIMIT,
                         "%s: wanted %u storage buffers a stage, %s grants "
                         "maxStorageBuffersPerShaderStage %u",
                         label, n_storage, d->info.name, d->info.max_storage_buffers);
    scopes_push(d);
    WGPUBindGroupLayoutDescriptor ld = {
        .label = view(label), .entryCount = n_bind, .entries = layout};
    WGPUBindGroupLayout bl = wgpuDeviceCreateBindGroupLayout(d->device, &ld);
    WGPUPipelineLayoutDescriptor pd = {
        .label = view(label), .bindGroupLayoutCount = 1, .bindGroupLayouts = &bl};
    out->layout = bl;
    out->pipeline_layout = wgpuDeviceCreatePipelineLayout(d->device, &pd);
    WGPUBindGroupDescriptor gd = {
        .label = view(label), .layout = bl, .entryCount = n_bind, .entries = group};
    out->group = wgpuDeviceCreateBindGroup(d->device, &gd);
    if (scopes_pop(d, "bindings", label, err)) return true;
    solo_device_bindings_close(out);
    return false;
}

void solo_device_bindings_close(solo_bindings *b) {
    if (b->group) wgpuBindGroupRelease(b->group);
    if (b->pipeline_layout) wgpuPipelineLayoutRelease(b->pipeline_layout);
    if (b->layout) wgpuBindGroupLayoutRelease(b->layout);
    *b = (solo_bindings){0};
}

/* ---- encoding and submitting -------------------------------------------------------------- */

static WGPUCommandEncoder encoder_of(solo_device *d) {
    if (!d->encoder) d->encoder = wgpuDeviceCreateCommandEncoder(d->device, NULL);
    return d->encoder;
}

void solo_device_pass_begin(solo_device *d) {
    SOLO_ASSERT(!d->pass);
    d->pass = wgpuCommandEncoderBeginComputePass(encoder_of(d), NULL);
}

void solo_device_pass_dispatch(solo_device *d, solo_pipeline pipeline,
                               const solo_bindings *bindings, const uint32_t *offsets,
                               uint32_t n_offset, uint32_t x, uint32_t y) {
    wgpuComputePassEncoderSetPipeline(d->pass, pipeline.handle->pipeline);
    wgpuComputePassEncoderSetBindGroup(d->pass, 0, bindings->group, n_offset, offsets);
    wgpuComputePassEncoderDispatchWorkgroups(d->pass, x, y, 1);
    d->n_dispatch++;
}

void solo_device_pass_end(solo_device *d) {
    wgpuComputePassEncoderEnd(d->pass);
    wgpuComputePassEncoderRelease(d->pass);
    d->pass = NULL;
}

void solo_device_copy(solo_device *d, solo_buffer src, uint64_t src_off, solo_buffer dst,
                      uint64_t dst_off, uint64_t n_bytes) {
    wgpuCommandEncoderCopyBufferToBuffer(encoder_of(d), src.handle, src_off, dst.handle, dst_off,
                                         n_bytes);
}

void solo_device_clear(solo_device *d, solo_buffer buffer, uint64_t off, uint64_t n_bytes) {
    wgpuCommandEncoderClearBuffer(encoder_of(d), buffer.handle, off, n_bytes);
}

bool solo_device_submit(solo_device *d, solo_error *err) {
    WGPUCommandBuffer commands = wgpuCommandEncoderFinish(encoder_of(d), NULL);
    wgpuQueueSubmit(d->queue, 1, &commands);
    wgpuCommandBufferRelease(commands);
    wgpuCommandEncoderRelease(d->encoder);
    d->encoder = NULL;
    return solo_device_ok(d, err);
}

static void on_done(WGPUQueueWorkDoneStatus status, WGPUStringView text, void *user, void *unused) {
    (void)status, (void)text, (void)user, (void)unused;
}

bool solo_device_wait(solo_device *d, solo_error *err) {
    WGPUQueueWorkDoneCallbackInfo info = {.mode = WGPUCallbackMode_WaitAnyOnly,
                                          .callback = on_done};
    wait_for(d->instance, wgpuQueueOnSubmittedWorkDone(d->queue, info));
    return solo_device_ok(d, err);
}
