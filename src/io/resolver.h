// SPDX-License-Identifier: GPL-3.0-or-later
//
// resolver: host names to addresses without blocking a loop.
//
// The C library offers name service (files, DNS, whatever nsswitch.conf says) only as a blocking
// call, so one helper thread a loop, started with the first question, asks one at a time. Questions
// are IO_RESOLVE operations, linked, hence unbounded in number but by their owners. All functions
// belong to the loop's thread; the helper calls only `wake`.
#ifndef RINGTAPE_IO_RESOLVER_H
#define RINGTAPE_IO_RESOLVER_H

#include "io/io.h"
#include "io/op_list.h"

struct resolver;

// `wake` is called on the helper thread when answers wait. NULL: no memory.
struct resolver *resolver_create(void (*wake)(void *context), void *context);

// Does not wait for a name server: a helper still asking frees the memory when it is answered.
// `wake` is not called any more once this has returned.
void resolver_destroy(struct resolver *resolver);

// Answers numeric hosts at once (true, op->result is set); else enqueues (false).
// -EAGAIN is also the result if no thread could be started.
bool resolver_ask(struct resolver *resolver, struct io_op *op);

// Forgets a question; nothing of the operation is touched afterwards. False: it was answered, and
// resolver_take() will bring it.
bool resolver_forget(struct resolver *resolver, struct io_op *op);

// The next answered question, op->result and its addresses set, or NULL.
struct io_op *resolver_take(struct resolver *resolver);

#endif
