// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard_derive: see shard_derive.h. Contract: on the tape a candle stands before the trades that it
// does not hold, and a heartbeat behind the candles that it speaks of. None is issued before the
// store's have been read (recall.h): the trades that come meanwhile are held.
#include "capture/shard_parts.h"

#include "format/ensure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- life ----

static bool derive_issue(void *context, const struct candle *candle)
{
    struct shard *shard = context;
    char text[CANDLE_TEXT_BYTES];
    struct event event;
    if (!candle_row(candle, text, &event)) {
        shard->derive.unfit++;
        return true;
    }
    const int64_t now_ns =
        shard->derive.now_ns != 0 ? shard->derive.now_ns : shard->intake.last_ns;
    return intake_event(&shard->intake, &event, now_ns, INTAKE_NO_LINK);
}

static void derive_emit(void *context, const struct event *made)
{
    struct shard *shard = context;
    const struct shard_derive_options *options = &shard->options.derive;
    const int64_t now_ns =
        shard->derive.now_ns != 0 ? shard->derive.now_ns : shard->intake.last_ns;
    struct event event = *made;
    const char *symbol = "";
    uint32_t size = 0;
    (void)intake_event(&shard->intake, &event, now_ns, INTAKE_NO_LINK); // refused is counted
    if (options->alert_sink == NULL) return;
    if (event.symbol != SYMBOL_NONE) {
        const struct symbol_name *name = symbols_name(shard->symbols, event.symbol);
        symbol = name->text;
        size = name->size;
    }
    options->alert_sink(options->alert_context, shard->options.index, &event, symbol, size);
}

static int derive_open_alerts(struct shard *shard)
{
    const struct alerts_options options = {
        .symbols_max = LIMIT_SHARD_SYMBOLS, .emit = derive_emit, .context = shard};
    const int error = alerts_open(&shard->derive.alerts, &options);
    if (error == 0) alerts_use(&shard->derive.alerts, &shard->options.derive.alerts);
    return error;
}

int shard_derive_open(struct shard *shard)
{
    const struct shard_derive_options *options = &shard->options.derive;
    const struct recall *recall = shard->options.recall;
    struct candles_options candles = {.symbols_max = LIMIT_SHARD_SYMBOLS,
                                      .interval_count = options->interval_count,
                                      .issue = derive_issue,
                                      .context = shard};
    int error = derive_open_alerts(shard);
    if (error != 0 || options->interval_count == 0) return error;
    memcpy(candles.minutes, options->minutes, sizeof candles.minutes);
    if (recall != NULL && !recall_candles_known(recall)) candles.held_max = SHARD_HELD_TRADES;
    error = candles_open(&shard->derive.candles, &candles);
    if (error == 0 && recall != NULL) shard->derive.candles.floor = recall->candles.floor;
    return error;
}

void shard_derive_close(struct shard *shard)
{
    candles_close(&shard->derive.candles);
    alerts_close(&shard->derive.alerts);
}

static bool derive_is_on(const struct shard *shard)
{
    return shard->derive.candles.memory != NULL;
}

static void derive_adopt(struct shard *shard, uint32_t symbol)
{
    const struct symbol_name *name = symbols_name(shard->symbols, symbol);
    const char *exchange = shard->derive.exchange[name->exchange];
    if (shard->options.recall != NULL && exchange != NULL)
        recall_adopt_candles(shard->options.recall, exchange, name->text + name->symbol_offset,
                             &shard->derive.candles, symbol);
}

static void derive_tell_unheld(const struct shard *shard)
{
    const uint64_t unheld = shard->derive.candles.counters.unheld;
    if (unheld > 0)
        log_write(shard->options.log, LOG_CANDLES_UNHELD, io_utc_ns(shard->io),
                  "shard=%u trades=%llu", shard->options.index, (unsigned long long)unheld);
}

// Takes what the store knows as soon as that has been read. False: not all of it yet.
static bool derive_start(struct shard *shard)
{
    struct shard_derive *derive = &shard->derive;
    if (derive->candles.held == NULL) return true;
    if (!recall_candles_known(shard->options.recall)) return false;
    const uint32_t symbols = symbols_count(shard->symbols);
    for (uint32_t i = 0; i < SHARD_ADOPTS_A_TICK && derive->adopted < symbols; i++)
        derive_adopt(shard, derive->adopted++);
    if (derive->adopted < symbols) return false;
    candles_start(&derive->candles, derive_issue);
    derive_tell_unheld(shard);
    return true;
}

void shard_derive_symbol(struct shard *shard, uint32_t symbol, uint32_t exchange,
                         const char *exchange_name)
{
    struct shard_derive *derive = &shard->derive;
    const int64_t configured_ns = shard->options.derive.grace_ns;
    const struct symbol_name *name = symbols_name(shard->symbols, symbol);
    ensure(exchange < SYMBOL_EXCHANGES_MAX);
    alerts_symbol(&derive->alerts, symbol, name->text, exchange);
    if (!derive_is_on(shard)) return;
    derive->exchange[exchange] = exchange_name;
    derive->grace_ns[exchange] =
        configured_ns >= 0 ? configured_ns : candle_grace_ns(exchange_name);
    candles_symbol(&derive->candles, symbol, derive->grace_ns[exchange]);
    // Of the others all is taken when the store has been read.
    if (derive->candles.held == NULL || symbol < derive->adopted) derive_adopt(shard, symbol);
}

void shard_derive_rules(struct shard *shard, struct alert_rules *rules)
{
    alerts_use(&shard->derive.alerts, rules);
    free(rules);
}

// ---- rows ----

void shard_derive_before(struct shard *shard, const struct event *event)
{
    if (event->channel <= CHANNEL_AGG_TRADE && derive_is_on(shard))
        candles_prepare(&shard->derive.candles, event);
}

void shard_derive_after(struct shard *shard, const struct event *event)
{
    if (event->channel <= CHANNEL_AGG_TRADE && derive_is_on(shard))
        candles_event(&shard->derive.candles, event);
    if (event->channel <= CHANNEL_QUOTE && shard->derive.alerts.rules.count > 0)
        alerts_event(&shard->derive.alerts, event);
}

// ---- heartbeats ----

static void derive_beat_row(struct shard *shard, uint32_t exchange, uint32_t minutes,
                            int64_t close_ns)
{
    char interval[CANDLE_TEXT_BYTES];
    char detail[64];
    const struct intake_range range = {.channel = CHANNEL_CANDLE,
                                       .first = COVERAGE_NONE,
                                       .last = COVERAGE_NONE,
                                       .from_ns = close_ns - minutes * CANDLE_MINUTE_NS,
                                       .to_ns = close_ns};
    candle_interval_text(minutes, interval);
    (void)snprintf(detail, sizeof detail, "%.32s %s", shard->derive.exchange[exchange], interval);
    intake_status(&shard->intake, io_utc_ns(shard->io),
                  &(struct intake_status){.kind = STATUS_INTERVAL_CLOSED,
                                          .link = INTAKE_NO_LINK,
                                          .symbol = SYMBOL_NONE,
                                          .count = INTAKE_NO_COUNT,
                                          .detail = detail,
                                          .range = &range});
}

static void derive_fill(struct shard *shard, uint32_t exchange, uint32_t minutes,
                        int64_t close_ns)
{
    for (uint32_t symbol = 0; symbol < symbols_count(shard->symbols); symbol++) {
        if (symbols_name(shard->symbols, symbol)->exchange == exchange &&
            shard->symbol_uses[symbol] > 0)
            candles_fill(&shard->derive.candles, symbol, minutes, close_ns);
    }
}

// One interval of one exchange; where the machine stood still, only the last that has passed.
// Before candles are issued only the next one is determined.
static void derive_beat(struct shard *shard, uint32_t exchange, uint32_t interval, int64_t now_ns)
{
    struct shard_derive *derive = &shard->derive;
    struct shard_beat *beat = &derive->beats[exchange][interval];
    const uint32_t minutes = derive->candles.options.minutes[interval];
    const int64_t length_ns = minutes * CANDLE_MINUTE_NS;
    const int64_t passed_ns = (now_ns - derive->grace_ns[exchange]) / length_ns * length_ns;
    if (beat->close_ns == 0) beat->close_ns = passed_ns + length_ns;
    if (passed_ns < beat->close_ns || shard->derive.candles.held != NULL) return;
    if (passed_ns > beat->close_ns)
        *beat = (struct shard_beat){.close_ns = passed_ns};
    if (shard->options.derive.empty && !beat->filled) {
        beat->filled = true;
        derive_fill(shard, exchange, minutes, beat->close_ns);
        if (!candles_advance(&derive->candles, now_ns, SHARD_CANDLES_A_TICK)) return;
    }
    derive_beat_row(shard, exchange, minutes, beat->close_ns);
    alerts_beat(&derive->alerts, exchange, derive->exchange[exchange], shard->intake.last_ns);
    *beat = (struct shard_beat){.close_ns = beat->close_ns + length_ns};
}

void shard_derive_tick(struct shard *shard)
{
    struct shard_derive *derive = &shard->derive;
    const int64_t now_ns = io_utc_ns(shard->io);
    if (!derive_is_on(shard)) return;
    derive->now_ns = now_ns;
    bool all = !derive_start(shard) ||
               candles_advance(&derive->candles, now_ns, SHARD_CANDLES_A_TICK);
    for (uint32_t exchange = 0; exchange < SYMBOL_EXCHANGES_MAX && all; exchange++) {
        if (derive->exchange[exchange] == NULL) continue;
        for (uint32_t i = 0; i < derive->candles.options.interval_count; i++)
            derive_beat(shard, exchange, i, now_ns);
    }
    derive->now_ns = 0;
}
