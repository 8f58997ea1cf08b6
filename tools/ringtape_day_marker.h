// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_day_marker: what is durable of a closed day of a channel: how many rows it has, which
// holes were left in it, and how often that has changed since. Text, one file a day and channel,
// STORE/day/2026-11-27-trade:
//
//     ringtape-day 1 0
//     generation 2                     1 when the day was closed, +1 with each later change
//     closed 1795824065000000000       when it was, ns UTC
//     changed 1795830000000000000      since when it has this generation
//     rows 1234567                     in segments
//     hole open binance:BTCUSDT 4 9 1795… 1795… skipped by a live link
//                                      open or lost, symbol, first and last id (- -: none),
//                                      from and to (0: unknown or none), cause
//     xxh3 0123456789abcdef            of all bytes before this line
//
// Replaced as a whole: written beside, synced, renamed, the directory synced. Whoever writes holds
// a lock on STORE/day, so that of several at a time one counts the generation.
#ifndef RINGTAPE_TOOLS_RINGTAPE_DAY_MARKER_H
#define RINGTAPE_TOOLS_RINGTAPE_DAY_MARKER_H

#include "format/store.h"
#include "tools/ringtape_ledger.h"

// What a day of a channel is like now.
struct ringtape_day_state {
    int32_t day;
    enum channel channel;
    uint64_t rows;
    const struct ringtape_ledger *ledger; // its holes
};

struct ringtape_day_marker {
    uint64_t generation; // 0: there is none
    int64_t closed_ns;
    int64_t changed_ns;
    uint64_t rows;
    uint64_t open;
    uint64_t lost;
};

// Does a hole reach into the day?
bool ringtape_day_has(int32_t day, const struct ringtape_ledger_note *note);
// Reads the marker. 0 or an exit code (told): a damaged one is an error.
int ringtape_day_marker_read(const struct store *store, const struct ringtape_day_state *state,
                             struct ringtape_day_marker *marker);
// The day is closed as `state` says: writes the marker where it does not say so already. 0 or an
// exit code (told).
int ringtape_day_marker_write(const struct store *store, const struct ringtape_day_state *state,
                              int64_t now_ns, struct ringtape_day_marker *marker);

#endif
