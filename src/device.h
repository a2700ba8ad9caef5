/* device.h: what the engine needs of WebGPU, and nothing more. device.c is the only file that
 * includes webgpu.h.
 *
 * Errors: WebGPU reports late. Objects are made inside error scopes, so a bad module or a refused
 * buffer fails where it is made. What still arrives later (a lost device, an uncaptured error) is
 * kept, the first one wins, and every following call that takes a solo_error returns it.
 *
 * Encoding: solo_device_pass_* and _copy/_clear append to one open command encoder; submit ends and
 * sends it. _write is a queue operation: it takes effect before what is submitted after it. */
#ifndef SOLO_DEVICE_H
#define SOLO_DEVICE_H

#include "base.h"

typedef struct solo_buffer {
    void    *handle;
    uint64_t n_bytes;
} solo_buffer;

typedef enum solo_buffer_kind {
    SOLO_BUFFER_STORAGE,  /* storage, copy source and destination */
    SOLO_BUFFER_UNIFORM,  /* uniform, copy destination */
    SOLO_BUFFER_READBACK, /* mapped for reading, copy destination */
} solo_buffer_kind;

typedef enum solo_bind_kind {
    SOLO_BIND_UNIFORM,    /* with a dynamic offset */
    SOLO_BIND_READ,       /* storage, read-only */
    SOLO_BIND_READ_WRITE, /* storage */
} solo_bind_kind;

/* One slot of the one bind group that every pipeline of a module family shares. */
typedef struct solo_bind {
    uint32_t       slot;
    solo_bind_kind kind;
    solo_buffer    buffer;
    uint64_t       off, n_bytes; /* n_bytes 0: to the buffer's end; a uniform's window */
} solo_bind;

typedef struct solo_bindings { /* layout + group */
    void *layout, *pipeline_layout, *group;
} solo_bindings;

typedef struct solo_module {
    void *handle;
} solo_module;

typedef struct solo_pipeline { /* copies are the same pipeline */
    struct compiling *handle;
} solo_pipeline;

bool solo_device_is_reference(const solo_device *d);
bool solo_device_ok(solo_device *d, solo_error *err); /* returns a kept late error, if any */
const solo_device_info *solo_device_info_of(const solo_device *d);
uint32_t solo_device_uniform_align(const solo_device *d);
bool solo_device_f16(const solo_device *d); /* shader-f16 was asked for, and is there */

bool solo_device_buffer_open(solo_device *d, solo_buffer_kind kind, uint64_t n_bytes,
                             const char *label, solo_buffer *out, solo_error *err);
void solo_device_buffer_close(solo_buffer *buffer);
void solo_device_write(solo_device *d, solo_buffer buffer, uint64_t off, const void *data,
                       uint64_t n_bytes); /* off and n_bytes: multiples of 4 */
bool solo_device_read(solo_device *d, solo_buffer buffer, uint64_t off, void *out,
                      uint64_t n_bytes, solo_error *err); /* blocking; n_bytes multiple of 4 */

bool solo_device_bindings_open(solo_device *d, const solo_bind *binds, uint32_t n_bind,
                               const char *label, solo_bindings *out, solo_error *err);
void solo_device_bindings_close(solo_bindings *bindings);

/* Compile errors come back as "label:line: message" with the offending line. */
bool solo_device_module_open(solo_device *d, const char *wgsl, const char *label, solo_module *out,
                             solo_error *err);
void solo_device_module_close(solo_module *module);

/* begin starts to compile; several are compiled at once. finish waits: the pipeline may be used, or err says why not.
 * Once begun it is to be finished, then closed. open does both. */
void solo_device_pipeline_begin(solo_device *d, solo_module module, const char *entry,
                                const solo_bindings *bindings, solo_pipeline *out);
bool solo_device_pipeline_finish(solo_device *d, solo_pipeline pipeline, solo_error *err);
bool solo_device_pipeline_open(solo_device *d, solo_module module, const char *entry,
                               const solo_bindings *bindings, solo_pipeline *out, solo_error *err);
void solo_device_pipeline_close(solo_pipeline *pipeline);

void solo_device_pass_begin(solo_device *d);
void solo_device_pass_dispatch(solo_device *d, solo_pipeline pipeline,
                               const solo_bindings *bindings, const uint32_t *offsets,
                               uint32_t n_offset, uint32_t x, uint32_t y);
void solo_device_pass_end(solo_device *d);
void solo_device_copy(solo_device *d, solo_buffer src, uint64_t src_off, solo_buffer dst,
                      uint64_t dst_off, uint64_t n_bytes);
void solo_device_clear(solo_device *d, solo_buffer buffer, uint64_t off, uint64_t n_bytes);
bool solo_device_submit(solo_device *d, solo_error *err);
bool solo_device_wait(solo_device *d, solo_error *err); /* until all that was submitted is done */

/* Staging: memory that the device copies from, so that what is made for a buffer is made where it will be sent from.
 * room gives the next stretch of it, n_bytes long, and waits for one that is free; copy takes a part of that stretch to
 * a buffer (offsets and sizes are multiples of 4); send sends the stretch off. In a page, whose core cannot hold memory
 * of the device's, the stretch is the core's own and copy is a _write. */
typedef struct solo_stager solo_stager;
solo_stager *solo_stager_open(solo_device *d);
void  solo_stager_close(solo_stager *s);
void *solo_stager_room(solo_stager *s, uint64_t n_bytes, solo_error *err); /* NULL: err says why */
void  solo_stager_copy(solo_stager *s, uint64_t from, solo_buffer to, uint64_t off, uint64_t n_bytes);
bool  solo_stager_send(solo_stager *s, solo_error *err);

/* Late reads: begin maps a READBACK buffer once what was submitted before is done; wait blocks,
 * copies out and unmaps. Between the two the buffer may not be used. */
typedef struct solo_late_read {
    solo_buffer buffer; /* a READBACK buffer, borrowed */
    uint64_t    future;
    int         state;
    char        text[200];
} solo_late_read;

void solo_device_read_begin(solo_device *d, solo_late_read *read);
bool solo_device_read_wait(solo_device *d, solo_late_read *read, void *out, uint64_t n_bytes,
                           solo_error *err);

/* Drops the device as a driver would, for tests of the way back. */
void solo_device_destroy_for_test(solo_device *d);

#endif
