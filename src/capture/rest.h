// SPDX-License-Identifier: GPL-3.0-or-later
//
// rest: one GET or POST at a time over HTTP/1.1, with TLS or without: what control asks an exchange
// at start and on a reload (which instruments there are), what repair and audit ask, alerts to a
// webhook. A state machine over io.h, drawn in rest.c.
//
// With `keep` the connection stays for the next request to the same place, REST_KEEP_NS at most;
// the minute's audit finds it alive where the exchange lets it live. It may close at any moment: a
// request on a kept connection that ends before a byte of the reply came is asked once more, on a
// new one (a GET may be).
//
// Ownership: rest_open() reserves address space for the body (LIMIT_REST_BODY_BYTES; memory as it
// is needed, given back with the next request). The body is valid in the callback only. Threading:
// belongs to its loop. Bound: limit_ns from start to callback.
//
// A POST is never sent twice, so it goes without `keep`.
//
// Errors: `ok` and `failure` in the callback; nothing is tried again but as told above.
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
#define REST_KEEP_NS (90 * LIMIT_SECOND_NS) // of an idle connection
enum { REST_PATH_BYTES_MAX = 511, REST_POST_BYTES_MAX = 8192 };

enum rest_state {
    REST_IDLE,   // may be asked; with a kept connection or without
    REST_WAKING, // asked, on a kept connection whose timer ends first
    REST_RESOLVING,
    REST_CONNECTING,
    REST_HANDSHAKING,
    REST_WAITING, // for the reply
    REST_CLOSING, // the request is over, its connection ends
    REST_RESTING, // the request is over, its connection stays
    REST_RENEWING, // the kept connection was dead: it ends, a new one follows
    REST_PARTING,  // nobody asked: the kept connection ends
};

struct rest;
typedef void rest_callback(void *context, struct rest *rest);

// Transparent because its owner embeds it; members are private but for the reply.
struct rest {
    // The reply, in the callback.
    bool ok;             // a whole reply with status 200, to a POST 2xx
    uint16_t status;     // 0: there was none
    uint32_t retry_after_s; // 0: not asked for
    uint32_t used;          // what used_header says; 0: it is not there
    bool exhausted;         // Remaining-Req says that nothing is left of this second
    uint8_t *body;
    uint32_t body_size;
    char failure[512];   // where not ok: what went wrong, with the remedy

    // May be set while idle without a connection.
    bool keep;               // the connection stays behind a reply
    const char *header;      // sent as well ("X-MBX-TIME-UNIT: MICROSECOND"), or NULL
    const char *used_header; // of the reply, or NULL
    const char *key;         // of the configuration, where the URL stands; "rest_url"
    int64_t limit_ns;        // of a request; REST_LIMIT_NS

    uint64_t connections; // so far

    struct io *io;
    enum rest_state state;
    bool reused;   // the request runs on a kept connection
    bool answered; // a byte of the reply has come
    bool stale;    // the peer has ended the connection
    bool asked;    // while parting: the request comes behind it
    char kept[URL_AUTHORITY_BYTES_MAX + 1]; // where the connection leads
    rest_callback *done;
    void *context;
    const struct url *url;
    const void *post; // NULL: it is a GET
    uint32_t post_size;
    char path[REST_PATH_BYTES_MAX + 1];
    int handle;
    struct io_op attempt;
    struct io_op receive;
    struct io_op send;
    struct io_op timer;
    struct io_address addresses[IO_ADDRESSES_MAX];
    uint32_t address_count;
    uint32_t addresses_tried; // for this request
    uint32_t address; // of addresses[], modulo their count: where the last connection stood
    struct tls *tls;
    struct http_parser http;
    char head[HTTP_HEAD_SIZE];
    uint8_t plain[TLS_READ_SIZE];
};

// `tls` as for tls_create(): NULL for http://. 0 or -ENOMEM.
int rest_open(struct rest *rest, struct io *io, struct tls_context *tls);
// Only while idle without a connection (rest_hang_up()).
void rest_close(struct rest *rest);
// GETs `path` (with query) below the URL, which must live until the callback. Only while idle or
// parting.
void rest_get(struct rest *rest, const struct url *url, const char *path, rest_callback *done,
              void *context);
// POSTs JSON to the URL; `body` lives until the callback, as the URL. Only while idle, without
// `keep`. `ok` by any status of 2xx.
void rest_post(struct rest *rest, const struct url *url, const void *body, uint32_t size,
               rest_callback *done, void *context);
// The callback comes soon, with a failure.
void rest_cancel(struct rest *rest);
// Gives up the kept connection. True once there is neither a connection nor a request.
bool rest_hang_up(struct rest *rest);

#endif
