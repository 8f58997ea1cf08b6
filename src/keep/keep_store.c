// SPDX-License-Identifier: GPL-3.0-or-later
//
// What threads share while the daemon runs: tape numbers, the queue of the sealer, the ends of
// tapes that failed, news, rules.
#include "keep/keep_store.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "keep/keep_store_inside.h"

void keep_store_tape_path(const struct keep_store *store, uint32_t tape, const char *ending,
                          char *out)
{
    int size = snprintf(out, KEEP_FILE_NAME_BYTES_MAX, "%s/tape/%08" PRIu32 ".%s", store->path,
                        tape, ending);
    ensure(size > 0 && size < KEEP_FILE_NAME_BYTES_MAX);
}

uint32_t keep_store_tape_number(const char *name)
{
    uint32_t tape = 0;
    for (int i = 0; i < 8; i++) {
        if (name[i] < '0' || name[i] > '9')
            return 0;
        tape = tape * 10 + (uint32_t)(name[i] - '0');
    }
    return strcmp(name + 8, ".tape") == 0 ? tape : 0;
}

// ---- the queue ----

void keep_store_push(struct keep_store *store, uint32_t tape)
{
    ensure(tape != 0);
    ensure(store->waiting < KEEP_TAPES_WAITING_MAX);
    store->ring[(store->head + store->waiting) % KEEP_TAPES_WAITING_MAX] = tape;
    store->waiting++;
}

uint32_t keep_store_next_tape(struct keep_store *store)
{
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    uint32_t tape = store->tape_next++;
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
    return tape;
}

void keep_store_retire(struct keep_store *store, uint32_t tape)
{
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    keep_store_push(store, tape);
    struct io *sealer = store->sealer;
    // Under the lock: after keep_store_on_retire(NULL) returned nobody wakes a closed loop.
    if (sealer)
        io_wake(sealer);
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
}

static uint32_t end_index(const struct keep_store *store, uint32_t tape)
{
    uint32_t i = 0;
    while (i < store->end_count && store->ends[i].number != tape)
        i++;
    return i;
}

// A second word on the same tape may only be an earlier end.
bool keep_store_put_end(struct keep_store *store, const struct layout_tape_end *end)
{
    uint32_t i = end_index(store, end->number);
    if (i == KEEP_ENDS_MAX)
        return false;
    if (i == store->end_count)
        store->ends[store->end_count++] = *end;
    else if (end->rows < store->ends[i].rows)
        store->ends[i] = *end;
    return true;
}

void keep_store_note_end(struct keep_store *store, const struct layout_tape_end *end)
{
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    ensure(keep_store_put_end(store, end)); // each writer notes at most LAYOUT_TAPE_ENDS_MAX
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
}

void keep_store_forget_end(struct keep_store *store, uint32_t tape)
{
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    uint32_t i = end_index(store, tape);
    if (i < store->end_count) {
        store->ends[i] = store->ends[--store->end_count];
        if (store->sealer)
            io_wake(store->sealer); // tapes may have waited for this
    }
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
}

bool keep_store_find_end(struct keep_store *store, uint32_t tape, struct layout_tape_end *end)
{
    ensure(tape != 0);
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    uint32_t i = end_index(store, tape);
    bool found = i < store->end_count;
    if (found && end)
        *end = store->ends[i];
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
    return found;
}

static uint32_t *ring_slot(struct keep_store *store, uint32_t i)
{
    return &store->ring[(store->head + i) % KEEP_TAPES_WAITING_MAX];
}

// Place in the queue of the first tape that may be sealed; `waiting` where none may.
static uint32_t first_allowed(struct keep_store *store)
{
    uint32_t lowest = UINT32_MAX;
    for (uint32_t i = 0; i < store->end_count; i++)
        lowest = store->ends[i].number < lowest ? store->ends[i].number : lowest;
    uint32_t at = 0;
    while (at < store->waiting && *ring_slot(store, at) > lowest &&
           end_index(store, *ring_slot(store, at)) == store->end_count)
        at++;
    return at;
}

uint32_t keep_store_take(struct keep_store *store)
{
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    uint32_t tape = 0;
    uint32_t at = first_allowed(store);
    if (at < store->waiting) {
        tape = *ring_slot(store, at);
        for (; at > 0; at--)
            *ring_slot(store, at) = *ring_slot(store, at - 1);
        store->head = (store->head + 1) % KEEP_TAPES_WAITING_MAX;
        store->waiting--;
    }
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
    return tape;
}

void keep_store_put_back(struct keep_store *store, uint32_t tape)
{
    ensure(tape != 0);
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    ensure(store->waiting < KEEP_TAPES_WAITING_MAX);
    store->head = (store->head + KEEP_TAPES_WAITING_MAX - 1) % KEEP_TAPES_WAITING_MAX;
    store->ring[store->head] = tape;
    store->waiting++;
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
}

uint32_t keep_store_waiting(struct keep_store *store)
{
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    uint32_t waiting = store->waiting;
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
    return waiting;
}

void keep_store_on_retire(struct keep_store *store, struct io *sealer)
{
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    store->sealer = sealer;
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
}

uint64_t keep_store_tell(struct keep_store *store, enum status_kind kind, const char *detail)
{
    uint64_t number = 0;
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    if (store->news_count < KEEP_NEWS_MAX) {
        struct keep_news *news =
            &store->news[(store->news_first + store->news_count++) % KEEP_NEWS_MAX];
        news->kind = kind;
        (void)snprintf(news->detail, sizeof news->detail, "%s", detail);
        news->number = number = ++store->news_told;
    }
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
    return number;
}

bool keep_store_news(struct keep_store *store, struct keep_news *news)
{
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    bool some = store->news_count > 0;
    if (some) {
        *news = store->news[store->news_first];
        store->news_first = (store->news_first + 1) % KEEP_NEWS_MAX;
        store->news_count--;
    }
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
    return some;
}

void keep_store_settle_news(struct keep_store *store, uint64_t number)
{
    ensure(number >= atomic_load_explicit(&store->news_settled, memory_order_relaxed));
    atomic_store_explicit(&store->news_settled, number, memory_order_release);
}

bool keep_store_news_settled(const struct keep_store *store, uint64_t number)
{
    ensure(number != 0);
    return atomic_load_explicit(&store->news_settled, memory_order_acquire) >= number;
}

void keep_store_want_news(struct keep_store *store, int64_t limit_ns)
{
    ensure(limit_ns >= 0);
    store->news_limit_ns = limit_ns;
}

int64_t keep_store_news_limit_ns(const struct keep_store *store)
{
    return store->news_limit_ns;
}

void keep_store_set_rules(struct keep_store *store, const struct retention_rules *rules)
{
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    store->rules = *rules;
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
}

void keep_store_rules(struct keep_store *store, struct retention_rules *rules)
{
    ensure(pthread_mutex_lock(&store->mutex) == 0);
    *rules = store->rules;
    ensure(pthread_mutex_unlock(&store->mutex) == 0);
}

void keep_store_add_guard(struct keep_store *store, const struct retention_guard *guard)
{
    ensure(store->guard_count < RETENTION_GUARDS_MAX);
    ensure(guard->released || guard->tape_released);
    store->guards[store->guard_count++] = *guard;
}

const struct retention_guard *keep_store_guards(const struct keep_store *store, uint32_t *count)
{
    *count = store->guard_count;
    return store->guards;
}

void keep_store_pause(struct keep_store *store, uint32_t channels)
{
    atomic_store_explicit(&store->paused, channels, memory_order_relaxed);
}

uint32_t keep_store_paused(const struct keep_store *store)
{
    return atomic_load_explicit(&store->paused, memory_order_relaxed);
}

const char *keep_store_path(const struct keep_store *store)
{
    return store->path;
}

const uint8_t *keep_store_identity(const struct keep_store *store)
{
    return store->identity;
}

void keep_store_set_log(struct keep_store *store, const struct log *log)
{
    store->log = log;
}

const struct log *keep_store_log(const struct keep_store *store)
{
    return store->log;
}

struct catalogue *keep_store_catalogue(struct keep_store *store)
{
    return &store->catalogue;
}
