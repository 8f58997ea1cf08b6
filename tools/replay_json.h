// SPDX-License-Identifier: GPL-3.0-or-later
//
// replay_json: stored rows as the exchange sent them: the inverse of src/exchange, key by key
// (docs/fields.md). What was stored comes back with its exact value; what was derivable is derived
// again; of decimals the value counts, not the number of zeros behind it (spot has eight places, as
// on the wire). A repaired or backfilled row has no time of sending: it gets that of the trade.
//
// Ownership: the caller's memory, REPLAY_JSON_BYTES_MAX. Threading: pure functions.
// Sources: as docs/fields.md.
#ifndef RINGTAPE_TOOLS_REPLAY_JSON_H
#define RINGTAPE_TOOLS_REPLAY_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "format/rows.h"
#include "tools/exchange_sim_name.h"

enum { REPLAY_JSON_BYTES_MAX = EXCHANGE_SIM_EVENT_SIZE_MAX };

struct replay_row {
    enum exchange_sim_exchange exchange;
    const struct rows *rows;
    uint32_t row;
    struct event_text symbol; // "BTCUSDT"
    bool microseconds;        // Binance: the unit that was subscribed to
};

// A message of the exchange, for Upbit in the SIMPLE format. 0: the exchange has none for it (its
// channel is not streamed, or it is too large).
uint32_t replay_json(const struct replay_row *row, char *out);
uint32_t replay_json_binance(const struct replay_row *row, char *out);
uint32_t replay_json_upbit(const struct replay_row *row, char *out);

// ---- REST: one element of a reply ----

uint32_t replay_json_rest_trade(const struct replay_row *row, char *out);     // Binance
uint32_t replay_json_rest_agg_trade(const struct replay_row *row, char *out); // Binance
uint32_t replay_json_rest_depth(const struct replay_row *row, char *out);     // Binance, whole
uint32_t replay_json_rest_tick(const struct replay_row *row, char *out);      // Upbit

// ---- what the writers share ----

static inline bool replay_has(const struct replay_row *row, int column)
{
    return (row->rows->present[row->row] >> column & 1) != 0;
}

static inline int64_t replay_value(const struct replay_row *row, int column)
{
    return row->rows->value[column][row->row];
}

#endif
