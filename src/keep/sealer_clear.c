// SPDX-License-Identifier: GPL-3.0-or-later
//
// An attempt at a tape or at a merge that failed leaves no segments: on a disk without room they
// would eat what is deleted for the next one. What it had not finished segment_output has removed;
// here the finished ones go, one after the other, as long as no swap may have listed them. A number
// is never given twice in a life, so no later attempt has a file of these names. A crash in between
// leaves files that keep_sweep.h removes at a start.
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "format/ensure.h"
#include "keep/sealer_inside.h"

static void clear_next(struct sealer *sealer);

void sealer_segment_path(const struct sealer *sealer, const struct catalogue_segment *segment,
                         const char *ending, char *out)
{
    char relative[CATALOGUE_PATH_BYTES_MAX];
    catalogue_segment_path(segment, ending, relative);
    int size = snprintf(out, KEEP_FILE_NAME_BYTES_MAX, "%s/%s", keep_store_path(sealer->store),
                        relative);
    ensure(size > 0 && size < KEEP_FILE_NAME_BYTES_MAX);
}

// One that cannot be removed is left, told once an attempt, and found at the next start.
static void cleared(void *context, int result, const char *path)
{
    struct sealer *sealer = context;
    if (result < 0 && !sealer->clear.told && sealer->log)
        log_write(sealer->log, LOG_FILE_STAYS, io_utc_ns(sealer->io), "file=\"%s\" cause=\"%s\"",
                  path, strerror(-result));
    sealer->clear.told = sealer->clear.told || result < 0;
    sealer->clear.at++;
    clear_next(sealer);
}

static void clear_next(struct sealer *sealer)
{
    char path[KEEP_FILE_NAME_BYTES_MAX];
    if (sealer->clear.at == sealer->made_count) {
        sealer->made_count = 0;
        sealer_retry_later(sealer);
        return;
    }
    const struct catalogue_segment *segment = &sealer->made[sealer->clear.at];
    file_script_begin(&sealer->script);
    // The segment first: one under its final name always has an index.
    sealer_segment_path(sealer, segment, "segment", path);
    file_script_unlink(&sealer->script, path);
    sealer_segment_path(sealer, segment, "index", path);
    file_script_unlink(&sealer->script, path);
    *strrchr(path, '/') = 0; // only then the room is free
    file_script_sync_directory(&sealer->script, path);
    file_script_run(&sealer->script, sealer->io, cleared, sealer);
}

void sealer_clear(struct sealer *sealer)
{
    ensure(sealer->failure < 0 && !sealer->in_doubt);
    // What another program has handed over is in made[] too, and stays for its handover.
    if (!sealer_makes_segments(sealer) || sealer->made_count == 0) {
        sealer_retry_later(sealer);
        return;
    }
    sealer_enter(sealer, SEALER_CLEARING);
    sealer->clear = (struct sealer_clear){0};
    clear_next(sealer);
}
