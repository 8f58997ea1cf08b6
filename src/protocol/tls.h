// SPDX-License-Identifier: GPL-3.0-or-later
//
// TLS 1.2 and 1.3 over memory: ciphertext in, plaintext out, and back. No socket.
//
// A context holds what connections share: trust, certificate and key, the sessions to resume, and
// the memory wolfSSL takes per record. One context per thread: it may be made elsewhere and handed
// over before the first connection, then it and all that is made from it belong to that thread. A
// connection is made once and started anew for each connection of its link.
//
// A client always verifies chain, validity and host name, and always sends SNI (unless the host is
// an IP address); there is no switch to turn that off. Pins ask for more, never for less. A `struct
// tls` made without a context passes bytes through unchanged, so that a link has one code path for
// wss:// and ws://.
//
// One turn of a link:
//     tls_feed(tls, data, size);                       // received bytes; not copied
//     while ((n = tls_read(tls, plain, capacity)) > 0) // also drives the handshake
//         ...
//     if (n is an error) ...                           // else the fed bytes are used up
//     tls_output(tls, &data, &size); send; tls_output_taken(tls, size sent)
#ifndef RINGTAPE_PROTOCOL_TLS_H
#define RINGTAPE_PROTOCOL_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/tls_pin.h"

#define TLS_HOST_SIZE_MAX 253
#define TLS_FAILURE_SIZE 384
// The plaintext of one record; a read buffer of this size takes any record at once.
#define TLS_RECORD_SIZE_MAX 16384
// Smallest output buffer: the largest handshake flight (a server's certificate chain) must fit.
#define TLS_OUTPUT_SIZE_MIN 20480
// Host names whose sessions a context remembers; the longest unused one is replaced.
#define TLS_SESSIONS_MAX 64

struct tls_context;
struct tls;

enum tls_role { TLS_CLIENT, TLS_SERVER };

// Results of tls_read() and tls_write() that are not a count of bytes.
enum tls_result {
    TLS_WANT_INPUT = 0,    // all fed bytes are used up; feed more
    TLS_WANT_OUTPUT = -1,  // the output buffer is full; take from it, then call again
    TLS_CLOSED = -2,       // the peer has closed properly (close_notify)
    // Failures, final for the connection; tls_failure() has the text with the remedy.
    TLS_ERROR_CERTIFICATE_EXPIRED = -10, // or not yet valid: the own clock may be wrong
    TLS_ERROR_CERTIFICATE_HOST = -11,    // valid, but for another host name
    TLS_ERROR_CERTIFICATE_UNTRUSTED = -12, // self-signed or unknown issuer
    TLS_ERROR_CERTIFICATE_INVALID = -13, // bad signature, malformed, revoked, wrong purpose
    TLS_ERROR_VERSION = -14,             // no common protocol version
    TLS_ERROR_CIPHER = -15,              // no common cipher suite
    TLS_ERROR_ALERT = -16,               // the peer ended it by a fatal alert
    TLS_ERROR_RECORD = -17,              // corrupt or forged record, or not TLS at all
    TLS_ERROR_HANDSHAKE = -18,           // any other failure before the connection stood
    TLS_ERROR_CONFIGURATION = -19,       // a file is missing or no certificate, key mismatch
    TLS_ERROR_MEMORY = -20,              // wolfSSL asked for more than there was
    TLS_ERROR_TRUNCATED = -21,           // the transport closed without close_notify
    TLS_ERROR_PIN = -22,                 // all is well, but its key is none of the pinned ones
};

// What went wrong, for a log line: one sentence and its remedy.
struct tls_failure {
    enum tls_result result; // 0: nothing
    int32_t library_code;   // wolfSSL's own
    char text[TLS_FAILURE_SIZE];
};

// ---- library ------------------------------------------------------------------------------------

// TLS_LIBRARY_BUNDLED: the build of set-up, with AES-NI; AES-GCM is offered first.
// TLS_LIBRARY_STOCK: the distribution's, without; ChaCha20 is offered first, about a tenth of the
// speed.
enum tls_library { TLS_LIBRARY_STOCK, TLS_LIBRARY_BUNDLED };
enum tls_library tls_library_kind(void);
// "wolfSSL 5.5.4 (bundled)".
const char *tls_library_text(void);

// Replaces the library's sources of time and randomness, for simulation and for the io seam;
// process wide, before the first context is created. Return false if the library has no hook
// (stock): it then goes on using the system's.
typedef int64_t (*tls_clock_function)(void); // ns since 1970 UTC
typedef void (*tls_random_function)(void *target, size_t size);
bool tls_set_clock(tls_clock_function clock);
bool tls_set_random(tls_random_function random);

// ---- context ------------------------------------------------------------------------------------

struct tls_options {
    enum tls_role role;
    // Client: PEM bundle of trusted roots; NULL: the system's.
    const char *ca_file;
    // Client: keys that a server may have; NULL or none: any. Copied.
    const struct tls_pins *pins;
    // Server: PEM chain (leaf first) and key.
    const char *certificate_file;
    const char *key_file;
    // Highest protocol version; false: 1.3. For tests of 1.2.
    bool version_1_2_only;
};

// Reads the files. NULL on failure, which is then described.
struct tls_context *tls_context_create(const struct tls_options *options,
                                       struct tls_failure *failure);

// After all its connections are destroyed.
void tls_context_destroy(struct tls_context *context);

struct tls_statistics {
    uint64_t handshakes;
    uint64_t resumed;            // of these, by a remembered session
    uint64_t allocations;        // by wolfSSL, on the calling thread
    uint64_t allocations_system; // of these, what the free lists could not serve: malloc
};
void tls_context_statistics(const struct tls_context *context, struct tls_statistics *statistics);

// ---- connection ---------------------------------------------------------------------------------

// Memory for one connection; `output_size`: bytes of ciphertext it can hold until they are taken,
// at least TLS_OUTPUT_SIZE_MIN. NULL context: pass-through. NULL if out of memory.
struct tls *tls_create(struct tls_context *context, uint32_t output_size);
void tls_destroy(struct tls *tls);

// Begins a connection and forgets the one before. Client: `host` is the name or IP address that the
// certificate must carry; its session, if one is remembered, is offered. Server: NULL.
// 0 or an error. A client's first flight is then in the output.
enum tls_result tls_start(struct tls *tls, const char *host);

// Hands over received bytes; they must stay in place until tls_read() returns TLS_WANT_INPUT or an
// error. Only when the bytes fed before are used up (so not after TLS_WANT_OUTPUT). After
// TLS_CLOSED or an error they are dropped.
void tls_feed(struct tls *tls, const uint8_t *data, size_t size);

// Plaintext: a count above 0, or a tls_result. Drives the handshake. The bytes of one call come
// from one record or less; call until TLS_WANT_INPUT.
int32_t tls_read(struct tls *tls, uint8_t *target, uint32_t target_size);

// Encrypts all of it, or nothing: `size`, TLS_WANT_OUTPUT, TLS_WANT_INPUT (the handshake is not
// over), or an error. `size` 1..TLS_RECORD_SIZE_MAX; it becomes one record.
int32_t tls_write(struct tls *tls, const uint8_t *data, uint32_t size);

// Says goodbye (close_notify). What is in the output must still be sent.
void tls_close(struct tls *tls);

// The transport was closed by the peer: TLS_CLOSED if after close_notify, else TLS_ERROR_TRUNCATED.
// Pass-through: TLS_CLOSED.
enum tls_result tls_end_of_input(struct tls *tls);

// Ciphertext to be sent, in order. Stays in place until it is taken or the connection started anew,
// while writes append behind it.
void tls_output(const struct tls *tls, const uint8_t **data, uint32_t *size);
void tls_output_taken(struct tls *tls, uint32_t size);
// Bytes of ciphertext that still fit; a record needs up to 64 more than its plaintext.
uint32_t tls_output_space(const struct tls *tls);

// The handshake is complete and the peer verified; application data may flow.
bool tls_established(const struct tls *tls);
// The session was resumed, without a full handshake.
bool tls_resumed(const struct tls *tls);
// "TLSv1.3 TLS13-AES128-GCM-SHA256"; "plain" for pass-through. Valid until the next start.
const char *tls_cipher_text(const struct tls *tls);
// The last failure of the connection.
const struct tls_failure *tls_failure(const struct tls *tls);
const char *tls_result_text(enum tls_result result);

#endif
