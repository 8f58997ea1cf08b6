// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_rest: what the exchanges answer over HTTP.
//
// Binance spot under /api/v3/ and futures under /fapi/v1/: ping, time, exchangeInfo, depth,
// ticker/24hr, trades, historicalTrades. Upbit: /v1/market/all. A recorded reply to the same
// question goes out as it was recorded; everything else comes from the made-up market or the
// recordings' symbols. Weights per minute are counted as Binance does, in X-MBX-USED-WEIGHT-1M;
// above the limit: 429.
//
// Ownership: one growing buffer for bodies. Threading: the server's loop.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_REST_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_REST_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_hub.h"
#include "tools/exchange_sim_market.h"
#include "tools/exchange_sim_reel.h"

struct exchange_sim_rest {
    const struct exchange_sim_hub *hub;
    const struct exchange_sim_market *market; // or NULL
    const struct exchange_sim_reel *reel;     // or NULL
    uint32_t stream_count;                    // of the hub at the start: those of the recordings
    char *body;
    uint32_t body_capacity;
    bool limits;
    int64_t weight_minute[EXCHANGE_SIM_EXCHANGES]; // UTC minute the weights are of
    uint32_t weight[EXCHANGE_SIM_EXCHANGES];
};

bool exchange_sim_rest_open(struct exchange_sim_rest *rest, const struct exchange_sim_hub *hub,
                            const struct exchange_sim_market *market,
                            const struct exchange_sim_reel *reel, bool limits);
void exchange_sim_rest_close(struct exchange_sim_rest *rest);

#endif
