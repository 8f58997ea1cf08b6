// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_doctor_cpu: cores for the shards, what disturbs them, memory.
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_doctor.h"
#include "tools/ringtape_table.h"

enum {
    PATH_BYTES = 1024,
    CARDS_MAX = 32,
    NAME_BYTES = 64,
    LIST_BYTES = 256,
};
// The daemon at 20,000 messages a second with the peaks of sealing, and a report's process.
static const uint64_t MEMORY_WANTED = 512ull << 20;

// CPUs that this process, and a daemon started like it, may use.
static bool allowed(const struct doctor_world *world, struct doctor_cpus *cpus)
{
    static char status[16384];
    char list[DOCTOR_LINE_BYTES];
    return doctor_read(world, "/proc/self/status", status, sizeof status) &&
           doctor_field(status, "Cpus_allowed_list", list, sizeof list) &&
           doctor_cpus_parse(list, cpus);
}

// Whole and hundredth CPUs that a control group admits; false: no limit, or not seen.
static bool quota(const struct doctor_world *world, uint64_t *hundredths)
{
    char text[64];
    int64_t period = 0, most = 0;
    if (doctor_read(world, "/sys/fs/cgroup/cpu.max", text, sizeof text)) {
        char *rest;
        most = strtoll(text, &rest, 10); // "max 100000": 0
        period = strtoll(rest, NULL, 10);
    } else if (doctor_read(world, "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", text, sizeof text)) {
        most = strtoll(text, NULL, 10); // -1: any
        if (doctor_read(world, "/sys/fs/cgroup/cpu/cpu.cfs_period_us", text, sizeof text))
            period = strtoll(text, NULL, 10);
    }
    if (most <= 0 || period <= 0) return false;
    *hundredths = (uint64_t)(most * 100 / period);
    return true;
}

static uint32_t shards_of(const struct doctor_world *world)
{
    return world->daemon.shards > 0 ? world->daemon.shards : 1;
}

void doctor_cores(const struct doctor_world *world, struct doctor_report *report)
{
    struct doctor_cpus cpus;
    char text[2 * RINGTAPE_TABLE_NUMBER_BYTES];
    uint64_t hundredths;
    const uint32_t shards = shards_of(world);
    if (!allowed(world, &cpus)) {
        doctor_unseen(report, "cores", "/proc/self/status");
        return;
    }
    const uint32_t count = doctor_cpus_count(&cpus);
    const bool enough = count > shards;
    doctor_say(report, enough ? DOCTOR_OK : DOCTOR_WARNING, "cores",
               enough ? "" : "fewer `shards`, or more cores (taskset, AllowedCPUs=, cpuset)",
               "%u for %s: %s", count, ringtape_table_count(text, shards, "shard"),
               enough ? "a core for each shard and at least one for the rest"
                      : "shards are not pinned and share them with the sealer");
    if (quota(world, &hundredths) && hundredths < 100ull * (shards + 1))
        doctor_say(report, DOCTOR_WARNING, "cores",
                   "CPUQuota= (systemd), --cpus (Docker), limits.cpu (Kubernetes): whole CPUs, at "
                   "least shards + 1, or no limit",
                   "a control group stops it at %" PRIu64 ".%02" PRIu64 " CPUs: shards stand still "
                   "for tens of milliseconds",
                   hundredths / 100, hundredths % 100);
}

// CPUs that shards are pinned to, as "1,2"; false: none.
static bool pinned(const struct doctor_world *world, struct doctor_cpus *cpus, char *list,
                   size_t size)
{
    size_t used = 0;
    bool any = false;
    memset(cpus, 0, sizeof *cpus);
    list[0] = '\0';
    for (uint32_t i = 0; i < world->daemon.core_count; i++) {
        const int core = world->daemon.core[i];
        if (core < 0 || core >= DOCTOR_CPUS_MAX) continue;
        cpus->has[core] = true;
        const int more = snprintf(list + used, size - used, "%s%d", any ? "," : "", core);
        any = true;
        if (more > 0 && (size_t)more < size - used) used += (size_t)more;
    }
    return any;
}

static bool overlap(const struct doctor_cpus *a, const struct doctor_cpus *b, bool whole)
{
    bool some = false, all = true;
    for (int cpu = 0; cpu < DOCTOR_CPUS_MAX; cpu++) {
        some = some || (a->has[cpu] && b->has[cpu]);
        all = all && (!a->has[cpu] || b->has[cpu]);
    }
    return whole ? all : some;
}

void doctor_isolation(const struct doctor_world *world, struct doctor_report *report)
{
    struct doctor_cpus shards, isolated;
    char list[LIST_BYTES], text[LIST_BYTES], remedy[DOCTOR_TEXT_BYTES];
    if (!pinned(world, &shards, list, sizeof list)) return;
    if (!doctor_read(world, "/sys/devices/system/cpu/isolated", text, sizeof text) ||
        !doctor_cpus_parse(text, &isolated)) {
        doctor_unseen(report, "isolation", "/sys/devices/system/cpu/isolated");
        return;
    }
    const bool alone = overlap(&shards, &isolated, true);
    (void)snprintf(remedy, sizeof remedy,
                   "for the least latency, on the kernel's command line: isolcpus=%s nohz_full=%s "
                   "rcu_nocbs=%s; in the unit CPUAffinity= with these and one more",
                   list, list, list);
    doctor_say(report, alone ? DOCTOR_OK : DOCTOR_NOTE, "isolation", alone ? "" : remedy,
               alone ? "the shards' CPUs (%s) are kept from other processes"
                     : "the shards' CPUs (%s) are shared with whatever else runs",
               list);
}

void doctor_governor(const struct doctor_world *world, struct doctor_report *report)
{
    struct doctor_cpus cpus;
    char path[PATH_BYTES], governor[NAME_BYTES], other[NAME_BYTES] = "";
    uint32_t seen = 0;
    if (!allowed(world, &cpus)) return;
    for (int cpu = 0; cpu < DOCTOR_CPUS_MAX; cpu++) {
        if (!cpus.has[cpu]) continue;
        (void)snprintf(path, sizeof path,
                       "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", cpu);
        if (!doctor_read(world, path, governor, sizeof governor)) continue;
        seen++;
        if (strcmp(governor, "performance") != 0)
            (void)snprintf(other, sizeof other, "%s", governor);
    }
    if (seen == 0)
        doctor_unseen(report, "governor", "in a guest its host decides");
    else
        doctor_say(report, other[0] == '\0' ? DOCTOR_OK : DOCTOR_NOTE, "governor",
                   other[0] == '\0' ? "" : "cpupower frequency-set -g performance",
                   other[0] == '\0' ? "performance"
                                    : "%s: clocks rise only when there is load, the first messages "
                                      "of a burst wait",
                   other);
}

// ---- interrupts of network cards ----

struct cards {
    char name[2 * CARDS_MAX][NAME_BYTES]; // of a card and, in a guest, of its virtio device
    uint32_t count;
};

static void add_card(struct cards *cards, const char *name)
{
    if (cards->count == 2 * CARDS_MAX) return;
    (void)snprintf(cards->name[cards->count++], NAME_BYTES, "%.63s", name);
}

// Cards with a device behind them: not loopback, bridges and tunnels.
static void find_cards(const struct doctor_world *world, struct cards *cards)
{
    char path[PATH_BYTES], target[PATH_BYTES];
    cards->count = 0;
    (void)snprintf(path, sizeof path, "%s/sys/class/net", world->root);
    DIR *folder = opendir(path);
    if (folder == NULL) return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        (void)snprintf(path, sizeof path, "%s/sys/class/net/%s/device", world->root,
                       entry->d_name);
        const ssize_t size = readlink(path, target, sizeof target - 1);
        if (size <= 0) continue;
        target[size] = '\0';
        const char *device = strrchr(target, '/');
        add_card(cards, entry->d_name);
        if (device != NULL && strncmp(device + 1, "virtio", 6) == 0) add_card(cards, device + 1);
    }
    (void)closedir(folder);
}

// "  38:   0   35963 PCI-MSIX-0000:00:03.0   1-edge   virtio2-input.0": does the last word begin
// with a card's name and not with a longer one?
static bool of_card(const struct cards *cards, const char *line, size_t size)
{
    size_t start = size;
    while (start > 0 && line[start - 1] != ' ') start--;
    for (uint32_t i = 0; i < cards->count; i++) {
        const size_t length = strlen(cards->name[i]);
        const bool fits = size - start >= length &&
                          strncmp(line + start, cards->name[i], length) == 0;
        const char next = fits && start + length < size ? line[start + length] : '-';
        if (fits && (next < '0' || next > '9')) return true;
    }
    return false;
}

struct interrupts {
    uint32_t seen;
    uint32_t on_shards;
    char numbers[LIST_BYTES]; // of those on CPUs of shards
};

static void look_at_interrupt(const struct doctor_world *world, const struct doctor_cpus *shards,
                              unsigned long number, struct interrupts *found)
{
    char path[PATH_BYTES], list[LIST_BYTES];
    struct doctor_cpus cpus;
    (void)snprintf(path, sizeof path, "/proc/irq/%lu/effective_affinity_list", number);
    if (!doctor_read(world, path, list, sizeof list) || list[0] == '\0') {
        (void)snprintf(path, sizeof path, "/proc/irq/%lu/smp_affinity_list", number);
        if (!doctor_read(world, path, list, sizeof list)) return;
    }
    if (!doctor_cpus_parse(list, &cpus)) return;
    found->seen++;
    if (!overlap(&cpus, shards, false)) return;
    const size_t used = strlen(found->numbers);
    (void)snprintf(found->numbers + used, sizeof found->numbers - used, "%s%lu",
                   used > 0 ? " " : "", number);
    found->on_shards++;
}

static bool look_at_interrupts(const struct doctor_world *world, const struct doctor_cpus *shards,
                               struct interrupts *found)
{
    static char text[DOCTOR_FILE_BYTES];
    static struct cards cards;
    memset(found, 0, sizeof *found);
    find_cards(world, &cards);
    if (!doctor_read(world, "/proc/interrupts", text, sizeof text)) return false;
    for (const char *line = text; line != NULL;) {
        const char *end = strchr(line, '\n');
        const size_t size = end != NULL ? (size_t)(end - line) : strlen(line);
        char *rest;
        const unsigned long number = strtoul(line, &rest, 10);
        if (rest != line && *rest == ':' && of_card(&cards, line, size))
            look_at_interrupt(world, shards, number, found);
        line = end != NULL ? end + 1 : NULL;
    }
    return found->seen > 0;
}

// A CPU that may be used and has no shard.
static int free_cpu(const struct doctor_world *world, const struct doctor_cpus *shards)
{
    struct doctor_cpus cpus;
    if (!allowed(world, &cpus)) return 0;
    for (int cpu = 0; cpu < DOCTOR_CPUS_MAX; cpu++) {
        if (cpus.has[cpu] && !shards->has[cpu]) return cpu;
    }
    return 0;
}

void doctor_interrupts(const struct doctor_world *world, struct doctor_report *report)
{
    struct doctor_cpus shards;
    struct interrupts found;
    char list[LIST_BYTES], remedy[DOCTOR_TEXT_BYTES];
    if (!pinned(world, &shards, list, sizeof list)) return;
    if (!look_at_interrupts(world, &shards, &found)) {
        doctor_unseen(report, "interrupts", "/proc/interrupts has none of a network card");
        return;
    }
    (void)snprintf(remedy, sizeof remedy,
                   "systemctl disable --now irqbalance; for i in %s; do echo %d > "
                   "/proc/irq/$i/smp_affinity_list; done",
                   found.numbers, free_cpu(world, &shards));
    doctor_say(report, found.on_shards == 0 ? DOCTOR_OK : DOCTOR_NOTE, "interrupts",
               found.on_shards == 0 ? "" : remedy,
               "%u of %u interrupts of network cards come on CPUs of shards (%s)", found.on_shards,
               found.seen, list);
}

// ---- memory ----

void doctor_memory(const struct doctor_world *world, struct doctor_report *report)
{
    char text[8192], value[64], a[RINGTAPE_TABLE_NUMBER_BYTES], b[RINGTAPE_TABLE_NUMBER_BYTES];
    if (!doctor_read(world, "/proc/meminfo", text, sizeof text) ||
        !doctor_field(text, "MemTotal", value, sizeof value)) {
        doctor_unseen(report, "memory", "/proc/meminfo");
        return;
    }
    uint64_t bytes = strtoull(value, NULL, 10) * 1024;
    const bool limited = doctor_read(world, "/sys/fs/cgroup/memory.max", text, sizeof text) &&
                         strtoull(text, NULL, 10) > 0 && strtoull(text, NULL, 10) < bytes;
    if (limited) bytes = strtoull(text, NULL, 10);
    const bool enough = bytes >= MEMORY_WANTED;
    doctor_say(report, enough ? DOCTOR_OK : DOCTOR_WARNING, "memory",
               enough ? "" : "more memory, or a higher MemoryMax=, --memory, limits.memory",
               "%s%s, %s are wanted", ringtape_table_bytes(a, bytes),
               limited ? " for this control group" : "", ringtape_table_bytes(b, MEMORY_WANTED));
}

void doctor_swap(const struct doctor_world *world, struct doctor_report *report)
{
    char text[8192];
    if (!doctor_read(world, "/proc/swaps", text, sizeof text)) {
        doctor_unseen(report, "swap", "/proc/swaps");
        return;
    }
    const bool on = strchr(text, '\n') != NULL; // behind the heading
    doctor_say(report, on ? DOCTOR_NOTE : DOCTOR_OK, "swap",
               on ? "MemorySwapMax=0 in the unit, or swapoff -a" : "",
               on ? "on: a shard whose memory was swapped out stands still while it is read"
                  : "off");
}
