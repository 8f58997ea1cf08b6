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

#define ALERT_APART __attribute__((noinline)) static // not in the way of nearly every trade

enum { ALERT_PRICE_SCALE = 8, ALERT_QUANTITY_SCALE = 12, ALERT_RATIO_SCALE = 6 };

static inline struct alert_head *alert_head(const struct alerts *alerts, uint32_t symbol)
{
    ensure(symbol < alerts->options.symbols_max);
    return (struct alert_head *)(void *)alerts->memory + symbol;
}

static union alert_state *alert_states(const struct alerts *alerts, uint32_t symbol)
{
    return (union alert_state *)(void *)(alerts->memory + alerts->options.symbols_max *
                                                              sizeof(struct alert_head)) +
           (size_t)symbol * ALERT_RULES_MAX;
}

// ---- life ----

int alerts_open(struct alerts *alerts, const struct alerts_options *options)
{
    ensure(options->emit != NULL && options->symbols_max > 0);
    memset(alerts, 0, sizeof *alerts);
    alerts->options = *options;
    alerts->memory_bytes = options->symbols_max * (sizeof(struct alert_head) +
                                                   ALERT_RULES_MAX * sizeof(union alert_state));
    void *memory = mmap(NULL, alerts->memory_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return -ENOMEM;
    alerts->memory = memory;
    alerts->generation = 1;
    return 0;
}

void alerts_close(struct alerts *alerts)
{
    if (alerts->memory != NULL) ensure(munmap(alerts->memory, alerts->memory_bytes) == 0);
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

// All begins anew: nothing is quiet before the rules have looked.
ALERT_APART void alert_begin(struct alerts *alerts, struct alert_head *head, uint32_t symbol)
{
    const struct alert_rules *rules = &alerts->rules;
    ensure(head->name != NULL && rules->count <= ALERT_RULES_MAX);
    memset(alert_states(alerts, symbol), 0, rules->count * sizeof(union alert_state));
    *head = (struct alert_head){.generation = alerts->generation,
                                .exchange = head->exchange,
                                .lowest = {.price = INT64_MAX},
                                .name = head->name};
    for (uint32_t i = 0; i < rules->count; i++) {
        const uint16_t bit = (uint16_t)(1u << i);
        if (!alert_rule_matches(&rules->at[i], head->name)) continue;
        switch (rules->at[i].kind) {
        case ALERT_SURGE:
        case ALERT_CRASH: head->moves |= bit; break;
        case ALERT_VOLUME_BURST: head->bursts |= bit; break;
        case ALERT_SPREAD: head->spreads |= bit; break;
        case ALERT_SILENCE: break; // of exchanges
        }
    }
}

bool alerts_usual(const struct alerts *alerts, uint32_t symbol, uint32_t rule,
                  struct alert_usual *usual)
{
    const struct alert_head *head = alert_head(alerts, symbol);
    ensure(rule < alerts->rules.count);
    if (head->generation != alerts->generation ||
        !((head->moves | head->bursts | head->spreads) >> rule & 1))
        return false;
    const union alert_state *state = &alert_states(alerts, symbol)[rule];
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

static bool alert_is_market(const struct event *event)
{
    const struct event_text kind = event_text(event, TRADE_KIND);
    return kind.size == 6 && memcmp(kind.bytes, "MARKET", 6) == 0;
}

ALERT_INLINE bool alert_trade_of(const struct event *event, struct alert_trade *trade)
{
    _Static_assert((int)TRADE_ID == (int)AGG_TRADE_ID && (int)TRADE_PRICE == (int)AGG_TRADE_PRICE &&
                       (int)TRADE_QUANTITY == (int)AGG_TRADE_QUANTITY,
                   "the same places");
    static const uint64_t to_scale[] = { // of a quantity, by the scale it has
        1000000000000, 100000000000, 10000000000, 1000000000, 100000000, 10000000, 1000000,
        100000,        10000,        1000,        100,        10,        1};
    _Static_assert(sizeof to_scale / sizeof *to_scale == ALERT_QUANTITY_SCALE + 1, "each");
    const bool agg = event->channel == CHANNEL_AGG_TRADE;
    const uint8_t scale = event->scale[TRADE_QUANTITY];
    const int64_t quantity = event->value[TRADE_QUANTITY];
    if (!agg && event_has(event, TRADE_KIND) && !alert_is_market(event)) return false;
    if (scale > ALERT_QUANTITY_SCALE || quantity < 0) return false;
    trade->time_ns =
        event_has(event, TRADE_TIME) ? event->value[TRADE_TIME] : event_time_ns(event);
    trade->id = event->value[TRADE_ID];
    // 63 bits and 40; of unsigned numbers it is one multiplication.
    trade->quantity = (wide)((unsigned __int128)(uint64_t)quantity * to_scale[scale]);
    trade->price = event->value[TRADE_PRICE];
    if (event->scale[TRADE_PRICE] != ALERT_PRICE_SCALE &&
        !alert_price(event->value[TRADE_PRICE], event->scale[TRADE_PRICE], &trade->price))
        return false;
    return trade->price > 0 && trade->time_ns > 0;
}

// True: noted, and no rule has more to do, which is nearly always so.
ALERT_INLINE bool alert_note(struct alerts *alerts, struct alert_head *head,
                             const struct alert_trade *trade)
{
    if (!alert_span_holds(&head->quiet, trade->time_ns) || !alert_move_is_quiet(head, trade) ||
        !alert_burst_is_quiet(head, trade))
        return false;
    alert_note_for_moves(alerts, head, trade);
    alert_note_for_bursts(head, trade);
    return true;
}

// With a trade of its own, so that the quick way keeps its own in registers.
ALERT_APART void alert_trade(struct alerts *alerts, struct alert_head *head,
                             const struct event *event)
{
    struct alert_trade trade;
    if (!alert_trade_of(event, &trade)) return;
    alert_look(alerts, head, alert_states(alerts, event->symbol), event->symbol, &trade);
}

ALERT_APART void alert_quote(struct alerts *alerts, const struct alert_head *head,
                             const struct event *event)
{
    for (uint32_t left = head->spreads; left != 0; left &= left - 1) {
        const uint32_t rule = (uint32_t)__builtin_ctz(left);
        alert_spread_quote(alerts, rule, event->symbol, head->name,
                           &alert_states(alerts, event->symbol)[rule].spread, event);
    }
}

void alerts_event(struct alerts *alerts, const struct event *event)
{
    struct alert_trade trade;
    if (event->channel > CHANNEL_QUOTE || event->symbol == SYMBOL_NONE) return;
    struct alert_head *head = alert_head(alerts, event->symbol);
    if (event_has(event, COLUMN_FLAGS) && event->value[COLUMN_FLAGS] != 0) return;
    if (head->generation != alerts->generation) {
        if (head->name == NULL) return;
        alert_begin(alerts, head, event->symbol);
    }
    if (event_has(event, COLUMN_RECEIVE_TIME))
        alerts->exchanges[head->exchange].heard_ns = event->value[COLUMN_RECEIVE_TIME];
    if (event->channel == CHANNEL_QUOTE) {
        alert_quote(alerts, head, event);
        return;
    }
    if (event->channel == CHANNEL_AGG_TRADE && head->traded) return;
    if (event->channel == CHANNEL_TRADE && !head->traded) head->traded = true;
    if (!alert_trade_of(event, &trade) || !alert_note(alerts, head, &trade))
        alert_trade(alerts, head, event);
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
