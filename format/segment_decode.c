// SPDX-License-Identifier: Apache-2.0
//
// Order of work: names, directory, then the columns in the order of the directory; a column that
// another one's model refers to is read when it is needed (segment_decode_column.c). Texts are put
// in order of rows at the end.
#include "format/segment_decode.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/segment_decode_parts.h"

int segment_decoder_open(struct segment_decoder *decoder, const struct channel_schema *schema)
{
    uint32_t longest = schema->has_levels ? SEGMENT_BLOCK_LEVELS_MAX : SEGMENT_BLOCK_ROWS_MAX;
    *decoder = (struct segment_decoder){.schema = schema};
    decoder->codec = column_scratch_open(longest);
    decoder->values = malloc((longest + 1ul) * sizeof *decoder->values);
    decoder->tape = malloc(SEGMENT_BLOCK_ROWS_MAX * sizeof *decoder->tape);
    decoder->row = malloc(SEGMENT_BLOCK_ROWS_MAX * sizeof *decoder->row);
    decoder->bits = malloc(SEGMENT_BLOCK_ROWS_MAX);
    decoder->symbols = malloc(SEGMENT_BLOCK_ROWS_MAX * sizeof *decoder->symbols);
    bool levels = true;
    if (schema->has_levels) {
        decoder->sides = malloc(longest * sizeof *decoder->sides);
        decoder->before = malloc(2ul * longest * sizeof *decoder->before);
        levels = decoder->sides && decoder->before;
    }
    if (decoder->codec && decoder->values && decoder->tape && decoder->row && decoder->bits &&
        decoder->symbols && levels)
        return 0;
    segment_decoder_close(decoder);
    return -ENOMEM;
}

void segment_decoder_close(struct segment_decoder *decoder)
{
    column_scratch_close(decoder->codec);
    free(decoder->values);
    free(decoder->tape);
    free(decoder->row);
    free(decoder->bits);
    free(decoder->symbols);
    free(decoder->sides);
    free(decoder->before);
    free(decoder->memory);
    free(decoder->text);
    *decoder = (struct segment_decoder){0};
}

// ---- header ----

static bool block_possible(const struct layout_block *header)
{
    bool shared = (header->flags & LAYOUT_BLOCK_SHARED) != 0;
    return header->header_bytes % 8 == 0 && (header->flags & ~LAYOUT_BLOCK_SHARED) == 0 &&
           header->rows != 0 && header->rows <= SEGMENT_BLOCK_ROWS_MAX &&
           header->levels <= SEGMENT_BLOCK_LEVELS_MAX &&
           header->text_bytes <= SEGMENT_BLOCK_TEXT_BYTES_MAX &&
           header->payload_bytes <= SEGMENT_BLOCK_BYTES_MAX - LAYOUT_SECTOR &&
           header->columns <= SEGMENT_DIRECTORY_MAX && header->symbols != 0 &&
           header->symbols <= header->rows && shared == (header->symbols > 1) &&
           header->symbol < SEGMENT_SYMBOLS_MAX && header->time_min <= header->time_max &&
           header->price_scale <= DECIMAL_SCALE_MAX;
}

enum segment_error segment_block_header(const uint8_t *bytes, size_t size, uint64_t salt,
                                        struct layout_block *header)
{
    struct layout_block found;
    if (size < sizeof found)
        return SEGMENT_SHORT;
    memcpy(&found, bytes, sizeof found);
    if (found.magic != LAYOUT_BLOCK_MAGIC)
        return SEGMENT_NO_MAGIC;
    if (found.header_bytes < sizeof found || found.header_bytes > LAYOUT_SECTOR)
        return SEGMENT_BAD_HASH;
    if (found.header_bytes > size)
        return SEGMENT_SHORT;
    size_t hashed = found.header_bytes - sizeof found.hash;
    memcpy(&found.hash, bytes + hashed, sizeof found.hash);
    if (found.hash != XXH3_64bits(bytes, hashed))
        return SEGMENT_BAD_HASH;
    if (found.salt != salt)
        return SEGMENT_BAD_CHAIN;
    if (found.major != LAYOUT_MAJOR || found.required != 0)
        return SEGMENT_NEWER;
    if (!block_possible(&found))
        return SEGMENT_BAD_HEADER;
    *header = found;
    return SEGMENT_GOOD;
}

// ---- memory ----

static bool decoder_prepare(struct segment_decoder *decoder, const struct layout_block *header)
{
    struct rows_limits limits = {header->rows, decoder->schema->has_levels ? header->levels : 0,
                                 header->text_bytes};
    size_t bytes = (rows_memory_bytes(decoder->schema, &limits) + 63) & ~(size_t)63;
    if (bytes > decoder->memory_size) {
        free(decoder->memory);
        decoder->memory = aligned_alloc(64, bytes);
        decoder->memory_size = decoder->memory ? bytes : 0;
    }
    if (header->text_bytes > decoder->text_size) {
        free(decoder->text);
        decoder->text = malloc(header->text_bytes);
        decoder->text_size = decoder->text ? header->text_bytes : 0;
    }
    if (!decoder->memory || (header->text_bytes != 0 && !decoder->text))
        return false;
    rows_init(&decoder->rows, decoder->schema, &limits, decoder->memory);
    decoder->column_count = 0;
    decoder->unknown_columns = 0;
    decoder->unknown_levels = false;
    memset(decoder->text_of, 0, sizeof decoder->text_of);
    return true;
}

// Cells that nobody wrote to are 0, as the contract of rows says.
static void decoder_blank(struct segment_decoder *decoder, uint32_t first, uint32_t count)
{
    struct rows *rows = &decoder->rows;
    uint64_t kept = decoder->filled & decoder->wanted & ~decoder->unknown_columns;
    for (int c = 0; c < rows->schema->column_count; c++) {
        if (kept >> c & 1)
            continue;
        if (rows->value[c])
            memset(rows->value[c] + first, 0, count * sizeof *rows->value[c]);
        if (rows->scale[c])
            memset(rows->scale[c] + first, 0, count);
    }
}

static void decoder_start(struct segment_decoder *decoder, const struct layout_block *header,
                          uint64_t wanted)
{
    struct rows *rows = &decoder->rows;
    uint32_t count = header->rows;
    decoder->wanted = wanted;
    decoder->needed = count;
    decoder->in_all_rows = 0;
    decoder->filled = 0;
    decoder->text_used = 0;
    decoder->frame = (struct model_frame){.rows = count};
    memset(decoder->column_state, DECODE_WAITING, sizeof decoder->column_state);
    memset(rows->present, 0, count * sizeof *rows->present);
    for (int slot = 0; slot < (int)EVENT_TEXTS_MAX && rows->text_length[slot]; slot++)
        memset(rows->text_length[slot], 0, count * sizeof *rows->text_length[slot]);
    if (rows->level_first)
        memset(rows->level_first, 0, (count + 1) * sizeof *rows->level_first);
    rows->count = count;
    uint32_t symbol = decoder->name_lengths[0] != 0 ? header->symbol : SYMBOL_NONE;
    for (uint32_t r = 0; r < count; r++)
        rows->symbol[r] = symbol;
}

// ---- names and directory ----

struct event_text segment_decoder_name(const struct segment_decoder *decoder, uint32_t index)
{
    const uint8_t *at = decoder->names;
    for (uint32_t s = 0; s < index; s++)
        at += decoder->name_lengths[s];
    return (struct event_text){at, decoder->name_lengths[index]};
}

static bool decode_names(struct segment_decoder *decoder, const struct layout_block *header,
                         struct wire_reader *in)
{
    decoder->name_lengths = wire_get(in, header->symbols);
    if (!decoder->name_lengths)
        return false;
    uint64_t bytes = 0;
    for (uint32_t s = 0; s < header->symbols; s++)
        bytes += decoder->name_lengths[s];
    decoder->names = wire_get(in, bytes);
    return decoder->names != NULL;
}

static bool decode_directory(struct segment_decoder *decoder, const struct layout_block *header,
                             struct wire_reader *in)
{
    uint64_t total = 0;
    memset(decoder->column_of, SEGMENT_DIRECTORY_MAX, sizeof decoder->column_of);
    for (uint32_t c = 0; c < header->columns; c++) {
        struct segment_directory entry;
        const uint8_t *bytes = wire_get(in, sizeof entry);
        if (!bytes)
            return false;
        memcpy(&entry, bytes, sizeof entry);
        if ((c != 0 && entry.id <= decoder->columns[c - 1].id) ||
            entry.presence > SEGMENT_PRESENCE_ZSTD || entry.scale > DECIMAL_SCALE_MAX ||
            (entry.presence != SEGMENT_PRESENCE_ALL && entry.id >= EVENT_COLUMNS_MAX))
            return false;
        decoder->columns[c] = (struct segment_column){entry.id, entry.codec, entry.presence,
                                                      entry.scale, entry.bytes};
        decoder->column_of[entry.id] = (uint8_t)c;
        total += entry.bytes;
    }
    decoder->column_count = header->columns;
    if (total != wire_left(in))
        return false;
    for (uint32_t c = 0; c < header->columns; c++)
        decoder->column_bytes[c] = wire_get(in, decoder->columns[c].bytes);
    return true;
}

// ---- the block ----

// What a block must have for its rows to be whole.
static bool decode_whole(const struct segment_decoder *decoder, const struct layout_block *header)
{
    bool shared = (header->flags & LAYOUT_BLOCK_SHARED) != 0;
    bool provenance = decoder->schema->identity_count == 0;
    bool has_levels = decoder->schema->has_levels;
    bool levels = header->levels != 0;
    return shared == decoder_has(decoder, SEGMENT_COLUMN_SYMBOL) &&
           provenance == decoder_has(decoder, SEGMENT_COLUMN_TAPE) &&
           provenance == decoder_has(decoder, SEGMENT_COLUMN_ROW) &&
           has_levels == decoder_has(decoder, SEGMENT_COLUMN_LEVEL_COUNT) &&
           (has_levels || !levels) && levels == decoder_has(decoder, SEGMENT_COLUMN_LEVEL_PRICE) &&
           levels == decoder_has(decoder, SEGMENT_COLUMN_LEVEL_QUANTITY) &&
           levels == decoder_has(decoder, SEGMENT_COLUMN_LEVEL_SIDE);
}

static enum segment_error decode_columns(struct segment_decoder *decoder,
                                         const struct layout_block *header)
{
    for (uint32_t c = 0; c < decoder->column_count; c++) {
        enum segment_error error = decode_column(decoder, header, c);
        if (error != SEGMENT_GOOD)
            return error;
    }
    return SEGMENT_GOOD;
}

enum segment_error segment_decode_some(struct segment_decoder *decoder, const uint8_t *bytes,
                                       size_t size, const struct layout_block *header,
                                       uint64_t columns, uint64_t later)
{
    if (size != (uint64_t)header->header_bytes + header->payload_bytes)
        return SEGMENT_SHORT;
    const uint8_t *payload = bytes + header->header_bytes;
    if (header->payload_hash != XXH3_64bits(payload, header->payload_bytes))
        return SEGMENT_BAD_PAYLOAD;
    if (header->channel != decoder->schema->channel)
        return SEGMENT_BAD_CONTENT;
    struct wire_reader in = wire_reader_of(payload, header->payload_bytes);
    if (!decoder_prepare(decoder, header))
        return SEGMENT_NO_MEMORY;
    if (!decode_names(decoder, header, &in) || !decode_directory(decoder, header, &in))
        return SEGMENT_BAD_CONTENT;
    if (!decode_whole(decoder, header))
        return SEGMENT_BAD_CONTENT;
    decoder_start(decoder, header, columns);
    decoder->later = later;
    enum segment_error error = decode_columns(decoder, header);
    for (uint32_t r = 0; r < header->rows && error == SEGMENT_GOOD; r++)
        decoder->rows.present[r] |= decoder->in_all_rows;
    return error;
}

enum segment_error segment_decode(struct segment_decoder *decoder, const uint8_t *bytes,
                                  size_t size, const struct layout_block *header, uint64_t columns)
{
    enum segment_error error =
        segment_decode_some(decoder, bytes, size, header, columns, 0);
    if (error != SEGMENT_GOOD)
        return error;
    decoder_blank(decoder, 0, header->rows);
    return decode_place_texts(decoder) ? SEGMENT_GOOD : SEGMENT_BAD_CONTENT;
}

// Texts lie one behind the other, values that some rows have are spread over all: such columns are
// read whole, and so is what they refer to. They come first, as do levels.
static uint64_t read_whole(const struct segment_decoder *decoder)
{
    uint64_t whole = 0;
    for (uint32_t c = 0; c < decoder->column_count; c++) {
        const struct segment_column *column = &decoder->columns[c];
        bool text = column->id < (uint32_t)decoder->schema->column_count &&
                    decoder->schema->columns[column->id].type == COLUMN_TEXT;
        if (column->id < EVENT_COLUMNS_MAX && (text || column->presence != SEGMENT_PRESENCE_ALL))
            whole |= 1ull << column->id;
    }
    return whole;
}

enum segment_error segment_decode_row(struct segment_decoder *decoder,
                                      const struct layout_block *header, uint32_t row)
{
    ensure(row < header->rows && decoder->rows.count == header->rows);
    decoder->later &= ~read_whole(decoder);
    enum segment_error error = decode_columns(decoder, header);
    if (error != SEGMENT_GOOD)
        return error;
    decoder->later = 0;
    decoder->needed = row + 1;
    error = decode_columns(decoder, header);
    if (error != SEGMENT_GOOD)
        return error;
    decoder->rows.present[row] |= decoder->in_all_rows;
    decoder_blank(decoder, row, 1);
    return decode_place_texts(decoder) ? SEGMENT_GOOD : SEGMENT_BAD_CONTENT;
}
