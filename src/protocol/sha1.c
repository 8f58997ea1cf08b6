// SPDX-License-Identifier: GPL-3.0-or-later
//
// SHA-1 by FIPS 180-4 sections 5.1.1, 6.1.2. Speed does not matter: one block or two a connection.
#include "protocol/sha1.h"

#include "format/ensure.h"
#include <string.h>

#define BLOCK_SIZE 64

static uint32_t rotate_left(uint32_t value, uint32_t count)
{
    ensure(count > 0 && count < 32);
    return value << count | value >> (32 - count);
}

// Function and constant of round t (section 4.1.1, 4.2.1).
static uint32_t mix(uint32_t t, uint32_t b, uint32_t c, uint32_t d)
{
    if (t < 20)
        return ((b & c) | (~b & d)) + 0x5a827999u;
    if (t < 40)
        return (b ^ c ^ d) + 0x6ed9eba1u;
    if (t < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcu;
    return (b ^ c ^ d) + 0xca62c1d6u;
}

static void take_block(uint32_t state[5], const uint8_t block[BLOCK_SIZE])
{
    uint32_t schedule[80];
    for (uint32_t t = 0; t < 16; t++)
        schedule[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
                      (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
    for (uint32_t t = 16; t < 80; t++)
        schedule[t] = rotate_left(
            schedule[t - 3] ^ schedule[t - 8] ^ schedule[t - 14] ^ schedule[t - 16], 1);
    uint32_t v[5];
    memcpy(v, state, sizeof v);
    for (uint32_t t = 0; t < 80; t++) {
        uint32_t next = rotate_left(v[0], 5) + mix(t, v[1], v[2], v[3]) + v[4] + schedule[t];
        v[4] = v[3];
        v[3] = v[2];
        v[2] = rotate_left(v[1], 30);
        v[1] = v[0];
        v[0] = next;
    }
    for (int i = 0; i < 5; i++)
        state[i] += v[i];
}

void sha1(const uint8_t *data, size_t size, uint8_t digest[SHA1_SIZE])
{
    ensure(data != NULL || size == 0);
    uint32_t state[5] = {0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u, 0xc3d2e1f0u};
    size_t whole = size / BLOCK_SIZE * BLOCK_SIZE;
    for (size_t at = 0; at < whole; at += BLOCK_SIZE)
        take_block(state, data + at);
    // The rest, a one bit, zeros, and the length in bits: one block or two.
    uint8_t last[2 * BLOCK_SIZE] = {0};
    size_t rest = size - whole;
    if (rest > 0)
        memcpy(last, data + whole, rest);
    last[rest] = 0x80;
    size_t last_size = rest + 9 <= BLOCK_SIZE ? BLOCK_SIZE : 2 * BLOCK_SIZE;
    for (size_t i = 0; i < 8; i++)
        last[last_size - 1 - i] = (uint8_t)((uint64_t)size * 8 >> (8 * i));
    for (size_t at = 0; at < last_size; at += BLOCK_SIZE)
        take_block(state, last + at);
    for (size_t i = 0; i < SHA1_SIZE; i++)
        digest[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}
