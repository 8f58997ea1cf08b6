// SPDX-License-Identifier: GPL-3.0-or-later
//
// Binance spot and USD-M futures: each message type by both scanners, every fault by name,
// requests, exchangeInfo, and agreement of the scanners on the recordings and on shuffled and
// damaged messages.
#include "exchange/binance.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dialect_support.h"
#include "protocol_random.h"

#define SYMBOLS "BTCUSDT ETHUSDT BNBBTC 币安人生USDT 1000PEPEUSDT"
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

// Frame -> its rows as text, the same by both ways.
struct case_of {
    const char *frame;
    const char *rows;
};

static const struct case_of spot_cases[] = {
    {"{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1700000000123,"
     "\"s\":\"BTCUSDT\",\"t\":4001,\"p\":\"42000.10000000\",\"q\":\"0.00200000\","
     "\"T\":1700000000122,\"m\":true,\"M\":true}}",
     "trade binance:BTCUSDT event_time=1700000000123000000 trade_time=1700000000122000000 id=4001 "
     "price=42000.10000000 quantity=0.00200000 side=sell best_match=true\n"},
    // Raw stream, microseconds, buyer is not the maker.
    {"{\"e\":\"trade\",\"E\":1700000000123456,\"s\":\"BTCUSDT\",\"t\":4001,\"p\":\"0.1\","
     "\"q\":\"123456789012.5\",\"T\":1700000000122001,\"m\":false,\"M\":false}",
     "trade binance:BTCUSDT event_time=1700000000123456000 trade_time=1700000000122001000 id=4001 "
     "price=0.1 quantity=123456789012.5 side=buy best_match=false\n"},
    {"{\"stream\":\"btcusdt@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":1,\"s\":\"BTCUSDT\","
     "\"a\":12345,\"p\":\"0.001\",\"q\":\"100\",\"f\":100,\"l\":105,\"T\":123456785,\"m\":true,"
     "\"M\":true}}",
     "agg_trade binance:BTCUSDT event_time=1000000 trade_time=123456785000000 id=12345 "
     "price=0.001 quantity=100 first_id=100 last_id=105 side=sell best_match=true\n"},
    {"{\"stream\":\"币安人生usdt@bookTicker\",\"data\":{\"u\":400900217,\"s\":\"币安人生USDT\","
     "\"b\":\"25.35190000\",\"B\":\"31.21000000\",\"a\":\"25.36520000\",\"A\":\"40.66000000\"}}",
     "quote binance:币安人生USDT id=400900217 bid_price=25.35190000 bid_quantity=31.21000000 "
     "ask_price=25.36520000 ask_quantity=40.66000000\n"},
    {"{\"stream\":\"bnbbtc@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1672515782136,"
     "\"s\":\"BNBBTC\",\"U\":157,\"u\":160,\"b\":[[\"0.0024\",\"10\"],[\"0.0023\",\"0.00000000\"]],"
     "\"a\":[]}}",
     "depth binance:BNBBTC event_time=1672515782136000000 first_id=157 last_id=160 b 0.0024 x 10 b "
     "0.0023 x 0.00000000\n"},
    {"{\"stream\":\"bnbbtc@depth\",\"data\":{\"e\":\"depthUpdate\",\"E\":1672515782136,"
     "\"s\":\"BNBBTC\",\"U\":157,\"u\":160,\"b\":[],\"a\":[[\"0.0026\",\"100\"]]}}",
     "depth binance:BNBBTC event_time=1672515782136000000 first_id=157 last_id=160 a 0.0026 x "
     "100\n"},
    {"{\"stream\":\"bnbbtc@depth20@100ms\",\"data\":{\"lastUpdateId\":160,\"bids\":[[\"0.0024\","
     "\"10\"]],\"asks\":[[\"0.0026\",\"100\"]]}}",
     "book binance:BNBBTC last_id=160 source=depth20 b 0.0024 x 10 a 0.0026 x 100\n"},
    {"{\"stream\":\"bnbbtc@depth5\",\"data\":{\"lastUpdateId\":1,\"bids\":[],\"asks\":[]}}",
     "book binance:BNBBTC last_id=1 source=depth5\n"},
    {"{\"stream\":\"bnbbtc@kline_1m\",\"data\":{\"e\":\"kline\",\"E\":1672515782136,"
     "\"s\":\"BNBBTC\",\"k\":{\"t\":1672515780000,\"T\":1672515839999,\"s\":\"BNBBTC\","
     "\"i\":\"1m\",\"f\":100,"
     "\"L\":200,\"o\":\"0.0010\",\"c\":\"0.0020\",\"h\":\"0.0025\",\"l\":\"0.0015\",\"v\":\"1000\","
     "\"n\":100,\"x\":false,\"q\":\"1.0000\",\"V\":\"500\",\"Q\":\"0.500\",\"B\":\"123456\"}}}",
     "kline binance:BNBBTC event_time=1672515782136000000 open_time=1672515780000000000 "
     "close_time=1672515839999000000 first_id=100 last_id=200 trades=100 open=0.0010 high=0.0025 "
     "low=0.0015 close=0.0020 volume=1000 quote_volume=1.0000 taker_buy_volume=500 "
     "taker_buy_quote_volume=0.500 closed=false interval='1m' ignored='123456'\n"},
    {"{\"stream\":\"bnbbtc@ticker\",\"data\":{\"e\":\"24hrTicker\",\"E\":1672515782136,"
     "\"s\":\"BNBBTC\",\"p\":\"-0.0015\",\"P\":\"250.00\",\"w\":\"0.0018\",\"x\":\"0.0009\","
     "\"c\":\"0.0025\",\"Q\":\"10\",\"b\":\"0.0024\",\"B\":\"10\",\"a\":\"0.0026\",\"A\":\"100\","
     "\"o\":\"0.0010\",\"h\":\"0.0025\",\"l\":\"0.0010\",\"v\":\"10000\",\"q\":\"18\",\"O\":0,"
     "\"C\":86400000,\"F\":0,\"L\":18150,\"n\":18151}}",
     "ticker binance:BNBBTC event_time=1672515782136000000 open_time=0 close_time=86400000000000 "
     "first_id=0 last_id=18150 trades=18151 open=0.0010 high=0.0025 low=0.0010 last_price=0.0025 "
     "last_quantity=10 previous_close=0.0009 change=-0.0015 change_percent=250.00 "
     "weighted_average=0.0018 bid_price=0.0024 bid_quantity=10 ask_price=0.0026 ask_quantity=100 "
     "volume=10000 quote_volume=18\n"},
    // The order of keys and white space do not matter.
    {" { \"data\" : {\"s\":\"BTC\\u0055SDT\",\"e\":\"trade\",\"T\":1,\"E\":2,\"t\":3,\"q\":\"4e0\","
     "\"p\":\"5\",\"m\":true},\"stream\":\"btcusdt@trade\" } ",
     "trade binance:BTCUSDT event_time=2000000 trade_time=1000000 id=3 price=5 quantity=4 "
     "side=sell\n"},
};

static const struct case_of usdm_cases[] = {
    {"{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161256322,"
     "\"T\":1723161256321,\"s\":\"BTCUSDT\",\"t\":5266583935,\"p\":\"61800.30\",\"q\":\"0.003\","
     "\"X\":\"MARKET\",\"m\":false}}",
     "trade binance-usdm:BTCUSDT event_time=1723161256322000000 trade_time=1723161256321000000 "
     "id=5266583935 price=61800.30 quantity=0.003 side=buy kind='MARKET'\n"},
    {"{\"e\":\"trade\",\"E\":1,\"T\":1,\"s\":\"BTCUSDT\",\"t\":5,\"p\":\"0\",\"q\":\"0\","
     "\"X\":\"NA\",\"m\":true}",
     "trade binance-usdm:BTCUSDT event_time=1000000 trade_time=1000000 id=5 price=0 quantity=0 "
     "side=sell kind='NA'\n"},
    {"{\"stream\":\"btcusdt@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":1,\"a\":5933014,"
     "\"s\":\"BTCUSDT\",\"p\":\"0.001\",\"q\":\"100\",\"nq\":\"90\",\"f\":100,\"l\":105,\"T\":2,"
     "\"m\":true}}",
     "agg_trade binance-usdm:BTCUSDT event_time=1000000 trade_time=2000000 id=5933014 price=0.001 "
     "quantity=100 first_id=100 last_id=105 side=sell normal_quantity=90\n"},
    {"{\"stream\":\"btcusdt@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":1,\"a\":5933014,"
     "\"s\":\"BTCUSDT\",\"p\":\"0.001\",\"q\":\"100\",\"f\":100,\"l\":105,\"T\":2,\"m\":true}}",
     "agg_trade binance-usdm:BTCUSDT event_time=1000000 trade_time=2000000 id=5933014 price=0.001 "
     "quantity=100 first_id=100 last_id=105 side=sell\n"},
    {"{\"stream\":\"btcusdt@bookTicker\",\"data\":{\"e\":\"bookTicker\",\"u\":400900217,"
     "\"s\":\"BTCUSDT\",\"b\":\"25.3519\",\"B\":\"31.21\",\"a\":\"25.3652\",\"A\":\"40.66\","
     "\"T\":1568014460891,\"E\":1568014460893}}",
     "quote binance-usdm:BTCUSDT event_time=1568014460893000000 "
     "transaction_time=1568014460891000000 id=400900217 bid_price=25.3519 bid_quantity=31.21 "
     "ask_price=25.3652 ask_quantity=40.66\n"},
    {"{\"stream\":\"btcusdt@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":2,\"T\":1,"
     "\"s\":\"BTCUSDT\",\"U\":157,\"u\":160,\"pu\":149,\"b\":[[\"0.0024\",\"10\"]],\"a\":[]}}",
     "depth binance-usdm:BTCUSDT event_time=2000000 transaction_time=1000000 first_id=157 "
     "last_id=160 previous_id=149 b 0.0024 x 10\n"},
    {"{\"stream\":\"btcusdt@depth10@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":2,\"T\":1,"
     "\"s\":\"BTCUSDT\",\"U\":157,\"u\":160,\"pu\":149,\"b\":[[\"0.0024\",\"10\"]],\"a\":[]}}",
     "book binance-usdm:BTCUSDT event_time=2000000 transaction_time=1000000 last_id=160 "
     "source=depth10 first_id=157 previous_id=149 b 0.0024 x 10\n"},
    {"{\"stream\":\"btcusdt@ticker\",\"data\":{\"e\":\"24hrTicker\",\"E\":1,\"s\":\"BTCUSDT\","
     "\"p\":\"1\",\"P\":\"2\",\"w\":\"3\",\"c\":\"4\",\"Q\":\"5\",\"o\":\"6\",\"h\":\"7\","
     "\"l\":\"8\",\"v\":\"9\",\"q\":\"10\",\"O\":0,\"C\":1,\"F\":0,\"L\":1,\"n\":2}}",
     "ticker binance-usdm:BTCUSDT event_time=1000000 open_time=0 close_time=1000000 first_id=0 "
     "last_id=1 trades=2 open=6 high=7 low=8 last_price=4 last_quantity=5 change=1 "
     "change_percent=2 weighted_average=3 volume=9 quote_volume=10\n"},
};

static void check_cases(const char *dialect, const struct case_of *cases, size_t count)
{
    struct dialect_support support;
    dialect_support_open(&support, dialect, SYMBOLS);
    for (size_t i = 0; i < count; i++) {
        cr_expect_str_eq(dialect_support_read(&support, cases[i].frame, false), cases[i].rows);
        cr_expect_str_eq(dialect_support_read(&support, cases[i].frame, true), cases[i].rows);
        cr_expect_eq(support.frame.kind, DIALECT_FRAME_EVENTS);
    }
    dialect_support_close(&support);
}

Test(binance, spot_messages)
{
    check_cases("binance", spot_cases, COUNT(spot_cases));
}

Test(binance, futures_messages)
{
    check_cases("binance-usdm", usdm_cases, COUNT(usdm_cases));
}

// ---- faults ----

#define TRADE(rest) "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\"," rest "}}"
#define GOOD_REST                                                                                  \
    "\"E\":1,\"s\":\"BTCUSDT\",\"t\":1,\"q\":\"1\",\"T\":1,\"m\":true,\"M\":true"

// Frame -> reason and detail of its (first) raw row, and whether a row comes with it.
static const struct {
    const char *frame;
    const char *raw;
    bool row;
} faults[] = {
    {"", "reason=not_json detail='json: empty at byte 0'", false},
    {"null", "reason=unknown_type detail='no object'", false},
    {"[1]", "reason=unknown_type detail='no object'", false},
    {"{}", "reason=unknown_type detail='no type'", false},
    {"{\"e\":5}", "reason=wrong_type detail='e'", false},
    {"{\"e\":\"trade\",\"e\":\"trade\"}", "reason=duplicate_key detail='e'", false},
    {"{\"e\":\"blockTrade\"}", "reason=unknown_type detail='e.blockTrade'", false},
    {"{\"stream\":\"btcusdt@trade\"}", "reason=missing_key detail='combined.data'", false},
    {"{\"data\":{}}", "reason=missing_key detail='combined.stream'", false},
    {"{\"stream\":1,\"data\":{}}", "reason=wrong_type detail='combined.stream'", false},
    {"{\"stream\":\"x\",\"data\":[]}", "reason=wrong_type detail='combined.data'", false},
    {"{\"stream\":\"x\",\"stream\":\"x\"}", "reason=duplicate_key detail='combined'", false},
    {TRADE(GOOD_REST), "reason=missing_key detail='trade.p'", false},
    {TRADE(GOOD_REST ",\"p\":null"), "reason=wrong_type detail='trade.p'", false},
    {TRADE(GOOD_REST ",\"p\":1"), "reason=wrong_type detail='trade.p'", false},
    {TRADE(GOOD_REST ",\"p\":\"\""), "reason=wrong_type detail='trade.p'", false},
    {TRADE(GOOD_REST ",\"p\":\"1,5\""), "reason=wrong_type detail='trade.p'", false},
    {TRADE(GOOD_REST ",\"p\":\"1e400\""), "reason=number_refused detail='trade.p'", false},
    {TRADE(GOOD_REST ",\"p\":\"1e-400\""), "reason=number_refused detail='trade.p'", false},
    {TRADE(GOOD_REST ",\"p\":\"1234567890123456789012345678901234567890\""),
     "reason=number_refused detail='trade.p'", false},
    {TRADE(GOOD_REST ",\"p\":\"1\",\"p\":\"1\""), "reason=duplicate_key detail='trade.p'", false},
    {TRADE(GOOD_REST ",\"p\":\"1\",\"a\":7"), "reason=unknown_key detail='trade.a'", true},
    {TRADE("\"E\":1.5,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":1,\"m\":true"),
     "reason=number_refused detail='trade.E'", false},
    {TRADE("\"E\":-1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":1,\"m\":true"),
     "reason=number_refused detail='trade.E'", false},
    {TRADE("\"E\":9300000000000000,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":1,"
           "\"m\":true"),
     "reason=number_refused detail='trade.E'", false},
    {TRADE("\"E\":1,\"s\":\"BTCUSDT\",\"t\":9223372036854775808,\"p\":\"1\",\"q\":\"1\",\"T\":1,"
           "\"m\":true"),
     "reason=number_refused detail='trade.t'", false},
    {TRADE("\"E\":1,\"s\":\"BTCUSDT\",\"t\":\"1\",\"p\":\"1\",\"q\":\"1\",\"T\":1,\"m\":true"),
     "reason=wrong_type detail='trade.t'", false},
    {TRADE("\"E\":1,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":1,\"m\":1"),
     "reason=wrong_type detail='trade.m'", false},
    {TRADE("\"E\":1,\"s\":\"DOGEUSDT\",\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":1,\"m\":true"),
     "raw - reason=unknown_symbol detail='trade.s'", false},
    {TRADE("\"E\":1,\"s\":7,\"t\":1,\"p\":\"1\",\"q\":\"1\",\"T\":1,\"m\":true"),
     "reason=wrong_type detail='trade.s'", false},
    {"{\"stream\":\"ethusdt@trade\",\"data\":{\"e\":\"trade\"," GOOD_REST ",\"p\":\"1\"}}",
     "reason=inconsistent detail='trade.stream'", true},
    {"{\"stream\":\"btcusdt@aggTrade\",\"data\":{\"e\":\"trade\"," GOOD_REST ",\"p\":\"1\"}}",
     "reason=inconsistent detail='trade.stream'", true},
    {"{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\"," GOOD_REST ",\"p\":\"1\"},\"x\":1}",
     "reason=unknown_key detail='combined.*'", true},
    {"{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\"," GOOD_REST ",\"p\":\"1\"}",
     "reason=not_json", false},
    {"{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\"," GOOD_REST ",\"p\":\"1\"}}}",
     "reason=not_json", false},
    {"{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\"," GOOD_REST ",\"p\":\"\xff\"}}",
     "reason=not_json", false},
    {"{\"stream\":\"btcusdt@depth\",\"data\":{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"BTCUSDT\","
     "\"U\":1,\"u\":1,\"b\":[[\"1\"]],\"a\":[]}}",
     "reason=wrong_type detail='depthUpdate.b'", false},
    {"{\"stream\":\"btcusdt@depth\",\"data\":{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"BTCUSDT\","
     "\"U\":1,\"u\":1,\"b\":[],\"a\":[[\"1\",\"2\",\"3\"]]}}",
     "reason=wrong_type detail='depthUpdate.a'", false},
    {"{\"stream\":\"btcusdt@depth\",\"data\":{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"BTCUSDT\","
     "\"U\":1,\"u\":1,\"b\":[],\"a\":[[\"1\",\"1e99\"]]}}",
     "reason=number_refused detail='depthUpdate.a'", false},
    {"{\"stream\":\"btcusdt@depth\",\"data\":{\"lastUpdateId\":1,\"bids\":[],\"asks\":[]}}",
     "reason=unknown_type detail='depth.depth'", false},
    {"{\"stream\":\"dogeusdt@depth5\",\"data\":{\"lastUpdateId\":1,\"bids\":[],\"asks\":[]}}",
     "raw - reason=unknown_symbol detail='depth.dogeusdt'", false},
    {"{\"lastUpdateId\":1,\"bids\":[],\"asks\":[]}", "reason=unknown_symbol detail='depth'", false},
};

Test(binance, faults_have_names)
{
    struct dialect_support support;
    dialect_support_open(&support, "binance", SYMBOLS);
    for (size_t i = 0; i < COUNT(faults); i++) {
        uint32_t raw = 0;
        const uint32_t rows = dialect_support_compare(&support, faults[i].frame,
                                                      (uint32_t)strlen(faults[i].frame), &raw);
        const char *text = dialect_support_read(&support, faults[i].frame, false);
        cr_expect_eq(rows, faults[i].row ? 1 : 0, "%s", faults[i].frame);
        cr_expect_eq(raw, 1, "%s", faults[i].frame);
        cr_expect_not_null(strstr(text, faults[i].raw), "%s\n%s", faults[i].frame, text);
        // The raw row quotes the frame as it came.
        cr_expect_not_null(strstr(text, faults[i].frame));
    }
    dialect_support_close(&support);
}

Test(binance, many_unknown_keys_are_bounded)
{
    struct dialect_support support;
    dialect_support_open(&support, "binance", SYMBOLS);
    char frame[2048];
    size_t size = (size_t)snprintf(frame, sizeof frame, "{\"e\":\"trade\",\"p\":\"1\"," GOOD_REST);
    for (int i = 0; i < 20; i++)
        size += (size_t)snprintf(frame + size, sizeof frame - size, ",\"key%d\":{\"p\":[]}", i);
    (void)snprintf(frame + size, sizeof frame - size, "}");
    uint32_t raw = 0;
    cr_assert_eq(dialect_support_compare(&support, frame, (uint32_t)strlen(frame), &raw), 1);
    cr_assert_eq(raw, DIALECT_PENDING_MAX);
    dialect_support_close(&support);
}

Test(binance, huge_frames_and_books)
{
    struct dialect_support support;
    dialect_support_open(&support, "binance", SYMBOLS);
    enum { LEVELS = EVENT_LEVELS_MAX + 1 };
    char *frame = malloc(DIALECT_SUPPORT_FRAME_BYTES_MAX);
    static struct event event;
    for (int extra = 0; extra < 2; extra++) {
        size_t size = (size_t)sprintf(frame, "{\"stream\":\"btcusdt@depth5\",\"data\":{"
                                             "\"lastUpdateId\":1,\"bids\":[[\"1\",\"2\"]");
        for (int i = 2; i < LEVELS + extra; i++)
            size += (size_t)sprintf(frame + size, ",[\"1\",\"2\"]");
        size += (size_t)sprintf(frame + size, "],\"asks\":[]}}");
        uint32_t raw = 0;
        const uint32_t rows = dialect_support_compare(&support, frame, (uint32_t)size, &raw);
        cr_assert_eq(rows, extra == 0);
        cr_assert_eq(raw, extra);
    }
    memset(frame, '[', EVENT_TEXT_BYTES_MAX + 1);
    dialect_support_begin(&support, frame, EVENT_TEXT_BYTES_MAX + 1, 0);
    cr_assert(support.dialect->next(&support.frame, &event));
    cr_assert_eq(event.value[RAW_REASON], RAW_TOO_LARGE);
    cr_assert_eq(event_text(&event, RAW_FRAME).size, EVENT_TEXT_BYTES_MAX);
    cr_assert(!support.dialect->next(&support.frame, &event));
    free(frame);
    dialect_support_close(&support);
}

// ---- replies ----

static const struct {
    const char *frame;
    enum dialect_frame_kind kind;
    int64_t id;
    bool failed;
    const char *words;
} replies[] = {
    {"{\"result\":null,\"id\":1}", DIALECT_FRAME_REPLY, 1, false, "null"},
    {"{\"id\":3,\"result\":[\"btcusdt@trade\"]}", DIALECT_FRAME_REPLY, 3, false,
     "[\"btcusdt@trade\"]"},
    {"{\"code\":2,\"msg\":\"Invalid request\",\"id\":7}", DIALECT_FRAME_REPLY, 7, true,
     "Invalid request"},
    {"{\"error\":{\"code\":1,\"msg\":\"no\"},\"id\":\"abc\"}", DIALECT_FRAME_REPLY, -1, true, "no"},
    {"{\"error\":\"words\"}", DIALECT_FRAME_REPLY, -1, true, "words"},
    {"{\"e\":\"serverShutdown\",\"E\":1770123456789}", DIALECT_FRAME_SHUTDOWN, -1, false, ""},
    {"{\"stream\":\"!serverShutdown\",\"data\":{\"e\":\"serverShutdown\",\"E\":1770123456789}}",
     DIALECT_FRAME_SHUTDOWN, -1, false, ""},
};

Test(binance, replies_and_shutdown)
{
    struct dialect_support support;
    dialect_support_open(&support, "binance", SYMBOLS);
    for (size_t i = 0; i < COUNT(replies); i++) {
        cr_expect_str_empty(dialect_support_read(&support, replies[i].frame, false));
        const struct dialect_frame *frame = &support.frame;
        cr_expect_eq(frame->kind, replies[i].kind, "%s", replies[i].frame);
        cr_expect_eq(frame->reply_id, replies[i].id);
        cr_expect_eq(frame->reply_failed, replies[i].failed);
        cr_expect_eq(frame->reply.size, strlen(replies[i].words));
        // No words at all are no bytes: memcmp() may not see their NULL.
        size_t size = frame->reply.size;
        cr_expect(size == 0 || memcmp(frame->reply.bytes, replies[i].words, size) == 0);
    }
    dialect_support_close(&support);
}

Test(binance, raw_stream_and_rest_reply)
{
    struct dialect_support support;
    dialect_support_open(&support, "binance", SYMBOLS);
    const char *book = "{\"lastUpdateId\":1,\"bids\":[[\"1\",\"2\"]],\"asks\":[]}";
    support.context.raw_symbol = 0;
    cr_assert_str_eq(dialect_support_read(&support, book, false),
                     "book binance:BTCUSDT last_id=1 source=rest b 1 x 2\n");
    support.context.raw_stream = "ethusdt@depth10@100ms";
    cr_assert_str_eq(dialect_support_read(&support, book, false),
                     "book binance:ETHUSDT last_id=1 source=depth10 b 1 x 2\n");
    cr_assert_not_null(strstr(
        dialect_support_read(&support, "{\"e\":\"trade\",\"p\":\"1\"," GOOD_REST "}", false),
        "detail='trade.stream'"));
    dialect_support_close(&support);
}

// ---- requests ----

Test(binance, subscriptions_cover_all_streams_in_batches)
{
    enum { STREAMS = 1024 };
    struct dialect_support support;
    dialect_support_open(&support, "binance", SYMBOLS);
    static struct dialect_stream streams[STREAMS];
    static char out[DIALECT_REQUEST_BYTES_MAX];
    const struct dialect_channel channels[] = {{"trade"}, {"depth"}, {"kline_1M"}, {"book20"}};
    for (uint32_t i = 0; i < STREAMS; i++)
        streams[i] = (struct dialect_stream){i % 5, (uint16_t)(i % 4)};
    const struct dialect_subscribe what = {.context = &support.context,
                                           .channels = channels,
                                           .streams = streams,
                                           .stream_count = STREAMS,
                                           .request_id = 10};
    uint32_t position = 0, requests = 0, size, names = 0;
    while ((size = support.dialect->subscribe(&what, &position, out, sizeof out)) > 0) {
        struct json_value root, params, name;
        struct json_walk walk;
        cr_assert_eq(json_parse(out, size, &root, NULL), JSON_OK);
        cr_assert_eq(json_find(&root, "params", &params), JSON_OK);
        cr_assert_eq(json_walk_array(&params, &walk), JSON_OK);
        while (json_walk_element(&walk, &name))
            names++;
        requests++;
    }
    cr_assert_eq(names, STREAMS);
    cr_assert_eq(position, STREAMS);
    cr_assert_leq(requests, 6);
    position = 0;
    const struct dialect_subscribe four = {&support.context, channels, streams, 4, 7, ""};
    size = support.dialect->subscribe(&four, &position, out, sizeof out);
    out[size] = '\0';
    cr_assert_str_eq(out, "{\"method\":\"SUBSCRIBE\",\"params\":[\"btcusdt@trade\","
                          "\"ethusdt@depth@100ms\",\"bnbbtc@kline_1M\","
                          "\"币安人生usdt@depth20@100ms\"],\"id\":7}");
    // A small buffer takes fewer streams a request, and none where not one fits.
    position = 0;
    cr_assert_gt(support.dialect->subscribe(&four, &position, out, 100), 0);
    cr_assert_eq(position, 1);
    cr_assert_eq(support.dialect->subscribe(&four, &position, out, 40), 0);
    cr_assert_eq(position, 1);
    // Taken back from there on.
    size = support.dialect->unsubscribe(&four, &position, out, sizeof out);
    out[size] = '\0';
    cr_assert_str_eq(out, "{\"method\":\"UNSUBSCRIBE\",\"params\":[\"ethusdt@depth@100ms\","
                          "\"bnbbtc@kline_1M\",\"币安人生usdt@depth20@100ms\"],\"id\":8}");
    cr_assert_eq(support.dialect->unsubscribe(&four, &position, out, sizeof out), 0);
    position = 0;
    requests = 0;
    while (support.dialect->unsubscribe(&what, &position, out, sizeof out) > 0) requests++;
    cr_assert_eq(position, STREAMS);
    cr_assert_eq(requests, 4, "what a second has room for");
    dialect_support_close(&support);
}

Test(binance, channels_groups_and_paths)
{
    enum channel channel = CHANNEL_NONE;
    char path[64];
    cr_assert(dialect_binance.channel_known("book10", &channel));
    cr_assert_eq(channel, CHANNEL_BOOK);
    cr_assert(dialect_binance.channel_known("kline_1s", &channel));
    cr_assert_eq(channel, CHANNEL_KLINE);
    cr_assert_not(dialect_binance_usdm.channel_known("kline_1s", &channel));
    cr_assert_not(dialect_binance.channel_known("kline_7m", &channel));
    cr_assert_not(dialect_binance.channel_known("", &channel));
    cr_assert_eq(dialect_binance.group("kline_1m"), 0);
    cr_assert_eq(dialect_binance_usdm.group("depth"), 0);
    cr_assert_eq(dialect_binance_usdm.group("kline_1m"), 1);
    cr_assert_gt(dialect_binance.path(0, path, sizeof path), 0);
    cr_assert_str_eq(path, "/stream?timeUnit=MICROSECOND");
    cr_assert_gt(dialect_binance_usdm.path(1, path, sizeof path), 0);
    cr_assert_str_eq(path, "/market/stream");
    cr_assert_eq(dialect_binance.path(0, path, 5), 0);
    cr_assert_null(dialect_by_name("binanc"));
    cr_assert_eq(dialect_by_name("binance-usdm"), &dialect_binance_usdm);
}

// ---- agreement of the two scanners ----

// Writes the members of the object in another order.
static uint32_t shuffled(struct protocol_random *random, const struct json_value *object, char *out)
{
    struct json_value keys[32], values[32];
    struct json_walk walk;
    uint32_t count = 0, size = 0;
    cr_assert_eq(json_walk_object(object, &walk), JSON_OK);
    while (json_walk_member(&walk, &keys[count], &values[count]))
        count++;
    out[size++] = '{';
    while (count > 0) {
        const uint32_t pick = random_below(random, count);
        const bool object_inside = values[pick].type == JSON_OBJECT;
        size += (uint32_t)sprintf(out + size, "%s%.*s:", size > 1 ? "," : "", (int)keys[pick].size,
                                  keys[pick].text);
        if (object_inside)
            size += shuffled(random, &values[pick], out + size);
        else
            size += (uint32_t)sprintf(out + size, "%.*s", (int)values[pick].size,
                                      values[pick].text);
        count--;
        keys[pick] = keys[count];
        values[pick] = values[count];
    }
    out[size++] = '}';
    return size;
}

static void check_shuffled(const char *dialect, const struct case_of *cases, size_t count)
{
    struct dialect_support support;
    struct protocol_random random = random_start(dialect);
    dialect_support_open(&support, dialect, SYMBOLS);
    for (size_t i = 0; i < count; i++) {
        for (int round = 0; round < 20; round++) {
            struct json_value root;
            char frame[2048];
            cr_assert_eq(json_parse(cases[i].frame, (uint32_t)strlen(cases[i].frame), &root, NULL),
                         JSON_OK);
            frame[shuffled(&random, &root, frame)] = '\0';
            cr_assert_str_eq(dialect_support_read(&support, frame, false), cases[i].rows);
        }
    }
    dialect_support_close(&support);
}

Test(binance, order_of_keys_does_not_matter)
{
    check_shuffled("binance", spot_cases, COUNT(spot_cases));
    check_shuffled("binance-usdm", usdm_cases, COUNT(usdm_cases));
}

static void check_damaged(const char *dialect, const struct case_of *cases, size_t count)
{
    static const char alphabet[] = "\"{}[],:.0129eE-+tfn \\u@abs\x01\xc3\xff";
    struct dialect_support support;
    struct protocol_random random = random_start(dialect);
    dialect_support_open(&support, dialect, SYMBOLS);
    for (size_t i = 0; i < count; i++) {
        const uint32_t size = (uint32_t)strlen(cases[i].frame);
        char frame[2048];
        for (uint32_t cut = 0; cut <= size; cut++)
            (void)dialect_support_compare(&support, cases[i].frame, cut, NULL);
        for (int round = 0; round < 3000; round++) {
            memcpy(frame, cases[i].frame, size);
            for (uint32_t changes = random_below(&random, 3) + 1; changes > 0; changes--)
                frame[random_below(&random, size)] =
                    alphabet[random_below(&random, sizeof alphabet - 1)];
            (void)dialect_support_compare(&support, frame, size, NULL);
        }
    }
    dialect_support_close(&support);
}

Test(binance, scanners_agree_on_damaged_frames)
{
    check_damaged("binance", spot_cases, COUNT(spot_cases));
    check_damaged("binance-usdm", usdm_cases, COUNT(usdm_cases));
}
