/* test_source.c: a model that its host reads: the head grows until it is whole, nothing is asked for
 * twice, and what is wrong with the bytes is said as it is of a file in memory. */
#include "model.h"
#include "tiny.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* A host with a file in memory that writes down what it was asked for. */
typedef struct host {
    const uint8_t *bytes;
    uint64_t n, end, total, fails_at; /* end: of the last read; fails_at: 0 never */
    uint32_t n_read;
    bool     in_order;
} host;

static bool host_read(void *user, uint64_t off, uint64_t n, void *into) {
    host *h = user;
    assert_true(n > 0 && off + n <= h->n);
    if (h->fails_at && off + n > h->fails_at) return false;
    if (off < h->end) h->in_order = false;
    h->end = off + n;
    h->total += n;
    h->n_read++;
    memcpy(into, h->bytes + off, (size_t)n);
    return true;
}

static host host_of(const uint8_t *bytes, uint64_t n) {
    return (host){.bytes = bytes, .n = n, .in_order = true};
}

static bool open_read(solo_gguf **g, host *h, solo_error *err) {
    solo_source *source;
    *g = NULL;
    return solo_source_open_reader(&source, host_read, h, h->n, "read.gguf", err) &&
           solo_gguf_open_source(g, source, err);
}

#define LONG_BYTES (3u << 20) /* longer than the first piece of a head */

/* A head of over 3 MiB: keys before and behind a long array; a tensor that begins within what is
 * read of the head, and one far behind it. */
static void long_head(uint32_t count, uint8_t **bytes, uint64_t *n) {
    solo_gguf_writer w = {0};
    uint8_t *long_array = solo_zalloc(12 + count, 1);
    const uint32_t kind = SOLO_GGUF_U8;
    memcpy(long_array, &kind, 4);
    memcpy(long_array + 4, &count, 4);
    solo_gguf_put_str(&w, "first", "one");
    solo_gguf_put_raw(&w, "long", SOLO_GGUF_ARRAY, long_array, 12 + count);
    solo_gguf_put_str(&w, "last", "two");
    uint32_t n_row = 40000;
    float *x = solo_alloc(32 * n_row * sizeof *x);
    for (uint32_t i = 0; i < 32 * n_row; i++) x[i] = tiny_random(7, i);
    solo_gguf_put_tensor_f32(&w, "near", SOLO_TYPE_F32, 32, n_row, x);
    solo_gguf_put_tensor_f32(&w, "far", SOLO_TYPE_F32, 32, 2, x + 64);
    solo_gguf_write_memory(&w, bytes, n);
    free(x), free(long_array);
}

static void head_grows(void **state) {
    (void)state;
    uint8_t *bytes;
    uint64_t n;
    long_head(LONG_BYTES, &bytes, &n);
    host h = host_of(bytes, n);
    solo_gguf *g;
    solo_error err = {0};
    if (!open_read(&g, &h, &err)) fail_msg("%s", err.text);
    assert_true(h.in_order && h.n_read > 1);
    assert_true(h.total < 2 * (LONG_BYTES + 1000)); /* never twice what the head needs */
    solo_str s = {0};
    assert_true(solo_gguf_get_str(g, "last", true, &s, &err));
    assert_memory_equal(s.at, "two", 3);
    const solo_tensor *near = solo_gguf_tensor(g, "near"), *far = solo_gguf_tensor(g, "far");
    assert_null(near->data); /* only its beginning is at hand */
    assert_null(far->data);
    uint8_t *read = solo_alloc((size_t)near->n_bytes);
    assert_true(solo_source_read(near->source, near->off, near->n_bytes, read, &err));
    assert_memory_equal(read, bytes + near->off, (size_t)near->n_bytes);
    assert_true(h.in_order); /* what the head had of it was not asked for again */
    free(read);
    assert_true(solo_gguf_load(g, far, &err));
    assert_memory_equal(far->data, bytes + far->off, (size_t)far->n_bytes);
    assert_int_equal(h.total, n);
    solo_gguf_close(g);
    free(bytes);
}

/* Wherever the first piece ends, in a key or in a tensor's entry, nothing of it stays behind. */
static void head_grows_anywhere(void **state) {
    (void)state;
    for (uint32_t count = (1u << 20) - 400; count < 1u << 20; count += 9) {
        uint8_t *bytes;
        uint64_t n;
        long_head(count, &bytes, &n);
        host h = host_of(bytes, n);
        solo_gguf *g;
        solo_error err = {0};
        if (!open_read(&g, &h, &err)) fail_msg("array of %u: %s", count, err.text);
        assert_true(h.in_order);
        assert_int_equal(solo_gguf_n_tensor(g), 2);
        assert_non_null(solo_gguf_tensor(g, "far"));
        solo_gguf_close(g);
        free(bytes);
    }
}

/* Cut anywhere, a file is refused in the same words, read or at hand. */
static void cut_files_are_refused_alike(void **state) {
    (void)state;
    uint8_t *bytes;
    uint64_t n;
    long_head(LONG_BYTES, &bytes, &n);
    for (uint64_t cut = 1; cut < n; cut += cut < 100 ? 7 : 300007) {
        host h = host_of(bytes, cut);
        solo_gguf *g;
        solo_error at_hand = {0}, read = {0};
        assert_false(solo_gguf_open_memory(&g, bytes, cut, "read.gguf", &at_hand));
        assert_false(open_read(&g, &h, &read));
        assert_null(g);
        assert_string_equal(read.text, at_hand.text);
        assert_int_equal(read.status, at_hand.status);
    }
    free(bytes);
}

static void failed_reads_are_told(void **state) {
    (void)state;
    uint8_t *bytes;
    uint64_t n;
    long_head(LONG_BYTES, &bytes, &n);
    host h = host_of(bytes, n);
    solo_gguf *g;
    solo_error err = {0};
    h.fails_at = 1 << 20 | 1; /* not the first piece, the second */
    assert_false(open_read(&g, &h, &err));
    assert_int_equal(err.status, SOLO_FILE_IO);
    assert_non_null(strstr(err.text, "read.gguf: its bytes 1048576 to "));
    assert_non_null(strstr(err.text, " cannot be read"));
    free(bytes);
}

static void descs(void **state) {
    (void)state;
    uint8_t *bytes;
    uint64_t n;
    assert_true(tiny_gguf(&(tiny_desc){.rope_factors = true, .n_embd = 544, .n_ff = 544, .n_head = 8}, &bytes, &n));
    assert_true(n > 1 << 20); /* else all of it would be the head */
    host h = host_of(bytes, n);
    solo_model_desc desc = {.read = host_read, .read_user = &h, .n_bytes = n, .label = "tiny.gguf"};
    solo_model *model;
    solo_error err = {0};
    if (!solo_model_open(&model, &desc, &err)) fail_msg("%s", err.text);
    assert_int_equal(solo_model_get_info(model).n_embd, 544);
    solo_device *cpu;
    solo_weights *weights;
    assert_true(solo_device_open(&cpu, &(solo_device_desc){.name = "cpu"}, &err));
    assert_false(solo_weights_open(&weights, &(solo_weights_desc){.model = model, .device = cpu}, &err));
    assert_string_equal(err.text, "tiny.gguf: wanted a file or bytes in memory for the device \"cpu\", "
                                  "found a reader");
    solo_device_close(cpu);
    solo_model_close(model);
    desc.bytes = bytes;
    assert_false(solo_model_open(&model, &desc, &err));
    assert_non_null(strstr(err.text, "wanted one of path, bytes and read, and open with read only, found more"));
    h = host_of(bytes, n);
    assert_false(solo_model_open(&model, &(solo_model_desc){.read = host_read, .read_user = &h}, &err));
    assert_string_equal(err.text, "(memory): wanted a GGUF file, found an empty file");
    free(bytes);
}

/* A host's folder without files, or one that fails. */
static bool no_files(void *user, const char *name, void **file, uint64_t *n_bytes) {
    (void)n_bytes;
    assert_non_null(name);
    *file = NULL;
    ++*(uint32_t *)user;
    return true;
}
static bool cannot_open(void *user, const char *name, void **file, uint64_t *n_bytes) {
    (void)user, (void)name, (void)file, (void)n_bytes;
    return false;
}

/* One whose only file is a header of safetensors that does not fit its 12 bytes. */
static bool short_shard(void *user, const char *name, void **file, uint64_t *n_bytes) {
    *file = strcmp(name, "model.safetensors") == 0 ? user : NULL;
    *n_bytes = *file ? ((host *)user)->n : 0;
    return true;
}

static void folders(void **state) {
    (void)state;
    solo_model *model;
    solo_error err = {0};
    uint32_t n_asked = 0;
    solo_model_desc desc = {.read = host_read, .open = no_files, .open_user = &n_asked, .label = "org/tiny"};
    assert_false(solo_model_open(&model, &desc, &err));
    assert_string_equal(err.text, "org/tiny/model.safetensors: wanted this file of a model's folder, found none");
    assert_int_equal(n_asked, 4); /* three that would tell of shards, then the one without */
    desc.open = cannot_open;
    assert_false(solo_model_open(&model, &desc, &err));
    assert_string_equal(err.text, "org/tiny/tensor-cache.json: cannot be opened");
    const uint8_t bytes[12] = {200};
    host h = host_of(bytes, sizeof bytes);
    desc.open = short_shard, desc.open_user = &h;
    assert_false(solo_model_open(&model, &desc, &err));
    assert_string_equal(err.text, "org/tiny/model.safetensors: wanted a safetensors header in its 12 bytes, found "
                                  "one of 200");
    desc.read = NULL;
    assert_false(solo_model_open(&model, &desc, &err));
    assert_non_null(strstr(err.text, "open with read only, found none"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_grows),
        cmocka_unit_test(head_grows_anywhere),
        cmocka_unit_test(cut_files_are_refused_alike),
        cmocka_unit_test(failed_reads_are_told),
        cmocka_unit_test(descs),
        cmocka_unit_test(folders),
    };
    return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
