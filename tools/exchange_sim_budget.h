// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_budget: how much a client may ask over REST, and what becomes of one who asks more.
//
// Binance: weight a minute of the clock (UTC) and 300,000 requests in five minutes, for each IP
// address; above it 429 until the minute is over. Who goes on asking before Retry-After is over is
// banned (418): two minutes, twice as long each time, three days at most. Upbit: ten requests a
// second in each group of end points. Sources: binance-spot-api-docs rest-api.md (LIMITS),
// docs.upbit.com rate-limits. All clients on loopback are one address.
//
// Pure: time comes from outside. Threading: one owner.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_BUDGET_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum {
    BUDGET_BINANCE_WEIGHT = 6000, // a minute
    BUDGET_USDM_WEIGHT = 2400,    // a minute
    BUDGET_UPBIT_REQUESTS = 10,   // a second
    BUDGET_RAW_REQUESTS = 300000, // in five minutes
    BUDGET_IGNORED_MAX = 10,      // requests after a 429 and before Retry-After; then banned
    BUDGET_BAN_SECONDS = 120,
    BUDGET_BAN_SECONDS_MAX = 3 * 86400,
};

enum exchange_sim_verdict {
    EXCHANGE_SIM_ALLOWED,
    EXCHANGE_SIM_LIMITED, // 429
    EXCHANGE_SIM_BANNED,  // 418
};

struct exchange_sim_budget {
    uint32_t limit; // weight in a window; 0: none
    int64_t window_ns;
    uint32_t ban_seconds;
    // State.
    int64_t window; // number of the current one
    uint32_t used;
    int64_t raw_window;
    uint32_t raw_used;
    int64_t limited_until_ns; // 429 was said; 0: not
    uint32_t ignored;
    int64_t banned_until_ns;
    uint32_t bans;
};

void exchange_sim_budget_open(struct exchange_sim_budget *budget, uint32_t limit,
                              int64_t window_ns, uint32_t ban_seconds);
// Counts a request of that weight. `retry_seconds`: Retry-After where it is not allowed.
enum exchange_sim_verdict exchange_sim_budget_spend(struct exchange_sim_budget *budget,
                                                    int64_t utc_ns, uint32_t weight,
                                                    uint32_t *retry_seconds);
// What is left of the window, at least 0.
uint32_t exchange_sim_budget_left(const struct exchange_sim_budget *budget);

#endif
