# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The pinned Zig, its global cache kept in .deps so that nothing outside the checkout is touched.

zig_run() {
    ZIG_GLOBAL_CACHE_DIR=$deps/zig-cache "$deps/zig/zig" "$@"
}

# What the build cannot find out by itself, since its configuration is cached.
zig_build_options() {
    local asan
    echo "-Dgit-commit=$(git describe --always --dirty 2>/dev/null || echo unknown)"
    asan=$(gcc -print-file-name=libasan.so)
    echo "-Dasan-dir=$(dirname "$asan")"
    if [ -e "$deps/wolfssl/lib/libwolfssl.a" ]; then echo "-Dwolfssl=$deps/wolfssl"; fi
}

verb_zig() {
    local options=()
    if [ "${1:-}" = build ]; then
        shift
        mapfile -t options < <(zig_build_options)
        set -- build "${options[@]}" "$@"
    fi
    zig_run "$@"
}
