// SPDX-License-Identifier: GPL-3.0-or-later
//
// Binance on recordings: both scanners agree on every frame; exchangeInfo becomes instruments.
#include "exchange/binance.h"

#include <criterion/criterion.h>
#include <string.h>

#include "dialect_support.h"
#include "tools/exchange_sim_capture.h"

#define SYMBOLS "BTCUSDT ETHUSDT"
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

// ---- exchangeInfo ----

struct seen {
    struct dialect_support *support;
    uint32_t count;
    uint32_t trading;
    char last[4096];
};

static void see_instrument(void *context, const struct event *event, const char *symbol,
                           uint32_t symbol_size, bool trading)
{
    struct seen *seen = context;
    seen->count++;
    seen->trading += trading;
    if (symbol_size == 7 && memcmp(symbol, "BTCUSDT", 7) == 0)
        dialect_support_print(seen->support, event, seen->last, sizeof seen->last);
}

Test(binance_recordings, exchange_info)
{
    struct dialect_support support;
    dialect_support_open(&support, "binance", SYMBOLS);
    static struct seen seen;
    seen.support = &support;
    const char *body =
        "{\"symbols\":[{\"symbol\":\"BTCUSDT\",\"status\":\"BREAK\",\"baseAsset\":\"BTC\","
        "\"quoteAsset\":\"USDT\",\"filters\":[{\"filterType\":\"LOT_SIZE\",\"stepSize\":\"0.10\"},"
        "{\"filterType\":\"PRICE_FILTER\",\"tickSize\":\"0.01000000\"}]}]}";
    cr_assert_eq(dialect_binance.instruments((const uint8_t *)body, (uint32_t)strlen(body),
                                             see_instrument, &seen), 0);
    cr_assert_eq(seen.count, 1);
    cr_assert_eq(seen.trading, 0);
    cr_assert_not_null(strstr(seen.last, "instrument - tick=0.01000000 step=0.10 state='BREAK' "
                                         "base='BTC' quote='USDT' body='{\"symbol\":\"BTC"));
    for (size_t cut = 0; cut < strlen(body); cut++)
        cr_assert_neq(dialect_binance.instruments((const uint8_t *)body, (uint32_t)cut,
                                                  see_instrument, &seen), 0);
    dialect_support_close(&support);
}

Test(binance_recordings, recorded_exchange_info)
{
    struct dialect_support support;
    const char *path =
        dialect_support_recording("tables/cryptofeed_BINANCE_exchangeInfo_20211012.0.gz");
    if (path == NULL)
        cr_skip_test("no recordings");
    dialect_support_open(&support, "binance", SYMBOLS);
    static struct seen seen;
    struct exchange_sim_capture_line line;
    seen.support = &support;
    struct exchange_sim_capture *capture = exchange_sim_capture_open(path);
    cr_assert_not_null(capture);
    while (exchange_sim_capture_next(capture, &line))
        if (line.kind == EXCHANGE_SIM_CAPTURE_REST)
            cr_assert_eq(dialect_binance.instruments(line.text, line.size, see_instrument, &seen),
                         0);
    cr_assert_gt(seen.count, 1000);
    cr_assert_gt(seen.trading, 1000);
    cr_assert_lt(seen.trading, seen.count);
    cr_assert_not_null(strstr(seen.last, "tick=0.01000000 step=0.00001000 state='TRADING'"));
    exchange_sim_capture_close(capture);
    dialect_support_close(&support);
}

// ---- frames ----

static const struct {
    const char *dialect;
    const char *name;
    uint32_t frames;
} recordings[] = {
    {"binance", "captures/cryptofeed_BINANCE-b38f7c.0.gz", 11357},
    {"binance", "captures/cryptofeed_BINANCE.ws.1.0.gz", 265},
    {"binance", "captures/hbtplayground_spot_nexousdt_20240725.dat.gz", 52762},
    {"binance", "captures/hftbacktest_spot_btcusdt_20240808.gz", 41248},
    {"binance", "captures/hftbacktest_spot_btcusdt_20240809.gz", 58325},
    {"binance", "captures/hftbacktest_spot_ethusdt_20240808.gz", 33617},
    {"binance", "captures/polysim_spot_aggTrade.jsonl.gz", 188},
    {"binance", "captures/polysim_spot_depth.jsonl.gz", 600},
    {"binance", "captures/polysim_spot_kline_1m_micros.jsonl.gz", 30},
    {"binance-usdm", "captures/hftbacktest_usdm_btcusdt_20240808.gz", 93953},
};

// Every frame is one row, the same by both ways; the fast scanner alone takes all but klines.
Test(binance_recordings, frames)
{
    for (size_t i = 0; i < COUNT(recordings); i++) {
        const char *path = dialect_support_recording(recordings[i].name);
        if (path == NULL)
            cr_skip_test("no recordings");
        struct dialect_support support;
        struct exchange_sim_capture_line line;
        static struct event event;
        uint32_t rows = 0, raw = 0, fast = 0, klines = 0;
        dialect_support_open(&support, recordings[i].dialect,
                             SYMBOLS " NEXOUSDT BTCAUD MANAUSDT ETHBRL DENTUSDT ZILUSDT RENBTCETH "
                                     "BTCSTUSDT QTUMETH AXSBNB NEOUSDC NKNUSDT BLZETH LRCBTC "
                                     "RUNEEUR");
        const bool spot = support.dialect == &dialect_binance;
        struct exchange_sim_capture *capture = exchange_sim_capture_open(path);
        cr_assert_not_null(capture);
        while (exchange_sim_capture_next(capture, &line)) {
            if (line.kind != EXCHANGE_SIM_CAPTURE_MESSAGE)
                continue;
            rows += dialect_support_compare(&support, line.text, line.size, &raw);
            klines += memmem(line.text, line.size, "\"kline\"", 7) != NULL;
            dialect_support_begin(&support, line.text, line.size, 0);
            fast += (spot ? binance_spot_scan : binance_usdm_scan)(&support.frame, &event);
        }
        cr_expect_eq(rows, recordings[i].frames, "%s: %u", recordings[i].name, rows);
        cr_expect_eq(raw, 0);
        cr_expect_eq(fast + klines, rows, "%s", recordings[i].name);
        exchange_sim_capture_close(capture);
        dialect_support_close(&support);
    }
}
