// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_connection: listeners and the connections they accept: TLS, HTTP, WebSocket,
// keep-alive and message limits of the exchanges.
//
//     FREE --accept--> REQUEST --upgrade--> STREAMING --close--> DRAINING --sent--> CLOSING -->
//     FREE
//                        | REST reply, again                 any failure -------------^
//
// DRAINING sends what is queued, then closes; CLOSING waits for its operations to end.
// What a request means is decided by exchange_sim_binance.c, exchange_sim_upbit.c and, for REST,
// by who owns the server (`answer`).
//
// The exchange's side of the protocols, shared by exchange-sim and `ringtape replay`: this file,
// exchange_sim_server.c, _output.c, _binance.c, _upbit.c, _hub.c, _text.c, _name.c.
// They know no market, no recording and no fault; exchange_sim_hooks.h is how faults come in.
//
// Threading: one loop. Bounds: EXCHANGE_SIM_CONNECTIONS_MAX; each may queue OUTPUT_BYTES, and a
// reply.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_CONNECTION_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "io/io.h"
#include "protocol/http.h"
#include "protocol/tls.h"
#include "protocol/websocket.h"
#include "tools/exchange_sim_hub.h"

enum {
    EXCHANGE_SIM_CONNECTIONS_MAX = 1100,
    EXCHANGE_SIM_OUTPUT_BYTES = 1 << 20,
    EXCHANGE_SIM_MESSAGE_SIZE_MAX = 1 << 18, // from a client; all codes of Upbit fit
    EXCHANGE_SIM_RATES_MAX = 128,            // remembered client messages
    EXCHANGE_SIM_CONNECTS_MAX = 512,         // remembered connects
    EXCHANGE_SIM_REPLY_MAX = 1 << 17,
    EXCHANGE_SIM_BACKLOG_BYTES = 64 << 20, // behind the output, unless said otherwise
};

enum exchange_sim_state {
    EXCHANGE_SIM_FREE,
    EXCHANGE_SIM_REQUEST,
    EXCHANGE_SIM_STREAMING,
    EXCHANGE_SIM_DRAINING,
    EXCHANGE_SIM_CLOSING,
};

// Upbit's formats.
enum exchange_sim_format {
    EXCHANGE_SIM_DEFAULT,
    EXCHANGE_SIM_SIMPLE,
    EXCHANGE_SIM_JSON_LIST,
    EXCHANGE_SIM_SIMPLE_LIST,
};

struct exchange_sim_server;
struct exchange_sim_faults;
struct exchange_sim_fault_link;

// Frames that the output had no room for. Grows by doubling; given back when empty.
struct exchange_sim_backlog {
    uint8_t *bytes;
    size_t capacity;
    size_t head;
    size_t size;
    uint64_t drained; // in all
};

struct exchange_sim_connection {
    struct exchange_sim_server *server;
    enum exchange_sim_state state;
    enum exchange_sim_exchange exchange;
    int handle;
    struct io_op receive;
    struct io_op send;
    struct io_op close;
    struct tls *tls;
    struct http_parser http;
    char *http_head;
    struct websocket websocket;
    uint8_t *message;
    // Frames waiting to share a TLS record.
    uint8_t *staged;
    uint32_t staged_size;
    struct exchange_sim_backlog backlog;
    bool broken;            // encryption failed: to be ended
    bool left;              // the peer has said goodbye: to be ended, and no failure
    bool overrun;           // the backlog is full: to be dropped
    int64_t crowded_ns;     // since when the backlog is above its high-water mark; 0: it is not
    uint64_t crowded_drained;
    // A REST reply's body, sent as the output has room.
    char *body;
    uint32_t body_size;
    uint32_t body_sent;
    bool body_chunked;
    // Keep-alive and limits; monotonic.
    int64_t opened_ns;
    int64_t heard_ns;
    int64_t ping_ns;      // last ping sent
    int64_t ping_open_ns; // oldest ping without pong; 0: none
    int64_t closing_ns;
    int64_t alive_ns; // Upbit: when {"status":"UP"} is due again; 0: not asked for
    int64_t life_ns;         // from opening; 0: unlimited
    int64_t notice_ns;       // serverShutdown, from opening; -1: not said
    int64_t quiet_until_ns;  // nothing is sent before: a late REST reply
    bool shutdown_told;
    // Faults.
    uint64_t ordinal;        // of its exchange's WebSockets, from 1; 0: none yet
    const char *ended_by;    // client, fault, limit, life, slow, end
    struct exchange_sim_fault_link *link; // NULL: none
    bool muted;              // no frame goes out
    bool slowed;             // only slow_left bytes until the next tick
    uint32_t slow_left;
    uint32_t cut_left;       // DRAINING: bytes until it ends in the middle of a record
    bool cut_reset;          // then by RST
    bool farewell;                              // close_notify is in the output
    int64_t message_ns[EXCHANGE_SIM_RATES_MAX]; // ring
    uint32_t message_count;
    // What the client asked for.
    bool combined;
    bool microseconds;
    enum exchange_sim_format format;
    uint32_t *streams;
    uint32_t stream_count;
};

// Of an IP address and of a connection; 0: no limit.
struct exchange_sim_limits {
    uint32_t connects; // in connect_window_ns
    int64_t connect_window_ns;
    uint32_t messages; // a second
    uint32_t streams;
};

struct exchange_sim_server_options {
    struct tls_context *tls; // NULL: plain
    bool packed;             // many frames in a TLS record
    bool limits;             // of messages, connects, streams; and keep-alive
    struct exchange_sim_limits limit[EXCHANGE_SIM_EXCHANGES];
    size_t backlog_bytes; // of one connection; then it is dropped
    int64_t day_ns;       // how long the 24 hours of a connection last
    int64_t ping_interval_ns;
    int64_t pong_limit_ns;
    int64_t idle_limit_ns; // Upbit
    int64_t life_ns;       // 0: unlimited; before it ends, Binance says serverShutdown
};

struct exchange_sim_listener {
    struct exchange_sim_server *server;
    enum exchange_sim_exchange exchange;
    int handle;
    uint16_t port;
    struct io_op accept;
};

struct exchange_sim_counters {
    uint64_t accepted;
    uint64_t refused; // by limits, when upgrading; at the door while no one is let in
    uint64_t upgrades;
    uint64_t rest;         // replies
    uint64_t failed;       // TLS, HTTP or WebSocket errors of the client
    uint64_t limit_closes; // closed for breaking a rule
    uint64_t unsubscribed; // streams that were taken back by request
    uint64_t pings;
    uint64_t pongs;
    uint64_t overruns;     // dropped because they read too slowly
    size_t backlog_max;    // bytes, of any connection at any time
};

struct exchange_sim_rest;
struct exchange_sim_hooks;

// Answers a request that is no upgrade: with exchange_sim_connection_reply(), at once.
typedef void exchange_sim_answer(struct exchange_sim_connection *connection, const char *target,
                                 uint32_t target_size);
// Sends the state of a stream to one new subscriber (Upbit's snapshot).
typedef void exchange_sim_snapshot(void *context, struct exchange_sim_connection *connection,
                                   uint32_t stream);
struct exchange_sim_server {
    struct io *io;
    struct exchange_sim_server_options options;
    struct exchange_sim_hub *hub;
    exchange_sim_answer *answer;
    void *answer_context;
    struct exchange_sim_rest *rest;     // of exchange_sim_rest.c
    struct exchange_sim_faults *faults; // NULL: none, and no log of them
    const struct exchange_sim_hooks *hooks; // NULL: nothing goes wrong on purpose
    uint64_t ordinals[EXCHANGE_SIM_EXCHANGES];
    exchange_sim_snapshot *snapshot; // NULL: none
    void *snapshot_context;
    struct exchange_sim_listener listeners[EXCHANGE_SIM_EXCHANGES];
    uint32_t listener_count;
    struct exchange_sim_connection *connections;
    uint32_t used;  // connections below this index were in use at some time
    uint8_t *plain; // a record and padding
    int64_t now_ns; // monotonic; refreshed by the main loop and callbacks
    int64_t accept_ns[EXCHANGE_SIM_EXCHANGES][EXCHANGE_SIM_CONNECTS_MAX]; // rings, for limits
    uint32_t accept_count[EXCHANGE_SIM_EXCHANGES];
    struct exchange_sim_counters counters;
};

// Memory only. False when out of it.
bool exchange_sim_server_open(struct exchange_sim_server *server);
void exchange_sim_server_close(struct exchange_sim_server *server);
// 0 or -errno; the listener has its port then.
int exchange_sim_server_listen(struct exchange_sim_server *server,
                               enum exchange_sim_exchange exchange,
                               const struct io_address *address);
// Pings, idleness, ends of life; a few times a second.
void exchange_sim_server_tick(struct exchange_sim_server *server);
// Sends what is staged on all connections.
void exchange_sim_server_flush(struct exchange_sim_server *server);
// Nothing waits to be sent.
bool exchange_sim_server_drained(const struct exchange_sim_server *server);
// Says goodbye to all WebSocket clients.
void exchange_sim_server_goodbye(struct exchange_sim_server *server);

// ---- for the server ----

// The memory of a connection, once. False when out of it.
bool exchange_sim_connection_allocate(struct exchange_sim_connection *connection);
void exchange_sim_connection_start(struct exchange_sim_connection *connection,
                                   const struct exchange_sim_listener *listener, int handle);
void exchange_sim_connection_flush(struct exchange_sim_connection *connection);
// At once, whatever is queued.
void exchange_sim_connection_shut(struct exchange_sim_connection *connection);
// Sends what is queued, then closes.
void exchange_sim_connection_drain(struct exchange_sim_connection *connection);
// Counts an upgrade against the exchange's limit; false where it is one too many. REST is not
// counted: at the exchanges it is another host. All clients on loopback are one address.
bool exchange_sim_server_connect_allowed(struct exchange_sim_server *server,
                                         enum exchange_sim_exchange exchange);
// Decides when its 24 hours are over, and whether that is announced.
void exchange_sim_server_life(struct exchange_sim_connection *connection);
// Closes once its operations have ended.
void exchange_sim_connection_settle(struct exchange_sim_connection *connection);
// Encrypts bytes of any size; they must fit the output.
void exchange_sim_connection_write(struct exchange_sim_connection *connection,
                                   const uint8_t *bytes, uint32_t size);

// ---- for the faults ----

// Bytes that were given to it and are not in the socket yet.
int64_t exchange_sim_connection_unsent(const struct exchange_sim_connection *connection);
// It ends in the middle of a TLS record (plain: of a frame), by FIN or RST.
void exchange_sim_connection_cut(struct exchange_sim_connection *connection, bool reset);

// ---- for the hub ----

static inline uint32_t
exchange_sim_connection_unit(const struct exchange_sim_connection *connection)
{
    return connection->microseconds ? EXCHANGE_SIM_MICROSECONDS : EXCHANGE_SIM_MILLISECONDS;
}
// True where an event of that size can be queued whole, without the backlog.
bool exchange_sim_connection_ready(struct exchange_sim_connection *connection, uint32_t size);
// So far behind that those who are not must wait; a client that hardly reads is dropped instead.
bool exchange_sim_connection_crowded(struct exchange_sim_connection *connection);
// Queues an event, wrapped as the client wants it, under the name it subscribed to.
void exchange_sim_connection_event(struct exchange_sim_connection *connection, const char *name,
                                   const uint8_t *payload, uint32_t size);

// ---- for the dialects ----

// One frame of several parts, joined.
struct exchange_sim_part {
    const void *bytes;
    uint32_t size;
};
void exchange_sim_connection_frame(struct exchange_sim_connection *connection,
                                   enum websocket_opcode opcode,
                                   const struct exchange_sim_part *parts, uint32_t count);
// Close frame, then the end.
void exchange_sim_connection_close(struct exchange_sim_connection *connection, uint16_t code,
                                   const char *reason);
// HTTP reply; the body is copied. `extra`: "Name: value" fields.
void exchange_sim_connection_reply(struct exchange_sim_connection *connection, uint16_t status,
                                   const char *body, uint32_t body_size, const char *const *extra,
                                   uint32_t extra_count);
// Subscribes and remembers it. False where it was subscribed already or has no room.
bool exchange_sim_connection_subscribe(struct exchange_sim_connection *connection, const char *name,
                                       uint32_t name_size);
bool exchange_sim_connection_unsubscribe(struct exchange_sim_connection *connection,
                                         const char *name, uint32_t name_size);
void exchange_sim_connection_unsubscribe_all(struct exchange_sim_connection *connection);

// exchange_sim_binance.c
bool exchange_sim_binance_path(const char *path, uint32_t size); // is it a WebSocket path
void exchange_sim_binance_upgraded(struct exchange_sim_connection *connection, const char *target,
                                   uint32_t target_size);
void exchange_sim_binance_message(struct exchange_sim_connection *connection, const uint8_t *text,
                                  uint32_t size);
void exchange_sim_binance_event(struct exchange_sim_connection *connection, const char *name,
                                const uint8_t *payload, uint32_t size);
void exchange_sim_binance_shutdown(struct exchange_sim_connection *connection, int64_t utc_ns);
// exchange_sim_upbit.c
void exchange_sim_upbit_message(struct exchange_sim_connection *connection, const uint8_t *text,
                                uint32_t size);
void exchange_sim_upbit_event(struct exchange_sim_connection *connection, const char *name,
                              const uint8_t *payload, uint32_t size);
#endif
