// SPDX-License-Identifier: Apache-2.0
//
// day: is a UTC day of a channel closed, and what is durable of one that is.
//
// It is closed when it is over for a minute, no row of it lies on a tape any more, the ledger is
// younger than its end, and every symbol that is recorded (of trade and agg_trade) is proven beyond
// it, or is no longer listed by its exchange. Holes may stay: they are listed in the marker. Closed
// once is closed; what changes later raises the marker's generation.
//
// A marker is text, one file a day and channel, STORE/day/2026-11-27-trade:
//
//     ringtape-day 1 0
//     generation 2                     1 when the day was closed, +1 with each later change
//     closed 1795824065000000000       when it was, ns UTC
//     changed 1795830000000000000      since when it has this generation
//     rows 1234567                     in segments
//     hole open binance:BTCUSDT 4 9 1795… 1795… skipped by a live link
//                                      open or lost, symbol, first and last id (- -: none),
//                                      from and to (0: unknown or none), cause
//     unproven binance:OLDUSDT 812 1795…
//                                      no longer listed by its exchange: proven to id and time;
//                                      what was traded behind that cannot be known
//     xxh3 0123456789abcdef            of all bytes before this line
//
// The lines from `rows` on, without the last, are the content: what is compared. Replaced as a
// whole: written beside, synced, renamed, the directory synced.
//
// Pure: text in memory. Threading: one owner.
#ifndef RINGTAPE_FORMAT_DAY_H
#define RINGTAPE_FORMAT_DAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/ledger_whole.h"

#define DAY_GRACE_NS 60000000000ll
enum {
    DAY_WHY_BYTES = 160,
    DAY_NAME_BYTES_MAX = 64,        // of "2026-11-27-trade"
    DAY_MARKER_BYTES_MAX = 1 << 30, // LEDGER_WHOLE_NOTES_MAX lines and more
};

// What is known of a day now; the caller's.
struct day_state {
    int32_t day;
    int64_t now_ns;
    uint64_t rows[CHANNEL_COUNT]; // in segments
    uint32_t on_tape;             // bit c: a row of channel c may lie on a tape
    const struct ledger_whole *ledger;
};

struct day_channel {
    bool used;               // has rows or symbols
    char why[DAY_WHY_BYTES]; // not closed; "": it is
    uint64_t open;           // holes that reach into the day
    uint64_t lost;
    uint64_t unproven;
};

struct day_marker {
    uint64_t generation; // 0: there is none
    int64_t closed_ns;
    int64_t changed_ns;
    uint64_t rows;
    uint64_t open;
    uint64_t lost;
    uint64_t unproven;
};

static inline int64_t day_end_ns(int32_t day)
{
    return ((int64_t)day + 1) * 86400 * 1000000000;
}

static inline bool day_over(int32_t day, int64_t now_ns)
{
    return now_ns >= day_end_ns(day) + DAY_GRACE_NS;
}

void day_judge(const struct day_state *state, struct day_channel channels[CHANNEL_COUNT]);

// "2026-11-27-trade".
void day_marker_name(int32_t day, enum channel channel, char out[DAY_NAME_BYTES_MAX]);
// The content of a day's marker as it should be, ended by zero, for free(). NULL: no memory.
char *day_content(const struct day_state *state, enum channel channel, size_t *size);
// Fills `marker` and gives its content, which lies in `text`. NULL: damaged.
const char *day_marker_parse(const char *text, size_t size, struct day_marker *marker,
                             size_t *content_size);
// The marker (zero: there was none) becomes one of this content: the text, for free(). NULL: no
// memory.
char *day_marker_next(struct day_marker *marker, const char *content, int64_t now_ns,
                      size_t *size);

#endif
