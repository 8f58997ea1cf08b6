// SPDX-License-Identifier: Apache-2.0
//
// store: reads a directory of tapes and segments, also while a daemon writes to it.
//
//     STORE/lock                                   held by a daemon; readers ignore it
//     STORE/identity                               32 hex digits
//     STORE/catalogue                              what counts (catalogue.h)
//     STORE/tape/00000001.tape, .mark
//     STORE/segment/2024-08-08/trade-00000001.segment, .index
//
// A scan gives every row that was durable when it was opened exactly once, and perhaps later ones
// of tapes being written, never a row twice. It holds its files open, so a daemon may seal, merge
// and delete meanwhile. Nothing is ever written or locked.
//
// Order. Segments first, by (day, oldest tape, number); within a segment symbol by symbol, each
// symbol in order of arrival; then tapes by number, each in order of arrival. So one symbol's rows
// of one shard come in order of arrival; rows of several symbols are not merged by time.
//
// A scan may follow the store instead of ending (store_query.follow): then each call that gives 0
// says "nothing more now", and a later call gives what has become durable meanwhile.
//
// Damage is never read as data: a block or batch that fails its checks is left out and reported to
// the scan's damage callback; the rest comes.
//
// Example:
//     struct store *store;
//     if (store_open(&store, "/var/lib/ringtape", NULL) == 0) {
//         struct store_query query = store_query_all(CHANNEL_TRADE);
//         struct store_scan *scan;
//         if (store_scan_open(&scan, store, &query) == 0) {
//             struct store_chunk chunk;
//             while (store_scan_next(scan, &chunk) > 0)
//                 for (uint32_t i = 0; i < chunk.count; i++)
//                     use(chunk.rows, chunk.index[i], chunk.symbols[chunk.rows->symbol[...]]);
//             store_scan_close(scan);
//         }
//         store_close(store);
//     }
//
// Memory: a scan holds one block or batch encoded and decoded (a few MiB; at most
// SEGMENT_BLOCK_BYTES_MAX or TAPE_BATCH_BYTES_MAX and what it decodes to). Threading: a store and
// its scans belong to one thread.
#ifndef RINGTAPE_FORMAT_STORE_H
#define RINGTAPE_FORMAT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/catalogue.h"
#include "format/recover.h"
#include "format/rows.h"
#include "format/segment.h"

enum { STORE_PATH_BYTES_MAX = 1024 };

struct store;

struct store_message { // what went wrong, for people; one line
    char text[STORE_PATH_BYTES_MAX + 256];
};

// Opens for reading. 0; -ENOENT: no store there; -EBADMSG: identity or catalogue damaged;
// -EPROTONOSUPPORT: a newer major version; others: errno. `message` may be NULL.
int store_open(struct store **store, const char *path, struct store_message *message);
void store_close(struct store *store);
// Reads catalogue and tape list again. As store_open(); on failure the store is unchanged.
int store_refresh(struct store *store, struct store_message *message);

const char *store_path(const struct store *store);
const uint8_t *store_identity(const struct store *store); // LAYOUT_STORE_ID_BYTES
// As of the last store_open() or store_refresh().
const struct catalogue *store_catalogue(const struct store *store);
// Numbers of the tapes that count, increasing.
const uint32_t *store_tapes(const struct store *store, uint32_t *count);

// ---- scan ----

// Damage met on the way. `path` is relative to the store.
struct store_damage {
    const char *path;
    const char *what;   // one line
    uint64_t offset;    // in the file
    uint64_t bytes;
    uint64_t rows;      // lost, where known; else 0
    uint64_t sequence_first; // tapes: batches; segments: block number
    uint64_t sequence_last;
};
typedef void store_damage_callback(void *context, const struct store_damage *damage);

// A row matches if the column has a value in [min, max]; an absent one does not match.
struct store_predicate {
    int column; // any but texts
    int64_t min;
    int64_t max;
    uint8_t scale; // decimals: of min and max
};

// Following. Rows come when they are known to be durable: with the next batch of their tape or its
// next mark, at most two seconds after they were written. So no row comes that a crash could take
// away again, or that a failed write left behind and another tape brings. Rows that a crash left
// without acknowledgement come when their tape has been sealed.
//
// A follower may sleep as long as it likes but for one thing: where tapes it never saw were sealed
// and merged with ones it did see, their rows cannot be told apart, and store_scan_next() gives
// -ESTALE: start again. That takes several tapes between two calls.
enum store_follow {
    STORE_FOLLOW_NOT,
    STORE_FOLLOW_ALL, // everything there is, then what comes
    STORE_FOLLOW_NEW, // only what becomes durable after store_scan_open()
};

struct store_query {
    enum channel channel;
    // Names ("binance:BTCUSDT"); a row counts if its symbol is one of them. 0: all, also rows
    // without symbol. "*" at the end matches any rest ("binance:*").
    const char *const *symbols;
    uint32_t symbol_count;
    int64_t time_from; // `time` in [time_from, time_to)
    int64_t time_to;
    // All must match. Those on the price of quote (bid), trade, agg_trade, kline (close), ticker
    // (last) and on identity columns are also asked of the zone maps, as times and symbols are:
    // blocks that cannot match are not read.
    const struct store_predicate *predicates;
    uint32_t predicate_count;
    enum store_follow follow;
    uint64_t columns;  // bit c: column wanted; others may come back absent. UINT64_MAX: all
    bool segments;     // rows in segments
    bool tapes;        // rows in tapes
    store_damage_callback *damage; // may be NULL: then store_scan_next() fails with -EBADMSG
    void *damage_context;
};

// Everything of a channel.
struct store_query store_query_all(enum channel channel);

// Some rows. Valid until the next call.
struct store_chunk {
    const struct rows *rows;
    const uint32_t *index; // [count] which of them match, increasing
    uint32_t count;
    const struct event_text *symbols; // [symbol_count] names by rows->symbol[]
    uint32_t symbol_count;
    // Provenance: (tape, tape_row) of rows->…[r]; tape == NULL: the segment's channel has identity
    // and keeps none.
    const uint32_t *tape;     // [rows->count]
    const uint64_t *tape_row; // [rows->count]
    uint32_t segment; // number of the segment it is from, or 0: a tape
    uint64_t unknown_columns; // bit c: coded in a way this library does not know; absent
    bool unknown_levels;
};

struct store_scan;
// 0, -ENOENT (a listed file is missing, and stays missing), -EINVAL, -ENOMEM, errno. What the query
// points to must stay until store_scan_close().
int store_scan_open(struct store_scan **scan, struct store *store, const struct store_query *query);
// 1: `chunk` is filled; 0: the end, for now where the scan follows; -EBADMSG: damage and no
// callback; -ESTALE: a file went away that was needed (more than could be held open, or see
// store_follow): start again; others: errno.
int store_scan_next(struct store_scan *scan, struct store_chunk *chunk);
void store_scan_close(struct store_scan *scan);
// What was decoded, and what was passed over because it cannot match.
struct store_scan_counts {
    uint64_t segments_read;
    uint64_t blocks_read;
    uint64_t blocks_skipped;
    uint64_t batches_read;
    uint64_t batches_skipped;
};
struct store_scan_counts store_scan_counts(const struct store_scan *scan);
// For progress: encoded bytes passed and all there are.
void store_scan_progress(const struct store_scan *scan, uint64_t *done, uint64_t *total);

// ---- symbols ----

struct store_symbol {
    char name[SEGMENT_SYMBOL_BYTES_MAX + 1]; // empty: rows without symbol
    uint64_t rows;
    int64_t time_min;
    int64_t time_max;
};
// What there is of each symbol that the query asks for by channel and name, segments (from their
// indexes) and tapes (by reading them) together; the query's other conditions do not count. Sorted
// by name; to be freed by the caller. 0, or as store_scan_next(); damage goes to the callback.
int store_symbols(struct store *store, const struct store_query *query,
                  struct store_symbol **symbols, uint32_t *count);

// ---- point read ----

// What to find: the row of a symbol with the greatest `time` at or before a time; of several, the
// last one to arrive.
struct store_find {
    enum channel channel;
    const char *symbol; // "binance:BTCUSDT"; "": rows without symbol
    int64_t time_ns;
    uint64_t columns; // as in store_query; the fewer, the faster
    // Also in tapes. They have no index and are read through, and the catalogue is read again if it
    // changed. Without: segments as of the last store_refresh().
    bool tapes;
    store_damage_callback *damage; // may be NULL: then damage on the way is -EBADMSG
    void *damage_context;
};

// Keeps what a find needs in memory. Threading: as the store, which must stay open.
struct store_finder;
int store_finder_open(struct store_finder **finder, struct store *store); // 0 or -ENOMEM
void store_finder_close(struct store_finder *finder);
// 1: `row` has the one row, as a scan would give it, valid until the next call; 0: there is none;
// -EINVAL, -EBADMSG, -ESTALE (the store changes faster than it can be read), errno.
int store_find_last(struct store_finder *finder, const struct store_find *what,
                    struct store_chunk *row);

// ---- verify ----

struct store_verify_result {
    uint64_t files;
    uint64_t bytes;
    uint64_t rows;
    uint64_t damages;
    uint64_t rows_lost; // where known
    uint64_t leftovers; // files nobody lists; not damage
    uint64_t sealed_tapes; // still there for whoever has not read them; not looked at
};
// Every checksum, chain, count and order of everything that counts. `progress` (may be NULL) is
// called now and then. 0 also when damage was found; negative: errno.
typedef void store_progress_callback(void *context, uint64_t done, uint64_t total);
int store_verify(struct store *store, store_damage_callback *damage,
                 store_progress_callback *progress, void *context,
                 struct store_verify_result *result);

#endif
