#!/usr/bin/env python3
"""The exact reference of a GGUF of architecture llama or phi3, and the writer of tests/vectors/*.txt.

Everything is numpy float64, from the weights as PyPI gguf==0.19.0 dequantises them; it shares no
code with src/. Neighbouring numbers of a head turn together in RoPE in a llama file, halves in a
phi3 file, whose q, k and v are one tensor, and gate and up another.

    pip install gguf==0.19.0 numpy tokenizers
    tools/exact_reference.py models/SmolLM2-135M-Instruct.Q4_1.gguf \
        --text tests/data/ppl.txt -o tests/vectors/smollm2.txt
    tools/exact_reference.py MODEL.gguf --ids '[5, 7, 11]' --top 10   # as `solo logits --ids`

Checked once against transformers 5.23.0 + torch 2.15.0 (LlamaForCausalLM in float64, the same
dequantised weights, rows of q and k permuted back to halves): over all prompts of the stored file
the largest difference of a logit was 1.2e-5 and of a margin 1.5e-5 (transformers takes its norms
and softmax in float32 whatever the model's type), all 288 greedy tokens and the sets of the 64
largest logits were equal, and the perplexities agreed within 3e-8 of their value.
"""
import argparse
import hashlib
import json
import math
import os
import sys

import gguf
import numpy as np

WINDOW = 256   # ids in a window of the perplexity
N_TOP = 64     # largest logits stored for a prompt
STRIDE = 241   # every 241st id's logit is stored as well; prime, so that it meets every residue
N_GREEDY = 48

# name, kind ("text": as it is, "chat": a chatml conversation with its special tokens), content
PROMPTS = [
    ("capital", "text", "The capital of France is"),
    ("digits", "text", "Count: 1, 2, 3, 5, 8, 13, 21, 34. In 2024, 3.14159 * 12 = "),
    ("code", "text", "def fibonacci(n):\n    if n < 2:\n        return n\n    return "),
    ("french", "text", "Où est la bibliothèque ? Über naïve Mädchen. 東京は日本の首都です。 Привет, мир!"),
    ("chat", "chat", [
        ("system", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
        ("user", "Write one sentence about the sea.")]),
    ("long", "text", (
        "A lighthouse keeper wrote in his journal every evening. On Monday he noted the wind, which "
        "came from the north-west and carried the smell of rain. On Tuesday a ship passed so close "
        "that he could read the name on its stern and count the people at the rail; two of them "
        "waved, and he waved back with his hat. On Wednesday there was fog, and he rang the bell "
        "every four minutes until his arms ached. On Thursday the supply boat brought flour, lamp "
        "oil, eleven letters and a newspaper that was already nine days old. He read it twice, "
        "from the first page to the last, and then used it to wrap the glass of the spare lamp. On "
        "Friday he repaired the railing on the gallery, painted the door of the store room green, "
        "and found a bird's nest behind the rain barrel with three speckled eggs in it. On "
        "Saturday, when the sky had cleared and the sea lay flat as a plate, he rowed out to the "
        "rocks and set his lines. By noon he had caught")),
]

HEAD = """\
# Vectors of an exact (float64) evaluation, written by tools/exact_reference.py; do not edit.
# Words are separated by blanks or line ends; from '#' to the end of a line is a comment.
#   model <file> <sha256 of the file>
#   vocab <n_vocab>
#   prompt <name> <n> then n ids               what follows, up to the next prompt, belongs to it
#   logits <mean> <rms> <n> then n id:logit    after the prompt's last id: mean and root mean square
#                                              over all ids; some logits, the largest first
#   greedy <n> then n id:margin                greedy continuation; margin: how far the best logit
#                                              stood above the second
#   text <path> <window> <n> then n ids        perplexity of a text: windows start afresh and each
#                                              scores all but its first id
#   nll <n> then n sums                        of -ln p, one a window
#   ppl <n_scored> <perplexity>
#   end
"""


class Model:
    def __init__(self, path, n_ctx=0):
        reader = gguf.GGUFReader(path)
        field = lambda key, *default: (reader.fields[key].contents() if key in reader.fields or not default
                                       else default[0])
        arch = field("general.architecture")
        if arch not in ("llama", "phi3"):
            sys.exit(f"{path}: wanted architecture llama or phi3, found {arch}")
        self.reader, self.field = reader, field
        self.n_layer = field(f"{arch}.block_count")
        self.n_embd = field(f"{arch}.embedding_length")
        self.n_head = field(f"{arch}.attention.head_count")
        self.n_kv = field(f"{arch}.attention.head_count_kv", self.n_head)
        self.head_dim = field(f"{arch}.attention.key_length", self.n_embd // self.n_head)
        self.eps = float(field(f"{arch}.attention.layer_norm_rms_epsilon"))
        self.base = float(field(f"{arch}.rope.freq_base", 10000.0))
        self.turning = field(f"{arch}.rope.dimension_count", self.head_dim)
        self.size = float(field(f"{arch}.rope.scaling.attn_factor", 1.0))  # of cos and sin
        self.window = field(f"{arch}.attention.sliding_window", 0)
        self.halves = arch == "phi3"
        for key in ("type", "factor"):
            if f"{arch}.rope.scaling.{key}" in reader.fields:
                sys.exit(f"{arch}.rope.scaling.{key} is not done here")
        self.w = {}
        for t in reader.tensors:
            a = gguf.quants.dequantize(t.data, t.tensor_type)
            self.w[t.name] = a.reshape(tuple(int(n) for n in reversed(t.shape))).astype(np.float64)
        trained = field(f"{arch}.context_length")
        long = (n_ctx or min(trained, 4096)) > field(f"{arch}.rope.scaling.original_context_length", trained)
        ones = np.ones(self.turning // 2)
        self.factor = self.w.get("rope_freqs.weight", self.w.get(
            "rope_factors_long.weight" if long else "rope_factors_short.weight", ones))
        for layer in range(self.n_layer if self.halves else 0):
            q, kv = self.n_head * self.head_dim, self.n_kv * self.head_dim
            self.cut(layer, "attn_qkv", ("attn_q", "attn_k", "attn_v"), (q, q + kv))
            self.cut(layer, "ffn_up", ("ffn_gate", "ffn_up"),
                     (field(f"{arch}.feed_forward_length"),))
        self.embd = self.w["token_embd.weight"]                 # [n_vocab][n_embd]
        self.output = self.w.get("output.weight", self.embd)
        self.restart()

    def cut(self, layer, name, parts, at):
        rows = np.split(self.w.pop(f"blk.{layer}.{name}.weight"), at)
        for part, a in zip(parts, rows):
            self.w[f"blk.{layer}.{part}.weight"] = a

    def restart(self):
        self.n_past = 0
        self.k = [np.zeros((0, self.n_kv, self.head_dim)) for _ in range(self.n_layer)]
        self.v = [np.zeros((0, self.n_kv, self.head_dim)) for _ in range(self.n_layer)]

    def norm(self, x, name):
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + self.eps) * self.w[name]

    def rope(self, x, pos):                                     # x [n][heads][head_dim]
        half = self.turning // 2
        i = np.arange(half)
        angle = pos[:, None] * self.base ** (-2.0 * i / self.turning) / self.factor
        c, s = self.size * np.cos(angle)[:, None, :], self.size * np.sin(angle)[:, None, :]
        a, b = (i, i + half) if self.halves else (2 * i, 2 * i + 1)
        out = x.copy()
        out[..., a] = x[..., a] * c - x[..., b] * s
        out[..., b] = x[..., a] * s + x[..., b] * c
        return out

    def attend(self, layer, q, pos):                            # q [n][n_head][head_dim]
        k, v = self.k[layer], self.v[layer]
        hidden = np.arange(len(k))[None, :] > pos[:, None]
        if self.window:
            hidden |= np.arange(len(k))[None, :] <= pos[:, None] - self.window
        out = np.empty_like(q)
        for head in range(self.n_head):
            kv = head // (self.n_head // self.n_kv)
            score = q[:, head] @ k[:, kv].T / math.sqrt(self.head_dim)
            score[hidden] = -np.inf
            p = np.exp(score - score.max(axis=1, keepdims=True))
            out[:, head] = p / p.sum(axis=1, keepdims=True) @ v[:, kv]
        return out.reshape(len(q), -1)

    def run(self, ids):
        """Appends ids to the context; the logits after each: [n][n_vocab]."""
        pos = self.n_past + np.arange(len(ids))
        self.n_past += len(ids)
        x = self.embd[ids]
        for layer in range(self.n_layer):
            w = lambda name: self.w[f"blk.{layer}.{name}.weight"]
            y = self.norm(x, f"blk.{layer}.attn_norm.weight")
            heads = lambda name: (y @ w(name).T).reshape(len(ids), -1, self.head_dim)
            q, k = self.rope(heads("attn_q"), pos), self.rope(heads("attn_k"), pos)
            self.k[layer] = np.concatenate([self.k[layer], k])
            self.v[layer] = np.concatenate([self.v[layer], heads("attn_v")])
            x = x + self.attend(layer, q, pos) @ w("attn_output").T
            y = self.norm(x, f"blk.{layer}.ffn_norm.weight")
            gate = y @ w("ffn_gate").T
            x = x + (gate / (1 + np.exp(-gate)) * (y @ w("ffn_up").T)) @ w("ffn_down").T
        return self.norm(x, "output_norm.weight") @ self.output.T


def tokenizer_of(model):
    """PyPI tokenizers, built from the file's tables: byte-level BPE, digits apart (smollm)."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    if model.field("tokenizer.ggml.pre") != "smollm":
        sys.exit("only the pre-tokenizer smollm is done here")
    tokens = model.field("tokenizer.ggml.tokens")
    merges = [tuple(m.split(" ")) for m in model.field("tokenizer.ggml.merges")]
    tok = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tok.decoder = decoders.ByteLevel()
    kinds = model.field("tokenizer.ggml.token_type")  # 3: control, 4: user-defined
    control = [t for t, kind in zip(tokens, kinds) if kind in (3, 4)]
    tok.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in control])
    return tok


def ids_of(tok, kind, content):
    if kind == "chat":
        content = "".join(f"<|im_start|>{role}\n{text}<|im_end|>\n" for role, text in content)
        content += "<|im_start|>assistant\n"
    return tok.encode(content, add_special_tokens=False).ids


def nll_of(logits, ids):
    """-ln p of each id under the logits before it."""
    best = logits.max(axis=1)
    log_sum = best + np.log(np.exp(logits - best[:, None]).sum(axis=1))
    return log_sum - logits[np.arange(len(ids)), ids]


def put(out, head, items, per_line):
    print(head, len(items), file=out)
    for at in range(0, len(items), per_line):
        print(" ", *items[at:at + per_line], file=out)


def write_prompt(model, name, ids, out):
    model.restart()
    logits = model.run(ids)[-1]
    order = np.argsort(-logits, kind="stable")
    chosen = [int(i) for i in order[:N_TOP]]
    chosen += [i for i in range(0, len(logits), STRIDE) if i not in set(chosen)]
    put(out, f"prompt {name}", ids, 16)
    put(out, f"logits {logits.mean():.9g} {math.sqrt((logits * logits).mean()):.9g}",
        [f"{i}:{logits[i]:.9g}" for i in chosen], 8)
    greedy = []
    while len(greedy) < N_GREEDY:
        best = int(np.argmax(logits))
        second, first = np.partition(logits, -2)[-2:]
        greedy.append((best, first - second))
        logits = model.run([best])[-1]
    put(out, "greedy", [f"{i}:{margin:.9g}" for i, margin in greedy], 8)
    return [i for i, _ in greedy], min(m for _, m in greedy)


def write_text(model, path, ids, out):
    put(out, f"text {path} {WINDOW}", ids, 16)
    sums = []
    for at in range(0, len(ids), WINDOW):
        window = ids[at:at + WINDOW]
        if len(window) < 2:
            break
        model.restart()
        sums.append(float(nll_of(model.run(window)[:-1], window[1:]).sum()))
    n_scored = sum(min(WINDOW, len(ids) - at) - 1 for at in range(0, len(ids), WINDOW))
    put(out, "nll", [f"{s:.12g}" for s in sums], 8)
    ppl = math.exp(sum(sums) / n_scored)
    print(f"ppl {n_scored} {ppl:.12g}", file=out)
    return n_scored, ppl


def print_logits(model, ids, top):
    """As `solo logits --ids` prints them, without the text."""
    logits = model.run(ids)[-1]
    best = [int(i) for i in np.argsort(-logits, kind="stable")[:top]]
    print(json.dumps({"n_prompt": len(ids), "top": [{"id": i, "logit": float(logits[i])} for i in best]}))


def main():
    cli = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    cli.add_argument("model")
    cli.add_argument("--text", default="tests/data/ppl.txt")
    cli.add_argument("-o", "--out", default="tests/vectors/smollm2.txt")
    cli.add_argument("--ids", help="a JSON array: print the logits after these instead")
    cli.add_argument("--top", type=int, default=10)
    cli.add_argument("--ctx", type=int, default=0, help="the context that chooses the factors")
    args = cli.parse_args()
    model = Model(args.model, args.ctx)
    if args.ids:
        print_logits(model, json.loads(args.ids), args.top)
        return
    tok = tokenizer_of(model)
    with open(args.out, "w", encoding="ascii") as out:
        out.write(HEAD)
        with open(args.model, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        print("model", os.path.basename(args.model), digest, file=out)
        print("vocab", len(model.output), file=out)
        for name, kind, content in PROMPTS:
            ids = ids_of(tok, kind, content)
            greedy, margin = write_prompt(model, name, ids, out)
            print(f"{name}: {len(ids)} ids, least margin {margin:.4f}: {tok.decode(greedy)!r}")
        with open(args.text, encoding="utf-8") as file:
            text_ids = ids_of(tok, "text", file.read())
        n_scored, ppl = write_text(model, args.text, text_ids, out)
        print("end", file=out)
    print(f"{args.text}: {len(text_ids)} ids, {n_scored} scored, perplexity {ppl:.6f}")


if __name__ == "__main__":
    main()
