// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard_statistics: the shard's section of the statistics page. Contract: what counts is counted
// where it happens, in memory of the shard's own; ten times a second all of it is copied into the
// section, which takes some ten microseconds. What takes longer (holes, symbols) is looked at once
// a second.
#include "capture/shard_parts.h"

#include "format/ensure.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)CHANNEL_COUNT <= (int)STATISTICS_CHANNELS, "each channel has a place");
_Static_assert(SYMBOL_NAME_BYTES_MAX < sizeof(((struct statistics_symbol *)0)->name), "names fit");

int shard_statistics_open(struct shard *shard)
{
    if (shard->options.statistics == NULL) return 0;
    shard->statistics = calloc(1, sizeof *shard->statistics);
    return shard->statistics != NULL ? 0 : -ENOMEM;
}

void shard_statistics_close(struct shard *shard)
{
    free(shard->statistics);
    shard->statistics = NULL;
}

// ---- once a second ----

static void statistics_holes(struct shard *shard)
{
    struct statistics_exchange *exchanges = shard->intake.exchanges;
    const struct arbiter *arbiter = &shard->intake.arbiter;
    for (uint32_t e = 0; e < STATISTICS_EXCHANGES_MAX; e++) {
        for (uint32_t c = 0; c < CHANNEL_COUNT; c++) exchanges[e].channels[c].holes_open = 0;
    }
    for (uint32_t i = 0; i < arbiter->pool.high; i++) {
        const struct coverage_hole *hole = &arbiter->pool.holes[i];
        if (hole->state == COVERAGE_FREE) continue;
        const struct arbiter_key *key = &arbiter->keys[hole->key];
        const uint32_t exchange = key->exchange - 1u;
        exchanges[exchange < STATISTICS_OWN ? exchange : STATISTICS_OWN]
            .channels[key->channel]
            .holes_open++;
    }
}

static void statistics_symbol(const struct shard *shard, const char *name)
{
    struct statistics_shard *own = shard->statistics;
    const struct arbiter *arbiter = &shard->intake.arbiter;
    struct symbols *symbols = shard->symbols;
    const char *colon = strchr(name, ':');
    if (colon == NULL) return;
    char exchange[SYMBOL_NAME_BYTES_MAX + 1];
    (void)snprintf(exchange, sizeof exchange, "%.*s", (int)(colon - name), name);
    const uint32_t symbol = symbols_find(symbols, symbols_exchange(symbols, exchange), colon + 1,
                                         (uint32_t)strlen(colon + 1));
    if (symbol == SYMBOL_NONE || shard->symbol_uses[symbol] == 0) return;
    struct statistics_symbol *place = &own->symbol[own->symbol_count++];
    (void)snprintf(place->name, sizeof place->name, "%s", name);
    for (uint32_t c = 0; c < CHANNEL_COUNT; c++) {
        const uint32_t key = arbiter_key_find(arbiter, symbol, (enum channel)c);
        place->events[c] = key != ARBITER_KEY_NONE ? arbiter->keys[key].stored : 0;
    }
}

static void statistics_symbols(struct shard *shard)
{
    const struct shard_symbols *wanted = shard->options.symbols;
    shard->statistics->symbol_count = 0;
    if (wanted == NULL) return;
    ensure(wanted->count <= STATISTICS_SYMBOLS_MAX);
    for (uint32_t i = 0; i < wanted->count; i++) statistics_symbol(shard, wanted->name[i]);
}

static void statistics_slow(struct shard *shard)
{
    const int64_t now_ns = io_monotonic_ns(shard->io);
    if (now_ns < shard->statistics_ns) return;
    shard->statistics_ns = now_ns + LIMIT_SECOND_NS;
    statistics_holes(shard);
    statistics_symbols(shard);
}

// ---- ten times a second ----

// Of the links of a feed each place has one a copy: dark is a place whose copies are all down.
static void statistics_places(struct shard *shard, uint32_t feed)
{
    uint64_t wanted[LIMIT_LINKS / 64] = {0};
    uint64_t live[LIMIT_LINKS / 64] = {0};
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        const struct shard_slot *slot = &shard->slots[i];
        if (!slot->used || slot->ended || slot->feed != feed) continue;
        const uint32_t place = slot->link.streams.place;
        ensure(place < LIMIT_LINKS);
        wanted[place / 64] |= 1ull << place % 64;
        if (slot->link.state == LINK_LIVE) live[place / 64] |= 1ull << place % 64;
    }
    for (uint32_t i = 0; i < LIMIT_LINKS / 64; i++) {
        shard->statistics->streams_wanted += (uint64_t)__builtin_popcountll(wanted[i]);
        shard->statistics->streams_dark += (uint64_t)__builtin_popcountll(wanted[i] & ~live[i]);
    }
}

// An exchange keeps its name when its last feed goes: what was counted stays.
static void statistics_name(struct shard *shard, const struct link_feed *feed)
{
    if (feed->context.exchange >= STATISTICS_OWN) return;
    struct statistics_exchange *exchange = &shard->intake.exchanges[feed->context.exchange];
    (void)snprintf(exchange->name, sizeof exchange->name, "%s", feed->dialect->name);
}

static void statistics_feeds(struct shard *shard)
{
    shard->statistics->streams_wanted = shard->statistics->streams_dark = 0;
    for (uint32_t i = 0; i < LIMIT_SHARD_FEEDS; i++) {
        if (shard->feeds[i].feed == NULL || shard->feeds[i].removing) continue;
        statistics_name(shard, &shard->feeds[i].links);
        statistics_places(shard, i);
    }
}

static void statistics_link(const struct shard *shard, const struct shard_slot *slot,
                            struct statistics_link *out)
{
    const struct link *link = &slot->link;
    const uint32_t exchange = link->feed->context.exchange;
    *out = (struct statistics_link){
        .number = link->number,
        .state = (uint8_t)link->state,
        .exchange = (uint8_t)(exchange < STATISTICS_OWN ? exchange : STATISTICS_OWN),
        .copy = (uint8_t)link->streams.copy,
        .retired = link->retired,
        .streams = link->streams.count,
        .feed = shard->feeds[slot->feed].feed->id,
        .messages = link->figures.messages,
        .bytes = link->figures.bytes,
        .lives = link->figures.lives,
        .downs = link->figures.downs,
        .first = link->arbiter.first,
        .second = link->arbiter.second,
        .lost = link->arbiter.lost,
        .message_ns = link->figures.message_ns,
        .live_ns = link->state == LINK_LIVE ? link->live_ns : 0,
    };
    const size_t size = strnlen(link->address_text, sizeof out->address - 1);
    memcpy(out->address, link->address_text, size);
}

static void statistics_links(struct shard *shard)
{
    struct statistics_shard *own = shard->statistics;
    own->links = own->links_live = own->link_count = own->links_left_out = 0;
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        const struct shard_slot *slot = &shard->slots[i];
        if (!slot->used || slot->ended) continue;
        own->links++;
        own->links_live += slot->link.state == LINK_LIVE;
        if (own->link_count < STATISTICS_LINKS_MAX)
            statistics_link(shard, slot, &own->link[own->link_count++]);
        else
            own->links_left_out++;
    }
}

static void statistics_exchanges(struct shard *shard)
{
    struct statistics_exchange *exchanges = shard->intake.exchanges;
    for (uint32_t i = 0; i < STATISTICS_OWN; i++) {
        const struct intake_lag *lag = &shard->intake.lags[i];
        struct statistics_exchange *exchange = &exchanges[i];
        exchange->clock_off = lag->off;
        exchange->clock_known = lag->told_known;
        exchange->clock_offset_ns = lag->told_ns;
    }
    (void)snprintf(exchanges[STATISTICS_OWN].name, STATISTICS_NAME_BYTES, "ringtape");
    memcpy(shard->statistics->exchanges, exchanges, sizeof shard->statistics->exchanges);
}

static void statistics_counts(struct shard *shard)
{
    struct statistics_shard *own = shard->statistics;
    const struct intake_counters *intake = &shard->intake.counters;
    const struct mend_counters *mend = &shard->mend.counters;
    own->messages = intake->messages;
    own->bytes = intake->bytes;
    own->events = intake->events;
    own->raw = intake->raw;
    own->repaired = intake->repaired;
    own->unknown_keys = intake->unknown;
    own->copies = shard->intake.arbiter.counters.copies;
    own->symbols = symbols_count(shard->symbols);
    own->connects = shard->shared.counters.connects;
    own->downs = shard->shared.counters.downs;
    own->feeds_failed = shard->feeds_failed;
    own->keys_missing = shard->keys_missing;
    own->mutes = shard->mutes;
    own->rest_requests = mend->requests;
    own->rest_failures = mend->failures;
    own->audits = mend->audits;
    own->snapshots = mend->snapshots;
    own->candles = shard->derive.candles.counters.issued;
    own->candles_late = shard->derive.candles.counters.beyond;
    own->alerts = shard->derive.alerts.emitted;
}

static void statistics_tape(struct shard *shard, const struct tape_writer_counters *tape)
{
    struct statistics_shard *own = shard->statistics;
    own->refused = tape->rows_refused + tape->rows_unfit;
    own->paused = tape->rows_paused;
    own->tape = tape->tape;
    own->tapes = tape->tapes;
    own->tape_rows_durable = tape->rows_durable;
    own->tape_bytes = tape->bytes;
    own->tape_batches = tape->batches;
    own->tape_writes = tape->writes;
    own->tape_failures = tape->failures;
    own->tape_ready = tape_writer_ready(shard->writer);
    own->tape_lag_rows = tape->rows - tape->rows_durable;
    own->tape_lag_bytes = tape->bytes_waiting;
    own->tape_lag_ns = tape->waiting_ns;
    own->feed_skipped = shard->options.feed != NULL ? tape_feed_skipped(shard->options.feed) : 0;
    own->commit = *tape_writer_latency(shard->writer);
    own->decode = shard->shared.decode;
}

static void statistics_ring(struct shard *shard)
{
    const struct io_counters ring = io_counters(shard->io);
    struct statistics_shard *own = shard->statistics;
    own->ring_completions = ring.completions;
    own->ring_enters = ring.enters;
    own->ring_no_buffers = ring.receive_no_buffers;
    own->ring_overflows = ring.overflows;
    own->clock_steps = ring.clock_steps;
}

void shard_statistics_tick(struct shard *shard, const struct tape_writer_counters *tape)
{
    const int64_t now_ns = io_monotonic_ns(shard->io);
    if (shard->statistics == NULL) return;
    // Of links there may be a thousand, and each costs. What was last is told whenever it is.
    if (shard->state == SHARD_RUNNING && now_ns < shard->told_ns) return;
    shard->told_ns = now_ns + SHARD_STATISTICS_NS;
    shard->statistics->heartbeat_ns = now_ns;
    statistics_slow(shard);
    statistics_feeds(shard);
    statistics_counts(shard);
    statistics_tape(shard, tape);
    statistics_ring(shard);
    statistics_links(shard);
    statistics_exchanges(shard);
    statistics_publish(shard->options.statistics, shard->statistics, sizeof *shard->statistics);
}
