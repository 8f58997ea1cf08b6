// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: whatever model a column is coded by, it comes back, and nothing impossible is taken for a
// model. Method: every predictor with every lineage and predicate on random blocks; predecessors
// and contexts computed a second time, slowly, by the words of docs/format.md; one case for each
// rule that a reader must hold a model to.
#include <criterion/criterion.h>

#include "format/column_codec.h"
#include "format/column_recipe.h"
#include "format/segment.h"
#include "tests/column_fixture.h"

enum {
    ROWS_MAX = 1200,
    LEVELS_MAX = 6 * ROWS_MAX,
    FIRST_COLUMN = 3, // 3 ... 6 have numbers; 6 those of a code
    LAST_COLUMN = 6,
    NEVER = 7,        // a column that is not there
};

// A random block.
struct world {
    struct format_random random;
    struct model_frame frame;
    int64_t columns[80][LEVELS_MAX];
    uint32_t level_first[ROWS_MAX + 1];
    uint32_t before[MODEL_LINEAGE_COUNT][LEVELS_MAX];
    int64_t values[LEVELS_MAX];
    struct guarded bytes, out;
    struct modelled_room *room;
};

static struct world *world_open(void)
{
    struct world *world = calloc(1, sizeof *world);
    ensure(world);
    world->random.state = column_seed();
    world->room = modelled_room_open(LEVELS_MAX);
    ensure(world->room);
    world->bytes = guarded_open(modelled_bytes_max(LEVELS_MAX) + list_bytes_spare(LEVELS_MAX));
    world->out = guarded_open(LEVELS_MAX * sizeof(int64_t));
    return world;
}

static void world_close(struct world *world)
{
    modelled_room_close(world->room);
    guarded_close(&world->bytes);
    guarded_close(&world->out);
    free(world);
}

static void world_column(struct world *world, unsigned id, uint32_t count, unsigned width)
{
    enum column_style style = (enum column_style)random_below(&world->random, COLUMN_STYLES);
    column_numbers(&world->random, style, width, (uint64_t *)world->columns[id], count);
    world->frame.columns[id] = world->columns[id];
}

// Rows without levels and rows with one side only are among them.
static void world_levels(struct world *world, uint32_t rows)
{
    struct format_random *random = &world->random;
    uint32_t levels = 0;
    unsigned style = random_below(random, 4);
    for (uint32_t r = 0; r < rows; r++) {
        world->level_first[r] = levels;
        uint32_t count = random_below(random, 3) == 0 ? 0 : random_below(random, 7);
        for (uint32_t l = 0; l < count; l++)
            world->columns[70][levels++] = style == 0 ? 0 : random_below(random, style + 1) != 0;
    }
    if (levels == 0)
        world->columns[70][levels++] = 1;
    world->level_first[rows] = levels;
    world->frame.levels = levels;
    world->frame.level_first = world->level_first;
    world->frame.columns[70] = world->columns[70];
    world_column(world, 68, levels, random_below(random, 65));
    world_column(world, 69, levels, random_below(random, 65));
    for (int lineage = MODEL_LIST; lineage <= MODEL_RANK; lineage++) {
        model_lineage(&world->frame, (enum model_lineage)lineage, world->columns[70],
                      world->before[lineage]);
        world->frame.before[lineage] = world->before[lineage];
    }
}

static void world_next(struct world *world)
{
    static const uint32_t counts[] = {1, 2, 3, 9, 64, 1023, 1024, 1025};
    uint32_t rows = random_below(&world->random, 3) ? 1 + random_below(&world->random, 200)
                                                     : counts[random_below(&world->random, 8)];
    world->frame = (struct model_frame){.rows = rows};
    for (unsigned id = FIRST_COLUMN; id <= LAST_COLUMN; id++)
        world_column(world, id, rows, id == LAST_COLUMN ? 2 : random_below(&world->random, 65));
    world_column(world, 64, rows, 3);
    world_levels(world, rows);
}

static uint8_t random_column(struct world *world, bool of_levels)
{
    return (uint8_t)(of_levels ? 68 + random_below(&world->random, 3)
                               : FIRST_COLUMN + random_below(&world->random, 4));
}

static struct model_predicate random_predicate(struct world *world, unsigned kind, bool of_levels,
                                               unsigned cap_max)
{
    struct model_predicate predicate = {.kind = (uint8_t)kind};
    bool shifted = kind == MODEL_CHANGE || kind == MODEL_LAST;
    if (model_predicate_uses_column(&predicate))
        predicate.column = random_column(world, of_levels);
    if (shifted)
        predicate.shift = (uint8_t)random_below(&world->random, 64);
    if (shifted && random_below(&world->random, 2))
        predicate.shift = 0;
    if (shifted || kind == MODEL_CODE)
        predicate.cap = (uint8_t)(1 + random_below(&world->random, cap_max));
    return predicate;
}

// ---- by the words of the document ----

static uint32_t words_predecessor(const struct world *world, unsigned lineage, uint32_t i)
{
    const struct model_frame *frame = &world->frame;
    const int64_t *sides = world->columns[70];
    if (lineage == MODEL_SEQUENCE)
        return i == 0 ? MODEL_NONE : i - 1;
    uint32_t row = 0;
    while (frame->level_first[row + 1] <= i)
        row++;
    uint32_t start = frame->level_first[row];
    if (lineage == MODEL_RANK) {
        uint32_t before = row == 0 ? 0 : start - frame->level_first[row - 1];
        return i - start < before ? frame->level_first[row - 1] + (i - start) : MODEL_NONE;
    }
    for (uint32_t l = i; l-- > start;) // the level before it with its side in its row
        if (sides[l] == sides[i])
            return l;
    while (row-- > 0) // the first one in the last row that has one
        for (uint32_t l = frame->level_first[row]; l < frame->level_first[row + 1]; l++)
            if (sides[l] == sides[i])
                return l;
    return MODEL_NONE;
}

static unsigned words_bits(int64_t m, unsigned shift, unsigned cap)
{
    uint64_t magnitude = m < 0 ? 0 - (uint64_t)m : (uint64_t)m;
    unsigned bits = 0;
    for (magnitude >>= shift; magnitude != 0; magnitude >>= 1)
        bits++;
    return bits < cap ? bits : cap;
}

static unsigned words_predicate(const struct world *world, const struct model_predicate *predicate,
                                uint32_t i, uint32_t p)
{
    const int64_t *x = world->columns[predicate->column];
    int64_t change = p == MODEL_NONE ? 0 : (int64_t)((uint64_t)x[i] - (uint64_t)x[p]);
    switch (predicate->kind) {
    case MODEL_CHANGE:
        return words_bits(change, predicate->shift, predicate->cap);
    case MODEL_DIRECTION:
        return p == MODEL_NONE || x[i] == x[p] ? 0 : x[i] > x[p] ? 1 : 2;
    case MODEL_CODE:
        return (uint64_t)x[i] < predicate->cap ? (unsigned)x[i] : predicate->cap;
    default: { // first
        uint32_t row = 0;
        while (world->level_first[row + 1] <= i)
            row++;
        return p == MODEL_NONE || p < world->level_first[row];
    }
    }
}

Test(column_model, predecessors_are_those_of_the_document)
{
    struct world *world = world_open();
    for (int round = 0; round < 200; round++) {
        world_next(world);
        for (unsigned lineage = MODEL_LIST; lineage <= MODEL_RANK; lineage++)
            for (uint32_t l = 0; l < world->frame.levels; l++)
                cr_assert_eq(world->before[lineage][l], words_predecessor(world, lineage, l),
                             "round %d, lineage %u, level %u", round, lineage, l);
    }
    world_close(world);
}

Test(column_model, contexts_are_those_of_the_document)
{
    struct world *world = world_open();
    uint8_t contexts[LEVELS_MAX];
    for (int round = 0; round < 600; round++) {
        bool of_levels = round % 2 == 0;
        world_next(world);
        struct model model = {.lineage = (uint8_t)(of_levels ? round / 2 % 3 : 0)};
        for (unsigned p = 0; p < 2; p++) {
            unsigned kind = random_below(&world->random, of_levels ? 4 : 3);
            model.predicates[model.predicate_count++] = random_predicate(world, kind, of_levels, 7);
        }
        uint32_t count = of_levels ? world->frame.levels : world->frame.rows;
        unsigned contexts_max = model_contexts(&model);
        cr_assert(contexts_max > 0 && model_possible(&world->frame, &model, count));
        model_context(&world->frame, &model, count, contexts);
        for (uint32_t i = 0; i < count; i++) {
            uint32_t p = words_predecessor(world, model.lineage, i);
            const struct model_predicate *second = &model.predicates[1];
            unsigned values = second->kind == MODEL_DIRECTION ? 3
                              : second->kind == MODEL_FIRST   ? 2
                                                              : second->cap + 1u;
            unsigned expected = words_predicate(world, &model.predicates[0], i, p) * values +
                                words_predicate(world, second, i, p);
            cr_assert_eq(contexts[i], expected, "round %d, number %u", round, i);
            cr_assert(expected < contexts_max);
        }
    }
    world_close(world);
}

// ---- round trips ----

static void expect_trip(struct world *world, const struct model *model, bool of_levels)
{
    uint32_t count = of_levels ? world->frame.levels : world->frame.rows;
    size_t room = modelled_bytes_max(count) + list_bytes_spare(count);
    enum column_level level = random_below(&world->random, 2) ? COLUMN_LEVEL_LIGHT
                                                               : COLUMN_LEVEL_DENSE;
    cr_assert(model_possible(&world->frame, model, count));
    (void)modelled_estimate(world->room, &world->frame, model, world->values, count);
    size_t size = 0;
    uint8_t *bytes = NULL;
    uint8_t *expected = NULL;
    for (unsigned k = 0; vector_kernels_at(k); k++) {
        list_room_kernels(modelled_lists(world->room), vector_kernels_at(k));
        bytes = guarded_take(&world->bytes, room, true);
        size = (size_t)(modelled_encode(world->room, level, &world->frame, model, world->values,
                                        count, bytes) -
                        bytes);
        cr_assert(size <= modelled_bytes_max(count));
        if (!expected)
            ensure((expected = malloc(size)) && memcpy(expected, bytes, size));
        cr_assert_eq(memcmp(bytes, expected, size), 0, "%s", vector_kernels_at(k)->name);
        int64_t *out = guarded_take(&world->out, count * sizeof *out, true);
        struct wire_reader in = wire_reader_of(expected, size);
        cr_assert(modelled_decode(world->room, &world->frame, &in, out, count) &&
                      wire_left(&in) == 0,
                  "predictor %d, lineage %d, %d predicates, %u numbers: refused", model->predictor,
                  model->lineage, model->predicate_count, count);
        cr_assert_eq(memcmp(out, world->values, count * sizeof *out), 0,
                     "predictor %d, lineage %d, %d predicates, %u numbers", model->predictor,
                     model->lineage, model->predicate_count, count);
        uint32_t needed = count / 2 + 1;
        memset(out, 0x5a, count * sizeof *out);
        in = wire_reader_of(expected, size);
        cr_assert(modelled_decode_first(world->room, &world->frame, &in, out, count, needed) &&
                  wire_left(&in) == 0);
        cr_assert_eq(memcmp(out, world->values, needed * sizeof *out), 0,
                     "predictor %d, lineage %d, %d predicates, %u of %u numbers",
                     model->predictor, model->lineage, model->predicate_count, needed, count);
    }
    for (size_t cut = 0; cut < size; cut += size / 20 + 1) {
        struct wire_reader in = wire_reader_of(expected, cut);
        cr_assert_not(modelled_decode(world->room, &world->frame, &in,
                                      guarded_take(&world->out, count * 8ul, true), count),
                      "%zu of %zu bytes", cut, size);
    }
    free(expected);
}

static void expect_trips(struct world *world, struct model model, bool of_levels)
{
    uint32_t count = of_levels ? world->frame.levels : world->frame.rows;
    enum column_style style = (enum column_style)random_below(&world->random, COLUMN_STYLES);
    column_numbers(&world->random, style, random_below(&world->random, 65),
                   (uint64_t *)world->values, count);
    expect_trip(world, &model, of_levels);
    model.predicate_count = 1;
    for (unsigned kind = 0; kind < MODEL_PREDICATE_KIND_COUNT; kind++) {
        if (kind == MODEL_FIRST && !of_levels)
            continue;
        model.predicates[0] = random_predicate(world, kind, of_levels, 63);
        expect_trip(world, &model, of_levels);
    }
    model.predicates[0] = (struct model_predicate){MODEL_CHANGE, random_column(world, of_levels),
                                                   0, 1};
    expect_trip(world, &model, of_levels);
}

Test(column_model, every_predictor_lineage_and_predicate_comes_back)
{
    struct world *world = world_open();
    for (unsigned round = 0; round < 16; round++) {
        for (unsigned predictor = 0; predictor < MODEL_PREDICTOR_COUNT; predictor++) {
            for (unsigned lineage = 0; lineage < MODEL_LINEAGE_COUNT; lineage++) {
                world_next(world);
                struct model model = {.predictor = (uint8_t)predictor,
                                      .lineage = (uint8_t)lineage};
                bool x = model_uses_column(&model);
                model.column = x ? random_column(world, true) : 0;
                expect_trips(world, model, true);
                model.column = x ? random_column(world, false) : 0;
                if (lineage == MODEL_SEQUENCE)
                    expect_trips(world, model, false);
            }
        }
    }
    world_close(world);
}

Test(column_model, any_three_predicates_come_back)
{
    struct world *world = world_open();
    for (unsigned round = 0; round < 400; round++) {
        bool of_levels = round % 2 == 0;
        world_next(world);
        struct model model = {.predictor = (uint8_t)random_below(&world->random, 8),
                              .lineage = (uint8_t)(of_levels ? round / 2 % 3 : 0),
                              .predicate_count = 3};
        if (model_uses_column(&model))
            model.column = random_column(world, of_levels);
        for (unsigned p = 0; p < 3; p++) {
            unsigned kind = random_below(&world->random, p == 2 ? 5 : 3);
            kind = kind == MODEL_FIRST && !of_levels ? (unsigned)MODEL_LAST : kind;
            model.predicates[p] = random_predicate(world, kind, of_levels, 3);
        }
        cr_assert(model_contexts(&model) > 0 && model_contexts(&model) <= 64);
        enum column_style style = (enum column_style)random_below(&world->random, COLUMN_STYLES);
        column_numbers(&world->random, style, random_below(&world->random, 65),
                       (uint64_t *)world->values, LEVELS_MAX);
        expect_trip(world, &model, of_levels);
    }
    world_close(world);
}

// ---- choosing ----

Test(column_model, the_better_model_is_taken)
{
    static const struct model candidates[] = {
        {.predictor = MODEL_DELTA},
        {.predictor = MODEL_OFFSET, .column = NEVER}, // passed over
        {.predictor = MODEL_OFFSET, .column = 3},
        {.predictor = MODEL_EXCLUSIVE_OR},
    };
    struct world *world = world_open();
    struct column_scratch *scratch = column_scratch_open(LEVELS_MAX);
    uint8_t codec;
    world_next(world);
    world->frame = (struct model_frame){.rows = ROWS_MAX, .columns = {[3] = world->columns[3]}};
    column_numbers(&world->random, COLUMN_STYLE_WIDTH, 60, (uint64_t *)world->columns[3], ROWS_MAX);
    for (int i = 0; i < ROWS_MAX; i++)
        world->values[i] = world->columns[3][i] + i % 3;
    struct column_coding coding = {COLUMN_LEVEL_DENSE, &world->frame, candidates, 4, false, false};
    uint8_t *bytes = guarded_take(&world->bytes, world->bytes.bytes, true);
    (void)column_encode(scratch, &coding, world->values, ROWS_MAX, bytes, &codec);
    cr_assert(codec == COLUMN_CODEC_MODELLED && bytes[0] == MODEL_OFFSET && bytes[1] == 3);
    coding.takes_first = true;
    (void)column_encode(scratch, &coding, world->values, ROWS_MAX, bytes, &codec);
    cr_assert(codec == COLUMN_CODEC_MODELLED && bytes[0] == MODEL_DELTA);
    coding.models++; // the first is not possible
    coding.model_count = 1;
    size_t size = column_encode(scratch, &coding, world->values, ROWS_MAX, bytes, &codec);
    cr_assert(codec == COLUMN_CODEC_MODELLED && size > 0 && bytes[0] <= MODEL_DELTA, "as it is");
    coding.model_count = 0;
    for (int i = 0; i < ROWS_MAX; i++)
        world->values[i] = INT64_MIN;
    (void)column_encode(scratch, &coding, world->values, ROWS_MAX, bytes, &codec);
    cr_assert_eq(codec, COLUMN_CODEC_CONSTANT);
    column_scratch_close(scratch);
    world_close(world);
}

// Kinds of columns must not be mixed, nor may columns tell of each other in a circle.
static void expect_recipe(enum channel channel, unsigned id, bool shared, enum column_level level,
                          bool refers[80][80])
{
    struct recipe recipe;
    bool of_levels = id >= 68 && id <= 72;
    recipe_for(channel, id, shared, level, &recipe);
    cr_assert(recipe.count > 0 && recipe.count <= RECIPE_MODELS_MAX);
    for (unsigned m = 0; m < recipe.count; m++) {
        const struct model *model = &recipe.models[m];
        cr_assert(model_contexts(model) > 0, "channel %d, column %u", (int)channel, id);
        cr_assert(of_levels || model->lineage == MODEL_SEQUENCE);
        if (model->lineage == MODEL_LIST)
            refers[id][70] = true;
        if (model_uses_column(model))
            refers[id][model->column] = true;
        for (unsigned p = 0; p < model->predicate_count; p++) {
            const struct model_predicate *predicate = &model->predicates[p];
            cr_assert(predicate->kind != MODEL_FIRST || of_levels);
            if (model_predicate_uses_column(predicate))
                refers[id][predicate->column] = true;
        }
    }
    for (unsigned x = 0; x < 80; x++)
        cr_assert(!refers[id][x] || (of_levels ? x >= 68 && x <= 70
                                               : x < 64 || (x == 64 && shared && id != 64)),
                  "channel %d: column %u refers to %u", (int)channel, id, x);
}

Test(column_model, recipes_are_possible_and_without_circles)
{
    for (int round = 0; round < CHANNEL_COUNT * 4; round++) {
        enum channel channel = (enum channel)(round / 4);
        bool refers[80][80] = {{false}};
        if (!channel_schema(channel))
            continue;
        for (unsigned id = 0; id < 73; id++)
            expect_recipe(channel, id, round & 1, (enum column_level)(round >> 1 & 1), refers);
        for (unsigned via = 0; via < 80; via++)
            for (unsigned from = 0; from < 80; from++)
                for (unsigned to = 0; to < 80; to++)
                    refers[from][to] |= refers[from][via] && refers[via][to];
        for (unsigned id = 0; id < 80; id++)
            cr_assert_not(refers[id][id], "channel %d: column %u", (int)channel, id);
    }
}

// ---- what is no model ----

struct rule {
    const char *name;
    uint8_t bytes[13];
    uint8_t size;
};

static const struct rule impossible[] = {
    {"nothing", {0}, 0},
    {"predictor 8", {8}, 1},
    {"predictor 15", {15}, 1},
    {"lineage 3", {0x30}, 1},
    {"x is cut off", {MODEL_OFFSET}, 1},
    {"x is no column", {MODEL_OFFSET, 80}, 2},
    {"x is 255", {MODEL_FOLLOW, 255}, 2},
    {"a predicate is cut off", {0x40, MODEL_CHANGE, 3, 0}, 4},
    {"the second predicate is cut off", {0x80, MODEL_CHANGE, 3, 0, 1, MODEL_LAST, 0, 0}, 8},
    {"predicate 5", {0x40, 5, 0, 0, 0}, 5},
    {"change of no column", {0x40, MODEL_CHANGE, 80, 0, 1}, 5},
    {"change with shift 64", {0x40, MODEL_CHANGE, 3, 64, 1}, 5},
    {"change with cap 0", {0x40, MODEL_CHANGE, 3, 0, 0}, 5},
    {"change with cap 64", {0x40, MODEL_CHANGE, 3, 0, 64}, 5},
    {"direction with a shift", {0x40, MODEL_DIRECTION, 3, 1, 0}, 5},
    {"direction with a cap", {0x40, MODEL_DIRECTION, 3, 0, 1}, 5},
    {"direction of no column", {0x40, MODEL_DIRECTION, 80, 0, 0}, 5},
    {"code with a shift", {0x40, MODEL_CODE, 3, 1, 1}, 5},
    {"code with cap 0", {0x40, MODEL_CODE, 3, 0, 0}, 5},
    {"code with cap 64", {0x40, MODEL_CODE, 3, 0, 64}, 5},
    {"first with a column", {0x40, MODEL_FIRST, 3, 0, 0}, 5},
    {"first with a shift", {0x40, MODEL_FIRST, 0, 1, 0}, 5},
    {"first with a cap", {0x40, MODEL_FIRST, 0, 0, 1}, 5},
    {"last with a column", {0x40, MODEL_LAST, 3, 0, 1}, 5},
    {"last with shift 64", {0x40, MODEL_LAST, 0, 64, 1}, 5},
    {"last with cap 0", {0x40, MODEL_LAST, 0, 0, 0}, 5},
    {"last with cap 64", {0x40, MODEL_LAST, 0, 0, 64}, 5},
    {"last before another", {0x80, MODEL_LAST, 0, 0, 1, MODEL_CODE, 3, 0, 1}, 9},
    {"66 contexts", {0x80, MODEL_CODE, 3, 0, 32, MODEL_FIRST, 0, 0, 0}, 9},
    {"4,096 contexts", {0x80, MODEL_CODE, 3, 0, 63, MODEL_CODE, 3, 0, 63}, 9},
    {"72 contexts",
     {0xc0, MODEL_DIRECTION, 3, 0, 0, MODEL_DIRECTION, 4, 0, 0, MODEL_LAST, 0, 0, 7}, 13},
};

Test(column_model, what_the_document_excludes_is_no_model)
{
    for (size_t r = 0; r < sizeof impossible / sizeof *impossible; r++) {
        struct model model;
        struct modelled_needs needs;
        struct wire_reader in = wire_reader_of(impossible[r].bytes, impossible[r].size);
        cr_assert_not(model_get(&in, &model), "%s", impossible[r].name);
        cr_assert_not(modelled_needs(impossible[r].bytes, impossible[r].size, &needs), "%s",
                      impossible[r].name);
    }
}

static const struct rule possible[] = {
    {"column 79", {MODEL_OFFSET, 79}, 2},
    {"shift 63, cap 63", {0x40, MODEL_CHANGE, 79, 63, 63}, 5},
    {"64 contexts", {0x80, MODEL_CODE, 3, 0, 31, MODEL_FIRST, 0, 0, 0}, 9},
    {"63 contexts",
     {0xe6, 5, MODEL_DIRECTION, 3, 0, 0, MODEL_DIRECTION, 4, 0, 0, MODEL_LAST, 0}, 12},
};

Test(column_model, what_the_document_allows_is_written_as_read)
{
    for (size_t r = 0; r < sizeof possible / sizeof *possible; r++) {
        uint8_t bytes[16] = {0}, back[16];
        struct model model;
        struct modelled_needs needs;
        memcpy(bytes, possible[r].bytes, possible[r].size);
        if (r == 3) {
            bytes[12] = 63; // shift
            bytes[13] = 6;  // cap
        }
        struct wire_reader in = wire_reader_of(bytes, sizeof bytes);
        cr_assert(model_get(&in, &model), "%s", possible[r].name);
        size_t size = sizeof bytes - wire_left(&in);
        cr_assert_eq(model_put(&model, back), back + size);
        cr_assert_eq(memcmp(bytes, back, size), 0, "%s", possible[r].name);
        cr_assert(modelled_needs(bytes, size, &needs));
        cr_assert(needs.lineage == model.lineage && needs.count == (r == 3 ? 3 : 1));
    }
}

// ---- models that do not go with the block ----

static bool possible_in(const struct model_frame *frame, struct model model, uint32_t count)
{
    return model_possible(frame, &model, count);
}

Test(column_model, a_model_needs_its_columns_in_the_block)
{
    struct world *world = world_open();
    do
        world_next(world);
    while (world->frame.rows == world->frame.levels);
    struct model_frame *frame = &world->frame;
    uint32_t rows = frame->rows, levels = frame->levels;
    cr_assert(possible_in(frame, (struct model){.predictor = MODEL_OFFSET, .column = 3}, rows));
    cr_assert_not(
        possible_in(frame, (struct model){.predictor = MODEL_OFFSET, .column = NEVER}, rows));
    cr_assert_not(
        possible_in(frame, (struct model){.predictor = MODEL_OFFSET, .column = 3}, rows + 1));
    cr_assert_not(
        possible_in(frame, (struct model){.predictor = MODEL_OFFSET, .column = 68}, rows));
    cr_assert_not(
        possible_in(frame, (struct model){.predictor = MODEL_OFFSET, .column = 3}, levels));
    cr_assert_not(possible_in(
        frame, (struct model){0, 0, 0, 1, {{MODEL_CODE, NEVER, 0, 1}}}, rows));
    cr_assert(possible_in(frame, (struct model){0, 0, 0, 1, {{MODEL_FIRST, 0, 0, 0}}}, levels));
    cr_assert_not(possible_in(frame, (struct model){0, 0, 0, 1, {{MODEL_FIRST, 0, 0, 0}}}, rows));
    cr_assert_not(possible_in(frame, (struct model){.lineage = MODEL_RANK}, rows));
    frame->before[MODEL_RANK] = NULL;
    cr_assert_not(possible_in(frame, (struct model){.lineage = MODEL_RANK}, levels));
    cr_assert_not(possible_in(frame, (struct model){.predictor = 9}, rows));
    world_close(world);
}

// Column 3 is 0, 0, 1, 1: three numbers of context 0 (no change), one of context 1.
static const struct rule miscounted[] = {
    {"four and none", {0x40, MODEL_CHANGE, 3, 0, 1, 4, 0, 2, 0}, 9},
    {"two and two", {0x40, MODEL_CHANGE, 3, 0, 1, 2, 0, 2, 2, 0, 2}, 11},
    {"three and none", {0x40, MODEL_CHANGE, 3, 0, 1, 3, 0, 2, 0}, 9},
    {"three and two", {0x40, MODEL_CHANGE, 3, 0, 1, 3, 0, 2, 2, 0, 2}, 11},
    {"five", {0x40, MODEL_CHANGE, 3, 0, 1, 5, 0, 2, 0}, 9},
    {"by code: one and three", {0x40, MODEL_CODE, 3, 0, 1, 1, 0, 2, 3, 0, 2}, 11},
    {"by code: three", {0x40, MODEL_CODE, 3, 0, 1, 3, 0, 2, 0}, 9},
    {"by the last: all after 0, but of 1", {0x40, MODEL_LAST, 0, 0, 1, 4, 0, 2, 0}, 9},
    {"by the last: none after 0", {0x40, MODEL_LAST, 0, 0, 1, 0, 4, 0, 2}, 9},
    {"a count without end", {0x40, MODEL_CODE, 3, 0, 1, 0x80}, 6},
    {"a list of no kind", {0x40, MODEL_CODE, 3, 0, 1, 2, 6, 2, 2, 0, 2}, 11},
    {"start is cut off", {MODEL_DELTA, 0x80}, 2},
    {"no list", {MODEL_DELTA, 2}, 2},
};

Test(column_model, numbers_of_residuals_must_be_those_of_the_contexts)
{
    static const int64_t x[] = {0, 0, 1, 1};
    static const uint8_t good[] = {0x40, MODEL_CHANGE, 3, 0, 1, 3, 0, 2, 1, 0, 4};
    struct model_frame frame = {.rows = 4, .columns = {[3] = x}};
    struct modelled_room *room = modelled_room_open(16);
    int64_t out[4];
    struct wire_reader in = wire_reader_of(good, sizeof good);
    cr_assert(modelled_decode(room, &frame, &in, out, 4));
    cr_assert(out[0] == 1 && out[1] == 1 && out[2] == 2 && out[3] == 1);
    for (size_t r = 0; r < sizeof miscounted / sizeof *miscounted; r++) {
        in = wire_reader_of(miscounted[r].bytes, miscounted[r].size);
        cr_assert_not(modelled_decode(room, &frame, &in, out, 4), "%s", miscounted[r].name);
    }
    modelled_room_close(room);
}
