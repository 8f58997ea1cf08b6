// SPDX-License-Identifier: Apache-2.0
//
// recover_segment: what can be read of damaged segments, and a new segment of it.
//
// Ownership: an input owns its files and reader. Threading: one owner.
#ifndef RINGTAPE_FORMAT_RECOVER_SEGMENT_H
#define RINGTAPE_FORMAT_RECOVER_SEGMENT_H

#include "format/catalogue.h"
#include "format/recover_file.h"
#include "format/segment.h"

// Something that cannot be had back.
struct recover_loss {
    const char *path; // relative to the store
    const char *what; // one line
    uint64_t offset;  // of the bytes concerned in the file
    uint64_t bytes;
    uint64_t rows;            // 0: not known
    uint16_t channels;        // bit c; 0: not known
    struct event_text symbol; // size 0: several, or not known
    int64_t time_min;         // > time_max: not known
    int64_t time_max;
};
typedef void recover_loss_callback(void *context, const struct recover_loss *loss);

struct recover_input {
    struct catalogue_segment listed; // as the catalogue or the file's name says; rows 0: not known
    char path[CATALOGUE_PATH_BYTES_MAX];
    struct recover_file file;
    void *index;
    size_t index_size;
    struct segment *segment; // NULL: nothing can be read
    bool *usable;            // [blocks]
    uint64_t rows;           // in usable blocks
    bool sound;              // as it was written, to the byte
    bool not_a_file;         // of recover_groups.c
    bool index_sound;
};

// Opens and reads everything; tells losses. 0, -ENOENT (the file is gone), -EISDIR (it is none),
// -EPROTONOSUPPORT: of a newer version; other negative errno. `listed` and `path` are set.
// A segment of another store, number or channel is told and left alone; where only its first blocks
// lie over one that is listed, the others of that are read. `store`: its identity.
int recover_input_open(struct recover_input *input, const char *directory, const uint8_t *store,
                       recover_loss_callback *lost, void *context);
void recover_input_close(struct recover_input *input);

// False: the row is left out.
typedef bool recover_filter(void *context, const struct rows *rows, uint32_t row,
                            struct event_text symbol, uint32_t tape, uint64_t tape_row);
// The next bytes of the segment. 0 or a negative errno ends the writing.
typedef int recover_put(void *context, const void *bytes, size_t size);

// All usable rows of some inputs (one channel and day), symbol by symbol, in one segment or, where
// one cannot hold them, several.
struct recover_rewrite {
    struct recover_input *const *inputs;
    uint32_t input_count;
    recover_filter *filter; // NULL: all rows
    void *filter_context;
    // ---- private ----
    struct recover_symbol *symbols;
    uint32_t symbol_count;
    uint32_t symbol;
    uint32_t input;
    uint32_t block;
    uint32_t row;
    uint32_t tape_first; // of the segment being written; 0: none seen
    uint32_t tape_last;
};
int recover_rewrite_open(struct recover_rewrite *rewrite); // 0, -ENOMEM
void recover_rewrite_close(struct recover_rewrite *rewrite);
// Writes one segment and calls `made` with its summary and index. 1: more are needed; 0: that was
// the last (or there are no rows: `made` is not called); negative: errno.
struct recover_made {
    struct segment_summary summary;
    uint32_t tape_first;
    uint32_t tape_last;
    const void *index;
    size_t index_size;
};
int recover_rewrite_run(struct recover_rewrite *rewrite, const struct segment_description *what,
                        recover_put *put, void *context,
                        void (*made)(void *context, const struct recover_made *made));

#endif
