// SPDX-License-Identifier: Apache-2.0
//
// Types and bounds of Parquet columns, spelled for a Delta log.
#include "format/delta_schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/time_text.h"

enum {
    TYPE_BYTES = 32,
    NAME_BYTES = 128,
    DIGITS_MAX = 15, // that survive a double
};

// ---- the schema ----

static void type_text(const struct parquet_column *column, char out[TYPE_BYTES])
{
    static const char *const names[PARQUET_TYPE_COUNT] = {
        [PARQUET_BOOLEAN] = "boolean",     [PARQUET_INT64] = "long",
        [PARQUET_TIMESTAMP] = "timestamp", [PARQUET_CODE] = "string",
        [PARQUET_STRING] = "string",       [PARQUET_BINARY] = "binary"};
    ensure(column->type < PARQUET_TYPE_COUNT);
    if (column->type == PARQUET_DECIMAL_18 || column->type == PARQUET_DECIMAL_38)
        (void)snprintf(out, TYPE_BYTES, "decimal(%d,%u)",
                       column->type == PARQUET_DECIMAL_18 ? 18 : 38, column->scale);
    else
        (void)snprintf(out, TYPE_BYTES, "%s", names[column->type]);
}

static void put_field(struct delta_text *out, bool first, const char *name, const char *type)
{
    delta_text_print(out, "%s{\"name\":", first ? "" : ",");
    delta_text_quote(out, name);
    delta_text_print(out, ",\"type\":\"%s\",\"nullable\":true,\"metadata\":{}}", type);
}

void delta_schema_text(const struct parquet_column *columns, uint32_t count,
                       struct delta_text *out)
{
    char type[TYPE_BYTES];
    delta_text_print(out, "{\"type\":\"struct\",\"fields\":[");
    for (uint32_t c = 0; c < count; c++) {
        type_text(&columns[c], type);
        put_field(out, c == 0, columns[c].name, type);
    }
    put_field(out, count == 0, "exchange", "string");
    put_field(out, false, "date", "date");
    delta_text_print(out, "]}");
}

// One field of a schema: its name, and its type if that is a plain one.
static void take_field(struct delta_json *json, char name[NAME_BYTES], char type[TYPE_BYTES])
{
    char key[NAME_BYTES];
    name[0] = type[0] = 0;
    delta_json_open(json, '{');
    while (delta_json_key(json, key, sizeof key)) {
        size_t size;
        struct delta_json before = *json;
        (void)delta_json_raw(json, &size);
        if (strcmp(key, "name") == 0) (void)delta_json_text(&before, name, NAME_BYTES);
        if (strcmp(key, "type") == 0) (void)delta_json_text(&before, type, TYPE_BYTES);
    }
}

// To the elements of "fields".
static bool find_fields(struct delta_json *json)
{
    char key[NAME_BYTES];
    delta_json_open(json, '{');
    while (delta_json_key(json, key, sizeof key)) {
        if (strcmp(key, "fields") == 0) {
            delta_json_open(json, '[');
            return !json->bad;
        }
        delta_json_skip(json);
    }
    return false;
}

// Which columns are there (seen[c]); the column that is in the way, or NULL.
static const char *compare(const char *present, const struct parquet_column *columns,
                           uint32_t count, bool *seen, bool *good)
{
    struct delta_json json = delta_json_of(present, strlen(present));
    const char *conflict = NULL;
    char name[NAME_BYTES], type[TYPE_BYTES], wanted[TYPE_BYTES];
    *good = find_fields(&json);
    while (*good && delta_json_element(&json)) {
        take_field(&json, name, type);
        for (uint32_t c = 0; c < count; c++) {
            if (strcmp(columns[c].name, name) != 0) continue;
            type_text(&columns[c], wanted);
            seen[c] = true;
            if (strcmp(type, wanted) != 0) conflict = columns[c].name;
        }
    }
    *good = *good && !json.bad;
    return conflict;
}

int delta_schema_merge(const char *present, const struct parquet_column *columns, uint32_t count,
                       struct delta_text *out, uint32_t *added, char *conflict, size_t room)
{
    bool seen[PARQUET_COLUMNS_MAX] = {false};
    bool good;
    char type[TYPE_BYTES];
    ensure(count <= PARQUET_COLUMNS_MAX);
    const char *in_the_way = compare(present, columns, count, seen, &good);
    if (!good) return -EBADMSG;
    if (in_the_way != NULL) {
        (void)snprintf(conflict, room, "%s", in_the_way);
        return -EEXIST;
    }
    // Behind the last field: right before the bracket that ends the list.
    struct delta_json json = delta_json_of(present, strlen(present));
    bool first = true;
    (void)find_fields(&json);
    for (; delta_json_element(&json); first = false) delta_json_skip(&json);
    const size_t kept = (size_t)(json.at - present) - 1;
    *added = 0;
    delta_text_bytes(out, present, kept);
    for (uint32_t c = 0; c < count; c++) {
        if (seen[c]) continue;
        type_text(&columns[c], type);
        put_field(out, first, columns[c].name, type);
        first = false;
        ++*added;
    }
    delta_text_bytes(out, present + kept, strlen(present + kept));
    return 0;
}

// ---- statistics ----

// Has the column bounds in the log.
static bool has_bounds(const struct parquet_column *column)
{
    return column->type != PARQUET_BOOLEAN && column->type != PARQUET_STRING &&
           column->type != PARQUET_BINARY;
}

// Rounded to DIGITS_MAX digits, upwards for the greatest, downwards for the least.
static __int128 widen(__int128 value, bool greatest)
{
    const unsigned __int128 most = 1000000000000000ull; // 10^DIGITS_MAX
    unsigned __int128 size = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    unsigned __int128 unit = 1;
    _Static_assert(DIGITS_MAX == 15, "as `most` says");
    while (size / unit >= most) unit *= 10;
    const bool away = greatest == (value >= 0); // from zero
    unsigned __int128 rounded = size / unit;
    if (away && size % unit != 0) rounded++;
    rounded *= unit;
    return value < 0 ? -(__int128)rounded : (__int128)rounded;
}

// Has the rounded bound a digit more than its type? delta-rs skips files by such a bound in which
// there are rows; without one it skips nothing.
static bool is_beyond(const struct parquet_column *column, const struct parquet_bounds *bounds,
                      bool greatest)
{
    if (column->type != PARQUET_DECIMAL_18 && column->type != PARQUET_DECIMAL_38) return false;
    const __int128 value = widen(greatest ? bounds->max : bounds->min, greatest);
    __int128 most = 1;
    for (int digits = column->type == PARQUET_DECIMAL_18 ? 18 : 38; digits > 0; digits--)
        most *= 10;
    return value >= most || value <= -most;
}

static void put_decimal(struct delta_text *out, __int128 value, uint8_t scale)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    const size_t size = decimal_text_format(text, value, scale);
    delta_text_bytes(out, text, size);
}

// Microseconds as milliseconds.
static void put_timestamp(struct delta_text *out, int64_t time_us, bool greatest)
{
    char text[TIME_TEXT_BYTES_MAX];
    const int64_t below = time_us / 1000 - (time_us % 1000 < 0);
    const int64_t time_ms = greatest && below * 1000 != time_us ? below + 1 : below;
    time_text_format(text, time_ms * 1000000, 3);
    delta_text_quote(out, text);
}

static void put_bound(struct delta_text *out, const struct parquet_column *column,
                      const struct parquet_bounds *bounds, bool greatest)
{
    const __int128 value = greatest ? bounds->max : bounds->min;
    switch (column->type) {
    case PARQUET_CODE:
        delta_text_quote_bytes(out, greatest ? bounds->max_text : bounds->min_text,
                               greatest ? bounds->max_size : bounds->min_size);
        return;
    case PARQUET_TIMESTAMP: put_timestamp(out, (int64_t)value, greatest); return;
    case PARQUET_DECIMAL_18:
    case PARQUET_DECIMAL_38: put_decimal(out, widen(value, greatest), column->scale); return;
    default: delta_text_print(out, "%" PRId64, (int64_t)value); return;
    }
}

static void put_bounds(struct delta_text *out, const struct parquet_column *columns,
                       uint32_t count, const struct parquet_bounds *const *bounds, bool greatest)
{
    bool first = true;
    for (uint32_t c = 0; c < count; c++) {
        if (!has_bounds(&columns[c]) || !bounds[c]->any || !bounds[c]->exact ||
            is_beyond(&columns[c], bounds[c], greatest))
            continue;
        delta_text_print(out, "%s", first ? "" : ",");
        delta_text_quote(out, columns[c].name);
        delta_text_print(out, ":");
        put_bound(out, &columns[c], bounds[c], greatest);
        first = false;
    }
}

void delta_schema_statistics(const struct parquet_column *columns, uint32_t count, uint64_t rows,
                             const struct parquet_bounds *const *bounds, const uint64_t *nulls,
                             struct delta_text *out)
{
    delta_text_print(out, "{\"numRecords\":%" PRIu64 ",\"tightBounds\":false,\"minValues\":{",
                     rows);
    put_bounds(out, columns, count, bounds, false);
    delta_text_print(out, "},\"maxValues\":{");
    put_bounds(out, columns, count, bounds, true);
    delta_text_print(out, "},\"nullCount\":{");
    for (uint32_t c = 0; c < count; c++) {
        delta_text_print(out, "%s", c == 0 ? "" : ",");
        delta_text_quote(out, columns[c].name);
        delta_text_print(out, ":%" PRIu64, nulls[c]);
    }
    delta_text_print(out, "}}");
}
