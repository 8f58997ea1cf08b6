// SPDX-License-Identifier: Apache-2.0
//
// recover_store: a good store of everything that can be read of a damaged one, and a list of what
// is lost. Identity, catalogue, tapes, marks, segments, footers, indexes: any of them may be
// damaged or missing.
//
// What counts is what the catalogue lists. Where that is lost, every segment and tape counts, and
// rows that are there twice (a merge or a sealing that was not cleaned up) are told apart by what
// they hold (recover_key.h). Files that are whole are taken as they are; of others a new file is
// made from what can be read. Nothing of the source is changed, unless it is recovered in place:
// then damaged files go to quarantine/, and a crash in between leaves a store that can be recovered
// again.
//
// Threading: one thread; no daemon may have the store.
#ifndef RINGTAPE_FORMAT_RECOVER_STORE_H
#define RINGTAPE_FORMAT_RECOVER_STORE_H

#include "format/recover_segment.h"
#include "format/store.h"

struct recover_options {
    const char *from;
    const char *to; // a directory that is empty or not there yet; NULL: in place
    recover_loss_callback *lost;
    // Something that was damaged and is whole again, or was put right.
    void (*note)(void *context, const char *path, const char *what);
    store_progress_callback *progress; // may be NULL
    void *context;
};

struct recover_result {
    uint64_t files; // looked at
    uint64_t kept;
    uint64_t rewritten;
    uint64_t dropped;  // their rows are in others
    uint64_t rows;     // of the recovered store
    uint64_t losses;
    uint64_t rows_lost; // where known
    uint64_t notes;
};

// 0, also when rows are lost. -EBUSY: a daemon has it; -ENOENT: no store there; -ENOTEMPTY: `to`
// is not empty; -EPROTONOSUPPORT: of a newer version; others: errno. `message` says what.
int recover_store(const struct recover_options *options, struct recover_result *result,
                  struct store_message *message);

#endif
