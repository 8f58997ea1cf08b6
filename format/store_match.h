// SPDX-License-Identifier: Apache-2.0
//
// store_match: what a query asks for, held against names, zone maps and rows. Part of the scan.
//
// Ownership: the arrays grow as needed and are freed by match_close(). Threading: one owner.
#ifndef RINGTAPE_FORMAT_STORE_MATCH_H
#define RINGTAPE_FORMAT_STORE_MATCH_H

#include "format/store.h"
#include "format/tape.h"

struct match {
    const struct store_query *query;
    const struct channel_schema *schema;
    // The names asked for: those without '*' sorted, then beginnings without their '*'. A report
    // asks for hundreds, of every batch of a tape.
    struct event_text *asked;
    uint32_t whole_count;
    uint32_t asked_count;
    uint64_t columns; // that are needed to decide
    // The names of the current segment or batch, by symbol number, and whether they are wanted.
    struct event_text *names;
    bool *wanted;
    uint32_t name_room;
    uint8_t *blocks; // of the current segment: 1: holds rows of a wanted symbol
    uint32_t block_room;
    uint32_t *index; // rows that match
    uint32_t row_room;
};

// 0; -EINVAL: no such channel or column, or times or a predicate from high to low; -ENOMEM. To be
// closed either way.
int match_open(struct match *match, const struct store_query *query);
void match_close(struct match *match);

// Takes the names of a segment (and which of its blocks have rows of wanted symbols), or those of a
// batch. 0 or -ENOMEM.
int match_segment(struct match *match, const struct index *index);
int match_batch_names(struct match *match, const struct tape_batch *batch);

// False: no row in it can match.
bool match_block(const struct match *match, const struct index *index, uint32_t block);
bool match_batch(const struct match *match, const struct layout_batch *header);

// Fills match->index with the rows that match, from arrival `after` on (`arrival` NULL: all).
// Returns how many, or -ENOMEM.
int64_t match_rows(struct match *match, const struct rows *rows, const uint32_t *arrival,
                   uint32_t after);

// a / 10^a_scale < b / 10^b_scale, exactly. Scales up to DECIMAL_SCALE_MAX.
bool match_less(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale);

#endif
