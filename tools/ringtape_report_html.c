// SPDX-License-Identifier: GPL-3.0-or-later
//
// A report as one page: head, a section an exchange (leaders, their candles, movers), then what
// stands around the numbers. Contract: no script, nothing fetched, every anchor resolves, and no
// text of the data is markup.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/ensure.h"
#include "format/time_text.h"
#include "format/version.h"
#include "tools/ringtape_report_html.h"
#include "tools/ringtape_report_show.h"
#include "tools/ringtape_table.h"

enum { HTML_LEADERS = 12, HTML_CHARTS = 6, HTML_MOVERS = 8 };

// ---- text of the data ----

void html_text(FILE *out, const char *text)
{
    ensure(out != NULL && text != NULL);
    while (*text != '\0') {
        bool odd;
        const uint32_t size = show_character(text, &odd);
        if (odd)
            (void)fputs("\xef\xbf\xbd", out);
        else if (*text == '&')
            (void)fputs("&amp;", out);
        else if (*text == '<')
            (void)fputs("&lt;", out);
        else if (*text == '>')
            (void)fputs("&gt;", out);
        else if (*text == '"')
            (void)fputs("&quot;", out);
        else if (*text == '\'')
            (void)fputs("&#39;", out);
        else
            (void)fwrite(text, 1, size, out);
        text += size;
    }
}

void html_symbol(FILE *out, const char *name)
{
    const char *colon = strchr(name, ':');
    (void)fputs("<bdi>", out);
    html_text(out, colon != NULL ? colon + 1 : name);
    (void)fputs("</bdi>", out);
}

// ---- numbers ----

static void html_parts(FILE *out, const char *value)
{
    const uint32_t fraction = show_fraction(value);
    const char *point = value + strlen(value) - fraction;
    (void)fprintf(out, "%.*s<i>%s</i>", (int)(point - value), value, point);
}

void html_number(FILE *out, const char *more, const char *value)
{
    (void)fprintf(out, "<td class=\"n%s%s\">", *more != '\0' ? " " : "", more);
    html_parts(out, value);
    (void)fputs("</td>", out);
}

void html_count(FILE *out, const char *more, uint64_t value)
{
    char text[RINGTAPE_TABLE_NUMBER_BYTES];
    (void)fprintf(out, "<td class=\"n%s%s\">%s</td>", *more != '\0' ? " " : "", more,
                  ringtape_table_number(text, value));
}

// What is shown as 0.00 has no colour.
static const char *html_direction(wide change)
{
    const wide least = wide_power(SUMMARY_DECIMALS - 4) / 2;
    return change < -least ? "down" : change > least ? "up" : "flat";
}

// A real minus, as wide as the plus.
static void html_percent(FILE *out, wide ratio)
{
    char text[SHOW_BYTES];
    const char *shown = show_percent(text, ratio, true);
    (void)fprintf(out, "%s%s", *shown == '-' ? "\xe2\x88\x92" : "", shown + (*shown == '-'));
}

void html_change(FILE *out, const char *more, bool there, wide ratio)
{
    if (!there) {
        html_number(out, more, "-");
        return;
    }
    (void)fprintf(out, "<td class=\"n %s%s%s\">", html_direction(ratio), *more != '\0' ? " " : "",
                  more);
    html_percent(out, ratio);
    (void)fputs("</td>", out);
}

// ---- head ----

static const char *const html_weekdays[] = {"Thursday", "Friday", "Saturday", "Sunday",
                                            "Monday", "Tuesday", "Wednesday"};

// "27 November 2026", or without the year
static void html_date(FILE *out, int32_t day, bool year)
{
    static const char *const months[] = {"January", "February", "March", "April",
                                         "May", "June", "July", "August",
                                         "September", "October", "November", "December"};
    char text[11];
    catalogue_day_text(day, text);
    const int month = (text[5] - '0') * 10 + text[6] - '0';
    ensure(month >= 1 && month <= 12);
    (void)fprintf(out, "%s %s", text[8] == '0' ? text + 9 : text + 8, months[month - 1]);
    if (year) (void)fprintf(out, " %.4s", text);
}

static void html_title(FILE *out, const struct report *report)
{
    if (report->week) {
        (void)fprintf(out, "Week %s of %.4s", report->label + 6, report->label);
        return;
    }
    const int32_t day = report->days[0].number;
    (void)fprintf(out, "%s, ", html_weekdays[(day % 7 + 7) % 7]);
    html_date(out, day, true);
}

static void html_state(FILE *out, const struct report *report)
{
    static const char *const classes[] = {"empty", "preliminary", "closed"};
    (void)fprintf(out, "<p class=\"state %s\">", classes[report->state]);
    if (report->state == REPORT_EMPTY)
        (void)fputs("<b>No data.</b> Nothing of this time is stored.", out);
    else if (report->state == REPORT_CLOSED)
        (void)fputs("<b>Closed.</b> Everything is sealed and was compared with the exchanges\xe2"
                    "\x80\x99 own counts; what is missing is listed below.",
                    out);
    else
        (void)fprintf(out, "<b>Preliminary.</b> Not all of it is closed yet; numbers may still "
                           "change.%s%s%s",
                      report->week ? "" : " <code>ringtape day ",
                      report->week ? "" : report->label, report->week ? "" : "</code> says why.");
    if (report->damages > 0)
        (void)fprintf(out, " <b class=\"warn\">%" PRIu64 " damaged place%s left out</b>, "
                           "<a href=\"#storage\">see below</a>.",
                      report->damages, report->damages == 1 ? " is" : "s are");
    (void)fputs("</p>\n", out);
}

static void html_figure(FILE *out, const char *name, uint64_t value, const char *unit)
{
    char text[RINGTAPE_TABLE_NUMBER_BYTES];
    (void)fprintf(out, "<div><dt>%s</dt><dd>%s%s%s%s</dd></div>", name,
                  ringtape_table_number(text, value), *unit != '\0' ? " <small>" : "", unit,
                  *unit != '\0' ? "</small>" : "");
}

static void html_covered(FILE *out, const struct report *report)
{
    struct report_covered all = {.keys = 0};
    char text[SHOW_BYTES];
    for (uint32_t i = 0; i < report->coverage.count; i++) {
        const struct report_covered *covered = &report->coverage.at[i];
        if (covered->channel != CHANNEL_TRADE && covered->channel != CHANNEL_AGG_TRADE) continue;
        all.keys += covered->keys;
        all.all_us += covered->all_us;
        all.missing_us += covered->missing_us;
    }
    if (all.keys == 0) return;
    (void)fprintf(out, "<div><dt>Trades covered</dt><dd>%s <small>%%</small></dd></div>",
                  show_fixed(text, report_covered_share(&all), 3, 3));
}

static void html_figures(FILE *out, const struct report *report)
{
    uint64_t trades = 0, quotes = 0;
    for (uint32_t i = 0; i < report->exchange_count; i++) {
        trades += report->exchanges[i].trades;
        quotes += report->exchanges[i].quotes;
    }
    (void)fputs("<dl class=\"sum\">", out);
    html_figure(out, "Trades", trades, "");
    html_figure(out, "Quotes", quotes, "");
    html_figure(out, "Symbols", report->symbol_count, "");
    html_figure(out, "Alerts", report->alerts.count, "");
    html_covered(out, report);
    if (report->coverage.known)
        html_figure(out, "Holes left", report->coverage.holes, "");
    (void)fputs("</dl>\n", out);
}

static void html_navigation(FILE *out, const struct report *report)
{
    (void)fputs("<nav>", out);
    for (uint32_t i = 0; i < report->exchange_count; i++) {
        (void)fprintf(out, "<a href=\"#exchange-%" PRIu32 "\">", i + 1);
        html_text(out, report->exchanges[i].name);
        (void)fputs("</a>", out);
    }
    (void)fputs("<a href=\"#alerts\">Alerts</a><a href=\"#coverage\">Coverage</a>"
                "<a href=\"#latency\">Latency</a><a href=\"#storage\">Storage</a></nav>\n",
                out);
}

static void html_days(FILE *out, const struct report *report)
{
    static const char *const states[] = {"no data", "preliminary", "closed"};
    if (!report->week) return;
    (void)fputs("<ul class=\"days\">", out);
    for (uint32_t d = 0; d < report->day_count; d++) {
        const struct report_day *day = &report->days[d];
        (void)fprintf(out, "<li>%.3s ", html_weekdays[(day->number % 7 + 7) % 7]);
        html_date(out, day->number, false);
        (void)fprintf(out, ": %s</li>", states[day->state]);
    }
    (void)fputs("</ul>\n", out);
}

static void html_head(FILE *out, const struct report *report)
{
    (void)fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                "<title>ringtape ",
                out);
    (void)fputs(report->label, out);
    (void)fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n", report_style);
    (void)fprintf(out, "<p class=\"eye\">ringtape \xc2\xb7 %s report \xc2\xb7 UTC</p>\n<h1>",
                  report->week ? "weekly" : "daily");
    html_title(out, report);
    (void)fputs("</h1>\n", out);
    html_state(out, report);
    html_days(out, report);
    if (report->state != REPORT_EMPTY) html_figures(out, report);
    html_navigation(out, report);
    (void)fputs("</header>\n<main>\n", out);
}

// ---- exchanges ----

static uint32_t html_turnover_scale(const struct candle_sum *sum)
{
    return (uint32_t)(sum->price_scale + sum->quantity_scale);
}

static struct show_unit html_unit(const struct report *report, const uint32_t *picked,
                                  uint32_t count)
{
    struct show_unit unit = {0, ""};
    for (uint32_t i = 0; i < count; i++) {
        const struct candle_sum *sum = &report->symbols[picked[i]].summary.sum;
        const struct show_unit found = show_unit_of(sum->quote_volume, html_turnover_scale(sum));
        if (found.digits > unit.digits) unit = found;
    }
    return unit;
}

// Bytes of a fraction, its point too, that stand below each other; 0: prices differ so much that
// they would take too much room, and stand flush right instead.
static uint32_t html_fraction(const struct report *report, const uint32_t *picked, uint32_t count)
{
    enum { ALIGNED_BYTES = 12 };
    uint32_t widest = 0, whole = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct candle_sum *sum = &report->symbols[picked[i]].summary.sum;
        const int64_t prices[] = {sum->high, sum->low, sum->close};
        for (int p = 0; p < 3; p++) {
            char text[SHOW_BYTES];
            const char *shown = show_exact(text, prices[p], sum->price_scale);
            const uint32_t found = show_fraction(shown);
            const uint32_t before = (uint32_t)strlen(shown) - found;
            if (found > widest) widest = found;
            if (before > whole) whole = before;
        }
    }
    return whole + widest <= ALIGNED_BYTES ? widest : 0;
}

// On a phone a table may be pushed sideways, the page never.
static void html_table(FILE *out, uint32_t fraction)
{
    (void)fputs("<div class=\"t\"><table", out);
    if (fraction > 0)
        (void)fprintf(out, " class=\"a\" style=\"--f:%" PRIu32 "\"", fraction - 1);
    (void)fputs(">", out);
}

// What the time-weighted spread, else the mean one, is of vwap, in hundredths of a per cent.
static void html_spread(FILE *out, const struct summary *summary)
{
    wide spread = 0, vwap = 0, ratio = 0;
    char text[SHOW_BYTES];
    const bool there = (summary_spread_time_weighted(summary, &spread) ||
                        summary_spread_mean(summary, &spread)) &&
                       spread >= 0 && summary_vwap(summary, &vwap) && vwap > 0 &&
                       vwap >> 119 == 0 &&
                       wide_ratio(spread, SUMMARY_DECIMALS, vwap, SUMMARY_DECIMALS, 8, &ratio);
    (void)fprintf(out, "<td class=\"n w2\">%s</td>", there ? show_fixed(text, ratio, 4, 2) : "-");
}

static void html_plain(FILE *out, const char *more, const char *value)
{
    (void)fprintf(out, "<td class=\"n %s\">%s</td>", more, value);
}

static void html_leader(FILE *out, const struct report *report, const struct report_symbol *symbol,
                        struct show_unit unit)
{
    const struct candle_sum *sum = &symbol->summary.sum;
    char text[SHOW_BYTES];
    wide ratio = 0;
    (void)fputs("<tr><td class=\"name\">", out);
    html_symbol(out, symbol->name);
    (void)fputs("</td><td class=\"s\">", out);
    svg_line(out, report, symbol);
    (void)fputs("</td>", out);
    html_number(out, "", show_exact(text, sum->close, sum->price_scale));
    html_change(out, "", symbol->has_change, symbol->change);
    html_number(out, "w", show_exact(text, sum->low, sum->price_scale));
    html_number(out, "w", show_exact(text, sum->high, sum->price_scale));
    html_plain(out, "", show_amount(text, sum->quote_volume, html_turnover_scale(sum), unit));
    html_count(out, "w", (uint64_t)sum->trades);
    html_plain(out, "w2", summary_buy_ratio(&symbol->summary, &ratio)
                              ? show_fixed(text, ratio, SUMMARY_DECIMALS - 2, 1)
                              : "-");
    html_plain(out, "w", show_thousandths(text, 100 * summary_volatility(&symbol->summary)));
    html_spread(out, &symbol->summary);
    (void)fputs("</tr>\n", out);
}

static void html_leaders(FILE *out, const struct report *report, uint32_t exchange,
                         const uint32_t *picked, uint32_t count)
{
    const struct report_exchange *known = &report->exchanges[exchange];
    const char *asset = known->assets[known->main].name;
    const struct show_unit unit = html_unit(report, picked, count);
    const char *space = *unit.name != '\0' && *asset != '\0' ? " " : "";
    (void)fprintf(out, "<h3>Volume leaders <span>by turnover%s%s%s%s</span></h3>\n",
                  *asset != '\0' || *unit.name != '\0' ? " in " : "", unit.name, space, asset);
    html_table(out, html_fraction(report, picked, count));
    (void)fputs("<thead><tr><th>Symbol</th><th>Closes</th><th class=\"n\">Close</th>"
                "<th class=\"n\">Change<br>%</th><th class=\"n w\">Low</th>"
                "<th class=\"n w\">High</th><th class=\"n\">Turnover</th>"
                "<th class=\"n w\">Trades</th><th class=\"n w2\">Buys<br>%</th>"
                "<th class=\"n w\">Volatility<br>%</th><th class=\"n w2\">Spread<br>bp</th>"
                "</tr></thead><tbody>\n",
                out);
    for (uint32_t i = 0; i < count; i++)
        html_leader(out, report, &report->symbols[picked[i]], unit);
    (void)fputs("</tbody></table></div>\n", out);
}

static void html_charts(FILE *out, const struct report *report, const uint32_t *picked,
                        uint32_t count)
{
    (void)fputs("<div class=\"charts\">\n", out);
    for (uint32_t i = 0; i < count && i < HTML_CHARTS; i++) {
        const struct report_symbol *symbol = &report->symbols[picked[i]];
        const struct candle_sum *sum = &symbol->summary.sum;
        char text[SHOW_BYTES];
        if (symbol->chart == REPORT_NONE) continue;
        (void)fputs("<figure><figcaption><span class=\"name\">", out);
        html_symbol(out, symbol->name);
        (void)fprintf(out, "</span><span class=\"last\">%s</span>",
                      show_exact(text, sum->close, sum->price_scale));
        if (symbol->has_change) {
            (void)fprintf(out, "<span class=\"%s\">", html_direction(symbol->change));
            html_percent(out, symbol->change);
            (void)fputs(" %</span>", out);
        }
        (void)fputs("</figcaption>\n", out);
        svg_candles(out, report, symbol);
        (void)fputs("</figure>\n", out);
    }
    (void)fputs("</div>\n", out);
}

// The steepest five minutes in the direction of the list, and when they began.
static void html_steepest(FILE *out, const struct report *report, const struct summary *summary,
                          bool rises)
{
    const int64_t time_ns = rises ? summary->rise_open_time_ns : summary->fall_open_time_ns;
    const wide move = rises ? summary->rise : summary->fall;
    char text[TIME_TEXT_BYTES_MAX];
    html_change(out, "", summary->has_moves, move);
    if (!summary->has_moves) {
        html_plain(out, "w", "-");
        return;
    }
    (void)time_text_format(text, time_ns, 0);
    const int32_t day = catalogue_day_of(time_ns);
    (void)fprintf(out, "<td class=\"n w\">%.3s%s%.5s</td>",
                  report->week ? html_weekdays[(day % 7 + 7) % 7] : "", report->week ? " " : "",
                  text + 11);
}

static void html_movers(FILE *out, const struct report *report, uint32_t exchange,
                        enum report_rank rank)
{
    uint32_t picked[HTML_MOVERS];
    const uint32_t count = report_pick(report, exchange, rank, picked, HTML_MOVERS);
    const bool rises = rank == REPORT_BY_RISE;
    (void)fprintf(out, "<div><h3>Largest %s</h3>\n", rises ? "rises" : "falls");
    if (count == 0) {
        (void)fprintf(out, "<p class=\"lead\">None.</p></div>\n");
        return;
    }
    html_table(out, html_fraction(report, picked, count));
    (void)fprintf(out, "<thead><tr><th>Symbol</th><th>Closes</th><th class=\"n\">Change<br>%%"
                       "</th><th class=\"n\">Close</th><th class=\"n\">Steepest<br>5 min, "
                       "%%</th><th class=\"n w\">at</th></tr></thead><tbody>\n");
    for (uint32_t i = 0; i < count; i++) {
        const struct report_symbol *symbol = &report->symbols[picked[i]];
        const struct candle_sum *sum = &symbol->summary.sum;
        char text[SHOW_BYTES];
        (void)fputs("<tr><td class=\"name\">", out);
        html_symbol(out, symbol->name);
        (void)fputs("</td><td class=\"s\">", out);
        svg_line(out, report, symbol);
        (void)fputs("</td>", out);
        html_change(out, "", true, symbol->change);
        html_number(out, "", show_exact(text, sum->close, sum->price_scale));
        html_steepest(out, report, &symbol->summary, rises);
        (void)fputs("</tr>\n", out);
    }
    (void)fputs("</tbody></table></div></div>\n", out);
}

static void html_assets(FILE *out, const struct report_exchange *exchange)
{
    for (uint32_t a = 0, told = 0; a < exchange->asset_count && told < 6; a++) {
        const struct report_asset *asset = &exchange->assets[a];
        char text[SHOW_BYTES];
        if (asset->symbols == 0 || asset->name[0] == '\0' || asset->unfit) continue;
        const struct show_unit unit = show_unit_of(asset->turnover, asset->scale);
        (void)fprintf(out, "%s<strong>%s</strong> %s%s%s", told == 0 ? "; turnover " : ", ",
                      show_amount(text, asset->turnover, asset->scale, unit), unit.name,
                      *unit.name != '\0' ? " " : "", asset->name);
        told++;
    }
}

static void html_exchange(FILE *out, const struct report *report, uint32_t number)
{
    const struct report_exchange *exchange = &report->exchanges[number];
    uint32_t picked[HTML_LEADERS];
    char a[RINGTAPE_TABLE_NUMBER_BYTES], b[RINGTAPE_TABLE_NUMBER_BYTES];
    (void)fprintf(out, "<section id=\"exchange-%" PRIu32 "\">\n<h2>", number + 1);
    html_text(out, exchange->name);
    (void)fprintf(out, "</h2>\n<p class=\"lead\"><strong>%s</strong> trades of <strong>%s</strong> "
                       "symbol%s",
                  ringtape_table_number(a, exchange->trades),
                  ringtape_table_number(b, exchange->symbols), exchange->symbols == 1 ? "" : "s");
    html_assets(out, exchange);
    (void)fputs("</p>\n", out);
    const uint32_t count = report_pick(report, number, REPORT_BY_TURNOVER, picked, HTML_LEADERS);
    if (count > 0) {
        html_leaders(out, report, number, picked, count);
        html_charts(out, report, picked, count);
        (void)fputs("<div class=\"pair\">\n", out);
        html_movers(out, report, number, REPORT_BY_RISE);
        html_movers(out, report, number, REPORT_BY_FALL);
        (void)fputs("</div>\n", out);
    }
    (void)fputs("</section>\n", out);
}

// ---- the page ----

static void html_foot(FILE *out, const struct report *report)
{
    char text[TIME_TEXT_BYTES_MAX], took[SHOW_BYTES];
    (void)time_text_format(text, report->made_ns, 0);
    (void)fprintf(out,
                  "</main>\n<footer>\n<p>Change: last price against first. Turnover: sum of price "
                  "times quantity. Buys: share of the volume that a buyer took. Volatility: root "
                  "of the sum of squared logarithmic returns of one-minute closes. Spread: "
                  "weighted by time, against the average price. Movers have at least %d trades. "
                  "Prices and sums are exact; a machine reads all digits with "
                  "<code>ringtape report --json</code>.</p>\n<p>Made %s by ringtape %s in %s ms."
                  "</p>\n</footer>\n</body>\n</html>\n",
                  REPORT_MOVER_TRADES, text, RINGTAPE_VERSION, show_ms(took, report->seconds_ns));
}

void report_print_html(const struct report *report, FILE *out)
{
    html_head(out, report);
    for (uint32_t i = 0; i < report->exchange_count; i++) html_exchange(out, report, i);
    html_alerts(out, report);
    html_coverage(out, report);
    html_latency(out, report);
    html_storage(out, report);
    html_foot(out, report);
}
