// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_options: the command line of exchange-sim.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_OPTIONS_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/exchange_sim_connection.h"
#include "tools/exchange_sim_faults.h"
#include "tools/exchange_sim_inject.h"
#include "tools/exchange_sim_rest.h"
#include "tools/exchange_sim_source.h"

struct exchange_sim_capture_option {
    enum exchange_sim_exchange exchange;
    const char *path;
};

enum exchange_sim_end { EXCHANGE_SIM_END_HOLD, EXCHANGE_SIM_END_CLOSE, EXCHANGE_SIM_END_EXIT };

struct exchange_sim_options {
    bool listen[EXCHANGE_SIM_EXCHANGES];
    uint16_t port[EXCHANGE_SIM_EXCHANGES];
    uint8_t host[4];
    const char *certificate_file;
    const char *key_file;
    bool plain;
    const char *ports_file;
    const char *truth_file;
    const char *truth_channels; // NULL: all
    const char *fault_log_file;
    const char *books_file;
    struct exchange_sim_capture_option captures[REEL_CAPTURES_MAX];
    uint32_t capture_count;
    const char *only;
    uint32_t symbols[EXCHANGE_SIM_EXCHANGES];
    uint32_t reserve[EXCHANGE_SIM_EXCHANGES]; // to be listed later
    bool whole_market;
    bool calm;
    bool offline; // no doors: the market goes into the truth file at once
    struct exchange_sim_injects injects;
    int64_t history_trades; // 0: as the market has it
    int64_t history_us;
    uint64_t seed;
    uint32_t begin_streams;
    int64_t begin_after_ns;
    int64_t grain_ns; // events due closer together than this go out together
    enum exchange_sim_end end;
    bool streams_in_summary;
    bool progress;
    struct exchange_sim_source_options source;
    struct exchange_sim_server_options server;
    struct exchange_sim_rest_options rest;
    struct exchange_sim_faults_options faults;
};

extern const char exchange_sim_options_help[];

// Exits with 64 and a message where the command line is wrong; with 0 after --help.
void exchange_sim_options_read(struct exchange_sim_options *options, int count, char **arguments);

#endif
