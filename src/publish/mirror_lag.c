// SPDX-License-Identifier: GPL-3.0-or-later
//
// mirror_lag: see mirror_lag.h. Contract: samples and tapes rise; the newest sample is what was
// told last, whatever was left out before it.
#include "publish/mirror_lag.h"

#include <string.h>

#include "format/ensure.h"

static void thin_out(struct mirror_lag *lag)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < lag->count; i += 2) lag->sample[kept++] = lag->sample[i];
    lag->count = kept;
    lag->stride = lag->stride == 0 ? 2 : 2 * lag->stride;
    ensure(lag->count < MIRROR_LAG_SAMPLES && lag->stride != 0);
}

static void note_sample(struct mirror_lag *lag, const struct mirror_lag_sample *now)
{
    struct mirror_lag_sample *last = lag->count > 0 ? &lag->sample[lag->count - 1] : NULL;
    if (last != NULL && last->rows == now->rows) return;
    ensure(last == NULL || now->rows > last->rows);
    if (last != NULL && lag->count > 1 && lag->skipped + 1 < lag->stride) {
        // The one before stays the newest until a whole stride is over.
        lag->skipped++;
        last->rows = now->rows;
        last->bytes = now->bytes;
        return;
    }
    lag->skipped = 0;
    if (lag->count == MIRROR_LAG_SAMPLES) thin_out(lag);
    lag->sample[lag->count++] = *now;
}

static void note_tape(struct mirror_lag *lag, uint32_t tape, uint64_t rows_before)
{
    if (lag->tape_count > 0 && lag->tapes[lag->tape_count - 1].tape >= tape) return;
    if (lag->tape_count == MIRROR_LAG_TAPES) {
        memmove(lag->tapes, lag->tapes + 1, (MIRROR_LAG_TAPES - 1) * sizeof *lag->tapes);
        lag->tape_count--;
    }
    lag->tapes[lag->tape_count++] = (struct mirror_lag_tape){tape, rows_before};
}

void mirror_lag_note(struct mirror_lag *lag, uint64_t rows, uint64_t bytes, uint32_t tape,
                     uint64_t tape_rows, int64_t now_ns)
{
    if (tape == 0) return;
    ensure(tape_rows <= rows);
    note_sample(lag, &(struct mirror_lag_sample){rows, bytes, now_ns});
    note_tape(lag, tape, rows - tape_rows);
}

// Rows of this life that are behind the reader. A tape that was not seen, or forgotten, counts as
// its next one before it: too much lag rather than too little.
static uint64_t rows_done(const struct mirror_lag *lag, uint32_t tape, uint64_t rows)
{
    uint32_t i = lag->tape_count;
    while (i > 0 && lag->tapes[i - 1].tape > tape) i--;
    if (tape == 0 || i == 0) return 0;
    const struct mirror_lag_tape *found = &lag->tapes[i - 1];
    return found->tape == tape ? found->rows + rows : found->rows;
}

struct mirror_lag_of mirror_lag_of(const struct mirror_lag *lag, uint32_t tape, uint64_t rows,
                                   int64_t now_ns)
{
    struct mirror_lag_of of = {0};
    if (lag->count == 0) return of;
    const struct mirror_lag_sample *newest = &lag->sample[lag->count - 1];
    const uint64_t done = rows_done(lag, tape, rows);
    if (done >= newest->rows) return of;
    uint32_t low = 0; // the first sample beyond
    uint32_t high = lag->count - 1;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (lag->sample[middle].rows > done) high = middle;
        else low = middle + 1;
    }
    of.rows = newest->rows - done;
    of.bytes = newest->bytes - (low > 0 ? lag->sample[low - 1].bytes : 0);
    of.time_ns = now_ns - lag->sample[low].time_ns;
    return of;
}
