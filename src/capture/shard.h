// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard: its links, its symbols, its tape, on one loop. A state machine over io.h without a thread
// of its own: control pins one thread per shard and calls io_run() there; the simulator
// interleaves the loops of all shards by its seed.
//
// Commands come from another thread by shard_post() (one producer) or, on the loop's own thread,
// through the same call. Counters may be read from anywhere.
//
// Memory: buffers, tables and link slots are allocated in shard_open(); a link's TLS state when a
// feed is added, never between events.
#ifndef RINGTAPE_CAPTURE_SHARD_H
#define RINGTAPE_CAPTURE_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/permits.h"
#include "base/statistics.h"
#include "capture/audit_board.h"
#include "capture/plan.h"
#include "capture/recall.h"
#include "capture/shard_derive.h"
#include "io/io.h"
#include "keep/keep_store.h"
#include "keep/tape_feed.h"

struct shard;

// Single symbols whose events are told apart.
struct shard_symbols {
    uint32_t count;
    char name[STATISTICS_SYMBOLS_MAX][SYMBOL_NAME_BYTES_MAX + 1]; // "binance:BTCUSDT"
};

struct shard_options {
    uint32_t index;
    const struct log *log;
    struct permits *permits; // with a kind for each dialect, by its name
    struct audit_board *board; // of all shards; NULL: this one asks for itself
    struct keep_store *store;
    const struct recall *recall; // what is covered already; NULL: nothing, and no ledger is kept
    int64_t commit_interval_ns;
    int64_t tape_bytes;
    int64_t tape_age_ns;
    struct shard_derive_options derive;
    struct tape_feed *feed; // gets each batch that is durable; NULL: nobody wants them
    struct statistics_shard *statistics; // a section to publish figures in; NULL: nobody reads them
    const struct shard_symbols *symbols; // with figures of their own; NULL: none
};

// A feed's share with what its links need besides. Given to the shard with all it points to.
struct shard_feed {
    uint32_t id;       // of the feed, never used again by another one
    uint32_t replaces; // feed that ends when this one is live; 0: none
    bool same_links;   // as the one it replaces but for the symbols: its links are changed
    struct plan_share *share;
    struct url url;
    struct tls_context *tls; // NULL for ws://. Loading trust takes 30 ms: not on a shard's thread
    struct url rest_url;  // host "": holes are not repaired
    struct tls_context *rest_tls; // NULL for http://
    uint32_t rest_weight; // of requests in the exchange's window; 0: four fifths of its limit
    bool keep_raw;
};

// One that no shard has taken; NULL does nothing.
void shard_feed_destroy(struct shard_feed *feed);

enum shard_command_kind {
    SHARD_FEED_ADD,
    SHARD_FEED_REMOVE,
    SHARD_INSTRUMENTS, // the reply to instruments_path: rows of the instrument channel
    SHARD_STATUS,      // a status row of the daemon (started, configured, news of the store)
    SHARD_ALERTS,      // other rules; their state begins anew
    SHARD_ROLL,        // end the tape, so that it can be sealed now
    SHARD_STOP,        // close the links, make all durable, end
};

struct shard_command {
    enum shard_command_kind kind;
    struct shard_feed *feed;       // FEED_ADD
    uint32_t feed_id;              // FEED_REMOVE
    const struct dialect *dialect; // INSTRUMENTS
    uint8_t *body;                 // INSTRUMENTS: malloc'ed; given to the shard
    uint32_t body_size;
    struct alert_rules *alerts;    // ALERTS: malloc'ed; given to the shard
    enum status_kind status;       // STATUS
    char detail[KEEP_NEWS_BYTES];  // STATUS
    uint64_t news;                 // STATUS: of the store, settled once durable; 0: it is not
};

struct shard_counters {
    uint64_t messages;
    uint64_t bytes;
    uint64_t events;
    uint64_t raw;
    uint64_t refused; // rows lost because the tape could not be written
    uint64_t paused;  // rows of channels that pause on a full disk
    uint64_t durable; // rows
    uint64_t tape_bytes;
    uint64_t tapes; // begun
    uint64_t connects;
    uint64_t downs;
    uint64_t links;
    uint64_t links_live;
    uint64_t symbols;
    uint64_t feeds_failed; // feeds whose links could not be made (see the log)
    uint64_t copies;       // events that were stored before
    uint64_t repaired;     // rows that came by REST
    uint64_t holes_open;   // now
    uint64_t holes_opened;
    uint64_t holes_lost;
    uint64_t mutes;        // links that stood and brought nothing
    uint64_t clock_alarms; // exchanges whose clock and ours disagree, now
    uint64_t rest_requests;
    uint64_t rest_connections; // the requests were made on
    uint64_t rest_failures;
    uint64_t audits;
    uint64_t snapshots;
    uint64_t candles;        // rows
    uint64_t candles_late;   // trades that came too late for any
    uint64_t alerts;         // raised
};

// 0 or -ENOMEM, or what tape_writer_open() says.
int shard_open(struct shard **shard, struct io *io, const struct shard_options *options);
// Any thread, one at a time. False: the queue is full, try again later.
bool shard_post(struct shard *shard, const struct shard_command *command);
// Posts what the store's sealer met, in order, as long as few are not durable yet and the queue has
// room. The thread that posts.
void shard_post_news(struct shard *shard, struct keep_store *store);
// Everything has ended after SHARD_STOP; `durable`: nothing that arrived was lost on the way to
// disk.
bool shard_stopped(const struct shard *shard, bool *durable);
// Runs the loop until it has stopped. The loop's thread.
void shard_run(struct shard *shard);
// After it has stopped.
void shard_close(struct shard *shard);
// Any thread; refreshed ten times a second.
struct shard_counters shard_counters(const struct shard *shard);

#endif
