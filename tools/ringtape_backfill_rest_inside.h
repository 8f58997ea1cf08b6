// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_rest_inside: what ringtape_backfill_rest.c (requests, pacing, a day) and
// ringtape_backfill_rest_pages.c (questions and answers) share. Nobody else includes it.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_REST_INSIDE_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_REST_INSIDE_H

#include "base/permits.h"
#include "exchange/history.h"
#include "tools/ringtape_backfill_rest.h"

enum {
    REST_ROWS = 8192,       // taken by the sieve at a time
    REST_HOUR_ROWS = 1 << 18, // of Upbit in an hour
    REST_PATH_BYTES = 512,
};

struct backfill_rest {
    struct backfill_rest_options options;
    struct backfill_fetch *fetch;
    struct backfill_request request;
    const struct dialect *dialect;
    const struct dialect_history *history; // its
    struct permits *permits;
    uint32_t budget;
    uint64_t requests;
    // ---- of the day at work ----
    struct backfill_job *job;
    const char *symbol;
    struct backfill_sieve *sieve;
    enum backfill_result result;
    struct rows rows;
    void *rows_memory;
    int64_t last;   // position, or cursor, of the page's last row
    uint32_t count; // rows of the page
    bool behind;    // a row lies behind the day
    bool disordered; // ids did not rise
};

// The answer to a question, in rest->request.text. False: rest->result tells how the day ends.
bool backfill_rest_get(struct backfill_rest *rest, const char *path, uint32_t weight);
bool backfill_rest_fail(struct backfill_rest *rest, enum backfill_result result, const char *what);
// All rows gathered go to the sieve.
bool backfill_rest_flush(struct backfill_rest *rest);

// The day by pages. False: rest->result.
bool backfill_rest_binance_trades(struct backfill_rest *rest);
bool backfill_rest_binance_klines(struct backfill_rest *rest);
bool backfill_rest_upbit_trades(struct backfill_rest *rest);
bool backfill_rest_upbit_candles(struct backfill_rest *rest);

#endif
