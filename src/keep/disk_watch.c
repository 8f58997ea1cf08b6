// SPDX-License-Identifier: GPL-3.0-or-later
//
// The order in which channels pause: first what is large and can be had again in part (verbatim
// copies, books that the next snapshot repeats), last what a history is made of.
#include "keep/disk_watch.h"

#include "format/ensure.h"
#include "format/event.h"

static const enum channel disk_watch_channels[] = {
    CHANNEL_RAW,    CHANNEL_BOOK,  CHANNEL_DEPTH,     CHANNEL_QUOTE,
    CHANNEL_TICKER, CHANNEL_KLINE, CHANNEL_AGG_TRADE, CHANNEL_TRADE,
};

enum { PAUSABLE = sizeof disk_watch_channels / sizeof *disk_watch_channels };

void disk_watch_begin(struct disk_watch *watch, int64_t configured, int64_t free_bytes)
{
    int64_t chosen = free_bytes / 4;
    ensure(configured >= 0 && free_bytes >= 0);
    if (chosen > DISK_WATCH_RESERVE_BYTES)
        chosen = DISK_WATCH_RESERVE_BYTES;
    watch->reserve_bytes = configured != 0 ? configured : chosen;
}

uint32_t disk_watch_mask(const struct disk_watch *watch)
{
    uint32_t mask = 0;
    for (uint32_t i = 0; i < watch->paused; i++)
        mask |= 1u << disk_watch_channels[i];
    return mask;
}

static enum disk_watch_news pause_one(struct disk_watch *watch, int64_t now_ns)
{
    watch->step_ns = now_ns;
    watch->channel = (int)disk_watch_channels[watch->paused++];
    return DISK_WATCH_PAUSED;
}

static enum disk_watch_news resume_one(struct disk_watch *watch, int64_t now_ns)
{
    watch->step_ns = now_ns;
    watch->channel = (int)disk_watch_channels[--watch->paused];
    return DISK_WATCH_RESUMED;
}

enum disk_watch_news disk_watch_look(struct disk_watch *watch, int64_t free_bytes, int64_t now_ns)
{
    ensure(watch->paused <= PAUSABLE);
    bool due = watch->step_ns == 0 || now_ns - watch->step_ns >= DISK_WATCH_STEP_NS;
    if (free_bytes < watch->reserve_bytes && !watch->low) {
        watch->low = true;
        watch->step_ns = now_ns; // the oldest data has a step's time to go
        return DISK_WATCH_LOW;
    }
    if (free_bytes < watch->reserve_bytes / 2 && due && watch->paused < PAUSABLE)
        return pause_one(watch, now_ns);
    if (free_bytes < watch->reserve_bytes)
        return DISK_WATCH_NOTHING;
    if (watch->paused > 0)
        return due ? resume_one(watch, now_ns) : DISK_WATCH_NOTHING;
    bool was_low = watch->low;
    watch->low = false;
    watch->step_ns = 0;
    return was_low ? DISK_WATCH_WELL : DISK_WATCH_NOTHING;
}
