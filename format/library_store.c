// SPDX-License-Identifier: Apache-2.0
//
// The public header's schema, store, errors and helpers.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/library_inside.h"
#include "format/version.h"

_Static_assert(RINGTAPE_COLUMNS_MAX == EVENT_COLUMNS_MAX, "columns");
_Static_assert(RINGTAPE_NO_SYMBOL == SYMBOL_NONE, "symbols");
_Static_assert((int)RINGTAPE_NAME_BYTES == (int)SEGMENT_SYMBOL_BYTES_MAX + 1, "names");
_Static_assert((int)RINGTAPE_DECIMAL_BYTES == (int)DECIMAL_TEXT_BYTES_MAX, "decimals");
_Static_assert((int)RINGTAPE_INTEGER == (int)COLUMN_INTEGER && (int)RINGTAPE_TIME == COLUMN_TIME &&
                   (int)RINGTAPE_DECIMAL == (int)COLUMN_DECIMAL &&
                   (int)RINGTAPE_CODE == (int)COLUMN_CODE && (int)RINGTAPE_TEXT == COLUMN_TEXT,
               "types");
_Static_assert((int)RINGTAPE_FOLLOW_NOT == (int)STORE_FOLLOW_NOT &&
                   (int)RINGTAPE_FOLLOW_ALL == (int)STORE_FOLLOW_ALL &&
                   (int)RINGTAPE_FOLLOW_NEW == (int)STORE_FOLLOW_NEW,
               "following");
// Both are handed through as they are.
_Static_assert(sizeof(struct ringtape_symbol) == sizeof(struct store_symbol) &&
                   offsetof(struct ringtape_symbol, rows) == offsetof(struct store_symbol, rows) &&
                   offsetof(struct ringtape_symbol, time_min) ==
                       offsetof(struct store_symbol, time_min) &&
                   offsetof(struct ringtape_symbol, time_max) ==
                       offsetof(struct store_symbol, time_max),
               "symbols");

const char *ringtape_version(void)
{
    return RINGTAPE_VERSION;
}

// ---- errors ----

const char *ringtape_strerror(int error)
{
    switch (error) {
    case RINGTAPE_NO_STORE:
        return "no store";
    case RINGTAPE_DAMAGED:
        return "damaged";
    case RINGTAPE_NEWER:
        return "written by a newer version";
    case RINGTAPE_ARGUMENT:
        return "impossible argument";
    case RINGTAPE_NO_MEMORY:
        return "out of memory";
    case RINGTAPE_SYSTEM:
        return "the system refused";
    case RINGTAPE_STALE:
        return "files needed are gone; open again";
    default:
        return error >= 0 ? "good" : "unknown error";
    }
}

static int public_error(int error)
{
    switch (error) {
    case -EBADMSG:
        return RINGTAPE_DAMAGED;
    case -EPROTONOSUPPORT:
        return RINGTAPE_NEWER;
    case -EINVAL:
    case -ENAMETOOLONG:
        return RINGTAPE_ARGUMENT;
    case -ENOMEM:
        return RINGTAPE_NO_MEMORY;
    case -ESTALE:
    case -EAGAIN:
        return RINGTAPE_STALE;
    default:
        return RINGTAPE_SYSTEM;
    }
}

int library_fail(struct ringtape_message *message, int error, const struct ringtape *store,
                 const char *what)
{
    int found = public_error(error);
    ensure(error < 0);
    if (!what)
        what = found == RINGTAPE_SYSTEM ? strerror(-error) : ringtape_strerror(found);
    if (message && store)
        (void)snprintf(message->text, sizeof message->text, "%.1000s: %.900s",
                       store_path(store->store), what);
    else if (message)
        (void)snprintf(message->text, sizeof message->text, "%.900s", what);
    return found;
}

void library_damage(void *context, const struct store_damage *damage)
{
    const struct library_listener *listener = context;
    const struct ringtape_damage told = {.path = damage->path,
                                         .what = damage->what,
                                         .offset = damage->offset,
                                         .bytes = damage->bytes,
                                         .rows = damage->rows};
    listener->damage(listener->context, &told);
}

// ---- schema ----

const struct channel_schema *library_schema(const char *channel)
{
    return channel ? channel_schema(channel_by_name(channel)) : NULL;
}

bool library_columns(const struct channel_schema *schema, const char *const *names,
                     uint32_t count, uint64_t *columns, const char **unknown)
{
    *columns = count == 0 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < count; i++) {
        int column = column_by_name(schema, names[i]);
        bool levels = schema->has_levels && strcmp(names[i], "levels") == 0;
        *unknown = names[i];
        if (column < 0 && !levels)
            return false;
        *columns |= levels ? SEGMENT_COLUMNS_LEVELS : 1ull << column;
    }
    return true;
}

void library_no_column(const struct channel_schema *schema, const char *name, const char *where,
                       char what[LIBRARY_WHAT_BYTES])
{
    ensure(schema && schema->column_count > 0);
    int used = snprintf(what, LIBRARY_WHAT_BYTES, "no such column%s: %.64s; %s has", where,
                        name ? name : "NULL", schema->name);
    for (int c = 0; c < schema->column_count; c++)
        used += snprintf(what + used, LIBRARY_WHAT_BYTES - (size_t)used, "%s%s",
                         c == 0 ? " " : ", ", schema->columns[c].name);
    // Conditions are on columns only.
    if (schema->has_levels && where[0] == 0)
        used += snprintf(what + used, LIBRARY_WHAT_BYTES - (size_t)used, ", levels");
    ensure(used < LIBRARY_WHAT_BYTES);
}

static const struct channel_schema *schema_number(uint32_t index)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (schema && index-- == 0)
            return schema;
    }
    return NULL;
}

static bool tell_channel(const struct channel_schema *schema, struct ringtape_channel *channel)
{
    if (!schema)
        return false;
    *channel = (struct ringtape_channel){.name = schema->name,
                                         .column_count = schema->column_count,
                                         .has_levels = schema->has_levels,
                                         .has_identity = schema->identity_count != 0};
    return true;
}

uint32_t ringtape_channel_count(void)
{
    uint32_t count = 0;
    while (schema_number(count))
        count++;
    return count;
}

bool ringtape_channel_at(uint32_t index, struct ringtape_channel *channel)
{
    return tell_channel(schema_number(index), channel);
}

bool ringtape_channel_find(const char *name, struct ringtape_channel *channel)
{
    return tell_channel(library_schema(name), channel);
}

bool ringtape_column_at(const char *channel, uint32_t number, struct ringtape_column *column)
{
    const struct channel_schema *schema = library_schema(channel);
    if (!schema || number >= schema->column_count)
        return false;
    const struct column *found = &schema->columns[number];
    *column = (struct ringtape_column){.name = found->name,
                                       .type = (enum ringtape_type)found->type,
                                       .nullable = found->nullable};
    return true;
}

int ringtape_column_find(const char *channel, const char *column)
{
    const struct channel_schema *schema = library_schema(channel);
    return schema && column ? column_by_name(schema, column) : -1;
}

static const struct column *code_column(const char *channel, int column)
{
    const struct channel_schema *schema = library_schema(channel);
    if (!schema || column < 0 || column >= schema->column_count)
        return NULL;
    return schema->columns[column].type == COLUMN_CODE ? &schema->columns[column] : NULL;
}

const char *ringtape_code_name(const char *channel, int column, int64_t value)
{
    const struct column *found = code_column(channel, column);
    return found ? code_name(found, value) : NULL;
}

int64_t ringtape_code_find(const char *channel, int column, const char *name)
{
    const struct column *found = code_column(channel, column);
    for (int64_t value = 0; found && name && code_name(found, value); value++) {
        if (strcmp(code_name(found, value), name) == 0)
            return value;
    }
    return -1;
}

// ---- store ----

int ringtape_open(struct ringtape **out, const char *path, struct ringtape_message *message)
{
    struct store_message told = {.text = ""};
    struct ringtape *store = calloc(1, sizeof *store);
    if (!store)
        return library_fail(message, -ENOMEM, NULL, NULL);
    int error = store_open(&store->store, path, &told);
    if (error == 0) {
        *out = store;
        return 0;
    }
    free(store);
    (void)library_fail(message, error, NULL, told.text[0] ? told.text : NULL);
    return error == -ENOENT ? RINGTAPE_NO_STORE : public_error(error);
}

void ringtape_close(struct ringtape *store)
{
    if (!store)
        return;
    store_close(store->store);
    free(store);
}

int ringtape_refresh(struct ringtape *store, struct ringtape_message *message)
{
    struct store_message told = {.text = ""};
    int error = store_refresh(store->store, &told);
    if (error < 0)
        return library_fail(message, error, NULL, told.text[0] ? told.text : NULL);
    return 0;
}

static void add_to_day(struct ringtape_day *day, const struct catalogue_segment *segment)
{
    day->segments++;
    day->rows += segment->rows;
    day->bytes += segment->bytes;
    day->time_min = segment->time_min < day->time_min ? segment->time_min : day->time_min;
    day->time_max = segment->time_max > day->time_max ? segment->time_max : day->time_max;
}

uint32_t ringtape_days(const struct ringtape *store, struct ringtape_day *days, uint32_t room)
{
    const struct catalogue *catalogue = store_catalogue(store->store);
    uint32_t count = 0;
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *segment = &catalogue->segments[i];
        bool same = i > 0 && segment[-1].channel == segment->channel &&
                    segment[-1].day == segment->day;
        if (!same && count++ < room)
            days[count - 1] =
                (struct ringtape_day){.channel = channel_schema(segment->channel)->name,
                                      .day = segment->day,
                                      .time_min = INT64_MAX,
                                      .time_max = INT64_MIN};
        if (count <= room)
            add_to_day(&days[count - 1], segment);
    }
    return count;
}

int ringtape_symbols(struct ringtape *store, const char *channel, struct ringtape_symbol **symbols,
                     uint32_t *count, struct ringtape_message *message)
{
    const struct channel_schema *schema = library_schema(channel);
    struct store_symbol *found;
    if (!schema)
        return library_fail(message, -EINVAL, store, "no such channel");
    struct store_query query = store_query_all(schema->channel);
    int error = store_symbols(store->store, &query, &found, count);
    if (error < 0)
        return library_fail(message, error, store, NULL);
    *symbols = (struct ringtape_symbol *)(void *)found;
    return 0;
}

void ringtape_symbols_free(struct ringtape_symbol *symbols)
{
    free(symbols);
}

// ---- helpers ----

bool ringtape_rescale(int64_t mantissa, uint8_t scale, uint8_t new_scale, int64_t *rescaled)
{
    __int128 found;
    if (scale > DECIMAL_SCALE_MAX || new_scale > DECIMAL_SCALE_MAX ||
        !decimal_text_rescale(mantissa, scale, new_scale, 38, &found) || found > INT64_MAX ||
        found < INT64_MIN)
        return false;
    *rescaled = (int64_t)found;
    return true;
}

size_t ringtape_decimal_text(int64_t mantissa, uint8_t scale, char out[RINGTAPE_DECIMAL_BYTES])
{
    return decimal_text_format(out, mantissa, scale <= DECIMAL_TEXT_SCALE_MAX ? scale : 0);
}
