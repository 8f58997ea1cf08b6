// SPDX-License-Identifier: GPL-3.0-or-later
//
// replay_streams: which stream of the exchange a stored row belongs to, and what REST has to know
// of what was played.
//
// Rows that have no stream: those without a symbol, of exchanges that are not played, of channels
// that the exchange does not stream (REST snapshots of books, candles, alerts, status,
// instruments).
//
// Ownership: tables by symbol, allocated at opening. Threading: one owner.
#ifndef RINGTAPE_TOOLS_REPLAY_STREAMS_H
#define RINGTAPE_TOOLS_REPLAY_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_hub.h"
#include "tools/replay_json.h"
#include "tools/replay_reader.h"

struct replay_symbol {
    uint8_t exchange;   // enum exchange_sim_exchange; EXCHANGE_SIM_EXCHANGES: not played
    bool known;         // the two of this line are right
    uint16_t wire;      // where "BTCUSDT" begins in "binance:BTCUSDT"
    int64_t trade_id;   // greatest that was played; 0: none
    int64_t trade_first;
    int64_t agg_id;
    int64_t depth_first; // U of the first depth message that its present subscribers got; 0: none
    int64_t depth_time;  // `time` and u of the last depth message that was played; 0: none
    int64_t depth_last;
    int64_t depth_given; // lastUpdateId of the recorded snapshot that was given out since
};

struct replay_streams {
    struct exchange_sim_hub *hub;
    const struct ringtape_names *names;
    struct replay_symbol *symbols;          // [RINGTAPE_NAMES_MAX]
    uint32_t *stream[CHANNEL_COUNT];        // [RINGTAPE_NAMES_MAX] stream + 1; 0: not asked yet
    uint32_t *book_stream[3];               // depth5, depth10, depth20
    uint8_t *rendered[EXCHANGE_SIM_UNITS];  // [REPLAY_JSON_BYTES_MAX]
    struct exchange_sim_event event;        // at hand, where the last one was blocked
    bool holding;
};

bool replay_streams_open(struct replay_streams *streams, struct exchange_sim_hub *hub,
                         const struct ringtape_names *names);
void replay_streams_close(struct replay_streams *streams);
const struct replay_symbol *replay_streams_symbol(struct replay_streams *streams, uint32_t number);
// "BTCUSDT"
struct event_text replay_streams_wire(struct replay_streams *streams, uint32_t number);
// The name of the row's stream, "btcusdt@trade"; 0: it has none.
uint32_t replay_streams_name(struct replay_streams *streams, const struct rows *rows, uint32_t row,
                             char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1]);
// Gives the row to who is subscribed. EXCHANGE_SIM_BLOCKED: the same row again, later.
enum exchange_sim_publish replay_streams_publish(struct replay_streams *streams,
                                                 const struct replay_slice *slice,
                                                 const struct replay_entry *entry);

#endif
