// SPDX-License-Identifier: GPL-3.0-or-later
#include "keep_life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/segment.h"
#include "format/tape_reader.h"
#include "sim_store.h"

#define LIFE_STORE "store"
#define LIFE_EPOCH_NS 1767225600000000000ll // 2026-01-01, where simulated clocks begin

static const char *const life_names[KEEP_LIFE_SYMBOLS] = {
    "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT", "TRXUSDT", "NEXOUSDT"};

void keep_life_begin(struct keep_life *life, uint64_t seed)
{
    memset(life, 0, sizeof *life);
    life->world = sim_world_create(seed);
    life->tape_bytes = 64 << 10;
    sim_world_use(life->world);
}

void keep_life_end(struct keep_life *life)
{
    sim_world_destroy(life->world);
}

// ---- the rows ----

static uint64_t scrambled(uint64_t n)
{
    n *= 0x9e3779b97f4a7c15ull;
    return n ^ (n >> 29);
}

static bool is_depth(uint64_t n)
{
    return n % 5 == 0;
}

static uint32_t symbol_of(uint64_t n)
{
    return (uint32_t)(scrambled(n) % KEEP_LIFE_SYMBOLS);
}

// Around midnight, so that a tape has rows of two days.
static int64_t time_of(uint64_t n)
{
    return LIFE_EPOCH_NS + ((int64_t)n - KEEP_LIFE_ROWS_MAX / 8) * 1000003;
}

static void fill_trade(struct event *event, uint64_t n)
{
    event_clear(event, CHANNEL_TRADE, symbol_of(n));
    event_set(event, TRADE_TIME, time_of(n));
    event_set(event, TRADE_ID, (int64_t)n);
    event_set_decimal(event, TRADE_PRICE, (int64_t)(scrambled(n) % 1000000007), n % 3 ? 8 : 2);
    event_set_decimal(event, TRADE_QUANTITY, (int64_t)(scrambled(n + 1) % 1000003), 4);
    event_set(event, TRADE_SIDE, (int64_t)(n & 1));
}

static void fill_depth(struct event *event, uint64_t n, struct event_level *levels)
{
    event_clear(event, CHANNEL_DEPTH, symbol_of(n));
    event_set(event, DEPTH_EVENT_TIME, time_of(n));
    event_set(event, DEPTH_FIRST_ID, (int64_t)n);
    event_set(event, DEPTH_LAST_ID, (int64_t)(n + n % 4));
    event->levels = levels;
    event->level_count = (uint32_t)(n % 6);
    for (uint32_t i = 0; i < event->level_count; i++)
        levels[i] = (struct event_level){.price = (int64_t)(n * 10 + i),
                                         .quantity = (int64_t)(n % 17),
                                         .price_scale = 1,
                                         .side = i & 1};
}

static void fill(struct event *event, uint64_t n, struct event_level *levels)
{
    if (is_depth(n))
        fill_depth(event, n, levels);
    else
        fill_trade(event, n);
    event_set(event, COLUMN_RECEIVE_TIME, time_of(n) + 12345);
    event_set(event, COLUMN_LINK, 1);
    event_set(event, COLUMN_FLAGS, 0);
}

// ---- running ----

static bool opened(struct keep_life *life)
{
    struct io_message message;
    struct io_options options = {.name = "shard"};
    ensure(io_open_loop(&life->shard_io, &options, &message) == 0);
    options.name = "sealer";
    ensure(io_open_loop(&life->sealer_io, &options, &message) == 0);
    if (keep_store_open(&life->store, life->shard_io, LIFE_STORE, &message) < 0)
        return false;
    life->symbols = symbols_open(64);
    uint32_t exchange = symbols_exchange(life->symbols, "binance");
    for (int s = 0; s < KEEP_LIFE_SYMBOLS; s++)
        ensure(symbols_add(life->symbols, exchange, life_names[s],
                           (uint32_t)strlen(life_names[s])) == (uint32_t)s);
    return true;
}

bool keep_life_start(struct keep_life *life)
{
    if (!opened(life))
        return false;
    struct tape_writer_options options = {
        .store = life->store,
        .symbols = life->symbols,
        .tape_bytes = life->tape_bytes,
        .tape_age_ns = life->tape_age_ns,
        .queue_bytes = 64 << 20,
    };
    ensure(tape_writer_open(&life->writer, life->shard_io, &options) == 0);
    if (life->guard)
        keep_store_add_guard(life->store, life->guard);
    if (life->rules)
        keep_store_set_rules(life->store, life->rules);
    if (!life->without_sealer)
        ensure(sealer_open(&life->sealer, life->sealer_io, life->store) == 0);
    if (life->rules && life->sealer)
        sealer_watch(life->sealer);
    life->sitting_first = life->appended;
    return !sim_world_crashed(life->world);
}

// The writer acknowledges the rows of this sitting in order.
static void note_durable(struct keep_life *life)
{
    uint64_t durable = tape_writer_counters(life->writer).rows_durable;
    for (uint64_t n = life->sitting_first + 1; durable > 0 && n <= life->appended; n++) {
        if (!life->taken[n])
            continue;
        life->acknowledged[n] = true;
        durable--;
    }
}

static void append_burst(struct keep_life *life, uint32_t rows)
{
    static struct event event;
    struct event_level levels[8];
    for (uint32_t i = 0; i < rows && life->appended < KEEP_LIFE_ROWS_MAX; i++) {
        uint64_t n = ++life->appended;
        fill(&event, n, levels);
        life->taken[n] = tape_writer_append(life->writer, &event);
        life->refused += !life->taken[n];
    }
}

bool keep_life_work(struct keep_life *life, uint32_t rows)
{
    while (rows > 0) {
        uint32_t burst = 1 + (uint32_t)sim_world_random(life->world, 40);
        burst = burst < rows ? burst : rows;
        append_burst(life, burst);
        if (life->rolls && sim_world_random(life->world, 24) == 0)
            tape_writer_roll(life->writer);
        rows -= burst;
        int64_t pause_ns = (int64_t)sim_world_random(life->world, 12000000);
        bool alive = sim_world_run(life->world, pause_ns);
        note_durable(life);
        if (!alive)
            return false;
    }
    return true;
}

static void writer_stopped(void *context, bool ok)
{
    *(int *)context = ok ? 1 : 2;
}

static void sealer_stopped(void *context)
{
    *(int *)context = 1;
}

static void release(struct keep_life *life)
{
    if (life->writer)
        tape_writer_close(life->writer);
    if (life->sealer)
        sealer_close(life->sealer);
    if (life->symbols)
        symbols_close(life->symbols);
    if (life->store)
        keep_store_close(life->store);
    life->writer = NULL;
    life->sealer = NULL;
    life->symbols = NULL;
    life->store = NULL;
}

static bool step_until(struct keep_life *life, const int *flag)
{
    while (*flag == 0) {
        if (!sim_world_step(life->world))
            return false;
    }
    return true;
}

bool keep_life_stop(struct keep_life *life)
{
    int writer = 0;
    int sealer = 0;
    tape_writer_stop(life->writer, 3000000000, writer_stopped, &writer);
    bool alive = step_until(life, &writer);
    note_durable(life);
    if (!alive)
        return false;
    if (life->sealer) {
        sealer_stop(life->sealer, sealer_stopped, &sealer);
        if (!step_until(life, &sealer))
            return false;
    }
    release(life);
    io_close_loop(life->shard_io);
    io_close_loop(life->sealer_io);
    return true;
}

void keep_life_crash(struct keep_life *life, enum sim_crash kind)
{
    sim_world_crash(life->world, kind);
    release(life);
    sim_world_crash_at(life->world, 0);
}

bool keep_life_settle(struct keep_life *life)
{
    if (!keep_life_start(life))
        return false;
    if (life->sealer)
        sealer_merge_all(life->sealer);
    for (int i = 0; life->sealer && i < 1000000 && !sealer_counters(life->sealer).idle; i++) {
        if (!sim_world_step(life->world))
            return false;
    }
    return keep_life_stop(life);
}

// ---- reading back ----

static bool wrong(struct keep_life *life, const char *what, uint64_t n)
{
    (void)snprintf(life->why, sizeof life->why, "%s: row %llu", what, (unsigned long long)n);
    return false;
}

static bool same_number(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale)
{
    for (; a_scale < b_scale; a_scale++)
        a *= 10;
    for (; b_scale < a_scale; b_scale++)
        b *= 10;
    return a == b;
}

static bool same_event(const struct event *a, const struct event *b)
{
    const struct channel_schema *schema = channel_schema(a->channel);
    if (a->present != b->present || a->level_count != b->level_count)
        return false;
    for (int c = 0; c < schema->column_count; c++) {
        if (!event_has(a, c))
            continue;
        bool decimal = schema->columns[c].type == COLUMN_DECIMAL;
        if (!same_number(a->value[c], decimal ? a->scale[c] : 0, b->value[c],
                         decimal ? b->scale[c] : 0))
            return false;
    }
    for (uint32_t i = 0; i < a->level_count; i++) {
        const struct event_level *x = &a->levels[i];
        const struct event_level *y = &b->levels[i];
        if (x->side != y->side ||
            !same_number(x->price, x->price_scale, y->price, y->price_scale) ||
            !same_number(x->quantity, x->quantity_scale, y->quantity, y->quantity_scale))
            return false;
    }
    return true;
}

static bool check_row(struct keep_life *life, const struct rows *rows, uint32_t row,
                      struct event_text name, uint64_t last[])
{
    static struct event read;
    static struct event expected;
    static struct event_level read_levels[EVENT_LEVELS_MAX];
    struct event_level levels[8];
    rows_get(rows, row, &read, read_levels);
    bool depth = read.channel == CHANNEL_DEPTH;
    uint64_t n = (uint64_t)(depth ? read.value[DEPTH_FIRST_ID] : read.value[TRADE_ID]);
    if (n == 0 || n > life->appended || !life->taken[n] || is_depth(n) != depth)
        return wrong(life, "read a row that was never appended", n);
    fill(&expected, n, levels);
    if (!same_event(&expected, &read))
        return wrong(life, "read other values than were appended", n);
    const char *known = life_names[symbol_of(n)];
    if (name.size != 8 + strlen(known) || memcmp(name.bytes + 8, known, strlen(known)) != 0)
        return wrong(life, "read another symbol", n);
    if (n <= last[symbol_of(n)])
        return wrong(life, "rows of a symbol are not in order", n);
    last[symbol_of(n)] = n;
    life->seen[n]++;
    return true;
}

struct walked { // between the blocks of a segment
    struct keep_life *life;
    uint32_t number; // of the segment
    uint64_t last[KEEP_LIFE_SYMBOLS];
};

static bool check_block(void *context, const struct catalogue_segment *listed,
                        const struct segment *segment, const struct segment_block *block)
{
    struct walked *walked = context;
    if (walked->number != listed->number)
        *walked = (struct walked){.life = walked->life, .number = listed->number};
    if (listed->channel == CHANNEL_STATUS) { // the writer's own
        if (walked->life->status)
            walked->life->status(block->rows);
        return true;
    }
    for (uint32_t row = 0; row < block->rows->count; row++) {
        struct event_text name = index_name(segment_index(segment), block->rows->symbol[row]);
        if (!check_row(walked->life, block->rows, row, name, walked->last))
            return false;
    }
    return true;
}

static bool check_batch(struct keep_life *life, const struct tape_item *item, uint64_t last[])
{
    if (getenv("KEEP_LIFE_TRACE"))
        (void)fprintf(stderr, "    batch %llu.%u first row %llu rows %u\n",
                      (unsigned long long)item->header.sequence, item->header.revision,
                      (unsigned long long)item->header.first_row, item->header.rows);
    struct tape_batch batch;
    void *memory = aligned_alloc(64, (item->memory_bytes + 63) & ~(size_t)63);
    bool good = tape_decode_batch(item->bytes, item->size, memory, item->memory_bytes, &batch) ==
                TAPE_GOOD;
    if (!good)
        wrong(life, "a batch cannot be decoded", item->header.sequence);
    for (int c = 0; good && c <= CHANNEL_DEPTH; c++) {
        // Status rows are the writer's own. Trades and depth of one symbol are each in order;
        // together they are by arrival only.
        for (uint32_t row = 0; good && row < batch.rows[c].count; row++)
            good = check_row(life, &batch.rows[c], row, batch.symbols[batch.rows[c].symbol[row]],
                             last + c * KEEP_LIFE_SYMBOLS);
    }
    const struct rows *status = &batch.rows[CHANNEL_STATUS];
    for (uint32_t row = 0; good && row < status->count; row++) {
        static struct event event;
        rows_get(status, row, &event, NULL);
        life->told_lost += (uint64_t)event.value[STATUS_COUNT];
    }
    free(memory);
    return good;
}

static bool check_tape(struct keep_life *life, uint32_t number, uint64_t last[])
{
    char path[CATALOGUE_PATH_BYTES_MAX + 16] = LIFE_STORE "/";
    uint8_t mark[2 * LAYOUT_SECTOR] = {0};
    catalogue_tape_path(number, "mark", path + strlen(LIFE_STORE "/"));
    int64_t mark_size = sim_disk_read(life->world, path, mark, sizeof mark, 0);
    struct layout_tape_end end;
    if (keep_store_find_end(life->store, number, &end)) {
        tape_end_mark(&end, mark);
        mark_size = sizeof mark;
    }
    catalogue_tape_path(number, "tape", path + strlen(LIFE_STORE "/"));
    int64_t size = sim_disk_size(life->world, path);
    ensure(size >= 0);
    uint8_t *bytes = aligned_alloc(64, ((size_t)size + 64) & ~(size_t)63);
    (void)sim_disk_read(life->world, path, bytes, (uint32_t)size, 0);
    struct source source = source_of_memory(bytes, (uint64_t)size);
    struct tape_reader reader;
    struct tape_item item;
    enum tape_error error = TAPE_GOOD;
    bool good = true;
    if (getenv("KEEP_LIFE_TRACE"))
        (void)fprintf(stderr, "tape %u, mark of %lld bytes\n", number, (long long)mark_size);
    if (tape_reader_open(&reader, &source, 0, mark_size > 0 ? mark : NULL,
                         mark_size > 0 ? (size_t)mark_size : 0, &error) == 0) {
        while (good && tape_reader_next(&reader, &item) > 0)
            good = item.is_damage ? wrong(life, "a tape is damaged", number)
                                  : check_batch(life, &item, last);
        tape_reader_close(&reader);
    }
    free(bytes);
    return good;
}

static bool check_tapes(struct keep_life *life)
{
    uint64_t last[CHANNEL_COUNT * KEEP_LIFE_SYMBOLS] = {0};
    bool good = true;
    for (uint32_t tape; good && (tape = keep_store_take(life->store)) != 0;) {
        good = life->without_sealer ? check_tape(life, tape, last)
                                    : wrong(life, "a tape is left unsealed", tape);
        keep_store_forget_end(life->store, tape); // as if it were sealed
    }
    if (good && keep_store_waiting(life->store) > 0)
        good = wrong(life, "tapes wait for ever", keep_store_waiting(life->store));
    return good;
}

bool keep_life_check(struct keep_life *life)
{
    struct io_message message;
    struct io_options options = {.name = "check"};
    ensure(io_open_loop(&life->shard_io, &options, &message) == 0);
    ensure(keep_store_open(&life->store, life->shard_io, LIFE_STORE, &message) == 0);
    struct walked walked = {.life = life};
    bool good = sim_store_walk(life->world, LIFE_STORE, keep_store_catalogue(life->store),
                               check_block, &walked, life->why);
    good = good && check_tapes(life);
    for (uint64_t n = 1; good && n <= life->appended; n++) {
        if (life->seen[n] > 1)
            good = wrong(life, "read twice", n);
        if (life->acknowledged[n] && life->seen[n] == 0)
            good = wrong(life, "acknowledged and lost", n);
    }
    release(life);
    io_close_loop(life->shard_io);
    return good;
}

static bool mirror_segments(struct keep_life *life, uint32_t tape)
{
    const struct catalogue *listed = keep_store_catalogue(life->store);
    struct walked walked = {.life = life};
    struct catalogue of_tape;
    bool good = true;
    ensure(catalogue_init(&of_tape, listed->store) == 0);
    for (uint32_t i = 0; i < listed->segment_count && good; i++) {
        const struct catalogue_segment *segment = &listed->segments[i];
        if (segment->tape_first > tape || segment->tape_last < tape)
            continue;
        if (segment->tape_first != segment->tape_last)
            good = wrong(life, "its segment was merged, tape", tape);
        ensure(catalogue_add_segment(&of_tape, segment));
    }
    good = good && sim_store_walk(life->world, LIFE_STORE, &of_tape, check_block, &walked,
                                  life->why);
    catalogue_free(&of_tape);
    return good;
}

bool keep_life_mirror(struct keep_life *life, uint32_t tape, bool *from_segments)
{
    char path[CATALOGUE_PATH_BYTES_MAX + 16] = LIFE_STORE "/";
    uint64_t last[CHANNEL_COUNT * KEEP_LIFE_SYMBOLS] = {0};
    catalogue_tape_path(tape, "tape", path + strlen(LIFE_STORE "/"));
    *from_segments = sim_disk_size(life->world, path) < 0;
    return *from_segments ? mirror_segments(life, tape) : check_tape(life, tape, last);
}
