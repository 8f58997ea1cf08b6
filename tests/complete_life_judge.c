// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the store of a complete_life has against the exchange's truth. What is listed is read from
// the status rows alone: opened and not repaired later. The ledger is not asked: the data must tell
// for itself.
#include "capture/repair.h"
#include "complete_life.h"

#include "complete_life_candles.h"
#include "format/ensure.h"
#include "format/event.h"
#include "keep/keep_store.h"
#include "sim_store.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE "/data/store"

// ---- reading ----

enum { RANGES_MAX = 100000, DEPTH_ROWS_MAX = 200000 };

struct range {
    int64_t first;
    int64_t last;
};

struct ranges {
    uint32_t count;
    struct range *at;
};

struct depth_row {
    int64_t first;
    int64_t last;
    int64_t quantity[MARKET_LEVELS]; // -1: not in it
};

struct depth_rows {
    uint32_t count;
    struct depth_row *at;
};

struct found {
    uint8_t *stored[MARKET_SYMBOLS]; // how often, by id
    int8_t *listed[MARKET_SYMBOLS];  // opened or lost: 1; repaired: 0
    struct depth_rows depth[MARKET_SYMBOLS];
    struct depth_rows books[MARKET_SYMBOLS];
    struct ranges lost_depth[MARKET_SYMBOLS];
    bool gone[MARKET_SYMBOLS]; // all behind the last trade is listed as lost
    struct life_candles candles[MARKET_SYMBOLS];
    struct life_alerts alerts;
    uint64_t wrong;
    uint64_t not_live;
    int64_t live_from_ns;
    bool says; // LIFE_TEST_TRADES is set: every trade is printed
    const struct market_peer *peer;
    struct life *life;
    struct life_keep *keep;
};

uint32_t life_symbol(const struct segment *segment, uint32_t number, uint32_t prefix)
{
    struct event_text name = index_name(segment_index(segment), number);
    char digits[16] = "";
    cr_assert(name.size > prefix && name.size - prefix < sizeof digits);
    memcpy(digits, name.bytes + prefix, name.size - prefix); // names end without a zero
    uint32_t symbol = (uint32_t)strtoul(digits, NULL, 10);
    cr_assert_lt(symbol, MARKET_SYMBOLS);
    return symbol;
}

static void found_trade(struct found *found, uint32_t symbol, const struct rows *rows,
                        uint32_t row)
{
    int64_t n = rows->value[TRADE_ID][row] - MARKET_FIRST_ID;
    const struct market_symbol *truth = &found->peer->symbols[symbol];
    cr_assert(n >= 0 && n < (int64_t)truth->count, "a trade that never was");
    if (found->stored[symbol][n] < UINT8_MAX) found->stored[symbol][n]++;
    if (found->says)
        (void)fprintf(stderr, "trade %u %lld flags %lld link %lld at %lld\n", symbol,
                      (long long)rows->value[TRADE_ID][row],
                      (long long)rows->value[COLUMN_FLAGS][row],
                      (long long)rows->value[COLUMN_LINK][row],
                      (long long)rows->value[COLUMN_RECEIVE_TIME][row]);
    int64_t price = rows->value[TRADE_PRICE][row];
    for (uint8_t scale = rows->scale[TRADE_PRICE][row]; scale < 1; scale++) price *= 10;
    for (uint8_t scale = rows->scale[TRADE_PRICE][row]; scale > 1; scale--) price /= 10;
    bool repaired = (rows->value[COLUMN_FLAGS][row] & EVENT_REPAIRED) != 0;
    bool good = rows->value[TRADE_TIME][row] == truth->time_us[n] * 1000 &&
                price == ((n + MARKET_FIRST_ID) % 97 + 1) * 10 + 1 &&
                rows->value[TRADE_SIDE][row] ==
                    ((n + MARKET_FIRST_ID) % 2 != 0 ? SIDE_SELL : SIDE_BUY) &&
                (rows->present[row] >> TRADE_BEST_MATCH & 1) != 0 &&
                (rows->present[row] >> TRADE_EVENT_TIME & 1) == !repaired;
    found->wrong += !good;
    found->not_live += repaired && found->live_from_ns != 0 &&
                       rows->value[TRADE_TIME][row] >= found->live_from_ns;
}

static void found_levels(struct depth_row *row, const struct rows *rows, uint32_t at)
{
    for (uint32_t i = 0; i < MARKET_LEVELS; i++) row->quantity[i] = -1;
    for (uint32_t i = rows->level_first[at]; i < rows->level_first[at + 1]; i++) {
        int64_t price = rows->level_price[i];
        for (uint8_t scale = rows->level_price_scale[i]; scale > 0; scale--) price /= 10;
        int64_t quantity = rows->level_quantity[i];
        for (uint8_t scale = rows->level_quantity_scale[i]; scale > 0; scale--) quantity /= 10;
        cr_assert(price >= 100 && price < 100 + MARKET_LEVELS);
        row->quantity[price - 100] = quantity;
    }
}

static void found_depth(struct depth_rows *into, const struct rows *rows, uint32_t at, bool book)
{
    cr_assert_lt(into->count, DEPTH_ROWS_MAX);
    struct depth_row *row = &into->at[into->count++];
    row->first = book ? 0 : rows->value[DEPTH_FIRST_ID][at];
    row->last = book ? rows->value[BOOK_LAST_ID][at] : rows->value[DEPTH_LAST_ID][at];
    found_levels(row, rows, at);
}

static bool has(const struct rows *rows, int column, uint32_t row)
{
    return (rows->present[row] >> column & 1) != 0;
}

// A gap is told without an end; the snapshot that ends it says to where it is lost.
static void found_lost_depth(struct ranges *lost, struct range range)
{
    cr_assert_lt(lost->count, RANGES_MAX);
    for (uint32_t i = 0; i < lost->count && range.last < INT64_MAX; i++) {
        if (lost->at[i].last == INT64_MAX && lost->at[i].first <= range.last)
            lost->at[i].last = range.last;
    }
    lost->at[lost->count++] = range;
}

static void found_status(struct found *found, uint32_t symbol, const struct rows *rows,
                         uint32_t row)
{
    int64_t kind = rows->value[STATUS_KIND][row];
    if (kind != STATUS_HOLE_OPENED && kind != STATUS_HOLE_REPAIRED && kind != STATUS_HOLE_LOST)
        return;
    cr_assert(has(rows, STATUS_FIRST_ID, row) && has(rows, STATUS_CHANNEL, row));
    int64_t first = rows->value[STATUS_FIRST_ID][row];
    int64_t last = has(rows, STATUS_LAST_ID, row) ? rows->value[STATUS_LAST_ID][row] : INT64_MAX;
    if (found->says)
        (void)fprintf(stderr, "hole %u kind %lld channel %lld %lld to %lld at %lld\n", symbol,
                      (long long)kind, (long long)rows->value[STATUS_CHANNEL][row],
                      (long long)first, (long long)last,
                      (long long)rows->value[COLUMN_RECEIVE_TIME][row]);
    if (rows->value[STATUS_CHANNEL][row] == CHANNEL_DEPTH) {
        if (kind != STATUS_HOLE_REPAIRED)
            found_lost_depth(&found->lost_depth[symbol], (struct range){first, last});
        return;
    }
    if (last == INT64_MAX) { // the exchange does not name the symbol, or names it again
        found->gone[symbol] = kind == STATUS_HOLE_LOST;
        return;
    }
    for (int64_t id = first; id <= last; id++) {
        int64_t n = id - MARKET_FIRST_ID;
        cr_assert(n >= 0 && n < (int64_t)found->peer->symbols[symbol].count);
        int8_t *listed = &found->listed[symbol][n];
        *listed = kind != STATUS_HOLE_REPAIRED; // rows come in the order they were told
    }
}

static bool found_block(void *context, const struct catalogue_segment *listed,
                        const struct segment *segment, const struct segment_block *block)
{
    struct found *found = context;
    const struct rows *rows = block->rows;
    life_rows_found(&found->life->rows, found->life->starts_ns, found->life->start_count, rows);
    for (uint32_t row = 0; row < rows->count; row++) {
        if (rows->symbol[row] == SYMBOL_NONE) continue;
        uint32_t symbol = life_symbol(segment, rows->symbol[row], 9); // binance:C0
        if (listed->channel == CHANNEL_TRADE) {
            found_trade(found, symbol, rows, row);
            life_alert_trade(&found->alerts, symbol, rows, row);
        }
        if (listed->channel == CHANNEL_ALERT) life_alert_found(&found->alerts, rows, row);
        if (listed->channel == CHANNEL_DEPTH)
            found_depth(&found->depth[symbol], rows, row, false);
        if (listed->channel == CHANNEL_BOOK) found_depth(&found->books[symbol], rows, row, true);
        if (listed->channel == CHANNEL_CANDLE)
            life_candle_found(&found->candles[symbol], rows, row);
        if (listed->channel == CHANNEL_STATUS) found_status(found, symbol, rows, row);
    }
    return true;
}

static struct found *found_create(const struct market_peer *peer)
{
    struct found *found = calloc(1, sizeof *found);
    found->peer = peer;
    found->says = getenv("LIFE_TEST_TRADES") != NULL;
    life_alerts_open(&found->alerts);
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) {
        found->stored[i] = calloc(MARKET_TRADES, 1);
        found->listed[i] = calloc(MARKET_TRADES, 1);
        found->depth[i].at = calloc(DEPTH_ROWS_MAX, sizeof(struct depth_row));
        found->books[i].at = calloc(DEPTH_ROWS_MAX, sizeof(struct depth_row));
        found->lost_depth[i].at = calloc(RANGES_MAX, sizeof(struct range));
        found->candles[i].at = calloc(LIFE_CANDLES_MAX, sizeof(struct life_candle));
    }
    return found;
}

static void found_destroy(struct found *found)
{
    life_alerts_close(&found->alerts);
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) {
        free(found->stored[i]);
        free(found->listed[i]);
        free(found->depth[i].at);
        free(found->books[i].at);
        free(found->lost_depth[i].at);
        free(found->candles[i].at);
    }
    free(found);
}

// ---- judging ----

static void judge_trades(const struct found *found, uint32_t symbol, struct life_result *result)
{
    const struct market_symbol *truth = &found->peer->symbols[symbol];
    int64_t count = (int64_t)truth->count;
    int64_t first = 0;
    int64_t run_to = -2; // last of a run of missing ones that REST did not give
    bool was_stale = false;
    while (first < count && found->stored[symbol][first] == 0) first++;
    for (int64_t n = found->keep != NULL ? 0 : first; n < count; n++) {
        uint8_t stored = found->stored[symbol][n];
        bool listed = found->listed[symbol][n] > 0;
        const bool not_given = truth->left_out[n] >= REPAIR_ATTEMPTS_MAX;
        if (found->keep != NULL && stored == 0 && !listed &&
            (life_keep_gone(found->keep, symbol, n, truth->time_us[n] * 1000) || n < first))
            continue;
        result->stored += stored > 0;
        result->duplicated += stored > 1 ? stored - 1u : 0u;
        result->listed += listed;
        result->missing += stored == 0 && !listed;
        result->rows_missing += stored == 0 && !listed && !(not_given && n == run_to + 1);
        if (stored == 0 && !listed && not_given) run_to = n;
        // Where all rows of a symbol are deleted, its open holes are forgotten with them.
        result->given_up += found->keep == NULL && stored == 0 && listed && !not_given &&
                            !truth->denied;
        if (found->says && (stored > 0) == listed)
            (void)fprintf(stderr, "%s: %u %lld\n", listed ? "listed" : "missing", symbol,
                          (long long)(n + MARKET_FIRST_ID));
        const bool stale = stored > 0 && listed;
        result->wrong += stale;
        result->stale += stale;
        result->rows_missing += stale && !was_stale;
        was_stale = stale;
        result->not_live += stored == 0 && found->live_from_ns != 0 &&
                            truth->time_us[n] * 1000 >= found->live_from_ns;
    }
}

static int compare_rows(const void *a, const void *b)
{
    const struct depth_row *one = a;
    const struct depth_row *two = b;
    return (one->last > two->last) - (one->last < two->last);
}

// True where the ranges together hold all of [first, last].
static bool lost_covers(const struct ranges *lost, int64_t first, int64_t last)
{
    for (bool moved = true; moved && first <= last;) {
        moved = false;
        for (uint32_t i = 0; i < lost->count && first <= last; i++) {
            if (lost->at[i].first > first || lost->at[i].last < first) continue;
            if (lost->at[i].last >= last) return true;
            first = lost->at[i].last + 1;
            moved = true;
        }
    }
    return first > last;
}

static bool book_is_true(const struct found *found, uint32_t symbol, const int64_t *book,
                         int64_t book_id)
{
    for (uint32_t i = 0; i < MARKET_LEVELS; i++) {
        if (book[i] != market_quantity(found->peer, symbol, i, book_id)) return false;
    }
    return true;
}

// One gap that is not listed.
static uint64_t found_gap(const struct found *found, uint32_t symbol, int64_t first, int64_t last)
{
    if (found->says)
        (void)fprintf(stderr, "gap of depth: %u %lld to %lld\n", symbol, (long long)first,
                      (long long)last);
    return 1;
}

// Binance's rule: from a snapshot on, every update that follows.
static void judge_depth(const struct found *found, uint32_t symbol, struct life_result *result)
{
    const struct depth_rows *books = &found->books[symbol];
    const struct depth_rows *depth = &found->depth[symbol];
    int64_t book[MARKET_LEVELS] = {0};
    int64_t at = -1; // no anchor
    uint32_t next_book = 0;
    qsort(books->at, books->count, sizeof *books->at, compare_rows);
    qsort(depth->at, depth->count, sizeof *depth->at, compare_rows);
    for (uint32_t i = 0; i < depth->count; i++) {
        const struct depth_row *row = &depth->at[i];
        result->depth_twice += i > 0 && depth->at[i - 1].last == row->last;
        if (row->last <= at) continue;
        if (at < 0 || row->first > at + 1) { // a gap: the next snapshot that this row follows
            int64_t gap = at + 1;
            while (next_book < books->count && books->at[next_book].last + 1 < row->first)
                next_book++;
            if (next_book == books->count) {
                bool listed = at < 0 || lost_covers(&found->lost_depth[symbol], gap, row->last);
                if (!listed) result->depth_unlisted += found_gap(found, symbol, gap, row->last);
                break;
            }
            const struct depth_row *anchor = &books->at[next_book];
            if (at >= 0 && !lost_covers(&found->lost_depth[symbol], gap, row->first - 1))
                result->depth_unlisted += found_gap(found, symbol, gap, row->first - 1);
            if (anchor->last < row->first - 1 || anchor->last > row->last) continue;
            at = anchor->last;
            for (uint32_t level = 0; level < MARKET_LEVELS; level++)
                book[level] = anchor->quantity[level] < 0 ? 0 : anchor->quantity[level];
            if (row->last <= at) continue;
        }
        for (uint32_t level = 0; level < MARKET_LEVELS; level++)
            if (row->quantity[level] >= 0) book[level] = row->quantity[level];
        at = row->last;
        result->depth++;
        result->depth_wrong += !book_is_true(found, symbol, book, at);
    }
    if (books->count > 0 && books->at[books->count - 1].last > at)
        at = books->at[books->count - 1].last;
    // What no later update tells of may be missing and not be known to be.
    const struct market_symbol *truth = &found->peer->symbols[symbol];
    const bool told = truth->count > 0 && found->live_from_ns != 0 &&
                      truth->time_us[truth->count - 1] * 1000 >= found->live_from_ns;
    result->books_short += told && at < truth->book_id;
    if (found->says && told && at < truth->book_id)
        (void)fprintf(stderr, "book of %u: reaches %lld of %lld\n", symbol, (long long)at,
                      (long long)truth->book_id);
}

struct life_result life_judge(struct life *life)
{
    struct io *io;
    struct io_message message;
    struct keep_store *store;
    struct life_result result = {0};
    char why[SIM_STORE_WHY_BYTES] = "";
    cr_assert(sim_store_settle(life->world, STORE), "the store does not settle");
    cr_assert_eq(io_open_loop(&io, &(struct io_options){.name = "check"}, &message), 0);
    cr_assert_eq(keep_store_open(&store, io, STORE, &message), 0, "%s", message.text);
    struct found *found = found_create(life->peer);
    found->live_from_ns = life->live_from_ns;
    found->keep = life->keep;
    found->life = life;
    bool good = sim_store_walk_around(life->world, STORE, keep_store_catalogue(store), found_block,
                                      found, life->rots > 0 ? &result.unreadable : NULL, why);
    cr_assert(good, "%s", why);
    const struct life_candles_judge judge = {life->end_ns, life->candles_empty};
    for (uint32_t symbol = 0; symbol < MARKET_SYMBOLS; symbol++) {
        judge_trades(found, symbol, &result);
        judge_depth(found, symbol, &result);
        // The exchange names all when the life ends.
        result.wrong += found->gone[symbol];
        result.stale += found->gone[symbol];
        result.rows_missing += found->gone[symbol];
        result.candles += found->candles[symbol].count;
        result.candles_wrong +=
            life_candles_wrong(&found->candles[symbol], &life->peer->symbols[symbol],
                               found->stored[symbol], &judge);
    }
    result.alerts = found->alerts.stored_count;
    result.alerts_wrong =
        life_alerts_wrong(&found->alerts, life->starts_ns, life->start_count);
    result.wrong += found->wrong;
    result.not_live += found->not_live;
    result.rows_lost = life_rows_lost(&life->rows, life->start_count);
    found_destroy(found);
    keep_store_close(store);
    io_close_loop(io);
    return result;
}
