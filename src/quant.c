/* quant.c: the weight types of files read group by group, and their forms for the GPU. quantize.c writes types.
 *
 * Everything goes through one struct, a group of 32 small integers and its scales: a file's block
 * is unpacked into groups, a form's words are unpacked into groups, and group_dequant alone turns a
 * group into floats. That is why form and file agree bit for bit; that both agree with the format's
 * definition is for the stored vectors of tests/test_quant.c to say.
 *
 * Build with -ffp-contract=off: d*q is rounded before m is added. */
#include "quant.h"

#include "bytes.h"

#include <ctype.h>

typedef struct group {
    int8_t   q[SOLO_GROUP];
    uint16_t half[2];  /* forms with f16 scales: d, m, as the file has them */
    float    scale[2]; /* forms with f32 scales: d, m or d[0], d[1] */
    int8_t   small[4]; /* q2_k: factors on half[0] for each 16 weights, then on half[1] */
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

/* ---- scales on the device ----------------------------------------------------------------- */

static uint32_t whole_runs(uint32_t n_group) { return (n_group + SOLO_QUAD_RUN - 1) / SOLO_QUAD_RUN * SOLO_QUAD_RUN; }

bool solo_has_quads(solo_form form, uint32_t n_group) {
    return solo_form_get_info(form)->scale_bytes == 2 && n_group * 4 >= whole_runs(n_group) * 3;
}

uint32_t solo_row_scales(solo_form form, uint32_t n_group) {
    const uint32_t scale_bytes = solo_form_get_info(form)->scale_bytes;
    if (solo_has_quads(form, n_group)) return whole_runs(n_group);
    return scale_bytes == 2 ? n_group : n_group * scale_bytes / 4;
}

uint32_t solo_quad_at(uint32_t g) {
    return g / SOLO_QUAD_RUN * SOLO_QUAD_RUN + g % SOLO_QUAD_LANES * 4 + g / SOLO_QUAD_LANES % 4;
}

bool solo_type_find(const char *what, const char *said, bool (*is_taken)(const solo_type_info *info, solo_type type),
                    solo_type *out, solo_error *err) {
    solo_text known = {0};
    for (uint32_t i = 0; i < 64; i++) {
        const solo_type_info *info = solo_type_get_info(i);
        if (!info || !is_taken(info, (solo_type)i)) continue;
        char name[16] = "";
        for (size_t k = 0; info->name[k] && k + 1 < sizeof name; k++)
            name[k] = (char)tolower((unsigned char)info->name[k]);
        if (strcmp(said, name) == 0 || strcmp(said, info->name) == 0) {
            *out = (solo_type)i;
            free(known.at);
            return true;
        }
        solo_text_add(&known, "%s%s", known.n ? ", " : "", name);
    }
    solo_fail(err, SOLO_ARGUMENT, "%s: wanted one of %s, found '%.100s'", what, known.at, said);
    free(known.at);
    return false;
}

static bool is_float_form(solo_form form) {
    return form == SOLO_FORM_F16 || form == SOLO_FORM_BF16 || form == SOLO_FORM_F32;
}

static solo_form form_of(solo_type type) {
    const solo_type_info *info = solo_type_get_info((uint32_t)type);
    SOLO_ASSERT(info && info->form != SOLO_FORM_NONE);
    return info->form;
}

/* ---- four bytes at a time ----------------------------------------------------------------- */

#define LOW 0x0f0f0f0fu
#define HIGH 0x80808080u

/* Each byte of x, 0..127, less n, 0..127: no borrow crosses a byte. */
static uint32_t less(uint32_t x, uint32_t n) { return ((x | HIGH) - n * 0x01010101u) ^ HIGH; }

static uint8_t *quad_at(group *g, uint32_t k) { return (uint8_t *)g->q + 4 * k; }

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
    for (uint32_t k = 0; k < 8; k++) store_u32(quad_at(g, k), load_u32(nibble + 4 * k) >> 4 * (sub & 1) & LOW);
    uint32_t scale, min;
    k4_scale(block + 4, sub, &scale, &min);
    g->scale[0] = f32_of_half(load_u16(block)) * (float)scale;
    g->scale[1] = -(f32_of_half(load_u16(block + 2)) * (float)min);
}

/* Q6_K [256]: low[2][2][32] nibbles, high[2][32] crumbs, scales[16] i8, d f16. In each half of 128
 * weights, group g's low bits are nibble g/2 of row g%2, its high bits crumb g. */
static void read_q6_k(const uint8_t *block, uint32_t sub, group *g) {
    uint32_t half = sub / 4, part = sub % 4;
    const uint8_t *low = block + 64 * half + 32 * (part % 2), *high = block + 128 + 32 * half;
    for (uint32_t k = 0; k < 8; k++) {
        uint32_t q = load_u32(low + 4 * k) >> 4 * (part / 2) & LOW;
        q |= (load_u32(high + 4 * k) >> 2 * part & 0x03030303u) << 4;
        store_u32(quad_at(g, k), less(q, 32));
    }
    float d = f32_of_half(load_u16(block + 208));
    for (uint32_t i = 0; i < 2; i++)
        g->scale[i] = d * (float)(int8_t)block[192 + 2 * sub + i];
}

/* Q5_K [256]: as Q4_K, with high[32] before the nibbles: bit sub of byte i is the fifth of group sub's w[i]. */
static void read_q5_k(const uint8_t *block, uint32_t sub, group *g) {
    const uint8_t *high = block + 16, *nibble = block + 48 + 32 * (sub / 2);
    for (uint32_t k = 0; k < 8; k++) {
        uint32_t q = load_u32(nibble + 4 * k) >> 4 * (sub & 1) & LOW;
        store_u32(quad_at(g, k), q | (load_u32(high + 4 * k) >> sub & 0x01010101u) << 4);
    }
    uint32_t scale, min;
    k4_scale(block + 4, sub, &scale, &min);
    g->scale[0] = f32_of_half(load_u16(block)) * (float)scale;
    g->scale[1] = -(f32_of_half(load_u16(block + 2)) * (float)min);
}

/* Q2_K [256]: scales[16]: low nibble scale, high nibble min of 16 weights; crumbs[2][32]: in each half of 128
 * weights, group g's are crumb g; d f16, dmin f16. */
static void read_q2_k(const uint8_t *block, uint32_t sub, group *g) {
    const uint8_t *crumb = block + 16 + 32 * (sub / 4);
    for (uint32_t i = 0; i < 32; i++) g->q[i] = (int8_t)(crumb[i] >> 2 * (sub % 4) & 3);
    g->half[0] = load_u16(block + 80);
    g->half[1] = load_u16(block + 82);
    for (uint32_t i = 0; i < 2; i++) {
        g->small[i] = (int8_t)(block[2 * sub + i] & 15);
        g->small[2 + i] = (int8_t)(block[2 * sub + i] >> 4);
    }
}

/* Q3_K [256]: high[32]: bit sub of byte i clear: 4 less; crumbs as Q2_K's; scales[12]; d f16. Scale s of 16 weights:
 * four low bits in nibble s/8 of byte s%8, two high ones in crumb s/4 of byte 8 + s%4; less 32. */
static void read_q3_k(const uint8_t *block, uint32_t sub, group *g) {
    const uint8_t *crumb = block + 32 + 32 * (sub / 4), *scale = block + 96;
    for (uint32_t i = 0; i < 32; i++)
        g->q[i] = (int8_t)((crumb[i] >> 2 * (sub % 4) & 3) - (block[i] >> sub & 1 ? 0 : 4));
    g->half[0] = load_u16(block + 108);
    g->half[1] = 0;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t s = 2 * sub + i;
        int low = scale[s % 8] >> 4 * (s / 8) & 15, high = scale[8 + s % 4] >> 2 * (s / 4) & 3;
        g->small[i] = (int8_t)((low | high << 4) - 32);
        g->small[2 + i] = 0;
    }
}

const int8_t solo_iq4_table[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                   1,    13,   25,  38,  53,  69,  89,  113};
const int8_t solo_mxfp4_table[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

float solo_mxfp4_scale(uint8_t e) { /* 2^(e - 128); the two smallest are subnormal */
    return f32_of_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

/* nibbles[16]: low = w[i], high = w[i+16] */
static void look_up(const int8_t *table, const uint8_t *nibble, group *g) {
    for (uint32_t i = 0; i < 16; i++) {
        g->q[i] = table[nibble[i] & 15];
        g->q[i + 16] = table[nibble[i] >> 4];
    }
}

/* IQ4_XS [256]: d f16, high crumbs of the scales u16, low nibbles[4], nibbles[8][16]. Scales less 32. */
static void read_iq4_xs(const uint8_t *block, uint32_t sub, group *g) {
    int low = block[4 + sub / 2] >> 4 * (sub % 2) & 15, high = load_u16(block + 2) >> 2 * sub & 3;
    look_up(solo_iq4_table, block + 8 + 16 * sub, g);
    g->scale[0] = g->scale[1] = f32_of_half(load_u16(block)) * (float)((low | high << 4) - 32);
}

/* nibbles[16]: low = w[i], high = w[i+16]; less n. */
static void read_nibbles(const uint8_t *at, uint32_t n, group *g) {
    for (uint32_t k = 0; k < 4; k++) {
        store_u32(quad_at(g, k), less(load_u32(at + 4 * k) & LOW, n));
        store_u32(quad_at(g, k + 4), less(load_u32(at + 4 * k) >> 4 & LOW, n));
    }
}

/* Bit i of a u32 = fifth bit of w[i], then nibbles[16]; less n. */
static void read_fives(const uint8_t *at, uint32_t n, group *g) {
    const uint32_t high = load_u32(at);
    for (uint32_t k = 0; k < 8; k++) {
        uint32_t q = load_u32(at + 4 + 4 * (k % 4)) >> 4 * (k / 4) & LOW;
        q |= ((high >> 4 * k & 15) * 0x00204081u & 0x01010101u) << 4; /* four bits to four bytes */
        store_u32(quad_at(g, k), less(q, n));
    }
}

/* Group sub of a block of a quantised type. */
static void read_group(solo_type type, const uint8_t *block, uint32_t sub, group *g) {
    switch (type) {
    case SOLO_TYPE_Q4_0: /* d f16, nibbles[16] */
        g->half[0] = load_u16(block);
        read_nibbles(block + 2, 8, g);
        return;
    case SOLO_TYPE_Q4_F: /* d f32, nibbles[16] */
        g->scale[0] = f32_of_bits(load_u32(block));
        read_nibbles(block + 4, 8, g);
        return;
    case SOLO_TYPE_Q4_1: /* d f16, m f16, nibbles[16] */
        g->half[0] = load_u16(block);
        g->half[1] = load_u16(block + 2);
        read_nibbles(block + 4, 0, g);
        return;
    case SOLO_TYPE_Q5_0: /* d f16, fifth bits, nibbles[16] */
        g->half[0] = load_u16(block);
        read_fives(block + 2, 16, g);
        return;
    case SOLO_TYPE_Q5_1: /* d f16, m f16, fifth bits, nibbles[16] */
        g->scale[0] = f32_of_half(load_u16(block));
        g->scale[1] = f32_of_half(load_u16(block + 2));
        read_fives(block + 4, 0, g);
        return;
    case SOLO_TYPE_Q8_0: /* d f16, q[32] i8 */
        g->half[0] = load_u16(block);
        memcpy(g->q, block + 2, SOLO_GROUP);
        return;
    case SOLO_TYPE_Q4_K: read_q4_k(block, sub, g); return;
    case SOLO_TYPE_Q6_K: read_q6_k(block, sub, g); return;
    case SOLO_TYPE_Q5_K: read_q5_k(block, sub, g); return;
    case SOLO_TYPE_Q2_K: read_q2_k(block, sub, g); return;
    case SOLO_TYPE_Q3_K: read_q3_k(block, sub, g); return;
    case SOLO_TYPE_IQ4_NL: /* d f16, nibbles[16] */
        g->half[0] = load_u16(block);
        look_up(solo_iq4_table, block + 2, g);
        return;
    case SOLO_TYPE_IQ4_XS: read_iq4_xs(block, sub, g); return;
    case SOLO_TYPE_MXFP4: /* exponent u8, nibbles[16] */
        g->scale[0] = g->scale[1] = solo_mxfp4_scale(block[0]);
        look_up(solo_mxfp4_table, block + 1, g);
        return;
    default: solo_bug(__FILE__, __LINE__, "no reader for this weight type");
    }
}

/* ---- groups to floats --------------------------------------------------------------------- */

static void scale_add(const int8_t *q, float d, float m, uint32_t n, float *dst) {
    for (uint32_t i = 0; i < n; i++) {
        float product = d * (float)q[i];
        dst[i] = product + m;
    }
}

static void group_dequant(solo_form form, const group *g, float *dst) {
    float d;
    switch (form) {
    case SOLO_FORM_Q4_0:
    case SOLO_FORM_Q8_0: /* no "+ 0": it would turn -0 into 0 */
        d = f32_of_half(g->half[0]);
        for (uint32_t i = 0; i < SOLO_GROUP; i++) dst[i] = d * (float)g->q[i];
        return;
    case SOLO_FORM_Q4_F:
        for (uint32_t i = 0; i < SOLO_GROUP; i++) dst[i] = g->scale[0] * (float)g->q[i];
        return;
    case SOLO_FORM_Q4_1:
        scale_add(g->q, f32_of_half(g->half[0]), f32_of_half(g->half[1]), SOLO_GROUP, dst);
        return;
    case SOLO_FORM_Q4_K:
    case SOLO_FORM_Q5_K: scale_add(g->q, g->scale[0], g->scale[1], SOLO_GROUP, dst); return;
    case SOLO_FORM_Q2_K:
        for (uint32_t i = 0; i < 2; i++) {
            d = f32_of_half(g->half[0]) * (float)g->small[i];
            float m = -(f32_of_half(g->half[1]) * (float)g->small[2 + i]);
            scale_add(g->q + 16 * i, d, m, 16, dst + 16 * i);
        }
        return;
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
        for (uint64_t i = 0; i < n; i++) dst[i] = f32_of_half(load_u16(src + 2 * i));
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
    return form == SOLO_FORM_Q4_0 || form == SOLO_FORM_Q4_1 || form == SOLO_FORM_Q4_K ||
           form == SOLO_FORM_Q5_K || form == SOLO_FORM_Q2_K || form == SOLO_FORM_Q4_F;
}

/* The fifth bits of q, 0..31: bit j of byte b is that of w[4j+b], so that a shift and a mask give four weights'. */
static uint32_t fifth_bits(const int8_t *q) {
    uint32_t word = 0;
    for (uint32_t k = 0; k < 8; k++) word |= (load_u32((const uint8_t *)q + 4 * k) >> 4 & 0x01010101u) << k;
    return word;
}

static bool has_halves(solo_form form) {
    return form == SOLO_FORM_Q4_0 || form == SOLO_FORM_Q4_1 || form == SOLO_FORM_Q8_0 || form == SOLO_FORM_Q2_K;
}

static void pack_scales(solo_form form, const group *g, uint8_t *scales) {
    const uint32_t scale_bytes = solo_form_get_info(form)->scale_bytes;
    const bool halves = has_halves(form);
    for (uint32_t i = 0; i < 2; i++) {
        if (!halves && 4 * i < scale_bytes) store_u32(scales + 4 * i, bits_of_f32(g->scale[i]));
        else if (halves && 2 * i < scale_bytes) store_u16(scales + 2 * i, g->half[i]);
    }
    if (form == SOLO_FORM_Q2_K) memcpy(scales + 4, g->small, 4);
    if (form == SOLO_FORM_Q5_K) store_u32(scales + 8, fifth_bits(g->q));
}

static void unpack_scales(solo_form form, const uint8_t *scales, group *g) {
    const uint32_t scale_bytes = solo_form_get_info(form)->scale_bytes;
    const bool halves = has_halves(form);
    for (uint32_t i = 0; i < 2; i++) {
        if (!halves && 4 * i < scale_bytes) g->scale[i] = f32_of_bits(load_u32(scales + 4 * i));
        else if (halves && 2 * i < scale_bytes) g->half[i] = load_u16(scales + 2 * i);
    }
    if (form == SOLO_FORM_Q2_K) memcpy(g->small, scales + 4, 4);
    if (form != SOLO_FORM_Q5_K) return;
    for (uint32_t i = 0; i < SOLO_GROUP; i++)
        g->q[i] = (int8_t)(g->q[i] | (int)(load_u32(scales + 8) >> (8 * (i % 4) + i / 4) & 1) << 4);
}

static void pack_group(solo_form form, const group *g, uint32_t *payload, uint8_t *scales) {
    const uint32_t n_word = solo_form_get_info(form)->payload_words;
    const uint8_t *q = (const uint8_t *)g->q;
    if (is_nibble_form(form))
        for (uint32_t j = 0; j < n_word; j++)
            payload[j] = (load_u32(q + 8 * j) & LOW) | (load_u32(q + 8 * j + 4) & LOW) << 4;
    else
        for (uint32_t j = 0; j < n_word; j++) payload[j] = load_u32(q + 4 * j);
    pack_scales(form, g, scales);
}

static void unpack_group(solo_form form, const uint32_t *payload, const uint8_t *scales, group *g) {
    /* (x ^ 8) - 8 extends a nibble's sign */
    const bool is_signed = form == SOLO_FORM_Q4_0 || form == SOLO_FORM_Q2_K || form == SOLO_FORM_Q4_F;
    const int sign = is_signed ? 8 : 0;
    for (uint32_t i = 0; i < SOLO_GROUP; i++) {
        if (is_nibble_form(form)) {
            uint32_t shift = 8 * (i % 4) + 4 * (i / 4 % 2);
            g->q[i] = (int8_t)(((int)(payload[i / 8] >> shift & 15) ^ sign) - sign);
        } else {
            g->q[i] = (int8_t)(uint8_t)(payload[i / 4] >> 8 * (i % 4));
        }
    }
    unpack_scales(form, scales, g);
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
            else dst[i] = f32_of_half((uint16_t)half);
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
