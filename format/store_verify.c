// SPDX-License-Identifier: Apache-2.0
//
// Verification reads everything that counts and decodes it: each segment with segment_verify(), its
// index against it, each tape batch by batch against its mark. Files in segment/ that no catalogue
// names are leftovers, and sealed tapes may stay for a mirror: both are counted, and no damage.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/store_inside.h"

struct verify {
    struct store *store;
    store_damage_callback *damage;
    store_progress_callback *progress;
    void *context;
    struct store_verify_result *result;
    uint64_t total;
    uint64_t before; // bytes of the files done
    const char *path;
    struct segment *segment; // being verified
    void *memory;
    size_t memory_size;
};

static void found(struct verify *verify, const struct store_damage *damage)
{
    verify->result->damages++;
    verify->result->rows_lost += damage->rows;
    if (verify->damage)
        verify->damage(verify->context, damage);
}

static void advance(struct verify *verify, uint64_t bytes)
{
    if (verify->progress)
        verify->progress(verify->context, verify->before + bytes, verify->total);
}

static void missing(struct verify *verify, const char *path, int error, uint64_t rows)
{
    struct store_damage damage = {.path = path, .what = strerror(-error), .rows = rows};
    found(verify, &damage);
}

// ---- segments ----

// Rows of a block that a scan would leave out, too. Wrong ranges make it slow or blind, not empty.
static uint64_t rows_of_block(const struct verify *verify, enum segment_error error, uint32_t block)
{
    if (!verify->segment || block == UINT32_MAX || error == SEGMENT_BAD_ORDER)
        return 0;
    return segment_index(verify->segment)->blocks[block].rows;
}

static void segment_fault(void *context, enum segment_error error, uint32_t block, uint64_t offset,
                          uint64_t bytes)
{
    struct verify *verify = context;
    struct store_damage damage = {.path = verify->path,
                                  .what = segment_error_text(error),
                                  .offset = offset,
                                  .bytes = bytes,
                                  .rows = rows_of_block(verify, error, block),
                                  .sequence_first = block == UINT32_MAX ? 0 : block,
                                  .sequence_last = block == UINT32_MAX ? 0 : block};
    found(verify, &damage);
}

// The index is derived: a bad one costs speed only, but somebody changed the file.
static void check_index(struct verify *verify, const struct catalogue_segment *listed,
                        const struct source *source)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    struct store_file file;
    catalogue_segment_path(listed, "index", path);
    int error = store_file_open(&file, verify->store, path);
    if (error == 0)
        error = store_file_map(&file);
    if (error < 0) {
        missing(verify, path, error, 0);
        return;
    }
    struct segment *segment;
    if (segment_open(&segment, source, file.map, file.size) == SEGMENT_GOOD) {
        if (segment_rebuilt(segment)) {
            struct store_damage damage = {.path = path,
                                          .what = "does not fit its segment (it is not used)",
                                          .bytes = file.size};
            found(verify, &damage);
        }
        segment_close(segment);
    }
    verify->result->files++;
    verify->result->bytes += file.size;
    store_file_close(&file);
}

static void verify_opened(struct verify *verify, const struct catalogue_segment *listed,
                          struct store_file *file)
{
    struct source source = store_file_source(file);
    struct segment *segment;
    enum segment_error error = segment_open(&segment, &source, NULL, 0);
    if (error != SEGMENT_GOOD) {
        segment_fault(verify, error, UINT32_MAX, 0, file->size);
        verify->result->rows_lost += listed->rows;
        return;
    }
    if (!store_owns_segment(verify->store, segment, listed->number, listed->channel)) {
        struct store_damage damage = {.path = verify->path,
                                      .what = "not the segment that the catalogue lists",
                                      .bytes = file->size,
                                      .rows = listed->rows};
        found(verify, &damage);
        segment_close(segment);
        return;
    }
    uint64_t damages = verify->result->damages;
    uint64_t lost = verify->result->rows_lost;
    verify->segment = segment;
    (void)segment_verify(segment, segment_fault, verify);
    verify->segment = NULL;
    lost = verify->result->rows_lost - lost;
    uint64_t rows = 0;
    const struct index *index = segment_index(segment);
    for (uint32_t b = 0; b < index->block_count; b++)
        rows += index->blocks[b].rows;
    if (rows != listed->rows && verify->result->damages == damages) {
        struct store_damage damage = {.path = verify->path,
                                      .what = "has not the rows that the catalogue lists"};
        found(verify, &damage);
    }
    verify->result->rows += rows - lost;
    segment_close(segment);
    check_index(verify, listed, &source);
}

static void verify_segment(struct verify *verify, const struct catalogue_segment *listed)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    struct store_file file;
    catalogue_segment_path(listed, "segment", path);
    verify->path = path;
    int error = store_file_open(&file, verify->store, path);
    if (error == 0)
        error = store_file_map(&file);
    // Merged and deleted since the list was made: its rows are in a segment of a later generation.
    if (error == -ENOENT && store_generation_now(verify->store) !=
                                (int64_t)verify->store->catalogue.generation)
        return;
    if (error < 0) {
        missing(verify, path, error, listed->rows);
        return;
    }
    verify->result->files++;
    verify->result->bytes += file.size;
    verify_opened(verify, listed, &file);
    store_file_close(&file);
}

// ---- tapes ----

static void tape_fault(struct verify *verify, const struct tape_damage *at)
{
    struct store_damage damage = {.path = verify->path,
                                  .what = tape_error_text(at->error),
                                  .offset = at->offset,
                                  .bytes = at->bytes,
                                  .rows = at->rows,
                                  .sequence_first = at->sequence_first,
                                  .sequence_last = at->sequence_last};
    found(verify, &damage);
}

static int check_batch(struct verify *verify, const struct tape_item *item)
{
    if (item->memory_bytes > verify->memory_size) {
        free(verify->memory);
        verify->memory_size = (item->memory_bytes + 63) & ~(size_t)63;
        verify->memory = aligned_alloc(64, verify->memory_size);
        if (!verify->memory)
            return -ENOMEM;
    }
    struct tape_batch batch;
    enum tape_error error = tape_decode_batch(item->bytes, item->size, verify->memory,
                                              item->memory_bytes, &batch);
    if (error == TAPE_GOOD) {
        verify->result->rows += item->header.rows - item->rows_before;
        return 0;
    }
    struct tape_damage damage = {.offset = item->offset,
                                 .bytes = item->size,
                                 .rows = item->header.rows,
                                 .sequence_first = item->header.sequence,
                                 .sequence_last = item->header.sequence,
                                 .error = error};
    tape_fault(verify, &damage);
    return 0;
}

static int walk_tape(struct verify *verify, struct tape_reader *reader)
{
    struct tape_item item;
    int result;
    while ((result = tape_reader_next(reader, &item)) > 0) {
        if (item.is_damage && item.damage.acknowledged)
            tape_fault(verify, &item.damage);
        else if (!item.is_damage && (result = check_batch(verify, &item)) < 0)
            return result;
        advance(verify, reader->offset);
    }
    return result;
}

// Damage of a mark costs no rows, but knowledge of what was acknowledged. A daemon may be writing
// it at this moment: it is looked at more than once.
static void verify_mark(struct verify *verify, uint32_t number, uint64_t salt)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    uint8_t mark[2 * LAYOUT_SECTOR];
    catalogue_tape_path(number, "mark", path);
    for (int i = 0; i < STORE_TRIES; i++) {
        int64_t size = store_file_read(verify->store, path, mark, sizeof mark);
        if (size == -ENOENT || (size >= 0 && tape_mark_sound(mark, (size_t)size, salt)))
            return;
    }
    struct store_damage damage = {
        .path = path, .what = "mark damaged (or torn by a crash); the tape is read without it",
        .bytes = sizeof mark};
    found(verify, &damage);
}

static int verify_tape(struct verify *verify, uint32_t number)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    char mark_path[CATALOGUE_PATH_BYTES_MAX];
    uint8_t mark[2 * LAYOUT_SECTOR];
    struct store_file file;
    catalogue_tape_path(number, "tape", path);
    catalogue_tape_path(number, "mark", mark_path);
    verify->path = path;
    int64_t mark_size = sizeof mark;
    if (!store_tape_end(verify->store, number, mark))
        mark_size = store_file_read(verify->store, mark_path, mark, sizeof mark);
    int result = store_file_open(&file, verify->store, path);
    if (result == -ENOENT)
        return 0; // sealed and deleted since the list was made
    if (result < 0)
        return result;
    struct tape_reader reader;
    enum tape_error error = TAPE_GOOD;
    struct source source = store_file_source(&file);
    result = tape_reader_open(&reader, &source, number, mark_size > 0 ? mark : NULL,
                              mark_size > 0 ? (size_t)mark_size : 0, &error);
    if (result == 0) {
        if (store_owns_tape(verify->store, &reader.header, number)) {
            result = walk_tape(verify, &reader);
            verify_mark(verify, number, reader.header.salt);
        } else {
            struct store_damage damage = {.path = path,
                                          .what = "a tape of another number or store",
                                          .bytes = file.size};
            found(verify, &damage);
        }
        tape_reader_close(&reader);
    } else if (result == -EBADMSG) {
        // Without header: being created, or damaged if anything was ever appended.
        result = tape_reader_unused(&source, number, mark, mark_size > 0 ? (size_t)mark_size : 0);
        if (result == 0) {
            struct tape_damage damage = {.bytes = file.size, .error = error};
            tape_fault(verify, &damage);
        }
        result = result < 0 ? result : 0;
    }
    verify->result->files++;
    verify->result->bytes += file.size;
    verify->before += file.size;
    advance(verify, 0);
    store_file_close(&file);
    return result;
}

// A mark that tells of rows, without its tape: nobody deletes a tape but together with its mark and
// when the catalogue lists it as sealed.
static void verify_lone_mark(struct verify *verify, const char *name)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    char tape_path[CATALOGUE_PATH_BYTES_MAX];
    uint8_t bytes[2 * LAYOUT_SECTOR];
    struct layout_mark mark;
    struct store_file file;
    uint32_t number = (uint32_t)strtoul(name, NULL, 10);
    catalogue_tape_path(number, "mark", path);
    catalogue_tape_path(number, "tape", tape_path);
    if (number == 0 || strcmp(strrchr(path, '/') + 1, name) != 0 ||
        catalogue_tape_sealed(&verify->store->catalogue, number))
        return;
    int error = store_file_open(&file, verify->store, tape_path);
    if (error == 0)
        store_file_close(&file);
    // The tape first, then the mark: they go in the other order.
    int64_t size = store_file_read(verify->store, path, bytes, sizeof bytes);
    if (error == -ENOENT && size > 0 &&
        tape_mark_alone(bytes, (size_t)size, &mark) == TAPE_GOOD && mark.rows > 0)
        missing(verify, tape_path, error, mark.rows);
}

static void verify_lone_marks(struct verify *verify)
{
    char path[STORE_PATH_BYTES_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/tape", verify->store->path);
    DIR *directory = opendir(path);
    if (!directory)
        return;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
        verify_lone_mark(verify, entry->d_name);
    (void)closedir(directory);
}

// For progress alone: what is not there takes no time.
static uint64_t tape_bytes(const struct verify *verify, uint32_t number)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    struct store_file file;
    catalogue_tape_path(number, "tape", path);
    if (store_file_open(&file, verify->store, path) < 0)
        return 0;
    uint64_t bytes = file.size;
    store_file_close(&file);
    return bytes;
}

// ---- leftovers ----

static bool listed(const struct catalogue *catalogue, const char *relative)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        catalogue_segment_path(&catalogue->segments[i], "segment", path);
        if (strcmp(path, relative) == 0)
            return true;
        catalogue_segment_path(&catalogue->segments[i], "index", path);
        if (strcmp(path, relative) == 0)
            return true;
    }
    return false;
}

static void count_leftovers_of_day(struct verify *verify, const char *day)
{
    char path[STORE_PATH_BYTES_MAX + 300];
    (void)snprintf(path, sizeof path, "%s/segment/%.200s", verify->store->path, day);
    DIR *directory = opendir(path);
    if (!directory)
        return;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        char relative[600];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(relative, sizeof relative, "segment/%.200s/%s", day, entry->d_name);
        verify->result->leftovers += !listed(&verify->store->catalogue, relative);
    }
    (void)closedir(directory);
}

static void count_leftovers(struct verify *verify)
{
    char path[STORE_PATH_BYTES_MAX + 16];
    (void)snprintf(path, sizeof path, "%s/segment", verify->store->path);
    DIR *directory = opendir(path);
    if (!directory)
        return;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (entry->d_name[0] != '.')
            count_leftovers_of_day(verify, entry->d_name);
    }
    (void)closedir(directory);
}

static void count_sealed_tapes(struct verify *verify)
{
    const struct catalogue *catalogue = &verify->store->catalogue;
    for (uint32_t i = 0; i < catalogue->tape_count; i++) {
        struct store_file file;
        char path[CATALOGUE_PATH_BYTES_MAX];
        catalogue_tape_path(catalogue->tapes[i], "tape", path);
        if (store_file_open(&file, verify->store, path) < 0)
            continue;
        verify->result->sealed_tapes++;
        store_file_close(&file);
    }
}

int store_verify(struct store *store, store_damage_callback *damage,
                 store_progress_callback *progress, void *context,
                 struct store_verify_result *result)
{
    *result = (struct store_verify_result){0};
    struct verify verify = {.store = store,
                            .damage = damage,
                            .progress = progress,
                            .context = context,
                            .result = result};
    const struct catalogue *catalogue = &store->catalogue;
    for (uint32_t i = 0; i < catalogue->segment_count; i++)
        verify.total += catalogue->segments[i].bytes;
    for (uint32_t i = 0; i < store->tape_count; i++)
        verify.total += tape_bytes(&verify, store->tapes[i]);
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        verify_segment(&verify, &catalogue->segments[i]);
        verify.before += catalogue->segments[i].bytes;
        advance(&verify, 0);
    }
    int error = 0;
    for (uint32_t i = 0; i < store->tape_count && error == 0; i++)
        error = verify_tape(&verify, store->tapes[i]);
    verify_lone_marks(&verify);
    count_leftovers(&verify);
    count_sealed_tapes(&verify);
    free(verify.memory);
    return error;
}
