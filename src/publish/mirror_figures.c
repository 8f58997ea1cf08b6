// SPDX-License-Identifier: GPL-3.0-or-later
//
// mirror_figures: the mirror's section of the statistics page, once a second. Contract: lags are as
// of the cursors (what Kafka confirmed), not as of what was sent.
#include <string.h>

#include "format/ensure.h"
#include "publish/mirror_inside.h"

static void figures_note(struct mirror *mirror, int64_t now_ns)
{
    for (uint32_t s = 0; s < mirror->options.shards; s++) {
        const struct tape_feed_durable durable = tape_feed_durable(mirror->options.feeds[s]);
        mirror_lag_note(&mirror->lags[s], durable.rows_ever, durable.bytes_ever, durable.tape,
                        durable.rows, now_ns);
    }
}

// Of the topic: over all shards added up, the time that of the worst.
static void figures_lag(const struct mirror *mirror, const struct mirror_lane *lane,
                        struct statistics_topic *topic, int64_t now_ns)
{
    topic->lag_rows = topic->lag_bytes = 0;
    topic->lag_ns = 0;
    for (uint32_t s = 0; s < mirror->options.shards; s++) {
        const struct mirror_cursor *cursor = &mirror->state.cursor[lane->channel][s];
        // Rows of a tape that is read from segments have numbers of their own.
        const uint64_t rows = cursor->rows < MIRROR_REMADE_ROW ? cursor->rows : 0;
        const struct mirror_lag_of lag =
            mirror_lag_of(&mirror->lags[s], cursor->tape, rows, now_ns);
        topic->lag_rows += lag.rows;
        topic->lag_bytes += lag.bytes;
        if (lag.time_ns > topic->lag_ns) topic->lag_ns = lag.time_ns;
    }
}

static void figures_topic(const struct mirror *mirror, const struct mirror_lane *lane,
                          struct statistics_topic *topic, int64_t now_ns)
{
    topic->on = lane->used;
    if (!lane->used) return;
    topic->delivered = mirror->state.delivered[lane->channel];
    topic->refused = mirror->state.refused[lane->channel];
    topic->lag_tapes = mirror->earlier - lane->leftover;
    topic->stuck = lane->behind;
    figures_lag(mirror, lane, topic, now_ns);
}

static void figures_counts(struct mirror *mirror)
{
    struct statistics_mirror *own = &mirror->own;
    const struct mirror_counters *counters = &mirror->counters;
    own->on = 1;
    own->sent = counters->sent;
    own->delivered = counters->delivered;
    own->refused = counters->refused;
    own->letters = counters->letters;
    own->from_memory = counters->from_memory;
    own->from_tape = counters->from_tape;
    own->from_segments = counters->from_segments;
    own->restarts = counters->restarts;
    own->rows_lost = counters->rows_lost;
    own->in_flight = counters->in_flight;
    own->behind = counters->behind;
}

void mirror_figures_tick(struct mirror *mirror)
{
    const int64_t now_ns = io_monotonic_ns(mirror->io);
    if (mirror->options.statistics == NULL) return;
    ensure((int)CHANNEL_COUNT <= (int)STATISTICS_CHANNELS);
    mirror->own.heartbeat_ns = now_ns;
    figures_note(mirror, now_ns);
    figures_counts(mirror);
    for (int c = 0; c < CHANNEL_COUNT; c++)
        figures_topic(mirror, &mirror->lanes[c], &mirror->own.topics[c], now_ns);
    statistics_publish(mirror->options.statistics, &mirror->own, sizeof mirror->own);
}
