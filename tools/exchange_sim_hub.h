// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_hub: who gets which event, and the truth about what was sent.
//
// A stream is one channel of one symbol of one exchange. Its key is the exchange's name for it
// without the speed: "btcusdt@depth" for btcusdt@depth@100ms, "KRW-BTC@trade". Every event goes to
// all subscribers of its stream or, where one of them has no room, to none yet. An event nobody is
// subscribed to is not sent and not counted, unless the whole market is asked for.
//
// Room: as a rule nobody waits for anybody: what a connection has no room for waits in its backlog,
// and a connection whose backlog is full is dropped alone. Where clients set the pace (`paced`), an
// event waits until one of its subscribers has room at once and none is far behind.
//
// Truth file: one line an event, in order of sending, once however many subscribers there were:
//     <intended time of sending, ns UTC> <exchange> <key> <payload as sent, without wrapping>
// Counting truth: for each stream the number of events, first and last id and the sum of ids.
//
// Threading: one owner. Bounds: EXCHANGE_SIM_STREAMS_MAX streams; further names get no events.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_HUB_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_HUB_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/exchange_sim_name.h"
#include "tools/exchange_sim_text.h"

enum {
    EXCHANGE_SIM_STREAMS_MAX = 1 << 16,
    EXCHANGE_SIM_STREAM_NAME_MAX = 63,
    EXCHANGE_SIM_STREAM_NONE = 0xffffffff,
};

struct exchange_sim_connection;
struct exchange_sim_faults;
struct exchange_sim_fault_log;
struct exchange_sim_fault_spec;
struct exchange_sim_hooks;
struct exchange_sim_market_event;
struct exchange_sim_market_symbol;

struct exchange_sim_subscriber {
    struct exchange_sim_connection *connection;
    char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1]; // as subscribed: btcusdt@depth@100ms
};

struct exchange_sim_stream {
    enum exchange_sim_exchange exchange;
    char key[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
    struct exchange_sim_subscriber *subscribers;
    uint32_t subscriber_count;
    uint32_t subscriber_capacity;
    uint64_t sent;
    int64_t first_id;
    int64_t last_id;
    uint64_t id_sum; // modulo 2^64
    bool aggregate;     // aggTrade
    bool truthful;      // is in the truth file
    bool fault_channel; // message faults may hit it
    // Events in a row that nobody was given.
    uint64_t lost;
    int64_t lost_first_id;
    int64_t lost_last_id;
    int64_t lost_first_ns;
    int64_t lost_last_ns;
};

enum { EXCHANGE_SIM_MILLISECONDS, EXCHANGE_SIM_MICROSECONDS, EXCHANGE_SIM_UNITS };

// An event on its way: the payload in one or both units of time (the same bytes for recordings).
struct exchange_sim_event {
    uint32_t stream;
    int64_t id;       // 0: none
    int64_t first_id; // depth: U; 0: as id
    int64_t due_ns; // intended time of sending, UTC
    const uint8_t *payload[EXCHANGE_SIM_UNITS];
    uint32_t size[EXCHANGE_SIM_UNITS];
    // Of the made-up market, until the next event is made; NULL: recorded.
    const struct exchange_sim_market_event *market;
    const struct exchange_sim_market_symbol *symbol;
};

struct exchange_sim_hub {
    // Set between opening and the first stream.
    bool whole;                 // events exist whether or not anybody is subscribed
    bool paced;                 // by clients
    const char *truth_channels; // "trade,depth"; NULL: all
    const struct exchange_sim_fault_spec *fault_spec; // NULL: no faults
    struct exchange_sim_faults *faults;               // NULL: none
    struct exchange_sim_fault_log *log;               // NULL: none
    const struct exchange_sim_hooks *hooks;           // NULL: nothing goes wrong on purpose
    // State.
    struct exchange_sim_stream *streams;
    uint32_t stream_count;
    uint32_t *table; // hash -> stream + 1
    uint32_t subscriptions;
    uint32_t agg_subscriptions; // of these, to aggTrade
    uint64_t sent; // events
    uint64_t snapshots;
    uint64_t copies; // events times subscribers
    uint64_t bytes;  // of payload
    FILE *truth;     // NULL: none
};

bool exchange_sim_hub_open(struct exchange_sim_hub *hub, const char *truth_path);
// Flushes the truth file: false where it could not be written whole.
bool exchange_sim_hub_close(struct exchange_sim_hub *hub);

// The stream of that name, made if new; EXCHANGE_SIM_STREAM_NONE where the name is too long or
// there are too many. Speeds are cut off, Binance symbols lowered.
uint32_t exchange_sim_hub_stream(struct exchange_sim_hub *hub, enum exchange_sim_exchange exchange,
                                 const char *name, uint32_t name_size);

// False where the connection was subscribed under that name already.
bool exchange_sim_hub_subscribe(struct exchange_sim_hub *hub, uint32_t stream,
                                struct exchange_sim_connection *connection, const char *name,
                                uint32_t name_size);
// False where it was not.
bool exchange_sim_hub_unsubscribe(struct exchange_sim_hub *hub, uint32_t stream,
                                  struct exchange_sim_connection *connection);

// Units of time the subscribers want, as bits (1 << EXCHANGE_SIM_MILLISECONDS), and the truth of a
// whole market; 0: nobody.
uint32_t exchange_sim_hub_wanted(const struct exchange_sim_hub *hub, uint32_t stream);

enum exchange_sim_publish { EXCHANGE_SIM_SENT, EXCHANGE_SIM_NOBODY, EXCHANGE_SIM_BLOCKED };
enum exchange_sim_publish exchange_sim_hub_publish(struct exchange_sim_hub *hub,
                                                   const struct exchange_sim_event *event);

// A line of the truth file that is no event: what the market was told to do.
void exchange_sim_hub_note(struct exchange_sim_hub *hub, int64_t utc_ns,
                           enum exchange_sim_exchange exchange, const char *name,
                           const struct exchange_sim_text *text);

// Is `name` in a comma-separated list.
bool exchange_sim_hub_listed(const char *list, const char *name);

// A state for one new subscriber: in the truth file, marked by its payload, but not counted as
// sent.
void exchange_sim_hub_snapshot(struct exchange_sim_hub *hub,
                               struct exchange_sim_connection *connection, uint32_t stream,
                               const uint8_t *payload, uint32_t size, int64_t utc_ns);

// The counting truth as one JSON object: {"binance btcusdt@trade":{"sent":..},..}.
void exchange_sim_hub_print(const struct exchange_sim_hub *hub, FILE *file);

#endif
