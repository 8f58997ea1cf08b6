// SPDX-License-Identifier: GPL-3.0-or-later
//
// binance_archive_inside: what binance_archive.c (the fast way) and binance_archive_fault.c (what
// is wrong with a line) share. Nobody else includes it.
#ifndef RINGTAPE_EXCHANGE_BINANCE_ARCHIVE_INSIDE_H
#define RINGTAPE_EXCHANGE_BINANCE_ARCHIVE_INSIDE_H

#include "exchange/binance_archive.h"

enum {
    BINANCE_ARCHIVE_IGNORED_BYTES_MAX = 24, // of the cell of klines that nobody needs
    BINANCE_ARCHIVE_ROW_TEXT_BYTES = 64,    // room that a row may need
};
_Static_assert(BINANCE_ARCHIVE_ROW_TEXT_BYTES >=
                   BINANCE_ARCHIVE_IGNORED_BYTES_MAX + BINANCE_ARCHIVE_INTERVAL_BYTES_MAX,
               "the texts of a kline");

// Cells at `at`, which is followed by something that ends them and by the padding. How many bytes,
// 0: there is none. What follows is not judged.
uint32_t binance_archive_integer(const char *at, int64_t *value); // 0 … 10^18 - 1
uint32_t binance_archive_decimal(const char *at, int64_t *value, uint8_t *scale);
uint32_t binance_archive_boolean(const char *at, bool *value);

// The header line: the byte behind it, or NULL and a fault.
const char *binance_archive_header(struct binance_archive *archive, const char *line);
// Fills column and fault for a line that was refused; a fault that stands already is kept where
// every cell has its form.
void binance_archive_explain(struct binance_archive *archive, const char *line);

#endif
