// SPDX-License-Identifier: GPL-3.0-or-later
//
// Names as in configurations and stored symbols.
#include "tools/exchange_sim_name.h"

#include <string.h>

#include "format/ensure.h"

static const char *const exchange_names[EXCHANGE_SIM_EXCHANGES] = {"binance", "binance-usdm",
                                                                   "upbit"};

const char *exchange_sim_exchange_name(enum exchange_sim_exchange exchange)
{
    ensure(exchange < EXCHANGE_SIM_EXCHANGES);
    return exchange_names[exchange];
}

enum exchange_sim_exchange exchange_sim_exchange_by_name(const char *name, uint32_t size)
{
    for (int i = 0; i < EXCHANGE_SIM_EXCHANGES; i++)
        if (strlen(exchange_names[i]) == size && memcmp(exchange_names[i], name, size) == 0)
            return (enum exchange_sim_exchange)i;
    return EXCHANGE_SIM_EXCHANGES;
}
