// SPDX-License-Identifier: Apache-2.0
//
// Costs are bytes of the whole row group, as far as its first page tells. A group whose first page
// says nothing (only nulls, one value) is coded as is cheapest for that, and asked again by its
// next page; only dictionaries are out of question then, because some readers take a page with one
// behind a page without for damage.
#include "format/parquet_choice.h"

#include "format/ensure.h"
#include "format/parquet_encode.h"

#define COST_NEVER UINT64_MAX

struct parquet_costs {
    uint64_t of[PARQUET_MODE_COUNT];
    bool failed;
};

static uint64_t parquet_choice_compressed(const struct parquet_choice *choice, size_t raw_size,
                                          struct parquet_costs *costs)
{
    const size_t size = ZSTD_compress2(choice->zstd, choice->packed, choice->packed_capacity,
                                       choice->raw, raw_size);
    if (ZSTD_isError(size)) costs->failed = true;
    return ZSTD_isError(size) ? 0 : size;
}

// Bytes of the page, in the whole group.
static uint64_t parquet_choice_pages(const struct parquet_choice *choice,
                                     const struct parquet_buffer *buffer, uint32_t rows,
                                     enum parquet_mode mode, struct parquet_costs *costs)
{
    const size_t raw_size = parquet_buffer_encode(buffer, rows, mode, choice->raw);
    return parquet_choice_compressed(choice, raw_size, costs) * choice->rows_expected / rows;
}

// Different values in `expected` rows, given those of half a page and of the page.
static uint64_t parquet_choice_growth(uint64_t expected, uint32_t half, uint32_t whole,
                                      uint32_t rows)
{
    uint64_t known = whole;
    const uint64_t added = whole <= 2 * half ? whole - half : half; // by a doubling
    ensure(half >= 1 && whole >= half);
    for (uint64_t n = rows; n < expected; n *= 2) known += known * added / half;
    return known;
}

// Full before the row group is worth anything.
static bool parquet_choice_overflows(const struct parquet_choice *choice, uint32_t half,
                                     uint32_t whole, uint32_t rows)
{
    const uint64_t least = choice->rows_expected < PARQUET_GROUP_ROWS_MIN ? choice->rows_expected
                                                                         : PARQUET_GROUP_ROWS_MIN;
    return parquet_choice_growth(least, half, whole, rows) > PARQUET_DICTIONARY_VALUES_MAX;
}

// A dictionary and the places in it.
static void parquet_choice_dictionary(const struct parquet_choice *choice,
                                      struct parquet_buffer *buffer, uint32_t rows,
                                      struct parquet_costs *costs)
{
    const uint32_t middle = (buffer->count + 1) / 2;
    if (!parquet_buffer_places(buffer, 0, middle)) return;
    const uint32_t half = parquet_buffer_dictionary_count(buffer);
    if (!parquet_buffer_places(buffer, middle, buffer->count)) return;
    const uint32_t whole = parquet_buffer_dictionary_count(buffer);
    if (parquet_choice_overflows(choice, half, whole, rows)) return;
    const uint64_t grown = parquet_choice_growth(choice->rows_expected, half, whole, rows);
    const size_t raw_size = parquet_buffer_dictionary(buffer, choice->raw);
    const uint64_t values = parquet_choice_compressed(choice, raw_size, costs) * grown / whole;
    costs->of[PARQUET_MODE_PLACES] =
        values + parquet_choice_pages(choice, buffer, rows, PARQUET_MODE_PLACES, costs);
    costs->of[PARQUET_MODE_PLACES_BYTES] =
        values + parquet_choice_pages(choice, buffer, rows, PARQUET_MODE_PLACES_BYTES, costs);
    // A place among more values has more bits; zstd takes back some of what whole bytes have more.
    const uint64_t bits = 64 - (uint64_t)__builtin_clzll(grown | 1);
    const uint64_t bits_now = 64 - (uint64_t)__builtin_clzll(whole | 1);
    costs->of[PARQUET_MODE_PLACES] += (bits - bits_now) * choice->rows_expected / 8;
}

static enum parquet_mode parquet_choice_best(const struct parquet_costs *costs, bool dictionary)
{
    enum parquet_mode best = PARQUET_MODE_PLAIN;
    const int end = dictionary ? PARQUET_MODE_COUNT : PARQUET_MODE_PLACES;
    for (int mode = 0; mode < end; mode++)
        if (costs->of[mode] < costs->of[best]) best = (enum parquet_mode)mode;
    return best;
}

static bool parquet_choice_codes(struct parquet_buffer *buffer, uint32_t rows,
                                 const struct parquet_choice *choice)
{
    struct parquet_costs costs = {.failed = false};
    const uint64_t packed =
        parquet_choice_pages(choice, buffer, rows, PARQUET_MODE_PLACES, &costs);
    const uint64_t whole =
        parquet_choice_pages(choice, buffer, rows, PARQUET_MODE_PLACES_BYTES, &costs);
    buffer->mode = whole < packed ? PARQUET_MODE_PLACES_BYTES : PARQUET_MODE_PLACES;
    parquet_buffer_keep_mode(buffer);
    return !costs.failed;
}

// What is cheap for a page that tells nothing about those to come.
static void parquet_choice_later(struct parquet_buffer *buffer)
{
    const enum parquet_type type = buffer->column->type;
    if (type == PARQUET_CODE) {
        buffer->mode = PARQUET_MODE_PLACES;
        return;
    }
    buffer->mode = parquet_buffer_is_int64(buffer) ? PARQUET_MODE_DELTA : PARQUET_MODE_PLAIN;
    buffer->begun_without = true;
}

bool parquet_choose(struct parquet_buffer *buffer, uint32_t rows, bool constant,
                    const struct parquet_choice *choice)
{
    struct parquet_costs costs = {.failed = false};
    ensure(!buffer->chosen && rows > 0 && choice->rows_expected >= rows);
    if (buffer->count == 0 || (constant && !parquet_buffer_has_text(buffer))) {
        parquet_choice_later(buffer);
        return true;
    }
    if (buffer->column->type == PARQUET_CODE) return parquet_choice_codes(buffer, rows, choice);
    for (int mode = 0; mode < PARQUET_MODE_COUNT; mode++) costs.of[mode] = COST_NEVER;
    if (parquet_buffer_may_have_dictionary(buffer)) {
        costs.of[PARQUET_MODE_PLAIN] =
            parquet_choice_pages(choice, buffer, rows, PARQUET_MODE_PLAIN, &costs);
        for (int mode = PARQUET_MODE_DELTA;
             mode <= PARQUET_MODE_DELTA_BYTES && parquet_buffer_is_int64(buffer); mode++)
            costs.of[mode] =
                parquet_choice_pages(choice, buffer, rows, (enum parquet_mode)mode, &costs);
        if (!buffer->begun_without) parquet_choice_dictionary(choice, buffer, rows, &costs);
    }
    buffer->mode = parquet_choice_best(&costs, true);
    buffer->mode_without = parquet_choice_best(&costs, false);
    parquet_buffer_keep_mode(buffer);
    return !costs.failed;
}
