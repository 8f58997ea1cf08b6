// SPDX-License-Identifier: GPL-3.0-or-later
//
// yyjson as a peer of parse_bench: a whole document for each message, in memory that is used again
// and again; keys by an iterator in the exchange's order, its fastest way. Upbit's numbers are kept
// as text (YYJSON_READ_NUMBER_AS_RAW), so that no double comes in.
#include "yyjson.h"

#include <stdlib.h>

#include "bench/parse_peer.h"
#include "bench/peers/parse_numbers.h"

enum { POOL_BYTES = 8 << 20 };

struct state {
    void *memory;
    yyjson_alc pool;
};

static bool number(yyjson_val *value, int64_t *mantissa, uint8_t *scale)
{
    const char *text = yyjson_is_raw(value) ? yyjson_get_raw(value) : yyjson_get_str(value);
    return text != NULL && numbers_decimal(text, mantissa, scale);
}

static bool decimal(yyjson_val *value, struct event *into, int column)
{
    int64_t mantissa;
    uint8_t scale;
    if (!number(value, &mantissa, &scale)) return false;
    event_set_decimal(into, column, mantissa, scale);
    return true;
}

#define GET(iterator, key) yyjson_obj_iter_getn(iterator, key, sizeof(key) - 1)

static uint32_t symbol(const struct parse_peer_context *context, yyjson_val *name)
{
    if (!yyjson_is_str(name)) return SYMBOL_NONE;
    return context->find(context->symbols, yyjson_get_str(name), (uint32_t)yyjson_get_len(name));
}

static int64_t integer(yyjson_val *value)
{
    if (!yyjson_is_raw(value)) return (int64_t)yyjson_get_uint(value);
    const char *text = yyjson_get_raw(value);
    return (int64_t)numbers_digits(&text);
}

static int64_t time_ns(yyjson_val *value)
{
    return numbers_time_ns((uint64_t)integer(value));
}

// ---- Binance ----

static bool trade(const struct parse_peer_context *context, yyjson_obj_iter *data,
                  struct event *into)
{
    event_clear(into, CHANNEL_TRADE, SYMBOL_NONE);
    event_set(into, TRADE_EVENT_TIME, time_ns(GET(data, "E")));
    into->symbol = symbol(context, GET(data, "s"));
    event_set(into, TRADE_ID, integer(GET(data, "t")));
    if (!decimal(GET(data, "p"), into, TRADE_PRICE)) return false;
    if (!decimal(GET(data, "q"), into, TRADE_QUANTITY)) return false;
    event_set(into, TRADE_TIME, time_ns(GET(data, "T")));
    event_set(into, TRADE_SIDE, yyjson_get_bool(GET(data, "m")) ? SIDE_SELL : SIDE_BUY);
    event_set(into, TRADE_BEST_MATCH, yyjson_get_bool(GET(data, "M")));
    return true;
}

static bool quote(const struct parse_peer_context *context, yyjson_obj_iter *data,
                  struct event *into)
{
    event_clear(into, CHANNEL_QUOTE, SYMBOL_NONE);
    event_set(into, QUOTE_ID, integer(GET(data, "u")));
    into->symbol = symbol(context, GET(data, "s"));
    return decimal(GET(data, "b"), into, QUOTE_BID_PRICE) &&
           decimal(GET(data, "B"), into, QUOTE_BID_QUANTITY) &&
           decimal(GET(data, "a"), into, QUOTE_ASK_PRICE) &&
           decimal(GET(data, "A"), into, QUOTE_ASK_QUANTITY);
}

static struct event_level *side_of(yyjson_val *list, uint8_t side, struct event_level *at)
{
    size_t i, count;
    yyjson_val *each;
    yyjson_arr_foreach(list, i, count, each)
    {
        yyjson_val *price = yyjson_arr_get_first(each);
        if (!number(price, &at->price, &at->price_scale)) return NULL;
        if (!number(unsafe_yyjson_get_next(price), &at->quantity, &at->quantity_scale)) return NULL;
        at++->side = side;
    }
    return at;
}

static bool depth(const struct parse_peer_context *context, yyjson_obj_iter *data,
                  struct event *into)
{
    event_clear(into, CHANNEL_DEPTH, SYMBOL_NONE);
    event_set(into, DEPTH_EVENT_TIME, time_ns(GET(data, "E")));
    into->symbol = symbol(context, GET(data, "s"));
    event_set(into, DEPTH_FIRST_ID, integer(GET(data, "U")));
    event_set(into, DEPTH_LAST_ID, integer(GET(data, "u")));
    struct event_level *end = side_of(GET(data, "b"), 0, context->levels);
    end = end == NULL ? NULL : side_of(GET(data, "a"), 1, end);
    if (end == NULL) return false;
    into->levels = context->levels;
    into->level_count = (uint32_t)(end - context->levels);
    return true;
}

static bool binance(const struct parse_peer_context *context, yyjson_val *root,
                    struct event *into)
{
    yyjson_obj_iter of_root = yyjson_obj_iter_with(root);
    const char *stream = yyjson_get_str(GET(&of_root, "stream"));
    const char *at = stream == NULL ? NULL : strchr(stream, '@');
    yyjson_obj_iter data = yyjson_obj_iter_with(GET(&of_root, "data"));
    const bool good = at == NULL     ? false
                      : at[1] == 't' ? trade(context, &data, into)
                      : at[1] == 'b' ? quote(context, &data, into)
                      : at[1] == 'd' ? depth(context, &data, into)
                                     : false;
    event_set(into, COLUMN_FLAGS, 0);
    return good;
}

// ---- Upbit ----

static bool upbit_trade(const struct parse_peer_context *context, yyjson_obj_iter *root,
                        struct event *into)
{
    event_clear(into, CHANNEL_TRADE, SYMBOL_NONE);
    into->symbol = symbol(context, GET(root, "cd"));
    event_set(into, TRADE_EVENT_TIME, time_ns(GET(root, "tms")));
    event_set(into, TRADE_TIME, time_ns(GET(root, "ttms")));
    if (!decimal(GET(root, "tp"), into, TRADE_PRICE)) return false;
    if (!decimal(GET(root, "tv"), into, TRADE_QUANTITY)) return false;
    const char *side = yyjson_get_str(GET(root, "ab"));
    if (side == NULL) return false;
    event_set(into, TRADE_SIDE, side[0] == 'A' ? SIDE_SELL : SIDE_BUY);
    if (!decimal(GET(root, "pcp"), into, TRADE_PREVIOUS_CLOSE)) return false;
    event_set(into, TRADE_ID, integer(GET(root, "sid")));
    return true;
}

static bool upbit_units(yyjson_val *list, struct event_level *at, struct event *into)
{
    size_t i, count;
    yyjson_val *unit;
    into->levels = at;
    yyjson_arr_foreach(list, i, count, unit)
    {
        yyjson_obj_iter keys = yyjson_obj_iter_with(unit);
        at[0].side = 1;
        at[1].side = 0;
        if (!number(GET(&keys, "ap"), &at[0].price, &at[0].price_scale) ||
            !number(GET(&keys, "bp"), &at[1].price, &at[1].price_scale) ||
            !number(GET(&keys, "as"), &at[0].quantity, &at[0].quantity_scale) ||
            !number(GET(&keys, "bs"), &at[1].quantity, &at[1].quantity_scale))
            return false;
        at += 2;
    }
    into->level_count = (uint32_t)(at - into->levels);
    return true;
}

static bool upbit_book(const struct parse_peer_context *context, yyjson_obj_iter *root,
                       struct event *into)
{
    event_clear(into, CHANNEL_BOOK, SYMBOL_NONE);
    event_set(into, BOOK_SOURCE, BOOK_SOURCE_ORDERBOOK);
    into->symbol = symbol(context, GET(root, "cd"));
    event_set(into, BOOK_EVENT_TIME, time_ns(GET(root, "tms")));
    return decimal(GET(root, "tas"), into, BOOK_TOTAL_ASK_QUANTITY) &&
           decimal(GET(root, "tbs"), into, BOOK_TOTAL_BID_QUANTITY) &&
           upbit_units(GET(root, "obu"), context->levels, into);
}

static bool upbit(const struct parse_peer_context *context, yyjson_val *value,
                  struct event *into)
{
    yyjson_obj_iter root = yyjson_obj_iter_with(value);
    const char *type = yyjson_get_str(GET(&root, "ty"));
    if (type == NULL) return false;
    const bool good = type[0] == 't'   ? upbit_trade(context, &root, into)
                      : type[0] == 'o' ? upbit_book(context, &root, into)
                                       : false;
    const char *stream = good ? yyjson_get_str(GET(&root, "st")) : NULL;
    event_set(into, COLUMN_FLAGS, stream != NULL && stream[0] == 'S' ? EVENT_SNAPSHOT : 0);
    return stream != NULL;
}

// ---- the peer ----

static void *open_state(void)
{
    struct state *state = malloc(sizeof *state);
    if (state == NULL || (state->memory = malloc(POOL_BYTES)) == NULL) abort();
    return state;
}

static void close_state(void *of)
{
    struct state *state = of;
    free(state->memory);
    free(state);
}

static bool read_message(void *of, const struct parse_peer_context *context, const uint8_t *bytes,
                         uint32_t size, struct event *event)
{
    struct state *state = of;
    const yyjson_read_flag flags = context->upbit ? YYJSON_READ_NUMBER_AS_RAW : 0;
    // Begins the pool anew: nothing is given back, nothing is searched.
    if (!yyjson_alc_pool_init(&state->pool, state->memory, POOL_BYTES)) return false;
    yyjson_doc *doc = yyjson_read_opts((char *)(uintptr_t)bytes, size, flags, &state->pool, NULL);
    yyjson_val *root = yyjson_doc_get_root(doc);
    return root != NULL && (context->upbit ? upbit(context, root, event)
                                           : binance(context, root, event));
}

extern const struct parse_peer parse_peer;
const struct parse_peer parse_peer = {"yyjson " YYJSON_VERSION_STRING, open_state, close_state,
                                      read_message};
