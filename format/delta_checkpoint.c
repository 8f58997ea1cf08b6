// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of version 1, and what they make superfluous.
//
//     PAR1 · "RTDELTA1", size, compressed size, hash · the state as lines, zstd · pages · footer
//
// Readers of Parquet go by the footer and never see what lies between the first four bytes and the
// first page: there the same state stands as lines of a log, for this library, which so needs no
// reader of nested Parquet. One file, so the two cannot differ; where the hash is wrong or the mark
// is missing, the checkpoint is somebody else's and is not used.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "format/delta_inside.h"
#include "format/ensure.h"
#include "format/parquet_nested.h"

enum {
    LEVEL = 3,
    MARK_AT = 4, // behind "PAR1"
    STATE_AT = MARK_AT + 32,
    CLEAN_EVERY = 100, // commits
    VALUE_BYTES = 512,
};
static const char mark[8] = {'R', 'T', 'D', 'E', 'L', 'T', 'A', '1'};

// ---- the state as lines ----

static void put_line(struct delta_text *text, const char *kind, const char *action, size_t size)
{
    delta_text_print(text, "{\"%s\":", kind);
    delta_text_bytes(text, action, size);
    delta_text_bytes(text, "}\n", 2);
}

static bool is_expired(const struct delta_file *file, int64_t before_ms)
{
    return !file->live && file->time_ms < before_ms;
}

static void put_state(const struct delta *delta, int64_t before_ms, struct delta_text *text)
{
    delta_text_print(text, "{\"protocol\":{\"minReaderVersion\":%d,\"minWriterVersion\":%d}}\n",
                     delta->reader_version, delta->writer_version);
    put_line(text, "metaData", delta->metadata, delta->metadata_size);
    for (uint32_t i = 0; i < delta->txn_count; i++) {
        const struct delta_txn *txn = &delta->txns[i];
        delta_text_print(text, "{\"txn\":{\"appId\":");
        delta_text_quote(text, txn->app);
        delta_text_print(text, ",\"version\":%" PRId64 ",\"lastUpdated\":%" PRId64 "}}\n",
                         txn->version, txn->time_ms);
    }
    for (uint32_t i = 0; i < delta->file_count; i++) {
        const struct delta_file *file = &delta->files[i];
        if (!is_expired(file, before_ms))
            put_line(text, file->live ? "add" : "remove", file->action, file->action_size);
    }
}

// Mark and state, as they stand in the file. 0 or -ENOMEM.
static int pack_state(const struct delta_text *state, char **packed, size_t *size)
{
    if (state->failed) return -ENOMEM;
    const size_t bound = ZSTD_compressBound(state->size);
    char *out = malloc(STATE_AT - MARK_AT + bound);
    if (out == NULL) return -ENOMEM;
    char *body = out + STATE_AT - MARK_AT;
    const uint64_t compressed = ZSTD_compress(body, bound, state->bytes, state->size, LEVEL);
    if (ZSTD_isError(compressed)) {
        free(out);
        return -ENOMEM;
    }
    const uint64_t head[3] = {state->size, compressed, XXH3_64bits(body, compressed)};
    memcpy(out, mark, sizeof mark);
    memcpy(out + sizeof mark, head, sizeof head);
    *packed = out;
    *size = STATE_AT - MARK_AT + compressed;
    return 0;
}

// The lines of a file of ours; false: not one of ours, or damaged.
static bool unpack_state(const char *bytes, size_t size, char **lines, size_t *line_size)
{
    uint64_t head[3];
    if (size < STATE_AT || memcmp(bytes + MARK_AT, mark, sizeof mark) != 0) return false;
    memcpy(head, bytes + MARK_AT + sizeof mark, sizeof head);
    if (head[0] > (uint64_t)DELTA_FILE_BYTES_MAX || head[1] > size - STATE_AT ||
        head[2] != XXH3_64bits(bytes + STATE_AT, head[1]))
        return false;
    char *out = malloc(head[0] + 1);
    if (out == NULL) return false;
    const size_t got = ZSTD_decompress(out, head[0], bytes + STATE_AT, head[1]);
    if (ZSTD_isError(got) || got != head[0]) {
        free(out);
        return false;
    }
    *lines = out;
    *line_size = head[0];
    return true;
}

int delta_checkpoint_load(struct delta *delta, int64_t version, char **lines, size_t *size)
{
    char path[DELTA_PATH_BYTES_MAX];
    char *bytes;
    size_t file_size;
    delta_log_path(delta, version, ".checkpoint.parquet", path);
    int error = delta->disk.read(delta->disk.context, path, &bytes, &file_size);
    if (error != 0) return error;
    if (!unpack_state(bytes, file_size, lines, size)) error = -ENOENT;
    free(bytes);
    return error;
}

// ---- the state as Parquet ----

enum { GROUP_TXN, GROUP_ADD, GROUP_REMOVE, GROUP_METADATA, GROUP_PROTOCOL };

#define LEAF(name, type)                                                                           \
    {                                                                                              \
        name, PARQUET_NESTED_##type, PARQUET_NESTED_OPTIONAL, 0                                    \
    }
#define GROUP(name, children)                                                                      \
    {                                                                                              \
        name, PARQUET_NESTED_GROUP, PARQUET_NESTED_OPTIONAL, children                              \
    }
#define MAP(name)                                                                                  \
    {name, PARQUET_NESTED_MAP, PARQUET_NESTED_OPTIONAL, 1},                                        \
        {"key_value", PARQUET_NESTED_GROUP, PARQUET_NESTED_REPEATED, 2},                           \
        {"key", PARQUET_NESTED_STRING, PARQUET_NESTED_REQUIRED, 0}, LEAF("value", STRING)

static const struct parquet_nested_node nodes[] = {
    GROUP("txn", 3), LEAF("appId", STRING), LEAF("version", INT64), LEAF("lastUpdated", INT64),
    GROUP("add", 7), LEAF("path", STRING), MAP("partitionValues"), LEAF("size", INT64),
    LEAF("modificationTime", INT64), LEAF("dataChange", BOOLEAN), LEAF("stats", STRING),
    MAP("tags"),
    GROUP("remove", 6), LEAF("path", STRING), LEAF("deletionTimestamp", INT64),
    LEAF("dataChange", BOOLEAN), LEAF("extendedFileMetadata", BOOLEAN), MAP("partitionValues"),
    LEAF("size", INT64),
    GROUP("metaData", 8), LEAF("id", STRING), LEAF("name", STRING), LEAF("description", STRING),
    GROUP("format", 2), LEAF("provider", STRING), MAP("options"), LEAF("schemaString", STRING),
    {"partitionColumns", PARQUET_NESTED_LIST, PARQUET_NESTED_OPTIONAL, 1},
    {"list", PARQUET_NESTED_GROUP, PARQUET_NESTED_REPEATED, 1}, LEAF("element", STRING),
    MAP("configuration"), LEAF("createdTime", INT64),
    GROUP("protocol", 2), LEAF("minReaderVersion", INT32), LEAF("minWriterVersion", INT32),
};

// Where the fields of an action go; leaves as numbered by `nodes`.
enum field_kind { FIELD_TEXT, FIELD_LONG, FIELD_TRUTH, FIELD_MAP, FIELD_LIST, FIELD_FORMAT };
struct field {
    uint8_t group;
    uint8_t leaf;
    enum field_kind kind;
    const char *key;
};
static const struct field fields[] = {
    {GROUP_ADD, 3, FIELD_TEXT, "path"},
    {GROUP_ADD, 4, FIELD_MAP, "partitionValues"},
    {GROUP_ADD, 6, FIELD_LONG, "size"},
    {GROUP_ADD, 7, FIELD_LONG, "modificationTime"},
    {GROUP_ADD, 9, FIELD_TEXT, "stats"},
    {GROUP_ADD, 10, FIELD_MAP, "tags"},
    {GROUP_REMOVE, 12, FIELD_TEXT, "path"},
    {GROUP_REMOVE, 13, FIELD_LONG, "deletionTimestamp"},
    {GROUP_REMOVE, 15, FIELD_TRUTH, "extendedFileMetadata"},
    {GROUP_REMOVE, 16, FIELD_MAP, "partitionValues"},
    {GROUP_REMOVE, 18, FIELD_LONG, "size"},
    {GROUP_METADATA, 19, FIELD_TEXT, "id"},
    {GROUP_METADATA, 20, FIELD_TEXT, "name"},
    {GROUP_METADATA, 21, FIELD_TEXT, "description"},
    {GROUP_METADATA, 22, FIELD_FORMAT, "format"},
    {GROUP_METADATA, 25, FIELD_TEXT, "schemaString"},
    {GROUP_METADATA, 26, FIELD_LIST, "partitionColumns"},
    {GROUP_METADATA, 27, FIELD_MAP, "configuration"},
    {GROUP_METADATA, 29, FIELD_LONG, "createdTime"},
};
enum { ADD_DATA_CHANGE = 8, REMOVE_DATA_CHANGE = 14, READER_VERSION = 30, WRITER_VERSION = 31 };

// What is being written, and room for one text.
struct sheet {
    struct parquet_nested *writer;
    char *room;
    size_t room_size;
    uint32_t seen; // fields of the row being written; who writes a key twice is heard once
};
_Static_assert(sizeof fields / sizeof *fields <= 32, "a bit each");

// The text that is next; it is ours and was read before, so it is well-formed.
static size_t take_text(struct sheet *sheet, struct delta_json *json)
{
    size_t size;
    const char *raw = delta_json_raw(json, &size);
    if (size + 1 > sheet->room_size) {
        char *grown = realloc(sheet->room, size + 1);
        json->bad = json->bad || grown == NULL;
        if (grown == NULL) return 0;
        sheet->room = grown;
        sheet->room_size = size + 1;
    }
    struct delta_json inner = delta_json_of(raw, size);
    const size_t length = delta_json_text(&inner, sheet->room, sheet->room_size);
    json->bad = json->bad || inner.bad;
    return length;
}

static void put_text(struct sheet *sheet, uint32_t leaf, uint32_t repetition,
                     struct delta_json *json)
{
    const size_t size = take_text(sheet, json);
    json->bad = json->bad || size > PARQUET_NESTED_TEXT_BYTES_MAX;
    if (!json->bad) parquet_nested_text(sheet->writer, leaf, repetition, sheet->room, size);
}

// `present`: the definition level of a map that is there.
static void put_map(struct sheet *sheet, uint32_t leaf, uint32_t present, struct delta_json *json)
{
    char key[VALUE_BYTES];
    uint32_t count = 0;
    delta_json_open(json, '{');
    while (delta_json_key(json, key, sizeof key)) {
        const uint32_t repetition = count++ > 0;
        parquet_nested_text(sheet->writer, leaf, repetition, key, strlen(key));
        if (delta_json_null(json))
            parquet_nested_none(sheet->writer, leaf + 1, repetition, present + 1);
        else
            put_text(sheet, leaf + 1, repetition, json);
    }
    if (count > 0 || json->bad) return;
    parquet_nested_none(sheet->writer, leaf, 0, present);
    parquet_nested_none(sheet->writer, leaf + 1, 0, present);
}

static void put_list(struct sheet *sheet, uint32_t leaf, struct delta_json *json)
{
    uint32_t count = 0;
    delta_json_open(json, '[');
    while (delta_json_element(json)) put_text(sheet, leaf, count++ > 0, json);
    if (count == 0 && !json->bad) parquet_nested_none(sheet->writer, leaf, 0, 2);
}

// Always Parquet, without options.
static void put_format(struct sheet *sheet, uint32_t leaf, struct delta_json *json)
{
    delta_json_skip(json);
    parquet_nested_text(sheet->writer, leaf, 0, "parquet", strlen("parquet"));
    parquet_nested_none(sheet->writer, leaf + 1, 0, 3);
    parquet_nested_none(sheet->writer, leaf + 2, 0, 3);
}

static void put_field(struct sheet *sheet, uint32_t group, const char *key,
                      struct delta_json *json)
{
    const struct field *field = fields;
    const struct field *end = fields + sizeof fields / sizeof *fields;
    while (field < end && (field->group != group || strcmp(field->key, key) != 0)) field++;
    const uint32_t bit = field < end ? 1u << (field - fields) : 0;
    if (bit == 0 || (sheet->seen & bit) != 0) {
        delta_json_skip(json);
        return;
    }
    sheet->seen |= bit;
    if (delta_json_null(json)) return;
    switch (field->kind) {
    case FIELD_TEXT: put_text(sheet, field->leaf, 0, json); return;
    case FIELD_MAP: put_map(sheet, field->leaf, 2, json); return;
    case FIELD_LIST: put_list(sheet, field->leaf, json); return;
    case FIELD_FORMAT: put_format(sheet, field->leaf, json); return;
    case FIELD_LONG:
        parquet_nested_int64(sheet->writer, field->leaf, delta_json_integer(json));
        return;
    case FIELD_TRUTH:
        parquet_nested_boolean(sheet->writer, field->leaf, delta_json_boolean(json));
        return;
    }
    ensure(false);
}

static int put_action(struct sheet *sheet, uint32_t group, const char *action, size_t size)
{
    char key[VALUE_BYTES];
    struct delta_json json = delta_json_of(action, size);
    parquet_nested_row(sheet->writer, group);
    sheet->seen = 0;
    delta_json_open(&json, '{');
    while (delta_json_key(&json, key, sizeof key)) put_field(sheet, group, key, &json);
    // A checkpoint is no change of data.
    if (group == GROUP_ADD) parquet_nested_boolean(sheet->writer, ADD_DATA_CHANGE, false);
    if (group == GROUP_REMOVE) parquet_nested_boolean(sheet->writer, REMOVE_DATA_CHANGE, false);
    parquet_nested_row_end(sheet->writer);
    return json.bad ? -EBADMSG : 0;
}

static void put_txn(struct sheet *sheet, const struct delta_txn *txn)
{
    parquet_nested_row(sheet->writer, GROUP_TXN);
    parquet_nested_text(sheet->writer, 0, 0, txn->app, strlen(txn->app));
    parquet_nested_int64(sheet->writer, 1, txn->version);
    if (txn->time_ms > 0) parquet_nested_int64(sheet->writer, 2, txn->time_ms);
    parquet_nested_row_end(sheet->writer);
}

// Rows of the checkpoint; *rows gets how many.
static int put_rows(struct sheet *sheet, const struct delta *delta, int64_t before_ms,
                    int64_t *rows)
{
    int error = put_action(sheet, GROUP_METADATA, delta->metadata, delta->metadata_size);
    parquet_nested_row(sheet->writer, GROUP_PROTOCOL);
    parquet_nested_int32(sheet->writer, READER_VERSION, delta->reader_version);
    parquet_nested_int32(sheet->writer, WRITER_VERSION, delta->writer_version);
    parquet_nested_row_end(sheet->writer);
    for (uint32_t i = 0; i < delta->txn_count; i++) put_txn(sheet, &delta->txns[i]);
    *rows = 2 + delta->txn_count;
    for (uint32_t i = 0; i < delta->file_count && error == 0; i++) {
        const struct delta_file *file = &delta->files[i];
        if (is_expired(file, before_ms)) continue;
        error = put_action(sheet, file->live ? GROUP_ADD : GROUP_REMOVE, file->action,
                           file->action_size);
        ++*rows;
    }
    return error;
}

static int collect(void *context, const void *bytes, size_t size)
{
    struct delta_text *text = context;
    delta_text_bytes(text, bytes, size);
    return text->failed ? -ENOMEM : 0;
}

// The whole file into `out`.
static int spell(const struct delta *delta, int64_t before_ms, const char *created_by,
                 struct delta_text *out, int64_t *rows)
{
    struct delta_text state = {0};
    struct sheet sheet = {0};
    char *packed = NULL;
    size_t size = 0;
    put_state(delta, before_ms, &state);
    int error = pack_state(&state, &packed, &size);
    if (error == 0)
        error = parquet_nested_open(&sheet.writer, nodes, sizeof nodes / sizeof *nodes, created_by,
                                    collect, out);
    if (error == 0) parquet_nested_prefix(sheet.writer, packed, size);
    if (error == 0) error = put_rows(&sheet, delta, before_ms, rows);
    if (error == 0) error = parquet_nested_finish(sheet.writer);
    parquet_nested_close(sheet.writer);
    free(sheet.room);
    free(packed);
    delta_text_free(&state);
    return error;
}

// ---- what is superfluous then ----

struct cleaning {
    struct delta *delta;
    int64_t json_first;
    int64_t *checkpoints; // some of them, the rest comes next time
    uint32_t count, room;
};

static void see_name(void *to, const char *name)
{
    struct cleaning *cleaning = to;
    char *end;
    const long long version = strtoll(name, &end, 10);
    if (end != name + 20 || version < 0) return;
    if (strcmp(end, ".json") == 0 && (cleaning->json_first < 0 || version < cleaning->json_first))
        cleaning->json_first = version;
    if (strcmp(end, ".checkpoint.parquet") == 0 && cleaning->count < cleaning->room)
        cleaning->checkpoints[cleaning->count++] = version;
}

// When the commit was made, by its commitInfo; INT64_MAX: not told.
static int64_t commit_time_ms(struct delta *delta, int64_t version)
{
    static const char begin[] = "{\"commitInfo\":{\"timestamp\":";
    char path[DELTA_PATH_BYTES_MAX];
    char *bytes;
    size_t size;
    int64_t time_ms = INT64_MAX;
    delta_log_path(delta, version, ".json", path);
    if (delta->disk.read(delta->disk.context, path, &bytes, &size) != 0) return INT64_MAX;
    const char *found = strstr(bytes, begin); // the file ends with a zero
    if (found != NULL) time_ms = strtoll(found + sizeof begin - 1, NULL, 10);
    free(bytes);
    return time_ms > 0 ? time_ms : INT64_MAX;
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void remove_version(struct delta *delta, int64_t version, const char *ending)
{
    char path[DELTA_PATH_BYTES_MAX];
    delta_log_path(delta, version, ending, path);
    (void)delta->disk.unlink(delta->disk.context, path);
}

// The oldest version kept is one with a checkpoint; all before it are as old as asked.
static void clean(struct delta *delta, int64_t before_ms)
{
    enum { CHECKPOINTS_MAX = 4096 };
    struct cleaning cleaning = {.delta = delta, .json_first = -1, .room = CHECKPOINTS_MAX};
    char directory[DELTA_PATH_BYTES_MAX];
    int64_t keep = -1;
    cleaning.checkpoints = malloc(CHECKPOINTS_MAX * sizeof *cleaning.checkpoints);
    if (cleaning.checkpoints == NULL) return;
    delta_log_name(delta, "", directory);
    (void)delta->disk.list(delta->disk.context, directory, see_name, &cleaning);
    if (cleaning.count > 0)
        qsort(cleaning.checkpoints, cleaning.count, sizeof *cleaning.checkpoints, ascending);
    for (uint32_t i = 0; i < cleaning.count; i++)
        if (commit_time_ms(delta, cleaning.checkpoints[i]) < before_ms)
            keep = cleaning.checkpoints[i];
        else
            break;
    for (int64_t version = cleaning.json_first; version >= 0 && version < keep; version++)
        remove_version(delta, version, ".json");
    for (uint32_t i = 0; i < cleaning.count && cleaning.checkpoints[i] < keep; i++)
        remove_version(delta, cleaning.checkpoints[i], ".checkpoint.parquet");
    free(cleaning.checkpoints);
}

// ---- writing ----

static int place(struct delta *delta, const char *name, const void *bytes, size_t size)
{
    char path[DELTA_PATH_BYTES_MAX], written[DELTA_PATH_BYTES_MAX];
    const struct delta_disk *disk = &delta->disk;
    delta_log_name(delta, name, path);
    delta_log_name(delta, ".ringtape-checkpoint", written);
    const int error = disk->write(disk->context, written, bytes, size);
    return error == 0 ? disk->rename(disk->context, written, path) : error;
}

static int place_all(struct delta *delta, const struct delta_text *file, int64_t rows)
{
    char name[64], directory[DELTA_PATH_BYTES_MAX];
    (void)snprintf(name, sizeof name, "%020" PRId64 ".checkpoint.parquet", delta->version);
    delta_log_name(delta, "", directory);
    int error = place(delta, name, file->bytes, file->size);
    if (error == 0) error = delta->disk.sync(delta->disk.context, directory);
    if (error != 0) return error;
    struct delta_text last = {0};
    delta_text_print(&last, "{\"version\":%" PRId64 ",\"size\":%" PRId64 "}", delta->version, rows);
    error = last.failed ? -ENOMEM : place(delta, "_last_checkpoint", last.bytes, last.size);
    if (error == 0) error = delta->disk.sync(delta->disk.context, directory);
    delta_text_free(&last);
    return error;
}

int delta_checkpoint(struct delta *delta, int64_t now_ms, int64_t keep_ms, const char *created_by,
                     struct delta_message *message)
{
    struct delta_text file = {0};
    int64_t rows = 0;
    const int64_t before_ms = now_ms - keep_ms;
    ensure(delta->version >= 0 && keep_ms >= 0);
    if (delta->version - delta->checkpoint_version < DELTA_CHECKPOINT_EVERY) return 0;
    delta->message = message;
    int error = spell(delta, before_ms, created_by, &file, &rows);
    if (error == 0) error = place_all(delta, &file, rows);
    delta_text_free(&file);
    if (error != 0)
        (void)delta_fail(delta, error, "checkpoint %" PRId64 " cannot be written: %s",
                         delta->version, strerror(-error));
    if (error == 0 && delta->version / CLEAN_EVERY > delta->checkpoint_version / CLEAN_EVERY)
        clean(delta, before_ms);
    if (error == 0) delta->checkpoint_version = delta->version;
    delta->message = NULL;
    return error;
}
