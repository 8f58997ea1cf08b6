// SPDX-License-Identifier: GPL-3.0-or-later
//
// The mirror's state on disk: replaced as a whole, so that a crash leaves the old or the new one.
// A state that is behind costs messages sent twice, never a message.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "publish/mirror_inside.h"

static int make_directory(struct mirror *mirror, struct io *start)
{
    char directory[KEEP_FILE_NAME_BYTES_MAX];
    const char *store = keep_store_path(mirror->options.store);
    (void)snprintf(directory, sizeof directory, "%s/mirror", store);
    file_script_begin(mirror->save_script);
    file_script_mkdir(mirror->save_script, directory);
    file_script_sync_directory(mirror->save_script, store);
    return file_script_run_now(mirror->save_script, start);
}

static int check_state(void *context, const void *bytes, uint32_t size)
{
    return mirror_state_parse(context, bytes, size);
}

int mirror_state_read(struct file_script *script, struct io *start, const struct keep_store *store,
                      char *text, struct mirror_state *state, struct io_message *message)
{
    uint32_t size = 0;
    char path[KEEP_FILE_NAME_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/mirror/state", keep_store_path(store));
    int result = file_script_read_now(script, start, path, text, MIRROR_STATE_BYTES_MAX, &size,
                                      check_state, state);
    if (result == -ENOENT) return result;
    const char *remedy = result == -EPROTONOSUPPORT ? "it is of a newer version: use that"
                         : result == -EBADMSG
                             ? "it is damaged: remove it, and all tapes are sent again"
                             : strerror(-result);
    if (result < 0)
        (void)snprintf(message->text, sizeof message->text, "%s cannot be used; %s", path,
                       remedy);
    return result;
}

int mirror_state_open(struct mirror *mirror, struct io *start, struct io_message *message)
{
    const struct keep_store *store = mirror->options.store;
    (void)snprintf(mirror->state_path, sizeof mirror->state_path, "%s/mirror/state",
                   keep_store_path(store));
    int result = make_directory(mirror, start);
    if (result < 0) return result;
    result = mirror_state_read(mirror->save_script, start, store, mirror->save_text,
                               &mirror->state, message);
    return result == -ENOENT ? 0 : result;
}

static void saved(void *context, int result, const char *path)
{
    struct mirror *mirror = context;
    mirror->saving = false;
    if (result < 0) {
        mirror->dirty = true;
        mirror_say(mirror, LOG_MIRROR_UNSAVED, path);
    }
    mirror_pump(mirror);
}

void mirror_save(struct mirror *mirror)
{
    if (mirror->saving || !mirror->dirty) return;
    mirror_note_tapes(mirror);
    mirror_notes_trim(mirror);
    char directory[KEEP_FILE_NAME_BYTES_MAX];
    (void)snprintf(directory, sizeof directory, "%s/mirror",
                   keep_store_path(mirror->options.store));
    mirror->state.time_ns = io_utc_ns(mirror->io);
    size_t size = mirror_state_write(&mirror->state, mirror->save_text);
    mirror->dirty = false;
    mirror->saving = true;
    file_script_begin(mirror->save_script);
    file_script_replace(mirror->save_script, mirror->state_path, mirror->save_text,
                        (uint32_t)size);
    file_script_sync_directory(mirror->save_script, directory);
    file_script_run(mirror->save_script, mirror->io, saved, mirror);
}
