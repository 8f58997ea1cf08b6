// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_query: the options that choose rows, alike in every command that reads them: --store,
// --channel, --symbol, --from, --to.
#ifndef RINGTAPE_TOOLS_RINGTAPE_QUERY_H
#define RINGTAPE_TOOLS_RINGTAPE_QUERY_H

#include <stdbool.h>
#include <stdint.h>

#include "format/store.h"
#include "tools/ringtape_options.h"

struct ringtape_query {
    const char *store;
    struct ringtape_option_list channels;
    struct ringtape_option_list symbols;
    int64_t from;
    int64_t to;
    uint32_t channel_bits; // bit c: channel c is wanted
};

void ringtape_query_init(struct ringtape_query *query);

// Entries for a table of options; `q` is the struct.
#define RINGTAPE_QUERY_STORE(q)                                                                    \
    {                                                                                              \
        .name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &(q).store, .value = "DIR",       \
        .help = "the store: 'store:' of the daemon's configuration", .required = true              \
    }
#define RINGTAPE_QUERY_CHANNEL(q)                                                                  \
    {                                                                                              \
        .name = "channel", .kind = RINGTAPE_OPTION_LIST, .target = &(q).channels, .value = "NAME", \
        .help = "only this channel: trade, agg_trade, quote, depth, book, ticker,\n"               \
                "kline, candle, alert, status, instrument, raw; may be repeated"                   \
    }
#define RINGTAPE_QUERY_SYMBOL(q)                                                                   \
    {                                                                                              \
        .name = "symbol", .kind = RINGTAPE_OPTION_LIST, .target = &(q).symbols,                    \
        .value = "EXCHANGE:NAME", .help = "only this symbol: binance:BTCUSDT, or all of an "       \
                                          "exchange: 'upbit:*';\nmay be repeated"                  \
    }
#define RINGTAPE_QUERY_FROM(q)                                                                     \
    {                                                                                              \
        .name = "from", .kind = RINGTAPE_OPTION_TIME, .target = &(q).from, .value = "TIME",        \
        .help = "rows from this time on: 2024-08-08T12:00:00Z, 2024-08-08, -1h"                    \
    }
#define RINGTAPE_QUERY_TO(q)                                                                       \
    {                                                                                              \
        .name = "to", .kind = RINGTAPE_OPTION_TIME, .target = &(q).to, .value = "TIME",            \
        .help = "rows before this time"                                                            \
    }

// Checks names of channels and symbols. False: a line was printed; end with RINGTAPE_EXIT_USAGE.
bool ringtape_query_check(struct ringtape_query *query, const char *command);
bool ringtape_query_has_channel(const struct ringtape_query *query, enum channel channel);
// As store.h matches: without symbols everything.
bool ringtape_query_has_symbol(const struct ringtape_query *query, const void *name, size_t size);

#endif
