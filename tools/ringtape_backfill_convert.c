// SPDX-License-Identifier: GPL-3.0-or-later
//
// zip → CSV by 160 KiB → rows by 1,024 → sieve: runs, what is stored, days → output. What is under
// way then stays in the second-level cache beside the block that is being made.
//
// As a rule a batch of rows is one run, of one day, and nothing of it is stored: then it goes on as
// it is. Only where that does not hold is it looked at row by row.
#include "tools/ringtape_backfill_convert.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/binance_archive.h"
#include "format/ensure.h"
#include "tools/ringtape_backfill_zip.h"
#include "tools/ringtape_command.h"

enum { CHUNK_BYTES = 160 * 1024, ROWS = 1024 };

struct backfill_sieve {
    struct backfill_job *job;
    struct backfill_output output;
    struct backfill_spans stored;
    uint32_t stored_cursor, theirs_cursor;
    struct backfill_run *runs;
    uint32_t run_count;
    int64_t position; // the last one
};

// ---- the sieve ----

// What the sealer may not have taken in yet.
static bool add_handed(const struct backfill_job *job, struct backfill_spans *stored)
{
    for (uint32_t i = 0; i < job->handed->count; i++)
        if (!backfill_spans_add(stored, job->handed->spans[i].first, job->handed->spans[i].last))
            return false;
    backfill_spans_unite(stored);
    return true;
}

static bool note_handed(const struct backfill_sieve *sieve)
{
    struct backfill_spans *handed = sieve->job->handed;
    if (sieve->job->key.times) return true; // periods do not overlap
    for (uint32_t i = 0; i < sieve->run_count; i++)
        if (!backfill_spans_add(handed, sieve->runs[i].first, sieve->runs[i].last)) return false;
    backfill_spans_unite(handed);
    return true;
}

struct backfill_sieve *backfill_sieve_open(struct backfill_job *job)
{
    struct backfill_sieve *sieve = calloc(1, sizeof *sieve);
    struct backfill_run *runs = malloc(BACKFILL_RUNS_MAX * sizeof *runs);
    int result = sieve != NULL && runs != NULL ? 0 : ringtape_fail("out of memory");
    // Klines behind the newest are not left to a daemon: what it stored meanwhile counts.
    if (result == 0 && job->key.channel == CHANNEL_KLINE)
        result = backfill_hold_refresh(job->hold);
    if (result == 0) {
        sieve->job = job;
        sieve->runs = runs;
        sieve->output.file = -1;
        result = backfill_stored(job->hold->store, &job->key, job->from_ns, job->to_ns,
                                 &sieve->stored);
    }
    if (result == 0 && !add_handed(job, &sieve->stored)) result = ringtape_fail("out of memory");
    if (result == 0)
        result = backfill_output_begin(&sieve->output, job->hold, job->key.symbol,
                                       job->key.channel);
    if (result == 0) return sieve;
    if (sieve != NULL) backfill_spans_free(&sieve->stored);
    free(runs);
    free(sieve);
    return NULL;
}

static int64_t time_of(const struct backfill_sieve *sieve, const struct rows *rows, uint32_t row)
{
    (void)sieve;
    return rows->value[rows->schema->times[rows->schema->channel == CHANNEL_KLINE]][row];
}

// Until when a row tells that everything is there.
static int64_t end_of(const struct backfill_sieve *sieve, const struct rows *rows, uint32_t row)
{
    const struct backfill_key *key = &sieve->job->key;
    const int64_t time_ns = time_of(sieve, rows, row);
    if (key->channel != CHANNEL_KLINE) return time_ns;
    return key->interval_ns > 0 ? time_ns + key->interval_ns - 1
                                : rows->value[KLINE_CLOSE_TIME][row];
}

// Rows [first, first + count) follow one another; `stored` of them are new.
static bool extend_run(struct backfill_sieve *sieve, const struct rows *rows, uint32_t first,
                       uint32_t count, uint64_t stored)
{
    const struct backfill_key *key = &sieve->job->key;
    const bool ids = key->channel != CHANNEL_KLINE;
    if (key->times) return true; // one run, told at the end
    const int64_t position = backfill_position(key, rows, first);
    const int64_t last = backfill_position(key, rows, first + count - 1);
    struct backfill_run *run = sieve->run_count > 0 ? &sieve->runs[sieve->run_count - 1] : NULL;
    const bool follows = run != NULL && position == sieve->position + 1;
    sieve->position = last;
    if (!follows) {
        if (sieve->run_count == BACKFILL_RUNS_MAX) return false;
        sieve->job->gaps += sieve->run_count > 0;
        run = &sieve->runs[sieve->run_count++];
        *run = (struct backfill_run){.first = position,
                                     .ids = ids,
                                     .from_ns = time_of(sieve, rows, first)};
    }
    run->last = last;
    const int64_t end_ns = end_of(sieve, rows, first + count - 1);
    run->to_ns = !follows || end_ns > run->to_ns ? end_ns : run->to_ns;
    run->rows += stored;
    return true;
}

enum fate { FATE_NEW, FATE_KNOWN, FATE_THEIRS };

static enum fate fate_of(struct backfill_sieve *sieve, int64_t position)
{
    const struct backfill_span *known =
        backfill_spans_from(&sieve->stored, &sieve->stored_cursor, position);
    if (known != NULL && known->first <= position) return FATE_KNOWN;
    const struct backfill_span *theirs =
        backfill_spans_from(sieve->job->theirs, &sieve->theirs_cursor, position);
    return theirs != NULL && theirs->first <= position ? FATE_THEIRS : FATE_NEW;
}

// Is nothing of [first, last] known or theirs?
static bool all_new(struct backfill_sieve *sieve, int64_t first, int64_t last)
{
    const struct backfill_span *known =
        backfill_spans_from(&sieve->stored, &sieve->stored_cursor, first);
    const struct backfill_span *theirs =
        backfill_spans_from(sieve->job->theirs, &sieve->theirs_cursor, first);
    return (known == NULL || known->first > last) && (theirs == NULL || theirs->first > last);
}

// The day of all rows; INT32_MIN: of several.
static int32_t day_of_all(const struct backfill_sieve *sieve, const struct rows *rows)
{
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (uint32_t row = 0; row < rows->count; row++) {
        const int64_t time_ns = time_of(sieve, rows, row);
        least = time_ns < least ? time_ns : least;
        most = time_ns > most ? time_ns : most;
    }
    const int32_t day = catalogue_day_of(least);
    return catalogue_day_of(most) == day ? day : INT32_MIN;
}

static int take_new(struct backfill_sieve *sieve, const struct rows *rows, uint32_t first,
                    uint32_t count, int32_t day)
{
    sieve->job->rows_stored += count;
    return backfill_output_append(&sieve->output, rows, first, count, day);
}

static void count_fate(struct backfill_job *job, enum fate fate, uint32_t count)
{
    job->rows_known += fate == FATE_KNOWN ? count : 0;
    job->rows_left += fate == FATE_THEIRS ? count : 0;
}

// One stretch with the row before: of one day and one fate, and following it.
static bool joins(struct backfill_sieve *sieve, const struct rows *rows, uint32_t row,
                  enum fate fate, int32_t day)
{
    const struct backfill_key *key = &sieve->job->key;
    const int64_t position = backfill_position(key, rows, row);
    return (key->times || position == backfill_position(key, rows, row - 1) + 1) &&
           catalogue_day_of(time_of(sieve, rows, row)) == day && fate_of(sieve, position) == fate;
}

// Stretches of rows that follow one another, of one day and one fate.
static enum backfill_result take_slowly(struct backfill_sieve *sieve, const struct rows *rows)
{
    uint32_t next;
    for (uint32_t first = 0; first < rows->count; first = next) {
        const enum fate fate = fate_of(sieve, backfill_position(&sieve->job->key, rows, first));
        const int32_t day = catalogue_day_of(time_of(sieve, rows, first));
        next = first + 1;
        while (next < rows->count && joins(sieve, rows, next, fate, day)) next++;
        const uint32_t count = next - first;
        count_fate(sieve->job, fate, count);
        // What is left to the daemon is not covered by this file.
        if (fate != FATE_THEIRS &&
            !extend_run(sieve, rows, first, count, fate == FATE_NEW ? count : 0))
            return BACKFILL_REFUSED;
        if (fate == FATE_NEW && take_new(sieve, rows, first, count, day) != 0)
            return BACKFILL_FAILED;
    }
    return BACKFILL_DONE;
}

enum backfill_result backfill_sieve_take(struct backfill_sieve *sieve, const struct rows *rows)
{
    enum backfill_result result = BACKFILL_DONE;
    if (rows->count == 0) return result;
    const int64_t first = backfill_position(&sieve->job->key, rows, 0);
    const int64_t last = backfill_position(&sieve->job->key, rows, rows->count - 1);
    const int32_t day = day_of_all(sieve, rows);
    sieve->job->rows_read += rows->count;
    if (last - first + 1 == rows->count && day != INT32_MIN && all_new(sieve, first, last)) {
        if (!extend_run(sieve, rows, 0, rows->count, rows->count))
            result = BACKFILL_REFUSED;
        else if (take_new(sieve, rows, 0, rows->count, day) != 0)
            result = BACKFILL_FAILED;
    } else {
        result = take_slowly(sieve, rows);
    }
    if (result == BACKFILL_REFUSED)
        (void)snprintf(sieve->job->message, sizeof sieve->job->message,
                       "%.255s: more than %d gaps between ids", sieve->job->name,
                       BACKFILL_RUNS_MAX - 1);
    return result;
}

enum backfill_result backfill_sieve_close(struct backfill_sieve *sieve, bool commit)
{
    struct backfill_job *job = sieve->job;
    enum backfill_result result = BACKFILL_DONE;
    if (commit && job->key.times)
        sieve->runs[sieve->run_count++] = (struct backfill_run){
            .from_ns = job->from_ns, .to_ns = job->to_ns - 1, .rows = job->rows_stored};
    const bool any = commit && sieve->run_count > 0;
    char detail[BACKFILL_DETAIL_BYTES_MAX + 1];
    // What was left to a daemon may have to be filled in all the same: another run looks again.
    (void)snprintf(detail, sizeof detail, "%.110s%s", job->detail,
                   job->rows_left > 0 || job->partly ? " partly" : "");
    if (any && backfill_output_hand_over(&sieve->output, sieve->runs, sieve->run_count, detail) !=
                   0)
        result = BACKFILL_FAILED;
    if (!any || result != BACKFILL_DONE)
        backfill_output_abandon(&sieve->output);
    else if (!note_handed(sieve) && ringtape_fail("out of memory") != 0)
        result = BACKFILL_FAILED;
    job->bytes = sieve->output.bytes;
    backfill_spans_free(&sieve->stored);
    free(sieve->runs);
    free(sieve);
    return result;
}

// ---- a file ----

struct reading {
    struct backfill_job *job;
    struct backfill_zip *zip;
    struct backfill_sieve *sieve;
    struct binance_archive archive;
    struct rows rows;
    void *rows_memory;
    char *bytes; // [CHUNK_BYTES + a line + padding]
    size_t have;
};

static enum backfill_result refuse_line(struct reading *reading)
{
    const struct binance_archive *archive = &reading->archive;
    char place[48] = "";
    if (archive->column != 0) (void)snprintf(place, sizeof place, ":%u", archive->column);
    (void)snprintf(reading->job->message, sizeof reading->job->message,
                   "%.200s.csv:%" PRIu64 "%s: %s", reading->job->name, archive->line, place,
                   archive->fault);
    return BACKFILL_REFUSED;
}

// Rows of everything in `bytes`, but for a part of a line at the end.
static enum backfill_result take_bytes(struct reading *reading, bool end)
{
    size_t at = 0;
    for (;;) {
        const int64_t taken = binance_archive_scan(&reading->archive, reading->bytes + at,
                                                   reading->have - at, end, &reading->rows);
        if (taken < 0) return refuse_line(reading);
        at += (size_t)taken;
        if (!binance_archive_full(&reading->rows)) break;
        const enum backfill_result result = backfill_sieve_take(reading->sieve, &reading->rows);
        rows_clear(&reading->rows);
        if (result != BACKFILL_DONE) return result;
    }
    reading->have -= at;
    memmove(reading->bytes, reading->bytes + at, reading->have);
    return BACKFILL_DONE;
}

// A line makes no sense: perhaps the zip is damaged, which its CRC tells at the end.
static void look_for_damage(struct reading *reading)
{
    char message[BACKFILL_ZIP_MESSAGE_BYTES];
    int64_t got = 1;
    while (got > 0 && (reading->job->stop == NULL || !*reading->job->stop))
        got = backfill_zip_read(reading->zip, reading->bytes, CHUNK_BYTES, message);
    if (got < 0)
        (void)snprintf(reading->job->message, sizeof reading->job->message, "%.200s.zip: %s",
                       reading->job->name, message);
}

static enum backfill_result read_all(struct reading *reading)
{
    struct backfill_job *job = reading->job;
    char message[BACKFILL_ZIP_MESSAGE_BYTES];
    enum backfill_result result = BACKFILL_DONE;
    int64_t got = 1;
    while (result == BACKFILL_DONE && got > 0) {
        got = backfill_zip_read(reading->zip, reading->bytes + reading->have, CHUNK_BYTES, message);
        if (got < 0) {
            (void)snprintf(job->message, sizeof job->message, "%.200s.zip: %s", job->name, message);
            return BACKFILL_REFUSED;
        }
        reading->have += (size_t)got;
        result = take_bytes(reading, got == 0);
        if (result == BACKFILL_REFUSED && got > 0) look_for_damage(reading);
        if (job->progress != NULL) job->progress(job->context, backfill_zip_taken(reading->zip));
        if (job->stop != NULL && *job->stop) return BACKFILL_STOPPED;
    }
    return result == BACKFILL_DONE ? backfill_sieve_take(reading->sieve, &reading->rows) : result;
}

static bool open_rows(struct reading *reading)
{
    const struct channel_schema *schema = channel_schema(reading->job->key.channel);
    const struct rows_limits limits = binance_archive_limits(&reading->archive, ROWS);
    const size_t size = (rows_memory_bytes(schema, &limits) + 63) / 64 * 64;
    reading->rows_memory = aligned_alloc(64, size);
    reading->bytes = malloc(CHUNK_BYTES + BINANCE_ARCHIVE_LINE_BYTES_MAX + BINANCE_ARCHIVE_PADDING);
    if (reading->rows_memory == NULL || reading->bytes == NULL) return false;
    memset(reading->rows_memory, 0, size); // cells of columns that archives do not have
    memset(reading->bytes, 0,
           CHUNK_BYTES + BINANCE_ARCHIVE_LINE_BYTES_MAX + BINANCE_ARCHIVE_PADDING);
    rows_init(&reading->rows, schema, &limits, reading->rows_memory);
    return true;
}

static enum backfill_result convert_open(struct reading *reading)
{
    struct backfill_job *job = reading->job;
    if (!open_rows(reading)) {
        (void)ringtape_fail("out of memory");
        return BACKFILL_FAILED;
    }
    reading->sieve = backfill_sieve_open(job);
    if (reading->sieve == NULL) return BACKFILL_FAILED;
    const enum backfill_result result = read_all(reading);
    const enum backfill_result closed =
        backfill_sieve_close(reading->sieve, result == BACKFILL_DONE);
    return result == BACKFILL_DONE ? closed : result;
}

enum backfill_result backfill_convert(struct backfill_job *job)
{
    char csv[BACKFILL_ZIP_MESSAGE_BYTES], message[BACKFILL_ZIP_MESSAGE_BYTES];
    struct reading reading = {.job = job,
                              .archive = {.channel = job->key.channel,
                                          .usdm = job->usdm,
                                          .from_ns = job->from_ns,
                                          .to_ns = job->to_ns}};
    job->rows_read = job->rows_stored = job->rows_known = job->rows_left = 0;
    job->gaps = job->bytes = 0;
    (void)snprintf(csv, sizeof csv, "%.150s.csv", job->name);
    if (job->key.channel == CHANNEL_KLINE)
        (void)snprintf(reading.archive.interval, sizeof reading.archive.interval, "%s",
                       job->key.interval);
    reading.zip = backfill_zip_open(job->path, csv, message);
    if (reading.zip == NULL) {
        (void)snprintf(job->message, sizeof job->message, "%.200s.zip: %s", job->name, message);
        return BACKFILL_REFUSED;
    }
    const enum backfill_result result = convert_open(&reading);
    backfill_zip_close(reading.zip);
    free(reading.rows_memory);
    free(reading.bytes);
    return result;
}
