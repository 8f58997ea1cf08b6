// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: store_verify() counts what is there, finds each kind of damage once, says what it costs,
// and calls nothing damage that is none.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format/store.h"
#include "tests/store_fixture.h"

struct found {
    struct store_verify_result result;
    char text[2000]; // "path: what" a line
    uint64_t calls;  // of the progress callback
    uint64_t done;
    uint64_t total;
};

static void note_damage(void *context, const struct store_damage *damage)
{
    struct found *found = context;
    size_t used = strlen(found->text);
    (void)snprintf(found->text + used, sizeof found->text - used, "%s: %s\n", damage->path,
                   damage->what);
}

static void note_progress(void *context, uint64_t done, uint64_t total)
{
    struct found *found = context;
    cr_assert(done >= found->done && done <= total, "progress goes back or too far");
    found->calls++;
    found->done = done;
    found->total = total;
}

static struct found *verify(const struct store_fixture *fixture)
{
    static struct found found;
    struct store *store;
    found = (struct found){0};
    cr_assert_eq(store_open(&store, fixture->path, NULL), 0);
    cr_assert_eq(store_verify(store, note_damage, note_progress, &found, &found.result), 0);
    store_close(store);
    return &found;
}

// Tapes 1 and 2 sealed (10,000 trades each), tape 3 ended, tape 4 being written.
static struct store_fixture *store_of_all(void)
{
    struct store_fixture *fixture = store_fixture_open();
    for (uint32_t tape = 1; tape <= 4; tape++) {
        for (int i = 0; i < 10; i++)
            store_fixture_append(fixture, tape <= 2 ? 1000 : 400, true);
        if (tape <= 3)
            store_fixture_end(fixture);
        if (tape <= 2)
            store_fixture_seal(fixture, tape, tape, true);
    }
    store_fixture_mark(fixture, false);
    return fixture;
}

static void expect_one(const struct store_fixture *fixture, const char *text, uint64_t rows_lost)
{
    const struct found *found = verify(fixture);
    cr_assert_eq(found->result.damages, 1, "%s", found->text);
    cr_assert_not_null(strstr(found->text, text), "%s", found->text);
    cr_assert_eq(found->result.rows_lost, rows_lost, "%d", (int)found->result.rows_lost);
}

Test(store_verify, a_good_store)
{
    struct store_fixture *fixture = store_of_all();
    const struct found *found = verify(fixture);
    cr_assert_str_eq(found->text, "");
    cr_assert_eq(found->result.damages, 0);
    cr_assert_eq(found->result.rows, 28000);
    cr_assert_eq(found->result.files, 6); // two segments, two indexes, two tapes
    cr_assert_eq(found->result.leftovers, 0);
    cr_assert_gt(found->calls, 3);
    cr_assert_eq(found->done, found->total);
    store_fixture_close(fixture);
}

Test(store_verify, a_damaged_block)
{
    struct store_fixture *fixture = store_of_all();
    store_fixture_flip(fixture, "segment/2024-08-08/trade-00000002.segment",
                       store_fixture_block(fixture, 2, 1) + 140);
    expect_one(fixture, "trade-00000002.segment: payload damaged", 2500);
    cr_assert_eq(verify(fixture)->result.rows, 25500);
    store_fixture_close(fixture);
}

Test(store_verify, a_damaged_index)
{
    struct store_fixture *fixture = store_of_all();
    store_fixture_flip(fixture, "segment/2024-08-08/trade-00000001.index", 300);
    expect_one(fixture, "trade-00000001.index: does not fit its segment", 0);
    store_fixture_close(fixture);
}

Test(store_verify, a_missing_index)
{
    struct store_fixture *fixture = store_of_all();
    cr_assert_eq(
        unlink(store_fixture_path(fixture, "segment/2024-08-08/trade-00000001.index")), 0);
    expect_one(fixture, "trade-00000001.index: No such file", 0);
    store_fixture_close(fixture);
}

Test(store_verify, a_missing_segment)
{
    struct store_fixture *fixture = store_of_all();
    cr_assert_eq(
        unlink(store_fixture_path(fixture, "segment/2024-08-08/trade-00000001.segment")), 0);
    expect_one(fixture, "trade-00000001.segment: No such file", 10000);
    store_fixture_close(fixture);
}

Test(store_verify, a_segment_in_the_place_of_another)
{
    struct store_fixture *fixture = store_of_all();
    char from[512];
    (void)snprintf(from, sizeof from, "%s",
                   store_fixture_path(fixture, "segment/2024-08-08/trade-00000001.segment"));
    cr_assert_eq(unlink(store_fixture_path(
                     fixture, "segment/2024-08-08/trade-00000002.segment")), 0);
    cr_assert_eq(link(from, store_fixture_path(
                                fixture, "segment/2024-08-08/trade-00000002.segment")), 0);
    expect_one(fixture, "trade-00000002.segment: not the segment", 10000);
    store_fixture_close(fixture);
}

Test(store_verify, a_damaged_segment_header)
{
    struct store_fixture *fixture = store_of_all();
    store_fixture_flip(fixture, "segment/2024-08-08/trade-00000001.segment", 33);
    expect_one(fixture, "trade-00000001.segment: header damaged", 10000);
    store_fixture_close(fixture);
}

// 400 trades a batch: more than one sector each, so no slots.
Test(store_verify, a_damaged_batch)
{
    struct store_fixture *fixture = store_of_all();
    store_fixture_flip(fixture, "tape/00000003.tape", 3 * LAYOUT_SECTOR + 200);
    const struct found *found = verify(fixture);
    cr_assert_eq(found->result.damages, 1, "%s", found->text);
    cr_assert_eq(found->result.rows_lost, 400);
    cr_assert_eq(found->result.rows_lost + found->result.rows, 28000);
    store_fixture_close(fixture);
}

Test(store_verify, a_cut_tape)
{
    struct store_fixture *fixture = store_of_all();
    cr_assert_eq(truncate(store_fixture_path(fixture, "tape/00000003.tape"), 5 * LAYOUT_SECTOR), 0);
    const struct found *found = verify(fixture);
    cr_assert_eq(found->result.damages, 1, "%s", found->text);
    cr_assert_gt(found->result.rows_lost, 0);
    cr_assert_eq(found->result.rows_lost + found->result.rows, 28000);
    store_fixture_close(fixture);
}

Test(store_verify, a_tape_in_the_place_of_another)
{
    struct store_fixture *fixture = store_of_all();
    char from[512];
    (void)snprintf(from, sizeof from, "%s", store_fixture_path(fixture, "tape/00000003.tape"));
    cr_assert_eq(rename(from, store_fixture_path(fixture, "tape/00000007.tape")), 0);
    (void)snprintf(from, sizeof from, "%s", store_fixture_path(fixture, "tape/00000003.mark"));
    cr_assert_eq(rename(from, store_fixture_path(fixture, "tape/00000007.mark")), 0);
    expect_one(fixture, "tape/00000007.tape: a tape of another number", 0);
    store_fixture_close(fixture);
}

// Of a tape that is gone its mark tells, unless it was sealed.
Test(store_verify, a_missing_tape)
{
    struct store_fixture *fixture = store_of_all();
    cr_assert_eq(unlink(store_fixture_path(fixture, "tape/00000003.tape")), 0);
    expect_one(fixture, "tape/00000003.tape: No such file", 4000);
    store_fixture_seal(fixture, 3, 3, false);
    cr_assert_eq(verify(fixture)->result.damages, 0);
    store_fixture_close(fixture);
}

// A write that nobody was told of is no damage, whole or torn.
Test(store_verify, what_was_never_acknowledged)
{
    struct store_fixture *fixture = store_of_all();
    store_fixture_append(fixture, 1000, false);
    struct found *found = verify(fixture);
    cr_assert_eq(found->result.damages, 0, "%s", found->text);
    cr_assert_eq(found->result.rows, 29000);
    store_fixture_flip(fixture, "tape/00000004.tape",
                       (int64_t)fixture->tape->cursor.offset + 4500);
    found = verify(fixture);
    cr_assert_eq(found->result.damages, 0, "%s", found->text);
    cr_assert_eq(found->result.rows, 28000);
    store_fixture_close(fixture);
}

Test(store_verify, leftovers_are_counted)
{
    struct store_fixture *fixture = store_of_all();
    store_fixture_seal(fixture, 3, 3, false); // waits for its deletion
    FILE *file = fopen(store_fixture_path(
                           fixture, "segment/2024-08-08/trade-00000099.segment"), "wb");
    cr_assert_not_null(file);
    (void)fclose(file);
    const struct found *found = verify(fixture);
    cr_assert_eq(found->result.leftovers, 1);
    cr_assert_eq(found->result.sealed_tapes, 1); // kept for a mirror, or not deleted yet
    cr_assert_eq(found->result.damages, 0, "%s", found->text);
    cr_assert_eq(found->result.rows, 28000);
    store_fixture_close(fixture);
}
