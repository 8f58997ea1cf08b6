// SPDX-License-Identifier: GPL-3.0-or-later
//
// ringtape_names: full names of symbols ("binance:BTCUSDT"), numbered as they come.
//
// Ownership: a copy of each name until ringtape_names_close(). Threading: main thread.
#ifndef RINGTAPE_TOOLS_RINGTAPE_NAMES_H
#define RINGTAPE_TOOLS_RINGTAPE_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "format/event.h"

enum { RINGTAPE_NAMES_MAX = 65536 };

struct ringtape_names {
    struct event_text *texts; // [RINGTAPE_NAMES_MAX]
    uint32_t *slots;          // open addressing, twice as many: number + 1
    uint32_t count;
};

int ringtape_names_open(struct ringtape_names *names); // 0 or -ENOMEM
void ringtape_names_close(struct ringtape_names *names);
// 0, -ENOMEM, or -EFBIG: there are too many.
int ringtape_names_add(struct ringtape_names *names, const struct event_text *name,
                       uint32_t *number);
// Its number; false: it was never added.
bool ringtape_names_find(const struct ringtape_names *names, const struct event_text *name,
                         uint32_t *number);

#endif
