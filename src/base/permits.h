// SPDX-License-Identifier: GPL-3.0-or-later
//
// permits: how often this IP address may still connect to an exchange. The budget belongs to the
// process (and to the processes before it: control keeps it in the store over restarts), so all
// shards ask the same window.
//
// A kind is one budget: at most `limit` permits in any `window_ns`. Exact: the times of the last
// `limit` permits are kept. Threading: any thread may take; a short spin lock, held for a few
// instructions, a few times a second at most.
#ifndef RINGTAPE_BASE_PERMITS_H
#define RINGTAPE_BASE_PERMITS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PERMITS_KINDS_MAX = 8,
    PERMITS_LIMIT_MAX = 512,
    PERMITS_NAME_BYTES_MAX = 31,
    // permits_save(): a line for every time remembered.
    PERMITS_TEXT_BYTES_MAX = PERMITS_KINDS_MAX * PERMITS_LIMIT_MAX * (PERMITS_NAME_BYTES_MAX + 24),
};

struct permits_kind {
    char name[PERMITS_NAME_BYTES_MAX + 1];
    int64_t window_ns;
    uint32_t limit;
    uint32_t next;                    // place of the oldest of the last `limit` times
    int64_t time_ns[PERMITS_LIMIT_MAX]; // UTC; 0: not used yet
};

// Embedded by control; every member is private.
struct permits {
    atomic_flag lock;
    _Atomic uint64_t granted; // since the start: tells control that there is something to save
    uint32_t kind_count;
    struct permits_kind kinds[PERMITS_KINDS_MAX];
};

void permits_init(struct permits *permits);
// The number of the kind `name`, added if new. Before any thread takes. `limit` 1 ... LIMIT_MAX.
uint32_t permits_kind(struct permits *permits, const char *name, uint32_t limit,
                      int64_t window_ns);
// 0: granted. Else: ns until it is worth asking again (nothing is reserved).
int64_t permits_take(struct permits *permits, uint32_t kind, int64_t utc_ns);

// Text for the next life ("binance 1767225600000000000\n" ...); returns its size. Cut where `out`
// ends.
size_t permits_save(struct permits *permits, char *out, size_t out_size);
// Takes what it understands of a saved text; lines of unknown kinds, of the future (the clock was
// set back) and nonsense are passed over.
void permits_load(struct permits *permits, const char *text, size_t size, int64_t utc_ns);

#endif
