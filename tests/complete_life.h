// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life: a recorder (store, ledger, one shard) in front of a market_peer, in one simulated
// world; run, crashed, started again; and at the end its store against the peer's truth. For tests.
#ifndef RINGTAPE_TESTS_COMPLETE_LIFE_H
#define RINGTAPE_TESTS_COMPLETE_LIFE_H

#include <setjmp.h>

#include "capture/shard.h"
#include "complete_life_alerts.h"
#include "complete_life_keep.h"
#include "complete_life_rows.h"
#include "format/segment.h"
#include "io_sim.h"
#include "keep/sealer.h"
#include "market_peer.h"

enum { LIFE_SHARDS_MAX = 2 };
// The exchange's name and its addresses; the last one is gone at first, and never in answers.
#define LIFE_HOST "exchange.example"
#define LIFE_HOST_ALIAS "exchange.alias" // the same addresses
#define LIFE_ADDRESSES {"127.0.0.1", "127.0.0.2", "127.0.0.3"}

struct scripted_broker;

struct life {
    struct sim_world *world;
    struct io *peer_io;
    struct market_peer *peer;
    struct io *store_io;
    struct io_op control_tick; // on store_io: news of the store are posted, as control does it
    bool controls;             // the tick goes on
    struct io *io; // of the first shard
    struct keep_store *store;
    struct shard *shard; // the first
    uint32_t shards;     // of the next start; 0: one
    uint32_t connects;   // that a start permits each 20 s; 0: more than it needs
    struct io *other_io[LIFE_SHARDS_MAX - 1];
    struct shard *other[LIFE_SHARDS_MAX - 1];
    struct scripted_broker *broker; // trades are mirrored to it; NULL: they are not
    struct life_mirror *mirror;     // of this life
    bool guarded; // what is not mirrored stays, as in the daemon; else the mirror reads segments
    bool named;                     // the exchange is known by a name with two addresses
    bool alias;                     // ... by its other name
    uint32_t feed_id;               // of the feed that was given last
    struct log log;
    struct permits permits;
    struct audit_board board;
    struct recall recall;
    bool recalled; // it is open
    enum sim_crash start_crash; // what a crash in a start is
    bool crashed; // in a start: sim_world_crash() is done
    bool may_refuse; // a start may find that something cannot be read: then it has changed nothing
    bool refused;    // the last one did
    jmp_buf escape; // from a start that crashes
    jmp_buf *stops_short; // where life_run() goes when the machine stands still; NULL: it returns
    uint32_t redundancy;
    bool seals;          // with a sealer, as the daemon has one
    int64_t tape_age_ns; // 0: as the writer has it
    struct io *sealer_io;
    struct sealer *sealer;
    bool upbit; // set before life_start()
    bool tls;   // ... with market_tls_begin(): wss and https
    struct life_keep *keep; // trades are deleted; NULL: nothing is
    uint64_t rots; // sectors that became something else for good; some rows may be lost by them
    int64_t commit_ns;  // commit_interval; 0: as by default
    bool candles_empty; // of minutes without trades, too; of one life
    int64_t candles_late_ns; // so long the shards record before what candles begin with is read
    uint64_t copies; // of lives that are over
    int64_t end_ns;  // when the last one was stopped
    int64_t starts_ns[LIFE_STARTS_MAX]; // of each
    uint32_t start_count;
    struct life_rows rows; // of each start's sitting
    int64_t live_from_ns; // UTC: what trades from then on must come by a link; 0: not judged
};

struct life_result {
    uint64_t stored; // trades
    uint64_t duplicated;
    uint64_t missing;  // truth less stored less listed as open or lost
    uint64_t rows_missing; // at least, where there are missing or stale ones: theirs, and one for a
                           // run that REST did not give, resp. that are stale
    uint64_t listed;   // open or lost
    uint64_t given_up; // of the lost: which the exchange would have told, had it been asked thrice
    uint64_t not_live; // of the trades from live_from_ns on: that no link brought
    uint64_t books_short; // that do not reach the last update
    uint64_t wrong;    // listed as missing though stored, or not as sent
    uint64_t stale;    // of these: whose listing was not taken back; symbols that seem gone
    uint64_t depth;    // rows applied to a book
    uint64_t depth_twice;   // rows that end where another one does
    uint64_t depth_wrong;   // books that differ from the truth where coverage claims them
    uint64_t depth_unlisted; // ids without cover that no row lists
    uint64_t candles;        // rows
    uint64_t candles_wrong;  // that are not what the stored trades add up to, or missing
    uint64_t alerts;         // rows
    uint64_t alerts_wrong;   // that the stored trades do not raise again, or missing
    uint64_t rows_lost;      // of any channel, that were durable once
    uint64_t unreadable;     // rows of any channel in blocks of segments that rotted
};

// The peer's number of a segment's symbol, which stands behind `prefix` bytes of its name.
uint32_t life_symbol(const struct segment *segment, uint32_t number, uint32_t prefix);
struct life_result life_judge_upbit(struct life *life);
struct life *life_create(uint64_t seed, uint32_t redundancy, int64_t pause_ns);
// Opens store and shard, gives the feed. False: the start was refused, or the machine crashed, and
// life_crash() is due.
bool life_start(struct life *life);
void life_run(struct life *life, int64_t for_ns);
// The configuration says another name of the exchange: a new feed takes over.
void life_reload(struct life *life);
// SHARD_STOP, and its end.
void life_stop(struct life *life);
// The machine loses power, or the process is killed; what was the shard is leaked.
void life_crash(struct life *life, enum sim_crash kind);
// Between lives: all tapes become segments.
void life_seal(struct life *life);
// After life_stop(): the store against the truth.
struct life_result life_judge(struct life *life);
void life_destroy(struct life *life);

// ---- complete_life_mirror.c: for complete_life.c alone ----

struct tape_feed *life_mirror_feed(const struct life *life, uint32_t shard); // NULL: no mirror
bool life_mirror_start(struct life *life); // before the shards, with a broker
void life_mirror_stop(struct life *life);
void life_mirror_crash(struct life *life);
void life_mirror_lost(struct life *life); // the producer's loop went with the others
// What was refused is sent again, as `ringtape mirror retry` asks for it.
void life_mirror_retry(struct life *life);
// All is delivered that is durable, and no letter is kept.
bool life_mirror_idle(const struct life *life);

#endif
