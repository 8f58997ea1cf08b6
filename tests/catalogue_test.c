// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: the catalogue comes back as it was written or is refused; days and names are right.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <xxhash.h>

#include "format/catalogue.h"
#include "tests/format_random.h"

static const uint8_t store_id[LAYOUT_STORE_ID_BYTES] = {0, 0x11, 0xfe, 0xff, 5};

static void filled(struct catalogue *catalogue)
{
    cr_assert_eq(catalogue_init(catalogue, store_id), 0);
    catalogue->generation = 17;
    cr_assert(catalogue_seal_tape(catalogue, 41));
    cr_assert(catalogue_seal_tape(catalogue, 7));
    cr_assert(catalogue_seal_tape(catalogue, 41), "twice is once");
    struct catalogue_segment segment = {
        .number = 98, .channel = CHANNEL_TRADE, .day = 19943, .tape_first = 40, .tape_last = 41,
        .rows = 10147, .bytes = 45555, .time_min = INT64_MIN, .time_max = INT64_MAX};
    cr_assert(catalogue_add_segment(catalogue, &segment));
    segment.number = 3;
    segment.tape_first = 2;
    cr_assert(catalogue_add_segment(catalogue, &segment));
    segment.number = 4;
    segment.channel = CHANNEL_RAW;
    cr_assert(catalogue_add_segment(catalogue, &segment));
}

Test(catalogue, comes_back)
{
    struct catalogue a;
    struct catalogue b;
    static char text[8192];
    filled(&a);
    cr_assert_eq(a.next_tape, 42);
    cr_assert_eq(a.next_segment, 99);
    cr_assert_eq(a.segments[0].number, 3, "by channel, day, tape");
    size_t size = catalogue_write(&a, text, sizeof text);
    cr_assert_eq(catalogue_init(&b, store_id), 0);
    cr_assert_eq(catalogue_parse(&b, text, size), 0, "%s", text);
    cr_assert_eq(b.generation, 17);
    cr_assert_eq(b.tape_count, 2);
    cr_assert(catalogue_tape_sealed(&b, 7));
    cr_assert_not(catalogue_tape_sealed(&b, 8));
    static char again[8192];
    cr_assert_eq(catalogue_write(&b, again, sizeof again), size);
    cr_assert_eq(memcmp(text, again, size), 0);
    cr_assert_eq(memcmp(a.store, b.store, sizeof a.store), 0);
    cr_assert(catalogue_remove_segment(&b, 98));
    cr_assert_not(catalogue_remove_segment(&b, 98));
    cr_assert(catalogue_forget_tape(&b, 7));
    cr_assert_not(catalogue_forget_tape(&b, 7));
    catalogue_free(&a);
    catalogue_free(&b);
}

Test(catalogue, cuts_and_flips_are_refused)
{
    struct catalogue a;
    struct catalogue b;
    static char text[8192];
    filled(&a);
    size_t size = catalogue_write(&a, text, sizeof text);
    cr_assert_eq(catalogue_init(&b, store_id), 0);
    for (size_t cut = 0; cut < size; cut++)
        cr_assert_eq(catalogue_parse(&b, text, cut), -EBADMSG);
    for (size_t bit = 0; bit < size * 8; bit++) {
        text[bit / 8] ^= (char)(1 << (bit % 8));
        cr_assert_eq(catalogue_parse(&b, text, size), -EBADMSG);
        text[bit / 8] ^= (char)(1 << (bit % 8));
    }
    cr_assert_eq(catalogue_parse(&b, text, size), 0);
    catalogue_free(&a);
    catalogue_free(&b);
}

// Puts a right trailer behind any text.
static size_t with_trailer(const char *body, char *out, size_t size)
{
    int bytes = snprintf(out, size, "%sxxh3 %016llx\n", body,
                         (unsigned long long)XXH3_64bits(body, strlen(body)));
    return (size_t)bytes;
}

#define HEAD "store 00112233445566778899aabbccddeeff\ngeneration 1\nnext_tape 9\nnext_segment 9\n"
#define SEGMENT(n) "segment " n " channel trade day 2024-08-08 rows 1 bytes 2 time 3 4 tapes 1 2"

Test(catalogue, only_what_the_grammar_says_is_taken)
{
    static const struct {
        const char *body;
        int result;
    } cases[] = {
        {"ringtape-catalogue 1 0\n" HEAD, 0},
        {"ringtape-catalogue 1 0\n" HEAD SEGMENT("5") "\n" SEGMENT("6") "\n", 0},
        {"ringtape-catalogue 1 0\n" HEAD SEGMENT("6") "\n" SEGMENT("5") "\n", -EBADMSG},
        {"ringtape-catalogue 1 0\n" HEAD SEGMENT("5") "\n" SEGMENT("5") "\n", -EBADMSG},
        {"ringtape-catalogue 1 0\n" HEAD SEGMENT("9") "\n", -EBADMSG},
        {"ringtape-catalogue 1 0\n" HEAD SEGMENT("05") "\n", -EBADMSG},
        {"ringtape-catalogue 1 0\n" HEAD SEGMENT("5") " \n", -EBADMSG},
        {"ringtape-catalogue 1 0\n" HEAD SEGMENT("5"), -EBADMSG},
        {"ringtape-catalogue 1 0\n" HEAD "tape 3 sealed\ntape 3 sealed\n", -EBADMSG},
        {"ringtape-catalogue 1 0\n" HEAD "tape 3 live\n", -EBADMSG},
        {"ringtape-catalogue 1 0\n" HEAD "tape 99999999999 sealed\n", -EBADMSG},
        {"ringtape-catalogue 1 0\n" HEAD "novelty 3\n", -EBADMSG},
        {"ringtape-catalogue 1 1\n" HEAD "novelty 3\n" SEGMENT("5") " more words\n", 0},
        {"ringtape-catalogue 2 0\n" HEAD, -EPROTONOSUPPORT},
        {"ringtape-catalogue 1\n" HEAD, -EBADMSG},
        {"", -EBADMSG},
    };
    struct catalogue catalogue;
    static char text[4096];
    cr_assert_eq(catalogue_init(&catalogue, store_id), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = with_trailer(cases[i].body, text, sizeof text);
        cr_assert_eq(catalogue_parse(&catalogue, text, size), cases[i].result, "case %d", (int)i);
    }
    catalogue_free(&catalogue);
}

Test(catalogue, days_and_names)
{
    char text[11];
    int32_t day;
    cr_assert_eq(catalogue_day_of(0), 0);
    cr_assert_eq(catalogue_day_of(-1), -1);
    cr_assert_eq(catalogue_day_of(1723161600000000000), 19944);
    for (int32_t d = catalogue_day_of(INT64_MIN); d <= catalogue_day_of(INT64_MAX); d += 7) {
        catalogue_day_text(d, text);
        cr_assert(catalogue_day_parse(text, 10, &day));
        cr_assert_eq(day, d);
    }
    catalogue_day_text(19944, text);
    cr_assert_str_eq(text, "2024-08-09");
    static const char *const wrong[] = {"2023-02-29", "2024-13-01", "2024-00-10", "2024-1-101",
                                        "0000-01-01", "9999-12-31", "2024-04-31", "20240408aa"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_not(catalogue_day_parse(wrong[i], 10, &day), "%s", wrong[i]);
    char path[CATALOGUE_PATH_BYTES_MAX];
    catalogue_tape_path(41, "mark", path);
    cr_assert_str_eq(path, "tape/00000041.mark");
    struct catalogue_segment segment = {.number = 98, .channel = CHANNEL_AGG_TRADE, .day = 19944};
    catalogue_segment_path(&segment, "index", path);
    cr_assert_str_eq(path, "segment/2024-08-09/agg_trade-00000098.index");
}
