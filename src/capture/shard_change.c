// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard_change: a feed that differs from a running one by its symbols alone: they are added to and
// taken from the running links, and the symbols that stay have no hole.
//
// Symbols that go are taken from every link that has them. Symbols that come are put on links of
// each copy and group that have room, and on new links where there is none.
#include "capture/shard_parts.h"

#include "format/ensure.h"
#include <stdlib.h>
#include <string.h>

enum { CHANGE_OLD = 1, CHANGE_NEW = 2 };

struct change {
    struct shard *shard;
    uint32_t place;
    const struct plan_share *share; // the new one
    uint8_t *marks;                 // [LIMIT_SHARD_SYMBOLS]
    struct dialect_stream *streams; // scratch: of one group
};

static void change_mark(struct change *change, const struct plan_share *share, uint8_t mark)
{
    uint32_t exchange = change->shard->feeds[change->place].links.context.exchange;
    for (uint32_t i = 0; i < share->symbol_count; i++) {
        const char *name = share->symbols[i].text;
        uint32_t symbol =
            symbols_find(change->shard->symbols, exchange, name, (uint32_t)strlen(name));
        ensure(symbol != SYMBOL_NONE);
        change->marks[symbol] |= mark;
    }
}

static struct shard_slot *change_slot(struct change *change, uint32_t index)
{
    struct shard_slot *slot = &change->shard->slots[index];
    return slot->used && !slot->ended && slot->feed == change->place ? slot : NULL;
}

// ---- symbols that go ----

static void change_drop(struct change *change, struct shard_slot *slot)
{
    const struct link_streams *streams = &slot->link.streams;
    for (uint32_t i = streams->count; i-- > 0;) {
        struct dialect_stream stream = streams->streams[i];
        if ((change->marks[stream.symbol] & CHANGE_NEW) != 0) continue;
        shard_key_down(change->shard, slot, &stream);
        link_drop_stream(&slot->link, &stream);
    }
    if (streams->count == 0) link_stop(&slot->link);
}

// ---- symbols that come ----

static void change_add(struct change *change, struct shard_slot *slot,
                       const struct dialect_stream *streams, uint32_t count)
{
    link_add_streams(&slot->link, streams, count);
    for (uint32_t i = 0; i < count; i++) shard_key_up(change->shard, slot, &streams[i]);
}

// All streams of one symbol stay together: as many whole symbols as the link has room for.
static uint32_t change_portion(uint32_t room, uint32_t left, uint32_t a_symbol)
{
    uint32_t fitting = room / a_symbol * a_symbol;
    return fitting < left ? fitting : left;
}

static void change_place(struct change *change, uint32_t copy, uint32_t group, uint32_t count,
                         uint32_t a_symbol)
{
    uint32_t done = 0;
    uint32_t links = 0;
    for (uint32_t i = 0; i < change->shard->slots_high; i++) {
        struct shard_slot *slot = change_slot(change, i);
        if (slot == NULL || slot->link.streams.copy != copy || slot->link.streams.group != group)
            continue;
        links++;
        if (slot->link.stopping || slot->link.retired || done == count) continue;
        uint32_t portion = change_portion(link_streams_room(&slot->link), count - done, a_symbol);
        if (portion > 0) change_add(change, slot, change->streams + done, portion);
        done += portion;
    }
    while (done < count) {
        uint32_t portion =
            change_portion(change->share->dialect->streams_max, count - done, a_symbol);
        const struct link_streams streams = {change->streams + done, portion, group, copy, links++};
        if (shard_link_open(change->shard, change->place, &streams, SHARD_NONE) == SHARD_NONE)
            change->shard->feeds_failed++;
        done += portion;
    }
}

// The new symbols' streams of one group; a_symbol: of each.
static uint32_t change_gather(struct change *change, uint32_t group, uint32_t *a_symbol)
{
    const struct plan_share *share = change->share;
    uint32_t exchange = change->shard->feeds[change->place].links.context.exchange;
    uint32_t count = 0;
    *a_symbol = 0;
    for (uint32_t c = 0; c < share->channel_count; c++)
        *a_symbol += share->dialect->group(share->channels[c].text) == group;
    for (uint32_t i = 0; i < share->symbol_count; i++) {
        const char *name = share->symbols[i].text;
        uint32_t symbol =
            symbols_find(change->shard->symbols, exchange, name, (uint32_t)strlen(name));
        if ((change->marks[symbol] & CHANGE_OLD) != 0) continue;
        for (uint32_t c = 0; c < share->channel_count; c++) {
            if (share->dialect->group(share->channels[c].text) == group)
                change->streams[count++] = (struct dialect_stream){symbol, (uint16_t)c};
        }
    }
    return count;
}

// ---- the change ----

static void change_links(struct change *change)
{
    const struct plan_share *share = change->share;
    for (uint32_t i = 0; i < change->shard->slots_high; i++) {
        struct shard_slot *slot = change_slot(change, i);
        if (slot != NULL) change_drop(change, slot);
    }
    for (uint32_t group = 0; group < share->dialect->group_count; group++) {
        uint32_t a_symbol;
        uint32_t count = change_gather(change, group, &a_symbol);
        for (uint32_t copy = 0; count > 0 && copy < share->redundancy; copy++)
            change_place(change, copy, group, count, a_symbol);
    }
}

// The place is the new feed's from now on; what both have is used by one of them all the time.
static void change_feed(struct change *change, struct shard_feed *feed)
{
    struct shard *shard = change->shard;
    struct shard_feed_place *place = &shard->feeds[change->place];
    struct shard_feed *old = place->feed;
    place->feed = feed;
    place->links.channels = feed->share->channels;
    shard_feed_hold(shard, change->place);
    change_links(change);
    place->feed = old;
    shard_feed_release(shard, change->place);
    place->feed = feed;
    feed->replaces = 0;
    // The links go on with the trust they have.
    struct tls_context *tls = feed->tls;
    feed->tls = old->tls;
    old->tls = tls;
    shard_feed_destroy(old);
}

// Of a reload, never of an event.
static bool change_allocate(struct change *change)
{
    change->marks = calloc(LIMIT_SHARD_SYMBOLS, 1);
    change->streams = malloc((size_t)change->share->symbol_count * change->share->channel_count *
                             sizeof *change->streams);
    return change->marks != NULL && change->streams != NULL;
}

bool shard_feed_change(struct shard *shard, uint32_t index, struct shard_feed *feed)
{
    ensure(feed->same_links && shard->feeds[index].feed != NULL);
    struct change change = {.shard = shard, .place = index, .share = feed->share};
    uint32_t before = shard->feeds[index].feed->share->symbol_count;
    bool good = change_allocate(&change);
    if (good) {
        change_mark(&change, shard->feeds[index].feed->share, CHANGE_OLD);
        change_mark(&change, feed->share, CHANGE_NEW);
        change_feed(&change, feed);
        log_write(shard->options.log, LOG_FEED_CHANGED, io_utc_ns(shard->io),
                  "shard=%u exchange=%s symbols_before=%u symbols=%u", shard->options.index,
                  feed->share->dialect->name, before, feed->share->symbol_count);
    }
    free(change.marks);
    free(change.streams);
    return good;
}
