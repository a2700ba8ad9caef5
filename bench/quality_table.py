#!/usr/bin/env python3
"""quality_table.py ROWS: the table of docs/quality.md from the rows of bench/quality.sh. Rows of other ids or of another
source file are refused: they say nothing of each other."""
import json
import math
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    if len({(row["output"]["n_scored"], row["source_sha256"], row["text"]) for row in rows}) != 1:
        sys.exit(f"{sys.argv[1]}: wanted rows of one source file, one text, and as many ids, found others")
    mean = {(row["engine"], row["type"]): nll(row["output"]) for row in rows}
    size = {row["type"]: row["file_bytes"] for row in rows}
    kl = {row["type"]: row["output"]["kl_mean"] for row in rows if "kl_mean" in row["output"]}
    exact = mean.get(("solo", "f32"))
    print(f"| type | file, MB | perplexity | against f32 |{' KL of int8, nats |' if kl else ''} llama.cpp, same file |")
    print(f"|---|---|---|---|{'---|' if kl else ''}---|")
    for kind in sorted(size, key=lambda k: -size[k]):
        ours, theirs = mean.get(("solo", kind)), mean.get(("llama.cpp", kind))
        cells = [kind, f"{size[kind] / 1e6:.1f}", shown(ours),
                 f"{100 * math.expm1(ours - exact):+.1f} %" if ours and exact else "–"]
        if kl:
            cells.append(f"{kl[kind]:.5f}" if kind in kl else "–")
        print("| " + " | ".join(cells + [shown(theirs)]) + " |")


def nll(output):
    total = output["nll"] if "nll" in output else sum(output["window_nll"])
    return total / output["n_scored"]


def shown(mean):
    return f"{math.exp(mean):.2f}" if mean else "–"


if __name__ == "__main__":
    main()
