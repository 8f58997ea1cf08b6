// SPDX-License-Identifier: GPL-3.0-or-later
//
// Upbit: the message types in all four forms by both scanners, every fault by name, the request,
// market lists, and agreement of the scanners on the recording and on shuffled and damaged
// messages.
#include "exchange/upbit.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dialect_support.h"
#include "protocol_random.h"
#include "tools/exchange_sim_capture.h"

#define SYMBOLS                                                                                    \
    "KRW-BTC KRW-STX KRW-ANKR BTC-FLOW BTC-BASIC KRW-IQ USDT-ADA BTC-CHZ KRW-DAWN KRW-BAT KRW-ADA"
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define SIMPLE_TRADE                                                                               \
    "{\"ty\":\"trade\",\"cd\":\"KRW-BTC\",\"tms\":1773240059120,\"td\":\"2026-03-11\","            \
    "\"ttm\":\"14:40:59\",\"ttms\":1773240059095,\"tp\":103460000.0,\"tv\":0.004,\"ab\":\"ASK\","  \
    "\"pcp\":102417000.0,\"c\":\"RISE\",\"cp\":1043000.0,\"sid\":17732400590950000,"               \
    "\"bap\":103493000,\"bas\":0.049,\"bbp\":103460000,\"bbs\":0.004,\"st\":\"REALTIME\"}"
#define TRADE_ROW                                                                                  \
    "trade upbit:KRW-BTC event_time=1773240059120000000 trade_time=1773240059095000000 "           \
    "id=17732400590950000 price=103460000.0 quantity=0.004 side=sell "                             \
    "previous_close=102417000.0 best_bid_price=103460000 best_bid_quantity=0.004 "                 \
    "best_ask_price=103493000 best_ask_quantity=0.049\n"
#define SIMPLE_BOOK                                                                                \
    "{\"ty\":\"orderbook\",\"cd\":\"BTC-CHZ\",\"tms\":1617646620673,\"tas\":3873697.94329493,"     \
    "\"tbs\":0,\"obu\":[{\"ap\":9.9E-7,\"bp\":9.8E-7,\"as\":9354.4915888,\"bs\":6E-8},"            \
    "{\"ap\":0.000001,\"bp\":0,\"as\":1,\"bs\":0E-8}],\"lv\":0,\"st\":\"SNAPSHOT\"}"
#define BOOK_ROW                                                                                   \
    "book upbit:BTC-CHZ flags=4 event_time=1617646620673000000 source=orderbook "                  \
    "total_bid_quantity=0 total_ask_quantity=3873697.94329493 grouping=0 a 0.00000099 x "          \
    "9354.4915888 b 0.00000098 x 0.00000006 a 0.000001 x 1 b 0 x 0.00000000\n"

static const struct {
    const char *frame;
    const char *rows;
} cases[] = {
    {SIMPLE_TRADE, TRADE_ROW},
    {"[" SIMPLE_TRADE "]", TRADE_ROW},
    {SIMPLE_BOOK, BOOK_ROW},
    {" [ " SIMPLE_BOOK " , " SIMPLE_TRADE " ] ", BOOK_ROW TRADE_ROW},
    {"[]", ""},
    {"{\"type\":\"trade\",\"code\":\"KRW-BTC\",\"timestamp\":1773240059120,"
     "\"trade_date\":\"2026-03-11\",\"trade_time\":\"14:40:59\",\"trade_timestamp\":1773240059095,"
     "\"trade_price\":103460000.0,\"trade_volume\":0.004,\"ask_bid\":\"ASK\","
     "\"prev_closing_price\":102417000.0,\"change\":\"RISE\",\"change_price\":1043000.0,"
     "\"sequential_id\":17732400590950000,\"best_ask_price\":103493000,\"best_ask_size\":0.049,"
     "\"best_bid_price\":103460000,\"best_bid_size\":0.004,\"stream_type\":\"REALTIME\"}",
     TRADE_ROW},
    // 2021: no best prices; a time of day on the minute loses its seconds; no change.
    {"{\"ty\":\"trade\",\"cd\":\"KRW-IQ\",\"tms\":1617646621082,\"td\":\"2021-04-05\","
     "\"ttm\":\"18:17\",\"ttms\":1617646620000,\"tp\":43.2,\"tv\":12111.68782622,\"ab\":\"BID\","
     "\"pcp\":43.20000000,\"c\":\"EVEN\",\"cp\":0.0,\"sid\":1617646620000000,\"st\":\"SNAPSHOT\"}",
     "trade upbit:KRW-IQ flags=4 event_time=1617646621082000000 trade_time=1617646620000000000 "
     "id=1617646620000000 price=43.2 quantity=12111.68782622 side=buy "
     "previous_close=43.20000000\n"},
    {"{\"type\":\"orderbook\",\"code\":\"KRW-BTC\",\"timestamp\":1,\"total_ask_size\":1E-7,"
     "\"total_bid_size\":2,\"orderbook_units\":[],\"level\":10000,\"stream_type\":\"REALTIME\"}",
     "book upbit:KRW-BTC event_time=1000000 source=orderbook total_bid_quantity=2 "
     "total_ask_quantity=0.0000001 grouping=10000\n"},
    {"{\"ty\":\"ticker\",\"cd\":\"KRW-BTC\",\"op\":1,\"hp\":2,\"lp\":0.5,\"tp\":1.5,\"pcp\":2,"
     "\"c\":\"FALL\",\"cp\":0.5,\"scp\":-0.5,\"cr\":0.25,\"scr\":-0.25,\"tv\":3,\"atv\":4,"
     "\"atv24h\":5,\"atp\":193484868459.18073000,\"atp24h\":7,\"tdt\":\"20260311\","
     "\"ttm\":\"144059\",\"ttms\":1773240059095,\"ab\":\"BID\",\"aav\":8,\"abv\":9,\"h52wp\":10,"
     "\"h52wdt\":\"2025-10-09\",\"l52wp\":11,\"l52wdt\":\"2025-04-09\",\"ms\":\"ACTIVE\","
     "\"its\":false,\"dd\":null,\"mw\":\"NONE\",\"tms\":1773240059120,\"st\":\"REALTIME\"}",
     "ticker upbit:KRW-BTC event_time=1773240059120000000 trade_time=1773240059095000000 open=1 "
     "high=2 low=0.5 last_price=1.5 last_quantity=3 previous_close=2 change=-0.5 "
     "change_rate=-0.25 volume=5 quote_volume=7 day_volume=4 day_quote_volume=193484868459.18073 "
     "day_bid_volume=9 day_ask_volume=8 side=buy high_52w=10 low_52w=11 suspended=false "
     "high_52w_date='2025-10-09' low_52w_date='2025-04-09' market_state='ACTIVE' "
     "market_warning='NONE'\n"},
    // A time of the last trade that does not follow from its timestamp is kept as sent.
    {"{\"ty\":\"ticker\",\"cd\":\"KRW-BTC\",\"tp\":1.5,\"tdt\":\"20260312\",\"ttm\":\"000000\","
     "\"ttms\":1773240059095,\"dd\":\"2026-04-01\",\"tms\":1,\"st\":\"SNAPSHOT\"}",
     "ticker upbit:KRW-BTC flags=4 event_time=1000000 trade_time=1773240059095000000 "
     "last_price=1.5 delisting_date='2026-04-01' trade_clock='20260312 000000'\n"},
};

Test(upbit, messages)
{
    struct dialect_support support;
    dialect_support_open(&support, "upbit", SYMBOLS);
    for (size_t i = 0; i < COUNT(cases); i++) {
        cr_expect_str_eq(dialect_support_read(&support, cases[i].frame, false), cases[i].rows);
        cr_expect_str_eq(dialect_support_read(&support, cases[i].frame, true), cases[i].rows);
        cr_expect_eq(support.frame.kind, DIALECT_FRAME_EVENTS);
    }
    dialect_support_close(&support);
}

// A good frame with one part replaced: reason and detail of the first raw row.
static const struct {
    const char *good;
    const char *part;
    const char *instead;
    const char *raw;
    bool row;
} faults[] = {
    {SIMPLE_TRADE, "14:40:59", "14:40:58", "reason=inconsistent detail='trade.trade_time'", true},
    {SIMPLE_TRADE, "14:40:59", "14:40", "reason=inconsistent detail='trade.trade_time'", true},
    {SIMPLE_TRADE, "2026-03-11", "2026-03-12", "reason=inconsistent detail='trade.trade_date'",
     true},
    {SIMPLE_TRADE, "\"2026-03-11\"", "20260311", "reason=inconsistent detail='trade.trade_date'",
     true},
    {SIMPLE_TRADE, "RISE", "FALL", "reason=inconsistent detail='trade.change'", true},
    {SIMPLE_TRADE, "1043000.0", "1043000.1", "reason=inconsistent detail='trade.change_price'",
     true},
    {SIMPLE_TRADE, "1043000.0", "-1043000", "reason=inconsistent detail='trade.change_price'",
     true},
    {SIMPLE_TRADE, "\"pcp\":102417000.0,", "", "reason=inconsistent detail='trade.change'", true},
    {SIMPLE_TRADE, "\"bas\":", "\"new\":", "reason=unknown_key detail='trade.new'", true},
    {SIMPLE_TRADE, "\"sid\":", "\"sequential_id\":", "reason=missing_key detail='trade.sid'",
     false},
    {SIMPLE_TRADE, "\"ASK\"", "\"ask\"", "reason=wrong_type detail='trade.ab'", false},
    {SIMPLE_TRADE, "REALTIME", "LATER", "reason=wrong_type detail='trade.st'", false},
    {SIMPLE_TRADE, "103460000.0", "\"1\"", "reason=wrong_type detail='trade.tp'", false},
    {SIMPLE_TRADE, "103460000.0", "1e400", "reason=number_refused detail='trade.tp'", false},
    {SIMPLE_TRADE, "KRW-BTC", "KRW-XXX", "raw - reason=unknown_symbol detail='trade.cd'", false},
    {SIMPLE_TRADE, "\"trade\"", "\"myOrder\"", "reason=unknown_type detail='type.myOrder'", false},
    {SIMPLE_TRADE, "\"trade\"", "1", "reason=wrong_type detail='type'", false},
    {SIMPLE_TRADE, "\"ty\"", "\"tz\"", "reason=unknown_type detail='no type'", false},
    {SIMPLE_TRADE, "\"tv\"", "\"tp\"", "reason=duplicate_key detail='trade.tp'", false},
    {SIMPLE_BOOK, "\"as\":1,", "", "reason=missing_key detail='orderbook.obu'", false},
    {SIMPLE_BOOK, "\"as\":1,", "\"as\":1,\"as\":1,", "reason=duplicate_key detail='orderbook.obu'",
     false},
    {SIMPLE_BOOK, "\"as\":1,", "\"as\":\"1\",", "reason=wrong_type detail='orderbook.obu'", false},
    {SIMPLE_BOOK, "\"as\":1,", "\"as\":1,\"n\":3,",
     "reason=unknown_key detail='orderbook.obu.n'", true},
    {SIMPLE_BOOK, "9.9E-7", "9.9E-70", "reason=number_refused detail='orderbook.obu'", false},
    {SIMPLE_BOOK, "{\"ap\":9.9", "[],{\"ap\":9.9", "reason=wrong_type detail='orderbook.obu'",
     false},
};

Test(upbit, faults_have_names)
{
    struct dialect_support support;
    dialect_support_open(&support, "upbit", SYMBOLS);
    for (size_t i = 0; i < COUNT(faults); i++) {
        char frame[2048];
        const char *place = strstr(faults[i].good, faults[i].part);
        cr_assert_not_null(place);
        (void)snprintf(frame, sizeof frame, "%.*s%s%s", (int)(place - faults[i].good),
                       faults[i].good, faults[i].instead, place + strlen(faults[i].part));
        uint32_t raw = 0;
        const uint32_t rows =
            dialect_support_compare(&support, frame, (uint32_t)strlen(frame), &raw);
        const char *text = dialect_support_read(&support, frame, false);
        cr_expect_eq(rows, faults[i].row ? 1 : 0, "%s", frame);
        cr_expect_geq(raw, 1, "%s", frame);
        cr_expect_not_null(strstr(text, faults[i].raw), "%s\n%s", frame, text);
        cr_expect_not_null(strstr(text, frame));
    }
    dialect_support_close(&support);
}

Test(upbit, a_bad_element_does_not_take_the_others_along)
{
    struct dialect_support support;
    dialect_support_open(&support, "upbit", SYMBOLS);
    cr_assert_str_eq(
        dialect_support_read(&support, "[" SIMPLE_TRADE ",3,{\"ty\":\"x\"}," SIMPLE_BOOK "]",
                             false),
        TRADE_ROW "raw - reason=unknown_type detail='no object' frame='3'\n"
                  "raw - reason=unknown_type detail='type.x' frame='{\"ty\":\"x\"}'\n" BOOK_ROW);
    dialect_support_close(&support);
}

Test(upbit, replies)
{
    static const struct {
        const char *frame;
        enum dialect_frame_kind kind;
        bool failed;
    } replies[] = {
        {"{\"status\":\"UP\"}", DIALECT_FRAME_ALIVE, false},
        {"{\"error\":{\"name\":\"NO_CODES\",\"message\":\"\"}}", DIALECT_FRAME_REPLY, true},
        {"{\"method\":\"LIST_SUBSCRIPTIONS\",\"result\":[],\"ticket\":\"x\"}", DIALECT_FRAME_REPLY,
         false},
        {"{\"mthd\":\"LIST_SUBSCRIPTIONS\",\"rslt\":[],\"tckt\":\"x\"}", DIALECT_FRAME_REPLY,
         false},
    };
    struct dialect_support support;
    dialect_support_open(&support, "upbit", SYMBOLS);
    for (size_t i = 0; i < COUNT(replies); i++) {
        cr_expect_str_empty(dialect_support_read(&support, replies[i].frame, false));
        cr_expect_eq(support.frame.kind, replies[i].kind);
        cr_expect_eq(support.frame.reply_failed, replies[i].failed);
    }
    dialect_support_close(&support);
}

Test(upbit, one_request_names_all_streams)
{
    struct dialect_support support;
    dialect_support_open(&support, "upbit", SYMBOLS);
    const struct dialect_channel channels[] = {{"book"}, {"trade"}};
    const struct dialect_stream streams[] = {{0, 0}, {1, 1}, {2, 0}, {0, 1}};
    const struct dialect_subscribe what = {&support.context, channels, streams, 4, 0,
                                           "1c3887ce-ab23-46d6-9c2f-5c69a7f60754"};
    char out[512];
    uint32_t position = 0;
    out[support.dialect->subscribe(&what, &position, out, sizeof out)] = '\0';
    cr_assert_str_eq(out, "[{\"ticket\":\"1c3887ce-ab23-46d6-9c2f-5c69a7f60754\"},"
                          "{\"type\":\"trade\",\"codes\":[\"KRW-STX\",\"KRW-BTC\"]},"
                          "{\"type\":\"orderbook\",\"codes\":[\"KRW-BTC\",\"KRW-ANKR\"]},"
                          "{\"format\":\"SIMPLE\"}]");
    cr_assert_eq(position, 4);
    cr_assert_eq(support.dialect->subscribe(&what, &position, out, sizeof out), 0);
    cr_assert_null(support.dialect->unsubscribe);
    for (uint32_t room = 0; room < 100; room++) {
        position = 0;
        cr_assert_eq(support.dialect->subscribe(&what, &position, out, room), 0);
        cr_assert_eq(position, 0);
    }
    dialect_support_close(&support);
}

Test(upbit, clock)
{
    static const struct {
        int64_t second;
        const char *date;
        const char *clock;
    } times[] = {
        {0, "1970-01-01", "00:00:00"},           {951782399, "2000-02-28", "23:59:59"},
        {951782400, "2000-02-29", "00:00:00"},   {1709251199, "2024-02-29", "23:59:59"},
        {1709251200, "2024-03-01", "00:00:00"},  {1735689599, "2024-12-31", "23:59:59"},
        {4107542400, "2100-03-01", "00:00:00"},  {1773240059, "2026-03-11", "14:40:59"},
        {9223372036, "2262-04-11", "23:47:16"},
    };
    for (size_t i = 0; i < COUNT(times); i++) {
        char date[UPBIT_DATE_BYTES + 1] = "", clock[UPBIT_CLOCK_BYTES + 1] = "";
        upbit_clock(times[i].second * 1000000000, date, clock);
        cr_expect_str_eq(date, times[i].date);
        cr_expect_str_eq(clock, times[i].clock);
    }
    cr_assert(upbit_clock_matches("18:17", 5, "18:17:00"));
    cr_assert_not(upbit_clock_matches("18:17", 5, "18:17:01"));
    cr_assert_not(upbit_clock_matches("", 0, "18:17:00"));
}

// ---- market/all ----

struct seen {
    struct dialect_support *support;
    uint32_t count;
    char first[1024];
};

static void see_market(void *context, const struct event *event, const char *symbol,
                       uint32_t symbol_size, bool trading)
{
    struct seen *seen = context;
    cr_assert(trading);
    cr_assert_gt(symbol_size, 4);
    cr_assert_not_null(symbol);
    if (seen->count++ == 0)
        dialect_support_print(seen->support, event, seen->first, sizeof seen->first);
}

Test(upbit, recorded_market_all)
{
    struct dialect_support support;
    const char *path = dialect_support_recording("tables/cryptofeed_UPBIT_market_all.0.gz");
    if (path == NULL)
        cr_skip_test("no recordings");
    dialect_support_open(&support, "upbit", SYMBOLS);
    static struct seen seen;
    struct exchange_sim_capture_line line;
    seen.support = &support;
    struct exchange_sim_capture *capture = exchange_sim_capture_open(path);
    cr_assert_not_null(capture);
    while (exchange_sim_capture_next(capture, &line))
        if (line.kind == EXCHANGE_SIM_CAPTURE_REST)
            cr_assert_eq(dialect_upbit.instruments(line.text, line.size, see_market, &seen), 0);
    cr_assert_gt(seen.count, 200);
    cr_assert_str_eq(seen.first,
                     "instrument - base='BTC' quote='KRW' body='{\"market\":\"KRW-BTC\","
                     "\"korean_name\":\"비트코인\",\"english_name\":\"Bitcoin\"}'\n");
    exchange_sim_capture_close(capture);
    dialect_support_close(&support);
}

// ---- agreement of the two scanners ----

Test(upbit, scanners_agree_on_damaged_frames)
{
    static const char alphabet[] = "\"{}[],:.0129eE-+tfn \\u-abs\x01\xc3\xff";
    struct dialect_support support;
    struct protocol_random random = random_start("upbit");
    dialect_support_open(&support, "upbit", SYMBOLS);
    for (size_t i = 0; i < COUNT(cases); i++) {
        const uint32_t size = (uint32_t)strlen(cases[i].frame);
        char frame[4096];
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

// Every frame is one row, the same by both ways, and the fast scanner takes it; the same frame
// inside an array gives the same row.
Test(upbit, recording)
{
    const char *path = dialect_support_recording("captures/cryptofeed_UPBIT-d78752.0.gz");
    if (path == NULL)
        cr_skip_test("no recordings");
    struct dialect_support support;
    struct exchange_sim_capture_line line;
    static struct event event;
    uint32_t rows = 0, raw = 0, fast = 0;
    dialect_support_open(&support, "upbit", SYMBOLS);
    struct exchange_sim_capture *capture = exchange_sim_capture_open(path);
    cr_assert_not_null(capture);
    while (exchange_sim_capture_next(capture, &line)) {
        if (line.kind != EXCHANGE_SIM_CAPTURE_MESSAGE)
            continue;
        cr_expect(line.binary);
        rows += dialect_support_compare(&support, line.text, line.size, &raw);
        char list[8192];
        const int list_size = snprintf(list, sizeof list, "[%.*s]", (int)line.size, line.text);
        cr_expect_eq(dialect_support_compare(&support, list, (uint32_t)list_size, &raw), 1);
        dialect_support_begin(&support, line.text, line.size, 0);
        fast += upbit_scan(&support.frame, &event);
    }
    cr_expect_eq(rows, 672 + 1061);
    cr_expect_eq(raw, 0);
    cr_expect_eq(fast, rows);
    exchange_sim_capture_close(capture);
    dialect_support_close(&support);
}
