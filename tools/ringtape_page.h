// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_page: the statistics page of a store's daemon (format/statistics_page.h) as `status` and
// `top` see it: does the daemon run, and how fast does what rises rise between two pages.
//
// Threading: main thread. Pages are malloc'ed, the caller's to free.
#ifndef RINGTAPE_TOOLS_RINGTAPE_PAGE_H
#define RINGTAPE_TOOLS_RINGTAPE_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "format/statistics_page.h"

enum ringtape_page_state {
    RINGTAPE_PAGE_STARTING,
    RINGTAPE_PAGE_RUNNING,
    RINGTAPE_PAGE_STOPPING,
    RINGTAPE_PAGE_STALE, // the daemon is there and has written no page for a while
    RINGTAPE_PAGE_ENDED, // in order
    RINGTAPE_PAGE_DIED,  // without an end: killed, or the machine went down
};

// NULL: there is none; *exit_code is set and a line on standard error says why.
struct statistics_page *ringtape_page_load(const char *store, int *exit_code);
enum ringtape_page_state ringtape_page_state(const char *store, const struct statistics_page *page,
                                             int64_t now_ns);
const char *ringtape_page_state_text(enum ringtape_page_state state);

// What is not as it should be, a line each; 0: nothing. `text` may be NULL.
uint32_t ringtape_page_troubles(const struct statistics_page *page, char *text, size_t text_size);

// All shards added up; gauges of times as the worst.
struct ringtape_page_sum {
    uint64_t messages, bytes, events, durable, raw, refused, paused, repaired, copies;
    uint64_t links, links_live, sets, sets_dark, unknown_keys;
    uint64_t holes_open, holes_opened, holes_repaired, holes_lost;
    uint64_t alerts, candles, lag_rows, lag_bytes, overflows, no_buffers, failures;
    int64_t lag_ns;
    uint32_t exchange_count;
    struct statistics_exchange exchange[STATISTICS_EXCHANGES_MAX * 2];
    struct histogram decode;
    struct histogram commit;
};
void ringtape_page_sum(const struct statistics_page *page, struct ringtape_page_sum *sum);

// Rate a second between two counts `over_ns` apart; 0 where it fell (another daemon).
uint64_t ringtape_page_rate(uint64_t before, uint64_t now, int64_t over_ns);

enum { RINGTAPE_PAGE_TIME_BYTES = 24 };
// "1.25 ms", "3 s", "2 h 5 min"; "-" for a negative duration
const char *ringtape_page_time(char out[RINGTAPE_PAGE_TIME_BYTES], int64_t ns);

#endif
