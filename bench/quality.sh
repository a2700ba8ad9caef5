#!/bin/bash
# quality.sh OUTFILE: what each weight type costs in perplexity. The model's matrices are dequantised and written in each
# type by `solo convert` (embedding and output at 8 bits or more), and each file predicts the same text. Writes JSON, one
# row a type, and prints a table. Environment, with defaults:
#   SOLO (build/solo)  MODEL (SmolLM2's Q4_1)  TEXT (tests/data/ppl.txt)  DEVICE (auto; cpu: the exact reference)
#   IDS (0: all of the text)  TYPES (below)  COMMIT  KL (set: --kl too, against f32 activations and KV)
#   KV (auto: f16 with int8 activations) f32, f16, int8  ACTIVATIONS (int8; the reference's are f32 whatever is said)
set -u
cd "$(dirname "$0")/.."
OUT=${1:?usage: bench/quality.sh OUTFILE}; SOLO=${SOLO:-build/solo}; DEVICE=${DEVICE:-auto}
MODEL=${MODEL:-models/SmolLM2-135M-Instruct.Q4_1.gguf}; TEXT=${TEXT:-tests/data/ppl.txt}
TYPES=${TYPES:-f32 f16 bf16 q8_0 q6_k q5_k q5_1 q5_0 q4_k q4_1 q4_0 iq4_nl iq4_xs mxfp4 q3_k q2_k}
COMMIT=${COMMIT:-$(git describe --always --dirty 2>/dev/null || echo unknown)}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
failed=0
: >"$tmp/rows"
for type in $TYPES; do
  "$SOLO" convert "$MODEL" "$tmp/m.gguf" --type "$type" 2>"$tmp/err" &&
    "$SOLO" perplexity "$tmp/m.gguf" --file "$TEXT" --device "$DEVICE" --max-ids "${IDS:-0}" \
      --kv "${KV:-auto}" --activations "${ACTIVATIONS:-int8}" ${KL:+--kl} --json \
      >"$tmp/out" 2>"$tmp/err" || { failed=1; echo "quality.sh: $type: $(cat "$tmp/err")" >&2; continue; }
  printf '{"type": "%s", "file_bytes": %s, "output": %s}\n' "$type" "$(stat -c %s "$tmp/m.gguf")" "$(cat "$tmp/out")" \
    >>"$tmp/rows"
done
python3 - "$OUT" "$tmp/rows" "$COMMIT" "$(sha256sum "$MODEL" | cut -d ' ' -f 1)" "$MODEL" "$TEXT" <<'PY' || failed=1
import json, sys
out, rows, commit, sum_, model, text = sys.argv[1:]
rows = [json.loads(line) for line in open(rows)]
with open(out, "w") as file:
    json.dump({"what": "perplexity by weight type, converted from one file", "model": model, "model_sha256": sum_,
               "text": text, "commit": commit, "rows": rows}, file, indent=1)
best = min((r["output"]["perplexity"] for r in rows if r["type"] == "f32"), default=None)
for r in rows:
    o = r["output"]
    more = f"  {100 * (o['perplexity'] / best - 1):+7.2f} %" if best else ""
    kl = f"  KL {o['kl_mean']:.5f}" if "kl_mean" in o else ""
    print(f"{r['type']:8} {r['file_bytes'] / 1e6:8.1f} MB  {o['perplexity']:10.4f}{more}{kl}")
PY
exit $failed
