// SPDX-License-Identifier: GPL-3.0-or-later
//
// The writer's memory, mapped once and touched as it is used, and its beginning and end.
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/limits.h"
#include "format/ensure.h"
#include "keep/tape_writer_inside.h"

enum {
    COMMIT_INTERVAL_DEFAULT_NS = 5000000,
    TAPE_BYTES_DEFAULT = 32 << 20,
    QUEUE_BYTES_DEFAULT = 64 << 20, // address space; resident is what is used
};
#define TAPE_AGE_DEFAULT_NS (10 * LIMIT_MINUTE_NS)

static void set_defaults(struct tape_writer_options *options)
{
    if (options->commit_interval_ns == 0)
        options->commit_interval_ns = COMMIT_INTERVAL_DEFAULT_NS;
    if (options->tape_bytes == 0)
        options->tape_bytes = TAPE_BYTES_DEFAULT;
    if (options->tape_age_ns == 0)
        options->tape_age_ns = TAPE_AGE_DEFAULT_NS;
    if (options->queue_bytes == 0)
        options->queue_bytes = QUEUE_BYTES_DEFAULT;
    options->tape_bytes = (options->tape_bytes + LAYOUT_SECTOR - 1) & ~(int64_t)(LAYOUT_SECTOR - 1);
}

static size_t sectors(size_t bytes)
{
    return (bytes + LAYOUT_SECTOR - 1) & ~(size_t)(LAYOUT_SECTOR - 1);
}

// Halves, encoder, rescue memory, levels: one mapping, touched as it is used.
static int map_memory(struct tape_writer *writer)
{
    size_t half = sectors(writer->options.queue_bytes);
    size_t encoder = sectors(tape_encoder_bytes(LIMIT_SHARD_SYMBOLS));
    size_t levels = sectors(EVENT_LEVELS_MAX * sizeof(struct event_level));
    writer->memory_bytes = 2 * half + encoder + levels + TAPE_WRITER_RESCUE_BYTES;
    void *memory = mmap(NULL, writer->memory_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -ENOMEM;
    uint8_t *at = memory;
    writer->memory = memory;
    writer->half[0].memory = at;
    writer->half[1].memory = at += half;
    writer->encoder = tape_encoder_init(at += half, LIMIT_SHARD_SYMBOLS);
    writer->levels = (struct event_level *)(void *)(at += encoder);
    writer->rescue_memory = at + levels;
    return 0;
}

static int open_parts(struct tape_writer *writer)
{
    int result = map_memory(writer);
    for (int i = 0; i < 2 && result == 0; i++)
        result = batch_open(&writer->batch_memory[i]);
    for (int i = 0; i < TAPE_WRITER_FILES && result == 0; i++)
        result = tape_file_open(&writer->files[i], writer->io, writer->options.store, writer);
    return result;
}

int tape_writer_open(struct tape_writer **out, struct io *io,
                     const struct tape_writer_options *options)
{
    struct tape_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return -ENOMEM;
    writer->io = io;
    writer->options = *options;
    set_defaults(&writer->options);
    if (writer->options.note)
        durable_note_init(&writer->note, io, keep_store_path(options->store), options->shard,
                          tape_writer_note_ended, writer);
    writer->batch = &writer->batch_memory[0];
    writer->spare = &writer->batch_memory[1];
    int result = open_parts(writer);
    if (result < 0) {
        tape_writer_close(writer);
        return result;
    }
    io_timeout(io, &writer->tick_op, LIMIT_SECOND_NS, tape_writer_tick);
    tape_writer_pump(writer);
    *out = writer;
    return 0;
}

void tape_writer_close(struct tape_writer *writer)
{
    for (int i = 0; i < TAPE_WRITER_FILES; i++) {
        if (writer->files[i].sector)
            tape_file_deinit(&writer->files[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (writer->batch_memory[i].memory)
            batch_close(&writer->batch_memory[i]);
    }
    if (writer->memory)
        ensure(munmap(writer->memory, writer->memory_bytes) == 0);
    free(writer);
}
