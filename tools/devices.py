#!/usr/bin/env python3
"""Merges results from anyone's device into docs/DEVICES.md.

    tools/devices.py                  checks bench/results/devices/*.jsonl, writes docs/DEVICES.md
    tools/devices.py --check FILE...  only checks these

A file is what `solo sweep -o` or the page's "Download the result" wrote (docs/sweep.md). A wrong one is refused with its line, the
field, what was wanted and what was found: anything beyond the form too, so that nothing of a person comes along. Best factorings and fits
are `solo plot --json`'s (SOLO_BIN, or build/solo)."""
import argparse
import glob
import json
import math
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NUMBER, SIGNED, COUNT, TEXT, FLAG = "a number from 0", "a number", "a whole number from 0", "text", "true or false"


class Maybe:
    """Or null."""
    def __init__(self, of):
        self.of = of


class Lacking(Maybe):
    """Or not there."""


# ---- the form -------------------------------------------------------------------------------------
# dict: an object with these keys and no others; [x]: a list of x; a set: one of these; a string: a kind of value.

DEVICE = {"name": TEXT, "backend": TEXT, "driver": TEXT, "kind": {"gpu", "software"}, "is_software": FLAG, "has_subgroups": FLAG,
          "has_f16": FLAG, "subgroup_min": COUNT, "subgroup_max": COUNT, "max_workgroup_size": COUNT, "max_workgroup_bytes": COUNT,
          "max_storage_buffers": COUNT, "max_buffer_bytes": COUNT, "max_binding_bytes": COUNT}
PROBE = {"workgroup_size": COUNT, "workgroup_bytes": COUNT, "n_resident": COUNT, "read_bytes_s": NUMBER, "dispatch_us": NUMBER,
         "round_trip_us": NUMBER, "hand_off": [{"n_workgroup": COUNT, "us": NUMBER}]}
RATES = {"submit_us": NUMBER, "copy_bytes_s": NUMBER, "dp4a_ops_s": NUMBER, "f32_ops_s": NUMBER, "f16_ops_s": NUMBER, "max_width": COUNT,
         "max_layers": COUNT}
HEAD = {"schema": {"solo-sweep-1"}, "what": {"head"}, "solo": TEXT, "commit": TEXT, "where": {"native", "page"}, "date": TEXT,
        "webgpu": TEXT, "browser": Maybe(TEXT), "toggles": [TEXT], "quick": FLAG, "device": DEVICE, "probe": PROBE, "rates": RATES}
SETTINGS = {**{key: Lacking(COUNT) for key in (
                "layers", "vocab", "n_workgroup", "workgroup_size", "n_slice", "tile_rows", "k_split", "rows_team", "queue", "in_flight",
                "tokens_submit", "position", "seed")},
            **{key: Lacking(TEXT) for key in (
                "model", "type", "output_type", "factoring", "reduction", "activations", "kv", "hand_off", "assignment", "submit")},
            "queue_across": Lacking(FLAG)}
MODEL = {"name": TEXT, "arch": TEXT, "n_layer": COUNT, "n_embd": COUNT, "n_head": COUNT, "n_head_kv": COUNT, "n_ff": COUNT,
         "n_vocab": COUNT, "file_type": TEXT, "n_param": COUNT}
PLAN = {"factoring": TEXT, "assignment": TEXT, "hand_off": TEXT, "activations": {"int8", "f32"}, "kv": {"f16", "f32"}, "reduction": TEXT,
        "n_workgroup": COUNT, "workgroup_size": COUNT, "workgroup_bytes": COUNT, "n_stage": COUNT,
        "stages": [{"name": TEXT, "n_tile": COUNT, "tile_rows": COUNT, "team": COUNT, "rows_team": COUNT}]}
CHECK = {"reference": {"cpu"}, "rule": {"bits", "tolerance"}, "n_token": COUNT, "error_max": NUMBER, "error_rms": NUMBER,
         "tolerance": NUMBER}
TIMES = {"samples_tok_s": [NUMBER], "tok_s": NUMBER, "tok_s_min": NUMBER, "tok_s_max": NUMBER, "tok_s_q1": NUMBER, "tok_s_q3": NUMBER,
         "ms_per_token": NUMBER, "dispatches_per_token": NUMBER, "submits_per_token": NUMBER, "hand_offs_per_token": NUMBER,
         "bytes_per_token": NUMBER, "gb_s": NUMBER, "of_read": Maybe(NUMBER), "predicted_ms": Maybe(NUMBER),
         "shares": Lacking([{"entry": TEXT, "n": COUNT, "ms": SIGNED, "share": SIGNED}])}
ROW = {"what": {"row"}, "spec": TEXT, "key": TEXT, "settings": SETTINGS, "n_pos": COUNT, "n_token": COUNT, "n_sample": COUNT,
       "warm_s": NUMBER}
OK_ROW = {**ROW, "status": {"ok"}, "model": MODEL, "plan": PLAN, "check": CHECK, **TIMES}
BAD_ROW = {**ROW, "status": {"error", "refused"}, "reason": TEXT, "model": Lacking(MODEL), "plan": Lacking(PLAN), "check": Lacking(CHECK)}


class Refused(Exception):
    pass


def wanted(where, what, found):
    text = json.dumps(found)
    raise Refused(f"{where}: wanted {what}, found {text if len(text) < 80 else text[:77] + '...'}")


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def check_value(form, value, where):
    if isinstance(form, Maybe):
        return None if value is None and not isinstance(form, Lacking) else check_value(form.of, value, where)
    if isinstance(form, dict):
        if not isinstance(value, dict):
            wanted(where, "an object", value)
        for key in value:
            if key not in form:
                wanted(f"{where}.{key}", "no such field", value[key])
        for key, of in form.items():
            if key in value:
                check_value(of, value[key], f"{where}.{key}")
            elif not isinstance(of, Lacking):
                wanted(f"{where}.{key}", "a value", None)
        return None
    if isinstance(form, list):
        if not isinstance(value, list):
            wanted(where, "a list", value)
        for i, each in enumerate(value):
            check_value(form[0], each, f"{where}[{i}]")
        return None
    if isinstance(form, set):
        return None if isinstance(value, str) and value in form else wanted(where, " or ".join(f'"{v}"' for v in sorted(form)), value)
    good = {TEXT: isinstance(value, str) and len(value) <= 1000, FLAG: isinstance(value, bool), NUMBER: is_number(value) and value >= 0,
            SIGNED: is_number(value),  # a difference: of what takes next to nothing it may be less than nothing
            COUNT: is_number(value) and value >= 0 and value == int(value)}[form]
    return None if good else wanted(where, form, value)


# ---- what the form cannot say ---------------------------------------------------------------------

def check_times(head, row, where):
    """An ok row's figures agree with each other, its output was right, and the device could do it."""
    if not 0 < row["tok_s_min"] <= row["tok_s"] <= row["tok_s_max"]:
        wanted(f"{where}.tok_s", "the median between the least and the most", row["tok_s"])
    if abs(row["ms_per_token"] * row["tok_s"] - 1000) > 1 or len(row["samples_tok_s"]) != row["n_sample"]:
        wanted(f"{where}.ms_per_token", "what the samples say", row["ms_per_token"])
    if row["check"]["error_max"] > row["check"]["tolerance"]:
        wanted(f"{where}.check.error_max", f"at most {row['check']['tolerance']:g}", row["check"]["error_max"])
    gb_s = row["bytes_per_token"] * row["tok_s"] * 1e-9
    if abs(row["gb_s"] - gb_s) > 0.01 * gb_s:
        wanted(f"{where}.gb_s", f"{gb_s:.4g}, its bytes times its rate", row["gb_s"])
    if head["device"]["is_software"]:
        return
    if row["warm_s"] < 0.5:
        wanted(f"{where}.warm_s", "at least 0.5 s of decoding before the first sample", row["warm_s"])
    if not 0 < row["gb_s"] * 1e9 <= head["probe"]["read_bytes_s"]:
        wanted(f"{where}.gb_s", "at most the measured read bandwidth", row["gb_s"])


def read_result(path):
    """Its lines. Raises Refused."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            lines.append(json.loads(line))
        except ValueError as error:
            raise Refused(f"{path}:{number}: wanted JSON, found: {error}") from None
    if len(lines) < 2:
        raise Refused(f"{path}: wanted a head and rows, found {len(lines)} lines")
    head, seen = lines[0], set()
    check_value(HEAD, head, f"{path}:1: head")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", head["date"]):
        wanted(f"{path}:1: head.date", "a day, as 2026-01-31", head["date"])
    if not head["device"]["name"]:
        wanted(f"{path}:1: head.device.name", "the adapter's name", "")
    for number, row in enumerate(lines[1:], 2):
        where = f"{path}:{number}: row"
        is_ok = isinstance(row, dict) and row.get("status") == "ok"
        check_value(OK_ROW if is_ok else BAD_ROW, row, where)
        if row["key"] in seen:
            wanted(f"{where}.key", "one that no other row has", row["key"])
        seen.add(row["key"])
        if is_ok:
            check_times(head, row, where)
    return lines


# ---- the table ------------------------------------------------------------------------------------

def curves_of(path):
    program = os.environ.get("SOLO_BIN", os.path.join(ROOT, "build", "solo"))
    done = subprocess.run([program, "plot", path, "--json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"{path}: {done.stderr.strip()}")
    return json.loads(done.stdout)["curves"]


def cell(text):
    return str(text).replace("|", "/")


def fit_cell(fit):
    if not fit:
        return "– | – | – | –"
    return f"{fit['dispatch_us']:.2f} | {fit['hand_off_us']:.2f} | {fit['stage_us']:.2f} | {100 * fit['worst']:.0f} %"


def rows_of(path, lines):
    head = lines[0]
    where = head["browser"] or "native"
    for curve in curves_of(path):
        best = max(curve["points"], key=lambda point: point["tok_s"])
        name = curve["name"] + (" (quick)" if head["quick"] else "")
        yield [cell(head["device"]["name"]), cell(where), f"{head['probe']['read_bytes_s'] * 1e-9:.4g}", cell(name),
               f"`{cell(best['factoring'])}`", f"{best['dispatches']:.4g}", f"{best['tok_s']:.4g}", fit_cell(curve["fit"]),
               f"[{head['date']}](../bench/results/devices/{os.path.basename(path)})"]


def page(results):
    out = ["# Devices", "",
           "Results from anyone's device: the best factoring of each curve (`docs/sweep.md`) and what its costs are fitted to be. Made by",
           "`tools/devices.py` from `bench/results/devices/`; to add a device, run `solo sweep spectrum -o FILE.jsonl`, or the experiment on the page's",
           "Spectrum tab and \"Download the result\", and put the file there.", ""]
    head = ["Device", "Where", "Read, GB/s", "Curve", "Best", "Dispatches a token", "tok/s", "Dispatch, µs | Hand-off, µs | Stage, µs | Furthest off",
            "File"]
    for title, is_software in (("GPUs", False), ("Software adapters: they show that it runs, not how fast", True)):
        rows = [row for path, lines in results if lines[0]["device"]["is_software"] == is_software for row in rows_of(path, lines)]
        out += [f"## {title}", ""]
        if rows:
            line = "| " + " | ".join(head) + " |"
            out += [line, "|" + "---|" * (line.count("|") - 1)]
            out += ["| " + " | ".join(row) + " |" for row in sorted(rows)]
        else:
            out.append("None yet.")
        out.append("")
    return "\n".join(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--check", nargs="+", metavar="FILE", help="only check these")
    parser.add_argument("--folder", default=os.path.join(ROOT, "bench", "results", "devices"))
    parser.add_argument("--out", default=os.path.join(ROOT, "docs", "DEVICES.md"))
    options = parser.parse_args()
    paths = options.check or sorted(glob.glob(os.path.join(options.folder, "*.jsonl")))
    try:
        results = [(path, read_result(path)) for path in paths]
        text = None if options.check else page(results)
    except (Refused, OSError) as refused:
        sys.exit(f"devices: error: {refused}")
    if text:
        with open(options.out, "w", encoding="utf-8") as file:
            file.write(text)
    print(f"devices: {len(results)} results are as they should be" + ("" if options.check else f"; {options.out} is written"))


if __name__ == "__main__":
    main()
