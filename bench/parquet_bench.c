// SPDX-License-Identifier: GPL-3.0-or-later
//
// Question: what does a row cost from decoded columns to Parquet bytes (parquet_rows_put_run,
// encodings, zstd, checksums), and how many bytes is it there? Trades of one busy symbol and depth
// of 20 levels a message; nothing is read from or written to a disk.
//
// Bound: a trade has 19 cells, some 22 bytes of encoded values; zstd at level 1 takes 500 MB/s of
// them, that is about 44 ns.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "format/parquet_rows.h"
#include "tests/format_random.h"

// More rows than a page has, so that zstd does not meet the same rows twice in one.
enum { BENCH_ROWS = 1 << 17, BENCH_LEVELS = 20, BENCH_SAMPLES_MAX = 15 };

struct bench {
    struct rows rows;
    void *memory;
    struct parquet_rows *layout;
    uint64_t bytes;
};

static int64_t bench_now_ns(void)
{
    struct timespec time;
    ensure(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static int bench_write(void *context, const void *bytes, size_t size)
{
    struct bench *bench = context;
    (void)bytes;
    bench->bytes += size;
    return 0;
}

// Bursts share a millisecond, ids follow each other, the price walks in ticks of 0.01.
static void bench_trade(struct format_random *random, struct event *event, uint32_t i,
                        int64_t *price)
{
    const int64_t time = 1723161600000000000 + (int64_t)(i / 3) * 1000000;
    *price += (int64_t)random_below(random, 3) - 1;
    event_clear(event, CHANNEL_TRADE, 0);
    event_set(event, COLUMN_RECEIVE_TIME, time + 3000000 + random_below(random, 999999));
    event_set(event, COLUMN_LINK, 1);
    event_set(event, COLUMN_FLAGS, 0);
    event_set(event, TRADE_EVENT_TIME, time + 1000000);
    event_set(event, TRADE_TIME, time);
    event_set(event, TRADE_ID, 3700000000 + i);
    event_set_decimal(event, TRADE_PRICE, *price, 2);
    event_set_decimal(event, TRADE_QUANTITY, 1 + random_below(random, 1000000), 5);
    event_set(event, TRADE_SIDE, random_below(random, 2));
    event_set(event, TRADE_BEST_MATCH, 1);
}

static void bench_depth(struct format_random *random, struct event *event,
                        struct event_level *levels, uint32_t i)
{
    const int64_t time = 1723161600000000000 + (int64_t)i * 100000000;
    event_clear(event, CHANNEL_DEPTH, 0);
    event_set(event, COLUMN_RECEIVE_TIME, time + 3000000 + random_below(random, 999999));
    event_set(event, COLUMN_LINK, 1);
    event_set(event, COLUMN_FLAGS, 0);
    event_set(event, DEPTH_EVENT_TIME, time);
    event_set(event, DEPTH_FIRST_ID, 50000000000 + (int64_t)i * 25);
    event_set(event, DEPTH_LAST_ID, 50000000000 + (int64_t)i * 25 + 24);
    for (uint32_t l = 0; l < BENCH_LEVELS; l++)
        levels[l] = (struct event_level){.price = 6173700 + (int64_t)random_below(random, 2000),
                                         .quantity = (int64_t)random_below(random, 100000),
                                         .price_scale = 2,
                                         .quantity_scale = 5,
                                         .side = l >= BENCH_LEVELS / 2};
    event->levels = levels;
    event->level_count = BENCH_LEVELS;
}

static void bench_open(struct bench *bench, enum channel channel)
{
    static const char *const symbols[] = {"BTCUSDT"};
    static struct event event;
    struct event_level levels[BENCH_LEVELS];
    struct format_random random = {1};
    const struct rows_limits limits = {BENCH_ROWS, BENCH_ROWS * BENCH_LEVELS, 64};
    const struct channel_schema *schema = channel_schema(channel);
    int64_t price = 6173763;
    memset(bench, 0, sizeof *bench);
    bench->memory = aligned_alloc(64, (rows_memory_bytes(schema, &limits) + 63) / 64 * 64);
    bench->layout = malloc(sizeof *bench->layout);
    ensure(bench->memory != NULL && bench->layout != NULL);
    rows_init(&bench->rows, schema, &limits, bench->memory);
    for (uint32_t i = 0; i < BENCH_ROWS; i++) {
        if (channel == CHANNEL_TRADE)
            bench_trade(&random, &event, i, &price);
        else
            bench_depth(&random, &event, levels, i);
        ensure(rows_append(&bench->rows, &event));
    }
    parquet_rows_init(bench->layout, &(struct parquet_rows_options){schema, "00", symbols, 1});
}

static void bench_close(struct bench *bench)
{
    free(bench->layout);
    free(bench->memory);
}

// Rows from `first` on, as `ringtape export` writes them; a message that is more than the page has
// room for by itself. Returns how many.
static uint32_t bench_run(struct bench *bench, struct parquet_writer *writer, uint32_t first)
{
    const struct parquet_rows_run run = {.first = first, .count = BENCH_ROWS - first};
    const struct parquet_rows_place place = {0};
    const char *column;
    int error;
    const uint32_t taken =
        parquet_rows_put_run(bench->layout, writer, &bench->rows, &run, &error);
    ensure(error == 0);
    if (taken > 0) return taken;
    ensure(parquet_rows_put(bench->layout, writer, &bench->rows, first, &place, &column, &error) ==
           PARQUET_ROWS_GOOD);
    return 1;
}

// Nanoseconds for a file with so many blocks of rows; *count: its Parquet rows.
static int64_t bench_file(struct bench *bench, uint32_t blocks, uint64_t *count)
{
    const struct parquet_options options = {.columns = bench->layout->columns,
                                            .column_count = bench->layout->column_count,
                                            .created_by = "ringtape version 0.0.0 (build bench)",
                                            .write = bench_write,
                                            .context = bench};
    struct parquet_writer *writer;
    bench->bytes = 0;
    const int64_t start_ns = bench_now_ns();
    ensure(parquet_open(&writer, &options) == 0);
    for (uint32_t b = 0; b < blocks; b++)
        for (uint32_t i = 0; i < BENCH_ROWS;) i += bench_run(bench, writer, i);
    ensure(parquet_finish(writer) == 0);
    *count = parquet_row_count(writer);
    parquet_close(writer);
    return bench_now_ns() - start_ns;
}

static int bench_order(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_print(const char *name, const char *metric, double value, const char *unit,
                        double spread)
{
    printf("{\"bench\":\"parquet\",\"case\":\"%s\",\"metric\":\"%s\",\"value\":%.2f,"
           "\"unit\":\"%s\",\"spread\":%.3f,\"peer\":null}\n",
           name, metric, value, unit, spread);
}

static void bench_case(enum channel channel, uint32_t blocks, int samples)
{
    const char *name = channel_schema(channel)->name;
    struct bench bench;
    double rate[BENCH_SAMPLES_MAX];
    uint64_t count;
    bench_open(&bench, channel);
    for (int s = 0; s < samples; s++) {
        const int64_t spent_ns = bench_file(&bench, blocks, &count);
        rate[s] = (double)count * 1e9 / (double)spent_ns;
    }
    qsort(rate, (size_t)samples, sizeof rate[0], bench_order);
    const double median = rate[samples / 2], size = (double)bench.bytes / (double)count;
    bench_print(name, "rows_per_second", median, "1/s", (rate[samples - 1] - rate[0]) / median);
    bench_print(name, "bytes_per_row", size, "byte", 0);
    (void)fprintf(stderr, "%-8s %9.0f rows/s, %6.1f ns a row, %.2f bytes a row\n", name, median,
                  1e9 / median, size);
    bench_close(&bench);
}

int main(int argc, char **argv)
{
    const bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    bench_case(CHANNEL_TRADE, smoke ? 1 : 16, smoke ? 3 : 7);
    bench_case(CHANNEL_DEPTH, 1, smoke ? 1 : 5);
    printf("{\"bench\":\"parquet\",\"metric\":\"ok\",\"value\":true}\n");
    return 0;
}
