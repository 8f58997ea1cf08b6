// SPDX-License-Identifier: GPL-3.0-or-later
//
// The mirror's whole behaviour is mirror_pump(): called whenever something changed (a batch became
// durable, reports came, a file operation completed, a second passed), it does what can be done
// now, for a bounded time.
//
// Who goes next. Of the topics in a stream the one farthest back goes first, so those that keep
// pace meet in the same batch, which is read and decoded once. One that waits for Kafka holds up
// the others for a second; then they leave it behind, and it goes on by itself until it has caught
// up.
//
// A broken producer is closed and made anew, and everything not delivered is sent again.
#include "publish/mirror.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "format/ensure.h"
#include "publish/mirror_inside.h"

enum { COLLECT_MAX = 10000 };

void mirror_say(struct mirror *mirror, enum log_message message, const char *cause)
{
    if (mirror->options.log != NULL)
        log_write(mirror->options.log, message, io_utc_ns(mirror->io), "cause=\"%s\"", cause);
}

// ---- the producer ----

static void producer_woken(void *context)
{
    io_wake(((struct mirror *)context)->io);
}

static void producer_make(struct mirror *mirror)
{
    char text[512] = "";
    const struct producer_maker *maker = &mirror->options.maker;
    if (io_monotonic_ns(mirror->io) < mirror->make_after_ns) return;
    int result = maker->make(maker->context, producer_woken, mirror, &mirror->producer, text,
                             sizeof text);
    if (result == 0) return;
    mirror->producer = NULL;
    mirror->make_after_ns = io_monotonic_ns(mirror->io) + LIMIT_SECOND_NS;
    mirror_say(mirror, LOG_PRODUCER_NONE, text);
}

static void collect(struct mirror *mirror)
{
    struct producer *producer = mirror->producer;
    if (producer == NULL) return;
    while (producer->collect(producer, COLLECT_MAX, mirror_report, mirror) == COLLECT_MAX) {}
    mirror->rewinding = producer->broken(producer);
}

static void rewind_when_kept(struct mirror *mirror)
{
    if (!mirror->rewinding || !mirror_letters_idle(mirror) || mirror->letters.busy) return;
    mirror->producer->close(mirror->producer);
    mirror->producer = NULL;
    mirror->rewinding = false;
    mirror->counters.restarts++;
    mirror_lanes_rewind(mirror);
    mirror_retry_rewind(mirror);
}

// ---- who goes next ----

static bool behind_of(const struct mirror_position *a, const struct mirror_position *b)
{
    return a->tape < b->tape || (a->tape == b->tape && a->row < b->row);
}

static struct mirror_lane *leader_of(struct mirror *mirror, uint32_t stream)
{
    struct mirror_lane *least = NULL;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        struct mirror_lane *lane = &mirror->lanes[c];
        if (lane->behind || !mirror_lane_in(mirror, lane, stream)) continue;
        if (least == NULL || behind_of(&lane->position[stream], &least->position[stream]))
            least = lane;
    }
    return least;
}

static bool caught_up(struct mirror *mirror, const struct mirror_lane *lane)
{
    for (uint32_t s = 0; s <= MIRROR_SHARDS_MAX; s++) {
        if (s == mirror->options.shards) s = MIRROR_SHARDS_MAX;
        const struct mirror_lane *leader = leader_of(mirror, s);
        if (leader == NULL) continue;
        if (!mirror_lane_in(mirror, lane, s) ||
            behind_of(&lane->position[s], &leader->position[s]))
            return false;
    }
    return true;
}

static void blocked(struct mirror *mirror, struct mirror_lane *lane)
{
    int64_t now_ns = io_monotonic_ns(mirror->io);
    if (lane->blocked_ns == 0) lane->blocked_ns = now_ns;
    if (now_ns - lane->blocked_ns >= MIRROR_STUCK_NS) lane->behind = true;
}

// True: something moved.
static bool step(struct mirror *mirror, struct mirror_lane *lane, uint32_t stream)
{
    enum mirror_step result = mirror_lane_step(mirror, lane, stream);
    if (result == STEP_BLOCKED) blocked(mirror, lane);
    else if (result == STEP_MOVED) lane->blocked_ns = 0;
    if (stream < MIRROR_SHARDS_MAX && result == STEP_MOVED) mirror_feed_trim(mirror, stream);
    return result == STEP_MOVED;
}

static bool pump_stream(struct mirror *mirror, uint32_t stream)
{
    struct mirror_lane *leader = leader_of(mirror, stream);
    bool moved = leader != NULL && step(mirror, leader, stream);
    moved = moved || (leader != NULL && leader->behind); // the next one leads
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        struct mirror_lane *lane = &mirror->lanes[c];
        if (!lane->behind || !mirror_lane_in(mirror, lane, stream)) continue;
        if (step(mirror, lane, stream)) {
            lane->behind = !caught_up(mirror, lane);
            moved = true;
        }
    }
    return moved;
}

static void pump_again(struct io *io, struct io_op *op)
{
    (void)io;
    mirror_pump(io_owner(op, struct mirror, pump_op));
}

static void pump_streams(struct mirror *mirror)
{
    uint32_t steps = 0;
    bool moved = true;
    mirror->turn = 0;
    while (moved && mirror->turn < MIRROR_TURN_MESSAGES && steps++ < MIRROR_TURN_MESSAGES) {
        moved = pump_stream(mirror, MIRROR_SHARDS_MAX);
        for (uint32_t s = 0; s < mirror->options.shards; s++)
            moved = pump_stream(mirror, s) || moved;
        collect(mirror);
        if (mirror->rewinding || !mirror_letters_idle(mirror)) break;
    }
    if (moved && io_idle(&mirror->pump_op))
        io_timeout(mirror->io, &mirror->pump_op, 0, pump_again);
}

// ---- counters ----

static void publish(struct mirror *mirror)
{
    struct mirror_counters *counters = &mirror->counters;
    counters->stuck = counters->behind = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct mirror_lane *lane = &mirror->lanes[c];
        if (lane->used) counters->stuck += lane->behind;
        if (lane->used && lane->leftover < mirror->earlier) counters->behind = 1;
    }
    for (uint32_t s = 0; s < mirror->options.shards; s++) {
        struct tape_feed_durable durable = tape_feed_durable(mirror->options.feeds[s]);
        struct mirror_position end = {durable.tape, durable.rows};
        for (int c = 0; c < CHANNEL_COUNT; c++) {
            const struct mirror_lane *lane = &mirror->lanes[c];
            if (lane->used && behind_of(&lane->position[s], &end)) counters->behind = 1;
        }
    }
    if (mirror->letters.used > 0) counters->behind = 1; // refused, not kept as yet
    const uint64_t *words = (const uint64_t *)counters;
    for (size_t i = 0; i < sizeof *counters / sizeof *words; i++)
        atomic_store_explicit(&mirror->published[i], words[i], memory_order_relaxed);
}

struct mirror_counters mirror_counters(const struct mirror *mirror)
{
    uint64_t words[sizeof(struct mirror_counters) / sizeof(uint64_t)];
    struct mirror_counters counters;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        words[i] = atomic_load_explicit(&mirror->published[i], memory_order_relaxed);
    memcpy(&counters, words, sizeof counters);
    return counters;
}

bool mirror_tape_done(const struct mirror *mirror, uint32_t tape)
{
    uint32_t index = tape - mirror->done_first;
    if (tape < mirror->done_first) return true;
    if (index >= MIRROR_DONE_MAX) return false;
    return (atomic_load(&mirror->done[index]) & mirror->lane_mask) == mirror->lane_mask;
}

// ---- the loop ----

// True: all is written and closed; `stopped` was called.
static void pump_stop(struct mirror *mirror)
{
    bool late = io_monotonic_ns(mirror->io) >= mirror->stop_ns;
    bool flying = mirror->counters.in_flight > 0 && mirror->producer != NULL && !mirror->rewinding;
    if (flying && !late) return;
    if (!mirror_letters_idle(mirror) && !late) return;
    if (!mirror->saved_last) { // once: a disk that does not take it may not do so for days
        if (mirror->saving) return;
        mirror->saved_last = true;
        mirror_save(mirror);
    }
    if (mirror->saving) return;
    mirror->ending = true;
    io_cancel(mirror->io, &mirror->tick_op);
    io_cancel(mirror->io, &mirror->look_op);
    io_cancel(mirror->io, &mirror->pump_op);
    bool letters = mirror_letters_stop(mirror);
    bool files = mirror_files_close(mirror);
    if (!letters || !files || mirror->saving || !io_idle(&mirror->tick_op) ||
        !io_idle(&mirror->look_op) || !io_idle(&mirror->pump_op) || mirror->stopped == NULL)
        return;
    void (*stopped)(void *) = mirror->stopped;
    mirror->stopped = NULL;
    publish(mirror);
    mirror_figures_tick(mirror);
    stopped(mirror->context);
}

void mirror_pump(struct mirror *mirror)
{
    mirror_note_tapes(mirror);
    collect(mirror);
    mirror_letters_pump(mirror);
    rewind_when_kept(mirror);
    if (mirror->stopping) {
        pump_stop(mirror);
        return;
    }
    if (mirror->producer == NULL) producer_make(mirror);
    if (mirror->producer != NULL && !mirror->rewinding && mirror_letters_idle(mirror))
        pump_streams(mirror);
    mirror_letters_pump(mirror);
    publish(mirror);
}

static void tick(struct io *io, struct io_op *op)
{
    struct mirror *mirror = io_owner(op, struct mirror, tick_op);
    if (op->result == 0 || (mirror->stopping && !mirror->ending)) {
        // While it stops, soon enough to keep the limit.
        io_timeout(io, &mirror->tick_op,
                   mirror->stopping ? 50 * LIMIT_MILLISECOND_NS : LIMIT_SECOND_NS, tick);
        mirror_letters_tick(mirror);
        if (!mirror->stopping) mirror_save(mirror);
        mirror_figures_tick(mirror);
    }
    mirror_pump(mirror);
}

static void look_again(struct io *io, struct io_op *op)
{
    (void)io;
    mirror_pump(io_owner(op, struct mirror, look_op));
}

void mirror_look_soon(struct mirror *mirror)
{
    if (io_idle(&mirror->look_op) && !mirror->stopping)
        io_timeout(mirror->io, &mirror->look_op, MIRROR_LOOK_NS, look_again);
}

static void woken(void *context)
{
    mirror_pump(context);
}

void mirror_start(struct mirror *mirror)
{
    io_on_wake(mirror->io, woken, mirror);
    io_timeout(mirror->io, &mirror->tick_op, 0, tick);
}

void mirror_stop(struct mirror *mirror, int64_t wait_ns, void (*stopped)(void *context),
                 void *context)
{
    ensure(!mirror->stopping);
    mirror->stopping = true;
    mirror->stop_ns = io_monotonic_ns(mirror->io) + wait_ns;
    mirror->stopped = stopped;
    mirror->context = context;
    io_cancel(mirror->io, &mirror->tick_op); // comes back to the pump
}

// ---- memory ----

static void *reserve(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void give_back(void *memory, size_t bytes)
{
    if (memory != NULL) (void)munmap(memory, bytes);
}

static bool allocate(struct mirror *mirror)
{
    mirror->flights = reserve(MIRROR_FLIGHTS_MAX * sizeof *mirror->flights);
    mirror->tapes = reserve(2 * MIRROR_TAPES_MAX * sizeof *mirror->tapes);
    mirror->decode_bytes = reserve(TAPE_BATCH_BYTES_MAX);
    mirror->decode_memory = reserve(MIRROR_DECODE_BYTES);
    mirror->scratch = reserve(MIRROR_SCRATCH_BYTES);
    mirror->encoder_memory = reserve(tape_encoder_bytes(TAPE_BATCH_SYMBOLS_MAX));
    mirror->letters.room = reserve(MIRROR_LETTER_ROOM);
    mirror->letters.tags = reserve(MIRROR_TAGS_MAX * sizeof *mirror->letters.tags);
    mirror->done = reserve(MIRROR_DONE_MAX * sizeof *mirror->done);
    mirror->lags = reserve(MIRROR_SHARDS_MAX * sizeof *mirror->lags);
    mirror->save_text = reserve(MIRROR_STATE_BYTES_MAX);
    mirror->save_script = calloc(1, sizeof *mirror->save_script);
    mirror->letters.script = calloc(1, sizeof *mirror->letters.script);
    return mirror->flights && mirror->tapes && mirror->decode_bytes && mirror->decode_memory &&
           mirror->scratch && mirror->encoder_memory &&
           mirror->letters.room && mirror->letters.tags && mirror->done && mirror->lags &&
           mirror->save_text && mirror->save_script && mirror->letters.script;
}

void mirror_close(struct mirror *mirror)
{
    if (mirror->producer != NULL) mirror->producer->close(mirror->producer);
    for (int i = 0; i < MIRROR_FILES; i++) {
        if (mirror->files[i].reading) tape_reader_close(&mirror->files[i].reader);
        mirror_remade_free(&mirror->files[i]);
    }
    mirror_letters_close(mirror);
    give_back(mirror->flights, MIRROR_FLIGHTS_MAX * sizeof *mirror->flights);
    give_back(mirror->tapes, 2 * MIRROR_TAPES_MAX * sizeof *mirror->tapes);
    give_back(mirror->decode_bytes, TAPE_BATCH_BYTES_MAX);
    give_back(mirror->decode_memory, MIRROR_DECODE_BYTES);
    give_back(mirror->scratch, MIRROR_SCRATCH_BYTES);
    give_back(mirror->encoder_memory, tape_encoder_bytes(TAPE_BATCH_SYMBOLS_MAX));
    give_back(mirror->letters.room, MIRROR_LETTER_ROOM);
    give_back(mirror->letters.tags, MIRROR_TAGS_MAX * sizeof *mirror->letters.tags);
    give_back((void *)mirror->done, MIRROR_DONE_MAX * sizeof *mirror->done);
    give_back(mirror->lags, MIRROR_SHARDS_MAX * sizeof *mirror->lags);
    give_back(mirror->save_text, MIRROR_STATE_BYTES_MAX);
    free(mirror->save_script);
    free(mirror->letters.script);
    free(mirror);
}

static int open_parts(struct mirror *mirror, struct io *start, struct io_message *message)
{
    const uint8_t *identity = keep_store_identity(mirror->options.store);
    for (int i = 0; i < 16; i++)
        (void)snprintf(mirror->store + 2 * i, 3, "%02x", identity[i]);
    for (int i = 0; i < MIRROR_FILES; i++) {
        mirror->files[i].mirror = mirror;
        mirror->files[i].handle = mirror->files[i].mark_handle = -1;
    }
    for (uint32_t s = 0; s < mirror->options.shards; s++)
        tape_feed_wake(mirror->options.feeds[s], mirror->io);
    message_coder_init(&mirror->coder);
    mirror_lanes_open(mirror);
    int result = mirror_state_open(mirror, start, message);
    mirror->state.topics = mirror->lane_mask; // saved with the first tape that is noted
    if (result == 0) result = mirror_tapes_open(mirror, start);
    if (result == 0) result = mirror_letters_open(mirror, start);
    if (result < 0 && message->text[0] == '\0')
        (void)snprintf(message->text, sizeof message->text, "%s/mirror cannot be used: %s",
                       keep_store_path(mirror->options.store), strerror(-result));
    if (result == 0) mirror_lanes_rewind(mirror);
    return result;
}

// A disk that did not answer in time still has the script and its buffers: they go with the loop,
// which ends with the process.
static bool disk_has(const struct file_script *script)
{
    return script != NULL && script->running;
}

int mirror_open(struct mirror **out, struct io *io, struct io *start,
                const struct mirror_options *options, struct io_message *message)
{
    ensure(options->shards >= 1 && options->shards <= MIRROR_SHARDS_MAX);
    ensure(options->queue_messages <= MIRROR_QUEUE_MESSAGES_MAX);
    struct mirror *mirror = calloc(1, sizeof *mirror);
    if (mirror == NULL) return -ENOMEM;
    mirror->io = io;
    mirror->options = *options;
    int result = allocate(mirror) ? open_parts(mirror, start, message) : -ENOMEM;
    if (result == 0)
        *out = mirror;
    else if (!disk_has(mirror->save_script) && !disk_has(mirror->letters.script))
        mirror_close(mirror);
    return result;
}
