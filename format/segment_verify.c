// SPDX-License-Identifier: Apache-2.0
//
// Verifying decodes everything and builds the index anew from the rows; what the file says of
// itself must be the same to the byte.
#include <string.h>
#include <xxhash.h>

#include "format/catalogue.h"
#include "format/ensure.h"
#include "format/segment_parts.h"
#include "format/segment_zone.h"

enum { VERIFY_CHUNK_BYTES = 1 << 20 };

struct verify {
    struct segment *segment;
    segment_fault_callback *fault;
    void *context;
    enum segment_error first;
    struct index_build build;
    uint64_t previous_hash;
};

static void verify_fault(struct verify *verify, enum segment_error error, uint32_t block,
                         uint64_t offset, uint64_t bytes)
{
    if (verify->first == SEGMENT_GOOD)
        verify->first = error;
    if (verify->fault)
        verify->fault(verify->context, error, block, offset, bytes);
}

// The hash of bytes [from, end) of the file is `hash`.
static void verify_hash(struct verify *verify, uint64_t from, uint64_t end, uint64_t hash,
                        enum segment_error error)
{
    struct segment *segment = verify->segment;
    XXH3_state_t *state = XXH3_createState();
    ensure(state);
    (void)XXH3_64bits_reset(state);
    for (uint64_t at = from; at < end; at += VERIFY_CHUNK_BYTES) {
        size_t size = end - at < VERIFY_CHUNK_BYTES ? (size_t)(end - at) : VERIFY_CHUNK_BYTES;
        size_t got;
        const uint8_t *bytes = segment_get(segment, at, size, &got);
        if (!bytes || got != size) {
            verify_fault(verify, bytes ? SEGMENT_SHORT : SEGMENT_READ_FAILED, UINT32_MAX, at, size);
            (void)XXH3_freeState(state);
            return;
        }
        (void)XXH3_64bits_update(state, bytes, size);
    }
    if (XXH3_64bits_digest(state) != hash)
        verify_fault(verify, error, UINT32_MAX, from, end - from);
    (void)XXH3_freeState(state);
}

// Number of a row's symbol; rows without symbol have one too, with an empty name.
static uint32_t verify_symbol(const struct verify *verify, uint32_t row)
{
    const struct segment *segment = verify->segment;
    uint32_t symbol = segment->decoder.rows.symbol[row];
    return symbol != SYMBOL_NONE ? symbol : index_find(&segment->index, "", 0);
}

static bool verify_rows(struct verify *verify, const struct layout_block *header)
{
    const struct rows *rows = &verify->segment->decoder.rows;
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    for (uint32_t r = 0; r < rows->count; r++) {
        int64_t time = rows_time_ns(rows, r);
        uint32_t symbol = verify_symbol(verify, r);
        if (symbol == SYMBOL_NONE || catalogue_day_of(time) != verify->segment->header.day)
            return false;
        index_build_rows(&verify->build, symbol, verify->build.block_count, 1, time, time);
        min = time < min ? time : min;
        max = time > max ? time : max;
    }
    return min == header->time_min && max == header->time_max;
}

static void verify_widen(int64_t range[2], int64_t low, int64_t high)
{
    range[0] = low < range[0] ? low : range[0];
    range[1] = high > range[1] ? high : range[1];
}

// What the zone maps say is what is in the rows.
static bool verify_zones(const struct verify *verify, const struct layout_block *header)
{
    const struct rows *rows = &verify->segment->decoder.rows;
    const struct segment_zone zone = segment_zone_columns(rows->schema);
    int64_t ids[2] = {INT64_MAX, INT64_MIN};
    int64_t prices[2] = {INT64_MAX, INT64_MIN};
    for (uint32_t r = 0; r < rows->count; r++) {
        if (zone.id_low >= 0 && rows->present[r] >> zone.id_low & 1 &&
            rows->present[r] >> zone.id_high & 1)
            verify_widen(ids, rows->value[zone.id_low][r], rows->value[zone.id_high][r]);
        if (zone.price_low < 0 || (rows->present[r] >> zone.price_low & 1) == 0)
            continue;
        if (rows->scale[zone.price_low][r] != header->price_scale)
            return false;
        verify_widen(prices, rows->value[zone.price_low][r], rows->value[zone.price_low][r]);
    }
    bool ids_agree = ids[0] == header->id_min && ids[1] == header->id_max;
    bool prices_agree = prices[0] == header->price_min && prices[1] == header->price_max;
    // A range from high to low stands for none, whatever its ends.
    return (ids_agree || (ids[0] > ids[1] && header->id_min > header->id_max)) &&
           (prices_agree || (prices[0] > prices[1] && header->price_min > header->price_max));
}

static void verify_block(struct verify *verify, uint32_t b)
{
    const struct layout_index_block entry = verify->segment->index.blocks[b];
    struct segment_block block;
    enum segment_error error = segment_read(verify->segment, b, UINT64_MAX, &block);
    if (error == SEGMENT_GOOD &&
        (block.header.previous_hash != verify->previous_hash || block.header.number != b))
        error = SEGMENT_BAD_CHAIN;
    if (error == SEGMENT_GOOD && (block.unknown_columns != 0 || block.unknown_levels))
        error = SEGMENT_NEWER;
    else if (error == SEGMENT_GOOD &&
             (!verify_rows(verify, &block.header) || !verify_zones(verify, &block.header)))
        error = SEGMENT_BAD_ORDER;
    // From here on the chain is what the index says: one damaged block is one fault.
    verify->previous_hash = entry.header_hash;
    if (error != SEGMENT_GOOD)
        verify_fault(verify, error, b, entry.offset, entry.bytes);
    else
        block.header.hash = entry.header_hash;
    struct layout_block header = block.header;
    if (error != SEGMENT_GOOD)
        header = (struct layout_block){.rows = entry.rows};
    (void)index_build_block(&verify->build, &header, entry.offset);
}

static bool verify_symbols_agree(const struct verify *verify)
{
    const struct index *index = &verify->segment->index;
    for (uint32_t s = 0; s < index->symbol_count; s++) {
        const struct layout_index_symbol *said = &index->symbols[s];
        const struct layout_index_symbol *found = &verify->build.symbols[s];
        if (said->rows != found->rows)
            return false;
        if (said->rows != 0 &&
            (said->time_min != found->time_min || said->time_max != found->time_max ||
             said->first_block != found->first_block || said->block_count != found->block_count))
            return false;
    }
    return true;
}

static bool verify_blocks_agree(const struct verify *verify)
{
    const struct index *index = &verify->segment->index;
    return memcmp(index->blocks, verify->build.blocks,
                  index->block_count * sizeof *index->blocks) == 0 &&
           memcmp(index->zones, verify->build.zones,
                  index->block_count * sizeof *index->zones) == 0;
}

// False: the names of the index overlap.
static bool verify_add_symbols(struct verify *verify)
{
    const struct index *index = &verify->segment->index;
    for (uint32_t s = 0; s < index->symbol_count; s++) {
        struct event_text name = index_name(index, s);
        if (index_build_symbol(&verify->build, name.bytes, name.size) == SYMBOL_NONE)
            return false;
    }
    return true;
}

enum segment_error segment_verify(struct segment *segment, segment_fault_callback *fault,
                                  void *context)
{
    struct verify verify = {.segment = segment, .fault = fault, .context = context,
                            .previous_hash = segment->header_hash};
    const struct index *index = &segment->index;
    // More symbols or blocks than a file of this size can hold: a forged index.
    struct index_build_limits limits = index_build_limits_of(segment->source.size);
    if (index->symbol_count > limits.symbols || index->block_count > limits.blocks ||
        index->header->name_bytes > limits.name_bytes) {
        verify_fault(&verify, SEGMENT_BAD_INDEX, UINT32_MAX, 0, 0);
        return SEGMENT_BAD_INDEX;
    }
    if (index_build_open(&verify.build, limits) != 0)
        return SEGMENT_NO_MEMORY;
    if (!verify_add_symbols(&verify)) {
        verify_fault(&verify, SEGMENT_BAD_INDEX, UINT32_MAX, 0, 0);
        index_build_close(&verify.build);
        return SEGMENT_BAD_INDEX;
    }
    const struct layout_postscript *end = &segment->postscript;
    if (segment->footer_error != SEGMENT_GOOD)
        verify_fault(&verify, segment->footer_error, UINT32_MAX, 0, segment->source.size);
    else // an index from outside was opened without reading the footer
        verify_hash(&verify, end->footer_offset, end->footer_offset + end->footer_bytes,
                    end->footer_hash, SEGMENT_BAD_FOOTER);
    for (uint32_t b = 0; b < index->block_count; b++)
        verify_block(&verify, b);
    // Where blocks are damaged, totals cannot agree and say nothing new.
    if (verify.first == SEGMENT_GOOD)
        verify_hash(&verify, 0, end->footer_offset, end->file_hash, SEGMENT_BAD_FILE_HASH);
    if (verify.first == SEGMENT_GOOD &&
        (!verify_symbols_agree(&verify) || !verify_blocks_agree(&verify)))
        verify_fault(&verify, SEGMENT_BAD_ORDER, UINT32_MAX, 0, segment->source.size);
    index_build_close(&verify.build);
    return verify.first;
}
