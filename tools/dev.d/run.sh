# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The verbs demo and bench: build what is needed, then hand over.

# What programs started from here may need to know.
run_environment() {
    export RINGTAPE_BIN=$root/zig-out/bin
    export RINGTAPE_PYTHON=$deps/venv/bin/python
    export NODE_PATH=$deps/node/node_modules
    export RINGTAPE_PROMETHEUS=$deps/prometheus/usr/bin
    export PYTHONDONTWRITEBYTECODE=1
    # Tests end without giving back what the system takes back anyway.
    export ASAN_OPTIONS=detect_leaks=0
    run_recordings
}

# Real recordings lie beside the checkout, or beside the one that this is a worktree of.
run_recordings() {
    local checkout
    if [ -n "${RINGTAPE_REAL_DATA:-}" ]; then return; fi
    checkout=$(dirname "$(git rev-parse --path-format=absolute --git-common-dir 2>/dev/null)")
    for checkout in "$root" "$checkout"; do
        if [ -d "$checkout/../shared/data" ]; then
            RINGTAPE_REAL_DATA=$(cd "$checkout/../shared/data" && pwd)
            export RINGTAPE_REAL_DATA
            return
        fi
    done
}

# Scripts come before programs: they set the stage for them.
run_script() {
    local stem=$1
    shift
    if [ -e "$stem.sh" ]; then
        exec bash "$stem.sh" "$@"
    elif [ -e "$stem.py" ]; then
        exec "$deps/venv/bin/python" "$stem.py" "$@"
    fi
}

verb_demo() {
    zig_build install >&2
    run_environment
    run_script tools/demo "$@"
    echo "tools/dev: there is no tools/demo.sh and no tools/demo.py in this checkout" >&2
    exit 69
}

bench_names() {
    find bench -maxdepth 1 \( -name '*.sh' -o -name '*.py' -o -name '*_bench.c' \) -printf '%f\n' \
        2>/dev/null | sed -E 's/(_bench\.c|\.sh|\.py)$//' | sort -u
}

verb_bench() {
    local name=${1:-}
    if [ -z "$name" ] || ! bench_names | grep -qxF -- "$name"; then
        echo "usage: tools/dev bench NAME [--smoke]; NAME is one of:" >&2
        bench_names | sed 's/^/  /' >&2
        exit 64
    fi
    shift
    zig_build install stage-bench >&2
    run_environment
    run_script "bench/$name" "$@"
    exec "zig-out/bench/${name}_bench" "$@"
}

# Whole runs take an hour: each mutant is compiled and runs until a seed fails.
verb_mutants() {
    run_environment
    exec "$deps/venv/bin/python" tests/simulation/mutants/run.py "$@"
}
