// SPDX-License-Identifier: GPL-3.0-or-later
//
// For tests of TLS: certificates made by tests/certificates.sh in a folder of the test's own, and a
// client and a server joined in memory. Not thread-safe; one folder a process.
#ifndef RINGTAPE_TESTS_TLS_SUPPORT_H
#define RINGTAPE_TESTS_TLS_SUPPORT_H

#include "protocol/tls.h"

// Makes the certificates; aborts the test if that fails. certificates_remove() deletes them.
void certificates_make(void);
void certificates_remove(void);
// "localhost.pem" -> its path; eight results stay valid.
const char *certificates_path(const char *name);

struct tls_pair {
    struct tls_context *client_context;
    struct tls_context *server_context;
    struct tls *client;
    struct tls *server;
    // The last answers of tls_read() that were no data.
    int32_t client_result;
    int32_t server_result;
    // What arrived.
    uint8_t *client_plain;
    uint8_t *server_plain;
    uint32_t client_plain_size;
    uint32_t server_plain_size;
    uint32_t plain_capacity;
};

// `certificate`: a name of certificates.sh for the server, "localhost".
struct tls_pair tls_pair_make(const char *certificate, bool client_1_2, bool server_1_2);
// A client with these pins instead of the one made.
void tls_pair_pin(struct tls_pair *pair, const struct tls_pins *pins);
void tls_pair_free(struct tls_pair *pair);

// Starts both ends; the client asks for `host`.
void tls_pair_start(struct tls_pair *pair, const char *host);

// Carries bytes both ways, `step` at a time, until nothing moves.
void tls_pair_pump(struct tls_pair *pair, uint32_t step);

#endif
