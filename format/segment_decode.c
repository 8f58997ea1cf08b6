// SPDX-License-Identifier: Apache-2.0
//
// Order of work: names, directory, then the columns in the order of the directory, which is the
// order in which later ones need earlier ones (lengths before text bytes, level counts before
// levels); texts are put in order of rows at the end.
#include "format/segment_decode.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "format/ensure.h"

int segment_decoder_open(struct segment_decoder *decoder, const struct channel_schema *schema)
{
    uint32_t longest = schema->has_levels ? SEGMENT_BLOCK_LEVELS_MAX : SEGMENT_BLOCK_ROWS_MAX;
    *decoder = (struct segment_decoder){.schema = schema};
    decoder->codec = column_scratch_open(longest);
    decoder->values = malloc(longest * sizeof *decoder->values);
    decoder->tape = malloc(SEGMENT_BLOCK_ROWS_MAX * sizeof *decoder->tape);
    decoder->row = malloc(SEGMENT_BLOCK_ROWS_MAX * sizeof *decoder->row);
    decoder->bits = malloc(SEGMENT_BLOCK_ROWS_MAX);
    if (decoder->codec && decoder->values && decoder->tape && decoder->row && decoder->bits)
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
           header->symbols <= SEGMENT_SYMBOLS_MAX && shared == (header->symbols > 1) &&
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

// Everything absent, as it stays for columns that are not there.
static void decoder_zero(struct segment_decoder *decoder, uint32_t count)
{
    struct rows *rows = &decoder->rows;
    memset(rows->present, 0, count * sizeof *rows->present);
    for (int c = 0; c < rows->schema->column_count; c++) {
        if (rows->value[c])
            memset(rows->value[c], 0, count * sizeof *rows->value[c]);
        if (rows->scale[c])
            memset(rows->scale[c], 0, count);
    }
    for (int slot = 0; slot < (int)EVENT_TEXTS_MAX && rows->text_length[slot]; slot++)
        memset(rows->text_length[slot], 0, count * sizeof *rows->text_length[slot]);
    if (rows->level_first)
        memset(rows->level_first, 0, (count + 1) * sizeof *rows->level_first);
    rows->count = count;
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
    for (uint32_t c = 0; c < header->columns; c++) {
        struct segment_directory entry;
        const uint8_t *bytes = wire_get(in, sizeof entry);
        if (!bytes)
            return false;
        memcpy(&entry, bytes, sizeof entry);
        if ((c != 0 && entry.id <= decoder->columns[c - 1].id) ||
            entry.presence > SEGMENT_PRESENCE_ZSTD || entry.scale > DECIMAL_SCALE_MAX)
            return false;
        decoder->columns[c] = (struct segment_column){entry.id, entry.codec, entry.presence,
                                                      entry.scale, entry.bytes};
        total += entry.bytes;
    }
    decoder->column_count = header->columns;
    return total == wire_left(in);
}

// ---- columns ----

static bool decode_bitmap(struct segment_decoder *decoder, const struct segment_column *column,
                          struct wire_reader *in, const uint8_t **bitmap)
{
    uint32_t size = (decoder->rows.count + 7) / 8;
    if (column->presence == SEGMENT_PRESENCE_BITMAP) {
        *bitmap = wire_get(in, size);
        return *bitmap != NULL;
    }
    uint64_t packed = wire_get_varint(in);
    const uint8_t *bytes = wire_get(in, packed);
    uint8_t *room = (uint8_t *)decoder->values; // free until the values come
    *bitmap = room;
    return bytes && column_decode_bytes(decoder->codec, COLUMN_BYTES_ZSTD, bytes, (size_t)packed,
                                        room, size) == COLUMN_GOOD;
}

// decoder->bits: which rows have a value. Returns how many; 0: impossible.
static uint32_t decode_presence(struct segment_decoder *decoder,
                                const struct segment_column *column, struct wire_reader *in)
{
    uint32_t rows = decoder->rows.count;
    const uint8_t *bitmap;
    if (column->presence == SEGMENT_PRESENCE_ALL) {
        memset(decoder->bits, 1, rows);
        return rows;
    }
    if (!decode_bitmap(decoder, column, in, &bitmap))
        return 0;
    uint32_t count = 0;
    for (uint32_t r = 0; r < rows; r++) {
        decoder->bits[r] = bitmap[r / 8] >> (r % 8) & 1;
        count += decoder->bits[r];
    }
    bool clean = rows % 8 == 0 || bitmap[rows / 8] >> (rows % 8) == 0;
    return clean ? count : 0;
}

static enum column_result decode_values(struct segment_decoder *decoder,
                                        const struct segment_column *column,
                                        struct wire_reader *in, uint32_t count)
{
    size_t size = wire_left(in);
    return column_decode(decoder->codec, column->codec, wire_get(in, size), size, decoder->values,
                         count);
}

// Gathered values → cells.
static bool decode_spread(struct segment_decoder *decoder, const struct segment_column *column)
{
    struct rows *rows = &decoder->rows;
    const struct column *schema = &rows->schema->columns[column->id];
    uint64_t bit = 1ull << column->id;
    uint32_t v = 0;
    for (uint32_t r = 0; r < rows->count; r++) {
        if (!decoder->bits[r])
            continue;
        int64_t value = decoder->values[v++];
        rows->present[r] |= bit;
        if (schema->type != COLUMN_TEXT) {
            rows->value[column->id][r] = value;
            if (schema->type == COLUMN_DECIMAL)
                rows->scale[column->id][r] = column->scale;
        } else {
            if ((uint64_t)value > EVENT_TEXT_BYTES_MAX)
                return false;
            rows->text_length[schema->text][r] = (uint32_t)value;
        }
    }
    return true;
}

static enum column_result decode_column(struct segment_decoder *decoder,
                                        const struct segment_column *column,
                                        struct wire_reader *in)
{
    uint32_t count = decode_presence(decoder, column, in);
    if (count == 0)
        return COLUMN_BAD;
    enum column_result result = decode_values(decoder, column, in, count);
    if (result != COLUMN_GOOD)
        return result;
    return decode_spread(decoder, column) ? COLUMN_GOOD : COLUMN_BAD;
}

// The bytes of text column `c`; its lengths are known.
static enum column_result decode_text_bytes(struct segment_decoder *decoder,
                                            const struct segment_column *column, int c,
                                            size_t *text_used, struct wire_reader *in)
{
    const struct rows *rows = &decoder->rows;
    if (c >= rows->schema->column_count || rows->schema->columns[c].type != COLUMN_TEXT)
        return COLUMN_BAD;
    uint32_t slot = rows->schema->columns[c].text;
    uint64_t size = 0;
    for (uint32_t r = 0; r < rows->count; r++)
        size += rows->text_length[slot][r];
    if (size > rows->limits.text_bytes - *text_used)
        return COLUMN_BAD;
    uint8_t *out = decoder->text + *text_used;
    size_t stored = wire_left(in);
    if (size == 0)
        return stored == 0 ? COLUMN_GOOD : COLUMN_BAD;
    decoder->text_of[slot] = out;
    *text_used += (size_t)size;
    return column_decode_bytes(decoder->codec, column->codec, wire_get(in, stored), stored, out,
                               (size_t)size);
}

// Texts lie by column in the block and by row in memory.
static bool decode_place_texts(struct segment_decoder *decoder)
{
    struct rows *rows = &decoder->rows;
    for (uint32_t r = 0; r < rows->count; r++) {
        for (int slot = 0; slot < (int)EVENT_TEXTS_MAX && rows->text_length[slot]; slot++) {
            uint32_t length = rows->text_length[slot][r];
            rows->text_offset[slot][r] = rows->text_size;
            if (length == 0)
                continue;
            if (!decoder->text_of[slot] || length > rows->limits.text_bytes - rows->text_size)
                return false;
            memcpy(rows->text + rows->text_size, decoder->text_of[slot], length);
            decoder->text_of[slot] += length;
            rows->text_size += length;
        }
    }
    return true;
}

// ---- symbols, provenance, levels ----

static bool decode_symbols(struct segment_decoder *decoder, const struct layout_block *header)
{
    struct rows *rows = &decoder->rows;
    uint32_t last = 0;
    for (uint32_t r = 0; r < rows->count; r++) {
        uint64_t number = (uint64_t)decoder->values[r];
        if (number >= header->symbols || number < last)
            return false;
        last = (uint32_t)number;
        bool named = decoder->name_lengths[number] != 0;
        rows->symbol[r] = named ? header->symbol + (uint32_t)number : SYMBOL_NONE;
    }
    return true;
}

static bool decode_tape_numbers(struct segment_decoder *decoder)
{
    for (uint32_t r = 0; r < decoder->rows.count; r++) {
        if ((uint64_t)decoder->values[r] > UINT32_MAX)
            return false;
        decoder->tape[r] = (uint32_t)decoder->values[r];
    }
    return true;
}

static bool decode_level_counts(struct segment_decoder *decoder, const struct layout_block *header)
{
    struct rows *rows = &decoder->rows;
    uint64_t sum = 0;
    for (uint32_t r = 0; r < rows->count; r++) {
        if ((uint64_t)decoder->values[r] > EVENT_LEVELS_MAX)
            return false;
        sum += (uint64_t)decoder->values[r];
        if (sum > header->levels)
            return false;
        rows->level_first[r + 1] = (uint32_t)sum;
    }
    rows->level_count = (uint32_t)sum;
    return sum == header->levels;
}

static bool decode_level_bytes(struct segment_decoder *decoder, uint8_t *out, uint8_t max)
{
    for (uint32_t l = 0; l < decoder->rows.level_count; l++) {
        if ((uint64_t)decoder->values[l] > max)
            return false;
        out[l] = (uint8_t)decoder->values[l];
    }
    return true;
}

static bool decode_level_values(struct segment_decoder *decoder,
                                const struct segment_column *column)
{
    struct rows *rows = &decoder->rows;
    bool price = column->id == SEGMENT_COLUMN_LEVEL_PRICE;
    memcpy(price ? rows->level_price : rows->level_quantity, decoder->values,
           rows->level_count * sizeof(int64_t));
    memset(price ? rows->level_price_scale : rows->level_quantity_scale, column->scale,
           rows->level_count);
    return true;
}

static bool decode_special_values(struct segment_decoder *decoder,
                                  const struct layout_block *header,
                                  const struct segment_column *column)
{
    struct rows *rows = &decoder->rows;
    switch (column->id) {
    case SEGMENT_COLUMN_SYMBOL:
        return decode_symbols(decoder, header);
    case SEGMENT_COLUMN_TAPE:
        return decode_tape_numbers(decoder);
    case SEGMENT_COLUMN_ROW:
        memcpy(decoder->row, decoder->values, rows->count * sizeof *decoder->row);
        return true;
    case SEGMENT_COLUMN_LEVEL_COUNT:
        return decode_level_counts(decoder, header);
    case SEGMENT_COLUMN_LEVEL_PRICE:
    case SEGMENT_COLUMN_LEVEL_QUANTITY:
        return decode_level_values(decoder, column);
    case SEGMENT_COLUMN_LEVEL_SIDE:
        return decode_level_bytes(decoder, rows->level_side, 1);
    case SEGMENT_COLUMN_LEVEL_PRICE_SCALE:
        return decode_level_bytes(decoder, rows->level_price_scale, DECIMAL_SCALE_MAX);
    case SEGMENT_COLUMN_LEVEL_QUANTITY_SCALE:
        return decode_level_bytes(decoder, rows->level_quantity_scale, DECIMAL_SCALE_MAX);
    default:
        return false;
    }
}

static bool special_is_level(uint32_t id)
{
    return id >= SEGMENT_COLUMN_LEVEL_COUNT && id <= SEGMENT_COLUMN_LEVEL_QUANTITY_SCALE;
}

static enum column_result decode_special(struct segment_decoder *decoder,
                                         const struct layout_block *header,
                                         const struct segment_column *column,
                                         struct wire_reader *in)
{
    uint32_t count = decoder->rows.count;
    if (special_is_level(column->id)) {
        if (!decoder->schema->has_levels)
            return COLUMN_BAD;
        if (decoder->unknown_levels)
            return COLUMN_GOOD;
        if (column->id != SEGMENT_COLUMN_LEVEL_COUNT)
            count = decoder->rows.level_count;
    }
    if (count == 0 || column->presence != SEGMENT_PRESENCE_ALL)
        return COLUMN_BAD;
    enum column_result result = decode_values(decoder, column, in, count);
    if (result != COLUMN_GOOD)
        return result;
    return decode_special_values(decoder, header, column) ? COLUMN_GOOD : COLUMN_BAD;
}

// ---- the block ----

// What a block must have for its rows to be whole.
struct decode_seen {
    bool symbol;
    bool tape;
    bool row;
    uint32_t levels; // bit per level column
    size_t text_used;
};

static void decode_note(struct decode_seen *seen, uint32_t id)
{
    seen->symbol = seen->symbol || id == SEGMENT_COLUMN_SYMBOL;
    seen->tape = seen->tape || id == SEGMENT_COLUMN_TAPE;
    seen->row = seen->row || id == SEGMENT_COLUMN_ROW;
    if (special_is_level(id))
        seen->levels |= 1u << (id - SEGMENT_COLUMN_LEVEL_COUNT);
}

static void decode_forget_levels(struct segment_decoder *decoder)
{
    struct rows *rows = &decoder->rows;
    decoder->unknown_levels = true;
    memset(rows->level_first, 0, (rows->count + 1) * sizeof *rows->level_first);
    rows->level_count = 0;
}

// A codec or column of a newer version costs that column only, unless the rows hang on it.
static enum segment_error decode_unknown(struct segment_decoder *decoder, uint32_t id)
{
    if (id < (uint32_t)decoder->schema->column_count) {
        decoder->unknown_columns |= 1ull << id;
        return SEGMENT_GOOD;
    }
    if (id >= SEGMENT_COLUMN_TEXT_BYTES) {
        uint32_t c = id - SEGMENT_COLUMN_TEXT_BYTES;
        uint32_t slot = decoder->schema->columns[c].text;
        decoder->unknown_columns |= 1ull << c;
        memset(decoder->rows.text_length[slot], 0,
               decoder->rows.count * sizeof *decoder->rows.text_length[slot]);
        for (uint32_t r = 0; r < decoder->rows.count; r++)
            decoder->rows.present[r] &= ~(1ull << c);
        return SEGMENT_GOOD;
    }
    if (special_is_level(id)) {
        decode_forget_levels(decoder);
        return SEGMENT_GOOD;
    }
    return SEGMENT_NEWER;
}

static enum segment_error decode_one(struct segment_decoder *decoder,
                                     const struct layout_block *header, uint64_t wanted,
                                     const struct segment_column *column, struct decode_seen *seen,
                                     struct wire_reader *in)
{
    uint32_t id = column->id;
    enum column_result result = COLUMN_GOOD;
    decode_note(seen, id);
    if (id < (uint32_t)decoder->schema->column_count) {
        if (wanted >> id & 1)
            result = decode_column(decoder, column, in);
    } else if (id >= SEGMENT_COLUMN_TEXT_BYTES &&
               id < SEGMENT_COLUMN_TEXT_BYTES + EVENT_COLUMNS_MAX) {
        uint32_t c = id - SEGMENT_COLUMN_TEXT_BYTES;
        if (c < (uint32_t)decoder->schema->column_count && wanted >> c & 1 &&
            !(decoder->unknown_columns >> c & 1))
            result = decode_text_bytes(decoder, column, (int)c, &seen->text_used, in);
    } else if (special_is_level(id)) {
        if (wanted & SEGMENT_COLUMNS_LEVELS)
            result = decode_special(decoder, header, column, in);
    } else if (id == SEGMENT_COLUMN_SYMBOL || id == SEGMENT_COLUMN_TAPE ||
               id == SEGMENT_COLUMN_ROW) {
        result = decode_special(decoder, header, column, in);
    }
    if (result == COLUMN_UNKNOWN_CODEC)
        return decode_unknown(decoder, id);
    return result == COLUMN_GOOD ? SEGMENT_GOOD : SEGMENT_BAD_CONTENT;
}

static bool decode_whole(const struct segment_decoder *decoder, const struct layout_block *header,
                         const struct decode_seen *seen)
{
    bool shared = (header->flags & LAYOUT_BLOCK_SHARED) != 0;
    bool provenance = decoder->schema->identity_count == 0;
    // Count, price, quantity and side; without levels the count alone.
    uint32_t levels = header->levels != 0 ? 15 : 1;
    return shared == seen->symbol && provenance == seen->tape && provenance == seen->row &&
           (!decoder->schema->has_levels || (seen->levels & 15) == levels) &&
           (decoder->schema->has_levels || header->levels == 0);
}

enum segment_error segment_decode(struct segment_decoder *decoder, const uint8_t *bytes,
                                  size_t size, const struct layout_block *header, uint64_t columns)
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
    struct decode_seen seen = {0};
    decoder_zero(decoder, header->rows);
    for (uint32_t r = 0; r < header->rows; r++)
        decoder->rows.symbol[r] = decoder->name_lengths[0] != 0 ? header->symbol : SYMBOL_NONE;
    for (uint32_t c = 0; c < decoder->column_count; c++) {
        const struct segment_column *column = &decoder->columns[c];
        struct wire_reader part = wire_reader_of(wire_get(&in, column->bytes), column->bytes);
        enum segment_error error = decode_one(decoder, header, columns, column, &seen, &part);
        if (error != SEGMENT_GOOD)
            return error;
    }
    if (!decode_whole(decoder, header, &seen) || !decode_place_texts(decoder))
        return SEGMENT_BAD_CONTENT;
    return SEGMENT_GOOD;
}
