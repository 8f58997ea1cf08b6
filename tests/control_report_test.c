// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_report: whatever the program that makes reports does, its end is told in one line, a
// failure is tried again after ten minutes, and what hangs is killed.
#include "control/control_report.h"

#include "base/child.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io_sim.h"

struct rig {
    struct sim_world *world;
    struct io *io;
    struct log log;
    struct control_report report;
};

static void rig_begin(struct rig *rig)
{
    struct io_message message;
    *rig = (struct rig){.world = sim_world_create(1)};
    sim_world_use(rig->world);
    cr_assert_eq(io_open_loop(&rig->io, &(struct io_options){.name = "control"}, &message), 0);
    log_init(&rig->log, memfd_create("log", MFD_CLOEXEC), LOG_LEVEL_INFO, NULL);
    control_report_init(&rig->report, rig->io, &rig->log, "/no/such/store");
    cr_assert(!rig->report.wanted, "no day was closed yet");
}

static void rig_end(struct rig *rig)
{
    (void)close(rig->log.file);
    io_close_loop(rig->io);
    sim_world_destroy(rig->world);
}

// As control_report_start() leaves it, with another program.
static void rig_child(struct rig *rig, const char *words)
{
    char name[] = "sh", option[] = "-c", text[128];
    char *const arguments[] = {name, option, text, NULL};
    (void)snprintf(text, sizeof text, "%s", words);
    cr_assert_eq(child_start("/bin/sh", arguments, -1, &rig->report.child), 0);
    rig->report.killed = false;
    rig->report.end_ns = io_monotonic_ns(rig->io) + CONTROL_REPORT_LIMIT_NS;
}

static void wait_for(pid_t child)
{
    struct pollfd ends = {.fd = (int)syscall(SYS_pidfd_open, child, 0), .events = POLLIN};
    cr_assert_geq(ends.fd, 0);
    cr_assert_eq(poll(&ends, 1, 10000), 1);
    (void)close(ends.fd);
}

// The virtual clock stands still meanwhile.
static void rig_wait(struct rig *rig)
{
    wait_for(rig->report.child);
    control_report_tick(&rig->report, true, rig->report.days);
    cr_assert_eq(rig->report.child, 0);
}

// The log holds one line with this text, or nothing.
static void rig_told(struct rig *rig, const char *text)
{
    char all[4096];
    ssize_t size = pread(rig->log.file, all, sizeof all - 1, 0);
    cr_assert_geq(size, 0);
    all[size] = '\0';
    if (text == NULL) {
        cr_assert_eq(size, 0, "%s", all);
        return;
    }
    cr_assert_not_null(strstr(all, text), "%s", all);
    cr_assert_eq(strchr(all, '\n') - all, size - 1, "more than a line: %s", all);
}

Test(control_report, each_end_is_told_and_a_failure_is_due_again)
{
    static const struct {
        const char *words;
        const char *told; // NULL: nothing
        bool made;
    } ends[] = {
        {"exit 0", NULL, true},
        {"exit 1", "stored data are damaged; the report names where", true},
        {"exit 2", "its exit status is 2, see its words above", false},
        {"exit 127", "its exit status is 127, see its words above", false},
        {"kill -9 $$", "it was ended by signal 9", false},
    };
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct rig rig;
        rig_begin(&rig);
        rig_child(&rig, ends[i].words);
        rig_wait(&rig);
        rig_told(&rig, ends[i].told);
        cr_assert_eq(rig.report.made, ends[i].made);
        cr_assert_eq(rig.report.failed, !ends[i].made);
        cr_assert_eq(rig.report.wanted, !ends[i].made);
        if (!ends[i].made)
            cr_assert_eq(rig.report.due_ns, io_monotonic_ns(rig.io) + CONTROL_REPORT_AGAIN_NS);
        rig_end(&rig);
    }
}

Test(control_report, what_hangs_is_killed)
{
    struct rig rig;
    rig_begin(&rig);
    rig_child(&rig, "trap '' TERM; sleep 100; sleep 100");
    const pid_t child = rig.report.child;
    (void)sim_world_run(rig.world, CONTROL_REPORT_LIMIT_NS - 1);
    control_report_tick(&rig.report, true, 0);
    cr_assert(rig.report.child != 0 && !rig.report.killed);
    (void)sim_world_run(rig.world, 1);
    control_report_tick(&rig.report, true, 0);
    cr_assert(rig.report.killed);
    rig_wait(&rig);
    cr_assert_eq(kill(child, 0), -1, "it is gone");
    rig_told(&rig, "it did not end in half an hour and was killed");
    cr_assert_eq(rig.report.failed, 1);
    rig_end(&rig);
}

Test(control_report, the_end_of_the_daemon_is_its_end)
{
    struct rig rig;
    rig_begin(&rig);
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); // init would take orphans in its own time
    control_report_close(&rig.report);                 // there is none
    rig_child(&rig, "sleep 100");
    const pid_t child = rig.report.child;
    int status;
    control_report_close(&rig.report);
    cr_assert_eq(rig.report.child, 0);
    if (kill(child, 0) == 0) wait_for(child); // its end may not have been seen yet
    (void)child_ended(child, &status);
    while (waitpid(-child, &status, 0) > 0) continue; // what the shell had started
    cr_assert_eq(kill(-child, 0), -1, "nobody of its group is left");
    rig_told(&rig, NULL);
    rig_end(&rig);
}

// Beside the program of the tests there is no ringtape.
Test(control_report, is_wanted_when_days_have_closed_and_it_is_calm)
{
    char program[LIMIT_PATH_BYTES + 1];
    struct rig rig;
    rig_begin(&rig);
    cr_assert(!control_report_program(program, sizeof program));
    cr_assert(!control_report_program(program, 4), "no room for a path");
    control_report_tick(&rig.report, true, 1);
    (void)sim_world_run(rig.world, CONTROL_REPORT_CALM_NS - 1);
    control_report_tick(&rig.report, true, 2); // another day: calm begins anew
    (void)sim_world_run(rig.world, CONTROL_REPORT_CALM_NS - 1);
    control_report_tick(&rig.report, true, 2);
    cr_assert(rig.report.wanted);
    (void)sim_world_run(rig.world, 1);
    control_report_tick(&rig.report, false, 2);
    cr_assert(rig.report.wanted, "not configured");
    for (uint64_t days = 2; days < 4; days++) {
        control_report_tick(&rig.report, true, days);
        (void)sim_world_run(rig.world, CONTROL_REPORT_CALM_NS);
        control_report_tick(&rig.report, true, days);
        cr_assert(!rig.report.wanted);
    }
    rig_told(&rig, "there is no program ringtape beside ringtaped"); // once
    rig_end(&rig);
}
