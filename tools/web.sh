#!/bin/bash
# web.sh: builds the engine for browsers: the core as WebAssembly in two builds (JSPI, asyncify), the
# TypeScript around it, the npm package's tarball build/web/solo-engine.tgz, and the page in dist/, which
# any host of static files can serve. Checks what the core imports and exports, and that what a page
# downloads stays small.
#
#   tools/web.sh [--if-possible]   with it, a Node that is too old is told and leaves no package, whose
#                                  tests then say UNRUN
set -Eeuo pipefail
cd "$(dirname "$0")/.."
MAX_GZIP_BYTES=300000
build=build/web
log=$build/build.log
mkdir -p $build

if ! why=$(node tools/node_version.mjs 2>&1); then
    echo "$why" >&2
    rm -f $build/solo-engine.tgz
    [ "${1:-}" = --if-possible ] && exit 0
    exit 1
fi

quietly() { # shows what a step said only if it failed
    "$@" > "$log" 2>&1 || {
        cat "$log" >&2
        exit 1
    }
}

[ -e $build/build.ninja ] || quietly cmake -S src/web -B $build -G Ninja
quietly cmake --build $build
node tools/web_check.mjs $build/solo.wasm

# The same code, able to unwind its stack at the three imports that may wait. Sorting, printing, JSON, templates and ids call back what
# never does, which only their authors know: without them a quarter of the code is left as it is.
mkdir -p web/wasm
if [ $build/solo.wasm -nt web/wasm/solo-asyncify.wasm ]; then
    opt=(web/node_modules/.bin/wasm-opt $build/solo.wasm --enable-simd --enable-bulk-memory --enable-sign-ext
        --enable-nontrapping-float-to-int --enable-mutable-globals)
    quietly "${opt[@]}" --strip-debug -o web/wasm/solo.wasm
    quietly "${opt[@]}" --asyncify --pass-arg=asyncify-imports@env.wgpuInstanceWaitAny,solo.read,solo.open \
        --pass-arg='asyncify-removelist@json_*,jsonp_*,hashtable_*,do_dump,dump_*,lex_*,parse_*,stream_get,printf_core,vfprintf,vfscanf,qsort*,strto*,__floatscan,fwrite,fputs,jinja_*,solo_jinja_*,solo_chat_*,evaluate*,*_filter,solo_*_encode,solo_tokenize' \
        -Os -o web/wasm/solo-asyncify.wasm
fi

# Types and modules, then the two entries bundled, so that a page without a bundler loads two files.
(cd web && rm -rf lib && quietly_log=../$log && npx tsc -p tsconfig.package.json > "$quietly_log" 2>&1) || {
    cat "$log" >&2
    exit 1
}
for entry in index worker; do
    quietly web/node_modules/.bin/rolldown "web/src/engine/$entry.ts" --file "web/lib/engine/$entry.js" --format esm --minify
done
find web/lib -name '*.js' ! -path web/lib/engine/index.js ! -path web/lib/engine/worker.js -delete
(cd web && npm pack --silent --pack-destination ../$build > /dev/null)
mv $build/solo-engine-*.tgz $build/solo-engine.tgz

total() { cat "$@" | gzip -9 | wc -c; }
for wasm in solo solo-asyncify; do
    n=$(total web/wasm/$wasm.wasm web/lib/engine/index.js web/lib/engine/worker.js)
    echo "web: $wasm.wasm with its JavaScript: $n bytes gzipped (at most $MAX_GZIP_BYTES)"
    if [ "$n" -gt $MAX_GZIP_BYTES ]; then
        echo "web: error: $wasm.wasm with its JavaScript: wanted at most $MAX_GZIP_BYTES bytes, found $n" >&2
        exit 1
    fi
done

(cd web && npx tsc --noEmit && npx vite build) > "$log" 2>&1 || {
    cat "$log" >&2
    exit 1
}
# Where the program is built too, a model of random weights for the spectrum: nothing to download.
if [ -x build/solo ]; then
    mkdir -p dist/models
    quietly build/solo synth toy:256x8x8 dist/models/toy.gguf --ctx 1024
    printf '[{"url": "models/toy.gguf", "size": %d, "title": "Toy", "about": "%s"}]\n' \
        "$(stat -c %s dist/models/toy.gguf)" "Random weights: for the spectrum, it writes nonsense" > dist/local-models.json
fi
echo "web: the page is in dist/: $(cat dist/assets/index-*.js dist/assets/index-*.css | gzip -9 | wc -c) bytes gzipped, and the engine"
