// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_files: files of a store for reading: mapped, and opened as segments.
//
// Maps are private and read-only; segments never change and sealed names never come back, so a map
// stays right while a daemon merges and deletes. Threading: main thread.
#ifndef RINGTAPE_TOOLS_RINGTAPE_FILES_H
#define RINGTAPE_TOOLS_RINGTAPE_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "format/catalogue.h"
#include "format/segment.h"
#include "format/store.h"

enum { RINGTAPE_PATH_BYTES_MAX = 4096 };

struct ringtape_map {
    const uint8_t *bytes; // NULL: the file is empty
    size_t size;
};

// 0 or negative errno.
int ringtape_map_open(struct ringtape_map *map, const char *path);
void ringtape_map_close(struct ringtape_map *map);
// These bytes will not be read again soon: they no longer count as memory of this process.
void ringtape_map_forget(const struct ringtape_map *map, uint64_t offset, uint64_t size);

struct ringtape_segment {
    struct ringtape_map file;
    struct ringtape_map index;
    struct source source;
    struct segment *segment; // NULL after ringtape_segment_slim()
    struct index view;       // of the index file, then
    uint32_t number;
};

// The segment of the catalogue's entry. 0; -ENOENT: it is gone (merged: refresh the store);
// -EBADMSG: damaged or another segment, told on standard error; others: errno.
int ringtape_segment_open(struct ringtape_segment *opened, const struct store *store,
                          const struct catalogue_segment *entry);
void ringtape_segment_close(struct ringtape_segment *opened);
// For who holds thousands of segments and reads blocks through readers of his own: gives back the
// memory for decoding, if the index file is what it should be.
void ringtape_segment_slim(struct ringtape_segment *opened);
// NULL: it is not open.
const struct index *ringtape_segment_index(const struct ringtape_segment *opened);

// Opens the store or tells why not on standard error. 0 or RINGTAPE_EXIT_IO.
int ringtape_store_open(struct store **store, const char *path);

#endif
