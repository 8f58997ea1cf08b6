// SPDX-License-Identifier: GPL-3.0-or-later
//
// One day's directory at a time: its list is a script of deletions, run until nothing is left over.
#include "keep/keep_sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "keep/keep_store.h"

enum { DAY_BYTES = 11 };

struct sweep {
    const struct catalogue *catalogue;
    struct file_script *script;
    const uint32_t *spared;
    uint32_t spared_count;
    uint32_t *numbers; // of the catalogue's segments, increasing
    char (*days)[DAY_BYTES];
    uint32_t day_count;
    char path[KEEP_FILE_NAME_BYTES_MAX]; // of the directory
};

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void found_day(void *context, const char *name)
{
    struct sweep *sweep = context;
    int32_t day;
    if (sweep->day_count < KEEP_SWEEP_DAYS_MAX && strlen(name) < DAY_BYTES &&
        catalogue_day_parse(name, strlen(name), &day))
        memcpy(sweep->days[sweep->day_count++], name, strlen(name) + 1);
}

// "trade-00000098.segment", with its number and what follows the dot.
static bool parse(const char *name, uint32_t *number, const char **ending)
{
    const char *dash = strrchr(name, '-');
    if (!dash)
        return false;
    const char *digit = dash + 1;
    uint64_t value = 0;
    for (; *digit >= '0' && *digit <= '9' && value <= UINT32_MAX; digit++)
        value = value * 10 + (uint64_t)(*digit - '0');
    *number = (uint32_t)value;
    *ending = digit + 1;
    return digit > dash + 1 && *digit == '.' && value <= UINT32_MAX;
}

static bool has(const uint32_t *numbers, uint32_t count, uint32_t number)
{
    return count > 0 && bsearch(&number, numbers, count, sizeof *numbers, ascending) != NULL;
}

static bool is_leftover(const struct sweep *sweep, const char *name)
{
    uint32_t number;
    const char *ending;
    if (!parse(name, &number, &ending))
        return false;
    if (strcmp(ending, "segment.new") == 0 || strcmp(ending, "index.new") == 0)
        return true;
    if (strcmp(ending, "segment") != 0 && strcmp(ending, "index") != 0)
        return false;
    return number < sweep->catalogue->next_segment &&
           !has(sweep->numbers, sweep->catalogue->segment_count, number) &&
           !has(sweep->spared, sweep->spared_count, number);
}

static void found_file(void *context, const char *name)
{
    struct sweep *sweep = context;
    char path[KEEP_FILE_NAME_BYTES_MAX];
    if (!file_script_has_room(sweep->script, 1) || !is_leftover(sweep, name))
        return;
    int size = snprintf(path, sizeof path, "%s/%s", sweep->path, name);
    if (size > 0 && (size_t)size < sizeof path)
        file_script_unlink(sweep->script, path);
}

static void set_path(struct sweep *sweep, const char *store, const char *day)
{
    int size = snprintf(sweep->path, sizeof sweep->path, "%s/segment%s%s", store, *day ? "/" : "",
                        day);
    ensure(size > 0 && (size_t)size < sizeof sweep->path);
}

static int sweep_day(struct sweep *sweep, struct io *io)
{
    for (;;) {
        file_script_begin(sweep->script);
        int result = io_list(io, sweep->path, found_file, sweep);
        if (result < 0 || sweep->script->count == 0)
            return result;
        result = file_script_run_now(sweep->script, io);
        if (result < 0)
            return result;
    }
}

static int sweep_days(struct sweep *sweep, const char *store, struct io *io)
{
    set_path(sweep, store, "");
    int result = io_list(io, sweep->path, found_day, sweep);
    for (uint32_t d = 0; d < sweep->day_count && result == 0; d++) {
        set_path(sweep, store, sweep->days[d]);
        result = sweep_day(sweep, io);
    }
    return result;
}

static bool sweep_open(struct sweep *sweep)
{
    uint32_t count = sweep->catalogue->segment_count;
    sweep->numbers = malloc((count + 1u) * sizeof *sweep->numbers);
    sweep->days = malloc(KEEP_SWEEP_DAYS_MAX * sizeof *sweep->days);
    if (!sweep->numbers || !sweep->days)
        return false;
    for (uint32_t i = 0; i < count; i++)
        sweep->numbers[i] = sweep->catalogue->segments[i].number;
    qsort(sweep->numbers, count, sizeof *sweep->numbers, ascending);
    return true;
}

int keep_sweep(const char *store, const struct catalogue *catalogue, uint32_t *spared,
               uint32_t spared_count, struct file_script *script, struct io *io)
{
    ensure(!script->running);
    struct sweep sweep = {
        .catalogue = catalogue, .script = script, .spared = spared, .spared_count = spared_count};
    if (spared_count > 0)
        qsort(spared, spared_count, sizeof *spared, ascending);
    int result = sweep_open(&sweep) ? sweep_days(&sweep, store, io) : -ENOMEM;
    free(sweep.numbers);
    free(sweep.days);
    return result;
}
