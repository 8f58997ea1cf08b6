// SPDX-License-Identifier: GPL-3.0-or-later
//
// simulation: what a seed makes of a recorder's years, in ten virtual minutes: the production code
// of shards, links, repair, audit, tape, sealer, mirror, candles and alerts in front of an exchange
// with faults, on a disk with faults, behind a broker with faults; killed and without power again
// and again, with one shard or two. At the end everything is calm for a while, and then the store
// and the broker must hold what the exchange had (docs/testing.md says what is judged).
//
// One life a process: what a crash leaves behind is leaked. Test code: a broken promise aborts with
// its text.
#ifndef RINGTAPE_TESTS_SIMULATION_SIMULATION_H
#define RINGTAPE_TESTS_SIMULATION_SIMULATION_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/complete_life.h"

enum {
    SIMULATION_KINDS_MAX = 64,
    SIMULATION_ARROWS_MAX = 128,
    SIMULATION_AT_ONCE = 2, // faults; mostly one
};

// What happens to a life, by kind: simulation_fault_name().
struct simulation_counts {
    uint64_t events;      // of the exchange
    uint64_t stored;
    uint64_t listed;      // open or lost at the end
    uint64_t repaired;    // rows that came by REST
    uint64_t delivered;   // to the broker, copies too
    uint64_t crashes;
    uint64_t stops;       // with notice
    uint64_t episodes;    // of faults
    int64_t virtual_ns;
    uint64_t hash;        // of the trace
    uint64_t hits[SIMULATION_KINDS_MAX]; // strikes by kind
    uint64_t arrows[SIMULATION_ARROWS_MAX]; // of state machines, how often taken
};

struct simulation_groups { // of faults that a seed has
    bool disk;
    bool clock;
    bool rot; // sectors become something else for good
    bool refusing; // messages, by broker and producer: letters are kept
    bool tls;
};

struct simulation_options {
    int64_t minutes; // virtual, before the calm
    bool log;        // of the daemon, to stderr
};

// A whole life. Returns only where every promise held.
void simulation_run(uint64_t seed, const struct simulation_options *options,
                    struct simulation_counts *counts);

// ---- simulation_faults.c ----

uint32_t simulation_fault_count(void);
const char *simulation_fault_name(uint32_t kind);
// Begins, ends an episode of a kind that the world draws among those of the seed.
void simulation_fault_begin(struct life *life, const struct simulation_groups *groups);
void simulation_fault_end(struct life *life);
void simulation_fault_struck(uint32_t kind); // one that the caller itself makes: crashes
void simulation_fault_hits(const struct life *life, struct simulation_counts *counts);
extern const uint32_t simulation_kill, simulation_power, simulation_start_crash,
    simulation_deleted;
// The last outage: every link is cut, connections are refused; of two addresses one stays gone.
void simulation_outage(struct life *life, bool begins);

// ---- simulation_transitions.c ----

uint32_t simulation_arrow_count(void);
const char *simulation_arrow_name(uint32_t arrow); // "machine FROM TO"
enum simulation_aim {
    SIMULATION_AIM_ANY,
    SIMULATION_AIM_BRIEF, // into a state that lasts a moment
    SIMULATION_AIM_DISK,  // behind which files are written, synced, renamed and removed
    SIMULATION_AIM_LEDGER, // behind which a ledger is written
    SIMULATION_AIM_TAKEN,  // behind which one waits for its rows
};
// Number `drawn` of these arrows, modulo their count. From now on simulation_arrow_came() says
// whether it was taken.
void simulation_arrow_await(enum simulation_aim aim, uint64_t drawn);
bool simulation_arrow_came(void);
// By this process so far.
void simulation_arrows_taken(uint64_t counts[SIMULATION_ARROWS_MAX]);
// ---- simulation_rot.c ----

// A sector of a tape or segment is from now on not what was written.
void simulation_rot(struct life *life);
// Tapes in quarantine.
uint32_t simulation_tapes_aside(struct life *life);
// Of how many rows the status channel tells that they cannot be read any more, or would have where
// that was lost, too. `aside`: tapes in quarantine when the life ended.
uint64_t simulation_rows_told_lost(struct life *life, uint32_t aside);

// ---- simulation_kafka.c ----

// What the broker has got is what is stored, each row, in the order of its key where none was
// refused.
void simulation_judge_kafka(struct life *life, const struct simulation_groups *groups);

#endif
