// SPDX-License-Identifier: GPL-3.0-or-later
//
// Configuration of alerts: each kind with its defaults, each key at and beyond each bound, with the
// exact message; how many rules there may be; what is left out and what is taken away.
#include "control/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define FEED "feeds:\n  - exchange: binance\n    channels: [trade]\n    symbols: [BTCUSDT]\n"
#define MINUTE_NS (60 * LIMIT_SECOND_NS)

static struct config config;
static struct config_mistakes mistakes;

static bool parse(const char *alerts)
{
    static char text[8192];
    const int size = snprintf(text, sizeof text, "alerts: %s\n" FEED, alerts);
    cr_assert(size > 0 && size < (int)sizeof text);
    return config_parse(&config, "r.yaml", text, (size_t)size, &mistakes);
}

Test(config_alerts, each_kind_has_its_defaults)
{
    static const char *const kinds[] = {"surge", "crash", "volume_burst", "spread", "silence"};
    struct alert_rules standard;
    alert_rules_standard(&standard);
    cr_assert(parse("\n  - {kind: surge}\n  - {kind: crash}\n  - {kind: volume_burst}\n"
                    "  - {kind: spread}\n  - {kind: silence}"),
              "%s", mistakes.text[0]);
    cr_assert_eq(config.alerts.count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        cr_assert_str_eq(config.alerts.at[i].name, kinds[i]);
        cr_assert_str_eq(config.alerts.at[i].symbols, "*");
    }
    cr_assert_eq(memcmp(&config.alerts, &standard, sizeof standard), 0, "as without any");
    config_free(&config);
}

Test(config_alerts, the_standard_is_what_the_documents_say)
{
    static const struct alert_rule wanted[] = {
        {.kind = ALERT_SURGE, .window_ns = MINUTE_NS, .threshold_ppm = 40000,
         .scaled_ppm = 8000000, .cooldown_ns = 5 * MINUTE_NS},
        {.kind = ALERT_CRASH, .window_ns = MINUTE_NS, .threshold_ppm = 40000,
         .scaled_ppm = 8000000, .cooldown_ns = 5 * MINUTE_NS},
        {.kind = ALERT_VOLUME_BURST, .window_ns = 10 * LIMIT_SECOND_NS,
         .threshold_ppm = 50000000, .cooldown_ns = 5 * MINUTE_NS, .trades_min = 200},
        {.kind = ALERT_SPREAD, .window_ns = 2 * LIMIT_SECOND_NS, .threshold_ppm = 20000,
         .scaled_ppm = 10000000, .cooldown_ns = 5 * MINUTE_NS},
        {.kind = ALERT_SILENCE, .window_ns = MINUTE_NS},
    };
    struct alert_rules rules;
    alert_rules_standard(&rules);
    cr_assert_eq(rules.count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        const struct alert_rule *rule = &rules.at[i];
        cr_assert_eq(rule->kind, wanted[i].kind);
        cr_assert_eq(rule->window_ns, wanted[i].window_ns);
        cr_assert_eq(rule->threshold_ppm, wanted[i].threshold_ppm);
        cr_assert_eq(rule->scaled_ppm, wanted[i].scaled_ppm);
        cr_assert_eq(rule->cooldown_ns, wanted[i].cooldown_ns);
        cr_assert_eq(rule->trades_min, wanted[i].trades_min);
    }
}

Test(config_alerts, every_key_is_read_at_both_ends)
{
    cr_assert(parse("[{rule: abcdefghijklmnopqrstuvwxyz01234, kind: volume_burst, match: 'upbit:*',"
                    " window: 1s, threshold: 0.0001%, scaled: 0x, cooldown: 0s, trades: 0},"
                    " {kind: crash, window: 24h, threshold: 1000000x, scaled: 1000000x,"
                    " cooldown: 24h, trades: 1000000000, match: binance:BTCUSDT}]"),
              "%s", mistakes.text[0]);
    const struct alert_rule *low = &config.alerts.at[0];
    const struct alert_rule *high = &config.alerts.at[1];
    cr_assert_str_eq(low->name, "abcdefghijklmnopqrstuvwxyz01234");
    cr_assert_str_eq(low->symbols, "upbit:*");
    cr_assert(low->kind == ALERT_VOLUME_BURST && low->window_ns == LIMIT_SECOND_NS);
    cr_assert(low->threshold_ppm == 1 && low->scaled_ppm == 0 && low->cooldown_ns == 0);
    cr_assert_eq(low->trades_min, 0);
    cr_assert_str_eq(high->name, "crash");
    cr_assert_str_eq(high->symbols, "binance:BTCUSDT");
    cr_assert(high->window_ns == 24 * LIMIT_HOUR_NS && high->cooldown_ns == 24 * LIMIT_HOUR_NS);
    cr_assert(high->threshold_ppm == 1000000000000 && high->scaled_ppm == 1000000000000);
    cr_assert_eq(high->trades_min, 1000000000);
    config_free(&config);
}

Test(config_alerts, none_and_sixteen)
{
    char text[1024] = "[{kind: surge}";
    cr_assert(parse("[]"));
    cr_assert_eq(config.alerts.count, 0);
    config_free(&config);
    for (int i = 1; i < ALERT_RULES_MAX; i++) strcat(text, ", {kind: surge}");
    strcat(text, "]");
    cr_assert(parse(text));
    cr_assert_eq(config.alerts.count, ALERT_RULES_MAX);
    config_free(&config);
    text[strlen(text) - 1] = '\0';
    strcat(text, ", {kind: crash}]");
    cr_assert_not(parse(text));
    cr_assert_str_eq(mistakes.text[0], "r.yaml:1: alerts: expected 0 to 16 entries, found 17");
}

#define RULE "r.yaml:1: alerts[0]"
#define RATIO "expected a percentage like 3% or a multiple like 20x, found "
#define DAY "expected a duration from 0s to 24h, found "
static const struct {
    const char *alerts;
    const char *message;
} wrong[] = {
    {"surge", "r.yaml:1: alerts: expected a list of rules, found \"surge\""},
    {"[surge]", RULE ": expected a mapping of keys and values, found \"surge\""},
    {"[{}]", RULE ": the key \"kind\" is missing: expected surge, crash, volume_burst, spread or "
             "silence"},
    {"[{kind: boom}]",
     RULE ": expected surge, crash, volume_burst, spread or silence, found \"boom\""},
    {"[{kind: surge, price: 3%}]",
     RULE ": unknown key \"price\"; there are kind, rule, match, window, threshold, scaled, "
     "cooldown, trades"},
    {"[{kind: surge, window: 1m, window: 2m}]", RULE ".window: the key stands there twice"},
    {"[{kind: surge, rule: ''}]", RULE ".rule: expected a name of at most 31 bytes, found nothing"},
    {"[{kind: surge, rule: abcdefghijklmnopqrstuvwxyz012345}]",
     RULE ".rule: expected a name of at most 31 bytes, found \"abcdefghijklmnopqrstuvwxyz012345\""},
    {"[{kind: surge, match: ''}]",
     RULE ".match: expected a symbol with its exchange, or its beginning and *, like binance:BTC*, "
     "found nothing"},
    {"[{kind: surge, window: 999ms}]",
     RULE ".window: expected a duration from 1s to 24h, found \"999ms\""},
    {"[{kind: surge, window: 25h}]",
     RULE ".window: expected a duration from 1s to 24h, found \"25h\""},
    {"[{kind: surge, window: 60}]",
     RULE ".window: expected a duration from 1s to 24h, found \"60\""},
    {"[{kind: surge, threshold: 0%}]", RULE ".threshold: " RATIO "\"0%\""},
    {"[{kind: surge, threshold: 3}]", RULE ".threshold: " RATIO "\"3\""},
    {"[{kind: surge, threshold: -3%}]", RULE ".threshold: " RATIO "\"-3%\""},
    {"[{kind: surge, threshold: 0.00001%}]", RULE ".threshold: " RATIO "\"0.00001%\""},
    {"[{kind: surge, threshold: 1000001x}]", RULE ".threshold: " RATIO "\"1000001x\""},
    {"[{kind: surge, scaled: 8}]", RULE ".scaled: expected a multiple like 8x; 0x: none, found "
                                   "\"8\""},
    {"[{kind: surge, scaled: 1000001x}]",
     RULE ".scaled: expected a multiple like 8x; 0x: none, found \"1000001x\""},
    {"[{kind: surge, cooldown: 25h}]", RULE ".cooldown: " DAY "\"25h\""},
    {"[{kind: surge, cooldown: soon}]", RULE ".cooldown: " DAY "\"soon\""},
    {"[{kind: surge, trades: 1000000001}]",
     RULE ".trades: expected a whole number from 0 to 1000000000, found \"1000000001\""},
    {"[{kind: surge, trades: -1}]",
     RULE ".trades: expected a whole number from 0 to 1000000000, found \"-1\""},
};

Test(config_alerts, every_mistake_has_its_message)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_not(parse(wrong[i].alerts), "%s", wrong[i].alerts);
        cr_expect_str_eq(mistakes.text[0], wrong[i].message, "%s:\n%s\n%s", wrong[i].alerts,
                         mistakes.text[0], wrong[i].message);
    }
}

Test(config_alerts, the_second_rule_is_named_by_its_number)
{
    cr_assert_not(parse("[{kind: surge}, {kind: crash, window: 0s}]"));
    cr_assert_eq(mistakes.count, 1);
    cr_assert_str_eq(mistakes.text[0], "r.yaml:1: alerts[1].window: expected a duration from 1s to "
                                       "24h, found \"0s\"");
}
