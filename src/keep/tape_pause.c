// SPDX-License-Identifier: GPL-3.0-or-later
//
// Channels that pause while the disk is full: their rows are counted, and each pause is two rows of
// the status channel, at its beginning and, with count and times, at its end: a hole that the data
// itself tells.
#include "format/ensure.h"
#include "keep/tape_writer_inside.h"

static bool tell(struct tape_writer *writer, enum status_kind kind, int channel)
{
    struct event *event = &writer->event;
    const struct tape_hole *hole = &writer->holes[channel];
    int64_t now_ns = io_utc_ns(writer->io);
    event_clear(event, CHANNEL_STATUS, SYMBOL_NONE);
    event_set(event, COLUMN_RECEIVE_TIME, now_ns);
    event_set(event, COLUMN_LINK, 0);
    event_set(event, COLUMN_FLAGS, 0);
    event_set(event, STATUS_KIND, kind);
    event_set(event, STATUS_CHANNEL, channel);
    event_set(event, STATUS_FROM_TIME, hole->from_ns);
    if (kind == STATUS_CHANNEL_RESUMED) {
        event_set(event, STATUS_TO_TIME, now_ns);
        event_set(event, STATUS_COUNT, (int64_t)hole->count);
    }
    static const char detail[] = "the disk is full";
    event_set_text(event, STATUS_DETAIL, detail, sizeof detail - 1);
    return tape_writer_status(writer, event);
}

void tape_pause_look(struct tape_writer *writer, uint32_t paused)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        uint32_t bit = 1u << c;
        if ((writer->paused ^ paused) & bit) {
            ensure(channel_schema((enum channel)c));
            bool pauses = (paused & bit) != 0;
            if (pauses)
                writer->holes[c] = (struct tape_hole){.from_ns = io_utc_ns(writer->io)};
            // Where there is no room for the row, it is tried again at the next look.
            if (tell(writer, pauses ? STATUS_CHANNEL_PAUSED : STATUS_CHANNEL_RESUMED, c))
                writer->paused ^= bit;
        }
    }
}
