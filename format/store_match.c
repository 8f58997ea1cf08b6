// SPDX-License-Identifier: Apache-2.0
//
// Rows are matched condition by condition: each pass shortens the list of rows that are left, so a
// pass is a simple loop over one column.
#include "format/store_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/segment_scale.h"
#include "format/segment_zone.h"

// ---- opening ----

static bool predicate_possible(const struct channel_schema *schema,
                               const struct store_predicate *predicate)
{
    return predicate->column >= 0 && predicate->column < schema->column_count &&
           schema->columns[predicate->column].type != COLUMN_TEXT &&
           predicate->min <= predicate->max && predicate->scale <= DECIMAL_SCALE_MAX;
}

static int name_order(const void *a, const void *b)
{
    const struct event_text *one = a;
    const struct event_text *two = b;
    const uint32_t least = one->size < two->size ? one->size : two->size;
    const int order = least == 0 ? 0 : memcmp(one->bytes, two->bytes, least);
    return order != 0 ? order : (one->size > two->size) - (one->size < two->size);
}

// Whole names from the front on, beginnings from the back.
static int take_names(struct match *match)
{
    const struct store_query *query = match->query;
    uint32_t end = query->symbol_count;
    if (end == 0)
        return 0;
    match->asked = malloc(end * sizeof *match->asked);
    if (!match->asked)
        return -ENOMEM;
    match->asked_count = end;
    for (uint32_t i = 0; i < query->symbol_count; i++) {
        const char *asked = query->symbols[i];
        const uint32_t size = (uint32_t)strlen(asked);
        const bool prefix = size > 0 && asked[size - 1] == '*';
        struct event_text *place =
            prefix ? &match->asked[--end] : &match->asked[match->whole_count++];
        *place = (struct event_text){(const uint8_t *)asked, size - prefix};
    }
    ensure(end == match->whole_count);
    qsort(match->asked, match->whole_count, sizeof *match->asked, name_order);
    return 0;
}

int match_open(struct match *match, const struct store_query *query)
{
    const struct channel_schema *schema = channel_schema(query->channel);
    *match = (struct match){.query = query, .schema = schema};
    if (!schema || query->time_from > query->time_to)
        return -EINVAL;
    for (int t = 0; t < schema->time_count; t++)
        match->columns |= 1ull << schema->times[t];
    for (uint32_t p = 0; p < query->predicate_count; p++) {
        if (!predicate_possible(schema, &query->predicates[p]))
            return -EINVAL;
        match->columns |= 1ull << query->predicates[p].column;
    }
    return take_names(match);
}

void match_close(struct match *match)
{
    free(match->asked);
    free(match->names);
    free(match->wanted);
    free(match->blocks);
    free(match->index);
    *match = (struct match){0};
}

// ---- names ----

static bool name_matches(const struct match *match, struct event_text name)
{
    if (match->asked_count == 0)
        return true;
    if (match->whole_count > 0 && bsearch(&name, match->asked, match->whole_count,
                                          sizeof *match->asked, name_order) != NULL)
        return true;
    for (uint32_t i = match->whole_count; i < match->asked_count; i++) {
        const struct event_text *begin = &match->asked[i];
        if (name.size >= begin->size &&
            (begin->size == 0 || memcmp(begin->bytes, name.bytes, begin->size) == 0))
            return true;
    }
    return false;
}

static int room_for_names(struct match *match, uint32_t names)
{
    if (names <= match->name_room)
        return 0;
    free(match->names);
    free(match->wanted);
    match->names = malloc(names * sizeof *match->names);
    match->wanted = malloc(names * sizeof *match->wanted);
    match->name_room = match->names && match->wanted ? names : 0;
    return match->name_room ? 0 : -ENOMEM;
}

static int room_for_blocks(struct match *match, uint32_t blocks)
{
    if (blocks <= match->block_room)
        return 0;
    free(match->blocks);
    match->blocks = malloc(blocks);
    match->block_room = match->blocks ? blocks : 0;
    return match->blocks ? 0 : -ENOMEM;
}

int match_segment(struct match *match, const struct index *index)
{
    int error = room_for_names(match, index->symbol_count);
    if (error == 0)
        error = room_for_blocks(match, index->block_count);
    if (error < 0)
        return error;
    if (index->block_count != 0)
        memset(match->blocks, 0, index->block_count);
    for (uint32_t s = 0; s < index->symbol_count; s++) {
        const struct layout_index_symbol *symbol = &index->symbols[s];
        match->names[s] = index_name(index, s);
        match->wanted[s] = name_matches(match, match->names[s]);
        if (match->wanted[s] && symbol->block_count != 0)
            memset(match->blocks + symbol->first_block, 1, symbol->block_count);
    }
    return 0;
}

int match_batch_names(struct match *match, const struct tape_batch *batch)
{
    int error = room_for_names(match, batch->header.symbols);
    if (error < 0)
        return error;
    for (uint32_t s = 0; s < batch->header.symbols; s++) {
        match->names[s] = batch->symbols[s];
        match->wanted[s] = name_matches(match, match->names[s]);
    }
    return 0;
}

// ---- zone maps ----

bool match_less(int64_t a, uint8_t a_scale, int64_t b, uint8_t b_scale)
{
    ensure(a_scale <= DECIMAL_SCALE_MAX && b_scale <= DECIMAL_SCALE_MAX);
    if (a_scale == b_scale)
        return a < b;
    // 2^63 * 10^18 is below 2^127.
    return (__int128)a * (__int128)scale_powers[b_scale] <
           (__int128)b * (__int128)scale_powers[a_scale];
}

// A block's ids run from the least value of the first identity column to the greatest of the last.
static bool ids_may_match(const struct segment_zone *zone, const struct layout_index_block *block,
                          const struct store_predicate *predicate)
{
    if (block->id_min > block->id_max)
        return true;
    return !(predicate->column == zone->id_low && block->id_min > predicate->max) &&
           !(predicate->column == zone->id_high && block->id_max < predicate->min);
}

static bool prices_may_match(const struct segment_zone *zone,
                             const struct layout_index_zone *prices,
                             const struct store_predicate *predicate)
{
    if (predicate->column != zone->price_low || prices->price_min > prices->price_max ||
        prices->price_scale > DECIMAL_SCALE_MAX)
        return true;
    return !match_less(predicate->max, predicate->scale, prices->price_min, prices->price_scale) &&
           !match_less(prices->price_max, prices->price_scale, predicate->min, predicate->scale);
}

static bool times_may_match(const struct store_query *query, int64_t time_min, int64_t time_max)
{
    return time_max >= query->time_from &&
           (time_min < query->time_to || query->time_to == INT64_MAX);
}

bool match_block(const struct match *match, const struct index *index, uint32_t block)
{
    const struct store_query *query = match->query;
    const struct layout_index_block *entry = &index->blocks[block];
    const struct segment_zone zone = segment_zone_columns(match->schema);
    ensure(block < index->block_count);
    if (query->symbol_count != 0 && !match->blocks[block])
        return false;
    if (!times_may_match(query, entry->time_min, entry->time_max))
        return false;
    for (uint32_t p = 0; p < query->predicate_count; p++) {
        if (!ids_may_match(&zone, entry, &query->predicates[p]) ||
            !prices_may_match(&zone, &index->zones[block], &query->predicates[p]))
            return false;
    }
    return true;
}

bool match_batch(const struct match *match, const struct layout_batch *header)
{
    return (header->channels >> match->query->channel & 1) != 0 &&
           times_may_match(match->query, header->time_min, header->time_max);
}

// ---- rows ----

static uint32_t keep_later(const struct match *match, uint32_t count, const uint32_t *arrival,
                           uint32_t after)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        match->index[kept] = match->index[i];
        kept += arrival[match->index[i]] >= after;
    }
    return kept;
}

static uint32_t keep_symbols(const struct match *match, uint32_t count, const struct rows *rows)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t symbol = rows->symbol[match->index[i]];
        match->index[kept] = match->index[i];
        kept += symbol != SYMBOL_NONE && match->wanted[symbol];
    }
    return kept;
}

static uint32_t keep_times(const struct match *match, uint32_t count, const struct rows *rows)
{
    const struct store_query *query = match->query;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t time_ns = rows_time_ns(rows, match->index[i]);
        match->index[kept] = match->index[i];
        kept += times_may_match(query, time_ns, time_ns);
    }
    return kept;
}

static uint32_t keep_values(const struct match *match, uint32_t count, const struct rows *rows,
                            const struct store_predicate *predicate)
{
    const int64_t *values = rows->value[predicate->column];
    const uint8_t *scales = rows->scale[predicate->column];
    uint64_t bit = 1ull << predicate->column;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = match->index[i];
        bool good = (rows->present[row] & bit) != 0;
        if (scales)
            good = good &&
                   !match_less(values[row], scales[row], predicate->min, predicate->scale) &&
                   !match_less(predicate->max, predicate->scale, values[row], scales[row]);
        else
            good = good && values[row] >= predicate->min && values[row] <= predicate->max;
        match->index[kept] = row;
        kept += good;
    }
    return kept;
}

static int room_for_rows(struct match *match, uint32_t rows)
{
    if (rows <= match->row_room)
        return 0;
    free(match->index);
    match->index = malloc(rows * sizeof *match->index);
    match->row_room = match->index ? rows : 0;
    return match->index ? 0 : -ENOMEM;
}

int64_t match_rows(struct match *match, const struct rows *rows, const uint32_t *arrival,
                   uint32_t after)
{
    const struct store_query *query = match->query;
    uint32_t count = rows->count;
    ensure(rows->schema == match->schema);
    if (room_for_rows(match, count) < 0)
        return -ENOMEM;
    for (uint32_t row = 0; row < count; row++)
        match->index[row] = row;
    if (arrival && after != 0)
        count = keep_later(match, count, arrival, after);
    if (query->symbol_count != 0)
        count = keep_symbols(match, count, rows);
    if (query->time_from != INT64_MIN || query->time_to != INT64_MAX)
        count = keep_times(match, count, rows);
    for (uint32_t p = 0; p < query->predicate_count; p++)
        count = keep_values(match, count, rows, &query->predicates[p]);
    return count;
}
