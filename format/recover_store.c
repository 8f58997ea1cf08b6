// SPDX-License-Identifier: Apache-2.0
//
//     recover_find     identity, catalogue, files
//     read_tapes       every tape is read; where segments are unsure, the keys of its rows kept
//     recover_look_up  tapes whose rows are all in segments are dropped
//     recover_segments kept, dropped or made anew, group by group
//     write_tapes      kept, or made anew
//     catalogue        the last thing written: before it the new store counts for nothing
//
// In place the tapes come after the catalogue, each replaced by one rename; a tape made anew gives
// the same rows as the damaged one, so the order only decides what a crash leaves to be done again.
#include "format/recover_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/ensure.h"
#include "format/recover_inside.h"

// ---- telling ----

void recover_lost(void *context, const struct recover_loss *loss)
{
    struct recover *recover = context;
    recover->result->losses++;
    recover->result->rows_lost += loss->rows;
    if (recover->options->lost)
        recover->options->lost(recover->options->context, loss);
}

void recover_note(struct recover *recover, const char *path, const char *what)
{
    recover->result->notes++;
    if (recover->options->note)
        recover->options->note(recover->options->context, path, what);
}

void recover_advance(struct recover *recover, uint64_t bytes)
{
    recover->bytes_done += bytes;
    ensure(recover->options->from);
    if (recover->options->progress)
        recover->options->progress(recover->options->context, recover->bytes_done,
                                   recover->bytes_total);
}

static const char *error_text(int error)
{
    return error == -EPROTONOSUPPORT ? "written by a newer version of ringtape: recover with that"
                                     : strerror(-error);
}

int recover_complain(struct recover *recover, int error, const char *path, const char *what)
{
    ensure(error < 0);
    if (recover->message && recover->message->text[0] == 0)
        (void)snprintf(recover->message->text, sizeof recover->message->text, "%.900s/%.200s: %s",
                       recover->options->from, path, what ? what : error_text(error));
    return error;
}

// ---- the places ----

// A daemon holds the lock while it runs.
static int take_lock(struct recover *recover)
{
    char path[RECOVER_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%.1000s/lock", recover->options->from);
    int flags = recover->in_place ? O_RDWR | O_CREAT : O_RDONLY;
    recover->lock = open(path, flags | O_CLOEXEC, 0644);
    if (recover->lock < 0 && errno == EISDIR) {
        int error = recover_write(recover->options->from, "lock", "", 0);
        if (error < 0)
            return recover_complain(recover, error, "lock", NULL);
        recover_note(recover, "lock", RECOVER_NOT_A_FILE "; made anew");
        recover->lock = open(path, flags | O_CLOEXEC, 0644);
    }
    if (recover->lock < 0)
        return recover->in_place ? recover_complain(recover, -errno, "lock", NULL) : 0;
    if (flock(recover->lock, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return recover_complain(recover, -EBUSY, "", "in use by a ringtaped; stop it first");
}

// A store that is only read must not get another one into it.
static int target_is_outside(const struct recover *recover)
{
    char parent[RECOVER_PATH_BYTES_MAX];
    char store[PATH_MAX];
    char folder[PATH_MAX];
    (void)snprintf(parent, sizeof parent, "%.1000s", recover->to);
    if (!realpath(recover->options->from, store) || !realpath(dirname(parent), folder))
        return -errno;
    size_t size = strlen(store);
    bool inside = strncmp(folder, store, size) == 0 && (folder[size] == '/' || folder[size] == 0);
    return inside ? -EINVAL : 0;
}

static int check_target(struct recover *recover)
{
    DIR *folder = opendir(recover->to);
    bool empty = true;
    if (!folder && errno == ENOENT)
        return mkdir(recover->to, 0755) == 0 ? 0 : -errno;
    if (!folder)
        return -errno;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = false;
    }
    (void)closedir(folder);
    return empty ? 0 : -ENOTEMPTY;
}

static int make_target(struct recover *recover)
{
    int error = recover->in_place ? 0 : target_is_outside(recover);
    const char *what = error == -EINVAL ? "inside the damaged store; choose a folder elsewhere"
                                        : NULL;
    if (error == 0 && !recover->in_place)
        error = check_target(recover);
    if (error < 0 && recover->message)
        (void)snprintf(recover->message->text, sizeof recover->message->text, "%.900s: %s",
                       recover->to, what ? what : strerror(-error));
    const char *const folders[] = {"tape", "segment", "quarantine"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders && error == 0; i++)
        error = recover_folder(recover->to, folders[i]);
    return error;
}

static int put_aside(const struct recover *recover, const char *relative)
{
    char from[RECOVER_PATH_BYTES_MAX];
    char to[RECOVER_PATH_BYTES_MAX];
    const char *name = strrchr(relative, '/');
    ensure(name && recover->in_place);
    (void)snprintf(from, sizeof from, "%.1000s/%.100s", recover->to, relative);
    (void)snprintf(to, sizeof to, "%.1000s/quarantine%.100s", recover->to, name);
    return rename(from, to) == 0 || errno == ENOENT ? 0 : -errno;
}

int recover_put_aside_later(struct recover *recover, const char *relative)
{
    size_t bytes = (recover->aside_count + 1u) * sizeof *recover->aside;
    void *grown = realloc(recover->aside, bytes);
    ensure(strlen(relative) < sizeof *recover->aside);
    if (!grown)
        return -ENOMEM;
    recover->aside = grown;
    memcpy(recover->aside[recover->aside_count++], relative, strlen(relative) + 1);
    return 0;
}

static int put_all_aside(const struct recover *recover)
{
    int error = 0;
    for (uint32_t i = 0; i < recover->aside_count && error == 0; i++)
        error = put_aside(recover, recover->aside[i]);
    return error;
}

// ---- tapes ----

static int keep_keys(void *context, uint32_t number, const struct tape_batch *batch, uint32_t from)
{
    struct recover *recover = context;
    uint32_t index = 0;
    while (recover->tapes[index].number != number)
        index++;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct rows *rows = &batch->rows[c];
        for (uint32_t r = 0; r < rows->count; r++) {
            uint32_t arrival = batch->arrival[c][r];
            bool added;
            if (arrival < from)
                continue;
            uint32_t symbol = rows->symbol[r];
            struct event_text name = {0};
            if (symbol != SYMBOL_NONE)
                name = batch->symbols[symbol];
            struct recover_key key = recover_key(recover->keyer, rows, r, name, number,
                                                 batch->header.first_row + arrival);
            if (!recover_set_put(&recover->in_tapes, key, index, &added))
                return -ENOMEM;
            if (!added)
                recover->tapes[index].rows_sealed++; // in another tape, or twice in this one
        }
    }
    return 0;
}

static void find_ends(struct recover *recover)
{
    for (uint32_t t = 0; t < recover->tape_count; t++) {
        uint8_t sector[LAYOUT_SECTOR];
        char path[CATALOGUE_PATH_BYTES_MAX];
        struct recover_file file;
        struct layout_tape header;
        const struct layout_tape_end *ends;
        int64_t got;
        catalogue_tape_path(recover->tapes[t].number, "tape", path);
        if (recover_file_open(&file, recover->options->from, path) < 0)
            continue;
        struct source source = recover_file_source(&file);
        const uint8_t *bytes = source_get(&source, 0, sizeof sector, sector, &got);
        uint32_t count = 0;
        if (bytes && tape_header_decode(bytes, (size_t)got, &header) == TAPE_GOOD)
            count = tape_header_ends(&header, &ends);
        for (uint32_t i = 0; i < recover->tape_count && count > 0; i++) {
            for (uint32_t e = 0; e < count; e++) {
                if (ends[e].number != recover->tapes[i].number)
                    continue;
                recover->tapes[i].has_end = true;
                recover->tapes[i].end = ends[e];
            }
        }
        recover_file_close(&file);
    }
}

static int read_tapes(struct recover *recover)
{
    bool unsure = false;
    int error = 0;
    for (uint32_t i = 0; i < recover->segment_count; i++)
        unsure = unsure || recover->segments[i].unsure;
    find_ends(recover);
    for (uint32_t t = 0; t < recover->tape_count && error == 0; t++) {
        struct recover_tape_input *tape = &recover->tapes[t];
        char path[CATALOGUE_PATH_BYTES_MAX];
        catalogue_tape_path(tape->number, "tape", path);
        error = recover_tape_read(tape, recover->options->from, recover->identity, recover_lost,
                                  unsure ? keep_keys : NULL, recover);
        if (error < 0)
            return recover_complain(recover, error, path, NULL);
    }
    return error;
}

static int keep_tape(struct recover *recover, const struct recover_tape_input *tape)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    char mark_path[CATALOGUE_PATH_BYTES_MAX];
    uint8_t mark[2 * LAYOUT_SECTOR];
    int error = 0;
    catalogue_tape_path(tape->number, "tape", path);
    catalogue_tape_path(tape->number, "mark", mark_path);
    recover->result->kept++;
    recover->result->rows += tape->rows;
    if (!tape->mark_sound)
        recover_note(recover, mark_path, "damaged; made anew from the tape");
    else if (recover->in_place && !tape->has_end)
        return 0;
    if (!recover->in_place)
        error = recover_copy(recover->options->from, recover->to, path, tape->bytes);
    if (error < 0)
        return error;
    tape_end_mark(&tape->found, mark);
    return recover_write(recover->to, mark_path, mark, sizeof mark);
}

// A hard link, so that the tape is there under its name at every moment.
static int link_aside(const struct recover *recover, const char *relative)
{
    char from[RECOVER_PATH_BYTES_MAX];
    char to[RECOVER_PATH_BYTES_MAX];
    (void)snprintf(from, sizeof from, "%.1000s/%.100s", recover->to, relative);
    (void)snprintf(to, sizeof to, "%.1000s/quarantine%.100s", recover->to, strrchr(relative, '/'));
    return link(from, to) == 0 || errno == EEXIST ? 0 : -errno;
}

static int place_tape(struct recover *recover, const struct recover_output *output,
                      const char *path, const char *mark_path, const uint8_t *mark)
{
    int error = 0;
    if (recover->in_place) {
        error = link_aside(recover, path);
        if (error == 0)
            error = put_aside(recover, mark_path);
        if (error == 0)
            error = recover_sync(recover->to, "quarantine");
    }
    if (error == 0)
        error = recover_output_place(output);
    if (error == 0)
        error = recover_write(recover->to, mark_path, mark, 2 * (size_t)LAYOUT_SECTOR);
    return error;
}

static int rewrite_tape(struct recover *recover, const struct recover_tape_input *tape)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    char mark_path[CATALOGUE_PATH_BYTES_MAX];
    uint8_t mark[2 * LAYOUT_SECTOR];
    struct recover_output output;
    uint64_t salt = 0;
    catalogue_tape_path(tape->number, "tape", path);
    catalogue_tape_path(tape->number, "mark", mark_path);
    while (salt == 0)
        ensure(getrandom(&salt, sizeof salt, 0) == (ssize_t)sizeof salt);
    int error = recover_output_open(&output, recover->to, path);
    if (error == 0)
        error = recover_tape_write(tape, recover->options->from, recover->identity, salt, &output,
                                   mark);
    if (error == 0)
        error = recover_output_finish(&output);
    if (error == 0)
        error = place_tape(recover, &output, path, mark_path, mark);
    else
        recover_output_abandon(&output);
    recover->result->rewritten++;
    recover->result->rows += tape->rows;
    return error;
}

static int drop_tape(struct recover *recover, const struct recover_tape_input *tape)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    char mark_path[CATALOGUE_PATH_BYTES_MAX];
    catalogue_tape_path(tape->number, "tape", path);
    catalogue_tape_path(tape->number, "mark", mark_path);
    recover->result->dropped++;
    if (tape->dropped)
        recover_note(recover, path, "left out: its rows are in other files");
    if (!recover->in_place)
        return 0;
    int error = put_aside(recover, mark_path);
    return error < 0 ? error : put_aside(recover, path);
}

static int write_tapes(struct recover *recover)
{
    int error = 0;
    for (uint32_t t = 0; t < recover->tape_count && error == 0; t++) {
        const struct recover_tape_input *tape = &recover->tapes[t];
        char path[CATALOGUE_PATH_BYTES_MAX];
        catalogue_tape_path(tape->number, "tape", path);
        if (tape->rows == 0 && (tape->unused || tape->sound))
            continue; // nothing was ever written to it
        if (tape->dropped || tape->rows == 0)
            error = drop_tape(recover, tape);
        else if (tape->sound)
            error = keep_tape(recover, tape);
        else
            error = rewrite_tape(recover, tape);
        if (error < 0)
            return recover_complain(recover, error, path, NULL);
        recover_advance(recover, tape->bytes);
    }
    return error == 0 ? recover_sync(recover->to, "tape") : error;
}

// ---- the end ----

static int write_identity(struct recover *recover)
{
    char text[40];
    for (int i = 0; i < LAYOUT_STORE_ID_BYTES; i++)
        (void)snprintf(text + 2 * i, 3, "%02x", recover->identity[i]);
    text[32] = '\n';
    return recover_write(recover->to, "identity", text, 33);
}

static int sync_days(struct recover *recover)
{
    int error = recover_sync(recover->to, "segment");
    for (uint32_t i = 0; i < recover->made.segment_count && error == 0; i++) {
        char path[CATALOGUE_PATH_BYTES_MAX];
        catalogue_segment_path(&recover->made.segments[i], "segment", path);
        *strrchr(path, '/') = 0;
        error = recover_sync(recover->to, path);
    }
    return error;
}

// Sealed tapes that are still there must not count again (in place).
static void keep_sealed(struct recover *recover)
{
    for (uint32_t i = 0; recover->in_place && i < recover->old.tape_count; i++)
        ensure(catalogue_seal_tape(&recover->made, recover->old.tapes[i]));
}

static int write_catalogue(struct recover *recover)
{
    keep_sealed(recover);
    size_t room = catalogue_bytes_max(&recover->made);
    char *text = malloc(room);
    if (!text)
        return -ENOMEM;
    int error = sync_days(recover);
    if (error == 0)
        error = write_identity(recover);
    if (error == 0)
        error = recover_write(recover->to, "catalogue", text,
                              catalogue_write(&recover->made, text, room));
    if (error == 0)
        error = recover_sync(recover->to, ".");
    free(text);
    return error < 0 ? recover_complain(recover, error, "catalogue", NULL) : 0;
}

static int run(struct recover *recover)
{
    int error = take_lock(recover);
    if (error == 0)
        error = recover_find(recover);
    if (error == 0)
        error = make_target(recover);
    if (error == 0)
        error = read_tapes(recover);
    if (error == 0)
        error = recover_look_up(recover);
    if (error == 0)
        error = recover_segments(recover);
    // Elsewhere the catalogue comes last: before it there is no store.
    if (error == 0)
        error = recover->in_place ? write_catalogue(recover) : write_tapes(recover);
    if (error == 0)
        error = recover->in_place ? write_tapes(recover) : write_catalogue(recover);
    return error == 0 ? put_all_aside(recover) : error;
}

int recover_store(const struct recover_options *options, struct recover_result *result,
                  struct store_message *message)
{
    struct recover recover = {.options = options,
                              .result = result,
                              .message = message,
                              .in_place = options->to == NULL,
                              .to = options->to ? options->to : options->from,
                              .lock = -1};
    *result = (struct recover_result){0};
    if (message)
        message->text[0] = 0;
    recover.keyer = recover_keyer_open();
    int error = recover.keyer ? run(&recover) : -ENOMEM;
    if (error < 0)
        (void)recover_complain(&recover, error, "", NULL);
    if (recover.lock >= 0)
        (void)close(recover.lock);
    catalogue_free(&recover.old);
    catalogue_free(&recover.made);
    recover_keyer_close(recover.keyer);
    recover_set_free(&recover.in_tapes);
    free(recover.aside);
    free(recover.segments);
    free(recover.tapes);
    return error;
}
