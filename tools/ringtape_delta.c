// SPDX-License-Identifier: GPL-3.0-or-later
//
// Day by day, oldest first, a commit each: what a crash costs is the day under way.
#include "tools/ringtape_delta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_table.h"

enum { TRIES_MAX = 20 }; // of a day whose segments are merged, or whose commit is lost, meanwhile

int ringtape_delta_open(struct ringtape_delta *delta, struct ringtape_export *export)
{
    delta->export = export;
    for (int i = 0; i < LAYOUT_STORE_ID_BYTES; i++)
        (void)snprintf(export->identity + 2 * i, 3, "%02x", store_identity(export->store)[i]);
    ringtape_delta_sink_init(delta);
    export->sink = &delta->sink;
    const int exit_code = ringtape_publish_open(&export->publish, export->directory);
    if (exit_code != RINGTAPE_EXIT_OK || !export->json_wanted || delta->lines) return exit_code;
    ringtape_json_start(&delta->json, stdout);
    ringtape_json_object(&delta->json, NULL);
    ringtape_json_array(&delta->json, "commits");
    return exit_code;
}

static void close_table(struct ringtape_delta *delta)
{
    delta_close(delta->table);
    delta->table = NULL;
}

void ringtape_delta_close(struct ringtape_delta *delta)
{
    close_table(delta);
    ringtape_publish_close(&delta->export->publish);
}

// ---- segments ----

// Those of a channel and day; they lie side by side.
static const struct catalogue_segment *segments_of(const struct ringtape_delta *delta,
                                                   enum channel channel, int32_t day,
                                                   uint32_t *count)
{
    const struct catalogue *catalogue = store_catalogue(delta->export->store);
    const struct catalogue_segment *first = NULL;
    *count = 0;
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *segment = &catalogue->segments[i];
        if (segment->channel != channel || segment->day != day) continue;
        if (first == NULL) first = segment;
        ++*count;
    }
    return first;
}

// Days of the channel of which something was sealed since it was exported last in this run of the
// program, oldest first; to be freed.
static int32_t *days_of(const struct ringtape_delta *delta, enum channel channel, uint32_t *count)
{
    const int64_t done = delta->done[channel];
    const struct catalogue *catalogue = store_catalogue(delta->export->store);
    int32_t *days = calloc((size_t)catalogue->segment_count + 1, sizeof *days);
    *count = 0;
    for (uint32_t i = 0; days != NULL && i < catalogue->segment_count; i++) {
        const struct catalogue_segment *segment = &catalogue->segments[i];
        if (segment->channel != channel || (done > 0 && segment->tape_last <= done)) continue;
        if (*count == 0 || days[*count - 1] != segment->day) days[(*count)++] = segment->day;
    }
    return days;
}

static int64_t frontier_of(const struct ringtape_delta *delta)
{
    uint32_t count;
    const uint32_t *tapes = store_tapes(delta->export->store, &count);
    return ringtape_delta_frontier(store_catalogue(delta->export->store), tapes, count);
}

static void begin_day(struct ringtape_delta *delta, int32_t day)
{
    delta->day = day;
    catalogue_day_text(day, delta->date);
}

// ---- one day ----

static int tell_lost(struct ringtape_delta *delta)
{
    delta->lost++;
    if (delta->announced) return RINGTAPE_EXIT_OK;
    (void)ringtape_fail("%s: %s may have new rows, but the store no longer has all that were "
                        "exported (deleted by `keep`, or lost to damage), so they cannot be told "
                        "apart; the day stays as it is. 'ringtape export --again %s' writes it "
                        "again as far as no row is lost by that",
                        delta->path, delta->date, delta->date);
    return RINGTAPE_EXIT_OK;
}

// Writes and commits what the plan says. 0, an errno to come again (-ENOENT, -ECANCELED), or
// others, told; -ESTALE: the tables' folder is gone.
static int carry_out(struct ringtape_delta *delta)
{
    const struct ringtape_publish *publish = &delta->export->publish;
    if (ringtape_publish_check(publish) != RINGTAPE_EXIT_OK) return -ESTALE;
    const int error = ringtape_export_day(delta->export, delta->channel, delta->day);
    if (error != 0) {
        ringtape_delta_discard(delta);
        // What is missing may be the store's, merged meanwhile, or the folder of the tables.
        if (error == -ENOENT && ringtape_publish_check(publish) != RINGTAPE_EXIT_OK) return -ESTALE;
        return error;
    }
    // Without a file there is no schema as yet: every row was refused, and was told.
    if (delta->taken_count == 0 && delta_version(delta->table) < 0) return 0;
    return ringtape_delta_commit_day(delta);
}

static void make_plan(struct ringtape_delta *delta)
{
    uint32_t count;
    int64_t tape, messages;
    const struct catalogue_segment *segments =
        segments_of(delta, delta->channel, delta->day, &count);
    ringtape_delta_known(delta, delta->day, &tape, &messages);
    if (delta->again && delta->again_day == delta->day)
        delta->plan = ringtape_delta_plan_again(segments, count, frontier_of(delta));
    else
        delta->plan = ringtape_delta_plan(segments, count, frontier_of(delta), tape, messages);
}

// 0 or an exit code.
static int export_day(struct ringtape_delta *delta, int32_t day)
{
    int error = -EAGAIN;
    begin_day(delta, day);
    for (int i = 0; i < TRIES_MAX && error != 0; i++) {
        make_plan(delta);
        const bool waits = delta->plan.mode == RINGTAPE_DELTA_WAIT;
        const bool lost = delta->plan.mode == RINGTAPE_DELTA_LOST;
        if (waits || lost) delta->behind |= 1u << delta->channel;
        if (waits) delta->waiting++;
        if (lost) return tell_lost(delta);
        if (waits || delta->plan.mode == RINGTAPE_DELTA_NOTHING) return RINGTAPE_EXIT_OK;
        error = carry_out(delta);
        if (error == -EBADMSG || error == -EPERM) { // told where it was met; other days go on
            delta->behind |= 1u << delta->channel;
            delta->export->damages += error == -EBADMSG;
            delta->lost += error == -EPERM;
            return RINGTAPE_EXIT_OK;
        }
        if (error != 0 && error != -ENOENT && error != -ECANCELED) return RINGTAPE_EXIT_IO;
        if (error == -ENOENT && store_refresh(delta->export->store, NULL) != 0) break;
    }
    if (error == 0) return RINGTAPE_EXIT_OK;
    return ringtape_fail("%s: %s changes faster than it can be exported; try again", delta->path,
                         delta->date);
}

// ---- all of it ----

static int export_channel(struct ringtape_delta *delta, enum channel channel, bool (*stop)(void))
{
    uint32_t count;
    int32_t *days = days_of(delta, channel, &count);
    ensure(days != NULL); // four bytes a segment
    int exit_code = count > 0 ? ringtape_delta_open_table(delta, channel) : RINGTAPE_EXIT_OK;
    for (uint32_t i = 0; i < count && exit_code == RINGTAPE_EXIT_OK; i++) {
        if (stop != NULL && stop()) {
            delta->behind |= 1u << channel;
            break;
        }
        exit_code = export_day(delta, days[i]);
    }
    if (exit_code != RINGTAPE_EXIT_OK) delta->behind |= 1u << channel;
    if ((delta->behind >> channel & 1) == 0) delta->done[channel] = delta->frontier;
    close_table(delta);
    free(days);
    return exit_code;
}

static void count_rows(struct ringtape_delta *delta)
{
    const struct catalogue *catalogue = store_catalogue(delta->export->store);
    delta->export->rows_total = delta->export->rows_done = 0;
    for (uint32_t i = 0; i < catalogue->segment_count; i++)
        if (ringtape_query_has_channel(&delta->export->query, catalogue->segments[i].channel))
            delta->export->rows_total += catalogue->segments[i].rows;
}

int ringtape_delta_export(struct ringtape_delta *delta, bool (*stop)(void))
{
    int exit_code = RINGTAPE_EXIT_OK;
    delta->behind = delta->changed = 0;
    delta->day_oldest = INT32_MAX;
    delta->only = NULL;
    delta->waiting = 0;
    count_rows(delta);
    // What is sealed by now is in the tables afterwards; days refresh the store as they must.
    delta->frontier = frontier_of(delta);
    ringtape_progress_start(&delta->export->progress, "exporting");
    for (int c = CHANNEL_NONE + 1; c < CHANNEL_COUNT && exit_code == RINGTAPE_EXIT_OK; c++)
        if (ringtape_query_has_channel(&delta->export->query, (enum channel)c))
            exit_code = export_channel(delta, (enum channel)c, stop);
    ringtape_progress_clear(&delta->export->progress);
    if (exit_code == RINGTAPE_EXIT_OK) ringtape_delta_tell_daemon(delta);
    return exit_code;
}

int ringtape_delta_sum(struct ringtape_delta *delta, int exit_code)
{
    struct ringtape_export *export = delta->export;
    char count[2 * RINGTAPE_TABLE_NUMBER_BYTES], rows[2 * RINGTAPE_TABLE_NUMBER_BYTES];
    char bytes[RINGTAPE_TABLE_NUMBER_BYTES];
    uint32_t tapes;
    (void)store_tapes(export->store, &tapes);
    if (export->json_wanted && !delta->lines) {
        ringtape_json_array_end(&delta->json);
        ringtape_json_count(&delta->json, "rows", delta->rows);
        ringtape_json_count(&delta->json, "files", delta->files);
        ringtape_json_count(&delta->json, "files_removed", delta->removed);
        ringtape_json_count(&delta->json, "bytes", delta->bytes);
        ringtape_json_count(&delta->json, "left_out", export->refused);
        ringtape_json_count(&delta->json, "damages", export->damages);
        ringtape_json_count(&delta->json, "days_waiting", delta->waiting);
        ringtape_json_count(&delta->json, "days_lost", delta->lost);
        ringtape_json_count(&delta->json, "unsealed_tapes", tapes);
        ringtape_json_integer(&delta->json, "commit_ns_max", delta->commit_ns_max);
        ringtape_json_object_end(&delta->json);
        ringtape_json_line(&delta->json);
    } else if (!export->json_wanted) {
        (void)printf("%s; %s, %s\n", ringtape_table_count(count, delta->commits, "commit"),
                     ringtape_table_count(rows, delta->rows, "row"),
                     ringtape_table_bytes(bytes, delta->bytes));
    }
    (void)fflush(stdout);
    if (export->refused > 0)
        (void)ringtape_fail("%s left out, not fit for the Parquet types",
                            ringtape_table_count(rows, export->refused, "row"));
    const bool whole = export->refused == 0 && export->damages == 0 && delta->lost == 0;
    return exit_code == RINGTAPE_EXIT_OK && !whole ? RINGTAPE_EXIT_FOUND : exit_code;
}

// ---- compacting ----

struct partition {
    const char *exchange;
    const char *date;
    const struct delta_file *files[RINGTAPE_DELTA_FILES_MAX]; // in the order of their tapes
    uint32_t count;
};

static int by_tapes(const void *left, const void *right)
{
    const struct delta_file *a = *(const struct delta_file *const *)left;
    const struct delta_file *b = *(const struct delta_file *const *)right;
    if (a->tape_from != b->tape_from) return a->tape_from < b->tape_from ? -1 : 1;
    return strcmp(a->path, b->path);
}

// Our live files of the partition that `file` is in; false: it is not the first of them.
static bool gather(const struct ringtape_delta *delta, const struct delta_file *files,
                   uint32_t count, uint32_t first, struct partition *partition)
{
    const struct delta_file *file = &files[first];
    *partition = (struct partition){.exchange = file->exchange, .date = file->date};
    for (uint32_t i = 0; i < count; i++) {
        const struct delta_file *other = &files[i];
        if (!other->live || strcmp(other->store, delta->export->identity) != 0 ||
            strcmp(other->date, file->date) != 0 || strcmp(other->exchange, file->exchange) != 0)
            continue;
        if (i < first || partition->count == RINGTAPE_DELTA_FILES_MAX) return false;
        partition->files[partition->count++] = other;
    }
    if (partition->count > 1)
        qsort(partition->files, partition->count, sizeof *partition->files, by_tapes);
    return partition->count > 0;
}

// Where to begin: the start that neither a file nor a segment lies across. False: it does not pay,
// or the store has other rows.
static bool find_start(struct ringtape_delta *delta, const struct partition *partition, bool whole,
                       int64_t *from)
{
    int64_t bytes[RINGTAPE_DELTA_FILES_MAX], tape, messages, before;
    uint32_t count;
    const struct catalogue_segment *segments =
        segments_of(delta, delta->channel, delta->day, &count);
    ringtape_delta_known(delta, delta->day, &tape, &messages);
    for (uint32_t i = 0; i < partition->count; i++) bytes[i] = partition->files[i]->bytes;
    const uint32_t first = whole ? 0 : ringtape_delta_tier(bytes, partition->count);
    if (first >= partition->count || segments == NULL) return false;
    *from = partition->files[first]->tape_from;
    do {
        before = *from;
        if (!ringtape_delta_boundary(segments, count, tape, messages, from)) return false;
        for (uint32_t i = 0; i < partition->count; i++) {
            const struct delta_file *file = partition->files[i];
            if (file->tape_from < *from && file->tape_to > *from) *from = file->tape_from;
        }
    } while (*from != before);
    return true;
}

// Fewer files than there are now come of it: more than one, unless they are of full size already.
static bool pays(const struct ringtape_delta *delta, const struct partition *partition,
                 int64_t from)
{
    int64_t bytes = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < partition->count; i++) {
        if (partition->files[i]->tape_from < from) continue;
        bytes += partition->files[i]->bytes;
        count++;
    }
    return count > 1 && bytes / count < (int64_t)delta->export->file_bytes / 2;
}

static int compact_partition(struct ringtape_delta *delta, const struct partition *partition,
                             bool whole)
{
    int64_t from, messages;
    char exchange[RINGTAPE_DELTA_EXCHANGE_BYTES];
    if (!find_start(delta, partition, whole, &from) || !pays(delta, partition, from))
        return RINGTAPE_EXIT_OK;
    (void)snprintf(exchange, sizeof exchange, "%s", partition->exchange); // the commit moves it
    delta->plan = (struct ringtape_delta_plan){.mode = RINGTAPE_DELTA_COMPACT, .from = from};
    ringtape_delta_known(delta, delta->day, &delta->plan.to, &messages);
    delta->only = exchange;
    const int error = carry_out(delta);
    delta->only = NULL;
    if (error == 0) return RINGTAPE_EXIT_OK;
    // Somebody was faster, or it cannot be: the files stay as they are, and nothing is lost by it.
    if (error == -ENOENT || error == -ECANCELED) return RINGTAPE_EXIT_OK;
    if (error != -EPERM && error != -EBADMSG) return RINGTAPE_EXIT_IO; // another time it may be
    const uint32_t at = delta->uncompactable_count++ % RINGTAPE_DELTA_UNCOMPACTABLE_MAX;
    delta->uncompactable[at].channel = delta->channel;
    delta->uncompactable[at].day = delta->day;
    return RINGTAPE_EXIT_FOUND;
}

static bool is_uncompactable(const struct ringtape_delta *delta, int32_t day)
{
    const uint32_t count = delta->uncompactable_count < RINGTAPE_DELTA_UNCOMPACTABLE_MAX
                               ? delta->uncompactable_count
                               : RINGTAPE_DELTA_UNCOMPACTABLE_MAX;
    for (uint32_t i = 0; i < count; i++)
        if (delta->uncompactable[i].channel == delta->channel && delta->uncompactable[i].day == day)
            return true;
    return false;
}

static int compact_channel(struct ringtape_delta *delta, uint32_t files_max, bool whole,
                           const struct ringtape_delta_scope *scope, bool (*stop)(void))
{
    static struct partition partition; // too large for a stack
    uint32_t count;
    int exit_code = RINGTAPE_EXIT_OK;
    // A commit moves the files, and adds some: the list is taken anew, and goes on behind.
    for (uint32_t i = 0; i < (delta_files(delta->table, &count), count); i++) {
        int32_t day;
        const struct delta_file *files = delta_files(delta->table, &count);
        if (stop != NULL && stop()) break;
        if (!files[i].live || !catalogue_day_parse(files[i].date, strlen(files[i].date), &day) ||
            day < scope->day_from || day > scope->day_to || is_uncompactable(delta, day) ||
            !gather(delta, files, count, i, &partition) || partition.count <= files_max)
            continue;
        begin_day(delta, day);
        const int result = compact_partition(delta, &partition, whole);
        if (result != RINGTAPE_EXIT_OK) exit_code = result;
        if (result == RINGTAPE_EXIT_IO) break; // a full disk is full for the next one, too
    }
    return exit_code;
}

int ringtape_delta_compact(struct ringtape_delta *delta, uint32_t files_max, bool whole,
                           const struct ringtape_delta_scope *scope, bool (*stop)(void))
{
    int exit_code = RINGTAPE_EXIT_OK;
    ringtape_progress_start(&delta->export->progress, "compacting");
    for (int c = CHANNEL_NONE + 1; c < CHANNEL_COUNT; c++) {
        if ((scope->channels >> c & 1) == 0 || channel_schema((enum channel)c) == NULL ||
            !ringtape_query_has_channel(&delta->export->query, (enum channel)c))
            continue;
        int result = ringtape_delta_open_table(delta, (enum channel)c);
        if (result == RINGTAPE_EXIT_OK)
            result = compact_channel(delta, files_max, whole, scope, stop);
        close_table(delta);
        if (result != RINGTAPE_EXIT_OK) exit_code = result;
    }
    ringtape_progress_clear(&delta->export->progress);
    return exit_code;
}
