// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_permits: what an exchange was asked for in one life counts in the next: a ban that was
// forgotten would be made longer by the first request of the new process.
#include "control/control_permits.h"

#include "base/limits.h"
#include "exchange/dialect.h"
#include "exchange/history.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define START_NS 1767225600000000000ll

static struct permits permits;
static char store[] = "/tmp/ringtape-permits-XXXXXX";

static void store_begin(void)
{
    cr_assert_not_null(mkdtemp(store));
}

static void store_end(void)
{
    char path[sizeof store + 16];
    (void)snprintf(path, sizeof path, "%s/permits", store);
    (void)unlink(path);
    cr_assert_eq(rmdir(store), 0, "nothing else is left there");
}

// The number that the shards get of it, when they open the exchange.
static uint32_t budget_of(const struct dialect *dialect)
{
    const struct dialect_history *history = dialect->history;
    return permits_budget(&permits, history->budget, history->budget_limit,
                          history->budget_window_ns);
}

Test(control_permits, all_exchanges_are_remembered, .init = store_begin, .fini = store_end)
{
    const int64_t later_ns = START_NS + LIMIT_SECOND_NS;
    uint64_t saved = 0;
    control_permits_load(&permits, store, START_NS); // there is no file yet
    for (const struct dialect *const *each = dialects; *each != NULL; each++) {
        uint32_t kind = permits_kind(&permits, (*each)->name, (*each)->connects_per_window_max,
                                     (*each)->connect_window_ns);
        while (permits_take(&permits, kind, START_NS) == 0) continue;
        if ((*each)->history != NULL)
            permits_pause(&permits, budget_of(*each), START_NS + LIMIT_HOUR_NS);
    }
    control_permits_save(&permits, store, &saved);
    control_permits_load(&permits, store, later_ns);
    for (const struct dialect *const *each = dialects; *each != NULL; each++) {
        uint32_t kind = permits_kind(&permits, (*each)->name, (*each)->connects_per_window_max,
                                     (*each)->connect_window_ns);
        if ((*each)->connect_window_ns > LIMIT_SECOND_NS)
            cr_assert_gt(permits_take(&permits, kind, later_ns), 0, "%s", (*each)->name);
        if ((*each)->history != NULL)
            cr_assert_eq(permits_spend(&permits, budget_of(*each), 1, false, later_ns),
                         LIMIT_HOUR_NS - LIMIT_SECOND_NS, "%s", (*each)->name);
    }
}

Test(control_permits, is_written_where_there_is_something_new, .init = store_begin,
     .fini = store_end)
{
    char path[sizeof store + 16];
    (void)snprintf(path, sizeof path, "%s/permits", store);
    control_permits_load(&permits, store, START_NS);
    uint64_t saved = 0;
    control_permits_save(&permits, store, &saved);
    cr_assert_neq(access(path, F_OK), 0, "nothing was granted");
    cr_assert_eq(permits_spend(&permits, 0, 1, false, START_NS), 0);
    control_permits_save(&permits, store, &saved);
    cr_assert_eq(access(path, F_OK), 0);
    cr_assert_eq(unlink(path), 0);
    control_permits_save(&permits, store, &saved);
    cr_assert_neq(access(path, F_OK), 0, "nothing was granted since");
    control_permits_save(&permits, "/tmp/there-is-no-such-store", &(uint64_t){0});
}
