#!/bin/bash
# phi3.sh OUTDIR: on a machine with a GPU, makes a model file of Phi-3-mini's shape with random weights and
# times every factoring of it, warm, side by side in one process. Writes OUTDIR/phi3.json (solo bench's
# JSON), probe.json and tune.json, and prints the table; single-wg, hundreds of times slower, gets a process
# and a file of its own with few tokens (phi3-single-wg.json). Environment, with defaults:
#   SOLO (build/solo)  DEVICE (auto, as --device)  COMMIT  MODEL (made in OUTDIR where it is not there)
#   ROWS (below; solo bench --factorings)  POSITIONS (1,128,2048)  TOKENS (128)  SAMPLES (9)  CTX (4096)
set -u
cd "$(dirname "$0")/.."
OUT=${1:?usage: bench/phi3.sh OUTDIR}; SOLO=${SOLO:-build/solo}; DEVICE=${DEVICE:-auto}
MODEL=${MODEL:-$OUT/phi-3-mini-q4_0.gguf}; COMMIT=${COMMIT:-$(git describe --always --dirty 2>/dev/null || echo unknown)}
# Each at its own geometry. What a build does not know, or a device does not grant, is a row that says so.
ROWS=${ROWS:-unfused,roles,stages,stages@wg=128,stages@wg=384,stages@n=264,layer,chunk:8,single:static,single:static@wg=384,single:static@wg=512,single:ticket,burst:4}
mkdir -p "$OUT" || exit 1
if [ ! -e "$MODEL" ]; then
  "$SOLO" synth phi-3-mini "$MODEL" --type q4_0 --output-type q4_0 || exit 1 # 4 bits all through
fi
failed=0
"$SOLO" probe --device "$DEVICE" --json >"$OUT/probe.json" || failed=1
"$SOLO" bench "$MODEL" --device "$DEVICE" --factorings "$ROWS" --positions "${POSITIONS:-1,128,2048}" \
  -n "${TOKENS:-128}" --samples "${SAMPLES:-9}" --ctx "${CTX:-4096}" --commit "$COMMIT" --json >"$OUT/phi3.json" ||
  { failed=1; echo "phi3.sh: a row failed or differs: see the notes above and \"error\" in $OUT/phi3.json"; }
"$SOLO" bench "$MODEL" --device "$DEVICE" --factorings single-wg --positions 1 -n 4 --samples 3 --ctx "${CTX:-4096}" \
  --commit "$COMMIT" --json >"$OUT/phi3-single-wg.json" || failed=1
"$SOLO" tune "$MODEL" --device "$DEVICE" --ctx "${CTX:-4096}" --json >"$OUT/tune.json" ||
  failed=1
python3 tools/bench_table.py "$OUT/phi3.json" || failed=1
exit $failed
