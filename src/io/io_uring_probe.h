// SPDX-License-Identifier: GPL-3.0-or-later
//
// io_uring_probe: why a ring is refused, for io_uring.c alone: every operation and flag that the
// kernel does not know, by name, so that one look is enough. And what a ring may do from then on.
#ifndef RINGTAPE_IO_IO_URING_PROBE_H
#define RINGTAPE_IO_IO_URING_PROBE_H

#include "io/io_explain.h"

struct io_uring;

// Of a ring that is set up: may it be entered, and does it have every operation? 0 or negative
// errno with `message`.
int loop_probe(struct io_uring *ring, const struct io_explain_facts *facts,
               struct io_message *message);
// The kernel refused all flags together with -EINVAL: which of them does it not know?
void loop_explain_flags(const struct io_explain_facts *facts, struct io_message *message);

// Of a ring that is not enabled yet, and has its buffers: from its enabling on it takes the
// operations of loop_probe() and no others, for a filter of system calls sees none of them. Nothing
// can be registered any more but what loop_bind() needs. 0 or a negative errno.
int loop_restrict(struct io_uring *ring);

#endif
