// SPDX-License-Identifier: Apache-2.0
//
// Batch → rows. Nothing is trusted, not even bytes with the right hash: every offset, count and
// value range is checked, so that the worst input gives an error and never another row.
//
// Two passes: the outline (sections and their sizes) tells how much memory the rows need; then each
// section is decoded into rows of exactly that size.
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "format/tape.h"
#include "format/tape_section.h"
#include "format/tape_stream.h"

struct decode_section {
    struct tape_section head;
    const uint8_t *body;
    uint32_t body_bytes;
};

struct decode_outline {
    const uint8_t *name_lengths;
    const uint8_t *names;
    const uint8_t *order; // NULL: one section
    uint32_t section_count;
    unsigned order_bits;
    struct decode_section sections[16]; // header.channels has 16 bits
    size_t memory_bytes;
    uint32_t scratch_count; // values of the longest stream
};

static size_t decode_aligned(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63;
}

// ---- header ----

static bool decode_header_possible(const struct layout_batch *header)
{
    uint64_t bytes = (uint64_t)header->header_bytes + header->payload_bytes;
    bool slotted = (header->flags & LAYOUT_BATCH_SLOTTED) != 0;
    return header->header_bytes % 8 == 0 && (header->flags & ~LAYOUT_BATCH_SLOTTED) == 0 &&
           slotted == (bytes <= LAYOUT_SECTOR) && (slotted || header->revision == 0) &&
           bytes <= TAPE_BATCH_BYTES_MAX && header->sequence != 0 && header->salt != 0 &&
           header->rows != 0 && header->rows <= TAPE_BATCH_ROWS_MAX &&
           header->symbols <= TAPE_BATCH_SYMBOLS_MAX && header->symbols <= header->rows &&
           header->channels != 0 && header->time_min <= header->time_max &&
           header->first_row <= UINT64_MAX - header->rows &&
           header->durable_sequence <= header->sequence;
}

enum tape_error tape_decode_header(const void *bytes, size_t size, struct layout_batch *header)
{
    if (size < LAYOUT_HEADER_BYTES)
        return TAPE_SHORT;
    struct layout_batch found;
    memcpy(&found, bytes, sizeof found);
    if (found.magic != LAYOUT_BATCH_MAGIC)
        return TAPE_NO_MAGIC;
    if (found.header_bytes < LAYOUT_HEADER_BYTES || found.header_bytes > LAYOUT_SECTOR)
        return TAPE_BAD_HASH;
    if (found.header_bytes > size)
        return TAPE_SHORT;
    size_t hashed = found.header_bytes - sizeof found.hash;
    memcpy(&found.hash, (const uint8_t *)bytes + hashed, sizeof found.hash);
    if (found.hash != XXH3_64bits(bytes, hashed))
        return TAPE_BAD_HASH;
    if (found.major != LAYOUT_MAJOR || found.required != 0)
        return TAPE_NEWER;
    if (!decode_header_possible(&found))
        return TAPE_BAD_HEADER;
    *header = found;
    return TAPE_GOOD;
}

// ---- outline ----

// Bytes of the rows of a section and its arrival numbers.
static size_t outline_section_bytes(const struct tape_section *head)
{
    const struct channel_schema *schema = channel_schema((enum channel)head->channel);
    if (!schema)
        return 0;
    struct rows_limits limits = {head->rows, head->levels, head->text_bytes};
    return decode_aligned(rows_memory_bytes(schema, &limits)) +
           decode_aligned((size_t)head->rows * sizeof(uint32_t));
}

static bool outline_section(struct wire_reader *in, const struct layout_batch *header,
                            struct decode_outline *outline)
{
    const uint8_t *bytes = wire_get(in, sizeof(struct tape_section));
    if (!bytes || outline->section_count == 16)
        return false;
    struct decode_section *section = &outline->sections[outline->section_count];
    memcpy(&section->head, bytes, sizeof section->head);
    struct tape_section *head = &section->head;
    bool after = outline->section_count == 0 || head->channel > section[-1].head.channel;
    if (!after || head->channel >= 16 || !(header->channels >> head->channel & 1) ||
        (head->flags & ~TAPE_SECTION_LEVELS) != 0 || head->zero != 0 || head->rows == 0 ||
        head->rows > header->rows || head->levels > TAPE_BATCH_LEVELS_MAX ||
        head->text_bytes > TAPE_BATCH_TEXT_BYTES_MAX || head->columns > EVENT_COLUMNS_MAX ||
        (!(head->flags & TAPE_SECTION_LEVELS) && head->levels != 0) || head->bytes < sizeof *head)
        return false;
    section->body_bytes = head->bytes - (uint32_t)sizeof *head;
    section->body = wire_get(in, section->body_bytes);
    outline->section_count++;
    outline->memory_bytes += outline_section_bytes(head);
    uint32_t longest = head->levels > head->rows ? head->levels : head->rows;
    if (longest > outline->scratch_count)
        outline->scratch_count = longest;
    return section->body != NULL;
}

static bool outline_names(struct wire_reader *in, const struct layout_batch *header,
                          struct decode_outline *outline)
{
    outline->name_lengths = wire_get(in, header->symbols);
    if (!outline->name_lengths)
        return false;
    uint64_t bytes = 0;
    for (uint32_t s = 0; s < header->symbols; s++) {
        if (outline->name_lengths[s] == 0)
            return false;
        bytes += outline->name_lengths[s];
    }
    outline->names = wire_get(in, bytes);
    return outline->names != NULL;
}

static bool outline_read(const uint8_t *bytes, const struct layout_batch *header,
                         struct decode_outline *outline)
{
    *outline = (struct decode_outline){0};
    struct wire_reader in = wire_reader_of(bytes + header->header_bytes, header->payload_bytes);
    unsigned sections = (unsigned)__builtin_popcount(header->channels);
    if (!outline_names(&in, header, outline))
        return false;
    outline->order_bits = tape_order_bits(sections);
    if (outline->order_bits != 0) {
        outline->order = wire_get(&in, ((uint64_t)header->rows * outline->order_bits + 7) / 8);
        if (!outline->order)
            return false;
    }
    uint64_t rows = 0;
    for (unsigned s = 0; s < sections; s++) {
        if (!outline_section(&in, header, outline))
            return false;
        rows += outline->sections[s].head.rows;
    }
    outline->memory_bytes += decode_aligned(header->symbols * sizeof(struct event_text)) +
                             decode_aligned(outline->scratch_count * sizeof(int64_t)) +
                             2 * decode_aligned(outline->scratch_count);
    return rows == header->rows && wire_left(&in) == 0;
}

enum tape_error tape_check_batch(const void *bytes, size_t size, struct layout_batch *header,
                                 size_t *memory_bytes)
{
    enum tape_error error = tape_decode_header(bytes, size, header);
    if (error != TAPE_GOOD)
        return error;
    if (size < (uint64_t)header->header_bytes + header->payload_bytes)
        return TAPE_SHORT;
    const uint8_t *payload = (const uint8_t *)bytes + header->header_bytes;
    if (header->payload_hash != XXH3_64bits(payload, header->payload_bytes))
        return TAPE_BAD_PAYLOAD;
    struct decode_outline outline;
    if (!outline_read(bytes, header, &outline))
        return TAPE_BAD_CONTENT;
    *memory_bytes = outline.memory_bytes;
    return TAPE_GOOD;
}

// ---- sections ----

struct decode_state {
    struct rows *rows; // NULL: a channel this library does not know; everything is passed over
    uint32_t count;
    uint32_t symbol_count;
    int64_t *values; // scratch, as all below
    uint8_t *bits;
    uint8_t *scales;
    const uint8_t *text_bytes[EVENT_TEXTS_MAX];
    bool text_same[EVENT_TEXTS_MAX];
};

static bool decode_symbols(struct wire_reader *in, struct decode_state *state)
{
    if (!tape_stream_get(in, state->values, state->count))
        return false;
    for (uint32_t r = 0; r < state->count; r++) {
        uint64_t number = (uint64_t)state->values[r];
        if (number > state->symbol_count)
            return false;
        if (state->rows)
            state->rows->symbol[r] = number == 0 ? SYMBOL_NONE : (uint32_t)number - 1;
    }
    return true;
}

// How many rows have a value; state->bits says which where not all.
static uint32_t decode_presence(struct wire_reader *in, struct decode_state *state, unsigned form)
{
    if (!(form & TAPE_COLUMN_BITMAP))
        return state->count;
    uint32_t count = 0;
    if (!tape_bits_get(in, state->bits, state->count))
        return 0;
    for (uint32_t r = 0; r < state->count; r++)
        count += state->bits[r];
    return count;
}

static void decode_mark_present(struct decode_state *state, int column, unsigned form)
{
    uint64_t *present = state->rows->present;
    for (uint32_t r = 0; r < state->count; r++) {
        uint64_t bit = form & TAPE_COLUMN_BITMAP ? state->bits[r] : 1;
        present[r] |= bit << column;
    }
}

// Puts `count` gathered values where the rows are that have one.
static void decode_spread(struct decode_state *state, int column, unsigned form, uint32_t count,
                          const int64_t *values)
{
    uint8_t *scales = state->rows->scale[column];
    int64_t *cells = state->rows->value[column];
    if (!(form & TAPE_COLUMN_BITMAP)) {
        if (scales)
            memcpy(scales, state->scales, count);
        return; // the values were decoded in place
    }
    uint32_t v = 0;
    for (uint32_t r = 0; r < state->count; r++) {
        cells[r] = state->bits[r] ? values[v] : 0;
        if (scales)
            scales[r] = state->bits[r] ? state->scales[v] : 0;
        v += state->bits[r];
    }
    ensure(v == count);
}

static bool decode_values(struct wire_reader *in, struct decode_state *state, int column,
                          unsigned form, uint32_t count)
{
    if ((form & TAPE_COLUMN_DECIMAL) && !tape_scales_get(in, state->scales, count))
        return false;
    bool in_place = column >= 0 && !(form & TAPE_COLUMN_BITMAP);
    int64_t *values = in_place ? state->rows->value[column] : state->values;
    if (!tape_stream_get(in, values, count))
        return false;
    if (column >= 0)
        decode_spread(state, column, form, count, values);
    return true;
}

// Lengths go to the rows now, the bytes when all columns are known (decode_place_texts()).
static bool decode_texts(struct wire_reader *in, struct decode_state *state, int column,
                         unsigned form, uint32_t count)
{
    if (!tape_stream_get(in, state->values, count))
        return false;
    uint64_t bytes = 0;
    bool equal = true;
    for (uint32_t v = 0; v < count; v++) {
        if ((uint64_t)state->values[v] > EVENT_TEXT_BYTES_MAX)
            return false;
        equal = equal && state->values[v] == state->values[0];
        bytes += (uint64_t)state->values[v];
    }
    uint8_t text_form = wire_get_u8(in);
    if (text_form > TAPE_TEXT_SAME || (text_form == TAPE_TEXT_SAME && !equal))
        return false;
    uint64_t stored = text_form == TAPE_TEXT_SAME ? (uint64_t)state->values[0] : bytes;
    const uint8_t *texts = wire_get(in, stored);
    if (!texts || column < 0)
        return texts != NULL;
    uint32_t slot = state->rows->schema->columns[column].text;
    state->text_bytes[slot] = texts;
    state->text_same[slot] = text_form == TAPE_TEXT_SAME;
    uint32_t v = 0;
    for (uint32_t r = 0; r < state->count; r++) {
        bool has = !(form & TAPE_COLUMN_BITMAP) || state->bits[r];
        state->rows->text_length[slot][r] = has ? (uint32_t)state->values[v] : 0;
        v += has;
    }
    return true;
}

static unsigned decode_form_of(const struct column *column)
{
    if (column->type == COLUMN_DECIMAL)
        return TAPE_COLUMN_DECIMAL;
    return column->type == COLUMN_TEXT ? TAPE_COLUMN_TEXT : 0;
}

// One column; *last: number of the one before.
static bool decode_column(struct wire_reader *in, struct decode_state *state, int *last)
{
    int number = wire_get_u8(in);
    unsigned form = wire_get_u8(in);
    if (in->failed || number <= *last || number >= (int)EVENT_COLUMNS_MAX || form > 5 ||
        (form & (TAPE_COLUMN_DECIMAL | TAPE_COLUMN_TEXT)) ==
            (TAPE_COLUMN_DECIMAL | TAPE_COLUMN_TEXT))
        return false;
    *last = number;
    uint32_t count = decode_presence(in, state, form);
    if (count == 0) // a column without any value is left out
        return false;
    int column = state->rows && number < state->rows->schema->column_count ? number : -1;
    if (column >= 0) {
        if ((form & ~(unsigned)TAPE_COLUMN_BITMAP) !=
            decode_form_of(&state->rows->schema->columns[column]))
            return false;
        decode_mark_present(state, column, form);
    }
    if (form & TAPE_COLUMN_TEXT)
        return decode_texts(in, state, column, form, count);
    return decode_values(in, state, column, form, count);
}

// Texts lie by column in the batch and by row in memory.
static bool decode_place_texts(struct decode_state *state)
{
    struct rows *rows = state->rows;
    uint64_t size = 0;
    for (uint32_t r = 0; r < state->count; r++) {
        for (int slot = 0; slot < (int)EVENT_TEXTS_MAX && rows->text_length[slot]; slot++) {
            uint32_t length = rows->text_length[slot][r];
            rows->text_offset[slot][r] = (uint32_t)size;
            if (length > rows->limits.text_bytes - size)
                return false;
            if (length != 0)
                memcpy(rows->text + size, state->text_bytes[slot], length);
            if (length != 0 && !state->text_same[slot])
                state->text_bytes[slot] += length;
            size += length;
        }
    }
    rows->text_size = (uint32_t)size;
    return size == rows->limits.text_bytes;
}

static bool decode_level_counts(struct wire_reader *in, struct decode_state *state,
                                uint32_t level_count)
{
    if (!tape_stream_get(in, state->values, state->count))
        return false;
    uint64_t sum = 0;
    for (uint32_t r = 0; r < state->count; r++) {
        if ((uint64_t)state->values[r] > EVENT_LEVELS_MAX)
            return false;
        sum += (uint64_t)state->values[r];
        if (state->rows && sum <= level_count)
            state->rows->level_first[r + 1] = (uint32_t)sum;
    }
    return sum == level_count;
}

static bool decode_levels(struct wire_reader *in, struct decode_state *state, uint32_t level_count)
{
    struct rows *rows = state->rows;
    if (!decode_level_counts(in, state, level_count))
        return false;
    if (level_count == 0)
        return true;
    if (!tape_scales_get(in, rows ? rows->level_price_scale : state->scales, level_count) ||
        !tape_stream_get(in, rows ? rows->level_price : state->values, level_count) ||
        !tape_scales_get(in, rows ? rows->level_quantity_scale : state->scales, level_count) ||
        !tape_stream_get(in, rows ? rows->level_quantity : state->values, level_count))
        return false;
    if (rows)
        rows->level_count = level_count;
    return tape_bits_get(in, rows ? rows->level_side : state->bits, level_count);
}

// Zeroes what rows without a value must hold.
static void decode_zero(struct rows *rows, uint32_t count)
{
    memset(rows->present, 0, count * sizeof(uint64_t));
    for (int c = 0; c < rows->schema->column_count; c++) {
        if (rows->value[c])
            memset(rows->value[c], 0, count * sizeof(int64_t));
        if (rows->scale[c])
            memset(rows->scale[c], 0, count);
    }
    for (int slot = 0; slot < (int)EVENT_TEXTS_MAX && rows->text_length[slot]; slot++)
        memset(rows->text_length[slot], 0, count * sizeof(uint32_t));
}

static bool decode_section(const struct decode_section *section, struct decode_state *state)
{
    const struct tape_section *head = &section->head;
    struct wire_reader in = wire_reader_of(section->body, section->body_bytes);
    state->count = head->rows;
    memset(state->text_bytes, 0, sizeof state->text_bytes);
    memset(state->text_same, 0, sizeof state->text_same);
    bool has_levels = (head->flags & TAPE_SECTION_LEVELS) != 0;
    if (state->rows) {
        if (state->rows->schema->has_levels != has_levels)
            return false;
        decode_zero(state->rows, head->rows);
        state->rows->count = head->rows;
    }
    if (!decode_symbols(&in, state))
        return false;
    int last = -1;
    for (int c = 0; c < head->columns; c++) {
        if (!decode_column(&in, state, &last))
            return false;
    }
    if (has_levels && !decode_levels(&in, state, head->levels))
        return false;
    if (state->rows && !decode_place_texts(state))
        return false;
    return wire_left(&in) == 0;
}

// ---- the batch ----

struct decode_memory {
    uint8_t *at;
    uint8_t *end;
};

static void *decode_take(struct decode_memory *memory, size_t bytes)
{
    uint8_t *result = memory->at;
    memory->at += decode_aligned(bytes);
    ensure(memory->at <= memory->end);
    return result;
}

static void decode_names(const struct decode_outline *outline, uint32_t count,
                         struct event_text *names)
{
    const uint8_t *at = outline->names;
    for (uint32_t s = 0; s < count; s++) {
        names[s] = (struct event_text){at, outline->name_lengths[s]};
        at += outline->name_lengths[s];
    }
}

// Arrival numbers of all rows from the order between sections.
static bool decode_order(const struct decode_outline *outline, struct tape_batch *batch)
{
    uint32_t taken[16] = {0};
    unsigned bits = outline->order_bits;
    for (uint32_t i = 0; i < batch->header.rows; i++) {
        unsigned s = 0;
        if (bits != 0)
            s = (unsigned)outline->order[(uint64_t)i * bits / 8] >> ((uint64_t)i * bits % 8) &
                ((1u << bits) - 1);
        if (s >= outline->section_count || taken[s] == outline->sections[s].head.rows)
            return false;
        uint8_t channel = outline->sections[s].head.channel;
        if (channel < CHANNEL_COUNT && batch->arrival[channel])
            batch->arrival[channel][taken[s]] = i;
        taken[s]++;
    }
    uint64_t used = (uint64_t)batch->header.rows * bits;
    return used % 8 == 0 || outline->order[used / 8] >> (used % 8) == 0;
}

// The header's range of receive times is what the rows say.
static bool decode_receive_agrees(const struct tape_batch *batch)
{
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    uint32_t known = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct rows *rows = &batch->rows[c];
        known += rows->count;
        for (uint32_t r = 0; r < rows->count; r++) {
            if ((rows->present[r] >> COLUMN_RECEIVE_TIME & 1) == 0)
                continue;
            int64_t time = rows->value[COLUMN_RECEIVE_TIME][r];
            min = time < min ? time : min;
            max = time > max ? time : max;
        }
    }
    const struct layout_batch *header = &batch->header;
    if (min > max) // no row has one, of those known
        return known != header->rows || header->receive_min > header->receive_max;
    if (known == header->rows)
        return min == header->receive_min && max == header->receive_max;
    return min >= header->receive_min && max <= header->receive_max;
}

// The header's time range is what the rows say.
static bool decode_times_agree(const struct tape_batch *batch)
{
    int64_t min = INT64_MAX;
    int64_t max = INT64_MIN;
    uint32_t known = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        known += batch->rows[c].count;
        for (uint32_t r = 0; r < batch->rows[c].count; r++) {
            int64_t time = rows_time_ns(&batch->rows[c], r);
            min = time < min ? time : min;
            max = time > max ? time : max;
        }
    }
    if (known == batch->header.rows)
        return min == batch->header.time_min && max == batch->header.time_max;
    return known == 0 || (min >= batch->header.time_min && max <= batch->header.time_max);
}

static struct rows *decode_place_rows(const struct tape_section *head, struct tape_batch *batch,
                                      struct decode_memory *memory)
{
    const struct channel_schema *schema = channel_schema((enum channel)head->channel);
    if (!schema)
        return NULL;
    struct rows_limits limits = {head->rows, head->levels, head->text_bytes};
    struct rows *rows = &batch->rows[head->channel];
    rows_init(rows, schema, &limits, decode_take(memory, rows_memory_bytes(schema, &limits)));
    batch->arrival[head->channel] = decode_take(memory, head->rows * sizeof(uint32_t));
    return rows;
}

enum tape_error tape_decode_batch(const void *bytes, size_t size, void *memory,
                                  size_t memory_bytes, struct tape_batch *batch)
{
    struct decode_outline outline;
    memset(batch, 0, sizeof *batch);
    enum tape_error error = tape_decode_header(bytes, size, &batch->header);
    if (error != TAPE_GOOD)
        return error;
    if (size < (uint64_t)batch->header.header_bytes + batch->header.payload_bytes)
        return TAPE_SHORT;
    if (!outline_read(bytes, &batch->header, &outline))
        return TAPE_BAD_CONTENT;
    ensure(((uintptr_t)memory & 63) == 0);
    ensure(memory_bytes >= outline.memory_bytes);
    uint8_t *at = memory;
    struct decode_memory left = {at, at + memory_bytes};
    struct event_text *names = decode_take(&left, batch->header.symbols * sizeof *names);
    decode_names(&outline, batch->header.symbols, names);
    batch->symbols = names;
    struct decode_state state = {.symbol_count = batch->header.symbols};
    state.values = decode_take(&left, outline.scratch_count * sizeof(int64_t));
    state.bits = decode_take(&left, outline.scratch_count);
    state.scales = decode_take(&left, outline.scratch_count);
    for (uint32_t s = 0; s < outline.section_count; s++) {
        state.rows = decode_place_rows(&outline.sections[s].head, batch, &left);
        if (!decode_section(&outline.sections[s], &state))
            return TAPE_BAD_CONTENT;
    }
    if (!decode_order(&outline, batch) || !decode_times_agree(batch) ||
        !decode_receive_agrees(batch))
        return TAPE_BAD_CONTENT;
    return TAPE_GOOD;
}
