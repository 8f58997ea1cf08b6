// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: whatever an HTTP server does, byte by byte and at whatever time, each request of
// capture/rest.h gets one callback, in its time; a good one has a status that says so and the body
// that was sent, a bad one says why; a GET reaches the server twice at most, a POST once; and what
// is given up leaves nothing in flight.
//
// The input is a script for the server: a byte of options, a byte of seed, then commands of one
// byte (three bits what, five bits how much) with their bytes behind.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/rest.h"
#include "format/ensure.h"
#include "tests/fuzz/peer_wire.h"
#include "tests/io_sim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    LINES_MAX = 64, // connections of one run
    ASKS_MAX = 24,  // two connections each, at most
    COMMANDS_MAX = 96,
    LIMIT_S = 5,
};

enum option { // of the first byte
    OPTION_KEEP = 1,
    OPTION_POST = 2, // then nothing is kept
    OPTION_SPLITS = 4,
};

enum command {
    COMMAND_BYTES, // size of one byte
    COMMAND_REPLY, // a proper one; its body has so many bytes
    COMMAND_TIME,
    COMMAND_ENDS, // the server closes the connection
    COMMAND_ASK,
    COMMAND_CANCEL,
    COMMAND_CUT, // both ways, with or without a reset
    COMMAND_HANG_UP,
};

struct world;

struct line { // one connection, the server's side
    struct world *world;
    struct wire wire;
    struct http_parser http;
    char head[HTTP_HEAD_SIZE];
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
    struct rest rest;
    struct url url;
    uint32_t asks;
    uint32_t heard;     // requests of the present ask that came whole to the server
    bool asking;
    int64_t asked_ns;
};

// ---- the server ----

static void line_request(struct line *line, const char *at, const char *end)
{
    struct http_slice body;
    bool post = (line->world->options & OPTION_POST) != 0;
    while (at < end) {
        enum http_result result = http_parse(&line->http, &at, end, &body);
        ensure(!http_failed(result));
        if (result == HTTP_MORE) return;
        if (result != HTTP_DONE) continue;
        line->world->heard++;
        ensure(line->world->asking && line->world->heard <= (post ? 1 : 2));
        http_parser_reset(&line->http);
    }
}

static void line_received(struct io *io, struct io_op *op)
{
    (void)io;
    struct line *line = io_owner(op, struct line, wire.receive);
    if (line->wire.ending)
        wire_settle(&line->wire);
    else if (op->result <= 0)
        wire_end(&line->wire);
    else
        line_request(line, (const char *)op->data, (const char *)op->data + op->result);
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
    io_receive(io, &line->wire.receive, line->wire.handle, line_received);
}

// ---- the client ----

// What a whole parse of all that the server said makes of the reply.
static void check_body(const struct world *world)
{
    static char head[HTTP_HEAD_SIZE];
    struct http_parser http;
    struct http_slice piece;
    const struct line *line = world->lines[world->line_count - 1];
    const char *at = (const char *)line->wire.out;
    const char *end = at + line->wire.out_size;
    uint32_t size = 0;
    http_parser_init(&http, HTTP_RESPONSE, head, sizeof head);
    enum http_result result;
    while ((result = http_parse(&http, &at, end, &piece)) == HTTP_HEAD || result == HTTP_BODY) {
        if (result == HTTP_HEAD) continue;
        ensure(size + piece.size <= world->rest.body_size);
        ensure(memcmp(world->rest.body + size, piece.text, piece.size) == 0);
        size += piece.size;
    }
    if (result == HTTP_MORE) result = http_parse_end(&http);
    ensure(result == HTTP_DONE && http.status == world->rest.status);
    ensure(size == world->rest.body_size);
}

static void world_answered(void *context, struct rest *rest)
{
    struct world *world = context;
    bool post = (world->options & OPTION_POST) != 0;
    int64_t now_ns = io_monotonic_ns(world->io);
    ensure(world->asking && rest == &world->rest);
    world->asking = false;
    ensure(now_ns - world->asked_ns <= LIMIT_S * LIMIT_SECOND_NS + LIMIT_MILLISECOND_NS * 100);
    ensure(rest->ok == (rest->failure[0] == '\0'));
    if (!rest->ok) return;
    ensure(post ? rest->status / 100 == 2 : rest->status == 200);
    if (!rest->reused) check_body(world);
}

static void world_ask(struct world *world)
{
    static const char post[] = "{\"alert\":1}";
    if (world->asking || world->asks == ASKS_MAX) return;
    if (world->rest.state != REST_IDLE) return;
    world->asks++;
    world->heard = 0;
    world->asking = true;
    world->asked_ns = io_monotonic_ns(world->io);
    if (world->options & OPTION_POST)
        rest_post(&world->rest, &world->url, post, sizeof post - 1, world_answered, world);
    else
        rest_get(&world->rest, &world->url, "/a?b=c", world_answered, world);
}

// ---- the script ----

static uint32_t script_byte(struct world *world)
{
    return world->at < world->end ? *world->at++ : 0;
}

static void script_reply(struct line *line, uint32_t size)
{
    char text[256];
    int head = snprintf(text, sizeof text,
                        "HTTP/1.1 200 OK\r\nContent-Length: %u\r\nRetry-After: 3\r\n\r\n", size);
    ensure(head > 0 && (size_t)head + size <= sizeof text);
    memset(text + head, 'x', size);
    wire_say(&line->wire, text, (uint32_t)head + size);
}

static void script_bytes(struct world *world, struct line *line)
{
    uint32_t size = script_byte(world);
    uint32_t left = (uint32_t)(world->end - world->at);
    if (size > left) size = left;
    if (line != NULL) wire_say(&line->wire, world->at, size);
    world->at += size;
}

static void script_command(struct world *world)
{
    uint32_t byte = script_byte(world);
    int64_t much = byte >> 3;
    struct line *line = world->line_count > 0 ? world->lines[world->line_count - 1] : NULL;
    switch ((enum command)(byte & 7)) {
    case COMMAND_BYTES: script_bytes(world, line); break;
    case COMMAND_REPLY:
        if (line != NULL) script_reply(line, (uint32_t)much);
        break;
    case COMMAND_TIME:
        (void)sim_world_run(world->sim, (much + 1) * (much + 1) * 10 * LIMIT_MILLISECOND_NS);
        break;
    case COMMAND_ENDS:
        if (line != NULL && line->wire.handle >= 0) wire_end(&line->wire);
        break;
    case COMMAND_ASK: world_ask(world); break;
    case COMMAND_CANCEL:
        if (world->asking) rest_cancel(&world->rest);
        break;
    case COMMAND_CUT: sim_network_cut(world->sim, world->url.port, much & 1); break;
    case COMMAND_HANG_UP:
        if (!world->asking) (void)rest_hang_up(&world->rest);
        break;
    }
    (void)sim_world_run(world->sim, LIMIT_MILLISECOND_NS);
}

// ---- a run ----

static void world_open(struct world *world, uint8_t seed)
{
    struct io_message message;
    const struct io_address address = {.bytes = {127, 0, 0, 1}};
    uint16_t port;
    char url[64];
    world->sim = sim_world_create(seed);
    sim_world_use(world->sim);
    if (world->options & OPTION_SPLITS) sim_world_faults(world->sim)->receive_split = 400000;
    ensure(io_open_loop(&world->io, &(struct io_options){.name = "rest"}, &message) == 0);
    ensure(io_open_loop(&world->peer_io, &(struct io_options){.name = "server"}, &message) == 0);
    int listener = io_listen(world->peer_io, &address, &port);
    ensure(listener >= 0);
    io_accept(world->peer_io, &world->accept, listener, world_accepted);
    (void)snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    ensure(url_parse(url, false, &world->url) == NULL);
    ensure(rest_open(&world->rest, world->io, NULL) == 0);
    world->rest.keep = (world->options & (OPTION_KEEP | OPTION_POST)) == OPTION_KEEP;
    world->rest.limit_ns = LIMIT_S * LIMIT_SECOND_NS;
}

static void world_close(struct world *world)
{
    if (world->asking) (void)sim_world_run(world->sim, (LIMIT_S + 1) * LIMIT_SECOND_NS);
    ensure(!world->asking);
    if (!rest_hang_up(&world->rest)) (void)sim_world_run(world->sim, LIMIT_SECOND_NS);
    ensure(rest_hang_up(&world->rest));
    ensure(world->line_count <= 2 * world->asks);
    rest_close(&world->rest);
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
    world_ask(&world);
    (void)sim_world_run(world.sim, LIMIT_MILLISECOND_NS);
    for (uint32_t i = 0; i < COMMANDS_MAX && world.at < world.end; i++) script_command(&world);
    world_close(&world);
    return 0;
}
