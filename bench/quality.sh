#!/bin/bash
# quality.sh OUTDIR: what each weight type costs in perplexity. The model's matrices are dequantised and written in each
# type by `solo convert` (embedding and output at 8 bits or more), and each file predicts the same text; with LLAMA,
# llama.cpp predicts it from the same file too. Appends a row to OUTDIR/rows.jsonl for each type and engine, leaves out those
# that are there, so that what was cut goes on, and writes OUTDIR/table.md from all rows (bench/quality_table.py).
# Environment, with defaults:
#   SOLO (build/solo)  MODEL (SmolLM2's Q4_1)  TEXT (tests/data/ppl.txt)  DEVICE (auto; cpu: the exact reference)
#   IDS (0: all of the text)  TYPES (below)  COMMIT  KL (set: --kl too, against f32 activations and KV)
#   KV (auto: f16 with int8 activations) f32, f16, int8  ACTIVATIONS (int8; the reference's are f32 whatever is said)
#   LLAMA (unset; else a folder for npm node-llama-cpp, which is put there where it is not: llama.cpp on the CPU)
set -u
cd "$(dirname "$0")/.."
OUT=${1:?usage: bench/quality.sh OUTDIR}; SOLO=${SOLO:-build/solo}; DEVICE=${DEVICE:-auto}
MODEL=${MODEL:-models/SmolLM2-135M-Instruct.Q4_1.gguf}; TEXT=${TEXT:-tests/data/ppl.txt}; IDS=${IDS:-0}
TYPES=${TYPES:-f32 f16 bf16 q8_0 q6_k q5_k q5_1 q5_0 q4_k q4_1 q4_0 iq4_nl iq4_xs mxfp4 q3_k q2_k}
COMMIT=${COMMIT:-$(git describe --always --dirty 2>/dev/null || echo unknown)}
WINDOW=256
mkdir -p "$OUT" || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0
touch "$OUT/rows.jsonl"
if [ -n "${LLAMA:-}" ] && [ ! -e "$LLAMA/node_modules/node-llama-cpp" ]; then
  mkdir -p "$LLAMA" && (cd "$LLAMA" && npm install --no-audit --no-fund --loglevel error node-llama-cpp@3.22.1) || exit 1
fi
sum=$(sha256sum "$MODEL" | cut -d ' ' -f 1)
"$SOLO" tokenize "$MODEL" --bos <"$TEXT" | python3 -c "import json, sys
ids = json.load(sys.stdin); print(json.dumps(ids[:$IDS or None]))" >"$tmp/ids" || exit 1

has_row() { grep -q "^{\"engine\": \"$1\", \"type\": \"$2\"," "$OUT/rows.jsonl"; }
add_row() { # ENGINE TYPE: what $tmp/out says
  printf '{"engine": "%s", "type": "%s", "file_bytes": %s, "source_sha256": "%s", "text": "%s", "commit": "%s", "output": %s}\n' \
    "$1" "$2" "$(stat -c %s "$tmp/m.gguf")" "$sum" "$TEXT" "$COMMIT" "$(cat "$tmp/out")" >>"$OUT/rows.jsonl"
}
fail() { failed=1; echo "quality.sh: $1: $(tail -n 3 "$tmp/err")" >&2; }

for type in $TYPES; do
  if has_row solo "$type" && { [ -z "${LLAMA:-}" ] || has_row llama.cpp "$type"; }; then continue; fi
  "$SOLO" convert "$MODEL" "$tmp/m.gguf" --type "$type" 2>"$tmp/err" || { fail "$type"; continue; }
  has_row solo "$type" ||
    { "$SOLO" perplexity "$tmp/m.gguf" --file "$TEXT" --device "$DEVICE" --window $WINDOW --max-ids "$IDS" \
      --kv "${KV:-auto}" --activations "${ACTIVATIONS:-int8}" ${KL:+--kl} --json >"$tmp/out" 2>"$tmp/err" && add_row solo "$type"; } || fail "$type"
  [ -z "${LLAMA:-}" ] || has_row llama.cpp "$type" ||
    { node bench/quality_llama.mjs "$LLAMA" "$tmp/m.gguf" $WINDOW <"$tmp/ids" >"$tmp/out" 2>"$tmp/err" &&
      add_row llama.cpp "$type"; } || fail "$type by llama.cpp"
done
python3 bench/quality_table.py "$OUT/rows.jsonl" | tee "$OUT/table.md" || failed=1
exit $failed
