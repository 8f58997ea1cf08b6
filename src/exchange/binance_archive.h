// SPDX-License-Identifier: GPL-3.0-or-later
//
// binance_archive: the CSV files of Binance's public archives → rows.
//
//     trades     id,price,qty,quote_qty,time,is_buyer_maker[,is_best_match]
//     aggTrades  id,price,qty,first_id,last_id,time,is_buyer_maker[,is_best_match]
//     klines     open_time,open,high,low,close,volume,close_time,quote_volume,count,
//                taker_buy_volume,taker_buy_quote_volume,ignore
//
// The last column in brackets is spot's. Futures files have a header since 2022, spot files none;
// either is taken for both. Times are ms, of spot from 2025-01-01 on µs: a file has one unit, told
// by its first row, and another one than its market's is refused. Of spot before 2025 either is
// taken, since files are issued again.
//
// Strict. Every cell must have exactly its column's form; ids rise; times lie within the file's
// period; price times quantity is the quote quantity but for rounding. The first line that breaks
// a rule ends the scan, and `fault` says where and what was expected.
//
// Speed: the commas of a trade are found 64 bytes at once, and its cells read side by side. A line
// that is not as usual is taken left to right, eight digits at a time; only one that fails then is
// looked at again, slowly, for its fault.
//
// Rows equal those of the stream but for what archives do not have: event time, receive time, link
// and (futures trades) the kind, which is MARKET by definition; flags are EVENT_BACKFILLED.
//
// Pure: bytes in, rows out; no allocation. Threading: one owner. Source:
// binance/binance-public-data, README.md.
#ifndef RINGTAPE_EXCHANGE_BINANCE_ARCHIVE_H
#define RINGTAPE_EXCHANGE_BINANCE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/rows.h"

enum {
    // Bytes behind those to be scanned that must be readable; their content does not matter.
    BINANCE_ARCHIVE_PADDING = 128,
    BINANCE_ARCHIVE_LINE_BYTES_MAX = 4096,
    BINANCE_ARCHIVE_FAULT_BYTES = 192,
    BINANCE_ARCHIVE_INTERVAL_BYTES_MAX = 7,
};

struct binance_archive {
    // ---- given ----
    enum channel channel; // TRADE, AGG_TRADE, KLINE
    bool usdm;
    int64_t from_ns; // times of rows lie in [from_ns, to_ns)
    int64_t to_ns;
    char interval[BINANCE_ARCHIVE_INTERVAL_BYTES_MAX + 1]; // of klines, "1m"
    // ---- state; zero at the beginning ----
    uint64_t line;    // lines taken so far, the header among them
    bool begun;       // the first line is behind us
    int64_t unit_ns;  // 0: not known yet; 1,000,000 or 1,000
    int64_t last;     // id, or opening of a kline
    bool has_last;
    // ---- of a fault ----
    uint32_t column;  // 1 …, of the first byte of the cell; 0: the line as a whole
    char fault[BINANCE_ARCHIVE_FAULT_BYTES]; // "quantity expected, found '1,234'"
};

// Takes whole lines from bytes[0 … size) as long as `rows` has room (at least one row's must be
// free) and returns how many bytes they had; what is left is a part of a line, or did not fit.
// `end`: nothing follows, so a last line without a line feed counts. -EBADMSG: a fault; rows before
// it are in `rows`, archive->line is the number of the faulty line. A rest longer than
// BINANCE_ARCHIVE_LINE_BYTES_MAX without a line feed is a fault, too.
// Rows get symbol 0.
int64_t binance_archive_scan(struct binance_archive *archive, const char *bytes, size_t size,
                             bool end, struct rows *rows);

// Is there no room for a further row? Then they must be taken before the next scan.
bool binance_archive_full(const struct rows *rows);
// The schema's room that `rows` should have for `count` rows.
struct rows_limits binance_archive_limits(const struct binance_archive *archive, uint32_t count);

// Length of an interval in ns ("1m", "4h", "1d"), 0: unknown, or a month, which has none.
int64_t binance_archive_interval_ns(const char *interval);

#endif
