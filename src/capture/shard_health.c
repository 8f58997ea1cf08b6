// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard_health: what nobody tells: a connection that stands and answers pings but brings nothing,
// and a clock that is off.
//
// A link is mute when it has brought no event for SHARD_MUTE_NS while its siblings, with the same
// streams, brought SHARD_MUTE_EVENTS; or, without siblings, when it is silent for
// SHARD_MUTE_ALONE_NS and an audit has found trades of its symbols since. A quiet symbol is
// neither. (A connection without any sign of life is the link's own to find: dialect.idle_limit.)
//
// The clock: of each exchange the least distance from event time (when the exchange sent) to
// receive time in SHARD_LAG_NS. The way takes at least 0: a negative least is a clock behind. Far
// above any way: a clock ahead, or a feed that lags.
#include "capture/shard_parts.h"

#include "format/ensure.h"

// ---- mute links ----

static uint64_t slot_events(const struct shard_slot *slot)
{
    return slot->link.arbiter.first + slot->link.arbiter.second;
}

static bool slots_are_siblings(const struct shard_slot *a, const struct shard_slot *b)
{
    const struct link_streams *one = &a->link.streams;
    const struct link_streams *two = &b->link.streams;
    return b->used && !b->ended && a->feed == b->feed && one->copy != two->copy &&
           one->place == two->place && one->group == two->group;
}

static uint64_t sibling_events(const struct shard *shard, const struct shard_slot *slot)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        if (slots_are_siblings(slot, &shard->slots[i])) sum += slot_events(&shard->slots[i]);
    }
    return sum;
}

// An audit has found events of the link's keys that it should have brought.
static bool audit_contradicts(const struct shard *shard, const struct shard_slot *slot)
{
    const struct arbiter *arbiter = &shard->intake.arbiter;
    const struct link_streams *streams = &slot->link.streams;
    for (uint32_t i = 0; i < streams->count; i++) {
        uint32_t key = arbiter_key_find(arbiter, streams->streams[i].symbol, CHANNEL_TRADE);
        if (key != ARBITER_KEY_NONE && arbiter->keys[key].audit_found_ns > slot->heard_ns)
            return true;
    }
    return false;
}

static void slot_check(struct shard *shard, struct shard_slot *slot, int64_t now_ns)
{
    uint64_t events = slot_events(slot);
    uint64_t siblings = sibling_events(shard, slot);
    if (events != slot->heard || slot->heard_ns == 0 || siblings < slot->heard_siblings) {
        slot->heard = events;
        slot->heard_ns = now_ns;
        slot->heard_siblings = siblings;
        return;
    }
    int64_t silent_ns = now_ns - slot->heard_ns;
    uint64_t behind = siblings - slot->heard_siblings;
    bool mute = silent_ns >= SHARD_MUTE_NS && behind >= SHARD_MUTE_EVENTS;
    bool alone = silent_ns >= SHARD_MUTE_ALONE_NS && audit_contradicts(shard, slot);
    if (!mute && !alone) return;
    slot->link.arbiter.mute_ns = io_utc_ns(shard->io) - silent_ns - SHARD_HEALTH_NS;
    slot->heard_ns = 0;
    shard->mutes++;
    if (mute)
        link_reject(&slot->link, "mute for %lld s while its siblings brought %llu events",
                    (long long)(silent_ns / LIMIT_SECOND_NS), (unsigned long long)behind);
    else
        link_reject(&slot->link, "mute for %lld s while the exchange had trades",
                    (long long)(silent_ns / LIMIT_SECOND_NS));
}

// ---- clock ----

static void lag_tell(struct shard *shard, uint32_t exchange, int64_t lag_ns, bool off)
{
    const char *name = shard->intake.lags[exchange].name;
    intake_status(&shard->intake, io_utc_ns(shard->io),
                  &(struct intake_status){.kind = STATUS_CLOCK_OFFSET,
                                          .link = INTAKE_NO_LINK,
                                          .symbol = SYMBOL_NONE,
                                          .count = lag_ns,
                                          .detail = name});
    log_write(shard->options.log,
              !off         ? LOG_CLOCK_AGREES
              : lag_ns < 0 ? LOG_CLOCK_BEHIND
                           : LOG_CLOCK_AHEAD,
              io_utc_ns(shard->io), "exchange=%s least_lag_ms=%lld", name,
              (long long)(lag_ns / 1000000));
}

static void lag_check(struct shard *shard, uint32_t exchange)
{
    struct intake_lag *lag = &shard->intake.lags[exchange];
    if (lag->events < SHARD_LAG_EVENTS) return; // too few to judge by: the window goes on
    bool off = lag->least_ns < SHARD_LAG_LEAST_NS || lag->least_ns > SHARD_LAG_MOST_NS;
    if (off != lag->off) lag_tell(shard, exchange, lag->least_ns, off);
    lag->off = off;
    lag->told_known = true;
    lag->told_ns = lag->least_ns;
    lag->events = 0;
}

void shard_health_tick(struct shard *shard)
{
    int64_t now_ns = io_monotonic_ns(shard->io);
    if (now_ns < shard->health_ns) return;
    shard->health_ns = now_ns + SHARD_HEALTH_NS;
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        struct shard_slot *slot = &shard->slots[i];
        if (!slot->used || slot->ended) continue;
        if (slot->link.state == LINK_LIVE)
            slot_check(shard, slot, now_ns);
        else
            slot->heard_ns = 0;
    }
    if (now_ns < shard->lag_ns) return;
    shard->lag_ns = now_ns + SHARD_LAG_NS;
    for (uint32_t i = 0; i < SYMBOL_EXCHANGES_MAX; i++) lag_check(shard, i);
}
