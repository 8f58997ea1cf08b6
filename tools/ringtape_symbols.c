// SPDX-License-Identifier: GPL-3.0-or-later
//
// A list a channel, one behind the other.
#include "tools/ringtape_symbols.h"

#include "format/time_text.h"
#include "tools/ringtape_command.h"
#include "tools/ringtape_json.h"
#include "tools/ringtape_table.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct ringtape_symbols {
    struct store_symbol *symbols[CHANNEL_COUNT];
    uint32_t counts[CHANNEL_COUNT];
    bool damaged;
};

static void ringtape_symbols_damage(void *context, const struct store_damage *damage)
{
    struct ringtape_symbols *symbols = context;
    symbols->damaged = true;
    (void)ringtape_fail("damaged: %s at byte %" PRIu64 ": %s", damage->path, damage->offset,
                        damage->what);
}

static int ringtape_symbols_find(struct ringtape_symbols *symbols, struct store *store,
                                 const struct ringtape_query *wanted)
{
    int error = 0;
    for (int c = 0; c < CHANNEL_COUNT && error == 0; c++) {
        const enum channel channel = (enum channel)c;
        if (!channel_schema(channel) || !ringtape_query_has_channel(wanted, channel)) continue;
        struct store_query query = store_query_all(channel);
        query.symbols = wanted->symbols.text;
        query.symbol_count = wanted->symbols.count;
        query.damage = ringtape_symbols_damage;
        query.damage_context = symbols;
        error = store_symbols(store, &query, &symbols->symbols[c], &symbols->counts[c]);
    }
    return error;
}

static void ringtape_symbols_print_json(const struct ringtape_symbols *symbols)
{
    struct ringtape_json json;
    ringtape_json_start(&json, stdout);
    ringtape_json_array(&json, NULL);
    for (int c = 0; c < CHANNEL_COUNT; c++)
        for (uint32_t i = 0; i < symbols->counts[c]; i++) {
            const struct store_symbol *symbol = &symbols->symbols[c][i];
            ringtape_json_object(&json, NULL);
            ringtape_json_text(&json, "channel", channel_schema((enum channel)c)->name);
            if (symbol->name[0] != 0)
                ringtape_json_text(&json, "symbol", symbol->name);
            else
                ringtape_json_null(&json, "symbol");
            ringtape_json_count(&json, "rows", symbol->rows);
            ringtape_json_time(&json, "first", symbol->time_min);
            ringtape_json_time(&json, "last", symbol->time_max);
            ringtape_json_object_end(&json);
        }
    ringtape_json_array_end(&json);
    ringtape_json_line(&json);
}

static void ringtape_symbols_row(struct ringtape_table *table, enum channel channel,
                                 const struct store_symbol *symbol)
{
    char rows[RINGTAPE_TABLE_NUMBER_BYTES], time[TIME_TEXT_BYTES_MAX];
    ringtape_table_cell(table, "%s", channel_schema(channel)->name);
    ringtape_table_cell(table, "%s", symbol->name[0] != 0 ? symbol->name : "-");
    ringtape_table_cell(table, "%s", ringtape_table_number(rows, symbol->rows));
    time_text_format(time, symbol->time_min, 3);
    ringtape_table_cell(table, "%s", time);
    time_text_format(time, symbol->time_max, 3);
    ringtape_table_cell(table, "%s", time);
}

static void ringtape_symbols_print(const struct ringtape_symbols *symbols)
{
    static const char *const headings[] = {"CHANNEL", "SYMBOL", ">ROWS", "FIRST", "LAST"};
    struct ringtape_table table;
    ringtape_table_start(&table, headings, sizeof headings / sizeof headings[0]);
    for (int c = 0; c < CHANNEL_COUNT; c++)
        for (uint32_t i = 0; i < symbols->counts[c]; i++)
            ringtape_symbols_row(&table, (enum channel)c, &symbols->symbols[c][i]);
    ringtape_table_print(&table);
    ringtape_table_free(&table);
}

int ringtape_symbols_list(struct store *store, const struct ringtape_query *query, bool json)
{
    struct ringtape_symbols symbols = {.damaged = false};
    const int error = ringtape_symbols_find(&symbols, store, query);
    if (error == 0 && json) ringtape_symbols_print_json(&symbols);
    if (error == 0 && !json) ringtape_symbols_print(&symbols);
    for (int c = 0; c < CHANNEL_COUNT; c++) free(symbols.symbols[c]);
    if (error < 0) return ringtape_fail("%s: %s", store_path(store), ringtape_error_text(error));
    return symbols.damaged ? RINGTAPE_EXIT_FOUND : RINGTAPE_EXIT_OK;
}
