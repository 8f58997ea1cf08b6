// SPDX-License-Identifier: GPL-3.0-or-later
//
// replay_rest: what the exchange that is replayed answers over HTTP: what the store has of the time
// up to the replay's clock, nothing of later, and nothing made up.
//
// Binance under /api/v3/ and /fapi/v1/: ping, time, exchangeInfo, depth, trades, historicalTrades,
// aggTrades, ticker/24hr (ids only). Upbit under /v1/: market/all, trades/ticks.
// docs/replay.md says what of their parameters is understood. No limits are played; the headers
// that tell of them are there.
//
// Depth. A client that has followed a book since a message it names gets the snapshot that was
// recorded then, once, so that a recorder stores the same; anybody else gets the book as of the
// clock, made of the last recorded snapshot and the messages since (ringtape_book_find.h).
//
// The store is read while the client waits, and so do the others: a page of trades takes a few
// milliseconds, a book up to some hundred.
//
// Ownership: a store of its own, buffers from opening on. Threading: the server's loop.
#ifndef RINGTAPE_TOOLS_REPLAY_REST_H
#define RINGTAPE_TOOLS_REPLAY_REST_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_connection.h"
#include "tools/exchange_sim_text.h"
#include "tools/replay_player.h"
#include "tools/replay_streams.h"

enum {
    REPLAY_REST_VALUE_BYTES = 512,
    REPLAY_REST_PAGE_MAX = 1000,
};

struct replay_rest {
    struct store *store;
    struct replay_streams *streams;
    const struct replay_player *player;
    const struct ringtape_query *query;
    char *body; // REPLAY_REST_BODY_BYTES
    char *element; // REPLAY_JSON_BYTES_MAX
};

// 0 or an exit code; what is wrong was printed.
int replay_rest_open(struct replay_rest *rest, const struct ringtape_query *query,
                     struct replay_streams *streams, const struct replay_player *player);
void replay_rest_close(struct replay_rest *rest);
// The exchange's clock: that of the player, less the store's lag.
int64_t replay_rest_clock_ns(const struct replay_rest *rest);
// An exchange_sim_answer; answer_context is the struct replay_rest.
void replay_rest_answer(struct exchange_sim_connection *connection, const char *target,
                        uint32_t target_size);
// An exchange_sim_snapshot; context is the struct replay_rest: the stream's last message up to the
// clock, marked as a snapshot.
void replay_rest_snapshot(void *context, struct exchange_sim_connection *connection,
                          uint32_t stream);

// ---- the answers ----

struct replay_question {
    struct exchange_sim_connection *connection;
    struct replay_rest *rest;
    enum exchange_sim_exchange exchange;
    const char *path; // behind the prefix
    uint32_t path_size;
    const char *query;
    uint32_t query_size;
    bool microseconds;
    uint16_t status;
    struct exchange_sim_text body;
};

void replay_rest_binance(struct replay_question *q);
void replay_rest_upbit(struct replay_question *q);

bool replay_rest_parameter(const struct replay_question *q, const char *name,
                           char value[REPLAY_REST_VALUE_BYTES]);
int64_t replay_rest_number(const struct replay_question *q, const char *name, int64_t fallback);
void replay_rest_failure(struct replay_question *q, uint16_t status, int code,
                         const char *message);
// "binance:BTCUSDT" of the parameter, as the store knows it. False: the reply says so.
bool replay_rest_symbol(struct replay_question *q, const char *parameter, char name[256],
                        uint32_t *number);
// Each of its rows; false ends the walk.
typedef bool replay_rest_row(void *context, const struct replay_row *row);
// Rows of one symbol that match, in the order of recording; of trades only those that have been
// due: a client must not hear of one by REST before it comes. Of Upbit's, that were sent a second
// ago (replay_player_told_ns()).
void replay_rest_rows(struct replay_question *q, struct store_query *query, const char *name,
                      replay_rest_row *each, void *context);
// exchangeInfo's and market/all's elements, by symbol: the bodies that were recorded last.
void replay_rest_instruments(struct replay_question *q,
                             void (*missing)(struct replay_question *q, const char *name));
void replay_rest_comma(struct replay_question *q);

#endif
