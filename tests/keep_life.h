// SPDX-License-Identifier: GPL-3.0-or-later
//
// keep_life: one simulated life of a store: events are appended, made durable, sealed and merged;
// the machine may crash before any disk operation and starts again. For tests.
//
// The model. Row number n (1, 2, 3 ...) of the life is an event whose every value follows from n,
// so a row read back names itself. The writer acknowledges a prefix of the rows it took. At the end
// the store must hold every acknowledged row exactly once, with its values, in order within its
// symbol, and nothing that was never appended.
#ifndef RINGTAPE_TESTS_KEEP_LIFE_H
#define RINGTAPE_TESTS_KEEP_LIFE_H

#include "base/symbols.h"
#include "io_sim.h"
#include "keep/keep_store.h"
#include "keep/sealer.h"
#include "keep/tape_writer.h"

enum { KEEP_LIFE_ROWS_MAX = 4096, KEEP_LIFE_SYMBOLS = 7 };

struct keep_life {
    struct sim_world *world;
    struct io *shard_io;
    struct io *sealer_io;
    struct keep_store *store;
    struct symbols *symbols;
    struct tape_writer *writer;
    struct sealer *sealer;
    uint64_t appended;  // rows taken so far; the last one's number
    uint64_t refused;
    bool taken[KEEP_LIFE_ROWS_MAX + 1];        // the writer took row n
    bool acknowledged[KEEP_LIFE_ROWS_MAX + 1]; // row n was durable at some time
    uint64_t sitting_first; // row number of this sitting's first row, less one
    uint64_t seen[KEEP_LIFE_ROWS_MAX + 1]; // how often row n was read back
    uint64_t told_lost; // rows that status rows of tapes tell as refused
    int64_t tape_bytes;
    int64_t tape_age_ns; // 0: as the writer has it
    bool rolls;          // tapes are ended early now and then, as SIGUSR1 does
    bool without_sealer; // tapes stay, and are read back as they are
    const struct retention_guard *guard; // of the store; NULL: none
    const struct retention_rules *rules; // the sealer watches; NULL: it does not
    void (*status)(const struct rows *rows); // hears the status rows read back; NULL: nobody
    char why[256]; // what is wrong; "" while nothing is
};

// Opens the world, nothing else.
void keep_life_begin(struct keep_life *life, uint64_t seed);
// Starts store, writer and sealer; false where a crash or a fault came before they were up.
bool keep_life_start(struct keep_life *life);
// Appends `rows` events in bursts over a few tens of milliseconds; false after a crash.
bool keep_life_work(struct keep_life *life, uint32_t rows);
// Stops writer and sealer as SIGTERM does; false after a crash.
bool keep_life_stop(struct keep_life *life);
// After a crash: the machine comes back; loops and objects of before are gone.
void keep_life_crash(struct keep_life *life, enum sim_crash kind);
// Without faults: starts, seals and merges everything, stops.
bool keep_life_settle(struct keep_life *life);
// Reads the settled store and compares with the model; false: `why` says what is wrong.
bool keep_life_check(struct keep_life *life);
void keep_life_end(struct keep_life *life);
// What a mirror does with a retired tape: its rows, from the file while there is one, else from the
// segments of this tape alone, are added to seen[]. False: `why`. *from_segments is set then.
bool keep_life_mirror(struct keep_life *life, uint32_t tape, bool *from_segments);

#endif
