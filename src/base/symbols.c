// SPDX-License-Identifier: GPL-3.0-or-later
//
// Contract: see symbols.h. Open addressing with linear probing over a power-of-two table at most
// half full, so that a lookup of a name that is present or absent ends after one or two slots. A
// slot holds the first sixteen bytes of the symbol beside its size and exchange: of all but a few
// this is the whole name and no second cache line is touched. An empty slot is zeros, as memory
// comes from the kernel: what is never used is never touched.
#include "base/symbols.h"

#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/event.h"

// The first sixteen bytes of a name, zeros behind it.
static inline void symbol_key(const char *name, uint32_t size, uint64_t *head, uint64_t *tail)
{
    char bytes[SYMBOL_PADDED_BYTES] = {0};
    memcpy(bytes, name, size < sizeof bytes ? size : sizeof bytes);
    memcpy(head, bytes, 8);
    memcpy(tail, bytes + 8, 8);
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
static inline struct symbol_slot *symbol_slot(const struct symbols *symbols, uint32_t exchange,
                                       const char *name, uint32_t name_size)
{
    uint64_t head, tail;
    symbol_key(name, name_size, &head, &tail);
    const uint32_t kind = symbol_kind(exchange, name_size);
    uint32_t at = symbol_hash(head, tail, kind) & symbols->slot_mask;
    for (;; at = (at + 1) & symbols->slot_mask) {
        struct symbol_slot *slot = &symbols->slots[at];
        if (slot->kind == 0)
            return slot;
        if (slot->head != head || slot->tail != tail || slot->kind != kind)
            continue;
        if (name_size <= SYMBOL_PADDED_BYTES ||
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
    struct symbol_slot *slot = symbol_slot(symbols, exchange, name, name_size);
    if (slot->kind != 0)
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
    slot->kind = symbol_kind(exchange, name_size);
    return symbols->count++;
}

uint32_t symbols_find(const struct symbols *symbols, uint32_t exchange, const char *name,
                      uint32_t name_size)
{
    if (name_size == 0 || name_size > SYMBOL_NAME_BYTES_MAX)
        return SYMBOL_NONE;
    const struct symbol_slot *slot = symbol_slot(symbols, exchange, name, name_size);
    return slot->kind != 0 ? slot->symbol : SYMBOL_NONE;
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
