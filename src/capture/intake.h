// SPDX-License-Identifier: GPL-3.0-or-later
//
// intake: from a whole WebSocket message to rows: dialect → stamps → arbiter → the shard's batch.
//
// One per shard. It owns the one event, the room for price levels and the counts of unknown keys;
// it stamps receive time, link and flags; it bounds what unknown keys may add to the raw channel;
// it writes the status rows of its shard. The receive time never goes back within a shard.
//
// Every event passes the arbiter, so that copies of a subscription (redundancy, a renewal's
// overlap) are stored once, and holes are found and told in status rows.
//
// Threading: core-local.
#ifndef RINGTAPE_CAPTURE_INTAKE_H
#define RINGTAPE_CAPTURE_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/symbols.h"
#include "capture/arbiter.h"
#include "exchange/dialect.h"
#include "format/event.h"
#include "format/statistics_page.h"

// Where the rows go: tape_writer_append() in the daemon. False: refused (and counted there).
typedef bool intake_sink(void *context, const struct event *event);

struct intake_counters {
    uint64_t messages; // WebSocket messages with data
    uint64_t bytes;    // of their payload
    uint64_t events;   // rows handed on
    uint64_t refused;  // rows the sink did not take
    uint64_t raw;      // rows of the raw channel among the events
    uint64_t unknown;  // messages with a key never seen before
    uint64_t repaired; // rows by REST among the events
    uint64_t holes_opened;
    uint64_t holes_lost;
};

enum { INTAKE_TIMED_MESSAGES = 8 }; // of one in so many the way from the exchange is measured

struct intake_unknown { // one (exchange, message, key)
    uint64_t hash;  // 0: free
    uint64_t count;
};

// Where a message came from.
struct intake_source {
    const struct dialect *dialect;
    const struct dialect_context *context;
    uint32_t link;
    bool keep_raw;
    struct arbiter_link *arbiter; // the link's; NULL: everything is taken as new
};

// How long events of an exchange's trades are on their way, at least, since last looked at.
struct intake_lag {
    int64_t least_ns;
    uint64_t events;  // 0: none since
    bool off;         // the owner's: it has told
    bool told_known;  // the owner's: least_ns of the last window, once there was one
    int64_t told_ns;
    const char *name; // of the exchange
};

struct intake {
    intake_sink *sink;
    void *sink_context;
    const struct log *log;
    int64_t last_ns; // receive time of the last row
    int64_t utc_offset_ns; // UTC minus monotonic time; kept up to date by the owner
    struct arbiter arbiter;
    struct intake_lag lags[SYMBOL_EXCHANGES_MAX]; // by the table's number of the exchange
    struct intake_counters counters;
    struct statistics_exchange *exchanges; // [STATISTICS_EXCHANGES_MAX]: what came of each
    const struct symbols *symbols; // whose row is whose; NULL (as opened): all are nobody's
    struct event event;
    struct event released; // one that the arbiter held
    struct dialect_frame frame;
    struct event_level *levels;          // EVENT_LEVELS_MAX
    struct intake_unknown *unknown;      // LIMIT_UNKNOWN_KEYS, open addressing
    uint32_t unknown_count;
};

// 0 or -ENOMEM.
int intake_open(struct intake *intake, intake_sink *sink, void *sink_context,
                const struct log *log);
void intake_close(struct intake *intake);

// Stores what the message holds. The frame it returns tells what it was (kind, reply) and is valid
// until the next call; `bytes` have DIALECT_FRAME_PADDING readable bytes behind them.
const struct dialect_frame *intake_message(struct intake *intake,
                                           const struct intake_source *source,
                                           const uint8_t *bytes, uint32_t size,
                                           int64_t received_ns);

// A status row. `count` and `symbol` are left out where they are INTAKE_NO_COUNT and SYMBOL_NONE.
#define INTAKE_NO_COUNT INT64_MIN
struct intake_status {
    enum status_kind kind;
    uint32_t link; // INTAKE_NO_LINK: of the shard or the daemon
    uint32_t symbol;
    int64_t count;
    const char *detail;
    const struct intake_range *range; // NULL: none
};
// What a status row about a hole or an interval means.
struct intake_range {
    enum channel channel;
    int64_t first; // COVERAGE_NONE: no ids
    int64_t last;
    int64_t from_ns; // 0: unknown
    int64_t to_ns;
};
#define INTAKE_NO_LINK 0xffffffffu
void intake_status(struct intake *intake, int64_t now_ns, const struct intake_status *status);

// An event by REST, flagged by the caller: judged, stamped and handed on. True: it was stored.
bool intake_repaired(struct intake *intake, struct event *event, int64_t now_ns);
struct arbiter_now intake_now(const struct intake *intake);

// An event made elsewhere (instrument rows): stamped and handed on. False: refused.
bool intake_event(struct intake *intake, struct event *event, int64_t now_ns, uint32_t link);

#endif
