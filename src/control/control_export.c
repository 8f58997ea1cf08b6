// SPDX-License-Identifier: GPL-3.0-or-later
//
// One look reads a handful of small files, once a second, on the control thread.
#include "control/control_export.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/delta_disk.h"
#include "format/ensure.h"
#include "format/export_state.h"
#include "format/time_text.h"

struct view { // of one look
    struct control_export *export;
    int64_t now_ns;
    uint32_t exported[CHANNEL_COUNT];
    uint32_t mergeable[CHANNEL_COUNT];
    bool warned;
};

static void lower(uint32_t *value, uint32_t to)
{
    if (to < *value) *value = to;
}

// A file that says nothing: everything is needed, as far as one knows.
static void hold_all(struct view *view, const char *path, const char *cause)
{
    struct control_export *export = view->export;
    memset(view->exported, 0, sizeof view->exported);
    if (!export->told && export->log != NULL)
        log_write(export->log, LOG_EXPORT_UNREADABLE, view->now_ns, "file=\"%s\" cause=\"%s\"",
                  path, cause);
    export->told = true;
}

// Given up, or one that fails: where nobody knows of it, the disk fills in spite of `keep`.
static void warn(struct view *view, const char *path, const struct export_state *state)
{
    const struct control_export *export = view->export;
    char since[TIME_TEXT_BYTES_MAX];
    if (view->now_ns < export->warn_after_ns || export->log == NULL) return;
    time_text_format(since, state->time_ns, 0);
    log_write(export->log, LOG_EXPORT_LATE, view->now_ns, "tables=\"%s\" last=%s file=\"%s\"",
              state->tables, since, path);
    view->warned = true;
}

static void take(struct view *view, const char *path, const struct export_state *state)
{
    const bool recent = view->now_ns - state->time_ns < CONTROL_EXPORT_MERGE_HOLD_NS;
    if (!recent) warn(view, path, state);
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        if ((state->channels >> c & 1) == 0) continue;
        lower(&view->exported[c], state->tape[c]);
        if (recent) lower(&view->mergeable[c], state->tape[c]);
    }
}

static void see(void *to, const char *name)
{
    struct view *view = to;
    struct export_state state;
    char path[KEEP_FILE_NAME_BYTES_MAX];
    char *bytes;
    size_t size;
    if (strlen(name) != EXPORT_STATE_NAME_BYTES - 1) return; // "….new"
    (void)snprintf(path, sizeof path, "%.900s/export/%.*s", keep_store_path(view->export->store),
                   EXPORT_STATE_NAME_BYTES, name);
    int error = delta_disk_host.read(NULL, path, &bytes, &size);
    if (error == -ENOENT) return; // removed just now
    if (error == 0) {
        error = export_state_parse(&state, bytes, size);
        free(bytes);
    }
    if (error == 0)
        take(view, path, &state);
    else
        hold_all(view, path, error == -EBADMSG ? "damaged" : strerror(-error));
}

void control_export_look(struct control_export *export, int64_t now_ns)
{
    struct view view = {.export = export, .now_ns = now_ns};
    char path[KEEP_FILE_NAME_BYTES_MAX];
    if (now_ns < export->look_after_ns) return;
    export->look_after_ns = now_ns + CONTROL_EXPORT_LOOK_NS;
    memset(view.exported, 0xff, sizeof view.exported);
    memset(view.mergeable, 0xff, sizeof view.mergeable);
    (void)snprintf(path, sizeof path, "%.900s/export", keep_store_path(export->store));
    const int error = delta_disk_host.list(NULL, path, see, &view);
    if (error != 0 && error != -ENOENT) hold_all(&view, path, strerror(-error));
    if (view.warned) export->warn_after_ns = now_ns + CONTROL_EXPORT_TELL_NS;
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        atomic_store(&export->exported[c], view.exported[c]);
        atomic_store(&export->mergeable[c], view.mergeable[c]);
    }
}

static bool segment_released(void *context, const struct catalogue_segment *segment)
{
    struct control_export *export = context;
    ensure(segment->channel < CHANNEL_COUNT);
    return segment->tape_last <= atomic_load(&export->exported[segment->channel]);
}

static bool segment_mergeable(void *context, const struct catalogue_segment *segment)
{
    struct control_export *export = context;
    ensure(segment->channel < CHANNEL_COUNT);
    return segment->tape_last <= atomic_load(&export->mergeable[segment->channel]);
}

void control_export_open(struct control_export *export, struct keep_store *store,
                         const struct log *log, int64_t now_ns)
{
    ensure(export->store == NULL);
    export->store = store;
    export->log = log;
    control_export_look(export, now_ns);
    keep_store_add_guard(store, &(struct retention_guard){.released = segment_released,
                                                          .mergeable = segment_mergeable,
                                                          .context = export});
}
