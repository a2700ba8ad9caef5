#!/usr/bin/env python3
"""Breaks the source one place at a time and looks whether the tests turn red (tests/mutants.txt).

    tools/mutants.py [--check | --list] [ID...]    all mutants, or those whose id begins with ID

Works on a copy of the tree in build-mutants/tree, built in build-mutants/build with
SOLO_WGSL_OVERRIDE, so that a broken kernel needs no build: the tests read it from SOLO_WGSL_DIR.
The tests run on lavapipe, on swiftshader where the pattern says so (bursts and chunks, whose kernels
take lavapipe minutes to compile, are only tested there). First they run unbroken and must not fail (a
part that the adapter cannot run is UNRUN, as in the suite). A mutant passes when its test fails; one that
does not compile, or only times out, is no proof and counts as failed.
--check: only whether each old text still occurs exactly once, which is what ctest runs.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORK = os.path.join(ROOT, "build-mutants")
TREE, BUILD = os.path.join(WORK, "tree"), os.path.join(WORK, "build")
KERNELS = os.path.join(WORK, "kernels")
TIMEOUT = 600  # seconds a test


class Mutant:
    def __init__(self, name, test, line):
        self.name, self.test, self.line, self.hunks = name, test, line, []

    def is_kernel(self):
        return all(file.startswith("kernels/") for file, _, _ in self.hunks)


def read_mutants(path):
    """See the head of tests/mutants.txt. A hunk: (file, old, new)."""
    mutants, file, old, new = [], None, [], []

    def end_hunk():
        if old:
            mutants[-1].hunks.append((file, "\n".join(old), "\n".join(new)))
        old.clear(), new.clear()

    for number, line in enumerate(open(path, encoding="utf-8"), 1):
        line = line.rstrip("\n")
        where = f"{path}:{number}"
        if line.startswith("= "):
            end_hunk()
            words = line.split()
            if len(words) != 4:
                sys.exit(f"{where}: wanted '= id file test', found '{line}'")
            mutants.append(Mutant(words[1], words[3], number))
            file = words[2]
        elif line.startswith("@ "):
            end_hunk()
            file = line[2:]
        elif line.startswith("- ") or line == "-":
            if new:
                end_hunk()
            old.append(line[2:])
        elif line.startswith("+ ") or line == "+":
            new.append(line[2:])
        elif line and not line.startswith("#"):
            sys.exit(f"{where}: wanted '=', '@', '-', '+' or '#', found '{line}'")
    end_hunk()
    names = [m.name for m in mutants]
    for m in mutants:
        if not m.hunks or names.count(m.name) > 1:
            sys.exit(f"{path}:{m.line}: {m.name}: wanted one mutant of this id, with a change")
    return mutants


def check(mutants, root):
    """How many old texts do not occur exactly once."""
    bad = 0
    for m in mutants:
        for file, old, new in m.hunks:
            try:
                with open(os.path.join(root, file), encoding="utf-8") as f:
                    n = f.read().count(old)
            except FileNotFoundError:
                n = 0
            if n != 1 or old == new:
                print(f"{m.name}: {file}: wanted this once, found it {n} times:\n    {old}")
                bad += 1
    return bad


def put(path, data):
    """Writes only what differs, so that ninja rebuilds only that."""
    if os.path.exists(path) and open(path, "rb").read() == data:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def copy_tree():
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split("\n")
    names = {n for n in names if n and os.path.isfile(os.path.join(ROOT, n))}
    for name in names:
        with open(os.path.join(ROOT, name), "rb") as f:
            put(os.path.join(TREE, name), f.read())
        shutil.copymode(os.path.join(ROOT, name), os.path.join(TREE, name))
    for folder, _, files in os.walk(TREE):
        for file in files:
            path = os.path.join(folder, file)
            if os.path.relpath(path, TREE) not in names:
                os.remove(path)
    for link in (".deps", "models"):
        path = os.path.join(TREE, link)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        if not os.path.islink(path):
            os.symlink(os.path.join(ROOT, link), path)


def build(targets):
    """None, or what went wrong."""
    run = subprocess.run(["cmake", "--build", BUILD, "--target", *targets], capture_output=True,
                         text=True)
    return None if run.returncode == 0 else run.stdout[-3000:] + run.stderr[-1000:]


def choice(pattern):
    """ctest's arguments: the tests that match, on swiftshader only where it is named."""
    return ["-R", pattern] + ([] if "swiftshader" in pattern else ["-E", "swiftshader"])


def tests_of(pattern):
    """The tests whose name matches, and the targets that they need."""
    run = subprocess.run(["ctest", "--test-dir", BUILD, "--show-only=json-v1", *choice(pattern)],
                         capture_output=True, text=True, check=True)
    tests = json.loads(run.stdout)["tests"]
    targets = {os.path.basename(t["command"][-1]) for t in tests if not t["command"][-1].endswith(".py")}
    if any(t["command"][-1].endswith(".py") for t in tests):
        targets |= {"solo", "checkpoint_file"}
    return [t["name"] for t in tests], sorted(targets)


def run_tests(pattern, kernels):
    """(verdict, output): green; red TEST; TIMEOUT, UNRUN, BROKEN (a kernel that does not compile)."""
    env = dict(os.environ)
    if kernels:
        env["SOLO_WGSL_DIR"] = kernels
    run = subprocess.run(["ctest", "--test-dir", BUILD, *choice(pattern), "--output-on-failure",
                          "--no-tests=error", "--stop-on-failure", "--timeout", str(TIMEOUT)],
                         capture_output=True, text=True, errors="replace", env=env)
    out = run.stdout + run.stderr
    if re.search(r"(factor_\w+|prefill)\.wgsl:\d+: ", out):
        return "BROKEN", out
    if run.returncode == 0:
        return ("UNRUN" if "***Skipped" in out else "green"), out
    failed = re.search(r"Test\s+#\d+: (\S+) .*\*\*\*(Failed|Exception|Timeout)", out)
    if not failed:
        return "UNRUN", out
    if failed[2] == "Timeout":
        return "TIMEOUT", out
    return "red " + failed[1], out


def patched(root, m):
    """file: bytes of it, broken."""
    texts = {}
    for file, old, new in m.hunks:
        if file not in texts:
            texts[file] = open(os.path.join(root, file), encoding="utf-8").read()
        texts[file] = texts[file].replace(old, new)
    return {file: text.encode() for file, text in texts.items()}


def run_kernel_mutant(m):
    shutil.rmtree(KERNELS, ignore_errors=True)
    shutil.copytree(os.path.join(TREE, "kernels"), KERNELS)
    for file, data in patched(TREE, m).items():
        put(os.path.join(KERNELS, os.path.basename(file)), data)
    return run_tests(m.test, KERNELS)


def run_c_mutant(m):
    broken = patched(TREE, m)
    whole = {file: open(os.path.join(TREE, file), "rb").read() for file in broken}
    try:
        for file, data in broken.items():
            put(os.path.join(TREE, file), data)
        wrong = build(tests_of(m.test)[1])
        return ("BROKEN", wrong) if wrong else run_tests(m.test, None)
    finally:
        for file, data in whole.items():
            put(os.path.join(TREE, file), data)


def prepare(chosen):
    copy_tree()
    configure = subprocess.run(
        ["cmake", "-S", TREE, "-B", BUILD, "-G", "Ninja", "-DSOLO_WGSL_OVERRIDE=ON",
         "-DSOLO_TEST_ADAPTERS=lavapipe;swiftshader"], capture_output=True, text=True)
    if configure.returncode:
        sys.exit(configure.stdout + configure.stderr)
    pattern = "|".join(sorted({m.test for m in chosen}))
    names, targets = tests_of(pattern)
    for m in chosen:
        if not tests_of(m.test)[0]:
            sys.exit(f"{m.name}: no test is called {m.test}")
    wrong = build(targets)
    if wrong:
        sys.exit(wrong)
    started = time.time()
    verdict, out = run_tests(pattern, None)
    print(f"unbroken: {verdict}, {len(names)} tests, {time.time() - started:.1f} s", flush=True)
    if verdict not in ("green", "UNRUN"):
        sys.exit(out[-6000:])


def main():
    cli = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    cli.add_argument("--check", action="store_true", help="only whether the old texts are there")
    cli.add_argument("--list", action="store_true")
    cli.add_argument("id", nargs="*")
    args = cli.parse_args()
    mutants = read_mutants(os.path.join(ROOT, "tests", "mutants.txt"))
    bad = check(mutants, ROOT)
    if args.check or bad:
        print(f"{len(mutants)} mutants, {bad} stale")
        return bad > 0
    chosen = [m for m in mutants if not args.id or any(m.name.startswith(i) for i in args.id)]
    if args.list or not chosen:
        for m in chosen:
            print(f"{m.name:24} {m.hunks[0][0]:30} {m.test}")
        return not chosen
    prepare(chosen)
    n_red = 0
    for m in chosen:
        started = time.time()
        verdict, out = run_kernel_mutant(m) if m.is_kernel() else run_c_mutant(m)
        n_red += verdict.startswith("red")
        shown = "GREEN" if verdict == "green" else verdict
        print(f"{m.name:24} {shown:28} {time.time() - started:7.1f} s", flush=True)
        with open(os.path.join(WORK, m.name + ".log"), "w") as log:
            log.write(out or "")
    print(f"{n_red} passed, {len(chosen) - n_red} failed")
    return n_red < len(chosen)


if __name__ == "__main__":
    sys.exit(main())
