#!/usr/bin/env python3
"""folders.py hf|mlc FILE.gguf FOLDER: the numbers of a small GGUF written as Hugging Face or MLC have them, by code of this
file alone: what each family calls its arrays and settings, and how its numbers lie. mlc makes the file's quants those
that MLC can say, first."""
import json
import os
import struct
import sys

BLOCK = {0: (1, 4), 1: (1, 2), 30: (1, 2), 2: (32, 18), 3: (32, 20), 8: (32, 34)}  # type: weights, bytes
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def read(path):
    with open(path, "rb") as file:
        return file.read()


class Gguf:
    """The values and tensors of a file; data stays in .bytes."""

    def __init__(self, path):
        self.bytes, self.at = bytearray(read(path)), 8
        n_tensor, n_value = self.take("Q"), self.take("Q")
        self.values = {}
        for _ in range(n_value):
            key = self.text()
            self.values[key] = self.value(self.take("I"))
        arch = self.values["general.architecture"]
        self.head_dim = self.values.get(f"{arch}.attention.key_length") or (
            self.values[f"{arch}.embedding_length"] // self.values[f"{arch}.attention.head_count"])
        self.tensors = {}
        rows = []
        for _ in range(n_tensor):
            name = self.text()
            dims = [self.take("Q") for _ in range(self.take("I"))]
            rows.append((name, dims, self.take("I"), self.take("Q")))
        start = (self.at + 31) // 32 * 32
        for name, dims, kind, off in rows:
            n = 1
            for d in dims:
                n *= d
            n_bytes = n // BLOCK[kind][0] * BLOCK[kind][1]
            self.tensors[name] = (dims, kind, start + off, n_bytes)

    def take(self, kind):
        v = struct.unpack_from("<" + kind, self.bytes, self.at)[0]
        self.at += struct.calcsize("<" + kind)
        return v

    def text(self):
        n = self.take("Q")
        self.at += n
        return bytes(self.bytes[self.at - n:self.at]).decode("utf-8")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            item, n = self.take("I"), self.take("Q")
            return [self.value(item) for _ in range(n)]
        return self.take(SCALARS[kind])

    def rows(self, name):
        """Its rows as bytes; a vector is one."""
        dims, _, at, n = self.tensors[name]
        n_row = dims[1] if len(dims) > 1 else 1
        return [bytes(self.bytes[at + i * n // n_row:at + (i + 1) * n // n_row]) for i in range(n_row)]


# What a family calls its arrays: the layer's prefix, {array of a layer: tensors whose rows it has}, {array: tensor}.
NORMS = {"input_layernorm": ["attn_norm"], "post_attention_layernorm": ["ffn_norm"]}
QKV = ["attn_q", "attn_k", "attn_v"]
APART = {"self_attn.q_proj": ["attn_q"], "self_attn.k_proj": ["attn_k"], "self_attn.v_proj": ["attn_v"],
         "self_attn.o_proj": ["attn_output"]}
GATED = {"mlp.gate_proj": ["ffn_gate"], "mlp.up_proj": ["ffn_up"], "mlp.down_proj": ["ffn_down"]}
GATED_MLC = {"mlp.gate_up_proj": ["ffn_gate", "ffn_up"], "mlp.down_proj": ["ffn_down"]}
HEADS = {"self_attn.q_norm": ["attn_q_norm"], "self_attn.k_norm": ["attn_k_norm"]}
GEMMA = {"input_layernorm": ["attn_norm"], "post_attention_layernorm": ["post_attention_norm"],
         "pre_feedforward_layernorm": ["ffn_norm"], "post_feedforward_layernorm": ["post_ffw_norm"]}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
LAYER = "model.layers.{}."
GPT2 = {"ln_1": ["attn_norm"], "attn.c_attn": ["attn_qkv"], "attn.c_proj": ["attn_output"], "ln_2": ["ffn_norm"],
        "mlp.c_fc": ["ffn_up"], "mlp.c_proj": ["ffn_down"]}
GPT2_WHOLE = {"transformer.wte": "token_embd", "transformer.wpe": "position_embd", "transformer.ln_f": "output_norm",
              "lm_head": "output"}
HF = {
    "llama": (LAYER, {**NORMS, **APART, **GATED}, WHOLE),
    "phi3": (LAYER, {**NORMS, "self_attn.qkv_proj": ["attn_qkv"], "self_attn.o_proj": ["attn_output"],
                     "mlp.gate_up_proj": ["ffn_up"], "mlp.down_proj": ["ffn_down"]}, WHOLE),
    "qwen2": (LAYER, {**NORMS, **APART, **GATED}, WHOLE),
    "qwen3": (LAYER, {**NORMS, **APART, **HEADS, **GATED}, WHOLE),
    "gpt2": ("transformer.h.{}.", GPT2, GPT2_WHOLE),
    "gemma2": (LAYER, {**GEMMA, **APART, **GATED}, WHOLE),
    "gemma3": (LAYER, {**GEMMA, **APART, **HEADS, **GATED}, WHOLE),
}
FUSED = {"self_attn.c_attn": QKV, "self_attn.o_proj": ["attn_output"]}
MLC = {
    "llama": (LAYER, {**NORMS, "self_attn.qkv_proj": QKV, "self_attn.o_proj": ["attn_output"], **GATED_MLC}, WHOLE),
    "phi3": ("transformer.h.{}.", {
        "ln": ["attn_norm"], "mixer.qkv_proj": ["attn_qkv"], "mixer.out_proj": ["attn_output"],
        "post_attention_layernorm": ["ffn_norm"], "mlp.gate_up_proj": ["ffn_up"], "mlp.down_proj": ["ffn_down"]},
             {"transformer.embd": "token_embd", "transformer.norm": "output_norm", "lm_head": "output"}),
    "qwen2": (LAYER, {**NORMS, **FUSED, **GATED_MLC}, WHOLE),
    "qwen3": (LAYER, {**NORMS, **FUSED, **HEADS, **GATED_MLC}, WHOLE),
    "gpt2": ("transformer.h.{}.", GPT2, GPT2_WHOLE),
    "gemma2": (LAYER, {**GEMMA, "self_attn.qkv_proj": QKV, "self_attn.o_proj": ["attn_output"], **GATED_MLC}, WHOLE),
    "gemma3": ("language_model." + LAYER, {**GEMMA, **APART, **HEADS, **GATED_MLC},
               {"language_model." + name: tensor for name, tensor in WHOLE.items()}),
}


def arch_of(g):
    return g.values["general.architecture"]


def parts_of(g, table):
    """(name of an array, the tensors whose rows it has) for all arrays of a family's table."""
    prefix, layer, whole = table[arch_of(g)]
    rows = [(name, [tensor]) for name, tensor in whole.items()]
    for i in range(g.values[f"{arch_of(g)}.block_count"]):
        rows += [(prefix.format(i) + name, [f"blk.{i}.{t}" for t in tensors]) for name, tensors in layer.items()]
    for name, tensors in rows:
        for suffix in (".weight", ".bias"):
            if tensors[0] + suffix in g.tensors:
                yield name + suffix, [t + suffix for t in tensors]


def to_halves(rows, head_dim):
    """Rows whose RoPE pairs are neighbours, in the order in which the pairs are halves of a head."""
    out = []
    for h in range(0, len(rows), head_dim):
        head = rows[h:h + head_dim]
        out += head[0::2] + head[1::2]
    return out


def file_rows(g, name):
    """A tensor's rows as a folder has them."""
    rows = g.rows(name)
    if arch_of(g) == "llama" and (".attn_q." in name or ".attn_k." in name):
        rows = to_halves(rows, g.head_dim) if len(g.tensors[name][0]) > 1 else [b"".join(
            to_halves([rows[0][i:i + 4] for i in range(0, len(rows[0]), 4)], g.head_dim))]
    return rows


def gpt2_config(g, get):
    return {"model_type": "gpt2", "n_embd": get("embedding_length"), "n_inner": get("feed_forward_length"),
            "n_layer": get("block_count"), "n_head": get("attention.head_count"), "n_positions": get("context_length"),
            "vocab_size": len(g.values["tokenizer.ggml.tokens"]), "activation_function": "gelu_new",
            "layer_norm_epsilon": get("attention.layer_norm_epsilon"), "tie_word_embeddings": "output.weight" not in g.tensors}


def factors_of(g, name):
    return [v for v, in struct.iter_unpack("<f", g.rows(name)[0])]


def scaling_of(g, get):
    """As config.json says what the GGUF has in values and tensors; None: nothing."""
    if "rope_factors_long.weight" in g.tensors:
        return {"type": "longrope", "long_factor": factors_of(g, "rope_factors_long.weight"), "attention_factor":
                get("rope.scaling.attn_factor"), "short_factor": factors_of(g, "rope_factors_short.weight"),
                "original_max_position_embeddings": get("rope.scaling.original_context_length")}
    if "rope_freqs.weight" in g.tensors:  # tests/checkpoints.c
        return {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                "original_max_position_embeddings": 64}
    if get("rope.scaling.type") == "yarn":
        return {"type": "yarn", "factor": get("rope.scaling.factor"), "beta_fast": get("rope.scaling.yarn_beta_fast"),
                "beta_slow": get("rope.scaling.yarn_beta_slow"),
                "original_max_position_embeddings": get("rope.scaling.original_context_length")}
    return {"rope_type": "linear", "factor": get("rope.scaling.factor")} if get("rope.scaling.factor") else None


def config_of(g):
    arch = arch_of(g)
    get = lambda key, missing=None: g.values.get(f"{arch}.{key}", missing)
    if arch == "gpt2":
        return gpt2_config(g, get)
    config = {"model_type": {"gemma3": "gemma3_text"}.get(arch, arch), "hidden_size": get("embedding_length"),
              "intermediate_size": get("feed_forward_length"),
              "num_hidden_layers": get("block_count"), "num_attention_heads": get("attention.head_count"),
              "num_key_value_heads": get("attention.head_count_kv"), "head_dim": g.head_dim,
              "max_position_embeddings": get("context_length"), "vocab_size": len(g.values["tokenizer.ggml.tokens"]),
              "rms_norm_eps": get("attention.layer_norm_rms_epsilon"), "rope_theta": get("rope.freq_base"),
              "hidden_act": "silu", "tie_word_embeddings": "output.weight" not in g.tensors}
    if scaling_of(g, get):
        config["rope_scaling"] = scaling_of(g, get)
    if get("attention.sliding_window"):
        config["sliding_window"] = get("attention.sliding_window")
    if arch.startswith("gemma"):
        del config["hidden_act"]
        config.update({"hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": g.head_dim})
    if arch == "gemma3":
        config.update({"rope_local_base_freq": 10000.0, "sliding_window_pattern": get("attention.sliding_window_pattern")})
    return config


def write_json(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file)


def write_tokenizer(g, folder):
    tokens, kinds = g.values["tokenizer.ggml.tokens"], g.values["tokenizer.ggml.token_type"]
    added = [{"id": i, "content": t, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
              "normalized": False} for i, t in enumerate(tokens) if kinds[i] == 3]
    write_json(folder, "tokenizer.json", {
        "version": "1.0", "added_tokens": added, "normalizer": None, "post_processor": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}]},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "vocab": {t: i for i, t in enumerate(tokens) if kinds[i] != 3},
                  "merges": g.values["tokenizer.ggml.merges"]}})
    write_json(folder, "tokenizer_config.json", {
        "bos_token": tokens[g.values["tokenizer.ggml.bos_token_id"]],
        "eos_token": {"content": tokens[g.values["tokenizer.ggml.eos_token_id"]]},
        "chat_template": g.values.get("tokenizer.chat_template", "")})


def write_safetensors(path, arrays):
    head, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (kind, shape, raw) in arrays.items():
        head[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def turned(rows, size):
    return [b"".join(row[at:at + size] for row in rows) for at in range(0, len(rows[0]), size)]


def less_1(row):
    return b"".join(struct.pack("<f", v - 1) for v, in struct.iter_unpack("<f", row))


def hf_arrays(g):
    out = {}
    for name, (tensor,) in parts_of(g, HF):
        dims, kind, _, _ = g.tensors[tensor]
        rows, shape = file_rows(g, tensor), dims[::-1]
        if arch_of(g) == "gpt2" and len(dims) == 2 and ".h." in name:
            rows, shape = turned(rows, BLOCK[kind][1]), dims
        if arch_of(g).startswith("gemma") and "norm" in name:
            rows = [less_1(rows[0])]
        out[name] = ({0: "F32", 1: "F16", 30: "BF16"}[kind], shape, b"".join(rows))
    return out


def fused_arrays(g):
    """The llama's numbers as a phi3 has them."""
    whole, out = hf_arrays(g), {}
    parts = {"self_attn.q_proj": "self_attn.qkv_proj", "self_attn.k_proj": "self_attn.qkv_proj",
             "self_attn.v_proj": "self_attn.qkv_proj", "mlp.gate_proj": "mlp.gate_up_proj",
             "mlp.up_proj": "mlp.gate_up_proj"}
    order = ["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj"]
    for name in sorted(whole, key=lambda n: [i for i, o in enumerate(order) if o in n] or [9]):
        kind, shape, raw = whole[name]
        stem = next((part for part in parts if part in name), None)
        key = name.replace(stem, parts[stem]) if stem else name
        before = out.get(key, (kind, [0, *shape[1:]], b""))
        out[key] = (kind, [before[1][0] + shape[0], *shape[1:]], before[2] + raw)
    return out


def write_hf(g, folder, n_shard=1):
    write_json(folder, "config.json", config_of(g))
    write_tokenizer(g, folder)
    arrays = list(hf_arrays(g).items())
    if n_shard == 1:
        write_safetensors(os.path.join(folder, "model.safetensors"), dict(arrays))
        return
    where = {}
    for s in range(n_shard):
        name = f"model-{s + 1:05}-of-{n_shard:05}.safetensors"
        write_safetensors(os.path.join(folder, name), dict(arrays[s::n_shard]))
        where.update({key: name for key, _ in arrays[s::n_shard]})
    write_json(folder, "model.safetensors.index.json", {"metadata": {}, "weight_map": where})


def mlc_pair(rows):
    """Rows of Q4_0 blocks as MLC has them: words of eight nibbles q + 7, least first, and scales."""
    words, scales = b"", b""
    for row in rows:
        for at in range(0, len(row), 18):
            scales += row[at:at + 2]
            q = [b & 15 for b in row[at + 2:at + 18]] + [b >> 4 for b in row[at + 2:at + 18]]
            for w in range(0, 32, 8):
                words += struct.pack("<I", sum((q[w + i] - 1) << 4 * i for i in range(8)))
    return words, scales


def widen(scales):
    """f16 to the two upper bytes of f32: exact for the scales of this test, which set_scales saw to."""
    return b"".join(struct.pack("<f", v[0])[2:] for v in struct.iter_unpack("<e", scales))


def spare_the_lowest(g, short_scales):
    """MLC's quants are -7..7: -8 becomes -7. short_scales: scales of 8 bits, which a bf16 holds."""
    for name, (_, kind, at, n) in g.tensors.items():
        for block in range(at, at + n, 18) if kind == 2 else []:
            for i in range(block + 2, block + 18):
                b = g.bytes[i]
                g.bytes[i] = max(b & 15, 1) | max(b >> 4, 1) << 4
            if short_scales:
                g.bytes[block] &= 0xf8


def mlc_config(g, wide):
    config = config_of(g)
    kind = config.pop("model_type")
    context = config.pop("n_positions" if kind == "gpt2" else "max_position_embeddings")
    config["context_window_size"] = context
    for ours, theirs in (("rope_theta", "position_embedding_base"), ("sliding_window", "sliding_window_size")):
        if kind.startswith("gemma3") and ours in config:
            config[theirs] = config.pop(ours)
    if kind.startswith("gemma3"):  # as part of what also sees; what the class has no field for is in kwargs
        config["kwargs"] = {key: config.pop(key) for key in ("sliding_window_pattern", "rope_local_base_freq")}
        config = {"text_config": config, "vocab_size": config.pop("vocab_size"), "context_window_size": -1}
        kind = "gemma3"
    return {"version": "0.1.0", "model_type": kind, "quantization": "q4f32_1" if wide else "q4f16_1",
            "model_config": config, "context_window_size": context}


def mlc_arrays(g, wide):
    """(name, kind, shape, format, bytes). Norms and biases as they are, matrices as words and scales."""
    for name, tensors in parts_of(g, MLC):
        rows = [row for tensor in tensors for row in file_rows(g, tensor)]
        dims, kind, _, _ = g.tensors[tensors[0]]
        if kind == 0:
            raw = b"".join(rows)
            yield name, "float32", [len(raw) // 4], "raw", raw
            continue
        words, scales = mlc_pair(rows)
        stem = name[:-len(".weight")]
        yield stem + ".q_weight", "uint32", [len(rows), dims[0] // 8], "raw", words
        if wide:  # kept as bf16, as MLC keeps floats
            yield stem + ".q_scale", "float32", [len(rows), dims[0] // 32], "f32-to-bf16", widen(scales)
        else:
            yield stem + ".q_scale", "float16", [len(rows), dims[0] // 32], "raw", scales


def write_mlc(g, folder, wide, cache="ndarray-cache.json"):
    write_json(folder, "mlc-chat-config.json", mlc_config(g, wide))
    write_tokenizer(g, folder)
    arrays = list(mlc_arrays(g, wide))
    shards = []
    for first in range(0, len(arrays), 9):
        data, records = b"", []
        for name, kind, shape, form, raw in arrays[first:first + 9]:
            records.append({"name": name, "shape": shape, "dtype": kind, "format": form, "nbytes": len(raw),
                            "byteOffset": len(data)})
            data += raw
        path = f"params_shard_{len(shards)}.bin"
        with open(os.path.join(folder, path), "wb") as file:
            file.write(data)
        shards.append({"dataPath": path, "format": "raw-shard", "nbytes": len(data), "records": records})
    write_json(folder, cache, {"metadata": {}, "records": shards})


def main():
    kind, path, folder = sys.argv[1:]
    g = Gguf(path)
    os.mkdir(folder)
    if kind == "hf":
        return write_hf(g, folder, 2)
    spare_the_lowest(g, False)
    with open(path, "wb") as file:
        file.write(g.bytes)
    return write_mlc(g, folder, False)


if __name__ == "__main__":
    main()
