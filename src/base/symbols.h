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

enum {
    SYMBOL_NAME_BYTES_MAX = 63, // exchange, colon and symbol
    SYMBOL_EXCHANGES_MAX = 16,
};

struct symbols;

struct symbol_name { // "binance:BTCUSDT" and where the symbol begins in it
    uint8_t size;
    uint8_t symbol_offset;
    uint8_t exchange;
    char text[SYMBOL_NAME_BYTES_MAX + 1];
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

#endif
