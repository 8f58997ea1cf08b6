// SPDX-License-Identifier: GPL-3.0-or-later
//
// book_bench: makes the store for bench/book.py: a day of one symbol's depth.
//
//     book_bench DIR FRAMES SECONDS
//     book_bench --smoke
//
// The messages are those of a recording (FRAMES as in bench/recording.h), again and again, ten a
// second, their ids joined; a snapshot of 1,000 levels a side as often as the daemon asks for one.
// Prints updates, levels, bytes and the messages that a snapshot is of as a JSON line.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/recording.h"
#include "bench/sealed_store.h"
#include "capture/repair.h"

enum { RATE = 10, RECORDING_ROWS_MAX = 1 << 16, BLOCK_ROWS = 512 };
#define DAY_START INT64_C(1723075200000000000) // 2024-08-08
#define STEP_NS (1000000000ll / RATE)

static const uint8_t identity[LAYOUT_STORE_ID_BYTES] = "a day of depth";
static const char symbol[] = "binance:BTCUSDT";

struct day {
    struct rows *recording;
    struct rows *rows; // a part of the day
    int64_t last_id;
    uint64_t updates, levels;
    uint64_t snapshot, levels_then; // of the newest snapshot: its message, levels before it
};

static struct segment_writer *writer_of(enum channel channel, uint32_t number)
{
    const struct segment_description what = {
        .store = "a day of depth", .salt = number, .created_ns = 1, .channel = channel,
        .number = number, .writer = "bench", .day = catalogue_day_of(DAY_START)};
    struct segment_writer *writer;
    ensure(segment_writer_open(&writer, &what) == 0);
    return writer;
}

static void begin_symbol(struct segment_image *image, struct segment_writer *writer, uint32_t rows)
{
    while (!segment_writer_symbol(writer, symbol, (uint32_t)strlen(symbol), rows))
        image_put(image, writer);
}

static void append_all(struct segment_image *image, struct segment_writer *writer,
                       const struct rows *rows)
{
    for (uint32_t r = 0; r < rows->count; r++) {
        while (!segment_writer_append(writer, rows, r, (struct segment_provenance){1, r}))
            image_put(image, writer);
    }
}

// Message `n` of the day: a recorded one with the ids and times of its place.
static void make_update(struct day *day, uint64_t n)
{
    static struct event_level levels[EVENT_LEVELS_MAX];
    static struct event event;
    const uint32_t from = (uint32_t)(n % day->recording->count);
    const int64_t time_ns = DAY_START + (int64_t)n * STEP_NS;
    rows_get(day->recording, from, &event, levels);
    const int64_t ids = event.value[DEPTH_LAST_ID] - event.value[DEPTH_FIRST_ID];
    event_set(&event, DEPTH_FIRST_ID, day->last_id + 1);
    event_set(&event, DEPTH_LAST_ID, day->last_id + 1 + ids);
    event_set(&event, DEPTH_EVENT_TIME, time_ns);
    event_set(&event, COLUMN_RECEIVE_TIME, time_ns + 2000000 + (int64_t)(n * 7919 % 900000));
    day->last_id += 1 + ids;
    day->levels += event.level_count;
    ensure(rows_append(day->rows, &event));
}

static void make_snapshot(struct rows *rows, int64_t last_id, int64_t time_ns)
{
    static struct event_level levels[2 * BOOK_REST_LEVELS];
    static struct event event;
    for (int i = 0; i < 2 * BOOK_REST_LEVELS; i++) {
        const int depth = i % BOOK_REST_LEVELS;
        const bool ask = i >= BOOK_REST_LEVELS;
        levels[i] = (struct event_level){.price = ask ? 6100001 + depth : 6100000 - depth,
                                         .quantity = 1000 + depth * 37 % 5000,
                                         .price_scale = 2,
                                         .quantity_scale = 5,
                                         .side = ask ? SIDE_SELL : SIDE_BUY};
    }
    event_clear(&event, CHANNEL_BOOK, 0);
    event_set(&event, COLUMN_RECEIVE_TIME, time_ns);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, BOOK_LAST_ID, last_id);
    event_set(&event, BOOK_SOURCE, BOOK_SOURCE_REST);
    event.levels = levels;
    event.level_count = 2 * BOOK_REST_LEVELS;
    ensure(rows_append(rows, &event));
}

static bool wants_snapshot(struct day *day, uint64_t n)
{
    const bool wanted = n == 0 || (n - day->snapshot) * STEP_NS >= REPAIR_SNAPSHOT_NS ||
                        day->levels - day->levels_then >= REPAIR_SNAPSHOT_LEVELS;
    if (!wanted) return false;
    day->snapshot = n;
    day->levels_then = day->levels;
    return true;
}

static struct sealed_part part_of(const struct segment_image *image, enum channel channel,
                                  uint32_t number)
{
    const struct segment_summary *summary = &image->summary;
    return (struct sealed_part){
        .entry = {.number = number, .channel = channel, .day = catalogue_day_of(DAY_START),
                  .rows = summary->rows, .bytes = summary->bytes, .time_min = summary->time_min,
                  .time_max = summary->time_max},
        .image = image};
}

static void make_depth(struct day *day, struct segment_image *depth, struct rows *snapshots,
                       uint64_t count)
{
    struct segment_writer *writer = writer_of(CHANNEL_DEPTH, 1);
    begin_symbol(depth, writer, (uint32_t)count);
    printf("{\"snapshots\": [");
    for (uint64_t n = 0; n < count;) {
        rows_clear(day->rows);
        for (; n < count && day->rows->count < BLOCK_ROWS; n++) {
            make_update(day, n);
            if (!wants_snapshot(day, n)) continue;
            make_snapshot(snapshots, day->last_id, DAY_START + (int64_t)n * STEP_NS);
            printf("%s%llu", n == 0 ? "" : ", ", (unsigned long long)n);
        }
        append_all(depth, writer, day->rows);
    }
    image_end(depth, writer);
    day->updates = count;
}

static void make_store(const char *dir, struct day *day, uint64_t seconds)
{
    static struct segment_image images[2];
    struct rows *snapshots = recording_rows(CHANNEL_BOOK, RECORDING_ROWS_MAX);
    make_depth(day, &images[0], snapshots, seconds * RATE);
    struct segment_writer *writer = writer_of(CHANNEL_BOOK, 2);
    begin_symbol(&images[1], writer, snapshots->count);
    append_all(&images[1], writer, snapshots);
    image_end(&images[1], writer);
    const struct sealed_part parts[] = {part_of(&images[0], CHANNEL_DEPTH, 1),
                                        part_of(&images[1], CHANNEL_BOOK, 2)};
    sealed_store_write(dir, identity, parts, 2);
    printf("], \"updates\": %llu, \"levels\": %llu, \"bytes\": %zu}\n",
           (unsigned long long)day->updates, (unsigned long long)day->levels, images[0].size);
}

int main(int argc, char **argv)
{
    static struct day day = {.last_id = 1000};
    if (argc == 2 && strcmp(argv[1], "--smoke") == 0)
        return 0; // bench/book.py has one
    ensure(argc == 4);
    day.recording = recording_rows(CHANNEL_DEPTH, RECORDING_ROWS_MAX);
    day.rows = recording_rows(CHANNEL_DEPTH, BLOCK_ROWS);
    recording_read(day.recording, "binance", "BTCUSDT", argv[2]);
    make_store(argv[1], &day, strtoull(argv[3], NULL, 10));
    return 0;
}
