// SPDX-License-Identifier: GPL-3.0-or-later
//
// Lines of Binance's archives: what is taken and how it reads, what is refused and where.
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/binance_archive.h"

enum { ROWS = 64, TEXT_BYTES = 1 << 16 };

static struct rows rows;
static struct binance_archive archive;

static void begin(enum channel channel, bool usdm)
{
    archive = (struct binance_archive){.channel = channel,
                                       .usdm = usdm,
                                       .from_ns = 1735689600000000000, // 2025-01-01
                                       .to_ns = 1735776000000000000,
                                       .interval = "1m"};
    const struct rows_limits limits = binance_archive_limits(&archive, ROWS);
    size_t size = (rows_memory_bytes(channel_schema(channel), &limits) + 63) / 64 * 64;
    void *memory = aligned_alloc(64, size);
    cr_assert_not_null(memory);
    memset(memory, 0, size);
    rows_init(&rows, channel_schema(channel), &limits, memory);
}

static int64_t scan(const char *text, bool end)
{
    static char bytes[TEXT_BYTES + BINANCE_ARCHIVE_PADDING];
    size_t size = strlen(text);
    cr_assert_leq(size, TEXT_BYTES);
    memset(bytes, '7', sizeof bytes); // what follows must not matter
    memcpy(bytes, text, size);
    return binance_archive_scan(&archive, bytes, size, end, &rows);
}

static void takes(const char *text, uint32_t count)
{
    cr_assert_eq(scan(text, true), (int64_t)strlen(text), "%s: line %lu: %s", text,
                 (unsigned long)archive.line, archive.fault);
    cr_assert_eq(rows.count, count);
}

static void refuses(enum channel channel, bool usdm, const char *text, uint64_t line,
                    uint32_t column, const char *why)
{
    begin(channel, usdm);
    cr_assert_eq(scan(text, true), -EBADMSG, "%s", text);
    cr_assert_eq(archive.line, line, "%s: line %lu", text, (unsigned long)archive.line);
    cr_assert_eq(archive.column, column, "%s: column %u: %s", text, archive.column, archive.fault);
    cr_assert_not_null(strstr(archive.fault, why), "%s: %s", text, archive.fault);
}

#define TRADE_LINE "4001,94000.12000000,0.00250000,235.00030000,1735689600000123,True,True\n"

Test(binance_archive, a_trade_of_spot)
{
    begin(CHANNEL_TRADE, false);
    takes(TRADE_LINE, 1);
    cr_assert_eq(rows.value[TRADE_ID][0], 4001);
    cr_assert_eq(rows.value[TRADE_PRICE][0], 9400012000000);
    cr_assert_eq(rows.scale[TRADE_PRICE][0], 8);
    cr_assert_eq(rows.value[TRADE_QUANTITY][0], 250000);
    cr_assert_eq(rows.value[TRADE_TIME][0], 1735689600000123000);
    cr_assert_eq(rows.value[TRADE_SIDE][0], SIDE_SELL);
    cr_assert_eq(rows.value[TRADE_BEST_MATCH][0], 1);
    cr_assert_eq(rows.value[COLUMN_FLAGS][0], EVENT_BACKFILLED);
    cr_assert_eq(rows.present[0],
                 1ull << COLUMN_FLAGS | 1ull << TRADE_ID | 1ull << TRADE_PRICE |
                     1ull << TRADE_QUANTITY | 1ull << TRADE_TIME | 1ull << TRADE_SIDE |
                     1ull << TRADE_BEST_MATCH);
    cr_assert_eq(rows_time_ns(&rows, 0), 1735689600000123000);
}

Test(binance_archive, a_trade_of_futures_with_a_header_and_ms)
{
    begin(CHANNEL_TRADE, true);
    takes("id,price,qty,quote_qty,time,is_buyer_maker\r\n"
          "5,94000.1,0.002,188.0002,1735689600123,false\r\n"
          "7,94000.1,0.002,188.0002,1735689600124,true",
          2);
    cr_assert_eq(rows.value[TRADE_TIME][0], 1735689600123000000);
    cr_assert_eq(rows.value[TRADE_SIDE][0], SIDE_BUY);
    cr_assert_eq(rows.scale[TRADE_PRICE][0], 1);
    int text = rows.schema->columns[TRADE_KIND].text;
    cr_assert_eq(rows.text_length[text][1], 6);
    cr_assert_eq(memcmp(rows.text + rows.text_offset[text][1], "MARKET", 6), 0);
    cr_assert_eq(archive.line, 3);
}

Test(binance_archive, an_aggregate_trade)
{
    begin(CHANNEL_AGG_TRADE, false);
    takes("17,0.00001234,100000.00000000,40,42,1735689600000123,False,True\n", 1);
    cr_assert_eq(rows.value[AGG_TRADE_ID][0], 17);
    cr_assert_eq(rows.value[AGG_TRADE_FIRST_ID][0], 40);
    cr_assert_eq(rows.value[AGG_TRADE_LAST_ID][0], 42);
    cr_assert_eq(rows.value[AGG_TRADE_PRICE][0], 1234);
}

Test(binance_archive, a_kline)
{
    begin(CHANNEL_KLINE, false);
    takes("1735689600000000,94000.0,94100.5,93999.0,94050.25,12.5,1735689659999999,1175000.12,"
          "345,6.25,587500.06,0\n",
          1);
    cr_assert_eq(rows.value[KLINE_OPEN_TIME][0], 1735689600000000000);
    cr_assert_eq(rows.value[KLINE_CLOSE_TIME][0], 1735689659999999000);
    cr_assert_eq(rows.value[KLINE_TRADES][0], 345);
    cr_assert_eq(rows.value[KLINE_CLOSED][0], 1);
    cr_assert_eq(rows.present[0] >> KLINE_IGNORED & 1, 0);
    cr_assert_eq(rows.present[0] >> KLINE_EVENT_TIME & 1, 0);
    cr_assert_eq(rows_time_ns(&rows, 0), 1735689600000000000);
}

Test(binance_archive, more_digits_than_a_word_has)
{
    begin(CHANNEL_KLINE, false);
    takes("1735689600000000,0.00000001,0.00000002,0.00000001,0.00000002,46116860414000.00000000,"
          "1735689659999999,12345678901234.50000000,999999999999999999,0.0,0.00000000,x\n",
          1);
    // 20 digits: as few places as hold it
    cr_assert_eq(rows.value[KLINE_VOLUME][0] % 46116860414, 0);
    cr_assert_eq(rows.value[KLINE_TRADES][0], 999999999999999999);
    cr_assert_eq(rows.present[0] >> KLINE_IGNORED & 1, 1);
}

Test(binance_archive, lines_may_be_cut_anywhere)
{
    const char *text = TRADE_LINE "4002,94000.12000000,1.00000000,94000.12000000,"
                                  "1735689600000124,False,False\n";
    for (size_t cut = 0; cut <= strlen(text); cut++) {
        char first[256] = "";
        begin(CHANNEL_TRADE, false);
        memcpy(first, text, cut);
        int64_t taken = scan(first, false);
        cr_assert_geq(taken, 0);
        cr_assert_eq(scan(text + taken, true), (int64_t)strlen(text) - taken);
        cr_assert_eq(rows.count, 2);
        cr_assert_eq(rows.value[TRADE_ID][1], 4002);
    }
}

Test(binance_archive, a_full_array_is_taken_and_filled_again)
{
    char text[8192] = "";
    begin(CHANNEL_TRADE, true);
    for (int i = 0; i < ROWS + 3; i++) {
        char line[80];
        (void)snprintf(line, sizeof line, "%d,1.0,2.0,2.0,1735689600123,true\n", i + 1);
        strncat(text, line, sizeof text - strlen(text) - 1);
    }
    int64_t taken = scan(text, true);
    cr_assert_eq(rows.count, ROWS);
    cr_assert(binance_archive_full(&rows));
    rows_clear(&rows);
    cr_assert_eq(scan(text + taken, true), (int64_t)strlen(text) - taken);
    cr_assert_eq(rows.count, 3);
    cr_assert_eq(rows.value[TRADE_ID][2], ROWS + 3);
}

Test(binance_archive, what_is_refused_and_where)
{
    const enum channel trade = CHANNEL_TRADE;
    refuses(trade, false, TRADE_LINE "4002,94,000.12,0.1,9.0,1735689600000124,True,True\n", 2, 9,
            "quantity expected, found '000.12'");
    refuses(trade, false, "4002,1,1,1,1735689600000124,True,True,1\n", 1, 0,
            "7 columns expected, found 8");
    refuses(trade, false, "4002,\"94,000.12\",0.1,9400.0,1735689600000124,True,True\n", 1, 6,
            "price expected, found '\"94'");
    refuses(trade, false, "x" TRADE_LINE, 1, 1, "a header or id expected, found 'x4001'");
    refuses(trade, false, "4001,1,1,1,1735689600000124,yes,True\n", 1, 29, "true or false");
    refuses(trade, false, "4001,1,1,1,1735689600000124,True\n", 1, 0, "7 columns expected");
    refuses(trade, false, "4001,-1,1,1,1735689600000124,True,True\n", 1, 6, "price expected");
    refuses(trade, false, "4001,1e3,1,1,1735689600000124,True,True\n", 1, 6, "price expected");
    refuses(trade, false, "4001,1.,1,1,1735689600000124,True,True\n", 1, 6, "price expected");
    refuses(trade, false, "4001, 1,1,1,1735689600000124,True,True\n", 1, 6, "found ' 1'");
    refuses(trade, false, "04001,1,1,1,1735689600000124,True,True\n", 1, 1, "id expected");
    refuses(trade, false, ",1,1,1,1735689600000124,True,True\n", 1, 1, "a header or id");
    refuses(trade, false, "4001,2,3,8,1735689600000124,True,True\n", 1, 0, "columns are shifted");
    refuses(trade, false, TRADE_LINE TRADE_LINE, 2, 0, "id 4001 after 4001: they must rise");
    refuses(trade, false, "4001,1,1,1,1735776000000000,True,True\n", 1, 0, "not within this");
    refuses(trade, false, TRADE_LINE "4002,1,1,1,1735689600000,True,True\n", 2, 0, "(us) is not");
    refuses(trade, false, "4001,1,1,1,173568960,True,True\n", 1, 0, "ms (13 digits) or us (16)");
    refuses(trade, false, "4001,1,1,1,1735689600000,True,True\n", 1, 0, "spot has since 2025");
    refuses(trade, true, "4001,1,1,1,1735689600000123,true\n", 1, 0, "ms expected, as futures");
    refuses(trade, false, "id,qty,price,quote_qty,time,is_buyer_maker,is_best_match\n", 1, 4,
            "a header or price expected, found 'qty'");
    refuses(trade, false, "id,price,qty,quote_qty,time,is_buyer_maker\n", 1, 0,
            "7 columns expected, found 6");
    refuses(trade, false, TRADE_LINE "\n", 2, 1, "id expected, found ''");
    refuses(CHANNEL_AGG_TRADE, false, "1,1,1,9,8,1735689600000124,True,True\n", 1, 0,
            "last trade id is below");
    refuses(CHANNEL_AGG_TRADE, false, TRADE_LINE, 1, 32, "first trade id expected");
    refuses(CHANNEL_KLINE, false,
            "1735689600000000,5,4,3,4,1,1735689659999999,1,1,1,1,0\n", 1, 0, "outside of low");
    refuses(CHANNEL_KLINE, false,
            "1735689600000000,4,4,3,4,1,1735689899999999,1,1,1,1,0\n", 1, 0, "another interval");
}

Test(binance_archive, a_line_without_end)
{
    static char text[BINANCE_ARCHIVE_LINE_BYTES_MAX + 2];
    memset(text, '1', sizeof text - 1);
    refuses(CHANNEL_TRADE, false, text, 1, 0, "a line of more than 4096 bytes");
}

Test(binance_archive, intervals)
{
    cr_assert_eq(binance_archive_interval_ns("1s"), 1000000000);
    cr_assert_eq(binance_archive_interval_ns("15m"), 900000000000);
    cr_assert_eq(binance_archive_interval_ns("1d"), 86400000000000);
    cr_assert_eq(binance_archive_interval_ns("1mo"), 0);
    cr_assert_eq(binance_archive_interval_ns("m"), 0);
    cr_assert_eq(binance_archive_interval_ns("0m"), 0);
    cr_assert_eq(binance_archive_interval_ns("1M"), 0);
}

// ---- the usual line and the general way ----

struct outcome {
    int64_t result;
    uint32_t column, count;
    int64_t values[TRADE_BEST_MATCH + 8];
    uint8_t price_scale, quantity_scale;
};

// Of the last line of `text`; the first one tells the unit of times, without which none is usual.
static struct outcome outcome_of(const char *text, bool usdm)
{
    begin(CHANNEL_TRADE, usdm);
    struct outcome out = {.result = scan(text, true)};
    out.result = out.result < 0 ? out.result : 0;
    out.column = archive.column;
    out.count = rows.count;
    for (int c = 0; rows.count == 2 && c < rows.schema->column_count; c++)
        out.values[c] = rows.value[c] ? rows.value[c][1] : 0;
    if (rows.count == 2) {
        out.price_scale = rows.scale[TRADE_PRICE][1];
        out.quantity_scale = rows.scale[TRADE_QUANTITY][1];
    }
    return out;
}

// A carriage return before the line feed is not usual: such a line goes the general way.
static uint32_t both_ways(const char *first, const char *line, bool usdm)
{
    char usual[512], general[512];
    (void)snprintf(usual, sizeof usual, "%s%s\n", first, line);
    (void)snprintf(general, sizeof general, "%s%s\r\n", first, line);
    struct outcome a = outcome_of(usual, usdm), b = outcome_of(general, usdm);
    cr_assert_eq(memcmp(&a, &b, sizeof a), 0, "%s: %lld and %lld, columns %u and %u", line,
                 (long long)a.result, (long long)b.result, a.column, b.column);
    return a.count;
}

static void changed_everywhere(const char *first, const char *line, bool usdm)
{
    const char others[] = "019.,-e T\t/:";
    uint32_t taken = both_ways(first, line, usdm) == 2, refused = 0;
    cr_assert_eq(taken, 1, "%s", line);
    for (size_t at = 0; line[at] != 0; at++) {
        for (size_t o = 0; others[o] != 0; o++) {
            char changed[256];
            (void)snprintf(changed, sizeof changed, "%s", line);
            changed[at] = others[o];
            *(both_ways(first, changed, usdm) == 2 ? &taken : &refused) += 1;
            (void)snprintf(changed, sizeof changed, "%.*s%c%s", (int)at, line, others[o],
                           line + at);
            *(both_ways(first, changed, usdm) == 2 ? &taken : &refused) += 1;
        }
    }
    cr_assert(taken > 1 && refused > 100, "%u taken, %u refused", taken, refused);
}

Test(binance_archive, usual_lines_are_read_as_others_are)
{
    static const char first[] = "17,1.5,2,3.0,1735689600000123,True,True\n";
    static const char first_ms[] = "17,1.5,2,3.0,1735689600123,True\n";
    changed_everywhere(first,
                       "4001,94000.12000000,0.00250000,235.00030000,1735689600000124,True,True",
                       false);
    changed_everywhere(first, "18,7,0.5,3.5,1735689600000123,False,True", false);
    changed_everywhere(first,
                       "999999999999,0.00000001,1000000.0000000,0.01,1735775999999999,True,False",
                       false);
    changed_everywhere(first,
                       "5000,12345678.1234567,1.00,12345678.1234567,1735689600000123,False,True",
                       false);
    changed_everywhere(first_ms, "18,94000.1,0.002,188.0002,1735689600124,false", true);
    both_ways(first, "17,1.5,2,3.0,1735689600000123,True,True", false); // an id that stands
    both_ways(first, "18,1.5,2,3.0,1735776000000000,True,True", false); // the next day
    both_ways(first, "18,1.5,2,3.0,9999999999999999,True,True", false);
    both_ways(first, "18,1.5,2,3.1,1735689600000123,True,True", false); // not the product
    both_ways(first, "18,.5,2,1.0,1735689600000123,True,True", false);
    both_ways(first, "18,5.,2,10,1735689600000123,True,True", false);
    both_ways(first, "18,05,2,10,1735689600000123,True,True", false);
    both_ways(first, "018,5,2,10,1735689600000123,True,True", false);
}
