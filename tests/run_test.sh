#!/bin/sh
# run_test.sh NAME COMMAND...: runs one test for ctest. A test that passes but says that a part of it
# could not run (a line "UNRUN: why", or cmocka's SKIPPED) ends with 77, which ctest shows as
# Skipped; the reasons go to $SOLO_UNRUN, which tools/ctest.sh prints. A failure stays a failure.
name=$1
shift
if [ -n "$VK_ICD_FILENAMES" ] && [ ! -e "$VK_ICD_FILENAMES" ]; then
    echo "UNRUN: no adapter: $VK_ICD_FILENAMES is missing (tools/setup.sh test installs it)"
    echo "$name: no $VK_ICD_FILENAMES" >> "$SOLO_UNRUN"
    exit 77
fi
out=$(mktemp) || exit 1
trap 'rm -f "$out"' EXIT
"$@" > "$out" 2>&1
status=$?
cat "$out"
if [ $status -ne 0 ] && [ $status -ne 77 ]; then exit $status; fi
if [ $status -eq 77 ] || grep -Eq '^UNRUN|\[  SKIPPED \]' "$out"; then
    grep -E '^UNRUN|\[  SKIPPED \] [A-Za-z_]' "$out" | sed "s/^/$name: /" >> "$SOLO_UNRUN"
    exit 77
fi
exit 0
