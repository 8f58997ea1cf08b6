// SPDX-License-Identifier: GPL-3.0-or-later
//
// Bytes head .. head + size - 1, modulo capacity. An empty ring begins anew at 0, so that output is
// one piece where it can be.
#include "protocol/tls_ring.h"

#include "format/ensure.h"
#include <string.h>

uint32_t tls_ring_append(struct tls_ring *ring, const uint8_t *data, uint32_t size)
{
    ensure(ring->size <= ring->capacity && ring->head < ring->capacity);
    uint32_t space = tls_ring_space(ring);
    uint32_t count = size < space ? size : space;
    uint32_t tail = (uint32_t)(((uint64_t)ring->head + ring->size) % ring->capacity);
    uint32_t first = ring->capacity - tail < count ? ring->capacity - tail : count;
    if (first > 0)
        memcpy(ring->data + tail, data, first);
    if (count > first)
        memcpy(ring->data, data + first, count - first);
    ring->size += count;
    return count;
}

void tls_ring_peek(const struct tls_ring *ring, const uint8_t **data, uint32_t *size)
{
    ensure(ring->head < ring->capacity);
    uint32_t first = ring->capacity - ring->head;
    *data = ring->data + ring->head;
    *size = ring->size < first ? ring->size : first;
}

void tls_ring_take(struct tls_ring *ring, uint32_t size)
{
    ensure(size <= ring->size);
    ring->size -= size;
    ring->head = (uint32_t)(((uint64_t)ring->head + size) % ring->capacity);
    if (ring->size == 0)
        ring->head = 0;
}

void tls_ring_clear(struct tls_ring *ring)
{
    ring->head = 0;
    ring->size = 0;
}
