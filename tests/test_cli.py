#!/usr/bin/env python3
"""Drives the built program as a user would, on the real small model: exit codes, messages, the JSON
that others parse, chat through a pipe and through a terminal. Python's standard library only."""
import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import unittest

SOLO = os.environ.get("SOLO_BIN", "build/solo")
MODEL = os.path.join(os.environ.get("SOLO_MODELS", "models"), "SmolLM2-135M-Instruct.Q4_1.gguf")
SLOW = 240  # seconds: a software adapter compiles the plan's shaders first
# The factoring that software adapters are quickest with; test_run_streams... runs the default one.
QUICK = ["--factoring", "stages"]

RUN_KEYS = {"prompt_tokens", "tokens", "text", "finish_reason", "factoring", "dispatches_per_token",
            "prefill_tok_s", "decode_tok_s", "adapter", "fell_back"}


def solo(*args, stdin=b"", **more):
    if isinstance(stdin, str):
        stdin = stdin.encode()
    return subprocess.run([SOLO, *args], input=stdin, capture_output=True, timeout=SLOW, **more)


class CommandLine(unittest.TestCase):
    """No model is opened here."""

    def refused(self, args, *wanted):
        got = solo(*args)
        self.assertEqual(got.returncode, 2, (args, got))
        self.assertEqual(got.stdout, b"", args)
        for text in wanted:
            self.assertIn(text, got.stderr.decode(), args)

    def test_usage_errors_name_wanted_and_found(self):
        self.refused([], "Usage")
        self.refused(["sing"], "command", "'sing'")
        self.refused(["run"], "MODEL")
        self.refused(["run", "a", "b"], "'b'")
        self.refused(["run", "m", "--nosuch"], "--nosuch")
        self.refused(["run", "m", "--temp", "banana"], "--temp", "number", "'banana'")
        self.refused(["run", "m", "--temp", "-1"], "--temp", "'-1'")
        self.refused(["run", "m", "--temp", "nan"], "--temp", "'nan'")
        self.refused(["run", "m", "--top-p", "1.5"], "--top-p", "'1.5'")
        self.refused(["run", "m", "-n", "-3"], "'-3'")
        self.refused(["run", "m", "-n", "5x"], "'5x'")
        self.refused(["run", "m", "--ctx", "0"], "--ctx", "'0'")
        self.refused(["run", "m", "--ctx", "99999999999"], "--ctx", "'99999999999'")
        self.refused(["run", "m", "--factoring", "triple"], "single", "unfused", '"triple"')
        self.refused(["run", "m", "--factoring", "burst:1"], "burst:2", '"burst:1"')
        self.refused(["run", "m", "--activations", "f64"], "int8", "f32", "'f64'")
        self.refused(["run", "m", "--kv", "int4"], "int8", "f16", "f32", "'int4'")
        self.refused(["run", "m", "-p", "a", "--prompt-file", "b"], "--prompt-file")
        self.refused(["run", "m", "--raw", "--system", "b"], "--system", "--raw")
        self.refused(["run", "m", "--raw", "--tools", "[]"], "--tools", "--raw")
        self.refused(["run", "m", "--raw", "--vars", "{}"], "--vars", "--raw")
        self.refused(["logits", "m", "--kv", "f16"], "--kv")
        self.refused(["perplexity", "m"], "--file")
        self.refused(["devices", "m"], "'m'")

    def test_help_of_each_command(self):
        listed = solo("--help")
        self.assertEqual(listed.returncode, 0)
        names = re.findall(r"^  (\w+) ", listed.stdout.decode(), re.M)
        for name in ("run", "chat", "info", "devices", "tokenize", "detokenize", "logits", "explain", "perplexity",
                     "bench", "probe", "tune", "synth"):
            self.assertIn(name, names)
            got = solo(name, "--help")
            self.assertEqual(got.returncode, 0, name)
            self.assertTrue(got.stdout.startswith(b"Usage: solo " + name.encode()), got.stdout[:80])
            self.assertEqual(got.stdout, solo("help", name).stdout)
        self.assertRegex(solo("version").stdout.decode(), r"^solo \d+\.\d+\.\d+\n$")

    def test_help_names_each_preset(self):
        names = re.search(r"wanted one of (.*), found 'nosuch'", solo("synth", "nosuch", "x").stderr.decode()).group(1)
        told = " ".join(solo("synth", "--help").stdout.decode().split())
        for preset in names.split(", "):
            self.assertIn(preset, told)

    def test_what_the_world_lacks_is_exit_1(self):
        for args in (["info", "/nosuch.gguf"], ["run", "/nosuch.gguf", "-p", "x"], ["chat", "/nosuch.gguf"],
                     ["tokenize", "/nosuch.gguf"], ["explain", "/nosuch.gguf"]):
            got = solo(*args)
            self.assertEqual(got.returncode, 1, got)
            self.assertIn(b"/nosuch.gguf", got.stderr)
            self.assertEqual(got.stdout, b"")
        with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
            file.write(b"GGUX not a model")
            file.flush()
            self.assertEqual(solo("info", file.name).returncode, 1)

    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            got = subprocess.run([SOLO, "help"], stdout=full, stderr=subprocess.PIPE, timeout=SLOW)
        self.assertEqual(got.returncode, 1)
        self.assertIn(b"standard output", got.stderr)


class ModelFile(unittest.TestCase):
    """The model's file and tokenizer; no device."""

    def test_info(self):
        info = json.loads(solo("info", MODEL, "--json").stdout)
        self.assertEqual((info["arch"], info["n_layer"], info["n_embd"], info["n_vocab"], info["tied"]),
                         ("llama", 30, 576, 49152, True))
        self.assertIn("llama", solo("info", MODEL).stdout.decode())

    def test_detokenize_of_tokenize_is_the_text(self):
        texts = ["", "Hello, world", " two  spaces\n\n\ttab ", "naïve café 東京 Ωμέγα \u0644\u063a\u0629 \u0939\u093f\u0928",
                 "👩‍👩‍👧‍👦🏳️‍🌈", "for (int i = 0; i < 10; i++) {\n    x += 1;\n}\n", "<|im_end|> is text", "\0a\0"]
        for text in [t.encode() for t in texts] + [b"bad \x80\xe2\x82 \xc3( bytes \xf0\x9f"]:
            for flags in ([], ["--special"]):
                ids = solo("tokenize", MODEL, *flags, stdin=text)
                self.assertEqual(ids.returncode, 0, ids)
                back = solo("detokenize", MODEL, "--special", stdin=ids.stdout)
                self.assertEqual(back.stdout, text)

    def test_special(self):
        plain = json.loads(solo("tokenize", MODEL, stdin="<|im_end|>").stdout)
        special = json.loads(solo("tokenize", MODEL, "--special", stdin="<|im_end|>").stdout)
        self.assertGreater(len(plain), 1)
        self.assertEqual(special, [2])
        self.assertEqual(solo("detokenize", MODEL, stdin="[2]").stdout, b"")

    def test_ids_that_are_none(self):
        for text, wanted in (("[1, 49152]", b"49152"), ("[-1]", b"-1"), ("[1.5]", b"1.5"), ("{}", b"array"),
                             ("[1", b"JSON"), ('["1"]', b'"1"')):
            got = solo("detokenize", MODEL, stdin=text)
            self.assertEqual(got.returncode, 1, text)
            self.assertIn(wanted, got.stderr, text)
            self.assertEqual(got.stdout, b"")


class Synthetic(unittest.TestCase):
    """Model files with random weights, and a text through one on the CPU reference."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, *args):
        got = solo("synth", *args[:1], self.path(name), *args[1:])
        self.assertEqual(got.returncode, 0, got)
        self.assertEqual(got.stdout, b"")
        with open(self.path(name), "rb") as file:
            return file.read()

    def test_toy(self):
        first = self.write("a.gguf", "toy:64x2x4", "--seed", "1")
        self.assertEqual(first, self.write("b.gguf", "toy:64x2x4", "--seed", "1"))
        other = self.write("b.gguf", "toy:64x2x4", "--seed", "2")  # in place of the file before
        self.assertEqual(len(first), len(other))
        self.assertGreater(sum(a != b for a, b in zip(first, other)), len(first) // 2)
        info = json.loads(solo("info", self.path("a.gguf"), "--json").stdout)
        shape = [info[k] for k in ("arch", "n_layer", "n_embd", "n_head", "head_dim", "n_ff", "n_vocab", "tied")]
        self.assertEqual(shape, ["llama", 2, 64, 4, 16, 256, 1024, True])
        for text in ("", "the quick brown fox", " a  b\n\ttab 1234", "naïve 東京 👩‍👩‍👧", "bad \udc80\udcff"):
            raw = text.encode(errors="surrogateescape")
            ids = solo("tokenize", self.path("a.gguf"), stdin=raw).stdout
            self.assertEqual(solo("detokenize", self.path("a.gguf"), stdin=ids).stdout, raw)
        self.assertLess(len(json.loads(solo("tokenize", self.path("a.gguf"), stdin=b"and and").stdout)), 7)
        run = ["run", self.path("a.gguf"), "--device", "cpu", "-p", "Hello", "-n", "3", "--json"]
        answer = json.loads(solo(*run).stdout)
        self.assertEqual(len(answer["tokens"]), 3)
        plan = json.loads(solo("explain", self.path("a.gguf"), "--device", "cpu", "--kv", "int8", "--json").stdout)
        self.assertEqual((plan["kv_type"], plan["activations"]), ("int8", "f32"))
        self.write("b.gguf", "toy:64x2x8")
        got = solo("run", self.path("b.gguf"), "--device", "cpu", "--kv", "int8", "-p", "Hello")
        self.assertEqual((got.returncode, got.stdout), (1, b""))
        self.assertIn(b"kv_type int8: wanted heads of a multiple of 16 numbers, found 8", got.stderr)
        self.assertEqual(solo(*run).stdout.split(b'"prefill')[0], solo(*run).stdout.split(b'"prefill')[0])
        self.assertEqual(sorted(os.listdir(self.folder)), ["a.gguf", "b.gguf"])

    def test_types(self):
        sizes = {}
        for name in ("f32", "f16", "bf16", "q4_0", "q4_1", "q5_0", "q8_0", "q4_k", "q6_k"):
            sizes[name] = len(self.write("t.gguf", "toy:256x1x4", "--type", name, "--output-type", name, "--ctx", "64"))
            top = json.loads(solo("logits", self.path("t.gguf"), "--device", "cpu", "--top", "1024", stdin=b"a").stdout)
            values = [row["logit"] for row in top["top"]]
            self.assertEqual(len(values), 1024)
            mean = sum(values) / 1024
            self.assertLess(abs(mean), 0.2, name)
            self.assertTrue(0.8 < (sum((v - mean) ** 2 for v in values) / 1024) ** 0.5 < 1.2, name)
        self.assertEqual(sorted(sizes, key=sizes.get), sorted(sizes, key=lambda n: {
            "q4_0": 4.5, "q4_k": 4.51, "q4_1": 5, "q5_0": 5.5, "q6_k": 6.6, "q8_0": 8.5, "f16": 16, "bf16": 16, "f32": 32}[n]))
        self.assertEqual(json.loads(solo("info", self.path("t.gguf"), "--json").stdout)["n_ctx_train"], 64)

    def test_architectures(self):
        for preset, arch in (("qwen2-0.5b", "qwen2"), ("gpt2-small", "gpt2")):
            self.assertEqual(solo("synth", preset, self.path("p.gguf"), "--ctx", "128").returncode, 0)
            info = json.loads(solo("info", self.path("p.gguf"), "--json").stdout)
            self.assertEqual([info["arch"], info["n_ctx_train"]], [arch, 128])
            os.remove(self.path("p.gguf"))

    def test_refusals(self):
        out = self.path("x.gguf")
        for args, wanted in (
                (["phi-9", out], ("phi-3-mini[:WINDOW]", "llama-3.2-1b", "smollm2-135m", "toy:DxLxH", "'phi-9'")),
                (["toy:64x2", out], ("toy:DxLxH", "'toy:64x2'")), (["toy:60x2x4", out], ("multiple of 32", "60")),
                (["toy:64x2x3", out], ("64 and 3 heads",)), (["phi-3-mini:many", out], ("phi-3-mini[:WINDOW]",)),
                (["smollm2-135m", out, "--type", "q4_k"], ("Q4_K", "multiple of 256", "576")),
                (["toy:64x2x4", out, "--type", "q3"], ("q4_0", "'q3'")), (["toy:64x2x4"], ("OUT",)),
                (["toy:64x2x4", out, "more"], ("'more'",))):
            got = solo("synth", *args)
            self.assertEqual(got.returncode, 2, got)
            for text in wanted:
                self.assertIn(text, got.stderr.decode())
        got = solo("synth", "toy:64x2x4", "/nosuch/folder/x.gguf")
        self.assertEqual(got.returncode, 1, got)
        self.assertIn(b"/nosuch/folder/x.gguf", got.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_full_disk_leaves_what_was_there(self):
        before = self.write("x.gguf", "toy:64x1x4")
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        got = solo("synth", "toy:512x2x4", self.path("x.gguf"), preexec_fn=limit, restore_signals=False)
        self.assertEqual(got.returncode, 1, got)
        self.assertRegex(got.stderr.decode(), r"x\.gguf: wanted to write \d+ bytes of weights, stopped after \d+: ")
        self.assertEqual(os.listdir(self.folder), ["x.gguf"])
        with open(self.path("x.gguf"), "rb") as file:
            self.assertEqual(file.read(), before)


class Engine(unittest.TestCase):
    """On whatever adapter comes first."""

    def test_devices(self):
        devices = json.loads(solo("devices", "--json").stdout)
        self.assertEqual([d["index"] for d in devices], list(range(len(devices))))
        self.assertEqual(devices[-1]["name"], "cpu")
        table = solo("devices").stdout.decode().splitlines()
        self.assertEqual(len(table), 1 + len(devices))
        got = solo("run", MODEL, "-p", "x", "--device", "no such adapter")
        self.assertEqual(got.returncode, 1)
        self.assertIn(b"no such adapter", got.stderr)

    def test_run_streams_and_its_json_says_the_same(self):
        args = ["run", MODEL, "-p", "What is the capital of France?", "-n", "12"]
        text = solo(*args)
        self.assertEqual(text.returncode, 0, text)
        summary = text.stderr.decode().splitlines()[-1]
        for word in ("prompt", "generated", "tok/s", "dispatch"):
            self.assertIn(word, summary)
        got = solo(*args, "--json")
        self.assertEqual(got.returncode, 0, got)
        answer = json.loads(got.stdout)
        self.assertEqual(set(answer), RUN_KEYS)
        self.assertEqual(text.stdout.decode(), answer["text"] + "\n")
        self.assertIn("Paris", answer["text"])
        self.assertEqual(answer["finish_reason"], "stop" if len(answer["tokens"]) < 12 else "length")
        self.assertNotIn(2, answer["tokens"])
        self.assertIn(answer["adapter"], summary)
        self.assertIn(answer["factoring"], summary)
        back = solo("detokenize", MODEL, stdin=json.dumps(answer["tokens"])).stdout.decode()
        self.assertEqual(back, answer["text"])

    def test_prompts_from_file_and_stdin_and_raw(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write("One two three four\n")
            file.flush()
            base = ["run", MODEL, *QUICK, "-n", "2", "--json"]
            templated = [json.loads(solo(*base, *more, stdin=stdin).stdout) for more, stdin in (
                (["-p", "One two three four"], b""), (["--prompt-file", file.name], b""), ([], b"One two three four\n"))]
        self.assertEqual(templated[0]["tokens"], templated[1]["tokens"])
        self.assertEqual(templated[0]["tokens"], templated[2]["tokens"])
        raw = json.loads(solo(*base, "--raw", stdin=b"One two three four").stdout)
        self.assertLess(raw["prompt_tokens"], templated[0]["prompt_tokens"])
        self.assertEqual(len(raw["tokens"]), 2)
        self.assertEqual(raw["finish_reason"], "length")
        empty = solo(*base, "--raw", stdin=b"")
        self.assertEqual(empty.returncode, 1)
        self.assertIn(b"empty", empty.stderr)

    def test_the_context_ends_the_text(self):
        got = json.loads(solo("run", MODEL, *QUICK, "--raw", "--ctx", "16", "-n", "0", "--json", stdin=b"One two three four").stdout)
        self.assertEqual(got["finish_reason"], "length")
        self.assertLessEqual(got["prompt_tokens"] + len(got["tokens"]), 17)
        self.assertGreaterEqual(got["prompt_tokens"] + len(got["tokens"]), 15)
        long = solo("run", MODEL, *QUICK, "--raw", "--ctx", "16", stdin=b"word " * 40)
        self.assertEqual(long.returncode, 1)
        self.assertIn(b"16", long.stderr)

    def test_seed(self):
        def ids(seed):
            got = solo("run", MODEL, *QUICK, "--raw", "-n", "8", "--temp", "1.2", "--seed", seed, "--json", stdin="Once")
            return json.loads(got.stdout)["tokens"]
        first = ids("7")
        self.assertEqual(first, ids("7"))
        self.assertNotEqual(first, ids("8"))

    def test_logits(self):
        by_text = json.loads(solo("logits", MODEL, *QUICK, "--top", "5", stdin=b"The capital of France is").stdout)
        self.assertEqual(len(by_text["top"]), 5)
        values = [row["logit"] for row in by_text["top"]]
        self.assertEqual(values, sorted(values, reverse=True))
        self.assertEqual(by_text["top"][0]["text"], " Paris")
        ids = solo("tokenize", MODEL, "--bos", stdin=b"The capital of France is").stdout
        self.assertEqual(json.loads(solo("logits", MODEL, *QUICK, "--top", "5", "--ids", stdin=ids).stdout), by_text)

    def test_explain_and_wgsl(self):
        plan = json.loads(solo("explain", MODEL, *QUICK, "--json").stdout)
        self.assertGreater(plan["weight_bytes"], 50_000_000)
        self.assertGreater(len(plan["stages"]), 4)
        self.assertGreater(plan["compile_seconds"], 0)
        self.assertEqual(plan["self_test_seconds"], 0) # stages hand over by dispatch boundaries: nothing to test
        self.assertIn("qkv", solo("explain", MODEL, *QUICK).stdout.decode())
        self.assertIn("@compute", solo("run", MODEL, "--print-wgsl").stdout.decode())

    def test_interrupted_run(self):
        child = subprocess.Popen([SOLO, "run", MODEL, *QUICK, "--raw", "-p", "One, two, three, four,", "-n", "0"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertTrue(os.read(child.stdout.fileno(), 1))
        child.send_signal(signal.SIGINT)
        _, told = child.communicate(timeout=SLOW)
        self.assertEqual(child.returncode, 130)
        self.assertIn(b"generated", told)


class Chat(unittest.TestCase):
    def test_what_a_template_reads_is_json(self):
        for option, text, wanted in (("--vars", "{", "variables: wanted JSON"), ("--vars", "[]", "found a list"),
                                     ("--tools", "[1", "tools: wanted JSON")):
            for command in ("run", "chat"):
                got = solo(command, MODEL, "--device", "cpu", option, text, stdin="Hello\n")
                self.assertEqual(got.returncode, 1, got)
                self.assertIn(wanted, got.stderr.decode())

    def test_through_a_pipe(self):
        got = solo("chat", MODEL, *QUICK, "-n", "4", stdin="My name is Ada. Say hello.\n\n/stats\nWhat is 2+2?\n/stats\n/reset\n"
                   "/system Answer in French.\n/nosuch\n/help\n/quit\nnever read\n")
        self.assertEqual(got.returncode, 0, got)
        text, told = got.stdout.decode(), got.stderr.decode()
        self.assertIn("/reset", text)
        self.assertIn("no command '/nosuch'", text)
        self.assertIn("system: Answer in French.", text)
        self.assertIn("1 answer,", text)
        self.assertIn("2 answers,", text)
        self.assertNotIn("> ", text)  # no prompt where nobody types
        kept = re.findall(r"\((\d+) kept\)", told)
        self.assertTrue(kept and int(kept[-1]) > 20, told)  # the second turn reused the first
        self.assertEqual(solo("chat", MODEL, *QUICK, stdin="").returncode, 0)

    def read_until(self, terminal, wanted, seen=""):
        end = time.time() + SLOW
        while wanted not in seen:
            ready, _, _ = select.select([terminal], [], [], max(0, end - time.time()))
            self.assertTrue(ready, f"waited for {wanted!r}, saw {seen!r}")
            try:
                seen += os.read(terminal, 4096).decode(errors="replace")
            except OSError:  # the program closed its side
                self.fail(f"waited for {wanted!r}, saw {seen!r} and then the end")
        return seen

    def exit_code(self, pid, terminal):
        """Of a child that should be leaving: reads what it still writes, ends it where it stays."""
        end = time.time() + SLOW
        while time.time() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    os.read(terminal, 4096)
                except OSError:  # the child closed its side
                    pass
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                return os.waitstatus_to_exitcode(status)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.fail("the chat did not leave")

    def test_through_a_terminal(self):
        with tempfile.TemporaryDirectory() as state:
            try:
                pid, terminal = pty.fork()
            except OSError as error:
                print(f"\nUNRUN: chat through a terminal: {error}", flush=True)
                self.skipTest(str(error))
            if pid == 0:
                os.environ.update(TERM="xterm", XDG_STATE_HOME=state)
                os.execv(SOLO, [SOLO, "chat", MODEL, *QUICK, "-n", "0"])
            self.read_until(terminal, "> ")
            os.write(terminal, b"half a line")
            self.read_until(terminal, "half a line")
            os.write(terminal, b"\x03")  # drops the line, does not leave
            self.read_until(terminal, "> ", self.read_until(terminal, "^C").rpartition("^C")[2])
            os.write(terminal, b"Write a long story about a dog.\r")
            self.read_until(terminal, " ", self.read_until(terminal, "dog.\r\n").rpartition("\n")[2])
            os.write(terminal, b"\x03")  # stops the answer
            self.read_until(terminal, "> ", self.read_until(terminal, "^C").rpartition("^C")[2])
            os.write(terminal, b"/stats\r\x04")  # Ctrl-D comes before the editor takes the terminal back
            self.read_until(terminal, "1 answer,")
            self.assertEqual(self.exit_code(pid, terminal), 0)
            with open(os.path.join(state, "solo", "history"), encoding="utf-8") as file:
                history = file.read()
            self.assertIn("story", history)
            self.assertNotIn("half", history)


if __name__ == "__main__":
    if not os.path.exists(MODEL):
        print(f"UNRUN: {MODEL} is missing (tools/setup.sh test fetches it)")
        sys.exit(77)
    unittest.main(verbosity=2)
