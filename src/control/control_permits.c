// SPDX-License-Identifier: GPL-3.0-or-later
//
// control_permits: the file of permits; see control_permits.h.
#include "control/control_permits.h"

#include "base/limits.h"
#include "exchange/dialect.h"
#include "exchange/history.h"
#include "format/ensure.h"
#include <stdio.h>
#include <stdlib.h>

static void permits_path(const char *store, const char *ending, char *out, size_t out_size)
{
    ensure(store[0] != '\0');
    (void)snprintf(out, out_size, "%s/permits%s", store, ending);
}

// Before the file is read, for it only fills what is there.
static void permits_of_exchanges(struct permits *permits)
{
    permits_init(permits);
    for (const struct dialect *const *each = dialects; *each != NULL; each++) {
        const struct dialect_history *history = (*each)->history;
        (void)permits_kind(permits, (*each)->name, (*each)->connects_per_window_max,
                           (*each)->connect_window_ns);
        if (history != NULL)
            (void)permits_budget(permits, history->budget, history->budget_limit,
                                 history->budget_window_ns);
    }
}

void control_permits_load(struct permits *permits, const char *store, int64_t utc_ns)
{
    permits_of_exchanges(permits);
    char path[LIMIT_PATH_BYTES + 32];
    permits_path(store, "", path, sizeof path);
    FILE *file = fopen(path, "rbe");
    char *text = malloc(PERMITS_TEXT_BYTES_MAX);
    if (file != NULL && text != NULL)
        permits_load(permits, text, fread(text, 1, PERMITS_TEXT_BYTES_MAX, file), utc_ns);
    free(text);
    if (file != NULL) (void)fclose(file);
}

void control_permits_save(struct permits *permits, const char *store, uint64_t *saved)
{
    uint64_t granted = atomic_load(&permits->granted);
    if (granted == *saved) return;
    char path[LIMIT_PATH_BYTES + 32];
    char path_new[LIMIT_PATH_BYTES + 32];
    permits_path(store, "", path, sizeof path);
    permits_path(store, ".new", path_new, sizeof path_new);
    char *text = malloc(PERMITS_TEXT_BYTES_MAX);
    FILE *file = fopen(path_new, "wbe");
    if (text != NULL && file != NULL) {
        size_t size = permits_save(permits, text, PERMITS_TEXT_BYTES_MAX);
        bool good = fwrite(text, 1, size, file) == size;
        good = fclose(file) == 0 && good;
        if (good && rename(path_new, path) == 0) *saved = granted;
    } else if (file != NULL) {
        (void)fclose(file);
    }
    free(text);
}
