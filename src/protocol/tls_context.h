// SPDX-License-Identifier: GPL-3.0-or-later
//
// What tls.c and tls_context.c share. Not for others.
#ifndef RINGTAPE_PROTOCOL_TLS_CONTEXT_H
#define RINGTAPE_PROTOCOL_TLS_CONTEXT_H

#include "protocol/tls.h"
#include "protocol/tls_session.h"

struct WOLFSSL;
struct WOLFSSL_CTX;
struct WOLFSSL_SESSION;

struct tls_context {
    struct WOLFSSL_CTX *library;
    enum tls_role role;
    uint32_t connections;
    uint64_t handshakes;
    uint64_t resumed;
    struct tls_session_table sessions;
    struct tls_pins pins;
};

// wolfSSL's callbacks; the owner is a struct tls.
int tls_receive(struct WOLFSSL *library, char *target, int size, void *owner);
int tls_transmit(struct WOLFSSL *library, char *data, int size, void *owner);
int tls_session_new(struct WOLFSSL *library, struct WOLFSSL_SESSION *session);

#endif
