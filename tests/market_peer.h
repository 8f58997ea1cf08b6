// SPDX-License-Identifier: GPL-3.0-or-later
//
// market_peer: a whole small exchange in the simulated world, with faults and an exact truth:
// trades and depth of several symbols over WebSocket in Binance's form, lost, doubled, late and cut
// as the test says, and REST for the same history. Lives on a loop of its own, "elsewhere": it
// survives crashes of the machine that records it. Test code: bounds are ensured, not handled.
#ifndef RINGTAPE_TESTS_MARKET_PEER_H
#define RINGTAPE_TESTS_MARKET_PEER_H

#include "io/io.h"
#include "io_sim.h"
#include "protocol/http.h"
#include "protocol/websocket.h"

enum {
    MARKET_SYMBOLS = 8,
    MARKET_TRADES = 200000, // of each symbol at most
    MARKET_LEVELS = 8,
    MARKET_CONNECTIONS = 192, // mute ones stay
    MARKET_OUT_BYTES = 1 << 20,
    MARKET_FIRST_ID = 1000,
    MARKET_FIRST_BOOK = 5000,
};

struct market_faults { // ppm, of each message and connection
    uint32_t lost;
    uint32_t doubled;
    uint32_t late;    // sent after up to 40 others, now and then after up to 400
    uint32_t cut;     // the connection ends here
    uint32_t muted;   // the connection says nothing from here on
    uint32_t refused; // REST: 503
    uint32_t limited; // REST: 429, Retry-After: 1
    uint32_t shortened; // REST: a page with half its rows
    uint32_t overlapped; // REST: a page that begins earlier
    uint32_t hung_up;    // REST: the connection ends instead of an answer
    uint32_t closed;     // REST: the connection ends right behind an answer, unannounced
    uint32_t rejected;   // a subscription gets an error
    uint32_t unanswered; // a subscription is never answered, and the connection says nothing
    uint32_t stale;      // REST: a book of up to 50 updates ago, as caches give it
    uint32_t slow;       // REST: an answer of now that takes up to 8 s, one in eight two minutes
    uint32_t garbled;    // TLS: a wrong byte in what is sent
    uint32_t rekeyed;    // TLS: sent under new keys from here on
    bool down; // REST: every answer is 503
    bool no_history;   // REST: only those about trades are
    uint32_t delisted; // bit i: the newest ids do not name symbol i
    uint32_t unknown;  // bit i: REST does not know symbol i of Binance
};

struct market_symbol {
    uint64_t count;              // trades so far; ids from MARKET_FIRST_ID on
    int64_t *time_us;            // [MARKET_TRADES]
    uint8_t *level;              // [MARKET_TRADES] that the trade's book update changed
    uint8_t *left_out; // [MARKET_TRADES] by so many pages of REST that should have had the trade
    bool denied;       // REST has said that there is no such symbol
    int64_t book_id;             // last update id; the first trade made MARKET_FIRST_BOOK + 1
    int64_t quantity[MARKET_LEVELS]; // bids
};

struct market_peer;
struct tls;
struct tls_context;

struct market_connection {
    struct market_peer *peer;
    struct tls *tls; // NULL: it has none
    struct io_op receive;
    struct io_op send;
    struct io_op close;
    struct io_op delay; // under way: what is to be sent waits for it
    int handle; // -1: free
    bool upgraded;
    bool closing;
    bool finish; // closed when all is sent
    bool mute;
    bool trades[MARKET_SYMBOLS];
    bool depth[MARKET_SYMBOLS];
    int64_t depth_from[MARKET_SYMBOLS];        // first id of the window being gathered
    int64_t depth_seen[MARKET_SYMBOLS][MARKET_LEVELS];
    char late[512]; // to be sent when so many more messages have been
    uint32_t late_left;
    struct http_parser http;
    struct websocket websocket;
    char head[HTTP_HEAD_SIZE];
    uint8_t message[65536 + WEBSOCKET_PADDING];
    uint8_t *out;
    uint32_t out_size;
    uint32_t out_taken;
};

struct market_peer {
    struct io *io;
    struct sim_world *world;
    uint16_t port;
    int listener;
    struct io_op accept;
    struct io_op timer;
    int64_t pause_ns; // mean between trades
    bool stopped;     // no further trades
    bool upbit;       // speaks as Upbit does: trades alone, times of whole milliseconds
    bool bursts;      // all trades are of the first symbol
    struct tls_context *tls;       // NULL: it speaks in the clear
    struct tls_context *tls_other; // with a certificate of another name
    bool other_certificate;        // what new connections get to see
    struct market_faults faults;
    uint64_t hits[sizeof(struct market_faults) / sizeof(uint32_t)]; // by their place in `faults`
    int64_t ban_end_ns;       // monotonic: until then REST is 418, and tells how long that is
    uint64_t requests; // REST
    uint64_t connections;
    struct market_symbol symbols[MARKET_SYMBOLS];
    struct market_connection connection[MARKET_CONNECTIONS];
};

// The book's level as it was behind update `book_id`.
int64_t market_quantity(const struct market_peer *peer, uint32_t symbol, uint32_t level,
                        int64_t book_id);

// ---- for market_tls.c ----

// One of peer->faults, counted when it strikes.
bool market_chance(struct market_peer *peer, const uint32_t *ppm);
// Bytes as they are. False: the client does not read, there is no room for them.
bool market_raw(struct market_connection *connection, const void *bytes, uint32_t size);
void market_hang_up(struct market_connection *connection);

// ---- market_upbit.c ----

// The first symbol as Upbit's stream and its REST tell of it. `target`: the request's.
void market_upbit_trade(const struct market_peer *peer, uint32_t symbol, int64_t n, char *out,
                        size_t room);
void market_upbit_ticks(const struct market_peer *peer, const char *target, char *out,
                        size_t room);
int64_t market_upbit_id(int64_t n); // of the n-th trade of a symbol: neither rising nor contiguous

struct market_peer *market_peer_create(struct io *io, struct sim_world *world, int64_t pause_ns);
// After the world is destroyed.
void market_peer_destroy(struct market_peer *peer);

#endif
