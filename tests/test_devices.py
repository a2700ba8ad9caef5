#!/usr/bin/env python3
"""tools/devices.py: what was contributed is of the form, docs/DEVICES.md is what it makes of it, and what is not as it should be is
refused by its place. SOLO_BIN is the program."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.environ.get("SOLO_SOURCE") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TOOL = os.path.join(ROOT, "tools", "devices.py")
FILE = os.path.join(ROOT, "bench/results/devices/lavapipe-25.jsonl")  # of which wrong ones are made


def devices(*arguments):
    return subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, text=True, check=False)


def as_gpu(lines):
    """The same from a GPU, fast enough that nothing is above its roofline."""
    lines[0]["device"].update(is_software=False, kind="gpu")
    lines[0]["probe"]["read_bytes_s"] = 1e12
    for row in lines[1:]:
        row["warm_s"] = 1.0


class Devices(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        with open(FILE, encoding="utf-8") as file:
            self.text = file.read()

    def write(self, change, name="x.jsonl"):
        lines = [json.loads(line) for line in self.text.splitlines()]
        change(lines)
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        return path

    def test_the_table_is_what_the_files_say(self):
        out = os.path.join(self.folder.name, "DEVICES.md")
        done = devices("--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(out, encoding="utf-8") as made, open(os.path.join(ROOT, "docs/DEVICES.md"), encoding="utf-8") as kept:
            self.assertEqual(made.read(), kept.read(), "run tools/devices.py")

    def test_a_gpu_has_its_place_and_its_rules(self):
        self.write(as_gpu)
        out = os.path.join(self.folder.name, "DEVICES.md")
        self.assertEqual(devices("--folder", self.folder.name, "--out", out).returncode, 0)
        with open(out, encoding="utf-8") as file:
            gpus, software = file.read().split("## Software")
        self.assertIn("x.jsonl", gpus)
        self.assertIn("None yet", software)

        def cold(lines):
            as_gpu(lines)
            lines[1]["warm_s"] = 0.1

        def too_fast(lines):
            as_gpu(lines)
            lines[0]["probe"]["read_bytes_s"] = 1.0

        for change, said in ((cold, "row.warm_s: wanted at least 0.5 s"), (too_fast, "row.gb_s: wanted at most the measured read bandwidth")):
            done = devices("--check", self.write(change))
            self.assertIn(said, done.stderr)
            self.assertEqual(done.returncode, 1)

    def test_what_is_wrong_is_named(self):
        def put(line, path, value):
            def change(lines):
                at = lines[line]
                for key in path[:-1]:
                    at = at[key]
                if value is KeyError:
                    del at[path[-1]]
                else:
                    at[path[-1]] = value
            return change

        cases = [
            (put(0, ["schema"], "solo-sweep-2"), ':1: head.schema: wanted "solo-sweep-1", found "solo-sweep-2"'),
            (put(0, ["user"], "jane"), ':1: head.user: wanted no such field, found "jane"'),
            (put(0, ["device", "hostname"], "x"), ":1: head.device.hostname: wanted no such field"),
            (put(0, ["device", "name"], ""), ":1: head.device.name: wanted the adapter's name"),
            (put(0, ["date"], "yesterday"), ":1: head.date: wanted a day"),
            (put(0, ["probe", "dispatch_us"], "fast"), ":1: head.probe.dispatch_us: wanted a number"),
            (put(0, ["browser"], KeyError), ":1: head.browser: wanted a value, found null"),
            (put(1, ["check"], KeyError), ":2: row.check: wanted a value, found null"),
            (put(1, ["check", "error_max"], 9.0), ":2: row.check.error_max: wanted at most"),
            (put(1, ["tok_s"], 1e9), ":2: row.tok_s: wanted the median"),
            (put(1, ["ms_per_token"], 1e-3), ":2: row.ms_per_token: wanted what the samples say"),
            (put(1, ["gb_s"], 7.0), ":2: row.gb_s: wanted"),
            (put(1, ["settings", "path"], "/home/x"), ":2: row.settings.path: wanted no such field"),
            (put(1, ["plan", "stages", 0, "team"], -1), ":2: row.plan.stages[0].team: wanted a whole number from 0, found -1"),
            (put(1, ["status"], "error"), ":2: row."),
            (lambda lines: lines.append(lines[1]), ":5: row.key: wanted one that no other row has"),
            (lambda lines: lines.__delitem__(slice(1, None)), ": wanted a head and rows, found 1 lines"),
        ]
        for change, said in cases:
            done = devices("--check", self.write(change))
            self.assertEqual(done.returncode, 1, said)
            self.assertIn(said, done.stderr)
            self.assertNotIn("Traceback", done.stderr)
        cut = os.path.join(self.folder.name, "cut.jsonl")
        with open(cut, "w", encoding="utf-8") as file:
            file.write(self.text[:-20])
        self.assertIn("cut.jsonl:4: wanted JSON", devices("--check", cut).stderr)


if __name__ == "__main__":
    unittest.main()
