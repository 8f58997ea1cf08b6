// SPDX-License-Identifier: GPL-3.0-or-later
//
// The event at hand is held until it is sent, so that a client without room delays it but never
// loses it, and so that nothing is patched or made twice.
#include "tools/exchange_sim_source.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

#define SECOND_NS ((int64_t)1000000000)

enum {
    SILENCE_SECONDS_MAX = 10, // between two recorded events; recordings of different days follow
    PASSED_OVER_MAX = 100000, // events without subscriber in one pump
};

static const char *const kind_channels[EXCHANGE_SIM_EXCHANGES][MARKET_KINDS] = {
    [EXCHANGE_SIM_BINANCE] = {"trade", "bookTicker", "depth", NULL, "ticker", "aggTrade",
                              "kline_1m"},
    [EXCHANGE_SIM_USDM] = {"trade", "bookTicker", "depth", NULL, "ticker", "aggTrade", "kline_1m"},
    [EXCHANGE_SIM_UPBIT] = {"trade", NULL, NULL, "orderbook", "ticker", NULL, NULL},
};

static void market_stream(struct exchange_sim_source *source, uint32_t number,
                          enum exchange_sim_market_kind kind)
{
    const struct exchange_sim_market_symbol *symbol =
        exchange_sim_market_symbol(source->market, number);
    const char *channel = kind_channels[symbol->exchange][kind];
    uint32_t *stream = &source->market_streams[number * MARKET_KINDS + kind];
    *stream = EXCHANGE_SIM_STREAM_NONE;
    if (channel == NULL || (source->options.channels != NULL &&
                            !exchange_sim_hub_listed(source->options.channels, channel)))
        return;
    char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
    int const size = snprintf(name, sizeof name, "%s@%s", symbol->name, channel);
    ensure(size > 0 && size < (int)sizeof name);
    *stream = exchange_sim_hub_stream(source->hub, symbol->exchange, name, (uint32_t)size);
}

static bool market_streams(struct exchange_sim_source *source)
{
    uint32_t const count = exchange_sim_market_count(source->market);
    source->market_streams = malloc((size_t)count * MARKET_KINDS * sizeof(uint32_t));
    if (source->market_streams == NULL)
        return false;
    for (uint32_t symbol = 0; symbol < count; symbol++)
        for (int kind = 0; kind < MARKET_KINDS; kind++)
            market_stream(source, symbol, (enum exchange_sim_market_kind)kind);
    return true;
}

bool exchange_sim_source_open(struct exchange_sim_source *source,
                              const struct exchange_sim_source_options *options,
                              struct exchange_sim_hub *hub, struct exchange_sim_reel *reel,
                              struct exchange_sim_market *market)
{
    ensure((reel == NULL) != (market == NULL));
    *source = (struct exchange_sim_source){
        .options = *options, .hub = hub, .reel = reel, .market = market, .end_reason = ""};
    for (int unit = 0; unit < EXCHANGE_SIM_UNITS; unit++) {
        source->rendered[unit] = malloc(MARKET_EVENT_SIZE_MAX);
        if (source->rendered[unit] == NULL)
            return false;
    }
    return market == NULL || market_streams(source);
}

void exchange_sim_source_close(struct exchange_sim_source *source)
{
    for (int unit = 0; unit < EXCHANGE_SIM_UNITS; unit++)
        free(source->rendered[unit]);
    free(source->market_streams);
}

bool exchange_sim_source_locate(const struct exchange_sim_source *source, uint32_t stream,
                                uint32_t *symbol, enum exchange_sim_market_kind *kind)
{
    if (source->market == NULL)
        return false;
    uint32_t const count = exchange_sim_market_count(source->market) * MARKET_KINDS;
    for (uint32_t i = 0; i < count; i++)
        if (source->market_streams[i] == stream) {
            *symbol = i / MARKET_KINDS;
            *kind = (enum exchange_sim_market_kind)(i % MARKET_KINDS);
            return true;
        }
    return false;
}

void exchange_sim_source_start(struct exchange_sim_source *source, int64_t monotonic_ns,
                               int64_t utc_ns)
{
    ensure(!source->started);
    source->started = true;
    source->start_monotonic_ns = monotonic_ns;
    source->start_utc_ns = utc_ns;
}

static void source_end(struct exchange_sim_source *source, const char *reason)
{
    source->ended = true;
    source->holding = false;
    source->end_reason = reason;
}

// ---- when ----

// Two of three events share the time of the one before, as on the wire; the mean rate stays.
static int64_t rate_due(struct exchange_sim_source *source)
{
    int64_t const even_ns =
        (int64_t)((__int128)source->scheduled * SECOND_NS / source->options.rate);
    uint64_t const hash = (uint64_t)source->scheduled * 0x9e3779b97f4a7c15u;
    if (hash >> 32 < 0x55555555u || even_ns - source->burst_ns > SECOND_NS / 1000)
        source->burst_ns = even_ns;
    return source->burst_ns;
}

static int64_t due_after_start(struct exchange_sim_source *source, int64_t now_ns)
{
    if (source->options.pace == EXCHANGE_SIM_PACE_RATE)
        return source->idle_ns + rate_due(source);
    if (source->options.pace == EXCHANGE_SIM_PACE_CLIENT)
        return now_ns - source->start_monotonic_ns;
    return source->idle_ns +
           (int64_t)((__int128)source->recorded_ns * 1000 / source->options.speed_thousandths);
}

// Else events that nobody wants would be made as fast as the machine can, for they take no time.
static bool source_idle(struct exchange_sim_source *source, int64_t now_ns)
{
    bool const idle = !source->hub->whole && source->hub->subscriptions == 0;
    if (idle && !source->idle)
        source->idle_from_ns = now_ns;
    if (!idle && source->idle)
        source->idle_ns += now_ns - source->idle_from_ns;
    ensure(source->idle_ns >= 0);
    source->idle = idle;
    return idle;
}

// ---- what ----

// Moves on to the next event of the reel and its recorded time.
static void reel_advance(struct exchange_sim_source *source)
{
    const struct exchange_sim_reel *reel = source->reel;
    source->index++;
    if (source->index == reel->count) {
        source->index = 0;
        source->lap++;
        return;
    }
    int64_t const gap_ns =
        reel->events[source->index].time_ns - reel->events[source->index - 1].time_ns;
    if (gap_ns > 0)
        source->recorded_ns +=
            gap_ns < SILENCE_SECONDS_MAX * SECOND_NS ? gap_ns : SILENCE_SECONDS_MAX * SECOND_NS;
}

static bool reel_take(struct exchange_sim_source *source)
{
    struct exchange_sim_reel *reel = source->reel;
    if (reel->count == 0 || (source->options.laps > 0 && source->lap >= source->options.laps)) {
        source_end(source, "all recordings sent");
        return false;
    }
    if (!exchange_sim_reel_event(reel, source->index, source->lap, &source->event)) {
        source_end(source, "a number would need another digit");
        return false;
    }
    return true;
}

// The market's event becomes the one at hand.
static void market_adopt(struct exchange_sim_source *source)
{
    source->event.stream = source->market_streams[source->market_event.symbol * MARKET_KINDS +
                                                  source->market_event.kind];
    source->event.id = source->market_event.id;
    source->event.first_id = source->market_event.first_id;
    source->event.market = &source->market_event;
    source->event.symbol =
        exchange_sim_market_symbol(source->market, source->market_event.symbol);
}

static void market_tell(struct exchange_sim_source *source, bool all)
{
    char line[512];
    struct exchange_sim_injected told;
    while (exchange_sim_market_injected(source->market, all, &told)) {
        const struct exchange_sim_market_symbol *symbol =
            exchange_sim_market_symbol(source->market, told.symbol);
        struct exchange_sim_text text = exchange_sim_text(line, sizeof line);
        exchange_sim_market_render_injected(source->market, &told, &text);
        exchange_sim_hub_note(source->hub, source->event.due_ns, symbol->exchange, symbol->name,
                              &text);
    }
}

static void market_take(struct exchange_sim_source *source, int64_t due_ns)
{
    int64_t const time_us = (source->start_utc_ns + due_ns) / 1000;
    exchange_sim_market_next(source->market, time_us, &source->market_event);
    if (source->options.injected)
        market_tell(source, false);
    market_adopt(source);
}

static void market_render(struct exchange_sim_source *source, uint32_t wanted)
{
    for (uint32_t unit = 0; unit < EXCHANGE_SIM_UNITS; unit++) {
        source->event.payload[unit] = NULL;
        source->event.size[unit] = 0;
        if ((wanted & (1u << unit)) == 0)
            continue;
        struct exchange_sim_text text =
            exchange_sim_text(source->rendered[unit], MARKET_EVENT_SIZE_MAX);
        exchange_sim_market_render(source->market, &source->market_event,
                                   unit == EXCHANGE_SIM_MICROSECONDS, &text);
        source->event.payload[unit] = source->rendered[unit];
        source->event.size[unit] = exchange_sim_text_size(&text);
    }
}

// Units of time; 0: nobody wants it, or it is of a channel that is left out.
static uint32_t event_wanted(const struct exchange_sim_source *source)
{
    return source->event.stream == EXCHANGE_SIM_STREAM_NONE
               ? 0
               : exchange_sim_hub_wanted(source->hub, source->event.stream);
}

// Takes the next event that somebody wants into hand. False where there is none (for now).
static bool source_take(struct exchange_sim_source *source, int64_t now_ns)
{
    if (source_idle(source, now_ns))
        return false;
    if (source->market != NULL)
        exchange_sim_market_want_aggs(source->market,
                                      source->hub->whole || source->hub->agg_subscriptions > 0);
    for (int passed = 0; passed < PASSED_OVER_MAX; passed++) {
        int64_t const due_ns = due_after_start(source, now_ns);
        source->event.due_ns = source->start_utc_ns + due_ns;
        if (source->market != NULL)
            market_take(source, due_ns);
        else if (!reel_take(source))
            return false;
        uint32_t const wanted = event_wanted(source);
        if (wanted != 0) {
            if (source->market != NULL)
                market_render(source, wanted);
            source->holding = true;
            return true;
        }
        if (source->reel != NULL)
            reel_advance(source);
    }
    return false;
}

// ---- sending ----

static bool source_over(struct exchange_sim_source *source, int64_t now_ns)
{
    const struct exchange_sim_source_options *options = &source->options;
    if (options->messages_max > 0 && source->scheduled >= options->messages_max)
        source_end(source, "messages sent");
    else if (options->duration_ns > 0 &&
             now_ns - source->start_monotonic_ns >= options->duration_ns)
        source_end(source, "time over");
    return source->ended;
}

// A subscriber may have come or gone, with another unit of time, while the event was held.
static bool source_still_rendered(struct exchange_sim_source *source)
{
    uint32_t const wanted = exchange_sim_hub_wanted(source->hub, source->event.stream);
    for (uint32_t unit = 0; unit < EXCHANGE_SIM_UNITS; unit++)
        if ((wanted & (1u << unit)) != 0 && source->event.payload[unit] == NULL)
            return false;
    return true;
}

static bool source_send(struct exchange_sim_source *source, int64_t now_ns)
{
    if (!source_still_rendered(source))
        market_render(source, (1u << EXCHANGE_SIM_UNITS) - 1);
    enum exchange_sim_publish const result = exchange_sim_hub_publish(source->hub, &source->event);
    if (result == EXCHANGE_SIM_BLOCKED) {
        source->blocked++;
        return false;
    }
    int64_t const late_ns =
        now_ns - source->start_monotonic_ns + source->start_utc_ns - source->event.due_ns;
    if (late_ns > source->late_ns_max)
        source->late_ns_max = late_ns;
    source->holding = false;
    source->scheduled += result == EXCHANGE_SIM_SENT; // with a whole market: always
    if (source->reel != NULL)
        reel_advance(source);
    return true;
}

static void source_rest(struct exchange_sim_source *source, int64_t utc_ns)
{
    uint32_t const count = exchange_sim_market_count(source->market);
    for (uint32_t symbol = 0; symbol < count; symbol++) {
        if (!exchange_sim_market_rest(source->market, symbol, utc_ns / 1000,
                                      &source->market_event))
            continue;
        market_adopt(source);
        source->event.due_ns = utc_ns;
        uint32_t const wanted = event_wanted(source);
        if (wanted == 0)
            continue;
        market_render(source, wanted);
        (void)exchange_sim_hub_publish(source->hub, &source->event);
    }
}

void exchange_sim_source_finish(struct exchange_sim_source *source, int64_t now_ns)
{
    if (!source->started || source->finished)
        return;
    source->finished = true;
    // Nobody is waited for any more.
    source->hub->paced = false;
    if (source->holding)
        (void)source_send(source, now_ns);
    source->holding = false;
    int64_t utc_ns = source->start_utc_ns + now_ns - source->start_monotonic_ns;
    if (utc_ns < source->event.due_ns)
        utc_ns = source->event.due_ns;
    if (source->market != NULL && source->hub->whole)
        source_rest(source, utc_ns);
    if (source->options.injected)
        market_tell(source, true);
    if (!source->ended)
        source_end(source, "stopped");
}

int64_t exchange_sim_source_pump(struct exchange_sim_source *source, int64_t now_ns, uint32_t most)
{
    if (!source->started || source->ended)
        return -1;
    for (uint32_t i = 0; i < most; i++) {
        if (!source->holding) {
            if (!source_over(source, now_ns) && !source_take(source, now_ns) && !source->ended)
                return SECOND_NS / 100;
            if (source->ended) {
                exchange_sim_source_finish(source, now_ns);
                return -1;
            }
        }
        int64_t const wait_ns =
            source->event.due_ns - source->start_utc_ns + source->start_monotonic_ns - now_ns;
        if (wait_ns > 0)
            return wait_ns;
        if (!source_send(source, now_ns))
            return -1;
    }
    return 0;
}
