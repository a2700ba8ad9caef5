/* bytes.h: little-endian numbers at any address, and the bits of floats. */
#ifndef SOLO_BYTES_H
#define SOLO_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t load_u16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }

static inline uint32_t load_u32(const uint8_t *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint64_t load_u64(const uint8_t *at) { return load_u32(at) | (uint64_t)load_u32(at + 4) << 32; }

static inline void store_u16(uint8_t *at, uint16_t v) {
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
}

static inline void store_u32(uint8_t *at, uint32_t v) {
    store_u16(at, (uint16_t)v);
    store_u16(at + 2, (uint16_t)(v >> 16));
}

static inline float f32_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t bits_of_f32(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* Exact, and without branches, so that loops of it are vectorised. A subnormal half is a normal float less the 1 that
 * its bits do not have. */
static inline float f32_of_half(uint16_t h) {
    const uint32_t bits = (uint32_t)(h & 0x7fff) << 13;
    const uint32_t subnormal = bits_of_f32(f32_of_bits(bits + (113u << 23)) - 0x1p-14f);
    uint32_t out = bits < 1u << 23 ? subnormal : bits + (bits < 31u << 23 ? 112u << 23 : 224u << 23);
    return f32_of_bits(out | (uint32_t)(h & 0x8000) << 16);
}

#endif
