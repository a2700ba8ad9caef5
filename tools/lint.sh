#!/bin/bash
# lint.sh: the house rules that a script can check. Prints what is wrong, file:line first; exits 1.
set -u
cd "$(dirname "$0")/.."
shopt -s nullglob lastpipe # lastpipe: complain sets bad in this shell
bad=0
complain() { # MESSAGE, then lines on stdin
    local found
    found=$(cat)
    [ -n "$found" ] || return 0
    echo "$found" | sed "s|\$|  <- $1|"
    bad=1
}

library=(src/*.c src/*.h)
kernels=(kernels/*.wgsl)
code=(include/*.h src/*.[ch] src/cli/*.[ch] tests/*.[ch] "${kernels[@]}")

# Layers: who may know of WebGPU, of the process, of dispatches.
grep -nE '#include *["<].*webgpu\.h' "${library[@]}" src/cli/*.[ch] tests/*.[ch] | grep -v '^src/device.c:' |
    complain "only device.c includes webgpu.h"
grep -nE '\b(printf|fprintf|puts|putchar|fputs|perror|exit|_exit|getenv|abort)\(' "${library[@]}" |
    grep -vE '^src/base.c:.*(fprintf\(stderr, "%s:%d: Solo found a bug|abort\(\);)|^src/wgsl.c:.*getenv\("SOLO_WGSL_DIR"\)' |
    complain "the library never prints, exits or reads the environment"
grep -nE '#include *"' src/cli/*.[ch] | grep -vE '"(solo|solo_files|cli|bench|measure|sweep|pull)\.h"' | complain "the program uses solo.h only"
grep -nE '@compute|@group|@binding' kernels/stage_*.wgsl | complain "a stage file has functions only"
grep -nE '\b(act|kv|weights)\[' kernels/factor_*.wgsl | complain "a factoring leaves memory to the stages"
grep -nE '\b(workgroup|storage)Barrier\(\)' "${kernels[@]}" | grep -vE '//.*[a-z]' |
    complain "a barrier says which write it puts before which read"

# Every stage has a WGSL file and a test that names it.
if [ -e src/ops.h ]; then
    sed -n '/define SOLO_STAGE_LIST/,/^$/s/.*X([A-Z_]*, *"\([a-z_]*\)".*/\1/p' src/ops.h | while read -r stage; do
        [ -e "kernels/stage_$stage.wgsl" ] || echo "kernels/stage_$stage.wgsl"
    done | complain "a stage without its file"
fi

# Size: a header that fits a reader's head, a file that fits an afternoon.
awk 'FNR == 1 { n = 0 } { n++ } { lines[FILENAME] = n }
    END { for (f in lines) { max = f == "include/solo.h" ? 500 : f ~ /\.h$/ ? 200 : 900
          if (lines[f] > max) print f ": " lines[f] " lines" } }' "${code[@]}" | complain "too long: split it"
# 100 columns are the rule; 120 the limit, for tables.
awk 'length > 120 { print FILENAME ":" FNR ": " length " columns" }' "${code[@]}" | complain "wider than 120 columns"
grep -nE "$(printf '\t')| +\$" "${code[@]}" | cut -c 1-80 | complain "a tab or blanks at the end of a line"
grep -nE '\b(TODO|FIXME|XXX)\b' "${code[@]}" tools/* CMakeLists.txt Makefile | grep -v '^tools/lint.sh' |
    complain "a bare TODO"
for header in include/*.h src/*.h src/cli/*.h; do
    grep -q '^#ifndef SOLO_' "$header" || echo "$header"
done | complain "a header without its guard"

# Scripts and packages: addresses of registries belong to the machine's configuration, not here.
git grep -nIE '(https?|ftp)://' -- tools/*.sh tools/*.cmake tools/pins.txt Makefile '*CMakeLists.txt' .ci \
    '*.json' 2> /dev/null | grep -v '^web/package-lock.json:[0-9]*: *"url":' | # where packages ask for gifts
    complain "an address in a build file: use the package manager's own configuration"
# The lock file names who takes donations; where packages come from it may not name.
git grep -nI '"resolved"' -- web/package-lock.json 2> /dev/null | complain "an address in the lock file: see web/.npmrc"
for script in tools/*.sh tests/*.sh .ci/run; do
    if [ -e "$script" ]; then bash -n "$script" || echo "$script"; fi
done | complain "does not parse"

if [ $bad -eq 0 ]; then echo "lint: clean"; fi
exit $bad
