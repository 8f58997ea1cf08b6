// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a report shows: percentiles against a sort, currencies by name, numbers for people, and text
// of the data that stays text.
#include "tools/ringtape_report.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ringtape_report_html.h"
#include "tools/ringtape_report_show.h"

// ---- delays ----

static int by_value(const void *a, const void *b)
{
    const int64_t one = *(const int64_t *)a;
    const int64_t two = *(const int64_t *)b;
    return (one > two) - (one < two);
}

Test(report_pick, percentiles_are_those_of_a_sort_to_a_hundredth)
{
    enum { COUNT = 5000 };
    static int64_t values[COUNT];
    uint64_t state = 7;
    for (int round = 0; round < 20; round++) {
        struct report_delays *delays = calloc(1, sizeof *delays);
        for (int i = 0; i < COUNT; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            values[i] = (int64_t)(state >> (2 + state % 60));
            if (round % 3 == 0 && i % 5 == 0) values[i] = -values[i];
            report_delay_add(delays, values[i]);
        }
        qsort(values, COUNT, sizeof *values, by_value);
        cr_assert_eq(delays->least_ns, values[0]);
        cr_assert_eq(delays->most_ns, values[COUNT - 1]);
        for (uint32_t permille = 0; permille <= 1000; permille += 10) {
            const int rank = permille == 0 ? 0 : (int)((COUNT * permille + 999) / 1000) - 1;
            const int64_t exact = values[rank];
            const int64_t told = report_delay_ns(delays, permille);
            const int64_t error = llabs(told - exact);
            cr_assert_leq(error, llabs(exact) / 100 + 1, "%lld for %lld", (long long)told,
                          (long long)exact);
        }
        free(delays);
    }
}

Test(report_pick, extreme_delays)
{
    struct report_delays *delays = calloc(1, sizeof *delays);
    report_delay_add(delays, INT64_MIN);
    report_delay_add(delays, INT64_MAX);
    report_delay_add(delays, 0);
    cr_assert_eq(delays->early, 1);
    cr_assert_eq(report_delay_ns(delays, 500), 0);
    cr_assert_gt(report_delay_ns(delays, 1000), INT64_MAX / 100 * 99);
    cr_assert_lt(report_delay_ns(delays, 1), INT64_MIN / 100 * 99);
    free(delays);
}

// ---- currencies ----

Test(report_pick, currencies_by_name)
{
    static const char *const samples[][3] = {
        {"binance", "BTCUSDT", "USDT"},    {"binance", "ETHBTC", "BTC"},
        {"binance", "BTCFDUSD", "FDUSD"},  {"binance", "USDTTRY", "TRY"},
        {"binance", "USDT", ""},           {"binance", "WHAT", ""},
        {"upbit", "KRW-BTC", "KRW"},       {"upbit", "USDT-XRP", "USDT"},
        {"upbit", "-BTC", ""},             {"binance-usdm", "BTCUSDT_261225", "USDT"},
        {"binance-usdm", "ETHUSDC", "USDC"}, {"", "BTCEUR", "EUR"},
    };
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        char asset[REPORT_ASSET_BYTES];
        report_asset_of(samples[i][0], samples[i][1], asset);
        cr_assert_str_eq(asset, samples[i][2], "%s", samples[i][1]);
    }
}

// ---- shares ----

Test(report_pick, what_is_covered_is_never_rounded_up_to_the_whole)
{
    struct report_covered covered = {.all_us = 604800000000000, .missing_us = 1};
    cr_assert_eq(report_covered_share(&covered), 99999);
    covered.missing_us = 0;
    cr_assert_eq(report_covered_share(&covered), 100000);
    covered.missing_us = covered.all_us;
    cr_assert_eq(report_covered_share(&covered), 0);
    covered = (struct report_covered){.missing = 0};
    cr_assert_eq(report_covered_share(&covered), 100000);
}

// ---- numbers for people ----

Test(report_show, numbers)
{
    char out[SHOW_BYTES];
    cr_assert_str_eq(show_fixed(out, 123456789, 4, 2), "12,345.68");
    cr_assert_str_eq(show_fixed(out, 1005, 3, 2), "1.00", "half to even");
    cr_assert_str_eq(show_fixed(out, 1015, 3, 2), "1.02");
    cr_assert_str_eq(show_fixed(out, -1234567, 0, 2), "-1,234,567.00");
    cr_assert_str_eq(show_fixed(out, 7, 0, 0), "7");
    cr_assert_str_eq(show_exact(out, 6412345000, 5), "64,123.45");
    cr_assert_str_eq(show_exact(out, 21, 8), "0.00000021");
    cr_assert_str_eq(show_percent(out, 12345678901, true), "+1.23");
    cr_assert_str_eq(show_percent(out, -12345678901, true), "-1.23");
    cr_assert_str_eq(show_percent(out, 1, true), "0.00");
    cr_assert_str_eq(show_percent(out, -1, true), "0.00");
    cr_assert_str_eq(show_ms(out, 12345678), "12.3");
    cr_assert_str_eq(show_ms(out, -49000), "0.0");
    cr_assert_str_eq(show_thousandths(out, 1234.5678), "1,234.568");
    cr_assert_str_eq(show_thousandths(out, -1), "-");
    cr_assert_eq(show_fraction("1,234.50"), 3);
    cr_assert_eq(show_fraction("1,234"), 0);
    struct show_unit unit = show_unit_of((wide)1234567890123, 2);
    cr_assert_str_eq(unit.name, "billion");
    cr_assert_str_eq(show_amount(out, (wide)1234567890123, 2, unit), "12.35");
    unit = show_unit_of(9999, 0);
    cr_assert_eq(unit.digits, 0);
    unit = show_unit_of(wide_power(38), 0);
    cr_assert_str_eq(unit.name, "trillion");
}

// ---- text of the data ----

static void text_is(const char *given, const char *expected)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    html_text(out, given);
    cr_assert_eq(fclose(out), 0);
    cr_assert_str_eq(text, expected);
    free(text);
}

Test(report_show, text_of_the_data_stays_text)
{
    text_is("BTCUSDT", "BTCUSDT");
    text_is("<b>&\"'", "&lt;b&gt;&amp;&quot;&#39;");
    text_is("\xe5\xb8\x81\xe5\xae\x89", "\xe5\xb8\x81\xe5\xae\x89");
    text_is("a\x01\x7f\xe2\x80\xae" "b", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" "b");
    text_is("\xff\xc3", "\xef\xbf\xbd\xef\xbf\xbd");
    text_is("\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");     // not the shortest form of '/'
    text_is("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); // half of a pair
    text_is("\xf0\x9f\x9a\x80", "\xf0\x9f\x9a\x80");
    text_is("", "");
}

Test(report_show, any_bytes_give_well_formed_text)
{
    uint64_t state = 11;
    for (int round = 0; round < 20000; round++) {
        char given[17];
        char *text = NULL;
        size_t size = 0;
        for (int i = 0; i < 16; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            given[i] = (char)(state >> 56);
        }
        given[16] = '\0';
        FILE *out = open_memstream(&text, &size);
        html_text(out, given);
        cr_assert_eq(fclose(out), 0);
        cr_assert_null(strpbrk(text, "<>\"'\x01\x1f\x7f"));
        for (size_t i = 0; i < size; i++) cr_assert_geq((uint8_t)text[i], 0x20);
        free(text);
    }
}
