// SPDX-License-Identifier: Apache-2.0
//
// recover_inside: what the files of recover_store share. Nobody else includes it.
#ifndef RINGTAPE_FORMAT_RECOVER_INSIDE_H
#define RINGTAPE_FORMAT_RECOVER_INSIDE_H

#include "format/recover_key.h"
#include "format/recover_store.h"
#include "format/recover_tape.h"

struct recover_segment { // a file, or an entry of the catalogue
    struct catalogue_segment listed;
    bool sure;   // the catalogue lists it
    bool unsure; // it may have rows that others have
    uint64_t bytes;
};

struct recover {
    const struct recover_options *options;
    struct recover_result *result;
    struct store_message *message;
    bool in_place;
    const char *to;
    int lock;
    uint8_t identity[LAYOUT_STORE_ID_BYTES];
    struct catalogue old; // empty where it is damaged
    bool old_good;
    struct catalogue made;
    struct recover_segment *segments; // by channel, day
    uint32_t segment_count;
    uint32_t segment_room;
    struct recover_tape_input *tapes; // by number
    uint32_t tape_count;
    uint32_t tape_room;
    uint64_t bytes_total;
    uint64_t bytes_done;
    // In place: what goes to quarantine/ when the new catalogue stands.
    char (*aside)[CATALOGUE_PATH_BYTES_MAX];
    uint32_t aside_count;
    // Rows of tapes, for what is unsure. Value: index of the tape, and whether a segment has it.
    struct recover_keyer *keyer;
    struct recover_set in_tapes;
};

enum { RECOVER_SEEN = 1u << 31 };

// What `options` and `result` hear.
void recover_lost(void *context, const struct recover_loss *loss); // context: struct recover
void recover_note(struct recover *recover, const char *path, const char *what);
void recover_advance(struct recover *recover, uint64_t bytes);
int recover_put_aside_later(struct recover *recover, const char *relative);
// Sets the message; returns `error`.
int recover_complain(struct recover *recover, int error, const char *path, const char *what);

// ---- recover_find.c ----

// Identity, catalogue and the lists of files.
int recover_find(struct recover *recover);

// ---- recover_gone.c ----

// Tells the loss of a segment that cannot be opened, with what its index says.
void recover_gone(struct recover *recover, const struct catalogue_segment *listed,
                  const char *reason);
// An index that counts, by its name; told where its segment is not there. `segment`: rows 0, no
// times.
int recover_lone_index(struct recover *recover, const struct catalogue_segment *segment);

// ---- recover_groups.c ----

// Which rows of tapes are in segments that may count.
int recover_look_up(struct recover *recover);
// All segments, group by group.
int recover_segments(struct recover *recover);

#endif
