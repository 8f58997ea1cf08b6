// SPDX-License-Identifier: GPL-3.0-or-later
//
// What stands around the numbers of a report: alerts raised in its days, what is covered and what
// is missing, and what it all takes on disk.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_coverage.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_ledger.h"
#include "tools/ringtape_report.h"

// ---- alerts ----

static void alert_text(char *out, size_t size, struct event_text text)
{
    (void)snprintf(out, size, "%.*s", (int)text.size, (const char *)text.bytes);
}

static void alert_fill(struct report_alert *alert, const struct event *event,
                       const struct event_text *symbol)
{
    memset(alert, 0, sizeof *alert);
    alert->kind = (enum alert_kind)event->value[ALERT_KIND];
    alert->time_ns = event_time_ns(event);
    alert->id = event->value[ALERT_ID];
    alert->measure = event->value[ALERT_MEASURE];
    alert->measure_scale = event->scale[ALERT_MEASURE];
    alert->threshold = event->value[ALERT_THRESHOLD];
    alert->threshold_scale = event->scale[ALERT_THRESHOLD];
    alert->has_prices = event_has(event, ALERT_FROM_PRICE) && event_has(event, ALERT_TO_PRICE);
    alert->from_price = event->value[ALERT_FROM_PRICE];
    alert->from_scale = event->scale[ALERT_FROM_PRICE];
    alert->to_price = event->value[ALERT_TO_PRICE];
    alert->to_scale = event->scale[ALERT_TO_PRICE];
    alert_text(alert->rule, sizeof alert->rule, event_text(event, ALERT_RULE));
    if (symbol != NULL)
        alert_text(alert->symbol, sizeof alert->symbol, *symbol);
    else if (event_has(event, ALERT_EXCHANGE))
        alert_text(alert->symbol, sizeof alert->symbol, event_text(event, ALERT_EXCHANGE));
}

static int alert_order(const void *a, const void *b)
{
    const struct report_alert *one = a, *two = b;
    if (one->time_ns != two->time_ns) return one->time_ns < two->time_ns ? -1 : 1;
    return (one->id > two->id) - (one->id < two->id);
}

// The first by time are listed: a further one takes the place of the latest, if it is earlier.
static struct report_alert *alert_place(struct report_alerts *alerts, int64_t time_ns)
{
    if (alerts->listed < REPORT_ALERTS_MAX) return &alerts->at[alerts->listed++];
    struct report_alert *latest = &alerts->at[0];
    for (uint32_t i = 1; i < alerts->listed; i++)
        if (alerts->at[i].time_ns > latest->time_ns) latest = &alerts->at[i];
    return time_ns < latest->time_ns ? latest : NULL;
}

static void alert_note(struct report *report, const struct store_chunk *chunk, uint32_t row)
{
    struct event event;
    rows_get(chunk->rows, row, &event, NULL);
    const int64_t kind = event.value[ALERT_KIND];
    if (kind < 0 || kind > ALERT_SILENCE) return; // of a newer version
    report->alerts.count++;
    report->alerts.by_kind[kind]++;
    struct report_alert *place = alert_place(&report->alerts, event_time_ns(&event));
    const uint32_t symbol = chunk->rows->symbol[row];
    if (place != NULL)
        alert_fill(place, &event, symbol == SYMBOL_NONE ? NULL : &chunk->symbols[symbol]);
}

int report_read_alerts(struct report *report)
{
    struct store_query query = store_query_all(CHANNEL_ALERT);
    struct store_scan *scan;
    struct store_chunk chunk;
    report->alerts.at = calloc(REPORT_ALERTS_MAX, sizeof *report->alerts.at);
    if (report->alerts.at == NULL) return -ENOMEM;
    query.time_from = report->from_ns;
    query.time_to = report->to_ns;
    query.damage = report_damage_note;
    query.damage_context = report;
    if (report->symbols_asked != NULL) {
        query.symbols = report->symbols_asked->text;
        query.symbol_count = report->symbols_asked->count;
    }
    int result = store_scan_open(&scan, report->store, &query);
    if (result < 0) return result;
    while ((result = store_scan_next(scan, &chunk)) > 0)
        for (uint32_t i = 0; i < chunk.count; i++) alert_note(report, &chunk, chunk.index[i]);
    store_scan_close(scan);
    qsort(report->alerts.at, report->alerts.listed, sizeof *report->alerts.at, alert_order);
    return result;
}

// ---- coverage ----

static struct report_covered *covered_of(struct report *report, const struct ledger_key *key)
{
    struct report_coverage *coverage = &report->coverage;
    const char *colon = strchr(key->symbol, ':');
    const size_t size = colon == NULL ? 0 : (size_t)(colon - key->symbol);
    for (uint32_t i = 0; i < coverage->count; i++) {
        struct report_covered *covered = &coverage->at[i];
        if (covered->channel == key->channel && strlen(covered->name) == size &&
            memcmp(covered->name, key->symbol, size) == 0)
            return covered;
    }
    if (coverage->count == REPORT_EXCHANGES_MAX * CHANNEL_COUNT) return NULL;
    struct report_covered *covered = &coverage->at[coverage->count++];
    memset(covered, 0, sizeof *covered);
    covered->channel = key->channel;
    memcpy(covered->name, key->symbol, size < sizeof covered->name ? size : 0);
    return covered;
}

static void covered_add(struct report_covered *covered, const struct ledger_key *key,
                        const struct coverage_sum *sum)
{
    const int64_t all_ns = sum->to_ns - sum->from_ns;
    covered->keys++;
    covered->open += sum->open;
    covered->lost += sum->lost;
    covered->repaired += sum->repaired;
    covered->missing += sum->missing;
    if (all_ns <= 0) return;
    uint64_t missing_ns = sum->missing_ns;
    // Updates without a snapshot that they build on are no book.
    if ((key->channel == CHANNEL_DEPTH && key->proven == 0) || missing_ns > (uint64_t)all_ns)
        missing_ns = (uint64_t)all_ns;
    covered->all_us += (uint64_t)all_ns / 1000;
    covered->missing_us += (missing_ns + 999) / 1000;
}

static void hole_list(struct report_coverage *coverage, const struct ledger_key *key,
                      const struct ledger_note *note)
{
    if (coverage->listed == REPORT_HOLES_MAX) return;
    struct report_hole *hole = &coverage->hole[coverage->listed++];
    *hole = (struct report_hole){.channel = key->channel,
                                 .kind = note->kind,
                                 .first = note->first,
                                 .last = note->last,
                                 .from_ns = note->from_ns,
                                 .to_ns = note->to_ns,
                                 .count = note->count};
    (void)snprintf(hole->symbol, sizeof hole->symbol, "%s", key->symbol);
    (void)snprintf(hole->cause, sizeof hole->cause, "%s", note->detail);
}

// Counts of a symbol are of the channels that its numbers are made of.
static void hole_count(struct report *report, const struct ledger_key *key,
                       const struct ledger_note *note)
{
    const struct event_text name = {(const uint8_t *)key->symbol, (uint32_t)strlen(key->symbol)};
    uint32_t number;
    if ((key->channel != CHANNEL_TRADE && key->channel != CHANNEL_AGG_TRADE) ||
        !ringtape_names_find(&report->names, &name, &number))
        return;
    struct report_symbol *symbol = &report->symbols[number];
    symbol->holes_open += note->kind == STATUS_HOLE_OPENED;
    symbol->holes_lost += note->kind == STATUS_HOLE_LOST;
    symbol->holes_repaired += note->kind == STATUS_HOLE_REPAIRED;
}

// One pass a kind, so that open holes are listed first.
static void holes_of(struct report *report, const struct ledger_whole *ledger,
                     const struct ringtape_query *query, enum status_kind kind)
{
    for (uint32_t n = 0; n < ledger->note_count; n++) {
        const struct ledger_note *note = &ledger->notes[n];
        const struct ledger_key *key = &ledger->keys[note->key];
        if (note->kind != kind || !coverage_key_wanted(query, key) ||
            !coverage_note_wanted(query, note, ledger->time_ns))
            continue;
        hole_count(report, key, note);
        if (kind == STATUS_HOLE_REPAIRED) continue;
        report->coverage.holes++;
        hole_list(&report->coverage, key, note);
    }
}

static int covered_order(const void *a, const void *b)
{
    const struct report_covered *one = a, *two = b;
    const int names = strcmp(one->name, two->name);
    return names != 0 ? names : (int)one->channel - (int)two->channel;
}

static void coverage_fill(struct report *report, const struct ledger_whole *ledger,
                          const struct ringtape_query *query)
{
    report->coverage.known = true;
    report->coverage.as_of_ns = ledger->time_ns;
    for (uint32_t i = 0; i < ledger->key_count; i++) {
        const struct ledger_key *key = &ledger->keys[i];
        if (!coverage_key_wanted(query, key)) continue;
        const struct coverage_sum sum = coverage_sum_key(ledger, i, query);
        struct report_covered *covered = covered_of(report, key);
        if (covered != NULL) covered_add(covered, key, &sum);
    }
    if (report->coverage.count > 0)
        qsort(report->coverage.at, report->coverage.count, sizeof *report->coverage.at,
              covered_order);
    holes_of(report, ledger, query, STATUS_HOLE_OPENED);
    holes_of(report, ledger, query, STATUS_HOLE_LOST);
    holes_of(report, ledger, query, STATUS_HOLE_REPAIRED);
}

// A store that no daemon has recorded into (filled from archives) has none.
static bool ledger_there(const struct report *report)
{
    char path[RINGTAPE_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%.4000s/ledger/base", store_path(report->store));
    return access(path, F_OK) == 0;
}

int report_read_coverage(struct report *report)
{
    static struct ringtape_query query; // large
    struct report_coverage *coverage = &report->coverage;
    struct ledger_whole ledger;
    if (!ledger_there(report)) return RINGTAPE_EXIT_OK;
    coverage->at = calloc((size_t)REPORT_EXCHANGES_MAX * CHANNEL_COUNT, sizeof *coverage->at);
    coverage->hole = calloc(REPORT_HOLES_MAX, sizeof *coverage->hole);
    if (coverage->at == NULL || coverage->hole == NULL) return ringtape_fail("out of memory");
    ringtape_query_init(&query);
    query.channel_bits = UINT32_MAX;
    query.from = report->from_ns;
    query.to = report->to_ns;
    if (report->symbols_asked != NULL) query.symbols = *report->symbols_asked;
    if (ringtape_ledger_open(&ledger, report->store) == RINGTAPE_EXIT_OK) {
        coverage_fill(report, &ledger, &query);
        report->damages += ledger.damaged; // told
    } else {
        const struct store_damage damage = {.path = "ledger", .what = "it cannot be read"};
        report_damage_note(report, &damage);
    }
    ledger_whole_free(&ledger);
    return RINGTAPE_EXIT_OK;
}

// ---- storage ----

static void storage_segments(struct report *report)
{
    const struct catalogue *catalogue = store_catalogue(report->store);
    struct report_storage *storage = &report->storage;
    for (uint32_t i = 0; i < catalogue->segment_count; i++) {
        const struct catalogue_segment *segment = &catalogue->segments[i];
        const int64_t at = (int64_t)segment->day - report->days[0].number;
        storage->store_bytes += segment->bytes;
        storage->store_segments++;
        if (at < 0 || at >= report->day_count) continue;
        struct report_stored *stored = &storage->channels[segment->channel];
        stored->rows += segment->rows;
        stored->bytes += segment->bytes;
        stored->segments++;
    }
}

static void storage_tapes(struct report *report)
{
    uint32_t count;
    const uint32_t *tapes = store_tapes(report->store, &count);
    report->storage.tapes = count;
    for (uint32_t i = 0; i < count; i++) {
        char path[RINGTAPE_PATH_BYTES_MAX], name[CATALOGUE_PATH_BYTES_MAX];
        struct stat found;
        catalogue_tape_path(tapes[i], "tape", name);
        (void)snprintf(path, sizeof path, "%.4000s/%s", store_path(report->store), name);
        if (stat(path, &found) == 0) report->storage.tape_bytes += (uint64_t)found.st_size;
    }
}

int report_read_storage(struct report *report)
{
    struct statvfs disk;
    const int error = store_refresh(report->store, NULL);
    if (error < 0) return error;
    storage_segments(report);
    storage_tapes(report);
    if (statvfs(store_path(report->store), &disk) == 0) {
        report->storage.free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
        report->storage.disk_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
    }
    return 0;
}
