/* quant.c: the weight types of files read group by group, their forms for the GPU, and a plain
 * quantiser for test models.
 *
 * Everything goes through one struct, a group of 32 small integers and its scales: a file's block
 * is unpacked into groups, a form's words are unpacked into groups, and group_dequant alone turns a
 * group into floats. That is why form and file agree bit for bit; that both agree with the format's
 * definition is for the stored vectors of tests/test_quant.c to say.
 *
 * Build with -ffp-contract=off: d*q is rounded before m is added. */
#include "quant.h"

#include <math.h>

typedef struct group {
    int8_t   q[SOLO_GROUP];
    uint16_t half[2];  /* forms with f16 scales: d, m, as the file has them */
    float    scale[2]; /* forms with f32 scales: d, m or d[0], d[1] */
} group;

const solo_type_info *solo_type_get_info(uint32_t number) {
    static const solo_type_info info[] = {
#define X(name, number, n, bytes, form) [number] = {#name, n, bytes, SOLO_FORM_##form},
        SOLO_TYPE_LIST(X)
#undef X
    };
    return number < SOLO_COUNT(info) && info[number].name ? &info[number] : NULL;
}

const solo_form_info *solo_form_get_info(solo_form form) {
    static const solo_form_info info[] = {
#define X(name, text, words, scale_bytes) {text, words, scale_bytes},
        SOLO_FORM_LIST(X)
#undef X
    };
    return (uint32_t)form < SOLO_COUNT(info) ? &info[form] : NULL;
}

static uint16_t load_u16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }

static uint32_t load_u32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static void store_u16(uint8_t *at, uint16_t v) {
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
}

static void store_u32(uint8_t *at, uint32_t v) {
    store_u16(at, (uint16_t)v);
    store_u16(at + 2, (uint16_t)(v >> 16));
}

static float f32_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of_f32(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static bool is_float_form(solo_form form) {
    return form == SOLO_FORM_F16 || form == SOLO_FORM_BF16 || form == SOLO_FORM_F32;
}

static solo_form form_of(solo_type type) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    SOLO_ASSERT(info && info->form != SOLO_FORM_NONE);
    return info->form;
}

/* ---- a file's blocks to groups ------------------------------------------------------------ */

/* The 6-bit scale and min of group sub in a Q4_K block's 12 bytes: the first four of each are
 * whole in their byte, the others' high bits lie in the first four's spare top bits. */
static void k4_scale(const uint8_t *s, uint32_t sub, uint32_t *scale, uint32_t *min) {
    if (sub < 4) {
        *scale = s[sub] & 63u;
        *min = s[sub + 4] & 63u;
    } else {
        *scale = (s[sub + 4] & 15u) | (uint32_t)(s[sub - 4] >> 6) << 4;
        *min = (uint32_t)(s[sub + 4] >> 4) | (uint32_t)(s[sub] >> 6) << 4;
    }
}

/* Q4_K [256]: d f16, dmin f16, scales[12], nibbles[4][32]: low = group 2c, high = group 2c+1. */
static void read_q4_k(const uint8_t *block, uint32_t sub, group *g) {
    const uint8_t *nibble = block + 16 + 32 * (sub / 2);
    for (uint32_t i = 0; i < 32; i++) g->q[i] = (int8_t)(nibble[i] >> 4 * (sub & 1) & 15);
    uint32_t scale, min;
    k4_scale(block + 4, sub, &scale, &min);
    g->scale[0] = solo_f16_to_f32(load_u16(block)) * (float)scale;
    g->scale[1] = -(solo_f16_to_f32(load_u16(block + 2)) * (float)min);
}

/* Q6_K [256]: low[2][2][32] nibbles, high[2][32] crumbs, scales[16] i8, d f16. In each half of 128
 * weights, group g's low bits are nibble g/2 of row g%2, its high bits crumb g. */
static void read_q6_k(const uint8_t *block, uint32_t sub, group *g) {
    uint32_t half = sub / 4, part = sub % 4;
    const uint8_t *low = block + 64 * half + 32 * (part % 2), *high = block + 128 + 32 * half;
    for (uint32_t i = 0; i < 32; i++) {
        int q = (low[i] >> 4 * (part / 2) & 15) | (high[i] >> 2 * part & 3) << 4;
        g->q[i] = (int8_t)(q - 32);
    }
    float d = solo_f16_to_f32(load_u16(block + 208));
    for (uint32_t i = 0; i < 2; i++)
        g->scale[i] = d * (float)(int8_t)block[192 + 2 * sub + i];
}

/* Group sub of a block of a quantised type. */
static void read_group(solo_type type, const uint8_t *block, uint32_t sub, group *g) {
    const uint8_t *nibble;
    uint32_t high;
    switch (type) {
    case SOLO_TYPE_Q4_0: /* d f16, nibbles[16]: low = w[i], high = w[i+16] */
        g->half[0] = load_u16(block);
        for (uint32_t i = 0; i < 16; i++) {
            g->q[i] = (int8_t)((block[2 + i] & 15) - 8);
            g->q[i + 16] = (int8_t)((block[2 + i] >> 4) - 8);
        }
        return;
    case SOLO_TYPE_Q4_1: /* d f16, m f16, nibbles[16] */
        g->half[0] = load_u16(block);
        g->half[1] = load_u16(block + 2);
        for (uint32_t i = 0; i < 16; i++) {
            g->q[i] = (int8_t)(block[4 + i] & 15);
            g->q[i + 16] = (int8_t)(block[4 + i] >> 4);
        }
        return;
    case SOLO_TYPE_Q5_0: /* d f16, bit i of a u32 = fifth bit of w[i], nibbles[16] */
        g->half[0] = load_u16(block);
        high = load_u32(block + 2);
        nibble = block + 6;
        for (uint32_t i = 0; i < 16; i++) {
            g->q[i] = (int8_t)((int)((nibble[i] & 15u) | (high >> i & 1) << 4) - 16);
            g->q[i + 16] =
                (int8_t)((int)((uint32_t)(nibble[i] >> 4) | (high >> (i + 16) & 1) << 4) - 16);
        }
        return;
    case SOLO_TYPE_Q8_0: /* d f16, q[32] i8 */
        g->half[0] = load_u16(block);
        memcpy(g->q, block + 2, SOLO_GROUP);
        return;
    case SOLO_TYPE_Q4_K: read_q4_k(block, sub, g); return;
    case SOLO_TYPE_Q6_K: read_q6_k(block, sub, g); return;
    default: solo_bug(__FILE__, __LINE__, "no reader for this weight type");
    }
}

/* ---- groups to floats --------------------------------------------------------------------- */

static void scale_add(const int8_t *q, float d, float m, float *dst) {
    for (uint32_t i = 0; i < SOLO_GROUP; i++) {
        float product = d * (float)q[i];
        dst[i] = product + m;
    }
}

static void group_dequant(solo_form form, const group *g, float *dst) {
    float d;
    switch (form) {
    case SOLO_FORM_Q4_0:
    case SOLO_FORM_Q8_0: /* no "+ 0": it would turn -0 into 0 */
        d = solo_f16_to_f32(g->half[0]);
        for (uint32_t i = 0; i < SOLO_GROUP; i++) dst[i] = d * (float)g->q[i];
        return;
    case SOLO_FORM_Q4_1:
        scale_add(g->q, solo_f16_to_f32(g->half[0]), solo_f16_to_f32(g->half[1]), dst);
        return;
    case SOLO_FORM_Q4_K: scale_add(g->q, g->scale[0], g->scale[1], dst); return;
    case SOLO_FORM_Q6_K:
        for (uint32_t i = 0; i < SOLO_GROUP; i++) dst[i] = g->scale[i / 16] * (float)g->q[i];
        return;
    default: solo_bug(__FILE__, __LINE__, "a float form has no groups of integers");
    }
}

void solo_dequant(solo_type type, const uint8_t *src, uint64_t n, float *dst) {
    const solo_form form = form_of(type);
    if (form == SOLO_FORM_F32) {
        for (uint64_t i = 0; i < n; i++) dst[i] = f32_of_bits(load_u32(src + 4 * i));
    } else if (form == SOLO_FORM_F16) {
        for (uint64_t i = 0; i < n; i++) dst[i] = solo_f16_to_f32(load_u16(src + 2 * i));
    } else if (form == SOLO_FORM_BF16) {
        for (uint64_t i = 0; i < n; i++)
            dst[i] = f32_of_bits((uint32_t)load_u16(src + 2 * i) << 16);
    } else {
        const solo_type_info *info = solo_type_get_info((uint32_t)type);
        SOLO_ASSERT(n % info->n_block == 0);
        group g;
        for (; n; n -= info->n_block, src += info->block_bytes)
            for (uint32_t sub = 0; sub < info->n_block / SOLO_GROUP; sub++, dst += SOLO_GROUP) {
                read_group(type, src, sub, &g);
                group_dequant(form, &g, dst);
            }
    }
}

/* ---- groups to forms and back ------------------------------------------------------------- */

static bool is_nibble_form(solo_form form) {
    return form == SOLO_FORM_Q4_0 || form == SOLO_FORM_Q4_1 || form == SOLO_FORM_Q4_K;
}

static void pack_group(solo_form form, const group *g, uint32_t *payload, uint8_t *scales) {
    const uint32_t n_word = solo_form_get_info(form)->payload_words;
    for (uint32_t j = 0; j < n_word; j++) {
        uint32_t word = 0;
        for (uint32_t b = 0; b < 4; b++) {
            if (is_nibble_form(form))
                word |= (uint32_t)((g->q[8 * j + b] & 15) | (g->q[8 * j + b + 4] & 15) << 4)
                        << 8 * b;
            else
                word |= ((uint32_t)g->q[4 * j + b] & 255) << 8 * b;
        }
        payload[j] = word;
    }
    const uint32_t scale_bytes = solo_form_get_info(form)->scale_bytes;
    for (uint32_t i = 0; i < 2; i++) {
        if (scale_bytes == 8) store_u32(scales + 4 * i, bits_of_f32(g->scale[i]));
        else if (2 * i < scale_bytes) store_u16(scales + 2 * i, g->half[i]);
    }
}

static void unpack_group(solo_form form, const uint32_t *payload, const uint8_t *scales, group *g) {
    const int sign = form == SOLO_FORM_Q4_0 ? 8 : 0; /* (x ^ 8) - 8 extends a nibble's sign */
    for (uint32_t i = 0; i < SOLO_GROUP; i++) {
        if (is_nibble_form(form)) {
            uint32_t shift = 8 * (i % 4) + 4 * (i / 4 % 2);
            g->q[i] = (int8_t)(((int)(payload[i / 8] >> shift & 15) ^ sign) - sign);
        } else {
            g->q[i] = (int8_t)(uint8_t)(payload[i / 4] >> 8 * (i % 4));
        }
    }
    const uint32_t scale_bytes = solo_form_get_info(form)->scale_bytes;
    for (uint32_t i = 0; i < 2; i++) {
        if (scale_bytes == 8) g->scale[i] = f32_of_bits(load_u32(scales + 4 * i));
        else if (2 * i < scale_bytes) g->half[i] = load_u16(scales + 2 * i);
    }
}

static void repack_floats(solo_form form, const uint8_t *src, uint32_t n, uint32_t *payload) {
    const uint32_t n_pad = (n + SOLO_GROUP - 1) / SOLO_GROUP * SOLO_GROUP;
    if (form == SOLO_FORM_F32) {
        for (uint32_t i = 0; i < n_pad; i++)
            payload[i] = i < n ? load_u32(src + 4 * (size_t)i) : 0;
        return;
    }
    for (uint32_t i = 0; i < n_pad; i += 2) {
        uint32_t low = i < n ? load_u16(src + 2 * (size_t)i) : 0;
        uint32_t high = i + 1 < n ? load_u16(src + 2 * (size_t)i + 2) : 0;
        payload[i / 2] = low | high << 16;
    }
}

void solo_repack_row(solo_type type, const uint8_t *src, uint32_t n, uint32_t *payload,
                     uint8_t *scales) {
    const solo_form form = form_of(type);
    if (is_float_form(form)) {
        repack_floats(form, src, n, payload);
        return;
    }
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    const solo_form_info *to = solo_form_get_info(form);
    SOLO_ASSERT(n % info->n_block == 0);
    group g;
    for (; n; n -= info->n_block, src += info->block_bytes)
        for (uint32_t sub = 0; sub < info->n_block / SOLO_GROUP; sub++) {
            read_group(type, src, sub, &g);
            pack_group(form, &g, payload, scales);
            payload += to->payload_words;
            scales += to->scale_bytes;
        }
}

void solo_form_dequant(solo_form form, const uint32_t *payload, const uint8_t *scales, uint32_t n,
                       float *dst) {
    const solo_form_info *info = solo_form_get_info(form);
    SOLO_ASSERT(info);
    if (is_float_form(form)) {
        for (uint32_t i = 0; i < n; i++) {
            uint32_t half = payload[i / 2] >> 16 * (i % 2) & 0xffff;
            if (form == SOLO_FORM_F32) dst[i] = f32_of_bits(payload[i]);
            else if (form == SOLO_FORM_BF16) dst[i] = f32_of_bits(half << 16);
            else dst[i] = solo_f16_to_f32((uint16_t)half);
        }
        return;
    }
    SOLO_ASSERT(n % SOLO_GROUP == 0);
    group g;
    for (uint32_t at = 0; at < n; at += SOLO_GROUP) {
        unpack_group(form, payload, scales, &g);
        group_dequant(form, &g, dst + at);
        payload += info->payload_words;
        scales += info->scale_bytes;
    }
}

/* ---- floats to blocks: a plain quantiser for test models ---------------------------------- */

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

static void write_q8_0(const float *x, uint8_t *block) {
    float d = store_scale(block, fabsf(extreme(x, 32)) / 127.0f);
    for (uint32_t i = 0; i < 32; i++) block[2 + i] = (uint8_t)(int8_t)nearest(x[i], d, -127, 127);
}

static void write_q4_k(const float *x, uint8_t *block) {
    float step[8], low[8], most_step = 0.0f, most_low = 0.0f;
    for (uint32_t s = 0; s < 8; s++) {
        float min, max;
        range(x + 32 * s, 32, &min, &max);
        if (min > 0.0f) min = 0.0f; /* a group's minimum is stored as a positive amount below 0 */
        if (max < min) max = min;
        step[s] = (max - min) / 15.0f;
        low[s] = -min;
        if (step[s] > most_step) most_step = step[s];
        if (low[s] > most_low) most_low = low[s];
    }
    float d = store_scale(block, most_step / 63.0f),
          dmin = store_scale(block + 2, most_low / 63.0f);
    memset(block + 4, 0, 12 + 128);
    for (uint32_t s = 0; s < 8; s++) {
        uint32_t scale = (uint32_t)nearest(step[s], d, 0, 63);
        uint32_t min = (uint32_t)nearest(low[s], dmin, 0, 63);
        if (s < 4) {
            block[4 + s] = (uint8_t)(block[4 + s] | scale);
            block[8 + s] = (uint8_t)(block[8 + s] | min);
        } else {
            block[8 + s] = (uint8_t)((scale & 15) | (min & 15) << 4);
            block[s] = (uint8_t)(block[s] | scale >> 4 << 6);
            block[4 + s] = (uint8_t)(block[4 + s] | min >> 4 << 6);
        }
        for (uint32_t i = 0; i < 32; i++) {
            int q = nearest(x[32 * s + i] + dmin * (float)min, d * (float)scale, 0, 15);
            uint8_t *at = block + 16 + 32 * (s / 2) + i;
            *at = (uint8_t)(*at | q << 4 * (s & 1));
        }
    }
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
        case SOLO_TYPE_Q5_0: write_q5_0(src, dst); break;
        case SOLO_TYPE_Q8_0: write_q8_0(src, dst); break;
        case SOLO_TYPE_Q4_K: write_q4_k(src, dst); break;
        case SOLO_TYPE_Q6_K: write_q6_k(src, dst); break;
        default: solo_bug(__FILE__, __LINE__, "no writer for this weight type");
        }
}
