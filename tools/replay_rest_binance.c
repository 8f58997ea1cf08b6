// SPDX-License-Identifier: GPL-3.0-or-later
//
// Binance over REST, spot and futures.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/replay_rest.h"
#include "tools/replay_text.h"
#include "tools/ringtape_book_find.h"
#include "tools/ringtape_command.h"

#define SECOND_NS ((int64_t)1000000000)
#define AHEAD_NS (5 * SECOND_NS) // a recorded snapshot may be so much newer than the clock

enum {
    DEPTH_LIMIT_SPOT = 100,
    DEPTH_LIMIT_USDM = 500,
    DEPTH_LIMIT_MAX = 5000,
    PAGE_DEFAULT = 500,
};

static void put_time(struct replay_question *q, int64_t time_ns)
{
    exchange_sim_text_integer(&q->body, time_ns / (q->microseconds ? 1000 : 1000000));
}

static void answer_ping(struct replay_question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "{}");
}

static void answer_time(struct replay_question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "{\"serverTime\":");
    put_time(q, replay_rest_clock_ns(q->rest));
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

// A symbol that no instrument was recorded of.
static void put_unknown(struct replay_question *q, const char *name)
{
    replay_rest_comma(q);
    EXCHANGE_SIM_TEXT(&q->body, "{\"symbol\":");
    exchange_sim_text_quoted(&q->body, name, (uint32_t)strlen(name));
    EXCHANGE_SIM_TEXT(&q->body, ",\"status\":\"TRADING\"}");
}

static void answer_info(struct replay_question *q)
{
    EXCHANGE_SIM_TEXT(&q->body, "{\"timezone\":\"UTC\",\"serverTime\":");
    put_time(q, replay_rest_clock_ns(q->rest));
    EXCHANGE_SIM_TEXT(&q->body, ",\"rateLimits\":[],\"exchangeFilters\":[],\"symbols\":[");
    replay_rest_instruments(q, put_unknown);
    if (q->status == 200) EXCHANGE_SIM_TEXT(&q->body, "]}");
}

// ---- trades ----

struct page_row {
    int64_t id;
    char *text;
    uint32_t size;
};

// The rows of a page with the smallest ids from `from` on.
struct page {
    struct replay_question *q;
    uint32_t (*render)(const struct replay_row *row, char *out);
    int id_column;
    struct page_row *rows; // [capacity]
    uint32_t count, capacity;
};

static bool page_row(void *context, const struct replay_row *row)
{
    struct page *page = context;
    if (page->count == page->capacity) {
        const uint32_t capacity = page->capacity * 2 + 64;
        void *grown = realloc(page->rows, capacity * sizeof page->rows[0]);
        if (grown == NULL) return false;
        page->rows = grown;
        page->capacity = capacity;
    }
    const uint32_t size = page->render(row, page->q->rest->element);
    char *text = malloc(size);
    if (text == NULL) return false;
    memcpy(text, page->q->rest->element, size);
    page->rows[page->count++] =
        (struct page_row){replay_value(row, page->id_column), text, size};
    return true;
}

static int page_order(const void *left, const void *right)
{
    const struct page_row *a = left, *b = right;
    return (a->id > b->id) - (a->id < b->id);
}

static void page_put(struct page *page, uint32_t limit)
{
    struct replay_question *q = page->q;
    if (page->count > 0) qsort(page->rows, page->count, sizeof page->rows[0], page_order);
    EXCHANGE_SIM_TEXT(&q->body, "[");
    for (uint32_t i = 0; i < page->count; i++) {
        if (i < limit) {
            replay_rest_comma(q);
            exchange_sim_text_bytes(&q->body, page->rows[i].text, page->rows[i].size);
        }
        free(page->rows[i].text);
    }
    EXCHANGE_SIM_TEXT(&q->body, "]");
    free(page->rows);
}

static void page_clear(struct page *page)
{
    for (uint32_t i = 0; i < page->count; i++) free(page->rows[i].text);
    page->count = 0;
}

// Ids follow each other but for holes: as many ids as rows are asked for are looked through, and
// ever more while there are too few.
static void page_by_id(struct page *page, enum channel channel, const char *name, int64_t from,
                       int64_t last, uint32_t limit)
{
    int64_t span = limit;
    for (;;) {
        const int64_t to = last - from < span ? last : from + span - 1;
        const struct store_predicate ids = {.column = page->id_column, .min = from, .max = to};
        struct store_query query = store_query_all(channel);
        query.predicates = &ids;
        query.predicate_count = 1;
        query.time_to = page->q->rest->player->clock_ns + 1;
        page_clear(page);
        replay_rest_rows(page->q, &query, name, page_row, page);
        if (page->q->status != 200 || page->count >= limit || to == last) return;
        span *= 8;
    }
}

// Over all rows: a walk without a question to the index takes as long as the symbol is large, so
// ids are what is asked for, where it can be.
static void answer_page(struct replay_question *q, enum channel channel)
{
    const bool agg = channel == CHANNEL_AGG_TRADE;
    char name[256];
    uint32_t number;
    if (!replay_rest_symbol(q, "symbol", name, &number)) return;
    const struct replay_symbol *symbol = replay_streams_symbol(q->rest->streams, number);
    const int64_t last = agg ? symbol->agg_id : symbol->trade_id;
    int64_t limit = replay_rest_number(q, "limit", PAGE_DEFAULT);
    limit = limit < 1 ? 1 : limit > REPLAY_REST_PAGE_MAX ? REPLAY_REST_PAGE_MAX : limit;
    int64_t from = replay_rest_number(q, "fromId", -1);
    const int64_t start = replay_rest_number(q, "startTime", -1);
    const int64_t end = replay_rest_number(q, "endTime", -1);
    struct page page = {
        .q = q,
        .render = agg ? replay_json_rest_agg_trade : replay_json_rest_trade,
        .id_column = agg ? (int)AGG_TRADE_ID : (int)TRADE_ID,
    };
    if (from < 0 && (start >= 0 || end >= 0)) {
        // Milliseconds or microseconds, as docs/fields.md tells them apart.
        const int64_t unit = (start > end ? start : end) >= 100000000000000 ? 1000 : 1000000;
        struct store_query query = store_query_all(channel);
        query.time_to = q->rest->player->clock_ns + 1;
        if (start >= 0) query.time_from = start * unit;
        if (end >= 0 && (end + 1) * unit < query.time_to) query.time_to = (end + 1) * unit;
        if (query.time_from < query.time_to)
            replay_rest_rows(q, &query, name, page_row, &page);
    } else if (last > 0) {
        if (from < 0) from = last - limit + 1;
        if (from <= last) page_by_id(&page, channel, name, from, last, (uint32_t)limit);
    }
    if (q->status == 200) {
        page_put(&page, (uint32_t)limit);
        return;
    }
    page_clear(&page);
    free(page.rows);
}

static void answer_trades(struct replay_question *q)
{
    answer_page(q, CHANNEL_TRADE);
}

static void answer_agg_trades(struct replay_question *q)
{
    answer_page(q, CHANNEL_AGG_TRADE);
}

// ---- the day's ids ----

static void put_day(struct replay_question *q, uint32_t number)
{
    const struct replay_symbol *symbol = replay_streams_symbol(q->rest->streams, number);
    const struct event_text wire = replay_streams_wire(q->rest->streams, number);
    const bool any = symbol->trade_id > 0;
    replay_rest_comma(q);
    EXCHANGE_SIM_TEXT(&q->body, "{\"symbol\":");
    exchange_sim_text_quoted(&q->body, (const char *)wire.bytes, wire.size);
    EXCHANGE_SIM_TEXT(&q->body, ",\"closeTime\":");
    put_time(q, replay_rest_clock_ns(q->rest));
    EXCHANGE_SIM_TEXT(&q->body, ",\"firstId\":");
    exchange_sim_text_integer(&q->body, any ? symbol->trade_first : -1);
    EXCHANGE_SIM_TEXT(&q->body, ",\"lastId\":");
    exchange_sim_text_integer(&q->body, any ? symbol->trade_id : -1);
    EXCHANGE_SIM_TEXT(&q->body, ",\"count\":");
    exchange_sim_text_integer(&q->body, any ? symbol->trade_id - symbol->trade_first + 1 : 0);
    EXCHANGE_SIM_TEXT(&q->body, "}");
}

static void answer_day(struct replay_question *q)
{
    char value[REPLAY_REST_VALUE_BYTES], name[256];
    uint32_t number;
    if (replay_rest_parameter(q, "symbol", value)) {
        if (replay_rest_symbol(q, "symbol", name, &number)) put_day(q, number);
        return;
    }
    EXCHANGE_SIM_TEXT(&q->body, "[");
    for (uint32_t i = 0; i < q->rest->streams->names->count; i++)
        if (replay_streams_symbol(q->rest->streams, i)->exchange == q->exchange) put_day(q, i);
    EXCHANGE_SIM_TEXT(&q->body, "]");
}

// ---- depth ----

struct depth_search {
    struct replay_question *q;
    const struct replay_symbol *symbol;
    int64_t until_ns;     // rows received later do not count
    int64_t least_id;     // of a recorded snapshot that may be given
    int64_t found_id;     // 0: none
    uint32_t size;        // of what was rendered
};

static int64_t received(const struct replay_row *row)
{
    return replay_has(row, COLUMN_RECEIVE_TIME) ? replay_value(row, COLUMN_RECEIVE_TIME)
                                                : rows_time_ns(row->rows, row->row);
}

// The earliest recorded one that fits, not given before.
static bool recorded_row(void *context, const struct replay_row *row)
{
    struct depth_search *search = context;
    const int64_t id = replay_value(row, BOOK_LAST_ID);
    if (received(row) > search->until_ns || id < search->least_id ||
        id <= search->symbol->depth_given)
        return true;
    if (search->found_id != 0 && search->found_id <= id) return true;
    search->size = replay_json_rest_depth(row, search->q->rest->element);
    search->found_id = search->size > 0 ? id : 0;
    return true;
}

static const struct store_predicate is_rest = {
    .column = BOOK_SOURCE, .min = BOOK_SOURCE_REST, .max = BOOK_SOURCE_REST};

static void put_side(struct replay_question *q, const struct book_levels *levels, int side,
                     int64_t limit)
{
    char text[REPLAY_DECIMAL_BYTES_MAX];
    struct book_level *sorted;
    uint32_t count;
    const uint8_t places = q->exchange == EXCHANGE_SIM_BINANCE ? 8 : 0;
    if (book_levels_sorted(levels, side, &sorted, &count) != 0) {
        q->body.full = true;
        return;
    }
    for (uint32_t i = 0; i < count && i < limit; i++) {
        replay_rest_comma(q);
        EXCHANGE_SIM_TEXT(&q->body, "[\"");
        char *end = replay_decimal(text, sorted[i].price, levels->price_scale, places);
        exchange_sim_text_bytes(&q->body, text, (uint32_t)(end - text));
        EXCHANGE_SIM_TEXT(&q->body, "\",\"");
        end = replay_decimal(text, sorted[i].quantity, levels->quantity_scale, places);
        exchange_sim_text_bytes(&q->body, text, (uint32_t)(end - text));
        EXCHANGE_SIM_TEXT(&q->body, "\"]");
    }
    free(sorted);
}

static void put_book(struct replay_question *q, const struct book_found *found, int64_t limit)
{
    EXCHANGE_SIM_TEXT(&q->body, "{\"lastUpdateId\":");
    exchange_sim_text_integer(&q->body, found->last_id);
    if (q->exchange == EXCHANGE_SIM_USDM) {
        EXCHANGE_SIM_TEXT(&q->body, ",\"E\":");
        put_time(q, replay_rest_clock_ns(q->rest));
        EXCHANGE_SIM_TEXT(&q->body, ",\"T\":");
        put_time(q, replay_rest_clock_ns(q->rest));
    }
    EXCHANGE_SIM_TEXT(&q->body, ",\"bids\":[");
    put_side(q, &found->levels, 0, limit);
    EXCHANGE_SIM_TEXT(&q->body, "],\"asks\":[");
    put_side(q, &found->levels, 1, limit);
    EXCHANGE_SIM_TEXT(&q->body, "]}");
}

// As of the last message that was played.
static void answer_made(struct replay_question *q, const struct replay_symbol *symbol,
                        const char *name, int64_t limit)
{
    struct book_found found;
    if (symbol->depth_time == 0) {
        replay_rest_failure(q, 503, -1000, "Nothing of this book was played yet.");
        return;
    }
    if (store_refresh(q->rest->store, NULL) != 0) {
        replay_rest_failure(q, 503, -1000, "The store cannot be read now.");
        return;
    }
    int result = book_find(q->rest->store, name, symbol->depth_time, &found);
    if (result == 0) {
        // Nothing is stored behind it: then it must be the newest one.
        book_found_free(&found);
        result = book_find(q->rest->store, name, BOOK_NEWEST, &found);
        if (result > 0 && found.last_id != symbol->depth_last) {
            result = 0;
            (void)snprintf(found.why, sizeof found.why, "The book as of now is not known yet.");
        }
    }
    if (result > 0) put_book(q, &found, limit);
    else if (result == 0) replay_rest_failure(q, 503, -1000, found.why);
    else replay_rest_failure(q, 503, -1000, ringtape_error_text(result));
    book_found_free(&found);
}

static void answer_depth(struct replay_question *q)
{
    char name[256];
    uint32_t number;
    int64_t limit = replay_rest_number(
        q, "limit", q->exchange == EXCHANGE_SIM_BINANCE ? DEPTH_LIMIT_SPOT : DEPTH_LIMIT_USDM);
    limit = limit < 1 ? 1 : limit > DEPTH_LIMIT_MAX ? DEPTH_LIMIT_MAX : limit;
    if (!replay_rest_symbol(q, "symbol", name, &number)) return;
    struct replay_symbol *symbol = &q->rest->streams->symbols[number];
    const int64_t clock_ns = q->rest->player->clock_ns;
    struct depth_search search = {.q = q, .symbol = symbol, .until_ns = clock_ns + AHEAD_NS};
    // Who has not seen a message yet is given what was recorded about now.
    const bool follows = symbol->depth_first > 0;
    search.least_id = follows ? symbol->depth_first - 1 : 0;
    const int64_t from_ns = follows ? INT64_MIN : clock_ns - AHEAD_NS;
    struct store_query query = store_query_all(CHANNEL_BOOK);
    query.predicates = &is_rest;
    query.predicate_count = 1;
    // With a lag, times of the exchange and of receipt are far apart: rows are judged one by one.
    if (replay_reader_lag_ns(q->rest->player->reader) == 0) {
        query.time_from = from_ns;
        query.time_to = clock_ns + AHEAD_NS + 1;
    }
    replay_rest_rows(q, &query, name, recorded_row, &search);
    if (search.found_id == 0) {
        answer_made(q, symbol, name, limit);
        return;
    }
    symbol->depth_given = search.found_id;
    exchange_sim_text_bytes(&q->body, q->rest->element, search.size);
}

void replay_rest_binance(struct replay_question *q)
{
    static const struct {
        const char *path;
        void (*answer)(struct replay_question *q);
    } endpoints[] = {
        {"ping", answer_ping},
        {"time", answer_time},
        {"exchangeInfo", answer_info},
        {"depth", answer_depth},
        {"ticker/24hr", answer_day},
        {"trades", answer_trades},
        {"historicalTrades", answer_trades},
        {"aggTrades", answer_agg_trades},
    };
    ensure(q->exchange != EXCHANGE_SIM_UPBIT);
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++)
        if (strlen(endpoints[i].path) == q->path_size &&
            memcmp(endpoints[i].path, q->path, q->path_size) == 0) {
            endpoints[i].answer(q);
            return;
        }
    replay_rest_failure(q, 404, -1000, "Not found.");
}
