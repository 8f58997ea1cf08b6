// SPDX-License-Identifier: GPL-3.0-or-later
//
// io_explain: why a loop cannot be opened here, in one sentence with the remedy.
#ifndef RINGTAPE_IO_IO_EXPLAIN_H
#define RINGTAPE_IO_IO_EXPLAIN_H

#include "io/io.h"

// What the machine says about io_uring; io_explain_facts() reads it.
struct io_explain_facts {
    char kernel[64]; // uname release
    int disabled;    // sysctl kernel.io_uring_disabled, -1: unknown
    int64_t memlock_bytes; // RLIMIT_MEMLOCK, -1: unlimited
};

void io_explain_facts(struct io_explain_facts *facts);

// `step` names what failed ("io_uring_setup"), `error` is the negative errno it gave.
void io_explain(struct io_message *message, const struct io_explain_facts *facts, const char *step,
                int error);
// Adds a name to a list "a, b"; what does not fit is left out.
void io_explain_list(char *list, size_t size, const char *name);
// The kernel has io_uring but not this operation, or these.
void io_explain_operation(struct io_message *message, const struct io_explain_facts *facts,
                          const char *operation);

#endif
