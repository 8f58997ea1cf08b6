// SPDX-License-Identifier: GPL-3.0-or-later
//
// recall_rows: walks the tapes and segments that are younger than the ledger. What is damaged is
// passed over: its rows are missing, and ids show that.
#include "capture/recall_inside.h"

#include "format/ensure.h"
#include "format/segment.h"
#include "format/tape.h"
#include "format/tape_reader.h"
#include "keep/read_around.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- rows ----

static bool row_has(const struct rows *rows, int column, uint32_t row)
{
    return (rows->present[row] >> column & 1) != 0;
}

static void recall_status_row(struct recall *recall, const struct rows *rows, uint32_t row,
                              const struct event_text *name)
{
    if (!row_has(rows, STATUS_CHANNEL, row)) return;
    int64_t channel = rows->value[STATUS_CHANNEL][row];
    if (channel < CHANNEL_TRADE || channel > CHANNEL_KLINE) return;
    uint32_t key = recall_key(recall, (const char *)name->bytes, name->size,
                              (enum channel)channel);
    if (key == ARBITER_KEY_NONE) return;
    bool ids = row_has(rows, STATUS_FIRST_ID, row);
    int from = ids ? STATUS_FIRST_ID : STATUS_FROM_TIME;
    int to = ids ? STATUS_LAST_ID : STATUS_TO_TIME;
    arbiter_recall_status(
        &recall->arbiter, key, (enum status_kind)rows->value[STATUS_KIND][row],
        row_has(rows, from, row) ? rows->value[from][row] : COVERAGE_NONE,
        row_has(rows, to, row) ? rows->value[to][row] : COVERAGE_ENDLESS);
}

// Keys of one channel by the numbers of their names: a name is looked up for 100 ns, twice as long
// as all else takes that is done with a row.
struct recall_names {
    uint32_t number[RECALL_NAMES];
    uint32_t key[RECALL_NAMES];
};

static uint32_t names_key(struct recall_names *names, struct recall *recall,
                          const struct rows *rows, uint32_t row, const struct event_text *symbols)
{
    const uint32_t number = rows->symbol[row];
    const uint32_t at = number % RECALL_NAMES;
    if (names->number[at] != number) {
        const struct event_text *name = &symbols[number];
        names->number[at] = number;
        names->key[at] = recall_key(recall, (const char *)name->bytes, name->size,
                                    rows->schema->channel);
    }
    return names->key[at];
}

static void recall_event_row(struct recall *recall, const struct rows *rows, uint32_t row,
                             uint32_t key)
{
    enum channel channel = rows->schema->channel;
    if (key == ARBITER_KEY_NONE) return;
    bool depth = channel == CHANNEL_DEPTH;
    int64_t first = depth ? rows->value[DEPTH_FIRST_ID][row]
                          : rows->value[rows->schema->identity[0]][row];
    int64_t last = depth ? rows->value[DEPTH_LAST_ID][row] : first;
    int64_t before = depth && row_has(rows, DEPTH_PREVIOUS_ID, row)
                         ? rows->value[DEPTH_PREVIOUS_ID][row]
                         : first - 1;
    if (channel == CHANNEL_AGG_TRADE) {
        struct arbiter_key *of = &recall->arbiter.keys[key];
        int64_t tail = rows->value[AGG_TRADE_LAST_ID][row];
        if (tail > of->tail) of->tail = tail;
    }
    // Quotes count by the time of receipt.
    int64_t time_ns = channel == CHANNEL_QUOTE ? rows->value[COLUMN_RECEIVE_TIME][row]
                                               : rows_time_ns(rows, row);
    if (first <= last) arbiter_recall_row(&recall->arbiter, key, first, last, before, time_ns);
}

// Of channels without ids: that there was one, and what grows from one to the next.
static void recall_seen_row(struct recall *recall, const struct rows *rows, uint32_t row,
                            const struct event_text *name)
{
    uint32_t key = recall_key(recall, (const char *)name->bytes, name->size, rows->schema->channel);
    const int64_t received_ns = rows->value[COLUMN_RECEIVE_TIME][row];
    const bool timed = row_has(rows, BOOK_EVENT_TIME, row); // of tickers and klines, too
    const int64_t position = timed ? rows->value[BOOK_EVENT_TIME][row] : 0;
    if (key != ARBITER_KEY_NONE)
        arbiter_recall_row(&recall->arbiter, key, position, position, 0, received_ns);
}

static void recall_book_row(struct recall *recall, const struct rows *rows, uint32_t row,
                            const struct event_text *name)
{
    if (rows->value[BOOK_SOURCE][row] != BOOK_SOURCE_REST) {
        recall_seen_row(recall, rows, row, name);
        return;
    }
    if (!row_has(rows, BOOK_LAST_ID, row)) return;
    uint32_t key = recall_key(recall, (const char *)name->bytes, name->size, CHANNEL_DEPTH);
    if (key != ARBITER_KEY_NONE)
        arbiter_recall_snapshot(&recall->arbiter, key, rows->value[BOOK_LAST_ID][row],
                                rows->value[COLUMN_RECEIVE_TIME][row]);
}

int64_t recall_rows(struct recall *recall, const struct rows *rows, uint32_t first,
                    const struct event_text *symbols, int64_t time_min)
{
    int64_t latest_ns = 0;
    struct recall_names names;
    enum channel channel = rows->schema->channel;
    _Static_assert(SYMBOL_NONE == UINT32_MAX, "no row's number is in there");
    memset(names.number, 0xff, sizeof names.number);
    bool wanted = channel == CHANNEL_TRADE || channel == CHANNEL_AGG_TRADE ||
                  channel == CHANNEL_DEPTH || channel == CHANNEL_QUOTE ||
                  channel == CHANNEL_BOOK || channel == CHANNEL_TICKER ||
                  channel == CHANNEL_KLINE;
    for (uint32_t row = first; row < rows->count; row++) {
        int64_t received_ns = rows->value[COLUMN_RECEIVE_TIME][row];
        if (received_ns > latest_ns) latest_ns = received_ns;
        if (rows->symbol[row] == SYMBOL_NONE || (!wanted && channel != CHANNEL_STATUS)) continue;
        if (rows_time_ns(rows, row) < time_min) continue;
        const struct event_text *name = &symbols[rows->symbol[row]];
        if (channel == CHANNEL_STATUS)
            recall_status_row(recall, rows, row, name);
        else if (channel == CHANNEL_BOOK)
            recall_book_row(recall, rows, row, name);
        else if (channel == CHANNEL_TICKER || channel == CHANNEL_KLINE)
            recall_seen_row(recall, rows, row, name);
        else
            recall_event_row(recall, rows, row,
                             names_key(&names, recall, rows, row, symbols));
        recall->rows++;
    }
    return latest_ns;
}

int recall_stopped(const struct recall_work *work)
{
    return work->stop != NULL && atomic_load(work->stop) ? -ECANCELED : 0;
}

// ---- files ----

static void opened_now(struct io *io, struct io_op *op)
{
    (void)io;
    (void)op; // its result is looked at
}

static void finish_now(struct recall_work *work)
{
    while (!io_idle(&work->op)) (void)io_run(work->io, -1);
}

// Opens `path` for reading: its size, or errno.
static int64_t file_open(struct recall_work *work, const char *path)
{
    int64_t size = io_file_size(work->io, path);
    if (size < 0) return size;
    io_open(work->io, &work->op, path, IO_OPEN_READ, opened_now);
    finish_now(work);
    if (work->op.result < 0) return work->op.result;
    work->handle = (int)work->op.result;
    work->window_size = 0;
    return size;
}

static void file_close(struct recall_work *work)
{
    io_close(work->io, &work->op, work->handle, opened_now);
    finish_now(work);
}

static int file_sync(struct recall_work *work)
{
    io_fsync(work->io, &work->op, work->handle, true, opened_now);
    finish_now(work);
    return (int)work->op.result;
}

static int64_t file_read(void *context, uint64_t offset, void *out, size_t size)
{
    struct recall_work *work = context;
    if (work->window == NULL || size > RECALL_WINDOW_BYTES)
        return io_read_now(work->io, work->handle, out, size, (int64_t)offset);
    if (offset < work->window_at || offset + size > work->window_at + work->window_size) {
        int64_t got = io_read_now(work->io, work->handle, work->window, RECALL_WINDOW_BYTES,
                                  (int64_t)offset);
        work->window_at = offset;
        work->window_size = got > 0 ? (size_t)got : 0;
        // A bad sector further on, or the end.
        if (got < (int64_t)size)
            return io_read_now(work->io, work->handle, out, size, (int64_t)offset);
    }
    memcpy(out, work->window + (offset - work->window_at), size);
    return (int64_t)size;
}

static void file_afresh(void *context)
{
    struct recall_work *work = context;
    work->window_size = 0;
    io_read_afresh(work->io, work->handle);
}

static void tape_note(struct recall_work *work, uint32_t number, int64_t last_ns)
{
    if (work->tape_count == RECALL_TAPES_MAX) return;
    work->tapes[work->tape_count++] = (struct recall_tape){number, last_ns};
}

// ---- tapes ----

// The first time a tape is read to the end of the file, to find what lies behind damage; then only
// as far as there were batches.
static uint64_t tape_bytes(const struct recall_work *work, uint32_t number, uint64_t size)
{
    const struct recall *recall = work->recall;
    for (uint32_t i = 0; work->again && i < recall->end_count; i++) {
        if (recall->ends[i].tape == number && recall->ends[i].bytes < size)
            return recall->ends[i].bytes;
    }
    return size;
}

static void tape_ends(struct recall_work *work, uint32_t number, const struct tape_reader *reader)
{
    struct recall *recall = work->recall;
    if (work->again || recall->end_count == RECALL_TAPES_MAX) return;
    recall->ends[recall->end_count++] = (struct recall_end){number, reader->offset};
}

static int batch_load(struct recall_work *work, const struct tape_item *item, int64_t *latest_ns)
{
    struct tape_batch batch;
    void *memory = aligned_alloc(64, (item->memory_bytes + 63) / 64 * 64);
    if (memory == NULL) return -ENOMEM;
    if (tape_decode_batch(item->bytes, item->size, memory, item->memory_bytes, &batch) ==
        TAPE_GOOD) {
        for (int c = 0; c < CHANNEL_COUNT; c++) {
            if (channel_schema((enum channel)c) == NULL || batch.rows[c].count == 0) continue;
            // Trades counted twice would be candles that never were.
            const uint32_t first = tape_batch_row(&batch, c, item->rows_before);
            int64_t last_ns = work->take(work->recall, &batch.rows[c], first, batch.symbols,
                                         work->tape_time_min);
            if (last_ns > *latest_ns) *latest_ns = last_ns;
        }
    }
    free(memory);
    return 0;
}

static int tape_walk(struct recall_work *work, uint32_t number, const struct source *source,
                     const void *mark, size_t mark_size)
{
    struct tape_reader reader;
    struct tape_item item;
    enum tape_error error;
    int64_t latest_ns = 0;
    int result = tape_reader_open(&reader, source, number, mark, mark_size, &error);
    if (result == -EBADMSG) return 0; // nothing was ever written, or the sealer tells
    if (result != 0) return result;
    if (!tape_header_is(&reader.header, number, keep_store_identity(work->store))) {
        tape_reader_close(&reader);
        return 0;
    }
    while ((result = tape_reader_next(&reader, &item)) > 0) {
        if (item.is_damage) continue;
        if (work->again && (item.header.channels & work->channels) == 0) continue;
        result = recall_stopped(work);
        if (result == 0) result = batch_load(work, &item, &latest_ns);
        if (result < 0) break;
    }
    uint32_t shard = reader.header.shard;
    if (shard < LIMIT_SHARDS && latest_ns > work->alive_ns[shard])
        work->alive_ns[shard] = latest_ns;
    tape_note(work, number, latest_ns);
    if (result == 0) tape_ends(work, number, &reader);
    tape_reader_close(&reader);
    return result;
}

// Where a failed write ended the tape, the rows behind are not the sealer's either: they were
// written once more, or are to be asked for.
static int64_t mark_read(struct recall_work *work, uint32_t number, uint8_t *mark, size_t room)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    struct layout_tape_end end;
    ensure(room >= 2 * LAYOUT_SECTOR);
    if (keep_store_find_end(work->store, number, &end)) {
        tape_end_mark(&end, mark);
        return 2 * LAYOUT_SECTOR;
    }
    keep_store_tape_path(work->store, number, "mark", path);
    int64_t size = file_open(work, path);
    if (size < 0) return 0;
    size = read_agreed(work->io, work->handle, mark, (size_t)size < room ? (size_t)size : room, 0);
    file_close(work);
    return size < 0 ? 0 : size;
}

static int tape_recall(struct recall_work *work, uint32_t number)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    uint8_t mark[4 * LAYOUT_SECTOR];
    int64_t mark_size = mark_read(work, number, mark, sizeof mark);
    keep_store_tape_path(work->store, number, "tape", path);
    int64_t size = file_open(work, path);
    if (size < 0) return size == -ENOENT ? 0 : (int)size;
    const struct source source = {.size = tape_bytes(work, number, (uint64_t)size),
                                  .read = file_read, .context = work, .afresh = file_afresh};
    int result = tape_walk(work, number, &source, mark_size > 0 ? mark : NULL, (size_t)mark_size);
    // A killed process leaves rows that were written and not yet durable. The ledger will say that
    // they are stored, so they have to be.
    if (result == 0 && !work->again) result = file_sync(work);
    file_close(work);
    return result;
}

struct listing {
    struct recall_work *work;
    uint32_t *numbers;
    uint32_t count;
};

static void list_tape(void *context, const char *name)
{
    struct listing *listing = context;
    char *end;
    unsigned long number = strtoul(name, &end, 10);
    const struct recall_work *work = listing->work;
    if (end == name || strcmp(end, ".tape") != 0 || number < work->tape || number > UINT32_MAX ||
        listing->count == RECALL_TAPES_MAX)
        return;
    if (work->again && number >= work->recall->tape_next) return; // being written
    if (!catalogue_tape_sealed(keep_store_catalogue(work->store), (uint32_t)number))
        listing->numbers[listing->count++] = (uint32_t)number;
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a;
    uint32_t two = *(const uint32_t *)b;
    return (one > two) - (one < two);
}

int recall_load_tapes(struct recall_work *work)
{
    struct listing listing = {work, calloc(RECALL_TAPES_MAX, sizeof(uint32_t)), 0};
    char path[KEEP_FILE_NAME_BYTES_MAX];
    if (listing.numbers == NULL) return -ENOMEM;
    work->window = malloc(RECALL_WINDOW_BYTES); // without: the same, slower
    (void)snprintf(path, sizeof path, "%s/tape", keep_store_path(work->store));
    int result = io_list(work->io, path, list_tape, &listing);
    qsort(listing.numbers, listing.count, sizeof(uint32_t), compare_numbers);
    for (uint32_t i = 0; i < listing.count && result == 0; i++)
        result = tape_recall(work, listing.numbers[i]);
    free(work->window);
    work->window = NULL;
    free(listing.numbers);
    return result;
}

// ---- segments ----

static int block_recall(struct recall_work *work, struct segment *segment, uint32_t block,
                        const struct event_text *names)
{
    struct segment_block read;
    // Levels are not asked for.
    uint64_t columns = UINT64_MAX & ~SEGMENT_COLUMNS_LEVELS;
    if (segment_read(segment, block, columns, &read) != SEGMENT_GOOD) return 0;
    (void)work->take(work->recall, read.rows, 0, names, work->time_min);
    return 0;
}

static int segment_load(struct recall_work *work, struct segment *segment)
{
    const struct index *index = segment_index(segment);
    struct event_text *names = calloc(index->symbol_count + 1u, sizeof *names);
    if (names == NULL) return -ENOMEM;
    for (uint32_t i = 0; i < index->symbol_count; i++) names[i] = index_name(index, i);
    int result = 0;
    for (uint32_t block = 0; block < index->block_count && result == 0; block++) {
        result = recall_stopped(work);
        if (result == 0 && index_overlaps(index, block, work->time_min, INT64_MAX))
            result = block_recall(work, segment, block, names);
    }
    free(names);
    return result;
}

static int segment_recall(struct recall_work *work, const struct catalogue_segment *listed)
{
    char relative[CATALOGUE_PATH_BYTES_MAX];
    char path[KEEP_FILE_NAME_BYTES_MAX];
    struct segment *segment;
    catalogue_segment_path(listed, "segment", relative);
    (void)snprintf(path, sizeof path, "%.900s/%s", keep_store_path(work->store), relative);
    int64_t size = file_open(work, path);
    if (size < 0) return size == -ENOENT ? 0 : (int)size;
    const struct source source = {.size = (uint64_t)size, .read = file_read, .context = work,
                                  .afresh = file_afresh};
    int result = 0;
    if (segment_open(&segment, &source, NULL, 0) == SEGMENT_GOOD) {
        if (segment_is(segment, listed->number, listed->day, listed->channel))
            result = segment_load(work, segment);
        segment_close(segment);
    }
    file_close(work);
    if (listed->tape_first != 0) tape_note(work, listed->tape_first, listed->time_max);
    return result;
}

int recall_segments(struct recall_work *work)
{
    const struct catalogue *catalogue = keep_store_catalogue(work->store);
    int result = 0;
    for (uint32_t i = 0; i < catalogue->segment_count && result == 0; i++) {
        const struct catalogue_segment *listed = &catalogue->segments[i];
        bool wanted = (work->channels >> listed->channel & 1) != 0;
        // History that was filled in (tape 0) is of no tape, but may close holes.
        bool young = listed->tape_last >= work->tape || listed->tape_first == 0;
        if (wanted && young && listed->time_max >= work->time_min)
            result = segment_recall(work, listed);
    }
    return result;
}
