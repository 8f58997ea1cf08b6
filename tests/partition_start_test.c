// SPDX-License-Identifier: GPL-3.0-or-later
#include <criterion/criterion.h>
#include <stdlib.h>

#include "publish/partition_start.h"

static struct partition_start *make(int32_t partitions)
{
    struct partition_start *start = calloc(1, sizeof *start);
    cr_assert_not_null(start);
    start->count = partitions;
    partition_start_look(start);
    return start;
}

Test(partition_start, first_message_of_each_partition_goes_alone)
{
    struct partition_start *start = make(2);
    cr_assert(partition_start_may(start, 0));
    partition_start_sent(start, 0);
    cr_assert_not(partition_start_may(start, 0));
    cr_assert(partition_start_may(start, 1));
    partition_start_sent(start, 1);
    partition_start_reported(start, 0, true);
    cr_assert(partition_start_may(start, 0));
    cr_assert_not(partition_start_may(start, 1));
    cr_assert_not(partition_start_over(start));
    partition_start_reported(start, 1, true);
    cr_assert(partition_start_over(start));
    cr_assert_eq(start->waiting, 0);
    free(start);
}

Test(partition_start, one_message_goes_while_partitions_are_not_known)
{
    struct partition_start *start = make(0);
    partition_start_sent(start, PARTITION_UNKNOWN);
    cr_assert_not(partition_start_may(start, PARTITION_UNKNOWN));
    start->count = 3; // known before the report comes: it may be of any of them
    partition_start_look(start);
    for (int32_t p = 0; p < 3; p++) cr_assert_not(partition_start_may(start, p));
    partition_start_reported(start, 2, true);
    for (int32_t p = 0; p < 3; p++) cr_assert(partition_start_may(start, p));
    partition_start_sent(start, 0);
    cr_assert_not(partition_start_may(start, 0));
    partition_start_sent(start, 2); // has taken one: any number may be under way
    cr_assert(partition_start_may(start, 2));
    free(start);
}

Test(partition_start, refused_message_proves_nothing)
{
    struct partition_start *start = make(1);
    partition_start_sent(start, 0);
    partition_start_reported(start, 0, false);
    cr_assert(partition_start_may(start, 0));
    cr_assert_not(partition_start_over(start));
    partition_start_sent(start, 0);
    cr_assert_not(partition_start_may(start, 0));
    free(start);
}

Test(partition_start, begins_anew_and_a_report_of_before_counts)
{
    struct partition_start *start = make(1);
    partition_start_sent(start, 0);
    partition_start_reported(start, 0, true);
    partition_start_again(start);
    cr_assert_not(partition_start_over(start));
    partition_start_sent(start, 0);
    cr_assert_not(partition_start_may(start, 0));
    partition_start_reported(start, 0, true);
    cr_assert(partition_start_over(start));
    partition_start_reported(start, 0, true);
    cr_assert_eq(start->proven, 1);
    free(start);
}

Test(partition_start, more_partitions_than_it_knows_are_let_go)
{
    struct partition_start *start = make(PARTITION_START_MAX + 1);
    partition_start_sent(start, PARTITION_START_MAX);
    cr_assert(partition_start_may(start, PARTITION_START_MAX));
    partition_start_reported(start, PARTITION_START_MAX, true);
    cr_assert_eq(start->waiting, 0);
    free(start);
}

// Partitions are added to a topic while it is in use.
Test(partition_start, added_partition_begins_by_itself)
{
    struct partition_start *start = make(1);
    partition_start_sent(start, 0);
    partition_start_reported(start, 0, true);
    cr_assert(partition_start_over(start));
    start->count = 2;
    partition_start_look(start);
    cr_assert_not(partition_start_over(start));
    partition_start_sent(start, 1);
    cr_assert(partition_start_may(start, 0));
    cr_assert_not(partition_start_may(start, 1));
    free(start);
}

// The message was meant for a partition of the old number, and lies in another one.
Test(partition_start, none_waits_for_ever_when_the_number_changes)
{
    struct partition_start *start = make(2);
    partition_start_sent(start, 1);
    start->count = 3;
    partition_start_look(start);
    cr_assert(partition_start_may(start, 1));
    partition_start_reported(start, 2, true);
    cr_assert(partition_start_may(start, 1));
    cr_assert_eq(start->waiting, 0);
    start->count = 1; // made again, smaller: it knows nobody
    partition_start_look(start);
    cr_assert_not(partition_start_over(start));
    free(start);
}

Test(partition_start, none_waits_for_ever_for_a_message_that_never_had_a_partition)
{
    struct partition_start *start = make(2);
    partition_start_sent(start, 1);
    partition_start_reported(start, PARTITION_UNKNOWN, false);
    cr_assert(partition_start_may(start, 1));
    cr_assert_eq(start->waiting, 0);
    free(start);
}
