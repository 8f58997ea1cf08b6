// SPDX-License-Identifier: GPL-3.0-or-later
//
// A name that is mistyped must not look like an empty result: channels are checked against the
// schemas, symbols for their form.
#include "tools/ringtape_query.h"

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include <stdio.h>
#include <string.h>

void ringtape_query_init(struct ringtape_query *query)
{
    memset(query, 0, sizeof *query);
    query->from = INT64_MIN;
    query->to = INT64_MAX;
}

static bool ringtape_query_wrong(const char *command, const char *what, const char *text,
                                 const char *remedy)
{
    (void)fprintf(stderr, "ringtape %s: %s '%s': %s\n", command, what, text, remedy);
    return false;
}

bool ringtape_query_check(struct ringtape_query *query, const char *command)
{
    query->channel_bits = query->channels.count == 0 ? UINT32_MAX : 0;
    for (uint32_t i = 0; i < query->channels.count; i++) {
        const char *name = query->channels.text[i];
        const enum channel channel = channel_by_name(name);
        if (channel == CHANNEL_NONE)
            return ringtape_query_wrong(command, "--channel", name,
                                        "no such channel; the names are trade, agg_trade, quote, "
                                        "depth, book, ticker, kline, candle, alert, status, "
                                        "instrument, raw");
        query->channel_bits |= 1u << channel;
    }
    for (uint32_t i = 0; i < query->symbols.count; i++) {
        const char *name = query->symbols.text[i];
        const char *colon = strchr(name, ':');
        if (colon == NULL || colon == name || colon[1] == 0)
            return ringtape_query_wrong(command, "--symbol", name,
                                        "write EXCHANGE:NAME, as in binance:BTCUSDT");
    }
    if (query->from < query->to) return true;
    (void)fprintf(stderr, "ringtape %s: --from is not before --to\n", command);
    return false;
}

bool ringtape_query_has_channel(const struct ringtape_query *query, enum channel channel)
{
    ensure(channel < CHANNEL_COUNT);
    return (query->channel_bits >> channel & 1) != 0;
}

bool ringtape_query_has_symbol(const struct ringtape_query *query, const void *name, size_t size)
{
    if (query->symbols.count == 0) return true;
    for (uint32_t i = 0; i < query->symbols.count; i++) {
        const char *wanted = query->symbols.text[i];
        const size_t length = strlen(wanted);
        const bool any_rest = wanted[length - 1] == '*';
        if (any_rest && size >= length - 1 && memcmp(wanted, name, length - 1) == 0) return true;
        if (!any_rest && size == length && memcmp(wanted, name, length) == 0) return true;
    }
    return false;
}
