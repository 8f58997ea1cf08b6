// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_doctor_disk: the folder of the store, its file system, what a durable write takes, and
// whether there is room for what is to be kept.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_doctor.h"
#include "tools/ringtape_table.h"

#define DAY_NS (86400ll * 1000000000)
#define MILLISECOND_NS 1000000ll
// A store younger than this tells nothing about a day.
#define SPAN_LEAST_NS (DAY_NS / 24)
// Without `keep`: fewer days of room are a warning.
enum { DAYS_LEFT_LEAST = 7 };
#define WRITE_SLOW_NS (10 * MILLISECOND_NS)
#define WRITE_BAD_NS (100 * MILLISECOND_NS)

void doctor_store(const struct doctor_world *world, struct doctor_report *report)
{
    const struct doctor_disk *disk = &world->disk;
    char remedy[DOCTOR_TEXT_BYTES];
    if (world->root[0] != '\0') { // a copy of files has no disk
        doctor_unseen(report, "store", "with --root");
        return;
    }
    (void)snprintf(remedy, sizeof remedy,
                   "install -d -o ringtape -g ringtape -m 0750 %s", world->store);
    if (!disk->exists && disk->error == ENOENT && disk->parent)
        doctor_say(report, DOCTOR_NOTE, "store", remedy,
                   "%s is not there yet: the disk is not tried; ringtaped makes it if it may",
                   world->store);
    else if (!disk->exists)
        doctor_say(report, DOCTOR_FAILURE, "store", remedy, "%s: %s", world->store,
                   strerror(disk->error));
    else if (!disk->writable && (disk->error == EACCES || disk->error == EPERM))
        doctor_say(report, DOCTOR_NOTE, "store", "sudo -u ringtape ringtape doctor ...",
                   "%s: nothing can be written there as this user: the disk cannot be seen here",
                   world->store);
    else if (!disk->writable)
        doctor_say(report, DOCTOR_FAILURE, "store",
                   disk->error == EROFS    ? "mount -o remount,rw; a container: a volume there"
                   : disk->error == ENOSPC ? "free space there"
                                           : remedy,
                   "%s: nothing can be written: %s", world->store, strerror(disk->error));
    else
        doctor_say(report, DOCTOR_OK, "store", "", "%s can be written", world->store);
}

// Magic numbers as in statfs(2).
static const struct file_system {
    uint64_t magic;
    const char *name;
    enum doctor_level level;
    const char *said;
    const char *remedy;
} file_systems[] = {
    {0x58465342, "xfs", DOCTOR_OK, "", ""},
    {0xef53, "ext4", DOCTOR_OK, "", ""},
    {0xf2f52010, "f2fs", DOCTOR_OK, "", ""},
    {0x9123683e, "btrfs", DOCTOR_NOTE, ": copies what is written over, durable writes take longer",
     "chattr +C on the folder before the store is made, or a volume with ext4 or xfs"},
    {0x2fc12fc1, "zfs", DOCTOR_NOTE, ": copies what is written over, durable writes take longer",
     "zfs set recordsize=16K DATASET and a log device, or a volume with ext4 or xfs"},
    {0x01021994, "tmpfs", DOCTOR_WARNING, ": in memory, nothing survives a restart",
     "a folder on a disk, with ext4 or xfs"},
    {0x858458f6, "ramfs", DOCTOR_WARNING, ": in memory, nothing survives a restart",
     "a folder on a disk, with ext4 or xfs"},
    {0x794c7630, "overlayfs", DOCTOR_WARNING, ": goes with the container",
     "a volume: docker run -v ringtape:/var/lib/ringtape; Kubernetes: a persistent volume claim"},
    {0x6969, "nfs", DOCTOR_WARNING, ": locks, durability and latency depend on another machine",
     "a local disk, with ext4 or xfs"},
    {0xff534d42, "cifs", DOCTOR_WARNING,
     ": locks, durability and latency depend on another machine",
     "a local disk, with ext4 or xfs"},
    {0xfe534d42, "smb2", DOCTOR_WARNING,
     ": locks, durability and latency depend on another machine",
     "a local disk, with ext4 or xfs"},
    {0x01021997, "9p", DOCTOR_WARNING, ": locks, durability and latency depend on the host",
     "a disk of the guest's own, with ext4 or xfs"},
    {0x65735546, "fuse", DOCTOR_WARNING, ": what is durable depends on the program behind it",
     "a local disk, with ext4 or xfs"},
};

void doctor_file_system(const struct doctor_world *world, struct doctor_report *report)
{
    const struct doctor_disk *disk = &world->disk;
    if (!disk->exists) return;
    for (size_t i = 0; i < sizeof file_systems / sizeof *file_systems; i++) {
        const struct file_system *known = &file_systems[i];
        if (known->magic != disk->file_system) continue;
        doctor_say(report, known->level, "file system", known->remedy, "%s%s", known->name,
                   known->said);
        return;
    }
    doctor_say(report, DOCTOR_NOTE, "file system", "ext4 and xfs are what is tested",
               "type %#" PRIx64 ", not known here", disk->file_system);
}

void doctor_direct(const struct doctor_world *world, struct doctor_report *report)
{
    if (!world->disk.writable) return;
    doctor_say(report, world->disk.direct ? DOCTOR_OK : DOCTOR_WARNING, "O_DIRECT",
               world->disk.direct ? "" : "a file system with O_DIRECT: ext4 or xfs",
               world->disk.direct ? "possible"
                                  : "not possible: tapes are written through the page cache");
}

void doctor_write_latency(const struct doctor_world *world, struct doctor_report *report)
{
    const struct doctor_disk *disk = &world->disk;
    char interval[64] = "";
    if (!disk->writable) return;
    if (disk->writes < DOCTOR_WRITES) {
        doctor_say(report, DOCTOR_WARNING, "durable write", "free space there; dmesg",
                   "only %u of %d writes could be measured: %s", disk->writes, DOCTOR_WRITES,
                   strerror(disk->error));
        return;
    }
    if (world->daemon.commit_interval_ns > 0)
        (void)snprintf(interval, sizeof interval, "; commit_interval is %" PRId64 " us",
                       world->daemon.commit_interval_ns / 1000);
    const enum doctor_level level = disk->write_p99_ns <= WRITE_SLOW_NS  ? DOCTOR_OK
                                    : disk->write_p99_ns <= WRITE_BAD_NS ? DOCTOR_NOTE
                                                                         : DOCTOR_WARNING;
    doctor_say(report, level, "durable write",
               level == DOCTOR_OK ? ""
                                  : "a disk of its own (iostat -x 1 shows who else writes), an SSD "
                                    "with power-loss protection; or a longer commit_interval",
               "4 KiB take %" PRId64 " us (50 %%), %" PRId64 " us (99 %%)%s",
               disk->write_p50_ns / 1000, disk->write_p99_ns / 1000, interval);
}

// ---- room ----

// Bytes that the limits let a channel, or all of them, come to; UINT64_MAX: any.
static uint64_t kept_bytes(int64_t age_ns, int64_t size_bytes, uint64_t day_bytes)
{
    uint64_t kept = UINT64_MAX;
    // A day goes when all of it is older, so one day more is there.
    if (age_ns > 0) kept = day_bytes * (uint64_t)((age_ns + DAY_NS - 1) / DAY_NS + 1);
    if (size_bytes > 0 && (uint64_t)size_bytes < kept) kept = (uint64_t)size_bytes;
    return kept;
}

// What a whole day takes, of a store that is younger: it is taken to go on as it began.
static uint64_t whole_day(const struct doctor_segments *segments, uint64_t bytes)
{
    if (segments->span_ns >= DAY_NS) return bytes;
    return (uint64_t)((unsigned __int128)bytes * (uint64_t)DAY_NS / (uint64_t)segments->span_ns);
}

// The same of everything: channels with limits of their own, then the limit of all.
static uint64_t kept_bytes_all(const struct doctor_daemon *daemon,
                               const struct doctor_segments *segments)
{
    uint64_t sum = 0;
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const uint64_t day = whole_day(segments, segments->channel_day_bytes[c]);
        const int64_t age_ns =
            daemon->channel_age_ns[c] > 0 ? daemon->channel_age_ns[c] : daemon->keep_age_ns;
        const uint64_t kept = kept_bytes(age_ns, daemon->channel_size_bytes[c], day);
        if (day > 0 && kept == UINT64_MAX) sum = UINT64_MAX;
        else if (day > 0 && sum != UINT64_MAX) sum += kept;
    }
    const uint64_t most = daemon->keep_size_bytes > 0 ? (uint64_t)daemon->keep_size_bytes
                                                      : UINT64_MAX;
    return sum < most ? sum : most;
}

static void space_for_ever(struct doctor_report *report, uint64_t room, uint64_t day_bytes)
{
    char a[RINGTAPE_TABLE_NUMBER_BYTES], b[RINGTAPE_TABLE_NUMBER_BYTES];
    const uint64_t days = room / day_bytes;
    doctor_say(report, days < DAYS_LEFT_LEAST ? DOCTOR_WARNING : DOCTOR_NOTE, "space",
               "keep: {age: 90d} in the configuration, or a larger disk",
               "everything is kept: %s free at %s a day last %" PRIu64 " days",
               ringtape_table_bytes(a, room), ringtape_table_bytes(b, day_bytes), days);
}

void doctor_space(const struct doctor_world *world, struct doctor_report *report)
{
    const struct doctor_disk *disk = &world->disk;
    const struct doctor_segments *segments = &world->segments;
    const uint64_t reserve = (uint64_t)world->daemon.reserve_bytes;
    char a[RINGTAPE_TABLE_NUMBER_BYTES], b[RINGTAPE_TABLE_NUMBER_BYTES];
    char c[RINGTAPE_TABLE_NUMBER_BYTES];
    if (!disk->exists) return;
    const uint64_t room = disk->free_bytes > reserve ? disk->free_bytes - reserve : 0;
    if (!segments->known || segments->day_bytes == 0 || segments->span_ns < SPAN_LEAST_NS) {
        doctor_say(report, DOCTOR_NOTE, "space", "docs/operating.md, Sizing: figures by symbol",
                   "%s free of %s; the store does not tell yet what a day takes",
                   ringtape_table_bytes(a, disk->free_bytes),
                   ringtape_table_bytes(b, disk->total_bytes));
        return;
    }
    const uint64_t day_bytes = whole_day(segments, segments->day_bytes);
    const uint64_t kept = kept_bytes_all(&world->daemon, segments);
    if (kept == UINT64_MAX) {
        space_for_ever(report, room, day_bytes > 0 ? day_bytes : 1);
        return;
    }
    const bool enough = kept <= segments->bytes + room;
    doctor_say(report, enough ? DOCTOR_OK : DOCTOR_WARNING, "space",
               enough ? "" : "a larger disk, or a smaller keep.age or keep.size; otherwise the "
                             "oldest data goes before its time",
               "`keep` comes to %s (%s a day); there are %s for it", ringtape_table_bytes(a, kept),
               ringtape_table_bytes(b, day_bytes), ringtape_table_bytes(c, segments->bytes + room));
}
