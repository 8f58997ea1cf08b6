// SPDX-License-Identifier: GPL-3.0-or-later
//
// One request at a time: permit → request → answer, again after a pause where that may help.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_backfill_rest_inside.h"
#include "tools/ringtape_command.h"

enum { LOOK_MS = 100, TRIES = 6, PAUSE_S_MAX = 3600, UPBIT_BESIDE = 2 };
enum { LIST_WEIGHT = 20, LIST_WEIGHT_OTHERS = 1 };

const char *backfill_rest_url(enum backfill_venue venue)
{
    static const char *const urls[] = {
        [BACKFILL_BINANCE] = "https://api.binance.com",
        [BACKFILL_USDM] = "https://fapi.binance.com",
        [BACKFILL_UPBIT] = "https://api.upbit.com",
    };
    return urls[venue];
}

bool backfill_rest_fail(struct backfill_rest *rest, enum backfill_result result, const char *what)
{
    rest->result = result;
    if (result == BACKFILL_REFUSED)
        (void)snprintf(rest->job->message, sizeof rest->job->message, "%s %s: %.300s", rest->symbol,
                       rest->job->name, what);
    else if (result == BACKFILL_FAILED && what != NULL)
        (void)ringtape_fail("%s", what);
    return false;
}

// ---- requests ----

// Lets time pass. False: Ctrl-C.
static bool rest_wait(struct backfill_rest *rest, int64_t pause_ns)
{
    const int64_t end_ns = ringtape_monotonic_ns() + pause_ns;
    do {
        if (*rest->options.stop) return backfill_rest_fail(rest, BACKFILL_STOPPED, NULL);
        if (rest->options.waiting != NULL) rest->options.waiting(rest->options.context);
        const int64_t left_ms = (end_ns - ringtape_monotonic_ns()) / 1000000;
        backfill_fetch_wait(rest->fetch, left_ms < LOOK_MS ? (left_ms > 0 ? (int)left_ms : 0)
                                                           : LOOK_MS);
    } while (ringtape_monotonic_ns() < end_ns);
    return true;
}

static bool rest_permit(struct backfill_rest *rest, uint32_t weight)
{
    int64_t pause_ns;
    while ((pause_ns = permits_spend(rest->permits, rest->budget, weight, false,
                                     ringtape_now_ns())) > 0)
        if (!rest_wait(rest, pause_ns)) return false;
    return true;
}

static bool rest_once(struct backfill_rest *rest, const char *path)
{
    struct backfill_request *request = &rest->request;
    char url[RINGTAPE_PATH_BYTES_MAX];
    free(request->text);
    *request = (struct backfill_request){0};
    (void)snprintf(url, sizeof url, "%.1000s%s", rest->options.base_url, path);
    rest->requests++;
    backfill_fetch_start(rest->fetch, request, url, NULL, rest->history->header,
                         rest->history->used_header);
    while (request->state == BACKFILL_FETCH_RUNNING) {
        if (rest_wait(rest, 1)) continue;
        backfill_fetch_cancel(rest->fetch, request);
        return false;
    }
    if (request->used[0] != 0)
        permits_used(rest->permits, rest->budget, (uint32_t)strtoul(request->used, NULL, 10),
                     ringtape_now_ns());
    return true;
}

static bool rest_again(const struct backfill_request *request)
{
    return !request->hopeless &&
           (request->state == BACKFILL_FETCH_BROKEN || request->status == 429 ||
            request->status == 418 || request->status == 403 || request->status >= 500);
}

static bool rest_refused(struct backfill_rest *rest)
{
    const struct backfill_request *request = &rest->request;
    char text[300];
    const bool known = request->text != NULL && rest->history->unknown_symbol != NULL &&
                       rest->history->unknown_symbol((const uint8_t *)request->text,
                                                     (uint32_t)request->text_size);
    if (request->state == BACKFILL_FETCH_BROKEN) {
        (void)snprintf(text, sizeof text, "%.100s: %.150s; start again when it can be reached",
                       rest->options.base_url, request->message);
        return backfill_rest_fail(rest, BACKFILL_FAILED, text);
    }
    if (known)
        (void)snprintf(text, sizeof text, "the exchange does not know this symbol");
    else
        (void)snprintf(text, sizeof text, "HTTP %ld: %.200s", request->status,
                       request->text != NULL ? request->text : "");
    return backfill_rest_fail(rest, BACKFILL_REFUSED, text);
}

bool backfill_rest_get(struct backfill_rest *rest, const char *path, uint32_t weight)
{
    for (int tries = 0;; tries++) {
        if (!rest_permit(rest, weight) || !rest_once(rest, path)) return false;
        const struct backfill_request *request = &rest->request;
        if (request->state == BACKFILL_FETCH_DONE && request->status == 200) return true;
        if (!rest_again(request) || tries == TRIES) return rest_refused(rest);
        int64_t pause_s = (int64_t)1 << tries;
        if (request->retry_after_s > pause_s) pause_s = request->retry_after_s;
        if (pause_s > PAUSE_S_MAX) pause_s = PAUSE_S_MAX;
        if (!rest_wait(rest, pause_s * 1000000000)) return false;
    }
}

// ---- a day ----

bool backfill_rest_flush(struct backfill_rest *rest)
{
    const enum backfill_result result = backfill_sieve_take(rest->sieve, &rest->rows);
    rows_clear(&rest->rows);
    if (result != BACKFILL_DONE) rest->result = result;
    return result == BACKFILL_DONE;
}

static bool rest_pages(struct backfill_rest *rest)
{
    const bool upbit = rest->options.venue == BACKFILL_UPBIT;
    if (rest->job->key.channel == CHANNEL_KLINE)
        return upbit ? backfill_rest_upbit_candles(rest) : backfill_rest_binance_klines(rest);
    return upbit ? backfill_rest_upbit_trades(rest) : backfill_rest_binance_trades(rest);
}

static bool rest_rows(struct backfill_rest *rest)
{
    const struct channel_schema *schema = channel_schema(rest->job->key.channel);
    const bool hour = rest->options.venue == BACKFILL_UPBIT && schema->channel == CHANNEL_TRADE;
    const struct rows_limits limits = {.rows = hour ? REST_HOUR_ROWS : REST_ROWS,
                                       .text_bytes = REST_ROWS * 32};
    free(rest->rows_memory);
    rest->rows_memory = aligned_alloc(64, (rows_memory_bytes(schema, &limits) + 63) / 64 * 64);
    if (rest->rows_memory == NULL) return backfill_rest_fail(rest, BACKFILL_FAILED, "no memory");
    rows_init(&rest->rows, schema, &limits, rest->rows_memory);
    return true;
}

enum backfill_result backfill_rest_day(struct backfill_rest *rest, struct backfill_job *job,
                                       const char *symbol)
{
    rest->job = job;
    rest->symbol = symbol;
    rest->result = BACKFILL_DONE;
    job->rows_read = job->rows_stored = job->rows_known = job->rows_left = job->gaps = 0;
    if (!rest_rows(rest)) return rest->result;
    rest->sieve = backfill_sieve_open(job);
    if (rest->sieve == NULL) return BACKFILL_FAILED;
    const bool good = rest_pages(rest) && backfill_rest_flush(rest);
    const enum backfill_result closed = backfill_sieve_close(rest->sieve, good);
    rest->sieve = NULL;
    return good ? closed : rest->result;
}

// ---- symbols ----

enum backfill_result backfill_rest_symbols(struct backfill_rest *rest,
                                           dialect_instrument_callback *each, void *context)
{
    struct backfill_job job = {.name = "list of symbols"};
    const bool spot = rest->options.venue == BACKFILL_BINANCE;
    rest->job = &job;
    rest->symbol = rest->dialect->name;
    rest->result = BACKFILL_DONE;
    if (backfill_rest_get(rest, rest->dialect->instruments_path,
                          spot ? LIST_WEIGHT : LIST_WEIGHT_OTHERS) &&
        rest->dialect->instruments((const uint8_t *)rest->request.text,
                                   (uint32_t)rest->request.text_size, each, context) != 0)
        (void)backfill_rest_fail(rest, BACKFILL_REFUSED, "an answer that is not as documented");
    if (rest->result == BACKFILL_REFUSED) (void)ringtape_fail("%s", job.message);
    rest->job = NULL;
    return rest->result;
}

// ---- life ----

struct backfill_rest *backfill_rest_open(const struct backfill_rest_options *options)
{
    static const char *const exchanges[] = {
        [BACKFILL_BINANCE] = "binance",
        [BACKFILL_USDM] = "binance-usdm",
        [BACKFILL_UPBIT] = "upbit",
    };
    struct backfill_rest *rest = calloc(1, sizeof *rest);
    if (rest != NULL) {
        rest->permits = calloc(1, sizeof *rest->permits);
        rest->fetch = backfill_fetch_open(options->ca_file);
    }
    if (rest == NULL || rest->permits == NULL || rest->fetch == NULL) {
        (void)ringtape_fail("out of memory");
        backfill_rest_close(rest);
        return NULL;
    }
    const struct dialect *dialect = dialect_by_name(exchanges[options->venue]);
    ensure(dialect != NULL && dialect->history != NULL);
    rest->options = *options;
    rest->dialect = dialect;
    rest->history = dialect->history;
    const bool upbit = options->venue == BACKFILL_UPBIT;
    const uint32_t beside = upbit ? UPBIT_BESIDE : rest->history->budget_limit / 2;
    const uint32_t limit = options->daemon || !upbit ? beside : rest->history->budget_limit;
    permits_init(rest->permits);
    rest->budget = permits_budget(rest->permits, rest->history->budget, limit,
                                  rest->history->budget_window_ns);
    return rest;
}

void backfill_rest_close(struct backfill_rest *rest)
{
    if (rest == NULL) return;
    free(rest->request.text);
    free(rest->rows_memory);
    free(rest->permits);
    backfill_fetch_close(rest->fetch);
    free(rest);
}

uint64_t backfill_rest_requests(const struct backfill_rest *rest)
{
    return rest->requests;
}
