/* layout.c: where the fields of structs are, as text that the page reads once: so the glue follows
 * whatever webgpu.h and solo.h this was compiled with, and holds no numbers of its own.
 *
 * Lines: "struct.field offset size kind", "struct size" and "#constant value". Kinds are single
 * letters, see kind below; an array of characters is text. */
#include "base.h"

#include <webgpu.h>

#define KIND(x)                                                                                    \
    _Generic((x), bool: 'b', uint8_t: 'B', uint16_t: 'H', int32_t: 'i', uint32_t: 'u', uint64_t: 'U', \
             int64_t: 'I', float: 'f', double: 'd', char *: 't', const char *: 's', default: 'p')

typedef struct field {
    const char *name;
    uint32_t off, size;
    char kind;
} field;

#define F(type, member)                                                                            \
    {#type "." #member, (uint32_t)offsetof(type, member), (uint32_t)sizeof(((type *)0)->member),   \
     KIND(((type *)0)->member)},
#define S(type) {#type, 0, (uint32_t)sizeof(type), 0},
#define C(constant) {"#" #constant, (uint32_t)(constant), 0, '#'},

/* FIELDS(type, a, b, ...): up to 8 members. */
#define FE_1(t, a) F(t, a)
#define FE_2(t, a, ...) F(t, a) FE_1(t, __VA_ARGS__)
#define FE_3(t, a, ...) F(t, a) FE_2(t, __VA_ARGS__)
#define FE_4(t, a, ...) F(t, a) FE_3(t, __VA_ARGS__)
#define FE_5(t, a, ...) F(t, a) FE_4(t, __VA_ARGS__)
#define FE_6(t, a, ...) F(t, a) FE_5(t, __VA_ARGS__)
#define FE_7(t, a, ...) F(t, a) FE_6(t, __VA_ARGS__)
#define FE_8(t, a, ...) F(t, a) FE_7(t, __VA_ARGS__)
#define PICK(a, b, c, d, e, f, g, h, name, ...) name
#define FIELDS(t, ...)                                                                             \
    PICK(__VA_ARGS__, FE_8, FE_7, FE_6, FE_5, FE_4, FE_3, FE_2, FE_1, 0)(t, __VA_ARGS__)

static const field fields[] = {
    /* ---- webgpu.h ---- */
    S(WGPUStringView) FIELDS(WGPUStringView, data, length)
    S(WGPUChainedStruct) FIELDS(WGPUChainedStruct, next, sType)
    S(WGPUFutureWaitInfo) FIELDS(WGPUFutureWaitInfo, future, completed)
    FIELDS(WGPURequestAdapterOptions, featureLevel, powerPreference, forceFallbackAdapter)
    FIELDS(WGPURequestAdapterCallbackInfo, callback, userdata1, userdata2)
    FIELDS(WGPURequestDeviceCallbackInfo, callback, userdata1, userdata2)
    FIELDS(WGPUDeviceLostCallbackInfo, callback, userdata1, userdata2)
    FIELDS(WGPUUncapturedErrorCallbackInfo, callback, userdata1, userdata2)
    FIELDS(WGPUPopErrorScopeCallbackInfo, callback, userdata1, userdata2)
    FIELDS(WGPUCompilationInfoCallbackInfo, callback, userdata1, userdata2)
    FIELDS(WGPUCreateComputePipelineAsyncCallbackInfo, callback, userdata1, userdata2)
    FIELDS(WGPUBufferMapCallbackInfo, callback, userdata1, userdata2)
    FIELDS(WGPUQueueWorkDoneCallbackInfo, callback, userdata1, userdata2)
    FIELDS(WGPUAdapterInfo, vendor, architecture, device, description, backendType, adapterType)
    FIELDS(WGPUAdapterInfo, subgroupMinSize, subgroupMaxSize)
    FIELDS(WGPUDeviceDescriptor, label, requiredFeatureCount, requiredFeatures, requiredLimits)
    FIELDS(WGPUDeviceDescriptor, deviceLostCallbackInfo, uncapturedErrorCallbackInfo)
    FIELDS(WGPUBufferDescriptor, label, usage, size, mappedAtCreation)
    FIELDS(WGPUShaderModuleDescriptor, nextInChain, label)
    FIELDS(WGPUShaderSourceWGSL, code)
    S(WGPUCompilationInfo) FIELDS(WGPUCompilationInfo, messageCount, messages)
    S(WGPUCompilationMessage)
    FIELDS(WGPUCompilationMessage, message, type, lineNum, linePos)
    FIELDS(WGPUComputePipelineDescriptor, label, layout, compute)
    FIELDS(WGPUComputeState, module, entryPoint)
    FIELDS(WGPUBindGroupLayoutDescriptor, label, entryCount, entries)
    S(WGPUBindGroupLayoutEntry) FIELDS(WGPUBindGroupLayoutEntry, binding, visibility, buffer)
    FIELDS(WGPUBufferBindingLayout, type, hasDynamicOffset, minBindingSize)
    FIELDS(WGPUPipelineLayoutDescriptor, label, bindGroupLayoutCount, bindGroupLayouts)
    FIELDS(WGPUBindGroupDescriptor, label, layout, entryCount, entries)
    S(WGPUBindGroupEntry) FIELDS(WGPUBindGroupEntry, binding, buffer, offset, size)
    FIELDS(WGPULimits, maxTextureDimension1D, maxTextureDimension2D, maxTextureDimension3D, maxTextureArrayLayers)
    FIELDS(WGPULimits, maxBindGroups, maxBindGroupsPlusVertexBuffers, maxBindingsPerBindGroup)
    FIELDS(WGPULimits, maxDynamicUniformBuffersPerPipelineLayout, maxDynamicStorageBuffersPerPipelineLayout)
    FIELDS(WGPULimits, maxSampledTexturesPerShaderStage, maxSamplersPerShaderStage)
    FIELDS(WGPULimits, maxStorageBuffersPerShaderStage, maxStorageTexturesPerShaderStage)
    FIELDS(WGPULimits, maxUniformBuffersPerShaderStage, maxUniformBufferBindingSize)
    FIELDS(WGPULimits, maxStorageBufferBindingSize, minUniformBufferOffsetAlignment)
    FIELDS(WGPULimits, minStorageBufferOffsetAlignment, maxVertexBuffers, maxBufferSize, maxVertexAttributes)
    FIELDS(WGPULimits, maxVertexBufferArrayStride, maxInterStageShaderVariables, maxColorAttachments)
    FIELDS(WGPULimits, maxColorAttachmentBytesPerSample, maxComputeWorkgroupStorageSize)
    FIELDS(WGPULimits, maxComputeInvocationsPerWorkgroup, maxComputeWorkgroupSizeX, maxComputeWorkgroupSizeY)
    FIELDS(WGPULimits, maxComputeWorkgroupSizeZ, maxComputeWorkgroupsPerDimension)
    C(WGPUFeatureName_Subgroups) C(WGPUFeatureName_ShaderF16)
    C(WGPUPowerPreference_LowPower) C(WGPUPowerPreference_HighPerformance)
    C(WGPUBackendType_WebGPU) C(WGPUAdapterType_CPU) C(WGPUAdapterType_Unknown)
    C(WGPURequestAdapterStatus_Success) C(WGPURequestAdapterStatus_Unavailable)
    C(WGPURequestDeviceStatus_Success) C(WGPURequestDeviceStatus_Error)
    C(WGPUDeviceLostReason_Unknown) C(WGPUDeviceLostReason_Destroyed)
    C(WGPUErrorType_NoError) C(WGPUErrorType_Validation) C(WGPUErrorType_OutOfMemory)
    C(WGPUErrorType_Internal) C(WGPUErrorType_Unknown)
    C(WGPUErrorFilter_Validation) C(WGPUErrorFilter_OutOfMemory) C(WGPUErrorFilter_Internal)
    C(WGPUPopErrorScopeStatus_Success) C(WGPUPopErrorScopeStatus_Error)
    C(WGPUCompilationInfoRequestStatus_Success) C(WGPUCompilationMessageType_Error)
    C(WGPUCompilationMessageType_Warning) C(WGPUCompilationMessageType_Info)
    C(WGPUCreatePipelineAsyncStatus_Success) C(WGPUCreatePipelineAsyncStatus_ValidationError)
    C(WGPUCreatePipelineAsyncStatus_InternalError)
    C(WGPUMapAsyncStatus_Success) C(WGPUMapAsyncStatus_Error) C(WGPUMapAsyncStatus_Aborted)
    C(WGPUQueueWorkDoneStatus_Success) C(WGPUQueueWorkDoneStatus_Error)
    C(WGPUWaitStatus_Success) C(WGPUWaitStatus_Error)
    C(WGPUBufferBindingType_Uniform) C(WGPUBufferBindingType_Storage) C(WGPUBufferBindingType_ReadOnlyStorage)

    /* ---- solo.h ---- */
    S(solo_error) FIELDS(solo_error, status, text)
    S(solo_model_desc) FIELDS(solo_model_desc, quant, read, read_user, n_bytes, open, open_user, label)
    S(solo_model_info) FIELDS(solo_model_info, name, arch, tokenizer, chat_family, file_type, n_layer, n_embd, n_head)
    FIELDS(solo_model_info, n_head_kv, head_dim, n_ff, n_vocab, n_ctx_train, n_param, n_tensor, n_bytes)
    FIELDS(solo_model_info, attn_window, bos, eos)
    S(solo_message) FIELDS(solo_message, role, content)
    S(solo_device_desc) FIELDS(solo_device_desc, name, disable_robustness, skip_validation, f16)
    S(solo_device_info) FIELDS(solo_device_info, name, backend, driver, is_software, is_reference, has_subgroups)
    FIELDS(solo_device_info, has_f16, subgroup_min, subgroup_max, max_workgroup_size, max_workgroup_bytes)
    FIELDS(solo_device_info, max_storage_buffers, max_buffer_bytes, max_binding_bytes)
    S(solo_probe_desc) FIELDS(solo_probe_desc, workgroup_size, workgroup_bytes, no_bandwidth)
    S(solo_probe_hand_off) FIELDS(solo_probe_hand_off, n_workgroup, us)
    S(solo_probe_result) FIELDS(solo_probe_result, workgroup_size, workgroup_bytes, n_resident, read_bytes_s)
    FIELDS(solo_probe_result, dispatch_us, round_trip_us, n_hand_off, hand_off)
    S(solo_probe_rates) FIELDS(solo_probe_rates, submit_us, copy_bytes_s, dp4a_ops_s, f32_ops_s, f16_ops_s)
    FIELDS(solo_probe_rates, max_width, max_layers)
    S(solo_weights_desc) FIELDS(solo_weights_desc, model, device, max_binding_bytes, progress, progress_user)
    S(solo_plan_desc) FIELDS(solo_plan_desc, weights, factoring, activations, assignment, kv_type, n_ctx)
    FIELDS(solo_plan_desc, n_workgroup, workgroup_size, n_slice, spin_limit, max_team, queue, queue_across)
    FIELDS(solo_plan_desc, no_subgroups, no_self_test, tile_rows, k_split, rows_team, hand_off, experiment, submit)
    S(solo_stage_info) FIELDS(solo_stage_info, name, scope, n_tile, tile_rows, team, rows_team, weight_bytes, hand_off)
    S(solo_plan_info) FIELDS(solo_plan_info, factoring, assignment, hand_off, activations, kv_type, reduce, n_dispatch, n_token)
    FIELDS(solo_plan_info, n_workgroup, workgroup_size, workgroup_bytes, n_ctx, n_hand_off, weight_bytes)
    FIELDS(solo_plan_info, kv_bytes_per_pos, n_stage, stage, note)
    S(solo_tune_choice) FIELDS(solo_tune_choice, factoring, workgroup_size)
    S(solo_tune_row) FIELDS(solo_tune_row, choice, n_dispatch, n_hand_off, predicted_ms, measured_ms, note)
    S(solo_tune_result) FIELDS(solo_tune_result, n_row, best, row)
    S(solo_tune_desc) FIELDS(solo_tune_desc, plan, seconds, n_candidate, all)
    S(solo_sampling) FIELDS(solo_sampling, temperature, top_k, top_p, min_p, repeat_penalty, repeat_last_n, seed)
    S(solo_session_desc) FIELDS(solo_session_desc, plan, sampling, n_in_flight, n_token_submit)
    S(solo_session_info) FIELDS(solo_session_info, n_ctx, n_past, n_reused, n_step, n_step_dispatch, factoring)
    FIELDS(solo_session_info, fell_back, note, n_step_submit)
    C(SOLO_ACTIVATIONS_INT8) C(SOLO_ACTIVATIONS_F32)
    C(SOLO_ASSIGNMENT_AUTO) C(SOLO_ASSIGNMENT_STATIC) C(SOLO_ASSIGNMENT_TICKET)
    C(SOLO_KV_AUTO) C(SOLO_KV_F16) C(SOLO_KV_F32) C(SOLO_KV_INT8) C(SOLO_TUNE_KEY_BYTES)
};

#define X(name, text) " " #name
static const char status_names[] = SOLO_STATUS_LIST(X);
#undef X

/* malloc'd text; the page frees it. */
char *solo_web_layout(void);
char *solo_web_layout(void) {
    solo_text text = {0};
    solo_text_add(&text, "@version %s\n@status%s\n", SOLO_VERSION, status_names);
    for (uint32_t i = 0; i < SOLO_COUNT(fields); i++) {
        const field *f = &fields[i];
        if (f->kind == '#') solo_text_add(&text, "%s %u\n", f->name, f->off);
        else if (!f->kind) solo_text_add(&text, "%s %u\n", f->name, f->size);
        else solo_text_add(&text, "%s %u %u %c\n", f->name, f->off, f->size, f->kind);
    }
    return text.at;
}
