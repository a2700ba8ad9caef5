#!/bin/sh
# build.sh PRESET [TARGET...]: configures once, then builds; quiet unless something fails.
set -eu
cd "$(dirname "$0")/.."
preset=$1
shift
dir=build
[ "$preset" = release ] || dir=build-$preset
if [ ! -e "$dir/build.ninja" ]; then
    mkdir -p "$dir"
    cmake --preset "$preset" > "$dir/configure.log" 2>&1 || {
        cat "$dir/configure.log" >&2
        exit 1
    }
fi
if [ $# -gt 0 ]; then set -- --target "$@"; fi
if [ -t 1 ]; then exec cmake --build "$dir" "$@"; fi
log=$dir/build.log
cmake --build "$dir" "$@" > "$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
