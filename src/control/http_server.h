// SPDX-License-Identifier: GPL-3.0-or-later
//
// http_server: a small HTTP server for those who watch: GET and HEAD of a few paths, each answered
// by a function that makes the whole answer from memory.
//
// It has one thread of its own (named http), off the cores of the shards. Bounds: as many
// connections at once and as much memory for each as HTTP_SERVER_* says; who is silent for ten
// seconds is hung up on. One address has half of the connections at most: one that keeps all it has
// with a byte now and then does not keep a probe out, which would have the daemon restarted. No TLS
// and no log-in: it listens on loopback unless it is told otherwise.
//
// The answering functions run on the server's thread.
#ifndef RINGTAPE_CONTROL_HTTP_SERVER_H
#define RINGTAPE_CONTROL_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "io/io.h"

enum {
    HTTP_SERVER_CONNECTIONS_MAX = 16,
    HTTP_SERVER_ADDRESS_CONNECTIONS_MAX = 8,
    HTTP_SERVER_CONNECTION_BYTES = 16 << 10,
    HTTP_SERVER_IDLE_SECONDS = 10,
    // Of the body of a request, which nobody reads; with more, or a length that is not told, the
    // answer is 413 at once, and the connection ends.
    HTTP_SERVER_BODY_BYTES = 16 << 10,
};

struct http_server;

struct http_server_answer {
    unsigned status;  // 200, 503 ...
    const char *type; // of the text
    char *text;       // malloc'ed: given to the server; NULL: none
    size_t size;
};
// `answer` is 404 without text. False: not answered, out of memory.
typedef bool http_server_answers(void *context, const char *path,
                                 struct http_server_answer *answer);

// 0, or a negative errno with `text` for people: -EADDRINUSE, -EADDRNOTAVAIL, -EACCES ...
int http_server_open(struct http_server **server, const struct io_address *address,
                     http_server_answers *answers, void *context, char *text, size_t text_size);
// Ends what is under way. NULL does nothing.
void http_server_close(struct http_server *server);

#endif
