// SPDX-License-Identifier: Apache-2.0
//
// Rows → batch. The hot path of the daemon: two or three passes over each column, no allocation, no
// check of the output's end inside (tape_batch_bytes_max() is compared once).
//
// Payload: symbol name lengths (u8 each), names; where several channels are inside, the order
// between them; then for each channel, in order of its number, a section (struct tape_section), the
// symbol stream, the columns, the levels. docs/format.md "Batch payload".
#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/tape.h"
#include "format/tape_section.h"
#include "format/tape_stream.h"

enum {
    // Head of a section, and per column: number, form, presence, kinds and bases of its streams.
    ENCODE_SECTION_BYTES_MAX = 256,
    ENCODE_COLUMN_BYTES_MAX = 64,
};

struct tape_encoder {
    uint32_t symbols_max;
    uint32_t stamp;       // entries of `map` with another stamp are of earlier batches
    uint32_t used_count;
    uint64_t *map;        // [symbols_max] stamp << 32 | number in the batch
    uint32_t *used;       // [TAPE_BATCH_SYMBOLS_MAX] the batch's symbols
    int64_t *values;      // [TAPE_BATCH_ROWS_MAX] one column gathered
    uint64_t *scratch;    // [TAPE_BATCH_ROWS_MAX]
    uint8_t *bytes;       // [TAPE_BATCH_ROWS_MAX]
};

// The rows of one channel that go into the batch.
struct encode_part {
    const struct rows *rows;
    uint32_t first;
    uint32_t count;
    uint32_t level_first;
    uint32_t level_count;
    uint64_t all; // bit c: column c is present in every row
    uint64_t any; // bit c: in some row
};

_Static_assert((int)TAPE_BATCH_LEVELS_MAX <= (int)TAPE_BATCH_ROWS_MAX, "scratch holds levels too");

static size_t encoder_aligned(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

size_t tape_encoder_bytes(uint32_t symbols_max)
{
    return encoder_aligned(sizeof(struct tape_encoder)) +
           encoder_aligned((size_t)symbols_max * sizeof(uint64_t)) +
           encoder_aligned((size_t)TAPE_BATCH_SYMBOLS_MAX * sizeof(uint32_t)) +
           2 * encoder_aligned((size_t)TAPE_BATCH_ROWS_MAX * sizeof(uint64_t)) +
           encoder_aligned(TAPE_BATCH_ROWS_MAX);
}

struct tape_encoder *tape_encoder_init(void *memory, uint32_t symbols_max)
{
    ensure(((uintptr_t)memory & 63) == 0);
    uint8_t *at = memory;
    struct tape_encoder *encoder = memory;
    *encoder = (struct tape_encoder){.symbols_max = symbols_max};
    at += encoder_aligned(sizeof *encoder);
    encoder->map = (uint64_t *)(void *)at;
    memset(encoder->map, 0, (size_t)symbols_max * sizeof(uint64_t));
    at += encoder_aligned((size_t)symbols_max * sizeof(uint64_t));
    encoder->used = (uint32_t *)(void *)at;
    at += encoder_aligned((size_t)TAPE_BATCH_SYMBOLS_MAX * sizeof(uint32_t));
    encoder->values = (int64_t *)(void *)at;
    at += encoder_aligned((size_t)TAPE_BATCH_ROWS_MAX * sizeof(uint64_t));
    encoder->scratch = (uint64_t *)(void *)at;
    at += encoder_aligned((size_t)TAPE_BATCH_ROWS_MAX * sizeof(uint64_t));
    encoder->bytes = at;
    at += encoder_aligned(TAPE_BATCH_ROWS_MAX);
    ensure((size_t)(at - (uint8_t *)memory) == tape_encoder_bytes(symbols_max));
    return encoder;
}

// All but the names.
static size_t encode_bytes_max(const struct tape_batch_input *input)
{
    size_t bytes = LAYOUT_HEADER_BYTES + TAPE_STREAM_SLACK + 64;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct rows *rows = input->rows[c];
        if (!rows || rows->count == 0)
            continue;
        size_t columns = rows->schema->column_count;
        // A row: order, symbol, level count, and a value, scale and presence a column.
        size_t row = 1 + 8 + 8 + columns * 10;
        bytes += ENCODE_SECTION_BYTES_MAX + columns * ENCODE_COLUMN_BYTES_MAX;
        bytes += (size_t)rows->count * row;
        bytes += (size_t)rows->level_count * (2 * 9 + 1) + rows->text_size;
    }
    return bytes < LAYOUT_SECTOR ? LAYOUT_SECTOR : bytes;
}

size_t tape_batch_bytes_max(const struct tape_batch_input *input)
{
    size_t symbols = input->count;
    if (symbols > TAPE_BATCH_SYMBOLS_MAX)
        symbols = TAPE_BATCH_SYMBOLS_MAX;
    size_t bytes = encode_bytes_max(input) + symbols * (1 + TAPE_SYMBOL_BYTES_MAX);
    return (bytes + LAYOUT_SECTOR - 1) & ~(size_t)(LAYOUT_SECTOR - 1);
}

// ---- what is to be encoded ----

// First row whose arrival number is `from` or later.
static uint32_t part_first(const uint32_t *arrival, uint32_t count, uint32_t from)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (arrival[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct encode_part part_of(const struct tape_batch_input *input, int channel, uint32_t from)
{
    struct encode_part part = {.rows = input->rows[channel]};
    if (!part.rows || part.rows->count == 0)
        return part;
    ensure(part.rows->schema->channel == (enum channel)channel);
    if (from != 0)
        part.first = part_first(input->arrival[channel], part.rows->count, from);
    part.count = part.rows->count - part.first;
    if (part.rows->schema->has_levels) {
        part.level_first = part.rows->level_first[part.first];
        part.level_count = part.rows->level_count - part.level_first;
    }
    part.all = UINT64_MAX;
    for (uint32_t r = part.first; r < part.rows->count; r++) {
        part.all &= part.rows->present[r];
        part.any |= part.rows->present[r];
    }
    return part;
}

// ---- header fields ----

static void encode_widen(int64_t *min, int64_t *max, int64_t value)
{
    *min = value < *min ? value : *min;
    *max = value > *max ? value : *max;
}

static void encode_times(const struct encode_part *part, struct layout_batch *header)
{
    const struct rows *rows = part->rows;
    int first_time = rows->schema->times[0];
    const int64_t *times = part->all >> first_time & 1 ? rows->value[first_time] : NULL;
    for (uint32_t r = part->first; r < rows->count; r++) {
        int64_t time = times ? times[r] : rows_time_ns(rows, r);
        encode_widen(&header->time_min, &header->time_max, time);
    }
    if (!(part->any >> COLUMN_RECEIVE_TIME & 1))
        return;
    const int64_t *receive = rows->value[COLUMN_RECEIVE_TIME];
    for (uint32_t r = part->first; r < rows->count; r++) {
        if (rows->present[r] >> COLUMN_RECEIVE_TIME & 1)
            encode_widen(&header->receive_min, &header->receive_max, receive[r]);
    }
}

// ---- symbols ----

// Numbers the symbols of the batch in order of first use. False: too many.
static bool encode_number_symbols(struct tape_encoder *encoder, const struct encode_part *part)
{
    uint64_t stamp = (uint64_t)encoder->stamp << 32;
    for (uint32_t r = part->first; part->count != 0 && r < part->rows->count; r++) {
        uint32_t symbol = part->rows->symbol[r];
        if (symbol == SYMBOL_NONE)
            continue;
        ensure(symbol < encoder->symbols_max);
        if (encoder->map[symbol] >> 32 == encoder->stamp)
            continue;
        if (encoder->used_count == TAPE_BATCH_SYMBOLS_MAX)
            return false;
        encoder->used[encoder->used_count++] = symbol;
        encoder->map[symbol] = stamp | encoder->used_count;
    }
    return true;
}

static void encode_next_stamp(struct tape_encoder *encoder)
{
    encoder->used_count = 0;
    if (++encoder->stamp != 0)
        return;
    memset(encoder->map, 0, (size_t)encoder->symbols_max * sizeof(uint64_t));
    encoder->stamp = 1;
}

// At most; exactly only where that decides whether `room` suffices.
static size_t encode_names_bytes(const struct tape_encoder *encoder,
                                 const struct tape_batch_input *input, size_t room)
{
    size_t bytes = (size_t)encoder->used_count * (1 + TAPE_SYMBOL_BYTES_MAX);
    if (encode_bytes_max(input) + bytes <= room)
        return bytes;
    bytes = encoder->used_count;
    for (uint32_t s = 0; s < encoder->used_count; s++)
        bytes += input->symbol(input->symbol_context, encoder->used[s]).size;
    return bytes;
}

static uint8_t *encode_symbol_names(const struct tape_encoder *encoder,
                                    const struct tape_batch_input *input, uint8_t *out)
{
    uint8_t *lengths = out;
    out += encoder->used_count;
    for (uint32_t s = 0; s < encoder->used_count; s++) {
        struct event_text name = input->symbol(input->symbol_context, encoder->used[s]);
        ensure(name.size > 0 && name.size <= TAPE_SYMBOL_BYTES_MAX);
        lengths[s] = (uint8_t)name.size;
        out = wire_put(out, name.bytes, name.size);
    }
    return out;
}

static uint8_t *encode_symbols(struct tape_encoder *encoder, const struct encode_part *part,
                               uint8_t *out)
{
    const uint32_t *symbols = part->rows->symbol + part->first;
    for (uint32_t r = 0; r < part->count; r++) {
        encoder->values[r] =
            symbols[r] == SYMBOL_NONE ? 0 : (int64_t)(uint32_t)encoder->map[symbols[r]];
    }
    return tape_stream_put(out, encoder->values, part->count, false, NULL);
}

// ---- order between channels ----

static uint8_t *encode_order(struct tape_encoder *encoder, const struct tape_batch_input *input,
                             const struct encode_part *parts, uint32_t from, uint8_t *out)
{
    uint32_t count = input->count - from;
    unsigned sections = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct encode_part *part = &parts[c];
        for (uint32_t r = part->first; part->count != 0 && r < part->rows->count; r++) {
            ensure(input->arrival[c][r] - from < count);
            encoder->bytes[input->arrival[c][r] - from] = (uint8_t)sections;
        }
        sections += part->count != 0;
    }
    unsigned bits = tape_order_bits(sections);
    if (bits == 0)
        return out;
    uint32_t per_byte = 8 / bits;
    for (uint32_t i = 0; i < count; i += per_byte) {
        unsigned byte = 0;
        for (uint32_t k = 0; k < per_byte && i + k < count; k++)
            byte |= (unsigned)encoder->bytes[i + k] << (k * bits);
        *out++ = (uint8_t)byte;
    }
    return out;
}

// ---- columns ----

static uint8_t *encode_presence(const struct encode_part *part, int c, uint8_t *out)
{
    const uint64_t *present = part->rows->present + part->first;
    for (uint32_t r = 0; r < part->count; r += 8) {
        unsigned byte = 0;
        for (uint32_t bit = 0; bit < 8 && r + bit < part->count; bit++)
            byte |= (unsigned)(present[r + bit] >> c & 1) << bit;
        *out++ = (uint8_t)byte;
    }
    return out;
}

// The present values of a column side by side; scales into encoder->bytes.
static uint32_t encode_gather(struct tape_encoder *encoder, const struct encode_part *part, int c)
{
    const struct rows *rows = part->rows;
    uint32_t count = 0;
    for (uint32_t r = part->first; r < rows->count; r++) {
        if (!(rows->present[r] >> c & 1))
            continue;
        encoder->values[count] = rows->value[c][r];
        encoder->bytes[count] = rows->scale[c] ? rows->scale[c][r] : 0;
        count++;
    }
    return count;
}

static uint8_t *encode_values(struct tape_encoder *encoder, const struct encode_part *part, int c,
                              bool every, uint8_t *out)
{
    const struct rows *rows = part->rows;
    const int64_t *values = rows->value[c] + part->first;
    const uint8_t *scales = rows->scale[c] ? rows->scale[c] + part->first : NULL;
    uint32_t count = part->count;
    if (!every) {
        count = encode_gather(encoder, part, c);
        values = encoder->values;
        scales = scales ? encoder->bytes : NULL;
    }
    if (scales)
        out = tape_scales_put(out, scales, count);
    bool is_time = rows->schema->columns[c].type == COLUMN_TIME;
    return tape_stream_put(out, values, count, is_time, encoder->scratch);
}

static bool encode_text_equal(const struct rows *rows, uint32_t slot, uint32_t a, uint32_t b)
{
    uint32_t length = rows->text_length[slot][a];
    return length == rows->text_length[slot][b] &&
           memcmp(rows->text + rows->text_offset[slot][a], rows->text + rows->text_offset[slot][b],
                  length) == 0;
}

// Lengths, then either one text that all rows share or all of them.
static uint8_t *encode_texts(struct tape_encoder *encoder, const struct encode_part *part, int c,
                             uint8_t *out)
{
    const struct rows *rows = part->rows;
    uint32_t slot = rows->schema->columns[c].text;
    uint32_t count = 0;
    uint32_t sample = 0;
    bool same = true;
    for (uint32_t r = part->first; r < rows->count; r++) {
        if (!(rows->present[r] >> c & 1))
            continue;
        sample = count == 0 ? r : sample;
        same = same && encode_text_equal(rows, slot, sample, r);
        encoder->values[count++] = rows->text_length[slot][r];
    }
    out = tape_stream_put(out, encoder->values, count, false, NULL);
    *out++ = same ? TAPE_TEXT_SAME : TAPE_TEXT_EACH;
    for (uint32_t r = part->first; r < rows->count; r++) {
        if (same ? r == sample : (rows->present[r] >> c & 1) != 0)
            out = wire_put(out, rows->text + rows->text_offset[slot][r],
                           rows->text_length[slot][r]);
    }
    return out;
}

static uint8_t *encode_column(struct tape_encoder *encoder, const struct encode_part *part, int c,
                              uint8_t *out)
{
    bool every = (part->all >> c & 1) != 0;
    enum column_type type = part->rows->schema->columns[c].type;
    unsigned form = every ? 0 : TAPE_COLUMN_BITMAP;
    if (type == COLUMN_DECIMAL)
        form |= TAPE_COLUMN_DECIMAL;
    if (type == COLUMN_TEXT)
        form |= TAPE_COLUMN_TEXT;
    *out++ = (uint8_t)c;
    *out++ = (uint8_t)form;
    if (!every)
        out = encode_presence(part, c, out);
    if (type == COLUMN_TEXT)
        return encode_texts(encoder, part, c, out);
    return encode_values(encoder, part, c, every, out);
}

// ---- levels ----

static uint8_t *encode_levels(struct tape_encoder *encoder, const struct encode_part *part,
                              uint8_t *out)
{
    const struct rows *rows = part->rows;
    for (uint32_t r = 0; r < part->count; r++) {
        const uint32_t *first = rows->level_first + part->first + r;
        encoder->values[r] = (int64_t)first[1] - first[0];
    }
    out = tape_stream_put(out, encoder->values, part->count, false, NULL);
    uint32_t from = part->level_first;
    uint32_t count = part->level_count;
    if (count == 0)
        return out;
    out = tape_scales_put(out, rows->level_price_scale + from, count);
    out = tape_stream_put(out, rows->level_price + from, count, false, NULL);
    out = tape_scales_put(out, rows->level_quantity_scale + from, count);
    out = tape_stream_put(out, rows->level_quantity + from, count, false, NULL);
    return tape_bits_put(out, rows->level_side + from, count);
}

// ---- the batch ----

static uint32_t encode_text_bytes(const struct encode_part *part)
{
    const struct rows *rows = part->rows;
    if (part->first == 0)
        return rows->text_size;
    uint32_t bytes = 0;
    for (int slot = 0; slot < (int)EVENT_TEXTS_MAX && rows->text_length[slot]; slot++) {
        for (uint32_t r = part->first; r < rows->count; r++)
            bytes += rows->text_length[slot][r];
    }
    return bytes;
}

static uint8_t *encode_section(struct tape_encoder *encoder, const struct encode_part *part,
                               uint8_t *out)
{
    const struct channel_schema *schema = part->rows->schema;
    uint8_t *start = out;
    struct tape_section section = {
        .channel = (uint8_t)schema->channel,
        .columns = (uint8_t)__builtin_popcountll(part->any),
        .flags = schema->has_levels ? TAPE_SECTION_LEVELS : 0,
        .rows = part->count,
        .levels = part->level_count,
        .text_bytes = encode_text_bytes(part),
    };
    ensure(schema->column_count == 64 || part->any >> schema->column_count == 0);
    out = encode_symbols(encoder, part, out + sizeof section);
    for (int c = 0; c < schema->column_count; c++) {
        if (part->any >> c & 1)
            out = encode_column(encoder, part, c, out);
    }
    if (schema->has_levels)
        out = encode_levels(encoder, part, out);
    section.bytes = (uint32_t)(out - start);
    memcpy(start, &section, sizeof section);
    return out;
}

// Fills parts and the header's counts; -E2BIG beyond a limit.
static int encode_prepare(struct tape_encoder *encoder, const struct tape_batch_input *input,
                          uint32_t from, struct encode_part parts[CHANNEL_COUNT],
                          struct layout_batch *header)
{
    uint64_t rows = 0;
    encode_next_stamp(encoder);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (input->rows[c] && input->rows[c]->count > TAPE_BATCH_ROWS_MAX)
            return -E2BIG;
        parts[c] = part_of(input, c, from);
        if (parts[c].count == 0)
            continue;
        rows += parts[c].count;
        if (rows > TAPE_BATCH_ROWS_MAX || parts[c].level_count > TAPE_BATCH_LEVELS_MAX ||
            parts[c].rows->text_size > TAPE_BATCH_TEXT_BYTES_MAX ||
            !encode_number_symbols(encoder, &parts[c]))
            return -E2BIG;
        header->channels |= (uint16_t)(1u << c);
        encode_times(&parts[c], header);
    }
    ensure(rows == input->count - from);
    header->rows = (uint32_t)rows;
    header->symbols = encoder->used_count;
    return 0;
}

static void encode_finish(const struct tape_batch_place *place, struct layout_batch *header,
                          uint8_t *buffer, size_t bytes)
{
    header->magic = LAYOUT_BATCH_MAGIC;
    header->major = LAYOUT_MAJOR;
    header->minor = LAYOUT_MINOR;
    header->header_bytes = LAYOUT_HEADER_BYTES;
    header->salt = place->salt;
    header->sequence = place->sequence;
    header->revision = place->revision;
    header->durable_sequence = place->durable_sequence;
    header->durable_revision = place->durable_revision;
    header->first_row = place->first_row;
    header->previous_hash = place->previous_hash;
    header->flags = bytes <= LAYOUT_SECTOR ? LAYOUT_BATCH_SLOTTED : 0;
    header->payload_bytes = (uint32_t)(bytes - LAYOUT_HEADER_BYTES);
    header->payload_hash = XXH3_64bits(buffer + LAYOUT_HEADER_BYTES, header->payload_bytes);
    header->hash = XXH3_64bits(header, LAYOUT_HEADER_BYTES - sizeof header->hash);
    memcpy(buffer, header, LAYOUT_HEADER_BYTES);
}

int64_t tape_encode_batch(struct tape_encoder *encoder, const struct tape_batch_place *place,
                          const struct tape_batch_input *input, uint32_t from, void *buffer,
                          size_t size)
{
    ensure(from < input->count);
    ensure(place->sequence > 0 && place->salt != 0);
    struct layout_batch header = {.time_min = INT64_MAX, .time_max = INT64_MIN,
                                  .receive_min = INT64_MAX, .receive_max = INT64_MIN};
    struct encode_part parts[CHANNEL_COUNT];
    int error = encode_prepare(encoder, input, from, parts, &header);
    if (error != 0)
        return error;
    if (size < encode_bytes_max(input) + encode_names_bytes(encoder, input, size))
        return -ENOSPC;
    uint8_t *out = (uint8_t *)buffer + LAYOUT_HEADER_BYTES;
    out = encode_symbol_names(encoder, input, out);
    if (__builtin_popcount(header.channels) > 1)
        out = encode_order(encoder, input, parts, from, out);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if (parts[c].count != 0)
            out = encode_section(encoder, &parts[c], out);
    }
    size_t bytes = (size_t)(out - (uint8_t *)buffer);
    ensure(bytes <= size);
    if (bytes > TAPE_BATCH_BYTES_MAX)
        return -E2BIG;
    encode_finish(place, &header, buffer, bytes);
    return (int64_t)bytes;
}
