// SPDX-License-Identifier: GPL-3.0-or-later
//
// io_enqueue: the one function behind all that start an operation.
//
// src/io/io_start.c checks and fills the operation, the same for both implementations of io.h; each
// of them says here how it takes the operation over. Private to the implementations.
#ifndef RINGTAPE_IO_IO_ENQUEUE_H
#define RINGTAPE_IO_IO_ENQUEUE_H

#include "io/io.h"

// op->kind, callback and the arguments are set, everything else is zero; no callback runs before it
// returns. IO_TIMEOUT: op->offset is the duration in ns.
void io_enqueue(struct io *io, struct io_op *op);

#endif
