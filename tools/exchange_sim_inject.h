// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_inject: what is to happen in the made-up market, and when: as text, one a SPEC.
//
//     "kind=surge,symbol=binance:BTCUSDT,at=10s,size=8%,over=5s"
//
// docs/exchange-sim.md has the kinds; exchange_sim_market_inject.c makes them happen. Times count
// from the beginning of sending. Pure but for reading files of SPECs; one owner.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_INJECT_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_INJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_market.h"

enum exchange_sim_inject_kind {
    EXCHANGE_SIM_INJECT_SURGE,  // the price rises by `size` within `over` and stays
    EXCHANGE_SIM_INJECT_CRASH,  // falls
    EXCHANGE_SIM_INJECT_BURST,  // quantities are `size` times what they were, for `over`
    EXCHANGE_SIM_INJECT_SPREAD, // best bid and ask are `size` of the middle apart, for `over`
    EXCHANGE_SIM_INJECT_KINDS,
};

enum { EXCHANGE_SIM_INJECTS_MAX = 256, EXCHANGE_SIM_INJECT_WHY_SIZE = 160 };

struct exchange_sim_inject {
    enum exchange_sim_inject_kind kind;
    enum exchange_sim_exchange exchange;
    char symbol[MARKET_NAME_SIZE];
    int64_t at_us;
    int64_t over_us;
    int64_t size_ppm;
};

struct exchange_sim_injects {
    uint32_t count;
    struct exchange_sim_inject at[EXCHANGE_SIM_INJECTS_MAX]; // of a symbol: in order of time
};

const char *exchange_sim_inject_name(enum exchange_sim_inject_kind kind);
// Adds a SPEC, or those of a file ("@FILE": one a line, # begins a remark). False with `why` where
// it is none, where two of a symbol overlap, or where there are too many.
bool exchange_sim_inject_read(struct exchange_sim_injects *injects, const char *text,
                              char why[EXCHANGE_SIM_INJECT_WHY_SIZE]);

#endif
