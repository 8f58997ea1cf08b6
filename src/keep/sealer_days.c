// SPDX-License-Identifier: GPL-3.0-or-later
//
// Markers of closed days (format/day.h). Once a minute, when nothing else is to be done and a day
// that is over may have changed, the sealer looks at the store as it is then:
//
//     ledger/base → ledger/shard-00 … → status segments → tapes → judgement
//                                                            └→ each marker: read → replaced
//
// The ledger comes first: what it tells of is durable, so it is found in what is read after it.
// Nothing is sealed meanwhile, so no row is seen twice. A file is one step: opened, read at once,
// closed; a stop ends the look after a step. A crash leaves the old marker or the new one.
//
// Which (day, channel) says what is remembered by the hash of its content, so that a marker is read
// once in a life of the daemon and written when it changes.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/log.h"
#include "format/ensure.h"
#include "keep/sealer_days_inside.h"

#define DAYS_LOOK_NS LIMIT_MINUTE_NS

static void next_marker(struct sealer *sealer);

int sealer_days_open(struct sealer *sealer)
{
    sealer->days = calloc(1, sizeof *sealer->days);
    return sealer->days ? 0 : -ENOMEM;
}

static void close_work(struct sealer_days *days)
{
    ledger_free(&days->ledger);
    ledger_whole_free(&days->whole);
    free(days->on_tape);
    free(days->content);
    free(days->text);
    days->on_tape = NULL;
    days->content = NULL;
    days->text = NULL;
}

void sealer_days_deinit(struct sealer *sealer)
{
    if (sealer->days)
        close_work(sealer->days);
    free(sealer->days);
}

static void say(const struct sealer *sealer, enum log_message message, const char *cause)
{
    if (sealer->log)
        log_write(sealer->log, message, io_utc_ns(sealer->io), "file=\"%s\" cause=\"%s\"",
                  sealer->days->path, cause);
}

void sealer_days_end(struct sealer *sealer)
{
    close_work(sealer->days);
    sealer_next(sealer);
}

void sealer_days_finish(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    days->generation = sealer->catalogue->generation;
    sealer_days_end(sealer);
}

void sealer_days_fail(struct sealer *sealer, const char *cause)
{
    say(sealer, LOG_DAYS_UNMARKED, cause);
    sealer->days->failed = true;
    sealer->counters.failures++;
}

static void give_up(struct sealer *sealer, const char *cause)
{
    sealer_days_fail(sealer, cause);
    sealer_days_end(sealer);
}

// ---- the days there are ----

static struct days_day *find_day(struct sealer_days *days, int32_t day)
{
    uint32_t low = 0;
    uint32_t high = days->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (days->days[middle].day < day)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < days->count && days->days[low].day == day)
        return &days->days[low];
    if (days->count == DAYS_MAX) { // the oldest goes
        if (low == 0)
            return NULL;
        memmove(&days->days[0], &days->days[1], (--low) * sizeof days->days[0]);
    } else {
        memmove(&days->days[low + 1], &days->days[low],
                (days->count - low) * sizeof days->days[0]);
        days->count++;
    }
    days->days[low] = (struct days_day){.day = day};
    return &days->days[low];
}

static bool has_rows(const struct days_day *day)
{
    uint64_t rows = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++)
        rows += day->rows[c];
    return rows > 0;
}

// True: a day is over that is not closed, or may have changed since it was.
static bool list_days(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    const struct catalogue *catalogue = sealer->catalogue;
    bool wanted = false;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < days->count; i++)
        memset(days->days[i].rows, 0, sizeof days->days[i].rows);
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *segment = &catalogue->segments[i];
        if (!day_over(segment->day, days->now_ns))
            continue;
        struct days_day *day = find_day(days, segment->day);
        if (!day)
            continue;
        day->rows[segment->channel] += segment->rows;
        wanted = wanted || (day->closed >> segment->channel & 1) == 0;
    }
    for (uint32_t i = 0; i < days->count; i++) { // days that `keep` deleted stay as they were
        if (has_rows(&days->days[i]))
            days->days[kept++] = days->days[i];
    }
    days->count = kept;
    return kept > 0 && (wanted || days->generation != catalogue->generation);
}

// ---- judging ----

struct day_state sealer_days_state(const struct sealer_days *days, uint32_t at)
{
    struct day_state state = {.day = days->days[at].day,
                              .now_ns = days->now_ns,
                              .on_tape = days->on_tape[at],
                              .ledger = &days->whole};
    memcpy(state.rows, days->days[at].rows, sizeof state.rows);
    return state;
}

// ---- markers ----

static void forget_marker(struct sealer_days *days)
{
    free(days->content);
    free(days->text);
    days->content = NULL;
    days->text = NULL;
}

// The marker says what is known now.
static void note_marker(struct sealer_days *days)
{
    struct days_day *day = &days->days[days->day];
    day->closed |= 1u << days->channel;
    day->content[days->channel] = XXH3_64bits(days->content, days->content_size);
}

static void tell_marker(const struct sealer *sealer)
{
    const struct sealer_days *days = sealer->days;
    const struct day_marker *marker = &days->marker;
    char day[11];
    catalogue_day_text(days->days[days->day].day, day);
    if (sealer->log)
        log_write(sealer->log, marker->generation == 1 ? LOG_DAY_CLOSED : LOG_DAY_CHANGED,
                  io_utc_ns(sealer->io),
                  "day=%s channel=%s generation=%" PRIu64 " rows=%" PRIu64 " open=%" PRIu64
                  " lost=%" PRIu64,
                  day, channel_schema(days->channel)->name, marker->generation, marker->rows,
                  marker->open, marker->lost);
}

static void marker_written(void *context, int result, const char *path)
{
    struct sealer *sealer = context;
    (void)path;
    if (result < 0) {
        give_up(sealer, strerror(-result));
        return;
    }
    note_marker(sealer->days);
    tell_marker(sealer);
    sealer->counters.days++;
    forget_marker(sealer->days);
    if (sealer->stopping)
        sealer_days_end(sealer);
    else
        next_marker(sealer);
}

static void write_marker(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    char directory[KEEP_FILE_NAME_BYTES_MAX];
    days->text = day_marker_next(&days->marker, days->content, days->now_ns, &days->text_size);
    if (!days->text) {
        give_up(sealer, "out of memory");
        return;
    }
    (void)snprintf(directory, sizeof directory, "%.900s/day", keep_store_path(sealer->store));
    file_script_begin(&sealer->script);
    file_script_mkdir(&sealer->script, directory);
    file_script_sync_directory(&sealer->script, keep_store_path(sealer->store));
    file_script_replace(&sealer->script, days->path, days->text, (uint32_t)days->text_size);
    file_script_sync_directory(&sealer->script, directory);
    file_script_run(&sealer->script, sealer->io, marker_written, sealer);
}

// Its file is closed: days->marker is what it said.
void sealer_days_marker_read(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    if (days->content) {
        write_marker(sealer);
        return;
    }
    next_marker(sealer);
}

// A marker that is there: says the same, or of a channel whose rows were deleted, or is damaged.
static bool marker_stays(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    int64_t size;
    size_t content_size = 0;
    char *text = sealer_days_load_file(sealer, DAY_MARKER_BYTES_MAX, &size);
    const char *content =
        text ? day_marker_parse(text, (size_t)size, &days->marker, &content_size) : NULL;
    if (!content && !days->told_damaged)
        say(sealer, LOG_DAY_UNREADABLE, "damaged");
    days->told_damaged = days->told_damaged || !content;
    bool same = content && content_size == days->content_size &&
                memcmp(content, days->content, content_size) == 0;
    bool deleted = content && days->marker.rows > 0 &&
                   days->days[days->day].rows[days->channel] == 0;
    if (same || deleted)
        note_marker(days);
    free(text);
    return !content || same || deleted;
}

static void marker_opened(struct io *io, struct io_op *op)
{
    (void)io;
    struct sealer *sealer = io_owner(op, struct sealer, op);
    struct sealer_days *days = sealer->days;
    days->marker = (struct day_marker){0};
    if (op->result == -ENOENT) {
        write_marker(sealer);
        return;
    }
    if (op->result < 0) {
        give_up(sealer, strerror((int)-op->result));
        return;
    }
    days->handle = (int)op->result;
    if (marker_stays(sealer))
        forget_marker(days);
    sealer_days_close_file(sealer);
}

// The next channel of the day that is closed and whose marker may not say so.
static bool find_marker(struct sealer *sealer, const struct day_state *state)
{
    struct sealer_days *days = sealer->days;
    const struct days_day *day = &days->days[days->day];
    while (++days->channel < CHANNEL_COUNT) {
        const struct day_channel *channel = &days->channels[days->channel];
        if (!channel->used || channel->why[0] != '\0' || !channel_schema(days->channel))
            continue;
        days->content = day_content(state, days->channel, &days->content_size);
        if (!days->content || (day->closed >> days->channel & 1) == 0 ||
            day->content[days->channel] != XXH3_64bits(days->content, days->content_size))
            return true;
        forget_marker(days);
    }
    return false;
}

void sealer_days_mark(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    days->step = DAYS_MARKERS;
    days->day = 0;
    days->channel = CHANNEL_NONE;
    next_marker(sealer);
}

static void next_marker(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    char name[DAY_NAME_BYTES_MAX];
    for (; days->day < days->count; days->day++, days->channel = CHANNEL_NONE) {
        const struct day_state state = sealer_days_state(days, days->day);
        if (days->channel == CHANNEL_NONE)
            day_judge(&state, days->channels);
        if (!find_marker(sealer, &state))
            continue;
        if (!days->content) {
            give_up(sealer, "out of memory");
            return;
        }
        day_marker_name(state.day, days->channel, name);
        (void)snprintf(days->path, sizeof days->path, "%.900s/day/%s",
                       keep_store_path(sealer->store), name);
        sealer_days_open_file(sealer, marker_opened);
        return;
    }
    sealer_days_finish(sealer);
}

// ---- beginning ----

static bool open_work(struct sealer_days *days)
{
    days->on_tape = calloc(days->count, sizeof *days->on_tape);
    if (days->on_tape && ledger_init(&days->ledger) == 0 && ledger_whole_init(&days->whole) == 0)
        return true;
    close_work(days);
    return false;
}

bool sealer_days_start(struct sealer *sealer)
{
    struct sealer_days *days = sealer->days;
    int64_t monotonic_ns = io_monotonic_ns(sealer->io);
    if (!sealer->watching || sealer->stopping || monotonic_ns < days->due_ns ||
        keep_store_waiting(sealer->store) > 0)
        return false;
    days->due_ns = monotonic_ns + DAYS_LOOK_NS;
    days->now_ns = io_utc_ns(sealer->io);
    days->failed = false;
    if (!list_days(sealer) || !open_work(days))
        return false;
    sealer_enter(sealer, SEALER_LOOKING);
    sealer->counters.idle = false;
    sealer_days_read(sealer);
    return true;
}
