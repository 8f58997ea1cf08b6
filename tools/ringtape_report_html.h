// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_report_html: what the files of the page share. The page is one file: style and drawings
// are inside, there is no script and nothing is fetched.
//
// Text of the data (symbols, causes, names of rules) is not trusted: html_text() is the one way it
// gets into the page. Failures of the stream are the caller's to see. Threading: main thread.
#ifndef RINGTAPE_TOOLS_RINGTAPE_REPORT_HTML_H
#define RINGTAPE_TOOLS_RINGTAPE_REPORT_HTML_H

#include <stdio.h>

#include "tools/ringtape_report.h"

// Escaped; what is no text, or would change the direction or layout of other text, as U+FFFD.
void html_text(FILE *out, const char *text);
// The symbol without its exchange.
void html_symbol(FILE *out, const char *name);
// <td class="n">value</td> with the fraction in a box of its own, so that points stand below each
// other in a table of class a, which says how wide (--f: digits). `more`: further classes, "" for
// none.
void html_number(FILE *out, const char *more, const char *value);
void html_count(FILE *out, const char *more, uint64_t value);
// A ratio of 12 decimals as a signed percentage, coloured by its sign.
void html_change(FILE *out, const char *more, bool there, wide ratio);

// ---- ringtape_report_style.c ----

extern const char report_style[];

// ---- ringtape_report_svg.c ----

// A line of closes, for a table's cell.
void svg_line(FILE *out, const struct report *report, const struct report_symbol *symbol);
// Candles and volumes with their axes.
void svg_candles(FILE *out, const struct report *report, const struct report_symbol *symbol);
// How delays are distributed, on a logarithmic axis.
void svg_delays(FILE *out, const struct report_delays *delays);

// ---- ringtape_report_html_around.c ----

void html_alerts(FILE *out, const struct report *report);
void html_coverage(FILE *out, const struct report *report);
void html_latency(FILE *out, const struct report *report);
void html_storage(FILE *out, const struct report *report);

#endif
