// SPDX-License-Identifier: Apache-2.0
//
// Lines of a log → the state of the table. What an action does not need is skipped, unknown actions
// and unknown fields too, as the protocol asks of readers.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "format/delta_inside.h"
#include "format/ensure.h"

enum { TAPES_BYTES = 64 };

// The text that is next, kept; NULL: bad, or no memory left.
static const char *keep_text(struct delta *delta, struct delta_json *json)
{
    size_t size;
    const char *raw = delta_json_raw(json, &size);
    if (json->bad || size < 2 || *raw != '"') {
        json->bad = true;
        return NULL;
    }
    char *kept = delta_keep(delta, raw, size); // unescaped it is shorter
    struct delta_json inner = delta_json_of(raw, size);
    if (kept != NULL) (void)delta_json_text(&inner, kept, size + 1);
    json->bad = json->bad || kept == NULL || inner.bad;
    return kept;
}

// ---- files ----

static int hex_value(char digit)
{
    return digit >= '0' && digit <= '9'   ? digit - '0'
           : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
           : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                          : -1;
}

// "a%20b" → "a b", in place.
static void decode_path(char *path)
{
    char *to = path;
    for (const char *from = path; *from != 0; to++) {
        const int high = *from == '%' ? hex_value(from[1]) : -1;
        const int low = high >= 0 ? hex_value(from[2]) : -1;
        *to = low >= 0 ? (char)(high << 4 | low) : *from;
        from += low >= 0 ? 3 : 1;
    }
    *to = 0;
}

static uint32_t *place_of(struct delta *delta, const char *path)
{
    ensure(delta->place_count > delta->file_count);
    const uint32_t mask = delta->place_count - 1;
    uint32_t at = (uint32_t)XXH3_64bits(path, strlen(path)) & mask;
    while (delta->places[at] != 0 && strcmp(delta->files[delta->places[at] - 1].path, path) != 0)
        at = (at + 1) & mask;
    return &delta->places[at];
}

struct delta_file *delta_find_file(struct delta *delta, const char *path)
{
    if (delta->place_count == 0) return NULL;
    const uint32_t place = *place_of(delta, path);
    return place != 0 ? &delta->files[place - 1] : NULL;
}

static bool grow_places(struct delta *delta)
{
    const uint32_t count = delta->place_count == 0 ? 256 : 2 * delta->place_count;
    uint32_t *places = calloc(count, sizeof *places);
    if (places == NULL) return false;
    free(delta->places);
    delta->places = places;
    delta->place_count = count;
    for (uint32_t i = 0; i < delta->file_count; i++)
        *place_of(delta, delta->files[i].path) = i + 1;
    return true;
}

// As if nothing had been said of it but its path.
static void reset_file(struct delta_file *file)
{
    *file = (struct delta_file){
        .path = file->path, .exchange = "", .date = "", .store = "", .rows = -1};
}

// The file of that path, a new one if there is none. NULL: no memory left.
static struct delta_file *take_file(struct delta *delta, const char *path)
{
    struct delta_file *found = delta_find_file(delta, path);
    if (found != NULL) return found;
    if (delta->file_count == delta->file_room) {
        const uint32_t room = delta->file_room == 0 ? 128 : 2 * delta->file_room;
        struct delta_file *grown = realloc(delta->files, room * sizeof *grown);
        if (grown == NULL) return NULL;
        delta->files = grown;
        delta->file_room = room;
    }
    if (2 * delta->file_count >= delta->place_count && !grow_places(delta)) return NULL;
    *place_of(delta, path) = delta->file_count + 1;
    found = &delta->files[delta->file_count++];
    found->path = path;
    reset_file(found);
    return found;
}

static void take_partition(struct delta *delta, struct delta_json *json, struct delta_file *file)
{
    char key[DELTA_KEY_BYTES];
    delta_json_open(json, '{');
    while (delta_json_key(json, key, sizeof key)) {
        if (delta_json_null(json)) continue;
        const char *value = keep_text(delta, json);
        if (value == NULL) return;
        if (strcmp(key, "exchange") == 0) file->exchange = value;
        if (strcmp(key, "date") == 0) file->date = value;
    }
}

// "12-17".
static void take_tapes(struct delta_file *file, const char *text)
{
    char *end;
    errno = 0;
    const long long from = strtoll(text, &end, 10);
    if (*end != '-' || errno != 0) return;
    const long long to = strtoll(end + 1, &end, 10);
    if (*end != 0 || errno != 0 || from < 0 || to < from) return;
    file->tape_from = from;
    file->tape_to = to;
}

static void take_tags(struct delta *delta, struct delta_json *json, struct delta_file *file)
{
    char key[DELTA_KEY_BYTES], tapes[TAPES_BYTES];
    if (delta_json_null(json)) return;
    delta_json_open(json, '{');
    while (delta_json_key(json, key, sizeof key)) {
        if (strcmp(key, "ringtape.store") == 0) {
            const char *store = keep_text(delta, json);
            if (store != NULL) file->store = store;
        } else if (strcmp(key, "ringtape.tapes") == 0) {
            (void)delta_json_text(json, tapes, sizeof tapes);
            take_tapes(file, tapes);
        } else {
            delta_json_skip(json);
        }
    }
}

static void take_stats(struct delta *delta, struct delta_json *json, struct delta_file *file)
{
    char key[DELTA_KEY_BYTES];
    if (delta_json_null(json)) return;
    const char *text = keep_text(delta, json);
    if (text == NULL) return;
    struct delta_json stats = delta_json_of(text, strlen(text));
    delta_json_open(&stats, '{');
    while (delta_json_key(&stats, key, sizeof key)) {
        if (strcmp(key, "numRecords") == 0)
            file->rows = delta_json_integer(&stats);
        else
            delta_json_skip(&stats);
    }
    if (stats.bad) file->rows = -1; // statistics may be anything: then they say nothing
}

static void take_file_field(struct delta *delta, struct delta_json *json, const char *key,
                            struct delta_file *file)
{
    if (strcmp(key, "partitionValues") == 0 && !delta_json_null(json))
        take_partition(delta, json, file);
    else if (strcmp(key, "size") == 0 && !delta_json_null(json))
        file->bytes = delta_json_integer(json);
    else if (strcmp(key, "modificationTime") == 0 || strcmp(key, "deletionTimestamp") == 0)
        file->time_ms = delta_json_null(json) ? 0 : delta_json_integer(json);
    else if (strcmp(key, "stats") == 0)
        take_stats(delta, json, file);
    else if (strcmp(key, "tags") == 0)
        take_tags(delta, json, file);
    else
        delta_json_skip(json);
}

// `raw` is an add or a remove; its path comes first wherever we wrote it, but need not.
static int take_path(struct delta *delta, const char *raw, size_t size, char **path)
{
    char key[DELTA_KEY_BYTES];
    struct delta_json json = delta_json_of(raw, size);
    *path = NULL;
    delta_json_open(&json, '{');
    while (delta_json_key(&json, key, sizeof key)) {
        if (strcmp(key, "path") == 0)
            *path = (char *)(uintptr_t)keep_text(delta, &json); // our own copy
        else
            delta_json_skip(&json);
    }
    if (json.bad || *path == NULL) return -EBADMSG;
    decode_path(*path);
    return 0;
}

static int take_file_action(struct delta *delta, struct delta_json *json, bool live)
{
    char key[DELTA_KEY_BYTES];
    char *path;
    size_t size;
    const char *raw = delta_json_raw(json, &size);
    if (json->bad || take_path(delta, raw, size, &path) != 0) return -EBADMSG;
    struct delta_file *file = take_file(delta, path);
    const char *kept = delta_keep(delta, raw, size);
    if (file == NULL || kept == NULL) return -ENOMEM;
    if (live) reset_file(file); // a remove need not repeat what the add said
    file->live = live;
    file->action = kept;
    file->action_size = size;
    struct delta_json inner = delta_json_of(kept, size);
    delta_json_open(&inner, '{');
    while (delta_json_key(&inner, key, sizeof key))
        take_file_field(delta, &inner, key, file);
    return inner.bad ? -EBADMSG : 0;
}

// ---- transactions ----

static int put_txn(struct delta *delta, const struct delta_txn *txn)
{
    for (uint32_t i = 0; i < delta->txn_count; i++) {
        if (strcmp(delta->txns[i].app, txn->app) != 0) continue;
        delta->txns[i] = *txn;
        return 0;
    }
    if (delta->txn_count == delta->txn_room) {
        const uint32_t room = delta->txn_room == 0 ? 64 : 2 * delta->txn_room;
        struct delta_txn *grown = realloc(delta->txns, room * sizeof *grown);
        if (grown == NULL) return -ENOMEM;
        delta->txns = grown;
        delta->txn_room = room;
    }
    delta->txns[delta->txn_count++] = *txn;
    return 0;
}

static int take_txn(struct delta *delta, struct delta_json *json)
{
    char key[DELTA_KEY_BYTES];
    struct delta_txn txn = {0};
    delta_json_open(json, '{');
    while (delta_json_key(json, key, sizeof key)) {
        if (strcmp(key, "appId") == 0)
            txn.app = keep_text(delta, json);
        else if (strcmp(key, "version") == 0)
            txn.version = delta_json_integer(json);
        else if (strcmp(key, "lastUpdated") == 0 && !delta_json_null(json))
            txn.time_ms = delta_json_integer(json);
        else
            delta_json_skip(json);
    }
    return json->bad || txn.app == NULL ? -EBADMSG : put_txn(delta, &txn);
}

// ---- protocol and metadata ----

static void take_features(struct delta *delta, struct delta_json *json)
{
    if (delta_json_null(json)) return;
    delta_json_open(json, '[');
    while (delta_json_element(json)) {
        const char *feature = keep_text(delta, json);
        if (delta->features == NULL) delta->features = feature;
    }
}

static int take_protocol(struct delta *delta, struct delta_json *json)
{
    char key[DELTA_KEY_BYTES];
    delta->features = NULL;
    delta_json_open(json, '{');
    while (delta_json_key(json, key, sizeof key)) {
        if (strcmp(key, "minReaderVersion") == 0)
            delta->reader_version = (int)delta_json_integer(json);
        else if (strcmp(key, "minWriterVersion") == 0)
            delta->writer_version = (int)delta_json_integer(json);
        else if (strcmp(key, "readerFeatures") == 0 || strcmp(key, "writerFeatures") == 0)
            take_features(delta, json);
        else
            delta_json_skip(json);
    }
    return json->bad ? -EBADMSG : 0;
}

static void take_configuration(struct delta *delta, struct delta_json *json)
{
    char key[DELTA_KEY_BYTES];
    delta->configuration_count = 0;
    delta_json_open(json, '{');
    while (delta_json_key(json, key, sizeof key)) {
        if (delta_json_null(json)) continue;
        const char *name = delta_keep(delta, key, strlen(key));
        const char *value = keep_text(delta, json);
        if (delta->configuration_count == DELTA_CONFIGURATION_MAX || !name || !value) continue;
        delta->configuration[delta->configuration_count][0] = name;
        delta->configuration[delta->configuration_count++][1] = value;
        if (strcmp(name, "delta.columnMapping.mode") == 0)
            delta->column_mapping = strcmp(value, "none") != 0;
    }
}

static void take_partition_columns(struct delta *delta, struct delta_json *json)
{
    struct delta_text joined = {0};
    char column[DELTA_KEY_BYTES];
    delta_json_open(json, '[');
    while (delta_json_element(json)) {
        (void)delta_json_text(json, column, sizeof column);
        delta_text_print(&joined, joined.size > 0 ? ",%s" : "%s", column);
    }
    delta->partition_columns =
        joined.failed ? NULL : delta_keep(delta, joined.bytes ? joined.bytes : "", joined.size);
    delta_text_free(&joined);
}

static int take_metadata(struct delta *delta, struct delta_json *json)
{
    char key[DELTA_KEY_BYTES];
    delta->metadata = delta_json_raw(json, &delta->metadata_size);
    if (json->bad) return -EBADMSG;
    delta->metadata = delta_keep(delta, delta->metadata, delta->metadata_size);
    if (delta->metadata == NULL) return -ENOMEM;
    delta->id = delta->schema = delta->partition_columns = NULL;
    delta->column_mapping = false;
    delta->configuration_count = 0;
    struct delta_json inner = delta_json_of(delta->metadata, delta->metadata_size);
    delta_json_open(&inner, '{');
    while (delta_json_key(&inner, key, sizeof key)) {
        if (strcmp(key, "id") == 0)
            delta->id = keep_text(delta, &inner);
        else if (strcmp(key, "schemaString") == 0)
            delta->schema = keep_text(delta, &inner);
        else if (strcmp(key, "partitionColumns") == 0)
            take_partition_columns(delta, &inner);
        else if (strcmp(key, "configuration") == 0)
            take_configuration(delta, &inner);
        else
            delta_json_skip(&inner);
    }
    return inner.bad ? -EBADMSG : 0;
}

int delta_check(struct delta *delta)
{
    if (delta->reader_version == 0 || delta->id == NULL || delta->schema == NULL ||
        delta->partition_columns == NULL)
        return delta_fail(delta, -EBADMSG, "the log has no protocol or no metadata");
    if (delta->features != NULL)
        return delta_fail(delta, -EPROTONOSUPPORT,
                          "the table asks for the feature '%.100s', which ringtape does not write; "
                          "export into another folder",
                          delta->features);
    if (delta->reader_version > DELTA_READER_VERSION ||
        delta->writer_version > DELTA_WRITER_VERSION)
        return delta_fail(delta, -EPROTONOSUPPORT,
                          "the table asks for reader %d, writer %d; ringtape writes %d and %d: "
                          "export into another folder",
                          delta->reader_version, delta->writer_version, DELTA_READER_VERSION,
                          DELTA_WRITER_VERSION);
    if (delta->column_mapping || strstr(delta->schema, "\"delta.invariants\"") != NULL)
        return delta_fail(delta, -EPROTONOSUPPORT,
                          "the table has column mapping or invariants, which ringtape does not "
                          "write; export into another folder");
    return 0;
}

// ---- lines ----

static int take_action(struct delta *delta, struct delta_json *json, const char *kind)
{
    if (delta_json_null(json)) return 0;
    if (strcmp(kind, "add") == 0) return take_file_action(delta, json, true);
    if (strcmp(kind, "remove") == 0) return take_file_action(delta, json, false);
    if (strcmp(kind, "txn") == 0) return take_txn(delta, json);
    if (strcmp(kind, "protocol") == 0) return take_protocol(delta, json);
    if (strcmp(kind, "metaData") == 0) return take_metadata(delta, json);
    delta_json_skip(json);
    return json->bad ? -EBADMSG : 0;
}

static int take_line(struct delta *delta, const char *line, size_t size)
{
    char kind[DELTA_KEY_BYTES];
    struct delta_json json = delta_json_of(line, size);
    int error = 0;
    delta_json_open(&json, '{');
    while (error == 0 && delta_json_key(&json, kind, sizeof kind))
        error = take_action(delta, &json, kind);
    return error == 0 && !delta_json_ended(&json) ? -EBADMSG : error;
}

int delta_take_lines(struct delta *delta, const char *bytes, size_t size, const char *name)
{
    uint64_t number = 1;
    for (size_t at = 0; at < size; number++) {
        const char *end = memchr(bytes + at, '\n', size - at);
        const size_t length = end != NULL ? (size_t)(end - bytes) - at : size - at;
        const int error = length > 0 ? take_line(delta, bytes + at, length) : 0;
        if (error == -ENOMEM) return delta_fail(delta, error, "not enough memory");
        if (error != 0)
            return delta_fail(delta, error,
                              "%s is damaged in line %" PRIu64 "; restore it, or export into "
                              "another folder",
                              name, number);
        at += length + 1;
    }
    return 0;
}
