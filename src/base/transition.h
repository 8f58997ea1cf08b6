// SPDX-License-Identifier: GPL-3.0-or-later
//
// transition: an arrow of a state machine that a header comment draws, told as it is taken. The
// simulation defines transition_seen(): it counts the arrows, and ends a life in which one is taken
// that nobody drew. In every other program there is no such function, and what is left of this is a
// load and a branch with each change of state; none is on the way of an event.
//
// Threading: of whoever changes the state.
#ifndef RINGTAPE_BASE_TRANSITION_H
#define RINGTAPE_BASE_TRANSITION_H

#include <stddef.h>
#include <stdint.h>

enum transition_machine { // and where it is drawn
    TRANSITION_LINK,      // capture/link.c
    TRANSITION_REST,      // capture/rest.c
    TRANSITION_MEND,      // capture/mend.h
    TRANSITION_HOLE,      // capture/coverage.h
    TRANSITION_RANGE,     // capture/arbiter_range.c
    TRANSITION_TIMED,     // capture/arbiter_timed.c
    TRANSITION_TAIL,      // capture/arbiter_audit.c
    TRANSITION_SHARD,     // capture/shard.c
    TRANSITION_LEDGER,    // capture/shard_ledger.c
    TRANSITION_SEALER,    // keep/sealer.c
    TRANSITION_TAPE_FILE, // keep/tape_file.h
    TRANSITION_MACHINES,
};

// Of machines whose state is no variable of its own.
enum transition_range { RANGE_FOLLOWS, RANGE_WAITS, RANGE_GAP };
enum transition_timed { TIMED_STORED, TIMED_DOWN, TIMED_REFUSED, TIMED_LOST, TIMED_TO_WALK };
enum transition_tail { TAIL_NAMED, TAIL_WANTED, TAIL_HOLE, TAIL_ENDED, TAIL_LOST };

// `from`, `to`: of the machine's own enum.
void transition_seen(enum transition_machine machine, uint32_t from, uint32_t to)
    __attribute__((weak));

static inline void transition(enum transition_machine machine, uint32_t from, uint32_t to)
{
    if (transition_seen != NULL) transition_seen(machine, from, to);
}

#endif
