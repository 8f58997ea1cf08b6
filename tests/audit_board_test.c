// SPDX-License-Identifier: GPL-3.0-or-later
//
// One answer for all: who asks, what the others read, and what happens to an answer while it is
// being read.
#include "capture/audit_board.h"

#include <criterion/criterion.h>
#include <string.h>

static struct audit_board board;
static const char spot[] = "spot", futures[] = "futures";

static void put(int place, const char *text)
{
    const struct audit_answer answer = {.body = (const uint8_t *)text,
                                        .size = (uint32_t)strlen(text),
                                        .asked_ns = 5,
                                        .answered_utc_ns = 7};
    audit_board_put(&board, place, &answer);
}

static uint32_t take(int place, const char *text)
{
    struct audit_answer answer;
    uint32_t body = audit_board_take(&board, place, &answer);
    cr_assert(answer.size == strlen(text) && memcmp(answer.body, text, answer.size) == 0, "%.*s",
              (int)answer.size, (const char *)answer.body);
    cr_assert(answer.asked_ns == 5 && answer.answered_utc_ns == 7);
    return body;
}

Test(audit_board, one_asks_and_its_answer_or_failure_ends_that)
{
    audit_board_init(&board);
    int place = audit_board_open(&board, spot);
    cr_assert_geq(place, 0);
    cr_assert_eq(audit_board_open(&board, spot), place);
    int other = audit_board_open(&board, futures);
    cr_assert_neq(other, place);
    cr_assert(audit_board_claim(&board, place, 100));
    cr_assert_not(audit_board_claim(&board, place, 100 + AUDIT_BOARD_CLAIM_NS));
    cr_assert(audit_board_claim(&board, other, 100), "each exchange for itself");
    audit_board_drop(&board, place);
    cr_assert(audit_board_claim(&board, place, 101));
    cr_assert_eq(audit_board_number(&board, place), 0);
    put(place, "ids");
    cr_assert_eq(audit_board_number(&board, place), 1);
    cr_assert_eq(audit_board_number(&board, other), 0);
    audit_board_release(&board, place, take(place, "ids"));
    cr_assert(audit_board_claim(&board, place, 102));
    // Whoever claimed it is gone.
    cr_assert(audit_board_claim(&board, place, 103 + AUDIT_BOARD_CLAIM_NS));
    audit_board_free(&board);
}

Test(audit_board, an_answer_that_is_read_is_not_written)
{
    audit_board_init(&board);
    int place = audit_board_open(&board, spot);
    put(place, "one");
    uint32_t first = take(place, "one");
    put(place, "two");
    uint32_t second = take(place, "two");
    uint32_t again = take(place, "two");
    cr_assert(first != second && second == again);
    put(place, "three"); // no room: dropped
    cr_assert_eq(audit_board_number(&board, place), 2);
    audit_board_release(&board, place, take(place, "two"));
    audit_board_release(&board, place, first);
    put(place, "four");
    cr_assert_eq(audit_board_number(&board, place), 3);
    audit_board_release(&board, place, take(place, "four"));
    audit_board_release(&board, place, second);
    audit_board_release(&board, place, again);
    audit_board_free(&board);
}

Test(audit_board, more_exchanges_than_places_ask_for_themselves)
{
    static const char names[SYMBOL_EXCHANGES_MAX + 1];
    audit_board_init(&board);
    for (int i = 0; i < SYMBOL_EXCHANGES_MAX; i++)
        cr_assert_eq(audit_board_open(&board, &names[i]), i);
    cr_assert_lt(audit_board_open(&board, &names[SYMBOL_EXCHANGES_MAX]), 0);
    audit_board_free(&board);
}
