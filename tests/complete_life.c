// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life: see complete_life.h. What is listed is read from the status rows alone: opened and
// not repaired later. The ledger is not asked: the data must tell for itself.
#include "complete_life.h"

#include "complete_life_candles.h"
#include "format/ensure.h"
#include "format/event.h"
#include "keep/keep_store.h"
#include "sim_store.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STORE "/data/store"

// ---- lives ----

struct life *life_create(uint64_t seed, uint32_t redundancy, int64_t pause_ns)
{
    struct life *life = calloc(1, sizeof *life);
    struct io_message message = {{0}};
    life->redundancy = redundancy;
    life->world = sim_world_create(seed);
    sim_world_use(life->world);
    cr_assert_eq(sim_disk_mkdir(life->world, "/data"), 0);
    cr_assert_eq(io_open_loop(&life->peer_io, &(struct io_options){.name = "peer"}, &message), 0);
    sim_loop_elsewhere(life->peer_io);
    life->peer = market_peer_create(life->peer_io, life->world, pause_ns);
    static const char *const addresses[] = LIFE_ADDRESSES;
    for (uint32_t i = 0; i < 3; i++) sim_world_name(life->world, LIFE_HOST, addresses[i]);
    sim_name_hidden(life->world, LIFE_HOST, addresses[2], true);
    for (uint32_t i = 1; i < 3; i++) sim_address_gone(life->world, addresses[i], true);
    life->log.file = getenv("LIFE_TEST_LOG") != NULL ? 2 : -1;
    life->log.levels.all = LOG_LEVEL_INFO;
    return life;
}

static void life_url(const struct life *life, const char *scheme, bool websocket, struct url *url)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s://%s:%u", scheme,
                   life->named ? LIFE_HOST : "127.0.0.1", life->peer->port);
    cr_assert_null(url_parse(text, websocket, url));
}

static void life_feed(struct life *life, struct shard *shard, uint32_t number)
{
    static struct dialect_channel channels[2] = {{"trade"}, {"depth"}};
    static struct plan_symbol symbols[MARKET_SYMBOLS];
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++)
        (void)snprintf(symbols[i].text, sizeof symbols[i].text, life->upbit ? "KRW-C%u" : "C%uUSDT",
                       i);
    life->peer->upbit = life->upbit;
    const struct plan_input input = {.dialect = dialect_by_name(life->upbit ? "upbit" : "binance"),
                                     .channels = channels,
                                     .channel_count = life->upbit ? 1 : 2,
                                     .symbols = symbols,
                                     .symbol_count = MARKET_SYMBOLS,
                                     .redundancy = life->redundancy,
                                     .shard_count = life->shards};
    struct shard_feed *feed = calloc(1, sizeof *feed);
    feed->share = plan_share_create(&input, number);
    life_url(life, "ws", true, &feed->url);
    life_url(life, "http", false, &feed->rest_url);
    feed->id = 1;
    const struct shard_command command = {.kind = SHARD_FEED_ADD, .feed = feed};
    cr_assert(shard_post(shard, &command));
}

void life_run(struct life *life, int64_t for_ns)
{
    (void)sim_world_run(life->world, for_ns);
}

static struct shard *life_shard(struct life *life, struct io **io, uint32_t number)
{
    struct io_message message = {{0}};
    struct shard *shard;
    struct shard_options options = {.index = number,
                                    .log = &life->log, .permits = &life->permits,
                                    .board = &life->board,
                                    .store = life->store, .recall = &life->recall,
                                    .tape_bytes = 1 << 20,
                                    .tape_age_ns = life->tape_age_ns,
                                    .feed = life_mirror_feed(life, number),
                                    .derive = {.interval_count = 2, .minutes = {1, 5},
                                               .grace_ns = -1, .empty = life->candles_empty}};
    life_alert_rules(&options.derive.alerts);
    cr_assert_eq(io_open_loop(io, &(struct io_options){.name = "shard"}, &message), 0);
    cr_assert_eq(shard_open(&shard, *io, &options), 0);
    life_feed(life, shard, number);
    return shard;
}

// False: the machine crashed.
static bool life_store(struct life *life)
{
    struct io_message message = {{0}};
    permits_init(&life->permits);
    audit_board_init(&life->board);
    (void)permits_kind(&life->permits, "binance", 300, 300 * LIMIT_SECOND_NS);
    (void)permits_kind(&life->permits, "upbit", 5, LIMIT_SECOND_NS);
    cr_assert_eq(io_open_loop(&life->store_io, &(struct io_options){.name = "store"}, &message), 0);
    int result = keep_store_open(&life->store, life->store_io, STORE, &message);
    if (result != 0) life->store = NULL;
    if (sim_world_crashed(life->world)) return false;
    cr_assert_eq(result, 0, "%s", message.text);
    result = recall_open(&life->recall, life->store_io, life->store, life->shards, &life->log);
    life->recalled = result == 0;
    if (sim_world_crashed(life->world)) return false;
    cr_assert_eq(result, 0);
    const struct candles_options candles = {.symbols_max = LIMIT_SHARD_SYMBOLS,
                                            .interval_count = 2, .minutes = {1, 5}};
    result = recall_load_candles(&life->recall, life->store_io, life->store, &candles, -1,
                                 &life->log);
    if (sim_world_crashed(life->world)) return false;
    cr_assert_eq(result, 0);
    return true;
}

static bool life_start_all(struct life *life)
{
    struct io_message message = {{0}};
    if (!life_store(life) || (life->broker != NULL && !life_mirror_start(life))) return false;
    cr_assert_lt(life->start_count, LIFE_STARTS_MAX);
    life->starts_ns[life->start_count++] = io_utc_ns(life->store_io);
    life->shard = life_shard(life, &life->io, 0);
    for (uint32_t i = 1; i < life->shards; i++)
        life->other[i - 1] = life_shard(life, &life->other_io[i - 1], i);
    if (!life->seals) return true;
    cr_assert_eq(io_open_loop(&life->sealer_io, &(struct io_options){.name = "sealer"}, &message),
                 0);
    keep_store_set_log(life->store, &life->log);
    cr_assert_eq(sealer_open(&life->sealer, life->sealer_io, life->store), 0);
    sealer_watch(life->sealer);
    return true;
}

static void life_nothing_is(struct life *life)
{
    life->shard = NULL;
    life->store = NULL;
    life->mirror = NULL;
    life->sealer = NULL;
    life->recalled = false;
}

// A start waits in io_run(), and nothing comes any more. What it had made is leaked; operations in
// flight lie on its stack, so the crash happens while that is there.
static void life_start_crashed(void *context)
{
    struct life *life = context;
    sim_world_on_crash(life->world, NULL, NULL);
    sim_world_crash(life->world, life->start_crash);
    life->crashed = true;
    longjmp(life->escape, 1);
}

bool life_start(struct life *life)
{
    if (life->shards == 0) life->shards = 1;
    cr_assert_leq(life->shards, LIFE_SHARDS_MAX);
    life_nothing_is(life);
    if (setjmp(life->escape) != 0) {
        life_nothing_is(life);
        return false;
    }
    sim_world_on_crash(life->world, life_start_crashed, life);
    const bool started = life_start_all(life);
    sim_world_on_crash(life->world, NULL, NULL);
    return started;
}

static void life_sealer_stopped(void *context)
{
    *(bool *)context = true;
}

static void life_sealer_stop(struct life *life)
{
    bool stopped = false;
    sealer_stop(life->sealer, life_sealer_stopped, &stopped);
    life_run(life, 3 * LIMIT_SECOND_NS);
    cr_assert(stopped);
    sealer_close(life->sealer);
    io_close_loop(life->sealer_io);
    life->sealer = NULL;
}

static void life_shard_close(struct life *life, struct shard *shard, struct io *io)
{
    bool durable;
    cr_assert(shard_stopped(shard, &durable) && durable);
    life->copies += shard_counters(shard).copies;
    shard_close(shard);
    io_close_loop(io);
}

void life_stop(struct life *life)
{
    life->end_ns = io_utc_ns(life->io);
    const struct shard_command stop = {.kind = SHARD_STOP};
    cr_assert(shard_post(life->shard, &stop));
    for (uint32_t i = 1; i < life->shards; i++) cr_assert(shard_post(life->other[i - 1], &stop));
    life_run(life, 3 * LIMIT_SECOND_NS);
    life_shard_close(life, life->shard, life->io);
    for (uint32_t i = 1; i < life->shards; i++)
        life_shard_close(life, life->other[i - 1], life->other_io[i - 1]);
    audit_board_free(&life->board);
    if (life->sealer != NULL) life_sealer_stop(life);
    if (life->mirror != NULL) life_mirror_stop(life);
    recall_close(&life->recall);
    keep_store_close(life->store);
    io_close_loop(life->store_io);
}

void life_crash(struct life *life, enum sim_crash kind)
{
    if (life->crashed) {
        life->crashed = false;
        return;
    }
    if (life->shard != NULL) life->copies += shard_counters(life->shard).copies;
    sim_world_crash(life->world, kind);
    sim_world_crash_at(life->world, 0);
    if (life->recalled) recall_close(&life->recall);
    if (life->sealer != NULL) sealer_close(life->sealer);
    life->sealer = NULL;
    if (life->mirror != NULL) life_mirror_crash(life);
    if (life->store != NULL) keep_store_close(life->store);
}

void life_seal(struct life *life)
{
    cr_assert(sim_store_settle(life->world, STORE), "the store does not settle");
}

void life_destroy(struct life *life)
{
    sim_world_destroy(life->world);
    market_peer_destroy(life->peer);
    free(life);
}

// ---- reading ----

enum { RANGES_MAX = 100000, DEPTH_ROWS_MAX = 200000 };

struct range {
    int64_t first;
    int64_t last;
};

struct ranges {
    uint32_t count;
    struct range *at;
};

struct depth_row {
    int64_t first;
    int64_t last;
    int64_t quantity[MARKET_LEVELS]; // -1: not in it
};

struct depth_rows {
    uint32_t count;
    struct depth_row *at;
};

struct found {
    uint8_t *stored[MARKET_SYMBOLS]; // how often, by id
    int8_t *listed[MARKET_SYMBOLS];  // opened or lost: 1; repaired: 0
    struct depth_rows depth[MARKET_SYMBOLS];
    struct depth_rows books[MARKET_SYMBOLS];
    struct ranges lost_depth[MARKET_SYMBOLS];
    struct life_candles candles[MARKET_SYMBOLS];
    struct life_alerts alerts;
    uint64_t wrong;
    uint64_t not_live;
    int64_t live_from_ns;
    bool says; // LIFE_TEST_TRADES is set: every trade is printed
    const struct market_peer *peer;
};

uint32_t life_symbol(const struct segment *segment, uint32_t number, uint32_t prefix)
{
    struct event_text name = index_name(segment_index(segment), number);
    char digits[16] = "";
    cr_assert(name.size > prefix && name.size - prefix < sizeof digits);
    memcpy(digits, name.bytes + prefix, name.size - prefix); // names end without a zero
    uint32_t symbol = (uint32_t)strtoul(digits, NULL, 10);
    cr_assert_lt(symbol, MARKET_SYMBOLS);
    return symbol;
}

static void found_trade(struct found *found, uint32_t symbol, const struct rows *rows,
                        uint32_t row)
{
    int64_t n = rows->value[TRADE_ID][row] - MARKET_FIRST_ID;
    const struct market_symbol *truth = &found->peer->symbols[symbol];
    cr_assert(n >= 0 && n < (int64_t)truth->count, "a trade that never was");
    if (found->stored[symbol][n] < UINT8_MAX) found->stored[symbol][n]++;
    if (found->says)
        (void)fprintf(stderr, "trade %u %lld flags %lld link %lld at %lld\n", symbol,
                      (long long)rows->value[TRADE_ID][row],
                      (long long)rows->value[COLUMN_FLAGS][row],
                      (long long)rows->value[COLUMN_LINK][row],
                      (long long)rows->value[COLUMN_RECEIVE_TIME][row]);
    int64_t price = rows->value[TRADE_PRICE][row];
    for (uint8_t scale = rows->scale[TRADE_PRICE][row]; scale < 1; scale++) price *= 10;
    for (uint8_t scale = rows->scale[TRADE_PRICE][row]; scale > 1; scale--) price /= 10;
    bool repaired = (rows->value[COLUMN_FLAGS][row] & EVENT_REPAIRED) != 0;
    bool good = rows->value[TRADE_TIME][row] == truth->time_us[n] * 1000 &&
                price == ((n + MARKET_FIRST_ID) % 97 + 1) * 10 + 1 &&
                rows->value[TRADE_SIDE][row] ==
                    ((n + MARKET_FIRST_ID) % 2 != 0 ? SIDE_SELL : SIDE_BUY) &&
                (rows->present[row] >> TRADE_BEST_MATCH & 1) != 0 &&
                (rows->present[row] >> TRADE_EVENT_TIME & 1) == !repaired;
    found->wrong += !good;
    found->not_live += repaired && found->live_from_ns != 0 &&
                       rows->value[TRADE_TIME][row] >= found->live_from_ns;
}

static void found_levels(struct depth_row *row, const struct rows *rows, uint32_t at)
{
    for (uint32_t i = 0; i < MARKET_LEVELS; i++) row->quantity[i] = -1;
    for (uint32_t i = rows->level_first[at]; i < rows->level_first[at + 1]; i++) {
        int64_t price = rows->level_price[i];
        for (uint8_t scale = rows->level_price_scale[i]; scale > 0; scale--) price /= 10;
        int64_t quantity = rows->level_quantity[i];
        for (uint8_t scale = rows->level_quantity_scale[i]; scale > 0; scale--) quantity /= 10;
        cr_assert(price >= 100 && price < 100 + MARKET_LEVELS);
        row->quantity[price - 100] = quantity;
    }
}

static void found_depth(struct depth_rows *into, const struct rows *rows, uint32_t at, bool book)
{
    cr_assert_lt(into->count, DEPTH_ROWS_MAX);
    struct depth_row *row = &into->at[into->count++];
    row->first = book ? 0 : rows->value[DEPTH_FIRST_ID][at];
    row->last = book ? rows->value[BOOK_LAST_ID][at] : rows->value[DEPTH_LAST_ID][at];
    found_levels(row, rows, at);
}

static bool has(const struct rows *rows, int column, uint32_t row)
{
    return (rows->present[row] >> column & 1) != 0;
}

// A gap is told without an end; the snapshot that ends it says to where it is lost.
static void found_lost_depth(struct ranges *lost, struct range range)
{
    cr_assert_lt(lost->count, RANGES_MAX);
    for (uint32_t i = 0; i < lost->count && range.last < INT64_MAX; i++) {
        if (lost->at[i].last == INT64_MAX && lost->at[i].first <= range.last)
            lost->at[i].last = range.last;
    }
    lost->at[lost->count++] = range;
}

static void found_status(struct found *found, uint32_t symbol, const struct rows *rows,
                         uint32_t row)
{
    int64_t kind = rows->value[STATUS_KIND][row];
    if (kind != STATUS_HOLE_OPENED && kind != STATUS_HOLE_REPAIRED && kind != STATUS_HOLE_LOST)
        return;
    cr_assert(has(rows, STATUS_FIRST_ID, row) && has(rows, STATUS_CHANNEL, row));
    int64_t first = rows->value[STATUS_FIRST_ID][row];
    int64_t last = has(rows, STATUS_LAST_ID, row) ? rows->value[STATUS_LAST_ID][row] : INT64_MAX;
    if (found->says)
        (void)fprintf(stderr, "hole %u kind %lld channel %lld %lld to %lld at %lld\n", symbol,
                      (long long)kind, (long long)rows->value[STATUS_CHANNEL][row],
                      (long long)first, (long long)last,
                      (long long)rows->value[COLUMN_RECEIVE_TIME][row]);
    if (rows->value[STATUS_CHANNEL][row] == CHANNEL_DEPTH) {
        if (kind != STATUS_HOLE_REPAIRED)
            found_lost_depth(&found->lost_depth[symbol], (struct range){first, last});
        return;
    }
    for (int64_t id = first; id <= last; id++) {
        int64_t n = id - MARKET_FIRST_ID;
        cr_assert(n >= 0 && n < (int64_t)found->peer->symbols[symbol].count);
        int8_t *listed = &found->listed[symbol][n];
        *listed = kind != STATUS_HOLE_REPAIRED; // rows come in the order they were told
    }
}

static bool found_block(void *context, const struct catalogue_segment *listed,
                        const struct segment *segment, const struct segment_block *block)
{
    struct found *found = context;
    const struct rows *rows = block->rows;
    for (uint32_t row = 0; row < rows->count; row++) {
        if (rows->symbol[row] == SYMBOL_NONE) continue;
        uint32_t symbol = life_symbol(segment, rows->symbol[row], 9); // binance:C0
        if (listed->channel == CHANNEL_TRADE) {
            found_trade(found, symbol, rows, row);
            life_alert_trade(&found->alerts, symbol, rows, row);
        }
        if (listed->channel == CHANNEL_ALERT) life_alert_found(&found->alerts, rows, row);
        if (listed->channel == CHANNEL_DEPTH)
            found_depth(&found->depth[symbol], rows, row, false);
        if (listed->channel == CHANNEL_BOOK) found_depth(&found->books[symbol], rows, row, true);
        if (listed->channel == CHANNEL_CANDLE)
            life_candle_found(&found->candles[symbol], rows, row);
        if (listed->channel == CHANNEL_STATUS) found_status(found, symbol, rows, row);
    }
    return true;
}

static struct found *found_create(const struct market_peer *peer)
{
    struct found *found = calloc(1, sizeof *found);
    found->peer = peer;
    found->says = getenv("LIFE_TEST_TRADES") != NULL;
    life_alerts_open(&found->alerts);
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) {
        found->stored[i] = calloc(MARKET_TRADES, 1);
        found->listed[i] = calloc(MARKET_TRADES, 1);
        found->depth[i].at = calloc(DEPTH_ROWS_MAX, sizeof(struct depth_row));
        found->books[i].at = calloc(DEPTH_ROWS_MAX, sizeof(struct depth_row));
        found->lost_depth[i].at = calloc(RANGES_MAX, sizeof(struct range));
        found->candles[i].at = calloc(LIFE_CANDLES_MAX, sizeof(struct life_candle));
    }
    return found;
}

static void found_destroy(struct found *found)
{
    life_alerts_close(&found->alerts);
    for (uint32_t i = 0; i < MARKET_SYMBOLS; i++) {
        free(found->stored[i]);
        free(found->listed[i]);
        free(found->depth[i].at);
        free(found->books[i].at);
        free(found->lost_depth[i].at);
        free(found->candles[i].at);
    }
    free(found);
}

// ---- judging ----

static void judge_trades(const struct found *found, uint32_t symbol, struct life_result *result)
{
    int64_t count = (int64_t)found->peer->symbols[symbol].count;
    int64_t first = 0;
    while (first < count && found->stored[symbol][first] == 0) first++;
    for (int64_t n = first; n < count; n++) {
        uint8_t stored = found->stored[symbol][n];
        bool listed = found->listed[symbol][n] > 0;
        result->stored += stored > 0;
        result->duplicated += stored > 1 ? stored - 1u : 0u;
        result->listed += listed;
        result->missing += stored == 0 && !listed;
        if (found->says && stored == 0 && !listed)
            (void)fprintf(stderr, "missing: symbol %u id %lld\n", symbol,
                          (long long)(n + MARKET_FIRST_ID));
        result->wrong += stored > 0 && listed;
        result->not_live += stored == 0 && found->live_from_ns != 0 &&
                            found->peer->symbols[symbol].time_us[n] * 1000 >= found->live_from_ns;
    }
}

static int compare_rows(const void *a, const void *b)
{
    const struct depth_row *one = a;
    const struct depth_row *two = b;
    return (one->last > two->last) - (one->last < two->last);
}

// True where the ranges together hold all of [first, last].
static bool lost_covers(const struct ranges *lost, int64_t first, int64_t last)
{
    for (bool moved = true; moved && first <= last;) {
        moved = false;
        for (uint32_t i = 0; i < lost->count && first <= last; i++) {
            if (lost->at[i].first > first || lost->at[i].last < first) continue;
            if (lost->at[i].last >= last) return true;
            first = lost->at[i].last + 1;
            moved = true;
        }
    }
    return first > last;
}

static bool book_is_true(const struct found *found, uint32_t symbol, const int64_t *book,
                         int64_t book_id)
{
    for (uint32_t i = 0; i < MARKET_LEVELS; i++) {
        if (book[i] != market_quantity(found->peer, symbol, i, book_id)) return false;
    }
    return true;
}

// Binance's rule: from a snapshot on, every update that follows.
static void judge_depth(const struct found *found, uint32_t symbol, struct life_result *result)
{
    const struct depth_rows *books = &found->books[symbol];
    const struct depth_rows *depth = &found->depth[symbol];
    int64_t book[MARKET_LEVELS] = {0};
    int64_t at = -1; // no anchor
    uint32_t next_book = 0;
    qsort(books->at, books->count, sizeof *books->at, compare_rows);
    qsort(depth->at, depth->count, sizeof *depth->at, compare_rows);
    for (uint32_t i = 0; i < depth->count; i++) {
        const struct depth_row *row = &depth->at[i];
        if (row->last <= at) continue;
        if (at < 0 || row->first > at + 1) { // a gap: the next snapshot that this row follows
            int64_t gap = at + 1;
            while (next_book < books->count && books->at[next_book].last + 1 < row->first)
                next_book++;
            if (next_book == books->count) {
                bool listed = at < 0 || lost_covers(&found->lost_depth[symbol], gap, row->last);
                result->depth_unlisted += !listed;
                break;
            }
            const struct depth_row *anchor = &books->at[next_book];
            if (at >= 0 && !lost_covers(&found->lost_depth[symbol], gap, row->first - 1))
                result->depth_unlisted++;
            if (anchor->last < row->first - 1 || anchor->last > row->last) continue;
            at = anchor->last;
            for (uint32_t level = 0; level < MARKET_LEVELS; level++)
                book[level] = anchor->quantity[level] < 0 ? 0 : anchor->quantity[level];
            if (row->last <= at) continue;
        }
        for (uint32_t level = 0; level < MARKET_LEVELS; level++)
            if (row->quantity[level] >= 0) book[level] = row->quantity[level];
        at = row->last;
        result->depth++;
        result->depth_wrong += !book_is_true(found, symbol, book, at);
    }
}

struct life_result life_judge(struct life *life)
{
    struct io *io;
    struct io_message message;
    struct keep_store *store;
    struct life_result result = {0};
    char why[SIM_STORE_WHY_BYTES] = "";
    cr_assert(sim_store_settle(life->world, STORE), "the store does not settle");
    cr_assert_eq(io_open_loop(&io, &(struct io_options){.name = "check"}, &message), 0);
    cr_assert_eq(keep_store_open(&store, io, STORE, &message), 0, "%s", message.text);
    struct found *found = found_create(life->peer);
    found->live_from_ns = life->live_from_ns;
    bool good = sim_store_walk(life->world, STORE, keep_store_catalogue(store), found_block, found,
                               why);
    cr_assert(good, "%s", why);
    const struct life_candles_judge judge = {life->end_ns, life->candles_empty};
    for (uint32_t symbol = 0; symbol < MARKET_SYMBOLS; symbol++) {
        judge_trades(found, symbol, &result);
        judge_depth(found, symbol, &result);
        result.candles += found->candles[symbol].count;
        result.candles_wrong +=
            life_candles_wrong(&found->candles[symbol], &life->peer->symbols[symbol],
                               found->stored[symbol], &judge);
    }
    result.alerts = found->alerts.stored_count;
    result.alerts_wrong =
        life_alerts_wrong(&found->alerts, life->starts_ns, life->start_count);
    result.wrong += found->wrong;
    result.not_live += found->not_live;
    found_destroy(found);
    keep_store_close(store);
    io_close_loop(io);
    return result;
}
