// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_fault_log: what went wrong on purpose, as JSON lines. docs/exchange-sim.md has their
// meaning. Every function does nothing where the log is NULL or has no file.
//
// Threading: one owner.
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_FAULT_LOG_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_FAULT_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/exchange_sim_market.h"

struct exchange_sim_fault_log {
    FILE *file;
    uint64_t lines;
};

// A path of NULL: no file. False with errno where it cannot be written.
bool exchange_sim_fault_log_open(struct exchange_sim_fault_log *log, const char *path);
// False where something could not be written.
bool exchange_sim_fault_log_close(struct exchange_sim_fault_log *log);
void exchange_sim_fault_log_flush(struct exchange_sim_fault_log *log);

// A line begins with begin(), has any of the others, and ends with end().
bool exchange_sim_fault_log_begin(struct exchange_sim_fault_log *log, int64_t utc_ns,
                                  const char *fault);
void exchange_sim_fault_log_exchange(struct exchange_sim_fault_log *log,
                                     enum exchange_sim_exchange exchange);
void exchange_sim_fault_log_number(struct exchange_sim_fault_log *log, const char *key,
                                   int64_t value);
void exchange_sim_fault_log_text(struct exchange_sim_fault_log *log, const char *key,
                                 const char *value);
void exchange_sim_fault_log_seconds(struct exchange_sim_fault_log *log, int64_t ns);
void exchange_sim_fault_log_end(struct exchange_sim_fault_log *log);

#endif
