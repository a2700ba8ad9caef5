#!/usr/bin/env python3
"""Tiny checkpoints of every architecture, evaluated by transformers' own model classes: the writer of
tests/vectors/arch_*.txt.

Weights are drawn as tests/tiny.c draws them (a splitmix64 stream for each tensor's name in a GGUF file),
so that no weights need to be stored: the test makes the same model in memory. The names come from PyPI
gguf's own map from Hugging Face's names; what a converter does to a tensor (Conv1D transposed, Gemma's
gains less 1, Llama's pairs as neighbours) is undone here for the model class. Logits are float64.

    python3 -m venv VENV && VENV/bin/pip install torch==2.15.0 transformers==5.24.0 gguf==0.19.0 numpy
    VENV/bin/python tools/checkpoint_vectors.py --write tests/vectors           # every architecture
    VENV/bin/python tools/checkpoint_vectors.py qwen2 --gguf /tmp/qwen2.gguf    # the file itself, to try
"""
import argparse
import math

import gguf
import numpy as np
import torch
import transformers as tf

SEED = 77
D, HEADS, KV, DIM, FF, VOCAB, CTX = 64, 4, 2, 16, 96, 320, 64
EPS = 1e-5
N_GREEDY = 20
LENGTHS = (3, 40)
SIZES = dict(hidden_size=D, num_attention_heads=HEADS, num_key_value_heads=KV, intermediate_size=FF,
             vocab_size=VOCAB, num_hidden_layers=2, max_position_embeddings=CTX, rms_norm_eps=EPS,
             tie_word_embeddings=False, pad_token_id=0, bos_token_id=0, eos_token_id=0)
GEMMA = {**SIZES, "num_hidden_layers": 3, "tie_word_embeddings": True, "hidden_activation": "gelu_pytorch_tanh"}
THETA = dict(rope_type="default", rope_theta=10000.0)
YARN = 1.6, 0.08  # turns within the original context: of 8 pairs one is left as it is, two in part
N_TURN = DIM // 2


def factors(last, n=N_TURN):  # tiny.c's: from 1 to nearly `last`
    return [float(np.float32(1) + np.float32(last - 1) * np.float32(i) / np.float32(n)) for i in range(n)]


# name: GGUF's architecture, model class, configuration, keys of the file beside the sizes
CHECKPOINTS = {
    "llama3": ("llama", tf.LlamaForCausalLM, tf.LlamaConfig(head_dim=DIM, rope_parameters=dict(
        rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
        original_max_position_embeddings=64), **SIZES), {}),
    "mistral": ("llama", tf.MistralForCausalLM, tf.MistralConfig(
        head_dim=DIM, sliding_window=7, rope_parameters=THETA, **SIZES), {"attention.sliding_window": 7}),
    "biases": ("llama", tf.LlamaForCausalLM, tf.LlamaConfig(
        head_dim=DIM, attention_bias=True, mlp_bias=True, rope_parameters=THETA, **SIZES), {}),
    "yarn": ("qwen2", tf.Qwen2ForCausalLM, tf.Qwen2Config(rope_parameters=dict(
        rope_type="yarn", rope_theta=10000.0, factor=2.0, original_max_position_embeddings=32, beta_fast=YARN[0],
        beta_slow=YARN[1]), **SIZES), {"rope.scaling.factor": 2.0, "rope.scaling.original_context_length": 32,
                                       "rope.scaling.yarn_beta_fast": YARN[0], "rope.scaling.yarn_beta_slow": YARN[1]}),
    "phi3": ("phi3", tf.Phi3ForCausalLM, tf.Phi3Config(
        sliding_window=None, original_max_position_embeddings=2, rope_parameters=dict(
            rope_type="longrope", rope_theta=10000.0, long_factor=factors(8.0), short_factor=factors(1.5),
            attention_factor=1.25, original_max_position_embeddings=2), **SIZES),
        {"rope.scaling.original_context_length": 2, "rope.scaling.attn_factor": 1.25}),
    "qwen2": ("qwen2", tf.Qwen2ForCausalLM, tf.Qwen2Config(rope_parameters=THETA, **SIZES), {}),
    "qwen3": ("qwen3", tf.Qwen3ForCausalLM, tf.Qwen3Config(head_dim=DIM + 8, rope_parameters=THETA, **SIZES), {}),
    "gpt2": ("gpt2", tf.GPT2LMHeadModel, tf.GPT2Config(
        n_embd=D, n_head=HEADS, n_inner=FF, n_layer=2, n_positions=CTX, vocab_size=VOCAB, layer_norm_epsilon=EPS,
        tie_word_embeddings=False, bos_token_id=0, eos_token_id=0), {}),
    "gemma2": ("gemma2", tf.Gemma2ForCausalLM, tf.Gemma2Config(
        head_dim=DIM, query_pre_attn_scalar=DIM, sliding_window=7, rope_parameters=THETA, **GEMMA),
        {"attention.sliding_window": 7}),
    "gemma3": ("gemma3", tf.Gemma3ForCausalLM, tf.Gemma3TextConfig(
        head_dim=DIM + 8, query_pre_attn_scalar=DIM + 8, sliding_window=7,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"], rope_parameters=dict(
            full_attention=dict(rope_type="linear", rope_theta=1000000.0, factor=8.0), sliding_attention=THETA),
        **GEMMA),
        {"attention.sliding_window": 7, "attention.sliding_window_pattern": 2, "rope.freq_base": 1000000.0,
         "rope.scaling.factor": 8.0}),
}


# ---- weights ---------------------------------------------------------------------------------------

def random(name, n):
    """tiny.c: number i of the stream `name`, uniform in -1..1."""
    mask = (1 << 64) - 1
    seed = SEED
    for c in name.encode():
        seed = (seed * 1099511628211 + c) & mask
    z = np.uint64(seed * 0xD1342543DE82EF95 & mask) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(8388608) - np.float32(1)


def draw(name, shape, spread_of_embedding):
    n = int(np.prod(shape))
    mid, spread = np.float32(0), np.float32(0)
    if name.endswith(".bias"):
        spread = 0.5 if "norm" not in name else 0.25
    elif len(shape) == 1:
        mid, spread = 1, 0.25
    elif name == "token_embd.weight":
        spread = spread_of_embedding
    elif name == "position_embd.weight":
        spread = 0.5
    else:
        spread = np.sqrt(np.float32(3) / np.float32(shape[1]))
    return (np.float32(mid) + np.float32(spread) * random(name, n)).reshape(shape)


FUSED = {"attn_qkv": (("attn_q", "attn_k", "attn_v"), lambda c: (c.q, c.kv, c.kv)),
         "ffn_up": (("ffn_gate", "ffn_up"), lambda c: (FF, FF))}


class Checkpoint:
    def __init__(self, name):
        self.name = name
        self.arch, cls, self.config, self.keys = CHECKPOINTS[name]
        config = self.config
        self.heads = config.num_attention_heads
        self.kv_heads = getattr(config, "num_key_value_heads", self.heads)
        self.dim = getattr(config, "head_dim", None) or config.hidden_size // self.heads
        self.q, self.kv = self.heads * self.dim, self.kv_heads * self.dim
        config._attn_implementation = "eager"
        torch.manual_seed(0)
        self.model = cls(config).double().eval()
        self.tied = config.tie_word_embeddings
        self.tensors = {}
        arch = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == self.arch)
        names = gguf.get_tensor_name_map(arch, config.num_hidden_layers)
        for hf, p in self.model.named_parameters():
            where = names.get_name(hf, try_suffixes=(".weight", ".bias"))
            if where is None:
                raise SystemExit(f"{name}: gguf has no name for {hf}")
            self.take(hf, where, p)
        if self.arch == "llama" and config.rope_parameters["rope_type"] == "llama3":
            plain = 10000.0 ** (-np.arange(0, self.dim, 2) / self.dim)
            self.tensors["rope_freqs.weight"] = (plain / self.model.model.rotary_emb.inv_freq.double().numpy()
                                                 ).astype(np.float32)
        if self.arch == "phi3":
            self.tensors["rope_factors_long.weight"] = np.array(factors(8.0), np.float32)
            self.tensors["rope_factors_short.weight"] = np.array(factors(1.5), np.float32)

    def take(self, hf, where, p):
        """Draws the file's tensor and gives the parameter what a converter would have made it from."""
        conv1d = self.arch == "gpt2" and p.dim() == 2 and ".h." in hf
        shape = tuple(reversed(p.shape)) if conv1d else tuple(p.shape)
        base, kind = where.rsplit(".", 1)
        layer, _, role = base.rpartition(".")
        fused = FUSED.get(role)
        if fused and shape[0] == sum(fused[1](self)) and role in base:
            parts = [draw(f"{layer}.{part}.{kind}", (n, *shape[1:]), 0) for part, n in zip(fused[0], fused[1](self))]
            a = np.concatenate(parts)
        else:
            a = draw(where, shape, np.sqrt(np.float32(3) / np.float32(D)) if self.tied else np.sqrt(np.float32(3)))
        self.tensors[where] = a
        mine = a.astype(np.float64)
        if conv1d:
            mine = mine.T
        if self.arch.startswith("gemma") and "norm" in where:
            mine = mine - 1
        if self.arch == "llama" and role in ("attn_q", "attn_k"):  # the file's neighbours back to halves
            heads = self.heads if role == "attn_q" else self.kv_heads
            mine = mine.reshape(heads, self.dim // 2, 2, -1).swapaxes(1, 2).reshape(mine.shape)
        with torch.no_grad():
            p.copy_(torch.from_numpy(np.ascontiguousarray(mine)))

    def logits(self, ids):
        with torch.no_grad():
            return self.model(torch.tensor([ids]), use_cache=False).logits[0, -1].double().numpy()

    # ---- files ---------------------------------------------------------------------------------

    def write_gguf(self, path):
        c, w = self.config, gguf.GGUFWriter(path, self.arch)
        w.add_name(self.name)
        w.add_block_count(c.num_hidden_layers)
        w.add_context_length(CTX)
        w.add_embedding_length(D)
        w.add_feed_forward_length(FF)
        w.add_head_count(self.heads)
        if self.arch == "gpt2":
            w.add_layer_norm_eps(EPS)
        else:
            w.add_head_count_kv(self.kv_heads)
            w.add_key_length(self.dim)
            w.add_value_length(self.dim)
            w.add_layer_norm_rms_eps(EPS)
        for key, value in self.keys.items():
            key = f"{self.arch}.{key}"
            if key.endswith("yarn_beta_fast"):
                w.add_rope_scaling_type(gguf.RopeScalingType.YARN)
            w.add_float32(key, value) if isinstance(value, float) else w.add_uint32(key, value)
        w.add_tokenizer_model("gpt2")
        w.add_tokenizer_pre("smollm")
        byte = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or b >= 174]
        others = iter(range(256, 512))  # GPT-2's alphabet: what does not print is counted up from U+0100
        w.add_token_list([chr(b if b in byte else next(others)) for b in range(256)] + ["he"] +
                         [f"<t{i}>" for i in range(257, VOCAB)])
        w.add_token_types([1] * VOCAB)
        w.add_token_merges(["h e"])
        for name, a in self.tensors.items():
            w.add_tensor(name, a)
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()

    def write_vectors(self, path):
        with open(path, "w", encoding="ascii") as out:
            print(f"# {self.name}: transformers {tf.__version__}'s {type(self.model).__name__} in float64 on "
                  "weights drawn from seed", SEED, file=out)
            print("# written by tools/checkpoint_vectors.py; do not edit. The format: smollm2.txt", file=out)
            print(f"model tiny-{self.name} -\nvocab {VOCAB}", file=out)
            for length in LENGTHS:
                ids = [int(i) for i in np.random.default_rng(length).integers(0, VOCAB, length)]
                self.write_prompt(f"of-{length}", ids, out)
            print("end", file=out)

    def write_prompt(self, name, ids, out):
        put = lambda head, items: [print(*line, file=out) for line in
                                   [[head, len(items)]] + [items[i:i + 10] for i in range(0, len(items), 10)]]
        logits = self.logits(ids)
        put(f"prompt {name}", ids)
        put(f"logits {logits.mean():.9g} {math.sqrt((logits * logits).mean()):.9g}",
            [f"{i}:{logits[i]:.9g}" for i in range(0, VOCAB, 3)])
        context, greedy = list(ids), []
        for _ in range(N_GREEDY):
            second, first = np.partition(logits, -2)[-2:]
            greedy.append(f"{int(np.argmax(logits))}:{first - second:.9g}")
            context.append(int(np.argmax(logits)))
            logits = self.logits(context)
        put("greedy", greedy)


def main():
    cli = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    cli.add_argument("name", nargs="*", help=", ".join(CHECKPOINTS))
    cli.add_argument("--write", metavar="FOLDER", help="write arch_NAME.txt there")
    cli.add_argument("--gguf", metavar="PATH", help="write the one checkpoint named as a GGUF file")
    args = cli.parse_args()
    for name in args.name or CHECKPOINTS:
        c = Checkpoint(name)
        if args.write:
            c.write_vectors(f"{args.write}/arch_{name}.txt")
        if args.gguf:
            c.write_gguf(args.gguf)
        best = np.argsort(-c.logits([5, 7, 11]))[:3]
        print(name, [(int(i), float(c.logits([5, 7, 11])[i])) for i in best])


if __name__ == "__main__":
    main()
