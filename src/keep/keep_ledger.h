// SPDX-License-Identifier: GPL-3.0-or-later
//
// keep_ledger: the ledger's files (format/ledger.h) on the io seam. A file is written under a
// temporary name, synced, renamed, and its directory synced: after a crash the old one or the new
// one stands. What a file says must be durable before it is written; that is the caller's to see
// to.
//
//     STORE/ledger/base       all keys, at the start of a life
//     STORE/ledger/shard-00   a shard's keys, once a minute and at its end
//
// Ownership: a writer is allocated by keep_ledger_open() with room for the largest text, address
// space until it is used. Threading: core-local.
#ifndef RINGTAPE_KEEP_KEEP_LEDGER_H
#define RINGTAPE_KEEP_KEEP_LEDGER_H

#include "format/ledger.h"
#include "io/io.h"
#include "keep/keep_store.h"

enum { KEEP_LEDGER_BASE = -1 }; // else the number of a shard

// ---- start-up: synchronous, nothing else in flight on the loop ----

// 0; -ENOENT; -EBADMSG, -EPROTONOSUPPORT as ledger_parse(); others: errno.
int keep_ledger_read(const struct keep_store *store, struct io *io, int shard,
                     struct ledger *ledger);
// Makes the directory, replaces the file. 0 or errno.
int keep_ledger_write_now(const struct keep_store *store, struct io *io, int shard,
                          const struct ledger *ledger);

// ---- while running ----

struct keep_ledger;
typedef void keep_ledger_done(void *context, int result);

int keep_ledger_open(struct keep_ledger **writer, struct io *io, const struct keep_store *store,
                     int shard); // 0 or -ENOMEM
void keep_ledger_close(struct keep_ledger *writer);
// To be filled; not while a write is under way.
struct ledger *keep_ledger_content(struct keep_ledger *writer);
// The content becomes text now; it may be changed afterwards.
void keep_ledger_take(struct keep_ledger *writer);
// Writes what was taken.
void keep_ledger_write(struct keep_ledger *writer, keep_ledger_done *done, void *context);

#endif
