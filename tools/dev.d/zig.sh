# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The pinned Zig, its global cache kept in .deps so that nothing outside the checkout is touched.

zig_run() {
    ZIG_GLOBAL_CACHE_DIR=$deps/zig-cache "$deps/zig/zig" "$@"
}

# What the build cannot find out by itself, since its configuration is cached.
zig_build_options() {
    echo "-Dgit-commit=$(git describe --always --dirty 2>/dev/null || echo unknown)"
    echo "-Dsanitizer-dir=$(dirname "$(gcc -print-file-name=libasan.so)")"
    if [ -e "$deps/wolfssl/lib/libwolfssl.a" ]; then echo "-Dwolfssl=$deps/wolfssl"; fi
}

zig_build() {
    local options
    mapfile -t options < <(zig_build_options)
    zig_run build "${options[@]}" "$@"
}

# compile_commands.json for clangd; the fragments of files that are gone stay until the cache goes.
clangd_database() {
    local fragments=(.zig-cache/cdb/*.json)
    [ -e "${fragments[0]}" ] || return 0
    {
        echo '['
        cat "${fragments[@]}" | sed '$s/,$//'
        echo ']'
    } >compile_commands.json
}

verb_zig() {
    local status=0
    if [ "${1:-}" = build ]; then
        shift
        zig_build "$@" || status=$?
        clangd_database
        return "$status"
    fi
    zig_run "$@"
}
