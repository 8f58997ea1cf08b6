// SPDX-License-Identifier: GPL-3.0-or-later
//
// Is a day closed, and its marker as text: the rules one by one, and every cut and flipped bit.
#include "format/day.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define HOUR_NS 3600000000000ll
enum { DAY = 20454 };

static struct ledger_key keys[2];
static struct ledger_note notes[2];
static struct ledger_whole whole;
static struct day_state state;
static struct day_channel channels[CHANNEL_COUNT];

// A day that is closed in every respect.
static void begin(void)
{
    const int64_t end_ns = day_end_ns(DAY);
    memset(keys, 0, sizeof keys);
    strcpy(keys[0].symbol, "binance:BTCUSDT");
    keys[0].channel = CHANNEL_TRADE;
    keys[0].first_ns = end_ns - HOUR_NS;
    keys[0].proven = 9;
    keys[0].proven_ns = end_ns;
    strcpy(keys[1].symbol, "binance:OLDUSDT");
    keys[1] = keys[0];
    strcpy(keys[1].symbol, "binance:OLDUSDT");
    notes[0] = (struct ledger_note){.key = 0, .kind = STATUS_HOLE_OPENED, .first = 4, .last = 5,
                                    .from_ns = end_ns - 9, .to_ns = end_ns - 8, .detail = "why"};
    notes[1] = (struct ledger_note){.key = 1, .kind = STATUS_HOLE_LOST, .first = -1,
                                    .last = 0, .from_ns = end_ns - 7, .to_ns = end_ns + 6,
                                    .detail = "gone"};
    whole = (struct ledger_whole){.keys = keys, .key_count = 2, .notes = notes, .note_count = 2,
                                  .time_ns = end_ns};
    state = (struct day_state){.day = DAY, .now_ns = end_ns + DAY_GRACE_NS, .ledger = &whole};
    state.rows[CHANNEL_TRADE] = 7;
}

static const char *why(enum channel channel)
{
    day_judge(&state, channels);
    return channels[channel].why;
}

Test(day, is_closed_when_over_sealed_and_proven)
{
    begin();
    cr_assert_str_eq(why(CHANNEL_TRADE), "");
    cr_assert(channels[CHANNEL_TRADE].used && !channels[CHANNEL_DEPTH].used);
    cr_assert_eq(channels[CHANNEL_TRADE].open, 1);
    cr_assert_eq(channels[CHANNEL_TRADE].lost, 1);
    state.now_ns--;
    cr_assert(strstr(why(CHANNEL_TRADE), "not over") != NULL);
    begin();
    state.on_tape = 1u << CHANNEL_TRADE;
    cr_assert(strstr(why(CHANNEL_TRADE), "sealed") != NULL);
    cr_assert_str_eq(why(CHANNEL_DEPTH), "");
    begin();
    whole.time_ns--;
    cr_assert(strstr(why(CHANNEL_TRADE), "ledger") != NULL);
    cr_assert(strstr(why(CHANNEL_DEPTH), "ledger") != NULL);
    cr_assert_str_eq(why(CHANNEL_STATUS), "");
    begin();
    keys[1].proven_ns--;
    cr_assert_str_eq(why(CHANNEL_TRADE), "binance:OLDUSDT is not proven to its end yet");
}

Test(day, a_key_counts_while_it_is_recorded_and_listed)
{
    begin();
    keys[1].proven_ns = 0;
    keys[1].unlisted = true;
    cr_assert_str_eq(why(CHANNEL_TRADE), "");
    cr_assert_eq(channels[CHANNEL_TRADE].unproven, 1);
    keys[1].unlisted = false;
    keys[1].gone = true; // nobody wants it
    cr_assert_str_eq(why(CHANNEL_TRADE), "");
    keys[1].gone = false;
    keys[1].first_ns = day_end_ns(DAY); // began later
    cr_assert_str_eq(why(CHANNEL_TRADE), "");
    keys[0].gone = keys[1].gone = true; // rows that nobody tells of
    cr_assert(strstr(why(CHANNEL_TRADE), "ledger") != NULL);
    keys[1].gone = false;
    keys[1].channel = CHANNEL_QUOTE; // of which nothing is proven
    keys[1].first_ns = 0;
    state.rows[CHANNEL_TRADE] = 0;
    cr_assert_str_eq(why(CHANNEL_QUOTE), "");
    cr_assert(channels[CHANNEL_QUOTE].used);
}

Test(day, holes_count_that_reach_into_it)
{
    begin();
    const int64_t start_ns = day_end_ns(DAY - 1);
    const struct {
        int64_t from_ns, to_ns;
        uint64_t open;
    } cases[] = {{start_ns - 9, start_ns - 1, 0}, {start_ns - 9, start_ns, 1},
                 {start_ns - 9, 0, 1},            {day_end_ns(DAY) - 1, 0, 1},
                 {day_end_ns(DAY), 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        notes[0].from_ns = cases[i].from_ns;
        notes[0].to_ns = cases[i].to_ns;
        (void)why(CHANNEL_TRADE);
        cr_assert_eq(channels[CHANNEL_TRADE].open, cases[i].open, "case %zu", i);
    }
}

static char *first_marker(struct day_marker *marker, char **content, size_t *size)
{
    size_t content_size;
    begin();
    keys[1].proven_ns = 17;
    keys[1].unlisted = true;
    *content = day_content(&state, CHANNEL_TRADE, &content_size);
    cr_assert_eq(strlen(*content), content_size);
    *marker = (struct day_marker){0};
    return day_marker_next(marker, *content, 123, size);
}

Test(day, a_marker_says_what_it_was_told_and_counts_its_changes)
{
    struct day_marker marker;
    char *content;
    size_t size, content_size;
    char *text = first_marker(&marker, &content, &size);
    cr_assert_eq(strncmp(text, "ringtape-day 1 0\ngeneration 1\nclosed 123\nchanged 123\nrows 7\n"
                               "hole open binance:BTCUSDT 4 5 ", 85), 0, "%s", text);
    cr_assert_not_null(strstr(text, "\nhole lost binance:OLDUSDT - - "));
    cr_assert_not_null(strstr(text, "\nunproven binance:OLDUSDT 9 17\n"));
    const char *found = day_marker_parse(text, size, &marker, &content_size);
    cr_assert(content_size == strlen(content) && memcmp(found, content, content_size) == 0);
    cr_assert(marker.generation == 1 && marker.rows == 7 && marker.open == 1 &&
              marker.lost == 1 && marker.unproven == 1);
    char *later = day_marker_next(&marker, "rows 8\n", 200, &size);
    cr_assert(marker.generation == 2 && marker.closed_ns == 123 && marker.changed_ns == 200 &&
              marker.rows == 8 && marker.open == 0);
    free(later);
    free(text);
    free(content);
}

Test(day, a_damaged_marker_is_none)
{
    struct day_marker marker;
    char *content;
    size_t size, content_size;
    char *text = first_marker(&marker, &content, &size);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_null(day_marker_parse(text, cut, &marker, &content_size), "cut at %zu", cut);
    for (size_t at = 0; at < size; at++) {
        text[at] ^= 1;
        cr_assert_null(day_marker_parse(text, size, &marker, &content_size), "byte %zu", at);
        cr_assert_eq(marker.generation, 0);
        text[at] ^= 1;
    }
    free(text);
    free(content);
}
