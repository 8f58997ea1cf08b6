// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_status_json: a statistics page as one JSON object, for programs. docs/metrics.md names
// the fields.
#ifndef RINGTAPE_TOOLS_RINGTAPE_STATUS_JSON_H
#define RINGTAPE_TOOLS_RINGTAPE_STATUS_JSON_H

#include "tools/ringtape_page.h"

// One line to standard output.
void ringtape_status_json(const struct statistics_page *page, const struct ringtape_page_sum *sum,
                          enum ringtape_page_state state);

#endif
