#!/bin/bash
# web.sh CHROMIUM OUTDIR: on a machine with a GPU, every factoring of a model of Phi-3-mini's shape in Chromium against the
# native build, in one run (bench/web.py). Wants build/solo and build/web/solo-engine.tgz (make web). Writes OUTDIR/web.json.
# Environment, with defaults: MODEL (made in OUTDIR where it is not there)  ROWS  POSITIONS (128,2048)  TOKENS (128)
#   SAMPLES (7)  CTX (4096)  FLAGS (Chromium's, for a GPU)  DEVICE (auto)  COMMIT
#   SPECS (none: experiments for the page, by name; OUTDIR/NAME.jsonl each)
set -eu
cd "$(dirname "$0")/.."
CHROMIUM=${1:?usage: bench/web.sh CHROMIUM OUTDIR}
OUT=${2:?usage: bench/web.sh CHROMIUM OUTDIR}
MODEL=${MODEL:-$OUT/phi-3-mini-q4_0.gguf}
mkdir -p "$OUT"
[ -e "$MODEL" ] || build/solo synth phi-3-mini "$MODEL" --type q4_0 --output-type q4_0
exec python3 bench/web.py "$CHROMIUM" "$MODEL" "$OUT/web.json" ${ROWS:+--rows "$ROWS"} ${FLAGS+"--flags=$FLAGS"} \
  ${SPECS:+--specs "$SPECS"} --positions "${POSITIONS:-128,2048}" --tokens "${TOKENS:-128}" --samples "${SAMPLES:-7}" --ctx "${CTX:-4096}" \
  --device "${DEVICE:-auto}" --commit "${COMMIT:-$(git describe --always --dirty 2> /dev/null || echo unknown)}"
