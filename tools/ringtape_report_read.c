// SPDX-License-Identifier: GPL-3.0-or-later
//
// A report, read: the days and their markers first, then everything of them. Contract: what is
// damaged is noted and left out, the rest is there; nothing is written.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_day_marker.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_report.h"

// ---- damage ----

static void damage_note(struct report *report, const char *path, uint64_t offset, uint64_t rows,
                        const char *what)
{
    for (uint32_t i = 0; i < report->damages_listed; i++) // groups and slices meet it again
        if (report->damage[i].offset == offset && strcmp(report->damage[i].path, path) == 0) return;
    report->damages++;
    (void)ringtape_fail("damaged: %s at byte %llu: %s; 'ringtape verify' lists all damage", path,
                        (unsigned long long)offset, what);
    if (report->damages_listed == REPORT_DAMAGES_MAX) return;
    struct report_damage *damage = &report->damage[report->damages_listed++];
    *damage = (struct report_damage){.offset = offset, .rows = rows};
    (void)snprintf(damage->path, sizeof damage->path, "%s", path);
    (void)snprintf(damage->what, sizeof damage->what, "%s", what);
}

void report_damage_note(void *context, const struct store_damage *damage)
{
    ensure(context != NULL);
    damage_note(context, damage->path, damage->offset, damage->rows, damage->what);
}

// ---- exchanges ----

uint32_t report_exchange_of(struct report *report, const char *name)
{
    const char *colon = strchr(name, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - name);
    if (size >= REPORT_EXCHANGE_BYTES) size = REPORT_EXCHANGE_BYTES - 1;
    for (uint32_t i = 0; i < report->exchange_count; i++) {
        const char *known = report->exchanges[i].name;
        if (strlen(known) == size && memcmp(known, name, size) == 0) return i;
    }
    if (report->exchange_count == REPORT_EXCHANGES_MAX) return REPORT_NONE;
    struct report_exchange *exchange = &report->exchanges[report->exchange_count];
    memset(exchange, 0, sizeof *exchange);
    memcpy(exchange->name, name, size);
    exchange->delays = calloc(1, sizeof *exchange->delays);
    return exchange->delays == NULL ? REPORT_NONE : report->exchange_count++;
}

// ---- days ----

static void day_rows(struct report *report)
{
    const struct catalogue *catalogue = store_catalogue(report->store);
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *segment = &catalogue->segments[i];
        const int64_t at = (int64_t)segment->day - report->days[0].number;
        if (at >= 0 && at < report->day_count)
            report->days[at].rows[segment->channel] += segment->rows;
    }
}

// A marker that cannot be read counts as none: the day is preliminary.
static void day_generation(struct report *report, struct report_day *day, enum channel channel)
{
    char name[DAY_NAME_BYTES_MAX], path[DAY_NAME_BYTES_MAX + 8];
    struct day_marker marker;
    day_marker_name(day->number, channel, name);
    (void)snprintf(path, sizeof path, "day/%s", name);
    if (ringtape_day_marker_read(report->store, day->number, channel, &marker) == 0)
        day->generation[channel] = marker.generation;
    else
        damage_note(report, path, 0, 0, "the day's marker cannot be read");
}

static void day_state(struct report *report, struct report_day *day)
{
    bool any = false, closed = true;
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        if (channel_schema((enum channel)c) == NULL || day->rows[c] == 0) continue;
        any = true;
        day_generation(report, day, (enum channel)c);
        closed = closed && day->generation[c] > 0;
    }
    day->state = !any ? REPORT_EMPTY : closed ? REPORT_CLOSED : REPORT_PRELIMINARY;
}

static void report_judge(struct report *report)
{
    bool any = report->symbol_count > 0 || report->alerts.count > 0, closed = true;
    bool sealed = false;
    for (uint32_t d = 0; d < report->day_count; d++) {
        any = any || report->days[d].state != REPORT_EMPTY;
        sealed = sealed || report->days[d].state == REPORT_CLOSED;
        closed = closed && report->days[d].state != REPORT_PRELIMINARY;
    }
    closed = closed && sealed && report->made_ns >= report->to_ns;
    report->state = !any ? REPORT_EMPTY : closed ? REPORT_CLOSED : REPORT_PRELIMINARY;
}

int report_look(struct report *report)
{
    ensure(report->day_count > 0 && report->day_count <= REPORT_DAYS_MAX);
    report->made_ns = ringtape_now_ns();
    const int error = store_refresh(report->store, NULL);
    if (error < 0)
        return ringtape_fail("%s: %s", store_path(report->store), ringtape_error_text(error));
    day_rows(report);
    for (uint32_t d = 0; d < report->day_count; d++) day_state(report, &report->days[d]);
    report_judge(report);
    return RINGTAPE_EXIT_OK;
}

// ---- all ----

static int report_rows(struct report *report)
{
    int error = report_symbols_find(report);
    if (error == 0) error = report_scan_trades(report);
    if (error == 0) error = report_scan_quotes(report);
    if (error == 0) error = report_symbols_settle(report);
    if (error == 0) error = report_read_alerts(report);
    if (error == 0) error = report_read_storage(report);
    if (error == 0) return RINGTAPE_EXIT_OK;
    if (error == -EFBIG)
        return ringtape_fail("%s: more than %d symbols or %d exchanges: choose some with --symbol",
                             store_path(report->store), RINGTAPE_NAMES_MAX, REPORT_EXCHANGES_MAX);
    return ringtape_fail("%s: %s", store_path(report->store), ringtape_error_text(error));
}

int report_read(struct report *report)
{
    const int64_t start_ns = ringtape_monotonic_ns();
    int exit_code = report_look(report);
    if (exit_code == RINGTAPE_EXIT_OK) exit_code = report_rows(report);
    if (exit_code == RINGTAPE_EXIT_OK) exit_code = report_read_coverage(report);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    report_judge(report);
    report_total(report);
    report->seconds_ns = ringtape_monotonic_ns() - start_ns;
    return RINGTAPE_EXIT_OK;
}

void report_free(struct report *report)
{
    for (uint32_t i = 0; i < report->symbol_count; i++) free(report->symbols[i].name);
    for (uint32_t i = 0; i < report->exchange_count; i++) free(report->exchanges[i].delays);
    if (report->names.texts != NULL) ringtape_names_close(&report->names);
    free(report->symbols);
    free(report->charts);
    free(report->alerts.at);
    free(report->coverage.at);
    free(report->coverage.hole);
}
