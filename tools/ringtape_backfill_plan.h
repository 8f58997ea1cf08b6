// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_plan: which files of Binance's archives a backfill wants, by name. Pure, but
// for memory.
//
//     data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2026-08-01.zip
//     data/futures/um/monthly/klines/BTCUSDT/1m/BTCUSDT-1m-2026-08.zip
//
// A month that is wanted as a whole is a monthly file first; where there is none it becomes days.
// Source: binance/binance-public-data, README.md, python/utility.py.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_PLAN_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "format/event.h"
#include "tools/ringtape_backfill_zip.h"

enum {
    BACKFILL_NAME_BYTES_MAX = 96,
    BACKFILL_RELATIVE_BYTES_MAX = 256,
    BACKFILL_ITEMS_MAX = 1 << 20,
    BACKFILL_SYMBOL_TEXT_MAX = 40, // of the exchange's spelling
};

enum backfill_item_state {
    BACKFILL_ITEM_WANTED,  // nothing is known
    BACKFILL_ITEM_KNOWN,   // its checksum is
    BACKFILL_ITEM_READY,   // the zip lies at `path`, its checksum is right
    BACKFILL_ITEM_MISSING, // the source does not have it
    BACKFILL_ITEM_REFUSED, // it is not what it should be
    BACKFILL_ITEM_THERE,   // filled in before
    BACKFILL_ITEM_STORED,
};

struct backfill_item {
    const char *symbol; // the exchange's spelling; the plan's owner's
    int32_t day, days;  // the period
    bool monthly;
    enum backfill_item_state state;
    uint64_t bytes;     // of the zip; 0: not known
    uint64_t taken;     // of them, downloaded or read
    uint32_t tries;
    bool mended;        // fetched a second time, for its checksum was wrong
    char sum[BACKFILL_SHA256_TEXT_BYTES];
    uint64_t rows_read, rows_stored, rows_known, rows_left, gaps;
    char *message;      // why it was refused; owned
};

struct backfill_plan {
    bool usdm;
    enum channel channel;
    const char *interval;
    struct backfill_item *items;
    uint32_t count, room;
};

void backfill_plan_free(struct backfill_plan *plan);
// The files of [day_from, day_to) for one symbol. `months`: months as a whole. False: no memory, or
// more than BACKFILL_ITEMS_MAX.
bool backfill_plan_add(struct backfill_plan *plan, const char *symbol, int32_t day_from,
                       int32_t day_to, bool months);
// Item `at`, a month, becomes its days.
bool backfill_plan_split(struct backfill_plan *plan, uint32_t at);
// "BTCUSDT-trades-2026-08-01".
void backfill_item_name(const struct backfill_plan *plan, const struct backfill_item *item,
                        char out[BACKFILL_NAME_BYTES_MAX]);
// "data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2026-08-01.zip".
void backfill_item_path(const struct backfill_plan *plan, const struct backfill_item *item,
                        char out[BACKFILL_RELATIVE_BYTES_MAX]);
// "data/spot/daily/trades/": folders in it are symbols.
void backfill_plan_folder(const struct backfill_plan *plan, bool monthly,
                          char out[BACKFILL_RELATIVE_BYTES_MAX]);
// The words of NAME.zip.CHECKSUM: the sum into `out`; false: it is not that of this file.
bool backfill_checksum_parse(const char *text, size_t size, const char *name,
                             char out[BACKFILL_SHA256_TEXT_BYTES]);

#endif
