// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard_feed: the feeds of a shard: their symbols, links, replacement on a reload, instrument rows.
//
// Contract: a feed that differs from a running one by its symbols alone changes its links
// (shard_change.c). Any other that replaces one is connected first; the old one ends when every
// link of the new one was live, or after SHARD_REPLACE_NS. A symbol's added and removed rows are
// written when the first feed wants it and when the last one lets go, so a replacement writes none.
// An instrument row is written for what differs from the last one of this life; after a start all
// are.
#include "capture/shard_parts.h"

#include "format/ensure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static uint32_t shard_feed_find(const struct shard *shard, uint32_t id)
{
    for (uint32_t i = 0; i < LIMIT_SHARD_FEEDS; i++) {
        if (shard->feeds[i].feed != NULL && shard->feeds[i].feed->id == id) return i;
    }
    return LIMIT_SHARD_FEEDS;
}

static uint32_t shard_feed_free_place(const struct shard *shard)
{
    for (uint32_t i = 0; i < LIMIT_SHARD_FEEDS; i++) {
        if (shard->feeds[i].feed == NULL) return i;
    }
    return LIMIT_SHARD_FEEDS;
}

// ---- symbols ----

static void shard_symbol_use(struct shard *shard, uint32_t symbol)
{
    if (shard->symbol_uses[symbol]++ == 0)
        shard_status(shard, STATUS_SYMBOL_ADDED, symbol, NULL);
}

static void shard_symbol_drop(struct shard *shard, uint32_t symbol)
{
    ensure(shard->symbol_uses[symbol] > 0);
    if (--shard->symbol_uses[symbol] == 0)
        shard_status(shard, STATUS_SYMBOL_REMOVED, symbol, NULL);
}

// The plan's own numbers become those of the shard's table. False: the table is full; nothing has
// changed but the table.
static bool shard_feed_number(struct shard *shard, struct plan_share *share, uint32_t exchange)
{
    for (uint32_t i = 0; i < share->symbol_count; i++) {
        const char *name = share->symbols[i].text;
        if (symbols_add(shard->symbols, exchange, name, (uint32_t)strlen(name)) == SYMBOL_NONE)
            return false;
    }
    for (uint32_t i = 0; i < share->stream_count; i++) {
        const char *name = share->symbols[share->streams[i].symbol].text;
        share->streams[i].symbol =
            symbols_find(shard->symbols, exchange, name, (uint32_t)strlen(name));
        ensure(share->streams[i].symbol < LIMIT_SHARD_SYMBOLS);
    }
    return true;
}

typedef void shard_symbol_do(struct shard *shard, uint32_t symbol);

static void shard_feed_each_symbol(struct shard *shard, const struct shard_feed_place *place,
                                   shard_symbol_do *each)
{
    const struct plan_share *share = place->feed->share;
    for (uint32_t i = 0; i < share->symbol_count; i++) {
        const char *name = share->symbols[i].text;
        uint32_t symbol = symbols_find(shard->symbols, place->links.context.exchange, name,
                                       (uint32_t)strlen(name));
        ensure(symbol != SYMBOL_NONE);
        each(shard, symbol);
    }
}

// ---- feeds ----

void shard_feed_destroy(struct shard_feed *feed)
{
    if (feed == NULL) return;
    tls_context_destroy(feed->tls);
    tls_context_destroy(feed->rest_tls);
    plan_free(feed->share);
    free(feed);
}

static bool shard_feed_fill(struct shard *shard, struct shard_feed_place *place)
{
    const struct dialect *dialect = place->feed->share->dialect;
    place->links = (struct link_feed){
        .dialect = dialect,
        .context = {.symbols = shard->symbols,
                    .exchange = symbols_exchange(shard->symbols, dialect->name),
                    .raw_symbol = SYMBOL_NONE},
        .channels = place->feed->share->channels,
        .url = place->feed->url,
        .tls = place->feed->tls,
        .permit_kind = permits_kind(shard->options.permits, dialect->name,
                                    dialect->connects_per_window_max, dialect->connect_window_ns),
        .keep_raw = place->feed->keep_raw,
    };
    ensure(place->links.context.exchange < SYMBOL_EXCHANGES_MAX);
    ensure((place->links.tls != NULL) == place->links.url.tls);
    if (shard_feed_number(shard, place->feed->share, place->links.context.exchange)) return true;
    log_write(shard->options.log, LOG_FEED_FAILED, io_utc_ns(shard->io),
              "exchange=%s cause=\"more than %d symbols on a shard\"",
              dialect->name, LIMIT_SHARD_SYMBOLS);
    return false;
}

static void shard_feed_connect(struct shard *shard, uint32_t index)
{
    struct shard_feed_place *place = &shard->feeds[index];
    const struct plan_share *share = place->feed->share;
    uint32_t place_of_copy[LIMIT_REDUNDANCY] = {0};
    for (uint32_t i = 0; i < share->link_count; i++) {
        const struct plan_link *link = &share->links[i];
        struct link_streams streams = {share->streams + link->stream_first, link->stream_count,
                                       link->group, link->copy, place_of_copy[link->copy]++};
        if (shard_link_open(shard, index, &streams, SHARD_NONE) == SHARD_NONE)
            shard->feeds_failed++;
    }
    log_write(shard->options.log, LOG_FEED_ADDED, io_utc_ns(shard->io),
              "shard=%u exchange=%s symbols=%u streams=%u links=%u", shard->options.index,
              share->dialect->name, share->symbol_count, share->stream_count, share->link_count);
}

void shard_feed_hold(struct shard *shard, uint32_t index)
{
    shard_feed_each_symbol(shard, &shard->feeds[index], shard_symbol_use);
    shard_keys_open(shard, index);
}

void shard_feed_release(struct shard *shard, uint32_t index)
{
    shard_keys_close(shard, index);
    shard_feed_each_symbol(shard, &shard->feeds[index], shard_symbol_drop);
}

// True where a running feed has become this one.
static bool shard_feed_changed(struct shard *shard, struct shard_feed *feed)
{
    uint32_t index = shard_feed_find(shard, feed->replaces);
    if (!feed->same_links || feed->replaces == 0 || index == LIMIT_SHARD_FEEDS ||
        shard->feeds[index].removing || shard->feeds[index].feed->replaces != 0)
        return false;
    if (!shard_feed_number(shard, feed->share, shard->feeds[index].links.context.exchange))
        return false; // told by the usual way, which fails as well
    if (!shard_feed_change(shard, index, feed)) {
        shard->feeds_failed++;
        shard_feed_destroy(feed); // what it was to replace goes on
    }
    return true;
}

void shard_feed_add(struct shard *shard, struct shard_feed *feed)
{
    if (shard_feed_changed(shard, feed)) return;
    uint32_t index = shard_feed_free_place(shard);
    if (index == LIMIT_SHARD_FEEDS) {
        log_write(shard->options.log, LOG_FEED_FAILED, io_utc_ns(shard->io),
                  "exchange=%s cause=\"too many feeds at once; reload later\"",
                  feed->share->dialect->name);
        shard->feeds_failed++;
        shard_feed_destroy(feed);
        return;
    }
    struct shard_feed_place *place = &shard->feeds[index];
    memset(place, 0, sizeof *place);
    place->feed = feed;
    if (!shard_feed_fill(shard, place)) {
        shard->feeds_failed++;
        shard_feed_destroy(feed);
        place->feed = NULL;
        return; // what it was to replace goes on
    }
    place->replace_ns = io_monotonic_ns(shard->io) + SHARD_REPLACE_NS;
    shard_feed_hold(shard, index);
    (void)mend_exchange_open(&shard->mend, place->links.dialect,
                             (uint8_t)place->links.context.exchange, &feed->rest_url,
                             &feed->rest_tls, feed->rest_weight);
    shard_feed_connect(shard, index);
}

void shard_feed_remove(struct shard *shard, uint32_t id)
{
    uint32_t index = shard_feed_find(shard, id);
    if (index == LIMIT_SHARD_FEEDS || shard->feeds[index].removing) return;
    // One that was not live yet takes along what it was to replace.
    const uint32_t replaces = shard->feeds[index].feed->replaces;
    shard->feeds[index].feed->replaces = 0;
    if (replaces != 0) shard_feed_remove(shard, replaces);
    shard->feeds[index].removing = true;
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        struct shard_slot *slot = &shard->slots[i];
        if (slot->used && !slot->ended && slot->feed == index) link_stop(&slot->link);
    }
}

void shard_feed_free(struct shard *shard, struct shard_feed_place *place)
{
    ensure(place->slots == 0 && place->feed != NULL);
    if (shard->state == SHARD_RUNNING) {
        shard_feed_release(shard, (uint32_t)(place - shard->feeds));
        log_write(shard->options.log, LOG_FEED_REMOVED, io_utc_ns(shard->io),
                  "shard=%u exchange=%s symbols=%u", shard->options.index,
                  place->links.dialect->name, place->feed->share->symbol_count);
    }
    shard_feed_destroy(place->feed);
    memset(place, 0, sizeof *place);
}

static bool shard_feed_lived(const struct shard *shard, uint32_t index)
{
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        const struct shard_slot *slot = &shard->slots[i];
        if (slot->used && slot->feed == index && !slot->lived) return false;
    }
    return true;
}

void shard_feed_tick(struct shard *shard, int64_t now_ns)
{
    for (uint32_t i = 0; i < LIMIT_SHARD_FEEDS; i++) {
        struct shard_feed_place *place = &shard->feeds[i];
        if (place->feed == NULL) continue;
        if (place->removing && place->slots == 0) {
            shard_feed_free(shard, place);
        } else if (place->feed->replaces != 0 &&
                   (now_ns >= place->replace_ns || shard_feed_lived(shard, i))) {
            shard_feed_remove(shard, place->feed->replaces);
            place->feed->replaces = 0;
        }
    }
}

// ---- instruments ----

void shard_instruments_add(struct shard *shard, const struct shard_command *command)
{
    for (uint32_t i = 0; i < LIMIT_FEEDS; i++) {
        struct shard_instruments *work = &shard->instruments[i];
        if (work->body != NULL) continue;
        *work = (struct shard_instruments){
            .dialect = command->dialect, .body = command->body, .body_size = command->body_size};
        return;
    }
    free(command->body); // as many replies wait as there are feeds; the next reload brings it again
}

struct shard_walk {
    struct shard *shard;
    struct shard_instruments *work;
    uint32_t exchange;
    uint32_t rows;
};

static void shard_instrument(void *context, const struct event *event, const char *symbol,
                             uint32_t symbol_size, bool trading)
{
    (void)trading; // the row says it
    struct shard_walk *walk = context;
    if (walk->rows == SHARD_INSTRUMENTS_A_TICK || walk->work->seen++ < walk->work->done) return;
    walk->work->done++;
    struct shard *shard = walk->shard;
    uint32_t number = symbols_find(shard->symbols, walk->exchange, symbol, symbol_size);
    if (number == SYMBOL_NONE || shard->symbol_uses[number] == 0) return;
    // Everything else in the row is taken from its body. What was refused comes again.
    struct event_text body = event_text(event, INSTRUMENT_BODY);
    uint64_t hash = XXH3_64bits(body.bytes, body.size) | 1;
    if (shard->instrument_hash[number] == hash) return;
    struct event row = *event;
    row.symbol = number;
    if (!event_has(&row, COLUMN_FLAGS)) event_set(&row, COLUMN_FLAGS, 0);
    if (intake_event(&shard->intake, &row, io_utc_ns(shard->io), INTAKE_NO_LINK))
        shard->instrument_hash[number] = hash;
    walk->rows++;
}

static void shard_instruments_step(struct shard *shard, struct shard_instruments *work)
{
    struct shard_walk walk = {.shard = shard,
                              .work = work,
                              .exchange = symbols_exchange(shard->symbols, work->dialect->name)};
    work->seen = 0;
    int error = work->dialect->instruments(work->body, work->body_size, shard_instrument, &walk);
    if (error == 0 && walk.rows == SHARD_INSTRUMENTS_A_TICK) return; // the rest at the next tick
    free(work->body);
    work->body = NULL;
}

void shard_instruments_tick(struct shard *shard)
{
    for (uint32_t i = 0; i < LIMIT_FEEDS; i++) {
        if (shard->instruments[i].body == NULL) continue;
        shard_instruments_step(shard, &shard->instruments[i]);
        return; // one portion a tick
    }
}
