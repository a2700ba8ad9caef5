#!/usr/bin/env python3
"""sweep_table.py FILE.jsonl... [--into DOC.md]: results of `solo sweep` as Markdown tables, one for each spec and file.

With --into, the tables of a spec replace what stands between the lines "<!-- rows: NAME -->" and "<!-- /rows -->" of
the document, so that no figure is written by hand. Columns are the settings in which rows of the spec differ.
"""
import argparse
import json
import re
import sys

SETTINGS = ("model layers vocab type factoring n_workgroup workgroup_size n_slice tile_rows k_split rows_team reduction "
            "activations kv hand_off assignment queue queue_across submit in_flight tokens_submit position").split()


def read(path):
    with open(path, encoding="utf-8") as file:
        head, *rows = (json.loads(line) for line in file)
    if head.get("schema") != "solo-sweep-1":
        sys.exit(f"{path}: schema: wanted \"solo-sweep-1\", found {head.get('schema')!r}")
    return head, rows


def number(value):
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def title(head):
    device = head["device"]
    what = [device["name"] + (" (software adapter: no measure of a GPU)" if device["is_software"] else ""), head["webgpu"],
            f"{head['where']}, commit {head['commit']}, {head['date']}"]
    if head["quick"]:
        what.append("the small form of the spec")
    return "*" + "; ".join(what) + "*"


def outcome(row):
    if row["status"] != "ok":
        return [f"{row['status']}: {row['reason']}".replace("|", "/"), "", "", "", ""]
    share = row.get("of_read")
    return [number(row["dispatches_per_token"]), number(row["tok_s"]),
            f"{number(row['tok_s_q1'])}–{number(row['tok_s_q3'])}", number(row["gb_s"]),
            "" if share is None else f"{100 * share:.1f} %"]


def line(cells):
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def shares(row):
    out = ["", line(["dispatches of", "a token", "ms", "share"]), line(["---"] * 4)]
    for part in row["shares"]:
        out.append(line([f"`{part['entry']}`", part["n"], f"{part['ms']:.4f}", f"{100 * part['share']:.1f} %"]))
    total = sum(part["share"] for part in row["shares"])
    out.append(line(["all", sum(part["n"] for part in row["shares"]), f"of {row['ms_per_token']:.4f}", f"{100 * total:.1f} %"]))
    return out


def table(head, rows):
    if not rows:
        return []
    varying = [s for s in SETTINGS if len({json.dumps(row["settings"].get(s)) for row in rows}) > 1] or ["factoring"]
    names = varying + ["dispatches a token", "tok/s", "quartiles", "GB/s", "of read bandwidth"]
    out = [title(head), "", line(names), line(["---"] * len(names))]
    for row in rows:
        out.append(line([row["settings"].get(s, "") for s in varying] + outcome(row)))
    for row in rows:
        if row.get("shares"):
            out += shares(row)
    return out + [""]


def tables(results, spec):
    out = []
    for head, rows in results:
        out += table(head, [row for row in rows if row["spec"] == spec])
    return out


def fill(text, results):
    def block(match):
        found = "\n".join(tables(results, match.group(1))) or "(not measured yet)\n"
        return f"<!-- rows: {match.group(1)} -->\n{found}\n<!-- /rows -->"
    return re.sub(r"<!-- rows: ([\w-]+) -->\n.*?<!-- /rows -->", block, text, flags=re.DOTALL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--into")
    options = parser.parse_args()
    results = [read(path) for path in options.files]
    if options.into:
        with open(options.into, encoding="utf-8") as file:
            text = file.read()
        with open(options.into, "w", encoding="utf-8") as file:
            file.write(fill(text, results))
        return
    specs = dict.fromkeys(row["spec"] for _, rows in results for row in rows)
    for spec in specs:
        print(f"### {spec}\n\n" + "\n".join(tables(results, spec)))


main()
