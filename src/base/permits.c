// SPDX-License-Identifier: GPL-3.0-or-later
//
// permits: see permits.h. Contract: in no interval of `window_ns` are more than `limit` permits of
// a kind granted, over all threads and, by save and load, over restarts. A ring holds the last
// `limit` times: a new permit is due when the oldest of them has left the window.
#include "base/permits.h"

#include "base/limits.h"
#include "format/ensure.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void permits_init(struct permits *permits)
{
    memset(permits, 0, sizeof *permits);
    atomic_flag_clear(&permits->lock);
}

static void permits_lock(struct permits *permits)
{
    while (atomic_flag_test_and_set_explicit(&permits->lock, memory_order_acquire)) {}
}

static void permits_unlock(struct permits *permits)
{
    atomic_flag_clear_explicit(&permits->lock, memory_order_release);
}

static uint32_t permits_find(const struct permits *permits, const char *name, size_t size)
{
    for (uint32_t kind = 0; kind < permits->kind_count; kind++) {
        const char *known = permits->kinds[kind].name;
        if (strlen(known) == size && memcmp(known, name, size) == 0) return kind;
    }
    return PERMITS_KINDS_MAX;
}

uint32_t permits_kind(struct permits *permits, const char *name, uint32_t limit,
                      int64_t window_ns)
{
    ensure(limit > 0 && limit <= PERMITS_LIMIT_MAX && window_ns > 0);
    uint32_t kind = permits_find(permits, name, strlen(name));
    if (kind != PERMITS_KINDS_MAX) return kind;
    ensure(permits->kind_count < PERMITS_KINDS_MAX && strlen(name) <= PERMITS_NAME_BYTES_MAX);
    struct permits_kind *made = &permits->kinds[permits->kind_count];
    memset(made, 0, sizeof *made);
    memcpy(made->name, name, strlen(name));
    made->limit = limit;
    made->window_ns = window_ns;
    return permits->kind_count++;
}

static int64_t permits_wait_ns(const struct permits_kind *kind, int64_t utc_ns)
{
    int64_t oldest_ns = kind->time_ns[kind->next];
    // A clock set back must not lock out for longer than one window.
    if (oldest_ns == 0 || oldest_ns > utc_ns + kind->window_ns) return 0;
    int64_t wait_ns = oldest_ns + kind->window_ns - utc_ns;
    return wait_ns > 0 ? wait_ns : 0;
}

static void permits_enter(struct permits_kind *kind, int64_t utc_ns)
{
    kind->time_ns[kind->next] = utc_ns;
    kind->next = (kind->next + 1) % kind->limit;
}

int64_t permits_take(struct permits *permits, uint32_t kind_number, int64_t utc_ns)
{
    ensure(kind_number < permits->kind_count && utc_ns > 0);
    struct permits_kind *kind = &permits->kinds[kind_number];
    permits_lock(permits);
    int64_t wait_ns = permits_wait_ns(kind, utc_ns);
    if (wait_ns == 0) permits_enter(kind, utc_ns);
    permits_unlock(permits);
    if (wait_ns == 0) atomic_fetch_add_explicit(&permits->granted, 1, memory_order_relaxed);
    return wait_ns;
}

// ---- budgets ----

// budget_count: there is none.
static uint32_t budget_find(const struct permits *permits, const char *name)
{
    uint32_t at = 0;
    while (at < permits->budget_count && strcmp(permits->budgets[at].name, name) != 0) at++;
    return at;
}

uint32_t permits_budget_find(struct permits *permits, const char *name)
{
    permits_lock(permits);
    uint32_t at = budget_find(permits, name);
    ensure(at < permits->budget_count);
    permits_unlock(permits);
    return at;
}

uint32_t permits_budget(struct permits *permits, const char *name, uint32_t limit,
                        int64_t window_ns)
{
    ensure(limit > 0 && window_ns >= PERMITS_PARTS && strlen(name) <= PERMITS_NAME_BYTES_MAX);
    permits_lock(permits);
    uint32_t at = budget_find(permits, name);
    ensure(at < PERMITS_BUDGETS_MAX);
    struct permits_budget *budget = &permits->budgets[at];
    if (at == permits->budget_count) {
        memset(budget, 0, sizeof *budget);
        memcpy(budget->name, name, strlen(name));
        budget->window_ns = window_ns;
        permits->budget_count++;
    }
    budget->limit = limit;
    permits_unlock(permits);
    return at;
}

static int64_t budget_part(const struct permits_budget *budget, int64_t utc_ns)
{
    return utc_ns / (budget->window_ns / PERMITS_PARTS);
}

// Spent in the window that ends now. The part that is leaving it counts in full.
static uint64_t budget_spent(const struct permits_budget *budget, int64_t utc_ns)
{
    int64_t now = budget_part(budget, utc_ns);
    uint64_t sum = 0;
    for (uint32_t i = 0; i <= PERMITS_PARTS; i++) {
        int64_t number = budget->parts[i].number;
        // A clock set back must not lock out for longer than one window.
        if (number >= now - PERMITS_PARTS && number <= now + PERMITS_PARTS)
            sum += budget->parts[i].weight;
    }
    return sum;
}

static void budget_add(struct permits_budget *budget, uint64_t weight, int64_t number)
{
    uint32_t at = (uint32_t)(number % (PERMITS_PARTS + 1));
    if (budget->parts[at].number != number) {
        budget->parts[at].number = number;
        budget->parts[at].weight = 0;
    }
    budget->parts[at].weight += (uint32_t)(weight < UINT16_MAX * 16 ? weight : UINT16_MAX * 16);
}

int64_t permits_spend(struct permits *permits, uint32_t number, uint32_t weight, bool modest,
                      int64_t utc_ns)
{
    ensure(number < PERMITS_BUDGETS_MAX && weight > 0 && utc_ns > 0);
    struct permits_budget *budget = &permits->budgets[number];
    int64_t wait_ns = 0;
    permits_lock(permits);
    ensure(number < permits->budget_count); // another shard may be adding one
    const uint32_t limit = modest ? budget->limit - budget->limit / 4 : budget->limit;
    const uint32_t needed = weight < limit ? weight : limit;
    if (utc_ns < budget->pause_ns)
        wait_ns = budget->pause_ns - utc_ns;
    else if (budget_spent(budget, utc_ns) + needed > limit)
        wait_ns = budget->window_ns / PERMITS_PARTS;
    else
        budget_add(budget, weight, budget_part(budget, utc_ns));
    permits_unlock(permits);
    if (wait_ns == 0) atomic_fetch_add_explicit(&permits->granted, 1, memory_order_relaxed);
    return wait_ns;
}

void permits_used(struct permits *permits, uint32_t number, uint32_t used, int64_t utc_ns)
{
    ensure(number < PERMITS_BUDGETS_MAX && utc_ns > 0);
    struct permits_budget *budget = &permits->budgets[number];
    permits_lock(permits);
    ensure(number < permits->budget_count);
    uint64_t spent = budget_spent(budget, utc_ns);
    if (used > spent) budget_add(budget, used - spent, budget_part(budget, utc_ns));
    permits_unlock(permits);
}

void permits_pause(struct permits *permits, uint32_t number, int64_t until_ns)
{
    ensure(number < PERMITS_BUDGETS_MAX);
    permits_lock(permits);
    ensure(number < permits->budget_count);
    if (until_ns > permits->budgets[number].pause_ns)
        permits->budgets[number].pause_ns = until_ns;
    permits_unlock(permits);
    atomic_fetch_add_explicit(&permits->granted, 1, memory_order_relaxed);
}

int64_t permits_paused(struct permits *permits, uint32_t number, int64_t utc_ns)
{
    ensure(number < PERMITS_BUDGETS_MAX);
    permits_lock(permits);
    ensure(number < permits->budget_count);
    int64_t left_ns = permits->budgets[number].pause_ns - utc_ns;
    permits_unlock(permits);
    return left_ns > 0 ? left_ns : 0;
}

// ---- over restarts ----

// Lines "name part weight", and "name pause until".
static size_t permits_save_budget(const struct permits_budget *budget, char *out, size_t out_size)
{
    size_t used = 0;
    for (uint32_t i = 0; i <= PERMITS_PARTS + 1; i++) {
        bool pause = i > PERMITS_PARTS;
        if (pause ? budget->pause_ns == 0 : budget->parts[i].weight == 0) continue;
        int size =
            pause ? snprintf(out + used, out_size - used, "%s pause %lld\n", budget->name,
                             (long long)budget->pause_ns)
                  : snprintf(out + used, out_size - used, "%s %lld %u\n", budget->name,
                             (long long)budget->parts[i].number, budget->parts[i].weight);
        if (size < 0 || (size_t)size >= out_size - used) break;
        used += (size_t)size;
    }
    return used;
}

static void permits_load_budget(struct permits_budget *budget, const char *rest, int64_t utc_ns)
{
    char *end;
    int64_t now = budget_part(budget, utc_ns);
    if (strncmp(rest, "pause ", 6) == 0) {
        int64_t until_ns = strtoll(rest + 6, NULL, 10);
        if (until_ns > utc_ns && until_ns - utc_ns <= LIMIT_BAN_S * LIMIT_SECOND_NS)
            budget->pause_ns = until_ns;
        return;
    }
    int64_t number = strtoll(rest, &end, 10);
    long weight = *end == ' ' ? strtol(end + 1, NULL, 10) : 0;
    if (number >= now - PERMITS_PARTS && number <= now && weight > 0)
        budget_add(budget, (uint64_t)weight, number);
}

static size_t permits_save_kind(const struct permits_kind *kind, char *out, size_t out_size)
{
    size_t used = 0;
    for (uint32_t i = 0; i < kind->limit; i++) {
        int64_t time_ns = kind->time_ns[(kind->next + i) % kind->limit];
        if (time_ns == 0) continue;
        int size = snprintf(out + used, out_size - used, "%s %lld\n", kind->name,
                            (long long)time_ns);
        if (size < 0 || (size_t)size >= out_size - used) break;
        used += (size_t)size;
    }
    return used;
}

size_t permits_save(struct permits *permits, char *out, size_t out_size)
{
    ensure(out_size > 0);
    size_t used = 0;
    permits_lock(permits);
    for (uint32_t kind = 0; kind < permits->kind_count; kind++)
        used += permits_save_kind(&permits->kinds[kind], out + used, out_size - used);
    for (uint32_t budget = 0; budget < permits->budget_count; budget++)
        used += permits_save_budget(&permits->budgets[budget], out + used, out_size - used);
    permits_unlock(permits);
    ensure(used < out_size);
    return used;
}

// [at, end) is one line without its newline.
static void permits_load_line(struct permits *permits, const char *at, const char *end,
                              int64_t utc_ns)
{
    const char *space = memchr(at, ' ', (size_t)(end - at));
    char digits[48];
    if (space == NULL || (size_t)(end - space) > sizeof digits) return;
    size_t size = (size_t)(end - space) - 1;
    memcpy(digits, space + 1, size);
    digits[size] = '\0';
    for (uint32_t i = 0; i < permits->budget_count; i++) {
        const char *known = permits->budgets[i].name;
        if (strlen(known) == (size_t)(space - at) && memcmp(known, at, strlen(known)) == 0)
            permits_load_budget(&permits->budgets[i], digits, utc_ns);
    }
    uint32_t kind = permits_find(permits, at, (size_t)(space - at));
    if (kind == PERMITS_KINDS_MAX) return;
    int64_t time_ns = strtoll(digits, NULL, 10);
    if (time_ns > 0 && time_ns <= utc_ns) permits_enter(&permits->kinds[kind], time_ns);
}

void permits_load(struct permits *permits, const char *text, size_t size, int64_t utc_ns)
{
    const char *end = text + size;
    permits_lock(permits);
    for (const char *at = text; at < end;) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL) break; // torn: not a whole line
        permits_load_line(permits, at, line_end, utc_ns);
        at = line_end + 1;
    }
    permits_unlock(permits);
}
