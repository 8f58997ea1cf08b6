// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_rest_inside: what the files of the REST server share. Not for others.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_REST_INSIDE_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_REST_INSIDE_H

#include "tools/exchange_sim_connection.h"
#include "tools/exchange_sim_faults.h"
#include "tools/exchange_sim_rest.h"
#include "tools/exchange_sim_text.h"

enum { EXCHANGE_SIM_VALUE_SIZE = 512 };

struct exchange_sim_question {
    struct exchange_sim_connection *connection;
    struct exchange_sim_rest *rest;
    enum exchange_sim_exchange exchange;
    const char *path;
    uint32_t path_size;
    const char *query;
    uint32_t query_size;
    int64_t utc_ns;
    bool microseconds;
    struct exchange_sim_rest_fault fault;
    struct exchange_sim_text body;
    uint16_t status;
    uint32_t retry_seconds; // 0: no Retry-After
};

struct exchange_sim_endpoint {
    const char *path; // behind /api/v3/, /fapi/v1/, /v1/
    const char *what; // name of a recorded reply
    uint16_t weight;  // Upbit: number of its group
    uint16_t weight_usdm;
    void (*answer)(struct exchange_sim_question *q);
};
extern const struct exchange_sim_endpoint exchange_sim_binance_endpoints[]; // ends with NULL
extern const struct exchange_sim_endpoint exchange_sim_upbit_endpoints[];
const char *exchange_sim_upbit_group(uint32_t group);

bool exchange_sim_rest_parameter(const struct exchange_sim_question *q, const char *name,
                                 char value[EXCHANGE_SIM_VALUE_SIZE]);
// A whole number; `fallback` where the parameter is absent. False where it is no number: the reply
// says so then.
bool exchange_sim_rest_number(struct exchange_sim_question *q, const char *name, int64_t fallback,
                              int64_t *value);
// Error bodies as the exchange writes them.
void exchange_sim_rest_failure(struct exchange_sim_question *q, uint16_t status, int code,
                               const char *message);
// The market's symbol of the parameter `name`, listed; UINT32_MAX and an error reply otherwise.
uint32_t exchange_sim_rest_symbol(struct exchange_sim_question *q, const char *name);

typedef void exchange_sim_symbol_callback(struct exchange_sim_question *q, const char *name,
                                          const struct exchange_sim_market_symbol *symbol,
                                          bool first);
// Of the market those listed, or those the recordings have streams of.
void exchange_sim_rest_each_symbol(struct exchange_sim_question *q,
                                   exchange_sim_symbol_callback *callback);

// exchange_sim_rest_trades.c
void exchange_sim_rest_trades(struct exchange_sim_question *q);
void exchange_sim_rest_agg_trades(struct exchange_sim_question *q);
void exchange_sim_rest_ticks(struct exchange_sim_question *q);
// How many of `count` rows of a page go out: fewer under rest_short.
int64_t exchange_sim_rest_page(const struct exchange_sim_question *q, int64_t count);

#endif
