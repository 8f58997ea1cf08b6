// SPDX-License-Identifier: GPL-3.0-or-later
//
// Properties of what exchanges answer by REST (exchange/history.h): whatever the bytes are, rows
// come out only of an answer that is JSON as a whole, one a member of its array, and where all of
// it is read, one for every member; each is of the channel asked for, has the columns that rows of
// it always have, and survives rows_append(). The same rows written anew as the exchange would
// write them read as the same rows. What is read of a book is what the strict scanner reads.
//
// The first byte chooses exchange and question.
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dialect_support.h"
#include "exchange/history.h"
#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/rows.h"

enum {
    BODY_BYTES_MAX = 8192,
    ROWS_MAX = BODY_BYTES_MAX, // no row has less than a byte
    ROW_TEXT_BYTES_MAX = 512,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct answer {
    const struct history_ask *ask;
    struct rows of_kind[2]; // trades, aggregate trades; made when first asked for
    struct rows *rows;
    uint32_t count;
};

static void take_row(void *context, struct event *event, struct json_slice symbol, int64_t id)
{
    struct answer *answer = context;
    bool ids_only = answer->ask->kind == HISTORY_LAST_IDS;
    ensure((event == NULL) == ids_only && answer->count < ROWS_MAX);
    answer->count++;
    if (event == NULL) {
        ensure(memchr(symbol.text, '"', symbol.size) == NULL);
        return;
    }
    enum channel want =
        answer->ask->kind == HISTORY_AGG_TRADES ? CHANNEL_AGG_TRADE : CHANNEL_TRADE;
    uint64_t stamped = 1u << COLUMN_RECEIVE_TIME | 1u << COLUMN_LINK;
    uint64_t required = schema_required(channel_schema(want)) & ~stamped;
    ensure(event->channel == want && (required & ~event->present) == 0);
    ensure(event->value[COLUMN_FLAGS] == EVENT_REPAIRED);
    ensure(event->value[want == CHANNEL_TRADE ? (int)TRADE_ID : (int)AGG_TRADE_ID] == id);
    ensure(rows_append(answer->rows, event));
}

static void answer_begin(struct answer *answer, const struct history_ask *ask)
{
    static const struct rows_limits limits = {ROWS_MAX, 0, ROWS_MAX * 8};
    bool aggregate = ask->kind == HISTORY_AGG_TRADES;
    const struct channel_schema *schema =
        channel_schema(aggregate ? CHANNEL_AGG_TRADE : CHANNEL_TRADE);
    struct rows *rows = &answer->of_kind[aggregate];
    answer->ask = ask;
    answer->rows = rows;
    answer->count = 0;
    if (rows->schema == NULL) {
        void *memory = aligned_alloc(64, (rows_memory_bytes(schema, &limits) + 63) / 64 * 64);
        ensure(memory != NULL);
        rows_init(rows, schema, &limits, memory);
    }
    rows_clear(rows);
}

// Members of the array that the body is; -1: it is none.
static int64_t members(const uint8_t *body, uint32_t size)
{
    struct json_value root, member;
    struct json_walk walk;
    int64_t count = 0;
    if (json_parse((const char *)body, size, &root, NULL) != JSON_OK ||
        json_walk_array(&root, &walk) != JSON_OK)
        return -1;
    while (json_walk_element(&walk, &member)) count++;
    return count;
}

// ---- written anew ----

static int64_t cell(const struct rows *rows, uint32_t row, int column)
{
    ensure(rows->present[row] >> column & 1);
    return rows->value[column][row];
}

static const char *number(const struct rows *rows, uint32_t row, int column)
{
    static char text[4][DECIMAL_TEXT_BYTES_MAX];
    static uint32_t next;
    char *out = text[next++ % 4];
    decimal_text_format(out, cell(rows, row, column), rows->scale[column][row]);
    return out;
}

static int put_trade(char *out, const struct rows *rows, uint32_t row)
{
    int used = snprintf(out, ROW_TEXT_BYTES_MAX,
                        "{\"id\":%" PRId64 ",\"time\":%" PRId64
                        ",\"price\":\"%s\",\"qty\":\"%s\",\"isBuyerMaker\":%s",
                        cell(rows, row, TRADE_ID), cell(rows, row, TRADE_TIME) / 1000,
                        number(rows, row, TRADE_PRICE), number(rows, row, TRADE_QUANTITY),
                        cell(rows, row, TRADE_SIDE) == SIDE_SELL ? "true" : "false");
    if (rows->present[row] >> TRADE_BEST_MATCH & 1)
        used += snprintf(out + used, ROW_TEXT_BYTES_MAX - (size_t)used, ",\"isBestMatch\":%s",
                         cell(rows, row, TRADE_BEST_MATCH) ? "true" : "false");
    return used + snprintf(out + used, ROW_TEXT_BYTES_MAX - (size_t)used, "},");
}

static int put_agg_trade(char *out, const struct rows *rows, uint32_t row)
{
    int used = snprintf(out, ROW_TEXT_BYTES_MAX,
                        "{\"a\":%" PRId64 ",\"f\":%" PRId64 ",\"l\":%" PRId64 ",\"T\":%" PRId64
                        ",\"p\":\"%s\",\"q\":\"%s\",\"m\":%s",
                        cell(rows, row, AGG_TRADE_ID), cell(rows, row, AGG_TRADE_FIRST_ID),
                        cell(rows, row, AGG_TRADE_LAST_ID), cell(rows, row, AGG_TRADE_TIME) / 1000,
                        number(rows, row, AGG_TRADE_PRICE), number(rows, row, AGG_TRADE_QUANTITY),
                        cell(rows, row, AGG_TRADE_SIDE) == SIDE_SELL ? "true" : "false");
    if (rows->present[row] >> AGG_TRADE_BEST_MATCH & 1)
        used += snprintf(out + used, ROW_TEXT_BYTES_MAX - (size_t)used, ",\"M\":%s",
                         cell(rows, row, AGG_TRADE_BEST_MATCH) ? "true" : "false");
    if (rows->present[row] >> AGG_TRADE_NORMAL_QUANTITY & 1)
        used += snprintf(out + used, ROW_TEXT_BYTES_MAX - (size_t)used, ",\"nq\":\"%s\"",
                         number(rows, row, AGG_TRADE_NORMAL_QUANTITY));
    return used + snprintf(out + used, ROW_TEXT_BYTES_MAX - (size_t)used, "},");
}

static int put_tick(char *out, const struct rows *rows, uint32_t row)
{
    int used = snprintf(out, ROW_TEXT_BYTES_MAX,
                        "{\"sequential_id\":%" PRId64 ",\"timestamp\":%" PRId64
                        ",\"trade_price\":%s,\"trade_volume\":%s,\"ask_bid\":\"%s\"",
                        cell(rows, row, TRADE_ID), cell(rows, row, TRADE_TIME) / 1000,
                        number(rows, row, TRADE_PRICE), number(rows, row, TRADE_QUANTITY),
                        cell(rows, row, TRADE_SIDE) == SIDE_SELL ? "ASK" : "BID");
    if (rows->present[row] >> TRADE_PREVIOUS_CLOSE & 1)
        used += snprintf(out + used, ROW_TEXT_BYTES_MAX - (size_t)used,
                         ",\"prev_closing_price\":%s", number(rows, row, TRADE_PREVIOUS_CLOSE));
    return used + snprintf(out + used, ROW_TEXT_BYTES_MAX - (size_t)used, "},");
}

// Equal but for the scales: text has the shortest.
static void check_same(const struct rows *a, const struct rows *b)
{
    ensure(a->count == b->count && a->schema == b->schema);
    for (uint32_t r = 0; r < a->count; r++) {
        ensure(a->present[r] == b->present[r]);
        for (int c = 0; c < a->schema->column_count; c++) {
            if (!(a->present[r] >> c & 1) || a->schema->columns[c].type == COLUMN_TEXT)
                continue;
            if (a->schema->columns[c].type == COLUMN_DECIMAL)
                ensure(strcmp(number(a, r, c), number(b, r, c)) == 0);
            else
                ensure(a->value[c][r] == b->value[c][r]);
        }
    }
}

// Times below the first microsecond that a reply of now would be written in have another unit.
static bool times_are_recent(const struct rows *rows)
{
    int column = rows->schema->channel == CHANNEL_TRADE ? (int)TRADE_TIME : (int)AGG_TRADE_TIME;
    for (uint32_t r = 0; r < rows->count; r++)
        if (rows->value[column][r] < 1000000000ll * 1000000000ll)
            return false;
    return true;
}

static void check_anew(const struct dialect *dialect, const struct history_ask *ask,
                       const struct answer *read)
{
    static char text[ROWS_MAX * 16];
    static struct answer again;
    size_t used = 1;
    if (ask->kind == HISTORY_LAST_IDS || !times_are_recent(read->rows))
        return;
    text[0] = '[';
    for (uint32_t r = 0; r < read->rows->count; r++) {
        if (used + ROW_TEXT_BYTES_MAX > sizeof text)
            return;
        used += (size_t)(ask->kind == HISTORY_AGG_TRADES ? put_agg_trade
                         : dialect->history->by_cursor   ? put_tick
                                                         : put_trade)(text + used, read->rows, r);
    }
    used -= read->rows->count > 0; // the last comma
    text[used++] = ']';
    answer_begin(&again, ask);
    ensure(dialect->history->read(ask, (const uint8_t *)text, (uint32_t)used, take_row, &again) ==
           0);
    check_same(read->rows, again.rows);
}

// ---- one input ----

static void check_rows(const struct dialect *dialect, const struct history_ask *ask,
                       const uint8_t *body, uint32_t size)
{
    static struct answer answer;
    answer_begin(&answer, ask);
    int result = dialect->history->read(ask, body, size, take_row, &answer);
    int64_t count = members(body, size);
    ensure(result == 0 || answer.count <= (count < 0 ? 0 : count));
    // A symbol without an id is passed over.
    ensure(result != 0 || answer.count == count ||
           (ask->kind == HISTORY_LAST_IDS && answer.count < count));
    check_anew(dialect, ask, &answer);
    (void)dialect->history->unknown_symbol(body, size);
}

static void check_path(const struct dialect *dialect, const struct history_ask *ask)
{
    char path[256];
    uint32_t whole = dialect->history->path(ask, path, sizeof path);
    ensure(whole > 0 && strlen(path) == whole && path[0] == '/');
    ensure(dialect->history->path(ask, path, whole + 1) == whole);
    ensure(dialect->history->path(ask, path, whole) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"binance", "binance-usdm", "upbit"};
    static struct dialect_support supports[3];
    if (size < 1 || size > BODY_BYTES_MAX)
        return 0;
    uint32_t exchange = data[0] % 3;
    struct dialect_support *support = &supports[exchange];
    if (support->dialect == NULL)
        dialect_support_open(support, names[exchange], exchange < 2 ? "BTCUSDT" : "KRW-BTC");
    struct history_ask ask = {.kind = (enum history_kind)(data[0] / 3 % 4),
                              .symbol = "BTCUSDT",
                              .first = data[0],
                              .count = 1 + data[0],
                              .second_of_day = data[0] % 2 == 0 ? -1 : 86399};
    if (ask.kind == HISTORY_DEPTH && exchange < 2) {
        support->context.raw_symbol = 0; // as of a snapshot: one symbol, no stream
        (void)dialect_support_compare(support, data + 1, (uint32_t)size - 1, NULL);
        return 0;
    }
    if (support->dialect->history->weight(&ask) == 0 || ask.kind == HISTORY_DEPTH)
        ask.kind = HISTORY_TRADES;
    check_path(support->dialect, &ask);
    check_rows(support->dialect, &ask, data + 1, (uint32_t)size - 1);
    return 0;
}
