/* test_quant.c: half floats, weight types against the vectors of tests/vectors/quant.txt, forms
 * against types bit for bit, and the quantiser's error. */
#include "quant.h"
#include "tiny.h"

#include <math.h>
#include <setjmp.h>
#include <cmocka.h>

static const solo_type types[] = {SOLO_TYPE_F32,  SOLO_TYPE_F16,  SOLO_TYPE_BF16,
                                  SOLO_TYPE_Q4_0, SOLO_TYPE_Q4_1, SOLO_TYPE_Q5_0,
                                  SOLO_TYPE_Q8_0, SOLO_TYPE_Q4_K, SOLO_TYPE_Q6_K,
                                  SOLO_TYPE_Q5_1, SOLO_TYPE_Q2_K, SOLO_TYPE_Q3_K,
                                  SOLO_TYPE_Q5_K, SOLO_TYPE_IQ4_NL, SOLO_TYPE_IQ4_XS,
                                  SOLO_TYPE_MXFP4};

static uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static float of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static bool is_nan(uint32_t bits) { return (bits & 0x7fffffff) > 0x7f800000; }

/* Equal bits, or two NaNs: which NaN is the machine's choice. */
static void assert_same(const char *what, uint64_t i, uint32_t found, uint32_t wanted) {
    if (found == wanted || (is_nan(found) && is_nan(wanted))) return;
    fail_msg("%s weight %llu: wanted %08x (%g), found %08x (%g)", what, (unsigned long long)i,
             wanted, (double)of_bits(wanted), found, (double)of_bits(found));
}

/* ---- half floats -------------------------------------------------------------------------- */

static void test_halves_round_trip(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float f = solo_f16_to_f32((uint16_t)h);
        if (solo_f32_to_f16(f) != h)
            fail_msg("half %04x became %08x and then %04x", h, bits_of(f), solo_f32_to_f16(f));
        uint32_t exp = h >> 10 & 31, frac = h & 1023;
        if (exp == 31) {
            assert_true(frac ? isnan(f) : isinf(f));
            continue;
        }
        float magnitude =
            exp ? ldexpf((float)(1024 + frac), (int)exp - 25) : ldexpf((float)frac, -24);
        assert_true(fabsf(f) == magnitude && !signbit(f) == !(h & 0x8000));
    }
}

static void test_f32_to_f16_edges(void **state) {
    (void)state;
    static const struct { uint32_t f; uint16_t h;
    } rows[] = {
        {0x00000000, 0x0000}, {0x80000000, 0x8000}, {0x3f800000, 0x3c00}, {0xc0000000, 0xc000},
        {0x477fe000, 0x7bff}, /* 65504 */
        {0x477fefff, 0x7bff}, /* just below 65520 */
        {0x477ff000, 0x7c00}, /* 65520: the tie rounds to infinity */
        {0x7f7fffff, 0x7c00}, {0xff800000, 0xfc00},
        {0x3f801000, 0x3c00}, /* 1 + half a step: tie to even, down */
        {0x3f803000, 0x3c02}, /* 1 + one and a half: tie to even, up */
        {0x3f801001, 0x3c01}, {0x3f802fff, 0x3c01},
        {0x3fffffff, 0x4000}, /* carries into the exponent */
        {0x38800000, 0x0400}, /* 2^-14, the smallest normal */
        {0x387fffff, 0x0400}, /* just below: rounds up to it */
        {0x387fc000, 0x03ff}, {0x387fe000, 0x0400}, /* 1023 and 1023.5 steps of 2^-24 */
        {0x33800000, 0x0001}, /* 2^-24 */
        {0x33000000, 0x0000}, /* 2^-25: the tie rounds to zero */
        {0x33000001, 0x0001}, {0xb3000001, 0x8001}, {0x33c00000, 0x0002}, /* 1.5: tie up to even */
        {0x34200000, 0x0002}, /* 2.5: tie down to even */
        {0x32ffffff, 0x0000}, {0x00000001, 0x0000}, {0x807fffff, 0x8000},
    };
    for (uint32_t i = 0; i < SOLO_COUNT(rows); i++) {
        uint16_t h = solo_f32_to_f16(of_bits(rows[i].f));
        if (h != rows[i].h) fail_msg("%08x: wanted %04x, found %04x", rows[i].f, rows[i].h, h);
    }
    const uint32_t nans[] = {0x7fc00000, 0xffc00000, 0x7f800001, 0x7fffffff};
    for (uint32_t i = 0; i < SOLO_COUNT(nans); i++) {
        uint16_t h = solo_f32_to_f16(of_bits(nans[i]));
        assert_true((h & 0x7fff) > 0x7c00);
        assert_int_equal(h >> 15, nans[i] >> 31);
    }
}

/* Every f32 whose low bits are a multiple of 251 lies nearest to the half it becomes. */
static void test_f32_to_f16_nearest(void **state) {
    (void)state;
    for (uint64_t bits = 0; bits < 0x477ff000; bits += 251) {
        float f = of_bits((uint32_t)bits);
        uint16_t h = solo_f32_to_f16(f);
        double off = fabs((double)solo_f16_to_f32(h) - (double)f);
        if (h < 0x7bff && fabs((double)solo_f16_to_f32((uint16_t)(h + 1)) - (double)f) < off)
            fail_msg("%08x became %04x, but %04x is nearer", (uint32_t)bits, h, h + 1);
        if (h && fabs((double)solo_f16_to_f32((uint16_t)(h - 1)) - (double)f) < off)
            fail_msg("%08x became %04x, but %04x is nearer", (uint32_t)bits, h, h - 1);
    }
}

/* ---- types and forms ---------------------------------------------------------------------- */

static void test_type_tables(void **state) {
    (void)state;
    assert_string_equal(solo_type_get_info(0)->name, "F32");
    assert_string_equal(solo_type_get_info(14)->name, "Q6_K");
    assert_int_equal(solo_type_get_info(14)->block_bytes, 210);
    assert_int_equal(solo_type_get_info(15)->form, SOLO_FORM_NONE); /* Q8_K: never in a file */
    assert_null(solo_type_get_info(4)); /* Q4_2, long gone */
    assert_null(solo_type_get_info(40));
    assert_null(solo_type_get_info(UINT32_MAX));
    for (uint32_t i = 0; i < SOLO_COUNT(types); i++) {
        const solo_type_info *type = solo_type_get_info((uint32_t)types[i]);
        const solo_form_info *form = solo_form_get_info(type->form);
        assert_non_null(form);
        assert_int_equal(form->payload_words % 4, 0);
    }
    assert_null(solo_form_get_info(SOLO_FORM_NONE));
}

/* In a row of quads each group has a place of its own, and groups 32 apart are the neighbours of one aligned four. */
static void test_scales_in_quads(void **state) {
    (void)state;
    const uint32_t with[] = {96, 97, 112, 128, 193, 224, 256, 448}, without[] = {1, 2, 18, 40, 64, 95, 129, 160, 191};
    for (uint32_t i = 0; i < SOLO_COUNT(with); i++) {
        const uint32_t n = with[i], row = (n + 127) / 128 * 128;
        assert_true(solo_has_quads(SOLO_FORM_Q4_0, n) && solo_has_quads(SOLO_FORM_Q8_0, n));
        assert_int_equal(solo_row_scales(SOLO_FORM_Q4_0, n), row);
        assert_false(solo_has_quads(SOLO_FORM_Q4_1, n) || solo_has_quads(SOLO_FORM_F16, n));
        bool taken[512] = {false};
        for (uint32_t g = 0; g < n; g++) {
            const uint32_t at = solo_quad_at(g);
            assert_true(at < row && !taken[at]);
            taken[at] = true;
            assert_int_equal(at % 4, g / 32 % 4);
            if (at % 4) assert_int_equal(solo_quad_at(g - 32), at - 1);
        }
    }
    for (uint32_t i = 0; i < SOLO_COUNT(without); i++) {
        assert_false(solo_has_quads(SOLO_FORM_Q4_0, without[i]));
        assert_int_equal(solo_row_scales(SOLO_FORM_Q8_0, without[i]), without[i]);
    }
    assert_int_equal(solo_row_scales(SOLO_FORM_Q4_1, 96), 96);
    assert_int_equal(solo_row_scales(SOLO_FORM_Q5_K, 96), 3 * 96);
    assert_int_equal(solo_row_scales(SOLO_FORM_F16, 96), 0);
}

/* dequant of the type and of its form on n weights, compared bit for bit. */
static void check_form(solo_type type, const uint8_t *src, uint32_t n, const float *wanted) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    const solo_form_info *form = solo_form_get_info(info->form);
    const uint32_t n_group = (n + 31) / 32, guard = 0x5ac3e7f1;
    uint32_t *payload = malloc((n_group * form->payload_words + 1) * sizeof *payload);
    uint8_t *scales = malloc(n_group * form->scale_bytes + 1);
    float *back = malloc((n + 1) * sizeof *back);
    payload[n_group * form->payload_words] = guard;
    scales[n_group * form->scale_bytes] = 0xa5;
    back[n] = 77.0f;
    solo_repack_row(type, src, n, payload, form->scale_bytes ? scales : NULL);
    assert_int_equal(payload[n_group * form->payload_words], guard);
    assert_int_equal(scales[n_group * form->scale_bytes], 0xa5);
    solo_form_dequant(info->form, payload, scales, n, back);
    assert_true(back[n] == 77.0f);
    for (uint32_t i = 0; i < n; i++) {
        if (bits_of(back[i]) == bits_of(wanted[i])) continue;
        assert_same(info->name, i, bits_of(back[i]), bits_of(wanted[i]));
    }
    free(payload);
    free(scales);
    free(back);
}

static uint32_t hex_digit(char c) {
    return (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static solo_type type_named(const char *name) {
    for (uint32_t i = 0; i < SOLO_COUNT(types); i++)
        if (strcmp(solo_type_get_info((uint32_t)types[i])->name, name) == 0) return types[i];
    fail_msg("the vectors name a type %s", name);
    return SOLO_TYPE_F32;
}

static FILE *open_vectors(void) {
    const char *root = getenv("SOLO_SOURCE");
    char path[600];
    snprintf(path, sizeof path, "%s/tests/vectors/quant.txt", root ? root : ".");
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("%s cannot be opened: run in the source's root or set SOLO_SOURCE", path);
    return file;
}

static void test_vectors(void **state) {
    (void)state;
    FILE *file = open_vectors();
    static char line[4096];
    uint32_t n_line[SOLO_COUNT(types)] = {0};
    while (fgets(line, sizeof line, file)) {
        if (*line == '#') continue;
        char *name = strtok(line, " \n"), *hex = strtok(NULL, " \n"), *word;
        const solo_type type = type_named(name);
        const solo_type_info *info = solo_type_get_info((uint32_t)type);
        uint8_t block[256];
        float wanted[256], found[256];
        assert_int_equal(strlen(hex), 2 * info->block_bytes);
        for (uint32_t i = 0; i < info->block_bytes; i++)
            block[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
        uint32_t n = 0;
        for (; (word = strtok(NULL, " \n")) != NULL; n++)
            wanted[n] = of_bits((uint32_t)strtoul(word, NULL, 16));
        assert_int_equal(n, info->n_block);
        solo_dequant(type, block, n, found);
        for (uint32_t i = 0; i < n; i++)
            assert_same(name, i, bits_of(found[i]), bits_of(wanted[i]));
        check_form(type, block, n, found);
        for (uint32_t i = 0; i < SOLO_COUNT(types); i++) n_line[i] += types[i] == type;
    }
    fclose(file);
    for (uint32_t i = 0; i < SOLO_COUNT(types); i++)
        if (n_line[i] < 10)
            fail_msg("%u vectors of %s", n_line[i], solo_type_get_info((uint32_t)types[i])->name);
}

/* Many random blocks a row, read from an odd address. */
static void test_forms_are_exact(void **state) {
    (void)state;
    enum { N = 4096 };
    static float wanted[N];
    for (uint32_t t = 0; t < SOLO_COUNT(types); t++) {
        const solo_type_info *info = solo_type_get_info((uint32_t)types[t]);
        const size_t n_bytes = N / info->n_block * info->block_bytes;
        uint8_t *src = malloc(n_bytes + 1);
        for (size_t i = 0; i < n_bytes; i++) src[i + 1] = (uint8_t)tiny_random_bits(t, i);
        solo_dequant(types[t], src + 1, N, wanted);
        check_form(types[t], src + 1, N, wanted);
        free(src);
    }
}

/* The packing as quant.h draws it: byte b of a word is checked against the drawing, by hand. */
static void test_payload_layout(void **state) {
    (void)state;
    uint8_t q4[18] = {0x00, 0x3c}, q8[34] = {0x00, 0x3c};
    for (uint32_t i = 0; i < 16; i++)
        q4[2 + i] = (uint8_t)(i | (15 - i) << 4); /* w[i] = i-8, w[16+i] = 7-i */
    for (uint32_t i = 0; i < 32; i++) q8[2 + i] = (uint8_t)(int8_t)(-16 + (int)i);
    uint32_t payload[8];
    uint8_t scales[4] = {0};
    solo_repack_row(SOLO_TYPE_Q4_0, q4, 32, payload, scales);
    assert_int_equal(payload[0], 0xfbead9c8); /* low: 8 9 a b (-8..-5), high: c d e f (-4..-1) */
    assert_int_equal(payload[1], 0x73625140);
    assert_int_equal(payload[2], 0x04152637); /* 7 6 5 4, 3 2 1 0 */
    assert_int_equal(payload[3], 0x8c9daebf);
    assert_int_equal(scales[0] | scales[1] << 8, 0x3c00);
    solo_repack_row(SOLO_TYPE_Q8_0, q8, 32, payload, scales);
    assert_int_equal(payload[0], 0xf3f2f1f0);
    assert_int_equal(payload[7], 0x0f0e0d0c);
}

static void test_float_tails(void **state) {
    (void)state;
    const solo_type floats[] = {SOLO_TYPE_F32, SOLO_TYPE_F16, SOLO_TYPE_BF16};
    for (uint32_t t = 0; t < 3; t++) {
        const solo_type_info *info = solo_type_get_info((uint32_t)floats[t]);
        for (uint32_t n = 1; n <= 70; n++) {
            uint8_t *src = malloc(n * info->block_bytes); /* exact, for the sanitizer */
            float x[70];
            for (uint32_t i = 0; i < n; i++) x[i] = 1.0f + tiny_random(n, i);
            solo_quantize(floats[t], x, n, src);
            solo_dequant(floats[t], src, n, x);
            check_form(floats[t], src, n, x);
            uint32_t payload[96],
                n_word = (n + 31) / 32 * solo_form_get_info(info->form)->payload_words;
            memset(payload, 0xff, sizeof payload);
            solo_repack_row(floats[t], src, n, payload, NULL);
            uint32_t n_used = (n * info->block_bytes + 3) / 4;
            for (uint32_t i = n_used; i < n_word; i++) assert_int_equal(payload[i], 0);
            if (info->block_bytes == 2 && n % 2) assert_int_equal(payload[n_used - 1] >> 16, 0);
            free(src);
        }
    }
}

/* ---- the quantiser ------------------------------------------------------------------------ */

/* Largest error on uniform -1..1 as a share of the range, and a bound on the mean square. */
static void test_quantize_error(void **state) {
    (void)state;
    static const struct { solo_type type; double max, rms;
    } rows[] = {
        {SOLO_TYPE_F32, 0, 0},
        {SOLO_TYPE_F16, 2.5e-4, 1.1e-4},
        {SOLO_TYPE_BF16, 2e-3, 1e-3},
        {SOLO_TYPE_Q4_0, 0.13, 0.041},
        {SOLO_TYPE_Q4_1, 0.068, 0.040},
        {SOLO_TYPE_Q5_0, 0.064, 0.020},
        {SOLO_TYPE_Q8_0, 0.0042, 0.0024},
        {SOLO_TYPE_Q4_K, 0.09, 0.042},
        {SOLO_TYPE_Q6_K, 0.034, 0.0105},
        {SOLO_TYPE_Q5_1, 0.034, 0.020},
        {SOLO_TYPE_Q2_K, 0.34, 0.165},
        {SOLO_TYPE_Q3_K, 0.27, 0.08},
        {SOLO_TYPE_Q5_K, 0.034, 0.018},
        {SOLO_TYPE_IQ4_NL, 0.112, 0.04},
        {SOLO_TYPE_IQ4_XS, 0.14, 0.041},
        {SOLO_TYPE_MXFP4, 0.251, 0.085},
    };
    enum { N = 8192 };
    static float x[N], back[N];
    for (uint32_t i = 0; i < N; i++) x[i] = tiny_random(7, i);
    for (uint32_t r = 0; r < SOLO_COUNT(rows); r++) {
        const solo_type_info *info = solo_type_get_info((uint32_t)rows[r].type);
        uint8_t *blocks = malloc(N / info->n_block * info->block_bytes);
        solo_quantize(rows[r].type, x, N, blocks);
        solo_dequant(rows[r].type, blocks, N, back);
        double max = 0, sum = 0;
        for (uint32_t i = 0; i < N; i++) {
            double off = fabs((double)back[i] - (double)x[i]);
            if (off > max) max = off;
            sum += off * off;
        }
        double rms = sqrt(sum / N);
        print_message("%-5s max %.5f rms %.5f\n", info->name, max, rms);
        if (!(max <= rows[r].max) || !(rms <= rows[r].rms))
            fail_msg("%s: wanted max %g rms %g, found %g and %g", info->name, rows[r].max,
                     rows[r].rms, max, rms);
        free(blocks);
    }
}

/* Rows that trip quantisers: zeros, one constant, all negative, one outlier, tiny numbers. */
static void test_quantize_odd_rows(void **state) {
    (void)state;
    float rows[5][256], back[256];
    for (uint32_t i = 0; i < 256; i++) {
        rows[0][i] = 0.0f;
        rows[1][i] = 0.5f;
        rows[2][i] = -1.0f - 0.001f * (float)i;
        rows[3][i] = i == 100 ? 50.0f : 0.01f;
        rows[4][i] = 1e-30f;
    }
    for (uint32_t t = 0; t < SOLO_COUNT(types); t++)
        for (uint32_t r = 0; r < 5; r++) {
            uint8_t blocks[1024];
            solo_quantize(types[t], rows[r], 256, blocks);
            solo_dequant(types[t], blocks, 256, back);
            const float share = types[t] == SOLO_TYPE_MXFP4 ? 0.2f : 0.15f; /* its widest step is 4 of 12 */
            float most = r == 3 ? 50.0f : r == 4 ? 1e-6f : 1.3f; /* 1e-30: below every f16 */
            for (uint32_t i = 0; i < 256; i++) {
                assert_true(isfinite(back[i]));
                if (fabsf(back[i] - rows[r][i]) > share * most)
                    fail_msg("%s row %u weight %u: wanted %g, found %g",
                             solo_type_get_info((uint32_t)types[t])->name, r, i, (double)rows[r][i],
                             (double)back[i]);
            }
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves_round_trip),  cmocka_unit_test(test_f32_to_f16_edges),
        cmocka_unit_test(test_f32_to_f16_nearest), cmocka_unit_test(test_type_tables),
        cmocka_unit_test(test_scales_in_quads),
        cmocka_unit_test(test_vectors),            cmocka_unit_test(test_forms_are_exact),
        cmocka_unit_test(test_payload_layout),     cmocka_unit_test(test_float_tails),
        cmocka_unit_test(test_quantize_error),     cmocka_unit_test(test_quantize_odd_rows),
    };
    return cmocka_run_group_tests_name("quant", tests, NULL, NULL);
}
