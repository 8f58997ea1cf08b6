// SPDX-License-Identifier: GPL-3.0-or-later
//
// recall_candles: which candles are open, and what was issued of those that are not long closed.
// Contract: trades first, then the candle rows, so that a row can be held against what the trades
// add up to now.
#include "capture/recall_inside.h"

#include "format/ensure.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t candles_of(struct recall_candles *of, const struct event_text *name)
{
    const struct dialect *dialect;
    const uint32_t symbol =
        recall_symbol(of->symbols, (const char *)name->bytes, name->size, &dialect);
    if (symbol != SYMBOL_NONE)
        candles_symbol(&of->sums, symbol,
                       of->grace_ns >= 0 ? of->grace_ns : candle_grace_ns(dialect->name));
    return symbol;
}

typedef void candles_do(struct candles *candles, const struct event *event);

static void candles_row_known(struct candles *candles, const struct event *event)
{
    candles_known(candles, event->symbol, event);
}

static int64_t candles_rows(struct recall *recall, const struct rows *rows, uint32_t first,
                            const struct event_text *symbols, int64_t time_min, candles_do *each)
{
    int64_t latest_ns = 0;
    uint32_t named = SYMBOL_NONE; // of the rows; a block's rows of a symbol lie together
    uint32_t symbol = SYMBOL_NONE;
    for (uint32_t row = first; row < rows->count; row++) {
        struct event event;
        if (rows->symbol[row] == SYMBOL_NONE || rows_time_ns(rows, row) < time_min) continue;
        if (rows->symbol[row] != named) {
            named = rows->symbol[row];
            symbol = candles_of(&recall->candles, &symbols[named]);
        }
        if (symbol == SYMBOL_NONE) continue;
        rows_get(rows, row, &event, NULL);
        event.symbol = symbol;
        each(&recall->candles.sums, &event);
    }
    return latest_ns;
}

static int64_t take_trades(struct recall *recall, const struct rows *rows, uint32_t first,
                           const struct event_text *symbols, int64_t time_min)
{
    const enum channel channel = rows->schema->channel;
    if (channel != CHANNEL_TRADE && channel != CHANNEL_AGG_TRADE) return 0;
    return candles_rows(recall, rows, first, symbols, time_min, candles_event);
}

static int64_t take_candles(struct recall *recall, const struct rows *rows, uint32_t first,
                            const struct event_text *symbols, int64_t time_min)
{
    if (rows->schema->channel != CHANNEL_CANDLE) return 0;
    return candles_rows(recall, rows, first, symbols, time_min, candles_row_known);
}

static int candles_pass(struct recall_work *work, recall_take *take, uint32_t channels)
{
    work->take = take;
    work->channels = channels;
    work->again = true;
    work->tape_count = 0;
    const int result = recall_segments(work);
    return result != 0 ? result : recall_load_tapes(work);
}

// Not later than now: a time of the future would make all others too old.
static int64_t candles_latest_ns(const struct recall *recall, int64_t now_ns)
{
    int64_t latest_ns = 0;
    for (uint32_t i = 0; i < recall->arbiter.key_count; i++) {
        const struct arbiter_key *key = &recall->arbiter.keys[i];
        const bool trades = key->channel == CHANNEL_TRADE || key->channel == CHANNEL_AGG_TRADE;
        if (trades && key->coverage.last_ns > latest_ns) latest_ns = key->coverage.last_ns;
    }
    return latest_ns < now_ns ? latest_ns : now_ns;
}

void recall_begin_candles(struct recall *recall, const struct candles_options *options,
                          int64_t grace_ns, int64_t now_ns)
{
    struct recall_candles *of = &recall->candles;
    const int64_t latest_ns = candles_latest_ns(recall, now_ns);
    ensure(!of->wanted && options->symbols_max >= LIMIT_SHARD_SYMBOLS);
    of->options = *options;
    of->options.issue = NULL;
    of->grace_ns = grace_ns;
    of->wanted = options->interval_count > 0 && latest_ns > 0;
    if (!of->wanted) return;
    const uint32_t longest = options->minutes[options->interval_count - 1];
    of->floor = (int32_t)(latest_ns / CANDLE_MINUTE_NS) -
                (int32_t)(longest + RECALL_CANDLES_MINUTES);
    if (of->floor < 0) of->floor = 0;
}

static int candles_begin(struct recall_candles *of)
{
    int result = 0;
    if (of->symbols == NULL) of->symbols = symbols_open(LIMIT_SHARD_SYMBOLS);
    if (of->symbols == NULL) return -ENOMEM;
    candles_close(&of->sums); // of a try that failed
    result = candles_open(&of->sums, &of->options);
    of->sums.floor = of->floor;
    return result;
}

static int candles_read(struct recall_work *work)
{
    work->time_min = work->recall->candles.floor * CANDLE_MINUTE_NS;
    work->tape_time_min = work->time_min;
    int result = candles_begin(&work->recall->candles);
    if (result == 0)
        result = candles_pass(work, take_trades, 1u << CHANNEL_TRADE | 1u << CHANNEL_AGG_TRADE);
    if (result == 0) result = candles_pass(work, take_candles, 1u << CHANNEL_CANDLE);
    return result;
}

int recall_load_candles(struct recall *recall, struct io *io, struct keep_store *store,
                        const struct log *log, const atomic_bool *stop)
{
    struct recall_work work = {.recall = recall, .io = io, .store = store, .log = log,
                               .stop = stop};
    ensure(recall->symbols != NULL);
    if (recall_candles_known(recall)) return 0;
    work.tapes = calloc(RECALL_TAPES_MAX, sizeof *work.tapes);
    const int result = work.tapes != NULL ? candles_read(&work) : -ENOMEM;
    free(work.tapes);
    if (result == 0)
        atomic_store_explicit(&recall->candles.known, true, memory_order_release);
    else if (result != -ECANCELED)
        log_write(log, LOG_CANDLES_UNREADABLE, io_utc_ns(io), "store=\"%s\" cause=\"%s\"",
                  keep_store_path(store), strerror(-result));
    return result;
}

bool recall_candles_known(const struct recall *recall)
{
    return !recall->candles.wanted ||
           atomic_load_explicit(&recall->candles.known, memory_order_acquire);
}

void recall_adopt_candles(const struct recall *recall, const char *exchange, const char *name,
                          struct candles *candles, uint32_t symbol)
{
    const struct recall_candles *of = &recall->candles;
    ensure(recall_candles_known(recall));
    if (!of->wanted) return;
    const uint32_t from = recall_find(of->symbols, exchange, name);
    if (from != SYMBOL_NONE) candles_adopt(candles, symbol, &of->sums, from);
}
