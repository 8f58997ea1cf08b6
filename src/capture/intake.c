// SPDX-License-Identifier: GPL-3.0-or-later
//
// intake: see intake.h. Contract: every event the dialect gives is handed to the sink in its order,
// but for whole frames with an unknown key beyond the first LIMIT_UNKNOWN_KEY_FRAMES of that key:
// these are counted, and a status row says so at every power of ten. Nothing is allocated after
// the open.
#include "capture/intake.h"

#include "format/ensure.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static void intake_tell(void *context, const struct arbiter_news *news);
static void intake_release(void *context, const struct event *event, uint32_t link);

int intake_open(struct intake *intake, intake_sink *sink, void *sink_context,
                const struct log *log)
{
    memset(intake, 0, sizeof *intake);
    intake->sink = sink;
    intake->sink_context = sink_context;
    intake->log = log;
    intake->levels = calloc(EVENT_LEVELS_MAX, sizeof *intake->levels);
    intake->unknown = calloc(LIMIT_UNKNOWN_KEYS, sizeof *intake->unknown);
    intake->exchanges = calloc(STATISTICS_EXCHANGES_MAX, sizeof *intake->exchanges);
    int error = arbiter_open(&intake->arbiter, intake_tell, intake_release, intake);
    if (error == 0 && intake->levels != NULL && intake->unknown != NULL &&
        intake->exchanges != NULL)
        return 0;
    intake_close(intake);
    return -ENOMEM;
}

void intake_close(struct intake *intake)
{
    free(intake->levels);
    free(intake->unknown);
    free(intake->exchanges);
    intake->levels = NULL;
    intake->unknown = NULL;
    intake->exchanges = NULL;
    arbiter_close(&intake->arbiter);
}

struct arbiter_now intake_now(const struct intake *intake)
{
    return (struct arbiter_now){intake->last_ns, intake->last_ns - intake->utc_offset_ns};
}

// ---- figures ----

// By the symbol table's number of the exchange; those beyond share the last place.
static inline struct statistics_exchange *intake_exchange(struct intake *intake, uint32_t exchange)
{
    return &intake->exchanges[exchange < STATISTICS_OWN ? exchange : STATISTICS_OWN];
}

// Of a row that came by itself: candles, status rows, what was held or repaired.
static struct statistics_exchange *intake_whose(struct intake *intake, const struct event *event)
{
    if (intake->symbols == NULL || event->symbol == SYMBOL_NONE)
        return &intake->exchanges[STATISTICS_OWN];
    return intake_exchange(intake, symbols_name(intake->symbols, event->symbol)->exchange);
}

// How long it was on its way, by the exchange's clock and ours. Inline and for each message it
// takes some nanoseconds of two hundred, so: one in INTAKE_TIMED_MESSAGES, out of line.
__attribute__((noinline)) static void intake_wire(struct intake *intake,
                                                  struct statistics_exchange *exchange,
                                                  const struct event *event)
{
    if (event->channel > CHANNEL_KLINE || !event_has(event, COLUMN_FIRST_OWN) ||
        event->value[COLUMN_FLAGS] != 0)
        return;
    histogram_add(&exchange->wire, intake->last_ns - event->value[COLUMN_FIRST_OWN]);
}

// ---- rows ----

static inline bool intake_hand_on(struct intake *intake, struct event *event, uint32_t link,
                                  struct statistics_exchange *exchange)
{
    struct statistics_channel *figures = &exchange->channels[event->channel];
    event_set(event, COLUMN_RECEIVE_TIME, intake->last_ns);
    if (link != INTAKE_NO_LINK) event_set(event, COLUMN_LINK, link);
    bool taken = intake->sink(intake->sink_context, event);
    if (taken) {
        intake->counters.events++;
        figures->events++;
    } else {
        intake->counters.refused++;
        figures->refused++;
    }
    return taken;
}

// What was judged new and cannot be stored is missing after all.
static inline bool intake_store(struct intake *intake, struct event *event, uint32_t link,
                                struct statistics_exchange *exchange)
{
    bool taken = intake_hand_on(intake, event, link, exchange);
    if (!taken) arbiter_refused(&intake->arbiter, event, intake_now(intake));
    return taken;
}

static inline void intake_clock(struct intake *intake, int64_t now_ns)
{
    if (now_ns > intake->last_ns) intake->last_ns = now_ns;
}

static void intake_status_range(struct event *event, const struct intake_range *range)
{
    event_set(event, STATUS_CHANNEL, range->channel);
    if (range->first != COVERAGE_NONE) event_set(event, STATUS_FIRST_ID, range->first);
    if (range->last != COVERAGE_NONE) event_set(event, STATUS_LAST_ID, range->last);
    if (range->from_ns != 0) event_set(event, STATUS_FROM_TIME, range->from_ns);
    if (range->to_ns != 0) event_set(event, STATUS_TO_TIME, range->to_ns);
}

void intake_status(struct intake *intake, int64_t now_ns, const struct intake_status *status)
{
    struct event event;
    event_clear(&event, CHANNEL_STATUS, status->symbol);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, STATUS_KIND, status->kind);
    if (status->count != INTAKE_NO_COUNT) event_set(&event, STATUS_COUNT, status->count);
    if (status->detail != NULL)
        event_set_text(&event, STATUS_DETAIL, status->detail, (uint32_t)strlen(status->detail));
    if (status->range != NULL) intake_status_range(&event, status->range);
    intake_clock(intake, now_ns);
    // Refused is counted.
    (void)intake_hand_on(intake, &event, status->link, intake_whose(intake, &event));
}

bool intake_event(struct intake *intake, struct event *event, int64_t now_ns, uint32_t link)
{
    ensure(event_has(event, COLUMN_FLAGS));
    intake_clock(intake, now_ns);
    return intake_hand_on(intake, event, link, intake_whose(intake, event));
}

// ---- arbiter ----

static void intake_count_hole(struct intake *intake, const struct arbiter_key *key,
                              enum status_kind kind)
{
    struct statistics_channel *figures =
        &intake_exchange(intake, key->exchange - 1u)->channels[key->channel];
    figures->holes_opened += kind == STATUS_HOLE_OPENED;
    figures->holes_repaired += kind == STATUS_HOLE_REPAIRED;
    figures->holes_lost += kind == STATUS_HOLE_LOST;
}

static void intake_tell(void *context, const struct arbiter_news *news)
{
    struct intake *intake = context;
    const struct arbiter_key *key = &intake->arbiter.keys[news->key];
    intake_count_hole(intake, key, news->kind);
    const struct intake_range range = {(enum channel)key->channel, news->first, news->last,
                                       news->from_ns, news->to_ns};
    intake->counters.holes_opened += news->kind == STATUS_HOLE_OPENED;
    intake->counters.holes_lost += news->kind == STATUS_HOLE_LOST;
    intake_status(intake, intake->last_ns,
                  &(struct intake_status){
                      .kind = news->kind,
                      .link = INTAKE_NO_LINK,
                      .symbol = key->symbol,
                      .count = news->count == COVERAGE_NONE ? INTAKE_NO_COUNT : news->count,
                      .detail = news->detail,
                      .range = &range});
}

static void intake_release(void *context, const struct event *event, uint32_t link)
{
    struct intake *intake = context;
    struct event *copy = &intake->released;
    *copy = *event;
    (void)intake_store(intake, copy, link - 1, intake_whose(intake, copy));
}

bool intake_repaired(struct intake *intake, struct event *event, int64_t now_ns)
{
    ensure(event_has(event, COLUMN_FLAGS));
    intake_clock(intake, now_ns);
    struct statistics_exchange *exchange = intake_whose(intake, event);
    const enum arbiter_verdict verdict =
        arbiter_judge(&intake->arbiter, event, NULL, intake_now(intake));
    exchange->channels[event->channel].duplicates += verdict == ARBITER_COPY;
    if (verdict != ARBITER_NEW) return false;
    bool stored = intake_store(intake, event, INTAKE_NO_LINK, exchange);
    if (stored) {
        intake->counters.repaired++;
        exchange->channels[event->channel].repaired++;
    }
    return stored;
}

// ---- unknown keys ----

static bool intake_power_of_ten(uint64_t count)
{
    while (count % 10 == 0 && count > 0) count /= 10;
    return count == 1;
}

// The slot of the key; when the table is full all further keys share the first one.
static struct intake_unknown *intake_unknown_slot(struct intake *intake, uint64_t hash)
{
    uint32_t at = (uint32_t)(hash % LIMIT_UNKNOWN_KEYS);
    for (uint32_t i = 0; i < LIMIT_UNKNOWN_KEYS; i++) {
        struct intake_unknown *slot = &intake->unknown[(at + i) % LIMIT_UNKNOWN_KEYS];
        if (slot->hash == hash) return slot;
        if (slot->hash != 0) continue;
        slot->hash = hash;
        intake->unknown_count++;
        return slot;
    }
    ensure(intake->unknown_count == LIMIT_UNKNOWN_KEYS);
    return &intake->unknown[0];
}

static void intake_unknown_tell(struct intake *intake, const struct intake_source *source,
                                struct event_text key, uint64_t count)
{
    char detail[160];
    (void)snprintf(detail, sizeof detail, "%s: %.*s", source->dialect->name, (int)key.size,
                   (const char *)key.bytes);
    intake_status(intake, intake->last_ns,
                  &(struct intake_status){.kind = STATUS_UNKNOWN_KEY,
                                          .link = source->link,
                                          .symbol = SYMBOL_NONE,
                                          .count = (int64_t)count,
                                          .detail = detail});
    log_write(intake->log, LOG_UNKNOWN_KEY, intake->last_ns,
              "link=%u key=\"%s\" count=%llu", source->link, detail, (unsigned long long)count);
}

// True if this frame is still kept whole.
static bool intake_unknown_keep(struct intake *intake, const struct intake_source *source,
                                const struct event *event)
{
    struct event_text key = event_text(event, RAW_DETAIL);
    uint64_t seed = (uint64_t)(uintptr_t)source->dialect->name;
    uint64_t hash = XXH3_64bits_withSeed(key.bytes, key.size, seed) | 1;
    struct intake_unknown *slot = intake_unknown_slot(intake, hash);
    uint64_t count = ++slot->count;
    intake->counters.unknown++;
    intake_exchange(intake, source->context->exchange)->unknown_keys++;
    if (intake_power_of_ten(count)) intake_unknown_tell(intake, source, key, count);
    return count <= LIMIT_UNKNOWN_KEY_FRAMES;
}

static bool intake_raw_keep(struct intake *intake, const struct intake_source *source,
                            const struct event *event)
{
    if (event_has(event, RAW_REASON) && event->value[RAW_REASON] == RAW_UNKNOWN_KEY &&
        event_has(event, RAW_DETAIL) && !intake_unknown_keep(intake, source, event))
        return false;
    intake->counters.raw++;
    return true;
}

// ---- messages ----

static void intake_keep_raw(struct intake *intake, const struct intake_source *source,
                            const uint8_t *bytes, uint32_t size)
{
    struct event *event = &intake->event;
    event_clear(event, CHANNEL_RAW, SYMBOL_NONE);
    event_set(event, COLUMN_FLAGS, 0);
    event_set(event, RAW_REASON, RAW_KEPT);
    event_set_text(event, RAW_FRAME, bytes, size);
    intake->counters.raw++;
    (void)intake_hand_on(intake, event, source->link,
                         intake_exchange(intake, source->context->exchange));
}

static inline void intake_lag(struct intake *intake, const struct intake_source *source,
                              const struct event *event)
{
    if (!event_has(event, TRADE_EVENT_TIME) || event->value[COLUMN_FLAGS] != 0) return;
    struct intake_lag *lag = &intake->lags[source->context->exchange % SYMBOL_EXCHANGES_MAX];
    int64_t lag_ns = intake->last_ns - event->value[TRADE_EVENT_TIME];
    if (lag->events++ == 0 || lag_ns < lag->least_ns) lag->least_ns = lag_ns;
    lag->name = source->dialect->name;
}

const struct dialect_frame *intake_message(struct intake *intake,
                                           const struct intake_source *source,
                                           const uint8_t *bytes, uint32_t size,
                                           int64_t received_ns)
{
    ensure(size <= LIMIT_MESSAGE_BYTES);
    const struct dialect *dialect = source->dialect;
    struct event *event = &intake->event;
    struct statistics_exchange *exchange = intake_exchange(intake, source->context->exchange);
    const bool timed = intake->counters.messages++ % INTAKE_TIMED_MESSAGES == 0;
    intake->counters.bytes += size;
    intake_clock(intake, received_ns);
    if (source->keep_raw) intake_keep_raw(intake, source, bytes, size);
    dialect_frame_begin(dialect, &intake->frame, source->context, bytes, size, intake->levels);
    while (dialect->next(&intake->frame, event)) {
        if (event->channel == CHANNEL_RAW && !intake_raw_keep(intake, source, event)) continue;
        if (source->arbiter != NULL) {
            const enum arbiter_verdict verdict =
                arbiter_judge(&intake->arbiter, event, source->arbiter, intake_now(intake));
            exchange->channels[event->channel].duplicates += verdict == ARBITER_COPY;
            if (verdict != ARBITER_NEW) continue;
        }
        if (event->channel == CHANNEL_TRADE) intake_lag(intake, source, event);
        if (timed) intake_wire(intake, exchange, event);
        (void)intake_store(intake, event, source->link, exchange);
    }
    return &intake->frame;
}
