# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=bash
#
# The verb fuzz: every fuzzer, or some, for a time each, under the address and undefined behaviour
# sanitizers; by the driver of its own, which is always there, or by libFuzzer where Debian's
# clang is installed. What is found stays in .zig-cache/fuzz; what reached something new grows the
# corpus in .zig-cache/fuzz/corpus/NAME, of which --minimise commits the best.

fuzz_found=.zig-cache/fuzz
fuzz_grown=$fuzz_found/corpus
fuzz_findings_max=10 # lines of two: what is found after five is the same most of the time

fuzz_usage() {
    cat <<'TEXT'
usage: tools/dev fuzz [NAME...] [--seconds N] [--seed N] [--engine own|libfuzzer]
       tools/dev fuzz NAME FILE... [--engine own|libfuzzer]
       tools/dev fuzz [NAME...] --minimise

Runs each fuzzer of tests/fuzz (all without NAME), one after the other, under the address and
undefined behaviour sanitizers, and prints a line for each: executions, size of the corpus,
findings. Ends with 1 where there are findings; each comes with the command that replays it.

  --seconds N    of each fuzzer (60)
  --seed N       of the first run; another one after each finding
  --engine E     own: the driver in tests/fuzz/fuzz_main.c, always there (default)
                 libfuzzer: clang's; needs 'apt-get install clang-19 libclang-rt-19-dev'
  --minimise     the best of the grown corpus into tests/fuzz/corpus: at most 32 files of 2 KiB
  FILE           an input that was found: replayed, and nothing else
TEXT
}

fuzz_names() {
    find tests/fuzz -name '*_fuzz.c' -printf '%f\n' | sed 's/_fuzz.c$//' | sort
}

fuzz_fail() {
    echo "tools/dev fuzz: $1" >&2
    exit "$2"
}

# The newest clang that has libFuzzer's runtime beside it; nothing where there is none.
fuzz_clang() {
    local each
    for each in $(compgen -c clang- | grep -E '^clang-[0-9]+$' | sort -t- -k2 -nr | uniq) clang; do
        if command -v "$each" >/dev/null &&
            [ -e "$("$each" -print-file-name=libclang_rt.fuzzer-x86_64.a)" ]; then
            echo "$each"
            return
        fi
    done
}

# ---- building ----

fuzz_build_own() {
    fuzz_programs=zig-out/sanitized/fuzz
    zig_build stage-fuzz -Dasan --prefix zig-out/sanitized >&2
}

fuzz_build_libfuzzer() {
    local clang wolfssl='' targets
    clang=$(fuzz_clang)
    if [ -z "$clang" ]; then
        cat >&2 <<'TEXT'
tools/dev fuzz: SKIPPED: --engine libfuzzer needs clang with its runtimes, and none is installed.
Install it by 'apt-get install clang-19 libclang-rt-19-dev', or leave --engine out.
TEXT
        exit 0
    fi
    if [ -e "$deps/wolfssl/lib/libwolfssl.a" ]; then wolfssl=$deps/wolfssl; fi
    fuzz_programs=zig-out/libfuzzer
    mapfile -t targets < <(printf "$fuzz_programs/%s_fuzz\n" "$@")
    make -j "$(nproc)" -f tests/fuzz/libfuzzer.mk CC="$clang" WOLFSSL="$wolfssl" "${targets[@]}" \
        >"$fuzz_found/libfuzzer.log" 2>&1 || {
        tail -20 "$fuzz_found/libfuzzer.log" >&2
        fuzz_fail "the build for libFuzzer failed; all of it is in $fuzz_found/libfuzzer.log" 1
    }
}

# ---- running ----

# Runs one until the time is over or it has found something. Adds to fuzz_runs; 0: nothing found,
# else fuzz_input is what was found.
fuzz_once_own() {
    local name=$1 seconds=$2 seed=$3 log=$fuzz_found/$1.log status=0
    "$fuzz_programs/${name}_fuzz" --seconds "$seconds" --seed "$seed" \
        --grow "$fuzz_grown/$name" >"$log" 2>&1 || status=$?
    fuzz_runs=$((fuzz_runs + $(grep -oE '([0-9]+ runs in|, run [0-9]+)' "$log" | grep -oE '[0-9]+' |
        tail -1 || echo 0)))
    fuzz_input=$(grep -oE 'input in .*' "$log" | sed 's/input in //' | tail -1 || true)
    return "$status"
}

fuzz_once_libfuzzer() {
    local name=$1 seconds=$2 seed=$3 log=$fuzz_found/$1.log status=0
    "$fuzz_programs/${name}_fuzz" -max_total_time="$seconds" -seed="$seed" -max_len=65536 \
        -timeout=20 -detect_leaks=0 -print_final_stats=1 -artifact_prefix="$fuzz_found/$name-" \
        "$fuzz_grown/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1 || status=$?
    fuzz_runs=$((fuzz_runs + $(grep -a 'number_of_executed_units' "$log" | grep -oE '[0-9]+' |
        tail -1 || echo 0)))
    fuzz_input=$(grep -aoE 'Test unit written to .*' "$log" | sed 's/.* to //' | tail -1 || true)
    return "$status"
}

# What the last run of it complained about.
fuzz_complaint() {
    grep -aE 'ringtape: bug|ERROR: |runtime error|signal' "$fuzz_found/$1.log" | head -1
}

fuzz_corpus_size() {
    find "tests/fuzz/corpus/$1" "$fuzz_grown/$1" -type f -printf '%s\n' 2>/dev/null |
        awk '{ bytes += $1 } END { printf "%d inputs %d bytes", NR, bytes }'
}

# One fuzzer for its time, on and on after findings; but not where the corpus itself fails, which
# is the same again within seconds.
fuzz_run() {
    local name=$1 seconds=$2 seed=$3 begin=$SECONDS left began complaint='' options='' each
    local findings=()
    fuzz_runs=0
    mkdir -p "$fuzz_grown/$name" "tests/fuzz/corpus/$name"
    for ((left = seconds; left > 0 && ${#findings[@]} < fuzz_findings_max; )); do
        began=$SECONDS
        if "fuzz_once_$fuzz_engine" "$name" "$left" "$seed"; then break; fi
        if [ "$(fuzz_complaint "$name")" = "$complaint" ] && [ $((SECONDS - began)) -lt 3 ]; then
            break
        fi
        complaint=$(fuzz_complaint "$name")
        findings+=("$complaint" "${fuzz_input:-(not written; see $fuzz_found/$name.log)}")
        seed=$((seed + 1))
        left=$((seconds - (SECONDS - begin)))
    done
    echo "$name: $fuzz_runs executions in $((SECONDS - begin)) s, corpus" \
        "$(fuzz_corpus_size "$name"), $((${#findings[@]} / 2)) findings"
    if [ "$fuzz_engine" != own ]; then options=" --engine $fuzz_engine"; fi
    for ((each = 0; each < ${#findings[@]}; each += 2)); do
        echo "    ${findings[each]}"
        echo "    replay: tools/dev fuzz $name ${findings[each + 1]}$options"
    done
    [ ${#findings[@]} = 0 ]
}

fuzz_minimise() {
    local name=$1
    mkdir -p "$fuzz_grown/$name" "tests/fuzz/corpus/$name"
    "$fuzz_programs/${name}_fuzz" --grow "$fuzz_grown/$name" \
        --minimise "tests/fuzz/corpus/$name" 2>/dev/null
}

verb_fuzz() {
    local names=() files=() seconds=60 seed=$RANDOM minimise='' status=0 name
    fuzz_engine=own
    while [ $# -gt 0 ]; do
        case $1 in
        --seconds) seconds=${2:-} && shift ;;
        --seed) seed=${2:-} && shift ;;
        --engine) fuzz_engine=${2:-} && shift ;;
        --minimise) minimise=yes ;;
        --help) fuzz_usage && return ;;
        --*) fuzz_usage >&2 && exit 64 ;;
        *) if [ -e "tests/fuzz/${1}_fuzz.c" ]; then names+=("$1"); else files+=("$1"); fi ;;
        esac
        shift
    done
    [[ $seconds =~ ^[0-9]+$ && $seed =~ ^[0-9]+$ ]] || fuzz_fail "a number is needed" 64
    [[ $fuzz_engine =~ ^(own|libfuzzer)$ ]] || fuzz_fail "no engine '$fuzz_engine'" 64
    for name in "${files[@]}"; do
        [ -f "$name" ] || fuzz_fail "there is no tests/fuzz/${name}_fuzz.c and no file $name" 64
    done
    [ ${#files[@]} = 0 ] || [ ${#names[@]} = 1 ] || fuzz_fail "FILE needs one NAME before it" 64
    if [ ${#names[@]} = 0 ]; then mapfile -t names < <(fuzz_names); fi
    mkdir -p "$fuzz_found"
    run_environment
    "fuzz_build_$fuzz_engine" "${names[@]}"
    if [ ${#files[@]} -gt 0 ]; then
        "$fuzz_programs/${names[0]}_fuzz" "${files[@]}"
        return
    fi
    for name in "${names[@]}"; do
        if [ -n "$minimise" ]; then
            [ "$fuzz_engine" = own ] || fuzz_fail "--minimise is of the own engine" 64
            fuzz_minimise "$name"
        else
            fuzz_run "$name" "$seconds" "$seed" || status=1
        fi
    done
    return "$status"
}
