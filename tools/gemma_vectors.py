#!/usr/bin/env python3
"""The real Gemma-3-270M evaluated by transformers' own model class in float64 on the weights of its GGUF file,
dequantised by PyPI gguf: the writer of tests/vectors/gemma-3-270m.txt (its format: smollm2.txt).

    python3 -m venv VENV && VENV/bin/pip install torch==2.15.0 transformers==5.24.0 gguf==0.19.0 numpy
    VENV/bin/python tools/gemma_vectors.py models/gemma-3-270m-q4_k_m.gguf -o tests/vectors/gemma-3-270m.txt

Ids of the prompts come from `build/solo tokenize`; what matters here is that both sides start from the same.
"""
import argparse
import hashlib
import json
import math
import os
import subprocess

import gguf
import numpy as np
import torch
import transformers as tf

N_TOP, STRIDE, N_GREEDY = 64, 4001, 48
PROMPTS = [
    ("capital", "The capital of France is"),
    ("code", "def fibonacci(n):\n    if n < 2:\n        return n\n    return "),
    ("chat", "<start_of_turn>user\nWrite one sentence about the sea.<end_of_turn>\n<start_of_turn>model\n"),
    ("long", None),  # --text, past the window of the local layers
]


def load(path):
    reader = gguf.GGUFReader(path)
    key = lambda name: reader.fields["gemma3." + name].contents()
    n_layer, dim = key("block_count"), key("attention.key_length")
    config = tf.Gemma3TextConfig(
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].data), hidden_size=key("embedding_length"),
        intermediate_size=key("feed_forward_length"), num_hidden_layers=n_layer,
        num_attention_heads=key("attention.head_count"), num_key_value_heads=key("attention.head_count_kv"),
        head_dim=dim, query_pre_attn_scalar=dim, rms_norm_eps=key("attention.layer_norm_rms_epsilon"),
        sliding_window=key("attention.sliding_window"), max_position_embeddings=key("context_length"),
        layer_types=["sliding_attention" if (i + 1) % 6 else "full_attention" for i in range(n_layer)],
        rope_parameters=dict(full_attention=dict(rope_type="default", rope_theta=key("rope.freq_base")),
                             sliding_attention=dict(rope_type="default", rope_theta=10000.0)))
    config._attn_implementation = "eager"
    model = tf.Gemma3ForCausalLM(config).double().eval()
    tensors = {t.name: t for t in reader.tensors}
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.GEMMA3, n_layer)
    with torch.no_grad():
        for hf, p in model.named_parameters():
            t = tensors.pop(names.get_name(hf, try_suffixes=(".weight",)))
            a = gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64).reshape(tuple(p.shape))
            p.copy_(torch.from_numpy(a - 1 if "norm" in hf else a))  # the file's gains have their 1 added
    if tensors:
        raise SystemExit(f"{path}: tensors that no parameter takes: {sorted(tensors)}")
    return model


def put(out, head, items, per_line):
    print(head, len(items), file=out)
    for at in range(0, len(items), per_line):
        print(" ", *items[at:at + per_line], file=out)


def write_prompt(model, name, ids, out):
    with torch.no_grad():
        step = model(torch.tensor([ids]), use_cache=True)
        logits = step.logits[0, -1].numpy()
        order = [int(i) for i in np.argsort(-logits, kind="stable")[:N_TOP]]
        chosen = order + [i for i in range(0, len(logits), STRIDE) if i not in order]
        put(out, f"prompt {name}", ids, 16)
        put(out, f"logits {logits.mean():.9g} {math.sqrt((logits * logits).mean()):.9g}",
            [f"{i}:{logits[i]:.9g}" for i in chosen], 8)
        greedy = []
        while len(greedy) < N_GREEDY:
            second, first = np.partition(logits, -2)[-2:]
            greedy.append((int(np.argmax(logits)), first - second))
            step = model(torch.tensor([[greedy[-1][0]]]), past_key_values=step.past_key_values, use_cache=True)
            logits = step.logits[0, -1].numpy()
    put(out, "greedy", [f"{i}:{margin:.9g}" for i, margin in greedy], 8)
    print(f"{name}: {len(ids)} ids, least margin {min(m for _, m in greedy):.4f}")


def main():
    cli = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    cli.add_argument("model")
    cli.add_argument("--text", default="tests/data/ppl.txt")
    cli.add_argument("--solo", default="build/solo")
    cli.add_argument("-o", "--out", required=True)
    args = cli.parse_args()
    with open(args.model, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with open(args.text, encoding="utf-8") as file:
        text = file.read()[:2600]
    model = load(args.model)
    with open(args.out, "w", encoding="ascii") as out:
        print("# Written by tools/gemma_vectors.py (transformers, float64); do not edit. The format: smollm2.txt", file=out)
        print("model", os.path.basename(args.model), digest, file=out)
        print("vocab", model.config.vocab_size, file=out)
        for name, content in PROMPTS:
            said = subprocess.run([args.solo, "tokenize", "--bos", "--special", args.model], input=content or text, text=True,
                                  capture_output=True, check=True).stdout
            write_prompt(model, name, json.loads(said), out)
        print("end", file=out)


if __name__ == "__main__":
    main()
