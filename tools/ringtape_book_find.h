// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_book_find: the order book of a symbol at a moment, from what is stored.
//
// With depth: the newest stored REST snapshot that the moment's last update is not older than, then
// the updates after it, each of which must follow the one before (Binance, "How to manage a local
// order book correctly": spot U = last u + 1, futures pu = last u). What a gap leaves out is not
// guessed: the book is refused, with the ids that are missing. A moment behind the last stored
// update is refused, too: the book at it is not known yet.
//
// Without depth (Upbit, or partial books only): the last book row at or before the moment, as the
// exchange sent it. The moment must not lie in a hole of coverage, nor behind the last such row:
// what a daemon that is down misses is listed when it is up again.
//
// Threading: main thread.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BOOK_FIND_H
#define RINGTAPE_TOOLS_RINGTAPE_BOOK_FIND_H

#include <stdbool.h>
#include <stdint.h>

#include "format/store.h"
#include "tools/ringtape_book_levels.h"

#define BOOK_NEWEST INT64_MAX // as a moment: the last one that is stored

enum { BOOK_WHY_BYTES = 400 };

struct book_found {
    struct book_levels levels;
    bool rebuilt; // from depth; else a book row
    uint8_t source; // of the row, resp. of the snapshot: enum book_source
    int64_t time_ns; // of the last update, resp. of the row
    int64_t last_id; // 0: the exchange gives none
    int64_t snapshot_id;
    int64_t snapshot_ns;
    uint64_t updates;
    // A snapshot has so many levels a side at most; what lies beyond its worst price is known as
    // far as it changed since.
    bool cut[2]; // the side may have had more levels
    int64_t edge[2];
    uint8_t edge_scale; // the book's when it was the snapshot: updates may have made that finer
    char why[BOOK_WHY_BYTES]; // refused: the reason, and the remedy where there is one
};

// 1: found; 0: refused; negative: errno. To be freed in each case.
int book_find(struct store *store, const char *symbol, int64_t at_ns, struct book_found *found);
void book_found_free(struct book_found *found);

#endif
