#!/usr/bin/env python3
"""Makes what tests/test_tokenizer.c compares with: ids by reference implementations.

    python3 tools/tokenizer_vectors.py SMOLLM2.gguf [--llama-cpp FOLDER]

Needs PyPI gguf, tokenizers and sentencepiece. Writes into tests/:

    vectors/tokenizer_smollm2.txt    the real vocabulary, ids by `tokenizers`
    data/tokenizer_gpt2.gguf         a small byte-level BPE vocabulary, and vectors/tokenizer_gpt2.txt
    data/tokenizer_spm*.gguf         small SentencePiece BPE vocabularies (byte fallback; with unused
                                     pieces; with no byte pieces), and vectors/tokenizer_spm*.txt

FOLDER holds node_modules with npm node-llama-cpp: its ids are then compared as well, and the first five
texts on which the two references differ are printed (known: llama.cpp does not find user-defined
pieces with U+2581 in spaces, and puts a space around user-defined pieces). Lines of a vectors file, text with \\xNN for all but
plain ASCII:

    plain TEXT IDS       ids without special tokens being parsed
    special TEXT IDS     ids with them
    repeat TEXT N COUNT HASH   TEXT N times over: how many ids, and FNV-1a of them
    decode IDS TEXT      the text without special tokens, U+FFFD for what is not UTF-8
"""
import io
import json
import os
import random
import subprocess
import sys

import gguf
import sentencepiece
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from tokenizer_gguf import read_varint

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

TEXTS = [
    "", " ", "  ", "a", "Hello, world!", " Hello", "Hello ", "  two  spaces   three ",
    "Voilà: l'été à Besançon, où naïveté et cœur règnent; Größe, Ærø, Łódź, İstanbul, ñandú.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Ёлка!",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Ὦ ἄνδρες Ἀθηναῖοι",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر ١٢٣",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה שָׁלוֹם",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का १२३ क्षत्रिय",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า ๑๒๓",
    "我能吞下玻璃而不伤身体。二〇二四年，第１２号！𠀀𠮷",
    "いろはにほへと ちりぬるを 私はガラスを食べられます。ｶﾞﾗｽ",
    "다람쥐 헌 쳇바퀴에 타고파 각각 나는 유리를 먹을 수 있어요",
    "def f(x):\n    if x > 0:\n\treturn x**2  # square\n    return [i for i in range(10)]\n\n\n",
    "#include <stdio.h>\nint main(void) {\n  printf(\"%d\\n\", 0x1F & ~7);\n  return 0;\n}\n",
    "👨‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇫🇷🇩🇪 ☕️ 1️⃣ 🤷🏿‍♀️ ❤️‍🔥",
    "e\u0301 n\u0303 a\u0308\u0323 Z\u0351\u036b\u0343 \u0301alone g\u0331",
    "tab\t\ttab \t mixed\t ", "nl\n\nnl\r\n\r\nx\n", "\n", "\n\n", " \n ", "x \n\n  y", "\u00a0a\u00a0\u00a0b",
    "a\u2028b\u2029c\u2028\u2028d", "a\u3000b\u2003\u2002c\u200bd\ufeffe", "a\u0085b\u1680c\u202fd\u205fe",
    "\x1c\x1d\x1e\x1fa\x0b\x0cb\x7f\x01", "trailing\n\n\n", "trailing   ", "   leading", "\t", "a  ", "  a",
    "0 1 22 333 4444 3.14159 1,000,000 2024-11-23 a1b2c3 1 2 3 x1 1x  7",
    "٠١٢٣ ०१२ ๑๒ ४५ ߀߁ 〇一 ½ ¼ ² ³ ⁴ ₅ Ⅷ ⅻ ① ⑳ 𝟘𝟙 ൰ ༳ ㆒ 〡",
    "don't I'm you're we've he'll she'd it's 'tis o'clock rock'n'roll",
    "DON'T I'M YOU'RE WE'VE HE'LL SHE'D IT'S Don'T 's 't '' 'sx 'rev 'l",
    "it\u2019s \u2018quoted\u2019 \u201cdouble\u201d \u2014 \u2026 \u00abx\u00bb",
    "!!!??? ... --- === <<>> $5.00 #tag @user 50% a_b_c C++ a=b+c; x&&y||z",
    "http://example.com/path?q=1&r=%20#frag user@example.org",
    "CamelCaseWord snake_case_word SCREAMING_CASE kebab-case",
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "\u2581escaped\u2581\u2581mark \u2581", "<0x0A> <0xFF> <s> </s> <unk>",
    "<|im_start|>user\nHi<|im_end|>\n<|endoftext|>", "<|im_start|", "<|im_<|im_end|>>",
    "<repo_name>x<reponame> y <file_sep>\n", " <|im_end|> ", "<|im_end|><|im_end|>",
    "<tool>call</tool> <tool><tool>  <tools> <to", "x<tool>", "a<|end|> b<|end|>", "<|end|>",
    "one<big>two <bigger>three<bigge", "a\u0300\u0301\u0302" * 3, "\U0010ffff\U000e0001\ue000\uffff",
    "\u0378\U0003fffd unassigned", "ab" * 30, "=" * 70, " " * 70, "\n" * 20, "word " * 20,
    "The quick brown fox jumps over the lazy dog. THE QUICK BROWN FOX.",
]
BLOCKS = ["abcdefghijklmnopqrstuvwxyz", "ABCXYZ", "0123456789", "     ", "\t\n\r \u00a0\u2003\u3000\u2028",
          "'s't're've'll'm'd", ".,;:!?-_=+()[]{}<>/\\|@#$%^&*~`\"", "éèüßñøæłžİ", "абвгдеёЖЯ", "αβγΩ",
          "١٢٣٤", "٪אבגד", "अआइक्षि", "กขค๑", "中文字一二三", "あいアイ", "한국어", "½²Ⅷ①", "😀👍🏽\u200d\ufe0f",
          "\u0301\u0308", "\u2581"]


def fuzz_texts(seed, n):
    rng = random.Random(seed)
    out = []
    for _ in range(n):
        picks = rng.sample(BLOCKS, rng.randint(1, 5)) + [" "]
        out.append("".join(rng.choice(rng.choice(picks)) for _ in range(rng.randint(1, 40))))
    return out


def escape(text):
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if not data:
        return "-"
    return "".join(chr(b) if 33 <= b < 127 and b != 92 and data != b"-" else f"\\x{b:02x}" for b in data)


def join_ids(ids):
    return ",".join(map(str, ids)) if ids else "-"


def fnv(ids):
    h = 2166136261
    for i in ids:
        for b in i.to_bytes(4, "little"):
            h = (h ^ b) * 16777619 & 0xFFFFFFFF
    return h


def llama_cpp_ids(folder, path, cases):
    """[ids] by llama.cpp, through npm node-llama-cpp."""
    script = """import {getLlama} from "node-llama-cpp"; import fs from "fs";
const llama = await getLlama({gpu: false, build: "never", logLevel: "error"});
const model = await llama.loadModel({modelPath: process.argv[2], vocabOnly: true});
const cases = JSON.parse(fs.readFileSync(process.argv[3]));
fs.writeFileSync(process.argv[4], JSON.stringify(cases.map(c => Array.from(model.tokenize(c[0], c[1])))));
process.exit(0);"""
    names = [os.path.join(folder, n) for n in ("vectors.mjs", "cases.json", "ids.json")]
    with open(names[0], "w") as f:
        f.write(script)
    with open(names[1], "w") as f:
        json.dump(cases, f)
    subprocess.run(["node", names[0], os.path.abspath(path), names[1], names[2]], cwd=folder, check=True)
    with open(names[2]) as f:
        return json.load(f)


def write_vectors(name, gguf_path, encode, decode, texts, random_ids, what, llama_cpp):
    lines = [f"# made by tools/tokenizer_vectors.py: {what}"]
    cases = []
    for text in texts:
        for special in (False, True):
            ids = encode(text, special)
            if special and ids == encode(text, False):
                continue
            cases.append((text, special, ids))
            lines.append(f"{'special' if special else 'plain'} {escape(text)} {join_ids(ids)}")
    for text, n in (("a", 100000), ("ab", 20000), (" ", 5000), ("é", 3000), ("7", 3000), ("\n", 3000)):
        ids = encode(text * n, False)
        lines.append(f"repeat {escape(text)} {n} {len(ids)} {fnv(ids):08x}")
    for ids in [c[2] for c in cases if c[2]] + random_ids:
        lines.append(f"decode {join_ids(ids)} {escape(decode(ids))}")
    path = os.path.join(ROOT, "tests", "vectors", f"tokenizer_{name}.txt")
    with open(path, "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")
    print(f"{path}: {len(lines) - 1} lines")
    if llama_cpp:
        others = llama_cpp_ids(llama_cpp, gguf_path, [[c[0], c[1]] for c in cases])
        n_off = 0
        for (text, special, ids), other in zip(cases, others):
            if ids != other:
                n_off += 1
                if n_off <= 5:
                    print(f"  llama.cpp differs: {text!r} {special}\n    {ids}\n    {other}")
        print(f"  llama.cpp agrees on {len(cases) - n_off} of {len(cases)}")


def byte_level(vocab, merges, types, pre):
    """A `tokenizers` tokenizer as Hugging Face's tokenizer.json for these tables would give it."""
    tok = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tok.pre_tokenizer = pre_tokenizers.Sequence([digits, level]) if pre == "smollm" else level
    tok.decoder = decoders.ByteLevel()
    names = sorted(vocab, key=vocab.get)
    def added(t): return AddedToken(t, normalized=False, special=types[vocab[t]] == CONTROL)
    user = [added(t) for t in names if types[vocab[t]] == USER_DEFINED]
    control = [added(t) for t in names if types[vocab[t]] == CONTROL]
    plain = Tokenizer.from_str(tok.to_str())
    plain.add_tokens(user)
    tok.add_tokens(user)
    tok.add_special_tokens(control)
    def encode(text, special):
        return (tok if special else plain).encode(text, add_special_tokens=False).ids
    return encode, lambda ids: tok.decode(ids, skip_special_tokens=True)


def random_id_lists(seed, ids, n):
    rng = random.Random(seed)
    return [[rng.choice(ids) for _ in range(rng.randint(1, 12))] for _ in range(n)]


def make_smollm2(path, llama_cpp):
    fields = gguf.GGUFReader(path).fields
    def read(key): return fields["tokenizer.ggml." + key].contents()
    tokens, types = read("tokens"), read("token_type")
    merges = [tuple(m.split(" ")) for m in read("merges")]
    encode, decode = byte_level({t: i for i, t in enumerate(tokens)}, merges, types, "smollm")
    write_vectors("smollm2", path, encode, decode, TEXTS + fuzz_texts(1, 200),
                  random_id_lists(2, range(len(tokens)), 60),
                  "SmolLM2's vocabulary from its GGUF, ids by PyPI tokenizers", llama_cpp)


def start_gguf(path, model, tokens, types, **ids):
    w = gguf.GGUFWriter(path, "llama")
    w.add_name("tokenizer fixture")
    for add, value in ((w.add_context_length, 64), (w.add_embedding_length, 32), (w.add_block_count, 1),
                       (w.add_feed_forward_length, 32), (w.add_head_count, 1), (w.add_layer_norm_rms_eps, 1e-5)):
        add(value)
    w.add_tokenizer_model(model)
    w.add_token_list(tokens)
    w.add_token_types(types)
    for key, value in ids.items():
        w.add_uint32(f"tokenizer.ggml.{key}_token_id", value)
    return w


def finish_gguf(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()


def make_gpt2(llama_cpp):
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    user = ["<tool>", "<big>", "<bigger>", "  \n"]
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(TEXTS * 3, trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=alphabet, special_tokens=special + user, show_progress=False))
    state = json.loads(tok.to_str())["model"]
    vocab = state["vocab"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in state["merges"]]
    tokens = sorted(vocab, key=vocab.get)
    types = [CONTROL if t in special else USER_DEFINED if t in user else NORMAL for t in tokens]
    path = os.path.join(ROOT, "tests", "data", "tokenizer_gpt2.gguf")
    w = start_gguf(path, "gpt2", tokens, types, bos=0, eos=0, eot=2)
    w.add_tokenizer_pre("gpt-2")
    w.add_token_merges([" ".join(m) for m in merges])
    w.add_add_bos_token(True)
    finish_gguf(w)
    encode, decode = byte_level(vocab, merges, types, "gpt-2")
    write_vectors("gpt2", path, encode, decode, TEXTS + fuzz_texts(3, 100),
                  random_id_lists(4, range(len(tokens)), 60),
                  "tests/data/tokenizer_gpt2.gguf, ids by PyPI tokenizers", llama_cpp)


def train_spm(**options):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([line for t in TEXTS for line in t.split("\n") if line] * 3), model_writer=out,
        model_type="bpe", normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=True, unk_id=0, bos_id=1, eos_id=2, control_symbols=["<|end|>"],
        user_defined_symbols=["<tool>", "<big>", "<bigger>", "\u2581\u2581\u2581"],
        minloglevel=2, num_threads=1, **options)
    return out.getvalue()


def write_varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def mark_unused(proto, ids):
    """The model with these pieces' type (field 3 of a piece, field 1 of the model) set to UNUSED."""
    out, at, piece = b"", 0, 0
    while at < len(proto):
        start = at
        tag, at = read_varint(proto, at)
        assert tag & 7 == 2, "a field of the model that is no message"
        n, at = read_varint(proto, at)
        body = proto[at:at + n]
        at += n
        if tag >> 3 != 1:
            out += proto[start:at]
            continue
        if piece in ids:
            body += bytes([3 << 3, UNUSED])  # of a field given twice the last counts
        piece += 1
        out += bytes([1 << 3 | 2]) + write_varint(len(body)) + body
    return out


def make_spm(name, what, llama_cpp, drop_every=0, **options):
    proto = train_spm(**options)
    sp = sentencepiece.SentencePieceProcessor(model_proto=proto)
    n = sp.get_piece_size()
    if drop_every:  # some pieces become unused: they still merge, but are not given out
        longer = [i for i in range(n) if len(sp.id_to_piece(i)) > 1 and sp.get_score(i) < 0]
        proto = mark_unused(proto, set(longer[::drop_every]))
        sp = sentencepiece.SentencePieceProcessor(model_proto=proto)
    tokens = [sp.id_to_piece(i) for i in range(n)]
    user = {"<tool>", "<big>", "<bigger>", "\u2581\u2581\u2581"}
    types = [CONTROL if sp.is_control(i) else UNKNOWN if sp.is_unknown(i) else BYTE if sp.is_byte(i)
             else USER_DEFINED if tokens[i] in user else UNUSED if sp.is_unused(i) else NORMAL
             for i in range(n)]
    control = [t for t, k in zip(tokens, types) if k in (CONTROL, UNKNOWN)]
    path = os.path.join(ROOT, "tests", "data", f"tokenizer_{name}.gguf")
    w = start_gguf(path, "llama", tokens, types, bos=1, eos=2, unknown=0)
    w.add_token_scores([sp.get_score(i) for i in range(n)])
    w.add_add_bos_token(True)
    finish_gguf(w)

    def encode(text, special):
        """SentencePiece on the stretches between special tokens, each a text of its own."""
        if not special:
            return sp.encode(text)
        at = min(((text.find(c), -len(c), c) for c in control if c in text), default=None)
        if not at:
            return sp.encode(text)
        return sp.encode(text[:at[0]]) + [sp.piece_to_id(at[2])] + encode(text[at[0] - at[1]:], True)

    shown = [i for i in range(n) if types[i] in (NORMAL, USER_DEFINED, UNUSED, CONTROL)]
    def decode(ids): return sp.decode([i for i in ids if types[i] != UNKNOWN])
    write_vectors(name, path, encode, decode, TEXTS + fuzz_texts(5, 100), random_id_lists(6, shown, 60),
                  f"tests/data/tokenizer_{name}.gguf ({what}), ids by PyPI sentencepiece", llama_cpp)


def main():
    args = sys.argv[1:]
    llama_cpp = None
    if "--llama-cpp" in args:
        at = args.index("--llama-cpp")
        llama_cpp = args[at + 1]
        del args[at:at + 2]
    if len(args) != 1:
        sys.exit(__doc__)
    os.makedirs(os.path.join(ROOT, "tests", "vectors"), exist_ok=True)
    os.makedirs(os.path.join(ROOT, "tests", "data"), exist_ok=True)
    make_smollm2(args[0], llama_cpp)
    make_gpt2(llama_cpp)
    make_spm("spm", "byte fallback", llama_cpp, vocab_size=1000, byte_fallback=True, character_coverage=0.98)
    make_spm("spm_unused", "unused pieces", llama_cpp, drop_every=2, vocab_size=950, byte_fallback=True,
             character_coverage=0.98)
    make_spm("spm_unknown", "no byte pieces", llama_cpp, vocab_size=700, character_coverage=0.98)


if __name__ == "__main__":
    main()
