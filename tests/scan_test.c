// SPDX-License-Identifier: GPL-3.0-or-later
//
// The pieces of the fast scanners, in messages: numbers of every form, lists of any length, dates
// and times of day. Each message is read both ways, which must agree; and what is usual must be
// taken by the fast scanner, for else it would only be slow, and no other test would fail.
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dialect_support.h"
#include "exchange/binance.h"
#include "exchange/upbit.h"
#include "protocol_random.h"

#define SYMBOLS "BTCUSDT ETHUSDT BNBBTC 币安人生USDT 1000PEPEUSDT KRW-BTC"

enum { FRAME_BYTES_MAX = 1 << 17 };

static struct dialect_support support;
static struct event event;

static bool taken(const char *frame)
{
    dialect_support_begin(&support, frame, (uint32_t)strlen(frame), '7');
    if (strcmp(support.dialect->name, "upbit") == 0)
        return upbit_scan(&support.frame, &event);
    return strcmp(support.dialect->name, "binance") == 0
               ? binance_spot_scan(&support.frame, &event)
               : binance_usdm_scan(&support.frame, &event);
}

static void compare(const char *frame)
{
    (void)dialect_support_compare(&support, frame, (uint32_t)strlen(frame), NULL);
}

// ---- numbers ----

// A trade with these as price and quantity; of Upbit as best price and its quantity.
static const char *trade_of(const char *price, const char *quantity)
{
    static char frame[1024];
    if (strcmp(support.dialect->name, "upbit") == 0)
        (void)snprintf(frame, sizeof frame,
                       "{\"ty\":\"trade\",\"cd\":\"KRW-BTC\",\"tms\":1773240059120,"
                       "\"td\":\"2026-03-11\",\"ttm\":\"14:40:59\",\"ttms\":1773240059095,\"tp\":1,"
                       "\"tv\":1,\"ab\":\"ASK\",\"pcp\":1,\"c\":\"EVEN\",\"cp\":0,"
                       "\"sid\":17732400590950000,\"bap\":%s,\"bas\":%s,\"bbp\":103460000,"
                       "\"bbs\":0.004,\"st\":\"REALTIME\"}",
                       price, quantity);
    else if (strcmp(support.dialect->name, "binance") == 0)
        (void)snprintf(frame, sizeof frame,
                       "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\","
                       "\"E\":1700000000123,\"s\":\"BTCUSDT\",\"t\":4001,\"p\":\"%s\",\"q\":\"%s\","
                       "\"T\":1700000000122,\"m\":true,\"M\":true}}",
                       price, quantity);
    else
        (void)snprintf(frame, sizeof frame,
                       "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\","
                       "\"E\":1700000000123,\"T\":1700000000122,\"s\":\"BTCUSDT\",\"t\":4001,"
                       "\"p\":\"%s\",\"q\":\"%s\",\"X\":\"MARKET\",\"m\":true}}",
                       price, quantity);
    return frame;
}

// `places` below 0: no point.
static void number_of(char number[64], uint32_t whole, int32_t places, char first)
{
    static const char digits[] = "918273645546372819283746";
    uint32_t size = 0;
    for (uint32_t i = 0; i < whole; i++)
        number[size++] = i == 0 ? first : digits[i];
    if (places >= 0)
        number[size++] = '.';
    for (int32_t i = 0; i < places; i++)
        number[size++] = digits[(uint32_t)i + 3];
    number[size] = '\0';
}

// In either place of a pair, beside a usual number.
static void check_number(const char *number, bool usual)
{
    const char *first = trade_of(number, "0.00200000");
    compare(first);
    cr_expect(!usual || taken(first), "not taken: %s", first);
    const char *second = trade_of("42000.10000000", number);
    compare(second);
    cr_expect(!usual || taken(second), "not taken: %s", second);
}

static void check_numbers(const char *dialect)
{
    char number[64];
    dialect_support_open(&support, dialect, SYMBOLS);
    for (uint32_t whole = 0; whole <= 20; whole++)
        for (int32_t places = -1; places <= 20; places++)
            for (const char *first = "01.9"; *first != '\0'; first++) {
                const bool good = whole >= 1 && places != 0 && *first != '.' &&
                                  (*first != '0' || whole == 1);
                number_of(number, whole, places, *first);
                check_number(number, good && whole + (uint32_t)(places > 0 ? places : 0) <= 18);
            }
    static const char *const others[] = {"", ".", "-1", "-0", "+1", "1e5", "9.9E-7", "1E", "0x1",
                                         "1.2.3", "12 ", " 12", "1,2", "1:2", "1/2", "/", ":",
                                         "00000000.00000000", "0.0000000000000000", "1.0000000a"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        check_number(others[i], false);
    dialect_support_close(&support);
}

Test(scan, numbers_of_binance)
{
    check_numbers("binance");
}

Test(scan, numbers_of_binance_futures)
{
    check_numbers("binance-usdm");
}

Test(scan, numbers_of_upbit)
{
    check_numbers("upbit");
}

// ---- lists ----

struct writer {
    char text[2 * FRAME_BYTES_MAX];
    uint32_t size;
};

static struct writer writer;

__attribute__((format(printf, 1, 2))) static void put(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(writer.text + writer.size, sizeof writer.text - writer.size, format,
                               arguments);
    va_end(arguments);
    cr_assert(size > 0 && (size_t)size < sizeof writer.text - writer.size);
    writer.size += (uint32_t)size;
}

static void put_levels(struct protocol_random *random, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        put("%s[\"%u.%08u\",\"%u.%08u\"]", i == 0 ? "" : ",", random_below(random, 100000),
            random_below(random, 100000000), random_below(random, 10000),
            random_below(random, 100000000));
}

// The list of places is filled again and again, wherever a block of 64 bytes ends.
Test(scan, sides_of_any_length)
{
    static const uint32_t counts[] = {0, 1, 2, 3, 40, 127, 128, 129, 255, 256, 257, 1000};
    struct protocol_random random = random_start("sides");
    dialect_support_open(&support, "binance", SYMBOLS);
    for (size_t b = 0; b < sizeof counts / sizeof counts[0]; b++)
        for (size_t a = 0; a < sizeof counts / sizeof counts[0]; a++) {
            writer.size = 0;
            put("{\"stream\":\"btcusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\","
                "\"E\":1723161255208,\"s\":\"BTCUSDT\",\"U\":%u,\"u\":2,\"b\":[",
                random_below(&random, 1000000));
            put_levels(&random, counts[b]);
            put("],\"a\":[");
            put_levels(&random, counts[a]);
            put("]}}");
            compare(writer.text);
            cr_assert(taken(writer.text), "not taken: %u bids, %u asks", counts[b], counts[a]);
            cr_assert_eq(event.level_count, counts[b] + counts[a]);
        }
    dialect_support_close(&support);
}

Test(scan, units_of_any_number)
{
    struct protocol_random random = random_start("units");
    dialect_support_open(&support, "upbit", SYMBOLS);
    for (uint32_t count = 1; count < 700; count += 1 + count / 8) {
        writer.size = 0;
        put("{\"ty\":\"orderbook\",\"cd\":\"KRW-BTC\",\"tms\":1617646620673,"
            "\"tas\":3873697.94329493,\"tbs\":0.5,\"obu\":[");
        for (uint32_t i = 0; i < count; i++)
            put("%s{\"ap\":%u.%u,\"bp\":%u,\"as\":%u.%07u,\"bs\":%uE-8}", i == 0 ? "" : ",",
                random_below(&random, 1000000), random_below(&random, 10),
                random_below(&random, 10000), random_below(&random, 100000),
                random_below(&random, 10000000), random_below(&random, 10));
        put("],\"lv\":0,\"st\":\"REALTIME\"}");
        compare(writer.text);
        cr_assert(taken(writer.text), "not taken: %u units", count);
        cr_assert_eq(event.level_count, 2 * count);
    }
    dialect_support_close(&support);
}

// ---- dates and times of day ----

static const char *trade_at(int64_t time_ns, const char *date, const char *clock)
{
    static char frame[1024];
    (void)snprintf(frame, sizeof frame,
                   "{\"ty\":\"trade\",\"cd\":\"KRW-BTC\",\"tms\":1,\"td\":\"%.10s\",\"ttm\":\"%s\","
                   "\"ttms\":%lld,\"tp\":1.5,\"tv\":1,\"ab\":\"ASK\",\"pcp\":2.25,\"c\":\"FALL\","
                   "\"cp\":0.750,\"sid\":1,\"st\":\"REALTIME\"}",
                   date, clock, (long long)(time_ns / 1000000));
    return frame;
}

// Each date around the ends of months, each character of it another.
Test(scan, clock_of_upbit)
{
    dialect_support_open(&support, "upbit", SYMBOLS);
    for (int64_t day = 0; day < 60000; day += day % 31 < 3 ? 1 : 7) {
        char date[UPBIT_DATE_BYTES + 1] = "", clock[UPBIT_CLOCK_BYTES + 1] = "";
        const int64_t time_ns = (day * 86400 + day * 7919 % 86400) * 1000000000;
        upbit_clock(time_ns, date, clock);
        const char *frame = trade_at(time_ns, date, clock);
        cr_assert(taken(frame), "not taken: %s", frame);
        const uint32_t at = (uint32_t)day % UPBIT_DATE_BYTES;
        date[at] = (char)(date[at] + (day % 3 == 0 ? -1 : 1));
        cr_assert_not(taken(trade_at(time_ns, date, clock)));
        compare(trade_at(time_ns, date, clock));
    }
    dialect_support_close(&support);
}

Test(scan, clock_of_upbit_that_is_none)
{
    static const char *const dates[] = {"2026-02-29", "2026-02-30", "2026-04-31", "2026-00-10",
                                        "2026-13-01", "2026-01-00", "2026-01-32", "2026/03/01",
                                        "1969-12-31", "2024-02-30", "2100-02-29", "2026-03-01"};
    static const char *const clocks[] = {"24:00:00", "00:60:00", "00:00:60", "0:00:00",
                                         "00:00",    "00:00:0",  "00-00-00", "000000",
                                         "",         "00:00:00"};
    dialect_support_open(&support, "upbit", SYMBOLS);
    // Each of these would be the first of March, read without care.
    for (size_t d = 0; d < sizeof dates / sizeof dates[0]; d++)
        for (size_t c = 0; c < sizeof clocks / sizeof clocks[0]; c++)
            for (int64_t days = -2; days <= 2; days++)
                compare(trade_at((1772323200 + days * 86400) * 1000000000, dates[d], clocks[c]));
    dialect_support_close(&support);
}

// ---- what is usual ----

static void check_taken(const char *dialect, const char *const *frames, size_t count)
{
    dialect_support_open(&support, dialect, SYMBOLS);
    for (size_t i = 0; i < count; i++) {
        compare(frames[i]);
        cr_expect(taken(frames[i]), "not taken: %s", frames[i]);
    }
    dialect_support_close(&support);
}

Test(scan, usual_messages_of_binance)
{
    static const char *const frames[] = {
        "{\"stream\":\"1000pepeusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1700000000123456,"
        "\"s\":\"1000PEPEUSDT\",\"t\":4001,\"p\":\"0.00000042\",\"q\":\"1234567890.00000000\","
        "\"T\":1700000000122123,\"m\":false,\"M\":true}}",
        "{\"e\":\"trade\",\"E\":1700000000123,\"s\":\"BTCUSDT\",\"t\":1,\"p\":\"1.00000000\","
        "\"q\":\"1.00000000\",\"T\":1,\"m\":true,\"M\":false}",
        "{\"stream\":\"btcusdt@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":1,\"s\":\"BTCUSDT\","
        "\"a\":12345,\"p\":\"0.001\",\"q\":\"100\",\"f\":100,\"l\":105,\"T\":123456785,"
        "\"m\":true,\"M\":true}}",
        "{\"stream\":\"币安人生usdt@bookTicker\",\"data\":{\"u\":400900217,"
        "\"s\":\"币安人生USDT\",\"b\":\"25.35190000\",\"B\":\"31.21000000\","
        "\"a\":\"25.36520000\",\"A\":\"40.66000000\"}}",
        "{\"u\":1,\"s\":\"BNBBTC\",\"b\":\"0.1\",\"B\":\"1\",\"a\":\"0.2\",\"A\":\"3\"}",
        "{\"stream\":\"bnbbtc@depth\",\"data\":{\"e\":\"depthUpdate\",\"E\":1672515782136,"
        "\"s\":\"BNBBTC\",\"U\":157,\"u\":160,\"b\":[],\"a\":[[\"0.0026\",\"100\"]]}}",
        "{\"e\":\"depthUpdate\",\"E\":1,\"s\":\"BNBBTC\",\"U\":157,\"u\":160,\"b\":[],\"a\":[]}",
        "{\"stream\":\"bnbbtc@depth5\",\"data\":{\"lastUpdateId\":1,\"bids\":[],\"asks\":[]}}",
        "{\"stream\":\"bnbbtc@depth20@100ms\",\"data\":{\"lastUpdateId\":160,"
        "\"bids\":[[\"0.0024\",\"10\"]],\"asks\":[[\"0.00260000\",\"100.00000000\"]]}}",
    };
    check_taken("binance", frames, sizeof frames / sizeof frames[0]);
}

Test(scan, usual_messages_of_binance_futures)
{
    static const char *const frames[] = {
        "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1700000000123,"
        "\"T\":1700000000122,\"s\":\"BTCUSDT\",\"t\":4001,\"p\":\"42000.10\",\"q\":\"0.002\","
        "\"X\":\"INSURANCE_FUND\",\"m\":true}}",
        "{\"stream\":\"btcusdt@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":1,\"a\":12345,"
        "\"s\":\"BTCUSDT\",\"p\":\"0.001\",\"q\":\"100\",\"f\":100,\"l\":105,\"T\":123456785,"
        "\"m\":true}}",
        "{\"stream\":\"btcusdt@aggTrade\",\"data\":{\"e\":\"aggTrade\",\"E\":1,\"a\":12345,"
        "\"s\":\"BTCUSDT\",\"p\":\"0.001\",\"q\":\"100\",\"nq\":\"99\",\"f\":100,\"l\":105,"
        "\"T\":123456785,\"m\":false}}",
        "{\"stream\":\"btcusdt@bookTicker\",\"data\":{\"e\":\"bookTicker\",\"u\":400900217,"
        "\"s\":\"BTCUSDT\",\"b\":\"25.35\",\"B\":\"31.21\",\"a\":\"25.36\",\"A\":\"40\","
        "\"T\":1568014460891,\"E\":1568014460893}}",
        "{\"stream\":\"btcusdt@depth@0ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1,\"T\":2,"
        "\"s\":\"BTCUSDT\",\"U\":157,\"u\":160,\"pu\":149,\"b\":[[\"0.0024\",\"10\"]],\"a\":[]}}",
        "{\"stream\":\"btcusdt@depth10@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":1,\"T\":2,"
        "\"s\":\"BTCUSDT\",\"U\":157,\"u\":160,\"pu\":149,\"b\":[],\"a\":[[\"1\",\"2.5\"]]}}",
    };
    check_taken("binance-usdm", frames, sizeof frames / sizeof frames[0]);
}
