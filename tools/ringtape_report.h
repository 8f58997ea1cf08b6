// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_report: the numbers of a UTC day or an ISO week, as read from a store: what
// ringtape_report_read() fills and the outputs (text, JSON, page) print. docs/report.md.
//
// Memory: bounded whatever the day: candles of a group of symbols at a time
// (REPORT_GROUP_BYTES), charts of the symbols with the most rows, one summary a symbol.
// Ownership: report_free() gives everything back. Threading: main thread.
#ifndef RINGTAPE_TOOLS_RINGTAPE_REPORT_H
#define RINGTAPE_TOOLS_RINGTAPE_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "derive/summary.h"
#include "format/store.h"
#include "tools/ringtape_names.h"
#include "tools/ringtape_options.h"

enum {
    REPORT_DAYS_MAX = 7,
    REPORT_EXCHANGES_MAX = 64,
    REPORT_EXCHANGE_BYTES = 64,
    REPORT_ASSETS_MAX = 24,      // quote currencies of an exchange; further ones are one
    REPORT_ASSET_BYTES = 16,
    REPORT_CHARTS_MAX = 4096,    // symbols with a chart: those with the most rows
    REPORT_CHART_CANDLES = 168,  // of a chart: a week of hours; a day has 96 of 15 minutes
    REPORT_ALERTS_MAX = 1000,    // listed; all are counted
    REPORT_HOLES_MAX = 1000,     // the same
    REPORT_DAMAGES_MAX = 100,    // the same
    REPORT_GROUP_BYTES = 96 << 20,
};

#define REPORT_DAY_NS (1440 * CANDLE_MINUTE_NS)
#define REPORT_NONE UINT32_MAX

enum report_state { REPORT_EMPTY, REPORT_PRELIMINARY, REPORT_CLOSED };

struct report_day {
    int32_t number;
    enum report_state state;
    uint64_t rows[CHANNEL_COUNT];       // in segments
    uint64_t generation[CHANNEL_COUNT]; // of the marker; 0: there is none
};

// What a chart shows of one candle.
struct report_candle {
    wide volume;
    int64_t open, high, low, close; // all 0: no trade
    uint8_t price_scale;
    uint8_t quantity_scale;
    bool there;
};

struct report_symbol {
    char *name; // "binance:BTCUSDT", ended by zero
    uint32_t name_bytes;
    uint32_t exchange; // in report.exchanges
    uint32_t asset;    // in its exchange's assets
    uint32_t chart;    // in report.charts, or REPORT_NONE
    uint64_t rows;     // of trade and agg_trade
    uint64_t trade_rows;
    uint64_t holes_open, holes_repaired, holes_lost; // of trade and agg_trade
    bool has_change;
    wide change; // close/open - 1, at SUMMARY_DECIMALS
    struct summary summary;
};

// How long after the exchange's event time rows were received: values by a logarithm, 64 steps to
// each doubling.
enum { REPORT_DELAY_STEPS = 64, REPORT_DELAY_SLOTS = 64 * REPORT_DELAY_STEPS };

struct report_delays {
    uint64_t rows;
    uint64_t early; // received before they were sent, by the clocks
    int64_t least_ns, most_ns;
    uint64_t slot[REPORT_DELAY_SLOTS];
    uint64_t early_slot[REPORT_DELAY_SLOTS];
};

struct report_asset {
    char name[REPORT_ASSET_BYTES]; // "USDT"; "": not known
    uint64_t symbols, trades;
    wide turnover; // quote volume
    uint32_t scale;
    bool unfit;
};

struct report_exchange {
    char name[REPORT_EXCHANGE_BYTES];
    uint64_t symbols, trades, quotes;
    uint32_t asset_count;
    uint32_t main; // the asset with the most trades
    struct report_asset assets[REPORT_ASSETS_MAX];
    struct report_delays *delays;
};

struct report_alert {
    char symbol[SEGMENT_SYMBOL_BYTES_MAX + 1]; // or the exchange
    char rule[32];
    enum alert_kind kind;
    int64_t time_ns;
    int64_t id;
    int64_t measure, threshold, from_price, to_price;
    uint8_t measure_scale, threshold_scale, from_scale, to_scale;
    bool has_prices;
};

struct report_alerts {
    uint64_t count;
    uint64_t by_kind[ALERT_SILENCE + 1];
    uint32_t listed;
    struct report_alert *at; // [REPORT_ALERTS_MAX] the first, by time
};

struct report_covered { // of one channel of an exchange
    char name[REPORT_EXCHANGE_BYTES];
    enum channel channel;
    uint64_t keys, open, lost, repaired, missing;
    uint64_t missing_us, all_us; // of all keys together; microseconds: 65,536 weeks fit
};

struct report_hole {
    char symbol[64];
    char cause[64];
    enum channel channel;
    enum status_kind kind; // HOLE_OPENED, HOLE_REPAIRED or HOLE_LOST
    int64_t first, last;   // ids; -1: none, INT64_MAX: no end as yet
    int64_t from_ns, to_ns; // 0: unknown
    int64_t count;          // -1: unknown
};

struct report_coverage {
    bool known; // there is a ledger
    int64_t as_of_ns;
    uint32_t count;
    struct report_covered *at;
    uint64_t holes;  // open and lost ones
    uint32_t listed;
    struct report_hole *hole; // [REPORT_HOLES_MAX] open ones first
};

struct report_stored { // of one channel, in the report's days
    uint64_t rows, bytes, segments;
};

struct report_storage {
    struct report_stored channels[CHANNEL_COUNT];
    uint64_t store_bytes, store_segments; // all days
    uint64_t tapes, tape_bytes;
    uint64_t free_bytes, disk_bytes; // of the file system; 0: unknown
};

struct report_damage {
    char path[CATALOGUE_PATH_BYTES_MAX];
    char what[96];
    uint64_t offset;
    uint64_t rows; // lost, where known
};

struct report {
    // ---- asked for ----
    struct store *store;
    const struct ringtape_option_list *symbols_asked;
    bool week;
    char label[11]; // "2026-11-27", "2026-W48"
    int64_t from_ns, to_ns;
    uint32_t chart_minutes;
    // ---- found ----
    int64_t made_ns;
    int64_t seconds_ns; // that it took
    uint32_t day_count;
    struct report_day days[REPORT_DAYS_MAX];
    enum report_state state;
    struct ringtape_names names; // numbers of symbols[]
    uint32_t symbol_count;
    struct report_symbol *symbols; // by exchange and name
    struct report_candle *charts;  // [chart_count][REPORT_CHART_CANDLES]
    uint32_t chart_count;
    uint32_t exchange_count;
    struct report_exchange exchanges[REPORT_EXCHANGES_MAX];
    struct report_alerts alerts;
    struct report_coverage coverage;
    struct report_storage storage;
    uint64_t damages;
    uint32_t damages_listed;
    struct report_damage damage[REPORT_DAMAGES_MAX];
    uint64_t unfit; // candles and symbols with sums that do not fit 128 bits; left out
};

// ---- ringtape_report_read.c ----

// `report`: zero but for what was asked for. 0 or an exit code, told; to be freed either way.
int report_read(struct report *report);
void report_free(struct report *report);
// The days' markers and rows alone, without reading rows: what tells whether a page is current.
int report_look(struct report *report);
void report_damage_note(void *context, const struct store_damage *damage);
// Which exchange a symbol's name tells; added where it is new. REPORT_NONE: too many.
uint32_t report_exchange_of(struct report *report, const char *name);

// ---- ringtape_report_symbols.c ----

// Symbols of the days, from indexes and tapes, with their rows. 0 or negative errno.
int report_symbols_find(struct report *report);
// Those whose rows count for nothing (of futures: insurance alone) go. The same errors.
int report_symbols_settle(struct report *report);

// ---- ringtape_report_scan.c ----

// Trades and quotes of all symbols. 0 or negative errno.
int report_scan_trades(struct report *report);
int report_scan_quotes(struct report *report);

// ---- ringtape_report_around.c ----

// Alerts; coverage and holes; storage. 0 or negative errno (of the ledger: an exit code, told).
int report_read_alerts(struct report *report);
int report_read_coverage(struct report *report);
int report_read_storage(struct report *report);

// ---- ringtape_report_pick.c ----

void report_delay_add(struct report_delays *delays, int64_t delay_ns);
// The delay that so many of a thousand rows do not exceed, to a hundredth of it.
int64_t report_delay_ns(const struct report_delays *delays, uint32_t permille);
// "USDT" of "BTCUSDT", "KRW" of "KRW-BTC"; "" where it is not known.
void report_asset_of(const char *exchange, const char *symbol, char out[REPORT_ASSET_BYTES]);
// Fills totals and assets of the exchanges, and the changes of the symbols.
void report_total(struct report *report);
enum report_rank { REPORT_BY_TURNOVER, REPORT_BY_RISE, REPORT_BY_FALL };
enum { REPORT_MOVER_TRADES = 20 }; // a symbol with fewer trades is no mover
// Numbers of at most `most` symbols of the exchange, best first; leaders: of its main asset.
uint32_t report_pick(const struct report *report, uint32_t exchange, enum report_rank rank,
                     uint32_t *picked, uint32_t most);
// Covered share of time in hundred-thousandths, never rounded up to the whole.
uint32_t report_covered_share(const struct report_covered *covered);

// ---- outputs: failures of the stream are the caller's to see ----

void report_print_json(const struct report *report, FILE *out);
// The beginning of that JSON, up to and including the days' states and generations.
void report_print_json_head(const struct report *report, FILE *out);
void report_print_text(const struct report *report);
void report_print_html(const struct report *report, FILE *out);

#endif
