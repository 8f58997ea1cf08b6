// SPDX-License-Identifier: Apache-2.0
//
// ledger: what a store's coverage was at one moment, as text: for each key (a symbol's channel) the
// positions between which everything is stored, the holes that are open, and how far an audit has
// proven it. Files STORE/ledger/base and STORE/ledger/shard-00, replaced as a whole.
//
//     ringtape-ledger 1 0
//     generation 7              of the base; a shard's file counts with the base of its generation
//     shards 1                  base: how many shard files follow in the life it begins
//     tape 41                   rows of this tape and later ones may not be reflected here
//     since 1767225600000000000 all rows with a later time are on those tapes
//     time 1767225660000000000  when this was true
//     key binance:BTCUSDT trade id first 1 17… last 9 17… proven 9 17… 0 tail 0 live
//     hole 4 5 17… 17… 17… 0    first last from to found cause
//     key binance:OLD trade id first … tail 0 live unlisted ended 9 17…
//     gone binance:ETHUSDT trade  nobody wants it any more: nothing is covered
//     xxh3 0123456789abcdef
//
// Holes follow their key, newest first; last 9223372036854775807: without an end as yet. A key
// whose positions are times says `time`, one without any link at that moment `down`, one whose
// symbol the exchange's last audit did not know ends with `unlisted`, and where nobody could say
// what came behind its last position, so that all of it is listed as lost, with that position and
// its time.
//
// Pure: text in memory. Bounds: LEDGER_KEYS_MAX, LEDGER_HOLES_MAX; memory is reserved in
// ledger_init(), untouched parts cost nothing. Threading: one owner.
#ifndef RINGTAPE_FORMAT_LEDGER_H
#define RINGTAPE_FORMAT_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/event.h"

enum {
    LEDGER_KEYS_MAX = 1 << 18,
    LEDGER_HOLES_MAX = 1 << 18,
    LEDGER_SYMBOL_BYTES_MAX = 63,
    LEDGER_LINE_BYTES_MAX = 400,
    LEDGER_FILE_BYTES_MAX = 128 << 20,
};

enum coverage_cause {      // of a hole; numbers are on disk
    COVERAGE_SKIPPED,      // a live link went on behind a gap
    COVERAGE_DISCONNECTED, // no link with the key was live
    COVERAGE_STOPPED,      // the daemon did not run
    COVERAGE_AUDIT,        // the exchange knows more than came
    COVERAGE_REFUSED,      // the tape could not take the rows
    COVERAGE_CAUSES,
};
const char *coverage_cause_text(enum coverage_cause cause);

struct ledger_hole {
    int64_t first;
    int64_t last;
    int64_t from_ns;
    int64_t to_ns;
    int64_t found_ns;
    enum coverage_cause cause;
};

struct ledger_key {
    char symbol[LEDGER_SYMBOL_BYTES_MAX + 1]; // "binance:BTCUSDT"
    enum channel channel;
    bool times; // positions are times
    bool live;
    bool gone;
    bool archived; // not in a file: no daemon recorded it, it was filled in (ledger_whole.h)
    int64_t recorded_ns; // not in a file: since when a daemon did; first_ns may be earlier
    bool unlisted; // the exchange does not list the symbol any more
    bool ended_lost; // all behind `ended` is listed as lost, without an end
    int64_t ended, ended_ns;
    int64_t first, first_ns;
    int64_t last, last_ns;
    int64_t proven, proven_ns, proven_from_ns;
    int64_t tail;
    uint32_t hole_first; // in holes[]
    uint32_t hole_count;
};

struct ledger {
    uint64_t generation;
    uint32_t shards;
    uint32_t tape;
    int64_t since_ns;
    int64_t time_ns;
    uint32_t key_count;
    uint32_t hole_count;
    struct ledger_key *keys;
    struct ledger_hole *holes;
};

// 0 or -ENOMEM.
int ledger_init(struct ledger *ledger);
void ledger_free(struct ledger *ledger);
void ledger_clear(struct ledger *ledger);
// The next key, zero but for its hole_first; NULL: full. Its holes are added behind it.
struct ledger_key *ledger_add_key(struct ledger *ledger);
bool ledger_add_hole(struct ledger *ledger, const struct ledger_hole *hole);

// The text, its trailer included; returns its bytes, 0 where `size` is too small.
size_t ledger_write(const struct ledger *ledger, char *out, size_t size);
// Bytes that always suffice.
size_t ledger_bytes_max(const struct ledger *ledger);
// 0; -EBADMSG: damaged; -EPROTONOSUPPORT: another major version. Emptied on failure.
int ledger_parse(struct ledger *ledger, const char *text, size_t size);

#endif
