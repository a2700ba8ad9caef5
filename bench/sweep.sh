#!/bin/bash
# sweep.sh OUTDIR [--quick]: on a machine with a GPU, every spec of bench/specs (docs/sweep.md): OUTDIR/sweep.jsonl,
# sweep.csv, and where gnuplot is, spectrum.svg with the fitted curve. 47 of 125 rows took 170 s on an H100; given again, it goes
# on where it ended. --quick: each spec's small form, for software adapters: shows that all runs. Environment, with defaults:
#   SOLO (build/solo)  DEVICE (auto)  COMMIT  SPECS (below; solo sweep --list)
# Specs of the whole Phi-3-mini stand together: its file is made once.
set -u
cd "$(dirname "$0")/.."
OUT=${1:?usage: bench/sweep.sh OUTDIR [--quick]}; SOLO=${SOLO:-build/solo}; DEVICE=${DEVICE:-auto}
COMMIT=${COMMIT:-$(git describe --always --dirty 2>/dev/null || echo unknown)}
SPECS=${SPECS:-spectrum roles ultra phi3-full multicore phi3 fusedqkv tiled fast bigwg regopt pipeline int4 predequant bench probe-limits shapes toy}
mkdir -p "$OUT" || exit 1
# shellcheck disable=SC2086 # a list of names
"$SOLO" sweep $SPECS ${2:+"$2"} --device "$DEVICE" --commit "$COMMIT" -o "$OUT/sweep.jsonl" || exit 1
if command -v gnuplot >/dev/null; then "$SOLO" plot "$OUT/sweep.jsonl" --spec spectrum -o "$OUT/spectrum.svg" || exit 1; fi
