// SPDX-License-Identifier: GPL-3.0-or-later
//
// rest: one GET at a time over HTTP/1.1, with TLS or without: what control asks an exchange at
// start and on a reload (which instruments there are), and what repair and audit ask. A state
// machine over io.h, drawn in rest.c.
//
// Ownership: rest_open() reserves address space for the body (LIMIT_REST_BODY_BYTES; memory as it
// is needed, given back with the next request). The body is valid in the callback only. Threading:
// belongs to its loop. Bound: REST_LIMIT_NS from start to callback.
#ifndef RINGTAPE_CAPTURE_REST_H
#define RINGTAPE_CAPTURE_REST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/limits.h"
#include "base/url.h"
#include "io/io.h"
#include "protocol/http.h"
#include "protocol/tls.h"

#define REST_LIMIT_NS (30 * LIMIT_SECOND_NS)
enum { REST_PATH_BYTES_MAX = 511 };

enum rest_state {
    REST_IDLE,
    REST_RESOLVING,
    REST_CONNECTING,
    REST_HANDSHAKING,
    REST_WAITING, // for the reply
    REST_CLOSING,
};

struct rest;
typedef void rest_callback(void *context, struct rest *rest);

// Transparent because its owner embeds it; members are private but for the reply.
struct rest {
    // The reply, in the callback.
    bool ok;             // a whole reply with status 200
    uint16_t status;     // 0: there was none
    uint32_t retry_after_s; // 0: not asked for
    uint32_t used;          // what used_header says; 0: it is not there
    bool exhausted;         // Remaining-Req says that nothing is left of this second
    uint8_t *body;
    uint32_t body_size;
    char failure[512];   // where not ok: what went wrong, with the remedy

    // May be set while idle.
    const char *header;      // sent as well ("X-MBX-TIME-UNIT: MICROSECOND"), or NULL
    const char *used_header; // of the reply, or NULL

    struct io *io;
    enum rest_state state;
    rest_callback *done;
    void *context;
    const struct url *url;
    char path[REST_PATH_BYTES_MAX + 1];
    int handle;
    struct io_op attempt;
    struct io_op receive;
    struct io_op send;
    struct io_op timer;
    struct io_address addresses[IO_ADDRESSES_MAX];
    struct tls *tls;
    struct http_parser http;
    char head[HTTP_HEAD_SIZE];
    uint8_t plain[TLS_RECORD_SIZE_MAX];
};

// `tls` as for tls_create(): NULL for http://. 0 or -ENOMEM.
int rest_open(struct rest *rest, struct io *io, struct tls_context *tls);
// Only while idle.
void rest_close(struct rest *rest);
// GETs `path` (with query) below the URL, which must live until the callback. Only while idle.
void rest_get(struct rest *rest, const struct url *url, const char *path, rest_callback *done,
              void *context);
// The callback comes soon, with a failure.
void rest_cancel(struct rest *rest);

#endif
