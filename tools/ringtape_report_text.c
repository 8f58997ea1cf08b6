// SPDX-License-Identifier: GPL-3.0-or-later
//
// A report for people at a terminal: totals, leaders, movers, alerts, coverage, latency, storage.
// Contract: numbers are rounded from exact ones; `--json` has all digits.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_report.h"
#include "tools/ringtape_report_show.h"
#include "tools/ringtape_table.h"

enum { TEXT_LEADERS = 10, TEXT_MOVERS = 5, TEXT_ALERTS = 20, TEXT_HOLES = 20 };

#define COUNT(headings) ((uint32_t)(sizeof(headings) / sizeof((headings)[0])))

// What a terminal must not obey is a question mark.
static void text_name(char out[SEGMENT_SYMBOL_BYTES_MAX + 1], const char *name)
{
    ensure(strlen(name) <= SEGMENT_SYMBOL_BYTES_MAX);
    while (*name != '\0') {
        bool odd;
        const uint32_t size = show_character(name, &odd);
        memcpy(out, odd ? "?" : name, odd ? 1 : size);
        out += odd ? 1 : size;
        name += size;
    }
    *out = '\0';
}

static void text_symbol(struct ringtape_table *table, const struct report_symbol *symbol)
{
    char name[SEGMENT_SYMBOL_BYTES_MAX + 1];
    const char *colon = strchr(symbol->name, ':');
    text_name(name, colon != NULL ? colon + 1 : symbol->name);
    ringtape_table_cell(table, "%s", name);
}

static void text_number(struct ringtape_table *table, uint64_t value)
{
    char text[RINGTAPE_TABLE_NUMBER_BYTES];
    ringtape_table_cell(table, "%s", ringtape_table_number(text, value));
}

// ---- head ----

static void text_head(const struct report *report)
{
    static const char *const states[] = {"no data", "preliminary: not closed yet", "closed"};
    uint64_t trades = 0, quotes = 0;
    char a[RINGTAPE_TABLE_NUMBER_BYTES], b[RINGTAPE_TABLE_NUMBER_BYTES];
    for (uint32_t i = 0; i < report->exchange_count; i++) {
        trades += report->exchanges[i].trades;
        quotes += report->exchanges[i].quotes;
    }
    (void)printf("%s %s, %s\n", report->week ? "Week" : "Day", report->label,
                 states[report->state]);
    if (report->state != REPORT_EMPTY)
        (void)printf("%" PRIu32 " symbols, %s trades, %s quotes\n", report->symbol_count,
                     ringtape_table_number(a, trades), ringtape_table_number(b, quotes));
}

static void text_latency(struct ringtape_table *table, const struct report_delays *delays)
{
    char text[SHOW_BYTES];
    if (delays->rows == 0) {
        ringtape_table_cell(table, "-");
        ringtape_table_cell(table, "-");
        return;
    }
    ringtape_table_cell(table, "%s", show_ms(text, report_delay_ns(delays, 500)));
    ringtape_table_cell(table, "%s", show_ms(text, report_delay_ns(delays, 990)));
}

static void text_exchanges(const struct report *report)
{
    static const char *const headings[] = {"EXCHANGE", ">SYMBOLS", ">TRADES", ">QUOTES",
                                           ">TURNOVER", "IN", ">LATENCY P50 MS", ">P99 MS"};
    struct ringtape_table table;
    char text[SHOW_BYTES];
    ringtape_table_start(&table, headings, COUNT(headings));
    for (uint32_t i = 0; i < report->exchange_count; i++) {
        const struct report_exchange *exchange = &report->exchanges[i];
        const struct report_asset *main = &exchange->assets[exchange->main];
        const bool shown = exchange->asset_count > 0 && main->name[0] != '\0' && !main->unfit;
        char name[SEGMENT_SYMBOL_BYTES_MAX + 1];
        text_name(name, exchange->name);
        ringtape_table_cell(&table, "%s", name);
        text_number(&table, exchange->symbols);
        text_number(&table, exchange->trades);
        text_number(&table, exchange->quotes);
        ringtape_table_cell(&table, "%s",
                            shown ? show_fixed(text, main->turnover, main->scale, 0) : "-");
        ringtape_table_cell(&table, "%s", shown ? main->name : "-");
        text_latency(&table, exchange->delays);
    }
    if (table.cells > 0) (void)printf("\n");
    ringtape_table_print(&table);
    ringtape_table_free(&table);
}

// ---- leaders and movers ----

// A price so that points stand below each other: `fraction` bytes behind the whole part.
static void text_price(struct ringtape_table *table, int64_t price, uint32_t scale,
                       uint32_t fraction)
{
    char text[SHOW_BYTES];
    const char *shown = show_exact(text, price, scale);
    ringtape_table_cell(table, "%s%*s", shown, (int)(fraction - show_fraction(shown)), "");
}

static uint32_t text_widest(const struct report *report, const uint32_t *picked, uint32_t count)
{
    uint32_t widest = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct candle_sum *sum = &report->symbols[picked[i]].summary.sum;
        const int64_t prices[] = {sum->open, sum->high, sum->low, sum->close};
        for (int p = 0; p < 4; p++) {
            char text[SHOW_BYTES];
            const uint32_t found = show_fraction(show_exact(text, prices[p], sum->price_scale));
            if (found > widest) widest = found;
        }
    }
    return widest;
}

static void text_leader(struct ringtape_table *table, const struct report_symbol *symbol,
                        uint32_t fraction)
{
    const struct summary *summary = &symbol->summary;
    const struct candle_sum *sum = &summary->sum;
    char text[SHOW_BYTES];
    wide ratio = 0;
    text_symbol(table, symbol);
    text_number(table, (uint64_t)sum->trades);
    text_price(table, sum->open, sum->price_scale, fraction);
    text_price(table, sum->high, sum->price_scale, fraction);
    text_price(table, sum->low, sum->price_scale, fraction);
    text_price(table, sum->close, sum->price_scale, fraction);
    ringtape_table_cell(table, "%s",
                        symbol->has_change ? show_percent(text, symbol->change, true) : "-");
    ringtape_table_cell(table, "%s", show_fixed(text, sum->quote_volume,
                                                (uint32_t)(sum->price_scale + sum->quantity_scale),
                                                0));
    ringtape_table_cell(table, "%s",
                        summary_buy_ratio(summary, &ratio) ? show_percent(text, ratio, false)
                                                           : "-");
    ringtape_table_cell(table, "%s", show_thousandths(text, 100 * summary_volatility(summary)));
}

static void text_symbols(const struct report *report, uint32_t exchange, enum report_rank rank,
                         uint32_t most, const char *what)
{
    static const char *const headings[] = {"SYMBOL", ">TRADES", ">OPEN", ">HIGH", ">LOW", ">CLOSE",
                                           ">CHANGE %", ">TURNOVER", ">BUY %", ">VOLATILITY %"};
    uint32_t picked[TEXT_LEADERS];
    struct ringtape_table table;
    char name[SEGMENT_SYMBOL_BYTES_MAX + 1];
    ensure(most <= TEXT_LEADERS);
    const uint32_t count = report_pick(report, exchange, rank, picked, most);
    if (count == 0) return;
    const uint32_t fraction = text_widest(report, picked, count);
    text_name(name, report->exchanges[exchange].name);
    (void)printf("\n%s: %s\n", name, what);
    ringtape_table_start(&table, headings, COUNT(headings));
    for (uint32_t i = 0; i < count; i++)
        text_leader(&table, &report->symbols[picked[i]], fraction);
    ringtape_table_print(&table);
    ringtape_table_free(&table);
}

// ---- alerts ----

static void text_alert(struct ringtape_table *table, const struct report_alert *alert)
{
    const struct column *kinds = &channel_schema(CHANNEL_ALERT)->columns[ALERT_KIND];
    char time[TIME_TEXT_BYTES_MAX], name[SEGMENT_SYMBOL_BYTES_MAX + 1], text[SHOW_BYTES];
    time_text_format(time, alert->time_ns, 3);
    text_name(name, alert->symbol);
    ringtape_table_cell(table, "%s", time);
    ringtape_table_cell(table, "%s", name);
    ringtape_table_cell(table, "%s", code_name(kinds, alert->kind));
    ringtape_table_cell(table, "%s", show_exact(text, alert->measure, alert->measure_scale));
    ringtape_table_cell(table, "%s", show_exact(text, alert->threshold, alert->threshold_scale));
}

static void text_alerts(const struct report_alerts *alerts)
{
    static const char *const headings[] = {"TIME", "SYMBOL", "ALERT", ">MEASURE", ">THRESHOLD"};
    struct ringtape_table table;
    char number[2 * RINGTAPE_TABLE_NUMBER_BYTES];
    const uint32_t shown = alerts->listed < TEXT_ALERTS ? alerts->listed : TEXT_ALERTS;
    (void)printf("\n%s\n", ringtape_table_count(number, alerts->count, "alert"));
    ringtape_table_start(&table, headings, COUNT(headings));
    for (uint32_t i = 0; i < shown; i++) text_alert(&table, &alerts->at[i]);
    ringtape_table_print(&table);
    ringtape_table_free(&table);
    if (alerts->count > shown)
        (void)printf("and %" PRIu64 " more: ringtape cat --channel alert\n",
                     alerts->count - shown);
}

// ---- coverage ----

static void text_hole(const struct report_hole *hole)
{
    char from[TIME_TEXT_BYTES_MAX] = "-", to[TIME_TEXT_BYTES_MAX] = "-", ids[64] = "";
    char name[SEGMENT_SYMBOL_BYTES_MAX + 1], cause[SEGMENT_SYMBOL_BYTES_MAX + 1];
    text_name(name, hole->symbol);
    text_name(cause, hole->cause);
    if (hole->from_ns != 0) time_text_format(from, hole->from_ns, 3);
    if (hole->to_ns != 0) time_text_format(to, hole->to_ns, 3);
    if (hole->first >= 0 && hole->last != INT64_MAX)
        (void)snprintf(ids, sizeof ids, " ids %" PRId64 " to %" PRId64, hole->first, hole->last);
    else if (hole->first >= 0)
        (void)snprintf(ids, sizeof ids, " ids from %" PRId64, hole->first);
    (void)printf("%s %s %s%s, %s to %s: %s\n",
                 hole->kind == STATUS_HOLE_OPENED ? "open" : "lost", name,
                 channel_schema(hole->channel)->name, ids, from, to, cause);
}

static void text_covered(struct ringtape_table *table, const struct report_covered *covered)
{
    char text[SHOW_BYTES], name[SEGMENT_SYMBOL_BYTES_MAX + 1];
    text_name(name, covered->name);
    ringtape_table_cell(table, "%s", name);
    ringtape_table_cell(table, "%s", channel_schema(covered->channel)->name);
    text_number(table, covered->keys);
    ringtape_table_cell(table, "%s", show_fixed(text, report_covered_share(covered), 3, 3));
    text_number(table, covered->open);
    text_number(table, covered->lost);
    text_number(table, covered->repaired);
}

static void text_coverage(const struct report_coverage *coverage)
{
    static const char *const headings[] = {"EXCHANGE", "CHANNEL", ">SYMBOLS", ">COVERED %",
                                           ">OPEN", ">LOST", ">REPAIRED"};
    struct ringtape_table table;
    if (!coverage->known) {
        (void)printf("\nCoverage is not known: no daemon has recorded into this store\n");
        return;
    }
    (void)printf("\n");
    ringtape_table_start(&table, headings, COUNT(headings));
    for (uint32_t i = 0; i < coverage->count; i++) text_covered(&table, &coverage->at[i]);
    ringtape_table_print(&table);
    ringtape_table_free(&table);
    const uint32_t shown = coverage->listed < TEXT_HOLES ? coverage->listed : TEXT_HOLES;
    for (uint32_t i = 0; i < shown; i++) text_hole(&coverage->hole[i]);
    if (coverage->holes > shown)
        (void)printf("and %" PRIu64 " more: ringtape coverage\n", coverage->holes - shown);
}

// ---- storage ----

static void text_storage(const struct report *report)
{
    static const char *const headings[] = {"CHANNEL", ">ROWS", ">SEGMENTS", ">BYTES",
                                           ">BYTES A ROW"};
    struct ringtape_table table;
    char text[RINGTAPE_TABLE_NUMBER_BYTES], more[RINGTAPE_TABLE_NUMBER_BYTES];
    ringtape_table_start(&table, headings, COUNT(headings));
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const struct report_stored *stored = &report->storage.channels[c];
        if (stored->segments == 0) continue;
        ringtape_table_cell(&table, "%s", channel_schema((enum channel)c)->name);
        text_number(&table, stored->rows);
        text_number(&table, stored->segments);
        ringtape_table_cell(&table, "%s", ringtape_table_bytes(text, stored->bytes));
        ringtape_table_cell(&table, "%s", ringtape_table_ratio(text, stored->bytes, stored->rows));
    }
    if (table.cells > 0) (void)printf("\n");
    ringtape_table_print(&table);
    ringtape_table_free(&table);
    (void)printf("\nThe store has %s in segments, %s on tapes",
                 ringtape_table_bytes(text, report->storage.store_bytes),
                 ringtape_table_bytes(more, report->storage.tape_bytes));
    if (report->storage.disk_bytes > 0)
        (void)printf("; its disk has %s free",
                     ringtape_table_bytes(text, report->storage.free_bytes));
    (void)printf("\n");
}

void report_print_text(const struct report *report)
{
    text_head(report);
    text_exchanges(report);
    for (uint32_t i = 0; i < report->exchange_count; i++) {
        const struct report_exchange *exchange = &report->exchanges[i];
        char what[64 + REPORT_ASSET_BYTES];
        if (exchange->asset_count == 0) continue;
        const char *asset = exchange->assets[exchange->main].name;
        (void)snprintf(what, sizeof what, "most turnover%s%s", asset[0] != '\0' ? " in " : "",
                       asset);
        text_symbols(report, i, REPORT_BY_TURNOVER, TEXT_LEADERS, what);
        text_symbols(report, i, REPORT_BY_RISE, TEXT_MOVERS, "largest rises");
        text_symbols(report, i, REPORT_BY_FALL, TEXT_MOVERS, "largest falls");
    }
    text_alerts(&report->alerts);
    text_coverage(&report->coverage);
    text_storage(report);
    if (report->damages > 0)
        (void)printf("%" PRIu64 " damaged places are left out, see standard error\n",
                     report->damages);
}
