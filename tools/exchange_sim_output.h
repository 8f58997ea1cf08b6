// SPDX-License-Identifier: GPL-3.0-or-later
//
// exchange_sim_output: what a connection sends. The rest of its functions is in
// exchange_sim_connection.h.
//
//     frame -> staged -> tls output -> send
//         \-> backlog --^                    where the output is full
#ifndef RINGTAPE_TOOLS_EXCHANGE_SIM_OUTPUT_H
#define RINGTAPE_TOOLS_EXCHANGE_SIM_OUTPUT_H

#include "tools/exchange_sim_connection.h"

enum { EXCHANGE_SIM_STAGED_SIZE = EXCHANGE_SIM_REPLY_MAX + EXCHANGE_SIM_EVENT_SIZE_MAX * 3 };

// Forgets everything that was not sent.
void exchange_sim_output_drop(struct exchange_sim_connection *connection);

#endif
