// SPDX-License-Identifier: GPL-3.0-or-later
//
// ws_echo: sends back every WebSocket message, as server or as client, built of the modules that
// the daemon receives by (io, tls, http, websocket). It is there for others to talk to: public
// conformance suites and the libraries of tests/peers/ws_echo_test.py. How to run the Autobahn
// suite against it is in docs/fuzzing.md.
//
// The first line on standard output says where a server listens; then a line of JSON a connection.
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/url.h"
#include "format/ensure.h"
#include "tests/peers/ws_echo_connection.h"

enum {
    EXIT_BROKEN = 1,
    EXIT_USAGE = 64,
    EXIT_UNAVAILABLE = 69,
    CONNECTIONS_MAX = 64,
    MESSAGE_SIZE_MAX = 32 << 20,
    TARGET_BYTES_MAX = 1024,
};

#define TURN_NS ((int64_t)100000000)

static volatile sig_atomic_t stop_asked;

struct program {
    struct ws_echo_shared shared;
    struct tls_options tls;
    bool tls_wanted;
    const char *connect; // URL
    int32_t listen;      // port; -1: client
    struct url url;
    char url_text[TARGET_BYTES_MAX];
    char target[TARGET_BYTES_MAX];
    struct io_op attempt;
    struct io_address addresses[IO_ADDRESSES_MAX];
    struct ws_echo_connection *connections[CONNECTIONS_MAX];
};

static const char help[] =
    "usage: ws_echo --listen PORT [--tls --certificate FILE --key FILE] [OPTION...]\n"
    "       ws_echo --connect URL [--ca FILE] [OPTION...]\n"
    "\n"
    "Sends back every WebSocket message it receives, answers pings and close frames.\n"
    "\n"
    "  --listen PORT            serve on 127.0.0.1; 0: any free port, told on the first line\n"
    "  --connect URL            ws:// or wss://, with path and query; ends with the connection\n"
    "  --tls                    serve over TLS; needs --certificate and --key (a client has it\n"
    "                           by wss://)\n"
    "  --certificate FILE       PEM, the server's chain\n"
    "  --key FILE               PEM, its key\n"
    "  --ca FILE                PEM, roots that a client trusts; the system's unless given\n"
    "  --message-max BYTES      refuse larger messages with 1009 (33554432)\n"
    "  --fragment BYTES         send echoes in frames of at most so many bytes\n"
    "  --help                   this\n"
    "\n"
    "Standard output: a server's address, then a line of JSON a connection.\n"
    "Exit status: 0, 1 the connection of a client broke, 64 usage, 69 cannot listen or connect.\n";

static void on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

__attribute__((noreturn)) static void usage(const char *what, const char *argument)
{
    (void)fprintf(stderr, "ws_echo: %s%s%s; see ws_echo --help\n", what,
                  argument[0] != '\0' ? ": " : "", argument);
    exit(EXIT_USAGE);
}

__attribute__((noreturn)) static void unavailable(const char *what, const char *why)
{
    (void)fprintf(stderr, "ws_echo: %s: %s\n", what, why);
    exit(EXIT_UNAVAILABLE);
}

// ---- options ----

static uint32_t number_read(const char *text, uint32_t least, uint32_t most)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value < least ||
        value > most)
        usage("a number is out of range", text);
    return (uint32_t)value;
}

static void option_read(struct program *p, int option, const char *text)
{
    switch (option) {
    case 'l': p->listen = (int32_t)number_read(text, 0, UINT16_MAX); break;
    case 'o': p->connect = text; break;
    case 't': p->tls_wanted = true; break;
    case 'c': p->tls.certificate_file = text; break;
    case 'k': p->tls.key_file = text; break;
    case 'a': p->tls.ca_file = text; break;
    case 'm':
        p->shared.message_size_max =
            number_read(text, WEBSOCKET_CONTROL_SIZE_MAX, WEBSOCKET_MESSAGE_SIZE_LIMIT);
        break;
    case 'f':
        p->shared.fragment_size = number_read(text, 1, WEBSOCKET_MESSAGE_SIZE_LIMIT);
        break;
    case 'h':
        (void)fputs(help, stdout);
        exit(0);
    default: exit(EXIT_USAGE);
    }
}

static void options_read(struct program *p, int count, char **arguments)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},      {"connect", required_argument, NULL, 'o'},
        {"tls", no_argument, NULL, 't'},               {"ca", required_argument, NULL, 'a'},
        {"certificate", required_argument, NULL, 'c'}, {"key", required_argument, NULL, 'k'},
        {"message-max", required_argument, NULL, 'm'}, {"fragment", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},              {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(count, arguments, "", options, NULL)) != -1)
        option_read(p, option, optarg);
    if (optind < count)
        usage("unexpected argument", arguments[optind]);
    if ((p->listen >= 0) == (p->connect != NULL))
        usage("either --listen or --connect is needed", "");
    bool certificate = p->tls.certificate_file != NULL;
    bool key = p->tls.key_file != NULL;
    if (certificate != key || (p->listen >= 0 && p->tls_wanted != key))
        usage("--tls, --certificate and --key go together", "");
}

// Queries are no part of url.h: a suite gives the number of its case there.
static void url_read(struct program *p)
{
    size_t path_end = strcspn(p->connect, "?");
    const char *query = p->connect + path_end;
    if (strlen(p->connect) >= sizeof p->url_text)
        usage("the URL is too long", p->connect);
    memcpy(p->url_text, p->connect, path_end);
    const char *wrong = url_parse(p->url_text, true, &p->url);
    if (wrong != NULL)
        usage(wrong, p->connect);
    (void)snprintf(p->target, sizeof p->target, "%s%s", p->url.path[0] != '\0' ? p->url.path : "/",
                   query);
    if (p->tls_wanted && !p->url.tls)
        usage("--tls needs a wss:// URL", p->connect);
    p->tls_wanted = p->url.tls;
    p->shared.host = p->url.host;
    p->shared.authority = p->url.authority;
    p->shared.target = p->target;
}

// ---- server ----

static void refused_done(struct io *io, struct io_op *op)
{
    (void)io;
    free(op);
}

static void accepted(struct io *io, struct io_op *op)
{
    struct program *p = io_owner(op, struct program, attempt);
    if (op->result < 0)
        return;
    for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) {
        if (p->connections[i] == NULL)
            p->connections[i] = calloc(1, sizeof *p->connections[i]);
        ensure(p->connections[i] != NULL);
        if (p->connections[i]->state != WS_ECHO_FREE)
            continue;
        ensure(ws_echo_connection_begin(p->connections[i], &p->shared, (int)op->result));
        return;
    }
    struct io_op *refused = calloc(1, sizeof *refused);
    ensure(refused != NULL);
    io_close(io, refused, (int)op->result, refused_done);
}

static void server_start(struct program *p)
{
    struct io_address address = {.bytes = {127, 0, 0, 1}, .port = (uint16_t)p->listen};
    uint16_t port = address.port;
    int listener = io_listen(p->shared.io, &address, &port);
    if (listener < 0)
        unavailable("cannot listen", strerror(-listener));
    io_accept(p->shared.io, &p->attempt, listener, accepted);
    (void)printf("{\"listening\": \"127.0.0.1:%u\", \"port\": %u, \"tls\": %s}\n", port, port,
                 p->tls_wanted ? "true" : "false");
    (void)fflush(stdout);
}

// ---- client ----

static void connected(struct io *io, struct io_op *op)
{
    (void)io;
    struct program *p = io_owner(op, struct program, attempt);
    if (op->result < 0)
        unavailable(p->connect, strerror((int)-op->result));
    ensure(ws_echo_connection_begin(p->connections[0], &p->shared, (int)op->result));
}

static void resolved(struct io *io, struct io_op *op)
{
    struct program *p = io_owner(op, struct program, attempt);
    if (op->result <= 0)
        unavailable(p->connect, "the name was not found");
    io_connect(io, op, &p->addresses[0], connected);
}

static int client_status(const struct program *p)
{
    const struct ws_echo_connection *c = p->connections[0];
    if (c->failure[0] == '\0')
        return 0;
    (void)fprintf(stderr, "ws_echo: %s: %s\n", p->connect, c->failure);
    return c->upgraded ? EXIT_BROKEN : EXIT_UNAVAILABLE;
}

// ---- both ----

static bool busy(const struct program *p)
{
    for (uint32_t i = 0; i < CONNECTIONS_MAX; i++)
        if (p->connections[i] != NULL && p->connections[i]->state != WS_ECHO_FREE)
            return true;
    return false;
}

static void leave_all(struct program *p)
{
    io_cancel(p->shared.io, &p->attempt);
    for (uint32_t i = 0; i < CONNECTIONS_MAX; i++)
        if (p->connections[i] != NULL)
            ws_echo_connection_leave(p->connections[i]);
}

static void run(struct program *p)
{
    bool left = false;
    while (busy(p) || !io_idle(&p->attempt)) {
        (void)io_run(p->shared.io, TURN_NS);
        if (stop_asked && !left) {
            left = true;
            leave_all(p);
        }
    }
}

static void start(struct program *p)
{
    struct io_options options = {.name = "ws_echo"};
    struct io_message message;
    struct tls_failure failure;
    struct sigaction action = {.sa_handler = on_signal};
    ensure(sigaction(SIGTERM, &action, NULL) == 0 && sigaction(SIGINT, &action, NULL) == 0);
    if (p->tls_wanted) {
        p->tls.role = p->listen >= 0 ? TLS_SERVER : TLS_CLIENT;
        p->shared.tls = tls_context_create(&p->tls, &failure);
        if (p->shared.tls == NULL)
            unavailable("TLS", failure.text);
    }
    if (io_open_loop(&p->shared.io, &options, &message) != 0)
        unavailable("start", message.text);
}

int main(int count, char **arguments)
{
    static struct program p = {.listen = -1, .shared = {.message_size_max = MESSAGE_SIZE_MAX}};
    options_read(&p, count, arguments);
    p.shared.role = p.listen >= 0 ? WEBSOCKET_SERVER : WEBSOCKET_CLIENT;
    if (p.connect != NULL)
        url_read(&p);
    start(&p);
    if (p.listen >= 0) {
        server_start(&p);
    } else {
        p.connections[0] = calloc(1, sizeof *p.connections[0]);
        ensure(p.connections[0] != NULL);
        io_resolve(p.shared.io, &p.attempt, p.url.host, p.url.port, p.addresses, resolved);
    }
    run(&p);
    int status = p.listen >= 0 ? 0 : client_status(&p);
    io_close_loop(p.shared.io);
    for (uint32_t i = 0; i < CONNECTIONS_MAX; i++) free(p.connections[i]);
    if (p.shared.tls != NULL)
        tls_context_destroy(p.shared.tls);
    return status;
}
