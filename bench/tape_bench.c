// SPDX-License-Identifier: GPL-3.0-or-later
//
// Question: what does a row cost on its way into the tape (rows_append, then tape_append) and how
// many bytes is it there? Trades over 500 symbols in batches of 5 to 5,000 rows, as a shard sees
// them: milliseconds from the exchange, a nanosecond receive stamp, prices and quantities at scale
// 8.
//
// Bound: a trade row is about 110 bytes in memory, written once and read two or three times from
// the cache; a copy of it takes 10 to 15 ns.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/tape.h"
#include "tests/format_random.h"

enum { BENCH_SYMBOLS = 500, BENCH_EVENTS = 5000, BENCH_SAMPLES_MAX = 31 };

// What a dialect would set; the event itself is one that is used again and again.
struct bench_trade {
    uint32_t symbol;
    uint32_t id;
    int64_t time;
    int64_t receive_time;
    int64_t price;
    int64_t quantity;
    int64_t side;
};

struct bench {
    struct bench_trade *trades; // [BENCH_EVENTS] the same stream again and again
    struct rows *rows;
    uint32_t *arrival;
    struct tape_encoder *encoder;
    uint8_t *buffer;
    size_t buffer_bytes;
    char names[BENCH_SYMBOLS][24];
};

static int64_t bench_now_ns(void)
{
    struct timespec time;
    ensure(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static struct event_text bench_symbol(const void *context, uint32_t symbol)
{
    const struct bench *bench = context;
    const char *name = bench->names[symbol];
    return (struct event_text){(const uint8_t *)name, (uint32_t)strlen(name)};
}

static void bench_trade(struct format_random *random, struct bench_trade *trade, uint32_t i)
{
    uint32_t symbol = random_below(random, BENCH_SYMBOLS);
    int64_t time = 1723161600000000000 + (int64_t)(i / 3) * 1000000;
    *trade = (struct bench_trade){
        .symbol = symbol,
        .id = 100000 * symbol + i,
        .time = time,
        .receive_time = time + 3000000 + random_below(random, 999999),
        .price = 100000000ll * (1 + symbol * symbol) + random_below(random, 1000) * 10000ll,
        .quantity = 1000 + random_below(random, 100000000),
        .side = random_below(random, 2),
    };
}

static void bench_event(struct event *event, const struct bench_trade *trade)
{
    event_clear(event, CHANNEL_TRADE, trade->symbol);
    event_set(event, COLUMN_RECEIVE_TIME, trade->receive_time);
    event_set(event, COLUMN_LINK, trade->symbol % 8);
    event_set(event, COLUMN_FLAGS, 0);
    event_set(event, TRADE_EVENT_TIME, trade->time + 1000000);
    event_set(event, TRADE_TIME, trade->time);
    event_set(event, TRADE_ID, trade->id);
    event_set_decimal(event, TRADE_PRICE, trade->price, 8);
    event_set_decimal(event, TRADE_QUANTITY, trade->quantity, 8);
    event_set(event, TRADE_SIDE, trade->side);
    event_set(event, TRADE_BEST_MATCH, 1);
}

static void *bench_memory(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
    ensure(memory);
    memset(memory, 0, bytes);
    return memory;
}

static void bench_open(struct bench *bench)
{
    struct format_random random = {42};
    bench->trades = bench_memory(BENCH_EVENTS * sizeof *bench->trades);
    for (uint32_t i = 0; i < BENCH_EVENTS; i++)
        bench_trade(&random, &bench->trades[i], i);
    for (int s = 0; s < BENCH_SYMBOLS; s++)
        (void)snprintf(bench->names[s], sizeof bench->names[s], "binance:SYM%dUSDT", s);
    bench->rows = random_rows_new(CHANNEL_TRADE, (struct rows_limits){BENCH_EVENTS, 0, 64});
    bench->arrival = bench_memory(BENCH_EVENTS * sizeof *bench->arrival);
    for (uint32_t i = 0; i < BENCH_EVENTS; i++)
        bench->arrival[i] = i;
    bench->encoder = tape_encoder_init(bench_memory(tape_encoder_bytes(BENCH_SYMBOLS)),
                                       BENCH_SYMBOLS);
    bench->buffer_bytes = 4 << 20;
    bench->buffer = bench_memory(bench->buffer_bytes);
}

static void bench_close(struct bench *bench)
{
    free(bench->trades);
    free(bench->rows);
    free(bench->arrival);
    free(bench->encoder);
    free(bench->buffer);
}

struct bench_sample {
    double append_ns;
    double encode_ns;
    uint64_t bytes;
};

static uint32_t bench_fill(struct bench *bench, uint32_t at, uint32_t batch)
{
    static struct event event;
    rows_clear(bench->rows);
    for (uint32_t i = 0; i < batch; i++, at = at + 1 == BENCH_EVENTS ? 0 : at + 1) {
        bench_event(&event, &bench->trades[at]);
        ensure(rows_append(bench->rows, &event));
    }
    return at;
}

static uint32_t bench_encode(struct bench *bench, struct tape_cursor *cursor, uint32_t batch)
{
    struct tape_batch_input input = {.count = batch, .symbol = bench_symbol,
                                     .symbol_context = bench};
    input.rows[CHANNEL_TRADE] = bench->rows;
    input.arrival[CHANNEL_TRADE] = bench->arrival;
    struct tape_write write;
    int result = tape_append(bench->encoder, cursor, &input, bench->buffer, bench->buffer_bytes,
                             &write);
    ensure(result == 0);
    return write.batch_bytes;
}

// `rows` rows in batches of `batch`: once only appended, once encoded too; the clock is read
// thrice in all, because reading it costs more than a small batch.
static struct bench_sample bench_sample(struct bench *bench, uint32_t batch, uint32_t rows)
{
    struct tape_cursor cursor = {.salt = 1, .end = LAYOUT_SECTOR};
    struct bench_sample sample = {0};
    uint32_t at = 0;
    int64_t start = bench_now_ns();
    for (uint32_t done = 0; done < rows; done += batch)
        at = bench_fill(bench, at, batch);
    int64_t middle = bench_now_ns();
    for (uint32_t done = 0; done < rows; done += batch) {
        at = bench_fill(bench, at, batch);
        sample.bytes += bench_encode(bench, &cursor, batch);
    }
    int64_t end = bench_now_ns();
    sample.append_ns = (double)(middle - start) / rows;
    sample.encode_ns = (double)(end - middle) / rows - sample.append_ns;
    sample.bytes = sample.bytes * 1000 / rows;
    return sample;
}

static int bench_order(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void bench_print(uint32_t batch, const char *metric, double value, const char *unit,
                        double spread)
{
    printf("{\"bench\":\"tape\",\"case\":\"tape_%u\",\"metric\":\"%s\",\"value\":%.2f,"
           "\"unit\":\"%s\",\"spread\":%.3f,\"peer\":null}\n",
           batch, metric, value, unit, spread);
}

static void bench_case(struct bench *bench, uint32_t batch, uint32_t rows, int samples)
{
    double append[BENCH_SAMPLES_MAX];
    double encode[BENCH_SAMPLES_MAX];
    uint64_t bytes = 0;
    (void)bench_sample(bench, batch, rows); // warm
    for (int s = 0; s < samples; s++) {
        struct bench_sample sample = bench_sample(bench, batch, rows);
        append[s] = sample.append_ns;
        encode[s] = sample.encode_ns;
        bytes = sample.bytes;
    }
    qsort(append, (size_t)samples, sizeof *append, bench_order);
    qsort(encode, (size_t)samples, sizeof *encode, bench_order);
    double median = encode[samples / 2];
    double spread = (encode[samples - 1] - encode[0]) / median;
    bench_print(batch, "append_ns_per_row", append[samples / 2], "ns",
                (append[samples - 1] - append[0]) / append[samples / 2]);
    bench_print(batch, "encode_ns_per_row", median, "ns", spread);
    bench_print(batch, "rows_per_second", 1e9 / median, "1/s", spread);
    bench_print(batch, "bytes_per_row", (double)bytes / 1000, "byte", 0);
    (void)fprintf(stderr, "%6u rows a batch: append %6.1f ns, encode %6.1f ns a row, %.1f bytes\n",
                  batch, append[samples / 2], median, (double)bytes / 1000);
}

int main(int argc, char **argv)
{
    static const uint32_t batches[] = {5, 50, 100, 500, 5000};
    bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    struct bench bench = {0};
    bench_open(&bench);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++)
        bench_case(&bench, batches[i], smoke ? 5000 : 500000, smoke ? 3 : 9);
    bench_close(&bench);
    printf("{\"bench\":\"tape\",\"metric\":\"ok\",\"value\":true}\n");
    return 0;
}
