#!/usr/bin/env python3
"""Real vocabularies as GGUFs that hold a tokenizer and nothing else, for tests.

    python3 tools/tokenizer_gguf.py FROM TO [NAME...]

FROM holds what tools/setup.sh test fetches (.deps/tokenizers): llama3.json, qwen2.json, gemma2.json,
llama2.json (tokenizer.json files), gpt2_vocab.json and gpt2_merges.txt, mistral_v3.model
(SentencePiece), tekken.json. Written into TO, where missing or older than their source: NAME.gguf of
each, phi3.gguf and phi3.json (Llama 2's vocabulary and Phi-3's added tokens). A source that is
missing is left out. Only the standard library is used; keys and their meaning are GGUF's."""
import base64
import json
import os
import struct
import sys

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
SPACE = "\u2581"


# ---- GGUF ------------------------------------------------------------------------------------------
def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<Q", len(data)) + data


def typed(value):
    """A value with its type number."""
    if isinstance(value, bool):
        return struct.pack("<IB", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + string(value)
    kind, items = value
    body = {8: lambda: b"".join(map(string, items)),
            6: lambda: struct.pack(f"<{len(items)}f", *items),
            5: lambda: struct.pack(f"<{len(items)}i", *items)}[kind]()
    return struct.pack("<IIQ", 9, kind, len(items)) + body


def write_gguf(path, pairs):
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs))
    data += b"".join(string(key) + typed(value) for key, value in pairs.items())
    with open(path + ".tmp", "wb") as f:
        f.write(data + b"\0" * (-len(data) % 32))
    os.replace(path + ".tmp", path)


def tokenizer(model, tokens, types, name="", **more):
    pairs = {"general.architecture": "llama", "general.name": name or "a tokenizer", "tokenizer.ggml.model": model,
             "tokenizer.ggml.tokens": (8, tokens), "tokenizer.ggml.token_type": (5, types)}
    pairs.update({f"tokenizer.ggml.{key}": value for key, value in more.items()})
    return pairs


# ---- tokenizer.json --------------------------------------------------------------------------------
def read_json(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def tokens_of(root, byte_pieces):
    """Texts and types by id; ids that nothing has are unused."""
    vocab, added = root["model"]["vocab"], {t["id"]: t for t in root["added_tokens"]}
    n = max([*vocab.values(), *added]) + 1
    tokens = [f"[unused {i}]" for i in range(n)]
    types = [UNUSED] * n
    for text, i in vocab.items():
        tokens[i] = text
        types[i] = BYTE if byte_pieces and len(text) == 6 and text.startswith("<0x") else NORMAL
    for i, t in added.items():
        tokens[i] = t["content"]
        types[i] = CONTROL if t["special"] else USER_DEFINED
    unknown = root["model"].get("unk_token")
    if unknown is not None:
        types[vocab[unknown]] = UNKNOWN
    return tokens, types


def from_bpe(root, pre, **more):
    tokens, types = tokens_of(root, False)
    merges = [m if isinstance(m, str) else " ".join(m) for m in root["model"]["merges"]]
    return tokenizer("gpt2", tokens, types, pre=pre, merges=(8, merges), **more)


def from_sentencepiece_json(root, add_space_prefix, name=""):
    """Scores are the order in which merges make a piece; what no merge makes has none worse."""
    tokens, types = tokens_of(root, True)
    score = {}
    for m in root["model"]["merges"]:
        left, right = m.split(" ") if isinstance(m, str) else m
        score.setdefault(left + right, -float(len(score)))
    if "<0x09>" not in tokens:  # Gemma's tokenizer.json spells this one byte token as the tab itself
        types[tokens.index("\t")] = BYTE
        tokens[tokens.index("\t")] = "<0x09>"
    scores = [score.get(t, -1e9) for t in tokens]
    ids = root["model"]["vocab"]
    bos = ids.get("<bos>", ids.get("<s>"))
    return tokenizer("llama", tokens, types, name, scores=(6, scores), add_space_prefix=add_space_prefix,
                     bos_token_id=bos, unknown_token_id=ids["<unk>"])


PHI3_ADDED = ["<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|placeholder2|>", "<|placeholder3|>",
              "<|placeholder4|>", "<|system|>", "<|end|>", "<|placeholder5|>", "<|placeholder6|>", "<|user|>"]


def phi3(llama2):
    """Each added token but the first takes white space to its right away, and so does </s>."""
    for t in llama2["added_tokens"]:
        t["rstrip"] = t["content"] == "</s>"
    llama2["added_tokens"] += [
        {"id": 32000 + i, "content": text, "single_word": False, "lstrip": False, "rstrip": i > 0, "normalized": False,
         "special": True} for i, text in enumerate(PHI3_ADDED)]
    return llama2


# ---- other files -----------------------------------------------------------------------------------
def from_gpt2(vocab_path, merges_path):
    with open(merges_path, encoding="utf-8") as f:
        merges = [line for line in f.read().split("\n")[1:] if line]
    root = {"model": {"vocab": read_json(vocab_path), "merges": merges}, "added_tokens": []}
    end = root["model"]["vocab"]["<|endoftext|>"]
    root["added_tokens"].append({"id": end, "content": "<|endoftext|>", "special": True})
    return from_bpe(root, "gpt-2")


def read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """(number, value) of a protocol buffer message: bytes for lengths and 4 or 8 bytes, else int."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        size = {1: 8, 5: 4}.get(tag & 7)
        if tag & 7 == 0:
            value, at = read_varint(data, at)
        else:
            if size is None:
                size, at = read_varint(data, at)
            value = data[at:at + size]
            at += size
        yield tag >> 3, value


def from_sentencepiece(path):
    with open(path, "rb") as f:
        data = f.read()
    tokens, scores, types = [], [], []
    add_space_prefix = True
    for number, value in fields(data):
        if number == 1:  # a piece: text, score, type
            piece = {1: b"", 2: b"\0\0\0\0", 3: NORMAL}
            piece.update(dict(fields(value)))
            tokens.append(piece[1])
            scores.append(struct.unpack("<f", piece[2])[0])
            types.append(piece[3])
        if number == 3:  # the normalizer
            add_space_prefix = bool(dict(fields(value)).get(3, 1))
    return tokenizer("llama", tokens, types, scores=(6, scores), add_space_prefix=add_space_prefix,
                     bos_token_id=tokens.index(b"<s>"), unknown_token_id=types.index(UNKNOWN))


def byte_alphabet():
    itself = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in itself else chr(next(others)) for b in range(256)]


def parts_of(ranks, token):
    """What a token is before its own merge: bytes merged by rank while that is below its own."""
    parts = [token[i:i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pairs = [(ranks.get(parts[i] + parts[i + 1], 1 << 30), i) for i in range(len(parts) - 1)]
        rank, i = min(pairs)
        if rank >= ranks[token]:
            break
        parts[i:i + 2] = [parts[i] + parts[i + 1]]
    return parts


def from_tekken(path):
    root = read_json(path)
    n_special = root["config"]["default_num_special_tokens"]
    n = root["config"]["default_vocab_size"] - n_special
    by_rank = [base64.b64decode(t["token_bytes"]) for t in root["vocab"][:n]]
    ranks = {token: rank for rank, token in enumerate(by_rank)}
    alphabet = byte_alphabet()

    def spell(token): return "".join(alphabet[b] for b in token)
    special = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    tokens = special + [f"<SPECIAL_{i}>" for i in range(len(special), n_special)] + [spell(t) for t in by_rank]
    merges = []
    for token in by_rank:
        parts = parts_of(ranks, token) if len(token) > 1 else []
        if len(parts) == 2:
            merges.append(" ".join(map(spell, parts)))
    return tokenizer("gpt2", tokens, [CONTROL] * n_special + [NORMAL] * n, pre="tekken", merges=(8, merges),
                     bos_token_id=1, eos_token_id=2, add_bos_token=True)


# ---- all -------------------------------------------------------------------------------------------
def makers(source):
    def at(name): return os.path.join(source, name)
    def phi3_json(): return phi3(read_json(at("llama2.json")))
    return {
        "llama3": (["llama3.json"], lambda: from_bpe(read_json(at("llama3.json")), "llama-bpe", bos_token_id=128000)),
        "qwen2": (["qwen2.json"], lambda: from_bpe(read_json(at("qwen2.json")), "qwen2")),
        "gpt2": (["gpt2_vocab.json", "gpt2_merges.txt"], lambda: from_gpt2(at("gpt2_vocab.json"), at("gpt2_merges.txt"))),
        "gemma2": (["gemma2.json"], lambda: from_sentencepiece_json(read_json(at("gemma2.json")), False)),
        "llama2": (["llama2.json"], lambda: from_sentencepiece_json(read_json(at("llama2.json")), True)),
        "phi3": (["llama2.json"], lambda: from_sentencepiece_json(phi3_json(), True, "Phi-3")),
        "mistral_v3": (["mistral_v3.model"], lambda: from_sentencepiece(at("mistral_v3.model"))),
        "tekken": (["tekken.json"], lambda: from_tekken(at("tekken.json"))),
    }


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    source, to, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    os.makedirs(to, exist_ok=True)
    for name, (inputs, make) in makers(source).items():
        inputs = [os.path.join(source, i) for i in inputs]
        path = os.path.join(to, name + ".gguf")
        if (names and name not in names) or not all(map(os.path.exists, inputs)):
            continue
        newest = max(map(os.path.getmtime, [*inputs, __file__]))
        if os.path.exists(path) and os.path.getmtime(path) >= newest:
            continue
        write_gguf(path, make())
        if name == "phi3":
            with open(os.path.join(to, "phi3.json"), "w", encoding="utf-8") as f:
                json.dump(phi3(read_json(inputs[0])), f)


if __name__ == "__main__":
    main()
