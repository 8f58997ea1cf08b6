// SPDX-License-Identifier: GPL-3.0-or-later
//
// Goal: schemas are whole and stable; what rows take is what rows give.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "format/event.h"
#include "format/rows.h"
#include "tests/format_random.h"

Test(event, every_schema_is_whole)
{
    for (int c = 0; c < CHANNEL_COUNT; c++) {
        const struct channel_schema *schema = channel_schema((enum channel)c);
        if (!schema)
            continue;
        cr_assert_eq(channel_by_name(schema->name), schema->channel);
        cr_assert(schema->time_count >= 1);
        for (int i = 0; i < schema->column_count; i++) {
            const struct column *column = &schema->columns[i];
            cr_assert_not_null(column->name, "%s column %d", schema->name, i);
            cr_assert_eq(column_by_name(schema, column->name), i, "%s twice", column->name);
            cr_assert_eq(column->type == COLUMN_DECIMAL, column->decimal != DECIMAL_NONE);
            cr_assert_eq(column->type == COLUMN_CODE, column->codes != NULL);
        }
        for (int i = 0; i < schema->time_count; i++)
            cr_assert_eq(schema->columns[schema->times[i]].type, COLUMN_TIME);
    }
    cr_assert_null(channel_schema((enum channel)77));
    cr_assert_eq(channel_by_name("nonsense"), CHANNEL_NONE);
}

Test(event, codes_have_names)
{
    const struct channel_schema *status = channel_schema(CHANNEL_STATUS);
    const struct column *kind = &status->columns[STATUS_KIND];
    cr_assert_str_eq(code_name(kind, STATUS_STARTED), "started");
    cr_assert_str_eq(code_name(kind, STATUS_CHANNEL_RESUMED), "channel_resumed");
    cr_assert_str_eq(code_name(kind, STATUS_DISK_FREED), "disk_freed");
    cr_assert_str_eq(code_name(kind, STATUS_BACKFILLED), "backfilled");
    cr_assert_null(code_name(kind, STATUS_BACKFILLED + 1));
    cr_assert_null(code_name(kind, -1));
    const struct column *channel = &status->columns[STATUS_CHANNEL];
    cr_assert_str_eq(code_name(channel, CHANNEL_RAW), "raw");
    const struct column *reason = &channel_schema(CHANNEL_RAW)->columns[RAW_REASON];
    cr_assert_str_eq(code_name(reason, RAW_TOO_LARGE), "too_large");
    const struct column *source = &channel_schema(CHANNEL_BOOK)->columns[BOOK_SOURCE];
    cr_assert_str_eq(code_name(source, BOOK_SOURCE_ORDERBOOK), "orderbook");
}

Test(rows, give_back_what_they_took)
{
    struct rows *rows = random_rows_new(CHANNEL_TRADE, (struct rows_limits){2, 0, 8});
    struct event event = {0};
    event_clear(&event, CHANNEL_TRADE, 7);
    event_set(&event, COLUMN_FLAGS, 0);
    event_set(&event, TRADE_TIME, 1723161600000000000);
    event_set(&event, TRADE_ID, INT64_MAX);
    event_set_decimal(&event, TRADE_PRICE, INT64_MIN, 18);
    event_set_text(&event, TRADE_KIND, "MARKET", 6);
    event.value[TRADE_BEST_BID_PRICE] = 99; // not present: must come back as 0
    cr_assert(rows_append(rows, &event));
    cr_assert_not(rows_append(rows, &event), "text is full");
    event_clear(&event, CHANNEL_TRADE, SYMBOL_NONE);
    event_set(&event, COLUMN_RECEIVE_TIME, 5);
    cr_assert(rows_append(rows, &event));
    cr_assert_not(rows_append(rows, &event), "rows are full");
    cr_assert_eq(rows->count, 2);

    struct event back = {0};
    rows_get(rows, 0, &back, NULL);
    cr_assert_eq(back.symbol, 7);
    cr_assert_eq(back.value[TRADE_ID], INT64_MAX);
    cr_assert_eq(back.value[TRADE_PRICE], INT64_MIN);
    cr_assert_eq(back.scale[TRADE_PRICE], 18);
    cr_assert_not(event_has(&back, TRADE_BEST_BID_PRICE));
    cr_assert_eq(back.value[TRADE_BEST_BID_PRICE], 0);
    cr_assert_eq(event_text(&back, TRADE_KIND).size, 6);
    cr_assert_eq(memcmp(event_text(&back, TRADE_KIND).bytes, "MARKET", 6), 0);
    cr_assert_eq(rows_time_ns(rows, 0), 1723161600000000000);
    cr_assert_eq(rows_time_ns(rows, 1), 5, "no trade time: receive time");
    free(rows);
}

Test(rows, levels_hang_on_their_row)
{
    struct rows *rows = random_rows_new(CHANNEL_DEPTH, (struct rows_limits){4, 3, 0});
    struct event_level levels[3] = {{1, 2, 3, 4, 0}, {5, 6, 7, 8, 1}, {-1, INT64_MIN, 18, 0, 1}};
    struct event event = {0};
    event_clear(&event, CHANNEL_DEPTH, 0);
    cr_assert(rows_append(rows, &event));
    event.level_count = 2;
    event.levels = levels;
    cr_assert(rows_append(rows, &event));
    cr_assert_not(rows_append(rows, &event), "levels are full");
    event.level_count = 1;
    event.levels = levels + 2;
    cr_assert(rows_append(rows, &event));

    struct event_level out[3];
    struct event back = {0};
    rows_get(rows, 0, &back, out);
    cr_assert_eq(back.level_count, 0);
    rows_get(rows, 1, &back, out);
    cr_assert_eq(back.level_count, 2);
    cr_assert_eq(out[1].quantity, 6);
    cr_assert_eq(out[1].side, 1);
    rows_get(rows, 2, &back, out);
    cr_assert_eq(out[0].quantity, INT64_MIN);
    rows_clear(rows);
    cr_assert_eq(rows->level_count, 0);
    free(rows);
}
