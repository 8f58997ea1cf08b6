// SPDX-License-Identifier: GPL-3.0-or-later
//
// sample_store DIR: writes a small store with everything a reader can meet: all channels, three
// exchanges, two days, segments of one day whose times overlap, a tape not sealed yet. Always the
// same bytes. `sample_store DIR merged` writes the same rows with the day's trades in one segment,
// as after a merge; `sample_store DIR unfit` has a trade whose price no Parquet type holds,
// `unfit_quantity` one whose quantity none holds; `overlap` a third day of 36 segments that all
// begin together; `busy` a third day of 100,000 trades of one symbol; `not_text` a symbol that is
// no UTF-8; `odd` symbols that are not ASCII, or that shells and paths take for something else;
// `heavy` a third day of whatever takes most memory. Without arguments it tries itself out in a
// folder of its own.
#include "format/catalogue.h"
#include "format/ensure.h"
#include "format/segment.h"
#include "format/tape.h"
#include "tests/format_random.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SYMBOLS = 5, ROWS_MAX = 26000, LEVELS_MAX = 60000, TEXT_MAX = 1 << 20, BUSY_ROWS = 12000 };

static const char *names[SYMBOLS] = {"binance:BTCUSDT", "binance:ETHUSDT", "upbit:KRW-BTC",
                                     "binance-usdm:BTCUSDT", ""};
static const char *const odd_names[SYMBOLS] = {
    "binance:\xe5\xb8\x81\xe5\xae\x89\xe4\xba\xba\xe7\x94\x9fUSDT", "binance:1000 \"Q\"/..%2F:'*",
    "upbit:KRW-\xf0\x9f\x9a\x80", "odd/../exchange=x:\xc3\x84", ""};
static const uint8_t identity[LAYOUT_STORE_ID_BYTES] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
                                                        0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
                                                        0xcc, 0xdd, 0xee, 0xff};
static const int64_t day_ns = INT64_C(1723075200000000000); // 2024-08-08

struct sample {
    const char *folder;
    struct format_random random;
    struct catalogue catalogue;
    int64_t trades; // so far; their ids
};

static void *sample_memory(size_t bytes)
{
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    ensure(memory != NULL);
    memset(memory, 0, bytes);
    return memory;
}

static struct rows *sample_rows_new(enum channel channel)
{
    const struct channel_schema *schema = channel_schema(channel);
    const struct rows_limits limits = {ROWS_MAX, schema->has_levels ? LEVELS_MAX : 0, TEXT_MAX};
    return random_rows_new(channel, limits);
}

// ---- rows ----

static void sample_text(struct sample *sample, struct event *event, int c)
{
    static const char *const texts[] = {"MARKET", "", "quote \" comma , end", "원 \xe2\x82\xac"};
    static const uint8_t frame[] = {'{', 0xff, 0x00, '"', '\n', '}'};
    if (event->channel == CHANNEL_RAW && c == RAW_FRAME) {
        event_set_text(event, c, frame, random_below(&sample->random, sizeof frame + 1));
        return;
    }
    const char *text = texts[random_below(&sample->random, 4)];
    event_set_text(event, c, text, (uint32_t)strlen(text));
}

static uint32_t sample_codes(const struct column *column)
{
    uint32_t count = 0;
    while (column->codes[count]) count++;
    return count;
}

static void sample_cell(struct sample *sample, struct event *event, int c, int64_t time)
{
    const struct column *column = &channel_schema(event->channel)->columns[c];
    struct format_random *random = &sample->random;
    const bool is_time = column->type == COLUMN_TIME;
    if (column->nullable && !is_time && random_below(random, 4) == 0) return;
    // One random number a statement: compilers differ in the order of arguments.
    const uint64_t number = random_next(random);
    const uint32_t shift = 1 + random_below(random, 60);
    if (column->type == COLUMN_TEXT)
        sample_text(sample, event, c);
    else if (column->type == COLUMN_DECIMAL)
        event_set_decimal(event, c, (int64_t)(number % 1000000000) - 1000, (uint8_t)(shift % 9));
    else if (column->type == COLUMN_CODE)
        event_set(event, c, random_below(random, sample_codes(column)));
    else if (is_time)
        event_set(event, c, time + (c == COLUMN_RECEIVE_TIME ? 1234567 : 0));
    else
        event_set(event, c, (int64_t)(number >> shift));
}

static void sample_row(struct sample *sample, struct rows *rows, uint32_t symbol, int64_t time)
{
    static struct event event;
    static struct event_level levels[8];
    const struct channel_schema *schema = rows->schema;
    event_clear(&event, schema->channel, names[symbol][0] ? symbol : SYMBOL_NONE);
    for (int c = 0; c < schema->column_count; c++) sample_cell(sample, &event, c, time);
    if (schema->channel == CHANNEL_TRADE) event_set(&event, TRADE_ID, 1000 + sample->trades++);
    if (schema->has_levels) {
        event.level_count = random_below(&sample->random, 8);
        event.levels = levels;
        for (uint32_t l = 0; l < event.level_count; l++) {
            const uint64_t number = random_next(&sample->random);
            levels[l] = (struct event_level){.price = 6000000 + (int64_t)(number % 1000),
                                             .quantity = (int64_t)(number / 1000 % 100000),
                                             .price_scale = 2,
                                             .quantity_scale = 5,
                                             .side = number >> 63 != 0};
        }
    }
    ensure(rows_append(rows, &event));
}

// ---- files ----

static FILE *sample_create(const struct sample *sample, const char *name)
{
    char path[1024];
    const int size = snprintf(path, sizeof path, "%s/%s", sample->folder, name);
    ensure(size > 0 && (size_t)size < sizeof path);
    for (char *slash = strchr(path + strlen(sample->folder) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        (void)mkdir(path, 0755);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    ensure(file != NULL);
    return file;
}

static void sample_write(FILE *file, const void *bytes, size_t size)
{
    ensure(size == 0 || fwrite(bytes, 1, size, file) == size);
}

static void sample_drain(struct segment_writer *writer, FILE *file)
{
    size_t size;
    const void *bytes = segment_writer_output(writer, &size);
    sample_write(file, bytes, size);
    segment_writer_taken(writer);
}

// Rows of one channel and day as segment `number`, out of tape `tape`.
static void sample_segment(struct sample *sample, uint32_t number, int32_t day,
                           const struct rows *rows, uint32_t tape)
{
    struct segment_writer *writer;
    const struct segment_description what = {.salt = 1000 + number,
                                             .created_ns = day_ns,
                                             .channel = rows->schema->channel,
                                             .day = day,
                                             .number = number,
                                             .writer = "sample 1"};
    struct segment_description own = what;
    struct catalogue_segment entry = {.number = number, .channel = what.channel, .day = day,
                                      .tape_first = tape, .tape_last = tape};
    char name[CATALOGUE_PATH_BYTES_MAX];
    size_t size;
    memcpy(own.store, identity, sizeof identity);
    ensure(segment_writer_open(&writer, &own) == 0);
    catalogue_segment_path(&entry, "segment", name);
    FILE *file = sample_create(sample, name);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        const uint32_t symbol = names[s][0] ? s : SYMBOL_NONE;
        uint64_t count = 0;
        for (uint32_t r = 0; r < rows->count; r++) count += rows->symbol[r] == symbol;
        if (count == 0) continue;
        while (!segment_writer_symbol(writer, names[s], (uint32_t)strlen(names[s]), count))
            sample_drain(writer, file);
        for (uint32_t r = 0; r < rows->count; r++) {
            const struct segment_provenance place = {tape, r};
            if (rows->symbol[r] != symbol) continue;
            while (!segment_writer_append(writer, rows, r, place)) sample_drain(writer, file);
        }
    }
    while (!segment_writer_finish(writer)) sample_drain(writer, file);
    sample_drain(writer, file);
    ensure(fclose(file) == 0);
    catalogue_segment_path(&entry, "index", name);
    file = sample_create(sample, name);
    const void *index = segment_writer_index(writer, &size);
    sample_write(file, index, size);
    ensure(fclose(file) == 0);
    const struct segment_summary summary = segment_writer_summary(writer);
    entry.rows = summary.rows;
    entry.bytes = summary.bytes;
    entry.time_min = summary.time_min;
    entry.time_max = summary.time_max;
    segment_writer_close(writer);
    ensure(catalogue_add_segment(&sample->catalogue, &entry));
}

static struct event_text sample_symbol(const void *context, uint32_t symbol)
{
    (void)context;
    return (struct event_text){(const uint8_t *)names[symbol], (uint32_t)strlen(names[symbol])};
}

// 50 trades and a status, in one batch, its mark beside it.
static void sample_tape(struct sample *sample, uint32_t number)
{
    static uint8_t sector[2 * LAYOUT_SECTOR];
    static uint32_t arrival[2][64];
    struct rows *trades = sample_rows_new(CHANNEL_TRADE), *status = sample_rows_new(CHANNEL_STATUS);
    struct tape_description what = {.salt = 7, .created_ns = day_ns, .number = number,
                                    .writer = "sample 1"};
    struct tape_encoder *encoder =
        tape_encoder_init(sample_memory(tape_encoder_bytes(SYMBOLS)), SYMBOLS);
    struct tape_batch_input input = {.count = 51, .symbol = sample_symbol};
    struct tape_cursor cursor;
    struct tape_write write;
    char name[CATALOGUE_PATH_BYTES_MAX];
    for (uint32_t r = 0; r < 50; r++) {
        arrival[0][r] = r;
        sample_row(sample, trades, r % 2, day_ns + 90000000000000 + r * 1000000ll);
    }
    arrival[1][0] = 50;
    sample_row(sample, status, 4, day_ns + 90000000000000);
    input.rows[CHANNEL_TRADE] = trades;
    input.arrival[CHANNEL_TRADE] = arrival[0];
    input.rows[CHANNEL_STATUS] = status;
    input.arrival[CHANNEL_STATUS] = arrival[1];
    memcpy(what.store, identity, sizeof identity);
    catalogue_tape_path(number, "tape", name);
    FILE *file = sample_create(sample, name);
    tape_header_encode(&what, sector, &cursor);
    sample_write(file, sector, LAYOUT_SECTOR);
    const size_t room = tape_batch_bytes_max(&input);
    uint8_t *buffer = sample_memory(room);
    ensure(tape_append(encoder, &cursor, &input, buffer, room, &write) == 0);
    ensure(write.offset == LAYOUT_SECTOR);
    sample_write(file, buffer, write.bytes);
    ensure(fclose(file) == 0);
    tape_acknowledge(&cursor, &write);
    memset(sector, 0, sizeof sector);
    uint8_t mark[LAYOUT_SECTOR];
    const uint64_t slot = tape_mark_encode(&cursor, true, mark);
    memcpy(sector + slot, mark, sizeof mark);
    catalogue_tape_path(number, "mark", name);
    file = sample_create(sample, name);
    sample_write(file, sector, sizeof sector);
    ensure(fclose(file) == 0);
}

// ---- the store ----

// A day's trades out of one tape: one busy symbol, some rare ones; Upbit's out of order.
static void sample_trades(struct sample *sample, struct rows *rows, int64_t start)
{
    for (uint32_t r = 0; r < BUSY_ROWS; r++) {
        const int64_t time = start + (int64_t)r * 10000000;
        sample_row(sample, rows, 0, time);
        if (r % 40 == 0) sample_row(sample, rows, 1, time);
        if (r % 60 == 0)
            sample_row(sample, rows, 2, time + random_below(&sample->random, 2000) * 1000000ll);
        if (r % 80 == 0) sample_row(sample, rows, 3, time);
    }
}

// Nine digits behind the point are one more than DECIMAL(18,8) has, thirteen than DECIMAL(38,12).
static void sample_unfit(struct rows *rows, uint32_t index, int column)
{
    rows->value[column][index] = 123456789;
    rows->scale[column][index] = column == TRADE_PRICE ? 9 : 13;
}

static void sample_channel(struct sample *sample, uint32_t *number, int32_t day, int channel)
{
    struct rows *rows = sample_rows_new((enum channel)channel);
    const bool no_symbol = channel == CHANNEL_STATUS || channel == CHANNEL_RAW;
    for (uint32_t r = 0; r < 1500; r++) {
        const uint32_t symbol = no_symbol && r % 3 == 0 ? 4 : r % 4;
        sample_row(sample, rows, symbol, day_ns + (int64_t)r * 250000000);
    }
    sample_segment(sample, (*number)++, day, rows, 1);
    free(rows);
}

// All but trades, and but those that are made last: they came later, and the others' random numbers
// stay what they were.
static void sample_others(struct sample *sample, uint32_t *number, int32_t day)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (c == CHANNEL_TRADE || c == CHANNEL_CANDLE || c == CHANNEL_ALERT) continue;
        if (channel_schema((enum channel)c) != NULL) sample_channel(sample, number, day, c);
    }
}

// 36 segments whose blocks all begin at the same time: more than a merge holds open.
static void sample_overlap(struct sample *sample, uint32_t *number, int32_t day)
{
    const int64_t start = day_ns + 2 * INT64_C(86400000000000);
    for (uint32_t segment = 0; segment < 36; segment++) {
        struct rows *rows = sample_rows_new(CHANNEL_TRADE);
        for (uint32_t r = 0; r < 100; r++)
            sample_row(sample, rows, 0, start + 1000000 * (int64_t)(r * 36 + segment));
        sample_segment(sample, (*number)++, day, rows, 1);
        free(rows);
    }
}

// A day that is more than one small file.
static void sample_busy(struct sample *sample, uint32_t *number, int32_t day)
{
    const int64_t start = day_ns + 2 * INT64_C(86400000000000);
    for (uint32_t segment = 0; segment < 4; segment++) {
        struct rows *rows = sample_rows_new(CHANNEL_TRADE);
        for (uint32_t r = 0; r < 25000; r++)
            sample_row(sample, rows, 0, start + 1000000 * (int64_t)(segment * 25000 + r));
        sample_segment(sample, (*number)++, day, rows, 1);
        free(rows);
    }
}

// ---- what takes most memory ----

enum { HEAVY_FRAME = 180000, HEAVY_FRAMES = 40, HEAVY_LEVELS = 5000, HEAVY_BOOKS = 12 };

// Frames that no compression helps with: a block of 7 MB each time.
static void sample_heavy_raw(struct sample *sample, struct rows *rows, int64_t time)
{
    static struct event event;
    static uint8_t frame[HEAVY_FRAME];
    for (uint32_t r = 0; r < HEAVY_FRAMES; r++) {
        for (size_t i = 0; i + 8 <= sizeof frame; i += 8) {
            const uint64_t number = random_next(&sample->random);
            memcpy(frame + i, &number, 8);
        }
        event_clear(&event, CHANNEL_RAW, 0);
        event_set(&event, COLUMN_RECEIVE_TIME, time + (int64_t)r * 1000000000);
        event_set(&event, COLUMN_FLAGS, 0);
        event_set(&event, RAW_REASON, 0);
        event_set_text(&event, RAW_FRAME, frame, sizeof frame);
        ensure(rows_append(rows, &event));
    }
}

static void sample_heavy_books(struct sample *sample, struct rows *rows, int64_t time)
{
    static struct event event;
    static struct event_level levels[HEAVY_LEVELS];
    for (uint32_t r = 0; r < HEAVY_BOOKS; r++) {
        for (uint32_t l = 0; l < HEAVY_LEVELS; l++) {
            const uint64_t number = random_next(&sample->random);
            levels[l] = (struct event_level){.price = (int64_t)(number % 100000000),
                                             .quantity = (int64_t)(number >> 30),
                                             .price_scale = 2,
                                             .quantity_scale = 5,
                                             .side = l >= HEAVY_LEVELS / 2};
        }
        event_clear(&event, CHANNEL_BOOK, 0);
        for (int c = 0; c < rows->schema->column_count; c++)
            if (schema_required(rows->schema) >> c & 1) event_set(&event, c, 1);
        event_set(&event, COLUMN_RECEIVE_TIME, time + (int64_t)r * 1000000000);
        event_set(&event, BOOK_EVENT_TIME, time + (int64_t)r * 1000000000);
        event.level_count = HEAVY_LEVELS;
        event.levels = levels;
        ensure(rows_append(rows, &event));
    }
}

// All segments of a channel overlap from begin to end, and there are more than a merge holds open.
static void sample_heavy(struct sample *sample, uint32_t *number, int32_t day)
{
    const int64_t start = day_ns + 2 * INT64_C(86400000000000);
    for (int64_t segment = 0; segment < 400; segment++) {
        struct rows *rows = sample_rows_new(CHANNEL_TRADE);
        for (uint32_t r = 0; r < 40; r++)
            sample_row(sample, rows, r % 2, start + r * INT64_C(1000000000) + segment);
        sample_segment(sample, (*number)++, day, rows, 1);
        free(rows);
    }
    for (int64_t segment = 0; segment < 16; segment++) {
        const struct rows_limits limits = {HEAVY_FRAMES, 0, HEAVY_FRAME * HEAVY_FRAMES};
        struct rows *rows = random_rows_new(CHANNEL_RAW, limits);
        if (segment < 8) {
            sample_heavy_raw(sample, rows, start + segment);
            sample_segment(sample, (*number)++, day, rows, 1);
        }
        free(rows);
        rows = sample_rows_new(CHANNEL_BOOK);
        sample_heavy_books(sample, rows, start + segment);
        sample_segment(sample, (*number)++, day, rows, 1);
        free(rows);
    }
}

static void sample_catalogue(struct sample *sample)
{
    const size_t room = catalogue_bytes_max(&sample->catalogue);
    char *text = sample_memory(room);
    FILE *file = sample_create(sample, "catalogue");
    sample_write(file, text, catalogue_write(&sample->catalogue, text, room));
    ensure(fclose(file) == 0);
    file = sample_create(sample, "identity");
    for (size_t i = 0; i < sizeof identity; i++) (void)fprintf(file, "%02x", identity[i]);
    (void)fputc('\n', file);
    ensure(fclose(file) == 0);
    free(text);
}

static void sample_store(const char *folder, const char *variant)
{
    const bool merged = strcmp(variant, "merged") == 0;
    static struct sample sample;
    const int32_t day = catalogue_day_of(day_ns);
    struct rows *first = sample_rows_new(CHANNEL_TRADE), *second = first;
    uint32_t number = 1;
    sample = (struct sample){.folder = folder, .random = {1}};
    (void)mkdir(folder, 0755);
    if (strcmp(variant, "odd") == 0) memcpy(names, odd_names, sizeof names);
    if (strcmp(variant, "not_text") == 0) names[1] = "binance:ETH\xff\xfeUSDT";
    ensure(catalogue_init(&sample.catalogue, identity) == 0);
    sample_trades(&sample, first, day_ns);
    if (strcmp(variant, "unfit") == 0) sample_unfit(first, 17, TRADE_PRICE);
    if (strcmp(variant, "unfit_quantity") == 0) sample_unfit(first, 17, TRADE_QUANTITY);
    if (!merged) {
        sample_segment(&sample, number++, day, first, 1);
        second = sample_rows_new(CHANNEL_TRADE);
    }
    // Begins before the first ends: repaired and late rows do that.
    sample_trades(&sample, second, day_ns + 100000000000);
    if (merged) number++;
    sample_segment(&sample, number++, day, second, 2);
    struct rows *next = sample_rows_new(CHANNEL_TRADE);
    sample_trades(&sample, next, day_ns + 86400000000000);
    sample_segment(&sample, number++, day + 1, next, 2);
    sample_others(&sample, &number, day);
    if (strcmp(variant, "overlap") == 0) sample_overlap(&sample, &number, day + 2);
    if (strcmp(variant, "busy") == 0) sample_busy(&sample, &number, day + 2);
    if (strcmp(variant, "heavy") == 0) sample_heavy(&sample, &number, day + 2);
    sample_tape(&sample, 3);
    sample_channel(&sample, &number, day, CHANNEL_CANDLE);
    sample_channel(&sample, &number, day, CHANNEL_ALERT);
    sample.catalogue.next_segment = number;
    sample.catalogue.next_tape = 4;
    sample_catalogue(&sample);
}

int main(int argc, char **argv)
{
    if (argc >= 2) {
        sample_store(argv[1], argc > 2 ? argv[2] : "");
        return 0;
    }
    char folder[] = "/tmp/sample-store-XXXXXX", command[128];
    ensure(mkdtemp(folder) != NULL);
    sample_store(folder, "");
    (void)snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command) == 0 ? 0 : 1;
}
