// SPDX-License-Identifier: GPL-3.0-or-later
//
// Segments that another program made (keep_incoming.h) become part of the store:
//
//     handover read → checked → its files renamed into segment/ → catalogue swapped → handover gone
//
// A crash before the swap leaves the handover, and files in segment/ that the sweep at the start
// spares for its sake: it is done again. A crash behind the swap leaves a handover whose segments
// are listed, of which only the handover is left to be removed; nothing merges before that, since
// handovers come before merges.
//
// Numbers. next_segment of the catalogue moves beyond them and is durable before they are given.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "format/ensure.h"
#include "keep/sealer_inside.h"

#define LOOK_NS LIMIT_SECOND_NS

int sealer_incoming_open(struct sealer *sealer)
{
    return catalogue_init(&sealer->incoming.listed, keep_store_identity(sealer->store));
}

void sealer_incoming_deinit(struct sealer *sealer)
{
    if (sealer->incoming.listed.segments)
        catalogue_free(&sealer->incoming.listed);
}

static void say(struct sealer *sealer, enum log_message message, const char *cause)
{
    if (sealer->log)
        log_write(sealer->log, message, io_utc_ns(sealer->io),
                  "handover=%08" PRIu32 " cause=\"%s\"", sealer->incoming.handover, cause);
}

static void give_up(struct sealer *sealer, const char *cause)
{
    say(sealer, LOG_HISTORY_FAILED, cause);
    sealer->counters.failures++;
    sealer->incoming.handover = 0;
    sealer->made_count = 0;
    sealer_next(sealer);
}

// ---- checking ----

static bool is_listed(const struct catalogue *catalogue, uint32_t number)
{
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        if (catalogue->segments[i].number == number)
            return true;
    }
    return false;
}

// Its file waits, or was renamed by an attempt before this one.
static bool is_there(struct sealer *sealer, const struct catalogue_segment *segment)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    keep_incoming_segment_path(keep_store_path(sealer->store), segment, "segment", path);
    int64_t size = io_file_size(sealer->io, path);
    if (size == -ENOENT) {
        sealer_segment_path(sealer, segment, "segment", path);
        size = io_file_size(sealer->io, path);
    }
    return size >= 0 && (uint64_t)size == segment->bytes;
}

// NULL: it fits. *done: everything is in the catalogue already.
static const char *judge(struct sealer *sealer, bool *done)
{
    const struct catalogue *listed = &sealer->incoming.listed;
    uint32_t known = 0;
    if (memcmp(listed->store, keep_store_identity(sealer->store), sizeof listed->store) != 0)
        return "it is of another store";
    if (listed->segment_count == 0 || listed->segment_count > KEEP_INCOMING_SEGMENTS_MAX ||
        listed->tape_count > 0)
        return "it does not list between 1 and 64 segments";
    for (uint32_t i = 0; i < listed->segment_count; i++) {
        const struct catalogue_segment *segment = &listed->segments[i];
        if (segment->number >= sealer->catalogue->next_segment || segment->tape_last != 0)
            return "a segment has a number that was not given";
        bool listed_now = is_listed(sealer->catalogue, segment->number);
        known += listed_now;
        if (!listed_now && !is_there(sealer, segment))
            return "the file of a segment is missing or has another size";
    }
    *done = known == listed->segment_count;
    return known > 0 && !*done ? "some of its segments are in the store, others are not" : NULL;
}

// ---- leaving ----

void sealer_incoming_remove(struct sealer *sealer, struct file_script *script)
{
    struct sealer_incoming *incoming = &sealer->incoming;
    const char *store = keep_store_path(sealer->store);
    char path[KEEP_FILE_NAME_BYTES_MAX];
    if (incoming->handover != 0) {
        keep_incoming_handover_path(store, incoming->handover, "handover", path);
        file_script_unlink(script, path);
    } else {
        int size = snprintf(incoming->text, sizeof incoming->text, "%" PRIu32 " %d\n",
                            incoming->numbers, KEEP_INCOMING_NUMBERS);
        ensure(size > 0);
        keep_incoming_path(store, "numbers", path);
        file_script_replace(script, path, incoming->text, (uint32_t)size);
        keep_incoming_path(store, "numbers.wanted", path);
        file_script_unlink(script, path);
    }
    keep_incoming_path(store, "", path);
    file_script_sync_directory(script, path);
}

void sealer_incoming_removed(struct sealer *sealer, int result)
{
    struct sealer_incoming *incoming = &sealer->incoming;
    if (result == 0 && incoming->handover != 0) {
        uint64_t rows = 0;
        for (uint32_t i = 0; i < sealer->made_count; i++)
            rows += sealer->made[i].rows;
        sealer->counters.taken_in++;
        if (sealer->log)
            log_write(sealer->log, LOG_HISTORY_TAKEN, io_utc_ns(sealer->io),
                      "handover=%08" PRIu32 " segments=%" PRIu32 " rows=%" PRIu64,
                      incoming->handover, sealer->made_count, rows);
    }
    incoming->handover = incoming->numbers = 0;
    incoming->due_ns = 0; // there may be another
}

static void refused(void *context, int result, const char *path)
{
    struct sealer *sealer = context;
    (void)path;
    if (result < 0) {
        give_up(sealer, strerror(-result));
        return;
    }
    sealer->incoming.handover = 0;
    sealer->incoming.due_ns = 0;
    sealer_next(sealer);
}

static void refuse(struct sealer *sealer, const char *ending, const char *cause)
{
    const char *store = keep_store_path(sealer->store);
    char path[KEEP_FILE_NAME_BYTES_MAX];
    char to[KEEP_FILE_NAME_BYTES_MAX];
    say(sealer, LOG_HISTORY_REFUSED, cause);
    keep_incoming_handover_path(store, sealer->incoming.handover, "handover", path);
    keep_incoming_handover_path(store, sealer->incoming.handover, ending, to);
    file_script_begin(&sealer->script);
    file_script_rename(&sealer->script, path, to);
    keep_incoming_path(store, "", path);
    file_script_sync_directory(&sealer->script, path);
    file_script_run(&sealer->script, sealer->io, refused, sealer);
}

// ---- taking in ----

static void moved(void *context, int result, const char *path)
{
    struct sealer *sealer = context;
    (void)path;
    if (result < 0)
        give_up(sealer, strerror(-result));
    else if (sealer->stopping) {
        sealer->incoming.handover = sealer->made_count = 0;
        sealer_next(sealer);
    } else
        sealer_swap(sealer);
}

// The index first: a segment under its final name always has one.
static void move_segment(struct sealer *sealer, const struct catalogue_segment *segment)
{
    static const char *const endings[] = {"index", "segment"};
    char from[KEEP_FILE_NAME_BYTES_MAX];
    char to[KEEP_FILE_NAME_BYTES_MAX];
    for (size_t e = 0; e < sizeof endings / sizeof *endings; e++) {
        keep_incoming_segment_path(keep_store_path(sealer->store), segment, endings[e], from);
        sealer_segment_path(sealer, segment, endings[e], to);
        if (io_file_size(sealer->io, from) >= 0)
            file_script_rename(&sealer->script, from, to);
    }
    *strrchr(to, '/') = 0;
    file_script_sync_directory(&sealer->script, to);
}

// The days' folders, durable before anything is moved into them: a file must not go with one.
static void make_days(struct sealer *sealer)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    const struct catalogue *listed = &sealer->incoming.listed;
    for (uint32_t i = 0; i < listed->segment_count; i++) {
        sealer_segment_path(sealer, &listed->segments[i], "segment", path);
        *strrchr(path, '/') = 0;
        file_script_mkdir(&sealer->script, path);
    }
    (void)snprintf(path, sizeof path, "%.900s/segment", keep_store_path(sealer->store));
    file_script_sync_directory(&sealer->script, path);
}

static void take_in(struct sealer *sealer)
{
    const struct catalogue *listed = &sealer->incoming.listed;
    file_script_begin(&sealer->script);
    make_days(sealer);
    for (uint32_t i = 0; i < listed->segment_count; i++) {
        sealer->made[sealer->made_count++] = listed->segments[i];
        move_segment(sealer, &listed->segments[i]);
    }
    file_script_run(&sealer->script, sealer->io, moved, sealer);
}

static void handover_read(void *context, int result, const char *path)
{
    struct sealer *sealer = context;
    struct sealer_incoming *incoming = &sealer->incoming;
    bool done = false;
    (void)path;
    if (result < 0) {
        give_up(sealer, strerror(-result));
        return;
    }
    const char *cause = catalogue_parse(&incoming->listed, incoming->text, incoming->text_size) == 0
                            ? judge(sealer, &done)
                            : "it is damaged";
    bool stale = !cause && !done && keep_incoming_life(incoming->life, incoming->life_size) !=
                                        incoming->listed.generation;
    ensure(sealer->made_count == 0);
    if (cause)
        refuse(sealer, "refused", cause);
    else if (stale)
        refuse(sealer, "stale", "it was made before the recorder was started; it is made again");
    else if (done)
        sealer_remove_inputs(sealer);
    else
        take_in(sealer);
}

// ---- beginning ----

static void give_numbers(struct sealer *sealer)
{
    sealer->incoming.handover = 0;
    sealer->incoming.numbers = sealer->catalogue->next_segment;
    sealer->catalogue->next_segment += KEEP_INCOMING_NUMBERS;
    sealer_swap(sealer);
}

bool sealer_incoming_start(struct sealer *sealer)
{
    struct sealer_incoming *incoming = &sealer->incoming;
    int64_t now_ns = io_monotonic_ns(sealer->io);
    char path[KEEP_FILE_NAME_BYTES_MAX];
    if (now_ns < incoming->due_ns || sealer->stopping)
        return false;
    incoming->due_ns = now_ns + LOOK_NS;
    const struct keep_incoming found =
        keep_incoming_look(sealer->io, keep_store_path(sealer->store));
    if (!found.numbers_wanted && found.handover == 0)
        return false;
    sealer->counters.idle = false;
    if (found.numbers_wanted) {
        give_numbers(sealer);
        return true;
    }
    sealer_enter(sealer, SEALER_OPENING);
    incoming->handover = found.handover;
    keep_incoming_handover_path(keep_store_path(sealer->store), found.handover, "handover", path);
    file_script_begin(&sealer->script);
    file_script_read(&sealer->script, path, incoming->text, sizeof incoming->text,
                     &incoming->text_size);
    incoming->life_size = 0;
    (void)snprintf(path, sizeof path, "%.900s/ledger/base", keep_store_path(sealer->store));
    if (io_file_size(sealer->io, path) >= 0)
        file_script_read(&sealer->script, path, incoming->life, sizeof incoming->life,
                         &incoming->life_size);
    file_script_run(&sealer->script, sealer->io, handover_read, sealer);
    return true;
}
