// SPDX-License-Identifier: GPL-3.0-or-later
//
// What a start makes of rows of more symbols than it remembers names of: each row is its own
// symbol's, however they are mixed.
#include "capture/recall_inside.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { SYMBOLS = 3 * RECALL_NAMES, ROUNDS = 3 };

static void nothing_told(void *context, const struct arbiter_news *news)
{
    (void)context;
    (void)news;
}

static void nothing_released(void *context, const struct event *event, uint32_t link)
{
    (void)context;
    (void)event;
    (void)link;
}

// Symbol s has ids 1000 s, 1000 s + 1, ...; one of each symbol in turn.
static void fill(struct rows *rows)
{
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t s = 0; s < SYMBOLS; s++) {
            struct event event;
            event_clear(&event, CHANNEL_TRADE, s);
            event_set(&event, COLUMN_RECEIVE_TIME, 1 + round);
            event_set(&event, COLUMN_FLAGS, 0);
            event_set(&event, TRADE_TIME, 1 + round);
            event_set(&event, TRADE_ID, 1000 * (int64_t)s + round);
            cr_assert(rows_append(rows, &event));
        }
    }
}

Test(recall_rows, more_symbols_than_names_are_remembered)
{
    static char names[SYMBOLS][32];
    static struct event_text texts[SYMBOLS];
    const struct rows_limits limits = {.rows = SYMBOLS * ROUNDS};
    const struct channel_schema *schema = channel_schema(CHANNEL_TRADE);
    struct recall recall = {.symbols = symbols_open(SYMBOLS)};
    struct rows rows;
    void *memory = aligned_alloc(64, (rows_memory_bytes(schema, &limits) + 63) / 64 * 64);
    rows_init(&rows, schema, &limits, memory);
    cr_assert_eq(arbiter_open(&recall.arbiter, nothing_told, nothing_released, NULL), 0);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        const int size = snprintf(names[s], sizeof names[s], "binance:C%uUSDT", s);
        texts[s] = (struct event_text){(const uint8_t *)names[s], (uint32_t)size};
    }
    fill(&rows);
    cr_assert_eq(recall_rows(&recall, &rows, 0, texts, 0), ROUNDS);
    for (uint32_t s = 0; s < SYMBOLS; s++) {
        const uint32_t key =
            recall_key(&recall, names[s], (uint32_t)texts[s].size, CHANNEL_TRADE);
        const struct coverage *coverage = &recall.arbiter.keys[key].coverage;
        cr_assert_eq(coverage->first, 1000 * (int64_t)s);
        cr_assert_eq(coverage->last, 1000 * (int64_t)s + ROUNDS - 1);
        cr_assert_eq(coverage->holes, COVERAGE_NONE);
    }
    cr_assert_eq(recall.arbiter.pool.used, 0);
    arbiter_close(&recall.arbiter);
    symbols_close(recall.symbols);
    free(memory);
}
