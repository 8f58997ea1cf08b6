// SPDX-License-Identifier: GPL-3.0-or-later
//
// A text is a sequence of (table 3-7 of the Unicode standard)
//     00..7F
//     C2..DF 80..BF
//     E0 A0..BF 80..BF | E1..EC, EE..EF 80..BF 80..BF | ED 80..9F 80..BF
//     F0 90..BF 80..BF 80..BF | F1..F3 80..BF x3 | F4 80..8F 80..BF 80..BF
// so a state needs only the count of bytes to come and the bounds of the next one.
#include "protocol/utf8.h"

#include "format/ensure.h"
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#define HIGH_BITS 0x8080808080808080u

// Begins a character above 0x7f; false if the byte begins none.
static bool utf8_begin(struct utf8_state *state, uint8_t byte)
{
    ensure(byte >= 0x80 && state->remaining == 0);
    state->lower = 0x80;
    state->upper = 0xbf;
    if (byte >= 0xc2 && byte <= 0xdf) {
        state->remaining = 1;
    } else if (byte >= 0xe0 && byte <= 0xef) {
        state->remaining = 2;
        if (byte == 0xe0)
            state->lower = 0xa0;
        if (byte == 0xed)
            state->upper = 0x9f;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        state->remaining = 3;
        if (byte == 0xf0)
            state->lower = 0x90;
        if (byte == 0xf4)
            state->upper = 0x8f;
    } else {
        return false;
    }
    return true;
}

static bool utf8_step(struct utf8_state *state, uint8_t byte)
{
    if (state->remaining == 0)
        return byte < 0x80 || utf8_begin(state, byte);
    if (byte < state->lower || byte > state->upper)
        return false;
    state->remaining--;
    state->lower = 0x80;
    state->upper = 0xbf;
    return true;
}

// How many bytes from `at` on are ASCII, in steps of eight.
static size_t ascii_run(const uint8_t *data, size_t at, size_t size)
{
    size_t begin = at;
    for (; size - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, sizeof word);
        if (word & HIGH_BITS)
            break;
    }
    return at - begin;
}

bool utf8_feed(struct utf8_state *state, const uint8_t *data, size_t size)
{
    ensure(state->remaining <= 3);
    if (state->remaining == 0 && utf8_ascii(data, size))
        return true;
    size_t at = 0;
    while (at < size) {
        if (state->remaining == 0)
            at += ascii_run(data, at, size);
        if (at < size && !utf8_step(state, data[at++]))
            return false;
    }
    return true;
}

bool utf8_valid(const uint8_t *data, size_t size)
{
    struct utf8_state state = {0};
    return utf8_feed(&state, data, size) && utf8_complete(&state);
}

bool utf8_ascii_reference(const uint8_t *data, size_t size)
{
    uint8_t all = 0;
    for (size_t i = 0; i < size; i++)
        all |= data[i];
    return all < 0x80;
}

// Below 32 bytes: two loads that overlap in the middle.
static bool ascii_small(const uint8_t *data, size_t size)
{
    ensure(size < 32);
    uint64_t words[4] = {0};
    if (size >= 16) {
        memcpy(&words[0], data, 16);
        memcpy(&words[2], data + size - 16, 16);
    } else if (size >= 8) {
        memcpy(&words[0], data, 8);
        memcpy(&words[1], data + size - 8, 8);
    } else {
        return utf8_ascii_reference(data, size);
    }
    return ((words[0] | words[1] | words[2] | words[3]) & HIGH_BITS) == 0;
}

#ifdef __AVX2__
bool utf8_ascii(const uint8_t *data, size_t size)
{
    if (size < 32)
        return ascii_small(data, size);
    // The last load overlaps the one before: no byte outside the text is read, no tail is left.
    __m256i all = _mm256_loadu_si256((const __m256i_u *)(data + size - 32));
    size_t at = 0;
    for (; size - at >= 128; at += 128) {
        const __m256i_u *block = (const __m256i_u *)(data + at);
        __m256i low = _mm256_or_si256(_mm256_loadu_si256(block), _mm256_loadu_si256(block + 1));
        __m256i high =
            _mm256_or_si256(_mm256_loadu_si256(block + 2), _mm256_loadu_si256(block + 3));
        all = _mm256_or_si256(all, _mm256_or_si256(low, high));
    }
    for (; size - at > 32; at += 32)
        all = _mm256_or_si256(all, _mm256_loadu_si256((const __m256i_u *)(data + at)));
    return _mm256_movemask_epi8(all) == 0;
}
#else
bool utf8_ascii(const uint8_t *data, size_t size)
{
    if (size < 32)
        return ascii_small(data, size);
    size_t whole = size - size % 8;
    return ascii_run(data, 0, whole) == whole && ascii_small(data + size - 8, 8);
}
#endif
