// SPDX-License-Identifier: GPL-3.0-or-later
//
// Question: how long does it take to find one random row by symbol and time in a sealed day, when
// no file is open yet: segment and index opened, mapped and checked, one block decoded? Only the
// memory for that is there from the read before.
//
// A day of trades of 1,500 symbols whose shares fall off as a power of their rank (the first has a
// tenth of all), 62 % of them at the time of the trade before. `price` gives time and price of the
// row found, `row` all of its columns, `price_evicted` the first with the index's pages dropped
// from the cache before, so that they come from the disk. The file itself stays cached.
//
// JSON lines on standard output as all benchmarks; a table for people on standard error.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "format/ensure.h"
#include "format/segment.h"
#include "format/store.h"
#include "tests/format_random.h"

enum { SYMBOLS = 1500, REPETITIONS = 5, CHUNK_ROWS = 8192 };

static const int64_t day_ns = INT64_C(1723075200000000000); // 2024-08-08
static const uint8_t identity[LAYOUT_STORE_ID_BYTES] = "point reads";

struct bench {
    char path[256];
    bool smoke;
    struct format_random random;
    uint32_t counts[SYMBOLS]; // trades
    struct rows *rows;
    int64_t *times; // of symbol 0 ... SYMBOLS - 1, one behind the other
    uint32_t starts[SYMBOLS];
    uint64_t wrong;
};

static int64_t now_ns(void)
{
    struct timespec time;
    ensure(clock_gettime(CLOCK_MONOTONIC, &time) == 0);
    return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static void symbol_name(uint32_t symbol, char name[24])
{
    (void)snprintf(name, 24, "binance:S%uUSDT", symbol);
}

// ---- the store ----

static FILE *create(const struct bench *bench, const char *relative)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", bench->path, relative);
    FILE *file = fopen(path, "wb");
    ensure(file);
    return file;
}

static void drain(struct segment_writer *writer, FILE *file)
{
    size_t size;
    const void *bytes = segment_writer_output(writer, &size);
    ensure(size == 0 || fwrite(bytes, 1, size, file) == size);
    segment_writer_taken(writer);
}

static uint32_t make_counts(struct bench *bench)
{
    uint32_t first = bench->smoke ? 20000 : 400000;
    uint32_t total = 0;
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        bench->starts[s] = total;
        bench->counts[s] = 1 + first / (s + 1);
        total += bench->counts[s];
    }
    return total;
}

static void make_trade(struct bench *bench, uint32_t symbol, uint32_t number, int64_t *price,
                       int64_t time)
{
    static struct event event;
    struct format_random *random = &bench->random;
    if (random_below(random, 100) >= 66)
        *price += (int64_t)random_below(random, 21) - 10;
    event_clear(&event, CHANNEL_TRADE, symbol);
    event_set(&event, COLUMN_RECEIVE_TIME, time + 3000000 + random_below(random, 999999));
    event_set(&event, COLUMN_LINK, symbol % 8);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, TRADE_EVENT_TIME, time + 1000000);
    event_set(&event, TRADE_TIME, time);
    event_set(&event, TRADE_ID, 1000000ll * symbol + number);
    event_set_decimal(&event, TRADE_PRICE, *price, 2);
    event_set_decimal(&event, TRADE_QUANTITY, 1 + random_below(random, 100000), 5);
    event_set(&event, TRADE_SIDE, random_below(random, 10) == 0);
    ensure(rows_append(bench->rows, &event));
}

static void write_symbol(struct bench *bench, struct segment_writer *writer, FILE *file,
                         uint32_t symbol)
{
    char name[24];
    const uint32_t count = bench->counts[symbol];
    const int64_t step = 86000000000000 / count * 26 / 10; // of the 38 % that are later
    int64_t time = day_ns;
    int64_t price = 6000000;
    symbol_name(symbol, name);
    while (!segment_writer_symbol(writer, name, (uint32_t)strlen(name), count))
        drain(writer, file);
    for (uint32_t t = 0; t < count; t += bench->rows->count) {
        rows_clear(bench->rows);
        for (uint32_t i = t; i < count && bench->rows->count < CHUNK_ROWS; i++) {
            if (random_below(&bench->random, 100) >= 62)
                time += (int64_t)(random_next(&bench->random) % (uint64_t)step) / 1000000 * 1000000;
            bench->times[bench->starts[symbol] + i] = time;
            make_trade(bench, symbol, i, &price, time);
        }
        for (uint32_t done = 0; done < bench->rows->count;) {
            done += segment_writer_append_many(writer, bench->rows, done,
                                               bench->rows->count - done, NULL);
            if (done < bench->rows->count)
                drain(writer, file);
        }
    }
}

static void write_catalogue(const struct bench *bench, struct catalogue *catalogue)
{
    size_t room = catalogue_bytes_max(catalogue);
    char *text = malloc(room);
    ensure(text);
    size_t size = catalogue_write(catalogue, text, room);
    FILE *file = create(bench, "catalogue");
    ensure(fwrite(text, 1, size, file) == size && fclose(file) == 0);
    free(text);
    file = create(bench, "identity");
    for (int i = 0; i < LAYOUT_STORE_ID_BYTES; i++)
        (void)fprintf(file, "%02x", identity[i]);
    ensure(fputc('\n', file) == '\n' && fclose(file) == 0);
}

static void write_segment(struct bench *bench, struct catalogue_segment *entry)
{
    struct segment_description what = {.salt = 1,
                                       .created_ns = day_ns,
                                       .channel = CHANNEL_TRADE,
                                       .day = entry->day,
                                       .number = entry->number,
                                       .writer = "bench"};
    struct segment_writer *writer;
    char name[CATALOGUE_PATH_BYTES_MAX];
    size_t size;
    memcpy(what.store, identity, sizeof identity);
    ensure(segment_writer_open(&writer, &what) == 0);
    catalogue_segment_path(entry, "segment", name);
    FILE *file = create(bench, name);
    for (uint32_t s = 0; s < SYMBOLS; s++)
        write_symbol(bench, writer, file, s);
    while (!segment_writer_finish(writer))
        drain(writer, file);
    drain(writer, file);
    ensure(fflush(file) == 0 && fsync(fileno(file)) == 0 && fclose(file) == 0);
    const void *index = segment_writer_index(writer, &size);
    catalogue_segment_path(entry, "index", name);
    file = create(bench, name);
    ensure(fwrite(index, 1, size, file) == size && fflush(file) == 0);
    ensure(fsync(fileno(file)) == 0 && fclose(file) == 0); // dirty pages cannot be dropped
    const struct segment_summary summary = segment_writer_summary(writer);
    entry->rows = summary.rows;
    entry->bytes = summary.bytes;
    entry->time_min = summary.time_min;
    entry->time_max = summary.time_max;
    (void)fprintf(stderr, "%u symbols, %llu trades, %.1f MB, index %.2f MB\n", SYMBOLS,
                  (unsigned long long)entry->rows, (double)entry->bytes / 1e6, (double)size / 1e6);
    segment_writer_close(writer);
}

static void make_store(struct bench *bench)
{
    struct catalogue catalogue;
    struct catalogue_segment entry = {.number = 1,
                                      .channel = CHANNEL_TRADE,
                                      .day = catalogue_day_of(day_ns)};
    char path[512];
    static const char *const folders[] = {"tape", "segment", "segment/2024-08-08"};
    const char *temporary = getenv("TMPDIR");
    (void)snprintf(bench->path, sizeof bench->path, "%s/point-read-XXXXXX",
                   temporary ? temporary : "/tmp");
    ensure(mkdtemp(bench->path));
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", bench->path, folders[i]);
        ensure(mkdir(path, 0755) == 0);
    }
    bench->times = malloc(make_counts(bench) * sizeof *bench->times);
    bench->rows = random_rows_new(CHANNEL_TRADE, (struct rows_limits){CHUNK_ROWS, 0, 64});
    ensure(bench->times);
    ensure(catalogue_init(&catalogue, identity) == 0);
    write_segment(bench, &entry);
    ensure(catalogue_add_segment(&catalogue, &entry));
    catalogue.next_segment = 2;
    write_catalogue(bench, &catalogue);
    catalogue_free(&catalogue);
}

static void remove_store(const struct bench *bench)
{
    static const char *const files[] = {"segment/2024-08-08/trade-00000001.segment",
                                        "segment/2024-08-08/trade-00000001.index",
                                        "segment/2024-08-08", "segment", "tape", "catalogue",
                                        "identity", ""};
    char path[512];
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", bench->path, files[i]);
        ensure(remove(path) == 0);
    }
}

// ---- the question ----

// A mapped file keeps its pages: a find that meets no segment closes what the last one opened.
static void evict_index(const struct bench *bench, struct store_finder *finder)
{
    char path[512];
    struct store_chunk none;
    const struct store_find what = {.channel = CHANNEL_QUOTE, .symbol = "a:B"};
    ensure(store_find_last(finder, &what, &none) == 0);
    (void)snprintf(path, sizeof path, "%s/segment/2024-08-08/trade-00000001.index", bench->path);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ensure(file >= 0 && posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0);
    ensure(close(file) == 0);
}

// One random trade's time: its row must come back, or the last of those at the same time.
static int64_t read_one(struct bench *bench, struct store_finder *finder, uint64_t columns)
{
    struct store_chunk row;
    char name[24];
    uint32_t total = bench->starts[SYMBOLS - 1] + bench->counts[SYMBOLS - 1];
    uint32_t picked = random_below(&bench->random, total);
    uint32_t symbol = SYMBOLS - 1;
    while (bench->starts[symbol] > picked)
        symbol--;
    symbol_name(symbol, name);
    struct store_find what = {.channel = CHANNEL_TRADE,
                              .symbol = name,
                              .time_ns = bench->times[picked],
                              .columns = columns};
    int64_t start = now_ns();
    int result = store_find_last(finder, &what, &row);
    int64_t time = result == 1 ? row.rows->value[TRADE_TIME][row.index[0]] : 0;
    int64_t taken = now_ns() - start;
    bench->wrong += result != 1 || time != what.time_ns;
    return taken;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void ask(struct bench *bench, struct store_finder *finder, const char *metric,
                uint64_t columns, bool evict)
{
    double medians[REPETITIONS];
    static double taken[2000];
    uint32_t reads = evict ? 100 : bench->smoke ? 200 : 2000;
    for (int i = 0; i < REPETITIONS; i++) {
        for (uint32_t r = 0; r < reads; r++) {
            if (evict)
                evict_index(bench, finder);
            taken[r] = (double)read_one(bench, finder, columns) / 1e3;
        }
        qsort(taken, reads, sizeof *taken, ascending);
        medians[i] = taken[reads / 2];
    }
    qsort(medians, REPETITIONS, sizeof *medians, ascending);
    double median = medians[REPETITIONS / 2];
    (void)fprintf(stderr, "%-24s %8.1f us (99 %% of the last round: %.1f us)\n", metric, median,
                  taken[reads - 1 - reads / 100]);
    printf("{\"bench\":\"point_read\",\"case\":\"long_tail\",\"metric\":\"%s\",\"value\":%.2f,"
           "\"unit\":\"us\",\"spread\":%.3f,\"peer\":null}\n",
           metric, median, (medians[REPETITIONS - 1] - medians[0]) / median);
}

int main(int argc, char **argv)
{
    static struct bench bench = {.random = {1}};
    struct store *store;
    struct store_finder *finder;
    struct store_message message;
    bench.smoke = argc > 1 && strcmp(argv[1], "--smoke") == 0;
    make_store(&bench);
    if (store_open(&store, bench.path, &message) != 0) {
        (void)fprintf(stderr, "%s\n", message.text);
        return 1;
    }
    ensure(store_finder_open(&finder, store) == 0);
    ask(&bench, finder, "point_read_us", 1ull << TRADE_PRICE, false);
    ask(&bench, finder, "point_read_row_us", UINT64_MAX, false);
    ask(&bench, finder, "point_read_evicted_us", 1ull << TRADE_PRICE, true);
    store_finder_close(finder);
    store_close(store);
    remove_store(&bench);
    free(bench.times);
    free(bench.rows);
    printf("{\"bench\":\"point_read\",\"metric\":\"ok\",\"value\":%s}\n",
           bench.wrong == 0 ? "true" : "false");
    return bench.wrong == 0 ? 0 : 1;
}
