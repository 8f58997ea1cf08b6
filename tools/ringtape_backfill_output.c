// SPDX-License-Identifier: GPL-3.0-or-later
//
// Every file is written, synced and closed before the folder is synced and the handover appears.
#include "tools/ringtape_backfill_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "format/ensure.h"
#include "format/version.h"
#include "tools/ringtape_command.h"

enum { MANY_ROWS = 1 << 20, STATUS_ROW_BITS = 20 };

static int fail(const struct backfill_output *output, const char *path, int error)
{
    (void)output;
    if (error == ENOSPC || error == EDQUOT)
        return ringtape_fail("%s: %s; free space and start again: what is complete is passed over",
                             path, strerror(error));
    return ringtape_fail("%s: %s", path, strerror(error));
}

static void path_of(const struct backfill_output *output, const struct catalogue_segment *segment,
                    const char *ending, char out[RINGTAPE_PATH_BYTES_MAX])
{
    char relative[CATALOGUE_PATH_BYTES_MAX];
    catalogue_segment_path(segment, ending, relative);
    backfill_hold_path(output->hold, strrchr(relative, '/') + 1, out);
}

// ---- files ----

static int write_all(int file, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t done = write(file, at, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return done < 0 ? errno : EIO;
        at += done;
        size -= (size_t)done;
    }
    return 0;
}

// Synced and closed whatever happens. 0 or errno.
static int close_synced(int file, int error)
{
    if (error == 0 && fdatasync(file) != 0) error = errno;
    if (close(file) != 0 && error == 0) error = errno;
    return error;
}

static int write_file(const char *path, const void *bytes, size_t size)
{
    const int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (file < 0) return errno;
    return close_synced(file, write_all(file, bytes, size));
}

// ---- a segment ----

static int open_writer(struct backfill_output *output)
{
    struct segment_description what = {
        .created_ns = ringtape_now_ns(),
        .channel = output->segment.channel,
        .day = output->segment.day,
        .number = output->segment.number,
        .writer = "ringtape " RINGTAPE_VERSION,
    };
    memcpy(what.store, store_identity(output->hold->store), sizeof what.store);
    while (what.salt == 0)
        ensure(getrandom(&what.salt, sizeof what.salt, 0) == sizeof what.salt);
    if (segment_writer_open(&output->writer, &what) != 0) return ringtape_fail("out of memory");
    return RINGTAPE_EXIT_OK;
}

static int open_segment(struct backfill_output *output, enum channel channel, int32_t day)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    if (output->listed.segment_count == BACKFILL_SEGMENTS_MAX)
        return ringtape_fail("%s: more than %d segments of one file: its times go to and fro over "
                             "midnight",
                             output->symbol, BACKFILL_SEGMENTS_MAX);
    output->segment = (struct catalogue_segment){.channel = channel, .day = day};
    int result = backfill_hold_number(output->hold, &output->segment.number);
    if (result != 0) return result;
    path_of(output, &output->segment, "segment", path);
    output->file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (output->file < 0) return fail(output, path, errno);
    output->written = 0;
    result = open_writer(output);
    if (result != 0) return result;
    ensure(segment_writer_symbol(output->writer, output->symbol, (uint32_t)strlen(output->symbol),
                                 MANY_ROWS));
    return RINGTAPE_EXIT_OK;
}

static int drain(struct backfill_output *output)
{
    size_t size;
    const void *bytes = segment_writer_output(output->writer, &size);
    if (size == 0) return RINGTAPE_EXIT_OK;
    const int error = write_all(output->file, bytes, size);
    if (error != 0) {
        char path[RINGTAPE_PATH_BYTES_MAX];
        path_of(output, &output->segment, "segment", path);
        return fail(output, path, error);
    }
    output->written += size;
    segment_writer_taken(output->writer);
    return RINGTAPE_EXIT_OK;
}

static int write_index(struct backfill_output *output)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    size_t size;
    const void *index = segment_writer_index(output->writer, &size);
    path_of(output, &output->segment, "index", path);
    const int error = write_file(path, index, size);
    return error == 0 ? RINGTAPE_EXIT_OK : fail(output, path, error);
}

static int close_segment(struct backfill_output *output)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    bool finished = false;
    if (output->writer == NULL) return RINGTAPE_EXIT_OK;
    while (!finished) {
        finished = segment_writer_finish(output->writer);
        const int result = drain(output);
        if (result != 0) return result;
    }
    const struct segment_summary summary = segment_writer_summary(output->writer);
    ensure(summary.bytes == output->written);
    output->segment.rows = summary.rows;
    output->segment.bytes = summary.bytes;
    output->segment.time_min = summary.time_min;
    output->segment.time_max = summary.time_max;
    path_of(output, &output->segment, "segment", path);
    const int file = output->file;
    output->file = -1;
    const int error = close_synced(file, 0);
    if (error != 0) return fail(output, path, error);
    const int result = write_index(output);
    if (result != 0) return result;
    segment_writer_close(output->writer);
    output->writer = NULL;
    output->bytes += summary.bytes;
    ensure(catalogue_add_segment(&output->listed, &output->segment));
    return RINGTAPE_EXIT_OK;
}

static int append_portions(struct backfill_output *output, const struct rows *rows, uint32_t first,
                           uint32_t count, const struct segment_provenance *provenance)
{
    while (count > 0) {
        const uint32_t portion = count < SEGMENT_APPEND_ROWS_MAX ? count : SEGMENT_APPEND_ROWS_MAX;
        int result = RINGTAPE_EXIT_OK;
        if (segment_writer_full(output->writer)) {
            const struct catalogue_segment segment = output->segment;
            result = close_segment(output);
            if (result == 0) result = open_segment(output, segment.channel, segment.day);
            if (result != 0) return result;
        }
        const uint32_t taken = segment_writer_append_many(output->writer, rows, first, portion,
                                                          provenance);
        ensure(taken <= portion);
        first += taken;
        count -= taken;
        if (provenance != NULL) provenance += taken;
        if (taken < portion) result = drain(output);
        if (result != 0) return result;
    }
    return RINGTAPE_EXIT_OK;
}

int backfill_output_append(struct backfill_output *output, const struct rows *rows, uint32_t first,
                           uint32_t count, int32_t day)
{
    int result = RINGTAPE_EXIT_OK;
    ensure(rows->schema->channel == output->channel && first + count <= rows->count);
    if (count == 0) return result;
    if (output->writer != NULL && output->segment.day != day) result = close_segment(output);
    if (result == 0 && output->writer == NULL) result = open_segment(output, output->channel, day);
    if (result == 0) result = append_portions(output, rows, first, count, NULL);
    output->rows += count;
    return result;
}

// ---- the rows about it ----

static void status_event(const struct backfill_output *output, const struct backfill_run *run,
                         const char *detail, int64_t now_ns, struct event *event)
{
    event_clear(event, CHANNEL_STATUS, 0);
    event_set(event, COLUMN_RECEIVE_TIME, now_ns);
    event_set(event, COLUMN_FLAGS, EVENT_BACKFILLED);
    event_set(event, STATUS_KIND, STATUS_BACKFILLED);
    event_set(event, STATUS_CHANNEL, output->channel);
    if (run->ids) {
        event_set(event, STATUS_FIRST_ID, run->first);
        event_set(event, STATUS_LAST_ID, run->last);
    }
    event_set(event, STATUS_FROM_TIME, run->from_ns);
    event_set(event, STATUS_TO_TIME, run->to_ns);
    event_set(event, STATUS_COUNT, (int64_t)run->rows);
    event_set_text(event, STATUS_DETAIL, detail, (uint32_t)strlen(detail));
}

// They have no identity at an exchange: no tape, and a row number that no other segment has.
static int append_status(struct backfill_output *output, const struct rows *rows)
{
    struct segment_provenance *provenance = calloc(rows->count, sizeof *provenance);
    if (provenance == NULL) return ringtape_fail("out of memory");
    for (uint32_t i = 0; i < rows->count; i++)
        provenance[i].row = (uint64_t)output->segment.number << STATUS_ROW_BITS | i;
    const int result = append_portions(output, rows, 0, rows->count, provenance);
    free(provenance);
    return result;
}

static int write_status(struct backfill_output *output, const struct backfill_run *runs,
                        uint32_t run_count, const char *detail)
{
    static struct event event;
    const struct channel_schema *schema = channel_schema(CHANNEL_STATUS);
    const struct rows_limits limits = {
        .rows = run_count, .text_bytes = run_count * ((uint32_t)strlen(detail) + 1)};
    const int64_t now_ns = ringtape_now_ns();
    struct rows rows;
    void *memory = aligned_alloc(64, (rows_memory_bytes(schema, &limits) + 63) / 64 * 64);
    if (memory == NULL) return ringtape_fail("out of memory");
    rows_init(&rows, schema, &limits, memory);
    for (uint32_t i = 0; i < run_count; i++) {
        status_event(output, &runs[i], detail, now_ns, &event);
        ensure(rows_append(&rows, &event));
    }
    int result = open_segment(output, CHANNEL_STATUS, catalogue_day_of(now_ns));
    if (result == 0) result = append_status(output, &rows);
    if (result == 0) result = close_segment(output);
    free(memory);
    return result;
}

// ---- handing over ----

static void end(struct backfill_output *output)
{
    if (output->writer != NULL) segment_writer_close(output->writer);
    if (output->file >= 0) (void)close(output->file);
    catalogue_free(&output->listed);
    output->writer = NULL;
    output->file = -1;
}

static uint32_t lowest_number(const struct catalogue *listed)
{
    uint32_t number = UINT32_MAX;
    for (uint32_t i = 0; i < listed->segment_count; i++)
        if (listed->segments[i].number < number) number = listed->segments[i].number;
    return number;
}

static int write_handover(struct backfill_output *output)
{
    char name[64], path[RINGTAPE_PATH_BYTES_MAX], path_new[RINGTAPE_PATH_BYTES_MAX];
    const size_t most = catalogue_bytes_max(&output->listed);
    char *text = malloc(most);
    if (text == NULL) return ringtape_fail("out of memory");
    output->listed.next_segment = UINT32_MAX;
    output->listed.generation = output->hold->life;
    const size_t size = catalogue_write(&output->listed, text, most);
    (void)snprintf(name, sizeof name, "%08" PRIu32 ".handover", lowest_number(&output->listed));
    backfill_hold_path(output->hold, name, path);
    (void)snprintf(name, sizeof name, "%08" PRIu32 ".new", lowest_number(&output->listed));
    backfill_hold_path(output->hold, name, path_new);
    int error = write_file(path_new, text, size);
    free(text);
    if (error == 0) error = -backfill_hold_sync(output->hold);
    if (error == 0 && rename(path_new, path) != 0) error = errno;
    if (error != 0) {
        (void)unlink(path_new);
        return fail(output, path, error);
    }
    // Whether the rename is durable does not matter: without it everything is as before.
    (void)backfill_hold_sync(output->hold);
    return RINGTAPE_EXIT_OK;
}

int backfill_output_begin(struct backfill_output *output, struct backfill_hold *hold,
                          const char *symbol, enum channel channel)
{
    *output = (struct backfill_output){.hold = hold, .channel = channel, .file = -1};
    ensure(strlen(symbol) <= BACKFILL_SYMBOL_BYTES_MAX);
    memcpy(output->symbol, symbol, strlen(symbol) + 1);
    if (catalogue_init(&output->listed, store_identity(hold->store)) != 0)
        return ringtape_fail("out of memory");
    return RINGTAPE_EXIT_OK;
}

int backfill_output_hand_over(struct backfill_output *output, const struct backfill_run *runs,
                              uint32_t run_count, const char *detail)
{
    ensure(run_count > 0 && run_count <= BACKFILL_RUNS_MAX);
    int result = close_segment(output);
    if (result == 0) result = write_status(output, runs, run_count, detail);
    if (result == 0) result = write_handover(output);
    if (result == 0) end(output);
    return result;
}

static void remove_segment(const struct backfill_output *output,
                           const struct catalogue_segment *segment)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    if (segment->number == 0) return;
    path_of(output, segment, "index", path);
    (void)unlink(path);
    path_of(output, segment, "segment", path);
    (void)unlink(path);
}

void backfill_output_abandon(struct backfill_output *output)
{
    if (output->writer != NULL || output->file >= 0) remove_segment(output, &output->segment);
    for (uint32_t i = 0; i < output->listed.segment_count; i++)
        remove_segment(output, &output->listed.segments[i]);
    end(output);
}
