// SPDX-License-Identifier: Apache-2.0
//
// statistics_page: what a running daemon tells of itself, in STORE/run/statistics, for `ringtape
// status`, `ringtape top` and whoever else reads it. docs/metrics.md tells the meaning of each
// figure.
//
//     slot 0 │ slot 1              of equal size: statistics_page_bytes(shards)
//     slot:  head │ daemon │ mirror │ shard 0 │ shard 1 ...
//
// The daemon writes the slots in turn, twice a second, and never syncs them. A slot counts when its
// hash is right; the one with the higher sequence is the newer. So a reader takes no lock, is never
// waited for, and finds a whole page however the daemon ended: its last one.
//
// Nothing here is part of the store's data; the file may be deleted at any time. All numbers are
// little-endian; counters count since the daemon's start. Another layout has another
// STATISTICS_VERSION, and readers refuse it.
//
// Threading: the functions are pure but for statistics_page_load(), which reads a file.
#ifndef RINGTAPE_FORMAT_STATISTICS_PAGE_H
#define RINGTAPE_FORMAT_STATISTICS_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/event.h"
#include "format/histogram.h"

enum {
    STATISTICS_VERSION = 1,
    STATISTICS_SHARDS_MAX = 64,
    STATISTICS_LINKS_MAX = 256,    // of a shard; what is beyond is counted only
    STATISTICS_EXCHANGES_MAX = 8,  // of a shard; the last one has rows of no exchange
    STATISTICS_OWN = STATISTICS_EXCHANGES_MAX - 1,
    STATISTICS_CHANNELS = 16,      // by enum channel; those from CHANNEL_COUNT on are 0
    STATISTICS_THREADS_MAX = 80,
    STATISTICS_SYMBOLS_MAX = 64,   // of a shard: single symbols, where asked for
    STATISTICS_NAME_BYTES = 32,    // with the final 0
};
#define STATISTICS_MAGIC "RTSTAT\r\n"
// A page is as old as this at most while the daemon runs and its disk answers.
#define STATISTICS_FRESH_NS (5ll * 1000000000)

struct statistics_head {
    char magic[8];
    uint32_t version;
    uint32_t shards;
    uint64_t bytes;    // of a slot
    uint64_t hash;     // XXH3-64 of the rest of the slot
    uint64_t sequence; // of the writing, from 1
    int64_t time_ns;   // UTC when it was written
    int64_t monotonic_ns; // the same, CLOCK_MONOTONIC: what other monotonic times compare with
    uint64_t reserved;
};
_Static_assert(sizeof(struct statistics_head) == 64, "one cache line");

enum statistics_state {
    STATISTICS_STARTING = 0,
    STATISTICS_RUNNING = 1,
    STATISTICS_STOPPING = 2,
    STATISTICS_ENDED = 3, // by a signal, in order
};

struct statistics_thread {
    char name[16];
    uint64_t cpu_ns;
};

// What concerns the daemon as a whole.
struct statistics_daemon {
    uint64_t turn;          // private to the writer's process
    uint64_t state;         // enum statistics_state
    uint64_t pid;
    uint64_t pid_namespace; // inode of /proc/self/ns/pid
    int64_t start_ns;       // UTC
    uint64_t config_hash;   // XXH3-64 of the configuration as read last
    uint64_t reloads;
    uint64_t reloads_failed;
    uint64_t feeds;         // configured
    uint64_t feeds_waiting; // of them: not given to the shards, their symbols are asked for
    uint64_t feeds_failed;
    uint64_t rss_bytes;
    uint64_t disk_total_bytes; // of the store's file system
    uint64_t disk_free_bytes;  // for the daemon
    uint64_t disk_reserve_bytes;
    uint64_t disk_low;         // 1: below the reserve
    uint64_t paused;           // bit c: channel c is not recorded
    uint64_t tapes_waiting;    // for the sealer
    // Of the sealer.
    uint64_t tapes_sealed;
    uint64_t tapes_damaged;
    uint64_t tapes_kept;
    uint64_t rows_sealed;
    uint64_t segments;
    uint64_t segments_light;
    uint64_t segments_deleted;
    uint64_t merges;
    uint64_t tape_bytes_sealed;
    uint64_t segment_bytes;
    uint64_t days_marked;
    uint64_t seal_failures;
    uint64_t seal_waiting_ns; // since when tapes wait without one being sealed
    uint64_t http_requests;
    uint64_t thread_count;
    uint64_t reserved[8];
    char version[STATISTICS_NAME_BYTES];
    char commit[STATISTICS_NAME_BYTES];
    char tls[64];
    struct statistics_thread threads[STATISTICS_THREADS_MAX];
};

// Alerts to one receiver.
struct statistics_sink {
    uint64_t turn; // private to the writer's process
    uint64_t on;
    uint64_t offered;
    uint64_t sent;
    uint64_t failed;  // refused for good, or not taken in time
    uint64_t dropped; // the queue was full
    struct histogram latency; // receipt of the trade that raised it → confirmed
};

enum { STATISTICS_SINK_KAFKA, STATISTICS_SINK_WEBHOOK, STATISTICS_SINK_COMMAND, STATISTICS_SINKS };

struct statistics_topic {
    uint64_t on;
    uint64_t delivered; // ever, over restarts
    uint64_t refused;
    uint64_t lag_rows;  // durable, of all channels, and not past this topic's cursor
    uint64_t lag_bytes; // of their batches, about
    int64_t lag_ns;     // since when the oldest of them is durable
    uint64_t lag_tapes; // of earlier lives, beside
    uint64_t stuck;     // 1: waits for Kafka for a second
};

struct statistics_mirror {
    uint64_t turn; // private to the writer's process
    uint64_t on;
    int64_t heartbeat_ns; // monotonic
    uint64_t sent;
    uint64_t delivered;
    uint64_t refused;
    uint64_t letters; // refused messages that are kept
    uint64_t from_memory; // batches
    uint64_t from_tape;
    uint64_t from_segments;
    uint64_t restarts;
    uint64_t rows_lost;
    uint64_t in_flight;
    uint64_t behind;
    uint64_t reserved[2];
    struct statistics_topic topics[STATISTICS_CHANNELS]; // 0: whole batches
    struct histogram latency; // durable → every message of the batch confirmed
};

// Of an exchange and channel.
struct statistics_channel {
    uint64_t events;     // rows taken, repaired ones and those made here among them
    uint64_t duplicates; // events that were stored before
    uint64_t repaired;   // rows that came by REST
    uint64_t refused;    // rows that were not taken: paused, or the tape cannot be written
    uint64_t holes_opened;
    uint64_t holes_repaired;
    uint64_t holes_lost;
    uint64_t holes_open; // now; the suspected ones too
};

struct statistics_exchange {
    char name[STATISTICS_NAME_BYTES]; // "": not used
    uint64_t unknown_keys;      // messages with a key never seen before
    uint64_t clock_known;       // 1: clock_offset_ns was measured
    int64_t clock_offset_ns;    // least way from event to receipt of the last 10 s
    uint64_t clock_off;         // 1: alarm
    struct statistics_channel channels[STATISTICS_CHANNELS];
    struct histogram wire;      // event time of the exchange → receipt
};

// As enum link_state of src/capture/link.h, in words by statistics_link_state().
struct statistics_link {
    uint32_t number; // as in the rows
    uint8_t state;
    uint8_t exchange; // of exchanges[]
    uint8_t copy;
    uint8_t retired;
    uint32_t streams;
    uint32_t feed; // as numbered by the daemon
    uint64_t messages;
    uint64_t bytes;
    uint64_t lives; // times it went live
    uint64_t downs;
    uint64_t first;  // events it brought before its siblings
    uint64_t second; // and behind them
    uint64_t lost;   // ids of sequences it left out while live
    int64_t message_ns; // UTC: receipt of its last message; 0: none
    int64_t live_ns;    // monotonic: since when it is live; 0: it is not
    char address[48];
};
_Static_assert(sizeof(struct statistics_link) == 136, "words in a row");

// One symbol of those that were asked for, on the shard that has it.
struct statistics_symbol {
    char name[64]; // "binance:BTCUSDT"
    uint64_t events[STATISTICS_CHANNELS]; // stored, by channel
};

struct statistics_shard {
    uint64_t turn; // private to the writer's process
    int64_t heartbeat_ns; // monotonic
    uint64_t messages;
    uint64_t bytes;
    uint64_t events;
    uint64_t raw;
    uint64_t refused;
    uint64_t paused;
    uint64_t repaired;
    uint64_t copies;
    uint64_t unknown_keys;
    uint64_t symbols;
    uint64_t connects;
    uint64_t downs;
    uint64_t feeds_failed;
    uint64_t keys_missing;
    uint64_t mutes;
    uint64_t streams_wanted; // links, of each redundant set one
    uint64_t streams_dark;   // of them: no copy is live
    uint64_t links;
    uint64_t links_live;
    uint64_t rest_requests;
    uint64_t rest_failures;
    uint64_t audits;
    uint64_t snapshots;
    uint64_t candles;
    uint64_t candles_late;
    uint64_t alerts;
    // The tape.
    uint64_t tape; // number; 0: none
    uint64_t tapes;
    uint64_t tape_rows_durable;
    uint64_t tape_bytes;
    uint64_t tape_batches;
    uint64_t tape_writes;
    uint64_t tape_failures;
    uint64_t tape_ready;     // 1: there is one to write to
    uint64_t tape_lag_rows;  // taken and not durable
    uint64_t tape_lag_bytes; // encoded and not durable
    int64_t tape_lag_ns;     // age of the oldest of them
    // The ring.
    uint64_t ring_completions;
    uint64_t ring_enters;
    uint64_t ring_no_buffers;
    uint64_t ring_overflows;
    uint64_t clock_steps;
    uint64_t feed_skipped; // batches that the mirror has to read from the tape
    uint64_t link_count;   // of link[] in use
    uint64_t links_left_out;
    uint64_t symbol_count; // of symbol[] in use
    uint64_t reserved[16];
    struct histogram decode; // receipt → decoded and judged; one receive of 16
    struct histogram commit; // oldest row of a write → durable
    struct statistics_exchange exchanges[STATISTICS_EXCHANGES_MAX];
    struct statistics_link link[STATISTICS_LINKS_MAX];
    struct statistics_symbol symbol[STATISTICS_SYMBOLS_MAX];
};

struct statistics_page {
    struct statistics_head head;
    struct statistics_daemon daemon;
    struct statistics_sink sinks[STATISTICS_SINKS];
    struct statistics_mirror mirror;
    struct statistics_shard shards[]; // head.shards
};

// docs/metrics.md has the offsets.
_Static_assert(sizeof(struct statistics_daemon) == 2376, "layout 1");
_Static_assert(sizeof(struct statistics_sink) == 2000, "layout 1");
_Static_assert(sizeof(struct statistics_mirror) == 3104, "layout 1");
_Static_assert(sizeof(struct statistics_exchange) == 3040, "layout 1");
_Static_assert(sizeof(struct statistics_shard) == 75840, "layout 1");
_Static_assert(offsetof(struct statistics_page, shards) == 11544, "layout 1");

size_t statistics_page_bytes(uint32_t shards);
// Sets magic, version, size, sequence and hash of a page whose rest is filled in.
void statistics_page_seal(struct statistics_page *page, uint32_t shards, uint64_t sequence);
// A whole page of this layout.
bool statistics_page_good(const void *slot, size_t bytes);

enum statistics_found {
    STATISTICS_GOOD,
    STATISTICS_ABSENT,  // no file: no daemon ran here, or an older ringtape
    STATISTICS_FOREIGN, // not a page, or of another layout: *version
    STATISTICS_TORN,    // no whole slot
    STATISTICS_ERROR,   // errno
};

// The newest page of STORE/run/statistics, to be freed by free(). Tries again while slots change
// under it.
enum statistics_found statistics_page_load(const char *store, struct statistics_page **page,
                                           uint32_t *version);
// The same of the file's bytes: *slot gets 0 or 1.
enum statistics_found statistics_page_choose(const void *bytes, size_t size, uint32_t *slot,
                                             uint32_t *version);

const char *statistics_link_state(uint8_t state);

// Since `then_ns`; 0 where that is later (another clock, or a page that somebody made up).
static inline int64_t statistics_age_ns(int64_t now_ns, int64_t then_ns)
{
    int64_t age_ns;
    if (__builtin_sub_overflow(now_ns, then_ns, &age_ns) || age_ns < 0) return 0;
    return age_ns;
}

#endif
