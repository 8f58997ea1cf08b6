// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape day: is a UTC day closed? It is when it is over for a minute, no row of it lies on a
// tape any more, and every symbol that is recorded is proven beyond its end. Holes may stay: they
// are listed, and a repair later on brings rows of the day in a segment more.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_ledger.h"
#include "tools/ringtape_options.h"

#define DAY_NS 86400000000000ll
#define GRACE_NS 60000000000ll
enum { RINGTAPE_EXIT_NOT_YET = 3, WAIT_S = 1 };

struct day {
    int32_t number;
    int64_t end_ns;
    uint64_t open; // holes that reach into it
    uint64_t lost;
    char why[160]; // not closed: empty when it is
};

static bool day_on_tape(struct store *store, const struct day *day, enum channel channel)
{
    struct store_query query = store_query_all(channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.segments = false;
    query.time_to = day->end_ns;
    query.time_from = day->end_ns - DAY_NS;
    if (store_scan_open(&scan, store, &query) != 0) return true;
    bool found = store_scan_next(scan, &chunk) != 0; // damage is no reason to call it closed
    store_scan_close(scan);
    return found;
}

static void day_tapes(struct store *store, struct day *day)
{
    for (int c = 1; c < CHANNEL_COUNT && day->why[0] == '\0'; c++) {
        if (channel_schema((enum channel)c) && day_on_tape(store, day, (enum channel)c))
            (void)snprintf(day->why, sizeof day->why, "rows of channel %s are not sealed yet",
                           channel_schema((enum channel)c)->name);
    }
}

static void day_proven(const struct ringtape_ledger *ledger, struct day *day)
{
    for (uint32_t i = 0; i < ledger->key_count && day->why[0] == '\0'; i++) {
        const struct ledger_key *key = &ledger->keys[i];
        bool audited = key->channel == CHANNEL_TRADE || key->channel == CHANNEL_AGG_TRADE;
        if (!key->gone && key->live && audited && key->first_ns < day->end_ns &&
            key->proven_ns < day->end_ns)
            (void)snprintf(day->why, sizeof day->why, "%s %s is not proven to its end yet",
                           key->symbol, channel_schema(key->channel)->name);
    }
}

static void day_holes(const struct ringtape_ledger *ledger, struct day *day)
{
    for (uint32_t n = 0; n < ledger->note_count; n++) {
        const struct ringtape_ledger_note *note = &ledger->notes[n];
        if (note->from_ns >= day->end_ns ||
            (note->to_ns != 0 && note->to_ns < day->end_ns - DAY_NS))
            continue;
        day->open += note->kind == STATUS_HOLE_OPENED;
        day->lost += note->kind == STATUS_HOLE_LOST;
    }
}

static int day_judge(struct store *store, struct day *day)
{
    struct ringtape_ledger ledger;
    day->why[0] = '\0';
    day->open = day->lost = 0;
    if (ringtape_now_ns() < day->end_ns + GRACE_NS)
        (void)snprintf(day->why, sizeof day->why, "it is not over for a minute yet");
    day_tapes(store, day);
    int exit_code = ringtape_ledger_open(&ledger, store);
    if (exit_code == RINGTAPE_EXIT_OK) {
        day_proven(&ledger, day);
        day_holes(&ledger, day);
    }
    ringtape_ledger_close(&ledger);
    return exit_code;
}

static void day_print(const struct day *day, bool as_json)
{
    char text[11];
    catalogue_day_text(day->number, text);
    if (!as_json) {
        (void)printf("%s %s%s%s; %" PRIu64 " holes open, %" PRIu64 " lost\n", text,
                     day->why[0] == '\0' ? "is closed" : "is not closed",
                     day->why[0] == '\0' ? "" : ": ", day->why, day->open, day->lost);
        return;
    }
    struct ringtape_json json;
    ringtape_json_start(&json, stdout);
    ringtape_json_object(&json, NULL);
    ringtape_json_text(&json, "day", text);
    ringtape_json_bool(&json, "closed", day->why[0] == '\0');
    ringtape_json_text(&json, "reason", day->why);
    ringtape_json_count(&json, "open", day->open);
    ringtape_json_count(&json, "lost", day->lost);
    ringtape_json_object_end(&json);
    ringtape_json_line(&json);
}

static int day_wait(struct store *store, struct day *day, bool wait)
{
    const struct timespec pause = {.tv_sec = WAIT_S};
    for (;;) {
        int exit_code = day_judge(store, day);
        if (exit_code != RINGTAPE_EXIT_OK || day->why[0] == '\0' || !wait) return exit_code;
        (void)nanosleep(&pause, NULL);
        const int error = store_refresh(store, NULL);
        if (error < 0)
            return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(error));
    }
}

int ringtape_day(int argc, char **argv)
{
    const char *path = NULL, *text = NULL;
    bool wait = false, json = false;
    int exit_code = RINGTAPE_EXIT_OK;
    struct store *store;
    struct day day = {0};
    const struct ringtape_option options[] = {
        {.name = "store", .kind = RINGTAPE_OPTION_TEXT, .target = &path, .value = "DIR",
         .help = "the store: 'store:' of the daemon's configuration", .required = true},
        {.name = "wait", .kind = RINGTAPE_OPTION_FLAG, .target = &wait,
         .help = "return when the day is closed"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &json,
         .help = "one JSON object"},
    };
    const struct ringtape_usage usage = {
        .command = "day",
        .purpose = "Is a UTC day complete: over, sealed, and compared with the exchange's own "
                   "count?\nExit code 0: it is closed; 3: not yet, standard output says why.",
        .argument = "YYYY-MM-DD",
        .argument_target = &text,
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    if (!catalogue_day_parse(text, strlen(text), &day.number)) {
        (void)ringtape_fail("day: expected a date like 2026-01-31, found '%s'", text);
        return RINGTAPE_EXIT_USAGE;
    }
    day.end_ns = ((int64_t)day.number + 1) * DAY_NS;
    exit_code = ringtape_store_open(&store, path);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = day_wait(store, &day, wait);
    store_close(store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    day_print(&day, json);
    return ringtape_finish_output(day.why[0] == '\0' ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_NOT_YET);
}
