// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape day: is a UTC day closed (format/day.h)? While a daemon runs, its markers are read; it
// looks once a minute. Without one the command judges and writes them itself.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_daemon.h"
#include "tools/ringtape_day_marker.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_ledger.h"
#include "tools/ringtape_query.h"

enum { RINGTAPE_EXIT_NOT_YET = 3, WAIT_S = 1 };

struct day {
    int32_t number;
    bool wanted[CHANNEL_COUNT];
    bool asked[CHANNEL_COUNT]; // by name
    struct day_state state;
    struct day_channel channels[CHANNEL_COUNT];
    struct day_marker markers[CHANNEL_COUNT]; // generation 0: what there is now
};

// True where the tapes cannot be read, too: that is no reason to call it closed.
static bool day_on_tape(struct store *store, const struct day *day, enum channel channel)
{
    struct store_query query = store_query_all(channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.segments = false;
    query.time_to = day_end_ns(day->number);
    query.time_from = day_end_ns(day->number - 1);
    if (store_scan_open(&scan, store, &query) != 0) return true;
    bool found = store_scan_next(scan, &chunk) != 0;
    store_scan_close(scan);
    return found;
}

static void day_look(struct store *store, struct day *day)
{
    const struct catalogue *catalogue = store_catalogue(store);
    day->state = (struct day_state){.day = day->number, .now_ns = ringtape_now_ns()};
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *segment = &catalogue->segments[i];
        if (segment->day == day->number) day->state.rows[segment->channel] += segment->rows;
    }
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        if (day->wanted[c] && day_on_tape(store, day, (enum channel)c))
            day->state.on_tape |= 1u << c;
    }
}

// The channel's marker, or why there is none.
static int day_mark(struct store *store, struct day *day, enum channel number, bool daemon)
{
    struct day_channel *channel = &day->channels[number];
    struct day_marker *marker = &day->markers[number];
    *marker = (struct day_marker){.rows = day->state.rows[number],
                                  .open = channel->open,
                                  .lost = channel->lost,
                                  .unproven = channel->unproven};
    if (!channel->used) return RINGTAPE_EXIT_OK;
    struct day_marker found;
    bool write = channel->why[0] == '\0' && !daemon;
    int exit_code = write ? ringtape_day_marker_write(store, &day->state, number, &found)
                          : ringtape_day_marker_read(store, day->number, number, &found);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    if (found.generation > 0) {
        *marker = found;
        channel->why[0] = '\0';
    } else if (channel->why[0] == '\0') {
        (void)snprintf(channel->why, sizeof channel->why,
                       "the running daemon has not marked it yet; it looks once a minute");
    }
    return RINGTAPE_EXIT_OK;
}

static int day_judge_store(struct store *store, struct day *day)
{
    struct ledger_whole ledger;
    bool daemon = ringtape_daemon_of(store_path(store)) != 0;
    // The ledger first: rows that it tells of are on tapes or in segments from then on.
    int exit_code = ringtape_ledger_open(&ledger, store);
    if (exit_code == RINGTAPE_EXIT_OK) {
        day_look(store, day);
        day->state.ledger = &ledger;
        day_judge(&day->state, day->channels);
    }
    for (int c = 1; c < CHANNEL_COUNT && exit_code == RINGTAPE_EXIT_OK; c++) {
        day->channels[c].used = day->wanted[c] && (day->channels[c].used || day->asked[c]);
        exit_code = day_mark(store, day, (enum channel)c, daemon);
    }
    ledger_whole_free(&ledger);
    return exit_code;
}

static bool day_closed(const struct day *day)
{
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        if (day->channels[c].used && day->channels[c].why[0] != '\0') return false;
    }
    return day_over(day->number, day->state.now_ns);
}

static void day_print_json(const struct day *day, const char *text)
{
    struct ringtape_json json;
    ringtape_json_start(&json, stdout);
    ringtape_json_object(&json, NULL);
    ringtape_json_text(&json, "day", text);
    ringtape_json_bool(&json, "closed", day_closed(day));
    ringtape_json_array(&json, "channels");
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const struct day_channel *channel = &day->channels[c];
        if (!channel->used) continue;
        ringtape_json_object(&json, NULL);
        ringtape_json_text(&json, "channel", channel_schema((enum channel)c)->name);
        ringtape_json_bool(&json, "closed", channel->why[0] == '\0');
        ringtape_json_text(&json, "reason", channel->why);
        ringtape_json_count(&json, "generation", day->markers[c].generation);
        ringtape_json_count(&json, "rows", day->markers[c].rows);
        ringtape_json_count(&json, "open", day->markers[c].open);
        ringtape_json_count(&json, "lost", day->markers[c].lost);
        ringtape_json_count(&json, "unproven", day->markers[c].unproven);
        ringtape_json_object_end(&json);
    }
    ringtape_json_array_end(&json);
    ringtape_json_object_end(&json);
    ringtape_json_line(&json);
}

static void day_print(const struct day *day, bool as_json)
{
    char text[11];
    catalogue_day_text(day->number, text);
    if (as_json) {
        day_print_json(day, text);
        return;
    }
    (void)printf("%s is %s\n", text, day_closed(day) ? "closed" : "not closed");
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const struct day_channel *channel = &day->channels[c];
        if (!channel->used) continue;
        (void)printf("%-10s ", channel_schema((enum channel)c)->name);
        if (channel->why[0] != '\0')
            (void)printf("%s; ", channel->why);
        else
            (void)printf("generation %" PRIu64 ", ", day->markers[c].generation);
        (void)printf("%" PRIu64 " rows, %" PRIu64 " holes open, %" PRIu64 " lost",
                     day->markers[c].rows, day->markers[c].open, day->markers[c].lost);
        if (day->markers[c].unproven > 0)
            (void)printf(", %" PRIu64 " symbols no longer listed", day->markers[c].unproven);
        (void)printf("\n");
    }
}

static int day_wait(struct store *store, struct day *day, bool wait)
{
    const struct timespec pause = {.tv_sec = WAIT_S};
    for (;;) {
        int exit_code = day_judge_store(store, day);
        if (exit_code != RINGTAPE_EXIT_OK || day_closed(day) || !wait) return exit_code;
        (void)nanosleep(&pause, NULL);
        const int error = store_refresh(store, NULL);
        if (error < 0)
            return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(error));
    }
}

int ringtape_day(int argc, char **argv)
{
    static struct ringtape_query query;
    static struct day day;
    const char *text = NULL;
    bool wait = false, json = false;
    int exit_code = RINGTAPE_EXIT_OK;
    struct store *store;
    ringtape_query_init(&query);
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(query),
        RINGTAPE_QUERY_CHANNEL(query),
        {.name = "wait", .kind = RINGTAPE_OPTION_FLAG, .target = &wait,
         .help = "return when the day is closed"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &json,
         .help = "one JSON object"},
    };
    const struct ringtape_usage usage = {
        .command = "day",
        .purpose = "Is a UTC day complete: over, sealed, and compared with the exchange's own "
                   "count?\nA closed day has a durable marker in STORE/day with its open holes; "
                   "later repairs raise\nits generation. A running daemon writes it, this command "
                   "where none runs. Exit code 0:\nit is closed; 3: not yet, standard output says "
                   "why.",
        .argument = "YYYY-MM-DD",
        .argument_target = &text,
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    if (!ringtape_query_check(&query, "day")) return RINGTAPE_EXIT_USAGE;
    if (!catalogue_day_parse(text, strlen(text), &day.number)) {
        (void)ringtape_fail("day: expected a date like 2026-01-31, found '%s'", text);
        return RINGTAPE_EXIT_USAGE;
    }
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        day.wanted[c] = channel_schema((enum channel)c) != NULL &&
                        ringtape_query_has_channel(&query, (enum channel)c);
        day.asked[c] = day.wanted[c] && query.channels.count > 0;
    }
    exit_code = ringtape_store_open(&store, query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = day_wait(store, &day, wait);
    store_close(store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    day_print(&day, json);
    return ringtape_finish_output(day_closed(&day) ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_NOT_YET);
}
