// SPDX-License-Identifier: GPL-3.0-or-later
//
// Trades and quotes of a report's days, block by block, into the summaries of their symbols.
//
//     symbols, most rows first → groups of REPORT_GROUP_BYTES of candles
//     each group: each day: trade, then agg_trade → candle.h → candles of 1, 5 and N minutes
//                                                     → summary.h, charts
//     each day: quote → summary.h; symbols whose quotes are out of order: once more, sorted
//
// The candles are candle.h's own, told once, at the end of each day: their grace is so long that
// nothing is issued before. Only the columns that count are decoded.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_progress.h"
#include "tools/ringtape_report.h"

enum {
    SCAN_PAGE_BYTES = 4096,
    SCAN_PAGES_OF_DAY = 1440 * (int)sizeof(struct candle_sum) / SCAN_PAGE_BYTES + 1,
    SCAN_PAGES_OF_SYMBOL = 12, // head and marks
    SCAN_SORT_MAX = 1 << 19,   // quotes that are sorted together
};

#define BIT(column) (1ull << (column))
#define SCAN_TRADE_COLUMNS                                                                         \
    (BIT(COLUMN_RECEIVE_TIME) | BIT(COLUMN_FLAGS) | BIT(TRADE_EVENT_TIME) | BIT(TRADE_TIME) |      \
     BIT(TRADE_ID) | BIT(TRADE_PRICE) | BIT(TRADE_QUANTITY) | BIT(TRADE_SIDE) | BIT(TRADE_KIND))
#define SCAN_AGG_TRADE_COLUMNS                                                                     \
    (BIT(COLUMN_RECEIVE_TIME) | BIT(COLUMN_FLAGS) | BIT(AGG_TRADE_EVENT_TIME) |                    \
     BIT(AGG_TRADE_TIME) | BIT(AGG_TRADE_PRICE) | BIT(AGG_TRADE_QUANTITY) |                        \
     BIT(AGG_TRADE_FIRST_ID) | BIT(AGG_TRADE_LAST_ID) | BIT(AGG_TRADE_SIDE))
#define SCAN_QUOTE_COLUMNS                                                                         \
    (BIT(COLUMN_RECEIVE_TIME) | BIT(QUOTE_EVENT_TIME) | BIT(QUOTE_TRANSACTION_TIME) |              \
     BIT(QUOTE_ID) | BIT(QUOTE_BID_PRICE) | BIT(QUOTE_ASK_PRICE))

// ---- rows ----

// The columns of `columns` alone: a whole event costs three times as much.
static void scan_event(const struct rows *rows, uint32_t row, uint64_t columns,
                       struct event *event)
{
    event_clear(event, rows->schema->channel, rows->symbol[row]);
    event->present = rows->present[row] & columns;
    for (uint64_t left = event->present; left != 0; left &= left - 1) {
        const int c = __builtin_ctzll(left);
        if (rows->value[c] != NULL) {
            event->value[c] = rows->value[c][row];
            event->scale[c] = rows->scale[c] != NULL ? rows->scale[c][row] : 0;
            continue;
        }
        const uint32_t slot = rows->schema->columns[c].text;
        event->text[slot] = (struct event_text){rows->text + rows->text_offset[slot][row],
                                                rows->text_length[slot][row]};
    }
}

struct scan {
    struct report *report;
    uint64_t columns;
    const char *what; // of the progress
    // A row of symbol number `symbol`, which may be changed. 0 or negative errno.
    int (*take)(struct scan *scan, struct event *event, uint32_t symbol);
    // False: rows of this symbol are passed over.
    bool (*wanted)(const struct scan *scan, uint32_t symbol);
    struct scan_group *group;
};

static int scan_chunk(struct scan *scan, const struct store_chunk *chunk)
{
    uint32_t last = SYMBOL_NONE, number = REPORT_NONE;
    struct event event;
    int error = 0;
    for (uint32_t i = 0; i < chunk->count && error == 0; i++) {
        const uint32_t row = chunk->index[i];
        const uint32_t symbol = chunk->rows->symbol[row];
        if (symbol == SYMBOL_NONE) continue;
        if (symbol != last) {
            last = symbol;
            if (!ringtape_names_find(&scan->report->names, &chunk->symbols[symbol], &number) ||
                !scan->wanted(scan, number))
                number = REPORT_NONE;
        }
        if (number == REPORT_NONE) continue;
        scan_event(chunk->rows, row, scan->columns, &event);
        error = scan->take(scan, &event, number);
    }
    return error;
}

static int scan_run(struct scan *scan, const struct store_query *query)
{
    struct ringtape_progress progress;
    struct store_scan *rows;
    struct store_chunk chunk;
    int result = store_scan_open(&rows, scan->report->store, query);
    if (result < 0) return result;
    ringtape_progress_start(&progress, scan->what);
    while ((result = store_scan_next(rows, &chunk)) > 0) {
        uint64_t done, total;
        result = scan_chunk(scan, &chunk);
        if (result < 0) break;
        store_scan_progress(rows, &done, &total);
        ringtape_progress_show(&progress, done, total);
    }
    ringtape_progress_clear(&progress);
    store_scan_close(rows);
    return result;
}

static struct store_query scan_query(struct report *report, enum channel channel, int64_t from_ns)
{
    struct store_query query = store_query_all(channel);
    query.time_from = from_ns;
    query.time_to = from_ns + REPORT_DAY_NS;
    query.damage = report_damage_note;
    query.damage_context = report;
    if (report->symbols_asked != NULL) {
        query.symbols = report->symbols_asked->text;
        query.symbol_count = report->symbols_asked->count;
    }
    return query;
}

// ---- trades ----

struct scan_group {
    const uint32_t *members; // numbers of symbols
    uint32_t count;
    const char **names; // of the members
    uint32_t *slots;    // [symbol_count] place among the members + 1; 0: none
    struct candles candles;
    bool ending;
    struct report *report;
};

static void scan_chart(struct report *report, const struct report_symbol *symbol,
                       const struct candle *candle)
{
    const int64_t at =
        (candle->open_time_ns - report->from_ns) / (report->chart_minutes * CANDLE_MINUTE_NS);
    ensure(at >= 0 && at < REPORT_CHART_CANDLES);
    struct report_candle *place =
        &report->charts[(size_t)symbol->chart * REPORT_CHART_CANDLES + (size_t)at];
    *place = (struct report_candle){.volume = candle->sum.volume,
                                    .open = candle->sum.open,
                                    .high = candle->sum.high,
                                    .low = candle->sum.low,
                                    .close = candle->sum.close,
                                    .price_scale = candle->sum.price_scale,
                                    .quantity_scale = candle->sum.quantity_scale,
                                    .there = candle->sum.trades > 0};
}

static bool scan_candle(void *context, const struct candle *candle)
{
    const struct scan_group *group = context;
    if (!group->ending) return false; // it waits
    struct report_symbol *symbol = &group->report->symbols[group->members[candle->symbol]];
    summary_candle(&symbol->summary, candle);
    if (candle->minutes == group->report->chart_minutes && symbol->chart != REPORT_NONE)
        scan_chart(group->report, symbol, candle);
    return true;
}

static void scan_delay(const struct scan *scan, const struct event *event, uint32_t symbol)
{
    _Static_assert((int)TRADE_EVENT_TIME == (int)AGG_TRADE_EVENT_TIME, "one place");
    // Where there are trades, agg_trade says the same again.
    if (event->channel == CHANNEL_AGG_TRADE && scan->report->symbols[symbol].trade_rows > 0) return;
    const int64_t not_live = EVENT_REPAIRED | EVENT_BACKFILLED | EVENT_SNAPSHOT;
    if (!event_has(event, TRADE_EVENT_TIME) || !event_has(event, COLUMN_RECEIVE_TIME) ||
        (event_has(event, COLUMN_FLAGS) && (event->value[COLUMN_FLAGS] & not_live) != 0))
        return;
    const uint32_t exchange = scan->report->symbols[symbol].exchange;
    int64_t delay_ns;
    if (!__builtin_sub_overflow(event->value[COLUMN_RECEIVE_TIME],
                                event->value[TRADE_EVENT_TIME], &delay_ns))
        report_delay_add(scan->report->exchanges[exchange].delays, delay_ns);
}

static int scan_take_trade(struct scan *scan, struct event *event, uint32_t symbol)
{
    scan_delay(scan, event, symbol);
    event->symbol = scan->group->slots[symbol] - 1;
    candles_event(&scan->group->candles, event);
    return 0;
}

static bool scan_wants_trade(const struct scan *scan, uint32_t symbol)
{
    return scan->group->slots[symbol] != 0;
}

static int scan_day_of_group(struct scan_group *group, int64_t from_ns, bool filter)
{
    struct report *report = group->report;
    struct scan scan = {.report = report, .group = group, .take = scan_take_trade,
                        .wanted = scan_wants_trade};
    int result = 0;
    for (int pass = 0; pass < 2 && result == 0; pass++) {
        const enum channel channel = pass == 0 ? CHANNEL_TRADE : CHANNEL_AGG_TRADE;
        struct store_query query = scan_query(report, channel, from_ns);
        scan.columns = pass == 0 ? SCAN_TRADE_COLUMNS : SCAN_AGG_TRADE_COLUMNS;
        scan.what = channel_schema(channel)->name;
        query.columns = scan.columns;
        if (filter) {
            query.symbols = group->names;
            query.symbol_count = group->count;
        }
        result = scan_run(&scan, &query);
    }
    return result;
}

static int scan_group_day(struct scan_group *group, int64_t from_ns, bool filter)
{
    const struct report *report = group->report;
    const struct candles_options options = {.symbols_max = group->count,
                                            .ring = CANDLE_RING_DAY,
                                            .interval_count = 3,
                                            .minutes = {1, SUMMARY_MOVE_MINUTES,
                                                        report->chart_minutes},
                                            .issue = scan_candle,
                                            .context = group};
    int result = candles_open(&group->candles, &options);
    if (result != 0) return result;
    group->candles.floor = (int32_t)(from_ns / CANDLE_MINUTE_NS);
    for (uint32_t i = 0; i < group->count; i++)
        candles_symbol(&group->candles, i, INT64_MAX - report->to_ns - REPORT_DAY_NS);
    group->ending = false;
    result = scan_day_of_group(group, from_ns, filter);
    group->ending = true;
    if (result == 0) candles_finish(&group->candles);
    group->report->unfit += group->candles.counters.unfit;
    candles_close(&group->candles);
    return result;
}

static int scan_order(const void *a, const void *b, void *context)
{
    const struct report *report = context;
    const uint32_t one = *(const uint32_t *)a, two = *(const uint32_t *)b;
    const uint64_t one_rows = report->symbols[one].rows;
    const uint64_t two_rows = report->symbols[two].rows;
    if (one_rows != two_rows) return one_rows > two_rows ? -1 : 1;
    return (one > two) - (one < two);
}

// How many of the members from the first on may have their candles in memory together.
static uint32_t scan_group_size(const struct report *report, const uint32_t *members,
                                uint32_t count)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t rows = report->symbols[members[i]].rows;
        uint64_t pages = rows < SCAN_PAGES_OF_DAY ? rows : SCAN_PAGES_OF_DAY;
        bytes += (pages + SCAN_PAGES_OF_SYMBOL) * SCAN_PAGE_BYTES;
        if (bytes > REPORT_GROUP_BYTES && i > 0) return i;
    }
    return count;
}

static int scan_groups(struct scan_group *group, const uint32_t *members, uint32_t count)
{
    struct report *report = group->report;
    int result = 0;
    for (uint32_t first = 0; first < count && result == 0; first += group->count) {
        group->members = members + first;
        group->count = scan_group_size(report, group->members, count - first);
        memset(group->slots, 0, report->symbol_count * sizeof *group->slots);
        for (uint32_t i = 0; i < group->count; i++) {
            group->slots[group->members[i]] = i + 1;
            group->names[i] = report->symbols[group->members[i]].name;
        }
        for (uint32_t d = 0; d < report->day_count && result == 0; d++)
            result = scan_group_day(group, report->from_ns + d * REPORT_DAY_NS,
                                    group->count < count);
    }
    return result;
}

static uint32_t scan_members(struct report *report, uint32_t *members)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < report->symbol_count; i++)
        if (report->symbols[i].rows > 0) members[count++] = i;
    if (count > 0) qsort_r(members, count, sizeof *members, scan_order, report);
    report->chart_count = count < REPORT_CHARTS_MAX ? count : REPORT_CHARTS_MAX;
    for (uint32_t i = 0; i < report->chart_count; i++) report->symbols[members[i]].chart = i;
    return count;
}

int report_scan_trades(struct report *report)
{
    if (report->symbol_count == 0) return 0;
    struct scan_group group = {.report = report};
    uint32_t *members = malloc(report->symbol_count * sizeof *members);
    group.names = malloc(report->symbol_count * sizeof *group.names);
    group.slots = malloc(report->symbol_count * sizeof *group.slots);
    int result = -ENOMEM;
    if (members != NULL && group.names != NULL && group.slots != NULL) {
        const uint32_t count = scan_members(report, members);
        const size_t bytes = (size_t)report->chart_count * REPORT_CHART_CANDLES *
                             sizeof *report->charts;
        report->charts = aligned_alloc(64, (bytes + 64) / 64 * 64);
        if (report->charts != NULL) {
            memset(report->charts, 0, bytes);
            result = scan_groups(&group, members, count);
        }
    }
    free(members);
    free(group.names);
    free(group.slots);
    return result;
}

// ---- quotes ----

static bool scan_wants_quote(const struct scan *scan, uint32_t symbol)
{
    (void)scan;
    (void)symbol;
    return true;
}

static int scan_take_quote(struct scan *scan, struct event *event, uint32_t symbol)
{
    struct summary_quote quote;
    if (summary_quote_of(event, &quote))
        summary_quote(&scan->report->symbols[symbol].summary, &quote);
    return 0;
}

struct scan_sort {
    struct scan scan; // its first member
    uint32_t symbol;
    uint32_t count;
    struct summary_quote *quotes; // [SCAN_SORT_MAX]
};

static bool scan_wants_sorted(const struct scan *scan, uint32_t symbol)
{
    return ((const struct scan_sort *)(const void *)scan)->symbol == symbol;
}

static int scan_take_sorted(struct scan *scan, struct event *event, uint32_t symbol)
{
    struct scan_sort *sort = (void *)scan;
    (void)symbol;
    if (sort->count == SCAN_SORT_MAX) return -E2BIG;
    sort->count += summary_quote_of(event, &sort->quotes[sort->count]);
    return 0;
}

static int scan_quote_order(const void *a, const void *b)
{
    const struct summary_quote *one = a, *two = b;
    if (one->time_ns != two->time_ns) return one->time_ns < two->time_ns ? -1 : 1;
    return (one->id > two->id) - (one->id < two->id);
}

// A slice of time after the other, as long as it has no more quotes than can be sorted together.
static int scan_sort_symbol(struct scan_sort *sort)
{
    struct report *report = sort->scan.report;
    struct summary *summary = &report->symbols[sort->symbol].summary;
    const char *name = report->symbols[sort->symbol].name;
    int64_t length_ns = report->to_ns - report->from_ns;
    summary_spread_restart(summary);
    for (int64_t from_ns = report->from_ns; from_ns < report->to_ns;) {
        struct store_query query = scan_query(report, CHANNEL_QUOTE, from_ns);
        query.columns = SCAN_QUOTE_COLUMNS;
        query.symbols = &name;
        query.symbol_count = 1;
        query.time_to = report->to_ns - from_ns < length_ns ? report->to_ns : from_ns + length_ns;
        sort->count = 0;
        const int result = scan_run(&sort->scan, &query);
        if (result == -E2BIG && length_ns > 1) {
            length_ns /= 2;
            continue;
        }
        if (result < 0) return result;
        if (sort->count > 0)
            qsort(sort->quotes, sort->count, sizeof *sort->quotes, scan_quote_order);
        for (uint32_t i = 0; i < sort->count; i++) summary_spread(summary, &sort->quotes[i]);
        from_ns = query.time_to;
    }
    return 0;
}

static int scan_disordered(struct report *report)
{
    struct scan_sort sort = {.scan = {.report = report, .columns = SCAN_QUOTE_COLUMNS,
                                      .what = "quotes out of order", .take = scan_take_sorted,
                                      .wanted = scan_wants_sorted}};
    int result = 0;
    for (uint32_t i = 0; i < report->symbol_count && result == 0; i++) {
        if (!report->symbols[i].summary.disordered) continue;
        if (sort.quotes == NULL)
            sort.quotes = aligned_alloc(64, SCAN_SORT_MAX * sizeof *sort.quotes);
        sort.symbol = i;
        result = sort.quotes == NULL ? -ENOMEM : scan_sort_symbol(&sort);
    }
    free(sort.quotes);
    return result;
}

int report_scan_quotes(struct report *report)
{
    struct scan scan = {.report = report, .columns = SCAN_QUOTE_COLUMNS, .what = "quote",
                        .take = scan_take_quote, .wanted = scan_wants_quote};
    int result = 0;
    for (uint32_t d = 0; d < report->day_count && result == 0; d++) {
        struct store_query query =
            scan_query(report, CHANNEL_QUOTE, report->from_ns + d * REPORT_DAY_NS);
        query.columns = SCAN_QUOTE_COLUMNS;
        result = scan_run(&scan, &query);
    }
    return result == 0 ? scan_disordered(report) : result;
}
