// SPDX-License-Identifier: GPL-3.0-or-later
//
// disk_watch: what a disk that fills up asks for. Pure: free bytes and time in, a state out.
//
//     free ≥ reserve        all is well; paused channels resume, one every DISK_WATCH_STEP_NS
//     free < reserve        low: alarm; the oldest data goes where `keep` allows; nothing is merged
//     free < reserve / 2    channels pause, one every DISK_WATCH_STEP_NS, lowest priority first
//
// Between the two thresholds the paused channels stay as they are. status and instrument never
// pause: they are small, and tell the rest.
#ifndef RINGTAPE_KEEP_DISK_WATCH_H
#define RINGTAPE_KEEP_DISK_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"

#define DISK_WATCH_STEP_NS (5 * LIMIT_SECOND_NS)
#define DISK_WATCH_RESERVE_BYTES (1ll << 30) // at most, where none is configured

enum disk_watch_news {
    DISK_WATCH_NOTHING,
    DISK_WATCH_LOW,    // became low
    DISK_WATCH_PAUSED, // `channel` pauses
    DISK_WATCH_RESUMED, // `channel` resumes
    DISK_WATCH_WELL,   // nothing is paused or low any more
};

struct disk_watch {
    int64_t reserve_bytes;
    int64_t step_ns;   // monotonic: when a channel paused or resumed last; 0: none is paused
    bool low;
    uint32_t paused;   // channels, in the order of disk_watch_channels
    int channel;       // of the news
};

// `configured` 0: a quarter of what is free now, at most DISK_WATCH_RESERVE_BYTES.
void disk_watch_begin(struct disk_watch *watch, int64_t configured, int64_t free_bytes);
// One thing that changed, if any; asked again until nothing does.
enum disk_watch_news disk_watch_look(struct disk_watch *watch, int64_t free_bytes, int64_t now_ns);
// Bit c: channel c is paused.
uint32_t disk_watch_mask(const struct disk_watch *watch);

#endif
