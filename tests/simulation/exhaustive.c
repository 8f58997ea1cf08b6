// SPDX-License-Identifier: GPL-3.0-or-later
//
// exhaustive: see exhaustive.h. One process lives a life with one fault; at each step it forks, and
// the child is the life that was crashed there. So what comes before a crash is lived once.
#include "tests/simulation/exhaustive.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/ensure.h"
#include "scripted_producer.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/workers.h"

#define MS LIMIT_MILLISECOND_NS
#define SECOND LIMIT_SECOND_NS

enum {
    STEPS_MAX = 4096,
    VARIANTS = 3,
    REFUSALS_MAX = 10,
    CASE_SECONDS_MAX = 60,
    EXIT_FAILED = 1,
    SEED = 4711,
};

struct tally {
    uint64_t cases;
    uint64_t failed;
    uint64_t struck; // the fault has hit
};

struct exhaustive {
    const struct exhaustive_options *options;
    struct life *life;
    uint64_t fault;    // step, 0: none
    uint32_t variant;
    uint64_t crash;    // step of `only`
    enum sim_crash how;
    bool crashed;      // this process is the crashed life
    jmp_buf stopped;
    struct tally tally;
};

static uint32_t step_count;
static enum io_kind step_kind[STEPS_MAX + 1];

// ---- cases by number ----

static uint64_t case_number(uint64_t fault, uint32_t variant, uint64_t crash, enum sim_crash how)
{
    return ((fault * VARIANTS + variant) * (STEPS_MAX + 1) + crash) * 2 + (how == SIM_CRASH_POWER);
}

static bool is_wanted(const struct exhaustive *own, uint64_t number)
{
    const struct exhaustive_options *options = own->options;
    if (options->only != UINT64_MAX) return number == options->only;
    // Mixed, so that a stride meets all steps.
    const uint64_t mixed = (number * 0x9e3779b97f4a7c15u) >> 32;
    return mixed % options->stride == options->offset % options->stride;
}

// ---- a life ----

static void life_script(struct exhaustive *own)
{
    struct life *life = own->life;
    if (setjmp(own->stopped) != 0) return;
    life->stops_short = &own->stopped;
    while (!life_start(life)) {
        if (!life->refused) return;
        life_run(life, SECOND);
    }
    life_run(life, 700 * MS);
    sealer_merge_all(life->sealer);
    life_run(life, 200 * MS);
    life_stop(life);
}

// What is promised, after everything; nothing fails any more but the fault that has not struck yet.
static void life_judged(struct exhaustive *own)
{
    struct life *life = own->life;
    life->stops_short = NULL;
    if (own->crashed) life_crash(life, own->how);
    life_run(life, SECOND);
    for (int i = 0; !life_start(life); i++) {
        cr_assert(life->refused && i < REFUSALS_MAX);
        life_run(life, SECOND);
    }
    life_run(life, 5 * SECOND); // a start whose tape cannot be written records a second later
    life->peer->stopped = true;
    life_run(life, 80 * SECOND);
    for (int i = 0; !life_mirror_idle(life); i++) {
        cr_assert_lt(i, 60, "the mirror does not catch up");
        life_run(life, SECOND);
    }
    life_stop(life);
    own->tally.struck += sim_world_single_kind(life->world) != IO_NONE;
    sim_world_single(life->world, 0, 0);
    sim_world_forgive(life->world);
    const struct life_result result = life_judge(life);
    cr_assert_gt(result.stored, 10, "%" PRIu64 " stored", result.stored);
    cr_assert_eq(result.duplicated, 0, "%" PRIu64, result.duplicated);
    cr_assert_eq(result.missing, 0, "%" PRIu64, result.missing);
    cr_assert_eq(result.wrong, 0, "%" PRIu64, result.wrong);
    cr_assert_eq(result.rows_lost, 0, "%" PRIu64, result.rows_lost);
    cr_assert_eq(result.depth_wrong, 0, "%" PRIu64, result.depth_wrong);
    cr_assert_eq(result.depth_unlisted, 0, "%" PRIu64, result.depth_unlisted);
    cr_assert_eq(result.candles_wrong, 0, "%" PRIu64, result.candles_wrong);
    simulation_judge_kafka(life, &(struct simulation_groups){.disk = true});
}

// ---- crashes ----

static void case_failed(const struct exhaustive *own, uint64_t number, int status)
{
    (void)fprintf(stderr, "case %" PRIu64 " FAILED (%s %d): fault at step %" PRIu64
                          " variant %u; again: %s --exhaustive --only %" PRIu64 " --log\n",
                  number, WIFSIGNALED(status) ? "signal" : "exit",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), own->fault,
                  own->variant, own->options->program, number);
}

static void crash_here(struct exhaustive *own, enum sim_crash how)
{
    own->crashed = true;
    own->how = how;
    own->life->start_crash = how;
    sim_world_on_step(own->life->world, NULL, NULL);
    sim_world_stop(own->life->world);
}

// A step: the crashed lives begin here. In a child it returns with the machine standing still.
static void each_step(void *context, uint64_t step, enum io_kind kind)
{
    struct exhaustive *own = context;
    (void)kind;
    for (int how = SIM_CRASH_POWER; how <= SIM_CRASH_KILL; how++) {
        const uint64_t number = case_number(own->fault, own->variant, step, (enum sim_crash)how);
        if (!is_wanted(own, number)) continue;
        if (own->options->only != UINT64_MAX) {
            crash_here(own, (enum sim_crash)how);
            return;
        }
        int status = 0;
        (void)fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            (void)alarm(CASE_SECONDS_MAX);
            crash_here(own, (enum sim_crash)how);
            return;
        }
        ensure(child > 0 && waitpid(child, &status, 0) == child);
        own->tally.cases++;
        own->tally.struck += WIFEXITED(status) && WEXITSTATUS(status) == 2;
        if (WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2)) continue;
        own->tally.failed++;
        case_failed(own, number, status);
    }
}

static void note_step(void *context, uint64_t step, enum io_kind kind)
{
    (void)context;
    ensure(step <= STEPS_MAX);
    step_count = (uint32_t)step;
    step_kind[step] = kind;
}

static void life_make(struct exhaustive *own)
{
    struct life *life = life_create(SEED, 1, 150 * MS);
    own->life = life;
    life->seals = true;
    life->may_refuse = true;
    life->tape_age_ns = 300 * MS;
    life->broker = calloc(1, sizeof *life->broker);
    life->broker->world = life->world;
    life->broker->poll_ns = 10 * MS;
    sim_world_faults(life->world)->torn_sector = 500000;
    if (own->options->log) life->log.file = 2;
}

// One life with a fault, and the crashed ones that branch off. Crash 0: without any.
static void life_with_fault(struct exhaustive *own)
{
    const uint64_t number = case_number(own->fault, own->variant, 0, SIM_CRASH_KILL);
    life_make(own);
    sim_world_single(own->life->world, own->fault, own->variant);
    sim_world_on_step(own->life->world, each_step, own);
    life_script(own);
    sim_world_on_step(own->life->world, NULL, NULL);
    const bool judged = own->crashed || is_wanted(own, number);
    if (judged) life_judged(own);
    if (own->crashed) _exit(own->tally.struck > 0 ? 2 : 0);
    own->tally.cases += judged;
}

// ---- all of them ----

static void fault_run(const struct exhaustive_options *options, uint64_t fault, uint32_t variant,
                      int out)
{
    struct exhaustive own = {.options = options, .fault = fault, .variant = variant};
    (void)fflush(NULL);
    int ends[2], status = 0;
    ensure(pipe(ends) == 0);
    const pid_t child = fork();
    if (child == 0) {
        life_with_fault(&own);
        own.tally.struck = own.tally.struck > own.tally.cases ? own.tally.cases : own.tally.struck;
        ensure(write(ends[1], &own.tally, sizeof own.tally) == (ssize_t)sizeof own.tally);
        _exit(0);
    }
    (void)close(ends[1]);
    ensure(child > 0);
    const ssize_t got = read(ends[0], &own.tally, sizeof own.tally);
    ensure(waitpid(child, &status, 0) == child);
    (void)close(ends[0]);
    if (status != 0 || got != (ssize_t)sizeof own.tally) {
        own.tally = (struct tally){.cases = 1, .failed = 1};
        case_failed(&own, case_number(fault, variant, 0, SIM_CRASH_KILL), status);
    }
    ensure(write(out, &own.tally, sizeof own.tally) == (ssize_t)sizeof own.tally);
}

// With a wide stride not every fault has a case.
static bool has_case(const struct exhaustive_options *options, uint64_t fault, uint32_t variant)
{
    const struct exhaustive own = {.options = options};
    for (uint64_t crash = 0; crash <= step_count; crash++)
        if (is_wanted(&own, case_number(fault, variant, crash, SIM_CRASH_KILL)) ||
            is_wanted(&own, case_number(fault, variant, crash, SIM_CRASH_POWER)))
            return true;
    return false;
}

static uint32_t variants_of(uint64_t fault)
{
    return fault == 0 ? 1 : sim_single_variants(step_kind[fault]);
}

static void worker_run(const void *context, uint32_t worker, int out)
{
    const struct exhaustive_options *options = context;
    uint64_t turn = 0;
    for (uint64_t fault = 0; fault <= step_count; fault++)
        for (uint32_t variant = 0; variant < variants_of(fault); variant++)
            if (turn++ % options->workers == worker && has_case(options, fault, variant))
                fault_run(options, fault, variant, out);
}

static uint64_t lives_with_case(const struct exhaustive_options *options)
{
    uint64_t lives = 0;
    for (uint64_t fault = 0; fault <= step_count; fault++)
        for (uint32_t variant = 0; variant < variants_of(fault); variant++)
            lives += has_case(options, fault, variant);
    return lives;
}

static void steps_learn(const struct exhaustive_options *options)
{
    struct exhaustive own = {.options = options};
    life_make(&own);
    sim_world_on_step(own.life->world, note_step, NULL);
    life_script(&own);
    sim_world_on_step(own.life->world, NULL, NULL);
    ensure(!own.crashed && step_count > 100);
    life_judged(&own);
}

static int run_only(const struct exhaustive_options *options)
{
    const uint64_t crashes = STEPS_MAX + 1, fault = options->only / 2 / crashes;
    struct exhaustive own = {.options = options, .fault = fault / VARIANTS,
                             .variant = (uint32_t)(fault % VARIANTS)};
    own.crash = options->only / 2 % crashes;
    (void)printf("fault at step %" PRIu64 " variant %u, crash at step %" PRIu64 "\n", own.fault,
                 own.variant, own.crash);
    life_with_fault(&own);
    return 0;
}

// What all workers told; false where it is not all that there was to run. How many cases a life has
// only the life knows, for a fault changes what follows it; the lives are known.
static bool run_all(const struct exhaustive_options *options, struct tally *all)
{
    struct workers workers;
    struct tally one;
    uint64_t lives = 0;
    workers_start(&workers, options->workers, worker_run, options);
    for (; read(workers.from, &one, sizeof one) == (ssize_t)sizeof one; lives++) {
        all->cases += one.cases;
        all->failed += one.failed;
        all->struck += one.struck;
    }
    const bool good = workers_end(&workers);
    const uint64_t wanted = lives_with_case(options);
    if (lives != wanted)
        (void)fprintf(stderr, "%" PRIu64 " lives of %" PRIu64 " were lived\n", lives, wanted);
    return good && lives == wanted;
}

int exhaustive_run(const struct exhaustive_options *options)
{
    struct tally all = {0};
    struct rusage usage;
    if (options->only != UINT64_MAX) return run_only(options);
    steps_learn(options);
    const bool whole = run_all(options, &all);
    ensure(getrusage(RUSAGE_CHILDREN, &usage) == 0);
    (void)printf("a life of %u operations: %" PRIu64 " cases, the fault struck in %" PRIu64 ", %"
                 PRIu64 " failed; %ld CPU seconds\n", step_count, all.cases, all.struck,
                 all.failed, (long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec));
    return whole && all.failed == 0 && all.cases > 0 ? 0 : EXIT_FAILED;
}
