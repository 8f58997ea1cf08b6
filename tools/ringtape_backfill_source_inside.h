// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_backfill_source_inside: what ringtape_backfill_source.c (folders, life) and
// ringtape_backfill_http.c (downloads) share. Nobody else includes it.
#ifndef RINGTAPE_TOOLS_RINGTAPE_BACKFILL_SOURCE_INSIDE_H
#define RINGTAPE_TOOLS_RINGTAPE_BACKFILL_SOURCE_INSIDE_H

#include "tools/ringtape_backfill_fetch.h"
#include "tools/ringtape_backfill_source.h"

struct backfill_transfer { // one request under way
    bool used;
    bool paused;      // waits for due_ns
    bool zip;         // else the checksum
    uint32_t item;
    int64_t due_ns;   // monotonic
    struct backfill_request request;
};

struct backfill_source {
    struct backfill_source_options options;
    const char *place;
    struct backfill_plan *plan;
    struct backfill_fetch *fetch; // NULL: a folder
    char downloads[RINGTAPE_PATH_BYTES_MAX];
    uint32_t at;       // items before it are behind us
    uint64_t requests;
    bool offline;      // the host cannot be reached: the run ends
    char offline_why[RINGTAPE_PATH_BYTES_MAX]; // and what to do
    struct backfill_transfer transfers[BACKFILL_DOWNLOADS];
};

// KNOWN becomes READY or REFUSED.
void backfill_source_judge(struct backfill_source *source, struct backfill_item *item,
                           const char *path);

// WANTED becomes KNOWN or THERE, now that its checksum is known.
void backfill_source_known(struct backfill_source *source, struct backfill_item *item);

bool backfill_http_open(struct backfill_source *source); // false: told
void backfill_http_close(struct backfill_source *source);
void backfill_http_pump(struct backfill_source *source);
int backfill_http_checksum(struct backfill_source *source, uint32_t at);
int backfill_http_zip(struct backfill_source *source, uint32_t at,
                      char path[RINGTAPE_PATH_BYTES_MAX]);
void backfill_http_done(struct backfill_source *source, uint32_t at);
void backfill_http_moved(struct backfill_source *source, uint32_t at, uint32_t by);

#endif
