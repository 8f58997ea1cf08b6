// SPDX-License-Identifier: GPL-3.0-or-later
//
// Names and dates.
#include "tools/ringtape_backfill_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/catalogue.h"
#include "format/ensure.h"

// ---- the calendar ----

struct month {
    int32_t first; // its days are [first, next)
    int32_t next;
};

static struct month month_of(int32_t day)
{
    char text[11];
    struct month month = {0};
    catalogue_day_text(day, text);
    memcpy(text + 8, "01", 2);
    ensure(catalogue_day_parse(text, 10, &month.first));
    catalogue_day_text(month.first + 31, text); // in the next month, whatever this one's length
    memcpy(text + 8, "01", 2);
    ensure(catalogue_day_parse(text, 10, &month.next));
    return month;
}

// Intervals of several days are in monthly files alone.
static bool only_monthly(const struct backfill_plan *plan)
{
    return plan->channel == CHANNEL_KLINE &&
           (strcmp(plan->interval, "3d") == 0 || strcmp(plan->interval, "1w") == 0 ||
            strcmp(plan->interval, "1mo") == 0);
}

// ---- items ----

void backfill_plan_free(struct backfill_plan *plan)
{
    for (uint32_t i = 0; i < plan->count; i++) free(plan->items[i].message);
    free(plan->items);
    plan->items = NULL;
    plan->count = plan->room = 0;
}

static bool reserve(struct backfill_plan *plan, uint32_t more)
{
    if (plan->count + more > BACKFILL_ITEMS_MAX) return false;
    if (plan->count + more <= plan->room) return true;
    const uint32_t room = plan->room * 2 + more + 64;
    void *grown = realloc(plan->items, room * sizeof plan->items[0]);
    if (grown == NULL) return false;
    plan->items = grown;
    plan->room = room;
    return true;
}

static bool add(struct backfill_plan *plan, const char *symbol, int32_t day, int32_t days,
                bool monthly)
{
    if (!reserve(plan, 1)) return false;
    plan->items[plan->count++] = (struct backfill_item){
        .symbol = symbol, .day = day, .days = days, .monthly = monthly};
    return true;
}

bool backfill_plan_add(struct backfill_plan *plan, const char *symbol, int32_t day_from,
                       int32_t day_to, bool months)
{
    ensure(strlen(symbol) <= BACKFILL_SYMBOL_TEXT_MAX && day_from < day_to);
    for (int32_t day = day_from; day < day_to;) {
        const struct month month = month_of(day);
        const bool whole = day == month.first && month.next <= day_to;
        const int32_t days = whole && (months || only_monthly(plan)) ? month.next - day : 1;
        if (!only_monthly(plan) || days > 1)
            if (!add(plan, symbol, day, days, days > 1)) return false;
        day += days;
    }
    return true;
}

bool backfill_plan_split(struct backfill_plan *plan, uint32_t at)
{
    ensure(at < plan->count && plan->items[at].monthly);
    const struct backfill_item month = plan->items[at];
    const uint32_t more = (uint32_t)month.days - 1;
    if (only_monthly(plan)) return true;
    if (!reserve(plan, more)) return false;
    memmove(&plan->items[at + 1 + more], &plan->items[at + 1],
            (plan->count - at - 1) * sizeof plan->items[0]);
    plan->count += more;
    for (int32_t d = 0; d < month.days; d++)
        plan->items[at + (uint32_t)d] =
            (struct backfill_item){.symbol = month.symbol, .day = month.day + d, .days = 1};
    return true;
}

// ---- names ----

static const char *kind_of(const struct backfill_plan *plan)
{
    switch (plan->channel) {
    case CHANNEL_TRADE: return "trades";
    case CHANNEL_AGG_TRADE: return "aggTrades";
    default: return plan->interval;
    }
}

void backfill_item_name(const struct backfill_plan *plan, const struct backfill_item *item,
                        char out[BACKFILL_NAME_BYTES_MAX])
{
    char day[11];
    catalogue_day_text(item->day, day);
    if (item->monthly) day[7] = 0;
    const int size = snprintf(out, BACKFILL_NAME_BYTES_MAX, "%s-%s-%s", item->symbol, kind_of(plan),
                              day);
    ensure(size > 0 && size < BACKFILL_NAME_BYTES_MAX);
}

void backfill_plan_folder(const struct backfill_plan *plan, bool monthly,
                          char out[BACKFILL_RELATIVE_BYTES_MAX])
{
    (void)snprintf(out, BACKFILL_RELATIVE_BYTES_MAX, "data/%s/%s/%s/",
                   plan->usdm ? "futures/um" : "spot", monthly ? "monthly" : "daily",
                   plan->channel == CHANNEL_KLINE ? "klines" : kind_of(plan));
}

void backfill_item_path(const struct backfill_plan *plan, const struct backfill_item *item,
                        char out[BACKFILL_RELATIVE_BYTES_MAX])
{
    char folder[BACKFILL_RELATIVE_BYTES_MAX], name[BACKFILL_NAME_BYTES_MAX];
    const bool kline = plan->channel == CHANNEL_KLINE;
    backfill_plan_folder(plan, item->monthly, folder);
    backfill_item_name(plan, item, name);
    const int size = snprintf(out, BACKFILL_RELATIVE_BYTES_MAX, "%.60s%s/%s%s%s.zip", folder,
                              item->symbol, kline ? plan->interval : "", kline ? "/" : "", name);
    ensure(size > 0 && size < BACKFILL_RELATIVE_BYTES_MAX);
}

// "SUM  NAME.zip"; sha256sum writes '*' before names of what it read as binary.
bool backfill_checksum_parse(const char *text, size_t size, const char *name,
                             char out[BACKFILL_SHA256_TEXT_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    const size_t sum = BACKFILL_SHA256_TEXT_BYTES - 1, name_size = strlen(name);
    if (size < sum + 2 + name_size + 4) return false;
    for (size_t i = 0; i < sum; i++) {
        const char digit = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] | 0x20) : text[i];
        if (memchr(digits, digit, 16) == NULL) return false;
        out[i] = digit;
    }
    out[sum] = 0;
    const char *told = text + sum + 2;
    return text[sum] == ' ' && (text[sum + 1] == ' ' || text[sum + 1] == '*') &&
           memcmp(told, name, name_size) == 0 && memcmp(told + name_size, ".zip", 4) == 0 &&
           (size == sum + 2 + name_size + 4 || (unsigned char)told[name_size + 4] <= ' ');
}
