// SPDX-License-Identifier: GPL-3.0-or-later
//
// Merging: neighbouring segments of one channel and day become one. Which: a window of
// SEALER_MERGE_COUNT neighbours none of which outweighs the others together, so that a row is
// rewritten a logarithmic number of times; and, once a day is over, all of them.
//
// How: symbol by symbol (few rows first, then by name, as the writer wants it), input by input in
// order. Each input has one decoded block in memory. Since all segments list their symbols in
// that order, a block shared by rare symbols is decoded about once.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/limits.h"
#include "base/log.h"
#include "format/ensure.h"
#include "keep/sealer_inside.h"

enum { MERGE_FEED_ROWS = 256 }; // handed to the writer at a time
_Static_assert(MERGE_FEED_ROWS <= SEGMENT_APPEND_ROWS_MAX, "asked for room before each portion");

static void open_next(struct sealer *sealer);

int sealer_merge_open(struct sealer *sealer)
{
    void *memory = mmap(NULL, SEALER_MERGE_SYMBOLS_MAX * sizeof(struct merge_symbol),
                        PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
                        0);
    sealer->merge.symbols = memory == MAP_FAILED ? NULL : memory;
    return sealer->merge.symbols ? 0 : -ENOMEM;
}

void sealer_merge_deinit(struct sealer *sealer)
{
    if (sealer->merge.symbols)
        ensure(munmap(sealer->merge.symbols,
                      SEALER_MERGE_SYMBOLS_MAX * sizeof(struct merge_symbol)) == 0);
}

// ---- choosing ----

struct window {
    uint32_t first;
    uint32_t count;
    uint64_t bytes;
};

static bool refused(const struct sealer *sealer, uint32_t number)
{
    for (uint32_t i = 0; i < sealer->merge.refused_count; i++) {
        if (sealer->merge.refused[i] == number)
            return true;
    }
    return false;
}

// Never asked for again: neighbours on both sides stay apart.
static void leave_apart(struct sealer *sealer, const struct sealer_input *input)
{
    struct sealer_merge *merge = &sealer->merge;
    if (merge->refused_count < SEALER_REFUSED_MAX)
        merge->refused[merge->refused_count++] = input->segment.number;
}

static void refuse(struct sealer *sealer, const struct sealer_input *input, const char *why)
{
    leave_apart(sealer, input);
    if (sealer->log)
        log_write(sealer->log, LOG_MERGE_FAILED, io_utc_ns(sealer->io),
                  "file=\"%s\" cause=\"%s\"",
                  input->path, why);
}

static bool same_group(const struct catalogue_segment *a, const struct catalogue_segment *b)
{
    return a->channel == b->channel && a->day == b->day;
}

static void consider(const struct sealer *sealer, uint32_t first, uint32_t count, bool balanced,
                     struct window *best)
{
    const struct catalogue_segment *segments = sealer->catalogue->segments + first;
    uint64_t bytes = 0;
    uint64_t rows = 0;
    uint64_t largest = 0;
    uint32_t guard_count;
    const struct retention_guard *guards = keep_store_guards(sealer->store, &guard_count);
    for (uint32_t i = 0; i < count; i++) {
        if (refused(sealer, segments[i].number) ||
            !retention_mergeable(sealer->catalogue, guards, guard_count, &segments[i]))
            return;
        bytes += segments[i].bytes;
        rows += segments[i].rows;
        largest = segments[i].bytes > largest ? segments[i].bytes : largest;
    }
    if (rows > SEALER_MERGE_ROWS_MAX || (balanced && largest * 2 > bytes))
        return;
    if (best->count == 0 || bytes < best->bytes)
        *best = (struct window){.first = first, .count = count, .bytes = bytes};
}

static bool day_over(const struct sealer *sealer, int32_t day)
{
    int64_t end_ns = (day + 1ll) * 24 * LIMIT_HOUR_NS;
    return io_utc_ns(sealer->io) > end_ns + SEALER_DAY_GRACE_MINUTES * LIMIT_MINUTE_NS;
}

// Windows of the group [first, first + count).
static void consider_group(const struct sealer *sealer, uint32_t first, uint32_t count,
                           bool complete, struct window *best)
{
    bool over = day_over(sealer, sealer->catalogue->segments[first].day);
    bool all = sealer->merge_all || (over && complete);
    uint32_t least = all ? 2 : SEALER_MERGE_COUNT;
    if (count < least)
        return;
    uint32_t width = all ? (count < SEALER_MERGE_INPUTS_MAX ? count : SEALER_MERGE_INPUTS_MAX)
                         : SEALER_MERGE_COUNT;
    for (uint32_t i = 0; i + width <= count; i++)
        consider(sealer, first + i, width, !all, best);
    // A refused segment in the middle leaves pairs on its sides.
    for (uint32_t i = 0; all && best->count == 0 && i + 2 <= count; i++)
        consider(sealer, first + i, 2, false, best);
}

static struct window choose(const struct sealer *sealer, bool complete)
{
    const struct catalogue *catalogue = sealer->catalogue;
    struct window best = {0};
    uint32_t first = 0;
    for (uint32_t i = 1; i <= catalogue->segment_count; i++) {
        if (i < catalogue->segment_count &&
            same_group(&catalogue->segments[first], &catalogue->segments[i]))
            continue;
        consider_group(sealer, first, i - first, complete, &best);
        first = i;
    }
    return best;
}

// ---- the union of symbols ----

static int compare_names(const void *a, const void *b)
{
    const struct merge_symbol *x = a;
    const struct merge_symbol *y = b;
    uint32_t size = x->size < y->size ? x->size : y->size;
    int order = size > 0 ? memcmp(x->name, y->name, size) : 0;
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

static int compare_ranks(const void *a, const void *b)
{
    const struct merge_symbol *x = a;
    const struct merge_symbol *y = b;
    bool x_rare = x->rows < SEGMENT_RARE_ROWS;
    bool y_rare = y->rows < SEGMENT_RARE_ROWS;
    return x_rare != y_rare ? y_rare - x_rare : compare_names(a, b);
}

static void unite_symbols(struct sealer_merge *merge)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < merge->input_count; i++) {
        const struct index *index = segment_index(merge->inputs[i].open);
        for (uint32_t s = 0; s < index->symbol_count; s++) {
            struct event_text name = index_name(index, s);
            ensure(all < SEALER_MERGE_SYMBOLS_MAX);
            merge->symbols[all++] = (struct merge_symbol){.name = (const char *)name.bytes,
                                                          .size = name.size,
                                                          .rows = index->symbols[s].rows};
        }
    }
    qsort(merge->symbols, all, sizeof *merge->symbols, compare_names);
    uint32_t united = 0;
    for (uint32_t s = 0; s < all; s++) {
        if (united > 0 && compare_names(&merge->symbols[united - 1], &merge->symbols[s]) == 0)
            merge->symbols[united - 1].rows += merge->symbols[s].rows;
        else
            merge->symbols[united++] = merge->symbols[s];
    }
    qsort(merge->symbols, united, sizeof *merge->symbols, compare_ranks);
    merge->symbol_count = united;
}

// ---- feeding ----

static int read_block(struct sealer_input *input, uint32_t block)
{
    if (input->cached_block == block)
        return 0;
    input->cached_block = UINT32_MAX;
    enum segment_error error = segment_read(input->open, block, UINT64_MAX, &input->block);
    if (error == SEGMENT_GOOD && (input->block.unknown_columns || input->block.unknown_levels))
        error = SEGMENT_NEWER;
    if (error != SEGMENT_GOOD) {
        refuse(input->sealer, input, segment_error_text(error));
        return -EBADMSG;
    }
    input->cached_block = block;
    return 0;
}

// The next rows of `symbol` of the decoded block, from merge->row on. False: output must be taken
// first.
static bool feed_some(struct sealer_merge *merge, const struct segment_block *block,
                      uint32_t symbol, struct segment_writer *writer)
{
    uint32_t index[MERGE_FEED_ROWS] = {0};
    struct segment_provenance provenance[MERGE_FEED_ROWS] = {0};
    uint32_t count = 0;
    uint32_t row = merge->row;
    for (; row < block->rows->count && count < MERGE_FEED_ROWS; row++) {
        if (block->rows->symbol[row] != symbol)
            continue;
        if (block->tape)
            provenance[count] = (struct segment_provenance){.tape = block->tape[row],
                                                            .row = block->row[row]};
        index[count++] = row;
    }
    uint32_t taken =
        segment_writer_append_selected(writer, block->rows, index, count, provenance);
    ensure(taken <= count);
    merge->row = taken < count ? index[taken] : row;
    return taken == count;
}

// Looked for before: fits() would have to be wrong.
static bool has_room(struct sealer_merge *merge, const struct segment_writer *writer, int *failure)
{
    if (segment_writer_full(writer))
        *failure = -EFBIG;
    else if (merge->inputs[0].sealer->stopping || merge->inputs[0].sealer->disk.low)
        *failure = -ECANCELED; // also on a disk that has no room for it
    return *failure == 0;
}

// All of them.
static bool feed_rows(struct sealer_merge *merge, const struct sealer_input *input,
                      uint32_t symbol, struct segment_writer *writer, int *failure)
{
    const struct segment_block *block = &input->block;
    while (merge->row < block->rows->count) {
        if (!has_room(merge, writer, failure) || !feed_some(merge, block, symbol, writer))
            return false;
    }
    merge->row = 0;
    return true;
}

// Its bytes as they are, where that is possible; what was decoded of this input is gone then.
static enum segment_copy copy_block(struct sealer_merge *merge, struct sealer_input *input,
                                    uint32_t block, struct segment_writer *writer, int *failure)
{
    if (merge->row != 0 || input->cached_block == block)
        return SEGMENT_COPY_NOT;
    if (!has_room(merge, writer, failure))
        return SEGMENT_COPY_WAITS;
    input->cached_block = UINT32_MAX;
    return segment_writer_copy(writer, input->open, block);
}

// All rows of one symbol in one input.
static bool feed_input(struct sealer_merge *merge, struct sealer_input *input,
                       const struct merge_symbol *symbol, struct segment_writer *writer,
                       int *failure)
{
    const struct index *index = segment_index(input->open);
    uint32_t number = index_find(index, symbol->name, symbol->size);
    if (number == SYMBOL_NONE)
        return true;
    uint32_t wanted = symbol->size == 0 ? SYMBOL_NONE : number;
    const struct layout_index_symbol *entry = &index->symbols[number];
    for (; merge->block < entry->block_count; merge->block++) {
        const uint32_t block = entry->first_block + merge->block;
        bool alone = index->blocks[block].symbol == number;
        enum segment_copy copy =
            alone ? copy_block(merge, input, block, writer, failure) : SEGMENT_COPY_NOT;
        if (copy == SEGMENT_COPIED)
            continue;
        if (copy == SEGMENT_COPY_WAITS)
            return false;
        *failure = read_block(input, block);
        if (*failure < 0 || !feed_rows(merge, input, wanted, writer, failure))
            return false;
    }
    merge->block = 0;
    return true;
}

static bool merge_feed(void *context, struct segment_writer *writer, int *failure)
{
    struct sealer_merge *merge = context;
    for (; merge->symbol < merge->symbol_count; merge->symbol++) {
        const struct merge_symbol *symbol = &merge->symbols[merge->symbol];
        if (!has_room(merge, writer, failure))
            return false;
        if (!merge->announced &&
            !segment_writer_symbol(writer, symbol->name, symbol->size, symbol->rows))
            return false;
        merge->announced = true;
        for (; merge->input < merge->input_count; merge->input++) {
            if (!feed_input(merge, &merge->inputs[merge->input], symbol, writer, failure))
                return false;
        }
        merge->input = 0;
        merge->announced = false;
    }
    return true;
}

// ---- the job ----

void sealer_merge_written(struct sealer *sealer)
{
    struct sealer_merge *merge = &sealer->merge;
    struct catalogue_segment *made = &sealer->made[0];
    made->tape_first = merge->inputs[0].segment.tape_first;
    made->tape_last = merge->inputs[0].segment.tape_last;
    uint64_t rows = 0;
    for (uint32_t i = 0; i < merge->input_count; i++) {
        const struct catalogue_segment *input = &merge->inputs[i].segment;
        rows += input->rows;
        if (input->tape_last > made->tape_last)
            made->tape_last = input->tape_last;
    }
    ensure(made->rows == rows);
    sealer_commit(sealer);
}

static int64_t read_input(void *context, uint64_t offset, void *out, size_t size)
{
    struct sealer_input *input = context;
    return io_read_now(input->sealer->io, input->handle, out, size, (int64_t)offset);
}

static void input_afresh(void *context)
{
    struct sealer_input *input = context;
    io_read_afresh(input->sealer->io, input->handle);
}

// An index that was made without a damaged footer lacks what is damaged behind it.
static bool is_whole(const struct sealer_input *input)
{
    const struct index *index = segment_index(input->open);
    uint64_t rows = 0;
    for (uint32_t block = 0; block < index->block_count; block++)
        rows += index->blocks[block].rows;
    return rows == input->segment.rows;
}

static void input_opened(struct io *io, struct io_op *op)
{
    (void)io;
    struct sealer *sealer = io_owner(op, struct sealer, op);
    struct sealer_input *input = &sealer->merge.inputs[sealer->merge.opened];
    if (op->result < 0) {
        if (op->result == -ENOENT || sealer->merge.tries + 1 >= SEALER_TAPE_TRIES)
            refuse(sealer, input, strerror((int)-op->result));
        sealer_fail(sealer, (int)op->result, input->path);
        return;
    }
    input->handle = (int)op->result;
    struct source source = {
        .size = input->segment.bytes, .read = read_input, .context = input,
        .afresh = input_afresh};
    enum segment_error error = segment_open(&input->open, &source, NULL, 0);
    const struct catalogue_segment *listed = &input->segment;
    if (error != SEGMENT_GOOD)
        input->open = NULL;
    else if (!segment_is(input->open, listed->number, listed->day, listed->channel))
        error = SEGMENT_OTHER;
    else if (!is_whole(input))
        error = SEGMENT_BAD_FOOTER;
    if (error != SEGMENT_GOOD) {
        refuse(sealer, input, segment_error_text(error));
        sealer_fail(sealer, -EBADMSG, input->path);
        return;
    }
    sealer->merge.opened++;
    open_next(sealer);
}

// What is merged has at most the blocks of its inputs, and one more for each symbol that was rare.
static bool fits(const struct sealer_merge *merge)
{
    uint64_t blocks = merge->symbol_count;
    for (uint32_t i = 0; i < merge->input_count; i++)
        blocks += segment_index(merge->inputs[i].open)->block_count;
    return merge->symbol_count < SEGMENT_SYMBOLS_MAX &&
           blocks + SEGMENT_APPEND_ROWS_MAX + 2 < SEGMENT_BLOCKS_MAX;
}

// Together they are more than a segment may hold: the largest stays as it is.
static void too_much(struct sealer *sealer)
{
    const struct sealer_input *largest = &sealer->merge.inputs[0];
    for (uint32_t i = 1; i < sealer->merge.input_count; i++) {
        if (sealer->merge.inputs[i].segment.bytes > largest->segment.bytes)
            largest = &sealer->merge.inputs[i];
    }
    leave_apart(sealer, largest);
    sealer_give_up(sealer);
}

static void open_next(struct sealer *sealer)
{
    struct sealer_merge *merge = &sealer->merge;
    if (merge->opened < merge->input_count) {
        io_open(sealer->io, &sealer->op, merge->inputs[merge->opened].path, IO_OPEN_READ,
                input_opened);
        return;
    }
    unite_symbols(merge);
    if (!fits(merge)) {
        too_much(sealer);
        return;
    }
    const struct catalogue_segment *first = &merge->inputs[0].segment;
    sealer_write(sealer, first->channel, first->day, merge_feed, merge);
}

static void set_inputs(struct sealer *sealer, const struct window *window)
{
    struct sealer_merge *merge = &sealer->merge;
    merge->input_count = window->count;
    merge->opened = merge->symbol = merge->input = merge->block = merge->row = 0;
    merge->announced = false;
    for (uint32_t i = 0; i < window->count; i++) {
        struct sealer_input *input = &merge->inputs[i];
        input->sealer = sealer;
        input->segment = sealer->catalogue->segments[window->first + i];
        input->handle = -1;
        input->open = NULL;
        input->cached_block = UINT32_MAX;
        sealer_segment_path(sealer, &input->segment, "segment", input->path);
    }
}

// For what comes out, about as much as goes in, above the reserve: a merge that had to be left in
// the middle would have the oldest data deleted for nothing.
static bool is_room(const struct sealer *sealer, uint64_t bytes)
{
    int64_t free_bytes = io_free_bytes(sealer->io, keep_store_path(sealer->store));
    return free_bytes < 0 || (free_bytes >= sealer->disk.reserve_bytes &&
                              bytes <= (uint64_t)(free_bytes - sealer->disk.reserve_bytes));
}

bool sealer_merge_start(struct sealer *sealer)
{
    if (sealer->merge_nothing)
        return false;
    sealer->merge.room = sealer->disk.low; // a byte: until it is not
    if (sealer->disk.low)
        return false;
    int64_t now_ns = io_utc_ns(sealer->io);
    bool complete = now_ns - sealer->merged_at_ns >= SEALER_LOOK_NS;
    struct window window = choose(sealer, complete);
    if (window.count == 0) {
        sealer->merge_all = false;
        if (complete)
            sealer->merged_at_ns = now_ns;
        return false;
    }
    if (!is_room(sealer, window.bytes)) { // the smallest of all
        sealer->merge.room = window.bytes;
        return false;
    }
    sealer->counters.idle = false;
    sealer_enter(sealer, SEALER_OPENING);
    set_inputs(sealer, &window);
    open_next(sealer);
    return true;
}

bool sealer_merge_resume(struct sealer *sealer)
{
    const uint64_t room = sealer->merge.room;
    return room != 0 && is_room(sealer, room) && sealer_merge_start(sealer);
}

int sealer_merge_close(struct sealer *sealer)
{
    for (uint32_t i = 0; i < sealer->merge.input_count; i++) {
        struct sealer_input *input = &sealer->merge.inputs[i];
        if (input->open)
            segment_close(input->open);
        input->open = NULL;
        int handle = input->handle;
        input->handle = -1;
        if (handle >= 0)
            return handle;
    }
    return -1;
}

void sealer_merge_remove(struct sealer *sealer, struct file_script *script)
{
    struct sealer_merge *merge = &sealer->merge;
    char path[KEEP_FILE_NAME_BYTES_MAX];
    for (uint32_t i = 0; i < merge->input_count; i++) {
        sealer_segment_path(sealer, &merge->inputs[i].segment, "index", path);
        file_script_unlink(script, path);
        file_script_unlink(script, merge->inputs[i].path);
    }
    memcpy(path, merge->inputs[0].path, sizeof path);
    *strrchr(path, '/') = 0;
    file_script_sync_directory(script, path);
}
