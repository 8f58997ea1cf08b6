// SPDX-License-Identifier: GPL-3.0-or-later
//
// keep_store_inside: what keep_store.c and keep_store_open.c share. Nobody else includes it.
#ifndef RINGTAPE_KEEP_KEEP_STORE_INSIDE_H
#define RINGTAPE_KEEP_KEEP_STORE_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "keep/file_script.h"
#include "keep/keep_store.h"

struct keep_store {
    char path[KEEP_PATH_BYTES_MAX + 1];
    uint8_t identity[16];
    struct catalogue catalogue;
    const struct log *log;
    pthread_mutex_t mutex; // guards what follows; taken once per tape
    uint32_t tape_next;
    struct io *sealer;
    uint32_t head; // ring of tapes waiting
    uint32_t waiting;
    uint32_t ring[KEEP_TAPES_WAITING_MAX];
    uint32_t end_count;
    struct layout_tape_end ends[KEEP_ENDS_MAX];
    struct retention_rules rules;
    uint32_t news_first; // ring of news waiting
    uint32_t news_count;
    struct keep_news news[KEEP_NEWS_MAX];
    uint64_t news_told;
    int64_t news_limit_ns;
    _Atomic uint64_t news_settled; // all up to this number
    struct retention_guard guards[RETENTION_GUARDS_MAX];
    uint32_t guard_count;
    _Atomic uint32_t paused;
    // Start-up only.
    int list_failure;
    struct file_script script;
};

// Both with the lock held, or while nobody else has the store.
void keep_store_push(struct keep_store *store, uint32_t tape);
// A second word on the same tape may only be an earlier end. False: no room.
bool keep_store_put_end(struct keep_store *store, const struct layout_tape_end *end);

#endif
