// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape coverage: what a store holds of each symbol's channel, what is missing and why, how far
// it is proven. docs/completeness.md tells what the words mean.
//
// A percentage is of ids where the channel has ids and no time range is asked for, else of time.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_coverage.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_ledger.h"
#include "tools/ringtape_query.h"
#include "tools/ringtape_table.h"

static bool ids_of(const struct ledger_key *key)
{
    return !key->times;
}

static bool asked(const struct ringtape_query *query)
{
    return query->from != INT64_MIN || query->to != INT64_MAX;
}

static int64_t note_end(const struct ledger_note *note, int64_t now_ns)
{
    return note->to_ns != 0 ? note->to_ns : now_ns;
}

bool coverage_note_wanted(const struct ringtape_query *query, const struct ledger_note *note,
                          int64_t now_ns)
{
    if (note->from_ns == 0 && note->to_ns == 0) return true; // when it was is not known
    return note->from_ns < query->to && note_end(note, now_ns) >= query->from;
}

bool coverage_key_wanted(const struct ringtape_query *query, const struct ledger_key *key)
{
    return !key->gone && ringtape_query_has_channel(query, key->channel) &&
           ringtape_query_has_symbol(query, key->symbol, strlen(key->symbol)) &&
           key->first_ns < query->to && key->last_ns >= query->from;
}

static void sum_note(struct coverage_sum *sum, const struct ringtape_query *query,
                     const struct ledger_note *note, int64_t now_ns)
{
    bool open = note->kind == STATUS_HOLE_OPENED;
    if (note->kind == STATUS_HOLE_REPAIRED && note->count > 0)
        sum->repaired += (uint64_t)note->count;
    if (!open && note->kind != STATUS_HOLE_LOST) return;
    sum->open += open;
    sum->lost += !open;
    if (note->first >= 0 && note->last != INT64_MAX && note->last >= note->first)
        sum->missing += !open && note->count >= 0 ? (uint64_t)note->count
                                                  : (uint64_t)(note->last - note->first) + 1;
    if (!open && note->first >= 0 && note->last == INT64_MAX) return; // behind all that is covered
    int64_t from = note->from_ns > query->from ? note->from_ns : query->from;
    int64_t to = note_end(note, now_ns) < query->to ? note_end(note, now_ns) : query->to;
    if (note->from_ns != 0 && to > from) sum->missing_ns += (uint64_t)(to - from);
}

struct coverage_sum coverage_sum_key(const struct ledger_whole *ledger, uint32_t number,
                                     const struct ringtape_query *query)
{
    const struct ledger_key *key = &ledger->keys[number];
    struct coverage_sum sum = {0};
    for (uint32_t n = 0; n < key->hole_count; n++) {
        const struct ledger_note *note = &ledger->notes[key->hole_first + n];
        if (coverage_note_wanted(query, note, ledger->time_ns))
            sum_note(&sum, query, note, ledger->time_ns);
    }
    sum.from_ns = key->first_ns > query->from ? key->first_ns : query->from;
    // Where times are counted, nothing traded is covered, too: up to when the ledger was written.
    int64_t last_ns = ids_of(key) ? key->last_ns : ledger->time_ns;
    sum.to_ns = last_ns < query->to ? last_ns : query->to;
    double all = ids_of(key) && !asked(query) ? (double)(key->last - key->first) + 1
                                              : (double)(sum.to_ns - sum.from_ns);
    double missing = ids_of(key) && !asked(query) ? (double)sum.missing : (double)sum.missing_ns;
    sum.percent = all <= 0 ? (missing > 0 ? 0 : 100) : 100 * (1 - missing / all);
    // Updates without a snapshot that they build on are no book.
    bool anchored = key->channel != CHANNEL_DEPTH || key->proven != 0;
    if (sum.percent < 0 || !anchored) sum.percent = 0;
    return sum;
}

// ---- text ----

static const char *time_cell(char out[TIME_TEXT_BYTES_MAX], int64_t time_ns)
{
    if (time_ns == 0) return "-";
    time_text_format(out, time_ns, 3);
    return out;
}

static void print_key(struct ringtape_table *table, const struct ledger_key *key,
                      const struct coverage_sum *sum)
{
    char text[TIME_TEXT_BYTES_MAX];
    ringtape_table_cell(table, "%s", key->symbol);
    ringtape_table_cell(table, "%s", channel_schema(key->channel)->name);
    if (ids_of(key)) {
        ringtape_table_cell(table, "%" PRId64, key->first);
        ringtape_table_cell(table, "%" PRId64, key->last);
    } else {
        ringtape_table_cell(table, "-");
        ringtape_table_cell(table, "-");
    }
    ringtape_table_cell(table, "%s", time_cell(text, sum->from_ns));
    ringtape_table_cell(table, "%s", time_cell(text, sum->to_ns));
    ringtape_table_cell(table, "%s", time_cell(text, key->proven_ns));
    ringtape_table_cell(table, "%" PRIu64, sum->open);
    ringtape_table_cell(table, "%" PRIu64, sum->lost);
    ringtape_table_cell(table, "%" PRIu64, sum->repaired);
    // Never rounded up to the whole.
    double percent = sum->percent < 100 && sum->percent > 99.999 ? 99.999 : sum->percent;
    ringtape_table_cell(table, "%.3f", percent);
}

static void print_hole(const struct ledger_whole *ledger,
                       const struct ledger_note *note)
{
    const struct ledger_key *key = &ledger->keys[note->key];
    char from[TIME_TEXT_BYTES_MAX], to[TIME_TEXT_BYTES_MAX], ids[64] = "";
    if (note->first >= 0 && note->last != INT64_MAX)
        (void)snprintf(ids, sizeof ids, " ids %" PRId64 " to %" PRId64, note->first, note->last);
    else if (note->first >= 0)
        (void)snprintf(ids, sizeof ids, " ids from %" PRId64, note->first);
    (void)printf("%s %s %s%s, %s to %s: %s\n",
                 note->kind == STATUS_HOLE_OPENED ? "open" : "lost", key->symbol,
                 channel_schema(key->channel)->name, ids, time_cell(from, note->from_ns),
                 time_cell(to, note->to_ns), note->detail);
}

static bool hole_listed(const struct ledger_whole *ledger, const struct ringtape_query *query,
                        const struct ledger_note *note)
{
    return (note->kind == STATUS_HOLE_OPENED || note->kind == STATUS_HOLE_LOST) &&
           coverage_key_wanted(query, &ledger->keys[note->key]) &&
           coverage_note_wanted(query, note, ledger->time_ns);
}

static void print_text(const struct ledger_whole *ledger, const struct ringtape_query *query)
{
    static const char *const headings[] = {"SYMBOL", "CHANNEL", ">FIRST", ">LAST", "FROM", "TO",
                                           "PROVEN TO", ">OPEN", ">LOST", ">REPAIRED",
                                           ">COVERED %"};
    struct ringtape_table table;
    char as_of[TIME_TEXT_BYTES_MAX];
    ringtape_table_start(&table, headings, sizeof headings / sizeof headings[0]);
    for (uint32_t i = 0; i < ledger->key_count; i++) {
        if (!coverage_key_wanted(query, &ledger->keys[i])) continue;
        struct coverage_sum sum = coverage_sum_key(ledger, i, query);
        print_key(&table, &ledger->keys[i], &sum);
    }
    ringtape_table_print(&table);
    ringtape_table_free(&table);
    for (uint32_t n = 0; n < ledger->note_count; n++) {
        if (hole_listed(ledger, query, &ledger->notes[n])) print_hole(ledger, &ledger->notes[n]);
    }
    time_text_format(as_of, ledger->time_ns, 3);
    (void)printf("as of %s\n", as_of);
}

// ---- JSON ----

static void json_time(struct ringtape_json *json, const char *key, int64_t time_ns)
{
    if (time_ns != 0)
        ringtape_json_time(json, key, time_ns);
    else
        ringtape_json_null(json, key);
}

static void json_id(struct ringtape_json *json, const char *key, bool there, int64_t id)
{
    if (there)
        ringtape_json_integer(json, key, id);
    else
        ringtape_json_null(json, key);
}

static void json_notes(struct ringtape_json *json, const struct ledger_whole *ledger,
                       const struct ringtape_query *query, uint32_t number)
{
    ringtape_json_array(json, "holes");
    const struct ledger_key *key = &ledger->keys[number];
    for (uint32_t n = 0; n < key->hole_count; n++) {
        const struct ledger_note *note = &ledger->notes[key->hole_first + n];
        if (note->kind == STATUS_INTERVAL_CLOSED ||
            !coverage_note_wanted(query, note, ledger->time_ns))
            continue;
        ringtape_json_object(json, NULL);
        ringtape_json_text(json, "state",
                           note->kind == STATUS_HOLE_OPENED     ? "open"
                           : note->kind == STATUS_HOLE_REPAIRED ? "repaired"
                                                                : "lost");
        json_id(json, "first", note->first >= 0, note->first);
        json_id(json, "last", note->first >= 0 && note->last != INT64_MAX, note->last);
        json_time(json, "from", note->from_ns);
        json_time(json, "to", note->to_ns);
        json_id(json, "count", note->count >= 0, note->count);
        ringtape_json_text(json, "cause", note->detail);
        ringtape_json_object_end(json);
    }
    ringtape_json_array_end(json);
}

static void json_key(struct ringtape_json *json, const struct ledger_whole *ledger,
                     const struct ringtape_query *query, uint32_t number)
{
    const struct ledger_key *key = &ledger->keys[number];
    struct coverage_sum sum = coverage_sum_key(ledger, number, query);
    char percent[32];
    ringtape_json_object(json, NULL);
    ringtape_json_text(json, "symbol", key->symbol);
    ringtape_json_text(json, "channel", channel_schema(key->channel)->name);
    json_id(json, "first", ids_of(key), key->first);
    json_id(json, "last", ids_of(key), key->last);
    json_time(json, "from", sum.from_ns);
    json_time(json, "to", sum.to_ns);
    json_id(json, "proven", ids_of(key) && key->proven != 0, key->proven);
    json_time(json, "proven_to", key->proven_ns);
    ringtape_json_count(json, "open", sum.open);
    ringtape_json_count(json, "lost", sum.lost);
    ringtape_json_count(json, "repaired", sum.repaired);
    ringtape_json_count(json, "missing", sum.missing);
    (void)snprintf(percent, sizeof percent, "%.6f", sum.percent);
    ringtape_json_text(json, "percent", percent);
    json_notes(json, ledger, query, number);
    ringtape_json_object_end(json);
}

static void print_json(const struct ledger_whole *ledger, const struct ringtape_query *query)
{
    struct ringtape_json json;
    ringtape_json_start(&json, stdout);
    ringtape_json_object(&json, NULL);
    ringtape_json_time(&json, "as_of", ledger->time_ns);
    ringtape_json_array(&json, "coverage");
    for (uint32_t i = 0; i < ledger->key_count; i++)
        if (coverage_key_wanted(query, &ledger->keys[i])) json_key(&json, ledger, query, i);
    ringtape_json_array_end(&json);
    ringtape_json_object_end(&json);
    ringtape_json_line(&json);
}

// ---- the command ----

static int coverage_show(const struct ledger_whole *ledger, const struct ringtape_query *query,
                         bool json, bool strict)
{
    if (json)
        print_json(ledger, query);
    else
        print_text(ledger, query);
    bool whole = !ledger->damaged;
    for (uint32_t n = 0; n < ledger->note_count; n++) {
        const struct ledger_note *note = &ledger->notes[n];
        if (hole_listed(ledger, query, note) && (strict || note->kind == STATUS_HOLE_OPENED))
            whole = false;
    }
    return whole ? RINGTAPE_EXIT_OK : RINGTAPE_EXIT_FOUND;
}

int ringtape_coverage(int argc, char **argv)
{
    static struct ringtape_query query;
    struct ledger_whole ledger;
    struct store *store;
    bool json = false, strict = false;
    int exit_code = RINGTAPE_EXIT_OK;
    ringtape_query_init(&query);
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(query),
        RINGTAPE_QUERY_CHANNEL(query),
        RINGTAPE_QUERY_SYMBOL(query),
        RINGTAPE_QUERY_FROM(query),
        RINGTAPE_QUERY_TO(query),
        {.name = "strict", .kind = RINGTAPE_OPTION_FLAG, .target = &strict,
         .help = "lost holes are a reason for exit code 1, too"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &json,
         .help = "one JSON object, repaired holes one by one"},
    };
    const struct ringtape_usage usage = {
        .command = "coverage",
        .purpose = "What is covered of each symbol and channel, what is missing and why. "
                   "PROVEN TO: by the\nexchange's own count everything up to there is stored or "
                   "listed here. Exit code 1:\nholes are open.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), &exit_code))
        return exit_code;
    if (!ringtape_query_check(&query, "coverage")) return RINGTAPE_EXIT_USAGE;
    exit_code = ringtape_store_open(&store, query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    exit_code = ringtape_ledger_open(&ledger, store);
    if (exit_code == RINGTAPE_EXIT_OK) exit_code = coverage_show(&ledger, &query, json, strict);
    ledger_whole_free(&ledger);
    store_close(store);
    return ringtape_finish_output(exit_code);
}
