// SPDX-License-Identifier: GPL-3.0-or-later
//
// Waiting is looking: the folder ten times a second. Without a daemon the sealer is run first.
#include "tools/ringtape_backfill_hold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_daemon.h"

enum {
    POLL_NS = 100000000,
    WAIT_S = 120,
    WAIT_STOPPED_S = 2, // after Ctrl-C; what is handed over is taken in later all the same
    PROGRAM_BYTES = RINGTAPE_PATH_BYTES_MAX,
};

void backfill_hold_path(const struct backfill_hold *hold, const char *name,
                        char out[RINGTAPE_PATH_BYTES_MAX])
{
    const int size = snprintf(out, RINGTAPE_PATH_BYTES_MAX, "%.*s/%s", 3800, hold->incoming, name);
    ensure(size > 0 && size < RINGTAPE_PATH_BYTES_MAX);
}

int backfill_hold_sync(const struct backfill_hold *hold)
{
    const int folder = open(hold->incoming, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return -errno;
    const int result = fsync(folder) == 0 ? 0 : -errno;
    (void)close(folder);
    return result;
}

bool backfill_hold_daemon(const struct backfill_hold *hold)
{
    return ringtape_daemon_of(store_path(hold->store)) > 0;
}

static int fail(const struct backfill_hold *hold, const char *name, int error)
{
    return ringtape_fail("%s/%s: %s", hold->incoming, name, strerror(error));
}

// ---- the sealer ----

// In the child: `ringtaped` beside this program, else by PATH.
static void exec_ringtaped(const char *store)
{
    char program[PROGRAM_BYTES + 1];
    const ssize_t size = readlink("/proc/self/exe", program, PROGRAM_BYTES - sizeof "ringtaped");
    if (size > 0) {
        program[size] = 0;
        char *name = strrchr(program, '/');
        ensure(name != NULL);
        memcpy(name + 1, "ringtaped", sizeof "ringtaped");
        (void)execl(program, program, "--take-in", store, (char *)NULL);
    }
    (void)execlp("ringtaped", "ringtaped", "--take-in", store, (char *)NULL);
    _exit(127);
}

// What standard error of the child says comes to ours: but a daemon that took the lock meanwhile is
// no error, for it does the same.
static int run_sealer(const char *store)
{
    int status = 0;
    const pid_t child = fork();
    if (child < 0) return ringtape_fail("fork: %s", strerror(errno));
    if (child == 0) {
        // Ctrl-C ends the backfill, not a swap of the catalogue.
        (void)setpgid(0, 0);
        exec_ringtaped(store);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return ringtape_fail("ringtaped cannot be run; it must lie beside this program or on the "
                             "PATH");
    if ((WIFEXITED(status) && WEXITSTATUS(status) == 0) || ringtape_daemon_of(store) > 0)
        return RINGTAPE_EXIT_OK;
    return ringtape_fail("'ringtaped --take-in %s' failed; its message tells why", store);
}

int backfill_hold_make(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        return ringtape_fail("%s: %s", path, strerror(errno));
    return run_sealer(path);
}

// ---- what lies in the folder ----

static bool ends_with(const char *name, const char *ending)
{
    const size_t size = strlen(name), tail = strlen(ending);
    return size >= tail && strcmp(name + size - tail, ending) == 0;
}

struct folder {
    uint32_t handovers;
    bool numbers;
    bool stale;
    char refused[64]; // the name of one
};

static int look(const struct backfill_hold *hold, struct folder *found)
{
    const struct dirent *entry;
    DIR *folder = opendir(hold->incoming);
    *found = (struct folder){0};
    if (folder == NULL) return fail(hold, "", errno);
    while ((entry = readdir(folder)) != NULL) {
        found->handovers += ends_with(entry->d_name, ".handover");
        found->numbers |= strcmp(entry->d_name, "numbers") == 0;
        found->stale |= ends_with(entry->d_name, ".stale");
        if (ends_with(entry->d_name, ".refused"))
            (void)snprintf(found->refused, sizeof found->refused, "%.63s", entry->d_name);
    }
    (void)closedir(folder);
    return RINGTAPE_EXIT_OK;
}

// Files of an attempt that did not come to its handover; downloads stay.
static int remove_leftovers(const struct backfill_hold *hold)
{
    static const char *const endings[] = {".segment", ".index", ".new", ".refused", ".stale"};
    char path[RINGTAPE_PATH_BYTES_MAX];
    const struct dirent *entry;
    DIR *folder = opendir(hold->incoming);
    if (folder == NULL) return fail(hold, "", errno);
    while ((entry = readdir(folder)) != NULL) {
        bool leftover = false;
        for (size_t e = 0; e < sizeof endings / sizeof endings[0]; e++)
            leftover |= ends_with(entry->d_name, endings[e]);
        backfill_hold_path(hold, entry->d_name, path);
        if (leftover) (void)unlink(path);
    }
    (void)closedir(folder);
    return RINGTAPE_EXIT_OK;
}

// ---- waiting ----

static bool settled(const struct folder *found)
{
    return found->handovers == 0 || found->refused[0] != 0;
}

static bool given(const struct folder *found)
{
    return found->numbers;
}

// Until the sealer has done its part.
static int wait_for(const struct backfill_hold *hold, struct folder *found,
                    bool (*done)(const struct folder *found))
{
    const struct timespec pause = {.tv_nsec = POLL_NS};
    int64_t end_ns = ringtape_monotonic_ns() + (int64_t)WAIT_S * 1000000000;
    bool stopped = false;
    while (ringtape_monotonic_ns() < end_ns) {
        if (!stopped && hold->stop != NULL && *hold->stop) {
            stopped = true;
            end_ns = ringtape_monotonic_ns() + (int64_t)WAIT_STOPPED_S * 1000000000;
        }
        int result = look(hold, found);
        if (result != 0 || done(found)) return result;
        if (!backfill_hold_daemon(hold)) {
            result = run_sealer(store_path(hold->store));
            if (result != 0) return result;
            continue;
        }
        (void)nanosleep(&pause, NULL);
    }
    if (stopped) return BACKFILL_EXIT_STOPPED;
    return ringtape_fail("%s: nothing was taken in within %d s; the daemon's log tells why, or it "
                         "is too old to know of this folder",
                         hold->incoming, WAIT_S);
}

int backfill_hold_refresh(struct backfill_hold *hold)
{
    ensure(hold->store != NULL);
    const int result = store_refresh(hold->store, NULL);
    if (result < 0)
        return ringtape_fail("%s: %s", store_path(hold->store), ringtape_error_text(result));
    return RINGTAPE_EXIT_OK;
}

int backfill_hold_settle(struct backfill_hold *hold)
{
    struct folder found;
    int result = wait_for(hold, &found, settled);
    if (result == 0 && found.refused[0] != 0)
        result = ringtape_fail("%s/%s: refused; the daemon's log tells why", hold->incoming,
                               found.refused);
    if (result != 0) return result;
    if (found.stale) {
        hold->stale = true;
        result = remove_leftovers(hold);
        if (result != 0) return result;
    }
    return backfill_hold_refresh(hold);
}

// ---- numbers ----

static int take_numbers(struct backfill_hold *hold, const char *path)
{
    unsigned long first = 0, count = 0;
    char text[64], *next;
    FILE *file = fopen(path, "re");
    if (file == NULL) return fail(hold, "numbers", errno);
    if (fgets(text, sizeof text, file) != NULL) {
        first = strtoul(text, &next, 10);
        count = strtoul(next, NULL, 10);
    }
    (void)fclose(file);
    if (first == 0 || count == 0 || first + count > UINT32_MAX)
        return ringtape_fail("%s: damaged; delete it and start again", path);
    // Ours from the moment when nobody can read it any more.
    if (unlink(path) != 0 || backfill_hold_sync(hold) != 0) return fail(hold, "numbers", errno);
    hold->number_next = (uint32_t)first;
    hold->number_end = (uint32_t)(first + count);
    return RINGTAPE_EXIT_OK;
}

static int ask_for_numbers(struct backfill_hold *hold)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct folder found;
    backfill_hold_path(hold, "numbers.wanted", path);
    const int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0) return fail(hold, "numbers.wanted", errno);
    (void)close(file);
    int result = wait_for(hold, &found, given);
    if (result != 0) return result;
    backfill_hold_path(hold, "numbers", path);
    return take_numbers(hold, path);
}

int backfill_hold_number(struct backfill_hold *hold, uint32_t *number)
{
    if (hold->number_next == hold->number_end) {
        const int result = ask_for_numbers(hold);
        if (result != 0) return result;
    }
    ensure(hold->number_next < hold->number_end);
    *number = hold->number_next++;
    return RINGTAPE_EXIT_OK;
}

// ---- life ----

int backfill_hold_open(struct backfill_hold *hold, struct store *store)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    *hold = (struct backfill_hold){.store = store, .lock = -1, .stop = hold->stop};
    const int size = snprintf(hold->incoming, 3800, "%s/incoming", store_path(store));
    if (size <= 0 || size >= 3800) return ringtape_fail("%s: too long", store_path(store));
    if (mkdir(hold->incoming, 0755) != 0 && errno != EEXIST) return fail(hold, "", errno);
    backfill_hold_path(hold, "lock", path);
    hold->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (hold->lock < 0) return fail(hold, "lock", errno);
    if (flock(hold->lock, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK
                   ? ringtape_fail("%s: another backfill is at work in this store", hold->incoming)
                   : fail(hold, "lock", errno);
    int result = backfill_hold_settle(hold);
    if (result == 0) result = remove_leftovers(hold);
    hold->stale = false;
    return result;
}

int backfill_hold_close(struct backfill_hold *hold)
{
    int result = RINGTAPE_EXIT_OK;
    if (hold->lock < 0) return result;
    result = backfill_hold_settle(hold);
    (void)close(hold->lock);
    hold->lock = -1;
    return result;
}
