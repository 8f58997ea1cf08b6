// SPDX-License-Identifier: GPL-3.0-or-later
//
// mirror_life: a simulated recorder with a mirror: rows are appended on some shards, made durable,
// and mirrored to a scripted broker; the machine may crash at any disk operation, and comes back
// with any number of shards.
//
// The model. Row n (1, 2, 3 ...) is a trade with id n of symbol n % 7. At the end every row that
// was durable must have been delivered or kept as a letter, rows of a symbol in order where a row
// counts by its first delivery, and nothing may be sent that is not durable.
#ifndef RINGTAPE_TESTS_MIRROR_LIFE_H
#define RINGTAPE_TESTS_MIRROR_LIFE_H

#include "base/symbols.h"
#include "keep/sealer.h"
#include "keep/tape_writer.h"
#include "publish/mirror.h"
#include "scripted_producer.h"

enum { MIRROR_LIFE_SHARDS = 3, MIRROR_LIFE_ROWS = 20000, MIRROR_LIFE_SYMBOLS = 7 };

struct mirror_life_shard {
    struct io *io;
    struct symbols *symbols;
    struct tape_writer *writer;
    struct tape_feed *feed;
    uint32_t taken;                  // in this sitting
    uint32_t row[MIRROR_LIFE_ROWS];  // their numbers
};

// What a consumer of whole batches makes of them: rows of a tape from the next one on.
struct mirror_life_batches {
    uint32_t count;
    uint32_t again; // rows that had come before
    uint64_t next[1 << 12]; // row, by tape
    bool seen[MIRROR_LIFE_ROWS + 1];
    int64_t last[MIRROR_LIFE_SYMBOLS];
    char why[128];
};

struct mirror_life {
    struct sim_world *world;
    struct scripted_broker broker;
    struct io *control_io;
    struct io *mirror_io;
    struct keep_store *store;
    struct mirror *mirror;
    struct statistics_mirror statistics; // as published in this sitting
    uint32_t shards;
    struct mirror_life_shard shard[MIRROR_LIFE_SHARDS];
    uint32_t appended;
    bool taken[MIRROR_LIFE_ROWS + 1];
    bool durable[MIRROR_LIFE_ROWS + 1];
    uint8_t place[MIRROR_LIFE_ROWS + 1];     // shard, in this sitting
    uint32_t index[MIRROR_LIFE_ROWS + 1];    // in row[]
    uint32_t sitting_first;
    uint32_t feed_bytes;
    uint32_t queue_messages;
    int64_t tape_bytes;
    enum message_format format; // of every topic of rows
    bool batches;               // are mirrored as well
    struct mirror_life_batches got;
    bool seals;       // a sealer runs; sealed tapes go at once and segments are merged, unless
    bool keeps_tapes; // a guard holds them
    bool releases;    // that guard does no more
    bool ends_behind_block; // the broker goes down when it has a batch made of a segment
    struct io *sealer_io;
    struct sealer *sealer;
    char why[256];
};

void mirror_life_begin(struct mirror_life *life, uint64_t seed);
// False: a crash came before it was up.
bool mirror_life_start(struct mirror_life *life, uint32_t shards);
// Appends rows in bursts. False: crashed.
bool mirror_life_work(struct mirror_life *life, uint32_t rows);
// Runs until the mirror has caught up and nothing is under way. False: crashed, or it never does.
bool mirror_life_settle(struct mirror_life *life);
bool mirror_life_run(struct mirror_life *life, int64_t duration_ns);
// As SIGTERM does. False: crashed.
bool mirror_life_stop(struct mirror_life *life);
void mirror_life_crash(struct mirror_life *life, enum sim_crash kind);
// Rows kept as letters count as delivered. False: `why` says what is wrong.
bool mirror_life_check(struct mirror_life *life);
// All of it at the end: settles, checks, stops, and ends the life.
bool mirror_life_finish(struct mirror_life *life);
// Sealed tapes that a guard holds go, as on a full disk; returns how many.
uint32_t mirror_life_lose_tapes(struct mirror_life *life);
// Half of that: their marks alone.
void mirror_life_lose_marks(struct mirror_life *life);
void mirror_life_end(struct mirror_life *life);

// Numbers of the rows that are kept as letters; returns how many.
uint32_t mirror_life_letters(struct mirror_life *life, int64_t *numbers, uint32_t max);

#endif
