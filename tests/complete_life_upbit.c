// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life: the judge of Upbit's trades. A hole is an interval there: opened ones less
// repaired ones, and lost ones for ever. See complete_life.h.
#include "complete_life.h"

#include "format/event.h"
#include "keep/keep_store.h"
#include "sim_store.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define STORE "/data/store"

enum { INTERVALS_MAX = 100000 };

struct interval {
    uint32_t symbol;
    int64_t kind;
    int64_t from_ns;
    int64_t to_ns;
};

struct found {
    uint8_t *stored[MARKET_SYMBOLS];
    struct interval *intervals;
    uint32_t count;
    uint64_t wrong;
    uint64_t not_live;
    int64_t live_from_ns;
    const struct market_peer *peer;
    struct life *life;
};

static bool is_decimal(const struct rows *rows, int column, uint32_t row, int64_t number,
                       uint8_t scale)
{
    int64_t value = rows->value[column][row];
    for (uint8_t s = rows->scale[column][row]; s < scale; s++) value *= 10;
    for (uint8_t s = scale; s < rows->scale[column][row]; s++) number *= 10;
    return value == number;
}

static void found_trade(struct found *found, uint32_t symbol, const struct rows *rows,
                        uint32_t row)
{
    int64_t n = (rows->value[TRADE_ID][row] - market_upbit_id(1)) / 3 ^ 1;
    const struct market_symbol *truth = &found->peer->symbols[symbol];
    cr_assert(n >= 0 && n < (int64_t)truth->count, "a trade that never was");
    if (found->stored[symbol][n] < UINT8_MAX) found->stored[symbol][n]++;
    if (getenv("LIFE_TEST_TRADES") != NULL)
        (void)fprintf(stderr, "trade %u %lld of %lld flags %lld at %lld\n", symbol, (long long)n,
                      (long long)rows->value[TRADE_TIME][row],
                      (long long)rows->value[COLUMN_FLAGS][row],
                      (long long)rows->value[COLUMN_RECEIVE_TIME][row]);
    found->wrong += rows->value[TRADE_TIME][row] != truth->time_us[n] / 1000 * 1000000 ||
                    !is_decimal(rows, TRADE_PRICE, row, 51 + n % 97, 0) ||
                    !is_decimal(rows, TRADE_QUANTITY, row, 2, 3) ||
                    rows->value[TRADE_SIDE][row] != (n % 2 != 0 ? SIDE_SELL : SIDE_BUY);
    found->not_live += (rows->value[COLUMN_FLAGS][row] & EVENT_REPAIRED) != 0 &&
                       found->live_from_ns != 0 &&
                       rows->value[TRADE_TIME][row] >= found->live_from_ns;
}

static int64_t cell(const struct rows *rows, int column, uint32_t row, int64_t absent)
{
    return (rows->present[row] >> column & 1) != 0 ? rows->value[column][row] : absent;
}

static void found_status(struct found *found, uint32_t symbol, const struct rows *rows,
                         uint32_t row)
{
    int64_t kind = rows->value[STATUS_KIND][row];
    if (kind != STATUS_HOLE_OPENED && kind != STATUS_HOLE_REPAIRED && kind != STATUS_HOLE_LOST)
        return;
    cr_assert_lt(found->count, INTERVALS_MAX);
    found->intervals[found->count++] =
        (struct interval){symbol, kind, cell(rows, STATUS_FROM_TIME, row, 0),
                          cell(rows, STATUS_TO_TIME, row, INT64_MAX)};
}

static bool found_block(void *context, const struct catalogue_segment *listed,
                        const struct segment *segment, const struct segment_block *block)
{
    struct found *found = context;
    const struct rows *rows = block->rows;
    life_rows_found(&found->life->rows, found->life->starts_ns, found->life->start_count, rows);
    for (uint32_t row = 0; row < rows->count; row++) {
        if (rows->symbol[row] == SYMBOL_NONE) continue;
        uint32_t symbol = life_symbol(segment, rows->symbol[row], 11); // upbit:KRW-C0
        if (listed->channel == CHANNEL_TRADE) found_trade(found, symbol, rows, row);
        if (listed->channel == CHANNEL_STATUS) found_status(found, symbol, rows, row);
    }
    return true;
}

// As the rows tell it, in the order in which they were written.
static bool is_listed(const struct found *found, uint32_t symbol, int64_t time_ns)
{
    bool open = false;
    for (uint32_t i = 0; i < found->count; i++) {
        const struct interval *at = &found->intervals[i];
        if (at->symbol != symbol || at->from_ns > time_ns || at->to_ns < time_ns) continue;
        if (at->kind == STATUS_HOLE_LOST) return true;
        open = at->kind == STATUS_HOLE_OPENED;
    }
    return open;
}

static void judge(const struct found *found, uint32_t symbol, struct life_result *result)
{
    const struct market_symbol *truth = &found->peer->symbols[symbol];
    int64_t count = (int64_t)truth->count;
    int64_t first = 0;
    while (first < count && found->stored[symbol][first] == 0) first++;
    for (int64_t n = first; n < count; n++) {
        uint8_t stored = found->stored[symbol][n];
        result->stored += stored > 0;
        result->duplicated += stored > 1 ? stored - 1u : 0u;
        if (stored > 0) continue;
        bool listed = is_listed(found, symbol, truth->time_us[n] / 1000 * 1000000);
        result->listed += listed;
        result->not_live += found->live_from_ns != 0 &&
                            truth->time_us[n] * 1000 >= found->live_from_ns;
        result->missing += !listed;
        result->rows_missing += !listed;
    }
}

struct life_result life_judge_upbit(struct life *life)
{
    struct io *io;
    struct io_message message;
    struct keep_store *store;
    struct life_result result = {0};
    struct found found = {.peer = life->peer, .life = life, .live_from_ns = life->live_from_ns};
    char why[SIM_STORE_WHY_BYTES] = "";
    cr_assert(sim_store_settle(life->world, STORE), "the store does not settle");
    cr_assert_eq(io_open_loop(&io, &(struct io_options){.name = "check"}, &message), 0);
    cr_assert_eq(keep_store_open(&store, io, STORE, &message), 0, "%s", message.text);
    found.intervals = calloc(INTERVALS_MAX, sizeof *found.intervals);
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) found.stored[i] = calloc(MARKET_TRADES, 1);
    bool good = sim_store_walk_around(life->world, STORE, keep_store_catalogue(store), found_block,
                                      &found, life->rots > 0 ? &result.unreadable : NULL, why);
    cr_assert(good, "%s", why);
    for (uint32_t symbol = 0; symbol < MARKET_SYMBOLS; symbol++) judge(&found, symbol, &result);
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) free(found.stored[i]);
    result.wrong = found.wrong;
    result.not_live += found.not_live;
    result.rows_lost = life_rows_lost(&life->rows, life->start_count);
    for (uint32_t i = 0; i < found.count; i++)
        result.depth += found.intervals[i].kind == STATUS_HOLE_LOST;
    free(found.intervals);
    keep_store_close(store);
    io_close_loop(io);
    return result;
}
