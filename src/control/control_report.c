// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_report: see control_report.h.
//
//     idle → (markers written, calm) control_report_start → running
//     running → (ended) control_report_ended → idle, wanted again after a failure
//     running → (too long) killed → control_report_ended
//
// Contract: at most one child; nothing here waits.
#include "control/control_report.h"

#include "base/child.h"
#include "format/ensure.h"
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void control_report_say(const struct control_report *report, enum log_message message,
                               const char *cause)
{
    log_write(report->log, message, io_utc_ns(report->io), "cause=\"%s\"", cause);
}

void control_report_init(struct control_report *report, struct io *io, const struct log *log,
                         const char *store)
{
    char path[LIMIT_PATH_BYTES + 16];
    ensure(io != NULL && store != NULL);
    memset(report, 0, sizeof *report);
    report->io = io;
    report->log = log;
    report->store = store;
    (void)snprintf(path, sizeof path, "%s/day", store);
    // Without a closed day there is nothing that a life before could have left.
    report->wanted = access(path, F_OK) == 0;
    report->due_ns = io_monotonic_ns(io) + CONTROL_REPORT_CALM_NS;
}

// ---- the child ----

bool control_report_program(char *path, size_t size)
{
    const ssize_t length = readlink("/proc/self/exe", path, size);
    if (length <= 0 || (size_t)length >= size) return false;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) + sizeof "/ringtape" > size) return false;
    (void)snprintf(slash, size - (size_t)(slash - path), "/ringtape");
    return access(path, X_OK) == 0;
}

void control_report_arguments(char *arguments[CONTROL_REPORT_ARGUMENTS + 1], char *store)
{
    static char words[][16] = {"ringtape", "report", "--refresh", "--store"};
    for (int i = 0; i < CONTROL_REPORT_ARGUMENTS - 1; i++)
        arguments[i] = words[i];
    arguments[CONTROL_REPORT_ARGUMENTS - 1] = store;
    arguments[CONTROL_REPORT_ARGUMENTS] = NULL;
}

static int control_report_spawn(struct control_report *report, const char *program)
{
    char *arguments[CONTROL_REPORT_ARGUMENTS + 1];
    char store[LIMIT_PATH_BYTES + 1];
    (void)snprintf(store, sizeof store, "%s", report->store);
    control_report_arguments(arguments, store);
    return child_start(program, arguments, -1, &report->child);
}

static void control_report_again(struct control_report *report)
{
    report->failed++;
    report->wanted = true;
    report->due_ns = io_monotonic_ns(report->io) + CONTROL_REPORT_AGAIN_NS;
}

static void control_report_start(struct control_report *report)
{
    char program[LIMIT_PATH_BYTES + 1];
    ensure(report->child == 0);
    report->wanted = false;
    if (!control_report_program(program, sizeof program)) {
        if (!report->told)
            control_report_say(report, LOG_REPORTS_NONE,
                               "there is no program ringtape beside ringtaped");
        report->told = true;
        return;
    }
    const int error = control_report_spawn(report, program);
    report->killed = false;
    report->end_ns = io_monotonic_ns(report->io) + CONTROL_REPORT_LIMIT_NS;
    if (error == 0) return;
    control_report_say(report, LOG_REPORT_UNSTARTED, strerror(-error));
    control_report_again(report);
}

// Exit code 1 is a report of damaged data: it was made, and says so itself.
static void control_report_ended(struct control_report *report, int status)
{
    char why[96];
    report->child = 0;
    if (!report->killed && WIFEXITED(status) && WEXITSTATUS(status) <= 1) {
        report->made++;
        if (WEXITSTATUS(status) == 1)
            control_report_say(report, LOG_REPORT_PARTIAL,
                               "stored data are damaged; the report names where");
        return;
    }
    if (report->killed)
        (void)snprintf(why, sizeof why, "it did not end in half an hour and was killed");
    else if (WIFSIGNALED(status))
        (void)snprintf(why, sizeof why, "it was ended by signal %d", WTERMSIG(status));
    else
        (void)snprintf(why, sizeof why, "its exit status is %d, see its words above",
                       WEXITSTATUS(status));
    control_report_say(report, LOG_REPORT_UNMADE, why);
    control_report_again(report);
}

static void control_report_look(struct control_report *report)
{
    int status = 0;
    if (child_ended(report->child, &status)) {
        control_report_ended(report, status);
        return;
    }
    if (report->killed || io_monotonic_ns(report->io) < report->end_ns) return;
    report->killed = true;
    child_kill(report->child);
}

// ---- life ----

void control_report_tick(struct control_report *report, bool on, uint64_t days)
{
    if (report->child != 0) control_report_look(report);
    if (days != report->days) {
        ensure(days > report->days);
        report->days = days;
        report->wanted = true;
        report->due_ns = io_monotonic_ns(report->io) + CONTROL_REPORT_CALM_NS;
    }
    if (on && report->wanted && report->child == 0 &&
        io_monotonic_ns(report->io) >= report->due_ns)
        control_report_start(report);
}

void control_report_close(struct control_report *report)
{
    int status = 0;
    if (report->child == 0) return;
    child_kill(report->child);
    // One that a disk holds does not hold up the end; init takes it.
    (void)child_ended(report->child, &status);
    report->child = 0;
}

void control_report_print(const struct control_report *report)
{
    (void)printf("\"reports\":%llu,\"report_failures\":%llu,", (unsigned long long)report->made,
                 (unsigned long long)report->failed);
}
