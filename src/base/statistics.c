// SPDX-License-Identifier: GPL-3.0-or-later
//
// statistics: a sequence lock whose words are atomic, so that a reader that is overtaken reads
// nonsense, never undefined behaviour. Contract: a copy that is handed out is one that was
// published as a whole.
#include "base/statistics.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"

enum { TAKE_TRIES = 64 };

void statistics_publish(void *section, const void *own, size_t bytes)
{
    ensure(bytes % sizeof(uint64_t) == 0 && bytes > sizeof(uint64_t));
    _Atomic uint64_t *to = section;
    const uint64_t *from = own;
    const uint64_t turn = atomic_load_explicit(to, memory_order_relaxed);
    ensure((turn & 1) == 0); // one writer
    atomic_store_explicit(to, turn + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    for (size_t i = 1; i < bytes / sizeof *from; i++)
        atomic_store_explicit(&to[i], from[i], memory_order_relaxed);
    atomic_store_explicit(to, turn + 2, memory_order_release);
}

// Into memory of the reader's own: it is its copy that counts only once the turn is the same.
static bool take_once(uint64_t *copy, const _Atomic uint64_t *from, size_t words)
{
    const uint64_t turn = atomic_load_explicit(&from[0], memory_order_acquire);
    if (turn & 1) return false;
    copy[0] = turn;
    for (size_t i = 1; i < words; i++)
        copy[i] = atomic_load_explicit(&from[i], memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire);
    return turn == atomic_load_explicit(&from[0], memory_order_relaxed);
}

bool statistics_take(void *out, const void *section, size_t bytes)
{
    ensure(bytes % sizeof(uint64_t) == 0 && bytes > sizeof(uint64_t));
    uint64_t *copy = malloc(bytes);
    bool good = false;
    for (int i = 0; i < TAKE_TRIES && copy != NULL && !good; i++)
        good = take_once(copy, section, bytes / sizeof(uint64_t));
    if (good) memcpy(out, copy, bytes);
    free(copy);
    return good;
}
