// SPDX-License-Identifier: GPL-3.0-or-later
//
// The market_peer's trades in Upbit's words: frames in SIMPLE form, trades/ticks newest first
// behind a cursor, within one UTC day.
#include "market_peer.h"

#include "format/ensure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DAY_MS 86400000ll

enum { BASE = 1000000, PRICE_CLOSE = 50 };

// Neighbours change places, and between pairs ids are left out.
int64_t market_upbit_id(int64_t n)
{
    return BASE + (n ^ 1) * 3;
}

static int64_t number_of(int64_t id)
{
    return (id - BASE) / 3 ^ 1;
}

static int64_t time_ms(const struct market_peer *peer, uint32_t symbol, int64_t n)
{
    return peer->symbols[symbol].time_us[n] / 1000;
}

static long price(int64_t n)
{
    return PRICE_CLOSE + 1 + (long)(n % 97);
}

void market_upbit_trade(const struct market_peer *peer, uint32_t symbol, int64_t n, char *out,
                        size_t room)
{
    int64_t ms = time_ms(peer, symbol, n);
    time_t seconds = ms / 1000;
    struct tm tm;
    char date[32], clock[32];
    ensure(gmtime_r(&seconds, &tm) != NULL);
    ensure(strftime(date, sizeof date, "%Y-%m-%d", &tm) > 0);
    ensure(strftime(clock, sizeof clock, "%H:%M:%S", &tm) > 0);
    int size = snprintf(out, room,
                        "{\"ty\":\"trade\",\"cd\":\"KRW-C%u\",\"tms\":%lld,\"td\":\"%s\",\"ttm\":"
                        "\"%s\",\"ttms\":%lld,\"tp\":%ld,\"tv\":0.002,\"ab\":\"%s\",\"pcp\":%d,"
                        "\"c\":\"RISE\",\"cp\":%ld,\"sid\":%lld,\"st\":\"REALTIME\"}",
                        symbol, (long long)ms + 7, date, clock, (long long)ms, price(n),
                        n % 2 != 0 ? "ASK" : "BID", PRICE_CLOSE, price(n) - PRICE_CLOSE,
                        (long long)market_upbit_id(n));
    ensure(size > 0 && (size_t)size < room);
}

static int64_t query_number(const char *target, const char *name, int64_t absent)
{
    const char *at = strstr(target, name);
    return at == NULL ? absent : strtoll(at + strlen(name), NULL, 10);
}

void market_upbit_ticks(const struct market_peer *peer, const char *target, char *out, size_t room)
{
    const char *market = strstr(target, "market=KRW-C");
    ensure(market != NULL);
    uint32_t symbol = (uint32_t)strtoul(market + 12, NULL, 10);
    ensure(symbol < MARKET_SYMBOLS);
    const struct market_symbol *of = &peer->symbols[symbol];
    int64_t count = query_number(target, "count=", 1);
    int64_t cursor = query_number(target, "cursor=", 0);
    int64_t today = io_utc_ns(peer->io) / 1000000 / DAY_MS;
    int64_t day = today - query_number(target, "days_ago=", 0);
    int64_t n = cursor == 0 ? (int64_t)of->count - 1 : number_of(cursor) - 1;
    size_t used = (size_t)snprintf(out, room, "[");
    for (int64_t given = 0; n >= 0 && given < count; n--) {
        int64_t ms = time_ms(peer, symbol, n);
        if (ms / DAY_MS != day) continue;
        used += (size_t)snprintf(
            out + used, room - used,
            "%s{\"market\":\"KRW-C%u\",\"timestamp\":%lld,\"trade_price\":%ld,"
            "\"trade_volume\":0.002,\"prev_closing_price\":%d,\"change_price\":%ld,"
            "\"ask_bid\":\"%s\",\"sequential_id\":%lld}",
            given > 0 ? "," : "", symbol, (long long)ms, price(n), PRICE_CLOSE,
            price(n) - PRICE_CLOSE, n % 2 != 0 ? "ASK" : "BID", (long long)market_upbit_id(n));
        given++;
    }
    ensure(used + 1 < room);
    (void)snprintf(out + used, room - used, "]");
}
