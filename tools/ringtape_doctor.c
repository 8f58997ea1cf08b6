// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape doctor: will ringtaped run well here? See ringtape_doctor.h. Exit code 0: nothing fails;
// 1: something does, or with --strict is worth a warning.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_daemon.h"
#include "tools/ringtape_doctor.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_options.h"

#define STORE_STANDARD "/var/lib/ringtape"
#define CONFIG_STANDARD "/etc/ringtape/ringtaped.yaml"
enum { TOPIC_WIDTH = 14, LEVEL_WIDTH = 8 };

static doctor_probe *const probes[] = {
    doctor_config,       doctor_running,      doctor_kernel,        doctor_io_uring,
    doctor_seccomp,      doctor_memlock,      doctor_open_files,    doctor_clock_source,
    doctor_clock_offset, doctor_store,        doctor_file_system,   doctor_direct,
    doctor_write_latency, doctor_space,       doctor_cores,         doctor_isolation,
    doctor_governor,     doctor_interrupts,   doctor_memory,        doctor_swap,
    doctor_tls,
};

// Another machine's files say nothing of what can be tried here.
static void gather(struct doctor_world *world)
{
    if (world->root[0] == '\0') {
        doctor_ask_daemon(&world->daemon, world->config);
        doctor_look_at_clock(&world->clock);
    }
    if (world->store == NULL)
        world->store = world->daemon.store[0] != '\0' ? world->daemon.store : STORE_STANDARD;
    if (world->root[0] != '\0') return;
    world->process = ringtape_daemon_of(world->store);
    doctor_try_disk(&world->disk, world->store);
    doctor_read_segments(&world->segments, world->store);
}

static uint32_t count_of(const struct doctor_report *report, enum doctor_level level)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < report->count; i++) count += report->findings[i].level == level;
    return count;
}

// ---- output ----

static void print_text(const struct doctor_report *report)
{
    static const char *const colours[] = {"\033[32m", "\033[36m", "\033[33m", "\033[1;31m"};
    const bool terminal = isatty(STDOUT_FILENO) != 0;
    for (uint32_t i = 0; i < report->count; i++) {
        const struct doctor_finding *finding = &report->findings[i];
        (void)printf("%s%-*s%s %-*s %s\n", terminal ? colours[finding->level] : "", LEVEL_WIDTH,
                     doctor_level_name(finding->level), terminal ? "\033[0m" : "", TOPIC_WIDTH,
                     finding->topic, finding->found);
        if (finding->remedy[0] != '\0')
            (void)printf("%*s remedy: %s\n", LEVEL_WIDTH + 1 + TOPIC_WIDTH, "", finding->remedy);
    }
    (void)printf("\n%u ok, %u notes, %u warnings, %u failures\n", count_of(report, DOCTOR_OK),
                 count_of(report, DOCTOR_NOTE), count_of(report, DOCTOR_WARNING),
                 count_of(report, DOCTOR_FAILURE));
}

static void print_json(const struct doctor_world *world, const struct doctor_report *report)
{
    struct ringtape_json json;
    ringtape_json_start(&json, stdout);
    ringtape_json_object(&json, NULL);
    ringtape_json_text(&json, "store", world->store);
    if (world->config != NULL) ringtape_json_text(&json, "config", world->config);
    ringtape_json_text(&json, "level", doctor_level_name(doctor_worst(report)));
    ringtape_json_array(&json, "findings");
    for (uint32_t i = 0; i < report->count; i++) {
        const struct doctor_finding *finding = &report->findings[i];
        ringtape_json_object(&json, NULL);
        ringtape_json_text(&json, "topic", finding->topic);
        ringtape_json_text(&json, "level", doctor_level_name(finding->level));
        ringtape_json_bytes(&json, "found", finding->found, strlen(finding->found));
        ringtape_json_bytes(&json, "remedy", finding->remedy, strlen(finding->remedy));
        ringtape_json_object_end(&json);
    }
    ringtape_json_array_end(&json);
    if (world->disk.writes == DOCTOR_WRITES) {
        ringtape_json_integer(&json, "write_p50_ns", world->disk.write_p50_ns);
        ringtape_json_integer(&json, "write_p99_ns", world->disk.write_p99_ns);
    }
    ringtape_json_object_end(&json);
    ringtape_json_line(&json);
}

// ---- the command ----

int ringtape_doctor(int argc, char **argv)
{
    static struct doctor_world world = {.root = ""};
    static struct doctor_report report;
    bool json = false, strict = false;
    int exit_code = RINGTAPE_EXIT_OK;
    const struct ringtape_option options[] = {
        {.name = "config", .kind = RINGTAPE_OPTION_TEXT, .target = &world.config, .value = "FILE",
         .help = "the daemon's configuration, default " CONFIG_STANDARD " if it is there"},
        {.name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &world.store, .value = "DIR",
         .help = "the store, default that of the configuration, else " STORE_STANDARD},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &json,
         .help = "one JSON object"},
        {.name = "strict", .kind = RINGTAPE_OPTION_FLAG, .target = &strict,
         .help = "exit code 1 with warnings, too"},
        {.name = "root", .kind = RINGTAPE_OPTION_TEXT, .target = &world.root, .value = "DIR",
         .help = "read DIR/proc and DIR/sys, a copy of another machine's; try nothing here"},
    };
    const struct ringtape_usage usage = {
        .command = "doctor",
        .purpose = "Looks whether ringtaped will run well here: kernel, io_uring, limits, clocks, "
                   "disk, room,\ncores, TLS; each finding with what can be done. Opens as many "
                   "loops as the daemon would,\nand writes and removes one file of 400 KiB in the "
                   "store. Run it as the daemon's user.\nExit code 1: something fails.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    if (world.config == NULL && world.store == NULL && world.root[0] == '\0' &&
        access(CONFIG_STANDARD, F_OK) == 0)
        world.config = CONFIG_STANDARD;
    gather(&world);
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) probes[i](&world, &report);
    if (json) print_json(&world, &report);
    else print_text(&report);
    const enum doctor_level bad = strict ? DOCTOR_WARNING : DOCTOR_FAILURE;
    return ringtape_finish_output(doctor_worst(&report) >= bad ? RINGTAPE_EXIT_FOUND
                                                               : RINGTAPE_EXIT_OK);
}
