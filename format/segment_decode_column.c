// SPDX-License-Identifier: Apache-2.0
//
// One column of a block. A modelled column refers to others, which are read before it, wanted or
// not; a column that in the end refers to itself is damage.
#include "format/segment_decode_parts.h"

#include "format/ensure.h"

static enum segment_error decode_needed(struct segment_decoder *decoder,
                                        const struct layout_block *header, unsigned of,
                                        unsigned id);

static bool special_is_level(uint32_t id)
{
    return id >= SEGMENT_COLUMN_LEVEL_COUNT && id <= SEGMENT_COLUMN_LEVEL_QUANTITY_SCALE;
}

// A value a level, not a row.
static bool special_of_levels(uint32_t id)
{
    return special_is_level(id) && id != SEGMENT_COLUMN_LEVEL_COUNT;
}

// ---- which rows ----

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

// ---- values ----

static void decode_lineage(struct segment_decoder *decoder, enum model_lineage lineage)
{
    uint32_t *out = decoder->before + (lineage == MODEL_RANK ? SEGMENT_BLOCK_LEVELS_MAX : 0);
    if (decoder->frame.before[lineage])
        return;
    model_lineage(&decoder->frame, lineage, decoder->sides, out);
    decoder->frame.before[lineage] = out;
}

// What a modelled column `id` needs. Only columns with a value in every row can be referred to, and
// levels refer to levels, others to others.
static enum segment_error decode_needs(struct segment_decoder *decoder,
                                       const struct layout_block *header, unsigned id,
                                       const struct wire_reader *in)
{
    struct modelled_needs needs;
    if (!modelled_needs(in->at, wire_left(in), &needs))
        return SEGMENT_BAD_CONTENT;
    enum segment_error error = SEGMENT_GOOD;
    for (unsigned n = 0; n < needs.count && error == SEGMENT_GOOD; n++)
        error = decode_needed(decoder, header, id, needs.columns[n]);
    if (error != SEGMENT_GOOD || needs.lineage == MODEL_SEQUENCE)
        return error;
    if (!special_of_levels(id) || !decoder->frame.level_first)
        return SEGMENT_BAD_CONTENT;
    if (needs.lineage == MODEL_LIST)
        error = decode_needed(decoder, header, id, SEGMENT_COLUMN_LEVEL_SIDE);
    if (error == SEGMENT_GOOD)
        decode_lineage(decoder, needs.lineage);
    return error;
}

// All of `in` is `count` values, of which the first `needed` count.
static enum segment_error decode_first(struct segment_decoder *decoder,
                                       const struct layout_block *header,
                                       const struct segment_column *column, struct wire_reader *in,
                                       int64_t *values, uint32_t count, uint32_t needed)
{
    if (column->codec == COLUMN_CODEC_MODELLED) {
        enum segment_error error = decode_needs(decoder, header, column->id, in);
        if (error != SEGMENT_GOOD)
            return error;
    }
    size_t size = wire_left(in);
    switch (column_decode_first(decoder->codec, &decoder->frame, column->codec, wire_get(in, size),
                                size, values, count, needed)) {
    case COLUMN_GOOD:
        return SEGMENT_GOOD;
    case COLUMN_UNKNOWN_CODEC:
        return SEGMENT_NEWER;
    default:
        return SEGMENT_BAD_CONTENT;
    }
}

static enum segment_error decode_values(struct segment_decoder *decoder,
                                        const struct layout_block *header,
                                        const struct segment_column *column,
                                        struct wire_reader *in, int64_t *values, uint32_t count)
{
    return decode_first(decoder, header, column, in, values, count, count);
}

// ---- columns of the channel ----

static bool spread_lengths(struct segment_decoder *decoder, const struct segment_column *column,
                           const uint8_t *bits)
{
    struct rows *rows = &decoder->rows;
    uint32_t slot = rows->schema->columns[column->id].text;
    uint32_t v = 0;
    for (uint32_t r = 0; r < rows->count; r++) {
        if (bits && !bits[r])
            continue;
        if ((uint64_t)decoder->values[v] > EVENT_TEXT_BYTES_MAX)
            return false;
        rows->text_length[slot][r] = (uint32_t)decoder->values[v++];
    }
    return true;
}

static void spread_values(struct segment_decoder *decoder, const struct segment_column *column)
{
    struct rows *rows = &decoder->rows;
    const uint8_t *bits = decoder->bits;
    int64_t *cells = rows->value[column->id];
    uint8_t *scales = rows->scale[column->id];
    uint32_t v = 0;
    decoder->values[rows->count] = 0; // read, not used, behind the last
    for (uint32_t r = 0; r < rows->count; r++) {
        cells[r] = bits[r] ? decoder->values[v] : 0;
        v += bits[r];
    }
    for (uint32_t r = 0; r < rows->count && scales; r++)
        scales[r] = bits[r] ? column->scale : 0;
}

static void mark_present(struct segment_decoder *decoder, unsigned id)
{
    for (uint32_t r = 0; r < decoder->rows.count; r++)
        decoder->rows.present[r] |= (uint64_t)decoder->bits[r] << id;
}

// A value in every row: straight to its place.
static enum segment_error decode_dense(struct segment_decoder *decoder,
                                       const struct layout_block *header,
                                       const struct segment_column *column, struct wire_reader *in)
{
    struct rows *rows = &decoder->rows;
    bool text = rows->schema->columns[column->id].type == COLUMN_TEXT;
    int64_t *values = text ? decoder->values : rows->value[column->id];
    uint32_t needed = text ? rows->count : decoder->needed;
    enum segment_error error =
        decode_first(decoder, header, column, in, values, rows->count, needed);
    if (error != SEGMENT_GOOD)
        return error;
    if (text && !spread_lengths(decoder, column, NULL))
        return SEGMENT_BAD_CONTENT;
    if (rows->scale[column->id])
        memset(rows->scale[column->id], column->scale, rows->count);
    if (!text)
        decoder->frame.columns[column->id] = values;
    decoder->filled |= 1ull << column->id;
    decoder->in_all_rows |= 1ull << column->id & decoder->wanted;
    return SEGMENT_GOOD;
}

static enum segment_error decode_own(struct segment_decoder *decoder,
                                     const struct layout_block *header,
                                     const struct segment_column *column, struct wire_reader *in)
{
    if (column->presence == SEGMENT_PRESENCE_ALL)
        return decode_dense(decoder, header, column, in);
    uint32_t count = decode_presence(decoder, column, in);
    if (count == 0)
        return SEGMENT_BAD_CONTENT;
    bool text = decoder->schema->columns[column->id].type == COLUMN_TEXT;
    // A model that refers to others is impossible here: they would have other rows.
    if (column->codec == COLUMN_CODEC_MODELLED) {
        struct modelled_needs needs;
        if (!modelled_needs(in->at, wire_left(in), &needs) || needs.count != 0 ||
            needs.lineage != MODEL_SEQUENCE)
            return SEGMENT_BAD_CONTENT;
    }
    enum segment_error error =
        decode_values(decoder, header, column, in, decoder->values, count);
    if (error != SEGMENT_GOOD)
        return error;
    if (!text)
        spread_values(decoder, column);
    else if (!spread_lengths(decoder, column, decoder->bits))
        return SEGMENT_BAD_CONTENT;
    if (decoder->wanted >> column->id & 1)
        mark_present(decoder, column->id);
    decoder->filled |= 1ull << column->id;
    return SEGMENT_GOOD;
}

// ---- texts ----

// The bytes of text column `c`; its lengths are known.
static enum segment_error decode_text_bytes(struct segment_decoder *decoder,
                                            const struct segment_column *column, int c,
                                            struct wire_reader *in)
{
    const struct rows *rows = &decoder->rows;
    if (rows->schema->columns[c].type != COLUMN_TEXT)
        return SEGMENT_BAD_CONTENT;
    uint32_t slot = rows->schema->columns[c].text;
    uint64_t size = 0;
    for (uint32_t r = 0; r < rows->count; r++)
        size += rows->text_length[slot][r];
    if (size > rows->limits.text_bytes - decoder->text_used)
        return SEGMENT_BAD_CONTENT;
    uint8_t *out = decoder->text + decoder->text_used;
    size_t stored = wire_left(in);
    if (size == 0)
        return stored == 0 ? SEGMENT_GOOD : SEGMENT_BAD_CONTENT;
    decoder->text_of[slot] = out;
    decoder->text_used += (size_t)size;
    enum column_result result =
        column_decode_bytes(decoder->codec, column->codec, wire_get(in, stored), stored, out,
                            (size_t)size);
    if (result == COLUMN_UNKNOWN_CODEC)
        return SEGMENT_NEWER;
    return result == COLUMN_GOOD ? SEGMENT_GOOD : SEGMENT_BAD_CONTENT;
}

bool decode_place_texts(struct segment_decoder *decoder)
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
        uint64_t number = (uint64_t)decoder->symbols[r];
        if (number >= header->symbols || number < last)
            return false;
        last = (uint32_t)number;
        bool named = decoder->name_lengths[number] != 0;
        rows->symbol[r] = named ? header->symbol + (uint32_t)number : SYMBOL_NONE;
    }
    decoder->frame.columns[SEGMENT_COLUMN_SYMBOL] = decoder->symbols;
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
    decoder->frame.levels = rows->level_count;
    decoder->frame.level_first = rows->level_first;
    return sum == header->levels;
}

static bool decode_level_bytes(struct segment_decoder *decoder, const int64_t *values,
                               uint8_t *out, uint8_t max)
{
    uint64_t bad = 0;
    for (uint32_t l = 0; l < decoder->rows.level_count; l++) {
        bad |= (uint64_t)((uint64_t)values[l] > max);
        out[l] = (uint8_t)values[l];
    }
    return bad == 0;
}

// Where the values of a special column go.
static int64_t *special_values(struct segment_decoder *decoder, unsigned id)
{
    switch (id) {
    case SEGMENT_COLUMN_SYMBOL:
        return decoder->symbols;
    case SEGMENT_COLUMN_ROW:
        return (int64_t *)decoder->row;
    case SEGMENT_COLUMN_LEVEL_PRICE:
        return decoder->rows.level_price;
    case SEGMENT_COLUMN_LEVEL_QUANTITY:
        return decoder->rows.level_quantity;
    case SEGMENT_COLUMN_LEVEL_SIDE:
        return decoder->sides;
    default:
        return decoder->values;
    }
}

static bool decode_special_values(struct segment_decoder *decoder,
                                  const struct layout_block *header,
                                  const struct segment_column *column, const int64_t *values)
{
    struct rows *rows = &decoder->rows;
    switch (column->id) {
    case SEGMENT_COLUMN_SYMBOL:
        return decode_symbols(decoder, header);
    case SEGMENT_COLUMN_TAPE:
        return decode_tape_numbers(decoder);
    case SEGMENT_COLUMN_LEVEL_COUNT:
        return decode_level_counts(decoder, header);
    case SEGMENT_COLUMN_LEVEL_PRICE:
        memset(rows->level_price_scale, column->scale, rows->level_count);
        decoder->frame.columns[column->id] = values;
        return true;
    case SEGMENT_COLUMN_LEVEL_QUANTITY:
        memset(rows->level_quantity_scale, column->scale, rows->level_count);
        decoder->frame.columns[column->id] = values;
        return true;
    case SEGMENT_COLUMN_LEVEL_SIDE:
        decoder->frame.columns[column->id] = values;
        return decode_level_bytes(decoder, values, rows->level_side, 1);
    case SEGMENT_COLUMN_LEVEL_PRICE_SCALE:
        return decode_level_bytes(decoder, values, rows->level_price_scale, DECIMAL_SCALE_MAX);
    case SEGMENT_COLUMN_LEVEL_QUANTITY_SCALE:
        return decode_level_bytes(decoder, values, rows->level_quantity_scale, DECIMAL_SCALE_MAX);
    default:
        return column->id == SEGMENT_COLUMN_ROW;
    }
}

static enum segment_error decode_special(struct segment_decoder *decoder,
                                         const struct layout_block *header,
                                         const struct segment_column *column,
                                         struct wire_reader *in)
{
    uint32_t count = decoder->rows.count;
    if (special_is_level(column->id)) {
        if (!decoder->schema->has_levels)
            return SEGMENT_BAD_CONTENT;
        if (decoder->unknown_levels)
            return SEGMENT_GOOD;
        if (special_of_levels(column->id))
            count = decoder->rows.level_count;
    }
    if (count == 0 || column->presence != SEGMENT_PRESENCE_ALL)
        return SEGMENT_BAD_CONTENT;
    int64_t *values = special_values(decoder, column->id);
    enum segment_error error = decode_values(decoder, header, column, in, values, count);
    if (error != SEGMENT_GOOD)
        return error;
    return decode_special_values(decoder, header, column, values) ? SEGMENT_GOOD
                                                                  : SEGMENT_BAD_CONTENT;
}

// ---- any column ----

static void decode_forget_levels(struct segment_decoder *decoder)
{
    struct rows *rows = &decoder->rows;
    decoder->unknown_levels = true;
    memset(rows->level_first, 0, (rows->count + 1) * sizeof *rows->level_first);
    rows->level_count = 0;
}

// A codec or column of a newer version costs that column only, and those that refer to it, unless
// the rows hang on it.
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
        decoder->in_all_rows &= ~(1ull << c);
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

static enum segment_error decode_any(struct segment_decoder *decoder,
                                     const struct layout_block *header,
                                     const struct segment_column *column, struct wire_reader *in)
{
    uint32_t id = column->id;
    uint32_t columns = decoder->schema->column_count;
    if (id < columns)
        return decode_own(decoder, header, column, in);
    if (id >= SEGMENT_COLUMN_TEXT_BYTES && id - SEGMENT_COLUMN_TEXT_BYTES < columns) {
        uint32_t c = id - SEGMENT_COLUMN_TEXT_BYTES;
        if (!(decoder->wanted >> c & 1) || decoder->unknown_columns >> c & 1)
            return SEGMENT_GOOD;
        return decode_text_bytes(decoder, column, (int)c, in);
    }
    if (special_is_level(id) || id == SEGMENT_COLUMN_SYMBOL || id == SEGMENT_COLUMN_TAPE ||
        id == SEGMENT_COLUMN_ROW)
        return decode_special(decoder, header, column, in);
    return SEGMENT_GOOD;
}

// Reads column `c` of the directory, wanted or not.
static enum segment_error decode_now(struct segment_decoder *decoder,
                                     const struct layout_block *header, uint32_t c)
{
    const struct segment_column *column = &decoder->columns[c];
    struct wire_reader in = wire_reader_of(decoder->column_bytes[c], column->bytes);
    decoder->column_state[c] = DECODE_BEGUN;
    enum segment_error error = decode_any(decoder, header, column, &in);
    if (error == SEGMENT_NEWER)
        error = decode_unknown(decoder, column->id);
    // One that the rows hang on stays to be read: its turn ends the block, whoever asked before.
    decoder->column_state[c] = error == SEGMENT_GOOD ? DECODE_DONE : DECODE_WAITING;
    return error;
}

// Others, of a newer version, may be there: what refers to them cannot be read.
static bool decode_knows(const struct segment_decoder *decoder, unsigned id)
{
    return id < (unsigned)decoder->schema->column_count ||
           (id >= EVENT_COLUMNS_MAX && id <= SEGMENT_COLUMN_LEVEL_QUANTITY_SCALE);
}

// Column `id`, which column `of` refers to. SEGMENT_NEWER: it cannot be read, so `of` cannot.
static enum segment_error decode_needed(struct segment_decoder *decoder,
                                        const struct layout_block *header, unsigned of,
                                        unsigned id)
{
    uint32_t c = decoder->column_of[id];
    if (c == SEGMENT_DIRECTORY_MAX)
        return SEGMENT_BAD_CONTENT;
    if (!decode_knows(decoder, id))
        return SEGMENT_NEWER;
    if (decoder->column_state[c] == DECODE_BEGUN || special_of_levels(of) != special_of_levels(id))
        return SEGMENT_BAD_CONTENT;
    if (decoder->column_state[c] == DECODE_WAITING) {
        enum segment_error error = decode_now(decoder, header, c);
        if (error != SEGMENT_GOOD)
            return error;
    }
    bool unknown = id < EVENT_COLUMNS_MAX ? decoder->unknown_columns >> id & 1
                                          : special_is_level(id) && decoder->unknown_levels;
    if (unknown)
        return SEGMENT_NEWER;
    return decoder->frame.columns[id] ? SEGMENT_GOOD : SEGMENT_BAD_CONTENT;
}

enum segment_error decode_column(struct segment_decoder *decoder,
                                 const struct layout_block *header, uint32_t c)
{
    uint32_t id = decoder->columns[c].id;
    bool unwanted = id < EVENT_COLUMNS_MAX ? !(decoder->wanted >> id & 1)
                                           : special_is_level(id) &&
                                                 !(decoder->wanted & SEGMENT_COLUMNS_LEVELS);
    ensure(c < decoder->column_count);
    uint32_t of = id < EVENT_COLUMNS_MAX ? id : id - SEGMENT_COLUMN_TEXT_BYTES; // levels: > 63
    unwanted = unwanted || (of < EVENT_COLUMNS_MAX && decoder->later >> of & 1);
    if (unwanted || decoder->column_state[c] == DECODE_DONE)
        return SEGMENT_GOOD;
    return decode_now(decoder, header, c);
}
