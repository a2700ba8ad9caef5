#!/usr/bin/env python3
"""folders.py hf|mlc FILE.gguf FOLDER: the numbers of a small GGUF written as Hugging Face or MLC have them, by code of this
file alone. mlc makes the file's quants those that MLC can say, first."""
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


NAMES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
         "attn_qkv": "self_attn.qkv_proj"}


def hf_name(name, fused_up):
    parts = name.split(".")
    if parts[0] != "blk":
        return {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}[parts[0]] + ".weight"
    stem = "mlp.gate_up_proj" if fused_up and parts[2] == "ffn_up" else NAMES[parts[2]]
    return f"model.layers.{parts[1]}.{stem}.weight"


def to_halves(rows, head_dim):
    """Rows whose RoPE pairs are neighbours, in the order in which the pairs are halves of a head."""
    out = []
    for h in range(0, len(rows), head_dim):
        head = rows[h:h + head_dim]
        out += head[0::2] + head[1::2]
    return out


def hf_rows(g, name):
    rows = g.rows(name)
    arch = g.values["general.architecture"]
    if arch == "llama" and (".attn_q." in name or ".attn_k." in name):
        rows = to_halves(rows, g.head_dim)
    return rows


def config_of(g):
    arch = g.values["general.architecture"]
    get = lambda key, missing=None: g.values.get(f"{arch}.{key}", missing)
    config = {"model_type": arch, "hidden_size": get("embedding_length"), "intermediate_size": get("feed_forward_length"),
              "num_hidden_layers": get("block_count"), "num_attention_heads": get("attention.head_count"),
              "num_key_value_heads": get("attention.head_count_kv"), "head_dim": g.head_dim,
              "max_position_embeddings": get("context_length"), "vocab_size": len(g.values["tokenizer.ggml.tokens"]),
              "rms_norm_eps": get("attention.layer_norm_rms_epsilon"), "rope_theta": get("rope.freq_base"),
              "hidden_act": "silu", "tie_word_embeddings": "output.weight" not in g.tensors}
    if get("attention.sliding_window"):
        config["sliding_window"] = get("attention.sliding_window")
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


def hf_arrays(g):
    out = {}
    for name, (dims, kind, _, _) in g.tensors.items():
        fused = g.values["general.architecture"] == "phi3"
        out[hf_name(name, fused)] = ({0: "F32", 1: "F16", 30: "BF16"}[kind], dims[::-1], b"".join(hf_rows(g, name)))
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


def write_mlc(g, folder, wide, cache="ndarray-cache.json"):
    config = config_of(g)
    context = config.pop("max_position_embeddings")
    kind = config.pop("model_type")
    config["context_window_size"] = context
    write_json(folder, "mlc-chat-config.json", {"version": "0.1.0", "model_type": kind, "quantization":
               "q4f32_1" if wide else "q4f16_1", "model_config": config, "context_window_size": context})
    write_tokenizer(g, folder)
    arrays = []
    for layer in range(config["num_hidden_layers"]):  # as MLC's llama fuses them
        b = f"blk.{layer}."
        fused = {"self_attn.qkv_proj": ["attn_q", "attn_k", "attn_v"], "mlp.gate_up_proj": ["ffn_gate", "ffn_up"],
                 "self_attn.o_proj": ["attn_output"], "mlp.down_proj": ["ffn_down"]}
        for stem, parts in fused.items():
            rows = [row for part in parts for row in hf_rows(g, f"{b}{part}.weight")]
            arrays.append((f"model.layers.{layer}.{stem}", mlc_pair(rows), len(rows), g.tensors[f"{b}{parts[0]}.weight"][0][0]))
        for norm in ("attn_norm", "ffn_norm"):
            arrays.append((f"model.layers.{layer}.{NAMES[norm]}.weight", g.rows(f"{b}{norm}.weight")[0]))
    rows = g.rows("token_embd.weight")
    arrays.append(("model.embed_tokens", mlc_pair(rows), len(rows), config["hidden_size"]))
    arrays.append(("model.norm.weight", g.rows("output_norm.weight")[0]))
    shards, data, records = [], b"", []

    def put(name, kind, shape, raw, form="raw"):
        nonlocal data
        records.append({"name": name, "shape": shape, "dtype": kind, "format": form, "nbytes": len(raw),
                        "byteOffset": len(data)})
        data += raw

    for i, array in enumerate(arrays):
        if len(array) == 2:
            put(array[0], "float32", [len(array[1]) // 4], array[1])
        else:
            name, (words, scales), n, cols = array
            put(name + ".q_weight", "uint32", [n, cols // 8], words)
            if wide:  # kept as bf16, as MLC keeps floats
                put(name + ".q_scale", "float32", [n, cols // 32], widen(scales), "f32-to-bf16")
            else:
                put(name + ".q_scale", "float16", [n, cols // 32], scales)
        if i % 5 == 4 or i + 1 == len(arrays):
            path = f"params_shard_{len(shards)}.bin"
            with open(os.path.join(folder, path), "wb") as file:
                file.write(data)
            shards.append({"dataPath": path, "format": "raw-shard", "nbytes": len(data), "records": records})
            data, records = b"", []
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
