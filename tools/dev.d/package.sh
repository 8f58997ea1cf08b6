# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The verb package: Debian packages of this checkout in zig-out/package. Programs are built by Zig
# as everywhere; debhelper, which Debian's own packages are made with, makes packages of them in a
# folder of its own, so that the checkout stays clean.

package_out=zig-out/package

packaging_wanted() {
    printf '%s\n' debhelper lintian dpkg-dev fakeroot
}

packaging_present() {
    local each
    for each in dh lintian dpkg-buildpackage; do
        command -v "$each" >/dev/null || return 1
    done
}

# shellcheck disable=SC2034
packaging_remedy="check that apt-get works ('apt-get update') and that you are root or have sudo"
packaging_install() {
    local wanted
    mapfile -t wanted < <(packaging_wanted)
    packages_get "${wanted[@]}"
}

# Root file systems of Debian for the verb ops-test, as archives in .deps/roots: the bare one that
# `apt install` is tried on, and one with systemd and all that the packages depend on, to be booted
# without network.
roots_suite=bookworm
roots_with=systemd,dbus,openssl,procps,debconf,zsh,ca-certificates,libjemalloc2,libmicrohttpd12
roots_with+=,libncursesw6,librdkafka1,liburing2,libxxhash0,libyaml-0-2,libzstd1,libcurl4,libisal2
roots_with+=,libssl3,libzip4,libipsec-mb1

roots_present() {
    [ "$(id -u)" != 0 ] || [ "$(cat "$deps/roots/packages" 2>/dev/null)" = "$roots_with" ]
}

# shellcheck disable=SC2034
roots_remedy="check that apt-get works ('apt-get update')"
# shellcheck disable=SC2034
roots_fallback="the packages are not tried on a root file system of their own"
roots_install() {
    local mirror each
    packages_get mmdebstrap systemd-container
    mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources | head -n 1)
    mkdir -p "$deps/roots"
    for each in "" "$roots_with"; do
        mmdebstrap --variant=minbase --aptopt='APT::Sandbox::User "root"' ${each:+--include=$each} \
            "$roots_suite" "$deps/roots/new.tar" ${mirror:+"$mirror"}
        mv "$deps/roots/new.tar" "$deps/roots/$roots_suite${each:+-systemd}.tar"
    done
    echo "$roots_with" >"$deps/roots/packages"
}

# Later commits are higher versions, and what is built for the next Debian is higher again, so that
# both kinds of upgrade work. '+' sorts after the release itself, '~' before what may follow.
package_version() {
    local release epoch commit=""
    release=$(sed -n 's/^#define RINGTAPE_VERSION "\(.*\)"/\1/p' format/version.h)
    epoch=$(package_epoch)
    commit=$(git rev-parse --short=7 HEAD 2>/dev/null) || true
    if [ -n "$commit" ] && ! git describe --exact-match --match "v$release" >/dev/null 2>&1; then
        release+="+$(date -u -d "@$epoch" +%Y%m%d.%H%M%S).g$commit"
    fi
    echo "$release~deb$(package_debian)"
}

# Of the commit; every time in the packages.
package_epoch() {
    git log -1 --format=%ct 2>/dev/null || stat -c %Y format/version.h
}

package_debian() {
    # shellcheck source=/dev/null
    (. /etc/os-release && echo "$VERSION_ID")
}

package_changelog() {
    local version=$1 epoch=$2
    cat <<TEXT
ringtape ($version) unstable; urgency=medium

  * Built from $(git describe --always --dirty 2>/dev/null || echo "a copy without history").

 -- ringtape maintainers <maintainers@ringtape.example>  $(date -u -R -d "@$epoch")
TEXT
}

# The tree that debhelper works in.
package_stage() {
    local tree=$1 version=$2 epoch=$3 multiarch
    multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
    mkdir -p "$tree/debian"
    cp -r deploy/debian/. "$tree/debian/"
    rm "$tree/debian/ringtaped.yaml"
    mkdir "$tree/config"
    cp deploy/debian/ringtaped.yaml "$tree/config/"
    cp -r systemd docs deploy/prometheus deploy/grafana "$tree/"
    zig_build install --prefix "$tree/stage" >&2
    # The one of the build is found relative to itself; here it lies a folder deeper.
    sed -i -e 's|^prefix=.*|prefix=/usr|' -e "s|^libdir=.*|libdir=\${prefix}/lib/$multiarch|" \
        "$tree/stage/lib/pkgconfig/ringtape.pc"
    SOURCE_DATE_EPOCH=$epoch PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 tools/help/pages.py \
        "$tree/stage/bin" "$tree/pages"
    package_changelog "$version" "$epoch" >"$tree/debian/changelog"
    find "$tree" -exec touch -h -d "@$epoch" {} +
}

package_built_using() {
    if [ -e "$deps/wolfssl/version" ]; then
        echo "wolfssl (= $(cat "$deps/wolfssl/version"))"
    fi
}

package_build() {
    local tree=$1 epoch=$2 log=$root/$package_out/build.log
    if ! (cd "$tree" && SOURCE_DATE_EPOCH=$epoch RINGTAPE_BUILT_USING=$(package_built_using) \
        dpkg-buildpackage -b -us -uc -d) >"$log" 2>&1; then
        tail -n 25 "$log" >&2
        echo "tools/dev: the packages could not be made; all of it: $log" >&2
        return 1
    fi
}

verb_package() {
    local version="" epoch tree=$root/$package_out/build/ringtape
    while [ $# -gt 0 ]; do
        case $1 in
        --version)
            version=${2:?a version}
            shift 2
            ;;
        *)
            echo "usage: tools/dev package [--version V]" >&2
            exit 64
            ;;
        esac
    done
    setup_step packaging
    epoch=$(package_epoch)
    rm -rf "${package_out:?}"
    mkdir -p "$tree"
    package_stage "$tree" "${version:-$(package_version)}" "$epoch"
    package_build "$tree" "$epoch"
    mv "$tree"/../*.deb "$tree"/../*.changes "$tree"/../*.buildinfo "$package_out/"
    rm -rf "$package_out/build"
    lintian --fail-on error,warning "$package_out"/*.changes
    ls -1 "$package_out"/*.deb
}
