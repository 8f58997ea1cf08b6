// SPDX-License-Identifier: GPL-3.0-or-later
//
// keep_store: the store as the daemon holds it: the lock, the identity, tape numbers, the
// catalogue, and the queue of tapes that wait for the sealer.
//
//     STORE/lock        held while a daemon runs
//     STORE/identity    16 random bytes as hex, written once
//     STORE/catalogue   which segments and tapes hold the data (format/catalogue.h)
//     STORE/tape/       00000001.tape, 00000001.mark; also sealed ones that a guard still needs
//     STORE/segment/    2026-11-22/trade-00000017.segment, .index
//
// Threading: keep_store_open() before any shard runs; keep_store_next_tape(), keep_store_retire()
// and keep_store_take() are called from several threads (one lock, taken once per tape, never per
// event). The catalogue belongs to the sealer alone after the open.
#ifndef RINGTAPE_KEEP_KEEP_STORE_H
#define RINGTAPE_KEEP_KEEP_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "format/catalogue.h"
#include "format/tape.h"
#include "io/io.h"
#include "keep/retention.h"

enum {
    KEEP_PATH_BYTES_MAX = 900,   // of the store's directory
    KEEP_TAPES_WAITING_MAX = 65536, // 2 TiB of tapes at the default size
    KEEP_ENDS_MAX = 4096, // tapes that end at a failed write and are not sealed yet
    KEEP_NEWS_BYTES = 128,
    KEEP_NEWS_MAX = 1024, // waiting to be told; more are dropped
    KEEP_FILE_NAME_BYTES_MAX = KEEP_PATH_BYTES_MAX + 100,
};

struct keep_store;

// Creates the directory (its parent must exist) and what is missing in it, takes the lock, reads
// identity and catalogue, and queues the tapes left by an earlier life, oldest first.
// -EWOULDBLOCK: another ringtaped has it; -EROFS, -EACCES, -ENOSPC, ...; `message` names the path
// and the remedy. Where the disk does not answer (-ETIMEDOUT) *store is set all the same, because
// it is still being written to: close it once the loop is gone. `io` is used synchronously, so
// nothing else may be in flight on it.
int keep_store_open(struct keep_store **store, struct io *io, const char *path,
                    struct io_message *message);
void keep_store_close(struct keep_store *store);

const char *keep_store_path(const struct keep_store *store);
const uint8_t *keep_store_identity(const struct keep_store *store); // 16 bytes

// Where the sealer tells of damage and failures; NULL (as opened): nowhere.
void keep_store_set_log(struct keep_store *store, const struct log *log);
const struct log *keep_store_log(const struct keep_store *store);

// What counts. Belongs to the sealer after the open.
struct catalogue *keep_store_catalogue(struct keep_store *store);

// A number no other tape of this store ever had.
uint32_t keep_store_next_tape(struct keep_store *store);
// The tape is complete and closed: the sealer may have it. Wakes the sealer.
void keep_store_retire(struct keep_store *store, uint32_t tape);
// A write to the tape failed: what lies behind `end` must not be read, for its rows go to another
// tape, whose header says so too. Holds until the tape's closing mark is durable or it is sealed.
void keep_store_note_end(struct keep_store *store, const struct layout_tape_end *end);
void keep_store_forget_end(struct keep_store *store, uint32_t tape);
// Fills `end` (may be NULL) if one is noted for the tape.
bool keep_store_find_end(struct keep_store *store, uint32_t tape, struct layout_tape_end *end);
// The oldest tape waiting that may be sealed, or 0. While the end of a tape is noted, tapes of
// higher numbers wait for it: one of them may be what tells that end after a crash.
uint32_t keep_store_take(struct keep_store *store);
// It could not be sealed now: it is the first one again.
void keep_store_put_back(struct keep_store *store, uint32_t tape);
uint32_t keep_store_waiting(struct keep_store *store);
// Who is woken by keep_store_retire(); NULL: nobody.
void keep_store_on_retire(struct keep_store *store, struct io *sealer);

// What happened to stored data, for a row of the status channel: told by the sealer, taken by
// whoever can write rows, settled when that row is durable. Any thread.
struct keep_news {
    enum status_kind kind;
    char detail[KEEP_NEWS_BYTES];
    uint64_t number; // 1, 2, 3 ... of this life
};
// Its number; 0: too many wait, it is dropped.
uint64_t keep_store_tell(struct keep_store *store, enum status_kind kind, const char *detail);
// The oldest, in order of their numbers. False: no news.
bool keep_store_news(struct keep_store *store, struct keep_news *news);
// The rows of all up to `number` are durable. One thread.
void keep_store_settle_news(struct keep_store *store, uint64_t number);
bool keep_store_news_settled(const struct keep_store *store, uint64_t number);
// Somebody takes and settles them, so that what must not be lost by a crash may wait for it, at
// most so long. Before the sealer runs. 0, as opened: nobody does.
void keep_store_want_news(struct keep_store *store, int64_t limit_ns);
int64_t keep_store_news_limit_ns(const struct keep_store *store);

// What may be kept and what must be free; may change at any time. Any thread.
void keep_store_set_rules(struct keep_store *store, const struct retention_rules *rules);
void keep_store_rules(struct keep_store *store, struct retention_rules *rules);
// Who needs data that might be deleted: segments, sealed tapes (retention.h). Before the sealer
// runs; at most RETENTION_GUARDS_MAX.
void keep_store_add_guard(struct keep_store *store, const struct retention_guard *guard);
const struct retention_guard *keep_store_guards(const struct keep_store *store, uint32_t *count);
// Channels (bit c) that are not recorded while the disk is full: set by the sealer, obeyed by the
// tape writers. Any thread, lock-free.
void keep_store_pause(struct keep_store *store, uint32_t channels);
uint32_t keep_store_paused(const struct keep_store *store);

// Paths, written to `out` (KEEP_FILE_NAME_BYTES_MAX bytes of room).
void keep_store_tape_path(const struct keep_store *store, uint32_t tape, const char *ending,
                          char *out);
// Of a file in tape/ by its name; 0: it is not a tape.
uint32_t keep_store_tape_number(const char *name);

#endif
