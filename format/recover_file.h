// SPDX-License-Identifier: Apache-2.0
//
// recover_file: files of a damaged store, read as far as the device gives them, and files of a
// recovered one, written so that they are there whole or not at all.
//
// Paths are relative to a store's directory. Results: 0 or a negative errno. Threading: one owner.
#ifndef RINGTAPE_FORMAT_RECOVER_FILE_H
#define RINGTAPE_FORMAT_RECOVER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/source.h"

enum { RECOVER_PATH_BYTES_MAX = 1200 };

#define RECOVER_NOT_A_FILE "not a file but a folder, a link or a device"

// A file for reading. Bytes the device refuses come as zeros. -ENOENT also where a folder of its
// path is none; -EISDIR: it is anything but a file.
struct recover_file {
    int descriptor; // -1: not open
    uint64_t size;
    uint64_t unreadable; // bytes given as zeros so far
};
int recover_file_open(struct recover_file *file, const char *directory, const char *relative);
void recover_file_close(struct recover_file *file);
struct source recover_file_source(struct recover_file *file);
// The whole file in memory, to be freed; *size its bytes.
int recover_file_load(const char *directory, const char *relative, void **bytes, size_t *size);

// A file for writing under "NAME.new".
struct recover_output {
    int descriptor; // -1: not open
    uint64_t size;  // written behind each other so far
    char path[RECOVER_PATH_BYTES_MAX];
};
// Makes the folders it lies in.
int recover_output_open(struct recover_output *output, const char *directory,
                        const char *relative);
int recover_output_put(struct recover_output *output, uint64_t offset, const void *bytes,
                       size_t size);
int recover_output_append(struct recover_output *output, const void *bytes, size_t size);
// Syncs it; it stays under its temporary name until recover_output_place().
int recover_output_finish(struct recover_output *output);
// A folder in its place stays beside it as "NAME.not-a-file".
int recover_output_place(const struct recover_output *output);
void recover_output_abandon(struct recover_output *output); // removes it

// Writes, syncs and places a small file.
int recover_write(const char *directory, const char *relative, const void *bytes, size_t size);
// Copies the first `size` bytes of a file (or all it has) to the same name elsewhere.
int recover_copy(const char *from, const char *to, const char *relative, uint64_t size);
int recover_sync(const char *directory, const char *relative); // a folder
// There already: fine. Something else in its place stays beside it as "NAME.not-a-folder".
int recover_folder(const char *directory, const char *relative);

#endif
