#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Makes the peers of `tools/dev bench parse` in .deps/bench-peers/parse: simdjson's single file from
# the npm registry (Debian's libsimdjson-dev where there is no npm: 3.0 or newer), yyjson's from the
# source package of its Python binding. Compiled for this very CPU, which ringtape is not: whatever
# they have is used.
#
#     bench/peers/parse_peers.sh          prints the two libraries' paths
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
deps=$root/.deps
folder=$deps/bench-peers/parse
simdjson_version=3.9.4
yyjson_version=4.0.6 # of the binding; it brings yyjson 0.10.0
compile=(-O3 -DNDEBUG -march=native -fPIC -shared "-I$root" "-I$root/src" "-I$folder")

get_simdjson() {
    if command -v npm >/dev/null; then
        (cd "$1" && npm pack --silent "@nozbe/simdjson@$simdjson_version" >&2) || return 1
        tar xzf "$1"/*.tgz -C "$1" && cp "$1"/package/src/simdjson.{h,cpp} "$folder"
    else
        apt-get install -y --no-install-recommends libsimdjson-dev >&2
    fi
}

get_yyjson() {
    "$deps/venv/bin/pip" download -q --no-deps --no-binary :all: -d "$1" \
        "yyjson==$yyjson_version" >&2 || return 1
    tar xzf "$1"/yyjson-*.tar.gz -C "$1" && cp "$1"/yyjson-*/yyjson/yyjson.{h,c} "$folder"
}

make_simdjson() {
    local source=("$folder/simdjson.cpp")
    if [ ! -e "${source[0]}" ]; then source=(-lsimdjson); fi
    g++ -std=c++20 "${compile[@]}" -o "$folder/simdjson.so" \
        "$root/bench/peers/parse_simdjson.cpp" "${source[@]}"
}

make_yyjson() {
    gcc -std=gnu17 "${compile[@]}" -o "$folder/yyjson.so" \
        "$root/bench/peers/parse_yyjson.c" "$folder/yyjson.c"
}

missing() {
    echo "bench parse: a peer cannot be fetched; check that $1" >&2
    exit 69
}

# Newer than what it is made of?
made() {
    local library=$1 each
    shift
    [ -e "$library" ] || return 1
    for each in "$@" "$root"/bench/parse_peer.h "$root"/bench/peers/parse_numbers.h \
        "$root"/format/event.h; do
        [ "$library" -nt "$each" ] || return 1
    done
}

mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if [ "$(cat "$folder/done" 2>/dev/null)" != "$simdjson_version $yyjson_version" ]; then
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    mkdir "$scratch/simdjson" "$scratch/yyjson"
    get_simdjson "$scratch/simdjson" || missing "npm reaches its registry (or apt-get can install)"
    get_yyjson "$scratch/yyjson" || missing "pip reaches the Python package index"
    echo "$simdjson_version $yyjson_version" >"$folder/done"
fi
made "$folder/simdjson.so" "$root/bench/peers/parse_simdjson.cpp" "$folder/done" || make_simdjson
made "$folder/yyjson.so" "$root/bench/peers/parse_yyjson.c" "$folder/done" || make_yyjson
echo "$folder/simdjson.so"
echo "$folder/yyjson.so"
