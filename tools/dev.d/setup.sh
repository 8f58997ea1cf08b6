# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Set-up. Each step is a pair of functions: NAME_present asks without network whether there is
# anything to do, NAME_install does it, under a lock that all worktrees sharing .deps respect.

zig_version=0.17.1
deps=$root/.deps
setup_steps=(packages zig wolfssl python node kafka prometheus)

packages_wanted() {
    cat <<'TEXT'
gcc
g++
libc6-dev
make
pkg-config
ca-certificates
openssl
python3
python3-venv
liburing-dev
libzstd-dev
libxxhash-dev
librdkafka-dev
libjemalloc-dev
libyaml-dev
libmicrohttpd-dev
libncurses-dev
libcurl4-openssl-dev
libzip-dev
libisal-dev
libssl-dev
libcriterion-dev
libwolfssl-dev
dpkg-dev
rsync
autoconf
automake
libtool
mandoc
zsh
systemd
TEXT
    command -v git >/dev/null || echo git
    # Of src/protocol/aes_gcm.c; there for this processor alone.
    if [ "$(dpkg --print-architecture)" = amd64 ]; then echo libipsec-mb-dev; fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "installing packages needs root or sudo" >&2
        return 1
    fi
}

packages_missing() {
    local installed
    installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p')
    packages_wanted | grep -vxF -f <(echo "$installed") || true
}

packages_present() {
    [ -z "$(packages_missing)" ]
}

packages_remedy="check that apt-get works ('apt-get update') and that you are root or have sudo"
packages_install() {
    local missing
    mapfile -t missing < <(packages_missing)
    packages_get "${missing[@]}"
}

packages_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
        install -y --no-install-recommends "$@"
}

zig_present() {
    [ -x "$deps/zig-$zig_version/zig" ] && [ -e "$deps/zig/zig" ]
}

zig_remedy="check that pip reaches the Python package index (or its mirror set in pip.conf)"
zig_install() {
    local work=$deps/work-zig
    rm -rf "$work"
    mkdir -p "$work"
    python_venv
    "$deps/venv/bin/pip" download -q --no-deps -d "$work" "ziglang==$zig_version"
    # A wheel is a zip that does not keep the executable bit of every file.
    "$deps/venv/bin/python" -m zipfile -e "$work"/ziglang-*.whl "$work"
    chmod +x "$work/ziglang/zig"
    rm -rf "$deps/zig-$zig_version"
    mv "$work/ziglang" "$deps/zig-$zig_version"
    ln -sfn "zig-$zig_version" "$deps/zig"
    rm -rf "$work"
}

python_venv() {
    [ -x "$deps/venv/bin/pip" ] || /usr/bin/python3 -m venv --clear "$deps/venv"
}

setup_fail() {
    local step=$1 log=$2 remedy=${1}_remedy
    {
        echo "tools/dev: set-up step '$step' failed; the end of $log:"
        tail -n 15 "$log" | sed 's/^/    /'
        echo "tools/dev: remedy: ${!remedy}, then run the same command again"
    } >&2
    exit 1
}

# A step with a fallback is not tried again by every command, only by 'tools/dev setup'.
setup_gave_up() {
    local fallback=${1}_fallback
    [ -n "${!fallback:-}" ] && [ -e "$deps/gave-up-$1" ]
}

setup_step() {
    local step=$1 log=$deps/log/$1.log fallback=${1}_fallback
    if "${step}_present" || setup_gave_up "$step"; then return; fi
    mkdir -p "$deps/log"
    (
        # Parallel runs, also from other worktrees sharing .deps, wait here and then find it done.
        flock 8
        if "${step}_present" || setup_gave_up "$step"; then exit 0; fi
        echo "tools/dev: setting up: $step (log: $log)" >&2
        # In a process of its own: a function called in a condition would ignore set -e.
        if bash "$root/tools/dev.d/step" "$step" >"$log" 2>&1 8>&- && "${step}_present"; then
            exit 0
        fi
        if [ -z "${!fallback:-}" ]; then setup_fail "$step" "$log"; fi
        touch "$deps/gave-up-$step"
        echo "tools/dev: step '$step' failed (log: $log); ${!fallback}" >&2
    ) 8>"$deps/.lock" || exit 1
}

setup_all() {
    local step
    mkdir -p "$deps"
    for step in "${setup_steps[@]}"; do setup_step "$step"; done
}

verb_setup() {
    echo "tools/dev: everything is set up" >&2
}
