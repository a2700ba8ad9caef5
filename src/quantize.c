/* quantize.c: floats to the weight types of files. Each block by itself, from its range or its largest value: no
 * search for scales that would lose less, which is what tuned quantisers add. */
#include "quant.h"

#include "bytes.h"

#include <math.h>

/* The nearest integer to x / d within lo..hi; 0 where d is 0 (or rounded to it). */
static int nearest(float x, float d, int lo, int hi) {
    if (d == 0.0f) return lo > 0 ? lo : 0;
    float q = floorf(x / d + 0.5f);
    if (!(q > (float)lo)) return lo;
    return q < (float)hi ? (int)q : hi;
}

/* The value of the largest magnitude, with its sign. */
static float extreme(const float *x, uint32_t n) {
    float most = 0.0f;
    for (uint32_t i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(most)) most = x[i];
    return most;
}

static void range(const float *x, uint32_t n, float *min, float *max) {
    *min = *max = x[0];
    for (uint32_t i = 1; i < n; i++) {
        if (x[i] < *min) *min = x[i];
        if (x[i] > *max) *max = x[i];
    }
}

/* Writes a scale as f16 and returns the value that a reader will see. */
static float store_scale(uint8_t *at, float d) {
    uint16_t half = solo_f32_to_f16(d);
    store_u16(at, half);
    return solo_f16_to_f32(half);
}

static void write_q4_0(const float *x, uint8_t *block) {
    float d = store_scale(block, extreme(x, 32) / -8.0f);
    for (uint32_t i = 0; i < 16; i++)
        block[2 + i] =
            (uint8_t)((nearest(x[i], d, -8, 7) + 8) | (nearest(x[i + 16], d, -8, 7) + 8) << 4);
}

static void write_q4_f(const float *x, uint8_t *block) {
    float d = extreme(x, 32) / -8.0f;
    store_u32(block, bits_of_f32(d));
    for (uint32_t i = 0; i < 16; i++)
        block[4 + i] = (uint8_t)((nearest(x[i], d, -8, 7) + 8) | (nearest(x[i + 16], d, -8, 7) + 8) << 4);
}

static void write_q4_1(const float *x, uint8_t *block) {
    float min, max;
    range(x, 32, &min, &max);
    float d = store_scale(block, (max - min) / 15.0f), m = store_scale(block + 2, min);
    for (uint32_t i = 0; i < 16; i++)
        block[4 + i] =
            (uint8_t)(nearest(x[i] - m, d, 0, 15) | nearest(x[i + 16] - m, d, 0, 15) << 4);
}

static void write_q5_0(const float *x, uint8_t *block) {
    float d = store_scale(block, extreme(x, 32) / -16.0f);
    uint32_t high = 0;
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t a = (uint32_t)(nearest(x[i], d, -16, 15) + 16);
        uint32_t b = (uint32_t)(nearest(x[i + 16], d, -16, 15) + 16);
        block[6 + i] = (uint8_t)((a & 15) | (b & 15) << 4);
        high |= a >> 4 << i | b >> 4 << (i + 16);
    }
    store_u32(block + 2, high);
}

static void write_q5_1(const float *x, uint8_t *block) {
    float min, max;
    range(x, 32, &min, &max);
    float d = store_scale(block, (max - min) / 31.0f), m = store_scale(block + 2, min);
    uint32_t high = 0;
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t a = (uint32_t)nearest(x[i] - m, d, 0, 31), b = (uint32_t)nearest(x[i + 16] - m, d, 0, 31);
        block[8 + i] = (uint8_t)((a & 15) | (b & 15) << 4);
        high |= a >> 4 << i | b >> 4 << (i + 16);
    }
    store_u32(block + 4, high);
}

static void write_q8_0(const float *x, uint8_t *block) {
    float d = store_scale(block, fabsf(extreme(x, 32)) / 127.0f);
    for (uint32_t i = 0; i < 32; i++) block[2 + i] = (uint8_t)(int8_t)nearest(x[i], d, -127, 127);
}

/* Group s's 6-bit scale and min into the 12 bytes of Q4_K and Q5_K, which start as zeros. */
static void store_k4_scale(uint8_t *at, uint32_t s, uint32_t scale, uint32_t min) {
    if (s < 4) {
        at[s] = (uint8_t)(at[s] | scale);
        at[s + 4] = (uint8_t)(at[s + 4] | min);
    } else {
        at[s + 4] = (uint8_t)((scale & 15) | (min & 15) << 4);
        at[s - 4] = (uint8_t)(at[s - 4] | scale >> 4 << 6);
        at[s] = (uint8_t)(at[s] | min >> 4 << 6);
    }
}

/* The step of each of n_sub runs of 256 / n_sub weights for quants 0..most, and how far below 0 it begins: a
 * minimum is stored as a positive amount below 0. */
static void measure_runs(const float *x, uint32_t n_sub, float most, float *step, float *low,
                         float *most_step, float *most_low) {
    *most_step = *most_low = 0.0f;
    for (uint32_t s = 0; s < n_sub; s++) {
        float min, max;
        range(x + 256 / n_sub * s, 256 / n_sub, &min, &max);
        if (min > 0.0f) min = 0.0f;
        if (max < min) max = min;
        step[s] = (max - min) / most;
        low[s] = -min;
        if (step[s] > *most_step) *most_step = step[s];
        if (low[s] > *most_low) *most_low = low[s];
    }
}

/* Q4_K, and Q5_K with 32 bytes of fifth bits before the nibbles. */
static void write_k4(const float *x, bool five, uint8_t *block) {
    float step[8], low[8], most_step, most_low;
    uint8_t *high = block + 16, *nibble = five ? block + 48 : block + 16;
    measure_runs(x, 8, five ? 31.0f : 15.0f, step, low, &most_step, &most_low);
    float d = store_scale(block, most_step / 63.0f), dmin = store_scale(block + 2, most_low / 63.0f);
    memset(block + 4, 0, (size_t)(nibble + 128 - (block + 4)));
    for (uint32_t s = 0; s < 8; s++) {
        int scale = nearest(step[s], d, 0, 63), min = nearest(low[s], dmin, 0, 63);
        store_k4_scale(block + 4, s, (uint32_t)scale, (uint32_t)min);
        for (uint32_t i = 0; i < 32; i++) {
            int q = nearest(x[32 * s + i] + dmin * (float)min, d * (float)scale, 0, five ? 31 : 15);
            uint8_t *at = nibble + 32 * (s / 2) + i;
            *at = (uint8_t)(*at | (q & 15) << 4 * (s & 1));
            if (five) high[i] = (uint8_t)(high[i] | q >> 4 << s);
        }
    }
}

static void write_q2_k(const float *x, uint8_t *block) {
    float step[16], low[16], most_step, most_low;
    measure_runs(x, 16, 3.0f, step, low, &most_step, &most_low);
    float d = store_scale(block + 80, most_step / 15.0f), dmin = store_scale(block + 82, most_low / 15.0f);
    memset(block, 0, 80);
    for (uint32_t s = 0; s < 16; s++) {
        int scale = nearest(step[s], d, 0, 15), min = nearest(low[s], dmin, 0, 15);
        block[s] = (uint8_t)(scale | min << 4);
        for (uint32_t i = 0; i < 16; i++) {
            int q = nearest(x[16 * s + i] + dmin * (float)min, d * (float)scale, 0, 3);
            uint8_t *at = block + 16 + 32 * (s / 8) + 16 * (s % 2) + i;
            *at = (uint8_t)(*at | q << 2 * (s / 2 % 4));
        }
    }
}

static void write_q3_k(const float *x, uint8_t *block) {
    float step[16];
    for (uint32_t s = 0; s < 16; s++) step[s] = extreme(x + 16 * s, 16) / -4.0f;
    float d = store_scale(block + 108, extreme(step, 16) / -32.0f);
    memset(block, 0, 108);
    for (uint32_t s = 0; s < 16; s++) {
        int scale = nearest(step[s], d, -32, 31), code = scale + 32;
        block[96 + s % 8] = (uint8_t)(block[96 + s % 8] | (code & 15) << 4 * (s / 8));
        block[104 + s % 4] = (uint8_t)(block[104 + s % 4] | code >> 4 << 2 * (s / 4));
        for (uint32_t i = 0; i < 16; i++) {
            int q = nearest(x[16 * s + i], d * (float)scale, -4, 3) + 4;
            uint32_t at = 16 * (s % 2) + i;
            uint8_t *crumb = block + 32 + 32 * (s / 8) + at;
            *crumb = (uint8_t)(*crumb | (q & 3) << 2 * (s / 2 % 4));
            block[at] = (uint8_t)(block[at] | q >> 2 << s / 2);
        }
    }
}

/* The entry of a table that times d is nearest to x. */
static uint32_t nearest_entry(const int8_t *table, float x, float d) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < 16; i++)
        if (fabsf(d * (float)table[i] - x) < fabsf(d * (float)table[best] - x)) best = i;
    return best;
}

static void write_entries(const int8_t *table, const float *x, float d, uint8_t *nibble) {
    for (uint32_t i = 0; i < 16; i++)
        nibble[i] = (uint8_t)(nearest_entry(table, x[i], d) | nearest_entry(table, x[i + 16], d) << 4);
}

static void write_iq4_xs(const float *x, uint8_t *block) {
    float step[8];
    for (uint32_t s = 0; s < 8; s++) step[s] = extreme(x + 32 * s, 32) / -127.0f;
    float d = store_scale(block, extreme(step, 8) / -32.0f);
    memset(block + 2, 0, 6);
    for (uint32_t s = 0; s < 8; s++) {
        int scale = nearest(step[s], d, -32, 31), code = scale + 32;
        block[4 + s / 2] = (uint8_t)(block[4 + s / 2] | (code & 15) << 4 * (s % 2));
        block[2 + s / 4] = (uint8_t)(block[2 + s / 4] | code >> 4 << 2 * (s % 4));
        write_entries(solo_iq4_table, x + 32 * s, d * (float)scale, block + 8 + 16 * s);
    }
}

/* The largest value's power of two meets the table's, 4 (as 8 halves). */
static void write_mxfp4(const float *x, uint8_t *block) {
    float most = fabsf(extreme(x, 32));
    int exponent = 0;
    if (most > 0.0f) frexpf(most, &exponent); /* most = f * 2^exponent, f in 0.5..1 */
    int e = most > 0.0f ? exponent - 1 - 2 + 127 : 0;
    block[0] = (uint8_t)(e < 0 ? 0 : e > 254 ? 254 : e);
    write_entries(solo_mxfp4_table, x, solo_mxfp4_scale(block[0]), block + 1);
}

static void write_q6_k(const float *x, uint8_t *block) {
    float step[16];
    for (uint32_t s = 0; s < 16; s++) step[s] = extreme(x + 16 * s, 16) / -32.0f;
    memset(block, 0, 192);
    float d = store_scale(block + 208, extreme(step, 16) / -128.0f);
    for (uint32_t s = 0; s < 16; s++) {
        int scale = nearest(step[s], d, -128, 127);
        block[192 + s] = (uint8_t)(int8_t)scale;
        uint32_t half = s / 8, part = s / 2 % 4;
        for (uint32_t i = 0; i < 16; i++) {
            uint32_t q = (uint32_t)(nearest(x[16 * s + i], d * (float)scale, -32, 31) + 32);
            uint32_t at = 16 * (s % 2) + i;
            uint8_t *low = block + 64 * half + 32 * (part % 2) + at;
            uint8_t *high = block + 128 + 32 * half + at;
            *low = (uint8_t)(*low | (q & 15) << 4 * (part / 2));
            *high = (uint8_t)(*high | q >> 4 << 2 * part);
        }
    }
}

/* Round to nearest even; a NaN stays one. */
static uint16_t bf16_of_f32(float f) {
    uint32_t bits = bits_of_f32(f);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void solo_quantize(solo_type type, const float *src, uint64_t n, uint8_t *dst) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    SOLO_ASSERT(info && n % info->n_block == 0);
    for (; n; n -= info->n_block, src += info->n_block, dst += info->block_bytes)
        switch (type) {
        case SOLO_TYPE_F32: store_u32(dst, bits_of_f32(*src)); break;
        case SOLO_TYPE_F16: store_u16(dst, solo_f32_to_f16(*src)); break;
        case SOLO_TYPE_BF16: store_u16(dst, bf16_of_f32(*src)); break;
        case SOLO_TYPE_Q4_0: write_q4_0(src, dst); break;
        case SOLO_TYPE_Q4_1: write_q4_1(src, dst); break;
        case SOLO_TYPE_Q4_F: write_q4_f(src, dst); break;
        case SOLO_TYPE_Q5_0: write_q5_0(src, dst); break;
        case SOLO_TYPE_Q5_1: write_q5_1(src, dst); break;
        case SOLO_TYPE_Q8_0: write_q8_0(src, dst); break;
        case SOLO_TYPE_Q4_K: write_k4(src, false, dst); break;
        case SOLO_TYPE_Q5_K: write_k4(src, true, dst); break;
        case SOLO_TYPE_Q2_K: write_q2_k(src, dst); break;
        case SOLO_TYPE_Q3_K: write_q3_k(src, dst); break;
        case SOLO_TYPE_Q6_K: write_q6_k(src, dst); break;
        case SOLO_TYPE_IQ4_NL:
            write_entries(solo_iq4_table, src, store_scale(dst, extreme(src, 32) / -127.0f), dst + 2);
            break;
        case SOLO_TYPE_IQ4_XS: write_iq4_xs(src, dst); break;
        case SOLO_TYPE_MXFP4: write_mxfp4(src, dst); break;
        default: solo_bug(__FILE__, __LINE__, "no writer for this weight type");
        }
}
