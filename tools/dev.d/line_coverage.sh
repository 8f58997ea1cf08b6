# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# `tools/dev test --coverage`: which lines of format/ and src/ the tests reach. Everything is
# compiled once more by Debian's clang with counters (tests/line_coverage.mk says why), then
# unit tests, io_uring tests, seeds of the simulation and the peers with the real programs run.

line_coverage_limit=90 # percent
line_coverage=zig-out/coverage
line_coverage_version=19 # of Debian 12 and 13 alike

line_coverage_present() {
    local v=$line_coverage_version
    command -v "clang-$v" "llvm-cov-$v" "llvm-profdata-$v" >/dev/null &&
        [ -e "$("clang-$v" -print-file-name=libclang_rt.profile-x86_64.a)" ]
}

# shellcheck disable=SC2034
line_coverage_remedy="check that 'apt-get update' works and that you are root or have sudo"
line_coverage_install() {
    local v=$line_coverage_version
    packages_get "clang-$v" "llvm-$v" "libclang-rt-$v-dev"
}

line_coverage_build() {
    local wolfssl=''
    if [ -e "$deps/wolfssl/lib/libwolfssl.a" ]; then wolfssl=$deps/wolfssl; fi
    make -j "$(nproc)" -f tests/line_coverage.mk "CC=clang-$line_coverage_version" \
        WOLFSSL="$wolfssl" "$@"
}

# Programs with counters, from which llvm-cov knows where the lines are.
line_coverage_programs() {
    find "$line_coverage/bin" "$line_coverage/test" -type f -executable | sort
}

# What all processes counted, as pages, tracefile and JSON, and the sums printed and judged.
line_coverage_report() {
    local v=$line_coverage_version programs objects
    mapfile -t programs < <(line_coverage_programs)
    mapfile -t objects < <(printf -- '-object\n%s\n' "${programs[@]}")
    "llvm-profdata-$v" merge -sparse -o "$line_coverage/all.profdata" \
        "$line_coverage"/raw/*/*.profraw || return 1
    "llvm-cov-$v" export -format=lcov -instr-profile "$line_coverage/all.profdata" \
        "${objects[@]}" >"$line_coverage/lines.info" || return 1
    "llvm-cov-$v" show -format=html -output-dir "$line_coverage/html" \
        -instr-profile "$line_coverage/all.profdata" "${objects[@]}" >/dev/null || return 1
    /usr/bin/python3 tests/line_coverage.py "$line_coverage/lines.info" \
        --limit "$line_coverage_limit" --json "$line_coverage/lines.json"
}

# One file of counters for each program, mapped by all its processes; programs of one part that
# only differ in what is not counted would take each other's, so each part has its own folder.
line_coverage_part() {
    # Tests start programs as other users too.
    mkdir -p -m 777 "$line_coverage/raw/$1"
    export LLVM_PROFILE_FILE=$root/$line_coverage/raw/$1/%m%c.profraw
}

# Half an hour on two quiet cores.
test_line_coverage() {
    rm -rf "$line_coverage/raw" "$line_coverage/html"
    export RINGTAPE_BIN=$root/$line_coverage/bin
    line_coverage_part unit
    test_criterion unit "$line_coverage/test/unit_test" -j2
    line_coverage_part uring
    test_criterion uring "$line_coverage/test/uring_test"
    line_coverage_part simulation
    test_command simulation "$line_coverage/test/simulation" --seeds 1-20 --twice 0 || true
    line_coverage_part peers
    # The library is the plain one; what is hardened is what is shipped.
    ln -sfn ../lib ../include "$line_coverage"
    test_pytest peers tests/peers \
        --deselect tests/peers/hardening_test.py::test_everything_shipped_is_hardened
    unset LLVM_PROFILE_FILE
    test_command line-coverage line_coverage_report || true
    cat "$test_logs/line-coverage.log"
}

verb_test_coverage() {
    setup_step line_coverage
    rm -rf "$test_logs"
    mkdir -p "$test_logs"
    run_environment
    # The peers take makers of stores and an echo from the plain build.
    test_command build zig_build stage-test install || true
    if test_command build-coverage line_coverage_build; then test_line_coverage; fi
    test_sum
}
