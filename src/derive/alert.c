// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert: see alert.h: symbols, rows, what an alert looks like. The rules themselves are in
// alert_watch.c.
#include "derive/alert.h"

#include "derive/alert_inside.h"
#include "format/ensure.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

enum { ALERT_PRICE_SCALE = 8, ALERT_QUANTITY_SCALE = 12, ALERT_RATIO_SCALE = 6 };

struct alert_head {
    const char *name; // NULL: unknown symbol
    uint32_t exchange;
    uint32_t generation; // of what follows
    uint32_t trade_rules; // bit r: rule r wants its trades
    uint32_t quote_rules;
    bool traded; // trade rows come: agg_trade rows say the same again
};

enum { ALERT_HEAD_BYTES = 64 };
_Static_assert(sizeof(struct alert_head) <= ALERT_HEAD_BYTES, "a head has a place of its own");

static struct alert_head *alert_head(const struct alerts *alerts, uint32_t symbol)
{
    ensure(symbol < alerts->options.symbols_max);
    return (void *)(alerts->memory + (size_t)symbol * alerts->stride);
}

static union alert_state *alert_states(struct alert_head *head)
{
    return (void *)((uint8_t *)head + ALERT_HEAD_BYTES);
}

// ---- life ----

int alerts_open(struct alerts *alerts, const struct alerts_options *options)
{
    ensure(options->emit != NULL && options->symbols_max > 0);
    memset(alerts, 0, sizeof *alerts);
    alerts->options = *options;
    alerts->stride =
        (ALERT_HEAD_BYTES + ALERT_RULES_MAX * sizeof(union alert_state) + 63) / 64 * 64;
    void *memory = mmap(NULL, options->symbols_max * alerts->stride, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return -ENOMEM;
    alerts->memory = memory;
    alerts->generation = 1;
    return 0;
}

void alerts_close(struct alerts *alerts)
{
    if (alerts->memory != NULL)
        ensure(munmap(alerts->memory, alerts->options.symbols_max * alerts->stride) == 0);
    alerts->memory = NULL;
}

void alerts_use(struct alerts *alerts, const struct alert_rules *rules)
{
    ensure(rules->count <= ALERT_RULES_MAX);
    alerts->rules = *rules;
    alerts->forget = 1 - exp2(-1.0 / (ALERT_BUCKETS * ALERT_BASE_WINDOWS));
    alerts_forget(alerts, SYMBOL_NONE);
}

void alerts_forget(struct alerts *alerts, uint32_t symbol)
{
    if (symbol != SYMBOL_NONE) {
        alert_head(alerts, symbol)->generation = 0;
        return;
    }
    alerts->generation++;
    memset(alerts->exchanges, 0, sizeof alerts->exchanges);
}

void alerts_symbol(struct alerts *alerts, uint32_t symbol, const char *name, uint32_t exchange)
{
    ensure(exchange < ALERT_EXCHANGES_MAX);
    struct alert_head *head = alert_head(alerts, symbol);
    head->name = name;
    head->exchange = exchange;
}

static void alert_begin(struct alerts *alerts, struct alert_head *head)
{
    memset(alert_states(head), 0, alerts->rules.count * sizeof(union alert_state));
    head->generation = alerts->generation;
    head->trade_rules = 0;
    head->quote_rules = 0;
    head->traded = false;
    for (uint32_t i = 0; i < alerts->rules.count; i++) {
        const struct alert_rule *rule = &alerts->rules.at[i];
        if (rule->kind == ALERT_SILENCE || !alert_rule_matches(rule, head->name)) continue;
        if (rule->kind == ALERT_SPREAD)
            head->quote_rules |= 1u << i;
        else
            head->trade_rules |= 1u << i;
    }
}

bool alerts_usual(const struct alerts *alerts, uint32_t symbol, uint32_t rule,
                  struct alert_usual *usual)
{
    struct alert_head *head = alert_head(alerts, symbol);
    ensure(rule < alerts->rules.count);
    if (head->generation != alerts->generation ||
        !((head->trade_rules | head->quote_rules) >> rule & 1))
        return false;
    const union alert_state *state = &alert_states(head)[rule];
    *usual = (struct alert_usual){.kind = alerts->rules.at[rule].kind};
    if (usual->kind == ALERT_SPREAD)
        alert_spread_usual(&state->spread, usual);
    else if (usual->kind == ALERT_VOLUME_BURST)
        alert_burst_usual(&state->burst, &alerts->rules.at[rule], usual);
    else
        alert_move_usual(&state->move, usual);
    return usual->learnt > 0;
}

// ---- rows ----

bool alert_price(int64_t mantissa, uint8_t scale, int64_t *price)
{
    wide value = mantissa;
    *price = mantissa;
    if (scale == ALERT_PRICE_SCALE) return mantissa > 0;
    if (scale > ALERT_PRICE_SCALE) {
        const int64_t unit = (int64_t)wide_power((uint32_t)(scale - ALERT_PRICE_SCALE));
        if (mantissa % unit != 0) return false;
        value = mantissa / unit;
    } else {
        value *= wide_power((uint32_t)(ALERT_PRICE_SCALE - scale));
    }
    *price = (int64_t)value;
    return value > 0 && value <= INT64_MAX;
}

static bool alert_trade_of(const struct event *event, struct alert_trade *trade)
{
    const bool agg = event->channel == CHANNEL_AGG_TRADE;
    _Static_assert((int)TRADE_ID == (int)AGG_TRADE_ID && (int)TRADE_PRICE == (int)AGG_TRADE_PRICE &&
                       (int)TRADE_QUANTITY == (int)AGG_TRADE_QUANTITY,
                   "the same places");
    const int quantity = TRADE_QUANTITY;
    const int from = TRADE_PRICE;
    if (!agg && event_has(event, TRADE_KIND)) {
        const struct event_text kind = event_text(event, TRADE_KIND);
        if (kind.size != 6 || memcmp(kind.bytes, "MARKET", 6) != 0) return false;
    }
    trade->time_ns =
        event_has(event, TRADE_TIME) ? event->value[TRADE_TIME] : event_time_ns(event);
    trade->id = event->value[TRADE_ID];
    if (event->scale[quantity] > ALERT_QUANTITY_SCALE) return false;
    trade->quantity = // 63 bits and 40
        event->value[quantity] *
        wide_power((uint32_t)(ALERT_QUANTITY_SCALE - event->scale[quantity]));
    return alert_price(event->value[from], event->scale[from], &trade->price) &&
           event->value[quantity] >= 0 && trade->time_ns > 0;
}

static void alert_trades(struct alerts *alerts, struct alert_head *head, const struct event *event)
{
    struct alert_trade trade;
    if (!alert_trade_of(event, &trade)) return;
    for (uint32_t left = head->trade_rules; left != 0; left &= left - 1) {
        const uint32_t rule = (uint32_t)__builtin_ctz(left);
        union alert_state *state = &alert_states(head)[rule];
        const bool burst = alerts->rules.at[rule].kind == ALERT_VOLUME_BURST;
        if (burst ? alert_burst_is_quiet(&state->burst, &trade)
                  : alert_move_is_quiet(&alerts->rules.at[rule], &state->move, &trade))
            continue;
        if (burst)
            alert_burst_trade(alerts, rule, event->symbol, head->name, &state->burst, &trade);
        else
            alert_move_trade(alerts, rule, event->symbol, head->name, &state->move, &trade);
    }
}

void alerts_event(struct alerts *alerts, const struct event *event)
{
    if (event->channel > CHANNEL_QUOTE || event->symbol == SYMBOL_NONE) return;
    struct alert_head *head = alert_head(alerts, event->symbol);
    if (head->name == NULL) return;
    if (event_has(event, COLUMN_FLAGS) && event->value[COLUMN_FLAGS] != 0) return;
    if (event_has(event, COLUMN_RECEIVE_TIME))
        alerts->exchanges[head->exchange].heard_ns = event->value[COLUMN_RECEIVE_TIME];
    if (head->generation != alerts->generation) alert_begin(alerts, head);
    head->traded |= event->channel == CHANNEL_TRADE;
    if (event->channel == CHANNEL_AGG_TRADE && head->traded) return;
    if (event->channel != CHANNEL_QUOTE) {
        alert_trades(alerts, head, event);
        return;
    }
    for (uint32_t left = head->quote_rules; left != 0; left &= left - 1) {
        const uint32_t rule = (uint32_t)__builtin_ctz(left);
        alert_spread_quote(alerts, rule, event->symbol, head->name,
                           &alert_states(head)[rule].spread, event);
    }
}

void alerts_beat(struct alerts *alerts, uint32_t exchange, const char *exchange_name,
                 int64_t now_ns)
{
    ensure(exchange < ALERT_EXCHANGES_MAX);
    struct alert_exchange *known = &alerts->exchanges[exchange];
    if (known->heard_ns == 0) return;
    for (uint32_t i = 0; i < alerts->rules.count; i++) {
        const struct alert_rule *rule = &alerts->rules.at[i];
        if (rule->kind != ALERT_SILENCE) continue;
        const bool silent = now_ns - known->heard_ns >= rule->window_ns;
        if (silent && !known->fired[i])
            alert_raise(alerts, &(struct alert_evidence){
                                    .rule = rule,
                                    .symbol = SYMBOL_NONE,
                                    .name = exchange_name,
                                    .from_ns = known->heard_ns,
                                    .to_ns = now_ns,
                                    .measure_ppm = (now_ns - known->heard_ns) / 1000,
                                    .threshold_ppm = rule->window_ns / 1000});
        known->fired[i] = silent;
    }
}

// ---- alerts ----

static int64_t alert_identity(const struct alert_evidence *evidence)
{
    const int64_t numbers[] = {(int64_t)evidence->rule->kind, evidence->rule->window_ns,
                               evidence->from_ns,             evidence->to_ns,
                               evidence->first_id,            evidence->last_id,
                               evidence->from_price,          evidence->to_price,
                               evidence->measure_ppm,         evidence->threshold_ppm};
    uint64_t hash = XXH3_64bits(evidence->rule->name, strlen(evidence->rule->name));
    hash = XXH3_64bits_withSeed(evidence->name, strlen(evidence->name), hash);
    hash = XXH3_64bits_withSeed(numbers, sizeof numbers, hash);
    return (int64_t)(hash >> 1); // never negative
}

static void alert_set_wide(struct event *event, int column, wide value)
{
    struct wide_parts parts;
    if (wide_split(value, ALERT_QUANTITY_SCALE, &parts))
        event_set_decimal(event, column, parts.mantissa, parts.scale);
}

static void alert_set_prices(struct event *event, const struct alert_evidence *evidence)
{
    if (evidence->from_price != 0)
        event_set_decimal(event, ALERT_FROM_PRICE, evidence->from_price, ALERT_PRICE_SCALE);
    if (evidence->to_price != 0)
        event_set_decimal(event, ALERT_TO_PRICE, evidence->to_price, ALERT_PRICE_SCALE);
}

void alert_raise(struct alerts *alerts, const struct alert_evidence *evidence)
{
    struct event event;
    const struct alert_rule *rule = evidence->rule;
    event_clear(&event, CHANNEL_ALERT, evidence->symbol);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, ALERT_ID, alert_identity(evidence));
    event_set(&event, ALERT_KIND, rule->kind);
    event_set_text(&event, ALERT_RULE, rule->name, (uint32_t)strlen(rule->name));
    event_set(&event, ALERT_WINDOW, rule->window_ns);
    event_set(&event, ALERT_FROM_TIME, evidence->from_ns);
    event_set(&event, ALERT_TO_TIME, evidence->to_ns);
    if (evidence->has_ids) {
        event_set(&event, ALERT_FIRST_ID, evidence->first_id);
        event_set(&event, ALERT_LAST_ID, evidence->last_id);
    }
    alert_set_prices(&event, evidence);
    event_set_decimal(&event, ALERT_MEASURE, evidence->measure_ppm, ALERT_RATIO_SCALE);
    event_set_decimal(&event, ALERT_THRESHOLD, evidence->threshold_ppm, ALERT_RATIO_SCALE);
    if (evidence->sum != 0) {
        alert_set_wide(&event, ALERT_VOLUME, evidence->sum);
        alert_set_wide(&event, ALERT_BASELINE, evidence->baseline);
    }
    if (evidence->baseline_ppm != 0)
        event_set_decimal(&event, ALERT_BASELINE, evidence->baseline_ppm, ALERT_RATIO_SCALE);
    if (evidence->symbol == SYMBOL_NONE)
        event_set_text(&event, ALERT_EXCHANGE, evidence->name, (uint32_t)strlen(evidence->name));
    alerts->emitted++;
    alerts->options.emit(alerts->options.context, &event);
}
