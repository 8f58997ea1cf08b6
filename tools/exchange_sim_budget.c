// SPDX-License-Identifier: GPL-3.0-or-later
//
// Windows are those of the clock, not of the first request, as the exchanges count.
#include "tools/exchange_sim_budget.h"

#include "format/ensure.h"

#define SECOND_NS ((int64_t)1000000000)
#define RAW_WINDOW_NS (300 * SECOND_NS)

enum { BAN_DOUBLINGS_MAX = 20 };

void exchange_sim_budget_open(struct exchange_sim_budget *budget, uint32_t limit,
                              int64_t window_ns, uint32_t ban_seconds)
{
    ensure(window_ns > 0 && window_ns <= RAW_WINDOW_NS);
    *budget = (struct exchange_sim_budget){
        .limit = limit, .window_ns = window_ns, .ban_seconds = ban_seconds};
}

static void budget_roll(struct exchange_sim_budget *budget, int64_t utc_ns)
{
    int64_t const window = utc_ns / budget->window_ns;
    int64_t const raw_window = utc_ns / RAW_WINDOW_NS;
    if (window != budget->window) {
        budget->window = window;
        budget->used = 0;
    }
    if (raw_window != budget->raw_window) {
        budget->raw_window = raw_window;
        budget->raw_used = 0;
    }
    if (budget->limited_until_ns != 0 && utc_ns >= budget->limited_until_ns) {
        budget->limited_until_ns = 0;
        budget->ignored = 0;
    }
}

static uint32_t seconds_until(int64_t until_ns, int64_t utc_ns)
{
    ensure(until_ns > utc_ns);
    return (uint32_t)((until_ns - utc_ns + SECOND_NS - 1) / SECOND_NS);
}

static void budget_ban(struct exchange_sim_budget *budget, int64_t utc_ns)
{
    int64_t seconds = budget->ban_seconds;
    for (uint32_t i = 0; i < budget->bans && i < BAN_DOUBLINGS_MAX; i++)
        seconds = seconds * 2 < BUDGET_BAN_SECONDS_MAX ? seconds * 2 : BUDGET_BAN_SECONDS_MAX;
    budget->bans++;
    budget->banned_until_ns = utc_ns + seconds * SECOND_NS;
    budget->limited_until_ns = 0;
    budget->ignored = 0;
}

enum exchange_sim_verdict exchange_sim_budget_spend(struct exchange_sim_budget *budget,
                                                    int64_t utc_ns, uint32_t weight,
                                                    uint32_t *retry_seconds)
{
    ensure(budget->window_ns > 0);
    *retry_seconds = 0;
    budget_roll(budget, utc_ns);
    budget->used += weight;
    budget->raw_used++;
    if (budget->limit == 0)
        return EXCHANGE_SIM_ALLOWED;
    bool const raw_over = budget->raw_used > BUDGET_RAW_REQUESTS;
    if (budget->limited_until_ns != 0 && ++budget->ignored > BUDGET_IGNORED_MAX)
        budget_ban(budget, utc_ns);
    if (budget->banned_until_ns > utc_ns) {
        *retry_seconds = seconds_until(budget->banned_until_ns, utc_ns);
        return EXCHANGE_SIM_BANNED;
    }
    if (budget->used <= budget->limit && !raw_over)
        return EXCHANGE_SIM_ALLOWED;
    int64_t const until_ns = raw_over ? (budget->raw_window + 1) * RAW_WINDOW_NS
                                      : (budget->window + 1) * budget->window_ns;
    budget->limited_until_ns = until_ns;
    *retry_seconds = seconds_until(until_ns, utc_ns);
    return EXCHANGE_SIM_LIMITED;
}

uint32_t exchange_sim_budget_left(const struct exchange_sim_budget *budget)
{
    return budget->used >= budget->limit ? 0 : budget->limit - budget->used;
}
