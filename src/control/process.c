// SPDX-License-Identifier: GPL-3.0-or-later
//
// process: see process.h. Contract: what cannot be read is 0, never an error.
#include "control/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "format/ensure.h"

enum { LINE_BYTES = 128 };

// The beginning of a file, without its last line end; "" where it cannot be read.
static void read_line(const char *path, char line[LINE_BYTES])
{
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    line[0] = '\0';
    if (file < 0) return;
    const ssize_t size = read(file, line, LINE_BYTES - 1);
    line[size > 0 ? size : 0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    (void)close(file);
}

uint64_t process_rss_bytes(void)
{
    char line[LINE_BYTES];
    read_line("/proc/self/statm", line);
    const char *second = strchr(line, ' ');
    if (second == NULL) return 0;
    return strtoull(second + 1, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t process_pid_namespace(void)
{
    struct stat status;
    return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

void process_disk(const char *path, uint64_t *total_bytes, uint64_t *free_bytes)
{
    struct statvfs status;
    *total_bytes = *free_bytes = 0;
    if (statvfs(path, &status) != 0) return;
    *total_bytes = (uint64_t)status.f_blocks * status.f_frsize;
    *free_bytes = (uint64_t)status.f_bavail * status.f_frsize;
}

// librdkafka has a thread a broker, the kernel some that work for the rings: one figure for all.
static const char *thread_group(const char *name)
{
    if (strncmp(name, "iou-", 4) == 0) return "io_uring";
    return strncmp(name, "rdk:", 4) == 0 ? "librdkafka" : name;
}

static void thread_add(struct statistics_thread *threads, uint32_t *count, const char *name,
                       uint64_t cpu_ns)
{
    uint32_t i = 0;
    while (i < *count && strcmp(threads[i].name, name) != 0) i++;
    if (i == STATISTICS_THREADS_MAX) return;
    if (i == *count) {
        memset(&threads[i], 0, sizeof threads[i]);
        (void)snprintf(threads[i].name, sizeof threads[i].name, "%.15s", name);
        (*count)++;
    }
    threads[i].cpu_ns += cpu_ns;
}

uint32_t process_threads(struct statistics_thread threads[STATISTICS_THREADS_MAX])
{
    uint32_t count = 0;
    DIR *directory = opendir("/proc/self/task");
    if (directory == NULL) return 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[320], name[LINE_BYTES], times[LINE_BYTES];
        if (entry->d_name[0] == '.') continue;
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        read_line(path, name);
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", entry->d_name);
        read_line(path, times);
        if (name[0] == '\0') continue; // it has just ended
        thread_add(threads, &count, thread_group(name), strtoull(times, NULL, 10));
    }
    (void)closedir(directory);
    ensure(count <= STATISTICS_THREADS_MAX);
    return count;
}
