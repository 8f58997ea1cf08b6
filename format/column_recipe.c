// SPDX-License-Identifier: Apache-2.0
//
// Figures in the comments: bits a row on the recordings of Binance USD-M BTCUSDT, 2024-08-08, with
// the model and without (plain difference), both in bins.
#include "format/column_recipe.h"

#include "format/ensure.h"
#include "format/segment.h"

// Predicates.
#define CHANGED(x) {MODEL_CHANGE, x, 0, 1}
#define CHANGE_BITS(x, shift, cap) {MODEL_CHANGE, x, shift, cap}
#define DIRECTION(x) {MODEL_DIRECTION, x, 0, 0}
#define CODE(x, cap) {MODEL_CODE, x, 0, cap}
#define FIRST {MODEL_FIRST, 0, 0, 0}
#define LAST(shift, cap) {MODEL_LAST, 0, shift, cap}


struct recipe_line {
    uint8_t channel;
    uint8_t id;
    bool light; // worth it without an entropy code
    struct model model;
};

// Lines of one column stand together. What is not here gets `usual`.
static const struct recipe_line lines[] = {
    // A burst of trades comes in one packet: its receive times are a microsecond apart, and the
    // way from the exchange (receive - event) is alike for neighbours. 10.0 / 11.9.
    {CHANNEL_TRADE, COLUMN_RECEIVE_TIME, true,
     {MODEL_OFFSET_DELTA, 0, TRADE_EVENT_TIME, 1, {CHANGED(TRADE_EVENT_TIME)}}},
    {CHANNEL_TRADE, COLUMN_RECEIVE_TIME, true, {MODEL_DELTA, 0, 0, 1, {CHANGED(TRADE_TIME)}}},
    {CHANNEL_TRADE, COLUMN_RECEIVE_TIME, false, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    // 0.3 / 1.1.
    {CHANNEL_TRADE, TRADE_EVENT_TIME, true,
     {MODEL_DELTA_OR_OFFSET, 0, TRADE_TIME, 1, {CHANGED(TRADE_TIME)}}},
    {CHANNEL_TRADE, TRADE_EVENT_TIME, false,
     {MODEL_OFFSET_DELTA, 0, TRADE_TIME, 1, {CHANGED(TRADE_TIME)}}},
    // Bursts: 2.4 / 2.6.
    {CHANNEL_TRADE, TRADE_TIME, false, {MODEL_DELTA, 0, 0, 1, {LAST(0, 1)}}},
    {CHANNEL_TRADE, TRADE_TIME, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_TRADE, TRADE_ID, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    // A buyer's burst climbs, a seller's falls; from one to the other is the spread. 1.8 / 2.4.
    {CHANNEL_TRADE, TRADE_PRICE, false,
     {MODEL_DELTA, 0, 0, 2, {CODE(TRADE_SIDE, 1), CHANGED(TRADE_SIDE)}}},
    {CHANNEL_TRADE, TRADE_PRICE, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_TRADE, TRADE_QUANTITY, true, {MODEL_VALUE, 0, 0, 0, {{0}}}},
    {CHANNEL_TRADE, TRADE_QUANTITY, false, {MODEL_VALUE, 0, 0, 1, {CHANGED(TRADE_TIME)}}},
    // One order's trades have one side: 0.3 / 1.0.
    {CHANNEL_TRADE, TRADE_SIDE, true,
     {MODEL_EXCLUSIVE_OR, 0, 0, 1, {CHANGED(TRADE_TIME)}}},

    {CHANNEL_AGG_TRADE, COLUMN_RECEIVE_TIME, true,
     {MODEL_OFFSET_DELTA, 0, AGG_TRADE_EVENT_TIME, 1, {CHANGED(AGG_TRADE_EVENT_TIME)}}},
    {CHANNEL_AGG_TRADE, COLUMN_RECEIVE_TIME, false, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_AGG_TRADE, AGG_TRADE_EVENT_TIME, true,
     {MODEL_DELTA_OR_OFFSET, 0, AGG_TRADE_TIME, 1, {CHANGED(AGG_TRADE_TIME)}}},
    {CHANNEL_AGG_TRADE, AGG_TRADE_TIME, true, {MODEL_DELTA, 0, 0, 1, {LAST(0, 1)}}},
    {CHANNEL_AGG_TRADE, AGG_TRADE_ID, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_AGG_TRADE, AGG_TRADE_PRICE, false,
     {MODEL_DELTA, 0, 0, 2, {CODE(AGG_TRADE_SIDE, 1), CHANGED(AGG_TRADE_SIDE)}}},
    {CHANNEL_AGG_TRADE, AGG_TRADE_PRICE, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_AGG_TRADE, AGG_TRADE_QUANTITY, true, {MODEL_VALUE, 0, 0, 0, {{0}}}},
    // The first trade of this one follows the last of the one before.
    {CHANNEL_AGG_TRADE, AGG_TRADE_FIRST_ID, true,
     {MODEL_FOLLOW, 0, AGG_TRADE_LAST_ID, 0, {{0}}}},
    {CHANNEL_AGG_TRADE, AGG_TRADE_LAST_ID, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_AGG_TRADE, AGG_TRADE_SIDE, true,
     {MODEL_EXCLUSIVE_OR, 0, 0, 1, {CHANGED(AGG_TRADE_TIME)}}},
    {CHANNEL_AGG_TRADE, AGG_TRADE_NORMAL_QUANTITY, true,
     {MODEL_OFFSET, 0, AGG_TRADE_QUANTITY, 0, {{0}}}},

    {CHANNEL_QUOTE, COLUMN_RECEIVE_TIME, true,
     {MODEL_OFFSET_DELTA, 0, QUOTE_EVENT_TIME, 1, {CHANGED(QUOTE_EVENT_TIME)}}},
    {CHANNEL_QUOTE, COLUMN_RECEIVE_TIME, false, {MODEL_DELTA, 0, 0, 1, {LAST(10, 12)}}},
    {CHANNEL_QUOTE, COLUMN_RECEIVE_TIME, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_QUOTE, QUOTE_EVENT_TIME, true,
     {MODEL_DELTA_OR_OFFSET, 0, QUOTE_TRANSACTION_TIME, 1, {CHANGED(QUOTE_TRANSACTION_TIME)}}},
    {CHANNEL_QUOTE, QUOTE_TRANSACTION_TIME, false, {MODEL_DELTA, 0, 0, 1, {LAST(0, 1)}}},
    {CHANNEL_QUOTE, QUOTE_TRANSACTION_TIME, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    // More updates of the whole exchange lie between later times: 8.4 / 9.3.
    {CHANNEL_QUOTE, QUOTE_ID, false,
     {MODEL_DELTA, 0, 0, 1, {CHANGE_BITS(QUOTE_TRANSACTION_TIME, 20, 7)}}},
    {CHANNEL_QUOTE, QUOTE_ID, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_QUOTE, QUOTE_BID_PRICE, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    // Another best price has another quantity; at the same price it changes by an order's. 5.2 /
    // 5.6.
    {CHANNEL_QUOTE, QUOTE_BID_QUANTITY, true,
     {MODEL_DELTA_OR_VALUE, 0, QUOTE_BID_PRICE, 1, {CHANGED(QUOTE_BID_PRICE)}}},
    // The spread is one tick in nine of ten rows: both prices move together. 0.3 / 1.1.
    {CHANNEL_QUOTE, QUOTE_ASK_PRICE, false, {MODEL_DELTA, 0, 0, 1, {DIRECTION(QUOTE_BID_PRICE)}}},
    {CHANNEL_QUOTE, QUOTE_ASK_PRICE, true, {MODEL_OFFSET, 0, QUOTE_BID_PRICE, 0, {{0}}}},
    // An update changes one side: 4.7 / 6.1.
    {CHANNEL_QUOTE, QUOTE_ASK_QUANTITY, true,
     {MODEL_DELTA_OR_VALUE, 0, QUOTE_ASK_PRICE, 2,
      {CHANGED(QUOTE_BID_QUANTITY), CHANGED(QUOTE_ASK_PRICE)}}},

    {CHANNEL_DEPTH, COLUMN_RECEIVE_TIME, true,
     {MODEL_OFFSET_DELTA, 0, DEPTH_EVENT_TIME, 1, {CHANGED(DEPTH_EVENT_TIME)}}},
    {CHANNEL_DEPTH, COLUMN_RECEIVE_TIME, true, {MODEL_OFFSET, 0, DEPTH_EVENT_TIME, 0, {{0}}}},
    {CHANNEL_DEPTH, DEPTH_EVENT_TIME, true,
     {MODEL_OFFSET, 0, DEPTH_TRANSACTION_TIME, 0, {{0}}}},
    {CHANNEL_DEPTH, DEPTH_EVENT_TIME, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_DEPTH, DEPTH_TRANSACTION_TIME, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    // Spot: first = last before + 1. Futures: previous = last before.
    {CHANNEL_DEPTH, DEPTH_FIRST_ID, true, {MODEL_FOLLOW, 0, DEPTH_LAST_ID, 0, {{0}}}},
    {CHANNEL_DEPTH, DEPTH_LAST_ID, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_DEPTH, DEPTH_PREVIOUS_ID, true, {MODEL_FOLLOW, 0, DEPTH_LAST_ID, 0, {{0}}}},
    // Levels of a side rise or fall; how far, the step before tells. 6.9 / 7.8 a level.
    {CHANNEL_DEPTH, SEGMENT_COLUMN_LEVEL_PRICE, false,
     {MODEL_DELTA, MODEL_LIST, 0, 3, {CODE(SEGMENT_COLUMN_LEVEL_SIDE, 1), FIRST, LAST(0, 10)}}},
    {CHANNEL_DEPTH, SEGMENT_COLUMN_LEVEL_PRICE, true,
     {MODEL_DELTA, MODEL_LIST, 0, 2, {CODE(SEGMENT_COLUMN_LEVEL_SIDE, 1), FIRST}}},
    {CHANNEL_DEPTH, SEGMENT_COLUMN_LEVEL_QUANTITY, true, {MODEL_VALUE, 0, 0, 0, {{0}}}},
    {CHANNEL_DEPTH, SEGMENT_COLUMN_LEVEL_SIDE, true, {MODEL_EXCLUSIVE_OR, 0, 0, 1, {FIRST}}},

    // A book is like the one before: most levels are the same, or moved by a few places.
    {CHANNEL_BOOK, COLUMN_RECEIVE_TIME, true,
     {MODEL_OFFSET_DELTA, 0, BOOK_EVENT_TIME, 1, {CHANGED(BOOK_EVENT_TIME)}}},
    {CHANNEL_BOOK, COLUMN_RECEIVE_TIME, true, {MODEL_DELTA, 0, 0, 0, {{0}}}},
    {CHANNEL_BOOK, SEGMENT_COLUMN_LEVEL_PRICE, true,
     {MODEL_DELTA, MODEL_RANK, 0, 1, {LAST(0, 1)}}},
    {CHANNEL_BOOK, SEGMENT_COLUMN_LEVEL_PRICE, false,
     {MODEL_DELTA, MODEL_LIST, 0, 2, {CODE(SEGMENT_COLUMN_LEVEL_SIDE, 1), FIRST}}},
    {CHANNEL_BOOK, SEGMENT_COLUMN_LEVEL_QUANTITY, true,
     {MODEL_DELTA_OR_VALUE, MODEL_RANK, SEGMENT_COLUMN_LEVEL_PRICE, 1,
      {CHANGED(SEGMENT_COLUMN_LEVEL_PRICE)}}},
    {CHANNEL_BOOK, SEGMENT_COLUMN_LEVEL_QUANTITY, false, {MODEL_VALUE, 0, 0, 0, {{0}}}},
    {CHANNEL_BOOK, SEGMENT_COLUMN_LEVEL_SIDE, true, {MODEL_EXCLUSIVE_OR, MODEL_RANK, 0, 0, {{0}}}},
    {CHANNEL_BOOK, SEGMENT_COLUMN_LEVEL_SIDE, true, {MODEL_EXCLUSIVE_OR, 0, 0, 1, {FIRST}}},
    {CHANNEL_BOOK, BOOK_TOTAL_ASK_QUANTITY, true,
     {MODEL_DELTA, 0, 0, 1, {CHANGED(BOOK_TOTAL_BID_QUANTITY)}}},
};

static const struct model usual[] = {
    {MODEL_DELTA, 0, 0, 0, {{0}}},
    {MODEL_VALUE, 0, 0, 0, {{0}}},
    {MODEL_DELTA, 0, 0, 1, {LAST(0, 1)}},
};

static void recipe_add(struct recipe *recipe, const struct model *model, bool shared)
{
    ensure(recipe->count < RECIPE_MODELS_MAX);
    struct model *added = &recipe->models[recipe->count++];
    *added = *model;
    if (!shared || model->lineage != MODEL_SEQUENCE ||
        model->predicate_count == MODEL_PREDICATES_MAX)
        return;
    memmove(added->predicates + 1, added->predicates,
            model->predicate_count * sizeof *added->predicates);
    added->predicates[0] = (struct model_predicate)CHANGED(SEGMENT_COLUMN_SYMBOL);
    added->predicate_count++;
}

void recipe_for(enum channel channel, unsigned id, bool shared, enum column_level level,
                struct recipe *recipe)
{
    bool of_levels = id > SEGMENT_COLUMN_LEVEL_COUNT && id < SEGMENT_COLUMN_TEXT_BYTES;
    bool split = shared && !of_levels && id != SEGMENT_COLUMN_SYMBOL;
    recipe->count = 0;
    for (size_t l = 0; l < sizeof lines / sizeof *lines; l++) {
        const struct recipe_line *line = &lines[l];
        if (line->channel == channel && line->id == id &&
            (line->light || level == COLUMN_LEVEL_DENSE))
            recipe_add(recipe, &line->model, split);
    }
    recipe->known = recipe->count != 0;
    size_t count = recipe->known ? 1 : level == COLUMN_LEVEL_LIGHT ? 2 : 3;
    for (size_t u = 0; u < count; u++)
        recipe_add(recipe, &usual[u], split);
}

bool recipe_tries_zstd(enum channel channel)
{
    return channel == CHANNEL_TICKER || channel == CHANNEL_KLINE || channel == CHANNEL_STATUS ||
           channel == CHANNEL_INSTRUMENT || channel == CHANNEL_RAW;
}
