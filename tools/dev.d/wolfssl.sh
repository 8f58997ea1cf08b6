# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# wolfSSL from Debian's own source package, security patches included, as a static library in
# .deps/wolfssl. Debian's binary is built without AES-NI and is about thirty times slower.

# Raised when the options below change; an older build in .deps is then replaced.
wolfssl_recipe=3

wolfssl_present() {
    [ "$(cat "$deps/wolfssl/recipe" 2>/dev/null)" = "$wolfssl_recipe" ]
}

wolfssl_fallback="using the system's libwolfssl, which is about thirty times slower"

wolfssl_options() {
    cat <<'TEXT'
--disable-shared
--enable-static
--disable-examples
--disable-crypttests
--disable-oldtls
--enable-tls13
--enable-sni
--enable-alpn
--enable-session-ticket
--enable-extended-master
--enable-supportedcurves
--enable-altcertchains
--enable-sys-ca-certs
--enable-ip-alt-name
--enable-curve25519
--enable-ed25519
--enable-aesgcm
--enable-chacha
--enable-poly1305
--enable-sha384
--enable-sha512
--enable-rsapss
--enable-sp=yes,4096,384,521
--enable-sp-asm
TEXT
    # Chosen at run time by the CPU's features.
    if [ "$(uname -m)" = x86_64 ]; then echo --enable-intelasm; fi
}

# apt-get with the machine's own sources turned into source-package ones, all its state in $1.
wolfssl_apt() {
    local state=$1
    shift
    apt-get -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$state/sources" \
        -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache" \
        -o "APT::Sandbox::User=$(id -un)" "$@"
}

wolfssl_sources() {
    local state=$1 file
    mkdir -p "$state/sources" "$state/lists/partial" "$state/cache/archives/partial"
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -e "$file" ] || continue
        sed -E 's/^Types:.*/Types: deb-src/' "$file" >"$state/sources/$(basename "$file")"
    done
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -e "$file" ] || continue
        sed -nE 's/^deb(-src)?[[:space:]]/deb-src /p' "$file" | sort -u \
            >"$state/sources/$(basename "$file" .list).list"
    done
}

wolfssl_install() {
    local work=$deps/work-wolfssl options flags
    rm -rf "$work"
    mkdir -p "$work/prefix/include"
    wolfssl_sources "$work/apt"
    # Third-party sources without source packages may fail here; what counts is the next command.
    wolfssl_apt "$work/apt" update || true
    (cd "$work" && wolfssl_apt "$work/apt" source --download-only wolfssl)
    # The archive's signature has been verified by apt through the index.
    dpkg-source --no-check -x "$work"/wolfssl_*.dsc "$work/source"

    cp tools/dev.d/wolfssl_hooks.h "$work/prefix/include/"
    flags="-O2 -g -fPIC -fstack-protector-strong -Wp,-D_FORTIFY_SOURCE=2 -ffunction-sections"
    # ALWAYS_VERIFY_CB: the chain is shown where it is good, too, for pin_sha256.
    flags+=" -DHAVE_EXT_CACHE -DWOLFSSL_ALWAYS_VERIFY_CB"
    flags+=" -DCUSTOM_RAND_GENERATE_SEED=wolfssl_hook_seed"
    flags+=" -DXTIME_MS=wolfssl_hook_time_ms -include $work/prefix/include/wolfssl_hooks.h"
    mapfile -t options < <(wolfssl_options)
    cd "$work/source"
    autoreconf -fi
    ./configure --prefix="$work/prefix" "${options[@]}" CFLAGS="$flags"
    make -j"$(nproc)"
    make install
    gcc $flags -c "$root/tools/dev.d/wolfssl_hooks.c" -o hooks.o
    ar rs "$work/prefix/lib/libwolfssl.a" hooks.o
    sed -n 's/^Version: *//p' "$work"/wolfssl_*.dsc | head -n 1 >"$work/prefix/version"
    echo "$wolfssl_recipe" >"$work/prefix/recipe"

    cd "$root"
    rm -rf "$deps/wolfssl"
    mv "$work/prefix" "$deps/wolfssl"
    rm -rf "$work"
}
