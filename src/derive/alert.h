// SPDX-License-Identifier: GPL-3.0-or-later
//
// alert: rows of trade and quote → alerts: surge, crash, volume burst, spread blow-out, silence of
// an exchange. Pure, and a function of the rows in the order of the tape alone: no clock, so that
// the store gives the same alerts again. docs/alerts.md has the rules for users.
//
// Every rule keeps its own state of every symbol that it is for: a window of ALERT_BUCKETS buckets.
// What is usual (variance, baseline) is learnt from buckets that have left the window, so a move is
// never measured against itself. What a trade costs does not depend on the number of rules: it is
// noted for all of them, and they look when a bucket ends or a threshold is near
// (alert_inside.h).
//
// Prices have 8 decimals here, quantities 12, ratios 6 (ppm), all integers; variance alone is a
// double, good to 1e-12 relative. It and the baseline of volume are plain means of all that has
// left the window until that is as long as their memory; then they forget. Rows that were repaired,
// backfilled or are a snapshot of old state raise no alert; futures rows as for candles. A row
// older than its rule's window is passed over. Rows of agg_trade count until the symbol's first of
// trade.
//
// Ownership: memory is address space until used. Threading: one owner.
#ifndef RINGTAPE_DERIVE_ALERT_H
#define RINGTAPE_DERIVE_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "derive/wide.h"
#include "format/event.h"

#define ALERT_ONE_PPM 1000000ll

enum {
    ALERT_RULES_MAX = 16,
    ALERT_NAME_BYTES = 32,     // of a rule, with its zero byte
    ALERT_SYMBOLS_BYTES = 64,  // of the pattern of symbols, with its zero byte
    ALERT_BUCKETS = 32,        // of a window
    ALERT_BASE_WINDOWS = 30,   // a baseline forgets within so many windows
    ALERT_WARM_WINDOWS = 5,    // before it is known at all
    ALERT_EXCHANGES_MAX = 16,
};

struct alert_rule {
    char name[ALERT_NAME_BYTES];
    char symbols[ALERT_SYMBOLS_BYTES]; // "binance:BTCUSDT", "upbit:*", "*"
    enum alert_kind kind;
    int64_t window_ns;     // spread: how long it has to last; silence: how long
    int64_t threshold_ppm; // surge, crash: return; burst: multiple of the baseline; spread: of mid
    int64_t scaled_ppm;    // surge, crash: times the usual deviation of a window; spread: times the
                           // usual spread; 0: not scaled. The larger threshold counts
    int64_t cooldown_ns;   // from one alert to the next
    uint32_t trades_min;   // burst: in the window
};

struct alert_rules {
    uint32_t count;
    struct alert_rule at[ALERT_RULES_MAX];
};

typedef void alert_emit(void *context, const struct event *event);

struct alerts_options {
    uint32_t symbols_max;
    alert_emit *emit; // a row of the channel alert, but for receive time; valid during the call
    void *context;
};

struct alert_exchange { // for silence
    int64_t heard_ns; // receive time of the last row; 0: none yet
    bool fired[ALERT_RULES_MAX];
};

struct alert_point {
    int64_t price; // 8 decimals; 0: none
    int64_t time_ns;
    int64_t id;
};

struct alerts {
    struct alerts_options options;
    struct alert_rules rules;
    uint32_t generation; // of the rules: states of another one are void
    uint64_t emitted;
    struct alert_point other; // the last price that was no extreme; nobody reads it
    double forget; // weight of a new bucket in the variance, but for the first
    struct alert_exchange exchanges[ALERT_EXCHANGES_MAX];
    uint8_t *memory; // [symbols_max] heads, then [symbols_max][ALERT_RULES_MAX] states
    size_t memory_bytes;
};

// 0 or -ENOMEM. No rules yet.
int alerts_open(struct alerts *alerts, const struct alerts_options *options);
void alerts_close(struct alerts *alerts);
// From now on these; all state begins anew.
void alerts_use(struct alerts *alerts, const struct alert_rules *rules);
// All state of one symbol, or (SYMBOL_NONE) of all, begins anew: the recorder was started.
void alerts_forget(struct alerts *alerts, uint32_t symbol);
// `name`, "binance:BTCUSDT", must outlive the alerts. Before the symbol's first row.
void alerts_symbol(struct alerts *alerts, uint32_t symbol, const char *name, uint32_t exchange);
void alerts_event(struct alerts *alerts, const struct event *event);
// A heartbeat of the exchange, received at `now_ns`: judges silence.
void alerts_beat(struct alerts *alerts, uint32_t exchange, const char *exchange_name,
                 int64_t now_ns);

// What a rule holds for usual of a symbol, as of the last bucket that ended.
struct alert_usual {
    enum alert_kind kind;
    uint64_t learnt;       // buckets, of a spread seconds, that count for it
    double variance;       // surge, crash: of the return of a bucket
    double deviation;      // surge, crash: of the return of a window
    wide quantity;         // volume_burst: of a window, 12 decimals
    int64_t spread_ppm;    // spread
    int64_t threshold_ppm; // in force
};
// False: the rule is not for the symbol, or nothing has come since the state began.
bool alerts_usual(const struct alerts *alerts, uint32_t symbol, uint32_t rule,
                  struct alert_usual *usual);

// ---- alert_rule.c ----

// What is used where nothing is configured.
void alert_rules_standard(struct alert_rules *rules);
// By name; negative: none.
int alert_kind_of(const char *name);
// Defaults of a kind, but for name and symbols.
void alert_rule_standard(enum alert_kind kind, struct alert_rule *rule);
// "surge window=1m threshold=3% scaled=8x cooldown=5m trades=200 rule=NAME match=binance:*": the
// kind, then what differs from its defaults.
bool alert_rule_parse(const char *text, struct alert_rule *rule);
bool alert_rule_matches(const struct alert_rule *rule, const char *symbol_name);

#endif
