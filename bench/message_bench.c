// SPDX-License-Identifier: GPL-3.0-or-later
//
// What does a row cost as a message's value, in JSON and in Avro? Bound: the bytes written, a few a
// nanosecond, and for Avro a 128-bit product a decimal.
//
// 1,000 rows each of trades as Binance sends them, of depth with 20 levels, of tickers with all of
// Binance's columns. Median of 21 samples of CPU time. The last line says whether every row had a
// place in its schema. --smoke: one short sample of each.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/times.h"
#include "format/ensure.h"
#include "publish/message.h"

enum { SAMPLES = 21, ROWS = 1000, LEVELS = 20 };

static bool good = true;
static struct message_coder coder;
static struct rows rows;
static _Alignas(64) uint8_t memory[16 << 20];
static uint8_t out[1 << 20];

static void fill_event(struct event *event, int c, uint64_t random)
{
    const struct column *column = &channel_schema(event->channel)->columns[c];
    if (column->type == COLUMN_TIME)
        event_set(event, c, 1795759162304898000 + (int64_t)(random >> 40) * 1000);
    else if (column->type == COLUMN_DECIMAL)
        event_set_decimal(event, c, 6000000000000 + (int64_t)(random >> 24) / 1000 * 1000, 8);
    else if (column->type == COLUMN_INTEGER)
        event_set(event, c, c == COLUMN_FLAGS ? 0 : 2234748348 + (int64_t)(random >> 44));
    else if (column->type == COLUMN_CODE)
        event_set(event, c, (int64_t)(random >> 63));
}

// Columns below `until` have a value, but for texts.
static void fill_rows(enum channel channel, int until)
{
    static const struct rows_limits limits = {ROWS, ROWS * LEVELS, 1 << 16};
    static struct event event;
    static struct event_level levels[LEVELS];
    const struct channel_schema *schema = channel_schema(channel);
    uint64_t random = 1;
    ensure(rows_memory_bytes(schema, &limits) <= sizeof memory);
    rows_init(&rows, schema, &limits, memory);
    for (int row = 0; row < ROWS; row++) {
        event_clear(&event, channel, 0);
        for (int c = 0; c < until; c++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            fill_event(&event, c, random);
        }
        for (int i = 0; i < LEVELS; i++)
            levels[i] = (struct event_level){6000000000000 + i * 1000000, (1 + i) * 12345000,
                                             8, 8, (uint8_t)(i % 2)};
        event.levels = schema->has_levels ? levels : NULL;
        event.level_count = schema->has_levels ? LEVELS : 0;
        ensure(rows_append(&rows, &event));
    }
}

// ns a row.
static double sample(enum message_format format, uint32_t rounds, uint64_t *bytes)
{
    static const char name[] = "binance:BTCUSDT";
    const struct event_text symbol = {(const uint8_t *)name, sizeof name - 1};
    const struct message_place place = {12, 345678};
    const char *why;
    double begin = times_cpu_ns();
    *bytes = 0;
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t row = 0; row < ROWS; row++) {
            size_t size = message_write(&coder, format, &rows, row, symbol, place, out, &why);
            good = good && size > 0;
            *bytes += size;
        }
    }
    return (times_cpu_ns() - begin) / (rounds * ROWS);
}

static void report(const char *name, enum message_format format, bool smoke)
{
    double costs[SAMPLES];
    uint64_t bytes = 0;
    const uint32_t samples = smoke ? 1 : SAMPLES;
    const uint32_t rounds = smoke ? 2 : 200;
    for (uint32_t i = 0; i < samples; i++) costs[i] = sample(format, rounds, &bytes);
    qsort(costs, samples, sizeof *costs, times_compare);
    const double median = costs[samples / 2];
    const double size = (double)bytes / (rounds * ROWS);
    const char *written = message_format_name(format);
    (void)fprintf(stderr, "%-8s %-5s %8.1f ns a row %8.1f bytes\n", name, written, median, size);
    (void)printf("{\"bench\":\"message\",\"case\":\"%s_%s\",\"metric\":\"ns_per_row\","
                 "\"value\":%.2f,\"unit\":\"ns\",\"spread\":%.3f,\"peer\":null}\n",
                 name, written, median, (costs[samples - 1] - costs[0]) / median);
    (void)printf("{\"bench\":\"message\",\"case\":\"%s_%s\",\"metric\":\"bytes_per_row\","
                 "\"value\":%.1f,\"unit\":\"B\",\"spread\":0,\"peer\":null}\n",
                 name, written, size);
}

static void both(const char *name, enum channel channel, int until, bool smoke)
{
    fill_rows(channel, until);
    report(name, MESSAGE_JSON, smoke);
    report(name, MESSAGE_AVRO, smoke);
}

int main(int count, char **arguments)
{
    const bool smoke = count > 1 && strcmp(arguments[1], "--smoke") == 0;
    message_coder_init(&coder);
    both("trade", CHANNEL_TRADE, TRADE_KIND, smoke);
    both("depth", CHANNEL_DEPTH, DEPTH_COLUMN_COUNT, smoke);
    both("ticker", CHANNEL_TICKER, TICKER_VOLUME, smoke);
    (void)printf("{\"bench\":\"message\",\"metric\":\"ok\",\"value\":%s}\n",
                 good ? "true" : "false");
    return good ? 0 : 1;
}
