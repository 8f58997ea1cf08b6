// SPDX-License-Identifier: Apache-2.0
//
// Many rows at once. Each column is checked as a whole while it is filled; if anything in it does
// not fit, the first half of the rows is tried, and so on: what is left then is one row, and
// parquet_rows.c says what is wrong with it.
#include "format/parquet_rows_inside.h"

#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/text_utf8.h"
#include <string.h>

struct parquet_rows_filling {
    struct parquet_rows *rows;
    struct parquet_writer *writer;
    const struct rows *source;
    const struct parquet_rows_run *run;
    uint32_t count;          // rows of the source, from run->first
    uint32_t height;         // Parquet rows
    const uint32_t *row_of;  // [height] row of the source, or NULL: one each
    uint64_t in_all, in_any; // columns that all rows, that some rows have
    uint32_t values[PARQUET_COLUMNS_MAX];
};

// Rows of the source that have a column: index[i], or first + i where that is NULL.
struct parquet_rows_pick {
    const uint32_t *index;
    uint32_t first;
    uint32_t count;
};

static uint32_t parquet_rows_picked(const struct parquet_rows_pick *pick, uint32_t i)
{
    return pick->index != NULL ? pick->index[i] : pick->first + i;
}

// ---- which rows have it ----

// Those whose bit `bit` of `flags` is 1; of a column that only some have.
static struct parquet_rows_pick parquet_rows_some(struct parquet_rows_filling *f, uint32_t at,
                                                  const uint64_t *flags, unsigned bit)
{
    uint8_t *present = parquet_fill_present(f->writer, at);
    uint32_t *index = f->rows->run_pick, count = 0;
    for (uint32_t i = 0; i < f->height; i++) {
        const uint32_t row = f->row_of != NULL ? f->row_of[i] : f->run->first + i;
        const uint8_t has = flags[row] >> bit & 1;
        present[i] = has;
        index[count] = row;
        count += has;
    }
    return (struct parquet_rows_pick){.index = index, .count = count};
}

static struct parquet_rows_pick parquet_rows_all(const struct parquet_rows_filling *f)
{
    return (struct parquet_rows_pick){
        .index = f->row_of, .first = f->run->first, .count = f->height};
}

// False: a column that is never absent is absent.
static bool parquet_rows_pick(struct parquet_rows_filling *f, uint32_t c,
                              struct parquet_rows_pick *pick)
{
    const uint32_t at = f->rows->first_own + c;
    *pick = (struct parquet_rows_pick){.count = 0};
    if (f->in_all >> c & 1)
        *pick = parquet_rows_all(f);
    else if (!f->rows->columns[at].nullable)
        return false;
    else if (f->in_any >> c & 1)
        *pick = parquet_rows_some(f, at, f->source->present, c);
    f->values[at] = pick->count;
    return true;
}

// ---- numbers ----

static void parquet_rows_fill_int64(int64_t *out, const int64_t *values,
                                    const struct parquet_rows_pick *pick)
{
    if (pick->index == NULL) {
        memcpy(out, values + pick->first, pick->count * sizeof *out);
        return;
    }
    for (uint32_t i = 0; i < pick->count; i++) out[i] = values[pick->index[i]];
}

struct parquet_rows_decimals {
    const int64_t *mantissa;
    const uint8_t *scale;
    struct decimal_type type;
};

static bool parquet_rows_one_scale(const struct parquet_rows_decimals *from,
                                   const struct parquet_rows_pick *pick)
{
    uint8_t different = 0;
    const uint8_t scale = from->scale[parquet_rows_picked(pick, 0)];
    if (pick->index == NULL) {
        const uint8_t *scales = from->scale + pick->first;
        for (uint32_t i = 0; i < pick->count; i++) different |= scales[i] ^ scale;
    } else {
        for (uint32_t i = 0; i < pick->count; i++) different |= from->scale[pick->index[i]] ^ scale;
    }
    return different == 0 && scale <= from->type.scale;
}

static int64_t parquet_rows_power(uint8_t exponent)
{
    int64_t power = 1;
    ensure(exponent <= DECIMAL_SCALE_MAX);
    for (uint8_t i = 0; i < exponent; i++) power *= 10;
    return power;
}

// Scale by scale: blocks have one for all rows, as a rule.
static bool parquet_rows_fill_mixed(void *out, bool wide, const struct parquet_rows_decimals *from,
                                    const struct parquet_rows_pick *pick)
{
    for (uint32_t i = 0; i < pick->count; i++) {
        const uint32_t row = parquet_rows_picked(pick, i);
        __int128 value;
        if (!decimal_text_rescale(from->mantissa[row], from->scale[row], from->type.scale,
                                  from->type.digits, &value))
            return false;
        if (wide)
            ((__int128 *)out)[i] = value;
        else
            ((int64_t *)out)[i] = (int64_t)value;
    }
    return true;
}

static bool parquet_rows_fill_narrow(int64_t *out, const struct parquet_rows_decimals *from,
                                     const struct parquet_rows_pick *pick)
{
    if (pick->count == 0) return true;
    if (!parquet_rows_one_scale(from, pick))
        return parquet_rows_fill_mixed(out, false, from, pick);
    const uint8_t scale = from->scale[parquet_rows_picked(pick, 0)];
    const int64_t factor = parquet_rows_power(from->type.scale - scale);
    const int64_t limit = (parquet_rows_power(from->type.digits) - 1) / factor;
    int64_t least = 0, greatest = 0;
    parquet_rows_fill_int64(out, from->mantissa, pick);
    for (uint32_t i = 0; i < pick->count; i++) {
        least = out[i] < least ? out[i] : least;
        greatest = out[i] > greatest ? out[i] : greatest;
    }
    if (least < -limit || greatest > limit) return false;
    for (uint32_t i = 0; i < pick->count; i++) out[i] *= factor;
    return true;
}

static bool parquet_rows_fill_wide(__int128 *out, const struct parquet_rows_decimals *from,
                                   const struct parquet_rows_pick *pick)
{
    if (pick->count == 0) return true;
    if (!parquet_rows_one_scale(from, pick))
        return parquet_rows_fill_mixed(out, true, from, pick);
    // 19 digits and at most 16 zeros are fewer than 38.
    const uint8_t scale = from->scale[parquet_rows_picked(pick, 0)];
    const int64_t factor = parquet_rows_power(from->type.scale - scale);
    ensure(from->type.digits == 38 && from->type.scale <= 16);
    if (pick->index == NULL) {
        const int64_t *mantissa = from->mantissa + pick->first;
        for (uint32_t i = 0; i < pick->count; i++) out[i] = (__int128)mantissa[i] * factor;
    } else {
        for (uint32_t i = 0; i < pick->count; i++)
            out[i] = (__int128)from->mantissa[pick->index[i]] * factor;
    }
    return true;
}

static bool parquet_rows_fill_decimals(struct parquet_rows_filling *f, uint32_t at,
                                       const struct parquet_rows_decimals *from,
                                       const struct parquet_rows_pick *pick)
{
    void *out = parquet_fill(f->writer, at);
    return f->rows->columns[at].type == PARQUET_DECIMAL_18
               ? parquet_rows_fill_narrow(out, from, pick)
               : parquet_rows_fill_wide(out, from, pick);
}

static bool parquet_rows_fill_codes(struct parquet_rows_filling *f, uint32_t at,
                                    const int64_t *codes, const struct parquet_rows_pick *pick)
{
    const struct parquet_column *target = &f->rows->columns[at];
    const bool boolean = target->type == PARQUET_BOOLEAN;
    const uint64_t end = boolean ? 2 : target->code_count;
    void *out = parquet_fill(f->writer, at);
    bool good = true;
    for (uint32_t i = 0; i < pick->count; i++) {
        const uint64_t code = (uint64_t)codes[parquet_rows_picked(pick, i)];
        good &= code < end;
        if (boolean)
            ((uint8_t *)out)[i] = (uint8_t)code;
        else
            ((uint32_t *)out)[i] = (uint32_t)code;
    }
    return good;
}

// ---- texts ----

static bool parquet_rows_fill_texts(struct parquet_rows_filling *f, uint32_t at, uint8_t slot,
                                    const struct parquet_rows_pick *pick)
{
    const struct rows *source = f->source;
    const bool any_bytes = f->rows->columns[at].type == PARQUET_BINARY;
    for (uint32_t i = 0; i < pick->count; i++) {
        const uint32_t row = parquet_rows_picked(pick, i);
        const uint8_t *text = source->text + source->text_offset[slot][row];
        const uint32_t size = source->text_length[slot][row];
        if (!any_bytes && !text_utf8_valid(text, size)) return false;
        if (!parquet_fill_text(f->writer, at, i, text, size)) return false;
    }
    return true;
}

static bool parquet_rows_fill_own(struct parquet_rows_filling *f, uint32_t c)
{
    const struct column *column = &f->rows->options.schema->columns[c];
    const struct rows *source = f->source;
    const uint32_t at = f->rows->first_own + c;
    struct parquet_rows_pick pick;
    if (!parquet_rows_pick(f, c, &pick)) return false;
    if (pick.count == 0) return true;
    switch (column->type) {
    case COLUMN_INTEGER:
    case COLUMN_TIME:
        parquet_rows_fill_int64(parquet_fill(f->writer, at), source->value[c], &pick);
        return true;
    case COLUMN_DECIMAL:
        return parquet_rows_fill_decimals(
            f, at,
            &(struct parquet_rows_decimals){source->value[c], source->scale[c],
                                            decimal_type_of(column->decimal)},
            &pick);
    case COLUMN_CODE: return parquet_rows_fill_codes(f, at, source->value[c], &pick);
    case COLUMN_TEXT: return parquet_rows_fill_texts(f, at, column->text, &pick);
    }
    ensure(false);
    return false;
}

// ---- columns that are not the channel's ----

static bool parquet_rows_fill_symbol(struct parquet_rows_filling *f)
{
    uint32_t *out = parquet_fill(f->writer, COLUMN_SYMBOL);
    f->values[COLUMN_SYMBOL] = 0;
    if (f->run->symbol == SYMBOL_NONE) return f->rows->columns[COLUMN_SYMBOL].nullable;
    ensure(f->run->symbol < f->rows->options.symbol_count);
    for (uint32_t i = 0; i < f->height; i++) out[i] = f->run->symbol;
    f->values[COLUMN_SYMBOL] = f->height;
    return true;
}

static void parquet_rows_fill_times(struct parquet_rows_filling *f)
{
    const uint8_t first_time = f->rows->options.schema->times[0];
    int64_t *micros = parquet_fill(f->writer, COLUMN_TS);
    int64_t *nanos = parquet_fill(f->writer, COLUMN_TS_NS);
    const struct parquet_rows_pick pick = parquet_rows_all(f);
    if (f->in_all >> first_time & 1) {
        parquet_rows_fill_int64(nanos, f->source->value[first_time], &pick);
    } else {
        for (uint32_t i = 0; i < pick.count; i++)
            nanos[i] = rows_time_ns(f->source, parquet_rows_picked(&pick, i));
    }
    for (uint32_t i = 0; i < pick.count; i++) micros[i] = parquet_rows_micros(nanos[i]);
    f->values[COLUMN_TS] = f->values[COLUMN_TS_NS] = f->height;
}

// Levels lie one behind the other whatever message they are of; one without levels has a null.
static bool parquet_rows_fill_levels(struct parquet_rows_filling *f)
{
    const struct rows *source = f->source;
    const uint32_t at = f->rows->level, begin = f->run->first, end = begin + f->count;
    const uint32_t first = source->level_first[begin], levels = source->level_first[end] - first;
    const struct parquet_rows_pick pick = {.first = first, .count = levels};
    int64_t *number = parquet_fill(f->writer, at + LEVEL_INDEX);
    uint32_t *side = parquet_fill(f->writer, at + LEVEL_SIDE);
    bool good = true;
    for (uint32_t row = begin; row < end; row++)
        for (uint32_t l = source->level_first[row]; l < source->level_first[row + 1]; l++)
            number[l - first] = l - source->level_first[row];
    for (uint32_t l = 0; l < levels; l++) {
        side[l] = source->level_side[first + l];
        good &= side[l] < 2;
    }
    for (uint32_t c = 0; c < LEVEL_COLUMNS; c++) {
        f->values[at + c] = levels;
        if (levels == 0 || levels == f->height) continue;
        uint8_t *present = parquet_fill_present(f->writer, at + c);
        for (uint32_t i = 0; i < f->height; i++)
            present[i] = source->level_first[f->row_of[i] + 1] > source->level_first[f->row_of[i]];
    }
    return good &&
           parquet_rows_fill_decimals(f, at + LEVEL_PRICE,
                                      &(struct parquet_rows_decimals){
                                          source->level_price, source->level_price_scale,
                                          decimal_type_of(DECIMAL_PRICE)},
                                      &pick) &&
           parquet_rows_fill_decimals(f, at + LEVEL_QUANTITY,
                                      &(struct parquet_rows_decimals){
                                          source->level_quantity, source->level_quantity_scale,
                                          decimal_type_of(DECIMAL_QUANTITY)},
                                      &pick);
}

static void parquet_rows_fill_store(struct parquet_rows_filling *f)
{
    const struct parquet_rows_pick pick = parquet_rows_all(f);
    const uint32_t at = f->rows->store;
    uint32_t *store = parquet_fill(f->writer, at + STORE_ID);
    int64_t *tape = parquet_fill(f->writer, at + STORE_TAPE);
    int64_t *tape_row = parquet_fill(f->writer, at + STORE_TAPE_ROW);
    uint32_t known = 0;
    for (uint32_t i = 0; i < f->height; i++) store[i] = 0;
    for (uint32_t i = 0; i < f->height && f->run->tape != NULL; i++) {
        const uint32_t row = parquet_rows_picked(&pick, i);
        const uint8_t has = f->run->tape[row] != 0; // 0: backfilled
        parquet_fill_present(f->writer, at + STORE_TAPE)[i] = has;
        parquet_fill_present(f->writer, at + STORE_TAPE_ROW)[i] = has;
        tape[known] = f->run->tape[row];
        tape_row[known] = (int64_t)f->run->tape_row[row];
        known += has;
    }
    f->values[at + STORE_ID] = f->height;
    f->values[at + STORE_TAPE] = f->values[at + STORE_TAPE_ROW] = known;
}

// ---- runs ----

// How many of the source's rows fit in the page, and the row behind each Parquet row.
static void parquet_rows_measure(struct parquet_rows_filling *f, uint32_t count)
{
    const uint32_t room = parquet_room(f->writer), first = f->run->first;
    f->height = f->count = count < room ? count : room;
    f->row_of = NULL;
    if (f->rows->level == 0) return;
    f->height = f->count = 0;
    for (; f->count < count; f->count++) {
        const uint32_t row = first + f->count;
        const uint32_t levels = f->source->level_first[row + 1] - f->source->level_first[row];
        const uint32_t lines = levels > 0 ? levels : 1;
        if (lines > room - f->height) break;
        for (uint32_t i = 0; i < lines; i++) f->rows->run_row[f->height + i] = row;
        f->height += lines;
    }
    f->row_of = f->rows->run_row;
}

static void parquet_rows_presence(struct parquet_rows_filling *f)
{
    const uint64_t *present = f->source->present + f->run->first;
    f->in_all = UINT64_MAX;
    f->in_any = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        f->in_all &= present[i];
        f->in_any |= present[i];
    }
}

static bool parquet_rows_fill(struct parquet_rows_filling *f)
{
    parquet_rows_presence(f);
    bool good = parquet_rows_fill_symbol(f);
    parquet_rows_fill_times(f);
    for (uint32_t c = 0; c < f->rows->options.schema->column_count && good; c++)
        good = parquet_rows_fill_own(f, c);
    if (good && f->rows->level > 0) good = parquet_rows_fill_levels(f);
    if (good && f->rows->store > 0) parquet_rows_fill_store(f);
    return good;
}

uint32_t parquet_rows_put_run(struct parquet_rows *rows, struct parquet_writer *writer,
                              const struct rows *source, const struct parquet_rows_run *run,
                              int *error)
{
    struct parquet_rows_filling f = {
        .rows = rows, .writer = writer, .source = source, .run = run};
    ensure(source->schema == rows->options.schema && run->count > 0);
    ensure(run->first < source->count && run->count <= source->count - run->first);
    *error = 0;
    for (uint32_t count = run->count; count > 0; count = f.count / 2) {
        parquet_rows_measure(&f, count);
        if (f.count == 0) return 0;
        if (parquet_rows_fill(&f)) {
            *error = parquet_fill_end(writer, f.height, f.values);
            return *error == 0 ? f.count : 0;
        }
        parquet_fill_forget(writer, f.height);
    }
    return 0;
}
