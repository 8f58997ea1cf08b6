// SPDX-License-Identifier: GPL-3.0-or-later
#include "complete_life_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "format/ensure.h"
#include "format/event.h"

static uint32_t sitting_of(const int64_t *starts_ns, uint32_t count, int64_t time_ns)
{
    uint32_t sitting = count - 1;
    while (sitting > 0 && starts_ns[sitting] > time_ns) sitting--;
    return sitting;
}

void life_rows_found(struct life_rows *own, const int64_t *starts_ns, uint32_t count,
                     const struct rows *rows)
{
    ensure(count > 0 && count <= LIFE_STARTS_MAX);
    for (uint32_t row = 0; row < rows->count; row++)
        own->found[sitting_of(starts_ns, count, rows->value[COLUMN_RECEIVE_TIME][row])]++;
}

uint64_t life_rows_lost(const struct life_rows *own, uint32_t count)
{
    uint64_t lost = 0;
    ensure(count <= LIFE_STARTS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (own->durable[i] > own->found[i]) lost += own->durable[i] - own->found[i];
        if (getenv("LIFE_TEST_TRADES") != NULL)
            (void)fprintf(stderr, "sitting %u: %llu durable, %llu found\n", i,
                          (unsigned long long)own->durable[i], (unsigned long long)own->found[i]);
    }
    return lost;
}
