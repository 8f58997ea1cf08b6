// SPDX-License-Identifier: GPL-3.0-or-later
//
// One topic. Its messages go out batch by batch; those of one batch that are under way together are
// a flight. Flights of a topic and shard queue up in the order of the tape, and the cursor follows
// the first of them: it moves when all messages of the first flight are settled.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "format/ensure.h"
#include "publish/mirror_inside.h"

// ---- flights ----

static uint32_t flight_take(struct mirror *mirror)
{
    uint32_t flight = mirror->flight_free;
    if (flight != 0) mirror->flight_free = mirror->flights[flight].next;
    return flight;
}

static void flight_give(struct mirror *mirror, uint32_t flight)
{
    mirror->flights[flight].next = mirror->flight_free;
    mirror->flight_free = flight;
}

static uint32_t queue_of(uint32_t shard)
{
    return shard < MIRROR_SHARDS_MAX ? shard : MIRROR_SHARDS_MAX;
}

// Has the lane room for one more? Each has its part of them, so that none takes those of others.
static bool flight_room(const struct mirror *mirror, const struct mirror_lane *lane)
{
    return lane->flights < mirror->flights_each;
}

// The queue's last flight where messages may join it; 0: none. One of which nothing is under way
// waits for those before it: who is stuck tries again and again, and adds nothing. Where there is
// no room for another, they join one that is under way.
static uint32_t flight_joined(const struct mirror *mirror, const struct mirror_lane *lane,
                              uint32_t tape, uint32_t shard)
{
    uint32_t last = lane->queue[queue_of(shard)].last;
    const struct mirror_flight *flight = &mirror->flights[last];
    if (last == 0 || flight->tape != tape) return 0;
    return flight->left == 0 || !flight_room(mirror, lane) ? last : 0;
}

static uint32_t flight_begin(struct mirror *mirror, struct mirror_lane *lane, uint32_t tape,
                             uint32_t shard)
{
    uint32_t number = flight_joined(mirror, lane, tape, shard);
    if (number != 0) {
        struct mirror_flight *flight = &mirror->flights[number];
        if (flight->left++ == 0) {
            flight->sends = false;
            flight->durable_ns = 0;
        }
        return number;
    }
    if (!flight_room(mirror, lane)) return 0;
    number = flight_take(mirror);
    ensure(number != 0);
    lane->flights++;
    mirror->flights[number] = (struct mirror_flight){.left = 1,
                                                     .tape = tape,
                                                     .channel = (uint8_t)lane->channel,
                                                     .shard = (uint8_t)queue_of(shard)};
    struct mirror_queue *queue = &lane->queue[queue_of(shard)];
    if (queue->last != 0) mirror->flights[queue->last].next = number;
    if (queue->first == 0) queue->first = number;
    queue->last = number;
    return number;
}

// Of several batches the oldest one counts.
static void flight_dated(struct mirror_flight *flight, int64_t durable_ns)
{
    if (flight->durable_ns == 0) flight->durable_ns = durable_ns;
}

static void tape_through(struct mirror *mirror, const struct mirror_flight *flight)
{
    if (flight->tape - mirror->done_first < MIRROR_DONE_MAX)
        atomic_fetch_or(&mirror->done[flight->tape - mirror->done_first],
                        (uint16_t)(1u << flight->channel));
}

// A tape whose shard is not known has none that is kept: it is sent again after a restart.
static struct mirror_cursor *cursor_of(struct mirror *mirror, const struct mirror_flight *flight)
{
    if (flight->shard < MIRROR_SHARDS_MAX)
        return &mirror->state.cursor[flight->channel][flight->shard];
    return &mirror->lanes[flight->channel].unknown;
}

static void queue_settle(struct mirror *mirror, struct mirror_queue *queue)
{
    while (queue->first != 0 && mirror->flights[queue->first].left == 0) {
        const struct mirror_flight *flight = &mirror->flights[queue->first];
        struct mirror_cursor *cursor = cursor_of(mirror, flight);
        ensure(cursor->tape < flight->tape ||
               (cursor->tape == flight->tape && cursor->rows <= flight->rows));
        *cursor = (struct mirror_cursor){flight->tape, flight->rows};
        mirror->dirty = true;
        if (flight->ends) tape_through(mirror, flight);
        uint32_t next = flight->next;
        mirror->lanes[flight->channel].flights--;
        flight_give(mirror, queue->first);
        queue->first = next;
    }
    if (queue->first == 0) queue->last = 0;
}

static void flight_settle(struct mirror *mirror, uint32_t number)
{
    struct mirror_flight *flight = &mirror->flights[number];
    ensure(flight->left > 0);
    if (--flight->left > 0) return;
    if (flight->sends && flight->durable_ns != 0)
        histogram_add(&mirror->own.latency, io_monotonic_ns(mirror->io) - flight->durable_ns);
    queue_settle(mirror, &mirror->lanes[flight->channel].queue[flight->shard]);
}

void mirror_settle(struct mirror *mirror, uint64_t tag)
{
    uint32_t number = (uint32_t)(tag & 0xffff);
    ensure(number != MIRROR_TAG_RETRY);
    flight_settle(mirror, number);
}

// The lane is past rows that gave no message: the last flight takes them along.
static bool flight_extend(struct mirror *mirror, struct mirror_lane *lane, uint32_t tape,
                          uint32_t shard, uint64_t rows, bool ends)
{
    struct mirror_queue *queue = &lane->queue[queue_of(shard)];
    struct mirror_flight *last = &mirror->flights[queue->last];
    if (queue->last != 0 && last->tape == tape) {
        last->rows = rows > last->rows ? rows : last->rows;
        last->ends = last->ends || ends;
        return true;
    }
    uint32_t number = flight_begin(mirror, lane, tape, shard);
    if (number == 0) return false;
    mirror->flights[number].rows = rows;
    mirror->flights[number].ends = ends;
    flight_settle(mirror, number);
    return true;
}

// ---- positions ----

void mirror_lanes_open(struct mirror *mirror)
{
    uint32_t used = 0;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        struct mirror_lane *lane = &mirror->lanes[c];
        lane->channel = (enum channel)c;
        lane->used = (mirror->options.channels >> c & 1) != 0;
        if (lane->used) mirror->lane_mask |= (uint16_t)(1u << c);
        used += lane->used;
    }
    mirror->flights_each = (MIRROR_FLIGHTS_MAX - 1) / (used == 0 ? 1 : used);
    for (uint32_t i = MIRROR_FLIGHTS_MAX - 1; i > 0; i--) flight_give(mirror, i);
}

static void lane_rewind(struct mirror *mirror, struct mirror_lane *lane)
{
    memset(lane->position, 0, sizeof lane->position);
    memset(lane->queue, 0, sizeof lane->queue);
    lane->leftover = 0;
    lane->flights = 0;
    lane->in_flight = 0;
    lane->in_flight_bytes = 0;
    lane->blocked_ns = 0;
    lane->behind = false;
    for (uint32_t s = 0; s < mirror->options.shards; s++) {
        const struct mirror_cursor *cursor = &mirror->state.cursor[lane->channel][s];
        if (cursor->tape >= mirror->tape_base)
            lane->position[s] = (struct mirror_position){cursor->tape, cursor->rows};
    }
    if (lane->suspects == 0) return;
    // How many went together in the refused batch is not known; an eighth of what was reported
    // halves the search three times.
    uint64_t window = lane->suspects / 8;
    lane->window = window == 0 ? 1 : (uint32_t)window;
    lane->window_used = 0;
    lane->suspects = 0;
}

void mirror_lanes_rewind(struct mirror *mirror)
{
    mirror->flight_free = 0;
    for (uint32_t i = MIRROR_FLIGHTS_MAX - 1; i > 0; i--) flight_give(mirror, i);
    for (int c = 0; c < CHANNEL_COUNT; c++) lane_rewind(mirror, &mirror->lanes[c]);
    mirror->counters.in_flight = 0;
}

bool mirror_lane_in(const struct mirror *mirror, const struct mirror_lane *lane, uint32_t stream)
{
    bool earlier = lane->leftover < mirror->earlier;
    return lane->used && earlier == (stream == MIRROR_SHARDS_MAX);
}

// ---- may it send ----

// Past what was suspected, in all streams, the lane is careful no more.
static void careful_pass(struct mirror_lane *lane, uint32_t stream, uint32_t tape, uint64_t row)
{
    const struct mirror_position *last = &lane->careful[stream];
    if (tape < last->tape || (tape == last->tape && row <= last->row)) return;
    lane->careful_set[stream] = false;
    for (int s = 0; s < MIRROR_STREAMS; s++) {
        if (lane->careful_set[s]) return;
    }
    lane->window = 0;
}

// What the lane may give the producer now.
static bool lane_may(struct mirror *mirror, struct mirror_lane *lane)
{
    if (lane->in_flight_bytes >= mirror->options.queue_bytes / 2) return false;
    if (lane->in_flight >= mirror->options.queue_messages / 2) return false;
    if (lane->window == 0) return true;
    if (lane->window_used >= lane->window && lane->in_flight > 0) return false;
    if (lane->in_flight == 0) lane->window_used = 0;
    return true;
}

static bool lane_held(struct mirror *mirror, const struct mirror_lane *lane)
{
    return lane->hold_ns != 0 && io_monotonic_ns(mirror->io) < lane->hold_ns;
}

// ---- messages ----

struct row_place {
    uint32_t flight;
    uint32_t stream;
    uint64_t row; // of the tape
};

static struct event_text symbol_of(const struct tape_batch *batch, const struct rows *rows,
                                   uint32_t r)
{
    uint32_t symbol = rows->symbol[r];
    return symbol == SYMBOL_NONE ? (struct event_text){NULL, 0} : batch->symbols[symbol];
}

// False: it cannot be sent as the topic wants it, and *why says why. It is then in JSON, for people
// and for the list of refused messages; or not at all where that is too large.
static bool encode(struct mirror *mirror, const struct rows *rows, uint32_t r,
                   struct event_text symbol, struct message_place place,
                   struct producer_message *message, const char **why)
{
    const struct message_coder *coder = &mirror->coder;
    *why = "does not fit into a message";
    if (message_bytes_max(rows, r, symbol.size) > MIRROR_SCRATCH_BYTES / 2) return false;
    size_t size = message_write(coder, (enum message_format)message->format, rows, r, symbol,
                                place, mirror->scratch, why);
    bool good = size > 0;
    if (!good) {
        message->format = MESSAGE_JSON;
        size = message_write(coder, MESSAGE_JSON, rows, r, symbol, place, mirror->scratch, why);
    }
    message->value = mirror->scratch;
    message->value_size = (uint32_t)size;
    return good;
}

// Alerts that were delivered at once are not sent again.
static bool is_confirmed(const struct mirror *mirror, const struct producer_message *message)
{
    if (message->channel != CHANNEL_ALERT || mirror->options.alert_confirmed == NULL) return false;
    uint64_t identity = message_identity_hash(message->key, message->key_size, message->identity,
                                              message->identity_size);
    return mirror->options.alert_confirmed(mirror->options.alert_context, identity);
}

static void topic_refused(struct mirror *mirror, struct mirror_lane *lane, const char *cause)
{
    lane->hold_ns = io_monotonic_ns(mirror->io) + MIRROR_HOLD_NS;
    (void)snprintf(lane->cause, sizeof lane->cause, "%s", cause);
}

static void sent(struct mirror *mirror, struct mirror_lane *lane, uint32_t flight, uint32_t bytes)
{
    mirror->flights[flight].left++;
    mirror->flights[flight].sends = true;
    mirror->counters.sent++;
    mirror->counters.in_flight++;
    lane->in_flight++;
    lane->in_flight_bytes += bytes;
    lane->window_used++;
    mirror->turn++;
}

// False: not now.
static bool give(struct mirror *mirror, struct mirror_lane *lane, const struct row_place *place,
                 const struct producer_message *message, uint32_t tape)
{
    const char *cause = lane->cause;
    // Not while one is under way: it may be the last suspect, and must be judged alone.
    if (lane->careful_set[place->stream] && lane->in_flight == 0)
        careful_pass(lane, place->stream, tape, place->row);
    if (!lane_held(mirror, lane)) {
        if (!lane_may(mirror, lane)) return false;
        int result = mirror->producer->produce(mirror->producer, message, &cause);
        if (result == 0)
            sent(mirror, lane, place->flight, message->key_size + message->value_size);
        if (result == 0 || result == -ENOBUFS) return result == 0;
    }
    if (mirror->letters.size + (int64_t)mirror->letters.used > MIRROR_LETTERS_MAX_BYTES)
        return false;
    // Whole batches may be large: those that wait are written first.
    if (mirror->letters.used + message->value_size > MIRROR_LETTER_ROOM / 2) return false;
    mirror->flights[place->flight].left++;
    mirror_letter_keep(mirror, message, tape, cause);
    return true;
}

static bool send_row(struct mirror *mirror, struct mirror_lane *lane, struct row_place *place,
                     const struct tape_batch *batch, uint32_t r)
{
    char identity[MESSAGE_IDENTITY_BYTES_MAX];
    const char *why = "";
    const struct rows *rows = &batch->rows[lane->channel];
    struct event_text symbol = symbol_of(batch, rows, r);
    struct message_place where = {mirror->view.tape, place->row};
    if (mirror->decoded.row_number != NULL) where.row = mirror->decoded.row_number[r];
    struct producer_message message = {
        .channel = lane->channel,
        .format = (uint16_t)mirror->options.format[lane->channel],
        .key = symbol.size > 0 ? symbol.bytes : (const uint8_t *)"",
        .key_size = symbol.size,
        .identity = identity,
        .identity_size = (uint32_t)message_identity(rows, r, mirror->store, where, identity),
        .time_ms = rows_time_ns(rows, r) / LIMIT_MILLISECOND_NS,
        .tag = mirror_tag(place->flight, place->row),
    };
    if (is_confirmed(mirror, &message)) return true;
    if (encode(mirror, rows, r, symbol, where, &message, &why))
        return give(mirror, lane, place, &message, where.tape);
    mirror->flights[place->flight].left++;
    mirror_letter_keep(mirror, &message, where.tape, why);
    return true;
}

static uint32_t first_row_from(const uint32_t *arrival, uint32_t count, uint64_t number)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (arrival[middle] < number) low = middle + 1;
        else high = middle;
    }
    return low;
}

// Segments of several tapes may have been merged.
static bool of_another_tape(const struct mirror *mirror, uint32_t r)
{
    const uint32_t *tape = mirror->decoded.row_tape;
    return tape != NULL && tape[r] != mirror->view.tape;
}

static enum mirror_step send_batch(struct mirror *mirror, struct mirror_lane *lane,
                                   uint32_t stream, const struct tape_batch *batch)
{
    const struct mirror_view view = mirror->view;
    struct mirror_position *position = &lane->position[stream];
    struct row_place place = {.stream = stream};
    place.flight = flight_begin(mirror, lane, view.tape, view.shard);
    if (place.flight == 0) return STEP_BLOCKED;
    flight_dated(&mirror->flights[place.flight], view.durable_ns);
    const struct rows *rows = &batch->rows[lane->channel];
    const uint32_t *arrival = batch->arrival[lane->channel];
    uint64_t until = view.rows;
    uint64_t from = position->row > view.first_row ? position->row - view.first_row : 0;
    for (uint32_t r = first_row_from(arrival, rows->count, from); r < rows->count; r++) {
        place.row = view.first_row + arrival[r];
        if (of_another_tape(mirror, r)) continue;
        if (send_row(mirror, lane, &place, batch, r)) continue;
        until = place.row;
        break;
    }
    bool moved = until > position->row;
    position->row = until;
    struct mirror_flight *flight = &mirror->flights[place.flight];
    flight->rows = until;
    flight_settle(mirror, place.flight);
    if (until == view.rows) return STEP_MOVED;
    return moved ? STEP_MOVED : STEP_BLOCKED;
}

// ---- whole batches ----

// The batch as it stands on the tape, with rows that went out before where it was written again
// with more of them. False: it is damaged.
static bool whole(struct mirror *mirror, struct producer_message *message, char *identity)
{
    const struct mirror_view *view = &mirror->view;
    const struct message_place first = {view->tape, view->first_row};
    struct layout_batch header;
    message->value = view->bytes;
    message->value_size = view->size;
    if (view->remade != NULL && !mirror_remade_encode(mirror, message)) return false;
    if (tape_decode_header(message->value, message->value_size, &header) != TAPE_GOOD)
        return false;
    message->time_ms = header.time_max / LIMIT_MILLISECOND_NS;
    message->identity = identity;
    message->identity_size = (uint32_t)message_batch_identity(mirror->store, first, view->rows,
                                                              identity);
    return true;
}

static enum mirror_step send_whole(struct mirror *mirror, struct mirror_lane *lane,
                                   uint32_t stream, struct producer_message *message)
{
    const struct mirror_view view = mirror->view;
    struct mirror_position *position = &lane->position[stream];
    struct row_place place = {.stream = stream, .row = view.rows - 1};
    place.flight = flight_begin(mirror, lane, view.tape, view.shard);
    if (place.flight == 0) return STEP_BLOCKED;
    flight_dated(&mirror->flights[place.flight], view.durable_ns);
    message->channel = lane->channel;
    message->format = MESSAGE_BATCH;
    message->key = mirror->store; // one key: one partition, so one order over all shards
    message->key_size = MESSAGE_STORE_HEX_BYTES - 1;
    message->tag = mirror_tag(place.flight, place.row);
    bool taken = give(mirror, lane, &place, message, view.tape);
    if (taken) position->row = view.rows;
    mirror->flights[place.flight].rows = position->row;
    flight_settle(mirror, place.flight);
    return taken ? STEP_MOVED : STEP_BLOCKED;
}

// ---- batches ----

static enum mirror_step lane_batch(struct mirror *mirror, struct mirror_lane *lane,
                                   uint32_t stream)
{
    const struct mirror_view view = mirror->view;
    const struct tape_batch *batch = NULL;
    struct producer_message message = {0};
    char identity[MESSAGE_IDENTITY_BYTES_MAX];
    if (lane->channel == MESSAGE_BATCHES && view.channels != 0) {
        if (whole(mirror, &message, identity)) return send_whole(mirror, lane, stream, &message);
        mirror_tell_lost(mirror, view.tape, "a damaged batch", view.rows - view.first_row);
    }
    if (view.channels >> lane->channel & 1) batch = mirror_decode(mirror);
    if (batch != NULL) return send_batch(mirror, lane, stream, batch);
    if (!flight_extend(mirror, lane, view.tape, view.shard, view.rows, false))
        return STEP_BLOCKED;
    lane->position[stream].row = view.rows;
    return STEP_MOVED;
}

static enum mirror_step lane_next(struct mirror *mirror, struct mirror_lane *lane, uint32_t stream)
{
    struct mirror_position old = lane->position[stream];
    uint32_t shard = 0;
    if (old.tape != 0) shard = mirror_stream_shard(mirror, lane, stream);
    // The last flight must tell that the tape is through, or it would stay until the next start.
    if (old.tape != 0 && !flight_room(mirror, lane)) return STEP_BLOCKED;
    if (!mirror_next_tape(mirror, lane, stream)) return STEP_IDLE;
    if (old.tape != 0) ensure(flight_extend(mirror, lane, old.tape, shard, old.row, true));
    return STEP_MOVED;
}

enum mirror_step mirror_lane_step(struct mirror *mirror, struct mirror_lane *lane, uint32_t stream)
{
    switch (mirror_fetch(mirror, lane, stream)) {
    case FETCH_BATCH: return lane_batch(mirror, lane, stream);
    case FETCH_END: return lane_next(mirror, lane, stream);
    case FETCH_SKIP: return STEP_MOVED;
    case FETCH_NONE:
    case FETCH_WAIT: break;
    }
    return STEP_IDLE;
}

// ---- reports ----

static void suspect(struct mirror *mirror, struct mirror_lane *lane,
                    const struct mirror_flight *flight, uint64_t row)
{
    uint32_t stream = flight->shard;
    if (flight->tape < mirror->tape_base) stream = MIRROR_SHARDS_MAX;
    struct mirror_position *last = &lane->careful[stream];
    bool later = !lane->careful_set[stream] || flight->tape > last->tape ||
                 (flight->tape == last->tape && row > last->row);
    if (later) *last = (struct mirror_position){flight->tape, row};
    lane->careful_set[stream] = true;
    lane->suspects++;
}

void mirror_report(void *context, const struct producer_report *report)
{
    struct mirror *mirror = context;
    uint32_t number = (uint32_t)(report->tag & 0xffff);
    if (number == MIRROR_TAG_RETRY) {
        mirror_retry_report(mirror, report);
        return;
    }
    struct mirror_flight *flight = &mirror->flights[number];
    struct mirror_lane *lane = &mirror->lanes[flight->channel];
    ensure(lane->in_flight > 0 && mirror->counters.in_flight > 0);
    bool alone = lane->window == 1;
    lane->in_flight--;
    lane->in_flight_bytes -= report->bytes;
    mirror->counters.in_flight--;
    if (report->verdict == PRODUCER_DELIVERED) {
        mirror->counters.delivered++;
        mirror->state.delivered[lane->channel]++;
        flight_settle(mirror, number);
    } else if (report->verdict == PRODUCER_REFUSED ||
               (report->verdict == PRODUCER_SUSPECT && alone)) {
        if (report->verdict == PRODUCER_REFUSED) topic_refused(mirror, lane, report->cause);
        mirror_letter_return(mirror, report, flight->tape);
        // More may be refused: begin the search anew behind this one.
        if (alone) lane->window = 64;
    } else if (report->verdict == PRODUCER_SUSPECT) {
        suspect(mirror, lane, flight, report->tag >> 16);
    }
}
