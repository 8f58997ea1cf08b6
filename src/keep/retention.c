// SPDX-License-Identifier: GPL-3.0-or-later
//
// One pass over the catalogue, which is in the order of channel and day: sums first, then groups.
#include "keep/retention.h"

#include "base/limits.h"
#include "format/ensure.h"

#define DAY_NS (24 * LIMIT_HOUR_NS)

struct view {
    const struct catalogue *catalogue;
    const struct retention_rules *rules;
    const struct retention_guard *guards;
    uint32_t guard_count;
    int64_t now_ns;
    uint64_t bytes; // of all segments
    uint64_t channel_bytes[CHANNEL_COUNT];
};

const char *retention_cause_text(enum retention_cause cause)
{
    static const char *const texts[] = {
        [RETENTION_AGE] = "older than `keep` says",
        [RETENTION_SIZE] = "more than `keep` says",
        [RETENTION_ROOM] = "the disk is full",
    };
    ensure((size_t)cause < sizeof texts / sizeof *texts);
    return texts[cause];
}

static bool any_limit(const struct retention_rules *rules)
{
    bool any = rules->all.age_ns != 0 || rules->all.size_bytes != 0;
    for (int c = 0; c < CHANNEL_COUNT; c++)
        any = any || rules->channel[c].age_ns != 0 || rules->channel[c].size_bytes != 0;
    return any;
}

static bool released(const struct view *view, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        for (uint32_t g = 0; g < view->guard_count; g++) {
            const struct retention_guard *guard = &view->guards[g];
            if (guard->released &&
                !guard->released(guard->context, &view->catalogue->segments[i]))
                return false;
        }
    }
    return true;
}

static uint32_t group_size(const struct view *view, uint32_t first)
{
    const struct catalogue *catalogue = view->catalogue;
    uint32_t end = first;
    while (end < catalogue->segment_count &&
           catalogue->segments[end].channel == catalogue->segments[first].channel &&
           catalogue->segments[end].day == catalogue->segments[first].day)
        end++;
    return end - first;
}

static bool too_old(const struct view *view, const struct catalogue_segment *segment)
{
    int64_t age_ns = view->rules->channel[segment->channel].age_ns;
    if (age_ns == 0)
        age_ns = view->rules->all.age_ns;
    return age_ns != 0 && (segment->day + 1ll) * DAY_NS < view->now_ns - age_ns;
}

static bool over(uint64_t bytes, int64_t limit)
{
    return limit != 0 && bytes > (uint64_t)limit;
}

// Why the group may go now. False: it stays.
static bool has_cause(const struct view *view, uint32_t first, bool pressed,
                      enum retention_cause *cause)
{
    const struct catalogue_segment *segment = &view->catalogue->segments[first];
    if (too_old(view, segment))
        *cause = RETENTION_AGE;
    else if (over(view->channel_bytes[segment->channel],
                  view->rules->channel[segment->channel].size_bytes) ||
             over(view->bytes, view->rules->all.size_bytes))
        *cause = RETENTION_SIZE;
    else if (pressed)
        *cause = RETENTION_ROOM;
    else
        return false;
    return true;
}

// What goes before: by age before by size; then the older day.
static bool better(const struct view *view, const struct retention_choice *a,
                   const struct retention_choice *b)
{
    if (b->count == 0)
        return true;
    if ((a->cause == RETENTION_AGE) != (b->cause == RETENTION_AGE))
        return a->cause == RETENTION_AGE;
    const struct catalogue_segment *x = &view->catalogue->segments[a->first];
    const struct catalogue_segment *y = &view->catalogue->segments[b->first];
    return x->day != y->day ? x->day < y->day : x->time_max < y->time_max;
}

static void sum(struct view *view)
{
    for (uint32_t i = 0; i < view->catalogue->segment_count; i++) {
        const struct catalogue_segment *segment = &view->catalogue->segments[i];
        view->bytes += segment->bytes;
        view->channel_bytes[segment->channel] += segment->bytes;
    }
}

struct retention_choice retention_choose(const struct catalogue *catalogue,
                                         const struct retention_rules *rules,
                                         const struct retention_guard *guards,
                                         uint32_t guard_count, int64_t now_ns, bool pressed)
{
    struct view view = {.catalogue = catalogue, .rules = rules, .guards = guards,
                        .guard_count = guard_count, .now_ns = now_ns};
    struct retention_choice best = {0};
    ensure(guard_count <= RETENTION_GUARDS_MAX);
    if (!any_limit(rules))
        return best;
    sum(&view);
    int32_t today = catalogue_day_of(now_ns);
    for (uint32_t first = 0; first < catalogue->segment_count;) {
        uint32_t size = group_size(&view, first);
        struct retention_choice choice = {.first = first, .count = size};
        // The present day is still being written: its segments go one by one.
        if (catalogue->segments[first].day >= today)
            choice.count = 1;
        if (choice.count > RETENTION_SEGMENTS_MAX)
            choice.count = RETENTION_SEGMENTS_MAX;
        if (has_cause(&view, first, pressed, &choice.cause) && better(&view, &choice, &best) &&
            released(&view, first, choice.count))
            best = choice;
        first += size;
    }
    return best;
}

// ---- tapes ----

bool retention_tape_released(const struct retention_guard *guards, uint32_t guard_count,
                             uint32_t tape)
{
    ensure(tape != 0 && guard_count <= RETENTION_GUARDS_MAX);
    for (uint32_t g = 0; g < guard_count; g++) {
        if (guards[g].tape_released && !guards[g].tape_released(guards[g].context, tape))
            return false;
    }
    return true;
}

bool retention_tapes_released(const struct retention_guard *guards, uint32_t guard_count,
                              const struct catalogue_segment *segment)
{
    ensure(segment->tape_first <= segment->tape_last);
    bool asked = false; // a day's segment may be of thousands of tapes
    for (uint32_t g = 0; g < guard_count; g++)
        asked = asked || guards[g].tape_released != NULL;
    if (!asked)
        return true;
    for (uint32_t tape = segment->tape_last; tape >= segment->tape_first && tape > 0; tape--) {
        if (!retention_tape_released(guards, guard_count, tape))
            return false;
    }
    return true;
}

uint32_t retention_choose_tape(const struct catalogue *catalogue,
                               const struct retention_guard *guards, uint32_t guard_count,
                               bool pressed)
{
    pressed = pressed || catalogue->tape_count > RETENTION_TAPES_MAX;
    for (uint32_t i = 0; i < catalogue->tape_count; i++) {
        if (pressed || retention_tape_released(guards, guard_count, catalogue->tapes[i]))
            return catalogue->tapes[i];
    }
    return 0;
}

bool retention_mergeable(const struct catalogue *catalogue,
                         const struct retention_guard *guards, uint32_t guard_count,
                         const struct catalogue_segment *segment)
{
    if (guard_count == 0 || segment->tape_last == 0 || // backfilled
        catalogue->segment_count > CATALOGUE_SEGMENTS_MAX / 2)
        return true;
    for (uint32_t g = 0; g < guard_count; g++) {
        if (guards[g].mergeable && !guards[g].mergeable(guards[g].context, segment))
            return false;
    }
    return retention_tapes_released(guards, guard_count, segment);
}
