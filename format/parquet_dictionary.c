// SPDX-License-Identifier: Apache-2.0
//
// At most half of the slots are used; the table grows by four. All memory is there from the
// beginning, and what is not reached costs nothing.
#include "format/parquet_dictionary.h"

#include "format/ensure.h"
#include "format/parquet_encode.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOT_BITS_MIN = 11,
    SLOT_BITS_MAX = 17,
    SLOT_BITS_STEP = 2,
};

_Static_assert(1u << SLOT_BITS_MAX == 2 * PARQUET_DICTIONARY_VALUES_MAX, "half of them are used");

static size_t parquet_dictionary_value_bytes(enum parquet_dictionary_kind kind)
{
    return kind == PARQUET_DICTIONARY_INT64 ? 8 : kind == PARQUET_DICTIONARY_INT128 ? 16 : 4;
}

int parquet_dictionary_open(struct parquet_dictionary *d, enum parquet_dictionary_kind kind)
{
    d->kind = kind;
    d->slots = malloc(sizeof d->slots[0] << SLOT_BITS_MAX);
    d->values = malloc(PARQUET_DICTIONARY_VALUES_MAX * parquet_dictionary_value_bytes(kind));
    if (d->slots == NULL || d->values == NULL) return -ENOMEM;
    if (kind == PARQUET_DICTIONARY_TEXT) d->text = malloc(PARQUET_DICTIONARY_TEXT_BYTES);
    if (kind == PARQUET_DICTIONARY_TEXT && d->text == NULL) return -ENOMEM;
    parquet_dictionary_clear(d);
    return 0;
}

void parquet_dictionary_close(struct parquet_dictionary *d)
{
    free(d->slots);
    free(d->values);
    free(d->text);
}

void parquet_dictionary_clear(struct parquet_dictionary *d)
{
    d->bits = SLOT_BITS_MIN;
    d->count = 0;
    memset(d->slots, 0, sizeof d->slots[0] << d->bits);
}

// ---- hashes ----

static uint64_t parquet_dictionary_mix(uint64_t value)
{
    // The high half of a product with an odd number without pattern (2^64 / golden ratio).
    return value * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t parquet_dictionary_hash_int128(__int128 value)
{
    const unsigned __int128 bits = (unsigned __int128)value;
    return parquet_dictionary_mix((uint64_t)bits ^ parquet_dictionary_mix((uint64_t)(bits >> 64)));
}

static uint64_t parquet_dictionary_hash_text(const uint8_t *text, uint32_t size)
{
    uint64_t hash = size, part;
    for (; size >= 8; size -= 8, text += 8) {
        memcpy(&part, text, 8);
        hash = parquet_dictionary_mix(hash ^ part);
        hash ^= hash >> 32;
    }
    part = 0;
    if (size > 0) memcpy(&part, text, size);
    return parquet_dictionary_mix(hash ^ part);
}

static const uint8_t *parquet_dictionary_text_at(const struct parquet_dictionary *d,
                                                 uint32_t place, uint32_t *size)
{
    const uint32_t begin = place > 0 ? d->text_end[place - 1] : 0;
    *size = d->text_end[place] - begin;
    return d->text + begin;
}

static uint64_t parquet_dictionary_hash_at(const struct parquet_dictionary *d, uint32_t place)
{
    uint32_t size;
    if (d->kind == PARQUET_DICTIONARY_INT64)
        return parquet_dictionary_mix((uint64_t)d->int64[place]);
    if (d->kind == PARQUET_DICTIONARY_INT128)
        return parquet_dictionary_hash_int128(d->int128[place]);
    const uint8_t *text = parquet_dictionary_text_at(d, place, &size);
    return parquet_dictionary_hash_text(text, size);
}

// ---- slots ----

static uint32_t parquet_dictionary_slot(const struct parquet_dictionary *d, uint64_t hash)
{
    return (uint32_t)(hash >> (64 - d->bits));
}

static void parquet_dictionary_grow(struct parquet_dictionary *d)
{
    d->bits += SLOT_BITS_STEP;
    ensure(d->bits <= SLOT_BITS_MAX);
    const uint32_t mask = (1u << d->bits) - 1;
    memset(d->slots, 0, sizeof d->slots[0] << d->bits);
    for (uint32_t place = 0; place < d->count; place++) {
        uint32_t slot = parquet_dictionary_slot(d, parquet_dictionary_hash_at(d, place));
        while (d->slots[slot] != 0) slot = (slot + 1) & mask;
        d->slots[slot] = place + 1;
    }
}

// A slot for one more value, the free one `slot` if the table stays as it is: false if there is no
// place left.
static bool parquet_dictionary_room(struct parquet_dictionary *d, uint64_t hash, uint32_t *slot)
{
    if (d->count == PARQUET_DICTIONARY_VALUES_MAX) return false;
    if (2 * d->count < 1u << d->bits) return true;
    parquet_dictionary_grow(d);
    *slot = parquet_dictionary_slot(d, hash);
    while (d->slots[*slot] != 0) *slot = (*slot + 1) & ((1u << d->bits) - 1);
    return true;
}

// ---- values to places ----

bool parquet_dictionary_int64(struct parquet_dictionary *d, const int64_t *values, uint32_t count,
                              uint32_t *places)
{
    ensure(d->kind == PARQUET_DICTIONARY_INT64);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t hash = parquet_dictionary_mix((uint64_t)values[i]);
        uint32_t slot = parquet_dictionary_slot(d, hash), place;
        while ((place = d->slots[slot]) != 0 && d->int64[place - 1] != values[i])
            slot = (slot + 1) & ((1u << d->bits) - 1);
        if (place == 0) {
            if (!parquet_dictionary_room(d, hash, &slot)) return false;
            d->int64[d->count++] = values[i];
            d->slots[slot] = place = d->count;
        }
        places[i] = place - 1;
    }
    return true;
}

bool parquet_dictionary_int128(struct parquet_dictionary *d, const __int128 *values,
                               uint32_t count, uint32_t *places)
{
    ensure(d->kind == PARQUET_DICTIONARY_INT128);
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t hash = parquet_dictionary_hash_int128(values[i]);
        uint32_t slot = parquet_dictionary_slot(d, hash), place;
        while ((place = d->slots[slot]) != 0 && d->int128[place - 1] != values[i])
            slot = (slot + 1) & ((1u << d->bits) - 1);
        if (place == 0) {
            if (!parquet_dictionary_room(d, hash, &slot)) return false;
            d->int128[d->count++] = values[i];
            d->slots[slot] = place = d->count;
        }
        places[i] = place - 1;
    }
    return true;
}

static bool parquet_dictionary_is_text(const struct parquet_dictionary *d, uint32_t place,
                                       const uint8_t *text, uint32_t size)
{
    uint32_t known_size;
    const uint8_t *known = parquet_dictionary_text_at(d, place, &known_size);
    return known_size == size && (size == 0 || memcmp(known, text, size) == 0);
}

static bool parquet_dictionary_add_text(struct parquet_dictionary *d, uint64_t hash, uint32_t slot,
                                        const uint8_t *text, uint32_t size)
{
    const uint32_t used = d->count > 0 ? d->text_end[d->count - 1] : 0;
    if (size > PARQUET_DICTIONARY_TEXT_MAX || size > PARQUET_DICTIONARY_TEXT_BYTES - used)
        return false;
    if (!parquet_dictionary_room(d, hash, &slot)) return false;
    if (size > 0) memcpy(d->text + used, text, size);
    d->text_end[d->count++] = used + size;
    d->slots[slot] = d->count;
    return true;
}

bool parquet_dictionary_texts(struct parquet_dictionary *d, const uint8_t *text, uint32_t begin,
                              const uint32_t *end, uint32_t count, uint32_t *places)
{
    ensure(d->kind == PARQUET_DICTIONARY_TEXT);
    for (uint32_t i = 0; i < count; begin = end[i++]) {
        const uint32_t size = end[i] - begin;
        const uint64_t hash = parquet_dictionary_hash_text(text + begin, size);
        uint32_t slot = parquet_dictionary_slot(d, hash), place;
        while ((place = d->slots[slot]) != 0 &&
               !parquet_dictionary_is_text(d, place - 1, text + begin, size))
            slot = (slot + 1) & ((1u << d->bits) - 1);
        if (place == 0) {
            if (!parquet_dictionary_add_text(d, hash, slot, text + begin, size)) return false;
            place = d->count;
        }
        places[i] = place - 1;
    }
    return true;
}

// ---- the page ----

size_t parquet_dictionary_bytes(const struct parquet_dictionary *d)
{
    if (d->kind != PARQUET_DICTIONARY_TEXT)
        return d->count * parquet_dictionary_value_bytes(d->kind);
    return (size_t)d->count * 4 + (d->count > 0 ? d->text_end[d->count - 1] : 0);
}

size_t parquet_dictionary_bytes_max(enum parquet_dictionary_kind kind)
{
    return PARQUET_DICTIONARY_VALUES_MAX * parquet_dictionary_value_bytes(kind) +
           (kind == PARQUET_DICTIONARY_TEXT ? PARQUET_DICTIONARY_TEXT_BYTES : 0);
}

size_t parquet_dictionary_encode(const struct parquet_dictionary *d, uint8_t *out)
{
    const size_t size = parquet_dictionary_bytes(d);
    if (d->kind == PARQUET_DICTIONARY_TEXT)
        ensure(parquet_encode_texts(d->text, d->text_end, d->count, out) == size);
    else if (d->kind == PARQUET_DICTIONARY_INT128)
        ensure(parquet_encode_decimals(d->int128, d->count, out) == size);
    else
        memcpy(out, d->int64, size);
    return size;
}
