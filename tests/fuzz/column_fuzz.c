// SPDX-License-Identifier: GPL-3.0-or-later
//
// Property: no bytes make the readers of lists and of modelled columns leave their memory, and what
// they accept can be written again, at both levels, to bytes that read as the same numbers.
//
// Input: u8 what (bit 0: a modelled column, bit 1: of levels), u16 count - 1 (modulo the most),
// then the bytes of the list or column. The other columns of the block are always the same.
#include <stdlib.h>

#include "format/column_modelled.h"
#include "tests/column_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    COUNT_MAX = 2100,
    LEVELS_EACH = 8, // of a row, at most
    COLUMNS = 8,     // 0 ... 7 and 64; 68, 69, 70 where there are levels
};

struct world {
    struct modelled_room *room;
    struct model_frame frame;
    int64_t columns[80][COUNT_MAX];
    uint32_t level_first[COUNT_MAX + 1];
    uint32_t clipped[COUNT_MAX + 1]; // the same, no further than the column goes
    uint32_t before[MODEL_LINEAGE_COUNT][COUNT_MAX];
    uint64_t values[COUNT_MAX];
    uint64_t back[COUNT_MAX];
    uint8_t *bytes;
};

static void world_levels(struct world *world, struct format_random *random)
{
    uint32_t levels = 0;
    for (uint32_t r = 0; r < COUNT_MAX; r++) {
        world->level_first[r] = levels;
        for (uint32_t l = random_below(random, LEVELS_EACH); l > 0 && levels < COUNT_MAX; l--)
            world->columns[70][levels++] = random_below(random, 5) < 2;
    }
    world->level_first[COUNT_MAX] = levels;
    ensure(levels == COUNT_MAX);
    struct model_frame frame = {.rows = COUNT_MAX, .levels = COUNT_MAX,
                                .level_first = world->level_first};
    for (int lineage = MODEL_LIST; lineage <= MODEL_RANK; lineage++)
        model_lineage(&frame, (enum model_lineage)lineage, world->columns[70],
                      world->before[lineage]);
}

static struct world *world_open(void)
{
    static const uint8_t ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 64, 68, 69};
    struct world *world = calloc(1, sizeof *world);
    struct format_random random = {1};
    ensure(world);
    world->room = modelled_room_open(COUNT_MAX);
    world->bytes = malloc(modelled_bytes_max(COUNT_MAX) + list_bytes_spare(COUNT_MAX));
    ensure(world->room && world->bytes);
    for (size_t c = 0; c < sizeof ids; c++)
        column_numbers(&random, (enum column_style)(c % COLUMN_STYLES), (unsigned)(c * 6 + 1),
                       (uint64_t *)world->columns[ids[c]], COUNT_MAX);
    world_levels(world, &random);
    return world;
}

// Predecessors lie before, so the first `count` of them are those of a shorter block.
static void world_frame(struct world *world, bool of_levels, uint32_t count)
{
    world->frame = (struct model_frame){.rows = count};
    for (unsigned id = 0; id < COLUMNS; id++)
        world->frame.columns[id] = world->columns[id];
    world->frame.columns[64] = world->columns[64];
    if (!of_levels)
        return;
    world->frame.rows = COUNT_MAX;
    for (uint32_t r = 0; r <= COUNT_MAX; r++)
        world->clipped[r] = world->level_first[r] < count ? world->level_first[r] : count;
    world->frame.levels = count;
    world->frame.level_first = world->clipped;
    for (unsigned id = 68; id <= 70; id++)
        world->frame.columns[id] = world->columns[id];
    for (int lineage = MODEL_LIST; lineage <= MODEL_RANK; lineage++)
        world->frame.before[lineage] = world->before[lineage];
}

static void fuzz_list(struct world *world, const uint8_t *bytes, size_t size, uint32_t count)
{
    struct list_room *lists = modelled_lists(world->room);
    struct wire_reader in = wire_reader_of(bytes, size);
    if (!list_decode(lists, &in, count, world->values))
        return;
    for (int level = COLUMN_LEVEL_DENSE; level <= COLUMN_LEVEL_LIGHT; level++) {
        uint8_t *end = list_encode(lists, (enum column_level)level, world->values, count,
                                   world->bytes);
        in = wire_reader_of(world->bytes, (size_t)(end - world->bytes));
        ensure(list_decode(lists, &in, count, world->back) && wire_left(&in) == 0);
        ensure(memcmp(world->back, world->values, count * sizeof *world->values) == 0);
    }
}

static void fuzz_modelled(struct world *world, const uint8_t *bytes, size_t size, uint32_t count)
{
    struct model model;
    struct wire_reader in = wire_reader_of(bytes, size);
    if (!modelled_decode(world->room, &world->frame, &in, (int64_t *)world->values, count))
        return;
    in = wire_reader_of(bytes, size);
    ensure(model_get(&in, &model) && model_possible(&world->frame, &model, count));
    const int64_t *values = (const int64_t *)world->values;
    (void)modelled_estimate(world->room, &world->frame, &model, values, count);
    for (int level = COLUMN_LEVEL_DENSE; level <= COLUMN_LEVEL_LIGHT; level++) {
        uint8_t *end = modelled_encode(world->room, (enum column_level)level, &world->frame, &model,
                                       values, count, world->bytes);
        ensure(end <= world->bytes + modelled_bytes_max(count));
        in = wire_reader_of(world->bytes, (size_t)(end - world->bytes));
        ensure(modelled_decode(world->room, &world->frame, &in, (int64_t *)world->back, count) &&
               wire_left(&in) == 0);
        ensure(memcmp(world->back, values, count * sizeof *values) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world *world;
    if (!world)
        world = world_open();
    if (size < 3)
        return 0;
    uint32_t count = 1 + (uint32_t)(data[1] | data[2] << 8) % COUNT_MAX;
    world_frame(world, data[0] & 2, count);
    if (data[0] & 1)
        fuzz_modelled(world, data + 3, size - 3, count);
    else
        fuzz_list(world, data + 3, size - 3, count);
    return 0;
}
