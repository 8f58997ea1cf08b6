// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_books: the true books of the made-up market, as JSON lines.
//
//     {"at":"end","time_ns":1,"exchange":"binance","symbol":"BTCUSDT","lastUpdateId":9,"bids":[..],
//      "asks":[..]}
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_BOOKS_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_BOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/exchange_sim_market.h"

struct exchange_sim_books {
    FILE *file; // NULL: not asked for
};

// A path of NULL: no file. False with errno where it cannot be written.
bool exchange_sim_books_open(struct exchange_sim_books *books, const char *path);
bool exchange_sim_books_close(struct exchange_sim_books *books);
// One symbol of Binance; `at`: begin, list, end.
void exchange_sim_books_symbol(struct exchange_sim_books *books,
                               const struct exchange_sim_market *market, uint32_t symbol,
                               const char *at, int64_t utc_ns);
// All that were ever listed.
void exchange_sim_books_all(struct exchange_sim_books *books,
                            const struct exchange_sim_market *market, const char *at,
                            int64_t utc_ns);

#endif
