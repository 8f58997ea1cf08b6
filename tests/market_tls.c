// SPDX-License-Identifier: GPL-3.0-or-later
//
// market_tls: see market_tls.h.
#include "market_tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/ensure.h"

enum { OUTPUT_BYTES = 1 << 16 };

static struct sim_world *market_world; // whose clock and randomness the library has

static int64_t market_tls_clock(void)
{
    return sim_world_utc_ns(market_world);
}

static void market_tls_random(void *target, size_t size)
{
    uint8_t *bytes = target;
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)sim_world_random(market_world, 256);
}

// ---- contexts ----

// A file that the library can read: its name.
static int text_file(const char *text, char name[static 32])
{
    const int file = memfd_create("pem", 0);
    const size_t size = strlen(text);
    ensure(file >= 0 && write(file, text, size) == (ssize_t)size);
    (void)snprintf(name, 32, "/proc/self/fd/%d", file);
    return file;
}

static struct tls_context *context_of(struct tls_options options, const char *certificate,
                                      const char *key)
{
    char names[2][32];
    struct tls_failure failure;
    const int files[2] = {text_file(certificate, names[0]), text_file(key, names[1])};
    options.ca_file = options.role == TLS_CLIENT ? names[0] : NULL;
    options.certificate_file = options.role == TLS_SERVER ? names[0] : NULL;
    options.key_file = options.role == TLS_SERVER ? names[1] : NULL;
    struct tls_context *context = tls_context_create(&options, &failure);
    ensure(context != NULL);
    (void)close(files[0]);
    (void)close(files[1]);
    return context;
}

struct tls_context *market_tls_client(void)
{
    return context_of((struct tls_options){.role = TLS_CLIENT}, market_tls_root, "");
}

bool market_tls_begin(struct market_peer *peer)
{
    market_world = peer->world;
    if (!tls_set_clock(market_tls_clock) || !tls_set_random(market_tls_random)) return false;
    const struct tls_options server = {.role = TLS_SERVER};
    peer->tls = context_of(server, market_tls_exchange, market_tls_exchange_key);
    peer->tls_other = context_of(server, market_tls_other, market_tls_other_key);
    return true;
}

void market_tls_end(struct market_peer *peer)
{
    if (peer->tls == NULL) return;
    for (uint32_t i = 0; i < MARKET_CONNECTIONS; i++) tls_destroy(peer->connection[i].tls);
    tls_context_destroy(peer->tls);
    tls_context_destroy(peer->tls_other);
    ensure(tls_set_clock(NULL) && tls_set_random(NULL));
}

// ---- connections ----

void market_tls_accepted(struct market_connection *connection)
{
    struct market_peer *peer = connection->peer;
    tls_destroy(connection->tls); // of who was there before, perhaps of the other certificate
    connection->tls = tls_create(peer->other_certificate ? peer->tls_other : peer->tls,
                                 OUTPUT_BYTES);
    ensure(connection->tls != NULL);
    ensure(tls_start(connection->tls, NULL) == TLS_WANT_INPUT);
}

// What the library has for the client goes out, now and then with a wrong byte.
static void tls_flush(struct market_connection *connection)
{
    static uint8_t copy[OUTPUT_BYTES];
    const uint8_t *bytes;
    uint32_t size;
    for (tls_output(connection->tls, &bytes, &size); size > 0 && !connection->closing;
         tls_output(connection->tls, &bytes, &size)) {
        memcpy(copy, bytes, size);
        if (market_chance(connection->peer, &connection->peer->faults.garbled))
            copy[sim_world_random(connection->peer->world, size)] ^= 1;
        if (!market_raw(connection, copy, size)) market_hang_up(connection);
        tls_output_taken(connection->tls, size);
    }
}

void market_tls_received(struct market_connection *connection, const uint8_t *bytes, uint32_t size,
                         market_plain *plain)
{
    static uint8_t text[TLS_READ_SIZE + WEBSOCKET_PADDING];
    tls_feed(connection->tls, bytes, size);
    while (!connection->closing) {
        const int32_t result = tls_read(connection->tls, text, TLS_READ_SIZE);
        if (result > 0) plain(connection, text, (uint32_t)result);
        if (!connection->closing) tls_flush(connection);
        if (result == TLS_WANT_INPUT) return;
        if (result < 0 && result != TLS_WANT_OUTPUT && !connection->closing)
            market_hang_up(connection);
    }
}

void market_tls_push(struct market_connection *connection, const uint8_t *bytes, uint32_t size)
{
    struct market_peer *peer = connection->peer;
    if (market_chance(peer, &peer->faults.rekeyed)) (void)tls_update_keys(connection->tls);
    for (uint32_t at = 0; at < size && !connection->closing;) {
        const uint32_t left = size - at;
        const uint32_t piece = left < TLS_RECORD_SIZE_MAX ? left : TLS_RECORD_SIZE_MAX;
        if (tls_write(connection->tls, bytes + at, piece) != (int32_t)piece) {
            market_hang_up(connection); // the client has said farewell
            return;
        }
        at += piece;
        tls_flush(connection);
    }
}

void market_tls_farewell(struct market_connection *connection)
{
    if (connection->closing || sim_world_random(connection->peer->world, 2) == 0) return;
    tls_close(connection->tls);
    tls_flush(connection);
}
