// SPDX-License-Identifier: GPL-3.0-or-later
//
// market_tls: the simulated exchange behind TLS: market_peer's end of each connection, and what a
// client in the same world trusts. Clock and randomness of the library, which are one for the
// process, are the world's, so a seed has the same bytes each time. Test code, single-threaded.
#ifndef RINGTAPE_TESTS_MARKET_TLS_H
#define RINGTAPE_TESTS_MARKET_TLS_H

#include "market_peer.h"
#include "protocol/tls.h"

// ---- market_tls_pem.c ----

extern const char market_tls_root[], market_tls_exchange[], market_tls_exchange_key[],
    market_tls_other[], market_tls_other_key[];

// ---- market_tls.c ----

// From now on the exchange speaks TLS alone, and the library has the world's clock and randomness.
// False: the library has no hooks for them (the distribution's).
bool market_tls_begin(struct market_peer *peer);
// After the world is destroyed. Nothing where it did not begin.
void market_tls_end(struct market_peer *peer);
// A context of a client that trusts the exchange; the caller's.
struct tls_context *market_tls_client(void);

// ---- for market_peer.c alone ----

void market_tls_accepted(struct market_connection *connection);
// Hands what is read of the bytes to `plain`, which may change it, WEBSOCKET_PADDING behind it too.
typedef void market_plain(struct market_connection *connection, uint8_t *bytes, uint32_t size);
void market_tls_received(struct market_connection *connection, const uint8_t *bytes, uint32_t size,
                         market_plain *plain);
void market_tls_push(struct market_connection *connection, const uint8_t *bytes, uint32_t size);
// The last bytes were pushed: says so, or not, as servers do.
void market_tls_farewell(struct market_connection *connection);

#endif
