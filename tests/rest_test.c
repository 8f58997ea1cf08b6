// SPDX-License-Identifier: GPL-3.0-or-later
//
// One GET against a scripted server in the simulated world: whole replies in every framing and any
// split, failures with their cause, time-outs, cancellation, and the next request after each; and
// connections that are kept, for how long, and what happens when the server ends them.
#include "capture/rest.h"

#include "io_sim.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD "HTTP/1.1 200 OK\r\n"

// Answers every connection with the same bytes.
struct server {
    struct io *io;
    const char *reply;
    bool close_after;
    uint32_t hang_up_at; // number of the request that is answered by an end; 0: none
    uint32_t hang_ups;   // further ones behind it
    const char *last;    // what is sent before that; NULL: nothing
    uint32_t connections;
    uint16_t port;
    int handle;
    struct io_op accept;
    struct io_op receive;
    struct io_op send;
    struct io_op close;
    uint32_t requests;
    char request[2048];
    char asked[2048]; // the last whole one
};

struct rig {
    struct sim_world *world;
    struct io *io;
    struct server server;
    struct rest rest;
    struct url url;
    uint32_t answers;
    bool ok;
    char body[256];
};

static void server_nothing(struct io *io, struct io_op *op)
{
    (void)io;
    (void)op;
}

static void server_settle(struct server *server)
{
    if (server->handle < 0 || !io_idle(&server->receive) || !io_idle(&server->send)) return;
    int handle = server->handle;
    server->handle = -1;
    io_close(server->io, &server->close, handle, server_nothing);
}

static bool server_hangs_up(const struct server *server)
{
    return server->hang_up_at != 0 && server->requests >= server->hang_up_at &&
           server->requests <= server->hang_up_at + server->hang_ups;
}

static void server_sent(struct io *io, struct io_op *op)
{
    struct server *server = io_owner(op, struct server, send);
    if (server->close_after || server_hangs_up(server)) io_cancel(io, &server->receive);
    server_settle(server);
}

static void server_received(struct io *io, struct io_op *op)
{
    struct server *server = io_owner(op, struct server, receive);
    if (op->result <= 0) {
        server_settle(server);
        return;
    }
    size_t had = strlen(server->request);
    cr_assert_lt(had + (size_t)op->result, sizeof server->request);
    memcpy(server->request + had, op->data, (size_t)op->result);
    server->request[had + (size_t)op->result] = '\0';
    if (strstr(server->request, "\r\n\r\n") == NULL || server->reply == NULL) return;
    server->requests++;
    memcpy(server->asked, server->request, sizeof server->asked);
    server->request[0] = '\0';
    const char *reply = server->reply;
    if (server_hangs_up(server)) reply = server->last;
    if (reply == NULL)
        io_cancel(io, &server->receive);
    else if (io_idle(&server->send))
        io_send(io, &server->send, server->handle, reply, (uint32_t)strlen(reply), server_sent);
}

static void server_accepted(struct io *io, struct io_op *op)
{
    struct server *server = io_owner(op, struct server, accept);
    if (op->result < 0) return;
    cr_assert_lt(server->handle, 0);
    server->handle = (int)op->result;
    server->connections++;
    server->request[0] = '\0';
    io_receive(io, &server->receive, server->handle, server_received);
}

static struct rig *rig_create(const char *reply, bool close_after)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct io_message message;
    const struct io_address address = {0}; // any of the machine
    rig->world = sim_world_create(1);
    sim_world_use(rig->world);
    cr_assert_eq(io_open_loop(&rig->io, &(struct io_options){.name = "rest"}, &message), 0);
    struct server *server = &rig->server;
    sim_world_name(rig->world, "rest.test", "127.0.0.1");
    cr_assert_eq(io_open_loop(&server->io, &(struct io_options){.name = "server"}, &message), 0);
    server->reply = reply;
    server->close_after = close_after;
    server->handle = -1;
    int listener = io_listen(server->io, &address, &server->port);
    cr_assert_geq(listener, 0);
    io_accept(server->io, &server->accept, listener, server_accepted);
    char text[64];
    (void)snprintf(text, sizeof text, "http://rest.test:%u/base", server->port);
    cr_assert_null(url_parse(text, false, &rig->url));
    cr_assert_eq(rest_open(&rig->rest, rig->io, NULL), 0);
    return rig;
}

static void rig_destroy(struct rig *rig)
{
    if (!rest_hang_up(&rig->rest)) (void)sim_world_run(rig->world, LIMIT_SECOND_NS);
    cr_assert(rest_hang_up(&rig->rest));
    rest_close(&rig->rest);
    sim_world_destroy(rig->world);
    free(rig);
}

static void answered(void *context, struct rest *rest)
{
    struct rig *rig = context;
    rig->answers++;
    rig->ok = rest->ok;
    uint32_t size = rest->body_size < sizeof rig->body - 1 ? rest->body_size
                                                           : (uint32_t)sizeof rig->body - 1;
    memcpy(rig->body, rest->body, size);
    rig->body[size] = '\0';
}

static void rig_get(struct rig *rig, int64_t for_ns)
{
    uint32_t before = rig->answers;
    rest_get(&rig->rest, &rig->url, "/api?x=1", answered, rig);
    (void)sim_world_run(rig->world, for_ns);
    cr_assert_eq(rig->answers, before + 1, "%u answers, state %d", rig->answers - before,
                 rig->rest.state);
    cr_assert_eq(rig->rest.state, REST_IDLE);
}

static const struct {
    const char *reply;
    bool close_after;
    const char *body;    // NULL: not ok
    const char *failure; // part of it
} replies[] = {
    {HEAD "Content-Length: 5\r\n\r\nhello", false, "hello", ""},
    {HEAD "Content-Length: 0\r\n\r\n", false, "", ""},
    {HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", false, "hello", ""},
    {HEAD "Connection: close\r\n\r\nhello", true, "hello", ""},
    {HEAD "Content-Length: 9\r\n\r\nhello", true, NULL, "closed before the answer was whole"},
    {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nslow", false,
     NULL, "the answer is 429: slow"},
    {"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", false, NULL, "the answer is 500"},
    {"SSH-2.0-OpenSSH\r\n\r\n", false, NULL, "not HTTP"},
    {HEAD "Content-Length: 99999999999999999999\r\n\r\n", false, NULL, "not HTTP"},
    {NULL, false, NULL, "no whole answer in time"},
};

Test(rest, whole_replies_are_bodies_and_everything_else_is_a_named_failure)
{
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        for (uint32_t split = 0; split <= 900000; split += 900000) {
            struct rig *rig = rig_create(replies[i].reply, replies[i].close_after);
            sim_world_faults(rig->world)->receive_split = split;
            for (int again = 0; again < 2; again++) {
                rig_get(rig, REST_LIMIT_NS + LIMIT_SECOND_NS);
                cr_assert_eq(rig->ok, replies[i].body != NULL, "%zu: %s", i, rig->rest.failure);
                if (rig->ok) cr_assert_str_eq(rig->body, replies[i].body);
                if (!rig->ok)
                    cr_assert(strstr(rig->rest.failure, replies[i].failure) != NULL, "%zu: %s", i,
                              rig->rest.failure);
            }
            rig_destroy(rig);
        }
    }
}

Test(rest, the_request_is_what_exchanges_expect)
{
    struct rig *rig = rig_create(HEAD "Content-Length: 0\r\n\r\n", false);
    rig_get(rig, LIMIT_SECOND_NS);
    const char *request = rig->server.asked;
    cr_assert_eq(strncmp(request, "GET /base/api?x=1 HTTP/1.1\r\n", 28), 0, "%s", request);
    cr_assert_not_null(strstr(request, "Host: rest.test:"));
    cr_assert_null(strstr(request, "Origin"));
    cr_assert_not_null(strstr(request, "Connection: close"));
    rig_destroy(rig);
}

Test(rest, retry_after_is_told)
{
    struct rig *rig = rig_create(replies[5].reply, false);
    rig_get(rig, LIMIT_SECOND_NS);
    cr_assert_eq(rig->rest.status, 429);
    cr_assert_eq(rig->rest.retry_after_s, 7);
    rig_destroy(rig);
}

Test(rest, every_op_failing_is_a_failure_and_the_next_request_works)
{
    static const enum io_kind kinds[] = {IO_RESOLVE, IO_CONNECT, IO_RECEIVE, IO_SEND};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct rig *rig = rig_create(replies[0].reply, true);
        sim_world_fail(rig->world, kinds[i], 0, -104); // ECONNRESET
        rig_get(rig, REST_LIMIT_NS + LIMIT_SECOND_NS);
        cr_assert_not(rig->ok, "op %d", (int)kinds[i]);
        cr_assert_gt(strlen(rig->rest.failure), 0);
        rig_get(rig, LIMIT_SECOND_NS);
        cr_assert(rig->ok, "op %d: %s", (int)kinds[i], rig->rest.failure);
        rig_destroy(rig);
    }
}

// Name servers may go on naming an address that nobody is at any more, or is not answered from.
Test(rest, where_an_address_is_gone_the_other_one_is_asked)
{
    for (int gone = 0; gone < 2; gone++) {
        struct rig *rig = rig_create(replies[0].reply, true);
        sim_world_name(rig->world, "rest.test", "127.0.0.2");
        sim_address_gone(rig->world, gone == 0 ? "127.0.0.1" : "127.0.0.2", true);
        for (int again = 0; again < 2; again++) {
            rig_get(rig, LIMIT_SECOND_NS);
            cr_assert(rig->ok, "%s", rig->rest.failure);
        }
        cr_assert_eq(rig->server.connections, 2);
        rig_destroy(rig);
    }
}

Test(rest, an_address_that_does_not_answer_costs_one_request)
{
    struct rig *rig = rig_create(replies[0].reply, true);
    sim_world_name(rig->world, "rest.test", "127.0.0.2");
    sim_world_faults(rig->world)->connect_timeout = 1000000;
    rig_get(rig, REST_LIMIT_NS + LIMIT_SECOND_NS);
    cr_assert_not(rig->ok);
    sim_world_faults(rig->world)->connect_timeout = 0;
    sim_address_gone(rig->world, "127.0.0.1", true);
    const uint32_t tried = rig->rest.addresses_tried;
    rig_get(rig, LIMIT_SECOND_NS);
    cr_assert(rig->ok, "%s", rig->rest.failure);
    cr_assert(tried == 1 && rig->rest.addresses_tried == 1, "the other one comes first then");
    rig_destroy(rig);
}

Test(rest, a_cancel_at_every_step_calls_back_once)
{
    for (int steps = 0; steps < 25; steps++) {
        struct rig *rig = rig_create(replies[0].reply, false);
        rest_get(&rig->rest, &rig->url, "/", answered, rig);
        for (int i = 0; i < steps; i++) (void)sim_world_step(rig->world);
        rest_cancel(&rig->rest);
        (void)sim_world_run(rig->world, LIMIT_SECOND_NS);
        cr_assert_eq(rig->answers, 1);
        cr_assert_eq(rig->rest.state, REST_IDLE);
        rig_destroy(rig);
    }
}

// ---- kept connections ----

#define HELLO HEAD "Content-Length: 5\r\n\r\nhello"

static struct rig *rig_keep(const char *reply)
{
    struct rig *rig = rig_create(reply, false);
    rig->rest.keep = true;
    return rig;
}

static void get_good(struct rig *rig)
{
    rig_get(rig, LIMIT_SECOND_NS);
    cr_assert(rig->ok, "%s", rig->rest.failure);
    cr_assert_str_eq(rig->body, "hello");
}

Test(rest, more_than_was_asked_for_is_dropped_in_any_pieces)
{
    // Three pieces behind the reply: the first makes the connection useless, the others come all
    // the same.
    struct rig *rig = rig_keep(HELLO "0123456789012345678901234567890123456789012345678901234567");
    sim_world_faults(rig->world)->receive_split = 900000;
    for (int i = 0; i < 5; i++) get_good(rig);
    cr_assert_geq(rig->server.connections, 5);
    rig_destroy(rig);
}

Test(rest, a_kept_connection_carries_many_requests)
{
    struct rig *rig = rig_keep(HELLO);
    for (int i = 0; i < 10; i++) get_good(rig);
    cr_assert_eq(rig->server.requests, 10);
    cr_assert_eq(rig->server.connections, 1);
    cr_assert_eq(rig->rest.connections, 1);
    cr_assert_null(strstr(rig->server.asked, "Connection: close"));
    // A refusal keeps it, too.
    rig->server.reply = replies[5].reply;
    rig_get(rig, LIMIT_SECOND_NS);
    cr_assert(!rig->ok && rig->rest.status == 429 && rig->rest.retry_after_s == 7);
    cr_assert_not_null(strstr(rig->rest.failure, "the answer is 429: slow"));
    rig->server.reply = HELLO;
    get_good(rig);
    cr_assert_eq(rig->server.connections, 1);
    rig_destroy(rig);
}

// Asks again from within the callback, as repair does.
static void answered_again(void *context, struct rest *rest)
{
    struct rig *rig = context;
    answered(context, rest);
    if (rig->answers < 5) rest_get(rest, &rig->url, "/", answered_again, rig);
}

Test(rest, the_callback_may_ask_again)
{
    struct rig *rig = rig_keep(HELLO);
    rest_get(&rig->rest, &rig->url, "/", answered_again, rig);
    (void)sim_world_run(rig->world, LIMIT_SECOND_NS);
    cr_assert_eq(rig->answers, 5);
    cr_assert_eq(rig->rest.connections, 1);
    rig_destroy(rig);
}

Test(rest, a_connection_is_kept_for_so_long_and_no_longer)
{
    struct rig *rig = rig_keep(HELLO);
    get_good(rig);
    (void)sim_world_run(rig->world, REST_KEEP_NS - 3 * LIMIT_SECOND_NS);
    cr_assert_geq(rig->server.handle, 0);
    get_good(rig); // begins it anew
    cr_assert_eq(rig->rest.connections, 1);
    (void)sim_world_run(rig->world, REST_KEEP_NS - 3 * LIMIT_SECOND_NS);
    cr_assert_geq(rig->server.handle, 0);
    (void)sim_world_run(rig->world, 3 * LIMIT_SECOND_NS);
    cr_assert_lt(rig->server.handle, 0, "still connected");
    cr_assert(rest_hang_up(&rig->rest));
    get_good(rig);
    cr_assert_eq(rig->rest.connections, 2);
    rig_destroy(rig);
}

Test(rest, what_the_server_ends_is_connected_anew)
{
    struct rig *rig = rig_keep(HELLO);
    rig->server.close_after = true; // without a word
    for (uint32_t i = 1; i <= 3; i++) {
        get_good(rig);
        (void)sim_world_run(rig->world, LIMIT_SECOND_NS);
        cr_assert_eq(rig->rest.connections, i);
        cr_assert(rest_hang_up(&rig->rest));
    }
    rig->server.close_after = false;
    rig->server.reply = HEAD "Connection: close\r\nContent-Length: 5\r\n\r\nhello";
    for (uint32_t i = 4; i <= 6; i++) {
        get_good(rig);
        cr_assert_eq(rig->rest.connections, i);
    }
    rig_destroy(rig);
}

Test(rest, a_request_on_a_dead_connection_is_asked_once_more)
{
    struct rig *rig = rig_keep(HELLO);
    get_good(rig);
    rig->server.hang_up_at = 2;
    get_good(rig);
    cr_assert_eq(rig->server.requests, 3);
    cr_assert_eq(rig->rest.connections, 2);
    // Once: the new connection ends the same way.
    struct rig *twice = rig_keep(HELLO);
    get_good(twice);
    twice->server.hang_up_at = 2;
    twice->server.hang_ups = 1;
    rig_get(twice, LIMIT_SECOND_NS);
    cr_assert(!twice->ok);
    cr_assert_eq(twice->server.requests, 3);
    rig_destroy(twice);
    rig_destroy(rig);
}

Test(rest, a_request_that_began_to_be_answered_or_a_first_one_is_not_asked_again)
{
    struct rig *rig = rig_keep(HELLO);
    get_good(rig);
    rig->server.hang_up_at = 2;
    rig->server.last = HEAD "Content-Length: 5\r\n\r\nhel";
    rig_get(rig, LIMIT_SECOND_NS);
    cr_assert_not(rig->ok);
    cr_assert_eq(rig->server.requests, 2);
    cr_assert_not_null(strstr(rig->rest.failure, "closed before the answer was whole"));
    rig_destroy(rig);
    rig = rig_keep(HELLO);
    rig->server.hang_up_at = 1;
    rig_get(rig, LIMIT_SECOND_NS);
    cr_assert_not(rig->ok);
    cr_assert_eq(rig->server.requests, 1);
    rig_destroy(rig);
}

Test(rest, another_place_is_another_connection)
{
    struct rig *rig = rig_keep(HELLO);
    char text[64];
    get_good(rig);
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%u", rig->server.port);
    cr_assert_null(url_parse(text, false, &rig->url));
    get_good(rig);
    cr_assert_eq(rig->rest.connections, 2);
    rig_destroy(rig);
}

static void answered_elsewhere(void *context, struct rest *rest)
{
    struct rig *rig = context;
    char text[64];
    if (rig->answers++ > 0) return;
    (void)snprintf(text, sizeof text, "http://127.0.0.1:%u", rig->server.port);
    cr_assert_null(url_parse(text, false, &rig->url));
    rest_get(rest, &rig->url, "/", answered_elsewhere, rig);
    cr_assert_eq(rest->state, REST_RENEWING);
}

Test(rest, the_callback_may_ask_another_place)
{
    struct rig *rig = rig_keep(HELLO);
    rest_get(&rig->rest, &rig->url, "/", answered_elsewhere, rig);
    (void)sim_world_run(rig->world, LIMIT_SECOND_NS);
    cr_assert(rig->answers == 2 && rig->rest.ok, "%s", rig->rest.failure);
    cr_assert_eq(rig->rest.connections, 2);
    rig_destroy(rig);
}

Test(rest, bytes_nobody_asked_for_end_the_connection)
{
    struct rig *rig = rig_keep(HELLO "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    for (uint32_t i = 1; i <= 3; i++) {
        get_good(rig);
        cr_assert_eq(rig->rest.connections, i);
    }
    rig_destroy(rig);
}

Test(rest, a_kept_connection_that_is_cancelled_at_every_step_calls_back_once)
{
    for (int steps = 0; steps < 25; steps++) {
        struct rig *rig = rig_keep(HELLO);
        get_good(rig);
        if (steps % 2 == 1) rig->server.hang_up_at = 2; // through a renewal
        rest_get(&rig->rest, &rig->url, "/", answered, rig);
        for (int i = 0; i < steps; i++) (void)sim_world_step(rig->world);
        rest_cancel(&rig->rest);
        (void)sim_world_run(rig->world, LIMIT_SECOND_NS);
        cr_assert_eq(rig->answers, 2, "step %d: %u", steps, rig->answers);
        cr_assert_eq(rig->rest.state, REST_IDLE);
        rig->server.hang_up_at = 0;
        get_good(rig);
        rig_destroy(rig);
    }
}

Test(rest, a_request_behind_a_hang_up_waits_for_it)
{
    for (int cancel = 0; cancel < 2; cancel++) {
        struct rig *rig = rig_keep(HELLO);
        get_good(rig);
        cr_assert_not(rest_hang_up(&rig->rest));
        rest_get(&rig->rest, &rig->url, "/", answered, rig);
        if (cancel == 1) rest_cancel(&rig->rest);
        (void)sim_world_run(rig->world, LIMIT_SECOND_NS);
        cr_assert_eq(rig->answers, 2);
        cr_assert_eq(rig->ok, cancel == 0);
        cr_assert_eq(rig->rest.connections, cancel == 0 ? 2 : 1);
        rig_destroy(rig);
    }
}

Test(rest, failing_operations_on_a_kept_connection_cost_one_request_at_most)
{
    static const enum io_kind kinds[] = {IO_RESOLVE, IO_CONNECT, IO_RECEIVE, IO_SEND};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct rig *rig = rig_keep(HELLO);
        get_good(rig);
        sim_world_fail(rig->world, kinds[i], 0, -104); // ECONNRESET
        rig->server.hang_up_at = kinds[i] == IO_RESOLVE || kinds[i] == IO_CONNECT ? 2 : 0;
        rig_get(rig, REST_LIMIT_NS + LIMIT_SECOND_NS);
        get_good(rig);
        rig_destroy(rig);
    }
}
