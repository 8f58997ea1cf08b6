// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is exported to a Delta table, decided from the catalogue and the table's two numbers of a
// day: case by case, and over random lives of a store in which every row must come once.
#include "tools/ringtape_delta_plan.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (uint32_t)(sizeof(array) / sizeof *(array))

static struct catalogue_segment segment(uint32_t first, uint32_t last, uint64_t rows)
{
    return (struct catalogue_segment){
        .channel = CHANNEL_TRADE, .tape_first = first, .tape_last = last, .rows = rows};
}

Test(delta_plan, a_day_is_appended_as_it_grows)
{
    const struct catalogue_segment segments[] = {segment(1, 1, 10), segment(2, 4, 20),
                                                 segment(5, 5, 7), segment(6, 6, 9)};
    struct ringtape_delta_plan plan = ringtape_delta_plan(segments, 2, 4, 0, 0);
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_APPEND);
    cr_expect_eq(plan.from, 0);
    cr_expect_eq(plan.to, 4);
    cr_expect_eq(plan.messages, 30);
    plan = ringtape_delta_plan(segments, 2, 4, 4, 30);
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_NOTHING);
    plan = ringtape_delta_plan(segments, COUNT(segments), 5, 4, 30); // 6 is beyond the frontier
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_APPEND);
    cr_expect_eq(plan.messages, 37);
    cr_expect(ringtape_delta_wants(&plan, &segments[2]));
    cr_expect(!ringtape_delta_wants(&plan, &segments[1]));
    cr_expect(!ringtape_delta_wants(&plan, &segments[3]));
}

Test(delta_plan, merged_old_segments_change_nothing)
{
    const struct catalogue_segment segments[] = {segment(1, 4, 30), segment(6, 6, 9)};
    const struct ringtape_delta_plan plan = ringtape_delta_plan(segments, 2, 6, 4, 30);
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_APPEND);
    cr_expect(!ringtape_delta_wants(&plan, &segments[0]));
    cr_expect_eq(plan.messages, 39);
}

Test(delta_plan, old_and_new_in_one_segment_is_the_day_again)
{
    const struct catalogue_segment segments[] = {segment(1, 6, 39), segment(7, 7, 1)};
    const struct ringtape_delta_plan plan = ringtape_delta_plan(segments, 2, 7, 4, 30);
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_REPLACE);
    cr_expect_eq(plan.messages, 40);
    cr_expect_eq(plan.from, 0);
    cr_expect(ringtape_delta_wants(&plan, &segments[0]));
    cr_expect(ringtape_delta_wants(&plan, &segments[1]));
}

Test(delta_plan, an_older_tape_that_comes_late_is_seen)
{
    const struct catalogue_segment segments[] = {segment(1, 1, 10), segment(2, 2, 5),
                                                 segment(3, 3, 20)};
    // Tapes 1 and 3 were exported; 2 turns up.
    const struct ringtape_delta_plan plan = ringtape_delta_plan(segments, 3, 3, 3, 30);
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_REPLACE);
    cr_expect_eq(plan.messages, 35);
}

Test(delta_plan, a_segment_across_the_frontier_waits)
{
    const struct catalogue_segment segments[] = {segment(1, 1, 10), segment(2, 6, 5)};
    const struct ringtape_delta_plan plan = ringtape_delta_plan(segments, 2, 4, 0, 0);
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_WAIT);
}

Test(delta_plan, history_that_was_never_on_a_tape)
{
    const struct catalogue_segment alone[] = {segment(0, 0, 10)};
    struct ringtape_delta_plan plan = ringtape_delta_plan(alone, 1, 0, 0, 0);
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_REPLACE);
    cr_expect(ringtape_delta_wants(&plan, &alone[0]));
    plan = ringtape_delta_plan(alone, 1, 5, 0, 10);
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_NOTHING);
    const struct catalogue_segment merged[] = {segment(0, 4, 30)};
    plan = ringtape_delta_plan(merged, 1, 4, 4, 20);
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_REPLACE);
    cr_expect_eq(ringtape_delta_plan(merged, 1, 4, 4, 30).mode, RINGTAPE_DELTA_NOTHING);
}

Test(delta_plan, deleted_rows_are_not_missed_until_old_and_new_mix)
{
    const struct catalogue_segment fewer[] = {segment(4, 4, 3), segment(5, 5, 8)};
    const struct ringtape_delta_plan plan = ringtape_delta_plan(fewer, 2, 5, 4, 30);
    cr_expect_eq(plan.mode, RINGTAPE_DELTA_APPEND);
    cr_expect_eq(plan.messages, 38);
    const struct catalogue_segment mixed[] = {segment(4, 5, 11)};
    cr_expect_eq(ringtape_delta_plan(mixed, 1, 5, 4, 30).mode, RINGTAPE_DELTA_LOST);
}

Test(delta_plan, the_frontier_is_below_the_oldest_open_tape)
{
    struct catalogue catalogue = {.next_tape = 9};
    const uint32_t tapes[] = {5, 8};
    cr_expect_eq(ringtape_delta_frontier(&catalogue, tapes, 2), 4);
    cr_expect_eq(ringtape_delta_frontier(&catalogue, NULL, 0), 8);
}

// ---- compaction ----

Test(delta_plan, compaction_starts_where_nothing_lies_across)
{
    const struct catalogue_segment segments[] = {segment(1, 3, 10), segment(4, 6, 10),
                                                 segment(7, 7, 10), segment(8, 8, 99)};
    int64_t from = 6;
    cr_expect(ringtape_delta_boundary(segments, 4, 7, 30, &from));
    cr_expect_eq(from, 6);
    from = 5;
    cr_expect(ringtape_delta_boundary(segments, 4, 7, 30, &from));
    cr_expect_eq(from, 3);
    from = 2;
    cr_expect(ringtape_delta_boundary(segments, 4, 7, 30, &from));
    cr_expect_eq(from, 0);
    cr_expect(!ringtape_delta_boundary(segments, 4, 7, 31, &from)); // other rows than the table
    const struct catalogue_segment across[] = {segment(6, 8, 30)};
    cr_expect(!ringtape_delta_boundary(across, 1, 7, 30, &from));
}

Test(delta_plan, compaction_leaves_large_files_alone)
{
    cr_expect_eq(ringtape_delta_tier((const int64_t[]){1000, 10, 10, 10}, 4), 1);
    cr_expect_eq(ringtape_delta_tier((const int64_t[]){10, 10, 10, 10}, 4), 0);
    cr_expect_eq(ringtape_delta_tier((const int64_t[]){1000, 100, 10, 1}, 4), 4);
    cr_expect_eq(ringtape_delta_tier((const int64_t[]){5}, 1), 1);
    cr_expect_eq(ringtape_delta_tier(NULL, 0), 0);
}

// ---- random lives ----

enum { TAPES = 40 };

struct life {
    unsigned seed;
    bool sealed[TAPES + 1];
    struct catalogue_segment segments[TAPES];
    uint64_t tapes_in[TAPES]; // bit t: the segment has the rows of tape t
    uint32_t count;
    uint64_t in_table; // bit t: tape t's row is there
    int64_t known, messages;
};

static uint32_t chance(struct life *life, uint32_t below)
{
    life->seed = life->seed * 1103515245u + 12345u;
    return life->seed / 65536u % below;
}

static void seal_one(struct life *life)
{
    uint32_t open[TAPES], count = 0;
    for (uint32_t t = 1; t <= TAPES && count < 3; t++) // any of the three oldest
        if (!life->sealed[t]) open[count++] = t;
    if (count == 0) return;
    const uint32_t tape = open[chance(life, count)];
    uint32_t at = life->count++;
    for (; at > 0 && life->segments[at - 1].tape_first > tape; at--) {
        life->segments[at] = life->segments[at - 1];
        life->tapes_in[at] = life->tapes_in[at - 1];
    }
    life->segments[at] = segment(tape, tape, 1);
    life->tapes_in[at] = 1ull << tape;
    life->sealed[tape] = true;
}

static void merge_two(struct life *life)
{
    if (life->count < 2) return;
    const uint32_t at = chance(life, life->count - 1);
    struct catalogue_segment *a = &life->segments[at];
    const struct catalogue_segment *b = a + 1;
    a->rows += b->rows;
    if (b->tape_last > a->tape_last) a->tape_last = b->tape_last;
    life->tapes_in[at] |= life->tapes_in[at + 1];
    life->count--;
    for (uint32_t i = at + 1; i < life->count; i++) {
        life->segments[i] = life->segments[i + 1];
        life->tapes_in[i] = life->tapes_in[i + 1];
    }
}

static void export_now(struct life *life)
{
    uint32_t oldest = 1;
    while (oldest <= TAPES && life->sealed[oldest]) oldest++;
    const struct ringtape_delta_plan plan = ringtape_delta_plan(
        life->segments, life->count, (int64_t)oldest - 1, life->known, life->messages);
    cr_assert_neq(plan.mode, RINGTAPE_DELTA_LOST);
    if (plan.mode == RINGTAPE_DELTA_WAIT || plan.mode == RINGTAPE_DELTA_NOTHING) return;
    if (plan.mode == RINGTAPE_DELTA_REPLACE) life->in_table = 0;
    for (uint32_t i = 0; i < life->count; i++) {
        if (!ringtape_delta_wants(&plan, &life->segments[i])) continue;
        cr_assert_eq(life->in_table & life->tapes_in[i], 0, "a row twice, seed %u", life->seed);
        life->in_table |= life->tapes_in[i];
    }
    life->known = plan.to;
    life->messages = plan.messages;
}

Test(delta_plan, every_row_once_whatever_is_sealed_merged_and_exported_when)
{
    for (unsigned seed = 0; seed < 2000; seed++) {
        struct life life = {.seed = seed};
        for (int step = 0; step < 200; step++) {
            const uint32_t what = chance(&life, 4);
            if (what < 2) seal_one(&life);
            if (what == 2) merge_two(&life);
            if (what == 3) export_now(&life);
        }
        for (int t = 0; t < TAPES; t++) seal_one(&life);
        export_now(&life);
        cr_assert_eq(life.in_table, ((1ull << TAPES) - 1) << 1, "seed %u", seed);
    }
}
