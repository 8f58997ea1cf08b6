// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_fault_spec: which faults there are, how often each is asked for, and the clocks that
// say when the next one comes. docs/exchange-sim.md has the table of what each kind does.
//
//     "drop=2,reset=off,seed=7,times=3,channels=trade+depth,default"
//
// A clock belongs to one connection or one exchange. Its times are a function of seed, exchange,
// number and kind alone: exponentially distributed around the kind's mean, counted from the opening
// of the clock.
//
// Pure: time comes from outside. Threading: one owner each.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_FAULT_SPEC_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_FAULT_SPEC_H

#include <stdbool.h>
#include <stdint.h>

enum exchange_sim_fault_kind {
    // Of the messages of one connection.
    EXCHANGE_SIM_FAULT_DROP,
    EXCHANGE_SIM_FAULT_GAP,
    EXCHANGE_SIM_FAULT_DUPLICATE,
    EXCHANGE_SIM_FAULT_REORDER,
    EXCHANGE_SIM_FAULT_LATE,
    EXCHANGE_SIM_FAULT_STAMP,
    EXCHANGE_SIM_FAULT_WINDOWS,
    // Of one connection.
    EXCHANGE_SIM_FAULT_FIN,
    EXCHANGE_SIM_FAULT_RESET,
    EXCHANGE_SIM_FAULT_CUT,
    EXCHANGE_SIM_FAULT_CLOSE,
    EXCHANGE_SIM_FAULT_MUTE,
    EXCHANGE_SIM_FAULT_DEAF,
    EXCHANGE_SIM_FAULT_SLOW,
    EXCHANGE_SIM_FAULT_SHUTDOWN,
    // Of an exchange.
    EXCHANGE_SIM_FAULT_DROP_ALL,
    EXCHANGE_SIM_FAULT_OUTAGE,
    EXCHANGE_SIM_FAULT_RESTART,
    EXCHANGE_SIM_FAULT_RESTART_BOOK,
    EXCHANGE_SIM_FAULT_LIST,
    EXCHANGE_SIM_FAULT_DELIST,
    // Of its REST server.
    EXCHANGE_SIM_FAULT_REST_ERROR,
    EXCHANGE_SIM_FAULT_REST_HANGUP,
    EXCHANGE_SIM_FAULT_REST_LIMIT,
    EXCHANGE_SIM_FAULT_REST_BAN,
    EXCHANGE_SIM_FAULT_REST_WAF,
    EXCHANGE_SIM_FAULT_REST_SLOW,
    EXCHANGE_SIM_FAULT_REST_SHORT,
    EXCHANGE_SIM_FAULT_REST_OVERLAP,
    EXCHANGE_SIM_FAULT_REST_DOWN,
    EXCHANGE_SIM_FAULT_KINDS,
    EXCHANGE_SIM_FAULT_NONE = EXCHANGE_SIM_FAULT_KINDS,
};

enum {
    EXCHANGE_SIM_FAULT_CHANNELS_MAX = 8,
    EXCHANGE_SIM_FAULT_CHANNEL_SIZE = 16,
    EXCHANGE_SIM_FAULT_WHY_SIZE = 160,
};

struct exchange_sim_fault_spec {
    bool seeded;
    uint64_t seed;
    int64_t mean_ns[EXCHANGE_SIM_FAULT_KINDS]; // 0: none of that kind
    // Of message faults; count 0: all.
    char channels[EXCHANGE_SIM_FAULT_CHANNELS_MAX][EXCHANGE_SIM_FAULT_CHANNEL_SIZE];
    uint32_t channel_count;
};

// "drop_all".
const char *exchange_sim_fault_name(enum exchange_sim_fault_kind kind);
// NULL or an empty text: the default mix. False: `why` says what is wrong.
bool exchange_sim_fault_spec_read(struct exchange_sim_fault_spec *spec, const char *text,
                                  char why[EXCHANGE_SIM_FAULT_WHY_SIZE]);
// Does a message fault hit this channel ("trade", "depth").
bool exchange_sim_fault_channel(const struct exchange_sim_fault_spec *spec, const char *channel);

struct exchange_sim_fault_clock {
    const struct exchange_sim_fault_spec *spec;
    bool open;
    uint64_t random[EXCHANGE_SIM_FAULT_KINDS];
    int64_t next_ns[EXCHANGE_SIM_FAULT_KINDS];
};

// `number`: of the connection, from 1; 0: the clock of the exchange itself.
void exchange_sim_fault_clock_open(struct exchange_sim_fault_clock *clock,
                                   const struct exchange_sim_fault_spec *spec, uint32_t exchange,
                                   uint64_t number, int64_t now_ns);
// True once for each time that has come. Times that passed while nobody asked are left out.
bool exchange_sim_fault_due(struct exchange_sim_fault_clock *clock,
                            enum exchange_sim_fault_kind kind, int64_t now_ns);
// The next number of the kind's own sequence.
uint64_t exchange_sim_fault_random(struct exchange_sim_fault_clock *clock,
                                   enum exchange_sim_fault_kind kind);
// Evenly from least to most, both included.
int64_t exchange_sim_fault_between(struct exchange_sim_fault_clock *clock,
                                   enum exchange_sim_fault_kind kind, int64_t least, int64_t most);

#endif
