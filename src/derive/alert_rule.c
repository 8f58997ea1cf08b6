// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert_rule: rules: names, defaults, which symbols. Constant; any thread.
//
// The defaults are chosen so that the recordings of real markets the tests have (BTC, ETH, a thin
// altcoin) raise none, though BTC and ETH had bursts of 20 times and the altcoin moved 3 % in a minute,
// and so that a move of 5 % within half a minute does.
#include "derive/alert.h"

#include "format/ensure.h"
#include <stdio.h>
#include <string.h>

#define SECOND_NS 1000000000ll
#define MINUTE_NS (60 * SECOND_NS)

static const struct alert_rule standard[] = {
    {.name = "surge", .kind = ALERT_SURGE, .window_ns = MINUTE_NS, .threshold_ppm = 40000,
     .scaled_ppm = 8 * ALERT_ONE_PPM, .cooldown_ns = 5 * MINUTE_NS},
    {.name = "crash", .kind = ALERT_CRASH, .window_ns = MINUTE_NS, .threshold_ppm = 40000,
     .scaled_ppm = 8 * ALERT_ONE_PPM, .cooldown_ns = 5 * MINUTE_NS},
    {.name = "volume_burst", .kind = ALERT_VOLUME_BURST, .window_ns = 10 * SECOND_NS,
     .threshold_ppm = 50 * ALERT_ONE_PPM, .cooldown_ns = 5 * MINUTE_NS, .trades_min = 200},
    {.name = "spread", .kind = ALERT_SPREAD, .window_ns = 2 * SECOND_NS, .threshold_ppm = 20000,
     .scaled_ppm = 10 * ALERT_ONE_PPM, .cooldown_ns = 5 * MINUTE_NS},
    {.name = "silence", .kind = ALERT_SILENCE, .window_ns = MINUTE_NS},
};

enum { STANDARD_COUNT = sizeof standard / sizeof *standard };

void alert_rules_standard(struct alert_rules *rules)
{
    memset(rules, 0, sizeof *rules);
    for (uint32_t i = 0; i < STANDARD_COUNT; i++) {
        rules->at[rules->count] = standard[i];
        (void)snprintf(rules->at[rules->count++].symbols, ALERT_SYMBOLS_BYTES, "*");
    }
}

int alert_kind_of(const char *name)
{
    for (uint32_t i = 0; i < STANDARD_COUNT; i++) {
        if (strcmp(standard[i].name, name) == 0) return (int)standard[i].kind;
    }
    return -1;
}

void alert_rule_standard(enum alert_kind kind, struct alert_rule *rule)
{
    for (uint32_t i = 0; i < STANDARD_COUNT; i++) {
        if (standard[i].kind != kind) continue;
        rule->kind = kind;
        rule->window_ns = standard[i].window_ns;
        rule->threshold_ppm = standard[i].threshold_ppm;
        rule->scaled_ppm = standard[i].scaled_ppm;
        rule->cooldown_ns = standard[i].cooldown_ns;
        rule->trades_min = standard[i].trades_min;
        return;
    }
    ensure(!"a kind without defaults");
}

bool alert_rule_matches(const struct alert_rule *rule, const char *symbol_name)
{
    const size_t size = strlen(rule->symbols);
    if (size > 0 && rule->symbols[size - 1] == '*')
        return strncmp(rule->symbols, symbol_name, size - 1) == 0;
    return strcmp(rule->symbols, symbol_name) == 0;
}
