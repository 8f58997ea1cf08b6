// SPDX-License-Identifier: GPL-3.0-or-later
//
// What reading one message costs: bytes -> event, decimals and symbol lookup included, by the fast
// scanner and, in the cases named strict_..., by the strict reader alone.
//
// Frames of 500 symbols with random prices, quantities, ids and times lie behind one another in
// half a megabyte, read again and again: in the daemon, too, a frame was just decrypted and is in
// the cache. CPU time of the thread, best of the repetitions. --smoke: few messages. Behind it the
// name of a case: that one alone.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/times.h"
#include "exchange/dialect.h"
#include "format/ensure.h"

enum {
    SYMBOLS = 500,
    BUFFER_BYTES = 512 << 10,
    FRAMES_MAX = 1 << 13,
    REPETITIONS = 101,
    BOOK_UNITS = 15,
    DEPTH_LEVELS = 20,
};

struct corpus {
    uint8_t *bytes;
    uint32_t size;
    uint32_t count;
    uint32_t count_max;
    struct { uint32_t offset, size; } frames[FRAMES_MAX];
};

static struct corpus corpus;
static uint64_t random_state = 88172645463325252u;

static uint64_t random_below(uint64_t bound)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % bound;
}

__attribute__((format(printf, 1, 2))) static void put(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf((char *)corpus.bytes + corpus.size, BUFFER_BYTES - corpus.size,
                               format, arguments);
    va_end(arguments);
    ensure(size > 0 && (uint32_t)size < BUFFER_BYTES - corpus.size);
    corpus.size += (uint32_t)size;
}

static void put_decimal(uint64_t whole_max)
{
    put("%" PRIu64 ".%08" PRIu64, random_below(whole_max), random_below(100000000));
}

static uint64_t time_us(void)
{
    return 1784410630175000 + random_below(1000000000);
}

// ---- one message of each type ----

static void put_trade(uint32_t symbol)
{
    put("{\"stream\":\"coin%uusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":%" PRIu64
        ",\"s\":\"COIN%uUSDT\",\"t\":%" PRIu64 ",\"p\":\"",
        symbol, time_us(), symbol, 3735683259 + random_below(100000));
    put_decimal(90000);
    put("\",\"q\":\"");
    put_decimal(100);
    put("\",\"T\":%" PRIu64 ",\"m\":%s,\"M\":true}}", time_us(),
        random_below(2) == 0 ? "true" : "false");
}

static void put_quote(uint32_t symbol)
{
    put("{\"stream\":\"coin%uusdt@bookTicker\",\"data\":{\"u\":%" PRIu64
        ",\"s\":\"COIN%uUSDT\",\"b\":\"",
        symbol, 50093239212 + random_below(1000000), symbol);
    put_decimal(90000);
    put("\",\"B\":\"");
    put_decimal(100);
    put("\",\"a\":\"");
    put_decimal(90000);
    put("\",\"A\":\"");
    put_decimal(100);
    put("\"}}");
}

// Prices of one message lie close together, half of the levels are removed.
static void put_levels(uint32_t count)
{
    const uint64_t middle = random_below(90000);
    for (uint32_t i = 0; i < count; i++) {
        put("%s[\"%" PRIu64 ".%02" PRIu64 "000000\",\"", i == 0 ? "" : ",",
            middle + random_below(10), random_below(100));
        if (random_below(2) == 0)
            put("0.00000000");
        else
            put_decimal(100);
        put("\"]");
    }
}

static void put_depth_of(uint32_t symbol, uint32_t levels)
{
    put("{\"stream\":\"coin%uusdt@depth@100ms\",\"data\":{\"e\":\"depthUpdate\",\"E\":%" PRIu64
        ",\"s\":\"COIN%uUSDT\",\"U\":%" PRIu64 ",\"u\":50093249189,\"b\":[",
        symbol, time_us(), symbol, 50093239189 + random_below(1000));
    put_levels(levels / 2);
    put("],\"a\":[");
    put_levels(levels - levels / 2);
    put("]}}");
}

static void put_depth_empty(uint32_t symbol)
{
    put_depth_of(symbol, 0);
}

static void put_depth(uint32_t symbol)
{
    put_depth_of(symbol, DEPTH_LEVELS);
}

static void put_usdm_trade(uint32_t symbol)
{
    put("{\"stream\":\"coin%uusdt@trade\",\"data\":{\"e\":\"trade\",\"E\":%" PRIu64
        ",\"T\":%" PRIu64 ",\"s\":\"COIN%uUSDT\",\"t\":%" PRIu64 ",\"p\":\"%" PRIu64 ".%02" PRIu64
        "\",\"q\":\"%" PRIu64 ".%03" PRIu64 "\",\"X\":\"MARKET\",\"m\":%s}}",
        symbol, time_us() / 1000, time_us() / 1000, symbol, 5266583935 + random_below(100000),
        random_below(90000), random_below(100), random_below(100), random_below(1000),
        random_below(2) == 0 ? "true" : "false");
}

static void put_upbit_trade(uint32_t symbol)
{
    const uint64_t time_ms = 1773187200000 + random_below(86400000);
    const uint64_t second = time_ms / 1000 % 86400;
    const uint64_t close = 1000 + random_below(100000), change = 1 + random_below(900);
    put("{\"ty\":\"trade\",\"cd\":\"KRW-C%u\",\"tms\":%" PRIu64 ",\"td\":\"2026-03-11\",\"ttm\":\""
        "%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "\",\"ttms\":%" PRIu64 ",\"tp\":%" PRIu64
        ".0,\"tv\":",
        symbol, time_ms + 25, second / 3600, second / 60 % 60, second % 60, time_ms,
        close + change);
    put_decimal(1000);
    put(",\"ab\":\"ASK\",\"pcp\":%" PRIu64 ".00000000,\"c\":\"RISE\",\"cp\":%" PRIu64
        ".00000000,\"sid\":%" PRIu64 ",\"bap\":%" PRIu64 ",\"bas\":0.049,\"bbp\":%" PRIu64
        ",\"bbs\":0.004,\"st\":\"REALTIME\"}",
        close, change, time_ms * 10000, close + change + 1, close + change);
}

static void put_upbit_book(uint32_t symbol)
{
    put("{\"ty\":\"orderbook\",\"cd\":\"KRW-C%u\",\"tms\":%" PRIu64 ",\"tas\":", symbol,
        1773187200000 + random_below(86400000));
    put_decimal(100000);
    put(",\"tbs\":");
    put_decimal(100000);
    put(",\"obu\":[");
    for (uint32_t i = 0; i < BOOK_UNITS; i++) {
        put("%s{\"ap\":%" PRIu64 ".%" PRIu64 ",\"bp\":%" PRIu64 ".%" PRIu64 ",\"as\":",
            i == 0 ? "" : ",", random_below(1000), random_below(10), random_below(1000),
            random_below(10));
        put_decimal(100000);
        put(",\"bs\":");
        put_decimal(100000);
        put("}");
    }
    put("],\"st\":\"REALTIME\"}");
}

static const struct bench_case {
    const char *name;
    const char *dialect;
    void (*put)(uint32_t symbol);
    bool strict;
} cases[] = {
    {"binance_trade", "binance", put_trade, false},
    {"binance_quote", "binance", put_quote, false},
    {"binance_depth_0", "binance", put_depth_empty, false},
    {"binance_depth_20", "binance", put_depth, false},
    {"usdm_trade", "binance-usdm", put_usdm_trade, false},
    {"upbit_trade", "upbit", put_upbit_trade, false},
    {"upbit_book_15", "upbit", put_upbit_book, false},
    {"strict_binance_trade", "binance", put_trade, true},
    {"strict_binance_depth_20", "binance", put_depth, true},
    {"strict_upbit_trade", "upbit", put_upbit_trade, true},
};

// ---- running ----

static void fill(const struct bench_case *bench)
{
    corpus.size = 0;
    for (corpus.count = 0; corpus.count < corpus.count_max; corpus.count++) {
        if (BUFFER_BYTES - corpus.size < 8192)
            break;
        corpus.frames[corpus.count].offset = corpus.size;
        bench->put((uint32_t)random_below(SYMBOLS));
        corpus.frames[corpus.count].size = corpus.size - corpus.frames[corpus.count].offset;
    }
    memset(corpus.bytes + corpus.size, 0, DIALECT_FRAME_PADDING);
}

static uint64_t cpu_ns(void)
{
    struct timespec time;
    ensure(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// Reads all frames once: ns a message. Every frame must give one row and no more.
static double run(const struct bench_case *bench, const struct dialect *dialect,
                  const struct dialect_context *context, struct event_level *levels)
{
    static struct dialect_frame frame;
    static struct event event;
    bool (*next)(struct dialect_frame *, struct event *) =
        bench->strict ? dialect->next_strict : dialect->next;
    uint32_t rows = 0;
    const uint64_t start = cpu_ns();
    for (uint32_t i = 0; i < corpus.count; i++) {
        dialect_frame_begin(dialect, &frame, context, corpus.bytes + corpus.frames[i].offset,
                            corpus.frames[i].size, levels);
        while (next(&frame, &event))
            rows += event.channel != CHANNEL_RAW;
    }
    const uint64_t end = cpu_ns();
    ensure(rows == corpus.count);
    return (double)(end - start) / corpus.count;
}

static void report(const struct bench_case *bench, double times[REPETITIONS])
{
    qsort(times, REPETITIONS, sizeof times[0], times_compare);
    const double median = times[REPETITIONS / 2];
    (void)fprintf(stderr, "%-26s %8.1f ns a message (median %.1f), %u bytes\n", bench->name,
                  times[0], median, corpus.size / corpus.count);
    (void)printf("{\"bench\":\"dialect\",\"case\":\"%s\",\"metric\":\"ns_per_message\","
                 "\"value\":%.2f,\"unit\":\"ns\",\"spread\":%.3f,\"peer\":null}\n",
                 bench->name, times[0], (times[REPETITIONS - 1] - times[0]) / median);
}

static void run_case(const struct bench_case *bench, struct symbols *symbols,
                     struct event_level *levels)
{
    const struct dialect_context context = {
        .symbols = symbols,
        .exchange = symbols_exchange(symbols, bench->dialect),
        .raw_symbol = SYMBOL_NONE,
    };
    double times[REPETITIONS];
    fill(bench);
    for (int r = 0; r < REPETITIONS; r++)
        times[r] = run(bench, dialect_by_name(bench->dialect), &context, levels);
    report(bench, times);
}

static void add_symbols(struct symbols *symbols)
{
    for (uint32_t i = 0; dialects[i] != NULL; i++) {
        const bool upbit = strcmp(dialects[i]->name, "upbit") == 0;
        const uint32_t exchange = symbols_exchange(symbols, dialects[i]->name);
        for (uint32_t s = 0; s < SYMBOLS; s++) {
            char name[32];
            const int size = snprintf(name, sizeof name, "%s%u%s", upbit ? "KRW-C" : "COIN", s,
                                      upbit ? "" : "USDT");
            ensure(symbols_add(symbols, exchange, name, (uint32_t)size) != SYMBOL_NONE);
        }
    }
}

int main(int argc, char **argv)
{
    const bool smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    struct symbols *symbols = symbols_open(4096);
    struct event_level *levels = calloc(EVENT_LEVELS_MAX, sizeof *levels);
    corpus.bytes = malloc(BUFFER_BYTES + DIALECT_FRAME_PADDING);
    ensure(symbols != NULL && levels != NULL && corpus.bytes != NULL);
    corpus.count_max = smoke ? 200 : FRAMES_MAX;
    add_symbols(symbols);
    const char *only = argc > 1 + smoke ? argv[1 + smoke] : NULL;
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (only == NULL || strcmp(only, cases[i].name) == 0)
            run_case(&cases[i], symbols, levels);
    (void)printf("{\"bench\":\"dialect\",\"metric\":\"ok\",\"value\":true}\n");
    free(corpus.bytes);
    free(levels);
    symbols_close(symbols);
    return 0;
}
