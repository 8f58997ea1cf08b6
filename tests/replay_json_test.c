// SPDX-License-Identifier: GPL-3.0-or-later
//
// Rows become the exchange's messages again: what a dialect reads from a message, stored and
// rendered, must be read as the same; for every message of the recordings, and made-up ones.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialect_support.h"
#include "exchange/binance.h"
#include "format/rows.h"
#include "tools/exchange_sim_capture.h"
#include "tools/replay_json.h"
#include "tools/replay_order.h"
#include "tools/replay_text.h"

#define SYMBOLS                                                                                    \
    "BTCUSDT ETHUSDT NEXOUSDT BTCAUD MANAUSDT ETHBRL DENTUSDT ZILUSDT RENBTCETH BTCSTUSDT "        \
    "QTUMETH AXSBNB NEOUSDC NKNUSDT BLZETH LRCBTC RUNEEUR KRW-BTC KRW-DAWN KRW-STX KRW-ADA "       \
    "KRW-ANKR KRW-IQ BTC-FLOW KRW-BAT BTC-CHZ BTC-BASIC"

enum { FRAME_BYTES = REPLAY_JSON_BYTES_MAX + 256 };

static void *zeroed(size_t size)
{
    void *memory = aligned_alloc(64, (size + 63) / 64 * 64);
    cr_assert_not_null(memory);
    return memset(memory, 0, size);
}

// Room for one row of a channel.
static struct rows *rows_of(enum channel channel)
{
    static struct rows rows[CHANNEL_COUNT];
    const struct rows_limits limits = {
        .rows = 1, .levels = EVENT_LEVELS_MAX, .text_bytes = EVENT_TEXT_BYTES_MAX};
    if (rows[channel].schema == NULL) {
        const struct channel_schema *schema = channel_schema(channel);
        rows_init(&rows[channel], schema, &limits, zeroed(rows_memory_bytes(schema, &limits)));
    }
    rows_clear(&rows[channel]);
    return &rows[channel];
}

// Equal values have equal mantissas then.
static void shorten(int64_t *mantissa, uint8_t *scale)
{
    for (; *scale > 0 && *mantissa % 10 == 0; (*scale)--) *mantissa /= 10;
}

static void canonical(struct event *event, struct event_level *levels)
{
    const struct channel_schema *schema = channel_schema(event->channel);
    for (int c = 0; c < schema->column_count; c++)
        if (schema->columns[c].type == COLUMN_DECIMAL && event_has(event, c))
            shorten(&event->value[c], &event->scale[c]);
    for (uint32_t i = 0; i < event->level_count; i++) {
        levels[i] = event->levels[i];
        shorten(&levels[i].price, &levels[i].price_scale);
        shorten(&levels[i].quantity, &levels[i].quantity_scale);
    }
    event->levels = levels;
}

static uint32_t render(const struct dialect_support *support, struct rows *rows, char *out)
{
    const struct symbol_name *name = symbols_name(support->symbols, rows->symbol[0]);
    const struct replay_row row = {
        .exchange = exchange_sim_exchange_by_name(support->dialect->name,
                                                  (uint32_t)strlen(support->dialect->name)),
        .rows = rows,
        .symbol = {(const uint8_t *)name->text + name->symbol_offset,
                   (uint32_t)name->size - name->symbol_offset},
        .microseconds = support->dialect == &dialect_binance,
    };
    return replay_json(&row, out);
}

// Partial books do not name their symbol: the stream does.
static uint32_t wrap(const struct dialect_support *support, const struct rows *rows,
                     const char *payload, uint32_t size, char *out)
{
    static const char *const sources[] = {"depth5", "depth10", "depth20"};
    const struct symbol_name *name = symbols_name(support->symbols, rows->symbol[0]);
    if (rows->schema->channel != CHANNEL_BOOK || strcmp(support->dialect->name, "upbit") == 0) {
        memcpy(out, payload, size);
        return size;
    }
    char lower[64] = {0};
    for (uint32_t i = name->symbol_offset; i < name->size; i++)
        lower[i - name->symbol_offset] =
            name->text[i] >= 'A' && name->text[i] <= 'Z' ? (char)(name->text[i] + 32)
                                                         : name->text[i];
    const int head = snprintf(out, FRAME_BYTES, "{\"stream\":\"%s@%s\",\"data\":", lower,
                              sources[rows->value[BOOK_SOURCE][0]]);
    memcpy(out + head, payload, size);
    out[(uint32_t)head + size] = '}';
    return (uint32_t)head + size + 1;
}

// 1: the message came back; 0: it gives no row.
static uint32_t hold(struct dialect_support *support, const void *bytes, uint32_t size)
{
    static struct event event, again;
    static struct event_level one[EVENT_LEVELS_MAX], other[EVENT_LEVELS_MAX];
    static char payload[REPLAY_JSON_BYTES_MAX], frame[FRAME_BYTES];
    dialect_support_begin(support, bytes, size, '}');
    if (!support->dialect->next(&support->frame, &event) || event.channel == CHANNEL_RAW) return 0;
    struct rows *rows = rows_of(event.channel);
    cr_assert(rows_append(rows, &event));
    const uint32_t rendered = render(support, rows, payload);
    cr_assert_gt(rendered, 0, "%.*s", (int)size, (const char *)bytes);
    const uint32_t frame_size = wrap(support, rows, payload, rendered, frame);
    rows_get(rows, 0, &event, one);
    canonical(&event, one);
    dialect_support_begin(support, frame, frame_size, '}');
    cr_assert(support->dialect->next(&support->frame, &again));
    cr_assert_neq(again.channel, CHANNEL_RAW, "%.*s", (int)rendered, payload);
    canonical(&again, other);
    cr_assert(dialect_support_equal(&event, &again), "%.*s\n%.*s", (int)size, (const char *)bytes,
              (int)rendered, payload);
    cr_assert_not(support->dialect->next(&support->frame, &again), "%.*s", (int)rendered, payload);
    return 1;
}

Test(replay_json, every_recorded_message_comes_back)
{
    static const struct {
        const char *dialect, *name;
        uint32_t least;
    } recordings[] = {
        {"binance", "captures/cryptofeed_BINANCE-b38f7c.0.gz", 11000},
        {"binance", "captures/hbtplayground_spot_nexousdt_20240725.dat.gz", 50000},
        {"binance", "captures/polysim_spot_aggTrade.jsonl.gz", 180},
        {"binance", "captures/polysim_spot_kline_1m_micros.jsonl.gz", 30},
        {"binance-usdm", "captures/hftbacktest_usdm_btcusdt_20240808.gz", 90000},
        {"upbit", "captures/cryptofeed_UPBIT-d78752.0.gz", 1600},
    };
    for (size_t i = 0; i < sizeof recordings / sizeof recordings[0]; i++) {
        const char *path = dialect_support_recording(recordings[i].name);
        if (path == NULL) cr_skip_test("no recordings");
        struct dialect_support support;
        struct exchange_sim_capture_line line;
        uint32_t count = 0;
        dialect_support_open(&support, recordings[i].dialect, SYMBOLS);
        struct exchange_sim_capture *capture = exchange_sim_capture_open(path);
        cr_assert_not_null(capture);
        while (exchange_sim_capture_next(capture, &line))
            if (line.kind == EXCHANGE_SIM_CAPTURE_MESSAGE)
                count += hold(&support, line.text, line.size);
        exchange_sim_capture_close(capture);
        dialect_support_close(&support);
        cr_expect_geq(count, recordings[i].least, "%s: %u", recordings[i].name, count);
    }
}

Test(replay_json, what_no_recording_has)
{
    static const char *const messages[][2] = {
        {"binance", "{\"e\":\"24hrTicker\",\"E\":1700000000123456,\"s\":\"BTCUSDT\","
                    "\"p\":\"-94.99\",\"P\":\"-0.200\",\"w\":\"1.5\",\"x\":\"1\","
                    "\"c\":\"4.0025\",\"Q\":\"200\","
                    "\"b\":\"4.0024\",\"B\":\"10\",\"a\":\"4.0026\",\"A\":\"100\",\"o\":\"99\","
                    "\"h\":\"100\",\"l\":\"0.1\",\"v\":\"8913.3\",\"q\":\"15.3\","
                    "\"O\":1699913600123000,\"C\":1700000000123000,\"F\":28385,\"L\":28460,"
                    "\"n\":76}"},
        {"binance", "{\"e\":\"kline\",\"E\":1700000000123000,\"s\":\"BTCUSDT\",\"k\":{"
                    "\"t\":1700000000000000,\"T\":1700000059999999,\"s\":\"BTCUSDT\",\"i\":\"1m\","
                    "\"f\":100,\"L\":200,\"o\":\"1\",\"c\":\"2\",\"h\":\"3\",\"l\":\"0.5\","
                    "\"v\":\"1000\",\"n\":101,\"x\":true,\"q\":\"1.1\",\"V\":\"500\","
                    "\"Q\":\"0.5\",\"B\":\"7\"}}"},
        {"binance", "{\"stream\":\"btcusdt@depth5\",\"data\":{\"lastUpdateId\":160,"
                    "\"bids\":[[\"0.0024\",\"10\"]],\"asks\":[]}}"},
        {"binance-usdm", "{\"e\":\"trade\",\"E\":1700000000123,\"T\":1700000000122,"
                         "\"s\":\"BTCUSDT\",\"t\":5,\"p\":\"0\",\"q\":\"0\","
                         "\"X\":\"NA\",\"m\":false}"},
        {"upbit", "{\"ty\":\"trade\",\"cd\":\"KRW-BTC\",\"tms\":1700000001000,"
                  "\"td\":\"2023-11-14\",\"ttm\":\"22:13:20\",\"ttms\":1700000000000,"
                  "\"tp\":9.9E-7,\"tv\":127.0,"
                  "\"ab\":\"ASK\",\"pcp\":1.0E-6,\"c\":\"FALL\",\"cp\":1E-8,"
                  "\"sid\":17000000000000000,\"st\":\"SNAPSHOT\"}"},
        {"upbit", "{\"ty\":\"ticker\",\"cd\":\"KRW-BTC\",\"op\":1.0,\"tp\":2,\"c\":\"RISE\","
                  "\"cp\":1,\"scp\":1,\"cr\":0.5,\"scr\":0.5,\"tdt\":\"20231113\","
                  "\"ttm\":\"000001\","
                  "\"ttms\":1700000000000,\"ab\":\"BID\",\"h52wdt\":\"2023-01-01\",\"its\":false,"
                  "\"dd\":null,\"tms\":1700000001000,\"st\":\"REALTIME\"}"},
    };
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        struct dialect_support support;
        dialect_support_open(&support, messages[i][0], SYMBOLS);
        cr_expect_eq(hold(&support, messages[i][1], (uint32_t)strlen(messages[i][1])), 1, "%s",
                     messages[i][1]);
        dialect_support_close(&support);
    }
}

static const char *decimal(int64_t mantissa, uint8_t scale, uint8_t places)
{
    static char text[REPLAY_DECIMAL_BYTES_MAX + 1];
    *replay_decimal(text, mantissa, scale, places) = 0;
    return text;
}

Test(replay_json, decimals)
{
    cr_expect_str_eq(decimal(3513, 4, 8), "0.35130000");
    cr_expect_str_eq(decimal(35130000, 8, 0), "0.3513");
    cr_expect_str_eq(decimal(-5, 0, 0), "-5");
    cr_expect_str_eq(decimal(0, 6, 0), "0");
    cr_expect_str_eq(decimal(120, 1, 0), "12");
    cr_expect_str_eq(decimal(INT64_MAX, 18, 8), "9.223372036854775807");
    cr_expect_str_eq(decimal(INT64_MIN, 18, 0), "-9.223372036854775808");
    cr_expect_str_eq(decimal(1, 18, 0), "0.000000000000000001");
}

// ---- order ----

static void trade(struct rows *rows, int64_t id, int64_t time_ns, int64_t received_ns,
                  int64_t flags)
{
    static struct event event;
    event_clear(&event, CHANNEL_TRADE, 0);
    event_set(&event, COLUMN_RECEIVE_TIME, received_ns);
    event_set(&event, COLUMN_LINK, 0);
    event_set(&event, COLUMN_FLAGS, flags);
    event_set(&event, TRADE_TIME, time_ns);
    event_set(&event, TRADE_ID, id);
    cr_assert(rows_append(rows, &event));
}

Test(replay_order, repaired_rows_stand_between_their_neighbours)
{
    static struct rows rows[CHANNEL_COUNT];
    static struct replay_entry entries[16];
    static const int64_t second = 1000000000;
    const struct rows_limits limits = {.rows = 16};
    const struct channel_schema *schema = channel_schema(CHANNEL_TRADE);
    rows_init(&rows[CHANNEL_TRADE], schema, &limits, zeroed(rows_memory_bytes(schema, &limits)));
    struct rows *trades = &rows[CHANNEL_TRADE];
    trade(trades, 1, 100 * second, 101 * second, 0);
    trade(trades, 4, 103 * second, 103 * second + 5, 0);
    trade(trades, 5, 100 * second, 900 * second, 0); // a minute late at most
    trade(trades, 6, 200 * second, 150 * second, 0); // a second early at most
    trade(trades, 2, 100 * second, 500 * second, EVENT_REPAIRED); // behind 1, received later
    trade(trades, 3, 104 * second, 500 * second, EVENT_REPAIRED); // before 4
    struct replay_order *order = replay_order_open();
    cr_assert_not_null(order);
    cr_assert_eq(replay_order_all(order, rows, 0, entries), 6);
    static const int64_t ids[] = {1, 2, 3, 4, 5, 6};
    static const int64_t due[] = {101000000000, 101000000000, 103000000004, 103000000005,
                                  160000000000, 199000000000};
    for (int i = 0; i < 6; i++) {
        cr_expect_eq(trades->value[TRADE_ID][entries[i].row], ids[i], "%d", i);
        cr_expect_eq(entries[i].due_ns, due[i], "%d: %lld", i, (long long)entries[i].due_ns);
    }
    cr_expect_eq(replay_order_before(entries, 6, 103000000005), 3);
    // Recorded an hour after it happened.
    cr_expect_eq(replay_order_due(trades, 0, 3600 * second), 3699 * second);
    replay_order_close(order);
}
