// SPDX-License-Identifier: GPL-3.0-or-later
//
// recall: the ledger in and out; see recall.h.
//
//     base + shard files of its generation → keys → rows younger than them → keys → new base
#include "capture/recall.h"

#include "capture/plan.h"
#include "capture/recall_inside.h"
#include "exchange/dialect.h"
#include "format/ensure.h"
#include "keep/keep_ledger.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void nothing_told(void *context, const struct arbiter_news *news)
{
    (void)context;
    (void)news;
}

static void nothing_released(void *context, const struct event *event, uint32_t link)
{
    (void)context;
    (void)event;
    (void)link;
}

// ---- keys ----

static enum arbiter_rule rule_of(const struct dialect *dialect, enum channel channel)
{
    return channel == CHANNEL_TRADE && !dialect->trade_ids_follow ? ARBITER_SET
           : channel == CHANNEL_TRADE || channel == CHANNEL_AGG_TRADE ? ARBITER_SEQUENCE
           : channel == CHANNEL_DEPTH                                 ? ARBITER_RANGE
           : channel == CHANNEL_QUOTE                                 ? ARBITER_RISING
                                                                      : ARBITER_LEADER;
}

uint32_t recall_symbol(struct symbols *symbols, const char *name, uint32_t size,
                       const struct dialect **dialect)
{
    char exchange[SYMBOL_NAME_BYTES_MAX + 1];
    const char *colon = memchr(name, ':', size);
    if (colon == NULL || size > SYMBOL_NAME_BYTES_MAX) return SYMBOL_NONE;
    memcpy(exchange, name, (size_t)(colon - name));
    exchange[colon - name] = '\0';
    *dialect = dialect_by_name(exchange);
    if (*dialect == NULL) return SYMBOL_NONE;
    return symbols_add(symbols, symbols_exchange(symbols, exchange), colon + 1,
                       size - (uint32_t)(colon + 1 - name));
}

uint32_t recall_key(struct recall *recall, const char *name, uint32_t size, enum channel channel)
{
    const struct dialect *dialect;
    uint32_t symbol = recall_symbol(recall->symbols, name, size, &dialect);
    if (symbol == SYMBOL_NONE) return ARBITER_KEY_NONE;
    uint32_t key = arbiter_key_find(&recall->arbiter, symbol, channel);
    if (key != ARBITER_KEY_NONE) return key;
    return arbiter_key_open(&recall->arbiter, symbol, channel, rule_of(dialect, channel));
}

// The number of the exchange; of those without a symbol there is nothing to know.
static uint32_t recall_exchange(const struct symbols *symbols, const char *exchange)
{
    size_t size = strlen(exchange);
    for (uint32_t i = 0; i < symbols_count(symbols); i++) {
        const struct symbol_name *known = symbols_name(symbols, i);
        if (strncmp(known->text, exchange, size) == 0 && known->text[size] == ':')
            return known->exchange;
    }
    return SYMBOL_EXCHANGES_MAX;
}

uint32_t recall_find(const struct symbols *symbols, const char *exchange, const char *name)
{
    uint32_t number = recall_exchange(symbols, exchange);
    if (number == SYMBOL_EXCHANGES_MAX) return SYMBOL_NONE;
    return symbols_find(symbols, number, name, (uint32_t)strlen(name));
}

void recall_adopt(const struct recall *recall, const char *exchange, const char *symbol,
                  struct arbiter *arbiter, uint32_t to, struct arbiter_now now)
{
    uint32_t found = recall_find(recall->symbols, exchange, symbol);
    if (found == SYMBOL_NONE) return;
    uint32_t from = arbiter_key_find(&recall->arbiter, found,
                                     (enum channel)arbiter->keys[to].channel);
    if (from != ARBITER_KEY_NONE) arbiter_adopt(arbiter, to, &recall->arbiter, from, now);
}

// ---- ledger in ----

static void load_hole(struct arbiter *arbiter, uint32_t key, const struct ledger_hole *hole)
{
    const struct coverage_hole made = {.first = hole->first,
                                       .last = hole->last,
                                       .from_ns = hole->from_ns,
                                       .to_ns = hole->to_ns,
                                       .found_ns = hole->found_ns,
                                       .state = COVERAGE_OPEN,
                                       .cause = (uint8_t)hole->cause,
                                       .key = key};
    if (!coverage_miss(&arbiter->pool, &arbiter->keys[key].coverage, &made))
        arbiter->counters.overflows++;
}

static void load_key(struct recall *recall, const struct ledger *ledger,
                     const struct ledger_key *from)
{
    struct arbiter *arbiter = &recall->arbiter;
    uint32_t number = recall_key(recall, from->symbol, (uint32_t)strlen(from->symbol),
                                 from->channel);
    if (number == ARBITER_KEY_NONE) return;
    struct arbiter_key *key = &arbiter->keys[number];
    coverage_forget(&arbiter->pool, &key->coverage);
    recall->alive_ns[number] = 0;
    if (from->gone) return;
    key->coverage.started = true;
    key->coverage.first = from->first;
    key->coverage.first_ns = from->first_ns;
    key->coverage.last = from->last;
    key->coverage.last_ns = from->last_ns;
    key->coverage.proven = from->proven;
    key->coverage.proven_ns = from->proven_ns;
    key->coverage.proven_from_ns = from->proven_from_ns;
    key->tail = from->tail;
    key->ended_lost = from->ended_lost;
    key->ended = from->ended;
    key->ended_ns = from->ended_ns;
    for (uint32_t i = from->hole_count; i > 0; i--) // oldest first
        load_hole(arbiter, number, &ledger->holes[from->hole_first + i - 1]);
    recall->alive_ns[number] = ledger->time_ns;
    if (key->window >= 0) arbiter->windows[key->window].floor_ns = ledger->since_ns;
}

static void load_keys(struct recall *recall, const struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->key_count; i++) load_key(recall, ledger, &ledger->keys[i]);
}

static void tell_bad(const struct recall_work *work, int shard, int error)
{
    log_write(work->log, LOG_LEDGER_UNREADABLE, io_utc_ns(work->io),
              "store=\"%s\" file=%s%d cause=\"%s\"", keep_store_path(work->store),
              shard < 0 ? "base" : "shard-", shard < 0 ? 0 : shard,
              error == -EBADMSG ? "damaged" : strerror(-error));
}

// The files of the life that began with this base. From where rows have to be read again.
static void load_shards(struct recall_work *work, struct ledger *ledger, uint64_t generation,
                        uint32_t shards)
{
    uint32_t tape = UINT32_MAX;
    int64_t since_ns = INT64_MAX;
    bool all = shards > 0;
    for (uint32_t shard = 0; shard < shards && shard < LIMIT_SHARDS; shard++) {
        int error = keep_ledger_read(work->store, work->io, (int)shard, ledger);
        if (error != 0 && error != -ENOENT) tell_bad(work, (int)shard, error);
        if (error != 0 || ledger->generation != generation) {
            all = false;
            continue;
        }
        load_keys(work->recall, ledger);
        if (ledger->tape < tape) tape = ledger->tape;
        if (ledger->since_ns < since_ns) since_ns = ledger->since_ns;
    }
    if (!all) return; // the base tells from where
    work->tape = tape;
    work->recall->since_ns = since_ns;
}

static void load(struct recall_work *work, struct ledger *ledger, uint32_t *shards)
{
    struct recall *recall = work->recall;
    int error = keep_ledger_read(work->store, work->io, KEEP_LEDGER_BASE, ledger);
    *shards = 1;
    if (error != 0) {
        if (error != -ENOENT) tell_bad(work, KEEP_LEDGER_BASE, error);
        work->tape = 0;
        recall->since_ns = io_utc_ns(work->io) - RECALL_WITHOUT_LEDGER_NS;
        return;
    }
    recall->generation = ledger->generation;
    work->tape = ledger->tape;
    recall->since_ns = ledger->since_ns;
    if (ledger->shards > 0 && ledger->shards <= LIMIT_SHARDS) *shards = ledger->shards;
    load_keys(recall, ledger);
    load_shards(work, ledger, recall->generation, *shards);
}

// Rows of a hole may be as old as the hole.
static int64_t time_needed(const struct recall *recall)
{
    int64_t needed_ns = recall->since_ns - LIMIT_HOUR_NS;
    const struct coverage_pool *pool = &recall->arbiter.pool;
    for (uint32_t i = 0; i < pool->high; i++) {
        const struct coverage_hole *hole = &pool->holes[i];
        if (hole->state != COVERAGE_FREE && hole->from_ns < needed_ns) needed_ns = hole->from_ns;
    }
    return needed_ns;
}

// ---- ledger out ----

// Until when each key that counts by times is known to have been recorded: a hole from there on.
static void stop_keys(struct recall_work *work, uint32_t shards)
{
    struct recall *recall = work->recall;
    const struct arbiter_now now = {io_utc_ns(work->io), 0};
    for (uint32_t i = 0; i < recall->arbiter.key_count; i++) {
        const struct symbol_name *name =
            symbols_name(recall->symbols, recall->arbiter.keys[i].symbol);
        char exchange[SYMBOL_NAME_BYTES_MAX + 1] = "";
        memcpy(exchange, name->text, name->symbol_offset - 1u);
        uint32_t shard = plan_shard(exchange, name->text + name->symbol_offset, shards);
        int64_t alive_ns = recall->alive_ns[i];
        if (work->alive_ns[shard] > alive_ns) alive_ns = work->alive_ns[shard];
        arbiter_recall_stopped(&recall->arbiter, i, alive_ns, now);
    }
}

// From which tape on the rows are that windows may still need.
static void choose_tape(struct recall_work *work, uint32_t next_tape)
{
    struct recall *recall = work->recall;
    int64_t needed_ns = arbiter_needed_ns(&recall->arbiter, io_utc_ns(work->io));
    uint32_t tape = next_tape;
    for (uint32_t i = 0; i < work->tape_count; i++) {
        if (work->tapes[i].last_ns >= needed_ns && work->tapes[i].number < tape)
            tape = work->tapes[i].number;
    }
    recall->tape = tape;
    recall->since_ns = needed_ns;
}

static bool save_key(const struct recall *recall, uint32_t number, struct ledger *ledger)
{
    const struct arbiter_key *key = &recall->arbiter.keys[number];
    const struct symbol_name *name = symbols_name(recall->symbols, key->symbol);
    return !key->coverage.started || arbiter_save(&recall->arbiter, number, name->text, ledger);
}

static int save(struct recall_work *work, struct ledger *ledger, uint32_t shards)
{
    struct recall *recall = work->recall;
    ledger_clear(ledger);
    ledger->generation = ++recall->generation;
    ledger->shards = shards;
    ledger->tape = recall->tape;
    ledger->since_ns = recall->since_ns;
    ledger->time_ns = io_utc_ns(work->io);
    for (uint32_t i = 0; i < recall->arbiter.key_count; i++) {
        if (!save_key(recall, i, ledger)) return -EFBIG;
        recall->keys += recall->arbiter.keys[i].coverage.started;
    }
    return keep_ledger_write_now(work->store, work->io, KEEP_LEDGER_BASE, ledger);
}

// ---- life ----

static int recall_read(struct recall_work *work, struct ledger *ledger, uint32_t shards)
{
    uint32_t shards_before;
    load(work, ledger, &shards_before);
    work->time_min = time_needed(work->recall);
    int result = recall_segments(work);
    if (result == 0) result = recall_load_tapes(work);
    if (result != 0) return result;
    stop_keys(work, shards_before);
    work->recall->tape_next = keep_store_next_tape(work->store);
    choose_tape(work, work->recall->tape_next);
    result = save(work, ledger, shards);
    // The old base stands, and more rows are read at the next start: no reason not to record.
    if (result != 0)
        log_write(work->log, LOG_LEDGER_UNWRITTEN, io_utc_ns(work->io), "store=\"%s\" cause=\"%s\"",
                  keep_store_path(work->store), strerror(-result));
    return 0;
}

int recall_open(struct recall *recall, struct io *io, struct keep_store *store, uint32_t shards,
                const struct log *log)
{
    struct ledger ledger = {0};
    struct recall_work work = {.take = recall_rows, .channels = RECALL_COVERED,
                               .tape_time_min = INT64_MIN, .recall = recall, .io = io,
                               .store = store, .log = log};
    memset(recall, 0, sizeof *recall);
    recall->symbols = symbols_open(LIMIT_SHARD_SYMBOLS);
    recall->alive_ns = calloc(ARBITER_KEYS_MAX, sizeof *recall->alive_ns);
    recall->ends = calloc(RECALL_TAPES_MAX, sizeof *recall->ends);
    work.tapes = calloc(RECALL_TAPES_MAX, sizeof *work.tapes);
    int result = arbiter_open(&recall->arbiter, nothing_told, nothing_released, NULL);
    if (recall->symbols == NULL || recall->alive_ns == NULL || recall->ends == NULL ||
        work.tapes == NULL)
        result = -ENOMEM;
    if (result == 0) result = ledger_init(&ledger);
    if (result == 0) result = recall_read(&work, &ledger, shards);
    ledger_free(&ledger);
    free(work.tapes);
    if (result == 0) {
        log_write(log, LOG_COVERAGE_KNOWN, io_utc_ns(io), "keys=%u rows_read=%llu holes=%u",
                  recall->keys, (unsigned long long)recall->rows, recall->arbiter.pool.used);
        return 0;
    }
    log_write(log, LOG_COVERAGE_UNREADABLE, io_utc_ns(io), "store=\"%s\" cause=\"%s\"",
              keep_store_path(store), strerror(-result));
    recall_close(recall);
    return result;
}

void recall_close(struct recall *recall)
{
    arbiter_close(&recall->arbiter);
    if (recall->symbols != NULL) symbols_close(recall->symbols);
    free(recall->alive_ns);
    free(recall->ends);
    candles_close(&recall->candles.sums);
    if (recall->candles.symbols != NULL) symbols_close(recall->candles.symbols);
    memset(recall, 0, sizeof *recall);
}
