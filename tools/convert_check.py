#!/usr/bin/env python3
"""`solo convert` against PyPI gguf, which must read each type that it writes, and find in it the numbers that were there
before, as near as the type can. By hand, since it needs numpy (tests/reader.mjs has another reader for the suite):

    python3 -m venv VENV && VENV/bin/pip install gguf==0.19.0 numpy
    SOLO_BIN=build/solo VENV/bin/python tools/convert_check.py
"""
import os
import subprocess
import sys
import tempfile

import gguf
import numpy as np

# What is lost: mean square of the difference by that of the numbers. Uniform random numbers, rows of 256.
TYPES = {"f32": 0, "f16": 1e-7, "bf16": 5e-6, "q8_0": 3e-5, "q6_k": 4e-4, "q5_k": 2e-3, "q5_1": 2e-3, "q5_0": 2e-3,
         "q4_k": 6e-3, "q4_1": 6e-3, "q4_0": 8e-3, "iq4_nl": 8e-3, "iq4_xs": 8e-3, "mxfp4": 2e-2, "q3_k": 3e-2, "q2_k": 0.15}


def solo(*arguments):
    subprocess.run([os.environ["SOLO_BIN"], *arguments], check=True, stderr=subprocess.DEVNULL)


def tensors(path):
    return {t.name: t for t in gguf.GGUFReader(path).tensors}


def numbers(tensor):
    return gguf.dequantize(tensor.data, tensor.tensor_type).reshape(-1).astype(np.float64)


def main():
    bad = False
    with tempfile.TemporaryDirectory() as folder:
        source, out = os.path.join(folder, "source.gguf"), os.path.join(folder, "out.gguf")
        solo("synth", "toy:256x2x4", source, "--type", "f32", "--output-type", "f32")
        wanted = tensors(source)
        for kind, most in TYPES.items():
            solo("convert", source, out, "--type", kind)
            found = tensors(out)
            lost = max(((numbers(t) - numbers(wanted[name])) ** 2).mean() / (numbers(wanted[name]) ** 2).mean()
                       for name, t in found.items())
            is_kind = found["blk.0.ffn_down.weight"].tensor_type.name.lower() == kind
            ok = found.keys() == wanted.keys() and lost <= most and is_kind
            print(f"{kind:8} {lost:.2g}{'' if ok else f'  wanted at most {most}'}")
            bad = bad or not ok
    sys.exit(bad)


if __name__ == "__main__":
    main()
