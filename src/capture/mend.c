// SPDX-License-Identifier: GPL-3.0-or-later
//
// mend: see mend.h. Contract: a slot is FREE exactly when it has no job; no request leaves without
// its permit; a job ends in repair_answered() or repair_failed(), whatever the exchange does.
#include "capture/mend.h"

#include "base/transition.h"
#include "format/ensure.h"
#include <stdlib.h>
#include <string.h>

#define MEND_HOLD_MAX_NS LIMIT_MINUTE_NS
// 429, 418, 403 without Retry-After: the first pause, twice as long each time in a row.
#define MEND_TOO_MANY_NS (5 * LIMIT_SECOND_NS)
#define MEND_BANNED_NS (10 * LIMIT_SECOND_NS)
enum { MEND_BANS_MAX = 5 }; // in a row, that count: 160 to 320 s

static void mend_pump(struct mend_exchange *exchange);

static void mend_enter(struct mend_slot *slot, enum mend_state state)
{
    transition(TRANSITION_MEND, slot->state, state);
    slot->state = state;
}

// ---- life ----

static void exchange_release(struct mend_exchange *exchange)
{
    for (uint32_t i = 0; exchange->slots != NULL && i < MEND_SLOTS; i++) {
        if (exchange->slots[i].rest.body != NULL) rest_close(&exchange->slots[i].rest);
    }
    free(exchange->slots);
    if (exchange->tls != NULL) tls_context_destroy(exchange->tls);
    memset(exchange, 0, sizeof *exchange);
}

static bool exchange_open(struct mend_exchange *exchange)
{
    exchange->slots = calloc(MEND_SLOTS, sizeof *exchange->slots);
    if (exchange->slots == NULL) return false;
    for (uint32_t i = 0; i < MEND_SLOTS; i++) {
        struct mend_slot *slot = &exchange->slots[i];
        slot->exchange = exchange;
        if (rest_open(&slot->rest, exchange->mend->io, exchange->tls) != 0) {
            slot->rest.body = NULL;
            return false;
        }
        slot->rest.keep = true;
        slot->rest.header = exchange->dialect->history->header;
        slot->rest.used_header = exchange->dialect->history->used_header;
    }
    return true;
}

bool mend_exchange_open(struct mend *mend, const struct dialect *dialect, uint8_t number,
                        const struct url *url, struct tls_context **tls, uint32_t weight)
{
    ensure(number < SYMBOL_EXCHANGES_MAX);
    struct mend_exchange *exchange = &mend->exchanges[number];
    const struct dialect_history *history = dialect->history;
    if (history == NULL || url->host[0] == '\0' || url->tls != (*tls != NULL)) return false;
    if (exchange->dialect != NULL) {
        if (url->tls != exchange->url.tls) return false; // its slots are made for the other kind
        exchange->url = *url; // a reload may have moved it
        return true;
    }
    exchange->mend = mend;
    exchange->dialect = dialect;
    exchange->number = number;
    exchange->url = *url;
    exchange->budget =
        permits_budget(mend->permits, history->budget,
                       weight != 0 ? weight : history->budget_limit, history->budget_window_ns);
    exchange->audit_ns = io_monotonic_ns(mend->io) + MEND_AUDIT_SOON_NS;
    exchange->board_place = -1;
    if (mend->board != NULL && !history->by_cursor)
        exchange->board_place = audit_board_open(mend->board, dialect);
    if (exchange->board_place >= 0)
        exchange->board_seen = audit_board_number(mend->board, exchange->board_place);
    exchange->tls = *tls;
    *tls = NULL;
    if (exchange_open(exchange)) return true;
    log_write(mend->log, LOG_REPAIR_NONE, io_utc_ns(mend->io),
              "exchange=%s rest_url=%s cause=\"out of memory\"",
              dialect->name, url->authority);
    exchange_release(exchange);
    return false;
}

void mend_reachable(struct mend *mend, uint8_t number)
{
    ensure(number < SYMBOL_EXCHANGES_MAX);
    struct mend_exchange *exchange = &mend->exchanges[number];
    int64_t soon_ns = io_monotonic_ns(mend->io) + MEND_AUDIT_SOON_NS;
    if (exchange->dialect == NULL) return;
    exchange->hold_ns = 0; // what failed may have failed with the link
    if (exchange->failures > 1) exchange->failures = 1;
    exchange->soon_ns = soon_ns - MEND_AUDIT_SOON_NS;
    if (soon_ns < exchange->audit_ns) exchange->audit_ns = soon_ns;
}

uint64_t mend_connections(const struct mend *mend)
{
    uint64_t connections = 0;
    for (uint32_t i = 0; i < SYMBOL_EXCHANGES_MAX; i++) {
        const struct mend_exchange *exchange = &mend->exchanges[i];
        for (uint32_t s = 0; exchange->slots != NULL && s < MEND_SLOTS; s++)
            connections += exchange->slots[s].rest.connections;
    }
    return connections;
}

bool mend_stop(struct mend *mend)
{
    bool idle = true;
    mend->stopping = true;
    for (uint32_t i = 0; i < SYMBOL_EXCHANGES_MAX; i++) {
        struct mend_exchange *exchange = &mend->exchanges[i];
        for (uint32_t s = 0; exchange->slots != NULL && s < MEND_SLOTS; s++) {
            struct mend_slot *slot = &exchange->slots[s];
            bool asking = slot->state == MEND_ASKING;
            if (asking) rest_cancel(&slot->rest);
            idle = rest_hang_up(&slot->rest) && !asking && idle;
        }
    }
    return idle;
}

void mend_close(struct mend *mend)
{
    for (uint32_t i = 0; i < SYMBOL_EXCHANGES_MAX; i++) exchange_release(&mend->exchanges[i]);
}

// ---- answers ----

static struct arbiter_now mend_now(const struct mend *mend)
{
    return (struct arbiter_now){io_utc_ns(mend->io), io_monotonic_ns(mend->io)};
}

// One symbol of the audit: its trades, and the aggregate trades that end in the same trade.
static void mend_last_id(struct mend_exchange *exchange, struct json_slice symbol, int64_t id)
{
    struct mend *mend = exchange->mend;
    struct arbiter *arbiter = &mend->intake->arbiter;
    uint32_t number = symbols_find(mend->symbols, exchange->number, symbol.text, symbol.size);
    if (number == SYMBOL_NONE) return;
    static const enum channel channels[] = {CHANNEL_TRADE, CHANNEL_AGG_TRADE};
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t key = arbiter_key_find(arbiter, number, channels[i]);
        if (key == ARBITER_KEY_NONE) continue;
        arbiter_audit_named(arbiter, key);
        arbiter_audited(arbiter, key, id, exchange->audit_now);
    }
}

static void mend_row(void *context, struct event *event, struct json_slice symbol, int64_t id)
{
    struct mend_slot *slot = context;
    struct mend *mend = slot->exchange->mend;
    struct arbiter *arbiter = &mend->intake->arbiter;
    if (event == NULL) {
        mend_last_id(slot->exchange, symbol, id);
        return;
    }
    _Static_assert((int)TRADE_TIME == (int)AGG_TRADE_TIME, "one place for both");
    int64_t time_ns = event->value[TRADE_TIME];
    event->symbol = arbiter->keys[slot->job.key].symbol;
    bool stored = repair_wants(&slot->job, arbiter, id, time_ns) &&
                  intake_repaired(mend->intake, event, io_utc_ns(mend->io));
    repair_row(&slot->job, arbiter, id, time_ns, stored);
}

// A book as it is now: the anchor of a run of depth. False: it does not read as one.
static bool mend_snapshot(struct mend_slot *slot)
{
    struct mend *mend = slot->exchange->mend;
    struct intake *intake = mend->intake;
    struct arbiter_key *key = &intake->arbiter.keys[slot->job.key];
    const struct dialect_context context = {.symbols = mend->symbols,
                                            .exchange = slot->exchange->number,
                                            .raw_symbol = key->symbol};
    const struct dialect *dialect = slot->exchange->dialect;
    int64_t last_id = 0;
    if (slot->rest.body_size > LIMIT_MESSAGE_BYTES) return false;
    dialect_frame_begin(dialect, &intake->frame, &context, slot->rest.body, slot->rest.body_size,
                        intake->levels);
    while (intake->frame.kind == DIALECT_FRAME_EVENTS &&
           dialect->next(&intake->frame, &intake->event)) {
        const struct event *event = &intake->event;
        if (event->channel == CHANNEL_BOOK) last_id = event->value[BOOK_LAST_ID];
        if (!intake_event(intake, &intake->event, io_utc_ns(mend->io), INTAKE_NO_LINK))
            return false;
    }
    if (last_id == 0) return false;
    mend->counters.snapshots++;
    if (!arbiter_anchored(&intake->arbiter, slot->job.key, last_id, io_utc_ns(mend->io)))
        key->retry_ns = io_monotonic_ns(mend->io) + LIMIT_SECOND_NS;
    return true;
}

// The newest ids of all symbols. False: it does not read as that.
static bool mend_audit(struct mend_exchange *exchange, const uint8_t *body, uint32_t size)
{
    const struct history_ask ask = {.kind = HISTORY_LAST_IDS};
    struct arbiter *arbiter = &exchange->mend->intake->arbiter;
    arbiter_audit_begin(arbiter);
    // Of a slot only its exchange is looked at: there are no rows.
    if (exchange->dialect->history->read(&ask, body, size, mend_row, &exchange->slots[0]) != 0)
        return false;
    arbiter_audit_end(arbiter, (uint8_t)(exchange->number + 1), exchange->audit_now);
    return true;
}

// What another shard was answered.
static void mend_board_read(struct mend_exchange *exchange)
{
    struct mend *mend = exchange->mend;
    struct audit_answer answer;
    if (exchange->board_place < 0) return;
    uint64_t number = audit_board_number(mend->board, exchange->board_place);
    if (number == exchange->board_seen) return;
    exchange->board_seen = number;
    uint32_t body = audit_board_take(mend->board, exchange->board_place, &answer);
    exchange->audit_now = (struct arbiter_now){answer.answered_utc_ns, io_monotonic_ns(mend->io)};
    bool good = mend_audit(exchange, answer.body, answer.size);
    audit_board_release(mend->board, exchange->board_place, body);
    if (!good) return;
    mend->counters.audits++;
    if (answer.asked_ns >= exchange->soon_ns)
        exchange->audit_ns = answer.asked_ns + REPAIR_AUDIT_NS;
}

// The answer is there for the others, good or bad.
static void mend_board_tell(struct mend_slot *slot, bool good)
{
    struct mend_exchange *exchange = slot->exchange;
    struct audit_board *board = exchange->mend->board;
    if (exchange->board_place < 0 || slot->job.kind != REPAIR_LAST_IDS) return;
    if (!good) {
        audit_board_drop(board, exchange->board_place);
        return;
    }
    const struct audit_answer answer = {.body = slot->rest.body,
                                        .size = slot->rest.body_size,
                                        .asked_ns = exchange->asked_ns,
                                        .answered_utc_ns = exchange->audit_now.utc_ns};
    audit_board_put(board, exchange->board_place, &answer);
    exchange->board_seen = audit_board_number(board, exchange->board_place);
}

static bool mend_read(struct mend_slot *slot)
{
    struct mend_exchange *exchange = slot->exchange;
    const struct dialect_history *history = exchange->dialect->history;
    if (slot->job.kind == REPAIR_SNAPSHOT) return mend_snapshot(slot);
    if (slot->job.kind == REPAIR_LAST_IDS) {
        exchange->audit_now = mend_now(exchange->mend);
        return mend_audit(exchange, slot->rest.body, slot->rest.body_size);
    }
    if (history->read(&slot->ask, slot->rest.body, slot->rest.body_size, mend_row, slot) != 0)
        return false;
    if (history->by_cursor)
        exchange->mend->intake->arbiter.keys[slot->job.key].unlisted = false;
    return true;
}

// ---- failures ----

static void mend_hold(struct mend_exchange *exchange)
{
    // What was under way when the first failed says nothing more.
    if (exchange->hold_ns > io_monotonic_ns(exchange->mend->io)) return;
    uint32_t shift = exchange->failures < 6 ? exchange->failures : 6;
    int64_t hold_ns = LIMIT_SECOND_NS << shift;
    uint64_t random;
    if (hold_ns > MEND_HOLD_MAX_NS) hold_ns = MEND_HOLD_MAX_NS;
    io_random(exchange->mend->io, &random, sizeof random);
    hold_ns = hold_ns / 2 + (int64_t)(random % (uint64_t)(hold_ns / 2));
    exchange->failures++;
    exchange->hold_ns = io_monotonic_ns(exchange->mend->io) + hold_ns;
}

static void mend_tell(struct mend_exchange *exchange, const struct rest *rest)
{
    if (exchange->told) return;
    exchange->told = true;
    log_write(exchange->mend->log, LOG_REST_FAILS, io_utc_ns(exchange->mend->io),
              "exchange=%s rest=%s cause=\"%s\"", exchange->dialect->name,
              exchange->url.authority, rest->failure);
}

// The exchange says to stop. Several refusals of one moment are one.
static void mend_banned(struct mend_exchange *exchange, const struct rest *rest,
                        struct arbiter_now now)
{
    struct mend *mend = exchange->mend;
    int64_t until_ns = now.utc_ns + rest->retry_after_s * LIMIT_SECOND_NS;
    if (rest->retry_after_s == 0) {
        if (now.utc_ns < exchange->banned_ns) return;
        int64_t first_ns = rest->status == 429 ? MEND_TOO_MANY_NS : MEND_BANNED_NS;
        until_ns = now.utc_ns + (first_ns << exchange->bans);
        if (exchange->bans < MEND_BANS_MAX) exchange->bans++;
        exchange->banned_ns = until_ns;
    }
    permits_pause(mend->permits, exchange->budget, until_ns);
}

// Not a good answer: whose fault, and when again.
static void mend_failed(struct mend_slot *slot)
{
    struct mend_exchange *exchange = slot->exchange;
    struct mend *mend = exchange->mend;
    const struct rest *rest = &slot->rest;
    struct arbiter_now now = mend_now(mend);
    const char *lost = NULL;
    mend->counters.failures++;
    bool banned = rest->status == 429 || rest->status == 418 || rest->status == 403;
    if (banned || rest->retry_after_s > 0) {
        mend_banned(exchange, rest, now);
        mend_tell(exchange, rest);
    } else if (rest->status == 400 || rest->status == 404) {
        if (exchange->dialect->history->unknown_symbol(rest->body, rest->body_size))
            lost = "the exchange does not know the symbol";
        if (lost != NULL && slot->job.key != ARBITER_KEY_NONE)
            mend->intake->arbiter.keys[slot->job.key].unlisted = true;
    } else if (!mend->stopping) {
        mend_hold(exchange);
        mend_tell(exchange, rest);
    }
    // An audit that failed is due again at once.
    if (slot->job.kind == REPAIR_LAST_IDS) exchange->audit_ns = now.monotonic_ns;
    repair_failed(&slot->job, &mend->intake->arbiter, LIMIT_SECOND_NS * (lost != NULL ? 600 : 1),
                  lost, now);
}

static void mend_good(struct mend_exchange *exchange)
{
    exchange->failures = 0;
    exchange->bans = 0;
    if (!exchange->told) return;
    exchange->told = false;
    log_write(exchange->mend->log, LOG_REST_ANSWERS, io_utc_ns(exchange->mend->io),
              "exchange=%s", exchange->dialect->name);
}

static void mend_answered(void *context, struct rest *rest)
{
    struct mend_slot *slot = context;
    struct mend_exchange *exchange = slot->exchange;
    struct mend *mend = exchange->mend;
    struct arbiter_now now = mend_now(mend);
    bool another_page = false;
    ensure(slot->state == MEND_ASKING);
    if (rest->used > 0) permits_used(mend->permits, exchange->budget, rest->used, now.utc_ns);
    if (rest->exhausted)
        permits_pause(mend->permits, exchange->budget, now.utc_ns + LIMIT_SECOND_NS);
    bool good = rest->ok && mend_read(slot);
    mend_board_tell(slot, good);
    if (!rest->ok) {
        mend_failed(slot);
    } else if (!good) {
        mend->counters.failures++;
        mend_hold(exchange);
        repair_failed(&slot->job, &mend->intake->arbiter, LIMIT_SECOND_NS, NULL, now);
    } else {
        mend_good(exchange);
        mend->counters.audits += slot->job.kind == REPAIR_LAST_IDS ||
                                 slot->job.kind == REPAIR_RECENT;
        another_page = repair_answered(&slot->job, &mend->intake->arbiter,
                                       exchange->dialect->history, now);
    }
    mend_enter(slot, another_page ? MEND_WAITING : MEND_FREE);
    if (!mend->stopping) mend_pump(exchange);
}

// ---- questions ----

// A snapshot costs 50 of Binance's weight, and a cut makes every symbol of depth want one: they may
// not spend what holes of trades are closed with (20 to 30 s late, measured with 20 symbols).
static void mend_put_back(struct mend_slot *slot)
{
    struct mend_exchange *exchange = slot->exchange;
    const struct arbiter_now now = mend_now(exchange->mend);
    ensure(slot->state == MEND_WAITING && slot->job.kind == REPAIR_SNAPSHOT);
    exchange->cursor.snapshot_ns = now.monotonic_ns + LIMIT_SECOND_NS;
    repair_failed(&slot->job, &exchange->mend->intake->arbiter, 0, NULL, now);
    mend_enter(slot, MEND_FREE);
}

static void mend_ask(struct mend_slot *slot)
{
    struct mend_exchange *exchange = slot->exchange;
    struct mend *mend = exchange->mend;
    const struct dialect_history *history = exchange->dialect->history;
    const struct arbiter *arbiter = &mend->intake->arbiter;
    char symbol[SYMBOL_NAME_BYTES_MAX + 1] = "";
    char path[REST_PATH_BYTES_MAX + 1];
    if (slot->job.key != ARBITER_KEY_NONE) {
        const struct symbol_name *name =
            symbols_name(mend->symbols, arbiter->keys[slot->job.key].symbol);
        memcpy(symbol, name->text + name->symbol_offset, name->size - name->symbol_offset);
    }
    slot->ask = repair_ask(&slot->job, arbiter, history, symbol);
    uint32_t weight = history->weight(&slot->ask);
    const bool modest = slot->job.kind == REPAIR_SNAPSHOT;
    if (permits_spend(mend->permits, exchange->budget, weight, modest, io_utc_ns(mend->io)) > 0) {
        if (modest) mend_put_back(slot);
        return;
    }
    uint32_t size = history->path(&slot->ask, path, sizeof path);
    ensure(size > 0); // the longest symbol fits
    slot->ask.symbol = NULL;
    slot->url = exchange->url;
    mend_enter(slot, MEND_ASKING);
    if (slot->job.kind == REPAIR_LAST_IDS) exchange->asked_ns = io_monotonic_ns(mend->io);
    mend->counters.requests++;
    rest_get(&slot->rest, &slot->url, path, mend_answered, slot);
}

// The audit is due, and this shard is the one that asks.
static bool mend_audit_due(struct mend_exchange *exchange, int64_t now_ns)
{
    return now_ns >= exchange->audit_ns &&
           (exchange->board_place < 0 ||
            audit_board_claim(exchange->mend->board, exchange->board_place, now_ns));
}

// False: there is nothing to ask.
static bool mend_begin(struct mend_slot *slot, struct arbiter_now now)
{
    struct mend_exchange *exchange = slot->exchange;
    bool audit = mend_audit_due(exchange, now.monotonic_ns);
    uint8_t number = (uint8_t)(exchange->number + 1); // as the keys say it
    ensure(slot->state == MEND_FREE);
    if (!repair_next(&exchange->mend->intake->arbiter, exchange->dialect->history, number,
                     &exchange->cursor, audit, now, &slot->job))
        return false;
    if (slot->job.kind == REPAIR_LAST_IDS)
        exchange->audit_ns = now.monotonic_ns + REPAIR_AUDIT_NS;
    mend_enter(slot, MEND_WAITING);
    return true;
}

static void mend_pump(struct mend_exchange *exchange)
{
    struct mend *mend = exchange->mend;
    struct arbiter_now now = mend_now(mend);
    bool more = true; // there may be a next question; a slot behind may wait in any case
    if (now.monotonic_ns < exchange->hold_ns) return;
    for (uint32_t i = 0; i < MEND_SLOTS; i++) {
        struct mend_slot *slot = &exchange->slots[i];
        if (slot->state == MEND_WAITING) mend_ask(slot);
        while (more && slot->state == MEND_FREE && slot->rest.state == REST_IDLE) {
            more = mend_begin(slot, now);
            if (slot->state == MEND_WAITING) mend_ask(slot); // or puts it back
        }
        if (slot->state == MEND_WAITING) return; // no permit now
    }
}

void mend_tick(struct mend *mend)
{
    if (mend->stopping) return;
    for (uint32_t i = 0; i < SYMBOL_EXCHANGES_MAX; i++) {
        if (mend->exchanges[i].dialect == NULL) continue;
        mend_board_read(&mend->exchanges[i]);
        mend_pump(&mend->exchanges[i]);
    }
}
