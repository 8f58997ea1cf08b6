// SPDX-License-Identifier: GPL-3.0-or-later
//
// Files of an export on their way into a table: renamed from staging to a name that was never used,
// below the folder of their partition. Until they are committed no reader sees them.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "format/delta_schema.h"
#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_delta.h"

enum { NAME_BYTES = 1024 };

static bool sink_wants(void *context, const struct catalogue_segment *segment)
{
    const struct ringtape_delta *delta = context;
    return ringtape_delta_wants(&delta->plan, segment);
}

// Of a compaction all exchanges but one are as they should be.
static bool sink_is_current(void *context, const struct ringtape_export_partition *partition)
{
    const struct ringtape_delta *delta = context;
    return delta->only != NULL && strcmp(delta->only, partition->exchange) != 0;
}

// ---- one file ----

// The schema the table is to have: its own, with what the file brings.
static int note_schema(struct ringtape_delta *delta, const struct parquet_rows *layout)
{
    char column[128];
    if (delta->schema.size > 0) return 0;
    if (delta_version(delta->table) < 0) {
        delta_schema_text(layout->columns, layout->column_count, &delta->schema);
        return delta->schema.failed ? -ENOMEM : 0;
    }
    const int error =
        delta_schema_merge(delta_schema(delta->table), layout->columns, layout->column_count,
                           &delta->schema, &delta->columns_added, column, sizeof column);
    if (error == -EEXIST)
        (void)ringtape_fail("%s: column '%s' has another type there; export into another folder",
                            delta->path, column);
    if (error == -EBADMSG)
        (void)ringtape_fail("%s: the table's schema cannot be read; export into another folder",
                            delta->path);
    return error == 0 && delta->schema.failed ? -ENOMEM : error;
}

static char *spell_statistics(const struct ringtape_exported_file *file)
{
    const struct parquet_rows *layout = file->partition->layout;
    const struct parquet_bounds *bounds[PARQUET_COLUMNS_MAX];
    uint64_t nulls[PARQUET_COLUMNS_MAX];
    struct delta_text text = {0};
    for (uint32_t c = 0; c < layout->column_count; c++) {
        bounds[c] = &file->columns[c].bounds;
        nulls[c] = file->columns[c].null_count;
    }
    delta_schema_statistics(layout->columns, layout->column_count, file->rows, bounds, nulls,
                            &text);
    if (!text.failed) return text.bytes;
    delta_text_free(&text);
    return NULL;
}

// "exchange=binance/date=2026-11-27/ringtape-STORE-41-0123456789abcdef.parquet"
static char *make_name(const struct ringtape_delta *delta,
                       const struct ringtape_export_partition *partition)
{
    char name[NAME_BYTES];
    uint64_t random;
    const char *end = strchr(partition->folder, '/'); // of the exchange, escaped
    ensure(end != NULL);
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) return NULL;
    const int size = snprintf(name, sizeof name,
                              "%.*s/date=%s/ringtape-%.8s-%" PRId64 "-%016" PRIx64 ".parquet",
                              (int)(end - partition->folder), partition->folder, partition->date,
                              delta->export->identity, delta->plan.to, random);
    return size > 0 && (size_t)size < sizeof name ? strdup(name) : NULL;
}

// Into its place; the names on the way are durable.
static int move(const struct ringtape_delta *delta, const char *from, const char *name)
{
    char path[RINGTAPE_PUBLISH_PATH_BYTES], folder[RINGTAPE_PUBLISH_PATH_BYTES];
    const int size = snprintf(path, sizeof path, "%s/%s", delta->path, name);
    if (size < 0 || (size_t)size >= sizeof path) return -ENAMETOOLONG;
    memcpy(folder, path, (size_t)size + 1);
    *strrchr(folder, '/') = 0;
    int error = delta_disk_host.make(NULL, folder);
    if (error == 0) error = delta_disk_host.rename(NULL, from, path);
    if (error == 0) error = delta_disk_host.sync(NULL, folder);
    return error;
}

static int sink_file(void *context, const struct ringtape_exported_file *file)
{
    struct ringtape_delta *delta = context;
    const struct ringtape_export_partition *partition = file->partition;
    if (delta->taken_count == RINGTAPE_DELTA_FILES_MAX) return -EOVERFLOW;
    int error = note_schema(delta, partition->layout);
    if (error != 0) return error;
    struct ringtape_delta_taken *taken = &delta->taken[delta->taken_count];
    *taken = (struct ringtape_delta_taken){.bytes = (int64_t)file->bytes,
                                           .rows = (int64_t)file->rows};
    (void)snprintf(taken->exchange, sizeof taken->exchange, "%s", partition->exchange);
    taken->path = make_name(delta, partition);
    taken->stats = spell_statistics(file);
    error = taken->path != NULL && taken->stats != NULL ? 0 : -ENOMEM;
    if (error == 0) error = move(delta, file->path, taken->path);
    if (error == 0) {
        delta->taken_count++;
        return 0;
    }
    free(taken->path);
    free(taken->stats);
    return error;
}

// The commit comes when all exchanges of the day are there.
static int sink_partition(void *context, const struct ringtape_export_partition *partition,
                          uint32_t files, bool partial, int error)
{
    (void)context, (void)partition, (void)files, (void)partial, (void)error;
    return 0;
}

void ringtape_delta_sink_init(struct ringtape_delta *delta)
{
    delta->sink = (struct ringtape_export_sink){
        .context = delta,
        .wants_segment = sink_wants,
        .is_current = sink_is_current,
        .on_file = sink_file,
        .on_partition = sink_partition,
    };
}

// ---- afterwards ----

static void forget(struct ringtape_delta *delta)
{
    for (uint32_t i = 0; i < delta->taken_count; i++) {
        free(delta->taken[i].path);
        free(delta->taken[i].stats);
    }
    delta->taken_count = delta->columns_added = 0;
    delta_text_free(&delta->schema);
}

void ringtape_delta_discard(struct ringtape_delta *delta)
{
    char path[RINGTAPE_PUBLISH_PATH_BYTES];
    for (uint32_t i = 0; i < delta->taken_count; i++) {
        const int size =
            snprintf(path, sizeof path, "%s/%s", delta->path, delta->taken[i].path);
        if (size > 0 && (size_t)size < sizeof path) (void)unlink(path);
    }
    forget(delta);
}

void ringtape_delta_settle(struct ringtape_delta *delta)
{
    forget(delta);
}
