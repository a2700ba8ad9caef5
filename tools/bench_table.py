#!/usr/bin/env python3
"""bench_table.py FILE.json [--positions N] [--best]: a JSON of `solo bench` as a Markdown table for the README.

One line a row and number of positions: median, spread (interquartile), GB/s, share of the measured read bandwidth. --positions
keeps one number of positions; --best keeps, of rows that differ in geometry or assignment only, the
fastest that is not refused, fell back or wrote other tokens. Rows that failed stand below the table.
"""
import argparse
import json
import sys


def base_name(row):
    name = row["factoring"].split("@")[0]
    for form in (":static", ":ticket"):
        name = name.removesuffix(form)
    return name


def doubts(row):
    found = []
    if row.get("fell_back"):
        found.append(f"fell back to {row['ran_as']}")
    if row.get("refused"):
        found.append("refused: " + row["refused"])
    if not row["tokens_ok"]:
        found.append(f"other tokens after {row['tokens_leading']}")
    return found


def best_of(rows):
    best = {}
    for row in rows:
        key = (base_name(row), row["n_pos"], row["activations"])
        if not doubts(row) and (key not in best or row["tok_s"] > best[key]["tok_s"]):
            best[key] = row
    return [row for row in rows if best.get((base_name(row), row["n_pos"], row["activations"])) is row]


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def cells(row):
    geometry = row["geometry"]
    shape = f"{geometry['workgroup_size']} lanes"
    if geometry["workgroups"]:
        shape = f"{geometry['workgroups']} × {shape}, {row['assignment']}"
    note = "; ".join(doubts(row))
    return [f"`{base_name(row)}`" + (f" ({note})" if note else ""), number(row["dispatches_per_token"]), shape,
            str(row["n_pos"]), number(row["tok_s"]), f"{number(row['tok_s_q1'])}–{number(row['tok_s_q3'])}",
            f"{row['ms_per_token']:.3f}", number(row["gb_s"]), f"{100 * row['of_read']:.0f} %"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--positions", type=int)
    parser.add_argument("--best", action="store_true")
    options = parser.parse_args()
    with open(options.file, encoding="utf-8") as file:
        run = json.load(file)
    if run.get("schema") != 2:
        sys.exit(f"{options.file}: wanted schema 2 of solo bench, found {run.get('schema')}")
    rows = [row for row in run["rows"] if options.positions in (None, row["n_pos"])]
    ran = [row for row in rows if "tok_s" in row]
    shown = best_of(ran) if options.best else ran
    head = ["factoring", "dispatches a token", "geometry", "positions", "tok/s", "quartiles", "ms a token", "GB/s",
            "of read bandwidth"]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in shown:
        print("| " + " | ".join(cells(row)) + " |")
    kind = " (a software adapter: no measure of a GPU)" if run["software_adapter"] else ""
    print(f"\n{run['model']} ({run['file_type']}) on {run['adapter']}{kind}, {run['driver']}, {run['backend']}, "
          f"{run['webgpu']}; read bandwidth {number(run['read_gb_s'])} GB/s; commit {run['commit']}; medians of "
          f"{run['n_sample']} samples taken in turn.")
    for row in rows:
        if "tok_s" not in row:
            print(f"\n`{row['factoring']}` after {row['n_pos']} positions did not run: {row['error']}")


if __name__ == "__main__":
    main()
