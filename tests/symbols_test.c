// SPDX-License-Identifier: GPL-3.0-or-later
#include "base/symbols.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "format/event.h"

static uint32_t add(struct symbols *symbols, uint32_t exchange, const char *name)
{
    return symbols_add(symbols, exchange, name, (uint32_t)strlen(name));
}

static uint32_t find(const struct symbols *symbols, uint32_t exchange, const char *name)
{
    return symbols_find(symbols, exchange, name, (uint32_t)strlen(name));
}

Test(symbols, names_of_every_length_are_told_apart)
{
    struct symbols *symbols = symbols_open(256);
    const uint32_t exchange = symbols_exchange(symbols, "x");
    char name[SYMBOL_NAME_BYTES_MAX + 2] = "";
    const uint32_t size_max = SYMBOL_NAME_BYTES_MAX - 2;
    for (uint32_t size = 1; size <= size_max; size++) {
        memset(name, 'A', size);
        cr_assert_eq(symbols_add(symbols, exchange, name, size), 2 * (size - 1));
        name[size / 2] = 'B';
        cr_assert_eq(symbols_add(symbols, exchange, name, size), 2 * (size - 1) + 1);
        name[size / 2] = 'A';
    }
    for (uint32_t size = 1; size <= size_max; size++) {
        memset(name, 'A', size);
        cr_assert_eq(symbols_find(symbols, exchange, name, size), 2 * (size - 1));
        // What lies behind the name does not count.
        cr_assert_eq(symbols_find_padded(symbols, exchange, name, size), 2 * (size - 1));
        name[size] = 'D';
        cr_assert_eq(symbols_find_padded(symbols, exchange, name, size), 2 * (size - 1));
        name[size - 1] = 'C';
        cr_assert_eq(symbols_find(symbols, exchange, name, size), SYMBOL_NONE);
        cr_assert_eq(symbols_find_padded(symbols, exchange, name, size), SYMBOL_NONE);
    }
    cr_assert_eq(symbols_count(symbols), 2 * size_max);
    symbols_close(symbols);
}

Test(symbols, one_name_at_two_exchanges_is_two_symbols)
{
    struct symbols *symbols = symbols_open(4);
    const uint32_t spot = symbols_exchange(symbols, "binance");
    const uint32_t futures = symbols_exchange(symbols, "binance-usdm");
    cr_assert_eq(symbols_exchange(symbols, "binance"), spot);
    cr_assert_eq(add(symbols, spot, "BTCUSDT"), 0);
    cr_assert_eq(add(symbols, futures, "BTCUSDT"), 1);
    cr_assert_eq(add(symbols, spot, "BTCUSDT"), 0);
    cr_assert_eq(find(symbols, futures, "BTCUSDT"), 1);
    const struct symbol_name *name = symbols_name(symbols, 1);
    cr_assert_str_eq(name->text, "binance-usdm:BTCUSDT");
    cr_assert_eq(name->size, strlen(name->text));
    cr_assert_str_eq(name->text + name->symbol_offset, "BTCUSDT");
    cr_assert_eq(name->exchange, futures);
    symbols_close(symbols);
}

Test(symbols, bad_names_and_full_tables_are_refused)
{
    struct symbols *symbols = symbols_open(2);
    const uint32_t exchange = symbols_exchange(symbols, "binance");
    char long_name[SYMBOL_NAME_BYTES_MAX + 1];
    memset(long_name, 'L', sizeof long_name);
    cr_assert_eq(add(symbols, exchange, ""), SYMBOL_NONE);
    cr_assert_eq(add(symbols, exchange, "A\nB"), SYMBOL_NONE);
    cr_assert_eq(add(symbols, exchange, "A\"B"), SYMBOL_NONE);
    cr_assert_eq(add(symbols, exchange, "A\\B"), SYMBOL_NONE);
    cr_assert_eq(symbols_add(symbols, exchange, long_name, sizeof long_name), SYMBOL_NONE);
    cr_assert_eq(symbols_find(symbols, exchange, long_name, sizeof long_name), SYMBOL_NONE);
    cr_assert_eq(symbols_add(symbols, exchange, long_name, SYMBOL_NAME_BYTES_MAX - 8), 0);
    cr_assert_eq(add(symbols, exchange, "币安人生USDT"), 1);
    cr_assert_eq(add(symbols, exchange, "ETHUSDT"), SYMBOL_NONE);
    cr_assert_eq(find(symbols, exchange, "币安人生USDT"), 1);
    cr_assert_eq(find(symbols, exchange, "ETHUSDT"), SYMBOL_NONE);
    symbols_close(symbols);
}

Test(symbols, exchanges_are_bounded)
{
    struct symbols *symbols = symbols_open(1);
    char name[16];
    for (int i = 0; i < SYMBOL_EXCHANGES_MAX; i++) {
        (void)snprintf(name, sizeof name, "exchange%d", i);
        cr_assert_eq(symbols_exchange(symbols, name), i);
    }
    cr_assert_eq(symbols_exchange(symbols, "one more"), SYMBOL_EXCHANGES_MAX);
    symbols_close(symbols);
}

Test(symbols, many)
{
    enum { COUNT = 5000 };
    struct symbols *symbols = symbols_open(COUNT);
    const uint32_t exchange = symbols_exchange(symbols, "binance");
    char name[24];
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "C%uUSDT", i * 7919);
        cr_assert_eq(add(symbols, exchange, name), i);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof name, "C%uUSDT", i * 7919);
        cr_assert_eq(find(symbols, exchange, name), i);
    }
    symbols_close(symbols);
}
