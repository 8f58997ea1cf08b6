// SPDX-License-Identifier: GPL-3.0-or-later
//
// The commit of a day: what a table must say to be ours, what it knows, and the actions.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "format/version.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_delta.h"
#include "tools/ringtape_table.h"

static const char channel_key[] = "ringtape.channel";
static const char layout_key[] = "ringtape.layout";
static const char partition_columns[] = "exchange,date";

static int64_t now_ms(void)
{
    return ringtape_now_ns() / 1000000;
}

// ---- the table ----

// A table of ours says which channel it is of.
static int check_owner(const struct ringtape_delta *delta, enum channel channel)
{
    const char *said = delta_configuration(delta->table, channel_key);
    if (said == NULL)
        return ringtape_fail("%s: a table that ringtape did not make; nothing was written. Export "
                             "into another folder, or remove this one",
                             delta->path);
    if (strcmp(said, channel_schema(channel)->name) != 0 ||
        strcmp(delta_partition_columns(delta->table), partition_columns) != 0)
        return ringtape_fail("%s: a table of channel '%s', partitioned by %s; nothing was written. "
                             "Export into another folder",
                             delta->path, said, delta_partition_columns(delta->table));
    return RINGTAPE_EXIT_OK;
}

int ringtape_delta_open_table(struct ringtape_delta *delta, enum channel channel)
{
    struct delta_message message = {{0}};
    ensure(delta->table == NULL);
    const int size = snprintf(delta->path, sizeof delta->path, "%s/%s", delta->export->directory,
                              channel_schema(channel)->name);
    ensure(size > 0 && (size_t)size < sizeof delta->path); // ringtape_publish_open() looked
    delta->channel = channel;
    const int error = delta_open(&delta->table, &delta_disk_host, delta->path, &message);
    if (error != 0 && message.text[0] != 0) return ringtape_fail("%s", message.text);
    if (error != 0) return ringtape_fail("%s: %s", delta->path, ringtape_error_text(error));
    return delta_version(delta->table) >= 0 ? check_owner(delta, channel) : RINGTAPE_EXIT_OK;
}

// ---- what it knows ----

// "ringtape/<store>/2026-11-27/tapes": the highest tape, "…/messages": how many.
static void app_name(const struct ringtape_delta *delta, int32_t day, const char *what,
                     char out[DELTA_APP_BYTES])
{
    char date[11];
    catalogue_day_text(day, date);
    const int size = snprintf(out, DELTA_APP_BYTES, "ringtape/%s/%s/%s", delta->export->identity,
                              date, what);
    ensure(size > 0 && size < DELTA_APP_BYTES);
}

void ringtape_delta_known(const struct ringtape_delta *delta, int32_t day, int64_t *tape,
                          int64_t *messages)
{
    char app[DELTA_APP_BYTES];
    app_name(delta, day, "tapes", app);
    *tape = delta_txn(delta->table, app);
    app_name(delta, day, "messages", app);
    *messages = delta_txn(delta->table, app);
    if (*tape < 0) *tape = 0;
    if (*messages < 0) *messages = 0;
}

// ---- actions ----

// A random UUID, version 4.
static int make_uuid(char out[37])
{
    uint8_t bytes[16];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) return -EIO;
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out[at++] = '-';
        at += (size_t)snprintf(out + at, 3, "%02x", bytes[i]);
    }
    return 0;
}

static int put_metadata(struct ringtape_delta *delta, struct delta_commit *commit)
{
    static const char *const columns[] = {"exchange", "date", NULL};
    const char *name = channel_schema(delta->channel)->name;
    const char *configuration[DELTA_CONFIGURATION_MAX + 1][2] = {
        {channel_key, name}, {layout_key, PARQUET_ROWS_LAYOUT}, {NULL, NULL}};
    char uuid[37];
    const bool is_new = delta_version(delta->table) < 0;
    if (is_new && make_uuid(uuid) != 0)
        return ringtape_fail("%s: no random numbers from the system", delta->path);
    if (is_new) delta_put_protocol(commit);
    uint32_t pairs = 0; // what the table has stays
    while (!is_new && delta_configuration_at(delta->table, pairs, configuration[pairs])) pairs++;
    if (!is_new) configuration[pairs][0] = configuration[pairs][1] = NULL;
    const struct delta_metadata metadata = {
        .id = is_new ? uuid : delta_id(delta->table),
        .name = name,
        .schema = delta->schema.bytes,
        .partition_columns = columns,
        .configuration = (const char *const(*)[2])configuration,
        .created_ms = now_ms(),
    };
    delta_put_metadata(commit, &metadata);
    return 0;
}

static void put_info(const struct ringtape_delta *delta, struct delta_commit *commit)
{
    static const char *const operations[][2] = {
        [RINGTAPE_DELTA_APPEND] = {"WRITE", "Append"},
        [RINGTAPE_DELTA_REPLACE] = {"WRITE", "Overwrite"},
        [RINGTAPE_DELTA_COMPACT] = {"OPTIMIZE", "Compact"},
    };
    char engine[RINGTAPE_DELTA_ENGINE_BYTES];
    (void)snprintf(engine, sizeof engine, "ringtape/%s", RINGTAPE_VERSION);
    const struct delta_info info = {
        .operation = operations[delta->plan.mode][0],
        .mode = operations[delta->plan.mode][1],
        .engine = engine,
        .blind_append = delta->plan.mode == RINGTAPE_DELTA_APPEND,
        .time_ms = now_ms(),
    };
    delta_put_info(commit, &info);
}

// Does the file hold rows that the plan writes again?
static bool is_replaced(const struct ringtape_delta *delta, const struct delta_file *file)
{
    return file->live && strcmp(file->date, delta->date) == 0 &&
           strcmp(file->store, delta->export->identity) == 0 &&
           (delta->only == NULL || strcmp(delta->only, file->exchange) == 0) &&
           file->tape_from >= delta->plan.from;
}

// 0, or 1: the table holds something of this day that cannot be told from ours; told.
static int put_removes(struct ringtape_delta *delta, struct delta_commit *commit)
{
    const bool compacts = delta->plan.mode == RINGTAPE_DELTA_COMPACT;
    uint32_t count;
    int64_t gone = 0, come = 0;
    const struct delta_file *files = delta_files(delta->table, &count);
    if (delta->plan.mode == RINGTAPE_DELTA_APPEND) return 0;
    const char *append_only = delta_configuration(delta->table, "delta.appendOnly");
    if (!compacts && append_only != NULL && strcmp(append_only, "true") == 0) {
        (void)ringtape_fail("%s: %s must be written again, but the table is set to be appended to "
                            "only (delta.appendOnly); set it to false and export again",
                            delta->path, delta->date);
        return 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!compacts && files[i].live && files[i].store[0] == 0 &&
            strcmp(files[i].date, delta->date) == 0) {
            (void)ringtape_fail("%s: %s must be written again, but another program put its rows "
                                "into files of its own (%s); delete the rows of that day and "
                                "export again",
                                delta->path, delta->date, files[i].path);
            return 1;
        }
        if (!is_replaced(delta, &files[i])) continue;
        delta_put_remove(commit, &files[i], now_ms(), !compacts);
        delta->removed++;
        gone += files[i].rows;
    }
    for (uint32_t i = 0; i < delta->taken_count; i++) come += delta->taken[i].rows;
    if (compacts ? gone == come : gone <= come) return 0;
    (void)ringtape_fail("%s: %s%s%s stays as it is: the table has %" PRId64 " rows there, the "
                        "store %" PRId64,
                        delta->path, delta->date, delta->only != NULL ? " of " : "",
                        delta->only != NULL ? delta->only : "", gone, come);
    return 1;
}

static void put_adds(struct ringtape_delta *delta, struct delta_commit *commit)
{
    for (uint32_t i = 0; i < delta->taken_count; i++) {
        const struct ringtape_delta_taken *taken = &delta->taken[i];
        const struct delta_add add = {
            .path = taken->path,
            .exchange = taken->exchange,
            .date = delta->date,
            .store = delta->export->identity,
            .tape_from = delta->plan.from,
            .tape_to = delta->plan.to,
            .bytes = taken->bytes,
            .time_ms = now_ms(),
            .data_change = delta->plan.mode != RINGTAPE_DELTA_COMPACT,
            .stats = taken->stats,
        };
        delta_put_add(commit, &add);
    }
}

// 0 or -EPERM: told.
static int put_actions(struct ringtape_delta *delta, struct delta_commit *commit)
{
    char app[DELTA_APP_BYTES];
    put_info(delta, commit);
    if (delta_version(delta->table) < 0 || delta->columns_added > 0) {
        if (put_metadata(delta, commit) != 0) return -EPERM;
    }
    if (delta->plan.mode != RINGTAPE_DELTA_COMPACT) {
        app_name(delta, delta->day, "tapes", app);
        delta_put_txn(commit, app, delta->plan.to, now_ms());
        app_name(delta, delta->day, "messages", app);
        delta_put_txn(commit, app, delta->plan.messages, now_ms());
    }
    if (put_removes(delta, commit) != 0) return -EPERM;
    put_adds(delta, commit);
    return 0;
}

// ---- telling ----

static const char *mode_text(const struct ringtape_delta *delta)
{
    switch (delta->plan.mode) {
    case RINGTAPE_DELTA_APPEND: return "appended";
    case RINGTAPE_DELTA_REPLACE: return "replaced";
    case RINGTAPE_DELTA_COMPACT: return "compacted";
    default: ensure(false); return "";
    }
}

static void tell_json(struct ringtape_delta *delta, int64_t rows, int64_t bytes, int64_t commit_ns)
{
    if (delta->lines) ringtape_json_start(&delta->json, stdout);
    ringtape_json_object(&delta->json, NULL);
    ringtape_json_text(&delta->json, "channel", channel_schema(delta->channel)->name);
    ringtape_json_text(&delta->json, "date", delta->date);
    if (delta->only != NULL) ringtape_json_text(&delta->json, "exchange", delta->only);
    ringtape_json_text(&delta->json, "result", mode_text(delta));
    ringtape_json_integer(&delta->json, "version", delta_version(delta->table));
    ringtape_json_integer(&delta->json, "rows", rows);
    ringtape_json_integer(&delta->json, "bytes", bytes);
    ringtape_json_count(&delta->json, "files", delta->taken_count);
    ringtape_json_integer(&delta->json, "commit_ns", commit_ns);
    ringtape_json_object_end(&delta->json);
    if (delta->lines) ringtape_json_line(&delta->json);
}

static void tell(struct ringtape_delta *delta, int64_t commit_ns)
{
    char rows_text[2 * RINGTAPE_TABLE_NUMBER_BYTES], bytes_text[RINGTAPE_TABLE_NUMBER_BYTES];
    int64_t rows = 0, bytes = 0;
    for (uint32_t i = 0; i < delta->taken_count; i++) {
        rows += delta->taken[i].rows;
        bytes += delta->taken[i].bytes;
    }
    delta->commits++;
    delta->changed |= 1u << delta->channel;
    if (delta->day < delta->day_oldest) delta->day_oldest = delta->day;
    delta->files += delta->taken_count;
    delta->compactions += delta->plan.mode == RINGTAPE_DELTA_COMPACT;
    if (delta->plan.mode != RINGTAPE_DELTA_COMPACT) delta->rows += (uint64_t)rows;
    delta->bytes += (uint64_t)bytes;
    if (commit_ns > delta->commit_ns_max) delta->commit_ns_max = commit_ns;
    ringtape_progress_clear(&delta->export->progress);
    if (delta->export->json_wanted)
        tell_json(delta, rows, bytes, commit_ns);
    else
        (void)printf("%-9s  %s %s%s%s  version %" PRId64 ": %s, %s\n", mode_text(delta),
                     channel_schema(delta->channel)->name, delta->date,
                     delta->only != NULL ? " " : "", delta->only != NULL ? delta->only : "",
                     delta_version(delta->table),
                     ringtape_table_count(rows_text, (uint64_t)rows, "row"),
                     ringtape_table_bytes(bytes_text, (uint64_t)bytes));
    (void)fflush(stdout);
}

// ---- committing ----

static void checkpoint(struct ringtape_delta *delta)
{
    char created_by[2 * RINGTAPE_DELTA_ENGINE_BYTES];
    struct delta_message message = {{0}};
    (void)snprintf(created_by, sizeof created_by, "ringtape version %s (build %s)",
                   RINGTAPE_VERSION, RINGTAPE_COMMIT);
    // The table is whole without it: the next commit tries again.
    if (delta_checkpoint(delta->table, now_ms(), RINGTAPE_DELTA_KEEP_MS, created_by, &message) != 0)
        (void)ringtape_fail("note: %s",
                            message.text[0] != 0 ? message.text : "no memory for a checkpoint");
}

int ringtape_delta_commit_day(struct ringtape_delta *delta)
{
    struct delta_commit commit = {0};
    struct delta_message message = {{0}};
    int error = put_actions(delta, &commit);
    const int64_t start_ns = ringtape_monotonic_ns();
    if (error == 0) {
        error = delta_commit(delta->table, &commit, &message);
        if (error != 0 && error != -ECANCELED)
            (void)ringtape_fail("%s", message.text[0] != 0 ? message.text
                                                           : ringtape_error_text(error));
        if (error == 0) tell(delta, ringtape_monotonic_ns() - start_ns);
        // Of a commit that failed late nobody knows yet whether it is there: its files stay.
        if (error != -ECANCELED) ringtape_delta_settle(delta);
    }
    ringtape_delta_discard(delta); // nothing, after ringtape_delta_settle()
    delta_commit_free(&commit);
    if (error == 0) checkpoint(delta);
    return error;
}
