// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: a batch gives back exactly the rows it was made of, or an error, never other rows. Method:
// random rows of every channel from a printed seed, extremes, every cut, bit flips.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "format/tape.h"
#include "format/tape_stream.h"
#include "tests/tape_fixture.h"

Test(tape, streams_of_every_width_come_back)
{
    struct format_random random = {1};
    static int64_t values[1000], back[1000];
    static uint64_t scratch[1000];
    static uint8_t bytes[1000 * 8 + 64];
    for (unsigned round = 0; round < 2000; round++) {
        uint32_t count = 1 + random_below(&random, 999);
        unsigned bits = round % 65;
        uint64_t factor = round % 3 == 0 ? 1000000 : round % 3 == 1 ? 1000 : 1;
        int64_t base = random_value(&random);
        for (uint32_t i = 0; i < count; i++) {
            uint64_t raw = bits == 0 ? 0 : random_next(&random) >> (64 - bits);
            values[i] = (int64_t)((uint64_t)base + raw * factor);
        }
        uint8_t *end = tape_stream_put(bytes, values, count, round % 2 == 0, scratch);
        struct wire_reader reader = wire_reader_of(bytes, (size_t)(end - bytes));
        cr_assert(tape_stream_get(&reader, back, count));
        cr_assert_eq(wire_left(&reader), 0);
        cr_assert_eq(memcmp(values, back, count * sizeof *values), 0, "round %u", round);
        reader = wire_reader_of(bytes, (size_t)(end - bytes) - 1);
        cr_assert_not(tape_stream_get(&reader, back, count), "cut");
    }
}

Test(tape, times_in_milliseconds_take_few_bytes)
{
    int64_t values[100];
    uint64_t scratch[100];
    uint8_t bytes[1000];
    for (int i = 0; i < 100; i++)
        values[i] = 1723161600000000000 + i * 1000000ll;
    cr_assert_eq(tape_stream_put(bytes, values, 100, true, scratch) - bytes, 1 + 9 + 100);
}

static void round_trip(struct tape_fixture *fixture, uint64_t seed)
{
    struct format_random random = {seed};
    fixture_fill(fixture, &random, random_below(&random, 40), random_below(&random, 4) == 0);
    if (fixture->input.count == 0)
        return;
    struct tape_batch_place place = {.salt = 7, .sequence = 3, .first_row = 1000};
    uint32_t from = random_below(&random, 3) ? 0 : random_below(&random, fixture->input.count);
    int64_t bytes = tape_encode_batch(fixture->encoder, &place, &fixture->input, from,
                                      fixture->buffer, FIXTURE_BUFFER_BYTES);
    cr_assert(bytes > 0);
    cr_assert((size_t)bytes <= tape_batch_bytes_max(&fixture->input));
    struct tape_batch batch;
    cr_assert_eq(fixture_decode(fixture, fixture->buffer, (size_t)bytes, &batch), TAPE_GOOD,
                 "seed %llu", (unsigned long long)seed);
    cr_assert_eq(batch.header.rows, fixture->input.count - from);
    cr_assert_eq(batch.header.first_row, 1000);
    cr_assert(fixture_equal(fixture, from, &batch), "seed %llu", (unsigned long long)seed);
}

Test(tape, random_batches_of_all_channels_come_back)
{
    struct tape_fixture *fixture = fixture_open();
    printf("seeds 1 to 600\n");
    for (uint64_t seed = 1; seed <= 600; seed++)
        round_trip(fixture, seed);
    fixture_close(fixture);
}

Test(tape, each_channel_alone_comes_back_with_all_styles)
{
    struct tape_fixture *fixture = fixture_open();
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        for (uint64_t seed = 0; channel_schema((enum channel)c) && seed < 40; seed++) {
            struct format_random random = {seed * 100 + (uint64_t)c};
            fixture_clear(fixture);
            fixture_add(fixture, &random, (enum channel)c, 1 + random_below(&random, 300));
            struct tape_batch_place place = {.salt = 7, .sequence = 1};
            int64_t bytes = tape_encode_batch(fixture->encoder, &place, &fixture->input, 0,
                                              fixture->buffer, FIXTURE_BUFFER_BYTES);
            struct tape_batch batch;
            cr_assert(bytes > 0);
            cr_assert_eq(fixture_decode(fixture, fixture->buffer, (size_t)bytes, &batch), 0);
            cr_assert(fixture_equal(fixture, 0, &batch), "channel %d seed %d", c, (int)seed);
        }
    }
    fixture_close(fixture);
}

Test(tape, ten_thousand_levels_and_a_megabyte_of_text_fit)
{
    struct tape_fixture *fixture = fixture_open();
    static struct event_level levels[EVENT_LEVELS_MAX];
    struct format_random random = {5};
    struct event event = {0};
    random_levels(&random, levels, EVENT_LEVELS_MAX, true);
    event_clear(&event, CHANNEL_BOOK, 0);
    event.levels = levels;
    event.level_count = EVENT_LEVELS_MAX;
    cr_assert(fixture_append(fixture, &event));
    char *text = malloc(EVENT_TEXT_BYTES_MAX);
    memset(text, 'x', EVENT_TEXT_BYTES_MAX);
    event_clear(&event, CHANNEL_RAW, SYMBOL_NONE);
    event_set_text(&event, RAW_FRAME, text, EVENT_TEXT_BYTES_MAX);
    cr_assert(fixture_append(fixture, &event));
    struct tape_batch_place place = {.salt = 7, .sequence = 1};
    int64_t bytes = tape_encode_batch(fixture->encoder, &place, &fixture->input, 0,
                                      fixture->buffer, FIXTURE_BUFFER_BYTES);
    struct tape_batch batch;
    cr_assert_eq(fixture_decode(fixture, fixture->buffer, (size_t)bytes, &batch), 0);
    cr_assert(fixture_equal(fixture, 0, &batch));
    free(text);
    fixture_close(fixture);
}

Test(tape, every_cut_and_every_flipped_bit_is_noticed)
{
    struct tape_fixture *fixture = fixture_open();
    struct format_random random = {11};
    fixture_fill(fixture, &random, 5, false);
    struct tape_batch_place place = {.salt = 7, .sequence = 1};
    int64_t bytes = tape_encode_batch(fixture->encoder, &place, &fixture->input, 0,
                                      fixture->buffer, FIXTURE_BUFFER_BYTES);
    struct layout_batch header;
    size_t memory;
    for (int64_t cut = 0; cut < bytes; cut++)
        cr_assert_neq(tape_check_batch(fixture->buffer, (size_t)cut, &header, &memory), 0);
    for (int64_t at = 0; at < bytes; at++) {
        fixture->buffer[at] ^= (uint8_t)(1u << (at % 8));
        cr_assert_neq(tape_check_batch(fixture->buffer, (size_t)bytes, &header, &memory), 0);
        fixture->buffer[at] ^= (uint8_t)(1u << (at % 8));
    }
    cr_assert_eq(tape_check_batch(fixture->buffer, (size_t)bytes, &header, &memory), 0);
    fixture_close(fixture);
}

// Damage with right hashes: a hostile writer. The decoder may refuse or give other rows, but must
// stay within its memory (sanitizers watch) and within the limits.
Test(tape, forged_payloads_never_leave_the_memory)
{
    struct tape_fixture *fixture = fixture_open();
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct format_random random = {seed};
        fixture_fill(fixture, &random, 6, false);
        struct tape_batch_place place = {.salt = 7, .sequence = 1};
        int64_t bytes = tape_encode_batch(fixture->encoder, &place, &fixture->input, 0,
                                          fixture->buffer, FIXTURE_BUFFER_BYTES);
        for (unsigned i = random_below(&random, 4); i < 4; i++)
            fixture->buffer[24 + random_below(&random, (uint32_t)bytes - 24)] =
                (uint8_t)random_next(&random);
        fixture_forge_hashes(fixture->buffer, (size_t)bytes);
        struct tape_batch batch;
        (void)fixture_decode(fixture, fixture->buffer, (size_t)bytes, &batch);
    }
    fixture_close(fixture);
}

Test(tape, header_and_mark_come_back)
{
    static uint8_t sector[LAYOUT_SECTOR];
    static uint8_t slots[2 * LAYOUT_SECTOR];
    struct tape_cursor cursor;
    struct tape_description what = {.store = "fifteen letters", .salt = 99, .created_ns = 5,
                                    .number = 12, .shard = 3, .writer = "ringtaped 0.1.0"};
    tape_header_encode(&what, sector, &cursor);
    struct layout_tape header;
    cr_assert_eq(tape_header_decode(sector, sizeof sector, &header), TAPE_GOOD);
    cr_assert_eq(header.number, 12);
    cr_assert_str_eq((char *)header.writer, "ringtaped 0.1.0");
    for (size_t at = 0; at < sizeof sector; at++) {
        sector[at] ^= 16;
        cr_assert_neq(tape_header_decode(sector, sizeof sector, &header), TAPE_GOOD);
        sector[at] ^= 16;
    }
    struct layout_mark mark;
    cr_assert_eq(tape_mark_decode(slots, sizeof slots, 99, &mark), TAPE_NO_MAGIC);
    for (uint64_t i = 1; i <= 5; i++) {
        cursor.durable_sequence = i;
        uint64_t offset = tape_mark_encode(&cursor, i == 5, sector);
        memcpy(slots + offset, sector, sizeof sector);
        cr_assert_eq(tape_mark_decode(slots, sizeof slots, 99, &mark), TAPE_GOOD);
        cr_assert_eq(mark.sequence, i);
        cr_assert_eq(mark.flags, i == 5 ? LAYOUT_MARK_CLOSED : 0);
    }
    cr_assert_eq(tape_mark_decode(slots, sizeof slots, 98, &mark), TAPE_NO_MAGIC, "other tape");
    slots[LAYOUT_SECTOR + 100] ^= 1; // the newest is torn: the one before counts
    cr_assert_eq(tape_mark_decode(slots, sizeof slots, 99, &mark), TAPE_GOOD);
    cr_assert_eq(mark.sequence, 4);
}

Test(tape, too_small_a_buffer_changes_nothing)
{
    struct tape_fixture *fixture = fixture_open();
    struct format_random random = {3};
    fixture_fill(fixture, &random, 20, false);
    struct tape_cursor before = fixture->cursor;
    struct tape_write write;
    cr_assert_eq(tape_append(fixture->encoder, &fixture->cursor, &fixture->input, fixture->buffer,
                             LAYOUT_SECTOR - 1, &write),
                 -ENOSPC);
    cr_assert_eq(memcmp(&before, &fixture->cursor, sizeof before), 0);
    fixture_close(fixture);
}

// What a later minor version may do: a longer header, optional features.
Test(tape, newer_minor_versions_are_read_and_newer_majors_refused)
{
    struct tape_fixture *fixture = fixture_open();
    static uint8_t longer[64 << 10];
    struct format_random random = {21};
    fixture_fill(fixture, &random, 5, false);
    struct tape_batch_place place = {.salt = 7, .sequence = 1};
    int64_t bytes = tape_encode_batch(fixture->encoder, &place, &fixture->input, 0,
                                      fixture->buffer, FIXTURE_BUFFER_BYTES);
    struct layout_batch header;
    struct tape_batch batch;
    memcpy(&header, fixture->buffer, sizeof header);
    header.minor = 1;
    header.optional = 0x8000;
    header.header_bytes = LAYOUT_HEADER_BYTES + 64;
    header.flags = (uint64_t)bytes + 64 <= LAYOUT_SECTOR ? LAYOUT_BATCH_SLOTTED : 0;
    memcpy(longer, &header, sizeof header);
    memset(longer + 120, 0x5a, 64); // fields of the future
    uint64_t hash = XXH3_64bits(longer, 184);
    memcpy(longer + 184, &hash, sizeof hash);
    memcpy(longer + 192, fixture->buffer + LAYOUT_HEADER_BYTES,
           (size_t)bytes - LAYOUT_HEADER_BYTES);
    cr_assert_eq(fixture_decode(fixture, longer, (size_t)bytes + 64, &batch), TAPE_GOOD);
    cr_assert(fixture_equal(fixture, 0, &batch));

    size_t memory;
    for (int change = 0; change < 3; change++) {
        memcpy(&header, fixture->buffer, sizeof header);
        header.major = change == 0 ? 2 : 1;
        header.required = change == 1;
        header.flags |= change == 2 ? 0x8000 : 0;
        header.hash = XXH3_64bits(&header, sizeof header - sizeof header.hash);
        memcpy(longer, &header, sizeof header);
        memcpy(longer + sizeof header, fixture->buffer + sizeof header,
               (size_t)bytes - sizeof header);
        cr_assert_eq(tape_check_batch(longer, (size_t)bytes, &header, &memory),
                     change == 2 ? TAPE_BAD_HEADER : TAPE_NEWER);
    }
    fixture_close(fixture);
}
