// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_hooks: where a simulation lays hands on the server and the hub. Both have a pointer
// to one table; NULL: nothing goes wrong on purpose. All functions of a table are there. `link` is
// what opened() put into connection->link; those that take one are called where it is not NULL.
//
// Threading: the server's loop.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_HOOKS_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_HOOKS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_connection.h"
#include "tools/exchange_sim_hub.h"

struct exchange_sim_hooks {
    // ---- the server ----
    // No connection is let in.
    bool (*refuses)(const struct exchange_sim_server *server, enum exchange_sim_exchange exchange,
                    int64_t now_ns);
    void (*opened)(struct exchange_sim_connection *connection); // as a WebSocket
    void (*closed)(struct exchange_sim_connection *connection); // no event comes any more
    // May change life_ns and notice_ns, where the life is the exchange's day.
    void (*life)(struct exchange_sim_connection *connection, int64_t day_ns);
    bool (*tick)(struct exchange_sim_fault_link *link); // true: the connection has ended
    bool (*busy)(const struct exchange_sim_fault_link *link); // it holds something back
    void (*forget)(struct exchange_sim_fault_link *link, uint32_t stream); // unsubscribed
    void (*reset)(struct exchange_sim_connection *connection); // closing it sends RST
    // ---- the hub ----
    bool (*fault_channel)(const struct exchange_sim_hub *hub, const char *channel);
    // The event is to reach nobody.
    bool (*withhold)(const struct exchange_sim_hub *hub, const struct exchange_sim_stream *stream,
                     const struct exchange_sim_event *event);
    // Now, later or not at all: false where not at all.
    bool (*give)(struct exchange_sim_fault_link *link, const char *name,
                 const struct exchange_sim_event *event, uint32_t unit);
    // The event is over; `given`: some connection got it.
    void (*account)(struct exchange_sim_hub *hub, const struct exchange_sim_event *event,
                    struct exchange_sim_stream *stream, bool given);
};

#endif
