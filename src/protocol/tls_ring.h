// SPDX-License-Identifier: GPL-3.0-or-later
//
// A bounded queue of bytes in one block of memory: appended behind, taken in front, never moved, so
// that what is handed to the kernel stays where it is while more is appended. One owner.
#ifndef RINGTAPE_PROTOCOL_TLS_RING_H
#define RINGTAPE_PROTOCOL_TLS_RING_H

#include <stdint.h>

struct tls_ring {
    uint8_t *data; // the owner's
    uint32_t capacity;
    uint32_t head;
    uint32_t size;
};

static inline uint32_t tls_ring_space(const struct tls_ring *ring)
{
    return ring->capacity - ring->size;
}

// Appends as much as fits; returns how much.
uint32_t tls_ring_append(struct tls_ring *ring, const uint8_t *data, uint32_t size);

// The first piece that lies in one stretch: all of it, unless it wraps.
void tls_ring_peek(const struct tls_ring *ring, const uint8_t **data, uint32_t *size);
void tls_ring_take(struct tls_ring *ring, uint32_t size);
void tls_ring_clear(struct tls_ring *ring);

#endif
