// SPDX-License-Identifier: GPL-3.0-or-later
//
// Two slices: one is played, the thread fills the other. What of a slice is due after the rows of
// the next one may begin is carried over into that.
#include "tools/replay_reader.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "tools/replay_order.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"

#define SECOND_NS ((int64_t)1000000000)
#define SPAN_FIRST_NS (4 * SECOND_NS)
#define SPAN_MIN_NS ((int64_t)1000)
#define SPAN_MAX_NS (365 * 86400 * SECOND_NS)

enum {
    DAMAGES_REMEMBERED = 1 << 12, // places that were told, by hash
    LEVEL_BYTES = 19,
    STALE_TRIES = 8, // the store changes faster than it can be read
};

struct replay_half {
    struct replay_slice slice;
    struct replay_entry *entries; // [REPLAY_ENTRIES_MAX]
    uint32_t total;               // entries; those from slice.count on are carried over
    uint32_t *tape[CHANNEL_COUNT];
    uint64_t *tape_row[CHANNEL_COUNT];
    uint32_t *picked; // [REPLAY_ROWS_MAX] rows to be carried
};

struct replay_reader {
    struct replay_reader_options options;
    struct store *store;
    struct ringtape_names names;
    struct replay_extent extent;
    uint32_t channels; // bit c: there is something of channel c, or may come
    struct replay_half half[2];
    struct replay_order *order;
    // The thread's own.
    int64_t next_ns; // `time` from which on nothing was read
    int64_t span_ns;
    int64_t lag_ns;
    uint64_t damage_seen[DAMAGES_REMEMBERED];
    uint32_t last_symbol; // of the chunk at hand, and its number
    uint32_t last_number;
    // Shared, under the lock.
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint32_t current; // half that is played
    bool loaded;      // the other one can be taken
    bool ended;       // the last one was loaded
    bool quit;
    uint64_t damages;
};

// ---- memory ----

// Address space until it is used.
static void *reader_map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static const struct rows_limits reader_limits = {
    .rows = REPLAY_ROWS_MAX,
    .levels = REPLAY_LEVELS_MAX,
    .text_bytes = REPLAY_TEXT_BYTES_MAX,
};

static bool half_open(struct replay_half *half, uint32_t channels)
{
    half->entries = reader_map(REPLAY_ENTRIES_MAX * sizeof *half->entries);
    half->picked = reader_map(REPLAY_ROWS_MAX * sizeof *half->picked);
    if (half->entries == NULL || half->picked == NULL) return false;
    half->slice.entries = half->entries;
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (schema == NULL || !(channels >> c & 1)) continue;
        void *memory = reader_map(rows_memory_bytes(schema, &reader_limits));
        half->tape[c] = reader_map(REPLAY_ROWS_MAX * sizeof *half->tape[c]);
        half->tape_row[c] = reader_map(REPLAY_ROWS_MAX * sizeof *half->tape_row[c]);
        if (memory == NULL || half->tape[c] == NULL || half->tape_row[c] == NULL) return false;
        rows_init(&half->slice.rows[c], schema, &reader_limits, memory);
        half->slice.tape[c] = half->tape[c];
        half->slice.tape_row[c] = half->tape_row[c];
    }
    return true;
}

static size_t half_bytes(const struct replay_half *half)
{
    size_t bytes = 0;
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const struct rows *rows = &half->slice.rows[c];
        if (rows->schema == NULL) continue;
        const size_t cells = rows->schema->column_count * (size_t)9 + 24;
        bytes += rows->count * cells + rows->level_count * (size_t)LEVEL_BYTES + rows->text_size;
    }
    return bytes;
}

// ---- damage ----

static void reader_damage(void *context, const struct store_damage *damage)
{
    struct replay_reader *reader = context;
    const uint64_t hash = XXH3_64bits_withSeed(damage->path, strlen(damage->path), damage->offset);
    uint64_t *seen = &reader->damage_seen[hash % DAMAGES_REMEMBERED];
    if (*seen == hash) return; // in another slice
    *seen = hash;
    (void)pthread_mutex_lock(&reader->lock);
    reader->damages++;
    (void)pthread_mutex_unlock(&reader->lock);
    (void)ringtape_fail("damaged: %s at byte %" PRIu64 ": %s; left out", damage->path,
                        damage->offset, damage->what);
}

// ---- filling a half ----

static uint32_t reader_number(struct replay_reader *reader, const struct store_chunk *chunk,
                              uint32_t symbol)
{
    uint32_t number = SYMBOL_NONE;
    if (symbol == SYMBOL_NONE) return SYMBOL_NONE;
    if (symbol == reader->last_symbol) return reader->last_number;
    ensure(symbol < chunk->symbol_count);
    const struct event_text *name = &chunk->symbols[symbol];
    if (name->size > 0 && ringtape_names_add(&reader->names, name, &number) != 0)
        number = SYMBOL_NONE; // as many as there can be exist
    reader->last_symbol = symbol;
    reader->last_number = number;
    return number;
}

// -ENOBUFS: the half is full.
static int half_append(struct replay_reader *reader, struct replay_half *half,
                       const struct store_chunk *chunk)
{
    const enum channel c = chunk->rows->schema->channel;
    struct rows *rows = &half->slice.rows[c];
    const uint32_t first = rows->count;
    uint64_t levels = 0;
    if (chunk->unknown_columns != 0 || chunk->unknown_levels) {
        (void)ringtape_fail("segment %" PRIu32 ": coded by a newer version; left out",
                            chunk->segment);
        reader->damages++;
        return 0;
    }
    if (chunk->rows->schema->has_levels) levels = chunk->rows->level_count;
    if (first + chunk->count > REPLAY_ROWS_MAX ||
        rows->level_count + levels > REPLAY_LEVELS_MAX ||
        rows->text_size + (uint64_t)chunk->rows->text_size > REPLAY_TEXT_BYTES_MAX)
        return -ENOBUFS;
    rows_append_selected(rows, chunk->rows, chunk->index, chunk->count);
    reader->last_symbol = SYMBOL_NONE;
    for (uint32_t i = 0; i < chunk->count; i++) {
        const uint32_t row = chunk->index[i];
        rows->symbol[first + i] = reader_number(reader, chunk, chunk->rows->symbol[row]);
        half->tape[c][first + i] = chunk->tape == NULL ? 0 : chunk->tape[row];
        half->tape_row[c][first + i] = chunk->tape == NULL ? 0 : chunk->tape_row[row];
    }
    return half_bytes(half) > 2 * (size_t)REPLAY_SLICE_BYTES ? -ENOBUFS : 0;
}

enum half_rows { HALF_ALL, HALF_TIMED, HALF_UNTIMED };

// Leaves rows that are of the other sort in the chunk.
static void chunk_pick(struct store_chunk *chunk, enum half_rows which, uint32_t *picked)
{
    uint32_t count = 0;
    if (which == HALF_ALL) return;
    for (uint32_t i = 0; i < chunk->count; i++)
        if (replay_order_timed(chunk->rows, chunk->index[i]) == (which == HALF_TIMED))
            picked[count++] = chunk->index[i];
    chunk->index = picked;
    chunk->count = count;
}

static int64_t shifted(int64_t time_ns, int64_t by_ns)
{
    int64_t sum;
    if (__builtin_add_overflow(time_ns, by_ns, &sum)) return by_ns < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static int half_read_channel(struct replay_reader *reader, struct replay_half *half, int channel,
                             enum half_rows which, int64_t from, int64_t to)
{
    const struct ringtape_query *wanted = reader->options.query;
    struct store_query query = store_query_all((enum channel)channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.symbols = wanted->symbols.text;
    query.symbol_count = wanted->symbols.count;
    query.time_from = from;
    query.time_to = to;
    query.damage = reader_damage;
    query.damage_context = reader;
    int result = store_scan_open(&scan, reader->store, &query);
    if (result < 0) return result;
    do {
        result = store_scan_next(scan, &chunk);
        if (result > 0) {
            chunk_pick(&chunk, which, half->picked);
            const int full = half_append(reader, half, &chunk);
            result = full < 0 ? full : result;
        }
    } while (result > 0);
    store_scan_close(scan);
    return result;
}

struct half_mark { // what a half holds of a channel
    uint32_t rows, levels, text;
};

static void half_marks(const struct replay_half *half, struct half_mark marks[CHANNEL_COUNT])
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct rows *rows = &half->slice.rows[c];
        marks[c] = (struct half_mark){rows->count, rows->level_count, rows->text_size};
    }
}

static void half_back_to(struct replay_half *half, const struct half_mark marks[CHANNEL_COUNT])
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        struct rows *rows = &half->slice.rows[c];
        rows->count = marks[c].rows;
        rows->level_count = marks[c].levels;
        rows->text_size = marks[c].text;
    }
}

static int half_read(struct replay_reader *reader, struct replay_half *half, int64_t from,
                     int64_t to)
{
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        if (!(reader->channels >> c & 1)) continue;
        const int64_t lag_ns = reader->lag_ns;
        int result = half_read_channel(reader, half, c, lag_ns == 0 ? HALF_ALL : HALF_UNTIMED,
                                       from, to);
        if (result == 0 && lag_ns != 0)
            result = half_read_channel(reader, half, c, HALF_TIMED, shifted(from, -lag_ns),
                                       shifted(to, -lag_ns));
        if (result < 0) return result;
    }
    return 0;
}

// The first span that fits; *to is its end.
static int half_read_fitting(struct replay_reader *reader, struct replay_half *half, int64_t from,
                             int64_t *to)
{
    struct half_mark marks[CHANNEL_COUNT];
    uint32_t stale = 0;
    half_marks(half, marks);
    for (;;) {
        const int64_t end = reader->extent.time_last + 1;
        *to = end - from < reader->span_ns ? end : from + reader->span_ns;
        int result = half_read(reader, half, from, *to);
        if (result == 0) return 0;
        half_back_to(half, marks);
        if (result == -ENOBUFS && reader->span_ns > SPAN_MIN_NS) {
            // Behind a gap the span may be of months.
            const int64_t less_ns = (*to - from) / ((*to - from) > 86400 * SECOND_NS ? 16 : 2);
            reader->span_ns = less_ns > SPAN_MIN_NS ? less_ns : SPAN_MIN_NS;
            continue;
        }
        if ((result != -ESTALE && result != -ENOENT) || ++stale > STALE_TRIES) return result;
        result = store_refresh(reader->store, NULL);
        if (result < 0) return result;
    }
}

// What the half before left over.
static void half_carry(struct replay_half *half, const struct replay_half *before)
{
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        struct rows *rows = &half->slice.rows[c];
        uint32_t count = 0;
        if (rows->schema == NULL) continue;
        for (uint32_t i = before->slice.count; i < before->total; i++)
            if (before->entries[i].channel == c) half->picked[count++] = before->entries[i].row;
        if (count == 0) continue;
        rows_append_selected(rows, &before->slice.rows[c], half->picked, count);
        for (uint32_t i = 0; i < count; i++) {
            rows->symbol[i] = before->slice.rows[c].symbol[half->picked[i]];
            half->tape[c][i] = before->tape[c][half->picked[i]];
            half->tape_row[c][i] = before->tape_row[c][half->picked[i]];
        }
    }
}

static void half_clear(struct replay_half *half)
{
    for (int c = 1; c < CHANNEL_COUNT; c++)
        if (half->slice.rows[c].schema != NULL) rows_clear(&half->slice.rows[c]);
    half->total = half->slice.count = 0;
    half->slice.error = 0;
}

static int64_t span_next(int64_t span_ns, size_t bytes)
{
    if (bytes > REPLAY_SLICE_BYTES) span_ns = span_ns / 4 * 3;
    if (bytes < REPLAY_SLICE_BYTES / 8) span_ns *= 4;
    else if (bytes < REPLAY_SLICE_BYTES / 2) span_ns = span_ns / 2 * 3;
    return span_ns < SPAN_MAX_NS ? span_ns : SPAN_MAX_NS;
}

static void half_load(struct replay_reader *reader, struct replay_half *half,
                      const struct replay_half *before)
{
    int64_t to = 0;
    int result = store_refresh(reader->store, NULL);
    half_clear(half);
    half_carry(half, before);
    const size_t carried = half_bytes(half);
    if (result == 0) result = half_read_fitting(reader, half, reader->next_ns, &to);
    // Nothing for a while: looks further at once.
    while (result == 0 && half_bytes(half) == carried && to <= reader->extent.time_last) {
        reader->next_ns = to;
        reader->span_ns = span_next(reader->span_ns, 0);
        result = half_read_fitting(reader, half, reader->next_ns, &to);
    }
    half->slice.error = result;
    half->slice.last = result != 0 || to > reader->extent.time_last;
    half->slice.time_to = to;
    half->slice.symbol_count = reader->names.count;
    if (result != 0) {
        half_clear(half);
        half->slice.error = result;
        return;
    }
    reader->next_ns = to;
    reader->span_ns = span_next(reader->span_ns, half_bytes(half));
    half->total = replay_order_all(reader->order, half->slice.rows, reader->lag_ns,
                                   half->entries);
    half->slice.count = half->slice.last
                            ? half->total
                            : replay_order_before(half->entries, half->total, to - REPLAY_EARLY_NS);
}

// ---- the thread ----

static void *reader_thread(void *context)
{
    struct replay_reader *reader = context;
    (void)pthread_mutex_lock(&reader->lock);
    while (!reader->quit) {
        if (reader->loaded || reader->ended) {
            (void)pthread_cond_wait(&reader->changed, &reader->lock);
            continue;
        }
        struct replay_half *half = &reader->half[reader->current ^ 1];
        (void)pthread_mutex_unlock(&reader->lock);
        half_load(reader, half, &reader->half[reader->current]);
        (void)pthread_mutex_lock(&reader->lock);
        reader->loaded = true;
        reader->ended = half->slice.last;
        (void)pthread_cond_broadcast(&reader->changed);
        if (reader->options.ready != NULL) reader->options.ready(reader->options.context);
    }
    (void)pthread_mutex_unlock(&reader->lock);
    return NULL;
}

struct replay_slice *replay_reader_take(struct replay_reader *reader)
{
    struct replay_slice *slice = NULL;
    (void)pthread_mutex_lock(&reader->lock);
    if (reader->loaded) {
        reader->current ^= 1;
        reader->loaded = false;
        slice = &reader->half[reader->current].slice;
        (void)pthread_cond_broadcast(&reader->changed);
    }
    (void)pthread_mutex_unlock(&reader->lock);
    return slice;
}

struct replay_slice *replay_reader_wait(struct replay_reader *reader)
{
    (void)pthread_mutex_lock(&reader->lock);
    while (!reader->loaded) (void)pthread_cond_wait(&reader->changed, &reader->lock);
    (void)pthread_mutex_unlock(&reader->lock);
    return replay_reader_take(reader);
}

void replay_reader_rewind(struct replay_reader *reader)
{
    (void)pthread_mutex_lock(&reader->lock);
    ensure(reader->ended && !reader->loaded);
    half_clear(&reader->half[reader->current]);
    reader->next_ns = reader->extent.time_first;
    reader->span_ns = SPAN_FIRST_NS;
    reader->ended = false;
    (void)pthread_cond_broadcast(&reader->changed);
    (void)pthread_mutex_unlock(&reader->lock);
}

// ---- opening ----

// What there is of a channel: its times, rows, names.
static int extent_channel(struct replay_reader *reader, int channel)
{
    const struct ringtape_query *wanted = reader->options.query;
    struct store_query query = store_query_all((enum channel)channel);
    struct store_symbol *symbols;
    uint32_t count;
    query.symbols = wanted->symbols.text;
    query.symbol_count = wanted->symbols.count;
    query.damage = reader_damage;
    query.damage_context = reader;
    const int result = store_symbols(reader->store, &query, &symbols, &count);
    if (result < 0) return result;
    for (uint32_t i = 0; i < count; i++) {
        const struct event_text name = {(const uint8_t *)symbols[i].name,
                                        (uint32_t)strlen(symbols[i].name)};
        uint32_t number;
        if (name.size > 0) (void)ringtape_names_add(&reader->names, &name, &number);
        reader->extent.rows += symbols[i].rows;
        if (symbols[i].time_min < reader->extent.time_first)
            reader->extent.time_first = symbols[i].time_min;
        if (symbols[i].time_max > reader->extent.time_last)
            reader->extent.time_last = symbols[i].time_max;
    }
    if (count > 0) reader->channels |= 1u << channel;
    free(symbols);
    return 0;
}

// How much later its first row was received than it happened, of the first channel that tells.
static void channel_lag(struct replay_reader *reader, int channel, bool *found)
{
    const struct ringtape_query *wanted = reader->options.query;
    struct store_query query = store_query_all((enum channel)channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.symbols = wanted->symbols.text;
    query.symbol_count = wanted->symbols.count;
    query.damage = reader_damage;
    query.damage_context = reader;
    if (store_scan_open(&scan, reader->store, &query) != 0) return;
    while (!*found && store_scan_next(scan, &chunk) > 0)
        for (uint32_t i = 0; !*found && i < chunk.count; i++) {
            const uint32_t row = chunk.index[i];
            const int64_t flags = chunk.rows->value[COLUMN_FLAGS][row];
            if ((flags & (EVENT_REPAIRED | EVENT_BACKFILLED | EVENT_SNAPSHOT)) != 0 ||
                !replay_order_timed(chunk.rows, row))
                continue;
            reader->lag_ns = chunk.rows->value[COLUMN_RECEIVE_TIME][row] -
                             rows_time_ns(chunk.rows, row);
            *found = true;
        }
    store_scan_close(scan);
}

static void reader_lag(struct replay_reader *reader)
{
    bool found = false;
    for (int c = 1; !found && c < CHANNEL_COUNT; c++)
        if (reader->channels >> c & 1) channel_lag(reader, c, &found);
    if (reader->lag_ns <= REPLAY_LATE_NS && reader->lag_ns >= -REPLAY_LATE_NS) reader->lag_ns = 0;
}

static int reader_extent(struct replay_reader *reader)
{
    const struct ringtape_query *wanted = reader->options.query;
    reader->extent = (struct replay_extent){.time_first = INT64_MAX, .time_last = INT64_MIN};
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        if (!(wanted->channel_bits >> c & 1) || channel_schema((enum channel)c) == NULL) continue;
        const int result = extent_channel(reader, c);
        if (result < 0) return result;
    }
    if (wanted->from > reader->extent.time_first) reader->extent.time_first = wanted->from;
    if (wanted->to <= reader->extent.time_last) reader->extent.time_last = wanted->to - 1;
    // An empty range is one slice without rows.
    if (reader->extent.time_first > reader->extent.time_last)
        reader->extent.time_first = reader->extent.time_last = 0;
    reader_lag(reader);
    // Rows with and without a time of the exchange are due between these.
    if (reader->lag_ns > 0)
        reader->extent.time_last = shifted(reader->extent.time_last, reader->lag_ns);
    if (reader->lag_ns < 0)
        reader->extent.time_first = shifted(reader->extent.time_first, reader->lag_ns);
    reader->next_ns = reader->extent.time_first;
    reader->span_ns = SPAN_FIRST_NS;
    return 0;
}

// What was asked for and is not there: it may be mistyped.
static void reader_tell_missing(const struct replay_reader *reader)
{
    const struct ringtape_query *wanted = reader->options.query;
    for (uint32_t i = 0; i < wanted->symbols.count; i++) {
        const char *text = wanted->symbols.text[i];
        const struct event_text name = {(const uint8_t *)text, (uint32_t)strlen(text)};
        uint32_t number;
        if (strchr(text, '*') == NULL && !ringtape_names_find(&reader->names, &name, &number))
            (void)ringtape_fail("%s: nothing of '%s' in these channels; 'ringtape ls --symbols' "
                                "lists what there is", wanted->store, text);
    }
    if (reader->extent.time_last == 0)
        (void)ringtape_fail("%s: nothing of these channels, symbols and times", wanted->store);
}

static int reader_start(struct replay_reader *reader)
{
    const char *path = reader->options.query->store;
    if (ringtape_names_open(&reader->names) != 0) return ringtape_fail("out of memory");
    int code = ringtape_store_open(&reader->store, path);
    if (code != RINGTAPE_EXIT_OK) return code;
    code = reader_extent(reader);
    if (code < 0) return ringtape_fail("%s: %s", path, ringtape_error_text(code));
    reader_tell_missing(reader);
    reader->order = replay_order_open();
    if (reader->order == NULL || !half_open(&reader->half[0], reader->channels) ||
        !half_open(&reader->half[1], reader->channels))
        return ringtape_fail("out of memory");
    if (pthread_create(&reader->thread, NULL, reader_thread, reader) != 0)
        return ringtape_fail("cannot start a thread");
    reader->started = true;
    return RINGTAPE_EXIT_OK;
}

int replay_reader_open(struct replay_reader **out, const struct replay_reader_options *options)
{
    struct replay_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL) return ringtape_fail("out of memory");
    reader->options = *options;
    ensure(pthread_mutex_init(&reader->lock, NULL) == 0);
    ensure(pthread_cond_init(&reader->changed, NULL) == 0);
    const int code = reader_start(reader);
    *out = reader;
    if (code == RINGTAPE_EXIT_OK) return code;
    replay_reader_close(reader);
    *out = NULL;
    return code;
}

void replay_reader_close(struct replay_reader *reader)
{
    if (reader == NULL) return;
    (void)pthread_mutex_lock(&reader->lock);
    reader->quit = true;
    (void)pthread_cond_broadcast(&reader->changed);
    (void)pthread_mutex_unlock(&reader->lock);
    if (reader->started) (void)pthread_join(reader->thread, NULL);
    // Halves are given back by the end of the process: a reader lives as long as it.
    // After an opening that failed half way some of it is not there.
    if (reader->order != NULL) replay_order_close(reader->order);
    if (reader->store != NULL) store_close(reader->store);
    if (reader->names.texts != NULL) ringtape_names_close(&reader->names);
    free(reader);
}

struct replay_extent replay_reader_extent(const struct replay_reader *reader)
{
    return reader->extent;
}

const struct ringtape_names *replay_reader_names(const struct replay_reader *reader)
{
    return &reader->names;
}

int64_t replay_reader_lag_ns(const struct replay_reader *reader)
{
    return reader->lag_ns;
}

uint64_t replay_reader_damages(const struct replay_reader *reader)
{
    return reader->damages;
}
