// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life_candles: the candle rows of a life against candles made from the truth, of the
// trades that are stored. For tests.
#ifndef RINGTAPE_TESTS_COMPLETE_LIFE_CANDLES_H
#define RINGTAPE_TESTS_COMPLETE_LIFE_CANDLES_H

#include "format/rows.h"
#include "market_peer.h"

enum { LIFE_CANDLES_MAX = 100000 };

struct life_candle { // the newest revision
    int64_t open_ns;
    int64_t close_ns;
    int64_t revision;
    uint64_t revisions; // rows
    int64_t trades, first_id, last_id;
    int64_t open, high, low, close; // tenths
    int64_t volume, taker_buy_volume; // thousandths
    int64_t quote_volume; // ten-thousandths
};

struct life_candles { // of one symbol
    uint32_t count;
    struct life_candle *at; // [LIFE_CANDLES_MAX]
};

void life_candle_found(struct life_candles *candles, const struct rows *rows, uint32_t row);

struct life_candles_judge {
    int64_t end_ns; // intervals that were closed for three seconds by then are judged
    bool empty;     // those without trades have candles, too; else they must have none
};

// Candles that are not the sum of the stored trades, missing, too many, or with revisions that do
// not follow one another. `stored`: how often, by trade.
uint64_t life_candles_wrong(const struct life_candles *candles, const struct market_symbol *truth,
                            const uint8_t *stored, const struct life_candles_judge *judge);

#endif
