// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_source: when which event is sent.
//
// Events come from a reel of recordings or from a made-up market. Each has an intended time of
// sending that never depends on how fast clients read: late events keep theirs, so that latencies
// measured from it omit nothing. With EXCHANGE_SIM_PACE_CLIENT the next event is sent as soon as
// every subscriber has room; its intended time is then the time it was made.
//
// The made-up market, where it is wanted whole, goes on whether or not anybody is subscribed; its
// last events are those of all books that have changed since their last depth message. Otherwise an
// event that nobody is subscribed to is passed over and takes no place in the schedule (recorded
// pace: its time passes); while nobody is subscribed to anything no event is made, and the schedule
// goes on from there.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_SOURCE_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_hub.h"
#include "tools/exchange_sim_market.h"
#include "tools/exchange_sim_reel.h"

enum exchange_sim_pace {
    EXCHANGE_SIM_PACE_RECORDED, // times `speed`
    EXCHANGE_SIM_PACE_RATE,     // events a second
    EXCHANGE_SIM_PACE_CLIENT,   // as fast as clients read
};

struct exchange_sim_source_options {
    enum exchange_sim_pace pace;
    int64_t speed_thousandths; // 1,000 is as recorded
    int64_t rate;
    int64_t messages_max; // 0: no end
    int64_t duration_ns;  // 0: no end
    uint32_t laps;        // of the reel; 0: for ever
    const char *channels; // of the market: "trade,depth"; NULL: all
    bool injected;        // the market is told what to do: that goes into the truth
};

struct exchange_sim_source {
    struct exchange_sim_source_options options;
    struct exchange_sim_hub *hub;
    struct exchange_sim_reel *reel;     // or
    struct exchange_sim_market *market; // one of them
    uint32_t *market_streams;           // [symbol * MARKET_KINDS + kind]
    bool started;
    bool ended;
    bool finished;
    const char *end_reason;
    int64_t start_monotonic_ns;
    int64_t start_utc_ns;
    int64_t scheduled; // events so far that had subscribers
    int64_t burst_ns;  // due time that the current burst shares
    bool idle;         // nobody is subscribed to anything, since idle_from_ns (monotonic)
    int64_t idle_from_ns;
    int64_t idle_ns; // so long in all, before: it is no part of the schedule
    int64_t late_ns_max;
    uint64_t blocked; // times that a client had no room
    // The event at hand, until it is sent.
    bool holding;
    struct exchange_sim_event event;
    struct exchange_sim_market_event market_event;
    uint8_t *rendered[EXCHANGE_SIM_UNITS];
    uint32_t index; // in the reel
    uint32_t lap;
    int64_t recorded_ns; // from the reel's beginning, long silences cut
};

// Exactly one of reel and market. False when out of memory.
bool exchange_sim_source_open(struct exchange_sim_source *source,
                              const struct exchange_sim_source_options *options,
                              struct exchange_sim_hub *hub, struct exchange_sim_reel *reel,
                              struct exchange_sim_market *market);
void exchange_sim_source_close(struct exchange_sim_source *source);
void exchange_sim_source_start(struct exchange_sim_source *source, int64_t monotonic_ns,
                               int64_t utc_ns);
// Publishes what is due, at most `most` events. Returns ns until the next is due, 0 where more can
// be published at once, -1 where a client must read first or all has ended.
int64_t exchange_sim_source_pump(struct exchange_sim_source *source, int64_t monotonic_ns,
                                 uint32_t most);
// Sends what is in hand and what is left of a whole market, at once. Also done by itself when all
// is sent; not twice.
void exchange_sim_source_finish(struct exchange_sim_source *source, int64_t monotonic_ns);
// Where in the market the stream is, for snapshots: false where it is none of it.
bool exchange_sim_source_locate(const struct exchange_sim_source *source, uint32_t stream,
                                uint32_t *symbol, enum exchange_sim_market_kind *kind);

#endif
