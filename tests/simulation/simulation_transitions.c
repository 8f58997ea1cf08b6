// SPDX-License-Identifier: GPL-3.0-or-later
//
// The arrows that src/ draws, each by the drawing it stands in, and how often it was taken. One
// that is taken and not drawn ends the life: the drawing is wrong, or the code.
#include "tests/simulation/simulation.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/transition.h"
#include "capture/coverage.h"
#include "capture/link.h"
#include "capture/mend.h"
#include "capture/rest.h"
#include "capture/shard_parts.h"
#include "keep/sealer_inside.h"
#include "keep/tape_file.h"

struct arrow {
    enum transition_machine machine;
    uint32_t from;
    uint32_t to;
    const char *name;
};

#define LINK(from, to) {TRANSITION_LINK, LINK_##from, LINK_##to, "link " #from " " #to}
#define REST(from, to) {TRANSITION_REST, REST_##from, REST_##to, "rest " #from " " #to}
#define MEND(from, to) {TRANSITION_MEND, MEND_##from, MEND_##to, "mend " #from " " #to}
#define HOLE(from, to) {TRANSITION_HOLE, COVERAGE_##from, COVERAGE_##to, "hole " #from " " #to}
#define RANGE(from, to) {TRANSITION_RANGE, RANGE_##from, RANGE_##to, "range " #from " " #to}
#define TIMED(from, to) {TRANSITION_TIMED, TIMED_##from, TIMED_##to, "timed " #from " " #to}
#define TAIL(from, to) {TRANSITION_TAIL, TAIL_##from, TAIL_##to, "tail " #from " " #to}
#define SHARD(from, to) {TRANSITION_SHARD, SHARD_##from, SHARD_##to, "shard " #from " " #to}
#define LEDGER(from, to)                                                                           \
    {TRANSITION_LEDGER, SHARD_LEDGER_##from, SHARD_LEDGER_##to, "ledger " #from " " #to}
#define SEALER(from, to) {TRANSITION_SEALER, SEALER_##from, SEALER_##to, "sealer " #from " " #to}
#define TAPE(from, to)                                                                             \
    {TRANSITION_TAPE_FILE, TAPE_FILE_##from, TAPE_FILE_##to, "tape " #from " " #to}

static const struct arrow arrows[] = {
    LINK(IDLE, RESOLVING),
    LINK(IDLE, BACKOFF),
    LINK(RESOLVING, CONNECTING),
    LINK(RESOLVING, DRAINING),
    LINK(CONNECTING, CONNECTING),
    LINK(CONNECTING, HANDSHAKING),
    LINK(CONNECTING, DRAINING),
    LINK(HANDSHAKING, UPGRADING),
    LINK(UPGRADING, SUBSCRIBING),
    LINK(UPGRADING, DRAINING),
    LINK(SUBSCRIBING, LIVE),
    LINK(SUBSCRIBING, UNSUBSCRIBING),
    LINK(SUBSCRIBING, DRAINING),
    LINK(LIVE, UNSUBSCRIBING),
    LINK(LIVE, DRAINING),
    LINK(UNSUBSCRIBING, DRAINING),
    LINK(DRAINING, BACKOFF),
    LINK(DRAINING, IDLE),
    LINK(BACKOFF, RESOLVING),
    LINK(BACKOFF, BACKOFF),
    LINK(BACKOFF, DRAINING),
    REST(IDLE, RESOLVING),
    REST(IDLE, WAITING),
    REST(IDLE, WAKING),
    REST(IDLE, PARTING),
    REST(WAKING, WAITING),
    REST(WAKING, RENEWING),
    REST(WAKING, CLOSING),
    REST(RESOLVING, CONNECTING),
    REST(RESOLVING, CLOSING),
    REST(CONNECTING, CONNECTING),
    REST(CONNECTING, HANDSHAKING),
    REST(CONNECTING, CLOSING),
    REST(HANDSHAKING, WAITING),
    REST(WAITING, RESTING),
    REST(WAITING, RENEWING),
    REST(WAITING, CLOSING),
    REST(RESTING, IDLE),
    REST(RESTING, CLOSING),
    REST(CLOSING, IDLE),
    REST(RENEWING, RESOLVING),
    REST(RENEWING, CLOSING),
    REST(PARTING, IDLE),
    MEND(FREE, WAITING),
    MEND(WAITING, ASKING),
    MEND(WAITING, FREE),
    MEND(ASKING, WAITING),
    MEND(ASKING, FREE),
    HOLE(FREE, SUSPECTED),
    HOLE(FREE, OPEN),
    HOLE(SUSPECTED, OPEN),
    HOLE(SUSPECTED, FREE),
    HOLE(OPEN, FREE),
    RANGE(FOLLOWS, WAITS),
    RANGE(WAITS, FOLLOWS),
    RANGE(WAITS, GAP),
    TIMED(STORED, DOWN),
    TIMED(DOWN, TO_WALK),
    TAIL(NAMED, WANTED),
    TAIL(WANTED, NAMED),
    TAIL(WANTED, HOLE),
    TAIL(WANTED, ENDED),
    TAIL(WANTED, LOST),
    TAIL(ENDED, NAMED),
    TAIL(LOST, NAMED),
    SHARD(RUNNING, CLOSING_LINKS),
    SHARD(CLOSING_LINKS, CLOSING_TAPE),
    SHARD(CLOSING_TAPE, CLOSING_LEDGER),
    SHARD(CLOSING_LEDGER, ENDED),
    LEDGER(IDLE, TAKEN),
    LEDGER(TAKEN, TAKEN),
    LEDGER(TAKEN, WRITING),
    LEDGER(WRITING, IDLE),
    SEALER(IDLE, OPENING),
    SEALER(IDLE, SWAPPING),
    SEALER(IDLE, LOOKING),
    SEALER(IDLE, STOPPED),
    SEALER(LOOKING, IDLE),
    SEALER(OPENING, WRITING),
    SEALER(OPENING, CLOSING),
    SEALER(WRITING, CLOSING),
    SEALER(CLOSING, SWAPPING),
    SEALER(CLOSING, REMOVING),
    SEALER(CLOSING, TELLING),
    SEALER(TELLING, SWAPPING),
    SEALER(CLOSING, RETRYING),
    SEALER(CLOSING, CLEARING),
    SEALER(SWAPPING, REMOVING),
    SEALER(SWAPPING, RETRYING),
    SEALER(SWAPPING, CLEARING),
    SEALER(SWAPPING, IDLE),
    SEALER(REMOVING, IDLE),
    SEALER(CLEARING, RETRYING),
    SEALER(RETRYING, IDLE),
    TAPE(IDLE, PREPARING),
    TAPE(PREPARING, READY),
    TAPE(PREPARING, CLOSING),
    TAPE(READY, CLOSING),
    TAPE(CLOSING, IDLE),
    LINK(HANDSHAKING, DRAINING), // with TLS
    REST(HANDSHAKING, CLOSING),
};
// Drawn, but taken within a moment of another event only: tests/rest_test.c takes them.
static const struct arrow seldom[] = {
    REST(IDLE, RENEWING), // asked in the callback, after a reload
    REST(PARTING, CLOSING),
    SEALER(TELLING, RETRYING), // a stop: tests/sealer_faults_test.c
    SEALER(TELLING, CLEARING), // the same
    SEALER(RETRYING, SWAPPING), // the store's directory is not synced: tests/sealer_clear_test.c
};
enum {
    ARROWS = sizeof arrows / sizeof *arrows,
    SELDOM = sizeof seldom / sizeof *seldom,
    STATES_MAX = 16,
};
_Static_assert(ARROWS <= SIMULATION_ARROWS_MAX, "one counter each");

static uint64_t taken[TRANSITION_MACHINES][STATES_MAX][STATES_MAX];
static struct arrow awaited;
static uint64_t awaited_from; // how often it had been taken

static bool is_drawn(enum transition_machine machine, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < ARROWS + SELDOM; i++) {
        const struct arrow *at = i < ARROWS ? &arrows[i] : &seldom[i - ARROWS];
        if (at->machine == machine && at->from == from && at->to == to) return true;
    }
    return false;
}

void transition_seen(enum transition_machine machine, uint32_t from, uint32_t to)
{
    if (machine >= TRANSITION_MACHINES || from >= STATES_MAX || to >= STATES_MAX ||
        (taken[machine][from][to] == 0 && !is_drawn(machine, from, to))) {
        (void)fprintf(stderr, "machine %d: %u to %u is not drawn\n", (int)machine, from, to);
        abort();
    }
    taken[machine][from][to]++;
}

// What may happen in states that last a moment has to be aimed at.
static bool is_brief(const struct arrow *arrow)
{
    switch (arrow->machine) {
    case TRANSITION_LINK: return arrow->to == LINK_UPGRADING || arrow->to == LINK_SUBSCRIBING;
    case TRANSITION_REST:
        return arrow->to == REST_WAKING || arrow->to == REST_RENEWING ||
               arrow->to == REST_PARTING || arrow->to == REST_RESTING;
    case TRANSITION_LEDGER: return arrow->to == SHARD_LEDGER_TAKEN;
    default: return false;
    }
}

static bool writes_files(const struct arrow *arrow)
{
    switch (arrow->machine) {
    case TRANSITION_LEDGER: return arrow->from == SHARD_LEDGER_IDLE;
    case TRANSITION_SEALER:
        return (arrow->to == SEALER_SWAPPING && arrow->from != SEALER_TELLING) || // rare
               arrow->to == SEALER_REMOVING;
    case TRANSITION_TAPE_FILE:
        return arrow->to == TAPE_FILE_PREPARING || arrow->to == TAPE_FILE_CLOSING;
    default: return false;
    }
}

static bool is_aimed_at(const struct arrow *arrow, enum simulation_aim aim)
{
    return aim == SIMULATION_AIM_ANY || (aim == SIMULATION_AIM_BRIEF && is_brief(arrow)) ||
           (aim == SIMULATION_AIM_DISK && writes_files(arrow)) ||
           (aim == SIMULATION_AIM_TAKEN && arrow->machine == TRANSITION_LEDGER &&
            arrow->from == SHARD_LEDGER_IDLE) ||
           (aim == SIMULATION_AIM_LEDGER && arrow->machine == TRANSITION_LEDGER &&
            arrow->from == SHARD_LEDGER_WRITING);
}

void simulation_arrow_await(enum simulation_aim aim, uint64_t drawn)
{
    uint32_t some[ARROWS];
    uint32_t count = 0;
    for (uint32_t i = 0; i < ARROWS; i++) {
        if (is_aimed_at(&arrows[i], aim)) some[count++] = i;
    }
    awaited = arrows[some[drawn % count]];
    awaited_from = taken[awaited.machine][awaited.from][awaited.to];
}

bool simulation_arrow_came(void)
{
    return taken[awaited.machine][awaited.from][awaited.to] > awaited_from;
}

uint32_t simulation_arrow_count(void)
{
    return ARROWS;
}

const char *simulation_arrow_name(uint32_t arrow)
{
    return arrow < ARROWS ? arrows[arrow].name : "";
}

void simulation_arrows_taken(uint64_t counts[SIMULATION_ARROWS_MAX])
{
    for (uint32_t i = 0; i < ARROWS; i++)
        counts[i] = taken[arrows[i].machine][arrows[i].from][arrows[i].to];
}
