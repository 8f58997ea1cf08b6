// SPDX-License-Identifier: GPL-3.0-or-later
//
// Makes stores of sealed days, for tests and benchmarks of what reads them: `market_day`: so many
// trades and quotes of so many symbols, whose activity falls off like Zipf's law; `market_odd`: a
// small week in which everything is that rarely is (scales that change, futures rows that do not
// count, agg_trade alone, rows out of order, names that are no ASCII or would be markup).
//
// The same arguments give the same bytes. Without ledger and tapes.
#ifndef RINGTAPE_TESTS_MARKET_STORE_H
#define RINGTAPE_TESTS_MARKET_STORE_H

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

#include "format/catalogue.h"
#include "format/segment.h"
#include "tests/format_random.h"

enum { MARKET_ROWS = 8192 };

#define MARKET_DAY_NS INT64_C(86400000000000)

struct market {
    const char *folder;
    struct catalogue catalogue;
    struct format_random random;
    struct rows *rows; // of the symbol being written
    struct segment_writer *writer;
    struct catalogue_segment entry;
    FILE *file;
};

static const uint8_t market_identity[LAYOUT_STORE_ID_BYTES] = "market of tests";

// ---- files ----

static inline FILE *market_create(const struct market *market, const char *name)
{
    char path[1024];
    const int size = snprintf(path, sizeof path, "%s/%s", market->folder, name);
    ensure(size > 0 && (size_t)size < sizeof path);
    for (char *slash = strchr(path + strlen(market->folder) + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    ensure(file != NULL);
    return file;
}

static inline void market_write(FILE *file, const void *bytes, size_t size)
{
    ensure(size == 0 || fwrite(bytes, 1, size, file) == size);
}

static inline void market_drain(struct market *market)
{
    size_t size;
    const void *bytes = segment_writer_output(market->writer, &size);
    market_write(market->file, bytes, size);
    segment_writer_taken(market->writer);
}

static inline void market_open(struct market *market, const char *folder)
{
    *market = (struct market){.folder = folder, .random = {1}};
    char tapes[1024];
    (void)mkdir(folder, 0755);
    ensure(snprintf(tapes, sizeof tapes, "%s/tape", folder) < (int)sizeof tapes);
    (void)mkdir(tapes, 0755);
    ensure(catalogue_init(&market->catalogue, market_identity) == 0);
    market->catalogue.next_segment = 1;
    market->catalogue.next_tape = 1;
}

static inline void market_segment(struct market *market, enum channel channel, int32_t day)
{
    const struct rows_limits limits = {MARKET_ROWS, 0, MARKET_ROWS * 32};
    struct segment_description what = {.salt = 1000 + market->catalogue.next_segment,
                                       .created_ns = day * MARKET_DAY_NS,
                                       .channel = channel,
                                       .day = day,
                                       .number = market->catalogue.next_segment,
                                       .writer = "market 1"};
    char name[CATALOGUE_PATH_BYTES_MAX];
    memcpy(what.store, market_identity, sizeof what.store);
    ensure(segment_writer_open(&market->writer, &what) == 0);
    market->entry = (struct catalogue_segment){.number = what.number, .channel = channel,
                                               .day = day};
    catalogue_segment_path(&market->entry, "segment", name);
    market->file = market_create(market, name);
    market->rows = random_rows_new(channel, limits);
}

static inline void market_symbol(struct market *market, const char *name, uint64_t rows)
{
    ensure(!segment_writer_full(market->writer));
    while (!segment_writer_symbol(market->writer, name, (uint32_t)strlen(name), rows))
        market_drain(market);
}

static inline void market_flush(struct market *market)
{
    for (uint32_t done = 0; done < market->rows->count;) {
        const uint32_t left = market->rows->count - done;
        const uint32_t taken = segment_writer_append_many(market->writer, market->rows, done, left,
                                                          NULL);
        done += taken;
        if (taken < left) market_drain(market);
    }
    rows_clear(market->rows);
}

static inline void market_row(struct market *market, const struct event *event)
{
    if (rows_append(market->rows, event)) return;
    market_flush(market);
    ensure(rows_append(market->rows, event));
}

static inline void market_segment_end(struct market *market)
{
    char name[CATALOGUE_PATH_BYTES_MAX];
    size_t size;
    while (!segment_writer_finish(market->writer)) market_drain(market);
    market_drain(market);
    ensure(fclose(market->file) == 0);
    catalogue_segment_path(&market->entry, "index", name);
    market->file = market_create(market, name);
    const void *index = segment_writer_index(market->writer, &size);
    market_write(market->file, index, size);
    ensure(fclose(market->file) == 0);
    const struct segment_summary summary = segment_writer_summary(market->writer);
    segment_writer_close(market->writer);
    market->entry.rows = summary.rows;
    market->entry.bytes = summary.bytes;
    market->entry.time_min = summary.time_min;
    market->entry.time_max = summary.time_max;
    ensure(catalogue_add_segment(&market->catalogue, &market->entry));
    market->catalogue.next_segment++;
    free(market->rows);
}

static inline void market_close(struct market *market)
{
    const size_t room = catalogue_bytes_max(&market->catalogue);
    char *text = malloc(room);
    ensure(text != NULL);
    FILE *file = market_create(market, "catalogue");
    market_write(file, text, catalogue_write(&market->catalogue, text, room));
    ensure(fclose(file) == 0);
    file = market_create(market, "identity");
    for (size_t i = 0; i < sizeof market_identity; i++)
        (void)fprintf(file, "%02x", market_identity[i]);
    (void)fputc('\n', file);
    ensure(fclose(file) == 0);
    free(text);
    catalogue_free(&market->catalogue);
}

// ---- rows ----

// A symbol's market as it is written: what the next trade or quote starts from.
struct market_tape {
    int64_t time_ns, end_ns;
    int64_t id;
    int64_t price; // in ticks
    uint8_t price_scale, quantity_scale;
};

// So that `left` more rows fill the time until the end.
static inline void market_step(struct market *market, struct market_tape *tape, uint64_t left)
{
    const int64_t most = 2 * (tape->end_ns - tape->time_ns) / (int64_t)(left + 1);
    if (most > 1) tape->time_ns += (int64_t)(random_next(&market->random) % (uint64_t)most);
    tape->id++;
    tape->price += (int64_t)random_below(&market->random, 7) - 3;
    if (tape->price < 5) tape->price = 5;
}

static inline void market_times(struct market *market, struct event *event, int event_column,
                                int64_t time_ns)
{
    const int64_t sent_ns = time_ns + 1000000 * (1 + (int64_t)random_below(&market->random, 4));
    event_set(event, event_column, sent_ns);
    event_set(event, COLUMN_RECEIVE_TIME,
              sent_ns + 20000000 + (int64_t)random_below(&market->random, 60000000));
    event_set(event, COLUMN_LINK, 1);
    event_set(event, COLUMN_FLAGS, 0);
}

static inline void market_trade(struct market *market, const struct market_tape *tape)
{
    static struct event event;
    event_clear(&event, CHANNEL_TRADE, 0);
    market_times(market, &event, TRADE_EVENT_TIME, tape->time_ns);
    event_set(&event, TRADE_TIME, tape->time_ns);
    event_set(&event, TRADE_ID, tape->id);
    event_set_decimal(&event, TRADE_PRICE, tape->price, tape->price_scale);
    event_set_decimal(&event, TRADE_QUANTITY, 1 + random_below(&market->random, 200000),
                      tape->quantity_scale);
    event_set(&event, TRADE_SIDE, random_below(&market->random, 2));
    event_set(&event, TRADE_BEST_MATCH, 1);
    market_row(market, &event);
}

static inline void market_quote(struct market *market, const struct market_tape *tape)
{
    static struct event event;
    event_clear(&event, CHANNEL_QUOTE, 0);
    event_set(&event, COLUMN_RECEIVE_TIME, tape->time_ns);
    event_set(&event, COLUMN_LINK, 1);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, QUOTE_ID, tape->id);
    event_set_decimal(&event, QUOTE_BID_PRICE, tape->price, tape->price_scale);
    event_set_decimal(&event, QUOTE_BID_QUANTITY, 1 + random_below(&market->random, 9000), 3);
    event_set_decimal(&event, QUOTE_ASK_PRICE, tape->price + 1 + random_below(&market->random, 5),
                      tape->price_scale);
    event_set_decimal(&event, QUOTE_ASK_QUANTITY, 1 + random_below(&market->random, 9000), 3);
    market_row(market, &event);
}

// ---- a day ----

static inline void market_name(uint32_t rank, char out[48])
{
    static const char *const known[] = {"BTC", "ETH", "SOL", "XRP", "DOGE"};
    if (rank % 10 == 9)
        (void)snprintf(out, 48, "upbit:KRW-C%u", rank);
    else if (rank < sizeof known / sizeof known[0])
        (void)snprintf(out, 48, "binance:%sUSDT", known[rank]);
    else
        (void)snprintf(out, 48, "binance:C%u%s", rank, rank % 7 == 6 ? "BTC" : "USDT");
}

// Rows of the symbol of this rank, of `all`.
static inline uint64_t market_share(uint32_t rank, uint32_t symbols, uint64_t all)
{
    static double sum;
    static uint32_t of;
    if (of != symbols) {
        of = symbols;
        sum = 0;
        for (uint32_t i = 0; i < symbols; i++) sum += pow(i + 1, -1.05);
    }
    return (uint64_t)((double)all * pow(rank + 1, -1.05) / sum) + 1;
}

static inline void market_channel(struct market *market, enum channel channel, int32_t day,
                                  uint32_t symbols, uint64_t all)
{
    market_segment(market, channel, day);
    for (uint32_t rank = 0; rank < symbols; rank++) {
        char name[48];
        const uint64_t count = market_share(rank, symbols, all);
        struct market_tape tape = {.time_ns = day * MARKET_DAY_NS,
                                   .end_ns = (day + 1) * MARKET_DAY_NS - 1,
                                   .id = (int64_t)day * 10000000000 + rank * 1000000000ll,
                                   .price = 1000 + random_below(&market->random, 6000000),
                                   .price_scale = (uint8_t)(2 + rank % 5),
                                   .quantity_scale = 5};
        market_name(rank, name);
        market_symbol(market, name, count);
        for (uint64_t left = count; left > 0; left--) {
            market_step(market, &tape, left);
            if (channel == CHANNEL_TRADE)
                market_trade(market, &tape);
            else
                market_quote(market, &tape);
        }
        market_flush(market);
    }
    market_segment_end(market);
}

static inline void market_day(const char *folder, const char *date, uint32_t symbols,
                              uint64_t trades, uint64_t quotes)
{
    struct market market;
    int32_t day;
    ensure(catalogue_day_parse(date, strlen(date), &day));
    market_open(&market, folder);
    market_channel(&market, CHANNEL_TRADE, day, symbols, trades);
    if (quotes > 0) market_channel(&market, CHANNEL_QUOTE, day, symbols, quotes);
    market_close(&market);
}

// ---- a week in which everything is that rarely is ----

static const char *const market_odd_names[] = {
    "binance:BTCUSDT",
    "binance:\xe5\xb8\x81\xe5\xae\x89\xe4\xba\xba\xe7\x94\x9fUSDT",
    "binance:<b>&\"'</style>USDT",
    "binance-usdm:BTCUSDT_261225",
    "upbit:KRW-BTC",
    "binance:\xe2\x80\xaeRIGHTUSDT", // turns the text behind it around
    "binance:NOTUTF8\xffUSDT",
};

// A trade of futures that counts for nothing: by its kind, or by its price.
static inline void market_odd_future(struct market *market, const struct market_tape *tape,
                                     bool insurance)
{
    static struct event event;
    const char *kind = insurance ? "INSURANCE_FUND" : "MARKET";
    event_clear(&event, CHANNEL_TRADE, 0);
    market_times(market, &event, TRADE_EVENT_TIME, tape->time_ns);
    event_set(&event, TRADE_TIME, tape->time_ns);
    event_set(&event, TRADE_ID, tape->id);
    event_set_decimal(&event, TRADE_PRICE, insurance ? 99999999 : 0, 2);
    event_set_decimal(&event, TRADE_QUANTITY, insurance ? 777 : 0, 3);
    event_set(&event, TRADE_SIDE, SIDE_BUY);
    event_set_text(&event, TRADE_KIND, kind, (uint32_t)strlen(kind));
    market_row(market, &event);
}

static inline void market_odd_trades(struct market *market, int32_t day, int part)
{
    market_segment(market, CHANNEL_TRADE, day);
    for (size_t s = 0; s < sizeof market_odd_names / sizeof market_odd_names[0]; s++) {
        const uint64_t count = s == 0 ? 3000 : s == 6 ? 1 : 150 + 40 * s;
        // Both segments of a day are of the same hours, so that arrival is no order.
        struct market_tape tape = {.time_ns = day * MARKET_DAY_NS + part * 1000003,
                                   .end_ns = (day + 1) * MARKET_DAY_NS - 1,
                                   .id = day * 1000000ll + part * 100000,
                                   .price = 60000 + (int64_t)s * 1000,
                                   .price_scale = (uint8_t)s,
                                   .quantity_scale = (uint8_t)(part == 0 ? 4 : 7)};
        if (s == 5) tape.time_ns += MARKET_DAY_NS / 2; // half a day of silence
        market_symbol(market, market_odd_names[s], count);
        for (uint64_t left = count; left > 0; left--) {
            market_step(market, &tape, left);
            if (left == count / 2 && s == 1) { // the tick becomes finer
                tape.price *= 100;
                tape.price_scale = (uint8_t)(tape.price_scale + 2);
            }
            if (s == 3 && left % 20 == 7)
                market_odd_future(market, &tape, left % 40 == 7);
            else
                market_trade(market, &tape);
        }
        market_flush(market);
    }
    market_segment_end(market);
}

static inline void market_odd_aggregate(struct market *market, const struct market_tape *tape)
{
    static struct event event;
    event_clear(&event, CHANNEL_AGG_TRADE, 0);
    market_times(market, &event, AGG_TRADE_EVENT_TIME, tape->time_ns);
    event_set(&event, AGG_TRADE_TIME, tape->time_ns);
    event_set(&event, AGG_TRADE_ID, tape->id);
    event_set_decimal(&event, AGG_TRADE_PRICE, tape->price, 8);
    event_set_decimal(&event, AGG_TRADE_QUANTITY, INT64_C(4611686041) * 1000, 3);
    event_set(&event, AGG_TRADE_FIRST_ID, tape->id * 10);
    event_set(&event, AGG_TRADE_LAST_ID, tape->id * 10 + random_below(&market->random, 9));
    event_set(&event, AGG_TRADE_SIDE, random_below(&market->random, 2));
    market_row(market, &event);
}

static inline void market_odd_aggregates(struct market *market, int32_t day)
{
    // The first has trades as well, in half of the day.
    const char *const names[] = {market_odd_names[5], "binance:AGGUSDT"};
    market_segment(market, CHANNEL_AGG_TRADE, day);
    for (int s = 0; s < 2; s++) {
        struct market_tape tape = {.time_ns = day * MARKET_DAY_NS,
                                   .end_ns = (day + 1) * MARKET_DAY_NS - 1,
                                   .id = day * 1000ll,
                                   .price = 12345};
        market_symbol(market, names[s], 500);
        for (uint64_t left = 500; left > 0; left--) {
            market_step(market, &tape, left);
            market_odd_aggregate(market, &tape);
        }
        market_flush(market);
    }
    market_segment_end(market);
}

static inline void market_odd_quotes(struct market *market, int32_t day, int part)
{
    static const char *const names[] = {"binance:BTCUSDT", "binance:ONLYQUOTESUSDT",
                                        "binance-usdm:BTCUSDT_261225"};
    market_segment(market, CHANNEL_QUOTE, day);
    for (int s = 0; s < 3; s++) {
        struct market_tape tape = {.time_ns = day * MARKET_DAY_NS + part * 77,
                                   .end_ns = (day + 1) * MARKET_DAY_NS - 1,
                                   .id = day * 1000000ll + part * 500000,
                                   .price = 70000,
                                   .price_scale = (uint8_t)(2 + part)};
        market_symbol(market, names[s], 2000);
        for (uint64_t left = 2000; left > 0; left--) {
            market_step(market, &tape, left);
            struct market_tape twin = tape;
            twin.id++;
            if (left % 97 == 0) market_quote(market, &twin); // of one time, the later one first
            market_quote(market, &tape);
            if (left % 97 == 0) tape.id++;
        }
        market_flush(market);
        if (s == 1 && part == 1) break; // the third is in the first segment alone
    }
    market_segment_end(market);
}

// From Monday `date` on; Wednesday has nothing.
static inline void market_odd(const char *folder, const char *date)
{
    static const int days[] = {0, 1, 3, 6};
    struct market market;
    int32_t first;
    ensure(catalogue_day_parse(date, strlen(date), &first));
    market_open(&market, folder);
    for (int d = 0; d < 4; d++) {
        const int32_t day = first + days[d];
        for (int part = 0; part < 2; part++) {
            market_odd_trades(&market, day, part);
            market_odd_quotes(&market, day, part);
        }
        market_odd_aggregates(&market, day);
    }
    market_close(&market);
}

#endif
