// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_name: the exchanges that are played, and their names.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_NAME_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_NAME_H

#include <stdint.h>

enum {
    // Of an event as the exchange sends it, before wrapping: 10,000 levels of 100 bytes.
    EXCHANGE_SIM_EVENT_SIZE_MAX = 1 << 20,
};

enum exchange_sim_exchange {
    EXCHANGE_SIM_BINANCE,
    EXCHANGE_SIM_USDM,
    EXCHANGE_SIM_UPBIT,
    EXCHANGE_SIM_EXCHANGES,
};
// "binance", "binance-usdm", "upbit".
const char *exchange_sim_exchange_name(enum exchange_sim_exchange exchange);
// EXCHANGE_SIM_EXCHANGES for an unknown name.
enum exchange_sim_exchange exchange_sim_exchange_by_name(const char *name, uint32_t size);

#endif
