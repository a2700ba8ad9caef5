#!/usr/bin/env python3
"""Makes what tests/test_tokenizer_real.c compares with: ids of real vocabularies by their reference
implementations.

    python3 tools/tokenizer_real_vectors.py FROM TO

FROM and TO as tools/tokenizer_gguf.py has them. Needs PyPI tokenizers, sentencepiece and tiktoken.
Writes into tests/vectors/real/:

    texts.txt    a text a line, \\xNN for all but plain ASCII, "-" for the empty one
    NAME.txt     a line for each of them, where special tokens are spelt out and where they are parsed:
                 IDS IDS, or "=" where both are the same. Of invented texts only "#COUNT:HASH".
"""
import base64
import json
import os
import sys

import sentencepiece
import tiktoken
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tokenizer_gguf
from tokenizer_vectors import ROOT, TEXTS, escape, fnv, fuzz_texts, join_ids

MORE = [
    "e\u0301a\u0323\u0308 \u1e69 s\u0323\u0307 s\u0307\u0323 \u212b \u2126 \uac00 \u1100\u1161\u11a8 \u0344 \u0958 \U0001d15e",
    "a\u0315\u0300\u05ae\u0300b \u0cc6\u0cc2\u0cd5 \u0b47\u0b56\u0b3e \u1100\u0300\u1161 \uf900 \u0374",
    "it'\u017f it'S 'LL 'Ve \u212aelvin don\u2019t we'd've y'all'd",
    "a.b.c//d\r\n\r\ne/f\n/\n g!\n\n!  \n  h\t\n i \r\n\r\n j",
    "HTTPServer parseJSONFile iPhone XMLHttpRequest McDonald ABCdef \u01c5abc \u01c5\u01c6 \u02b0x \u4e2dA\u4e2da A\u0301B a\u0301B",
    "12345678901 1234 12 1,234.5678 0x1F4 \u0661\u0662\u0663\u0664\u0665 \u00bd\u00be\u00b2\u00b3\u00b9 1\u20442 \u2167\u2168 x2y33z444",
    "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>", "<|user|>  \n Hi<|end|>\n<|assistant|>\n",
    "[INST] Hi [/INST] Hello</s>[INST]x[/INST]", "<start_of_turn>user\nHi<end_of_turn>\n<start_of_turn>model\n",
    "<bos>a<eos> <pad> <unused7> <mask>", "<think>\n\n</think>\n\n<tool_call>\n{}\n</tool_call>",
    "</h1><h2>x</h2><table><td>1</td></table>", "\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
    " " * 33 + "x" + " " * 16 + "y" + " " * 5, "\t\t\t\t\t\t\tx", "  \n   \n", "\u2581\u2581 \u2581a \u2581\u2581\u2581\u2581",
    "\u0000\u0001\u0002\u001b[31m\u007f\u0080\u009f\u00ad\u200b\u200e\u202e\u2066\ufeff\ufffd\ufffe",
    "for (int i=0;i<n;i++){a[i]=b[i]*2.5e-3f;}//done\n\t\t/* x */\n", "SELECT * FROM t WHERE a>=10 AND b<>'it''s';",
    "\u05d0\u05b0\u05dc\u05b9\u05d4\u05b4\u05d9\u05dd \u0627\u0644\u0633\u0651\u064e\u0644\u0627\u0645\u064f \u0628\u0650\u0633\u0652\u0645",
]


def by_tokenizers(tok):
    def encode(text, special):
        tok.encode_special_tokens = not special
        return tok.encode(text, add_special_tokens=False).ids
    return encode


def by_gpt2(vocab, merges):
    tok = Tokenizer(models.BPE.from_file(vocab, merges))
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.add_special_tokens(["<|endoftext|>"])
    return by_tokenizers(tok)


def by_sentencepiece(path):
    sp = sentencepiece.SentencePieceProcessor(model_file=path)
    control = [sp.id_to_piece(i) for i in range(sp.get_piece_size()) if sp.is_control(i) or sp.is_unknown(i)]

    def encode(text, special):
        at = min(((text.find(c), -len(c), c) for c in control if c in text), default=None) if special else None
        if not at:
            return sp.encode(text)
        return sp.encode(text[:at[0]]) + [sp.piece_to_id(at[2])] + encode(text[at[0] - at[1]:], True)
    return encode


def by_tiktoken(path):
    with open(path, encoding="utf-8") as f:
        root = json.load(f)
    n_special = root["config"]["default_num_special_tokens"]
    n = root["config"]["default_vocab_size"] - n_special
    ranks = {base64.b64decode(t["token_bytes"]): t["rank"] for t in root["vocab"][:n]}
    names = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]"]
    enc = tiktoken.Encoding("tekken", pat_str=root["config"]["pattern"], mergeable_ranks=ranks,
                            special_tokens={name: 10 ** 6 + i for i, name in enumerate(names)})

    def encode(text, special):
        ids = enc.encode(text, allowed_special="all" if special else set(), disallowed_special=())
        return [i - 10 ** 6 if i >= 10 ** 6 else i + n_special for i in ids]
    return encode


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    def at(name): return os.path.join(sys.argv[1], name)
    tokenizer_gguf.main()
    references = {name: by_tokenizers(Tokenizer.from_file(at(name + ".json")))
                  for name in ("llama3", "qwen2", "gemma2", "llama2")}
    references["phi3"] = by_tokenizers(Tokenizer.from_file(os.path.join(sys.argv[2], "phi3.json")))
    references["gpt2"] = by_gpt2(at("gpt2_vocab.json"), at("gpt2_merges.txt"))
    references["mistral_v3"] = by_sentencepiece(at("mistral_v3.model"))
    references["tekken"] = by_tiktoken(at("tekken.json"))
    known = TEXTS + MORE
    texts = known + fuzz_texts(11, 200)
    folder = os.path.join(ROOT, "tests", "vectors", "real")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "texts.txt"), "w", encoding="ascii") as f:
        f.write("".join(escape(t) + "\n" for t in texts))
    for name, encode in references.items():
        with open(os.path.join(folder, name + ".txt"), "w", encoding="ascii") as f:
            for i, text in enumerate(texts):
                plain, special = encode(text, False), encode(text, True)
                show = join_ids if i < len(known) else lambda ids: f"#{len(ids)}:{fnv(ids):08x}"
                f.write(f"{show(plain)} {'=' if plain == special else show(special)}\n")
        print(name, len(texts))


main()
