// SPDX-License-Identifier: Apache-2.0
//
// A segment whose file is gone: its index may still say what it held.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "format/ensure.h"
#include "format/recover_inside.h"

enum { NAMES_TOLD_MAX = 4, WHAT_BYTES = 512 };

static void add_text(char what[WHAT_BYTES], const char *text, size_t size)
{
    size_t used = strlen(what);
    if (used + size < WHAT_BYTES) {
        memcpy(what + used, text, size);
        what[used + size] = 0;
    }
}

// "binance:BTCUSDT, binance:ETHUSDT and 3 more"
static void add_names(char what[WHAT_BYTES], const struct index *index)
{
    for (uint32_t s = 0; s < index->symbol_count && s < NAMES_TOLD_MAX; s++) {
        struct event_text name = index_name(index, s);
        if (s > 0)
            add_text(what, ", ", 2);
        if (name.size > 0)
            add_text(what, (const char *)name.bytes, name.size);
        else
            add_text(what, "no symbol", strlen("no symbol"));
    }
    if (index->symbol_count > NAMES_TOLD_MAX) {
        char more[32];
        int size = snprintf(more, sizeof more, " and %u more",
                            (unsigned)(index->symbol_count - NAMES_TOLD_MAX));
        add_text(what, more, (size_t)size);
    }
}

static bool fits(const struct index *index, const struct catalogue_segment *listed)
{
    const struct layout_index *header = index->header;
    return header->number == listed->number && header->day == listed->day &&
           header->channel == (uint32_t)listed->channel;
}

// What the index adds to what is known of the segment.
static void tell_by_index(struct recover_loss *loss, const struct index *index,
                          char what[WHAT_BYTES])
{
    if (loss->rows == 0)
        loss->rows = index->header->rows;
    if (loss->time_min > loss->time_max) {
        loss->time_min = index->header->time_min;
        loss->time_max = index->header->time_max;
    }
    if (index->symbol_count == 1)
        loss->symbol = index_name(index, 0);
    add_text(what, "; its index tells of ", strlen("; its index tells of "));
    add_names(what, index);
}

void recover_gone(struct recover *recover, const struct catalogue_segment *listed,
                  const char *reason)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    char index_path[CATALOGUE_PATH_BYTES_MAX];
    char what[WHAT_BYTES] = {0};
    struct index index;
    void *bytes;
    size_t size;
    ensure(channel_schema(listed->channel));
    catalogue_segment_path(listed, "segment", path);
    catalogue_segment_path(listed, "index", index_path);
    struct recover_loss loss = {.path = path,
                                .what = what,
                                .rows = listed->rows,
                                .channels = (uint16_t)(1u << listed->channel),
                                .time_min = listed->time_min,
                                .time_max = listed->time_max};
    add_text(what, reason, strlen(reason));
    int error = recover_file_load(recover->options->from, index_path, &bytes, &size);
    if (error == 0 && index_open(&index, bytes, size) && fits(&index, listed))
        tell_by_index(&loss, &index, what);
    else if (error != -ENOENT && listed->rows == 0)
        add_text(what, "; its index is damaged", strlen("; its index is damaged"));
    recover_lost(recover, &loss);
    free(bytes);
}

static bool exists(const struct recover *recover, const struct catalogue_segment *segment,
                   const char *ending)
{
    char relative[CATALOGUE_PATH_BYTES_MAX];
    char path[RECOVER_PATH_BYTES_MAX];
    struct stat status;
    catalogue_segment_path(segment, ending, relative);
    (void)snprintf(path, sizeof path, "%.1000s/%.150s", recover->options->from, relative);
    return lstat(path, &status) == 0;
}

// A segment gets its name after its index, and loses it after its index: an index alone is what
// somebody left who deleted the segment, unless the segment never got its name.
int recover_lone_index(struct recover *recover, const struct catalogue_segment *segment)
{
    char path[CATALOGUE_PATH_BYTES_MAX];
    if (exists(recover, segment, "segment") || exists(recover, segment, "segment.new"))
        return 0;
    recover_gone(recover, segment, "the file is gone");
    catalogue_segment_path(segment, "index", path);
    return recover->in_place ? recover_put_aside_later(recover, path) : 0;
}
