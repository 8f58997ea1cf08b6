// SPDX-License-Identifier: GPL-3.0-or-later
//
// A made-up market that nobody listens to: it stands still, and makes up for nothing afterwards.
#include <criterion/criterion.h>

#include "tools/exchange_sim_hub.h"
#include "tools/exchange_sim_source.h"

#define START_NS ((int64_t)1763850000000000000)
#define MILLISECOND_NS ((int64_t)1000000)

enum { RATE = 1000, PUMP_EVENTS = 100000 };

struct idle_rig {
    struct exchange_sim_hub hub;
    struct exchange_sim_market *market;
    struct exchange_sim_source source;
    int64_t now_ns; // monotonic
};

static void rig_open(struct idle_rig *rig)
{
    struct exchange_sim_market_options const market = {
        .seed = 5, .symbols = {4, 0, 0}, .start_us = START_NS / 1000};
    struct exchange_sim_source_options const options = {.pace = EXCHANGE_SIM_PACE_RATE,
                                                        .rate = RATE};
    cr_assert(exchange_sim_hub_open(&rig->hub, NULL));
    rig->market = exchange_sim_market_open(&market);
    cr_assert_not_null(rig->market);
    cr_assert(exchange_sim_source_open(&rig->source, &options, &rig->hub, NULL, rig->market));
    rig->now_ns = 1000 * MILLISECOND_NS;
    exchange_sim_source_start(&rig->source, rig->now_ns, START_NS);
}

static void rig_pump(struct idle_rig *rig, int64_t milliseconds)
{
    for (int64_t ms = 0; ms < milliseconds; ms++, rig->now_ns += MILLISECOND_NS)
        cr_assert_geq(exchange_sim_source_pump(&rig->source, rig->now_ns, PUMP_EVENTS), 0);
}

static int64_t trades(const struct idle_rig *rig)
{
    int64_t count = 0;
    for (uint32_t s = 0; s < exchange_sim_market_count(rig->market); s++)
        count += exchange_sim_market_symbol(rig->market, s)->trade_count;
    return count;
}

static void rig_close(struct idle_rig *rig)
{
    exchange_sim_source_close(&rig->source);
    exchange_sim_market_close(rig->market);
    cr_assert(exchange_sim_hub_close(&rig->hub));
}

Test(exchange_sim_idle, without_subscribers_no_trade_is_made)
{
    static struct idle_rig rig;
    rig_open(&rig);
    int64_t const before = trades(&rig);
    rig_pump(&rig, 3000);
    cr_assert_eq(trades(&rig), before);
    rig_close(&rig);
}

Test(exchange_sim_idle, who_comes_later_gets_the_rate_and_no_burst)
{
    static struct idle_rig rig;
    rig_open(&rig);
    rig.hub.whole = true; // as if somebody listened to everything
    rig_pump(&rig, 1000);
    cr_assert_leq(rig.source.scheduled, RATE + 10);
    rig.hub.whole = false;
    rig_pump(&rig, 5000);
    int64_t const before = rig.source.scheduled;
    cr_assert_leq(before, RATE + 20);
    rig.hub.whole = true;
    rig_pump(&rig, 100);
    cr_assert_leq(rig.source.scheduled - before, RATE / 10 + 20);
    rig_pump(&rig, 900);
    cr_assert_geq(rig.source.scheduled - before, RATE - 20, "%ld",
                  (long)(rig.source.scheduled - before));
    int64_t const utc_ns = START_NS + rig.now_ns - 1000 * MILLISECOND_NS;
    cr_assert_leq(utc_ns - rig.source.event.due_ns, 10 * MILLISECOND_NS, "the clock's time");
    rig_close(&rig);
}
