// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard_keys: which keys the arbiter of a shard has, by its feeds, and which of them live links
// carry. Contract: a key is open while a feed wants it; it counts each live link once for each of
// its streams.
#include "capture/shard_parts.h"

#include "format/ensure.h"
#include <string.h>

struct arbiter_now shard_now(struct shard *shard)
{
    return (struct arbiter_now){io_utc_ns(shard->io), io_monotonic_ns(shard->io)};
}

static enum arbiter_rule keys_rule(const struct dialect *dialect, enum channel channel)
{
    switch (channel) {
    case CHANNEL_TRADE: return dialect->trade_ids_follow ? ARBITER_SEQUENCE : ARBITER_SET;
    case CHANNEL_AGG_TRADE: return ARBITER_SEQUENCE;
    case CHANNEL_DEPTH: return ARBITER_RANGE;
    case CHANNEL_QUOTE: return ARBITER_RISING;
    default: return ARBITER_LEADER;
    }
}

static enum channel keys_channel(const struct link_feed *links, uint32_t index)
{
    enum channel channel = CHANNEL_NONE;
    ensure(links->dialect->channel_known(links->channels[index].text, &channel));
    return channel;
}

// True where an earlier channel of the feed has the same rows (book5, book20).
static bool keys_repeated(const struct shard_feed_place *place, uint32_t index)
{
    enum channel channel = keys_channel(&place->links, index);
    for (uint32_t i = 0; i < index; i++) {
        if (keys_channel(&place->links, i) == channel) return true;
    }
    return false;
}

// Calls for each (symbol, channel) of the feed.
static void keys_each(struct shard *shard, const struct shard_feed_place *place,
                      void (*each)(struct shard *shard, const struct shard_feed_place *place,
                                   uint32_t symbol, enum channel channel))
{
    const struct plan_share *share = place->feed->share;
    for (uint32_t i = 0; i < share->symbol_count; i++) {
        const char *name = share->symbols[i].text;
        uint32_t symbol = symbols_find(shard->symbols, place->links.context.exchange, name,
                                       (uint32_t)strlen(name));
        ensure(symbol != SYMBOL_NONE);
        for (uint32_t c = 0; c < share->channel_count; c++) {
            if (!keys_repeated(place, c))
                each(shard, place, symbol, keys_channel(&place->links, c));
        }
    }
}

static void keys_open_one(struct shard *shard, const struct shard_feed_place *place,
                          uint32_t symbol, enum channel channel)
{
    struct arbiter *arbiter = &shard->intake.arbiter;
    uint32_t key = arbiter_key_open(arbiter, symbol, channel,
                                    keys_rule(place->links.dialect, channel));
    if (key == ARBITER_KEY_NONE) {
        shard->keys_missing++;
        return;
    }
    const struct symbol_name *name = symbols_name(shard->symbols, symbol);
    if (channel <= CHANNEL_QUOTE)
        shard_derive_symbol(shard, symbol, place->links.context.exchange,
                            place->links.dialect->name);
    bool fresh = arbiter->keys[key].exchange != place->links.context.exchange + 1;
    arbiter->keys[key].exchange = (uint8_t)(place->links.context.exchange + 1);
    if (fresh && shard->options.recall != NULL)
        recall_adopt(shard->options.recall, place->links.dialect->name,
                     name->text + name->symbol_offset, arbiter, key, shard_now(shard));
}

void shard_keys_open(struct shard *shard, uint32_t place)
{
    uint64_t missing = shard->keys_missing;
    keys_each(shard, &shard->feeds[place], keys_open_one);
    if (shard->keys_missing == missing) return;
    log_write(shard->options.log, LOG_KEYS_MISSING, io_utc_ns(shard->io),
              "shard=%u keys=%llu cause=\"more than %d symbols times channels\"",
              shard->options.index, (unsigned long long)(shard->keys_missing - missing),
              ARBITER_KEYS_MAX);
}

static void keys_close_one(struct shard *shard, const struct shard_feed_place *place,
                           uint32_t symbol, enum channel channel)
{
    (void)place;
    uint32_t key = arbiter_key_find(&shard->intake.arbiter, symbol, channel);
    if (key != ARBITER_KEY_NONE) arbiter_key_close(&shard->intake.arbiter, key);
}

void shard_keys_close(struct shard *shard, uint32_t place)
{
    keys_each(shard, &shard->feeds[place], keys_close_one);
}

typedef void keys_change(struct arbiter *arbiter, uint32_t key, const struct arbiter_link *link,
                         struct arbiter_now now);

static void keys_of_slot(struct shard *shard, const struct shard_slot *slot, keys_change *change)
{
    const struct link_streams *streams = &slot->link.streams;
    struct arbiter *arbiter = &shard->intake.arbiter;
    struct arbiter_now now = shard_now(shard);
    for (uint32_t i = 0; i < streams->count; i++) {
        enum channel channel = keys_channel(slot->link.feed, streams->streams[i].channel);
        uint32_t key = arbiter_key_find(arbiter, streams->streams[i].symbol, channel);
        if (key != ARBITER_KEY_NONE) change(arbiter, key, &slot->link.arbiter, now);
    }
}

static void key_of_stream(struct shard *shard, const struct shard_slot *slot,
                          const struct dialect_stream *stream, keys_change *change)
{
    if (!slot->up) return;
    uint32_t key = arbiter_key_find(&shard->intake.arbiter, stream->symbol,
                                    keys_channel(slot->link.feed, stream->channel));
    if (key != ARBITER_KEY_NONE)
        change(&shard->intake.arbiter, key, &slot->link.arbiter, shard_now(shard));
}

void shard_key_up(struct shard *shard, const struct shard_slot *slot,
                  const struct dialect_stream *stream)
{
    key_of_stream(shard, slot, stream, arbiter_key_up);
}

void shard_key_down(struct shard *shard, const struct shard_slot *slot,
                    const struct dialect_stream *stream)
{
    key_of_stream(shard, slot, stream, arbiter_key_down);
}

void shard_keys_up(struct shard *shard, struct shard_slot *slot)
{
    ensure(!slot->up);
    slot->up = true;
    slot->link.arbiter.mute_ns = 0;
    keys_of_slot(shard, slot, arbiter_key_up);
}

void shard_keys_down(struct shard *shard, struct shard_slot *slot)
{
    if (!slot->up) return;
    slot->up = false;
    keys_of_slot(shard, slot, arbiter_key_down);
}
