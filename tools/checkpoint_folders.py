#!/usr/bin/env python3
"""The tiny checkpoints of tools/checkpoint_vectors.py as folders that transformers itself writes (save_pretrained, sharded):
Solo must read each, and its logits must be those of the GGUF with the same numbers. By hand, since it needs torch:

    SOLO_BIN=build/solo SOLO_CHECKPOINT_FILE=build/tests/checkpoint_file VENV/bin/python tools/checkpoint_folders.py [NAME...]
"""
import json
import os
import subprocess
import sys
import tempfile

import checkpoint_vectors

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests"))
import folders  # noqa: E402

IDS = [5, 7, 11, 30, 2, 9, 19, 200, 7, 7, 1]


def logits(model):
    done = subprocess.run([os.environ["SOLO_BIN"], "logits", model, "--device", "cpu", "--ids", "--top", "320"],
                          input=json.dumps(IDS), capture_output=True, text=True, check=True)
    return {row["id"]: row["logit"] for row in json.loads(done.stdout)["top"]}


def check(name, where):
    gguf, folder = os.path.join(where, f"{name}.gguf"), os.path.join(where, name)
    subprocess.run([os.environ["SOLO_CHECKPOINT_FILE"], name, gguf, "f32"], check=True)
    os.mkdir(folder)
    checkpoint = checkpoint_vectors.Checkpoint(name)
    reference = checkpoint.logits(IDS)
    folders.write_tokenizer(folders.Gguf(gguf), folder)
    checkpoint.model.float().save_pretrained(folder, max_shard_size="100KB")
    ours, theirs = logits(folder), logits(gguf)
    off = lambda other: max(abs(ours[i] - other[i]) for i in ours)
    print(f"{name}: off the GGUF's by {off(theirs):.2g}, transformers' by {off(reference):.2g}")
    return off(theirs) < 1e-6 and off(reference) < 1e-5


def main():
    with tempfile.TemporaryDirectory() as where:
        bad = [name for name in sys.argv[1:] or checkpoint_vectors.CHECKPOINTS if not check(name, where)]
    if bad:
        sys.exit(f"wanted the same logits, found others: {', '.join(bad)}")


if __name__ == "__main__":
    main()
