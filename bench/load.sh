#!/bin/bash
# load.sh OUTDIR: how fast a 2 GB model gets to the GPU, and the memory that takes: Phi-3-mini's shape in each type, read
# once so that the file is in the page cache, then loaded three times. Writes OUTDIR/load.jsonl, a line a run. Environment:
#   SOLO (build/solo)  DEVICE (auto)  TYPES (q4_0 q4_1 q8_0 q4_k q6_k)  PRESET (phi-3-mini)
set -u
cd "$(dirname "$0")/.."
OUT=${1:?usage: bench/load.sh OUTDIR}; SOLO=${SOLO:-build/solo}; DEVICE=${DEVICE:-auto}
mkdir -p "$OUT" || exit 1
failed=0
: >"$OUT/load.jsonl"
for type in ${TYPES:-q4_0 q4_1 q8_0 q4_k q6_k}; do
  file=$OUT/load-$type.gguf
  "$SOLO" synth "${PRESET:-phi-3-mini}" "$file" --type "$type" && cat "$file" >/dev/null || { failed=1; continue; }
  for _ in 1 2 3; do
    "$SOLO" load "$file" --device "$DEVICE" --json | tee -a "$OUT/load.jsonl"
    [ "${PIPESTATUS[0]}" = 0 ] || failed=1
  done
  rm -f "$file"
done
exit $failed
