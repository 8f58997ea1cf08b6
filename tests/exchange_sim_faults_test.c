// SPDX-License-Identifier: GPL-3.0-or-later
//
// What exchange-sim's faults and budgets follow from: specifications, clocks, windows of the clock.
// What the faults do is tested by independent clients (tests/peers/exchange_sim_faults_test.py).
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "tools/exchange_sim_budget.h"
#include "tools/exchange_sim_fault_spec.h"

#define SECOND_NS ((int64_t)1000000000)
#define MINUTE_NS (60 * SECOND_NS)

static struct exchange_sim_fault_spec spec_of(const char *text)
{
    struct exchange_sim_fault_spec spec;
    char why[EXCHANGE_SIM_FAULT_WHY_SIZE];
    cr_assert(exchange_sim_fault_spec_read(&spec, text, why), "%s: %s", text, why);
    return spec;
}

Test(exchange_sim_faults, without_kinds_the_default_mix)
{
    struct exchange_sim_fault_spec const spec = spec_of(NULL);
    cr_expect_eq(spec.mean_ns[EXCHANGE_SIM_FAULT_DROP], 4 * SECOND_NS);
    cr_expect_eq(spec.mean_ns[EXCHANGE_SIM_FAULT_RESTART], 0, "ids begin anew only where asked");
    cr_expect_not(spec.seeded);
    struct exchange_sim_fault_spec const seeded = spec_of("seed=7,times=2");
    cr_expect_eq(seeded.seed, 7u);
    cr_expect_eq(seeded.mean_ns[EXCHANGE_SIM_FAULT_DROP], 2 * SECOND_NS);
}

Test(exchange_sim_faults, named_kinds_alone_or_with_the_mix)
{
    struct exchange_sim_fault_spec const alone = spec_of("reset=1.5,channels=trade+depth");
    cr_expect_eq(alone.mean_ns[EXCHANGE_SIM_FAULT_RESET], 1500000000);
    cr_expect_eq(alone.mean_ns[EXCHANGE_SIM_FAULT_DROP], 0);
    cr_expect(exchange_sim_fault_channel(&alone, "depth"));
    cr_expect_not(exchange_sim_fault_channel(&alone, "ticker"));
    struct exchange_sim_fault_spec const with = spec_of("default,reset=1,mute=off");
    cr_expect_eq(with.mean_ns[EXCHANGE_SIM_FAULT_RESET], SECOND_NS);
    cr_expect_eq(with.mean_ns[EXCHANGE_SIM_FAULT_MUTE], 0);
    cr_expect_gt(with.mean_ns[EXCHANGE_SIM_FAULT_DROP], 0);
    cr_expect(exchange_sim_fault_channel(&with, "ticker"));
    struct exchange_sim_fault_spec const less = spec_of("drop=off");
    cr_expect_eq(less.mean_ns[EXCHANGE_SIM_FAULT_DROP], 0);
    cr_expect_gt(less.mean_ns[EXCHANGE_SIM_FAULT_GAP], 0, "the mix but for what is off");
}

Test(exchange_sim_faults, every_kind_has_a_name_of_its_own)
{
    char text[64];
    for (int i = 0; i < EXCHANGE_SIM_FAULT_KINDS; i++) {
        const char *name = exchange_sim_fault_name((enum exchange_sim_fault_kind)i);
        cr_assert(snprintf(text, sizeof text, "%s=3", name) > 0);
        struct exchange_sim_fault_spec const spec = spec_of(text);
        for (int other = 0; other < EXCHANGE_SIM_FAULT_KINDS; other++)
            cr_expect_eq(spec.mean_ns[other] != 0, other == i, "%s", name);
    }
}

static uint32_t times_due(struct exchange_sim_fault_clock *clock, int64_t until_ns, int64_t *times,
                          uint32_t most)
{
    uint32_t count = 0;
    for (int64_t now_ns = 0; now_ns < until_ns; now_ns += SECOND_NS / 1000)
        if (exchange_sim_fault_due(clock, EXCHANGE_SIM_FAULT_DROP, now_ns) && count < most)
            times[count++] = now_ns;
    return count;
}

Test(exchange_sim_faults, a_clock_is_a_function_of_seed_and_number)
{
    enum { MOST = 4000 };
    static int64_t times[3][MOST];
    uint32_t counts[3];
    struct exchange_sim_fault_spec const spec = spec_of("drop=0.5,seed=3");
    uint64_t const numbers[] = {1, 1, 2};
    for (int i = 0; i < 3; i++) {
        struct exchange_sim_fault_clock clock;
        exchange_sim_fault_clock_open(&clock, &spec, 0, numbers[i], 0);
        counts[i] = times_due(&clock, 1000 * SECOND_NS, times[i], MOST);
    }
    cr_expect_eq(counts[0], counts[1]);
    cr_expect_eq(memcmp(times[0], times[1], counts[0] * sizeof times[0][0]), 0);
    cr_expect_neq(memcmp(times[0], times[2], 100 * sizeof times[0][0]), 0,
                  "redundant links see different faults");
    // 2,000 expected; the exponential distribution is some percent off, the rest is chance.
    cr_expect(counts[0] > 1750 && counts[0] < 2250, "%u", counts[0]);
    uint32_t close = 0;
    for (uint32_t i = 1; i < counts[0]; i++)
        close += times[0][i] - times[0][i - 1] < SECOND_NS / 10;
    cr_expect(close * 100 > counts[0] * 12 && close * 100 < counts[0] * 25,
              "a fifth of the intervals is below a fifth of the mean: %u", close);
}

Test(exchange_sim_faults, times_nobody_asked_for_are_left_out)
{
    struct exchange_sim_fault_spec const spec = spec_of("drop=0.1");
    struct exchange_sim_fault_clock clock;
    exchange_sim_fault_clock_open(&clock, &spec, 1, 5, 0);
    cr_expect(exchange_sim_fault_due(&clock, EXCHANGE_SIM_FAULT_DROP, 100 * SECOND_NS));
    cr_expect_not(exchange_sim_fault_due(&clock, EXCHANGE_SIM_FAULT_DROP, 100 * SECOND_NS));
    cr_expect_not(exchange_sim_fault_due(&clock, EXCHANGE_SIM_FAULT_GAP, 200 * SECOND_NS));
    for (int i = 0; i < 1000; i++) {
        int64_t const value = exchange_sim_fault_between(&clock, EXCHANGE_SIM_FAULT_GAP, 3, 5);
        cr_assert(value >= 3 && value <= 5);
    }
}

// ---- budgets ----

struct spending {
    int64_t at_ns;
    uint32_t weight;
    enum exchange_sim_verdict verdict;
    uint32_t retry_seconds;
    uint32_t used;
};

Test(exchange_sim_faults, a_budget_is_over_until_the_minute_is)
{
    static const struct spending spendings[] = {
        {10 * SECOND_NS, 60, EXCHANGE_SIM_ALLOWED, 0, 60},
        {20 * SECOND_NS, 40, EXCHANGE_SIM_ALLOWED, 0, 100},
        {30 * SECOND_NS, 1, EXCHANGE_SIM_LIMITED, 30, 101},
        {59 * SECOND_NS + 1, 1, EXCHANGE_SIM_LIMITED, 1, 102},
        {MINUTE_NS, 100, EXCHANGE_SIM_ALLOWED, 0, 100},
        {2 * MINUTE_NS - 1, 1, EXCHANGE_SIM_LIMITED, 1, 101},
    };
    struct exchange_sim_budget budget;
    exchange_sim_budget_open(&budget, 100, MINUTE_NS, 120);
    for (size_t i = 0; i < sizeof spendings / sizeof spendings[0]; i++) {
        uint32_t retry_seconds;
        enum exchange_sim_verdict const verdict = exchange_sim_budget_spend(
            &budget, spendings[i].at_ns, spendings[i].weight, &retry_seconds);
        cr_expect_eq(verdict, spendings[i].verdict, "%zu", i);
        cr_expect_eq(retry_seconds, spendings[i].retry_seconds, "%zu: %u", i, retry_seconds);
        cr_expect_eq(budget.used, spendings[i].used, "%zu", i);
    }
    cr_expect_eq(exchange_sim_budget_left(&budget), 0u);
}

// Asks eleven times after the 429 at `at_ns`; the last verdict.
static enum exchange_sim_verdict ignore_limit(struct exchange_sim_budget *budget, int64_t at_ns,
                                              uint32_t *retry_seconds)
{
    cr_assert_eq(exchange_sim_budget_spend(budget, at_ns, 101, retry_seconds),
                 EXCHANGE_SIM_LIMITED);
    for (int i = 0; i < BUDGET_IGNORED_MAX; i++)
        cr_assert_eq(exchange_sim_budget_spend(budget, at_ns, 1, retry_seconds),
                     EXCHANGE_SIM_LIMITED);
    return exchange_sim_budget_spend(budget, at_ns, 1, retry_seconds);
}

Test(exchange_sim_faults, who_ignores_429_is_banned_longer_each_time)
{
    struct exchange_sim_budget budget;
    uint32_t retry_seconds;
    exchange_sim_budget_open(&budget, 100, MINUTE_NS, 120);
    cr_expect_eq(ignore_limit(&budget, 0, &retry_seconds), EXCHANGE_SIM_BANNED);
    cr_expect_eq(retry_seconds, 120u);
    cr_expect_eq(exchange_sim_budget_spend(&budget, 119 * SECOND_NS, 1, &retry_seconds),
                 EXCHANGE_SIM_BANNED);
    cr_expect_eq(retry_seconds, 1u);
    cr_expect_eq(exchange_sim_budget_spend(&budget, 120 * SECOND_NS, 1, &retry_seconds),
                 EXCHANGE_SIM_ALLOWED);
    cr_expect_eq(ignore_limit(&budget, 10 * MINUTE_NS, &retry_seconds), EXCHANGE_SIM_BANNED);
    cr_expect_eq(retry_seconds, 240u);
    for (int i = 2; i < 30; i++)
        cr_assert_eq(ignore_limit(&budget, i * 5 * 1440 * MINUTE_NS, &retry_seconds),
                     EXCHANGE_SIM_BANNED);
    cr_expect_eq(retry_seconds, (uint32_t)BUDGET_BAN_SECONDS_MAX, "three days at most");
}

Test(exchange_sim_faults, no_limit_counts_all_the_same)
{
    struct exchange_sim_budget budget;
    uint32_t retry_seconds;
    exchange_sim_budget_open(&budget, 0, SECOND_NS, 120);
    for (uint32_t i = 1; i < 100000; i++) {
        cr_assert_eq(exchange_sim_budget_spend(&budget, 5, 1, &retry_seconds),
                     EXCHANGE_SIM_ALLOWED);
        cr_assert_eq(budget.used, i);
    }
}
