// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape doctor's probes on machines that are not here: each finding from a made-up /proc and
// /sys, or from facts.
#include "tools/ringtape_doctor.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLOCK_FOLDER "/sys/devices/system/clocksource/clocksource0/"
#define GIB (1ull << 30)
#define DAY_NS (86400ll * 1000000000)

static char root[64];
static struct doctor_world world;
static struct doctor_report report;

static int gone(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

static void clean(void)
{
    if (root[0] != '\0') (void)nftw(root, gone, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(doctor, .fini = clean);

static void machine(void)
{
    memset(&world, 0, sizeof world);
    memset(&report, 0, sizeof report);
    (void)snprintf(root, sizeof root, "/tmp/doctor-test-XXXXXX");
    cr_assert_not_null(mkdtemp(root));
    world.root = root;
    world.store = "/srv/store";
    world.daemon = (struct doctor_daemon){.asked = true,
                                          .loops_wanted = 4,
                                          .loops_opened = 4,
                                          .shards = 1,
                                          .core = {1},
                                          .core_count = 1};
}

static void folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
}

static void has(const char *path, const char *text)
{
    char whole[512];
    (void)snprintf(whole, sizeof whole, "%s%s", root, path);
    folders(whole);
    FILE *file = fopen(whole, "w");
    cr_assert_not_null(file, "%s", whole);
    (void)fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

static void links(const char *path, const char *target)
{
    char whole[512];
    (void)snprintf(whole, sizeof whole, "%s%s", root, path);
    folders(whole);
    cr_assert_eq(symlink(target, whole), 0);
}

// The one finding of a probe.
static const struct doctor_finding *finds(doctor_probe *probe, enum doctor_level level,
                                          const char *found, const char *remedy)
{
    report.count = 0;
    probe(&world, &report);
    cr_assert_eq(report.count, 1, "%u findings instead of \"%s\"", report.count, found);
    const struct doctor_finding *finding = &report.findings[0];
    cr_assert_eq(finding->level, level, "%s: %s", doctor_level_name(finding->level),
                 finding->found);
    cr_assert(strstr(finding->found, found) != NULL, "%s", finding->found);
    cr_assert(strstr(finding->remedy, remedy) != NULL, "%s", finding->remedy);
    if (level >= DOCTOR_WARNING) cr_assert_neq(finding->remedy[0], '\0', "%s", finding->found);
    return finding;
}

Test(doctor, what_is_hidden_is_no_failure)
{
    static doctor_probe *const all[] = {
        doctor_kernel,       doctor_seccomp,   doctor_memlock,    doctor_open_files,
        doctor_clock_source, doctor_clock_offset, doctor_store,   doctor_cores,
        doctor_isolation,    doctor_interrupts, doctor_memory,    doctor_swap};
    machine();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        (void)finds(all[i], DOCTOR_NOTE, "cannot be seen here", "");
    world.daemon = (struct doctor_daemon){0};
    (void)finds(doctor_io_uring, DOCTOR_NOTE, "cannot be seen here", "");
    (void)finds(doctor_tls, DOCTOR_NOTE, "cannot be seen here", "");
}

Test(doctor, kernels)
{
    static const struct {
        const char *release;
        enum doctor_level level;
    } rows[] = {{"5.10.0-30-amd64", DOCTOR_FAILURE}, {"5.19.17", DOCTOR_FAILURE},
                {"6.0.9", DOCTOR_FAILURE},           {"6.1.0-18-amd64", DOCTOR_OK},
                {"6.18.44", DOCTOR_OK},              {"7.0-rc1", DOCTOR_OK}};
    machine();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        has("/proc/sys/kernel/osrelease", rows[i].release);
        (void)finds(doctor_kernel, rows[i].level, rows[i].release,
                    rows[i].level == DOCTOR_OK ? "" : "6.1 or newer");
    }
}

Test(doctor, loops_that_cannot_be_opened)
{
    machine();
    (void)finds(doctor_io_uring, DOCTOR_OK, "4 loops", "");
    has("/proc/self/status", "Name:\tringtape\nSeccomp:\t2\nSeccomp_filters:\t1\n");
    (void)finds(doctor_seccomp, DOCTOR_OK, "a filter on this process that admits io_uring", "");
    world.daemon.loops_opened = 0;
    (void)snprintf(world.daemon.loops_failure, DOCTOR_LINE_BYTES,
                   "io_uring is forbidden here by a seccomp filter, as ...");
    (void)finds(doctor_io_uring, DOCTOR_FAILURE, "0 of 4 loops", "--security-opt seccomp=");
    (void)finds(doctor_seccomp, DOCTOR_FAILURE, "io_uring is barred", "SystemCallFilter=");
    has("/proc/sys/kernel/io_uring_disabled", "2\n");
    (void)snprintf(world.daemon.loops_failure, DOCTOR_LINE_BYTES, "switched off");
    (void)finds(doctor_io_uring, DOCTOR_FAILURE, "switched off", "io_uring_disabled=0");
    has("/proc/sys/kernel/io_uring_disabled", "0\n");
    (void)snprintf(world.daemon.loops_failure, DOCTOR_LINE_BYTES, "not enough locked memory for");
    world.daemon.loops_opened = 3;
    (void)finds(doctor_io_uring, DOCTOR_FAILURE, "3 of 4", "LimitMEMLOCK");
    has("/proc/self/status", "Name:\tringtape\nSeccomp:\t0\n");
    (void)finds(doctor_seccomp, DOCTOR_OK, "no filter", "");
    world.process = 77;
    has("/proc/77/status", "Name:\tringtaped\nSeccomp:\t2\n");
    report.count = 0;
    doctor_seccomp(&world, &report);
    cr_assert_eq(report.count, 2);
    cr_assert(strstr(report.findings[1].found, "a filter on the running daemon") != NULL);
    has("/proc/77/status", "Name:\tringtaped\nSeccomp:\t0\n");
    report.count = 0;
    doctor_seccomp(&world, &report);
    cr_assert_eq(report.findings[1].level, DOCTOR_WARNING);
    cr_assert(strstr(report.findings[1].remedy, "security.seccomp: strict") != NULL);
}

#define LIMITS(locked, files)                                                                      \
    "Limit                     Soft Limit           Hard Limit           Units     \n"            \
    "Max open files            " files "                20000                files     \n"         \
    "Max locked memory         " locked "              8388608              bytes     \n"

Test(doctor, limits)
{
    machine();
    has("/proc/self/limits", LIMITS("unlimited", "65536"));
    (void)finds(doctor_memlock, DOCTOR_OK, "unlimited, enough for 4 loops", "");
    (void)finds(doctor_open_files, DOCTOR_OK, "65,536 at most", "");
    has("/proc/self/limits", LIMITS("65536", "1024"));
    (void)finds(doctor_memlock, DOCTOR_WARNING, "64.0 KiB, too little for 4 loops that take 224",
                "LimitMEMLOCK");
    (void)finds(doctor_open_files, DOCTOR_WARNING, "1,024 at most", "ulimit -n 65536");
    has("/proc/self/limits", LIMITS("65536", "64"));
    (void)finds(doctor_open_files, DOCTOR_FAILURE, "64 at most", "LimitNOFILE=65536");
    (void)snprintf(world.daemon.loops_failure, DOCTOR_LINE_BYTES, "not enough locked memory for");
    (void)finds(doctor_memlock, DOCTOR_FAILURE, "too little", "LimitMEMLOCK");
    world.process = 77; // the running daemon's limits count
    has("/proc/77/limits", LIMITS("unlimited", "unlimited"));
    (void)finds(doctor_open_files, DOCTOR_OK, "any number", "");
}

Test(doctor, clocks)
{
    machine();
    has(CLOCK_FOLDER "current_clocksource", "tsc\n");
    has(CLOCK_FOLDER "available_clocksource", "tsc hpet acpi_pm \n");
    (void)finds(doctor_clock_source, DOCTOR_OK, "tsc", "");
    has(CLOCK_FOLDER "current_clocksource", "hpet\n");
    (void)finds(doctor_clock_source, DOCTOR_WARNING, "hpet", "echo tsc >");
    has(CLOCK_FOLDER "available_clocksource", "hpet acpi_pm \n");
    (void)finds(doctor_clock_source, DOCTOR_WARNING, "hpet", "dmesg");
    world.clock = (struct doctor_clock){.known = true};
    (void)finds(doctor_clock_offset, DOCTOR_WARNING, "no time daemon", "chrony");
    world.clock.synchronised = true;
    world.clock.error_max_us = 900000;
    (void)finds(doctor_clock_offset, DOCTOR_WARNING, "900 ms", "chronyc sources");
    world.clock.error_max_us = 2000;
    world.clock.offset_us = -15;
    (void)finds(doctor_clock_offset, DOCTOR_OK, "offset -15 us, off by 2 ms", "");
}

Test(doctor, the_daemon_and_its_configuration)
{
    machine();
    (void)snprintf(world.daemon.version, DOCTOR_LINE_BYTES, "1.0.0 (abc)");
    world.config = "/etc/x.yaml";
    world.daemon.mistake_count = 2;
    (void)snprintf(world.daemon.mistakes[1], DOCTOR_LINE_BYTES, "x.yaml:3: shards: expected ...");
    doctor_config(&world, &report);
    cr_assert_eq(report.count, 3);
    cr_assert_eq(report.findings[2].level, DOCTOR_FAILURE);
    cr_assert(strstr(report.findings[2].found, "x.yaml:3: shards") != NULL);
    cr_assert_str_eq(report.findings[2].remedy, "ringtaped --check --config /etc/x.yaml");
    world.daemon = (struct doctor_daemon){.failure = "No such file or directory"};
    (void)finds(doctor_config, DOCTOR_WARNING, "cannot be asked: No such", "install ringtaped");
    (void)finds(doctor_running, DOCTOR_NOTE, "/srv/store", "systemctl start");
    world.process = 5;
    (void)finds(doctor_running, DOCTOR_OK, "process 5", "");
}

Test(doctor, answers_of_the_daemon_are_read)
{
    struct doctor_daemon daemon = {0};
    static const char *const lines[] = {
        "version 1.0.0 (abc)", "tls wolfSSL 5", "tls_kind stock", "config good", "store /a b",
        "shards 3", "commit_interval_ns 5000000", "reserve_bytes 7", "keep_age_ns 86400000000000",
        "keep_size_bytes 9", "keep_channel depth 3600 11", "core 0 1", "core 2 4",
        "loops_wanted 6", "loops_opened 5", "loops_failed why not", "something new"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        doctor_daemon_line(&daemon, lines[i]);
    cr_assert(daemon.asked && !daemon.tls_bundled && daemon.config_good);
    cr_assert_str_eq(daemon.store, "/a b");
    cr_assert(daemon.shards == 3 && daemon.commit_interval_ns == 5000000);
    cr_assert(daemon.keep_age_ns == DAY_NS && daemon.keep_size_bytes == 9);
    cr_assert(daemon.channel_age_ns[CHANNEL_DEPTH] == 3600);
    cr_assert(daemon.channel_size_bytes[CHANNEL_DEPTH] == 11);
    cr_assert(daemon.core_count == 3 && daemon.core[2] == 4 && daemon.reserve_bytes == 7);
    cr_assert(daemon.loops_wanted == 6 && daemon.loops_opened == 5);
    cr_assert_str_eq(daemon.loops_failure, "why not");
}

Test(doctor, stores_and_file_systems)
{
    machine();
    world.root = "";
    world.disk.error = ENOENT;
    (void)finds(doctor_store, DOCTOR_FAILURE, "No such file", "install -d");
    world.disk.parent = true;
    (void)finds(doctor_store, DOCTOR_NOTE, "not there yet", "install -d");
    world.disk = (struct doctor_disk){.exists = true, .error = EACCES};
    (void)finds(doctor_store, DOCTOR_NOTE, "cannot be seen here", "sudo -u");
    world.disk.error = EROFS;
    (void)finds(doctor_store, DOCTOR_FAILURE, "Read-only", "remount");
    world.disk.writable = true;
    (void)finds(doctor_store, DOCTOR_OK, "can be written", "");
    static const struct {
        uint64_t magic;
        enum doctor_level level;
        const char *found;
    } rows[] = {{0xef53, DOCTOR_OK, "ext4"},           {0x58465342, DOCTOR_OK, "xfs"},
                {0x01021994, DOCTOR_WARNING, "tmpfs"}, {0x794c7630, DOCTOR_WARNING, "overlayfs"},
                {0x6969, DOCTOR_WARNING, "nfs"},       {0x9123683e, DOCTOR_NOTE, "btrfs"},
                {0x1234, DOCTOR_NOTE, "0x1234"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world.disk.file_system = rows[i].magic;
        (void)finds(doctor_file_system, rows[i].level, rows[i].found, "");
    }
    (void)finds(doctor_direct, DOCTOR_WARNING, "page cache", "ext4");
    world.disk.direct = true;
    (void)finds(doctor_direct, DOCTOR_OK, "possible", "");
}

Test(doctor, durable_writes)
{
    machine();
    world.disk = (struct doctor_disk){.exists = true, .writable = true, .writes = 7,
                                      .error = ENOSPC};
    (void)finds(doctor_write_latency, DOCTOR_WARNING, "only 7 of 100", "free space");
    world.disk.writes = DOCTOR_WRITES;
    world.disk.write_p50_ns = 80000;
    world.disk.write_p99_ns = 900000;
    world.daemon.commit_interval_ns = 5000000;
    (void)finds(doctor_write_latency, DOCTOR_OK, "80 us (50 %), 900 us (99 %); commit_interval is",
                "");
    world.disk.write_p99_ns = 50000000;
    (void)finds(doctor_write_latency, DOCTOR_NOTE, "50000 us", "iostat");
    world.disk.write_p99_ns = 500000000;
    (void)finds(doctor_write_latency, DOCTOR_WARNING, "500000 us", "iostat");
}

Test(doctor, room_for_what_is_kept)
{
    machine();
    world.disk = (struct doctor_disk){.exists = true, .free_bytes = 100 * GIB,
                                      .total_bytes = 200 * GIB};
    (void)finds(doctor_space, DOCTOR_NOTE, "100.0 GiB free of 200.0 GiB; the store does not", "");
    world.segments = (struct doctor_segments){
        .known = true, .bytes = 40 * GIB, .span_ns = 4 * DAY_NS, .day_bytes = 10 * GIB,
        .channel_day_bytes = {[CHANNEL_TRADE] = 4 * GIB, [CHANNEL_DEPTH] = 6 * GIB}};
    world.daemon.reserve_bytes = (int64_t)GIB;
    (void)finds(doctor_space, DOCTOR_NOTE, "last 9 days", "keep: {age: 90d}");
    world.disk.free_bytes = 50 * GIB;
    (void)finds(doctor_space, DOCTOR_WARNING, "last 4 days", "keep: {age: 90d}");
    world.daemon.keep_age_ns = 7 * DAY_NS; // and the day of today: 80 GiB
    (void)finds(doctor_space, DOCTOR_OK, "`keep` comes to 80.0 GiB (10.0 GiB a day); there are 89",
                "");
    world.daemon.keep_age_ns = 30 * DAY_NS;
    (void)finds(doctor_space, DOCTOR_WARNING, "comes to 310.0 GiB", "smaller keep.age");
    world.daemon.channel_age_ns[CHANNEL_DEPTH] = DAY_NS; // 31 * 4 + 2 * 6
    (void)finds(doctor_space, DOCTOR_WARNING, "comes to 136.0 GiB", "");
    world.daemon.keep_size_bytes = (int64_t)(60 * GIB);
    (void)finds(doctor_space, DOCTOR_OK, "comes to 60.0 GiB", "");
    world.daemon = (struct doctor_daemon){.asked = true};
    world.segments.span_ns = DAY_NS / 4; // a quarter of a day is counted four times
    (void)finds(doctor_space, DOCTOR_WARNING, "40.0 GiB a day last 1 days", "");
}

Test(doctor, cores)
{
    machine();
    has("/proc/self/status", "Cpus_allowed:\tf\nCpus_allowed_list:\t0-2,7\n");
    (void)finds(doctor_cores, DOCTOR_OK, "4 for 1 shard", "");
    world.daemon.shards = 4;
    (void)finds(doctor_cores, DOCTOR_WARNING, "4 for 4 shards: shards are not pinned", "fewer");
    world.daemon.shards = 2;
    has("/sys/fs/cgroup/cpu.max", "max 100000\n");
    (void)finds(doctor_cores, DOCTOR_OK, "4 for 2", "");
    has("/sys/fs/cgroup/cpu.max", "150000 100000\n");
    report.count = 0;
    doctor_cores(&world, &report);
    cr_assert_eq(report.count, 2);
    cr_assert(strstr(report.findings[1].found, "1.50 CPUs") != NULL);
    cr_assert_eq(report.findings[1].level, DOCTOR_WARNING);
    has("/sys/devices/system/cpu/isolated", "\n");
    (void)finds(doctor_isolation, DOCTOR_NOTE, "(1) are shared", "isolcpus=1 ");
    has("/sys/devices/system/cpu/isolated", "1-2\n");
    (void)finds(doctor_isolation, DOCTOR_OK, "kept from other", "");
    (void)finds(doctor_governor, DOCTOR_NOTE, "cannot be seen", "");
    has("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
    (void)finds(doctor_governor, DOCTOR_OK, "performance", "");
    has("/sys/devices/system/cpu/cpu7/cpufreq/scaling_governor", "powersave\n");
    (void)finds(doctor_governor, DOCTOR_NOTE, "powersave", "cpupower");
}

Test(doctor, interrupts_of_network_cards)
{
    machine();
    has("/proc/self/status", "Cpus_allowed_list:\t0-3\n");
    has("/proc/interrupts", "           CPU0       CPU1\n"
                            "  28:   0   0  PCI-MSIX-0000:00:01.0   0-edge      virtio2-config\n"
                            "  38:   0   9  PCI-MSIX-0000:00:03.0   1-edge      virtio2-input.0\n"
                            "  39:   0   9  PCI-MSIX-0000:00:03.0   1-edge      virtio21-input.0\n"
                            "  50:   0   9  PCI-MSIX-0000:00:04.0   1-edge      ens5-Tx-Rx-0\n"
                            "  51:   0   9  PCI-MSIX-0000:00:04.0   1-edge      ens55-Tx-Rx-0\n"
                            " NMI:   0   0   Non-maskable interrupts\n");
    links("/sys/class/net/eth0/device", "../../../virtio2");
    links("/sys/class/net/ens5/device", "../../../0000:00:04.0");
    has("/sys/class/net/lo/mtu", "65536\n");
    has("/proc/irq/28/smp_affinity_list", "0-3\n"); // what may be; where it comes is
    has("/proc/irq/28/effective_affinity_list", "0\n");
    has("/proc/irq/38/effective_affinity_list", "1\n");
    has("/proc/irq/39/effective_affinity_list", "1\n"); // of another device
    has("/proc/irq/50/smp_affinity_list", "0,2\n");
    has("/proc/irq/51/smp_affinity_list", "1\n"); // of another card
    (void)finds(doctor_interrupts, DOCTOR_NOTE, "1 of 3 interrupts", "for i in 38; do echo 0 >");
    has("/proc/irq/38/effective_affinity_list", "3\n");
    (void)finds(doctor_interrupts, DOCTOR_OK, "0 of 3", "");
    world.daemon.core[0] = -1; // nothing is pinned: nothing to keep free
    report.count = 0;
    doctor_interrupts(&world, &report);
    cr_assert_eq(report.count, 0);
}

Test(doctor, memory_and_swap)
{
    machine();
    has("/proc/meminfo", "MemTotal:        4096000 kB\nMemFree: 1 kB\n");
    (void)finds(doctor_memory, DOCTOR_OK, "3.9 GiB", "");
    has("/sys/fs/cgroup/memory.max", "max\n");
    (void)finds(doctor_memory, DOCTOR_OK, "3.9 GiB", "");
    has("/sys/fs/cgroup/memory.max", "134217728\n");
    (void)finds(doctor_memory, DOCTOR_WARNING, "128.0 MiB for this control group", "MemoryMax");
    has("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
    (void)finds(doctor_swap, DOCTOR_OK, "off", "");
    has("/proc/swaps", "Filename\tType\n/dev/sda2 partition 1 1 -2\n");
    (void)finds(doctor_swap, DOCTOR_NOTE, "on:", "MemorySwapMax=0");
}

Test(doctor, tls_and_aes)
{
    machine();
    (void)snprintf(world.daemon.tls, DOCTOR_LINE_BYTES, "wolfSSL 5.5.4");
    has("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu aes avx2\n");
    doctor_tls(&world, &report);
    cr_assert_eq(report.count, 2);
    cr_assert_eq(report.findings[0].level, DOCTOR_WARNING);
    cr_assert(strstr(report.findings[0].remedy, "bundled") != NULL);
    cr_assert_eq(report.findings[1].level, DOCTOR_OK);
    has("/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vaes avx2\n");
    world.daemon.tls_bundled = true;
    report.count = 0;
    doctor_tls(&world, &report);
    cr_assert_eq(report.findings[0].level, DOCTOR_OK);
    cr_assert_eq(report.findings[1].level, DOCTOR_WARNING);
    has("/proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd aes pmull\n"); // arm
    report.count = 0;
    doctor_tls(&world, &report);
    cr_assert_eq(report.findings[1].level, DOCTOR_OK);
}

Test(doctor, lists_of_processors)
{
    struct doctor_cpus cpus;
    cr_assert(doctor_cpus_parse("0-3,8,10-11", &cpus) && doctor_cpus_count(&cpus) == 7);
    cr_assert(doctor_cpus_parse("", &cpus) && doctor_cpus_count(&cpus) == 0);
    static const char *const wrong[] = {"a", "3-1", "0-", "1,,2", "5000", "1;2"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_not(doctor_cpus_parse(wrong[i], &cpus), "%s", wrong[i]);
}
