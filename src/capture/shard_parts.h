// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard_parts: the inside of a shard, shared by shard.c (life, commands, links) and shard_feed.c
// (feeds, symbols, instruments) only. Core-local but for the command queue and the published
// counters.
#ifndef RINGTAPE_CAPTURE_SHARD_PARTS_H
#define RINGTAPE_CAPTURE_SHARD_PARTS_H

#include <stdatomic.h>

#include "capture/intake.h"
#include "capture/link.h"
#include "capture/mend.h"
#include "capture/shard.h"
#include "keep/keep_ledger.h"
#include "keep/tape_writer.h"

#define SHARD_TICK_NS (100 * LIMIT_MILLISECOND_NS)
// Where nothing comes and nothing is open for so long, ticks are rare and those of all shards fall
// together: on 1,000 quiet links being woken was half of what they cost.
#define SHARD_QUIET_NS (2 * LIMIT_SECOND_NS)
#define SHARD_QUIET_TICK_NS (500 * LIMIT_MILLISECOND_NS)
#define SHARD_REPLACE_NS (30 * LIMIT_SECOND_NS) // a replaced feed ends then at the latest
#define SHARD_TROUBLE_NS (10 * LIMIT_SECOND_NS) // between two log lines about the tape
#define SHARD_STOP_NS (2700 * LIMIT_MILLISECOND_NS) // of which the tape has what links leave
#define SHARD_TAPE_NS (10 * LIMIT_SECOND_NS) // that the first feeds wait for a tape at most
#define SHARD_LEDGER_NS LIMIT_MINUTE_NS // between two files of the ledger
#define SHARD_LEDGER_LEFT_NS (200 * LIMIT_MILLISECOND_NS) // of a stop, for the last one
#define SHARD_HEALTH_NS LIMIT_SECOND_NS // between two looks
#define SHARD_STATISTICS_NS (250 * LIMIT_MILLISECOND_NS) // half of what their reader waits
#define SHARD_MUTE_NS (10 * LIMIT_SECOND_NS)
#define SHARD_MUTE_ALONE_NS (30 * LIMIT_SECOND_NS)
#define SHARD_LAG_NS (10 * LIMIT_SECOND_NS)
#define SHARD_LAG_LEAST_NS (-50 * LIMIT_MILLISECOND_NS) // a clock this far behind is told
#define SHARD_LAG_MOST_NS (2 * LIMIT_SECOND_NS)
enum {
    SHARD_NONE = LIMIT_LINKS,      // no slot
    SHARD_NEWS_MAX = 32,           // of the store, posted and not durable
    SHARD_INSTRUMENTS_A_TICK = 512, // rows, of about 3 KB each
    SHARD_LEDGER_TAPES = 64, // remembered, one a minute
    SHARD_MUTE_EVENTS = 20,  // of the siblings
    SHARD_LAG_EVENTS = 10,   // to judge the clock by
};

struct shard_slot {
    struct link link;
    uint32_t feed;        // place in feeds[]
    uint32_t predecessor; // slot this one takes over from
    bool used;
    bool lived;           // was live once
    bool up;              // its keys count it as live
    uint64_t heard;          // events when it was last heard
    uint64_t heard_siblings; // those of its siblings then
    int64_t heard_ns;        // monotonic; 0: not looked at yet
    bool ended;           // may be closed
};

struct shard_feed_place {
    struct shard_feed *feed; // NULL: free
    struct link_feed links;
    uint32_t slots;          // links open
    bool removing;
    int64_t replace_ns;      // monotonic: when the replaced feed ends anyway
};

struct shard_instruments {
    const struct dialect *dialect;
    uint8_t *body; // NULL: nothing to do
    uint32_t body_size;
    uint32_t done; // instruments of the reply that were dealt with
    uint32_t seen; // of the present walk
};

struct shard_queue { // one producer, one consumer
    _Atomic uint32_t head; // next to take
    _Atomic uint32_t tail; // next to fill
    struct shard_command commands[LIMIT_SHARD_COMMANDS];
};

struct shard_trouble { // with writing the tape
    uint64_t failures; // of which was told
    int64_t told_ns;   // monotonic; 0: all is well
};

// A link takes no longer than this, the ticks around it included; a second is left for the tape.
_Static_assert(LINK_UNSUBSCRIBE_NS + LINK_DRAIN_NS + SHARD_TICK_NS + LIMIT_SECOND_NS <=
                   SHARD_STOP_NS,
               "a stop is over in time");

struct shard_one_news {
    uint64_t number;
    uint64_t rows; // that have to be durable for it; 0: it was refused, and is written again
    enum status_kind kind;
    char detail[KEEP_NEWS_BYTES];
};

struct shard_news { // of the store
    uint64_t posted; // number of the last; of the thread that posts
    uint32_t first;  // ring of those that are not durable, by their numbers
    uint32_t count;
    struct shard_one_news waiting[SHARD_NEWS_MAX];
};

enum shard_ledger_state { SHARD_LEDGER_IDLE, SHARD_LEDGER_TAKEN, SHARD_LEDGER_WRITING };

struct shard_ledger_tape { // rows with a later time are on this tape or later ones
    int64_t since_ns;
    uint32_t tape;
};

struct shard_ledger {
    struct keep_ledger *writer; // NULL: the shard keeps none
    enum shard_ledger_state state;
    bool ended;
    int64_t due_ns; // monotonic
    uint64_t rows;  // that have to be durable before what was taken may be written
    uint32_t tape_count;
    struct shard_ledger_tape tapes[SHARD_LEDGER_TAPES];
};

enum shard_state {
    SHARD_RUNNING,
    SHARD_CLOSING_LINKS,
    SHARD_CLOSING_TAPE,
    SHARD_CLOSING_LEDGER,
    SHARD_ENDED,
};

struct shard {
    struct shard_options options;
    struct io *io;
    enum shard_state state;
    int64_t stop_by_ns; // monotonic; once stopping
    bool durable;
    struct symbols *symbols;
    uint16_t *symbol_uses; // [LIMIT_SHARD_SYMBOLS] feeds that want the symbol
    uint64_t *instrument_hash; // [LIMIT_SHARD_SYMBOLS] of the last instrument row; 0: none yet
    struct intake intake;
    struct link_shared shared;
    struct tape_writer *writer;
    bool waits_for_tape; // the first one: no feed before it
    int64_t tape_by_ns;  // monotonic
    struct shard_slot *slots; // [LIMIT_LINKS]
    uint32_t slots_high;      // slots beyond were never used
    uint32_t link_number;     // of the next link
    struct shard_feed_place feeds[LIMIT_SHARD_FEEDS];
    uint64_t feeds_failed;
    uint64_t keys_missing; // there was no room for
    uint64_t mutes;        // links that were rejected for it
    int64_t health_ns;     // monotonic: next look at the links
    int64_t told_ns;       // monotonic: statistics are told then
    int64_t lag_ns;        // ... at the clock
    struct shard_instruments instruments[LIMIT_FEEDS];
    struct io_op tick;
    bool quiet;         // the tick in flight is a rare one
    uint64_t heard;     // messages, requests and connects at the last tick
    int64_t busy_ns;    // monotonic: of the last tick with something to do
    struct shard_queue queue;
    struct shard_trouble trouble;
    struct shard_news news;
    struct mend mend;
    struct shard_ledger ledger;
    struct shard_derive derive;
    struct shard_counters published;
    struct statistics_shard *statistics; // what is published; NULL: nobody reads it
    int64_t statistics_ns;               // monotonic: next look at what takes longer
};

// ---- shard.c ----

// A link of the feed at `place`, started. SHARD_NONE: no slot or no memory (logged).
uint32_t shard_link_open(struct shard *shard, uint32_t place, const struct link_streams *streams,
                         uint32_t predecessor);
void shard_status(struct shard *shard, enum status_kind kind, uint32_t symbol, const char *detail);

// ---- shard_keys.c ----

// The arbiter's keys of the feed at `place`, each once.
void shard_keys_open(struct shard *shard, uint32_t place);
void shard_keys_close(struct shard *shard, uint32_t place);
// The keys of the slot's streams are carried by one live link more, or less.
void shard_keys_up(struct shard *shard, struct shard_slot *slot);
void shard_keys_down(struct shard *shard, struct shard_slot *slot);
// The same for one stream that comes or goes, where the slot is live.
void shard_key_up(struct shard *shard, const struct shard_slot *slot,
                  const struct dialect_stream *stream);
void shard_key_down(struct shard *shard, const struct shard_slot *slot,
                    const struct dialect_stream *stream);
struct arbiter_now shard_now(struct shard *shard);

// ---- shard_health.c ----

// Rejects links that are mute, tells of a clock that is off. Ten times a second; looks once.
void shard_health_tick(struct shard *shard);

// ---- shard_statistics.c ----

int shard_statistics_open(struct shard *shard); // 0 or -ENOMEM
void shard_statistics_close(struct shard *shard);
// Publishes what `tape` and the shard's parts count. Ten times a second.
void shard_statistics_tick(struct shard *shard, const struct tape_writer_counters *tape);

// ---- shard_ledger.c ----

int shard_ledger_open(struct shard *shard); // 0 or -ENOMEM
void shard_ledger_close(struct shard *shard);
void shard_ledger_tick(struct shard *shard);
// The tape has ended, all rows are durable or not. True once the last file is written or given up.
bool shard_ledger_end(struct shard *shard, bool durable);

// ---- shard_change.c ----

// The feed at `place` becomes `feed`, which differs by its symbols alone and is taken over. Its
// streams have the shard's numbers. False: no memory, nothing has changed.
bool shard_feed_change(struct shard *shard, uint32_t place, struct shard_feed *feed);

// ---- shard_feed.c ----

void shard_feed_add(struct shard *shard, struct shard_feed *feed);
// Symbols and keys of the feed at `place` are used once more, once less.
void shard_feed_hold(struct shard *shard, uint32_t place);
void shard_feed_release(struct shard *shard, uint32_t place);
void shard_feed_remove(struct shard *shard, uint32_t id);
// Ends feeds that were replaced, frees those whose links are gone.
void shard_feed_tick(struct shard *shard, int64_t now_ns);
void shard_feed_free(struct shard *shard, struct shard_feed_place *place);
void shard_instruments_add(struct shard *shard, const struct shard_command *command);
void shard_instruments_tick(struct shard *shard);

#endif
