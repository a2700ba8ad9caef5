"""solo sweep and plot as a user meets them: wrong command lines and specs, a sweep that is interrupted and goes on, a
broken hand-off that is found out, another run's file, a drawing. One software adapter, the smallest model."""
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

SOLO = os.environ.get("SOLO_BIN", "build/solo")
SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json"  # compiles in-dispatch kernels in seconds
if os.path.exists(SWIFTSHADER):
    os.environ["VK_ICD_FILENAMES"] = SWIFTSHADER
SPEC = {"schema": "solo-sweep-spec-1", "name": "tiny", "title": "t", "question": "q",
        "set": {"model": "toy:32x1x1", "vocab": 300, "position": 4, "n_slice": 2},
        "rows": [{"factoring": "stages"}, {"factoring": "stages", "k_split": 2},
                 {"factoring": "layer", "hand_off": "none", "assignment": "static", "n_workgroup": 2}],
        "measure": {"tokens": 4, "samples": 3}}


def solo(*args):
    return subprocess.run([SOLO, *args], capture_output=True, timeout=900)


class CommandLine(unittest.TestCase):
    def refused(self, code, *args):
        got = solo(*args[:-1])
        self.assertEqual(got.returncode, code, got)
        self.assertIn(args[-1], got.stderr.decode())

    def test_wrong(self):
        self.refused(2, "sweep", "wanted SPEC...")
        self.refused(2, "sweep", "toy", "wanted --output")
        self.refused(2, "sweep", "nosuch", "-o", "/tmp/x", "--list")
        self.refused(2, "sweep", "toy", "toy", "-o", "/tmp/x", "another spec's")
        self.refused(2, "plot", "x.jsonl", "-o", "x.gif", ".svg or .png")
        self.refused(1, "plot", "/nosuch.jsonl", "-o", "x.svg", "/nosuch.jsonl")

    def test_every_spec_reads(self):
        for quick in ([], ["--quick"]):
            got = solo("sweep", "--list", *quick)
            self.assertEqual(got.returncode, 0, got)
            names = [line.split()[0] for line in got.stdout.decode().splitlines() if line[0] != " "]
            for name in ("phi3 phi3-full tiled fusedqkv ultra int4 predequant fast bigwg multicore regopt pipeline "
                         "probe-limits bench shapes toy roles spectrum").split():
                self.assertIn(name, names)


class Sweep(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.spec, self.out = os.path.join(self.folder, "tiny.json"), os.path.join(self.folder, "out.jsonl")

    def write(self, rows):
        with open(self.spec, "w", encoding="utf-8") as file:
            json.dump({**SPEC, "rows": rows}, file)

    def run_sweep(self, code=0, commit="abc"):
        got = solo("sweep", self.spec, "-o", self.out, "--commit", commit)
        self.assertEqual(got.returncode, code, got)
        with open(self.out, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        return lines[0], lines[1:], got.stderr.decode()

    def test_rows_resume_and_a_broken_hand_off(self):
        self.write(SPEC["rows"][:1])
        head, rows, _ = self.run_sweep()
        self.assertEqual((head["schema"], head["commit"], head["device"]["is_software"]), ("solo-sweep-1", "abc", True))
        self.assertIn("hand_off", head["probe"])
        first = rows[0]
        self.assertEqual((first["status"], first["check"]["rule"], first["plan"]["factoring"]), ("ok", "tolerance", "stages"))
        self.assertEqual((first["dispatches_per_token"], first["submits_per_token"] <= 1), (9, True))
        self.assertEqual((len(first["samples_tok_s"]), sorted(first["samples_tok_s"])[1]), (3, first["tok_s"]))
        self.assertLess(first["check"]["error_max"], 0.3)
        text = json.dumps([head, rows])
        for private in (self.folder, os.uname().nodename, os.path.expanduser("~")):
            self.assertNotIn(private, text)

        with open(self.out, "a", encoding="utf-8") as file:
            file.write('{"what":"row","spec":"tiny","key":"tiny: cut')  # as a power cut leaves it
        self.write(SPEC["rows"])
        _, rows, told = self.run_sweep()
        self.assertIn("1 there before", told)
        self.assertEqual(rows[0], first)  # not measured again
        self.assertEqual([r["status"] for r in rows], ["ok", "error", "error"])
        self.assertIn("k_split: wanted a power of two up to max_team, 1, found 2", rows[1]["reason"])
        self.assertIn("wrong output", rows[2]["reason"])
        self.assertEqual(rows[2]["plan"]["hand_off"], "none")
        for row in rows[1:]:
            self.assertNotIn("tok_s", row)
        with open(self.out[:-1 - len("jsonl")] + ".csv", encoding="utf-8") as file:
            table = list(csv.DictReader(file))
        self.assertEqual([r["status"] for r in table], ["ok", "error", "error"])
        self.assertAlmostEqual(float(table[0]["tok_s"]), first["tok_s"], places=3)
        self.assertEqual({len(r) for r in table}, {len(table[0])})

        got = solo("sweep", self.spec, "-o", self.out, "--commit", "other")
        self.assertEqual(got.returncode, 1)
        self.assertIn('commit: wanted "other", found "abc"', got.stderr.decode())
        self.plot(first)

    def plot(self, first):
        for ending in ("svg", "png"):
            path = os.path.join(self.folder, "out." + ending)
            got = solo("plot", self.out, "-o", path)
            if not shutil.which("gnuplot"):
                self.assertEqual(got.returncode, 1, got)
                self.assertIn("gnuplot-nox", got.stderr.decode())
                continue
            self.assertEqual(got.returncode, 0, got)
            with open(path, "rb") as file:
                drawn = file.read()
            self.assertTrue(drawn.startswith(b"\x89PNG") if ending == "png" else b"stages" in drawn and b"</svg>" in drawn)
            self.assertIn(f"{first['tok_s']:.1f} tok/s", got.stdout.decode())
        if not shutil.which("gnuplot"):
            print("UNRUN: no gnuplot: nothing was drawn", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
