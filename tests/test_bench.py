"""solo bench, probe and tune as a user meets them: rows with geometries of their own, rows that fail, JSON
that a script reads, and a cache file that cannot hurt. One software adapter, few tokens."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

SOLO = os.environ.get("SOLO_BIN", "build/solo")
SOURCE = os.environ.get("SOLO_SOURCE", ".")
MODEL = os.path.join(os.environ.get("SOLO_MODELS", "models"), "SmolLM2-135M-Instruct.Q4_1.gguf")
SLOW = 240  # seconds
SHORT = ["--ctx", "64"]


def solo(*args, **environment):
    return subprocess.run([SOLO, *args], capture_output=True, timeout=SLOW, env={**os.environ, **environment})


class CommandLine(unittest.TestCase):
    """No model is opened here: any file that is there does."""

    def refused(self, *args):
        got = solo(*args[:-1])
        self.assertEqual(got.returncode, 2, got)
        self.assertEqual(got.stdout, b"")
        self.assertIn(args[-1], got.stderr.decode())

    def test_wrong_rows(self):
        for positions in ("0", "1,,2", "x", "1,", "-3", "1,2,3,4,5,6,7,8,9", ""):
            self.refused("bench", __file__, "--positions", positions, "--positions")
        self.refused("bench", __file__, "--factorings", "stages@wg", "KEY=VALUE")
        self.refused("bench", __file__, "--factorings", "stages@wg=many", "'many'")
        self.refused("bench", __file__, "--factorings", "stages@colour=3", "'colour=3'")
        self.refused("bench", __file__, "--factorings", "stages@activations=f64", "'activations=f64'")
        self.refused("bench", __file__, "--factorings", "stages@kv=int4", "or attend=split, found 'kv=int4'")
        self.refused("bench", __file__, "--factorings", ",", "none")
        self.refused("bench", __file__, "--factorings", "x" * 200, "too long")
        self.refused("bench", __file__, "--factorings", ",".join(["stages"] * 25), "24")
        self.refused("tune", __file__, "--factoring", "stages", "'stages'")

    def test_probe(self):
        got = solo("probe", "--json", "--workgroup-bytes", "1024")
        self.assertEqual(got.returncode, 0, got)
        probe = json.loads(got.stdout)["probe"]
        self.assertEqual(probe["workgroup_bytes"], 1024)
        self.assertGreaterEqual(probe["n_resident"], 1)
        for key in ("read_bytes_s", "dispatch_us", "round_trip_us"):
            self.assertGreater(probe[key], 0, key)
        self.assertEqual(solo("probe", "--device", "cpu").returncode, 1)


@unittest.skipUnless(os.path.exists(MODEL), "no model")
class Bench(unittest.TestCase):
    def test_rows(self):
        rows = "stages,stages:ticket,stages@wg=64,activations=f32,kv=int8,nosuch,stages@wg=33"
        got = solo("bench", MODEL, *SHORT, "--factorings", rows, "--positions", "1,4", "-n", "2", "--samples", "3",
                   "--commit", "abc", "--json")
        self.assertEqual(got.returncode, 1, got)  # for the rows that did not open; all others are there
        run = json.loads(got.stdout)
        self.assertEqual((run["schema"], run["commit"], run["software_adapter"]), (2, "abc", True))
        for key in ("adapter", "driver", "backend", "webgpu", "toggles", "model", "read_gb_s"):
            self.assertIn(key, run)
        names = ["stages", "stages:ticket", "stages@wg=64,activations=f32,kv=int8", "nosuch", "stages@wg=33"]
        self.assertEqual([(r["factoring"], r["n_pos"]) for r in run["rows"]], [(n, p) for p in (1, 4) for n in names])
        for row in run["rows"]:
            if row["factoring"] in ("nosuch", "stages@wg=33"):
                self.assertIn("wanted", row["error"])
                continue
            self.assertEqual(len(row["samples_tok_s"]), 3)
            spread = [row["tok_s_" + k] for k in ("min", "q1")] + [row["tok_s"]] + [row["tok_s_" + k] for k in ("q3", "max")]
            self.assertEqual(spread, sorted(spread))
            self.assertAlmostEqual(row["tok_s"], sorted(row["samples_tok_s"])[1])
            self.assertAlmostEqual(row["ms_per_token"] * row["tok_s"], 1000, places=3)
            self.assertGreater(row["dispatches_per_token"], 100)
            self.assertTrue(row["tokens_ok"])
        first, same, other = run["rows"][:3]
        self.assertEqual([r["tokens_rule"] for r in (first, same, other)], ["first", "same", "none"])
        self.assertTrue(same["tokens_agree"])
        self.assertEqual([r["kv"] for r in (first, same, other)], ["f16", "f16", "int8"])
        self.assertEqual((other["geometry"]["workgroup_size"], other["activations"]), (64, "f32"))
        self.table(got.stdout)

    def table(self, text):
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            file.write(text)
            file.flush()
            tool = os.path.join(SOURCE, "tools", "bench_table.py")
            table = subprocess.run([sys.executable, tool, "--positions", "4", file.name], capture_output=True, timeout=SLOW)
            self.assertEqual(table.returncode, 0, table)
            lines = table.stdout.decode().splitlines()
            self.assertEqual(sum(line.startswith("| `stages`") for line in lines), 3, lines)
            self.assertEqual(sum("did not run" in line for line in lines), 2, lines)
            self.assertEqual({line.count("|") for line in lines if line.startswith("|")}, {10})
            best = subprocess.run([sys.executable, tool, "--best", file.name], capture_output=True, timeout=SLOW)
            self.assertLessEqual(best.stdout.decode().count("| `stages`"), 4)  # two numbers, two positions

    def test_what_does_not_fit_the_context(self):
        got = solo("bench", MODEL, *SHORT, "--factorings", "stages", "--positions", "63", "-n", "2", "--json")
        self.assertEqual(got.returncode, 1, got)
        self.assertIn("--ctx", json.loads(got.stdout)["rows"][0]["error"])


@unittest.skipUnless(os.path.exists(MODEL), "no model")
class Auto(unittest.TestCase):
    def explain(self, folder):
        got = solo("explain", MODEL, *SHORT, "--factoring", "auto", "--json", XDG_CACHE_HOME=folder)
        self.assertEqual(got.returncode, 0, got)
        plan = json.loads(got.stdout)
        self.assertEqual(plan["factoring"], plan["auto"]["rows"][plan["auto"]["best"]]["factoring"])
        return plan["auto"], got.stderr.decode()

    def test_measures_once_and_shrugs_at_a_damaged_file(self):
        with tempfile.TemporaryDirectory() as folder:
            first, told = self.explain(folder)
            self.assertEqual((first["from_cache"], told), (False, ""))
            second, told = self.explain(folder)
            self.assertEqual((second["from_cache"], told), (True, ""))
            self.assertEqual(second["rows"], first["rows"])
            path = os.path.join(folder, "solo", "tune.json")
            with open(path, encoding="utf-8") as file:
                good = file.read()
            with open(path, "w", encoding="utf-8") as file:
                chosen = first["rows"][first["best"]]["factoring"]
                file.write(good.replace(f'"{chosen}"', '"nosuch"'))  # of some other version, say
            third, told = self.explain(folder)
            self.assertFalse(third["from_cache"])
            self.assertIn("nosuch", told)
            with open(path, "w", encoding="utf-8") as file:
                file.write(good[:len(good) // 2])
            fourth, told = self.explain(folder)
            self.assertFalse(fourth["from_cache"])
            self.assertIn(path, told)
            self.assertTrue(self.explain(folder)[0]["from_cache"])  # replaced

    def test_no_place_to_remember_is_a_note(self):
        got, told = self.explain("/proc/nowhere")
        self.assertFalse(got["from_cache"])
        self.assertIn("not written", told)


if __name__ == "__main__":
    unittest.main()
