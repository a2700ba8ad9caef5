#!/usr/bin/env python3
"""Makes tests/vectors/chat.txt and chat_cases.txt: conversations as Jinja renders real chat templates.

    python3 tools/chat_vectors.py            writes the vectors
    python3 tools/chat_vectors.py NAME CASE  prints one rendering

Needs PyPI jinja2, set up as Hugging Face transformers does (trim_blocks, lstrip_blocks, loop controls,
generation blocks, tojson, raise_exception, strftime_now). The templates are tests/data/chat/NAME.jinja,
from the models' public tokenizer_config.json files. chat_cases.txt: a case a line, the variables as a
JSON object. chat.txt: a line for each template and case, in order, text with \\xNN for all but plain
ASCII:

    NAME CASE refused        the template raises, or does what Python cannot
    NAME CASE #LENGTH:HASH   bytes, and FNV-1a of them
    NAME CASE TEXT           the same for a few cases, for people to look at
"""
import datetime
import json
import os
import sys

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOW = 1764075907  # tests/test_chat.c has it too
SHOWN = (1, 7)

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
    [(U, "think"), (A, "<think>\nhmm\n</think>\n\nanswer"), (U, "more"), (A, "<think>x</think>yes"), (U, "end")],
]
TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Weather of a place, \"now\" <b> & 'then'",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "the city"}, "days": {"type": "integer", "enum": [1, 2]},
            "units": {"type": ["string", "null"]}}, "required": ["city"]}}},
    {"type": "function", "function": {
        "name": "add", "description": "Adds é", "parameters": {"type": "object", "properties": {
            "a": {"type": "number", "default": 1.5}, "b": {"type": "array", "items": {"type": "number"}}},
            "required": ["a", "b"]}, "return": {"type": "number"}}},
]


def tool_call(name, call_id, content, arguments):
    return {"role": A, "content": content, "tool_calls": [
        {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}]}


def tool_result(name, call_id, content):
    return {"role": "tool", "name": name, "tool_call_id": call_id, "content": content}


def plain(pairs):
    return [{"role": role, "content": content} for role, content in pairs]


def cases():
    ask = tool_call("get_weather", "call12345", "", {"city": "Paris \"x\"", "days": 2, "f": 1e-7, "n": None, "t": True})
    add = tool_call("add", "abcdefghi", None, {"a": 1.0, "b": [1, 2.5]})
    answer = tool_result("get_weather", "call12345", '{"t": 21.5}')
    long = plain(CONVERSATIONS[1]) + [
        ask, answer, {"role": A, "content": "It is 21.5."}, {"role": U, "content": "and?"}, add,
        tool_result("add", "abcdefghi", "3"), tool_result("add", "abcdefghi", "4")]
    out = [{"messages": plain(c), "add_generation_prompt": p} for c in CONVERSATIONS for p in (False, True)]
    for tools in (TOOLS, TOOLS[:1]):
        for messages in (plain(CONVERSATIONS[3]), plain(CONVERSATIONS[0]) + [ask, answer], long):
            out.append({"messages": messages, "tools": tools, "add_generation_prompt": True})
    for thinking in (True, False):
        for c in (0, 3, 18):
            out.append({"messages": plain(CONVERSATIONS[c]), "enable_thinking": thinking, "thinking": thinking,
                        "add_generation_prompt": True})
    text = {"type": "text", "text": " part "}
    out.append({"messages": [{"role": U, "content": [text, text]}, {"role": A, "content": [text]},
                             {"role": U, "content": [{"type": "image"}, text]}], "add_generation_prompt": True})
    out.append({"messages": [{"role": U, "content": "q"}, {"role": A, "reasoning_content": "deep", "content": "a"},
                             {"role": U, "content": "r"}], "tools": None, "date_string": "01 Jan 2025",
                "reasoning_effort": "high", "add_generation_prompt": True})
    return [{"bos_token": "<s>", "eos_token": "</s>", **case} for case in out]


class Generation(jinja2.ext.Extension):
    """{% generation %} marks what an assistant wrote; for the text it is nothing."""
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    now = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)
    env.globals["strftime_now"] = now.strftime
    return env


def render(template, case):
    try:
        return template.render(**case)
    except (jinja2.exceptions.TemplateError, TypeError, RecursionError):
        return None


def escape(text):
    data = text.encode()
    return "".join(chr(b) if 33 <= b < 127 and b not in (92, 35) else f"\\x{b:02x}" for b in data)


def fnv(text):
    h = 2166136261
    for b in text.encode():
        h = (h ^ b) * 16777619 & 0xFFFFFFFF
    return h


def main():
    folder = os.path.join(ROOT, "tests", "data", "chat")
    env = environment()
    lines = ["# made by tools/chat_vectors.py with jinja2"]
    for name in sorted(n.removesuffix(".jinja") for n in os.listdir(folder)):
        with open(os.path.join(folder, name + ".jinja"), encoding="utf-8", newline="") as f:
            template = env.from_string(f.read())
        for i, case in enumerate(cases()):
            text = render(template, case)
            if sys.argv[1:] == [name, str(i)]:
                print(text)
            shown = "refused" if text is None else escape(text) if i in SHOWN else f"#{len(text.encode())}:{fnv(text):08x}"
            lines.append(f"{name} {i} {shown}")
    if len(sys.argv) > 1:
        return
    for file, rows in (("chat.txt", lines), ("chat_cases.txt", [json.dumps(c) for c in cases()])):
        with open(os.path.join(ROOT, "tests", "vectors", file), "w", encoding="ascii") as f:
            f.write("\n".join(rows) + "\n")
    print(len(lines) - 1, "lines")


main()
