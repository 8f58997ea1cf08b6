// SPDX-License-Identifier: GPL-3.0-or-later
//
// Surges, crashes, bursts and wide spreads of the made-up market, at the times they were asked for:
// each begins and ends just before an event of its symbol, the first one due, so that what is told
// of it is exact. Prices move in INJECT_STEPS jumps of the whole book, each told by a depth message
// of its own; what the market does by itself goes on in between.
#include <stdio.h>
#include <stdlib.h>

#include "format/ensure.h"
#include "tools/exchange_sim_inject.h"
#include "tools/exchange_sim_market_inside.h"

#define ONE_PPM 1000000

enum { INJECT_STEPS = 64, INJECT_BID_MIN = 4 * MARKET_LEVELS };

enum injection_phase { INJECTION_WAITING, INJECTION_RUNNING, INJECTION_OVER };

struct market_injection {
    const struct exchange_sim_inject *wanted;
    struct market_injection *next; // of the same symbol
    enum injection_phase phase;
    bool said;
    uint32_t symbol;
    int64_t due_us;  // when something is to be done
    int64_t planned; // ticks
    int64_t moved;   // of them
    int64_t trades_before;
    struct exchange_sim_injected told;
};

bool exchange_sim_market_inject(struct exchange_sim_market *market,
                                const struct exchange_sim_injects *injects, char *why,
                                size_t why_size)
{
    ensure(market->injections == NULL && injects->count > 0);
    market->injections = calloc(injects->count, sizeof *market->injections);
    if (market->injections == NULL) {
        (void)snprintf(why, why_size, "out of memory");
        return false;
    }
    market->injection_count = injects->count;
    for (uint32_t i = injects->count; i-- > 0;) { // the latest first: the earliest stands in front
        struct market_injection *injection = &market->injections[i];
        const struct exchange_sim_inject *wanted = &injects->at[i];
        injection->wanted = wanted;
        injection->symbol = exchange_sim_market_find(market, wanted->exchange, wanted->symbol);
        if (injection->symbol == UINT32_MAX) {
            (void)snprintf(why, why_size, "%s has no %s",
                           exchange_sim_exchange_name(wanted->exchange), wanted->symbol);
            return false;
        }
        injection->next = market->symbols[injection->symbol].injection;
        market->symbols[injection->symbol].injection = injection;
    }
    return true;
}

void exchange_sim_market_injections_begin(struct exchange_sim_market *market, int64_t time_us)
{
    ensure(!market->injections_begun);
    market->injections_begun = true;
    for (uint32_t i = 0; i < market->injection_count; i++) {
        struct market_injection *injection = &market->injections[i];
        injection->due_us = time_us + injection->wanted->at_us;
        injection->told = (struct exchange_sim_injected){.wanted = injection->wanted,
                                                         .symbol = injection->symbol,
                                                         .at_us = injection->due_us};
    }
}

static int64_t share(int64_t value, int64_t ppm)
{
    return (int64_t)((__int128)value * ppm / ONE_PPM);
}

static void jump(struct exchange_sim_market_symbol *symbol, int64_t by, int64_t widen)
{
    exchange_sim_market_book_jump(symbol, by, widen);
    if (symbol->exchange == EXCHANGE_SIM_UPBIT)
        symbol->change_count = 0; // it tells whole books
}

static void injection_start(struct market_injection *injection,
                            struct exchange_sim_market_symbol *symbol, int64_t time_us)
{
    const struct exchange_sim_inject *wanted = injection->wanted;
    injection->phase = INJECTION_RUNNING;
    injection->trades_before = symbol->trade_count;
    injection->told.begin_us = time_us;
    injection->told.from_price = symbol->bid;
    injection->planned = share(symbol->bid, wanted->size_ppm);
    injection->due_us = time_us;
    if (wanted->kind == EXCHANGE_SIM_INJECT_CRASH) {
        const int64_t most = symbol->bid > INJECT_BID_MIN ? symbol->bid - INJECT_BID_MIN : 0;
        injection->planned = -(injection->planned < most ? injection->planned : most);
    }
    if (wanted->kind == EXCHANGE_SIM_INJECT_BURST || wanted->kind == EXCHANGE_SIM_INJECT_SPREAD)
        injection->due_us += wanted->over_us;
    if (wanted->kind == EXCHANGE_SIM_INJECT_BURST)
        symbol->quantity_ppm = wanted->size_ppm;
    if (wanted->kind == EXCHANGE_SIM_INJECT_SPREAD) {
        symbol->apart = true;
        jump(symbol, -injection->planned / 2, injection->planned);
    }
}

static void injection_end(struct market_injection *injection,
                          struct exchange_sim_market_symbol *symbol, int64_t time_us)
{
    const enum exchange_sim_inject_kind kind = injection->wanted->kind;
    if (kind == EXCHANGE_SIM_INJECT_BURST)
        symbol->quantity_ppm = 0;
    injection->told.to_price =
        kind == EXCHANGE_SIM_INJECT_SPREAD ? symbol->bid + symbol->spread : symbol->bid;
    if (kind == EXCHANGE_SIM_INJECT_SPREAD) {
        injection->told.from_price = symbol->bid;
        symbol->apart = false;
        jump(symbol, injection->planned / 2, -injection->planned);
    }
    injection->phase = INJECTION_OVER;
    injection->told.end_us = time_us;
    injection->told.trades = symbol->trade_count - injection->trades_before;
    injection->told.whole = true;
    symbol->injection = injection->next;
}

static void injection_move(struct market_injection *injection,
                           struct exchange_sim_market_symbol *symbol, int64_t time_us)
{
    const struct exchange_sim_inject *wanted = injection->wanted;
    const int64_t passed_us = time_us - injection->told.begin_us;
    int64_t step = INJECT_STEPS;
    if (passed_us < wanted->over_us)
        step = passed_us * INJECT_STEPS / wanted->over_us;
    const int64_t by = injection->planned * step / INJECT_STEPS - injection->moved;
    if (by != 0)
        jump(symbol, by, 0);
    symbol->calm_around += by;
    injection->moved += by;
    injection->due_us =
        injection->told.begin_us + (step + 1) * wanted->over_us / INJECT_STEPS + 1;
    if (step == INJECT_STEPS)
        injection_end(injection, symbol, time_us);
}

bool exchange_sim_market_injection_step(struct exchange_sim_market_symbol *symbol, int64_t time_us)
{
    struct market_injection *injection = symbol->injection;
    if (injection->due_us > time_us)
        return false;
    const enum exchange_sim_inject_kind kind = injection->wanted->kind;
    if (kind != EXCHANGE_SIM_INJECT_BURST && symbol->change_count > 0)
        return true; // the jump wants a depth message of its own
    if (injection->phase == INJECTION_WAITING)
        injection_start(injection, symbol, time_us);
    if (kind == EXCHANGE_SIM_INJECT_SURGE || kind == EXCHANGE_SIM_INJECT_CRASH)
        injection_move(injection, symbol, time_us);
    else if (injection->due_us <= time_us && symbol->change_count == 0)
        injection_end(injection, symbol, time_us);
    return false;
}

bool exchange_sim_market_injected(struct exchange_sim_market *market, bool all,
                                  struct exchange_sim_injected *told)
{
    for (uint32_t i = 0; i < market->injection_count; i++) {
        struct market_injection *injection = &market->injections[i];
        if (injection->said || (!all && injection->phase != INJECTION_OVER))
            continue;
        injection->said = true;
        *told = injection->told;
        return true;
    }
    return false;
}

// ---- as text ----

static void put_time(struct exchange_sim_text *text, const char *key, int64_t us)
{
    exchange_sim_text_string(text, key);
    exchange_sim_text_integer(text, us * 1000);
}

static void put_decimal(struct exchange_sim_text *text, const char *key, int64_t mantissa,
                        int scale)
{
    exchange_sim_text_string(text, key);
    exchange_sim_text_decimal(text, mantissa, scale, scale);
    EXCHANGE_SIM_TEXT(text, "\"");
}

void exchange_sim_market_render_injected(const struct exchange_sim_market *market,
                                         const struct exchange_sim_injected *told,
                                         struct exchange_sim_text *text)
{
    const struct exchange_sim_market_symbol *symbol =
        exchange_sim_market_symbol(market, told->symbol);
    EXCHANGE_SIM_TEXT(text, "{\"inject\":\"");
    exchange_sim_text_string(text, exchange_sim_inject_name(told->wanted->kind));
    EXCHANGE_SIM_TEXT(text, "\",\"symbol\":\"");
    exchange_sim_text_string(text, symbol->name);
    EXCHANGE_SIM_TEXT(text, "\"");
    put_time(text, ",\"at_ns\":", told->at_us);
    put_time(text, ",\"begin_ns\":", told->begin_us);
    put_time(text, ",\"end_ns\":", told->end_us);
    put_decimal(text, ",\"size\":\"", told->wanted->size_ppm, 6);
    put_decimal(text, ",\"from_price\":\"", told->from_price, symbol->price_scale);
    put_decimal(text, ",\"to_price\":\"", told->to_price, symbol->price_scale);
    EXCHANGE_SIM_TEXT(text, ",\"trades\":");
    exchange_sim_text_integer(text, told->trades);
    exchange_sim_text_string(text, told->whole ? ",\"whole\":true}" : ",\"whole\":false}");
}
