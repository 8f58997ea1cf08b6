// SPDX-License-Identifier: GPL-3.0-or-later
//
// The sections of the page that stand around the numbers: alerts, coverage and holes, latency,
// storage and damage. Contract: every list is bounded and says how many more there are.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "tools/ringtape_report_html.h"
#include "tools/ringtape_report_show.h"
#include "tools/ringtape_table.h"

enum { AROUND_ALERTS = 60, AROUND_HOLES = 40, AROUND_DAMAGES = 20 };

static void around_section(FILE *out, const char *id, const char *title)
{
    (void)fprintf(out, "<section id=\"%s\">\n<h2>%s</h2>\n", id, title);
}

// `what`: more of the table's tag; `heads`: the cells of its first row.
static void around_table(FILE *out, const char *what, const char *heads)
{
    (void)fprintf(out, "<div class=\"t\"><table%s><thead><tr>%s</tr></thead><tbody>\n", what,
                  heads);
}

static void around_table_end(FILE *out)
{
    (void)fputs("</tbody></table></div>\n", out);
}

static void around_more(FILE *out, uint64_t all, uint64_t shown, const char *command)
{
    char text[RINGTAPE_TABLE_NUMBER_BYTES];
    if (all > shown)
        (void)fprintf(out, "<p class=\"lead\">And %s more: <code>%s</code></p>\n",
                      ringtape_table_number(text, all - shown), command);
}

// "13:05:07.250" of a day, "11-27 13:05:07" of a week.
static void around_time(FILE *out, const struct report *report, int64_t time_ns)
{
    char text[TIME_TEXT_BYTES_MAX];
    ensure(report->from_ns < report->to_ns);
    (void)time_text_format(text, time_ns, 3);
    const bool inside = time_ns >= report->from_ns && time_ns < report->to_ns;
    if (inside && !report->week)
        (void)fprintf(out, "%.12s", text + 11);
    else
        (void)fprintf(out, "%.5s %.8s", text + 5, text + 11);
}

// ---- alerts ----

static void around_kinds(FILE *out, const struct report_alerts *alerts)
{
    static const char *const names[] = {"surges", "crashes", "volume bursts", "spreads",
                                        "silences"};
    bool told = false;
    for (int kind = 0; kind <= ALERT_SILENCE; kind++) {
        char text[RINGTAPE_TABLE_NUMBER_BYTES];
        if (alerts->by_kind[kind] == 0) continue;
        (void)fprintf(out, "%s<strong>%s</strong> %s", told ? ", " : "",
                      ringtape_table_number(text, alerts->by_kind[kind]), names[kind]);
        told = true;
    }
}

// Returns and spreads are shares, bursts multiples, silence seconds.
static void around_measure(FILE *out, const char *more, enum alert_kind kind, int64_t value,
                           uint32_t scale)
{
    char text[SHOW_BYTES];
    const bool share = kind == ALERT_SURGE || kind == ALERT_CRASH || kind == ALERT_SPREAD;
    const char *unit = share ? " %" : kind == ALERT_VOLUME_BURST ? " \xc3\x97" : " s";
    const bool percent = share && scale >= 2;
    (void)fprintf(out, "<td class=\"n%s\">%s%s</td>", more,
                  show_fixed(text, percent ? value : (wide)value * (share ? 100 : 1),
                             percent ? scale - 2 : scale, 2),
                  unit);
}

static void around_alert(FILE *out, const struct report *report, const struct report_alert *alert)
{
    static const char *const names[] = {"surge", "crash", "volume burst", "spread", "silence"};
    char text[SHOW_BYTES];
    const bool fell = alert->kind == ALERT_CRASH, rose = alert->kind == ALERT_SURGE;
    (void)fputs("<tr><td>", out);
    around_time(out, report, alert->time_ns);
    (void)fputs("</td><td class=\"name\"><bdi>", out);
    html_text(out, alert->symbol);
    (void)fprintf(out, "</bdi></td><td class=\"%s\">%s", rose ? "up" : fell ? "down" : "",
                  names[alert->kind]);
    (void)fputs("</td><td class=\"w2\"><bdi>", out);
    html_text(out, alert->rule);
    (void)fputs("</bdi></td>", out);
    around_measure(out, "", alert->kind, alert->measure, alert->measure_scale);
    around_measure(out, " w", alert->kind, alert->threshold, alert->threshold_scale);
    (void)fprintf(out, "<td class=\"n w\">%s</td>",
                  alert->has_prices ? show_exact(text, alert->from_price, alert->from_scale) : "");
    (void)fprintf(out, "<td class=\"n w\">%s</td></tr>\n",
                  alert->has_prices ? show_exact(text, alert->to_price, alert->to_scale) : "");
}

void html_alerts(FILE *out, const struct report *report)
{
    const struct report_alerts *alerts = &report->alerts;
    const uint32_t shown = alerts->listed < AROUND_ALERTS ? alerts->listed : AROUND_ALERTS;
    around_section(out, "alerts", "Alerts");
    if (alerts->count == 0) {
        (void)fputs("<p class=\"lead\">None was raised.</p>\n</section>\n", out);
        return;
    }
    (void)fputs("<p class=\"lead\">", out);
    around_kinds(out, alerts);
    (void)fputs("</p>\n", out);
    around_table(out, "",
                 "<th>Time</th><th>Symbol</th><th>Alert</th><th class=\"w2\">Rule</th>"
                 "<th class=\"n\">Measured</th><th class=\"n w\">Threshold</th>"
                 "<th class=\"n w\">From</th><th class=\"n w\">To</th>");
    for (uint32_t i = 0; i < shown; i++) around_alert(out, report, &alerts->at[i]);
    around_table_end(out);
    around_more(out, alerts->count, shown, "ringtape cat --channel alert");
    (void)fputs("</section>\n", out);
}

// ---- coverage ----

static void around_covered(FILE *out, const struct report_covered *covered)
{
    char text[SHOW_BYTES];
    (void)fputs("<tr><td class=\"name\"><bdi>", out);
    html_text(out, covered->name);
    (void)fprintf(out, "</bdi></td><td>%s</td>", channel_schema(covered->channel)->name);
    html_count(out, "w", covered->keys);
    const uint32_t share = report_covered_share(covered);
    (void)fprintf(out, "<td class=\"n%s\">%s</td>", share < 99900 ? " warn" : "",
                  show_fixed(text, share, 3, 3));
    html_count(out, covered->open > 0 ? "warn" : "", covered->open);
    html_count(out, "", covered->lost);
    html_count(out, "w", covered->repaired);
    html_count(out, "w", covered->missing);
    (void)fputs("</tr>\n", out);
}

static void around_ids(FILE *out, const struct report_hole *hole)
{
    if (hole->first >= 0 && hole->last == hole->first)
        (void)fprintf(out, "%" PRId64, hole->first);
    else if (hole->first >= 0 && hole->last != INT64_MAX)
        (void)fprintf(out, "%" PRId64 " \xe2\x80\x93 %" PRId64, hole->first, hole->last);
    else if (hole->first >= 0)
        (void)fprintf(out, "from %" PRId64, hole->first);
}

// Either end may not be known.
static void around_times(FILE *out, const struct report *report, int64_t from_ns, int64_t to_ns)
{
    if (from_ns != 0 && to_ns == 0) (void)fputs("from ", out);
    if (from_ns == 0 && to_ns != 0) (void)fputs("until ", out);
    if (from_ns != 0) around_time(out, report, from_ns);
    if (from_ns != 0 && to_ns != 0) (void)fputs(" \xe2\x80\x93 ", out);
    if (to_ns != 0) around_time(out, report, to_ns);
}

static void around_hole(FILE *out, const struct report *report, const struct report_hole *hole)
{
    const bool open = hole->kind == STATUS_HOLE_OPENED;
    (void)fprintf(out, "<tr><td class=\"%s\">%s</td><td class=\"name\"><bdi>", open ? "warn" : "",
                  open ? "open" : "lost");
    html_text(out, hole->symbol);
    (void)fprintf(out, "</bdi></td><td class=\"w\">%s</td><td>",
                  channel_schema(hole->channel)->name);
    around_times(out, report, hole->from_ns, hole->to_ns);
    (void)fputs("</td><td class=\"w2\">", out);
    around_ids(out, hole);
    (void)fputs("</td><td class=\"w\">", out);
    html_text(out, hole->cause);
    (void)fputs("</td></tr>\n", out);
}

static void around_holes(FILE *out, const struct report *report)
{
    const struct report_coverage *coverage = &report->coverage;
    const uint32_t shown = coverage->listed < AROUND_HOLES ? coverage->listed : AROUND_HOLES;
    if (shown == 0) return;
    (void)fputs("<h3>Holes <span>open ones first</span></h3>\n", out);
    around_table(out, "",
                 "<th></th><th>Symbol</th><th class=\"w\">Channel</th><th>When</th>"
                 "<th class=\"w2\">Ids</th><th class=\"w\">Cause</th>");
    for (uint32_t i = 0; i < shown; i++) around_hole(out, report, &coverage->hole[i]);
    around_table_end(out);
    around_more(out, coverage->holes, shown, "ringtape coverage");
}

void html_coverage(FILE *out, const struct report *report)
{
    const struct report_coverage *coverage = &report->coverage;
    char text[TIME_TEXT_BYTES_MAX];
    around_section(out, "coverage", "Coverage");
    if (!coverage->known) {
        (void)fputs("<p class=\"lead\">Not known: no daemon has recorded into this store.</p>\n"
                    "</section>\n",
                    out);
        return;
    }
    (void)time_text_format(text, coverage->as_of_ns, 0);
    (void)fprintf(out, "<p class=\"lead\">As of %s. What is missing is listed, open until it is "
                       "repaired or lost for good.</p>\n",
                  text);
    around_table(out, "",
                 "<th>Exchange</th><th>Channel</th><th class=\"n w\">Symbols</th>"
                 "<th class=\"n\">Covered<br>%</th><th class=\"n\">Open</th>"
                 "<th class=\"n\">Lost</th><th class=\"n w\">Repaired<br>rows</th>"
                 "<th class=\"n w\">Missing<br>ids</th>");
    for (uint32_t i = 0; i < coverage->count; i++) around_covered(out, &coverage->at[i]);
    around_table_end(out);
    around_holes(out, report);
    (void)fputs("</section>\n", out);
}

// ---- latency ----

static void around_delays(FILE *out, const struct report_exchange *exchange)
{
    const struct report_delays *delays = exchange->delays;
    char text[SHOW_BYTES];
    (void)fputs("<tr><td class=\"name\"><bdi>", out);
    html_text(out, exchange->name);
    (void)fputs("</bdi></td>", out);
    html_count(out, "w", delays->rows);
    html_number(out, "w", show_ms(text, delays->least_ns));
    html_number(out, "", show_ms(text, report_delay_ns(delays, 500)));
    html_number(out, "", show_ms(text, report_delay_ns(delays, 990)));
    html_number(out, "w", show_ms(text, delays->most_ns));
    html_count(out, "w2", delays->early);
    (void)fputs("<td class=\"d w\">", out);
    svg_delays(out, delays);
    (void)fputs("</td></tr>\n", out);
}

void html_latency(FILE *out, const struct report *report)
{
    bool any = false;
    for (uint32_t i = 0; i < report->exchange_count; i++)
        any = any || report->exchanges[i].delays->rows > 0;
    around_section(out, "latency", "Latency");
    if (!any) {
        (void)fputs("<p class=\"lead\">No trade tells when its exchange sent it.</p>\n</section>\n",
                    out);
        return;
    }
    (void)fputs("<p class=\"lead\">From the exchange\xe2\x80\x99s event time to receipt of the "
                "message\xe2\x80\x99s last byte, of trades as they came live, in ms. Both clocks "
                "are in it.</p>\n",
                out);
    around_table(out, " class=\"a\" style=\"--f:1\"",
                 "<th>Exchange</th><th class=\"n w\">Trades</th><th class=\"n w\">Least</th>"
                 "<th class=\"n\">Median</th><th class=\"n\">99 %</th>"
                 "<th class=\"n w\">Most</th><th class=\"n w2\">Before<br>sent</th>"
                 "<th class=\"w\"></th>");
    for (uint32_t i = 0; i < report->exchange_count; i++)
        if (report->exchanges[i].delays->rows > 0) around_delays(out, &report->exchanges[i]);
    around_table_end(out);
    (void)fputs("</section>\n", out);
}

// ---- storage ----

static void around_stored(FILE *out, const char *name, const struct report_stored *stored)
{
    char text[RINGTAPE_TABLE_NUMBER_BYTES];
    (void)fprintf(out, "<tr><td class=\"name\">%s</td>", name);
    html_count(out, "", stored->rows);
    html_count(out, "w", stored->segments);
    (void)fprintf(out, "<td class=\"n\">%s</td>", ringtape_table_bytes(text, stored->bytes));
    (void)fprintf(out, "<td class=\"n\">%s</td></tr>\n",
                  ringtape_table_ratio(text, stored->bytes, stored->rows));
}

static void around_disk(FILE *out, const struct report_storage *storage)
{
    char text[RINGTAPE_TABLE_NUMBER_BYTES];
    (void)fprintf(out, "<p class=\"lead\">The whole store: <strong>%s</strong> in ",
                  ringtape_table_bytes(text, storage->store_bytes));
    (void)fprintf(out, "%s segments", ringtape_table_number(text, storage->store_segments));
    if (storage->tapes > 0)
        (void)fprintf(out, " and %s on tapes", ringtape_table_bytes(text, storage->tape_bytes));
    if (storage->disk_bytes > 0)
        (void)fprintf(out, "; its disk has <strong>%s</strong> free",
                      ringtape_table_bytes(text, storage->free_bytes));
    (void)fputs(".</p>\n", out);
}

static void around_damages(FILE *out, const struct report *report)
{
    const uint32_t shown =
        report->damages_listed < AROUND_DAMAGES ? report->damages_listed : AROUND_DAMAGES;
    if (report->damages == 0) return;
    (void)fputs("<h3 class=\"warn\">Damage <span>left out of every number above</span></h3>\n",
                out);
    around_table(out, "", "<th>File</th><th class=\"n\">Byte</th><th>What</th>");
    for (uint32_t i = 0; i < shown; i++) {
        (void)fputs("<tr><td class=\"name\">", out);
        html_text(out, report->damage[i].path);
        (void)fputs("</td>", out);
        html_count(out, "", report->damage[i].offset);
        (void)fputs("<td>", out);
        html_text(out, report->damage[i].what);
        (void)fputs("</td></tr>\n", out);
    }
    around_table_end(out);
    around_more(out, report->damages, shown, "ringtape verify");
}

void html_storage(FILE *out, const struct report *report)
{
    struct report_stored all = {0};
    around_section(out, "storage", "Storage");
    around_disk(out, &report->storage);
    around_table(out, " class=\"few\"",
                 "<th>Channel</th><th class=\"n\">Rows</th><th class=\"n w\">Segments</th>"
                 "<th class=\"n\">Bytes</th><th class=\"n\">Bytes<br>a row</th>");
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const struct report_stored *stored = &report->storage.channels[c];
        if (stored->segments == 0) continue;
        around_stored(out, channel_schema((enum channel)c)->name, stored);
        all.rows += stored->rows;
        all.segments += stored->segments;
        all.bytes += stored->bytes;
    }
    around_stored(out, "all", &all);
    around_table_end(out);
    around_damages(out, report);
    (void)fputs("</section>\n", out);
}
