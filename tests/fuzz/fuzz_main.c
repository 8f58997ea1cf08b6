// SPDX-License-Identifier: GPL-3.0-or-later
//
// Driver of the fuzzers: replays the corpus, then mutates it, guided by coverage where the build
// put counters in (-fsanitize-coverage=inline-8bit-counters), until the time or the runs are over.
//
//   replay the corpus -> mutate(pick(pool)) -> LLVMFuzzerTestOneInput -> new counters? -> pool
//
//     NAME_fuzz [--seconds N] [--runs N] [--seed N] [--grow FOLDER]   fuzz; what reached something
//                                  new is read from the folder at start and kept there
//     NAME_fuzz --minimise FOLDER [--grow FOLDER]   write there what of the grown corpus reaches
//                                  most beyond the committed one: few and small files
//     NAME_fuzz FILE...            replay these and nothing else
//
// The same seed, corpus and number of runs give the same inputs. An input lies against a page that
// must not be touched, so that reading past its end is fatal even without a sanitizer; when a run
// crashes or hangs, a signal handler writes the input to a file that can be given as an argument.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "format/ensure.h"

enum {
    input_bytes_max = 1 << 16,
    pool_inputs_max = 1 << 14,
    page_bytes = 4096,
    hang_seconds = 20, // of one run, at least; twice as many at most
    counter_areas_max = 64,
    mutations_max = 8,
    minimised_files_max = 32,
    minimised_bytes_max = 2048, // of a file
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
void __sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop);
const char *__asan_default_options(void);

struct input {
    uint8_t *data;
    size_t size;
    size_t gain; // counters, and magnitudes of them, that it was the first to reach
};

static struct {
    struct input pool[pool_inputs_max];
    size_t pool_count;
    size_t pool_bytes;
    const char *grow_folder; // NULL: what is found is forgotten
    uint8_t *guard; // The end of every input; never readable.
    const uint8_t *current;
    size_t current_size;
    uint64_t seed;
    uint64_t state;
    uint64_t runs;
    volatile uint64_t runs_at_alarm;
    uint8_t *counters[counter_areas_max][2];
    uint8_t *counters_seen[counter_areas_max];
    size_t counter_areas;
    size_t counters_hit;
    char name[64];
    const char *crash_dir;
} fuzz;

// Called by the constructors that the compiler adds to each instrumented program.
__attribute__((visibility("default"))) void __sanitizer_cov_8bit_counters_init(uint8_t *start,
                                                                               uint8_t *stop)
{
    for (size_t i = 0; i < fuzz.counter_areas; i++)
        if (fuzz.counters[i][0] == start) return;
    if (start == stop || fuzz.counter_areas == counter_areas_max) return;
    fuzz.counters[fuzz.counter_areas][0] = start;
    fuzz.counters[fuzz.counter_areas][1] = stop;
    fuzz.counter_areas++;
}

// An abort reaches the handler below; a silent exit would lose the input.
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "abort_on_error=1";
}

static uint64_t random_next(void)
{
    uint64_t z = fuzz.state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static size_t random_below(size_t bound)
{
    ensure(bound > 0);
    return (size_t)(random_next() % bound);
}

static void on_crash(int signal_number)
{
    char path[256];
    // Not async-signal-safe by the letter; the process is lost anyway, and the state is our own.
    (void)snprintf(path, sizeof path, "%s/%s-%" PRIu64 "-%" PRIu64 ".input", fuzz.crash_dir,
                   fuzz.name, fuzz.seed, fuzz.runs);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0) {
        ssize_t written = write(fd, fuzz.current, fuzz.current_size);
        (void)written;
        (void)close(fd);
    }
    (void)fprintf(stderr, "%s: signal %d, seed %" PRIu64 ", run %" PRIu64 ", input in %s\n",
                  fuzz.name, signal_number, fuzz.seed, fuzz.runs, path);
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
    _exit(1);
}

// Every hang_seconds: a run that was there the last time hangs. So no run has to set an alarm, and
// none is blamed for those before it.
static void on_alarm(int signal_number)
{
    if (fuzz.runs_at_alarm == fuzz.runs) on_crash(signal_number);
    fuzz.runs_at_alarm = fuzz.runs;
    (void)alarm(hang_seconds);
}

static void handlers_init(void)
{
    static uint8_t stack[1 << 16];
    const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    ensure(sigaltstack(&alternate, NULL) == 0);
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    const int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        ensure(sigaction(signals[i], &action, NULL) == 0);
    action = (struct sigaction){.sa_handler = on_alarm, .sa_flags = SA_ONSTACK | SA_RESTART};
    ensure(sigaction(SIGALRM, &action, NULL) == 0);
    (void)alarm(hang_seconds);
}

static void guard_init(void)
{
    uint8_t *area = mmap(NULL, input_bytes_max + page_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ensure(area != MAP_FAILED);
    fuzz.guard = area + input_bytes_max;
    ensure(mprotect(fuzz.guard, page_bytes, PROT_NONE) == 0);
}

// How many counters, and new magnitudes of them, the last run was the first to reach.
static size_t counters_collect(void)
{
    size_t fresh = 0;
    for (size_t i = 0; i < fuzz.counter_areas; i++) {
        uint8_t *start = fuzz.counters[i][0];
        size_t count = (size_t)(fuzz.counters[i][1] - start);
        uint8_t *seen = fuzz.counters_seen[i];
        for (size_t k = 0; k < count; k++) {
            if (start[k] == 0) continue;
            unsigned magnitude = 31u - (unsigned)__builtin_clz(start[k]);
            uint8_t bit = (uint8_t)(1u << magnitude);
            if (seen[k] == 0) fuzz.counters_hit++;
            if ((seen[k] & bit) == 0) fresh++;
            seen[k] |= bit;
        }
        memset(start, 0, count);
    }
    return fresh;
}

static void counters_init(void)
{
    for (size_t i = 0; i < fuzz.counter_areas; i++) {
        size_t count = (size_t)(fuzz.counters[i][1] - fuzz.counters[i][0]);
        fuzz.counters_seen[i] = calloc(count, 1);
        ensure(fuzz.counters_seen[i] != NULL);
    }
}

static void pool_add(const uint8_t *data, size_t size)
{
    ensure(size <= input_bytes_max);
    if (fuzz.pool_count == pool_inputs_max) return;
    uint8_t *copy = malloc(size > 0 ? size : 1);
    ensure(copy != NULL);
    memcpy(copy, data, size);
    fuzz.pool[fuzz.pool_count++] = (struct input){.data = copy, .size = size};
    fuzz.pool_bytes += size;
}

// Returns how much the run reached that is new.
static size_t run_one(const uint8_t *data, size_t size)
{
    ensure(size <= input_bytes_max);
    uint8_t *at = fuzz.guard - size;
    memcpy(at, data, size);
    fuzz.current = at;
    fuzz.current_size = size;
    fuzz.runs++;
    (void)LLVMFuzzerTestOneInput(at, size);
    return counters_collect();
}

static void replay_file(const char *path)
{
    static uint8_t buffer[input_bytes_max];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        (void)fprintf(stderr, "%s: cannot read %s: %s\n", fuzz.name, path, strerror(errno));
        exit(66);
    }
    size_t size = fread(buffer, 1, sizeof buffer, file);
    (void)fclose(file);
    pool_add(buffer, size);
    (void)run_one(buffer, size);
}

// In the order of names, so that the same corpus gives the same run. A missing folder is empty.
static void replay_folder(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        struct stat status;
        if (stat(path, &status) == 0 && S_ISREG(status.st_mode)) replay_file(path);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

static void replay_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        replay_folder(path);
    else
        replay_file(path);
}

// Values at the edges of what parsers and decoders compute with.
static void overwrite_number(uint8_t *data, size_t size)
{
    static const uint64_t edges[] = {
        0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000,
        0xFFFFFFFF, 0x100000000, INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX,
    };
    uint64_t value = edges[random_below(sizeof edges / sizeof edges[0])];
    size_t width = (size_t)1 << random_below(4);
    if (width > size) return;
    if (random_below(2) == 1) value = __builtin_bswap64(value) >> (64 - 8 * width);
    memcpy(data + random_below(size - width + 1), &value, width);
}

static void overwrite_text(uint8_t *data, size_t size)
{
    static const char bytes[] = "0123456789.-+eE\"\\{}[]:,\r\n \t/ntfu\xff\x80\xc0\xed";
    data[random_below(size)] = (uint8_t)bytes[random_below(sizeof bytes)];
}

// Removes or repeats a stretch; returns the new size.
static size_t resize(uint8_t *data, size_t size)
{
    if (size == 0) return 0;
    size_t from = random_below(size);
    size_t length = 1 + random_below(size - from < 64 ? size - from : 64);
    if (random_below(2) == 0) {
        memmove(data + from, data + from + length, size - from - length);
        return size - length;
    }
    if (size + length > input_bytes_max) return size;
    memmove(data + from + length, data + from, size - from);
    return size + length;
}

// Puts a stretch of another input into this one; returns the new size.
static size_t splice_other(uint8_t *data, size_t size)
{
    const struct input *other = &fuzz.pool[random_below(fuzz.pool_count)];
    if (other->size == 0) return size;
    size_t from = random_below(other->size);
    size_t length = 1 + random_below(other->size - from);
    size_t at = random_below(size + 1);
    if (at + length > input_bytes_max) return size;
    memcpy(data + at, other->data + from, length);
    return at + length > size ? at + length : size;
}

static size_t mutate(uint8_t *data, size_t size)
{
    size_t mutations = 1 + random_below(mutations_max);
    for (size_t i = 0; i < mutations; i++) {
        size_t kind = size == 0 ? 5 : random_below(8);
        switch (kind) {
        case 0:
            data[random_below(size)] ^= (uint8_t)(1u << random_below(8));
            break;
        case 1:
            data[random_below(size)] = (uint8_t)random_next();
            break;
        case 2:
            overwrite_number(data, size);
            break;
        case 3:
            overwrite_text(data, size);
            break;
        case 4:
            size = random_below(size + 1);
            break;
        case 5:
            if (size < input_bytes_max) data[size++] = (uint8_t)random_next();
            break;
        case 6:
            size = resize(data, size);
            break;
        default:
            size = splice_other(data, size);
            break;
        }
        ensure(size <= input_bytes_max);
    }
    return size;
}

// ---- the grown corpus ----

static uint64_t content_hash(const uint8_t *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++) hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

static void write_input(const char *folder, const uint8_t *data, size_t size)
{
    char path[1024];
    (void)snprintf(path, sizeof path, "%s/grown_%016" PRIx64, folder, content_hash(data, size));
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        (void)fprintf(stderr, "%s: cannot write %s: %s\n", fuzz.name, path, strerror(errno));
        exit(73);
    }
}

static int by_size(const void *a, const void *b)
{
    const struct input *one = a, *other = b;
    if (one->size != other->size) return one->size < other->size ? -1 : 1;
    return one->size == 0 ? 0 : memcmp(one->data, other->data, one->size);
}

static int by_gain(const void *a, const void *b)
{
    const struct input *one = a, *other = b;
    if (one->gain != other->gain) return one->gain > other->gain ? -1 : 1;
    return by_size(a, b);
}

// Of the inputs from `committed` on, the smallest that reach what those before do not.
static void minimise(size_t committed, const char *folder)
{
    size_t written = 0, bytes = 0;
    struct input *grown = fuzz.pool + committed;
    size_t count = fuzz.pool_count - committed;
    for (size_t i = 0; i < fuzz.counter_areas; i++)
        memset(fuzz.counters_seen[i], 0, (size_t)(fuzz.counters[i][1] - fuzz.counters[i][0]));
    for (size_t i = 0; i < committed; i++) (void)run_one(fuzz.pool[i].data, fuzz.pool[i].size);
    qsort(grown, count, sizeof *grown, by_size);
    for (size_t i = 0; i < count; i++) grown[i].gain = run_one(grown[i].data, grown[i].size);
    qsort(grown, count, sizeof *grown, by_gain);
    for (size_t i = 0; i < count && grown[i].gain > 0 && written < minimised_files_max; i++) {
        if (grown[i].size > minimised_bytes_max) continue;
        write_input(folder, grown[i].data, grown[i].size);
        written++;
        bytes += grown[i].size;
    }
    (void)printf("%s: %zu of %zu grown inputs kept, %zu bytes, in %s\n", fuzz.name, written, count,
                 bytes, folder);
}

static int64_t now_ns(void)
{
    struct timespec now;
    ensure(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void mutate_until(int64_t deadline_ns, uint64_t runs_max)
{
    static uint8_t scratch[input_bytes_max];
    while (fuzz.runs < runs_max && (fuzz.runs % 64 != 0 || now_ns() < deadline_ns)) {
        // What was found last is the most promising; half of the runs start there.
        size_t recent = fuzz.pool_count < 16 ? fuzz.pool_count : 16;
        size_t pick = random_below(2) == 0 ? fuzz.pool_count - 1 - random_below(recent)
                                           : random_below(fuzz.pool_count);
        size_t size = fuzz.pool[pick].size;
        memcpy(scratch, fuzz.pool[pick].data, size);
        size = mutate(scratch, size);
        if (run_one(scratch, size) == 0) continue;
        pool_add(scratch, size);
        if (fuzz.grow_folder != NULL) write_input(fuzz.grow_folder, scratch, size);
    }
}

static uint64_t argument_number(const char *option, const char *text)
{
    char *end;
    errno = 0;
    uint64_t value = text == NULL ? 0 : strtoull(text, &end, 10);
    if (text == NULL || errno != 0 || end == text || *end != '\0') {
        (void)fprintf(stderr, "%s: %s needs a number\n", fuzz.name, option);
        exit(64);
    }
    return value;
}

static const char *argument_folder(const char *option, const char *path)
{
    struct stat status;
    if (path == NULL || stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        (void)fprintf(stderr, "%s: %s needs a folder that exists\n", fuzz.name, option);
        exit(64);
    }
    return path;
}

static void argument_unknown(const char *option)
{
    (void)fprintf(stderr, "%s: unknown option %s\n", fuzz.name, option);
    exit(64);
}

static void names_init(const char *program)
{
    const char *slash = strrchr(program, '/');
    (void)snprintf(fuzz.name, sizeof fuzz.name, "%s", slash == NULL ? program : slash + 1);
    fuzz.crash_dir = ".zig-cache/fuzz";
    (void)mkdir(".zig-cache", 0755);
    (void)mkdir(fuzz.crash_dir, 0755);
}

struct arguments {
    uint64_t seconds;
    uint64_t runs_max;
    bool paths; // Files or folders were named.
    const char *minimise; // NULL: fuzz
};

static struct arguments arguments_parse(int argc, char **argv)
{
    struct arguments parsed = {.seconds = 10, .runs_max = UINT64_MAX};
    fuzz.seed = (uint64_t)time(NULL);
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--seconds") == 0)
            parsed.seconds = argument_number(argv[i++], next);
        else if (strcmp(argv[i], "--runs") == 0)
            parsed.runs_max = argument_number(argv[i++], next);
        else if (strcmp(argv[i], "--seed") == 0)
            fuzz.seed = argument_number(argv[i++], next);
        else if (strcmp(argv[i], "--grow") == 0)
            fuzz.grow_folder = argument_folder(argv[i++], next);
        else if (strcmp(argv[i], "--minimise") == 0)
            parsed.minimise = argument_folder(argv[i++], next);
        else if (strncmp(argv[i], "--", 2) == 0)
            argument_unknown(argv[i]);
        else
            parsed.paths = true;
    }
    return parsed;
}

static void replay_corpus(void)
{
    char corpus[128];
    size_t stem = strlen(fuzz.name);
    if (stem > 5 && strcmp(fuzz.name + stem - 5, "_fuzz") == 0) stem -= 5;
    (void)snprintf(corpus, sizeof corpus, "tests/fuzz/corpus/%.*s", (int)stem, fuzz.name);
    replay_folder(corpus);
}

static void replay_named(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0)
            i++;
        else
            replay_path(argv[i]);
    }
}

int main(int argc, char **argv)
{
    names_init(argv[0]);
    if (LLVMFuzzerInitialize != NULL) (void)LLVMFuzzerInitialize(&argc, &argv);
    struct arguments arguments = arguments_parse(argc, argv);
    (void)fprintf(stderr, "%s: seed %" PRIu64 "\n", fuzz.name, fuzz.seed);
    fuzz.state = fuzz.seed;
    fuzz.runs_at_alarm = UINT64_MAX;
    guard_init();
    counters_init();
    handlers_init();
    int64_t start_ns = now_ns();
    if (arguments.paths)
        replay_named(argc, argv);
    else
        replay_corpus();
    size_t committed = fuzz.pool_count;
    if (fuzz.grow_folder != NULL && !arguments.paths) replay_folder(fuzz.grow_folder);
    if (arguments.minimise != NULL) {
        minimise(committed, arguments.minimise);
        return 0;
    }
    // Files named by hand are replayed and nothing else.
    if (!arguments.paths) {
        pool_add((const uint8_t *)"", 0);
        mutate_until(start_ns + (int64_t)arguments.seconds * 1000000000, arguments.runs_max);
    }
    (void)alarm(0);
    (void)printf("%s: ok, seed %" PRIu64 ", %zu committed inputs, corpus %zu inputs %zu bytes, "
                 "%" PRIu64 " runs in %" PRId64 " s, %zu counters hit\n",
                 fuzz.name, fuzz.seed, committed, fuzz.pool_count, fuzz.pool_bytes, fuzz.runs,
                 (now_ns() - start_ns) / 1000000000, fuzz.counters_hit);
    return 0;
}
