// SPDX-License-Identifier: GPL-3.0-or-later
//
// complete_life_alerts: the alert rows of a life against those that its stored trades raise again.
// For tests.
#ifndef RINGTAPE_TESTS_COMPLETE_LIFE_ALERTS_H
#define RINGTAPE_TESTS_COMPLETE_LIFE_ALERTS_H

#include "derive/alert.h"
#include "format/rows.h"

enum { LIFE_TRADES_MAX = 60000, LIFE_ALERTS_MAX = 20000, LIFE_STARTS_MAX = 64 };

struct life_alert {
    int64_t id;
    int64_t receive_ns; // of the row; recomputed: of the trade that raised it
    uint32_t times;     // stored
};

struct life_alerts {
    struct event *trades; // [LIFE_TRADES_MAX], as the store is walked
    uint32_t trade_count;
    struct life_alert *stored; // [LIFE_ALERTS_MAX]
    uint32_t stored_count;
    struct life_alert *again; // [LIFE_ALERTS_MAX]
    uint32_t again_count;
    int64_t now_ns; // of the trade at hand
};

// Rules that the market of these tests breaks several times a second.
void life_alert_rules(struct alert_rules *rules);
void life_alerts_open(struct life_alerts *alerts);
void life_alerts_close(struct life_alerts *alerts);
// `symbol` counts from 0: binance:C0USDT.
void life_alert_trade(struct life_alerts *alerts, uint32_t symbol, const struct rows *rows,
                      uint32_t row);
void life_alert_found(struct life_alerts *alerts, const struct rows *rows, uint32_t row);
// Alerts that are stored and not raised again, stored twice, or raised again and not stored, but
// for those of the last 50 ms before a start: their trade may be durable, and they not.
uint64_t life_alerts_wrong(struct life_alerts *alerts, const int64_t *starts_ns, uint32_t count);

#endif
