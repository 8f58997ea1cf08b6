// SPDX-License-Identifier: GPL-3.0-or-later
//
// symbols: the names of all instruments of a shard and their numbers.
//
// A symbol is known by its exchange and the exchange's own spelling ("BTCUSDT", "KRW-BTC"). Numbers
// are dense from 0 in order of adding and never reused while the process lives. The full name
// "exchange:SYMBOL" is what tapes, segments and Kafka keys carry.
//
// Lookup is by the bytes as they stand in a message: one hash and, as a rule, one compare.
// Ownership: memory is allocated in symbols_open(). Threading: a shard has its own table and shares
// nothing.
#ifndef RINGTAPE_BASE_SYMBOLS_H
#define RINGTAPE_BASE_SYMBOLS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum {
    SYMBOL_NAME_BYTES_MAX = 63, // exchange, colon and symbol
    SYMBOL_EXCHANGES_MAX = 16,
    SYMBOL_PADDED_BYTES = 16, // a longer name is compared as a whole
};

struct symbol_name { // "binance:BTCUSDT" and where the symbol begins in it
    uint8_t size;
    uint8_t symbol_offset;
    uint8_t exchange;
    char text[SYMBOL_NAME_BYTES_MAX + 1];
};

// Transparent for symbols_find_padded() alone.
struct symbol_slot {
    uint64_t head;   // the symbol's first eight bytes, zeros behind them
    uint64_t tail;   // the next eight
    uint32_t symbol;
    uint32_t kind;   // symbol_kind(); 0: empty
};

struct symbols {
    uint32_t count;
    uint32_t count_max;
    uint32_t slot_mask;
    uint32_t exchange_count;
    char exchanges[SYMBOL_EXCHANGES_MAX][SYMBOL_NAME_BYTES_MAX + 1];
    struct symbol_name *names; // [count_max]
    struct symbol_slot *slots; // [slot_mask + 1]
};

// NULL when out of memory.
struct symbols *symbols_open(uint32_t count_max);
void symbols_close(struct symbols *symbols);
// The table's number of an exchange name, added if new; SYMBOL_EXCHANGES_MAX when full.
uint32_t symbols_exchange(struct symbols *symbols, const char *exchange);
// The number of `name` at the exchange, added if new; SYMBOL_NONE (format/event.h) when the table
// is full or the name is empty, too long, or holds a control character, a quote or a backslash.
uint32_t symbols_add(struct symbols *symbols, uint32_t exchange, const char *name,
                     uint32_t name_size);
// SYMBOL_NONE when unknown.
uint32_t symbols_find(const struct symbols *symbols, uint32_t exchange, const char *name,
                      uint32_t name_size);
const struct symbol_name *symbols_name(const struct symbols *symbols, uint32_t symbol);
uint32_t symbols_count(const struct symbols *symbols);

static inline uint32_t symbol_kind(uint32_t exchange, uint32_t size)
{
    return exchange << 8 | size;
}

static inline uint32_t symbol_hash(uint64_t head, uint64_t tail, uint32_t kind)
{
    const uint64_t mixed = (head ^ kind) * 0x9e3779b97f4a7c15ull;
    const uint64_t both = (mixed ^ mixed >> 32 ^ tail) * 0xd6e8feb86659fd93ull;
    return (uint32_t)(both >> 32);
}

// The same as symbols_find() for a name in a message, where SYMBOL_PADDED_BYTES are readable: half
// the work, and no branch on the size, which is nothing to predict.
static inline __attribute__((always_inline)) uint32_t
symbols_find_padded(const struct symbols *symbols, uint32_t exchange, const char *name,
                    uint32_t name_size)
{
    // From SYMBOL_PADDED_BYTES - size on: what belongs to the name.
    static const uint8_t own[2 * SYMBOL_PADDED_BYTES] = {255, 255, 255, 255, 255, 255, 255, 255,
                                                         255, 255, 255, 255, 255, 255, 255, 255};
    uint64_t head, tail, own_head, own_tail;
    if (name_size - 1 >= SYMBOL_PADDED_BYTES)
        return symbols_find(symbols, exchange, name, name_size);
    memcpy(&head, name, 8);
    memcpy(&tail, name + 8, 8);
    memcpy(&own_head, own + SYMBOL_PADDED_BYTES - name_size, 8);
    memcpy(&own_tail, own + SYMBOL_PADDED_BYTES + 8 - name_size, 8);
    head &= own_head;
    tail &= own_tail;
    const uint32_t kind = symbol_kind(exchange, name_size);
    uint32_t at = symbol_hash(head, tail, kind) & symbols->slot_mask;
    for (;; at = (at + 1) & symbols->slot_mask) {
        const struct symbol_slot *slot = &symbols->slots[at];
        if (slot->head == head && slot->tail == tail && slot->kind == kind)
            return slot->symbol;
        if (slot->kind == 0)
            return UINT32_MAX;
    }
}

#endif
