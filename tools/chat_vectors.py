#!/usr/bin/env python3
"""Makes tests/vectors/chat.txt: conversations as Jinja renders real chat templates.

    python3 tools/chat_vectors.py

Needs PyPI jinja2, set up as Hugging Face transformers does (trim_blocks, lstrip_blocks,
raise_exception). The templates are tests/data/chat/FAMILY.jinja, from the models' public
tokenizer_config.json files. Lines, text with \\xNN for all but plain ASCII:

    render FAMILY PROMPT TEXT ROLE CONTENT ROLE CONTENT ...    PROMPT 0 or 1: add_generation_prompt
    refuse FAMILY PROMPT ROLE CONTENT ...                      the template raises an exception, or
                                                               Solo is stricter (STRICTER below)
"""
import os

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BOS, EOS = "<s>", "</s>"

U, A, S = "user", "assistant", "system"
CONVERSATIONS = [
    [(U, "Hello")],
    [(S, "Be brief."), (U, "Hello")],
    [(U, "One"), (A, "Two"), (U, "Three")],
    [(S, "Sys"), (U, "One"), (A, "Two"), (U, "Three")],
    [(U, "  spaces around  "), (A, "\n answer \t"), (U, "\u00a0again\u2003\x1c")],
    [(S, "  trimmed? \n"), (U, "\n\nq\n")],
    [(U, "One"), (A, "Two")],
    [(S, "Sys"), (U, "One"), (A, "Two")],
    [(U, ""), (A, ""), (U, "")],
    [(S, ""), (U, "empty system")],
    [(U, "{{ braces }} {% if %} ' \" \\n"), (A, "<|im_end|></s>[INST]"), (U, "émoji 👍🏽 한국어")],
    [(U, "a"), (A, "b"), (U, "c"), (A, "d"), (U, "e"), (A, "f"), (U, "g")],
    [(U, "a"), (U, "b")],
    [(A, "first"), (U, "then")],
    [(U, "a"), (S, "late"), (U, "b")],
    [(S, "only")],
    [(U, "a"), (A, "b"), (A, "c")],
    [("tool", "x"), (U, "a")],
]


def stricter(family, messages):
    """Where Solo refuses what the template renders somehow or drops silently."""
    roles = [role for role, _ in messages]
    own_turn = family in ("smollm2", "qwen2", "qwen2.5", "chatml", "llama3", "phi3", "phi3.5",
                          "phi3-bos", "zephyr")
    return (any(r not in (U, A, S) for r in roles)
            or (not own_turn and S in roles[1:])
            or (family == "phi3-v1" and S in roles)
            or (family in ("llama2", "gemma3") and roles == [S]))


def escape(text):
    data = text.encode()
    if not data:
        return "-"
    return "".join(chr(b) if 33 <= b < 127 and b != 92 and data != b"-" else f"\\x{b:02x}" for b in data)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def main():
    folder = os.path.join(ROOT, "tests", "data", "chat")
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    env.globals["raise_exception"] = raise_exception
    lines = ["# made by tools/chat_vectors.py with jinja2; bos <s>, eos </s>"]
    for name in sorted(os.listdir(folder)):
        family = name.removesuffix(".jinja")
        with open(os.path.join(folder, name), encoding="utf-8", newline="") as f:
            template = env.from_string(f.read())
        for pairs in CONVERSATIONS:
            for prompt in (0, 1):
                said = " ".join(f"{role} {escape(content)}" for role, content in pairs)
                try:
                    text = template.render(
                        messages=[{"role": r, "content": c} for r, c in pairs], bos_token=BOS,
                        eos_token=EOS, add_generation_prompt=bool(prompt), tools=None)
                except jinja2.exceptions.TemplateError:
                    text = None
                if text is None or stricter(family, pairs):
                    lines.append(f"refuse {family} {prompt} {said}")
                else:
                    lines.append(f"render {family} {prompt} {escape(text)} {said}")
    path = os.path.join(ROOT, "tests", "vectors", "chat.txt")
    with open(path, "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")
    print(f"{path}: {len(lines) - 1} lines")


main()
