// SPDX-License-Identifier: GPL-3.0-or-later
//
// http_server: see http_server.h. The only file that names libmicrohttpd. Contract: the socket is
// made here, so that what is wrong with the address is known before anything is served.
#include "control/http_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "format/ensure.h"

struct http_server {
    struct MHD_Daemon *daemon;
    http_server_answers *answers;
    void *context;
    bool named;
};

// ---- the socket ----

static socklen_t server_address(const struct io_address *address, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (address->ipv6) {
        struct sockaddr_in6 *six = (void *)out;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons(address->port);
        memcpy(&six->sin6_addr, address->bytes, sizeof six->sin6_addr);
        return sizeof *six;
    }
    struct sockaddr_in *four = (void *)out;
    four->sin_family = AF_INET;
    four->sin_port = htons(address->port);
    memcpy(&four->sin_addr, address->bytes, sizeof four->sin_addr);
    return sizeof *four;
}

// The handle or a negative errno.
static int server_listen(const struct io_address *address)
{
    struct sockaddr_storage storage;
    const socklen_t size = server_address(address, &storage);
    const int on = 1;
    const int handle =
        socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (handle < 0) return -errno;
    bool good = setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    if (address->ipv6)
        good = good && setsockopt(handle, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
    good = good && bind(handle, (const struct sockaddr *)&storage, size) == 0;
    good = good && listen(handle, HTTP_SERVER_CONNECTIONS_MAX) == 0;
    if (good) return handle;
    const int error = -errno;
    (void)close(handle);
    return error;
}

// ---- requests ----

static enum MHD_Result server_send(struct MHD_Connection *connection,
                                   const struct http_server_answer *answer)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->size, answer->text, answer->text != NULL ? MHD_RESPMEM_MUST_FREE
                                                         : MHD_RESPMEM_PERSISTENT);
    if (response == NULL) {
        free(answer->text);
        return MHD_NO;
    }
    enum MHD_Result good =
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, answer->type);
    if (good == MHD_YES && answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        good = MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    if (good == MHD_YES)
        good = MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (good == MHD_YES) good = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return good;
}

static enum MHD_Result server_refuse(struct MHD_Connection *connection)
{
    const struct http_server_answer answer = {.status = MHD_HTTP_CONTENT_TOO_LARGE,
                                              .type = "text/plain"};
    return server_send(connection, &answer);
}

// Would its body be more than is passed over?
static bool server_overlong(struct MHD_Connection *connection)
{
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                    MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL)
        return true;
    return length != NULL && strtoull(length, NULL, 10) > HTTP_SERVER_BODY_BYTES;
}

// Called with the head first, then for each piece of a body, then without one.
static enum MHD_Result server_request(void *context, struct MHD_Connection *connection,
                                      const char *path, const char *method, const char *version,
                                      const char *body, size_t *body_size, void **request)
{
    struct http_server *server = context;
    struct http_server_answer answer = {.status = MHD_HTTP_NOT_FOUND, .type = "text/plain"};
    static char begun;
    (void)version;
    (void)body;
    if (*request == NULL) {
        *request = &begun;
        // An answer before the body ends the connection behind it.
        return server_overlong(connection) ? server_refuse(connection) : MHD_YES;
    }
    if (*body_size > 0) { // is not read by anybody
        *body_size = 0;
        return MHD_YES;
    }
    if (!server->named) (void)pthread_setname_np(pthread_self(), "http");
    server->named = true;
    const bool known = strcmp(method, MHD_HTTP_METHOD_GET) == 0 ||
                       strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;
    if (!known) answer.status = MHD_HTTP_METHOD_NOT_ALLOWED;
    else if (!server->answers(server->context, path, &answer))
        answer.status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    return server_send(connection, &answer);
}

// ---- life ----

static int server_start(struct http_server *server, int handle)
{
    const unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC;
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, server_request, server, MHD_OPTION_LISTEN_SOCKET, handle,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_SERVER_CONNECTIONS_MAX,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)HTTP_SERVER_ADDRESS_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_SERVER_IDLE_SECONDS,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_SERVER_CONNECTION_BYTES, MHD_OPTION_END);
    return server->daemon != NULL ? 0 : -EAGAIN;
}

int http_server_open(struct http_server **out, const struct io_address *address,
                     http_server_answers *answers, void *context, char *text, size_t text_size)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL) return -ENOMEM;
    server->answers = answers;
    server->context = context;
    const int handle = server_listen(address);
    int error = handle < 0 ? handle : server_start(server, handle);
    if (error == 0) {
        *out = server;
        return 0;
    }
    (void)snprintf(text, text_size, "%s", strerror(-error));
    if (handle >= 0) (void)close(handle);
    free(server);
    return error;
}

void http_server_close(struct http_server *server)
{
    if (server == NULL) return;
    ensure(server->daemon != NULL);
    MHD_stop_daemon(server->daemon);
    free(server);
}
