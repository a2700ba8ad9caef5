#!/bin/bash
# spectrum.sh OUTDIR [MODEL]: on a machine with a GPU, checks and times every factoring of a real model.
# Writes OUTDIR/tokens-*.json (greedy tokens of each factoring, which must agree) and OUTDIR/bench-*.json
# (solo bench rows). Environment: SOLO (the program, build/solo), DEVICE (as --device), COMMIT,
# FACTORINGS, SAMPLES, TOKENS.
set -u
cd "$(dirname "$0")/.."
OUT=${1:?usage: bench/spectrum.sh OUTDIR [MODEL]}; MODEL=${2:-models/SmolLM2-135M-Instruct.Q4_1.gguf}
SOLO=${SOLO:-build/solo}; DEVICE=${DEVICE:-auto}; SAMPLES=${SAMPLES:-7}; TOKENS=${TOKENS:-128}
COMMIT=${COMMIT:-$(git describe --always --dirty 2>/dev/null || echo unknown)}
FACTORINGS=${FACTORINGS:-unfused,roles,stages,layer,chunk:8,single-wg,single:static,single:ticket,burst:4}
mkdir -p "$OUT"; failed=0
"$SOLO" devices || exit 1

# The same prompts as tests/vectors hold no ids for: plain sentences, 32 greedy tokens each.
prompts=("The capital of France is" "Once upon a time there was a lighthouse keeper who" "def fibonacci(n):")
for act in int8 f32; do
  for i in ${PROMPTS:-0 1 2}; do
    first=
    for f in unfused roles stages layer chunk single burst; do
      line=$("$SOLO" run "$MODEL" --raw -p "${prompts[$i]}" -n 32 --activations $act --factoring $f --device "$DEVICE" --json) || { failed=1; echo "FAIL $act $f: no answer"; continue; }
      echo "$line" >>"$OUT/tokens-$act.json"
      tokens=$(sed 's/.*"tokens": \(\[[^]]*\]\).*/\1/' <<<"$line")
      grep -q '"fell_back": false' <<<"$line" || { failed=1; echo "FAIL $act $f: fell back"; }
      [ -z "$first" ] && first=$tokens
      [ "$tokens" = "$first" ] || { failed=1; echo "FAIL $act $f: other tokens than unfused for prompt $i"; }
    done
  done
done
[ $failed = 0 ] && echo "tokens: all factorings agree, int8 and f32"

for act in int8 f32; do
  for n in 128 2048; do
    file=$OUT/bench-$act-$n.json
    list=$FACTORINGS
    [ $n = 2048 ] && list=$(sed 's/single-wg,//' <<<"$list") # minutes at this length
    "$SOLO" bench "$MODEL" --device "$DEVICE" --activations $act --positions $n -n "$TOKENS" --samples "$SAMPLES" \
      --factorings "$list" --commit "$COMMIT" --json >"$file" || { failed=1; echo "FAIL bench $act $n"; }
    echo "== $act activations, $n positions"
    python3 - "$file" <<'PY'
import json, sys
d = json.load(open(sys.argv[1]))
print(d["adapter"], "read %.0f GB/s" % d["read_gb_s"])
for r in d["rows"]:
    print("%-14s %6.4g dispatches %9.1f tok/s  min %9.1f max %9.1f  %7.3f ms  %5.1f %% of read  %s%s" % (
        r["factoring"], r["dispatches_per_token"], r["tok_s"], min(r["samples_tok_s"]), max(r["samples_tok_s"]),
        r["ms_per_token"], 100 * r["of_read"], "agree" if r["tokens_agree"] else "DIFFER", " FELL BACK" if r["fell_back"] else ""))
PY
  done
done
exit $failed
