// SPDX-License-Identifier: GPL-3.0-or-later
//
// format_bench: what rows cost in a segment, in bits and in CPU time. The engine of
// bench/format.py, which hands in recordings and compares with peers.
//
//     format_bench recording EXCHANGE CHANNEL SYMBOL FRAMES [DIR [LEVEL]]
//     format_bench synthetic ROWS [DIR]
//     format_bench long_tail SYMBOLS TRADES (EXCHANGE SYMBOL FRAMES)...
//     format_bench long_tail_store DIR SYMBOLS TRADES (EXCHANGE SYMBOL FRAMES)...
//     format_bench --smoke
//
// FRAMES: i64 receive time, u32 bytes, message; again and again. One JSON line: rows, levels, bytes
// (segment and index), and for both levels of coding bytes and CPU nanoseconds a row to encode and
// to decode. What is decoded is compared with what was encoded. DIR ("-": none) gets each column
// as int64, for the peers. `synthetic` makes up trades like those of the recordings. `long_tail`
// spreads the recordings' trades over a day of many symbols and says the bytes of all of it;
// `long_tail_store` leaves them as the one segment of a new store, for bench/export.py.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/recording.h"
#include "bench/sealed_store.h"
#include "format/catalogue.h"
#include "format/column_recipe.h"
#include "format/segment.h"
#include "tests/segment_fixture.h"

enum {
    BENCH_TIMES = 7, // repetitions, of which the median counts
    BENCH_SPEED_ROWS = 400000, // rows (or levels) that times are taken over: laps of the recording
};

struct bench {
    struct rows *rows;
    const char *symbol;
    struct segment_image image;
};

static int64_t bench_now_ns(void)
{
    struct timespec time;
    ensure(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static uint32_t bench_number(const char *text)
{
    return (uint32_t)strtoul(text, NULL, 10);
}

static int bench_compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double bench_median(double *times)
{
    qsort(times, BENCH_TIMES, sizeof *times, bench_compare);
    return times[BENCH_TIMES / 2];
}

// ---- measuring ----

static void bench_encode(struct bench *bench, enum column_level level, uint32_t laps)
{
    struct segment_description what = {.store = "fifteen letters", .salt = 1, .created_ns = 1,
                                       .channel = bench->rows->schema->channel, .number = 1,
                                       .writer = "bench", .level = level};
    struct segment_writer *writer;
    image_free(&bench->image);
    ensure(segment_writer_open(&writer, &what) == 0);
    uint32_t count = bench->rows->count;
    while (!segment_writer_symbol(writer, bench->symbol, (uint32_t)strlen(bench->symbol), count))
        image_put(&bench->image, writer);
    for (uint32_t lap = 0; lap < laps; lap++) {
        for (uint32_t at = 0; at < count;) {
            uint32_t taken = segment_writer_append_many(writer, bench->rows, at, count - at, NULL);
            at += taken;
            if (at < count)
                image_put(&bench->image, writer);
        }
    }
    image_end(&bench->image, writer);
}

// Decodes all; with `check`, compares.
static void bench_decode(struct bench *bench, bool check)
{
    struct source source;
    struct segment *segment;
    struct segment_block block;
    uint32_t row = 0;
    source = source_of_memory(bench->image.bytes, bench->image.size);
    ensure(segment_open(&segment, &source, bench->image.index, bench->image.index_size) == 0);
    uint32_t blocks = segment_index(segment)->block_count;
    for (uint32_t b = 0; b < blocks; b++) {
        ensure(segment_read(segment, b, UINT64_MAX, &block) == SEGMENT_GOOD);
        for (uint32_t r = 0; check && r < block.rows->count; r++)
            ensure(image_row_equal(bench->rows, (row + r) % bench->rows->count, block.rows, r));
        row += block.rows->count;
    }
    ensure(row % bench->rows->count == 0);
    segment_close(segment);
}

static void bench_level(struct bench *bench, enum column_level level, const char *name, bool smoke)
{
    double encode[BENCH_TIMES];
    double decode[BENCH_TIMES];
    uint32_t each = bench->rows->count + bench->rows->level_count;
    uint32_t laps = smoke ? 1 : BENCH_SPEED_ROWS / each + 1;
    double rows = (double)bench->rows->count * laps;
    for (int t = 0; t < BENCH_TIMES; t++) {
        int64_t start = bench_now_ns();
        if (t == 0 || !smoke)
            bench_encode(bench, level, laps);
        int64_t middle = bench_now_ns();
        bench_decode(bench, false);
        encode[t] = (double)(middle - start) / rows;
        decode[t] = (double)(bench_now_ns() - middle) / rows;
    }
    bench_decode(bench, true);
    bench_encode(bench, level, 1);
    double encode_ns = bench_median(encode); // sorts
    double decode_ns = bench_median(decode);
    printf(", \"%s_bytes\": %zu", name, bench->image.size + bench->image.index_size);
    printf(", \"%s_encode_ns\": %.2f, \"%s_encode_spread\": %.3f", name, encode_ns, name,
           (encode[BENCH_TIMES - 1] - encode[0]) / encode_ns);
    printf(", \"%s_decode_ns\": %.2f, \"%s_decode_spread\": %.3f", name, decode_ns, name,
           (decode[BENCH_TIMES - 1] - decode[0]) / decode_ns);
}

static void bench_print_columns(struct bench *bench)
{
    struct source source;
    struct segment *segment;
    struct segment_block block;
    uint64_t bytes[256] = {0};
    source = source_of_memory(bench->image.bytes, bench->image.size);
    ensure(segment_open(&segment, &source, bench->image.index, bench->image.index_size) == 0);
    uint32_t blocks = segment_index(segment)->block_count;
    for (uint32_t b = 0; b < blocks; b++) {
        ensure(segment_read(segment, b, UINT64_MAX, &block) == SEGMENT_GOOD);
        for (uint32_t c = 0; c < block.column_count; c++)
            bytes[block.columns[c].id] += block.columns[c].bytes + 8;
    }
    for (unsigned id = 0; id < 256; id++)
        if (bytes[id] != 0)
            fprintf(stderr, "  %u:%.3f", id, (double)bytes[id] * 8 / bench->rows->count);
    fprintf(stderr, "  blocks:%u\n", blocks);
    segment_close(segment);
}

// ---- columns for the peers ----

static void dump(const char *dir, const char *name, const int64_t *values, uint32_t count)
{
    char path[512];
    ensure(snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path);
    FILE *file = fopen(path, "wb");
    ensure(file && fwrite(values, sizeof *values, count, file) == count);
    ensure(fclose(file) == 0);
}

static void dump_levels(const struct rows *rows, const char *dir)
{
    int64_t *values = malloc((rows->level_count + rows->count + 1ul) * sizeof *values);
    ensure(values);
    for (uint32_t r = 0; r < rows->count; r++)
        values[r] = (int64_t)rows->level_first[r + 1] - rows->level_first[r];
    dump(dir, "level_count", values, rows->count);
    dump(dir, "level_price", rows->level_price, rows->level_count);
    dump(dir, "level_quantity", rows->level_quantity, rows->level_count);
    for (uint32_t l = 0; l < rows->level_count; l++)
        values[l] = rows->level_side[l];
    dump(dir, "level_side", values, rows->level_count);
    free(values);
}

// Columns that every row has; scales are the exchange's, the same in every row.
static void dump_rows(const struct rows *rows, const char *dir)
{
    uint64_t all = UINT64_MAX;
    for (uint32_t r = 0; r < rows->count; r++)
        all &= rows->present[r];
    for (int c = 0; c < rows->schema->column_count; c++) {
        if (rows->value[c] && all >> c & 1)
            dump(dir, rows->schema->columns[c].name, rows->value[c], rows->count);
    }
    if (rows->schema->has_levels)
        dump_levels(rows, dir);
}

static void bench_report(struct bench *bench, const char *only, bool smoke)
{
    printf("{\"rows\": %u, \"levels\": %u", bench->rows->count, bench->rows->level_count);
    if (!only || strcmp(only, "light") == 0) {
        bench_level(bench, COLUMN_LEVEL_LIGHT, "light", smoke);
        bench_print_columns(bench);
    }
    if (!only || strcmp(only, "dense") == 0) {
        bench_level(bench, COLUMN_LEVEL_DENSE, "dense", smoke);
        bench_print_columns(bench);
    }
    printf("}\n");
}

static int bench_recording(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: format_bench recording EXCHANGE CHANNEL SYMBOL FRAMES "
                        "[DIR [LEVEL]]\n");
        return 64;
    }
    enum channel channel = channel_by_name(argv[3]);
    ensure(channel != CHANNEL_NONE);
    struct bench bench = {.rows = recording_rows(channel, 1 << 18), .symbol = argv[4]};
    recording_read(bench.rows, argv[2], argv[4], argv[5]);
    if (argc > 6 && strcmp(argv[6], "-") != 0)
        dump_rows(bench.rows, argv[6]);
    bench_report(&bench, argc > 7 ? argv[7] : NULL, false);
    return 0;
}

// ---- made-up trades ----

// Bursts of three share time and side; what the recordings of BTCUSDT show, in round numbers.
static void synthetic_rows(struct rows *rows, uint32_t count)
{
    static struct event event;
    struct format_random random = {20240809};
    int64_t time = 1723161600000000000;
    int64_t receive = 0;
    int64_t price = 6173700;
    int64_t side = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (random_below(&random, 3) == 0) {
            time += (1 + (int64_t)random_below(&random, 1u << random_below(&random, 10))) * 1000000;
            side = random_below(&random, 2);
            receive = 3000000 + random_below(&random, 2000000);
        }
        receive += 400 + random_below(&random, 2000);
        if (random_below(&random, 4) == 0)
            price += (side ? -1 : 1) * (1 + (int64_t)random_below(&random, 9));
        event_clear(&event, CHANNEL_TRADE, 0);
        event_set(&event, COLUMN_RECEIVE_TIME, time + receive);
        event_set(&event, COLUMN_LINK, 1);
        event_set(&event, COLUMN_FLAGS, 0);
        event_set(&event, TRADE_EVENT_TIME, time + (random_below(&random, 8) == 0) * 1000000);
        event_set(&event, TRADE_TIME, time);
        event_set(&event, TRADE_ID, 3700000000 + i);
        event_set_decimal(&event, TRADE_PRICE, price, 2);
        event_set_decimal(&event, TRADE_QUANTITY,
                          1 + random_below(&random, 1u << random_below(&random, 20)), 5);
        event_set(&event, TRADE_SIDE, side);
        event_set(&event, TRADE_BEST_MATCH, 1);
        ensure(rows_append(rows, &event));
    }
}

static int bench_synthetic(uint32_t count, const char *dir, bool smoke)
{
    struct bench bench = {.rows = recording_rows(CHANNEL_TRADE, count),
                          .symbol = "binance:SYNTHETIC"};
    synthetic_rows(bench.rows, count);
    if (dir && strcmp(dir, "-") != 0)
        dump_rows(bench.rows, dir);
    bench_report(&bench, NULL, smoke);
    return 0;
}

// ---- a day of many symbols ----

enum { TAIL_SOURCES_MAX = 8, TAIL_ZIPF_OFFSET = 3 };
#define TAIL_DAY_NS (86400ll * 1000000000)
#define TAIL_START 1723161600000000000

struct tail {
    uint32_t symbols;
    uint64_t trades;
    bool within_day; // what would come after midnight comes right before
    uint32_t source_count;
    struct rows *sources[TAIL_SOURCES_MAX];
    struct segment_writer *writer;
    struct bench bench;
};

static void tail_drain(struct tail *tail)
{
    image_put(&tail->bench.image, tail->writer);
}

// Activity falls off like Zipf's law, the head flattened: the skew fitted for exchange-sim.
static uint32_t tail_count(const struct tail *tail, uint32_t symbol)
{
    double sum = 0;
    for (uint32_t s = 0; s < tail->symbols; s++)
        sum += 1.0 / (s + TAIL_ZIPF_OFFSET);
    return (uint32_t)((double)tail->trades / (symbol + TAIL_ZIPF_OFFSET) / sum) + 1;
}

static double tail_daily(const struct rows *source)
{
    int64_t span = source->value[TRADE_TIME][source->count - 1] - source->value[TRADE_TIME][0];
    return (double)source->count * (double)TAIL_DAY_NS / (double)span;
}

// A symbol is like the recordings whose activity is next to its own, above and below: the nearer on
// a logarithmic scale, the likelier.
static const struct rows *tail_source(const struct tail *tail, uint32_t symbol, double daily)
{
    const struct rows *above = NULL;
    const struct rows *below = NULL;
    for (uint32_t s = 0; s < tail->source_count; s++) {
        const struct rows *source = tail->sources[(s + symbol) % tail->source_count];
        double rate = tail_daily(source);
        if (rate >= daily && (!above || rate < tail_daily(above) / 3))
            above = source;
        if (rate < daily && (!below || rate > tail_daily(below) * 3))
            below = source;
    }
    if (!above || !below)
        return above ? above : below;
    double nearness = log(tail_daily(above) / daily) / log(tail_daily(above) / tail_daily(below));
    double draw = (double)(symbol * 2654435761u % 65536) / 65536;
    return draw < nearness ? below : above;
}

// Row `from` of a recording as trade number `i` of a symbol: its gap to the trade before stretched
// (to whole milliseconds, as recorded), its delays and everything else as they were.
static void tail_row(const struct tail *tail, const struct rows *source, uint32_t from, uint32_t i,
                     double stretch, int64_t *time)
{
    static struct event event;
    static struct event_level level;
    rows_get(source, from, &event, &level);
    int64_t was = event.value[TRADE_TIME];
    int64_t gap = from == 0 ? 0 : was - source->value[TRADE_TIME][from - 1];
    *time += (int64_t)((double)gap * stretch) / 1000000 * 1000000;
    if (tail->within_day && *time >= TAIL_START + TAIL_DAY_NS)
        *time = TAIL_START + TAIL_DAY_NS - 1000000;
    int64_t shift = *time - was;
    event.value[TRADE_TIME] += shift;
    event.value[TRADE_EVENT_TIME] += shift;
    event.value[COLUMN_RECEIVE_TIME] += shift;
    event.value[TRADE_ID] = 1000000 + i;
    ensure(rows_append(tail->bench.rows, &event));
}

static void tail_symbol(struct tail *tail, uint32_t symbol)
{
    uint32_t count = tail_count(tail, symbol);
    const struct rows *source = tail_source(tail, symbol, count);
    double stretch = tail_daily(source) / count;
    int64_t time = TAIL_START;
    uint32_t from = (uint32_t)((uint64_t)symbol * 7919 % source->count);
    char name[32];
    int size = snprintf(name, sizeof name, "binance:S%uUSDT", symbol);
    struct rows *rows = tail->bench.rows;
    rows_clear(rows);
    for (uint32_t i = 0; i < count; i++)
        tail_row(tail, source, (from + i) % source->count, i, stretch, &time);
    while (!segment_writer_symbol(tail->writer, name, (uint32_t)size, count))
        tail_drain(tail);
    for (uint32_t at = 0; at < count;) {
        at += segment_writer_append_many(tail->writer, rows, at, count - at, NULL);
        if (at < count)
            tail_drain(tail);
    }
}

// argv: SYMBOLS TRADES (EXCHANGE SYMBOL FRAMES)... All trades → tail->bench.image.
static void tail_make(struct tail *tail, const struct segment_description *what, int argc,
                      char **argv)
{
    tail->symbols = bench_number(argv[0]);
    tail->trades = bench_number(argv[1]);
    ensure(tail->symbols > 0);
    for (int a = 2; a + 2 < argc && tail->source_count < TAIL_SOURCES_MAX; a += 3) {
        struct bench source = {.rows = recording_rows(CHANNEL_TRADE, 1 << 16)};
        recording_read(source.rows, argv[a], argv[a + 1], argv[a + 2]);
        tail->sources[tail->source_count++] = source.rows;
    }
    if (tail->source_count == 0) {
        tail->sources[tail->source_count++] = recording_rows(CHANNEL_TRADE, 20000);
        synthetic_rows(tail->sources[0], 20000);
    }
    tail->bench.rows = recording_rows(CHANNEL_TRADE, tail_count(tail, 0));
    ensure(segment_writer_open(&tail->writer, what) == 0);
    for (uint32_t s = 0; s < tail->symbols; s++)
        tail_symbol(tail, s);
    image_end(&tail->bench.image, tail->writer);
}

static int bench_long_tail(int argc, char **argv)
{
    static struct tail tail;
    struct segment_description what = {.store = "fifteen letters", .salt = 1, .created_ns = 1,
                                       .channel = CHANNEL_TRADE, .number = 1, .writer = "bench"};
    int64_t start = bench_now_ns();
    tail_make(&tail, &what, argc - 2, argv + 2);
    double seconds = (double)(bench_now_ns() - start) / 1e9;
    const struct segment_image *image = &tail.bench.image;
    printf("{\"rows\": %llu, \"bytes\": %zu, \"index_bytes\": %zu, \"seconds\": %.1f}\n",
           (unsigned long long)image->summary.rows, image->size + image->index_size,
           image->index_size, seconds);
    tail.bench.rows->count = (uint32_t)image->summary.rows; // of the whole segment
    bench_print_columns(&tail.bench);
    return 0;
}

static int bench_long_tail_store(int argc, char **argv)
{
    static struct tail tail;
    const char *dir = argv[2];
    struct segment_description what = {.store = "fifteen letters", .salt = 1, .created_ns = 1,
                                       .channel = CHANNEL_TRADE, .number = 1, .writer = "bench"};
    what.day = catalogue_day_of(TAIL_START);
    tail.within_day = true;
    tail_make(&tail, &what, argc - 3, argv + 3);
    const struct segment_image *image = &tail.bench.image;
    struct catalogue_segment entry = {.number = 1, .channel = CHANNEL_TRADE, .day = what.day,
                                      .rows = image->summary.rows, .bytes = image->summary.bytes,
                                      .time_min = image->summary.time_min,
                                      .time_max = image->summary.time_max};
    const struct sealed_part part = {entry, image};
    sealed_store_write(dir, what.store, &part, 1);
    printf("{\"rows\": %llu, \"bytes\": %zu}\n", (unsigned long long)image->summary.rows,
           image->size + image->index_size);
    return 0;
}

static int bench_smoke(void)
{
    static const enum channel channels[] = {CHANNEL_TRADE, CHANNEL_QUOTE, CHANNEL_DEPTH};
    for (size_t c = 0; c < sizeof channels / sizeof *channels; c++) {
        struct format_random random = {c + 1};
        struct bench bench = {.rows = recording_rows(channels[c], 10000), .symbol = "smoke"};
        random_rows(&random, bench.rows, 10000, 1);
        bench_report(&bench, NULL, true);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "recording") == 0)
        return bench_recording(argc, argv);
    if (argc > 2 && strcmp(argv[1], "synthetic") == 0)
        return bench_synthetic(bench_number(argv[2]), argc > 3 ? argv[3] : NULL, false);
    if (argc > 3 && strcmp(argv[1], "long_tail") == 0)
        return bench_long_tail(argc, argv);
    if (argc > 4 && strcmp(argv[1], "long_tail_store") == 0)
        return bench_long_tail_store(argc, argv);
    return bench_smoke();
}
