// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape day: is a UTC day closed? A channel's day is when it is over for a minute, no row of it
// lies on a tape any more, and every symbol that is recorded is proven beyond its end. Holes may
// stay: they are listed in the day's durable marker (ringtape_day_marker.h). Closed once is closed;
// rows that come later, by repair or late from the exchange, raise the marker's generation when
// they are sealed.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_day_marker.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_ledger.h"
#include "tools/ringtape_query.h"

#define GRACE_NS 60000000000ll
enum { RINGTAPE_EXIT_NOT_YET = 3, WAIT_S = 1 };

struct day_channel {
    bool used; // has rows or symbols, or was asked for
    char why[160]; // not closed: empty when it is
    uint64_t rows;
    struct ringtape_day_marker marker; // without one: the holes of the ledger
};

struct day {
    int32_t number;
    int64_t end_ns;
    bool over; // for a minute
    struct day_channel channels[CHANNEL_COUNT];
};

// True where the tapes cannot be read, too: that is no reason to call it closed.
static bool day_on_tape(struct store *store, const struct day *day, enum channel channel)
{
    struct store_query query = store_query_all(channel);
    struct store_scan *scan;
    struct store_chunk chunk;
    query.segments = false;
    query.time_to = day->end_ns;
    query.time_from = day->end_ns - TIME_TEXT_DAY_NS;
    if (store_scan_open(&scan, store, &query) != 0) return true;
    bool found = store_scan_next(scan, &chunk) != 0;
    store_scan_close(scan);
    return found;
}

static void day_rows(struct store *store, struct day *day)
{
    const struct catalogue *catalogue = store_catalogue(store);
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *segment = &catalogue->segments[i];
        if (segment->day == day->number) day->channels[segment->channel].rows += segment->rows;
    }
}

static bool day_audited(int channel)
{
    return channel == CHANNEL_TRADE || channel == CHANNEL_AGG_TRADE;
}

// Of channels with a promise: rows that the ledger does not tell of are not proven either.
static void day_known(const struct ringtape_ledger *ledger, struct day *day)
{
    for (int c = CHANNEL_TRADE; c <= CHANNEL_KLINE; c++) {
        struct day_channel *channel = &day->channels[c];
        bool known = !day_audited(c) || channel->rows == 0 || channel->used;
        if (channel->why[0] == '\0' && (!known || ledger->time_ns < day->end_ns))
            (void)snprintf(channel->why, sizeof channel->why,
                           "the ledger does not reach to its end yet; a running daemon writes it "
                           "once a minute");
    }
}

static void day_proven(const struct ringtape_ledger *ledger, struct day *day)
{
    for (uint32_t i = 0; i < ledger->key_count; i++) {
        const struct ledger_key *key = &ledger->keys[i];
        struct day_channel *channel = &day->channels[key->channel];
        if (key->gone || key->first_ns >= day->end_ns) continue;
        channel->used = true;
        if (channel->why[0] == '\0' && day_audited((int)key->channel) &&
            key->proven_ns < day->end_ns)
            (void)snprintf(channel->why, sizeof channel->why, "%s is not proven to its end yet",
                           key->symbol);
    }
    for (uint32_t n = 0; n < ledger->note_count; n++) {
        const struct ringtape_ledger_note *note = &ledger->notes[n];
        struct day_channel *channel = &day->channels[ledger->keys[note->key].channel];
        if (!ringtape_day_has(day->number, note)) continue;
        channel->marker.open += note->kind == STATUS_HOLE_OPENED;
        channel->marker.lost += note->kind == STATUS_HOLE_LOST;
    }
}

// A channel's own reasons, then its marker.
static int day_mark(struct store *store, const struct ringtape_ledger *ledger, struct day *day,
                    enum channel number)
{
    struct day_channel *channel = &day->channels[number];
    const struct ringtape_day_state state = {day->number, number, channel->rows, ledger};
    struct ringtape_day_marker marker;
    bool on_tape = day_on_tape(store, day, number);
    channel->used = channel->used || channel->rows > 0 || on_tape;
    if (!day->over)
        (void)snprintf(channel->why, sizeof channel->why, "the day is not over for a minute yet");
    else if (on_tape && channel->why[0] == '\0')
        (void)snprintf(channel->why, sizeof channel->why, "rows are not sealed yet");
    if (!channel->used) return RINGTAPE_EXIT_OK;
    bool good = channel->why[0] == '\0';
    int exit_code = good ? ringtape_day_marker_write(store, &state, ringtape_now_ns(), &marker)
                         : ringtape_day_marker_read(store, &state, &marker);
    if (exit_code != RINGTAPE_EXIT_OK || marker.generation == 0) return exit_code;
    channel->marker = marker;
    channel->rows = marker.rows;
    channel->why[0] = '\0';
    return RINGTAPE_EXIT_OK;
}

static int day_judge(struct store *store, const struct ringtape_query *query, struct day *day)
{
    struct ringtape_ledger ledger;
    day->over = ringtape_now_ns() >= day->end_ns + GRACE_NS;
    memset(day->channels, 0, sizeof day->channels);
    day_rows(store, day);
    int exit_code = ringtape_ledger_open(&ledger, store);
    if (exit_code == RINGTAPE_EXIT_OK) day_proven(&ledger, day);
    if (exit_code == RINGTAPE_EXIT_OK) day_known(&ledger, day);
    for (int c = 1; c < CHANNEL_COUNT && exit_code == RINGTAPE_EXIT_OK; c++) {
        struct day_channel *channel = &day->channels[c];
        bool wanted = channel_schema((enum channel)c) != NULL &&
                      ringtape_query_has_channel(query, (enum channel)c);
        channel->used = wanted && (channel->used || query->channels.count > 0);
        if (wanted) exit_code = day_mark(store, &ledger, day, (enum channel)c);
    }
    ringtape_ledger_close(&ledger);
    return exit_code;
}

static bool day_closed(const struct day *day)
{
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        if (day->channels[c].used && day->channels[c].why[0] != '\0') return false;
    }
    return day->over;
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
        ringtape_json_count(&json, "generation", channel->marker.generation);
        ringtape_json_count(&json, "rows", channel->rows);
        ringtape_json_count(&json, "open", channel->marker.open);
        ringtape_json_count(&json, "lost", channel->marker.lost);
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
            (void)printf("generation %" PRIu64 ", ", channel->marker.generation);
        (void)printf("%" PRIu64 " rows, %" PRIu64 " holes open, %" PRIu64 " lost\n",
                     channel->rows, channel->marker.open, channel->marker.lost);
    }
}

static int day_wait(struct store *store, const struct ringtape_query *query, struct day *day,
                    bool wait)
{
    const struct timespec pause = {.tv_sec = WAIT_S};
    for (;;) {
        int exit_code = day_judge(store, query, day);
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
                   "count?\nA closed day gets a durable marker in STORE/day with its open holes; "
                   "later repairs raise\nits generation. Exit code 0: it is closed; 3: not yet, "
                   "standard output says why.",
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
    day.end_ns = ((int64_t)day.number + 1) * TIME_TEXT_DAY_NS;
    exit_code = ringtape_store_open(&store, query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = day_wait(store, &query, &day, wait);
    store_close(store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    day_print(&day, json);
    return ringtape_finish_output(day_closed(&day) ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_NOT_YET);
}
