// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_doctor_kernel: kernel, io_uring, limits, clocks, and what the daemon says of itself.
// What is asked of the kernel and why: docs/architecture-io.md.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_doctor.h"
#include "tools/ringtape_table.h"

enum {
    KERNEL_MAJOR = 6, // 6.1 brought DEFER_TASKRUN
    KERNEL_MINOR = 1,
    FILES_WANTED = 4096, // 1,024 links, files of tapes, segments while sealing, sockets of Kafka
    FILES_LEAST = 256,
    // Of a loop: its queues, which Linux 6.18 counts (measured: nine loops in 512 KiB, not ten).
    LOOP_LOCKED_BYTES = 56 * 1024,
};
static const int64_t CLOCK_ERROR_US = 100000;
// What seccomp needs to admit.
static const char seccomp_remedy[] =
    "Docker, Podman: --security-opt seccomp=PROFILE with io_uring_setup, io_uring_enter and "
    "io_uring_register allowed; systemd: SystemCallFilter=@system-service io_uring_setup "
    "io_uring_enter io_uring_register";

void doctor_kernel(const struct doctor_world *world, struct doctor_report *report)
{
    char release[DOCTOR_LINE_BYTES];
    if (!doctor_read(world, "/proc/sys/kernel/osrelease", release, sizeof release)) {
        doctor_unseen(report, "kernel", "/proc/sys/kernel/osrelease");
        return;
    }
    char *rest;
    const unsigned long major = strtoul(release, &rest, 10);
    const unsigned long minor = *rest == '.' ? strtoul(rest + 1, NULL, 10) : 0;
    const bool new = major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR);
    doctor_say(report, new ? DOCTOR_OK : DOCTOR_FAILURE, "kernel",
               new ? "" : "install Linux 6.1 or newer (Debian 12 has it)", "Linux %s", release);
}

static void loops_failed(const struct doctor_world *world, struct doctor_report *report)
{
    const struct doctor_daemon *daemon = &world->daemon;
    char disabled[32] = "";
    const char *remedy = "as it says";
    (void)doctor_read(world, "/proc/sys/kernel/io_uring_disabled", disabled, sizeof disabled);
    const bool off = strcmp(disabled, "1") == 0 || strcmp(disabled, "2") == 0;
    if (off)
        remedy = "sysctl -w kernel.io_uring_disabled=0; for good: echo kernel.io_uring_disabled=0 "
                 "> /etc/sysctl.d/60-ringtape.conf";
    else if (strstr(daemon->loops_failure, "seccomp") != NULL)
        remedy = seccomp_remedy;
    else if (strstr(daemon->loops_failure, "locked memory") != NULL)
        remedy = "ulimit -l unlimited; systemd: LimitMEMLOCK=64M";
    doctor_say(report, DOCTOR_FAILURE, "io_uring", remedy, "%u of %u loops could be opened: %s",
               daemon->loops_opened, daemon->loops_wanted, daemon->loops_failure);
}

void doctor_io_uring(const struct doctor_world *world, struct doctor_report *report)
{
    const struct doctor_daemon *daemon = &world->daemon;
    if (!daemon->asked)
        doctor_unseen(report, "io_uring", "it takes ringtaped --probe on this machine");
    else if (daemon->loops_opened < daemon->loops_wanted)
        loops_failed(world, report);
    else
        doctor_say(report, DOCTOR_OK, "io_uring", "",
                   "%u loops with all flags and operations were opened and ran",
                   daemon->loops_opened);
}

// Mode of a process as a word; NULL: not seen.
static const char *seccomp_mode(const struct doctor_world *world, const char *process)
{
    static char status[16384];
    char path[64], mode[32];
    (void)snprintf(path, sizeof path, "/proc/%s/status", process);
    if (!doctor_read(world, path, status, sizeof status)) return NULL;
    if (!doctor_field(status, "Seccomp", mode, sizeof mode)) return NULL;
    return mode[0] == '0' ? "no filter" : mode[0] == '1' ? "strict mode" : "a filter";
}

void doctor_seccomp(const struct doctor_world *world, struct doctor_report *report)
{
    const char *own = seccomp_mode(world, "self");
    const bool asked = world->daemon.asked;
    const bool barred = asked && strstr(world->daemon.loops_failure, "seccomp") != NULL;
    if (own == NULL) {
        doctor_unseen(report, "seccomp", "/proc/self/status");
    } else {
        doctor_say(report, barred ? DOCTOR_FAILURE : DOCTOR_OK, "seccomp",
                   barred ? seccomp_remedy : "", "%s on this process%s", own,
                   barred                    ? ", and io_uring is barred"
                   : strcmp(own, "no filter") == 0 ? ""
                   : asked                         ? " that admits io_uring"
                                                   : "");
    }
    if (world->process == 0) return;
    char number[24];
    (void)snprintf(number, sizeof number, "%d", (int)world->process);
    const char *its = seccomp_mode(world, number);
    if (its == NULL)
        doctor_unseen(report, "seccomp", "the status of the running daemon");
    else if (strcmp(its, "no filter") == 0)
        doctor_say(report, DOCTOR_WARNING, "seccomp",
                   "security.seccomp: strict in the configuration, then a restart",
                   "no filter on the running daemon (process %s)", number);
    else
        doctor_say(report, DOCTOR_OK, "seccomp", "",
                   "%s on the running daemon (process %s), which has its loops", its, number);
}

// The soft limit of a line of /proc/PID/limits; UINT64_MAX: unlimited.
static bool limit_of(const struct doctor_world *world, const char *process, const char *name,
                     uint64_t *limit)
{
    char path[64], text[8192], value[DOCTOR_LINE_BYTES];
    (void)snprintf(path, sizeof path, "/proc/%s/limits", process);
    if (!doctor_read(world, path, text, sizeof text)) return false;
    if (!doctor_field(text, name, value, sizeof value)) return false;
    *limit = strncmp(value, "unlimited", 9) == 0 ? UINT64_MAX : strtoull(value, NULL, 10);
    return true;
}

// The limits that count: the running daemon's, else those of who asks.
static const char *limited(const struct doctor_world *world, char out[24])
{
    (void)snprintf(out, 24, "%d", (int)world->process);
    return world->process != 0 ? out : "self";
}

void doctor_memlock(const struct doctor_world *world, struct doctor_report *report)
{
    const struct doctor_daemon *daemon = &world->daemon;
    char number[24], bytes[RINGTAPE_TABLE_NUMBER_BYTES], needed[RINGTAPE_TABLE_NUMBER_BYTES];
    uint64_t limit;
    if (!limit_of(world, limited(world, number), "Max locked memory", &limit)) {
        doctor_unseen(report, "memlock", "/proc/PID/limits");
        return;
    }
    if (limit == UINT64_MAX) (void)snprintf(bytes, sizeof bytes, "unlimited");
    else (void)ringtape_table_bytes(bytes, limit);
    const uint64_t need = (uint64_t)daemon->loops_wanted * LOOP_LOCKED_BYTES;
    const bool short_of = daemon->asked && strstr(daemon->loops_failure, "locked memory") != NULL;
    // Root is not stopped by the limit, the daemon's user is.
    const enum doctor_level level = short_of       ? DOCTOR_FAILURE
                                    : limit < need ? DOCTOR_WARNING
                                                   : DOCTOR_OK;
    doctor_say(report, level, "memlock",
               level == DOCTOR_OK ? "" : "ulimit -l unlimited; systemd: LimitMEMLOCK=64M; Docker: "
                                         "--ulimit memlock=-1",
               "%s, %s for %u loops that take %s", bytes,
               level == DOCTOR_OK ? "enough" : "too little", daemon->loops_wanted,
               ringtape_table_bytes(needed, need));
}

void doctor_open_files(const struct doctor_world *world, struct doctor_report *report)
{
    char number[24], text[RINGTAPE_TABLE_NUMBER_BYTES];
    uint64_t limit;
    if (!limit_of(world, limited(world, number), "Max open files", &limit)) {
        doctor_unseen(report, "open files", "/proc/PID/limits");
        return;
    }
    const bool enough = limit >= FILES_WANTED;
    doctor_say(report,
               enough                 ? DOCTOR_OK
               : limit >= FILES_LEAST ? DOCTOR_WARNING
                                      : DOCTOR_FAILURE,
               "open files",
               enough ? "" : "ulimit -n 65536; systemd: LimitNOFILE=65536; Docker: --ulimit "
                             "nofile=65536",
               "%s at most",
               limit == UINT64_MAX ? "any number" : ringtape_table_number(text, limit));
}

// ---- clocks ----

void doctor_clock_source(const struct doctor_world *world, struct doctor_report *report)
{
    static const char *const slow[] = {"hpet", "acpi_pm", "jiffies", "refined-jiffies", "xen"};
    static const char folder[] = "/sys/devices/system/clocksource/clocksource0";
    char path[128], source[64], others[256] = "";
    (void)snprintf(path, sizeof path, "%s/current_clocksource", folder);
    if (!doctor_read(world, path, source, sizeof source)) {
        doctor_unseen(report, "clock source", path);
        return;
    }
    (void)snprintf(path, sizeof path, "%s/available_clocksource", folder);
    (void)doctor_read(world, path, others, sizeof others);
    bool bad = false;
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        bad = bad || strcmp(source, slow[i]) == 0;
    doctor_say(report, bad ? DOCTOR_WARNING : DOCTOR_OK, "clock source",
               !bad ? ""
               : strstr(others, "tsc") != NULL
                   ? "echo tsc > "
                     "/sys/devices/system/clocksource/clocksource0/current_clocksource; for good: "
                     "clocksource=tsc on the kernel's command line"
                   : "dmesg | grep -i tsc tells why the kernel does not trust the TSC",
               bad ? "%s: reading it is slow and coarse (there are: %s)" : "%s (there are: %s)",
               source, others);
}

void doctor_clock_offset(const struct doctor_world *world, struct doctor_report *report)
{
    static const char sync[] = "apt install chrony; then chronyc tracking; in a container: on its "
                               "host";
    const struct doctor_clock *clock = &world->clock;
    if (!clock->known) {
        doctor_unseen(report, "clock", "adjtimex");
        return;
    }
    const bool loose = clock->synchronised && clock->error_max_us > CLOCK_ERROR_US;
    if (!clock->synchronised)
        doctor_say(report, DOCTOR_WARNING, "clock", sync,
                   "no time daemon steers it: receive times may be off by any amount");
    else
        doctor_say(report, loose ? DOCTOR_WARNING : DOCTOR_OK, "clock",
                   loose ? "chronyc sources -v: nearer or more servers" : "",
                   "steered, offset %" PRId64 " us, off by %" PRId64 " ms at most",
                   clock->offset_us, clock->error_max_us / 1000);
}

// ---- the daemon ----

void doctor_config(const struct doctor_world *world, struct doctor_report *report)
{
    const struct doctor_daemon *daemon = &world->daemon;
    char remedy[DOCTOR_TEXT_BYTES];
    if (!daemon->asked) {
        doctor_say(report, DOCTOR_WARNING, "ringtaped",
                   "install ringtaped beside ringtape, or put it on the PATH",
                   "cannot be asked: %s",
                   daemon->failure[0] != '\0' ? daemon->failure : "it did not answer");
        return;
    }
    doctor_say(report, DOCTOR_OK, "ringtaped", "", "%s", daemon->version);
    if (daemon->failure[0] != '\0')
        doctor_say(report, DOCTOR_FAILURE, "ringtaped",
                   "ringtaped --probe shows how far it comes; report what it prints", "%s",
                   daemon->failure);
    if (world->config == NULL) {
        doctor_say(report, DOCTOR_NOTE, "configuration", "ringtape doctor --config FILE",
                   "none was given: assumed are one shard and the defaults");
        return;
    }
    (void)snprintf(remedy, sizeof remedy, "ringtaped --check --config %s", world->config);
    for (uint32_t i = 0; i < daemon->mistake_count; i++)
        doctor_say(report, DOCTOR_FAILURE, "configuration", remedy, "%s", daemon->mistakes[i]);
    if (daemon->config_good)
        doctor_say(report, DOCTOR_OK, "configuration", "", "%s is good", world->config);
}

void doctor_running(const struct doctor_world *world, struct doctor_report *report)
{
    if (world->process != 0)
        doctor_say(report, DOCTOR_OK, "daemon", "", "process %d has the store",
                   (int)world->process);
    else
        doctor_say(report, DOCTOR_NOTE, "daemon", "systemctl start ringtaped",
                   "no ringtaped has the store %s", world->store);
}

void doctor_tls(const struct doctor_world *world, struct doctor_report *report)
{
    const struct doctor_daemon *daemon = &world->daemon;
    static char text[DOCTOR_FILE_BYTES];
    char flags[8192], padded[sizeof flags + 2];
    if (daemon->asked)
        doctor_say(report, daemon->tls_bundled ? DOCTOR_OK : DOCTOR_WARNING, "TLS",
                   daemon->tls_bundled ? ""
                                       : "a build with the bundled library: docs/dependencies.md, "
                                         "wolfSSL",
                   "%s%s", daemon->tls,
                   daemon->tls_bundled ? "" : ": decrypts several times slower");
    if (!doctor_read(world, "/proc/cpuinfo", text, sizeof text) ||
        (!doctor_field(text, "flags", flags, sizeof flags) &&
         !doctor_field(text, "Features", flags, sizeof flags))) {
        doctor_unseen(report, "AES", "/proc/cpuinfo");
        return;
    }
    (void)snprintf(padded, sizeof padded, " %s ", flags);
    const bool aes = strstr(padded, " aes ") != NULL;
    doctor_say(report, aes ? DOCTOR_OK : DOCTOR_WARNING, "AES",
               aes ? "" : "a processor with AES instructions; in a guest: let its CPU model have "
                          "them (host-passthrough)",
               aes ? "the processor has instructions for it"
                   : "the processor has no instructions for it: TLS takes many times the time");
}
