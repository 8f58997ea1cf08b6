// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: whatever an exchange does, byte by byte and at whatever time, a link keeps its states
// (link_check() inside), tells every coming and going once, keeps to WebSocket and to the
// exchange's pace itself, gives receive times that never go back, and a stop ends it in time with
// nothing in flight.
//
// The input is a script for the peer: a byte of options, a byte of seed, then commands of one byte
// (three bits what, five bits how much) with their bytes behind.
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "capture/link.h"
#include "format/ensure.h"
#include "tests/fuzz/peer_wire.h"
#include "tests/io_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LINES_MAX = 64, // connections of one run
    MESSAGE_BYTES_MAX = 1 << 16,
    COMMANDS_MAX = 96,
    PACE_MAX = 16,
};

enum option { // of the first byte
    OPTION_DIALECT = 3,
    OPTION_UPGRADES = 4, // the peer answers the upgrade properly by itself
    OPTION_REPLIES = 8,  // and the requests
    OPTION_SPLITS = 16,  // receives come in pieces
    OPTION_RAW = 32,     // keep_raw
};

enum command {
    COMMAND_BYTES,  // size of one byte
    COMMAND_TEXT,   // a frame; size of two bytes
    COMMAND_BINARY,
    COMMAND_FRAME,  // first byte of its header, then size of two bytes
    COMMAND_TIME,   // passes: up to ten seconds
    COMMAND_ENDS,   // the peer closes the connection
    COMMAND_CLOCK,  // steps
    COMMAND_LINK,   // is stopped (and started again), retired, cut
};

struct world;

struct line { // one connection, the peer's side
    struct world *world;
    struct wire wire;
    bool upgraded;
    bool left; // the client has sent its close frame
    struct http_parser http;
    struct websocket websocket;
    char head[HTTP_HEAD_SIZE];
    char key[WEBSOCKET_KEY_SIZE];
    uint8_t message[MESSAGE_BYTES_MAX + WEBSOCKET_PADDING];
    int64_t pace_ns[PACE_MAX]; // when the client's messages came
    uint32_t messages;
};

struct world {
    struct sim_world *sim;
    struct io *io;
    struct io *peer_io;
    uint8_t options;
    const uint8_t *at;
    const uint8_t *end;
    struct io_op accept;
    struct line *lines[LINES_MAX];
    uint32_t line_count;
    struct log log;
    struct symbols *symbols;
    struct intake intake;
    struct permits permits;
    struct link_shared shared;
    struct link_feed feed;
    struct dialect_channel channels[2];
    struct dialect_stream streams[4];
    struct link link;
    bool up;        // a link_up row was the last of its kind
    bool over;      // LINK_NEWS_ENDED came
    int64_t receive_ns;
};

// ---- what the link tells ----

static bool world_sink(void *context, const struct event *event)
{
    struct world *world = context;
    ensure(event->channel < CHANNEL_COUNT && event_has(event, COLUMN_RECEIVE_TIME));
    ensure(event->value[COLUMN_RECEIVE_TIME] >= world->receive_ns);
    world->receive_ns = event->value[COLUMN_RECEIVE_TIME];
    if (event->channel != CHANNEL_STATUS) return true;
    int64_t kind = event->value[STATUS_KIND];
    if (kind == STATUS_LINK_UP) {
        ensure(!world->up);
        world->up = true;
    } else if (kind == STATUS_LINK_DOWN || kind == STATUS_LINK_REFUSED) {
        world->up = false;
    }
    return true;
}

static void world_hear(void *context, struct link *link, enum link_news news)
{
    struct world *world = context;
    ensure(link == &world->link && !world->over);
    ensure(news != LINK_NEWS_LIVE || world->up);
    ensure(news != LINK_NEWS_DOWN || !world->up);
    world->over = news == LINK_NEWS_ENDED;
}

// ---- the peer ----

static void line_frame(struct line *line, uint8_t first, const void *bytes, uint32_t size)
{
    uint8_t header[WEBSOCKET_HEADER_SIZE_MAX];
    uint32_t header_size = websocket_encode_header(header, WEBSOCKET_TEXT, true, size, NULL);
    header[0] = first;
    wire_say(&line->wire, header, header_size);
    wire_say(&line->wire, bytes, size);
}

// As many as are allowed in a second lie a second apart; a little less, as the network's latency
// is not always the same.
static void line_paced(struct line *line)
{
    uint32_t most = line->world->feed.dialect->requests_per_second_max;
    int64_t now_ns = io_monotonic_ns(line->world->peer_io);
    ensure(most < PACE_MAX);
    if (line->messages >= most)
        ensure(now_ns - line->pace_ns[(line->messages - most) % PACE_MAX] >= LIMIT_SECOND_NS);
    line->pace_ns[line->messages++ % PACE_MAX] = now_ns;
}

static void line_reply(struct line *line, const struct websocket_event *event)
{
    char reply[96];
    uint32_t at = event->size;
    if (!(line->world->options & OPTION_REPLIES) || event->opcode != WEBSOCKET_TEXT) return;
    while (at > 0 && event->data[at - 1] != ':') at--; // ..."id":N}
    int size = snprintf(reply, sizeof reply, "{\"result\":null,\"id\":%.*s",
                        (int)(event->size - at), (const char *)event->data + at);
    if (size > 0 && (size_t)size < sizeof reply)
        line_frame(line, 0x80 | WEBSOCKET_TEXT, reply, (uint32_t)size);
}

static void line_frames(struct line *line, uint8_t *at, uint8_t *end)
{
    struct websocket_event event;
    while (!line->wire.ending) {
        enum websocket_result result = websocket_next(&line->websocket, &at, end, &event);
        ensure(!websocket_failed(result));
        if (result == WEBSOCKET_MORE) return;
        ensure(!line->left); // nothing follows a close frame
        line->left = event.opcode == WEBSOCKET_CLOSE;
        if (!line->left) line_paced(line);
        line_reply(line, &event);
    }
}

static void line_head(struct line *line, const char *at, const char *end)
{
    struct http_slice body;
    char reply[512];
    enum http_result result = http_parse(&line->http, &at, end, &body);
    ensure(!http_failed(result));
    if (result != HTTP_HEAD) return;
    ensure(websocket_request_check(&line->http, line->key) == WEBSOCKET_HANDSHAKE_OK);
    line->upgraded = true;
    if (line->world->options & OPTION_UPGRADES)
        wire_say(&line->wire, reply, websocket_reply_format(line->key, reply, sizeof reply));
}

static void line_received(struct io *io, struct io_op *op)
{
    (void)io;
    static uint8_t copy[(1 << 16) + WEBSOCKET_PADDING]; // a server unmasks in place
    struct line *line = io_owner(op, struct line, wire.receive);
    if (line->wire.ending) {
        wire_settle(&line->wire);
    } else if (op->result <= 0) {
        wire_end(&line->wire);
    } else {
        size_t size = (size_t)op->result;
        ensure(size <= 1 << 16);
        memcpy(copy, op->data, size);
        if (line->upgraded)
            line_frames(line, copy, copy + size);
        else
            line_head(line, (const char *)copy, (const char *)copy + size);
    }
}

static void world_accepted(struct io *io, struct io_op *op)
{
    struct world *world = io_owner(op, struct world, accept);
    if (op->result < 0) return;
    ensure(world->line_count < LINES_MAX);
    struct line *line = calloc(1, sizeof *line);
    ensure(line != NULL);
    world->lines[world->line_count++] = line;
    line->world = world;
    line->wire.io = world->peer_io;
    line->wire.handle = (int)op->result;
    http_parser_init(&line->http, HTTP_REQUEST, line->head, HTTP_HEAD_SIZE);
    websocket_init(&line->websocket, WEBSOCKET_SERVER, line->message, MESSAGE_BYTES_MAX);
    io_receive(io, &line->wire.receive, line->wire.handle, line_received);
}

// ---- the script ----

static uint32_t script_number(struct world *world, uint32_t bytes)
{
    uint32_t value = 0;
    for (; bytes > 0 && world->at < world->end; bytes--) value = value << 8 | *world->at++;
    return value;
}

static const uint8_t *script_bytes(struct world *world, uint32_t size_bytes, uint32_t *size)
{
    uint32_t left;
    *size = script_number(world, size_bytes);
    left = (uint32_t)(world->end - world->at);
    if (*size > left) *size = left;
    world->at += *size;
    return world->at - *size;
}

static void script_say(struct world *world, enum command command)
{
    uint32_t size;
    uint8_t first = 0x80 | (command == COMMAND_BINARY ? WEBSOCKET_BINARY : WEBSOCKET_TEXT);
    if (command == COMMAND_FRAME) first = (uint8_t)script_number(world, 1);
    const uint8_t *bytes = script_bytes(world, command == COMMAND_BYTES ? 1 : 2, &size);
    if (world->line_count == 0) return;
    struct line *line = world->lines[world->line_count - 1];
    if (command == COMMAND_BYTES)
        wire_say(&line->wire, bytes, size);
    else
        line_frame(line, first, bytes, size);
}

static void script_link(struct world *world, uint32_t what)
{
    struct link *link = &world->link;
    switch (what % 5) {
    case 0: link_stop(link); break;
    case 1: link_retire(link); break;
    case 2: sim_network_cut(world->sim, world->feed.url.port, true); break;
    case 3: sim_network_cut(world->sim, world->feed.url.port, false); break;
    case 4: sim_world_fail(world->sim, IO_SEND, 0, -104); break; // ECONNRESET
    }
}

static void script_run(struct world *world, int64_t for_ns)
{
    (void)sim_world_run(world->sim, for_ns);
    if (world->link.state != LINK_IDLE) return;
    ensure(world->over && !world->up);
    ensure(world->link.stopping || world->link.retired);
    if (world->line_count >= LINES_MAX / 2) return;
    world->over = false;
    link_start(&world->link);
}

static void script_command(struct world *world)
{
    uint32_t byte = script_number(world, 1);
    int64_t much = byte >> 3;
    enum command command = byte & 7;
    switch (command) {
    case COMMAND_BYTES:
    case COMMAND_TEXT:
    case COMMAND_BINARY:
    case COMMAND_FRAME: script_say(world, command); break;
    case COMMAND_TIME:
        script_run(world, (much + 1) * (much + 1) * 10 * LIMIT_MILLISECOND_NS);
        break;
    case COMMAND_ENDS:
        if (world->line_count > 0 && world->lines[world->line_count - 1]->wire.handle >= 0)
            wire_end(&world->lines[world->line_count - 1]->wire);
        break;
    case COMMAND_CLOCK: sim_world_step_clock(world->sim, (much - 16) * LIMIT_SECOND_NS); break;
    case COMMAND_LINK: script_link(world, (uint32_t)much); break;
    }
    script_run(world, LIMIT_MILLISECOND_NS);
}

// ---- a run ----

static void world_feed(struct world *world, uint16_t port)
{
    static const char *const names[] = {"binance", "binance-usdm", "upbit", "binance"};
    static const char *const symbols[][2] = {{"BTCUSDT", "ETHUSDT"}, {"KRW-BTC", "KRW-ETH"}};
    const struct dialect *dialect = dialect_by_name(names[world->options & OPTION_DIALECT]);
    bool upbit = strcmp(dialect->name, "upbit") == 0;
    uint32_t exchange = symbols_exchange(world->symbols, dialect->name);
    memcpy(world->channels[0].text, "trade", 6);
    (void)snprintf(world->channels[1].text, sizeof world->channels[1].text, "%s",
                   upbit ? "book" : "depth");
    for (uint16_t i = 0; i < 4; i++) {
        const char *name = symbols[upbit][i / 2];
        world->streams[i].symbol =
            symbols_add(world->symbols, exchange, name, (uint32_t)strlen(name));
        world->streams[i].channel = i % 2;
    }
    world->feed = (struct link_feed){
        .dialect = dialect,
        .context = {.symbols = world->symbols, .exchange = exchange, .raw_symbol = SYMBOL_NONE},
        .channels = world->channels,
        .permit_kind = permits_kind(&world->permits, "fuzz", 100, LIMIT_SECOND_NS),
        .keep_raw = (world->options & OPTION_RAW) != 0,
    };
    char url[64];
    (void)snprintf(url, sizeof url, "ws://127.0.0.1:%u", port);
    ensure(url_parse(url, true, &world->feed.url) == NULL);
}

static void world_open(struct world *world, uint8_t seed)
{
    struct io_message message;
    const struct io_address address = {.bytes = {127, 0, 0, 1}};
    uint16_t port;
    world->sim = sim_world_create(seed);
    sim_world_use(world->sim);
    if (world->options & OPTION_SPLITS) sim_world_faults(world->sim)->receive_split = 400000;
    ensure(io_open_loop(&world->io, &(struct io_options){.name = "link"}, &message) == 0);
    ensure(io_open_loop(&world->peer_io, &(struct io_options){.name = "peer"}, &message) == 0);
    int listener = io_listen(world->peer_io, &address, &port);
    ensure(listener >= 0);
    io_accept(world->peer_io, &world->accept, listener, world_accepted);
    world->log.file = getenv("FUZZ_LOG") != NULL ? 2 : -1;
    world->log.levels.all = LOG_LEVEL_DEBUG;
    world->symbols = symbols_open(16);
    permits_init(&world->permits);
    world->shared = (struct link_shared){.io = world->io,
                                         .log = &world->log,
                                         .intake = &world->intake,
                                         .permits = &world->permits,
                                         .hear = world_hear,
                                         .hear_context = world};
    ensure(world->symbols != NULL);
    ensure(intake_open(&world->intake, world_sink, world, &world->log) == 0);
    ensure(link_shared_open(&world->shared) == 0);
    world_feed(world, port);
    const struct link_streams streams = {.streams = world->streams, .count = 4};
    ensure(link_open(&world->link, &world->shared, &world->feed, &streams, 1) == 0);
    link_start(&world->link);
}

static void world_close(struct world *world)
{
    if (world->link.state != LINK_IDLE) {
        link_stop(&world->link);
        // One that comes a little late has the tick of its shard to wait for anyway.
        (void)sim_world_run(world->sim,
                            LINK_UNSUBSCRIBE_NS + LINK_DRAIN_NS + 10 * LIMIT_MILLISECOND_NS);
        ensure(world->over && !world->up);
    }
    ensure(world->link.state == LINK_IDLE);
    link_close(&world->link);
    link_shared_close(&world->shared);
    intake_close(&world->intake);
    symbols_close(world->symbols);
    sim_world_destroy(world->sim);
    for (uint32_t i = 0; i < world->line_count; i++) free(world->lines[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    if (size < 2 || size > 16384) return 0;
    memset(&world, 0, sizeof world);
    world.options = data[0];
    world.at = data + 2;
    world.end = data + size;
    world_open(&world, data[1]);
    script_run(&world, LIMIT_MILLISECOND_NS);
    for (uint32_t i = 0; i < COMMANDS_MAX && world.at < world.end; i++) script_command(&world);
    world_close(&world);
    return 0;
}
