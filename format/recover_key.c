// SPDX-License-Identifier: Apache-2.0
//
// Open addressing with linear probing, at most two thirds full.
#include "format/recover_key.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"

enum { SET_ROOM_MIN = 1024 };

struct recover_keyer {
    XXH3_state_t *state;
    struct event event;
    struct event_level levels[EVENT_LEVELS_MAX];
};

struct recover_keyer *recover_keyer_open(void)
{
    struct recover_keyer *keyer = calloc(1, sizeof *keyer);
    if (keyer)
        keyer->state = XXH3_createState();
    if (keyer && !keyer->state) {
        free(keyer);
        return NULL;
    }
    return keyer;
}

void recover_keyer_close(struct recover_keyer *keyer)
{
    if (!keyer)
        return;
    (void)XXH3_freeState(keyer->state);
    free(keyer);
}

static void key_bytes(struct recover_keyer *keyer, const void *bytes, size_t size)
{
    ensure(XXH3_128bits_update(keyer->state, bytes, size) == XXH_OK);
}

static void key_number(struct recover_keyer *keyer, uint64_t value)
{
    key_bytes(keyer, &value, sizeof value);
}

// The same for all spellings of one number.
static void key_decimal(struct recover_keyer *keyer, int64_t mantissa, uint8_t scale)
{
    while (scale > 0 && mantissa % 10 == 0) {
        mantissa /= 10;
        scale--;
    }
    key_number(keyer, (uint64_t)mantissa);
    key_number(keyer, scale);
}

static void key_text(struct recover_keyer *keyer, struct event_text text)
{
    key_number(keyer, text.size);
    key_bytes(keyer, text.bytes, text.size);
}

static void key_event(struct recover_keyer *keyer)
{
    const struct event *event = &keyer->event;
    const struct channel_schema *schema = channel_schema(event->channel);
    key_number(keyer, event->present);
    for (int c = 0; c < schema->column_count; c++) {
        if (!event_has(event, c))
            continue;
        if (schema->columns[c].type == COLUMN_TEXT)
            key_text(keyer, event_text(event, c));
        else if (schema->columns[c].type == COLUMN_DECIMAL)
            key_decimal(keyer, event->value[c], event->scale[c]);
        else
            key_number(keyer, (uint64_t)event->value[c]);
    }
    key_number(keyer, event->level_count);
    for (uint32_t i = 0; i < event->level_count; i++) {
        const struct event_level *level = &event->levels[i];
        key_decimal(keyer, level->price, level->price_scale);
        key_decimal(keyer, level->quantity, level->quantity_scale);
        key_number(keyer, level->side);
    }
}

struct recover_key recover_key(struct recover_keyer *keyer, const struct rows *rows, uint32_t row,
                               struct event_text symbol, uint32_t tape, uint64_t tape_row)
{
    ensure(row < rows->count);
    ensure(XXH3_128bits_reset(keyer->state) == XXH_OK);
    key_number(keyer, rows->schema->channel);
    bool place = rows->schema->identity_count == 0 && tape != 0;
    key_number(keyer, place);
    if (place) {
        key_number(keyer, tape);
        key_number(keyer, tape_row);
    } else {
        key_text(keyer, symbol);
        rows_get(rows, row, &keyer->event, keyer->levels);
        key_event(keyer);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(keyer->state);
    return (struct recover_key){.low = hash.low64 | 1, .high = hash.high64}; // never 0 0
}

// ---- sets ----

static struct recover_slot *set_slot(const struct recover_set *set, struct recover_key key)
{
    uint64_t at = (key.high ^ key.low >> 1) & (set->room - 1);
    for (;; at = (at + 1) & (set->room - 1)) {
        struct recover_slot *slot = &set->slots[at];
        if (slot->key.low == 0 || (slot->key.low == key.low && slot->key.high == key.high))
            return slot;
    }
}

static bool set_grow(struct recover_set *set)
{
    struct recover_set larger = {.room = set->room ? 2 * set->room : SET_ROOM_MIN,
                                 .count = set->count};
    larger.slots = calloc(larger.room, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (uint64_t i = 0; i < set->room; i++) {
        if (set->slots[i].key.low != 0)
            *set_slot(&larger, set->slots[i].key) = set->slots[i];
    }
    free(set->slots);
    *set = larger;
    return true;
}

struct recover_slot *recover_set_put(struct recover_set *set, struct recover_key key,
                                     uint32_t value, bool *added)
{
    ensure(key.low != 0);
    if (set->count * 3 >= set->room * 2 && !set_grow(set))
        return NULL;
    struct recover_slot *slot = set_slot(set, key);
    *added = slot->key.low == 0;
    if (*added) {
        *slot = (struct recover_slot){.key = key, .value = value};
        set->count++;
    }
    return slot;
}

struct recover_slot *recover_set_find(const struct recover_set *set, struct recover_key key)
{
    if (set->count == 0)
        return NULL;
    struct recover_slot *slot = set_slot(set, key);
    return slot->key.low != 0 ? slot : NULL;
}

void recover_set_clear(struct recover_set *set)
{
    if (set->count > 0)
        memset(set->slots, 0, set->room * sizeof *set->slots);
    set->count = 0;
}

void recover_set_free(struct recover_set *set)
{
    free(set->slots);
    *set = (struct recover_set){0};
}
