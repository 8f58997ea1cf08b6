// SPDX-License-Identifier: GPL-3.0-or-later
//
// shard: life, commands and link slots.
//
//     RUNNING ──SHARD_STOP──→ CLOSING_LINKS ──no slot used──→ CLOSING_TAPE ──tape_writer──→
//     CLOSING_LEDGER ──file written──→ ENDED
//
// A tick ten times a second (twice, where all is quiet) does what nothing waits for: closes ended
// links, ends replaced feeds, writes instrument rows in portions, publishes the counters, moves the
// stop on.
#include "capture/shard.h"

#include "base/transition.h"
#include "capture/shard_parts.h"
#include "format/ensure.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void shard_tick_done(struct io *io, struct io_op *op);
static void shard_busy(struct shard *shard);
static void shard_hear(void *context, struct link *link, enum link_news news);
static void shard_woken(void *context);
static uint32_t shard_address_uses(void *context, const struct link *link,
                                   const struct io_address *address);

static bool shard_sink(void *context, const struct event *event)
{
    struct shard *shard = context;
    shard_derive_before(shard, event);
    if (!tape_writer_append(shard->writer, event)) return false;
    shard_derive_after(shard, event);
    return true;
}

// ---- life ----

static void shard_release(struct shard *shard)
{
    for (uint32_t i = 0; i < LIMIT_FEEDS; i++) free(shard->instruments[i].body);
    link_shared_close(&shard->shared);
    intake_close(&shard->intake);
    if (shard->symbols != NULL) symbols_close(shard->symbols);
    shard_ledger_close(shard);
    shard_derive_close(shard);
    shard_statistics_close(shard);
    free(shard->symbol_uses);
    free(shard->instrument_hash);
    free(shard->slots);
    free(shard);
}

static int shard_open_tape(struct shard *shard)
{
    const struct tape_writer_options options = {
        .store = shard->options.store,
        .symbols = shard->symbols,
        .shard = shard->options.index,
        .commit_interval_ns = shard->options.commit_interval_ns,
        .tape_bytes = shard->options.tape_bytes,
        .tape_age_ns = shard->options.tape_age_ns,
        .feed = shard->options.feed,
        .note = true,
    };
    return tape_writer_open(&shard->writer, shard->io, &options);
}

static int shard_open_parts(struct shard *shard)
{
    shard->shared.io = shard->io;
    shard->shared.log = shard->options.log;
    shard->shared.intake = &shard->intake;
    shard->shared.permits = shard->options.permits;
    shard->shared.hear = shard_hear;
    shard->shared.uses = shard_address_uses;
    shard->shared.hear_context = shard;
    shard->symbols = symbols_open(LIMIT_SHARD_SYMBOLS);
    shard->symbol_uses = calloc(LIMIT_SHARD_SYMBOLS, sizeof *shard->symbol_uses);
    shard->instrument_hash = calloc(LIMIT_SHARD_SYMBOLS, sizeof *shard->instrument_hash);
    shard->slots = calloc(LIMIT_LINKS, sizeof *shard->slots);
    if (shard->symbols == NULL || shard->symbol_uses == NULL || shard->slots == NULL ||
        shard->instrument_hash == NULL)
        return -ENOMEM;
    shard->mend.io = shard->io;
    shard->mend.log = shard->options.log;
    shard->mend.permits = shard->options.permits;
    shard->mend.board = shard->options.board;
    shard->mend.intake = &shard->intake;
    shard->mend.symbols = shard->symbols;
    int error = link_shared_open(&shard->shared);
    if (error == 0) error = shard_open_tape(shard);
    if (error == 0) error = shard_ledger_open(shard);
    if (error == 0) error = shard_derive_open(shard);
    if (error == 0) error = shard_statistics_open(shard);
    if (error == 0)
        error = intake_open(&shard->intake, shard_sink, shard, shard->options.log);
    shard->intake.symbols = shard->symbols;
    return error;
}

int shard_open(struct shard **out, struct io *io, const struct shard_options *options)
{
    ensure(options->log != NULL && options->permits != NULL && options->store != NULL);
    ensure(options->index < LIMIT_SHARDS);
    struct shard *shard = calloc(1, sizeof *shard);
    if (shard == NULL) return -ENOMEM;
    shard->options = *options;
    shard->io = io;
    // Numbers of links are unique in the process: rows of all shards meet in the segments.
    shard->link_number = options->index << 16;
    int error = shard_open_parts(shard);
    if (error != 0) {
        shard_release(shard);
        return error;
    }
    shard->waits_for_tape = true;
    shard->tape_by_ns = io_monotonic_ns(io) + SHARD_TAPE_NS;
    io_on_wake(io, shard_woken, shard);
    io_timeout(io, &shard->tick, SHARD_TICK_NS, shard_tick_done);
    *out = shard;
    return 0;
}

void shard_close(struct shard *shard)
{
    ensure(shard->state == SHARD_ENDED && io_idle(&shard->tick));
    for (uint32_t i = 0; i < LIMIT_SHARD_FEEDS; i++) {
        if (shard->feeds[i].feed != NULL) shard_feed_free(shard, &shard->feeds[i]);
    }
    mend_close(&shard->mend);
    tape_writer_close(shard->writer);
    shard_release(shard);
}

bool shard_stopped(const struct shard *shard, bool *durable)
{
    if (durable != NULL) *durable = shard->durable;
    return shard->state == SHARD_ENDED && io_idle(&shard->tick);
}

void shard_run(struct shard *shard)
{
    while (!shard_stopped(shard, NULL)) (void)io_run(shard->io, -1);
}

void shard_status(struct shard *shard, enum status_kind kind, uint32_t symbol, const char *detail)
{
    intake_status(&shard->intake, io_utc_ns(shard->io),
                  &(struct intake_status){.kind = kind,
                                          .link = INTAKE_NO_LINK,
                                          .symbol = symbol,
                                          .count = INTAKE_NO_COUNT,
                                          .detail = detail});
}

static void shard_enter(struct shard *shard, enum shard_state state)
{
    transition(TRANSITION_SHARD, shard->state, state);
    shard->state = state;
}

// ---- commands ----

static bool shard_queue_full(struct shard_queue *queue)
{
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    uint32_t head = atomic_load_explicit(&queue->head, memory_order_acquire);
    return tail - head == LIMIT_SHARD_COMMANDS;
}

bool shard_post(struct shard *shard, const struct shard_command *command)
{
    struct shard_queue *queue = &shard->queue;
    uint32_t tail = atomic_load_explicit(&queue->tail, memory_order_relaxed);
    if (shard_queue_full(queue)) return false;
    queue->commands[tail % LIMIT_SHARD_COMMANDS] = *command;
    atomic_store_explicit(&queue->tail, tail + 1, memory_order_release);
    io_wake(shard->io);
    return true;
}

void shard_post_news(struct shard *shard, struct keep_store *store)
{
    struct keep_news news;
    uint64_t *posted = &shard->news.posted;
    while (!shard_queue_full(&shard->queue) &&
           (*posted < SHARD_NEWS_MAX ||
            keep_store_news_settled(store, *posted + 1 - SHARD_NEWS_MAX)) &&
           keep_store_news(store, &news)) {
        struct shard_command command = {
            .kind = SHARD_STATUS, .status = news.kind, .news = news.number};
        (void)snprintf(command.detail, sizeof command.detail, "%s", news.detail);
        *posted = news.number;
        ensure(shard_post(shard, &command));
    }
}

// A row that was refused is written again: a disk that was full has room at last.
static void shard_news_write(struct shard *shard, struct shard_one_news *news)
{
    const uint64_t refused = tape_writer_counters(shard->writer).rows_refused;
    shard_status(shard, news->kind, SYMBOL_NONE, news->detail);
    const struct tape_writer_counters tape = tape_writer_counters(shard->writer);
    news->rows = tape.rows_refused == refused ? tape.rows : 0;
}

static void shard_news_tick(struct shard *shard, uint64_t rows_durable)
{
    struct shard_news *news = &shard->news;
    while (news->count > 0) {
        struct shard_one_news *oldest = &news->waiting[news->first % SHARD_NEWS_MAX];
        if (oldest->rows == 0 && shard->state == SHARD_RUNNING) shard_news_write(shard, oldest);
        if (oldest->rows == 0 || rows_durable < oldest->rows) return;
        keep_store_settle_news(shard->options.store, oldest->number);
        news->first++;
        news->count--;
    }
}

static void shard_told(struct shard *shard, const struct shard_command *command)
{
    struct shard_news *news = &shard->news;
    if (command->news == 0) {
        shard_status(shard, command->status, SYMBOL_NONE, command->detail);
        return;
    }
    ensure(news->count < SHARD_NEWS_MAX);
    struct shard_one_news *last = &news->waiting[(news->first + news->count++) % SHARD_NEWS_MAX];
    last->number = command->news;
    last->kind = command->status;
    memcpy(last->detail, command->detail, sizeof last->detail);
    shard_news_write(shard, last);
}

static void shard_stop(struct shard *shard)
{
    if (shard->state != SHARD_RUNNING) return;
    shard_enter(shard, SHARD_CLOSING_LINKS);
    shard->stop_by_ns = io_monotonic_ns(shard->io) + SHARD_STOP_NS;
    (void)mend_stop(&shard->mend);
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        struct shard_slot *slot = &shard->slots[i];
        if (slot->used && !slot->ended) link_stop(&slot->link);
    }
}

static void shard_obey(struct shard *shard, const struct shard_command *command)
{
    switch (command->kind) {
    case SHARD_FEED_ADD: shard_feed_add(shard, command->feed); return;
    case SHARD_FEED_REMOVE: shard_feed_remove(shard, command->feed_id); return;
    case SHARD_INSTRUMENTS: shard_instruments_add(shard, command); return;
    case SHARD_STATUS: shard_told(shard, command); return;
    case SHARD_ALERTS: shard_derive_rules(shard, command->alerts); return;
    case SHARD_ROLL: tape_writer_roll(shard->writer); return;
    case SHARD_STOP: shard_stop(shard); return;
    }
}

static void shard_drop(const struct shard_command *command)
{
    if (command->kind == SHARD_FEED_ADD) {
        shard_feed_destroy(command->feed);
    } else if (command->kind == SHARD_INSTRUMENTS) {
        free(command->body);
    } else if (command->kind == SHARD_ALERTS) {
        free(command->alerts);
    }
}

static bool shard_queue_holds(const struct shard_queue *queue, uint32_t head, uint32_t tail,
                              enum shard_command_kind kind)
{
    for (; head != tail; head++) {
        if (queue->commands[head % LIMIT_SHARD_COMMANDS].kind == kind) return true;
    }
    return false;
}

// Without a tape one batch of rows is held and the rest refused, so the first feeds wait for it: on
// a busy disk preparing one takes seconds. Not for ever: a full disk may be what ends.
static bool shard_waits_for_tape(struct shard *shard)
{
    if (!shard->waits_for_tape) return false;
    shard->waits_for_tape = !tape_writer_ready(shard->writer) &&
                            io_monotonic_ns(shard->io) < shard->tape_by_ns;
    return shard->waits_for_tape;
}

static void shard_woken(void *context)
{
    struct shard *shard = context;
    struct shard_queue *queue = &shard->queue;
    uint32_t head = atomic_load_explicit(&queue->head, memory_order_relaxed);
    uint32_t tail;
    while (head != (tail = atomic_load_explicit(&queue->tail, memory_order_acquire))) {
        const struct shard_command *command = &queue->commands[head % LIMIT_SHARD_COMMANDS];
        if (command->kind == SHARD_FEED_ADD && shard_waits_for_tape(shard) &&
            !shard_queue_holds(queue, head, tail, SHARD_STOP))
            return; // until the tick
        shard_busy(shard);
        if (shard->state == SHARD_RUNNING)
            shard_obey(shard, command);
        else
            shard_drop(command);
        atomic_store_explicit(&queue->head, ++head, memory_order_release);
    }
}

// ---- links ----

static uint32_t shard_slot_find(struct shard *shard)
{
    for (uint32_t i = 0; i < LIMIT_LINKS; i++) {
        if (shard->slots[i].used) continue;
        if (i >= shard->slots_high) shard->slots_high = i + 1;
        return i;
    }
    return SHARD_NONE;
}

uint32_t shard_link_open(struct shard *shard, uint32_t place, const struct link_streams *streams,
                         uint32_t predecessor)
{
    struct shard_feed_place *feed = &shard->feeds[place];
    ensure(feed->feed != NULL && !feed->removing);
    uint32_t index = shard_slot_find(shard);
    const char *why = "all slots are taken";
    if (index != SHARD_NONE) {
        struct shard_slot *slot = &shard->slots[index];
        memset(slot, 0, sizeof *slot);
        uint32_t number = shard->link_number;
        if (link_open(&slot->link, &shard->shared, &feed->links, streams, number) == 0) {
            shard->link_number++;
            slot->feed = place;
            slot->predecessor = predecessor;
            slot->used = true;
            feed->slots++;
            link_start(&slot->link);
            return index;
        }
        why = "out of memory";
    }
    log_write(shard->options.log, LOG_LINK_NONE, io_utc_ns(shard->io),
              "shard=%u exchange=%s cause=\"%s\"",
              shard->options.index, feed->links.dialect->name, why);
    return SHARD_NONE;
}

static void shard_renew(struct shard *shard, struct shard_slot *slot)
{
    struct shard_feed_place *feed = &shard->feeds[slot->feed];
    if (feed->removing || shard->state != SHARD_RUNNING) return;
    uint32_t index = (uint32_t)(slot - shard->slots);
    if (shard_link_open(shard, slot->feed, &slot->link.streams, index) == SHARD_NONE) return;
    // From now on the successor has the streams: the old link only lives its time out.
    link_retire(&slot->link);
}

static void shard_live(struct shard *shard, struct shard_slot *slot)
{
    slot->lived = true;
    shard_keys_up(shard, slot);
    mend_reachable(&shard->mend, (uint8_t)slot->link.feed->context.exchange);
    uint32_t predecessor = slot->predecessor;
    slot->predecessor = SHARD_NONE;
    if (predecessor == SHARD_NONE) return;
    struct shard_slot *old = &shard->slots[predecessor];
    if (old->used && !old->ended) link_stop(&old->link);
}

static void shard_hear(void *context, struct link *link, enum link_news news)
{
    struct shard *shard = context;
    struct shard_slot *slot = io_owner(link, struct shard_slot, link);
    ensure(slot->used && !slot->ended);
    shard_busy(shard);
    switch (news) {
    case LINK_NEWS_LIVE: shard_live(shard, slot); return;
    case LINK_NEWS_DOWN: shard_keys_down(shard, slot); return;
    case LINK_NEWS_RENEW: shard_renew(shard, slot); return;
    case LINK_NEWS_ENDED:
        shard_keys_down(shard, slot);
        slot->ended = true;
        return;
    }
}

static uint32_t shard_address_uses(void *context, const struct link *link,
                                   const struct io_address *address)
{
    const struct shard *shard = context;
    uint32_t uses = 0;
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        const struct shard_slot *slot = &shard->slots[i];
        const struct link *other = &slot->link;
        if (!slot->used || slot->ended || other->feed != link->feed ||
            other->streams.copy == link->streams.copy ||
            other->streams.place != link->streams.place ||
            other->streams.group != link->streams.group)
            continue;
        uses += link_leads_to(other, address);
    }
    return uses;
}

static void shard_reap(struct shard *shard)
{
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        struct shard_slot *slot = &shard->slots[i];
        if (!slot->used || !slot->ended) continue;
        link_close(&slot->link);
        slot->used = false;
        shard->feeds[slot->feed].slots--;
        // Nobody may take a new link in this slot for the one it succeeds.
        for (uint32_t j = 0; j < shard->slots_high; j++) {
            if (shard->slots[j].used && shard->slots[j].predecessor == i)
                shard->slots[j].predecessor = SHARD_NONE;
        }
    }
}

// ---- tick ----

// A store that cannot be written does not stop capture, so somebody has to be told.
static void shard_trouble_tell(struct shard *shard, const struct tape_writer_counters *tape)
{
    struct shard_trouble *trouble = &shard->trouble;
    int64_t now_ns = io_monotonic_ns(shard->io);
    bool failing = tape->failures > trouble->failures;
    if (failing && (trouble->told_ns == 0 || now_ns - trouble->told_ns >= SHARD_TROUBLE_NS)) {
        trouble->told_ns = now_ns;
        trouble->failures = tape->failures;
        log_write(shard->options.log, LOG_TAPE_FAILS, io_utc_ns(shard->io),
                  "shard=%u failures=%llu rows_waiting=%llu rows_lost=%llu",
                  shard->options.index, (unsigned long long)tape->failures,
                  (unsigned long long)(tape->rows - tape->rows_durable),
                  (unsigned long long)tape->rows_refused);
    } else if (!failing && trouble->told_ns != 0 && tape->rows == tape->rows_durable) {
        trouble->told_ns = 0;
        log_write(shard->options.log, LOG_TAPE_WRITTEN, io_utc_ns(shard->io), "shard=%u",
                  shard->options.index);
    }
}

static void shard_publish(struct shard *shard)
{
    struct tape_writer_counters tape = tape_writer_counters(shard->writer);
    shard_trouble_tell(shard, &tape);
    shard_news_tick(shard, tape.rows_durable);
    struct shard_counters now = {
        .messages = shard->intake.counters.messages,
        .bytes = shard->intake.counters.bytes,
        .events = shard->intake.counters.events,
        .raw = shard->intake.counters.raw,
        .refused = tape.rows_refused + tape.rows_unfit,
        .paused = tape.rows_paused,
        .durable = tape.rows_durable,
        .tape_bytes = tape.bytes,
        .tapes = tape.tapes,
        .connects = shard->shared.counters.connects,
        .downs = shard->shared.counters.downs,
        .symbols = symbols_count(shard->symbols),
        .feeds_failed = shard->feeds_failed,
        .copies = shard->intake.arbiter.counters.copies,
        .repaired = shard->intake.counters.repaired,
        .holes_open = shard->intake.arbiter.pool.used,
        .holes_opened = shard->intake.counters.holes_opened,
        .holes_lost = shard->intake.counters.holes_lost,
        .mutes = shard->mutes,
        .rest_requests = shard->mend.counters.requests,
        .rest_connections = mend_connections(&shard->mend),
        .rest_failures = shard->mend.counters.failures,
        .audits = shard->mend.counters.audits,
        .snapshots = shard->mend.counters.snapshots,
        .candles = shard->derive.candles.counters.issued,
        .alerts = shard->derive.alerts.emitted,
        .candles_late = shard->derive.candles.counters.beyond,
    };
    for (uint32_t i = 0; i < SYMBOL_EXCHANGES_MAX; i++)
        now.clock_alarms += shard->intake.lags[i].off;
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        const struct shard_slot *slot = &shard->slots[i];
        now.links += slot->used && !slot->ended;
        now.links_live += slot->used && slot->link.state == LINK_LIVE;
    }
    const uint64_t *from = (const uint64_t *)&now;
    uint64_t *to = (uint64_t *)&shard->published;
    for (size_t i = 0; i < sizeof now / sizeof *from; i++)
        __atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
    shard_statistics_tick(shard, &tape);
}

struct shard_counters shard_counters(const struct shard *shard)
{
    struct shard_counters out;
    const uint64_t *from = (const uint64_t *)&shard->published;
    uint64_t *to = (uint64_t *)&out;
    for (size_t i = 0; i < sizeof out / sizeof *to; i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    return out;
}

static void shard_tape_stopped(void *context, bool ok)
{
    struct shard *shard = context;
    ensure(shard->state == SHARD_CLOSING_TAPE);
    shard_publish(shard);
    shard->durable = ok;
    shard_enter(shard, SHARD_CLOSING_LEDGER); // the tick goes on
}

static void shard_stop_on(struct shard *shard)
{
    for (uint32_t i = 0; i < shard->slots_high; i++) {
        if (shard->slots[i].used) return;
    }
    if (!mend_stop(&shard->mend)) return;
    shard_status(shard, STATUS_STOPPED, SYMBOL_NONE, NULL);
    shard_enter(shard, SHARD_CLOSING_TAPE);
    int64_t left_ns =
        shard->stop_by_ns - io_monotonic_ns(shard->io) - SHARD_LEDGER_LEFT_NS;
    if (left_ns < SHARD_TICK_NS) left_ns = SHARD_TICK_NS; // a machine that stood still
    tape_writer_stop(shard->writer, left_ns, shard_tape_stopped, shard);
}

// Something has happened that a tick is to go on with.
static void shard_busy(struct shard *shard)
{
    shard->busy_ns = io_monotonic_ns(shard->io);
    if (shard->quiet) io_cancel(shard->io, &shard->tick); // it comes now
    shard->quiet = false;
}

static int64_t shard_next_tick_ns(struct shard *shard)
{
    const int64_t now_ns = io_monotonic_ns(shard->io);
    const uint64_t heard = shard->intake.counters.messages + shard->mend.counters.requests +
                           shard->shared.counters.connects;
    if (heard != shard->heard || shard->state != SHARD_RUNNING || shard->waits_for_tape ||
        shard->news.count > 0 || shard->intake.arbiter.pool.used > 0)
        shard->busy_ns = now_ns;
    shard->heard = heard;
    shard->quiet = now_ns - shard->busy_ns >= SHARD_QUIET_NS;
    return shard->quiet ? SHARD_QUIET_TICK_NS - now_ns % SHARD_QUIET_TICK_NS : SHARD_TICK_NS;
}

static void shard_tick_done(struct io *io, struct io_op *op)
{
    struct shard *shard = io_owner(op, struct shard, tick);
    if (shard->state == SHARD_ENDED) return;
    io_timeout(io, &shard->tick, shard_next_tick_ns(shard), shard_tick_done);
    if (shard->state <= SHARD_CLOSING_LINKS) { // later no row is taken any more
        link_shared_clock(&shard->shared, INTAKE_NO_LINK);
        arbiter_tick(&shard->intake.arbiter, shard_now(shard));
        shard_derive_tick(shard);
    }
    shard_reap(shard);
    if (shard->state == SHARD_RUNNING) {
        if (shard->waits_for_tape) shard_woken(shard);
        shard_feed_tick(shard, io_monotonic_ns(io));
        shard_instruments_tick(shard);
        mend_tick(&shard->mend);
        shard_ledger_tick(shard);
        shard_health_tick(shard);
    } else if (shard->state == SHARD_CLOSING_LINKS) {
        shard_stop_on(shard);
    } else if (shard->state == SHARD_CLOSING_LEDGER &&
               shard_ledger_end(shard, shard->durable)) {
        shard_enter(shard, SHARD_ENDED);
        io_cancel(io, &shard->tick);
    }
    shard_publish(shard);
}
