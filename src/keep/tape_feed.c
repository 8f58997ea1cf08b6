// SPDX-License-Identifier: GPL-3.0-or-later
//
// tape_feed: see tape_feed.h. Positions count bytes for ever; a record never wraps: where it would,
// a filler takes the rest of the ring.
#include "keep/tape_feed.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format/ensure.h"

enum { FEED_ALIGN = 64 };
#define FEED_ENDS_BYTES (TAPE_FEED_ENDS_MAX * sizeof(struct layout_tape_end))

struct feed_record {
    uint32_t bytes; // of the whole record, a multiple of FEED_ALIGN
    uint32_t size;  // of the batch; 0: a filler
    uint32_t tape;
    uint32_t revision;
    uint64_t sequence;
    uint64_t first_row;
    uint64_t rows;
    uint32_t previous;
    uint32_t zero;
    int64_t durable_ns;
    uint8_t more[8];
};
_Static_assert(sizeof(struct feed_record) == FEED_ALIGN, "the batch stays aligned");

struct tape_feed {
    uint8_t *ring;
    uint32_t ring_bytes;
    struct layout_tape_end *ends; // [TAPE_FEED_ENDS_MAX] increasing
    struct io *reader;
    uint32_t last;     // writer's: tape of the last batch
    uint32_t previous; // writer's: the one before it
    uint64_t last_bytes; // writer's: of the last batch, which may be written again
    struct layout_tape_end last_end; // writer's: of `last`, should it end here
    uint64_t own_rows;  // writer's: ever
    uint64_t own_bytes;
    _Alignas(64) _Atomic uint64_t head; // written up to here
    _Atomic uint64_t skipped;
    _Atomic uint32_t prepared;
    _Atomic uint32_t end_count;
    // The durable position: `turn` is odd while the words change.
    _Atomic uint32_t turn;
    _Atomic uint32_t tape;
    _Atomic uint32_t before;
    _Atomic uint32_t revision;
    _Atomic uint64_t sequence;
    _Atomic uint64_t rows;
    _Atomic uint64_t rows_ever;
    _Atomic uint64_t bytes_ever;
    _Alignas(64) _Atomic uint64_t tail; // read up to here
};

static void *space(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

int tape_feed_open(struct tape_feed **out, uint32_t bytes)
{
    ensure(bytes >= 4096 && (bytes & (bytes - 1)) == 0);
    struct tape_feed *feed = aligned_alloc(64, sizeof *feed);
    if (feed == NULL) return -ENOMEM;
    memset(feed, 0, sizeof *feed);
    // Address space: memory is used once the mirror falls behind.
    feed->ring = space(bytes);
    feed->ring_bytes = bytes;
    feed->ends = space(FEED_ENDS_BYTES);
    if (feed->ring == NULL || feed->ends == NULL) {
        tape_feed_close(feed);
        return -ENOMEM;
    }
    *out = feed;
    return 0;
}

void tape_feed_close(struct tape_feed *feed)
{
    if (feed == NULL) return;
    if (feed->ring != NULL) ensure(munmap(feed->ring, feed->ring_bytes) == 0);
    if (feed->ends != NULL) ensure(munmap(feed->ends, FEED_ENDS_BYTES) == 0);
    free(feed);
}

void tape_feed_wake(struct tape_feed *feed, struct io *reader)
{
    feed->reader = reader;
}

// ---- writer ----

static void tell_durable(struct tape_feed *feed, uint32_t tape, const struct tape_write *write)
{
    uint32_t turn = atomic_load_explicit(&feed->turn, memory_order_relaxed);
    atomic_store_explicit(&feed->turn, turn + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&feed->tape, tape, memory_order_relaxed);
    atomic_store_explicit(&feed->before, feed->previous, memory_order_relaxed);
    atomic_store_explicit(&feed->revision, write->revision, memory_order_relaxed);
    atomic_store_explicit(&feed->sequence, write->sequence, memory_order_relaxed);
    atomic_store_explicit(&feed->rows, write->rows, memory_order_relaxed);
    atomic_store_explicit(&feed->rows_ever, feed->own_rows, memory_order_relaxed);
    atomic_store_explicit(&feed->bytes_ever, feed->own_bytes, memory_order_relaxed);
    atomic_store_explicit(&feed->turn, turn + 2, memory_order_release);
}

// Room for a record of `bytes` at `head`, behind a filler if need be; NULL: none.
static struct feed_record *reserve(struct tape_feed *feed, uint64_t *head, uint32_t bytes)
{
    uint64_t tail = atomic_load_explicit(&feed->tail, memory_order_acquire);
    uint32_t at = (uint32_t)(*head & (feed->ring_bytes - 1));
    uint32_t left = feed->ring_bytes - at;
    uint64_t wanted = bytes <= left ? bytes : (uint64_t)left + bytes;
    if (*head + wanted - tail > feed->ring_bytes) return NULL;
    struct feed_record *record = (void *)(feed->ring + at);
    if (bytes <= left) return record;
    record->bytes = left;
    record->size = 0;
    *head += left;
    return (void *)feed->ring;
}

static bool put(struct tape_feed *feed, uint32_t tape, const struct tape_write *write,
                const void *bytes, int64_t now_ns)
{
    uint64_t head = atomic_load_explicit(&feed->head, memory_order_relaxed);
    uint64_t wanted = sizeof(struct feed_record) + write->batch_bytes;
    wanted = (wanted + FEED_ALIGN - 1) & ~(uint64_t)(FEED_ALIGN - 1);
    if (wanted > feed->ring_bytes) return false;
    struct feed_record *record = reserve(feed, &head, (uint32_t)wanted);
    if (record == NULL) return false;
    record->bytes = (uint32_t)wanted;
    record->size = write->batch_bytes;
    record->tape = tape;
    record->previous = feed->previous;
    record->revision = write->revision;
    record->sequence = write->sequence;
    record->first_row = write->first_row;
    record->rows = write->rows;
    record->durable_ns = now_ns;
    memcpy(record + 1, bytes, write->batch_bytes);
    atomic_store_explicit(&feed->head, head + wanted, memory_order_release);
    return true;
}

// A batch that is written again with more rows counts once.
static void add_up(struct tape_feed *feed, bool same_tape, const struct tape_write *write)
{
    const bool again = same_tape && write->sequence == feed->last_end.sequence;
    feed->own_rows += write->rows - (same_tape ? feed->last_end.rows : 0);
    feed->own_bytes += write->batch_bytes - (again ? feed->last_bytes : 0);
    feed->last_bytes = write->batch_bytes;
}

// The tape of the last batch takes no more.
static void tell_end(struct tape_feed *feed)
{
    uint32_t count = atomic_load_explicit(&feed->end_count, memory_order_relaxed);
    if (feed->last == 0 || count == TAPE_FEED_ENDS_MAX) return;
    feed->ends[count] = feed->last_end;
    atomic_store_explicit(&feed->end_count, count + 1, memory_order_release);
}

void tape_feed_put(struct tape_feed *feed, uint32_t tape, const struct tape_write *write,
                   const void *bytes, int64_t now_ns)
{
    ensure(tape >= feed->last && tape != 0 && write->batch_bytes > 0);
    add_up(feed, tape == feed->last, write);
    if (tape != feed->last) {
        tell_end(feed);
        feed->previous = feed->last;
    }
    feed->last = tape;
    feed->last_end = (struct layout_tape_end){.sequence = write->sequence,
                                              .rows = write->rows,
                                              .end = write->end,
                                              .revision = write->revision,
                                              .number = tape};
    // First the position: who sees the record may read the tape up to it.
    tell_durable(feed, tape, write);
    if (!put(feed, tape, write, bytes, now_ns))
        atomic_fetch_add_explicit(&feed->skipped, 1, memory_order_relaxed);
    if (feed->reader != NULL) io_wake(feed->reader);
}

// ---- reader ----

static const struct feed_record *oldest(const struct tape_feed *feed)
{
    uint64_t tail = atomic_load_explicit(&feed->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&feed->head, memory_order_acquire);
    if (tail == head) return NULL;
    const struct feed_record *record =
        (const void *)(feed->ring + (tail & (feed->ring_bytes - 1)));
    return record->size != 0 ? record : (const void *)feed->ring; // behind a filler
}

bool tape_feed_peek(const struct tape_feed *feed, struct tape_feed_item *item)
{
    const struct feed_record *record = oldest(feed);
    if (record == NULL) return false;
    *item = (struct tape_feed_item){.tape = record->tape,
                                    .previous = record->previous,
                                    .revision = record->revision,
                                    .sequence = record->sequence,
                                    .first_row = record->first_row,
                                    .rows = record->rows,
                                    .durable_ns = record->durable_ns,
                                    .size = record->size,
                                    .bytes = (const uint8_t *)(record + 1)};
    return true;
}

void tape_feed_pop(struct tape_feed *feed)
{
    uint64_t tail = atomic_load_explicit(&feed->tail, memory_order_relaxed);
    ensure(tail != atomic_load_explicit(&feed->head, memory_order_acquire));
    const struct feed_record *record =
        (const void *)(feed->ring + (tail & (feed->ring_bytes - 1)));
    tail += record->bytes;
    if (record->size == 0) tail += ((const struct feed_record *)(const void *)feed->ring)->bytes;
    atomic_store_explicit(&feed->tail, tail, memory_order_release);
}

void tape_feed_prepare(struct tape_feed *feed, uint32_t tape)
{
    ensure(tape > atomic_load(&feed->prepared));
    atomic_store(&feed->prepared, tape);
}

uint32_t tape_feed_prepared(const struct tape_feed *feed)
{
    return atomic_load(&feed->prepared);
}

struct tape_feed_durable tape_feed_durable(const struct tape_feed *feed)
{
    struct tape_feed_durable durable;
    for (;;) {
        uint32_t turn = atomic_load_explicit(&feed->turn, memory_order_acquire);
        durable.tape = atomic_load_explicit(&feed->tape, memory_order_relaxed);
        durable.previous = atomic_load_explicit(&feed->before, memory_order_relaxed);
        durable.revision = atomic_load_explicit(&feed->revision, memory_order_relaxed);
        durable.sequence = atomic_load_explicit(&feed->sequence, memory_order_relaxed);
        durable.rows = atomic_load_explicit(&feed->rows, memory_order_relaxed);
        durable.rows_ever = atomic_load_explicit(&feed->rows_ever, memory_order_relaxed);
        durable.bytes_ever = atomic_load_explicit(&feed->bytes_ever, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        bool same = turn == atomic_load_explicit(&feed->turn, memory_order_relaxed);
        if (same && (turn & 1) == 0) return durable;
    }
}

bool tape_feed_end(const struct tape_feed *feed, uint32_t tape, struct layout_tape_end *end)
{
    if (tape >= tape_feed_durable(feed).tape) return false;
    uint32_t count = atomic_load_explicit(&feed->end_count, memory_order_acquire);
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (feed->ends[middle].number < tape) low = middle + 1;
        else high = middle;
    }
    if (low == count && count == TAPE_FEED_ENDS_MAX) return false;
    bool told = low < count && feed->ends[low].number == tape;
    // One that took none ends behind its header.
    *end = told ? feed->ends[low]
                : (struct layout_tape_end){.number = tape, .end = LAYOUT_SECTOR};
    return true;
}

uint64_t tape_feed_skipped(const struct tape_feed *feed)
{
    return atomic_load_explicit(&feed->skipped, memory_order_relaxed);
}
