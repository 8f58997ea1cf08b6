// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: whatever happens to a tape's bytes, every acknowledged row comes back or is named as lost,
// no row comes twice, and a torn write is not called damage. Method: tapes written in memory from
// printed seeds; crashes within each write, flipped bits, cut files, a reader that follows a
// writer.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "format/recover.h"
#include "format/tape_reader.h"
#include "tests/tape_fixture.h"

enum { IMAGE_BYTES = 2 << 20, WRITES_MAX = 200 };

struct image {
    struct tape_fixture *fixture;
    uint8_t *bytes;                    // the file
    uint8_t marks[2 * LAYOUT_SECTOR];
    uint8_t *before;                   // the file before the last write
    struct tape_write writes[WRITES_MAX];
    uint32_t write_count;
    uint64_t next_id; // rows carry 1, 2, 3 ... as trade id
};

static struct image *image_open(void)
{
    struct image *image = calloc(1, sizeof *image);
    image->fixture = fixture_open();
    image->bytes = fixture_aligned(IMAGE_BYTES);
    image->before = fixture_aligned(IMAGE_BYTES);
    memset(image->bytes, 0xa5, IMAGE_BYTES); // stale
    struct tape_description what = {.salt = 4711, .number = 1};
    tape_header_encode(&what, image->bytes, &image->fixture->cursor);
    image->next_id = 1;
    return image;
}

static void image_close(struct image *image)
{
    fixture_close(image->fixture);
    free(image->bytes);
    free(image->before);
    free(image);
}

static void image_add_rows(struct image *image, uint32_t count)
{
    static struct event event;
    for (uint32_t i = 0; i < count; i++) {
        event_clear(&event, CHANNEL_TRADE, (uint32_t)(image->next_id % FIXTURE_SYMBOLS));
        event_set(&event, TRADE_TIME, (int64_t)image->next_id * 1000000);
        event_set(&event, TRADE_ID, (int64_t)image->next_id);
        event_set_decimal(&event, TRADE_PRICE, (int64_t)(image->next_id * 77777), 2);
        cr_assert(fixture_append(image->fixture, &event));
        image->next_id++;
    }
}

// Appends `count` rows as the writer would. The write is acknowledged unless told otherwise.
static struct tape_write image_write(struct image *image, uint32_t count, bool acknowledge)
{
    struct tape_fixture *fixture = image->fixture;
    if (fixture->input.count + count > FIXTURE_ROWS_MAX)
        fixture_clear(fixture);
    image_add_rows(image, count);
    struct tape_write write;
    cr_assert_eq(tape_append(fixture->encoder, &fixture->cursor, &fixture->input, fixture->buffer,
                             FIXTURE_BUFFER_BYTES, &write),
                 0);
    cr_assert(write.offset + write.bytes <= IMAGE_BYTES);
    memcpy(image->before, image->bytes, IMAGE_BYTES);
    memcpy(image->bytes + write.offset, fixture->buffer, write.bytes);
    image->writes[image->write_count++] = write;
    if (!write.rewritten || write.batch_bytes > LAYOUT_SECTOR) { // a new batch: drop older rows
        fixture_clear(fixture);
        uint64_t next = image->next_id;
        image->next_id -= count;
        image_add_rows(image, count);
        cr_assert_eq(image->next_id, next);
    }
    fixture->input.written = fixture->input.count;
    if (acknowledge)
        tape_acknowledge(&fixture->cursor, &write);
    return write;
}

static void image_mark(struct image *image, bool closed)
{
    static uint8_t sector[LAYOUT_SECTOR];
    uint64_t offset = tape_mark_encode(&image->fixture->cursor, closed, sector);
    memcpy(image->marks + offset, sector, sizeof sector);
}

struct seen {
    uint8_t *ids; // ids[i]: how often row i came
    uint64_t rows;
    uint64_t rows_lost;
    uint64_t damages;
    uint64_t damages_acknowledged;
    enum tape_end end;
};

static void seen_batch(struct image *image, struct seen *seen, const struct tape_item *item)
{
    struct tape_batch batch;
    cr_assert_eq(fixture_decode(image->fixture, item->bytes, item->size, &batch), TAPE_GOOD);
    const struct rows *rows = &batch.rows[CHANNEL_TRADE];
    for (uint32_t r = item->rows_before; r < rows->count; r++) {
        int64_t id = rows->value[TRADE_ID][r];
        cr_assert_eq(rows->value[TRADE_PRICE][r], id * 77777);
        cr_assert_eq((int64_t)(batch.header.first_row + r), id - 1, "row number in the tape");
        cr_assert_eq(seen->ids[id]++, 0, "row %d twice", (int)id);
        seen->rows++;
    }
}

static void seen_read(struct image *image, struct tape_reader *reader, struct seen *seen)
{
    struct tape_item item;
    int result;
    while ((result = tape_reader_next(reader, &item)) == 1) {
        if (item.is_damage) {
            seen->damages++;
            seen->damages_acknowledged += item.damage.acknowledged;
            seen->rows_lost += item.damage.rows;
        } else {
            seen_batch(image, seen, &item);
        }
    }
    cr_assert_eq(result, 0);
    seen->end = reader->end;
}

static struct seen image_read(struct image *image, uint64_t size, bool marks)
{
    static uint8_t ids[1 << 20];
    memset(ids, 0, sizeof ids);
    struct seen seen = {.ids = ids};
    struct tape_reader reader;
    enum tape_error error;
    struct source source = source_of_memory(image->bytes, size);
    cr_assert_eq(tape_reader_open(&reader, &source, 0, marks ? image->marks : NULL,
                                  sizeof image->marks, &error),
                 0);
    seen_read(image, &reader, &seen);
    tape_reader_close(&reader);
    return seen;
}

Test(tape_reader, small_batches_grow_in_alternating_slots)
{
    struct image *image = image_open();
    uint64_t offsets[6];
    for (int i = 0; i < 6; i++) {
        struct tape_write write = image_write(image, 2, true);
        offsets[i] = write.offset;
        cr_assert_eq(write.sequence, 1);
        cr_assert_eq(write.revision, (uint32_t)i);
    }
    cr_assert_eq(offsets[0], LAYOUT_SECTOR);
    cr_assert_eq(offsets[1], 2 * LAYOUT_SECTOR);
    cr_assert_eq(offsets[2], LAYOUT_SECTOR);
    struct tape_write large = image_write(image, 800, true);
    cr_assert_eq(large.sequence, 2);
    cr_assert_eq(large.offset, 3 * LAYOUT_SECTOR, "behind both slots");
    cr_assert(large.batch_bytes > LAYOUT_SECTOR);
    struct tape_write next = image_write(image, 1, true);
    cr_assert_eq(next.offset, large.offset + large.bytes);
    struct seen seen = image_read(image, IMAGE_BYTES, false);
    cr_assert_eq(seen.rows, 813);
    cr_assert_eq(seen.damages, 0);
    cr_assert_eq(seen.end, TAPE_END_CLEAN);
    image_close(image);
}

Test(tape_reader, an_unacknowledged_revision_is_never_overwritten)
{
    struct image *image = image_open();
    (void)image_write(image, 1, true);
    (void)image_write(image, 1, false); // revision 1, in flight
    struct tape_write write = image_write(image, 1, false);
    cr_assert_eq(write.sequence, 2, "a new batch, not another revision");
    cr_assert_eq(image_read(image, IMAGE_BYTES, false).rows, 3);
    image_close(image);
}

// One write in flight at a time: sizes from one row to several sectors.
static struct image *image_random(uint64_t seed, uint32_t writes)
{
    struct format_random random = {seed};
    struct image *image = image_open();
    for (uint32_t i = 0; i < writes; i++) {
        uint32_t kind = random_below(&random, 4);
        uint32_t rows = kind == 0 ? 100 + random_below(&random, 600) : 1 + random_below(&random, 9);
        (void)image_write(image, rows, true);
        if (random_below(&random, 5) == 0)
            image_mark(image, false);
    }
    return image;
}

// A crash during the last write: any of its sectors may have reached the disk, one of them in part.
Test(tape_reader, torn_writes_lose_nothing_acknowledged_and_are_not_damage)
{
    printf("seeds 1 to 300\n");
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct format_random random = {seed * 31};
        struct image *image = image_random(seed, 1 + random_below(&random, 30));
        uint64_t acknowledged = image->fixture->cursor.durable_rows;
        struct tape_write write = image_write(image, 1 + random_below(&random, 500), false);
        for (uint32_t at = 0; at < write.bytes; at += LAYOUT_SECTOR) {
            uint32_t kept = random_below(&random, 3); // sector: kept, lost, cut
            uint32_t from = kept == 0 ? LAYOUT_SECTOR
                                      : kept == 1 ? 0 : random_below(&random, LAYOUT_SECTOR);
            uint64_t lost = write.offset + at + from;
            memcpy(image->bytes + lost, image->before + lost, LAYOUT_SECTOR - from);
        }
        struct seen seen = image_read(image, IMAGE_BYTES, true);
        cr_assert(seen.rows >= acknowledged, "seed %d: %d < %d", (int)seed, (int)seen.rows,
                  (int)acknowledged);
        cr_assert_eq(seen.damages, 0, "seed %d", (int)seed);
        struct recover_report report;
        struct source source = source_of_memory(image->bytes, IMAGE_BYTES);
        cr_assert_eq(recover_tape(&source, image->marks, sizeof image->marks, &report), 0);
        cr_assert(report.verdict == RECOVER_CLEAN || report.verdict == RECOVER_TORN);
        cr_assert_eq(report.rows, seen.rows);
        image_close(image);
    }
}

// Several batches in one write: the first may be torn while the second is whole.
Test(tape_reader, a_torn_write_of_two_batches_is_torn_not_damaged)
{
    struct image *image = image_open();
    (void)image_write(image, 300, true);
    struct tape_write first = image_write(image, 300, false);
    (void)image_write(image, 300, false);
    memset(image->bytes + first.offset, 0, LAYOUT_SECTOR);
    struct seen seen = image_read(image, IMAGE_BYTES, false);
    cr_assert_eq(seen.rows, 600);
    cr_assert_eq(seen.damages, 1);
    cr_assert_eq(seen.damages_acknowledged, 0);
    image_close(image);
}

Test(tape_reader, damage_anywhere_is_named_and_the_rest_comes)
{
    printf("seeds 1 to 300\n");
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct format_random random = {seed * 17};
        struct image *image = image_random(seed, 2 + random_below(&random, 30));
        uint64_t rows = image->fixture->cursor.durable_rows;
        image_mark(image, true);
        uint64_t end = image->fixture->cursor.end;
        uint64_t at = LAYOUT_SECTOR + random_next(&random) % (end - LAYOUT_SECTOR);
        image->bytes[at] ^= (uint8_t)(1u << random_below(&random, 8));
        struct seen seen = image_read(image, IMAGE_BYTES, true);
        cr_assert_eq(seen.rows + seen.rows_lost, rows, "seed %d: %d + %d != %d", (int)seed,
                     (int)seen.rows, (int)seen.rows_lost, (int)rows);
        cr_assert_eq(seen.rows_lost != 0, seen.damages != 0, "seed %d", (int)seed);
        cr_assert_eq(seen.damages, seen.damages_acknowledged, "seed %d", (int)seed);
        image_close(image);
    }
}

Test(tape_reader, a_file_cut_anywhere_gives_all_before_and_names_the_rest)
{
    struct image *image = image_random(5, 25);
    uint64_t rows = image->fixture->cursor.durable_rows;
    image_mark(image, true);
    for (uint64_t size = LAYOUT_SECTOR; size < image->fixture->cursor.end; size += 509) {
        struct seen seen = image_read(image, size, true);
        cr_assert_eq(seen.rows + seen.rows_lost, rows, "size %d: %d + %d", (int)size,
                     (int)seen.rows, (int)seen.rows_lost);
    }
    image_close(image);
}

Test(tape_reader, follows_a_writer_and_gives_each_row_once)
{
    static uint8_t ids[1 << 20];
    struct seen seen = {.ids = ids};
    struct image *image = image_open();
    struct format_random random = {3};
    struct tape_reader reader;
    enum tape_error error;
    struct source source = source_of_memory(image->bytes, IMAGE_BYTES);
    cr_assert_eq(tape_reader_open(&reader, &source, 0, NULL, 0, &error), 0);
    reader.look_ahead = TAPE_LIVE_LOOK_AHEAD;
    for (int i = 0; i < 150; i++) {
        bool large = random_below(&random, 6) == 0;
        (void)image_write(image, large ? 500 : 1 + random_below(&random, 5), true);
        if (random_below(&random, 2))
            seen_read(image, &reader, &seen);
    }
    seen_read(image, &reader, &seen);
    cr_assert_eq(seen.rows, image->next_id - 1);
    cr_assert_eq(seen.damages, 0);
    tape_reader_close(&reader);
    image_close(image);
}

Test(tape_reader, a_lost_last_revision_is_known_from_the_mark)
{
    struct image *image = image_open();
    (void)image_write(image, 3, true);
    (void)image_write(image, 4, true);
    image_mark(image, false);
    image->bytes[2 * LAYOUT_SECTOR + 200] ^= 1; // revision 1
    struct seen seen = image_read(image, IMAGE_BYTES, true);
    cr_assert_eq(seen.rows, 3);
    cr_assert_eq(seen.rows_lost, 4);
    cr_assert_eq(seen.damages_acknowledged, 1);
    image_close(image);
}

Test(tape_reader, stale_batches_of_another_tape_are_nothing)
{
    struct image *old = image_random(8, 20);
    struct image *image = image_open();
    memcpy(image->bytes + LAYOUT_SECTOR, old->bytes + LAYOUT_SECTOR, IMAGE_BYTES - LAYOUT_SECTOR);
    struct tape_description what = {.salt = 1234, .number = 2};
    tape_header_encode(&what, image->bytes, &image->fixture->cursor);
    (void)image_write(image, 2, true);
    struct seen seen = image_read(image, IMAGE_BYTES, false);
    cr_assert_eq(seen.rows, 2);
    cr_assert_eq(seen.end, TAPE_END_CLEAN);
    image_close(image);
    image_close(old);
}

static int64_t failing_read(void *context, uint64_t offset, void *out, size_t size)
{
    const struct image *image = context;
    if (offset >= 3 * LAYOUT_SECTOR)
        return -EIO;
    memcpy(out, image->bytes + offset, size);
    return (int64_t)size;
}

Test(tape_reader, errors_of_the_source_are_handed_on)
{
    struct image *image = image_random(8, 20);
    struct source source = {.size = IMAGE_BYTES, .read = failing_read, .context = image};
    struct recover_report report;
    cr_assert_eq(recover_tape(&source, NULL, 0, &report), -EIO);
    image->bytes[0] ^= 1;
    cr_assert_eq(recover_tape(&source, NULL, 0, &report), -EIO);
    memset(image->bytes, 0, 3 * LAYOUT_SECTOR);
    cr_assert_eq(recover_tape(&source, NULL, 0, &report), 0);
    cr_assert_eq(report.verdict, RECOVER_FOREIGN);
    cr_assert_str_eq(recover_verdict_text(report.verdict), "foreign");
    image_close(image);
}

struct counted {
    const struct image *image;
    uint32_t reads;
};

static int64_t counted_read(void *context, uint64_t offset, void *out, size_t size)
{
    struct counted *counted = context;
    counted->reads++;
    memcpy(out, counted->image->bytes + offset, size);
    return (int64_t)size;
}

// Followers ask a hundred times a second.
Test(tape_reader, at_the_end_of_what_is_durable_asking_again_reads_a_few_sectors)
{
    struct image *image = image_open();
    struct counted counted = {.image = image};
    const struct source source = {.size = IMAGE_BYTES, .read = counted_read, .context = &counted};
    struct tape_reader reader;
    struct tape_item item;
    enum tape_error error;
    (void)image_write(image, 500, true);
    cr_assert_eq(tape_reader_open(&reader, &source, 0, NULL, 0, &error), 0);
    reader.look_ahead = TAPE_LIVE_LOOK_AHEAD;
    for (uint64_t sequence = 1; sequence <= 3; sequence++) {
        reader.limit_sequence = sequence;
        reader.limit_revision = 0;
        (void)image_write(image, 500, true); // one more than is known to be durable
        cr_assert_eq(tape_reader_next(&reader, &item), 1);
        cr_assert_eq(item.header.sequence, sequence);
        counted.reads = 0;
        cr_assert_eq(tape_reader_next(&reader, &item), 0);
        cr_assert_leq(counted.reads, 8, "%u", counted.reads);
    }
    memset(image->bytes + reader.offset, 0, LAYOUT_SECTOR); // the next one is damaged: looked for
    reader.limit_sequence = 5;
    (void)image_write(image, 500, true);
    cr_assert_eq(tape_reader_next(&reader, &item), 1);
    cr_assert(item.is_damage);
    tape_reader_close(&reader);
    image_close(image);
}

// Any bit of the first sector: all rows come, and the damage is told.
Test(tape_reader, a_damaged_header_costs_no_rows)
{
    struct image *image = image_random(9, 20);
    struct source source = {.size = IMAGE_BYTES, .bytes = image->bytes};
    struct recover_report whole;
    struct recover_report report;
    cr_assert_eq(recover_tape(&source, NULL, 0, &whole), 0);
    cr_assert_gt(whole.rows, 0);
    for (uint32_t at = 0; at < LAYOUT_SECTOR; at += at < 80 ? 1 : 97) {
        image->bytes[at] ^= 4;
        cr_assert_eq(recover_tape(&source, NULL, 0, &report), 0);
        cr_assert_eq(report.rows, whole.rows, "byte %u", at);
        cr_assert_eq(report.damage_count, whole.damage_count + 1, "byte %u", at);
        image->bytes[at] ^= 4;
    }
    image_close(image);
}

// Tape 1 as tape `number`: its rows; *damages as well.
static uint64_t rows_as(struct image *image, uint32_t number, uint64_t *damages,
                        enum tape_error *first)
{
    const struct source source = source_of_memory(image->bytes, IMAGE_BYTES);
    struct tape_reader reader;
    struct tape_item item;
    enum tape_error error;
    uint64_t rows = 0;
    *damages = 0;
    cr_assert_eq(tape_reader_open(&reader, &source, number, NULL, 0, &error), 0);
    while (tape_reader_next(&reader, &item) > 0) {
        if (item.is_damage && *damages == 0) *first = item.damage.error;
        *damages += item.is_damage;
        rows += item.is_damage ? 0 : item.header.rows - item.rows_before;
    }
    tape_reader_close(&reader);
    return rows;
}

// What the device wrote to the wrong place, or brings from there. A tape under another name is all
// of one kind: its header is its own.
Test(tape_reader, a_header_of_another_tape_costs_no_rows)
{
    struct image *image = image_random(9, 20);
    struct tape_cursor other;
    const struct tape_description what = {.salt = 815, .number = 2};
    enum tape_error error = TAPE_GOOD;
    uint64_t damages, whole_damages;
    const uint64_t whole = rows_as(image, 1, &whole_damages, &error);
    cr_assert_gt(whole, 0);
    cr_assert_eq(rows_as(image, 2, &damages, &error), whole);
    cr_assert_eq(damages, whole_damages, "the file is tape 1, whoever asks");
    tape_header_encode(&what, image->bytes, &other);
    cr_assert_eq(rows_as(image, 1, &damages, &error), whole);
    cr_assert_eq(damages, whole_damages + 1);
    cr_assert_eq(error, TAPE_OTHER_SALT);
    cr_assert_eq(rows_as(image, 0, &damages, &error), 0, "which number is right nobody knows");
    image_close(image);
}

// ---- newer versions ----

static uint64_t newer_damages(struct image *image, uint64_t *rows)
{
    struct source source = source_of_memory(image->bytes, IMAGE_BYTES);
    struct tape_reader reader;
    struct tape_item item;
    enum tape_error error;
    uint64_t newer = 0;
    *rows = 0;
    cr_assert_eq(tape_reader_open(&reader, &source, 0, NULL, 0, &error), 0);
    while (tape_reader_next(&reader, &item) > 0) {
        newer += item.is_damage && item.damage.acknowledged && item.damage.error == TAPE_NEWER;
        *rows += item.is_damage ? 0 : item.header.rows - item.rows_before;
    }
    tape_reader_close(&reader);
    return newer;
}

// Rows that cannot be read are told of, also at the end, where they could be taken for a torn
// write; a sector of another file is not.
Test(tape_reader, newer_batches_are_told_of)
{
    for (int last = 0; last <= 1; last++) {
        struct image *image = image_open();
        uint64_t rows;
        for (int i = 0; i < 3; i++)
            (void)image_write(image, 500, true);
        struct tape_write write = image->writes[last ? 2 : 1];
        uint8_t *batch = image->bytes + write.offset;
        batch[8] = LAYOUT_MAJOR + 1;
        fixture_forge_hashes(batch, write.batch_bytes);
        cr_assert_eq(newer_damages(image, &rows), 1, "last %d", last);
        cr_assert_eq(rows, 1000);
        batch[16] ^= 1; // the salt
        fixture_forge_hashes(batch, write.batch_bytes);
        cr_assert_eq(newer_damages(image, &rows), 0, "last %d", last);
        image_close(image);
    }
}
