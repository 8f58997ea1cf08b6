// SPDX-License-Identifier: Apache-2.0
//
// An input is verified first. Where it is sound, nothing else is done; else each block is tried by
// itself: what its hashes vouch for is usable, wherever it stands.
#include "format/recover_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

enum { REWRITE_ROWS = 256 };
_Static_assert(REWRITE_ROWS <= SEGMENT_APPEND_ROWS_MAX, "asked for room before each portion");

struct recover_symbol {
    struct event_text name; // in an input's index
    uint64_t rows;
};

// ---- inputs ----

static int error_of(enum segment_error error)
{
    switch (error) {
    case SEGMENT_GOOD:
        return 0;
    case SEGMENT_NO_MEMORY:
        return -ENOMEM;
    case SEGMENT_NEWER:
        return -EPROTONOSUPPORT;
    default:
        return -EBADMSG;
    }
}

struct checking {
    struct recover_input *input;
    recover_loss_callback *lost;
    void *context;
    uint64_t rows_told; // lost, by block
    uint64_t losses_untold; // places whose rows are not known
};

static struct recover_loss loss_in(const struct recover_input *input, const char *what,
                                   uint64_t offset, uint64_t bytes)
{
    return (struct recover_loss){
        .path = input->path,
        .what = what,
        .offset = offset,
        .bytes = bytes,
        .channels = (uint16_t)(1u << input->listed.channel),
        .time_min = input->listed.time_min,
        .time_max = input->listed.time_max,
    };
}

static void lost_block(struct checking *checking, uint32_t b, enum segment_error error)
{
    struct recover_input *input = checking->input;
    const struct index *index = segment_index(input->segment);
    const struct layout_index_block *entry = &index->blocks[b];
    struct recover_loss loss =
        loss_in(input, segment_error_text(error), entry->offset, entry->bytes);
    loss.rows = entry->rows;
    if (entry->symbol < index->symbol_count)
        loss.symbol = index_name(index, entry->symbol);
    if (entry->time_min != INT64_MIN) { // else its header is lost
        loss.time_min = entry->time_min;
        loss.time_max = entry->time_max;
    }
    checking->rows_told += loss.rows;
    checking->lost(checking->context, &loss);
}

// Every block by itself. One that stands in the file twice counts once.
static int try_blocks(struct checking *checking)
{
    struct recover_input *input = checking->input;
    const struct index *index = segment_index(input->segment);
    bool *seen = calloc(SEGMENT_BLOCKS_MAX, sizeof *seen);
    int result = seen ? 0 : -ENOMEM;
    for (uint32_t b = 0; b < index->block_count && result == 0; b++) {
        struct segment_block block;
        enum segment_error error = segment_read(input->segment, b, UINT64_MAX, &block);
        if (error == SEGMENT_NO_MEMORY)
            result = -ENOMEM;
        else if (error == SEGMENT_NEWER ||
                 (error == SEGMENT_GOOD && (block.unknown_columns != 0 || block.unknown_levels)))
            result = -EPROTONOSUPPORT; // not damage: a newer program reads it
        else if (error != SEGMENT_GOOD)
            lost_block(checking, b, error);
        else if (block.header.number < SEGMENT_BLOCKS_MAX && !seen[block.header.number]) {
            seen[block.header.number] = input->usable[b] = true;
            input->rows += block.header.rows;
        }
    }
    free(seen);
    return result;
}

// Bytes between the blocks that were found by walking.
static void tell_gap(struct checking *checking, uint64_t from, uint64_t to)
{
    if (from >= to)
        return;
    struct recover_loss loss =
        loss_in(checking->input, "no block can be made out here", from, to - from);
    checking->losses_untold++;
    checking->lost(checking->context, &loss);
}

static bool footer_at(struct recover_input *input, uint64_t offset)
{
    struct source source = recover_file_source(&input->file);
    uint64_t magic = 0;
    int64_t got;
    uint8_t room[sizeof magic];
    const uint8_t *bytes = source_get(&source, offset, sizeof magic, room, &got);
    if (!bytes || got < (int64_t)sizeof magic)
        return false;
    memcpy(&magic, bytes, sizeof magic);
    return magic == LAYOUT_FOOTER_MAGIC;
}

static void tell_gaps(struct checking *checking)
{
    struct recover_input *input = checking->input;
    const struct index *index = segment_index(input->segment);
    uint64_t at = segment_header(input->segment)->header_bytes;
    for (uint32_t b = 0; b < index->block_count; b++) {
        tell_gap(checking, at, index->blocks[b].offset);
        at = index->blocks[b].offset + index->blocks[b].bytes;
    }
    uint64_t expected = input->listed.rows;
    bool complete = expected != 0 && input->rows + checking->rows_told >= expected;
    if (!complete && !footer_at(input, at))
        tell_gap(checking, at, input->file.size);
}

// What the catalogue misses beyond the losses that name their rows.
static void tell_rest(struct checking *checking)
{
    struct recover_input *input = checking->input;
    uint64_t found = input->rows + checking->rows_told;
    if (input->listed.rows <= found)
        return;
    struct recover_loss loss = loss_in(input, "rows that the catalogue lists and the file has not",
                                       0, input->file.size);
    loss.rows = input->listed.rows - found;
    if (checking->losses_untold > 0)
        loss.what = "rows of the places above";
    checking->lost(checking->context, &loss);
}

static int check_opened(struct checking *checking)
{
    struct recover_input *input = checking->input;
    const struct index *index = segment_index(input->segment);
    input->usable = calloc(index->block_count + 1u, sizeof *input->usable);
    if (!input->usable)
        return -ENOMEM;
    enum segment_error error = segment_verify(input->segment, NULL, NULL);
    if (error == SEGMENT_NO_MEMORY)
        return -ENOMEM;
    uint64_t rows = 0;
    for (uint32_t b = 0; b < index->block_count; b++)
        rows += index->blocks[b].rows;
    input->sound = input->sound && error == SEGMENT_GOOD;
    if (input->sound) {
        memset(input->usable, 1, index->block_count * sizeof *input->usable);
        input->rows = rows;
    } else {
        int result = try_blocks(checking);
        if (result < 0)
            return result;
        if (segment_footer_error(input->segment) != SEGMENT_GOOD)
            tell_gaps(checking);
    }
    tell_rest(checking);
    return 0;
}

// What a header without damage says is what the name and the store say.
static bool is_owned(const struct recover_input *input, const uint8_t *store)
{
    const struct catalogue_segment *listed = &input->listed;
    const uint8_t *owner = segment_header(input->segment)->store;
    return segment_is(input->segment, listed->number, listed->day, listed->channel) &&
           memcmp(owner, store, LAYOUT_STORE_ID_BYTES) == 0;
}

// The salt of the segment listed, whoever's header lies there: as its index tells, else the end of
// the file. 0: nothing tells.
static uint64_t listed_salt(const struct recover_input *input, const struct source *source)
{
    const struct catalogue_segment *listed = &input->listed;
    struct index index;
    if (input->index && index_open(&index, input->index, input->index_size) &&
        index.header->number == listed->number && index.header->day == listed->day &&
        index.header->channel == (uint32_t)listed->channel)
        return index.header->salt;
    return segment_tail_salt(source);
}

// It opened by the header of another segment, whose first blocks may lie there as well. Where what
// is behind them is of the listed one, that is opened; a file that is the other one as a whole is
// left as it is.
static enum segment_error open_behind(struct recover_input *input, const struct source *source)
{
    const uint64_t salt = listed_salt(input, source);
    struct segment *behind;
    if (salt == 0 || salt == segment_header(input->segment)->salt)
        return SEGMENT_GOOD;
    enum segment_error error =
        segment_open_headless(&behind, source, input->index, input->index_size,
                              input->listed.number, input->listed.day, salt);
    if (error == SEGMENT_NO_MAGIC)
        return SEGMENT_GOOD; // not a block of it
    segment_close(input->segment);
    input->segment = behind;
    input->sound = false;
    return error;
}

static int open_segment(struct recover_input *input, const uint8_t *store)
{
    struct source source = recover_file_source(&input->file);
    enum segment_error error =
        segment_open(&input->segment, &source, input->index, input->index_size);
    input->sound = error == SEGMENT_GOOD;
    if (error == SEGMENT_NO_MAGIC || error == SEGMENT_BAD_HASH || error == SEGMENT_BAD_HEADER ||
        error == SEGMENT_SHORT)
        error = segment_open_headless(&input->segment, &source, input->index, input->index_size,
                                      input->listed.number, input->listed.day, 0);
    else if (error == SEGMENT_GOOD && !is_owned(input, store))
        error = open_behind(input, &source);
    if (error != SEGMENT_GOOD)
        input->segment = NULL;
    return error_of(error);
}

static void leave_alone(struct checking *checking, const char *what)
{
    struct recover_input *input = checking->input;
    struct recover_loss loss = loss_in(input, what, 0, input->file.size);
    loss.rows = input->listed.rows;
    if (input->segment)
        segment_close(input->segment);
    input->segment = NULL;
    checking->lost(checking->context, &loss);
}

int recover_input_open(struct recover_input *input, const char *directory, const uint8_t *store,
                       recover_loss_callback *lost, void *context)
{
    struct checking checking = {.input = input, .lost = lost, .context = context};
    char path[CATALOGUE_PATH_BYTES_MAX];
    input->segment = NULL;
    input->usable = NULL;
    input->rows = 0;
    int error = recover_file_open(&input->file, directory, input->path);
    if (error < 0)
        return error;
    catalogue_segment_path(&input->listed, "index", path);
    (void)recover_file_load(directory, path, &input->index, &input->index_size);
    error = open_segment(input, store);
    if (error == -EBADMSG)
        leave_alone(&checking, "nothing of the segment can be made out");
    else if (error == 0 && input->sound && !is_owned(input, store))
        leave_alone(&checking, "a segment of another number, channel or store");
    if (error < 0 && error != -EBADMSG)
        return error;
    if (!input->segment)
        return 0;
    // Without a good header the blocks say the channel.
    input->listed.channel = (enum channel)segment_header(input->segment)->channel;
    input->index_sound = !segment_rebuilt(input->segment);
    return check_opened(&checking);
}

void recover_input_close(struct recover_input *input)
{
    if (input->segment)
        segment_close(input->segment);
    free(input->usable);
    free(input->index);
    recover_file_close(&input->file);
    input->segment = NULL;
    input->usable = NULL;
    input->index = NULL;
    input->index_size = 0;
}

// ---- symbols of all inputs ----

static int compare_names(const void *a, const void *b)
{
    const struct event_text *x = &((const struct recover_symbol *)a)->name;
    const struct event_text *y = &((const struct recover_symbol *)b)->name;
    uint32_t size = x->size < y->size ? x->size : y->size;
    int order = size > 0 ? memcmp(x->bytes, y->bytes, size) : 0;
    return order != 0 ? order : (x->size > y->size) - (x->size < y->size);
}

static int compare_ranks(const void *a, const void *b)
{
    bool x = ((const struct recover_symbol *)a)->rows < SEGMENT_RARE_ROWS;
    bool y = ((const struct recover_symbol *)b)->rows < SEGMENT_RARE_ROWS;
    return x != y ? y - x : compare_names(a, b);
}

int recover_rewrite_open(struct recover_rewrite *rewrite)
{
    uint64_t all = 0;
    for (uint32_t i = 0; i < rewrite->input_count; i++)
        all += segment_index(rewrite->inputs[i]->segment)->symbol_count;
    rewrite->symbols = malloc((all + 1) * sizeof *rewrite->symbols);
    if (!rewrite->symbols)
        return -ENOMEM;
    uint32_t count = 0;
    for (uint32_t i = 0; i < rewrite->input_count; i++) {
        const struct index *index = segment_index(rewrite->inputs[i]->segment);
        for (uint32_t s = 0; s < index->symbol_count; s++) {
            if (index->symbols[s].rows > 0)
                rewrite->symbols[count++] = (struct recover_symbol){
                    .name = index_name(index, s), .rows = index->symbols[s].rows};
        }
    }
    qsort(rewrite->symbols, count, sizeof *rewrite->symbols, compare_names);
    uint32_t united = 0;
    for (uint32_t s = 0; s < count; s++) {
        if (united > 0 &&
            compare_names(&rewrite->symbols[united - 1], &rewrite->symbols[s]) == 0)
            rewrite->symbols[united - 1].rows += rewrite->symbols[s].rows;
        else
            rewrite->symbols[united++] = rewrite->symbols[s];
    }
    qsort(rewrite->symbols, united, sizeof *rewrite->symbols, compare_ranks);
    rewrite->symbol_count = united;
    rewrite->symbol = rewrite->input = rewrite->block = rewrite->row = 0;
    return 0;
}

void recover_rewrite_close(struct recover_rewrite *rewrite)
{
    free(rewrite->symbols);
    rewrite->symbols = NULL;
}

// ---- writing ----

struct writing {
    struct recover_rewrite *rewrite;
    struct segment_writer *writer;
    recover_put *put;
    void *context;
    bool announced; // the symbol in this segment
    bool full;
    uint64_t rows;
};

static int drain(struct writing *writing)
{
    size_t size;
    const void *bytes = segment_writer_output(writing->writer, &size);
    int error = size > 0 ? writing->put(writing->context, bytes, size) : 0;
    segment_writer_taken(writing->writer);
    return error;
}

static void note_tape(struct recover_rewrite *rewrite, uint32_t tape)
{
    if (tape == 0)
        return;
    if (rewrite->tape_first == 0 || tape < rewrite->tape_first)
        rewrite->tape_first = tape;
    if (tape > rewrite->tape_last)
        rewrite->tape_last = tape;
}

static int announce(struct writing *writing)
{
    const struct recover_symbol *symbol = &writing->rewrite->symbols[writing->rewrite->symbol];
    int error = 0;
    while (error == 0 && !writing->announced) {
        writing->announced = segment_writer_symbol(writing->writer, symbol->name.bytes,
                                                   symbol->name.size, symbol->rows);
        if (!writing->announced)
            error = drain(writing);
    }
    return error;
}

static int put_rows(struct writing *writing, const struct rows *rows, const uint32_t *index,
                    uint32_t count, const struct segment_provenance *provenance)
{
    int error = count > 0 ? announce(writing) : 0;
    uint32_t done = 0;
    while (error == 0 && done < count) {
        done += segment_writer_append_selected(writing->writer, rows, index + done, count - done,
                                               provenance + done);
        if (done < count)
            error = drain(writing);
    }
    writing->rows += count;
    return error;
}

// Rows of the symbol in one decoded block, from rewrite->row on, until the segment is full.
static int put_block(struct writing *writing, const struct segment_block *block, uint32_t number)
{
    struct recover_rewrite *rewrite = writing->rewrite;
    struct event_text name = rewrite->symbols[rewrite->symbol].name;
    uint32_t wanted = name.size == 0 ? SYMBOL_NONE : number;
    while (rewrite->row < block->rows->count) {
        uint32_t index[REWRITE_ROWS];
        struct segment_provenance provenance[REWRITE_ROWS];
        uint32_t count = 0;
        writing->full = segment_writer_full(writing->writer);
        if (writing->full)
            return 0;
        for (; rewrite->row < block->rows->count && count < REWRITE_ROWS; rewrite->row++) {
            uint32_t row = rewrite->row;
            uint32_t tape = block->tape ? block->tape[row] : 0;
            uint64_t tape_row = block->tape ? block->row[row] : 0;
            if (block->rows->symbol[row] != wanted ||
                (rewrite->filter && !rewrite->filter(rewrite->filter_context, block->rows, row,
                                                     name, tape, tape_row)))
                continue;
            note_tape(rewrite, tape);
            provenance[count] = (struct segment_provenance){.tape = tape, .row = tape_row};
            index[count++] = row;
        }
        int error = put_rows(writing, block->rows, index, count, provenance);
        if (error < 0)
            return error;
    }
    rewrite->row = 0;
    return 0;
}

static int put_input(struct writing *writing, struct recover_input *input)
{
    struct recover_rewrite *rewrite = writing->rewrite;
    const struct index *index = segment_index(input->segment);
    struct event_text name = rewrite->symbols[rewrite->symbol].name;
    uint32_t number = index_find(index, name.bytes, name.size);
    if (number == SYMBOL_NONE)
        return 0;
    const struct layout_index_symbol *entry = &index->symbols[number];
    for (; rewrite->block < entry->block_count; rewrite->block++) {
        struct segment_block block;
        uint32_t b = entry->first_block + rewrite->block;
        if (b >= index->block_count || !input->usable[b])
            continue;
        enum segment_error bad = segment_read(input->segment, b, UINT64_MAX, &block);
        if (bad != SEGMENT_GOOD) // it was good a moment ago
            return bad == SEGMENT_NO_MEMORY ? -ENOMEM : -EIO;
        int error = put_block(writing, &block, number);
        if (error < 0 || writing->full)
            return error;
    }
    rewrite->block = 0;
    return 0;
}

static int put_symbols(struct writing *writing)
{
    struct recover_rewrite *rewrite = writing->rewrite;
    for (; rewrite->symbol < rewrite->symbol_count; rewrite->symbol++) {
        writing->announced = false;
        for (; rewrite->input < rewrite->input_count; rewrite->input++) {
            int error = put_input(writing, rewrite->inputs[rewrite->input]);
            if (error < 0 || writing->full)
                return error;
        }
        rewrite->input = 0;
    }
    return 0;
}

static int finish(struct writing *writing,
                  void (*made)(void *context, const struct recover_made *made))
{
    int error = 0;
    while (error == 0 && !segment_writer_finish(writing->writer))
        error = drain(writing);
    if (error == 0)
        error = drain(writing);
    if (error < 0)
        return error;
    struct recover_made result = {.summary = segment_writer_summary(writing->writer),
                                  .tape_first = writing->rewrite->tape_first,
                                  .tape_last = writing->rewrite->tape_last};
    result.index = segment_writer_index(writing->writer, &result.index_size);
    made(writing->context, &result);
    return 0;
}

int recover_rewrite_run(struct recover_rewrite *rewrite, const struct segment_description *what,
                        recover_put *put, void *context,
                        void (*made)(void *context, const struct recover_made *made))
{
    struct writing writing = {.rewrite = rewrite, .put = put, .context = context};
    rewrite->tape_first = rewrite->tape_last = 0;
    int error = segment_writer_open(&writing.writer, what);
    if (error < 0)
        return error;
    error = put_symbols(&writing);
    if (error == 0 && writing.rows > 0)
        error = finish(&writing, made);
    segment_writer_close(writing.writer);
    return error < 0 ? error : writing.full;
}
