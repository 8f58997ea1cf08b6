# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# tools/dev test: every test there is. Each part writes a log, prints one line and adds to the sum;
# a part that fails shows what failed and does not keep the others from running.

test_passed=0
test_failed=0
test_skipped=0
test_logs=zig-out/log

# Counts one part: its name, passed, failed, skipped, seconds.
test_count() {
    local name=$1 passed=$2 failed=$3 skipped=$4 seconds=$5 mark=ok
    if [ "$failed" -gt 0 ]; then mark=FAILED; fi
    printf '%-7s %-26s %5d passed %3d failed %3d skipped %5d s\n' \
        "$mark" "$name" "$passed" "$failed" "$skipped" "$seconds"
    test_passed=$((test_passed + passed))
    test_failed=$((test_failed + failed))
    test_skipped=$((test_skipped + skipped))
    if [ "$failed" -gt 0 ]; then
        echo "--- $test_logs/$name.log"
        { grep -nE 'FAIL|CRASH|ERROR|error:|panic|bug:|^E  ' "$test_logs/$name.log" || true; } |
            head -n 40
        tail -n 25 "$test_logs/$name.log"
        echo "---"
    fi
}

# The command as one test: its exit status decides.
test_command() {
    local name=$1 start=$SECONDS
    shift
    if "$@" >"$test_logs/$name.log" 2>&1 </dev/null; then
        test_count "$name" 1 0 0 $((SECONDS - start))
    else
        test_count "$name" 0 1 0 $((SECONDS - start))
        return 1
    fi
}

# A program of Criterion tests, counted by its own summary.
test_criterion() {
    local name=$1 start=$SECONDS status=0 log=$test_logs/$1.log
    local sum passed failed skipped
    shift
    "$@" >"$log" 2>&1 </dev/null || status=$?
    sum=$(grep -a 'Synthesis: Tested:' "$log" | tail -n 1 | tr -dc '0-9|' || true)
    # The crashed ones are among those that failed.
    IFS='|' read -r _ passed failed _ <<<"${sum:-0|0|0|0}"
    # Tests whose recordings are not there say so in a line of their own.
    skipped=$(grep -acE '^(\[SKIP\]|SKIPPED:)' "$log" || true)
    # A program that ends badly or without a summary has failed, whatever it counted.
    if [ -z "$sum" ] || { [ "$status" != 0 ] && [ "$failed" = 0 ]; }; then
        echo "ended with status $status and no failure in its summary" >>"$log"
        failed=$((failed + 1))
    fi
    test_count "$name" "$passed" "$failed" "$skipped" $((SECONDS - start))
    grep -aE '^(\[SKIP\]|SKIPPED:)' "$log" | sort -u | sed 's/^/        /' || true
}

# A program that ends with 'N passed, N failed[, N skipped]'.
test_counting() {
    local name=$1 start=$SECONDS status=0 log=$test_logs/$1.log line passed failed skipped
    shift
    "$@" >"$log" 2>&1 </dev/null || status=$?
    line=$(grep -aE '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1 || true)
    passed=$(sed -nE 's/^([0-9]+) passed.*/\1/p' <<<"$line")
    failed=$(sed -nE 's/.* ([0-9]+) failed.*/\1/p' <<<"$line")
    skipped=$(sed -nE 's/.* ([0-9]+) skipped.*/\1/p' <<<"$line")
    if [ -z "$line" ] || { [ "$status" != 0 ] && [ "$failed" = 0 ]; }; then
        echo "ended with status $status and no failure in its summary" >>"$log"
        failed=$((${failed:-0} + 1))
    fi
    test_count "$name" "${passed:-0}" "$failed" "${skipped:-0}" $((SECONDS - start))
}

test_attribute() {
    sed -nE "s/.*<testsuite [^>]*\\b$2=\"([0-9]+)\".*/\\1/p" "$1" | head -n 1
}

# The sum of a verb that is one run of pytest: its report in XML, its exit status.
test_pytest_sum() {
    local xml=$1 status=$2 all bad skipped
    [ -e "$xml" ] || { echo "0 passed, 1 failed, 0 skipped" && return 1; }
    all=$(test_attribute "$xml" tests)
    bad=$(($(test_attribute "$xml" failures) + $(test_attribute "$xml" errors)))
    skipped=$(test_attribute "$xml" skipped)
    if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
    echo "$((all - bad - skipped)) passed, $bad failed, $skipped skipped"
    [ "$bad" = 0 ]
}

# Files of tests/peers as one part, three tests at a time: they wait more than they work.
test_pytest() {
    local name=$1 start=$SECONDS status=0 log=$test_logs/$1.log xml=$test_logs/$1.xml
    local all failures errors skipped failed
    shift
    rm -f "$xml"
    timeout -k 10 1200 "$deps/venv/bin/python" -m pytest "$@" -o 'python_files=*_test.py' \
        -p no:cacheprovider -n 3 --dist worksteal --durations=25 -ra --junitxml="$xml" \
        >"$log" 2>&1 </dev/null || status=$?
    if [ ! -e "$xml" ]; then
        test_count "$name" 0 1 0 $((SECONDS - start))
        return
    fi
    all=$(test_attribute "$xml" tests)
    failures=$(test_attribute "$xml" failures)
    errors=$(test_attribute "$xml" errors)
    skipped=$(test_attribute "$xml" skipped)
    failed=$((failures + errors))
    if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
    test_count "$name" $((all - failures - errors - skipped)) "$failed" "$skipped" \
        $((SECONDS - start))
    grep -a '^SKIPPED' "$log" | sed 's/^/        /' || true
}

test_units() {
    # A fixed threshold: what is large comes untouched from the kernel and is not cleared by hand,
    # which is a quarter of the time of lives that open and close stores.
    MALLOC_MMAP_THRESHOLD_=1048576 test_criterion unit zig-out/test/unit_test -j2
    if [ -e zig-out/test/uring_test ]; then test_criterion uring zig-out/test/uring_test; fi
    local each
    for each in zig-out/test/*; do
        case ${each##*/} in
        unit_test | uring_test | simulation) ;;
        *) test_command "${each##*/}" "$each" || true ;;
        esac
    done
}

# 50 lives of ten minutes, every tenth twice, and 200 short ones: 60 s on two quiet cores.
test_simulation() {
    local program=zig-out/test/simulation
    [ -e "$program" ] || return 0
    test_command simulation "$program" --seeds 1-50 --twice 10 || true
    test_command simulation-short "$program" --seeds 1001-1200 --minutes 2 --twice 0 || true
    test_command exhaustive "$program" --exhaustive --stride 2999 || true
    test_command mutants "$deps/venv/bin/python" tests/simulation/mutants/run.py --check || true
}

# Whole lives of the daemon and the simulator. A race that is seen ends the program with 66 at once
# and the test fails. Criterion puts its tests where the sanitizer's shadow lies, so no unit tests;
# ncurses waits for ever for glibc's lock of locales under this sanitizer, so not `ringtape top`,
# which has one thread.
test_tsan() {
    [ -e zig-out/tsan/bin/ringtaped ] || return 0
    TSAN_OPTIONS=halt_on_error=1 RINGTAPE_BIN=$root/zig-out/tsan/bin test_pytest peers-tsan \
        tests/peers/{stop,reload,live,seal,max_links,metrics}_test.py \
        --deselect tests/peers/metrics_test.py::test_top_on_a_terminal_and_without
}

# The libraries inside; glibc, librdkafka and jemalloc (of the daemon alone) outside.
static_alone() {
    local needed
    zig_build install -Dstatic --prefix zig-out/static || return 1
    zig-out/static/bin/ringtaped --version
    needed=$(for each in zig-out/static/bin/*; do objdump -p "$each" | grep NEEDED; done)
    echo "$needed"
    ! grep -E 'zstd|xxhash|yaml|uring|wolfssl|IPSec' <<<"$needed" || return 1
    [ "$(grep -c rdkafka <<<"$needed")" = 2 ] # of the mirror and of ringtape-replay
}

test_fuzz() {
    local each
    test_command build-fuzz zig_build stage-fuzz -Dasan -Dquick || return 0
    for each in zig-out/fuzz/*_fuzz; do
        if [ -e "$each" ]; then test_command "${each##*/}" "$each" --seconds 3 || true; fi
    done
}

# Two smokes that wait for minutes and work little.
test_bench_waiting=" availability completeness "

test_smoke() {
    # In a process of its own: the verb hands over by exec.
    test_command "bench-$1" bash tools/dev bench "$1" --smoke || true
}

test_bench() {
    local name
    for name in $(bench_names); do
        case $test_bench_waiting in
        *" $name "*) ;;
        *) test_smoke "$name" ;;
        esac
    done
}

test_demo() {
    if [ -e tools/demo.sh ] || [ -e tools/demo.py ]; then
        test_command demo bash tools/dev demo --seconds 10 || true
    fi
}

# A part that no other has to wait for runs beside them; its lines and sums come when it is waited
# for. Without sums it has died: a failure.
test_aside_begin() {
    rm -f "$test_logs/aside.sums"
    (
        test_passed=0 test_failed=0 test_skipped=0
        "$@"
        echo "$test_passed $test_failed $test_skipped" >"$test_logs/aside.sums"
    ) >"$test_logs/aside.lines" 2>&1 </dev/null &
}

test_aside_end() {
    local passed=0 failed=1 skipped=0
    wait || true
    cat "$test_logs/aside.lines"
    if [ -e "$test_logs/aside.sums" ]; then
        read -r passed failed skipped <"$test_logs/aside.sums"
    fi
    test_passed=$((test_passed + passed))
    test_failed=$((test_failed + failed))
    test_skipped=$((test_skipped + skipped))
}

test_sum() {
    local line="$test_passed passed, $test_failed failed"
    if [ "$test_skipped" -gt 0 ]; then line+=", $test_skipped skipped"; fi
    echo "$line"
    [ "$test_failed" = 0 ]
}

# What works more than it waits: it has what the peers, who wait more than they work, leave.
test_work() {
    renice -n 19 -p "$BASHPID" >/dev/null
    test_units
    test_simulation
    test_fuzz
    test_command build-tsan zig_build install -Dtsan -Dquick --prefix zig-out/tsan || true
    test_command static static_alone || true
    test_command aarch64 zig_build check-aarch64 || true
}

# What works as little as the smokes of the benchmarks do.
test_lives() {
    local name
    test_demo
    for name in $test_bench_waiting; do test_smoke "$name"; done
    test_tsan
}

# Every unit test once more under the address sanitizer: 15 minutes, so not part of `test`, where
# the fuzzers run under it.
verb_sanitize() {
    rm -rf "$test_logs" zig-out/asan
    mkdir -p "$test_logs"
    run_environment
    if test_command build-asan zig_build stage-test -Dasan --prefix zig-out/asan; then
        test_criterion unit-asan zig-out/asan/test/unit_test -j2
        test_criterion uring-asan zig-out/asan/test/uring_test
    fi
    test_sum
}

test_usage() {
    cat <<'TEXT'
usage: tools/dev test              every test; the last line is 'N passed, N failed'
       tools/dev test --coverage   which lines of format and src the tests reach: half an hour

--coverage compiles everything once more, by clang with counters (installed where it is missing),
runs unit tests, io_uring tests, seeds of the simulation and the peers, and prints the lines
reached, by folder and of the files with the most missed. Left are lines.json, lines.info and
html/index.html in zig-out/coverage. Ends with 1 below 90 %, and where a test failed.
TEXT
}

verb_test() {
    case ${*-} in
    '') test_everything ;;
    --coverage) verb_test_coverage ;;
    -h | --help) test_usage ;;
    *) test_usage >&2 && exit 64 ;;
    esac
}

test_everything() {
    rm -rf "$test_logs" zig-out/test zig-out/fuzz zig-out/bench zig-out/tsan
    mkdir -p "$test_logs"
    run_environment
    test_counting tidy /usr/bin/python3 tests/tidy.py
    # One at a time: what does not build does not keep the rest from being tested.
    test_command build-tests zig_build stage-test || true
    if test_command build zig_build install; then
        test_aside_begin test_work
        test_pytest peers tests/peers
        test_aside_end
        test_aside_begin test_lives
        test_bench
        test_aside_end
    else
        test_work
    fi
    test_sum
}
