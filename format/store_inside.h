// SPDX-License-Identifier: Apache-2.0
//
// store_inside: what the store's files share. Nobody else includes it.
#ifndef RINGTAPE_FORMAT_STORE_INSIDE_H
#define RINGTAPE_FORMAT_STORE_INSIDE_H

#include "format/store.h"
#include "format/tape_reader.h"

enum {
    STORE_TRIES = 64, // a daemon may swap the catalogue between two of our reads
    STORE_RELEASE_BYTES = 16 << 20, // of a mapped file at a time, when they have been read
};

// A file of the store in memory: mapped (segments, indexes) or behind pread (tapes, which change
// under us). `path` is relative.
struct store_file {
    char path[CATALOGUE_PATH_BYTES_MAX];
    int descriptor; // -1: not open
    uint64_t size;
    void *map; // NULL: not mapped
    uint64_t released; // bytes of the map, from its beginning
};

struct store {
    char path[STORE_PATH_BYTES_MAX];
    uint8_t identity[LAYOUT_STORE_ID_BYTES];
    struct catalogue catalogue;
    struct store_file catalogue_file; // open, so that no later one has its inode
    uint32_t *tapes; // that count, increasing
    uint32_t tape_count;
    uint32_t tape_room;
    uint32_t *fresh; // of them, those that had no header yet: nothing was ever appended
    uint32_t fresh_count;
    struct layout_tape_end *ends; // of tapes, as headers of later ones tell them
    uint32_t end_count;
};

// 0 or a negative errno.
int store_file_open(struct store_file *file, const struct store *store, const char *relative);
int store_file_map(struct store_file *file);
// What lies before `offset` of a mapped file is not needed any more, so that reading a file from
// one end to the other takes no memory by its size. Reading it all the same is right, and slower.
void store_file_release(struct store_file *file, uint64_t offset);
int store_file_measure(struct store_file *file); // its size now
void store_file_close(struct store_file *file);
// Of a mapped file or by pread.
struct source store_file_source(struct store_file *file);
// Reads a small file whole: its bytes, or a negative errno; -EFBIG if it has more than `room`.
int64_t store_file_read(const struct store *store, const char *relative, void *out, size_t room);

// Where a later tape tells the end of this one: the mark that says so (2 * LAYOUT_SECTOR bytes).
// False: none does, its own mark counts.
bool store_tape_end(const struct store *store, uint32_t tape, uint8_t *mark);
bool store_tape_fresh(const struct store *store, uint32_t tape);

// The catalogue's generation on disk now, or a negative errno.
int64_t store_generation_now(struct store *store);

// Is it the segment of this store, number and channel?
bool store_owns_segment(const struct store *store, const struct segment *segment, uint32_t number,
                        enum channel channel);

// Is it the tape of this store and number? A header that is damaged (and reported) is.
bool store_owns_tape(const struct store *store, const struct layout_tape *header, uint32_t number);

int store_complain(struct store_message *message, int error, const struct store *store,
                   const char *relative, const char *what);

#endif
