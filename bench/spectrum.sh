#!/bin/bash
# spectrum.sh OUTDIR [MODEL]: on a machine with a GPU, checks and times every factoring of a real model.
# Writes OUTDIR/tokens-*.json (greedy tokens of each factoring, which must agree) and OUTDIR/bench-*.json
# (solo bench, int8 and f32). Environment: SOLO (the program, build/solo), DEVICE (as --device), COMMIT,
# FACTORINGS (rows of solo bench), RUNS (factorings whose tokens are held together), PROMPTS, POSITIONS,
# SAMPLES, TOKENS.
set -u
cd "$(dirname "$0")/.."
OUT=${1:?usage: bench/spectrum.sh OUTDIR [MODEL]}; MODEL=${2:-models/SmolLM2-135M-Instruct.Q4_1.gguf}
SOLO=${SOLO:-build/solo}; DEVICE=${DEVICE:-auto}; SAMPLES=${SAMPLES:-7}; TOKENS=${TOKENS:-128}
COMMIT=${COMMIT:-$(git describe --always --dirty 2>/dev/null || echo unknown)}
FACTORINGS=${FACTORINGS:-unfused,stages,single:static,single:ticket,single:static@wg=128,single:static@wg=512}
mkdir -p "$OUT" || exit 1
failed=0
"$SOLO" devices || exit 1

# The same prompts as tests/vectors hold no ids for: plain sentences, 32 greedy tokens each.
prompts=("The capital of France is" "Once upon a time there was a lighthouse keeper who" "def fibonacci(n):")
for act in int8 f32; do
  for i in ${PROMPTS:-0 1 2}; do
    first=
    for f in ${RUNS:-unfused stages single}; do
      line=$("$SOLO" run "$MODEL" --raw -p "${prompts[$i]}" -n 32 --activations $act --factoring "$f" --device "$DEVICE" --json) || { failed=1; echo "FAIL $act $f: no answer"; continue; }
      echo "$line" >>"$OUT/tokens-$act.json"
      tokens=$(sed 's/.*"tokens": \(\[[^]]*\]\).*/\1/' <<<"$line")
      grep -q '"fell_back": false' <<<"$line" || { failed=1; echo "FAIL $act $f: fell back"; }
      [ -z "$first" ] && first=$tokens
      [ "$tokens" = "$first" ] || { failed=1; echo "FAIL $act $f: other tokens than the first for prompt $i"; }
    done
  done
done
[ $failed = 0 ] && echo "tokens: all factorings agree, int8 and f32"

for act in int8 f32; do
  "$SOLO" bench "$MODEL" --device "$DEVICE" --activations $act --positions "${POSITIONS:-128,2048}" -n "$TOKENS" \
    --samples "$SAMPLES" --factorings "$FACTORINGS" --commit "$COMMIT" --json >"$OUT/bench-$act.json" ||
    { failed=1; echo "FAIL bench $act"; }
  echo "== $act activations"
  python3 tools/bench_table.py "$OUT/bench-$act.json" || failed=1
done
exit $failed
