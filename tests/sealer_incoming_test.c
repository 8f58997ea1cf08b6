// SPDX-License-Identifier: GPL-3.0-or-later
//
// Segments of another program: numbers given, taken in once and whole whatever crashes, refused
// where they do not fit. In the simulated world.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/segment.h"
#include "keep/keep_incoming.h"
#include "keep/keep_store.h"
#include "keep/sealer.h"
#include "sim_store.h"

enum { ROWS = 300, DAY = 20600, STEPS_MAX = 1000000, TEXT_BYTES = 4096 };

static struct sim_world *world;
static struct io *io;
static struct keep_store *store;
static struct sealer *sealer;

// ---- the store ----

static bool start(void)
{
    struct io_message message;
    const struct io_options options = {.name = "sealer"};
    cr_assert_eq(io_open_loop(&io, &options, &message), 0);
    store = NULL;
    sealer = NULL;
    if (keep_store_open(&store, io, "/store", &message) < 0)
        return false;
    cr_assert_eq(sealer_open(&sealer, io, store), 0);
    return true;
}

// False: a crash.
static bool until_idle(void)
{
    bool alive = true;
    for (int i = 0; i < STEPS_MAX && alive && !sealer_counters(sealer).idle; i++)
        alive = sim_world_step(world);
    return alive && sealer_counters(sealer).idle;
}

static void end(void)
{
    if (sealer)
        sealer_close(sealer);
    if (store)
        keep_store_close(store);
    sealer = NULL;
    store = NULL;
}

static void stopped(void *context)
{
    *(bool *)context = true;
}

static void stop(void)
{
    bool done = false;
    sealer_stop(sealer, stopped, &done);
    for (int i = 0; i < STEPS_MAX && !done; i++)
        (void)sim_world_step(world);
    cr_assert(done);
    end();
    io_close_loop(io);
}

static uint32_t ask_for_numbers(void)
{
    char text[64] = "";
    cr_assert_eq(sim_disk_mkdir(world, "/store/incoming"), 0);
    sim_disk_write(world, "/store/incoming/numbers.wanted", "", 0, 0);
    cr_assert(start());
    cr_assert(until_idle());
    stop();
    cr_assert_gt(sim_disk_read(world, "/store/incoming/numbers", text, sizeof text - 1, 0), 0);
    cr_assert_lt(sim_disk_size(world, "/store/incoming/numbers.wanted"), 0);
    return (uint32_t)strtoul(text, NULL, 10);
}

// With `numbers` still there: what it says.
static uint32_t ask_for_numbers_again(void)
{
    char text[64] = "";
    sim_disk_write(world, "/store/incoming/numbers.wanted", "", 0, 0);
    cr_assert(start());
    cr_assert(until_idle());
    stop();
    cr_assert_gt(sim_disk_read(world, "/store/incoming/numbers", text, sizeof text - 1, 0), 0);
    return (uint32_t)strtoul(text, NULL, 10);
}

// ---- the other program ----

static struct catalogue_segment put_segment(uint32_t number, const uint8_t identity[16])
{
    static struct event event;
    static uint8_t memory[1 << 20] __attribute__((aligned(64)));
    const struct channel_schema *schema = channel_schema(CHANNEL_TRADE);
    const struct rows_limits limits = {.rows = ROWS};
    struct segment_description what = {.salt = number, .created_ns = 1, .channel = CHANNEL_TRADE,
                                       .day = DAY, .number = number, .writer = "another program"};
    struct segment_writer *writer;
    struct rows rows;
    char path[128];
    size_t size, index_size;
    cr_assert_leq(rows_memory_bytes(schema, &limits), sizeof memory);
    rows_init(&rows, schema, &limits, memory);
    for (uint32_t i = 0; i < ROWS; i++) {
        event_clear(&event, CHANNEL_TRADE, 0);
        event_set(&event, COLUMN_FLAGS, EVENT_BACKFILLED);
        event_set(&event, TRADE_ID, 1 + i);
        event_set(&event, TRADE_TIME, (int64_t)DAY * 86400 * 1000000000 + i);
        event_set_decimal(&event, TRADE_PRICE, 100 + i % 7, 2);
        event_set_decimal(&event, TRADE_QUANTITY, 1 + i % 3, 0);
        event_set(&event, TRADE_SIDE, i % 2);
        cr_assert(rows_append(&rows, &event));
    }
    memcpy(what.store, identity, sizeof what.store);
    cr_assert_eq(segment_writer_open(&writer, &what), 0);
    cr_assert(segment_writer_symbol(writer, "binance:BTCUSDT", 15, ROWS));
    cr_assert_eq(segment_writer_append_many(writer, &rows, 0, ROWS, NULL), ROWS);
    cr_assert(segment_writer_finish(writer));
    const void *bytes = segment_writer_output(writer, &size);
    (void)snprintf(path, sizeof path, "/store/incoming/trade-%08u.segment", number);
    sim_disk_write(world, path, bytes, (uint32_t)size, 0);
    segment_writer_taken(writer);
    const void *index = segment_writer_index(writer, &index_size);
    (void)snprintf(path, sizeof path, "/store/incoming/trade-%08u.index", number);
    sim_disk_write(world, path, index, (uint32_t)index_size, 0);
    const struct segment_summary summary = segment_writer_summary(writer);
    segment_writer_close(writer);
    return (struct catalogue_segment){.number = number, .channel = CHANNEL_TRADE, .day = DAY,
                                      .rows = ROWS, .bytes = summary.bytes,
                                      .time_min = summary.time_min, .time_max = summary.time_max};
}

static void put_handover(const struct catalogue_segment *segment, const uint8_t identity[16],
                         uint64_t life)
{
    struct catalogue listed;
    char text[TEXT_BYTES], path[128];
    cr_assert_eq(catalogue_init(&listed, identity), 0);
    listed.next_segment = UINT32_MAX;
    listed.generation = life;
    cr_assert(catalogue_add_segment(&listed, segment));
    size_t size = catalogue_write(&listed, text, sizeof text);
    (void)snprintf(path, sizeof path, "/store/incoming/%08u.handover", segment->number);
    sim_disk_write(world, path, text, (uint32_t)size, 0);
    catalogue_free(&listed);
}

static void identity_of(uint8_t identity[16])
{
    cr_assert(start());
    memcpy(identity, keep_store_identity(store), 16);
    cr_assert(until_idle());
    stop();
}

// ---- reading back ----

static bool count_block(void *context, const struct catalogue_segment *listed,
                        const struct segment *segment, const struct segment_block *block)
{
    (void)segment;
    if (listed->channel == CHANNEL_TRADE)
        *(uint64_t *)context += block->rows->count;
    return true;
}

static uint64_t rows_stored(void)
{
    struct catalogue catalogue;
    static const uint8_t nobody[16];
    static char text[1 << 16];
    char why[SIM_STORE_WHY_BYTES] = "";
    uint64_t rows = 0;
    int64_t size = sim_disk_read(world, "/store/catalogue", text, sizeof text, 0);
    cr_assert_gt(size, 0);
    cr_assert_eq(catalogue_init(&catalogue, nobody), 0);
    cr_assert_eq(catalogue_parse(&catalogue, text, (size_t)size), 0);
    cr_assert(sim_store_walk(world, "/store", &catalogue, count_block, &rows, why), "%s", why);
    catalogue_free(&catalogue);
    return rows;
}

static void begin(uint64_t seed)
{
    world = sim_world_create(seed);
    sim_world_use(world);
}

// Crashes before disk operation `ahead` of the life that takes the handover in; true when it was
// done before.
static bool crashing_life(uint64_t ahead, enum sim_crash kind)
{
    uint8_t identity[16];
    char path[128];
    begin(ahead);
    identity_of(identity);
    uint32_t number = ask_for_numbers();
    const struct catalogue_segment segment = put_segment(number, identity);
    put_handover(&segment, identity, 0);
    sim_world_crash_at(world, sim_world_operations(world) + ahead);
    bool alive = start() && until_idle();
    if (alive) {
        sim_world_crash_at(world, 0);
        stop();
    } else {
        sim_world_crash(world, kind);
        end();
        sim_world_crash_at(world, 0);
        cr_assert(start() && until_idle(), "crash at %lu", (unsigned long)ahead);
        stop();
    }
    cr_assert_eq(rows_stored(), ROWS, "crash at %lu", (unsigned long)ahead);
    (void)snprintf(path, sizeof path, "/store/incoming/%08u.handover", number);
    cr_assert_lt(sim_disk_size(world, path), 0, "crash at %lu", (unsigned long)ahead);
    sim_world_destroy(world);
    return alive;
}

Test(sealer_incoming, a_crash_before_any_operation_takes_it_in_once)
{
    uint64_t ahead = 1;
    while (!crashing_life(ahead, SIM_CRASH_POWER))
        ahead++;
    cr_assert_gt(ahead, 20, "there were operations to crash at");
    for (ahead = 1; !crashing_life(ahead, SIM_CRASH_KILL);)
        ahead++;
}

Test(sealer_incoming, numbers_are_given_once)
{
    begin(1);
    uint32_t first = ask_for_numbers();
    cr_assert_gt(first, 0);
    // Not while those given are not taken.
    cr_assert_eq(ask_for_numbers_again(), first);
    sim_world_destroy(world);
}

static void is_put_aside(uint32_t number, const char *ending)
{
    char path[128];
    cr_assert(start());
    cr_assert(until_idle());
    stop();
    (void)snprintf(path, sizeof path, "/store/incoming/%08u.%s", number, ending);
    cr_assert_gt(sim_disk_size(world, path), 0, "%s", ending);
    cr_assert_eq(rows_stored(), 0);
}

Test(sealer_incoming, what_does_not_fit_is_refused)
{
    static const uint8_t stranger[16] = "another store";
    uint8_t identity[16];
    for (int wrong = 0; wrong < 4; wrong++) {
        begin(7 + (uint64_t)wrong);
        identity_of(identity);
        uint32_t number = ask_for_numbers();
        struct catalogue_segment segment = put_segment(number, identity);
        if (wrong == 0)
            segment.bytes++; // cut off
        if (wrong == 1)
            segment.number += KEEP_INCOMING_NUMBERS; // never given
        put_handover(&segment, wrong == 2 ? stranger : identity, wrong == 3 ? 5 : 0);
        is_put_aside(segment.number, wrong == 3 ? "stale" : "refused");
        sim_world_destroy(world);
    }
}

Test(sealer_incoming, a_damaged_handover_is_refused)
{
    uint8_t identity[16];
    char path[128];
    begin(3);
    identity_of(identity);
    uint32_t number = ask_for_numbers();
    const struct catalogue_segment segment = put_segment(number, identity);
    put_handover(&segment, identity, 0);
    (void)snprintf(path, sizeof path, "/store/incoming/%08u.handover", number);
    sim_disk_write(world, path, "x", 1, 40);
    is_put_aside(number, "refused");
    sim_world_destroy(world);
}

Test(sealer_incoming, the_recorders_life_is_read_from_the_ledger)
{
    cr_assert_eq(keep_incoming_life("ringtape-ledger 1 0\ngeneration 17\nshards 1\n", 42), 17);
    cr_assert_eq(keep_incoming_life("ringtape-ledger 1 0\ngener", 25), 0);
    cr_assert_eq(keep_incoming_life("", 0), 0);
}
