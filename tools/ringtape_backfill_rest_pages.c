// SPDX-License-Identifier: GPL-3.0-or-later
//
// What is asked for and how the answers become rows: by the readers of the dialects (history.h)
// where repair has the same question, else here.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/strict.h"
#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_backfill_rest_inside.h"
#include "tools/ringtape_command.h"

#define MS_NS 1000000
#define HOUR_NS 3600000000000ll
#define DAY_NS (24 * HOUR_NS)
#define LATE_NS 10000000000ll // a trade of Upbit may be told so late
enum { KLINE_WEIGHT = 2, KLINE_WEIGHT_USDM = 5, KLINE_CELLS = 12, AGG_WEIGHT_USDM = 20,
       AGG_WEIGHT = 4 };

static const char *root_of(const struct backfill_rest *rest)
{
    return rest->options.venue == BACKFILL_USDM ? "/fapi/v1" : "/api/v3";
}

static bool refuse_answer(struct backfill_rest *rest)
{
    return backfill_rest_fail(rest, BACKFILL_REFUSED, "an answer that is not as documented");
}

static int64_t time_of(const struct event *event)
{
    return event->value[event->channel == CHANNEL_AGG_TRADE ? (int)AGG_TRADE_TIME
                                                            : (int)TRADE_TIME];
}

// ---- trades ----

// A row of a page: those of the day are gathered.
static void take_row(void *context, struct event *event, struct json_slice symbol, int64_t id)
{
    struct backfill_rest *rest = context;
    (void)symbol;
    rest->count++;
    rest->disordered |= id <= rest->last;
    rest->last = id;
    if (event == NULL || rest->disordered || rest->result != BACKFILL_DONE) return;
    const int64_t time_ns = time_of(event);
    rest->behind |= time_ns >= rest->job->to_ns;
    if (time_ns < rest->job->from_ns || time_ns >= rest->job->to_ns) return;
    event->symbol = 0;
    event_set(event, COLUMN_FLAGS, EVENT_BACKFILLED);
    if (rows_append(&rest->rows, event)) return;
    if (backfill_rest_flush(rest)) ensure(rows_append(&rest->rows, event));
}

static bool read_page(struct backfill_rest *rest, const struct history_ask *ask, history_row *each)
{
    char path[REST_PATH_BYTES];
    rest->count = 0;
    ensure(rest->history->path(ask, path, sizeof path) > 0);
    if (!backfill_rest_get(rest, path, rest->history->weight(ask))) return false;
    if (rest->history->read(ask, (const uint8_t *)rest->request.text,
                            (uint32_t)rest->request.text_size, each, rest) != 0)
        return refuse_answer(rest);
    if (rest->disordered)
        return backfill_rest_fail(rest, BACKFILL_REFUSED, "an answer with ids that do not rise");
    return rest->result == BACKFILL_DONE;
}

struct first { // of an aggregate trade
    int64_t agg, trade, time_ns;
};

static bool take_first(const struct json_value *row, void *context)
{
    struct first *first = context;
    int64_t time;
    return history_integer(row, "a", &first->agg) && history_integer(row, "f", &first->trade) &&
           history_integer(row, "T", &time) && strict_time_ns(time, &first->time_ns);
}

// The first aggregate trade from a time on; trade 0: none.
static bool find_first(struct backfill_rest *rest, struct first *first)
{
    char path[REST_PATH_BYTES];
    *first = (struct first){0};
    (void)snprintf(path, sizeof path, "%s/aggTrades?symbol=%s&startTime=%" PRId64 "&limit=1",
                   root_of(rest), rest->symbol, rest->job->from_ns / MS_NS);
    if (!backfill_rest_get(rest, path,
                           rest->options.venue == BACKFILL_USDM ? AGG_WEIGHT_USDM : AGG_WEIGHT))
        return false;
    if (history_rows((const uint8_t *)rest->request.text, (uint32_t)rest->request.text_size,
                     take_first, first) != 0)
        return refuse_answer(rest);
    return true;
}

bool backfill_rest_binance_trades(struct backfill_rest *rest)
{
    const bool agg = rest->job->key.channel == CHANNEL_AGG_TRADE;
    struct first first;
    if (!find_first(rest, &first)) return false;
    if (first.agg == 0 || first.time_ns >= rest->job->to_ns) return true;
    struct history_ask ask = {.kind = agg ? HISTORY_AGG_TRADES : HISTORY_TRADES,
                              .symbol = rest->symbol,
                              .first = agg ? first.agg : first.trade,
                              .count = rest->history->page,
                              .second_of_day = -1};
    rest->behind = rest->disordered = false;
    rest->last = ask.first - 1;
    do {
        if (!read_page(rest, &ask, take_row)) return false;
        ask.first = rest->last + 1;
        if (rest->job->progress != NULL) rest->job->progress(rest->job->context, 0);
    } while (rest->count > 0 && !rest->behind);
    return true;
}

// ---- Upbit's trades ----

static int row_order(const void *left, const void *right, void *context)
{
    const struct rows *rows = context;
    const int64_t a = rows->value[TRADE_ID][*(const uint32_t *)left];
    const int64_t b = rows->value[TRADE_ID][*(const uint32_t *)right];
    return (a > b) - (a < b);
}

// What was gathered, newest first, in the order of ids, without those that two pages had.
static bool flush_hour(struct backfill_rest *rest)
{
    struct rows *rows = &rest->rows;
    const struct rows_limits limits = {.rows = rows->count + 1, .text_bytes = 1};
    uint32_t *index = calloc(rows->count + 1u, sizeof *index);
    void *memory = aligned_alloc(64, (rows_memory_bytes(rows->schema, &limits) + 63) / 64 * 64);
    struct rows sorted;
    bool good = index != NULL && memory != NULL;
    if (good) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < rows->count; i++) index[i] = i;
        if (rows->count > 0) qsort_r(index, rows->count, sizeof *index, row_order, rows);
        for (uint32_t i = 0; i < rows->count; i++)
            if (kept == 0 || row_order(&index[kept - 1], &index[i], rows) != 0)
                index[kept++] = index[i];
        rows_init(&sorted, rows->schema, &limits, memory);
        rows_append_selected(&sorted, rows, index, kept);
        rest->result = backfill_sieve_take(rest->sieve, &sorted);
        rows_clear(rows);
    } else {
        (void)backfill_rest_fail(rest, BACKFILL_FAILED, "out of memory");
    }
    free(index);
    free(memory);
    return good && rest->result == BACKFILL_DONE;
}

struct hour {
    struct backfill_rest *rest;
    int64_t from_ns, to_ns;
    int64_t lowest; // cursor
    bool before;    // a row is so old that nothing of the hour can follow
    bool full;
};

static void take_tick(void *context, struct event *event, struct json_slice symbol, int64_t id)
{
    struct hour *hour = context;
    struct backfill_rest *rest = hour->rest;
    const int64_t time_ns = event->value[TRADE_TIME];
    (void)symbol;
    rest->count++;
    if (hour->lowest == 0 || id < hour->lowest) hour->lowest = id;
    hour->before |= time_ns < hour->from_ns - LATE_NS;
    if (time_ns < hour->from_ns || time_ns >= hour->to_ns) return;
    event->symbol = 0;
    event_set(event, COLUMN_FLAGS, EVENT_BACKFILLED);
    hour->full |= !rows_append(&rest->rows, event);
}

// Back from the end of the hour, or of what of it is over.
static bool take_hour(struct backfill_rest *rest, int64_t from_ns, int64_t to_ns)
{
    struct hour hour = {.rest = rest, .from_ns = from_ns, .to_ns = to_ns};
    const int64_t day_ns = from_ns - from_ns % DAY_NS;
    const int64_t today_ns = ringtape_now_ns() - ringtape_now_ns() % DAY_NS;
    const int64_t end_s = (from_ns - day_ns) / 1000000000 + 3600;
    struct history_ask ask = {.kind = HISTORY_TRADES,
                              .symbol = rest->symbol,
                              .count = rest->history->page,
                              .days_ago = (uint32_t)((today_ns - day_ns) / DAY_NS),
                              .second_of_day = end_s < 86400 ? (int32_t)end_s : -1};
    char path[REST_PATH_BYTES];
    do {
        rest->count = 0;
        ask.first = hour.lowest;
        ensure(rest->history->path(&ask, path, sizeof path) > 0);
        if (!backfill_rest_get(rest, path, 1)) return false;
        if (rest->history->read(&ask, (const uint8_t *)rest->request.text,
                                (uint32_t)rest->request.text_size, take_tick, &hour) != 0)
            return refuse_answer(rest);
        if (hour.full)
            return backfill_rest_fail(rest, BACKFILL_REFUSED, "too many trades within an hour");
        if (rest->job->progress != NULL) rest->job->progress(rest->job->context, 0);
    } while (rest->count > 0 && !hour.before);
    return flush_hour(rest);
}

bool backfill_rest_upbit_trades(struct backfill_rest *rest)
{
    const struct backfill_job *job = rest->job;
    if (job->from_ns < ringtape_now_ns() - (int64_t)rest->history->days_back * DAY_NS)
        return backfill_rest_fail(rest, BACKFILL_REFUSED,
                                  "Upbit tells trades of the last seven days only");
    for (int64_t hour_ns = job->from_ns; hour_ns < job->to_ns; hour_ns += HOUR_NS) {
        const int64_t end_ns = hour_ns + HOUR_NS < job->to_ns ? hour_ns + HOUR_NS : job->to_ns;
        if (!take_hour(rest, hour_ns, end_ns)) return false;
    }
    return true;
}

// ---- klines ----

static bool set_decimal(struct event *event, int column, const struct json_value *value)
{
    int64_t mantissa;
    uint8_t scale;
    if (json_decimal(value, &mantissa, &scale, NULL) != JSON_OK) return false;
    event_set_decimal(event, column, mantissa, scale);
    return true;
}

static void begin_kline(const struct backfill_rest *rest, struct event *event)
{
    const char *interval = rest->job->key.interval;
    event_clear(event, CHANNEL_KLINE, 0);
    event_set(event, COLUMN_FLAGS, EVENT_BACKFILLED);
    event_set(event, KLINE_CLOSED, 1);
    event_set_text(event, KLINE_INTERVAL, interval, (uint32_t)strlen(interval));
}

static bool set_kline(struct event *event, const struct json_value cells[KLINE_CELLS])
{
    static const int columns[] = {KLINE_OPEN, KLINE_HIGH, KLINE_LOW, KLINE_CLOSE, KLINE_VOLUME};
    int64_t open, close, trades, open_ns, close_ns;
    if (json_integer(&cells[0], &open) != JSON_OK || !strict_time_ns(open, &open_ns) ||
        json_integer(&cells[6], &close) != JSON_OK || !strict_time_ns(close, &close_ns) ||
        json_integer(&cells[8], &trades) != JSON_OK)
        return false;
    event_set(event, KLINE_OPEN_TIME, open_ns);
    event_set(event, KLINE_CLOSE_TIME, close_ns);
    event_set(event, KLINE_TRADES, trades);
    for (int i = 0; i < 5; i++)
        if (!set_decimal(event, columns[i], &cells[i + 1])) return false;
    return set_decimal(event, KLINE_QUOTE_VOLUME, &cells[7]) &&
           set_decimal(event, KLINE_TAKER_BUY_VOLUME, &cells[9]) &&
           set_decimal(event, KLINE_TAKER_BUY_QUOTE_VOLUME, &cells[10]);
}

// One array of the answer; one that is not closed yet is left out.
static bool take_kline(struct backfill_rest *rest, const struct json_value *row)
{
    static struct event event;
    struct json_value cells[KLINE_CELLS];
    struct json_walk walk;
    int count = 0;
    if (json_walk_array(row, &walk) != JSON_OK) return false;
    while (count < KLINE_CELLS && json_walk_element(&walk, &cells[count])) count++;
    if (count < KLINE_CELLS) return false;
    begin_kline(rest, &event);
    if (!set_kline(&event, cells)) return false;
    rest->count++;
    if (event.value[KLINE_OPEN_TIME] <= rest->last) return false; // one twice, or an old one
    rest->last = event.value[KLINE_OPEN_TIME];
    if (rest->last < rest->job->from_ns || rest->last >= rest->job->to_ns ||
        event.value[KLINE_CLOSE_TIME] >= ringtape_now_ns())
        return true;
    if (rows_append(&rest->rows, &event)) return true;
    return backfill_rest_flush(rest) && rows_append(&rest->rows, &event);
}

bool backfill_rest_binance_klines(struct backfill_rest *rest)
{
    const uint32_t weight = rest->options.venue == BACKFILL_USDM ? KLINE_WEIGHT_USDM : KLINE_WEIGHT;
    int64_t from_ns = rest->job->from_ns;
    rest->last = from_ns - 1;
    do {
        char path[REST_PATH_BYTES];
        struct json_value root, row;
        struct json_walk walk;
        (void)snprintf(path, sizeof path,
                       "%s/klines?symbol=%s&interval=%s&startTime=%" PRId64 "&endTime=%" PRId64
                       "&limit=%d",
                       root_of(rest), rest->symbol,
                       strcmp(rest->job->key.interval, "1mo") == 0 ? "1M" : rest->job->key.interval,
                       from_ns / MS_NS, rest->job->to_ns / MS_NS - 1, BACKFILL_REST_KLINES_PAGE);
        if (!backfill_rest_get(rest, path, weight)) return false;
        rest->count = 0;
        if (json_parse(rest->request.text, (uint32_t)rest->request.text_size, &root, NULL) !=
                JSON_OK ||
            json_walk_array(&root, &walk) != JSON_OK)
            return refuse_answer(rest);
        while (json_walk_element(&walk, &row))
            if (!take_kline(rest, &row))
                return rest->result == BACKFILL_DONE ? refuse_answer(rest) : false;
        from_ns = rest->last + MS_NS;
    } while (rest->count == BACKFILL_REST_KLINES_PAGE && from_ns < rest->job->to_ns);
    return true;
}

// ---- Upbit's candles ----

static bool candle_time(const struct json_value *row, int64_t *time_ns)
{
    struct json_value text;
    struct json_slice raw;
    char clock[32] = "";
    if (json_find(row, "candle_date_time_utc", &text) != JSON_OK || text.type != JSON_STRING ||
        json_string_raw(&text, &raw) != JSON_OK || raw.size >= sizeof clock)
        return false;
    memcpy(clock, raw.text, raw.size);
    return time_text_parse(clock, 0, time_ns);
}

static bool take_candle(const struct json_value *row, void *context)
{
    static struct event event;
    struct backfill_rest *rest = context;
    int64_t open_ns;
    begin_kline(rest, &event);
    if (!candle_time(row, &open_ns) ||
        !history_decimal(row, "opening_price", &event, KLINE_OPEN) ||
        !history_decimal(row, "high_price", &event, KLINE_HIGH) ||
        !history_decimal(row, "low_price", &event, KLINE_LOW) ||
        !history_decimal(row, "trade_price", &event, KLINE_CLOSE) ||
        !history_decimal(row, "candle_acc_trade_volume", &event, KLINE_VOLUME) ||
        !history_decimal(row, "candle_acc_trade_price", &event, KLINE_QUOTE_VOLUME))
        return false;
    rest->count++;
    rest->last = open_ns;
    const int64_t close_ns = open_ns + rest->job->key.interval_ns;
    event_set(&event, KLINE_OPEN_TIME, open_ns);
    event_set(&event, KLINE_CLOSE_TIME, close_ns - MS_NS);
    if (open_ns < rest->job->from_ns || open_ns >= rest->job->to_ns ||
        close_ns > ringtape_now_ns())
        return true;
    return rows_append(&rest->rows, &event); // of a day: there is room
}

// Newest first: the day's rows are turned round.
static bool flush_candles(struct backfill_rest *rest)
{
    struct rows *rows = &rest->rows;
    const struct rows_limits limits = {.rows = rows->count + 1, .text_bytes = rows->text_size + 1};
    void *memory = aligned_alloc(64, (rows_memory_bytes(rows->schema, &limits) + 63) / 64 * 64);
    struct rows turned;
    if (memory == NULL) return backfill_rest_fail(rest, BACKFILL_FAILED, "out of memory");
    rows_init(&turned, rows->schema, &limits, memory);
    for (uint32_t i = rows->count; i-- > 0;)
        ensure(rows_append_rows(&turned, rows, i, 1, NULL) == 1);
    rest->result = backfill_sieve_take(rest->sieve, &turned);
    rows_clear(rows);
    free(memory);
    return rest->result == BACKFILL_DONE;
}

bool backfill_rest_upbit_candles(struct backfill_rest *rest)
{
    const int64_t minutes = rest->job->key.interval_ns / 60000000000ll;
    int64_t to_ns = rest->job->to_ns;
    rest->last = to_ns;
    do {
        char path[REST_PATH_BYTES], to[TIME_TEXT_BYTES_MAX];
        time_text_format(to, to_ns, 0);
        (void)snprintf(path, sizeof path,
                       "/v1/candles/minutes/%" PRId64 "?market=%s&to=%s&count=%d", minutes,
                        rest->symbol, to, BACKFILL_REST_CANDLES_PAGE);
        if (!backfill_rest_get(rest, path, 1)) return false;
        rest->count = 0;
        if (history_rows((const uint8_t *)rest->request.text, (uint32_t)rest->request.text_size,
                         take_candle, rest) != 0)
            return refuse_answer(rest);
        if (rest->count > 0 && rest->last >= to_ns) return refuse_answer(rest);
        to_ns = rest->last;
    } while (rest->count > 0 && to_ns > rest->job->from_ns);
    return flush_candles(rest);
}
