// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_print: rows on standard output as CSV or JSON lines, exact: decimals as they are, times
// with nanoseconds. Failures of the stream are left to ringtape_finish_output().
#ifndef RINGTAPE_TOOLS_RINGTAPE_PRINT_H
#define RINGTAPE_TOOLS_RINGTAPE_PRINT_H

#include "format/store.h"
#include "tools/ringtape_json.h"

void ringtape_print_csv_header(const struct channel_schema *schema);
// Row `index` of the chunk's rows; one line, or one a level.
void ringtape_print_csv(const struct store_chunk *chunk, uint32_t index);
void ringtape_print_json(struct ringtape_json *json, const struct store_chunk *chunk,
                         uint32_t index);

#endif
