// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_rest: history by REST, a UTC day of a symbol at a time, handed over as a whole.
//
//     Binance   trades and aggregate trades: the day's first by time, the rest by id, 1,000 a page;
//               klines by time
//     Upbit     trades of seven days back, hour by hour from each hour's end; minute candles
//
// Requests are paced so that a daemon at the same address has what it needs: of Binance's weight a
// minute half of what ringtape allows itself is used, by the exchange's own count, which holds the
// daemon's requests, too; the daemon goes by the same count. Upbit counts nothing that could be
// shared: beside a daemon two requests a second of the ten, else eight. 429, 418 and 5xx are
// obeyed.
//
// What a day still lacks because it is not over is asked for in the next run. Threading: main
// thread. Sources: binance-spot-api-docs rest-api.md; developers.binance.com, USD-M;
// docs.upbit.com/kr/reference.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_REST_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_REST_H

#include "exchange/dialect.h"
#include "tools/ringtape_backfill_convert.h"
#include "tools/ringtape_backfill_fetch.h"

enum { // in an answer
    BACKFILL_REST_KLINES_PAGE = 1000,
    BACKFILL_REST_CANDLES_PAGE = 200,
};

enum backfill_venue { BACKFILL_BINANCE, BACKFILL_USDM, BACKFILL_UPBIT };

struct backfill_rest;
struct backfill_rest_options {
    enum backfill_venue venue;
    const char *base_url; // "https://api.binance.com"
    const char *ca_file;  // or NULL
    bool daemon;          // one records at this address
    const volatile sig_atomic_t *stop;
    void (*waiting)(void *context); // called now and then
    void *context;
};
struct backfill_rest *backfill_rest_open(const struct backfill_rest_options *options); // or NULL
void backfill_rest_close(struct backfill_rest *rest);
// The rows of job->key in [job->from_ns, job->to_ns), `symbol` in the exchange's spelling. REFUSED:
// job->message tells what the exchange said.
enum backfill_result backfill_rest_day(struct backfill_rest *rest, struct backfill_job *job,
                                       const char *symbol);
// Every symbol that the exchange lists now, trading or not. REFUSED and FAILED: told.
enum backfill_result backfill_rest_symbols(struct backfill_rest *rest,
                                           dialect_instrument_callback *each, void *context);
uint64_t backfill_rest_requests(const struct backfill_rest *rest);
const char *backfill_rest_url(enum backfill_venue venue);

#endif
