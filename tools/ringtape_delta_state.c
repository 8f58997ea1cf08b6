// SPDX-License-Identifier: GPL-3.0-or-later
//
// What the daemon is told. It only ever moves forward: of a channel that could not be exported as
// a whole the file keeps what it said before.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/export_state.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_delta.h"

// The tables' folder, absolute, so that two names of it are one. False: no such path.
static bool name_tables(const struct ringtape_delta *delta, struct export_state *state)
{
    char *path = realpath(delta->export->directory, NULL);
    const bool good = path != NULL && strlen(path) < EXPORT_STATE_PATH_BYTES / 2 &&
                      strchr(path, '\n') == NULL;
    if (good) memcpy(state->tables, path, strlen(path) + 1);
    free(path);
    return good;
}

static void read_before(const char *path, struct export_state *before)
{
    char *bytes;
    size_t size;
    *before = (struct export_state){0};
    if (delta_disk_host.read(NULL, path, &bytes, &size) != 0) return;
    (void)export_state_parse(before, bytes, size);
    free(bytes);
}

static void advance(const struct ringtape_delta *delta, const struct export_state *before,
                    struct export_state *state)
{
    state->channels = before->channels;
    memcpy(state->tape, before->tape, sizeof state->tape);
    for (int c = CHANNEL_NONE + 1; c < CHANNEL_COUNT; c++) {
        if (channel_schema((enum channel)c) == NULL ||
            !ringtape_query_has_channel(&delta->export->query, (enum channel)c))
            continue;
        state->channels |= 1u << c;
        if ((delta->behind >> c & 1) == 0 && state->tape[c] < delta->frontier)
            state->tape[c] = (uint32_t)delta->frontier;
    }
}

static int replace(const char *folder, const char *path, const char *text, size_t size)
{
    char written[RINGTAPE_PUBLISH_PATH_BYTES + 8];
    (void)snprintf(written, sizeof written, "%s.new", path);
    int error = delta_disk_host.make(NULL, folder);
    if (error == 0) error = delta_disk_host.write(NULL, written, text, size);
    if (error == 0) error = delta_disk_host.rename(NULL, written, path);
    if (error == 0) error = delta_disk_host.sync(NULL, folder);
    return error;
}

void ringtape_delta_tell_daemon(struct ringtape_delta *delta)
{
    char folder[RINGTAPE_PUBLISH_PATH_BYTES], path[RINGTAPE_PUBLISH_PATH_BYTES];
    char name[EXPORT_STATE_NAME_BYTES], text[EXPORT_STATE_BYTES_MAX];
    struct export_state before, state = {.time_ns = ringtape_now_ns()};
    ensure(delta->frontier >= 0);
    if (!name_tables(delta, &state)) return;
    export_state_name(state.tables, name);
    int size = snprintf(folder, sizeof folder, "%s/export", store_path(delta->export->store));
    ensure(size > 0 && (size_t)size < sizeof folder);
    size = snprintf(path, sizeof path, "%s/%s", folder, name);
    if (size < 0 || (size_t)size >= sizeof path) return;
    read_before(path, &before);
    advance(delta, &before, &state);
    const int error = replace(folder, path, text, export_state_write(&state, text));
    if (error == 0 || delta->announced) return;
    (void)ringtape_fail("note: %s: %s; the daemon cannot know what is exported: it may merge or "
                        "delete before, and whole days are then written again",
                        path, ringtape_error_text(error));
}
