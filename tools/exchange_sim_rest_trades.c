// SPDX-License-Identifier: GPL-3.0-or-later
//
// Pages of trades out of the market's history. Binance: oldest first, from an id or a time on.
// Upbit: newest first by sequential_id, behind a cursor, within one day (UTC).
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/exchange_sim_rest_inside.h"

#define DAY_US ((int64_t)86400000000)

enum {
    TRADES_LIMIT_DEFAULT = 500,
    TRADES_LIMIT_MAX = 1000,
    TICKS_LIMIT_DEFAULT = 1,
    TICKS_LIMIT_MAX = 500,
    TICKS_DAYS_MAX = 7,
    PAGE_MAX = 1 << 16,       // trades gathered for one page of ticks
    LATE_SECONDS = 2,         // a trade of Upbit arrives at most that late
    OVERLAP_MAX = 20,         // rows that rest_overlap begins too early
    USDM_SPAN_MS = 3600000,   // between startTime and endTime
};
#define MICROSECONDS_FROM ((int64_t)100000000000000) // a time parameter above is in microseconds

// ---- Binance ----

struct trade_page {
    struct exchange_sim_question *q;
    const struct exchange_sim_market_symbol *symbol;
    uint32_t number; // of the symbol
};

static void put_price(const struct trade_page *page, int64_t mantissa, int scale)
{
    exchange_sim_text_decimal(&page->q->body, mantissa, scale,
                              page->q->exchange == EXCHANGE_SIM_BINANCE ? 8 : scale);
}

static void put_time(const struct trade_page *page, int64_t us)
{
    exchange_sim_text_integer(&page->q->body, page->q->microseconds ? us : us / 1000);
}

static void put_trade(const struct trade_page *page, const struct exchange_sim_market_trade *trade)
{
    struct exchange_sim_text *body = &page->q->body;
    const struct exchange_sim_market_symbol *symbol = page->symbol;
    int const scale = symbol->price_scale + symbol->quantity_scale;
    EXCHANGE_SIM_TEXT(body, "{\"id\":");
    exchange_sim_text_integer(body, trade->id);
    EXCHANGE_SIM_TEXT(body, ",\"price\":\"");
    put_price(page, trade->price, symbol->price_scale);
    EXCHANGE_SIM_TEXT(body, "\",\"qty\":\"");
    put_price(page, trade->quantity, symbol->quantity_scale);
    EXCHANGE_SIM_TEXT(body, "\",\"quoteQty\":\"");
    ensure(scale <= 8);
    exchange_sim_text_decimal(body, trade->price * trade->quantity, scale, 8);
    EXCHANGE_SIM_TEXT(body, "\",\"time\":");
    put_time(page, trade->time_us);
    exchange_sim_text_string(body, trade->buyer_maker ? ",\"isBuyerMaker\":true"
                                                      : ",\"isBuyerMaker\":false");
    exchange_sim_text_string(body, page->q->exchange == EXCHANGE_SIM_BINANCE
                                       ? ",\"isBestMatch\":true}"
                                       : "}");
}

static void put_agg(const struct trade_page *page, const struct exchange_sim_market_agg *agg)
{
    struct exchange_sim_text *body = &page->q->body;
    EXCHANGE_SIM_TEXT(body, "{\"a\":");
    exchange_sim_text_integer(body, agg->id);
    EXCHANGE_SIM_TEXT(body, ",\"p\":\"");
    put_price(page, agg->price, page->symbol->price_scale);
    EXCHANGE_SIM_TEXT(body, "\",\"q\":\"");
    put_price(page, agg->quantity, page->symbol->quantity_scale);
    EXCHANGE_SIM_TEXT(body, "\",\"f\":");
    exchange_sim_text_integer(body, agg->first_id);
    EXCHANGE_SIM_TEXT(body, ",\"l\":");
    exchange_sim_text_integer(body, agg->last_id);
    EXCHANGE_SIM_TEXT(body, ",\"T\":");
    put_time(page, agg->time_us);
    exchange_sim_text_string(body, agg->buyer_maker ? ",\"m\":true" : ",\"m\":false");
    exchange_sim_text_string(body,
                             page->q->exchange == EXCHANGE_SIM_BINANCE ? ",\"M\":true}" : "}");
}

static bool page_open(struct exchange_sim_question *q, struct trade_page *page, int64_t *limit)
{
    uint32_t const number = exchange_sim_rest_symbol(q, "symbol");
    if (number == UINT32_MAX ||
        !exchange_sim_rest_number(q, "limit", TRADES_LIMIT_DEFAULT, limit))
        return false;
    if (*limit < 1 || *limit > TRADES_LIMIT_MAX)
        *limit = *limit < 1 ? TRADES_LIMIT_DEFAULT : TRADES_LIMIT_MAX;
    *page = (struct trade_page){
        .q = q,
        .symbol = exchange_sim_market_symbol(q->rest->market, number),
        .number = number,
    };
    return true;
}

// rest_overlap: rows before what was asked for, as many as there are.
static int64_t page_begin(const struct trade_page *page, int64_t from)
{
    int64_t const oldest = exchange_sim_market_oldest(page->symbol);
    if (page->q->fault.kind == EXCHANGE_SIM_FAULT_REST_OVERLAP)
        from -= 1 + (int64_t)(page->q->fault.random % OVERLAP_MAX);
    return from < oldest ? oldest : from;
}

// The newest trades, or those from an id on.
void exchange_sim_rest_trades(struct exchange_sim_question *q)
{
    struct trade_page page;
    int64_t limit;
    int64_t from_id;
    if (!page_open(q, &page, &limit) || !exchange_sim_rest_number(q, "fromId", -1, &from_id))
        return;
    const struct exchange_sim_market_symbol *symbol = page.symbol;
    bool const historical = q->path_size > 16 &&
                            memcmp(q->path + q->path_size - 16, "historicalTrades", 16) == 0;
    int64_t from = symbol->trade_count - limit;
    if (historical && from_id >= 0)
        from = exchange_sim_market_search(symbol, MARKET_BY_ID, from_id);
    from = page_begin(&page, from);
    int64_t count = symbol->trade_count - from;
    count = exchange_sim_rest_page(q, count < limit ? count : limit);
    EXCHANGE_SIM_TEXT(&q->body, "[");
    for (int64_t n = from; n < from + count; n++) {
        if (n > from)
            EXCHANGE_SIM_TEXT(&q->body, ",");
        put_trade(&page, exchange_sim_market_trade_at(symbol, n));
    }
    EXCHANGE_SIM_TEXT(&q->body, "]");
}

struct agg_range {
    int64_t from_id;
    int64_t start;
    int64_t end;
    int64_t limit;
};

// In microseconds, whichever unit the client used; the end of a millisecond is its last
// microsecond.
static int64_t time_parameter(int64_t value, bool end)
{
    if (value < 0 || value >= MICROSECONDS_FROM)
        return value;
    return value * 1000 + (end ? 999 : 0);
}

static bool agg_range(struct exchange_sim_question *q, struct agg_range *range)
{
    if (!exchange_sim_rest_number(q, "fromId", -1, &range->from_id) ||
        !exchange_sim_rest_number(q, "startTime", -1, &range->start) ||
        !exchange_sim_rest_number(q, "endTime", -1, &range->end))
        return false;
    if (range->from_id >= 0 && (range->start >= 0 || range->end >= 0)) {
        exchange_sim_rest_failure(q, 400, -1128, "Combination of optional parameters invalid.");
        return false;
    }
    range->start = time_parameter(range->start, false);
    range->end = time_parameter(range->end, true);
    if (q->exchange == EXCHANGE_SIM_USDM && range->start >= 0 &&
        range->end - range->start > (int64_t)USDM_SPAN_MS * 1000) {
        exchange_sim_rest_failure(q, 400, -4168, "Time range must be within one hour.");
        return false;
    }
    return true;
}

// Number of the trade that the newest `limit` aggregate trades up to `behind` begin with.
static int64_t agg_newest(const struct exchange_sim_market_symbol *symbol, int64_t behind,
                          int64_t limit)
{
    int64_t const oldest = exchange_sim_market_oldest(symbol);
    int64_t from = behind;
    for (int64_t found = 0; found < limit && from > oldest;)
        found += exchange_sim_market_trade_at(symbol, --from)->agg_start;
    return from;
}

static int64_t agg_begin(const struct trade_page *page, const struct agg_range *range)
{
    const struct exchange_sim_market_symbol *symbol = page->symbol;
    if (range->from_id >= 0)
        return exchange_sim_market_search(symbol, MARKET_BY_AGG, range->from_id);
    if (range->start >= 0)
        return exchange_sim_market_search(symbol, MARKET_BY_TIME, range->start);
    int64_t const behind =
        range->end < 0 ? symbol->trade_count
                       : exchange_sim_market_search(symbol, MARKET_BY_TIME, range->end + 1);
    return agg_newest(symbol, behind, range->limit);
}

// Where rest_short cuts the page off: the rows that it would have are counted first.
static int64_t agg_rows(const struct trade_page *page, const struct agg_range *range, int64_t from,
                        bool put, int64_t most)
{
    struct exchange_sim_question *q = page->q;
    int64_t rows = 0;
    for (int64_t n = from; n < page->symbol->trade_count && rows < most;) {
        struct exchange_sim_market_agg agg;
        bool whole;
        n = exchange_sim_market_agg_at(q->rest->market, page->number, n, &agg, &whole);
        if (range->end >= 0 && agg.time_us > range->end)
            break;
        if (!whole)
            continue;
        if (put && rows > 0)
            EXCHANGE_SIM_TEXT(&q->body, ",");
        if (put)
            put_agg(page, &agg);
        rows++;
    }
    return rows;
}

void exchange_sim_rest_agg_trades(struct exchange_sim_question *q)
{
    struct trade_page page;
    struct agg_range range = {0};
    if (!page_open(q, &page, &range.limit) || !agg_range(q, &range))
        return;
    int64_t const from = page_begin(&page, agg_begin(&page, &range));
    int64_t const rows = agg_rows(&page, &range, from, false, range.limit);
    EXCHANGE_SIM_TEXT(&q->body, "[");
    (void)agg_rows(&page, &range, from, true, exchange_sim_rest_page(q, rows));
    EXCHANGE_SIM_TEXT(&q->body, "]");
}

// ---- Upbit ----

struct ticks_range {
    int64_t from_us;
    int64_t to_us; // exclusive
    int64_t cursor; // exclusive; -1: none
    int64_t count;
};

// HHmmss or HH:mm:ss: seconds of the day, -1 where it is neither.
static int64_t clock_of(const char *text)
{
    char digits[7] = {0};
    size_t const size = strlen(text);
    if (size == 8 && text[2] == ':' && text[5] == ':') {
        memcpy(digits, text, 2);
        memcpy(digits + 2, text + 3, 2);
        memcpy(digits + 4, text + 6, 2);
    } else if (size == 6) {
        memcpy(digits, text, 6);
    }
    int64_t const value = exchange_sim_text_number(digits, -1);
    int64_t const hours = value / 10000;
    int64_t const minutes = value / 100 % 100;
    if (value < 0 || hours > 23 || minutes > 59 || value % 100 > 59)
        return -1;
    return hours * 3600 + minutes * 60 + value % 100;
}

static bool ticks_range(struct exchange_sim_question *q, struct ticks_range *range)
{
    char to[EXCHANGE_SIM_VALUE_SIZE];
    int64_t days;
    if (!exchange_sim_rest_number(q, "days_ago", 0, &days) ||
        !exchange_sim_rest_number(q, "cursor", -1, &range->cursor) ||
        !exchange_sim_rest_number(q, "count", TICKS_LIMIT_DEFAULT, &range->count))
        return false;
    if (days > TICKS_DAYS_MAX || range->count < 1 || range->count > TICKS_LIMIT_MAX) {
        exchange_sim_rest_failure(q, 400, 0, "days_ago or count is out of range");
        return false;
    }
    range->from_us = (q->utc_ns / 1000 / DAY_US - days) * DAY_US;
    range->to_us = range->from_us + DAY_US;
    if (!exchange_sim_rest_parameter(q, "to", to) || to[0] == '\0')
        return true;
    int64_t const second = clock_of(to);
    if (second < 0) {
        exchange_sim_rest_failure(q, 400, 0, "to is not HHmmss");
        return false;
    }
    range->to_us = range->from_us + second * 1000000;
    return true;
}

static int newest_first(const void *left, const void *right)
{
    const struct exchange_sim_market_trade *a = left;
    const struct exchange_sim_market_trade *b = right;
    return a->id > b->id ? -1 : a->id < b->id;
}

static bool tick_wanted(const struct ticks_range *range,
                        const struct exchange_sim_market_trade *trade)
{
    return trade->time_us >= range->from_us && trade->time_us < range->to_us &&
           (range->cursor < 0 || trade->id < range->cursor);
}

// Trades lie in the order of arrival, a few of them late: looks back until none can belong to the
// page any more, then sorts.
static int64_t ticks_gather(const struct exchange_sim_market_symbol *symbol,
                            const struct ticks_range *range,
                            struct exchange_sim_market_trade *page)
{
    int64_t count = 0;
    int64_t enough_us = INT64_MIN;
    for (int64_t n = symbol->trade_count - 1; n >= exchange_sim_market_oldest(symbol); n--) {
        const struct exchange_sim_market_trade *trade = exchange_sim_market_trade_at(symbol, n);
        if (trade->time_us < enough_us ||
            trade->time_us < range->from_us - (int64_t)LATE_SECONDS * 1000000 || count == PAGE_MAX)
            break;
        if (!tick_wanted(range, trade))
            continue;
        page[count++] = *trade;
        if (count == range->count)
            enough_us = trade->time_us - (int64_t)LATE_SECONDS * 1000000;
    }
    qsort(page, (size_t)count, sizeof *page, newest_first);
    return count < range->count ? count : range->count;
}

static void put_tick(struct exchange_sim_question *q,
                     const struct exchange_sim_market_symbol *symbol,
                     const struct exchange_sim_market_trade *trade)
{
    struct exchange_sim_calendar const c = exchange_sim_text_calendar(trade->time_us);
    struct exchange_sim_text *body = &q->body;
    EXCHANGE_SIM_TEXT(body, "{\"market\":\"");
    exchange_sim_text_string(body, symbol->name);
    EXCHANGE_SIM_TEXT(body, "\",\"trade_date_utc\":\"");
    exchange_sim_text_date(body, &c, "-");
    EXCHANGE_SIM_TEXT(body, "\",\"trade_time_utc\":\"");
    exchange_sim_text_clock(body, &c, ":");
    EXCHANGE_SIM_TEXT(body, "\",\"timestamp\":");
    exchange_sim_text_integer(body, trade->time_us / 1000);
    EXCHANGE_SIM_TEXT(body, ",\"trade_price\":");
    exchange_sim_text_double(body, trade->price, symbol->price_scale);
    EXCHANGE_SIM_TEXT(body, ",\"trade_volume\":");
    exchange_sim_text_double(body, trade->quantity, symbol->quantity_scale);
    EXCHANGE_SIM_TEXT(body, ",\"prev_closing_price\":");
    exchange_sim_text_double(body, symbol->open, symbol->price_scale);
    EXCHANGE_SIM_TEXT(body, ",\"change_price\":");
    exchange_sim_text_double(body, trade->price - symbol->open, symbol->price_scale);
    exchange_sim_text_string(body, trade->buyer_maker ? ",\"ask_bid\":\"ASK\""
                                                      : ",\"ask_bid\":\"BID\"");
    EXCHANGE_SIM_TEXT(body, ",\"sequential_id\":");
    exchange_sim_text_integer(body, trade->id);
    EXCHANGE_SIM_TEXT(body, "}");
}

// rest_overlap: the page begins with rows the cursor should have left out.
static void ticks_overlap(const struct exchange_sim_question *q,
                          const struct exchange_sim_market_symbol *symbol,
                          struct ticks_range *range)
{
    if (q->fault.kind != EXCHANGE_SIM_FAULT_REST_OVERLAP || range->cursor < 0)
        return;
    struct exchange_sim_market_trade *page = q->rest->page;
    int64_t const earliest_us = range->cursor / 10000 * 1000 - (int64_t)LATE_SECONDS * 1000000;
    int64_t count = 0;
    for (int64_t n = symbol->trade_count - 1; n >= exchange_sim_market_oldest(symbol); n--) {
        const struct exchange_sim_market_trade *trade = exchange_sim_market_trade_at(symbol, n);
        if (trade->time_us < earliest_us || count == PAGE_MAX)
            break;
        if (trade->id >= range->cursor)
            page[count++] = *trade;
    }
    qsort(page, (size_t)count, sizeof *page, newest_first);
    int64_t const rows = 1 + (int64_t)(q->fault.random % OVERLAP_MAX);
    if (count > 0)
        range->cursor = page[count > rows ? count - rows : 0].id + 1;
}

void exchange_sim_rest_ticks(struct exchange_sim_question *q)
{
    struct ticks_range range;
    uint32_t const number = exchange_sim_rest_symbol(q, "market");
    if (number == UINT32_MAX || !ticks_range(q, &range))
        return;
    const struct exchange_sim_market_symbol *symbol =
        exchange_sim_market_symbol(q->rest->market, number);
    ticks_overlap(q, symbol, &range);
    int64_t const found = ticks_gather(symbol, &range, q->rest->page);
    int64_t const count = exchange_sim_rest_page(q, found);
    EXCHANGE_SIM_TEXT(&q->body, "[");
    for (int64_t i = 0; i < count; i++) {
        if (i > 0)
            EXCHANGE_SIM_TEXT(&q->body, ",");
        put_tick(q, symbol, &q->rest->page[i]);
    }
    EXCHANGE_SIM_TEXT(&q->body, "]");
}
