// SPDX-License-Identifier: GPL-3.0-or-later
//
//     open every segment of the day
//     → names of all symbols, sorted: exchange by exchange, symbol by symbol
//     → for each exchange: up to date? else for each symbol: merge by time → Parquet → publish
//
// The key of a partition is a hash of all that its content depends on: layout, store, segments,
// symbols and the part of the day asked for, size of files.
#include "tools/ringtape_export_day.h"

#include "format/ensure.h"
#include "format/parquet_rows.h"
#include "format/text_utf8.h"
#include "format/time_text.h"
#include "format/version.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_export_names.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_merge.h"
#include "tools/ringtape_table.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SEGMENTS_TEXT_BYTES = 65536, METADATA_PAIRS = 6 };

// Rows without a symbol, of links and of the daemon itself, get an exchange of their own.
static const char no_exchange[] = "ringtape";

struct ringtape_export_work {
    struct ringtape_export *export;
    const struct channel_schema *schema;
    char date[TIME_TEXT_DATE_BYTES];
    int32_t day;
    int64_t time_from, time_to;
    struct catalogue_segment *entries; // those wanted
    struct ringtape_segment *segments;
    uint32_t segment_count;
    uint32_t lost; // segments that cannot be read, or not as a whole
    struct ringtape_export_names names;
    char sources[SEGMENTS_TEXT_BYTES]; // "98 99", for the file's metadata
    // Of the exchange being written.
    char exchange[SEGMENT_SYMBOL_BYTES_MAX + 1];
    char created_by[96];
    struct parquet_pair pairs[METADATA_PAIRS];
    struct parquet_rows *layout;
    const char **symbols;
    struct ringtape_partition partition;
    struct parquet_writer *writer;
    struct ringtape_merge merge;
    uint64_t rows, refused;  // messages so far, and those of them that do not fit
    uint64_t rows_expected;  // Parquet rows, at most
    int64_t time_last;
};

// ---- key ----

static void ringtape_export_hash_text(XXH3_state_t *state, const char *text)
{
    (void)XXH3_64bits_update(state, text, strlen(text) + 1);
}

// Not of what can be read today: what was exported whole stays when a segment is damaged later.
static uint64_t ringtape_export_key(const struct ringtape_export_work *work)
{
    XXH3_state_t *state = XXH3_createState();
    ensure(state != NULL); // half a kilobyte
    (void)XXH3_64bits_reset(state);
    ringtape_export_hash_text(state, PARQUET_ROWS_LAYOUT);
    ringtape_export_hash_text(state, work->export->identity);
    ringtape_export_hash_text(state, work->schema->name);
    ringtape_export_hash_text(state, work->date);
    (void)XXH3_64bits_update(state, &work->time_from, sizeof work->time_from);
    (void)XXH3_64bits_update(state, &work->time_to, sizeof work->time_to);
    for (uint32_t s = 0; s < work->segment_count; s++) {
        const uint64_t source[] = {work->entries[s].number, work->entries[s].rows,
                                   work->entries[s].bytes};
        (void)XXH3_64bits_update(state, source, sizeof source);
    }
    (void)XXH3_64bits_update(state, &work->export->file_bytes, sizeof work->export->file_bytes);
    for (uint32_t i = 0; i < work->export->query.symbols.count; i++)
        ringtape_export_hash_text(state, work->export->query.symbols.text[i]);
    const uint64_t key = XXH3_64bits_digest(state);
    (void)XXH3_freeState(state);
    return key;
}

// ---- files ----

static int ringtape_export_write(void *context, const void *bytes, size_t size)
{
    return ringtape_partition_write(context, bytes, size);
}

// What stands in the footer; the writer needs it until the file is finished.
static void ringtape_export_describe(struct ringtape_export_work *work)
{
    const struct parquet_pair pairs[METADATA_PAIRS] = {
        {"ringtape.layout", PARQUET_ROWS_LAYOUT}, {"ringtape.store", work->export->identity},
        {"ringtape.exchange", work->exchange},    {"ringtape.channel", work->schema->name},
        {"ringtape.date", work->date},            {"ringtape.segments", work->sources},
    };
    memcpy(work->pairs, pairs, sizeof pairs);
    (void)snprintf(work->created_by, sizeof work->created_by, "ringtape version %s (build %s)",
                   RINGTAPE_VERSION, RINGTAPE_COMMIT);
}

static int ringtape_export_file_begin(struct ringtape_export_work *work)
{
    struct parquet_options options = {
        .columns = work->layout->columns,
        .column_count = work->layout->column_count,
        .created_by = work->created_by,
        .metadata = work->pairs,
        .metadata_count = METADATA_PAIRS,
        .rows_expected = work->rows_expected - work->rows,
        .write = ringtape_export_write,
        .context = &work->partition,
    };
    options.sorting_count = parquet_rows_sorting(work->layout, options.sorting);
    int error = ringtape_partition_begin(&work->partition);
    if (error == 0) error = parquet_open(&work->writer, &options);
    return error;
}

static struct ringtape_export_partition
ringtape_export_described(const struct ringtape_export_work *work)
{
    return (struct ringtape_export_partition){
        .exchange = work->exchange,
        .channel = work->schema->channel,
        .date = work->date,
        .day = work->day,
        .folder = work->partition.path,
        .key = work->partition.key,
        .segments = work->entries,
        .segment_count = work->segment_count,
        .layout = work->layout,
    };
}

// The file is whole and synced: the sink takes it.
static int ringtape_export_hand_over(struct ringtape_export_work *work)
{
    static struct ringtape_export_statistics columns[PARQUET_COLUMNS_MAX];
    const struct ringtape_export_sink *sink = work->export->sink;
    const struct ringtape_export_partition partition = ringtape_export_described(work);
    char path[RINGTAPE_PUBLISH_PATH_BYTES];
    ensure(work->partition.parts > 0);
    ringtape_partition_staged(&work->partition, work->partition.parts - 1, path);
    for (uint32_t c = 0; c < work->layout->column_count; c++)
        parquet_file_statistics(work->writer, c, &columns[c].bounds, &columns[c].null_count);
    const struct ringtape_exported_file file = {
        .partition = &partition,
        .path = path,
        .number = work->partition.parts - 1,
        .bytes = parquet_byte_count(work->writer),
        .rows = parquet_row_count(work->writer),
        .columns = columns,
        .sorted = parquet_file_sorted(work->writer),
    };
    return sink->on_file(sink->context, &file);
}

static int ringtape_export_file_end(struct ringtape_export_work *work)
{
    int error = parquet_finish(work->writer);
    if (error == 0) error = ringtape_partition_end(&work->partition);
    if (error == 0 && work->export->sink != NULL) error = ringtape_export_hand_over(work);
    parquet_close(work->writer);
    work->writer = NULL;
    return error;
}

// ---- rows ----

static void ringtape_export_refuse(struct ringtape_export_work *work, struct event_text symbol,
                                   int64_t time_ns, const char *column,
                                   enum parquet_rows_error error)
{
    char time[TIME_TEXT_BYTES_MAX];
    work->refused++;
    if (work->export->refused + work->refused > RINGTAPE_EXPORT_REFUSALS_SHOWN) return;
    ringtape_progress_clear(&work->export->progress);
    time_text_format(time, time_ns, 9);
    (void)ringtape_fail("left out: %s of %.*s at %s, column %s: %s", work->schema->name,
                        symbol.size > 0 ? (int)symbol.size : 9,
                        symbol.size > 0 ? (const char *)symbol.bytes : "no symbol", time, column,
                        parquet_rows_error_text(error));
}

// One row by itself, `at` in the run; 0 or negative errno, final.
static int ringtape_export_row(struct ringtape_export_work *work,
                               const struct ringtape_merge_run *run, uint32_t at,
                               struct event_text symbol, uint32_t code)
{
    const uint32_t row = run->first + at;
    const struct parquet_rows_place place = {code, run->tape != NULL ? run->tape[row] : 0,
                                             run->tape != NULL ? run->tape_row[row] : 0};
    const char *column = NULL;
    int error = 0;
    const enum parquet_rows_error result =
        parquet_rows_put(work->layout, work->writer, run->rows, row, &place, &column, &error);
    if (result == PARQUET_ROWS_WRITE_FAILED) return error;
    if (result != PARQUET_ROWS_GOOD)
        ringtape_export_refuse(work, symbol, rows_time_ns(run->rows, row), column, result);
    return 0;
}

// A file that has reached its size ends, and the next one begins.
static int ringtape_export_file_ready(struct ringtape_export_work *work)
{
    int error = 0;
    if (work->writer != NULL &&
        (parquet_is_full(work->writer) ||
         (parquet_file_bytes(work->writer) >= work->export->file_bytes &&
          work->partition.parts < RINGTAPE_PUBLISH_PARTS_MAX)))
        error = ringtape_export_file_end(work);
    if (error == 0 && work->writer == NULL) error = ringtape_export_file_begin(work);
    return error;
}

static int ringtape_export_run_rows(struct ringtape_export_work *work,
                                    const struct ringtape_merge_run *run,
                                    struct event_text symbol, uint32_t code)
{
    int error = 0;
    for (uint32_t at = 0; at < run->count && error == 0;) {
        error = ringtape_export_file_ready(work);
        if (error != 0) return error;
        if (at == 0 && run->time_first < work->time_last) parquet_unsorted(work->writer);
        const struct parquet_rows_run rows = {.first = run->first + at,
                                              .count = run->count - at,
                                              .symbol = code,
                                              .tape = run->tape,
                                              .tape_row = run->tape_row};
        const uint32_t taken =
            parquet_rows_put_run(work->layout, work->writer, run->rows, &rows, &error);
        if (taken == 0 && error == 0) error = ringtape_export_row(work, run, at, symbol, code);
        at += taken > 0 ? taken : 1;
    }
    work->time_last = run->time_last;
    return error;
}

// Rows whose symbol would make readers refuse the file.
static void ringtape_export_refuse_run(struct ringtape_export_work *work,
                                       const struct ringtape_merge_run *run,
                                       struct event_text symbol)
{
    for (uint32_t row = run->first; row < run->first + run->count; row++)
        ringtape_export_refuse(work, symbol, rows_time_ns(run->rows, row), "symbol",
                               PARQUET_ROWS_NOT_UTF8);
}

// All rows of names[first, end), one symbol in some segments.
static int ringtape_export_symbol_rows(struct ringtape_export_work *work, size_t first, size_t end,
                                       uint32_t code)
{
    struct ringtape_export *export = work->export;
    const struct ringtape_export_name *names = work->names.names;
    const struct event_text symbol = names[first].text;
    const bool is_text = text_utf8_valid(symbol.bytes, symbol.size);
    struct ringtape_merge_run run;
    int result = 0;
    ringtape_merge_start(&work->merge);
    for (size_t i = first; i < end && result == 0; i++)
        result = ringtape_merge_add(&work->merge, names[i].segment, names[i].symbol);
    if (result != 0) return result;
    ringtape_merge_ready(&work->merge);
    work->time_last = INT64_MIN;
    while ((result = ringtape_merge_next(&work->merge, &run)) > 0) {
        if (is_text)
            result = ringtape_export_run_rows(work, &run, symbol, code);
        else
            ringtape_export_refuse_run(work, &run, symbol);
        if (is_text && result != 0) return result;
        work->rows += run.count;
        export->rows_done += run.count;
        ringtape_progress_show(&export->progress, export->rows_done, export->rows_total);
    }
    return result;
}

// ---- one exchange ----

// At most so many Parquet rows come of names [first, end).
static uint64_t ringtape_export_expected(const struct ringtape_export_work *work, size_t first,
                                         size_t end)
{
    uint64_t rows = 0;
    for (size_t i = first; i < end; i++) rows += work->names.names[i].rows;
    for (uint32_t s = 0; s < work->segment_count && work->schema->has_levels; s++) {
        const struct index *index = ringtape_segment_index(&work->segments[s]);
        for (uint32_t b = 0; index != NULL && b < index->block_count; b++)
            rows += index->blocks[b].levels;
    }
    return rows;
}

static int ringtape_export_open_layout(struct ringtape_export_work *work, size_t first, size_t end)
{
    uint32_t count = 0;
    work->symbols = ringtape_export_names_texts(&work->names, first, end, &count);
    work->layout = malloc(sizeof *work->layout);
    if (work->symbols == NULL || work->layout == NULL) return -ENOMEM;
    work->rows_expected = ringtape_export_expected(work, first, end);
    parquet_rows_init(work->layout, &(struct parquet_rows_options){work->schema,
                                                                   work->export->identity,
                                                                   work->symbols, count});
    return ringtape_merge_open(&work->merge, work->schema, work->segments, work->segment_count,
                               work->time_from, work->time_to);
}

static void ringtape_export_told(struct ringtape_export_work *work, const char *what)
{
    struct ringtape_export *export = work->export;
    char rows[2 * RINGTAPE_TABLE_NUMBER_BYTES], bytes[RINGTAPE_TABLE_NUMBER_BYTES];
    if (export->sink != NULL) return; // who tells of it himself
    ringtape_progress_clear(&export->progress);
    if (export->json_wanted) {
        ringtape_json_object(&export->json, NULL);
        ringtape_json_text(&export->json, "partition", work->partition.path);
        ringtape_json_text(&export->json, "result", what);
        ringtape_json_count(&export->json, "messages", work->rows - work->refused);
        ringtape_json_count(&export->json, "left_out", work->refused);
        ringtape_json_count(&export->json, "files", work->partition.parts);
        ringtape_json_count(&export->json, "bytes", work->partition.bytes);
        ringtape_json_object_end(&export->json);
        return;
    }
    if (strcmp(what, "unchanged") == 0)
        (void)printf("unchanged  %s\n", work->partition.path);
    else
        (void)printf("%-9s  %s  %s, %s\n", what, work->partition.path,
                     ringtape_table_count(rows, work->rows - work->refused, "row"),
                     ringtape_table_bytes(bytes, work->partition.bytes));
}

static int ringtape_export_exchange_rows(struct ringtape_export_work *work, size_t first,
                                         size_t end)
{
    uint32_t code = 0;
    int error = 0;
    for (size_t i = first; i < end && error == 0; code++) {
        const size_t next = ringtape_export_names_symbol(&work->names, i);
        const uint32_t symbol = work->symbols[code][0] != 0 ? code : SYMBOL_NONE;
        error = ringtape_export_symbol_rows(work, i, next, symbol);
        i = next;
    }
    if (error == 0 && work->writer != NULL) error = ringtape_export_file_end(work);
    return error;
}

static bool ringtape_export_is_current(const struct ringtape_export_work *work)
{
    const struct ringtape_export_sink *sink = work->export->sink;
    if (sink == NULL) return ringtape_partition_is_current(&work->partition);
    const struct ringtape_export_partition partition = ringtape_export_described(work);
    return sink->is_current(sink->context, &partition);
}

// Files → where readers see them. With `error` the partition is given up.
static int ringtape_export_place(struct ringtape_export_work *work, bool partial, int error)
{
    const struct ringtape_export_sink *sink = work->export->sink;
    int result = 0;
    if (sink != NULL) {
        const struct ringtape_export_partition partition = ringtape_export_described(work);
        result =
            sink->on_partition(sink->context, &partition, work->partition.parts, partial, error);
    } else if (error == 0 && work->partition.parts > 0) {
        result = ringtape_partition_publish(&work->partition, partial);
    }
    return error != 0 ? error : result;
}

static int ringtape_export_exchange_publish(struct ringtape_export_work *work)
{
    struct ringtape_export *export = work->export;
    const bool partial = work->lost > 0 || work->merge.damages > 0 || work->refused > 0;
    const int error = ringtape_export_place(work, partial, 0);
    if (work->partition.parts == 0) return error; // no row in the time asked for
    if (error != 0) return error;
    export->written++;
    export->rows += work->rows - work->refused;
    export->bytes += work->partition.bytes;
    ringtape_export_told(work, partial ? "partial" : "written");
    return 0;
}

static void ringtape_export_exchange_free(struct ringtape_export_work *work)
{
    work->export->refused += work->refused;
    work->export->damages += work->merge.damages;
    parquet_close(work->writer);
    work->writer = NULL;
    ringtape_merge_close(&work->merge);
    free(work->layout);
    free((void *)work->symbols);
    work->layout = NULL;
    work->symbols = NULL;
}

// Names [first, end) are those of one exchange.
static int ringtape_export_exchange(struct ringtape_export_work *work, size_t first, size_t end)
{
    const struct ringtape_export_name *name = &work->names.names[first];
    if (name->exchange_size > 0)
        (void)snprintf(work->exchange, sizeof work->exchange, "%.*s", (int)name->exchange_size,
                       (const char *)name->text.bytes);
    else
        (void)snprintf(work->exchange, sizeof work->exchange, "%s", no_exchange);
    work->rows = work->refused = 0;
    ringtape_export_describe(work);
    ringtape_partition_init(&work->partition, &work->export->publish, work->exchange,
                            work->schema->name, work->date, work->export->identity,
                            ringtape_export_key(work));
    if (ringtape_export_is_current(work)) {
        work->export->unchanged++;
        ringtape_export_told(work, "unchanged");
        return 0;
    }
    int error = ringtape_export_open_layout(work, first, end);
    if (error == 0) error = ringtape_export_exchange_rows(work, first, end);
    error = error == 0 ? ringtape_export_exchange_publish(work)
                       : ringtape_export_place(work, true, error);
    if (error != 0) ringtape_partition_abandon(&work->partition);
    if (error != 0)
        (void)ringtape_fail("%s/%s: %s", work->export->directory, work->partition.path,
                            ringtape_error_text(error));
    ringtape_export_exchange_free(work);
    return error;
}

// ---- the day ----

// Where footer and index are lost, blocks are found by walking: those that the file still has.
static int ringtape_export_check_segment(struct ringtape_export_work *work, uint32_t s)
{
    const struct catalogue_segment *entry = &work->entries[s];
    ringtape_segment_slim(&work->segments[s]);
    const struct index *index = ringtape_segment_index(&work->segments[s]);
    uint64_t rows = 0;
    for (uint32_t b = 0; b < index->block_count; b++) rows += index->blocks[b].rows;
    if (rows == entry->rows) return 0;
    (void)ringtape_fail("damaged: segment %" PRIu32 ": %" PRIu64 " of its %" PRIu64
                        " rows are found",
                        entry->number, rows, entry->rows);
    work->lost++;
    return 0;
}

// One segment. What cannot be read of it is told and counted, and the others go on without it.
static int ringtape_export_open_segment(struct ringtape_export_work *work, uint32_t s)
{
    struct ringtape_export *export = work->export;
    const struct catalogue_segment *entry = &work->entries[s];
    int error = ringtape_segment_open(&work->segments[s], export->store, entry);
    if (error == -ENOENT && export->patience_over) {
        (void)ringtape_fail("%s: segment %" PRIu32 " of %s is listed, but its file is missing",
                            store_path(export->store), entry->number, work->date);
        error = -EBADMSG;
    }
    if (error == 0) return ringtape_export_check_segment(work, s);
    if (error != -EBADMSG) return error;
    work->lost++;
    return 0;
}

static int ringtape_export_open_segments(struct ringtape_export_work *work)
{
    size_t size = 0;
    work->segments = calloc(work->segment_count, sizeof work->segments[0]);
    if (work->segments == NULL) return -ENOMEM;
    for (uint32_t s = 0; s < work->segment_count; s++) {
        const int error = ringtape_export_open_segment(work, s);
        if (error != 0) return error;
        if (size > sizeof work->sources - 16) continue; // thousands of segments: the first suffice
        size += (size_t)snprintf(work->sources + size, sizeof work->sources - size, "%s%" PRIu32,
                                 s > 0 ? " " : "", work->entries[s].number);
    }
    return 0;
}

static int ringtape_export_partitions(struct ringtape_export_work *work)
{
    int error = ringtape_export_open_segments(work);
    if (error == 0)
        error = ringtape_export_names_open(&work->names, &work->export->query, work->segments,
                                           work->segment_count);
    if (error != 0 && error != -ENOENT)
        (void)ringtape_fail("%s: %s", store_path(work->export->store), ringtape_error_text(error));
    for (size_t first = 0; first < work->names.count && error == 0;) {
        const size_t end = ringtape_export_names_exchange(&work->names, first);
        error = ringtape_export_exchange(work, first, end);
        first = end;
    }
    return error;
}

// The day's segments, those that the sink wants. 0 or -ENOMEM.
static int ringtape_export_entries(struct ringtape_export_work *work)
{
    const struct catalogue *catalogue = store_catalogue(work->export->store);
    const struct ringtape_export_sink *sink = work->export->sink;
    work->entries = calloc((size_t)catalogue->segment_count + 1, sizeof work->entries[0]);
    if (work->entries == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *entry = &catalogue->segments[i];
        if (entry->channel != work->schema->channel || entry->day != work->day) continue;
        if (sink != NULL && sink->wants_segment != NULL &&
            !sink->wants_segment(sink->context, entry))
            continue;
        work->entries[work->segment_count++] = *entry;
    }
    return 0;
}

static void ringtape_export_free(struct ringtape_export_work *work)
{
    for (uint32_t s = 0; s < work->segment_count && work->segments != NULL; s++)
        ringtape_segment_close(&work->segments[s]);
    free(work->segments);
    free(work->entries);
    ringtape_export_names_close(&work->names);
    free(work);
}

int ringtape_export_day(struct ringtape_export *export, enum channel channel, int32_t day)
{
    struct ringtape_export_work *work = calloc(1, sizeof *work);
    if (work == NULL) return -ENOMEM;
    const int64_t start_ns = (int64_t)day * TIME_TEXT_DAY_NS;
    const int64_t end_ns = start_ns + TIME_TEXT_DAY_NS;
    work->export = export;
    work->schema = channel_schema(channel);
    work->day = day;
    work->time_from = export->query.from > start_ns ? export->query.from : start_ns;
    work->time_to = export->query.to < end_ns ? export->query.to : end_ns;
    time_text_date(work->date, start_ns);
    const uint64_t done = export->rows_done;
    int error = ringtape_export_entries(work);
    if (error == 0 && work->segment_count > 0) error = ringtape_export_partitions(work);
    uint64_t rows = 0;
    for (uint32_t s = 0; s < work->segment_count; s++) rows += work->entries[s].rows;
    export->rows_done = error == -ENOENT ? done : done + rows;
    if (error != -ENOENT) export->damages += work->lost; // else it comes again
    ringtape_export_free(work);
    return error;
}
