// SPDX-License-Identifier: Apache-2.0
//
// Rows → block in the making → output chunk → caller. States:
//
//     open ──segment_writer_symbol──→ symbol announced ──append──→ rows in the block
//       block full, or a symbol of another kind follows: block → output
//     finish: last block → output, then footer → output; finished
//
// The output holds at least one whole block beside SEGMENT_OUTPUT_BYTES, so that a block never has
// to be split: when SEGMENT_OUTPUT_BYTES are waiting, the caller must take them first.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/segment.h"
#include "format/segment_builder.h"
#include "format/segment_footer.h"
#include "format/segment_header.h"
#include "format/segment_parts.h"

struct segment_writer {
    struct segment_description what;
    const struct channel_schema *schema;
    struct segment_builder builder;
    struct index_build build;
    uint8_t *output;
    size_t output_size;
    size_t output_used;
    uint64_t offset;       // of the next output byte in the file
    uint64_t previous_hash;
    uint32_t symbol;       // current, or SYMBOL_NONE
    bool symbol_rare;
    bool block_rare;       // all symbols of the block in the making are rare
    bool finished;
    XXH3_state_t *hash;    // of all bytes before the footer
    uint64_t footer_hash;
    void *index;
    size_t index_size;
};

// ---- life ----

static void writer_put(struct segment_writer *writer, size_t bytes)
{
    (void)XXH3_64bits_update(writer->hash, writer->output + writer->output_used, bytes);
    writer->output_used += bytes;
    writer->offset += bytes;
    ensure(writer->output_used <= writer->output_size);
}

static void writer_start(struct segment_writer *writer)
{
    size_t bytes = segment_header_write(&writer->what, writer->output);
    memcpy(&writer->previous_hash, writer->output + bytes - sizeof writer->previous_hash,
           sizeof writer->previous_hash);
    (void)XXH3_64bits_reset(writer->hash);
    writer_put(writer, bytes);
}

int segment_writer_open(struct segment_writer **opened, const struct segment_description *what)
{
    ensure(channel_schema(what->channel));
    struct segment_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return -ENOMEM;
    writer->what = *what;
    writer->schema = channel_schema(what->channel);
    writer->symbol = SYMBOL_NONE;
    writer->hash = XXH3_createState();
    int error = segment_builder_open(&writer->builder, writer->schema, what->level);
    if (error == 0)
        error = index_build_open(&writer->build, index_build_limits_of(UINT64_MAX));
    if (error == 0) {
        writer->output_size = SEGMENT_HEADER_BYTES_MAX + SEGMENT_OUTPUT_BYTES +
                              segment_builder_bytes_max(&writer->builder);
        writer->output = malloc(writer->output_size);
    }
    if (!writer->output || !writer->hash) {
        segment_writer_close(writer);
        return -ENOMEM;
    }
    writer_start(writer);
    *opened = writer;
    return 0;
}

void segment_writer_close(struct segment_writer *writer)
{
    if (!writer)
        return;
    segment_builder_close(&writer->builder);
    index_build_close(&writer->build);
    (void)XXH3_freeState(writer->hash);
    free(writer->output);
    free(writer->index);
    free(writer);
}

// ---- output ----

const void *segment_writer_output(struct segment_writer *writer, size_t *size)
{
    *size = writer->output_used;
    return writer->output;
}

void segment_writer_taken(struct segment_writer *writer)
{
    writer->output_used = 0;
}

// The block in the making → output. False: the output must be taken first.
static bool writer_flush(struct segment_writer *writer)
{
    if (writer->builder.rows.count == 0)
        return true;
    if (writer->output_used >= SEGMENT_OUTPUT_BYTES)
        return false;
    struct layout_block header = {
        .salt = writer->what.salt,
        .number = writer->build.block_count,
        .previous_hash = writer->previous_hash,
    };
    uint64_t offset = writer->offset;
    size_t bytes = segment_builder_encode(&writer->builder, &writer->build, &header,
                                          writer->output + writer->output_used);
    writer_put(writer, bytes);
    writer->previous_hash = header.hash;
    bool added = index_build_block(&writer->build, &header, offset);
    ensure(added); // segment_writer_full() said so before
    segment_builder_clear(&writer->builder);
    return true;
}

// ---- rows ----

bool segment_writer_full(const struct segment_writer *writer)
{
    // Each row may be a block of its own; two more are the one in the making and the last.
    return writer->build.block_count + SEGMENT_APPEND_ROWS_MAX + 2 > SEGMENT_BLOCKS_MAX ||
           writer->build.symbol_count == SEGMENT_SYMBOLS_MAX;
}

bool segment_writer_symbol(struct segment_writer *writer, const void *name, uint32_t name_size,
                           uint64_t rows_expected)
{
    ensure(!writer->finished);
    bool rare = rows_expected < SEGMENT_RARE_ROWS;
    bool apart = writer->builder.rows.count != 0 && !(rare && writer->block_rare);
    if (apart && !writer_flush(writer))
        return false;
    writer->symbol = index_build_symbol(&writer->build, name, name_size);
    ensure(writer->symbol != SYMBOL_NONE); // segment_writer_full() said so before
    writer->symbol_rare = rare;
    return true;
}

static void writer_account(struct segment_writer *writer, const struct rows *rows,
                           const uint32_t *index, uint32_t count)
{
    unsigned usual = rows->schema->times[0];
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    for (uint32_t r = 0; r < count; r++) {
        bool has = rows->present[index[r]] >> usual & 1;
        int64_t time = has ? rows->value[usual][index[r]] : rows_time_ns(rows, index[r]);
        min = time < min ? time : min;
        max = time > max ? time : max;
    }
    if (count != 0)
        index_build_rows(&writer->build, writer->symbol, writer->build.block_count, count, min,
                         max);
}

uint32_t segment_writer_append_selected(struct segment_writer *writer, const struct rows *rows,
                                        const uint32_t *index, uint32_t count,
                                        const struct segment_provenance *provenance)
{
    ensure(!writer->finished && writer->symbol != SYMBOL_NONE);
    ensure(rows->schema == writer->schema);
    uint32_t done = 0;
    while (done < count) {
        bool first_of_block = writer->builder.rows.count == 0;
        uint32_t taken = segment_builder_add(&writer->builder, rows, index + done, count - done,
                                             writer->symbol, provenance ? provenance + done : NULL);
        if (taken == 0) {
            ensure(!first_of_block);
            if (!writer_flush(writer))
                break;
            continue;
        }
        writer->block_rare = writer->symbol_rare && (first_of_block || writer->block_rare);
        writer_account(writer, rows, index + done, taken);
        done += taken;
    }
    return done;
}

uint32_t segment_writer_append_many(struct segment_writer *writer, const struct rows *rows,
                                    uint32_t first, uint32_t count,
                                    const struct segment_provenance *provenance)
{
    enum { AT_ONCE = 512 };
    uint32_t index[AT_ONCE];
    uint32_t done = 0;
    while (done < count) {
        uint32_t part = count - done < AT_ONCE ? count - done : AT_ONCE;
        for (uint32_t r = 0; r < part; r++)
            index[r] = first + done + r;
        uint32_t taken = segment_writer_append_selected(writer, rows, index, part,
                                                        provenance ? provenance + done : NULL);
        done += taken;
        if (taken < part)
            break;
    }
    return done;
}

bool segment_writer_append(struct segment_writer *writer, const struct rows *rows, uint32_t index,
                           struct segment_provenance provenance)
{
    return segment_writer_append_selected(writer, rows, &index, 1, &provenance) == 1;
}

// ---- whole blocks ----

// Blocks grow no smaller by being copied, whatever is merged how often: one is copied only if it is
// nearly full, and what waits before it becomes a block only if that is none of the smallest, or
// the only small one among some large ones.
enum {
    COPY_FULL_PERCENT = 75,
    COPY_BEFORE_ROWS = SEGMENT_BLOCK_ROWS_MAX / 4,
    COPY_RUN_BLOCKS = 4, // of the symbol in that segment, from this one on
};

static bool copy_pays(const struct segment_writer *writer, const struct index *index,
                      uint32_t block)
{
    const struct layout_index_block *entry = &index->blocks[block];
    const struct layout_index_zone *zone = &index->zones[block];
    const uint32_t waiting = writer->builder.rows.count;
    if (entry->symbol == INDEX_SYMBOL_SHARED)
        return false;
    const struct layout_index_symbol *symbol = &index->symbols[entry->symbol];
    const uint32_t run = symbol->first_block + symbol->block_count - block;
    return (entry->rows >= SEGMENT_BLOCK_ROWS_MAX / 100 * COPY_FULL_PERCENT ||
            entry->levels >= SEGMENT_BLOCK_LEVELS_MAX / 100 * COPY_FULL_PERCENT ||
            zone->text_bytes >= BUILDER_TEXT_BYTES / 100 * COPY_FULL_PERCENT) &&
           (waiting == 0 || waiting >= COPY_BEFORE_ROWS || run >= COPY_RUN_BLOCKS);
}

// What this version would have written, of the current symbol alone.
static bool copy_possible(const struct segment_writer *writer, const struct layout_block *header,
                          const uint8_t *bytes)
{
    struct event_text name = index_build_name(&writer->build, writer->symbol);
    const uint8_t *payload = bytes + LAYOUT_HEADER_BYTES;
    bool light = (header->optional & LAYOUT_BLOCK_LIGHT) != 0;
    return header->minor == LAYOUT_SEGMENT_MINOR && header->header_bytes == LAYOUT_HEADER_BYTES &&
           (header->optional & ~LAYOUT_BLOCK_LIGHT) == 0 &&
           (!light || writer->what.level == COLUMN_LEVEL_LIGHT) &&
           header->channel == writer->what.channel && header->symbols == 1 &&
           header->payload_bytes > name.size && payload[0] == name.size &&
           (name.size == 0 || memcmp(payload + 1, name.bytes, name.size) == 0) &&
           LAYOUT_HEADER_BYTES + header->payload_bytes <=
               segment_builder_bytes_max(&writer->builder);
}

static void copy_put(struct segment_writer *writer, struct layout_block *header,
                     const uint8_t *bytes)
{
    uint8_t *out = writer->output + writer->output_used;
    uint64_t offset = writer->offset;
    header->salt = writer->what.salt;
    header->number = writer->build.block_count;
    header->symbol = writer->symbol;
    header->previous_hash = writer->previous_hash;
    header->hash = XXH3_64bits(header, LAYOUT_HEADER_BYTES - sizeof header->hash);
    memcpy(out, header, LAYOUT_HEADER_BYTES);
    memcpy(out + LAYOUT_HEADER_BYTES, bytes + LAYOUT_HEADER_BYTES, header->payload_bytes);
    index_build_rows(&writer->build, writer->symbol, header->number, header->rows,
                     header->time_min, header->time_max);
    writer_put(writer, LAYOUT_HEADER_BYTES + header->payload_bytes);
    writer->previous_hash = header->hash;
    bool added = index_build_block(&writer->build, header, offset);
    ensure(added); // segment_writer_full() said so before
}

enum segment_copy segment_writer_copy(struct segment_writer *writer, struct segment *from,
                                      uint32_t block)
{
    ensure(!writer->finished && writer->symbol != SYMBOL_NONE);
    const struct index *index = segment_index(from);
    ensure(block < index->block_count);
    struct layout_block header;
    if (!copy_pays(writer, index, block))
        return SEGMENT_COPY_NOT;
    if (writer->output_used >= SEGMENT_OUTPUT_BYTES)
        return SEGMENT_COPY_WAITS;
    const uint8_t *bytes = segment_block_bytes(from, block, &header);
    if (!bytes || !copy_possible(writer, &header, bytes))
        return SEGMENT_COPY_NOT;
    if (!writer_flush(writer) || writer->output_used >= SEGMENT_OUTPUT_BYTES)
        return SEGMENT_COPY_WAITS;
    copy_put(writer, &header, bytes);
    return SEGMENT_COPIED;
}

// ---- end ----

static bool writer_footer(struct segment_writer *writer)
{
    size_t needed = segment_footer_bytes_max(&writer->build);
    if (writer->output_used != 0 && writer->output_size - writer->output_used < needed)
        return false;
    if (writer->output_size < needed) { // only with a very long block table
        uint8_t *larger = realloc(writer->output, needed);
        ensure(larger);
        writer->output = larger;
        writer->output_size = needed;
    }
    uint8_t *out = writer->output + writer->output_used;
    size_t bytes = segment_footer_write(&writer->build, writer->what.salt, writer->offset,
                                        XXH3_64bits_digest(writer->hash), out);
    size_t footer_bytes = bytes - sizeof(struct layout_postscript);
    memcpy(&writer->footer_hash,
           out + footer_bytes + offsetof(struct layout_postscript, footer_hash),
           sizeof writer->footer_hash);
    writer_put(writer, bytes);
    writer->finished = true;
    return true;
}

bool segment_writer_finish(struct segment_writer *writer)
{
    if (writer->finished)
        return true;
    return writer_flush(writer) && writer_footer(writer);
}

struct segment_summary segment_writer_summary(const struct segment_writer *writer)
{
    ensure(writer->finished);
    return (struct segment_summary){
        .rows = writer->build.rows,
        .bytes = writer->offset,
        .time_min = writer->build.time_min,
        .time_max = writer->build.time_max,
    };
}

const void *segment_writer_index(struct segment_writer *writer, size_t *size)
{
    ensure(writer->finished);
    if (!writer->index) {
        struct layout_index header = {
            .salt = writer->what.salt,
            .file_bytes = writer->offset,
            .footer_hash = writer->footer_hash,
            .number = writer->what.number,
            .day = writer->what.day,
            .channel = writer->what.channel,
        };
        writer->index_size = index_build_bytes(&writer->build);
        writer->index = malloc(writer->index_size);
        if (writer->index)
            index_build_image(&writer->build, &header, writer->index);
        else
            writer->index_size = 0; // readers rebuild it
    }
    *size = writer->index_size;
    return writer->index;
}
