// SPDX-License-Identifier: GPL-3.0-or-later
//
// wolfSSL between two memory buffers: the caller's slice of received bytes, and a ring of bytes to
// send.
//
//   tls_feed() -> slice -> tls_receive() -> wolfSSL -> tls_read()   (a copy of each record)
//   tls_write() -> wolfSSL -> tls_transmit() -> ring -> tls_output()
//
//   IDLE -(tls_start)-> HANDSHAKE -(drive_handshake)-> OPEN -(close_notify)-> CLOSED
//   HANDSHAKE, OPEN -(fail)-> FAILED;  any -(tls_start)-> HANDSHAKE
//
// Pass-through (no context) goes from IDLE to OPEN at once and moves bytes by memcpy.
//
// Sessions: a TLS 1.3 server sends its tickets after the handshake, so sessions are taken in the
// new-session callback and kept by host name in the context; a host's newest replaces the one
// before. A resumed connection carries no certificate: its session was made by a verified one to
// that host.
#include "protocol/tls.h"

#include "format/ensure.h"
#include "protocol/tls_context.h"
#include "protocol/tls_failure.h"
#include "protocol/tls_ring.h"
#include "protocol/tls_wolfssl.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum state { STATE_IDLE, STATE_HANDSHAKE, STATE_OPEN, STATE_CLOSED, STATE_FAILED };

// More than a record adds to its plaintext: header, nonce, tag, content type, padding to a block.
#define RECORD_OVERHEAD 128

struct tls {
    struct tls_context *context; // NULL: pass-through
    WOLFSSL *library;
    enum state state;
    bool resumed;
    bool pinned; // the certificate has been held against the pins, and is one of them
    bool pin_refused;
    const uint8_t *input;
    size_t input_left;
    struct tls_ring output;
    char host[TLS_HOST_SIZE_MAX + 1];
    char cipher[96];
    char found[sizeof "it is " + TLS_PIN_TEXT_BYTES]; // the key that is not pinned
    struct tls_failure failure;
};

// What holds between calls.
static void tls_check(const struct tls *tls)
{
    bool over = tls->state == STATE_FAILED || tls->state == STATE_CLOSED;
    ensure(!over || tls->input_left == 0);
    ensure((tls->state == STATE_FAILED) == (tls->failure.result != TLS_WANT_INPUT));
    ensure(tls->context == NULL || tls->state != STATE_OPEN || tls->library != NULL);
    ensure(tls->context != NULL || tls->library == NULL);
    ensure(tls->state == STATE_HANDSHAKE || tls->state == STATE_OPEN || !tls->resumed || over);
}

// ---- failures -----------------------------------------------------------------------------------

// A fatal alert of the peer may say more than "alert".
static int alert_received(struct tls *tls)
{
    WOLFSSL_ALERT_HISTORY history;
    memset(&history, 0, sizeof history);
    if (wolfSSL_get_alert_history(tls->library, &history) != WOLFSSL_SUCCESS)
        return -1;
    return history.last_rx.level == alert_fatal ? history.last_rx.code : -1;
}

static enum tls_result fail(struct tls *tls, int code)
{
    // The session offered may be the reason (a server that fell back to 1.2): next time without.
    if (tls->state == STATE_HANDSHAKE && tls->context->role == TLS_CLIENT)
        tls_session_drop(&tls->context->sessions, tls->host);
    enum tls_result result = tls->pin_refused ? TLS_ERROR_PIN
                                              : tls_failure_result(code, tls->state == STATE_OPEN);
    int alert = result == TLS_ERROR_ALERT ? alert_received(tls) : -1;
    if (alert == wolfssl_alert_protocol_version)
        result = TLS_ERROR_VERSION;
    // Nothing of what was offered suits the server, it says (RFC 8446, section 6.2).
    bool unsuited = alert == handshake_failure && tls->state == STATE_HANDSHAKE;
    char detail[64] = "";
    if (alert >= 0)
        (void)snprintf(detail, sizeof detail, " (alert %d)", alert);
    tls->state = STATE_FAILED;
    tls->input_left = 0;
    const char *reason = tls->pin_refused
                             ? tls->found
                             : wolfSSL_ERR_reason_error_string((unsigned long)(long)code);
    return tls_failure_set(&tls->failure, result, code, "%s%s%s%s: %s; %s", tls_result_text(result),
                       detail, tls->host[0] != '\0' ? ", host " : "", tls->host,
                       reason != NULL ? reason : "unknown reason",
                           tls_failure_remedy(unsuited ? TLS_ERROR_CIPHER : result));
}

const struct tls_failure *tls_failure(const struct tls *tls)
{
    return &tls->failure;
}

// ---- buffers ------------------------------------------------------------------------------------

// wolfSSL wants `size` bytes: the record's header, then its body.
int tls_receive(WOLFSSL *library, char *target, int size, void *owner)
{
    (void)library;
    struct tls *tls = owner;
    ensure(size >= 0);
    if (tls->input_left == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    size_t count = (size_t)size < tls->input_left ? (size_t)size : tls->input_left;
    memcpy(target, tls->input, count);
    tls->input += count;
    tls->input_left -= count;
    return (int)count;
}

int tls_transmit(WOLFSSL *library, char *data, int size, void *owner)
{
    (void)library;
    struct tls *tls = owner;
    ensure(size >= 0);
    uint32_t count = tls_ring_append(&tls->output, (const uint8_t *)data, (uint32_t)size);
    return count > 0 || size == 0 ? (int)count : WOLFSSL_CBIO_ERR_WANT_WRITE;
}

void tls_output(const struct tls *tls, const uint8_t **data, uint32_t *size)
{
    tls_ring_peek(&tls->output, data, size);
}

void tls_output_taken(struct tls *tls, uint32_t size)
{
    tls_ring_take(&tls->output, size);
}

uint32_t tls_output_space(const struct tls *tls)
{
    return tls_ring_space(&tls->output);
}

// ---- sessions -----------------------------------------------------------------------------------

// wolfSSL hands over a reference; 1 keeps it.
int tls_session_new(WOLFSSL *library, WOLFSSL_SESSION *session)
{
    struct tls *tls = wolfSSL_GetIOReadCtx(library);
    ensure(tls != NULL && tls->context != NULL);
    if (tls->context->role != TLS_CLIENT)
        return 0;
    tls_session_put(&tls->context->sessions, tls->host, session);
    return 1;
}

static void session_offer(struct tls *tls)
{
    WOLFSSL_SESSION *session = tls_session_get(&tls->context->sessions, tls->host);
    // Refused where its lifetime is over.
    if (session != NULL && wolfSSL_set_session(tls->library, session) != WOLFSSL_SUCCESS)
        tls_session_drop(&tls->context->sessions, tls->host);
}

// ---- pins ---------------------------------------------------------------------------------------

// Of the server's own certificate, whose chain, dates and name are good.
static bool pin_check(struct tls *tls, const WOLFSSL_BUFFER_INFO *certificate)
{
    uint8_t hash[TLS_PIN_BYTES];
    char text[TLS_PIN_TEXT_BYTES + 1] = "unreadable";
    const uint8_t *key;
    size_t size;
    if (tls_pin_key(certificate->buffer, certificate->length, &key, &size) &&
        wc_Sha256Hash(key, (word32)size, hash) == 0) {
        tls->pinned = tls_pin_known(&tls->context->pins, hash);
        tls_pin_text(hash, text);
    }
    if (!tls->pinned) (void)snprintf(tls->found, sizeof tls->found, "it is %s", text);
    tls->pin_refused = !tls->pinned;
    return tls->pinned;
}

// wolfSSL asks at each certificate that it refuses, and at the server's own; it goes by the answer.
// It asks twice, once in the name of the trust that connections share: so `store` cannot say whose
// handshake it is.
static _Thread_local struct tls *pin_handshake;

static int pin_verified(int good, WOLFSSL_X509_STORE_CTX *store)
{
    struct tls *tls = pin_handshake;
    ensure(tls != NULL && tls->context->pins.count > 0);
    if (good == 0)
        return 0;
    if (store->error_depth != 0)
        return 1;
    return store->totalCerts > 0 && pin_check(tls, &store->certs[0]);
}

// A session was made by a certificate that was pinned. A library that did not ask is not trusted.
static bool pin_missing(struct tls *tls)
{
    if (tls->context->pins.count == 0 || tls->pinned || wolfSSL_session_reused(tls->library) != 0)
        return false;
    tls->pin_refused = true;
    (void)snprintf(tls->found, sizeof tls->found, "it was not shown by the library");
    return true;
}

// ---- connection ---------------------------------------------------------------------------------

struct tls *tls_create(struct tls_context *context, uint32_t output_size)
{
    ensure(output_size >= TLS_OUTPUT_SIZE_MIN && output_size <= INT32_MAX);
    struct tls *tls = calloc(1, sizeof *tls);
    uint8_t *output = malloc(output_size);
    if (tls == NULL || output == NULL) {
        free(tls);
        free(output);
        return NULL;
    }
    tls->context = context;
    tls->output = (struct tls_ring){.data = output, .capacity = output_size};
    if (context != NULL)
        context->connections++;
    return tls;
}

static void connection_free(struct tls *tls)
{
    if (tls->library != NULL)
        wolfSSL_free(tls->library);
    tls->library = NULL;
}

void tls_destroy(struct tls *tls)
{
    if (tls == NULL)
        return;
    connection_free(tls);
    if (tls->context != NULL) {
        ensure(tls->context->connections > 0);
        tls->context->connections--;
    }
    free(tls->output.data);
    free(tls);
}

// An address is verified like a name, but never named in SNI (RFC 6066 section 3).
static bool is_address(const char *host)
{
    return strchr(host, ':') != NULL || host[strspn(host, "0123456789.")] == '\0';
}

static bool client_prepare(struct tls *tls)
{
    ensure(tls->host[0] != '\0');
    if (wolfSSL_check_domain_name(tls->library, tls->host) != WOLFSSL_SUCCESS)
        return false;
    if (tls->context->pins.count > 0)
        wolfSSL_set_verify(tls->library, WOLFSSL_VERIFY_PEER, pin_verified);
    if (!is_address(tls->host) &&
        wolfSSL_UseSNI(tls->library, WOLFSSL_SNI_HOST_NAME, tls->host,
                       (unsigned short)strlen(tls->host)) != WOLFSSL_SUCCESS)
        return false;
    session_offer(tls);
    return true;
}

static enum tls_result connection_begin(struct tls *tls, const char *host)
{
    tls->library = wolfSSL_new(tls->context->library);
    if (tls->library == NULL)
        return fail(tls, MEMORY_E);
    wolfSSL_SetIOReadCtx(tls->library, tls);
    wolfSSL_SetIOWriteCtx(tls->library, tls);
    if (tls->context->role == TLS_CLIENT) {
        size_t size = strlen(host);
        ensure(size > 0 && size <= TLS_HOST_SIZE_MAX);
        memcpy(tls->host, host, size + 1);
        if (!client_prepare(tls))
            return fail(tls, MEMORY_E);
    }
    tls->state = STATE_HANDSHAKE;
    return TLS_WANT_INPUT;
}

static void connection_forget(struct tls *tls)
{
    connection_free(tls);
    tls->input = NULL;
    tls->input_left = 0;
    tls_ring_clear(&tls->output);
    tls->resumed = tls->pinned = tls->pin_refused = false;
    tls->host[0] = '\0';
    tls->cipher[0] = '\0';
    tls->failure = (struct tls_failure){0};
    tls->state = STATE_IDLE;
}

static void connection_open(struct tls *tls)
{
    ensure(tls->state == STATE_HANDSHAKE && tls->context != NULL);
    tls->state = STATE_OPEN;
    tls->resumed = wolfSSL_session_reused(tls->library) != 0;
    tls->context->handshakes++;
    tls->context->resumed += tls->resumed;
    (void)snprintf(tls->cipher, sizeof tls->cipher, "%s %s", wolfSSL_get_version(tls->library),
                   wolfSSL_get_cipher_name(tls->library));
}

// The meaning of wolfSSL's answer `code` to a call that could not finish.
static enum tls_result unfinished(struct tls *tls, int code)
{
    if (code == WOLFSSL_ERROR_WANT_READ && tls->input_left == 0)
        return TLS_WANT_INPUT;
    if (code == WOLFSSL_ERROR_WANT_WRITE)
        return TLS_WANT_OUTPUT;
    if (code == WOLFSSL_ERROR_ZERO_RETURN) {
        tls->state = STATE_CLOSED;
        tls->input_left = 0; // what follows a farewell means nothing
        return TLS_CLOSED;
    }
    return fail(tls, code);
}

// wolfSSL may ask for input once more while there is some, after a message that is no data.
static bool again(const struct tls *tls, int code, size_t input_before)
{
    ensure(tls->input_left <= input_before);
    return code == WOLFSSL_ERROR_WANT_READ && tls->input_left > 0 &&
           tls->input_left < input_before;
}

// TLS_WANT_INPUT also where the handshake is complete: the state tells.
static enum tls_result drive_handshake(struct tls *tls)
{
    ensure(tls->state == STATE_HANDSHAKE && tls->library != NULL);
    size_t before;
    int code;
    do {
        before = tls->input_left;
        pin_handshake = tls;
        code = tls->context->role == TLS_CLIENT ? wolfSSL_connect(tls->library)
                                                : wolfSSL_accept(tls->library);
        pin_handshake = NULL;
        if (code == WOLFSSL_SUCCESS) {
            if (pin_missing(tls))
                return fail(tls, VERIFY_CERT_ERROR);
            connection_open(tls);
            return TLS_WANT_INPUT;
        }
        code = wolfSSL_get_error(tls->library, code);
    } while (again(tls, code, before));
    return unfinished(tls, code);
}

enum tls_result tls_start(struct tls *tls, const char *host)
{
    connection_forget(tls);
    if (tls->context == NULL) {
        tls->state = STATE_OPEN;
        return TLS_WANT_INPUT;
    }
    ensure((host != NULL) == (tls->context->role == TLS_CLIENT));
    enum tls_result result = connection_begin(tls, host);
    if (result != TLS_WANT_INPUT || tls->context->role == TLS_SERVER)
        return result;
    return drive_handshake(tls);
}

void tls_feed(struct tls *tls, const uint8_t *data, size_t size)
{
    ensure(tls->input_left == 0 && tls->state != STATE_IDLE);
    tls_check(tls);
    if (tls->state == STATE_FAILED || tls->state == STATE_CLOSED)
        return;
    tls->input = data;
    tls->input_left = size;
}

static int32_t pass_read(struct tls *tls, uint8_t *target, uint32_t target_size)
{
    size_t count = tls->input_left < target_size ? tls->input_left : target_size;
    if (count == 0)
        return TLS_WANT_INPUT;
    memcpy(target, tls->input, count);
    tls->input += count;
    tls->input_left -= count;
    return (int32_t)count;
}

static int32_t library_read(struct tls *tls, uint8_t *target, int target_size)
{
    size_t before;
    int code;
    do {
        before = tls->input_left;
        int count = wolfSSL_read(tls->library, target, target_size);
        if (count > 0)
            return count;
        code = wolfSSL_get_error(tls->library, count);
    } while (again(tls, code, before));
    return (int32_t)unfinished(tls, code);
}

int32_t tls_read(struct tls *tls, uint8_t *target, uint32_t target_size)
{
    ensure(target_size > 0 && target_size <= INT32_MAX);
    tls_check(tls);
    if (tls->state == STATE_HANDSHAKE) {
        enum tls_result result = drive_handshake(tls);
        if (tls->state != STATE_OPEN)
            return (int32_t)result;
    }
    if (tls->state == STATE_FAILED)
        return (int32_t)tls->failure.result;
    if (tls->state == STATE_CLOSED)
        return TLS_CLOSED;
    ensure(tls->state == STATE_OPEN);
    return tls->context == NULL ? pass_read(tls, target, target_size)
                                : library_read(tls, target, (int)target_size);
}

int32_t tls_write(struct tls *tls, const uint8_t *data, uint32_t size)
{
    ensure(size > 0 && size <= TLS_RECORD_SIZE_MAX);
    tls_check(tls);
    if (tls->state == STATE_FAILED)
        return (int32_t)tls->failure.result;
    if (tls->state == STATE_CLOSED)
        return TLS_CLOSED;
    if (tls->state != STATE_OPEN)
        return TLS_WANT_INPUT;
    uint32_t overhead = tls->context != NULL ? RECORD_OVERHEAD : 0;
    if (tls_ring_space(&tls->output) < size + overhead)
        return TLS_WANT_OUTPUT;
    if (tls->context == NULL)
        return (int32_t)tls_ring_append(&tls->output, data, size);
    int count = wolfSSL_write(tls->library, data, (int)size);
    if (count <= 0)
        return (int32_t)unfinished(tls, wolfSSL_get_error(tls->library, count));
    ensure((uint32_t)count == size);
    return count;
}

void tls_close(struct tls *tls)
{
    if (tls->state == STATE_OPEN && tls->context != NULL)
        (void)wolfSSL_shutdown(tls->library);
}

enum tls_result tls_end_of_input(struct tls *tls)
{
    if (tls->state == STATE_FAILED)
        return tls->failure.result;
    if (tls->state == STATE_CLOSED || tls->context == NULL) {
        tls->state = STATE_CLOSED;
        tls->input_left = 0;
        return TLS_CLOSED;
    }
    bool open = tls->state == STATE_OPEN;
    tls->state = STATE_FAILED;
    tls->input_left = 0;
    return tls_failure_set(&tls->failure, TLS_ERROR_TRUNCATED, 0,
                       "tls: the connection was closed %s%s%s; %s",
                       open ? "without close_notify" : "during the handshake",
                       tls->host[0] != '\0' ? ", host " : "", tls->host,
                       open ? tls_failure_remedy(TLS_ERROR_TRUNCATED)
                            : "check that host and port speak TLS and that no firewall cuts it");
}

bool tls_established(const struct tls *tls)
{
    return tls->state == STATE_OPEN;
}

bool tls_resumed(const struct tls *tls)
{
    return tls->resumed;
}

const char *tls_cipher_text(const struct tls *tls)
{
    return tls->context == NULL ? "plain" : tls->cipher;
}
