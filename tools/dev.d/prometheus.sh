# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# Prometheus and promtool of Debian, unpacked into .deps/prometheus: installed as a package it would
# run as a service. And what the verb ops-test checks the dashboard with: the schema of Grafana and
# TypeScript from npm's registry into .deps/grafana.

prometheus_present() {
    [ -x "$deps/prometheus/usr/bin/promtool" ] && [ -x "$deps/prometheus/usr/bin/prometheus" ]
}

# shellcheck disable=SC2034
prometheus_remedy="check that apt-get works ('apt-get update')"
# shellcheck disable=SC2034
prometheus_fallback="the tests of rules and dashboard are left out"
prometheus_install() {
    local work=$deps/work-prometheus
    rm -rf "$work" "$deps/prometheus"
    mkdir -p "$work" "$deps/prometheus"
    # Without root: a folder of its own, whatever user apt would become.
    (cd "$work" && apt-get -o APT::Sandbox::User=root download prometheus)
    dpkg-deb -x "$work"/prometheus_*.deb "$deps/prometheus"
    rm -rf "$work" "$deps/prometheus/etc" "$deps/prometheus/lib"
}

grafana_present() {
    cmp -s tests/ops/package.json "$deps/grafana/package.json.done"
}

# shellcheck disable=SC2034
grafana_remedy="check that npm is there and reaches its registry"
# shellcheck disable=SC2034
grafana_fallback="the dashboard is not checked against Grafana's schema"
grafana_install() {
    mkdir -p "$deps/grafana"
    cp tests/ops/package.json "$deps/grafana/package.json"
    npm install --prefix "$deps/grafana" --no-package-lock --no-audit --no-fund --ignore-scripts
    cp "$deps/grafana/package.json" "$deps/grafana/package.json.done"
}

# On real systems: Prometheus that scrapes a recorder, the dashboard's queries; the packages on a
# bare Debian and on one that is booted; Compose and Kubernetes (systems.sh). Arguments go to
# pytest: 'tools/dev ops-test -k boot'.
verb_ops-test() {
    local status=0 xml=$test_logs/ops.xml
    setup_step roots
    ops_setup
    zig_build install >&2
    (verb_package >&2)
    run_environment
    mkdir -p "$test_logs" && rm -f "$xml"
    "$deps/venv/bin/python" -m pytest tests/ops -o 'python_files=*_test.py' \
        -o pythonpath=tests/peers -p no:cacheprovider -q -rA --durations=25 --junitxml="$xml" \
        "$@" || status=$?
    test_pytest_sum "$xml" "$status"
}
