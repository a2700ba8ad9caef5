/* test_gguf.c: the container: what is right is read, what is wrong is refused with a message that
 * names the field, what was wanted and what was found; nothing at all crashes. Best run under
 * sanitizers: files in memory are exactly as long as their allocation. */
#include "gguf.h"
#include "tiny.h"

#include <setjmp.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- helpers ------------------------------------------------------------------------------ */

static const uint64_t dims_8x1[] = {8, 1, 1, 1};

/* A small file with every kind of value and three tensors. */
static void write_small(solo_gguf_writer *w) {
    static char *const words[] = {"one", "", "three"};
    const uint8_t u8 = 200, i8 = 0x80, u16[2] = {0x34, 0x12},
                  i64[8] = {0xfe, 255, 255, 255, 255, 255, 255, 255};
    const uint8_t u64[8] = {1, 0, 0, 0, 1}, f64[8] = {0, 0, 0, 0, 0, 0, 0xf8, 0x3f};
    const uint8_t f32s[12 + 8] = {SOLO_GGUF_F32, 0,    0, 0, 2, 0,   0, 0, 0, 0, 0, 0, 0, 0,
                                  0x80,          0x3f, 0, 0, 0, 0xc0};
    w->pad = 0x5a; /* would show up if it were read as data */
    solo_gguf_put_str(w, "general.architecture", "test");
    solo_gguf_put_u32(w, "n", 7);
    solo_gguf_put_f32(w, "eps", 1e-5f);
    solo_gguf_put_bool(w, "yes", true);
    solo_gguf_put_raw(w, "u8", SOLO_GGUF_U8, &u8, 1);
    solo_gguf_put_raw(w, "i8", SOLO_GGUF_I8, &i8, 1);
    solo_gguf_put_raw(w, "u16", SOLO_GGUF_U16, u16, 2);
    solo_gguf_put_raw(w, "i16", SOLO_GGUF_I16, u16, 2);
    solo_gguf_put_raw(w, "i32", SOLO_GGUF_I32, u64, 4);
    solo_gguf_put_raw(w, "u64", SOLO_GGUF_U64, u64, 8);
    solo_gguf_put_raw(w, "i64", SOLO_GGUF_I64, i64, 8);
    solo_gguf_put_raw(w, "f64", SOLO_GGUF_F64, f64, 8);
    solo_gguf_put_strs(w, "words", words, 3);
    solo_gguf_put_i32s(w, "ints", (int32_t[]){-1, 2, 3}, 3);
    solo_gguf_put_i32s(w, "none", NULL, 0);
    solo_gguf_put_raw(w, "floats", SOLO_GGUF_ARRAY, f32s, sizeof f32s);
    float x[96];
    for (uint32_t i = 0; i < 96; i++) x[i] = (float)i;
    solo_gguf_put_tensor_f32(w, "b", SOLO_TYPE_F32, 3, 2, x);
    solo_gguf_put_tensor_f32(w, "a", SOLO_TYPE_Q4_0, 32, 3, x);
    solo_gguf_put_tensor_f32(w, "c", SOLO_TYPE_F16, 5, 0, x);
}

static void small_gguf(uint8_t **bytes, uint64_t *n) {
    solo_gguf_writer w = {0};
    write_small(&w);
    solo_gguf_write_memory(&w, bytes, n);
}

static void assert_has(const solo_error *err, const char *part) {
    if (!strstr(err->text, part))
        fail_msg("wanted \"%s\" in the message, found: %s", part, err->text);
}

/* Opening must fail with this status and a message that has the label and the three parts. */
static void refused(const uint8_t *bytes, uint64_t n, solo_status status, const char *field,
                    const char *wanted, const char *found) {
    solo_gguf *g = (solo_gguf *)(uintptr_t)1;
    solo_error err = {0};
    if (solo_gguf_open_memory(&g, bytes, n, "label.gguf", &err))
        fail_msg("opened, wanted: %s %s", field, found);
    assert_null(g);
    assert_has(&err, "label.gguf: ");
    assert_has(&err, field);
    assert_has(&err, wanted);
    assert_has(&err, found);
    assert_int_equal(err.status, status);
}

static void refused_writer(solo_gguf_writer *w, solo_status status, const char *field,
                           const char *wanted, const char *found) {
    uint8_t *bytes;
    uint64_t n;
    solo_gguf_write_memory(w, &bytes, &n);
    refused(bytes, n, status, field, wanted, found);
    free(bytes);
}

/* Reads everything that an open file offers, so that a sanitizer sees a span that is wrong. */
static uint32_t touch_all(const solo_gguf *g) {
    static const char *const keys[] = {
        "n",     "eps",  "yes",  "u8",     "i8", "u64",
        "words", "ints", "none", "floats", "general.architecture",
    };
    uint32_t sum = solo_gguf_version(g);
    for (uint32_t i = 0; i < SOLO_COUNT(keys); i++) {
        uint32_t u;
        float f;
        bool b;
        solo_str s, *strs = NULL;
        float *fs = NULL;
        int32_t *is = NULL;
        uint64_t n = 0;
        if (solo_gguf_get_u32(g, keys[i], true, &u, NULL)) sum += u;
        if (solo_gguf_get_f32(g, keys[i], true, &f, NULL)) sum += f > 1.0f;
        if (solo_gguf_get_bool(g, keys[i], true, &b, NULL)) sum += b;
        if (solo_gguf_get_str(g, keys[i], true, &s, NULL) && s.n) sum += (uint8_t)s.at[s.n - 1];
        if (solo_gguf_get_strs(g, keys[i], true, &strs, &n, NULL))
            for (uint64_t j = 0; j < n; j++)
                sum += strs[j].n ? (uint8_t)strs[j].at[strs[j].n - 1] : 0;
        if (solo_gguf_get_f32s(g, keys[i], true, &fs, &n, NULL) && n) sum += fs[n - 1] > 0.0f;
        if (solo_gguf_get_i32s(g, keys[i], true, &is, &n, NULL) && n) sum += is[n - 1] > 0;
        free(strs);
        free(fs);
        free(is);
    }
    for (uint64_t i = 0; i < solo_gguf_n_tensor(g); i++) {
        const solo_tensor *t = solo_gguf_tensor_at(g, i);
        sum += t->data[0] + t->data[t->n_bytes - 1];
        assert_ptr_equal(solo_gguf_tensor(g, t->name), t);
    }
    return sum;
}

/* ---- what is right ------------------------------------------------------------------------ */

static void check_small(const uint8_t *bytes, uint64_t n, uint32_t version) {
    solo_gguf *g;
    solo_error err = {0};
    if (!solo_gguf_open_memory(&g, bytes, n, "small.gguf", &err)) fail_msg("%s", err.text);
    assert_int_equal(solo_gguf_version(g), version);
    assert_string_equal(solo_gguf_path(g), "small.gguf");
    static const struct { const char *key; uint32_t wanted; } ints[] = {
        {"n", 7}, {"u8", 200}, {"u16", 0x1234}, {"i16", 0x1234}, {"i32", 1}};
    uint32_t u = 0;
    for (uint32_t i = 0; i < SOLO_COUNT(ints); i++) {
        assert_true(solo_gguf_get_u32(g, ints[i].key, true, &u, &err));
        assert_int_equal(u, ints[i].wanted);
    }
    float f = 0.0f;
    bool b = false;
    solo_str s, *strs;
    uint64_t n_item;
    assert_true(solo_gguf_get_f32(g, "eps", true, &f, &err) && f == 1e-5f);
    assert_true(solo_gguf_get_f32(g, "f64", true, &f, &err) && f == 1.5f);
    assert_true(solo_gguf_get_bool(g, "yes", true, &b, &err) && b);
    assert_true(solo_gguf_get_str(g, "general.architecture", true, &s, &err));
    assert_true(s.n == 4 && memcmp(s.at, "test", 4) == 0);
    assert_true(solo_gguf_get_strs(g, "words", true, &strs, &n_item, &err));
    assert_true(n_item == 3 && strs[1].n == 0 && strs[2].n == 5 &&
                memcmp(strs[2].at, "three", 5) == 0);
    free(strs);
    int32_t *items;
    float *floats;
    assert_true(solo_gguf_get_i32s(g, "ints", true, &items, &n_item, &err));
    assert_true(n_item == 3 && items[0] == -1 && items[2] == 3);
    free(items);
    assert_true(solo_gguf_get_i32s(g, "none", true, &items, &n_item, &err) && n_item == 0);
    free(items);
    assert_true(solo_gguf_get_f32s(g, "floats", true, &floats, &n_item, &err));
    assert_true(n_item == 2 && floats[0] == 1.0f && floats[1] == -2.0f);
    free(floats);

    assert_int_equal(solo_gguf_n_tensor(g), 3);
    const solo_tensor *t = solo_gguf_tensor(g, "a");
    assert_ptr_equal(t, solo_gguf_tensor_at(g, 1));
    assert_int_equal(t->type, SOLO_TYPE_Q4_0);
    assert_int_equal(t->n_dim, 2);
    assert_true(t->dim[0] == 32 && t->dim[1] == 3 && t->dim[2] == 1 && t->n_bytes == 54);
    float x[32];
    t = solo_gguf_tensor(g, "c");
    assert_true(t->n_dim == 1 && t->dim[0] == 5 && t->dim[1] == 1 && t->n_bytes == 10);
    solo_dequant(t->type, t->data, 5, x);
    assert_true(x[4] == 4.0f);
    assert_null(solo_gguf_tensor(g, "d"));
    assert_null(solo_gguf_find(g, "nothing"));
    touch_all(g);
    solo_gguf_close(g);
}

static void test_reads_versions_2_and_3(void **state) {
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        solo_gguf_writer w = {.version = version};
        write_small(&w);
        uint8_t *bytes;
        uint64_t n;
        solo_gguf_write_memory(&w, &bytes, &n);
        check_small(bytes, n, version);
        free(bytes);
    }
    solo_gguf_close(NULL);
}

static void test_alignment(void **state) {
    (void)state;
    for (uint32_t alignment = 8; alignment <= 4096; alignment *= 8) {
        solo_gguf_writer w = {.alignment = alignment};
        solo_gguf_put_u32(&w, "general.alignment", alignment);
        write_small(&w);
        uint8_t *bytes;
        uint64_t n;
        solo_gguf_write_memory(&w, &bytes, &n);
        check_small(bytes, n, 3);
        free(bytes);
    }
    const uint32_t wrong[] = {0, 1, 4, 24, 33, 1u << 17, 0xffffffff};
    for (uint32_t i = 0; i < SOLO_COUNT(wrong); i++) {
        solo_gguf_writer w = {0};
        char found[32];
        snprintf(found, sizeof found, "found %u", wrong[i]);
        solo_gguf_put_u32(&w, "general.alignment", wrong[i]);
        refused_writer(&w, SOLO_FILE_FORMAT, "key 'general.alignment'", "power of two in 8..65536",
                       found);
    }
    solo_gguf_writer w = {0};
    solo_gguf_put_str(&w, "general.alignment", "32");
    refused_writer(&w, SOLO_FILE_FORMAT, "key 'general.alignment'", "wanted an integer",
                   "found string");
}

static void test_typed_getters(void **state) {
    (void)state;
    uint8_t *bytes;
    uint64_t n, n_item = 9;
    small_gguf(&bytes, &n);
    solo_gguf *g;
    solo_error err = {0};
    assert_true(solo_gguf_open_memory(&g, bytes, n, "small.gguf", &err));
    uint32_t u = 42;
    float f = 0.5f;
    bool b = true;
    solo_str s = SOLO_STR("kept"), *strs = NULL;
    int32_t *items = NULL;
    float *floats = NULL;
    assert_true(solo_gguf_get_u32(g, "absent", false, &u, &err) && u == 42);
    assert_true(solo_gguf_get_f32(g, "absent", false, &f, &err) && f == 0.5f);
    assert_true(solo_gguf_get_bool(g, "absent", false, &b, &err) && b);
    assert_true(solo_gguf_get_str(g, "absent", false, &s, &err) && s.n == 4);
    assert_true(solo_gguf_get_strs(g, "absent", false, &strs, &n_item, &err) && n_item == 9 &&
                !strs);
    assert_false(solo_gguf_get_u32(g, "absent", true, &u, &err));
    assert_has(&err, "key 'absent': wanted an integer in 0..4294967295, found no such key");
#define REFUSED(call, text)                                                                        \
    assert_false(call);                                                                            \
    assert_has(&err, text);                                                                        \
    assert_has(&err, "small.gguf: ")
    REFUSED(solo_gguf_get_u32(g, "i64", true, &u, &err),
            "key 'i64': wanted an integer in 0..4294967295, found -2");
    REFUSED(solo_gguf_get_u32(g, "i8", true, &u, &err), "found -128");
    REFUSED(solo_gguf_get_u32(g, "u64", true, &u, &err), "found 4294967297");
    REFUSED(solo_gguf_get_u32(g, "eps", true, &u, &err), "found f32");
    REFUSED(solo_gguf_get_u32(g, "ints", true, &u, &err), "found an array of i32");
    REFUSED(solo_gguf_get_f32(g, "n", true, &f, &err), "key 'n': wanted a finite f32, found u32");
    REFUSED(solo_gguf_get_bool(g, "u8", true, &b, &err),
            "key 'u8': wanted a bool, 0 or 1, found u8");
    REFUSED(solo_gguf_get_str(g, "words", true, &s, &err),
            "wanted a string, found an array of string");
    REFUSED(solo_gguf_get_strs(g, "ints", true, &strs, &n_item, &err),
            "wanted an array of strings, found an array of i32");
    REFUSED(solo_gguf_get_i32s(g, "n", true, &items, &n_item, &err),
            "wanted an array of i32 or u32, found u32");
    REFUSED(solo_gguf_get_f32s(g, "words", false, &floats, &n_item, &err),
            "wanted an array of f32, found an array of string");
    assert_int_equal(err.status, SOLO_FILE_FORMAT);
    solo_gguf_close(g);
    free(bytes);

    solo_gguf_writer w = {0};
    const uint8_t inf[4] = {0, 0, 0x80, 0x7f}, two = 2;
    const uint8_t big[16] = {SOLO_GGUF_U32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80};
    solo_gguf_put_raw(&w, "inf", SOLO_GGUF_F32, inf, 4);
    solo_gguf_put_raw(&w, "two", SOLO_GGUF_BOOL, &two, 1);
    solo_gguf_put_raw(&w, "big", SOLO_GGUF_ARRAY, big, 16);
    solo_gguf_write_memory(&w, &bytes, &n);
    assert_true(solo_gguf_open_memory(&g, bytes, n, "small.gguf", &err));
    REFUSED(solo_gguf_get_f32(g, "inf", true, &f, &err),
            "key 'inf': wanted a finite f32, found inf");
    REFUSED(solo_gguf_get_bool(g, "two", true, &b, &err),
            "key 'two': wanted a bool, 0 or 1, found 2");
    REFUSED(solo_gguf_get_i32s(g, "big", true, &items, &n_item, &err),
            "item 0: wanted at most 2147483647, found 2147483648");
#undef REFUSED
    solo_gguf_close(g);
    free(bytes);
}

/* ---- what is wrong ------------------------------------------------------------------------ */

static void test_every_prefix_fails(void **state) {
    (void)state;
    uint8_t *bytes;
    uint64_t n;
    small_gguf(&bytes, &n);
    for (uint64_t length = 0; length < n; length++) {
        uint8_t *prefix = malloc(length ? (size_t)length : 1);
        memcpy(prefix, bytes, (size_t)length);
        refused(prefix, length, SOLO_FILE_FORMAT, "", "wanted", "found");
        free(prefix);
    }
    check_small(bytes, n, 3);
    free(bytes);
}

/* Each byte of the head, and of the file, in many wrong ways: opened or refused, never a crash. */
static void test_corrupt_bytes_never_crash(void **state) {
    (void)state;
    uint8_t *bytes;
    uint64_t n, n_opened = 0, n_refused = 0;
    small_gguf(&bytes, &n);
    for (uint64_t at = 0; at < n; at++) {
        const uint8_t right = bytes[at];
        for (uint32_t i = 0; i < 24; i++) {
            static const uint8_t odd[] = {0, 1, 4, 8, 9, 0x7f, 0x80, 0xff};
            if (i < 8) bytes[at] = (uint8_t)(right ^ 1u << i);
            else if (i < 16) bytes[at] = odd[i - 8];
            else bytes[at] = (uint8_t)tiny_random_bits(at, i);
            solo_gguf *g;
            solo_error err = {0};
            if (solo_gguf_open_memory(&g, bytes, n, "x", &err)) {
                touch_all(g);
                solo_gguf_close(g);
                n_opened++;
            } else {
                if (err.status == SOLO_OK || strncmp(err.text, "x: ", 3) != 0)
                    fail_msg("byte %llu: status %d, text: %s", (unsigned long long)at, err.status,
                             err.text);
                n_refused++;
            }
        }
        bytes[at] = right;
    }
    print_message("%llu opened, %llu refused\n", (unsigned long long)n_opened,
                  (unsigned long long)n_refused);
    assert_true(n_opened > 100 && n_refused > 1000);
    free(bytes);
}

static void test_header(void **state) {
    (void)state;
    uint8_t head[24] = "GGUF";
    refused(head, 0, SOLO_FILE_FORMAT, "", "wanted a GGUF file", "found an empty file");
    refused((const uint8_t *)"PK\3\4zzzz", 8, SOLO_FILE_FORMAT, "first bytes", "wanted 47 47 55 46",
            "found 50 4b 03 04");
    head[4] = 1;
    refused(head, 24, SOLO_UNSUPPORTED, "version", "wanted GGUF 2 or 3", "found 1");
    head[4] = 4;
    refused(head, 24, SOLO_UNSUPPORTED, "version", "wanted GGUF 2 or 3", "found 4");
    head[4] = 0;
    head[7] = 3;
    refused(head, 24, SOLO_UNSUPPORTED, "byte order", "wanted little-endian", "found a big-endian");
    head[7] = 0;
    refused(head, 24, SOLO_UNSUPPORTED, "version", "wanted GGUF 2 or 3", "found 0");
}

/* Counts far beyond the file are refused before anything is allocated for them. */
static void test_absurd_counts(void **state) {
    (void)state;
    uint8_t head[24 + 64] = {'G', 'G', 'U', 'F', 3};
    head[15] = 0x10;
    refused(head, sizeof head, SOLO_FILE_FORMAT, "number of tensors", "wanted at most 2",
            "found 1152921504606846976");
    head[15] = 0;
    head[16] = 6; /* 64 bytes hold at most 4 keys of 13 bytes */
    refused(head, sizeof head, SOLO_FILE_FORMAT, "number of keys", "wanted at most 4", "found 6");
    memset(head + 16, 0xff, 8);
    refused(head, sizeof head, SOLO_FILE_FORMAT, "number of keys", "wanted at most 4",
            "found 18446744073709551615");

    const uint8_t array[12] = {SOLO_GGUF_U64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                               0x20}; /* n * 8 overflows */
    const uint8_t strings[12] = {SOLO_GGUF_STRING, 0, 0, 0, 2};
    solo_gguf_writer w = {0};
    solo_gguf_put_raw(&w, "many", SOLO_GGUF_ARRAY, array, 12);
    refused_writer(&w, SOLO_FILE_FORMAT, "key 'many'", "wanted at least 8 bytes an item",
                   "found 0 bytes in all");
    solo_gguf_put_raw(&w, "strings", SOLO_GGUF_ARRAY, strings, 12);
    refused_writer(&w, SOLO_FILE_FORMAT, "key 'strings'", "an array of 2 string", "found 0 bytes");
}

static void test_keys(void **state) {
    (void)state;
    solo_gguf_writer w = {0};
    const uint8_t nested[12 + 12] = {SOLO_GGUF_ARRAY, 0, 0, 0, 1};
    const uint8_t odd_items[12] = {77}, long_string[8] = {100};
    solo_gguf_put_u32(&w, "twice", 1);
    solo_gguf_put_u32(&w, "other", 1);
    solo_gguf_put_u32(&w, "twice", 1);
    refused_writer(&w, SOLO_FILE_FORMAT, "key 'twice'", "wanted once", "found twice");
    solo_gguf_put_raw(&w, "nest", SOLO_GGUF_ARRAY, nested, sizeof nested);
    refused_writer(&w, SOLO_UNSUPPORTED, "key 'nest'", "wanted an array of numbers or strings",
                   "found an array of arrays");
    solo_gguf_put_raw(&w, "kindless", 13, nested, 8);
    refused_writer(&w, SOLO_FILE_FORMAT, "key 'kindless': its kind", "wanted 0..12", "found 13");
    solo_gguf_put_raw(&w, "items", SOLO_GGUF_ARRAY, odd_items, 12);
    refused_writer(&w, SOLO_FILE_FORMAT, "key 'items': its array's kind", "wanted 0..12",
                   "found 77");
    solo_gguf_put_raw(&w, "long", SOLO_GGUF_STRING, long_string, 8);
    refused_writer(&w, SOLO_FILE_FORMAT, "key 'long': its value", "wanted 100 bytes", "found 0");
    char *key = malloc(70001);
    memset(key, 'k', 70000);
    key[70000] = 0;
    solo_gguf_put_u32(&w, key, 1);
    refused_writer(&w, SOLO_FILE_FORMAT, "key 1 of 1: its name", "wanted at most 65535 bytes",
                   "found 70000");
    free(key);
    /* A name with control characters cannot write to a terminal through a message. */
    solo_gguf_put_raw(&w, "\x1b[2J\n", 13, nested, 8);
    refused_writer(&w, SOLO_FILE_FORMAT, "key '?[2J?'", "wanted", "found 13");
}

static void test_tensors(void **state) {
    (void)state;
    const uint8_t zeros[256] = {0};
    static const struct {
        const char *name;
        uint32_t n_dim;
        uint64_t dim[4];
        uint32_t type;
        uint64_t offset;
        solo_status status;
        const char *field, *wanted, *found;
    } rows[] = {
        {"t", 0, {0}, 0, 0, SOLO_FILE_FORMAT,
         "tensor 't': its number of dims", "wanted 1..4", "found 0"},
        {"t", 1, {0}, 0, 0, SOLO_FILE_FORMAT,
         "tensor 't': its dim 0", "wanted at least 1", "found 0"},
        {"t", 3, {8, 1, 0}, 0, 0, SOLO_FILE_FORMAT,
         "tensor 't': its dim 2", "wanted at least 1", "found 0"},
        {"t", 1, {8}, 4, 0, SOLO_UNSUPPORTED,
         "tensor 't': its type", "wanted a type number that Solo knows", "found 4"},
        {"t", 1, {8}, 0xffffffff, 0, SOLO_UNSUPPORTED,
         "tensor 't': its type", "wanted a type", "found 4294967295"},
        {"t", 1, {48}, 2, 0, SOLO_FILE_FORMAT,
         "tensor 't': its row length", "wanted a multiple of 32 for Q4_0", "found 48"},
        {"t", 1, {128}, 12, 0, SOLO_FILE_FORMAT,
         "tensor 't': its row length", "wanted a multiple of 256 for Q4_K", "found 128"},
        {"t", 2, {1u << 31, 1ull << 33}, 0, 0, SOLO_FILE_FORMAT,
         "tensor 't': its dims", "below 2^63", "found 2147483648 x 8589934592"},
        {"t", 4, {1u << 31, 1u << 31, 4, 2}, 0, 0, SOLO_FILE_FORMAT,
         "tensor 't': its dims", "below 2^63", "x 4 x 2"},
        {"t", 1, {1ull << 62}, 0, 0, SOLO_FILE_FORMAT,
         "tensor 't': its dims", "below 2^63", "found 4611686018427387904"},
        {"t", 1, {8}, 0, 4, SOLO_FILE_FORMAT,
         "tensor 't': its offset", "wanted a multiple of 32", "found 4"},
        {"t", 1, {8}, 0, 256, SOLO_FILE_FORMAT,
         "tensor 't': its data runs past", "wanted 32 bytes at 64 + 256", "found a file of 320"},
        {"t", 1, {72}, 0, 0, SOLO_FILE_FORMAT,
         "tensor 't': its data runs past", "wanted 288 bytes", "found a file of 320"},
        {"t", 1, {8}, 0, 0xffffffffffffffe0u, SOLO_FILE_FORMAT,
         "tensor 't': its data", "wanted 32 bytes", "18446744073709551584"},
        {"", 1, {8}, 0, 0, SOLO_FILE_FORMAT,
         "tensor 1 of 1: its name", "wanted text", "found no characters"},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        solo_gguf_writer w = {0};
        solo_gguf_put_entry(&w, rows[i].name, rows[i].n_dim, rows[i].dim, rows[i].type, rows[i].offset);
        if (rows[i].n_dim == 0)
            solo_text_add_n(&w.tensors, (const char *)zeros, 8); /* the smallest entry */
        solo_text_add_n(&w.data, (const char *)zeros, sizeof zeros);
        refused_writer(&w, rows[i].status, rows[i].field, rows[i].wanted, rows[i].found);
    }
    solo_gguf_writer w = {0};
    solo_gguf_put_entry(&w, "five", 5, (uint64_t[]){1, 1, 1, 1, 1}, 0, 0);
    refused_writer(&w, SOLO_FILE_FORMAT, "tensor 'five': its number of dims", "wanted 1..4",
                   "found 5");
    char name[300];
    memset(name, 'n', 299);
    name[299] = 0;
    solo_gguf_put_entry(&w, name, 1, dims_8x1, 0, 0);
    refused_writer(&w, SOLO_FILE_FORMAT, "tensor 1 of 1: its name", "wanted at most 255 bytes",
                   "found 299");
    solo_gguf_put_entry(&w, "zero", 1, dims_8x1, 0, 0);
    w.tensors.at[10] = 0; /* zer\0 -> ze\0o */
    solo_text_add_n(&w.data, (const char *)zeros, 32);
    refused_writer(&w, SOLO_FILE_FORMAT, "tensor 1 of 1: its name", "wanted text",
                   "found a zero byte");
}

static void test_tensors_together(void **state) {
    (void)state;
    const uint8_t zeros[256] = {0};
    solo_gguf_writer w = {0};
    solo_gguf_put_entry(&w, "one", 1, (uint64_t[]){9}, 0, 32); /* 36 bytes: reaches into the next */
    solo_gguf_put_entry(&w, "two", 1, dims_8x1, 0, 64);
    solo_gguf_put_entry(&w, "zero", 1, dims_8x1, 0, 0);
    solo_text_add_n(&w.data, (const char *)zeros, sizeof zeros);
    refused_writer(&w, SOLO_FILE_FORMAT, "tensor 'one'", "wanted 36 bytes of its own",
                   "found tensor 'two' at its byte 32");
    solo_gguf_put_entry(&w, "one", 1, dims_8x1, 0, 0);
    solo_gguf_put_entry(&w, "two", 1, dims_8x1, 0, 0);
    solo_text_add_n(&w.data, (const char *)zeros, sizeof zeros);
    refused_writer(&w, SOLO_FILE_FORMAT, "tensor '", "wanted 32 bytes of its own", "at its byte 0");
    solo_gguf_put_entry(&w, "twin", 1, dims_8x1, 0, 0);
    solo_gguf_put_entry(&w, "twin", 1, dims_8x1, 0, 32);
    solo_text_add_n(&w.data, (const char *)zeros, sizeof zeros);
    refused_writer(&w, SOLO_FILE_FORMAT, "tensor 'twin'", "wanted once", "found twice");
    /* Gaps and any order are fine. */
    solo_gguf_put_entry(&w, "late", 1, dims_8x1, 0, 128);
    solo_gguf_put_entry(&w, "early", 1, dims_8x1, 0, 32);
    solo_text_add_n(&w.data, (const char *)zeros, 160);
    uint8_t *bytes;
    uint64_t n;
    solo_gguf_write_memory(&w, &bytes, &n);
    solo_gguf *g;
    solo_error err = {0};
    assert_true(solo_gguf_open_memory(&g, bytes, n, NULL, &err));
    assert_true(solo_gguf_tensor(g, "late")->data - solo_gguf_tensor(g, "early")->data == 96);
    solo_gguf_close(g);
    free(bytes);
}

/* ---- files on disk ------------------------------------------------------------------------ */

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/solo-test-gguf-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static const char *path_of(const char *name) {
    static char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int remove_folder(void **state) {
    static const char *const names[] = {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf",
                                        "other.gguf", "empty.gguf", "pipe"};
    (void)state;
    for (uint32_t i = 0; i < SOLO_COUNT(names); i++) unlink(path_of(names[i]));
    return rmdir(folder);
}

static void write_file(const char *name, solo_gguf_writer *w) {
    uint8_t *bytes;
    uint64_t n;
    solo_gguf_write_memory(w, &bytes, &n);
    FILE *file = fopen(path_of(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, (size_t)n, file), n);
    fclose(file);
    free(bytes);
}

static void refused_file(const char *name, solo_status status, const char *a, const char *b,
                         const char *c) {
    solo_gguf *g;
    solo_error err = {0};
    if (solo_gguf_open(&g, path_of(name), &err)) fail_msg("%s opened, wanted: %s", name, a);
    assert_has(&err, folder);
    assert_has(&err, a);
    assert_has(&err, b);
    assert_has(&err, c);
    assert_int_equal(err.status, status);
}

static void test_files(void **state) {
    (void)state;
    FILE *file = fopen(path_of("empty.gguf"), "wb");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(mkfifo(path_of("pipe"), 0600), 0);
    refused_file("absent.gguf", SOLO_FILE_IO, "absent.gguf", "cannot be opened", "No such file");
    refused_file("empty.gguf", SOLO_FILE_FORMAT, "empty.gguf", "wanted a GGUF file",
                 "found an empty file");
    refused_file("", SOLO_FILE_IO, "", "wanted a .gguf file", "found a directory");
    refused_file("pipe", SOLO_FILE_IO, "pipe", "wanted a regular file", "found a pipe");
    solo_gguf_writer w = {0};
    write_small(&w);
    write_file("other.gguf", &w);
    solo_gguf *g;
    solo_error err = {0};
    assert_true(solo_gguf_open(&g, path_of("other.gguf"), &err));
    assert_int_equal(solo_gguf_n_tensor(g), 3);
    touch_all(g);
    solo_gguf_close(g);
}

/* Part i of a split pair, with what its keys say given. */
static void write_part(const char *name, uint32_t i, uint32_t no, uint32_t count,
                       uint32_t n_tensor) {
    solo_gguf_writer w = {0};
    const float x[8] = {(float)i};
    if (i == 0) solo_gguf_put_str(&w, "general.architecture", "test");
    solo_gguf_put_u32(&w, "split.no", no);
    solo_gguf_put_u32(&w, "split.count", count);
    solo_gguf_put_u32(&w, "split.tensors.count", n_tensor);
    solo_gguf_put_tensor_f32(&w, i == 0 ? "first" : "second", SOLO_TYPE_F32, 8, 0, x);
    if (i == 1) solo_gguf_put_tensor_f32(&w, "third", SOLO_TYPE_F32, 8, 0, x);
    write_file(name, &w);
}

static void test_split(void **state) {
    (void)state;
    static const char part1[] = "m-00001-of-00002.gguf", part2[] = "m-00002-of-00002.gguf";
    solo_gguf *g;
    solo_error err = {0};
    write_part(part1, 0, 0, 2, 3);
    refused_file(part1, SOLO_FILE_IO, "part 2 of 2", part2, "cannot be opened");

    write_part(part2, 1, 1, 2, 3);
    if (!solo_gguf_open(&g, path_of(part1), &err)) fail_msg("%s", err.text);
    assert_int_equal(solo_gguf_n_tensor(g), 3);
    assert_string_equal(solo_gguf_tensor_at(g, 0)->name, "first");
    assert_string_equal(solo_gguf_tensor_at(g, 2)->name, "third");
    float x[8];
    solo_dequant(SOLO_TYPE_F32, solo_gguf_tensor(g, "third")->data, 8, x);
    assert_true(x[0] == 1.0f);
    assert_non_null(solo_gguf_find(g, "general.architecture"));
    solo_gguf_close(g);

    refused_file(part2, SOLO_ARGUMENT, "wanted the first part", "found part 2 of 2",
                 "-00001-of-00002.gguf");
    write_part(part2, 1, 0, 2, 3);
    refused_file(part1, SOLO_FILE_FORMAT, "00002-of-00002.gguf: key 'split.no'",
                 "wanted 1 for part 2 of 2", "found 0");
    write_part(part2, 1, 1, 3, 3);
    refused_file(part1, SOLO_FILE_FORMAT, "00002-of-00002.gguf: key 'split.count'", "wanted 2",
                 "found 3");
    write_part(part2, 1, 1, 2, 3);
    write_part(part1, 0, 0, 2, 4);
    refused_file(part1, SOLO_FILE_FORMAT, "key 'split.tensors.count'", "all 2 parts, 3", "found 4");
    write_part(part1, 0, 0, 2, 3);
    write_part(part2, 0, 1, 2, 3); /* holds "first" again */
    refused_file(part1, SOLO_FILE_FORMAT, "split.tensors.count", "2 parts, 2", "found 3");
    write_part(part1, 0, 0, 2, 2);
    refused_file(part1, SOLO_FILE_FORMAT, "tensor 'first'", "wanted once", "found twice");
    write_part(part1, 0, 0, 3, 3);
    refused_file(part1, SOLO_FILE_FORMAT, "the name of the first of 3 parts",
                 "wanted *-00001-of-00003.gguf", "found another");
    write_part(part1, 0, 3, 3, 3);
    refused_file(part1, SOLO_FILE_FORMAT, "'split.no'", "wanted no < count", "found no 3, count 3");
    write_part("other.gguf", 0, 0, 2, 3);
    refused_file("other.gguf", SOLO_FILE_FORMAT, "the name of the first of 2 parts",
                 "wanted *-00001-of-00002.gguf", "found another");

    solo_gguf_writer w = {0};
    solo_gguf_put_u32(&w, "split.count", 2);
    refused_writer(&w, SOLO_UNSUPPORTED, "key 'split.count'", "wanted 1 for a model in memory",
                   "found 2");
    solo_gguf_put_u32(&w, "split.count", 1); /* a split of one is a plain file */
    uint8_t *bytes;
    uint64_t n;
    solo_gguf_write_memory(&w, &bytes, &n);
    assert_true(solo_gguf_open_memory(&g, bytes, n, "x", &err));
    solo_gguf_close(g);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_versions_2_and_3),    cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_typed_getters),             cmocka_unit_test(test_every_prefix_fails),
        cmocka_unit_test(test_corrupt_bytes_never_crash), cmocka_unit_test(test_header),
        cmocka_unit_test(test_absurd_counts),             cmocka_unit_test(test_keys),
        cmocka_unit_test(test_tensors),                   cmocka_unit_test(test_tensors_together),
        cmocka_unit_test(test_files),                     cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests_name("gguf", tests, make_folder, remove_folder);
}
