// SPDX-License-Identifier: GPL-3.0-or-later
//
// Deletion of segments and of sealed tapes, and the look at the disk that may ask for it. Segments
// go by a swap of the catalogue followed by the removal of files: after a crash in between they are
// leftovers. A sealed tape is only removed: the catalogue says already that it does not count.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "format/ensure.h"
#include "keep/sealer_inside.h"

#define WATCH_NS LIMIT_SECOND_NS

// ---- deleting ----

static struct retention_choice choose(struct sealer *sealer)
{
    struct retention_rules rules;
    uint32_t count;
    const struct retention_guard *guards = keep_store_guards(sealer->store, &count);
    keep_store_rules(sealer->store, &rules);
    return retention_choose(sealer->catalogue, &rules, guards, count, io_utc_ns(sealer->io),
                            sealer->disk.low);
}

bool sealer_drop_start(struct sealer *sealer)
{
    struct sealer_drop *drop = &sealer->drop;
    if (!sealer->watching)
        return false;
    struct retention_choice choice = choose(sealer);
    ensure(choice.count <= RETENTION_SEGMENTS_MAX && drop->count == 0);
    if (choice.count == 0)
        return false;
    memcpy(drop->segments, sealer->catalogue->segments + choice.first,
           choice.count * sizeof *drop->segments);
    drop->count = choice.count;
    drop->cause = choice.cause;
    sealer_swap(sealer);
    return true;
}

void sealer_drop_remove(struct sealer *sealer, struct file_script *script)
{
    static const char *const endings[] = {"index", "segment"};
    char path[KEEP_FILE_NAME_BYTES_MAX];
    ensure(sealer->drop.count > 0);
    for (uint32_t i = 0; i < sealer->drop.count; i++) {
        for (size_t e = 0; e < sizeof endings / sizeof *endings; e++) {
            sealer_segment_path(sealer, &sealer->drop.segments[i], endings[e], path);
            file_script_unlink(script, path);
        }
    }
    *strrchr(path, '/') = 0; // all are of one day
    file_script_sync_directory(script, path);
}

void sealer_drop_removed(struct sealer *sealer)
{
    struct sealer_drop *drop = &sealer->drop;
    char detail[KEEP_NEWS_BYTES];
    char day[11];
    uint64_t rows = 0;
    for (uint32_t i = 0; i < drop->count; i++)
        rows += drop->segments[i].rows;
    catalogue_day_text(drop->segments[0].day, day);
    (void)snprintf(detail, sizeof detail, "%s of %s: %" PRIu64 " rows, %" PRIu32 " segments: %s",
                   channel_schema(drop->segments[0].channel)->name, day, rows, drop->count,
                   retention_cause_text(drop->cause));
    if (sealer->log)
        log_write(sealer->log, LOG_DATA_DELETED, io_utc_ns(sealer->io), "what=\"%s\"", detail);
    keep_store_tell(sealer->store, STATUS_DATA_DELETED, detail);
    sealer->counters.deleted += drop->count;
    drop->count = 0;
}

// ---- sealed tapes ----

// On a full disk tapes go after everything that `keep` allows to delete.
static bool pressed_for_tapes(struct sealer *sealer)
{
    return sealer->watching && sealer->disk.low && choose(sealer).count == 0;
}

static uint32_t choose_tape(struct sealer *sealer)
{
    uint32_t count;
    const struct retention_guard *guards = keep_store_guards(sealer->store, &count);
    return retention_choose_tape(sealer->catalogue, guards, count, pressed_for_tapes(sealer));
}

static bool is_released(struct sealer *sealer, uint32_t tape)
{
    uint32_t count;
    const struct retention_guard *guards = keep_store_guards(sealer->store, &count);
    return retention_tape_released(guards, count, tape);
}

bool sealer_keeps_tape(struct sealer *sealer, uint32_t tape)
{
    ensure(catalogue_tape_sealed(sealer->catalogue, tape));
    return !is_released(sealer, tape) && !pressed_for_tapes(sealer);
}

bool sealer_spare_start(struct sealer *sealer)
{
    uint32_t tape = sealer->not_removed ? 0 : choose_tape(sealer);
    if (tape == 0)
        return false;
    if (!is_released(sealer, tape)) {
        sealer->counters.tapes_pressed++;
        if (sealer->log)
            log_write(sealer->log, LOG_TAPE_GOES, io_utc_ns(sealer->io),
                      "tape=%" PRIu32 " tapes_left=%" PRIu32, tape,
                      sealer->catalogue->tape_count - 1);
    }
    sealer_tape_start(sealer, tape);
    return true;
}

// ---- the disk ----

static void say_news(struct sealer *sealer, enum disk_watch_news news, int64_t free_bytes)
{
    static const enum log_message said[] = {
        [DISK_WATCH_LOW] = LOG_DISK_LOW,
        [DISK_WATCH_PAUSED] = LOG_CHANNEL_PAUSED,
        [DISK_WATCH_RESUMED] = LOG_CHANNEL_RESUMED,
        [DISK_WATCH_WELL] = LOG_DISK_WELL,
    };
    const struct channel_schema *schema = channel_schema((enum channel)sealer->disk.channel);
    bool channel = news == DISK_WATCH_PAUSED || news == DISK_WATCH_RESUMED;
    ensure(news != DISK_WATCH_NOTHING && (!channel || schema));
    if (sealer->log)
        log_write(sealer->log, said[news], io_utc_ns(sealer->io),
                  "channel=%s free_bytes=%" PRId64 " reserve_bytes=%" PRId64,
                  channel ? schema->name : "-", free_bytes, sealer->disk.reserve_bytes);
    char detail[KEEP_NEWS_BYTES];
    (void)snprintf(detail, sizeof detail, "%" PRId64 " bytes free, reserve %" PRId64, free_bytes,
                   sealer->disk.reserve_bytes);
    if (news == DISK_WATCH_LOW)
        keep_store_tell(sealer->store, STATUS_DISK_FULL, detail);
    else if (news == DISK_WATCH_WELL)
        keep_store_tell(sealer->store, STATUS_DISK_FREED, detail);
}

static void look_at_disk(struct sealer *sealer)
{
    struct retention_rules rules;
    int64_t free_bytes = io_free_bytes(sealer->io, keep_store_path(sealer->store));
    if (free_bytes < 0)
        return;
    keep_store_rules(sealer->store, &rules);
    if (rules.reserve_bytes != 0 || sealer->disk.reserve_bytes == 0)
        disk_watch_begin(&sealer->disk, rules.reserve_bytes, free_bytes);
    enum disk_watch_news news;
    while ((news = disk_watch_look(&sealer->disk, free_bytes, io_monotonic_ns(sealer->io))) !=
           DISK_WATCH_NOTHING)
        say_news(sealer, news, free_bytes);
    keep_store_pause(sealer->store, disk_watch_mask(&sealer->disk));
}

bool sealer_relieve(struct sealer *sealer)
{
    if (!sealer->watching || !sealer->disk.low)
        return false;
    look_at_disk(sealer); // what went just now may have been enough
    return sealer->disk.low && (sealer_drop_start(sealer) || sealer_spare_start(sealer));
}

static void watch(struct io *io, struct io_op *op)
{
    struct sealer *sealer = io_owner(op, struct sealer, watch_op);
    if (sealer->state == SEALER_STOPPED) {
        sealer_finish_stop(sealer);
        return;
    }
    look_at_disk(sealer);
    sealer->not_removed = false;
    io_timeout(io, &sealer->watch_op, WATCH_NS, watch);
    if (sealer->state == SEALER_IDLE && !sealer->stopping && !sealer_incoming_start(sealer) &&
        !sealer_drop_start(sealer) && !sealer_spare_start(sealer) &&
        !sealer_merge_resume(sealer))
        (void)sealer_days_start(sealer);
}

void sealer_watch(struct sealer *sealer)
{
    ensure(!sealer->watching);
    sealer->watching = true;
    io_timeout(sealer->io, &sealer->watch_op, 0, watch);
}
