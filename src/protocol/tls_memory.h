// SPDX-License-Identifier: GPL-3.0-or-later
//
// The memory that the TLS library asks for: free lists by size class, one set a thread.
//
// The library takes and gives back one block per record it reads; from a free list that costs a few
// nanoseconds, no lock and no system call. A block freed on another thread than it was taken on
// goes to the lists of the thread that frees it. A list keeps what it was given, so memory stays at
// its highest use until tls_memory_trim(). Only for tls.c.
#ifndef RINGTAPE_PROTOCOL_TLS_MEMORY_H
#define RINGTAPE_PROTOCOL_TLS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

// Larger blocks come straight from malloc; a record with all its overhead is about 17 KB.
#define TLS_MEMORY_CLASS_SIZE_MAX 98304

void *tls_memory_take(size_t size);
void tls_memory_give(void *block);
void *tls_memory_resize(void *block, size_t size);

// Gives the calling thread's free blocks back to the system.
void tls_memory_trim(void);

// Blocks taken by the calling thread so far, and how many of them came from malloc.
uint64_t tls_memory_taken(void);
uint64_t tls_memory_taken_from_system(void);

#endif
