// SPDX-License-Identifier: Apache-2.0
//
// Segments by channel and day. What the catalogue lists, and is whole, stays. Where rows may be
// there twice, each segment's rows are counted against those of the tapes and of the larger
// segments of its group: a file with none of its own is dropped; where some files share only a part
// of their rows, one new file is made of all.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "format/ensure.h"
#include "format/recover_inside.h"
#include "format/version.h"

struct group_loss { // waits until it is known whether the rows are elsewhere
    struct recover_loss loss;
    uint32_t input;
    char symbol[SEGMENT_SYMBOL_BYTES_MAX];
};

struct group {
    struct recover *recover;
    struct recover_input *inputs; // opened
    uint64_t *twice;              // rows of each that are elsewhere, too
    uint32_t count;
    bool unsure;
    struct group_loss *losses;
    uint32_t loss_count;
    // Counting and filtering.
    struct recover_rewrite rewrite;
    struct recover_input **ordered;
    uint32_t ordered_count;
    struct recover_set seen; // rows of the symbol
    uint32_t symbol;
    bool no_memory;
    // Writing.
    struct recover_output output;
    struct catalogue_segment made;
};

// ---- rows that are there twice ----

static bool in_a_tape(const struct recover *recover, struct recover_key key)
{
    const struct recover_slot *slot = recover_set_find(&recover->in_tapes, key);
    return slot && !recover->tapes[slot->value & ~(uint32_t)RECOVER_SEEN].dropped;
}

static bool first_of_its_kind(struct group *group, const struct rows *rows, uint32_t row,
                              struct event_text symbol, uint32_t tape, uint64_t tape_row)
{
    struct recover *recover = group->recover;
    if (group->symbol != group->rewrite.symbol) {
        group->symbol = group->rewrite.symbol;
        recover_set_clear(&group->seen);
    }
    struct recover_key key = recover_key(recover->keyer, rows, row, symbol, tape, tape_row);
    if (in_a_tape(recover, key))
        return false;
    bool added = false;
    if (!recover_set_put(&group->seen, key, 0, &added))
        group->no_memory = true;
    return added;
}

static bool keep_first(void *context, const struct rows *rows, uint32_t row,
                       struct event_text symbol, uint32_t tape, uint64_t tape_row)
{
    return first_of_its_kind(context, rows, row, symbol, tape, tape_row);
}

static bool count_others(void *context, const struct rows *rows, uint32_t row,
                         struct event_text symbol, uint32_t tape, uint64_t tape_row)
{
    struct group *group = context;
    const struct recover_input *input = group->ordered[group->rewrite.input];
    if (!first_of_its_kind(group, rows, row, symbol, tape, tape_row))
        group->twice[input - group->inputs]++;
    return false; // nothing is written
}

static int by_rows(const void *a, const void *b)
{
    const struct recover_input *x = *(struct recover_input *const *)a;
    const struct recover_input *y = *(struct recover_input *const *)b;
    if (x->rows != y->rows)
        return x->rows > y->rows ? -1 : 1;
    return (x->listed.number > y->listed.number) - (x->listed.number < y->listed.number);
}

static int by_time(const void *a, const void *b)
{
    const struct recover_input *x = *(struct recover_input *const *)a;
    const struct recover_input *y = *(struct recover_input *const *)b;
    if (x->listed.tape_first != y->listed.tape_first)
        return x->listed.tape_first < y->listed.tape_first ? -1 : 1;
    int64_t x_time = segment_index(x->segment)->header->time_min;
    int64_t y_time = segment_index(y->segment)->header->time_min;
    if (x_time != y_time)
        return x_time < y_time ? -1 : 1;
    return (x->listed.number > y->listed.number) - (x->listed.number < y->listed.number);
}

static struct segment_description describe(const struct group *group, uint32_t number)
{
    struct timespec now;
    ensure(clock_gettime(CLOCK_REALTIME, &now) == 0);
    struct segment_description what = {
        .created_ns = now.tv_sec * 1000000000ll + now.tv_nsec,
        .channel = group->ordered[0]->listed.channel,
        .day = group->ordered[0]->listed.day,
        .number = number,
        .writer = "ringtape recover " RINGTAPE_VERSION,
    };
    memcpy(what.store, group->recover->identity, sizeof what.store);
    do
        ensure(getrandom(&what.salt, sizeof what.salt, 0) == (ssize_t)sizeof what.salt);
    while (what.salt == 0);
    return what;
}

static int put_nothing(void *context, const void *bytes, size_t size)
{
    (void)context;
    (void)bytes;
    (void)size;
    return 0;
}

static int rewrite_begin(struct group *group, recover_filter *filter)
{
    group->symbol = UINT32_MAX;
    group->rewrite = (struct recover_rewrite){.inputs = group->ordered,
                                              .input_count = group->ordered_count,
                                              .filter = filter,
                                              .filter_context = group};
    return recover_rewrite_open(&group->rewrite);
}

static int count_twice(struct group *group)
{
    qsort(group->ordered, group->ordered_count, sizeof(struct recover_input *), by_rows);
    int error = rewrite_begin(group, count_others);
    if (error == 0) {
        struct segment_description what = describe(group, 1);
        error = recover_rewrite_run(&group->rewrite, &what, put_nothing, NULL, NULL);
    }
    recover_rewrite_close(&group->rewrite);
    return group->no_memory ? -ENOMEM : error;
}

// ---- new segments ----

static int put_bytes(void *context, const void *bytes, size_t size)
{
    struct group *group = context;
    return recover_output_append(&group->output, bytes, size);
}

static void segment_made(void *context, const struct recover_made *made)
{
    struct group *group = context;
    char path[CATALOGUE_PATH_BYTES_MAX];
    group->made.rows = made->summary.rows;
    group->made.bytes = made->summary.bytes;
    group->made.time_min = made->summary.time_min;
    group->made.time_max = made->summary.time_max;
    if (made->tape_first != 0) {
        group->made.tape_first = made->tape_first;
        group->made.tape_last = made->tape_last;
    }
    catalogue_segment_path(&group->made, "index", path);
    if (recover_write(group->recover->to, path, made->index, made->index_size) < 0)
        recover_note(group->recover, path, "not written; readers make it anew");
}

static int count_in(struct group *group)
{
    if (!catalogue_add_segment(&group->recover->made, &group->made))
        return recover_complain(group->recover, -EOVERFLOW, "catalogue", "too many segments");
    group->recover->result->rows += group->made.rows;
    return 0;
}

// One new segment; 1: there is more.
static int write_segment(struct group *group)
{
    struct recover *recover = group->recover;
    const struct catalogue_segment first = group->ordered[0]->listed;
    char path[CATALOGUE_PATH_BYTES_MAX];
    group->made = (struct catalogue_segment){
        .number = recover->made.next_segment++, .channel = first.channel, .day = first.day,
        .tape_first = first.tape_first, .tape_last = first.tape_last};
    for (uint32_t i = 1; i < group->ordered_count; i++) {
        if (group->ordered[i]->listed.tape_last > group->made.tape_last)
            group->made.tape_last = group->ordered[i]->listed.tape_last;
    }
    catalogue_segment_path(&group->made, "segment", path);
    struct segment_description what = describe(group, group->made.number);
    int result = recover_output_open(&group->output, recover->to, path);
    if (result == 0)
        result = recover_rewrite_run(&group->rewrite, &what, put_bytes, group, segment_made);
    if (result >= 0 && group->made.rows > 0) {
        int error = recover_output_finish(&group->output);
        if (error == 0)
            error = recover_output_place(&group->output);
        if (error == 0)
            error = count_in(group);
        return error < 0 ? error : result;
    }
    recover_output_abandon(&group->output);
    return result;
}

static int write_anew(struct group *group)
{
    if (group->ordered_count == 0)
        return 0;
    qsort(group->ordered, group->ordered_count, sizeof(struct recover_input *), by_time);
    recover_set_clear(&group->seen);
    int result = rewrite_begin(group, group->unsure ? keep_first : NULL);
    if (result == 0)
        result = 1;
    while (result == 1)
        result = write_segment(group);
    recover_rewrite_close(&group->rewrite);
    return group->no_memory ? -ENOMEM : result;
}

// ---- files that stay ----

static int keep_index(struct recover *recover, const struct recover_input *input)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    catalogue_segment_path(&input->listed, "index", path);
    if (input->index_sound && recover->in_place)
        return 0;
    if (!input->index_sound)
        recover_note(recover, path, "damaged or missing; made anew from the segment");
    // The header of an index stands at the beginning of its image.
    const struct layout_index *image = segment_index(input->segment)->header;
    return recover_write(recover->to, path, image, LAYOUT_HEADER_BYTES + image->body_bytes);
}

static bool number_taken(const struct recover *recover, uint32_t number)
{
    for (uint32_t i = 0; i < recover->made.segment_count; i++) {
        if (recover->made.segments[i].number == number)
            return true;
    }
    return false;
}

static int keep_file(struct group *group, struct recover_input *input)
{
    struct recover *recover = group->recover;
    const struct layout_index *header = segment_index(input->segment)->header;
    int error = 0;
    if (!recover->in_place)
        error = recover_copy(recover->options->from, recover->to, input->path, input->file.size);
    if (error == 0)
        error = keep_index(recover, input);
    group->made = input->listed;
    group->made.rows = header->rows;
    group->made.bytes = input->file.size;
    group->made.time_min = header->time_min;
    group->made.time_max = header->time_max;
    recover->result->kept++;
    return error < 0 ? error : count_in(group);
}

// Not needed any more, and not to be deleted by the next start of a daemon.
static int leave_out(struct group *group, struct recover_input *input)
{
    struct recover *recover = group->recover;
    char index[CATALOGUE_PATH_BYTES_MAX];
    if (!recover->in_place)
        return 0;
    catalogue_segment_path(&input->listed, "index", index);
    int error = recover_put_aside_later(recover, index);
    return error < 0 ? error : recover_put_aside_later(recover, input->path);
}

// ---- losses ----

static void hold_loss(void *context, const struct recover_loss *loss)
{
    struct group *group = context;
    size_t bytes = (group->loss_count + 1u) * sizeof *group->losses;
    struct group_loss *grown = realloc(group->losses, bytes);
    if (!grown) {
        recover_lost(group->recover, loss);
        return;
    }
    group->losses = grown;
    struct group_loss *held = &group->losses[group->loss_count++];
    held->loss = *loss;
    held->input = 0;
    while (loss->path != group->inputs[held->input].path)
        held->input++;
    if (loss->symbol.size > 0)
        memcpy(held->symbol, loss->symbol.bytes, loss->symbol.size);
}

static void tell_losses(struct group *group, uint32_t input)
{
    for (uint32_t i = 0; i < group->loss_count; i++) {
        struct group_loss *held = &group->losses[i];
        held->loss.symbol.bytes = (const uint8_t *)held->symbol;
        if (held->input == input)
            recover_lost(group->recover, &held->loss);
    }
}

// ---- one group ----

static bool is_whole(const struct group *group, const struct recover_input *input)
{
    return input->sound && input->rows > 0 && group->twice[input - group->inputs] == 0 &&
           !number_taken(group->recover, input->listed.number);
}

// A merge holds its inputs whole: where all rows that can be read of one are in others, what cannot
// be read of it is there too.
static bool has_nothing(const struct group *group, const struct recover_input *input)
{
    return group->unsure && group->twice[input - group->inputs] == input->rows &&
           (input->rows > 0 || input->sound);
}

// Rows shared with a file that is kept can only be told apart by writing both.
static bool shares_rows(const struct group *group)
{
    bool shares = false;
    for (uint32_t i = 0; i < group->count; i++) {
        const struct recover_input *input = &group->inputs[i];
        shares = shares || (input->segment && group->twice[i] > 0 && !has_nothing(group, input));
    }
    return shares;
}

static int decide(struct group *group)
{
    struct recover *recover = group->recover;
    bool all_anew = shares_rows(group);
    group->ordered_count = 0;
    int error = 0;
    for (uint32_t i = 0; i < group->count && error == 0; i++) {
        struct recover_input *input = &group->inputs[i];
        bool nothing = input->segment && has_nothing(group, input);
        if (!nothing)
            tell_losses(group, i);
        if (!input->segment)
            continue;
        if (nothing) {
            recover_note(recover, input->path, "left out: its rows are in other files");
            recover->result->dropped++;
        } else if (!all_anew && is_whole(group, input)) {
            error = keep_file(group, input);
        } else {
            group->ordered[group->ordered_count++] = input;
        }
    }
    recover->result->rewritten += group->ordered_count;
    return error < 0 ? error : write_anew(group);
}

// In place: what does not count any more goes to quarantine/, once all is written.
static int clear_away(struct group *group)
{
    int error = 0;
    for (uint32_t i = 0; i < group->count && error == 0; i++) {
        if ((group->inputs[i].file.descriptor >= 0 || group->inputs[i].not_a_file) &&
            !number_taken(group->recover, group->inputs[i].listed.number))
            error = leave_out(group, &group->inputs[i]);
    }
    return error;
}


static int open_inputs(struct group *group, const struct recover_segment *segments)
{
    struct recover *recover = group->recover;
    int error = 0;
    for (uint32_t i = 0; i < group->count && error == 0; i++) {
        struct recover_input *input = &group->inputs[i];
        *input = (struct recover_input){.listed = segments[i].listed, .file.descriptor = -1};
        catalogue_segment_path(&input->listed, "segment", input->path);
        group->unsure = group->unsure || segments[i].unsure;
        error = recover_input_open(input, recover->options->from, recover->identity, hold_loss,
                                   group);
        input->not_a_file = error == -EISDIR;
        if (error == -ENOENT || error == -EISDIR) {
            recover_gone(recover, &input->listed,
                         error == -ENOENT ? "the file is gone" : RECOVER_NOT_A_FILE);
            error = 0;
        }
        if (error < 0)
            return recover_complain(recover, error, input->path, NULL);
        recover_advance(recover, segments[i].bytes);
    }
    return error;
}

static int run_group(struct group *group, const struct recover_segment *segments)
{
    int error = open_inputs(group, segments);
    group->ordered_count = 0;
    for (uint32_t i = 0; i < group->count && error == 0; i++) {
        if (group->inputs[i].segment)
            group->ordered[group->ordered_count++] = &group->inputs[i];
    }
    bool twice = group->unsure && (group->ordered_count > 1 || group->recover->in_tapes.count > 0);
    if (error == 0 && twice && group->ordered_count > 0)
        error = count_twice(group);
    if (error == 0)
        error = decide(group);
    if (error == 0)
        error = clear_away(group);
    for (uint32_t i = 0; i < group->count; i++)
        recover_input_close(&group->inputs[i]);
    return error;
}

static int group_of(struct recover *recover, const struct recover_segment *segments,
                    uint32_t count)
{
    struct group group = {.recover = recover, .count = count};
    group.inputs = calloc(count, sizeof *group.inputs);
    group.twice = calloc(count, sizeof *group.twice);
    group.ordered = calloc(count, sizeof *group.ordered);
    int error = group.inputs && group.twice && group.ordered ? 0 : -ENOMEM;
    for (uint32_t i = 0; i < count && error == 0; i++)
        group.inputs[i].file.descriptor = -1;
    if (error == 0)
        error = run_group(&group, segments);
    recover_set_free(&group.seen);
    free(group.losses);
    free(group.inputs);
    free(group.twice);
    free(group.ordered);
    return error;
}

// Segments [first, end) share channel and day. Where all are sure each is a group by itself, so
// that one file at a time is open.
static uint32_t group_end(const struct recover *recover, uint32_t first)
{
    const struct recover_segment *segments = recover->segments;
    uint32_t end = first;
    bool unsure = false;
    while (end < recover->segment_count &&
           segments[end].listed.channel == segments[first].listed.channel &&
           segments[end].listed.day == segments[first].listed.day)
        unsure = segments[end++].unsure || unsure;
    return unsure ? end : first + 1;
}

int recover_segments(struct recover *recover)
{
    int error = 0;
    for (uint32_t first = 0; first < recover->segment_count && error == 0;) {
        uint32_t end = group_end(recover, first);
        error = group_of(recover, recover->segments + first, end - first);
        first = end;
    }
    return error;
}

// ---- tapes whose rows are in segments ----

static bool mark_seen(void *context, const struct rows *rows, uint32_t row,
                      struct event_text symbol, uint32_t tape, uint64_t tape_row)
{
    struct recover *recover = context;
    struct recover_key key = recover_key(recover->keyer, rows, row, symbol, tape, tape_row);
    struct recover_slot *slot = recover_set_find(&recover->in_tapes, key);
    if (slot && !(slot->value & RECOVER_SEEN)) {
        recover->tapes[slot->value].rows_sealed++;
        slot->value |= RECOVER_SEEN;
    }
    return false;
}

static void lose_silently(void *context, const struct recover_loss *loss)
{
    (void)context;
    (void)loss; // told when the segment's turn comes
}

static int look_up_segment(struct recover *recover, const struct recover_segment *segment)
{
    struct recover_input input = {.listed = segment->listed, .file.descriptor = -1};
    struct recover_input *const inputs[1] = {&input};
    struct group group = {.recover = recover, .ordered = (struct recover_input *[]){&input}};
    catalogue_segment_path(&input.listed, "segment", input.path);
    int error = recover_input_open(&input, recover->options->from, recover->identity,
                                   lose_silently, NULL);
    if (error == 0 && input.segment) {
        group.rewrite = (struct recover_rewrite){.inputs = inputs, .input_count = 1,
                                                 .filter = mark_seen, .filter_context = recover};
        error = recover_rewrite_open(&group.rewrite);
        struct segment_description what = describe(&group, 1);
        if (error == 0)
            error = recover_rewrite_run(&group.rewrite, &what, put_nothing, NULL, NULL);
        recover_rewrite_close(&group.rewrite);
    }
    recover_input_close(&input);
    return error == -ENOENT || error == -EISDIR ? 0 : error;
}

int recover_look_up(struct recover *recover)
{
    int error = 0;
    if (recover->in_tapes.count == 0)
        return 0;
    for (uint32_t i = 0; i < recover->segment_count && error == 0; i++)
        error = look_up_segment(recover, &recover->segments[i]);
    for (uint32_t t = 0; t < recover->tape_count && error == 0; t++) {
        struct recover_tape_input *tape = &recover->tapes[t];
        tape->dropped = tape->rows > 0 && tape->rows_sealed == tape->rows;
    }
    return error;
}
