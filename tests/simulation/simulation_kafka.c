// SPDX-License-Identifier: GPL-3.0-or-later
//
// The broker against the store: every stored trade at least once, nothing that is not stored so,
// and those of a symbol, counted where they come first, in the order in which they were received.
#include "tests/simulation/simulation.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "keep/keep_store.h"
#include "scripted_producer.h"
#include "sim_store.h"

#define STORE "/data/store"

struct kept { // a stored trade
    char key[SCRIPTED_KEY_BYTES];
    int64_t id;
    int64_t receive_ns;
    bool came;
};

struct kept_all {
    struct kept *at;
    size_t count, room;
};

static bool keep_block(void *context, const struct catalogue_segment *listed,
                       const struct segment *segment, const struct segment_block *block)
{
    struct kept_all *all = context;
    if (listed->channel != CHANNEL_TRADE) return true;
    const struct rows *rows = block->rows;
    for (uint32_t row = 0; row < rows->count; row++) {
        const struct event_text name = index_name(segment_index(segment), rows->symbol[row]);
        if (all->count == all->room) {
            all->room = all->room * 2 + 1024;
            all->at = realloc(all->at, all->room * sizeof *all->at);
            cr_assert_not_null(all->at);
        }
        struct kept *kept = &all->at[all->count++];
        *kept = (struct kept){.id = rows->value[TRADE_ID][row],
                              .receive_ns = rows->value[COLUMN_RECEIVE_TIME][row]};
        cr_assert_lt(name.size, sizeof kept->key);
        memcpy(kept->key, name.bytes, name.size);
    }
    return true;
}

static int compare(const void *a, const void *b)
{
    const struct kept *one = a, *two = b;
    const int keys = strcmp(one->key, two->key);
    return keys != 0 ? keys : (one->id > two->id) - (one->id < two->id);
}

static struct kept_all stored_trades(struct life *life)
{
    struct io *io;
    struct io_message message;
    struct keep_store *store;
    struct kept_all all = {0};
    char why[SIM_STORE_WHY_BYTES] = "";
    cr_assert_eq(io_open_loop(&io, &(struct io_options){.name = "kafka"}, &message), 0);
    cr_assert_eq(keep_store_open(&store, io, STORE, &message), 0, "%s", message.text);
    cr_assert(sim_store_walk(life->world, STORE, keep_store_catalogue(store), keep_block, &all,
                             why), "%s", why);
    keep_store_close(store);
    io_close_loop(io);
    qsort(all.at, all.count, sizeof *all.at, compare);
    return all;
}

// The last receive time of each key.
struct key_time {
    char key[SCRIPTED_KEY_BYTES];
    int64_t receive_ns;
};

static int64_t *key_last(struct key_time times[MARKET_SYMBOLS], const char *key)
{
    uint32_t i = 0;
    while (i < MARKET_SYMBOLS && times[i].key[0] != '\0' && strcmp(times[i].key, key) != 0) i++;
    cr_assert_lt(i, MARKET_SYMBOLS);
    memcpy(times[i].key, key, SCRIPTED_KEY_BYTES);
    return &times[i].receive_ns;
}

// What the broker has of each symbol; its first number.
struct got {
    bool *is[MARKET_SYMBOLS]; // [MARKET_TRADES]
    int64_t first[MARKET_SYMBOLS];
};

static uint32_t symbol_of(const char *key) // binance:C3USDT
{
    const char *colon = strchr(key, ':');
    cr_assert_not_null(colon);
    const uint32_t symbol = (uint32_t)(colon[2] - '0');
    cr_assert_lt(symbol, MARKET_SYMBOLS, "%s", key);
    return symbol;
}

// Only what Kafka has may be deleted.
static void judge_gone(const struct life *life)
{
    struct got got = {0};
    for (uint32_t s = 0; s < MARKET_SYMBOLS; s++) {
        got.is[s] = calloc(MARKET_TRADES, sizeof(bool));
        got.first[s] = INT64_MAX;
    }
    for (uint32_t i = 0; i < life->broker->count; i++) {
        const struct scripted_record *record = &life->broker->log[i];
        const uint32_t s = symbol_of(record->key);
        const int64_t n = record->number - MARKET_FIRST_ID;
        cr_assert(n >= 0 && n < MARKET_TRADES);
        got.is[s][n] = true;
        if (n < got.first[s]) got.first[s] = n;
    }
    for (uint32_t s = 0; s < MARKET_SYMBOLS; s++) {
        for (int64_t n = got.first[s]; n < MARKET_TRADES; n++)
            cr_assert(!life->keep->is_gone[s][n] || got.is[s][n],
                      "Kafka has no %lld of symbol %u, and it was deleted",
                      (long long)(n + MARKET_FIRST_ID), s);
        free(got.is[s]);
    }
}

static bool is_gone(const struct life *life, const struct kept *wanted)
{
    // Also one that a start looked for again, in vain: it is listed as lost.
    const int64_t n = wanted->id - MARKET_FIRST_ID;
    const struct market_symbol *truth = &life->peer->symbols[symbol_of(wanted->key)];
    return life->keep != NULL && n >= 0 && n < MARKET_TRADES &&
           life_keep_covers(life->keep, truth->time_us[n] * 1000);
}

void simulation_judge_kafka(struct life *life, const struct simulation_groups *groups)
{
    struct key_time times[MARKET_SYMBOLS] = {0};
    struct kept_all all = stored_trades(life);
    const struct scripted_broker *broker = life->broker;
    // What was asked for again after it was deleted has another time than its first copy.
    const bool deleted = life->keep != NULL && life->keep->count > 0;
    for (uint32_t i = 0; i < broker->count; i++) {
        const struct scripted_record *record = &broker->log[i];
        struct kept wanted = {.id = record->number};
        memcpy(wanted.key, record->key, sizeof wanted.key);
        struct kept *kept = bsearch(&wanted, all.at, all.count, sizeof *all.at, compare);
        if (kept == NULL && is_gone(life, &wanted)) continue;
        cr_assert_not_null(kept, "Kafka has %s %lld, the store has not", record->key,
                           (long long)record->number);
        // Of a row that was sent before it was durable, and was lost, another copy is stored.
        cr_assert(deleted || record->receive_ns == kept->receive_ns,
                  "Kafka has %s %lld as it was received at another time", kept->key,
                  (long long)kept->id);
        if (kept->came) continue;
        kept->came = true;
        int64_t *last_ns = key_last(times, kept->key);
        cr_assert(groups->clock || groups->refusing || deleted || kept->receive_ns >= *last_ns,
                  "Kafka has %s %lld out of order", kept->key, (long long)kept->id);
        *last_ns = kept->receive_ns;
    }
    for (size_t i = 0; i < all.count; i++)
        cr_assert(all.at[i].came, "Kafka has no %s %lld", all.at[i].key, (long long)all.at[i].id);
    free(all.at);
    // With a ledger that cannot be written, a crash forgets a symbol whose rows were all deleted,
    // and what came of it last: that was not deleted, and is not in Kafka.
    if (life->keep != NULL && !groups->disk) judge_gone(life);
}
