// SPDX-License-Identifier: GPL-3.0-or-later
//
// Remembered sessions by host name; a full table gives up the longest unused. What a session is,
// only its release function knows. Only for tls.c.
#ifndef RINGTAPE_PROTOCOL_TLS_SESSION_H
#define RINGTAPE_PROTOCOL_TLS_SESSION_H

#include "protocol/tls.h"

struct tls_session_slot {
    char host[TLS_HOST_SIZE_MAX + 1];
    void *session; // NULL: free
    uint64_t used; // by tls_session_table.uses
};

struct tls_session_table {
    void (*release)(void *session);
    uint64_t uses;
    struct tls_session_slot slots[TLS_SESSIONS_MAX];
};

// Takes over the session; a former one of that host is released.
void tls_session_put(struct tls_session_table *table, const char *host, void *session);

// The session of that host, or NULL; stays the table's.
void *tls_session_get(struct tls_session_table *table, const char *host);

// Releases the session of that host, if there is one; NULL: all.
void tls_session_drop(struct tls_session_table *table, const char *host);

#endif
