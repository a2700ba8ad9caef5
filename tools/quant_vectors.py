#!/usr/bin/env python3
"""Writes tests/vectors/quant.txt: blocks of each weight type Solo reads, and what they mean.

Needs PyPI gguf==0.19.0, whose gguf.quants.dequantize is the reference. Blocks are random bytes, not
quantised data, so that every bit of a block is used; some have their scales set to extremes.

    python3 tools/quant_vectors.py > tests/vectors/quant.txt
"""
import struct
import sys

import gguf
import numpy as np

# name: (random blocks, weights a block, bytes a block, offsets of f16 scales)
TYPES = {
    "Q4_0": (24, 32, 18, [0]),
    "Q4_1": (24, 32, 20, [0, 2]),
    "Q5_0": (24, 32, 22, [0]),
    "Q8_0": (24, 32, 34, [0]),
    "Q4_K": (10, 256, 144, [0, 2]),
    "Q6_K": (10, 256, 210, [208]),
    "Q5_1": (14, 32, 24, [0, 2]),
    "Q2_K": (5, 256, 84, [80, 82]),
    "Q3_K": (5, 256, 110, [108]),
    "Q5_K": (5, 256, 176, [0, 2]),
    "IQ4_NL": (14, 32, 18, [0]),
    "IQ4_XS": (5, 256, 136, [0]),
    "MXFP4": (14, 32, 17, []),
    "F16": (96, 1, 2, []),
    "BF16": (96, 1, 2, []),
    "F32": (96, 1, 4, []),
}
# zeros, the smallest and largest subnormals, the smallest normal, one, the largest, infinity
HALVES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x0400, 0x3C00, 0x7BFF, 0xFBFF, 0x7C00]
EDGES = {
    "F16": [*HALVES, 0x83FF, 0xFC00, 0x3C01, 0x0200],
    "BF16": [0x0000, 0x8000, 0x0001, 0x007F, 0x0080, 0x7F7F, 0xFF80, 0x3F80],
    "F32": [0x00000000, 0x80000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0x7F800000],
}


def main() -> None:
    rng = np.random.default_rng(20260101)
    out = sys.stdout
    out.write("# TYPE, a block's bytes in hex, its weights as f32 bits in hex.\n")
    out.write("# Made by tools/quant_vectors.py with gguf 0.19.0; any NaN stands for every NaN.\n")
    for name, (n_random, n_weight, n_bytes, scales) in TYPES.items():
        blocks = [rng.integers(0, 256, n_bytes, dtype=np.uint8).tobytes() for _ in range(n_random)]
        if n_weight == 1:
            fmt = "<H" if n_bytes == 2 else "<I"
            blocks += [struct.pack(fmt, bits) for bits in EDGES[name]]
        for i, half in enumerate(HALVES if n_weight > 1 else []):
            block = bytearray(rng.integers(0, 256, n_bytes, dtype=np.uint8).tobytes())
            for j, at in enumerate(scales):  # a second scale takes another of the list
                struct.pack_into("<H", block, at, HALVES[(i + 3 * j) % len(HALVES)])
            if n_weight == 32 or i % 2 == 0 or half == 0x7C00:
                blocks.append(bytes(block))
        data = np.frombuffer(b"".join(blocks), dtype=np.uint8).reshape(len(blocks), n_bytes)
        if name == "F16":  # the reference only views F16 and F32
            weights = data.view("<f2").astype(np.float32)
        elif name == "F32":
            weights = data.view("<f4")
        else:
            with np.errstate(all="ignore"):
                weights = gguf.quants.dequantize(data, gguf.GGMLQuantizationType[name])
        bits = np.ascontiguousarray(weights, dtype="<f4").view("<u4").reshape(len(blocks), n_weight)
        for block, row in zip(blocks, bits):
            out.write(f"{name} {block.hex()} {' '.join(f'{w:08x}' for w in row)}\n")


if __name__ == "__main__":
    main()
