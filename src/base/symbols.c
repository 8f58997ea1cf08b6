// SPDX-License-Identifier: GPL-3.0-or-later
//
// Contract: see symbols.h. Open addressing with linear probing over a power-of-two table at most
// half full, so that a lookup of a name that is present or absent ends after one or two slots. A
// slot holds the first and last eight bytes of the symbol beside its size and exchange: for symbols
// up to 16 bytes (all but a few) these are the whole name and no second cache line is touched.
#include "base/symbols.h"

#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/event.h"

struct slot {
    uint64_t head;   // bytes of the symbol, see symbol_key()
    uint64_t tail;
    uint32_t symbol; // SYMBOL_NONE: empty
    uint8_t size;
    uint8_t exchange;
};

struct symbols {
    uint32_t count;
    uint32_t count_max;
    uint32_t slot_mask;
    uint32_t exchange_count;
    char exchanges[SYMBOL_EXCHANGES_MAX][SYMBOL_NAME_BYTES_MAX + 1];
    struct symbol_name *names; // [count_max]
    struct slot *slots;        // [slot_mask + 1]
};

// Two words that hold all bytes of a name up to 16 bytes, and its ends otherwise; never reads
// beyond the name.
static inline void symbol_key(const char *name, uint32_t size, uint64_t *head, uint64_t *tail)
{
    uint32_t low = 0, high = 0;
    if (size >= 8) {
        memcpy(head, name, 8);
        memcpy(tail, name + size - 8, 8);
    } else if (size >= 4) {
        memcpy(&low, name, 4);
        memcpy(&high, name + size - 4, 4);
        *head = low;
        *tail = high;
    } else {
        *head = (uint64_t)(uint8_t)name[0] | (uint64_t)(uint8_t)name[size / 2] << 8;
        *tail = (uint8_t)name[size - 1];
    }
}

static inline uint32_t symbol_hash(uint64_t head, uint64_t tail, uint32_t size, uint32_t exchange)
{
    const uint64_t mixed = (head ^ (uint64_t)size << 32 ^ exchange) * 0x9e3779b97f4a7c15ull;
    const uint64_t both = (mixed ^ mixed >> 32 ^ tail) * 0xd6e8feb86659fd93ull;
    return (uint32_t)(both >> 32);
}

struct symbols *symbols_open(uint32_t count_max)
{
    ensure(count_max >= 1);
    ensure(count_max <= 1u << 24);
    uint32_t slot_count = 8;
    while (slot_count < count_max * 2)
        slot_count *= 2;
    struct symbols *symbols = calloc(1, sizeof *symbols);
    if (symbols == NULL)
        return NULL;
    symbols->count_max = count_max;
    symbols->slot_mask = slot_count - 1;
    symbols->names = calloc(count_max, sizeof *symbols->names);
    symbols->slots = calloc(slot_count, sizeof *symbols->slots);
    if (symbols->names == NULL || symbols->slots == NULL) {
        symbols_close(symbols);
        return NULL;
    }
    for (uint32_t i = 0; i < slot_count; i++)
        symbols->slots[i].symbol = SYMBOL_NONE;
    return symbols;
}

void symbols_close(struct symbols *symbols)
{
    if (symbols == NULL)
        return;
    free(symbols->names);
    free(symbols->slots);
    free(symbols);
}

uint32_t symbols_exchange(struct symbols *symbols, const char *exchange)
{
    const size_t size = strlen(exchange);
    ensure(size >= 1);
    ensure(size < SYMBOL_NAME_BYTES_MAX);
    for (uint32_t i = 0; i < symbols->exchange_count; i++)
        if (strcmp(symbols->exchanges[i], exchange) == 0)
            return i;
    if (symbols->exchange_count == SYMBOL_EXCHANGES_MAX)
        return SYMBOL_EXCHANGES_MAX;
    memcpy(symbols->exchanges[symbols->exchange_count], exchange, size + 1);
    return symbols->exchange_count++;
}

static const char *symbol_text(const struct symbol_name *name)
{
    return name->text + name->symbol_offset;
}

// The slot of the name: the one that holds it, or the empty one where it belongs.
static inline struct slot *symbol_slot(const struct symbols *symbols, uint32_t exchange,
                                       const char *name, uint32_t name_size)
{
    uint64_t head, tail;
    symbol_key(name, name_size, &head, &tail);
    uint32_t at = symbol_hash(head, tail, name_size, exchange) & symbols->slot_mask;
    for (;; at = (at + 1) & symbols->slot_mask) {
        struct slot *slot = &symbols->slots[at];
        if (slot->symbol == SYMBOL_NONE)
            return slot;
        if (slot->head != head || slot->tail != tail || slot->size != name_size ||
            slot->exchange != exchange)
            continue;
        if (name_size <= 16 ||
            memcmp(symbol_text(&symbols->names[slot->symbol]), name, name_size) == 0)
            return slot;
    }
}

// Quote and backslash are out too: a name then stands in JSON as it is.
static bool symbol_acceptable(const char *name, uint32_t name_size)
{
    for (uint32_t i = 0; i < name_size; i++)
        if ((uint8_t)name[i] < 0x20 || name[i] == 0x7f || name[i] == '"' || name[i] == '\\')
            return false;
    return name_size > 0;
}

uint32_t symbols_add(struct symbols *symbols, uint32_t exchange, const char *name,
                     uint32_t name_size)
{
    ensure(exchange < symbols->exchange_count);
    const size_t exchange_size = strlen(symbols->exchanges[exchange]);
    if (name_size > SYMBOL_NAME_BYTES_MAX - exchange_size - 1 ||
        !symbol_acceptable(name, name_size))
        return SYMBOL_NONE;
    struct slot *slot = symbol_slot(symbols, exchange, name, name_size);
    if (slot->symbol != SYMBOL_NONE)
        return slot->symbol;
    if (symbols->count == symbols->count_max)
        return SYMBOL_NONE;
    struct symbol_name *entry = &symbols->names[symbols->count];
    memcpy(entry->text, symbols->exchanges[exchange], exchange_size);
    entry->text[exchange_size] = ':';
    memcpy(entry->text + exchange_size + 1, name, name_size);
    entry->symbol_offset = (uint8_t)(exchange_size + 1);
    entry->size = (uint8_t)(exchange_size + 1 + name_size);
    entry->exchange = (uint8_t)exchange;
    symbol_key(name, name_size, &slot->head, &slot->tail);
    slot->symbol = symbols->count;
    slot->size = (uint8_t)name_size;
    slot->exchange = (uint8_t)exchange;
    return symbols->count++;
}

uint32_t symbols_find(const struct symbols *symbols, uint32_t exchange, const char *name,
                      uint32_t name_size)
{
    if (name_size == 0 || name_size > SYMBOL_NAME_BYTES_MAX)
        return SYMBOL_NONE;
    return symbol_slot(symbols, exchange, name, name_size)->symbol;
}

const struct symbol_name *symbols_name(const struct symbols *symbols, uint32_t symbol)
{
    ensure(symbol < symbols->count);
    return &symbols->names[symbol];
}

uint32_t symbols_count(const struct symbols *symbols)
{
    return symbols->count;
}
