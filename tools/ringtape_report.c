// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape report: the numbers of a UTC day or an ISO week, for people, as JSON, as a page. A day
// that is not closed is told as preliminary. docs/report.md.
//
// --refresh is what a daemon runs when days close: the reports of closed days that are missing, or
// whose generation has risen, at the lowest priority.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "format/ensure.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_files.h"
#include "tools/ringtape_query.h"
#include "tools/ringtape_report.h"
#include "tools/ringtape_report_file.h"

enum {
    REPORT_OUTPUT_BUFFER_BYTES = 1 << 18,
    REPORT_REFRESH_DAYS = 14,
    REPORT_DAY_LAST = 84005, // 2199-12-31: times beyond lie near the end of int64
};

struct report_command {
    struct ringtape_query query;
    const char *day, *week, *html, *into;
    bool json, refresh;
    struct report report;
};

// ---- days and weeks ----

static int32_t week_day(int32_t day) // 0: Monday
{
    return ((day + 3) % 7 + 7) % 7;
}

// "2026-W48": the week whose Thursday is the 48th of the year.
static bool week_parse(const char *text, int32_t *monday)
{
    char date[11];
    int32_t fourth;
    if (strlen(text) != 8 || text[4] != '-' || text[5] != 'W') return false;
    for (int i = 0; i < 8; i++)
        if (i != 4 && i != 5 && (text[i] < '0' || text[i] > '9')) return false;
    (void)snprintf(date, sizeof date, "%.4s-01-04", text);
    if (!catalogue_day_parse(date, strlen(date), &fourth)) return false;
    const int32_t week = (text[6] - '0') * 10 + text[7] - '0';
    *monday = fourth - week_day(fourth) + 7 * (week - 1);
    if (week < 1 || *monday < 0 || *monday > REPORT_DAY_LAST) return false;
    catalogue_day_text(*monday + 3, date);
    return memcmp(date, text, 4) == 0;
}

static void report_set(struct report *report, struct store *store, int32_t first, bool week,
                       const char *label)
{
    memset(report, 0, sizeof *report);
    report->store = store;
    report->week = week;
    report->day_count = week ? REPORT_DAYS_MAX : 1;
    for (uint32_t d = 0; d < report->day_count; d++)
        report->days[d].number = first + (int32_t)d;
    report->from_ns = first * REPORT_DAY_NS;
    report->to_ns = report->from_ns + report->day_count * REPORT_DAY_NS;
    report->chart_minutes = week ? 60 : 15;
    (void)snprintf(report->label, sizeof report->label, "%s", label);
}

// ---- one report ----

static int report_found(const struct report *report)
{
    if (report->unfit > 0)
        (void)ringtape_fail("%s: sums of %llu candles or symbols do not fit 128 bits; left out",
                            report->label, (unsigned long long)report->unfit);
    return report->damages > 0 || report->unfit > 0 ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
}

static int report_output(struct report_command *command)
{
    const struct report *report = &command->report;
    int exit_code = RINGTAPE_EXIT_OK;
    if (command->html != NULL) exit_code = report_write_html(report, command->html);
    if (exit_code == RINGTAPE_EXIT_OK && command->into != NULL)
        exit_code = report_write_both(report, command->into);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    if (command->json)
        report_print_json(report, stdout);
    else if (command->html == NULL && command->into == NULL)
        report_print_text(report);
    return report_found(report);
}

static int report_one(struct report_command *command, struct store *store)
{
    int32_t first = 0;
    const char *label = command->week != NULL ? command->week : command->day;
    const bool good = command->week != NULL
                          ? week_parse(label, &first)
                          : catalogue_day_parse(label, strlen(label), &first);
    ensure(good);
    report_set(&command->report, store, first, command->week != NULL, label);
    if (command->query.symbols.count > 0) command->report.symbols_asked = &command->query.symbols;
    int exit_code = report_read(&command->report);
    if (exit_code == RINGTAPE_EXIT_OK) exit_code = report_output(command);
    report_free(&command->report);
    return exit_code;
}

// ---- refreshing ----

// What records comes first. That it is not granted is no reason not to work.
static void report_step_back(void)
{
    enum { OF_PROCESS = 1, BEST_EFFORT_LAST = 2 << 13 | 7 };
    (void)setpriority(PRIO_PROCESS, 0, 19);
    (void)syscall(SYS_ioprio_set, OF_PROCESS, 0, BEST_EFFORT_LAST);
}

static int report_refresh_day(struct report_command *command, struct store *store, int32_t day)
{
    struct report *report = &command->report;
    char label[11];
    catalogue_day_text(day, label);
    report_set(report, store, day, false, label);
    int exit_code = report_look(report);
    if (exit_code != RINGTAPE_EXIT_OK || report->state != REPORT_CLOSED ||
        report_is_current(report, command->into))
        return exit_code;
    report_set(report, store, day, false, label);
    exit_code = report_read(report);
    if (exit_code == RINGTAPE_EXIT_OK) exit_code = report_write_both(report, command->into);
    if (exit_code == RINGTAPE_EXIT_OK) {
        (void)printf("%s/%s.html\n", command->into, label);
        exit_code = report_found(report);
    }
    report_free(report);
    return exit_code;
}

// One day that cannot be reported does not keep the others from it; the worst is told.
static int report_refresh(struct report_command *command, struct store *store)
{
    static char directory[RINGTAPE_PATH_BYTES_MAX];
    const int32_t today = catalogue_day_of(ringtape_now_ns());
    int exit_code = RINGTAPE_EXIT_OK;
    if (command->into == NULL) {
        (void)snprintf(directory, sizeof directory, "%.4000s/reports", store_path(store));
        command->into = directory;
    }
    report_step_back();
    for (int32_t day = today - REPORT_REFRESH_DAYS; day < today; day++) {
        const int one = day < 0 ? RINGTAPE_EXIT_OK : report_refresh_day(command, store, day);
        if (one > exit_code) exit_code = one;
    }
    return exit_code;
}

// ---- the command ----

static bool report_mistake(const char *text)
{
    (void)fprintf(stderr, "ringtape report: %s\n", text);
    return false;
}

static bool report_check(const struct report_command *command)
{
    int32_t first;
    const int asked = (command->day != NULL) + (command->week != NULL) + command->refresh;
    if (asked != 1)
        return report_mistake("say one of --day 2026-11-27, --week 2026-W48 and --refresh");
    if (command->day != NULL && (!catalogue_day_parse(command->day, strlen(command->day), &first) ||
                                 first < 0 || first > REPORT_DAY_LAST))
        return report_mistake("--day: expected a date like 2026-11-27");
    if (command->week != NULL && !week_parse(command->week, &first))
        return report_mistake("--week: expected an ISO week like 2026-W48; a year has 52 or 53");
    if (command->refresh && (command->html != NULL || command->json ||
                             command->query.symbols.count > 0))
        return report_mistake("--refresh: takes --into alone; for one report say --day or --week");
    return true;
}

static bool report_parse(struct report_command *command, int argc, char **argv, int *exit_code)
{
    const struct ringtape_option options[] = {
        RINGTAPE_QUERY_STORE(command->query),
        {.name = "day", .kind = RINGTAPE_OPTION_TEXT, .target = &command->day,
         .value = "YYYY-MM-DD", .help = "a UTC day"},
        {.name = "week", .kind = RINGTAPE_OPTION_TEXT, .target = &command->week,
         .value = "YYYY-Www", .help = "an ISO week, Monday to Monday: 2026-W48"},
        RINGTAPE_QUERY_SYMBOL(command->query),
        {.name = "symbols", .kind = RINGTAPE_OPTION_LIST, .target = &command->query.symbols,
         .value = "LIST", .help = "the same: binance:BTCUSDT,upbit:KRW-BTC"},
        {.name = "json", .kind = RINGTAPE_OPTION_FLAG, .target = &command->json,
         .help = "one JSON object, every symbol, all digits"},
        {.name = "html", .kind = RINGTAPE_OPTION_TEXT, .target = &command->html, .value = "FILE",
         .help = "one page, complete in itself; replaced as a whole"},
        {.name = "into", .kind = RINGTAPE_OPTION_TEXT, .target = &command->into, .value = "DIR",
         .help = "page and JSON: DIR/2026-11-27.html and .json"},
        {.name = "refresh", .kind = RINGTAPE_OPTION_FLAG, .target = &command->refresh,
         .help = "the reports of closed days, 14 days back, that are missing or whose\n"
                 "day has changed, into STORE/reports or --into: what a daemon runs"},
    };
    const struct ringtape_usage usage = {
        .command = "report",
        .purpose = "What a UTC day or an ISO week was: totals of each exchange, leaders, movers, "
                   "alerts,\ncoverage, latency, storage. A day that is not closed is told as "
                   "preliminary. Exit code 1:\nsomething is damaged; it is named, and the rest is "
                   "reported.",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    if (!ringtape_options_parse(&usage, argc, argv, ringtape_now_ns(), exit_code)) return false;
    *exit_code = RINGTAPE_EXIT_USAGE;
    return ringtape_query_check(&command->query, "report") && report_check(command);
}

int ringtape_report(int argc, char **argv)
{
    static struct report_command command; // large
    static char buffer[REPORT_OUTPUT_BUFFER_BYTES];
    struct store *store;
    int exit_code = RINGTAPE_EXIT_OK;
    memset(&command, 0, sizeof command);
    ringtape_query_init(&command.query);
    if (!report_parse(&command, argc, argv, &exit_code)) return exit_code;
    exit_code = ringtape_store_open(&store, command.query.store);
    if (exit_code != RINGTAPE_EXIT_OK) return exit_code;
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    exit_code = command.refresh ? report_refresh(&command, store) : report_one(&command, store);
    store_close(store);
    return ringtape_finish_output(exit_code);
}
