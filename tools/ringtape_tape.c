// SPDX-License-Identifier: GPL-3.0-or-later
//
// Tapes are read by pread, not mapped: their writer may cut them at the end, and a touch behind the
// new end of a map would kill the reader.
#include "tools/ringtape_tape.h"

#include "format/ensure.h"
#include "tools/ringtape_files.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t ringtape_tape_read(void *context, uint64_t offset, void *out, size_t size)
{
    const int file = *(const int *)context;
    size_t done = 0;
    while (done < size) {
        const ssize_t got =
            pread(file, (uint8_t *)out + done, size - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

// The mark's bytes, 0 if there is none.
static size_t ringtape_tape_mark(const char *path, uint8_t mark[2 * LAYOUT_SECTOR])
{
    char name[RINGTAPE_PATH_BYTES_MAX];
    const char *dot = strrchr(path, '.');
    const size_t stem = dot != NULL ? (size_t)(dot - path) : strlen(path);
    if (stem + sizeof ".mark" > sizeof name) return 0;
    memcpy(name, path, stem);
    memcpy(name + stem, ".mark", sizeof ".mark");
    const int file = open(name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    int handle = file;
    const int64_t got = ringtape_tape_read(&handle, 0, mark, (size_t)2 * LAYOUT_SECTOR);
    (void)close(file);
    return got > 0 ? (size_t)got : 0;
}

static void ringtape_tape_add(struct ringtape_tape *tape, const struct tape_item *item)
{
    const struct layout_batch *header = &item->header;
    const bool first = tape->time_min > tape->time_max;
    tape->batches += item->rows_before == 0;
    tape->rows += header->rows - item->rows_before;
    tape->channels |= header->channels;
    if (header->time_min <= header->time_max) {
        if (first || header->time_min < tape->time_min) tape->time_min = header->time_min;
        if (first || header->time_max > tape->time_max) tape->time_max = header->time_max;
    }
}

static int ringtape_tape_items(struct tape_reader *reader, struct ringtape_tape *tape,
                               ringtape_tape_callback *callback, void *context)
{
    struct tape_item item;
    int result;
    while ((result = tape_reader_next(reader, &item)) > 0) {
        if (!item.is_damage) ringtape_tape_add(tape, &item);
        if (callback != NULL) callback(context, &item);
    }
    tape->bytes = reader->offset;
    tape->rows_lost = reader->rows_lost;
    tape->damages = reader->damages;
    tape->closed = reader->mark.magic != 0 && (reader->mark.flags & LAYOUT_MARK_CLOSED) != 0;
    tape->torn = result == 0 && reader->end == TAPE_END_TORN;
    return result;
}

// A header that is damaged (and told) has number 0.
static bool ringtape_tape_is_other(const struct ringtape_tape *tape, uint32_t number)
{
    return number != 0 && tape->header.number != 0 && tape->header.number != number;
}

static int ringtape_tape_read_all(const struct source *source, const char *path, uint32_t number,
                                  struct ringtape_tape *tape, enum tape_error *error,
                                  ringtape_tape_callback *callback, void *context)
{
    uint8_t mark[2 * LAYOUT_SECTOR];
    struct tape_reader reader;
    const size_t mark_size = ringtape_tape_mark(path, mark);
    int result = tape_reader_open(&reader, source, number, mark_size > 0 ? mark : NULL, mark_size,
                                  error);
    if (result != 0) return result;
    tape->header = reader.header;
    if (ringtape_tape_is_other(tape, number)) {
        *error = TAPE_OTHER_SALT;
        result = -EBADMSG;
    } else {
        result = ringtape_tape_items(&reader, tape, callback, context);
    }
    tape_reader_close(&reader);
    return result;
}

int ringtape_tape_walk(const char *path, uint32_t number, struct ringtape_tape *tape,
                       enum tape_error *error, ringtape_tape_callback *callback, void *context)
{
    struct stat status;
    *tape = (struct ringtape_tape){.time_min = INT64_MAX, .time_max = INT64_MIN};
    *error = TAPE_GOOD;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -errno;
    int result = fstat(file, &status) == 0 ? 0 : -errno;
    if (result == 0) {
        const struct source source = {
            .size = (uint64_t)status.st_size, .read = ringtape_tape_read, .context = &file};
        result = ringtape_tape_read_all(&source, path, number, tape, error, callback, context);
    }
    (void)close(file);
    ensure(result <= 0);
    return result;
}

const char *ringtape_tape_state(const struct ringtape_tape *tape)
{
    if (tape->damages > 0) return "damaged";
    if (tape->closed) return "closed";
    return "open";
}

const char *ringtape_tape_shard(char out[RINGTAPE_TABLE_NUMBER_BYTES],
                                const struct ringtape_tape *tape)
{
    if (tape->header.shard == UINT32_MAX) return "-";
    (void)snprintf(out, RINGTAPE_TABLE_NUMBER_BYTES, "%" PRIu32, tape->header.shard);
    return out;
}

void ringtape_tape_json_shard(struct ringtape_json *json, const struct ringtape_tape *tape)
{
    if (tape->header.shard == UINT32_MAX)
        ringtape_json_null(json, "shard");
    else
        ringtape_json_count(json, "shard", tape->header.shard);
}
