// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_doctor_facts: what takes a system call to learn: the daemon's own probe, the clock's
// state, a folder tried for real, the segments of a store.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/ensure.h"
#include "format/store.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_doctor.h"
#include "tools/ringtape_files.h"

enum {
    SECTOR = 4096,
    DAYS_SEEN = 8, // the newest days with data; more would tell of other configurations
};

// ---- ringtaped --probe ----

// "name value": the value, or NULL if the line is about something else.
static const char *line_value(const char *line, const char *name)
{
    const size_t size = strlen(name);
    return strncmp(line, name, size) == 0 && line[size] == ' ' ? line + size + 1 : NULL;
}

static bool line_text(const char *line, const char *name, char out[DOCTOR_LINE_BYTES])
{
    const char *value = line_value(line, name);
    if (value != NULL) (void)snprintf(out, DOCTOR_LINE_BYTES, "%s", value);
    return value != NULL;
}

static void line_number(const char *line, const char *name, int64_t *out)
{
    const char *value = line_value(line, name);
    if (value != NULL) *out = strtoll(value, NULL, 10);
}

static void line_count(const char *line, const char *name, uint32_t *out)
{
    int64_t value = *out;
    line_number(line, name, &value);
    if (value >= 0 && value <= UINT32_MAX) *out = (uint32_t)value;
}

static void line_channel(struct doctor_daemon *daemon, const char *value)
{
    const size_t size = strcspn(value, " ");
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const char *name = channel_schema((enum channel)c)->name;
        if (strlen(name) != size || strncmp(value, name, size) != 0) continue;
        char *rest;
        daemon->channel_age_ns[c] = strtoll(value + size, &rest, 10);
        daemon->channel_size_bytes[c] = strtoll(rest, NULL, 10);
    }
}

static void line_core(struct doctor_daemon *daemon, const char *value)
{
    char *rest;
    const unsigned long shard = strtoul(value, &rest, 10);
    if (shard >= DOCTOR_SHARDS_MAX) return;
    daemon->core[shard] = (int)strtol(rest, NULL, 10);
    if (daemon->core_count <= shard) daemon->core_count = (uint32_t)shard + 1;
}

void doctor_daemon_line(struct doctor_daemon *daemon, const char *line)
{
    const char *value;
    char kind[DOCTOR_LINE_BYTES];
    if (line_text(line, "version", daemon->version)) daemon->asked = true;
    (void)line_text(line, "tls", daemon->tls);
    if (line_text(line, "tls_kind", kind)) daemon->tls_bundled = strcmp(kind, "bundled") == 0;
    if (line_value(line, "config") != NULL) daemon->config_good = true;
    if (line_value(line, "mistake") != NULL && daemon->mistake_count < DOCTOR_MISTAKES_MAX)
        (void)line_text(line, "mistake", daemon->mistakes[daemon->mistake_count++]);
    (void)line_text(line, "store", daemon->store);
    line_count(line, "shards", &daemon->shards);
    line_number(line, "commit_interval_ns", &daemon->commit_interval_ns);
    line_number(line, "reserve_bytes", &daemon->reserve_bytes);
    line_number(line, "keep_age_ns", &daemon->keep_age_ns);
    line_number(line, "keep_size_bytes", &daemon->keep_size_bytes);
    if ((value = line_value(line, "keep_channel")) != NULL) line_channel(daemon, value);
    if ((value = line_value(line, "core")) != NULL) line_core(daemon, value);
    line_count(line, "loops_wanted", &daemon->loops_wanted);
    line_count(line, "loops_opened", &daemon->loops_opened);
    (void)line_text(line, "loops_failed", daemon->loops_failure);
}

static int spawn_probe(pid_t *child, const char *program, int output, char *config, bool by_path)
{
    char name[] = "ringtaped", probe[] = "--probe", option[] = "--config";
    char *const arguments[] = {name, probe, config != NULL ? option : NULL, config, NULL};
    posix_spawn_file_actions_t actions;
    if (posix_spawn_file_actions_init(&actions) != 0) return ENOMEM;
    int error = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    if (error == 0)
        error = by_path ? posix_spawnp(child, program, &actions, NULL, arguments, environ)
                        : posix_spawn(child, program, &actions, NULL, arguments, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

// `ringtaped` beside this program, else by PATH.
static int spawn_daemon(pid_t *child, int output, char *config)
{
    char program[RINGTAPE_PATH_BYTES_MAX + 1];
    const ssize_t size =
        readlink("/proc/self/exe", program, RINGTAPE_PATH_BYTES_MAX - sizeof "ringtaped");
    if (size > 0) {
        program[size] = '\0';
        char *name = strrchr(program, '/');
        ensure(name != NULL);
        memcpy(name + 1, "ringtaped", sizeof "ringtaped");
        if (spawn_probe(child, program, output, config, false) == 0) return 0;
    }
    return spawn_probe(child, "ringtaped", output, config, true);
}

static void read_probe(struct doctor_daemon *daemon, FILE *answer)
{
    char line[2048];
    while (fgets(line, sizeof line, answer) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        doctor_daemon_line(daemon, line);
    }
}

void doctor_ask_daemon(struct doctor_daemon *daemon, const char *config)
{
    int ends[2], status = 0;
    pid_t child;
    char path[RINGTAPE_PATH_BYTES_MAX];
    memset(daemon, 0, sizeof *daemon);
    (void)snprintf(path, sizeof path, "%s", config != NULL ? config : "");
    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)snprintf(daemon->failure, sizeof daemon->failure, "%s", strerror(errno));
        return;
    }
    const int error = spawn_daemon(&child, ends[1], config != NULL ? path : NULL);
    (void)close(ends[1]);
    FILE *answer = error == 0 ? fdopen(ends[0], "r") : NULL;
    if (answer != NULL) read_probe(daemon, answer);
    if (answer != NULL) (void)fclose(answer);
    else (void)close(ends[0]);
    if (error == 0) (void)waitpid(child, &status, 0);
    if (error != 0)
        (void)snprintf(daemon->failure, sizeof daemon->failure, "%s", strerror(error));
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        (void)snprintf(daemon->failure, sizeof daemon->failure,
                       "ringtaped --probe ended with %s %d",
                       WIFSIGNALED(status) ? "signal" : "status",
                       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

// ---- the clock ----

void doctor_look_at_clock(struct doctor_clock *clock)
{
    struct timex now = {0}; // no modes: only read
    const int state = adjtimex(&now);
    *clock = (struct doctor_clock){.known = state >= 0};
    if (state < 0) return;
    clock->synchronised = state != TIME_ERROR && (now.status & STA_UNSYNC) == 0;
    clock->offset_us = (now.status & STA_NANO) != 0 ? now.offset / 1000 : now.offset;
    clock->error_max_us = now.maxerror;
}

// ---- the disk ----

static int earlier(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// One sector after the other into room that is there already, as a tape is written.
static void measure(struct doctor_disk *disk, int file, void *sector)
{
    int64_t taken_ns[DOCTOR_WRITES];
    if (posix_fallocate(file, 0, (off_t)DOCTOR_WRITES * SECTOR) != 0) return;
    for (int i = 0; i < DOCTOR_WRITES; i++) {
        const int64_t start_ns = ringtape_monotonic_ns();
        if (pwrite(file, sector, SECTOR, (off_t)i * SECTOR) != SECTOR) {
            disk->error = errno;
            return;
        }
        taken_ns[disk->writes++] = ringtape_monotonic_ns() - start_ns;
    }
    qsort(taken_ns, DOCTOR_WRITES, sizeof *taken_ns, earlier);
    disk->write_p50_ns = taken_ns[DOCTOR_WRITES / 2];
    disk->write_p99_ns = taken_ns[DOCTOR_WRITES - 1 - DOCTOR_WRITES / 100];
}

// A new file in any case: root may be asking, and the store's owner may have laid a link there.
static int make_file(const char *path, int flags)
{
    (void)unlink(path); // of one that was killed, or made without what `flags` ask for
    return open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_DSYNC | flags, 0600);
}

static void try_file(struct doctor_disk *disk, const char *path)
{
    void *sector = NULL;
    int file = make_file(path, O_DIRECT);
    disk->direct = file >= 0;
    if (file < 0) file = make_file(path, 0);
    disk->writable = file >= 0;
    if (file < 0) {
        disk->error = errno;
        return;
    }
    if (posix_memalign(&sector, SECTOR, SECTOR) == 0) {
        memset(sector, 0x5a, SECTOR);
        measure(disk, file, sector);
        free(sector);
    }
    (void)close(file);
    (void)unlink(path);
}

static bool parent_exists(const char *store)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct stat status;
    if ((size_t)snprintf(path, sizeof path, "%s/..", store) >= sizeof path) return false;
    char *end = path + strlen(store);
    while (end > path && end[-1] == '/') end--;
    while (end > path && end[-1] != '/') end--;
    (void)snprintf(end, sizeof path - (size_t)(end - path), ".");
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

void doctor_try_disk(struct doctor_disk *disk, const char *store)
{
    struct statfs system;
    struct stat status;
    char path[RINGTAPE_PATH_BYTES_MAX];
    memset(disk, 0, sizeof *disk);
    disk->exists = stat(store, &status) == 0 && S_ISDIR(status.st_mode);
    if (!disk->exists || statfs(store, &system) != 0) {
        disk->error = disk->exists ? errno : stat(store, &status) == 0 ? ENOTDIR : errno;
        disk->parent = parent_exists(store);
        return;
    }
    disk->file_system = (uint64_t)system.f_type & UINT32_MAX;
    disk->free_bytes = (uint64_t)system.f_bavail * (uint64_t)system.f_bsize;
    disk->total_bytes = (uint64_t)system.f_blocks * (uint64_t)system.f_bsize;
    if ((size_t)snprintf(path, sizeof path, "%s/doctor-%d", store, getpid()) < sizeof path)
        try_file(disk, path);
}

// ---- segments ----

struct day_sum {
    int32_t day;
    uint64_t bytes;
    uint64_t channel[CHANNEL_COUNT];
};

// The newest DAYS_SEEN days, newest first.
static void add_to_day(struct day_sum *sums, const struct catalogue_segment *segment)
{
    int at = 0;
    while (at < DAYS_SEEN && sums[at].bytes > 0 && sums[at].day > segment->day) at++;
    if (at == DAYS_SEEN) return;
    if (sums[at].bytes == 0 || sums[at].day != segment->day) {
        memmove(sums + at + 1, sums + at, (size_t)(DAYS_SEEN - 1 - at) * sizeof *sums);
        sums[at] = (struct day_sum){.day = segment->day};
    }
    sums[at].bytes += segment->bytes;
    sums[at].channel[segment->channel] += segment->bytes;
}

void doctor_read_segments(struct doctor_segments *segments, const char *store)
{
    struct store *opened;
    struct store_message message;
    struct day_sum sums[DAYS_SEEN] = {{0}};
    memset(segments, 0, sizeof *segments);
    if (store_open(&opened, store, &message) != 0) {
        (void)snprintf(segments->failure, sizeof segments->failure, "%.*s", DOCTOR_LINE_BYTES - 1,
                       message.text);
        return;
    }
    const struct catalogue *catalogue = store_catalogue(opened);
    int64_t first_ns = INT64_MAX, last_ns = INT64_MIN;
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *segment = &catalogue->segments[i];
        segments->bytes += segment->bytes;
        if (segment->time_min < first_ns) first_ns = segment->time_min;
        if (segment->time_max > last_ns) last_ns = segment->time_max;
        add_to_day(sums, segment);
    }
    if (last_ns > first_ns) segments->span_ns = last_ns - first_ns;
    segments->known = true;
    for (int i = 0; i < DAYS_SEEN && sums[i].bytes > 0; i++) {
        segments->days++;
        if (sums[i].bytes > segments->day_bytes) segments->day_bytes = sums[i].bytes;
        for (int c = 0; c < CHANNEL_COUNT; c++) {
            if (sums[i].channel[c] > segments->channel_day_bytes[c])
                segments->channel_day_bytes[c] = sums[i].channel[c];
        }
    }
    store_close(opened);
}
