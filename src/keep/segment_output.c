// SPDX-License-Identifier: GPL-3.0-or-later
//
// One operation is in flight in every state but IDLE and FEEDING (which never waits). Whatever
// fails, the open file is closed and removed before `done` hears of it.
#include "keep/segment_output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "format/ensure.h"
#include "format/version.h"

// Its names on the disk, in the order in which they come.
static const char *const output_names[] = {"segment.new", "index.new", "index", "segment"};
enum { LEFT_NOTHING = 0, LEFT_OPENED = 1, LEFT_INDEX = 3, LEFT_SEGMENT = 4 };

static void output_feed(struct segment_output *output);
static void output_close(struct segment_output *output);

void segment_output_init(struct segment_output *output, struct io *io,
                         const struct keep_store *store, struct file_script *script)
{
    memset(output, 0, sizeof *output);
    output->io = io;
    output->store = store;
    output->script = script;
    output->handle = -1;
}

// "STORE/segment/2024-08-08/trade-00000098.segment"; `ending` also "index".
static void full_path(const struct segment_output *output, const char *ending, char *out)
{
    char relative[CATALOGUE_PATH_BYTES_MAX];
    catalogue_segment_path(&output->segment, ending, relative);
    int size = snprintf(out, KEEP_FILE_NAME_BYTES_MAX, "%s/%s", keep_store_path(output->store),
                        relative);
    ensure(size > 0 && size < KEEP_FILE_NAME_BYTES_MAX);
}

static void output_finish(struct segment_output *output)
{
    if (output->writer)
        segment_writer_close(output->writer);
    output->writer = NULL;
    output->state = SEGMENT_OUTPUT_IDLE;
    output->done(output->context, output->failure, &output->segment);
}

// Removing is tried once: `done` gets what failed first, and the next attempt has another number.
static void output_removed(void *context, int result, const char *path)
{
    struct segment_output *output = context;
    const struct log *log = keep_store_log(output->store);
    if (result < 0 && log)
        log_write(log, LOG_FILE_STAYS, io_utc_ns(output->io), "file=\"%s\" cause=\"%s\"", path,
                  strerror(-result));
    output_finish(output);
}

// Its final name first, under which it always has an index; only with the synced directory the room
// is free.
static void output_remove(struct segment_output *output)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    output->state = SEGMENT_OUTPUT_REMOVING;
    file_script_begin(output->script);
    for (uint32_t i = output->left; i-- > 0;) {
        full_path(output, output_names[i], path);
        file_script_unlink(output->script, path);
    }
    *strrchr(path, '/') = 0;
    file_script_sync_directory(output->script, path);
    file_script_run(output->script, output->io, output_removed, output);
}

static void output_end(struct segment_output *output)
{
    if (output->failure < 0 && output->left != LEFT_NOTHING)
        output_remove(output);
    else
        output_finish(output);
}

static void output_fail(struct segment_output *output, int failure)
{
    ensure(failure < 0);
    output->failure = failure;
    if (output->handle >= 0)
        output_close(output);
    else
        output_end(output);
}

static void placed(void *context, int result, const char *path)
{
    (void)path;
    struct segment_output *output = context;
    output->failure = result;
    if (output->script->position >= output->rename_step)
        output->left = LEFT_SEGMENT;
    output_end(output);
}

// Index first: a segment under its final name always has one.
static void output_place(struct segment_output *output)
{
    output->state = SEGMENT_OUTPUT_PLACING;
    output->left = LEFT_INDEX;
    size_t size;
    const void *index = segment_writer_index(output->writer, &size);
    ensure(size <= UINT32_MAX);
    char path[KEEP_FILE_NAME_BYTES_MAX];
    full_path(output, "index", path);
    file_script_begin(output->script);
    file_script_replace(output->script, path, index, (uint32_t)size);
    output->rename_step = output->script->count;
    file_script_rename(output->script, output->path_new, output->path);
    *strrchr(path, '/') = 0; // the day's directory
    file_script_sync_directory(output->script, path);
    *strrchr(path, '/') = 0; // segment/, in case the day is new
    file_script_sync_directory(output->script, path);
    file_script_run(output->script, output->io, placed, output);
}

static void output_closed(struct io *io, struct io_op *op)
{
    (void)io;
    struct segment_output *output = io_owner(op, struct segment_output, op);
    output->handle = -1;
    if (op->result < 0 && output->failure == 0)
        output->failure = (int)op->result;
    if (output->failure < 0)
        output_end(output);
    else
        output_place(output);
}

static void output_close(struct segment_output *output)
{
    output->state = SEGMENT_OUTPUT_CLOSING;
    io_close(output->io, &output->op, output->handle, output_closed);
}

static void output_synced(struct io *io, struct io_op *op)
{
    (void)io;
    struct segment_output *output = io_owner(op, struct segment_output, op);
    if (op->result < 0)
        output->failure = (int)op->result;
    output_close(output);
}

static void output_written(struct io *io, struct io_op *op)
{
    (void)io;
    struct segment_output *output = io_owner(op, struct segment_output, op);
    if (op->result < 0) {
        output_fail(output, (int)op->result);
        return;
    }
    ensure(op->result == output->writing);
    output->offset += output->writing;
    segment_writer_taken(output->writer);
    output_feed(output);
}

static void output_write(struct segment_output *output, const void *bytes, size_t size)
{
    ensure(size > 0 && size <= UINT32_MAX);
    output->state = SEGMENT_OUTPUT_WRITING;
    output->writing = (uint32_t)size;
    io_write(output->io, &output->op, output->handle, bytes, output->writing, output->offset, 0,
             output_written);
}

static void output_summarise(struct segment_output *output)
{
    struct segment_summary summary = segment_writer_summary(output->writer);
    ensure((int64_t)summary.bytes == output->offset);
    output->segment.rows = summary.rows;
    output->segment.bytes = summary.bytes;
    output->segment.time_min = summary.time_min;
    output->segment.time_max = summary.time_max;
    output->state = SEGMENT_OUTPUT_SYNCING;
    io_fsync(output->io, &output->op, output->handle, false, output_synced);
}

static void output_feed(struct segment_output *output)
{
    output->state = SEGMENT_OUTPUT_FEEDING;
    int failure = 0;
    if (!output->fed)
        output->fed = output->feed(output->feed_context, output->writer, &failure);
    if (failure < 0) {
        output_fail(output, failure);
        return;
    }
    if (output->fed && !output->finished)
        output->finished = segment_writer_finish(output->writer);
    size_t size;
    const void *bytes = segment_writer_output(output->writer, &size);
    if (size > 0) {
        output_write(output, bytes, size);
        return;
    }
    ensure(output->finished);
    output_summarise(output);
}

static void output_opened(struct io *io, struct io_op *op)
{
    (void)io;
    struct segment_output *output = io_owner(op, struct segment_output, op);
    if (op->result < 0) {
        output_fail(output, (int)op->result);
        return;
    }
    output->handle = (int)op->result;
    output->left = LEFT_OPENED;
    output_feed(output);
}

static void directory_there(void *context, int result, const char *path)
{
    (void)path;
    struct segment_output *output = context;
    if (result < 0) {
        output_fail(output, result);
        return;
    }
    io_open(output->io, &output->op, output->path_new,
            IO_OPEN_WRITE | IO_OPEN_CREATE | IO_OPEN_EXCLUSIVE, output_opened);
}

static int open_writer(struct segment_output *output, enum column_level level)
{
    struct segment_description what = {
        .created_ns = io_utc_ns(output->io),
        .channel = output->segment.channel,
        .day = output->segment.day,
        .number = output->segment.number,
        .writer = "ringtaped " RINGTAPE_VERSION,
        .level = level,
    };
    memcpy(what.store, keep_store_identity(output->store), sizeof what.store);
    do
        io_random(output->io, &what.salt, sizeof what.salt);
    while (what.salt == 0);
    return segment_writer_open(&output->writer, &what);
}

void segment_output_start(struct segment_output *output, const struct catalogue_segment *segment,
                          enum column_level level, segment_output_feed *feed,
                          segment_output_done *done, void *feed_context, void *context)
{
    ensure(output->state == SEGMENT_OUTPUT_IDLE);
    ensure(output->handle < 0);
    output->segment = *segment;
    output->feed = feed;
    output->done = done;
    output->feed_context = feed_context;
    output->context = context;
    output->offset = 0;
    output->fed = output->finished = false;
    output->left = LEFT_NOTHING;
    output->failure = open_writer(output, level);
    if (output->failure < 0) {
        output_finish(output);
        return;
    }
    full_path(output, "segment", output->path);
    full_path(output, "segment.new", output->path_new);
    output->state = SEGMENT_OUTPUT_OPENING;
    char directory[KEEP_FILE_NAME_BYTES_MAX];
    memcpy(directory, output->path, sizeof directory);
    *strrchr(directory, '/') = 0;
    file_script_begin(output->script);
    file_script_mkdir(output->script, directory);
    // An earlier life may have left one: never synced again, see file_script_write().
    file_script_unlink(output->script, output->path_new);
    file_script_run(output->script, output->io, directory_there, output);
}
