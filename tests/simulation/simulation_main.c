// SPDX-License-Identifier: GPL-3.0-or-later
//
// simulation [--seeds FIRST-LAST] [--minutes N] [--workers N] [--twice N] [--json]
// simulation --seed N [--minutes N] [--log]
// simulation --exhaustive [--stride N] [--workers N] [--only CASE] [--log]
//
// Many seeds, each in a process of its own; what happened is counted, a failing seed is printed
// with the command that repeats it. Exit code 1: a seed failed.
#include "tests/simulation/exhaustive.h"
#include "tests/simulation/simulation.h"
#include "tests/simulation/workers.h"

#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "format/ensure.h"

enum { SEED_SECONDS_MAX = 120, MAP_BYTES = 1 << 18 };

struct settings {
    struct simulation_options options;
    uint64_t first, last;
    uint64_t twice; // every so many seeds is run again: its trace must be the same. 0: none
    uint32_t workers;
    const char *program;
    bool json;
};

struct outcome { // from the process of a seed
    uint64_t seed;
    bool good;
    int64_t cpu_ns;
    struct simulation_counts counts;
};

struct sum {
    struct simulation_counts counts;
    uint64_t seeds, failed, repeated, differing;
    uint64_t events_least, crashes_least, episodes_least;
    int64_t cpu_ns, virtual_least_ns;
};

static int64_t child_cpu_ns(const struct rusage *usage)
{
    const struct timeval *user = &usage->ru_utime, *system = &usage->ru_stime;
    return (user->tv_sec + system->tv_sec) * LIMIT_SECOND_NS +
           (user->tv_usec + system->tv_usec) * LIMIT_MICROSECOND_NS;
}

static void seed_run(const struct settings *settings, uint64_t seed, struct outcome *outcome)
{
    int ends[2];
    struct rusage usage = {0};
    *outcome = (struct outcome){.seed = seed};
    if (pipe(ends) != 0) abort();
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        // Of the CPU: a life waits for nothing, and a busy machine is no failure.
        const struct rlimit limit = {SEED_SECONDS_MAX, SEED_SECONDS_MAX};
        if (setrlimit(RLIMIT_CPU, &limit) != 0) abort();
        simulation_run(seed, &settings->options, &outcome->counts);
        const bool told = write(ends[1], &outcome->counts, sizeof outcome->counts) ==
                          (ssize_t)sizeof outcome->counts;
        _exit(told ? 0 : 1);
    }
    (void)close(ends[1]);
    const ssize_t size = read(ends[0], &outcome->counts, sizeof outcome->counts);
    (void)close(ends[0]);
    int status = 0;
    if (child < 0 || wait4(child, &status, 0, &usage) != child) abort();
    outcome->cpu_ns = child_cpu_ns(&usage);
    outcome->good = status == 0 && size == (ssize_t)sizeof outcome->counts;
    if (outcome->good) return;
    outcome->counts = (struct simulation_counts){0};
    (void)fprintf(stderr, "seed %" PRIu64 " FAILED (%s %d); again: %s --seed %" PRIu64
                          " --minutes %" PRId64 " --log\n",
                  seed, WIFSIGNALED(status) ? "signal" : "exit",
                  WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), settings->program,
                  seed, settings->options.minutes);
}

// Seeds of one worker go to the parent through `out`, whole records below PIPE_BUF.
_Static_assert(sizeof(struct outcome) <= 4096, "written in one piece");

static void worker_run(const void *context, uint32_t worker, int out)
{
    const struct settings *settings = context;
    for (uint64_t seed = settings->first + worker; seed <= settings->last;
         seed += settings->workers) {
        struct outcome outcome, again;
        seed_run(settings, seed, &outcome);
        if (outcome.good && settings->twice > 0 && seed % settings->twice == 0) {
            seed_run(settings, seed, &again);
            if (again.counts.hash != outcome.counts.hash) {
                (void)fprintf(stderr, "seed %" PRIu64 " FAILED: another trace the second time; "
                                      "again: %s --seeds %" PRIu64 " --twice 1 --minutes %" PRId64
                                      "\n",
                              seed, settings->program, seed, settings->options.minutes);
                outcome.good = false;
            }
        }
        ensure(write(out, &outcome, sizeof outcome) == (ssize_t)sizeof outcome);
    }
}

static void sum_add(struct sum *sum, const struct outcome *outcome)
{
    const struct simulation_counts *own = &outcome->counts;
    struct simulation_counts *all = &sum->counts;
    sum->seeds++;
    sum->failed += !outcome->good;
    sum->cpu_ns += outcome->cpu_ns;
    if (!outcome->good) return;
    all->events += own->events;
    all->stored += own->stored;
    all->listed += own->listed;
    all->delivered += own->delivered;
    all->crashes += own->crashes;
    all->stops += own->stops;
    all->episodes += own->episodes;
    all->virtual_ns += own->virtual_ns;
    all->hash ^= own->hash;
    for (uint32_t i = 0; i < SIMULATION_KINDS_MAX; i++) all->hits[i] += own->hits[i];
    for (uint32_t i = 0; i < SIMULATION_ARROWS_MAX; i++) all->arrows[i] += own->arrows[i];
    if (own->events < sum->events_least) sum->events_least = own->events;
    if (own->crashes < sum->crashes_least) sum->crashes_least = own->crashes;
    if (own->episodes < sum->episodes_least) sum->episodes_least = own->episodes;
    if (own->virtual_ns < sum->virtual_least_ns) sum->virtual_least_ns = own->virtual_ns;
}

static int64_t seconds_of(int64_t duration_ns)
{
    return duration_ns / LIMIT_SECOND_NS;
}

static void print_json(const struct sum *sum)
{
    const struct simulation_counts *all = &sum->counts;
    (void)printf("{\"seeds\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"events\": %" PRIu64
                 ", \"stored\": %" PRIu64 ", \"listed\": %" PRIu64 ", \"delivered\": %" PRIu64
                 ", \"crashes\": %" PRIu64 ", \"stops\": %" PRIu64 ", \"episodes\": %" PRIu64
                 ", \"events_least\": %" PRIu64 ", \"crashes_least\": %" PRIu64
                 ", \"episodes_least\": %" PRIu64 ", \"virtual_s\": %" PRId64
                 ", \"virtual_least_s\": %" PRId64 ", \"cpu_ms\": %" PRId64 ", \"hits\": {",
                 sum->seeds, sum->failed, all->events, all->stored, all->listed, all->delivered,
                 all->crashes, all->stops, all->episodes, sum->events_least, sum->crashes_least,
                 sum->episodes_least, seconds_of(all->virtual_ns),
                 seconds_of(sum->virtual_least_ns), (int64_t)(sum->cpu_ns / LIMIT_MILLISECOND_NS));
    for (uint32_t i = 0; i < simulation_fault_count(); i++)
        (void)printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", simulation_fault_name(i),
                     all->hits[i]);
    (void)printf("}, \"arrows\": {");
    for (uint32_t i = 0; i < simulation_arrow_count(); i++)
        (void)printf("%s\"%s\": %" PRIu64, i > 0 ? ", " : "", simulation_arrow_name(i),
                     all->arrows[i]);
    (void)printf("}}\n");
}

static void print_text(const struct sum *sum)
{
    const struct simulation_counts *all = &sum->counts;
    const double cpu_s = (double)sum->cpu_ns / 1e9, virtual_s = (double)all->virtual_ns / 1e9;
    (void)printf("%" PRIu64 " seeds, %" PRIu64 " failed\n", sum->seeds, sum->failed);
    (void)printf("%" PRIu64 " events, %" PRIu64 " trades stored, %" PRIu64 " listed as missing, %"
                 PRIu64 " delivered\n", all->events, all->stored, all->listed, all->delivered);
    (void)printf("%" PRIu64 " crashes, %" PRIu64 " stops, %" PRIu64 " episodes of faults\n",
                 all->crashes, all->stops, all->episodes);
    (void)printf("least of a seed: %" PRIu64 " events, %" PRIu64 " crashes, %" PRIu64
                 " episodes, %" PRId64 " s\n", sum->events_least, sum->crashes_least,
                 sum->episodes_least, seconds_of(sum->virtual_least_ns));
    (void)printf("%.0f virtual hours in %.0f CPU seconds: %.0f times real time\n",
                 virtual_s / 3600, cpu_s, cpu_s > 0 ? virtual_s / cpu_s : 0);
    for (uint32_t i = 0; i < simulation_fault_count(); i++)
        (void)printf("  %-30s %12" PRIu64 "\n", simulation_fault_name(i), all->hits[i]);
    for (uint32_t i = 0; i < simulation_arrow_count(); i++)
        (void)printf("  %-30s %12" PRIu64 "\n", simulation_arrow_name(i), all->arrows[i]);
}

// A line of progress on a terminal, now and then.
static void progress(const struct settings *settings, const struct sum *sum)
{
    static time_t last;
    const time_t now = time(NULL);
    if (now == last || isatty(2) == 0) return;
    last = now;
    (void)fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " seeds, %" PRIu64 " failed ", sum->seeds,
                  settings->last - settings->first + 1, sum->failed);
}

static int run_all(const struct settings *settings)
{
    struct workers workers;
    struct outcome outcome;
    struct sum sum = {.events_least = UINT64_MAX, .crashes_least = UINT64_MAX,
                      .episodes_least = UINT64_MAX, .virtual_least_ns = INT64_MAX};
    workers_start(&workers, settings->workers, worker_run, settings);
    while (read(workers.from, &outcome, sizeof outcome) == (ssize_t)sizeof outcome) {
        sum_add(&sum, &outcome);
        progress(settings, &sum);
    }
    const bool whole = workers_end(&workers);
    if (settings->json)
        print_json(&sum);
    else
        print_text(&sum);
    return whole && sum.failed == 0 && sum.seeds == settings->last - settings->first + 1 ? 0 : 1;
}

static int run_one(const struct settings *settings)
{
    struct simulation_counts counts;
    simulation_run(settings->first, &settings->options, &counts);
    (void)printf("seed %" PRIu64 ": good; %" PRIu64 " events, %" PRIu64 " stored, %" PRIu64
                 " listed, %" PRIu64 " crashes, trace %016" PRIx64 "\n",
                 settings->first, counts.events, counts.stored, counts.listed, counts.crashes,
                 counts.hash);
    return 0;
}

static int usage(FILE *out, int code)
{
    (void)fprintf(out, "usage: simulation [--seeds FIRST-LAST] [--minutes N] [--workers N]"
                       " [--twice N] [--json]\n"
                       "       simulation --seed N [--minutes N] [--log]\n"
                       "       simulation --exhaustive [--stride N] [--workers N] [--only CASE]"
                       " [--log]\n"
                       "Whole recorders in simulated worlds with faults; see docs/testing.md.\n"
                       "--twice N: every Nth seed is run again and must leave the same trace.\n"
                       "--exhaustive: a short life, every single fault times every crash;"
                       " --stride N: one case in N.\n");
    return code;
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"seeds", required_argument, NULL, 's'}, {"seed", required_argument, NULL, 'o'},
        {"minutes", required_argument, NULL, 'm'}, {"workers", required_argument, NULL, 'w'},
        {"twice", required_argument, NULL, 't'}, {"json", no_argument, NULL, 'j'},
        {"log", no_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'},
        {"exhaustive", no_argument, NULL, 'e'}, {"stride", required_argument, NULL, 'r'},
        {"only", required_argument, NULL, 'y'}, {0}};
    struct exhaustive_options exhaustive = {.stride = 1, .only = UINT64_MAX, .program = argv[0]};
    bool all_cases = false;
    struct settings settings = {.options = {.minutes = 10}, .first = 1, .last = 100, .workers = 2,
                                .twice = 50, .program = argv[0]};
    bool one = false;
    // What is large comes untouched from the kernel and is not cleared by hand: 1,040 instead of
    // 700 times real time.
    ensure(mallopt(M_MMAP_THRESHOLD, MAP_BYTES) == 1);
    for (int option; (option = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        char *rest = optarg;
        switch (option) {
        case 's':
            settings.first = strtoull(optarg, &rest, 10);
            settings.last = *rest == '-' ? strtoull(rest + 1, NULL, 10) : settings.first;
            break;
        case 'o': settings.first = settings.last = strtoull(optarg, NULL, 10); one = true; break;
        case 'm': settings.options.minutes = strtoll(optarg, NULL, 10); break;
        case 'w': settings.workers = (uint32_t)strtoul(optarg, NULL, 10); break;
        case 't': settings.twice = strtoull(optarg, NULL, 10); break;
        case 'j': settings.json = true; break;
        case 'l': settings.options.log = true; break;
        case 'e': all_cases = true; break;
        case 'r': exhaustive.stride = strtoull(optarg, NULL, 10); break;
        case 'y': exhaustive.only = strtoull(optarg, NULL, 10); break;
        case 'h': return usage(stdout, 0);
        default: return usage(stderr, 64);
        }
    }
    if (optind != argc || settings.workers == 0 || settings.workers > WORKERS_MAX ||
        settings.options.minutes < 1 || settings.first > settings.last)
        return usage(stderr, 64);
    exhaustive.workers = settings.workers;
    exhaustive.log = settings.options.log;
    if (all_cases && exhaustive.stride > 0) return exhaustive_run(&exhaustive);
    return one ? run_one(&settings) : run_all(&settings);
}
