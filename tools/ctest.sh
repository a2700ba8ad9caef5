#!/bin/bash
# ctest.sh DIR [CTEST ARGUMENT...]: runs the suite of a build directory. What could not run is listed
# with its reason just before ctest's summary, so that it is seen and the summary stays last.
set -u -o pipefail
cd "$(dirname "$0")/.."
dir=$1
shift
: > "$dir/unrun.txt"
ctest --test-dir "$dir" --output-on-failure --no-tests=error --parallel "$(nproc)" "$@" | while IFS= read -r line; do
    case $line in *'tests passed, '*' tests failed out of '*) sed 's/^/UNRUN /' "$dir/unrun.txt" ;; esac
    printf '%s\n' "$line"
done
