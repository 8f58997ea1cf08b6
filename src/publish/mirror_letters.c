// SPDX-License-Identifier: GPL-3.0-or-later
//
// Messages refused for good. They are gathered in memory, appended to STORE/mirror/dead durably,
// and only then settled, so that the cursor never passes a message that is neither delivered nor
// kept. While any wait nothing new is sent: what can come is bounded by what is under way.
//
// Retry: who wants it makes STORE/mirror/retry. Then dead becomes dead.retry, its letters are sent,
// those that are refused again go to the new dead, and dead.retry is removed. A crash on the
// way sends some of them twice.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "publish/mirror_inside.h"

enum { RETRY_FLYING_MAX = 1000, LETTER_READ_BYTES = 1 << 20 };

// ---- keeping ----

static void tell_refused(struct mirror *mirror, const struct producer_message *message,
                         uint32_t tape, const char *cause)
{
    char detail[KEEP_NEWS_BYTES];
    (void)snprintf(detail, sizeof detail, "%s, row %" PRIu64 " of tape %" PRIu32 ": %s",
                   message_topic(message->channel), message->tag >> 16, tape, cause);
    mirror_say(mirror, LOG_LETTER_KEPT, detail);
    keep_store_tell(mirror->options.store, STATUS_MESSAGE_REFUSED, detail);
}

void mirror_letter_keep(struct mirror *mirror, const struct producer_message *message,
                        uint32_t tape, const char *cause)
{
    struct mirror_letters *letters = &mirror->letters;
    const struct mirror_letter letter = {
        .channel = message->channel,
        .format = message->format,
        .time_ms = message->time_ms,
        .refused_ns = io_utc_ns(mirror->io),
        .tape = tape,
        .row = message->tag >> 16,
        .key = {message->key, message->key_size},
        .identity = {message->identity, message->identity_size},
        .cause = {(const uint8_t *)cause, (uint32_t)strlen(cause)},
        .value = {message->value, message->value_size},
    };
    size_t size = mirror_letter_bytes(&letter);
    ensure(letters->used + size <= MIRROR_LETTER_ROOM);
    ensure(letters->tag_count < MIRROR_TAGS_MAX);
    if (letters->used == 0 && mirror->counters.letters == 0)
        tell_refused(mirror, message, tape, cause);
    mirror_letter_write(&letter, letters->room + letters->used);
    letters->used += size;
    letters->tags[letters->tag_count++] = message->tag;
    mirror->counters.refused++;
    mirror->counters.letters++;
    mirror->state.refused[message->channel]++;
}

void mirror_letter_return(struct mirror *mirror, const struct producer_report *report,
                          uint32_t tape)
{
    struct producer_message message = *report->message;
    // Not what the topic has now: a letter sent again may be older than the configuration.
    message.format = (uint16_t)message_format_of(message.value, message.value_size);
    message.time_ms = message_time_ns(message.value, message.value_size) / LIMIT_MILLISECOND_NS;
    mirror_letter_keep(mirror, &message, tape, report->cause);
}

static void settle_written(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    letters->size += (int64_t)letters->writing;
    letters->used -= letters->writing;
    memmove(letters->room, letters->room + letters->writing, letters->used);
    for (uint32_t i = 0; i < letters->tags_writing; i++) {
        if ((letters->tags[i] & 0xffff) != MIRROR_TAG_RETRY)
            mirror_settle(mirror, letters->tags[i]);
    }
    letters->tag_count -= letters->tags_writing;
    memmove(letters->tags, letters->tags + letters->tags_writing,
            letters->tag_count * sizeof *letters->tags);
}

static void write_done(struct io *io, struct io_op *op)
{
    (void)io;
    struct mirror_letters *letters = io_owner(op, struct mirror_letters, op);
    struct mirror *mirror = (struct mirror *)((char *)letters - offsetof(struct mirror, letters));
    letters->busy = false;
    letters->failed = op->result < 0;
    if (letters->failed)
        mirror_say(mirror, LOG_LETTERS_UNKEPT, strerror((int)-op->result));
    else
        settle_written(mirror);
    mirror_pump(mirror);
}

static void write_start(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    size_t part = letters->used;
    letters->busy = true;
    letters->writing = part;
    letters->tags_writing = letters->tag_count;
    io_write(mirror->io, &letters->op, letters->handle, letters->room, (uint32_t)part,
             letters->size, IO_WRITE_DURABLE, write_done);
}

// ---- the file ----

// Bytes of the letter where the good ones before it end; 0: there is none; negative: errno. A read
// that failed, or brought wrong bytes, would let the next letters be written over good ones: it is
// tried again.
static int64_t scan_one(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    struct mirror_letter letter;
    uint8_t *room = mirror->scratch;
    size_t size = 0;
    int64_t got = 1;
    for (int i = 0; i < SOURCE_TRIES && size == 0 && got != 0; i++) {
        if (i > 0) io_read_afresh(mirror->io, letters->handle);
        got = io_read_now(mirror->io, letters->handle, room, LETTER_READ_BYTES, letters->size);
        size = got > 0 ? mirror_letter_read(&letter, room, (size_t)got) : 0;
        if (size > 0 || got < LETTER_READ_BYTES) continue;
        got = io_read_now(mirror->io, letters->handle, room, MIRROR_SCRATCH_BYTES, letters->size);
        size = got > 0 ? mirror_letter_read(&letter, room, (size_t)got) : 0;
    }
    return got < 0 ? got : (int64_t)size;
}

// Where the good letters end.
static void scan(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    int64_t size;
    letters->size = 0;
    mirror->counters.letters = letters->tag_count;
    while ((size = scan_one(mirror)) > 0) {
        letters->size += size;
        mirror->counters.letters++;
    }
    letters->scanned = size == 0;
    letters->failed = size < 0;
    if (letters->failed) mirror_say(mirror, LOG_LETTERS_UNOPENED, strerror((int)-size));
}

static void file_opened(struct io *io, struct io_op *op)
{
    (void)io;
    struct mirror_letters *letters = io_owner(op, struct mirror_letters, op);
    struct mirror *mirror = (struct mirror *)((char *)letters - offsetof(struct mirror, letters));
    letters->busy = false;
    letters->failed = op->result < 0;
    if (letters->failed)
        mirror_say(mirror, LOG_LETTERS_UNOPENED, strerror((int)-op->result));
    else
        letters->handle = (int)op->result;
    if (letters->handle >= 0 && !letters->failed) scan(mirror);
    mirror_pump(mirror);
}

static void file_closed(struct io *io, struct io_op *op)
{
    (void)io;
    struct mirror_letters *letters = io_owner(op, struct mirror_letters, op);
    struct mirror *mirror = (struct mirror *)((char *)letters - offsetof(struct mirror, letters));
    letters->busy = false;
    letters->handle = -1;
    letters->scanned = false;
    mirror_pump(mirror);
}

static void file_open(struct mirror *mirror)
{
    mirror->letters.busy = true;
    io_open(mirror->io, &mirror->letters.op, mirror->letters.path, IO_OPEN_READ | IO_OPEN_WRITE,
            file_opened);
}

static void file_close(struct mirror *mirror)
{
    mirror->letters.busy = true;
    io_close(mirror->io, &mirror->letters.op, mirror->letters.handle, file_closed);
}

// ---- again ----

static void retry_step(void *context, int result, const char *path)
{
    struct mirror *mirror = context;
    struct mirror_letters *letters = &mirror->letters;
    letters->busy = false;
    if (result < 0) {
        mirror_say(mirror, LOG_LETTERS_UNSENT, path);
        letters->failed = true;
        if (letters->retry == RETRY_MOVING) letters->retry = RETRY_ASKED;
    } else if (letters->retry == RETRY_MOVING) {
        letters->retry = RETRY_READING;
    } else if (letters->retry == RETRY_READING) {
        letters->retry_at = 0;
        letters->retry = RETRY_SENDING;
    } else if (letters->retry == RETRY_ENDING) {
        free(letters->retry_bytes);
        letters->retry_bytes = NULL;
        letters->retry = RETRY_NONE;
    }
    mirror_pump(mirror);
}

static void retry_run(struct mirror *mirror)
{
    mirror->letters.busy = true;
    file_script_sync_directory(mirror->letters.script, mirror->letters.directory);
    file_script_run(mirror->letters.script, mirror->io, retry_step, mirror);
}

// dead.retry of a retry that a crash cut short comes first.
static void retry_move(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    if (letters->handle >= 0) {
        file_close(mirror);
        return;
    }
    letters->retry = RETRY_MOVING;
    file_script_begin(letters->script);
    file_script_unlink(letters->script, letters->ask_path);
    if (io_file_size(mirror->io, letters->retry_path) < 0) {
        file_script_rename(letters->script, letters->path, letters->retry_path);
        file_script_write(letters->script, letters->path, "", 0);
    }
    retry_run(mirror);
}

static void retry_read(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    int64_t size = io_file_size(mirror->io, letters->retry_path);
    free(letters->retry_bytes);
    letters->retry_bytes = size >= 0 && size < INT32_MAX ? malloc((size_t)size + 1) : NULL;
    if (letters->retry_bytes == NULL) {
        mirror_say(mirror, LOG_LETTERS_UNSENT, "no memory for their file");
        letters->failed = true;
        return;
    }
    file_script_begin(letters->script);
    file_script_read(letters->script, letters->retry_path, letters->retry_bytes,
                     (uint32_t)size + 1, &letters->retry_size);
    retry_run(mirror);
}

static void retry_end(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    if (letters->retry_flying > 0 || letters->used > 0) return;
    letters->retry = RETRY_ENDING;
    file_script_begin(letters->script);
    file_script_unlink(letters->script, letters->retry_path);
    retry_run(mirror);
}

static void retry_send(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    struct mirror_letter letter;
    while (letters->retry_flying < RETRY_FLYING_MAX && letters->used == 0) {
        size_t size = mirror_letter_read(&letter, letters->retry_bytes + letters->retry_at,
                                         letters->retry_size - letters->retry_at);
        if (size == 0 || letter.channel >= CHANNEL_COUNT) {
            retry_end(mirror);
            return;
        }
        const struct producer_message message = {.channel = (enum channel)letter.channel,
                                                 .format = letter.format,
                                                 .key = letter.key.bytes,
                                                 .key_size = letter.key.size,
                                                 .value = letter.value.bytes,
                                                 .value_size = letter.value.size,
                                                 .identity = letter.identity.bytes,
                                                 .identity_size = letter.identity.size,
                                                 .time_ms = letter.time_ms,
                                                 .tag = mirror_tag(MIRROR_TAG_RETRY, letter.row)};
        const char *cause = "";
        int result = mirror->producer->produce(mirror->producer, &message, &cause);
        if (result == -ENOBUFS) return;
        if (result == 0) letters->retry_flying++;
        else mirror_letter_keep(mirror, &message, letter.tape, cause);
        letters->retry_at += size;
    }
}

void mirror_retry_report(struct mirror *mirror, const struct producer_report *report)
{
    struct mirror_letters *letters = &mirror->letters;
    ensure(letters->retry_flying > 0);
    letters->retry_flying--;
    if (report->verdict == PRODUCER_REFUSED || report->verdict == PRODUCER_SUSPECT)
        mirror_letter_return(mirror, report, 0);
}

void mirror_retry_rewind(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    letters->retry_flying = 0;
    if (letters->retry == RETRY_SENDING) letters->retry_at = 0;
}

static void retry_pump(struct mirror *mirror)
{
    switch (mirror->letters.retry) {
    case RETRY_ASKED: retry_move(mirror); return;
    case RETRY_READING: retry_read(mirror); return;
    case RETRY_SENDING:
        if (mirror->producer != NULL && !mirror->rewinding) retry_send(mirror);
        return;
    case RETRY_NONE:
    case RETRY_MOVING:
    case RETRY_ENDING: return;
    }
}

// ---- life ----

void mirror_letters_pump(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    if (letters->busy || letters->failed) return;
    bool moving = letters->retry == RETRY_ASKED || letters->retry == RETRY_MOVING;
    if (letters->handle < 0 && !moving) {
        if (!mirror->stopping || letters->used > 0) file_open(mirror);
    } else if (letters->handle >= 0 && !letters->scanned) {
        scan(mirror);
    } else if (letters->used > 0 && letters->handle >= 0) {
        write_start(mirror);
    } else if (!mirror->stopping) {
        retry_pump(mirror);
    }
}

void mirror_letters_tick(struct mirror *mirror)
{
    struct mirror_letters *letters = &mirror->letters;
    letters->failed = false;
    if (letters->retry == RETRY_NONE && io_file_size(mirror->io, letters->ask_path) >= 0)
        letters->retry = RETRY_ASKED;
}

bool mirror_letters_idle(const struct mirror *mirror)
{
    return mirror->letters.used == 0;
}

bool mirror_letters_stop(struct mirror *mirror)
{
    if (mirror->letters.busy) return false;
    if (mirror->letters.handle < 0) return true;
    file_close(mirror);
    return false;
}

int mirror_letters_open(struct mirror *mirror, struct io *start)
{
    struct mirror_letters *letters = &mirror->letters;
    const char *store = keep_store_path(mirror->options.store);
    const size_t room = KEEP_FILE_NAME_BYTES_MAX;
    letters->handle = -1;
    (void)snprintf(letters->directory, room, "%s/mirror", store);
    (void)snprintf(letters->path, room, "%s/mirror/dead", store);
    (void)snprintf(letters->retry_path, room, "%s/mirror/dead.retry", store);
    (void)snprintf(letters->ask_path, room, "%s/mirror/retry", store);
    if (io_file_size(start, letters->retry_path) >= 0) letters->retry = RETRY_ASKED;
    if (io_file_size(start, letters->path) >= 0) return 0;
    file_script_begin(letters->script);
    file_script_write(letters->script, letters->path, "", 0);
    file_script_sync_directory(letters->script, letters->directory);
    return file_script_run_now(letters->script, start);
}

void mirror_letters_close(struct mirror *mirror)
{
    free(mirror->letters.retry_bytes);
}
