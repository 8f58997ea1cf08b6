// SPDX-License-Identifier: GPL-3.0-or-later
//
// Files and rows of a store, given to ledger_whole (format/ledger_whole.h).
#include "tools/ringtape_ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"

// ---- files ----

// 0; -ENOENT; -EBADMSG; others.
static int ledger_load(struct ledger *ledger, const struct store *store, const char *name)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    struct ringtape_map map;
    (void)snprintf(path, sizeof path, "%s/ledger/%s", store_path(store), name);
    int error = ringtape_map_open(&map, path);
    if (error != 0) return error;
    error = ledger_parse(ledger, (const char *)map.bytes, map.size);
    ringtape_map_close(&map);
    return error;
}

static int ledger_fail(const struct store *store, int error)
{
    return ringtape_fail("%s/ledger/base: %s; a daemon writes it at its start", store_path(store),
                         ringtape_error_text(error));
}

static int files_read(struct ledger_whole *whole, struct ledger *ledger, const struct store *store)
{
    int error = ledger_load(ledger, store, "base");
    if (error == -ENOENT) { // no daemon ever recorded into it
        ledger_whole_files_end(whole);
        whole->time_ns = 0;
        return 0;
    }
    if (error != 0) return ledger_fail(store, error);
    ledger_whole_base(whole, ledger);
    for (uint32_t shard = 0; shard < whole->shards; shard++) {
        char name[16];
        (void)snprintf(name, sizeof name, "shard-%02u", shard % 100);
        ledger_whole_shard(whole, ledger_load(ledger, store, name) == 0 ? ledger : NULL);
    }
    ledger_whole_files_end(whole);
    return 0;
}

// ---- status rows ----

static void damage_told(void *context, const struct store_damage *damage)
{
    ((struct ledger_whole *)context)->damaged = true;
    (void)ringtape_fail("damaged: %s at byte %" PRIu64 ": %s", damage->path, damage->offset,
                        damage->what);
}

static int rows_read(struct ledger_whole *whole, struct store *store)
{
    struct store_query query = store_query_all(CHANNEL_STATUS);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.damage = damage_told;
    query.damage_context = whole;
    int result = store_scan_open(&scan, store, &query);
    if (result == 0) {
        while ((result = store_scan_next(scan, &chunk)) > 0)
            ledger_whole_rows(whole, chunk.rows, chunk.index, chunk.count, chunk.symbols);
        store_scan_close(scan);
    }
    if (result < 0) return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(result));
    return 0;
}

int ringtape_ledger_open_any(struct ledger_whole *whole, struct store *store)
{
    struct ledger ledger;
    if (ledger_whole_init(whole) != 0 || ledger_init(&ledger) != 0)
        return ringtape_fail("out of memory");
    int result = files_read(whole, &ledger, store);
    ledger_free(&ledger);
    if (result == 0) result = rows_read(whole, store);
    if (result == 0) ledger_whole_end(whole);
    if (result == 0 && whole->full)
        return ringtape_fail("%s: more than %d status rows of holes are not looked at together; "
                             "keep status rows for a shorter time",
                             store_path(store), LEDGER_WHOLE_NOTES_MAX);
    return result;
}

// Without a ledger there may be history that was filled in.
int ringtape_ledger_open(struct ledger_whole *whole, struct store *store)
{
    const int result = ringtape_ledger_open_any(whole, store);
    if (result != 0 || whole->time_ns != 0) return result;
    whole->time_ns = ringtape_now_ns();
    return whole->key_count > 0 ? 0 : ledger_fail(store, -ENOENT);
}
