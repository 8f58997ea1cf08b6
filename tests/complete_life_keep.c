// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life_keep: see the header.
#include "complete_life_keep.h"

#include <criterion/criterion.h>
#include <stdlib.h>

struct life_keep *life_keep_create(int64_t size_bytes)
{
    struct life_keep *keep = calloc(1, sizeof *keep);
    cr_assert(keep != NULL && size_bytes > 0);
    keep->size_bytes = size_bytes;
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) {
        keep->is_gone[i] = calloc(MARKET_TRADES, sizeof *keep->is_gone[i]);
        cr_assert_not_null(keep->is_gone[i]);
    }
    return keep;
}

void life_keep_destroy(struct life_keep *keep)
{
    if (keep == NULL) return;
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) free(keep->is_gone[i]);
    free(keep);
}

// Everything but trades stays, also on a full disk: it tells what is missing.
static bool may_go(void *context, const struct catalogue_segment *segment)
{
    struct life_keep *keep = context;
    if (segment->channel != CHANNEL_TRADE) return false;
    cr_assert_lt(keep->count, LIFE_DELETED_MAX);
    keep->deleted[keep->count].from_ns = segment->time_min;
    keep->deleted[keep->count++].to_ns = segment->time_max;
    return true;
}

void life_keep_watch(struct life_keep *keep, struct keep_store *store)
{
    struct retention_rules rules = {0};
    rules.channel[CHANNEL_TRADE].size_bytes = keep->size_bytes;
    keep_store_set_rules(store, &rules);
    keep_store_add_guard(store, &(struct retention_guard){.released = may_go, .context = keep});
}

bool life_keep_covers(const struct life_keep *keep, int64_t time_ns)
{
    bool covers = false;
    for (uint32_t i = 0; i < keep->count && !covers; i++)
        covers = keep->deleted[i].from_ns <= time_ns && time_ns <= keep->deleted[i].to_ns;
    return covers;
}

bool life_keep_gone(struct life_keep *keep, uint32_t symbol, int64_t n, int64_t time_ns)
{
    const bool gone = life_keep_covers(keep, time_ns);
    keep->is_gone[symbol][n] = gone;
    keep->gone += gone;
    return gone;
}
