// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: files written by any released version stay readable. tests/golden/1.0.* were written by
// this test with RINGTAPE_GOLDEN_WRITE set to a folder; they are kept for ever, and a new version
// of the format adds files of its own. The rows in them are those of golden_event().
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/catalogue.h"
#include "format/recover.h"
#include "tests/segment_fixture.h"
#include "tests/tape_fixture.h"

enum { GOLDEN_ROWS = 40 };

// What `write` names its files by, and the versions whose files are there.
#define GOLDEN_NOW "1.1"
static const char *const golden_versions[] = {"1.0", "1.1"};

static const enum channel golden_channels[] = {CHANNEL_TRADE, CHANNEL_DEPTH, CHANNEL_STATUS,
                                               CHANNEL_RAW, CHANNEL_KLINE};

static void golden_trade(struct event *event, int i)
{
    event_set(event, TRADE_TIME, 1723161600000000000 + i * 1000000ll);
    if (i % 2)
        event_set(event, TRADE_EVENT_TIME, 1723161600000000000 + i * 1000000ll + 1000000);
    event_set(event, TRADE_ID, 3700000000 + i);
    event_set_decimal(event, TRADE_PRICE, 6174000000000 + i * 1000000ll, 8);
    event_set_decimal(event, TRADE_QUANTITY, i == 7 ? INT64_MAX : 123 * i, (uint8_t)(i % 6));
    event_set(event, TRADE_SIDE, i % 3 == 0);
    if (i % 5 == 0)
        event_set_text(event, TRADE_KIND, "MARKET", 6);
}

static void golden_own(struct event *event, int i)
{
    static struct event_level levels[3];
    switch (event->channel) {
    case CHANNEL_TRADE:
        golden_trade(event, i);
        break;
    case CHANNEL_DEPTH:
        event_set(event, DEPTH_FIRST_ID, 100 + 10 * i);
        event_set(event, DEPTH_LAST_ID, 109 + 10 * i);
        event->level_count = (uint32_t)i % 4;
        event->levels = levels;
        for (int l = 0; l < 3; l++)
            levels[l] = (struct event_level){6174000 + l * 100 + i, i == 3 ? 0 : i * 1000, 2, 5,
                                             (uint8_t)(l == 2)};
        break;
    case CHANNEL_STATUS:
        event_set(event, STATUS_KIND, i % 17);
        event_set_text(event, STATUS_DETAIL, "a detail of some length", (uint32_t)i % 24);
        break;
    case CHANNEL_RAW:
        event_set(event, RAW_REASON, RAW_KEPT);
        event_set_text(event, RAW_FRAME, "{\"e\":\"\xed\x95\x9c\",\"x\":1}", 17);
        break;
    default:
        event_set(event, KLINE_OPEN_TIME, 1723161600000000000 + i * 60000000000ll);
        event_set_decimal(event, KLINE_CLOSE, INT64_MIN, 0);
        event_set_text(event, KLINE_INTERVAL, "1m", 2);
        break;
    }
}

static void golden_event(struct event *event, enum channel channel, int i)
{
    bool nameless = channel == CHANNEL_STATUS && i % 2 == 0;
    event_clear(event, channel, nameless ? SYMBOL_NONE : (uint32_t)(i / 15));
    event_set(event, COLUMN_FLAGS, i == 1 ? EVENT_REPAIRED : 0);
    event_set(event, COLUMN_RECEIVE_TIME, 1723161600000000000 + i * 1000000ll + 54321 * i);
    golden_own(event, i);
}

static const char *golden_path(const char *name)
{
    static char path[512];
    (void)snprintf(path, sizeof path, "tests/golden/%s", name);
    return path;
}

static uint8_t *golden_read(const char *name, size_t *size)
{
    FILE *file = fopen(golden_path(name), "rb");
    cr_assert_not_null(file, "%s", golden_path(name));
    uint8_t *bytes = fixture_aligned(1 << 20);
    *size = fread(bytes, 1, 1 << 20, file);
    (void)fclose(file);
    return bytes;
}

static void golden_write(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    (void)fclose(file);
}

// Rows of all golden channels, in turn.
static void golden_fill(struct tape_fixture *fixture, int from, int to)
{
    static struct event event;
    for (int i = from; i < to; i++) {
        for (size_t c = 0; c < sizeof golden_channels / sizeof *golden_channels; c++) {
            golden_event(&event, golden_channels[c], i);
            cr_assert(fixture_append(fixture, &event));
        }
    }
}

static void write_tape(const char *folder)
{
    static uint8_t file[64 << 10];
    struct tape_fixture *fixture = fixture_open();
    struct tape_description what = {.store = "golden store id", .salt = 0x1122334455667788,
                                    .created_ns = 1723161600000000000, .number = 41, .shard = 2,
                                    .writer = "ringtape 1.0"};
    tape_header_encode(&what, file, &fixture->cursor);
    int edges[] = {0, 1, 3, GOLDEN_ROWS};
    for (int part = 0; part < 3; part++) {
        struct tape_write write;
        if (part == 2) // as after a pause: the rows of the last batch are not kept
            fixture_clear(fixture);
        golden_fill(fixture, edges[part], edges[part + 1]);
        cr_assert_eq(tape_append(fixture->encoder, &fixture->cursor, &fixture->input,
                                 fixture->buffer, FIXTURE_BUFFER_BYTES, &write),
                     0);
        memcpy(file + write.offset, fixture->buffer, write.bytes);
        tape_acknowledge(&fixture->cursor, &write);
        fixture->input.written = fixture->input.count;
    }
    golden_write(folder, GOLDEN_NOW ".tape", file, fixture->cursor.end);
    static uint8_t mark[2 * LAYOUT_SECTOR];
    static uint8_t sector[LAYOUT_SECTOR];
    uint64_t offset = tape_mark_encode(&fixture->cursor, true, sector);
    memcpy(mark + offset, sector, sizeof sector);
    golden_write(folder, GOLDEN_NOW ".mark", mark, sizeof mark);
    fixture_close(fixture);
}

static struct rows *golden_rows(enum channel channel, uint32_t symbol)
{
    static struct event event;
    struct rows *rows = random_rows_new(channel, (struct rows_limits){GOLDEN_ROWS, 200, 4096});
    for (int i = 0; i < GOLDEN_ROWS; i++) {
        golden_event(&event, channel, i);
        if (event.symbol == symbol)
            cr_assert(rows_append(rows, &event));
    }
    return rows;
}

static void write_segment(const char *folder, enum channel channel)
{
    char name[64];
    struct segment_image image = {0};
    struct segment_writer *writer = image_begin(channel);
    for (uint32_t symbol = 0; symbol < 3; symbol++) {
        struct rows *rows = golden_rows(channel, symbol);
        image_symbol(&image, writer, symbol, rows);
        free(rows);
    }
    image_end(&image, writer);
    (void)snprintf(name, sizeof name, GOLDEN_NOW ".%s.segment", channel_schema(channel)->name);
    golden_write(folder, name, image.bytes, image.size);
    (void)snprintf(name, sizeof name, GOLDEN_NOW ".%s.index", channel_schema(channel)->name);
    golden_write(folder, name, image.index, image.index_size);
    image_free(&image);
}

Test(format_golden, write)
{
    const char *folder = getenv("RINGTAPE_GOLDEN_WRITE");
    if (!folder)
        return;
    write_tape(folder);
    for (size_t c = 0; c < sizeof golden_channels / sizeof *golden_channels; c++)
        write_segment(folder, golden_channels[c]);
}

Test(format_golden, tape_1_0)
{
    size_t size;
    size_t mark_size;
    struct tape_fixture *fixture = fixture_open();
    uint8_t *bytes = golden_read("1.0.tape", &size);
    uint8_t *mark = golden_read("1.0.mark", &mark_size);
    struct source source = source_of_memory(bytes, size);
    struct tape_reader reader;
    struct tape_item item;
    enum tape_error error;
    cr_assert_eq(tape_reader_open(&reader, &source, 0, mark, mark_size, &error), 0);
    cr_assert_eq(reader.header.number, 41);
    int edges[] = {0, 3, GOLDEN_ROWS}; // the first two writes are one batch of two revisions
    for (int part = 0; part < 2; part++) {
        struct tape_batch batch;
        cr_assert_eq(tape_reader_next(&reader, &item), 1);
        cr_assert_not(item.is_damage);
        cr_assert_eq(fixture_decode(fixture, item.bytes, item.size, &batch), TAPE_GOOD);
        fixture_clear(fixture);
        golden_fill(fixture, edges[part], edges[part + 1]);
        cr_assert(fixture_equal(fixture, 0, &batch), "part %d", part);
    }
    cr_assert_eq(tape_reader_next(&reader, &item), 0);
    cr_assert_eq(reader.end, TAPE_END_CLEAN);
    tape_reader_close(&reader);
    free(bytes);
    free(mark);
    fixture_close(fixture);
}

static void expect_rows(struct segment *segment, enum channel channel, uint32_t symbol)
{
    char name[24];
    struct segment_block block;
    struct rows *rows = golden_rows(channel, symbol);
    image_name(symbol, name);
    const struct index *index = segment_index(segment);
    uint32_t number = index_find(index, name, (uint32_t)strlen(name));
    cr_assert_neq(number, SYMBOL_NONE);
    uint32_t at = 0;
    for (uint32_t b = 0; b < index->block_count; b++) {
        cr_assert_eq(segment_read(segment, b, UINT64_MAX, &block), SEGMENT_GOOD);
        for (uint32_t r = 0; r < block.rows->count; r++) {
            if (block.rows->symbol[r] != number)
                continue;
            cr_assert(image_row_equal(rows, at, block.rows, r));
            cr_assert(at % 23 != 0 || image_row_alone(segment, b, r, rows, at), "row %u", at);
            at++;
        }
    }
    cr_assert_eq(at, rows->count);
    free(rows);
}

static void expect_segment(const char *version, enum channel channel)
{
    char name[64];
    size_t size;
    size_t index_size;
    (void)snprintf(name, sizeof name, "%s.%s.segment", version, channel_schema(channel)->name);
    uint8_t *bytes = golden_read(name, &size);
    (void)snprintf(name, sizeof name, "%s.%s.index", version, channel_schema(channel)->name);
    uint8_t *image = golden_read(name, &index_size);
    struct source source = source_of_memory(bytes, size);
    struct segment *segment;
    cr_assert_eq(segment_open(&segment, &source, image, index_size), SEGMENT_GOOD);
    cr_assert_not(segment_rebuilt(segment));
    for (uint32_t symbol = 0; symbol < 3; symbol++)
        expect_rows(segment, channel, symbol);
    segment_close(segment);
    free(bytes);
    free(image);
}

Test(format_golden, segments_of_all_versions)
{
    for (size_t v = 0; v < sizeof golden_versions / sizeof *golden_versions; v++) {
        for (size_t c = 0; c < sizeof golden_channels / sizeof *golden_channels; c++)
            expect_segment(golden_versions[v], golden_channels[c]);
    }
}

Test(format_golden, catalogue_1_0)
{
    size_t size;
    struct catalogue catalogue;
    static const uint8_t store[LAYOUT_STORE_ID_BYTES];
    uint8_t *text = golden_read("1.0.catalogue", &size);
    cr_assert_eq(catalogue_init(&catalogue, store), 0);
    cr_assert_eq(catalogue_parse(&catalogue, text, size), 0);
    cr_assert_eq(catalogue.generation, 17);
    cr_assert_eq(catalogue.segment_count, 2);
    cr_assert_eq(catalogue.segments[1].rows, 10147);
    cr_assert(catalogue_tape_sealed(&catalogue, 41));
    catalogue_free(&catalogue);
    free(text);
}
