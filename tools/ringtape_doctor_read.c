// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_doctor_read: findings, and reading what the kernel tells as text.
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_doctor.h"

enum { PATH_BYTES = 1024 };

// ---- findings ----

void doctor_say(struct doctor_report *report, enum doctor_level level, const char *topic,
                const char *remedy, const char *format, ...)
{
    ensure(report->count < DOCTOR_FINDINGS_MAX && level < DOCTOR_LEVELS);
    struct doctor_finding *finding = &report->findings[report->count++];
    va_list arguments;
    finding->level = level;
    finding->topic = topic;
    va_start(arguments, format);
    (void)vsnprintf(finding->found, sizeof finding->found, format, arguments);
    va_end(arguments);
    (void)snprintf(finding->remedy, sizeof finding->remedy, "%s", remedy);
}

void doctor_unseen(struct doctor_report *report, const char *topic, const char *path)
{
    doctor_say(report, DOCTOR_NOTE, topic, "", "cannot be seen here (%s)", path);
}

const char *doctor_level_name(enum doctor_level level)
{
    static const char *const names[] = {"ok", "note", "warning", "failure"};
    ensure(level < DOCTOR_LEVELS);
    return names[level];
}

enum doctor_level doctor_worst(const struct doctor_report *report)
{
    enum doctor_level worst = DOCTOR_OK;
    for (uint32_t i = 0; i < report->count; i++) {
        if (report->findings[i].level > worst) worst = report->findings[i].level;
    }
    return worst;
}

// ---- text ----

bool doctor_read(const struct doctor_world *world, const char *path, char *out, size_t size)
{
    char whole[PATH_BYTES];
    size_t used = 0;
    ensure(size > 1 && path[0] == '/');
    if ((size_t)snprintf(whole, sizeof whole, "%s%s", world->root, path) >= sizeof whole)
        return false;
    const int file = open(whole, O_RDONLY | O_CLOEXEC);
    if (file < 0) return false;
    ssize_t got = 1;
    while (used < size - 1 && (got = read(file, out + used, size - 1 - used)) > 0)
        used += (size_t)got;
    (void)close(file);
    if (got < 0 || used >= size - 1) return false;
    while (used > 0 && out[used - 1] == '\n') used--;
    out[used] = '\0';
    return true;
}

bool doctor_field(const char *text, const char *key, char *out, size_t size)
{
    const size_t key_size = strlen(key);
    for (const char *line = text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        const char *value = line + key_size;
        if (strncmp(line, key, key_size) == 0 && strchr(" :\t", *value) != NULL) {
            value += strspn(value, " :\t");
            const size_t length = end != NULL ? (size_t)(end - value) : strlen(value);
            if (length >= size) return false;
            memcpy(out, value, length);
            out[length] = '\0';
            return true;
        }
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

bool doctor_cpus_parse(const char *text, struct doctor_cpus *cpus)
{
    memset(cpus, 0, sizeof *cpus);
    for (const char *at = text; *at != '\0';) {
        char *end;
        const unsigned long first = strtoul(at, &end, 10);
        unsigned long last = first;
        if (end == at) return false;
        if (*end == '-') {
            const char *next = end + 1;
            last = strtoul(next, &end, 10);
            if (end == next) return false;
        }
        if (first > last || last >= DOCTOR_CPUS_MAX) return false;
        for (unsigned long cpu = first; cpu <= last; cpu++) cpus->has[cpu] = true;
        if (*end != ',' && *end != '\0') return false;
        at = *end == ',' ? end + 1 : end;
    }
    return true;
}

uint32_t doctor_cpus_count(const struct doctor_cpus *cpus)
{
    uint32_t count = 0;
    for (int cpu = 0; cpu < DOCTOR_CPUS_MAX; cpu++) count += cpus->has[cpu];
    return count;
}
