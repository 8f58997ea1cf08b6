// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the simulated exchanges are made of, without sockets: reading recordings, writing numbers,
// the made-up market, laps, names of streams. How they speak is tested by independent clients
// (tests/peers/exchange_sim_test.py).
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/exchange_sim_capture.h"
#include "tools/exchange_sim_reel.h"
#include "tools/exchange_sim_text.h"

static const char trades[] =
    "1723161254087896568 "
    "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161255343,"
    "\"s\":\"BTCUSDT\",\"t\":9999999997,\"p\":\"61837.63\",\"q\":\"0.02\",\"T\":1723161255342,"
    "\"m\":true,\"M\":true}}\n"
    "1723161254187896568 "
    "{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":1723161255443,"
    "\"s\":\"BTCUSDT\",\"t\":9999999998,\"p\":\"61837.64\",\"q\":\"0.01\",\"T\":1723161255442,"
    "\"m\":false,\"M\":true}}\n";

// A file of this content; the caller unlinks and frees.
static char *file_of(const char *content)
{
    char *path = strdup("/tmp/ringtape-exchange-sim-XXXXXX");
    int const handle = mkstemp(path);
    cr_assert(handle >= 0);
    size_t const size = strlen(content);
    cr_assert_eq(write(handle, content, size), (ssize_t)size);
    cr_assert_eq(close(handle), 0);
    return path;
}

struct form {
    const char *text;
    enum exchange_sim_capture_kind kind;
    int64_t receive_ns;
    const char *payload;
    bool binary;
};

static const struct form forms[] = {
    {"1723161254087896568 {\"a\":1}", EXCHANGE_SIM_CAPTURE_MESSAGE, 1723161254087896568,
     "{\"a\":1}", false},
    {"1721750401362816 {\"a\":2}", EXCHANGE_SIM_CAPTURE_MESSAGE, 1721750401362816000, "{\"a\":2}",
     false},
    {"1741046404352 [3]", EXCHANGE_SIM_CAPTURE_MESSAGE, 1741046404352000000, "[3]", false},
    {"1617647603.4249449: {\"a\":4}", EXCHANGE_SIM_CAPTURE_MESSAGE, 1617647603424944900,
     "{\"a\":4}", false},
    {"1617646620.849474: b'{\"n\":\"\\xec\\xa0\\x9c\\'\"}'", EXCHANGE_SIM_CAPTURE_MESSAGE,
     1617646620849474000, "{\"n\":\"\xec\xa0\x9c'\"}", true},
    {"{\"stream\":\"x\"}", EXCHANGE_SIM_CAPTURE_MESSAGE, 0, "{\"stream\":\"x\"}", false},
    {"1723161254206652067 {\"lastUpdateId\":5}", EXCHANGE_SIM_CAPTURE_REST, 1723161254206652067,
     "{\"lastUpdateId\":5}", false},
    {"https://e.test/api/v1/depth?symbol=A -> 1617647603.5: {\"lastUpdateId\":6}",
     EXCHANGE_SIM_CAPTURE_REST, 1617647603500000000, "{\"lastUpdateId\":6}", false},
    {"wss://e.test/ws <- 1617646620.5: [7]", EXCHANGE_SIM_CAPTURE_REQUEST, 1617646620500000000,
     "[7]", false},
    {"wss://e.test/ws <-> 1617646619.5", EXCHANGE_SIM_CAPTURE_CONNECTED, 1617646619500000000, "",
     false},
    {"what is this", EXCHANGE_SIM_CAPTURE_MALFORMED, 0, "what is this", false},
};
enum { FORMS = sizeof forms / sizeof forms[0] };

Test(exchange_sim, every_form_of_recording_is_read_twice_alike)
{
    char content[4096] = "configuration: {}\n\n";
    for (int i = 0; i < FORMS; i++) {
        size_t const used = strlen(content);
        cr_assert(snprintf(content + used, sizeof content - used, "%s\n", forms[i].text) > 0);
    }
    char *path = file_of(content);
    struct exchange_sim_capture *capture = exchange_sim_capture_open(path);
    cr_assert_not_null(capture);
    for (int pass = 0; pass < 2; pass++) {
        struct exchange_sim_capture_line line;
        for (int i = 0; i < FORMS; i++) {
            cr_assert(exchange_sim_capture_next(capture, &line), "line %d", i);
            cr_expect_eq(line.kind, forms[i].kind, "%s", forms[i].text);
            cr_expect_eq(line.receive_ns, forms[i].receive_ns, "%s", forms[i].text);
            cr_expect_eq(line.binary, forms[i].binary, "%s", forms[i].text);
            cr_expect_eq(line.size, strlen(forms[i].payload), "%s", forms[i].text);
            cr_expect_eq(memcmp(line.text, forms[i].payload, line.size), 0, "%s", forms[i].text);
        }
        cr_expect_not(exchange_sim_capture_next(capture, &line));
        exchange_sim_capture_rewind(capture);
    }
    exchange_sim_capture_close(capture);
    cr_expect_eq(unlink(path), 0);
    free(path);
}

static void expect_text(struct exchange_sim_text *out, const char *expected)
{
    cr_expect_eq(exchange_sim_text_size(out), strlen(expected), "%s", expected);
    cr_expect_eq(memcmp(out->start, expected, strlen(expected)), 0, "%.*s, expected %s",
                 (int)exchange_sim_text_size(out), out->start, expected);
    out->at = out->start;
}

Test(exchange_sim, numbers_are_spelled_as_the_exchanges_do)
{
    char memory[64];
    struct exchange_sim_text out = exchange_sim_text(memory, sizeof memory);
    static const struct {
        int64_t mantissa;
        int scale;
        const char *text;
    } doubles[] = {
        {103460000, 0, "103460000.0"},
        {99, 8, "9.9E-7"},
        {6, 8, "6.0E-8"},
        {4, 3, "0.004"},
        {1, 3, "0.001"},
        {99, 5, "9.9E-4"},
        {1270, 1, "127.0"},
        {-25, 1, "-2.5"},
        {0, 8, "0.0"},
        {12345678, 8, "0.12345678"},
        {100, 8, "1.0E-6"},
        {-5, 8, "-5.0E-8"},
    };
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        exchange_sim_text_double(&out, doubles[i].mantissa, doubles[i].scale);
        expect_text(&out, doubles[i].text);
    }
    exchange_sim_text_decimal(&out, 3513, 4, 8);
    expect_text(&out, "0.35130000");
    exchange_sim_text_decimal(&out, -7, 0, 2);
    expect_text(&out, "-7.00");
    exchange_sim_text_quoted(&out, "a\"\\\n", 4);
    expect_text(&out, "\"a\\\"\\\\\\u000a\"");
    cr_expect_not(out.full);
    exchange_sim_text_padded(&out, 1, 20);
    for (int i = 0; i < 10; i++)
        exchange_sim_text_integer(&out, 123456789);
    cr_expect(out.full, "no room is told");
}

Test(exchange_sim, queries_are_taken_apart)
{
    static const char query[] = "streams=a%40trade%2Fb&limit=5&empty=&symbols=x";
    uint32_t const size = sizeof query - 1;
    char value[16];
    cr_expect(exchange_sim_text_query(query, size, "streams", value, sizeof value));
    cr_expect_str_eq(value, "a@trade/b");
    cr_expect(exchange_sim_text_query(query, size, "empty", value, sizeof value));
    cr_expect_str_eq(value, "");
    cr_expect_not(exchange_sim_text_query(query, size, "symbol", value, sizeof value));
    cr_expect_not(exchange_sim_text_query(query, size, "streams", value, 10), "too small");
    cr_expect_eq(exchange_sim_text_number("5000", -1), 5000);
    cr_expect_eq(exchange_sim_text_number("50x", -1), -1);
    cr_expect_eq(exchange_sim_text_number("", 7), 7);
}

static uint64_t market_hash(uint64_t seed)
{
    static char memory[MARKET_EVENT_SIZE_MAX];
    struct exchange_sim_market_options const options = {
        .seed = seed, .symbols = {20, 5, 20}, .start_us = 1763850000000000};
    struct exchange_sim_market *market = exchange_sim_market_open(&options);
    cr_assert_not_null(market);
    uint64_t hash = 14695981039346656037u;
    for (int i = 0; i < 20000; i++) {
        struct exchange_sim_market_event event;
        exchange_sim_market_next(market, options.start_us + i * 50, &event);
        struct exchange_sim_text out = exchange_sim_text(memory, sizeof memory);
        exchange_sim_market_render(market, &event, true, &out);
        for (const char *c = out.start; c < out.at; c++)
            hash = (hash ^ (uint8_t)*c) * 1099511628211u;
    }
    exchange_sim_market_close(market);
    return hash;
}

Test(exchange_sim, a_seed_is_a_market)
{
    cr_expect_eq(market_hash(1), market_hash(1));
    cr_expect_neq(market_hash(1), market_hash(2));
}

Test(exchange_sim, books_stay_whole_and_ids_follow_each_other)
{
    struct exchange_sim_market_options const options = {
        .seed = 7, .symbols = {3, 3, 0}, .start_us = 1763850000000000};
    struct exchange_sim_market *market = exchange_sim_market_open(&options);
    cr_assert_not_null(market);
    int64_t trade_id[6] = {0};
    int64_t depth_id[6] = {0};
    for (int i = 0; i < 200000; i++) {
        struct exchange_sim_market_event event;
        exchange_sim_market_next(market, options.start_us + i, &event);
        const struct exchange_sim_market_symbol *symbol =
            exchange_sim_market_symbol(market, event.symbol);
        cr_assert(symbol->spread >= 1 && symbol->bid > MARKET_LEVELS);
        for (int level = 0; level < MARKET_LEVELS; level++)
            cr_assert(symbol->bids[level] > 0 && symbol->asks[level] > 0);
        if (event.kind == MARKET_TRADE) {
            cr_assert(trade_id[event.symbol] == 0 || event.id == trade_id[event.symbol] + 1);
            trade_id[event.symbol] = event.id;
        } else if (event.kind == MARKET_DEPTH) {
            int64_t const before = depth_id[event.symbol];
            cr_assert(before == 0 || event.first_id == before + 1);
            cr_assert_eq(event.previous_id, event.first_id - 1);
            cr_assert(event.id >= event.first_id);
            depth_id[event.symbol] = event.id;
        }
    }
    exchange_sim_market_close(market);
}

Test(exchange_sim, all_4096_symbols_have_names_of_their_own)
{
    struct exchange_sim_market_options const options = {.seed = 1, .symbols = {4096, 0, 0}};
    struct exchange_sim_market *market = exchange_sim_market_open(&options);
    cr_assert_not_null(market);
    for (uint32_t i = 0; i < 4096; i++) {
        const char *name = exchange_sim_market_symbol(market, i)->name;
        cr_assert_eq(exchange_sim_market_find(market, EXCHANGE_SIM_BINANCE, name), i, "%s", name);
    }
    exchange_sim_market_close(market);
}

Test(exchange_sim, laps_move_on_until_a_number_would_grow)
{
    char *path = file_of(trades);
    struct exchange_sim_hub hub;
    struct exchange_sim_reel reel = {0};
    struct exchange_sim_event event;
    cr_assert(exchange_sim_hub_open(&hub, NULL));
    cr_assert(exchange_sim_reel_load(&reel, &hub, EXCHANGE_SIM_BINANCE, path, "trade"));
    cr_assert(exchange_sim_reel_seal(&reel, &hub));
    cr_assert_eq(reel.count, 2);
    cr_assert(exchange_sim_reel_event(&reel, 0, 0, &event));
    cr_expect_eq(event.id, 9999999997);
    cr_assert(exchange_sim_reel_event(&reel, 1, 0, &event));
    // A lap covers two ids and, of times, the 100 ms between them and a second more.
    cr_assert(exchange_sim_reel_event(&reel, 0, 1, &event));
    cr_expect_eq(event.id, 9999999999);
    const char *payload = (const char *)event.payload[EXCHANGE_SIM_MILLISECONDS];
    cr_expect_not_null(memmem(payload, event.size[0], "\"t\":9999999999,", 15));
    cr_expect_not_null(memmem(payload, event.size[0], "\"T\":1723161256442,", 18));
    cr_expect_not(exchange_sim_reel_event(&reel, 1, 1, &event), "one digit more is needed");
    exchange_sim_reel_close(&reel);
    cr_expect(exchange_sim_hub_close(&hub));
    cr_expect_eq(unlink(path), 0);
    free(path);
}

Test(exchange_sim, streams_are_known_without_their_speed)
{
    struct exchange_sim_hub hub;
    cr_assert(exchange_sim_hub_open(&hub, NULL));
#define STREAM(exchange, name) exchange_sim_hub_stream(&hub, exchange, name, sizeof(name) - 1)
    uint32_t const depth = STREAM(EXCHANGE_SIM_BINANCE, "btcusdt@depth@100ms");
    cr_expect_eq(STREAM(EXCHANGE_SIM_BINANCE, "BTCUSDT@depth"), depth);
    cr_expect_eq(STREAM(EXCHANGE_SIM_BINANCE, "btcusdt@depth@0ms"), depth);
    cr_expect_neq(STREAM(EXCHANGE_SIM_BINANCE, "btcusdt@depth5@100ms"), depth);
    cr_expect_neq(STREAM(EXCHANGE_SIM_USDM, "btcusdt@depth"), depth);
    uint32_t const book = STREAM(EXCHANGE_SIM_UPBIT, "KRW-BTC@orderbook");
    cr_expect_eq(STREAM(EXCHANGE_SIM_UPBIT, "KRW-BTC.5@orderbook"), book);
    cr_expect_eq(exchange_sim_hub_stream(&hub, EXCHANGE_SIM_UPBIT, "", 0),
                 (uint32_t)EXCHANGE_SIM_STREAM_NONE);
    cr_expect_eq(exchange_sim_hub_wanted(&hub, book), 0u, "nobody is subscribed");
#undef STREAM
    cr_expect(exchange_sim_hub_close(&hub));
}
