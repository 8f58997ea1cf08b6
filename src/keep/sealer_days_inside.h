// SPDX-License-Identifier: GPL-3.0-or-later
//
// sealer_days_inside: what sealer_days.c (which days, their markers) and sealer_days_read.c (what
// the store says) share. Nobody else includes it.
#ifndef RINGTAPE_KEEP_SEALER_DAYS_INSIDE_H
#define RINGTAPE_KEEP_SEALER_DAYS_INSIDE_H

#include "format/day.h"
#include "keep/sealer_inside.h"

enum {
    DAYS_MAX = 4096,             // eleven years; the newest
    DAYS_TAPES_MAX = 8 * LIMIT_SHARDS, // more are sealed first
};

enum days_step { DAYS_BASE, DAYS_SHARDS, DAYS_SEGMENTS, DAYS_MARK, DAYS_TAPE, DAYS_MARKERS };

struct days_day {
    int32_t day;
    uint32_t closed; // bit c: has a marker
    uint64_t rows[CHANNEL_COUNT];
    uint64_t content[CHANNEL_COUNT]; // hash of what its marker says; 0: not known
};

struct sealer_days {
    int64_t due_ns; // monotonic
    uint64_t generation; // of the catalogue at the last look that came to its end
    bool told_damaged;
    uint32_t count; // days over in the catalogue, oldest first
    struct days_day days[DAYS_MAX];
    // ---- of the look under way ----
    enum days_step step;
    uint32_t at; // shard, segment, tape
    bool failed;
    int64_t now_ns;
    struct ledger ledger;
    struct ledger_whole whole;
    uint32_t tape_count;
    bool tapes_more;
    uint32_t tapes[DAYS_TAPES_MAX];
    uint32_t mark_size;
    uint8_t mark[2 * LAYOUT_SECTOR];
    uint32_t *on_tape; // [count] bit c
    uint32_t day;      // whose markers are looked at
    enum channel channel;
    struct day_channel channels[CHANNEL_COUNT]; // of that day
    char *content;
    size_t content_size;
    char *text; // to be written; NULL: nothing is
    size_t text_size;
    struct day_marker marker;
    int handle;
    char path[KEEP_FILE_NAME_BYTES_MAX];
};

// ---- sealer_days.c ----

struct day_state sealer_days_state(const struct sealer_days *days, uint32_t at);
// The look ends: everything was looked at, or not (tried again in a minute).
void sealer_days_finish(struct sealer *sealer);
void sealer_days_end(struct sealer *sealer);
void sealer_days_fail(struct sealer *sealer, const char *cause); // is logged; does not end it
// All is read.
void sealer_days_mark(struct sealer *sealer);
// A marker's file is closed: days->marker is what it said.
void sealer_days_marker_read(struct sealer *sealer);

// ---- sealer_days_read.c ----

// Reads ledger, status rows, tapes; then sealer_days_mark(), or one of the ends.
void sealer_days_read(struct sealer *sealer);
void sealer_days_open_file(struct sealer *sealer, io_callback *opened); // days->path
void sealer_days_close_file(struct sealer *sealer);
// The whole open file, for free(). NULL: errno in *size.
char *sealer_days_load_file(struct sealer *sealer, int64_t most, int64_t *size);

#endif
