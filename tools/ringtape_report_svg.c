// SPDX-License-Identifier: GPL-3.0-or-later
//
// The drawings of the page: paths of whole numbers in a grid of 3,600 by 2,000 units, a tenth of a
// pixel each. Contract: places are computed from exact prices; nothing of the data is text here
// but numbers.
//
// Candles of one kind are one path each (wicks, boxes; up, down), so that a chart takes 7 KB.
#include <inttypes.h>
#include <string.h>

#include "format/ensure.h"
#include "tools/ringtape_report_html.h"
#include "tools/ringtape_report_show.h"

enum {
    SVG_WIDTH = 3600,
    SVG_HEIGHT = 2000,
    SVG_RIGHT = 3020, // where the axis of prices begins
    SVG_TOP = 90,
    SVG_BOTTOM = 1400, // of prices
    SVG_VOLUME_TOP = 1480,
    SVG_VOLUME_BOTTOM = 1790,
    SVG_LINE_WIDTH = 1000,
    SVG_LINE_HEIGHT = 200,
    SVG_TICKS = 5, // at most
};

// Prices of a chart at one scale.
struct svg_prices {
    uint32_t scale;
    uint32_t count; // candles of the chart
    bool there;
    wide low, high;
    uint32_t volume_scale;
    wide volume; // the largest
};

static const struct report_candle *svg_at(const struct report *report,
                                          const struct report_symbol *symbol)
{
    ensure(symbol->chart < report->chart_count);
    return &report->charts[(size_t)symbol->chart * REPORT_CHART_CANDLES];
}

static uint32_t svg_count(const struct report *report)
{
    const int64_t length_ns = report->chart_minutes * CANDLE_MINUTE_NS;
    const int64_t count = (report->to_ns - report->from_ns) / length_ns;
    ensure(count > 0 && count <= REPORT_CHART_CANDLES);
    return (uint32_t)count;
}

static wide svg_raise(wide value, uint32_t from, uint32_t to)
{
    ensure(from <= to);
    return wide_raise(&value, to - from) ? value : 0; // 10^36 of something does not happen
}

static struct svg_prices svg_prices(const struct report *report,
                                    const struct report_candle *candles)
{
    struct svg_prices prices = {.count = svg_count(report)};
    for (uint32_t i = 0; i < prices.count; i++) {
        if (!candles[i].there) continue;
        if (candles[i].price_scale > prices.scale) prices.scale = candles[i].price_scale;
        if (candles[i].quantity_scale > prices.volume_scale)
            prices.volume_scale = candles[i].quantity_scale;
    }
    for (uint32_t i = 0; i < prices.count; i++) {
        const struct report_candle *candle = &candles[i];
        if (!candle->there) continue;
        const wide low = svg_raise(candle->low, candle->price_scale, prices.scale);
        const wide high = svg_raise(candle->high, candle->price_scale, prices.scale);
        const wide volume =
            svg_raise(candle->volume, candle->quantity_scale, prices.volume_scale);
        if (!prices.there || low < prices.low) prices.low = low;
        if (!prices.there || high > prices.high) prices.high = high;
        if (volume > prices.volume) prices.volume = volume;
        prices.there = true;
    }
    return prices;
}

// A value between low and high as a place between bottom and top.
static int32_t svg_place(wide value, wide low, wide high, int32_t bottom, int32_t top)
{
    ensure(value >= low && value <= high && bottom >= top);
    if (high == low) return (bottom + top) / 2;
    wide part = value - low;
    wide whole = high - low;
    while (whole > (wide)1 << 100) { // what is so large needs no such precision
        part /= 1024;
        whole /= 1024;
    }
    return bottom - (int32_t)(part * (bottom - top) / whole);
}

static int32_t svg_y(const struct svg_prices *prices, const struct report_candle *candle,
                     int64_t price)
{
    return svg_place(svg_raise(price, candle->price_scale, prices->scale), prices->low,
                     prices->high, SVG_BOTTOM, SVG_TOP);
}

// ---- a line ----

void svg_line(FILE *out, const struct report *report, const struct report_symbol *symbol)
{
    if (symbol->chart == REPORT_NONE) return;
    const struct report_candle *candles = svg_at(report, symbol);
    struct svg_prices prices = svg_prices(report, candles);
    bool drawn = false;
    if (!prices.there) return;
    (void)fprintf(out,
                  "<svg class=\"line %s\" viewBox=\"0 0 %d %d\" preserveAspectRatio=\"none\" "
                  "aria-hidden=\"true\"><path d=\"",
                  symbol->change < 0 ? "down" : "up", SVG_LINE_WIDTH, SVG_LINE_HEIGHT);
    for (uint32_t i = 0; i < prices.count; i++) {
        const struct report_candle *candle = &candles[i];
        if (!candle->there) continue;
        const wide close = svg_raise(candle->close, candle->price_scale, prices.scale);
        const int32_t y =
            svg_place(close, prices.low, prices.high, SVG_LINE_HEIGHT - 10, 10);
        const uint32_t x = (2 * i + 1) * SVG_LINE_WIDTH / (2 * prices.count);
        (void)fprintf(out, "%s%" PRIu32 " %" PRId32, drawn ? " " : "M", x, y);
        drawn = true;
    }
    // A single trade is a point: a path of no length is not drawn.
    (void)fputs("h1\"/></svg>", out);
}

// ---- candles ----

struct svg_slot { // of one candle, across
    int32_t middle, left, width;
};

static struct svg_slot svg_slot(uint32_t at, uint32_t count)
{
    const int32_t wide_all = SVG_RIGHT;
    const int32_t left = (int32_t)at * wide_all / (int32_t)count;
    const int32_t right = (int32_t)(at + 1) * wide_all / (int32_t)count;
    const int32_t width = (right - left) * 66 / 100;
    return (struct svg_slot){.middle = (left + right) / 2,
                             .left = (left + right) / 2 - width / 2,
                             .width = width};
}

static void svg_path(FILE *out, const struct svg_prices *prices,
                     const struct report_candle *candles, bool up, bool boxes)
{
    (void)fprintf(out, "<path class=\"%s %s\" d=\"", boxes ? "box" : "wick", up ? "up" : "down");
    for (uint32_t i = 0; i < prices->count; i++) {
        const struct report_candle *candle = &candles[i];
        if (!candle->there || (candle->close >= candle->open) != up) continue;
        const struct svg_slot slot = svg_slot(i, prices->count);
        const int32_t open = svg_y(prices, candle, candle->open);
        const int32_t close = svg_y(prices, candle, candle->close);
        if (boxes)
            (void)fprintf(out, "M%d %dh%dV%dh-%dz", slot.left, open, slot.width, close,
                          slot.width);
        else
            (void)fprintf(out, "M%d %dV%d", slot.middle, svg_y(prices, candle, candle->high),
                          svg_y(prices, candle, candle->low));
    }
    (void)fputs("\"/>", out);
}

static void svg_volumes(FILE *out, const struct svg_prices *prices,
                        const struct report_candle *candles)
{
    if (prices->volume == 0) return;
    (void)fputs("<path class=\"bars\" d=\"", out);
    for (uint32_t i = 0; i < prices->count; i++) {
        const struct report_candle *candle = &candles[i];
        if (!candle->there) continue;
        const struct svg_slot slot = svg_slot(i, prices->count);
        const wide volume =
            svg_raise(candle->volume, candle->quantity_scale, prices->volume_scale);
        const int32_t top = svg_place(volume, 0, prices->volume, SVG_VOLUME_BOTTOM,
                                      SVG_VOLUME_TOP);
        (void)fprintf(out, "M%d %dV%dh%dV%dz", slot.left, SVG_VOLUME_BOTTOM, top, slot.width,
                      SVG_VOLUME_BOTTOM);
    }
    (void)fputs("\"/>", out);
}

// ---- axes ----

// 1, 2 or 5 times a power of ten, so that a range has SVG_TICKS of them at most; its zeros.
static wide svg_step(wide range, uint32_t *zeros)
{
    static const int steps[] = {1, 2, 5};
    wide power = 1;
    for (*zeros = 0; *zeros < WIDE_DIGITS; (*zeros)++) {
        for (int i = 0; i < 3; i++)
            if (range / (power * steps[i]) <= SVG_TICKS) return power * steps[i];
        power *= 10;
        if (*zeros + 2 >= WIDE_DIGITS) break;
    }
    return power;
}

static void svg_price_axis(FILE *out, const struct svg_prices *prices)
{
    uint32_t zeros;
    const wide step = svg_step(prices->high - prices->low, &zeros);
    const uint32_t decimals = prices->scale > zeros ? prices->scale - zeros : 0;
    wide tick = (prices->low + step - 1) / step * step;
    if (prices->high == prices->low) tick = prices->low;
    for (int i = 0; tick <= prices->high && i <= 2 * SVG_TICKS; tick += step, i++) {
        char text[SHOW_BYTES];
        const int32_t y = svg_place(tick, prices->low, prices->high, SVG_BOTTOM, SVG_TOP);
        (void)fprintf(out,
                      "<path class=\"grid\" d=\"M0 %dH%d\"/><text x=\"%d\" y=\"%d\">%s</text>", y,
                      SVG_RIGHT, SVG_RIGHT + 70, y + 38,
                      show_fixed(text, tick, prices->scale, decimals));
    }
}

static void svg_time_axis(FILE *out, const struct report *report)
{
    static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    const uint32_t parts = report->week ? REPORT_DAYS_MAX : 4;
    (void)fprintf(out, "<path class=\"grid\" d=\"M0 %dH%d\"/>", SVG_VOLUME_BOTTOM, SVG_RIGHT);
    for (uint32_t i = 0; i < parts; i++) {
        const uint32_t x = i * SVG_RIGHT / parts;
        (void)fprintf(out, "<path class=\"grid\" d=\"M%" PRIu32 " %dV%d\"/>", x, SVG_TOP,
                      SVG_VOLUME_BOTTOM);
        if (report->week)
            (void)fprintf(out, "<text x=\"%" PRIu32 "\" y=\"1950\">%s</text>", x, days[i]);
        else
            (void)fprintf(out, "<text x=\"%" PRIu32 "\" y=\"1950\">%02" PRIu32 ":00</text>", x,
                          i * 6);
    }
}

void svg_candles(FILE *out, const struct report *report, const struct report_symbol *symbol)
{
    if (symbol->chart == REPORT_NONE) return;
    const struct report_candle *candles = svg_at(report, symbol);
    const struct svg_prices prices = svg_prices(report, candles);
    if (!prices.there) return;
    (void)fprintf(out,
                  "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Candles of %" PRIu32
                  " minutes with volumes\">",
                  SVG_WIDTH, SVG_HEIGHT, report->chart_minutes);
    svg_time_axis(out, report);
    svg_price_axis(out, &prices);
    svg_volumes(out, &prices, candles);
    for (int up = 0; up < 2; up++) {
        svg_path(out, &prices, candles, up == 1, false);
        svg_path(out, &prices, candles, up == 1, true);
    }
    (void)fputs("</svg>\n", out);
}

// ---- delays ----

// From 2^17 ns (0.13 ms) to 2^35 ns (34 s), four bars to a doubling; what lies outside is in the
// outermost.
enum {
    SVG_DELAY_POWER = 17,
    SVG_DELAY_POWERS = 18,
    SVG_DELAY_BARS = SVG_DELAY_POWERS * 4,
    SVG_DELAY_HEIGHT = 420,
};

static uint32_t svg_delay_bar(uint32_t slot)
{
    const uint32_t quarter = slot / (REPORT_DELAY_STEPS / 4); // 4 a doubling, from 2^5 on
    const uint32_t first = (SVG_DELAY_POWER - 5) * 4;
    if (quarter < first) return 0;
    return quarter - first < SVG_DELAY_BARS ? quarter - first : SVG_DELAY_BARS - 1;
}

void svg_delays(FILE *out, const struct report_delays *delays)
{
    static const struct {
        const char *name;
        uint32_t place; // log2(ns / 2^17) in hundredths
    } ticks[] = {{"1 ms", 293}, {"10 ms", 625}, {"100 ms", 958}, {"1 s", 1290}, {"10 s", 1622}};
    uint64_t bars[SVG_DELAY_BARS] = {delays->early};
    uint64_t most = 1;
    for (uint32_t slot = 0; slot < REPORT_DELAY_SLOTS; slot++)
        bars[svg_delay_bar(slot)] += delays->slot[slot];
    for (uint32_t i = 0; i < SVG_DELAY_BARS; i++)
        if (bars[i] > most) most = bars[i];
    (void)fprintf(out, "<svg class=\"delays\" viewBox=\"0 0 3600 600\" role=\"img\" "
                       "aria-label=\"Distribution of delays\"><path class=\"bars\" d=\"");
    for (uint32_t i = 0; i < SVG_DELAY_BARS; i++) {
        if (bars[i] == 0) continue;
        const uint32_t high = (uint32_t)((unsigned __int128)bars[i] * SVG_DELAY_HEIGHT / most);
        (void)fprintf(out, "M%" PRIu32 " %dv-%" PRIu32 "h42V%dz", i * 50, SVG_DELAY_HEIGHT,
                      high < 6 ? 6 : high, SVG_DELAY_HEIGHT);
    }
    (void)fprintf(out, "\"/><path class=\"grid\" d=\"M0 %dH3600\"/>", SVG_DELAY_HEIGHT);
    for (size_t i = 0; i < sizeof ticks / sizeof ticks[0]; i++)
        (void)fprintf(out, "<text x=\"%" PRIu32 "\" y=\"560\" text-anchor=\"middle\">%s</text>",
                      ticks[i].place * 2, ticks[i].name);
    (void)fputs("</svg>", out);
}
