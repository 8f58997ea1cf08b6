// SPDX-License-Identifier: GPL-3.0-or-later
//
// A report as one JSON object; docs/report.md is its schema. Contract: the order of keys never
// changes; decimals are exact and strings, times of the data are integers of ns (`..._ns`).
#include <inttypes.h>
#include <string.h>

#include "format/decimal_text.h"
#include "format/ensure.h"
#include "format/version.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_report.h"

// ---- values ----

static void json_decimal(struct ringtape_json *json, const char *key, bool there, wide value,
                         uint32_t scale)
{
    char text[DECIMAL_TEXT_BYTES_MAX];
    if (!there) {
        ringtape_json_null(json, key);
        return;
    }
    (void)decimal_text_format(text, value, (uint8_t)scale);
    ringtape_json_text(json, key, text);
}

static void json_count_or_null(struct ringtape_json *json, const char *key, bool there,
                               uint64_t value)
{
    if (there)
        ringtape_json_count(json, key, value);
    else
        ringtape_json_null(json, key);
}

static void json_integer_or_null(struct ringtape_json *json, const char *key, bool there,
                                 int64_t value)
{
    if (there)
        ringtape_json_integer(json, key, value);
    else
        ringtape_json_null(json, key);
}


// ---- head ----

static const char *json_state(enum report_state state)
{
    static const char *const names[] = {"empty", "preliminary", "closed"};
    return names[state];
}

static void json_day(struct ringtape_json *json, const struct report_day *day)
{
    char text[11];
    catalogue_day_text(day->number, text);
    ringtape_json_object(json, NULL);
    ringtape_json_text(json, "day", text);
    ringtape_json_text(json, "state", json_state(day->state));
    ringtape_json_object(json, "generation");
    for (int c = 1; c < CHANNEL_COUNT; c++)
        if (day->generation[c] > 0)
            ringtape_json_count(json, channel_schema((enum channel)c)->name, day->generation[c]);
    ringtape_json_object_end(json);
    ringtape_json_object_end(json);
}

static void json_head(struct ringtape_json *json, const struct report *report)
{
    ringtape_json_object(json, NULL);
    ringtape_json_integer(json, "schema", 1);
    ringtape_json_text(json, report->week ? "week" : "day", report->label);
    ringtape_json_array(json, "days");
    for (uint32_t d = 0; d < report->day_count; d++) json_day(json, &report->days[d]);
    ringtape_json_array_end(json);
}

void report_print_json_head(const struct report *report, FILE *out)
{
    struct ringtape_json json;
    ringtape_json_start(&json, out);
    json_head(&json, report);
}

// ---- symbols ----

static void json_trades(struct ringtape_json *json, const struct summary *summary)
{
    const struct candle_sum *sum = &summary->sum;
    const bool there = sum->trades > 0;
    const bool fits = there && !summary->unfit;
    wide ratio = 0;
    json_decimal(json, "open", there, sum->open, sum->price_scale);
    json_decimal(json, "high", there, sum->high, sum->price_scale);
    json_decimal(json, "low", there, sum->low, sum->price_scale);
    json_decimal(json, "close", there, sum->close, sum->price_scale);
    json_integer_or_null(json, "first_id", there, sum->first_id);
    json_integer_or_null(json, "last_id", there, sum->last_id);
    ringtape_json_integer(json, "trades", sum->trades);
    json_decimal(json, "volume", fits || !there, sum->volume, sum->quantity_scale);
    json_decimal(json, "quote_volume", fits || !there, sum->quote_volume,
                 (uint32_t)(sum->price_scale + sum->quantity_scale));
    json_decimal(json, "taker_buy_volume", fits || !there, sum->taker_buy_volume,
                 sum->quantity_scale);
    const bool vwap = summary_vwap(summary, &ratio);
    json_decimal(json, "vwap", vwap, ratio, SUMMARY_DECIMALS);
    const bool buy_ratio = summary_buy_ratio(summary, &ratio);
    json_decimal(json, "buy_ratio", buy_ratio, ratio, SUMMARY_DECIMALS);
}

static void json_moves(struct ringtape_json *json, const struct summary *summary)
{
    ringtape_json_double(json, "realised_volatility", summary_volatility(summary));
    json_decimal(json, "largest_rise_5m", summary->has_moves, summary->rise, SUMMARY_DECIMALS);
    json_integer_or_null(json, "largest_rise_5m_open_time_ns", summary->has_moves,
                         summary->rise_open_time_ns);
    json_decimal(json, "largest_fall_5m", summary->has_moves, summary->fall, SUMMARY_DECIMALS);
    json_integer_or_null(json, "largest_fall_5m_open_time_ns", summary->has_moves,
                         summary->fall_open_time_ns);
}

static void json_spreads(struct ringtape_json *json, const struct summary *summary)
{
    const bool there = summary->quotes > 0 && !summary->spread_unfit;
    wide mean = 0;
    ringtape_json_count(json, "quotes", summary->quotes);
    json_decimal(json, "spread_min", there, summary->spread_min, summary->spread_scale);
    json_decimal(json, "spread_max", there, summary->spread_max, summary->spread_scale);
    const bool has_mean = summary_spread_mean(summary, &mean);
    json_decimal(json, "spread_mean", has_mean, mean, SUMMARY_DECIMALS);
    const bool weighted = summary_spread_time_weighted(summary, &mean);
    json_decimal(json, "spread_time_weighted", weighted, mean, SUMMARY_DECIMALS);
}

// Of all that the numbers are made of, so that a repair of any of it raises it: the sum over the
// channels with rows, and the days. 0 where one of them is not closed.
static uint64_t json_generation(const struct report *report)
{
    static const enum channel channels[] = {CHANNEL_TRADE, CHANNEL_AGG_TRADE, CHANNEL_QUOTE};
    uint64_t generation = 0;
    for (uint32_t d = 0; d < report->day_count; d++) {
        const struct report_day *day = &report->days[d];
        for (size_t c = 0; c < sizeof channels / sizeof *channels; c++) {
            if (day->rows[channels[c]] == 0) continue;
            if (day->generation[channels[c]] == 0) return 0;
            generation += day->generation[channels[c]];
        }
    }
    return report->made_ns >= report->to_ns ? generation : 0;
}

static void json_symbol(struct ringtape_json *json, const struct report *report,
                        const struct report_symbol *symbol)
{
    const char *exchange = report->exchanges[symbol->exchange].name;
    const char *colon = strchr(symbol->name, ':');
    const char *name = colon != NULL ? colon + 1 : symbol->name;
    const bool aggregated = symbol->summary.sum.source == CANDLE_FROM_AGG_TRADES;
    ringtape_json_object(json, NULL);
    ringtape_json_text(json, "exchange", exchange);
    ringtape_json_bytes(json, "symbol", name,
                        symbol->name_bytes - (size_t)(name - symbol->name));
    ringtape_json_text(json, "source", aggregated ? "agg_trade" : "trade");
    json_trades(json, &symbol->summary);
    json_moves(json, &symbol->summary);
    json_spreads(json, &symbol->summary);
    ringtape_json_count(json, "holes_open", symbol->holes_open);
    ringtape_json_count(json, "holes_repaired", symbol->holes_repaired);
    ringtape_json_count(json, "holes_lost", symbol->holes_lost);
    const uint64_t generation = json_generation(report);
    json_count_or_null(json, "generation", generation > 0, generation);
    ringtape_json_object_end(json);
}

// ---- exchanges ----

static void json_latency(struct ringtape_json *json, const struct report_delays *delays)
{
    const bool there = delays->rows > 0;
    ringtape_json_object(json, "latency");
    ringtape_json_count(json, "rows", delays->rows);
    ringtape_json_count(json, "early", delays->early);
    json_integer_or_null(json, "least_ns", there, delays->least_ns);
    json_integer_or_null(json, "p50_ns", there, there ? report_delay_ns(delays, 500) : 0);
    json_integer_or_null(json, "p99_ns", there, there ? report_delay_ns(delays, 990) : 0);
    json_integer_or_null(json, "most_ns", there, delays->most_ns);
    ringtape_json_object_end(json);
}

static void json_exchange(struct ringtape_json *json, const struct report_exchange *exchange)
{
    ringtape_json_object(json, NULL);
    ringtape_json_text(json, "exchange", exchange->name);
    ringtape_json_count(json, "symbols", exchange->symbols);
    ringtape_json_count(json, "trades", exchange->trades);
    ringtape_json_count(json, "quotes", exchange->quotes);
    ringtape_json_array(json, "turnover");
    for (uint32_t a = 0; a < exchange->asset_count; a++) {
        const struct report_asset *asset = &exchange->assets[a];
        if (asset->symbols == 0) continue;
        ringtape_json_object(json, NULL);
        if (asset->name[0] != '\0')
            ringtape_json_text(json, "asset", asset->name);
        else
            ringtape_json_null(json, "asset");
        ringtape_json_count(json, "symbols", asset->symbols);
        ringtape_json_count(json, "trades", asset->trades);
        json_decimal(json, "quote_volume", !asset->unfit && asset->name[0] != '\0',
                     asset->turnover, asset->scale);
        ringtape_json_object_end(json);
    }
    ringtape_json_array_end(json);
    json_latency(json, exchange->delays);
    ringtape_json_object_end(json);
}

// ---- alerts ----

static void json_alert(struct ringtape_json *json, const struct report_alert *alert)
{
    const struct column *kinds = &channel_schema(CHANNEL_ALERT)->columns[ALERT_KIND];
    ringtape_json_object(json, NULL);
    ringtape_json_integer(json, "time_ns", alert->time_ns);
    ringtape_json_text(json, "symbol", alert->symbol);
    ringtape_json_text(json, "kind", code_name(kinds, alert->kind));
    ringtape_json_text(json, "rule", alert->rule);
    json_decimal(json, "measure", true, alert->measure, alert->measure_scale);
    json_decimal(json, "threshold", true, alert->threshold, alert->threshold_scale);
    json_decimal(json, "from_price", alert->has_prices, alert->from_price, alert->from_scale);
    json_decimal(json, "to_price", alert->has_prices, alert->to_price, alert->to_scale);
    ringtape_json_object_end(json);
}

static void json_alerts(struct ringtape_json *json, const struct report_alerts *alerts)
{
    const struct column *kinds = &channel_schema(CHANNEL_ALERT)->columns[ALERT_KIND];
    ringtape_json_object(json, "alerts");
    ringtape_json_count(json, "count", alerts->count);
    for (int kind = 0; kind <= ALERT_SILENCE; kind++)
        ringtape_json_count(json, code_name(kinds, kind), alerts->by_kind[kind]);
    ringtape_json_array(json, "listed");
    for (uint32_t i = 0; i < alerts->listed; i++) json_alert(json, &alerts->at[i]);
    ringtape_json_array_end(json);
    ringtape_json_object_end(json);
}

// ---- coverage ----

static void json_hole(struct ringtape_json *json, const struct report_hole *hole)
{
    ringtape_json_object(json, NULL);
    ringtape_json_text(json, "symbol", hole->symbol);
    ringtape_json_text(json, "channel", channel_schema(hole->channel)->name);
    ringtape_json_text(json, "state", hole->kind == STATUS_HOLE_OPENED ? "open" : "lost");
    json_integer_or_null(json, "first", hole->first >= 0, hole->first);
    json_integer_or_null(json, "last", hole->first >= 0 && hole->last != INT64_MAX, hole->last);
    json_integer_or_null(json, "from_ns", hole->from_ns != 0, hole->from_ns);
    json_integer_or_null(json, "to_ns", hole->to_ns != 0, hole->to_ns);
    ringtape_json_text(json, "cause", hole->cause);
    ringtape_json_object_end(json);
}

static void json_covered(struct ringtape_json *json, const struct report_covered *covered)
{
    ringtape_json_object(json, NULL);
    ringtape_json_text(json, "exchange", covered->name);
    ringtape_json_text(json, "channel", channel_schema(covered->channel)->name);
    ringtape_json_count(json, "symbols", covered->keys);
    json_decimal(json, "percent", true, report_covered_share(covered), 3);
    ringtape_json_count(json, "open", covered->open);
    ringtape_json_count(json, "lost", covered->lost);
    ringtape_json_count(json, "repaired_rows", covered->repaired);
    ringtape_json_count(json, "missing_ids", covered->missing);
    ringtape_json_object_end(json);
}

static void json_coverage(struct ringtape_json *json, const struct report_coverage *coverage)
{
    if (!coverage->known) {
        ringtape_json_null(json, "coverage");
        return;
    }
    ringtape_json_object(json, "coverage");
    ringtape_json_integer(json, "as_of_ns", coverage->as_of_ns);
    ringtape_json_array(json, "channels");
    for (uint32_t i = 0; i < coverage->count; i++) json_covered(json, &coverage->at[i]);
    ringtape_json_array_end(json);
    ringtape_json_count(json, "holes", coverage->holes);
    ringtape_json_array(json, "listed");
    for (uint32_t i = 0; i < coverage->listed; i++) json_hole(json, &coverage->hole[i]);
    ringtape_json_array_end(json);
    ringtape_json_object_end(json);
}

// ---- the rest ----

static void json_storage(struct ringtape_json *json, const struct report_storage *storage)
{
    ringtape_json_object(json, "storage");
    ringtape_json_array(json, "channels");
    for (int c = 1; c < CHANNEL_COUNT; c++) {
        const struct report_stored *stored = &storage->channels[c];
        if (stored->segments == 0) continue;
        ringtape_json_object(json, NULL);
        ringtape_json_text(json, "channel", channel_schema((enum channel)c)->name);
        ringtape_json_count(json, "rows", stored->rows);
        ringtape_json_count(json, "segments", stored->segments);
        ringtape_json_count(json, "bytes", stored->bytes);
        ringtape_json_object_end(json);
    }
    ringtape_json_array_end(json);
    ringtape_json_count(json, "store_segments", storage->store_segments);
    ringtape_json_count(json, "store_bytes", storage->store_bytes);
    ringtape_json_count(json, "tapes", storage->tapes);
    ringtape_json_count(json, "tape_bytes", storage->tape_bytes);
    json_count_or_null(json, "free_bytes", storage->disk_bytes > 0, storage->free_bytes);
    json_count_or_null(json, "disk_bytes", storage->disk_bytes > 0, storage->disk_bytes);
    ringtape_json_object_end(json);
}

static void json_damage(struct ringtape_json *json, const struct report *report)
{
    ringtape_json_object(json, "damage");
    ringtape_json_count(json, "count", report->damages);
    ringtape_json_count(json, "sums_that_do_not_fit", report->unfit);
    ringtape_json_array(json, "listed");
    for (uint32_t i = 0; i < report->damages_listed; i++) {
        const struct report_damage *damage = &report->damage[i];
        ringtape_json_object(json, NULL);
        ringtape_json_text(json, "path", damage->path);
        ringtape_json_count(json, "offset", damage->offset);
        ringtape_json_count(json, "rows", damage->rows);
        ringtape_json_text(json, "what", damage->what);
        ringtape_json_object_end(json);
    }
    ringtape_json_array_end(json);
    ringtape_json_object_end(json);
}

void report_print_json(const struct report *report, FILE *out)
{
    struct ringtape_json json;
    ringtape_json_start(&json, out);
    json_head(&json, report);
    ringtape_json_text(&json, "state", json_state(report->state));
    ringtape_json_integer(&json, "from_ns", report->from_ns);
    ringtape_json_integer(&json, "to_ns", report->to_ns);
    ringtape_json_array(&json, "exchanges");
    for (uint32_t i = 0; i < report->exchange_count; i++)
        json_exchange(&json, &report->exchanges[i]);
    ringtape_json_array_end(&json);
    ringtape_json_array(&json, "symbols");
    for (uint32_t i = 0; i < report->symbol_count; i++)
        json_symbol(&json, report, &report->symbols[i]);
    ringtape_json_array_end(&json);
    json_alerts(&json, &report->alerts);
    json_coverage(&json, &report->coverage);
    json_storage(&json, &report->storage);
    json_damage(&json, report);
    ringtape_json_object(&json, "made");
    ringtape_json_time(&json, "at", report->made_ns);
    ringtape_json_integer(&json, "took_ns", report->seconds_ns);
    ringtape_json_text(&json, "by", "ringtape " RINGTAPE_VERSION);
    ringtape_json_object_end(&json);
    ringtape_json_object_end(&json);
    ringtape_json_line(&json);
}
