// SPDX-License-Identifier: GPL-3.0-or-later
//
// Heartbeats of candles: behind one that says that all of an interval are out, none of it comes for
// the first time, also where the interval ended while a start was still reading what candles begin
// with.
#include "complete_life.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "derive/candle.h"
#include "keep/keep_store.h"
#include "sim_store.h"

#define STORE "/data/store"

enum { TOLD_MAX = 4096 };

struct told { // a candle's first row, or a heartbeat
    int64_t minutes, close_ns, receive_ns;
};

struct told_all {
    struct told candles[TOLD_MAX], beats[TOLD_MAX];
    uint32_t candle_count, beat_count;
};

static struct event_text text_at(const struct rows *rows, int column, uint32_t row)
{
    const uint32_t slot = rows->schema->columns[column].text;
    return (struct event_text){rows->text + rows->text_offset[slot][row],
                               rows->text_length[slot][row]};
}

static void told_add(struct told *at, uint32_t *count, struct event_text interval,
                     int64_t close_ns, int64_t receive_ns)
{
    cr_assert_lt(*count, TOLD_MAX);
    at[(*count)++] = (struct told){
        candle_interval_minutes((const char *)interval.bytes, interval.size), close_ns,
        receive_ns};
}

static bool told_block(void *context, const struct catalogue_segment *listed,
                       const struct segment *segment, const struct segment_block *block)
{
    struct told_all *all = context;
    const struct rows *rows = block->rows;
    (void)segment;
    for (uint32_t row = 0; row < rows->count; row++) {
        const int64_t receive_ns = rows->value[COLUMN_RECEIVE_TIME][row];
        if (listed->channel == CHANNEL_CANDLE && rows->value[CANDLE_REVISION][row] == 0) {
            told_add(all->candles, &all->candle_count, text_at(rows, CANDLE_INTERVAL, row),
                     rows->value[CANDLE_CLOSE_TIME][row], receive_ns);
        } else if (listed->channel == CHANNEL_STATUS &&
                   rows->value[STATUS_KIND][row] == STATUS_INTERVAL_CLOSED &&
                   rows->value[STATUS_CHANNEL][row] == CHANNEL_CANDLE) {
            struct event_text detail = text_at(rows, STATUS_DETAIL, row); // "binance 1m"
            const uint8_t *space = memchr(detail.bytes, ' ', detail.size);
            cr_assert_not_null(space);
            detail.size -= (uint32_t)(space + 1 - detail.bytes);
            detail.bytes = space + 1;
            told_add(all->beats, &all->beat_count, detail, rows->value[STATUS_TO_TIME][row],
                     receive_ns);
        }
    }
    return true;
}

static struct told_all *told_of(const struct life *life)
{
    struct io *io;
    struct io_message message;
    struct keep_store *store;
    struct told_all *all = calloc(1, sizeof *all);
    char why[SIM_STORE_WHY_BYTES] = "";
    cr_assert_eq(io_open_loop(&io, &(struct io_options){.name = "beats"}, &message), 0);
    cr_assert_eq(keep_store_open(&store, io, STORE, &message), 0, "%s", message.text);
    cr_assert(sim_store_walk(life->world, STORE, keep_store_catalogue(store), told_block, all,
                             why), "%s", why);
    keep_store_close(store);
    io_close_loop(io);
    return all;
}

Test(complete_life_beats, no_candle_of_an_interval_comes_behind_its_heartbeat)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct life *life = life_create(seed, 1, 5 * LIMIT_MILLISECOND_NS);
        life->seals = true;
        life_start(life);
        life_run(life, 70 * LIMIT_SECOND_NS);
        life_crash(life, SIM_CRASH_KILL);
        life->candles_late_ns = (int64_t)(70 + seed * 10) * LIMIT_SECOND_NS;
        life_start(life);
        life_run(life, 130 * LIMIT_SECOND_NS);
        life_stop(life);
        life_seal(life);
        struct told_all *all = told_of(life);
        cr_assert_gt(all->beat_count, 2);
        cr_assert_gt(all->candle_count, 20);
        for (uint32_t i = 0; i < all->beat_count; i++) {
            for (uint32_t c = 0; c < all->candle_count; c++) {
                const struct told *beat = &all->beats[i], *candle = &all->candles[c];
                if (beat->minutes == candle->minutes && beat->close_ns == candle->close_ns)
                    cr_assert_leq(candle->receive_ns, beat->receive_ns, "seed %llu",
                                  (unsigned long long)seed);
            }
        }
        free(all);
        life_destroy(life);
    }
}
