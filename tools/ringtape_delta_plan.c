// SPDX-License-Identifier: GPL-3.0-or-later
//
// One pass over a day's segments: sums, then the decision.
#include "tools/ringtape_delta_plan.h"

#include "format/ensure.h"

// ---- exporting ----

struct sums {
    int64_t known;   // rows of ranges up to F
    int64_t fresh;   // of ranges above
    int64_t all;     // of everything that can be taken now
    bool mixed;      // a range across F, or history that was never on a tape
    bool waits;      // a range across the frontier
};

static struct sums sum_up(const struct catalogue_segment *segments, uint32_t count,
                          int64_t frontier, int64_t tape_known)
{
    struct sums sums = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct catalogue_segment *segment = &segments[i];
        const int64_t rows = (int64_t)segment->rows;
        ensure(segment->tape_first <= segment->tape_last);
        if (segment->tape_first > frontier) continue;
        if (segment->tape_last > frontier) {
            sums.waits = true;
            continue;
        }
        sums.all += rows;
        if (segment->tape_first > tape_known)
            sums.fresh += rows;
        else if (segment->tape_first > 0 && segment->tape_last <= tape_known)
            sums.known += rows;
        else
            sums.mixed = true;
    }
    return sums;
}

struct ringtape_delta_plan ringtape_delta_plan(const struct catalogue_segment *segments,
                                               uint32_t count, int64_t frontier,
                                               int64_t tape_known, int64_t messages_known)
{
    const struct sums sums = sum_up(segments, count, frontier, tape_known);
    struct ringtape_delta_plan plan = {.from = tape_known, .to = frontier};
    ensure(tape_known >= 0 && messages_known >= 0);
    if (sums.waits) {
        plan.mode = RINGTAPE_DELTA_WAIT;
    } else if (!sums.mixed && sums.known <= messages_known) {
        plan.mode = sums.fresh > 0 ? RINGTAPE_DELTA_APPEND : RINGTAPE_DELTA_NOTHING;
        plan.messages = messages_known + sums.fresh;
    } else if (sums.all > messages_known) {
        plan.mode = RINGTAPE_DELTA_REPLACE;
        plan.from = 0;
        plan.messages = sums.all;
    } else {
        plan.mode = sums.all == messages_known ? RINGTAPE_DELTA_NOTHING : RINGTAPE_DELTA_LOST;
    }
    return plan;
}

struct ringtape_delta_plan ringtape_delta_plan_again(const struct catalogue_segment *segments,
                                                     uint32_t count, int64_t frontier)
{
    const struct sums sums = sum_up(segments, count, frontier, 0);
    return (struct ringtape_delta_plan){
        .mode = sums.waits ? RINGTAPE_DELTA_WAIT : RINGTAPE_DELTA_REPLACE,
        .to = frontier,
        .messages = sums.all,
    };
}

bool ringtape_delta_wants(const struct ringtape_delta_plan *plan,
                          const struct catalogue_segment *segment)
{
    return segment->tape_last <= plan->to && (plan->from == 0 || segment->tape_first > plan->from);
}

int64_t ringtape_delta_frontier(const struct catalogue *catalogue, const uint32_t *tapes,
                                uint32_t tape_count)
{
    ensure(tape_count == 0 || tapes[0] > 0);
    if (tape_count > 0) return (int64_t)tapes[0] - 1;
    return (int64_t)catalogue->next_tape - 1;
}

// ---- compacting ----

bool ringtape_delta_boundary(const struct catalogue_segment *segments, uint32_t count,
                             int64_t tape_known, int64_t messages_known, int64_t *from)
{
    int64_t rows = 0;
    ensure(*from >= 0 && *from <= tape_known);
    for (uint32_t i = 0; i < count; i++) {
        const struct catalogue_segment *segment = &segments[i];
        if (segment->tape_first > tape_known) continue;
        if (segment->tape_last > tape_known) return false;
        rows += (int64_t)segment->rows;
        // A lower start may lie across a range that was looked at before: again.
        if (*from > 0 && segment->tape_first <= *from && segment->tape_last > *from) {
            *from = segment->tape_first > 0 ? (int64_t)segment->tape_first - 1 : 0;
            rows = 0;
            i = UINT32_MAX;
        }
    }
    return rows == messages_known;
}

uint32_t ringtape_delta_tier(const int64_t *bytes, uint32_t count)
{
    int64_t newer = 0;
    uint32_t first = count;
    for (uint32_t i = count; i-- > 0;) {
        if (bytes[i] <= newer) first = i;
        newer += bytes[i];
    }
    return first;
}
