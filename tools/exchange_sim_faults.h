// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_faults: what goes wrong on purpose, while sending goes on.
//
//     exchange_sim_faults.c           what hits a whole exchange: outages, lists, ids, REST
//     exchange_sim_faults_message.c   what hits messages of one connection: lost, twice, late
//     exchange_sim_faults_window.c    depth windows joined differently on each connection
//     exchange_sim_faults_link.c      what ends, mutes or slows one connection
//     exchange_sim_faults_hooks.c     how all of them reach the server; what nobody was given
//
// Nothing happens before exchange_sim_faults_begin(). All of it may be there without any fault:
// then only the log is kept.
//
// Ownership: a link belongs to its connection, from its upgrade to its end. Threading: the server's
// loop. Bounds: EXCHANGE_SIM_HELD_MAX messages held back for each connection, one window for each
// stream; what does not fit is not hit.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_FAULTS_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_books.h"
#include "tools/exchange_sim_connection.h"
#include "tools/exchange_sim_fault_log.h"
#include "tools/exchange_sim_fault_spec.h"
#include "tools/exchange_sim_hooks.h"
#include "tools/exchange_sim_market.h"

enum {
    EXCHANGE_SIM_HELD_MAX = 64,
    EXCHANGE_SIM_WINDOW_CHANGES_MAX = 320, // a rendered window fits MARKET_EVENT_SIZE_MAX
    EXCHANGE_SIM_WINDOW_SLOTS = 8192,      // twice the streams of a connection
};

struct exchange_sim_faults_options {
    struct exchange_sim_fault_spec spec;
    bool any; // spec says something
    // REST is down from..to after the beginning; from -1: never, to INT64_MAX: for ever.
    int64_t rest_down_from_ns;
    int64_t rest_down_to_ns;
};

struct exchange_sim_faults {
    struct exchange_sim_faults_options options;
    struct exchange_sim_fault_log *log;
    struct exchange_sim_books *books;
    struct exchange_sim_server *server;
    struct exchange_sim_market *market; // NULL: recordings
    bool active;
    int64_t begun_ns; // monotonic
    struct exchange_sim_fault_clock clocks[EXCHANGE_SIM_EXCHANGES];
    int64_t outage_until_ns[EXCHANGE_SIM_EXCHANGES];
    int64_t rest_down_until_ns[EXCHANGE_SIM_EXCHANGES];
    int64_t rest_ban_until_ns[EXCHANGE_SIM_EXCHANGES];
    uint32_t leaving[EXCHANGE_SIM_EXCHANGES]; // symbol being delisted; UINT32_MAX: none
    int64_t forget_ns[EXCHANGE_SIM_EXCHANGES];
    bool restart_due[EXCHANGE_SIM_EXCHANGES][2]; // trades, book: until the market can
    uint64_t counts[EXCHANGE_SIM_FAULT_KINDS];
};

// For the server and the hub, with or without any fault.
extern const struct exchange_sim_hooks exchange_sim_fault_hooks;
// Tells which events no connection was given, up to now; at the end.
void exchange_sim_hub_tell_lost(struct exchange_sim_hub *hub);

void exchange_sim_faults_open(struct exchange_sim_faults *faults,
                              const struct exchange_sim_faults_options *options);
void exchange_sim_faults_begin(struct exchange_sim_faults *faults, int64_t now_ns);
void exchange_sim_faults_end(struct exchange_sim_faults *faults);
// A few times a second.
void exchange_sim_faults_tick(struct exchange_sim_faults *faults);
// Each turn of the loop: what was held back and is due.
void exchange_sim_faults_pump(struct exchange_sim_faults *faults);
// No connection is let in.
bool exchange_sim_faults_refuses(const struct exchange_sim_faults *faults,
                                 enum exchange_sim_exchange exchange, int64_t now_ns);
// The event is to reach nobody.
bool exchange_sim_faults_withhold(struct exchange_sim_faults *faults,
                                  const struct exchange_sim_stream *stream,
                                  const struct exchange_sim_event *event);
// Counts and begins a line of the log; false where there is none to write.
bool exchange_sim_faults_tell(struct exchange_sim_faults *faults, const char *name);

// ---- REST ----

struct exchange_sim_rest_fault {
    enum exchange_sim_fault_kind kind;
    uint64_t random;
};
// What is to happen to the request at hand; `page`: it asks for a page of trades.
struct exchange_sim_rest_fault exchange_sim_faults_rest(struct exchange_sim_faults *faults,
                                                        enum exchange_sim_exchange exchange,
                                                        int64_t now_ns, bool page);
void exchange_sim_faults_rest_told(struct exchange_sim_faults *faults,
                                   enum exchange_sim_exchange exchange,
                                   const struct exchange_sim_rest_fault *fault, const char *path,
                                   uint32_t path_size, uint16_t status);

// ---- one connection ----

struct exchange_sim_delivery {
    uint32_t stream;
    const char *name; // as subscribed
    int64_t first_id; // depth: U; otherwise last_id
    int64_t last_id;
    const uint8_t *payload;
    uint32_t size;
};

struct exchange_sim_held {
    struct exchange_sim_delivery delivery; // name and payload are copies
    char name[EXCHANGE_SIM_STREAM_NAME_MAX + 1];
    uint8_t *payload;
    int64_t release_ns;
    uint32_t after; // further messages of the stream; 0: time alone counts
    bool duplicate;
};

struct exchange_sim_window; // exchange_sim_faults_window.c

struct exchange_sim_fault_link {
    struct exchange_sim_faults *faults;
    struct exchange_sim_connection *connection;
    struct exchange_sim_fault_clock clock;
    uint32_t gap_left;
    bool deaf; // events do not go out
    int64_t mute_until_ns;
    int64_t slow_until_ns;
    uint32_t slow_bytes;    // each tick
    int64_t shutdown_ns;    // when to close after serverShutdown; 0: not said
    struct exchange_sim_held held[EXCHANGE_SIM_HELD_MAX];
    uint32_t held_count;
    struct exchange_sim_window **windows; // hash table by stream; NULL until one is needed
    uint32_t windows_open;
    int64_t windows_checked_ns;
};

// NULL when out of memory.
struct exchange_sim_fault_link *
exchange_sim_fault_link_open(struct exchange_sim_faults *faults,
                             struct exchange_sim_connection *connection);
// Tells what was held back and drops it.
void exchange_sim_fault_link_close(struct exchange_sim_fault_link *link);
// It holds something back that will still go out.
bool exchange_sim_fault_link_busy(const struct exchange_sim_fault_link *link);
// Ends, mutes or slows the connection where that is due; true where it has ended.
bool exchange_sim_fault_link_tick(struct exchange_sim_fault_link *link);
void exchange_sim_fault_link_reset(struct exchange_sim_connection *connection);
// The event goes to the connection, now, later or not at all: false where not at all.
bool exchange_sim_fault_link_event(struct exchange_sim_fault_link *link, const char *name,
                                   const struct exchange_sim_event *event, uint32_t unit);
// A message that has been through the windows.
bool exchange_sim_fault_link_message(struct exchange_sim_fault_link *link,
                                     const struct exchange_sim_delivery *delivery);
void exchange_sim_fault_link_release(struct exchange_sim_fault_link *link, int64_t now_ns);

// exchange_sim_faults_window.c. True where the event is in a window now.
bool exchange_sim_window_add(struct exchange_sim_fault_link *link, const char *name,
                             const struct exchange_sim_event *event);
// Sends windows that have been open long enough.
void exchange_sim_window_release(struct exchange_sim_fault_link *link, int64_t now_ns);
void exchange_sim_window_close_all(struct exchange_sim_fault_link *link);
// Unsubscribed: what is in its window goes nowhere.
void exchange_sim_window_forget(struct exchange_sim_fault_link *link, uint32_t stream);
void exchange_sim_faults_tell_ids(struct exchange_sim_fault_link *link, const char *name,
                                  const struct exchange_sim_delivery *delivery);

#endif
