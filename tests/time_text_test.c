// SPDX-License-Identifier: GPL-3.0-or-later
//
// Times as text: both ways over the whole range, every accepted spelling, every refusal.
#include "format/time_text.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const int64_t now_ns = INT64_C(1723118400000000001); // 2024-08-08T12:00:00.000000001Z

struct parse_case {
    const char *text;
    int64_t time_ns;
};

static const struct parse_case accepted_table[] = {
    {"1970-01-01", 0},
    {"1970-01-01T00:00:00Z", 0},
    {"1969-12-31T23:59:59.999999999Z", -1},
    {"2024-08-08", INT64_C(1723075200000000000)},
    {"2024-08-08T12:00", INT64_C(1723118400000000000)},
    {"2024-08-08 12:00:00", INT64_C(1723118400000000000)},
    {"2024-08-08t12:00:00z", INT64_C(1723118400000000000)},
    {"2024-08-08T21:00:00+09:00", INT64_C(1723118400000000000)},
    {"2024-08-08T08:30:00.5-03:30", INT64_C(1723118400500000000)},
    {"2024-02-29T00:00:00.123456789Z", INT64_C(1709164800123456789)},
    {"2000-02-29", INT64_C(951782400000000000)},
    {"1677-09-21T00:12:43.145224192Z", INT64_MIN},
    {"2262-04-11T23:47:16.854775807Z", INT64_MAX},
    {"now", now_ns},
    {"-1h", now_ns - INT64_C(3600000000000)},
    {"-1h30m", now_ns - INT64_C(5400000000000)},
    {"-7d", now_ns - INT64_C(604800000000000)},
    {"+5m", now_ns + INT64_C(300000000000)},
    {"-90s", now_ns - INT64_C(90000000000)},
    {"-250ms", now_ns - 250000000},
    {"-3us", now_ns - 3000},
    {"-1ns", now_ns - 1},
    {"-0s", now_ns},
};

static const char *const refused_table[] = {
    "", " ", "-", "+", "-h", "-1", "-1y", "-1h2", "1h", "yesterday", "2024", "2024-8-8",
    "2024-13-01", "2024-00-01", "2024-01-00", "2024-01-32", "2023-02-29", "1900-02-29",
    "2024-08-08T", "2024-08-08T12", "2024-08-08T24:00", "2024-08-08T12:60", "2024-08-08T12:00:60Z",
    "2024-08-08T12:00:00.", "2024-08-08T12:00:00.1234567890Z", "2024-08-08T12:00:00+9:00",
    "2024-08-08T12:00:00+24:00", "2024-08-08T12:00:00Zx", "2024-08-08Z", "0001-01-01",
    "1677-09-21T00:12:43.145224191Z", "2262-04-11T23:47:16.854775808Z", "9999-12-31",
    "-99999999999999999999d", "-9223372036854775807d", "now ", "-1h ",
};

Test(time_text, accepts_what_people_type)
{
    for (size_t i = 0; i < sizeof accepted_table / sizeof accepted_table[0]; i++) {
        int64_t time_ns = 4711;
        cr_expect(time_text_parse(accepted_table[i].text, now_ns, &time_ns), "%s",
                  accepted_table[i].text);
        cr_expect_eq(time_ns, accepted_table[i].time_ns, "%s", accepted_table[i].text);
    }
}

Test(time_text, refuses_the_rest_and_leaves_the_result_alone)
{
    for (size_t i = 0; i < sizeof refused_table / sizeof refused_table[0]; i++) {
        int64_t time_ns = 4711;
        cr_expect_not(time_text_parse(refused_table[i], now_ns, &time_ns), "%s", refused_table[i]);
        cr_expect_eq(time_ns, 4711);
    }
}

Test(time_text, digits_are_cut_not_rounded)
{
    char text[TIME_TEXT_BYTES_MAX];
    time_text_format(text, INT64_C(1723118400999999999), 0);
    cr_expect_str_eq(text, "2024-08-08T12:00:00Z");
    time_text_format(text, INT64_C(1723118400999999999), 6);
    cr_expect_str_eq(text, "2024-08-08T12:00:00.999999Z");
    cr_expect_eq(time_text_format(text, -1, 3), 24);
    cr_expect_str_eq(text, "1969-12-31T23:59:59.999Z");
}

// Goal: no day of the range is wrong. Method: every 11th hour against libc, and back.
Test(time_text, agrees_with_libc_over_the_range)
{
    const int64_t step = INT64_C(11) * 3600 * 1000000000 + 123456789;
    int64_t time_ns = INT64_MIN;
    for (;;) {
        char text[TIME_TEXT_BYTES_MAX], date[TIME_TEXT_DATE_BYTES], wanted[TIME_TEXT_BYTES_MAX];
        const int64_t ns = (time_ns % 1000000000 + 1000000000) % 1000000000;
        const time_t second = (time_t)(time_ns / 1000000000 - (time_ns % 1000000000 < 0));
        struct tm tm;
        strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M:%S", gmtime_r(&second, &tm));
        snprintf(wanted + 19, sizeof wanted - 19, ".%09dZ", (int)ns);
        time_text_format(text, time_ns, 9);
        time_text_date(date, time_ns);
        int64_t back = 0;
        const bool parsed = time_text_parse(text, 0, &back);
        if (strcmp(text, wanted) != 0 || strncmp(date, wanted, 10) != 0 || !parsed ||
            back != time_ns)
            cr_assert(false, "%s, libc %s", text, wanted);
        if (__builtin_add_overflow(time_ns, step, &time_ns)) break;
    }
}

Test(time_text, a_day_starts_at_its_midnight)
{
    cr_expect_eq(time_text_day_start(now_ns), INT64_C(1723075200000000000));
    cr_expect_eq(time_text_day_start(-1), -TIME_TEXT_DAY_NS);
    cr_expect_eq(time_text_day_start(0), 0);
    cr_expect_eq(time_text_day_start(INT64_MIN), INT64_MIN);
}
