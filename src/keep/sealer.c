// SPDX-License-Identifier: GPL-3.0-or-later
//
//                    ┌──────────────────────── sealer_next() ───────────────────────┐
//                    ↓                                                              │
//     IDLE ──→ OPENING ──→ WRITING (0 … n segments) ──→ CLOSING ──→ SWAPPING ──→ REMOVING
//      ↑ ↑        │            │                        ↑ │ │└──sealed before──────↑
//      │ │        └────────────┴─nothing to write, fail─┘ │ └damage─→ TELLING ─→ SWAPPING
//      │ └───────────────────── a tape that stays for a guard ──────────┐  │stop
//      └──── RETRYING (1 s) ←──── CLEARING ←──── failed ──┴─────────────┴──┘
//                └─→ SWAPPING: where one failed and its outcome is not known, the same again
//
// One job at a time: a tape (sealer_tape.c), a merge (sealer_merge.c), a deletion (sealer_drop.c,
// which begins with the swap) or segments that another program made (sealer_incoming.c). Or, from
// IDLE and back, LOOKING which days are closed (sealer_days.c). This file runs the shared part:
// writing segments, the swap of the catalogue, removal of what it replaced. In every state one
// operation, one file_script or one segment_output is in flight; in IDLE and STOPPED none.
//
// What an attempt made and no catalogue lists is deleted before the next (CLEARING, which is passed
// over where there is nothing; sealer_clear.c). Where a swap failed when the new catalogue may have
// got its name, nobody knows which one a start would find: nothing is deleted then, and the same
// swap is tried until it succeeds.
#include "keep/sealer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "format/ensure.h"
#include "keep/sealer_inside.h"

static void close_inputs(struct sealer *sealer);

static void say(struct sealer *sealer, enum log_message message, const char *path, int code)
{
    if (sealer->log)
        log_write(sealer->log, message, io_utc_ns(sealer->io), "file=\"%s\" cause=\"%s\"",
                  path, strerror(-code));
}

// ---- jobs ----

void sealer_finish_stop(struct sealer *sealer)
{
    sealer_enter(sealer, SEALER_STOPPED);
    if (!io_idle(&sealer->watch_op)) {
        io_cancel(sealer->io, &sealer->watch_op); // comes back here
        return;
    }
    void (*stopped)(void *) = sealer->stopped;
    sealer->stopped = NULL;
    if (stopped)
        stopped(sealer->context);
}

// jemalloc's, where the program has it (man 3 jemalloc); weak, since tests do not.
int mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size)
    __attribute__((weak));

// Between jobs the daemon should weigh what capture alone weighs: memory of rows, of decoding and
// what the allocator keeps of writers and readers goes back to the system.
static void rest(struct sealer *sealer)
{
    gather_rest(&sealer->gather);
    ensure(madvise(sealer->decode_memory, SEALER_DECODE_BYTES, MADV_DONTNEED) == 0);
    // 4096: of all arenas.
    if (mallctl != NULL) (void)mallctl("arena.4096.purge", NULL, NULL, NULL, 0);
}

void sealer_next(struct sealer *sealer)
{
    ensure(sealer->tape.number == 0 && sealer->merge.input_count == 0);
    ensure(sealer->drop.count == 0 && sealer->incoming.handover == 0);
    sealer_enter(sealer, SEALER_IDLE);
    sealer->made_count = 0;
    sealer->failure = 0;
    sealer->in_doubt = false;
    sealer->counters.waiting = keep_store_waiting(sealer->store);
    sealer->counters.idle = false;
    if (sealer->stopping) {
        sealer_finish_stop(sealer);
        return;
    }
    if (sealer_relieve(sealer)) // before a tape that would find no room for its segments
        return;
    uint32_t tape = keep_store_take(sealer->store);
    if (tape != 0) {
        sealer_tape_start(sealer, tape);
        return;
    }
    if (sealer_incoming_start(sealer) || sealer_drop_start(sealer) || sealer_spare_start(sealer) ||
        sealer_merge_start(sealer) || sealer_days_start(sealer))
        return;
    sealer->counters.idle = true;
    rest(sealer);
}

static void look_again(void *context)
{
    struct sealer *sealer = context;
    if (sealer->state == SEALER_IDLE)
        sealer_next(sealer);
}

// ---- failing ----

static void retry(struct io *io, struct io_op *op)
{
    (void)io;
    struct sealer *sealer = io_owner(op, struct sealer, retry_op);
    uint32_t tape = sealer->tape.number;
    sealer->tape.number = 0;
    sealer->merge.input_count = sealer->drop.count = 0;
    sealer->incoming.handover = sealer->incoming.numbers = 0;
    // A tape not sealed is found again at the next start, one that was sealed before in the
    // catalogue.
    if (!sealer->stopping && tape != 0 && ++sealer->tries && !sealer->tape.leftover) {
        // A tape that cannot be sealed must not hold up those behind it; before that, what can be
        // read of it is sealed and the rest given up.
        if (sealer->tries > SEALER_TAPE_TRIES && keep_store_waiting(sealer->store) > 0) {
            sealer->tries = 0;
            keep_store_retire(sealer->store, tape);
        } else {
            keep_store_put_back(sealer->store, tape);
        }
    }
    sealer_next(sealer);
}

void sealer_retry_later(struct sealer *sealer)
{
    bool at_once = sealer->stopping || sealer->failure == -ECANCELED;
    sealer_enter(sealer, SEALER_RETRYING);
    io_timeout(sealer->io, &sealer->retry_op, at_once ? 0 : SEALER_RETRY_NS, retry);
}

void sealer_fail(struct sealer *sealer, int failure, const char *what)
{
    ensure(failure < 0);
    ensure(sealer->failure == 0);
    sealer->failure = failure;
    if (failure != -ECANCELED) { // stopping
        sealer->counters.failures++;
        say(sealer, LOG_SEALING_FAILED, what, failure);
        if (sealer->merge.input_count > 0)
            sealer->merge.tries++;
    }
    close_inputs(sealer);
}

void sealer_give_up(struct sealer *sealer)
{
    ensure(sealer->failure == 0 && sealer->made_count == 0);
    sealer->failure = -ECANCELED;
    close_inputs(sealer);
}

// ---- writing ----

static void segment_made(void *context, int result, const struct catalogue_segment *segment)
{
    struct sealer *sealer = context;
    if (result < 0) {
        sealer_fail(sealer, result, sealer->output.path);
        return;
    }
    struct catalogue_segment *made = &sealer->made[sealer->made_count++];
    *made = *segment;
    sealer->counters.segments++;
    sealer->counters.bytes_out += segment->bytes;
    if (sealer->tape.number != 0)
        sealer_tape_written(sealer);
    else
        sealer_merge_written(sealer);
}

// Light coding is four times as fast and a third larger. A merge codes densely what was light;
// where it comes at once, that is the work of both.
static enum column_level sealer_level(struct sealer *sealer)
{
    bool behind = sealer->tape.number != 0 && !sealer->merge_all &&
                  keep_store_waiting(sealer->store) >= SEALER_BEHIND_TAPES;
    sealer->counters.segments_light += behind;
    return behind ? COLUMN_LEVEL_LIGHT : COLUMN_LEVEL_DENSE;
}

void sealer_write(struct sealer *sealer, enum channel channel, int32_t day,
                  segment_output_feed *feed, void *feed_context)
{
    ensure(sealer->made_count < sealer->segments_max);
    if (sealer->stopping) { // it is done again at the next start
        sealer_fail(sealer, -ECANCELED, "stopping");
        return;
    }
    sealer_enter(sealer, SEALER_WRITING);
    struct catalogue_segment segment = {
        .number = sealer->catalogue->next_segment++, .channel = channel, .day = day};
    segment_output_start(&sealer->output, &segment, sealer_level(sealer), feed, segment_made,
                         feed_context, sealer);
}

// ---- swapping ----

static void job_done(struct sealer *sealer)
{
    sealer->merge.tries = 0;
    sealer->tape.number = 0;
    sealer->merge.input_count = 0;
    sealer_next(sealer);
}

static bool is_incoming(const struct sealer *sealer)
{
    return sealer->incoming.handover != 0 || sealer->incoming.numbers != 0;
}

static void removed(void *context, int result, const char *path)
{
    struct sealer *sealer = context;
    // What could not be removed is found and removed at the next start.
    if (result < 0)
        say(sealer, LOG_FILE_STAYS, path, result);
    else if (sealer->tape.number != 0)
        (void)catalogue_forget_tape(sealer->catalogue, sealer->tape.number);
    if (sealer->tape.number != 0)
        sealer->not_removed = result < 0;
    else if (sealer->drop.count != 0)
        sealer_drop_removed(sealer);
    else if (is_incoming(sealer))
        sealer_incoming_removed(sealer, result);
    else
        sealer->counters.merges++;
    job_done(sealer);
}

void sealer_remove_inputs(struct sealer *sealer)
{
    sealer_enter(sealer, SEALER_REMOVING);
    file_script_begin(&sealer->script);
    if (sealer->tape.number != 0)
        sealer_tape_remove(sealer, &sealer->script);
    else if (sealer->drop.count != 0)
        sealer_drop_remove(sealer, &sealer->script);
    else if (is_incoming(sealer))
        sealer_incoming_remove(sealer, &sealer->script);
    else
        sealer_merge_remove(sealer, &sealer->script);
    file_script_run(&sealer->script, sealer->io, removed, sealer);
}

// The catalogue in memory as it will be; false: it cannot hold more.
static bool apply(struct sealer *sealer)
{
    struct catalogue *catalogue = sealer->catalogue;
    for (uint32_t i = 0; i < sealer->merge.input_count; i++)
        ensure(catalogue_remove_segment(catalogue, sealer->merge.inputs[i].segment.number));
    for (uint32_t i = 0; i < sealer->drop.count; i++)
        ensure(catalogue_remove_segment(catalogue, sealer->drop.segments[i].number));
    for (uint32_t i = 0; i < sealer->made_count; i++) {
        if (!catalogue_add_segment(catalogue, &sealer->made[i])) {
            while (i-- > 0)
                ensure(catalogue_remove_segment(catalogue, sealer->made[i].number));
            return false;
        }
    }
    uint32_t tape = sealer->tape.number;
    if (tape != 0) {
        ensure(catalogue_seal_tape(catalogue, tape));
        if (catalogue->next_tape <= tape)
            catalogue->next_tape = tape + 1;
    }
    catalogue->generation++;
    return true;
}

static void revert(struct sealer *sealer)
{
    struct catalogue *catalogue = sealer->catalogue;
    for (uint32_t i = 0; i < sealer->made_count; i++)
        ensure(catalogue_remove_segment(catalogue, sealer->made[i].number));
    for (uint32_t i = 0; i < sealer->merge.input_count; i++)
        ensure(catalogue_add_segment(catalogue, &sealer->merge.inputs[i].segment));
    for (uint32_t i = 0; i < sealer->drop.count; i++)
        ensure(catalogue_add_segment(catalogue, &sealer->drop.segments[i]));
    if (sealer->tape.number != 0)
        ensure(catalogue_forget_tape(catalogue, sealer->tape.number));
}

static void sealed(struct sealer *sealer)
{
    for (uint32_t i = 0; i < sealer->made_count; i++)
        sealer->counters.rows += sealer->made[i].rows;
    sealer->counters.tapes++;
    keep_store_forget_end(sealer->store, sealer->tape.number);
}

static void swap_again(struct io *io, struct io_op *op)
{
    struct sealer *sealer = io_owner(op, struct sealer, retry_op);
    if (sealer->stopping) // whichever catalogue the next start finds is true
        retry(io, op);
    else
        sealer_swap(sealer);
}

// On disk stands the old catalogue or the new one: both are true, nothing was removed.
static void swap_failed(struct sealer *sealer, int result, const char *path)
{
    revert(sealer);
    sealer->counters.failures++;
    say(sealer, LOG_SEALING_FAILED, path, result);
    if (sealer->script.position >= sealer->swap_rename && sealer_makes_segments(sealer))
        sealer->in_doubt = true;
    if (sealer->in_doubt) {
        sealer_enter(sealer, SEALER_RETRYING);
        io_timeout(sealer->io, &sealer->retry_op, sealer->stopping ? 0 : SEALER_RETRY_NS,
                   swap_again);
        return;
    }
    sealer->failure = result;
    sealer_clear(sealer);
}

static void swapped(void *context, int result, const char *path)
{
    struct sealer *sealer = context;
    if (result < 0) {
        swap_failed(sealer, result, path);
        return;
    }
    uint32_t tape = sealer->tape.number;
    if (tape != 0)
        sealed(sealer);
    if (tape != 0 && !sealer->tape.damaged && sealer_keeps_tape(sealer, tape))
        job_done(sealer);
    else
        sealer_remove_inputs(sealer);
}

void sealer_swap(struct sealer *sealer)
{
    sealer_enter(sealer, SEALER_SWAPPING);
    if (!apply(sealer)) {
        sealer->failure = -EOVERFLOW;
        say(sealer, LOG_CATALOGUE_FULL, "catalogue", -EOVERFLOW);
        sealer_clear(sealer);
        return;
    }
    char path[KEEP_FILE_NAME_BYTES_MAX];
    int size = snprintf(path, sizeof path, "%s/catalogue", keep_store_path(sealer->store));
    ensure(size > 0 && (size_t)size < sizeof path);
    size_t bytes = catalogue_write(sealer->catalogue, sealer->catalogue_text,
                                   catalogue_bytes_max(sealer->catalogue));
    file_script_begin(&sealer->script);
    file_script_replace(&sealer->script, path, sealer->catalogue_text, (uint32_t)bytes);
    sealer->swap_rename = sealer->script.count - 1;
    file_script_sync_directory(&sealer->script, keep_store_path(sealer->store));
    file_script_run(&sealer->script, sealer->io, swapped, sealer);
}

// ---- telling ----

static void told_yet(struct io *io, struct io_op *op)
{
    struct sealer *sealer = io_owner(op, struct sealer, retry_op);
    ensure(sealer->state == SEALER_TELLING);
    sealer_tape_tell(sealer); // where too many others waited
    const uint64_t news = sealer->told.news;
    if ((news != 0 && keep_store_news_settled(sealer->store, news)) ||
        io_monotonic_ns(io) >= sealer->tape.tell_by_ns) {
        sealer_swap(sealer);
    } else if (sealer->stopping) { // the next start reads the tape again
        sealer->failure = -ECANCELED;
        sealer_clear(sealer);
    } else {
        io_timeout(io, op, SEALER_TELL_LOOK_NS, told_yet);
    }
}

// Before the tape counts as sealed: a crash behind that would leave rows lost that nobody heard of.
// On a full disk nothing gets durable before something is sealed, so there is a limit.
static void tell(struct sealer *sealer)
{
    sealer_enter(sealer, SEALER_TELLING);
    sealer->tape.tell_by_ns =
        io_monotonic_ns(sealer->io) + keep_store_news_limit_ns(sealer->store);
    io_timeout(sealer->io, &sealer->retry_op, 0, told_yet);
}

// ---- closing the inputs ----

static void input_closed(struct io *io, struct io_op *op)
{
    (void)io;
    close_inputs(io_owner(op, struct sealer, op));
}

static void close_inputs(struct sealer *sealer)
{
    sealer_enter(sealer, SEALER_CLOSING);
    int handle = sealer->tape.number != 0 ? sealer_tape_close(sealer) : sealer_merge_close(sealer);
    if (handle >= 0)
        io_close(sealer->io, &sealer->op, handle, input_closed);
    else if (sealer->failure < 0)
        sealer_clear(sealer);
    else if (sealer->tape.number != 0 && sealer->tape.leftover)
        sealer_remove_inputs(sealer);
    else if (sealer->tape.number != 0 && sealer->tape.damaged)
        tell(sealer);
    else
        sealer_swap(sealer);
}

void sealer_commit(struct sealer *sealer)
{
    ensure(sealer->failure == 0);
    close_inputs(sealer);
}

// ---- life ----

static void *map_bytes(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static size_t text_bytes(void)
{
    return (size_t)CATALOGUE_LINE_BYTES_MAX * (CATALOGUE_SEGMENTS_MAX + CATALOGUE_TAPES_MAX);
}

static bool allocate(struct sealer *sealer)
{
    sealer->made = map_bytes(SEALER_SEGMENTS_MAX * sizeof *sealer->made);
    sealer->catalogue_text = map_bytes(text_bytes());
    sealer->decode_memory = map_bytes(SEALER_DECODE_BYTES);
    return sealer->made && sealer->catalogue_text && sealer->decode_memory &&
           gather_open(&sealer->gather) == 0 && sealer_merge_open(sealer) == 0 &&
           sealer_days_open(sealer) == 0 && sealer_incoming_open(sealer) == 0;
}

static void first_look(struct io *io, struct io_op *op)
{
    (void)io;
    look_again(io_owner(op, struct sealer, retry_op));
}

int sealer_open(struct sealer **out, struct io *io, struct keep_store *store)
{
    struct sealer *sealer = calloc(1, sizeof *sealer);
    if (!sealer)
        return -ENOMEM;
    sealer->io = io;
    sealer->store = store;
    sealer->log = keep_store_log(store);
    sealer->catalogue = keep_store_catalogue(store);
    sealer->tape.handle = -1;
    sealer->segments_max = SEALER_SEGMENTS_MAX;
    segment_output_init(&sealer->output, io, store, &sealer->script);
    if (!allocate(sealer)) {
        sealer_close(sealer);
        return -ENOMEM;
    }
    io_on_wake(io, look_again, sealer);
    keep_store_on_retire(store, io);
    io_timeout(io, &sealer->retry_op, 0, first_look);
    *out = sealer;
    return 0;
}

void sealer_stop(struct sealer *sealer, void (*stopped)(void *context), void *context)
{
    ensure(!sealer->stopping);
    keep_store_on_retire(sealer->store, NULL);
    sealer->stopping = true;
    sealer->stopped = stopped;
    sealer->context = context;
    if (sealer->state == SEALER_IDLE && io_idle(&sealer->retry_op))
        io_timeout(sealer->io, &sealer->retry_op, 0, first_look);
    else if (sealer->state == SEALER_RETRYING)
        io_cancel(sealer->io, &sealer->retry_op);
}

void sealer_merge_nothing(struct sealer *sealer)
{
    sealer->merge_nothing = true;
}

void sealer_merge_all(struct sealer *sealer)
{
    sealer->merge_all = true;
    if (sealer->state == SEALER_IDLE && io_idle(&sealer->retry_op))
        io_timeout(sealer->io, &sealer->retry_op, 0, first_look);
}

void sealer_close(struct sealer *sealer)
{
    (void)sealer_tape_close(sealer);
    while (sealer_merge_close(sealer) >= 0)
        continue;
    if (sealer->output.writer)
        segment_writer_close(sealer->output.writer);
    gather_close(&sealer->gather);
    sealer_merge_deinit(sealer);
    sealer_days_deinit(sealer);
    sealer_incoming_deinit(sealer);
    if (sealer->made)
        ensure(munmap(sealer->made, SEALER_SEGMENTS_MAX * sizeof *sealer->made) == 0);
    if (sealer->catalogue_text)
        ensure(munmap(sealer->catalogue_text, text_bytes()) == 0);
    if (sealer->decode_memory)
        ensure(munmap(sealer->decode_memory, SEALER_DECODE_BYTES) == 0);
    free(sealer);
}

void sealer_limit_segments(struct sealer *sealer, uint32_t segments)
{
    ensure(segments > 0 && segments <= SEALER_SEGMENTS_MAX);
    sealer->segments_max = segments;
}

struct sealer_counters sealer_counters(const struct sealer *sealer)
{
    struct sealer_counters counters = sealer->counters;
    counters.tapes_kept = sealer->catalogue->tape_count;
    return counters;
}
