// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_export_names: the symbols of a day's segments, in the order in which they are exported:
// exchange by exchange, symbol by symbol, segment by segment.
//
// Ownership: texts point into the segments' indexes and live as long as these. Threading: none.
#ifndef RINGTAPE_TOOLS_RINGTAPE_EXPORT_NAMES_H
#define RINGTAPE_TOOLS_RINGTAPE_EXPORT_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/ringtape_files.h"
#include "tools/ringtape_query.h"

// One symbol of one segment.
struct ringtape_export_name {
    struct event_text text; // "binance:BTCUSDT", or empty
    uint32_t exchange_size;
    uint32_t segment;
    uint32_t symbol; // number there, SYMBOL_NONE for the empty name
    uint64_t rows;
};

struct ringtape_export_names {
    struct ringtape_export_name *names; // sorted
    size_t count;
};

// Those that the query wants; segments that are not open are passed over. 0 or -ENOMEM.
int ringtape_export_names_open(struct ringtape_export_names *names,
                               const struct ringtape_query *query,
                               const struct ringtape_segment *segments, uint32_t segment_count);
void ringtape_export_names_close(struct ringtape_export_names *names);

// Where the names of the exchange (of the symbol) of `first` end.
size_t ringtape_export_names_exchange(const struct ringtape_export_names *names, size_t first);
size_t ringtape_export_names_symbol(const struct ringtape_export_names *names, size_t first);

// The different symbols of names [first, end), without exchange, as texts that end with a NUL. To
// be freed in one piece; NULL: out of memory.
const char **ringtape_export_names_texts(const struct ringtape_export_names *names, size_t first,
                                         size_t end, uint32_t *count);

#endif
