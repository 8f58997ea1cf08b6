// SPDX-License-Identifier: Apache-2.0
//
// mirror_state: how far the mirror to Kafka is, as text. File STORE/mirror/state, replaced as a
// whole about once a second.
//
//     ringtape-mirror 1 3
//     time 1767225600000000000      when this was true
//     mirrored trade                a topic that is mirrored, whether it has a cursor or not
//     topic trade 120391 2          messages delivered and refused for good, ever
//     cursor trade 0 41 120400      shard, tape, rows: of this shard's tapes, the rows of the topic
//                                   up to here are delivered: all of lower tapes, `rows` of this
//     tape 41 0 0000000000000000    a tape that some topic is not past, its shard, and the segments
//                                   it was read from: a hash, in the lowest byte the number of the
//                                   set of numbers that their rows have; 0: none
//     unknown 42 0000000000000000   the same where nobody can tell the shard
//     spare 0 43                    a tape that this shard had made and not begun
//     xxh3 0123456789abcdef
//
// Minor 1 brought `tape`: the header that tells the shard may go before the rows are delivered.
// Minor 2 brought `mirrored`: who asks what is still needed must know of topics that have delivered
// nothing yet, and that others are not mirrored any more.
// A topic is called by its channel, that of whole batches `batch`; in memory that is number 0.
// Where a cursor is missing, nothing is known to be delivered. Minor 3 brought `unknown`, `spare`
// and the number of the set; what stands in older ones instead counts as none.
// Pure: text in memory. Threading: one owner.
#ifndef RINGTAPE_FORMAT_MIRROR_STATE_H
#define RINGTAPE_FORMAT_MIRROR_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/event.h"

enum {
    MIRROR_SHARDS_MAX = 64,
    MIRROR_STATE_TAPES_MAX = 65536, // as many as a store has
    MIRROR_STATE_BYTES_MAX = 4 << 20,
    MIRROR_STATE_SPARES = 2, // of a shard: one may just be taking its first batch
};

struct mirror_cursor {
    uint32_t tape; // 0: none
    uint64_t rows;
};

struct mirror_state_tape {
    uint32_t tape;
    uint32_t shard;  // MIRROR_SHARDS_MAX: not known
    uint64_t layout; // the segments that cursors above MIRROR_STATE_REMADE_ROW count in
};

// Cursors from here on count the rows of the tape's segments, not those of the tape.
#define MIRROR_STATE_REMADE_ROW (1ull << 40)

struct mirror_state {
    int64_t time_ns;
    uint32_t topics; // bit c: mirrored; none: not told, before minor 2
    uint64_t delivered[CHANNEL_COUNT];
    uint64_t refused[CHANNEL_COUNT];
    struct mirror_cursor cursor[CHANNEL_COUNT][MIRROR_SHARDS_MAX];
    uint32_t spare[MIRROR_SHARDS_MAX][MIRROR_STATE_SPARES]; // 0: none
    uint32_t tape_count;
    struct mirror_state_tape tapes[MIRROR_STATE_TAPES_MAX]; // increasing
};

// The text, its trailer included, into MIRROR_STATE_BYTES_MAX bytes; returns its size.
size_t mirror_state_write(const struct mirror_state *state, char *out);
// 0; -EBADMSG: damaged; -EPROTONOSUPPORT: another major version. Zero on failure.
int mirror_state_parse(struct mirror_state *state, const char *text, size_t size);
// The note of the tape; NULL: there is none.
const struct mirror_state_tape *mirror_state_note(const struct mirror_state *state, uint32_t tape);
// The place of the first note not below `tape`.
uint32_t mirror_state_place(const struct mirror_state *state, uint32_t tape);
// The topics (bit c) that need rows: those mirrored or, where that is not told, all there are of.
uint32_t mirror_state_topics(const struct mirror_state *state);
// Rows of the tape of that shard up to which the topic's are delivered. UINT64_MAX: it is past the
// tape. MIRROR_STATE_REMADE_ROW and more: of the tape's segments.
uint64_t mirror_state_reach(const struct mirror_state *state, enum channel channel, uint32_t shard,
                            uint32_t tape);
// Every one of the topics (bit c) is past the tape of that shard.
bool mirror_state_past(const struct mirror_state *state, uint32_t topics, uint32_t shard,
                       uint32_t tape);

#endif
