// SPDX-License-Identifier: GPL-3.0-or-later
//
// link: the state machine of one connection to an exchange: resolve, connect, TLS, upgrade,
// subscribe, live, and back again with growing pauses until it is stopped: then unsubscribe and
// close. Drawn at the top of link.c.
//
// What arrives is decrypted into the shard's plaintext buffer, cut into messages, and given to the
// shard's intake. Every coming and going is a status row and a log line with cause and remedy.
//
// Ownership: the shard embeds its links; link_open() allocates the TLS connection and reserves
// address space for messages that come in pieces (memory only where they really do). It copies its
// streams, which may change while it runs. The feed belongs to the shard and outlives the link.
// Threading: core-local.
//
// Bounds: LIMIT_MESSAGE_BYTES a message; client messages are spaced so that the exchange's limit a
// second and a minute holds; of several pings that wait for an answer the last is answered (RFC
// 6455 section 5.5.3); pauses grow from 0.25 s to 60 s.
#ifndef RINGTAPE_CAPTURE_LINK_H
#define RINGTAPE_CAPTURE_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/permits.h"
#include "base/url.h"
#include "capture/intake.h"
#include "exchange/dialect.h"
#include "format/histogram.h"
#include "io/io.h"
#include "protocol/http.h"
#include "protocol/tls.h"
#include "protocol/websocket.h"

enum link_state {
    LINK_IDLE,
    LINK_RESOLVING,
    LINK_CONNECTING,
    LINK_HANDSHAKING,
    LINK_UPGRADING,
    LINK_SUBSCRIBING,
    LINK_LIVE,
    LINK_UNSUBSCRIBING,
    LINK_DRAINING,
    LINK_BACKOFF,
};

// What the shard hears of its links.
enum link_news {
    LINK_NEWS_LIVE,  // subscribed
    LINK_NEWS_DOWN,  // was not or is no longer connected; tries again unless retired or stopped
    LINK_NEWS_RENEW, // will be closed by the exchange before long: a successor is wanted
    LINK_NEWS_ENDED, // idle for good: link_close() may follow, but not from within the news
};

struct link;
typedef void link_hear(void *context, struct link *link, enum link_news news);
// How many links with the same streams, of other copies, lead to the address.
typedef uint32_t link_uses(void *context, const struct link *link,
                           const struct io_address *address);

struct link_counters {
    uint64_t connects;
    uint64_t lives;
    uint64_t downs;
    uint64_t resumed; // TLS sessions
    uint64_t pings;   // of the exchange
};

// What the links of a shard share.
struct link_shared {
    struct io *io;
    const struct log *log;
    struct intake *intake;
    struct permits *permits;
    uint8_t *plain;   // plaintext of one TLS record, with padding behind
    uint8_t *frame;   // one outgoing frame
    char *request;    // its payload
    link_hear *hear;
    link_uses *uses; // NULL: there are no others
    void *hear_context; // of both
    int64_t utc_offset_ns; // UTC minus monotonic time when last looked at
    uint64_t clock_steps;  // of which rows were written
    struct link_counters counters;
    uint32_t receives;       // the low bits choose those that are timed
    struct histogram decode; // receipt → all that came with it is decoded and judged
};

// Allocates the buffers; the pointers above them are set by the caller. 0 or -ENOMEM.
int link_shared_open(struct link_shared *shared);
void link_shared_close(struct link_shared *shared);
// Writes a status row if the loop has noticed a step of the UTC clock since the last call. `link`:
// who asks, or INTAKE_NO_LINK. The count of the row is the size of a step forward; after a step
// back the loop's time runs slower until it is caught up with, and the row has no count.
void link_shared_clock(struct link_shared *shared, uint32_t link);

// What the links of a feed share. Constant while they live.
struct link_feed {
    const struct dialect *dialect;
    struct dialect_context context;
    const struct dialect_channel *channels;
    struct url url;
    struct tls_context *tls; // NULL for ws://
    uint32_t permit_kind;
    bool keep_raw;
};

// Of one connection, as planned.
struct link_streams {
    const struct dialect_stream *streams;
    uint32_t count;
    uint32_t group; // dialect.group
    uint32_t copy;  // of the redundant ones, from 0
    uint32_t place; // among the links of its copy
};

// Since the link was opened.
struct link_figures {
    uint64_t messages; // with data
    uint64_t bytes;
    uint64_t lives; // times it went live
    uint64_t downs;
    int64_t message_ns; // UTC: receipt of the last message; 0: none
};

// Transparent because the shard embeds it; every member is private to link*.c, but for those
// marked readable.
struct link {
    struct link_shared *shared;
    const struct link_feed *feed;
    struct link_streams streams; // readable; they lie in own[]
    struct dialect_stream *own;  // [dialect.streams_max]
    struct dialect_stream *dropped; // [dialect.streams_max] to be taken back
    uint32_t dropped_count;
    struct intake_source source;
    struct arbiter_link arbiter; // counts what it brought first, second, not at all
    struct link_figures figures; // readable
    uint32_t number;       // readable: in the rows
    enum link_state state; // readable
    bool stopping;         // readable: link_stop() was called
    bool retired;          // readable: link_retire() was called
    bool hanging_up;       // DRAINING: nothing is sent or taken any more
    bool renewing;         // LINK_NEWS_RENEW was given
    bool heard;            // something arrived since the last idle check
    bool pong_wanted;
    bool ponged;           // the last client message was a pong
    bool announced;        // an up row was written, a down row has to follow
    uint8_t silent_checks;
    uint8_t failures;      // in a row; sets the pause
    int handle;            // -1: none

    struct io_op attempt; // resolve, connect, close
    struct io_op receive;
    struct io_op send;
    struct io_op timer;

    struct io_address addresses[IO_ADDRESSES_MAX];
    uint32_t address_count;
    uint32_t address_index;
    uint32_t address_tried;

    struct tls *tls;
    struct websocket websocket;
    struct http_parser http;
    uint8_t *message; // LIMIT_MESSAGE_BYTES and padding; the HTTP head before the upgrade
    char key[WEBSOCKET_KEY_SIZE];

    // Monotonic times.
    int64_t deadline_ns; // of the state, or of the next thing to do
    int64_t armed_ns;    // what the timer in flight waits for
    int64_t message_after_ns; // the next client message not before
    int64_t idle_check_ns;
    int64_t ping_due_ns;
    int64_t settle_ns; // SUBSCRIBING: live then, if nothing spoke against it
    int64_t renew_ns;
    int64_t live_ns;   // when LIVE began
    int64_t retry_after_ns; // the exchange asked for a pause
    int64_t leave_ns;  // UNSUBSCRIBING: what is not taken back by then is left to the close

    uint32_t subscribe_position;
    uint32_t unsubscribe_position;
    uint32_t requests_sent;
    uint32_t requests_answered;
    uint64_t request_id;
    char ticket[37];

    uint8_t pong_size;
    uint8_t pong[WEBSOCKET_CONTROL_SIZE_MAX];
    char address_text[LIMIT_ADDRESS_TEXT_BYTES + 1];
    char cause[LIMIT_CAUSE_BYTES + 1]; // readable: why it went down last
    char merit[96];
};

// 0 or -ENOMEM. The link is idle.
int link_open(struct link *link, struct link_shared *shared, const struct link_feed *feed,
              const struct link_streams *streams, uint32_t number);
// Only while idle.
void link_close(struct link *link);

void link_start(struct link *link);
// The owner has found that the connection is of no use: it goes down for the reason given and comes
// back after a pause. Nothing where it is not connected.
__attribute__((format(printf, 2, 3))) void link_reject(struct link *link, const char *format, ...);
// Takes back what it subscribed to (where the exchange has a request for it), at the pace of the
// exchange's limits, says goodbye and hangs up: within LINK_UNSUBSCRIBE_NS and LINK_DRAIN_NS
// whatever the peer does. LINK_NEWS_ENDED follows unless the link is idle already.
void link_stop(struct link *link);
// A successor has its streams: it lives on until it is closed, and is not connected again.
void link_retire(struct link *link);

// Further streams, as many as there is room for: asked for at once where the link is live.
void link_add_streams(struct link *link, const struct dialect_stream *streams, uint32_t count);
// Takes the stream back, if the link has it.
void link_drop_stream(struct link *link, const struct dialect_stream *stream);
// Is it connected there, or about to be?
bool link_leads_to(const struct link *link, const struct io_address *address);
// Streams that the exchange still allows on this connection.
uint32_t link_streams_room(const struct link *link);

const char *link_state_name(enum link_state state);

#define LINK_CONNECT_NS (5 * LIMIT_SECOND_NS)    // for each address
#define LINK_STEP_NS (10 * LIMIT_SECOND_NS)      // resolve, TLS, upgrade
#define LINK_SETTLE_NS (5 * LIMIT_SECOND_NS)     // after the last request
// A message may have gone out just before; then four more a quarter of a second apart.
#define LINK_UNSUBSCRIBE_NS (1100 * LIMIT_MILLISECOND_NS)
#define LINK_DRAIN_NS (500 * LIMIT_MILLISECOND_NS) // for the peer's goodbye, however far away
#define LINK_PAUSE_MIN_NS (250 * LIMIT_MILLISECOND_NS)
#define LINK_PAUSE_MAX_NS (60 * LIMIT_SECOND_NS)
#define LINK_TOGETHER_NS (500 * LIMIT_MILLISECOND_NS) // what is due later may wait for so much more
// Live this long, failures are forgotten: pauses are for exchanges that refuse. Where links are cut
// every 15 s, 60 s here meant pauses of a minute, and no link live half of the time.
#define LINK_STEADY_NS (5 * LIMIT_SECOND_NS)
enum {
    LINK_ADDRESSES_TRIED_MAX = 4, // in one attempt
    LINK_SILENT_CHECKS_MAX = 4,   // the idle limit is cut in so many parts
    LINK_TIMED_RECEIVES = 16,     // one of so many: reading the clock costs as much as a message
};

#endif
