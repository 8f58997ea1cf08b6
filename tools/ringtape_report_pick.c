// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a report shows first: totals of exchanges, leaders, movers, delays. Exact, but for delays,
// which are known to a hundredth.
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_report.h"

// ---- delays ----

// 64 values below 64, then 64 steps to each doubling.
static uint32_t delay_slot(uint64_t value)
{
    if (value < REPORT_DELAY_STEPS) return (uint32_t)value;
    const uint32_t power = 63 - (uint32_t)__builtin_clzll(value);
    ensure(power >= 6 && power < 63);
    return (power - 5) * REPORT_DELAY_STEPS + (uint32_t)(value >> (power - 6)) %
                                                  REPORT_DELAY_STEPS;
}

// The middle of a slot.
static int64_t delay_of_slot(uint32_t slot)
{
    if (slot < REPORT_DELAY_STEPS) return slot;
    const uint32_t power = slot / REPORT_DELAY_STEPS + 5;
    const uint64_t width = 1ull << (power - 6);
    return (int64_t)((REPORT_DELAY_STEPS + slot % REPORT_DELAY_STEPS) * width + width / 2);
}

void report_delay_add(struct report_delays *delays, int64_t delay_ns)
{
    if (delay_ns == INT64_MIN) delay_ns++;
    if (delays->rows == 0 || delay_ns < delays->least_ns) delays->least_ns = delay_ns;
    if (delays->rows == 0 || delay_ns > delays->most_ns) delays->most_ns = delay_ns;
    delays->rows++;
    delays->early += delay_ns < 0;
    if (delay_ns < 0)
        delays->early_slot[delay_slot((uint64_t)-delay_ns)]++;
    else
        delays->slot[delay_slot((uint64_t)delay_ns)]++;
}

static int64_t delay_of_rank(const struct report_delays *delays, uint32_t permille)
{
    const unsigned __int128 wanted = (unsigned __int128)delays->rows * permille + 999;
    const uint64_t rank = wanted / 1000 > 0 ? (uint64_t)(wanted / 1000) : 1;
    uint64_t passed = 0;
    for (uint32_t slot = REPORT_DELAY_SLOTS; slot > 0; slot--) {
        passed += delays->early_slot[slot - 1];
        if (passed >= rank) return -delay_of_slot(slot - 1);
    }
    for (uint32_t slot = 0; slot < REPORT_DELAY_SLOTS; slot++) {
        passed += delays->slot[slot];
        if (passed >= rank) return delay_of_slot(slot);
    }
    return delays->most_ns;
}

// The middle of an outermost slot may lie beyond what was seen.
int64_t report_delay_ns(const struct report_delays *delays, uint32_t permille)
{
    ensure(delays->rows > 0 && permille <= 1000);
    const int64_t delay_ns = delay_of_rank(delays, permille);
    if (delay_ns < delays->least_ns) return delays->least_ns;
    return delay_ns > delays->most_ns ? delays->most_ns : delay_ns;
}

// ---- quote currencies ----

// Of exchanges that write BTCUSDT: the longest that fits; what is not here is not known.
static const char *const asset_endings[] = {
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USD1", "USDE", "BIDR", "IDRT", "BTC", "ETH", "BNB",
    "SOL",   "XRP",  "TRX",  "DOGE", "DOT",  "DAI",  "PAX",  "VAI",  "EUR",  "GBP", "TRY", "BRL",
    "AUD",   "JPY",  "ARS",  "MXN",  "PLN",  "RON",  "ZAR",  "UAH",  "COP",  "CZK", "NGN", "RUB",
};

static void asset_put(char out[REPORT_ASSET_BYTES], const char *text, size_t size)
{
    if (size == 0 || size >= REPORT_ASSET_BYTES) return;
    memcpy(out, text, size);
    out[size] = '\0';
}

void report_asset_of(const char *exchange, const char *symbol, char out[REPORT_ASSET_BYTES])
{
    const char *dash = strchr(symbol, '-');
    const size_t size = strcspn(symbol, "_"); // BTCUSDT_261225: a contract's end
    out[0] = '\0';
    if (strcmp(exchange, "upbit") == 0 && dash != NULL) {
        asset_put(out, symbol, (size_t)(dash - symbol));
        return;
    }
    for (size_t i = 0; i < sizeof asset_endings / sizeof asset_endings[0]; i++) {
        const size_t length = strlen(asset_endings[i]);
        if (size <= length || memcmp(symbol + size - length, asset_endings[i], length) != 0)
            continue;
        asset_put(out, asset_endings[i], length);
        return;
    }
}

// A further one than there is room for is the last, which is then of several.
static uint32_t asset_number(struct report_exchange *exchange, const char *name)
{
    for (uint32_t i = 0; i < exchange->asset_count; i++)
        if (strcmp(exchange->assets[i].name, name) == 0) return i;
    if (exchange->asset_count == REPORT_ASSETS_MAX) {
        exchange->assets[REPORT_ASSETS_MAX - 1].name[0] = '\0';
        return REPORT_ASSETS_MAX - 1;
    }
    struct report_asset *asset = &exchange->assets[exchange->asset_count];
    *asset = (struct report_asset){.symbols = 0};
    (void)snprintf(asset->name, sizeof asset->name, "%s", name);
    return exchange->asset_count++;
}

static void asset_add(struct report_asset *asset, const struct candle_sum *sum)
{
    wide turnover = sum->quote_volume;
    const uint32_t scale = (uint32_t)(sum->price_scale + sum->quantity_scale);
    asset->symbols++;
    asset->trades += (uint64_t)sum->trades;
    const uint32_t larger = scale > asset->scale ? scale : asset->scale;
    if (!wide_raise(&turnover, larger - scale) ||
        !wide_raise(&asset->turnover, larger - asset->scale) ||
        __builtin_add_overflow(asset->turnover, turnover, &asset->turnover))
        asset->unfit = true;
    else
        asset->scale = larger;
}

// ---- totals ----

static void total_symbol(struct report *report, struct report_symbol *symbol)
{
    struct report_exchange *exchange = &report->exchanges[symbol->exchange];
    const struct candle_sum *sum = &symbol->summary.sum;
    char asset[REPORT_ASSET_BYTES];
    const char *colon = strchr(symbol->name, ':');
    report_asset_of(exchange->name, colon != NULL ? colon + 1 : symbol->name, asset);
    symbol->asset = asset_number(exchange, asset);
    symbol->has_change = summary_change(&symbol->summary, &symbol->change);
    report->unfit += symbol->summary.unfit || symbol->summary.spread_unfit;
    exchange->symbols++;
    exchange->trades += (uint64_t)sum->trades;
    exchange->quotes += symbol->summary.quotes;
    if (sum->trades > 0) asset_add(&exchange->assets[symbol->asset], sum);
}

static int total_order(const void *a, const void *b)
{
    return strcmp(((const struct report_exchange *)a)->name,
                  ((const struct report_exchange *)b)->name);
}

// Exchanges by name; symbols keep theirs by it.
static void total_sort(struct report *report)
{
    char names[REPORT_EXCHANGES_MAX][REPORT_EXCHANGE_BYTES];
    uint32_t places[REPORT_EXCHANGES_MAX];
    for (uint32_t i = 0; i < report->exchange_count; i++)
        memcpy(names[i], report->exchanges[i].name, sizeof names[i]);
    if (report->exchange_count > 0)
        qsort(report->exchanges, report->exchange_count, sizeof *report->exchanges, total_order);
    for (uint32_t i = 0; i < report->exchange_count; i++)
        for (uint32_t place = 0; place < report->exchange_count; place++)
            if (strcmp(report->exchanges[place].name, names[i]) == 0) places[i] = place;
    for (uint32_t i = 0; i < report->symbol_count; i++)
        report->symbols[i].exchange = places[report->symbols[i].exchange];
}

void report_total(struct report *report)
{
    total_sort(report);
    for (uint32_t i = 0; i < report->symbol_count; i++)
        total_symbol(report, &report->symbols[i]);
    for (uint32_t i = 0; i < report->exchange_count; i++) {
        struct report_exchange *exchange = &report->exchanges[i];
        exchange->main = 0;
        for (uint32_t a = 1; a < exchange->asset_count; a++)
            if (exchange->assets[a].trades > exchange->assets[exchange->main].trades)
                exchange->main = a;
    }
}

// ---- ranks ----

// Whole parts first, then fractions, so that nothing can overflow.
static int pick_turnover(const struct candle_sum *a, const struct candle_sum *b)
{
    const uint32_t a_scale = (uint32_t)(a->price_scale + a->quantity_scale);
    const uint32_t b_scale = (uint32_t)(b->price_scale + b->quantity_scale);
    const wide a_one = wide_power(a_scale), b_one = wide_power(b_scale);
    const uint32_t scale = a_scale > b_scale ? a_scale : b_scale;
    wide a_part = a->quote_volume / a_one, b_part = b->quote_volume / b_one;
    if (a_part != b_part) return a_part < b_part ? -1 : 1;
    a_part = a->quote_volume % a_one;
    b_part = b->quote_volume % b_one;
    ensure(wide_raise(&a_part, scale - a_scale) && wide_raise(&b_part, scale - b_scale));
    return (a_part > b_part) - (a_part < b_part);
}

// Above 0: `a` comes before `b`.
static int pick_compare(const struct report_symbol *a, const struct report_symbol *b,
                        enum report_rank rank)
{
    if (rank == REPORT_BY_TURNOVER) return pick_turnover(&a->summary.sum, &b->summary.sum);
    const int higher = (a->change > b->change) - (a->change < b->change);
    return rank == REPORT_BY_RISE ? higher : -higher;
}

static bool pick_possible(const struct report *report, const struct report_symbol *symbol,
                          uint32_t exchange, enum report_rank rank)
{
    if (symbol->exchange != exchange || symbol->summary.sum.trades == 0) return false;
    if (rank == REPORT_BY_TURNOVER)
        return symbol->asset == report->exchanges[exchange].main && !symbol->summary.unfit;
    return symbol->has_change && symbol->summary.sum.trades >= REPORT_MOVER_TRADES &&
           (rank == REPORT_BY_RISE ? symbol->change > 0 : symbol->change < 0);
}

uint32_t report_pick(const struct report *report, uint32_t exchange, enum report_rank rank,
                     uint32_t *picked, uint32_t most)
{
    uint32_t count = 0;
    ensure(exchange < report->exchange_count && most > 0);
    for (uint32_t i = 0; i < report->symbol_count; i++) {
        const struct report_symbol *symbol = &report->symbols[i];
        if (!pick_possible(report, symbol, exchange, rank)) continue;
        uint32_t place = count;
        while (place > 0 &&
               pick_compare(symbol, &report->symbols[picked[place - 1]], rank) > 0)
            place--;
        if (place == most) continue;
        if (count < most) count++;
        memmove(picked + place + 1, picked + place, (count - place - 1) * sizeof *picked);
        picked[place] = i;
    }
    return count;
}

uint32_t report_covered_share(const struct report_covered *covered)
{
    if (covered->all_us == 0) return covered->missing > 0 ? 0 : 100000;
    if (covered->missing_us >= covered->all_us) return 0;
    const uint64_t good_us = covered->all_us - covered->missing_us;
    return (uint32_t)((unsigned __int128)good_us * 100000 / covered->all_us);
}
