// SPDX-License-Identifier: GPL-3.0-or-later
//
// control: the daemon put together: store, shards and sealer on their threads, feeds given to the
// shards, reload, counters, stop. Runs on the main thread, on a loop of its own.
//
// Start: loop, store (lock), permits, shards and sealer, feeds. Stop: shards close their links and
// make everything durable, then the sealer ends its step; 3 s at most. Reload: feeds that stayed
// the same are left alone; a changed one is connected anew before the old one ends.
#ifndef RINGTAPE_CONTROL_CONTROL_H
#define RINGTAPE_CONTROL_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/permits.h"
#include "capture/audit_board.h"
#include "capture/rest.h"
#include "capture/shard.h"
#include "control/config.h"
#include "control/control_export.h"
#include "control/control_kafka.h"
#include "control/control_report.h"
#include "control/control_sinks.h"
#include "control/control_statistics.h"
#include "control/notify.h"
#include "control/signals.h"
#include "control/worker.h"
#include "keep/keep_store.h"
#include "keep/sealer.h"

#define CONTROL_TICK_NS (100 * LIMIT_MILLISECOND_NS)
#define CONTROL_NEWS_NS (2 * LIMIT_SECOND_NS) // a damaged tape waits until that is told
#define CONTROL_STOP_NS (2900 * LIMIT_MILLISECOND_NS) // then the process ends, ready or not

// A feed as it was last given to the shards, and what is still to be asked for it.
struct control_feed {
    bool used;
    bool dropped;    // no longer configured, but its request is still under way
    uint32_t id;     // what the shards call it; 0: not given yet
    uint32_t old_id; // what it replaces when it is given; 0: nothing
    bool same_links; // ... and differs from by its symbols alone
    struct config_feed config;   // owns its symbols
    struct plan_symbol *symbols; // as given: listed, or those that trade
    uint32_t symbol_count;
    bool asking;          // instruments are wanted
    int64_t ask_after_ns; // monotonic
    uint32_t ask_failures;
};

struct control_shard {
    struct io *io;
    struct shard *shard;
    struct worker worker;
    bool durable; // at its end
};

struct control_sealer {
    struct io *io;
    struct io *candles_io; // before anything is sealed: what candles begin with is read
    struct recall *recall;
    struct keep_store *store;
    const struct log *log;
    struct sealer *sealer;
    struct worker worker;
    atomic_bool stop;
    bool stopping;
    bool stopped;
    struct sealer_counters published; // word by word
};

struct control {
    struct config config;
    const char *config_path;
    const char *commit; // of the build
    int64_t counters_every_ns;
    int64_t counters_after_ns;
    struct notify_watchdog watchdog;
    struct log log;
    struct log_limiter log_limiter;
    struct io *io;
    struct keep_store *store;
    struct recall recall;
    bool recalled;
    struct permits permits;
    struct audit_board board;
    uint64_t permits_saved;
    struct signals signals;
    struct control_shard shards[LIMIT_SHARDS];
    uint32_t shard_count;
    struct control_sealer sealer;
    struct control_kafka kafka;
    struct control_sinks sinks;
    struct control_export export;
    struct control_report report;
    struct control_statistics statistics;
    struct control_feed feeds[LIMIT_FEEDS];
    uint32_t feed_id; // of the next feed
    uint64_t feeds_failed; // not given to the shards at all
    struct rest rest;
    struct tls_context *rest_tls;
    struct control_feed *asked; // whose instruments are on their way; NULL: nobody's
    bool asking_stopped;
    struct io_op tick;
};

// Runs until a signal says stop; returns the exit code. `control->config`, `config_path`, `commit`
// and `counters_every_ns` are set by the caller; the rest is zero.
int control_run(struct control *control);

// What a good configuration may still be wrong about: files that cannot be read, too few links.
// True: nothing; else `text` says what.
bool control_config_possible(const struct config *config, char *text, size_t text_size);

// ---- control_counters.c: for control.c only ----

// One line of counters to standard output.
void control_print(struct control *control);

// ---- control_feeds.c: for control.c only ----

// Takes over the feeds of `config` (empties it): keeps equal ones, replaces, adds and removes
// others.
void control_feeds_apply(struct control *control, struct config *config);
// Asks for instruments that are wanted, one request at a time.
void control_feeds_tick(struct control *control);
// Feeds that are not given to the shards yet.
uint32_t control_feeds_waiting(const struct control *control);
// True once no request is under way; asks for none any more.
bool control_feeds_stop(struct control *control);
void control_feeds_free(struct control *control);

#endif
