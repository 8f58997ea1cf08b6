// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_rest: what the exchanges answer over HTTP.
//
// Binance spot under /api/v3/ and futures under /fapi/v1/: ping, time, exchangeInfo, depth,
// ticker/24hr, trades, historicalTrades, aggTrades. Upbit under /v1/: market/all, trades/ticks,
// orderbook, ticker. A recorded reply to the same question goes out as it was recorded; everything
// else comes from the made-up market or the recordings' symbols. Spot writes and reads times in
// microseconds where X-MBX-TIME-UNIT asks for them. Weights per minute are counted as Binance does,
// in X-MBX-USED-WEIGHT and X-MBX-USED-WEIGHT-1M; Upbit tells what is left in Remaining-Req.
//
// Sources: binance-spot-api-docs rest-api.md, the derivatives' market data pages, docs.upbit.com.
// Ownership: one growing buffer for bodies. Threading: the server's loop.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_REST_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_REST_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_archive.h"
#include "tools/exchange_sim_budget.h"
#include "tools/exchange_sim_hub.h"
#include "tools/exchange_sim_market.h"
#include "tools/exchange_sim_reel.h"

enum { EXCHANGE_SIM_UPBIT_GROUPS = 4 };

struct exchange_sim_rest_options {
    uint32_t budget[EXCHANGE_SIM_EXCHANGES]; // weight a minute, Upbit: requests a second; 0: any
    uint32_t ban_seconds;
    struct exchange_sim_archive archive;
};

struct exchange_sim_rest {
    const struct exchange_sim_hub *hub;
    const struct exchange_sim_market *market; // or NULL
    const struct exchange_sim_reel *reel;     // or NULL
    struct exchange_sim_rest_options options;
    uint32_t stream_count; // of the hub at the start: those of the recordings
    char *body;
    uint32_t body_capacity;
    struct exchange_sim_market_trade *page; // of Upbit, being sorted
    struct exchange_sim_budget binance[EXCHANGE_SIM_EXCHANGES];
    struct exchange_sim_budget upbit[EXCHANGE_SIM_UPBIT_GROUPS];
};

bool exchange_sim_rest_open(struct exchange_sim_rest *rest, const struct exchange_sim_hub *hub,
                            const struct exchange_sim_market *market,
                            const struct exchange_sim_reel *reel,
                            const struct exchange_sim_rest_options *options);
void exchange_sim_rest_close(struct exchange_sim_rest *rest);
// An exchange_sim_answer; `server->rest` is what it answers from.
void exchange_sim_rest_request(struct exchange_sim_connection *connection, const char *target,
                               uint32_t target_size);

#endif
