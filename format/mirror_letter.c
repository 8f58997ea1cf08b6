// SPDX-License-Identifier: Apache-2.0
//
// mirror_letter: see mirror_letter.h. Header of 64 bytes, little endian:
//
//     0 magic   8 hash of all behind it   16 bytes of the letter   20 channel   22 format
//     24 time_ms   32 refused_ns   40 row   48 tape   52 key   54 identity   56 cause
//     58 zero   60 value (sizes)
#include "format/mirror_letter.h"

#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"

#define LETTER_MAGIC 0x31726574656c7472ull // "rtleter1"

struct letter_header {
    uint64_t magic;
    uint64_t hash;
    uint32_t bytes;
    uint16_t channel;
    uint16_t format;
    int64_t time_ms;
    int64_t refused_ns;
    uint64_t row;
    uint32_t tape;
    uint16_t key_size;
    uint16_t identity_size;
    uint16_t cause_size;
    uint16_t zero;
    uint32_t value_size;
};
_Static_assert(sizeof(struct letter_header) == MIRROR_LETTER_HEADER_BYTES, "as on disk");

size_t mirror_letter_bytes(const struct mirror_letter *letter)
{
    size_t bytes = MIRROR_LETTER_HEADER_BYTES + (size_t)letter->key.size + letter->identity.size +
                   letter->cause.size + letter->value.size;
    return (bytes + 7) & ~(size_t)7;
}

static uint8_t *put(uint8_t *out, struct event_text text)
{
    if (text.size > 0) memcpy(out, text.bytes, text.size);
    return out + text.size;
}

void mirror_letter_write(const struct mirror_letter *letter, void *out)
{
    size_t bytes = mirror_letter_bytes(letter);
    ensure(bytes <= MIRROR_LETTER_BYTES_MAX);
    ensure(letter->key.size <= UINT16_MAX && letter->identity.size <= UINT16_MAX &&
           letter->cause.size <= UINT16_MAX);
    struct letter_header header = {.magic = LETTER_MAGIC,
                                   .bytes = (uint32_t)bytes,
                                   .channel = (uint16_t)letter->channel,
                                   .format = letter->format,
                                   .time_ms = letter->time_ms,
                                   .refused_ns = letter->refused_ns,
                                   .row = letter->row,
                                   .tape = letter->tape,
                                   .key_size = (uint16_t)letter->key.size,
                                   .identity_size = (uint16_t)letter->identity.size,
                                   .cause_size = (uint16_t)letter->cause.size,
                                   .value_size = letter->value.size};
    uint8_t *at = (uint8_t *)out + sizeof header;
    at = put(put(put(put(at, letter->key), letter->identity), letter->cause), letter->value);
    memset(at, 0, (size_t)((uint8_t *)out + bytes - at));
    memcpy(out, &header, sizeof header);
    header.hash = XXH3_64bits((uint8_t *)out + 16, bytes - 16);
    memcpy(out, &header, sizeof header);
}

static const uint8_t *take(const uint8_t *at, uint32_t size, struct event_text *text)
{
    *text = (struct event_text){at, size};
    return at + size;
}

size_t mirror_letter_read(struct mirror_letter *letter, const void *bytes, size_t size)
{
    struct letter_header header;
    if (size < sizeof header) return 0;
    memcpy(&header, bytes, sizeof header);
    if (header.magic != LETTER_MAGIC || header.bytes > size || header.bytes < sizeof header ||
        header.hash != XXH3_64bits((const uint8_t *)bytes + 16, header.bytes - 16))
        return 0;
    *letter = (struct mirror_letter){.channel = header.channel,
                                     .format = header.format,
                                     .time_ms = header.time_ms,
                                     .refused_ns = header.refused_ns,
                                     .tape = header.tape,
                                     .row = header.row};
    const uint8_t *at = (const uint8_t *)bytes + sizeof header;
    at = take(at, header.key_size, &letter->key);
    at = take(at, header.identity_size, &letter->identity);
    at = take(at, header.cause_size, &letter->cause);
    (void)take(at, header.value_size, &letter->value);
    return mirror_letter_bytes(letter) == header.bytes ? header.bytes : 0;
}
